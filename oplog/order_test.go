package oplog_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pttnode/keys"
	"pttnode/oplog"
)

// branches returns the control ops of a few authors, each upon some of those before.
func branches(tb rapid.TB, n int, upon func(have int) []int) []oplog.Op {
	var ops []oplog.Op
	last := map[int]oplog.Op{}
	for i := range n {
		d := oplog.Draft{User: keys.Digest{2}, Strand: oplog.Control, Family: 5, Type: 99, At: time.UnixMilli(int64(i))}
		if i == 0 {
			d.Entity, d.Family, d.Type = keys.Digest{}, oplog.FamilyGenesis, 1
		} else {
			d.Entity = ops[0].ID()
			for _, p := range upon(i) {
				d.Parents = append(d.Parents, ops[p].ID())
			}
			slices.SortFunc(d.Parents, func(a, b keys.Digest) int { return slices.Compare(a[:], b[:]) })
			d.Parents = slices.Compact(d.Parents)
		}
		if p, ok := last[i%3]; ok {
			d.Seq, d.Prev = p.Seq()+1, p.ID()
		}
		o, err := oplog.Sign(keys.FromSeed([32]byte{byte(i%3 + 1)}), d)
		if err != nil {
			tb.Fatalf("Sign op %d: %v", i, err)
		}
		ops, last[i%3] = append(ops, o), o
	}
	return ops
}

// checkKept appends ops in an order that pick chooses, and asks for the order each time:
// it is the one that docs/PROTOCOL.md §2.6 describes.
func checkKept(tb rapid.TB, ops []oplog.Op, pick func(n int) int) {
	asked := oplog.NewLog(ops[0].ID())
	for rest := slices.Clone(ops); len(rest) > 0; {
		var ready []int
		for i, o := range rest {
			if len(asked.Missing(o)) == 0 {
				ready = append(ready, i)
			}
		}
		i := ready[pick(len(ready))]
		if _, err := asked.Append(rest[i]); err != nil {
			tb.Fatalf("Append: %v", err)
		}
		asked.All(oplog.Control)
		rest = slices.Delete(rest, i, i+1)
	}
	var want []oplog.Op
	out := map[keys.Digest]bool{{}: true} // the zero id is no prev
	for len(want) < len(ops) {
		var next *oplog.Op
		for _, o := range ops {
			ready := !out[o.ID()] && out[o.Prev()] && !slices.ContainsFunc(o.Parents(), func(p keys.Digest) bool { return !out[p] })
			if ready && (next == nil || slices.Compare(idOf(o), idOf(*next)) < 0) {
				next = &o
			}
		}
		want, out[next.ID()] = append(want, *next), true
	}
	got := slices.Collect(asked.All(oplog.Control))
	if !slices.EqualFunc(got, want, func(a, b oplog.Op) bool { return a.ID() == b.ID() }) {
		tb.Fatalf("another order than that of ids among %d ops", len(ops))
	}
}

func idOf(o oplog.Op) []byte {
	id := o.ID()
	return id[:]
}

// TestOrderKept: an op that comes beside others finds its place among them.
func TestOrderKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ops := branches(rt, rapid.IntRange(1, 60).Draw(rt, "ops"), func(have int) []int {
			return rapid.SliceOfN(rapid.IntRange(max(0, have-8), have-1), 1, 4).Draw(rt, "upon")
		})
		checkKept(rt, ops, func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "next") })
	})
}

// TestOrderFarBack: a long branch that comes after a long branch.
func TestOrderFarBack(t *testing.T) {
	t.Parallel()
	ops := branches(t, 1200, func(have int) []int { return []int{max(0, have-3)} }) // three branches
	checkKept(t, ops, func(int) int { return 0 })
	byBranch := slices.Concat(ops[:1])
	for b := range 3 {
		for i := 1; i < len(ops); i++ {
			if i%3 == b {
				byBranch = append(byBranch, ops[i])
			}
		}
	}
	checkKept(t, byBranch, func(int) int { return 0 })
}
