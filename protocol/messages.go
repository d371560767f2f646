package protocol

import (
	"pttnode/entity"
	"pttnode/keys"
)

// ID is the libp2p stream protocol of a join.
const ID = "/ptt/join/1"

// Version and suite of this package. In each list R also sends a reserved value
// that nobody knows, so that peers stay tolerant of newer ones.
const (
	Version1 uint16 = 1
	Suite1   uint16 = 1 // DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305
	reserved uint16 = 0x1a1a
)

// Type is the type byte of a frame. Wire values; do not reorder.
type Type uint8

// The frames of a join.
const (
	TypeJoin         Type = 1
	TypeAckChallenge Type = 2
	TypeJoinEntity   Type = 3
	TypeApproveJoin  Type = 4
	TypeNo           Type = 5
)

// Message is one frame of a join.
type Message interface {
	Event
	frame() Type
}

// Join is frame 1, R→M: it says which invite, challenges M, and commits to R's
// nonce, identity and key without showing them.
type Join struct {
	Versions   []uint16    `cbor:"1,keyasint"`
	Suites     []uint16    `cbor:"2,keyasint"`
	IID        [16]byte    `cbor:"3,keyasint"`
	Challenge  [32]byte    `cbor:"4,keyasint"`
	Commitment keys.Digest `cbor:"5,keyasint"`
}

// AckChallenge is frame 2, M→R. Body is an AckBody; MAC and Sig cover the
// transcript with it.
type AckChallenge struct {
	Body []byte         `cbor:"1,keyasint"`
	MAC  keys.Digest    `cbor:"2,keyasint"`
	Sig  keys.Signature `cbor:"3,keyasint"`
}

// AckBody is what M says of itself and of the entity.
type AckBody struct {
	Version   uint16       `cbor:"1,keyasint"`
	Suite     uint16       `cbor:"2,keyasint"`
	Challenge [32]byte     `cbor:"3,keyasint"`
	Card      Card         `cbor:"4,keyasint"`
	Proof     entity.Proof `cbor:"5,keyasint"`
}

// Card describes what is joined. For a friend link Entity is M's user, Name is
// M's name, and there are no policy and heads.
type Card struct {
	Entity keys.Digest    `cbor:"1,keyasint"`
	Kind   entity.Kind    `cbor:"2,keyasint"`
	Name   string         `cbor:"3,keyasint"`
	Policy *entity.Policy `cbor:"4,keyasint,omitempty"`
	Heads  []keys.Digest  `cbor:"5,keyasint"`
	Owner  string         `cbor:"6,keyasint,omitempty"` // boards: M's name
}

// JoinEntity is frame 3, R→M. Body is a JoinBody; both signatures cover the
// transcript with it: Invite by the key from the link's secret, Device by R.
type JoinEntity struct {
	Body   []byte         `cbor:"1,keyasint"`
	Invite keys.Signature `cbor:"2,keyasint"`
	Device keys.Signature `cbor:"3,keyasint"`
}

// JoinBody is who R is and what it opens its commitment with.
type JoinBody struct {
	Nonce      [32]byte        `cbor:"1,keyasint"`
	User       []byte          `cbor:"2,keyasint"` // 32 bytes; empty in a device join
	Device     keys.ID         `cbor:"3,keyasint"`
	Chain      [][]byte        `cbor:"4,keyasint"` // R's device chain
	Box        keys.BoxID      `cbor:"5,keyasint"` // join box key: receives the approval of this run
	Name       string          `cbor:"6,keyasint"`
	Note       string          `cbor:"7,keyasint"`
	PolicyHash []byte          `cbor:"8,keyasint"` // of the card's policy; empty when it had none
	Addrs      []byte          `cbor:"9,keyasint"` // signed peer record, may be empty
	Withdraw   bool            `cbor:"10,keyasint,omitempty"`
	DeviceBox  *keys.BoxID     `cbor:"11,keyasint,omitempty"` // device join
	Consent    *keys.Signature `cbor:"12,keyasint,omitempty"` // device join
}

// ApproveJoin is frame 4, M→R. Body is an ApproveBody.
type ApproveJoin struct {
	Status Status         `cbor:"1,keyasint"`
	Body   []byte         `cbor:"2,keyasint"`
	Sig    keys.Signature `cbor:"3,keyasint"`
}

// Status is the decision in an ApproveJoin. Wire values; do not reorder.
type Status uint8

// The statuses of docs/PROTOCOL.md §5.2.
const (
	Approved Status = 1
	Pending  Status = 2
	Denied   Status = 3
)

// ApproveBody is the decision. Which fields are there follows from the status.
type ApproveBody struct {
	Box      []byte       `cbor:"1,keyasint,omitempty"` // Approved: a BoxBody, sealed to R's join box key
	Admit    *keys.Digest `cbor:"2,keyasint,omitempty"` // Approved
	Entity   *keys.Digest `cbor:"3,keyasint,omitempty"` // Approved
	Logs     [][]byte     `cbor:"4,keyasint,omitempty"` // Approved: control strand or its beginning, parents first
	Chains   [][][]byte   `cbor:"5,keyasint,omitempty"` // Approved: device chains of other masters
	CodeID   *keys.Digest `cbor:"6,keyasint,omitempty"` // Pending: sasid of the run that reserved
	Deadline uint64       `cbor:"7,keyasint,omitempty"` // Pending: Unix seconds
	Reason   uint16       `cbor:"8,keyasint,omitempty"` // Denied; Pending when not only a person is waited for

	Heads []keys.Digest `cbor:"9,keyasint,omitempty"`  // Approved: what Strand says
	Ops   uint64        `cbor:"10,keyasint,omitempty"` //
	Bytes uint64        `cbor:"11,keyasint,omitempty"` //
}

// strand returns what the body says of the whole control strand.
func (b ApproveBody) strand() Strand { return Strand{b.Heads, b.Ops, b.Bytes} }

// BoxBody is what only R may read of an approval.
type BoxBody struct {
	Keys  []entity.EpochKey `cbor:"1,keyasint"`
	Addrs [][]byte          `cbor:"2,keyasint"` // signed peer records of members
}

// No is frame 5, M→R: there is no such invite. It is the same for every reason,
// unsigned and outside the transcript.
type No struct{}

func (Join) frame() Type         { return TypeJoin }
func (AckChallenge) frame() Type { return TypeAckChallenge }
func (JoinEntity) frame() Type   { return TypeJoinEntity }
func (ApproveJoin) frame() Type  { return TypeApproveJoin }
func (No) frame() Type           { return TypeNo }

func (Join) event()         {}
func (AckChallenge) event() {}
func (JoinEntity) event()   {}
func (ApproveJoin) event()  {}
func (No) event()           {}
