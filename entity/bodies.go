package entity

import (
	"fmt"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// Types of control operations, by family. Wire values; do not reorder. Those
// without an effect yet are kept and relayed (docs/PROTOCOL.md §2.4).
const (
	TypeGenesis uint16 = 1

	TypeMasterAdd      uint16 = 1
	TypeMasterRemove   uint16 = 2
	TypeMasterTransfer uint16 = 3

	TypeAdmit       uint16 = 1
	TypeRemove      uint16 = 2
	TypeLeave       uint16 = 3
	TypeRole        uint16 = 4
	TypeTransfer    uint16 = 5
	TypeDevices     uint16 = 6
	TypeAccept      uint16 = 7
	TypeDeviceAdd   uint16 = 8 // Me: see package chain, also for those from here on
	TypeDeviceClass uint16 = 10

	TypeEpoch uint16 = 1
	TypeBox   uint16 = 2

	TypeJoinPolicy  uint16 = 1
	TypeHistory     uint16 = 2
	TypeTitle       uint16 = 3
	TypeDescription uint16 = 4
	TypeEnd         uint16 = 5
	TypeMerged      uint16 = 6

	TypeCheckpoint uint16 = 1
	TypeAck        uint16 = 2
)

// TypeProfileSet is the one type of content of the profile family. Wire value.
const TypeProfileSet uint16 = 1

// Party is one user as an entity's log knows him: which devices speak for him
// here, and which box key receives his op-keys.
type Party struct {
	User    keys.Digest `cbor:"1,keyasint"`
	Head    keys.Digest `cbor:"2,keyasint"` // the op of his device chain this was made from
	Devices []keys.ID   `cbor:"3,keyasint"`
	Box     keys.BoxID  `cbor:"4,keyasint"`
	Name    string      `cbor:"5,keyasint,omitempty"` // as he called himself when he joined
}

// Same reports whether two parties are one user with the same devices and keys,
// whatever the names.
func (p Party) Same(q Party) bool {
	return p.User == q.User && p.Head == q.Head && p.Box == q.Box && slices.Equal(p.Devices, q.Devices)
}

// Policy is who may ask to join and what a newcomer may read.
type Policy struct {
	Join    JoinPolicy `cbor:"1,keyasint"`
	History History    `cbor:"2,keyasint"`
}

// Genesis creates an entity; its op's id is the entity's id.
type Genesis struct {
	Kind       Kind          `cbor:"1,keyasint"`
	Nonce      [16]byte      `cbor:"2,keyasint"`            // two entities made at once differ
	Founder    *Party        `cbor:"3,keyasint,omitempty"`  // not in Me
	Name       string        `cbor:"4,keyasint,omitempty"`  // boards
	Policy     *Policy       `cbor:"5,keyasint,omitempty"`  // boards
	Personal   bool          `cbor:"6,keyasint,omitempty"`  // the founder's own board
	Succession uint8         `cbor:"7,keyasint,omitempty"`  // succession rule; 0: the founder stays
	Recovery   *keys.ID      `cbor:"8,keyasint,omitempty"`  // Me: outranks the devices
	Class      Class         `cbor:"9,keyasint,omitempty"`  // Me: of the first device
	Box        *keys.BoxID   `cbor:"10,keyasint,omitempty"` // Me: of the first device
	Parties    []keys.Digest `cbor:"11,keyasint,omitempty"` // Friend: the two users, ascending
	Ref        *[16]byte     `cbor:"12,keyasint,omitempty"` // Friend: the invite it came from
	Title      string        `cbor:"13,keyasint,omitempty"` // boards
}

// MasterAdd makes a member a master.
type MasterAdd struct {
	Party Party `cbor:"1,keyasint"`
}

// Admit makes a user a member.
type Admit struct {
	Party   Party         `cbor:"1,keyasint"`
	Role    Role          `cbor:"2,keyasint"`
	Ref     *[16]byte     `cbor:"3,keyasint,omitempty"` // the invite, or
	Friend  *keys.Digest  `cbor:"4,keyasint,omitempty"` // the friendship it follows from
	Epochs  []keys.Digest `cbor:"5,keyasint"`           // whose keys were handed out, ascending
	History *History      `cbor:"6,keyasint,omitempty"` // where it differs from the policy
	Floor   []oplog.Head  `cbor:"7,keyasint,omitempty"` // nothing at or below is sent to him
}

// MasterRemove ends a member's mastership. Cuts name the last control op of each of
// his devices that its author has.
type MasterRemove struct {
	User keys.Digest `cbor:"1,keyasint"`
	Cuts []Cut       `cbor:"2,keyasint"`
}

// MasterTransfer makes a member master in the author's place, founder in the
// founder's.
type MasterTransfer struct {
	Party Party `cbor:"1,keyasint"`
	Cuts  []Cut `cbor:"2,keyasint"` // of the author's devices
}

// Remove ends a member's membership. It holds the epoch that follows, whose key he
// does not get; its own id names that epoch.
type Remove struct {
	User  keys.Digest `cbor:"1,keyasint"`
	Cuts  []Cut       `cbor:"2,keyasint"` // of each of his devices, both strands
	Epoch NextEpoch   `cbor:"3,keyasint"`
}

// NextEpoch is an epoch inside an op that does more than begin one.
type NextEpoch struct {
	Commitment keys.Digest   `cbor:"1,keyasint"`
	Depth      uint64        `cbor:"2,keyasint"`
	Replaces   []keys.Digest `cbor:"3,keyasint"`
	Boxes      *keys.Digest  `cbor:"4,keyasint,omitempty"`
	Count      uint64        `cbor:"5,keyasint,omitempty"`
}

// SetRole makes a member, who is no master, a reader or a member.
type SetRole struct {
	User keys.Digest `cbor:"1,keyasint"`
	Role Role        `cbor:"2,keyasint"`
}

// Cut is the last operation of a device that counts.
type Cut = oplog.Head

// Leave ends the author's own membership. Cuts name the last content op of each
// of his devices; later ones do not count.
type Leave struct {
	Cuts []Cut `cbor:"1,keyasint"`
}

// Devices replaces what the log knows of a user's devices.
type Devices struct {
	Party Party `cbor:"1,keyasint"`
	Cuts  []Cut `cbor:"2,keyasint"` // for devices that are gone
}

// Epoch begins a new op-key.
type Epoch struct {
	Commitment keys.Digest   `cbor:"1,keyasint"`
	Depth      uint64        `cbor:"2,keyasint"`           // 1 + the greatest depth it replaces
	Replaces   []keys.Digest `cbor:"3,keyasint"`           // epochs, ascending
	Boxes      *keys.Digest  `cbor:"4,keyasint,omitempty"` // blob of boxes; none for the first
	Count      uint64        `cbor:"5,keyasint,omitempty"` // boxes in it
}

// Text is the body of policy/title and policy/description.
type Text struct {
	Text string `cbor:"1,keyasint"`
}

// SetJoinPolicy is the body of policy/join.
type SetJoinPolicy struct {
	Join JoinPolicy `cbor:"1,keyasint"`
}

// SetHistory is the body of policy/history.
type SetHistory struct {
	History History `cbor:"1,keyasint"`
}

// End ends an entity: nothing is written in it any more.
type End struct {
	Reason uint8 `cbor:"1,keyasint,omitempty"` // EndNotAccepted, EndByParty
}

// Reasons of End. Wire values; do not reorder.
const (
	EndNotAccepted uint8 = 1 // no accept by the claim's deadline
	EndByParty     uint8 = 2 // one side ended it
)

// Merged says that a friendship goes on in another one of the same two people.
type Merged struct {
	Into keys.Digest `cbor:"1,keyasint"`
}

// Checkpoint closes its past, where it is final (docs/PROTOCOL.md §2.10).
type Checkpoint struct {
	Number  uint64        `cbor:"1,keyasint"` // place in the chain of checkpoints, from 1
	Prev    []byte        `cbor:"2,keyasint"` // the final checkpoint before it; empty for the first
	Members keys.Digest   `cbor:"3,keyasint"` // roots of the state of its past, with what it keeps
	Epochs  keys.Digest   `cbor:"4,keyasint"`
	Refs    keys.Digest   `cbor:"5,keyasint"`
	Keeps   []keys.Digest `cbor:"6,keyasint"` // what counts of that beside the one before, in the order in which it does
}

// Ack says that a master has checked another's checkpoint.
type Ack struct {
	Checkpoint keys.Digest `cbor:"1,keyasint"`
}

// Accept is the consent of the second party of a Friend. It has no fields.
type Accept struct{}

// ProfileSet is the body of profile/set; the last one counts.
type ProfileSet struct {
	Name string `cbor:"1,keyasint"`
	Card string `cbor:"2,keyasint,omitempty"`
}

// decodeBody parses the body of a control op of a known type. It reports false
// for a type that this version does not know.
func decodeBody(o oplog.Op) (any, bool, error) {
	if isDeviceOp(o) {
		return decodeDeviceOp(o)
	}
	mk, ok := bodyOf[typeKey{o.Family(), o.Type()}]
	if !ok {
		return nil, false, nil
	}
	body := mk()
	if err := keys.Unmarshal(o.Control(), body); err != nil {
		return nil, true, fmt.Errorf("body of %v: %w", o.ID(), err)
	}
	return body, true, nil
}

type typeKey struct {
	family oplog.Family
	typ    uint16
}

var bodyOf = map[typeKey]func() any{
	{oplog.FamilyGenesis, TypeGenesis}:       func() any { return new(Genesis) },
	{oplog.FamilyMaster, TypeMasterAdd}:      func() any { return new(MasterAdd) },
	{oplog.FamilyMaster, TypeMasterRemove}:   func() any { return new(MasterRemove) },
	{oplog.FamilyMaster, TypeMasterTransfer}: func() any { return new(MasterTransfer) },
	{oplog.FamilyMember, TypeRemove}:         func() any { return new(Remove) },
	{oplog.FamilyMember, TypeRole}:           func() any { return new(SetRole) },
	{oplog.FamilyMember, TypeAdmit}:          func() any { return new(Admit) },
	{oplog.FamilyMember, TypeLeave}:          func() any { return new(Leave) },
	{oplog.FamilyMember, TypeDevices}:        func() any { return new(Devices) },
	{oplog.FamilyMember, TypeAccept}:         func() any { return new(Accept) },
	{oplog.FamilyOpKey, TypeEpoch}:           func() any { return new(Epoch) },
	{oplog.FamilyPolicy, TypeJoinPolicy}:     func() any { return new(SetJoinPolicy) },
	{oplog.FamilyPolicy, TypeHistory}:        func() any { return new(SetHistory) },
	{oplog.FamilyPolicy, TypeTitle}:          func() any { return new(Text) },
	{oplog.FamilyPolicy, TypeDescription}:    func() any { return new(Text) },
	{oplog.FamilyPolicy, TypeEnd}:            func() any { return new(End) },
	{oplog.FamilyPolicy, TypeMerged}:         func() any { return new(Merged) },
	{oplog.FamilyCheckpoint, TypeCheckpoint}: func() any { return new(Checkpoint) },
	{oplog.FamilyCheckpoint, TypeAck}:        func() any { return new(Ack) },
}
