package entity_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// counted says of which of some entries it is so that they count, as "110" for the first two
// of three.
func (w *world) counted(ops []oplog.Op) string {
	var b bytes.Buffer
	for _, o := range ops {
		if w.Counts(o) {
			b.WriteByte('1')
		} else {
			b.WriteByte('0')
		}
	}
	return b.String()
}

// furtherCut is a RESET that says of a device that is none of its chain's how much counts.
func (w *world) furtherCut(c *chain.Chain, n uint64, device string, stay ...string) chain.Reset {
	b := w.resetOf(c, 0, stay...)
	b.Cuts = append(b.Cuts, chainCuts(n, device)...)
	slices.SortStableFunc(b.Cuts, func(x, y chain.Cut) int { return bytes.Compare(x.Device[:], y.Device[:]) })
	return b
}

// TestOwnCuts: of the content of a device that went what its removal says counts, of one that
// came to a branch that lost what the RESET says, and of one in the set all.
func TestOwnCuts(t *testing.T) {
	t.Parallel()
	base := meOf(t, "second")
	f := base.Who(t, "founder")
	// The third is of a branch that lost, and wrote there.
	lost := base.clone(t)
	lost.put(t, f, addOf(lost.chain(), "third"))
	var posts []oplog.Op
	for range 4 {
		posts = append(posts, lost.noted(t, "third"))
	}
	lostTo := func(reset func(w *world) chain.Reset) *world {
		w := base.clone(t)
		w.put(t, recovery(f), reset(w))
		both(t, w, lost.clone(t))
		return w
	}
	check := func(what string, w *world, want string) {
		t.Helper()
		if got := w.counted(posts); got != want {
			t.Errorf("%s: of the entries count %s, want %s", what, got, want)
		}
		checkMe(t, w.Entity)
		checkAgrees(t, w.Entity)
	}
	check("nothing is said of it", lostTo(func(w *world) chain.Reset { return w.resetOf(w.chain(), 9, "fourth") }), "0000")
	for n := range uint64(5) {
		w := lostTo(func(w *world) chain.Reset { return w.furtherCut(w.chain(), n, "third", "fourth") })
		check(fmt.Sprintf("the RESET says %d", n), w, "1111"[:n]+"0000"[n:])
	}

	// It comes again, then goes; a later RESET says nothing of it any more.
	w := lostTo(func(w *world) chain.Reset { return w.furtherCut(w.chain(), 1, "third", "fourth") })
	fourth := w.on(t, "fourth")
	w.put(t, fourth, addOf(w.chain(), "third"))
	check("added", w, "1111")
	again := w.clone(t)
	w.put(t, fourth, w.removeOf(w.chain(), "third", 2))
	check("removed", w, "1100")
	w.put(t, recovery(f), w.furtherCut(w.chain(), 3, "third", "fourth"))
	check("a cut of who was removed", w, "1100")
	w.put(t, recovery(f), w.furtherCut(w.chain(), 0, "third", "fourth"))
	check("another", w, "1100")
	again.put(t, recovery(f), again.resetOf(again.chain(), 3, "fourth"))
	check("gone by a RESET", again, "1110")

	// The same where nobody brought the branch that lost.
	alone := base.clone(t)
	alone.put(t, recovery(f), alone.furtherCut(alone.chain(), 1, "third", "fourth"))
	alone.put(t, fourth, addOf(alone.chain(), "third"))
	if n := len(alone.State().Cuts); n != 2 { // of the two that the RESET took out
		t.Errorf("%d cuts with the third in the set, want none of it", n)
	}
	checkAgrees(t, alone.Entity)

	// Two RESETs of its branch that say of it how much counts: the last one.
	w = lostTo(func(w *world) chain.Reset { return w.furtherCut(w.chain(), 1, "third", "fourth") })
	w.put(t, recovery(f), w.furtherCut(w.chain(), 3, "third", "fourth"))
	check("two say it", w, "1110")
}

// TestOwnCutsForked: in a fork counts what some branch leaves a device.
func TestOwnCutsForked(t *testing.T) {
	t.Parallel()
	remove := func(n uint64) func(w *world) any {
		return func(w *world) any { return w.removeOf(w.chain(), "second", n) }
	}
	add := func(name string) func(w *world) any { return func(w *world) any { return addOf(w.chain(), name) } }
	for _, c := range []struct {
		name   string
		before func(w *world) any // in both
		sides  []func(w *world) any
		want   string
	}{
		{"one branch keeps it", nil, []func(w *world) any{remove(1), add("third")}, "1111"},
		{"each removes it", nil, []func(w *world) any{remove(1), remove(3)}, "1110"},
		{"each of three removes it", nil, []func(w *world) any{remove(2), remove(0), remove(1)}, "1100"},
		{"both had removed it", remove(2), []func(w *world) any{add("third"), add("fourth")}, "1100"},
	} {
		base := meOf(t, "second")
		f := base.Who(t, "founder")
		var posts []oplog.Op
		for range 4 {
			posts = append(posts, base.noted(t, "second"))
		}
		if c.before != nil {
			base.put(t, f, c.before(base))
		}
		var ops []oplog.Op
		for _, s := range c.sides {
			ops = append(ops, base.draw(t, f, s(base)))
		}
		w := arrivals(t, base, ops)
		if got := w.counted(posts); got != c.want || len(w.Person().Fork) != len(ops) {
			t.Errorf("%s: of the entries count %s, want %s; %d branches", c.name, got, c.want, len(w.Person().Fork))
		}
	}

	// A RESET had said it before they part, of who is in neither; one of them says it again.
	base := meOf(t, "second")
	f := base.Who(t, "founder")
	lost := base.clone(t)
	lost.put(t, f, addOf(lost.chain(), "third"))
	posts := []oplog.Op{lost.noted(t, "third"), lost.noted(t, "third"), lost.noted(t, "third")}
	base.put(t, recovery(f), base.furtherCut(base.chain(), 2, "third", "fourth"))
	both(t, base, lost)
	for want, n := range map[string]uint64{"110": 1, "111": 3} {
		w := arrivals(t, base, []oplog.Op{
			base.draw(t, recovery(f), base.furtherCut(base.chain(), n, "third", "fourth")),
			base.draw(t, recovery(f), base.resetOf(base.chain(), 0, "fourth", "fifth")),
		})
		if got := w.counted(posts); got != want {
			t.Errorf("one of two branches says %d, both had said 2: count %s, want %s", n, got, want)
		}
	}
	w := arrivals(t, base, []oplog.Op{
		base.draw(t, recovery(f), base.furtherCut(base.chain(), 1, "third", "fourth")),
		base.draw(t, recovery(f), base.furtherCut(base.chain(), 0, "third", "fourth", "fifth")),
	})
	if got := w.counted(posts); got != "100" {
		t.Errorf("two branches say 1 and 0, both had said 2: count %s, want 100", got)
	}
}

// TestEpochNamesBeside: an epoch of a removal that names one beside it is not written with,
// and leaves that one as it is, whichever comes first.
func TestEpochNamesBeside(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second")
	f := w.Who(t, "founder")
	p := w.Who(t, "second")
	outside := sign(t, p, w.Draft(p, oplog.Control, oplog.FamilyOpKey, 1, w.nextEpoch()))
	b := w.removeOf(w.chain(), "second", 0)
	b.Epoch.Replaces, b.Epoch.Depth = []keys.Digest{outside.ID()}, 3
	removal := w.draw(t, f, b)
	x := arrivals(t, w, []oplog.Op{outside, removal})
	if i := x.State().Epochs[removal.ID()]; !i.Void {
		t.Errorf("the epoch of the removal is %+v", i)
	}
	if i := x.State().Epochs[outside.ID()]; i.Void || i.Replaced {
		t.Errorf("the epoch beside it is %+v", i)
	}
}

// TestManyBranches: a copy of the device that decides signs many ops at one place. To take one
// more costs about what the others did.
func TestManyBranches(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second", "third")
	f := w.Who(t, "founder")
	for i := 0; w.chain().Bytes() < chain.OpenBytes/2; i++ {
		w.put(t, f, classOf(w.chain(), "second", chain.Class(2+i%2)))
	}
	var ops []oplog.Op
	for i := range 300 {
		var body any = classOf(w.chain(), "second", chain.Class(5+i))
		if i >= 200 {
			body = w.removeOf(w.chain(), "third", uint64(i))
		}
		ops = append(ops, w.draw(t, f, body))
	}
	checked := signatures(t, ops)
	start := time.Now()
	for _, o := range ops {
		checkAdded(t, w.Entity, o)
		w.State()
	}
	took := time.Since(start)
	if v := w.Person(); len(v.Fork) != len(ops) || !w.devicesAre("founder", "second") {
		t.Fatalf("%d branches, devices %+v", len(v.Fork), w.State().Devices)
	}
	t.Logf("%d branches in %v, their signatures take %v", len(ops), took, checked)
	if !raceEnabled && took > 100*checked {
		t.Errorf("%d branches take %v, their signatures %v", len(ops), took, checked)
	}
	checkAgrees(t, w.Entity)
}
