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
		v := maps.Clone(given)
		maps.Copy(v, forked)
		e.rest(v, touched, nil)
		applied := make([]int, 0, len(clashes))
		again := false
		for _, r := range e.seniority(p, clashes, v) {
			if v[r] {
				continue
			}
			var hit []int
			for _, c := range clashes {
				if c.removal == r && !v[c.op] {
					hit = append(hit, c.op)
					v[c.op] = true
				}
			}
			e.rest(v, touched, hit)
			applied = append(applied, r)
			for _, a := range applied {
				if v[a] { // it voided others, and is void itself: they are to be heard again
					given[a], again = true, true
				}
			}
			if again {
				break
			}
		}
		if !again {
			return v
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

// rest makes void what has lost its right to what became void in hit, or to anything
// where hit is nil. What an op rests on comes before it in touched.
func (e *Entity) rest(v voids, touched, hit []int) {
	f := e.facts
	changed := make(map[keys.Digest]bool) // users of whom something became void
	mark := func(n int) {
		for _, u := range subjects(f.reach.ops[n], f.bodies[n]) {
			changed[u] = true
		}
	}
	for _, n := range hit {
		mark(n)
	}
	for _, n := range touched {
		o := f.reach.ops[n]
		concerned := hit == nil || changed[o.User()] ||
			slices.ContainsFunc(subjects(o, f.bodies[n]), func(u keys.Digest) bool { return changed[u] })
		if !v[n] && concerned && !e.stands(n, v) {
			v[n] = true
			mark(n)
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

// seniority returns the removals that clash, by the seniority of their authors: the
// founder, then the masters in the order in which they were first added, then the
// others; of one author in the log's order.
func (e *Entity) seniority(p past, clashes []conflict, v voids) []int {
	f := e.facts
	place := f.places(e.log)
	rank := func(u keys.Digest) int {
		if u == f.reach.ops[0].User() {
			return -1
		}
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
	var rs []int
	for _, c := range clashes {
		rs = append(rs, c.removal)
	}
	slices.Sort(rs)
	rs = slices.Compact(rs)
	slices.SortFunc(rs, func(a, b int) int {
		if d := rank(f.reach.ops[a].User()) - rank(f.reach.ops[b].User()); d != 0 {
			return d
		}
		return place[a] - place[b]
	})
	return rs
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
