package chain

import (
	"fmt"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

var votersType = Type{Family: oplog.FamilyMember, Type: 11}

// SetVoters says which devices decide from then on.
type SetVoters struct {
	usual
	fine
	Voters []keys.ID  `cbor:"1,keyasint"`           // ascending; 1, 3 or 5
	Ready  []Vote     `cbor:"2,keyasint,omitempty"` // of those that were none
	Chain  DeviceLink `cbor:"15,keyasint"`
}

func (b *SetVoters) link() DeviceLink { return b.Chain }

func (b *SetVoters) check(c *Chain, _ oplog.Op) error {
	if slices.Equal(b.Voters, c.state.Voters) {
		return fmt.Errorf("the voters as they are")
	}
	return checkVoters(&c.state, &c.state, b.Voters, b.Ready)
}

func (b *SetVoters) apply(s *State, _ oplog.Op) { s.Voters = b.Voters }
