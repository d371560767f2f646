package entity

import (
	"slices"
	"sort"

	"pttnode/oplog"
)

// lines are ops, by number, in rows of which each has the one before it in its past. The
// ops of a device are one row, unless it writes beside itself. So what stands beside an op,
// and is in some past, is one piece of each row, and is found without a look at each.
type lines [][]int

// add puts an op, which is in the past of none here, at the end of the first row that
// takes it.
func (ls lines) add(r *reach, n int) lines {
	for i, row := range ls {
		if r.before(row[len(row)-1], n) {
			ls[i] = append(row, n)
			return ls
		}
	}
	return append(ls, []int{n})
}

// between returns of each row the piece from the first op that from accepts to the first
// that until accepts. Both accept all that comes after what they accept.
func (ls lines) between(from, until func(n int) bool) (pieces [][]int) {
	for _, row := range ls {
		if until(row[0]) {
			continue
		}
		row = row[sort.Search(len(row), func(i int) bool { return from(row[i]) }):]
		if row = row[:sort.Search(len(row), func(i int) bool { return until(row[i]) })]; len(row) > 0 {
			pieces = append(pieces, row)
		}
	}
	return pieces
}

// struck returns, in pieces, the ops of a past beside a removal in it that the removal
// voids, from where open accepts them, as it then does all that builds on them.
func (f *facts) struck(r int, p past, open func(n int) bool) (pieces [][]int) {
	var some []int
	for _, n := range f.hits[r] {
		if p.has(n) && open(n) {
			some = append(some, n)
		}
	}
	if some != nil {
		pieces = append(pieces, some)
	}
	for _, x := range removes(f.reach.ops[r], f.bodies[r]) {
		if x.device.IsZero() {
			continue
		}
		pieces = append(pieces, f.signed[Writer{x.user, x.device}].between(
			func(n int) bool { return n == r || !f.reach.before(n, r) && open(n) },
			func(n int) bool { return n == r || f.reach.before(r, n) || !p.has(n) })...)
	}
	return pieces
}

// clash files what stands beside an op and voids it, or is void by it.
func (f *facts) clash(n int, o oplog.Op, body any) {
	f.clashDrops(n, o, body)
	kind := f.kind()
	f.pairs = append(f.pairs, strikes(o, body))
	touched := map[int]bool{} // earlier ops that may clash with this one
	for _, u := range append(subjects(o, body), o.User()) {
		for _, list := range [][]int{f.about[u], f.acts[u]} {
			for _, m := range since(list, f.reach.joint[n]+1) {
				if (f.pairs[m] || f.pairs[n]) && m != n && !f.reach.before(m, n) {
					touched[m] = true
				}
			}
		}
	}
	for m := range touched {
		for _, pair := range [][2]int{{n, m}, {m, n}} {
			r, victim := pair[0], pair[1]
			ro, vo := f.reach.ops[r], f.reach.ops[victim]
			if slices.ContainsFunc(removes(ro, f.bodies[r]), func(x removal) bool { return x.device.IsZero() && x.hits(kind, vo, f.bodies[victim]) }) ||
				leaves(ro, f.bodies[r], f.bodies[victim]) {
				f.fileRemoval(r)
				f.hits[r] = append(f.hits[r], victim)
				f.lastClash = max(f.lastClash, n)
			}
		}
	}
}

// clashDrops files an op among those of its device, and what it takes from devices. Two
// devices of anybody's may drop each other as often as they like: no pairs are filed.
func (f *facts) clashDrops(n int, o oplog.Op, body any) {
	by := Writer{o.User(), o.Device()}
	f.signed[by] = f.signed[by].add(f.reach, n)
	if slices.ContainsFunc(since(f.drops[by], f.reach.joint[n]+1), func(r int) bool { return !f.reach.before(r, n) }) {
		f.lastClash = n
	}
	for _, x := range removes(o, body) {
		if x.device.IsZero() {
			continue
		}
		from := Writer{x.user, x.device}
		f.drops[from] = append(f.drops[from], n)
		f.fileRemoval(n)
		for _, row := range f.signed[from] {
			if last := row[len(row)-1]; last != n && !f.reach.before(last, n) {
				f.lastClash = n
			}
		}
	}
}

func (f *facts) fileRemoval(r int) {
	if at, filed := slices.BinarySearch(f.removals, r); !filed {
		f.removals = slices.Insert(f.removals, at, r)
	}
}

// strikes reports whether an op voids others beside it than those of a device.
func strikes(o oplog.Op, body any) bool {
	_, leave := body.(*Leave)
	return leave || slices.ContainsFunc(removes(o, body), func(x removal) bool { return x.device.IsZero() })
}
