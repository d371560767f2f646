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
		if _, err := oplog.Parse(o.Bytes()); err != nil {
			t.Errorf("%s does not parse: %v", c.name, err)
		}
	}
	if got, want := d.Names(d.Ops("")), "A0 B0 A1 a0 a1 a1' b0"; got != want {
		t.Errorf("drawn: %s, want %s", got, want)
	}
	if l := d.Log(""); l.Len() != 7 {
		t.Errorf("the log has %d ops, want 7", l.Len())
	}
}
