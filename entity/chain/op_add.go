package chain

import (
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
)

var addType = Type{Family: oplog.FamilyMember, Type: 8}

// DeviceAdd makes a device one of the person's: a learner that is not alive yet.
type DeviceAdd struct {
	usual
	Device  keys.ID        `cbor:"1,keyasint"`
	Class   Class          `cbor:"2,keyasint"`
	Box     keys.BoxID     `cbor:"3,keyasint"` // device box key: receives Me's op-keys
	Consent keys.Signature `cbor:"4,keyasint"` // by the device, over Consent
	Ref     [16]byte       `cbor:"5,keyasint"` // the invite
	Weight  uint64         `cbor:"6,keyasint"` // Learner
	Chain   DeviceLink     `cbor:"15,keyasint"`
}

func (b *DeviceAdd) link() DeviceLink { return b.Chain }

func (b *DeviceAdd) shape() error {
	switch {
	case b.Device.IsZero() || b.Class == 0:
		return fmt.Errorf("without device or class")
	case b.Weight != Learner:
		return fmt.Errorf("weight %d, want %d", b.Weight, Learner)
	}
	return b.Box.Check()
}

func (b *DeviceAdd) check(c *Chain, _ oplog.Op) error {
	switch s := &c.state; {
	case s.device(b.Device) != nil:
		return fmt.Errorf("%v is in the set", b.Device)
	case s.Removed(b.Device):
		return fmt.Errorf("%v was removed", b.Device)
	case len(s.devices) >= MaxDevices:
		return fmt.Errorf("%d devices", len(s.devices))
	}
	if err := b.Device.Verify(keys.PurposeLink, Consent(c.state.User, b.Device, b.Box), b.Consent); err != nil {
		return fmt.Errorf("without the device's consent: %w", err)
	}
	return nil
}

func (b *DeviceAdd) apply(s *State, _ oplog.Op) {
	s.set(Device{ID: b.Device, Class: b.Class, Box: b.Box})
}
