package entity_test

import (
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// rubbish is an article that was deleted.
func (w *world) rubbish(t *testing.T) {
	t.Helper()
	a := w.post(t, "dora", "regretted")
	w.write(t, "dora", entity.ArticleDelete{Article: a.ID()})
	w.post(t, "dora", "more")
}

// promote makes people owners, who become members first if they are none.
func (w *world) promote(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, ok := w.State().Member(w.who(t, name).user()); !ok {
			w.admit(t, name, entity.Member)
		}
		w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: new(w.who(t, name).party())})
	}
}

// settled returns the settled checkpoints that drop something.
func (w *world) settled() (ids []keys.Digest) {
	for _, d := range w.Drops() {
		if d.Settled {
			ids = append(ids, d.Checkpoint)
		}
	}
	return ids
}

func (w *world) checkSettled(t *testing.T, what string, want ...oplog.Op) {
	t.Helper()
	ids := []keys.Digest{}
	for _, o := range want {
		ids = append(ids, o.ID())
	}
	if got := w.settled(); !slices.Equal(got, ids) {
		t.Errorf("%s: settled are %v, want %v", what, got, ids)
	}
}

// ack has owners ack all that they should.
func (w *world) ack(t *testing.T, names ...string) {
	t.Helper()
	for more := true; more; {
		more = false
		for _, name := range names {
			if id, ok := w.WantsAck(w.who(t, name).user(), w.ring); ok {
				if _, err := w.Ack(w.who(t, name).author(), id); err != nil {
					t.Fatalf("%s acks: %v", name, err)
				}
				more = true
			}
		}
	}
}

// lateAck is the ack of an owner that nobody hears of yet.
func (w *world) lateAck(t *testing.T, name string) oplog.Op {
	t.Helper()
	away := w.clone(t)
	id, ok := away.WantsAck(w.who(t, name).user(), w.ring)
	if !ok {
		t.Fatalf("%s acks nothing", name)
	}
	o, err := away.Ack(w.who(t, name).author(), id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (w *world) demote(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: w.who(t, name).user(), Cuts: []entity.Cut{}})
	}
}

// TestSettledKeepsPlace: an owner's checkpoint waits, the founder goes on without it, and
// then acks of it come that were under way. Nobody lies. Whatever was settled meanwhile, and
// dropped, keeps its place: else nobody could give newcomers what is left of it.
func TestSettledKeepsPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		owners  []string
		dropped int // bodies that are gone before the acks come
		story   func(t *testing.T, w *world) (late []oplog.Op)
	}{
		{"three, of whom one is demoted", []string{"anna", "ben"}, 1, func(t *testing.T, w *world) []oplog.Op {
			w.checkpoint(t, "ben")
			w.ack(t, "founder")
			late := w.lateAck(t, "anna")
			w.checkpoint(t, "founder")
			w.ack(t, "founder", "ben")
			w.demote(t, "anna")
			w.rubbish(t)
			w.checkpoint(t, "founder")
			w.ack(t, "founder", "ben")
			return []oplog.Op{late}
		}},
		{"three, and only the founder stays", []string{"anna", "ben"}, 1, func(t *testing.T, w *world) []oplog.Op {
			w.rubbish(t)
			w.checkpoint(t, "ben")
			w.ack(t, "founder")
			late := w.lateAck(t, "anna")
			w.checkpoint(t, "founder")
			w.demote(t, "anna", "ben")
			w.checkpoint(t, "founder")
			return []oplog.Op{late}
		}},
		{"four", []string{"anna", "ben", "carl"}, 1, func(t *testing.T, w *world) []oplog.Op {
			w.checkpoint(t, "ben")
			w.ack(t, "founder")
			late := w.lateAck(t, "anna")
			w.checkpoint(t, "founder")
			w.ack(t, "founder", "ben", "carl")
			w.rubbish(t)
			w.checkpoint(t, "founder")
			w.ack(t, "founder", "ben", "carl")
			return []oplog.Op{late}
		}},
		{"five: one before it may lose its place", []string{"anna", "ben", "carl", "dan"}, 0, func(t *testing.T, w *world) []oplog.Op {
			w.checkpoint(t, "ben")
			w.ack(t, "carl", "founder")
			late := []oplog.Op{w.lateAck(t, "anna"), w.lateAck(t, "dan")}
			w.checkpoint(t, "founder")
			w.ack(t, "founder", "ben", "carl")
			w.demote(t, "anna", "dan")
			w.rubbish(t)
			w.checkpoint(t, "founder")
			w.ack(t, "founder", "ben", "carl")
			return late
		}},
		{"four, of whom three are demoted, who know of one that nobody else does", []string{"anna", "ben", "carl"}, 0, func(t *testing.T, w *world) []oplog.Op {
			w.checkpoint(t, "ben")
			late := []oplog.Op{w.lateAck(t, "anna"), w.lateAck(t, "carl")}
			w.checkpoint(t, "founder")
			w.demote(t, "anna", "ben", "carl")
			w.rubbish(t)
			w.checkpoint(t, "founder")
			return late
		}},
		{"the same, but for one who stands for the founder's", []string{"anna", "ben", "carl"}, 1, func(t *testing.T, w *world) []oplog.Op {
			w.checkpoint(t, "ben")
			late := []oplog.Op{w.lateAck(t, "anna")}
			w.checkpoint(t, "founder")
			w.ack(t, "carl")
			w.demote(t, "anna", "ben", "carl")
			w.rubbish(t)
			w.checkpoint(t, "founder")
			return late
		}},
		{"four, of whom three are demoted", []string{"anna", "ben", "carl"}, 1, func(t *testing.T, w *world) []oplog.Op {
			w.rubbish(t)
			w.checkpoint(t, "founder")
			w.demote(t, "anna", "ben", "carl")
			w.checkpoint(t, "founder")
			return nil
		}},
		{"fewer owners than one had that waits", []string{"anna", "ben", "carl"}, 0, func(t *testing.T, w *world) []oplog.Op {
			w.checkpoint(t, "ben")
			late := []oplog.Op{w.lateAck(t, "anna"), w.lateAck(t, "carl")}
			w.demote(t, "anna", "carl")
			w.rubbish(t)
			w.checkpoint(t, "founder")
			w.ack(t, "ben")
			return late
		}},
		{"acked by many new owners, and the one before by nobody", []string{"anna", "ben", "carl"}, 0, func(t *testing.T, w *world) []oplog.Op {
			w.checkpoint(t, "founder")
			w.rubbish(t)
			acks := []string{"ben", "emil", "fritz", "gerd", "hanna", "ida"}
			w.promote(t, acks[1:]...)
			second := w.checkpoint(t, "founder")
			for _, name := range acks {
				if _, err := w.Ack(w.who(t, name).author(), second.ID()); err != nil {
					t.Fatal(err)
				}
			}
			return nil
		}},
	} {
		w := owners(t, c.owners...)
		late := c.story(t, w)
		gone := 0
		settled := make(map[keys.Digest]bool)
		for _, d := range w.Drops() {
			if settled[d.Checkpoint] = d.Settled; d.Settled {
				_, stripped, err := w.Strip(d.Checkpoint, w.ring)
				if err != nil {
					t.Errorf("%s: %v", c.what, err)
				}
				gone += len(stripped)
			}
		}
		if gone != c.dropped {
			t.Errorf("%s: %d bodies are gone, want %d", c.what, gone, c.dropped)
		}
		for _, o := range late {
			checkAdded(t, w.Entity, o)
		}
		still := make(map[keys.Digest]bool)
		for _, d := range w.Drops() {
			still[d.Checkpoint] = d.Settled
		}
		for id, was := range settled {
			if was && !still[id] {
				t.Errorf("%s: the settled checkpoint %v has lost its place", c.what, id)
			}
		}
	}
}

// TestAttackUnsettle: a former owner shows a checkpoint that he signed in time, or says so,
// with the prev of one that is settled. That is so still, and its stubs are given to
// newcomers; and what comes after is settled too: one who is no owner any more stops nothing.
func TestAttackUnsettle(t *testing.T) {
	t.Parallel()
	for what, before := range map[string]bool{"demoted before it": true, "demoted after it": false} {
		w := owners(t, "anna", "ben", "carl")
		early := w.clone(t)
		w.rubbish(t)
		if before {
			w.demote(t, "anna", "ben", "carl")
		}
		c := w.checkpoint(t, "founder")
		if !before {
			w.demote(t, "anna", "ben", "carl")
			w.checkpoint(t, "founder")
		}
		w.promote(t, "emil", "fritz")
		w.checkSettled(t, what, c)
		checkAdded(t, w.Entity, early.checkpoint(t, "ben"))
		w.rubbish(t)
		next := w.checkpoint(t, "founder")
		w.ack(t, "emil", "fritz")
		w.checkSettled(t, what+", shown", c, next)
	}
}

// TestAttackStandForTwo: an owner acked one, and shows one of his own beside it when what
// follows was settled. That stays so. What comes then is settled when one more stands for
// the one that he acked.
func TestAttackStandForTwo(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben", "carl")
	early := w.clone(t)
	w.checkpoint(t, "founder")
	w.ack(t, "ben")
	more := []string{"ben", "emil", "fritz", "gerd", "hanna", "ida", "jan"}
	w.promote(t, more[1:]...)
	w.rubbish(t)
	c := w.checkpoint(t, "founder")
	w.ack(t, more...)
	w.checkSettled(t, "before", c)
	checkAdded(t, w.Entity, early.checkpoint(t, "ben"))
	w.rubbish(t)
	next := w.checkpoint(t, "founder")
	w.ack(t, more[1:]...)
	w.checkSettled(t, "shown", c)
	w.ack(t, "anna")
	w.checkSettled(t, "with an ack more", c, next)
}

// TestOutIsNotClosed: who is no owner any more by an act that may still turn out void may be
// one again: what only his absence settles is not settled before a checkpoint has closed it.
func TestOutIsNotClosed(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "carl")
	w.rubbish(t)
	c := w.checkpoint(t, "founder")
	away := w.clone(t)
	w.must(t, "anna", oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: w.who(t, "carl").user(), Cuts: []entity.Cut{}})
	w.must(t, "anna", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	w.checkSettled(t, "both out, and it is open")
	closed := w.clone(t)
	closed.checkpoint(t, "founder")
	closed.checkSettled(t, "closed", c)
	away.demote(t, "anna")
	w.merge(t, away)
	w.checkpoint(t, "founder")
	if m, _ := w.State().Member(w.who(t, "carl").user()); m.Role != entity.Master {
		t.Fatal("carl is no owner: this proves nothing")
	}
	w.checkSettled(t, "carl is an owner again, and could still undo it")
	w.ack(t, "carl")
	w.checkSettled(t, "he acked it, and anna is gone", c)
}

// TestSettledByWhoStays: an owner acked, and the other one is gone for good.
func TestSettledByWhoStays(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben")
	w.rubbish(t)
	c := w.checkpoint(t, "founder")
	w.ack(t, "ben")
	w.demote(t, "anna")
	w.checkSettled(t, "two of three stand for it")
	w.checkpoint(t, "founder")
	w.checkSettled(t, "the third is gone", c)
}

// TestAttackManyHeads: a member signs so many ops beside a checkpoint that an ack cannot name
// all heads. It names the checkpoint then, and the next one the last.
func TestAttackManyHeads(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben")
	beside := w.clone(t)
	waits := w.checkpoint(t, "anna")
	dora := w.who(t, "dora")
	for i, n := 0, 0; n < 2*oplog.MaxParents; i++ {
		o := sign(t, dora, beside.draft(dora, oplog.Control, oplog.FamilyPolicy, 99, []int{i}))
		if compare(o.ID(), waits.ID()) < 0 || i > 1000 { // of the heads the lowest are named
			checkAdded(t, w.Entity, o)
			n++
		}
	}
	for _, name := range []string{"ben", "founder"} {
		id, ok := w.WantsAck(w.who(t, name).user(), w.ring)
		if !ok || id != waits.ID() {
			t.Fatalf("%s should ack %v, %v", name, id, ok)
		}
		if _, err := w.Ack(w.who(t, name).author(), id); err != nil {
			t.Fatalf("%s acks: %v", name, err)
		}
	}
	if c := w.checkpoint(t, "ben"); w.State().Final.ID != waits.ID() || w.State().Final.Number != 1 {
		t.Errorf("final is %+v, and %v", w.State().Final, c.ID())
	}
}

// TestSettledAgain: who could still ack another one, and is an owner, is asked to ack the one
// that counts, also if it was made while he was none.
func TestSettledAgain(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben", "carl")
	w.checkpoint(t, "ben")
	w.demote(t, "anna", "carl")
	w.checkpoint(t, "founder")
	w.ack(t, "ben")
	w.promote(t, "anna", "carl")
	w.rubbish(t)
	c := w.checkpoint(t, "founder")
	w.checkSettled(t, "before")
	w.ack(t, "anna", "ben", "carl", "founder")
	w.checkSettled(t, "all acked what they should", c)
}
