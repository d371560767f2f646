package oplog_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// past is a random history: several nodes that write, some with the same device,
// and take a part of each other's ops.
type past struct {
	genesis oplog.Op
	nodes   []*oplog.Log
	forks   bool
}

// all returns every op of the history, in an order in which it can be appended.
func (p past) all() []oplog.Op {
	l := oplog.NewLog(p.genesis.Entity())
	for _, n := range p.nodes {
		oplogtest.AppendAll(l, slices.Collect(n.All(oplog.Control)))
	}
	for _, n := range p.nodes {
		oplogtest.AppendAll(l, slices.Collect(n.All(oplog.Content)))
	}
	return slices.Collect(func(yield func(oplog.Op) bool) {
		for _, s := range []oplog.Strand{oplog.Control, oplog.Content} {
			for o := range l.All(s) {
				if !yield(o) {
					return
				}
			}
		}
	})
}

func drawHistory(t *testing.T, rt *rapid.T) past {
	p := past{forks: rapid.Bool().Draw(rt, "forks")}
	p.genesis = sign(t, "A", oplog.Draft{Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: 1})
	for range rapid.IntRange(2, 3).Draw(rt, "nodes") {
		l := oplog.NewLog(p.genesis.ID())
		oplogtest.AppendAll(l, []oplog.Op{p.genesis})
		p.nodes = append(p.nodes, l)
	}
	for i := range rapid.IntRange(1, 25).Draw(rt, "steps") {
		n := rapid.IntRange(0, len(p.nodes)-1).Draw(rt, "node")
		switch rapid.SampledFrom([]string{"write", "write", "take"}).Draw(rt, "step") {
		case "write":
			device := string(rune('A' + n)) // a device of its own, or one that two nodes share
			if p.forks && rapid.Bool().Draw(rt, "shared device") {
				device = "S"
			}
			p.write(t, rt, p.nodes[n], device, i)
		case "take":
			from := p.nodes[rapid.IntRange(0, len(p.nodes)-1).Draw(rt, "from")]
			lacks := from.Lacks(p.nodes[n].Vector())
			oplogtest.AppendAll(p.nodes[n], lacks[:rapid.IntRange(0, len(lacks)).Draw(rt, "how many")])
		}
	}
	return p
}

func (p past) write(t *testing.T, rt *rapid.T, l *oplog.Log, device string, i int) {
	d := oplog.Draft{
		Entity: p.genesis.ID(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: 100, Body: fmt.Appendf(nil, "%s %d", device, i),
	}
	some := func(ids []keys.Digest, least int) []keys.Digest { // an author need not name all heads
		if len(ids) < least {
			return nil
		}
		return ids[:rapid.IntRange(least, len(ids)).Draw(rt, "heads named")]
	}
	if rapid.Bool().Draw(rt, "content") {
		d.Strand, d.Family, d.Epoch = oplog.Content, oplog.FamilyMessage, keys.Digest{1}
		if heads := l.Heads(oplog.Content); len(heads) > 0 && rapid.Bool().Draw(rt, "a delete") {
			d.Epoch, d.About, d.Body = keys.Digest{}, heads[0], nil
		}
		d.Auth = some(l.Heads(oplog.Control), 1)
		d.Parents = some(l.Heads(oplog.Content), 0)
	} else {
		d.Parents = some(l.Heads(oplog.Control), 1)
	}
	if tip, ok := l.Tip(oplogtest.Device(device).ID(), d.Strand); ok {
		d.Seq, d.Prev = tip.Seq()+1, tip.ID()
	}
	if _, err := l.Append(sign(t, device, d)); err != nil {
		rt.Fatalf("Append: %v", err)
	}
}

// exchange gives each of two logs what it lacks of the other, as it comes.
func exchange(rt *rapid.T, a, b *oplog.Log, strict bool) {
	give := func(from, to *oplog.Log) {
		for _, o := range from.Lacks(to.Vector()) {
			if _, err := to.Append(o); err != nil && strict {
				rt.Fatalf("as Lacks gives them, %s does not fit: %v", called(o), err)
			}
		}
	}
	give(a, b)
	give(b, a)
}

// TestExchange: two logs that give each other what Lacks says once each way are
// equal. Where a device signed two histories and neither log knew both, an exchange
// may only bring the fork to light: then it is repeated, at most once for each
// strand and direction.
func TestExchange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawHistory(t, rt)
		a, b := p.nodes[0], p.nodes[1]
		exchange(rt, a, b, !p.forks)
		for i := 0; p.forks && i < 3 && !slices.Equal(a.Vector(), b.Vector()); i++ {
			before := a.Len() + b.Len()
			exchange(rt, a, b, false)
			if a.Len()+b.Len() == before {
				rt.Fatal("an exchange of unequal logs brought nothing")
			}
		}
		if diff := oplogtest.Diff(a, b); diff != "" {
			rt.Fatal(diff)
		}
		if n, m := len(a.Lacks(b.Vector())), len(b.Lacks(a.Vector())); n+m != 0 {
			rt.Fatalf("equal logs lack %d and %d", n, m)
		}
		if a.Vector().Hash(a.Entity()) != b.Vector().Hash(b.Entity()) {
			rt.Fatal("equal vectors have two hashes")
		}
	})
}

// TestLacks draws what one log has to send to another.
func TestLacks(t *testing.T) {
	t.Parallel()
	const drawing = `
		A0 -> A1 -> A2
		A0 -> A1'
		a0 -> a1 -> a2 -> a3
		a0 -> a1'-> a2'
		a0 -> a1'' -> a2'' -> a3'' -> a4''
		b0
	`
	for _, c := range []struct{ name, ours, theirs, want string }{
		{"nothing new", "A0 a0", "A0 a0", ""},
		{"all to a new node", "A0 a0 b0 A1", "", "A0 A1 a0 b0"},
		{"the rest of a chain", "A0 a0 a1 a2", "A0 a0", "a1 a2"},
		{"they are ahead", "A0 a0 a1", "A0 a0 a1 a2 a3", ""},
		{"they are ahead in one, we in another", "A0 a0 a1 b0", "A0 a0 a1 a2 A1", "b0"},
		{"a fork they do not know", "A0 a0 a1 a1'", "A0 a0 a1", "a1'"},
		{"a fork at one length, ours unknown to them: whole chain", "A0 a0 a1", "A0 a0 a1'", "a0 a1"},
		{"a fork, ours longer: whole chain", "A0 a0 a1 a2 a3", "A0 a0 a1'", "a0 a1 a2 a3"},
		{"a fork, theirs longer: they will tell us first", "A0 a0 a1", "A0 a0 a1' a2'", ""},
		{"a fork we know and they know half", "A0 a0 a1 a1' a2'", "A0 a0 a1 a2", "a0 a1 a1' a2'"},
		{"a tip they know beside a fork we do not", "A0 a0 a1 a2 a3", "A0 a0 a1 a1'' a2'' a3'' a4''", "a2 a3"},
		{"a fork here, their third side unknown and longer", "A0 a0 a1 a1'", "A0 a0 a1'' a2'' a3'' a4''", "a0 a1 a1'"},
		{"control before content", "A0 A1 A2 a0", "", "A0 A1 A2 a0"},
		{"a fork in control", "A0 A1 A2 A1'", "A0 A1", "A1' A2"},
	} {
		d := oplogtest.Draw(t, drawing)
		theirs := oplog.NewLog(d.Entity())
		if c.theirs != "" {
			theirs = d.Log(c.theirs)
		}
		got, want := d.Log(c.ours).Lacks(theirs.Vector()), d.Ops(c.want)
		if c.want == "" {
			want = nil
		}
		if !sameSet(got, want) {
			t.Errorf("%s: with [%s], [%s] lacks [%s], want [%s]", c.name, c.ours, c.theirs, d.Names(got), c.want)
		}
	}
}

func sameSet(a, b []oplog.Op) bool {
	ids := func(ops []oplog.Op) (out []keys.Digest) {
		for _, o := range ops {
			out = append(out, o.ID())
		}
		slices.SortFunc(out, oplogtest.Compare)
		return out
	}
	return slices.Equal(ids(a), ids(b))
}

// TestLacksOfAHostileVector: a vector is a stranger's claim. Whatever it says, what
// is sent is ours, once, and can be appended as it comes.
func TestLacksOfAHostileVector(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> A1\na0 -> a1\nb0")
	l := d.Log("")
	a, b := oplogtest.Device("A").ID(), oplogtest.Device("B").ID()
	tip := oplog.Head{Device: a, Strand: oplog.Content, Seq: 1, ID: d.Op("a1").ID()}
	unknown := func(seq uint64, id byte) oplog.Head {
		return oplog.Head{Device: a, Strand: oplog.Content, Seq: seq, ID: keys.Digest{id}}
	}
	for name, c := range map[string]struct {
		v    oplog.Vector
		want string
	}{
		"an unknown device":       {oplog.Vector{{Device: keys.ID{9}, Strand: oplog.Content, Seq: 1 << 63, ID: keys.Digest{9}}}, "A0 A1 a0 a1 b0"},
		"another device's tip":    {oplog.Vector{{Device: b, Strand: oplog.Content, Seq: 0, ID: tip.ID}}, "A0 A1 a0 a1 b0"},
		"another strand's tip":    {oplog.Vector{{Device: a, Strand: oplog.Control, Seq: 1, ID: tip.ID}}, "A0 A1 a0 a1 b0"},
		"strand 0":                {oplog.Vector{{Device: a, Strand: 0, Seq: 0, ID: keys.Digest{9}}}, "A0 A1 a0 a1 b0"},
		"strand 255":              {oplog.Vector{{Device: a, Strand: 255, Seq: 1<<64 - 1, ID: keys.Digest{9}}}, "A0 A1 a0 a1 b0"},
		"a tip many times":        {slices.Repeat(oplog.Vector{tip}, 1000), "A0 A1 b0"},
		"a tip with another seq":  {oplog.Vector{{Device: a, Strand: oplog.Content, Seq: 77, ID: tip.ID}}, "A0 A1 b0"},
		"a tip far out":           {oplog.Vector{unknown(1<<63, 1)}, "A0 A1 b0"},
		"two tips, the near last": {oplog.Vector{unknown(1<<62, 1), unknown(0, 2)}, "A0 A1 a0 a1 b0"},
		"two tips, the far last":  {oplog.Vector{unknown(0, 2), unknown(1<<62, 1)}, "A0 A1 a0 a1 b0"},
	} {
		got := l.Lacks(c.v)
		if !sameSet(got, d.Ops(c.want)) {
			t.Errorf("%s: sent are %s, want %s", name, d.Names(got), c.want)
		}
	}
}

// naiveLacks is what docs/PROTOCOL.md §8.2 says the other lacks, by the slowest means.
func naiveLacks(l *oplog.Log, theirs oplog.Vector) (out []keys.Digest) {
	for _, o := range slices.Concat(slices.Collect(l.All(oplog.Control)), slices.Collect(l.All(oplog.Content))) {
		has, known, unknown, shorter := false, false, false, true
		for _, h := range theirs {
			if h.Device != o.Device() || h.Strand != o.Strand() {
				continue
			}
			tip, ok := l.Get(h.ID)
			if !ok || tip.Device() != h.Device || tip.Strand() != h.Strand {
				last, _ := l.Tip(h.Device, h.Strand)
				unknown, shorter = true, shorter && last.Seq() < h.Seq
				continue
			}
			for ; ok && !tip.Is(o); tip, ok = l.Get(tip.Prev()) { // down to o, or below the first
			}
			known, has = true, has || ok
		}
		_, forked := l.Forked(o.Device(), o.Strand())
		longer := !forked && !known && unknown && shorter // a longer chain of one history has it
		if !has && !longer {
			out = append(out, o.ID())
		}
	}
	return out
}

// TestLacksNaive: whatever a vector says, Lacks is its definition, in the log's order.
func TestLacksNaive(t *testing.T) {
	t.Parallel()
	forked, none, some := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		p := drawHistory(t, rt)
		l, other := p.nodes[0], p.nodes[1]
		ops := p.all()
		theirs := slices.Clone(other.Vector())
		for range rapid.IntRange(0, 6).Draw(rt, "lies") {
			o := rapid.SampledFrom(ops).Draw(rt, "op")
			h := oplog.Head{Device: o.Device(), Strand: o.Strand(), Seq: o.Seq(), ID: o.ID()}
			switch rapid.SampledFrom([]string{"true", "unknown", "device", "strand", "seq"}).Draw(rt, "lie") {
			case "unknown":
				h.ID = keys.Digest{9}
				h.Seq = rapid.SampledFrom([]uint64{0, 1, 2, 3, 5, 1 << 20, 1<<64 - 1}).Draw(rt, "at")
			case "device":
				h.Device = rapid.SampledFrom(ops).Draw(rt, "of").Device()
			case "strand":
				h.Strand = oplog.Strand(rapid.IntRange(0, 3).Draw(rt, "of"))
			case "seq":
				h.Seq = rapid.Uint64().Draw(rt, "at")
			}
			theirs = append(theirs, h)
		}
		theirs = rapid.Permutation(theirs).Draw(rt, "order")
		theirs = theirs[:rapid.IntRange(0, len(theirs)).Draw(rt, "heads")]
		got, want := idsOf(l.Lacks(theirs)), naiveLacks(l, theirs)
		if !slices.Equal(got, want) {
			rt.Fatalf("Lacks(%v) = %v, want %v", theirs, got, want)
		}
		for _, h := range l.Vector() {
			if _, ok := l.Forked(h.Device, h.Strand); ok {
				forked++
				break
			}
		}
		switch len(got) {
		case 0:
			none++
		case l.Len():
		default:
			some++
		}
	})
	if forked == 0 || none == 0 || some == 0 {
		t.Errorf("%d logs forked, %d lacked nothing, %d something: this proves nothing", forked, none, some)
	}
}

// TestVectorHash: the name of a vector depends on each of its fields and on the
// entity.
func TestVectorHash(t *testing.T) {
	t.Parallel()
	v := oplog.Vector{{Device: keys.ID{1}, Strand: 1, Seq: 2, ID: keys.Digest{3}}, {Device: keys.ID{2}, Strand: 2, Seq: 3, ID: keys.Digest{4}}}
	entity := keys.Digest{5}
	seen := map[keys.Digest]string{v.Hash(entity): "itself"}
	for name, change := range map[string]func(oplog.Vector) oplog.Vector{
		"device": func(v oplog.Vector) oplog.Vector { v[0].Device[31] = 1; return v },
		"strand": func(v oplog.Vector) oplog.Vector { v[0].Strand = 2; return v },
		"seq":    func(v oplog.Vector) oplog.Vector { v[1].Seq = 1 << 40; return v },
		"id":     func(v oplog.Vector) oplog.Vector { v[1].ID[31] = 1; return v },
		"order":  func(v oplog.Vector) oplog.Vector { v[0], v[1] = v[1], v[0]; return v },
		"length": func(v oplog.Vector) oplog.Vector { return v[:1] },
		"none":   func(oplog.Vector) oplog.Vector { return nil },
	} {
		h := change(slices.Clone(v)).Hash(entity)
		if other, ok := seen[h]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[h] = name
	}
	if _, ok := seen[v.Hash(keys.Digest{6})]; ok {
		t.Error("the hash does not depend on the entity")
	}
}
