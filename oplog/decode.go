package oplog

import (
	"fmt"

	"pttnode/keys"
)

// unmarshal decodes the bytes of an envelope; what it returns points into raw.
// It accepts exactly what keys.Unmarshal accepts, the one deterministic encoding,
// but an envelope always has the same 18 keys, so one pass without reflection
// does: a chain of ops is checked by its hashes only if decoding costs little
// beside a signature. FuzzUnmarshal compares the two.
func unmarshal(raw []byte) (envelope, error) {
	r := reader{rest: raw}
	e := r.envelope()
	if r.bad || len(r.rest) != 0 {
		return envelope{}, fmt.Errorf("%w: %w", ErrFormat, keys.ErrEncoding)
	}
	return e, nil
}

// envelope reads the map.
func (r *reader) envelope() (e envelope) {
	if r.head(majorMap) != 18 {
		r.bad = true
	}
	r.key(1)
	e.V = r.uint(1<<64 - 1)
	r.key(2)
	e.Entity = r.bytes()
	r.key(3)
	e.Strand = Strand(r.uint(1<<8 - 1))
	r.key(4)
	e.Family = Family(r.uint(1<<8 - 1))
	r.key(5)
	e.Type = uint16(r.uint(1<<16 - 1))
	r.key(6)
	e.User = r.bytes()
	r.key(7)
	r.array(e.Device[:])
	r.key(8)
	e.Seq = r.uint(1<<64 - 1)
	r.key(9)
	e.Prev = r.bytes()
	r.key(10)
	e.Parents = r.digests()
	r.key(11)
	e.Auth = r.digests()
	r.key(12)
	e.Epoch = r.bytes()
	r.key(13)
	e.At = r.uint(1<<64 - 1)
	r.key(14)
	e.About = r.bytes()
	r.key(15)
	e.Body = r.bytes()
	r.key(16)
	e.Hash = r.bytes()
	r.key(17)
	e.Size = r.uint(1<<64 - 1)
	r.key(18)
	r.array(e.Sig[:])
	return e
}

// Major types of RFC 8949 §3.1.
const (
	majorUint  = 0
	majorBytes = 2
	majorArray = 4
	majorMap   = 5
)

// reader reads deterministic CBOR. After the first fault it is bad and empty.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() {
	r.rest, r.bad = nil, true
}

// head reads the head of a data item: the number is the value, the length or the
// count, in the shortest form (RFC 8949 §4.2.1).
func (r *reader) head(major byte) uint64 {
	if len(r.rest) == 0 || r.rest[0]>>5 != major {
		r.fail()
		return 0
	}
	info := r.rest[0] & 0x1f
	r.rest = r.rest[1:]
	if info < 24 {
		return uint64(info)
	}
	if info > 27 || len(r.rest) < 1<<(info-24) {
		r.fail()
		return 0
	}
	var n uint64
	for _, c := range r.rest[:1<<(info-24)] {
		n = n<<8 | uint64(c)
	}
	r.rest = r.rest[1<<(info-24):]
	if n < [...]uint64{24, 1 << 8, 1 << 16, 1 << 32}[info-24] {
		r.fail()
		return 0
	}
	return n
}

func (r *reader) uint(most uint64) uint64 {
	n := r.head(majorUint)
	if n > most {
		r.fail()
		return 0
	}
	return n
}

// key reads a key of the map.
func (r *reader) key(n uint64) {
	if r.head(majorUint) != n {
		r.fail()
	}
}

func (r *reader) bytes() []byte {
	n := r.head(majorBytes)
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// array reads a byte string of just the length of to.
func (r *reader) array(to []byte) {
	if b := r.bytes(); len(b) != len(to) || copy(to, b) != len(to) {
		r.fail()
	}
}

func (r *reader) digests() []keys.Digest {
	n := r.head(majorArray)
	if n > uint64(len(r.rest))/(2+32) { // each has a head of two bytes
		r.fail()
		return nil
	}
	out := make([]keys.Digest, n)
	for i := range out {
		r.array(out[i][:])
	}
	return out
}
