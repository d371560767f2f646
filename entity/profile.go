package entity

import (
	"errors"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// profile is what a Profile said when it was read last.
type profile struct {
	ops   int // of the log then
	set   ProfileSet
	at    oplog.Op   // zero for none
	lacks []oplog.Op // later ones that had no body here, or no key
}

// stands reports whether a reading of a log of so many ops would come to the same again.
func (p profile) stands(ops int, ring Keyring) bool {
	can := func(o oplog.Op) bool { _, ok := ring[o.Epoch()]; return ok && o.Here() }
	return p.ops == ops && !slices.ContainsFunc(p.lacks, can) && (p.at.IsZero() || can(p.at))
}

// ProfileOf returns the last profile written by the founder of a Profile, of those that
// can be read here and are within bounds.
func (e *Entity) ProfileOf(ring Keyring) ProfileSet { return e.readProfile(ring).set }

func (e *Entity) readProfile(ring Keyring) profile {
	if e.profile.stands(e.log.Len(), ring) {
		return e.profile
	}
	now := profile{ops: e.log.Len()}
	for o := range e.log.Backward(oplog.Content) {
		if !isProfile(o) || !e.Counts(o) {
			continue
		}
		var p ProfileSet
		switch err := e.Read(o, ring, &p); {
		case err != nil && !errors.Is(err, ErrBody):
			now.lacks = append(now.lacks, o)
			continue
		case err != nil, !IsText(p.Name, MaxName), !IsText(p.Card, MaxText):
			continue
		}
		now.set, now.at = p, o
		break
	}
	e.profile = now
	return now
}

func isProfile(o oplog.Op) bool {
	return o.Family() == oplog.FamilyProfile && o.Type() == TypeProfileSet
}

// DeadProfiles returns the ids of the profiles before the one that ProfileOf returns, which
// are shown nowhere, each true: that is so for good (docs/PROTOCOL.md §2.11).
func (e *Entity) DeadProfiles(ring Keyring) map[keys.Digest]bool {
	dead := make(map[keys.Digest]bool)
	last := e.readProfile(ring).at
	if last.IsZero() {
		return dead
	}
	for o := range e.log.All(oplog.Content) {
		if o.Is(last) {
			break
		}
		if isProfile(o) && e.Counts(o) {
			dead[o.ID()] = true
		}
	}
	return dead
}
