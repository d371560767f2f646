package keys

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrSealed says that sealed bytes do not open: another key, other additional
// data, or changed bytes.
var ErrSealed = errors.New("keys: cannot open sealed bytes")

// SealOverhead is how many bytes OpKey.Seal and Vault.Seal add: a random
// 24-byte nonce in front and a 16-byte tag behind.
const SealOverhead = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

// OpKey is the symmetric key of one epoch of one entity, 32 bytes. Everything
// used is derived from it with a label; the key itself encrypts nothing. It
// cannot be printed.
type OpKey struct {
	key hidden[[32]byte] // nil in the zero OpKey
}

// NewOpKey returns a fresh random op-key.
func NewOpKey() OpKey {
	var k [32]byte
	_, _ = rand.Read(k[:]) // never fails since Go 1.24
	return OpKeyFromSecret(k)
}

// OpKeyFromSecret returns the op-key of 32 bytes.
func OpKeyFromSecret(secret [32]byte) OpKey { return OpKey{key: hide(secret)} }

// Secret returns the 32 bytes, for a box or the sealed store; zeros for the zero
// OpKey.
func (k OpKey) Secret() [32]byte {
	if k.key == nil {
		return [32]byte{}
	}
	return k.key()
}

// IsZero reports whether k is the zero value or made of 32 zeros, which is no
// key: whoever receives one refuses it.
func (k OpKey) IsZero() bool { return k.Secret() == [32]byte{} }

// Format prints nothing but that this is an op-key, whatever the verb.
func (k OpKey) Format(f fmt.State, _ rune) { redact(f, "op-key", "redacted") }

// Commitment returns the value that an epoch op publishes for k. ChaCha20-Poly1305
// does not commit to its key, so whoever is handed a key compares this first.
func (k OpKey) Commitment(entity Digest) Digest { return Hash(LabelKey, entity[:], k.bytes()) }

// Seal encrypts plaintext for an epoch of an entity by XChaCha20-Poly1305 with
// a random nonce; aad is authenticated with it.
func (k OpKey) Seal(entity, epoch Digest, aad, plaintext []byte) []byte {
	return seal(expand(k.bytes(), 32, labelContent, entity[:], epoch[:]), aad, plaintext)
}

// Open opens what Seal made; it fails with ErrSealed.
func (k OpKey) Open(entity, epoch Digest, aad, sealed []byte) ([]byte, error) {
	return open(expand(k.bytes(), 32, labelContent, entity[:], epoch[:]), aad, sealed)
}

// Topic returns the name of the gossip topic of an epoch: 32 characters that say
// nothing to who does not hold the key.
func (k OpKey) Topic(entity, epoch Digest) string {
	return base32.StdEncoding.EncodeToString(expand(k.bytes(), 20, labelTopic, entity[:], epoch[:]))
}

// Header returns the key that seals gossip payloads of an epoch.
func (k OpKey) Header(entity, epoch Digest) OpKey {
	return OpKeyFromSecret([32]byte(expand(k.bytes(), 32, labelHeader, entity[:], epoch[:])))
}

// UserBox returns the user box key that belongs to an epoch of Me
// (docs/PROTOCOL.md §3.1): every device of the user can derive it.
func (k OpKey) UserBox() BoxKey {
	return BoxFromSecret([32]byte(expand(k.bytes(), 32, labelUserBox)))
}

func (k OpKey) bytes() []byte {
	secret := k.Secret()
	return secret[:]
}

func seal(key, aad, plaintext []byte) []byte {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		panic("keys: XChaCha20-Poly1305 refused 32 bytes: " + err.Error())
	}
	out := make([]byte, chacha20poly1305.NonceSizeX, len(plaintext)+SealOverhead)
	_, _ = rand.Read(out) // never fails since Go 1.24
	return aead.Seal(out, out, plaintext, aad)
}

func open(key, aad, sealed []byte) ([]byte, error) {
	if len(sealed) < SealOverhead {
		return nil, ErrSealed
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		panic("keys: XChaCha20-Poly1305 refused 32 bytes: " + err.Error())
	}
	plain, err := aead.Open(nil, sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:], aad)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}
