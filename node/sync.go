package node

import (
	"context"
	"fmt"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

func syncLimit(typ uint8) int {
	switch protocol.SyncType(typ) {
	case protocol.SyncHello, protocol.SyncVector, protocol.SyncOps, protocol.SyncPush, protocol.SyncRanges:
		return protocol.MaxSync
	case protocol.SyncControl:
		return 64 + 34*protocol.MaxTips
	case protocol.SyncEqual, protocol.SyncNo:
		return protocol.MaxNo
	}
	return 0
}

// syncPeer brings every entity shared with a device to the same operations on
// both sides; with a device of our own Me first, which says what else there is.
func (n *Node) syncPeer(ctx context.Context, device keys.ID) error {
	n.mu.Lock()
	own := n.mine(device)
	n.mu.Unlock()
	if own {
		if err := n.syncEntity(ctx, device, n.user); err != nil {
			return err
		}
	}
	n.mu.Lock()
	shared := n.sharedWith(device)
	n.mu.Unlock()
	for _, eid := range shared {
		if own && eid == n.user {
			continue
		}
		if err := n.syncEntity(ctx, device, eid); err != nil {
			return err // the connection is gone, or the next round will say
		}
	}
	return nil
}

// syncLogged is syncPeer for who does not depend on it.
func (n *Node) syncLogged(ctx context.Context, device keys.ID) {
	if err := n.syncPeer(ctx, device); err != nil {
		n.log.Debug("sync", "peer", device.String(), "err", err)
	}
}

// syncSoon syncs with a device in a goroutine of its own.
func (n *Node) syncSoon(device keys.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ctx := n.runCtx; ctx != nil && ctx.Err() == nil {
		n.wg.Go(func() { n.syncLogged(ctx, device) })
	}
}

// syncEntity is A's side of one sync: first the hash of the heads vector, which is
// all when nothing differs; then the vectors, and with them what the other lacks. Where
// that leaves two logs apart, ranges of them are compared.
func (n *Node) syncEntity(ctx context.Context, device keys.ID, eid keys.Digest) error {
	c := catching{device, eid}
	n.mu.Lock()
	n.underway[c]++
	n.tried[c] = time.Now()
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.underway[c]--; n.underway[c] == 0 {
			delete(n.underway, c)
		}
	}()
	apart, err := n.exchange(ctx, device, eid, false)
	if err == nil && apart {
		_, err = n.exchange(ctx, device, eid, true)
	}
	if err == nil {
		n.bodiesSoon(eid, device)
	}
	return err
}

// exchange is one stream of a sync. apart says that the logs differ and neither side
// brought what the other lacks.
func (n *Node) exchange(ctx context.Context, device keys.ID, eid keys.Digest, byRanges bool) (apart bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	mine := n.offer(eid, byRanges)
	s, err := n.openStream(ctx, device, protocol.SyncID)
	if err != nil {
		return false, err
	}
	undo := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer undo()
	defer func() { s.finish(err) }()
	defer func() { n.counts.sync(err); n.synced(eid, err) }()
	if err := n.ask(s, eid, &mine, byRanges); err != nil {
		return false, err
	}
	asked := time.Now()
	typ, payload, err := s.read(syncLimit)
	if err != nil {
		return false, err
	}
	n.host.Peerstore().RecordLatency(s.Conn().RemotePeer(), time.Since(asked))
	switch protocol.SyncType(typ) {
	case protocol.SyncEqual:
		n.confirm(eid, device, mine.hash)
		return false, nil
	case protocol.SyncNo:
		return false, nil
	case protocol.SyncRanges:
		var theirs protocol.Ranges
		if err := protocol.DecodeSync(payload, &theirs); err != nil {
			return false, err
		}
		n.learnAddrs(device, theirs.Addrs)
		return false, n.answerRanges(s, eid, mine, theirs)
	case protocol.SyncVector:
	default:
		return false, fmt.Errorf("%w: sync frame %d", protocol.ErrUnexpected, typ)
	}
	var theirs protocol.VectorFrame
	if err := protocol.DecodeSync(payload, &theirs); err != nil {
		return false, err
	}
	n.saw(eid, device, theirs)
	before := n.have(eid)
	lacks := n.lacks(eid, device, theirs.Heads)
	if err := n.sendOps(s, eid, lacks); err != nil {
		return false, err
	}
	if err := s.sendSync(protocol.SyncVector, protocol.VectorFrame{Heads: mine.vector}); err != nil {
		return false, err
	}
	if err := n.readOps(s, eid); err != nil {
		return false, err
	}
	apart = len(lacks) == 0 && n.have(eid) == before && n.vector(eid).Hash(eid) != theirs.Heads.Hash(eid)
	return apart, nil
}

// ask sends the first frame of a sync: the hash of what is here, and with it ranges where
// they will be compared, unless the other side had all of it the last time.
func (n *Node) ask(s *stream, eid keys.Digest, mine *offer, byRanges bool) error {
	addrs := n.newRecord(s.peer)
	n.mu.Lock()
	same := n.hasAll(eid, s.peer, mine.hash)
	n.mu.Unlock()
	if !mine.byRanges || same && !byRanges {
		return s.sendSync(protocol.SyncHello, protocol.Hello{Entity: eid, Hash: mine.hash, Addrs: addrs})
	}
	first := n.firstRanges(eid, mine)
	first.Entity, first.Hash, first.Addrs = &eid, &mine.hash, addrs
	return s.sendSync(protocol.SyncRanges, first)
}

// serveSync is B's side: a push, or a sync.
func (n *Node) serveSync(ctx context.Context, s *stream) (err error) {
	defer func() { s.finish(err) }()
	if !n.knows(s.peer) && !n.knew(s.peer) {
		return errStranger
	}
	if n.exhausted(wideOfDevice, s.peer) || !n.afford(syncsOfPeer, s.peer) {
		return errBusy
	}
	if err := s.SetReadDeadline(time.Now().Add(syncTime)); err != nil {
		return err
	}
	typ, payload, err := s.read(syncLimit)
	if err != nil {
		return err
	}
	var hello protocol.Hello
	var opening *protocol.Ranges
	switch protocol.SyncType(typ) {
	case protocol.SyncPush:
		return n.takePush(ctx, s.peer, payload)
	case protocol.SyncControl:
		return n.serveControl(s, payload)
	case protocol.SyncHello:
		err = protocol.DecodeSync(payload, &hello)
	case protocol.SyncRanges:
		opening = &protocol.Ranges{}
		if err = protocol.DecodeSync(payload, opening); err == nil && !opening.Begins() {
			err = fmt.Errorf("%w: ranges of nothing", protocol.ErrUnexpected)
		}
		if err == nil {
			hello = protocol.Hello{Entity: *opening.Entity, Hash: *opening.Hash, Addrs: opening.Addrs}
		}
	default:
		err = fmt.Errorf("%w: sync frame %d", protocol.ErrUnexpected, typ)
	}
	if err != nil {
		return err
	}
	if !n.shares(hello.Entity, s.peer) {
		if out, err := n.serveRemoved(s, hello.Entity, hello.Hash); out {
			return err
		}
		n.fetchSoon() // perhaps it is one that we miss, and that device of ours has it
		return s.sendSync(protocol.SyncNo, protocol.No{})
	}
	n.mu.Lock()
	n.linkSoon(s.peer) // it has its approval, else it would not know of our Me
	n.mu.Unlock()
	n.learnAddrs(s.peer, hello.Addrs)
	defer func() {
		n.synced(hello.Entity, err)
		n.bodiesSoon(hello.Entity, s.peer)
	}()
	mine := n.offer(hello.Entity, false)
	switch {
	case mine.hash == hello.Hash:
		n.confirm(hello.Entity, s.peer, mine.hash)
		return s.sendSync(protocol.SyncEqual, protocol.No{})
	case opening != nil:
		return n.answerRanges(s, hello.Entity, mine, *opening)
	case mine.byRanges:
		return n.openRanges(s, hello.Entity, mine)
	}
	return n.serveVector(s, hello.Entity, mine)
}

// serveVector is B's side of a sync by vectors.
func (n *Node) serveVector(s *stream, eid keys.Digest, mine offer) error {
	answer := protocol.VectorFrame{Heads: mine.vector, Addrs: n.newRecord(s.peer)}
	if err := s.sendSync(protocol.SyncVector, answer); err != nil {
		return err
	}
	if err := n.readOps(s, eid); err != nil {
		return err
	}
	var theirs protocol.VectorFrame
	if err := s.readSync(protocol.SyncVector, &theirs); err != nil {
		return err
	}
	n.saw(eid, s.peer, theirs)
	if !n.shares(eid, s.peer) { // what just came may have ended it
		return nil
	}
	return n.sendOps(s, eid, n.lacks(eid, s.peer, theirs.Heads))
}

// shares reports whether a device speaks for an active member of an entity. An
// entity that is not here gives the same answer as one that is not shared.
func (n *Node) shares(eid keys.Digest, device keys.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	return ok && n.mayHave(h, device)
}

// mayHave reports whether a device may have what is in an entity: it speaks for an
// active member, or is another one of our own. The caller holds the lock.
func (n *Node) mayHave(h *held, device keys.ID) bool {
	if n.mine(device) {
		return true
	}
	user, ok := h.State().UserOf(device)
	return ok && user != n.user
}

func (n *Node) vector(eid keys.Digest) oplog.Vector {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h, ok := n.find(eid); ok {
		return h.Log().Vector()
	}
	return oplog.Vector{}
}

// saw notes how many operations a member has, for progress.
func (n *Node) saw(eid keys.Digest, device keys.ID, v protocol.VectorFrame) {
	count := 0
	for _, h := range v.Heads {
		count += int(min(h.Seq, 1<<32)) + 1
	}
	n.mu.Lock()
	if n.totals[eid] == nil {
		n.totals[eid] = make(map[keys.ID]int)
	}
	n.totals[eid][device] = count
	n.mu.Unlock()
	n.learnAddrs(device, v.Addrs)
}

// learnAddrs keeps a newer signed peer record of a member's device.
func (n *Node) learnAddrs(device keys.ID, raw []byte) {
	if len(raw) == 0 {
		return
	}
	if err := n.update(func(tx *tx) error { tx.addrs(device, raw); return nil }); err != nil {
		n.log.Debug("addresses", "err", err)
	}
}

// sendSync writes a frame of a sync.
func (s *stream) sendSync(typ protocol.SyncType, v any) error { return s.send(uint8(typ), v) }

// readSync reads the next frame of a sync, which must be of type want, into v.
func (s *stream) readSync(want protocol.SyncType, v any) error {
	typ, payload, err := s.read(syncLimit)
	if err != nil {
		return err
	}
	if protocol.SyncType(typ) != want {
		return fmt.Errorf("%w: sync frame %d", protocol.ErrUnexpected, typ)
	}
	return protocol.DecodeSync(payload, v)
}
