package entity_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// as signs with one person's key in another's name.
func as(tb testing.TB, w *world, signer, author person, family oplog.Family, typ uint16, body any) oplog.Op {
	tb.Helper()
	d := w.draft(author.by(signer.key), oplog.Control, family, typ, body)
	return sign(tb, signer, d)
}

// TestAttackO1: a member writes in another's name: with his own key, or with bytes
// whose author he changed.
func TestAttackO1(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	member, founder, stranger := w.who(t, "member"), w.who(t, "founder"), w.who(t, "stranger")
	text := entity.Text{Text: "mine"}
	w.post(t, "member", "he may")
	w.post(t, "founder", "so may he, under the same heads and in the same epoch")
	for _, signer := range []person{member, stranger, w.who(t, "master"), w.who(t, "gone")} {
		checkRefused(t, w.Entity, as(t, w, signer, founder, oplog.FamilyPolicy, entity.TypeTitle, text), entity.ErrNotAuthorized)
		d := w.draft(founder.by(signer.key), oplog.Content, oplog.FamilyArticle, entity.TypeArticleNew, []byte("sealed"))
		checkRefused(t, w.Entity, sign(t, signer, d), entity.ErrNotAuthorized)
	}
	raw := bytes.Clone(as(t, w, founder, founder, oplog.FamilyPolicy, entity.TypeTitle, text).Bytes())
	id := founder.key.ID()
	at := bytes.Index(raw, id[:])
	other := member.key.ID()
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
	m, guest := w.who(t, "master"), newPerson(t, "guest")
	before := w.clone(t)
	admit := entity.Admit{Party: guest.party(), Role: entity.Member, Ref: &w.ref}
	w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: m.user()})
	checkRefused(t, w.Entity, as(t, w, m, m, oplog.FamilyMember, entity.TypeAdmit, admit), entity.ErrNotAuthorized)
	unheard := as(t, before, m, m, oplog.FamilyMember, entity.TypeAdmit, admit)
	checkAdded(t, before.Entity, unheard)
	checkAdded(t, w.Entity, unheard)
	if _, in := w.State().Member(guest.user()); in || w.Counts(unheard) || !before.Counts(unheard) {
		t.Errorf("beside his demotion: guest in %v, counts %v, and %v where it is not known", in, w.Counts(unheard), before.Counts(unheard))
	}
}

// TestAttackO2: a valid signature by somebody who is no member, in either strand,
// whatever it says.
func TestAttackO2(t *testing.T) {
	t.Parallel()
	for _, kind := range []entity.Kind{entity.Me, entity.Profile, entity.Friend, entity.Board} {
		w := settle(t, kind)
		stranger := w.who(t, "stranger")
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
		p := w.who(t, name)
		party := p.party()
		add := entity.MasterAdd{Party: &party}
		checkRefused(t, w.Entity, as(t, w, p, p, oplog.FamilyMaster, entity.TypeMasterAdd, add), entity.ErrNotAuthorized)
		checkRefused(t, w.Entity, as(t, w, p, w.who(t, "founder"), oplog.FamilyMaster, entity.TypeMasterAdd, add), entity.ErrNotAuthorized)
		admit := entity.Admit{Party: party, Role: entity.Master, Ref: &w.ref}
		checkRefused(t, w.Entity, as(t, w, p, p, oplog.FamilyMember, entity.TypeAdmit, admit), entity.ErrNotAuthorized)
		// Nor by putting his device into an owner's party.
		for _, owner := range []string{"founder", "master"} {
			theirs := w.who(t, owner).party()
			theirs.Devices = sorted(append(theirs.Devices, newPerson(t, "spare").key.ID()))
			checkRefused(t, w.Entity, as(t, w, p, p, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: theirs}), entity.ErrNotAuthorized)
		}
	}
	// One owner does not speak for another, nor for the founder.
	m := w.who(t, "master")
	theirs := w.who(t, "founder").party()
	theirs.Devices = sorted(append(theirs.Devices, newPerson(t, "spare").key.ID()))
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
			admit := entity.Admit{Party: w.who(t, "other").party(), Role: role, Ref: &w.ref}
			f := w.who(t, "founder")
			checkRefused(t, w.Entity, as(t, w, f, f, oplog.FamilyMember, entity.TypeAdmit, admit), entity.ErrNotAuthorized)
		}
	}
}

// TestAttackO9 and O10: what an author says of the time moves nothing: not the
// order, not a right.
func TestAttackO9(t *testing.T)  { testTime(t, now.AddDate(10, 0, 0)) }
func TestAttackO10(t *testing.T) { testTime(t, time.UnixMilli(1)) }

func testTime(t *testing.T, at time.Time) {
	t.Parallel()
	w := settle(t, entity.Board)
	before := w.post(t, "member", "before")
	m := w.who(t, "member")

	d := w.draft(m, oplog.Content, oplog.FamilyArticle, entity.TypeArticleNew, []byte("sealed"))
	d.At = at
	o := sign(t, m, d)
	checkAdded(t, w.Entity, o)
	after := w.post(t, "founder", "after")
	order := slices.Collect(w.Log().All(oplog.Content))
	if !slices.Equal(order, []oplog.Op{before, o, after}) {
		t.Errorf("an op at %v moved in the order", at)
	}
	if got, _ := w.Log().Get(o.ID()); !got.At().Equal(at) {
		t.Errorf("At() = %v, want what the author said, %v", got.At(), at)
	}

	// A right that was lost does not come back with an earlier or later time.
	tip, _ := w.Log().Tip(m.key.ID(), oplog.Content)
	cut := entity.Cut{Device: m.key.ID(), Strand: oplog.Content, Seq: tip.Seq(), ID: tip.ID()}
	w.must(t, "member", oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{cut}})
	d = w.draft(m, oplog.Content, oplog.FamilyArticle, entity.TypeArticleNew, []byte("sealed"))
	d.At = at
	checkRefused(t, w.Entity, sign(t, m, d), entity.ErrNotAuthorized)
	c := w.draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: m.party()})
	c.At = at
	checkRefused(t, w.Entity, sign(t, m, c), entity.ErrNotAuthorized)
}

// TestAttackO11: content beyond its device's cut is kept, since honest ops may build
// on it, but counts nowhere and in no order of arrival.
func TestAttackO11(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.who(t, "member")
	kept := w.post(t, "member", "kept")
	heads := w.Log().Heads(oplog.Control) // from when he was a member
	late := w.clone(t)
	leave := w.must(t, "member", oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{
		{Device: m.key.ID(), Strand: oplog.Content, Seq: kept.Seq(), ID: kept.ID()},
	}})
	d := w.draft(m, oplog.Content, oplog.FamilyArticle, entity.TypeArticleNew, []byte("sealed"))
	d.Auth = heads
	beyond := sign(t, m, d)
	checkAdded(t, w.Entity, beyond)
	if w.Counts(beyond) || !w.Counts(kept) || !w.Counts(leave) {
		t.Errorf("after the leave: counts beyond %v, kept %v, leave %v", w.Counts(beyond), w.Counts(kept), w.Counts(leave))
	}
	if posts := w.Posts(w.ring); len(posts) != 1 || posts[0].ID != kept.ID() {
		t.Errorf("%d posts, want the kept one", len(posts))
	}
	// Who saw the content first, and built on it, comes to the same.
	checkAdded(t, late.Entity, beyond)
	built := late.post(t, "founder", "built on it")
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
		y := settleBy(t, kind, x.people)
		for _, o := range all(x.Entity)[1:] {
			checkRefused(t, y.Entity, o, oplog.ErrForeign)
		}
	}
}

// TestAttackO26: a device op of one user in the chain of another, signed by either.
func TestAttackO26(t *testing.T) {
	t.Parallel()
	alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
	chain := clone(t, bob.me.Entity)
	for _, o := range all(alice.me.Entity)[1:] {
		checkRefused(t, chain, o, oplog.ErrForeign)
	}
	w := &world{Entity: chain}
	body := entity.Epoch{
		Commitment: keys.Digest{1}, Depth: 2, Replaces: []keys.Digest{bob.me.Epoch}, UserBox: &keys.BoxID{1},
		Chain: &entity.DeviceLink{Prev: chain.State().DeviceHead},
	}
	for _, author := range []person{alice, bob.by(alice.key), alice.by(bob.key)} {
		o := sign(t, author, w.draft(author, oplog.Control, oplog.FamilyOpKey, entity.TypeEpoch, body))
		checkRefused(t, chain, o, entity.ErrNotAuthorized)
	}
	checkAdded(t, chain, sign(t, bob, w.draft(bob, oplog.Control, oplog.FamilyOpKey, entity.TypeEpoch, body)))
}

// TestEscapeOwnLeave: parents that leave out one's own leave do not undo it: prev
// names it. Signing another op in its place is equivocation, which keeps the leave
// and voids the rest.
func TestEscapeOwnLeave(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.who(t, "master")
	old := w.Log().Heads(oplog.Control)
	tip, hadTip := w.Log().Tip(m.key.ID(), oplog.Control)
	leave := w.must(t, "master", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})

	title := entity.Text{Text: "still here"}
	d := w.draft(m, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, title)
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
	if s := w.State(); s.Title != "A board" || w.Counts(fork) || !w.Counts(leave) || s.Members[m.user()].Standing != entity.Gone {
		t.Errorf("a fork beside a leave: title %q, counts %v, leave counts %v, %v", s.Title, w.Counts(fork), w.Counts(leave), s.Members[m.user()].Standing)
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
	w.admit(t, "newcomer", entity.Member)
	m := w.who(t, "master")
	good := w.must(t, "master", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "good"})
	d := w.draft(m, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "one"})
	two := w.draft(m, oplog.Control, oplog.FamilyPolicy, entity.TypeDescription, entity.Text{Text: "two"})
	a, b := sign(t, m, d), sign(t, m, two)
	checkAdded(t, w.Entity, a)
	if w.State().Title != "one" {
		t.Errorf("before the fork: title %q", w.State().Title)
	}
	checkAdded(t, w.Entity, b)
	if s := w.State(); s.Title != "good" || s.Description != "" || w.Counts(a) || w.Counts(b) || !w.Counts(good) {
		t.Errorf("after the fork: title %q, description %q, counts %v %v", s.Title, s.Description, w.Counts(a), w.Counts(b))
	}
	after := sign(t, m, w.draft(m, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "after"}))
	checkAdded(t, w.Entity, after)
	epoch := sign(t, m, verbs["epoch"](t, w, m))
	checkAdded(t, w.Entity, epoch)
	if s := w.State(); s.Title != "good" || w.Counts(after) || !w.Counts(epoch) || len(s.Epochs) != 3 {
		t.Errorf("later ops of a forked device: title %q, counts %v, epoch %v", s.Title, w.Counts(after), w.Counts(epoch))
	}
	w.must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "by another"})
	if w.State().Title != "by another" {
		t.Errorf("an op of another device after a fork: title %q", w.State().Title)
	}
	leave := w.must(t, "master", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	if !w.Counts(leave) || w.State().Members[m.user()].Standing != entity.Gone {
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
	good := w.post(t, "member", "good")
	other := w.clone(t)
	one := w.post(t, "member", "one")
	two := other.post(t, "member", "two")
	checkAdded(t, w.Entity, two)
	three := w.post(t, "member", "three")
	for _, c := range []struct {
		o    oplog.Op
		want bool
	}{{good, true}, {one, false}, {two, false}, {three, false}, {w.post(t, "founder", "another's"), true}} {
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
	m, fork := w.who(t, "master"), w.clone(t)
	n := w.who(t, "newcomer")
	party := n.party()
	add := func(p person, family oplog.Family, typ uint16, body any) oplog.Op {
		t.Helper()
		o, err := w.Control(p.author(), family, typ, body)
		if err != nil {
			t.Fatalf("%s writes %d/%d: %v", p.name, family, typ, err)
		}
		return o
	}
	add(m, oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: party, Role: entity.Member, Ref: &w.ref})
	add(m, oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: &party})
	title := add(n, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "by the newcomer"})
	post := w.post(t, "newcomer", "post")
	key := keys.NewOpKey()
	epoch := add(n, oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{
		Commitment: key.Commitment(w.ID()), Depth: nextEpoch(w).Depth, Replaces: epochs(w),
	})
	// A member he then made an owner, and that one's title.
	wp := w.who(t, "member").party()
	add(n, oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: &wp})
	wm := w.who(t, "member")
	byMember := add(w.who(t, "member"), oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "by the member"})
	w.ring[epoch.ID()] = key
	read := w.post(t, "founder", "in his epoch")
	frozen := w.clone(t)
	critical := sign(t, wm, w.draft(wm, oplog.Control, oplog.FamilyPolicy, 128, []byte("later")))
	checkAdded(t, w.Entity, critical)
	checkAdded(t, frozen.Entity, critical)
	if !frozen.State().Frozen {
		t.Error("a critical op of an owner does not freeze")
	}

	o := sign(t, m, fork.draft(m, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "fork"}))
	checkAdded(t, w.Entity, o)
	s := w.State()
	if s.Frozen {
		t.Error("a critical op freezes whose author's mastership is void")
	}
	if _, ok := s.Member(n.user()); ok || s.Title != "A board" || w.Counts(title) || w.Counts(byMember) || w.Counts(post) ||
		s.Members[w.who(t, "member").user()].Role != entity.Member {
		t.Errorf("after a fork of who admitted him: title %q, counts %v %v, his post %v", s.Title, w.Counts(title), w.Counts(byMember), w.Counts(post))
	}
	var a entity.Article
	if err := w.Read(read, w.ring, &a); err != nil || a.Title != "in his epoch" || !w.Counts(read) {
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
	if !slices.Equal(opened.Drops(), e.Drops()) {
		t.Error("Open settles other checkpoints")
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
	m := w.who(t, "member")
	second, third := keys.FromSeed([32]byte{22}), keys.FromSeed([32]byte{33})
	two := m.party()
	two.Devices = sorted(append(two.Devices, second.ID()))
	w.must(t, "member", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: two})
	three := two
	three.Devices = sorted(append(slices.Clone(two.Devices), third.ID()))

	w.people["second"] = m.by(second)
	kept := w.post(t, "second", "kept")
	beside := w.clone(t)
	w.must(t, "member", oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{
		{Device: second.ID(), Strand: oplog.Content, Seq: kept.Seq(), ID: kept.ID()},
	}})
	claim, err := beside.Control(m.by(second).author(), oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: three})
	if err != nil {
		t.Fatalf("claim a third device: %v", err)
	}
	beside.people["third"] = m.by(third)
	late := []oplog.Op{
		claim, beside.post(t, "second", "too late"), beside.post(t, "member", "too late"), beside.post(t, "third", "too late"),
	}
	for _, o := range late {
		checkAdded(t, w.Entity, o)
		if o.Strand() == oplog.Content && w.Counts(o) {
			t.Errorf("content of %v after the leave counts", o.Device())
		}
	}
	if !w.Counts(kept) || w.State().Members[m.user()].Standing != entity.Gone {
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
		m := w.who(t, "master")
		title := func(w *world, text string) oplog.Op {
			return w.must(t, "master", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: text})
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
		d := high.draft(m, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "a third two"})
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
	m := w.who(t, "master")
	fork := w.draft(m, oplog.Control, oplog.FamilyPolicy, 99, []byte("fork"))
	w.must(t, "master", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"})
	checkAdded(t, w.Entity, sign(t, m, fork))
	party := w.who(t, "member").party()
	w.admit(t, "second", entity.Member)
	second := w.who(t, "second").party()
	w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: &second})
	next := nextEpoch(w)
	for _, c := range []struct {
		family oplog.Family
		typ    uint16
		body   any
		stands bool
	}{
		{oplog.FamilyMember, entity.TypeRemove, entity.Remove{User: w.who(t, "reader").user(), Epoch: next}, true},
		{oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: second.User}, true},
		{oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: party}, false},
		{oplog.FamilyMember, entity.TypeRole, entity.SetRole{User: party.User, Role: entity.Reader}, false},
		{oplog.FamilyOpKey, entity.TypeBox, []byte("later"), true},
		{oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: &party}, false},
		{oplog.FamilyPolicy, entity.TypeHistory, entity.SetHistory{History: entity.History{Mode: entity.HistoryFromJoin}}, false},
		{oplog.FamilyPolicy, 99, []byte("later"), false},
		{oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: w.who(t, "newcomer").party(), Role: entity.Member, Ref: &w.ref}, false},
		{oplog.FamilyMember, entity.TypeLeave, entity.Leave{}, true},
	} {
		o := sign(t, m, w.draft(m, oplog.Control, c.family, c.typ, c.body))
		checkAdded(t, w.Entity, o)
		if got := w.Counts(o); got != c.stands {
			t.Errorf("%d/%d of a forked device counts: %v, want %v", c.family, c.typ, got, c.stands)
		}
	}
	s := w.State()
	if s.Policy != openPolicy || s.Members[party.User].Role != entity.Member || s.Members[m.user()].Standing != entity.Gone {
		t.Errorf("the state has what a forked device signed: %+v", s.Policy)
	}
	if s.Members[w.who(t, "reader").user()].Standing != entity.Removed || s.Members[second.User].Role != entity.Member {
		t.Errorf("what a forked device took away is there: %+v, %+v", s.Members[w.who(t, "reader").user()], s.Members[second.User])
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
	g := w.who(t, "gone")
	beside := w.clone(t)
	w.admit(t, "gone", entity.Member)
	if m := w.State().Members[g.user()]; m.Standing != entity.Active || m.Role != entity.Member {
		t.Errorf("after a second admission: %v %v", m.Standing, m.Role)
	}
	back := w.post(t, "gone", "back")
	if !w.Counts(back) {
		t.Error("what he writes after his return does not count")
	}
	leave := w.must(t, "gone", oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{
		{Device: g.key.ID(), Strand: oplog.Content, Seq: back.Seq(), ID: back.ID()},
	}})
	// Another owner admits him beside all that, having seen the first leave only.
	o, err := beside.Control(w.who(t, "master").author(), oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: g.party(), Role: entity.Member, Ref: &w.ref})
	if err != nil {
		t.Fatalf("admit: %v", err)
	}
	checkAdded(t, w.Entity, o)
	for _, p := range all(w.Entity) {
		if p.Strand() == oplog.Control {
			_, _ = beside.Add(p)
		}
	}
	if w.State().Members[g.user()].Standing != entity.Gone || !w.Counts(leave) {
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
	m, f := w.who(t, "member"), w.who(t, "founder")
	post := w.post(t, "founder", "post")
	for name, b := range map[string]entity.Devices{
		"cuts the founder": {Party: m.party(), Cuts: []entity.Cut{{Device: f.key.ID(), Strand: oplog.Content}}},
		"claims his device": {Party: func() entity.Party {
			p := m.party()
			p.Devices = sorted([]keys.ID{m.key.ID(), f.key.ID()})
			return p
		}()},
	} {
		o := sign(t, m, w.draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDevices, b))
		if _, err := w.clone(t).Add(o); !errors.Is(err, entity.ErrNotAuthorized) {
			t.Errorf("a member %s: %v, want ErrNotAuthorized", name, err)
		}
	}
	// Two that claim one new device beside each other: a leave of the one does not
	// cut the other.
	shared := keys.FromSeed([32]byte{44})
	claim := func(w *world, p person) oplog.Op {
		party := p.party()
		party.Devices = sorted(append(party.Devices, shared.ID()))
		o, err := w.Control(p.author(), oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
		if err != nil {
			t.Fatalf("%s claims a device: %v", p.name, err)
		}
		return o
	}
	beside := w.clone(t)
	claim(w, f)
	checkAdded(t, w.Entity, claim(beside, m))
	w.people["shared"] = f.by(shared)
	his := w.post(t, "shared", "by the founder's second device")
	lowest := f.user()
	if compare(m.user(), lowest) < 0 {
		lowest = m.user()
	}
	for range 20 {
		if user, ok := w.State().UserOf(shared.ID()); !ok || user != lowest {
			t.Fatalf("UserOf a device of two = %v, %v, want always the lowest", user, ok)
		}
	}
	w.must(t, "member", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	if user, ok := w.State().UserOf(shared.ID()); !w.Counts(his) || !w.Counts(post) || !ok || user != f.user() {
		t.Errorf("after the other's leave: counts %v %v, device of %v", w.Counts(his), w.Counts(post), user)
	}
	checkAgrees(t, w.Entity)
}

// TestRemovedDevice: a device that goes leaves a cut, and the greatest counts.
func TestRemovedDevice(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.who(t, "member")
	kept := w.post(t, "member", "kept")
	heads := w.Log().Heads(oplog.Control)
	party := m.party()
	second := keys.FromSeed([32]byte{22})
	party.Devices = []keys.ID{second.ID()}
	cuts := []entity.Cut{{Device: m.key.ID(), Strand: oplog.Content, Seq: kept.Seq(), ID: kept.ID()}}
	w.must(t, "member", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party, Cuts: cuts})

	checkRefused(t, w.Entity, sign(t, m, w.draft(m, oplog.Control, oplog.FamilyMember, entity.TypeLeave, entity.Leave{})), entity.ErrNotAuthorized)
	checkRefused(t, w.Entity, sign(t, m, w.draft(m, oplog.Content, oplog.FamilyArticle, 1, []byte("sealed"))), entity.ErrNotAuthorized)
	d := w.draft(m, oplog.Content, oplog.FamilyArticle, 1, []byte("sealed"))
	d.Auth = heads
	o := sign(t, m, d)
	checkAdded(t, w.Entity, o)
	w.people["second"] = m.by(second)
	if _, err := w.Write(w.people["second"].author(), w.ring, oplog.FamilyArticle, entity.TypeArticleNew, entity.Article{Title: "x"}); !errors.Is(err, entity.ErrNoKey) {
		t.Errorf("Write in an epoch that a device which is gone has: %v, want ErrNoKey", err)
	}
	w.rekey(t)
	mine := w.post(t, "second", "mine")
	if !w.Counts(kept) || w.Counts(o) || !w.Counts(mine) {
		t.Errorf("counts kept %v, beyond %v, second device %v", w.Counts(kept), w.Counts(o), w.Counts(mine))
	}
	// A later leave by the second device does not take the first one's article.
	w.must(t, "second", oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{
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
		o := sign(t, w.who(t, c.who), w.draft(w.who(t, c.who), oplog.Control, c.family, c.typ, []byte("of a later version")))
		checkAdded(t, w.Entity, o)
		if !w.Counts(o) || w.State().Frozen || w.State().Digest() != before {
			t.Errorf("an unknown %d/%d of %s had an effect", c.family, c.typ, c.who)
		}
	}
	o := sign(t, w.who(t, "member"), w.draft(w.who(t, "member"), oplog.Content, 200, 999, []byte("of a later version")))
	checkAdded(t, w.Entity, o)
	if posts := w.Posts(w.ring); !w.Counts(o) || len(posts) != 0 {
		t.Errorf("an unknown content op: %d posts", len(posts))
	}

	critical := w.must(t, "master", oplog.FamilyPolicy, 128, struct{}{})
	s := w.State()
	if !s.Frozen || !w.Counts(critical) || s.CanWrite(w.who(t, "member").user(), w.who(t, "member").key.ID()) {
		t.Errorf("after a critical op of an owner: frozen %v", s.Frozen)
	}
	f := w.who(t, "founder").author()
	if _, err := w.Write(f, w.ring, oplog.FamilyArticle, 1, entity.Article{Title: "x"}); !errors.Is(err, entity.ErrFrozen) {
		t.Errorf("Write in a frozen entity: %v, want ErrFrozen", err)
	}
	if _, err := w.Control(f, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"}); !errors.Is(err, entity.ErrFrozen) {
		t.Errorf("Control in a frozen entity: %v, want ErrFrozen", err)
	}
	w.must(t, "reader", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	checkAdded(t, w.Entity, sign(t, w.who(t, "member"), w.draft(w.who(t, "member"), oplog.Control, oplog.FamilyPolicy, 99, []byte("later"))))
	if !w.State().Frozen {
		t.Error("a later op thaws what a critical one froze")
	}
	// What others write goes on, and one may still go.
	m := w.who(t, "member")
	checkAdded(t, w.Entity, sign(t, m, w.draft(m, oplog.Content, oplog.FamilyArticle, 1, []byte("sealed"))))
	w.must(t, "member", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	checkAgrees(t, w.Entity)
}

// TestAttackRESET: an op that stands outside the chains is the recovery key's and
// nobody else's; else a member could sign any number of ops that no chain bounds.
func TestAttackRESET(t *testing.T) {
	t.Parallel()
	for _, kind := range []entity.Kind{entity.Me, entity.Board, entity.Friend, entity.Profile} {
		w := settle(t, kind)
		for _, name := range []string{"founder", "stranger"} {
			p := w.who(t, name)
			checkRefused(t, w.Entity, sign(t, p, verbs["RESET"](t, w, p)), entity.ErrNotAuthorized)
		}
	}
}

// TestPastWithoutAdmission: an author is judged by the past he names, not by the
// state of who reads it.
func TestPastWithoutAdmission(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.who(t, "member")
	genesis := []keys.Digest{w.ID()}
	d := w.draft(m, oplog.Control, oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	d.Parents = genesis
	checkRefused(t, w.Entity, sign(t, m, d), entity.ErrNotAuthorized)
	c := w.draft(m, oplog.Content, oplog.FamilyArticle, 1, []byte("sealed"))
	c.Auth = genesis
	checkRefused(t, w.Entity, sign(t, m, c), entity.ErrNotAuthorized)
	// An epoch that is not in the past of auth, and one of nobody.
	old := w.Log().Heads(oplog.Control)
	f := w.who(t, "founder")
	epoch := w.must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{Commitment: keys.Digest{1}, Depth: nextEpoch(w).Depth, Replaces: epochs(w)})
	for _, id := range []keys.Digest{epoch.ID(), w.ID(), {9}} {
		c = w.draft(f, oplog.Content, oplog.FamilyArticle, 1, []byte("sealed"))
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
	m := w.who(t, "member")
	base := w.clone(t)
	for i := range byte(40) { // the forks of one hostile device
		checkAdded(t, w.Entity, sign(t, m, base.draft(m, oplog.Control, oplog.FamilyPolicy, 99, []byte{i})))
	}
	if n := len(w.Log().Heads(oplog.Control)); n < oplog.MaxParents {
		t.Fatalf("%d heads, want more than %d", n, oplog.MaxParents)
	}
	for i := range 5 {
		w.must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: string(rune('a' + i))})
	}
	if n := len(w.Log().Heads(oplog.Control)); n > 1 || w.State().Title != "e" {
		t.Errorf("after five ops: %d heads, title %q", n, w.State().Title)
	}
	w.post(t, "founder", "a post")
	checkAgrees(t, w.Entity)
}
