package entity_test

import (
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/oplog"
)

// TestAcceptBesideEnd: a friendship that was accepted in one place while it was ended
// for want of that in another goes on, in whatever order the two arrive; one that
// a party ended does not.
func TestAcceptBesideEnd(t *testing.T) {
	t.Parallel()
	for reason, alive := range map[uint8]bool{entity.EndNotAccepted: true, entity.EndByParty: false} {
		w := settle(t, entity.Friend)
		there := w.clone(t)
		end := w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: reason})
		accept := there.Must(t, "other", oplog.FamilyMember, entity.TypeAccept, entity.Accept{})
		checkAdded(t, w.Entity, accept)
		checkAdded(t, there.Entity, end)
		for _, e := range []*entity.Entity{w.Entity, there.Entity} {
			if got := e.State().Alive(); got != alive || e.State().Ended == alive {
				t.Errorf("ended for reason %d beside its accept: alive %v, ended %v", reason, got, e.State().Ended)
			}
		}
		if !slices.Equal(snapshot(w.Entity), snapshot(there.Entity)) {
			t.Errorf("reason %d: the two orders differ", reason)
		}
	}
}

// TestWrittenAfterAcceptBesideEnd: what a friend writes in a friendship that did not end
// after all is taken also by who has heard more of it before.
func TestWrittenAfterAcceptBesideEnd(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Friend)
	there := w.clone(t)
	w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndNotAccepted})
	checkAdded(t, w.Entity, there.Must(t, "other", oplog.FamilyMember, entity.TypeAccept, entity.Accept{}))
	for _, who := range []string{"founder", "other"} {
		post := w.clone(t).Post(t, who, "we are friends")
		late := w.clone(t)
		late.Rekey(t)
		checkAdded(t, late.Entity, post)
	}
}
