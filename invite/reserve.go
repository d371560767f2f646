package invite

import (
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/keys"
)

// Reserve decides, inside one transaction, on a verified JOIN-ENTITY: who proved
// that he knows the secret takes a use. c says who; its ID is used when the claim
// is new, its JoinID, state and times are set here. policyOK says that the
// requester saw the current policy.
//
// The same device gets the claim it has, with its outcome, even when the link has
// ended since; while it waits, the claim follows what the device shows of itself
// now. Everybody else needs a link that is open now, a matching user, a
// free use and the current policy, in this order. Who comes to a full link is
// kept as an Extra claim, denied: a second claimant says that the link leaked,
// and the answer to that is a new link, so freeing the use does not admit him.
//
// The record is to be stored also when the answer is a refusal: it may have
// expired, locked, or gained an Extra.
func (r Record) Reserve(c Claim, now time.Time, policyOK bool) (Record, Claim, Code) {
	r, _ = r.Sweep(now)
	c.JoinID = JoinID(r.Ref, c.User, c.Device)
	if i := r.index(c.JoinID); i >= 0 {
		old := *r.Claims[i]
		if old.State.Waiting() {
			old = old.refresh(c)
			r = r.with(i, old)
		}
		return r, old, old.Outcome()
	}
	r, _ = r.Expire(now)
	if r.State != Open && r.State != UsedUp {
		return r, Claim{}, r.State.refusal()
	}
	if r.Bound != nil && *r.Bound != [16]byte(c.User[:16]) {
		return r, Claim{}, RefusedBound
	}
	c.Name, c.Note = clip(c.Name, MaxName), clip(c.Note, MaxNote)
	c.Devices, c.Addrs = slices.Clone(c.Devices), slices.Clone(c.Addrs)
	c.State, c.Reserved, c.Deadline = Reserved, now.Unix(), now.Add(ClaimLife(r.Kind)).Unix()
	c.Decided, c.Reason, c.Admit, c.Extra = 0, OK, keys.Digest{}, false
	if r.State == UsedUp || r.UsedCount() >= int(r.Uses) {
		return r.extra(c.end(Denied, RefusedUsedUp, now))
	}
	if !policyOK {
		return r, Claim{}, RefusedPolicyChanged
	}
	if len(r.Claims) >= maxClaims(r.Kind) {
		r.State = Locked // uses that are taken and given back without end
		return r, Claim{}, RefusedLocked
	}
	r.Claims = append(slices.Clip(r.Claims), &c)
	return r, c, OK
}

// extra keeps c beside the claims that hold the uses, at most MaxExtra of them.
func (r Record) extra(c Claim) (Record, Claim, Code) {
	n := 0
	for _, o := range r.Claims {
		if o.Extra {
			n++
		}
	}
	if n >= MaxExtra || len(r.Claims) >= maxClaims(r.Kind) {
		return r, Claim{}, RefusedUsedUp
	}
	c.Extra = true
	r.Claims = append(slices.Clip(r.Claims), &c)
	return r, c, RefusedUsedUp
}

// Propose marks a device's claim as proposed to the user's devices, after its
// code was typed. It is refused when the claim is unknown, ended or late, and
// repeats without effect.
func (r Record) Propose(joinID keys.Digest, now time.Time) (Record, Claim, Code) {
	r, i, refused := r.waiting(joinID, now)
	switch {
	case i < 0:
		return r, Claim{}, refused
	case refused != OK || r.Claims[i].State != Reserved:
		return r, *r.Claims[i], refused
	}
	c := *r.Claims[i]
	c.State = Proposed
	return r.with(i, c), c, OK
}

// Decide carries out a decision, inside the transaction that appends the admit.
// Deciding again as before changes nothing and is not refused: the claim that
// comes back says what it is. Refused is what comes too late: approving a claim
// that was rejected, withdrawn, revoked or timed out, rejecting one that was
// approved.
func (r Record) Decide(joinID keys.Digest, approve bool, now time.Time) (Record, Claim, Code) {
	r, i, refused := r.waiting(joinID, now)
	if i < 0 {
		return r, Claim{}, refused
	}
	c := *r.Claims[i]
	switch {
	case c.State == Approved && !approve:
		return r, c, RefusedAlreadyApproved
	case c.State == Denied && !approve && !c.Extra:
		return r, c, OK
	case refused != OK || c.State == Approved:
		return r, c, refused
	case !approve:
		c = c.end(Denied, RefusedRejected, now)
		return r.with(i, c), c, OK
	case r.State == Revoked: // a revoked link has no waiting claim; never trust that alone
		return r, c, RefusedRevoked
	}
	c.State, c.Decided = Approved, now.Unix()
	r = r.with(i, c)
	if r.State == Open && r.count(Approved) >= int(r.Uses) {
		r.State = UsedUp
	}
	return r, c, OK
}

// Refuse ends a waiting claim for a reason that the record does not know: what it
// asks for came by another way, or cannot be given any more. It reports false for a
// claim that does not wait.
func (r Record) Refuse(joinID keys.Digest, why Code, now time.Time) (Record, Claim, bool) {
	i := r.index(joinID)
	if i < 0 || !r.Claims[i].State.Waiting() {
		return r, Claim{}, false
	}
	c := r.Claims[i].end(Denied, why, now)
	return r.with(i, c), c, true
}

// Admitted notes the op that let an approved claim's device in. A later one
// replaces it: an admit that became void is appended again. It is refused unless
// the claim is approved.
func (r Record) Admitted(joinID, op keys.Digest) (Record, Claim, Code) {
	i := r.index(joinID)
	if i < 0 {
		return r, Claim{}, RefusedUnknown
	}
	c := *r.Claims[i]
	if c.State != Approved {
		if why := c.Outcome(); why != OK {
			return r, c, why
		}
		return r, c, RefusedInternal // an admit for what nobody approved is a fault of ours
	}
	c.Admit = op
	return r.with(i, c), c, OK
}

// Cancel withdraws a claim for its requester; it beats a later approval. A claim
// that is approved is refused with RefusedAlreadyApproved, one that ended
// otherwise with its reason. A device cannot enter and leave as a user can: its
// approved claim notes that it withdrew, and is refused with RefusedCancelled.
func (r Record) Cancel(joinID keys.Digest, now time.Time) (Record, Claim, Code) {
	r, i, refused := r.waiting(joinID, now)
	if i < 0 {
		return r, Claim{}, refused
	}
	c := *r.Claims[i]
	switch {
	case c.State == Approved && r.Kind == entity.Me:
		c.Reason = RefusedCancelled
		return r.with(i, c), c, RefusedCancelled
	case c.State == Approved:
		return r, c, RefusedAlreadyApproved
	case c.State == Cancelled && c.Reason == RefusedCancelled:
		return r, c, OK
	case refused != OK:
		return r, c, refused
	}
	c = c.end(Cancelled, RefusedCancelled, now)
	return r.with(i, c), c, OK
}

// waiting returns the index of a claim, after ending it if it is late, and its
// outcome; -1 and RefusedUnknown when there is none.
func (r Record) waiting(joinID keys.Digest, now time.Time) (Record, int, Code) {
	i := r.index(joinID)
	if i < 0 {
		return r, -1, RefusedUnknown
	}
	if c := r.Claims[i]; c.State.Waiting() && c.late(now) {
		r = r.with(i, c.end(TimedOut, RefusedTimedOut, now))
	}
	return r, i, r.Claims[i].Outcome()
}
