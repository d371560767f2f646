package entity_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

func (w *world) due(t *testing.T, name string) entity.Due {
	t.Helper()
	return w.WantsCheckpoint(w.Who(t, name).User())
}

// TestWantsCheckpoint: each reason to make one, and what ends it.
func TestWantsCheckpoint(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben")
	want := func(what string, due entity.Due) {
		t.Helper()
		for _, name := range []string{"founder", "ben"} {
			if got := w.due(t, name); got != due {
				t.Errorf("%s: due for %s is %v, want %v", what, name, got, due)
			}
		}
		if got := w.due(t, "dora"); got != entity.NotDue {
			t.Errorf("%s: due for a member is %v", what, got)
		}
	}
	want("at first", entity.NotDue)
	for i := w.Log().Len(); i <= entity.MaxOpen; i++ { // genesis is not counted
		want(fmt.Sprintf("after %d", i), entity.NotDue)
		w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: fmt.Sprint(i)})
	}
	want("after many", entity.DueMany)
	w.Close(t, "founder")
	want("after a checkpoint", entity.NotDue)

	w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: w.Who(t, "anna").User()})
	want("after a demotion", entity.DueRemoval)
	behind := w.clone(t)
	w.Close(t, "founder")
	want("closed", entity.NotDue)
	leave := behind.Must(t, "dora", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	checkAdded(t, w.Entity, leave)
	want("a leave beside it", entity.DueBeside)
	if got := w.Pending(); !slices.Equal(got, []keys.Digest{leave.ID()}) {
		t.Errorf("pending %v, want %v", got, leave.ID())
	}
	if w.Counts(leave) || w.Final(leave) {
		t.Errorf("a leave beside a checkpoint: counts %v, final %v", w.Counts(leave), w.Final(leave))
	}
	c := w.Close(t, "founder")
	want("kept", entity.NotDue)
	if !w.Counts(leave) || !w.Final(leave) || !w.Final(c) || w.State().Final.Number != 3 {
		t.Errorf("kept: counts %v, final %v, checkpoint final %v, %+v", w.Counts(leave), w.Final(leave), w.Final(c), w.State().Final)
	}
	if !w.Dismissed(w.Who(t, "dora").User()) || w.Dismissed(w.Who(t, "anna").User()) {
		t.Errorf("dismissed: dora %v, anna %v", w.Dismissed(w.Who(t, "dora").User()), w.Dismissed(w.Who(t, "anna").User()))
	}

	// Another owner's waits for acks; nobody makes a further one, unless it is the founder.
	w.Must(t, "founder", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: w.Who(t, "emil").Party(), Role: entity.Member, Ref: &w.Ref})
	w.remove(t, "founder", "emil")
	want("after a removal", entity.DueRemoval)
	waits := w.Close(t, "ben")
	if f, b := w.due(t, "founder"), w.due(t, "ben"); f != entity.DueRemoval || b != entity.NotDue {
		t.Errorf("waiting for acks: due for the founder is %v, for ben %v", f, b)
	}
	if o, ok := w.Waits(); !ok || o.ID() != waits.ID() {
		t.Errorf("%v waits, %v, want %v", o, ok, waits.ID())
	}
	if w.Final(waits) {
		t.Error("final without acks")
	}
	for name, want := range map[string]keys.Digest{"founder": waits.ID(), "ben": c.ID(), "anna": {}, "dora": {}, "stranger": {}} {
		if got, ok := w.WantsAck(w.Who(t, name).User()); got != want || ok == want.IsZero() {
			t.Errorf("%s should ack %v, %v, want %v", name, got, ok, want)
		}
	}
	if _, err := w.Ack(w.Who(t, "founder").Author(), waits.ID()); err != nil {
		t.Fatalf("Ack: %v", err)
	}
	if _, ok := w.Waits(); !w.Final(waits) || ok {
		t.Errorf("with both owners it is final %v, waits %v", w.Final(waits), ok)
	}
	if got, ok := w.WantsAck(w.Who(t, "founder").User()); ok {
		t.Errorf("the founder should ack %v again", got)
	}
	checkAgrees(t, w.Entity)

	w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{})
	want("ended", entity.NotDue)
	if _, err := w.Checkpoint(w.Who(t, "founder").Author()); !errors.Is(err, entity.ErrEnded) {
		t.Errorf("a checkpoint of an ended board: %v, want ErrEnded", err)
	}
}

// TestFounderGoesOn: an owner's checkpoint waits for an ack that does not come. The founder,
// who does not ack it while that is so, makes the next without it.
func TestFounderGoesOn(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben", "carl")
	beside := w.clone(t)
	waits := w.Close(t, "ben")
	if id, ok := w.WantsAck(w.Who(t, "founder").User()); ok {
		t.Errorf("the founder should ack %v, which is not final with that", id)
	}
	for what, where := range map[string]*world{"having seen it": w, "beside it": beside} {
		w, next := w.clone(t), where.clone(t).Close(t, "founder")
		checkAdded(t, w.Entity, next)
		if s := w.State(); s.Final.ID != next.ID() || s.Final.Number != 1 || len(s.Final.Rivals) > 0 {
			t.Errorf("%s: final is %+v, want the founder's", what, s.Final)
		}
		if o, ok := w.Waits(); ok {
			t.Errorf("%s: %v waits, which nobody needs any more", what, o.ID())
		}
		for _, name := range []string{"anna", "ben"} {
			if id, ok := w.WantsAck(w.Who(t, name).User()); id != next.ID() || !ok {
				t.Errorf("%s: %s should ack %v, %v, want the founder's", what, name, id, ok)
			}
		}
		checkAgrees(t, w.Entity)
	}
	w.ack(t, "anna")
	if id, ok := w.WantsAck(w.Who(t, "founder").User()); !ok || id != waits.ID() {
		t.Errorf("the founder should ack %v, %v: it is final with that", id, ok)
	}
	w.Close(t, "founder")
	if id, ok := w.WantsAck(w.Who(t, "anna").User()); ok {
		t.Errorf("anna, who acked the one, should ack %v too", id)
	}
}

// TestAckOfFormerFounder: who has the founder's place now acks what the one before made.
func TestAckOfFormerFounder(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben", "carl")
	c := w.Close(t, "founder")
	w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: w.State().Members[w.Who(t, "anna").User()].Party, Cuts: []entity.Cut{}})
	if w.State().Founder != w.Who(t, "anna").User() {
		t.Fatal("anna has not the founder's place")
	}
	if id, ok := w.WantsAck(w.Who(t, "anna").User()); !ok || id != c.ID() {
		t.Errorf("she should ack %v, %v, want %v", id, ok, c.ID())
	}
}

// TestOwnWaitsOfNewFounder: whose own waits, and who has the founder's place then, makes
// another one.
func TestOwnWaitsOfNewFounder(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben")
	w.Close(t, "anna")
	if _, err := w.Checkpoint(w.Who(t, "anna").Author()); !errors.Is(err, entity.ErrNotAuthorized) {
		t.Errorf("a second one of hers that waits: %v, want ErrNotAuthorized", err)
	}
	w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: w.State().Members[w.Who(t, "anna").User()].Party, Cuts: []entity.Cut{}})
	if got := w.due(t, "anna"); got != entity.DueRemoval {
		t.Errorf("due for her is %v, want %v", got, entity.DueRemoval)
	}
	c := w.Close(t, "anna")
	if w.State().Final.ID != c.ID() {
		t.Errorf("final is %+v, want hers", w.State().Final)
	}
	checkAgrees(t, w.Entity)
}

// TestOwnVoidWaits: whose own was beside his demotion, and who is an owner again, is not told
// to make another, which would be refused.
func TestOwnVoidWaits(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben", "carl")
	beside := w.clone(t)
	w.demote(t, "anna")
	checkAdded(t, w.Entity, beside.Close(t, "anna"))
	w.promote(t, "anna")
	if anna, ben := w.due(t, "anna"), w.due(t, "ben"); anna != entity.NotDue || ben != entity.DueRemoval {
		t.Errorf("due for anna is %v, for ben %v", anna, ben)
	}
}

// TestCheckpointIsFull: more than a checkpoint can list stays void, and the rest counts.
func TestCheckpointIsFull(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	behind := w.clone(t)
	w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"})
	w.Close(t, "founder")
	var beside []oplog.Op
	for i := range entity.MaxKeeps + 3 {
		o := behind.Must(t, "anna", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: fmt.Sprint(i)})
		checkAdded(t, w.Entity, o)
		beside = append(beside, o)
	}
	w.Close(t, "founder")
	for i, o := range beside {
		if got := w.Counts(o); got != (i < entity.MaxKeeps) || !w.Final(o) {
			t.Fatalf("%d of %d: counts %v, final %v", i, len(beside), got, w.Final(o))
		}
	}
	if w.State().Title != fmt.Sprint(entity.MaxKeeps-1) || len(w.Pending()) > 0 {
		t.Errorf("title %q, %d to be kept", w.State().Title, len(w.Pending()))
	}
}

// TestCheckpointRoots: a checkpoint commits to all that a state says of people, epochs and
// invites.
func TestCheckpointRoots(t *testing.T) {
	t.Parallel()
	base := settle(t, entity.Board)
	member := base.Who(t, "member")
	before := base.NextCheckpoint()
	for what, c := range map[string]struct {
		write func(*world)
		moves [3]bool // members, epochs, refs
	}{
		"a title": {func(w *world) { w.Must(t, "master", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"}) }, [3]bool{true}},
		"a policy": {func(w *world) {
			w.Must(t, "master", oplog.FamilyPolicy, entity.TypeJoinPolicy, entity.SetJoinPolicy{Join: entity.JoinFriends})
		}, [3]bool{true}},
		"a role": {func(w *world) {
			w.Must(t, "master", oplog.FamilyMember, entity.TypeRole, entity.SetRole{User: member.User(), Role: entity.Reader})
		}, [3]bool{true}},
		"a founder": {func(w *world) {
			w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: w.Who(t, "master").Party()})
		}, [3]bool{true}},
		"a leave":   {func(w *world) { w.Must(t, "member", oplog.FamilyMember, entity.TypeLeave, entity.Leave{}) }, [3]bool{true}},
		"an epoch":  {func(w *world) { epochBy("master")(t, w) }, [3]bool{false, true}},
		"a removal": {func(w *world) { w.remove(t, "master", "member") }, [3]bool{true, true}},
		"an admission": {func(w *world) {
			w.Must(t, "master", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: w.Who(t, "new").Party(), Role: entity.Member, Ref: &[16]byte{9}})
		}, [3]bool{true, false, true}},
		"an article":       {func(w *world) { w.Post(t, "member", "x") }, [3]bool{}},
		"something unseen": {func(w *world) { w.Must(t, "member", oplog.FamilyPolicy, 99, struct{}{}) }, [3]bool{}},
	} {
		w := base.clone(t)
		c.write(w)
		after := w.NextCheckpoint()
		got := [3]bool{after.Members != before.Members, after.Epochs != before.Epochs, after.Refs != before.Refs}
		if got != c.moves {
			t.Errorf("%s moves members, epochs, refs: %v, want %v", what, got, c.moves)
		}
	}
}

// TestJudgedAnew: what was folded to judge one op is used for the next only where it says
// the same: not across a checkpoint that keeps something, nor after an op that was refused.
func TestJudgedAnew(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Board)
	f, phone := w.Who(t, "founder"), newDevice("phone").Key
	party := f.Party()
	party.Devices = sorted(append(party.Devices, phone.ID()))
	w.Must(t, "founder", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
	w.Admit(t, "dora", entity.Member)
	w.People["phone"] = f.By(phone)
	behind := w.clone(t)
	w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"})
	w.Close(t, "founder")
	party.Devices = []keys.ID{phone.ID()}
	cuts := []entity.Cut{{Device: f.Key.ID(), Strand: oplog.Content}}
	checkAdded(t, w.Entity, behind.Must(t, "phone", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party, Cuts: cuts}))
	c := w.Close(t, "founder") // keeps that this device is gone
	late := sign(t, f, w.Draft(f, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "late"}))
	fresh := clone(t, w.Entity) // whose state is not known, so that c is judged by a fold of its own
	if _, ok := fresh.Log().Get(c.ID()); !ok {
		t.Fatal("the clone lacks the checkpoint")
	}
	if _, err := fresh.Add(late); !errors.Is(err, entity.ErrNotAuthorized) {
		t.Errorf("an op by a device that the checkpoint before it took away: %v, want ErrNotAuthorized", err)
	}

	// A member's refused op, and one that he writes on the genesis, where he was none.
	dora := w.Who(t, "dora")
	fresh = clone(t, w.Entity)
	d := w.Draft(dora, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "hers"})
	for _, parents := range [][]keys.Digest{d.Parents, {w.ID()}} {
		d.Parents = parents
		if _, err := fresh.Add(sign(t, dora, d)); !errors.Is(err, entity.ErrNotAuthorized) {
			t.Errorf("an op that nobody but an owner may write: %v, want ErrNotAuthorized", err)
		}
		d.Type, d.Family, d.Body = entity.TypeLeave, oplog.FamilyMember, keys.Marshal(entity.Leave{})
	}
}
