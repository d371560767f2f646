package oplog_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// TestCutBatch: whatever a log has, whole or as stubs, its pieces are each authentic by
// themselves, and appended one after the other they are the log.
func TestCutBatch(t *testing.T) {
	t.Parallel()
	genesis := oplogtest.Draw(t, "A0").Op("A0")
	pulled, stripped := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		log := hostile(t, rt, genesis)
		list := drawList(rt, 0xc1, slices.Collect(log.All(oplog.Content)))
		// An honest checkpoint drops nothing by which another op is authentic.
		vouches := func(o oplog.Op) bool { prev, ok := log.Get(o.Prev()); return ok && !prev.Signed() }
		if _, err := log.Strip(list, vouches); err != nil {
			rt.Fatalf("Strip: %v", err)
		}
		stripped += log.Bare()
		bare, err := list.Ops(log.Entity())
		if err != nil {
			rt.Fatalf("Ops: %v", err)
		}
		stubs := make(map[keys.Digest]oplog.Op)
		for _, o := range bare {
			stubs[o.ID()] = o
		}
		left := slices.Concat(slices.Collect(log.All(oplog.Control)), slices.Collect(log.All(oplog.Content)))
		size := rapid.IntRange(1, 4000).Draw(rt, "size")
		got := oplog.NewLog(log.Entity())
		for len(left) > 0 {
			chunk, rest := oplog.CutBatch(left, size, 1<<20)
			if len(chunk) == 0 || len(chunk)+len(rest) != len(left) {
				rt.Fatalf("CutBatch of %d = %d and %d", len(left), len(chunk), len(rest))
			}
			if !slices.Equal(chunk, left[:len(chunk)]) {
				pulled++
			}
			var raws [][]byte
			for _, o := range chunk {
				raws = append(raws, o.Entry())
			}
			parsed := oplog.ParseBatch(oplog.HashAll(raws), stubs)
			if len(parsed) != len(chunk) {
				rt.Fatalf("of %d ops in a piece %d are authentic", len(chunk), len(parsed))
			}
			for _, o := range parsed {
				if _, err := got.Append(o); err != nil {
					rt.Fatalf("append in the order of the pieces: %v", err)
				}
			}
			left = rest
		}
		if !slices.Equal(got.Vector(), log.Vector()) {
			rt.Fatalf("the pieces are %d ops, the log has %d", got.Len(), log.Len())
		}
		if diff := oplogtest.Diff(log, got); diff != "" {
			rt.Fatalf("the pieces are another log: %s", diff)
		}
	})
	if pulled == 0 || stripped == 0 {
		t.Errorf("pulled forward in %d pieces, %d stubs: this proves nothing", pulled, stripped)
	}
}

// TestCutBatchStubs: a stub takes the room of its id, not that of the op.
func TestCutBatchStubs(t *testing.T) {
	t.Parallel()
	d := draftOf(contentWire())
	d.Entity, d.Parents, d.Body = digest(1), nil, make([]byte, 2000)
	other := sign(t, "B", d)
	bad := flip(sign(t, "A", d).Bytes())
	d.Seq, d.Prev = 1, sum(bad)
	good := sign(t, "A", d)
	d.Seq, d.Prev = 2, good.ID()
	next := sign(t, "A", d)
	list, err := oplogtest.Dropped(digest(8), good, other).Ops(digest(1))
	if err != nil {
		t.Fatalf("Ops: %v", err)
	}
	stubs := make(map[keys.Digest]oplog.Op)
	for _, o := range list {
		stubs[o.ID()] = o
	}
	parsed := oplog.ParseBatch(oplog.HashAll([][]byte{bad, good.Bytes()}), stubs)
	if len(parsed) != 2 {
		t.Fatalf("ParseBatch = %d ops, want 2", len(parsed))
	}
	ops := map[rune]oplog.Op{'b': parsed[0], 'g': good, 'G': stubs[good.ID()], 'o': other, 'O': stubs[other.ID()], 'n': next}
	o, b, g := len(other.Bytes()), len(bad), len(good.Bytes())
	for _, c := range []struct {
		give       string
		size, most int // in bytes
		want       string
	}{
		{"OG", 63, 1 << 20, "O G"},
		{"OG", 64, 1 << 20, "OG"},
		{"oG", o + 31, 1 << 20, "o G"},
		{"oG", o + 32, 1 << 20, "oG"},
		{"Go", o + 31, 1 << 20, "G o"},
		{"Gon", 32, 1 << 20, "G o n"}, // a stub needs nothing by which it is authentic
		{"Obg", 64, 1 << 20, "O bg"},
		{"bOG", b, 1 << 20, "b OG"}, // a stub makes nothing else authentic
		{"bOg", b, b + 3 + g + 3, "bg O"},
		{"bOg", b, b + 3 + g + 2, "b O g"},
	} {
		if got := pieces(ops, c.give, c.size, c.most); got != c.want {
			t.Errorf("%s cut at %d bytes, with room for %d: %q, want %q", c.give, c.size, c.most, got, c.want)
		}
	}
}

// hostile draws a log of three devices that fork and sign badly, in which each bad op
// is named by another.
func hostile(t *testing.T, rt *rapid.T, genesis oplog.Op) *oplog.Log {
	type plan struct {
		device string
		prev   int // -1 for none
		parent int
		bad    bool
	}
	plans := make([]plan, rapid.IntRange(1, 25).Draw(rt, "ops"))
	tips, named := map[string]int{}, map[int]bool{}
	for i := range plans {
		p := plan{rapid.SampledFrom([]string{"A", "B", "C"}).Draw(rt, "device"), -1, rapid.IntRange(-1, i-1).Draw(rt, "parent"), rapid.Bool().Draw(rt, "bad")}
		if tip, ok := tips[p.device]; ok {
			p.prev = tip
			if fork := plans[tip].prev; fork >= 0 && rapid.IntRange(0, 4).Draw(rt, "fork") == 0 {
				p.prev = fork
			}
			named[p.prev] = true
		}
		tips[p.device], plans[i] = i, p
	}
	raws := [][]byte{genesis.Bytes()}
	var ids []keys.Digest
	seqs := make([]uint64, len(plans))
	for i, p := range plans {
		d := draftOf(contentWire())
		d.Entity, d.Seq, d.Prev, d.Parents, d.Auth, d.Body = genesis.ID(), 0, keys.Digest{}, nil, []keys.Digest{genesis.ID()}, []byte{byte(i)}
		if p.prev >= 0 {
			seqs[i] = seqs[p.prev] + 1
			d.Seq, d.Prev = seqs[i], ids[p.prev]
		}
		if p.parent >= 0 {
			d.Parents = []keys.Digest{ids[p.parent]}
		}
		raw := bytes.Clone(sign(t, p.device, d).Bytes())
		if p.bad && named[i] {
			raw = flip(raw)
		}
		raws, ids = append(raws, raw), append(ids, sum(raw))
	}
	log := oplog.NewLog(genesis.ID())
	ops := oplog.ParseBatch(oplog.HashAll(raws), nil)
	if left := log.AppendAll(ops); len(ops) != len(raws) || len(left) > 0 {
		rt.Fatalf("of %d ops %d are authentic, %d of them do not fit", len(raws), len(ops), len(left))
	}
	return log
}

// TestCutBatchRoom: a piece has no more than the most, and what does not fit with
// what comes first goes out in the next one, with what it needs.
func TestCutBatchRoom(t *testing.T) {
	t.Parallel()
	d := draftOf(contentWire())
	d.Entity, d.Seq, d.Prev, d.Parents, d.Body = digest(1), 0, keys.Digest{}, nil, make([]byte, 200)
	other := sign(t, "B", d)
	bad := flip(sign(t, "A", d).Bytes())
	d.Seq, d.Prev = 1, sum(bad)
	good := sign(t, "A", d)
	parsed := oplog.ParseBatch(oplog.HashAll([][]byte{bad, other.Bytes(), good.Bytes()}), nil)
	if len(parsed) != 3 {
		t.Fatalf("ParseBatch = %d ops, want 3", len(parsed))
	}
	ops := map[rune]oplog.Op{'b': parsed[0], 'o': parsed[1], 'g': parsed[2]}
	one := len(good.Bytes()) + 10 // a little more than an op is in a frame
	for _, c := range []struct {
		give       string
		size, most int // in ops
		want       string
	}{
		{"bog", 3, 3, "bog"},
		{"bog", 1, 3, "bg o"},
		{"bog", 2, 3, "bog"},
		{"bog", 2, 2, "bg o"}, // by itself, with what it needs
		{"bog", 2, 1, "bo g"}, // there is no room: the next sync may have some
		{"obg", 2, 3, "obg"},
		{"obg", 2, 2, "o bg"},
		{"obg", 1, 2, "o bg"},
	} {
		if got := pieces(ops, c.give, c.size*one, c.most*one); got != c.want {
			t.Errorf("%s cut at %d ops, with room for %d: %q, want %q", c.give, c.size, c.most, got, c.want)
		}
	}
}

// pieces cuts the named ops as long as there are some, and names those of each piece.
func pieces(ops map[rune]oplog.Op, names string, size, most int) (got string) {
	var left []oplog.Op
	for _, r := range names {
		left = append(left, ops[r])
	}
	for len(left) > 0 && len(got) < 10 {
		var chunk []oplog.Op
		chunk, left = oplog.CutBatch(left, size, most)
		for _, o := range chunk {
			for r := range ops {
				if ops[r] == o {
					got += string(r)
				}
			}
		}
		if len(left) > 0 {
			got += " "
		}
	}
	return got
}
