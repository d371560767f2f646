package oplog_test

import (
	"container/heap"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// naiveOrder is the order of docs/PROTOCOL.md §2.6 by its definition: again and again
// the op with the lowest id of those of which all that they build on is out.
func naiveOrder(ops []oplog.Op) []keys.Digest {
	waits := make(map[keys.Digest]int)
	children := make(map[keys.Digest][]keys.Digest)
	ready := &idHeap{}
	for _, o := range ops {
		on := slices.Clone(o.Parents())
		if p := o.Prev(); !p.IsZero() && !slices.Contains(on, p) {
			on = append(on, p)
		}
		for _, p := range on {
			children[p] = append(children[p], o.ID())
		}
		if waits[o.ID()] = len(on); len(on) == 0 {
			heap.Push(ready, o.ID())
		}
	}
	var out []keys.Digest
	for ready.Len() > 0 {
		id := heap.Pop(ready).(keys.Digest)
		out = append(out, id)
		for _, c := range children[id] {
			if waits[c]--; waits[c] == 0 {
				heap.Push(ready, c)
			}
		}
	}
	return out
}

type idHeap []keys.Digest

func (h idHeap) Len() int           { return len(h) }
func (h idHeap) Less(i, j int) bool { return oplogtest.Compare(h[i], h[j]) < 0 }
func (h idHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *idHeap) Push(x any)        { *h = append(*h, x.(keys.Digest)) }
func (h *idHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func idsOf(ops []oplog.Op) []keys.Digest {
	out := make([]keys.Digest, len(ops))
	for i, o := range ops {
		out[i] = o.ID()
	}
	return out
}

// checkNaive compares the order of a log, forward and backward, with the naive one.
func checkNaive(tb rapid.TB, l *oplog.Log, s oplog.Strand, ops []oplog.Op) {
	tb.Helper()
	want, got := naiveOrder(ops), idsOf(slices.Collect(l.All(s)))
	if len(want) != len(ops) {
		tb.Fatalf("the test's own order has %d of %d ops", len(want), len(ops))
	}
	if !slices.Equal(got, want) {
		tb.Fatalf("another order than that of ids among %d ops", len(ops))
	}
	back := idsOf(slices.Collect(l.Backward(s)))
	if slices.Reverse(back); !slices.Equal(back, want) {
		tb.Fatalf("backward another order than forward among %d ops", len(ops))
	}
}

// graph builds the control ops of one entity as a test wants them.
type graph struct {
	tb  rapid.TB
	ops []oplog.Op
}

func newGraph(tb rapid.TB) *graph {
	g := &graph{tb: tb}
	g.add(1, nil, -1, nil)
	return g
}

// add signs an op of a device upon ops by their places, with one of them as prev, -1 for
// none. With best, which says which of two ids is better, it is the best of eight.
func (g *graph) add(device byte, parents []int, prev int, best func(id, than keys.Digest) bool) int {
	d := oplog.Draft{User: keys.Digest{2}, Strand: oplog.Control, Family: oplog.FamilyPolicy, Type: 99, At: time.UnixMilli(1)}
	if len(g.ops) == 0 {
		d.Family, d.Type = oplog.FamilyGenesis, 1
	} else {
		d.Entity = g.ops[0].ID()
	}
	for _, p := range parents {
		d.Parents = append(d.Parents, g.ops[p].ID())
	}
	slices.SortFunc(d.Parents, oplogtest.Compare)
	d.Parents = slices.Compact(d.Parents)
	if prev >= 0 {
		d.Seq, d.Prev = g.ops[prev].Seq()+1, g.ops[prev].ID()
	}
	tries := 1
	if best != nil {
		tries = 8
	}
	var chosen oplog.Op
	for i := range tries {
		d.Body = binary.BigEndian.AppendUint32(nil, uint32(len(g.ops)<<4+i))
		o, err := oplog.Sign(keys.FromSeed([32]byte{device}), d)
		if err != nil {
			g.tb.Fatalf("Sign op %d: %v", len(g.ops), err)
		}
		if chosen.IsZero() || best(o.ID(), chosen.ID()) {
			chosen = o
		}
	}
	g.ops = append(g.ops, chosen)
	return len(g.ops) - 1
}

// lower and higher choose ids, as somebody does who signs an op several times.
func lower(id, than keys.Digest) bool  { return oplogtest.Compare(id, than) < 0 }
func higher(id, than keys.Digest) bool { return oplogtest.Compare(id, than) > 0 }

// shape says what graphs are drawn.
type shape struct {
	reach  int // ops before it among which an op finds its parents
	forks  int // of 100 ops, those that may fork a chain
	chosen int // of 100 ops, those whose id is chosen
}

// drawGraph draws ops of four devices upon some of those before, near or far back, whose
// chains fork, whose prev need not be among the ancestors of their parents, and whose ids
// are chosen high or low.
func drawGraph(tb rapid.TB, n int, in shape, rng *rand.Rand) []oplog.Op {
	g := newGraph(tb)
	chains := make([][]int, 4)
	chains[0] = []int{0}
	for len(g.ops) < n {
		c := rng.IntN(len(chains))
		prev := -1
		if chain := chains[c]; len(chain) > 0 {
			prev = chain[len(chain)-1]
			if rng.IntN(100) < in.forks {
				prev = chain[rng.IntN(len(chain))]
			}
		}
		var parents []int
		for range 1 + rng.IntN(3) {
			parents = append(parents, len(g.ops)-1-rng.IntN(min(in.reach, len(g.ops))))
		}
		var best func(id, than keys.Digest) bool
		if rng.IntN(100) < in.chosen {
			best = []func(id, than keys.Digest) bool{lower, higher}[rng.IntN(2)]
		}
		chains[c] = append(chains[c], g.add(byte(c+1), parents, prev, best))
	}
	return g.ops
}

// arrival puts ops in an order in which they can be appended: that of pick among those
// that can come next.
func arrival(ops []oplog.Op, pick func(n int) int) []oplog.Op {
	waits := make(map[keys.Digest]int)
	children := make(map[keys.Digest][]oplog.Op)
	var ready, out []oplog.Op
	for _, o := range ops {
		on := append(slices.Clone(o.Parents()), o.Auth()...)
		if p := o.Prev(); !p.IsZero() && !slices.Contains(on, p) {
			on = append(on, p)
		}
		for _, p := range on {
			children[p] = append(children[p], o)
		}
		if waits[o.ID()] = len(on); len(on) == 0 {
			ready = append(ready, o)
		}
	}
	for len(ready) > 0 {
		i := pick(len(ready))
		o := ready[i]
		ready[i] = ready[len(ready)-1]
		ready, out = ready[:len(ready)-1], append(out, o)
		for _, c := range children[o.ID()] {
			if waits[c.ID()]--; waits[c.ID()] == 0 {
				ready = append(ready, c)
			}
		}
	}
	return out
}

// picks are ways in which ops come: as they may, depth first, breadth first.
func picks(rng *rand.Rand) []func(n int) int {
	return []func(n int) int{rng.IntN, func(n int) int { return n - 1 }, func(int) int { return 0 }}
}

// TestOrderNaive: whatever the ops and the order in which they come, their order is the
// naive one, at each step.
func TestOrderNaive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		in := shape{
			reach:  rapid.SampledFrom([]int{1, 3, 20, 1 << 20}).Draw(rt, "reach"),
			forks:  rapid.SampledFrom([]int{0, 2, 30}).Draw(rt, "forks"),
			chosen: rapid.SampledFrom([]int{0, 50, 100}).Draw(rt, "chosen"),
		}
		ops := drawGraph(rt, rapid.IntRange(1, 60).Draw(rt, "ops"), in, rng)
		come := arrival(ops, rapid.SampledFrom(picks(rng)).Draw(rt, "arrival"))
		if len(come) != len(ops) {
			rt.Fatalf("%d of %d ops come", len(come), len(ops))
		}
		l := oplog.NewLog(ops[0].ID())
		for i, o := range come {
			if _, err := l.Append(o); err != nil {
				rt.Fatalf("Append: %v", err)
			}
			checkNaive(rt, l, oplog.Control, come[:i+1])
		}
	})
}

// TestOrderOfManyBlocks: over 2,000 ops, so that blocks are cut, at the end and in the
// middle, in each way in which they may come.
func TestOrderOfManyBlocks(t *testing.T) {
	t.Parallel()
	n := 2600
	if raceEnabled {
		n = 1300
	}
	for seed, in := range []shape{{1, 0, 0}, {3, 2, 100}, {20, 30, 50}, {1 << 20, 2, 50}} {
		rng := rand.New(rand.NewPCG(uint64(seed), 2))
		ops := drawGraph(t, n, in, rng)
		for way, pick := range picks(rng) {
			come := arrival(ops, pick)
			l := oplog.NewLog(ops[0].ID())
			for i, o := range come {
				if _, err := l.Append(o); err != nil {
					t.Fatalf("%+v, way %d: Append: %v", in, way, err)
				}
				if i%500 == 499 {
					checkNaive(t, l, oplog.Control, come[:i+1])
				}
			}
			checkNaive(t, l, oplog.Control, come)
			checkSorted(t, l, rng)
		}
	}
}

// checkSorted: Lacks gives any part of a log in the log's order.
func checkSorted(t *testing.T, l *oplog.Log, rng *rand.Rand) {
	t.Helper()
	place := make(map[keys.Digest]int)
	for o := range l.All(oplog.Control) {
		place[o.ID()] = len(place)
	}
	for range 5 {
		var theirs oplog.Vector
		for _, h := range l.Vector() {
			if rng.IntN(2) == 0 {
				theirs = append(theirs, h)
			}
		}
		last := -1
		for _, o := range l.Lacks(theirs) {
			if place[o.ID()] <= last {
				t.Fatalf("%v is out of order", o.ID())
			}
			last = place[o.ID()]
		}
	}
}

// TestOrderOfBranches: long branches that come one after the other.
func TestOrderOfBranches(t *testing.T) {
	t.Parallel()
	g := newGraph(t)
	const branches, long = 3, 400
	var tips [branches]int
	for i := range branches * long {
		b := i % branches
		prev := tips[b]
		if i < branches {
			prev = -1
		}
		tips[b] = g.add(byte(b+1+1), []int{tips[b]}, prev, nil)
	}
	come := g.ops[:1:1]
	for b := range branches {
		for i := range long {
			come = append(come, g.ops[1+i*branches+b])
		}
	}
	l := oplog.NewLog(g.ops[0].ID())
	for i, o := range come {
		if _, err := l.Append(o); err != nil {
			t.Fatalf("Append %d: %v", i, err)
		}
	}
	checkNaive(t, l, oplog.Control, g.ops)
}

// TestOrderOfAdversary: ids that ascend, descend and alternate, all upon one op: each
// belongs at the end, at the beginning or in the middle of what is there.
func TestOrderOfAdversary(t *testing.T) {
	t.Parallel()
	n := 2000
	if raceEnabled {
		n = 600
	}
	g := newGraph(t)
	for i := range n {
		g.add(byte(2+i%200), []int{0}, -1, nil)
	}
	sorted := slices.Clone(g.ops[1:])
	slices.SortFunc(sorted, func(a, b oplog.Op) int { return oplogtest.Compare(a.ID(), b.ID()) })
	descending := slices.Clone(sorted)
	slices.Reverse(descending)
	var alternate []oplog.Op
	for i := range n / 2 {
		alternate = append(alternate, sorted[i], sorted[n-1-i])
	}
	for name, come := range map[string][]oplog.Op{"ascending": sorted, "descending": descending, "alternating": alternate} {
		l := oplog.NewLog(g.ops[0].ID())
		for _, o := range append(g.ops[:1:1], come...) {
			if _, err := l.Append(o); err != nil {
				t.Fatalf("%s: Append: %v", name, err)
			}
		}
		if got := idsOf(slices.Collect(l.All(oplog.Control)))[1:]; !slices.Equal(got, idsOf(sorted)) {
			t.Errorf("%s: another order than that of ids", name)
		}
		var tops []oplog.Op // one upon each of the first and last, which are in other blocks
		for i, p := range []int{0, n - 1, n / 2} {
			at := slices.IndexFunc(g.ops, sorted[p].Is)
			tops = append(tops, g.ops[g.add(byte(230+i), []int{at}, -1, nil)])
		}
		for _, o := range tops {
			if _, err := l.Append(o); err != nil {
				t.Fatalf("%s: Append: %v", name, err)
			}
		}
		checkNaive(t, l, oplog.Control, slices.Concat(g.ops[:1], sorted, tops))
	}
}

// TestPlaces: places are those of the definition, sorted, kept while ops come; who has
// the old ones keeps them as they were.
func TestPlaces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawHistory(t, rt)
		come := p.all()
		ask := rapid.SliceOfN(rapid.Bool(), len(come), len(come)).Draw(rt, "asked for")
		l := oplog.NewLog(p.genesis.ID())
		type had struct {
			places, copied []oplog.Place
			side           *oplog.Reconciler
			says           []byte
		}
		var old []had
		for i, o := range come {
			if _, err := l.Append(o); err != nil {
				rt.Fatalf("Append: %v", err)
			}
			if !ask[i] {
				continue
			}
			places := l.Places()
			if want := naivePlaces(come[:i+1]); !slices.Equal(places, want) {
				rt.Fatalf("%d places, other than %d of the definition", len(places), len(want))
			}
			old = append(old, had{
				places, slices.Clone(places), oplog.NewReconciler(places, oplog.Salt{1}), oplog.NewReconciler(places, oplog.Salt{1}).Open(),
			})
		}
		for _, h := range old {
			if !slices.Equal(h.places, h.copied) || !slices.Equal(h.side.Open(), h.says) {
				rt.Fatal("places that were handed out changed")
			}
		}
	})
}

// naivePlaces are the places of ops, which are in an order in which they can be appended.
func naivePlaces(ops []oplog.Op) []oplog.Place {
	depth := map[keys.Digest]uint64{}
	var out []oplog.Place
	for _, o := range ops {
		var d uint64
		if o.Strand() == oplog.Content {
			d = 1 << 40
		}
		for _, p := range append(slices.Clone(o.Parents()), o.Prev()) {
			if !p.IsZero() {
				d = max(d, depth[p]+1)
			}
		}
		depth[o.ID()] = d
		out = append(out, oplog.Place{Depth: d, ID: o.ID()})
	}
	slices.SortFunc(out, func(a, b oplog.Place) int {
		if a.Depth != b.Depth {
			return int(a.Depth) - int(b.Depth)
		}
		return oplogtest.Compare(a.ID, b.ID)
	})
	return out
}
