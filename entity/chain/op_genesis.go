package chain

import (
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
)

var genesisType = Type{Family: oplog.FamilyGenesis, Type: 1}

// kindMe is the kind of entity that a person is.
const kindMe = 1

// Genesis is the genesis of a Me: the first device is the only voter and the anchor.
type Genesis struct {
	Kind  uint64     `cbor:"1,keyasint"`
	Nonce [16]byte   `cbor:"2,keyasint"`
	Words keys.ID    `cbor:"8,keyasint"` // the key of the recovery words
	Class Class      `cbor:"9,keyasint"`
	Box   keys.BoxID `cbor:"10,keyasint"` // device box key
}

func (b *Genesis) link() DeviceLink { return DeviceLink{} }

func (b *Genesis) shape() error {
	switch {
	case b.Kind != kindMe:
		return fmt.Errorf("kind %d", b.Kind)
	case b.Words.IsZero() || b.Class == 0:
		return fmt.Errorf("without words or class")
	}
	return b.Box.Check()
}

func (b *Genesis) check(_ *Chain, o oplog.Op) error {
	if o.User() != o.ID() {
		return fmt.Errorf("by a person who is already")
	}
	return nil
}

func (b *Genesis) apply(s *State, o oplog.Op) {
	*s = State{
		User: o.ID(), Voters: []keys.ID{o.Device()}, Anchor: o.Device(), Words: b.Words,
		devices: []*Device{{ID: o.Device(), Class: b.Class, Box: b.Box, Alive: true}},
	}
}

func (b *Genesis) certificate(*Chain, oplog.Op) certificate { return certificate{} }
