package keys

import (
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// BoxID is the public half of a BoxKey: an X25519 key, 32 bytes.
type BoxID [32]byte

// IsZero reports whether id is the zero value.
func (id BoxID) IsZero() bool { return id == BoxID{} }

// ErrBox says that a box cannot be sealed to a key or opened with one: a wrong
// key, other info, changed bytes, or a public key of low order.
var ErrBox = errors.New("keys: cannot open or seal the box")

// BoxOverhead is how many bytes Seal adds: the encapsulated key and the tag.
const BoxOverhead = 32 + 16

// BoxKey opens what was sealed to its ID. It cannot be printed.
type BoxKey struct {
	key hidden[*ecdh.PrivateKey] // nil in the zero BoxKey
}

// NewBox returns a fresh random box key.
func NewBox() BoxKey {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic("keys: the system has no randomness: " + err.Error()) // crypto/rand never fails since Go 1.24
	}
	return BoxKey{key: hide(key)}
}

// BoxFromSecret returns the box key of a 32-byte X25519 scalar.
func BoxFromSecret(secret [32]byte) BoxKey {
	key, err := ecdh.X25519().NewPrivateKey(secret[:])
	if err != nil {
		panic("keys: X25519 refused 32 bytes: " + err.Error()) // any 32 bytes are a scalar
	}
	return BoxKey{key: hide(key)}
}

// Secret returns the 32-byte scalar, for the sealed key file.
func (k BoxKey) Secret() [32]byte { return [32]byte(k.key().Bytes()) }

// IsZero reports whether k holds no key.
func (k BoxKey) IsZero() bool { return k.key == nil }

// ID returns the public half.
func (k BoxKey) ID() BoxID {
	var id BoxID
	if k.key != nil {
		copy(id[:], k.key().PublicKey().Bytes())
	}
	return id
}

// Format prints nothing but that this is a box key, whatever the verb.
func (k BoxKey) Format(f fmt.State, _ rune) { redact(f, "box-key", "redacted") }

// Seal seals plaintext to id by HPKE (RFC 9180) in base mode with
// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305; info binds the box to its run
// and must be given again to Open. The result is len(plaintext)+BoxOverhead
// bytes. It fails with ErrBox for a key of low order. Base mode does not say
// who sealed: the caller signs the result.
func (id BoxID) Seal(info Digest, plaintext []byte) ([]byte, error) {
	pub, err := ecdh.X25519().NewPublicKey(id[:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBox, err)
	}
	to, err := hpke.NewDHKEMPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBox, err)
	}
	box, err := hpke.Seal(to, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info[:], plaintext)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBox, err)
	}
	return box, nil
}

// Open opens a box that was sealed to k with the same info; it fails with
// ErrBox.
func (k BoxKey) Open(info Digest, box []byte) ([]byte, error) {
	if k.key == nil || len(box) < BoxOverhead {
		return nil, ErrBox
	}
	priv, err := hpke.NewDHKEMPrivateKey(k.key())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBox, err)
	}
	plain, err := hpke.Open(priv, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info[:], box)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBox, err)
	}
	return plain, nil
}

// Check fails with ErrBox for a key of low order, to which nothing can be
// sealed. It is what Seal would find out too late, after a member was admitted.
func (id BoxID) Check() error {
	id[31] &= 0x7f // X25519 does not read this bit (RFC 7748 §5)
	if slices.Contains(lowOrder[:], id) {
		return fmt.Errorf("%w: low order point", ErrBox)
	}
	return nil
}

// lowOrder are the points that give zero with every scalar, on the curve and on its
// twist, and their encodings that are not reduced: 0, 1, the two of order 8, and
// p-1, p, p+1 for p = 2^255-19. A member's key is checked for each op that names
// it, so a comparison stands here and no multiplication.
var lowOrder = [...]BoxID{
	{},
	{1},
	hexBox("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
	hexBox("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
	hexBox("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	hexBox("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	hexBox("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
}

func hexBox(s string) BoxID {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("keys: " + err.Error())
	}
	return BoxID(b)
}
