package chain

import (
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
)

var classType = Type{Family: oplog.FamilyMember, Type: 10}

// DeviceClass gives a device its class; from here on it is alive.
type DeviceClass struct {
	usual
	Device keys.ID    `cbor:"1,keyasint"`
	Class  Class      `cbor:"2,keyasint"`
	Chain  DeviceLink `cbor:"15,keyasint"`
}

func (b *DeviceClass) link() DeviceLink { return b.Chain }

func (b *DeviceClass) shape() error {
	if b.Class == 0 {
		return fmt.Errorf("without class")
	}
	return nil
}

func (b *DeviceClass) check(c *Chain, _ oplog.Op) error {
	switch d := c.state.device(b.Device); {
	case d == nil:
		return fmt.Errorf("%v is not in the set", b.Device)
	case d.Alive && d.Class == b.Class:
		return fmt.Errorf("%v is a %v and alive", b.Device, d.Class)
	}
	return nil
}

func (b *DeviceClass) apply(s *State, _ oplog.Op) {
	d, _ := s.Device(b.Device)
	d.Class, d.Alive = b.Class, true
	s.set(d)
}
