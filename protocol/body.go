package protocol

import (
	"fmt"

	"pttnode/keys"
)

// BodyID is the libp2p stream protocol by which a device asks for bodies that it lacks.
const BodyID = "/ptt/body/1"

// BodyType is the type byte of a frame of /ptt/body/1. Wire values; do not reorder.
type BodyType uint8

// The frames of docs/PROTOCOL.md §8.5.
const (
	BodyWant   BodyType = 1 // A→B: operations whose bodies A lacks
	BodyBodies BodyType = 2 // B→A: what B says of them; More says that another frame follows
	BodyNo     BodyType = 5 // B→A: not shared with you, or not here
)

// Want asks for the bodies of operations of an entity.
type Want struct {
	Entity keys.Digest   `cbor:"1,keyasint"`
	IDs    []keys.Digest `cbor:"2,keyasint"` // 1 to MaxWanted, each once
}

// Bodies answers a Want, in its order.
type Bodies struct {
	Answers []Answer `cbor:"1,keyasint"`
	More    bool     `cbor:"2,keyasint,omitempty"`
}

// Answer is what a device says of one body.
type Answer struct {
	ID   keys.Digest `cbor:"1,keyasint"`
	Says BodySays    `cbor:"2,keyasint"`
	Body []byte      `cbor:"3,keyasint,omitempty"` // exactly with BodyHere
}

// BodySays is what a device says of a body. Wire values; do not reorder.
type BodySays uint8

// The answers of docs/PROTOCOL.md §8.5.
const (
	BodyHere    BodySays = 1
	BodyNotHere BodySays = 2
	BodyNoRight BodySays = 3 // to the key of its epoch
	BodyLetGo   BodySays = 4 // it is shown nowhere
)

// DecodeWant parses a payload of type BodyWant; it fails with ErrFrame.
func DecodeWant(payload []byte) (Want, error) {
	var w Want
	if err := keys.Unmarshal(payload, &w); err != nil {
		return Want{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if len(w.IDs) == 0 || len(w.IDs) > MaxWanted {
		return Want{}, fmt.Errorf("%w: the bodies of %d ops", ErrFrame, len(w.IDs))
	}
	seen := make(map[keys.Digest]bool, len(w.IDs))
	for _, id := range w.IDs {
		if seen[id] {
			return Want{}, fmt.Errorf("%w: %v wanted twice", ErrFrame, id)
		}
		seen[id] = true
	}
	return w, nil
}

// DecodeBodies parses a payload of type BodyBodies; it fails with ErrFrame.
func DecodeBodies(payload []byte) (Bodies, error) {
	var b Bodies
	if err := keys.Unmarshal(payload, &b); err != nil {
		return Bodies{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if len(b.Answers) > MaxWanted {
		return Bodies{}, fmt.Errorf("%w: %d answers", ErrFrame, len(b.Answers))
	}
	for _, a := range b.Answers {
		if a.Says < BodyHere || a.Says > BodyLetGo || (a.Says == BodyHere) != (len(a.Body) > 0) {
			return Bodies{}, fmt.Errorf("%w: an answer of %d with %d bytes", ErrFrame, a.Says, len(a.Body))
		}
	}
	return b, nil
}

// BodyLimit is the most bytes of a frame of /ptt/body/1, 0 for a type that is none.
func BodyLimit(typ uint8) int {
	switch BodyType(typ) {
	case BodyWant:
		return 64 + 34*MaxWanted
	case BodyBodies:
		return MaxSync
	case BodyNo:
		return MaxNo
	}
	return 0
}
