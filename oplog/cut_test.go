package oplog_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// TestCutBatch: whatever a log has, its pieces are each authentic by themselves, and
// appended one after the other they are the log. Bodies that are away stay away.
func TestCutBatch(t *testing.T) {
	t.Parallel()
	genesis := oplogtest.Draw(t, "A0").Op("A0")
	pulled, away := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		log := hostile(t, rt, genesis)
		for o := range log.All(oplog.Content) {
			if rapid.Bool().Draw(rt, "let go") && log.LetGo(o.ID()) {
				away++
			}
		}
		left := slices.Concat(slices.Collect(log.All(oplog.Control)), slices.Collect(log.All(oplog.Content)))
		size := rapid.IntRange(1, 4000).Draw(rt, "size")
		got := oplog.NewLog(log.Entity())
		for len(left) > 0 {
			lean := slices.Clone(left)
			for i, o := range lean {
				lean[i] = o.Lean()
			}
			chunk, rest, err := oplog.CutBatch(lean, size, 1<<20, log.Whole)
			if err != nil || len(chunk) == 0 || len(chunk)+len(rest) != len(left) {
				rt.Fatalf("CutBatch of %d = %d and %d, %v", len(left), len(chunk), len(rest), err)
			}
			if !slices.EqualFunc(chunk, left[:len(chunk)], oplog.Op.Is) {
				pulled++
			}
			var sent []oplog.Pair
			for _, o := range chunk {
				sent = append(sent, o.Pair())
			}
			parsed := oplog.ParseBatch(oplog.HashAll(sent))
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
		if diff := oplogtest.Diff(log, got); diff != "" {
			rt.Fatalf("the pieces are another log: %s", diff)
		}
	})
	if pulled == 0 || away == 0 {
		t.Errorf("pulled forward in %d pieces, %d bodies away: this proves nothing", pulled, away)
	}
}

// framed returns how many bytes ops are as a list of Pairs.
func framed(ops []oplog.Op) int {
	var pairs []oplog.Pair
	for _, o := range ops {
		pairs = append(pairs, o.Pair())
	}
	return len(keys.Marshal(pairs))
}

// TestCutBatchBodies: a body takes room where it goes along.
func TestCutBatchBodies(t *testing.T) {
	t.Parallel()
	d := draftOf(contentWire(), make([]byte, 2000))
	d.Entity, d.Parents = digest(1), nil
	with := sign(t, "A", d)
	without := oplogtest.Away(t, sign(t, "B", d))[0]
	ops := map[rune]oplog.Op{'w': with, 'o': without}
	both := framed([]oplog.Op{with, without})
	for _, c := range []struct {
		give string
		size int
		want string
	}{
		{"ow", both + 20, "ow"},
		{"ow", both - 20, "o w"},
		{"wo", both + 20, "wo"},
		{"wo", both - 20, "w o"},
	} {
		if got := pieces(ops, c.give, c.size, 1<<20); got != c.want {
			t.Errorf("%s cut at %d of %d bytes: %q, want %q", c.give, c.size, both, got, c.want)
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
	sent := []oplog.Pair{genesis.Pair()}
	var ids []keys.Digest
	seqs := make([]uint64, len(plans))
	for i, p := range plans {
		d := draftOf(contentWire(), []byte{byte(i)})
		d.Entity, d.Seq, d.Prev, d.Parents, d.Auth = genesis.ID(), 0, keys.Digest{}, nil, []keys.Digest{genesis.ID()}
		if p.prev >= 0 {
			seqs[i] = seqs[p.prev] + 1
			d.Seq, d.Prev = seqs[i], ids[p.prev]
		}
		if p.parent >= 0 {
			d.Parents = []keys.Digest{ids[p.parent]}
		}
		pair := sign(t, p.device, d).Pair()
		if p.bad && named[i] {
			pair.Envelope = flip(pair.Envelope)
		}
		sent, ids = append(sent, pair), append(ids, sum(pair.Envelope))
	}
	log := oplog.NewLog(genesis.ID())
	ops := oplog.ParseBatch(oplog.HashAll(sent))
	if left := oplogtest.AppendAll(log, ops); len(ops) != len(sent) || len(left) > 0 {
		rt.Fatalf("of %d ops %d are authentic, %d of them do not fit", len(sent), len(ops), len(left))
	}
	return log
}

// TestCutBatchRoom: a piece has no more than the most, and what does not fit with
// what comes first goes out in the next one, with what it needs.
func TestCutBatchRoom(t *testing.T) {
	t.Parallel()
	d := draftOf(contentWire(), make([]byte, 200))
	d.Entity, d.Seq, d.Prev, d.Parents = digest(1), 0, keys.Digest{}, nil
	other := sign(t, "B", d)
	bad := sign(t, "A", d).Pair()
	bad.Envelope = flip(bad.Envelope)
	d.Seq, d.Prev = 1, sum(bad.Envelope)
	good := sign(t, "A", d)
	parsed := oplog.ParseBatch(oplog.HashAll([]oplog.Pair{bad, other.Pair(), good.Pair()}))
	if len(parsed) != 3 {
		t.Fatalf("ParseBatch = %d ops, want 3", len(parsed))
	}
	ops := map[rune]oplog.Op{'b': parsed[0], 'o': parsed[1], 'g': parsed[2]}
	one := framed([]oplog.Op{good}) + 10 // a little more than an op is in a frame
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
		chunk, left, _ = oplog.CutBatch(left, size, most, func(o oplog.Op) (oplog.Op, error) { return o, nil }) // they have their bytes
		for _, o := range chunk {
			for r := range ops {
				if ops[r].Is(o) {
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
