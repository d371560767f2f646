package node

import (
	"context"
	"fmt"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// Who was removed and who removed him sync once more, so that he learns that he is out
// and by whom, and nothing of what came after. It is no mere courtesy: two owners who
// removed each other while they were cut off each believe that the other is out. What
// each did beside the other decides it, on both sides the same, and nobody else may be
// there to carry it. Likewise with somebody whom an owner let in by what turned out void.

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

// knew reports whether a device's user is no member of something here and may not know.
func (n *Node) knew(device keys.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.entities {
		if _, ok := h.DismissalOf(device); ok {
			return true
		}
	}
	return false
}

// wasDismissed reports whether a device's user is no member of an entity and may not know.
func (n *Node) wasDismissed(eid keys.Digest, device keys.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.entities[eid]
	if ok {
		_, ok = h.DismissalOf(device)
	}
	return ok
}

// partFor returns what a device may have of an entity that its user was dismissed from:
// the control strand up to the op that did it; nil for everybody else.
func (n *Node) partFor(eid keys.Digest, device keys.ID) (part *oplog.Log, why reason) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h, ok := n.entities[eid]; ok {
		if d, out := h.DismissalOf(device); out {
			return h.PartOf(d), reasonOf(d)
		}
	}
	return nil, reason{}
}

// serveRemoved answers somebody who was removed, by vectors, as if the log was his part
// of it. It reports false for others.
func (n *Node) serveRemoved(s *stream, eid, hash keys.Digest) (bool, error) {
	if !n.wasDismissed(eid, s.peer) {
		return false, nil
	}
	if !n.afford(partingsOfPeer, s.peer) { // each reads the control strand anew
		return true, errBusy
	}
	part, _ := n.partFor(eid, s.peer)
	if part == nil {
		return false, nil
	}
	if err := n.store.settled(); err != nil {
		return true, err
	}
	vector := part.Vector()
	if vector.Hash(eid) == hash {
		return true, s.sendSync(protocol.SyncEqual, protocol.No{})
	}
	if err := s.sendSync(protocol.SyncVector, protocol.VectorFrame{Heads: vector}); err != nil {
		return true, err
	}
	if err := n.readOps(s, eid); err != nil {
		return true, err
	}
	var theirs protocol.VectorFrame
	if err := s.readSync(protocol.SyncVector, &theirs); err != nil {
		return true, err
	}
	return true, n.sendOps(s, eid, part.Lacks(theirs.Heads))
}

// leaveTaking is one device of somebody who was dismissed from an entity.
type leaveTaking struct {
	device keys.ID
	entity keys.Digest
}

// bidFarewell syncs with devices whose users were dismissed from what we are in, once
// after each time. Who is not connected is dialled a few times only: whom he finds
// tells him as well.
func (n *Node) bidFarewell(ctx context.Context) {
	for _, l := range n.leaveTakings() {
		if ctx.Err() != nil {
			return
		}
		if err := n.syncRemoved(ctx, l.device, l.entity); err != nil {
			n.log.Debug("farewell", "peer", l.device.String(), "entity", l.entity.String(), "err", err)
		}
	}
}

func (n *Node) leaveTakings() []leaveTaking {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []leaveTaking
	for eid, h := range n.entities {
		if !n.takesPart(h) {
			continue
		}
		for _, gone := range h.Dismissals() {
			why := reasonOf(gone)
			for _, d := range gone.Devices {
				if user, _ := h.State().UserOf(d); !user.IsZero() {
					continue // it is in by another name
				}
				l := leaveTaking{d, eid}
				f := n.farewells[l]
				if f.why != why {
					f = parting{why: why}
				}
				if f.done || len(out) >= maxFarewells || !n.online([]keys.ID{d}) && f.tries >= farewellTries {
					continue
				}
				f.tries++
				n.farewells[l] = f
				out = append(out, l)
			}
		}
	}
	return out
}

// parting is how far we are with telling a device that its user was dismissed.
type parting struct {
	why   reason
	tries int
	done  bool
}

// reason changes when there is more to tell.
type reason struct {
	end    keys.Digest
	admits int
}

func reasonOf(d entity.Dismissal) reason { return reason{d.End, len(d.Admits)} }

// syncRemoved is A's side of a sync with a device whose user was dismissed.
func (n *Node) syncRemoved(ctx context.Context, device keys.ID, eid keys.Digest) (err error) {
	ctx, cancel := context.WithTimeout(ctx, protocol.RunTime)
	defer cancel()
	part, why := n.partFor(eid, device)
	if part == nil {
		return nil
	}
	s, err := n.openStream(ctx, device, protocol.SyncID)
	if err != nil {
		return err
	}
	undo := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer undo()
	defer func() { s.finish(err) }()
	vector := part.Vector()
	if err := s.sendSync(protocol.SyncHello, protocol.Hello{Entity: eid, Hash: vector.Hash(eid)}); err != nil {
		return err
	}
	typ, payload, err := s.read(syncLimit)
	if err != nil {
		return err
	}
	switch protocol.SyncType(typ) {
	case protocol.SyncEqual, protocol.SyncNo: // he knows, or does not want to
	case protocol.SyncVector:
		var theirs protocol.VectorFrame
		if err := protocol.DecodeSync(payload, &theirs); err != nil {
			return err
		}
		if err := n.sendOps(s, eid, part.Lacks(theirs.Heads)); err != nil {
			return err
		}
		if err := s.sendSync(protocol.SyncVector, protocol.VectorFrame{Heads: vector}); err != nil {
			return err
		}
		if err := n.readOps(s, eid); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: sync frame %d", protocol.ErrUnexpected, typ)
	}
	n.mu.Lock()
	n.farewells[leaveTaking{device, eid}] = parting{why: why, done: true}
	n.mu.Unlock()
	return nil
}
