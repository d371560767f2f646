package keys

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tyler-smith/go-bip39"
)

// ErrWords says that words are not a recovery key: not 24 words of the BIP-39
// English list, or the checksum differs.
var ErrWords = errors.New("keys: not recovery words")

// Words returns the seed of a recovery key as 24 BIP-39 words (256 bits and 8
// bits of checksum), to be written on paper.
func Words(recovery Private) string {
	seed := recovery.Secret()
	words, err := bip39.NewMnemonic(seed[:])
	if err != nil {
		panic("keys: BIP-39 refused 32 bytes: " + err.Error())
	}
	return words
}

// FromWords returns the recovery key of 24 words; it fails with ErrWords.
func FromWords(words string) (Private, error) {
	words = strings.Join(strings.Fields(strings.ToLower(words)), " ")
	seed, err := bip39.EntropyFromMnemonic(words)
	if err != nil || len(seed) != 32 {
		return Private{}, fmt.Errorf("%w: %d words", ErrWords, len(strings.Fields(words)))
	}
	return FromSeed([32]byte(seed)), nil
}
