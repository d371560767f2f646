package invite

import (
	"fmt"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/keys"
)

// Held notes that a run was kept waiting by the issuer for as long as a try is
// worth: the pauses begin anew. A shorter one counts as failed, or an issuer that
// answers and hangs up would be asked without a pause.
func (a Attempt) Held(lasted time.Duration) Attempt {
	if a.running() && lasted >= backoffNear {
		a.Tries = 0
	}
	return a
}

// Connecting notes that a try begins. One to withdraw only counts: its attempt has
// ended.
func (a Attempt) Connecting(now time.Time) Attempt {
	if !a.running() && !a.Withdrawing() {
		return a
	}
	if a.Tries < 1<<31 {
		a.Tries++
	}
	if a.Withdrawing() {
		return a
	}
	a.NextTry = 0
	return a.reach(AttemptConnecting)
}

// Unreachable notes that the try did not reach the issuer, or that the connection
// broke, and when the next one is due. After GiveUp the step says that only the
// issuer still knows how the attempt ends.
func (a Attempt) Unreachable(now, next time.Time) Attempt {
	switch {
	case a.Withdrawing():
		a.NextTry = next.Unix()
		return a
	case !a.running():
		return a
	}
	why := "network"
	if !now.Before(a.GiveUp()) {
		why = "issuer_away"
	}
	a.NextTry = next.Unix()
	return a.reach(AttemptWaitingPeer).step(now, "connect", false, why)
}

// Checked notes that the issuer proved itself in ACK-CHALLENGE: the entity, its
// user, and the name that takes the place of the claimed one. The first one pins
// entity and user; another is ErrPinned and leaves the attempt as it was.
//
// A device run counts as unfinished from here until Sent, so that a process that
// dies in between counts too; after MaxUnfinished of them, or MaxCodes runs in all, the attempt
// fails for good with RefusedLocked.
func (a Attempt) Checked(now time.Time, eid, user keys.Digest, name string) (Attempt, error) {
	if !a.running() {
		return a, nil
	}
	if [16]byte(eid[:16]) != a.EID16 || !a.EID.IsZero() && a.EID != eid || !a.User.IsZero() && a.User != user {
		return a, fmt.Errorf("check attempt %s: %w", a.ID, ErrPinned)
	}
	if a.ground() {
		return a.lock(now), nil
	}
	a.EID, a.User, a.Name, a.Reason = eid, user, clip(name, MaxName), OK
	if a.Kind == entity.Me {
		a.Unfinished++
	}
	return a.reach(AttemptChecking).step(now, "check", true, a.Name), nil
}

// Sent notes the safety code of a run, before its JOIN-ENTITY goes out. The
// newest MaxCodes are remembered, and the one that PENDING named.
func (a Attempt) Sent(now time.Time, codeID keys.Digest, code string) Attempt {
	if !a.running() {
		return a
	}
	if a.Unfinished > 0 {
		a.Unfinished--
	}
	codes := slices.DeleteFunc(slices.Clone(a.Codes), func(c RunCode) bool { return c.CodeID == codeID })
	codes = append(codes, RunCode{CodeID: codeID, Code: code})
	if len(codes) > MaxCodes {
		// The code that PENDING named stays: the issuer goes on naming it.
		i := slices.IndexFunc(codes, func(c RunCode) bool { return c.Code != a.Code })
		codes = slices.Delete(codes, max(i, 0), max(i, 0)+1)
	}
	a.Codes, a.Asked = codes, now.Unix()
	return a.step(now, "send", true, "")
}

// Pending notes that the issuer holds the claim under the code of the run codeID;
// reason is OK or why not even a person can decide yet. Until when it is held is
// measured by this side's clock, from the first time that it is heard of: the two
// clocks may be hours apart. A codeID of no run of ours is ErrForeignRun and leaves
// the attempt as it was.
func (a Attempt) Pending(now time.Time, codeID keys.Digest, reason Code) (Attempt, error) {
	if !a.running() {
		return a, nil
	}
	i := slices.IndexFunc(a.Codes, func(c RunCode) bool { return c.CodeID == codeID })
	if i < 0 {
		return a, fmt.Errorf("attempt %s: %w", a.ID, ErrForeignRun)
	}
	a.Code, a.Reason, a.NextTry = a.Codes[i].Code, reason, 0
	if a.Deadline == 0 {
		a.Deadline = now.Add(ClaimLife(a.Kind)).Unix()
	}
	detail := ""
	if reason != OK {
		detail = reason.String()
	}
	return a.reach(AttemptWaitingApproval).step(now, "wait", true, detail), nil
}

// Approved notes that a checked approval arrived. The link is kept: until the
// commit a crash means another run.
func (a Attempt) Approved(now time.Time) Attempt {
	if !a.running() {
		return a
	}
	a.Reason, a.NextTry = OK, 0
	return a.reach(AttemptApproved).step(now, "approve", true, "")
}

// Fetching notes that an approval arrived of whose control strand more has to be fetched:
// ops operations of so many bytes in all. A further approval of the same attempt says anew
// how much there is. Of a cancelled one the request goes on being withdrawn.
func (a Attempt) Fetching(now time.Time, ops, bytes uint64) Attempt {
	if !a.running() && !a.Withdrawing() {
		return a
	}
	p := Progress{Ops: ops, Bytes: bytes}
	if a.Fetch != nil {
		p.Have, p.HaveBytes = a.Fetch.Have, a.Fetch.HaveBytes
	}
	a.Fetch, a.NextTry = &p, 0
	if a.Withdrawing() {
		return a
	}
	a.Reason = OK
	return a.reach(AttemptApproved).step(now, "approve", true, "")
}

// Fetched notes how much of the control strand is here.
func (a Attempt) Fetched(now time.Time, have, bytes uint64) Attempt {
	if !a.Fetches() {
		return a
	}
	if have > a.Fetch.Have {
		a.Tries = 0 // the pauses begin anew
	}
	a.Fetch = &Progress{Have: have, Ops: a.Fetch.Ops, HaveBytes: bytes, Bytes: a.Fetch.Bytes}
	if a.running() {
		a = a.step(now, "fetch", true, "")
	}
	return a
}

// Unfetched notes that nobody could be asked for the rest, and when it is tried again.
func (a Attempt) Unfetched(now, next time.Time) Attempt {
	if !a.Fetches() {
		return a
	}
	a.NextTry = next.Unix()
	if a.running() {
		a = a.step(now, "fetch", false, "network")
	}
	return a
}

// Staying notes, of an attempt that ended after its approval, that the other side may list
// the requester as a member all the same, though nothing of it is kept here.
func (a Attempt) Staying(now time.Time) Attempt {
	if !a.State.Terminal() {
		return a
	}
	a.Stays = true
	return a.step(now, "stay", false, "")
}

// Syncing notes, in the transaction that stores logs and keys, that the requester
// is in and that logs are missing yet. The link is of no more use and is wiped.
func (a Attempt) Syncing(now time.Time) Attempt {
	if !a.running() {
		return a
	}
	a.State, a.Reason, a.NextTry, a.Body, a.Fetch = AttemptSyncing, OK, 0, nil, nil
	return a.step(now, "sync", true, "")
}

// Joined notes that all is there, and wipes the link.
func (a Attempt) Joined(now time.Time) Attempt {
	if a.State.Terminal() {
		return a
	}
	return a.end(AttemptDone, OK).step(now, "done", true, "")
}

// Denied notes that the issuer refused, or that this side did after a check. A
// temporary code ends nothing: the attempt waits and is tried again, after a
// minute unless Unreachable says otherwise. Faults end in failed, from which
// Retry leads back; a decision ends in rejected, expired or cancelled.
func (a Attempt) Denied(now time.Time, why Code) Attempt {
	if !a.running() {
		return a
	}
	if why.Temporary() {
		a.Reason, a.NextTry = why, now.Add(backoffNear).Unix()
		return a.reach(AttemptWaitingPeer).step(now, "wait", false, why.String())
	}
	return a.end(deniedState(why), why).step(now, "approve", false, why.String())
}

// deniedState sorts refusals: those after which the same link may work, once a
// person looked, end in failed.
func deniedState(why Code) AttemptState {
	switch why {
	case RefusedExpired, RefusedTimedOut:
		return AttemptExpired
	case RefusedCancelled:
		return AttemptCancelled
	case RefusedUnknown, RefusedPolicyChanged, RefusedProofTooLong, RefusedKind, RefusedIdentity, RefusedTooLarge:
		return AttemptFailed
	}
	if int(why) >= len(codeNames) || why == OK {
		return AttemptFailed // a newer version's word: do not burn the link for it
	}
	return AttemptRejected
}

// Cancel ends the attempt for its requester. When a JOIN-ENTITY may have reached
// the issuer the link is kept, so that the withdrawal can be sent, until
// Withdrawn. A requester who is in already has to leave instead: nothing changes.
func (a Attempt) Cancel(now time.Time) Attempt {
	if !a.running() {
		return a
	}
	body, fetch := a.Body, a.Fetch
	a = a.end(AttemptCancelled, RefusedCancelled).step(now, "cancel", true, "")
	if a.claimed() {
		a.Body, a.NextTry, a.Tries, a.Fetch = body, now.Unix(), 0, fetch // the pauses begin anew
	}
	return a
}

// Withdrawing reports whether the issuer is still to be told of the cancelling.
func (a Attempt) Withdrawing() bool { return a.State == AttemptCancelled && len(a.Body) > 0 }

// Withdrawn notes that the issuer was told, and wipes the link.
func (a Attempt) Withdrawn() Attempt {
	if a.Withdrawing() {
		a.Body, a.NextTry, a.Fetch = nil, 0, nil
	}
	return a
}

// Retry makes a waiting attempt due now, and begins a failed one again. It does
// nothing for an attempt that ended otherwise, or that was ground.
func (a Attempt) Retry(now time.Time) Attempt {
	switch {
	case a.State == AttemptFailed && len(a.Body) > 0 && !a.ground():
		a.State, a.Reason, a.Stays = AttemptWaitingPeer, OK, false
	case a.running():
	default:
		return a
	}
	a.Tries, a.NextTry = 0, now.Unix()
	return a.step(now, "retry", true, "")
}

// Expire ends the attempt after GiveUp, wipes the link of one that failed, and
// reports whether it did either. One that the issuer may have approved goes on
// until the issuer was reached once more and has said how it ended, or a person
// cancels it; and so does a withdrawal until it was heard: no clock of this side's
// can know, and the two sides would end differently.
func (a Attempt) Expire(now time.Time) (Attempt, bool) {
	switch {
	case now.Before(a.GiveUp()), a.running() && a.claimed(), a.Withdrawing():
		return a, false
	case a.running():
		return a.end(AttemptExpired, RefusedTimedOut).step(now, "expire", false, RefusedTimedOut.String()), true
	case a.State.Terminal() && len(a.Body) > 0:
		a.Body, a.NextTry = nil, 0
		return a, true
	}
	return a, false
}

// ground reports whether the link has no run left on this device. A device's runs
// that were finished count too: who answers in the issuer's place sees a code with
// each and can break it off until he likes one.
func (a Attempt) ground() bool {
	return a.Kind == entity.Me && (a.Unfinished >= MaxUnfinished || len(a.Codes) >= MaxCodes)
}

func (a Attempt) lock(now time.Time) Attempt {
	a = a.end(AttemptFailed, RefusedLocked).step(now, "check", false, RefusedLocked.String())
	a.Body = nil
	return a
}
