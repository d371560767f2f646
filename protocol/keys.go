package protocol

import (
	"bytes"
	"fmt"

	"pttnode/keys"
)

// KeysID is the libp2p stream protocol by which a member asks another one for
// op-keys.
const KeysID = "/ptt/keys/1"

// KeysType is the type byte of a frame of /ptt/keys/1. Wire values; do not reorder.
type KeysType uint8

// The frames of docs/PROTOCOL.md §3.3.
const (
	KeysAsk   KeysType = 1 // R→M: which epochs' keys R lacks
	KeysBoxes KeysType = 2 // M→R: those that M has and R may have
	KeysNo    KeysType = 5 // M→R: not shared with you, or not here
)

// AskKeys asks for keys of an entity.
type AskKeys struct {
	Entity keys.Digest   `cbor:"1,keyasint"`
	Epochs []keys.Digest `cbor:"2,keyasint"` // 1 to MaxAsked, ascending
}

// KeyBox is one op-key, sealed to the user box key that the entity's log has of who
// asked (entity.Entity.SealKey).
type KeyBox struct {
	Epoch keys.Digest `cbor:"1,keyasint"`
	Box   []byte      `cbor:"2,keyasint"` // 80 bytes
}

// KeyBoxes answers AskKeys, in its order; what is not in it was not here, or is not
// for who asked.
type KeyBoxes struct {
	Boxes []KeyBox `cbor:"1,keyasint"`
}

// keyBoxSize is the size of a sealed op-key.
const keyBoxSize = 32 + keys.BoxOverhead

// DecodeAskKeys parses a payload of type KeysAsk; it fails with ErrFrame.
func DecodeAskKeys(payload []byte) (AskKeys, error) {
	var a AskKeys
	if err := keys.Unmarshal(payload, &a); err != nil {
		return AskKeys{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if len(a.Epochs) == 0 || len(a.Epochs) > MaxAsked {
		return AskKeys{}, fmt.Errorf("%w: the keys of %d epochs", ErrFrame, len(a.Epochs))
	}
	for i := 1; i < len(a.Epochs); i++ {
		if bytes.Compare(a.Epochs[i-1][:], a.Epochs[i][:]) >= 0 {
			return AskKeys{}, fmt.Errorf("%w: epochs not ascending", ErrFrame)
		}
	}
	return a, nil
}

// DecodeKeyBoxes parses a payload of type KeysBoxes; it fails with ErrFrame.
func DecodeKeyBoxes(payload []byte) (KeyBoxes, error) {
	var b KeyBoxes
	if err := keys.Unmarshal(payload, &b); err != nil {
		return KeyBoxes{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if len(b.Boxes) > MaxAsked {
		return KeyBoxes{}, fmt.Errorf("%w: %d boxes", ErrFrame, len(b.Boxes))
	}
	for _, box := range b.Boxes {
		if len(box.Box) != keyBoxSize {
			return KeyBoxes{}, fmt.Errorf("%w: a box of %d bytes", ErrFrame, len(box.Box))
		}
	}
	return b, nil
}

// KeysLimit is the most bytes of a frame of /ptt/keys/1, 0 for a type that is none.
func KeysLimit(typ uint8) int {
	switch KeysType(typ) {
	case KeysAsk:
		return 64 + 34*MaxAsked
	case KeysBoxes:
		return 64 + 128*MaxAsked
	case KeysNo:
		return MaxNo
	}
	return 0
}
