package entitytest

import (
	"bytes"
	"fmt"
	"runtime"
	"weak"

	"pttnode/keys"
	"pttnode/oplog"
)

// Store is an [oplog.Source] that parses an op anew each time, and knows what of it
// somebody still holds.
type Store struct {
	Err   error // what Whole fails with, if any
	pairs map[keys.Digest]oplog.Pair
	given []weak.Pointer[byte] // bodies
}

// NewStore returns a store of ops.
func NewStore(ops ...oplog.Op) *Store {
	s := &Store{pairs: make(map[keys.Digest]oplog.Pair)}
	for _, o := range ops {
		s.pairs[o.ID()] = oplog.Pair{Envelope: bytes.Clone(o.Envelope()), Body: bytes.Clone(o.Body())}
	}
	return s
}

// Whole returns an op with its envelope, and with its body if that is here.
func (s *Store) Whole(o oplog.Op) (oplog.Op, error) {
	if s.Err != nil {
		return oplog.Op{}, s.Err
	}
	return s.give(o.ID(), o.Here())
}

// Op returns an op with its body as it comes.
func (s *Store) Op(tb TB, id keys.Digest) oplog.Op {
	tb.Helper()
	o, err := s.give(id, true)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return o
}

func (s *Store) give(id keys.Digest, here bool) (oplog.Op, error) {
	p := oplog.Pair{Envelope: bytes.Clone(s.pairs[id].Envelope)}
	if here {
		p.Body = bytes.Clone(s.pairs[id].Body)
	}
	ops := oplog.ParseBatch(oplog.HashAll([]oplog.Pair{p}))
	if len(ops) != 1 {
		return oplog.Op{}, fmt.Errorf("entitytest: no op %v", id)
	}
	if len(p.Body) > 0 {
		s.given = append(s.given, weak.Make(&p.Body[0]))
	}
	return ops[0], nil
}

// Alive returns how many bodies were given, and how many of these somebody still holds.
func (s *Store) Alive() (given, alive int) {
	runtime.GC()
	for _, p := range s.given {
		if p.Value() != nil {
			alive++
		}
	}
	return len(s.given), alive
}
