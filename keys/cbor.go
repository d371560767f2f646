package keys

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// ErrEncoding says that bytes are not the one deterministic encoding of a value
// of the wanted shape.
var ErrEncoding = errors.New("keys: not deterministic CBOR of this shape")

// The codec of docs/PROTOCOL.md §1.1: RFC 8949 §4.2.1 core deterministic
// encoding. The decoder refuses unknown and duplicate keys, tags, indefinite
// lengths and trailing bytes; because it accepts integers and lengths that are
// not minimal, Unmarshal also encodes again and compares.
var (
	encoder = must(func() (cbor.UserBufferEncMode, error) {
		o := cbor.CoreDetEncOptions()
		o.NilContainers = cbor.NilContainerAsEmpty
		o.TagsMd = cbor.TagsForbidden
		return o.UserBufferEncMode()
	}())
	decoder = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   8,       // the deepest message has 5
		MaxArrayElements:  1 << 16, // the longest list is a log in APPROVE-JOIN, which 1 MiB bounds
		MaxMapPairs:       64,      // the largest map has 18
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("keys: the codec's options contradict each other: " + err.Error())
	}
	return v
}

// Marshal returns the deterministic CBOR of v, a struct of this project with
// integer keys. It panics for a value that has no encoding: the shapes are ours.
func Marshal(v any) []byte {
	b, err := encoder.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("keys: Marshal %T: %v", v, err))
	}
	return b
}

// Append appends to b what Marshal returns for v.
func Append(b []byte, v any) []byte {
	buf := bytes.NewBuffer(b)
	if err := encoder.MarshalToBuffer(v, buf); err != nil {
		panic(fmt.Sprintf("keys: Append %T: %v", v, err))
	}
	return buf.Bytes()
}

// scratch keeps what Unmarshal encodes into.
var scratch = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Unmarshal decodes b into v, a pointer to a zero struct, which keeps nothing of b. It
// fails with ErrEncoding unless b is exactly what Marshal returns for the result.
func Unmarshal(b []byte, v any) error {
	if err := decoder.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %T: %w", ErrEncoding, v, err)
	}
	again := scratch.Get().(*bytes.Buffer)
	defer scratch.Put(again)
	again.Reset()
	if err := encoder.MarshalToBuffer(v, again); err != nil || !bytes.Equal(again.Bytes(), b) {
		return fmt.Errorf("%w: %T does not encode to the same bytes", ErrEncoding, v)
	}
	return nil
}
