package oplog

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"pttnode/keys"
)

// Log is the index of the operations of one entity, in memory. It is not safe for
// concurrent use.
//
// Of content it holds entries without envelope and body if it has a [Source]; without
// one it holds everything.
type Log struct {
	entity  keys.Digest
	source  Source
	ops     map[keys.Digest]*op
	wires   map[uint32]*wire // by row: of control ops; without a source of all
	chains  map[chain][]*op  // by seq; where it forks the op of the lowest id
	beside  map[spot][]*op   // the others there
	forked  map[chain]uint64 // lowest seq at which a device signed two ops
	heads   [2]map[keys.Digest]bool
	order   [2]sequence // by strand-1
	authors map[author]*author
	absent  map[*op]bool // ops without their body
	vector  Vector       // nil after an append
	places  *places      // nil until Places is called
}

// Source is where a log's operations are that it holds no bytes of.
type Source interface {
	// Whole returns an op of a log with its envelope, and with its body if that is here.
	Whole(o Op) (Op, error)
}

// chain names the operations of one device in one strand.
type chain struct {
	device keys.ID
	strand Strand
}

// spot is one seq of a chain.
type spot struct {
	chain
	seq uint64
}

// NewLog returns an empty log of the entity whose genesis has this id. It holds the bytes
// of all its operations until it gets a source.
func NewLog(entity keys.Digest) *Log {
	return &Log{
		entity:  entity,
		ops:     make(map[keys.Digest]*op),
		wires:   make(map[uint32]*wire),
		chains:  make(map[chain][]*op),
		beside:  make(map[spot][]*op),
		forked:  make(map[chain]uint64),
		heads:   [2]map[keys.Digest]bool{make(map[keys.Digest]bool), make(map[keys.Digest]bool)},
		authors: make(map[author]*author),
		absent:  make(map[*op]bool),
	}
}

// SetSource has a log let go of the bytes of its content: s has them when they are asked
// for. A nil source changes nothing.
func (l *Log) SetSource(s Source) {
	if s == nil {
		return
	}
	l.source = s
	for o := range l.order[Content-1].all() {
		delete(l.wires, o.row)
	}
}

// Entity returns the id of the log's entity.
func (l *Log) Entity() keys.Digest { return l.entity }

// Len returns the number of operations.
func (l *Log) Len() int { return len(l.ops) }

// Get returns an operation by its id.
func (l *Log) Get(id keys.Digest) (Op, bool) {
	o, ok := l.ops[id]
	if !ok {
		return Op{}, false
	}
	return l.handle(o), true
}

// handle returns an op with what the log has of its bytes.
func (l *Log) handle(o *op) Op {
	if o.strand == Control || l.source == nil {
		return Op{o, l.wires[o.row]}
	}
	return Op{o, nil}
}

// Whole returns an op with its envelope, and with its body if that is here. It fails as
// the log's source does.
func (l *Log) Whole(o Op) (Op, error) {
	if o.wire != nil && (o.body != nil || o.Size() == 0) {
		return o, nil
	}
	if l.source == nil || o.strand == Control {
		return l.handle(o.op), nil
	}
	return l.source.Whole(o)
}

// Missing returns what o builds on and the log does not have: prev, parents and
// auth.
func (l *Log) Missing(o Op) []keys.Digest {
	missing, _ := l.look(o, nil)
	return missing
}

// look returns what o builds on and neither the log nor coming has, and ErrChain when
// what is there of prev, parents and auth is not what it must be.
func (l *Log) look(o Op, coming map[keys.Digest]Op) (missing []keys.Digest, wrong error) {
	fault := func(format string, args ...any) {
		if wrong == nil {
			wrong = fmt.Errorf("%w: "+format, append([]any{ErrChain}, args...)...)
		}
	}
	get := func(id keys.Digest) (*op, bool) {
		on, ok := l.ops[id]
		if !ok {
			var c Op
			c, ok = coming[id]
			on = c.op
		}
		if !ok && !slices.Contains(missing, id) {
			missing = append(missing, id)
		}
		return on, ok
	}
	if o.prev != nil {
		if prev, ok := get(*o.prev); ok && (prev.who.device != o.Device() || prev.strand != o.strand || prev.seq+1 != o.seq) {
			fault("%v seq %d after %v seq %d", o.ID(), o.seq, *o.prev, prev.seq)
		}
	}
	for _, id := range o.parents {
		if parent, ok := get(id); ok && parent.strand != o.strand {
			fault("parent %v is of the other strand", id)
		}
	}
	for _, id := range o.auth {
		if auth, ok := get(id); ok && auth.strand != Control {
			fault("auth %v is not a control op", id)
		}
	}
	return missing, wrong
}

// Check says whether o may be appended: ErrForeign for another entity's op,
// ErrMissing when it builds on ops the log lacks, ErrChain when prev or a parent
// is not what it must be. An op that the log already has passes.
func (l *Log) Check(o Op) error { return l.CheckAfter(o, nil) }

// CheckAfter is Check as if the ops of coming had been appended.
func (l *Log) CheckAfter(o Op, coming map[keys.Digest]Op) error {
	if o.Entity() != l.entity {
		return fmt.Errorf("%w: %v of %v", ErrForeign, o.ID(), o.Entity())
	}
	missing, wrong := l.look(o, coming)
	if len(missing) > 0 {
		return fmt.Errorf("%w: %v needs %d ops, first %v", ErrMissing, o.ID(), len(missing), missing[0])
	}
	return wrong
}

// Append adds o, which has its envelope, and reports whether it was new. It fails like
// Check and then changes nothing.
func (l *Log) Append(o Op) (bool, error) {
	if _, ok := l.ops[o.ID()]; ok {
		return false, nil
	}
	if err := l.Check(o); err != nil {
		return false, err
	}
	l.append(o, o.Body() != nil)
	return true, nil
}

// append adds an op that passes Check. here says whether its body is.
func (l *Log) append(o Op, here bool) {
	e := *o.op // an entry is of one log
	e.row = uint32(len(l.ops))
	e.here = here || e.size == 0 || e.strand == Control
	l.ops[e.id[0]] = &e
	if e.strand == Control || l.source == nil {
		l.wires[e.row] = o.wire
	}
	if !e.here {
		l.absent[&e] = true
	}
	l.link(&e)
	on := l.share(&e)
	heads := l.heads[e.strand-1]
	for _, p := range e.parents {
		delete(heads, p)
	}
	heads[e.id[0]] = true
	l.order[e.strand-1].add(&e, on)
	l.places.add(&e)
	l.vector = nil
}

// share replaces what an op, which was just appended, has in common with others by what
// these have, and returns what it builds on in its strand.
func (l *Log) share(o *op) (on []*op) {
	who, ok := l.authors[*o.who]
	if !ok {
		who = o.who
		l.authors[*who] = who
	}
	o.who = who
	for _, id := range o.parents {
		on = append(on, l.ops[id])
	}
	if len(on) == 1 {
		o.parents = on[0].id[:]
	}
	if o.prev != nil {
		prev := l.ops[*o.prev]
		o.prev = &prev.id[0]
		if slices.Equal(prev.auth, o.auth) {
			o.auth = prev.auth
		}
		// An author with more heads than MaxParents, or a hostile one, may leave its own
		// last op out of the past of its parents.
		if !slices.Contains(on, prev) {
			on = append(on, prev)
		}
	}
	if len(o.auth) == 1 {
		o.auth = l.ops[o.auth[0]].id[:]
	}
	for _, id := range []**keys.Digest{&o.epoch, &o.about} {
		if *id != nil {
			if named, ok := l.ops[**id]; ok {
				*id = &named.id[0]
			} else {
				*id = new(**id) // not all three that were parsed together
			}
		}
	}
	return on
}

// link gives o, which is in ops, its place in its chain: behind prev, or beside others that
// are.
func (l *Log) link(o *op) {
	c, seq := chain{o.who.device, o.strand}, uint64(o.seq)
	if seq == uint64(len(l.chains[c])) {
		l.chains[c] = append(l.chains[c], o)
		return
	}
	first := &l.chains[c][seq]
	if compare(o.id[0], (*first).id[0]) < 0 {
		o, *first = *first, o
	}
	l.beside[spot{c, seq}] = append(l.beside[spot{c, seq}], o)
	if lowest, ok := l.forked[c]; !ok || seq < lowest {
		l.forked[c] = seq
	}
}

// Heads returns the ops of a strand that no other names as parent, ascending.
func (l *Log) Heads(s Strand) []keys.Digest {
	ids := make([]keys.Digest, 0, len(l.heads[s-1]))
	for id := range l.heads[s-1] {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, compare)
	return ids
}

// Widens reports whether an op, which is not in the log, would stand beside all heads of
// its strand: it adds one and replaces none.
func (l *Log) Widens(o Op) bool {
	heads := l.heads[o.strand-1]
	return !slices.ContainsFunc(o.parents, func(p keys.Digest) bool { return heads[p] })
}

// Tip returns the last operation of a device in a strand: where its next one
// goes. It reports false for a device that wrote nothing. Where the chain forks
// it is the op with the lowest id of the last seq.
func (l *Log) Tip(device keys.ID, s Strand) (Op, bool) {
	ops := l.chains[chain{device, s}]
	if len(ops) == 0 {
		return Op{}, false
	}
	return l.handle(ops[len(ops)-1]), true
}

// At returns the ids of a device's ops at one seq, ascending: one, or more where it forks.
func (l *Log) At(device keys.ID, s Strand, seq uint64) []keys.Digest {
	c := chain{device, s}
	if seq >= uint64(len(l.chains[c])) {
		return nil
	}
	ids := []keys.Digest{l.chains[c][seq].id[0]}
	for _, o := range l.beside[spot{c, seq}] {
		ids = append(ids, o.id[0])
	}
	slices.SortFunc(ids, compare)
	return ids
}

// Forked returns the lowest seq at which a device signed two operations, and
// whether there is one.
func (l *Log) Forked(device keys.ID, s Strand) (uint64, bool) {
	seq, ok := l.forked[chain{device, s}]
	return seq, ok
}

// All returns the operations of a strand in the log's one order: parents and
// prev before children, ties by id. Two logs with the same operations have the same order.
// The log must not be appended to while it runs.
func (l *Log) All(s Strand) iter.Seq[Op] { return l.handles(l.order[s-1].all()) }

// Backward returns the operations of a strand from the last in the log's order to the
// first. The log must not be appended to while it runs.
func (l *Log) Backward(s Strand) iter.Seq[Op] { return l.handles(l.order[s-1].backward()) }

func (l *Log) handles(ops iter.Seq[*op]) iter.Seq[Op] {
	return func(yield func(Op) bool) {
		for o := range ops {
			if !yield(l.handle(o)) {
				return
			}
		}
	}
}

// Absent returns the content ops whose bodies are not here, the last that came first.
func (l *Log) Absent() []Op {
	out := make([]Op, 0, len(l.absent))
	for o := range l.absent {
		out = append(out, l.handle(o))
	}
	slices.SortFunc(out, func(a, b Op) int { return cmp.Compare(b.row, a.row) })
	return out
}

// AbsentLen returns how many there are of these.
func (l *Log) AbsentLen() int { return len(l.absent) }

// Bring notes that the body of an op of the log is here now: o has it. It reports whether
// it was not.
func (l *Log) Bring(o Op) bool {
	at, ok := l.ops[o.ID()]
	if !ok || at.here || o.Body() == nil {
		return false
	}
	at.here = true
	delete(l.absent, at)
	if l.source == nil {
		l.wires[at.row] = o.wire
	}
	return true
}

// LetGo notes that the body of a content op is not here any more. It reports whether it
// was.
func (l *Log) LetGo(id keys.Digest) bool {
	at, ok := l.ops[id]
	if !ok || !at.here || at.size == 0 || at.strand != Content {
		return false
	}
	at.here = false
	l.absent[at] = true
	if w := l.wires[at.row]; w != nil {
		l.wires[at.row] = &wire{w.envelope, w.hash, nil}
	}
	return true
}
