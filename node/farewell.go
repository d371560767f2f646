package node

import (
	"fmt"
	"slices"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// farewell pushes the removal of a user to his connected devices.
func (n *Node) farewell(eid keys.Digest, o oplog.Op, devices []keys.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ctx := n.runCtx
	if ctx == nil || ctx.Err() != nil {
		return
	}
	for _, d := range devices {
		if !n.online([]keys.ID{d}) {
			continue
		}
		n.wg.Go(func() {
			if err := n.pushTo(ctx, d, eid, []oplog.Op{o}); err != nil {
				n.log.Debug("farewell", "peer", d.String(), "err", err)
			}
		})
	}
}

// removal returns the op by which a device's user was removed from an entity, if he
// was.
func removal(h *held, device keys.ID) (op keys.Digest, ok bool) {
	for _, m := range h.State().Members {
		if m.Standing == entity.Removed && slices.Contains(m.Party.Devices, device) {
			return m.End, true
		}
	}
	return keys.Digest{}, false
}

// knew reports whether a device's user was removed from anything here.
func (n *Node) knew(device keys.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.entities {
		if _, ok := removal(h, device); ok {
			return true
		}
	}
	return false
}

// serveRemoved answers the hello of somebody who was removed, as a sync with the
// control strand up to his removal: so he learns that he is out and by whom, and
// nothing of what came after. What he sends is not looked at. It reports false for
// others.
func (n *Node) serveRemoved(s *stream, hello protocol.Hello) (bool, error) {
	n.mu.Lock()
	var part *oplog.Log
	if h, ok := n.entities[hello.Entity]; ok {
		if op, out := removal(h, s.peer); out {
			part = h.Until(op)
		}
	}
	n.mu.Unlock()
	if part == nil {
		return false, nil
	}
	if err := n.store.settled(); err != nil {
		return true, err
	}
	vector := part.Vector()
	if err := s.write(protocol.Frame(uint8(protocol.SyncVector), keys.Marshal(protocol.VectorFrame{Heads: vector}))); err != nil {
		return true, err
	}
	for range maxUseless {
		typ, payload, err := s.read(syncLimit)
		if err != nil {
			return true, err
		}
		switch protocol.SyncType(typ) {
		case protocol.SyncOps:
			continue
		case protocol.SyncVector:
			var theirs protocol.VectorFrame
			if err := protocol.DecodeSync(payload, &theirs); err != nil {
				return true, err
			}
			return true, sendOps(s, part.Lacks(theirs.Heads))
		}
		return true, fmt.Errorf("%w: sync frame %d", protocol.ErrUnexpected, typ)
	}
	return true, errEndless
}
