package entity

import (
	"maps"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// voids is a set of ops, by number, that have no effect.
type voids map[int]bool

// resolve decides which ops of a past are void (docs/PROTOCOL.md §2.8): those of
// devices that signed two at one place; those beside a removal by somebody senior;
// and what rests on them. What no rule touches was judged when it came.
func (e *Entity) resolve(p past) voids {
	f := e.facts
	var clashes []conflict
	for _, c := range f.conflicts {
		if p.has(c.removal) && p.has(c.op) {
			clashes = append(clashes, c)
		}
	}
	forked := e.forked(p)
	if len(clashes) == 0 && len(forked) == 0 {
		return nil
	}
	touched := e.touched(p, clashes, forked)
	given := make(voids) // removals that turned out void
	for {
		hit := maps.Clone(given) // void by itself
		maps.Copy(hit, forked)
		v := maps.Clone(hit)
		e.rest(v, hit, touched, nil)
		applied := make(voids)
		for {
			r, ok := e.senior(p, clashes, v, func(r int) bool { return !v[r] && !applied[r] })
			if !ok {
				return v
			}
			applied[r] = true
			var ops []int
			for _, c := range clashes {
				if c.removal == r && !hit[c.op] {
					hit[c.op] = true
					ops = append(ops, c.op)
				}
			}
			e.rest(v, hit, touched, ops)
			again := false
			for a := range applied {
				if v[a] { // it voided others, and is void itself: they are to be heard again
					given[a], again = true, true
				}
			}
			if again {
				break
			}
		}
	}
}

// touched returns, in the log's order, the ops that may be void in a past and those
// whose authors' rights depend on them: an op may have been judged while another was
// void that is not void any more.
func (e *Entity) touched(p past, clashes []conflict, forked voids) []int {
	f := e.facts
	seen := maps.Clone(forked)
	for _, c := range clashes {
		seen[c.op] = true
	}
	for todo := slices.Collect(maps.Keys(seen)); len(todo) > 0; todo = todo[1:] {
		for _, u := range subjects(f.reach.ops[todo[0]], f.bodies[todo[0]]) {
			for _, a := range slices.Concat(f.acts[u], f.about[u]) {
				if !seen[a] && f.reach.before(todo[0], a) && p.has(a) {
					seen[a] = true
					todo = append(todo, a)
				}
			}
		}
	}
	return f.order(e.log, slices.Collect(maps.Keys(seen)))
}

// rest brings v up to what is void by itself and what has no right to it without
// that: a right that was lost to a removal is there again when the removal is void. It
// looks at what ops concerns, or at everything where that is nil. What an op rests on
// comes before it in touched.
func (e *Entity) rest(v, hit voids, touched, ops []int) {
	f := e.facts
	changed := make(map[keys.Digest]bool) // users of whom something became void, or is not any more
	for _, n := range touched {
		o, subj := f.reach.ops[n], subjects(f.reach.ops[n], f.bodies[n])
		concerned := ops == nil || changed[o.User()] || slices.Contains(ops, n) ||
			slices.ContainsFunc(subj, func(u keys.Digest) bool { return changed[u] })
		if !concerned {
			continue
		}
		if void := hit[n] || !e.stands(n, v); void != v[n] || ops == nil && void {
			v[n] = void
			for _, u := range subj {
				changed[u] = true
			}
		}
	}
}

// stands reports whether an op's author has the right to it in what is not void of
// the op's own past, and it does not take the founder away. An epoch stands: what was
// written under it must stay readable.
func (e *Entity) stands(n int, v voids) bool {
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

// forked returns the ops of a past that devices signed at and after a place where
// they signed two, but for what takes away.
func (e *Entity) forked(p past) voids {
	f := e.facts
	v := make(voids)
	for d := range f.forks {
		var from uint64
		found := false
		for seq := f.forks[d]; !found; seq++ { // the lowest place with two in this past
			ids := e.log.At(d, oplog.Control, seq)
			if len(ids) == 0 {
				break
			}
			inside := 0
			for _, id := range ids {
				if p.has(f.reach.number[id]) {
					inside++
				}
			}
			from, found = seq, inside > 1
		}
		for seq := from; found; seq++ {
			ids := e.log.At(d, oplog.Control, seq)
			if len(ids) == 0 {
				break
			}
			for _, id := range ids {
				if n := f.reach.number[id]; p.has(n) && !takesAway(f.reach.ops[n]) {
					v[n] = true
				}
			}
		}
	}
	return v
}

// senior returns, of the removals that clash and that want accepts, the one whose author
// is most senior: the founder, then the masters in the order in which they were first
// added, then the others; of one author the first in the log's order.
func (e *Entity) senior(p past, clashes []conflict, v voids, want func(int) bool) (best int, ok bool) {
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
			best, ok = r, true
			continue
		}
		d := rank(f.reach.ops[r].User()) - rank(f.reach.ops[best].User())
		if d < 0 || d == 0 && place[r] < place[best] {
			best = r
		}
	}
	return best, ok
}

// rank is where a user's seniority stands in a past: the lower the more senior.
func (e *Entity) rank(p past, v voids, u keys.Digest) int {
	f := e.facts
	if u == f.reach.ops[0].User() {
		return -1
	}
	place := f.places(e.log)
	best := len(place)
	for _, n := range f.about[u] {
		if v[n] || !p.has(n) { // what a past says does not depend on what is outside
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
func (e *Entity) partial(p past, v voids, users ...keys.Digest) *State {
	f := e.facts
	if f.kind() == Me { // short, and all of it about one user
		return e.fold(p)
	}
	ns := slices.Clone(f.general)
	for _, u := range users {
		ns = append(ns, f.about[u]...)
	}
	for u := range f.handed {
		ns = append(ns, f.about[u]...)
	}
	ns = f.order(e.log, slices.DeleteFunc(ns, func(n int) bool { return v[n] || !p.has(n) }))
	s := f.founding()
	for _, n := range ns {
		if n > 0 {
			apply(s, f.reach.ops[n], f.bodies[n])
		}
	}
	return s
}
