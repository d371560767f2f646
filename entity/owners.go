package entity

import (
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// owners is what was found out about who wrote content as an owner, and by which verdict;
// a control op that comes makes it void.
type owners struct {
	verdict *verdict
	control int // how many control ops there were then
	wrote   map[keys.Digest]bool
}

// WroteAsOwner reports whether the author of a content op was an owner at the heads that
// it cites. What is void now made nobody an owner, whatever stood when o came.
func (e *Entity) WroteAsOwner(o oplog.Op) bool {
	if n := len(e.facts.reach.ops); e.owners.wrote == nil || e.owners.control != n {
		e.owners = owners{e.verdict(e.facts.reach.upTo(e.log.Heads(oplog.Control))), n, make(map[keys.Digest]bool)}
	}
	yes, ok := e.owners.wrote[o.ID()]
	if !ok {
		yes = e.partial(e.facts.reach.upTo(o.Auth()), e.owners.verdict, o.User()).Speaks(o.User(), o.Device(), Master)
		e.owners.wrote[o.ID()] = yes
	}
	return yes
}

// ForGood reports whether the right by which a content op was written can change no more:
// in a Board, when all heads that it cites are in the past of the last final checkpoint; no
// other kind has what could change it.
func (e *Entity) ForGood(o oplog.Op) bool {
	if e.facts.kind() != Board {
		return true
	}
	return !slices.ContainsFunc(o.Auth(), func(id keys.Digest) bool {
		head, ok := e.log.Get(id)
		return !ok || !e.Final(head)
	})
}
