package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"

	"pttnode/keys"
)

// ErrFrame says that bytes are not a frame of this protocol.
var ErrFrame = errors.New("protocol: malformed frame")

// Limit returns how many bytes a frame of type t may have behind its length, the
// type byte included; 0 for a type that does not exist.
func Limit(t Type) int {
	switch t {
	case TypeJoin:
		return MaxJoin
	case TypeAckChallenge:
		return MaxAck
	case TypeJoinEntity:
		return MaxJoinEntity
	case TypeApproveJoin:
		return MaxApprove
	case TypeNo:
		return MaxNo
	}
	return 0
}

// Encode returns m as a frame: uvarint length, type byte, deterministic CBOR. The
// length counts the type byte.
func Encode(m Message) []byte { return Frame(uint8(m.frame()), keys.Marshal(m)) }

// Frame returns one frame of any of this project's stream protocols.
func Frame(typ uint8, payload []byte) []byte {
	b := binary.AppendUvarint(make([]byte, 0, len(payload)+frameHead), uint64(len(payload)+1))
	b = append(b, typ)
	return append(b, payload...)
}

// frameHead is the most bytes before a payload: its length, of 32 bits, and the type.
const frameHead = 6

// AppendFrame appends to b the frame of v, one of the project's messages: Frame for large
// ones, which come one after the other.
func AppendFrame(b []byte, typ uint8, v any) []byte {
	at := len(b)
	b = keys.Append(append(b, make([]byte, frameHead)...), v)
	payload := b[at+frameHead:]
	b = append(binary.AppendUvarint(b[:at], uint64(len(payload)+1)), typ)
	return append(b, payload...) // a few bytes to the front
}

// Decode parses what follows a frame's length: type byte and CBOR. It fails with
// ErrFrame.
func Decode(b []byte) (Message, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: empty", ErrFrame)
	}
	t, payload := Type(b[0]), b[1:]
	if len(b) > Limit(t) {
		return nil, fmt.Errorf("%w: type %d of %d bytes", ErrFrame, t, len(b))
	}
	switch t {
	case TypeJoin:
		return decodeAs[Join](payload)
	case TypeAckChallenge:
		return decodeAs[AckChallenge](payload)
	case TypeJoinEntity:
		return decodeAs[JoinEntity](payload)
	case TypeApproveJoin:
		return decodeAs[ApproveJoin](payload)
	default:
		return decodeAs[No](payload)
	}
}

func decodeAs[M Message](payload []byte) (Message, error) {
	var m M
	if err := keys.Unmarshal(payload, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return m, nil
}

// bytesOf returns what the transcript takes of a message. Decode accepted only
// this encoding, so it is what was received.
func bytesOf(m Message) []byte { return keys.Marshal(m) }
