package me

import (
	"bytes"

	"pttnode/keys"
	"pttnode/oplog"
)

// MaxSeen is how many ops one me/read names.
const MaxSeen = 256

// Seen is the body of me/read: content ops that the user has read, each for
// itself.
type Seen struct {
	Entity keys.Digest   `cbor:"1,keyasint"`
	Heads  []keys.Digest `cbor:"2,keyasint"` // ascending, at most MaxSeen
}

func (b *Seen) check() bool {
	for i := 1; i < len(b.Heads); i++ {
		if bytes.Compare(b.Heads[i-1][:], b.Heads[i][:]) >= 0 {
			return false
		}
	}
	return len(b.Heads) <= MaxSeen
}

var read = row{
	word: "read",
	body: func() body { return new(Seen) },
	apply: func(s *State, _ oplog.Op, b body) {
		seen := b.(*Seen)
		if s.Seen[seen.Entity] == nil {
			s.Seen[seen.Entity] = make(map[keys.Digest]bool)
		}
		for _, id := range seen.Heads {
			s.Seen[seen.Entity][id] = true
		}
	},
}
