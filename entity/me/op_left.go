package me

import (
	"pttnode/keys"
	"pttnode/oplog"
)

// Left is the body of me/left.
type Left struct {
	Entity keys.Digest `cbor:"1,keyasint"`
}

func (*Left) check() bool { return true }

var left = row{
	word:  "left",
	body:  func() body { return new(Left) },
	apply: func(s *State, _ oplog.Op, b body) { delete(s.Entities, b.(*Left).Entity) },
}
