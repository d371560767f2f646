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
		got := ""
		for _, v := range s.Voters() {
			got += fmt.Sprint(v[0])
		}
		if got != c.voters || len(got)%2 == 0 {
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

// TestSecondSuccessor: of two device ops that follow one the lower id stays, on every
// node, and what builds on the other is void with it.
func TestSecondSuccessor(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	f := w.who(t, "founder")
	// Only epochs can stand beside each other: everything else of a device that signs
	// two ops at one place is void for that.
	branch := func() (*world, oplog.Op) {
		b := w.clone(t)
		o := b.must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, b.nextEpoch())
		return b, o
	}
	one, a := branch()
	two, b := branch()
	if compare(a.ID(), b.ID()) > 0 {
		one, two, a, b = two, one, b, a
	}
	onTop := sign(t, f, two.draft(f, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, two.deviceAdd(newDevice("late"))))
	checkAdded(t, two.Entity, onTop)
	for _, o := range all(two.Entity) {
		if _, err := one.Add(o); err != nil {
			t.Fatalf("Add: %v", err)
		}
	}
	if _, err := two.Add(a); err != nil {
		t.Fatalf("Add: %v", err)
	}
	for name, n := range map[string]*world{"who had the lower first": one, "who had the higher first": two} {
		s := n.State()
		if _, stays := s.Epochs[a.ID()]; !stays || len(s.Epochs) != 2 || s.DeviceHead != a.ID() || s.Void[a.ID()] || !s.Void[b.ID()] {
			t.Errorf("%s: head %v, %d epochs, want %v and the other void", name, s.DeviceHead, len(s.Epochs), a.ID())
		}
		if _, listed := s.Device(newDevice("late").key.ID()); listed || !s.Void[onTop.ID()] {
			t.Errorf("%s: a device-add on the op that is void counts", name)
		}
		if _, ok := n.PartyAt(b.ID(), ""); ok {
			t.Errorf("%s: a party as of an op that is void", name)
		}
		if _, ok := n.PartyAt(a.ID(), ""); !ok {
			t.Errorf("%s: no party as of the op that stays", name)
		}
	}
	if !bytes.Equal(snapshot(one.Entity), snapshot(two.Entity)) {
		t.Error("two nodes, two states")
	}
}

// TestDeviceAddsBesideEachOther: a voter who adds two devices at one place of his
// chain has added neither, whoever saw which first.
func TestDeviceAddsBesideEachOther(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	one, two := w.clone(t), w.clone(t)
	a, b := one.link(t, newDevice("one"), entity.Server), two.link(t, newDevice("two"), 0)
	// The server that only one node knows of decides there.
	one.people["server"] = w.who(t, "founder").by(newDevice("one").key)
	onTop := one.must(t, "server", oplog.FamilyMember, entity.TypeDeviceAdd, one.deviceAdd(newDevice("three")))
	for from, to := range map[*world]*world{one: two, two: one} {
		for _, o := range all(from.Entity) {
			if _, err := to.Add(o); err != nil {
				t.Fatalf("Add: %v", err)
			}
		}
	}
	for _, n := range []*world{one, two} {
		s := n.State()
		if len(s.Devices) != 1 || !s.Void[a.ID()] || !s.Void[b.ID()] || !s.Void[onTop.ID()] || s.DeviceHead != w.State().DeviceHead {
			t.Errorf("%d devices, head %v, want the first device alone", len(s.Devices), s.DeviceHead)
		}
	}
	if !bytes.Equal(snapshot(one.Entity), snapshot(two.Entity)) {
		t.Error("two nodes, two states")
	}
}

// nextEpoch is the body of one more epoch of a Me.
func (w *world) nextEpoch() entity.Epoch {
	key := keys.NewOpKey()
	b := entity.Epoch{Commitment: key.Commitment(w.ID()), Replaces: epochs(w)}
	for _, e := range w.State().Epochs {
		b.Depth = max(b.Depth, e.Depth+1)
	}
	if w.State().Kind == entity.Me {
		link := w.nextLink()
		b.UserBox, b.Chain = new(key.UserBox().ID()), &link
	}
	return b
}

// TestPartyAt: what others knew of a user's devices once, by the op of his chain that
// they name.
func TestPartyAt(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	type point struct {
		head  keys.Digest
		party entity.Party
	}
	var points []point
	mark := func() {
		points = append(points, point{w.State().DeviceHead, w.State().Party("rita")})
	}
	mark()
	add := w.link(t, newDevice("second"), 0)
	mark()
	if _, err := entity.SetDeviceClass(w.Entity, w.who(t, "founder").author(), newDevice("second").key.ID(), entity.Phone); err != nil {
		t.Fatal(err)
	}
	mark()
	w.must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, w.nextEpoch())
	mark()
	w.link(t, newDevice("third"), 0)
	mark()
	for i, p := range points {
		got, ok := w.PartyAt(p.head, "rita")
		if !ok || !got.Same(p.party) || got.Name != "rita" || got.Head != p.head {
			t.Errorf("at op %d: %+v, %v, want %+v", i, got, ok, p.party)
		}
		for j, q := range points {
			if i != j && got.Same(q.party) {
				t.Errorf("the parties at ops %d and %d are the same", i, j)
			}
		}
	}
	if p := points[1].party; !slices.Contains(p.Devices, newDevice("second").key.ID()) || p.Head != add.ID() || len(p.Devices) != 2 {
		t.Errorf("after the first device-add: %+v", p)
	}
	later := w.must(t, "founder", oplog.FamilyPolicy, 99, entity.Text{Text: "later"})
	for name, head := range map[string]keys.Digest{"an unknown op": {9}, "no op": {}, "an op that is no device op": later.ID(), "one's own content": w.post(t, "founder", "x").ID()} {
		if p, ok := w.PartyAt(head, "rita"); ok || p.User != (keys.Digest{}) {
			t.Errorf("at %s: %+v, want none", name, p)
		}
	}
	board := settle(t, entity.Board)
	if _, ok := board.PartyAt(board.ID(), ""); ok {
		t.Error("a party as of a board")
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
	}
}

// TestAdmittedAtAnOlderHead: a requester whose device set grew between his request and
// the approval is admitted with the set of the request, as one of his heads says it.
func TestAdmittedAtAnOlderHead(t *testing.T) {
	t.Parallel()
	me := found(t, entity.Me)
	asked := me.State().Party("founder")
	me.link(t, newDevice("second"), entity.Phone)
	now := me.State().Party("founder")
	for name, c := range map[string]struct {
		party entity.Party
		ok    bool
	}{
		"the set of the request":            {asked, true},
		"the set of now":                    {now, true},
		"the set of now by the older head":  {entity.Party{User: now.User, Head: asked.Head, Devices: now.Devices, Box: now.Box}, false},
		"the older set by the head of now":  {entity.Party{User: now.User, Head: now.Head, Devices: asked.Devices, Box: now.Box}, false},
		"another box key by the older head": {entity.Party{User: now.User, Head: asked.Head, Devices: asked.Devices, Box: keys.NewBox().ID()}, false},
		"a head that is no device op":       {entity.Party{User: now.User, Head: keys.Digest{7}, Devices: now.Devices, Box: now.Box}, false},
	} {
		w := foundBy(t, entity.Board, map[string]person{"founder": newPerson(t, "mia")})
		o, err := entity.ApproveJoinEntity(w.Entity, w.who(t, "founder").author(), w.ring, entity.Admission{Party: c.party, Role: entity.Member, Ref: &w.ref})
		if err != nil {
			t.Fatalf("%s: ApproveJoinEntity: %v", name, err)
		}
		x := w.offer(t, "joiner", o, nil)
		x.want.Me = me.Entity
		e, _, err := entity.CreateJoinEntity(x.ap, x.want)
		if (err == nil) != c.ok || (e == nil) == c.ok {
			t.Errorf("%s: %v, want it taken: %v", name, err, c.ok)
		}
		if !c.ok {
			continue
		}
		// The user then says himself what his devices are by now.
		if _, err := e.Control(entity.Author{Key: me.who(t, "founder").key, User: me.ID()}, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: now}); err != nil {
			t.Errorf("%s: the devices of now: %v", name, err)
		}
	}
}

// TestDeviceChainOfMany: the chain of a user with several devices, as strangers see it.
func TestDeviceChainOfMany(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	w.link(t, newDevice("second"), entity.Phone)
	w.link(t, newDevice("third"), 0)
	good := w.ControlStrand()
	e, err := entity.OpenDeviceChain(good)
	if err != nil || !bytes.Equal(snapshot(e), snapshot(w.Entity)) {
		t.Fatalf("OpenDeviceChain: %v", err)
	}
	s := e.State()
	if len(s.Devices) != 3 || !s.Devices[0].Alive || !s.Devices[1].Alive || s.Devices[2].Alive || s.Devices[1].Class != entity.Phone {
		t.Errorf("devices %+v", s.Devices)
	}
	for _, name := range []string{"second", "third"} {
		if !s.Speaks(e.ID(), newDevice(name).key.ID(), entity.Master) {
			t.Errorf("the %s does not speak for its user", name)
		}
	}
	for i := 3; i < len(good); i++ { // the device ops
		for at := range good[i] {
			bad := slices.Clone(good)
			bad[i] = bytes.Clone(good[i])
			bad[i][at] ^= 1
			if e, err := entity.OpenDeviceChain(bad); err == nil || e != nil {
				t.Fatalf("byte %d of op %d flipped: the chain opens", at, i)
			}
		}
		if i == len(good)-1 {
			continue
		}
		if _, err := entity.OpenDeviceChain(slices.Delete(slices.Clone(good), i, i+1)); err == nil {
			t.Errorf("the chain opens without op %d", i)
		}
		bad := slices.Clone(good)
		bad[i], bad[i+1] = bad[i+1], bad[i]
		if _, err := entity.OpenDeviceChain(bad); err == nil {
			t.Errorf("the chain opens with ops %d and %d exchanged", i, i+1)
		}
		if e, err := entity.OpenDeviceChain(good[:i]); err != nil || e.State().Party("").Same(s.Party("")) {
			t.Errorf("the first %d ops: %v, or the same party", i, err)
		}
	}
	// A device op of another user's chain, or signed by a device of another.
	m := w.who(t, "mallory")
	o := sign(t, m, w.draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, w.deviceAdd(newDevice("late"))))
	named := w.who(t, "founder").by(newDevice("late").key)
	p := sign(t, named, w.draft(named, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, w.deviceAdd(newDevice("late"))))
	for name, raw := range map[string][]byte{"another user": o.Bytes(), "the device itself": p.Bytes()} {
		if _, err := entity.OpenDeviceChain(append(slices.Clone(good), raw)); !errors.Is(err, entity.ErrNotAuthorized) {
			t.Errorf("a device-add by %s: %v, want ErrNotAuthorized", name, err)
		}
	}
}
