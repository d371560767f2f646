package entity

import (
	"bytes"
	"slices"
	"sort"

	"pttnode/keys"
	"pttnode/oplog"
)

// Finality is decided before anything else, and by nothing that it decides: whether a
// checkpoint is final rests on its own past, on acks, and on which ops there are; never
// on what is void outside its past. So the recursion goes to smaller pasts only, and
// what is removed, voided or signed twice beside a final checkpoint takes nothing from it.

// Final is how far an entity's control strand is closed.
type Final struct {
	ID     keys.Digest // the last final checkpoint, zero for none
	Number uint64
	Rivals []keys.Digest // beside a final one, that would be final as well: an alarm
}

// mark is what a checkpoint's own past says of it.
type mark struct {
	founder  bool          // its author was the founder
	masters  []keys.Digest // who could ack, its author among them
	closed   *verdict      // of all that it closes
	extended bool          // the slices of closed were appended to
}

// verdict is what is void in a past. What a final checkpoint closed stays as it was
// decided there.
type verdict struct {
	facts *facts
	chain []int   // the final checkpoints, oldest first
	fixed []voids // for each of them, what is void of that which it closes by the rules after finality
	live  voids   // what is void of that which none closes
}

// tip is the last final checkpoint, -1 for none.
func (v *verdict) tip() int {
	if len(v.chain) == 0 {
		return -1
	}
	return v.chain[len(v.chain)-1]
}

// closing returns which checkpoint of the chain closes an op, len(chain) for none.
func (v *verdict) closing(n int) int {
	r := v.facts.reach
	if last := v.tip(); last < 0 || n != last && !r.before(n, last) {
		return len(v.chain)
	}
	return sort.Search(len(v.chain), func(i int) bool { return n == v.chain[i] || r.before(n, v.chain[i]) })
}

// after reports whether an op builds on the checkpoint before place i of the chain.
func (v *verdict) after(i, n int) bool { return i == 0 || v.facts.reach.before(v.chain[i-1], n) }

// open reports whether an op of the past is beyond what is closed, and builds on it.
func (v *verdict) open(n int) bool { return v.closing(n) == len(v.chain) && v.after(len(v.chain), n) }

// keptBy returns the checkpoint of the chain that keeps an op which is beside the one
// before, and the op's place among what it keeps.
func (v *verdict) keptBy(n int) (checkpoint, at int, ok bool) {
	i := v.closing(n)
	if i == len(v.chain) || i == 0 || n == v.chain[i] || v.after(i, n) {
		return 0, 0, false
	}
	at = slices.Index(v.facts.bodies[v.chain[i]].(*Checkpoint).Keeps, v.facts.reach.ops[n].ID())
	return v.chain[i], at, at >= 0
}

// void reports whether an op of the past has no effect.
func (v *verdict) void(n int) bool {
	i := v.closing(n)
	if !v.after(i, n) {
		_, _, kept := v.keptBy(n)
		return !kept && (i == len(v.chain) || n != v.chain[i])
	}
	if i == len(v.chain) {
		return v.live[n]
	}
	return v.fixed[i][n]
}

// order sorts numbers of ops by when they count: in the log's order, but what a
// checkpoint keeps right before it.
func (v *verdict) order(l *oplog.Log, ns []int) []int {
	ns = v.facts.order(l, ns)
	where := make(map[int][2]int) // of what was kept
	for _, n := range ns {
		if by, at, ok := v.keptBy(n); ok {
			where[n] = [2]int{by, at}
		}
	}
	if len(where) == 0 {
		return ns
	}
	place := v.facts.places(l)
	at := func(n int) [3]int {
		if w, ok := where[n]; ok {
			return [3]int{place[w[0]], 0, w[1]}
		}
		return [3]int{place[n], 1}
	}
	slices.SortFunc(ns, func(a, b int) int {
		x, y := at(a), at(b)
		return slices.Compare(x[:], y[:])
	})
	return ns
}

// extend returns the verdict of what checkpoint c closes, which has v for its past.
func (m *mark) extend(before *mark, v *verdict, c int) {
	chain, fixed := v.chain, v.fixed
	if before == nil || before.extended { // another one builds on the same: not in one array
		chain, fixed = slices.Clip(chain), slices.Clip(fixed)
	} else {
		before.extended = true
	}
	m.closed = &verdict{facts: v.facts, chain: append(chain, c), fixed: append(fixed, v.live)}
}

// fileCheckpoint files what finality rests on.
func (f *facts) fileCheckpoint(n int, body any) {
	switch b := body.(type) {
	case *Checkpoint:
		prev := -1
		if n, ok := f.reach.number[digestOf(b.Prev)]; ok {
			prev = n
		}
		f.next[prev] = append(f.next[prev], n)
		f.prev[n] = prev
		f.points = append(f.points, n)
		f.sure = nil
	case *Ack:
		c := f.reach.number[b.Checkpoint]
		f.acks[c] = append(f.acks[c], n)
		f.sure = nil
	case *MasterTransfer:
		u := f.reach.ops[n].User()
		f.gaveUp[u] = append(f.gaveUp[u], n)
		f.sure = nil
	}
}

// mark returns what a checkpoint's own past says of it.
func (e *Entity) mark(c int) *mark {
	f := e.facts
	if m, ok := f.marks[c]; ok {
		return m
	}
	o := f.reach.ops[c]
	p := e.pastOf(o)
	var before *mark
	closed := &verdict{facts: f}
	if prev := f.prev[c]; prev >= 0 {
		before = e.mark(prev)
		closed = before.closed
	}
	v := e.resolve(p, closed)
	s := e.partial(p, v, f.raised...)
	m := &mark{founder: s.Founder == o.User()}
	for u, member := range s.Members {
		if member.Standing == Active && member.Role == Master {
			m.masters = append(m.masters, u)
		}
	}
	m.extend(before, v, c)
	f.marks[c] = m
	return m
}

// closedAt returns the verdict of what is closed in a past.
func (e *Entity) closedAt(p past) *verdict {
	tip := -1
	line := e.line()
	if i := sort.Search(len(line), func(i int) bool { return !p.has(line[i]) }); i > 0 {
		tip = line[i-1]
	}
	for next := e.follow(p, tip); next >= 0; next = e.follow(p, tip) {
		tip = next
	}
	if tip < 0 {
		return &verdict{facts: e.facts}
	}
	return e.mark(tip).closed
}

// line returns the final checkpoints, from the first on, that are so in every past
// which has them: the founder's, where nothing else can follow the one before.
func (e *Entity) line() []int {
	f := e.facts
	if f.sure == nil {
		f.sure = []int{}
		all := f.reach.upTo(e.log.Heads(oplog.Control))
		for tip := -1; ; tip = f.sure[len(f.sure)-1] {
			var could []int
			for _, c := range f.next[tip] {
				if _, acked := e.final(all, c); acked || e.mark(c).founder {
					could = append(could, c)
				}
			}
			if len(could) != 1 || !e.mark(could[0]).founder || e.handedOn(all, could[0]) {
				break
			}
			f.sure = append(f.sure, could[0])
		}
	}
	return f.sure
}

// lost reports whether something in a past may have been judged by a checkpoint that was
// final then and is not in this past. What builds on it is to be looked at anew.
func (e *Entity) lost(p past, v *verdict) bool {
	points := e.facts.points
	if newer := since(points, v.tip()+1); len(newer)+len(v.chain) == len(points) {
		points = newer // all before are of the chain
	}
	return slices.ContainsFunc(points, func(c int) bool {
		if i := v.closing(c); !p.has(c) || i < len(v.chain) && v.chain[i] == c {
			return false
		}
		_, acked := e.final(p, c)
		return acked || e.mark(c).founder
	})
}

// follow returns the final checkpoint of a past that follows another, -1 for none: of
// several one that masters acked, then that of the lowest id.
func (e *Entity) follow(p past, tip int) int {
	f := e.facts
	best, bestAcked := -1, false
	for _, c := range f.next[tip] {
		final, acked := e.final(p, c)
		if final && (best < 0 || acked && !bestAcked || acked == bestAcked && f.less(c, best)) {
			best, bestAcked = c, acked
		}
	}
	return best
}

func (f *facts) less(a, b int) bool {
	x, y := f.reach.ops[a].ID(), f.reach.ops[b].ID()
	return bytes.Compare(x[:], y[:]) < 0
}

// final reports whether a checkpoint is final in a past if the one before it is, and
// whether that is so by more than two thirds of the masters. The founder's is by his
// word alone, unless he hands his place on beside it: he cannot do both.
func (e *Entity) final(p past, c int) (final, acked bool) {
	f := e.facts
	if !p.has(c) {
		return false, false
	}
	m := e.mark(c)
	author := f.reach.ops[c].User()
	var by []keys.Digest
	for _, a := range f.acks[c] {
		u := f.reach.ops[a].User()
		if p.has(a) && u != author && slices.Contains(m.masters, u) && !slices.Contains(by, u) {
			by = append(by, u)
		}
	}
	acked = len(by) > 0 && enough(len(by)+1, m.masters)
	return acked || m.founder && !e.handedOn(p, c), acked
}

// enough reports whether so many are more than two thirds of some masters.
func enough(n int, masters []keys.Digest) bool { return 3*n > 2*len(masters) }

// handedOn reports whether a checkpoint's author hands his place on beside it. What
// he did beside the checkpoint before is closed by that one.
func (e *Entity) handedOn(p past, c int) bool {
	f := e.facts
	return slices.ContainsFunc(f.gaveUp[f.reach.ops[c].User()], func(t int) bool {
		prev := f.prev[c]
		return p.has(t) && f.reach.beside(t, c) && (prev < 0 || f.reach.before(prev, t))
	})
}

// rivals returns the ids of what would be final beside the chain of a past.
func (e *Entity) rivals(p past, v *verdict) (ids []keys.Digest) {
	f := e.facts
	tip := -1
	for _, chosen := range v.chain {
		for _, c := range f.next[tip] {
			if c == chosen {
				continue
			}
			if final, _ := e.final(p, c); final {
				ids = append(ids, f.reach.ops[c].ID())
			}
		}
		tip = chosen
	}
	slices.SortFunc(ids, compare)
	return ids
}

// Final reports whether what a control op does, or that it does nothing, can change no
// more.
func (e *Entity) Final(o oplog.Op) bool {
	id := e.State().Final.ID
	if id.IsZero() || o.Strand() != oplog.Control {
		return false
	}
	tip, n := e.facts.reach.number[id], e.facts.reach.number[o.ID()]
	return n == tip || e.facts.reach.before(n, tip)
}
