package node

import (
	"errors"
	"fmt"
	"slices"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// inviting returns what M brings to a run for one of its invites, nil when it
// cannot prove that it may invite. The caller holds the lock.
func (n *Node) inviting(r invite.Record, peer keys.ID) *protocol.Inviting {
	in := &protocol.Inviting{Record: r, Device: n.device, Peer: peer}
	in.Card = protocol.Card{Entity: r.EID, Kind: r.Kind, Name: n.name(), Heads: []keys.Digest{}}
	var e *entity.Entity
	if r.Kind == entity.Me {
		in.Card.Heads = cardHeads(n.me.Entity)
	}
	if r.Kind == entity.Board {
		h, ok := n.entities[r.EID]
		if !ok {
			return nil
		}
		e = h.Entity
		s := e.State()
		policy := s.Policy
		in.Card.Name, in.Card.Policy, in.Card.Owner = n.boardName(h), &policy, n.name()
		in.Card.Heads = cardHeads(e)
	}
	var ok bool
	if in.Proof, ok = entity.ProveMaster(n.me.Entity, e); !ok || in.Proof.Size() > entity.MaxProof {
		return nil // what cannot be proved is as if it were not there
	}
	return in
}

// cardHeads are the control heads that a card shows.
func cardHeads(e *entity.Entity) []keys.Digest {
	heads := e.Log().Heads(oplog.Control)
	return heads[:min(len(heads), oplog.MaxParents)]
}

// commitInviting makes a change of an Inviter durable and says how the claim
// stands.
func (n *Node) commitInviting(peer keys.ID, record string, c *protocol.Change) protocol.Event {
	var ev protocol.Event
	err := n.update(func(tx *tx) error {
		r, ok := n.invites[record]
		switch {
		case !ok:
			ev = protocol.Refused{Why: invite.RefusedUnknown}
		case c.Reserve != nil:
			ev = tx.reserve(r, c)
		case c.Approve != nil:
			claim, why := tx.decide(r, *c.Approve, true)
			ev = tx.committed(claim, why)
		case c.Withdraw != nil:
			r, claim, why := r.Cancel(*c.Withdraw, tx.now)
			tx.record(r)
			if why == invite.OK || claim.Withdrew() {
				tx.decided(claim)
			}
			ev = tx.committed(claim, why)
		case c.Failed:
			r, locked := r.Fail()
			tx.record(r)
			if locked {
				tx.event("invite.locked", map[string]any{"id": r.ID})
			}
			ev = protocol.Refused{Why: invite.RefusedIdentity}
		}
		return nil
	})
	if err != nil {
		n.log.Warn("join", "peer", peer.String(), "err", err)
		return protocol.Refused{Why: invite.RefusedDiskFull}
	}
	return ev
}

// reserve is the transaction on a verified JOIN-ENTITY: conditions, then a use.
func (tx *tx) reserve(r invite.Record, c *protocol.Change) protocol.Event {
	joinID := invite.JoinID(r.Ref, c.Reserve.User, c.Reserve.Device)
	_, known := r.Claim(joinID)
	if why := tx.merged(c); why != invite.OK {
		return protocol.Refused{Why: why}
	}
	if !known {
		if why := tx.admissible(r, *c.Reserve); why != invite.OK {
			return protocol.Refused{Why: why}
		}
		if tx.n.pending(r.EID) >= maxPending {
			return protocol.Refused{Why: invite.RefusedBusy}
		}
		c.Reserve.ID = tx.shortID("r")
	}
	policyOK := r.Kind != entity.Board
	if h, ok := tx.n.entities[r.EID]; ok && !policyOK {
		want := h.State().PolicyHash()
		policyOK = slices.Equal(c.Policy, want[:])
	}
	before := r.State
	r, claim, why := r.Reserve(*c.Reserve, tx.now, policyOK)
	tx.record(r)
	if r.State != before {
		tx.event("invite."+r.State.String(), map[string]any{"id": r.ID})
	}
	if !known && !claim.JoinID.IsZero() {
		if c.Chain != nil {
			tx.chain(c.Chain)
		}
		tx.addrs(claim.Device, claim.Addrs)
		tx.after = append(tx.after, func() { tx.n.charge(claim.Device, "") })
		tx.event("request.in", map[string]any{
			"id": claim.ID, "kind": linkKind(r.Kind), "name": claim.Name, "invite": r.ID, "extra": claim.Extra,
		})
	}
	return tx.committed(claim, why)
}

// merged applies what is known of the requester's device chain beyond what this run
// showed: its newest devices count, and the device must still be among them.
func (tx *tx) merged(c *protocol.Change) invite.Code {
	known, ok := tx.n.chains[c.Reserve.User]
	if c.Chain == nil || !ok {
		return invite.OK
	}
	set, err := known.Offer(c.Chain)
	if err != nil {
		return invite.RefusedIdentity
	}
	tx.chain(c.Chain)
	v := set.Judge()
	if _, ok := v.Device(c.Reserve.Device); !ok || v.Forked() {
		return invite.RefusedIdentity
	}
	party := entity.PartyOf(v.Chain, "")
	c.Reserve.Head, c.Reserve.Devices, c.Reserve.Box = party.Head, party.Devices, party.Box
	return invite.OK
}

// admissible is what the invite does not know: whether the user, or the device, may
// join the entity at all.
func (tx *tx) admissible(r invite.Record, c invite.Claim) invite.Code {
	n, user := tx.n, c.User
	if n.blocked(user) {
		return invite.RefusedRejected
	}
	switch r.Kind {
	case entity.Me:
		if _, ok := n.me.State().Device(c.Device); ok {
			return invite.RefusedAlreadyDevice
		}
		if !n.me.State().SoleVoter(n.device.ID()) {
			return invite.RefusedDevicesOffline
		}
		if !n.roomForDevice() {
			return invite.RefusedProofTooLong
		}
	case entity.Friend:
		if user == n.user {
			return invite.RefusedIdentity
		}
		if f := n.friendship(user); f != nil && f.State().Alive() {
			return invite.RefusedAlreadyFriends
		}
	case entity.Board:
		h, ok := n.entities[r.EID]
		if !ok || h.State().Ended || !h.State().Speaks(n.user, n.device.ID(), entity.Master) {
			return invite.RefusedNotOwner
		}
		switch m, ok := h.State().Member(user); {
		case ok && m.Standing == entity.Active:
			return invite.RefusedAlreadyMember
		case ok && m.Standing == entity.Removed && (r.Auto && r.Bound == nil || !h.Saw(r.Seen, m.End)):
			return invite.RefusedRemoved // he comes back by a link that is meant for him, or decided on by a person
		}
		if h.State().Policy.Join == entity.JoinFriends {
			if f := n.friendship(user); f == nil || !f.State().Alive() {
				return invite.RefusedNotFriend
			}
		}
	default:
		return invite.RefusedKind
	}
	return invite.OK
}

// decide is the transaction of a decision: the conditions again, then the admit.
func (tx *tx) decide(r invite.Record, joinID keys.Digest, approve bool) (invite.Claim, invite.Code) {
	old, ok := r.Claim(joinID)
	if !ok {
		return invite.Claim{}, invite.RefusedUnknown
	}
	if approve && old.State.Waiting() {
		if why := tx.admissible(r, old); why != invite.OK {
			return tx.refuse(r, old, why), why
		}
	}
	r, claim, why := r.Decide(joinID, approve, tx.now)
	if why != invite.OK || claim.State == old.State {
		if claim.State != old.State { // it timed out just now
			tx.record(r)
			tx.decided(claim)
		}
		return claim, why
	}
	if approve {
		admit, err := tx.admit(r, claim)
		if err != nil {
			tx.n.log.Error("admit", "request", claim.ID, "err", err)
			return old, invite.RefusedInternal
		}
		r, claim, _ = r.Admitted(joinID, admit)
	}
	tx.record(r)
	tx.decided(claim)
	return claim, invite.OK
}

// refuse ends a claim that waits and can never be approved.
func (tx *tx) refuse(r invite.Record, c invite.Claim, why invite.Code) invite.Claim {
	refused, ended, ok := r.Refuse(c.JoinID, why, tx.now)
	if !ok {
		return c
	}
	tx.record(refused)
	tx.decided(ended)
	return ended
}

// decided journals the end of a claim and tells the run that waits for it.
func (tx *tx) decided(c invite.Claim) {
	state, why := c.State, c.Outcome()
	if c.Withdrew() {
		state, why = invite.Cancelled, c.Reason
	}
	tx.event("request.decided", map[string]any{"id": c.ID, "state": state.String(), "reason": why.String()})
	tx.after = append(tx.after, func() {
		tx.n.mu.Lock()
		defer tx.n.mu.Unlock()
		tx.n.tell(c)
	})
}

// admit appends what lets the claim's user in: ApproveJoinEntity on the board, or
// on a Friend entity founded in this very transaction.
func (tx *tx) admit(r invite.Record, c invite.Claim) (keys.Digest, error) {
	tx.spare = c.Device // it gets the admit with the approval; a push before that would find no entity
	if r.Kind == entity.Me {
		return tx.admitDevice(r, c)
	}
	party := entity.Party{User: c.User, Head: c.Head, Devices: c.Devices, Box: c.Box, Name: c.Name}
	how := entity.Admission{Party: party, Role: r.Role, Ref: &r.Ref}
	if how.Role == 0 {
		how.Role = entity.RoleFor(r.Kind)
	}
	if r.Kind != entity.Friend {
		h := tx.n.entities[r.EID]
		if err := tx.historyOf(h, r, &how); err != nil {
			return keys.Digest{}, err
		}
		o, err := entity.ApproveJoinEntity(h.Entity, tx.author(), h.ring, how)
		if err != nil {
			return keys.Digest{}, err
		}
		tx.ops(h.Entity, o)
		return o.ID(), nil
	}
	parties := []keys.Digest{tx.n.user, c.User}
	slices.SortFunc(parties, compareDigests)
	mine := tx.n.me.State().Party(tx.n.name())
	f, err := entity.CreateEntity(tx.author(), entity.Genesis{Kind: entity.Friend, Founder: &mine, Parties: parties, Ref: &r.Ref})
	if err != nil {
		return keys.Digest{}, err
	}
	o, err := entity.ApproveJoinEntity(f.Entity, tx.author(), entity.Keyring{f.Epoch: f.Key}, how)
	if err != nil {
		return keys.Digest{}, err
	}
	if _, err := tx.found(f); err != nil {
		return keys.Digest{}, err
	}
	tx.ops(f.Entity, o)
	return o.ID(), nil
}

// historyOf says what a newcomer of a board may read of the past, and begins a new
// epoch where he may have no key there is.
func (tx *tx) historyOf(h *held, r invite.Record, how *entity.Admission) error {
	history := h.State().Policy.History
	if r.History.Mode != 0 {
		history = r.History
	}
	how.History = &history
	if _, rotate := h.HandsOut(h.ring, history, tx.now); rotate {
		return tx.newEpoch(h)
	}
	return nil
}

// admitDevice makes the claim's device one of ours, and lists it wherever we are a
// member.
func (tx *tx) admitDevice(r invite.Record, c invite.Claim) (keys.Digest, error) {
	n := tx.n
	if c.Consent == nil {
		return keys.Digest{}, fmt.Errorf("%w: a device without its consent", protocol.ErrProof)
	}
	o, err := entity.AddDevice(n.me.Entity, tx.author(), entity.NewDevice{ID: c.Device, Box: c.Box, Consent: *c.Consent, Ref: r.Ref}, entity.Phone)
	if err != nil {
		return keys.Digest{}, err
	}
	tx.ops(n.me.Entity, o)
	tx.deviceStatus(c.Device, protocol.LinkInit)
	tx.event("device.added", map[string]any{"id": c.Device.String(), "name": c.Name})
	tx.listDevices()
	name := c.Name
	if !ValidName(name) {
		name = c.Device.String()[:8]
	}
	return o.ID(), errors.Join(tx.nameDevice(c.Device, name), tx.nameDevice(n.device.ID(), n.deviceName(n.device.ID())))
}

// pending counts the undecided claims of an entity. The caller holds the lock.
func (n *Node) pending(eid keys.Digest) int {
	count := 0
	for _, r := range n.invites {
		if r.EID != eid {
			continue
		}
		for _, c := range r.Claims {
			if c.State.Waiting() {
				count++
			}
		}
	}
	return count
}
