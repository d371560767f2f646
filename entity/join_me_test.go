package entity_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

// linked is the approval that makes a device one of the founder's, and what the device
// wants.
type linked struct {
	w    *world
	d    device
	ap   delivery
	want entity.NewDevice
}

func linking(t *testing.T) *linked {
	t.Helper()
	w, d := found(t, entity.Me), newDevice("second")
	heads := w.Log().Heads(oplog.Control)
	o := w.Link(t, d, 0)
	x := &linked{w: w, d: d, want: d.Of(w.ID(), w.Ref)}
	x.want.Heads = heads
	x.ap = delivery{Approval: entity.Approval{Entity: w.ID(), Admit: o.ID()}}
	x.pack()
	return x
}

// pack fills in what the Me is now.
func (x *linked) pack() {
	x.ap.Logs, x.ap.Keys = x.w.ControlStrand(), nil
	for id, k := range x.w.Ring {
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
	b.Commitment = key.Commitment(x.w.ID())
	x.w.Ring[x.w.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, b).ID()] = key
	x.pack() // the Me went on since: what it has now is handed over
	e, ring, err := createJoinMe(x.ap, x.want)
	if err != nil {
		t.Fatalf("CreateJoinMe: %v", err)
	}
	if !bytes.Equal(snapshot(e), snapshot(x.w.Entity)) || len(ring) != 2 {
		t.Errorf("%d keys, or another Me than the issuer's", len(ring))
	}
	there := &world{&entitytest.World{Entity: e, Ring: ring, People: map[string]person{"me": x.w.Who(t, "founder").By(x.d.Key)}}}
	o, err := e.Write(there.People["me"].Author(), ring, oplog.FamilyMe, 1, keys.Digest{}, entitytest.Words{Title: "hello"})
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	checkAdded(t, x.w.Entity, o)
	var got entitytest.Words
	if err := x.w.Read(o, x.w.Ring, &got); err != nil || got.Title != "hello" {
		t.Errorf("the first device reads %q, %v", got.Title, err)
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
		{"a content op", func(t *testing.T, x *linked) { x.ap.Logs = append(x.ap.Logs, x.w.Post(t, "founder", "x").Envelope()) }, entity.ErrBody, "content"},
		{"the Me of another user", func(t *testing.T, x *linked) {
			m := &world{&entitytest.World{Entity: clone(t, x.w.Who(t, "mallory").Me.Entity), People: x.w.People, Ref: x.w.Ref}}
			o, err := entity.AddDevice(m.Entity, x.w.Who(t, "mallory").Author(), x.d.Of(m.ID(), m.Ref), entity.Phone)
			if err != nil {
				t.Fatal(err)
			}
			x.ap.Entity, x.ap.Admit, x.ap.Logs, x.want.Heads = m.ID(), o.ID(), m.ControlStrand(), nil
		}, entity.ErrKind, ""},
		{"a board in place of a Me", func(t *testing.T, x *linked) {
			b := foundBy(t, entity.Board, x.w.People)
			x.ap.Entity, x.ap.Logs, x.want.User, x.want.Heads = b.ID(), b.ControlStrand(), b.ID(), nil
		}, entity.ErrKind, "board"},
		{"a log older than the offer", func(_ *testing.T, x *linked) { x.want.Heads = append(x.want.Heads, keys.Digest{9}) }, no, "lacks a head"},
		{"an op that is not there", func(_ *testing.T, x *linked) { x.ap.Admit = keys.Digest{9} }, no, "not in the log"},
		{"a log without the device-add", func(_ *testing.T, x *linked) { x.ap.Logs = x.ap.Logs[:len(x.ap.Logs)-1] }, no, "not in the log"},
		{"a genesis as device-add", func(_ *testing.T, x *linked) { x.ap.Admit = x.ap.Entity }, no, "adds another"},
		{"a device-class as device-add", func(t *testing.T, x *linked) {
			o, err := entity.SetDeviceClass(x.w.Entity, x.w.Who(t, "founder").Author(), x.d.Key.ID(), entity.Phone)
			if err != nil {
				t.Fatal(err)
			}
			x.ap.Admit = o.ID()
			x.pack()
		}, no, "adds another"},
		{"an op of an unknown type", func(t *testing.T, x *linked) {
			x.ap.Admit = x.w.Must(t, "founder", oplog.FamilyMember, 99, struct{}{}).ID()
			x.pack()
		}, no, "adds another"},
		{"the device-add of another device", func(t *testing.T, x *linked) {
			x.ap.Admit = x.w.Link(t, newDevice("third"), 0).ID()
			x.pack()
		}, no, "adds another"},
		{"another device wants it", func(_ *testing.T, x *linked) { x.want = newDevice("third").Of(x.w.ID(), x.w.Ref) }, no, "adds another"},
		{"another box key of ours", func(_ *testing.T, x *linked) { x.want.Box = newDevice("third").Box.ID() }, no, "adds another"},
		{"by a consent that we did not give", func(_ *testing.T, x *linked) { x.want.Consent = newDevice("third").Consent(x.w.ID()) }, no, "adds another"},
		{"by another invite", func(_ *testing.T, x *linked) { x.want.Ref = [16]byte{9} }, no, "adds another"},
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
			x.w.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, x.w.nextEpoch())
			x.pack()
		}, no, "not there"},
		{"a device-add by a device that does not decide", func(t *testing.T, x *linked) {
			second := x.w.Who(t, "founder").By(x.d.Key)
			third := newDevice("third")
			b := x.w.deviceAdd(third)
			o := sign(t, second, x.w.Draft(second, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, b))
			x.ap.Admit, x.ap.Logs, x.want = o.ID(), append(x.w.ControlStrand(), o.Envelope()), third.Of(x.w.ID(), x.w.Ref)
		}, no, "not certified"},
		{"a device-add by a stranger", func(t *testing.T, x *linked) {
			third, m := newDevice("third"), x.w.Who(t, "mallory")
			o := sign(t, m, x.w.Draft(m, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, x.w.deviceAdd(third)))
			x.ap.Admit, x.ap.Logs, x.want = o.ID(), append(x.w.ControlStrand(), o.Envelope()), third.Of(x.w.ID(), x.w.Ref)
		}, no, "of another person"},
		{"a device-add that a RESET undid", func(t *testing.T, x *linked) {
			o := x.w.draw(t, recovery(x.w.Who(t, "founder")), x.w.resetOf(x.w.ChainAt(x.want.Heads[0]), 0, "third"))
			checkAdded(t, x.w.Entity, o)
			x.pack()
		}, no, "not in the log"},
		{"a device-add after which the device was removed", func(t *testing.T, x *linked) {
			x.w.put(t, x.w.Who(t, "founder"), x.w.removeOf(x.w.chain(), "second", 0))
			x.pack()
		}, no, "not in the set"},
		{"a device-add in a Me that is forked since", func(t *testing.T, x *linked) {
			before := x.w.ChainAt(x.want.Heads[0])
			f := x.w.Who(t, "founder")
			add, _ := x.w.Log().Get(x.ap.Admit)
			typ, _ := chain.TypeOf(chain.DeviceClass{})
			d := x.w.Draft(f, oplog.Control, typ.Family, typ.Type, classOf(before, "founder", chain.Server))
			d.Seq, d.Prev, d.Parents = add.Seq(), add.Prev(), add.Parents()
			checkAdded(t, x.w.Entity, sign(t, f, d))
			x.pack()
		}, no, "not in the set"},
	} {
		x := linking(t)
		if _, _, err := createJoinMe(x.ap, x.want); err != nil {
			t.Fatalf("%s: before the change: %v", c.name, err)
		}
		c.change(t, x)
		e, ring, err := createJoinMe(x.ap, x.want)
		if e != nil || ring != nil || !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.because) {
			t.Errorf("%s: CreateJoinMe = %v, %v, want %v that says %q", c.name, e != nil, err, c.want, c.because)
		}
	}
}

// TestLinkTampered is TestApprovalTampered for a new device.
func TestLinkTampered(t *testing.T) {
	t.Parallel()
	x := linking(t)
	tampered(t, x.ap, func(ap delivery) error {
		_, _, err := createJoinMe(ap, x.want)
		return err
	})
}

// tampered flips each byte of an approval's log and keys, and truncates the log at
// each op: create takes nothing of it.
func tampered(t *testing.T, ap delivery, create func(delivery) error) {
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
		for name, change := range map[string]func(*delivery, *entity.EpochKey){
			"key":    func(_ *delivery, k *entity.EpochKey) { k.Key[at] ^= 1 },
			"epoch":  func(_ *delivery, k *entity.EpochKey) { k.Epoch[at] ^= 1 },
			"entity": func(ap *delivery, _ *entity.EpochKey) { ap.Entity[at] ^= 1 },
			"admit":  func(ap *delivery, _ *entity.EpochKey) { ap.Admit[at] ^= 1 },
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
