package entity_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// lowOrder are box keys to which nothing can be sealed.
var lowOrder = map[string]keys.BoxID{
	"zero": {}, "of order 1": {1},
	"of order 8": {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
}

// TestDeviceAddTexts is what even the sole voter may not say of a new device. Consent
// is over one user, device and box key and for one purpose.
func TestDeviceAddTexts(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	second(entity.Phone)(t, w)
	d, other := newDevice("newcomer"), newDevice("other")
	stranger := w.who(t, "stranger").user()
	rows := map[string]struct {
		change  func(*entity.DeviceAdd)
		because string
	}{
		"the first device again": {func(b *entity.DeviceAdd) {
			f := device{w.who(t, "founder").key, d.box}
			b.Device, b.Consent = f.key.ID(), f.consent(w.ID())
		}, "is in the set"},
		"the second device again":              {func(b *entity.DeviceAdd) { *b = w.deviceAdd(newDevice("second")) }, "is in the set"},
		"class 0":                              {func(b *entity.DeviceAdd) { b.Class = 0 }, "unknown class"},
		"class 4":                              {func(b *entity.DeviceAdd) { b.Class = 4 }, "unknown class"},
		"no consent":                           {func(b *entity.DeviceAdd) { b.Consent = keys.Signature{} }, "consent"},
		"consent for another user":             {func(b *entity.DeviceAdd) { b.Consent = d.consent(stranger) }, "consent"},
		"consent for another user's box key":   {func(b *entity.DeviceAdd) { b.Consent = device{d.key, other.box}.consent(w.ID()) }, "consent"},
		"consent of another device":            {func(b *entity.DeviceAdd) { b.Consent = other.consent(w.ID()) }, "consent"},
		"consent for this one by another":      {func(b *entity.DeviceAdd) { b.Consent = device{other.key, d.box}.consent(w.ID()) }, "consent"},
		"another's device, with one's own key": {func(b *entity.DeviceAdd) { b.Device = other.key.ID() }, "consent"},
		"another box key than consented to":    {func(b *entity.DeviceAdd) { b.Box = other.box.ID() }, "consent"},
		"consent signed as an operation": {func(b *entity.DeviceAdd) {
			b.Consent = d.key.Sign(keys.PurposeOp, entity.Consent(w.ID(), b.Device, b.Box))
		}, "consent"},
		"consent signed as a device's proof": {func(b *entity.DeviceAdd) {
			b.Consent = d.key.Sign(keys.PurposeDevice, entity.Consent(w.ID(), b.Device, b.Box))
		}, "consent"},
		"consent by the user for the device": {func(b *entity.DeviceAdd) {
			b.Consent = w.who(t, "founder").key.Sign(keys.PurposeLink, entity.Consent(w.ID(), b.Device, b.Box))
		}, "consent"},
		"not the next of the chain":  {func(b *entity.DeviceAdd) { b.Chain.Prev = w.ID() }, "not the next"},
		"after nothing":              {func(b *entity.DeviceAdd) { b.Chain.Prev = keys.Digest{} }, "not the next"},
		"after a RESET that was not": {func(b *entity.DeviceAdd) { b.Chain.Reset = 1 }, "not the next"},
		"with votes of a sole voter": {func(b *entity.DeviceAdd) { b.Chain.Votes = make([]entity.Vote, 1) }, "one voter alone"},
	}
	for name, box := range lowOrder {
		rows["H27: a device box key "+name] = struct {
			change  func(*entity.DeviceAdd)
			because string
		}{func(b *entity.DeviceAdd) {
			b.Box = box
			b.Consent = d.key.Sign(keys.PurposeLink, entity.Consent(w.ID(), b.Device, box)) // by the device itself, even
		}, "low order"}
	}
	f := w.who(t, "founder")
	for name, c := range rows {
		b := w.deviceAdd(d)
		c.change(&b)
		o := sign(t, f, w.draft(f, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, b))
		if _, err := w.clone(t).Add(o); err == nil || !strings.Contains(err.Error(), c.because) {
			t.Errorf("device-add, %s: %v, want it to say %q", name, err, c.because)
		}
		checkRefused(t, w.Entity, o, entity.ErrNotAuthorized)
	}
	for name, body := range map[string][]byte{"nothing": {}, "garbage": []byte("garbage"), "another shape": keys.Marshal(entity.Text{})} {
		for _, typ := range []uint16{entity.TypeDeviceAdd, entity.TypeDeviceClass} {
			o := sign(t, f, w.draft(f, oplog.Control, oplog.FamilyMember, typ, body))
			checkRefused(t, w.Entity, o, entity.ErrBody)
			if t.Failed() {
				t.Fatalf("3/%d: the body is %s", typ, name)
			}
		}
	}
	// The honest one, of each class, is taken: nothing above failed for another reason.
	for _, class := range []entity.Class{entity.Phone, entity.Desktop, entity.Server} {
		fresh := w.clone(t)
		b := fresh.deviceAdd(d)
		b.Class = class
		checkAdded(t, fresh.Entity, sign(t, f, fresh.draft(f, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, b)))
		got, ok := fresh.State().Device(d.key.ID())
		if want := (entity.Device{ID: d.key.ID(), Class: class, Box: d.box.ID()}); !ok || got != want {
			t.Errorf("added as %v: %+v, want %+v, not alive", class, got, want)
		}
	}
}

// TestDeviceClassTexts is the same for device-class, in which a device comes alive.
func TestDeviceClassTexts(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	second(0)(t, w)
	f, d := w.who(t, "founder"), newDevice("second").key.ID()
	for name, c := range map[string]struct {
		change  func(*entity.DeviceClass)
		because string
	}{
		"a device of nobody":         {func(b *entity.DeviceClass) { b.Device = newDevice("unlisted").key.ID() }, "is not in the set"},
		"no device":                  {func(b *entity.DeviceClass) { b.Device = keys.ID{} }, "is not in the set"},
		"class 0":                    {func(b *entity.DeviceClass) { b.Class = 0 }, "unknown class"},
		"class 4":                    {func(b *entity.DeviceClass) { b.Class = 4 }, "unknown class"},
		"not the next of the chain":  {func(b *entity.DeviceClass) { b.Chain.Prev = w.ID() }, "not the next"},
		"after a RESET that was not": {func(b *entity.DeviceClass) { b.Chain.Reset = 1 }, "not the next"},
		"with votes":                 {func(b *entity.DeviceClass) { b.Chain.Votes = make([]entity.Vote, 1) }, "one voter alone"},
	} {
		b := entity.DeviceClass{Device: d, Class: entity.Phone, Chain: w.nextLink()}
		c.change(&b)
		o := sign(t, f, w.draft(f, oplog.Control, oplog.FamilyMember, entity.TypeDeviceClass, b))
		if _, err := w.clone(t).Add(o); err == nil || !strings.Contains(err.Error(), c.because) {
			t.Errorf("device-class, %s: %v, want it to say %q", name, err, c.because)
		}
		checkRefused(t, w.Entity, o, entity.ErrNotAuthorized)
	}
	before := w.State().Devices
	for _, class := range []entity.Class{entity.Phone, entity.Desktop, entity.Phone} { // up, and down again
		if _, err := entity.SetDeviceClass(w.Entity, f.author(), d, class); err != nil {
			t.Fatalf("SetDeviceClass %v: %v", class, err)
		}
		if got, _ := w.State().Device(d); got.Class != class || !got.Alive || got.Box != before[1].Box {
			t.Errorf("as %v: %+v", class, got)
		}
	}
	if before[1].Alive {
		t.Error("a state that was handed out changed")
	}
}

// TestDeviceConsentReplayed: what a device consented to for one user lists it with no
// other, also when the other copies the whole op.
func TestDeviceConsentReplayed(t *testing.T) {
	t.Parallel()
	w, d := found(t, entity.Me), newDevice("second")
	w.link(t, d, 0)
	m := w.who(t, "mallory")
	theirs := &world{Entity: clone(t, m.me.Entity), people: w.people, ref: w.ref}
	b := w.deviceAdd(d)
	b.Chain = theirs.nextLink()
	o := sign(t, m, theirs.draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, b))
	if _, err := theirs.Add(o); !errors.Is(err, entity.ErrNotAuthorized) || !strings.Contains(err.Error(), "consent") {
		t.Errorf("a consent to another user: %v, want it refused for want of consent", err)
	}
	// The same two may be together: the consent says only whose it becomes.
	b.Consent = d.consent(m.user())
	checkAdded(t, theirs.Entity, sign(t, m, theirs.draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, b)))
}

// TestFullDevices: a user has 64 devices at most, and they are told in the order of
// the chain, his Party ascending.
func TestFullDevices(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	f := w.who(t, "founder")
	want := []keys.ID{f.key.ID()}
	for n := 1; n < entity.MaxDevices; n++ {
		d := newDevice(fmt.Sprint(n))
		w.link(t, d, 0)
		want = append(want, d.key.ID())
	}
	var got []keys.ID
	for _, d := range w.State().Devices {
		got = append(got, d.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d devices in another order than they came", len(got))
	}
	o := sign(t, f, w.draft(f, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, w.deviceAdd(newDevice("newcomer"))))
	checkRefused(t, w.Entity, o, entity.ErrNotAuthorized)
	p := w.State().Party("x")
	if !slices.Equal(p.Devices, sorted(slices.Clone(want))) || p.Head != w.State().DeviceHead || p.User != w.ID() {
		t.Errorf("party %+v", p)
	}
	if m, _ := w.State().Member(w.ID()); !slices.Equal(m.Party.Devices, p.Devices) {
		t.Error("another set speaks for the user in his Me")
	}
	chain, err := entity.OpenDeviceChain(w.ControlStrand())
	if err != nil || !chain.State().Party("x").Same(p) {
		t.Errorf("OpenDeviceChain: %v", err)
	}
}

// TestVoters is docs/PROTOCOL.md §7.2 as a table. A device is the letter of its class,
// elder first, and lower case while it is not alive.
func TestVoters(t *testing.T) {
	t.Parallel()
	class := map[byte]entity.Class{'P': entity.Phone, 'D': entity.Desktop, 'S': entity.Server}
	for _, c := range []struct {
		devices string
		voters  string // places in devices, the greatest class first, elder first
	}{
		{"D", "0"},
		{"P", "0"},
		{"S", "0"},
		{"Dp", "0"}, // not alive: nobody yet
		{"Ds", "0"},
		{"DP", "0"}, // of a lower class
		{"PD", "1"}, // of a higher class: the elder has no vote any more
		{"DPPPP", "0"},
		{"DD", "0"}, // even, and no lower class: without the youngest
		{"DDd", "0"},
		{"DDp", "0"},   // the lower class has none alive
		{"DDP", "012"}, // even: with the eldest of the next lower class
		{"PDD", "120"},
		{"DDPP", "012"}, // one of them
		{"PDPD", "130"},
		{"DDpP", "013"}, // the eldest alive
		{"DDD", "012"},
		{"DDDP", "012"},
		{"DDDD", "012"},
		{"DDDDP", "01234"},
		{"PP", "0"},
		{"PPP", "012"},
		{"PPPP", "012"},
		{"SS", "0"},
		{"SSP", "012"}, // the next lower class that has one
		{"SSDP", "012"},
		{"SSPD", "013"},
		{"SSdP", "013"},
		{"PDS", "2"},
		{"SDDPP", "0"},
		{"SSSDD", "012"},
	} {
		s := &entity.State{Kind: entity.Me}
		for i := range len(c.devices) {
			letter := bytes.ToUpper([]byte{c.devices[i]})[0]
			s.Devices = append(s.Devices, entity.Device{ID: keys.ID{byte(i), 1}, Class: class[letter], Alive: letter == c.devices[i]})
		}
		var got []byte
		for _, v := range s.Voters() {
			got = append(got, '0'+v[0])
		}
		if string(got) != c.voters || len(got)%2 == 0 {
			t.Errorf("devices %s: voters %s, want %s", c.devices, got, c.voters)
		}
		for i := range len(c.devices) {
			if sole := s.SoleVoter(keys.ID{byte(i), 1}); sole != (c.voters == fmt.Sprint(i)) {
				t.Errorf("devices %s: device %d decides alone: %v, of voters %s", c.devices, i, sole, c.voters)
			}
		}
		s.Kind = entity.Board
		if v := s.Voters(); v != nil || s.SoleVoter(keys.ID{0, 1}) {
			t.Errorf("voters %v outside Me", v)
		}
	}
}

// TestNewDeviceWrites: what a device writes counts from its device-add on, by what it
// cites and not by when it comes.
func TestNewDeviceWrites(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	d := newDevice("second")
	me := w.who(t, "founder").by(d.key)
	write := func() oplog.Draft {
		return w.draft(me, oplog.Content, oplog.FamilyMe, entity.TypeSetting, []byte("sealed"))
	}
	before := write()
	checkRefused(t, w.Entity, sign(t, me, before), entity.ErrNotAuthorized)
	w.link(t, d, 0)
	checkRefused(t, w.Entity, sign(t, me, before), entity.ErrNotAuthorized) // it still cites what did not know the device
	after := write()
	o := sign(t, me, after)
	checkAdded(t, w.Entity, o)
	if !w.Counts(o) || !w.State().Speaks(w.ID(), d.key.ID(), entity.Master) || !w.State().CanWrite(w.ID(), d.key.ID()) {
		t.Error("what an added device writes does not count")
	}
	if user, ok := w.State().UserOf(d.key.ID()); !ok || user != w.ID() {
		t.Errorf("the device belongs to %v, %v", user, ok)
	}
}

// TestNewDeviceElsewhere: in an entity that the user joined before, a new device
// speaks from the op on that lists it there, and then may list others.
func TestNewDeviceElsewhere(t *testing.T) {
	t.Parallel()
	me := found(t, entity.Me)
	me.link(t, newDevice("second"), 0)
	two := me.State().Party("founder")
	me.link(t, newDevice("third"), 0)
	three := me.State().Party("founder")

	for _, kind := range []entity.Kind{entity.Board, entity.Profile, entity.Friend} {
		w := foundBy(t, kind, me.people)
		f := w.who(t, "founder")
		d := f.by(newDevice("second").key)
		if !w.Listing(me.ID(), d.key.ID()).IsZero() {
			t.Errorf("%v: the device is listed before it is", kind)
		}
		list := func(p person, party entity.Party) oplog.Op {
			return sign(t, p, w.draft(p, oplog.Control, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party}))
		}
		write := func() oplog.Op {
			return sign(t, d, w.draft(d, oplog.Content, oplog.FamilyArticle, entity.TypeArticleNew, []byte("sealed")))
		}
		checkRefused(t, w.Entity, list(d, two), entity.ErrNotAuthorized)
		checkRefused(t, w.Entity, write(), entity.ErrNotAuthorized)
		o := list(f, two)
		checkAdded(t, w.Entity, o)
		if w.Listing(me.ID(), d.key.ID()) != o.ID() {
			t.Errorf("%v: listed by %v, want %v", kind, w.Listing(me.ID(), d.key.ID()), o.ID())
		}
		checkAdded(t, w.Entity, write())
		again := list(d, three)
		checkAdded(t, w.Entity, again)
		if got := w.Listing(me.ID(), newDevice("third").key.ID()); got != again.ID() || w.Listing(me.ID(), d.key.ID()) != again.ID() {
			t.Errorf("%v: the third is listed by %v, want %v", kind, got, again.ID())
		}
		if got := w.Listing(me.ID(), f.key.ID()); got != again.ID() {
			t.Errorf("%v: the first is listed last by %v, want %v", kind, got, again.ID())
		}
		if m, _ := w.State().Member(me.ID()); !m.Party.Same(three) {
			t.Errorf("%v: party %+v", kind, m.Party)
		}
		// An op that does not name the device lists it not.
		checkAdded(t, w.Entity, sign(t, f, w.draft(f, oplog.Control, oplog.FamilyMember, entity.TypeDevices, entity.Devices{
			Party: two, Cuts: []entity.Cut{{Device: newDevice("third").key.ID(), Strand: oplog.Content}},
		})))
		if got := w.Listing(me.ID(), newDevice("third").key.ID()); got != again.ID() {
			t.Errorf("%v: the third is listed by %v, want %v still", kind, got, again.ID())
		}
	}
}

// TestListingIsTheUsers: what an owner writes for a member does not count as a word of
// that member's own devices, nor what another says of the same key.
func TestListingIsTheUsers(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m, d := w.who(t, "member"), newDevice("second").key.ID()
	party := m.party()
	party.Devices = sorted(append(party.Devices, d))
	w.must(t, "founder", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
	if !w.State().Speaks(m.user(), d, entity.Member) {
		t.Fatal("the owner's word is none")
	}
	for name, user := range map[string]keys.Digest{"the member": m.user(), "the owner": w.who(t, "founder").user()} {
		if got := w.Listing(user, d); !got.IsZero() {
			t.Errorf("listed by %v as %s's", got, name)
		}
	}
	o := w.must(t, "member", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
	if got := w.Listing(m.user(), d); got != o.ID() {
		t.Errorf("listed by %v, want the member's own %v", got, o.ID())
	}
}
