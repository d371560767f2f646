package oplog

import (
	"bytes"
	"container/heap"
	"fmt"
	"iter"
	"slices"

	"pttnode/keys"
)

// Log is the set of operations of one entity, in memory. It is not safe for
// concurrent use; node guards each log by its entity's lock.
type Log struct {
	entity keys.Digest
	ops    map[keys.Digest]Op
	chains map[chain][]Op          // by seq; where it forks the op of the lowest id
	beside map[spot][]keys.Digest  // the others there
	heads  [2]map[keys.Digest]bool // by strand-1
	forked map[chain]uint64        // lowest seq at which a device signed two ops
	order  [2][]Op                 // cache of All; nil after an append out of order
	places *places                 // nil until Places is called

	dropped map[keys.Digest][]Stub // lists of what checkpoints drop, by checkpoint
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

// NewLog returns an empty log of the entity whose genesis has this id.
func NewLog(entity keys.Digest) *Log {
	return &Log{
		entity: entity,
		ops:    make(map[keys.Digest]Op),
		chains: make(map[chain][]Op),
		beside: make(map[spot][]keys.Digest),
		heads:  [2]map[keys.Digest]bool{make(map[keys.Digest]bool), make(map[keys.Digest]bool)},
		forked: make(map[chain]uint64),

		dropped: make(map[keys.Digest][]Stub),
	}
}

// Entity returns the id of the log's entity.
func (l *Log) Entity() keys.Digest { return l.entity }

// Len returns the number of operations.
func (l *Log) Len() int { return len(l.ops) }

// Get returns an operation by its id.
func (l *Log) Get(id keys.Digest) (Op, bool) {
	o, ok := l.ops[id]
	return o, ok
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
	get := func(id keys.Digest) (Op, bool) {
		on, ok := l.ops[id]
		if !ok {
			on, ok = coming[id]
		}
		if !ok && !slices.Contains(missing, id) {
			missing = append(missing, id)
		}
		return on, ok
	}
	if p := o.Prev(); !p.IsZero() {
		if prev, ok := get(p); ok && (prev.Device() != o.Device() || prev.Strand() != o.Strand() || prev.Seq()+1 != o.Seq()) {
			fault("%v seq %d after %v seq %d", o.ID(), o.Seq(), p, prev.Seq())
		}
	}
	for _, id := range o.Parents() {
		if parent, ok := get(id); ok && parent.Strand() != o.Strand() {
			fault("parent %v is of the other strand", id)
		}
	}
	for _, id := range o.Auth() {
		if auth, ok := get(id); ok && auth.Strand() != Control {
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

// Append adds o and reports whether it was new. It fails like Check and then
// changes nothing.
func (l *Log) Append(o Op) (bool, error) {
	if _, ok := l.ops[o.ID()]; ok {
		return false, nil
	}
	if err := l.Check(o); err != nil {
		return false, err
	}
	l.ops[o.ID()] = o
	l.link(o)
	s := o.Strand() - 1
	heads := l.heads[s]
	for _, p := range o.Parents() {
		delete(heads, p)
	}
	// An op that names all heads stands last in any order; any other has to find its place.
	if len(heads) == 0 && (l.order[s] != nil || len(l.ops) == 1) {
		l.order[s] = append(l.order[s], o)
	} else {
		l.order[s] = insert(l.order[s], o)
	}
	heads[o.ID()] = true
	l.places.add(o)
	return true, nil
}

// link gives o, which is in ops, its place in its chain: behind prev, or beside others that
// are.
func (l *Log) link(o Op) {
	c, seq := chain{o.Device(), o.Strand()}, o.Seq()
	if seq == uint64(len(l.chains[c])) {
		l.chains[c] = append(l.chains[c], o)
		return
	}
	ids := append(l.At(c.device, c.strand, seq), o.ID())
	slices.SortFunc(ids, compare)
	l.chains[c][seq], l.beside[spot{c, seq}] = l.ops[ids[0]], ids[1:]
	if lowest, ok := l.forked[c]; !ok || seq < lowest {
		l.forked[c] = seq
	}
}

// replace puts o in the place of what it has been so far, but for the order of its strand.
func (l *Log) replace(o Op) {
	l.ops[o.ID()] = o
	if at := &l.chains[chain{o.Device(), o.Strand()}][o.Seq()]; at.ID() == o.ID() {
		*at = o
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
	heads := l.heads[o.Strand()-1]
	return !slices.ContainsFunc(o.Parents(), func(p keys.Digest) bool { return heads[p] })
}

// Tip returns the last operation of a device in a strand: where its next one
// goes. It reports false for a device that wrote nothing. Where the chain forks
// it is the op with the lowest id of the last seq.
func (l *Log) Tip(device keys.ID, s Strand) (Op, bool) {
	ops := l.chains[chain{device, s}]
	if len(ops) == 0 {
		return Op{}, false
	}
	return ops[len(ops)-1], true
}

// At returns the ids of a device's ops at one seq: one, or more where it forks.
func (l *Log) At(device keys.ID, s Strand, seq uint64) []keys.Digest {
	c := chain{device, s}
	if seq >= uint64(len(l.chains[c])) {
		return nil
	}
	return append([]keys.Digest{l.chains[c][seq].ID()}, l.beside[spot{c, seq}]...)
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
func (l *Log) All(s Strand) iter.Seq[Op] {
	if l.order[s-1] == nil {
		l.order[s-1] = l.sorted(s)
	}
	return slices.Values(l.order[s-1])
}

// Backward returns the operations of a strand from the last in the log's order to the
// first. The log must not be appended to while it runs.
func (l *Log) Backward(s Strand) iter.Seq2[int, Op] {
	if l.order[s-1] == nil {
		l.order[s-1] = l.sorted(s)
	}
	return slices.Backward(l.order[s-1])
}

// sorted is Kahn's algorithm with a heap of ids.
func (l *Log) sorted(s Strand) []Op {
	waits := make(map[keys.Digest]int)
	children := make(map[keys.Digest][]keys.Digest)
	ready := &idHeap{}
	n := 0
	for id, o := range l.ops {
		if o.Strand() != s {
			continue
		}
		n++
		for _, p := range o.Parents() {
			children[p] = append(children[p], id)
			waits[id]++
		}
		// An author with more heads than MaxParents, or a hostile one, may leave its
		// own last op out of the past of its parents.
		if p := o.Prev(); !p.IsZero() && !slices.Contains(o.Parents(), p) {
			children[p] = append(children[p], id)
			waits[id]++
		}
		if waits[id] == 0 {
			*ready = append(*ready, id)
		}
	}
	heap.Init(ready)
	out := make([]Op, 0, n)
	for ready.Len() > 0 {
		id := heap.Pop(ready).(keys.Digest)
		out = append(out, l.ops[id])
		for _, c := range children[id] {
			if waits[c]--; waits[c] == 0 {
				heap.Push(ready, c)
			}
		}
	}
	return out
}

// insert puts an op, on which none builds yet, into an order: it was ready when the last
// of what it builds on was out, and went before the first with a greater id. It returns
// nil where that is too far back to look for.
func insert(order []Op, o Op) []Op {
	i := len(order)
	for i > 0 && order[i-1].ID() != o.Prev() && !slices.Contains(o.Parents(), order[i-1].ID()) {
		if i--; len(order)-i > maxLookBack {
			return nil
		}
	}
	if i == 0 {
		return nil
	}
	for i < len(order) && compare(order[i].ID(), o.ID()) < 0 {
		i++
	}
	return slices.Insert(order, i, o)
}

type idHeap []keys.Digest

func (h idHeap) Len() int           { return len(h) }
func (h idHeap) Less(i, j int) bool { return compare(h[i], h[j]) < 0 }
func (h idHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *idHeap) Push(x any)        { *h = append(*h, x.(keys.Digest)) }
func (h *idHeap) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

func compare(a, b keys.Digest) int { return bytes.Compare(a[:], b[:]) }
