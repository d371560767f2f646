package oplog_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"pttnode/keys"
	"pttnode/oplog"
)

// talk is a reconciliation from one side's opening to its end.
type talk struct {
	frames, bytes int
	a, b          *oplog.Reconciler // a begins
}

// reconcile has two sides talk until nothing is left to be said.
func reconcile(t testing.TB, mine, theirs []oplog.Place, salt oplog.Salt) talk {
	t.Helper()
	out := talk{a: oplog.NewReconciler(mine, salt), b: oplog.NewReconciler(theirs, salt)}
	say, want := out.a.Open(), []byte(nil)
	for turn := out.b; ; {
		out.frames++
		out.bytes += len(say) + len(want)
		if len(say) == 0 {
			if _, _, err := turn.Answer(say, want); err != nil {
				t.Fatal(err)
			}
			return out
		}
		if out.frames > 12 {
			t.Fatalf("still talking after %d frames", out.frames)
		}
		var err error
		if say, want, err = turn.Answer(say, want); err != nil {
			t.Fatal(err)
		}
		if turn == out.a {
			turn = out.b
		} else {
			turn = out.a
		}
	}
}

// line returns the places of n ops, each on top of the one before, and such as are on
// one side only.
func line(n int) []oplog.Place {
	out := make([]oplog.Place, n)
	for i := range out {
		out[i] = oplog.Place{Depth: 1<<40 + uint64(i), ID: sum(binary.BigEndian.AppendUint64(nil, uint64(i)))}
	}
	return out
}

// beside returns places with one more at each of some depths.
func beside(places []oplog.Place, name string, depths ...int) []oplog.Place {
	out := slices.Clone(places)
	for _, d := range depths {
		out = append(out, oplog.Place{Depth: 1<<40 + uint64(d), ID: sum(fmt.Append(nil, name, d))})
	}
	slices.SortFunc(out, func(a, b oplog.Place) int {
		if a.Depth != b.Depth {
			return int(a.Depth) - int(b.Depth)
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	return out
}

func ids(places []oplog.Place) map[keys.Digest]bool {
	out := make(map[keys.Digest]bool)
	for _, p := range places {
		out[p.ID] = true
	}
	return out
}

// only returns the ids of what is in one of two and not in the other, in its order.
func only(places, others []oplog.Place) (out []keys.Digest) {
	have := ids(others)
	for _, p := range places {
		if !have[p.ID] {
			out = append(out, p.ID)
		}
	}
	return out
}

// What docs/PERFORMANCE.md allows where 10 of 100,000 are missing on each side.
const (
	mostScattered = 12 << 10 // bytes, with the frames around the ranges
	mostRecent    = 2 << 10
	framesAround  = 200 // bytes of frames beside ranges and wants: entity, hash, salt, heads
	mostTurns     = 4   // frames before the operations of the side that began; its own are the fifth
)

// TestRangesCost: 10 missing on each side of 100,000, anywhere and at the end.
func TestRangesCost(t *testing.T) {
	all := line(100_000)
	worst := 0
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 1))
		scattered := func(name string) []oplog.Place {
			var at []int
			for range 10 {
				at = append(at, rng.IntN(len(all)))
			}
			return beside(all, name, at...)
		}
		mine, theirs := scattered("mine"), scattered("theirs")
		got := reconcile(t, mine, theirs, oplog.Salt{byte(seed)})
		checkTalk(t, got, mine, theirs)
		worst = max(worst, got.bytes)
		if got.frames > mostTurns || got.bytes+framesAround > mostScattered {
			t.Errorf("scattered, seed %d: %d frames, %d bytes", seed, got.frames, got.bytes)
		}
	}
	var end []int
	for i := range 10 {
		end = append(end, len(all)+i)
	}
	mine, theirs := beside(all, "mine", end...), beside(all, "theirs", end...)
	got := reconcile(t, mine, theirs, oplog.Salt{})
	checkTalk(t, got, mine, theirs)
	if got.bytes+framesAround > mostRecent {
		t.Errorf("recent: %d frames, %d bytes", got.frames, got.bytes)
	}
	t.Logf("scattered at most %d bytes, recent %d in %d frames", worst, got.bytes, got.frames)
}

// checkTalk checks that both sides know what the other lacks.
func checkTalk(t testing.TB, got talk, mine, theirs []oplog.Place) {
	t.Helper()
	if g, w := got.a.Lacking(), only(mine, theirs); !slices.Equal(g, w) {
		t.Fatalf("the other side lacks %d, want %d", len(g), len(w))
	}
	if g, w := got.b.Lacking(), only(theirs, mine); !slices.Equal(g, w) {
		t.Fatalf("the side that began lacks %d, want %d", len(g), len(w))
	}
}

// TestRanges: whatever two parts of a history have, they come to the same, and what
// one lacks comes in an order in which it can be appended.
func TestRanges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawHistory(t, rt)
		a, b := p.nodes[0], p.nodes[1]
		got := reconcile(t, a.Places(), b.Places(), oplog.Salt{1})
		checkTalk(t, got, a.Places(), b.Places())
		move := func(from, to *oplog.Log, lacking []keys.Digest) {
			for _, id := range lacking {
				o, _ := from.Get(id)
				if _, err := to.Append(o); err != nil {
					rt.Fatalf("%v at once: %v", o.ID(), err)
				}
			}
		}
		toB, toA := got.a.Lacking(), got.b.Lacking()
		move(a, b, toB)
		move(b, a, toA)
		if a.Vector().Hash(a.Entity()) != b.Vector().Hash(b.Entity()) {
			rt.Fatal("the logs differ")
		}
		if !slices.Equal(a.Places(), b.Places()) {
			rt.Fatal("the places, kept while ops were appended, differ")
		}
	})
}

// TestRangesSizes: every size of either side around the bounds of lists and parts, with
// nothing, a little or everything in common.
func TestRangesSizes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 15, 16, 17, 47, 48, 49, 64, 65, 200, 5000} {
		for _, m := range []int{0, 1, 16, 17, 48, 49, 65, 3000} {
			all := line(max(n, m))
			for _, pair := range [][2][]oplog.Place{
				{all[:n], all[:m]}, // one begins as the other
				{everySecond(all[:n], 0), everySecond(all[:m], 1)},
				{all[:n], beside(nil, "other", upTo(m)...)}, // nothing in common
			} {
				checkTalk(t, reconcile(t, pair[0], pair[1], oplog.Salt{2}), pair[0], pair[1])
			}
		}
	}
}

func everySecond(places []oplog.Place, from int) (out []oplog.Place) {
	for i := from; i < len(places); i += 2 {
		out = append(out, places[i])
	}
	return out
}

func upTo(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

// TestRangesOneDepth: ops beside each other stand at one depth and are told apart by id.
func TestRangesOneDepth(t *testing.T) {
	var all []oplog.Place
	for i := range 3000 {
		all = append(all, oplog.Place{Depth: 7, ID: sum(binary.BigEndian.AppendUint64(nil, uint64(i)))})
	}
	slices.SortFunc(all, func(a, b oplog.Place) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	mine, theirs := slices.Delete(slices.Clone(all), 1000, 1003), slices.Delete(slices.Clone(all), 2000, 2001)
	checkTalk(t, reconcile(t, mine, theirs, oplog.Salt{3}), mine, theirs)
}

// TestRangesTooMany: what does not fit one reconciliation is found by the next ones, and
// no frame is larger than its bound.
func TestRangesTooMany(t *testing.T) {
	mine, theirs := line(60_000), beside(nil, "other", upTo(60_000)...)
	for round := 1; ; round++ {
		got := reconcile(t, mine, theirs, oplog.Salt{byte(round)})
		if most := got.bytes / got.frames; most > 512<<10 {
			t.Fatalf("frames of %d bytes", most)
		}
		toThem, toUs := got.a.Lacking(), got.b.Lacking()
		if len(only(mine, theirs)) == 0 && len(only(theirs, mine)) == 0 {
			t.Logf("%d reconciliations", round)
			return
		}
		if len(toThem)+len(toUs) == 0 || round > 20 {
			t.Fatalf("round %d brings nothing", round)
		}
		mine, theirs = joined(mine, theirs, toUs), joined(theirs, mine, toThem)
	}
}

// joined adds what is named of others.
func joined(places, others []oplog.Place, named []keys.Digest) []oplog.Place {
	add := make(map[keys.Digest]bool)
	for _, id := range named {
		add[id] = true
	}
	out := slices.Clone(places)
	for _, p := range others {
		if add[p.ID] {
			out = append(out, p)
		}
	}
	return beside(out, "")
}

// TestRangesSalt: two sets that look the same under one salt, if somebody found such, do
// not under the next.
func TestRangesSalt(t *testing.T) {
	all := line(500)
	a, b := oplog.NewReconciler(all, oplog.Salt{1}).Open(), oplog.NewReconciler(all, oplog.Salt{2}).Open()
	if len(a) != len(b) || bytes.Equal(a, b) {
		t.Error("the same sums under two salts")
	}
}

// TestAttackRanges: ranges and wants that nobody sends.
func TestAttackRanges(t *testing.T) {
	all := line(200)
	good := oplog.NewReconciler(all, oplog.Salt{}).Open()
	for what, c := range map[string]struct{ ranges, wants []byte }{
		"cut off":               {good[:len(good)-1], nil},
		"more behind":           {append(slices.Clone(good), 0), nil},
		"a bound that is back":  {append(slices.Clone(good), good...), nil},
		"a kind of none":        {[]byte{1, 3}, nil},
		"a step not shortest":   {[]byte{0x81, 0, 0}, nil},
		"beyond all depths":     {append(binary.AppendUvarint(nil, 1<<42), 0), nil},
		"a prefix of 33 bytes":  {append([]byte{1, 33 << 2}, make([]byte, 33)...), nil},
		"a list that is longer": {[]byte{1, 2, 0xff, 0xff, 0xff, 0xff, 1}, nil},
		"half a want":           {nil, make([]byte, 5)},
		"a want never listed":   {nil, make([]byte, 6)},
	} {
		r := oplog.NewReconciler(all, oplog.Salt{})
		if reply, want, err := r.Answer(c.ranges, c.wants); !errors.Is(err, oplog.ErrRanges) {
			t.Errorf("%s: %d, %d bytes, %v; want ErrRanges", what, len(reply), len(want), err)
		}
	}
}

func FuzzRanges(f *testing.F) {
	all := line(300)
	f.Add(oplog.NewReconciler(all, oplog.Salt{}).Open(), []byte{})
	f.Add(oplog.NewReconciler(all[:100], oplog.Salt{}).Open(), []byte{})
	f.Add([]byte{1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{})
	f.Fuzz(func(t *testing.T, ranges, wants []byte) {
		r := oplog.NewReconciler(all, oplog.Salt{})
		reply, want, err := r.Answer(ranges, wants)
		if err != nil {
			return
		}
		if len(want)%6 != 0 || len(want) > len(ranges) {
			t.Errorf("wants %d bytes of %d", len(want), len(ranges))
		}
		// What was said is understood by the other side, also by one that has nothing.
		if _, _, err := oplog.NewReconciler(nil, oplog.Salt{}).Answer(reply, nil); err != nil {
			t.Errorf("its own reply: %v", err)
		}
		if n := len(r.Lacking()); n > len(all) {
			t.Errorf("lacks %d of %d", n, len(all))
		}
	})
}
