package entity_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// reset is the body of a RESET as a later version writes it (docs/PROTOCOL.md §2.4); this
// one has no type for it.
type reset struct {
	Number    uint64           `cbor:"1,keyasint"`
	After     keys.Digest      `cbor:"2,keyasint"`
	Survivors []survivor       `cbor:"3,keyasint"`
	Cuts      []entity.Cut     `cbor:"4,keyasint"`
	Epoch     entity.NextEpoch `cbor:"5,keyasint"`
}

type survivor struct {
	Device keys.ID      `cbor:"1,keyasint"`
	Class  entity.Class `cbor:"2,keyasint"`
	Box    keys.BoxID   `cbor:"3,keyasint"`
}

// deviceOp is an op of the device chain, to be signed by somebody.
type deviceOp struct {
	family oplog.Family
	typ    uint16
	body   any
}

// recovery is p writing with his recovery key.
func recovery(p person) person {
	return p.by(keys.FromSeed(sha256.Sum256([]byte("recovery of " + p.name))))
}

// reset is a RESET by p of the device set as it is, after which "second" speaks no more and
// survivor does.
func (w *world) reset(tb testing.TB, p person, d device) oplog.Op {
	tb.Helper()
	dr := w.draft(p, oplog.Control, oplog.FamilyCheckpoint, oplog.TypeReset, reset{
		Number: 1, After: w.State().DeviceHead, Survivors: []survivor{{d.key.ID(), entity.Desktop, d.box.ID()}},
		Cuts: []entity.Cut{{Device: newDevice("second").key.ID(), Strand: oplog.Content}}, Epoch: nextEpoch(w),
	})
	dr.Seq, dr.Prev = 0, keys.Digest{}
	return sign(tb, p, dr)
}

// TestAttackO27: an old device acts after a RESET. No RESET has an effect in this version:
// none is taken, the true recovery key's neither, and what a device writes counts as if
// nobody had offered one. A device op that says it comes after one is nobody's to sign.
func TestAttackO27(t *testing.T) {
	t.Parallel()
	w := meOfTwo(t)
	f := w.who(t, "founder")
	if got, want := w.State().Recovery, recovery(f).key.ID(); got != want {
		t.Fatalf("the recovery key is %v, want %v", got, want)
	}
	offered, plain := w.clone(t), w.clone(t)
	var byWords oplog.Op
	for _, p := range []person{
		recovery(f), recovery(w.who(t, "stranger")), f.by(recovery(w.who(t, "stranger")).key), w.who(t, "stranger").by(recovery(f).key),
		f, w.who(t, "second"), w.who(t, "unlisted"), w.who(t, "stranger"),
	} {
		o := w.reset(t, p, newDevice("survivor"))
		if byWords.IsZero() {
			byWords = o
		}
		checkRefused(t, offered.Entity, o, entity.ErrNotAuthorized)
		if e, err := entity.OpenDeviceChain(append(w.ControlStrand(), o.Bytes())); e != nil || !errors.Is(err, entity.ErrNotAuthorized) {
			t.Errorf("a device chain with a RESET by %v: %v, want ErrNotAuthorized", p.key.ID(), err)
		}
	}
	if !slices.Equal(offered.Log().Heads(oplog.Control), plain.Log().Heads(oplog.Control)) {
		t.Error("a RESET that was refused is a head")
	}
	for _, kind := range []entity.Kind{entity.Board, entity.Friend, entity.Profile} { // of the same founder
		x := settle(t, kind)
		checkRefused(t, x.Entity, x.reset(t, recovery(x.who(t, "founder")), newDevice("survivor")), entity.ErrNotAuthorized)
	}

	// What comes after it, by its author's word, is refused; what builds on it cannot come.
	after := func(prev keys.Digest, n uint64) []deviceOp {
		add, epoch, link := offered.deviceAdd(newDevice("newcomer")), offered.nextEpoch(), entity.DeviceLink{Prev: prev, Reset: n}
		add.Chain, epoch.Chain = link, &link
		return []deviceOp{
			{oplog.FamilyMember, entity.TypeDeviceAdd, add},
			{oplog.FamilyMember, entity.TypeDeviceClass, entity.DeviceClass{Device: f.key.ID(), Class: entity.Server, Chain: link}},
			{oplog.FamilyOpKey, entity.TypeEpoch, epoch},
			{oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Chain: &link}},
		}
	}
	head := offered.State().DeviceHead
	for _, c := range []struct {
		prev keys.Digest
		n    uint64
	}{{head, 1}, {head, 2}, {byWords.ID(), 0}, {byWords.ID(), 1}} {
		for _, d := range after(c.prev, c.n) {
			for _, p := range []person{f, w.who(t, "second"), recovery(f), w.who(t, "unlisted"), w.who(t, "stranger"), f.by(newDevice("survivor").key)} {
				checkRefused(t, offered.Entity, sign(t, p, offered.draft(p, oplog.Control, d.family, d.typ, d.body)), entity.ErrNotAuthorized)
				if t.Failed() {
					t.Fatalf("%d/%d by %v, after %v and %d RESETs", d.family, d.typ, p.key.ID(), c.prev, c.n)
				}
			}
		}
	}
	for _, d := range after(head, 0) { // nothing above failed for another reason
		x := offered.clone(t)
		checkAdded(t, x.Entity, sign(t, f, x.draft(f, oplog.Control, d.family, d.typ, d.body)))
	}
	d := offered.draft(f, oplog.Control, oplog.FamilyPolicy, 99, []byte("later"))
	d.Parents = []keys.Digest{byWords.ID()}
	checkRefused(t, offered.Entity, sign(t, f, d), oplog.ErrMissing)

	// The old devices act: each op counts where the RESETs were offered as where none was.
	for _, o := range []oplog.Op{
		plain.note(t, entry{"second", entity.TypeSetting, entity.Setting{Name: "x"}}),
		plain.must(t, "second", oplog.FamilyPolicy, 99, []byte("later")),
		plain.must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, plain.nextEpoch()),
		plain.link(t, newDevice("third"), 0),
	} {
		checkAdded(t, offered.Entity, o)
		if !offered.Counts(o) || !plain.Counts(o) {
			t.Errorf("%d/%d of %v counts: %v, without a RESET: %v", o.Family(), o.Type(), o.Device(), offered.Counts(o), plain.Counts(o))
		}
	}
	if got := offered.State(); len(got.Devices) != 3 || !got.SoleVoter(f.key.ID()) || !bytes.Equal(snapshot(offered.Entity), snapshot(plain.Entity)) {
		t.Errorf("after the RESETs: devices %+v, want those there are without", got.Devices)
	}
	checkAgrees(t, offered.Entity)
}

// TestAttackO28: two RESETs of one number, each with other survivors, by the true recovery
// key. In either order they leave what is without them. So they do where they are kept: in a
// log that a later version may have stored, and where the user made that key a device too.
func TestAttackO28(t *testing.T) {
	t.Parallel()
	w := meOfTwo(t)
	f := w.who(t, "founder")
	listed := w.clone(t)
	listed.link(t, device{recovery(f).key, newDevice("words").box}, 0)
	same := func(what string, got *entity.Entity, without *world) {
		t.Helper()
		a, b := got.State(), without.State()
		if a.Digest() != b.Digest() || !slices.Equal(a.Devices, b.Devices) || a.DeviceHead != b.DeviceHead || a.UserBox != b.UserBox ||
			!slices.Equal(a.Voters(), b.Voters()) || !a.Party("").Same(b.Party("")) || a.Frozen || len(a.Epochs) != len(b.Epochs) {
			t.Errorf("%s: the state is %+v, want what it is without, %+v", what, a, b)
		}
		for _, o := range all(without) {
			if !got.Counts(o) {
				t.Errorf("%s: %d/%d of %v does not count", what, o.Family(), o.Type(), o.Device())
			}
		}
	}
	one, two := w.reset(t, recovery(f), newDevice("one")), w.reset(t, recovery(f), newDevice("two"))
	for _, order := range [][]oplog.Op{{one, two}, {two, one}} {
		offered, kept, stored := w.clone(t), listed.clone(t), clone(t, w.Entity).Log()
		for _, o := range order {
			checkRefused(t, offered.Entity, o, entity.ErrNotAuthorized)
			if _, err := stored.Append(o); err != nil {
				t.Fatalf("Append: %v", err)
			}
			d := kept.draft(recovery(f), oplog.Control, o.Family(), o.Type(), o.Body())
			d.Seq, d.Prev, d.Parents = 0, keys.Digest{}, listed.Log().Heads(oplog.Control)
			checkAdded(t, kept.Entity, sign(t, recovery(f), d))
			same("refused", offered.Entity, w) // after the first too: two at one place are void in any case
			same("by a device", kept.Entity, listed)
			opened, err := entity.Open(stored)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			same("stored", opened, w)
		}
		if !slices.Equal(offered.Log().Heads(oplog.Control), w.Log().Heads(oplog.Control)) {
			t.Error("RESETs that were refused are heads")
		}
		if o := kept.must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, kept.nextEpoch()); !kept.Counts(o) {
			t.Error("after RESETs by a device: a device op of the sole voter does not count")
		}
		checkAgrees(t, kept.Entity)
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
	if err := newNaive(last.Entity).check(last.Entity); err != nil {
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
		dora := w.who(t, "dora")
		var posts []oplog.Op
		for i := range 6 {
			posts = append(posts, w.post(t, "dora", fmt.Sprint(i)))
		}
		cuts := func(n int) []entity.Cut {
			last := posts[n-1]
			return []entity.Cut{{Device: last.Device(), Strand: oplog.Content, Seq: last.Seq(), ID: last.ID()}}
		}
		removal := func(by string, n int) oplog.Op {
			p := w.who(t, by)
			return sign(t, p, w.draft(p, oplog.Control, oplog.FamilyMember, entity.TypeRemove, entity.Remove{User: dora.user(), Cuts: cuts(n), Epoch: nextEpoch(w)}))
		}
		kept := func(x *world, want int) {
			t.Helper()
			for i, o := range posts {
				if x.Counts(o) != (i < want) {
					t.Errorf("of %d articles before the cut, the one at %d counts: %v", want, i, x.Counts(o))
				}
			}
			if got := x.State().Cuts[entity.Writer{User: dora.user(), Device: dora.key.ID()}]; got != uint64(want) || x.standing(t, "dora") != entity.Removed {
				t.Errorf("the cut is after %d, want %d; she is %v", got, want, x.standing(t, "dora"))
			}
		}
		two, four, three := removal("founder", 2), removal("anna", 4), removal("ben", 3)
		five := removal("founder", 5) // at the place of the first; removals of a device that forked stand
		kept(arrivals(t, w, []oplog.Op{two, four, three}), 4)
		kept(arrivals(t, w, []oplog.Op{two, four, five}), 5)

		alone, moved := w.clone(t), dora.party()
		moved.Devices = []keys.ID{newDevice("phone").key.ID()}
		checkAdded(t, alone.Entity, two)
		for _, by := range []string{"founder", "anna", "ben", "dora"} { // after it
			p := w.who(t, by)
			for _, c := range []struct {
				typ  uint16
				body any
			}{
				{entity.TypeRemove, entity.Remove{User: dora.user(), Cuts: cuts(6), Epoch: nextEpoch(alone)}},
				{entity.TypeDevices, entity.Devices{Party: moved, Cuts: cuts(6)}},
			} {
				checkRefused(t, alone.Entity, sign(t, p, alone.draft(p, oplog.Control, oplog.FamilyMember, c.typ, c.body)), entity.ErrNotAuthorized)
			}
		}
		leave := alone.draft(dora, oplog.Control, oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: cuts(6)})
		checkRefused(t, alone.Entity, sign(t, dora, leave), entity.ErrNotAuthorized)
		alone.checkpoint(t, "founder")
		for range 2 { // beside a checkpoint, and after the next one
			for _, o := range []oplog.Op{four, three, five} {
				if _, err := alone.Add(o); err != nil || alone.Counts(o) {
					t.Errorf("a removal beside a checkpoint that closed another: %v, counts %v", err, alone.Counts(o))
				}
			}
			kept(alone, 2)
			alone.checkpoint(t, "founder")
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
		dora, phone := w.who(t, "dora"), newDevice("phone").key
		write := func(by string, typ uint16, body any) oplog.Op {
			p := w.who(t, by)
			return sign(t, p, w.draft(p, oplog.Control, oplog.FamilyMember, typ, body))
		}
		last := func(x *world, ops []oplog.Op) (o oplog.Op) {
			for p := range x.Log().All(oplog.Control) {
				if slices.Contains(ops, p) {
					o = p
				}
			}
			return o
		}
		roles := []oplog.Op{
			write("founder", entity.TypeRole, entity.SetRole{User: dora.user(), Role: entity.Reader}),
			write("anna", entity.TypeRole, entity.SetRole{User: dora.user(), Role: entity.Member}),
			write("ben", entity.TypeRole, entity.SetRole{User: dora.user(), Role: entity.Reader}),
		}
		x := arrivals(t, w, roles)
		want := entity.Reader
		if last(x, roles) == roles[1] {
			want = entity.Member
		}
		if m, _ := x.State().Member(dora.user()); m.Role != want || m.Standing != entity.Active || len(x.State().Members) != len(w.State().Members) {
			t.Errorf("after three changes of her role: %+v of %d members, want role %v", m, len(x.State().Members), want)
		}

		both := dora.party()
		both.Devices = sorted([]keys.ID{dora.key.ID(), phone.ID()})
		list := []oplog.Op{
			write("dora", entity.TypeDevices, entity.Devices{Party: both, Cuts: []entity.Cut{}}),
			write("founder", entity.TypeDevices, entity.Devices{Party: dora.party(), Cuts: []entity.Cut{}}),
			write("anna", entity.TypeDevices, entity.Devices{Party: both, Cuts: []entity.Cut{}}),
		}
		x = arrivals(t, w, list)
		party := both
		if last(x, list) == list[1] {
			party = dora.party()
		}
		if m, _ := x.State().Member(dora.user()); !m.Party.Same(party) {
			t.Errorf("after three changes of her devices: %v, want %v", m.Party.Devices, party.Devices)
		}

		checkAdded(t, w.Entity, list[0])
		w.people["phone"] = dora.by(phone)
		var posts []oplog.Op
		for i := range 4 {
			posts = append(posts, w.post(t, "phone", fmt.Sprint(i)))
		}
		drop := func(n int) entity.Devices {
			last := posts[n-1]
			return entity.Devices{Party: dora.party(), Cuts: []entity.Cut{{Device: phone.ID(), Strand: oplog.Content, Seq: last.Seq(), ID: last.ID()}}}
		}
		x = arrivals(t, w, []oplog.Op{
			write("dora", entity.TypeDevices, drop(1)), write("founder", entity.TypeDevices, drop(3)), write("anna", entity.TypeDevices, drop(2)),
		})
		checkRefused(t, x.Entity, sign(t, dora, x.draft(dora, oplog.Control, oplog.FamilyMember, entity.TypeDevices, drop(4))), entity.ErrNotAuthorized) // it is gone
		for range 2 {
			m, _ := x.State().Member(dora.user())
			if got := x.State().Cuts[entity.Writer{User: dora.user(), Device: phone.ID()}]; got != 3 || !m.Party.Same(dora.party()) || !x.Counts(posts[2]) || x.Counts(posts[3]) {
				t.Errorf("after her phone was dropped: devices %v, the cut is after %d, want 3", m.Party.Devices, got)
			}
			for _, b := range []entity.Devices{{Party: both, Cuts: []entity.Cut{}}, drop(1)} { // once more, with a lower one
				x.must(t, "dora", oplog.FamilyMember, entity.TypeDevices, b)
			}
		}
	}
}
