package entity_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

// handed is an entity that one device of a user hands over to another.
type handed struct {
	w      *world
	me     *world
	d      device
	kind   entity.Kind
	ap     delivery
	device keys.ID
}

// handOver founds an entity of kind by a user with two devices, the second listed.
func handOver(t *testing.T, kind entity.Kind) *handed {
	t.Helper()
	me, d := found(t, entity.Me), newDevice("second")
	o := me.Link(t, d, 0)
	x := &handed{w: me, me: me, d: d, kind: kind, device: d.Key.ID()}
	if kind != entity.Me {
		x.w = foundOwn(t, me, kind, me.State().Party("founder"))
		o, _ = x.w.Log().Get(x.w.ID())
	}
	x.ap = delivery{Approval: entity.Approval{Entity: x.w.ID(), Admit: o.ID()}}
	x.pack()
	return x
}

// foundOwn is a personal entity of the founder with the party given.
func foundOwn(t *testing.T, me *world, kind entity.Kind, party entity.Party) *world {
	t.Helper()
	g := entity.Genesis{Kind: kind, Founder: &party}
	if kind == entity.Board {
		g.Personal, g.Policy = true, &entitytest.OpenPolicy
	}
	c, err := entity.CreateEntity(me.Who(t, "founder").Author(), g)
	if err != nil {
		t.Fatal(err)
	}
	return &world{&entitytest.World{Entity: c.Entity, Ring: entity.Keyring{c.Epoch: c.Key}, People: me.People, Ref: me.Ref}}
}

func (x *handed) pack() {
	x.ap.Logs, x.ap.Keys = x.w.ControlStrand(), nil
	for id, k := range x.w.Ring {
		x.ap.Keys = append(x.ap.Keys, entity.EpochKey{Epoch: id, Key: k.Secret()})
	}
}

// relist founds the entity anew with the first device alone and lists the second by p.
func (x *handed) relist(t *testing.T, p func(w *world) person, devices entity.Devices) {
	t.Helper()
	x.w = foundOwn(t, x.me, x.kind, x.me.Who(t, "founder").Party())
	if p != nil {
		by := p(x.w)
		o, err := x.w.Control(by.Author(), oplog.FamilyMember, entity.TypeDevices, devices)
		if err != nil {
			t.Fatal(err)
		}
		x.ap.Admit = o.ID()
	} else {
		x.ap.Admit = x.w.ID()
	}
	x.ap.Entity = x.w.ID()
	x.pack()
}

// TestCreateOwn: what init-me-info-sync hands over, listed by its genesis, by an op
// since, or by a later one.
func TestCreateOwn(t *testing.T) {
	t.Parallel()
	for _, kind := range []entity.Kind{entity.Me, entity.Profile, entity.Board} {
		x := handOver(t, kind)
		create := func(name string) {
			t.Helper()
			e, ring, err := createOwn(x.ap, x.me.Entity, kind, x.device)
			if err != nil || !bytes.Equal(snapshot(e), snapshot(x.w.Entity)) || len(ring) != 1 {
				t.Errorf("%v, %s: %v", kind, name, err)
			}
		}
		create("listed from the beginning")
		if kind == entity.Me {
			continue
		}
		founder := func(*world) person { return x.me.Who(t, "founder") }
		x.relist(t, founder, entity.Devices{Party: x.me.State().Party("founder")})
		create("listed since")
		x.me.Link(t, newDevice("third"), 0)
		x.w.Must(t, "founder", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: x.me.State().Party("founder")})
		x.pack()
		create("listed, and again")
		x.ap.Admit = x.w.Listing(x.me.ID(), x.device)
		create("by the last op that lists it")
	}
}

// TestCreateOwnRefused is what one's own other device, or who plays it, may not hand
// over.
func TestCreateOwnRefused(t *testing.T) {
	t.Parallel()
	no := entity.ErrNotAuthorized
	both := []entity.Kind{entity.Profile, entity.Board}
	every := append(slices.Clone(both), entity.Me)
	for _, c := range []struct {
		name    string
		kinds   []entity.Kind
		change  func(*testing.T, *handed)
		want    error
		because string
	}{
		{"no logs", every, func(_ *testing.T, x *handed) { x.ap.Logs = nil }, entity.ErrBody, "empty"},
		{"another entity's logs", every, func(t *testing.T, x *handed) { x.ap.Logs = foundBy(t, entity.Board, x.me.People).ControlStrand() }, oplog.ErrForeign, ""},
		{"as another kind", every, func(_ *testing.T, x *handed) { x.kind = entity.Friend }, entity.ErrKind, ""},
		{"a board that is not personal", []entity.Kind{entity.Board}, func(t *testing.T, x *handed) {
			x.w = foundBy(t, entity.Board, x.me.People)
			x.ap.Entity, x.ap.Admit = x.w.ID(), x.w.ID()
			x.pack()
		}, entity.ErrKind, ""},
		{"founded by another", both, func(t *testing.T, x *handed) {
			theirs := &world{&entitytest.World{Entity: clone(t, x.me.Who(t, "mallory").Me.Entity), People: map[string]person{"founder": x.me.Who(t, "mallory")}}}
			x.w = foundOwn(t, theirs, x.kind, theirs.Who(t, "founder").Party())
			x.ap.Entity, x.ap.Admit = x.w.ID(), x.w.ID()
			x.pack()
		}, no, "founded by another"},
		{"the Me of another", []entity.Kind{entity.Me}, func(t *testing.T, x *handed) {
			m := x.me.Who(t, "mallory")
			x.w = &world{&entitytest.World{Entity: clone(t, m.Me.Entity), Ring: entity.Keyring{m.Me.Epoch: m.Me.Key}}}
			o, err := entity.AddDevice(x.w.Entity, m.Author(), x.d.Of(x.w.ID(), [16]byte{}), entity.Phone)
			if err != nil {
				t.Fatal(err)
			}
			x.ap.Entity, x.ap.Admit = x.w.ID(), o.ID()
			x.pack()
		}, no, "founded by another"},
		{"an op that is not there", every, func(_ *testing.T, x *handed) { x.ap.Admit = keys.Digest{9} }, no, "lists the device"},
		{"an op that lists nobody", every, func(_ *testing.T, x *handed) {
			for id := range x.w.State().Epochs {
				x.ap.Admit = id
			}
		}, no, "lists the device"},
		{"the genesis of Me", []entity.Kind{entity.Me}, func(_ *testing.T, x *handed) { x.ap.Admit = x.w.ID() }, no, "lists the device"},
		{"for another device", every, func(_ *testing.T, x *handed) { x.device = newDevice("third").Key.ID() }, no, "lists the device"},
		{"a content op", every, func(t *testing.T, x *handed) { x.ap.Admit = x.w.Post(t, "founder", "x").ID() }, no, "lists the device"},
		{"a genesis without the device", both, func(t *testing.T, x *handed) { x.relist(t, nil, entity.Devices{}) }, no, "lists the device"},
		{"a device that is gone since", both, func(t *testing.T, x *handed) {
			x.w.Must(t, "founder", oplog.FamilyMember, entity.TypeDevices, entity.Devices{
				Party: x.me.Who(t, "founder").Party(), Cuts: []entity.Cut{{Device: x.device, Strand: oplog.Content}},
			})
			x.pack()
		}, no, "does not speak"},
		{"listed by an op that became void", both, func(t *testing.T, x *handed) {
			f := x.me.Who(t, "founder")
			x.relist(t, func(*world) person { return f }, entity.Devices{Party: x.me.State().Party("founder")})
			list, _ := x.w.Log().Get(x.ap.Admit)
			d := x.w.Draft(f, oplog.Control, oplog.FamilyPolicy, 99, entity.Text{Text: "fork"})
			d.Seq, d.Prev, d.Parents = list.Seq(), list.Prev(), list.Parents()
			checkAdded(t, x.w.Entity, sign(t, f, d))
			x.pack()
		}, no, "lists the device"},
		{"listed for another user", []entity.Kind{entity.Board}, func(t *testing.T, x *handed) {
			// Another member of one's board claims the device, and says so himself.
			x.relist(t, nil, entity.Devices{})
			m := x.me.Who(t, "mallory")
			x.w.Admit(t, "mallory", entity.Member)
			party := m.Party()
			party.Devices = sorted(append(party.Devices, x.device))
			o, err := x.w.Control(m.Author(), oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
			if err != nil {
				t.Fatal(err)
			}
			x.ap.Admit = o.ID()
			x.pack()
		}, no, "lists the device"},
		{"listed by another owner", []entity.Kind{entity.Board}, func(t *testing.T, x *handed) {
			// Only the founder speaks for himself: the op is refused with the whole log.
			x.relist(t, nil, entity.Devices{})
			m := x.me.Who(t, "mallory")
			x.w.Admit(t, "mallory", entity.Member)
			party := m.Party()
			x.w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party})
			o := sign(t, m, x.w.Draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: x.me.State().Party("founder")}))
			x.ap.Admit, x.ap.Logs = o.ID(), append(x.w.ControlStrand(), o.Envelope())
		}, no, "devices of another"},
		{"no keys", every, func(_ *testing.T, x *handed) { x.ap.Keys = nil }, no, "not there"},
		{"H31: another key", every, func(_ *testing.T, x *handed) { x.ap.Keys[0].Key[0] ^= 1 }, no, "commitment"},
		{"H31: the key of an unknown epoch", every, func(_ *testing.T, x *handed) { x.ap.Keys[0].Epoch = keys.Digest{9} }, no, "commitment"},
		{"the key of an epoch is missing", every, func(t *testing.T, x *handed) {
			x.w.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, x.w.nextEpoch())
			x.pack()
		}, no, "not there"},
	} {
		for _, kind := range c.kinds {
			x := handOver(t, kind)
			if _, _, err := createOwn(x.ap, x.me.Entity, x.kind, x.device); err != nil {
				t.Fatalf("%v, %s: before the change: %v", kind, c.name, err)
			}
			c.change(t, x)
			e, ring, err := createOwn(x.ap, x.me.Entity, x.kind, x.device)
			if e != nil || ring != nil || !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.because) {
				t.Errorf("%v, %s: CreateOwn = %v, %v, want %v that says %q", kind, c.name, e != nil, err, c.want, c.because)
			}
		}
	}
}

// TestCreateOwnTampered is TestApprovalTampered for what own devices hand over.
func TestCreateOwnTampered(t *testing.T) {
	t.Parallel()
	for _, kind := range []entity.Kind{entity.Me, entity.Profile, entity.Board} {
		x := handOver(t, kind)
		tampered(t, x.ap, func(ap delivery) error {
			_, _, err := createOwn(ap, x.me.Entity, kind, x.device)
			return err
		})
	}
}
