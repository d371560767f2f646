package keys

import (
	"crypto/rand"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// Vault seals secrets for the disk with XChaCha20-Poly1305 under one key. The
// name of a record is authenticated with it, so a sealed record cannot be moved
// to another name.
type Vault struct {
	key hidden[[32]byte] // nil in the zero Vault, which panics when used
}

// Parameters of the passphrase, RFC 9106 §4 (second choice: 64 MiB, 3 passes).
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
)

// NewVaultKey returns 32 random bytes for a key file.
func NewVaultKey() [32]byte {
	var k [32]byte
	_, _ = rand.Read(k[:]) // never fails since Go 1.24
	return k
}

// OpenVault returns the vault of a key file's 32 bytes.
func OpenVault(key [32]byte) Vault { return Vault{key: hide(key)} }

// VaultFromPassphrase returns the vault of a passphrase and a random salt by
// Argon2id (64 MiB, 3 passes, 4 lanes); it takes about a quarter of a second.
func VaultFromPassphrase(passphrase []byte, salt [32]byte) Vault {
	return OpenVault([32]byte(argon2.IDKey(passphrase, salt[:], argonTime, argonMemory, argonThreads, 32)))
}

// Seal encrypts plaintext as the record called name.
func (v Vault) Seal(name string, plaintext []byte) []byte {
	key := v.key()
	return seal(key[:], vaultAAD(name), plaintext)
}

// Open opens the record called name; it fails with ErrSealed.
func (v Vault) Open(name string, sealed []byte) ([]byte, error) {
	key := v.key()
	plain, err := open(key[:], vaultAAD(name), sealed)
	if err != nil {
		return nil, fmt.Errorf("record %q: %w", name, err)
	}
	return plain, nil
}

// Format prints nothing but that this is a vault, whatever the verb.
func (v Vault) Format(f fmt.State, _ rune) { redact(f, "vault", "redacted") }

func vaultAAD(name string) []byte { return LP([]byte(LabelVault), []byte(name)) }
