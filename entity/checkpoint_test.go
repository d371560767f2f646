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
	return w.WantsCheckpoint(w.who(t, name).user(), w.ring, now)
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
		w.must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: fmt.Sprint(i)})
	}
	want("after many", entity.DueMany)
	w.checkpoint(t, "founder")
	want("after a checkpoint", entity.NotDue)

	w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: w.who(t, "anna").user()})
	want("after a demotion", entity.DueRemoval)
	behind := w.clone(t)
	w.checkpoint(t, "founder")
	want("closed", entity.NotDue)
	leave := behind.must(t, "dora", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	checkAdded(t, w.Entity, leave)
	want("a leave beside it", entity.DueBeside)
	if got := w.Pending(); !slices.Equal(got, []keys.Digest{leave.ID()}) {
		t.Errorf("pending %v, want %v", got, leave.ID())
	}
	if w.Counts(leave) || w.Final(leave) {
		t.Errorf("a leave beside a checkpoint: counts %v, final %v", w.Counts(leave), w.Final(leave))
	}
	c := w.checkpoint(t, "founder")
	want("kept", entity.NotDue)
	if !w.Counts(leave) || !w.Final(leave) || !w.Final(c) || w.State().Final.Number != 3 {
		t.Errorf("kept: counts %v, final %v, checkpoint final %v, %+v", w.Counts(leave), w.Final(leave), w.Final(c), w.State().Final)
	}
	if !w.Dismissed(w.who(t, "dora").user()) || w.Dismissed(w.who(t, "anna").user()) {
		t.Errorf("dismissed: dora %v, anna %v", w.Dismissed(w.who(t, "dora").user()), w.Dismissed(w.who(t, "anna").user()))
	}

	// Another owner's waits for acks; nobody makes a further one, unless it is the founder.
	w.must(t, "founder", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: w.who(t, "emil").party(), Role: entity.Member, Ref: &w.ref})
	w.remove(t, "founder", "emil")
	want("after a removal", entity.DueRemoval)
	waits := w.checkpoint(t, "ben")
	if f, b := w.due(t, "founder"), w.due(t, "ben"); f != entity.DueRemoval || b != entity.NotDue {
		t.Errorf("waiting for acks: due for the founder is %v, for ben %v", f, b)
	}
	if o, ok := w.Waits(w.ring); !ok || o.ID() != waits.ID() {
		t.Errorf("%v waits, %v, want %v", o, ok, waits.ID())
	}
	if w.Final(waits) {
		t.Error("final without acks")
	}
	for name, want := range map[string]keys.Digest{"founder": waits.ID(), "ben": c.ID(), "anna": {}, "dora": {}, "stranger": {}} {
		if got, ok := w.WantsAck(w.who(t, name).user(), w.ring); got != want || ok == want.IsZero() {
			t.Errorf("%s should ack %v, %v, want %v", name, got, ok, want)
		}
	}
	if _, err := w.Ack(w.who(t, "founder").author(), waits.ID()); err != nil {
		t.Fatalf("Ack: %v", err)
	}
	if _, ok := w.Waits(w.ring); !w.Final(waits) || ok {
		t.Errorf("with both owners it is final %v, waits %v", w.Final(waits), ok)
	}
	if got, ok := w.WantsAck(w.who(t, "founder").user(), w.ring); ok {
		t.Errorf("the founder should ack %v again", got)
	}
	checkAgrees(t, w.Entity)

	w.must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{})
	want("ended", entity.NotDue)
	if _, err := w.Checkpoint(w.who(t, "founder").author(), w.ring); !errors.Is(err, entity.ErrEnded) {
		t.Errorf("a checkpoint of an ended board: %v, want ErrEnded", err)
	}
}

// TestFounderGoesOn: an owner's checkpoint waits for an ack that does not come. The founder,
// who does not ack it while that is so, makes the next without it.
func TestFounderGoesOn(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben", "carl")
	beside := w.clone(t)
	waits := w.checkpoint(t, "ben")
	if id, ok := w.WantsAck(w.who(t, "founder").user(), w.ring); ok {
		t.Errorf("the founder should ack %v, which is not final with that", id)
	}
	for what, where := range map[string]*world{"having seen it": w, "beside it": beside} {
		w, next := w.clone(t), where.clone(t).checkpoint(t, "founder")
		checkAdded(t, w.Entity, next)
		if s := w.State(); s.Final.ID != next.ID() || s.Final.Number != 1 || len(s.Final.Rivals) > 0 {
			t.Errorf("%s: final is %+v, want the founder's", what, s.Final)
		}
		if o, ok := w.Waits(w.ring); ok {
			t.Errorf("%s: %v waits, which nobody needs any more", what, o.ID())
		}
		for _, name := range []string{"anna", "ben"} {
			if id, ok := w.WantsAck(w.who(t, name).user(), w.ring); id != next.ID() || !ok {
				t.Errorf("%s: %s should ack %v, %v, want the founder's", what, name, id, ok)
			}
		}
		checkAgrees(t, w.Entity)
	}
	w.ack(t, "anna")
	if id, ok := w.WantsAck(w.who(t, "founder").user(), w.ring); !ok || id != waits.ID() {
		t.Errorf("the founder should ack %v, %v: it is final with that", id, ok)
	}
	w.checkpoint(t, "founder")
	if id, ok := w.WantsAck(w.who(t, "anna").user(), w.ring); ok {
		t.Errorf("anna, who acked the one, should ack %v too", id)
	}
}

// TestAckOfFormerFounder: who has the founder's place now acks what the one before made.
func TestAckOfFormerFounder(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben", "carl")
	c := w.checkpoint(t, "founder")
	w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: w.State().Members[w.who(t, "anna").user()].Party, Cuts: []entity.Cut{}})
	if w.State().Founder != w.who(t, "anna").user() {
		t.Fatal("anna has not the founder's place")
	}
	if id, ok := w.WantsAck(w.who(t, "anna").user(), w.ring); !ok || id != c.ID() {
		t.Errorf("she should ack %v, %v, want %v", id, ok, c.ID())
	}
}

// TestOwnWaitsOfNewFounder: whose own waits, and who has the founder's place then, makes
// another one.
func TestOwnWaitsOfNewFounder(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben")
	w.checkpoint(t, "anna")
	if _, err := w.Checkpoint(w.who(t, "anna").author(), w.ring); !errors.Is(err, entity.ErrNotAuthorized) {
		t.Errorf("a second one of hers that waits: %v, want ErrNotAuthorized", err)
	}
	w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: w.State().Members[w.who(t, "anna").user()].Party, Cuts: []entity.Cut{}})
	if got := w.due(t, "anna"); got != entity.DueRemoval {
		t.Errorf("due for her is %v, want %v", got, entity.DueRemoval)
	}
	c := w.checkpoint(t, "anna")
	if w.State().Final.ID != c.ID() {
		t.Errorf("final is %+v, want hers", w.State().Final)
	}
	checkAgrees(t, w.Entity)
}

// TestUnackableBeside: a false checkpoint that waits keeps nobody from an honest one beside
// it, whichever id is lower.
func TestUnackableBeside(t *testing.T) {
	t.Parallel()
	base := owners(t, "anna", "ben", "carl")
	base.remove(t, "founder", "dora")
	for i := range 8 { // now the one is lower, now the other
		honest := base.clone(t).checkpoint(t, "ben")
		beside := base.clone(t)
		c := beside.NextCheckpoint()
		c.Drops, c.Content = 1, keys.Digest{1, byte(i)}
		w := base.clone(t)
		checkAdded(t, w.Entity, beside.must(t, "anna", oplog.FamilyCheckpoint, entity.TypeCheckpoint, c))
		if anna, ben := w.due(t, "anna"), w.due(t, "ben"); anna != entity.NotDue || ben != entity.DueRemoval {
			t.Errorf("due for her whose own waits is %v, for who cannot ack it %v", anna, ben)
		}
		checkAdded(t, w.Entity, honest)
		if id, ok := w.WantsAck(w.who(t, "carl").user(), w.ring); !ok || id != honest.ID() {
			t.Errorf("carl should ack %v, %v, want the honest one", id, ok)
		}
		if o, ok := w.Waits(w.ring); !ok || o.ID() != honest.ID() {
			t.Errorf("%v waits, %v, want the honest one", o.ID(), ok)
		}
		if got := w.due(t, "ben"); got != entity.NotDue {
			t.Errorf("due for ben, whose own waits, is %v", got)
		}
	}
}

// TestOwnVoidWaits: whose own was beside his demotion, and who is an owner again, is not told
// to make another, which would be refused.
func TestOwnVoidWaits(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben", "carl")
	beside := w.clone(t)
	w.demote(t, "anna")
	checkAdded(t, w.Entity, beside.checkpoint(t, "anna"))
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
	w.must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"})
	w.checkpoint(t, "founder")
	var beside []oplog.Op
	for i := range entity.MaxKeeps + 3 {
		o := behind.must(t, "anna", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: fmt.Sprint(i)})
		checkAdded(t, w.Entity, o)
		beside = append(beside, o)
	}
	w.checkpoint(t, "founder")
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
	member := base.who(t, "member")
	before := base.NextCheckpoint()
	for what, c := range map[string]struct {
		write func(*world)
		moves [4]bool // members, epochs, refs, content
	}{
		"a title": {func(w *world) { w.must(t, "master", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"}) }, [4]bool{true}},
		"a policy": {func(w *world) {
			w.must(t, "master", oplog.FamilyPolicy, entity.TypeJoinPolicy, entity.SetJoinPolicy{Join: entity.JoinFriends})
		}, [4]bool{true}},
		"a role": {func(w *world) {
			w.must(t, "master", oplog.FamilyMember, entity.TypeRole, entity.SetRole{User: member.user(), Role: entity.Reader})
		}, [4]bool{true}},
		"a founder": {func(w *world) {
			w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: w.who(t, "master").party()})
		}, [4]bool{true}},
		"a leave":   {func(w *world) { w.must(t, "member", oplog.FamilyMember, entity.TypeLeave, entity.Leave{}) }, [4]bool{true}},
		"an epoch":  {func(w *world) { epochBy("master")(t, w) }, [4]bool{false, true}},
		"a removal": {func(w *world) { w.remove(t, "master", "member") }, [4]bool{true, true}},
		"an admission": {func(w *world) {
			w.must(t, "master", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: w.who(t, "new").party(), Role: entity.Member, Ref: &[16]byte{9}})
		}, [4]bool{true, false, true}},
		"an article":       {func(w *world) { w.post(t, "member", "x") }, [4]bool{false, false, false, true}},
		"something unseen": {func(w *world) { w.must(t, "member", oplog.FamilyPolicy, 99, struct{}{}) }, [4]bool{}},
	} {
		w := base.clone(t)
		c.write(w)
		after := w.NextCheckpoint()
		got := [4]bool{after.Members != before.Members, after.Epochs != before.Epochs, after.Refs != before.Refs, after.Content != before.Content}
		if got != c.moves {
			t.Errorf("%s moves members, epochs, refs, content: %v, want %v", what, got, c.moves)
		}
	}
}

// TestJudgedAnew: what was folded to judge one op is used for the next only where it says
// the same: not across a checkpoint that keeps something, nor after an op that was refused.
func TestJudgedAnew(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Board)
	f, phone := w.who(t, "founder"), newDevice("phone").key
	party := f.party()
	party.Devices = sorted(append(party.Devices, phone.ID()))
	w.must(t, "founder", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
	w.admit(t, "dora", entity.Member)
	w.people["phone"] = f.by(phone)
	behind := w.clone(t)
	w.must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"})
	w.checkpoint(t, "founder")
	party.Devices = []keys.ID{phone.ID()}
	cuts := []entity.Cut{{Device: f.key.ID(), Strand: oplog.Content}}
	checkAdded(t, w.Entity, behind.must(t, "phone", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party, Cuts: cuts}))
	c := w.checkpoint(t, "founder") // keeps that this device is gone
	late := sign(t, f, w.draft(f, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "late"}))
	fresh := clone(t, w.Entity) // whose state is not known, so that c is judged by a fold of its own
	if _, ok := fresh.Log().Get(c.ID()); !ok {
		t.Fatal("the clone lacks the checkpoint")
	}
	if _, err := fresh.Add(late); !errors.Is(err, entity.ErrNotAuthorized) {
		t.Errorf("an op by a device that the checkpoint before it took away: %v, want ErrNotAuthorized", err)
	}

	// A member's refused op, and one that he writes on the genesis, where he was none.
	dora := w.who(t, "dora")
	fresh = clone(t, w.Entity)
	d := w.draft(dora, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "hers"})
	for _, parents := range [][]keys.Digest{d.Parents, {w.ID()}} {
		d.Parents = parents
		if _, err := fresh.Add(sign(t, dora, d)); !errors.Is(err, entity.ErrNotAuthorized) {
			t.Errorf("an op that nobody but an owner may write: %v, want ErrNotAuthorized", err)
		}
		d.Type, d.Family, d.Body = entity.TypeLeave, oplog.FamilyMember, keys.Marshal(entity.Leave{})
	}
}
