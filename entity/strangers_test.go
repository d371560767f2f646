package entity_test

import (
	"fmt"
	"testing"

	"pttnode/entity"
	"pttnode/oplog"
)

// merge adds what another world has.
func (w *world) merge(t *testing.T, other *world) {
	t.Helper()
	for _, o := range all(other.Entity) {
		if _, err := w.Add(o); err != nil {
			t.Fatalf("Add %d/%d: %v", o.Family(), o.Type(), err)
		}
	}
}

// TestManyStrangers: beside his removal an owner lets people in, which is void. The
// epoch of the removal was given to none of them, and is found to be clean as long as
// they are few; of many it is assumed that it was, until an epoch has seen them all.
func TestManyStrangers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		strangers int
		needs     bool
	}{{16, false}, {17, true}} {
		w := owners(t, "anna")
		beside := w.clone(t)
		w.remove(t, "founder", "anna")
		for i := range c.strangers {
			beside.Must(t, "anna", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{
				Party: w.Who(t, fmt.Sprint("stranger", i)).Party(), Role: entity.Member, Ref: &w.Ref,
			})
		}
		w.merge(t, beside)
		if got := w.State().NeedsEpoch(); got != c.needs {
			t.Errorf("%d strangers, and the epoch of the removal: needs another one: %v, want %v", c.strangers, got, c.needs)
		}
		if w.Rekey(t); w.State().NeedsEpoch() {
			t.Errorf("%d strangers, and an epoch that has seen them: needs another one", c.strangers)
		}
		checkAgrees(t, w.Entity)
	}
}

// TestStrangerWasGivenTheKey: an owner who has signed two operations at one place lets
// somebody in, and hands him a key. All of it is void, and what he was handed is
// written with no more, though nobody ever took him for a member.
func TestStrangerWasGivenTheKey(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	other := w.clone(t)
	for title, at := range map[string]*world{"one": w, "two": other} {
		at.Must(t, "anna", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: title})
	}
	w.merge(t, other)
	if w.State().NeedsEpoch() {
		t.Error("two titles at one place, and no epoch to write in")
	}
	o := w.Must(t, "anna", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{
		Party: w.Who(t, "stranger").Party(), Role: entity.Member, Ref: &w.Ref, Epochs: epochs(w),
	})
	if w.Counts(o) || w.standing(t, "stranger") != 0 {
		t.Errorf("the admission counts: %v, he is %v", w.Counts(o), w.standing(t, "stranger"))
	}
	if !w.State().NeedsEpoch() {
		t.Error("a key that a stranger was handed is written with")
	}
	w.Rekey(t)
	if w.State().NeedsEpoch() {
		t.Error("an epoch begun since needs another one")
	}
	checkAgrees(t, w.Entity)
}

// TestStrangerLeaves: who was let in by what is void, and is no member any more, is a
// stranger, whether he was let in well before or after that, and left.
func TestStrangerLeaves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what  string
		first func(w *world) // before an owner is demoted, who lets emil in beside that
		then  func(w *world)
	}{
		{"let in again, and left", func(*world) {}, func(w *world) {
			w.Admit(t, "emil", entity.Member)
			checkAgrees(t, w.Entity)
			w.Must(t, "emil", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
		}},
		{"left, and let in again", func(w *world) {
			w.Admit(t, "emil", entity.Member)
			w.Must(t, "emil", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
			w.Rekey(t)
		}, func(*world) {}},
	} {
		w := owners(t, "anna")
		c.first(w)
		beside := w.clone(t)
		w.demote(t, "anna")
		beside.Must(t, "anna", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{
			Party: w.Who(t, "emil").Party(), Role: entity.Member, Ref: &w.Ref, Epochs: epochs(w),
		})
		w.merge(t, beside)
		c.then(w)
		for _, i := range w.State().Epochs {
			if !i.Tainted {
				t.Errorf("%s: %+v, want it tainted", c.what, i)
			}
		}
		checkAgrees(t, w.Entity)
	}
}
