package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
)

// Signature is an Ed25519 signature, 64 bytes (RFC 8032).
type Signature [64]byte

// ErrSignature says that a signature does not verify.
var ErrSignature = errors.New("keys: bad signature")

// ID is an Ed25519 public key, 32 bytes. It names a device; the libp2p peer id
// of the device is made from the same key.
type ID [32]byte

// String returns id as 52 characters of lower-case base32.
func (id ID) String() string { return text.EncodeToString(id[:]) }

// IsZero reports whether id is the zero value, which names nobody.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText returns the text form of id.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText parses the text form of an ID; it fails with ErrText.
func (id *ID) UnmarshalText(b []byte) error { return parse32((*[32]byte)(id), string(b)) }

// ParseID parses the 52-character text form; it fails with ErrText.
func ParseID(s string) (ID, error) {
	var id ID
	err := parse32((*[32]byte)(&id), s)
	return id, err
}

// Verify checks that sig was made by id over message for purpose. It fails with
// ErrSignature. This is the only way a signature is checked anywhere: other
// verifiers accept other sets of signatures, and a log checked by two of them
// could split.
func (id ID) Verify(purpose Purpose, message []byte, sig Signature) error {
	if !ed25519.Verify(id[:], LP([]byte(purpose), message), sig[:]) {
		return fmt.Errorf("%w: %s by %v", ErrSignature, purpose, id)
	}
	return nil
}

// Private signs in the name of its ID. It cannot be printed; the secret leaves
// only by Secret. The zero Private is refused by Sign.
type Private struct {
	key hidden[ed25519.PrivateKey] // nil in the zero Private
}

// New returns a fresh random key.
func New() Private {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic("keys: the system has no randomness: " + err.Error()) // crypto/rand never fails since Go 1.24
	}
	return Private{key: hide(key)}
}

// FromSeed returns the key of a 32-byte seed (RFC 8032 §5.1.5).
func FromSeed(seed [32]byte) Private {
	return Private{key: hide(ed25519.NewKeyFromSeed(seed[:]))}
}

// Secret returns the 32-byte seed. Only the sealed key file and libp2p's own
// identity may receive it.
func (p Private) Secret() [32]byte { return [32]byte(p.key().Seed()) }

// ID returns the public half.
func (p Private) ID() ID {
	var id ID
	if p.key != nil {
		copy(id[:], p.key()[32:])
	}
	return id
}

// IsZero reports whether p holds no key.
func (p Private) IsZero() bool { return p.key == nil }

// Equal compares two keys in constant time.
func (p Private) Equal(q Private) bool {
	if p.key == nil || q.key == nil {
		return p.key == nil && q.key == nil
	}
	return subtle.ConstantTimeCompare(p.key(), q.key()) == 1
}

// Sign returns the signature of message for purpose. It panics on the zero
// Private: signing with no key is a broken invariant, not an input error.
func (p Private) Sign(purpose Purpose, message []byte) Signature {
	if p.key == nil {
		panic("keys: Sign with the zero Private")
	}
	return Signature(ed25519.Sign(p.key(), LP([]byte(purpose), message)))
}

// Format prints the public half only, whatever the verb.
func (p Private) Format(f fmt.State, _ rune) { redact(f, "private", p.ID().String()) }

// hidden holds a secret where nothing that prints reaches it; the func also makes
// its holder not comparable. A Format method is not enough: fmt calls no methods
// of a struct's unexported fields, and none of any field once a verb is bad for
// it. It then shows arrays, slices and what pointers point to, but a func only as
// an address.
type hidden[T any] func() T

func hide[T any](secret T) hidden[T] { return func() T { return secret } }

// redact prints a secret's kind and public name.
func redact(w io.Writer, kind, name string) { _, _ = io.WriteString(w, kind+":"+name) }
