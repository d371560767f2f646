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

// offer is an approval as its issuer sends it, and what the joiner wants.
type offer struct {
	w    *world
	ap   delivery
	want entity.Wanted
}

// approve admits "joiner" and packs what he is sent.
func approve(t *testing.T, w *world, role entity.Role) *offer {
	t.Helper()
	name := "joiner"
	if w.State().Kind == entity.Friend {
		name = "other"
	}
	heads := w.Log().Heads(oplog.Control)
	return w.offer(t, name, w.Admit(t, name, role), heads)
}

func (w *world) offer(t *testing.T, name string, admit oplog.Op, heads []keys.Digest) *offer {
	t.Helper()
	x := &offer{w: w, ap: delivery{entity.Approval{Entity: w.ID(), Admit: admit.ID()}, w.ControlStrand()}}
	for id, k := range w.Ring {
		x.ap.Keys = append(x.ap.Keys, entity.EpochKey{Epoch: id, Key: k.Secret()})
	}
	ref := w.Ref
	x.want = entity.Wanted{Kind: w.State().Kind, Me: w.Who(t, name).Me.Entity, By: w.Who(t, "founder").User(), Ref: &ref, Heads: heads}
	return x
}

// TestCreateJoinEntity: every kind that one can join, from approval to the first
// words of the newcomer.
func TestCreateJoinEntity(t *testing.T) {
	t.Parallel()
	for kind, role := range map[entity.Kind]entity.Role{entity.Profile: entity.Reader, entity.Friend: entity.Member, entity.Board: entity.Member} {
		x := approve(t, found(t, kind), role)
		e, ring, err := createJoinEntity(x.ap, x.want)
		if err != nil {
			t.Errorf("%v: CreateJoinEntity: %v", kind, err)
			continue
		}
		m, ok := e.State().Member(x.want.Me.ID())
		if !ok || m.Standing != entity.Active || m.Role != role || m.By != x.want.By || m.Ref != x.w.Ref {
			t.Errorf("%v: the newcomer is %+v", kind, m)
		}
		if len(ring) != 1 || e.ID() != x.w.ID() || !bytes.Equal(snapshot(e), snapshot(x.w.Entity)) {
			t.Errorf("%v: %d keys, or another entity than the issuer's", kind, len(ring))
		}
		if role == entity.Member {
			joined := entitytest.World{Entity: e, Ring: ring, People: x.w.People}
			name := "joiner"
			if kind == entity.Friend {
				name = "other"
			}
			o := joined.Post(t, name, "hello")
			checkAdded(t, x.w.Entity, o)
		}
	}
}

// TestCreateJoinEntityByFriendship: an admission may name a friendship in place of
// an invite.
func TestCreateJoinEntityByFriendship(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Board)
	friendship := keys.Digest{7}
	o, err := entity.ApproveJoinEntity(w.Entity, w.Who(t, "founder").Author(), w.Ring, entity.Admission{
		Party: w.Who(t, "joiner").Party(), Role: entity.Reader, Friend: &friendship, History: &entity.History{Mode: entity.HistoryFromJoin},
	})
	if err != nil {
		t.Fatalf("ApproveJoinEntity: %v", err)
	}
	x := w.offer(t, "joiner", o, nil)
	x.want.Ref, x.want.Friends = nil, []keys.Digest{{1}, friendship}
	if _, _, err := createJoinEntity(x.ap, x.want); err != nil {
		t.Errorf("CreateJoinEntity by a friendship: %v", err)
	}
	for name, change := range map[string]func(*entity.Wanted){
		"of others":          func(w *entity.Wanted) { w.Friends = []keys.Digest{{1}} },
		"but an invite":      func(v *entity.Wanted) { v.Ref = &w.Ref },
		"and an invite":      func(v *entity.Wanted) { v.Ref, v.Friends = &w.Ref, []keys.Digest{friendship} },
		"with no one at all": func(w *entity.Wanted) { w.Friends = nil },
	} {
		y := *x
		change(&y.want)
		if _, _, err := createJoinEntity(y.ap, y.want); !errors.Is(err, entity.ErrNotAuthorized) {
			t.Errorf("a friendship %s: %v, want ErrNotAuthorized", name, err)
		}
	}
}

// TestApprovalRefused is what a hostile issuer may send, H29, H30 and H31 among it:
// the joiner has an error and nothing.
func TestApprovalRefused(t *testing.T) {
	t.Parallel()
	no := entity.ErrNotAuthorized
	for _, c := range []struct {
		name    string
		kind    entity.Kind
		change  func(*testing.T, *offer)
		want    error
		because string
	}{
		{"another kind", entity.Board, func(_ *testing.T, x *offer) { x.want.Kind = entity.Profile }, entity.ErrKind, ""},
		{"no logs", entity.Board, func(_ *testing.T, x *offer) { x.ap.Logs = nil }, entity.ErrBody, "empty"},
		{"no genesis", entity.Board, func(_ *testing.T, x *offer) { x.ap.Logs = x.ap.Logs[1:] }, oplog.ErrForeign, ""},
		{"genesis last", entity.Board, func(_ *testing.T, x *offer) { slices.Reverse(x.ap.Logs) }, oplog.ErrForeign, ""},
		{"another entity's id", entity.Board, func(_ *testing.T, x *offer) { x.ap.Entity = keys.Digest{9} }, oplog.ErrForeign, ""},
		{"an op missing", entity.Board, func(_ *testing.T, x *offer) { x.ap.Logs = slices.Delete(x.ap.Logs, 1, 2) }, oplog.ErrMissing, ""},
		{"an op twice", entity.Board, func(_ *testing.T, x *offer) { x.ap.Logs = append(x.ap.Logs, x.ap.Logs[1]) }, entity.ErrBody, "twice"},
		{"the genesis twice", entity.Board, func(_ *testing.T, x *offer) { x.ap.Logs = append(x.ap.Logs, x.ap.Logs[0]) }, entity.ErrBody, "twice"},
		{"children first", entity.Board, func(_ *testing.T, x *offer) { x.ap.Logs[1], x.ap.Logs[2] = x.ap.Logs[2], x.ap.Logs[1] }, oplog.ErrMissing, ""},
		{"garbage in the log", entity.Board, func(_ *testing.T, x *offer) { x.ap.Logs = append(x.ap.Logs, []byte("garbage")) }, oplog.ErrFormat, ""},
		{"a bad signature", entity.Board, func(_ *testing.T, x *offer) {
			raw := bytes.Clone(x.ap.Logs[3])
			raw[len(raw)-1] ^= 1
			x.ap.Logs[3] = raw
		}, oplog.ErrSignature, ""},
		{"a content op", entity.Board, func(t *testing.T, x *offer) {
			x.ap.Logs = append(x.ap.Logs, x.w.Post(t, "founder", "post").Envelope())
		}, entity.ErrBody, "content op"},
		{"a genesis that is none", entity.Board, func(t *testing.T, x *offer) {
			o := sign(t, x.w.Who(t, "founder"), oplog.Draft{Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: 1, User: x.want.By, Body: []byte("x")})
			x.ap.Entity, x.ap.Logs = o.ID(), [][]byte{o.Envelope()}
		}, entity.ErrBody, ""},
		{"H29: the logs of another entity", entity.Board, func(t *testing.T, x *offer) {
			other := foundBy(t, entity.Board, x.w.People)
			other.Admit(t, "joiner", entity.Member)
			x.ap.Logs = other.ControlStrand()
		}, oplog.ErrForeign, ""},
		{"H29: some ops of another entity", entity.Board, func(t *testing.T, x *offer) {
			other := found(t, entity.Board)
			x.ap.Logs = append(x.ap.Logs, other.ControlStrand()[1])
		}, oplog.ErrForeign, ""},
		{"a log older than the offer", entity.Board, func(_ *testing.T, x *offer) { x.want.Heads = append(x.want.Heads, keys.Digest{9}) }, no, "lacks the head"},
		{"an admit that is not there", entity.Board, func(_ *testing.T, x *offer) { x.ap.Admit = keys.Digest{9} }, no, "is not in the log"},
		{"an admit that is a genesis", entity.Board, func(_ *testing.T, x *offer) { x.ap.Admit = x.ap.Entity }, no, "is not an admit"},
		{"an admit of an unknown type", entity.Board, func(t *testing.T, x *offer) {
			x.ap.Admit = x.w.Must(t, "founder", oplog.FamilyMember, 99, struct{}{}).ID()
			x.ap.Logs = x.w.ControlStrand()
		}, no, "is not an admit"},
		{"another user", entity.Board, func(t *testing.T, x *offer) { x.want.Me = x.w.Who(t, "third").Me.Entity }, no, "somebody else"},
		{"another head of ours", entity.Board, admitOther(func(p *entity.Party) { p.Head = keys.Digest{9} }), no, "somebody else"},
		{"another box key of ours", entity.Board, admitOther(func(p *entity.Party) { p.Box = keys.NewBox().ID() }), no, "somebody else"},
		{"another device of ours", entity.Board, admitOther(func(p *entity.Party) { p.Devices = devices(1) }), no, "somebody else"},
		{"a device more of ours", entity.Board, admitOther(func(p *entity.Party) {
			p.Devices = append(slices.Clone(p.Devices), keys.ID{0xff})
			slices.SortFunc(p.Devices, func(a, b keys.ID) int { return bytes.Compare(a[:], b[:]) })
		}), no, "somebody else"},
		{"admitted by another", entity.Board, func(t *testing.T, x *offer) { x.want.By = x.w.Who(t, "third").User() }, no, "not by the issuer"},
		{"another invite", entity.Board, func(_ *testing.T, x *offer) { x.want.Ref = &[16]byte{9} }, no, "another invite"},
		{"no invite wanted", entity.Board, func(_ *testing.T, x *offer) { x.want.Ref = nil }, no, "another invite"},
		{"we left since", entity.Board, func(t *testing.T, x *offer) {
			x.w.Must(t, "joiner", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
			x.ap.Logs = x.w.ControlStrand()
		}, no, "no member"},
		{"we left and were admitted anew", entity.Board, func(t *testing.T, x *offer) {
			x.w.Must(t, "joiner", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
			x.w.Admit(t, "joiner", entity.Member)
			x.ap.Logs = x.w.ControlStrand()
		}, no, "no member"},
		{"the admit became void", entity.Board, func(t *testing.T, x *offer) {
			f := x.w.Who(t, "founder")
			d := x.w.Draft(f, oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "fork"})
			admit, _ := x.w.Log().Get(x.ap.Admit)
			d.Seq, d.Prev, d.Parents = admit.Seq(), admit.Prev(), admit.Parents()
			checkAdded(t, x.w.Entity, sign(t, f, d))
			x.ap.Logs = x.w.ControlStrand()
		}, no, "is not in the log"},
		{"the issuer left since", entity.Board, func(t *testing.T, x *offer) { byMaster(t, x, false) }, no, "no master"},
		{"the issuer is no owner any more", entity.Board, func(t *testing.T, x *offer) { byMaster(t, x, true) }, no, "no master"},
		{"H31: a key of zeros", entity.Board, func(_ *testing.T, x *offer) { x.ap.Keys[0].Key = [32]byte{} }, no, "commitment"},
		{"H31: another key", entity.Board, func(_ *testing.T, x *offer) { x.ap.Keys[0].Key[0] ^= 1 }, no, "commitment"},
		{"H31: another key beside", entity.Board, func(_ *testing.T, x *offer) {
			k := x.ap.Keys[0]
			k.Key[31] ^= 1
			x.ap.Keys = append(x.ap.Keys, k)
		}, no, "commitment"},
		{"H31: the key of an unknown epoch", entity.Board, func(_ *testing.T, x *offer) { x.ap.Keys[0].Epoch = keys.Digest{9} }, no, "commitment"},
		{"H31: the key of another entity's epoch", entity.Board, func(t *testing.T, x *offer) {
			for id, k := range found(t, entity.Board).Ring {
				x.ap.Keys = append(x.ap.Keys, entity.EpochKey{Epoch: id, Key: k.Secret()})
			}
		}, no, "commitment"},
		{"a key of zeros that was committed to", entity.Board, func(t *testing.T, x *offer) {
			o := x.w.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{
				Commitment: keys.OpKey{}.Commitment(x.w.ID()), Depth: 2, Replaces: epochs(x.w),
			})
			x.ap.Logs, x.ap.Keys = x.w.ControlStrand(), append(x.ap.Keys, entity.EpochKey{Epoch: o.ID()})
		}, no, "commitment"},
		{"a key it names is missing", entity.Board, func(t *testing.T, x *offer) {
			key := keys.NewOpKey()
			o := x.w.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{Commitment: key.Commitment(x.w.ID()), Depth: 2, Replaces: epochs(x.w)})
			x.w.Ring[o.ID()] = key
			x.ap.Admit = x.w.Admit(t, "third", entity.Member).ID()
			x.want.Me = x.w.Who(t, "third").Me.Entity
			x.ap.Logs = x.w.ControlStrand()
		}, no, "is not there"},
		{"no key at all", entity.Board, func(t *testing.T, x *offer) {
			x.w.Ring = nil
			x.ap.Admit = x.w.Admit(t, "third", entity.Member).ID()
			x.want.Me = x.w.Who(t, "third").Me.Entity
			x.ap.Logs, x.ap.Keys = x.w.ControlStrand(), nil
		}, no, "no key"},
		{"no keys with an admit that names some", entity.Board, func(_ *testing.T, x *offer) { x.ap.Keys = nil }, no, "is not there"},
		{"H30: an admit by a reader", entity.Board, func(t *testing.T, x *offer) {
			x.w.Admit(t, "reader", entity.Reader)
			forgeAdmit(t, x, x.w.Who(t, "reader"))
		}, no, "not a master"},
		{"H30: an admit by a member", entity.Board, func(t *testing.T, x *offer) {
			x.w.Admit(t, "member", entity.Member)
			forgeAdmit(t, x, x.w.Who(t, "member"))
		}, no, "not a master"},
		{"H30: an admit by a stranger", entity.Board, func(t *testing.T, x *offer) { forgeAdmit(t, x, x.w.Who(t, "stranger")) }, no, "does not speak"},
		{"H30: an admit by a stranger in the issuer's name", entity.Board, func(t *testing.T, x *offer) {
			forgeAdmit(t, x, x.w.Who(t, "founder").By(x.w.Who(t, "stranger").Key))
		}, no, "does not speak"},
		{"H17: our user, another device", entity.Board, func(t *testing.T, x *offer) {
			stolen := x.w.Who(t, "third").Party()
			stolen.Devices = []keys.ID{x.w.Who(t, "stranger").Key.ID()}
			o := x.w.Must(t, "founder", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{
				Party: stolen, Role: entity.Member, Ref: &x.w.Ref, Epochs: epochs(x.w),
			})
			x.ap.Admit, x.want.Me, x.ap.Logs = o.ID(), x.w.Who(t, "third").Me.Entity, x.w.ControlStrand()
		}, no, "somebody else"},
		{"a friendship founded by another", entity.Friend, func(t *testing.T, x *offer) { x.want.By = x.w.Who(t, "third").User() }, no, "not by the issuer"},
		{"a friendship with another invite", entity.Friend, func(_ *testing.T, x *offer) { x.want.Ref = &[16]byte{9} }, no, "another invite"},
		{"a friendship of others", entity.Friend, func(t *testing.T, x *offer) { x.want.Me = x.w.Who(t, "third").Me.Entity }, no, "somebody else"},
	} {
		role := entity.Member
		x := approve(t, found(t, c.kind), role)
		if _, _, err := createJoinEntity(x.ap, x.want); err != nil {
			t.Fatalf("%s: before the change: %v", c.name, err)
		}
		c.change(t, x)
		e, ring, err := createJoinEntity(x.ap, x.want)
		if e != nil || ring != nil || !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.because) {
			t.Errorf("%s: CreateJoinEntity = %v, %v, want %v that says %q", c.name, e != nil, err, c.want, c.because)
		}
	}
}

// byMaster lets a second owner admit "third", who then leaves, and may come back as a
// member.
func byMaster(t *testing.T, x *offer, back bool) {
	w := x.w
	w.Admit(t, "master", entity.Member)
	party := w.Who(t, "master").Party()
	w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party})
	third := w.Who(t, "third").Party()
	o := w.Must(t, "master", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: third, Role: entity.Member, Ref: &w.Ref, Epochs: epochs(w)})
	x.ap.Admit, x.ap.Logs = o.ID(), w.ControlStrand()
	x.want.Me, x.want.By = w.Who(t, "third").Me.Entity, w.Who(t, "master").User()
	if _, _, err := createJoinEntity(x.ap, x.want); err != nil {
		t.Fatalf("admitted by a second owner: %v", err)
	}
	w.Must(t, "master", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	if back {
		w.Admit(t, "master", entity.Member)
	}
	x.ap.Logs = w.ControlStrand()
}

// admitOther has the newcomer admitted by the founder with a party that is not as
// his device chain has it.
func admitOther(change func(*entity.Party)) func(*testing.T, *offer) {
	return func(t *testing.T, x *offer) {
		party := x.w.Who(t, "third").Party()
		change(&party)
		o := x.w.Must(t, "founder", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{
			Party: party, Role: entity.Member, Ref: &x.w.Ref, Epochs: epochs(x.w),
		})
		x.ap.Admit, x.ap.Logs, x.want.Me = o.ID(), x.w.ControlStrand(), x.w.Who(t, "third").Me.Entity
	}
}

// forgeAdmit adds an admit of "third" that is signed by p to the bytes of the log.
func forgeAdmit(t *testing.T, x *offer, p person) {
	third := x.w.Who(t, "third").Party()
	o := sign(t, p, x.w.Draft(p, oplog.Control, oplog.FamilyMember, entity.TypeAdmit, entity.Admit{
		Party: third, Role: entity.Member, Ref: &x.w.Ref, Epochs: epochs(x.w),
	}))
	x.ap.Admit, x.ap.Logs = o.ID(), append(x.w.ControlStrand(), o.Envelope())
	x.want.Me, x.want.By = x.w.Who(t, "third").Me.Entity, p.User()
}

// TestApprovalTampered flips each byte of an approval's log and truncates it at each
// op: nothing of it is taken.
func TestApprovalTampered(t *testing.T) {
	t.Parallel()
	x := approve(t, found(t, entity.Board), entity.Member)
	for i := range x.ap.Logs {
		for at := range x.ap.Logs[i] {
			y := *x
			y.ap.Logs = slices.Clone(x.ap.Logs)
			y.ap.Logs[i] = bytes.Clone(x.ap.Logs[i])
			y.ap.Logs[i][at] ^= 1
			if e, _, err := createJoinEntity(y.ap, y.want); err == nil || e != nil {
				t.Fatalf("byte %d of op %d flipped: the entity is created", at, i)
			}
		}
		y := *x
		y.ap.Logs = x.ap.Logs[:i]
		if _, _, err := createJoinEntity(y.ap, y.want); err == nil {
			t.Errorf("the first %d ops of %d make an entity", i, len(x.ap.Logs))
		}
	}
}

// TestCreateEntity: the founding batch of every kind.
func TestCreateEntity(t *testing.T) {
	t.Parallel()
	for _, kind := range []entity.Kind{entity.Me, entity.Profile, entity.Friend, entity.Board} {
		w := found(t, kind)
		var types []oplog.Family
		for o := range w.Log().All(oplog.Control) {
			types = append(types, o.Family())
		}
		want := []oplog.Family{oplog.FamilyGenesis, oplog.FamilyMaster, oplog.FamilyOpKey}
		if kind == entity.Me {
			want = slices.Delete(want, 1, 2)
		}
		if !slices.Equal(types, want) {
			t.Errorf("%v: founded with families %v", kind, types)
		}
		s := w.State()
		f := w.Who(t, "founder")
		if s.Kind != kind || s.Founder != f.User() || len(s.Epochs) != 1 || !s.Speaks(f.User(), f.Key.ID(), entity.Master) || s.Ended || s.Frozen {
			t.Errorf("%v: state %+v", kind, s)
		}
		if (s.Policy == entitytest.OpenPolicy) != (kind == entity.Board) {
			t.Errorf("%v: policy %+v", kind, s.Policy)
		}
		if s.PolicyHash().IsZero() != (kind != entity.Board) {
			t.Errorf("%v: policy hash %v", kind, s.PolicyHash())
		}
		info, ok := s.WritingEpoch(func(keys.Digest) bool { return true })
		if !ok || w.Ring[info.ID].Commitment(w.ID()) != info.Commitment || info.Depth != 1 || info.By != f.User() {
			t.Errorf("%v: first epoch %+v", kind, info)
		}
		if _, ok := s.WritingEpoch(func(keys.Digest) bool { return false }); ok {
			t.Errorf("%v: an epoch for who holds none", kind)
		}
		checkAgrees(t, w.Entity)
	}
	a, b := found(t, entity.Board), found(t, entity.Board)
	if a.ID() == b.ID() {
		t.Error("two boards of one founder have one id")
	}
	f := newPerson(t, "founder")
	for name, g := range map[string]entity.Genesis{
		"no founder": {Kind: entity.Board, Policy: &entitytest.OpenPolicy}, "kind 9": {Kind: 9}, "too large": {Kind: entity.Board, Name: strings.Repeat("n", oplog.MaxControl)},
	} {
		if c, err := entity.CreateEntity(f.Author(), g); err == nil || c.Entity != nil {
			t.Errorf("CreateEntity with %s: %v", name, err)
		}
	}
}

func TestWritingEpoch(t *testing.T) {
	t.Parallel()
	s := &entity.State{Epochs: map[keys.Digest]entity.EpochInfo{}}
	for _, i := range []entity.EpochInfo{{ID: keys.Digest{1}, Depth: 1}, {ID: keys.Digest{5}, Depth: 2}, {ID: keys.Digest{3}, Depth: 2}, {ID: keys.Digest{9}, Depth: 3}} {
		s.Epochs[i.ID] = i
	}
	for range 20 { // whatever the order of the map
		for most, want := range map[byte]keys.Digest{9: {9}, 5: {3}, 2: {1}} {
			got, ok := s.WritingEpoch(func(id keys.Digest) bool { return id[0] <= most })
			if !ok || got.ID != want {
				t.Fatalf("WritingEpoch up to %d = %v, want %v", most, got.ID, want)
			}
		}
	}
}

// TestDeviceChain is what a stranger may show as his devices: H20 among it. What one op may
// say, package chain tests.
func TestDeviceChain(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second")
	p := w.Who(t, "founder")
	good := w.DeviceChain()
	c, err := entity.OpenDeviceChain(good)
	if err != nil || c.User() != p.User() || !entity.PartyOf(c, "x").Same(w.State().Party("x")) || entity.PartyOf(c, "x").Name != "x" {
		t.Fatalf("OpenDeviceChain: %v", err)
	}
	next := func(link chain.DeviceLink, votes ...chain.Vote) []byte {
		o := w.draw(t, p, chain.DeviceClass{Device: p.Key.ID(), Class: chain.Server, Chain: link})
		return chain.Link{Op: o, Votes: votes}.Marshal()
	}
	if c, err := entity.OpenDeviceChain(append(slices.Clone(good), next(w.nextLink()))); err != nil || c.Len() != len(good)+1 {
		t.Fatalf("OpenDeviceChain with one op more: %v", err)
	}
	reset := w.resetOf(w.chain(), 1, "third")
	byWords := chain.Link{Op: w.draw(t, recovery(p), reset)}.Marshal()
	if c, err := entity.OpenDeviceChain(append(slices.Clone(good), byWords)); err != nil || c.State().Reset() != 1 {
		t.Fatalf("OpenDeviceChain with a RESET: %v", err)
	}
	outside := w.clone(t)
	outside.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, outside.nextEpoch())
	later := w.clone(t)
	later.Must(t, "founder", oplog.FamilyPolicy, 99, []byte("later"))
	bob := newPerson(t, "bob")
	for _, c := range []struct {
		name string
		raws [][]byte
		want error
	}{
		{"empty", nil, entity.ErrBody},
		{"H20: more ops than a chain may have", slices.Repeat(good[:1], chain.MaxOps+1), entity.ErrBody},
		{"H20: 10,000 times the genesis", slices.Repeat(good[:1], 10_000), entity.ErrBody},
		{"H20: a loop", slices.Concat(good, good[1:]), entity.ErrNotAuthorized},
		{"H20: a loop to the genesis", slices.Concat(good, good[:1]), entity.ErrNotAuthorized},
		{"H20: a foreign genesis", slices.Concat(bob.Me.DeviceChain()[:1], good[1:]), entity.ErrNotAuthorized},
		{"H20: of a board", linksOf(t, found(t, entity.Board).ControlStrand()), entity.ErrBody},
		{"no epoch, so no user box key", good[:1], entity.ErrBody},
		{"no genesis", good[1:], entity.ErrNotAuthorized},
		{"a hole", slices.Concat(good[:1], good[2:]), entity.ErrNotAuthorized},
		{"in disorder", [][]byte{good[1], good[0]}, entity.ErrNotAuthorized},
		{"garbage", [][]byte{[]byte("garbage")}, entity.ErrBody},
		{"ops that are no links", w.ControlStrand(), entity.ErrBody},
		{"O26: a device op of another", slices.Concat(good, bob.Me.DeviceChain()[1:]), entity.ErrNotAuthorized},
		{"an op that follows another than the last", append(slices.Clone(good), next(chain.DeviceLink{Prev: p.User()})), entity.ErrNotAuthorized},
		{"an op that follows itself", append(slices.Clone(good), next(chain.DeviceLink{})), entity.ErrNotAuthorized},
		{"O27: an op after a RESET that was not", append(slices.Clone(good), next(chain.DeviceLink{Prev: w.State().DeviceHead, Reset: 1})), entity.ErrNotAuthorized},
		{"O27: an op of an old device after a RESET", append(slices.Clone(good), byWords, next(w.nextLink())), entity.ErrNotAuthorized},
		{"a RESET by a device", append(slices.Clone(good), chain.Link{Op: w.draw(t, p, reset)}.Marshal()), entity.ErrNotAuthorized},
		{"an op with a vote too many", append(slices.Clone(good), next(w.nextLink(), make([]chain.Vote, 1)...)), entity.ErrNotAuthorized},
		{"two branches", append(slices.Clone(good), next(w.nextLink()), byWords), entity.ErrNotAuthorized},
		{"an epoch outside the chain", linksOf(t, outside.ControlStrand()), entity.ErrBody},
		{"an op of a later version", linksOf(t, later.ControlStrand()), entity.ErrNotAuthorized},
		{"a bad signature", slices.Concat(good[:2], [][]byte{flipLast(good[2])}), entity.ErrBody},
	} {
		if c2, err := entity.OpenDeviceChain(c.raws); !errors.Is(err, c.want) || c2 != nil {
			t.Errorf("%s: OpenDeviceChain = %v, want %v", c.name, err, c.want)
		}
	}
}

// linksOf returns ops as links, with no votes.
func linksOf(tb testing.TB, raws [][]byte) (links [][]byte) {
	tb.Helper()
	for _, raw := range raws {
		o, err := oplog.Parse(raw)
		if err != nil {
			tb.Fatal(err)
		}
		links = append(links, chain.Link{Op: o}.Marshal())
	}
	return links
}

func flipLast(raw []byte) []byte {
	raw = bytes.Clone(raw)
	raw[len(raw)-1] ^= 1
	return raw
}

// TestProof: a link's issuer shows whose device made it.
func TestProof(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	for _, name := range []string{"founder", "master"} {
		p := w.Who(t, name)
		proof, ok := entity.ProveMaster(p.Me.Entity, w.Entity)
		me, err := proof.Verify(entity.Board, w.ID(), half16(w.ID()), p.Key.ID())
		if !ok || err != nil || me.User() != p.User() {
			t.Errorf("%s: ProveMaster = %v, Verify: %v", name, ok, err)
		}
	}
	for _, name := range []string{"member", "reader", "gone", "stranger"} {
		if proof, ok := entity.ProveMaster(w.Who(t, name).Me.Entity, w.Entity); ok || proof.Chain != nil {
			t.Errorf("%s: ProveMaster = true", name)
		}
	}
	for _, kind := range []entity.Kind{entity.Friend, entity.Me} {
		p := w.Who(t, "founder")
		proof, ok := entity.ProveMaster(p.Me.Entity, nil)
		me, err := proof.Verify(kind, p.User(), half16(p.User()), p.Key.ID())
		if !ok || err != nil || me.User() != p.User() {
			t.Errorf("%v link: Verify: %v", kind, err)
		}
	}
	w.Must(t, "master", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	w.Admit(t, "master", entity.Member)
	if _, ok := entity.ProveMaster(w.Who(t, "master").Me.Entity, w.Entity); ok {
		t.Error("an owner who left and came back as a member makes a link")
	}
}

// TestProofRefused is what a proof does not hold with: H18 and H20 among it. That somebody
// is no owner of a board it cannot show: what they approve says so (TestJoinEntityRefused).
func TestProofRefused(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	f, s := w.Who(t, "founder"), w.Who(t, "stranger")
	eid := w.ID()
	proof, _ := entity.ProveMaster(f.Me.Entity, w.Entity)
	no := entity.ErrNotAuthorized
	for _, c := range []struct {
		name   string
		proof  entity.Proof
		kind   entity.Kind
		eid    keys.Digest
		half   [16]byte
		device keys.ID
		want   error
	}{
		{"half of another id", proof, entity.Board, eid, [16]byte{9}, f.Key.ID(), no},
		{"one bit of the half", proof, entity.Board, eid, [16]byte(append(bytes.Clone(eid[:15]), eid[15]^1)), f.Key.ID(), no},
		{"a card of another board of theirs", proof, entity.Board, settleBy(t, entity.Board, w.People).ID(), half16(eid), f.Key.ID(), no},
		{"H18: their chain, another device", proof, entity.Board, eid, half16(eid), s.Key.ID(), no},
		{"H18: their chain, no device", proof, entity.Board, eid, half16(eid), keys.ID{}, no},
		{"a friend link of another user", proof, entity.Friend, s.User(), half16(s.User()), f.Key.ID(), no},
		{"a device link of another user", proof, entity.Me, s.User(), half16(s.User()), f.Key.ID(), no},
		{"a friend link by another device", proof, entity.Friend, f.User(), half16(f.User()), s.Key.ID(), no},
		{"a card of another user", proof, entity.Friend, s.User(), half16(f.User()), f.Key.ID(), no},
		{"no chain", entity.Proof{}, entity.Board, eid, half16(eid), f.Key.ID(), entity.ErrBody},
		{"H20: a chain of a board", entity.Proof{Chain: linksOf(t, w.ControlStrand()[:3])}, entity.Board, eid, half16(eid), f.Key.ID(), entity.ErrBody},
		{"too large", entity.Proof{Chain: append(slices.Clone(proof.Chain), make([]byte, entity.MaxProof))}, entity.Board, eid, half16(eid), f.Key.ID(), entity.ErrBody},
	} {
		if me, err := c.proof.Verify(c.kind, c.eid, c.half, c.device); !errors.Is(err, c.want) || me != nil {
			t.Errorf("%s: Verify = %v, want %v", c.name, err, c.want)
		}
	}
}

func half16(d keys.Digest) [16]byte { return [16]byte(d[:16]) }
