package invite

import (
	"fmt"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/keys"
)

// State says what a record's link is good for. Stored values; do not reorder.
type State uint8

// The states of docs/PROTOCOL.md §4. All but Open are terminal.
const (
	Open    State = 1
	UsedUp  State = 2 // as many approved as it has uses
	Expired State = 3 // seen past its expiry once, whatever the clock says since
	Revoked State = 4 // taken back by its maker
	Locked  State = 5 // too many failed proofs
)

// String returns "open", "used_up", "expired", "revoked" or "locked".
func (s State) String() string {
	switch s {
	case Open:
		return "open"
	case UsedUp:
		return "used_up"
	case Expired:
		return "expired"
	case Revoked:
		return "revoked"
	case Locked:
		return "locked"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Terminal reports whether s never changes again.
func (s State) Terminal() bool { return s != Open }

// refusal returns why a link in state s takes no new claim.
func (s State) refusal() Code {
	switch s {
	case Open:
		return OK
	case UsedUp:
		return RefusedUsedUp
	case Expired:
		return RefusedExpired
	case Revoked:
		return RefusedRevoked
	case Locked:
		return RefusedLocked
	}
	return RefusedInternal
}

// Record is what the issuer stores of a link: never the secret. Its methods
// return a new Record and leave the old one, and its claims, as they were. Times
// are unix seconds.
type Record struct {
	ID      string         `cbor:"1,keyasint"`            // the short id, i-xxx
	IID     [16]byte       `cbor:"2,keyasint"`            // looks the invite up; never in a log
	Ref     [16]byte       `cbor:"3,keyasint"`            // names the invite in logs
	PK      keys.ID        `cbor:"4,keyasint"`            // pk_inv
	MAC     Secret         `cbor:"5,keyasint"`            // K_v, 32 bytes
	Kind    entity.Kind    `cbor:"6,keyasint"`            //
	EID     keys.Digest    `cbor:"7,keyasint"`            // the board; the user for friend and device
	Role    entity.Role    `cbor:"8,keyasint,omitempty"`  // what who joins a board becomes
	History entity.History `cbor:"9,keyasint"`            // what who joins a board may read of the past
	Uses    uint8          `cbor:"10,keyasint"`           //
	Created int64          `cbor:"11,keyasint"`           //
	Expires int64          `cbor:"12,keyasint"`           //
	Bound   *[16]byte      `cbor:"13,keyasint,omitempty"` // first 16 bytes of the only user
	Auto    bool           `cbor:"14,keyasint,omitempty"` // approve without asking
	Note    string         `cbor:"15,keyasint,omitempty"` // the maker's, for himself
	State   State          `cbor:"16,keyasint"`           //
	Failed  uint8          `cbor:"17,keyasint,omitempty"` // failed proofs
	Wrong   uint8          `cbor:"18,keyasint,omitempty"` // wrong typed codes
	Claims  []*Claim       `cbor:"19,keyasint,omitempty"` // in the order they came; none is ever taken away, or changed in place
	Seen    []keys.Digest  `cbor:"20,keyasint,omitempty"` // control heads of the board when the link was made
}

// Terms is what the issuer keeps beside what the link says.
type Terms struct {
	Created time.Time
	Role    entity.Role
	History entity.History // zero: as the board has it when somebody is let in
	Note    string
	Seen    []keys.Digest
}

// NewRecord returns the record of a link just made. It panics when eid is not
// the entity that the link names.
func NewRecord(id string, l Link, eid keys.Digest, t Terms) Record {
	if [16]byte(eid[:16]) != l.EID16 {
		panic("invite: NewRecord for another entity than the link's")
	}
	k := l.Keys()
	mac := k.MAC.Secret()
	r := Record{
		ID: id, IID: k.IID, Ref: k.Ref, PK: k.Sign.ID(), MAC: mac[:],
		Kind: l.Kind, EID: eid, Role: t.Role, History: t.History,
		Uses: l.Uses, Created: t.Created.Unix(), Expires: l.Expires.Unix(),
		Auto: l.Auto(), Note: clip(t.Note, MaxNote), State: Open, Seen: t.Seen,
	}
	if l.Bound != nil {
		r.Bound = new(*l.Bound)
	}
	return r
}

// Key returns the verifier K_v, which proves that the issuer holds this record.
func (r Record) Key() keys.MACKey { return keys.MACKeyFromSecret([32]byte(r.MAC)) }

// UsedCount returns how many uses are held: by claims that wait and by approved
// ones. Denial, timeout and withdrawal return a use.
func (r Record) UsedCount() int { return r.count(Reserved, Proposed, Approved) }

// StateText returns the state as people read it: "open", "used 1/5", "used_up",
// "expired", "revoked" or "locked".
func (r Record) StateText() string {
	if n := r.UsedCount(); r.State == Open && n > 0 {
		return fmt.Sprintf("used %d/%d", n, r.Uses)
	}
	return r.State.String()
}

// Claim returns the claim called joinID.
func (r Record) Claim(joinID keys.Digest) (Claim, bool) {
	if i := r.index(joinID); i >= 0 {
		return *r.Claims[i], true
	}
	return Claim{}, false
}

// Changed returns, ascending, which claims are new since an earlier version of the
// record, or were replaced: what is to be stored of a link with many.
func (r Record) Changed(before Record) (at []int) {
	for i, c := range r.Claims {
		if i >= len(before.Claims) || c != before.Claims[i] {
			at = append(at, i)
		}
	}
	return at
}

// Expire marks the link expired for good when it is past its expiry, and reports
// whether it did. A clock that is set back opens nothing again. Claims that wait
// go on waiting until their own deadline.
func (r Record) Expire(now time.Time) (Record, bool) {
	if r.State != Open || now.Unix() < r.Expires {
		return r, false
	}
	r.State = Expired
	return r, true
}

// Revoke takes the link back: every waiting claim is cancelled with the reason
// RefusedRevoked, and these claims are returned. A link that ended otherwise
// keeps its state. Who was approved stays in.
func (r Record) Revoke(now time.Time) (Record, []Claim) {
	if r.State == Open {
		r.State = Revoked
	}
	return r.endWaiting(Cancelled, RefusedRevoked, now, func(Claim) bool { return true })
}

// Sweep ends the waiting claims that are past their deadline and returns them;
// their uses are free again.
func (r Record) Sweep(now time.Time) (Record, []Claim) {
	return r.endWaiting(TimedOut, RefusedTimedOut, now, func(c Claim) bool { return c.late(now) })
}

// Fail counts a failed proof of the secret and reports whether this one locked
// the link; the tenth does. The caller also counts, for a device link, a run that
// ended after the ACK without a valid JOIN-ENTITY: it may have been ground.
func (r Record) Fail() (Record, bool) {
	if r.State != Open {
		return r, false
	}
	r.Failed++
	if r.Failed < MaxFailed {
		return r, false
	}
	r.State = Locked
	return r, true
}

// WrongCode counts a wrong code that a person typed for a device. The third one
// revokes the link and returns the claims that this ended.
func (r Record) WrongCode(now time.Time) (Record, []Claim) {
	if r.Wrong < MaxWrongCodes {
		r.Wrong++
	}
	if r.Wrong < MaxWrongCodes {
		return r, nil
	}
	return r.Revoke(now)
}

// endWaiting ends the waiting claims that which selects.
func (r Record) endWaiting(s ClaimState, why Code, now time.Time, which func(Claim) bool) (Record, []Claim) {
	var ended []Claim
	for i, c := range r.Claims {
		if c.State.Waiting() && which(*c) {
			if ended == nil {
				r.Claims = slices.Clone(r.Claims)
			}
			r.Claims[i] = new(c.end(s, why, now))
			ended = append(ended, *r.Claims[i])
		}
	}
	return r, ended
}

func (r Record) count(states ...ClaimState) int {
	n := 0
	for _, c := range r.Claims {
		if slices.Contains(states, c.State) {
			n++
		}
	}
	return n
}

func (r Record) index(joinID keys.Digest) int {
	return slices.IndexFunc(r.Claims, func(c *Claim) bool { return c.JoinID == joinID })
}

// with returns r with claim i replaced, in a slice of its own.
func (r Record) with(i int, c Claim) Record {
	r.Claims = slices.Clone(r.Claims)
	r.Claims[i] = &c
	return r
}
