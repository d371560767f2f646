package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// Letting go (docs/PROTOCOL.md §2.11): what is shown nowhere for good leaves this disk two
// weeks after it was first seen to be so here. Nobody else is asked or told.

// unshownKey names since when a body is kept of what is shown nowhere.
func unshownKey(eid, id keys.Digest) string { return "/x/" + eid.String() + "/" + id.String() }

// loadUnshown reads since when bodies are kept of what is shown nowhere.
func (n *Node) loadUnshown() error {
	return n.scan("/x", func(key string, value []byte) error {
		parts := strings.Split(key, "/")
		if len(parts) != 4 || len(value) != 8 {
			return fmt.Errorf("%w: %s", oplog.ErrCorrupt, key)
		}
		eid, err1 := keys.ParseDigest(parts[2])
		id, err2 := keys.ParseDigest(parts[3])
		if err1 != nil || err2 != nil {
			return fmt.Errorf("%w: %s", oplog.ErrCorrupt, key)
		}
		n.markUnshown(eid, id, time.UnixMilli(int64(binary.BigEndian.Uint64(value))))
		return nil
	})
}

func (n *Node) markUnshown(eid, id keys.Digest, since time.Time) {
	if n.unshown[eid] == nil {
		n.unshown[eid] = make(map[keys.Digest]time.Time)
	}
	n.unshown[eid][id] = since
}

// pruneAll lets go of what is due anywhere. Each entity is looked at once an hour: that reads
// all of its content.
func (n *Node) pruneAll() error {
	return n.transact(func(tx *tx) error {
		if n.me == nil {
			return nil
		}
		for _, h := range n.all() {
			last, ever := n.pruned[h.ID()]
			if since := tx.now.Sub(last); ever && since >= 0 && since < pruneEvery || h.State().Kind == entity.Friend {
				continue
			}
			n.pruned[h.ID()] = tx.now
			if err := tx.prune(h); err != nil {
				return err
			}
		}
		return nil
	})
}

// prune notes what is shown nowhere for good in an entity, and lets go of what has been so
// for long enough.
func (tx *tx) prune(h *held) error {
	n, eid := tx.n, h.ID()
	dead := h.deadNow()
	for id := range n.unshown[eid] {
		if o, ok := h.Log().Get(id); !ok || !dead[id] || !o.Here() { // it is shown again, or gone
			delete(n.unshown[eid], id)
			tx.put(unshownKey(eid, id), nil)
		}
	}
	gone := 0
	for id, good := range dead {
		o, ok := h.Log().Get(id)
		if !ok || !good || !o.Here() || o.Size() == 0 {
			continue
		}
		since, noted := n.unshown[eid][id]
		if !noted || since.After(tx.now) { // a clock was set back: the time begins anew
			n.markUnshown(eid, id, tx.now)
			tx.put(unshownKey(eid, id), binary.BigEndian.AppendUint64(nil, uint64(tx.now.UnixMilli())))
			continue
		}
		if tx.now.Sub(since) < letGoAfter {
			continue
		}
		o, err := h.Log().Whole(o)
		if err != nil {
			return err
		}
		h.Log().LetGo(id)
		h.board.Forget(id)
		h.stored()[o.User()] -= o.Size()
		tx.letGo(h.Log(), o.WithoutBody())
		delete(n.unshown[eid], id)
		tx.put(unshownKey(eid, id), nil)
		gone++
	}
	if gone > 0 {
		n.log.Info("let go of text that is shown nowhere", "entity", eid.String(), "ops", gone)
		tx.after = append(tx.after, func() { n.mergeSoon(oplog.BodiesOf(eid)) })
	}
	return nil
}

// letGo writes that the body of an operation is not here any more.
func (tx *tx) letGo(l *oplog.Log, o oplog.Op) {
	_ = l.PutLetGo(context.Background(), tx, o) // tx.Put cannot fail
	if q := tx.n.shelf.queue(o); q != nil {
		tx.held = append(tx.held, q)
	}
}

// mergeSoon has the store let go of what was deleted below a prefix, in a goroutine of its
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
