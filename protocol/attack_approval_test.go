package protocol

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// Attacks on what an approval says. The forger is the issuer itself, or has its
// device key: the signature is right, and so is all but one thing.

// asked returns a run whose requester waits for the answer to JOIN-ENTITY; card,
// if given, changes the card it was shown.
func (w *world) asked(t testing.TB, card ...func(*Card)) *run {
	t.Helper()
	x := w.run(t).toJoin()
	f := x.forgeAck()
	for _, change := range card {
		change(&f.body.Card)
	}
	eff := x.stepJ(x.sign(f))
	sent[JoinEntity](t, x.stepJ(x.r.commit(eff.Commit)))
	return x
}

// newBoardOfTwo returns a world whose issuer is the second master of fay's board.
func newBoardOfTwo(t testing.TB) (w *world, fay person) {
	t.Helper()
	fay, mia := newPerson(t, "fay"), newPerson(t, "mia")
	b := newBoardPlace(t, fay, "dev")
	b.admit(t, fay, entity.Admission{Party: mia.party(), Role: entity.Member, Ref: &[16]byte{1}})
	b.control(t, fay, oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: mia.party()})
	return worldOf(t, newIssuer(mia, entity.Board, b, invite.Options{})), fay
}

// TestAttackH28: an approval of another run of the same requester is passed off
// as the one of this run: whole, or its box inside a new signature.
func TestAttackH28(t *testing.T) {
	w := boardWorld(t)
	one := w.run(t).toPending()
	first := one.approve()

	w.asked(t).wantDistrust(first, "signature")

	x := w.asked(t)
	a := x.forgeApproval(w.m.board.grant(w.m.rec.Claims[0].Admit))
	a.body.Box = body[ApproveBody](t, first.Body).Box
	x.wantDistrust(a.sign(t), "box")

	// To this run's key, but bound to the other run.
	x = w.asked(t)
	a = x.forgeApproval(w.m.board.grant(w.m.rec.Claims[0].Admit))
	a.info = one.j.t
	x.wantDistrust(a.sign(t), "box")

	x = w.asked(t)
	x.wantJoined(x.forgeApproval(w.m.board.grant(w.m.rec.Claims[0].Admit)).sign(t))
}

// TestAttackApproveSignature: the decision is not the issuer's: another device
// signed, or another status was made of it. So it is with every status.
func TestAttackApproveSignature(t *testing.T) {
	w := boardWorld(t)
	admit := w.m.board.admit(t, w.m.person, w.admission()).ID()
	for _, s := range []Status{Approved, Pending, Denied} {
		x := w.asked(t)
		a := x.forgeApproval(w.m.board.grant(admit))
		a.status, a.device = s, newPerson(t, "mallory").key
		x.wantDistrust(a.sign(t), "signature")
	}
	x := w.asked(t)
	m := x.forgeApproval(w.m.board.grant(admit)).sign(t)
	m.Status = Denied
	x.wantDistrust(m, "signature")
}

// TestAttackH29: an approval with another entity, or with its log.
func TestAttackH29(t *testing.T) {
	w := boardWorld(t)
	other := newBoardPlace(t, w.m.person, "other")
	admit := w.m.board.admit(t, w.m.person, w.admission()).ID()
	otherAdmit := other.admit(t, w.m.person, w.admission()).ID()
	honest := w.m.board.grant(admit)
	heads := other.e.Log().Heads(oplog.Control)

	t.Run("another entity", func(t *testing.T) {
		// The card was made to fit, too.
		x := w.asked(t, func(c *Card) { c.Heads = heads })
		x.wantDistrust(x.forgeApproval(other.grant(otherAdmit)).sign(t), "approval of another entity")
	})
	t.Run("another entity under this one's name", func(t *testing.T) {
		g := other.grant(otherAdmit)
		g.Entity = w.m.board.e.ID()
		x := w.asked(t, func(c *Card) { c.Heads = heads })
		x.wantDistrust(x.forgeApproval(g).sign(t), "is not the genesis of")
	})
	for name, change := range map[string]func(*Grant){
		"the log of another":   func(g *Grant) { g.Logs = other.e.ControlStrand() },
		"an op of another":     func(g *Grant) { g.Logs = append(slices.Clone(g.Logs), other.e.ControlStrand()[1]) },
		"the admit of another": func(g *Grant) { g.Admit = otherAdmit },
		"the keys of another":  func(g *Grant) { g.Keys = other.keys() },
		"no log":               func(g *Grant) { g.Logs = nil },
		"a log without its genesis": func(g *Grant) {
			g.Logs = g.Logs[1:]
		},
		"the genesis alone":    func(g *Grant) { g.Logs = g.Logs[:1] },
		"a log without admit":  func(g *Grant) { g.Logs = g.Logs[:len(g.Logs)-1] },
		"a log out of order":   func(g *Grant) { g.Logs = slices.Clone(g.Logs); slices.Reverse(g.Logs[1:]) },
		"an op twice":          func(g *Grant) { g.Logs = append(slices.Clone(g.Logs), g.Logs[1]) },
		"a second genesis":     func(g *Grant) { g.Logs = append(slices.Clone(g.Logs), other.e.ControlStrand()[0]) },
		"bytes that are no op": func(g *Grant) { g.Logs = append(slices.Clone(g.Logs), []byte{0xa0}) },
	} {
		t.Run(name, func(t *testing.T) {
			g := honest
			change(&g)
			x := w.asked(t, func(c *Card) {
				c.Heads = w.m.board.e.Log().Heads(oplog.Control)[:0]
				c.Heads = append(c.Heads, w.m.board.e.ID())
			})
			x.wantDistrust(x.forgeApproval(g).sign(t), "APPROVED")
		})
	}
	t.Run("a bad signature", func(t *testing.T) {
		g := honest
		last := slices.Clone(g.Logs[len(g.Logs)-1])
		last[len(last)-1] ^= 1
		g.Logs = append(slices.Clone(g.Logs), last)
		x := w.asked(t)
		x.wantDistrust(x.forgeApproval(g).sign(t), "bad signature")
	})
	t.Run("content among control", func(t *testing.T) {
		b := w.m.board.copyOf(t)
		o, err := b.e.Write(w.m.author(dawn), b.ring, oplog.FamilyArticle, board.TypeArticleNew, keys.Digest{}, board.Article{Title: "x"})
		if err != nil {
			t.Fatal(err)
		}
		g := honest
		g.Logs = append(slices.Clone(g.Logs), o.Envelope())
		x := w.asked(t)
		x.wantDistrust(x.forgeApproval(g).sign(t), "content op")
	})
	t.Run("another kind", func(t *testing.T) {
		// A friend link that ends on a board.
		w := friendWorld(t)
		board := newBoardPlace(t, w.m.person, "dev")
		g := board.grant(board.admit(t, w.m.person, w.admission()).ID())
		x := w.asked(t)
		x.wantDistrust(x.forgeApproval(g).sign(t), "a board, want a friend")
	})
	t.Run("less than the card showed", func(t *testing.T) {
		// A log in which what was offered (a description, say) never happened.
		w := boardWorld(t)
		before := w.m.board.copyOf(t)
		w.m.board.control(t, w.m.person, oplog.FamilyPolicy, entity.TypeDescription, entity.Text{Text: "no advertising"})
		g := before.grant(before.admit(t, w.m.person, w.admission()).ID())
		x := w.asked(t)
		x.wantDistrust(x.forgeApproval(g).sign(t), "lacks the head")
	})
}

// TestAttackH30: the requester is let in by who may not let it in, or not as it
// asked.
func TestAttackH30(t *testing.T) {
	genesisHead := func(b place) func(*Card) {
		return func(c *Card) { c.Heads = []keys.Digest{b.e.ID()} }
	}
	refuse := func(t *testing.T, w *world, g Grant, why string) {
		t.Helper()
		x := w.asked(t, genesisHead(w.m.board))
		x.wantDistrust(x.forgeApproval(g).sign(t), why)
	}

	t.Run("a member who is no master", func(t *testing.T) {
		w := boardWorld(t)
		b, nina := w.m.board, newPerson(t, "nina")
		b.admit(t, w.m.person, entity.Admission{Party: nina.party(), Role: entity.Member, Ref: new(w.m.rec.Ref)})
		o, err := oplog.Sign(nina.key, oplog.Draft{
			Entity: b.e.ID(), User: nina.user(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: entity.TypeAdmit,
			Parents: b.e.Log().Heads(oplog.Control), At: dawn,
			Body: keys.Marshal(entity.Admit{Party: w.r.party(), Role: entity.Member, Ref: new(w.m.rec.Ref)}),
		})
		if err != nil {
			t.Fatal(err)
		}
		g := b.grant(o.ID())
		g.Logs = append(g.Logs, o.Envelope())
		refuse(t, w, g, "not a master")
	})
	t.Run("a stranger", func(t *testing.T) {
		w := boardWorld(t)
		b, nina := w.m.board, newPerson(t, "nina")
		o, err := oplog.Sign(nina.key, oplog.Draft{
			Entity: b.e.ID(), User: w.m.user(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: entity.TypeAdmit,
			Parents: b.e.Log().Heads(oplog.Control), At: dawn,
			Body: keys.Marshal(entity.Admit{Party: w.r.party(), Role: entity.Member, Ref: new(w.m.rec.Ref)}),
		})
		if err != nil {
			t.Fatal(err)
		}
		g := b.grant(o.ID())
		g.Logs = append(g.Logs, o.Envelope())
		refuse(t, w, g, "does not speak")
	})
	t.Run("another master than the issuer", func(t *testing.T) {
		w, fay := newBoardOfTwo(t)
		refuse(t, w, w.m.board.grant(w.m.board.admit(t, fay, w.admission()).ID()), "not by the issuer")
	})
	t.Run("an issuer who is master no more", func(t *testing.T) {
		w, fay := newBoardOfTwo(t)
		b := w.m.board.copyOf(t) // the card is older
		admit := b.admit(t, w.m.person, w.admission()).ID()
		b.control(t, w.m.person, oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
		refuse(t, w, b.grant(admit), "no master")
		b.admit(t, fay, entity.Admission{Party: w.m.party(), Role: entity.Member, Ref: &[16]byte{1}})
		refuse(t, w, b.grant(admit), "no master")
	})
	t.Run("somebody else is let in", func(t *testing.T) {
		w := boardWorld(t)
		how := w.admission()
		how.Party = newPerson(t, "nina").party()
		refuse(t, w, w.m.board.grant(w.m.board.admit(t, w.m.person, how).ID()), "admits somebody else")
	})
	for name, change := range map[string]func(*entity.Party){
		"with another head":    func(p *entity.Party) { p.Head[0] ^= 1 },
		"with another box key": func(p *entity.Party) { p.Box = keys.NewBox().ID() },
		"with other devices":   func(p *entity.Party) { p.Devices = []keys.ID{newPerson(t, "nina").id()} },
		"with a device more": func(p *entity.Party) {
			p.Devices = append(p.Devices, newPerson(t, "nina").id())
			slices.SortFunc(p.Devices, func(a, b keys.ID) int { return slices.Compare(a[:], b[:]) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := boardWorld(t)
			how := w.admission()
			change(&how.Party)
			refuse(t, w, w.m.board.grant(w.m.board.admit(t, w.m.person, how).ID()), "admits somebody else")
		})
	}
	t.Run("through another invite", func(t *testing.T) {
		w := boardWorld(t)
		how := w.admission()
		how.Ref = &[16]byte{9}
		refuse(t, w, w.m.board.grant(w.m.board.admit(t, w.m.person, how).ID()), "another invite")
	})
	t.Run("through a friendship", func(t *testing.T) {
		w := boardWorld(t)
		how := w.admission()
		how.Ref, how.Friend = nil, &keys.Digest{9}
		refuse(t, w, w.m.board.grant(w.m.board.admit(t, w.m.person, how).ID()), "another invite")
	})
	t.Run("by an op that is no admit", func(t *testing.T) {
		w := boardWorld(t)
		w.m.board.admit(t, w.m.person, w.admission())
		refuse(t, w, w.m.board.grant(w.m.board.e.ID()), "not an admit")
	})
	t.Run("and out again", func(t *testing.T) {
		w := boardWorld(t)
		b := w.m.board
		first := b.admit(t, w.m.person, w.admission()).ID()
		b.control(t, w.r.person, oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
		refuse(t, w, b.grant(first), "no member")
		second := b.admit(t, w.m.person, w.admission()).ID()
		refuse(t, w, b.grant(first), "no member")
		x := w.asked(t, genesisHead(b))
		x.wantJoined(x.forgeApproval(b.grant(second)).sign(t))
	})
	t.Run("before an op of the device that voids it", func(t *testing.T) {
		w := boardWorld(t)
		b := w.m.board
		fork := b.copyOf(t)
		admit := b.admit(t, w.m.person, w.admission()).ID()
		two := fork.control(t, w.m.person, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "two at one place"})
		g := b.grant(admit)
		g.Logs = append(g.Logs, two.Envelope())
		refuse(t, w, g, "admit is not in the log")
	})
}

// TestAttackH30Friendship: the same with admissions that follow from a
// friendship, as init-friend-info brings them.
func TestAttackH30Friendship(t *testing.T) {
	mia, rita := newPerson(t, "mia"), newPerson(t, "rita")
	b := newBoardPlace(t, mia, "mia's own")
	friend := keys.Digest{1}
	want := entity.Wanted{Kind: entity.Board, Me: rita.me, By: mia.user(), Friends: []keys.Digest{{2}, friend}}
	approval := func(b place, admit keys.Digest) entity.Approval {
		return entity.Approval{Entity: b.e.ID(), Admit: admit, Keys: b.keys()}
	}
	for _, c := range []struct {
		name string
		how  entity.Admission
		ok   bool
	}{
		{"of the two", entity.Admission{Friend: &friend}, true},
		{"of others", entity.Admission{Friend: &keys.Digest{3}}, false},
		{"an invite instead", entity.Admission{Ref: &[16]byte{1}}, false},
	} {
		b := b.copyOf(t)
		c.how.Party, c.how.Role = rita.party(), entity.Reader
		admit := b.admit(t, mia, c.how).ID()
		_, err := entity.CreateJoinEntity(b.e, approval(b, admit), want)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestAttackH31: keys that are not the ones the log commits to, or not all.
func TestAttackH31(t *testing.T) {
	w := boardWorld(t)
	b := w.m.board
	var first keys.Digest
	for id := range b.ring {
		first = id
	}
	second := keys.NewOpKey()
	o := b.control(t, w.m.person, oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{
		Commitment: second.Commitment(b.e.ID()), Depth: 2, Replaces: []keys.Digest{first},
	})
	b.ring[o.ID()] = second
	g := b.grant(b.admit(t, w.m.person, w.admission()).ID())
	if len(g.Keys) != 2 {
		t.Fatalf("%d keys", len(g.Keys))
	}
	of := func(id keys.Digest) entity.EpochKey { return entity.EpochKey{Epoch: id, Key: b.ring[id].Secret()} }
	for name, ks := range map[string][]entity.EpochKey{
		"another key":          {of(first), {Epoch: o.ID(), Key: keys.NewOpKey().Secret()}},
		"keys exchanged":       {{Epoch: first, Key: second.Secret()}, {Epoch: o.ID(), Key: b.ring[first].Secret()}},
		"an unknown epoch":     {of(first), of(o.ID()), {Epoch: keys.Digest{1}, Key: second.Secret()}},
		"all zero":             {of(first), {Epoch: o.ID()}},
		"one missing":          {of(first)},
		"the other missing":    {of(o.ID())},
		"none":                 nil,
		"the admit as epoch":   {of(first), of(o.ID()), {Epoch: g.Admit, Key: second.Secret()}},
		"one twice, one wrong": {of(first), of(o.ID()), {Epoch: first, Key: [32]byte{1}}},
	} {
		t.Run(name, func(t *testing.T) {
			bad := g
			bad.Keys = ks
			x := w.asked(t)
			x.wantDistrust(x.forgeApproval(bad).sign(t), "key")
		})
	}
	t.Run("a key of zeros that the log commits to", func(t *testing.T) {
		w := boardWorld(t)
		b := w.m.board
		zero := keys.OpKeyFromSecret([32]byte{})
		o := b.control(t, w.m.person, oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{
			Commitment: zero.Commitment(b.e.ID()), Depth: 2, Replaces: []keys.Digest{b.keys()[0].Epoch},
		})
		b.ring[o.ID()] = zero
		x := w.asked(t)
		x.wantDistrust(x.forgeApproval(b.grant(b.admit(t, w.m.person, w.admission()).ID())).sign(t), "key")
	})
	t.Run("an admit that promises none", func(t *testing.T) {
		w := boardWorld(t)
		b := w.m.board
		ring := b.ring
		b.ring = nil
		g := b.grant(b.admit(t, w.m.person, w.admission()).ID())
		x := w.asked(t)
		x.wantDistrust(x.forgeApproval(g).sign(t), "no key")
		b.ring = ring
		x = w.asked(t)
		x.wantJoined(x.forgeApproval(b.grant(g.Admit)).sign(t))
	})
	x := w.asked(t)
	x.wantJoined(x.forgeApproval(g).sign(t))
}

// TestAttackFriendship: the friendship that an approval brings is of others.
func TestAttackFriendship(t *testing.T) {
	w := friendWorld(t)
	found := func(by person, other keys.Digest, ref [16]byte) place {
		parties := []keys.Digest{by.user(), other}
		slices.SortFunc(parties, func(a, b keys.Digest) int { return slices.Compare(a[:], b[:]) })
		return newPlace(t, by, entity.Genesis{Kind: entity.Friend, Parties: parties, Ref: &ref})
	}
	ref, nina := w.m.rec.Ref, newPerson(t, "nina")
	p := found(w.m.person, w.r.user(), ref)
	g := p.grant(p.admit(t, w.m.person, w.admission()).ID())
	x := w.asked(t)
	x.wantJoined(x.forgeApproval(g).sign(t))

	p = found(nina, w.r.user(), ref) // M passes on somebody else's
	g = p.grant(p.admit(t, nina, w.admission()).ID())
	x = w.asked(t)
	x.wantDistrust(x.forgeApproval(g).sign(t), "not by the issuer")

	p = found(w.m.person, w.r.user(), [16]byte{9}) // of another invite
	how := w.admission()
	how.Ref = &[16]byte{9}
	g = p.grant(p.admit(t, w.m.person, how).ID())
	x = w.asked(t)
	x.wantDistrust(x.forgeApproval(g).sign(t), "another invite")

	p = found(w.m.person, nina.user(), ref) // M's with Nina
	how = w.admission()
	how.Party = nina.party()
	g = p.grant(p.admit(t, w.m.person, how).ID())
	x = w.asked(t)
	x.wantDistrust(x.forgeApproval(g).sign(t), "admits somebody else")
}

// TestAttackChains: device chains of other masters that are none, or of strangers.
func TestAttackChains(t *testing.T) {
	w, fay := newBoardOfTwo(t)
	g := w.m.board.grant(w.m.board.admit(t, w.m.person, w.admission()).ID())
	for name, chains := range map[string][][][]byte{
		"a stranger's": {newPerson(t, "nina").me.DeviceChain()},
		"no chain":     {fay.me.DeviceChain(), nil},
		"a broken one": {fay.me.DeviceChain()[1:]},
		"not a Me":     {w.m.board.e.ControlStrand()},
	} {
		t.Run(name, func(t *testing.T) {
			bad := g
			bad.Chains = chains
			x := w.asked(t)
			x.wantDistrust(x.forgeApproval(bad).sign(t), "APPROVED")
		})
	}
	g.Chains = [][][]byte{fay.me.DeviceChain()}
	x := w.asked(t)
	joined := x.wantJoined(x.forgeApproval(g).sign(t))
	if len(joined.Chains) != 1 || joined.Chains[0].User() != fay.user() || joined.Issuer.User() != w.m.user() {
		t.Errorf("chains %v, issuer %v", joined.Chains, joined.Issuer.User())
	}
}

// TestAttackShape: an APPROVE-JOIN that lacks what its status needs.
func TestAttackShape(t *testing.T) {
	w := boardWorld(t)
	g := w.m.board.grant(w.m.board.admit(t, w.m.person, w.admission()).ID())
	for name, change := range map[string]func(*approval){
		"no admit":     func(a *approval) { a.body.Admit = nil },
		"no entity":    func(a *approval) { a.body.Entity = nil },
		"an empty box": func(a *approval) { a.body.Box = []byte{} },
	} {
		t.Run(name, func(t *testing.T) {
			x := w.asked(t)
			a := x.forgeApproval(g)
			a.sign(t)
			change(a)
			if name == "an empty box" {
				m := ApproveJoin{Status: Approved, Body: keys.Marshal(a.body)}
				signed := a.over.with(TypeApproveJoin, []byte{byte(Approved)}, m.Body).digest()
				m.Sig = a.device.Sign(keys.PurposeApply, signed[:])
				x.wantDistrust(m, "box")
				return
			}
			x.wantDistrust(a.sign(t), "without entity")
		})
	}
	t.Run("a box of something else", func(t *testing.T) {
		x := w.asked(t)
		a := x.forgeApproval(g)
		a.body.Box, _ = a.to.Seal(boxInfo(a.info), withField(keys.Marshal(a.box)))
		x.wantDistrust(a.sign(t), "malformed")
	})
	for _, s := range []Status{0, 4, 255} {
		x := w.asked(t)
		a := x.forgeApproval(g)
		a.status = s
		if eff, err := x.j.Step(w.now, a.sign(t)); !errors.Is(err, ErrFrame) || eff.Commit != nil {
			t.Errorf("status %d: %+v, %v; want ErrFrame", s, eff, err)
		}
	}
	t.Run("pending without a code", func(t *testing.T) {
		x := w.asked(t)
		a := x.forgeApproval(g)
		a.status, a.body = Pending, ApproveBody{Deadline: 1}
		if eff, err := x.j.Step(w.now, a.sign(t)); !errors.Is(err, ErrFrame) || eff.Commit != nil {
			t.Errorf("got %+v, %v; want ErrFrame", eff, err)
		}
	})
	t.Run("pending in answer to a withdrawal", func(t *testing.T) {
		w := boardWorld(t)
		w.run(t).toPending()
		w.r.attempt = w.r.attempt.Cancel(w.now)
		x := w.run(t).toAck()
		sent[JoinEntity](t, x.stepJ(x.ack))
		id, _ := safetyCode(x.j.t, x.j.nonce, nil, w.r.id(), keys.BoxID{})
		a := &approval{device: w.m.key, over: x.j.t, status: Pending, body: ApproveBody{CodeID: &id}}
		if eff, err := x.j.Step(w.now, a.sign(t)); !errors.Is(err, ErrFrame) || eff.Commit != nil {
			t.Errorf("got %+v, %v; want ErrFrame", eff, err)
		}
	})
}

// TestAttackForeignCode: PENDING names the safety code of no run of ours: another
// request waits in this one's place.
func TestAttackForeignCode(t *testing.T) {
	w := boardWorld(t)
	x := w.asked(t)
	a := &approval{device: w.m.key, over: x.j.t, status: Pending, body: ApproveBody{CodeID: &keys.Digest{1}, Deadline: 1}}
	x.wantDistrust(a.sign(t), "not one of ours")
}

// TestAttackDeadline: a deadline that is no date that anything could print.
func TestAttackDeadline(t *testing.T) {
	w := boardWorld(t)
	for _, deadline := range []uint64{0, 1, maxDeadline, maxDeadline + 1, math.MaxInt64, 1 << 63, math.MaxUint64} {
		x := w.asked(t)
		id := x.j.in.Attempt.Codes[len(x.j.in.Attempt.Codes)-1].CodeID
		a := &approval{device: w.m.key, over: x.j.t, status: Pending, body: ApproveBody{CodeID: &id, Deadline: deadline}}
		eff, err := x.j.Step(w.now, a.sign(t))
		switch {
		case deadline > maxDeadline:
			if !errors.Is(err, ErrFrame) || eff.Commit != nil {
				t.Errorf("deadline %d: %+v, %v; want ErrFrame", deadline, eff, err)
			}
		case err != nil || eff.Commit == nil || eff.Commit.Attempt.GiveUp().Year() > 9999:
			t.Errorf("deadline %d: %+v, %v; want it stored", deadline, eff, err)
		}
	}
}
