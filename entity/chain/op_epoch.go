package chain

import (
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
)

var epochType = Type{Family: oplog.FamilyOpKey, Type: 1}

// FirstEpoch is the first epoch of a Me, which brings the first user box key. Its later
// ones are part of ops that change the set, or stand outside the chain.
type FirstEpoch struct {
	usual
	Commitment keys.Digest   `cbor:"1,keyasint"`
	Depth      uint64        `cbor:"2,keyasint"` // 1
	Replaces   []keys.Digest `cbor:"3,keyasint"` // none
	Boxes      *keys.Digest  `cbor:"4,keyasint,omitempty"`
	Count      uint64        `cbor:"5,keyasint,omitempty"`
	UserBox    keys.BoxID    `cbor:"6,keyasint"`
	Chain      DeviceLink    `cbor:"15,keyasint"`
}

func (b *FirstEpoch) link() DeviceLink { return b.Chain }

func (b *FirstEpoch) shape() error {
	if b.Depth != 1 || len(b.Replaces) > 0 {
		return fmt.Errorf("a first epoch of depth %d that replaces %d", b.Depth, len(b.Replaces))
	}
	e := NextEpoch{Commitment: b.Commitment, Depth: b.Depth, Replaces: b.Replaces, Boxes: b.Boxes, Count: b.Count, UserBox: b.UserBox}
	return e.any()
}

func (b *FirstEpoch) check(*Chain, oplog.Op) error { return nil }

func (b *FirstEpoch) apply(s *State, _ oplog.Op) { s.Box = b.UserBox }
