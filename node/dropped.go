package node

import (
	"context"
	"fmt"
	"slices"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// strip replaces by stubs what checkpoints of a board dropped long enough ago, oldest
// first: what was deleted goes from this disk too (docs/PROTOCOL.md §2.11). What cannot be
// checked, or is false, stays.
func (tx *tx) strip(h *held) {
	h.CheckDrops(h.ring)
	for _, drop := range h.Drops() {
		if !drop.Settled || tx.now.Sub(drop.At) < entity.DropAfter {
			return
		}
		_, kept := h.Log().Dropped(drop.Checkpoint)
		d, stripped, err := h.Strip(drop.Checkpoint, h.ring)
		if err != nil {
			tx.n.log.Debug("drop", "board", h.ID().String(), "checkpoint", drop.Checkpoint.String(), "err", err)
			return
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

// listsFor returns the lists that convince a member of the stubs among ops: those that
// have them, and all before these in the chain of checkpoints, by which they are checked.
func (n *Node) listsFor(eid keys.Digest, ops []oplog.Op) (lists []oplog.Dropped, err error) {
	wanted := make(map[keys.Digest]bool)
	for _, o := range ops {
		if o.Bare() {
			wanted[o.DroppedBy()] = true
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	if !ok {
		return nil, errNoEntity
	}
	for _, drop := range h.Drops() {
		d, ok := h.Log().Dropped(drop.Checkpoint)
		if !ok {
			break
		}
		lists = append(lists, d)
		if delete(wanted, drop.Checkpoint); len(wanted) == 0 {
			return lists, nil
		}
	}
	// Another checkpoint has taken the place of the one that dropped them.
	return nil, fmt.Errorf("%w: %v has stubs that no final checkpoint vouches for", entity.ErrDropped, eid)
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
		if err := h.TakeDropped(d); err != nil {
			return err
		}
		return oplog.PutDropped(context.Background(), tx, eid, d)
	})
}
