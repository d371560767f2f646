package entity_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// owners makes a board with further owners, in this order of seniority, and a member.
func owners(t *testing.T, names ...string) *world {
	t.Helper()
	w := found(t, entity.Board)
	for _, name := range names {
		w.Admit(t, name, entity.Member)
		party := w.Who(t, name).Party()
		w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party})
	}
	w.Admit(t, "dora", entity.Member)
	return w
}

// standing is how somebody stands, for messages too.
func (w *world) standing(t *testing.T, name string) entity.Standing {
	t.Helper()
	m, ok := w.State().Member(w.Who(t, name).User())
	if !ok {
		return 0
	}
	return m.Standing
}

// behindRemoval is a board in which anna, the senior of two owners, or ben removes the other, and
// what that one signs as if he had not heard: a removal in turn, and an admission.
func behindRemoval(t *testing.T, remover, removed string, closed bool) (w *world, back, sybil oplog.Op) {
	t.Helper()
	w = owners(t, "anna", "ben")
	behind := w.clone(t)
	w.remove(t, remover, removed)
	if closed {
		w.Close(t, "founder")
	}
	back = behind.remove(t, removed, remover)
	sybil = behind.Must(t, removed, oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: w.Who(t, "sybil").Party(), Role: entity.Member, Ref: &w.Ref})
	checkAdded(t, w.Entity, back)
	checkAdded(t, w.Entity, sybil)
	return w, back, sybil
}

// TestAttackO12: a removed junior signs as if he had not heard: he removes the senior who
// removed him, and lets somebody in. Neither has an effect, with a checkpoint or without.
func TestAttackO12(t *testing.T) {
	t.Parallel()
	for _, closed := range []bool{false, true} {
		w, back, sybil := behindRemoval(t, "anna", "ben", closed)
		if w.Counts(back) || w.Counts(sybil) {
			t.Errorf("closed %v: his removal counts %v, his admission %v", closed, w.Counts(back), w.Counts(sybil))
		}
		if w.standing(t, "anna") != entity.Active || w.standing(t, "ben") != entity.Removed || w.standing(t, "sybil") != 0 {
			t.Errorf("closed %v: anna %v, ben %v, sybil %v", closed, w.standing(t, "anna"), w.standing(t, "ben"), w.standing(t, "sybil"))
		}
		checkAgrees(t, w.Entity)
	}
}

// TestAttackO13: a removed owner, senior to who removed him, keeps his key and acts as if
// he had not heard. Before a final checkpoint he takes his remover down; beside one he does
// nothing, at once and at the next.
func TestAttackO13(t *testing.T) {
	t.Parallel()
	for _, closed := range []bool{false, true} {
		w, back, _ := behindRemoval(t, "ben", "anna", closed)
		for range 2 {
			if got := w.Counts(back); got == closed {
				t.Errorf("closed %v: the removed owner's removal counts: %v", closed, got)
			}
			if closed && (w.standing(t, "anna") != entity.Removed || w.standing(t, "ben") != entity.Active || w.standing(t, "sybil") != 0) {
				t.Errorf("beside a checkpoint: anna %v, ben %v, sybil %v", w.standing(t, "anna"), w.standing(t, "ben"), w.standing(t, "sybil"))
			}
			if closed && len(w.Pending()) > 0 {
				t.Errorf("the next checkpoint keeps %v", w.Pending())
			}
			if closed {
				w.Close(t, "founder")
			}
		}
		checkAgrees(t, w.Entity)
	}
}

// TestAttackO14: owners remove each other in a circle, of 2, 3 and 5, beside each other:
// the most senior stays; what a checkpoint has closed of it does not turn around with the
// removals that come later.
func TestAttackO14(t *testing.T) {
	t.Parallel()
	all := []string{"anna", "ben", "carl", "dan", "emil"}
	for _, n := range []int{2, 3, 5} {
		for _, first := range append(all[:n:n], "") {
			ring := all[:n]
			w := owners(t, ring...)
			var removals []oplog.Op
			for i, name := range ring {
				one := w.clone(t)
				removals = append(removals, one.remove(t, name, ring[(i+1)%n]))
			}
			// Closed with the one removal of first alone, or not.
			i := slices.Index(ring, first)
			if i >= 0 {
				checkAdded(t, w.Entity, removals[i])
				w.Close(t, "founder")
			}
			for j, o := range removals {
				if j != i {
					checkAdded(t, w.Entity, o)
				}
			}
			if i >= 0 {
				w.Close(t, "founder")
				victim := ring[(i+1)%n]
				if w.standing(t, victim) != entity.Removed || w.Counts(removals[(i+1)%n]) || n == 2 && w.standing(t, first) != entity.Active {
					t.Errorf("of %d, closed with %s: %s is %v, his removal counts %v", n, first, victim, w.standing(t, victim), w.Counts(removals[(i+1)%n]))
				}
			} else if w.standing(t, "anna") != entity.Active {
				t.Errorf("of %d: the most senior is %v", n, w.standing(t, "anna"))
			}
			if err := newNaive(w.Entity).check(w.Entity); err != nil {
				t.Errorf("of %d, closed with %q: %v", n, first, err)
			}
		}
	}
}

// TestAttackO15: somebody is removed by one owner, and beside that removed and let in again
// by another, or made an owner: he is out, until he is let in by who has heard of it.
func TestAttackO15(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		w := owners(t, "anna", "ben")
		w.Admit(t, "carl", entity.Member)
		there := w.clone(t)
		w.remove(t, "anna", "carl")
		party := w.Who(t, "carl").Party()
		var beside []oplog.Op
		if again {
			beside = append(beside, there.remove(t, "ben", "carl"),
				there.Must(t, "ben", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: party, Role: entity.Member, Ref: &w.Ref}))
		} else {
			beside = append(beside, there.Must(t, "ben", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party}))
		}
		for _, o := range beside {
			checkAdded(t, w.Entity, o)
		}
		if add := beside[len(beside)-1]; w.standing(t, "carl") != entity.Removed || w.Counts(add) {
			t.Errorf("let in again %v: carl is %v, the op counts %v", again, w.standing(t, "carl"), w.Counts(add))
		}
		checkAgrees(t, w.Entity)
		if w.Admit(t, "carl", entity.Member); w.standing(t, "carl") != entity.Active {
			t.Errorf("let in again %v, and by who has heard of all: carl is %v", again, w.standing(t, "carl"))
		}
		checkAgrees(t, w.Entity)
	}
}

// TestAttackO21: two checkpoints of one number. All nodes choose the same, and say that
// there is another; what another owner checked goes first.
func TestAttackO21(t *testing.T) {
	t.Parallel()
	for _, acked := range []bool{false, true} {
		w := owners(t, "anna")
		phone := newDevice("phone").Key
		party := w.Who(t, "founder").Party()
		party.Devices = sorted(append(party.Devices, phone.ID()))
		w.Must(t, "founder", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
		w.People["phone"] = w.Who(t, "founder").By(phone)
		stolen := w.clone(t)
		w.remove(t, "anna", "dora")
		c := w.Close(t, "founder")
		if acked {
			if id, ok := w.WantsAck(w.Who(t, "anna").User()); !ok || id != c.ID() {
				t.Fatalf("anna should ack %v, %v, want %v", id, ok, c.ID())
			}
			if _, err := w.Ack(w.Who(t, "anna").Author(), c.ID()); err != nil {
				t.Fatalf("Ack: %v", err)
			}
		}
		var rivals []oplog.Op
		for i := range 8 { // of which about half have a lower id
			thief := stolen.clone(t)
			thief.Must(t, "phone", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: fmt.Sprint(i)})
			rivals = append(rivals, thief.Close(t, "phone"))
			for _, o := range all(thief.Entity) {
				if _, err := w.Add(o); err != nil {
					t.Fatalf("Add: %v", err)
				}
			}
		}
		want := c.ID()
		for _, r := range rivals {
			if !acked && compare(r.ID(), want) < 0 {
				want = r.ID()
			}
		}
		got := w.State().Final
		if got.ID != want || len(got.Rivals) != len(rivals) || slices.Contains(got.Rivals, want) {
			t.Errorf("acked %v: final is %v with rivals %v, want %v", acked, got.ID, got.Rivals, want)
		}
		checkAgrees(t, w.Entity)
	}
}

// TestAttackO22: a checkpoint without the founder and without more than two thirds of the
// owners closes nothing, whoever acks it; one that says another state, another place or
// other ops to keep than its own past is refused.
func TestAttackO22(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "ben", "carl", "dan", "emil") // six owners: five are more than two thirds
	c := w.Close(t, "anna")
	late := w.clone(t)
	sybils := []string{"s1", "s2", "s3", "s4"}
	for _, s := range sybils {
		w.Must(t, "anna", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: w.Who(t, s).Party(), Role: entity.Member, Ref: &w.Ref})
		party := w.Who(t, s).Party()
		w.Must(t, "anna", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party})
	}
	for i, name := range append(sybils, "ben", "carl", "dan", "emil") {
		if !w.State().Final.ID.IsZero() {
			t.Errorf("final with %d acks", i)
		}
		if _, err := w.Ack(w.Who(t, name).Author(), c.ID()); err != nil {
			t.Fatalf("Ack of %s: %v", name, err)
		}
	}
	if got := w.State().Final; got.ID != c.ID() || got.Number != 1 {
		t.Errorf("with five of six owners: final is %+v, want %v", got, c.ID())
	}
	for _, name := range []string{"dora", "s1", "stranger"} {
		if _, err := late.Ack(w.Who(t, name).Author(), c.ID()); err == nil {
			t.Errorf("an ack of %s, who was no owner, was taken", name)
		}
	}
	w = owners(t, "anna")
	w.Post(t, "dora", "one")
	first := w.Close(t, "founder")
	behind := w.clone(t)
	w.Close(t, "founder")
	kept := behind.Must(t, "anna", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "late"})
	checkAdded(t, w.Entity, kept)
	right := w.NextCheckpoint()
	f := w.Who(t, "founder")
	prev := right.Prev
	old := first.ID()
	for what, change := range map[string]func(*entity.Checkpoint){
		"number":        func(c *entity.Checkpoint) { c.Number++ },
		"number again":  func(c *entity.Checkpoint) { c.Number-- },
		"no prev":       func(c *entity.Checkpoint) { c.Prev = []byte{} },
		"older prev":    func(c *entity.Checkpoint) { c.Prev = old[:] },
		"half a prev":   func(c *entity.Checkpoint) { c.Prev = prev[:16] },
		"members":       func(c *entity.Checkpoint) { c.Members[0]++ },
		"epochs":        func(c *entity.Checkpoint) { c.Epochs[0]++ },
		"refs":          func(c *entity.Checkpoint) { c.Refs[0]++ },
		"keeps nothing": func(c *entity.Checkpoint) { c.Keeps = nil },
		"keeps more":    func(c *entity.Checkpoint) { c.Keeps = append(c.Keeps, old) },
	} {
		c := right
		c.Keeps = slices.Clone(right.Keeps)
		change(&c)
		checkRefused(t, w.Entity, sign(t, f, w.Draft(f, oplog.Control, oplog.FamilyCheckpoint, entity.TypeCheckpoint, c)), entity.ErrNotAuthorized)
		if t.Failed() {
			t.Fatalf("with %s", what)
		}
	}
	checkAdded(t, w.Entity, sign(t, f, w.Draft(f, oplog.Control, oplog.FamilyCheckpoint, entity.TypeCheckpoint, right)))
	for _, kind := range []entity.Kind{entity.Friend, entity.Profile} {
		w := settle(t, kind)
		f := w.Who(t, "founder")
		checkRefused(t, w.Entity, sign(t, f, w.Draft(f, oplog.Control, oplog.FamilyCheckpoint, entity.TypeCheckpoint, w.NextCheckpoint())), entity.ErrNotAuthorized)
	}
}

// TestAttackSignedTwiceBelow: an owner signs a second op at a place that a checkpoint has
// closed, and writes on upon it: that branch is void, and the closed one stays, with what
// he wrote upon that.
func TestAttackSignedTwiceBelow(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	behind := w.clone(t)
	admit := w.Must(t, "anna", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: w.Who(t, "erin").Party(), Role: entity.Member, Ref: &w.Ref})
	c := w.Close(t, "founder")
	after := w.Must(t, "anna", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "hers"})
	twice := behind.Must(t, "anna", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "twice"})
	anna := w.Who(t, "anna")
	checkAdded(t, w.Entity, twice)
	parents := []keys.Digest{c.ID(), twice.ID()}
	slices.SortFunc(parents, compare)
	upon := sign(t, anna, oplog.Draft{
		Entity: w.ID(), User: anna.User(), Strand: oplog.Control, Family: oplog.FamilyPolicy, Type: entity.TypeTitle, Parents: parents,
		Seq: twice.Seq() + 1, Prev: twice.ID(), At: now, Body: keys.Marshal(entity.Text{Text: "upon"}),
	})
	checkAdded(t, w.Entity, upon)
	for _, o := range []oplog.Op{admit, after} {
		if !w.Counts(o) {
			t.Errorf("%d/%d of the chain that was closed does not count", o.Family(), o.Type())
		}
	}
	if w.Counts(twice) || w.Counts(upon) || w.State().Title != "hers" {
		t.Errorf("of the second branch: counts %v and %v, the title is %q", w.Counts(twice), w.Counts(upon), w.State().Title)
	}
	if err := newNaive(w.Entity).check(w.Entity); err != nil {
		t.Error(err)
	}
	checkAgrees(t, w.Entity)
}

// TestAttackO23: a removed owner sends 5,000 control ops beside his removal, each of which
// clashes with it, half of them removals themselves. Taking them and knowing the state costs
// no more than checking their signatures did; with a checkpoint on the removal, and without.
func TestAttackO23(t *testing.T) {
	if raceEnabled {
		t.Skip("times mean nothing under the race detector")
	}
	w := owners(t, "anna")
	anna, dora := w.Who(t, "anna"), w.Who(t, "dora")
	heads, last := w.Log().Heads(oplog.Control), oplog.Op{}
	next := nextEpoch(w)
	next.Depth, next.Replaces = 2, epochs(w)
	var flood []oplog.Op
	for i := range 5_000 {
		d := oplog.Draft{Entity: w.ID(), User: anna.User(), Strand: oplog.Control, Family: oplog.FamilyMember, Parents: heads, At: now}
		if i%2 == 0 {
			d.Type, d.Body = entity.TypeRemove, keys.Marshal(entity.Remove{User: dora.User(), Epoch: next})
		} else {
			d.Type, d.Body = entity.TypeAdmit, keys.Marshal(entity.Admit{Party: dora.Party(), Role: entity.Member, Ref: &w.Ref})
		}
		if i > 0 {
			d.Seq, d.Prev = last.Seq()+1, last.ID()
		}
		last = sign(t, anna, d)
		flood, heads = append(flood, last), []keys.Digest{last.ID()}
	}
	w.remove(t, "founder", "anna")
	for _, closed := range []bool{false, true} {
		var ratio float64
		for range 3 {
			e := w.clone(t)
			if closed {
				e.Close(t, "founder")
			}
			start := time.Now()
			for i, o := range flood {
				if _, err := e.Add(o); err != nil {
					t.Fatalf("Add: %v", err)
				}
				if i%1000 == 999 { // a node knows the state after each frame
					e.State()
				}
			}
			if len(e.State().Void) != len(flood) || e.standing(t, "anna") != entity.Removed || len(e.Pending()) > 0 {
				t.Fatalf("closed %v: %d of %d void, anna %v", closed, len(e.State().Void), len(flood), e.standing(t, "anna"))
			}
			if got := float64(time.Since(start)) / float64(signatures(t, flood)); ratio == 0 || got < ratio {
				ratio = got
			}
		}
		t.Logf("closed %v: %.2f of checking the signatures", closed, ratio)
		if ratio > 1 {
			t.Errorf("closed %v: %.2f of checking the signatures, want at most 1", closed, ratio)
		}
	}
}

// TestAttackManyAdmits: an owner who is being removed lets in a thousand beside it. To find out
// which epochs they were given costs a look at each epoch, not at each of them for each.
func TestAttackManyAdmits(t *testing.T) {
	w := owners(t, "anna")
	side := w.clone(t)
	var flood []oplog.Op
	for i := range 1000 {
		party := w.Who(t, "dora").Party()
		party.User, party.Devices = keys.Digest{1, byte(i), byte(i >> 8)}, devices(1)
		party.Devices[0][31] = byte(i)
		party.Devices[0][30] = byte(i>>8) + 1
		flood = append(flood, side.Must(t, "anna", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: party, Role: entity.Member, Ref: &w.Ref, Epochs: []keys.Digest{}}))
	}
	w.remove(t, "founder", "anna")
	for _, o := range flood {
		checkAdded(t, w.Entity, o)
	}
	w.Rekey(t)
	w.Rekey(t)
	checkFold(t, w, flood)
	if w.State().NeedsEpoch() {
		t.Error("an epoch that has seen all of them is not clean")
	}
}

// TestAttackManyDrops: two devices of a member who is no owner drop each other a thousand times.
// It is his own affair, and everybody's node has to find out what it comes to.
func TestAttackManyDrops(t *testing.T) {
	w := owners(t, "anna")
	dora, phone := w.Who(t, "dora"), newDevice("phone")
	party, both := dora.Party(), dora.Party()
	both.Devices = sorted([]keys.ID{dora.Key.ID(), phone.Key.ID()})
	list := func(w *world, p person, d entity.Devices) oplog.Op {
		o := sign(t, p, w.Draft(p, oplog.Control, oplog.FamilyMember, entity.TypeDevices, d))
		checkAdded(t, w.Entity, o)
		return o
	}
	list(w, dora, entity.Devices{Party: both, Cuts: []entity.Cut{}})
	side := w.clone(t)
	var flood []oplog.Op
	for range 1000 {
		flood = append(flood, list(side, dora.By(phone.Key), entity.Devices{Party: both, Cuts: []entity.Cut{}}))
	}
	for range 500 {
		list(w, dora, entity.Devices{Party: party, Cuts: []entity.Cut{{Device: phone.Key.ID(), Strand: oplog.Content}}})
		list(w, dora, entity.Devices{Party: both, Cuts: []entity.Cut{}})
	}
	for _, o := range flood {
		checkAdded(t, w.Entity, o)
	}
	checkFold(t, w, flood)
	if len(w.State().Void) != len(flood) {
		t.Errorf("%d are void, want %d", len(w.State().Void), len(flood))
	}
}

// checkFold: to fold a log anew does not cost many times what its signatures did.
func checkFold(t *testing.T, w *world, flood []oplog.Op) {
	t.Helper()
	e, err := entity.Open(w.Log())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	start := time.Now()
	e.State()
	ratio := float64(time.Since(start)) / float64(signatures(t, flood))
	t.Logf("%.2f of checking the signatures", ratio)
	if ratio > 10 && !raceEnabled {
		t.Errorf("%.2f of checking the signatures, want at most 10", ratio)
	}
}
