package node

import (
	"context"
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
			out = append(out, n.claimView(r, *c))
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
	if a.NextTry > 0 && n.unfinished(a) {
		v.NextTryAt = new(unix(a.NextTry))
	}
	if last := len(a.Steps) - 1; a.Reason != invite.OK {
		v.Reason = a.Reason.String()
	} else if last >= 0 && !a.Steps[last].OK && !a.State.Terminal() {
		v.Reason = a.Steps[last].Detail // why it waits
	}
	if p := a.Fetch; p != nil {
		v.Progress = &ProgressView{Have: p.Have, Total: p.Ops, Bytes: p.HaveBytes, TotalBytes: p.Bytes}
	}
	v.Stays = a.Stays
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
	if c.Withdrew() {
		v.State = incoming[invite.Cancelled]
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

// Cancel withdraws a request of ours.
func (n *Node) Cancel(_ context.Context, id string) (RequestView, error) {
	return n.change(id, func(a invite.Attempt, now time.Time) (invite.Attempt, error) {
		if a.State == invite.AttemptDone || a.State == invite.AttemptSyncing {
			return a, refuse("already_approved")
		}
		return a.Cancel(now), nil
	})
}

// Retry tries a waiting request now, and begins a failed one again.
func (n *Node) Retry(_ context.Context, id string) (RequestView, error) {
	return n.change(id, func(a invite.Attempt, now time.Time) (invite.Attempt, error) {
		r := a.Retry(now)
		if r.State.Terminal() {
			return a, refuse(a.Reason.String(), "name", a.Name)
		}
		return r, nil
	})
}

func (n *Node) change(id string, f func(invite.Attempt, time.Time) (invite.Attempt, error)) (RequestView, error) {
	var view RequestView
	err := n.transact(func(tx *tx) error {
		a, ok := n.attempts[id]
		if !ok {
			return refuse("not_found", "what", "request", "name", id)
		}
		a, err := f(a, tx.now)
		if err != nil {
			return err
		}
		tx.attempt(a)
		view = n.attemptView(a)
		return nil
	})
	if err != nil {
		return view, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.pursuits[id]; p != nil {
		if p.stop != nil && n.attempts[id].State.Terminal() {
			p.stop() // the present try is for what is no longer wanted
		}
		n.pokeLocked(id)
	}
	n.pursueLocked(id)
	return view, nil
}
