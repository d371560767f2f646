package entity_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

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

// TestAttackForkedChain: a stranger shows a device chain that forks, and upon both ends as
// many ops as a chain may have. To judge each of them costs one look at those before it:
// one that looked at each anew for each would not end.
func TestAttackForkedChain(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	w.link(t, newDevice("second"), 0)
	f := w.who(t, "founder")
	add := func(name string) oplog.Op {
		return sign(t, f, w.draft(f, oplog.Control, oplog.FamilyMember, entity.TypeDeviceAdd, w.deviceAdd(newDevice(name))))
	}
	one, two := add("one"), add("two")
	checkAdded(t, w.Entity, one)
	checkAdded(t, w.Entity, two)
	second := f.by(newDevice("second").key)
	for w.Log().Len() < entity.MaxChain {
		checkAdded(t, w.Entity, sign(t, second, w.draft(second, oplog.Control, 14, 1, []byte{0xa0})))
	}
	me, err := entity.OpenDeviceChain(w.ControlStrand())
	if err != nil {
		t.Fatalf("OpenDeviceChain: %v", err)
	}
	if s := me.State(); len(s.Devices) != 2 || !s.Void[one.ID()] || !s.Void[two.ID()] {
		t.Errorf("%d devices, want the two that nobody added beside each other", len(s.Devices))
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
