package entity

import (
	"fmt"
	"io"

	"pttnode/keys"
)

// Keyring holds the op-keys of an entity's epochs.
type Keyring map[keys.Digest]keys.OpKey

// EpochKey is the op-key of an epoch, where it is written for who may have it.
type EpochKey struct {
	Epoch keys.Digest `cbor:"1,keyasint"`
	Key   [32]byte    `cbor:"2,keyasint"`
}

// String hides the key.
func (k EpochKey) String() string { return "epoch-key:" + k.Epoch.String() }

// Format hides the key, whatever the verb.
func (k EpochKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText hides the key from JSON and from loggers.
func (k EpochKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
