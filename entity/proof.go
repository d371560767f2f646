package entity

import (
	"bytes"
	"fmt"

	"pttnode/entity/chain"
	"pttnode/keys"
)

// Proof shows whose a device is that made a link: the device chain of its user. That the
// user may let anybody in follows from the log that an approval brings, and from nothing
// before it (docs/PROTOCOL.md §5.2).
type Proof struct {
	Chain [][]byte `cbor:"1,keyasint"`
}

// Size returns the bytes of the operations in the proof.
func (p Proof) Size() int {
	n := 0
	for _, raw := range p.Chain {
		n += len(raw)
	}
	return n
}

// ProveMaster returns the proof for links of the user of me to e, nil for friend and
// device links. It reports false when the user is no master of e: what such a link leads
// to would be refused.
func ProveMaster(me, e *Entity) (Proof, bool) {
	if e != nil {
		if m, ok := e.State().Member(me.ID()); !ok || m.Standing != Active || m.Role != Master {
			return Proof{}, false
		}
	}
	return Proof{Chain: me.DeviceChain()}, true
}

// Verify checks the proof for the device that answered, and that the first half of eid,
// the entity's id as its card says it, is that of the link. For the kinds but a board
// that id is the issuer's user. It returns the issuer's device chain.
func (p Proof) Verify(kind Kind, eid keys.Digest, eid16 [16]byte, device keys.ID) (me *chain.Chain, err error) {
	if p.Size() > MaxProof {
		return nil, fmt.Errorf("%w: a proof of %d bytes", ErrBody, p.Size())
	}
	me, err = OpenDeviceChain(p.Chain)
	if err != nil {
		return nil, err
	}
	refuse := func(why string) (*chain.Chain, error) {
		return nil, fmt.Errorf("%w: proof of %v: %s", ErrNotAuthorized, device, why)
	}
	_, known := me.State().Device(device)
	switch {
	case !known:
		return refuse("not a device of the user it shows")
	case kind != Board && eid != me.User():
		return refuse("a card of somebody else")
	case !bytes.Equal(eid[:16], eid16[:]):
		return refuse("of another entity")
	}
	return me, nil
}
