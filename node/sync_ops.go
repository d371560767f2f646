package node

import (
	"cmp"
	"errors"
	"fmt"
	"sync"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// lacks returns what a device with the given vector lacks.
func (n *Node) lacks(eid keys.Digest, device keys.ID, theirs oplog.Vector) (ops []oplog.Op) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	if !ok {
		return nil
	}
	if ops = h.Log().Lacks(theirs); len(ops) == 0 {
		n.sawAll(eid, device, h.Log().Vector().Hash(eid))
	}
	return ops
}

// sendOps sends operations in frames of bounded size, each with its body if that is here
// and the other side may have the key of its epoch; the last frame says that it is.
func (n *Node) sendOps(s *stream, eid keys.Digest, ops []oplog.Op) error {
	if err := n.store.settled(); err != nil {
		return err
	}
	load := n.loader(eid, s.peer, ops)
	var buf []byte
	for {
		chunk, rest, err := oplog.CutBatch(ops, syncChunk, protocol.MaxSync-frameHead, load)
		if err != nil {
			return err
		}
		buf = protocol.AppendFrame(buf[:0], uint8(protocol.SyncOps), protocol.Ops{Ops: pairsOf(chunk), More: len(rest) > 0})
		if err := s.write(buf); err != nil {
			return err
		}
		if len(rest) == 0 {
			return nil
		}
		ops = rest
	}
}

// loader returns what finds the bytes of some of an entity's operations for a device, which
// gets no body sealed with a key that it may not have.
func (n *Node) loader(eid keys.Digest, device keys.ID, ops []oplog.Op) func(oplog.Op) (oplog.Op, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	if !ok {
		return func(o oplog.Op) (oplog.Op, error) { return o, errNoEntity }
	}
	may, read := n.mayRead(h, device), n.shelf.reader(h.Log(), ops)
	return func(o oplog.Op) (oplog.Op, error) {
		o, err := read(o)
		if err == nil && o.Body() != nil && !may[o.Epoch()] {
			o = o.WithoutBody()
		}
		return o, err
	}
}

// mayRead returns the epochs of an entity whose keys a device may have. The caller holds
// the lock.
func (n *Node) mayRead(h *held, device keys.ID) map[keys.Digest]bool {
	user, _ := h.State().UserOf(device)
	may := make(map[keys.Digest]bool)
	for id := range h.State().Epochs {
		may[id] = n.mine(device) || h.MayHave(user, id)
	}
	return may
}

// pairsOf returns operations, which have their envelopes, as they travel.
func pairsOf(ops []oplog.Op) []oplog.Pair {
	out := make([]oplog.Pair, len(ops))
	for i, o := range ops {
		out[i] = o.Pair()
	}
	return out
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
	var buf []byte
	for {
		typ, payload, err := s.readTo(buf, syncLimit)
		if err != nil {
			return err
		}
		buf = payload
		if protocol.SyncType(typ) != protocol.SyncOps {
			return fmt.Errorf("%w: sync frame %d", protocol.ErrUnexpected, typ)
		}
		var f protocol.Ops
		if err := protocol.DecodeSync(payload, &f); err != nil {
			return err
		}
		frames <- frame{ops: oplog.ParseBatch(n.unknown(eid, oplog.HashAll(f.Ops))), more: f.More}
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
