package node

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
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
// Before content of which only stubs are left come the lists that these are in.
func (n *Node) sendOps(s *stream, eid keys.Digest, ops []oplog.Op) error {
	if err := n.store.settled(); err != nil {
		return err
	}
	lists, vouchers, ops := n.listsFor(eid, ops, s.lists)
	if len(lists) > 0 {
		content := slices.IndexFunc(ops, func(o oplog.Op) bool { return o.Strand() == oplog.Content })
		if content < 0 {
			content = len(ops)
		}
		if err := s.writeOps(ops[:content], nil, true); err != nil { // they say whether to take a list
			return err
		}
		ops = ops[content:]
		for _, d := range lists {
			if err := s.sendSync(protocol.SyncDropped, protocol.Dropped(d)); err != nil {
				return err
			}
		}
	}
	return s.writeOps(ops, vouchers, false)
}

// writeOps writes frames of operations, and before each those that vouch for the stubs in
// it; more says that others follow the last.
func (s *stream) writeOps(ops []oplog.Op, vouchers map[keys.Digest]oplog.Op, more bool) error {
	sent := make(map[keys.Digest]bool)
	var buf []byte
	send := func(typ protocol.SyncType, v any) error {
		buf = protocol.AppendFrame(buf[:0], uint8(typ), v)
		return s.write(buf)
	}
	for {
		chunk, rest := oplog.CutBatch(ops, syncChunk, protocol.MaxSync-frameHead)
		var vouch []oplog.Op
		for _, o := range chunk {
			if v, ok := vouchers[o.ID()]; ok && !sent[v.ID()] {
				sent[v.ID()] = true
				vouch = append(vouch, v)
			}
		}
		for len(vouch) > 0 {
			var f protocol.Vouchers
			f.Ops, vouch = cutOps(vouch)
			if err := send(protocol.SyncVouchers, f); err != nil {
				return err
			}
		}
		if err := send(protocol.SyncOps, protocol.Ops{Ops: entriesOf(chunk), More: more || len(rest) > 0}); err != nil {
			return err
		}
		if len(rest) == 0 {
			return nil
		}
		ops = rest
	}
}

// cutOps returns what stands for as many operations as fit a frame, and the rest.
func cutOps(ops []oplog.Op) (chunk [][]byte, rest []oplog.Op) {
	ops, rest = oplog.CutBatch(ops, syncChunk, protocol.MaxSync-frameHead)
	return entriesOf(ops), rest
}

// entriesOf returns what stands for operations in a frame.
func entriesOf(ops []oplog.Op) [][]byte {
	out := make([][]byte, 0, len(ops))
	for _, o := range ops {
		out = append(out, o.Entry())
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

// frame is an ops frame whose operations were parsed, or a list of what was dropped.
type frame struct {
	ops  []oplog.Op
	list *oplog.Dropped
	more bool
}

// readFrames reads and parses frames of operations until the last. Stubs are as good as
// the lists they are in: whoever takes the frames looks at these first.
func (n *Node) readFrames(s *stream, eid keys.Digest, frames chan<- frame) error {
	here := sync.OnceValue(func() []oplog.Dropped { kept, _ := n.keptLists(eid); return kept }) // that came earlier
	lists := make(map[keys.Digest]bool)
	unsure, stubs := make(map[keys.Digest]oplog.Op), make(map[keys.Digest]oplog.Op)
	var buf []byte
	for {
		typ, payload, err := s.readTo(buf, syncLimit)
		if err != nil {
			return err
		}
		buf = payload
		switch protocol.SyncType(typ) {
		case protocol.SyncOps:
			var f protocol.Ops
			if err := protocol.DecodeSync(payload, &f); err != nil {
				return err
			}
			frames <- frame{ops: n.parse(eid, f.Ops, stubs), more: f.More}
			if !f.More {
				return nil
			}
		case protocol.SyncDropped:
			var f protocol.Dropped
			if err := protocol.DecodeSync(payload, &f); err != nil {
				return err
			}
			if lists[f.Checkpoint] {
				return fmt.Errorf("%w: a list again", protocol.ErrUnexpected)
			}
			lists[f.Checkpoint] = true
			list := oplog.Dropped(f)
			ops, err := list.Ops(eid)
			if err != nil {
				return err
			}
			for _, o := range ops {
				unsure[o.ID()] = o
			}
			frames <- frame{list: &list, more: true}
		case protocol.SyncVouchers:
			var f protocol.Vouchers
			if err := protocol.DecodeSync(payload, &f); err != nil {
				return err
			}
			if len(f.Ops) == 0 {
				return fmt.Errorf("%w: no vouchers", protocol.ErrUnexpected)
			}
			for _, raw := range f.Ops {
				o, err := oplog.Parse(raw)
				if err != nil {
					return err
				}
				oplog.Recall(here(), o, unsure, stubs)
				if !oplog.Vouch(o, unsure, stubs) { // else they might come without end
					return fmt.Errorf("%w: a voucher of nothing", protocol.ErrUnexpected)
				}
			}
		default:
			return fmt.Errorf("%w: sync frame %d", protocol.ErrUnexpected, typ)
		}
	}
}

// takeFrames takes what comes of frames. It fails when too many bring nothing new.
func (n *Node) takeFrames(s *stream, eid keys.Digest, frames <-chan frame, writes chan<- func() error) error {
	useless := 0
	for f := range frames {
		if f.list != nil {
			finish, err := n.takeList(eid, s.peer, *f.list)
			if finish != nil {
				writes <- finish
			}
			if err != nil {
				return err
			}
			continue
		}
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
