package oplog

import (
	"slices"

	"pttnode/keys"
)

// Hashed is an operation as it travels, whose id is known.
type Hashed struct {
	id   keys.Digest
	pair Pair
}

// HashAll hashes the envelopes of a batch, so that those that are here need not be parsed.
func HashAll(batch []Pair) []Hashed {
	out := make([]Hashed, len(batch))
	for i, p := range batch {
		out[i] = Hashed{IDOf(p.Envelope), p}
	}
	return out
}

// ID returns the id of the op, if it is one.
func (h Hashed) ID() keys.Digest { return h.id }

// HasBody reports whether the op came with a body.
func (h Hashed) HasBody() bool { return len(h.pair.Body) > 0 }

// ParseBatch parses operations of any strands and devices as a peer sends them
// and returns those that are authentic, in the order given, with the bodies that came.
// Control ops are checked one by one. Content ops of one device that follow one another
// are checked as ParseChain does, by the last signature that verifies; what comes
// after it is left out, as are malformed ones and those with another's body: a later
// batch brings them again if they were authentic after all. An op of the result may thus
// have a bad signature of its own; see Signed. It keeps the bytes, which nobody may change
// any more.
func ParseBatch(batch []Hashed) []Op {
	ops := make([]Op, 0, len(batch))
	at := make(map[keys.Digest]int, len(batch)) // where in ops the content ops are; a chain may fork
	chainOf := make([]int, 0, len(batch))       // the op before it in its chain, -1 for none
	for _, h := range batch {
		o, err := decodeOwn(h.id, h.pair.Envelope)
		if err == nil && len(h.pair.Body) > 0 {
			o, err = o.WithBody(h.pair.Body)
		}
		if err != nil {
			continue
		}
		if n := len(ops); n > 0 && slices.Equal(o.auth, ops[n-1].auth) { // most cite the same: one copy does
			o.auth = ops[n-1].auth
		}
		before := -1
		if o.strand == Content {
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
			ops[i].signed = good
			if ops[i].verify() != nil {
				ops[i].signed = bad
			}
			authentic[i] = ops[i].signed == good
		}
		if b := chainOf[i]; authentic[i] && b >= 0 {
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
