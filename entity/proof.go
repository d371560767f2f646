package entity

import (
	"bytes"
	"fmt"
	"slices"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// Proof shows that a device's user was made master of an entity: the device
// chain of the user and, for a board, the path of ops from genesis to him.
type Proof struct {
	Chain [][]byte `cbor:"1,keyasint"`
	Path  [][]byte `cbor:"2,keyasint"` // empty for friend and device links
}

// Size returns the bytes of the operations in the proof.
func (p Proof) Size() int {
	n := 0
	for _, raw := range slices.Concat(p.Chain, p.Path) {
		n += len(raw)
	}
	return n
}

// ProveMaster returns the shortest proof that the user of me is a master of e;
// e is nil for friend and device links, where the device chain is the proof.
// It reports false when he is none.
func ProveMaster(me, e *Entity) (Proof, bool) {
	p := Proof{Chain: me.DeviceChain()}
	if e == nil {
		return p, true
	}
	m := e.State().Members[me.ID()]
	if m == nil || m.Standing != Active || m.Role != Master {
		return Proof{}, false
	}
	// Each master was made one by an older one; walk from him up to the founder.
	var makers []oplog.Op
	for user := me.ID(); user != e.genesis().User(); {
		o, ok := e.makerOf(user)
		if !ok || len(makers) > len(e.State().Members) {
			return Proof{}, false
		}
		makers = append(makers, o)
		user = o.User()
	}
	genesis := e.genesis()
	p.Path = append(p.Path, genesis.Envelope())
	party, _ := made(e.facts.bodies[0])
	for _, o := range slices.Backward(makers) {
		listings, ok := e.listings(party, o.Device())
		if !ok {
			return Proof{}, false
		}
		for _, l := range append(listings, o) {
			p.Path = append(p.Path, l.Envelope())
		}
		party, _ = made(e.facts.bodies[e.facts.reach.number[o.ID()]])
	}
	return p, true
}

func (e *Entity) genesis() oplog.Op { return e.facts.reach.ops[0] }

// made returns the party that the body of an op made master.
func made(body any) (Party, bool) {
	switch b := body.(type) {
	case *Genesis:
		if b.Founder != nil {
			return *b.Founder, true
		}
	case *MasterAdd:
		return b.Party, true
	case *MasterTransfer:
		return b.Party, true
	}
	return Party{}, false
}

// makerOf returns the first op that counts and made a user master.
func (e *Entity) makerOf(user keys.Digest) (oplog.Op, bool) {
	for _, n := range e.facts.order(e.log, slices.Clone(e.facts.about[user])) {
		o := e.facts.reach.ops[n]
		if party, ok := made(e.facts.bodies[n]); ok && n > 0 && party.User == user && e.Counts(o) {
			return o, true
		}
	}
	return oplog.Op{}, false
}

// listings returns the ops by which a device came to speak for a master after he
// was made one with the devices of party; none when it was among those.
func (e *Entity) listings(party Party, device keys.ID) ([]oplog.Op, bool) {
	var out []oplog.Op
	for !slices.Contains(party.Devices, device) {
		o, ok := e.lister(party.User, device)
		if !ok || len(out) > MaxDevices {
			return nil, false
		}
		out = append(out, o)
		device = o.Device() // which has to be one already
	}
	slices.Reverse(out)
	return out, true
}

// lister returns the first op by another device of a user that lists device.
func (e *Entity) lister(user keys.Digest, device keys.ID) (oplog.Op, bool) {
	for _, n := range e.facts.order(e.log, slices.Clone(e.facts.about[user])) {
		o := e.facts.reach.ops[n]
		b, ok := e.facts.bodies[n].(*Devices)
		if ok && o.User() == user && o.Device() != device && slices.Contains(b.Party.Devices, device) && e.Counts(o) {
			return o, true
		}
	}
	return oplog.Op{}, false
}

// Verify checks the proof for the device that answered: kind and the first
// half of the entity's id are those of the link. It returns the issuer's device chain and,
// for a board, the board's full id; for the other kinds that id is the issuer's
// user.
func (p Proof) Verify(kind Kind, eid16 [16]byte, device keys.ID) (me *chain.Chain, eid keys.Digest, err error) {
	if p.Size() > MaxProof {
		return nil, eid, fmt.Errorf("%w: a proof of %d bytes", ErrBody, p.Size())
	}
	me, err = OpenDeviceChain(p.Chain)
	if err != nil {
		return nil, eid, err
	}
	refuse := func(why string) (*chain.Chain, keys.Digest, error) {
		return nil, keys.Digest{}, fmt.Errorf("%w: proof of %v: %s", ErrNotAuthorized, device, why)
	}
	if _, ok := me.State().Device(device); !ok {
		return refuse("not a device of the user it shows")
	}
	if kind != Board {
		if len(p.Path) != 0 {
			return refuse("a path for no board")
		}
		eid = me.User()
	} else {
		if eid, err = p.verifyPath(me.User()); err != nil {
			return nil, keys.Digest{}, err
		}
	}
	if !bytes.Equal(eid[:16], eid16[:]) {
		return refuse("of another entity")
	}
	return me, eid, nil
}

// verifyPath follows genesis → … to user: each op makes another user master, or
// says with which devices the present one speaks, and is signed by a device of the
// master that the one before named.
func (p Proof) verifyPath(user keys.Digest) (keys.Digest, error) {
	refuse := func(why string) (keys.Digest, error) {
		return keys.Digest{}, fmt.Errorf("%w: path to %v: %s", ErrNotAuthorized, user, why)
	}
	var eid keys.Digest
	var master Party
	for i, raw := range p.Path {
		o, err := oplog.Parse(raw)
		if err != nil {
			return keys.Digest{}, err
		}
		body, _, err := decodeBody(o)
		if err != nil {
			return keys.Digest{}, fmt.Errorf("%w: %w", ErrBody, err)
		}
		if i == 0 {
			s, err := begin(o, body)
			if err != nil {
				return keys.Digest{}, err
			}
			if s.Kind != Board {
				return refuse("not from a board")
			}
			eid, master = o.ID(), s.Members[s.Founder].Party
			continue
		}
		next, ok := made(body)
		if d, listing := body.(*Devices); listing && d.Party.User == master.User {
			next, ok = d.Party, true
		}
		if !ok || o.Entity() != eid || o.User() != master.User || !slices.Contains(master.Devices, o.Device()) {
			return refuse("an op is not the next one of the path")
		}
		master = next
	}
	if master.User != user {
		return refuse("ends at another user")
	}
	return eid, nil
}
