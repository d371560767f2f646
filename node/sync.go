package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

func syncLimit(typ uint8) int {
	switch protocol.SyncType(typ) {
	case protocol.SyncHello, protocol.SyncVector, protocol.SyncOps, protocol.SyncPush:
		return protocol.MaxSync
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
// all when nothing differs; then the vectors, and with them what the other lacks.
func (n *Node) syncEntity(ctx context.Context, device keys.ID, eid keys.Digest) (err error) {
	ctx, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	vector := n.vector(eid)
	s, err := n.openStream(ctx, device, protocol.SyncID)
	if err != nil {
		return err
	}
	undo := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer undo()
	defer func() { s.finish(err) }()
	defer func() { n.counts.sync(err); n.synced(eid, err) }()
	hello := protocol.Hello{Entity: eid, Hash: vector.Hash(eid), Addrs: n.newRecord(device)}
	if err := s.write(protocol.Frame(uint8(protocol.SyncHello), keys.Marshal(hello))); err != nil {
		return err
	}
	asked := time.Now()
	typ, payload, err := s.read(syncLimit)
	if err != nil {
		return err
	}
	n.host.Peerstore().RecordLatency(s.Conn().RemotePeer(), time.Since(asked))
	switch protocol.SyncType(typ) {
	case protocol.SyncEqual, protocol.SyncNo:
		return nil
	case protocol.SyncVector:
	default:
		return fmt.Errorf("%w: sync frame %d", protocol.ErrUnexpected, typ)
	}
	var theirs protocol.VectorFrame
	if err := protocol.DecodeSync(payload, &theirs); err != nil {
		return err
	}
	n.saw(eid, device, theirs)
	if err := n.sendLacking(s, eid, theirs.Heads); err != nil {
		return err
	}
	if err := s.write(protocol.Frame(uint8(protocol.SyncVector), keys.Marshal(protocol.VectorFrame{Heads: vector}))); err != nil {
		return err
	}
	return n.readOps(s, eid)
}

// serveSync is B's side: a push, or a sync.
func (n *Node) serveSync(ctx context.Context, s *stream) (err error) {
	defer func() { s.finish(err) }()
	if !n.knows(s.peer) {
		return errStranger
	}
	if !n.afford(syncsOfPeer, s.peer) {
		return errBusy
	}
	if err := s.SetReadDeadline(time.Now().Add(syncTime)); err != nil {
		return err
	}
	typ, payload, err := s.read(syncLimit)
	if err != nil {
		return err
	}
	switch protocol.SyncType(typ) {
	case protocol.SyncPush:
		return n.takePush(ctx, s.peer, payload)
	case protocol.SyncHello:
	default:
		return fmt.Errorf("%w: sync frame %d", protocol.ErrUnexpected, typ)
	}
	var hello protocol.Hello
	if err := protocol.DecodeSync(payload, &hello); err != nil {
		return err
	}
	if !n.shares(hello.Entity, s.peer) {
		n.fetchSoon() // perhaps it is one that we miss, and that device of ours has it
		return s.write(protocol.Frame(uint8(protocol.SyncNo), keys.Marshal(protocol.No{})))
	}
	n.mu.Lock()
	n.linkSoon(s.peer) // it has its approval, else it would not know of our Me
	n.mu.Unlock()
	n.learnAddrs(s.peer, hello.Addrs)
	vector := n.vector(hello.Entity)
	if vector.Hash(hello.Entity) == hello.Hash {
		return s.write(protocol.Frame(uint8(protocol.SyncEqual), keys.Marshal(protocol.No{})))
	}
	answer := protocol.VectorFrame{Heads: vector, Addrs: n.newRecord(s.peer)}
	if err := s.write(protocol.Frame(uint8(protocol.SyncVector), keys.Marshal(answer))); err != nil {
		return err
	}
	if err := n.readOps(s, hello.Entity); err != nil {
		return err
	}
	var theirs protocol.VectorFrame
	if err := s.readSync(protocol.SyncVector, &theirs); err != nil {
		return err
	}
	n.saw(hello.Entity, s.peer, theirs)
	defer func() { n.synced(hello.Entity, err) }()
	if !n.shares(hello.Entity, s.peer) { // what just came may have ended it
		return nil
	}
	return n.sendLacking(s, hello.Entity, theirs.Heads)
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

// sendLacking sends what a log with the given vector lacks, in frames of bounded
// size; the last one says that it is.
func (n *Node) sendLacking(s *stream, eid keys.Digest, theirs oplog.Vector) error {
	n.mu.Lock()
	var ops []oplog.Op
	if h, ok := n.find(eid); ok {
		ops = h.Log().Lacks(theirs)
	}
	n.mu.Unlock()
	if err := n.store.settled(); err != nil {
		return err
	}
	for {
		chunk, rest := cutOps(ops)
		f := protocol.Ops{Ops: chunk, More: len(rest) > 0}
		if err := s.write(protocol.Frame(uint8(protocol.SyncOps), keys.Marshal(f))); err != nil {
			return err
		}
		if !f.More {
			return nil
		}
		ops = rest
	}
}

// cutOps returns the bytes of as many operations as fit a frame, and the rest.
func cutOps(ops []oplog.Op) (chunk [][]byte, rest []oplog.Op) {
	ops, rest = oplog.CutBatch(ops, syncChunk, protocol.MaxSync-frameHead)
	chunk = make([][]byte, 0, len(ops))
	for _, o := range ops {
		chunk = append(chunk, o.Bytes())
	}
	return chunk, rest
}

// readOps takes frames of operations until the last. While one is taken the next is
// read and its signatures are checked, and those before it are written: more than
// readAhead of them wait nowhere.
func (n *Node) readOps(s *stream, eid keys.Digest) error {
	frames, writes := make(chan frame), make(chan func() error, readAhead)
	var reading, writing error
	var ends sync.WaitGroup
	ends.Go(func() { defer close(frames); reading = n.readFrames(s, eid, frames) })
	ends.Go(func() {
		for finish := range writes {
			writing = cmp.Or(writing, finish())
		}
	})
	err := n.takeFrames(s, eid, frames, writes)
	if err != nil {
		_ = s.Reset() // the reader must end
		for range frames {
		}
	}
	close(writes)
	ends.Wait()
	return cmp.Or(err, reading, writing)
}

// frame is an ops frame whose operations were parsed.
type frame struct {
	ops  []oplog.Op
	more bool
}

// readFrames reads and parses frames of operations until the last.
func (n *Node) readFrames(s *stream, eid keys.Digest, frames chan<- frame) error {
	for {
		var f protocol.Ops
		if err := s.readSync(protocol.SyncOps, &f); err != nil {
			return err
		}
		frames <- frame{n.parse(eid, f.Ops), f.More}
		if !f.More {
			return nil
		}
	}
}

// takeFrames takes what comes of frames. It fails when too many bring nothing new.
func (n *Node) takeFrames(s *stream, eid keys.Digest, frames <-chan frame, writes chan<- func() error) error {
	useless := 0
	for f := range frames {
		before := n.have(eid)
		_, finish, err := n.takeParsed(eid, s.peer, f.ops)
		if finish != nil {
			writes <- finish
		}
		if err != nil {
			return err
		}
		if f.more && n.have(eid) == before {
			if useless++; useless >= maxUseless {
				return errEndless
			}
		}
	}
	return nil
}

var errEndless = errors.New("node: operations without end that bring nothing")

// have returns how many operations of an entity are here.
func (n *Node) have(eid keys.Digest) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h, ok := n.find(eid); ok {
		return h.Log().Len()
	}
	return 0
}
