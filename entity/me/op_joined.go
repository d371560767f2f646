package me

import (
	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// Joined is the body of me/joined: what the user's other devices need to have
// an entity too.
type Joined struct {
	Entity keys.Digest       `cbor:"1,keyasint"`
	Kind   entity.Kind       `cbor:"2,keyasint"`
	Heads  []keys.Digest     `cbor:"3,keyasint"`
	Addrs  [][]byte          `cbor:"4,keyasint"` // signed peer records
	Keys   []entity.EpochKey `cbor:"5,keyasint"`
}

func (*Joined) check() bool { return true }

var joined = row{
	word: "joined",
	body: func() body { return new(Joined) },
	apply: func(s *State, _ oplog.Op, b body) {
		j := *b.(*Joined)
		s.keys[j.Entity] = append(s.keys[j.Entity], j.Keys...)
		j.Keys = s.keys[j.Entity] // those of all entries: an epoch's key never changes
		s.Entities[j.Entity] = j
	},
	hide: func(b any) { b.(*Joined).Keys, b.(*Joined).Addrs = nil, nil },
}
