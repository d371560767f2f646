package node

import (
	"context"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// push sends new operations to the members that are connected, but for the one
// they came from. Nothing depends on it: sync brings what is lost.
func (n *Node) push(eid keys.Digest, ops []oplog.Op, except keys.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	if !ok || n.runCtx == nil || n.runCtx.Err() != nil {
		return
	}
	ctx := n.runCtx
	for _, d := range n.others(h) {
		if d == except || !n.online([]keys.ID{d}) {
			continue
		}
		n.wg.Go(func() {
			if err := n.pushTo(ctx, d, eid, ops); err != nil {
				n.log.Debug("push", "peer", d.String(), "err", err)
			}
		})
	}
}

// others returns the devices that may have what is in an entity: those of the
// other active members, and our own. The caller holds the lock.
func (n *Node) others(h *held) []keys.ID {
	var out []keys.ID
	for _, m := range h.State().Active() {
		if m.Party.User != n.user {
			out = append(out, m.Party.Devices...)
		}
	}
	return append(out, n.otherDevices()...)
}

func (n *Node) pushTo(ctx context.Context, device keys.ID, eid keys.Digest, ops []oplog.Op) error {
	ctx, cancel := context.WithTimeout(ctx, protocol.FrameTime)
	defer cancel()
	s, err := n.openStream(ctx, device, protocol.SyncID)
	if err != nil {
		return err
	}
	chunk, _ := cutOps(ops) // what does not fit one frame comes by sync
	err = s.write(protocol.Frame(uint8(protocol.SyncPush), keys.Marshal(protocol.Push{Entity: eid, Ops: chunk})))
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
