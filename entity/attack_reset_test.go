package entity_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestAttackO27: an old device acts after a RESET. What builds on the RESET is refused; what
// does not is kept, and no device op of it has an effect.
func TestAttackO27(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second")
	f := w.Who(t, "founder")
	if got, want := w.State().Recovery, recovery(f).Key.ID(); got != want {
		t.Fatalf("the words' key is %v, want %v", got, want)
	}
	written := []oplog.Op{w.noted(t, "founder"), w.noted(t, "second"), w.noted(t, "second")}
	old := w.clone(t)
	reset := w.resetOf(w.chain(), 1, "third")

	// By nobody but the key of the words, in the user's own name.
	stranger := w.Who(t, "stranger")
	for _, p := range []person{
		recovery(stranger), f.By(recovery(stranger).Key), stranger.By(recovery(f).Key),
		f, w.Who(t, "second"), w.on(t, "third"), w.on(t, "unlisted"), stranger,
	} {
		checkRefused(t, w.Entity, w.draw(t, p, reset), entity.ErrNotAuthorized)
	}
	for _, kind := range []entity.Kind{entity.Board, entity.Friend, entity.Profile} { // of the same founder
		x := settle(t, kind)
		checkRefused(t, x.Entity, x.draw(t, recovery(x.Who(t, "founder")), reset), entity.ErrNotAuthorized)
	}
	o := w.put(t, recovery(f), reset)
	if s := w.State(); !w.devicesAre("third") || !s.SoleVoter(ours("third").Key.ID()) || s.DeviceHead != o.ID() || s.UserBox != reset.Epoch.UserBox {
		t.Fatalf("after the RESET: devices %+v, voters %v", s.Devices, s.Voters())
	}

	// What builds on it.
	head := w.chain()
	for _, name := range []string{"founder", "second"} {
		p := w.on(t, name)
		for _, body := range []any{
			addOf(head, "newcomer"), classOf(head, "third", chain.Server), w.removeOf(head, "third", 0), votersOf(head, "third"),
			newWordsOf(head, "founder", "other"), w.resetOf(head, 0, name),
		} {
			checkRefused(t, w.Entity, w.draw(t, p, body), entity.ErrNotAuthorized)
		}
		for _, d := range []oplog.Draft{
			w.Draft(p, oplog.Control, oplog.FamilyOpKey, entity.TypeEpoch, w.nextEpoch()),
			w.Draft(p, oplog.Control, oplog.FamilyPolicy, 99, []byte("later")),
		} {
			checkRefused(t, w.Entity, sign(t, p, d), entity.ErrNotAuthorized)
		}
		checkRefused(t, w.Entity, w.note(t, name), entity.ErrNotAuthorized)
	}
	// A device op after an older place, with the RESET in its past.
	before := w.ChainAt(old.State().DeviceHead)
	for _, body := range []any{addOf(before, "newcomer"), classOf(before, "second", chain.Server), w.removeOf(before, "second", 9)} {
		checkRefused(t, w.Entity, w.draw(t, f, body), entity.ErrNotAuthorized)
	}

	// What does not know of it: kept, in either order, and without an effect.
	beside := []oplog.Op{
		old.put(t, f, addOf(old.chain(), "thief")),
		old.put(t, f, classOf(old.chain(), "thief", chain.Server)),
		old.put(t, f, old.removeOf(old.chain(), "second", 0)),
		old.put(t, f, votersOf(old.chain(), "thief")),
		old.Must(t, "founder", oplog.FamilyPolicy, 99, []byte("later")),
	}
	late := old.noted(t, "founder")
	both(t, w, old)
	for name, x := range map[string]*world{"who had the RESET first": w, "who had it last": old} {
		s := x.State()
		if !x.devicesAre("third") || s.DeviceHead != o.ID() || !s.SoleVoter(ours("third").Key.ID()) {
			t.Errorf("%s: devices %+v, voters %v", name, s.Devices, s.Voters())
		}
		for i, b := range beside {
			if device := i < 4; s.Void[b.ID()] != device {
				t.Errorf("%s: %d/%d beside the RESET is void: %v, want %v", name, b.Family(), b.Type(), s.Void[b.ID()], device)
			}
		}
		for i, c := range []bool{true, true, false} { // one of each device, by the cuts
			if got := x.Counts(written[i]); got != c {
				t.Errorf("%s: entry %d from before counts: %v, want %v", name, i, got, c)
			}
		}
		if x.Counts(late) {
			t.Errorf("%s: an entry of an old device beside the RESET counts", name)
		}
		checkRefused(t, x.Entity, x.note(t, "founder"), entity.ErrNotAuthorized)
		checkRefused(t, x.Entity, x.note(t, "thief"), entity.ErrNotAuthorized)
	}
	if !bytes.Equal(snapshot(w.Entity), snapshot(old.Entity)) {
		t.Error("two orders of arrival, two states")
	}
	if c := w.noted(t, "third"); !w.Counts(c) {
		t.Error("what the survivor writes does not count")
	}
	w.put(t, w.on(t, "third"), addOf(w.chain(), "fourth"))
	checkMe(t, w.Entity)
	checkAgrees(t, w.Entity)
}

// TestAttackO27Thief: a device that only the thief's branch ever listed writes under the
// heads of that branch, which a RESET has replaced. Nothing of it counts, from before either.
func TestAttackO27Thief(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second")
	f := w.Who(t, "founder")
	thief := w.clone(t)
	w.put(t, recovery(f), w.resetOf(w.chain(), 3, "third"))
	thief.put(t, f, addOf(thief.chain(), "thief"))
	early := thief.noted(t, "thief")
	if !thief.Counts(early) {
		t.Fatal("what a device writes does not count where nobody has the RESET")
	}
	both(t, w, thief)
	late := thief.note(t, "thief")
	checkRefused(t, w.Entity, late, entity.ErrNotAuthorized)
	d := thief.Draft(w.on(t, "thief"), oplog.Content, oplog.FamilyMe, 1, []byte("sealed"))
	d.Auth = early.Auth()
	under := sign(t, w.on(t, "thief"), d)
	checkAdded(t, w.Entity, under) // as everybody who has not heard of the RESET takes it
	if w.Counts(early) || w.Counts(under) {
		t.Errorf("entries of a device of the replaced branch count: %v, %v", w.Counts(early), w.Counts(under))
	}
	// It was never removed on this one, and may come by its own right: then it is heard again.
	w.put(t, w.on(t, "third"), addOf(w.chain(), "thief"))
	if !w.Counts(early) || !w.Counts(w.noted(t, "thief")) {
		t.Error("entries of a device that was added do not count")
	}
	checkMe(t, w.Entity)
	checkAgrees(t, w.Entity)
}

// TestAttackO28: two RESETs of one number, each with other survivors, by the key of the
// words. In either order both are kept, who is in both goes on, and nobody decides until a
// RESET of the next number.
func TestAttackO28(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second")
	f := w.Who(t, "founder")
	one, two := w.draw(t, recovery(f), w.resetOf(w.chain(), 0, "third", "fourth")), w.draw(t, recovery(f), w.resetOf(w.chain(), 0, "third", "fifth"))
	left := w.clone(t)
	checkAdded(t, left.Entity, one)
	under := left.noted(t, "fourth") // where there is one RESET
	forked := arrivals(t, w, []oplog.Op{one, two})
	s := forked.State()
	v := forked.Person()
	if !v.Forked() || !v.ByReset || len(v.Fork) != 2 || !forked.devicesAre("third") || s.Voters() != nil || s.DeviceHead != w.State().DeviceHead || !s.UserBox.IsZero() {
		t.Fatalf("after both: devices %+v, voters %v, head %v", s.Devices, s.Voters(), s.DeviceHead)
	}
	if !forked.Counts(one) || !forked.Counts(two) {
		t.Error("a branch of a fork is void")
	}
	checkAdded(t, forked.Entity, under)
	if !forked.Counts(under) {
		t.Error("an entry under one of the branches does not count")
	}
	forked.noted(t, "third")
	for _, name := range []string{"fourth", "fifth", "founder", "second"} {
		checkRefused(t, forked.Entity, forked.note(t, name), entity.ErrNotAuthorized)
	}
	branches := []*chain.Chain{forked.ChainAt(one.ID()), forked.ChainAt(two.ID()), v.Chain}
	for _, c := range branches {
		for _, name := range []string{"third", "fourth", "fifth", "founder"} {
			checkRefused(t, forked.Entity, forked.draw(t, forked.on(t, name), addOf(c, "newcomer")), entity.ErrNotAuthorized)
		}
		checkRefused(t, forked.Entity, forked.draw(t, recovery(f), newWordsOf(c, "founder", "other")), entity.ErrNotAuthorized)
	}

	// A RESET of the same number is one more branch; one of the next, after either, ends it.
	again := forked.clone(t)
	again.put(t, recovery(f), again.resetOf(v.Chain, 0, "sixth"))
	if got := again.Person(); !got.Forked() || len(got.Fork) != 3 || !again.devicesAre() {
		t.Errorf("after a third RESET of one number: %d branches, devices %+v", len(got.Fork), again.State().Devices)
	}
	for i, c := range branches[:2] {
		x := forked.clone(t)
		end := x.put(t, recovery(f), x.resetOf(c, 0, "third"))
		if s := x.State(); x.Person().Forked() || !x.devicesAre("third") || s.DeviceHead != end.ID() || !s.SoleVoter(ours("third").Key.ID()) ||
			x.Counts(one) != (i == 0) || x.Counts(two) != (i == 1) {
			t.Errorf("after a RESET of the next number: devices %+v, voters %v, the two count %v %v", s.Devices, s.Voters(), x.Counts(one), x.Counts(two))
		}
		x.put(t, x.on(t, "third"), addOf(x.chain(), "newcomer"))
		checkMe(t, x.Entity)
		checkAgrees(t, x.Entity)
	}
}

// arrivals adds ops, which build on what w has and stand beside each other, to copies of w in
// every order, each of them twice. All must come to one state; it returns the last.
func arrivals(t *testing.T, w *world, ops []oplog.Op) *world {
	t.Helper()
	var last *world
	var order []oplog.Op
	var walk func(left []oplog.Op)
	walk = func(left []oplog.Op) {
		for i, o := range left {
			order = append(order, o)
			walk(slices.Delete(slices.Clone(left), i, i+1))
			order = order[:len(order)-1]
		}
		if len(left) > 0 {
			return
		}
		x := w.clone(t)
		for i, o := range order {
			checkAdded(t, x.Entity, o)
			before := snapshot(x.Entity)
			for _, again := range order[:i+1] {
				if added, err := x.Add(again); added || err != nil {
					t.Fatalf("Add %d/%d a second time = %v, %v, want false, nil", again.Family(), again.Type(), added, err)
				}
			}
			if !bytes.Equal(snapshot(x.Entity), before) {
				t.Fatalf("%d/%d a second time changed the state", o.Family(), o.Type())
			}
		}
		if last != nil && !bytes.Equal(snapshot(x.Entity), snapshot(last.Entity)) {
			t.Fatalf("two orders of arrival of %d ops, two states", len(ops))
		}
		last = x
	}
	walk(ops)
	if last.State().Kind == entity.Me {
		checkMe(t, last.Entity)
	} else if err := newNaive(last.Entity).check(last.Entity); err != nil {
		t.Error(err)
	}
	checkAgrees(t, last.Entity)
	return last
}

// TestAttackO29: the cut of a removed member is moved twice. The study's AMEND moved it once;
// this version has no op for it: what comes after the removal moves nothing. Owners who
// removed him beside each other cut at several places: the greatest counts, whoever said it,
// however often and in whatever order it comes. What a checkpoint closed is not moved either.
func TestAttackO29(t *testing.T) {
	t.Parallel()
	for range 8 { // the order of ops beside each other depends on their ids
		w := owners(t, "anna", "ben")
		dora := w.Who(t, "dora")
		var posts []oplog.Op
		for i := range 6 {
			posts = append(posts, w.Post(t, "dora", fmt.Sprint(i)))
		}
		cuts := func(n int) []entity.Cut {
			last := posts[n-1]
			return []entity.Cut{{Device: last.Device(), Strand: oplog.Content, Seq: last.Seq(), ID: last.ID()}}
		}
		removal := func(by string, n int) oplog.Op {
			p := w.Who(t, by)
			return sign(t, p, w.Draft(p, oplog.Control, oplog.FamilyMember, entity.TypeRemove, entity.Remove{User: dora.User(), Cuts: cuts(n), Epoch: nextEpoch(w)}))
		}
		kept := func(x *world, want int) {
			t.Helper()
			for i, o := range posts {
				if x.Counts(o) != (i < want) {
					t.Errorf("of %d articles before the cut, the one at %d counts: %v", want, i, x.Counts(o))
				}
			}
			if got := x.State().Cuts[entity.Writer{User: dora.User(), Device: dora.Key.ID()}]; got != uint64(want) || x.standing(t, "dora") != entity.Removed {
				t.Errorf("the cut is after %d, want %d; she is %v", got, want, x.standing(t, "dora"))
			}
		}
		two, four, three := removal("founder", 2), removal("anna", 4), removal("ben", 3)
		five := removal("founder", 5) // at the place of the first; removals of a device that forked stand
		kept(arrivals(t, w, []oplog.Op{two, four, three}), 4)
		kept(arrivals(t, w, []oplog.Op{two, four, five}), 5)

		alone, moved := w.clone(t), dora.Party()
		moved.Devices = []keys.ID{newDevice("phone").Key.ID()}
		checkAdded(t, alone.Entity, two)
		for _, by := range []string{"founder", "anna", "ben", "dora"} { // after it
			p := w.Who(t, by)
			for _, c := range []struct {
				typ  uint16
				body any
			}{
				{entity.TypeRemove, entity.Remove{User: dora.User(), Cuts: cuts(6), Epoch: nextEpoch(alone)}},
				{entity.TypeDevices, entity.Devices{Party: moved, Cuts: cuts(6)}},
			} {
				checkRefused(t, alone.Entity, sign(t, p, alone.Draft(p, oplog.Control, oplog.FamilyMember, c.typ, c.body)), entity.ErrNotAuthorized)
			}
		}
		leave := alone.Draft(dora, oplog.Control, oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: cuts(6)})
		checkRefused(t, alone.Entity, sign(t, dora, leave), entity.ErrNotAuthorized)
		alone.Close(t, "founder")
		for range 2 { // beside a checkpoint, and after the next one
			for _, o := range []oplog.Op{four, three, five} {
				if _, err := alone.Add(o); err != nil || alone.Counts(o) {
					t.Errorf("a removal beside a checkpoint that closed another: %v, counts %v", err, alone.Counts(o))
				}
			}
			kept(alone, 2)
			alone.Close(t, "founder")
		}
		checkAgrees(t, alone.Entity)
	}
}

// TestAttackO29Member: a member's role, or his devices, are changed by several beside each
// other: the last in the log's order counts, alone, in whatever order they come; of a device
// that goes by each of them the greatest cut counts.
func TestAttackO29Member(t *testing.T) {
	t.Parallel()
	for range 8 {
		w := owners(t, "anna", "ben")
		dora, phone := w.Who(t, "dora"), newDevice("phone").Key
		write := func(by string, typ uint16, body any) oplog.Op {
			p := w.Who(t, by)
			return sign(t, p, w.Draft(p, oplog.Control, oplog.FamilyMember, typ, body))
		}
		last := func(x *world, ops []oplog.Op) (o oplog.Op) {
			for p := range x.Log().All(oplog.Control) {
				if slices.ContainsFunc(ops, p.Is) {
					o = p
				}
			}
			return o
		}
		roles := []oplog.Op{
			write("founder", entity.TypeRole, entity.SetRole{User: dora.User(), Role: entity.Reader}),
			write("anna", entity.TypeRole, entity.SetRole{User: dora.User(), Role: entity.Member}),
			write("ben", entity.TypeRole, entity.SetRole{User: dora.User(), Role: entity.Reader}),
		}
		x := arrivals(t, w, roles)
		want := entity.Reader
		if last(x, roles).Is(roles[1]) {
			want = entity.Member
		}
		if m, _ := x.State().Member(dora.User()); m.Role != want || m.Standing != entity.Active || len(x.State().Members) != len(w.State().Members) {
			t.Errorf("after three changes of her role: %+v of %d members, want role %v", m, len(x.State().Members), want)
		}

		both := dora.Party()
		both.Devices = sorted([]keys.ID{dora.Key.ID(), phone.ID()})
		list := []oplog.Op{
			write("dora", entity.TypeDevices, entity.Devices{Party: both, Cuts: []entity.Cut{}}),
			write("founder", entity.TypeDevices, entity.Devices{Party: dora.Party(), Cuts: []entity.Cut{}}),
			write("anna", entity.TypeDevices, entity.Devices{Party: both, Cuts: []entity.Cut{}}),
		}
		x = arrivals(t, w, list)
		party := both
		if last(x, list).Is(list[1]) {
			party = dora.Party()
		}
		if m, _ := x.State().Member(dora.User()); !m.Party.Same(party) {
			t.Errorf("after three changes of her devices: %v, want %v", m.Party.Devices, party.Devices)
		}

		checkAdded(t, w.Entity, list[0])
		w.People["phone"] = dora.By(phone)
		var posts []oplog.Op
		for i := range 4 {
			posts = append(posts, w.Post(t, "phone", fmt.Sprint(i)))
		}
		drop := func(n int) entity.Devices {
			last := posts[n-1]
			return entity.Devices{Party: dora.Party(), Cuts: []entity.Cut{{Device: phone.ID(), Strand: oplog.Content, Seq: last.Seq(), ID: last.ID()}}}
		}
		x = arrivals(t, w, []oplog.Op{
			write("dora", entity.TypeDevices, drop(1)), write("founder", entity.TypeDevices, drop(3)), write("anna", entity.TypeDevices, drop(2)),
		})
		checkRefused(t, x.Entity, sign(t, dora, x.Draft(dora, oplog.Control, oplog.FamilyMember, entity.TypeDevices, drop(4))), entity.ErrNotAuthorized) // it is gone
		for range 2 {
			m, _ := x.State().Member(dora.User())
			if got := x.State().Cuts[entity.Writer{User: dora.User(), Device: phone.ID()}]; got != 3 || !m.Party.Same(dora.Party()) || !x.Counts(posts[2]) || x.Counts(posts[3]) {
				t.Errorf("after her phone was dropped: devices %v, the cut is after %d, want 3", m.Party.Devices, got)
			}
			for _, b := range []entity.Devices{{Party: both, Cuts: []entity.Cut{}}, drop(1)} { // once more, with a lower one
				x.Must(t, "dora", oplog.FamilyMember, entity.TypeDevices, b)
			}
		}
	}
}
