package protocol

import (
	"fmt"

	"pttnode/entity"
	"pttnode/keys"
)

// InfoID is the libp2p stream protocol of init-friend-info and init-me-info.
const InfoID = "/ptt/info/1"

// InfoStep is the step of an info message. Wire values; do not reorder.
type InfoStep uint8

// The steps of docs/PROTOCOL.md §6.3 and §6.5.
const (
	InitFriendInfo    InfoStep = 1  // R→M: R's approvals
	InitFriendInfoAck InfoStep = 2  // M→R: M's approvals
	InitMeInfo        InfoStep = 16 // M→R: how far are you?
	InitMeInfoAck     InfoStep = 17 // R→M: the status
	InitMeInfoSync    InfoStep = 18 // M→R: profile, personal board, epochs of Me
)

// LinkStatus says how far a new device of a user is. Wire and stored values; do
// not reorder.
type LinkStatus uint8

// The statuses of docs/PROTOCOL.md §6.5.
const (
	LinkInit     LinkStatus = 1 // approved; the Me is there
	LinkPending  LinkStatus = 2 // asked by another device of the user
	LinkSync     LinkStatus = 3 // has profile and personal board
	LinkAlive    LinkStatus = 4 // has everything once
	linkStatuses            = 5
)

// String returns the status's word in the interface.
func (s LinkStatus) String() string {
	if s >= LinkInit && s < linkStatuses {
		return [...]string{"", "init", "internal_pending", "sync", "alive"}[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// Info is the one frame of each direction on /ptt/info/1. Its type byte is the
// step, or TypeNo with an empty map when there is no such friendship. Body is an
// InfoBody.
type Info struct {
	Body []byte         `cbor:"1,keyasint"`
	Sig  keys.Signature `cbor:"2,keyasint"`
}

// InfoBody hands a friend, or another device of one's own, what it needs of one's
// personal entities.
type InfoBody struct {
	In        keys.Digest    `cbor:"1,keyasint"` // the Friend entity; the Me between own devices
	Step      InfoStep       `cbor:"2,keyasint"`
	Approvals []InfoApproval `cbor:"3,keyasint"`
	Ops       [][]byte       `cbor:"4,keyasint"`           // control ops of the Friend that the other may lack
	Addrs     []byte         `cbor:"5,keyasint"`           // signed peer record, may be empty
	Status    LinkStatus     `cbor:"6,keyasint,omitempty"` // InitMeInfoAck
}

// InfoApproval is one approval outside a join. Box is a BoxBody sealed to the
// receiver's user box key.
type InfoApproval struct {
	Entity keys.Digest `cbor:"1,keyasint"`
	Admit  keys.Digest `cbor:"2,keyasint"`
	Logs   [][]byte    `cbor:"3,keyasint"`
	Box    []byte      `cbor:"4,keyasint"`
	Kind   entity.Kind `cbor:"5,keyasint"`

	Heads []keys.Digest `cbor:"6,keyasint"` // what Strand says
	Ops   uint64        `cbor:"7,keyasint"`
	Bytes uint64        `cbor:"8,keyasint"`
}

// Strand returns what the approval says of the whole control strand.
func (a InfoApproval) Strand() Strand { return Strand{a.Heads, a.Ops, a.Bytes} }

// SignInfo signs body for the device to.
func SignInfo(from keys.Private, to keys.ID, body InfoBody) Info {
	m := Info{Body: keys.Marshal(body)}
	d := infoDigest(from.ID(), to, body.Step, m.Body)
	m.Sig = from.Sign(keys.PurposeInfo, d[:])
	return m
}

// Open checks that from signed m for to as the given step, and returns its body.
func (m Info) Open(from, to keys.ID, step InfoStep) (InfoBody, error) {
	var b InfoBody
	d := infoDigest(from, to, step, m.Body)
	if err := from.Verify(keys.PurposeInfo, d[:], m.Sig); err != nil {
		return b, err
	}
	if err := keys.Unmarshal(m.Body, &b); err != nil {
		return b, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if b.Step != step {
		return b, fmt.Errorf("%w: step %d, want %d", ErrUnexpected, b.Step, step)
	}
	return b, nil
}

// DecodeInfo parses the payload of an info frame.
func DecodeInfo(payload []byte) (Info, error) {
	var m Info
	if err := keys.Unmarshal(payload, &m); err != nil {
		return m, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return m, nil
}

func infoDigest(from, to keys.ID, step InfoStep, body []byte) keys.Digest {
	return keys.Hash(keys.LabelInfo, from[:], to[:], []byte{byte(step)}, body)
}

// SealApproval seals an approval's keys to a friend's user box key, or to the
// device box key of one's own device, for the device toDevice; in is InfoBody.In.
func SealApproval(to keys.BoxID, in, e keys.Digest, fromDevice, toDevice keys.ID, body BoxBody) ([]byte, error) {
	return to.Seal(infoBoxInfo(in, e, fromDevice, toDevice), keys.Marshal(body))
}

// OpenApproval opens what SealApproval made.
func OpenApproval(k keys.BoxKey, in, e keys.Digest, fromDevice, toDevice keys.ID, box []byte) (BoxBody, error) {
	var b BoxBody
	plain, err := k.Open(infoBoxInfo(in, e, fromDevice, toDevice), box)
	if err != nil {
		return b, err
	}
	if err := keys.Unmarshal(plain, &b); err != nil {
		return b, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return b, nil
}

func infoBoxInfo(in, e keys.Digest, from, to keys.ID) keys.Digest {
	return keys.Hash(keys.LabelInfoBox, in[:], e[:], from[:], to[:])
}
