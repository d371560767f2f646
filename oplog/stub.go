package oplog

import (
	"bytes"
	"fmt"
	"slices"

	"pttnode/keys"
)

// Stub is what is left of a content op whose body a checkpoint drops
// (docs/PROTOCOL.md §2.11): all that a log and its rules need.
type Stub struct {
	ID       keys.Digest `cbor:"1,keyasint"`
	Envelope []byte      `cbor:"2,keyasint"` // its bytes before the body
}

// StubOf returns the stub of a content op, without holding on to the rest of it.
func StubOf(o Op) Stub { return Stub{o.id, bytes.Clone(o.AAD())} }

// Op returns the op that a stub stands for: a bare one. Nothing in a stub says that the
// id and the envelope belong together; that says the checkpoint that drops it, whose list
// the caller has to compare. It fails with ErrFormat or ErrTooLarge.
func (s Stub) Op(checkpoint keys.Digest) (Op, error) {
	raw := slices.Concat(s.Envelope, checkpoint[:])
	env, err := unmarshalStub(raw[:len(s.Envelope)])
	switch {
	case err != nil:
		return Op{}, err
	case len(raw) > MaxStub:
		return Op{}, fmt.Errorf("%w: stub of %d bytes", ErrTooLarge, len(raw))
	case env.Strand != Content || s.ID.IsZero():
		return Op{}, fmt.Errorf("%w: stub of no content op", ErrFormat)
	}
	return build(s.ID, raw, env, bare)
}

// Bare reports whether only the stub of an op is left.
func (o Op) Bare() bool { return o.body == bare }

// DroppedBy returns the checkpoint in whose list a bare op's stub is, zero for an op that
// is whole.
func (o Op) DroppedBy() (checkpoint keys.Digest) {
	if o.Bare() {
		copy(checkpoint[:], o.raw[len(o.raw)-len(checkpoint):])
	}
	return checkpoint
}

// Entry returns what stands for an op in a batch: its bytes, or the id of its stub.
func (o Op) Entry() []byte {
	if o.Bare() {
		return o.id[:]
	}
	return o.raw
}

// Dropped is the list of what one checkpoint drops, ascending by id.
type Dropped struct {
	Checkpoint keys.Digest
	Stubs      []Stub
}

// Ops returns the bare ops of a list, of which each has to be vouched for. It fails with
// ErrFormat when the list does not ascend, with ErrForeign when a stub is of another
// entity, and like Stub.Op.
func (d Dropped) Ops(entity keys.Digest) ([]Op, error) {
	ops := make([]Op, len(d.Stubs))
	for i, s := range d.Stubs {
		o, err := s.Op(d.Checkpoint)
		switch {
		case err != nil:
			return nil, err
		case o.Entity() != entity:
			return nil, fmt.Errorf("%w: stub %v of %v", ErrForeign, s.ID, o.Entity())
		case i > 0 && compare(d.Stubs[i-1].ID, s.ID) >= 0:
			return nil, fmt.Errorf("%w: stubs that do not ascend", ErrFormat)
		}
		ops[i] = o
	}
	return ops, nil
}

// Recall adds to unsure what some lists have of the stubs that o vouches for (Vouch), but for
// those of sure.
func Recall(lists []Dropped, o Op, unsure, sure map[keys.Digest]Op) {
	for {
		id := o.Prev()
		s, ok := unsure[id]
		if _, is := sure[id]; is {
			return
		}
		if !ok {
			s, ok = find(lists, id)
		}
		if !ok || !follows(s, o) { // the id of a stub is no hash: only seq keeps a row from being a circle
			return
		}
		unsure[id], o = s, s
	}
}

// find returns the bare op of an id from one of some lists that were checked.
func find(lists []Dropped, id keys.Digest) (Op, bool) {
	for _, d := range lists {
		at, ok := slices.BinarySearchFunc(d.Stubs, id, func(s Stub, id keys.Digest) int { return compare(s.ID, id) })
		if ok {
			o, err := d.Stubs[at].Op(d.Checkpoint)
			return o, err == nil
		}
	}
	return Op{}, false
}

// Vouch moves from unsure to sure the stubs that o, a whole and authentic op, vouches for:
// the one that it names as prev, the one that this names, and so on. It reports whether
// there were any.
func Vouch(o Op, unsure, sure map[keys.Digest]Op) (any bool) {
	for {
		s, ok := unsure[o.Prev()]
		if !ok || !follows(s, o) {
			return any
		}
		delete(unsure, s.id)
		sure[s.id], o, any = s, s, true
	}
}

// Vouchers returns for each bare one of some ops, which are in the log's order, the whole op
// of the log that vouches for it; none where there is none.
func (l *Log) Vouchers(ops []Op) map[keys.Digest]Op {
	by := make(map[keys.Digest]Op)
	for _, o := range slices.Backward(ops) {
		if !o.Bare() {
			continue
		}
		for _, id := range l.At(o.Device(), Content, o.Seq()+1) {
			next := l.ops[id]
			if !follows(o, next) {
				continue
			}
			if next.Bare() {
				next = by[id]
			}
			if next.op != nil && next.Signed() {
				by[o.id] = next
				break
			}
		}
	}
	return by
}

// Dropped returns a list that the log keeps.
func (l *Log) Dropped(checkpoint keys.Digest) (Dropped, bool) {
	stubs, ok := l.dropped[checkpoint]
	return Dropped{checkpoint, stubs}, ok
}

// DroppedLists returns how many lists the log keeps.
func (l *Log) DroppedLists() int { return len(l.dropped) }

// Bare returns how many bare ops the log has.
func (l *Log) Bare() (n int) {
	for checkpoint, stubs := range l.dropped {
		for _, s := range stubs {
			if l.ops[s.ID].op != nil && l.ops[s.ID].DroppedBy() == checkpoint {
				n++
			}
		}
	}
	return n
}

// KeepDropped keeps a list, which the caller has compared with its checkpoint: by it
// others are convinced of the bare ops that the log has.
func (l *Log) KeepDropped(d Dropped) { l.dropped[d.Checkpoint] = d.Stubs }

// Strip replaces by their stubs the ops of a list that the log has whole, but for those of
// which stays, unless it is nil, reports true; it keeps the list, and returns what it
// replaced, now bare. It fails like Ops, and with ErrFormat where a stub is not that of the
// op that it would replace, and then changes nothing. Ops that were handed out before stay
// as they are.
func (l *Log) Strip(d Dropped, stays func(Op) bool) (stripped []Op, err error) {
	ops, err := d.Ops(l.entity)
	if err != nil {
		return nil, err
	}
	now := make(map[keys.Digest]Op, len(ops))
	for _, o := range ops {
		whole, ok := l.ops[o.id]
		if !ok || whole.Bare() || stays != nil && stays(whole) {
			continue
		}
		if !bytes.Equal(whole.AAD(), o.AAD()) { // its author can sign a list of anything
			return nil, fmt.Errorf("%w: stub of another op than %v", ErrFormat, o.id)
		}
		now[o.id] = o
		stripped = append(stripped, o)
	}
	for _, o := range stripped {
		l.replace(o)
	}
	order := l.order[Content-1]
	for i, o := range order {
		if b, ok := now[o.id]; ok {
			order[i] = b
		}
	}
	l.KeepDropped(d)
	return stripped, nil
}
