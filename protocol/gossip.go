package protocol

import (
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
)

// MaxGossip is how many bytes of CBOR one gossip payload carries. More ops than
// fit are announced by their heads and fetched by sync.
const MaxGossip = 16 << 10

// MaxGossipPayload is the size of the longest payload on a topic.
const MaxGossipPayload = MaxGossip + keys.SealOverhead

// Gossip is what a payload on an entity's topic says (docs/PROTOCOL.md §8.3): new
// operations, or the heads of what is too much for one payload. Exactly one of
// the two is there.
type Gossip struct {
	Ops   []oplog.Pair `cbor:"1,keyasint,omitempty"` // in an order in which they can be appended, each with its body
	Heads oplog.Vector `cbor:"2,keyasint,omitempty"`
}

// Seal returns the payload of g for an epoch of an entity, or false when it is too
// long. header is the epoch's keys.OpKey.Header.
func (g Gossip) Seal(header keys.OpKey, entity, epoch keys.Digest) (payload []byte, fits bool) {
	plain := keys.Marshal(g)
	if len(plain) > MaxGossip {
		return nil, false
	}
	return header.Seal(entity, epoch, nil, plain), true
}

// OpenGossip opens a payload. It fails with keys.ErrSealed when it was not sealed
// for this epoch of this entity, and with ErrFrame when what is in it has another
// shape or is too long.
func OpenGossip(header keys.OpKey, entity, epoch keys.Digest, payload []byte) (Gossip, error) {
	if len(payload) > MaxGossipPayload {
		return Gossip{}, fmt.Errorf("%w: gossip of %d bytes", ErrFrame, len(payload))
	}
	plain, err := header.Open(entity, epoch, nil, payload)
	if err != nil {
		return Gossip{}, err
	}
	var g Gossip
	if err := keys.Unmarshal(plain, &g); err != nil {
		return Gossip{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if (len(g.Ops) == 0) == (len(g.Heads) == 0) {
		return Gossip{}, fmt.Errorf("%w: gossip with %d ops and %d heads", ErrFrame, len(g.Ops), len(g.Heads))
	}
	return g, nil
}
