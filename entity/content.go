package entity

import (
	"slices"

	"pttnode/oplog"
)

// ProfileOf returns the last profile written by the founder of a Profile, of those
// within bounds.
func (e *Entity) ProfileOf(ring Keyring) ProfileSet {
	var last ProfileSet
	for o := range e.log.All(oplog.Content) {
		var p ProfileSet
		if o.Family() == oplog.FamilyProfile && o.Type() == TypeProfileSet && e.Counts(o) && e.Read(o, ring, &p) == nil &&
			text(p.Name, MaxName) && text(p.Card, MaxText) {
			last = p
		}
	}
	return last
}

// RoleFor returns the role that an entity's kind gives a newcomer when the
// invite says none.
func RoleFor(k Kind) Role {
	roles := ruleOf[k].roles
	if len(roles) == 0 {
		return 0
	}
	return slices.Max(roles)
}
