package entity

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pttnode/keys"
	"pttnode/oplog"
)

// TestReach: who is in whose past, as a search through a random graph has it.
func TestReach(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ops := drawGraph(rt)
		r := newReach()
		var pasts []map[int]bool // by number
		for n, o := range ops {
			if got := r.add(o); got != n {
				rt.Fatalf("add gave number %d, want %d", got, n)
			}
			pasts = append(pasts, search(ops, upon(ops, o)))
		}
		for a := range ops {
			for b := range ops {
				if got, want := r.before(a, b), pasts[b][a]; got != want {
					rt.Fatalf("before(%d, %d) = %v, want %v", a, b, got, want)
				}
				if got, want := r.beside(a, b), a != b && !pasts[b][a] && !pasts[a][b]; got != want {
					rt.Fatalf("beside(%d, %d) = %v, want %v", a, b, got, want)
				}
			}
		}
		var heads []keys.Digest
		var on []int
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, len(ops)-1), 0, 4).Draw(rt, "heads") {
			heads, on = append(heads, ops[n].ID()), append(on, n)
		}
		p, want := r.upTo(append(heads, keys.Digest{})), search(ops, on)
		for n := range ops {
			if got := p.has(n); got != want[n] {
				rt.Fatalf("the past of %v has %d: %v, want %v", on, n, got, want[n])
			}
		}
	})
}

// search is what stands at or before some ops: breadth first, through what each of them
// builds on.
func search(ops []oplog.Op, on []int) map[int]bool {
	seen := map[int]bool{}
	for todo := slices.Clone(on); len(todo) > 0; todo = todo[1:] {
		if seen[todo[0]] {
			continue
		}
		seen[todo[0]] = true
		todo = append(todo, upon(ops, ops[todo[0]])...)
	}
	return seen
}

func upon(ops []oplog.Op, o oplog.Op) (on []int) {
	for n, other := range ops {
		if other.ID() == o.Prev() || slices.Contains(o.Parents(), other.ID()) {
			on = append(on, n)
		}
	}
	return on
}

// drawGraph returns ops of a few authors that build on some of those before; now and
// then one builds on all, or on its own author's last only.
func drawGraph(rt *rapid.T) []oplog.Op {
	const authors = 4
	var ops []oplog.Op
	heads := map[keys.Digest]bool{}
	last := map[int]oplog.Op{}
	for i := range rapid.IntRange(1, 100).Draw(rt, "ops") {
		a := rapid.IntRange(0, authors-1).Draw(rt, "author")
		d := oplog.Draft{Entity: keys.Digest{1}, User: keys.Digest{2}, Strand: oplog.Control, Family: 5, Type: 99, At: time.UnixMilli(int64(i))}
		if len(ops) > 0 {
			switch rapid.IntRange(0, 3).Draw(rt, "upon") {
			case 0:
				for id := range heads {
					d.Parents = append(d.Parents, id)
				}
			default:
				for range rapid.IntRange(1, 3).Draw(rt, "parents") {
					d.Parents = append(d.Parents, ops[rapid.IntRange(max(0, len(ops)-20), len(ops)-1).Draw(rt, "parent")].ID())
				}
			}
			slices.SortFunc(d.Parents, compare)
			d.Parents = slices.Compact(d.Parents)
			d.Parents = d.Parents[:min(len(d.Parents), oplog.MaxParents)]
		} else {
			d.Entity, d.Family, d.Type = keys.Digest{}, oplog.FamilyGenesis, TypeGenesis
		}
		if p, ok := last[a]; ok {
			d.Seq, d.Prev = p.Seq()+1, p.ID()
		}
		o, err := oplog.Sign(keys.FromSeed([32]byte{byte(a + 1)}), d)
		if err != nil {
			rt.Fatalf("Sign: %v", err)
		}
		for _, id := range d.Parents {
			delete(heads, id)
		}
		heads[o.ID()], last[a] = true, o
		ops = append(ops, o)
	}
	return ops
}
