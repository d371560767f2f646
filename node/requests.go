package node

import (
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

// Requests returns all requests of both directions, oldest first.
func (n *Node) Requests() []RequestView {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]RequestView, 0, len(n.attempts))
	for _, a := range n.attempts {
		out = append(out, n.attemptView(a))
	}
	for _, r := range n.invites {
		for _, c := range r.Claims {
			out = append(out, n.claimView(r, c))
		}
	}
	for _, r := range n.meLog.Requests {
		if r.By != n.device.ID() {
			out = append(out, n.askedView(r))
		}
	}
	slices.SortFunc(out, func(a, b RequestView) int { return compareShort(a.ID, b.ID) })
	return out
}

// Request returns one request by its short id.
func (n *Node) Request(id string) (RequestView, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a, ok := n.attempts[id]; ok {
		return n.attemptView(a), nil
	}
	if r, c, ok := n.claim(id); ok {
		return n.claimView(r, c), nil
	}
	if r, ok := n.askedElsewhere(id); ok {
		return n.askedView(r), nil
	}
	return RequestView{}, refuse("not_found", "what", "request", "name", id)
}

func (n *Node) attemptView(a invite.Attempt) RequestView {
	v := RequestView{
		ID: a.ID, Kind: linkKind(a.Kind), Direction: "out", State: a.State.String(), Code: a.Code, Note: a.Note,
		Since: unix(a.Since), ExpiresAt: a.GiveUp().UTC(), Steps: []StepView{},
		With: WithView{Name: a.Name, Claimed: a.User.IsZero()},
	}
	if a.Kind == entity.Board {
		v.Board, v.With.Name = new(a.Name), ""
	}
	if a.Code != "" && a.Deadline > 0 && !a.State.Terminal() {
		v.CodeUntil = new(unix(a.Deadline))
	}
	if !a.User.IsZero() {
		v.With.UserID, v.With.Fingerprint = &a.User, keys.Fingerprint(a.User)
		if name := n.nameOf(a.User); name != v.With.Fingerprint {
			v.With.Name = name
		}
	}
	if a.NextTry > 0 && !a.State.Terminal() {
		v.NextTryAt = new(unix(a.NextTry))
	}
	if last := len(a.Steps) - 1; a.Reason != invite.OK {
		v.Reason = a.Reason.String()
	} else if last >= 0 && !a.Steps[last].OK && !a.State.Terminal() {
		v.Reason = a.Steps[last].Detail // why it waits
	}
	for _, s := range a.Steps {
		v.Steps = append(v.Steps, StepView{At: unix(s.At), Step: s.Step, OK: s.OK, Detail: s.Detail})
	}
	return v
}

// incoming are the words for the states of a claim.
var incoming = map[invite.ClaimState]string{
	invite.Reserved: "new", invite.Proposed: "new", invite.Approved: "approved", invite.Denied: "rejected",
	invite.TimedOut: "expired", invite.Cancelled: "withdrawn",
}

func (n *Node) claimView(r invite.Record, c invite.Claim) RequestView {
	v := RequestView{
		ID: c.ID, Kind: linkKind(r.Kind), Direction: "in", State: incoming[c.State], Code: c.Code, Note: c.Note,
		Since: unix(c.Reserved), ExpiresAt: unix(c.Deadline), Invite: r.ID, Extra: c.Extra,
		With: WithView{Name: c.Name},
	}
	if r.Kind == entity.Me {
		v.Code = "" // it is typed here, and shown only by the device that asks
	} else {
		v.With.UserID, v.With.Fingerprint = &c.User, keys.Fingerprint(c.User)
	}
	if h, ok := n.entities[r.EID]; ok && r.Kind == entity.Board {
		v.Board = new(n.boardName(h))
	}
	if c.Reason != invite.OK {
		v.Reason = c.Reason.String()
	}
	v.Steps = []StepView{{At: unix(c.Reserved), Step: "check", OK: true, Detail: "identity and link checked"}}
	if c.Decided > 0 {
		v.Steps = append(v.Steps, StepView{At: unix(c.Decided), Step: "decide", OK: c.State == invite.Approved, Detail: c.Reason.String()})
	}
	return v
}

func unix(s int64) time.Time { return time.Unix(s, 0).UTC() }
