package protocol

import (
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
)

// SyncID is the libp2p stream protocol of sync and push.
const SyncID = "/ptt/sync/2"

// SyncType is the type byte of a frame of /ptt/sync/2. Wire values; do not
// reorder.
type SyncType uint8

// The frames of docs/PROTOCOL.md §8.
const (
	SyncHello  SyncType = 1 // A→B: entity and hash of A's vector
	SyncVector SyncType = 2 // B→A and A→B: the vector
	SyncOps    SyncType = 3 // ops that the other lacks; More says that another frame follows
	SyncEqual  SyncType = 4 // B→A: the vectors are equal
	SyncNo     SyncType = 5 // B→A: not shared with you, or not here
	SyncPush   SyncType = 6 // A→B: new ops, no answer
	SyncRanges SyncType = 7 // A→B and B→A: ranges of the log, where vectors are too long or do not do

	SyncControl SyncType = 8 // A→B: A is let in and fetches the control strand; B answers with ops, or no
)

// Hello begins a sync of one entity.
type Hello struct {
	Entity keys.Digest `cbor:"1,keyasint"`
	Hash   keys.Digest `cbor:"2,keyasint"`
	Addrs  []byte      `cbor:"3,keyasint,omitempty"` // signed peer record, when newer than the last one sent
}

// VectorFrame carries a heads vector.
type VectorFrame struct {
	Heads oplog.Vector `cbor:"1,keyasint"`
	Addrs []byte       `cbor:"2,keyasint,omitempty"`
}

// Ranges is a side's turn in a reconciliation by ranges. Entity and Hash are those of a
// Hello, in the frame that begins a stream; Salt is in the first frame of Ranges. A frame
// with nothing in Ranges is the last, and operations follow it.
type Ranges struct {
	Entity *keys.Digest `cbor:"1,keyasint,omitempty"`
	Hash   *keys.Digest `cbor:"2,keyasint,omitempty"`
	Salt   *oplog.Salt  `cbor:"3,keyasint,omitempty"`
	Ranges []byte       `cbor:"4,keyasint,omitempty"` // as oplog.Reconciler says them
	Wants  []byte       `cbor:"5,keyasint,omitempty"` // short names of listed ops that are not here
	Addrs  []byte       `cbor:"6,keyasint,omitempty"`
}

// Begins reports whether f may be the first frame of a stream: it has what only that one
// has.
func (f Ranges) Begins() bool { return f.Entity != nil && f.Hash != nil && f.Salt != nil }

// Ops carries operations in an order in which they can be appended, each with its body if
// the sender has it and the receiver may read it.
type Ops struct {
	Ops  []oplog.Pair `cbor:"1,keyasint"`
	More bool         `cbor:"2,keyasint,omitempty"`
}

// Push carries new operations of one entity, each with its body.
type Push struct {
	Entity keys.Digest  `cbor:"1,keyasint"`
	Ops    []oplog.Pair `cbor:"2,keyasint"`
}

// Control asks for the control strand of an entity that its sender was let into and does
// not have yet: for what is neither among Heads nor among their ancestors.
type Control struct {
	Entity keys.Digest   `cbor:"1,keyasint"`
	Heads  []keys.Digest `cbor:"2,keyasint"` // of what is here; MaxTips at most
}

// DecodeControl parses a payload of type SyncControl; it fails with ErrFrame.
func DecodeControl(payload []byte) (Control, error) {
	var c Control
	if err := keys.Unmarshal(payload, &c); err != nil {
		return Control{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if len(c.Heads) > MaxTips {
		return Control{}, fmt.Errorf("%w: control after %d heads", ErrFrame, len(c.Heads))
	}
	return c, nil
}

// DecodeSync parses a payload of /ptt/sync/2 into v, a pointer to a zero struct.
func DecodeSync(payload []byte, v any) error {
	if err := keys.Unmarshal(payload, v); err != nil {
		return fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return nil
}
