package oplog_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// differs says in what two logs differ that have the same ops, one as they were signed and
// the other some of them as stubs, or returns "".
func differs(whole, l *oplog.Log) string {
	type seen struct {
		Len          int
		Vector       oplog.Vector
		Hash         keys.Digest
		Heads, Order [2][]keys.Digest
		Back         [2][]keys.Digest
		Places       []oplog.Place
		Ops          map[keys.Digest]head
		Missing      int
		Tips         []keys.Digest
		Forked       []uint64
		At           [][]keys.Digest
	}
	look := func(l *oplog.Log) (s seen) {
		s = seen{Len: l.Len(), Vector: l.Vector(), Hash: l.Vector().Hash(l.Entity()), Places: l.Places(), Ops: make(map[keys.Digest]head)}
		for i, strand := range []oplog.Strand{oplog.Control, oplog.Content} {
			s.Heads[i] = l.Heads(strand)
			for o := range l.All(strand) {
				got, _ := l.Get(o.ID())
				s.Order[i], s.Ops[o.ID()] = append(s.Order[i], o.ID()), headOf(got)
				s.Missing += len(l.Missing(got))
				tip, _ := l.Tip(o.Device(), strand)
				at, forked := l.Forked(o.Device(), strand)
				if !forked {
					at = 1 << 63
				}
				s.Tips, s.Forked, s.At = append(s.Tips, tip.ID()), append(s.Forked, at), append(s.At, l.At(o.Device(), strand, o.Seq()))
			}
			for _, o := range l.Backward(strand) {
				s.Back[i] = append(s.Back[i], o.ID())
			}
		}
		return s
	}
	return cmp.Diff(look(whole), look(l))
}

// drawList draws the list in which a checkpoint drops some of the content of a history.
func drawList(rt *rapid.T, checkpoint byte, ops []oplog.Op) oplog.Dropped {
	var some []oplog.Op
	for _, o := range ops {
		if o.Strand() == oplog.Content && rapid.Bool().Draw(rt, "dropped") {
			some = append(some, o)
		}
	}
	return oplogtest.Dropped(digest(checkpoint), some...)
}

// look asks for what a log keeps once it was asked, or does not.
func look(rt *rapid.T, l *oplog.Log) {
	if rapid.Bool().Draw(rt, "order asked for") {
		l.All(oplog.Content)
	}
	if rapid.Bool().Draw(rt, "places asked for") {
		l.Places()
	}
}

// TestStripped: a log in which stubs stand for ops is the log, whether they were stripped
// when all was there, when only a part was, or came bare.
func TestStripped(t *testing.T) {
	t.Parallel()
	bare := 0
	rapid.Check(t, func(rt *rapid.T) {
		p := drawHistory(t, rt)
		ops := p.all()
		first, second := drawList(rt, 0xc1, ops), drawList(rt, 0xc2, ops) // which may share some
		whole := oplog.NewLog(p.genesis.ID())
		whole.AppendAll(ops)

		// Some of the ops, one list, the other ops, both lists.
		l := oplog.NewLog(p.genesis.ID())
		n := rapid.IntRange(0, len(ops)).Draw(rt, "there before")
		l.AppendAll(ops[:n])
		look(rt, l)
		checkStrip(rt, l, first)
		if l.AppendAll(ops[n:]); l.Len() != len(ops) {
			rt.Fatalf("on what is stripped %d ops fit, want %d", l.Len(), len(ops))
		}
		look(rt, l)
		checkStrip(rt, l, first) // what came since
		checkStrip(rt, l, second)
		if diff := differs(whole, l); diff != "" {
			rt.Fatalf("stripped (-whole +stripped):\n%s", diff)
		}

		// The same ops, of which those came bare.
		came := make(map[keys.Digest]oplog.Op)
		fromStart := oplog.NewLog(p.genesis.ID())
		for _, d := range []oplog.Dropped{second, first} { // the first that dropped one has it
			stubs, err := d.Ops(p.genesis.ID())
			if err != nil {
				rt.Fatalf("Ops: %v", err)
			}
			for _, o := range stubs {
				came[o.ID()] = o
			}
			fromStart.KeepDropped(d)
		}
		mixed := slices.Clone(ops)
		for i, o := range mixed {
			if b, ok := came[o.ID()]; ok {
				mixed[i] = b
			}
		}
		look(rt, fromStart)
		if left := fromStart.AppendAll(rapid.Permutation(mixed).Draw(rt, "order of arrival")); len(left) > 0 {
			rt.Fatalf("of ops that are bare from the start %d do not fit", len(left))
		}
		if diff := differs(whole, fromStart); diff != "" {
			rt.Fatalf("bare from the start (-whole +bare):\n%s", diff)
		}
		if diff := oplogtest.Diff(l, fromStart); diff != "" {
			rt.Fatalf("stripped, and bare from the start: %s", diff)
		}
		if l.Bare() != len(came) || fromStart.Bare() != len(came) || whole.Bare() != 0 {
			rt.Fatalf("%d, %d and %d ops are bare, want %d twice and 0", l.Bare(), fromStart.Bare(), whole.Bare(), len(came))
		}

		// What is here already stays as it is here.
		for i, o := range ops {
			for _, other := range []oplog.Op{o, mixed[i]} {
				before, _ := l.Get(o.ID())
				if added, err := l.Append(other); added || err != nil {
					rt.Fatalf("Append of what is there = %v, %v", added, err)
				}
				if after, _ := l.Get(o.ID()); after != before {
					rt.Fatalf("an op that came again took the place of what was there")
				}
			}
		}
		checkSync(rt, t, p.nodes[0], whole, l)
		bare += l.Bare()
	})
	if bare == 0 {
		t.Error("nothing was stripped: this proves nothing")
	}
}

// checkStrip strips a list from a log and compares with what was there before.
func checkStrip(rt *rapid.T, l *oplog.Log, d oplog.Dropped) {
	listed := make(map[keys.Digest]bool)
	for _, s := range d.Stubs {
		listed[s.ID] = true
	}
	handedOut := slices.Collect(l.All(oplog.Content))
	var got []oplog.Op
	were := make([]head, len(handedOut))
	want := make(map[keys.Digest]bool)
	for i, o := range handedOut {
		were[i] = headOf(o)
		if listed[o.ID()] && !o.Bare() {
			want[o.ID()] = true
		}
	}
	bytesOf := func() (raws [][]byte) {
		for _, o := range handedOut {
			raws = append(raws, slices.Concat(o.Bytes(), o.Body()))
		}
		return raws
	}
	before := bytesOf()
	got, err := l.Strip(d, nil)
	if err != nil || len(got) != len(want) {
		rt.Fatalf("Strip = %d ops, %v, want %d", len(got), err, len(want))
	}
	for _, o := range got {
		if now, ok := l.Get(o.ID()); !ok || now != o || !want[o.ID()] || o.DroppedBy() != d.Checkpoint {
			rt.Fatalf("Strip returns %v, dropped by %v, which is not what the log has, or not what it had to", o.ID(), o.DroppedBy())
		}
	}
	for i, o := range slices.Collect(l.All(oplog.Content)) {
		if have, _ := l.Get(o.ID()); have != o || o.ID() != handedOut[i].ID() {
			rt.Fatalf("at %d of the order is another op than the log has, or stood there before", i)
		}
		if tip, ok := l.Tip(o.Device(), oplog.Content); !ok || tip.Bare() != (listed[tip.ID()] || wasBare(handedOut, tip.ID())) {
			rt.Fatalf("the tip of %v is listed %v and bare %v", o.Device(), listed[tip.ID()], tip.Bare())
		}
		if listed[o.ID()] != o.Bare() && !handedOut[i].Bare() {
			rt.Fatalf("%v is listed %v and bare %v", o.ID(), listed[o.ID()], o.Bare())
		}
		if diff := cmp.Diff(were[i], headOf(handedOut[i])); diff != "" || want[o.ID()] && (handedOut[i].Bare() || handedOut[i].Bytes() == nil) {
			rt.Fatalf("an op that was handed out before changed: %s", diff)
		}
	}
	if diff := cmp.Diff(before, bytesOf()); diff != "" {
		rt.Fatalf("the bytes of ops that were handed out before changed: %s", diff)
	}
	if kept, ok := l.Dropped(d.Checkpoint); !ok || !cmp.Equal(kept, d) {
		rt.Fatalf("the list that is kept: %v, or another one", ok)
	}
	if again, err := l.Strip(d, nil); err != nil || len(again) != 0 {
		rt.Fatalf("Strip again = %d ops, %v", len(again), err)
	}
}

func wasBare(ops []oplog.Op, id keys.Digest) bool {
	return slices.ContainsFunc(ops, func(o oplog.Op) bool { return o.ID() == id && o.Bare() })
}

// checkSync: another log finds out the same of one that was stripped as of the whole one,
// by vectors and by ranges, and can append what that sends.
func checkSync(rt *rapid.T, t *testing.T, other, whole, stripped *oplog.Log) {
	names := func(ops []oplog.Op) (ids []keys.Digest) {
		for _, o := range ops {
			ids = append(ids, o.ID())
		}
		return ids
	}
	for _, v := range []oplog.Vector{nil, other.Vector(), whole.Vector()} {
		if diff := cmp.Diff(names(whole.Lacks(v)), names(stripped.Lacks(v))); diff != "" {
			rt.Fatalf("of a vector of %d, lacking (-whole +stripped):\n%s", len(v), diff)
		}
	}
	if ops := whole.Lacks(stripped.Vector()); len(ops) > 0 {
		rt.Fatalf("a stripped log lacks %d", len(ops))
	}
	talk := reconcile(t, whole.Places(), stripped.Places(), oplog.Salt{1})
	if n, m := len(talk.a.Lacking()), len(talk.b.Lacking()); n+m > 0 || talk.frames > 2 {
		rt.Fatalf("by ranges a log and its stripped one lack %d and %d, after %d frames", n, m, talk.frames)
	}
	checkTalk(t, reconcile(t, stripped.Places(), other.Places(), oplog.Salt{2}), whole.Places(), other.Places())
	for _, o := range stripped.Lacks(other.Vector()) {
		if _, err := other.Append(o); err != nil && !errors.Is(err, oplog.ErrMissing) {
			rt.Fatalf("as a stripped log gives them, %v does not fit: %v", o.ID(), err)
		}
	}
}

// TestStripWhileRead: who reads the order while ops are stripped reads each of them once,
// and none that is neither.
func TestStripWhileRead(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0\na0 -> a1 -> a2 -> a3 -> a4")
	for at := range 5 {
		l, got := d.Log(""), ""
		list := oplogtest.Dropped(digest(8), d.Ops("a1 a2 a4")...)
		for o := range l.All(oplog.Content) {
			if o == d.Op("a0 a1 a2 a3 a4"[3*at:3*at+2]) {
				if _, err := l.Strip(list, nil); err != nil {
					t.Fatalf("Strip: %v", err)
				}
			}
			if got += d.Names([]oplog.Op{o}); o.Bare() {
				got += "~"
			}
			got += " "
		}
		want := []string{"a0 a1~ a2~ a3 a4~ ", "a0 a1 a2~ a3 a4~ ", "a0 a1 a2 a3 a4~ ", "a0 a1 a2 a3 a4~ ", "a0 a1 a2 a3 a4 "}[at]
		if got != want {
			t.Errorf("stripped at %d of the order, read is %q, want %q", at, got, want)
		}
		if l.Bare() != 3 {
			t.Errorf("stripped at %d of the order, %d are bare, want 3", at, l.Bare())
		}
	}
}

// TestStripKeepsOthers: what is no content of the log is not stripped, and a list that is
// kept alone strips nothing.
func TestStripKeepsOthers(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> A1\na0 -> a1 -> a2\nb0")
	l := d.Log("A0 A1 a0 a1")
	list := oplogtest.Dropped(digest(8), d.Ops("a1 a2 b0")...)
	l.KeepDropped(list)
	if diff := oplogtest.Diff(d.Log("A0 A1 a0 a1"), l); diff != "" || l.Bare() != 0 {
		t.Errorf("a list that is kept made %d bare: %s", l.Bare(), diff)
	}
	if got, ok := l.Dropped(digest(8)); !ok || !cmp.Equal(got, list) {
		t.Errorf("Dropped = %d stubs, %v, want %d", len(got.Stubs), ok, len(list.Stubs))
	}
	if got, ok := l.Dropped(digest(9)); ok || len(got.Stubs) > 0 {
		t.Errorf("Dropped of another checkpoint = %d stubs, %v", len(got.Stubs), ok)
	}
	stripped, err := l.Strip(list, nil)
	if got := d.Names(stripped); err != nil || got != "a1" {
		t.Errorf("Strip = %q, %v, want a1", got, err)
	}
	for _, name := range []string{"A0", "A1", "a0"} {
		if o, _ := l.Get(d.Op(name).ID()); o != d.Op(name) {
			t.Errorf("Strip changed %s", name)
		}
	}
	if _, ok := l.Get(d.Op("a2").ID()); ok || l.Len() != 4 {
		t.Errorf("Strip brought what was not there: %d ops, want 4", l.Len())
	}
}

// TestStripStays: what is to stay whole does, until it is stripped by another call; the
// list is kept as it is.
func TestStripStays(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> A1\na0 -> a1 -> a2 -> a3\nb0 -> b1")
	l := d.Log("A0 A1 a0 a1 a2 a3 b0")
	list := oplogtest.Dropped(digest(8), d.Ops("a0 a1 a2 b0 b1")...)
	stay := func(names string) (func(oplog.Op) bool, func() string) {
		asked := make(map[string]bool)
		stays := func(o oplog.Op) bool {
			name := d.Names([]oplog.Op{o})
			if o != d.Op(name) {
				t.Errorf("asked is for %s as it is not here", name)
			}
			if asked[name] {
				t.Errorf("asked is for %s twice", name)
			}
			asked[name] = true
			return slices.Contains(strings.Fields(names), name)
		}
		return stays, func() string { return strings.Join(slices.Sorted(maps.Keys(asked)), " ") }
	}
	for i, c := range []struct{ stay, asked, stripped, bare string }{
		{"a0 a1 a2 b0", "a0 a1 a2 b0", "", ""},
		{"a1 a3 b1", "a0 a1 a2 b0", "a0 a2 b0", "a0 a2 b0"},
		{"a1", "a1", "", "a0 a2 b0"}, // of what is bare nobody is asked
		{"", "a1", "a1", "a0 a1 a2 b0"},
		{"", "", "", "a0 a1 a2 b0"},
	} {
		stays, asked := stay(c.stay)
		stripped, err := l.Strip(list, stays)
		names := strings.Fields(d.Names(stripped))
		slices.Sort(names)
		if got := strings.Join(names, " "); err != nil || got != c.stripped {
			t.Errorf("%d: Strip, where %q stay, = %q, %v, want %q", i, c.stay, got, err, c.stripped)
		}
		if got := asked(); got != c.asked {
			t.Errorf("%d: asked is for %q, want %q", i, got, c.asked)
		}
		var bare []string
		for o := range l.All(oplog.Content) {
			name := d.Names([]oplog.Op{o})
			if have, _ := l.Get(o.ID()); have != o || !o.Bare() && o != d.Op(name) {
				t.Errorf("%d: the order has another %s than the log, or than was signed", i, name)
			}
			if o.Bare() {
				bare = append(bare, name)
			}
		}
		slices.Sort(bare)
		if got := strings.Join(bare, " "); got != c.bare || l.Bare() != len(bare) {
			t.Errorf("%d: bare are %q, by count %d, want %q", i, got, l.Bare(), c.bare)
		}
		if kept, ok := l.Dropped(digest(8)); !ok || !cmp.Equal(kept, list) {
			t.Errorf("%d: the list is kept %v, or is another one", i, ok)
		}
	}
}

// TestRecall: of lists that are here the stubs in a row before an op are taken, over those
// that are unsure already, up to one that is sure, or that they lack.
func TestRecall(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0\na0 -> a1 -> a2 -> a3 -> a4\nb0 -> b1")
	d.Log("A0 a0 a1 a2 a3 a4 b0 b1")
	lists := []oplog.Dropped{oplogtest.Dropped(digest(8), d.Ops("a0 a2 b0")...), oplogtest.Dropped(digest(9), d.Ops("a1 a3")...)}
	bare := func(name string) oplog.Op {
		o, err := oplog.StubOf(d.Op(name)).Op(digest(7))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, c := range []struct{ by, unsure, sure, want string }{
		{"a4", "", "", "a0 a1 a2 a3"},
		{"a4", "a2", "", "a0 a1 a2 a3"},
		{"a4", "", "a1", "a2 a3"},
		{"a4", "", "a3", ""},
		{"a0", "", "", ""},
		{"b1", "", "", "b0"},
	} {
		sets := []map[keys.Digest]oplog.Op{{}, {}}
		for i, names := range []string{c.unsure, c.sure} {
			for name := range strings.FieldsSeq(names) {
				sets[i][bare(name).ID()] = bare(name)
			}
		}
		oplog.Recall(lists, d.Op(c.by), sets[0], sets[1])
		var got []string
		for _, o := range sets[0] {
			got = append(got, strings.TrimSuffix(d.Names([]oplog.Op{o}), "~"))
		}
		if slices.Sort(got); strings.Join(got, " ") != c.want {
			t.Errorf("%+v: unsure are %v", c, got)
		}
		if o := sets[0][d.Op("a2").ID()]; c.unsure == "a2" && o.DroppedBy() != digest(7) {
			t.Error("what was unsure was taken again")
		}
	}
}

// TestAttackRecall: the ids of stubs are anybody's word, so a list can have rows that are
// circles. They end, and nothing is made of them.
func TestAttackRecall(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0\na0 -> a1 -> a2")
	d.Log("A0 a0 a1 a2")
	s := oplog.StubOf(d.Op("a1"))
	s.ID = d.Op("a0").ID() // so that it names itself as prev
	unsure := make(map[keys.Digest]oplog.Op)
	oplog.Recall([]oplog.Dropped{{Checkpoint: digest(9), Stubs: []oplog.Stub{s}}}, d.Op("a1"), unsure, map[keys.Digest]oplog.Op{})
	if len(unsure) != 0 {
		t.Errorf("%d stubs are recalled", len(unsure))
	}
}

// TestVouch: whole ops vouch for the stubs of their device before them, one after the
// other, and for nothing else; of a log's stubs those are vouched for that have such an op.
func TestVouch(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0\na0 -> a1 -> a2 -> a3 -> a4\nb0 -> b1 -> b2")
	l := d.Log("A0 a0 a1 a2 a3 a4 b0 b1 b2")
	list := oplogtest.Dropped(digest(8), d.Ops("a0 a1 a3 b0 b2")...)
	bare, err := list.Ops(l.Entity())
	if err != nil {
		t.Fatal(err)
	}
	unsure, sure := make(map[keys.Digest]oplog.Op), make(map[keys.Digest]oplog.Op)
	for _, o := range bare {
		unsure[o.ID()] = o
	}
	for who, seq := range map[string]uint64{"B": 2, "A": 3} { // of another device, or over a gap
		dr := draftOf(contentWire())
		dr.Entity, dr.Seq, dr.Prev = l.Entity(), seq, d.Op("a1").ID()
		if oplog.Vouch(sign(t, who, dr), unsure, sure) {
			t.Errorf("an op of %s at seq %d vouches for a1", who, seq)
		}
	}
	for _, c := range []struct {
		by   string
		any  bool
		want string
	}{
		{"a0", false, ""}, {"a3", false, ""}, // what it names is whole, or nothing
		{"a2", true, "a0~ a1~"}, {"a2", false, "a0~ a1~"}, // again
		{"b1", true, "a0~ a1~ b0~"}, {"a4", true, "a0~ a1~ a3~ b0~"},
	} {
		if any := oplog.Vouch(d.Op(c.by), unsure, sure); any != c.any {
			t.Errorf("%s vouches for any: %v", c.by, any)
		}
		names := strings.Fields(d.Names(slices.Collect(maps.Values(sure))))
		if slices.Sort(names); strings.Join(names, " ") != strings.ReplaceAll(c.want, "~", "") && strings.Join(names, " ") != c.want {
			t.Errorf("after %s sure are %q, want %q", c.by, names, c.want)
		}
	}
	if len(unsure) != 1 || unsure[d.Op("b2").ID()].IsZero() {
		t.Errorf("%d are unsure, want b2", len(unsure))
	}
	if _, err := l.Strip(list, nil); err != nil {
		t.Fatal(err)
	}
	by := l.Vouchers(slices.Collect(l.All(oplog.Content)))
	for stub, want := range map[string]string{"a0": "a2", "a1": "a2", "a3": "a4", "b0": "b1"} {
		if got := by[d.Op(stub).ID()]; got != d.Op(want) {
			t.Errorf("%s is not vouched for by %s", stub, want)
		}
	}
	if len(by) != 4 {
		t.Errorf("%d are vouched for, want 4: nothing names b2", len(by))
	}
}

// TestStripRefusesOthers: whoever signs a checkpoint can sign a list of anything; an op
// that is here is not replaced by what is not its stub.
func TestStripRefusesOthers(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> A1\na0 -> a1 -> a2\nb0")
	for name, c := range map[string]struct{ id, of string }{
		"another op of its device": {"a1", "a2"},
		"another device's":         {"a0", "b0"},
		"a control op's id":        {"A1", "b0"},
		"the genesis":              {"A0", "a0"},
	} {
		list := oplogtest.Dropped(digest(8), d.Op(c.id), d.Op("b0"))
		for i := range list.Stubs {
			if list.Stubs[i].ID == d.Op(c.id).ID() {
				list.Stubs[i].Envelope = d.Op(c.of).AAD()
			}
		}
		l := d.Log("")
		if stripped, err := l.Strip(list, nil); !errors.Is(err, oplog.ErrFormat) || stripped != nil {
			t.Errorf("%s: Strip = %s, %v, want ErrFormat", name, d.Names(stripped), err)
		}
		if _, kept := l.Dropped(digest(8)); kept || l.Bare() != 0 {
			t.Errorf("%s: the list is kept %v, %d ops are bare", name, kept, l.Bare())
		}
		if diff := oplogtest.Diff(d.Log(""), l); diff != "" {
			t.Errorf("%s: the log changed: %s", name, diff)
		}
	}
}
