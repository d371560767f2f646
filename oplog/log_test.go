package oplog_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

func sum(b []byte) keys.Digest { return sha256.Sum256(b) }

// sign signs a draft as the device called name, or fails the test.
func sign(t testing.TB, name string, d oplog.Draft) oplog.Op {
	t.Helper()
	if d.User.IsZero() {
		d.User = sum([]byte("user " + strings.ToUpper(name)))
	}
	o, err := oplog.Sign(oplogtest.Device(name), d)
	if err != nil {
		t.Fatalf("Sign by %s: %v", name, err)
	}
	return o
}

// called returns what an op drawn by these tests is called: its body.
func called(o oplog.Op) string { return string(o.Body()) + string(o.Control()) }

// checkRefused: an op that does not fit changes nothing.
func checkRefused(t *testing.T, l *oplog.Log, o oplog.Op, want error) {
	t.Helper()
	before, n := l.Vector(), l.Len()
	heads := slices.Concat(l.Heads(oplog.Control), l.Heads(oplog.Content))
	if added, err := l.Append(o); !errors.Is(err, want) || added {
		t.Errorf("Append(%s) = %v, %v, want %v", called(o), added, err, want)
	}
	if err := l.Check(o); !errors.Is(err, want) {
		t.Errorf("Check(%s) = %v, want %v", called(o), err, want)
	}
	if left := oplogtest.AppendAll(l, []oplog.Op{o}); len(left) != 1 {
		t.Errorf("AppendAll(%s) left %d, want it", called(o), len(left))
	}
	if !slices.Equal(before, l.Vector()) || l.Len() != n || !slices.Equal(heads, slices.Concat(l.Heads(oplog.Control), l.Heads(oplog.Content))) {
		t.Errorf("a refused %s changed the log", called(o))
	}
	if _, ok := l.Get(o.ID()); ok {
		t.Errorf("Get(%s) finds a refused op", called(o))
	}
}

func TestAppend(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, `
		A0 -> A1 -> B0
		a0 -> b0
	`)
	l := oplog.NewLog(d.Entity())
	for _, o := range d.Ops("") {
		if _, ok := l.Get(o.ID()); ok {
			t.Errorf("Get(%s) before Append", called(o))
		}
		if added, err := l.Append(o); !added || err != nil {
			t.Errorf("Append(%s) = %v, %v", called(o), added, err)
		}
		if added, err := l.Append(o); added || err != nil {
			t.Errorf("Append(%s) again = %v, %v, want neither", called(o), added, err)
		}
		if err := l.Check(o); err != nil {
			t.Errorf("Check(%s) of what is there: %v", called(o), err)
		}
		if got, ok := l.Get(o.ID()); !ok || !got.Is(o) {
			t.Errorf("Get(%s) = %v", called(o), ok)
		}
	}
	if l.Len() != 5 || l.Entity() != d.Entity() {
		t.Errorf("Len %d, Entity %v, want 5 and %v", l.Len(), l.Entity(), d.Entity())
	}
	for _, c := range []struct {
		device string
		strand oplog.Strand
		tip    string
	}{{"A", oplog.Control, "A1"}, {"B", oplog.Control, "B0"}, {"A", oplog.Content, "a0"}, {"B", oplog.Content, "b0"}, {"C", oplog.Control, ""}} {
		tip, ok := l.Tip(oplogtest.Device(c.device).ID(), c.strand)
		if ok != (c.tip != "") || ok && !tip.Is(d.Op(c.tip)) {
			t.Errorf("Tip(%s, %v) = %v, %v, want %q", c.device, c.strand, tip.ID(), ok, c.tip)
		}
	}
	if got := l.At(oplogtest.Device("A").ID(), oplog.Control, 1); !slices.Equal(got, []keys.Digest{d.Op("A1").ID()}) {
		t.Errorf("At(A, control, 1) = %v", got)
	}
	if got := l.At(oplogtest.Device("A").ID(), oplog.Control, 2); got != nil {
		t.Errorf("At(A, control, 2) = %v, want none", got)
	}
}

// TestHeads draws what no other names as parent, as operations come.
func TestHeads(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, `
		A0 -> A1 -> A2
		A0 -> B0 -> A2
		A0 -> C0
		a0 -> a1
		b0 -> a1
	`)
	l := oplog.NewLog(d.Entity())
	for _, c := range []struct{ add, control, content string }{
		{"A0", "A0", ""},
		{"A1", "A1", ""},
		{"B0", "A1 B0", ""},
		{"C0", "A1 B0 C0", ""},
		{"a0", "A1 B0 C0", "a0"},
		{"b0", "A1 B0 C0", "a0 b0"},
		{"A2", "A2 C0", "a0 b0"},
		{"a1", "A2 C0", "a1"},
	} {
		if _, err := l.Append(d.Op(c.add)); err != nil {
			t.Fatalf("Append(%s): %v", c.add, err)
		}
		for strand, want := range map[oplog.Strand]string{oplog.Control: c.control, oplog.Content: c.content} {
			got := l.Heads(strand)
			if !slices.IsSortedFunc(got, oplogtest.Compare) || !sameNames(d, got, want) {
				t.Errorf("after %s: heads of %v are %v, want %q ascending", c.add, strand, got, want)
			}
		}
	}
}

func sameNames(d *oplogtest.Drawing, ids []keys.Digest, names string) bool {
	var want []keys.Digest
	for name := range strings.FieldsSeq(names) {
		want = append(want, d.Op(name).ID())
	}
	slices.SortFunc(want, oplogtest.Compare)
	return slices.Equal(ids, want)
}

// TestMissing: prev, parents and auth are asked for once each.
func TestMissing(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, `
		A0 -> B0 -> A1
		A0 -> C0 -> A1
		a0 -> a1
	`)
	for _, c := range []struct{ have, op, want string }{
		{"", "A0", ""},
		{"A0", "A1", "B0 C0"},
		{"A0 B0", "A1", "C0"},
		{"", "A1", "A0 B0 C0"},
		{"A0", "a1", "a0"}, // parent and prev
		{"A0 a0", "a1", ""},
	} {
		l := oplog.NewLog(d.Entity())
		if c.have != "" {
			l = d.Log(c.have)
		}
		got := l.Missing(d.Op(c.op))
		slices.SortFunc(got, oplogtest.Compare)
		if !sameNames(d, got, c.want) {
			t.Errorf("with [%s], %s misses %v, want %q", c.have, c.op, got, c.want)
		}
	}
	l := oplog.NewLog(d.Entity())
	checkRefused(t, l, d.Op("a0"), oplog.ErrMissing) // its auth
}

// TestOrder: parents and prev first, ties by id; the same from every order of
// arrival, and the same whether it is asked for at each step or at the end.
func TestOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ops := drawHistory(t, rt).all()
		shuffled := rapid.Permutation(ops).Draw(rt, "order of arrival")
		ask := rapid.SliceOfN(rapid.Bool(), len(ops), len(ops)).Draw(rt, "asked for")
		want, got := oplog.NewLog(ops[0].Entity()), oplog.NewLog(ops[0].Entity())
		if left := oplogtest.AppendAll(want, ops); len(left) > 0 {
			rt.Fatalf("%d ops of the history do not fit", len(left))
		}
		for rest := shuffled; len(rest) > 0; {
			var waiting []oplog.Op
			for _, o := range rest {
				if _, err := got.Append(o); errors.Is(err, oplog.ErrMissing) {
					waiting = append(waiting, o)
				} else if err != nil {
					rt.Fatalf("Append: %v", err)
				} else if ask[got.Len()-1] {
					checkOrder(rt, got, o.Strand())
				}
			}
			rest = waiting
		}
		if diff := oplogtest.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
		all := oplog.NewLog(ops[0].Entity())
		if left := oplogtest.AppendAll(all, shuffled); len(left) > 0 {
			rt.Fatalf("AppendAll left %d", len(left))
		}
		if diff := oplogtest.Diff(want, all); diff != "" {
			rt.Fatal(diff)
		}
		for _, s := range []oplog.Strand{oplog.Control, oplog.Content} {
			checkOrder(rt, want, s)
			for _, o := range ops {
				a, aok := want.Forked(o.Device(), s)
				b, bok := got.Forked(o.Device(), s)
				if a != b || aok != bok {
					rt.Fatalf("Forked(%v, %v) = %d %v and %d %v", o.Device(), s, a, aok, b, bok)
				}
			}
		}
	})
}

// checkOrder is the definition of the order, by the slowest means: each op is the
// one with the lowest id of those that can stand there.
func checkOrder(rt *rapid.T, l *oplog.Log, s oplog.Strand) {
	var ops []oplog.Op
	for o := range l.All(s) {
		ops = append(ops, o)
	}
	done := map[keys.Digest]bool{}
	can := func(o oplog.Op) bool {
		for _, p := range append(slices.Clone(o.Parents()), o.Prev()) {
			if !p.IsZero() && !done[p] {
				return false
			}
		}
		return true
	}
	for i, o := range ops {
		if !can(o) {
			rt.Fatalf("op %d of the %v strand, %s, stands before what it builds on", i, s, called(o))
		}
		for _, p := range ops[i+1:] {
			if can(p) && oplogtest.Compare(p.ID(), o.ID()) < 0 {
				rt.Fatalf("op %d of the %v strand, %s, stands before %s with a lower id", i, s, called(o), called(p))
			}
		}
		done[o.ID()] = true
	}
}

// TestPrevOutsideParents: parents need not contain the author's last op, by malice
// or because there were more heads than an op can name. The order still puts it
// first, or no other node could take the log over.
func TestPrevOutsideParents(t *testing.T) {
	t.Parallel()
	var drawing strings.Builder
	for i := range 30 { // among 30 some have a lower id than their prev
		fmt.Fprintf(&drawing, "A0 -> %s0\nA0 -> %s1\n%s0\n%s1\n", name(i), name(i), strings.ToLower(name(i)), strings.ToLower(name(i)))
	}
	d := oplogtest.Draw(t, drawing.String())
	from, to := d.Log(""), oplog.NewLog(d.Entity())
	for _, o := range from.Lacks(to.Vector()) {
		if _, err := to.Append(o); err != nil {
			t.Fatalf("as Lacks gives them, %s does not fit: %v", d.Names([]oplog.Op{o}), err)
		}
	}
	if diff := oplogtest.Diff(from, to); diff != "" {
		t.Error(diff)
	}
}

func name(i int) string { return string(rune('B'+i/10)) + string(rune('A'+i%10)) }

// TestAttackO5: one seq signed twice is kept twice and shown.
func TestAttackO5(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, `
		A0 -> A1 -> A2
		A0 -> A1'-> A2'
		A1 -> A2''
		a0 -> a1 -> a2
		b0 -> b1
		a0 -> a1'
	`)
	l := d.Log("")
	a, b := oplogtest.Device("A").ID(), oplogtest.Device("B").ID()
	for _, c := range []struct {
		device keys.ID
		strand oplog.Strand
		seq    uint64
		forked bool
	}{{a, oplog.Control, 1, true}, {a, oplog.Content, 1, true}, {b, oplog.Content, 0, false}, {b, oplog.Control, 0, false}} {
		if seq, ok := l.Forked(c.device, c.strand); seq != c.seq || ok != c.forked {
			t.Errorf("Forked(%v, %v) = %d, %v, want %d, %v", c.device, c.strand, seq, ok, c.seq, c.forked)
		}
	}
	for seq, want := range []string{"A0", "A1 A1'", "A2 A2' A2''", ""} {
		if got := l.At(a, oplog.Control, uint64(seq)); !sameNames(d, got, want) {
			t.Errorf("At(A, control, %d) = %v, want %s", seq, got, want)
		}
	}
	want := d.Ops("A2 A2' A2''")
	slices.SortFunc(want, func(a, b oplog.Op) int { return oplogtest.Compare(a.ID(), b.ID()) })
	if tip, ok := l.Tip(a, oplog.Control); !ok || !tip.Is(want[0]) {
		t.Errorf("Tip of a forked chain = %s, want the lowest id %s", called(tip), called(want[0]))
	}
	var tips []string
	for _, h := range l.Vector() {
		o, _ := l.Get(h.ID)
		tips = append(tips, called(o))
	}
	slices.Sort(tips)
	if got, want := strings.Join(tips, " "), "A2 A2' A2'' a1' a2 b1"; got != want {
		t.Errorf("the vector names %s, want %s", got, want)
	}
	// A later fork lower down moves the mark; one higher up does not.
	low := oplogtest.Draw(t, "A0 -> A1 -> A2 -> A3 -> A4\nA3 -> A4'\nA2 -> A3'\nA0 -> A1''")
	l = low.Log("A0 A1 A2 A3 A3'")
	for _, c := range []struct {
		add  string
		want uint64
	}{{"", 3}, {"A1''", 1}, {"A4", 1}, {"A4'", 1}} {
		if c.add != "" {
			if _, err := l.Append(low.Op(c.add)); err != nil {
				t.Fatalf("Append(%s): %v", c.add, err)
			}
		}
		if got, ok := l.Forked(a, oplog.Control); !ok || got != c.want {
			t.Errorf("after %q: Forked = %d, %v, want %d", c.add, got, ok, c.want)
		}
	}
}

// TestAttackO6: a gap in seq. TestAttackO7: prev names an op of another device, of
// the other strand, or not the one before.
func TestAttackO6(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> A1\nA0 -> B0")
	l := d.Log("")
	draft := oplog.Draft{
		Entity: d.Entity(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: 100,
		Prev: d.Op("A1").ID(), Parents: []keys.Digest{d.Op("A1").ID()},
	}
	for _, seq := range []uint64{1, 3, 4, 1<<20 - 1} {
		draft.Seq, draft.Body = seq, fmt.Appendf(nil, "seq %d after 1", seq)
		checkRefused(t, l, sign(t, "A", draft), oplog.ErrChain)
	}
	draft.Seq = 2
	if _, err := l.Append(sign(t, "A", draft)); err != nil {
		t.Errorf("Append of seq 2 after 1: %v", err)
	}
}

func TestAttackO7(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> B0\na0 -> b0")
	l := d.Log("")
	for what, c := range map[string]struct {
		strand     oplog.Strand
		prev, base string
	}{
		"another device's op":                  {oplog.Control, "B0", "A0"},
		"another device's content":             {oplog.Content, "b0", "a0"},
		"an op of the other strand":            {oplog.Control, "a0", "A0"},
		"an op of the other strand as content": {oplog.Content, "A0", "a0"},
	} {
		draft := oplog.Draft{
			Entity: d.Entity(), Strand: c.strand, Family: oplog.FamilyMember, Type: 100, Seq: 1,
			Prev: d.Op(c.prev).ID(), Parents: []keys.Digest{d.Op(c.base).ID()}, Body: []byte(what),
		}
		if c.strand == oplog.Content {
			draft.Family, draft.Auth, draft.Epoch = oplog.FamilyMessage, []keys.Digest{d.Entity()}, keys.Digest{1}
		}
		checkRefused(t, l, sign(t, "A", draft), oplog.ErrChain)
	}
}

// TestAttackO8: parents that are unknown, of the other strand or of the op itself.
func TestAttackO8(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> B0\na0 -> b0")
	l := d.Log("")
	content := oplog.Draft{
		Entity: d.Entity(), Strand: oplog.Content, Family: oplog.FamilyMessage, Type: 1, Epoch: keys.Digest{1}, Auth: []keys.Digest{d.Entity()},
	}
	control := oplog.Draft{Entity: d.Entity(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: 100}
	for _, c := range []struct {
		name    string
		draft   oplog.Draft
		parents []keys.Digest
		auth    []keys.Digest
		want    error
	}{
		{"control on an unknown op", control, []keys.Digest{{9}}, nil, oplog.ErrMissing},
		{"control on a content op", control, []keys.Digest{d.Op("a0").ID()}, nil, oplog.ErrChain},
		{"content on an unknown op", content, []keys.Digest{{9}}, content.Auth, oplog.ErrMissing},
		{"content on a control op", content, []keys.Digest{d.Op("B0").ID()}, content.Auth, oplog.ErrChain},
		{"content under an unknown op", content, nil, []keys.Digest{{9}}, oplog.ErrMissing},
		{"content under a content op", content, nil, []keys.Digest{d.Op("a0").ID()}, oplog.ErrChain},
	} {
		c.draft.Parents, c.draft.Auth, c.draft.Body = c.parents, c.auth, []byte(c.name)
		checkRefused(t, l, sign(t, "C", c.draft), c.want)
	}
	// An op is named by the hash of bytes that name its parents, so a cycle needs a
	// collision: whatever an op names as parent, its own id is another.
	o := sign(t, "C", on(control, d.Op("B0").ID()))
	if p := sign(t, "C", on(control, o.ID())); p.ID() == o.ID() {
		t.Error("an op is its own parent")
	}
}

// TestAttackO8Memory: ten thousand ops, each on sixteen parents that nobody has,
// cost what they weigh and no more, and leave nothing behind. Not parallel: it counts
// what is allocated.
func TestAttackO8Memory(t *testing.T) {
	n := 10_000
	if raceEnabled {
		n = 1000
	}
	d := oplogtest.Draw(t, "A0")
	k := oplogtest.Device("A")
	draft := oplog.Draft{
		Entity: d.Entity(), User: keys.Digest{1}, Strand: oplog.Control, Family: oplog.FamilyMember, Type: 100, Seq: 1, Prev: d.Entity(),
	}
	ops, input := make([]oplog.Op, n), 0
	for i := range ops {
		draft.Parents = nil
		for j := range byte(oplog.MaxParents) {
			draft.Parents = append(draft.Parents, keys.Digest{j + 1, byte(i), byte(i >> 8)})
		}
		var err error
		if ops[i], err = oplog.Sign(k, draft); err != nil {
			t.Fatalf("Sign: %v", err)
		}
		input += len(ops[i].Envelope())
	}
	l := d.Log("")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, o := range ops {
		if _, err := l.Append(o); !errors.Is(err, oplog.ErrMissing) {
			t.Fatalf("Append of an op without parents: %v", err)
		}
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; !raceEnabled && used > 5*uint64(input) {
		t.Errorf("refusing %d bytes allocated %d", input, used)
	}
	if l.Len() != 1 {
		t.Errorf("the log took %d", l.Len()-1)
	}
}

// TestAttackO24: two ops whose ids begin alike, as far as a search can bring it, are
// two everywhere; nothing is looked up by a part of an id.
func TestAttackO24(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0")
	draft := oplog.Draft{
		Entity: d.Entity(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: 100, Parents: []keys.Digest{d.Entity()},
	}
	seen := map[[2]byte]oplog.Op{}
	var a, b oplog.Op
	for i := 0; b.IsZero(); i++ {
		draft.Body = fmt.Appendf(nil, "%d", i)
		o := sign(t, "B", draft)
		prefix := [2]byte(o.Envelope()[:2])
		id := o.ID()
		copy(prefix[:], id[:])
		if other, ok := seen[prefix]; ok {
			a, b = other, o
		}
		seen[prefix] = o
	}
	l := d.Log("")
	oplogtest.AppendAll(l, []oplog.Op{a, b})
	for _, o := range []oplog.Op{a, b} {
		if got, ok := l.Get(o.ID()); !ok || !got.Is(o) {
			t.Errorf("Get(%v) = %v", o.ID(), got.ID())
		}
	}
	if l.Len() != 3 || len(l.Heads(oplog.Control)) != 2 || len(l.At(a.Device(), oplog.Control, 0)) != 2 || len(l.Vector()) != 3 {
		t.Errorf("two ops of one prefix: log of %d, %d heads, %d at seq 0", l.Len(), len(l.Heads(oplog.Control)), len(l.At(a.Device(), oplog.Control, 0)))
	}
	short := a.ID()
	for i := 2; i < len(short); i++ { // an id that agrees up to byte i names nothing
		other := short
		other[i] ^= 1
		if got, ok := l.Get(other); ok {
			t.Errorf("Get of an id that differs at byte %d = %v", i, got.ID())
		}
		draft.Parents = []keys.Digest{other}
		checkRefused(t, l, sign(t, "C", draft), oplog.ErrMissing)
	}
}

// TestAttackO25: an op of one entity is refused by the log of another.
func TestAttackO25(t *testing.T) {
	t.Parallel()
	x, y := oplogtest.Draw(t, "A0 -> A1\na0"), oplogtest.Draw(t, "B0 -> A0 -> A1\nB0 -> B1\na0")
	l := x.Log("")
	for _, o := range y.Ops("") {
		checkRefused(t, l, o, oplog.ErrForeign)
	}
	// Nor may one of X build on what is in Y only.
	o := sign(t, "B", oplog.Draft{
		Entity: x.Entity(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: 100, Parents: []keys.Digest{y.Op("B1").ID()},
	})
	checkRefused(t, l, o, oplog.ErrMissing)
}

func on(d oplog.Draft, parent keys.Digest) oplog.Draft {
	d.Parents = []keys.Digest{parent}
	return d
}
