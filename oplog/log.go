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
	chains map[chain][]link
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

// link is the operations at one seq of a chain: one, or more where it forks.
type link []keys.Digest

// NewLog returns an empty log of the entity whose genesis has this id.
func NewLog(entity keys.Digest) *Log {
	return &Log{
		entity: entity,
		ops:    make(map[keys.Digest]Op),
		chains: make(map[chain][]link),
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
func (l *Log) Missing(o Op) []keys.Digest { return l.missingAfter(o, nil) }

func (l *Log) missingAfter(o Op, coming map[keys.Digest]Op) []keys.Digest {
	var missing []keys.Digest
	need := func(id keys.Digest) {
		_, comes := coming[id]
		if _, ok := l.ops[id]; !ok && !comes && !slices.Contains(missing, id) {
			missing = append(missing, id)
		}
	}
	if p := o.Prev(); !p.IsZero() {
		need(p)
	}
	for _, id := range o.Parents() {
		need(id)
	}
	for _, id := range o.Auth() {
		need(id)
	}
	return missing
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
	if m := l.missingAfter(o, coming); len(m) > 0 {
		return fmt.Errorf("%w: %v needs %d ops, first %v", ErrMissing, o.ID(), len(m), m[0])
	}
	get := func(id keys.Digest) Op {
		if o, ok := coming[id]; ok {
			return o
		}
		return l.ops[id]
	}
	if p := o.Prev(); !p.IsZero() {
		prev := get(p)
		if prev.Device() != o.Device() || prev.Strand() != o.Strand() || prev.Seq()+1 != o.Seq() {
			return fmt.Errorf("%w: %v seq %d after %v seq %d", ErrChain, o.ID(), o.Seq(), p, prev.Seq())
		}
	}
	for _, id := range o.Parents() {
		if get(id).Strand() != o.Strand() {
			return fmt.Errorf("%w: parent %v is of the other strand", ErrChain, id)
		}
	}
	for _, id := range o.Auth() {
		if get(id).Strand() != Control {
			return fmt.Errorf("%w: auth %v is not a control op", ErrChain, id)
		}
	}
	return nil
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
	c := chain{o.Device(), o.Strand()}
	links := l.chains[c]
	for uint64(len(links)) <= o.Seq() {
		links = append(links, nil)
	}
	links[o.Seq()] = append(links[o.Seq()], o.ID())
	slices.SortFunc(links[o.Seq()], compare)
	l.chains[c] = links
	if at, ok := l.forked[c]; len(links[o.Seq()]) > 1 && (!ok || o.Seq() < at) {
		l.forked[c] = o.Seq()
	}
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
	links := l.chains[chain{device, s}]
	if len(links) == 0 {
		return Op{}, false
	}
	return l.ops[links[len(links)-1][0]], true
}

// At returns the ids of a device's ops at one seq: one, or more where it forks.
func (l *Log) At(device keys.ID, s Strand, seq uint64) []keys.Digest {
	links := l.chains[chain{device, s}]
	if seq >= uint64(len(links)) {
		return nil
	}
	return slices.Clone(links[seq])
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
