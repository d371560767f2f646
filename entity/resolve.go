package entity

import (
	"maps"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// voids is a set of ops, by number, that have no effect.
type voids map[int]bool

// verdict decides which ops of a past are void (docs/PROTOCOL.md §2.8): first what is
// closed, which is as it was, then what is beyond.
func (e *Entity) verdict(p past) *verdict {
	if e.facts.kind() == Me { // its ops stand by the device chain
		return &verdict{facts: e.facts}
	}
	return e.resolve(p, e.closedAt(p))
}

// resolve decides what is void of what builds on the last final checkpoint: the ops of
// devices that signed two at one place; those beside a removal by somebody senior; and
// what rests on them. What no rule touches was judged when it came.
func (e *Entity) resolve(p past, closed *verdict) *verdict {
	f := e.facts
	v := &verdict{facts: f, chain: closed.chain, fixed: closed.fixed}
	lost := e.lost(p, v)
	if f.lastClash <= closed.tip() && !lost {
		return v
	}
	var clashes []clash
	for _, r := range since(f.removals, closed.tip()+1) {
		if !p.has(r) || !v.open(r) {
			continue
		}
		if ops := f.struck(r, p, v.open); len(ops) > 0 {
			clashes = append(clashes, clash{r, ops})
		}
	}
	forked := e.forked(p, v)
	if len(clashes) == 0 && len(forked) == 0 && !lost {
		return v
	}
	touched := e.touched(p, clashes, forked)
	if lost {
		touched = e.opened(p, v)
	}
	given := make(voids) // removals that turned out void
	for {
		hit := maps.Clone(given) // void by itself
		maps.Copy(hit, forked)
		v.live = maps.Clone(hit)
		for _, n := range touched {
			v.live[n] = hit[n] || !e.stands(n, v)
		}
		applied := make(voids)
		for {
			c, ok := e.senior(p, clashes, v, func(r int) bool { return !v.live[r] && !applied[r] })
			if !ok {
				maps.DeleteFunc(v.live, func(_ int, void bool) bool { return !void })
				return v
			}
			applied[c.removal] = true
			fresh := make(voids)
			for _, piece := range c.ops {
				for _, n := range piece {
					if !hit[n] {
						hit[n], fresh[n] = true, true
					}
				}
			}
			if len(fresh) == 0 { // removals before it have hit the same
				continue
			}
			e.rest(v, hit, touched, fresh)
			again := false
			for a := range applied {
				if v.live[a] { // it voided others, and is void itself: they are to be heard again
					given[a], again = true, true
				}
			}
			if again {
				break
			}
		}
	}
}

// opened returns, in the log's order, the ops of a past that build on what is closed.
func (e *Entity) opened(p past, v *verdict) (ns []int) {
	f := e.facts
	from := 1
	if place := f.places(e.log); v.tip() >= 0 {
		from = place[v.tip()] + 1
	}
	for _, n := range f.sequence[from:] {
		if p.has(n) && v.open(n) {
			ns = append(ns, n)
		}
	}
	return ns
}

// touched returns, in the log's order, the ops that may be void in a past and those
// whose authors' rights depend on them: an op may have been judged while another was
// void that is not void any more.
func (e *Entity) touched(p past, clashes []clash, forked voids) []int {
	f := e.facts
	seen := maps.Clone(forked)
	for _, c := range clashes {
		for _, piece := range c.ops {
			for _, n := range piece {
				seen[n] = true
			}
		}
	}
	done := make(map[keys.Digest][]int) // by user, ops of which all that comes after is seen
	for todo := slices.Sorted(maps.Keys(seen)); len(todo) > 0; todo = todo[1:] {
		for _, u := range subjects(f.reach.ops[todo[0]], f.bodies[todo[0]]) {
			if slices.ContainsFunc(done[u], func(d int) bool { return f.reach.before(d, todo[0]) }) {
				continue
			}
			done[u] = append(done[u], todo[0])
			for _, list := range [][]int{f.acts[u], f.about[u]} {
				for _, a := range since(list, todo[0]+1) {
					if !seen[a] && f.reach.before(todo[0], a) && p.has(a) {
						seen[a] = true
						todo = append(todo, a)
					}
				}
			}
		}
	}
	return f.order(e.log, slices.Collect(maps.Keys(seen)))
}

// rest brings v up to what is void by itself and what has no right to it without that,
// after some ops were hit: a right that was lost to a removal is there again when the
// removal is void. It looks at what concerns those ops. What an op rests on comes before
// it in touched.
func (e *Entity) rest(v *verdict, hit voids, touched []int, fresh voids) {
	f := e.facts
	changed := make(map[keys.Digest]bool) // users of whom something became void, or is not any more
	for _, n := range touched {
		o, subj := f.reach.ops[n], subjects(f.reach.ops[n], f.bodies[n])
		concerned := changed[o.User()] || fresh[n] ||
			slices.ContainsFunc(subj, func(u keys.Digest) bool { return changed[u] })
		if !concerned {
			continue
		}
		_, handsOn := f.bodies[n].(*MasterTransfer) // what it does depends on who it is for
		if void := hit[n] || !e.stands(n, v); void != v.live[n] || handsOn {
			v.live[n] = void
			for _, u := range subj {
				changed[u] = true
			}
		}
	}
}

// stands reports whether an op's author has the right to it in what is not void of
// the op's own past, and it does not take the founder away. An epoch stands: what was
// written under it must stay readable.
func (e *Entity) stands(n int, v *verdict) bool {
	o, body := e.facts.reach.ops[n], e.facts.bodies[n]
	if n == 0 || o.Family() == oplog.FamilyOpKey {
		return true
	}
	s := e.partial(e.pastOf(o), v, o.User())
	least := Reader
	if needsMaster(s.Kind, body) {
		least = Master
	}
	if !s.Speaks(o.User(), o.Device(), least) {
		return false
	}
	switch b := body.(type) {
	case *Remove:
		return b.User != s.Founder
	case *MasterRemove:
		return b.User != s.Founder
	case *Leave:
		return o.User() != s.Founder
	}
	return true
}

// pastOf is the past of an op, without itself.
func (e *Entity) pastOf(o oplog.Op) past {
	return e.facts.reach.upTo(append(slices.Clone(o.Parents()), o.Prev()))
}

// forked returns the ops of a past beyond what is closed that devices signed at and
// after a place where they signed two, but for what takes away. Where a checkpoint
// closed one of the two before the other, that one stays, and only the other is void,
// with what the device signed upon it.
func (e *Entity) forked(p past, v *verdict) voids {
	f := e.facts
	out := make(voids)
	for d := range f.forks {
		aside := make(map[keys.Digest]bool)
		from := false // it signed two at a place before, or at this one
		for seq := f.forks[d]; ; seq++ {
			ids := e.log.At(d, oplog.Control, seq)
			if len(ids) == 0 {
				break
			}
			first, at := len(v.chain), make(map[keys.Digest]int)
			for _, id := range ids {
				n := f.reach.number[id]
				switch {
				case !p.has(n):
				case aside[f.reach.ops[n].Prev()]:
					aside[id] = true
				default:
					at[id] = v.closing(n)
					first = min(first, at[id])
				}
			}
			same := 0
			for id, closing := range at {
				if closing == first {
					same++
				} else {
					aside[id] = true
				}
			}
			from = from || same > 1
			for _, id := range ids {
				n := f.reach.number[id]
				if p.has(n) && v.closing(n) == len(v.chain) && (from || aside[id]) && !takesAway(f.reach.ops[n]) {
					out[n] = true
				}
			}
		}
	}
	return out
}

// senior returns, of the clashes whose removals want accepts, that by the author who is
// most senior: the founder, then the masters in the order in which they were first added,
// then the others; of one author the first in the log's order.
func (e *Entity) senior(p past, clashes []clash, v *verdict, want func(int) bool) (best clash, ok bool) {
	f := e.facts
	place := f.places(e.log)
	ranks := make(map[keys.Digest]int)
	rank := func(u keys.Digest) int {
		r, ok := ranks[u]
		if !ok {
			r = e.rank(p, v, u)
			ranks[u] = r
		}
		return r
	}
	for _, c := range clashes {
		r := c.removal
		if !want(r) {
			continue
		}
		if !ok {
			best, ok = c, true
			continue
		}
		d := rank(f.reach.ops[r].User()) - rank(f.reach.ops[best.removal].User())
		if d < 0 || d == 0 && place[r] < place[best.removal] {
			best = c
		}
	}
	return best, ok
}

// rank is where a user's seniority stands in a past: the lower the more senior.
func (e *Entity) rank(p past, v *verdict, u keys.Digest) int {
	f := e.facts
	if u == f.reach.ops[0].User() {
		return -1
	}
	place := f.places(e.log)
	best := len(place)
	for _, n := range f.about[u] {
		if !p.has(n) || v.void(n) { // what a past says does not depend on what is outside
			continue
		}
		switch b := f.bodies[n].(type) {
		case *MasterAdd:
			best = min(best, place[n])
		case *MasterTransfer:
			if b.Party.User == u {
				best = min(best, place[n])
			}
		}
	}
	return best
}

// partial folds what a past says of some users, without what is void: a State that
// knows them, who handed a place on, the founder, and whether the entity has ended.
func (e *Entity) partial(p past, v *verdict, users ...keys.Digest) *State {
	f := e.facts
	if f.kind() == Me { // short, and all of it about one user
		return e.foldBy(p, v)
	}
	ns := slices.Clone(f.general)
	for _, u := range slices.Concat(f.founded.Parties, users) { // whether a friendship ended rests on both
		ns = append(ns, f.about[u]...)
	}
	for u := range f.handed {
		ns = append(ns, f.about[u]...)
	}
	ns = v.order(e.log, slices.DeleteFunc(ns, func(n int) bool { return !p.has(n) || v.void(n) }))
	s := f.founding()
	for _, n := range ns {
		if n > 0 {
			apply(s, f.reach.ops[n], f.bodies[n])
		}
	}
	return s
}
