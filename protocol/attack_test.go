package protocol

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// Each test is one attack on the join, named by its id in docs/SECURITY.md, and
// fails when the check against it is deleted. Attacks on what an approval says
// are in attack_approval_test.go. H5, a relay between two honest sides, changes no
// message and is a matter of the transport: see testnet.

// TestAttackForgersCanBeHonest is the other half of every test here: what the
// forgers make is accepted as long as they change nothing.
func TestAttackForgersCanBeHonest(t *testing.T) {
	for _, w := range []*world{boardWorld(t), friendWorld(t), deviceWorld(t)} {
		w.claimant(t, w.r.person).wantClaim()

		x := w.run(t).toJoin()
		if eff, err := x.j.Step(w.now, x.sign(x.forgeAck())); err != nil || eff.Commit == nil || eff.Commit.Attempt.State != invite.AttemptChecking {
			t.Fatalf("honest ACK-CHALLENGE: %+v, %v", eff, err)
		}

		x = w.run(t).toRequest()
		x.answer()
		claim, _ := w.m.decide(x.i.JoinID(), true, w.now)
		grant, _ := w.m.outcome(claim, invite.OK)
		x.wantJoined(x.forgeApproval(*grant).sign(t))
	}
}

// TestAttackH2: a JOIN-ENTITY of an earlier run is of no use in a later one.
func TestAttackH2(t *testing.T) {
	w := boardWorld(t)
	old := w.run(t).toRequest()
	i := NewInviter(w.m.inviting(w.r.id()))
	if _, err := i.Step(w.now, old.join); err != nil {
		t.Fatal(err)
	}
	eff, err := i.Step(w.now, old.request)
	if err != nil || eff.Commit == nil || !eff.Commit.Failed || eff.Commit.Reserve != nil || len(eff.Send) != 0 || eff.Done == nil {
		t.Errorf("got %+v, %v; want a failed proof and no claim", eff, err)
	}
}

// TestAttackH3: an ACK-CHALLENGE of an earlier run is of no use in a later one.
func TestAttackH3(t *testing.T) {
	w := boardWorld(t)
	old := w.run(t).toAck()
	w.run(t).toJoin().wantDistrust(old.ack, "mac")
}

// TestAttackH4: somebody between the two has a connection of his own with each
// and passes on what they say.
func TestAttackH4(t *testing.T) {
	mallory := newPerson(t, "mallory")
	w := boardWorld(t)

	// The issuer sees Mallory's device, the requester answers for its own.
	x := w.run(t).toJoin()
	x.i = NewInviter(w.m.inviting(mallory.id()))
	x.wantDistrust(sent[AckChallenge](t, x.stepI(x.join)), "mac")

	// Even one who makes the requester's ACK right finds that its answer names
	// another connection.
	x = w.run(t).toJoin()
	x.i = NewInviter(w.m.inviting(mallory.id()))
	x.stepI(x.join)
	eff := x.stepJ(x.sign(x.forgeAck()))
	request := sent[JoinEntity](t, x.stepJ(x.r.commit(eff.Commit)))
	if eff, err := x.i.Step(w.now, request); err != nil || eff.Commit == nil || !eff.Commit.Failed {
		t.Errorf("the issuer: %+v, %v; want a failed proof", eff, err)
	}

	// A requester who has dialled Mallory takes no ACK from him.
	x = w.run(t).toJoin()
	f := x.forgeAck()
	f.peerM, f.device = mallory.id(), mallory.key
	x.wantDistrust(x.sign(f), "mac")
}

// TestAttackH6: a link of one kind is presented, or answered, as another kind.
func TestAttackH6(t *testing.T) {
	w := boardWorld(t)
	relabelled := w.m.link
	relabelled.Kind = entity.Me
	w.r = &requester{person: newDevice("rita"), attempt: invite.NewAttempt("r-1", relabelled, "", w.now)}
	x := w.run(t).toJoin()
	if eff, err := x.i.Step(w.now, x.join); !errors.Is(err, ErrUnexpected) || len(eff.Send) != 0 {
		t.Errorf("a relabelled link: %+v, %v; want ErrUnexpected", eff, err)
	}

	w = boardWorld(t)
	x = w.run(t).toJoin()
	f := x.forgeAck()
	f.body.Card.Kind = entity.Friend
	x.wantDistrust(x.sign(f), "card of a friend for a board link")

	w = friendWorld(t)
	x = w.run(t).toJoin()
	f = x.forgeAck()
	f.body.Card.Kind = entity.Me
	x.wantDistrust(x.sign(f), "card of a me for a friend link")
}

// TestAttackH7: the entity in a link, a card or a proof is exchanged.
func TestAttackH7(t *testing.T) {
	w := boardWorld(t)
	other := newBoardPlace(t, w.m.person, "other")

	swapped := w.m.link
	id := other.e.ID()
	swapped.EID16 = [16]byte(id[:16])
	w.r.attempt = invite.NewAttempt("r-1", swapped, "", w.now)
	x := w.run(t).toJoin()
	if _, err := x.i.Step(w.now, x.join); !errors.Is(err, ErrUnexpected) {
		t.Errorf("another entity in the link: %v, want ErrUnexpected", err)
	}

	w.r.attempt = invite.NewAttempt("r-1", w.m.link, "", w.now)
	x = w.run(t).toJoin()
	f := x.forgeAck()
	f.body.Card.Entity = id
	x.wantDistrust(x.sign(f), "of another entity")

	x = w.run(t).toJoin()
	f = x.forgeAck()
	f.body.Card, f.body.Proof = cardOf(w.m.person, other.e)
	x.wantDistrust(x.sign(f), "proof")

	// The same link, a later run: what the first ACK showed is pinned.
	w.r.attempt.EID, w.r.attempt.User = w.m.board.e.ID(), newPerson(t, "fay").user()
	x = w.run(t).toJoin()
	x.wantDistrust(x.sign(x.forgeAck()), "another entity than before")
	if x.j.in.Attempt.Name == "dev" {
		t.Error("the attempt took the name of another issuer's card")
	}
}

// TestAttackH8: somebody between takes versions away from the requester's list.
func TestAttackH8(t *testing.T) {
	w := boardWorld(t)
	x := w.run(t).toJoin()
	if len(x.join.Versions) < 2 {
		t.Fatalf("versions %v: nothing to take away, and no peer learns to be tolerant", x.join.Versions)
	}
	stripped := x.join
	stripped.Versions = stripped.Versions[:1]
	x.wantDistrust(sent[AckChallenge](t, x.stepI(stripped)), "mac")

	// An issuer that chooses another than the best of both.
	x = w.run(t).toJoin()
	f := x.forgeAck()
	f.body.Version = reserved
	x.wantDistrust(x.sign(f), "version")

	// Nothing in common, or more on offer than any honest requester has.
	long := make([]uint16, maxVersions+1)
	long[0] = Version1
	for _, vs := range [][]uint16{nil, {reserved}, {2, 3}, long} {
		x = w.run(t).toJoin()
		x.join.Versions = vs
		eff := x.stepI(x.join)
		if sent[No](t, eff); eff.Done == nil || eff.Commit != nil {
			t.Errorf("versions %v: %+v, want NO and done", vs, eff)
		}
	}
	x = w.run(t).toJoin()
	x.join.Versions = long[:maxVersions]
	sent[AckChallenge](t, x.stepI(x.join))
}

// TestAttackH9: the same with suites.
func TestAttackH9(t *testing.T) {
	w := boardWorld(t)
	x := w.run(t).toJoin()
	stripped := x.join
	stripped.Suites = stripped.Suites[:1]
	x.wantDistrust(sent[AckChallenge](t, x.stepI(stripped)), "mac")

	x = w.run(t).toJoin()
	f := x.forgeAck()
	f.body.Suite = 0
	x.wantDistrust(x.sign(f), "suite")

	long := make([]uint16, maxVersions+1)
	long[0] = Suite1
	for _, vs := range [][]uint16{nil, {reserved}, long} {
		x = w.run(t).toJoin()
		x.join.Suites = vs
		sent[No](t, x.stepI(x.join))
	}
}

// TestAttackCard: the shape of a card that its proof does not cover.
func TestAttackCard(t *testing.T) {
	board, friend := boardWorld(t), friendWorld(t)
	policy := board.m.board.e.State().Policy
	for _, c := range []struct {
		name   string
		w      *world
		change func(*Card)
	}{
		{"a board without policy", board, func(c *Card) { c.Policy = nil }},
		{"a board without heads", board, func(c *Card) { c.Heads = nil }},
		{"a friend with a policy", friend, func(c *Card) { c.Policy = &policy }},
		{"a friend with heads", friend, func(c *Card) { c.Heads = []keys.Digest{{1}} }},
		{"too many heads", board, func(c *Card) { c.Heads = make([]keys.Digest, maxHeads+1) }},
		{"H36: a long name", board, func(c *Card) { c.Name = strings.Repeat("x", entity.MaxName+1) }},
		{"H36: a long owner's name", board, func(c *Card) { c.Owner = strings.Repeat("x", entity.MaxName+1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := c.w.run(t).toJoin()
			f := x.forgeAck()
			c.change(&f.body.Card)
			x.wantDistrust(x.sign(f), "ACK-CHALLENGE")
		})
	}
	// At the bound it passes.
	x := board.run(t).toJoin()
	f := x.forgeAck()
	f.body.Card.Name, f.body.Card.Owner = strings.Repeat("x", entity.MaxName), strings.Repeat("y", entity.MaxName)
	f.body.Card.Heads = make([]keys.Digest, maxHeads)
	if eff := x.stepJ(x.sign(f)); eff.Commit == nil || eff.Commit.Attempt.State != invite.AttemptChecking {
		t.Errorf("a card at its bounds: %+v, want it taken", eff)
	}
}

// TestAttackH10: a field that this version does not know is refused, at every
// level, and not skipped.
func TestAttackH10(t *testing.T) {
	x := boardWorld(t).run(t).toRequest()
	for _, m := range []Message{x.join, x.ack, x.request, x.answer(), No{}} {
		b := Frame(uint8(m.frame()), withField(keys.Marshal(m)))
		if got, err := unframe(b); !errors.Is(err, ErrFrame) {
			t.Errorf("%s with key 23: %v, %v; want ErrFrame", word(m), got, err)
		}
	}

	// Inside what is signed it is the machine that refuses; the signer is honest
	// in all else.
	y := boardWorld(t).run(t).toJoin()
	ack := AckChallenge{Body: withField(keys.Marshal(y.forgeAck().body))}
	signed := y.j.t.with(TypeAckChallenge, ack.Body).digest()
	ack.MAC, ack.Sig = y.w.m.rec.Key().Sum(signed), y.w.m.key.Sign(keys.PurposeAck, signed[:])
	if eff, err := y.j.Step(y.w.now, ack); !errors.Is(err, ErrFrame) {
		t.Errorf("ACK body with key 23: %+v, %v; want ErrFrame", eff, err)
	}

	y = boardWorld(t).run(t).toAck()
	eff := y.stepJ(y.ack)
	request := sent[JoinEntity](t, y.stepJ(y.r.commit(eff.Commit)))
	request.Body = withField(request.Body)
	signed = y.i.t.with(TypeJoinEntity, request.Body).digest()
	request.Invite, request.Device = y.w.m.link.Keys().Sign.Sign(keys.PurposeInvite, signed[:]), y.r.key.Sign(keys.PurposeDevice, signed[:])
	if eff, err := y.i.Step(y.w.now, request); !errors.Is(err, ErrFrame) {
		t.Errorf("JOIN-ENTITY body with key 23: %+v, %v; want ErrFrame", eff, err)
	}

	y = boardWorld(t).run(t).toRequest()
	apr := ApproveJoin{Status: Denied, Body: withField(keys.Marshal(ApproveBody{Reason: uint16(invite.RefusedRejected)}))}
	signed = y.j.t.with(TypeApproveJoin, []byte{byte(apr.Status)}, apr.Body).digest()
	apr.Sig = y.w.m.key.Sign(keys.PurposeApply, signed[:])
	if eff, err := y.j.Step(y.w.now, apr); !errors.Is(err, ErrFrame) {
		t.Errorf("APPROVE-JOIN body with key 23: %+v, %v; want ErrFrame", eff, err)
	}
}

// withField adds {23: 0} to a map of less than 23 pairs.
func withField(b []byte) []byte {
	b = append([]byte{b[0] + 1}, b[1:]...)
	return append(b, 0x17, 0x00)
}

// TestAttackH11: one key twice.
func TestAttackH11(t *testing.T) {
	x := boardWorld(t).run(t).toRequest()
	for _, m := range []Message{x.join, x.ack, x.request, x.answer()} {
		b := keys.Marshal(m)
		b = append([]byte{b[0] + 1}, b[1:]...)
		b = append(b, 0x01, 0x40) // key 1 again, an empty byte string
		if got, err := unframe(Frame(uint8(m.frame()), b)); !errors.Is(err, ErrFrame) {
			t.Errorf("%s with key 1 twice: %v, %v; want ErrFrame", word(m), got, err)
		}
	}
}

// TestAttackH12: another encoding of the same values, and bytes behind them.
func TestAttackH12(t *testing.T) {
	x := boardWorld(t).run(t).toRequest()
	for _, m := range []Message{x.join, x.ack, x.request, x.answer(), No{}} {
		b := keys.Marshal(m)
		pairs := b[0] & 0x1f
		for name, bad := range map[string][]byte{
			"a long map head":      append([]byte{0xb8, pairs}, b[1:]...),
			"an indefinite map":    append(append([]byte{0xbf}, b[1:]...), 0xff),
			"a trailing byte":      append(append([]byte{}, b...), 0x00),
			"a tag in front":       append([]byte{0xc1}, b...),
			"an array for the map": append([]byte{0x80 | pairs}, b[1:]...),
			"nothing":              {},
		} {
			if got, err := unframe(Frame(uint8(m.frame()), bad)); !errors.Is(err, ErrFrame) {
				t.Errorf("%s with %s: %v, %v; want ErrFrame", word(m), name, got, err)
			}
		}
	}
	join := keys.Marshal(x.join)
	for name, bad := range map[string][]byte{
		"key 1 in two bytes":     append([]byte{join[0], 0x18, 0x01}, join[2:]...),
		"version 1 in two bytes": append(append([]byte{}, join[:3]...), append([]byte{0x18, 0x01}, join[4:]...)...),
	} {
		if got, err := Decode(append([]byte{byte(TypeJoin)}, bad...)); !errors.Is(err, ErrFrame) {
			t.Errorf("JOIN with %s: %v, %v; want ErrFrame", name, got, err)
		}
	}
}

// TestAttackH13: a length that is far beyond what follows costs no memory. The
// length before a frame is read by node, against Limit.
func TestAttackH13(t *testing.T) {
	for typ, want := range map[Type]int{
		0: 0, TypeJoin: MaxJoin, TypeAckChallenge: MaxAck, TypeJoinEntity: MaxJoinEntity,
		TypeApproveJoin: MaxApprove, TypeNo: MaxNo, 6: 0, 255: 0,
	} {
		if got := Limit(typ); got != want {
			t.Errorf("Limit(%d) = %d, want %d", typ, got, want)
		}
		if got, err := Decode(append([]byte{byte(typ)}, make([]byte, want)...)); !errors.Is(err, ErrFrame) {
			t.Errorf("type %d with %d bytes: %v, %v; want ErrFrame", typ, want+1, got, err)
		}
	}
	for name, b := range map[string][]byte{
		"body of 2^31 bytes":   {byte(TypeAckChallenge), 0xa3, 0x01, 0x5a, 0x80, 0, 0, 0},
		"body of 2^63 bytes":   {byte(TypeJoinEntity), 0xa3, 0x01, 0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0},
		"list of 2^31 entries": {byte(TypeJoin), 0xa5, 0x01, 0x9a, 0x80, 0, 0, 0},
		"map of 2^31 pairs":    {byte(TypeApproveJoin), 0xba, 0x80, 0, 0, 0},
		"an empty frame":       {},
	} {
		before := testing.AllocsPerRun(10, func() {
			if m, err := Decode(b); !errors.Is(err, ErrFrame) {
				t.Errorf("%s: %v, %v; want ErrFrame", name, m, err)
			}
		})
		if before > 100 {
			t.Errorf("%s: %v allocations", name, before)
		}
	}
	// A length as large as the limit, in a list whose elements are large.
	if m, err := Decode([]byte{byte(TypeJoin), 0xa5, 0x01, 0x9a, 0, 0, 0xff, 0xff}); !errors.Is(err, ErrFrame) {
		t.Errorf("list of 65,535 entries that are not there: %v, %v", m, err)
	}
}

// TestAttackH16: who does not know the secret locks the link with the tenth try
// and finds it locked with the eleventh.
func TestAttackH16(t *testing.T) {
	w := boardWorld(t)
	for n := 1; n <= 11; n++ {
		c := w.claimant(t, newPerson(t, "mallory"))
		c.secret = keys.FromSeed([32]byte{9})
		_, eff, err := c.claim()
		if err != nil || eff.Commit == nil || !eff.Commit.Failed || eff.Done == nil || len(eff.Send) != 0 {
			t.Fatalf("try %d: %+v, %v; want a failed proof to be counted and no answer", n, eff, err)
		}
		if eff.Commit.Reserve != nil || eff.Commit.Withdraw != nil {
			t.Fatalf("try %d changes a claim: %+v", n, eff.Commit)
		}
		w.m.commit(w.now, eff.Commit)
		if want := n >= invite.MaxFailed; (w.m.rec.State == invite.Locked) != want {
			t.Errorf("after try %d: %v", n, w.m.rec.State)
		}
	}
	if m := w.run(t).toRequest().answer(); body[ApproveBody](t, m.Body).Reason != uint16(invite.RefusedLocked) {
		t.Errorf("the honest requester is answered %+v, want invite_locked", m)
	}
	// A withdrawal needs the secret too.
	w = boardWorld(t)
	w.run(t).toPending()
	c := w.claimant(t, w.r.person)
	c.shown.Withdraw, c.secret = true, keys.FromSeed([32]byte{9})
	if _, eff, err := c.claim(); err != nil || eff.Commit == nil || eff.Commit.Withdraw != nil {
		t.Errorf("withdrawal without the secret: %+v, %v", eff, err)
	}
}

// TestAttackH17: who knows the secret claims to be somebody else, with his own
// device.
func TestAttackH17(t *testing.T) {
	w := boardWorld(t)
	mallory, victim := newPerson(t, "mallory"), newPerson(t, "victim")
	for name, change := range map[string]func(*JoinBody){
		"victim's user and chain": func(b *JoinBody) { b.User, b.Chain = bytesOfDigest(victim.user()), victim.me.DeviceChain() },
		"victim's user":           func(b *JoinBody) { b.User = bytesOfDigest(victim.user()) },
		"victim's chain":          func(b *JoinBody) { b.Chain = victim.me.DeviceChain() },
		"no user":                 func(b *JoinBody) { b.User = nil },
		"a short user":            func(b *JoinBody) { b.User = b.User[:16] },
		"no chain":                func(b *JoinBody) { b.Chain = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := w.claimant(t, mallory)
			c.both(change)
			c.wantNoClaim()
		})
	}
}

// TestAttackH18: a stolen device chain with another key: on the thief's own
// connection, or on one that says it is the victim's.
func TestAttackH18(t *testing.T) {
	w := boardWorld(t)
	mallory, victim := newPerson(t, "mallory"), newPerson(t, "victim")

	c := w.claimant(t, victim)
	c.device = mallory.key
	c.wantNoClaim()

	c = w.claimant(t, victim)
	c.peer, c.device = mallory.id(), mallory.key
	c.wantNoClaim()

	// A device key that is used from another connection than its own.
	c = w.claimant(t, victim)
	c.peer = mallory.id()
	c.wantNoClaim()
}

// TestAttackH20: chain proofs that are none.
func TestAttackH20(t *testing.T) {
	w := boardWorld(t)
	rita, victim := w.r.person, newPerson(t, "victim")
	honest := rita.me.DeviceChain()
	many := make([][]byte, 10_000)
	for i := range many {
		many[i] = honest[min(i, len(honest)-1)]
	}
	board := newBoardPlace(t, rita, "a board")
	half := newPerson(t, "half").me.DeviceChain()[:1]
	noMe, err := oplog.Sign(rita.key, oplog.Draft{
		Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: entity.TypeGenesis, At: dawn, Body: keys.Marshal(entity.Genesis{Kind: entity.Me}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, shown := range map[string][][]byte{
		"a loop":                 append(append([][]byte{}, honest...), honest[0]),
		"an op twice":            append(append([][]byte{}, honest...), honest[len(honest)-1]),
		"10,000 entries":         many,
		"foreign genesis":        append([][]byte{victim.me.DeviceChain()[0]}, honest[1:]...),
		"foreign op":             append(append([][]byte{}, honest...), victim.me.DeviceChain()[1]),
		"out of order":           {honest[1], honest[0]},
		"ops without votes":      rita.me.ControlStrand(),
		"without a genesis":      honest[1:],
		"not a Me":               board.e.ControlStrand(),
		"no user box key":        half,
		"not an op":              {{0xa0}},
		"a genesis that is none": {noMe.Envelope()},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.claimant(t, rita)
			c.both(func(b *JoinBody) { b.Chain = shown })
			if name == "no user box key" {
				c = w.claimant(t, newPerson(t, "half"))
				c.both(func(b *JoinBody) {
					l, _ := chain.ParseLink(half[0])
					b.Chain, b.User = half, bytesOfDigest(l.Op.ID())
				})
			}
			c.wantNoClaim()
		})
	}

	// H27 of what receives op-keys later: the key of all the user's devices.
	weak := newPerson(t, "weak")
	c := w.claimant(t, weak)
	genesis, err := chain.ParseLink(weak.me.DeviceChain()[0])
	if err != nil {
		t.Fatal(err)
	}
	id := genesis.Op.ID()
	epoch, err := oplog.Sign(weak.key, oplog.Draft{
		Entity: id, User: id, Strand: oplog.Control, Family: oplog.FamilyOpKey, Type: entity.TypeEpoch, Seq: 1, Prev: id, Parents: []keys.Digest{id}, At: dawn,
		Body: keys.Marshal(chain.FirstEpoch{Commitment: keys.Digest{1}, Depth: 1, UserBox: keys.BoxID{1}, Chain: chain.DeviceLink{Prev: id}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.both(func(b *JoinBody) { b.Chain = [][]byte{genesis.Marshal(), chain.Link{Op: epoch}.Marshal()} })
	c.wantNoClaim()
}

// TestAttackH22: one claimant in many runs, also at the same time, gets one
// outcome, one use and one admit.
func TestAttackH22(t *testing.T) {
	w := newWorld(t, entity.Board, invite.Options{Auto: true, Uses: 2})
	var runs []*run
	for range 64 {
		r := *w.r
		runs = append(runs, w.runOf(t, &r).toRequest())
	}
	for n, x := range runs {
		if m := x.answer(); m.Status != Approved {
			t.Fatalf("run %d: %s, want approved", n, statusWord(m.Status))
		} else {
			x.wantJoined(m)
		}
	}
	if len(w.m.rec.Claims) != 1 || w.m.rec.UsedCount() != 1 || w.m.appends != 1 {
		t.Errorf("%d claims, %d uses, %d admits; want one each", len(w.m.rec.Claims), w.m.rec.UsedCount(), w.m.appends)
	}
}

// TestAttackH23: the link expired a second ago, also after the clock is set back.
func TestAttackH23(t *testing.T) {
	w := boardWorld(t)
	reason := func() invite.Code {
		t.Helper()
		w.r.attempt = invite.NewAttempt("r-1", w.m.link, "", w.now)
		return invite.ParseCode(body[ApproveBody](t, w.run(t).toRequest().answer().Body).Reason)
	}
	w.now = w.m.link.Expires.Add(time.Second)
	if got := reason(); got != invite.RefusedExpired {
		t.Errorf("a second late: %v", got)
	}
	w.now = dawn
	if got := reason(); got != invite.RefusedExpired {
		t.Errorf("clock set back: %v, want it expired for good", got)
	}
	if len(w.m.rec.Claims) != 0 {
		t.Errorf("claims %+v", w.m.rec.Claims)
	}
}

// TestAttackH24: revoked after the claim is stored and before it is approved.
func TestAttackH24(t *testing.T) {
	w := boardWorld(t)
	x := w.run(t).toPending()
	rec, ended := w.m.rec.Revoke(w.now)
	w.m.rec = rec
	if len(ended) != 1 {
		t.Fatalf("%d claims ended, want one", len(ended))
	}
	if claim, why := w.m.decide(x.i.JoinID(), true, w.now); why != invite.RefusedRevoked || claim.State == invite.Approved || w.m.appends != 0 {
		t.Errorf("approved after all: %v, %v", claim.State, why)
	}
	m := sent[ApproveJoin](t, x.stepI(w.m.decided(ended[0])))
	if m.Status != Denied || body[ApproveBody](t, m.Body).Reason != uint16(invite.RefusedRevoked) {
		t.Errorf("answer %+v, want denied, invite_revoked", m)
	}
	if eff := x.stepJ(m); eff.Commit == nil || eff.Commit.Joined != nil || eff.Commit.Attempt.Reason != invite.RefusedRevoked {
		t.Errorf("requester: %+v, want it to end with invite_revoked", eff)
	}
}

// TestAttackH26: another device carries out the invite: its own record, or a
// copy of the issuer's.
func TestAttackH26(t *testing.T) {
	for _, w := range []*world{boardWorld(t), deviceWorld(t)} {
		mallory := newIssuer(newPerson(t, "mallory"), w.m.link.Kind, w.m.board, invite.Options{})
		x := w.run(t).toJoin()
		in := w.m.inviting(x.r.id())
		in.Device, in.Record = mallory.key, mallory.rec
		if _, err := NewInviter(in).Step(w.now, x.join); !errors.Is(err, ErrUnexpected) {
			t.Errorf("a record of another device's invite: %v, want ErrUnexpected", err)
		}
		in.Record = w.m.rec
		eff, err := NewInviter(in).Step(w.now, x.join)
		if err != nil {
			t.Fatal(err)
		}
		x.wantDistrust(sent[AckChallenge](t, eff), "mac")
	}
}

// TestAttackH27: a join box key to which nothing can be sealed is found before a
// use is taken, not after somebody was admitted.
func TestAttackH27(t *testing.T) {
	w := boardWorld(t)
	for name, box := range map[string]keys.BoxID{
		"all zero": {},
		"one":      {1},
		"order 8":  {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.claimant(t, w.r.person)
			c.both(func(b *JoinBody) { b.Box = box })
			c.wantNoClaim()
		})
	}
}

// TestAttackFieldsOutOfPlace: what only a device join has, and too much of what
// nobody checks further.
func TestAttackFieldsOutOfPlace(t *testing.T) {
	w := boardWorld(t)
	for name, change := range map[string]func(*JoinBody){
		"a device box key":  func(b *JoinBody) { b.DeviceBox = new(keys.NewBox().ID()) },
		"a device consent":  func(b *JoinBody) { b.Consent = new(keys.Signature) },
		"too long a record": func(b *JoinBody) { b.Addrs = make([]byte, maxAddrs+1) },
	} {
		t.Run(name, func(t *testing.T) {
			c := w.claimant(t, w.r.person)
			c.both(change)
			c.wantNoClaim()
		})
	}
	c := w.claimant(t, w.r.person)
	c.both(func(b *JoinBody) { b.Addrs = make([]byte, maxAddrs) })
	c.wantClaim()
}

// TestAttackH32: nothing that a side can still vary once it saw the other's
// number changes its own, and what it committed to it cannot vary.
func TestAttackH32(t *testing.T) {
	w := boardWorld(t)
	for name, change := range map[string]func(*JoinBody){
		"nonce":  func(b *JoinBody) { b.Nonce[0]++ },
		"box":    func(b *JoinBody) { b.Box = keys.NewBox().ID() },
		"user":   func(b *JoinBody) { b.User = bytesOfDigest(newPerson(t, "other").user()) },
		"device": func(b *JoinBody) { b.Device = newPerson(t, "other").id() },
	} {
		t.Run("a commitment to another "+name, func(t *testing.T) {
			c := w.claimant(t, w.r.person)
			change(&c.committed)
			c.wantNoClaim()
		})
	}

	// One run is answered in many ways; M's part is fixed, so clone it there.
	c := w.claimant(t, w.r.person)
	b := c.committed
	c.join.Commitment = commitment(b.Nonce, b.User, b.Device, b.Box)
	i := NewInviter(w.m.inviting(c.peer))
	if _, err := i.Step(w.now, c.join); err != nil {
		t.Fatal(err)
	}
	sign := keys.Private.Sign
	answer := func(change func(*JoinBody)) invite.Claim {
		t.Helper()
		body, i := c.shown, *i
		change(&body)
		m := JoinEntity{Body: keys.Marshal(body)}
		signed := i.t.with(TypeJoinEntity, m.Body).digest()
		m.Invite, m.Device = sign(c.secret, keys.PurposeInvite, signed[:]), sign(c.device, keys.PurposeDevice, signed[:])
		eff, err := i.Step(w.now, m)
		if err != nil || eff.Commit == nil || eff.Commit.Reserve == nil {
			t.Fatalf("got %+v, %v; want a claim", eff, err)
		}
		return *eff.Commit.Reserve
	}
	first := answer(func(*JoinBody) {})
	if len(first.Code) != 6 || first.CodeID.IsZero() {
		t.Fatalf("code %q, id %v", first.Code, first.CodeID)
	}
	for name, change := range map[string]func(*JoinBody){
		"name":   func(b *JoinBody) { b.Name = "mallory" },
		"note":   func(b *JoinBody) { b.Note = "hello" },
		"addrs":  func(b *JoinBody) { b.Addrs = []byte{1, 2, 3} },
		"policy": func(b *JoinBody) { b.PolicyHash = []byte{1} },
	} {
		if got := answer(change); got.Code != first.Code || got.CodeID != first.CodeID {
			t.Errorf("another %s changes the code from %s to %s", name, first.Code, got.Code)
		}
	}

	sign = anotherSignature
	if got := answer(func(*JoinBody) {}); got.Code != first.Code || got.CodeID != first.CodeID {
		t.Errorf("other signatures change the code from %s to %s", first.Code, got.Code)
	}
	link(t, w.r.person, newDevice("another device"), [16]byte{1})
	longer := w.r.person.me.DeviceChain()
	if got := answer(func(b *JoinBody) { b.Chain = longer }); len(longer) <= len(c.shown.Chain) || got.Code != first.Code || got.CodeID != first.CodeID {
		t.Errorf("another proof of the user, of %d ops, changes the code from %s to %s", len(longer), first.Code, got.Code)
	}

	// M's part is in ACK, before R opens: another challenge is another code.
	if again := c.wantClaim(); again.CodeID == first.CodeID {
		t.Error("two runs of the same commitment have one code")
	}
}

// TestAttackH34: a thief of the issuer's records cannot join with them, and
// without the device key cannot answer.
func TestAttackH34(t *testing.T) {
	for _, w := range []*world{boardWorld(t), deviceWorld(t)} {
		rec, p := w.m.rec, w.requester(t, "mallory").person
		c := w.claimant(t, p)
		c.join.IID = rec.IID
		c.secret = keys.FromSeed([32]byte(rec.MAC)) // what he has instead of the secret
		if _, eff, err := c.claim(); err != nil || eff.Commit == nil || !eff.Commit.Failed {
			t.Errorf("got %+v, %v; want a failed proof", eff, err)
		}
		x := w.run(t).toJoin()
		f := x.forgeAck()
		f.device = p.key
		x.wantDistrust(x.sign(f), "signature")
	}
}

// TestAttackH35: a thief of the issuer's device key cannot answer for an invite
// whose record he does not have.
func TestAttackH35(t *testing.T) {
	for _, w := range []*world{boardWorld(t), deviceWorld(t)} {
		x := w.run(t).toJoin()
		f := x.forgeAck()
		f.mac = keys.MACKeyFromSecret([32]byte{7})
		x.wantDistrust(x.sign(f), "mac")
	}
}

// TestAttackIssuer: the answer of a device that is not the issuer's user's, or of
// a user who is no master there.
func TestAttackIssuer(t *testing.T) {
	w := boardWorld(t)
	mallory := newPerson(t, "mallory")
	x := w.run(t).toJoin()
	f := x.forgeAck()
	f.body.Proof.Chain = mallory.me.DeviceChain()
	x.wantDistrust(x.sign(f), "proof")

	x = w.run(t).toJoin()
	f = x.forgeAck()
	f.body.Proof, f.body.Card.Entity = entity.Proof{}, keys.Digest{} // what no proof proves
	x.wantDistrust(x.sign(f), "proof")

	board := newBoardPlace(t, newPerson(t, "fay"), "fay's")
	m := newIssuer(mallory, entity.Board, board, invite.Options{})
	w2 := &world{now: dawn, m: m}
	w2.r = w2.requester(t, "rita")
	x = &run{t: t, w: w2, r: w2.r}
	x.j, _ = NewJoiner(w2.r.joining())
	x.toJoin()
	f = &forgedAck{device: mallory.key, mac: m.rec.Key(), peerR: w2.r.id(), peerM: mallory.id(), body: AckBody{
		Version: Version1, Suite: Suite1, Proof: entity.Proof{Chain: mallory.me.DeviceChain()},
	}}
	f.body.Card, _ = cardOf(newPerson(t, "fay"), nil)
	f.body.Card.Entity, f.body.Card.Kind, f.body.Card.Heads = board.e.ID(), entity.Board, []keys.Digest{{1}}
	f.body.Card.Policy = new(board.e.State().Policy)
	f.body.Card.Entity[0] ^= 1 // the link's half is that of fay's board
	x.wantDistrust(x.sign(f), "proof")
}

// TestAttackGround: a device link of which ten runs ended after the ACK may have
// been ground for its code: this device starts no run more.
func TestAttackGround(t *testing.T) {
	w := newWorld(t, entity.Me, invite.Options{})
	x := w.run(t).toAck()
	if eff := x.stepJ(x.ack); eff.Commit == nil || eff.Commit.Attempt.State != invite.AttemptChecking {
		t.Fatalf("the first run: %+v", eff)
	}
	w.r.attempt.Unfinished = invite.MaxUnfinished
	x = w.run(t).toAck()
	eff := x.stepJ(x.ack)
	if eff.Commit == nil || eff.Commit.Attempt.State != invite.AttemptFailed || eff.Commit.Attempt.Reason != invite.RefusedLocked {
		t.Fatalf("the eleventh: %+v, want it to fail for good", eff)
	}
	if eff = x.stepJ(Committed{}); len(eff.Send) != 0 || eff.Done == nil {
		t.Errorf("then: %+v, want it over and nothing sent", eff)
	}
}

// TestAttackH36: names that are too long, not text, or text that a screen could
// misread.
func TestAttackH36(t *testing.T) {
	w := boardWorld(t)
	huge := JoinEntity{Body: keys.Marshal(JoinBody{Name: strings.Repeat("x", 10<<20)})}
	if m, err := unframe(Encode(huge)); !errors.Is(err, ErrFrame) {
		t.Errorf("a name of 10 MB: %v, %v; want ErrFrame", m, err)
	}
	c := w.claimant(t, w.r.person)
	c.both(func(b *JoinBody) { b.Name = "\xff\xfe" })
	if i, eff, err := c.claim(); !errors.Is(err, ErrFrame) {
		t.Errorf("a name that is not UTF-8: %v %+v, %v; want ErrFrame", i.state, eff, err)
	}
	for _, name := range []string{
		strings.Repeat("長", 20_000), "\u202egnp.exe", "<img src=x onerror=alert(1)>", "a\x00b", "", strings.Repeat("x", entity.MaxName+1),
	} {
		w := boardWorld(t)
		c := w.claimant(t, w.r.person)
		c.both(func(b *JoinBody) { b.Name, b.Note = name, name })
		i, eff, err := c.claim()
		if err != nil || eff.Commit == nil || eff.Commit.Reserve == nil {
			t.Fatalf("name of %d bytes: %+v, %v", len(name), eff, err)
		}
		eff, err = i.Step(w.now, w.m.commit(w.now, eff.Commit))
		if err != nil || eff.Ask == nil {
			t.Fatalf("name of %d bytes: %+v, %v; want a person asked", len(name), eff, err)
		}
		got := eff.Ask.Claim
		if len(got.Name) > invite.MaxName || len(got.Note) > invite.MaxNote || !utf8.ValidString(got.Name) ||
			!strings.HasPrefix(name, got.Name) || !strings.HasPrefix(name, got.Note) {
			t.Errorf("the person is asked about %q, %q", got.Name, got.Note)
		}
		if claim, why := w.m.decide(i.JoinID(), true, w.now); why != invite.OK || w.m.appends != 1 {
			t.Errorf("name of %d bytes cannot be admitted: %v %v", len(name), claim.State, why)
		}
	}
}

// TestAttackH37: no comparison that takes a time that depends on a secret. keys
// compares by hmac.Equal; here no mac is compared but by its Verify.
func TestAttackH37(t *testing.T) {
	tree := func(path string) *ast.File {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	found := false
	for _, d := range tree("../keys/invite.go").Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "Verify" {
			ast.Inspect(f, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == "hmac" && sel.Sel.Name == "Equal" {
						found = true
					}
				}
				return true
			})
		}
	}
	if !found {
		t.Error("keys.MACKey.Verify does not use hmac.Equal")
	}
	verified := false
	for _, file := range []string{"joiner.go", "inviter.go"} {
		ast.Inspect(tree(file), func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				for _, e := range []ast.Expr{n.X, n.Y} {
					if sel, ok := e.(*ast.SelectorExpr); ok && (sel.Sel.Name == "MAC" || sel.Sel.Name == "Sum") {
						t.Errorf("%s compares a mac with %s", file, n.Op)
					}
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.SelectorExpr); ok && n.Sel.Name == "Verify" && x.Sel.Name == "MAC" {
					verified = true
				}
			}
			return true
		})
	}
	if !verified {
		t.Error("joiner.go never calls MAC.Verify")
	}
}

// TestAttackH40: a link bound to one user is used by another.
func TestAttackH40(t *testing.T) {
	rita := newPerson(t, "rita")
	w := newWorld(t, entity.Friend, invite.Options{Bound: new(rita.user()), Auto: true})
	other := w.requester(t, "mallory")
	m := w.runOf(t, other).toRequest().answer()
	if m.Status != Denied || body[ApproveBody](t, m.Body).Reason != uint16(invite.RefusedBound) || len(w.m.rec.Claims) != 0 {
		t.Errorf("another user: %s %+v, want denied, invite_bound", statusWord(m.Status), body[ApproveBody](t, m.Body))
	}
}

// TestAttackLate: who answers the challenge later than a run may take gets
// nothing, even if no Tick came.
func TestAttackLate(t *testing.T) {
	w := boardWorld(t)
	x := w.run(t).toRequest()
	i := *x.i
	if _, err := x.i.Step(w.now.Add(RunTime+1), x.request); !errors.Is(err, ErrTimeout) {
		t.Errorf("after %v: %v, want ErrTimeout", RunTime, err)
	}
	if _, err := i.Step(w.now.Add(RunTime), x.request); err != nil {
		t.Errorf("at %v: %v", RunTime, err)
	}
}
