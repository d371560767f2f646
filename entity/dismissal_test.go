package entity_test

import (
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestDismissals: whoever was let in by what turned out void, for whatever reason, is
// shown what makes it so, which by itself says that he is no member, and nothing after.
func TestDismissals(t *testing.T) {
	t.Parallel()
	admit := func(w *world, by string) oplog.Op {
		return w.Must(t, by, oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: w.Who(t, "eve").Party(), Role: entity.Member, Ref: &w.Ref})
	}
	title := func(w *world, by, text string) {
		w.Must(t, by, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: text})
	}
	for name, beside := range map[string]func(w, other *world){
		"the owner was removed": func(w, other *world) {
			w.remove(t, "founder", "anna")
			admit(other, "anna")
		},
		"who made him owner was removed": func(w, other *world) {
			w.remove(t, "founder", "anna")
			party := w.Who(t, "dora").Party()
			other.Must(t, "anna", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party})
			admit(other, "dora")
		},
		"two at one place": func(w, other *world) {
			title(w, "anna", "one")
			admit(other, "anna")
		},
		"two at a place before": func(w, other *world) {
			title(w, "anna", "one")
			title(other, "anna", "two")
			admit(other, "anna")
		},
		"a checkpoint": func(w, other *world) {
			w.Close(t, "founder")
			admit(other, "carl")
			title(other, "anna", "beside")
		},
		"a checkpoint that others acked": func(w, other *world) {
			c := w.Close(t, "anna")
			first := w.clone(t)
			for at, name := range map[*world]string{w: "ben", first: "carl"} { // beside each other
				if _, err := at.Ack(w.Who(t, name).Author(), c.ID()); err != nil {
					t.Fatal(err)
				}
			}
			w.merge(t, first)
			admit(other, "founder")
		},
	} {
		w := owners(t, "anna", "ben", "carl")
		other := w.clone(t)
		beside(w, other)
		w.merge(t, other)
		title(w, "founder", "since")
		if w.standing(t, "eve") != 0 {
			t.Fatalf("%s: eve is %v, for no member", name, w.standing(t, "eve"))
		}
		eve := w.Who(t, "eve")
		var told []entity.Dismissal
		for _, d := range w.Dismissals() {
			if d.User == eve.User() {
				told = append(told, d)
			}
		}
		if len(told) != 1 || !slices.Equal(told[0].Devices, eve.Party().Devices) || len(told[0].Admits) != 1 {
			t.Errorf("%s: dismissals of eve: %+v", name, told)
			continue
		}
		part := w.PartOf(told[0])
		if part == nil {
			t.Errorf("%s: nothing says why", name)
			continue
		}
		e, err := entity.Open(part)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := part.Get(told[0].Admits[0]); !ok || !e.State().Void[told[0].Admits[0]] {
			t.Errorf("%s: her part has the admission: %v, and it is not void there", name, ok)
		}
		if part.Len() >= w.Log().Len() || slices.Contains(part.Heads(oplog.Control), w.Log().Heads(oplog.Control)[0]) {
			t.Errorf("%s: her part has what came after", name)
		}
	}
}

// TestDismissalsOfOthers: nobody who is a member, has left, or never was let in is
// taken for somebody who does not know; who was removed is told of it.
func TestDismissalsOfOthers(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	other := w.clone(t)
	w.Admit(t, "leaver", entity.Member)
	w.Must(t, "leaver", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	o := other.Must(t, "anna", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: w.Who(t, "leaver").Party(), Role: entity.Member, Ref: &w.Ref})
	w.merge(t, other)
	if w.Counts(o) || w.standing(t, "leaver") != entity.Gone {
		t.Fatalf("an admission beside a leave counts: %v, he is %v", w.Counts(o), w.standing(t, "leaver"))
	}
	w.Who(t, "stranger")
	if got := w.Dismissals(); len(got) != 0 {
		t.Errorf("nobody was dismissed: %+v", got)
	}
	o = w.remove(t, "founder", "dora")
	got := w.Dismissals()
	if len(got) != 1 || got[0].User != w.Who(t, "dora").User() || got[0].End != o.ID() || len(got[0].Admits) != 0 {
		t.Fatalf("dora was removed: %+v", got)
	}
	w.Rekey(t)
	if part := w.PartOf(got[0]); part == nil || !slices.Equal(part.Heads(oplog.Control), []keys.Digest{o.ID()}) {
		t.Errorf("her part does not end with the removal: %v", part)
	}
}
