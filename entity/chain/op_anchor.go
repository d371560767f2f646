package chain

import (
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
)

var anchorType = Type{Family: oplog.FamilyMember, Type: 12}

// SetAnchor hands over to a device: the one that the others fall back on.
type SetAnchor struct {
	usual
	fine
	Device keys.ID    `cbor:"1,keyasint"`
	Chain  DeviceLink `cbor:"15,keyasint"`
}

func (b *SetAnchor) link() DeviceLink { return b.Chain }

func (b *SetAnchor) check(c *Chain, _ oplog.Op) error {
	if b.Device == c.state.Anchor {
		return fmt.Errorf("%v is the anchor", b.Device)
	}
	return checkAnchor(&c.state, b.Device)
}

func (b *SetAnchor) apply(s *State, _ oplog.Op) { s.Anchor = b.Device }
