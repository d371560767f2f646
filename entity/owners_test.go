package entity_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"pttnode/entity"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

// chainOf returns the final checkpoints of an entity, the last first.
func chainOf(e *entity.Entity) (ids []keys.Digest) {
	for id := e.State().Final.ID; !id.IsZero(); {
		ids = append(ids, id)
		o, _ := e.Log().Get(id)
		body, _ := e.Describe(o, nil, nil)
		id = keys.Digest{}
		copy(id[:], body.(*entity.Checkpoint).Prev)
	}
	return ids
}

// TestForGoodStays: in random histories of owners who remove each other and close what they
// did, whether somebody wrote as an owner changes no more once that is said to be for good,
// whatever comes to light; but where the checkpoint by which it was so loses its place.
func TestForGoodStays(t *testing.T) {
	t.Parallel()
	type said struct {
		op    oplog.Op
		wrote bool
		by    keys.Digest
	}
	rapid.Check(t, func(rt *rapid.T) {
		var good []said
		known := make(map[keys.Digest]bool)
		e := entitytest.Deliver(rt, drawMasters(rt), func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "next") }, func(e *entity.Entity) {
			for o := range e.Log().All(oplog.Content) {
				if !known[o.ID()] && e.ForGood(o) {
					known[o.ID()] = true
					good = append(good, said{o, e.WroteAsOwner(o), e.State().Final.ID})
				}
			}
		})
		chain := chainOf(e)
		for _, s := range good {
			if !slices.Contains(chain, s.by) {
				continue
			}
			if got := e.WroteAsOwner(s.op); got != s.wrote || !e.ForGood(s.op) {
				rt.Fatalf("%v was written as an owner %v, for good by %v; now %v, for good %v\n%s", s.op.ID(), s.wrote, s.by, got, e.ForGood(s.op), tell(e))
			}
		}
	})
}

// TestForGood: what makes a right to delete last, in each kind.
func TestForGood(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	check := func(what string, o oplog.Op, owner, good bool) {
		t.Helper()
		if got := w.WroteAsOwner(o); got != owner {
			t.Errorf("%s: written as an owner %v, want %v", what, got, owner)
		}
		if got := w.ForGood(o); got != good {
			t.Errorf("%s: for good %v, want %v", what, got, good)
		}
	}
	hers, his := w.Post(t, "anna", "x"), w.Post(t, "dora", "x")
	check("an owner's, without a checkpoint", hers, true, false)
	check("a member's, without a checkpoint", his, false, false)
	behind := w.clone(t)
	w.Close(t, "founder")
	check("an owner's, behind a checkpoint", hers, true, true)
	check("a member's, behind a checkpoint", his, false, true)
	later := w.Post(t, "anna", "x")
	check("one that cites the checkpoint", later, true, true)
	title := w.Must(t, "anna", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"})
	check("one that cites what is open", w.Post(t, "anna", "x"), true, false)
	beside := behind.Must(t, "anna", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "y"})
	checkAdded(t, w.Entity, beside)
	d := w.Draft(w.Who(t, "anna"), oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, []byte("x"))
	d.Auth, d.Epoch = []keys.Digest{beside.ID()}, hers.Epoch()
	both := sign(t, w.Who(t, "anna"), d)
	checkAdded(t, w.Entity, both)
	check("one that cites what stands beside the checkpoint", both, true, false)
	w.demote(t, "anna")
	check("when she is one no more", hers, true, true)
	w.Close(t, "founder")
	for i, o := range []oplog.Op{hers, later, both} {
		check(fmt.Sprintf("and that is closed, number %d", i), o, true, true)
	}
	if !w.Final(title) {
		t.Error("the title is not closed")
	}

	for _, kind := range []entity.Kind{entity.Me, entity.Profile, entity.Friend} {
		x := settle(t, kind)
		if o := x.Post(t, "founder", "x"); !x.ForGood(o) || !x.WroteAsOwner(o) {
			t.Errorf("in a %v: for good %v, as an owner %v", kind, x.ForGood(o), x.WroteAsOwner(o))
		}
	}
}

// TestWroteAsOwnerByVoid: whom a void op made an owner was none, whatever stood when they
// wrote, and whoever asked before the rest was known.
func TestWroteAsOwnerByVoid(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben")
	w.Admit(t, "emil", entity.Member)
	side := w.clone(t)
	side.Must(t, "anna", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: w.Who(t, "emil").Party()})
	o := side.Post(t, "emil", "x")
	if !side.WroteAsOwner(o) {
		t.Error("he was no owner before anybody knew better")
	}
	w.remove(t, "founder", "anna")
	w.merge(t, side)
	side.merge(t, w)
	for what, e := range map[string]*world{"who knew of the removal first": w, "who knew of it last": side} {
		if e.WroteAsOwner(o) {
			t.Errorf("%s: a void op made him an owner", what)
		}
	}
}
