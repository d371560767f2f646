package node

import (
	"cmp"
	"errors"
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

// sendOps sends operations in frames of bounded size; the last one says that it is.
func (n *Node) sendOps(s *stream, ops []oplog.Op) error {
	if err := n.store.settled(); err != nil {
		return err
	}
	for {
		chunk, rest := cutOps(ops)
		f := protocol.Ops{Ops: chunk, More: len(rest) > 0}
		if err := s.write(syncFrame(protocol.SyncOps, f)); err != nil {
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
