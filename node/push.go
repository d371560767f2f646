package node

import (
	"context"
	"maps"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// tidings are new operations of one entity that members are to be told of.
type tidings struct {
	eid   keys.Digest
	ops   []oplog.Op
	from  keys.ID // who brought them, or has our own from elsewhere
	heard bool    // by gossip
}

// news takes note of what a transaction brought that others are told. The caller
// holds the lock, so that the outbox has the order of the log.
func (n *Node) news(tx *tx) {
	if n.runCtx == nil || n.runCtx.Err() != nil {
		return
	}
	moved := tx.moved
	if slices.Contains(moved, n.user) { // our devices have changed, and with them who may hear of all else
		moved = slices.Collect(maps.Keys(n.entities))
		moved = append(moved, n.user)
	}
	for _, eid := range moved {
		if h, ok := n.find(eid); ok && n.gossip != nil {
			n.gossip.follow(h)
		}
	}
	for eid, ops := range tx.fresh {
		for len(ops) > 0 {
			own := ops[0].Device() == n.device.ID()
			same := 1
			for same < len(ops) && (ops[same].Device() == n.device.ID()) == own {
				same++
			}
			t := tidings{eid, ops[:same:same], tx.from, tx.heard}
			if own {
				t.from, t.heard = tx.spare, false
			}
			n.outbox, ops = append(n.outbox, t), ops[same:]
		}
	}
	n.settling(tx)
	if len(tx.moved)+len(tx.fresh) > 0 {
		n.wakeAnnouncer()
	}
}

// wakeAnnouncer has announce look again. It never blocks.
func (n *Node) wakeAnnouncer() {
	select {
	case n.outWake <- struct{}{}:
	default:
	}
}

// announce tells members of new operations once they are durable, in their order, and
// joins and leaves topics. Who may no longer hear a topic is out of it before
// anything is published, and a topic that ended is left after.
func (n *Node) announce(ctx context.Context) {
	for ctx.Err() == nil {
		again := n.beacon()
		if n.gossip != nil {
			n.gossip.purge()
		}
		n.mu.Lock()
		batch := n.outbox
		n.outbox = nil
		n.mu.Unlock()
		if len(batch) > 0 {
			if err := n.store.settled(); err != nil {
				batch = nil // memory is ahead of the disk: nobody hears of it
			}
		}
		for _, t := range merge(batch) {
			n.spread(ctx, t)
		}
		if n.gossip != nil {
			again = min(again, n.gossip.settle())
		}
		select {
		case <-n.outWake:
		case <-time.After(again):
		case <-ctx.Done():
		}
	}
}

// merge joins what follows one another in an entity and goes to the same members.
func merge(batch []tidings) []tidings {
	var out []tidings
	last := make(map[keys.Digest]int)
	for _, t := range batch {
		i, ok := last[t.eid]
		if ok && out[i].from == t.from && out[i].heard == t.heard {
			out[i].ops = append(out[i].ops, t.ops...)
			continue
		}
		last[t.eid] = len(out)
		out = append(out, t)
	}
	return out
}

// spread publishes new operations on the entity's topic and pushes them to the
// connected members that are not in it, but for the one they came from. Nothing
// depends on it: sync brings what is lost.
func (n *Node) spread(ctx context.Context, t tidings) {
	var reached map[keys.ID]bool
	if n.gossip != nil {
		reached = n.gossip.publish(ctx, t)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(t.eid)
	if !ok || ctx.Err() != nil {
		return
	}
	for d := range n.others(h) {
		if d == t.from || reached[d] || !n.online([]keys.ID{d}) {
			continue
		}
		n.wg.Go(func() {
			if err := n.pushTo(ctx, d, t.eid, t.ops); err != nil {
				n.log.Debug("push", "peer", d.String(), "err", err)
			}
		})
	}
}

// others returns the devices that may have what is in an entity: those of the
// other active members, and our own. The caller holds the lock.
func (n *Node) others(h *held) map[keys.ID]bool {
	out := make(map[keys.ID]bool)
	for _, m := range h.State().Members {
		if m.Standing == entity.Active && m.Party.User != n.user {
			for _, d := range m.Party.Devices {
				out[d] = true
			}
		}
	}
	for _, d := range n.otherDevices() {
		out[d] = true
	}
	return out
}

func (n *Node) pushTo(ctx context.Context, device keys.ID, eid keys.Digest, ops []oplog.Op) error {
	ctx, cancel := context.WithTimeout(ctx, protocol.FrameTime)
	defer cancel()
	s, err := n.openStream(ctx, device, protocol.SyncID)
	if err != nil {
		return err
	}
	undo := context.AfterFunc(ctx, func() { _ = s.Reset() }) // finish waits for the other side's half of the negotiation
	defer undo()
	whole := slices.DeleteFunc(slices.Clone(ops), func(o oplog.Op) bool { return o.Size() > 0 && o.Body() == nil }) // its body comes later, as it came here
	chunk, _, err := oplog.CutBatch(whole, syncChunk, protocol.MaxSync-frameHead, func(o oplog.Op) (oplog.Op, error) { return o, nil })
	if err == nil { // what does not fit one frame comes by sync
		err = s.send(uint8(protocol.SyncPush), protocol.Push{Entity: eid, Ops: pairsOf(chunk)})
	}
	s.finish(err)
	return err
}

// takePush takes pushed operations; if something before them is missing, a sync
// with the same peer brings it.
func (n *Node) takePush(ctx context.Context, from keys.ID, payload []byte) error {
	var p protocol.Push
	if err := protocol.DecodeSync(payload, &p); err != nil {
		return err
	}
	if !n.shares(p.Entity, from) {
		return nil
	}
	missing, err := n.take(p.Entity, from, p.Ops)
	if err == nil && missing {
		return n.catchUp(ctx, from, p.Entity)
	}
	return err
}

// catching names the syncs that a peer's pushes ask for in an entity.
type catching struct {
	peer   keys.ID
	entity keys.Digest
}

// catchUp syncs for a push that lacks what it builds on, one at a time: what comes
// while it runs has it run once more, however much that is.
func (n *Node) catchUp(ctx context.Context, from keys.ID, eid keys.Digest) error {
	c := catching{from, eid}
	n.mu.Lock()
	_, running := n.catching[c]
	n.catching[c] = running
	n.mu.Unlock()
	if running {
		return nil
	}
	for {
		err := n.syncEntity(ctx, from, eid)
		n.mu.Lock()
		again := n.catching[c]
		if err != nil || !again {
			delete(n.catching, c)
			n.mu.Unlock()
			return err
		}
		n.catching[c] = false
		n.mu.Unlock()
	}
}
