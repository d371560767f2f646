package node

import (
	"context"
	"crypto/subtle"
	"strconv"
	"strings"
	"time"
	"unicode"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/oplog"
)

// Approve decides an incoming request: yes. It returns when that is durable.
// A device needs ApproveDevice.
func (n *Node) Approve(_ context.Context, id string) (RequestView, error) {
	return n.decide(id, true, "")
}

// ApproveDevice lets a device of ours in, with the code that it shows; a wrong one
// is wrong_code, and the third takes the link back.
func (n *Node) ApproveDevice(_ context.Context, id, code string) (RequestView, error) {
	return n.decide(id, true, code)
}

// Reject decides an incoming request: no.
func (n *Node) Reject(_ context.Context, id string) (RequestView, error) {
	return n.decide(id, false, "")
}

func (n *Node) decide(id string, approve bool, code string) (RequestView, error) {
	var view RequestView
	err := n.update(func(tx *tx) error {
		r, c, ok := n.claim(id)
		if elsewhere, there := n.askedElsewhere(id); !ok && there {
			err := tx.decideElsewhere(elsewhere, approve)
			tx.follow()
			view = n.askedView(elsewhere)
			return err
		}
		if !ok {
			return refuse("not_found", "what", "request", "name", id)
		}
		if approve && r.Kind == entity.Me && c.State.Waiting() {
			var err error
			if r, err = tx.typed(r, c, code); err != nil {
				return err
			}
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

// typed compares the code that a person typed with that of a device's request, and
// proposes the device when they are the same.
func (tx *tx) typed(r invite.Record, c invite.Claim, code string) (invite.Record, error) {
	digits := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' {
			return -1
		}
		return r
	}, code)
	switch {
	case digits == "":
		return r, refuse("code_needed", "name", c.Name)
	case subtle.ConstantTimeCompare([]byte(digits), []byte(c.Code)) == 0:
		r, ended := r.WrongCode(tx.now)
		left, taken := strconv.Itoa(int(invite.MaxWrongCodes-r.Wrong)), ""
		if r.State == invite.Revoked {
			left, taken = "", r.ID
		}
		tx.record(r)
		tx.event("request.wrong_code", map[string]any{"id": c.ID, "invite": r.ID, "revoked": r.State == invite.Revoked})
		for _, c := range ended {
			tx.decided(c)
		}
		return r, refuse("wrong_code", "name", c.Name, "left", left, "taken_back", taken)
	}
	r, _, why := r.Propose(c.JoinID, tx.now)
	if why != invite.OK {
		return r, refuse(why.String(), "name", c.Name)
	}
	tx.record(r)
	return r, nil
}

// claim finds a claim by its short id. The caller holds the lock.
func (n *Node) claim(id string) (invite.Record, invite.Claim, bool) {
	for _, r := range n.invites {
		for _, c := range r.Claims {
			if c.ID == id {
				return r, *c, true
			}
		}
	}
	return invite.Record{}, invite.Claim{}, false
}

// refuseSettled ends what waits and has its answer: who asks twice and was let in
// once, or was blocked, does not wait on.
func (tx *tx) refuseSettled() {
	for id := range tx.n.invites {
		for _, c := range tx.n.invites[id].Claims {
			if !c.State.Waiting() {
				continue
			}
			switch why := tx.admissible(tx.n.invites[id], *c); why {
			case invite.RefusedAlreadyFriends, invite.RefusedAlreadyMember, invite.RefusedRejected:
				tx.refuse(tx.n.invites[id], *c, why)
			}
		}
	}
}

// sweep ends what is over: invites, claims, and friendships that were not
// accepted in time.
func (n *Node) sweep() error {
	return n.transact(func(tx *tx) error {
		if n.me == nil {
			return nil
		}
		if err := tx.catchUpOwn(); err != nil {
			return err
		}
		tx.govern()
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
		tx.refuseSettled()
		for _, h := range n.entities {
			s := h.State()
			if s.Kind != entity.Friend || s.Founder != n.user || s.Ended || !n.founded(h) {
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

// founded reports whether this very device founded an entity. Another one of ours,
// which was away, may not have heard yet of what came of it.
func (n *Node) founded(h *held) bool {
	genesis, ok := h.Log().Get(h.ID())
	return ok && genesis.Device() == n.device.ID()
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
