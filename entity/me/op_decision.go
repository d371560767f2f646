package me

import (
	"pttnode/keys"
	"pttnode/oplog"
)

// Decision is the body of me/decision: what the user decided, on any of his
// devices, about a request that waits at the device that made the link.
type Decision struct {
	Ref    [16]byte    `cbor:"1,keyasint"`
	JoinID keys.Digest `cbor:"2,keyasint"`
	Choice uint8       `cbor:"3,keyasint"` // Approve or Reject
}

// Choices of a Decision. Wire values; do not reorder.
const (
	Approve uint8 = 1
	Reject  uint8 = 2
)

// check refuses other choices: what is not understood must not stand for a no.
func (b *Decision) check() bool { return b.Choice == Approve || b.Choice == Reject }

// Decided is a Decision with who wrote it.
type Decided struct {
	Decision
	By keys.ID
}

var decision = row{
	word: "decision",
	body: func() body { return new(Decision) },
	apply: func(s *State, o oplog.Op, b body) {
		d := b.(*Decision)
		if _, ok := s.Decisions[d.JoinID]; !ok {
			s.Decisions[d.JoinID] = Decided{*d, o.Device()}
		}
	},
}
