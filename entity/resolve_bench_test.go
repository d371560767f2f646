package entity_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// history returns n control ops of 5 masters: in rounds each writes some beside the
// others, a junior and a senior remove a member or each other beside that, and one
// merges. Parents come first.
func history(tb testing.TB, n int, closing bool) []oplog.Op {
	tb.Helper()
	w := found(tb, entity.Board)
	known := 0 // how many of ops w has
	masters := []string{"founder", "anna", "ben", "carl", "dan"}
	for _, m := range masters[1:] {
		w.Admit(tb, m, entity.Member)
		party := w.Who(tb, m).Party()
		w.Must(tb, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party})
	}
	w.Admit(tb, "dora", entity.Member)
	first := nextEpoch(w)
	ops := slices.Collect(w.Log().All(oplog.Control))
	last := map[string]oplog.Op{"founder": ops[len(ops)-1]}
	heads := []keys.Digest{last["founder"].ID()}
	write := func(name string, parents []keys.Digest, family oplog.Family, typ uint16, body any) keys.Digest {
		p := w.Who(tb, name)
		d := oplog.Draft{
			Entity: w.ID(), User: p.User(), Strand: oplog.Control, Family: family, Type: typ, Parents: parents, At: now, Body: keys.Marshal(body),
		}
		if prev, ok := last[name]; ok {
			d.Seq, d.Prev = prev.Seq()+1, prev.ID()
		}
		o := sign(tb, p, d)
		last[name] = o
		ops = append(ops, o)
		return o.ID()
	}
	// checkpoint closes what the founder has seen, and the others ack it beside each other.
	checkpoint := func() {
		for ; known < len(ops); known++ {
			if _, err := w.Add(ops[known]); err != nil {
				tb.Fatalf("Add: %v", err)
			}
		}
		heads = []keys.Digest{write("founder", heads, oplog.FamilyCheckpoint, entity.TypeCheckpoint, w.NextCheckpoint())}
		var acks []keys.Digest
		for _, m := range masters[1:] {
			acks = append(acks, write(m, heads, oplog.FamilyCheckpoint, entity.TypeAck, entity.Ack{Checkpoint: heads[0]}))
		}
		slices.SortFunc(acks, compare)
		heads = acks
	}
	title := func(name string, parents []keys.Digest) keys.Digest {
		return write(name, parents, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: fmt.Sprint(name, len(ops))})
	}
	known = len(ops)
	party := w.Who(tb, "dora").Party()
	for round := 0; len(ops) < n; round++ {
		clash := round%max(1, n/110) == 3 // some ten times, at 11 ops a round
		var tips []keys.Digest
		for i, m := range masters {
			on := heads
			for range 1 + (round+i)%3 {
				on = []keys.Digest{title(m, on)}
			}
			switch {
			case clash && m == "carl":
				on = []keys.Digest{write(m, on, oplog.FamilyMember, entity.TypeRemove, entity.Remove{User: party.User, Epoch: first})}
			case clash && m == "dan":
				on = []keys.Digest{write(m, on, oplog.FamilyMember, entity.TypeRole, entity.SetRole{User: party.User, Role: entity.Reader})}
			}
			tips = append(tips, on...)
		}
		slices.SortFunc(tips, compare)
		heads = []keys.Digest{title(masters[round%len(masters)], tips)}
		if clash {
			heads = []keys.Digest{write("founder", heads, oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: party, Role: entity.Member, Ref: &w.Ref})}
		}
		if closing && (clash || round%5 == 4) {
			checkpoint()
		}
	}
	return ops[:n]
}

// BenchmarkResolve compares what it costs to know a state with what it costs to check the
// signatures of its ops: the ratio is what docs/PERFORMANCE.md bounds.
func BenchmarkResolve(b *testing.B) {
	logOf := func(b *testing.B, ops []oplog.Op) *oplog.Log {
		l := oplog.NewLog(ops[0].Entity())
		if left := oplogtest.AppendAll(l, ops); len(left) > 0 {
			b.Fatalf("%d ops do not fit", len(left))
		}
		return l
	}
	open := func(b *testing.B, ops []oplog.Op) {
		e, err := entity.Open(logOf(b, ops))
		if err != nil {
			b.Fatal(err)
		}
		if s := e.State(); len(s.Void) == 0 {
			b.Fatal("nothing clashed")
		} else if s.Final.Number > 0 {
			b.ReportMetric(float64(s.Final.Number), "checkpoints")
		}
	}
	add := func(b *testing.B, ops []oplog.Op) {
		e, err := entity.New(ops[0])
		if err != nil {
			b.Fatal(err)
		}
		for _, o := range ops[1:] {
			if _, err := e.Add(o); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name    string
		n       int
		closing bool
		do      func(*testing.B, []oplog.Op)
		bound   float64
	}{
		{"open", 5_000, false, open, 0.25},
		{"open", 50_000, false, open, 1},
		{"open with checkpoints", 5_000, true, open, 0.25},
		{"open with checkpoints", 50_000, true, open, 1},
		{"add", 5_000, false, add, 0}, // none yet
		{"add with checkpoints", 5_000, true, add, 1},
	} {
		b.Run(fmt.Sprintf("%s/%d", c.name, c.n), func(b *testing.B) {
			ops := history(b, c.n, c.closing)
			var best, base time.Duration
			for b.Loop() {
				start := time.Now()
				c.do(b, ops)
				if d := time.Since(start); best == 0 || d < best {
					best = d
				}
				if d := signatures(b, ops); base == 0 || d < base {
					base = d
				}
			}
			ratio := float64(best) / float64(base)
			b.ReportMetric(ratio, "of-signatures")
			if c.bound > 0 && ratio > c.bound {
				b.Errorf("%s of %d ops takes %v, %.2f of checking their signatures (%v), bound %v", c.name, c.n, best, ratio, base, c.bound)
			}
		})
	}
}

// BenchmarkContent compares judging articles, each written under another state of a board,
// with checking their signatures.
func BenchmarkContent(b *testing.B) {
	for _, closing := range []bool{false, true} {
		b.Run(fmt.Sprintf("5000 states, checkpoints %v", closing), func(b *testing.B) {
			control := history(b, 5_000, closing)
			people := map[keys.ID]person{}
			for _, name := range []string{"founder", "anna", "ben", "carl", "dan", "dora"} {
				p := newPerson(b, name)
				people[p.Key.ID()] = p
			}
			var articles []oplog.Op
			last := map[keys.ID]oplog.Op{}
			for _, o := range control[len(control)-5_000+100:] { // not those that found the board
				p := people[o.Device()]
				d := oplog.Draft{
					Entity: control[0].ID(), User: o.User(), Strand: oplog.Content, Family: oplog.FamilyArticle, Type: entitytest.TypeNew,
					Auth: []keys.Digest{o.ID()}, Epoch: control[2].ID(), At: now, Body: []byte("sealed"),
				}
				if l, ok := last[o.Device()]; ok {
					d.Seq, d.Prev, d.Parents = l.Seq()+1, l.ID(), []keys.Digest{l.ID()}
				}
				a := sign(b, p, d)
				last[o.Device()] = a
				articles = append(articles, a)
			}
			var best, base time.Duration
			for b.Loop() {
				l := oplog.NewLog(control[0].ID())
				oplogtest.AppendAll(l, control)
				e, err := entity.Open(l)
				if err != nil {
					b.Fatal(err)
				}
				e.State()
				start := time.Now()
				for _, o := range articles {
					if _, err := e.Add(o); err != nil {
						b.Fatal(err)
					}
				}
				if d := time.Since(start); best == 0 || d < best {
					best = d
				}
				if d := signatures(b, articles); base == 0 || d < base {
					base = d
				}
			}
			b.ReportMetric(float64(best)/float64(base), "of-signatures")
		})
	}
}
