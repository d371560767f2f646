package entity_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// linked is the approval that makes a device one of the founder's, and what the device
// wants.
type linked struct {
	w    *world
	d    device
	ap   entity.Approval
	want entity.NewDevice
}

func linking(t *testing.T) *linked {
	t.Helper()
	w, d := found(t, entity.Me), newDevice("second")
	heads := w.Log().Heads(oplog.Control)
	o := w.link(t, d, 0)
	x := &linked{w: w, d: d, want: d.of(w.ID(), w.ref)}
	x.want.Heads = heads
	x.ap = entity.Approval{Entity: w.ID(), Admit: o.ID()}
	x.pack()
	return x
}

// pack fills in what the Me is now.
func (x *linked) pack() {
	x.ap.Logs, x.ap.Keys = x.w.ControlStrand(), nil
	for id, k := range x.w.ring {
		x.ap.Keys = append(x.ap.Keys, entity.EpochKey{Epoch: id, Key: k.Secret()})
	}
}

// TestCreateJoinMe: a new device has the Me with its keys, writes in it, and is
// understood.
func TestCreateJoinMe(t *testing.T) {
	t.Parallel()
	x := linking(t)
	key := keys.NewOpKey()
	b := x.w.nextEpoch()
	b.Commitment, b.UserBox = key.Commitment(x.w.ID()), new(key.UserBox().ID())
	x.w.ring[x.w.must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, b).ID()] = key
	x.pack() // the Me went on since: what it has now is handed over
	e, ring, err := entity.CreateJoinMe(x.ap, x.want)
	if err != nil {
		t.Fatalf("CreateJoinMe: %v", err)
	}
	if !bytes.Equal(snapshot(e), snapshot(x.w.Entity)) || len(ring) != 2 {
		t.Errorf("%d keys, or another Me than the issuer's", len(ring))
	}
	there := &world{Entity: e, ring: ring, people: map[string]person{"me": x.w.who(t, "founder").by(x.d.key)}}
	o, err := e.Write(there.people["me"].author(), ring, oplog.FamilyMe, entity.TypeSetting, entity.Setting{Name: "greeting", Value: []byte("hello")})
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	checkAdded(t, x.w.Entity, o)
	if got := x.w.FoldMe(x.w.ring, nil).Settings["greeting"]; string(got) != "hello" {
		t.Errorf("the first device reads %q", got)
	}
}

// TestLinkRefused is what a hostile issuer may send a new device: it has an error and
// nothing.
func TestLinkRefused(t *testing.T) {
	t.Parallel()
	no := entity.ErrNotAuthorized
	for _, c := range []struct {
		name    string
		change  func(*testing.T, *linked)
		want    error
		because string
	}{
		{"no logs", func(_ *testing.T, x *linked) { x.ap.Logs = nil }, entity.ErrBody, "empty"},
		{"no genesis", func(_ *testing.T, x *linked) { x.ap.Logs = x.ap.Logs[1:] }, oplog.ErrForeign, ""},
		{"an op missing", func(_ *testing.T, x *linked) { x.ap.Logs = slices.Delete(x.ap.Logs, 1, 2) }, oplog.ErrMissing, ""},
		{"a content op", func(t *testing.T, x *linked) { x.ap.Logs = append(x.ap.Logs, x.w.post(t, "founder", "x").Bytes()) }, entity.ErrBody, "content"},
		{"the Me of another user", func(t *testing.T, x *linked) {
			m := &world{Entity: clone(t, x.w.who(t, "mallory").me.Entity), people: x.w.people, ref: x.w.ref}
			o, err := entity.AddDevice(m.Entity, x.w.who(t, "mallory").author(), x.d.of(m.ID(), m.ref), entity.Phone)
			if err != nil {
				t.Fatal(err)
			}
			x.ap.Entity, x.ap.Admit, x.ap.Logs, x.want.Heads = m.ID(), o.ID(), m.ControlStrand(), nil
		}, entity.ErrKind, ""},
		{"a board in place of a Me", func(t *testing.T, x *linked) {
			b := foundBy(t, entity.Board, x.w.people)
			x.ap.Entity, x.ap.Logs, x.want.User, x.want.Heads = b.ID(), b.ControlStrand(), b.ID(), nil
		}, entity.ErrKind, "board"},
		{"a log older than the offer", func(_ *testing.T, x *linked) { x.want.Heads = append(x.want.Heads, keys.Digest{9}) }, no, "lacks a head"},
		{"an op that is not there", func(_ *testing.T, x *linked) { x.ap.Admit = keys.Digest{9} }, no, "not in the log"},
		{"a log without the device-add", func(_ *testing.T, x *linked) { x.ap.Logs = x.ap.Logs[:len(x.ap.Logs)-1] }, no, "not in the log"},
		{"a genesis as device-add", func(_ *testing.T, x *linked) { x.ap.Admit = x.ap.Entity }, no, "adds another"},
		{"a device-class as device-add", func(t *testing.T, x *linked) {
			o, err := entity.SetDeviceClass(x.w.Entity, x.w.who(t, "founder").author(), x.d.key.ID(), entity.Phone)
			if err != nil {
				t.Fatal(err)
			}
			x.ap.Admit = o.ID()
			x.pack()
		}, no, "adds another"},
		{"an op of an unknown type", func(t *testing.T, x *linked) {
			x.ap.Admit = x.w.must(t, "founder", oplog.FamilyMember, 99, struct{}{}).ID()
			x.pack()
		}, no, "adds another"},
		{"the device-add of another device", func(t *testing.T, x *linked) {
			x.ap.Admit = x.w.link(t, newDevice("third"), 0).ID()
			x.pack()
		}, no, "adds another"},
		{"another device wants it", func(_ *testing.T, x *linked) { x.want = newDevice("third").of(x.w.ID(), x.w.ref) }, no, "adds another"},
		{"another box key of ours", func(_ *testing.T, x *linked) { x.want.Box = newDevice("third").box.ID() }, no, "adds another"},
		{"by a consent that we did not give", func(_ *testing.T, x *linked) { x.want.Consent = newDevice("third").consent(x.w.ID()) }, no, "adds another"},
		{"by another invite", func(_ *testing.T, x *linked) { x.want.Ref = [16]byte{9} }, no, "adds another"},
		{"the device-add became void", func(t *testing.T, x *linked) {
			f := x.w.who(t, "founder")
			add, _ := x.w.Log().Get(x.ap.Admit)
			d := x.w.draft(f, oplog.Control, oplog.FamilyPolicy, 99, entity.Text{Text: "fork"})
			d.Seq, d.Prev, d.Parents = add.Seq(), add.Prev(), add.Parents()
			checkAdded(t, x.w.Entity, sign(t, f, d))
			x.pack()
		}, no, "not in the log"},
		{"no keys", func(_ *testing.T, x *linked) { x.ap.Keys = nil }, no, "not there"},
		{"H31: another key", func(_ *testing.T, x *linked) { x.ap.Keys[0].Key[0] ^= 1 }, no, "commitment"},
		{"H31: a key of zeros", func(_ *testing.T, x *linked) { x.ap.Keys[0].Key = [32]byte{} }, no, "commitment"},
		{"H31: the key of an unknown epoch", func(_ *testing.T, x *linked) { x.ap.Keys[0].Epoch = keys.Digest{9} }, no, "commitment"},
		{"H31: another key beside", func(_ *testing.T, x *linked) {
			k := x.ap.Keys[0]
			k.Key[31] ^= 1
			x.ap.Keys = append(x.ap.Keys, k)
		}, no, "commitment"},
		{"the key of an epoch is missing", func(t *testing.T, x *linked) {
			x.w.must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, x.w.nextEpoch())
			x.pack()
		}, no, "not there"},
		{"a device-add by a device that does not decide", func(t *testing.T, x *linked) {
			second := x.w.who(t, "founder").by(x.d.key)
			third := newDevice("third")
			b := x.w.deviceAdd(third)
			o := sign(t, second, x.w.draft(second, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, b))
			x.ap.Admit, x.ap.Logs, x.want = o.ID(), append(x.w.ControlStrand(), o.Bytes()), third.of(x.w.ID(), x.w.ref)
		}, no, "one voter"},
		{"a device-add by a stranger", func(t *testing.T, x *linked) {
			third, m := newDevice("third"), x.w.who(t, "mallory")
			o := sign(t, m, x.w.draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, x.w.deviceAdd(third)))
			x.ap.Admit, x.ap.Logs, x.want = o.ID(), append(x.w.ControlStrand(), o.Bytes()), third.of(x.w.ID(), x.w.ref)
		}, no, "does not speak"},
	} {
		x := linking(t)
		if _, _, err := entity.CreateJoinMe(x.ap, x.want); err != nil {
			t.Fatalf("%s: before the change: %v", c.name, err)
		}
		c.change(t, x)
		e, ring, err := entity.CreateJoinMe(x.ap, x.want)
		if e != nil || ring != nil || !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.because) {
			t.Errorf("%s: CreateJoinMe = %v, %v, want %v that says %q", c.name, e != nil, err, c.want, c.because)
		}
	}
}

// TestLinkTampered is TestApprovalTampered for a new device.
func TestLinkTampered(t *testing.T) {
	t.Parallel()
	x := linking(t)
	tampered(t, x.ap, func(ap entity.Approval) error {
		_, _, err := entity.CreateJoinMe(ap, x.want)
		return err
	})
}

// tampered flips each byte of an approval's log and keys, and truncates the log at
// each op: create takes nothing of it.
func tampered(t *testing.T, ap entity.Approval, create func(entity.Approval) error) {
	t.Helper()
	if err := create(ap); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	for i := range ap.Logs {
		for at := range ap.Logs[i] {
			bad := ap
			bad.Logs = slices.Clone(ap.Logs)
			bad.Logs[i] = bytes.Clone(ap.Logs[i])
			bad.Logs[i][at] ^= 1
			if create(bad) == nil {
				t.Fatalf("byte %d of op %d flipped: it is taken", at, i)
			}
		}
		bad := ap
		bad.Logs = ap.Logs[:i]
		if create(bad) == nil {
			t.Errorf("the first %d ops of %d are taken", i, len(ap.Logs))
		}
	}
	for at := range 32 {
		for name, change := range map[string]func(*entity.Approval, *entity.EpochKey){
			"key":    func(_ *entity.Approval, k *entity.EpochKey) { k.Key[at] ^= 1 },
			"epoch":  func(_ *entity.Approval, k *entity.EpochKey) { k.Epoch[at] ^= 1 },
			"entity": func(ap *entity.Approval, _ *entity.EpochKey) { ap.Entity[at] ^= 1 },
			"admit":  func(ap *entity.Approval, _ *entity.EpochKey) { ap.Admit[at] ^= 1 },
		} {
			bad := ap
			bad.Keys = slices.Clone(ap.Keys)
			change(&bad, &bad.Keys[0])
			if create(bad) == nil {
				t.Errorf("byte %d of the %s flipped: it is taken", at, name)
			}
		}
	}
}

// handed is an entity that one device of a user hands over to another.
type handed struct {
	w      *world
	me     *world
	d      device
	kind   entity.Kind
	ap     entity.Approval
	device keys.ID
}

// handOver founds an entity of kind by a user with two devices, the second listed.
func handOver(t *testing.T, kind entity.Kind) *handed {
	t.Helper()
	me, d := found(t, entity.Me), newDevice("second")
	o := me.link(t, d, 0)
	x := &handed{w: me, me: me, d: d, kind: kind, device: d.key.ID()}
	if kind != entity.Me {
		x.w = foundOwn(t, me, kind, me.State().Party("founder"))
		o, _ = x.w.Log().Get(x.w.ID())
	}
	x.ap = entity.Approval{Entity: x.w.ID(), Admit: o.ID()}
	x.pack()
	return x
}

// foundOwn is a personal entity of the founder with the party given.
func foundOwn(t *testing.T, me *world, kind entity.Kind, party entity.Party) *world {
	t.Helper()
	g := entity.Genesis{Kind: kind, Founder: &party}
	if kind == entity.Board {
		g.Personal, g.Policy = true, &openPolicy
	}
	c, err := entity.CreateEntity(me.who(t, "founder").author(), g)
	if err != nil {
		t.Fatal(err)
	}
	return &world{Entity: c.Entity, ring: entity.Keyring{c.Epoch: c.Key}, people: me.people, ref: me.ref}
}

func (x *handed) pack() {
	x.ap.Logs, x.ap.Keys = x.w.ControlStrand(), nil
	for id, k := range x.w.ring {
		x.ap.Keys = append(x.ap.Keys, entity.EpochKey{Epoch: id, Key: k.Secret()})
	}
}

// relist founds the entity anew with the first device alone and lists the second by p.
func (x *handed) relist(t *testing.T, p func(w *world) person, devices entity.Devices) {
	t.Helper()
	x.w = foundOwn(t, x.me, x.kind, x.me.who(t, "founder").party())
	if p != nil {
		by := p(x.w)
		o, err := x.w.Control(by.author(), oplog.FamilyMember, entity.TypeDevices, devices)
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
			e, ring, err := entity.CreateOwn(x.ap, x.me.Entity, kind, x.device)
			if err != nil || !bytes.Equal(snapshot(e), snapshot(x.w.Entity)) || len(ring) != 1 {
				t.Errorf("%v, %s: %v", kind, name, err)
			}
		}
		create("listed from the beginning")
		if kind == entity.Me {
			continue
		}
		founder := func(*world) person { return x.me.who(t, "founder") }
		x.relist(t, founder, entity.Devices{Party: x.me.State().Party("founder")})
		create("listed since")
		x.me.link(t, newDevice("third"), 0)
		x.w.must(t, "founder", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: x.me.State().Party("founder")})
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
		{"another entity's logs", every, func(t *testing.T, x *handed) { x.ap.Logs = foundBy(t, entity.Board, x.me.people).ControlStrand() }, oplog.ErrForeign, ""},
		{"as another kind", every, func(_ *testing.T, x *handed) { x.kind = entity.Friend }, entity.ErrKind, ""},
		{"a board that is not personal", []entity.Kind{entity.Board}, func(t *testing.T, x *handed) {
			x.w = foundBy(t, entity.Board, x.me.people)
			x.ap.Entity, x.ap.Admit = x.w.ID(), x.w.ID()
			x.pack()
		}, entity.ErrKind, ""},
		{"founded by another", both, func(t *testing.T, x *handed) {
			theirs := &world{Entity: clone(t, x.me.who(t, "mallory").me.Entity), people: map[string]person{"founder": x.me.who(t, "mallory")}}
			x.w = foundOwn(t, theirs, x.kind, theirs.who(t, "founder").party())
			x.ap.Entity, x.ap.Admit = x.w.ID(), x.w.ID()
			x.pack()
		}, no, "founded by another"},
		{"the Me of another", []entity.Kind{entity.Me}, func(t *testing.T, x *handed) {
			m := x.me.who(t, "mallory")
			x.w = &world{Entity: clone(t, m.me.Entity), ring: entity.Keyring{m.me.Epoch: m.me.Key}}
			o, err := entity.AddDevice(x.w.Entity, m.author(), x.d.of(x.w.ID(), [16]byte{}), entity.Phone)
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
		{"for another device", every, func(_ *testing.T, x *handed) { x.device = newDevice("third").key.ID() }, no, "lists the device"},
		{"a content op", every, func(t *testing.T, x *handed) { x.ap.Admit = x.w.post(t, "founder", "x").ID() }, no, "lists the device"},
		{"a genesis without the device", both, func(t *testing.T, x *handed) { x.relist(t, nil, entity.Devices{}) }, no, "lists the device"},
		{"a device that is gone since", both, func(t *testing.T, x *handed) {
			x.w.must(t, "founder", oplog.FamilyMember, entity.TypeDevices, entity.Devices{
				Party: x.me.who(t, "founder").party(), Cuts: []entity.Cut{{Device: x.device, Strand: oplog.Content}},
			})
			x.pack()
		}, no, "does not speak"},
		{"listed by an op that became void", both, func(t *testing.T, x *handed) {
			f := x.me.who(t, "founder")
			x.relist(t, func(*world) person { return f }, entity.Devices{Party: x.me.State().Party("founder")})
			list, _ := x.w.Log().Get(x.ap.Admit)
			d := x.w.draft(f, oplog.Control, oplog.FamilyPolicy, 99, entity.Text{Text: "fork"})
			d.Seq, d.Prev, d.Parents = list.Seq(), list.Prev(), list.Parents()
			checkAdded(t, x.w.Entity, sign(t, f, d))
			x.pack()
		}, no, "lists the device"},
		{"listed for another user", []entity.Kind{entity.Board}, func(t *testing.T, x *handed) {
			// Another member of one's board claims the device, and says so himself.
			x.relist(t, nil, entity.Devices{})
			m := x.me.who(t, "mallory")
			x.w.admit(t, "mallory", entity.Member)
			party := m.party()
			party.Devices = sorted(append(party.Devices, x.device))
			o, err := x.w.Control(m.author(), oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
			if err != nil {
				t.Fatal(err)
			}
			x.ap.Admit = o.ID()
			x.pack()
		}, no, "lists the device"},
		{"listed by another owner", []entity.Kind{entity.Board}, func(t *testing.T, x *handed) {
			// Only the founder speaks for himself: the op is refused with the whole log.
			x.relist(t, nil, entity.Devices{})
			m := x.me.who(t, "mallory")
			x.w.admit(t, "mallory", entity.Member)
			party := m.party()
			x.w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: &party})
			o := sign(t, m, x.w.draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: x.me.State().Party("founder")}))
			x.ap.Admit, x.ap.Logs = o.ID(), append(x.w.ControlStrand(), o.Bytes())
		}, no, "devices of another"},
		{"no keys", every, func(_ *testing.T, x *handed) { x.ap.Keys = nil }, no, "not there"},
		{"H31: another key", every, func(_ *testing.T, x *handed) { x.ap.Keys[0].Key[0] ^= 1 }, no, "commitment"},
		{"H31: the key of an unknown epoch", every, func(_ *testing.T, x *handed) { x.ap.Keys[0].Epoch = keys.Digest{9} }, no, "commitment"},
		{"the key of an epoch is missing", every, func(t *testing.T, x *handed) {
			x.w.must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, x.w.nextEpoch())
			x.pack()
		}, no, "not there"},
	} {
		for _, kind := range c.kinds {
			x := handOver(t, kind)
			if _, _, err := entity.CreateOwn(x.ap, x.me.Entity, x.kind, x.device); err != nil {
				t.Fatalf("%v, %s: before the change: %v", kind, c.name, err)
			}
			c.change(t, x)
			e, ring, err := entity.CreateOwn(x.ap, x.me.Entity, x.kind, x.device)
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
		tampered(t, x.ap, func(ap entity.Approval) error {
			_, _, err := entity.CreateOwn(ap, x.me.Entity, kind, x.device)
			return err
		})
	}
}
