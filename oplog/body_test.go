package oplog_test

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"
	"weak"

	"pgregory.net/rapid"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// kept is a source in memory.
type kept map[keys.Digest]oplog.Op

var errNotKept = errors.New("not kept")

func (k kept) Whole(o oplog.Op) (oplog.Op, error) {
	whole, ok := k[o.ID()]
	if !ok {
		return oplog.Op{}, errNotKept
	}
	return whole, nil
}

// TestWhole: an op of a log, with what the log and its source have of it.
func TestWhole(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0\na0 -> a1 -> a2")
	source := kept{d.Op("a0").ID(): d.Op("a0")}
	for _, c := range []struct {
		name, op string
		source   oplog.Source
		bare     bool // it came without its body
		held     bool // the log has its envelope itself
		body     string
		err      error
	}{
		{"without a source", "a0", nil, false, true, "a0", nil},
		{"without a source and body", "a0", nil, true, true, "", nil},
		{"with a source", "a0", source, false, false, "a0", nil},
		{"with a source that fails", "a1", source, false, false, "", errNotKept},
		{"a control op with a source", "A0", source, false, true, "", nil},
	} {
		l := oplog.NewLog(d.Entity())
		l.SetSource(c.source)
		for _, o := range d.Ops("") {
			if c.bare {
				o = oplogtest.Away(t, o)[0]
			}
			if _, err := l.Append(o); err != nil {
				t.Fatalf("Append: %v", err)
			}
		}
		o, _ := l.Get(d.Op(c.op).ID())
		if (o.Envelope() != nil) != c.held {
			t.Errorf("%s: the log has the envelope %v, want %v", c.name, o.Envelope() != nil, c.held)
		}
		whole, err := l.Whole(o)
		if !errors.Is(err, c.err) || err == nil && (!bytes.Equal(whole.Envelope(), d.Op(c.op).Envelope()) || string(whole.Body()) != c.body) {
			t.Errorf("%s: Whole = body %q, %v, want %q, %v", c.name, whole.Body(), err, c.body, c.err)
		}
		if c.op == "A0" && string(o.Control()) != "A0" {
			t.Errorf("%s: Control = %q", c.name, o.Control())
		}
		if whole, err := l.Whole(d.Op(c.op)); err != nil || !whole.Is(d.Op(c.op)) {
			t.Errorf("%s: Whole of what is whole: %v", c.name, err)
		}
	}
}

// TestSetSource: a log that gets a source lets go of what it holds of content, and keeps
// the one it has where it gets none.
func TestSetSource(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> B0\na0 -> a1")
	source := kept{}
	for _, o := range d.Ops("") {
		source[o.ID()] = o
	}
	l := d.Log("")
	l.SetSource(nil)
	if o, _ := l.Get(d.Op("a0").ID()); o.Envelope() == nil || o.Body() == nil {
		t.Error("a nil source took bytes")
	}
	l.SetSource(source)
	l.SetSource(nil)
	for _, s := range []oplog.Strand{oplog.Control, oplog.Content} {
		for o := range l.All(s) {
			if (o.Envelope() != nil) != (s == oplog.Control) || o.Body() != nil {
				t.Errorf("with a source the log holds %d bytes of a %v op", len(o.Envelope()), s)
			}
		}
	}
	if diff := oplogtest.Diff(d.Log(""), l); diff != "" {
		t.Error(diff)
	}
}

// TestBringAndLetGo: what changes when a body comes or goes, with a source and without.
func TestBringAndLetGo(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> B0\na0 -> a1 -> a2")
	bare := sign(t, "B", oplog.Draft{
		Entity: d.Entity(), Strand: oplog.Content, Family: oplog.FamilyArticle, Type: 3, Auth: []keys.Digest{d.Entity()}, About: d.Op("a0").ID(),
	})
	for name, source := range map[string]oplog.Source{"with a source": kept{}, "without": nil} {
		l := oplog.NewLog(d.Entity())
		l.SetSource(source)
		oplogtest.AppendAll(l, append(oplogtest.Away(t, d.Op("A0"), d.Op("B0"), d.Op("a0"), bare), d.Ops("a1 a2")...))
		vector := slices.Clone(l.Vector())
		check := func(when string, absent string) {
			t.Helper()
			got := l.Absent()
			slices.SortFunc(got, func(a, b oplog.Op) int { return int(a.Seq()) - int(b.Seq()) })
			if d.Names(got) != absent {
				t.Errorf("%s, %s: absent are %q, want %q", name, when, d.Names(got), absent)
			}
			for s := range l.All(oplog.Content) {
				if here := !slices.ContainsFunc(got, s.Is); s.Here() != here {
					t.Errorf("%s, %s: %s is here %v, want %v", name, when, d.Names([]oplog.Op{s}), s.Here(), here)
				}
				if source == nil && s.Size() > 0 && (s.Body() != nil) != s.Here() {
					t.Errorf("%s, %s: the log has a body %v that is here %v", name, when, s.Body() != nil, s.Here())
				}
			}
			if !slices.Equal(vector, l.Vector()) {
				t.Errorf("%s, %s: another vector", name, when)
			}
		}
		check("at first", "a0")
		for _, c := range []struct {
			what   string
			do     func() bool
			want   bool
			absent string
		}{
			{"bring what has no body", func() bool { return l.Bring(bare) }, false, "a0"},
			{"bring a control op", func() bool { return l.Bring(d.Op("B0")) }, false, "a0"},
			{"bring without a body", func() bool { return l.Bring(oplogtest.Away(t, d.Op("a0"))[0]) }, false, "a0"},
			{"bring what is not in the log", func() bool { return l.Bring(oplogtest.Draw(t, "B0\na0").Op("a0")) }, false, "a0"},
			{"bring", func() bool { return l.Bring(d.Op("a0")) }, true, ""},
			{"bring again", func() bool { return l.Bring(d.Op("a0")) }, false, ""},
			{"append with the body", func() bool { added, _ := l.Append(d.Op("a0")); return added }, false, ""},
			{"let go of a control op", func() bool { return l.LetGo(d.Op("B0").ID()) }, false, ""},
			{"let go of what has no body", func() bool { return l.LetGo(bare.ID()) }, false, ""},
			{"let go of nothing", func() bool { return l.LetGo(keys.Digest{9}) }, false, ""},
			{"let go", func() bool { return l.LetGo(d.Op("a1").ID()) }, true, "a1"},
			{"let go again", func() bool { return l.LetGo(d.Op("a1").ID()) }, false, "a1"},
			{"let go of another", func() bool { return l.LetGo(d.Op("a0").ID()) }, true, "a0 a1"},
			{"append with a body", func() bool { added, _ := l.Append(d.Op("a1")); return added }, false, "a0 a1"},
			{"bring back", func() bool { return l.Bring(d.Op("a1")) }, true, "a0"},
		} {
			if got := c.do(); got != c.want {
				t.Errorf("%s: %s = %v, want %v", name, c.what, got, c.want)
			}
			check(c.what, c.absent)
		}
		for _, o := range d.Ops("a1 a2") {
			if whole, _ := l.Get(o.ID()); source == nil && !bytes.Equal(whole.Body(), o.Body()) {
				t.Errorf("%s: the body of %s is %q", name, called(o), whole.Body())
			}
		}
	}
}

// TestBodiesDecideNothing: two logs that have the same ops agree in all but bodies,
// whichever of these each has.
func TestBodiesDecideNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawHistory(t, rt)
		with, without := oplog.NewLog(p.genesis.ID()), oplog.NewLog(p.genesis.ID())
		for _, o := range p.all() {
			if _, err := with.Append(o); err != nil {
				rt.Fatalf("Append: %v", err)
			}
			if rapid.Bool().Draw(rt, "away") {
				o = oplogtest.Away(t, o)[0]
			}
			if _, err := without.Append(o); err != nil {
				rt.Fatalf("Append without a body: %v", err)
			}
		}
		for o := range with.All(oplog.Content) {
			if !without.Bring(o) && !must(without.Get(o.ID())).Here() {
				rt.Fatal("a body did not come")
			}
			with.LetGo(o.ID())
		}
		if !slices.Equal(with.Vector(), without.Vector()) || !slices.Equal(with.Places(), without.Places()) {
			rt.Fatal("bodies changed the vector or the places")
		}
		if n := len(without.Absent()); n != 0 {
			rt.Fatalf("%d bodies are absent after all came", n)
		}
		for _, s := range []oplog.Strand{oplog.Control, oplog.Content} {
			if !slices.Equal(idsOf(slices.Collect(with.All(s))), idsOf(slices.Collect(without.All(s)))) || !slices.Equal(with.Heads(s), without.Heads(s)) {
				rt.Fatalf("bodies changed the order or the heads of the %v strand", s)
			}
		}
	})
}

func must(o oplog.Op, ok bool) oplog.Op {
	if !ok {
		panic("no such op")
	}
	return o
}

// TestNothingKeepsContent: a log with a source keeps nothing of the bytes of a content op
// alive, whether it got the source before or after the op. One without keeps all.
func TestNothingKeepsContent(t *testing.T) {
	for _, when := range []string{"never", "before", "after"} {
		l, bytesOf := fill(t, when)
		runtime.GC()
		runtime.GC()
		for what, p := range bytesOf {
			if alive := p.Value() != nil; alive != (when == "never") {
				t.Errorf("a source %s: the log keeps %s %v", when, what, alive)
			}
		}
		runtime.KeepAlive(l)
	}
}

// fill returns a log with forked content, parsed as a peer sends it, and where its bytes
// are.
func fill(t *testing.T, source string) (*oplog.Log, map[string]weak.Pointer[byte]) {
	t.Helper()
	d := oplogtest.Draw(t, "A0 -> B0\na0 -> a1 -> b0\na0 -> a1'-> b0")
	bytesOf := make(map[string]weak.Pointer[byte])
	var batch []oplog.Pair
	for _, o := range d.Ops("") {
		p := o.Pair()
		p.Envelope = bytes.Clone(p.Envelope)
		if o.Strand() == oplog.Content {
			p.Body = append(make([]byte, 0, 64), p.Body...) // over 16 bytes: it shares its memory with nothing
			bytesOf["the envelope of "+called(o)] = weak.Make(&p.Envelope[0])
			bytesOf["the body of "+called(o)] = weak.Make(&p.Body[0])
		}
		batch = append(batch, p)
	}
	l := oplog.NewLog(d.Entity())
	if source == "before" {
		l.SetSource(kept{})
	}
	if left := oplogtest.AppendAll(l, oplog.ParseBatch(oplog.HashAll(batch))); len(left) > 0 {
		t.Fatalf("%d ops do not fit", len(left))
	}
	if source == "after" {
		l.SetSource(kept{})
	}
	l.Vector()
	l.Places()
	return l, bytesOf
}
