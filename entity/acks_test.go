package entity_test

import (
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// promote makes people owners, who become members first if they are none.
func (w *world) promote(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, ok := w.State().Member(w.Who(t, name).User()); !ok {
			w.Admit(t, name, entity.Member)
		}
		w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: w.Who(t, name).Party()})
	}
}

func (w *world) demote(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: w.Who(t, name).User(), Cuts: []entity.Cut{}})
	}
}

// ack has owners ack all that they should.
func (w *world) ack(t *testing.T, names ...string) {
	t.Helper()
	for more := true; more; {
		more = false
		for _, name := range names {
			if id, ok := w.WantsAck(w.Who(t, name).User()); ok {
				if _, err := w.Ack(w.Who(t, name).Author(), id); err != nil {
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
	id, ok := away.WantsAck(w.Who(t, name).User())
	if !ok {
		t.Fatalf("%s acks nothing", name)
	}
	o, err := away.Ack(w.Who(t, name).Author(), id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestLateAcks: an owner's checkpoint waits, the founder goes on without it, and then acks
// of it come that were under way. Nobody lies. It takes the founder's place where it has
// enough of those who were owners then, and only there.
func TestLateAcks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what   string
		owners []string
		late   []string // who acked what waits, of which nobody heard
		stays  bool     // the founder's, or else what waits takes its place
		story  func(t *testing.T, w *world)
	}{
		{"three, of whom one is demoted", []string{"anna", "ben"}, []string{"anna"}, true, func(t *testing.T, w *world) {
			w.ack(t, "founder", "ben")
			w.demote(t, "anna")
			w.Close(t, "founder")
			w.ack(t, "founder", "ben")
		}},
		{"three, and only the founder stays", []string{"anna", "ben"}, []string{"anna"}, true, func(t *testing.T, w *world) {
			w.demote(t, "anna", "ben")
			w.Close(t, "founder")
		}},
		{"four", []string{"anna", "ben", "carl"}, []string{"anna"}, true, func(t *testing.T, w *world) {
			w.ack(t, "founder", "ben", "carl")
			w.Close(t, "founder")
			w.ack(t, "founder", "ben", "carl")
		}},
		{"four, and enough for both", []string{"anna", "ben", "carl"}, []string{"anna", "carl"}, false, func(t *testing.T, w *world) {
			w.ack(t, "ben")
			w.Close(t, "founder")
		}},
		{"five", []string{"anna", "ben", "carl", "dan"}, []string{"anna", "carl", "dan"}, false, func(t *testing.T, w *world) {
			w.ack(t, "founder", "ben")
			w.demote(t, "anna", "dan")
			w.Close(t, "founder")
			w.ack(t, "founder", "ben", "carl")
		}},
		{"four, of whom three are demoted, who acked one that nobody else did", []string{"anna", "ben", "carl"}, []string{"anna", "carl"}, false, func(t *testing.T, w *world) {
			w.demote(t, "anna", "ben", "carl")
			w.Close(t, "founder")
		}},
		{"the same, but for one who stands for the founder's", []string{"anna", "ben", "carl"}, []string{"anna"}, true, func(t *testing.T, w *world) {
			w.ack(t, "carl")
			w.demote(t, "anna", "ben", "carl")
			w.Close(t, "founder")
		}},
	} {
		w := owners(t, c.owners...)
		waits := w.Close(t, "ben")
		w.ack(t, "founder")
		var late []oplog.Op
		for _, name := range c.late {
			late = append(late, w.lateAck(t, name))
		}
		w.Close(t, "founder")
		c.story(t, w)
		want := w.State().Final.ID
		if want == waits.ID() || w.State().Final.Number != 2 && c.what != "five" {
			t.Fatalf("%s: final is %+v before the acks come", c.what, w.State().Final)
		}
		for _, o := range late {
			checkAdded(t, w.Entity, o)
		}
		if !c.stays {
			want = waits.ID()
		}
		if got := w.State().Final.ID; got != want {
			t.Errorf("%s: final is %v, want %v", c.what, got, want)
		}
		if err := newNaive(w.Entity).check(w.Entity); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		checkAgrees(t, w.Entity)
	}
}

// TestRivalShownLate: an owner, or a former one, shows a checkpoint that they signed in time,
// or say so, beside one that is final, which they may have acked. That is so still, and so is
// what comes after it; nor is what nobody acked an alarm.
func TestRivalShownLate(t *testing.T) {
	t.Parallel()
	for what, story := range map[string]func(w *world) oplog.Op{
		"demoted before it": func(w *world) oplog.Op {
			w.demote(t, "anna", "ben", "carl")
			return w.Close(t, "founder")
		},
		"demoted after it": func(w *world) oplog.Op {
			w.Close(t, "founder")
			w.demote(t, "anna", "ben", "carl")
			return w.Close(t, "founder")
		},
		"having acked it": func(w *world) oplog.Op {
			w.Close(t, "founder")
			w.ack(t, "ben")
			return w.Close(t, "founder")
		},
	} {
		w := owners(t, "anna", "ben", "carl")
		early := w.clone(t)
		c := story(w)
		w.promote(t, "emil", "fritz")
		checkAdded(t, w.Entity, early.Close(t, "ben"))
		if got := w.State().Final; got.ID != c.ID() || len(got.Rivals) != 0 {
			t.Errorf("%s, shown: final is %+v, want %v", what, got, c.ID())
		}
		next := w.Close(t, "founder")
		w.ack(t, "emil", "fritz")
		if got := w.State().Final; got.ID != next.ID() || len(got.Rivals) != 0 {
			t.Errorf("%s, after the next one: final is %+v, want %v", what, got, next.ID())
		}
		if err := newNaive(w.Entity).check(w.Entity); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestAttackManyHeads: a member signs so many ops beside a checkpoint that an ack cannot name
// all heads. It names the checkpoint then, and the next one the last.
func TestAttackManyHeads(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben")
	beside := w.clone(t)
	waits := w.Close(t, "anna")
	dora := w.Who(t, "dora")
	for i, n := 0, 0; n < 2*oplog.MaxParents; i++ {
		o := sign(t, dora, beside.Draft(dora, oplog.Control, oplog.FamilyPolicy, 99, []int{i}))
		if compare(o.ID(), waits.ID()) < 0 || i > 1000 { // of the heads the lowest are named
			checkAdded(t, w.Entity, o)
			n++
		}
	}
	for _, name := range []string{"ben", "founder"} {
		id, ok := w.WantsAck(w.Who(t, name).User())
		if !ok || id != waits.ID() {
			t.Fatalf("%s should ack %v, %v", name, id, ok)
		}
		if _, err := w.Ack(w.Who(t, name).Author(), id); err != nil {
			t.Fatalf("%s acks: %v", name, err)
		}
	}
	if c := w.Close(t, "ben"); w.State().Final.ID != waits.ID() || w.State().Final.Number != 1 {
		t.Errorf("final is %+v, and %v", w.State().Final, c.ID())
	}
}

// TestAckedLater: an owner who was away acks all checkpoints that another could take the
// place of, not only the last.
func TestAckedLater(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	made := []keys.Digest{w.Close(t, "founder").ID(), w.Close(t, "founder").ID()} // anna is away
	var acked []keys.Digest
	for range 5 { // she is back
		if id, ok := w.WantsAck(w.Who(t, "anna").User()); ok {
			acked = append(acked, id)
			if _, err := w.Ack(w.Who(t, "anna").Author(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	if slices.Reverse(acked); !slices.Equal(acked, made) { // the last first
		t.Errorf("she acked %v, want %v", acked, made)
	}
}

// TestAckedByNewOwners: who could ack another one, and is an owner, is asked to ack the one
// that counts, also if it was made while they were none.
func TestAckedByNewOwners(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben", "carl")
	w.Close(t, "ben")
	w.demote(t, "anna", "carl")
	c := w.Close(t, "founder")
	w.ack(t, "ben")
	w.promote(t, "anna", "carl")
	for _, name := range []string{"anna", "carl"} {
		if id, ok := w.WantsAck(w.Who(t, name).User()); !ok || id != c.ID() {
			t.Errorf("%s should ack %v, %v, want %v", name, id, ok, c.ID())
		}
	}
	w.ack(t, "anna", "ben", "carl", "founder")
	if got := w.State().Final.ID; got != c.ID() {
		t.Errorf("final is %v, want %v", got, c.ID())
	}
}

// TestWaitBeside: two owners made a checkpoint at once. The others ack the lower one, its
// rival's author too, and nobody asks for the other one then.
func TestWaitBeside(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben", "carl")
	w.remove(t, "founder", "dora")
	beside := w.clone(t)
	lower, by := w.Close(t, "anna"), "ben"
	higher := beside.Close(t, "ben")
	checkAdded(t, w.Entity, higher)
	if compare(higher.ID(), lower.ID()) < 0 {
		lower, by = higher, "anna"
	}
	if o, ok := w.Waits(); !ok || o.ID() != lower.ID() {
		t.Errorf("%v waits, %v, want the lower one", o.ID(), ok)
	}
	for _, name := range []string{"carl", by} {
		if got := w.due(t, name); got != entity.NotDue {
			t.Errorf("another one is due for %s: %v", name, got)
		}
		id, ok := w.WantsAck(w.Who(t, name).User())
		if !ok || id != lower.ID() {
			t.Fatalf("%s should ack %v, %v, want the lower one", name, id, ok)
		}
		if _, err := w.Ack(w.Who(t, name).Author(), id); err != nil {
			t.Fatal(err)
		}
	}
	if id, ok := w.WantsAck(w.Who(t, "carl").User()); ok {
		t.Errorf("carl should ack %v too", id)
	}
	if o, ok := w.Waits(); ok || w.State().Final.ID != lower.ID() {
		t.Errorf("final is %+v, and %v waits", w.State().Final, o)
	}
	checkAgrees(t, w.Entity)
}
