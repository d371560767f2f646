package protocol

import (
	"crypto/sha512"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// claimant is a requester played by hand: what it commits to, what it shows and
// who signs can differ. It begins honest.
type claimant struct {
	t         testing.TB
	w         *world
	peer      keys.ID      // of its connection, as M sees it
	secret    keys.Private // signs as who knows the link's secret
	device    keys.Private // signs as the device
	join      Join
	committed JoinBody
	shown     JoinBody
}

func (w *world) claimant(t testing.TB, p person) *claimant {
	k := w.m.link.Keys()
	b := JoinBody{Nonce: [32]byte{1}, User: []byte{}, Device: p.id(), Chain: [][]byte{}, Box: keys.NewBox().ID(), Name: p.name}
	if p.me != nil {
		b.User, b.Chain = bytesOfDigest(p.user()), p.me.DeviceChain()
	}
	if p.me == nil {
		b.DeviceBox, b.Consent = new(p.box.ID()), p.consent(w.m.user())
	}
	if e := w.m.board.e; e != nil {
		b.PolicyHash = bytesOfDigest(e.State().PolicyHash())
	}
	return &claimant{
		t: t, w: w, peer: p.id(), secret: k.Sign, device: p.key, committed: b, shown: b,
		join: Join{Versions: []uint16{1}, Suites: []uint16{1}, IID: k.IID, Challenge: [32]byte{2}},
	}
}

func bytesOfDigest(d keys.Digest) []byte { return d[:] }

// anotherSignature is Sign with a nonce that the signer chose: whoever has a key can
// make as many good signatures of one message as he likes.
func anotherSignature(key keys.Private, purpose keys.Purpose, message []byte) keys.Signature {
	little := func(b []byte) *big.Int {
		b = slices.Clone(b)
		slices.Reverse(b)
		return new(big.Int).SetBytes(b)
	}
	// The scalar and the point of a seed, which is all that RFC 8032 makes of one.
	expand := func(seed [32]byte) (scalar *big.Int, point []byte) {
		h := sha512.Sum512(seed[:])
		h[0] &= 248
		h[31] = h[31]&127 | 64
		id := keys.FromSeed(seed).ID()
		return little(h[:32]), id[:]
	}
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	a, public := expand(key.Secret())
	r, point := expand(keys.New().Secret())
	k := sha512.Sum512(slices.Concat(point, public, keys.LP([]byte(purpose), message)))
	s := new(big.Int).Mul(little(k[:]), a)
	s.Add(s, r).Mod(s, order)
	last := s.FillBytes(make([]byte, 32))
	slices.Reverse(last)
	return keys.Signature(slices.Concat(point, last))
}

// both changes what is committed to and shown.
func (c *claimant) both(change func(*JoinBody)) {
	change(&c.committed)
	change(&c.shown)
}

// claim plays frames 1 to 3 against a fresh Inviter and returns what frame 3 led to.
func (c *claimant) claim() (*Inviter, Effects, error) {
	c.t.Helper()
	i := NewInviter(c.w.m.inviting(c.peer))
	b := c.committed
	c.join.Commitment = commitment(b.Nonce, b.User, b.Device, b.Box)
	eff, err := i.Step(c.w.now, c.join)
	if err != nil {
		c.t.Fatal(err)
	}
	ack := sent[AckChallenge](c.t, eff)
	t2 := newTranscript(c.peer, c.w.m.id(), c.w.m.link.Kind, c.join.IID).
		with(TypeJoin, bytesOf(c.join)).with(TypeAckChallenge, bytesOf(ack))
	m := JoinEntity{Body: keys.Marshal(c.shown)}
	signed := t2.with(TypeJoinEntity, m.Body).digest()
	m.Invite = c.secret.Sign(keys.PurposeInvite, signed[:])
	m.Device = c.device.Sign(keys.PurposeDevice, signed[:])
	eff, err = i.Step(c.w.now, m)
	return i, eff, err
}

// grind plays frames 1 and 2 against a fresh Inviter, after which the device knows the
// code that it would have; it goes away, or says with frame 3 that it withdraws.
func (c *claimant) grind(withdraw bool) (*Inviter, Effects, error) {
	c.t.Helper()
	if withdraw {
		c.both(func(b *JoinBody) { b.Withdraw, b.DeviceBox, b.Consent = true, nil, nil })
		return c.claim()
	}
	i := NewInviter(c.w.m.inviting(c.peer))
	b := c.committed
	c.join.Commitment = commitment(b.Nonce, b.User, b.Device, b.Box)
	_, err := i.Step(c.w.now, c.join)
	return i, Effects{}, err
}

// wantClaim fails the test unless the claim is taken: the honest case that every
// forged one differs from in one thing.
func (c *claimant) wantClaim() *invite.Claim {
	c.t.Helper()
	_, eff, err := c.claim()
	if err != nil || eff.Commit == nil || eff.Commit.Reserve == nil || eff.Done != nil || len(eff.Send) != 0 {
		c.t.Fatalf("got %+v, %v; want a claim to be stored and nothing sent", eff, err)
	}
	return eff.Commit.Reserve
}

// wantNoClaim fails the test unless nothing is taken and the requester is told
// that its identity does not hold.
func (c *claimant) wantNoClaim() {
	c.t.Helper()
	i, eff, err := c.claim()
	if err != nil {
		c.t.Fatalf("got %v, want a denial", err)
	}
	if eff.Commit != nil || eff.Done == nil || eff.Done.Reason != invite.RefusedIdentity || eff.Done.Detail == nil {
		c.t.Fatalf("got %+v, want identity_check_failed and nothing stored", eff)
	}
	if m := sent[ApproveJoin](c.t, eff); m.Status != Denied {
		c.t.Errorf("status %s, want denied", statusWord(m.Status))
	}
	if _, err := i.Step(c.w.now, Tick{}); !errors.Is(err, ErrOver) {
		c.t.Errorf("afterwards: %v, want ErrOver", err)
	}
}

// forgedAck is an ACK-CHALLENGE made by hand for a run that sent JOIN. It begins
// honest.
type forgedAck struct {
	device       keys.Private
	mac          keys.MACKey
	peerR, peerM keys.ID // as the forger's connection shows them
	body         AckBody
}

func (x *run) forgeAck() *forgedAck {
	in := x.w.m.inviting(x.r.id())
	return &forgedAck{
		device: x.w.m.key, mac: x.w.m.rec.Key(), peerR: x.r.id(), peerM: x.w.m.id(),
		body: AckBody{Version: Version1, Suite: Suite1, Card: in.Card, Proof: in.Proof},
	}
}

func (x *run) sign(f *forgedAck) AckChallenge {
	m := AckChallenge{Body: keys.Marshal(f.body)}
	signed := newTranscript(f.peerR, f.peerM, x.w.m.link.Kind, x.join.IID).
		with(TypeJoin, bytesOf(x.join)).with(TypeAckChallenge, m.Body).digest()
	m.MAC = f.mac.Sum(signed)
	m.Sig = f.device.Sign(keys.PurposeAck, signed[:])
	return m
}

// approval is an APPROVE-JOIN made by hand for a run that sent JOIN-ENTITY. It
// begins honest.
type approval struct {
	device keys.Private
	over   transcript // what is signed
	info   transcript // what the box is bound to
	to     keys.BoxID
	status Status
	body   ApproveBody
	box    BoxBody
}

func (x *run) forgeApproval(g Grant) *approval {
	a := &approval{
		device: x.w.m.key, over: x.j.t, info: x.j.t, to: x.j.box.ID(), status: Approved,
		body: ApproveBody{Admit: &g.Admit, Entity: &g.Entity, Logs: g.Logs, Chains: g.Chains},
		box:  BoxBody{Keys: g.Keys, Addrs: g.Addrs},
	}
	return a.whole()
}

// whole has the approval say that its operations are all there are: what is forged about
// them shall not be found by their number.
func (a *approval) whole() *approval {
	named := make(map[keys.Digest]bool)
	a.body.Heads, a.body.Ops, a.body.Bytes = nil, uint64(len(a.body.Logs)), 0
	for _, raw := range slices.Backward(a.body.Logs) {
		a.body.Bytes += uint64(len(raw))
		if id := oplog.IDOf(raw); !named[id] {
			a.body.Heads = append(a.body.Heads, id)
		}
		if o, err := oplog.Parse(raw); err == nil {
			for _, p := range o.Parents() {
				named[p] = true
			}
		}
	}
	if len(a.body.Heads) == 0 {
		a.body.Heads = []keys.Digest{{1}}
	}
	slices.SortFunc(a.body.Heads, compareIDs)
	a.body.Heads = slices.Compact(a.body.Heads)
	return a
}

func (a *approval) sign(t testing.TB) ApproveJoin {
	t.Helper()
	if a.status == Approved && a.body.Box == nil {
		box, err := a.to.Seal(boxInfo(a.info), keys.Marshal(a.box))
		if err != nil {
			t.Fatal(err)
		}
		a.body.Box = box
	}
	m := ApproveJoin{Status: a.status, Body: keys.Marshal(a.body)}
	signed := a.over.with(TypeApproveJoin, []byte{byte(a.status)}, m.Body).digest()
	m.Sig = a.device.Sign(keys.PurposeApply, signed[:])
	return m
}

// wantDistrust feeds m to the requester and fails the test unless it ends the
// attempt with identity_check_failed, keeps nothing else and sends nothing. why
// is a part of the reason in the log, "" for any.
func (x *run) wantDistrust(m Message, why string) {
	x.t.Helper()
	eff, err := x.j.Step(x.w.now, m)
	if err != nil {
		x.t.Fatalf("got %v, want the attempt to end", err)
	}
	c := eff.Commit
	if c == nil || c.Joined != nil || c.Attempt == nil || len(eff.Send) != 0 ||
		c.Attempt.State != invite.AttemptFailed || c.Attempt.Reason != invite.RefusedIdentity {
		x.t.Fatalf("got %+v, want a failed attempt and nothing else", eff)
	}
	eff = x.stepJ(Committed{})
	if eff.Done == nil || eff.Done.Status != Denied || !errors.Is(eff.Done.Detail, ErrProof) || len(eff.Send) != 0 || eff.Commit != nil {
		x.t.Fatalf("got %+v, want it over for ErrProof", eff)
	}
	if !strings.Contains(eff.Done.Detail.Error(), why) {
		x.t.Errorf("failed for %q, want a reason with %q", eff.Done.Detail, why)
	}
	if _, err := x.j.Step(x.w.now, m); !errors.Is(err, ErrOver) {
		x.t.Errorf("afterwards: %v, want ErrOver", err)
	}
}

// wantJoined feeds m to the requester and fails the test unless it joins: the
// honest case that every forged one differs from in one thing.
func (x *run) wantJoined(m Message) *Joined {
	x.t.Helper()
	eff, err := x.j.Step(x.w.now, m)
	if err != nil || eff.Commit == nil || eff.Commit.Joined == nil {
		if err == nil && x.j.then.Done != nil {
			err = x.j.then.Done.Detail
		}
		x.t.Fatalf("got %+v, %v; want it to join", eff, err)
	}
	return eff.Commit.Joined
}

// admission is how M lets R in by the link.
func (w *world) admission() entity.Admission {
	return entity.Admission{Party: w.r.party(), Role: entity.Member, Ref: new(w.m.rec.Ref)}
}
