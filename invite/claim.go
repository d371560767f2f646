package invite

import (
	"fmt"
	"slices"
	"time"

	"pttnode/keys"
)

// ClaimState says how far one use of a link got. Stored values; do not reorder.
type ClaimState uint8

// The states of docs/PROTOCOL.md §5. The last four are terminal.
const (
	Reserved  ClaimState = 1 // holds a use, waits for a decision
	Proposed  ClaimState = 2 // a device whose code matched: waits for the user's devices to agree
	Approved  ClaimState = 3
	Denied    ClaimState = 4
	TimedOut  ClaimState = 5
	Cancelled ClaimState = 6 // by the requester, or with the link
)

// String returns "reserved", "proposed", "approved", "denied", "timed_out" or
// "cancelled".
func (s ClaimState) String() string {
	switch s {
	case Reserved:
		return "reserved"
	case Proposed:
		return "proposed"
	case Approved:
		return "approved"
	case Denied:
		return "denied"
	case TimedOut:
		return "timed_out"
	case Cancelled:
		return "cancelled"
	}
	return fmt.Sprintf("claim(%d)", uint8(s))
}

// Waiting reports whether a claim in state s is still to be decided.
func (s ClaimState) Waiting() bool { return s == Reserved || s == Proposed }

// Claim is one device's use of a link, made when it proved that it knows the
// secret. Times are unix seconds.
type Claim struct {
	ID       string      `cbor:"1,keyasint"`            // the short request id, r-xxx
	JoinID   keys.Digest `cbor:"2,keyasint"`            // set by Reserve
	User     keys.Digest `cbor:"3,keyasint"`            // empty in a device's claim
	Device   keys.ID     `cbor:"4,keyasint"`            //
	Name     string      `cbor:"5,keyasint,omitempty"`  // what the requester calls itself
	Note     string      `cbor:"6,keyasint,omitempty"`  // the requester's, for who decides
	Box      keys.BoxID  `cbor:"7,keyasint"`            // the user's box key; a device's own
	Head     keys.Digest `cbor:"8,keyasint"`            // of the user's device chain
	Devices  []keys.ID   `cbor:"9,keyasint,omitempty"`  // of the user, by that chain
	Addrs    []byte      `cbor:"10,keyasint,omitempty"` // the device's signed addresses, as received
	State    ClaimState  `cbor:"11,keyasint"`           //
	CodeID   keys.Digest `cbor:"12,keyasint"`           // sasid of the run that reserved
	Code     string      `cbor:"13,keyasint,omitempty"` // that run's safety code
	Reserved int64       `cbor:"14,keyasint"`           // when
	Deadline int64       `cbor:"15,keyasint"`           // until when it waits
	Decided  int64       `cbor:"16,keyasint,omitempty"` // when it was approved or ended
	Reason   Code        `cbor:"17,keyasint,omitempty"` // why it ended
	Admit    keys.Digest `cbor:"18,keyasint"`           // the op that let it in
	Extra    bool        `cbor:"19,keyasint,omitempty"` // came when the link was full; shown beside the others

	// A device's consent to be added (docs/PROTOCOL.md §6.5); nil in a user's claim.
	Consent *keys.Signature `cbor:"20,keyasint,omitempty"`
}

// JoinID names one device's use of one invite. A device's claim has no user: the
// zero user is hashed as an empty part, as it is empty in JOIN-ENTITY.
func JoinID(ref [16]byte, user keys.Digest, device keys.ID) keys.Digest {
	u := user[:]
	if user.IsZero() {
		u = nil
	}
	return keys.Hash(keys.LabelJoinID, ref[:], u, device[:])
}

// Outcome returns what the claim's device is answered: OK while it waits and
// when it is approved, else why it ended.
func (c Claim) Outcome() Code {
	if c.State.Waiting() || c.State == Approved {
		return OK
	}
	return c.Reason
}

// Withdrew reports whether the claim's device was let in and had taken its request
// back before it heard of that. It kept nothing.
func (c Claim) Withdrew() bool { return Withdrew(c.State, c.Reason) }

// Withdrew is Claim.Withdrew of a claim that is known by its state and reason only.
func Withdrew(s ClaimState, why Code) bool { return s == Approved && why == RefusedCancelled }

// late reports whether the claim has waited past its deadline.
func (c Claim) late(now time.Time) bool { return now.Unix() >= c.Deadline }

// end returns the claim ended without a use. What only an approval needs is
// dropped; who it was stays, to be shown.
func (c Claim) end(s ClaimState, why Code, now time.Time) Claim {
	c.State, c.Reason, c.Decided = s, why, now.Unix()
	c.Box, c.Head, c.Devices, c.Addrs, c.Consent = keys.BoxID{}, keys.Digest{}, nil, nil, nil
	return c
}

// refresh returns the claim with what a later verified run says of its device and
// its user's devices. What a person was shown stays: name, note and code.
func (c Claim) refresh(by Claim) Claim {
	c.Box, c.Head, c.Devices, c.Addrs, c.Consent = by.Box, by.Head, slices.Clone(by.Devices), slices.Clone(by.Addrs), by.Consent
	return c
}
