package oplog

import (
	"fmt"
	"slices"

	"pttnode/keys"
)

// Hashed is an entry of a batch whose id is known.
type Hashed struct {
	id  keys.Digest
	raw []byte // an op's bytes, or the id of a stub
}

// HashAll hashes the entries of a batch, so that those that are here need not be parsed.
func HashAll(raws [][]byte) []Hashed {
	out := make([]Hashed, len(raws))
	for i, raw := range raws {
		out[i].raw = raw
		if out[i].isStub() {
			out[i].id = keys.Digest(raw)
		} else {
			out[i].id = IDOf(raw)
		}
	}
	return out
}

// ID returns the id of the op that the entry stands for, if it stands for one.
func (h Hashed) ID() keys.Digest { return h.id }

func (h Hashed) isStub() bool { return len(h.raw) == len(keys.Digest{}) }

// ParseBatch parses operations of any strands and devices as a peer sends them
// and returns those that are authentic, in the order given. Control ops are
// checked one by one. Content ops of one device that follow one another are
// checked as ParseChain does, by the last signature that verifies; what comes
// after it is left out, as are malformed ones: a later batch brings them again if
// they were authentic after all. An op of the result may thus have a bad signature
// of its own; see Signed. 32 bytes are the id of one of stubs, which are authentic; a stub
// makes no other op so. It keeps the bytes, which nobody may change any more.
func ParseBatch(batch []Hashed, stubs map[keys.Digest]Op) []Op {
	ops := make([]Op, 0, len(batch))
	at := make(map[keys.Digest]int, len(batch)) // where in ops the content ops are; a chain may fork
	chainOf := make([]int, 0, len(batch))       // the op before it in its chain, -1 for none
	for _, h := range batch {
		o, err := h.decode(stubs)
		if err != nil {
			continue
		}
		if n := len(ops); n > 0 && !o.Bare() && slices.Equal(o.auth, ops[n-1].auth) { // most cite the same: one copy does
			o.auth = ops[n-1].auth
		}
		before := -1
		if o.Strand() == Content {
			if i, ok := at[o.Prev()]; ok && follows(ops[i], o) {
				before = i
			}
			at[o.ID()] = len(ops)
		}
		ops, chainOf = append(ops, o), append(chainOf, before)
	}
	// From the newest to the oldest: an op is authentic if one that names it is, or
	// else if its own signature says so.
	authentic := make([]bool, len(ops))
	for i := len(ops) - 1; i >= 0; i-- {
		if !authentic[i] {
			if !ops[i].Bare() { // which others have too
				ops[i].signed = ops[i].verify() == nil
			}
			authentic[i] = ops[i].Bare() || ops[i].signed
		}
		if b := chainOf[i]; authentic[i] && b >= 0 && !ops[i].Bare() {
			authentic[b] = true
		}
	}
	out := ops[:0]
	for i, o := range ops {
		if authentic[i] {
			out = append(out, o)
		}
	}
	return out
}

// decode is decodeOwn for an entry of a batch, which may be the id of a stub.
func (h Hashed) decode(stubs map[keys.Digest]Op) (Op, error) {
	if !h.isStub() {
		return decodeOwn(h.id, h.raw)
	}
	o, ok := stubs[h.id]
	if !ok {
		return Op{}, fmt.Errorf("%w: the stub of %v", ErrMissing, h.id)
	}
	return o, nil
}
