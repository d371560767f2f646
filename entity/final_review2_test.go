package entity_test

import (
	"testing"

	"pttnode/entity"
	"pttnode/oplog"
)

// anna's checkpoint has less content than the founder's before it; a third owner gets
// the content of the second first.
func TestFinalLateHeads(t *testing.T) {
	w := owners(t, "anna", "bert")
	a := w.post(t, "dora", "first")
	w.write(t, "dora", entity.ArticleDelete{Article: a.ID()})
	w.post(t, "dora", "more")
	behind := w.clone(t) // anna: lacks what the founder writes now
	x := w.post(t, "founder", "x")
	del := w.write(t, "founder", entity.ArticleDelete{Article: x.ID()})
	last := w.post(t, "founder", "y")
	w.checkpoint(t, "founder")
	for _, name := range []string{"anna", "bert"} {
		if id, ok := w.WantsAck(w.who(t, name).user(), w.ring); ok {
			if _, err := w.Ack(w.who(t, name).author(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	late := behind
	for _, o := range all(w.Entity) {
		if o.Strand() == oplog.Control {
			_, _ = late.Add(o)
		}
	}
	b := late.post(t, "dora", "second")
	late.write(t, "dora", entity.ArticleDelete{Article: b.ID()})
	late.post(t, "dora", "third")
	c := late.NextCheckpoint()
	stubs := []oplog.Stub{oplog.StubOf(b)}
	late.CheckDrops(late.ring)
	c.Drops, c.Content = 1, late.ContentRoot(c.Heads, stubs...)
	c2 := late.must(t, "anna", oplog.FamilyCheckpoint, entity.TypeCheckpoint, c)
	late.CheckDrops(late.ring) // caches that it lacks content
	if id, ok := late.WantsAck(late.who(t, "founder").user(), late.ring); ok {
		t.Logf("acks %v before the content is here", id == c2.ID())
	}
	for _, o := range []oplog.Op{x, del, last} {
		checkAdded(t, late.Entity, o)
	}
	id, ok := late.WantsAck(late.who(t, "founder").user(), late.ring)
	opened, err := entity.Open(late.Log())
	if err != nil {
		t.Fatal(err)
	}
	id2, ok2 := opened.WantsAck(late.who(t, "founder").user(), late.ring)
	if ok != ok2 || id != id2 {
		t.Errorf("WantsAck %v %v, after a restart %v %v (c2 is %v); false: %v", id, ok, id2, ok2, c2.ID(), late.FalseDrops())
	}
}
