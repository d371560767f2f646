package protocol

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/invite"
	"pttnode/keys"
)

// Inviting is what an issuer brings to a run: the record that JOIN named, and
// the entity as it is now.
type Inviting struct {
	Record invite.Record
	Device keys.Private
	Peer   keys.ID // R as this side's connection names it
	Card   Card
	Proof  entity.Proof
}

type inviterState uint8

const (
	inviterNew        inviterState = iota
	inviterChallenged              // ACK-CHALLENGE is sent
	inviterReserving               // the claim is being stored
	inviterApproving               // a link that approves by itself: so is the admit
	inviterWaiting                 // PENDING is sent: a person is asked
	inviterOver
)

// Inviter is M's side of one stream.
type Inviter struct {
	in Inviting // immutable

	state inviterState
	t     transcript // after the last message
	join  Join
	who   *JoinBody    // checked; nil before
	me    *chain.Chain // R's devices; nil in a device join
	ends  time.Time    // of frames 1 to 3
	acked bool         // ACK-CHALLENGE was sent, and no failed proof counted

	claimed bool // the store named a claim of this run, new or known
}

// NewInviter returns the machine of one run. It is made when the iid of a JOIN was
// found; for an unknown one the answer is No and there is no machine.
func NewInviter(in Inviting) *Inviter { return &Inviter{in: in} }

// JoinID returns the joinid of the run's claim, zero before JOIN-ENTITY was
// checked.
func (i *Inviter) JoinID() keys.Digest {
	if i.who == nil {
		return keys.Digest{}
	}
	var user keys.Digest
	if i.me != nil {
		user = i.me.User()
	}
	return invite.JoinID(i.in.Record.Ref, user, i.in.Peer)
}

// Ground reports whether a run of a device link that is over went past its
// ACK-CHALLENGE and has no claim: R knew the code that the run would have and can
// have thrown it away, by silence, by withdrawing what it never asked, or by asking
// a link that is full. The caller counts it as a failed proof, else the safety code
// could be ground (docs/PROTOCOL.md §5.5).
func (i *Inviter) Ground() bool {
	return i.in.Record.Kind == entity.Me && i.acked && !i.claimed
}

// Step feeds one event. After an error the run has failed and every later Step
// fails with ErrOver.
func (i *Inviter) Step(now time.Time, ev Event) (Effects, error) {
	if i.state == inviterOver {
		return Effects{}, ErrOver
	}
	eff, err := i.step(now, ev)
	if err != nil || eff.Done != nil {
		i.state = inviterOver
	}
	return eff, err
}

func (i *Inviter) step(now time.Time, ev Event) (Effects, error) {
	switch ev := ev.(type) {
	case Join:
		return i.onJoin(now, ev)
	case JoinEntity:
		return i.onJoinEntity(now, ev)
	case Committed:
		return i.onCommitted(ev)
	case Refused:
		if i.state != inviterReserving && i.state != inviterApproving {
			return Effects{}, fmt.Errorf("%w: Refused", ErrUnexpected)
		}
		return i.deny(ev.Why)
	case Decided:
		return i.onDecided(ev)
	case Tick:
		if i.state == inviterChallenged {
			return Effects{}, ErrTimeout
		}
		return Effects{}, nil
	}
	return Effects{}, fmt.Errorf("%w: %T at the issuer", ErrUnexpected, ev)
}

// onJoin: new -> challenged. No public key of R has been touched yet.
func (i *Inviter) onJoin(now time.Time, m Join) (Effects, error) {
	if i.state != inviterNew {
		return Effects{}, fmt.Errorf("%w: JOIN", ErrUnexpected)
	}
	if m.IID != i.in.Record.IID {
		return Effects{}, fmt.Errorf("%w: JOIN for another invite", ErrUnexpected)
	}
	b := AckBody{Card: i.in.Card, Proof: i.in.Proof}
	if len(m.Versions) > maxVersions || len(m.Suites) > maxVersions ||
		!slices.Contains(m.Versions, Version1) || !slices.Contains(m.Suites, Suite1) {
		return Effects{Send: []Message{No{}}, Done: &Outcome{Status: Denied, Reason: invite.RefusedUnknown}}, nil
	}
	b.Version, b.Suite = Version1, Suite1
	_, _ = rand.Read(b.Challenge[:]) // never fails since Go 1.24
	ack := AckChallenge{Body: keys.Marshal(b)}
	t1 := newTranscript(i.in.Peer, i.in.Device.ID(), i.in.Record.Kind, m.IID).with(TypeJoin, bytesOf(m))
	signed := t1.with(TypeAckChallenge, ack.Body).digest()
	ack.MAC = i.in.Record.Key().Sum(signed)
	ack.Sig = i.in.Device.Sign(keys.PurposeAck, signed[:])

	i.join, i.t, i.ends, i.state = m, t1.with(TypeAckChallenge, bytesOf(ack)), now.Add(RunTime), inviterChallenged
	i.acked = true
	return Effects{Send: []Message{ack}, Deadline: now.Add(FrameTime)}, nil
}

// onJoinEntity: challenged -> reserving. R shows who it is and that it knows the
// secret; the claim is stored before anything is answered.
func (i *Inviter) onJoinEntity(now time.Time, m JoinEntity) (Effects, error) {
	if i.state != inviterChallenged {
		return Effects{}, fmt.Errorf("%w: JOIN-ENTITY", ErrUnexpected)
	}
	if now.After(i.ends) {
		return Effects{}, ErrTimeout
	}
	var b JoinBody
	if err := keys.Unmarshal(m.Body, &b); err != nil {
		return Effects{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	signed := i.t.with(TypeJoinEntity, m.Body).digest()
	if err := i.in.Record.PK.Verify(keys.PurposeInvite, signed[:], m.Invite); err != nil {
		i.acked = false // counted here
		return Effects{Commit: &Change{Failed: true}, Done: &Outcome{Status: Denied, Detail: err}}, nil
	}
	t2 := i.t
	t3 := t2.with(TypeJoinEntity, bytesOf(m))
	me, err := i.checkWho(b, signed, m.Device)
	if err != nil {
		// The secret was right and the identity was not: tell, and spend nothing.
		i.t = t3
		eff, _ := i.deny(invite.RefusedIdentity)
		eff.Done.Detail = err
		return eff, nil
	}
	i.t, i.who, i.me, i.state = t3, &b, me, inviterReserving
	if b.Withdraw {
		return Effects{Commit: &Change{Withdraw: new(i.JoinID())}}, nil
	}
	claim := invite.Claim{Device: b.Device, Name: b.Name, Note: b.Note, Addrs: b.Addrs}
	if me == nil {
		claim.Box, claim.Consent = *b.DeviceBox, b.Consent
	} else {
		party := entity.PartyOf(me, b.Name)
		claim.User, claim.Box, claim.Head, claim.Devices = me.User(), party.Box, party.Head, party.Devices
	}
	claim.CodeID, claim.Code = safetyCode(t2, b.Nonce, b.User, b.Device, b.Box)
	return Effects{Commit: &Change{Reserve: &claim, Chain: me, Policy: b.PolicyHash}}, nil
}

// checkWho checks that R is the device of its connection, the one it committed
// to, and a device of the user it names, whose device chain it returns; in a device join,
// that it consents to become one, and then there is no chain.
func (i *Inviter) checkWho(b JoinBody, signed keys.Digest, sig keys.Signature) (*chain.Chain, error) {
	if b.Device != i.in.Peer {
		return nil, fmt.Errorf("%w: device %v on the connection of %v", ErrProof, b.Device, i.in.Peer)
	}
	if err := b.Device.Verify(keys.PurposeDevice, signed[:], sig); err != nil {
		return nil, err
	}
	if com := commitment(b.Nonce, b.User, b.Device, b.Box); com != i.join.Commitment {
		return nil, fmt.Errorf("%w: the commitment opens differently", ErrProof)
	}
	if err := b.Box.Check(); err != nil {
		return nil, err
	}
	linking := i.in.Record.Kind == entity.Me && !b.Withdraw
	if len(b.Addrs) > maxAddrs || linking != (b.DeviceBox != nil) || linking != (b.Consent != nil) {
		return nil, fmt.Errorf("%w: a field is too long or out of place", ErrProof)
	}
	if i.in.Record.Kind == entity.Me {
		return nil, i.checkDevice(b)
	}
	me, err := entity.OpenDeviceChain(b.Chain)
	if err != nil {
		return nil, err
	}
	id := me.User()
	if _, ok := me.State().Device(b.Device); !bytes.Equal(b.User, id[:]) || !ok {
		return nil, fmt.Errorf("%w: %v is no device of the user it names", ErrProof, b.Device)
	}
	return me, nil
}

// checkDevice checks what a new device shows in place of a user.
func (i *Inviter) checkDevice(b JoinBody) error {
	if len(b.User) != 0 || len(b.Chain) != 0 || len(b.PolicyHash) != 0 {
		return fmt.Errorf("%w: a user in a device join", ErrProof)
	}
	if b.Withdraw {
		return nil
	}
	if err := b.DeviceBox.Check(); err != nil {
		return err
	}
	return b.Device.Verify(keys.PurposeLink, chain.Consent(i.in.Record.EID, b.Device, *b.DeviceBox), *b.Consent)
}

// onCommitted: reserving -> approving, waiting or over; approving -> over.
func (i *Inviter) onCommitted(ev Committed) (Effects, error) {
	switch i.state {
	case inviterReserving, inviterApproving:
	default:
		return Effects{}, fmt.Errorf("%w: Committed", ErrUnexpected)
	}
	c := ev.Claim
	i.claimed = i.claimed || !c.JoinID.IsZero()
	switch {
	case c.State == invite.Approved && ev.Grant != nil:
		return i.approve(*ev.Grant)
	case ev.Refuse != invite.OK:
		return i.deny(ev.Refuse)
	case i.state == inviterReserving && c.State == invite.Reserved && i.in.Record.Auto:
		i.state = inviterApproving
		return Effects{Commit: &Change{Approve: &c.JoinID}}, nil
	case c.State.Waiting():
		i.state = inviterWaiting
		body := ApproveBody{CodeID: &c.CodeID, Deadline: uint64(max(0, c.Deadline))}
		return Effects{Send: []Message{i.answer(Pending, body)}, Ask: &Request{Claim: c}}, nil
	}
	return i.deny(c.Outcome())
}

// onDecided: waiting -> over.
func (i *Inviter) onDecided(ev Decided) (Effects, error) {
	if i.state != inviterWaiting || ev.Claim.JoinID != i.JoinID() {
		return Effects{}, nil // a decision for a run that has its answer, or for another one
	}
	if ev.Claim.State == invite.Approved && ev.Grant != nil {
		return i.approve(*ev.Grant)
	}
	if why := ev.Claim.Outcome(); why != invite.OK {
		return i.deny(why)
	}
	return Effects{}, nil // still undecided
}

func (i *Inviter) approve(g Grant) (Effects, error) {
	box, err := i.who.Box.Seal(boxInfo(i.t), keys.Marshal(BoxBody{Keys: g.Keys, Addrs: g.Addrs}))
	if err != nil {
		return Effects{}, err
	}
	body := ApproveBody{
		Box: box, Admit: &g.Admit, Entity: &g.Entity, Logs: g.Logs, Chains: g.Chains,
		Heads: g.Strand.Heads, Ops: g.Strand.Ops, Bytes: g.Strand.Bytes,
	}
	return Effects{Send: []Message{i.answer(Approved, body)}, Done: &Outcome{Status: Approved}}, nil
}

func (i *Inviter) deny(why invite.Code) (Effects, error) {
	if why == invite.OK {
		why = invite.RefusedInternal
	}
	return Effects{
		Send: []Message{i.answer(Denied, ApproveBody{Reason: uint16(why)})},
		Done: &Outcome{Status: Denied, Reason: why},
	}, nil
}

// answer signs a decision over the transcript of this run.
func (i *Inviter) answer(s Status, body ApproveBody) ApproveJoin {
	m := ApproveJoin{Status: s, Body: keys.Marshal(body)}
	signed := i.t.with(TypeApproveJoin, []byte{byte(s)}, m.Body).digest()
	m.Sig = i.in.Device.Sign(keys.PurposeApply, signed[:])
	return m
}
