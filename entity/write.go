package entity

import (
	"fmt"
	"slices"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// Author is who writes: a device of a user, at a time.
type Author struct {
	Key  keys.Private
	User keys.Digest
	Now  time.Time
}

// Control signs a control operation with the given body at the present heads
// and appends it. It fails with ErrFrozen, unless it only takes away, or like Add.
func (e *Entity) Control(a Author, family oplog.Family, typ uint16, body any) (oplog.Op, error) {
	return e.controlAfter(keys.Digest{}, a, family, typ, body)
}

// controlAfter is Control for an op that has another one in its past, unless its id is zero.
func (e *Entity) controlAfter(id keys.Digest, a Author, family oplog.Family, typ uint16, body any) (oplog.Op, error) {
	if e.State().Frozen && !takesAwayType(family, typ) {
		return oplog.Op{}, ErrFrozen
	}
	d := e.draft(a, oplog.Control, family, typ, keys.Marshal(body))
	e.see(&d, id)
	o, err := oplog.Sign(a.Key, d)
	if err != nil {
		return oplog.Op{}, err
	}
	_, err = e.Add(o)
	return o, err
}

// Write signs a content operation about another one, zero for none, whose body is sealed
// with the key of the writing epoch, and appends it. One without a body, which is nil, needs
// no key. It fails with ErrEnded, ErrFrozen, ErrNotAuthorized or ErrNoKey, or like Add.
func (e *Entity) Write(a Author, ring Keyring, family oplog.Family, typ uint16, about keys.Digest, body any) (oplog.Op, error) {
	s := e.State()
	switch {
	case s.Ended:
		return oplog.Op{}, ErrEnded
	case s.Frozen:
		return oplog.Op{}, ErrFrozen
	case !s.CanWrite(a.User, a.Key.ID()):
		return oplog.Op{}, fmt.Errorf("%w: write in %v", ErrNotAuthorized, e.ID())
	}
	d := e.draft(a, oplog.Content, family, typ, nil)
	d.Auth = e.limitHeads(oplog.Control)
	d.About = about
	if body != nil {
		epoch, ok := s.WritingEpoch(func(id keys.Digest) bool { _, ok := ring[id]; return ok })
		if !ok {
			return oplog.Op{}, ErrNoKey
		}
		plain := keys.Marshal(body)
		d.Epoch = epoch.ID
		d.Seal = func(aad []byte) []byte {
			return ring[epoch.ID].Seal(e.ID(), epoch.ID, contentAAD(aad, epoch.Commitment), plain)
		}
	}
	o, err := oplog.Sign(a.Key, d)
	if err != nil {
		return oplog.Op{}, err
	}
	_, err = e.Add(o)
	return o, err
}

// Read opens the body of a content operation of the log into body, a pointer to a zero
// struct. It fails with ErrBody where its author gave it none, or what does not open; with
// ErrNoKey, with ErrNoBody, and as the log's source does.
func (e *Entity) Read(o oplog.Op, ring Keyring, body any) error {
	if o.Size() == 0 {
		return fmt.Errorf("%w: content op %v has none", ErrBody, o.ID())
	}
	key, ok := ring[o.Epoch()]
	if !ok {
		return fmt.Errorf("%w: %v", ErrNoKey, o.ID())
	}
	o, err := e.log.Whole(o)
	if err != nil {
		return err
	}
	if o.Body() == nil {
		return fmt.Errorf("%w: %v", ErrNoBody, o.ID())
	}
	plain, err := key.Open(e.ID(), o.Epoch(), contentAAD(o.AAD(), e.State().Epochs[o.Epoch()].Commitment), o.Body())
	if err != nil {
		return fmt.Errorf("%w: content op %v: %w", ErrBody, o.ID(), err)
	}
	if err := keys.Unmarshal(plain, body); err != nil {
		return fmt.Errorf("%w: content op %v: %w", ErrBody, o.ID(), err)
	}
	return nil
}

// contentAAD binds a sealed body to its envelope and to the one key that the
// epoch committed to (docs/PROTOCOL.md §2.7).
func contentAAD(envelope []byte, commitment keys.Digest) []byte {
	return keys.LP([]byte(keys.LabelContentAAD), envelope, commitment[:])
}

// Counts reports whether an accepted operation has its effect: it is not void,
// not beyond a cut, not of a device that signed two at one place, and its author's
// admission did not become void.
func (e *Entity) Counts(o oplog.Op) bool {
	if o.Strand() == oplog.Control {
		return !e.State().Void[o.ID()]
	}
	at, forked := e.log.Forked(o.Device(), oplog.Content)
	return e.State().Members[o.User()] != nil && !e.State().beyondCut(o) && !(forked && o.Seq() >= at)
}

func (e *Entity) draft(a Author, s oplog.Strand, family oplog.Family, typ uint16, body []byte) oplog.Draft {
	d := oplog.Draft{
		Entity: e.ID(), User: a.User, Strand: s, Family: family, Type: typ,
		Parents: e.limitHeads(s), At: a.Now, Body: body,
	}
	if tip, ok := e.log.Tip(a.Key.ID(), s); ok {
		d.Seq, d.Prev = tip.Seq()+1, tip.ID()
	}
	return d
}

// see has a control op build on another one, though there are more heads than it may name.
func (e *Entity) see(d *oplog.Draft, id keys.Digest) {
	n, ok := e.facts.reach.number[id]
	if !ok || e.facts.reach.upTo(append(slices.Clone(d.Parents), d.Prev)).has(n) {
		return
	}
	d.Parents = append(slices.Clone(d.Parents[:min(len(d.Parents), oplog.MaxParents-1)]), id)
	slices.SortFunc(d.Parents, compare)
}

// limitHeads returns the heads of a strand, of more than an op may name the
// first; the rest stay heads for the next op.
func (e *Entity) limitHeads(s oplog.Strand) []keys.Digest {
	h := e.log.Heads(s)
	return h[:min(len(h), oplog.MaxParents)]
}
