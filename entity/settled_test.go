package entity_test

import (
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

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
	rubbish := func(t *testing.T, w *world) {
		a := w.post(t, "dora", "regretted")
		w.write(t, "dora", entity.ArticleDelete{Article: a.ID()})
		w.post(t, "dora", "more")
	}
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
			rubbish(t, w)
			w.checkpoint(t, "founder")
			w.ack(t, "founder", "ben")
			return []oplog.Op{late}
		}},
		{"three, and only the founder stays", []string{"anna", "ben"}, 1, func(t *testing.T, w *world) []oplog.Op {
			rubbish(t, w)
			w.checkpoint(t, "ben")
			w.ack(t, "founder")
			late := w.lateAck(t, "anna")
			w.checkpoint(t, "founder")
			w.demote(t, "anna", "ben")
			return []oplog.Op{late}
		}},
		{"four", []string{"anna", "ben", "carl"}, 1, func(t *testing.T, w *world) []oplog.Op {
			w.checkpoint(t, "ben")
			w.ack(t, "founder")
			late := w.lateAck(t, "anna")
			w.checkpoint(t, "founder")
			w.ack(t, "founder", "ben", "carl")
			rubbish(t, w)
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
			rubbish(t, w)
			w.checkpoint(t, "founder")
			w.ack(t, "founder", "ben", "carl")
			return late
		}},
		{"four, of whom three are demoted, who know of one that nobody else does", []string{"anna", "ben", "carl"}, 0, func(t *testing.T, w *world) []oplog.Op {
			w.checkpoint(t, "ben")
			late := []oplog.Op{w.lateAck(t, "anna"), w.lateAck(t, "carl")}
			w.checkpoint(t, "founder")
			w.demote(t, "anna", "ben", "carl")
			rubbish(t, w)
			w.checkpoint(t, "founder")
			return late
		}},
		{"the same, but for one who stands for the founder's", []string{"anna", "ben", "carl"}, 1, func(t *testing.T, w *world) []oplog.Op {
			w.checkpoint(t, "ben")
			late := []oplog.Op{w.lateAck(t, "anna")}
			w.checkpoint(t, "founder")
			w.ack(t, "carl")
			w.demote(t, "anna", "ben", "carl")
			rubbish(t, w)
			w.checkpoint(t, "founder")
			return late
		}},
		{"four, of whom three are demoted", []string{"anna", "ben", "carl"}, 1, func(t *testing.T, w *world) []oplog.Op {
			rubbish(t, w)
			w.checkpoint(t, "founder")
			w.demote(t, "anna", "ben", "carl")
			return nil
		}},
		{"fewer owners than one had that waits", []string{"anna", "ben", "carl"}, 0, func(t *testing.T, w *world) []oplog.Op {
			w.checkpoint(t, "ben")
			late := []oplog.Op{w.lateAck(t, "anna"), w.lateAck(t, "carl")}
			w.demote(t, "anna", "carl")
			rubbish(t, w)
			w.checkpoint(t, "founder")
			w.ack(t, "ben")
			return late
		}},
		{"acked by many new owners, and the one before by nobody", []string{"anna", "ben", "carl"}, 0, func(t *testing.T, w *world) []oplog.Op {
			w.checkpoint(t, "founder")
			rubbish(t, w)
			acks := []string{"ben", "emil", "fritz", "gerd", "hanna", "ida"}
			for _, name := range acks[1:] {
				w.admit(t, name, entity.Member)
				w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: new(w.who(t, name).party())})
			}
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
// with the prev of one that is settled. That is so still: its stubs are given to newcomers.
// What comes after is not settled as long as others could stand for his.
func TestAttackUnsettle(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben", "carl")
	early := w.clone(t)
	a := w.post(t, "dora", "regretted")
	w.write(t, "dora", entity.ArticleDelete{Article: a.ID()})
	w.post(t, "dora", "more")
	c := w.checkpoint(t, "founder")
	w.demote(t, "anna", "ben", "carl")
	settled := func() (ids []keys.Digest) {
		for _, d := range w.Drops() {
			if d.Settled {
				ids = append(ids, d.Checkpoint)
			}
		}
		return ids
	}
	if got := settled(); !slices.Equal(got, []keys.Digest{c.ID()}) {
		t.Fatalf("settled are %v: this proves nothing", got)
	}
	checkAdded(t, w.Entity, early.checkpoint(t, "ben"))
	b := w.post(t, "dora", "regretted too")
	w.write(t, "dora", entity.ArticleDelete{Article: b.ID()})
	w.post(t, "dora", "more")
	w.checkpoint(t, "founder")
	if got := settled(); !slices.Equal(got, []keys.Digest{c.ID()}) {
		t.Errorf("settled are %v, want the first", got)
	}
}
