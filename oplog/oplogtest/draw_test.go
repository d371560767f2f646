package oplogtest_test

import (
	"testing"

	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

func TestDraw(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, `
		A0 -> B0 -> A1   # control
		A0 -> A1
		a0 -> a1 -> b0
		a0 -> a1' -> b0
	`)
	for _, c := range []struct {
		name, device string
		strand       oplog.Strand
		seq          uint64
		prev         string
		parents      int
	}{
		{"A0", "A", oplog.Control, 0, "", 0},
		{"B0", "B", oplog.Control, 0, "", 1},
		{"A1", "a", oplog.Control, 1, "A0", 2},
		{"a0", "A", oplog.Content, 0, "", 0},
		{"a1", "A", oplog.Content, 1, "a0", 1},
		{"a1'", "A", oplog.Content, 1, "a0", 1},
		{"b0", "B", oplog.Content, 0, "", 2},
	} {
		o := d.Op(c.name)
		if o.Device() != oplogtest.Device(c.device).ID() || o.Strand() != c.strand || o.Seq() != c.seq || len(o.Parents()) != c.parents {
			t.Errorf("%s: %v seq %d of %v with %d parents, want %+v", c.name, o.Strand(), o.Seq(), o.Device(), len(o.Parents()), c)
		}
		if prev := o.Prev(); prev.IsZero() != (c.prev == "") || c.prev != "" && prev != d.Op(c.prev).ID() {
			t.Errorf("%s: prev %v, want %s", c.name, prev, c.prev)
		}
		if p, err := oplog.Parse(o.Envelope()); err != nil || p.ID() != o.ID() {
			t.Errorf("%s does not parse: %v", c.name, err)
		}
		if got := string(o.Body()) + string(o.Control()); got != c.name {
			t.Errorf("the body of %s is %q", c.name, got)
		}
	}
	if got, want := d.Names(d.Ops("")), "A0 B0 A1 a0 a1 a1' b0"; got != want {
		t.Errorf("drawn: %s, want %s", got, want)
	}
	if l := d.Log(""); l.Len() != 7 {
		t.Errorf("the log has %d ops, want 7", l.Len())
	}
}

// TestAppendAll: what fits is taken, what does not is given back as it came.
func TestAppendAll(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> A1 -> A2 -> A3\nA0 -> B0 -> A3\na0 -> a1")
	foreign := oplogtest.Draw(t, "B0 -> A0").Op("A0")
	for _, c := range []struct{ give, left string }{
		{"", ""},
		{"a1 A3 a0 B0 A2 A1 A0", ""},
		{"A3 A2 B0 A0", "A3 A2"},
		{"A1 A1 A0 A0 A1", ""},
		{"A2 A2 A0", "A2 A2"},
		{"a1 a0", "a1 a0"},
	} {
		l := oplog.NewLog(d.Entity())
		if got := d.Names(oplogtest.AppendAll(l, d.Ops(c.give))); got != c.left {
			t.Errorf("AppendAll(%s) left %q, want %q", c.give, got, c.left)
		}
	}
	l := d.Log("A0")
	left := oplogtest.AppendAll(l, []oplog.Op{d.Op("A2"), foreign, d.Op("A1")})
	if len(left) != 1 || !left[0].Is(foreign) || l.Len() != 3 {
		t.Errorf("AppendAll with a foreign op left %d, log of %d, want it alone", len(left), l.Len())
	}
}

// TestDiff: what makes two logs differ is seen, each thing by itself.
func TestDiff(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> B0\na0 -> a1")
	same := d.Log("")
	if diff := oplogtest.Diff(d.Log("a1 a0 B0 A0"), same); diff != "" {
		t.Errorf("Diff of two equal logs: %s", diff)
	}
	away := d.Log("A0 B0 a0")
	oplogtest.AppendAll(away, oplogtest.Away(t, d.Op("a1")))
	for what, l := range map[string]*oplog.Log{
		"one op less": d.Log("A0 B0 a0"), "a body less": away, "another entity": oplogtest.Draw(t, "B0").Log(""),
	} {
		if oplogtest.Diff(same, l) == "" || oplogtest.Diff(l, same) == "" {
			t.Errorf("Diff of a log and one of %s says nothing", what)
		}
	}
}
