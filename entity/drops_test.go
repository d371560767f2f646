package entity_test

import (
	"slices"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestAttackDropsBeside: two devices of a member who is no owner each sign a chain of 2,000 ops
// and drop each other in it. What stands beside what is not kept pair by pair, nor looked
// through for each op that comes.
func TestAttackDropsBeside(t *testing.T) {
	w := owners(t, "anna")
	dora, phone := w.Who(t, "dora"), newDevice("phone")
	both := dora.Party()
	both.Devices = sorted([]keys.ID{dora.Key.ID(), phone.Key.ID()})
	turn := func(w *world, p person, drops keys.ID) []oplog.Op { // a device goes, and comes back
		left := both
		left.Devices = slices.DeleteFunc(slices.Clone(both.Devices), func(d keys.ID) bool { return d == drops })
		var ops []oplog.Op
		for _, d := range []entity.Devices{{Party: left, Cuts: []entity.Cut{{Device: drops, Strand: oplog.Content}}}, {Party: both, Cuts: []entity.Cut{}}} {
			o := sign(t, p, w.Draft(p, oplog.Control, oplog.FamilyMember, entity.TypeDevices, d))
			checkAdded(t, w.Entity, o)
			ops = append(ops, o)
		}
		return ops
	}
	o := sign(t, dora, w.Draft(dora, oplog.Control, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: both, Cuts: []entity.Cut{}}))
	checkAdded(t, w.Entity, o)
	side := w.clone(t)
	var flood []oplog.Op
	for range 1000 {
		flood = append(flood, turn(side, dora.By(phone.Key), dora.Key.ID())...)
		turn(w, dora, phone.Key.ID())
	}
	start := time.Now()
	for _, o := range flood {
		checkAdded(t, w.Entity, o)
	}
	ratio := float64(time.Since(start)) / float64(signatures(t, flood))
	t.Logf("adding them costs %.2f of checking the signatures", ratio)
	if ratio > 10 && !raceEnabled {
		t.Errorf("adding them costs %.2f of checking the signatures, want at most 10", ratio)
	}
	if len(w.State().Void) != len(flood) {
		t.Errorf("%d are void, want %d", len(w.State().Void), len(flood))
	}
}

// TestDropsBeside: an owner drops his phone beside what it does. Where the phone signs two ops
// at one place they are no row, and each of them is void still: removals too, which stand
// where a device only signed twice. A device that drops itself does not void that.
func TestDropsBeside(t *testing.T) {
	w := owners(t, "anna")
	anna, phone := w.Who(t, "anna"), newDevice("phone")
	one, both := anna.Party(), anna.Party()
	both.Devices = sorted([]keys.ID{anna.Key.ID(), phone.Key.ID()})
	drop := entity.Devices{Party: one, Cuts: []entity.Cut{{Device: phone.Key.ID(), Strand: oplog.Content}}}
	write := func(w *world, p person, typ uint16, body any) oplog.Op {
		o := sign(t, p, w.Draft(p, oplog.Control, oplog.FamilyMember, typ, body))
		checkAdded(t, w.Entity, o)
		return o
	}
	write(w, anna, entity.TypeDevices, entity.Devices{Party: both, Cuts: []entity.Cut{}})
	var removals []oplog.Op
	w.Admit(t, "eve", entity.Member)
	base := w.clone(t)
	for _, name := range []string{"dora", "eve"} {
		next := nextEpoch(base)
		next.Depth, next.Replaces = 2, epochs(base)
		removals = append(removals, write(base.clone(t), anna.By(phone.Key), entity.TypeRemove, entity.Remove{User: w.Who(t, name).User(), Cuts: []entity.Cut{}, Epoch: next}))
	}
	self := write(base.clone(t), anna.By(phone.Key), entity.TypeDevices, drop)
	for _, order := range [][]oplog.Op{removals, {removals[1], removals[0]}} {
		w := base.clone(t)
		for _, o := range order {
			checkAdded(t, w.Entity, o)
		}
		if len(w.State().Void) != 0 {
			t.Fatalf("%d removals are void for being two at one place", len(w.State().Void))
		}
		side := base.clone(t)
		checkAdded(t, w.Entity, write(side, anna, entity.TypeDevices, drop))
		if s := w.State(); len(s.Void) != 2 || w.standing(t, "dora") != entity.Active || w.standing(t, "eve") != entity.Active {
			t.Errorf("%d ops of a device that was dropped beside them are void, want 2", len(s.Void))
		}
		if err := newNaive(w.Entity).check(w.Entity); err != nil {
			t.Error(err)
		}
		checkAgrees(t, w.Entity)
	}
	dora := w.Who(t, "dora")
	mine := write(base.clone(t), dora, entity.TypeDevices, entity.Devices{Party: dora.Party(), Cuts: []entity.Cut{}})
	base.remove(t, "founder", "dora")
	checkAdded(t, base.Entity, mine) // so that something is void
	checkAdded(t, base.Entity, self)
	if !base.Counts(self) || base.Counts(mine) {
		t.Errorf("a drop of its own device counts: %v; what a removed member did beside it: %v", base.Counts(self), base.Counts(mine))
	}
	if err := newNaive(base.Entity).check(base.Entity); err != nil {
		t.Error(err)
	}
}
