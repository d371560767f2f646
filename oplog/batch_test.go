package oplog_test

import (
	"bytes"
	"slices"
	"strings"
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
		var pairs []oplog.Pair
		bad := d.Ops(c.bad)
		if c.bad == "" {
			bad = nil
		}
		ops := d.Ops(c.give)
		if c.give == " " {
			ops = nil
		}
		for _, o := range ops {
			p := o.Pair()
			if slices.ContainsFunc(bad, o.Is) {
				p.Envelope = flip(p.Envelope)
			}
			pairs = append(pairs, p)
		}
		if got := d.Names(oplog.ParseBatch(oplog.HashAll(pairs))); got != c.want {
			t.Errorf("%s: ParseBatch(%s, %s bad) = %q, want %q", c.name, c.give, c.bad, got, c.want)
		}
	}
	var garbage []oplog.Pair
	for _, raw := range [][]byte{
		nil, {0xff}, make([]byte, oplog.MaxControl+1), newer(d.Op("a0").Envelope()), d.Op("a0").Envelope(), bytes.Repeat([]byte{0xb2}, 200),
	} {
		garbage = append(garbage, oplog.Pair{Envelope: raw})
	}
	if got := d.Names(oplog.ParseBatch(oplog.HashAll(garbage))); got != "a0" {
		t.Errorf("ParseBatch of garbage and a0 = %q, want a0", got)
	}
}

// TestParseBatchBodies: an op comes with its body or without; with another body it does
// not come at all, and takes nothing else with it.
func TestParseBatchBodies(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, `
		A0 -> B0
		a0 -> a1 -> a2
		b0 -> b1
	`)
	bare, err := oplog.Sign(oplogtest.Device("C"), draftOf(bareWire(), nil))
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	for _, c := range []struct {
		name, give string
		bodies     map[string]string // in place of the op's own; "-" for none
		want       string            // ~ marks an op without its body
	}{
		{"all", "A0 a0 a1 b0", nil, "A0 a0 a1 b0"},
		{"one without", "A0 a0 a1 b0", map[string]string{"a0": "-"}, "A0 a0~ a1 b0"},
		{"all without", "a0 a1 b0", map[string]string{"a0": "-", "a1": "-", "b0": "-"}, "a0~ a1~ b0~"},
		{"the body of the one before it", "a0 a1 b0", map[string]string{"a1": "a0"}, "a0 b0"},
		{"bodies in each other's place", "a0 a1 b0", map[string]string{"a1": "a0", "a0": "a1"}, "b0"},
		{"a longer body", "a0 a1 b0", map[string]string{"b0": "b0b0"}, "a0 a1"},
		{"a shorter body", "a0 a1 b0", map[string]string{"b0": "b"}, "a0 a1"},
		{"the last of a chain", "a0 a1 a2", map[string]string{"a2": "x"}, "a0 a1"},
		{"a control op with a body", "A0 B0 a0", map[string]string{"B0": "B0"}, "A0 a0"},
		{"one twice, without and with", "a0 a0", nil, "a0 a0"},
	} {
		var pairs []oplog.Pair
		for _, o := range d.Ops(c.give) {
			p := oplog.Pair{Envelope: o.Envelope(), Body: o.Body()}
			if body, ok := c.bodies[called(o)]; ok {
				p.Body = []byte(body)
				if body == "-" {
					p.Body = nil
				}
			}
			pairs = append(pairs, p)
		}
		var got []string
		hashed := oplog.HashAll(pairs)
		for i, h := range hashed {
			if h.ID() != oplog.IDOf(pairs[i].Envelope) || h.HasBody() != (len(pairs[i].Body) > 0) {
				t.Errorf("%s: HashAll: id %v, with a body %v", c.name, h.ID(), h.HasBody())
			}
		}
		for _, o := range oplog.ParseBatch(hashed) {
			name := d.Names([]oplog.Op{o})
			if o.Size() > 0 && o.Body() == nil {
				name += "~"
			} else if o.Size() > 0 && string(o.Body()) != name {
				t.Errorf("%s: %s has the body %q", c.name, name, o.Body())
			}
			got = append(got, name)
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: ParseBatch = %q, want %q", c.name, got, c.want)
		}
	}
	for body, want := range map[string]int{"": 1, "x": 0} {
		if got := oplog.ParseBatch(oplog.HashAll([]oplog.Pair{{Envelope: bare.Envelope(), Body: []byte(body)}})); len(got) != want {
			t.Errorf("an op that has no body, with %q: ParseBatch = %d ops, want %d", body, len(got), want)
		}
	}
}

// TestPairBytes: the wire form of docs/PROTOCOL.md §2.1, byte for byte.
func TestPairBytes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pair oplog.Pair
		want []byte
	}{
		{oplog.Pair{Envelope: []byte{7, 8}}, []byte{0xa1, 1, 0x42, 7, 8}},
		{oplog.Pair{Envelope: []byte{7, 8}, Body: []byte{9}}, []byte{0xa2, 1, 0x42, 7, 8, 2, 0x41, 9}},
	} {
		if got := keys.Marshal(c.pair); !bytes.Equal(got, c.want) {
			t.Errorf("a Pair is %x, want %x", got, c.want)
		}
		var back oplog.Pair
		if err := keys.Unmarshal(c.want, &back); err != nil || !bytes.Equal(back.Envelope, c.pair.Envelope) || !bytes.Equal(back.Body, c.pair.Body) {
			t.Errorf("Unmarshal(%x) = %x, %v", c.want, back, err)
		}
	}
	var p oplog.Pair
	if err := keys.Unmarshal([]byte{0xa2, 1, 0x42, 7, 8, 2, 0x40}, &p); err == nil {
		t.Error("a Pair with an empty body is one") // it is one without key 2
	}
}

// TestParseBatchNamed: a content op with a bad signature of its own is authentic if a
// content op of its device that is names it; a control op never is, nor one that
// another device names.
func TestParseBatchNamed(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> B0")
	content := func(device string, seq uint64, prev []byte) oplog.Draft {
		dr := draftOf(contentWire(), []byte(device))
		dr.Entity, dr.Seq = d.Entity(), seq
		copy(dr.Prev[:], prev)
		return dr
	}
	first := bytes.Clone(sign(t, "A", content("A", 0, nil)).Envelope())
	first[len(first)-1] ^= 1
	firstID := sum(first)
	same := sign(t, "A", content("A", 1, firstID[:])).Envelope()
	other := sign(t, "B", content("B", 1, firstID[:])).Envelope()
	foreign := content("A", 1, firstID[:])
	foreign.Entity[0] ^= 1
	gap := content("A", 2, firstID[:])

	control := bytes.Clone(sign(t, "C", on(oplog.Draft{Entity: d.Entity(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: 100}, d.Entity())).Envelope())
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
		{"named in another entity", [][]byte{first, sign(t, "A", foreign).Envelope()}, 1},
		{"named over a gap in seq", [][]byte{first, sign(t, "A", gap).Envelope()}, 1},
		{"named before it came", [][]byte{same, first}, 1},
		{"a control op named by the next", [][]byte{control, sign(t, "C", next).Envelope()}, 1},
		{"named by what is not authentic", [][]byte{first, flip(same)}, 0},
	} {
		if got := oplog.ParseBatch(oplog.HashAll(pairs(c.raws))); len(got) != c.want {
			t.Errorf("%s: ParseBatch = %d ops, want %d", c.name, len(got), c.want)
		}
	}
	if got := oplog.IDOf(first); got != firstID {
		t.Errorf("IDOf = %v, want the hash %v", got, firstID)
	}
}

// pairs are envelopes as they travel without bodies.
func pairs(raws [][]byte) (out []oplog.Pair) {
	for _, raw := range raws {
		out = append(out, oplog.Pair{Envelope: raw})
	}
	return out
}

func flip(raw []byte) []byte {
	raw = bytes.Clone(raw)
	raw[len(raw)-1] ^= 1
	return raw
}
