package chain

import (
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
)

var removeType = Type{Family: oplog.FamilyMember, Type: 9}

// DeviceRemove ends a device. The removal of a voter names who decides from then on, that
// of the anchor which it is.
type DeviceRemove struct {
	usual
	Device keys.ID    `cbor:"1,keyasint"`
	Cuts   []Cut      `cbor:"2,keyasint"` // both strands of the device
	Epoch  NextEpoch  `cbor:"3,keyasint"` // whose key the device does not get
	Voters []keys.ID  `cbor:"4,keyasint,omitempty"`
	Ready  []Vote     `cbor:"5,keyasint,omitempty"` // of those that become voters
	Anchor *keys.ID   `cbor:"6,keyasint,omitempty"`
	Chain  DeviceLink `cbor:"15,keyasint"`
}

func (b *DeviceRemove) link() DeviceLink { return b.Chain }

func (b *DeviceRemove) shape() error { return b.Epoch.shape() }

func (b *DeviceRemove) going() going {
	return going{gone: []keys.ID{b.Device}, cuts: b.Cuts, voters: b.Voters, ready: b.Ready, anchor: b.Anchor}
}

func (b *DeviceRemove) check(c *Chain, o oplog.Op) error {
	switch s := &c.state; {
	case s.device(b.Device) == nil:
		return fmt.Errorf("%v is not in the set", b.Device)
	case o.Device() == b.Device:
		return fmt.Errorf("by the device itself, which would know the next key")
	case s.SoleVoter(b.Device):
		return fmt.Errorf("%v is the last voter", b.Device)
	}
	return b.going().check(&c.state)
}

func (b *DeviceRemove) apply(s *State, _ oplog.Op) { b.going().apply(s, &b.Epoch) }
