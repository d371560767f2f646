package node

import (
	"context"
	"slices"
	"time"

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
	if r.Kind == entity.Board {
		h, ok := n.entities[r.EID]
		if !ok {
			return nil
		}
		e = h.Entity
		s := e.State()
		policy := s.Policy
		in.Card.Name, in.Card.Policy, in.Card.Owner = n.boardName(h), &policy, n.name()
		in.Card.Heads = e.Log().Heads(oplog.Control)
		if len(in.Card.Heads) > oplog.MaxParents {
			in.Card.Heads = in.Card.Heads[:oplog.MaxParents]
		}
	}
	var ok bool
	if in.Proof, ok = entity.ProveMaster(n.me.Entity, e); !ok || in.Proof.Size() > entity.MaxProof {
		return nil // what cannot be proved is as if it were not there
	}
	return in
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
			if why == invite.OK {
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
	if !known {
		if why := tx.admissible(r, c.Reserve.User); why != invite.OK {
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
		tx.chain(c.Chain)
		tx.addrs(claim.Device, claim.Addrs)
		tx.after = append(tx.after, func() { tx.n.charge(claim.Device, "") })
		tx.event("request.in", map[string]any{
			"id": claim.ID, "kind": linkKind(r.Kind), "name": claim.Name, "invite": r.ID, "extra": claim.Extra,
		})
	}
	return tx.committed(claim, why)
}

// admissible is what the invite does not know: whether the user may join the
// entity at all.
func (tx *tx) admissible(r invite.Record, user keys.Digest) invite.Code {
	n := tx.n
	switch r.Kind {
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
		if m, ok := h.State().Member(user); ok && m.Standing == entity.Active {
			return invite.RefusedAlreadyMember
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
		if why := tx.admissible(r, old.User); why != invite.OK {
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
	tx.event("request.decided", map[string]any{"id": c.ID, "state": c.State.String(), "reason": c.Outcome().String()})
	tx.after = append(tx.after, func() {
		tx.n.mu.Lock()
		defer tx.n.mu.Unlock()
		tx.n.tell(c)
	})
}

// admit appends what lets the claim's user in: ApproveJoinEntity on the board, or
// on a Friend entity founded in this very transaction.
func (tx *tx) admit(r invite.Record, c invite.Claim) (keys.Digest, error) {
	tx.from = c.Device // it gets the admit with the approval; a push before that would find no entity
	party := entity.Party{User: c.User, Head: c.Head, Devices: c.Devices, Box: c.Box, Name: c.Name}
	how := entity.Admission{Party: party, Role: r.Role, Ref: &r.Ref}
	if how.Role == 0 {
		how.Role = entity.RoleFor(r.Kind)
	}
	if r.Kind != entity.Friend {
		h := tx.n.entities[r.EID]
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

// committed says how a claim stands, with what to hand over if it is approved.
func (tx *tx) committed(c invite.Claim, why invite.Code) protocol.Event {
	ev := protocol.Committed{Claim: c, Refuse: why}
	if c.State == invite.Approved {
		g, no := tx.n.grant(c)
		if no != invite.OK {
			return protocol.Refused{Why: no}
		}
		ev.Grant = g
	}
	return ev
}

// grant makes what an approved claim hands over, from the entity as it is now.
// The caller holds the lock.
func (n *Node) grant(c invite.Claim) (*protocol.Grant, invite.Code) {
	var h *held
	for _, e := range n.entities {
		if _, ok := e.Log().Get(c.Admit); ok {
			h = e
		}
	}
	if h == nil {
		return nil, invite.RefusedInternal
	}
	s := h.State()
	m, ok := s.Member(c.User)
	if !ok || m.Standing != entity.Active || m.Admit != c.Admit || s.Ended {
		return nil, invite.RefusedRemoved
	}
	g := &protocol.Grant{
		Entity: h.ID(), Admit: c.Admit, Keys: epochKeys(h.ring), Addrs: n.memberAddrs(h, 4), Logs: h.ControlStrand(),
	}
	size := 0
	for _, raw := range g.Logs {
		size += len(raw)
	}
	for user, m := range s.Members {
		if chain, ok := n.chains[user]; ok && m.Role == entity.Master && m.Standing == entity.Active && user != n.user {
			raws := chain.ControlStrand()
			g.Chains = append(g.Chains, raws)
			for _, raw := range raws {
				size += len(raw)
			}
		}
	}
	if size > protocol.MaxLogs {
		return nil, invite.RefusedProofTooLong
	}
	return g, invite.OK
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

// Approve decides an incoming request: yes. It returns when that is durable.
func (n *Node) Approve(_ context.Context, id string) (RequestView, error) { return n.decide(id, true) }

// Reject decides an incoming request: no.
func (n *Node) Reject(_ context.Context, id string) (RequestView, error) { return n.decide(id, false) }

func (n *Node) decide(id string, approve bool) (RequestView, error) {
	var view RequestView
	err := n.update(func(tx *tx) error {
		r, c, ok := n.claim(id)
		if !ok {
			return refuse("not_found", "what", "request", "name", id)
		}
		c, why := tx.decide(r, c.JoinID, approve)
		if why != invite.OK {
			return refuse(why.String(), "name", c.Name)
		}
		view = n.claimView(n.invites[r.ID], c)
		return nil
	})
	return view, err
}

// claim finds a claim by its short id. The caller holds the lock.
func (n *Node) claim(id string) (invite.Record, invite.Claim, bool) {
	for _, r := range n.invites {
		for _, c := range r.Claims {
			if c.ID == id {
				return r, c, true
			}
		}
	}
	return invite.Record{}, invite.Claim{}, false
}

// sweep ends what is over: invites, claims, and friendships that were not
// accepted in time.
func (n *Node) sweep() error {
	return n.update(func(tx *tx) error {
		for _, r := range n.invites {
			swept, late := r.Sweep(tx.now)
			swept, expired := swept.Expire(tx.now)
			if len(late) == 0 && !expired {
				continue
			}
			tx.record(swept)
			if expired {
				tx.event("invite.expired", map[string]any{"id": r.ID})
			}
			for _, c := range late {
				tx.decided(c)
			}
		}
		for id := range n.invites { // who asks twice and was let in once does not wait on
			for _, c := range n.invites[id].Claims {
				if !c.State.Waiting() {
					continue
				}
				why := tx.admissible(n.invites[id], c.User)
				if why == invite.RefusedAlreadyFriends || why == invite.RefusedAlreadyMember {
					tx.refuse(n.invites[id], c, why)
				}
			}
		}
		for _, h := range n.entities {
			s := h.State()
			if s.Kind != entity.Friend || s.Founder != n.user || s.Ended {
				continue
			}
			if m, ok := s.Member(s.Other(n.user)); ok && !m.Accepted && tx.now.After(n.acceptBy(s, m)) {
				o, err := h.Control(tx.author(), oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndNotAccepted})
				if err != nil {
					return err
				}
				tx.ops(h.Entity, o)
				tx.event("friend.ended", map[string]any{"id": h.ID().String(), "reason": "not_accepted"})
			}
		}
		return nil
	})
}

// acceptBy returns until when a friendship must be accepted: the deadline of the
// claim it came from.
func (n *Node) acceptBy(s *entity.State, m *entity.Membership) time.Time {
	for _, r := range n.invites {
		if r.Ref != m.Ref {
			continue
		}
		for _, c := range r.Claims {
			if c.Admit == m.Admit {
				return time.Unix(c.Deadline, 0)
			}
		}
	}
	return m.Since.Add(invite.ClaimLife(s.Kind))
}
