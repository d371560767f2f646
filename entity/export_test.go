package entity

import (
	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// NextCheckpoint returns what a checkpoint over the present heads has to say, whoever
// signs it.
func (e *Entity) NextCheckpoint() Checkpoint {
	return e.checkpointOf(e.facts.reach.upTo(e.log.Heads(oplog.Control)))
}

// Person returns what the branches of a Me's device chain come to, nil in other kinds.
func (e *Entity) Person() *chain.Verdict { return e.State().person }

// ChainAt returns the device chain of a Me up to one of its ops, nil for any other.
func (e *Entity) ChainAt(op keys.Digest) *chain.Chain { return e.facts.devices[op] }
