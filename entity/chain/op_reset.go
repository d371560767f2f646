package chain

import (
	"fmt"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

var resetType = Type{Family: oplog.FamilyCheckpoint, Type: oplog.TypeReset}

// Survivor is a device of the set that a RESET leaves.
type Survivor struct {
	Device keys.ID         `cbor:"1,keyasint"`
	Class  Class           `cbor:"2,keyasint"`
	Box    keys.BoxID      `cbor:"3,keyasint"`
	Ready  *keys.Signature `cbor:"4,keyasint,omitempty"` // of one that is new to the set, or becomes a voter
}

// Reset begins the set anew. The words' key signs it, as its author, and nobody votes.
// It takes the next number.
type Reset struct {
	Survivors []Survivor `cbor:"1,keyasint"` // ascending
	Cuts      []Cut      `cbor:"2,keyasint,omitempty"`
	Epoch     NextEpoch  `cbor:"3,keyasint"`
	Voters    []keys.ID  `cbor:"4,keyasint"`
	Anchor    keys.ID    `cbor:"5,keyasint"`
	Chain     DeviceLink `cbor:"15,keyasint"`
}

func (b *Reset) link() DeviceLink { return b.Chain }

func (b *Reset) shape() error {
	if n := len(b.Survivors); n == 0 || n > MaxDevices {
		return fmt.Errorf("%d survivors", n)
	}
	if !ascending(b.Survivors, func(x, y Survivor) int { return compareIDs(x.Device, y.Device) }) {
		return fmt.Errorf("survivors not ascending")
	}
	for _, d := range b.Survivors {
		if d.Device.IsZero() || d.Class == 0 {
			return fmt.Errorf("a survivor without device or class")
		}
		if err := d.Box.Check(); err != nil {
			return err
		}
	}
	if err := shapeOfCuts(b.Cuts); err != nil {
		return err
	}
	return b.Epoch.shape()
}

// names reports whether a device survives.
func (b *Reset) names(id keys.ID) bool {
	return slices.ContainsFunc(b.Survivors, func(d Survivor) bool { return d.Device == id })
}

func (b *Reset) check(c *Chain, _ oplog.Op) error {
	s := &c.state
	for _, d := range b.Survivors {
		if err := b.survives(s, d); err != nil {
			return fmt.Errorf("survivor %v: %w", d.Device, err)
		}
	}
	for _, cut := range b.Cuts {
		if b.names(cut.Device) {
			return fmt.Errorf("a cut of %v, which survives", cut.Device)
		}
	}
	for _, d := range s.devices {
		if !b.names(d.ID) && !slices.ContainsFunc(b.Cuts, func(c Cut) bool { return c.Device == d.ID }) {
			return fmt.Errorf("no cut of %v, which goes", d.ID)
		}
	}
	after := *s
	b.apply(&after, oplog.Op{})
	if err := checkAnchor(&after, b.Anchor); err != nil {
		return err
	}
	// A new voter signed as a survivor that it is ready: no further signature is needed.
	after.Voters = b.Voters
	return checkVoters(&after, &after, b.Voters, nil)
}

// survives checks one survivor.
func (b *Reset) survives(s *State, d Survivor) error {
	old := s.device(d.Device)
	switch {
	case s.Removed(d.Device):
		return fmt.Errorf("was removed")
	case old != nil && old.Box != d.Box:
		return fmt.Errorf("has another box key")
	}
	news := old == nil || slices.Contains(b.Voters, d.Device) && !s.Votes(d.Device)
	switch {
	case news && d.Ready == nil:
		return fmt.Errorf("is not ready")
	case !news && d.Ready != nil:
		return fmt.Errorf("is ready for nothing")
	case news:
		return d.Device.Verify(keys.PurposeReady, s.place().ready(d.Box), *d.Ready)
	}
	return nil
}

func (b *Reset) apply(s *State, _ oplog.Op) {
	var gone []keys.ID
	for _, d := range s.devices {
		if !b.names(d.ID) {
			gone = append(gone, d.ID)
		}
	}
	s.remove(gone)
	for _, d := range b.Survivors {
		old := s.device(d.Device)
		s.set(Device{ID: d.Device, Class: d.Class, Box: d.Box, Alive: d.Ready != nil || old != nil && old.Alive})
	}
	s.Voters, s.Anchor, s.Box, s.Moved = b.Voters, b.Anchor, b.Epoch.UserBox, nil
	s.number(byReset)
}

func (b *Reset) certificate(*Chain, oplog.Op) certificate { return certificate{} }
