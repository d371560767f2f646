package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// swept is how many checkpoints of a board were due to be dropped by when that was looked at.
type swept struct {
	due int
	at  time.Time
}

// strip replaces by stubs what checkpoints of a board dropped long enough ago: what was
// deleted goes from this disk too (docs/PROTOCOL.md §2.11). What cannot be checked, or is
// false, or is shown again, stays; it is looked at again an hour later.
func (tx *tx) strip(h *held) {
	h.CheckDrops(h.ring)
	due := slices.DeleteFunc(h.Drops(), func(d entity.Drop) bool { return !d.Settled || tx.now.Sub(d.At) < entity.DropAfter })
	last, ever := tx.n.swept[h.ID()]
	if since := tx.now.Sub(last.at); len(due) == 0 || ever && last.due == len(due) && since >= 0 && since < sweepEvery {
		return
	}
	tx.n.swept[h.ID()] = swept{len(due), tx.now}
	for _, drop := range due {
		_, kept := h.Log().Dropped(drop.Checkpoint)
		d, stripped, err := h.Strip(drop.Checkpoint, h.ring)
		if err != nil {
			tx.n.log.Debug("drop", "board", h.ID().String(), "checkpoint", drop.Checkpoint.String(), "err", err)
			continue
		}
		if !kept {
			_ = oplog.PutDropped(context.Background(), tx, h.ID(), d) // tx.Put cannot fail
		}
		for _, o := range stripped {
			_ = oplog.Put(context.Background(), tx, o)
		}
		if len(stripped) > 0 {
			tx.n.log.Info("dropped", "board", h.ID().String(), "checkpoint", drop.Checkpoint.String(), "ops", len(stripped))
			tx.after = append(tx.after, func() { tx.n.mergeSoon(oplog.KeysOf(h.ID())) })
		}
	}
}

// mergeSoon has the store let go of what was replaced below a prefix, in a goroutine of its
// own: it may rewrite much.
func (n *Node) mergeSoon(prefix string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ctx := n.runCtx
	if n.store.merge == nil || ctx == nil || ctx.Err() != nil {
		return
	}
	n.wg.Go(func() {
		if err := n.store.merge(ctx, prefix); err != nil && ctx.Err() == nil {
			n.log.Warn("merge", "err", err)
		}
	})
}

// keptLists returns the lists of what was dropped that are here, oldest first, and up to
// which checkpoint, from the first on, none is missing, nil for none.
func (n *Node) keptLists(eid keys.Digest) (lists []oplog.Dropped, upTo *keys.Digest) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	if !ok || h.Log().DroppedLists() == 0 {
		return nil, nil
	}
	row := true
	for _, drop := range h.Drops() {
		d, kept := h.Log().Dropped(drop.Checkpoint)
		if kept {
			lists = append(lists, d)
		}
		if row = row && kept; row {
			upTo = &drop.Checkpoint
		}
	}
	return lists, upTo
}

// listsFor returns what convinces a member of the stubs among ops: the lists that have them,
// with what is kept of earlier ones, by which they can be checked, but for those up to the
// one of checkpoint has, if that is not nil, and for each stub an op of its author; and the
// ops without the stubs of which nothing does, since another checkpoint has taken the place
// of theirs or their authors' next op is not here yet, and without what builds on these.
func (n *Node) listsFor(eid keys.Digest, ops []oplog.Op, has *keys.Digest) (lists []oplog.Dropped, vouchers map[keys.Digest]oplog.Op, left []oplog.Op) {
	if !slices.ContainsFunc(ops, oplog.Op.Bare) {
		return nil, nil, ops
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	if !ok {
		return nil, nil, nil
	}
	listed := make(map[keys.Digest]bool)
	first := 0
	for _, drop := range h.Drops() {
		if d, ok := h.Log().Dropped(drop.Checkpoint); ok && drop.Settled {
			lists = append(lists, d)
			listed[drop.Checkpoint] = true
		}
		if has != nil && drop.Checkpoint == *has { // one of another chain says nothing
			first = len(lists)
		}
	}
	vouchers = h.Log().Vouchers(ops)
	out := make(map[keys.Digest]bool)
	for _, o := range ops {
		if o.Bare() && (vouchers[o.ID()].IsZero() || !listed[o.DroppedBy()]) || out[o.Prev()] || slices.ContainsFunc(o.Parents(), func(p keys.Digest) bool { return out[p] }) {
			out[o.ID()] = true
		} else {
			left = append(left, o)
		}
	}
	if len(out) > 0 {
		n.log.Debug("stubs that nothing vouches for", "entity", eid.String(), "ops", len(out))
	}
	needed := make(map[keys.Digest]bool)
	last := 0
	for _, o := range left {
		needed[o.DroppedBy()] = true
	}
	for i, d := range lists {
		if needed[d.Checkpoint] {
			last = i + 1
		}
	}
	return lists[min(first, last):last], vouchers, left
}

// takeList takes a list of what a checkpoint drops from a member. finish is as of begin.
func (n *Node) takeList(eid keys.Digest, from keys.ID, d oplog.Dropped) (finish func() error, err error) {
	return n.begin(func(tx *tx) error {
		if n.me == nil {
			return refuse("linking")
		}
		h, ok := n.find(eid)
		if !ok || !n.mayHave(h, from) {
			return errNoEntity
		}
		if had, kept := h.Log().Dropped(d.Checkpoint); kept {
			if !slices.EqualFunc(had.Stubs, d.Stubs, func(a, b oplog.Stub) bool { return a.ID == b.ID && slices.Equal(a.Envelope, b.Envelope) }) {
				return fmt.Errorf("%w: another list of %v", entity.ErrDropped, d.Checkpoint)
			}
			return nil
		}
		if err := h.TakeDropped(d, h.ring); err != nil {
			return err
		}
		return oplog.PutDropped(context.Background(), tx, eid, d)
	})
}
