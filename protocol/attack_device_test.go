package protocol

import (
	"errors"
	"testing"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// Attacks on the join that makes a device one of a user's (docs/PROTOCOL.md §6.5):
// what is gained by one of them is a whole identity.

// TestAttackConsent: what a new device shows in place of a user. Nobody lists a device
// that did not consent to this user with this key, and a device says nothing else.
func TestAttackConsent(t *testing.T) {
	w := deviceWorld(t)
	rita, zoe, mallory := newDevice("rita"), newDevice("zoe"), newPerson(t, "mallory")
	sign := func(k keys.Private, p keys.Purpose, user keys.Digest, dev keys.ID, box keys.BoxID) *keys.Signature {
		return new(k.Sign(p, chain.Consent(user, dev, box)))
	}
	me, box := w.m.user(), rita.box.ID()
	for name, change := range map[string]func(*JoinBody){
		"no consent":                   func(b *JoinBody) { b.Consent = nil },
		"no device box key":            func(b *JoinBody) { b.DeviceBox = nil },
		"a consent of zeros":           func(b *JoinBody) { b.Consent = new(keys.Signature) },
		"to another user":              func(b *JoinBody) { b.Consent = rita.consent(mallory.user()) },
		"to no user":                   func(b *JoinBody) { b.Consent = rita.consent(keys.Digest{}) },
		"of another device":            func(b *JoinBody) { b.Consent = zoe.consent(me) },
		"for it by another device":     func(b *JoinBody) { b.Consent = sign(zoe.key, keys.PurposeLink, me, rita.id(), box) },
		"with another box key":         func(b *JoinBody) { b.Consent = sign(rita.key, keys.PurposeLink, me, rita.id(), zoe.box.ID()) },
		"and another box key shown":    func(b *JoinBody) { b.DeviceBox = new(zoe.box.ID()) },
		"with the join box key":        func(b *JoinBody) { b.DeviceBox = &b.Box },
		"signed as a device's proof":   func(b *JoinBody) { b.Consent = sign(rita.key, keys.PurposeDevice, me, rita.id(), box) },
		"signed as an operation":       func(b *JoinBody) { b.Consent = sign(rita.key, keys.PurposeOp, me, rita.id(), box) },
		"a user beside it":             func(b *JoinBody) { b.User = bytesOfDigest(mallory.user()) },
		"the issuer's user":            func(b *JoinBody) { b.User = bytesOfDigest(me) },
		"a user of zeros":              func(b *JoinBody) { b.User = make([]byte, 32) },
		"a device chain beside it":     func(b *JoinBody) { b.Chain = mallory.me.DeviceChain() },
		"the issuer's chain beside it": func(b *JoinBody) { b.Chain = w.m.me.DeviceChain() },
		"an empty op beside it":        func(b *JoinBody) { b.Chain = [][]byte{{}} },
		"a policy hash":                func(b *JoinBody) { b.PolicyHash = make([]byte, 32) },
		"a withdrawal with consent":    func(b *JoinBody) { b.Withdraw, b.DeviceBox = true, nil },
		"a withdrawal with a box key":  func(b *JoinBody) { b.Withdraw, b.Consent = true, nil },
		"a withdrawal with both":       func(b *JoinBody) { b.Withdraw = true },
		"a withdrawal of a user":       func(b *JoinBody) { b.Withdraw, b.DeviceBox, b.Consent, b.User = true, nil, nil, bytesOfDigest(me) },
		"a withdrawal with a chain": func(b *JoinBody) {
			b.Withdraw, b.DeviceBox, b.Consent, b.Chain = true, nil, nil, mallory.me.DeviceChain()
		},
		"a withdrawal with a policy": func(b *JoinBody) { b.Withdraw, b.DeviceBox, b.Consent, b.PolicyHash = true, nil, nil, []byte{1} },
	} {
		t.Run(name, func(t *testing.T) {
			c := w.claimant(t, rita)
			c.both(change)
			c.wantNoClaim()
		})
	}
	for _, box := range []keys.BoxID{
		{},
		{1},
		{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	} {
		c := w.claimant(t, rita) // H27: no key of Me could ever be sealed to it
		c.both(func(b *JoinBody) { b.DeviceBox, b.Consent = &box, sign(rita.key, keys.PurposeLink, me, rita.id(), box) })
		c.wantNoClaim()
	}
	// Another's device, with all that is public of it.
	c := w.claimant(t, zoe)
	c.device = rita.key
	c.wantNoClaim()
	c = w.claimant(t, zoe)
	c.peer = rita.id()
	c.wantNoClaim()

	got := w.claimant(t, rita).wantClaim()
	if !got.User.IsZero() || got.Box != box || got.Consent == nil || *got.Consent != *rita.consent(me) || len(got.Devices) != 0 || !got.Head.IsZero() {
		t.Errorf("the honest claim: %+v", got)
	}
	c = w.claimant(t, rita)
	c.both(func(b *JoinBody) { b.Withdraw, b.DeviceBox, b.Consent = true, nil, nil })
	if _, eff, err := c.claim(); err != nil || eff.Commit == nil || eff.Commit.Withdraw == nil || eff.Commit.Reserve != nil {
		t.Errorf("the honest withdrawal: %+v, %v", eff, err)
	}
}

// TestAttackConsentGiven: a device consents to the one user that was proved to it, with
// the key that it brought, and in no withdrawal.
func TestAttackConsentGiven(t *testing.T) {
	w := deviceWorld(t)
	b := body[JoinBody](t, w.run(t).toRequest().request.Body)
	if b.Consent == nil || *b.Consent != *w.r.consent(w.m.user()) || *b.DeviceBox != w.r.box.ID() || len(b.User) != 0 || len(b.Chain) != 0 {
		t.Errorf("frame 3 is %+v", b)
	}
	w.run(t).toPending()
	w.r.attempt = w.r.attempt.Cancel(w.now)
	x := w.run(t).toAck()
	if b := body[JoinBody](t, sent[JoinEntity](t, x.stepJ(x.ack)).Body); b.Consent != nil || b.DeviceBox != nil || !b.Withdraw {
		t.Errorf("a withdrawal is %+v", b)
	}
	for _, r := range []*requester{{person: newPerson(t, "rita"), attempt: w.r.attempt}, {person: newDevice("rita"), attempt: friendWorld(t).r.attempt}} {
		if j, err := NewJoiner(r.joining()); !errors.Is(err, ErrUnexpected) || j != nil {
			t.Errorf("an identity %v with a %v link: %v, want ErrUnexpected", r.me != nil, r.attempt.Kind, err)
		}
	}
}

// TestAttackDeviceCard: a card that is not that of a Me, for a device link.
func TestAttackDeviceCard(t *testing.T) {
	fay := newPerson(t, "fay")
	for name, c := range map[string]struct {
		change func(*AckBody)
		why    string
	}{
		"no heads": {func(b *AckBody) { b.Card.Heads = nil }, "heads out of place"},
		"a policy": {func(b *AckBody) {
			b.Card.Policy = &entity.Policy{Join: entity.JoinLink, History: entity.History{Mode: entity.HistoryAll}}
		}, "policy"},
		"of a friend":          {func(b *AckBody) { b.Card.Kind = entity.Friend }, "card of a friend"},
		"of another user":      {func(b *AckBody) { b.Card.Entity = fay.user() }, "card of somebody else"},
		"of another and chain": {func(b *AckBody) { b.Card.Entity, b.Proof.Chain = fay.user(), fay.me.DeviceChain() }, "proof"},
		"no chain":             {func(b *AckBody) { b.Proof.Chain = nil }, "proof"},
	} {
		t.Run(name, func(t *testing.T) {
			x := deviceWorld(t).run(t).toJoin()
			f := x.forgeAck()
			c.change(&f.body)
			x.wantDistrust(x.sign(f), c.why)
		})
	}
}

// TestAttackLink is what a hostile issuer may send to a new device in an approval: H28
// to H31 of a device join. It keeps nothing.
func TestAttackLink(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, w *world, a *approval, m *person)
		why    string
	}{
		"the Me of another user": {func(t *testing.T, w *world, a *approval, _ *person) {
			fay := newPerson(t, "fay")
			op := link(t, fay, w.r.person, w.m.rec.Ref)
			*a.body.Entity, *a.body.Admit, a.body.Logs = fay.user(), op.ID(), fay.me.ControlStrand()
			a.box.Keys = place{fay.me, fay.ring}.keys()
		}, "want the Me of the issuer"},
		"a board of the issuer's": {func(t *testing.T, w *world, a *approval, m *person) {
			b := newBoardPlace(t, *m, "dev")
			*a.body.Entity, *a.body.Admit, a.body.Logs, a.box.Keys = b.e.ID(), b.e.ID(), b.e.ControlStrand(), b.keys()
		}, "a board, want a me"},
		"another device's device-add": {func(t *testing.T, w *world, a *approval, m *person) {
			*a.body.Admit = link(t, *m, newDevice("zoe"), w.m.rec.Ref).ID()
			a.body.Logs = m.me.ControlStrand()
		}, "adds another device"},
		"another op":     {func(_ *testing.T, _ *world, a *approval, m *person) { *a.body.Admit = m.user() }, "adds another device"},
		"an unknown op":  {func(_ *testing.T, _ *world, a *approval, _ *person) { *a.body.Admit = keys.Digest{9} }, "not in the log"},
		"no device-add":  {func(_ *testing.T, _ *world, a *approval, _ *person) { a.body.Logs = a.body.Logs[:len(a.body.Logs)-1] }, "not in the log"},
		"no logs":        {func(_ *testing.T, _ *world, a *approval, _ *person) { a.body.Logs = nil }, "empty"},
		"no entity":      {func(_ *testing.T, _ *world, a *approval, _ *person) { a.body.Entity = nil }, "without entity"},
		"no admit":       {func(_ *testing.T, _ *world, a *approval, _ *person) { a.body.Admit = nil }, "without entity"},
		"H31: no keys":   {func(_ *testing.T, _ *world, a *approval, _ *person) { a.box.Keys = nil }, "not there"},
		"H31: other key": {func(_ *testing.T, _ *world, a *approval, _ *person) { a.box.Keys[0].Key[0] ^= 1 }, "commitment"},
		"H28: another run": {func(_ *testing.T, w *world, a *approval, _ *person) {
			a.info, a.over = transcript{1}, transcript{1}
		}, "signature"},
		"H28: a box of another run":       {func(_ *testing.T, w *world, a *approval, _ *person) { a.info = transcript{1} }, "box"},
		"a box to the device box key":     {func(_ *testing.T, w *world, a *approval, _ *person) { a.to = w.r.box.ID() }, "box"},
		"signed by another device":        {func(t *testing.T, _ *world, a *approval, _ *person) { a.device = newDevice("zoe").key }, "signature"},
		"signed by the device that joins": {func(_ *testing.T, w *world, a *approval, _ *person) { a.device = w.r.key }, "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			w := deviceWorld(t)
			x := w.run(t).toPending()
			claim, _, why := w.m.typed(x.i.JoinID(), w.m.rec.Claims[0].Code, w.now)
			grant, _ := w.m.outcome(claim, why)
			a := x.forgeApproval(*grant)
			c.change(t, w, a, &w.m.person)
			x.wantDistrust(a.whole().sign(t), c.why)
		})
	}
	// By another invite; with another consent or key than this device brought; of a log
	// that lacks what the card named.
	for name, c := range map[string]struct {
		change func(j *Joiner)
		why    string
	}{
		"another invite":      {func(j *Joiner) { j.keys.Ref = [16]byte{9} }, "adds another device"},
		"another box key":     {func(j *Joiner) { j.in.Box = newDevice("zoe").box.ID() }, "adds another device"},
		"another user":        {func(j *Joiner) { j.eid = keys.Digest{9} }, "want the Me of the issuer"},
		"an older log":        {func(j *Joiner) { j.ack.Card.Heads = append(j.ack.Card.Heads, keys.Digest{9}) }, "lacks a head"},
		"another device ours": {func(j *Joiner) { j.in.Device = newDevice("zoe").key }, "adds another device"},
	} {
		t.Run(name, func(t *testing.T) {
			w := deviceWorld(t)
			x := w.run(t).toPending()
			m := x.approve()
			c.change(x.j)
			x.wantDistrust(m, c.why)
		})
	}
}

// link makes d a device of p's.
func link(t *testing.T, p, d person, ref [16]byte) oplog.Op {
	t.Helper()
	o, err := entity.AddDevice(p.me, p.author(dawn), entity.NewDevice{ID: d.id(), Box: d.box.ID(), Consent: *d.consent(p.user()), Ref: ref}, entity.Phone)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestAttackH39: a friend link used to become a device, and the other way round. They
// have no key in common, and what one of them asks for the other refuses.
func TestAttackH39(t *testing.T) {
	for _, c := range []struct{ made, shown entity.Kind }{
		{entity.Friend, entity.Me}, {entity.Board, entity.Me}, {entity.Me, entity.Friend}, {entity.Me, entity.Board},
	} {
		w := newWorld(t, c.made, invite.Options{})
		relabelled := w.m.link
		relabelled.Kind = c.shown
		a, b := w.m.link.Keys(), relabelled.Keys()
		if a.IID == b.IID || a.Ref == b.Ref || a.Sign.ID() == b.Sign.ID() || a.MAC.Secret() == b.MAC.Secret() {
			t.Errorf("a %v link as a %v link has a key of the first", c.made, c.shown)
		}
		p := newPerson(t, "rita")
		if c.shown == entity.Me {
			p = newDevice("rita")
		}
		w.r = &requester{person: p, attempt: invite.NewAttempt("r-1", relabelled, "", w.now)}
		x := w.run(t).toJoin()
		if eff, err := x.i.Step(w.now, x.join); !errors.Is(err, ErrUnexpected) || len(eff.Send) != 0 {
			t.Errorf("%v as %v: %+v, %v; want no invite of that id", c.made, c.shown, eff, err)
		}
		// With the id of the one that exists the issuer answers, and the requester finds
		// that it is not the one of its link.
		x = w.run(t).toJoin()
		x.join.IID = w.m.rec.IID
		x.wantDistrust(sent[AckChallenge](t, x.stepI(x.join)), "mac")
	}
	// Whoever holds the real link asks for what the other kind gives.
	for _, w := range []*world{friendWorld(t), boardWorld(t)} {
		w.claimant(t, newDevice("rita")).wantNoClaim()
		c := w.claimant(t, newPerson(t, "rita")) // a user who would be a device too
		c.both(func(b *JoinBody) {
			b.DeviceBox, b.Consent = new(newDevice("rita").box.ID()), newDevice("rita").consent(w.m.user())
		})
		c.wantNoClaim()
	}
	w := deviceWorld(t)
	w.claimant(t, newPerson(t, "rita")).wantNoClaim()
	c := w.claimant(t, newPerson(t, "rita"))
	d := newDevice("rita")
	c.both(func(b *JoinBody) { b.DeviceBox, b.Consent = new(d.box.ID()), d.consent(w.m.user()) })
	c.wantNoClaim()
	if len(w.m.rec.Claims) != 0 {
		t.Errorf("claims %+v", w.m.rec.Claims)
	}
}

// TestAttackReplaces: a device that comes back shows another box key. It is the one
// that is added, with the consent to it; the code stays that of the first run.
func TestAttackReplaces(t *testing.T) {
	w := deviceWorld(t)
	w.run(t).toPending()
	code := w.m.rec.Claims[0].Code
	w.r.box = keys.NewBox()
	x := w.run(t).toPending()
	c := w.m.rec.Claims[0]
	if len(w.m.rec.Claims) != 1 || c.Code != code || c.Box != w.r.box.ID() || x.r.attempt.Code != code {
		t.Fatalf("claim %+v, R shows %s; want code %s and the new key", c, x.r.attempt.Code, code)
	}
	joined := x.wantJoined(x.approve())
	if d, _ := joined.Entity.State().Device(w.r.id()); d.Box != w.r.box.ID() {
		t.Errorf("the device is listed with %v", d.Box)
	}
}
