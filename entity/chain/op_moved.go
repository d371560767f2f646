package chain

import (
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
)

var movedType = Type{Family: oplog.FamilyMember, Type: 14}

// movers is how many voters a chain needs for them to move it without the words.
const movers = 3

// Moved says that the person goes on as another. Nothing but a RESET follows it, which
// voids it.
type Moved struct {
	usual
	To    keys.Digest     `cbor:"1,keyasint"`           // uid
	Head  keys.Digest     `cbor:"2,keyasint"`           // of that person's chain
	Sig   *keys.Signature `cbor:"3,keyasint,omitempty"` // by the words; none where the voters alone decide
	Chain DeviceLink      `cbor:"15,keyasint"`
}

func (b *Moved) link() DeviceLink { return b.Chain }

func (b *Moved) shape() error {
	if b.To.IsZero() || b.Head.IsZero() {
		return fmt.Errorf("to nobody")
	}
	return nil
}

func (b *Moved) check(c *Chain, _ oplog.Op) error {
	s := &c.state
	switch {
	case b.To == s.User:
		return fmt.Errorf("to the same person")
	case b.Sig == nil && len(s.Voters) < movers:
		return fmt.Errorf("without the words, by %d voters", len(s.Voters))
	case b.Sig == nil:
		return nil
	}
	if err := s.Words.Verify(keys.PurposeMoved, s.place().moved(b.To, b.Head), *b.Sig); err != nil {
		return fmt.Errorf("without the words: %w", err)
	}
	return nil
}

func (b *Moved) apply(s *State, _ oplog.Op) { s.Moved = &Move{To: b.To, Head: b.Head} }
