package node

import (
	"crypto/rand"
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// offer is what one side tells of a log in a sync: its vector, or ranges of it.
type offer struct {
	vector   oplog.Vector
	hash     keys.Digest
	byRanges bool              // the vector is too long, or has left the logs apart
	ranges   *oplog.Reconciler // nil until ranges were sent
}

// offer returns what to tell of an entity.
func (n *Node) offer(eid keys.Digest, byRanges bool) offer {
	o := offer{vector: n.vector(eid)}
	o.hash, o.byRanges = o.vector.Hash(eid), byRanges || len(o.vector) > maxSyncHeads
	return o
}

// firstRanges begins with ranges of an entity.
func (n *Node) firstRanges(eid keys.Digest, mine *offer) protocol.Ranges {
	var salt oplog.Salt
	_, _ = rand.Read(salt[:]) // never fails
	mine.ranges = n.reconciler(eid, salt)
	return protocol.Ranges{Salt: &salt, Ranges: mine.ranges.Open()}
}

func (n *Node) reconciler(eid keys.Digest, salt oplog.Salt) *oplog.Reconciler {
	return oplog.NewReconciler(n.places(eid), salt)
}

func (n *Node) places(eid keys.Digest) []oplog.Place {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h, ok := n.find(eid); ok {
		return h.Log().Places()
	}
	return nil
}

// openRanges has ranges compared where the other side said hello.
func (n *Node) openRanges(s *stream, eid keys.Digest, mine offer) error {
	if !n.beginComparing(s.peer) {
		return errBusy
	}
	defer n.endComparing(s.peer)
	first := n.firstRanges(eid, &mine)
	first.Addrs = n.newRecord(s.peer)
	if err := s.sendSync(protocol.SyncRanges, first); err != nil {
		return err
	}
	f, err := s.readRanges()
	if err != nil {
		return err
	}
	return n.reconcile(s, eid, mine.ranges, f)
}

// answerRanges goes on from the other side's first ranges, or from its answer to ours.
func (n *Node) answerRanges(s *stream, eid keys.Digest, mine offer, f protocol.Ranges) error {
	if f.Salt != nil {
		if !n.beginComparing(s.peer) {
			return errBusy
		}
		defer n.endComparing(s.peer)
		mine.ranges = n.reconciler(eid, *f.Salt)
	}
	if mine.ranges == nil {
		return fmt.Errorf("%w: ranges without a salt", protocol.ErrUnexpected)
	}
	return n.reconcile(s, eid, mine.ranges, f)
}

// beginComparing takes one of the exchanges of ranges that a peer may have in a minute, and
// at once, or says that there is none left. Who gets one gives it back by endComparing.
func (n *Node) beginComparing(peer keys.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := 0
	for _, count := range n.comparing {
		all += count
	}
	if all >= maxComparing || n.comparing[peer] >= maxOfOne || !n.spending.take(rangesOfPeer, peer.String(), n.now()) {
		return false
	}
	n.comparing[peer]++
	return true
}

func (n *Node) endComparing(peer keys.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.comparing[peer]--; n.comparing[peer] == 0 {
		delete(n.comparing, peer)
	}
}

// reconcile takes turns with the other side from its frame f on, until one of them has
// nothing left to say; that one sends what the other lacks first.
func (n *Node) reconcile(s *stream, eid keys.Digest, r *oplog.Reconciler, f protocol.Ranges) error {
	for range maxTurns {
		if !n.shares(eid, s.peer) {
			return nil
		}
		reply, wants, err := r.Answer(f.Ranges, f.Wants)
		if err != nil {
			return err
		}
		if len(f.Ranges) == 0 {
			if err := n.readOps(s, eid); err != nil {
				return err
			}
			return n.sendNamed(s, eid, r.Lacking())
		}
		if err := s.sendSync(protocol.SyncRanges, protocol.Ranges{Ranges: reply, Wants: wants}); err != nil {
			return err
		}
		if len(reply) == 0 {
			if err := n.sendNamed(s, eid, r.Lacking()); err != nil {
				return err
			}
			return n.readOps(s, eid)
		}
		if f, err = s.readRanges(); err != nil {
			return err
		}
	}
	return errEndless
}

// readRanges reads the other side's next turn.
func (s *stream) readRanges() (f protocol.Ranges, err error) {
	if err := s.readSync(protocol.SyncRanges, &f); err != nil {
		return f, err
	}
	if f.Entity != nil || f.Hash != nil || f.Salt != nil {
		return f, fmt.Errorf("%w: ranges begin anew", protocol.ErrUnexpected)
	}
	return f, nil
}

// sendNamed sends the named operations, unless what just came has ended it.
func (n *Node) sendNamed(s *stream, eid keys.Digest, ids []keys.Digest) error {
	if !n.shares(eid, s.peer) {
		return nil
	}
	ops := make([]oplog.Op, 0, len(ids))
	n.mu.Lock()
	if h, ok := n.find(eid); ok {
		for _, id := range ids {
			if o, ok := h.Log().Get(id); ok {
				ops = append(ops, o)
			}
		}
	}
	n.mu.Unlock()
	return n.sendOps(s, eid, ops)
}
