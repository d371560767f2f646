package oplog_test

import (
	"bytes"
	"slices"
	"testing"

	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// TestParseBatch: what a peer sends in one piece, of any devices and strands, in any
// order; what is not authentic is left out and takes nothing else with it.
func TestParseBatch(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, `
		A0 -> A1 -> B0
		a0 -> a1 -> a2 -> a3
		b0 -> b1
		a0 -> a1'
	`)
	for _, c := range []struct{ name, give, bad, want string }{
		{"nothing", " ", "", ""},
		{"all, as a log gives them", "A0 A1 B0 a0 a1 a2 a3 b0 b1", "", "A0 A1 B0 a0 a1 a2 a3 b0 b1"},
		{"two chains in turns", "a0 b0 a1 b1 a2", "", "a0 b0 a1 b1 a2"},
		{"a control op with a bad signature", "A0 A1 B0", "A1", "A0 B0"},
		{"the last of a control chain", "A0 A1 B0", "B0", "A0 A1"},
		{"the last of a content chain", "a0 a1 a2 b0", "a2", "a0 a1 b0"},
		{"one op alone", "a2", "a2", ""},
		{"one op between others' ", "b0 a2 b1", "a2", "b0 b1"},
		{"a fork", "a0 a1 a1'", "", "a0 a1 a1'"},
		{"newest first", "a2 a1 a0", "", "a2 a1 a0"},
		{"newest first, one bad", "a2 a1 a0", "a1", "a2 a0"},
		{"one twice", "a0 a0 A0 A0", "", "a0 a0 A0 A0"},
	} {
		var raws [][]byte
		bad := d.Ops(c.bad)
		if c.bad == "" {
			bad = nil
		}
		ops := d.Ops(c.give)
		if c.give == " " {
			ops = nil
		}
		for _, o := range ops {
			raw := bytes.Clone(o.Bytes())
			if slices.Contains(bad, o) {
				raw[len(raw)-1] ^= 1
			}
			raws = append(raws, raw)
		}
		if got := d.Names(oplog.ParseBatch(raws, nil)); got != c.want {
			t.Errorf("%s: ParseBatch(%s, %s bad) = %q, want %q", c.name, c.give, c.bad, got, c.want)
		}
	}
	garbage := [][]byte{nil, {0xff}, make([]byte, oplog.MaxContent+1), newer(d.Op("a0").Bytes()), d.Op("a0").Bytes(), bytes.Repeat([]byte{0xaf}, 200)}
	if got := d.Names(oplog.ParseBatch(garbage, nil)); got != "a0" {
		t.Errorf("ParseBatch of garbage and a0 = %q, want a0", got)
	}
}

// TestParseBatchNamed: a content op with a bad signature of its own is authentic if a
// content op of its device that is names it; a control op never is, nor one that
// another device names.
func TestParseBatchNamed(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> B0")
	content := func(device string, seq uint64, prev []byte) oplog.Draft {
		dr := draftOf(contentWire())
		dr.Entity, dr.Seq, dr.Body = d.Entity(), seq, []byte(device)
		copy(dr.Prev[:], prev)
		return dr
	}
	first := bytes.Clone(sign(t, "A", content("A", 0, nil)).Bytes())
	first[len(first)-1] ^= 1
	firstID := sum(first)
	same := sign(t, "A", content("A", 1, firstID[:])).Bytes()
	other := sign(t, "B", content("B", 1, firstID[:])).Bytes()
	foreign := content("A", 1, firstID[:])
	foreign.Entity[0] ^= 1
	gap := content("A", 2, firstID[:])

	control := bytes.Clone(sign(t, "C", on(oplog.Draft{Entity: d.Entity(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: 100}, d.Entity())).Bytes())
	control[len(control)-1] ^= 1
	controlID := sum(control)
	next := on(oplog.Draft{Entity: d.Entity(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: 100, Seq: 1, Prev: controlID}, controlID)
	for _, c := range []struct {
		name string
		raws [][]byte
		want int
	}{
		{"named by its device's next", [][]byte{first, same}, 2},
		{"named by another device", [][]byte{first, other}, 1},
		{"named in another entity", [][]byte{first, sign(t, "A", foreign).Bytes()}, 1},
		{"named over a gap in seq", [][]byte{first, sign(t, "A", gap).Bytes()}, 1},
		{"named before it came", [][]byte{same, first}, 1},
		{"a control op named by the next", [][]byte{control, sign(t, "C", next).Bytes()}, 1},
		{"named by what is not authentic", [][]byte{first, flip(same)}, 0},
	} {
		if got := oplog.ParseBatch(c.raws, nil); len(got) != c.want {
			t.Errorf("%s: ParseBatch = %d ops, want %d", c.name, len(got), c.want)
		}
	}
	if got := oplog.IDOf(first); got != firstID {
		t.Errorf("IDOf = %v, want the hash %v", got, firstID)
	}
}

func flip(raw []byte) []byte {
	raw = bytes.Clone(raw)
	raw[len(raw)-1] ^= 1
	return raw
}
