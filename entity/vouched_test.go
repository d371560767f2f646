package entity_test

import (
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestVouched: an op with a bad signature is let through with a good one that names
// it and can be added too, and not without.
func TestVouched(t *testing.T) {
	w := settle(t, entity.Board)
	member := w.Who(t, "member")
	// batch returns what ParseBatch makes of a chain of the member's device, of which
	// all but the last op are badly signed; spoil alters the last one.
	batch := func(length int, spoil func(*oplog.Draft)) []oplog.Op {
		var raws []oplog.Pair
		var prev keys.Digest
		for i := range length {
			d := w.Draft(member, oplog.Content, oplog.FamilyArticle, 100, []byte{byte(i), byte(length)})
			d.Seq, d.Prev = uint64(i), prev
			if i == length-1 {
				spoil(&d)
			}
			raw := slices.Clone(sign(t, member, d).Envelope())
			if i < length-1 {
				raw[len(raw)-1] ^= 1
			}
			raws, prev = append(raws, oplog.Pair{Envelope: raw}), oplog.IDOf(raw)
		}
		return oplog.ParseBatch(oplog.HashAll(raws))
	}
	for _, c := range []struct {
		name         string
		length, want int
		spoil        func(*oplog.Draft)
	}{
		{"named by what can be added", 2, 2, func(*oplog.Draft) {}},
		{"through two bad ones", 3, 3, func(*oplog.Draft) {}},
		{"named by what lacks its parent", 3, 1, func(d *oplog.Draft) { d.Parents = []keys.Digest{{7}} }},
		{"named by what lacks its auth", 2, 1, func(d *oplog.Draft) { d.Auth = []keys.Digest{{7}} }},
		{"named in an unknown epoch", 2, 1, func(d *oplog.Draft) { d.Epoch = keys.Digest{7} }},
		{"named by what is not in place", 2, 1, func(d *oplog.Draft) { d.Parents = d.Auth }},
	} {
		ops := batch(c.length, c.spoil)
		if len(ops) != c.length {
			t.Fatalf("%s: ParseBatch = %d ops, want %d", c.name, len(ops), c.length)
		}
		got := w.Vouched(ops)
		if len(got) != c.want || !got[len(got)-1].Is(ops[c.length-1]) {
			t.Errorf("%s: Vouched of %d = %d ops, want %d, the last among them", c.name, c.length, len(got), c.want)
		}
	}
}

// TestVouchedCascade: what is left out takes with it what builds on it, and that what
// it vouched for. Where that goes on for long nothing is let through by its chain: a
// batch costs a bounded number of looks.
func TestVouchedCascade(t *testing.T) {
	for _, c := range []struct{ length, want int }{{2, 2 + 2}, {10, 10 + 1}} {
		w := settle(t, entity.Board)
		var bad, good []oplog.Pair
		pair := func(name string, i int, parent keys.Digest) (id keys.Digest) {
			by := w.Who(t, name)
			d := w.Draft(by, oplog.Content, oplog.FamilyArticle, 100, []byte{byte(i)})
			raw := slices.Clone(sign(t, by, d).Envelope())
			raw[len(raw)-1] ^= 1
			d.Seq, d.Prev, d.Parents = 1, oplog.IDOf(raw), []keys.Digest{parent}
			bad, good = append(bad, oplog.Pair{Envelope: raw}), append(good, sign(t, by, d).Pair())
			return oplog.IDOf(raw)
		}
		for i, above := 0, (keys.Digest{7}); i < c.length; i++ { // the first builds on what nobody has
			above = pair("member", i, above)
		}
		honest := w.Draft(w.Who(t, "founder"), oplog.Content, oplog.FamilyArticle, 100, []byte("honest"))
		o := sign(t, w.Who(t, "founder"), honest)
		checkAdded(t, w.Entity, o)
		pair("master", 0, o.ID())
		ops := oplog.ParseBatch(oplog.HashAll(slices.Concat(bad, good)))
		if len(ops) != 2*(c.length+1) {
			t.Fatalf("ParseBatch = %d ops, want %d", len(ops), 2*(c.length+1))
		}
		if got := w.Vouched(ops); len(got) != c.want {
			t.Errorf("Vouched of %d pairs, each on the bad op of the one before, and a pair that can be added = %d ops, want %d", c.length, len(got), c.want)
		}
	}
}
