package invite

import "fmt"

// Code says why a join is refused, or why it still waits. It travels in
// APPROVE-JOIN and is stored in claims and attempts. Wire values; do not reorder.
type Code uint16

// OK says that nothing is refused. It is never sent as a reason.
const OK Code = 0

// The codes of docs/PROTOCOL.md §5. The words on screens are those of String.
const (
	RefusedUnknown         Code = 1  // no such invite
	RefusedExpired         Code = 2  // the link expired before it was used
	RefusedRevoked         Code = 3  // the issuer took the link back
	RefusedUsedUp          Code = 4  // no use is left
	RefusedLocked          Code = 5  // too many failed proofs
	RefusedBound           Code = 6  // the link is for another user
	RefusedAlreadyFriends  Code = 7  // the two are friends
	RefusedAlreadyMember   Code = 8  // the requester is a member
	RefusedNotFriend       Code = 9  // the board admits friends of its owner only
	RefusedRemoved         Code = 10 // the requester was removed, perhaps after approval
	RefusedRejected        Code = 11 // a person said no
	RefusedCancelled       Code = 12 // the requester withdrew
	RefusedPolicyChanged   Code = 13 // the requester saw another policy
	RefusedProofTooLong    Code = 14 // the issuer cannot prove itself within the frame
	RefusedAlreadyDevice   Code = 15 // the device belongs to this user
	RefusedAlreadyApproved Code = 16 // too late to withdraw or to reject
	RefusedDevicesOffline  Code = 17 // waits for a quorum of the user's devices
	RefusedKind            Code = 18 // the link is of another kind
	RefusedTimedOut        Code = 19 // nobody answered in time
	RefusedNotOwner        Code = 20 // the issuer is an owner no more
	RefusedIdentity        Code = 21 // the other side is not who it should be
	RefusedBusy            Code = 22 // too many at once; try later
	RefusedDiskFull        Code = 23 // the issuer cannot store; try later
	RefusedInternal        Code = 24 // the issuer failed; try later
	RefusedTooLarge        Code = 25 // the board is larger than this device takes: the requester's own verdict
)

var codeNames = [...]string{
	OK:                     "ok",
	RefusedUnknown:         "invite_unknown",
	RefusedExpired:         "invite_expired",
	RefusedRevoked:         "invite_revoked",
	RefusedUsedUp:          "invite_used_up",
	RefusedLocked:          "invite_locked",
	RefusedBound:           "invite_bound",
	RefusedAlreadyFriends:  "already_friends",
	RefusedAlreadyMember:   "already_member",
	RefusedNotFriend:       "not_friend_of_owner",
	RefusedRemoved:         "removed",
	RefusedRejected:        "rejected",
	RefusedCancelled:       "cancelled",
	RefusedPolicyChanged:   "policy_changed",
	RefusedProofTooLong:    "proof_too_long",
	RefusedAlreadyDevice:   "already_device",
	RefusedAlreadyApproved: "already_approved",
	RefusedDevicesOffline:  "devices_offline",
	RefusedKind:            "link_kind",
	RefusedTimedOut:        "expired",
	RefusedNotOwner:        "not_owner",
	RefusedIdentity:        "identity_check_failed",
	RefusedBusy:            "too_many",
	RefusedDiskFull:        "disk_full",
	RefusedInternal:        "internal",
	RefusedTooLarge:        "board_too_large",
}

// ParseCode returns the code of a number from the wire. A number of a newer
// version is kept and prints as code(n).
func ParseCode(n uint16) Code { return Code(n) }

// String returns the code's word in the interface, as "invite_expired".
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("code(%d)", uint16(c))
}

// Temporary reports whether the same request may succeed later without anybody
// doing anything, so that a requester goes on trying.
func (c Code) Temporary() bool {
	switch c {
	case RefusedBusy, RefusedDiskFull, RefusedInternal, RefusedDevicesOffline, RefusedAlreadyApproved:
		return true // already approved: the next try brings the approval
	}
	return false
}
