package entity

import (
	"bytes"
	"fmt"
	"slices"

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
	p := Proof{Chain: me.ControlStrand()}
	if e == nil {
		return p, true
	}
	m := e.State().Members[me.ID()]
	if m == nil || m.Standing != Active || m.Role != Master {
		return Proof{}, false
	}
	// Each master was added by an older one; walk from him up to the founder.
	var path []oplog.Op
	for user := me.ID(); user != e.State().Founder; {
		o, ok := e.masterAddOf(user)
		if !ok {
			return Proof{}, false
		}
		path = append(path, o)
		user = o.User()
	}
	genesis, _ := e.log.Get(e.ID())
	p.Path = append(p.Path, genesis.Bytes())
	for _, o := range slices.Backward(path) {
		p.Path = append(p.Path, o.Bytes())
	}
	return p, true
}

func (e *Entity) masterAddOf(user keys.Digest) (oplog.Op, bool) {
	for o := range e.log.All(oplog.Control) {
		if o.Family() != oplog.FamilyMaster || o.Type() != TypeMasterAdd || !e.Counts(o) {
			continue
		}
		if body, _, err := decodeBody(o); err == nil && body.(*MasterAdd).Party.User == user {
			return o, true
		}
	}
	return oplog.Op{}, false
}

// Verify checks the proof for the device that answered: kind and the first
// half of the entity's id are those of the link. It returns the issuer's Me and,
// for a board, the board's full id; for the other kinds that id is the issuer's
// user.
func (p Proof) Verify(kind Kind, eid16 [16]byte, device keys.ID) (me *Entity, eid keys.Digest, err error) {
	if p.Size() > MaxProof {
		return nil, eid, fmt.Errorf("%w: a proof of %d bytes", ErrBody, p.Size())
	}
	me, err = OpenDeviceChain(p.Chain)
	if err != nil {
		return nil, eid, err
	}
	refuse := func(why string) (*Entity, keys.Digest, error) {
		return nil, keys.Digest{}, fmt.Errorf("%w: proof of %v: %s", ErrNotAuthorized, device, why)
	}
	if !me.State().Speaks(me.ID(), device, Master) {
		return refuse("not a device of the user it shows")
	}
	if kind != Board {
		if len(p.Path) != 0 {
			return refuse("a path for no board")
		}
		eid = me.ID()
	} else {
		if eid, err = p.verifyPath(me.ID()); err != nil {
			return nil, keys.Digest{}, err
		}
	}
	if !bytes.Equal(eid[:16], eid16[:]) {
		return refuse("of another entity")
	}
	return me, eid, nil
}

// verifyPath follows genesis → add → … to user: each op is signed by a device of
// the master the one before named.
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
		add, ok := body.(*MasterAdd)
		if !ok || add.Party == nil || o.Entity() != eid || o.User() != master.User || !slices.Contains(master.Devices, o.Device()) {
			return refuse("an op is not the next one of the path")
		}
		master = *add.Party
	}
	if master.User != user {
		return refuse("ends at another user")
	}
	return eid, nil
}
