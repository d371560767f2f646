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
	given := make(voids) // removals that turned out void
	for {
		v := maps.Clone(given)
		e.spread(p, v, slices.Sorted(maps.Keys(forked)))
		applied := make([]int, 0, len(clashes))
		again := false
		for _, r := range e.seniority(clashes, v) {
			if v[r] {
				continue
			}
			var hit []int
			for _, c := range clashes {
				if c.removal == r && !v[c.op] {
					hit = append(hit, c.op)
				}
			}
			e.spread(p, v, hit)
			applied = append(applied, r)
			for _, a := range applied {
				if v[a] && !given[a] { // it voided others, and is void itself: they are to be heard again
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

// spread makes ops void, and all whose author has no right to them without these.
func (e *Entity) spread(p past, v voids, ops []int) {
	f := e.facts
	for len(ops) > 0 {
		n := ops[0]
		ops = ops[1:]
		if v[n] {
			continue
		}
		v[n] = true
		for _, u := range subjects(f.reach.ops[n], f.bodies[n]) {
			for _, a := range f.acts[u] {
				if !v[a] && p.has(a) && f.reach.before(n, a) && !e.stands(a, v) {
					ops = append(ops, a)
				}
			}
		}
	}
}

// stands reports whether an op's author has the right to it in what is not void of
// the op's own past. An epoch stands: what was written under it must stay readable.
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
	return s.Speaks(o.User(), o.Device(), least)
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
func (e *Entity) seniority(clashes []conflict, v voids) []int {
	f := e.facts
	place := f.places(e.log)
	rank := func(u keys.Digest) int {
		if u == f.reach.ops[0].User() {
			return -1
		}
		best := len(place)
		for _, n := range f.about[u] {
			switch b := f.bodies[n].(type) {
			case *MasterAdd:
				if !v[n] {
					best = min(best, place[n])
				}
			case *MasterTransfer:
				if !v[n] && b.Party.User == u {
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
// knows them, the founder, and whether the entity has ended.
func (e *Entity) partial(p past, v voids, users ...keys.Digest) *State {
	f := e.facts
	if f.kind() == Me { // short, and all of it about one user
		return e.fold(p)
	}
	ns := slices.Clone(f.general)
	for _, u := range users {
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
