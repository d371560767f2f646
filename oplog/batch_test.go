package oplog_test

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"

	"pttnode/keys"
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
		if got := d.Names(oplog.ParseBatch(oplog.HashAll(raws), nil)); got != c.want {
			t.Errorf("%s: ParseBatch(%s, %s bad) = %q, want %q", c.name, c.give, c.bad, got, c.want)
		}
	}
	garbage := [][]byte{nil, {0xff}, make([]byte, oplog.MaxContent+1), newer(d.Op("a0").Bytes()), d.Op("a0").Bytes(), bytes.Repeat([]byte{0xaf}, 200)}
	if got := d.Names(oplog.ParseBatch(oplog.HashAll(garbage), nil)); got != "a0" {
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
		if got := oplog.ParseBatch(oplog.HashAll(c.raws), nil); len(got) != c.want {
			t.Errorf("%s: ParseBatch = %d ops, want %d", c.name, len(got), c.want)
		}
	}
	if got := oplog.IDOf(first); got != firstID {
		t.Errorf("IDOf = %v, want the hash %v", got, firstID)
	}
}

// TestParseBatchStubs: 32 bytes are the id of a stub, which is authentic and makes
// authentic what it names; of one that nobody knows nothing is taken.
func TestParseBatchStubs(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, `
		A0 -> A1 -> B0
		a0 -> a1 -> a2 -> a3
		b0 -> b1
	`)
	list, err := oplogtest.Dropped(digest(8), d.Ops("a1 a2 b0")...).Ops(d.Entity())
	if err != nil {
		t.Fatalf("Ops: %v", err)
	}
	stubs := make(map[keys.Digest]oplog.Op)
	for _, o := range list {
		stubs[o.ID()] = o
	}
	for _, c := range []struct{ name, give, want string }{
		{"a stub alone", "~a1", "a1~"},
		{"all, some of them stubs", "A0 A1 B0 a0 ~a1 ~a2 a3 ~b0 b1", "A0 A1 B0 a0 a1~ a2~ a3 b0~ b1"},
		{"newest first", "~a2 ~a1 a0", "a2~ a1~ a0"},
		{"one twice, and whole", "~a1 ~a1 a1", "a1~ a1~ a1"},
		{"one that nobody knows", "a0 ~a3 ~a1", "a0 a1~"},
		{"a control op's id", "A0 ~A1 ~a1", "A0 a1~"},
		{"a bad op after a stub", "~a1 !a2 ~b0", "a1~ b0~"},
		{"a bad op before a stub that names another", "!a0 ~a1", "a1~"},
	} {
		var raws [][]byte
		for name := range strings.FieldsSeq(c.give) {
			o := d.Op(strings.TrimLeft(name, "~!"))
			switch id := o.ID(); name[0] {
			case '~':
				raws = append(raws, id[:])
			case '!':
				raws = append(raws, flip(o.Bytes()))
			default:
				raws = append(raws, o.Bytes())
			}
		}
		var got []string
		for _, o := range oplog.ParseBatch(oplog.HashAll(raws), stubs) {
			name := d.Names([]oplog.Op{o})
			if o.Bare() {
				name += "~"
				if o != stubs[o.ID()] {
					t.Errorf("%s: %s is another op than the one of its stub", c.name, name)
				}
			}
			got = append(got, name)
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: ParseBatch(%s) = %q, want %q", c.name, c.give, got, c.want)
		}
	}
	known := list[0].ID()
	for name, raws := range map[string][][]byte{"a byte less": {known[:31]}, "a byte more": {append(known[:], 0)}} {
		if got := oplog.ParseBatch(oplog.HashAll(raws), stubs); len(got) != 0 {
			t.Errorf("an id of %s: ParseBatch = %d ops", name, len(got))
		}
	}
	if got := oplog.ParseBatch(oplog.HashAll([][]byte{known[:]}), nil); len(got) != 0 {
		t.Errorf("an id where there are no stubs: ParseBatch = %d ops", len(got))
	}
}

// TestParseBatchNamedByStub: a content op with a bad signature of its own is not authentic
// by a stub that names it as the one before it.
func TestParseBatchNamedByStub(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0")
	content := func(seq uint64, prev keys.Digest) oplog.Draft {
		dr := draftOf(contentWire())
		dr.Entity, dr.Seq, dr.Prev = d.Entity(), seq, prev
		return dr
	}
	first := flip(sign(t, "A", content(0, keys.Digest{})).Bytes())
	second := flip(sign(t, "A", content(1, sum(first))).Bytes())
	for _, c := range []struct {
		name  string
		namer oplog.Op
		turn  bool // the stub comes first
		want  int
	}{
		{"the next of its device", sign(t, "A", content(2, sum(second))), false, 1},
		{"the next, before it came", sign(t, "A", content(2, sum(second))), true, 1},
		{"the one before", sign(t, "A", content(1, sum(first))), false, 1},
	} {
		list, err := oplogtest.Dropped(digest(8), c.namer).Ops(c.namer.Entity())
		if err != nil {
			t.Fatalf("Ops: %v", err)
		}
		raws := [][]byte{first, second, list[0].Entry()}
		if c.turn {
			raws = [][]byte{list[0].Entry(), first, second}
		}
		got := oplog.ParseBatch(oplog.HashAll(raws), map[keys.Digest]oplog.Op{c.namer.ID(): list[0]})
		if len(got) != c.want {
			t.Errorf("%s: ParseBatch = %d ops, want %d", c.name, len(got), c.want)
		}
		for _, o := range got {
			if !o.Signed() {
				t.Errorf("%s: an op that is bare %v says of its own signature %v", c.name, o.Bare(), o.Signed())
			}
		}
	}
}

// TestParseBatchSharedStubs: who parses writes to no stub, since others read them.
func TestParseBatchSharedStubs(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0\na0 -> a1 -> a2 -> a3 -> a4")
	list, err := oplogtest.Dropped(digest(8), d.Ops("a1 a2 a4")...).Ops(d.Entity())
	if err != nil {
		t.Fatalf("Ops: %v", err)
	}
	stubs := make(map[keys.Digest]oplog.Op)
	auth := make(map[keys.Digest]*keys.Digest) // where it lies
	for _, o := range list {
		stubs[o.ID()], auth[o.ID()] = o, &o.Auth()[0]
	}
	var wg sync.WaitGroup
	for range 2 { // the race detector sees a write
		wg.Go(func() {
			var raws [][]byte
			for _, o := range d.Ops("") {
				if stub, ok := stubs[o.ID()]; ok {
					raws = append(raws, bytes.Clone(stub.Entry()))
				} else {
					raws = append(raws, bytes.Clone(o.Bytes()))
				}
			}
			if got := d.Names(oplog.ParseBatch(oplog.HashAll(raws), stubs)); got != "A0 a0 a1 a2 a3 a4" {
				t.Errorf("ParseBatch = %q", got)
			}
		})
	}
	wg.Wait()
	for id, o := range stubs {
		if &o.Auth()[0] != auth[id] {
			t.Errorf("ParseBatch gave the stub %v the auth of another op", id)
		}
	}
}

func flip(raw []byte) []byte {
	raw = bytes.Clone(raw)
	raw[len(raw)-1] ^= 1
	return raw
}
