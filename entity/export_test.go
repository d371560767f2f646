package entity

import (
	"pttnode/keys"
	"pttnode/oplog"
)

// NextCheckpoint returns what a checkpoint over the present heads has to say, whoever
// signs it.
func (e *Entity) NextCheckpoint() Checkpoint {
	c := e.checkpointOf(e.facts.reach.upTo(e.log.Heads(oplog.Control)))
	c.Heads = e.contentHeads()
	c.Content = contentRoot(e.ID(), c.Heads, nil)
	return c
}

func (e *Entity) ContentRoot(heads []oplog.Head, drops ...oplog.Stub) keys.Digest {
	return contentRoot(e.ID(), heads, drops)
}
