package entity_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

// lowOrder are box keys to which nothing can be sealed.
var lowOrder = map[string]keys.BoxID{
	"zero": {}, "of order 1": {1},
	"of order 8": {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
}

// TestDeviceOpTexts: what package chain refuses, a Me refuses, and says why. All that an op
// may say is tested there.
func TestDeviceOpTexts(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second")
	f, d := w.Who(t, "founder"), newDevice("newcomer")
	add := func(change func(*chain.DeviceAdd)) any {
		b := w.deviceAdd(d)
		change(&b)
		return b
	}
	rows := map[string]struct {
		body    any
		because string
	}{
		"a device again":             {w.deviceAdd(newDevice("second")), "is in the set"},
		"class 0":                    {add(func(b *chain.DeviceAdd) { b.Class = 0 }), "without device or class"},
		"no consent":                 {add(func(b *chain.DeviceAdd) { b.Consent = keys.Signature{} }), "consent"},
		"consent for another user":   {add(func(b *chain.DeviceAdd) { b.Consent = d.Consent(w.Who(t, "stranger").User()) }), "consent"},
		"not the next of the chain":  {add(func(b *chain.DeviceAdd) { b.Chain.Prev = w.ID() }), "the first epoch follows the genesis"},
		"after nothing":              {add(func(b *chain.DeviceAdd) { b.Chain.Prev = keys.Digest{} }), "follows no op of the device chain"},
		"after what is nowhere":      {add(func(b *chain.DeviceAdd) { b.Chain.Prev = keys.Digest{9} }), "follows no op of the device chain"},
		"after a RESET that was not": {add(func(b *chain.DeviceAdd) { b.Chain.Reset = 1 }), "reset 1, want 0"},
		"an unlisted device":         {classOf(w.chain(), "unlisted", chain.Phone), "is not in the set"},
		"nothing changes":            {classOf(w.chain(), "second", chain.Phone), "and alive"},
		"the sole voter goes":        {w.removeOf(w.chain(), "founder", 0), "by the device itself"},
		"voters that are not ready":  {chain.SetVoters{Voters: idsOf("second"), Chain: w.nextLink()}, "is not ready"},
		"no other anchor":            {chain.SetAnchor{Device: f.Key.ID(), Chain: w.nextLink()}, "anchor"},
		"new words without the old":  {newWordsOf(w.chain(), "other", "third"), "without the old words"},
		"a mend of no fork":          {chain.Mend{One: keys.Digest{1}, Other: keys.Digest{2}, OneVotes: []chain.Vote{}, OtherVotes: []chain.Vote{}, Chain: w.nextLink()}, "no op of this branch"},
	}
	for name, box := range lowOrder {
		rows["H27: a device box key "+name] = struct {
			body    any
			because string
		}{add(func(b *chain.DeviceAdd) {
			b.Box = box
			b.Consent = d.Key.Sign(keys.PurposeLink, chain.Consent(w.ID(), b.Device, box)) // by the device itself, even
		}), "low order"}
		rows["H27: a user box key "+name] = struct {
			body    any
			because string
		}{func() any {
			b := w.removeOf(w.chain(), "second", 0)
			b.Epoch.UserBox = box
			return b
		}(), "low order"}
	}
	for name, c := range rows {
		o := w.draw(t, f, c.body)
		_, err := w.clone(t).Add(o)
		if err == nil || !strings.Contains(err.Error(), c.because) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.because)
		}
		want := entity.ErrNotAuthorized
		if errors.Is(err, chain.ErrFormat) {
			want = entity.ErrBody
		}
		checkRefused(t, w.Entity, o, want)
	}
	for name, body := range map[string][]byte{"nothing": {}, "garbage": []byte("garbage"), "another shape": keys.Marshal(entity.Text{})} {
		for typ := uint16(8); typ <= 15; typ++ {
			o := sign(t, f, w.Draft(f, oplog.Control, oplog.FamilyMember, typ, body))
			checkRefused(t, w.Entity, o, entity.ErrBody)
			if t.Failed() {
				t.Fatalf("3/%d: the body is %s", typ, name)
			}
		}
	}
	// The honest ones are taken: nothing above failed for another reason. A state that was
	// handed out does not change.
	before := w.State().Devices
	for _, class := range []entity.Class{entity.Phone, entity.Desktop, entity.Server, 9} {
		x := w.clone(t)
		x.put(t, f, add(func(b *chain.DeviceAdd) { b.Class = class }))
		if got, ok := x.State().Device(d.Key.ID()); !ok || got != (entity.Device{ID: d.Key.ID(), Class: class, Box: d.Box.ID()}) {
			t.Errorf("added as %v: %+v, not alive", class, got)
		}
	}
	if _, err := entity.SetDeviceClass(w.Entity, f.Author(), ours("second").Key.ID(), entity.Server); err != nil {
		t.Fatalf("SetDeviceClass: %v", err)
	}
	if got, _ := w.State().Device(ours("second").Key.ID()); got.Class != entity.Server || before[1].Class != entity.Phone {
		t.Errorf("after a device-class: %+v, before it %+v", got, before[1])
	}
}

// TestDeviceConsentReplayed: what a device consented to for one user lists it with no
// other, also when the other copies the whole op.
func TestDeviceConsentReplayed(t *testing.T) {
	t.Parallel()
	w, d := found(t, entity.Me), newDevice("second")
	w.Link(t, d, 0)
	m := w.Who(t, "mallory")
	theirs := &world{&entitytest.World{Entity: clone(t, m.Me.Entity), People: w.People, Ref: w.Ref}}
	b := w.deviceAdd(d)
	b.Chain = theirs.nextLink()
	o := sign(t, m, theirs.Draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, b))
	if _, err := theirs.Add(o); !errors.Is(err, entity.ErrNotAuthorized) || !strings.Contains(err.Error(), "consent") {
		t.Errorf("a consent to another user: %v, want it refused for want of consent", err)
	}
	// The same two may be together: the consent says only whose it becomes.
	b.Consent = d.Consent(m.User())
	checkAdded(t, theirs.Entity, sign(t, m, theirs.Draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, b)))
}

// TestFullDevices: a user has 32 devices at most, and they are told in the order of the
// chain, the Party ascending.
func TestFullDevices(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	f := w.Who(t, "founder")
	want := []keys.ID{f.Key.ID()}
	for n := 1; n < chain.MaxDevices; n++ {
		d := newDevice(fmt.Sprint(n))
		w.Link(t, d, 0)
		want = append(want, d.Key.ID())
	}
	var got []keys.ID
	for _, d := range w.State().Devices {
		got = append(got, d.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d devices in another order than they came", len(got))
	}
	checkRefused(t, w.Entity, w.draw(t, f, w.deviceAdd(newDevice("newcomer"))), entity.ErrNotAuthorized)
	p := w.State().Party("x")
	if !slices.Equal(p.Devices, sorted(slices.Clone(want))) || p.Head != w.State().DeviceHead || p.User != w.ID() {
		t.Errorf("party %+v", p)
	}
	if m, _ := w.State().Member(w.ID()); !slices.Equal(m.Party.Devices, p.Devices) {
		t.Error("another set speaks for the user in his Me")
	}
	c, err := entity.OpenDeviceChain(w.DeviceChain())
	if err != nil || !entity.PartyOf(c, "x").Same(p) {
		t.Errorf("OpenDeviceChain: %v", err)
	}
}

// TestNewDeviceWrites: what a device writes counts from its device-add on, by what it
// cites and not by when it comes.
func TestNewDeviceWrites(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	d := newDevice("second")
	me := w.Who(t, "founder").By(d.Key)
	write := func() oplog.Draft {
		return w.Draft(me, oplog.Content, oplog.FamilyMe, 5, []byte("sealed"))
	}
	before := write()
	checkRefused(t, w.Entity, sign(t, me, before), entity.ErrNotAuthorized)
	w.Link(t, d, 0)
	checkRefused(t, w.Entity, sign(t, me, before), entity.ErrNotAuthorized) // it still cites what did not know the device
	after := write()
	o := sign(t, me, after)
	checkAdded(t, w.Entity, o)
	if !w.Counts(o) || !w.State().Speaks(w.ID(), d.Key.ID(), entity.Master) || !w.State().CanWrite(w.ID(), d.Key.ID()) {
		t.Error("what an added device writes does not count")
	}
	if user, ok := w.State().UserOf(d.Key.ID()); !ok || user != w.ID() {
		t.Errorf("the device belongs to %v, %v", user, ok)
	}
}

// TestNewDeviceElsewhere: in an entity that the user joined before, a new device
// speaks from the op on that lists it there, and then may list others.
func TestNewDeviceElsewhere(t *testing.T) {
	t.Parallel()
	me := found(t, entity.Me)
	me.Link(t, newDevice("second"), 0)
	two := me.State().Party("founder")
	me.Link(t, newDevice("third"), 0)
	three := me.State().Party("founder")

	for _, kind := range []entity.Kind{entity.Board, entity.Profile, entity.Friend} {
		w := foundBy(t, kind, me.People)
		f := w.Who(t, "founder")
		d := f.By(newDevice("second").Key)
		if !w.Listing(me.ID(), d.Key.ID()).IsZero() {
			t.Errorf("%v: the device is listed before it is", kind)
		}
		list := func(p person, party entity.Party) oplog.Op {
			return sign(t, p, w.Draft(p, oplog.Control, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party}))
		}
		write := func() oplog.Op {
			return sign(t, d, w.Draft(d, oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, []byte("sealed")))
		}
		checkRefused(t, w.Entity, list(d, two), entity.ErrNotAuthorized)
		checkRefused(t, w.Entity, write(), entity.ErrNotAuthorized)
		o := list(f, two)
		checkAdded(t, w.Entity, o)
		if w.Listing(me.ID(), d.Key.ID()) != o.ID() {
			t.Errorf("%v: listed by %v, want %v", kind, w.Listing(me.ID(), d.Key.ID()), o.ID())
		}
		checkAdded(t, w.Entity, write())
		again := list(d, three)
		checkAdded(t, w.Entity, again)
		if got := w.Listing(me.ID(), newDevice("third").Key.ID()); got != again.ID() || w.Listing(me.ID(), d.Key.ID()) != again.ID() {
			t.Errorf("%v: the third is listed by %v, want %v", kind, got, again.ID())
		}
		if got := w.Listing(me.ID(), f.Key.ID()); got != again.ID() {
			t.Errorf("%v: the first is listed last by %v, want %v", kind, got, again.ID())
		}
		if m, _ := w.State().Member(me.ID()); !m.Party.Same(three) {
			t.Errorf("%v: party %+v", kind, m.Party)
		}
		// An op that does not name the device lists it not.
		checkAdded(t, w.Entity, sign(t, f, w.Draft(f, oplog.Control, oplog.FamilyMember, entity.TypeDevices, entity.Devices{
			Party: two, Cuts: []entity.Cut{{Device: newDevice("third").Key.ID(), Strand: oplog.Content}},
		})))
		if got := w.Listing(me.ID(), newDevice("third").Key.ID()); got != again.ID() {
			t.Errorf("%v: the third is listed by %v, want %v still", kind, got, again.ID())
		}
	}
}

// TestListingIsTheUsers: what an owner writes for a member does not count as a word of
// that member's own devices, nor what another says of the same key.
func TestListingIsTheUsers(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m, d := w.Who(t, "member"), newDevice("second").Key.ID()
	party := m.Party()
	party.Devices = sorted(append(party.Devices, d))
	w.Must(t, "founder", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
	if !w.State().Speaks(m.User(), d, entity.Member) {
		t.Fatal("the owner's word is none")
	}
	for name, user := range map[string]keys.Digest{"the member": m.User(), "the owner": w.Who(t, "founder").User()} {
		if got := w.Listing(user, d); !got.IsZero() {
			t.Errorf("listed by %v as %s's", got, name)
		}
	}
	o := w.Must(t, "member", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
	if got := w.Listing(m.User(), d); got != o.ID() {
		t.Errorf("listed by %v, want the member's own %v", got, o.ID())
	}
}
