package entity

import (
	"fmt"
	"maps"
	"slices"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// NewDevice is what a device knows before it reads the approval that makes it one
// of a user's.
type NewDevice struct {
	User    keys.Digest    // whose it becomes
	ID      keys.ID        // itself
	Box     keys.BoxID     // its device box key
	Consent keys.Signature // as it gave it
	Ref     [16]byte       // the invite
	Heads   []keys.Digest  // heads that must be inside the log (card.heads)
}

// CreateJoinMe is the creation of a joined Me on a new device (docs/PROTOCOL.md §6.5): it
// checks everything that the approval says of e, the control strand, which was judged op by
// op, and returns its keys.
func CreateJoinMe(e *Entity, ap Approval, want NewDevice) (Keyring, error) {
	refuse := func(why string) (Keyring, error) {
		return nil, fmt.Errorf("%w: approval for device %v: %s", ErrNotAuthorized, want.ID, why)
	}
	s := e.State()
	if s.Kind != Me || ap.Entity != want.User {
		return nil, fmt.Errorf("%w: a %v, want the Me of the issuer", ErrKind, s.Kind)
	}
	if !e.Holds(want.Heads) || !e.Holds(ap.Heads) {
		return refuse("the log lacks a head it was offered with")
	}
	o, ok := e.log.Get(ap.Admit)
	if !ok || !e.Counts(o) {
		return refuse("its device-add is not in the log")
	}
	body, _, err := decodeBody(o)
	if err != nil {
		return nil, err
	}
	var add *chain.DeviceAdd
	if b, is := body.(*DeviceOp); is {
		add, _ = b.Body.(*chain.DeviceAdd)
	}
	if add == nil || add.Device != want.ID || add.Box != want.Box || add.Consent != want.Consent || add.Ref != want.Ref {
		return refuse("adds another device, or by another invite")
	}
	if _, ok := s.Device(want.ID); !ok {
		return refuse("we are not in the set")
	}
	return openKeys(s, ap.Keys, slices.Collect(maps.Keys(s.Epochs)))
}

// Listing returns the last op of user's that made device one of his here; zero if
// there is none.
func (e *Entity) Listing(user keys.Digest, device keys.ID) keys.Digest {
	var last keys.Digest
	for o := range e.log.All(oplog.Control) {
		if e.lists(o.ID(), user, device) {
			last = o.ID()
		}
	}
	return last
}

// lists reports whether an op by user makes device one of his here, and counts.
func (e *Entity) lists(op, user keys.Digest, device keys.ID) bool {
	o, ok := e.log.Get(op)
	if !ok || o.Strand() != oplog.Control || o.User() != user || !e.Counts(o) {
		return false
	}
	switch b := e.facts.bodies[e.facts.reach.number[op]].(type) {
	case *Genesis:
		return b.Founder != nil && slices.Contains(b.Founder.Devices, device)
	case *Devices:
		return b.Party.User == user && slices.Contains(b.Party.Devices, device)
	case *DeviceOp:
		add, ok := b.Body.(*chain.DeviceAdd)
		return ok && add.Device == device
	}
	return false
}

// CreateOwn is the creation, on a device of the user whose Me is me, of an entity that
// another of their devices hands over (init-me-info-sync), of which e is the control strand,
// judged op by op: it was founded by the user, ap.Admit is an op of theirs, and device speaks
// for them there. It returns the keys.
func CreateOwn(e *Entity, ap Approval, me *Entity, kind Kind, device keys.ID) (Keyring, error) {
	refuse := func(why string) (Keyring, error) {
		return nil, fmt.Errorf("%w: %v handed over: %s", ErrNotAuthorized, ap.Entity, why)
	}
	s := e.State()
	if s.Kind != kind || kind == Board && !s.Personal {
		return nil, fmt.Errorf("%w: a %v, want the user's own %v", ErrKind, s.Kind, kind)
	}
	switch {
	case !e.Holds(ap.Heads):
		return refuse("the log lacks a head it was handed over with")
	case s.Founder != me.ID():
		return refuse("founded by another")
	case !e.lists(ap.Admit, me.ID(), device):
		return refuse("the op that lists the device is not in the log")
	case len(ap.Heads) > 0 && !e.Saw(ap.Heads, ap.Admit):
		return refuse("the op that lists the device is not among the ancestors of its heads")
	case !s.Speaks(me.ID(), device, Reader):
		return refuse("the device does not speak for its user there")
	}
	return openKeys(s, ap.Keys, slices.Collect(maps.Keys(s.Epochs)))
}
