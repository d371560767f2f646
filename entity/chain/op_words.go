package chain

import (
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
)

var wordsType = Type{Family: oplog.FamilyMember, Type: 13}

// NewWords replaces the recovery words, by the old ones and the voters. It takes the
// next number.
type NewWords struct {
	usual
	Words keys.ID        `cbor:"1,keyasint"` // the key of the new ones
	Sig   keys.Signature `cbor:"2,keyasint"` // by the key of the old ones
	Chain DeviceLink     `cbor:"15,keyasint"`
}

func (b *NewWords) link() DeviceLink { return b.Chain }

func (b *NewWords) shape() error {
	if b.Words.IsZero() {
		return fmt.Errorf("without words")
	}
	return nil
}

func (b *NewWords) check(c *Chain, _ oplog.Op) error {
	s := &c.state
	if b.Words == s.Words || s.retired.has(b.Words) {
		return fmt.Errorf("words that are, or were")
	}
	if err := s.Words.Verify(keys.PurposeWords, s.place().words(b.Words), b.Sig); err != nil {
		return fmt.Errorf("without the old words: %w", err)
	}
	return nil
}

func (b *NewWords) apply(s *State, _ oplog.Op) {
	s.retired = &past[keys.ID]{what: s.Words, next: s.retired}
	s.Words = b.Words
	s.number(byWords)
}
