package node

import (
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/entity/me"
	"pttnode/invite"
	"pttnode/keys"
)

// A request waits at the device that made its link. The user's other devices show
// it from the me-oplog and can decide it there; the device that has it carries the
// decision out (docs/PROTOCOL.md §7.1).

// tellRequests tells our other devices how the requests at this one stand: those
// that wait for a person, and what became of them.
func (tx *tx) tellRequests() {
	n := tx.n
	if len(n.me.State().Devices) < 2 {
		return
	}
	for _, id := range slices.SortedFunc(mapKeys(n.invites), compareShort) {
		r := n.invites[id]
		for _, c := range r.Claims {
			told, ok := n.meLog.Requests[me.AskedAt{JoinID: c.JoinID, By: n.device.ID()}]
			switch {
			case ok && told.State == uint8(c.State) && told.Reason == uint16(c.Reason):
				continue
			case !ok && (!c.State.Waiting() || r.Auto):
				continue // over before anybody could be asked, or nobody is
			}
			if err := tx.me(me.TypeRequest, new(asking(r, *c))); err != nil {
				n.log.Warn("tell request", "request", c.ID, "err", err)
				return
			}
		}
	}
}

func asking(r invite.Record, c invite.Claim) me.Asking {
	a := me.Asking{
		Ref: r.Ref, JoinID: c.JoinID, Kind: r.Kind, Entity: r.EID, Device: c.Device, Name: c.Name, Note: c.Note,
		Since: uint64(max(0, c.Reserved)), Deadline: uint64(max(0, c.Deadline)), State: uint8(c.State), Reason: uint16(c.Reason), Extra: c.Extra,
	}
	if r.Kind != entity.Me {
		a.User, a.Code = &c.User, c.Code
	}
	return a
}

// followRequest notices a request at another device of ours: a new one, or that it
// has ended.
func (tx *tx) followRequest(at me.AskedAt, r me.Asked, before me.State) {
	n := tx.n
	if r.By == n.device.ID() {
		return
	}
	id, known := n.asked[at]
	if !known {
		id = tx.shortID("r")
		n.asked[at] = id
		tx.put("/q/"+at.JoinID.String()+"/"+at.By.String(), []byte(id))
		tx.event("request.in", map[string]any{
			"id": id, "kind": linkKind(r.Kind), "name": r.Name, "extra": r.Extra, "device": n.deviceName(r.By),
		})
	}
	was := before.Requests[at]
	if state := stateOf(r); !state.Waiting() && (!known || was.State != r.State || was.Reason != r.Reason) {
		tx.event("request.decided", map[string]any{"id": id, "state": state.String(), "reason": invite.ParseCode(r.Reason).String()})
	}
}

// carryOut carries out what was decided elsewhere about requests that wait here. A
// device is let in only where its code was typed.
func (tx *tx) carryOut() {
	n := tx.n
	for _, id := range slices.SortedFunc(mapKeys(n.invites), compareShort) {
		for _, c := range n.invites[id].Claims {
			d, ok := n.meLog.Decisions[c.JoinID]
			r := n.invites[id]
			if !ok || !c.State.Waiting() || d.Ref != r.Ref || r.Kind == entity.Me && d.Choice != me.Reject {
				continue
			}
			if _, why := tx.decide(r, c.JoinID, d.Choice == me.Approve); why != invite.OK {
				n.log.Info("decision of another device", "request", c.ID, "refused", why.String())
			}
		}
	}
}

// askedElsewhere finds a request at another device of ours by its short id. The
// caller holds the lock.
func (n *Node) askedElsewhere(id string) (me.Asked, bool) {
	for at, short := range n.asked {
		if short == id {
			r, ok := n.meLog.Requests[at]
			return r, ok
		}
	}
	return me.Asked{}, false
}

// decideElsewhere writes what our person decided here about a request at another
// device of ours. The first decision counts.
func (tx *tx) decideElsewhere(r me.Asked, approve bool) error {
	n := tx.n
	state := invite.ClaimState(r.State)
	choice := me.Reject
	if approve {
		choice = me.Approve
	}
	d, decided := n.meLog.Decisions[r.JoinID]
	switch {
	case !state.Waiting() && (state == invite.Approved) == approve:
		return nil
	case state == invite.Approved:
		return refuse("already_approved", "name", r.Name)
	case !state.Waiting():
		return refuse(invite.ParseCode(r.Reason).String(), "name", r.Name)
	case r.Kind == entity.Me && approve:
		return refuse("code_elsewhere", "device", n.deviceName(r.By))
	case decided && d.Choice != choice:
		return refuse("decided_elsewhere", "device", n.deviceName(d.By))
	case decided:
		return nil
	}
	return writeCode(tx.me(me.TypeDecision, &me.Decision{Ref: r.Ref, JoinID: r.JoinID, Choice: choice}))
}

// stateOf returns how a request at another device of ours stands, as that one said.
func stateOf(r me.Asked) invite.ClaimState {
	if state := invite.ClaimState(r.State); !invite.Withdrew(state, invite.ParseCode(r.Reason)) {
		return state
	}
	return invite.Cancelled
}

// askedState returns how a request at another device of ours stands. One that still
// waits, as far as is known, but is past its deadline, has timed out: that device
// will say so for good when it comes back.
func (n *Node) askedState(r me.Asked) invite.ClaimState {
	state := stateOf(r)
	if state.Waiting() && !n.now().Before(time.Unix(int64(r.Deadline), 0).Add(invite.ClockSkew)) {
		return invite.TimedOut
	}
	return state
}

// askedView shows a request at another device of ours.
func (n *Node) askedView(r me.Asked) RequestView {
	state := n.askedState(r)
	v := RequestView{
		ID: n.asked[me.AskedAt{JoinID: r.JoinID, By: r.By}], Kind: linkKind(r.Kind), Direction: "in", State: incoming[state], Code: r.Code, Note: r.Note,
		Since: unix(int64(r.Since)), ExpiresAt: unix(int64(r.Deadline)), Extra: r.Extra, At: n.deviceName(r.By),
		With: WithView{Name: r.Name, UserID: r.User},
	}
	if r.User != nil {
		v.With.Fingerprint = keys.Fingerprint(*r.User)
	}
	if h, ok := n.entities[r.Entity]; ok && r.Kind == entity.Board {
		v.Board = new(n.boardName(h))
	}
	if why := invite.ParseCode(r.Reason); why != invite.OK {
		v.Reason = why.String()
	}
	v.Steps = []StepView{{At: unix(int64(r.Since)), Step: "check", OK: true, Detail: "identity and link checked by " + v.At}}
	if d, ok := n.meLog.Decisions[r.JoinID]; ok && state.Waiting() {
		word := "approve"
		if d.Choice == me.Reject {
			word = "reject"
		}
		v.Reason = invite.RefusedDevicesOffline.String() // until the device that has it carries it out
		v.Steps = append(v.Steps, StepView{At: v.Since, Step: "decide", OK: true, Detail: word + " on " + n.deviceName(d.By) + "; waits for " + v.At})
	}
	return v
}
