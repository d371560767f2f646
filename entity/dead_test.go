package entity_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// close has the founder make a checkpoint at his place, which every other owner there
// acks, and returns it.
func (r *replica) close(tb testing.TB) oplog.Op {
	tb.Helper()
	c, err := r.Checkpoint(r.people["founder"].author(), r.ring)
	if err != nil {
		tb.Fatalf("the founder makes a checkpoint: %v", err)
	}
	for name, p := range r.people {
		if id, ok := r.WantsAck(p.user(), r.ring); ok && name != "founder" {
			if _, err := r.Ack(p.author(), id); err != nil {
				tb.Fatalf("%s acks: %v", name, err)
			}
		}
	}
	return c
}

// strip drops what settled checkpoints drop, as a node does.
func strip(tb testing.TB, e *entity.Entity, ring entity.Keyring) (stripped []oplog.Op) {
	tb.Helper()
	for _, d := range e.Drops() {
		if !d.Settled {
			tb.Fatalf("checkpoint %v is not settled", d.Checkpoint)
		}
		list, ops, err := e.Strip(d.Checkpoint, ring)
		if err != nil || len(list.Stubs) != d.Count {
			tb.Fatalf("Strip: %d of %d, %v", len(list.Stubs), d.Count, err)
		}
		stripped = append(stripped, ops...)
	}
	return stripped
}

// give brings what to lacks, as a sync does: control, lists, content.
func give(tb testing.TB, from, to *entity.Entity) {
	tb.Helper()
	lacks := from.Log().Lacks(to.Log().Vector())
	content := slices.IndexFunc(lacks, func(o oplog.Op) bool { return o.Strand() == oplog.Content })
	if content < 0 {
		content = len(lacks)
	}
	add := func(ops []oplog.Op) {
		tb.Helper()
		for _, o := range ops {
			if _, err := to.Add(o); err != nil {
				tb.Fatalf("Add of what another has: %v", err)
			}
		}
	}
	add(lacks[:content])
	for _, d := range from.Drops() {
		if list, ok := from.Log().Dropped(d.Checkpoint); ok {
			if err := to.TakeDropped(list, nil); err != nil {
				tb.Fatalf("TakeDropped: %v", err)
			}
		}
	}
	add(lacks[content:])
}

// newcomer has what a newcomer gets from somebody.
func newcomer(tb testing.TB, from *entity.Entity) *entity.Entity {
	tb.Helper()
	e, err := entity.New(all(from)[0])
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	give(tb, from, e)
	return e
}

// goOn has everybody who may write something that has no effect, on each device: the last
// op of a device is never dropped.
func (s *stage) goOn(tb testing.TB) {
	tb.Helper()
	for place, r := range s.places {
		if place != "twin" {
			_, _ = r.Write(r.who(tb, r.name).author(), r.ring, oplog.FamilyComment, entity.TypeCommentNew, entity.Comment{Article: keys.Digest{9}, Mark: entity.Push})
		}
	}
	s.run(tb, "all")
}

// play runs lines of a history, and then everybody goes on.
func (s *stage) play(tb testing.TB, history string) {
	tb.Helper()
	for line := range strings.SplitSeq(history, ";") {
		s.run(tb, strings.TrimSpace(line))
	}
	s.run(tb, "all")
	s.goOn(tb)
}

// name says what an op of the board is: its label, or what an edit says.
func (s *stage) name(r *replica, o oplog.Op) string {
	if label, ok := s.labels[o.ID()]; ok {
		return label
	}
	var edit entity.ArticleEdit
	if err := r.Read(o, r.ring, &edit); err == nil {
		return edit.Title
	}
	return fmt.Sprintf("%d/%d", o.Family(), o.Type())
}

// TestDead: what the founder's checkpoint drops after what people did, and that nobody
// who has stubs reads another board than before.
func TestDead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, history, want string }{
		{"nothing is dead", "laptop new A one; all; bob push A c1", ""},
		{"a deleted article, its edits and comments", "laptop new A one; laptop edit A two; all; bob push A c1; all; master delete A", "A c1 two"},
		{"by its author", "laptop new A one; laptop delete A", "A"},
		{"not what another deleted", "laptop new A one; all; bob delete A", ""},
		{"what an edit replaced", "laptop new A one; laptop edit A two", "A"},
		{"and an edit that another replaced", "laptop new A one; laptop edit A two; all; phone edit A three", "A two"},
		{"not edits beside each other", "laptop new A one; all; laptop edit A two; phone edit A three", "A"},
		{"until one replaces both", "laptop new A one; all; laptop edit A two; phone edit A three; all; phone edit A four", "A three two"},
		{"not what another edited", "bob new A one; all; laptop edit A two", ""},
		{"nor that edit, which does nothing", "bob new A one; all; laptop edit A two; all; bob edit A three", "A"},
		{"not a comment that was deleted", "laptop new A one; all; bob push A c1 x; bob silence c1", ""},
		{"nor what is not about a dead article", "laptop new A one; laptop new B two; all; bob push B c1 x; laptop delete A", "A"},
		{"a comment after the deletion", "laptop new A one; laptop delete A; all; bob push A c1 hi", "A c1"},
		{"an edit by a device beyond its cut replaces nothing", "laptop new A one; all; phone arrow A c1; all; phone edit A two; laptop drops; all", ""},
		{"an edit up to its cut does", "laptop new A one; all; phone edit A two; all; laptop arrow A c1; laptop drops; all", "A"},
		{"nor does one of a device that signed two at one place", "laptop new A one; all; laptop edit A two; twin edit A three; all", ""},
		{"an owner deleted it and is one no more", "laptop new A one; all; master delete A; all; founder demotes master; all", "A"},
		{"he was none when he deleted it", "laptop new A one; all; founder demotes master; all; master delete A", ""},
		{"made an owner by what is void", "laptop new A one; all; founder demotes master; master promotes bob; bob hears master; bob delete A", ""},
	} {
		s := newStage(t)
		s.play(t, c.history)
		f := s.places["founder"]
		before, whole := s.show(t, f.Entity, f.ring), f.clone(t)
		f.close(t)
		s.run(t, "all")
		vector := f.Log().Vector().Hash(f.ID())
		var got []string
		for _, o := range strip(t, f.Entity, f.ring) {
			if w, _ := whole.Log().Get(o.ID()); o.Body() != nil || w.Body() == nil {
				t.Errorf("%s: %s has a body, or had none", c.name, s.name(f, w))
			} else {
				got = append(got, s.name(&replica{whole, "founder"}, w))
			}
		}
		if slices.Sort(got); strings.Join(got, " ") != c.want {
			t.Errorf("%s: dropped %q, want %q", c.name, strings.Join(got, " "), c.want)
		}
		if h := f.Log().Vector().Hash(f.ID()); h != vector {
			t.Errorf("%s: dropping changed the vector", c.name)
		}
		opened, err := entity.Open(f.Log())
		if err != nil {
			t.Fatal(err)
		}
		for who, e := range map[string]*entity.Entity{"founder": f.Entity, "reopened": opened, "newcomer": newcomer(t, f.Entity)} {
			if after := s.show(t, e, f.ring); !sameArticles(after, before) || e.Log().Vector().Hash(e.ID()) != vector {
				t.Errorf("%s, %s reads:\n%s\nwant:\n%s", c.name, who, after, before)
			}
		}
	}
}

// TestDropInTurn: what was dropped is not dropped again, whoever has it whole or as a stub;
// what dies later is, by both.
func TestDropInTurn(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	f := s.places["founder"]
	s.play(t, "laptop new A one; laptop edit A two; laptop new B x; all")
	f.close(t)
	s.run(t, "all")
	if got := len(strip(t, f.Entity, f.ring)); got != 1 {
		t.Fatalf("first %d, want A", got)
	}
	s.play(t, "laptop edit A three; laptop delete B; all")
	if due := f.WantsCheckpoint(f.people["founder"].user(), f.ring, now.Add(entity.DropAfter-1)); due != entity.NotDue {
		t.Errorf("due early: %v", due)
	}
	if due := f.WantsCheckpoint(f.people["founder"].user(), f.ring, now.Add(entity.DropAfter)); due != entity.DueDead {
		t.Errorf("due for what is dead: %v", due)
	}
	f.close(t)
	s.run(t, "all")
	if due := f.WantsCheckpoint(f.people["founder"].user(), f.ring, now.Add(2*entity.DropAfter)); due != entity.NotDue {
		t.Errorf("due with nothing dead: %v", due)
	}
	if got := len(strip(t, f.Entity, f.ring)); got != 2 {
		t.Errorf("then %d, want the edit and B", got)
	}
	m := s.places["master"] // who has all of it whole
	if got := len(strip(t, m.Entity, m.ring)); got != 3 {
		t.Errorf("with everything whole: %d, want 3", got)
	}
	if a, b := s.show(t, f.Entity, f.ring), s.show(t, m.Entity, m.ring); a != b || !sameArticles(a, "A: three\nB: deleted by member") {
		t.Errorf("founder reads %q, master %q", a, b)
	}
}

// TestDeadConvergence: whatever people did, everybody comes to the same lists, in whatever
// order ops came and whatever of them are stubs already, and dropping changes nothing that
// anybody reads.
func TestDeadConvergence(t *testing.T) {
	t.Parallel()
	base := newStage(t)
	rapid.Check(t, func(rt *rapid.T) {
		ops, ring := drawBoard(t, rt, base)
		e := deliver(rt, ops, func(int) int { return 0 })
		f := &replica{&world{Entity: e, ring: ring, people: base.places["founder"].people}, "founder"}
		whole := &replica{&world{Entity: deliver(rt, ops, func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "next") }), ring: ring, people: f.people}, "bob"}
		for round := range 2 {
			c := f.close(t)
			take(rt, f.Entity, whole.Entity, 1<<30)
			if d := e.Drops(); len(d) == 0 || !d[len(d)-1].Settled {
				continue // nothing is dead, or an owner is gone who would have to ack
			}
			before := reads(e, ring)
			if _, _, err := e.Strip(c.ID(), ring); err != nil && e.Drops()[len(e.Drops())-1].Checkpoint == c.ID() {
				rt.Fatalf("round %d, Strip: %v", round, err)
			}
			if after := reads(e, ring); after != before {
				rt.Fatalf("round %d, dropping changed what is read:\n%s", round, cmp.Diff(before, after))
			}
			if got := reads(newcomer(t, e), ring); got != before {
				rt.Fatalf("round %d, a newcomer reads:\n%s", round, cmp.Diff(before, got))
			}
			for i := range rapid.IntRange(0, 6).Draw(rt, "more") {
				at := rapid.SampledFrom([]*replica{f, whole}).Draw(rt, "where")
				at.actOnBoard(rt, 100*(round+1)+i)
				take(rt, whole.Entity, f.Entity, 1<<30)
				take(rt, f.Entity, whole.Entity, 1<<30)
			}
		}
		for _, d := range e.Drops() {
			mine, _ := e.Log().Dropped(d.Checkpoint)
			list, _, err := whole.Strip(d.Checkpoint, ring)
			if d.Settled && (err != nil || mine.Stubs != nil && !cmp.Equal(mine.Stubs, list.Stubs)) {
				rt.Fatalf("whole and with stubs come to two lists: %v\n%s", err, cmp.Diff(mine.Stubs, list.Stubs))
			}
		}
		if a, b := reads(e, ring), reads(whole.Entity, ring); a != b {
			rt.Fatalf("two boards:\n%s", cmp.Diff(a, b))
		}
	})
}

// TestAttackFalseDrops: a founder's checkpoint that drops what nobody deleted is acked by no
// owner, told of, and drops nothing where the op is whole; without an ack nobody takes its
// list either.
func TestAttackFalseDrops(t *testing.T) {
	t.Parallel()
	for name, history := range map[string]string{
		"what is shown":            "laptop new A one; all",
		"an edit beside another":   "laptop new B x; all; laptop edit B two; phone edit B three; laptop new A one; all",
		"less than what is dead":   "laptop new B x; laptop edit B y; laptop new A one; all",
		"with what is dead":        "laptop new B x; laptop delete B; laptop new A one; all",
		"a comment that was taken": "laptop new A one; all; bob push A c1 x; bob silence c1; all",
	} {
		s := newStage(t)
		s.play(t, history)
		f, m := s.places["founder"], s.places["master"]
		drops := []oplog.Op{s.ops["A"]}
		switch name {
		case "with what is dead":
			drops = append(drops, s.ops["B"])
		case "a comment that was taken":
			drops = []oplog.Op{s.ops["c1"]}
		}
		var stubs []oplog.Stub
		for _, o := range drops {
			stubs = append(stubs, oplog.StubOf(o))
		}
		c, list := f.falseDrops(t, "founder", stubs...)
		s.run(t, "all")
		if id, ok := m.WantsAck(m.people["master"].user(), m.ring); ok {
			t.Errorf("%s: an owner should ack %v", name, id)
		}
		if m.CheckDrops(m.ring); !slices.Equal(m.FalseDrops(), []keys.Digest{c.ID()}) {
			t.Errorf("%s: false are %v", name, m.FalseDrops())
		}
		if err := m.TakeDropped(list, m.ring); !errors.Is(err, entity.ErrDropped) {
			t.Errorf("%s: a list that no owner acked: %v, want ErrDropped", name, err)
		}
		if _, _, err := m.Strip(c.ID(), m.ring); !errors.Is(err, entity.ErrDropped) {
			t.Errorf("%s: stripped: %v, want ErrDropped", name, err)
		}
		if _, err := m.Ack(m.people["master"].author(), c.ID()); err != nil { // by a node that does not look
			t.Fatal(err)
		}
		if _, got, err := m.Strip(c.ID(), m.ring); !errors.Is(err, entity.ErrDropped) || got != nil {
			t.Errorf("%s: stripped when it was acked: %v, want ErrDropped", name, err)
		}
	}
}

// TestTakeDropped: which lists are refused.
func TestTakeDropped(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	f := s.places["founder"]
	s.play(t, "laptop new A one; laptop new B x; laptop new C x; laptop edit A two; laptop delete B; laptop delete C; all")
	behind := f.clone(t)
	first := f.close(t)
	s.run(t, "laptop hears founder")
	s.run(t, "laptop edit A three")
	s.run(t, "founder hears laptop")
	second := f.close(t)
	strip(t, f.Entity, f.ring)
	good, _ := f.Log().Dropped(first.ID())
	next, _ := f.Log().Dropped(second.ID())
	change := func(f func(*oplog.Dropped)) oplog.Dropped {
		d := oplog.Dropped{Checkpoint: good.Checkpoint, Stubs: slices.Clone(good.Stubs)}
		f(&d)
		return d
	}
	fresh, err := entity.New(all(f.Entity)[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all(f)[1:] {
		if o.Strand() == oplog.Control {
			checkAdded(t, fresh, o)
		}
	}
	for what, d := range map[string]oplog.Dropped{
		"one less":          change(func(d *oplog.Dropped) { d.Stubs = d.Stubs[1:] }),
		"one twice":         change(func(d *oplog.Dropped) { d.Stubs = append(d.Stubs, d.Stubs[2]) }),
		"another order":     change(func(d *oplog.Dropped) { slices.Reverse(d.Stubs) }),
		"another envelope":  change(func(d *oplog.Dropped) { d.Stubs[0].Envelope = d.Stubs[1].Envelope }),
		"another id":        change(func(d *oplog.Dropped) { d.Stubs[2].ID[31]++ }),
		"of no checkpoint":  change(func(d *oplog.Dropped) { d.Checkpoint = keys.Digest{1} }),
		"of an ack":         change(func(d *oplog.Dropped) { d.Checkpoint = fresh.Log().Heads(oplog.Control)[0] }),
		"of another one":    change(func(d *oplog.Dropped) { d.Checkpoint = second.ID() }),
		"nothing":           {Checkpoint: first.ID()},
		"of somewhere else": {Checkpoint: first.ID(), Stubs: []oplog.Stub{{ID: keys.Digest{1}}}},
	} {
		if err := fresh.TakeDropped(d, f.ring); !errors.Is(err, entity.ErrDropped) {
			t.Errorf("%s: %v, want ErrDropped", what, err)
		}
		if _, kept := fresh.Log().Dropped(d.Checkpoint); kept {
			t.Errorf("%s: kept", what)
		}
	}
	if err := behind.TakeDropped(good, f.ring); !errors.Is(err, entity.ErrDropped) {
		t.Errorf("of a checkpoint that is not here: %v, want ErrDropped", err)
	}
	for _, d := range []oplog.Dropped{good, next} {
		if err := fresh.TakeDropped(d, f.ring); err != nil {
			t.Errorf("a good list: %v", err)
		}
	}
}

// TestDeadNeedsAll: nobody makes, acks or drops by a list that he could not check.
func TestDeadNeedsAll(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	f, m := s.places["founder"], s.places["master"]
	s.play(t, "laptop new A one; laptop delete A; all")
	keyless := f.clone(t)
	if _, err := keyless.Checkpoint(f.people["founder"].author(), nil); err != nil {
		t.Fatal(err)
	}
	if d := keyless.Drops(); len(d) > 0 {
		t.Errorf("without keys: %+v", d)
	}
	s.run(t, "laptop new B x")
	s.run(t, "laptop delete B")
	s.run(t, "founder hears laptop")
	c := f.close(t)
	for o := range f.Log().All(oplog.Control) {
		_, _ = m.Add(o)
	}
	master := m.people["master"]
	if _, ok := m.WantsAck(master.user(), m.ring); ok {
		t.Error("to be acked without the content")
	}
	if _, _, err := m.Strip(c.ID(), m.ring); err == nil {
		t.Error("stripped without the content")
	}
	s.run(t, "master hears founder")
	if id, ok := m.WantsAck(master.user(), nil); ok {
		t.Errorf("to be acked without keys: %v", id)
	}
	if m.CheckDrops(nil); len(m.FalseDrops()) > 0 {
		t.Error("said to be false without keys")
	}
	m.CheckDrops(m.ring)
	if len(m.FalseDrops()) > 0 {
		t.Error("said to be false")
	}
}

// TestDropsFull: a list has its size; the next checkpoint drops the rest. What was dropped
// is not read by who has it whole either: of edits that were replaced some are gone, and
// when what replaced them does not count any more, both come to the same.
func TestDropsFull(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	f, m, phone := s.places["founder"], s.places["master"], s.places["phone"]
	s.run(t, "laptop new A one")
	s.run(t, "phone hears laptop")
	const edits = 2600
	for i := range edits {
		phone.write(t, "member", entity.ArticleEdit{Article: s.ops["A"].ID(), Title: fmt.Sprint(i)})
	}
	s.play(t, "laptop hears phone; laptop edit A last; founder hears laptop")
	first := f.close(t)
	strip(t, f.Entity, f.ring)
	list, _ := f.Log().Dropped(first.ID())
	size, one := len(keys.Marshal(list.Stubs)), len(keys.Marshal(list.Stubs[0]))
	if due := f.WantsCheckpoint(f.people["founder"].user(), f.ring, now); due != entity.DueDead {
		t.Errorf("after a list that had no room for more: %v", due)
	}
	if size > entity.MaxDropped || size < entity.MaxDropped-2*one || len(list.Stubs) >= edits {
		t.Fatalf("%d of %d in %d bytes", len(list.Stubs), edits+1, size)
	}
	party := phone.who(t, "member").party()
	laptop := s.places["laptop"].who(t, "member").key.ID()
	party.Devices = []keys.ID{phoneKey.ID()}
	s.run(t, "phone hears founder")
	phone.must(t, "member", oplog.FamilyMember, entity.TypeDevices, entity.Devices{
		Party: party, Cuts: []entity.Cut{{Device: laptop, Strand: oplog.Content, ID: s.ops["A"].ID()}},
	})
	s.run(t, "founder hears phone")
	second := f.close(t)
	strip(t, f.Entity, f.ring)
	for _, o := range append(all(phone.Entity), all(f.Entity)...) {
		if !o.Bare() {
			_, _ = m.Add(o)
		}
	}
	a, _ := f.Log().Dropped(second.ID())
	b, _, err := m.Strip(second.ID(), m.ring) // while what the first drops is whole
	if err != nil || len(a.Stubs) == 0 || !cmp.Equal(a, b) {
		t.Errorf("the founder drops %d, another owner %d, %v", len(a.Stubs), len(b.Stubs), err)
	}
	before := reads(m.Entity, m.ring)
	strip(t, m.Entity, m.ring)
	if after := reads(m.Entity, m.ring); after != before || !strings.Contains(after, "2599") {
		t.Errorf("what is shown again where it was whole, before and after:\n%s%s", before, after)
	}
}

// TestStripSettled: nothing goes before an owner besides the author has acked.
func TestStripSettled(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	f := s.places["founder"]
	s.play(t, "laptop new A one; laptop delete A; all")
	c, err := f.Checkpoint(f.people["founder"].author(), f.ring)
	if err != nil {
		t.Fatal(err)
	}
	if d := f.Drops(); len(d) != 1 || d[0].Settled || d[0].Count != 1 {
		t.Errorf("without an ack: %+v", d)
	}
	if _, _, err := f.Strip(c.ID(), f.ring); !errors.Is(err, entity.ErrDropped) {
		t.Errorf("without an ack: %v, want ErrDropped", err)
	}
	list := oplog.Dropped{Checkpoint: c.ID(), Stubs: []oplog.Stub{oplog.StubOf(s.ops["A"])}}
	if err := f.TakeDropped(list, f.ring); !errors.Is(err, entity.ErrDropped) {
		t.Errorf("its list: %v, want ErrDropped", err)
	}
	if id, ok := s.places["master"].WantsAck(f.people["master"].user(), f.ring); ok {
		t.Errorf("acked before it came: %v", id)
	}
	if _, err := f.Ack(f.people["master"].author(), c.ID()); err != nil {
		t.Fatal(err)
	}
	if err := f.TakeDropped(list, f.ring); err != nil {
		t.Errorf("its list, with an ack: %v", err)
	}
	alone := found(t, entity.Board)
	for _, body := range []any{entity.Article{Title: "x"}, entity.ArticleDelete{}} {
		if d, ok := body.(entity.ArticleDelete); ok {
			d.Article = alone.Log().Heads(oplog.Content)[0]
			body = d
		}
		alone.write(t, "founder", body)
	}
	alone.checkpoint(t, "founder")
	if got := len(strip(t, alone.Entity, alone.ring)); got != 1 {
		t.Errorf("of an only owner: %d, want 1", got)
	}
}

// TestDeadByRightsOutside: who became an owner beside a checkpoint deletes nothing by it,
// whatever content its author had.
func TestDeadByRightsOutside(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.play(t, "laptop new A one; all")
	f, m := s.places["founder"], s.places["master"]
	before := &replica{f.clone(t), "founder"}
	s.play(t, "master promotes bob; bob hears master; bob delete A; master hears bob")
	c := before.NextCheckpoint()
	c.Heads = m.NextCheckpoint().Heads
	stub := oplog.StubOf(s.ops["A"])
	c.Drops, c.Content = 1, before.ContentRoot(c.Heads, stub)
	o := before.must(t, "founder", oplog.FamilyCheckpoint, entity.TypeCheckpoint, c)
	checkAdded(t, m.Entity, o)
	if m.CheckDrops(m.ring); !slices.Equal(m.FalseDrops(), []keys.Digest{o.ID()}) {
		t.Errorf("false are %v, want %v", m.FalseDrops(), o.ID())
	}
}

// TestStubsOfRival: what is a stub by a checkpoint that another took the place of says
// nothing against that one.
func TestStubsOfRival(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Board)
	a := w.write(t, "founder", entity.Article{Title: "x"})
	w.write(t, "founder", entity.ArticleEdit{Article: a.ID(), Title: "y"})
	w.write(t, "founder", entity.ArticleEdit{Article: a.ID(), Title: "z"})
	r := w.clone(t)
	c := w.checkpoint(t, "founder")
	title := r.must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "another"})
	rival := r.checkpoint(t, "founder")
	brings := []oplog.Op{title, rival}
	if compare(rival.ID(), c.ID()) > 0 { // the lower one counts
		w, r, c, rival = r, w, rival, c
		brings = []oplog.Op{rival}
	}
	if got := len(strip(t, w.Entity, w.ring)); got != 2 {
		t.Fatalf("%d dropped, want 2", got)
	}
	for _, o := range brings {
		checkAdded(t, w.Entity, o)
	}
	if d := w.Drops(); len(d) != 1 || d[0].Checkpoint != rival.ID() || !slices.Equal(w.State().Final.Rivals, []keys.Digest{c.ID()}) {
		t.Fatalf("the rival counts: %+v", d)
	}
	if w.CheckDrops(w.ring); len(w.FalseDrops()) > 0 {
		t.Error("it is said to be false")
	}
	if _, _, err := w.Strip(rival.ID(), w.ring); !errors.Is(err, oplog.ErrMissing) {
		t.Errorf("Strip: %v, want ErrMissing", err)
	}
	list, _, err := r.Strip(rival.ID(), r.ring)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.TakeDropped(list, w.ring); err != nil {
		t.Errorf("its list from somebody who has it: %v", err)
	}
}

// TestStrippedIsForgotten: nothing is left in memory of what was dropped that a restart
// would not find.
func TestStrippedIsForgotten(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	f := s.places["founder"]
	s.play(t, "laptop new A one; laptop edit A two; all; phone push A c1 x; phone edit A three; all")
	reads(f.Entity, f.ring)
	f.close(t)
	strip(t, f.Entity, f.ring)
	s.run(t, "laptop hears founder")
	laptop := s.places["laptop"]
	party := laptop.who(t, "member").party()
	laptop.must(t, "member", oplog.FamilyMember, entity.TypeDevices, entity.Devices{
		Party: party, Cuts: []entity.Cut{{Device: phoneKey.ID(), Strand: oplog.Content}},
	})
	s.run(t, "founder hears laptop")
	opened, err := entity.Open(f.Log())
	if err != nil {
		t.Fatal(err)
	}
	if a, b := reads(f.Entity, f.ring), reads(opened, f.ring); a != b {
		t.Errorf("after a restart:\n%s", cmp.Diff(a, b))
	}
}
