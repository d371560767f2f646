package protocol

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/invite"
	"pttnode/keys"
)

// Joining is what a requester brings to a run.
type Joining struct {
	Attempt  invite.Attempt // with its link
	Device   keys.Private
	Me       *entity.Entity // R's own identity, read only; nil in a device join
	Box      keys.BoxID     // R's device box key, in a device join
	Name     string         // what R calls itself; in a device join the device's name
	Addrs    []byte         // R's signed peer record
	Withdraw bool           // this run only withdraws the request
	Most     uint64         // bytes of a control strand that are taken; 0 for MaxControl
}

type joinerState uint8

const (
	joinerNew     joinerState = iota
	joinerJoined              // JOIN is sent
	joinerStoring             // a change is being made durable
	joinerAsked               // JOIN-ENTITY is sent
	joinerWaiting             // PENDING is stored: a person is asked
	joinerOver
)

// Joiner is R's side of one stream.
type Joiner struct {
	in   Joining // immutable but for Attempt
	link invite.Link
	keys keys.Invite

	state joinerState
	box   keys.BoxKey // join box key, in memory only
	nonce [32]byte
	join  Join
	t     transcript   // after the last message
	ack   AckBody      // checked
	me    *chain.Chain // the issuer's devices
	eid   keys.Digest  // what is joined; for a friend link the issuer's user
	ends  time.Time    // of frames 1 to 3
	next  joinerState  // after the change being stored
	then  Effects      // what follows it
}

// NewJoiner returns the machine of one run. It fails when the attempt holds no
// link any more, or one that does not go with whether R has an identity.
func NewJoiner(in Joining) (*Joiner, error) {
	link, err := in.Attempt.Link()
	if err != nil {
		return nil, fmt.Errorf("join %s: %w", in.Attempt.ID, err)
	}
	if (in.Me == nil) != (link.Kind == entity.Me) {
		return nil, fmt.Errorf("join %s: %w: a %v link with another identity than it takes", in.Attempt.ID, ErrUnexpected, link.Kind)
	}
	return &Joiner{in: in, link: link, keys: link.Keys(), box: keys.NewBox()}, nil
}

// Attempt returns the attempt as this run has left it.
func (j *Joiner) Attempt() invite.Attempt { return j.in.Attempt }

// Step feeds one event. After an error the run has failed and every later Step
// fails with ErrOver.
func (j *Joiner) Step(now time.Time, ev Event) (Effects, error) {
	if j.state == joinerOver {
		return Effects{}, ErrOver
	}
	eff, err := j.step(now, ev)
	if err != nil || eff.Done != nil {
		j.state = joinerOver
	}
	return eff, err
}

func (j *Joiner) step(now time.Time, ev Event) (Effects, error) {
	switch ev := ev.(type) {
	case Start:
		return j.onStart(now)
	case AckChallenge:
		return j.onAckChallenge(now, ev)
	case ApproveJoin:
		return j.onApproveJoin(now, ev)
	case No:
		return j.onNo(now)
	case Committed:
		return j.onCommitted()
	case Refused:
		if j.state != joinerStoring {
			return Effects{}, fmt.Errorf("%w: Refused", ErrUnexpected)
		}
		return Effects{Done: &Outcome{Status: Denied, Reason: ev.Why}}, nil
	case Tick:
		if j.state == joinerJoined || j.state == joinerAsked {
			return Effects{}, ErrTimeout
		}
		return Effects{}, nil
	}
	return Effects{}, fmt.Errorf("%w: %T at the requester", ErrUnexpected, ev)
}

// onStart: new -> joined.
func (j *Joiner) onStart(now time.Time) (Effects, error) {
	if j.state != joinerNew {
		return Effects{}, fmt.Errorf("%w: Start twice", ErrUnexpected)
	}
	m := Join{Versions: []uint16{Version1, reserved}, Suites: []uint16{Suite1, reserved}, IID: j.keys.IID}
	_, _ = rand.Read(m.Challenge[:]) // never fails since Go 1.24
	_, _ = rand.Read(j.nonce[:])
	m.Commitment = commitment(j.nonce, j.user(), j.in.Device.ID(), j.box.ID())

	j.join, j.ends, j.state = m, now.Add(RunTime), joinerJoined
	t0 := newTranscript(j.in.Device.ID(), j.link.Issuer, j.link.Kind, j.keys.IID)
	j.t = t0.with(TypeJoin, bytesOf(m))
	return Effects{Send: []Message{m}, Deadline: j.frame(now)}, nil
}

// onAckChallenge: joined -> storing -> asked. Only now does R say who it is.
func (j *Joiner) onAckChallenge(now time.Time, m AckChallenge) (Effects, error) {
	if j.state != joinerJoined {
		return Effects{}, fmt.Errorf("%w: ACK-CHALLENGE", ErrUnexpected)
	}
	var b AckBody
	if err := keys.Unmarshal(m.Body, &b); err != nil {
		return Effects{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	signed := j.t.with(TypeAckChallenge, m.Body).digest()
	if !j.keys.MAC.Verify(signed, m.MAC) {
		return j.distrust(now, "ACK-CHALLENGE: mac", ErrProof)
	}
	if err := j.link.Issuer.Verify(keys.PurposeAck, signed[:], m.Sig); err != nil {
		return j.distrust(now, "ACK-CHALLENGE: signature", err)
	}
	if err := j.checkCard(b); err != nil {
		return j.distrust(now, "ACK-CHALLENGE", err)
	}
	eid := b.Card.Entity
	me, err := b.Proof.Verify(j.link.Kind, eid, j.link.EID16, j.link.Issuer)
	if err != nil {
		return j.distrust(now, "ACK-CHALLENGE: proof", err)
	}

	t2 := j.t.with(TypeAckChallenge, bytesOf(m))
	reply, t3 := j.joinEntity(t2, b)
	codeID, code := safetyCode(t2, j.nonce, j.user(), j.in.Device.ID(), j.box.ID())
	send := Effects{Send: []Message{reply}, Deadline: j.frame(now)}
	if j.in.Withdraw {
		j.t, j.ack, j.me, j.eid, j.state = t3, b, me, eid, joinerAsked
		return send, nil
	}
	at, err := j.in.Attempt.Checked(now, eid, me.User(), b.Card.Name)
	if err != nil {
		return j.distrust(now, "ACK-CHALLENGE: another entity than before", err)
	}
	if at.State.Terminal() {
		return j.end(at, at.Reason), nil
	}
	at = at.Sent(now, codeID, code)
	j.t, j.ack, j.me, j.eid = t3, b, me, eid
	return j.store(&Change{Attempt: &at}, joinerAsked, send), nil
}

// checkCard checks what the proof does not: the choice of version and suite and
// the shape of the card.
func (j *Joiner) checkCard(b AckBody) error {
	kind := j.link.Kind
	switch {
	case b.Version != Version1 || b.Suite != Suite1: // the best that both have; a lower choice is a downgrade
		return fmt.Errorf("%w: version %d suite %d", ErrProof, b.Version, b.Suite)
	case b.Card.Kind != kind:
		return fmt.Errorf("%w: card of a %v for a %v link", ErrProof, b.Card.Kind, kind)
	case (kind == entity.Board) != (b.Card.Policy != nil) || (kind == entity.Friend) != (len(b.Card.Heads) == 0):
		return fmt.Errorf("%w: policy or heads out of place", ErrProof)
	case len(b.Card.Heads) > maxHeads || len(b.Card.Name) > entity.MaxName || len(b.Card.Owner) > entity.MaxName:
		return fmt.Errorf("%w: card too large", ErrProof)
	}
	return nil
}

// joinEntity makes frame 3 and the transcript after it.
func (j *Joiner) joinEntity(t2 transcript, b AckBody) (JoinEntity, transcript) {
	body := JoinBody{
		Nonce: j.nonce, User: j.user(), Device: j.in.Device.ID(), Chain: [][]byte{}, Box: j.box.ID(),
		Name: j.in.Name, Note: j.in.Attempt.Note, Addrs: j.in.Addrs, Withdraw: j.in.Withdraw,
	}
	switch {
	case j.in.Me != nil:
		body.Chain = j.in.Me.DeviceChain()
	case !j.in.Withdraw:
		body.DeviceBox, body.Consent = new(j.in.Box), new(j.consent(b.Card.Entity))
	}
	if b.Card.Policy != nil {
		h := b.Card.Policy.Hash()
		body.PolicyHash = h[:]
	}
	m := JoinEntity{Body: keys.Marshal(body)}
	signed := t2.with(TypeJoinEntity, m.Body).digest()
	m.Invite = j.keys.Sign.Sign(keys.PurposeInvite, signed[:])
	m.Device = j.in.Device.Sign(keys.PurposeDevice, signed[:])
	return m, t2.with(TypeJoinEntity, bytesOf(m))
}

// onApproveJoin: asked or waiting -> storing -> waiting or over.
func (j *Joiner) onApproveJoin(now time.Time, m ApproveJoin) (Effects, error) {
	if j.state != joinerAsked && j.state != joinerWaiting {
		return Effects{}, fmt.Errorf("%w: APPROVE-JOIN", ErrUnexpected)
	}
	signed := j.t.with(TypeApproveJoin, []byte{byte(m.Status)}, m.Body).digest()
	if err := j.link.Issuer.Verify(keys.PurposeApply, signed[:], m.Sig); err != nil {
		return j.distrust(now, "APPROVE-JOIN: signature", err)
	}
	var b ApproveBody
	if err := keys.Unmarshal(m.Body, &b); err != nil {
		return Effects{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	switch m.Status {
	case Pending:
		return j.onPending(now, b)
	case Denied:
		why := invite.ParseCode(b.Reason)
		switch {
		case j.in.Withdraw && why.Temporary(): // M could not store it: it has to be said again
			return Effects{Done: &Outcome{Status: Denied, Reason: why}}, nil
		case j.in.Withdraw:
			return j.end(j.in.Attempt.Withdrawn(), why), nil
		}
		return j.end(j.in.Attempt.Denied(now, why), why), nil
	case Approved:
		return j.onApproved(now, b)
	}
	return Effects{}, fmt.Errorf("%w: status %d", ErrFrame, m.Status)
}

func (j *Joiner) onPending(now time.Time, b ApproveBody) (Effects, error) {
	if b.CodeID == nil || b.Deadline > maxDeadline || j.in.Withdraw {
		return Effects{}, fmt.Errorf("%w: PENDING", ErrFrame)
	}
	at, err := j.in.Attempt.Pending(now, *b.CodeID, invite.ParseCode(b.Reason))
	if err != nil {
		// Not a run of ours: somebody else stands between, or used our identity.
		return j.distrust(now, "PENDING", err)
	}
	return j.store(&Change{Attempt: &at}, joinerWaiting, Effects{}), nil
}

// onApproved: the whole control strand is here and is judged, or what came of it is kept
// with the attempt and the rest is fetched.
func (j *Joiner) onApproved(now time.Time, b ApproveBody) (Effects, error) {
	p, e, err := j.openApproval(b)
	if err != nil {
		return j.distrust(now, "APPROVED", err)
	}
	if most := cmp.Or(j.in.Most, MaxControl); p.Strand.Bytes > most {
		return j.refuse(now, invite.RefusedTooLarge, fmt.Errorf("a control strand of %d bytes", p.Strand.Bytes)), nil
	}
	if !e.Holds(p.Strand.Heads) {
		at := j.in.Attempt.Fetching(now, p.Strand.Ops, p.Strand.Bytes)
		return j.store(&Change{Attempt: &at, Partial: p, Begun: e}, joinerOver, Effects{Done: &Outcome{Status: Approved}}), nil
	}
	joined, err := j.judge(*p, e)
	switch {
	case errors.Is(err, entity.ErrRemoved), errors.Is(err, entity.ErrEnded):
		return j.refuse(now, invite.RefusedRemoved, err), nil
	case err != nil:
		return j.distrust(now, "APPROVED", err)
	}
	at := After(j.in.Attempt, now, joined)
	return j.store(&Change{Attempt: &at, Joined: joined}, joinerOver, Effects{Done: &Outcome{Status: Approved}}), nil
}

// After returns an attempt as it is once its approval was judged and stored, and notes in
// joined whether its requester leaves again.
func After(at invite.Attempt, now time.Time, joined *Joined) invite.Attempt {
	if joined.Leave = at.Withdrawing(); joined.Leave {
		return at.Withdrawn()
	}
	at = at.Approved(now).Syncing(now)
	if joined.Entity.State().Kind == entity.Board { // the others have steps to follow
		at = at.Joined(now)
	}
	return at
}

// openApproval checks what an approval says of itself, and judges the operations that came
// with it. Any failure: keep nothing.
func (j *Joiner) openApproval(b ApproveBody) (*Partial, *entity.Entity, error) {
	if b.Admit == nil || b.Entity == nil {
		return nil, nil, fmt.Errorf("%w: approval without entity", ErrFrame)
	}
	plain, err := j.box.Open(boxInfo(j.t), b.Box)
	if err != nil {
		return nil, nil, err
	}
	var box BoxBody
	if err := keys.Unmarshal(plain, &box); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if j.link.Kind == entity.Board && *b.Entity != j.eid {
		return nil, nil, fmt.Errorf("%w: approval of another entity", ErrProof)
	}
	e, err := b.strand().Open(*b.Entity, b.Logs)
	if err != nil {
		return nil, nil, err
	}
	switch kind := e.State().Kind; {
	case kind != j.link.Kind:
		return nil, nil, fmt.Errorf("%w: a %v, want a %v", entity.ErrKind, kind, j.link.Kind)
	case kind == entity.Me && !e.Holds(b.Heads): // a device chain always fits
		return nil, nil, fmt.Errorf("%w: a part of a Me", ErrProof)
	}
	return &Partial{
		Entity: *b.Entity, Kind: j.link.Kind, Admit: *b.Admit, Ref: j.keys.Ref, Card: j.ack.Card.Heads, Strand: b.strand(),
		Keys: box.Keys, Addrs: box.Addrs, Issuer: j.ack.Proof.Chain, Chains: b.Chains,
	}, e, nil
}

// judge judges an approval of which the whole control strand is here.
func (j *Joiner) judge(p Partial, e *entity.Entity) (*Joined, error) {
	if j.link.Kind != entity.Me {
		return p.Judge(e, j.in.Me)
	}
	ring, err := entity.CreateJoinMe(e, p.approval(), entity.NewDevice{
		User: j.eid, ID: j.in.Device.ID(), Box: j.in.Box, Consent: j.consent(j.eid), Ref: j.keys.Ref, Heads: j.ack.Card.Heads,
	})
	if err != nil {
		return nil, err
	}
	return &Joined{Entity: e, Ring: ring, Issuer: j.me, Addrs: p.Addrs}, nil
}

// refuse ends the attempt by this side's own verdict over an approval that is honest.
func (j *Joiner) refuse(now time.Time, why invite.Code, detail error) Effects {
	at := j.in.Attempt
	if j.in.Withdraw {
		at = at.Withdrawn()
	} else {
		at = at.Denied(now, why)
	}
	if why == invite.RefusedTooLarge {
		at = at.Staying(now)
	}
	eff := j.end(at, why)
	j.then.Done.Detail = detail
	return eff
}

// consent is R's signature that it may be added to user's devices.
func (j *Joiner) consent(user keys.Digest) keys.Signature {
	return j.in.Device.Sign(keys.PurposeLink, chain.Consent(user, j.in.Device.ID(), j.in.Box))
}

// onNo: joined -> over. M does not know the invite.
func (j *Joiner) onNo(now time.Time) (Effects, error) {
	if j.state != joinerJoined {
		return Effects{}, fmt.Errorf("%w: NO", ErrUnexpected)
	}
	if j.in.Withdraw {
		return j.end(j.in.Attempt.Withdrawn(), invite.RefusedUnknown), nil
	}
	return j.end(j.in.Attempt.Denied(now, invite.RefusedUnknown), invite.RefusedUnknown), nil
}

// onCommitted: storing -> asked, waiting or over.
func (j *Joiner) onCommitted() (Effects, error) {
	if j.state != joinerStoring {
		return Effects{}, fmt.Errorf("%w: Committed", ErrUnexpected)
	}
	j.state = j.next
	return j.then, nil
}

// store asks for a change and keeps what follows it.
func (j *Joiner) store(c *Change, next joinerState, then Effects) Effects {
	j.in.Attempt, j.next, j.then, j.state = *c.Attempt, next, then, joinerStoring
	return Effects{Commit: c}
}

// end stores how the attempt ended and ends the run.
func (j *Joiner) end(at invite.Attempt, why invite.Code) Effects {
	return j.store(&Change{Attempt: &at}, joinerOver, Effects{Done: &Outcome{Status: Denied, Reason: why}})
}

// distrust ends the attempt: who answered is not who he should be. The reason
// stays here; the attempt only says identity_check_failed.
func (j *Joiner) distrust(now time.Time, where string, why error) (Effects, error) {
	if j.in.Withdraw {
		return Effects{}, fmt.Errorf("%s: %w", where, why)
	}
	at := j.in.Attempt.Denied(now, invite.RefusedIdentity)
	if where == "APPROVED" { // it may be true that we were let in
		at = at.Staying(now)
	}
	eff := j.end(at, invite.RefusedIdentity)
	j.then.Done.Detail = fmt.Errorf("%s: %w", where, errors.Join(ErrProof, why))
	return eff, nil
}

// frame returns until when the next frame must come.
func (j *Joiner) frame(now time.Time) time.Time {
	if t := now.Add(FrameTime); t.Before(j.ends) {
		return t
	}
	return j.ends
}

// user is R's user, empty in a device join.
func (j *Joiner) user() []byte {
	if j.in.Me == nil {
		return []byte{}
	}
	id := j.in.Me.ID()
	return id[:]
}
