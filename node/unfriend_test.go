package node

import (
	"testing"

	"pttnode/entity"
	"pttnode/entity/me"
	"pttnode/oplog"
)

// TestLeavesOnce: who is no friend any more had ended his personal board before. We take
// it off our list, once, and not again in each round.
func TestLeavesOnce(t *testing.T) {
	w := newFriendWorld(t, true)
	if _, err := w.send(w.c, w.honest()); err != nil {
		t.Fatal(err)
	}
	user := w.c.me.ID()
	for _, h := range []*held{w.n.personal(user, entity.Board), w.f} {
		if _, err := h.Control(w.c.author(), oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty}); err != nil {
			t.Fatal(err)
		}
	}
	var left []int
	for range 3 {
		if err := w.n.update(func(tx *tx) error { tx.unfriend(user); return nil }); err != nil {
			t.Fatal(err)
		}
		entries := 0
		for o := range w.n.me.Log().All(oplog.Content) {
			if o.Type() == me.TypeLeft {
				entries++
			}
		}
		left = append(left, entries)
	}
	if left[0] != 2 || left[2] != 2 {
		t.Errorf("%v entries of what we left, want 2 from the first round on: profile and board", left)
	}
}
