package entity_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

// as signs with one person's key in another's name.
func as(tb testing.TB, w *world, signer, author person, family oplog.Family, typ uint16, body any) oplog.Op {
	tb.Helper()
	d := w.Draft(author.By(signer.Key), oplog.Control, family, typ, body)
	return sign(tb, signer, d)
}

// TestAttackO1: a member writes in another's name: with his own key, or with bytes
// whose author he changed.
func TestAttackO1(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	member, founder, stranger := w.Who(t, "member"), w.Who(t, "founder"), w.Who(t, "stranger")
	text := entity.Text{Text: "mine"}
	w.Post(t, "member", "he may")
	w.Post(t, "founder", "so may he, under the same heads and in the same epoch")
	for _, signer := range []person{member, stranger, w.Who(t, "master"), w.Who(t, "gone")} {
		checkRefused(t, w.Entity, as(t, w, signer, founder, oplog.FamilyPolicy, entity.TypeTitle, text), entity.ErrNotAuthorized)
		d := w.Draft(founder.By(signer.Key), oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, []byte("sealed"))
		checkRefused(t, w.Entity, sign(t, signer, d), entity.ErrNotAuthorized)
	}
	raw := bytes.Clone(as(t, w, founder, founder, oplog.FamilyPolicy, entity.TypeTitle, text).Envelope())
	id := founder.Key.ID()
	at := bytes.Index(raw, id[:])
	other := member.Key.ID()
	copy(raw[at:], other[:])
	if _, err := oplog.Parse(raw); !errors.Is(err, oplog.ErrSignature) {
		t.Errorf("an op with another author: %v, want ErrSignature", err)
	}
}

// TestAttackH25: who is no owner any more lets nobody in, neither by an op that says so nor
// by one that is signed as if he had not heard.
func TestAttackH25(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m, guest := w.Who(t, "master"), newPerson(t, "guest")
	before := w.clone(t)
	admit := entity.Admit{Party: guest.Party(), Role: entity.Member, Ref: &w.Ref}
	w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: m.User()})
	checkRefused(t, w.Entity, as(t, w, m, m, oplog.FamilyMember, entity.TypeAdmit, admit), entity.ErrNotAuthorized)
	unheard := as(t, before, m, m, oplog.FamilyMember, entity.TypeAdmit, admit)
	checkAdded(t, before.Entity, unheard)
	checkAdded(t, w.Entity, unheard)
	if _, in := w.State().Member(guest.User()); in || w.Counts(unheard) || !before.Counts(unheard) {
		t.Errorf("beside his demotion: guest in %v, counts %v, and %v where it is not known", in, w.Counts(unheard), before.Counts(unheard))
	}
}

// TestAttackO2: a valid signature by somebody who is no member, in either strand,
// whatever it says.
func TestAttackO2(t *testing.T) {
	t.Parallel()
	for _, kind := range []entity.Kind{entity.Me, entity.Profile, entity.Friend, entity.Board} {
		w := settle(t, kind)
		stranger := w.Who(t, "stranger")
		for _, verb := range verbs {
			checkRefused(t, w.Entity, sign(t, stranger, verb(t, w, stranger)), entity.ErrNotAuthorized)
		}
	}
}

// TestAttackO3: nobody makes himself an owner.
func TestAttackO3(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	for _, name := range []string{"member", "reader", "gone", "stranger"} {
		p := w.Who(t, name)
		party := p.Party()
		add := entity.MasterAdd{Party: party}
		checkRefused(t, w.Entity, as(t, w, p, p, oplog.FamilyMaster, entity.TypeMasterAdd, add), entity.ErrNotAuthorized)
		checkRefused(t, w.Entity, as(t, w, p, w.Who(t, "founder"), oplog.FamilyMaster, entity.TypeMasterAdd, add), entity.ErrNotAuthorized)
		admit := entity.Admit{Party: party, Role: entity.Master, Ref: &w.Ref}
		checkRefused(t, w.Entity, as(t, w, p, p, oplog.FamilyMember, entity.TypeAdmit, admit), entity.ErrNotAuthorized)
		// Nor by putting his device into an owner's party.
		for _, owner := range []string{"founder", "master"} {
			theirs := w.Who(t, owner).Party()
			theirs.Devices = sorted(append(theirs.Devices, newPerson(t, "spare").Key.ID()))
			checkRefused(t, w.Entity, as(t, w, p, p, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: theirs}), entity.ErrNotAuthorized)
		}
	}
	// One owner does not speak for another, nor for the founder.
	m := w.Who(t, "master")
	theirs := w.Who(t, "founder").Party()
	theirs.Devices = sorted(append(theirs.Devices, newPerson(t, "spare").Key.ID()))
	checkRefused(t, w.Entity, as(t, w, m, m, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: theirs}), entity.ErrNotAuthorized)
}

// TestAttackO4: an admission gives no more than the kind allows, and never
// mastership.
func TestAttackO4(t *testing.T) {
	t.Parallel()
	for kind, roles := range map[entity.Kind][]entity.Role{
		entity.Profile: {0, entity.Member, entity.Master, 4, 255},
		entity.Friend:  {0, entity.Reader, entity.Master, 4, 255},
		entity.Board:   {0, entity.Master, 4, 255},
	} {
		w := found(t, kind)
		for _, role := range roles {
			admit := entity.Admit{Party: w.Who(t, "other").Party(), Role: role, Ref: &w.Ref}
			f := w.Who(t, "founder")
			checkRefused(t, w.Entity, as(t, w, f, f, oplog.FamilyMember, entity.TypeAdmit, admit), entity.ErrNotAuthorized)
		}
	}
}

// TestAttackO9 and O10: what an author says of the time moves nothing: not the
// order, not a right.
func TestAttackO9(t *testing.T) { testTime(t, now.AddDate(10, 0, 0)) }

func TestAttackO10(t *testing.T) { testTime(t, time.UnixMilli(1)) }

func testTime(t *testing.T, at time.Time) {
	t.Parallel()
	w := settle(t, entity.Board)
	before := w.Post(t, "member", "before")
	m := w.Who(t, "member")

	d := w.Draft(m, oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, []byte("sealed"))
	d.At = at
	o := sign(t, m, d)
	checkAdded(t, w.Entity, o)
	after := w.Post(t, "founder", "after")
	order := slices.Collect(w.Log().All(oplog.Content))
	if !slices.EqualFunc(order, []oplog.Op{before, o, after}, oplog.Op.Is) {
		t.Errorf("an op at %v moved in the order", at)
	}
	if got, _ := w.Log().Get(o.ID()); !got.At().Equal(at) {
		t.Errorf("At() = %v, want what the author said, %v", got.At(), at)
	}

	// A right that was lost does not come back with an earlier or later time.
	tip, _ := w.Log().Tip(m.Key.ID(), oplog.Content)
	cut := entity.Cut{Device: m.Key.ID(), Strand: oplog.Content, Seq: tip.Seq(), ID: tip.ID()}
	w.Must(t, "member", oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{cut}})
	d = w.Draft(m, oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, []byte("sealed"))
	d.At = at
	checkRefused(t, w.Entity, sign(t, m, d), entity.ErrNotAuthorized)
	c := w.Draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: m.Party()})
	c.At = at
	checkRefused(t, w.Entity, sign(t, m, c), entity.ErrNotAuthorized)
}

// TestAttackO11: content beyond its device's cut is kept, since honest ops may build
// on it, but counts nowhere and in no order of arrival.
func TestAttackO11(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.Who(t, "member")
	kept := w.Post(t, "member", "kept")
	heads := w.Log().Heads(oplog.Control) // from when he was a member
	late := w.clone(t)
	leave := w.Must(t, "member", oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{
		{Device: m.Key.ID(), Strand: oplog.Content, Seq: kept.Seq(), ID: kept.ID()},
	}})
	d := w.Draft(m, oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, []byte("sealed"))
	d.Auth = heads
	beyond := sign(t, m, d)
	checkAdded(t, w.Entity, beyond)
	if w.Counts(beyond) || !w.Counts(kept) || !w.Counts(leave) {
		t.Errorf("after the leave: counts beyond %v, kept %v, leave %v", w.Counts(beyond), w.Counts(kept), w.Counts(leave))
	}
	// Who saw the content first, and built on it, comes to the same.
	checkAdded(t, late.Entity, beyond)
	built := late.Post(t, "founder", "built on it")
	checkAdded(t, late.Entity, leave)
	checkAdded(t, w.Entity, built)
	if !bytes.Equal(snapshot(w.Entity), snapshot(late.Entity)) || !w.Counts(built) {
		t.Errorf("two orders of arrival, two states; or what was built on it does not count")
	}
}

// TestAttackO25: an op of one entity, of the same people, in another.
func TestAttackO25(t *testing.T) {
	t.Parallel()
	for _, kind := range []entity.Kind{entity.Profile, entity.Friend, entity.Board} {
		x := settle(t, kind)
		y := settleBy(t, kind, x.People)
		for _, o := range all(x.Entity)[1:] {
			checkRefused(t, y.Entity, o, oplog.ErrForeign)
		}
	}
}

// TestAttackO26: a device op of one user in the chain of another, signed by either.
func TestAttackO26(t *testing.T) {
	t.Parallel()
	alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
	w := &world{&entitytest.World{Entity: clone(t, bob.Me.Entity)}}
	for _, o := range all(alice.Me.Entity)[1:] {
		checkRefused(t, w.Entity, o, oplog.ErrForeign)
	}
	body := chain.DeviceClass{Device: bob.Key.ID(), Class: chain.Server, Chain: w.nextLink()}
	for _, author := range []person{alice, bob.By(alice.Key), alice.By(bob.Key), recovery(alice), alice.By(recovery(bob).Key)} {
		checkRefused(t, w.Entity, w.draw(t, author, body), entity.ErrNotAuthorized)
	}
	hers := chain.DeviceClass{Device: alice.Key.ID(), Class: chain.Server, Chain: alice.Me.Person().Chain.Next()}
	checkRefused(t, w.Entity, w.draw(t, bob, hers), entity.ErrNotAuthorized)
	w.put(t, bob, body)
}

// TestEscapeOwnLeave: parents that leave out one's own leave do not undo it: prev
// names it. Signing another op in its place is equivocation, which keeps the leave
// and voids the rest.
func TestEscapeOwnLeave(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.Who(t, "master")
	old := w.Log().Heads(oplog.Control)
	tip, hadTip := w.Log().Tip(m.Key.ID(), oplog.Control)
	leave := w.Must(t, "master", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})

	title := entity.Text{Text: "still here"}
	d := w.Draft(m, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, title)
	d.Parents = old
	checkRefused(t, w.Entity, sign(t, m, d), entity.ErrNotAuthorized)
	d.Parents = []keys.Digest{w.ID()}
	checkRefused(t, w.Entity, sign(t, m, d), entity.ErrNotAuthorized)
	d.Parents = []keys.Digest{leave.ID()}
	checkRefused(t, w.Entity, sign(t, m, d), entity.ErrNotAuthorized)

	d.Parents, d.Seq, d.Prev = old, leave.Seq(), keys.Digest{}
	if hadTip {
		d.Prev = tip.ID()
	}
	fork := sign(t, m, d)
	checkAdded(t, w.Entity, fork)
	if s := w.State(); s.Title != "A board" || w.Counts(fork) || !w.Counts(leave) || s.Members[m.User()].Standing != entity.Gone {
		t.Errorf("a fork beside a leave: title %q, counts %v, leave counts %v, %v", s.Title, w.Counts(fork), w.Counts(leave), s.Members[m.User()].Standing)
	}
	// What follows the fork is judged by the past it names and void with it.
	d.Parents, d.Seq, d.Prev = []keys.Digest{fork.ID()}, fork.Seq()+1, fork.ID()
	next := sign(t, m, d)
	if _, err := w.Add(next); err == nil && w.Counts(next) {
		t.Error("an op after a fork counts")
	}
}

// TestEquivocation: of two control ops at one place both are void, and what the
// device signs later, but for what only takes away; others are not touched.
func TestEquivocation(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	w.Admit(t, "newcomer", entity.Member)
	m := w.Who(t, "master")
	good := w.Must(t, "master", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "good"})
	d := w.Draft(m, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "one"})
	two := w.Draft(m, oplog.Control, oplog.FamilyPolicy, entity.TypeDescription, entity.Text{Text: "two"})
	a, b := sign(t, m, d), sign(t, m, two)
	checkAdded(t, w.Entity, a)
	if w.State().Title != "one" {
		t.Errorf("before the fork: title %q", w.State().Title)
	}
	checkAdded(t, w.Entity, b)
	if s := w.State(); s.Title != "good" || s.Description != "" || w.Counts(a) || w.Counts(b) || !w.Counts(good) {
		t.Errorf("after the fork: title %q, description %q, counts %v %v", s.Title, s.Description, w.Counts(a), w.Counts(b))
	}
	after := sign(t, m, w.Draft(m, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "after"}))
	checkAdded(t, w.Entity, after)
	epoch := sign(t, m, verbs["epoch"](t, w, m))
	checkAdded(t, w.Entity, epoch)
	if s := w.State(); s.Title != "good" || w.Counts(after) || !w.Counts(epoch) || len(s.Epochs) != 3 {
		t.Errorf("later ops of a forked device: title %q, counts %v, epoch %v", s.Title, w.Counts(after), w.Counts(epoch))
	}
	w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "by another"})
	if w.State().Title != "by another" {
		t.Errorf("an op of another device after a fork: title %q", w.State().Title)
	}
	leave := w.Must(t, "master", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	if !w.Counts(leave) || w.State().Members[m.User()].Standing != entity.Gone {
		t.Error("a leave of a forked device does not stand")
	}
	reopened, err := entity.Open(w.Log())
	if err != nil || !bytes.Equal(snapshot(reopened), snapshot(w.Entity)) {
		t.Errorf("Open comes to another state than Add: %v", err)
	}
}

// TestEquivocationContent: two content ops at one place, and all later ones of the
// device, do not count.
func TestEquivocationContent(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	good := w.Post(t, "member", "good")
	other := w.clone(t)
	one := w.Post(t, "member", "one")
	two := other.Post(t, "member", "two")
	checkAdded(t, w.Entity, two)
	three := w.Post(t, "member", "three")
	for _, c := range []struct {
		o    oplog.Op
		want bool
	}{{good, true}, {one, false}, {two, false}, {three, false}, {w.Post(t, "founder", "another's"), true}} {
		if got := w.Counts(c.o); got != c.want {
			t.Errorf("seq %d of %v counts: %v, want %v", c.o.Seq(), c.o.Device(), got, c.want)
		}
	}
}

// TestVoidAdmission: who was let in, or made an owner, by an op that became void is
// neither, nor is what he did; an epoch he made stays, so that what was written in
// it stays readable.
func TestVoidAdmission(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m, fork := w.Who(t, "master"), w.clone(t)
	n := w.Who(t, "newcomer")
	party := n.Party()
	add := func(p person, family oplog.Family, typ uint16, body any) oplog.Op {
		t.Helper()
		o, err := w.Control(p.Author(), family, typ, body)
		if err != nil {
			t.Fatalf("%s writes %d/%d: %v", p.Name, family, typ, err)
		}
		return o
	}
	add(m, oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: party, Role: entity.Member, Ref: &w.Ref})
	add(m, oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party})
	title := add(n, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "by the newcomer"})
	post := w.Post(t, "newcomer", "post")
	key := keys.NewOpKey()
	epoch := add(n, oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{
		Commitment: key.Commitment(w.ID()), Depth: nextEpoch(w).Depth, Replaces: epochs(w),
	})
	// A member he then made an owner, and that one's title.
	wp := w.Who(t, "member").Party()
	add(n, oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: wp})
	wm := w.Who(t, "member")
	byMember := add(w.Who(t, "member"), oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "by the member"})
	w.Ring[epoch.ID()] = key
	read := w.Post(t, "founder", "in his epoch")
	frozen := w.clone(t)
	critical := sign(t, wm, w.Draft(wm, oplog.Control, oplog.FamilyPolicy, 128, []byte("later")))
	checkAdded(t, w.Entity, critical)
	checkAdded(t, frozen.Entity, critical)
	if !frozen.State().Frozen {
		t.Error("a critical op of an owner does not freeze")
	}

	o := sign(t, m, fork.Draft(m, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "fork"}))
	checkAdded(t, w.Entity, o)
	s := w.State()
	if s.Frozen {
		t.Error("a critical op freezes whose author's mastership is void")
	}
	if _, ok := s.Member(n.User()); ok || s.Title != "A board" || w.Counts(title) || w.Counts(byMember) || w.Counts(post) ||
		s.Members[w.Who(t, "member").User()].Role != entity.Member {
		t.Errorf("after a fork of who admitted him: title %q, counts %v %v, his post %v", s.Title, w.Counts(title), w.Counts(byMember), w.Counts(post))
	}
	var a entitytest.Words
	if err := w.Read(read, w.Ring, &a); err != nil || a.Title != "in his epoch" || !w.Counts(read) {
		t.Errorf("an article in his epoch: %v, counts %v", err, w.Counts(read))
	}
	checkAgrees(t, w.Entity)
}

func epochs(w *world) (ids []keys.Digest) {
	for id := range w.State().Epochs {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, compare)
	return ids
}

// checkAgrees: the state that grew by Add is the state folded at once, and the one
// of a node that had the ops one by one.
func checkAgrees(t *testing.T, e *entity.Entity) {
	t.Helper()
	opened, err := entity.Open(e.Log())
	if err != nil || !bytes.Equal(snapshot(opened), snapshot(e)) {
		t.Errorf("Open comes to another state: %v", err)
	}
	if c := clone(t, e); !bytes.Equal(snapshot(c), snapshot(e)) {
		t.Error("adding the ops again comes to another state")
	}
}

// TestLeaveCutsAllDevices: a leave by one device ends what the user's others write,
// also a device that is claimed beside the leave.
func TestLeaveCutsAllDevices(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.Who(t, "member")
	second, third := keys.FromSeed([32]byte{22}), keys.FromSeed([32]byte{33})
	two := m.Party()
	two.Devices = sorted(append(two.Devices, second.ID()))
	w.Must(t, "member", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: two})
	three := two
	three.Devices = sorted(append(slices.Clone(two.Devices), third.ID()))

	w.People["second"] = m.By(second)
	kept := w.Post(t, "second", "kept")
	beside := w.clone(t)
	w.Must(t, "member", oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{
		{Device: second.ID(), Strand: oplog.Content, Seq: kept.Seq(), ID: kept.ID()},
	}})
	claim, err := beside.Control(m.By(second).Author(), oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: three})
	if err != nil {
		t.Fatalf("claim a third device: %v", err)
	}
	beside.People["third"] = m.By(third)
	late := []oplog.Op{
		claim, beside.Post(t, "second", "too late"), beside.Post(t, "member", "too late"), beside.Post(t, "third", "too late"),
	}
	for _, o := range late {
		checkAdded(t, w.Entity, o)
		if o.Strand() == oplog.Content && w.Counts(o) {
			t.Errorf("content of %v after the leave counts", o.Device())
		}
	}
	if !w.Counts(kept) || w.State().Members[m.User()].Standing != entity.Gone {
		t.Error("what was written before the leave does not count, or he is not gone")
	}
	checkAgrees(t, w.Entity)
}

// TestForkedTwice: the lowest place that was signed twice counts, whichever comes to
// light first.
func TestForkedTwice(t *testing.T) {
	t.Parallel()
	for range 10 { // the order of concurrent ops depends on their ids
		w := settle(t, entity.Board)
		m := w.Who(t, "master")
		title := func(w *world, text string) oplog.Op {
			return w.Must(t, "master", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: text})
		}
		good := title(w, "good")
		low := w.clone(t)
		one := title(w, "one")
		high := w.clone(t)
		two := title(w, "two")
		other := title(high, "another two")
		checkAdded(t, w.Entity, other)
		if w.State().Title != "one" || !w.Counts(one) || w.Counts(two) || w.Counts(other) {
			t.Fatalf("after a fork: title %q, counts %v %v %v", w.State().Title, w.Counts(one), w.Counts(two), w.Counts(other))
		}
		checkAdded(t, w.Entity, title(low, "another one"))
		if w.State().Title != "good" || !w.Counts(good) || w.Counts(one) || w.Counts(two) || w.Counts(other) {
			t.Fatalf("after a fork below: title %q, counts %v %v %v", w.State().Title, w.Counts(one), w.Counts(two), w.Counts(other))
		}
		// A third at the upper place changes nothing.
		d := high.Draft(m, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "a third two"})
		d.Seq, d.Prev, d.Parents = two.Seq(), two.Prev(), two.Parents()
		checkAdded(t, w.Entity, sign(t, m, d))
		if w.State().Title != "good" || w.Counts(one) {
			t.Fatalf("after a third: title %q, counts %v", w.State().Title, w.Counts(one))
		}
		checkAgrees(t, w.Entity)
	}
}

// TestForkedStands: what a forked device signs after its fork is void, but for what
// only takes away.
func TestForkedStands(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.Who(t, "master")
	fork := w.Draft(m, oplog.Control, oplog.FamilyPolicy, 99, []byte("fork"))
	w.Must(t, "master", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"})
	checkAdded(t, w.Entity, sign(t, m, fork))
	party := w.Who(t, "member").Party()
	w.Admit(t, "second", entity.Member)
	second := w.Who(t, "second").Party()
	w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: second})
	next := nextEpoch(w)
	for _, c := range []struct {
		family oplog.Family
		typ    uint16
		body   any
		stands bool
	}{
		{oplog.FamilyMember, entity.TypeRemove, entity.Remove{User: w.Who(t, "reader").User(), Epoch: next}, true},
		{oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: second.User}, true},
		{oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: party}, false},
		{oplog.FamilyMember, entity.TypeRole, entity.SetRole{User: party.User, Role: entity.Reader}, false},
		{oplog.FamilyOpKey, entity.TypeBox, []byte("later"), true},
		{oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party}, false},
		{oplog.FamilyPolicy, entity.TypeHistory, entity.SetHistory{History: entity.History{Mode: entity.HistoryFromJoin}}, false},
		{oplog.FamilyPolicy, 99, []byte("later"), false},
		{oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: w.Who(t, "newcomer").Party(), Role: entity.Member, Ref: &w.Ref}, false},
		{oplog.FamilyMember, entity.TypeLeave, entity.Leave{}, true},
	} {
		o := sign(t, m, w.Draft(m, oplog.Control, c.family, c.typ, c.body))
		checkAdded(t, w.Entity, o)
		if got := w.Counts(o); got != c.stands {
			t.Errorf("%d/%d of a forked device counts: %v, want %v", c.family, c.typ, got, c.stands)
		}
	}
	s := w.State()
	if s.Policy != entitytest.OpenPolicy || s.Members[party.User].Role != entity.Member || s.Members[m.User()].Standing != entity.Gone {
		t.Errorf("the state has what a forked device signed: %+v", s.Policy)
	}
	if s.Members[w.Who(t, "reader").User()].Standing != entity.Removed || s.Members[second.User].Role != entity.Member {
		t.Errorf("what a forked device took away is there: %+v, %+v", s.Members[w.Who(t, "reader").User()], s.Members[second.User])
	}
}

// TestReturn: who left and is let in again writes again; an admission that did not
// see the leave does not undo it.
func TestReturn(t *testing.T) {
	t.Parallel()
	for range 20 { // the order of concurrent ops depends on their ids
		testReturn(t)
	}
}

func testReturn(t *testing.T) {
	t.Helper()
	w := settle(t, entity.Board)
	g := w.Who(t, "gone")
	beside := w.clone(t)
	w.Admit(t, "gone", entity.Member)
	if m := w.State().Members[g.User()]; m.Standing != entity.Active || m.Role != entity.Member {
		t.Errorf("after a second admission: %v %v", m.Standing, m.Role)
	}
	back := w.Post(t, "gone", "back")
	if !w.Counts(back) {
		t.Error("what he writes after his return does not count")
	}
	leave := w.Must(t, "gone", oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{
		{Device: g.Key.ID(), Strand: oplog.Content, Seq: back.Seq(), ID: back.ID()},
	}})
	// Another owner admits him beside all that, having seen the first leave only.
	o, err := beside.Control(w.Who(t, "master").Author(), oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: g.Party(), Role: entity.Member, Ref: &w.Ref})
	if err != nil {
		t.Fatalf("admit: %v", err)
	}
	checkAdded(t, w.Entity, o)
	for _, p := range all(w.Entity) {
		if p.Strand() == oplog.Control {
			_, _ = beside.Add(p)
		}
	}
	if w.State().Members[g.User()].Standing != entity.Gone || !w.Counts(leave) {
		t.Error("an admission beside a leave undid it")
	}
	checkAdded(t, beside.Entity, back)
	if !bytes.Equal(snapshot(beside.Entity), snapshot(w.Entity)) {
		t.Error("two orders of arrival, two states")
	}
	checkAgrees(t, w.Entity)
}

// TestDevicesCannotHarm: a member's word on devices holds for him alone.
func TestDevicesCannotHarm(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m, f := w.Who(t, "member"), w.Who(t, "founder")
	post := w.Post(t, "founder", "post")
	for name, b := range map[string]entity.Devices{
		"cuts the founder": {Party: m.Party(), Cuts: []entity.Cut{{Device: f.Key.ID(), Strand: oplog.Content}}},
		"claims his device": {Party: func() entity.Party {
			p := m.Party()
			p.Devices = sorted([]keys.ID{m.Key.ID(), f.Key.ID()})
			return p
		}()},
	} {
		o := sign(t, m, w.Draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDevices, b))
		if _, err := w.clone(t).Add(o); !errors.Is(err, entity.ErrNotAuthorized) {
			t.Errorf("a member %s: %v, want ErrNotAuthorized", name, err)
		}
	}
	// Two that claim one new device beside each other: a leave of the one does not
	// cut the other.
	shared := keys.FromSeed([32]byte{44})
	claim := func(w *world, p person) oplog.Op {
		party := p.Party()
		party.Devices = sorted(append(party.Devices, shared.ID()))
		o, err := w.Control(p.Author(), oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
		if err != nil {
			t.Fatalf("%s claims a device: %v", p.Name, err)
		}
		return o
	}
	beside := w.clone(t)
	claim(w, f)
	checkAdded(t, w.Entity, claim(beside, m))
	w.People["shared"] = f.By(shared)
	his := w.Post(t, "shared", "by the founder's second device")
	lowest := f.User()
	if compare(m.User(), lowest) < 0 {
		lowest = m.User()
	}
	for range 20 {
		if user, ok := w.State().UserOf(shared.ID()); !ok || user != lowest {
			t.Fatalf("UserOf a device of two = %v, %v, want always the lowest", user, ok)
		}
	}
	w.Must(t, "member", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	if user, ok := w.State().UserOf(shared.ID()); !w.Counts(his) || !w.Counts(post) || !ok || user != f.User() {
		t.Errorf("after the other's leave: counts %v %v, device of %v", w.Counts(his), w.Counts(post), user)
	}
	checkAgrees(t, w.Entity)
}

// TestRemovedDevice: a device that goes leaves a cut, and the greatest counts.
func TestRemovedDevice(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.Who(t, "member")
	kept := w.Post(t, "member", "kept")
	heads := w.Log().Heads(oplog.Control)
	party := m.Party()
	second := keys.FromSeed([32]byte{22})
	party.Devices = []keys.ID{second.ID()}
	cuts := []entity.Cut{{Device: m.Key.ID(), Strand: oplog.Content, Seq: kept.Seq(), ID: kept.ID()}}
	w.Must(t, "member", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party, Cuts: cuts})

	checkRefused(t, w.Entity, sign(t, m, w.Draft(m, oplog.Control, oplog.FamilyMember, entity.TypeLeave, entity.Leave{})), entity.ErrNotAuthorized)
	checkRefused(t, w.Entity, sign(t, m, w.Draft(m, oplog.Content, oplog.FamilyArticle, 1, []byte("sealed"))), entity.ErrNotAuthorized)
	d := w.Draft(m, oplog.Content, oplog.FamilyArticle, 1, []byte("sealed"))
	d.Auth = heads
	o := sign(t, m, d)
	checkAdded(t, w.Entity, o)
	w.People["second"] = m.By(second)
	if _, err := w.Write(w.People["second"].Author(), w.Ring, oplog.FamilyArticle, entitytest.TypeNew, keys.Digest{}, entitytest.Words{Title: "x"}); !errors.Is(err, entity.ErrNoKey) {
		t.Errorf("Write in an epoch that a device which is gone has: %v, want ErrNoKey", err)
	}
	w.Rekey(t)
	mine := w.Post(t, "second", "mine")
	if !w.Counts(kept) || w.Counts(o) || !w.Counts(mine) {
		t.Errorf("counts kept %v, beyond %v, second device %v", w.Counts(kept), w.Counts(o), w.Counts(mine))
	}
	// A later leave by the second device does not take the first one's article.
	w.Must(t, "second", oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{
		{Device: second.ID(), Strand: oplog.Content, Seq: mine.Seq(), ID: mine.ID()},
	}})
	if !w.Counts(kept) || w.Counts(o) || !w.Counts(mine) {
		t.Errorf("after the leave: counts kept %v, beyond %v, second device %v", w.Counts(kept), w.Counts(o), w.Counts(mine))
	}
	checkAgrees(t, w.Entity)
}

// TestUnknownTypes: kept, relayed and ignored; a critical one freezes writing, and
// only if it is an owner's.
func TestUnknownTypes(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	before := w.State().Digest()
	for _, c := range []struct {
		who    string
		family oplog.Family
		typ    uint16
	}{
		{"reader", oplog.FamilyPolicy, 99},
		{"member", oplog.FamilyMember, 127},
		{"member", 15, 1},
		{"founder", oplog.FamilyOpKey, oplog.TypeReset},
		{"founder", oplog.FamilyCheckpoint, 99},
	} {
		o := sign(t, w.Who(t, c.who), w.Draft(w.Who(t, c.who), oplog.Control, c.family, c.typ, []byte("of a later version")))
		checkAdded(t, w.Entity, o)
		if !w.Counts(o) || w.State().Frozen || w.State().Digest() != before {
			t.Errorf("an unknown %d/%d of %s had an effect", c.family, c.typ, c.who)
		}
	}
	o := sign(t, w.Who(t, "member"), w.Draft(w.Who(t, "member"), oplog.Content, 200, 999, []byte("of a later version")))
	checkAdded(t, w.Entity, o)
	if !w.Counts(o) {
		t.Error("an unknown content op does not count")
	}

	critical := w.Must(t, "master", oplog.FamilyPolicy, 128, struct{}{})
	s := w.State()
	if !s.Frozen || !w.Counts(critical) || s.CanWrite(w.Who(t, "member").User(), w.Who(t, "member").Key.ID()) {
		t.Errorf("after a critical op of an owner: frozen %v", s.Frozen)
	}
	f := w.Who(t, "founder").Author()
	if _, err := w.Write(f, w.Ring, oplog.FamilyArticle, entitytest.TypeNew, keys.Digest{}, entitytest.Words{Title: "x"}); !errors.Is(err, entity.ErrFrozen) {
		t.Errorf("Write in a frozen entity: %v, want ErrFrozen", err)
	}
	if _, err := w.Control(f, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"}); !errors.Is(err, entity.ErrFrozen) {
		t.Errorf("Control in a frozen entity: %v, want ErrFrozen", err)
	}
	w.Must(t, "reader", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	checkAdded(t, w.Entity, sign(t, w.Who(t, "member"), w.Draft(w.Who(t, "member"), oplog.Control, oplog.FamilyPolicy, 99, []byte("later"))))
	if !w.State().Frozen {
		t.Error("a later op thaws what a critical one froze")
	}
	// What others write goes on, and one may still go.
	m := w.Who(t, "member")
	checkAdded(t, w.Entity, sign(t, m, w.Draft(m, oplog.Content, oplog.FamilyArticle, 1, []byte("sealed"))))
	w.Must(t, "member", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	checkAgrees(t, w.Entity)
}

// TestAttackRESET: an op that stands outside the chains is the recovery key's and
// nobody else's; else a member could sign any number of ops that no chain bounds.
func TestAttackRESET(t *testing.T) {
	t.Parallel()
	for _, kind := range []entity.Kind{entity.Me, entity.Board, entity.Friend, entity.Profile} {
		w := settle(t, kind)
		for _, name := range []string{"founder", "stranger"} {
			p := w.Who(t, name)
			checkRefused(t, w.Entity, sign(t, p, verbs["RESET"](t, w, p)), entity.ErrNotAuthorized)
		}
		for range 3 { // nor any number of them that are malformed
			p := recovery(w.Who(t, "founder"))
			d := w.Draft(p, oplog.Control, oplog.FamilyCheckpoint, oplog.TypeReset, []byte("later"))
			checkRefused(t, w.Entity, sign(t, p, d), entity.ErrBody)
		}
	}
}

// TestPastWithoutAdmission: an author is judged by the past he names, not by the
// state of who reads it.
func TestPastWithoutAdmission(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.Who(t, "member")
	genesis := []keys.Digest{w.ID()}
	d := w.Draft(m, oplog.Control, oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	d.Parents = genesis
	checkRefused(t, w.Entity, sign(t, m, d), entity.ErrNotAuthorized)
	c := w.Draft(m, oplog.Content, oplog.FamilyArticle, 1, []byte("sealed"))
	c.Auth = genesis
	checkRefused(t, w.Entity, sign(t, m, c), entity.ErrNotAuthorized)
	// An epoch that is not in the past of auth, and one of nobody.
	old := w.Log().Heads(oplog.Control)
	f := w.Who(t, "founder")
	epoch := w.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{Commitment: keys.Digest{1}, Depth: nextEpoch(w).Depth, Replaces: epochs(w)})
	for _, id := range []keys.Digest{epoch.ID(), w.ID(), {9}} {
		c = w.Draft(f, oplog.Content, oplog.FamilyArticle, 1, []byte("sealed"))
		c.Auth, c.Epoch = old, id
		checkRefused(t, w.Entity, sign(t, f, c), entity.ErrNotAuthorized)
	}
	c.Auth, c.Epoch = w.Log().Heads(oplog.Control), epoch.ID()
	checkAdded(t, w.Entity, sign(t, f, c))
}

// TestManyHeads: with more heads than an op may name, people write on.
func TestManyHeads(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.Who(t, "member")
	base := w.clone(t)
	for i := range byte(40) { // the forks of one hostile device
		checkAdded(t, w.Entity, sign(t, m, base.Draft(m, oplog.Control, oplog.FamilyPolicy, 99, []byte{i})))
	}
	if n := len(w.Log().Heads(oplog.Control)); n < oplog.MaxParents {
		t.Fatalf("%d heads, want more than %d", n, oplog.MaxParents)
	}
	for i := range 5 {
		w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: string(rune('a' + i))})
	}
	if n := len(w.Log().Heads(oplog.Control)); n > 1 || w.State().Title != "e" {
		t.Errorf("after five ops: %d heads, title %q", n, w.State().Title)
	}
	w.Post(t, "founder", "a post")
	checkAgrees(t, w.Entity)
}
