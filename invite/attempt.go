package invite

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/keys"
)

// What a requester refuses of what the other side says.
var (
	// ErrForeignRun says that PENDING names a safety code of no run of this
	// attempt: somebody else's request stands in its place.
	ErrForeignRun = errors.New("invite: the request that waits is not one of ours")
	// ErrPinned says that the other side shows another entity or user than the
	// link names, or than it showed before.
	ErrPinned = errors.New("invite: another entity or user than before")
)

// AttemptState says how far a request got, as its requester sees it. Stored
// values; do not reorder.
type AttemptState uint8

// The states of an outgoing request. The last five are terminal.
const (
	AttemptWaitingPeer     AttemptState = 1 // until the next try
	AttemptConnecting      AttemptState = 2
	AttemptChecking        AttemptState = 3 // the issuer proved itself; the request goes out
	AttemptWaitingApproval AttemptState = 4 // the issuer holds the claim
	AttemptApproved        AttemptState = 5 // about to be stored; until then a crash repeats the run. With Fetch: the control strand is being fetched
	AttemptSyncing         AttemptState = 6 // a member; the logs are not complete
	AttemptDone            AttemptState = 7
	AttemptRejected        AttemptState = 8
	AttemptExpired         AttemptState = 9
	AttemptCancelled       AttemptState = 10
	AttemptFailed          AttemptState = 11 // the only one with a way back: Retry
)

var attemptNames = [...]string{
	AttemptWaitingPeer:     "waiting_peer",
	AttemptConnecting:      "connecting",
	AttemptChecking:        "checking",
	AttemptWaitingApproval: "waiting_approval",
	AttemptApproved:        "approved",
	AttemptSyncing:         "syncing",
	AttemptDone:            "done",
	AttemptRejected:        "rejected",
	AttemptExpired:         "expired",
	AttemptCancelled:       "cancelled",
	AttemptFailed:          "failed",
}

// String returns the state's word in the interface, as "waiting_peer".
func (s AttemptState) String() string {
	if s >= 1 && int(s) < len(attemptNames) {
		return attemptNames[s]
	}
	return fmt.Sprintf("attempt(%d)", uint8(s))
}

// Terminal reports whether nothing more happens by itself.
func (s AttemptState) Terminal() bool { return s >= AttemptDone }

// Attempt is what a requester stores of one use of a link, sealed. Its methods
// return a new Attempt and leave the old one as it was; on an attempt that has
// ended they change nothing. Times are unix seconds.
type Attempt struct {
	ID         string       `cbor:"1,keyasint"`            // the short id, r-xxx
	Body       Secret       `cbor:"2,keyasint,omitempty"`  // the link's body; wiped when it is of no more use
	Kind       entity.Kind  `cbor:"3,keyasint"`            //
	Issuer     keys.ID      `cbor:"4,keyasint"`            // the device to dial
	EID16      [16]byte     `cbor:"5,keyasint"`            // what the link says of EID
	EID        keys.Digest  `cbor:"6,keyasint"`            // pinned by the first ACK
	Ref        [16]byte     `cbor:"7,keyasint"`            // names the invite in logs
	Note       string       `cbor:"8,keyasint,omitempty"`  // for who decides
	Name       string       `cbor:"9,keyasint,omitempty"`  // claimed by the link while User is zero, then checked
	User       keys.Digest  `cbor:"10,keyasint"`           // the issuer's, pinned by the first ACK
	Since      int64        `cbor:"11,keyasint"`           //
	Expires    int64        `cbor:"12,keyasint"`           // the link's
	Deadline   int64        `cbor:"13,keyasint,omitempty"` // the claim's, by this side's clock
	NextTry    int64        `cbor:"14,keyasint,omitempty"` //
	Tries      uint32       `cbor:"15,keyasint,omitempty"` // since the last one that was held; the argument of Backoff
	State      AttemptState `cbor:"16,keyasint"`           //
	Reason     Code         `cbor:"17,keyasint,omitempty"` // why it ended, or why it waits
	Codes      []RunCode    `cbor:"18,keyasint,omitempty"` // of the runs whose JOIN-ENTITY may have arrived, oldest first
	Code       string       `cbor:"19,keyasint,omitempty"` // the one that PENDING named
	Unfinished uint8        `cbor:"20,keyasint,omitempty"` // device runs with an ACK and no JOIN-ENTITY
	Steps      []Step       `cbor:"21,keyasint,omitempty"` // what happened, oldest first
	Asked      int64        `cbor:"22,keyasint,omitempty"` // when JOIN-ENTITY went out last
	Fetch      *Progress    `cbor:"23,keyasint,omitempty"` // approved; the control strand is on its way
	Stays      bool         `cbor:"24,keyasint,omitempty"` // ended after an approval: the other side may list the requester as a member
}

// Progress is how much of a control strand is here.
type Progress struct {
	Have      uint64 `cbor:"1,keyasint"` // operations
	Ops       uint64 `cbor:"2,keyasint"` // of so many, as the issuer said
	HaveBytes uint64 `cbor:"3,keyasint"`
	Bytes     uint64 `cbor:"4,keyasint"`
}

// RunCode is the safety code of one run, by the id under which PENDING names it.
type RunCode struct {
	CodeID keys.Digest `cbor:"1,keyasint"`
	Code   string      `cbor:"2,keyasint"`
}

// Step is something that happened to an attempt, for people.
type Step struct {
	At     int64  `cbor:"1,keyasint"`
	Step   string `cbor:"2,keyasint"` // connect, check, send, wait, approve, fetch, sync, done, cancel, retry, expire, stay
	OK     bool   `cbor:"3,keyasint,omitempty"`
	Detail string `cbor:"4,keyasint,omitempty"` // a Code's word, or a name
}

// NewAttempt returns the attempt to use l, to be tried at once.
func NewAttempt(id string, l Link, note string, now time.Time) Attempt {
	return Attempt{
		ID: id, Body: l.Body(), Kind: l.Kind, Issuer: l.Issuer, EID16: l.EID16, Ref: l.Keys().Ref,
		Note: clip(note, MaxNote), Name: l.Name,
		Since: now.Unix(), Expires: l.Expires.Unix(), NextTry: now.Unix(), State: AttemptWaitingPeer,
	}
}

// Link returns the link, while the attempt still has it; else ErrIncomplete.
func (a Attempt) Link() (Link, error) { return ParseBody(a.Body) }

// claimed reports whether the issuer may have a claim of the attempt, and so may
// have approved it. Then it alone knows how the attempt ends.
func (a Attempt) claimed() bool { return len(a.Codes) > 0 }

// running reports whether runs of the join change a. After Syncing the join is
// behind it.
func (a Attempt) running() bool { return a.State < AttemptSyncing }

// reach moves a to s. From waiting_approval on, a further run does not show as a
// step back: what the person waits for is still the approval.
func (a Attempt) reach(s AttemptState) Attempt {
	if s > a.State || a.State < AttemptWaitingApproval {
		a.State = s
	}
	return a
}

// end moves a to a terminal state. Only a failed attempt keeps the secret, since
// Retry needs it.
func (a Attempt) end(s AttemptState, why Code) Attempt {
	a.State, a.Reason, a.NextTry, a.Fetch = s, why, 0, nil
	if s != AttemptFailed {
		a.Body = nil
	}
	return a
}

// step adds what happened. What says the same as the last step only renews its
// time, so that a week of failed calls is one line.
func (a Attempt) step(now time.Time, name string, ok bool, detail string) Attempt {
	s := Step{At: now.Unix(), Step: name, OK: ok, Detail: detail}
	steps := slices.Clone(a.Steps)
	if n := len(steps); n > 0 && steps[n-1].same(s) {
		steps[n-1].At = s.At
	} else {
		steps = append(steps, s)
	}
	a.Steps = steps[max(0, len(steps)-MaxSteps):]
	return a
}

func (s Step) same(t Step) bool {
	t.At = s.At
	return s == t
}

// Fetches reports whether the attempt was approved and its control strand is fetched.
func (a Attempt) Fetches() bool { return a.Fetch != nil && (a.running() || a.Withdrawing()) }

// GiveUp returns when the claim is over as far as this side's clock goes: ClockSkew
// after its deadline, or, while no claim is known, when the last claim that could
// have been made would end. A clock that is hours ahead of the issuer's, which
// decides, makes it no earlier than a claim of the last JOIN-ENTITY could end, and
// leaves MinTries for the first one. What then becomes of the attempt Expire says.
func (a Attempt) GiveUp() time.Time {
	if a.Deadline != 0 {
		return time.Unix(a.Deadline, 0).Add(ClockSkew)
	}
	end := time.Unix(max(a.Expires, a.Asked), 0).Add(ClaimLife(a.Kind) + ClockSkew)
	if first := time.Unix(a.Since, 0).Add(MinTries); end.Before(first) {
		return first
	}
	return end
}
