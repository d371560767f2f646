package keys

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
)

// Digest is a SHA-256 value, 32 bytes: the id of an operation, an entity or a
// user, and whatever else is named by its hash.
type Digest [32]byte

// ErrText says that a text is not the text form of a Digest or an ID.
var ErrText = errors.New("keys: not an id")

// text is the one text encoding of 32-byte names: RFC 4648 base32 in lower case
// without padding, 52 characters.
var text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// String returns d as 52 characters of lower-case base32.
func (d Digest) String() string {
	b, _ := d.AppendText(make([]byte, 0, 52)) // cannot fail
	return string(b)
}

// AppendText appends the text form of d to b. It does not fail.
func (d Digest) AppendText(b []byte) ([]byte, error) { return text.AppendEncode(b, d[:]), nil }

// IsZero reports whether d is the zero value, which names nothing.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText returns the text form of d.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText parses the text form of a Digest; it fails with ErrText.
func (d *Digest) UnmarshalText(b []byte) error { return parse32((*[32]byte)(d), string(b)) }

// ParseDigest parses the 52-character text form; it fails with ErrText.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	err := parse32((*[32]byte)(&d), s)
	return d, err
}

func parse32(dst *[32]byte, s string) error {
	b, err := text.DecodeString(s)
	if err != nil || len(b) != len(dst) || text.EncodeToString(b) != s {
		return fmt.Errorf("%w: %d characters", ErrText, len(s))
	}
	copy(dst[:], b)
	return nil
}

// Fingerprint returns the 80-bit name of a user that people compare, as four
// groups of four characters: "4k7p-m2xq-ydtw-c7ha".
func Fingerprint(user Digest) string {
	h := Hash(LabelPrint, user[:])
	s := text.EncodeToString(h[:10])
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:16]
}

// LP returns the length-prefixed concatenation of parts: each part preceded by
// its length as 4 bytes, big-endian (docs/PROTOCOL.md §1.2).
func LP(parts ...[]byte) []byte {
	return appendLP(make([]byte, 0, lenLP(parts)), parts...)
}

func lenLP(parts [][]byte) (n int) {
	for _, p := range parts {
		n += 4 + len(p)
	}
	return n
}

func appendLP(b []byte, parts ...[]byte) []byte {
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

// Hash returns SHA-256 over LP(label, parts...): H of docs/PROTOCOL.md §1.2.
func Hash(label Label, parts ...[]byte) Digest {
	var buf [256]byte
	return hashLP(appendLP(buf[:0], []byte(label)), parts)
}

// HashUnlabelled returns SHA-256 over LP(parts...), for a running transcript
// whose first value was made with Hash.
func HashUnlabelled(parts ...[]byte) Digest {
	var buf [256]byte
	return hashLP(buf[:0], parts)
}

// hashLP returns SHA-256 over b and LP(parts...). A part that does not fit b, a log in
// an approval, is not copied.
func hashLP(b []byte, parts [][]byte) (d Digest) {
	if len(b)+lenLP(parts) <= cap(b) {
		return sha256.Sum256(appendLP(b, parts...))
	}
	h := sha256.New()
	h.Write(b)
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(b[:0], uint32(len(p))))
		h.Write(p)
	}
	h.Sum(d[:0])
	return d
}

// expand is HKDF-Expand (RFC 5869) with SHA-256 and info LP(label, parts...).
// It panics for n over 8,160 bytes, which no caller asks for.
func expand(prk []byte, n int, label Label, parts ...[]byte) []byte {
	info := appendLP(nil, []byte(label))
	info = appendLP(info, parts...)
	out, err := hkdf.Expand(sha256.New, prk, string(info), n)
	if err != nil {
		panic("keys: HKDF-Expand refused a fixed length: " + err.Error())
	}
	return out
}
