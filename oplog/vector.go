package oplog

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"iter"
	"math"
	"slices"

	"pttnode/keys"
)

// Head is the tip of one device's chain in one strand.
type Head struct {
	Device keys.ID     `cbor:"1,keyasint"`
	Strand Strand      `cbor:"2,keyasint"`
	Seq    uint64      `cbor:"3,keyasint"`
	ID     keys.Digest `cbor:"4,keyasint"`
}

// Vector is the tips of all chains of a log, ascending by device, strand, seq and
// id; a chain that forks has several. Two logs with the same vector have the
// same operations.
type Vector []Head

// Hash names a vector of an entity (docs/PROTOCOL.md §8).
func (v Vector) Hash(entity keys.Digest) keys.Digest {
	b := make([]byte, 0, len(v)*73)
	for _, h := range v {
		b = append(b, h.Device[:]...)
		b = append(b, byte(h.Strand))
		b = binary.BigEndian.AppendUint64(b, h.Seq)
		b = append(b, h.ID[:]...)
	}
	return keys.Hash(keys.LabelHeads, entity[:], b)
}

// Vector returns the tips of all chains. The caller must not change it.
func (l *Log) Vector() Vector {
	if l.vector != nil {
		return l.vector
	}
	v := make(Vector, 0, len(l.chains))
	for c, ops := range l.chains {
		from, forked := l.forked[c]
		if !forked {
			tip := ops[len(ops)-1]
			v = append(v, Head{c.device, c.strand, uint64(tip.seq), tip.id[0]})
			continue
		}
		// The tips of a forked chain are the ops that no other names as prev.
		named := make(map[keys.Digest]bool)
		for o := range l.from(c, from) {
			named[orZero(o.prev)] = true
		}
		for o := range l.from(c, from) {
			if !named[o.id[0]] {
				v = append(v, Head{c.device, c.strand, uint64(o.seq), o.id[0]})
			}
		}
	}
	slices.SortFunc(v, func(a, b Head) int {
		return cmp.Or(bytes.Compare(a.Device[:], b.Device[:]), cmp.Compare(a.Strand, b.Strand),
			cmp.Compare(a.Seq, b.Seq), compare(a.ID, b.ID))
	})
	l.vector = v
	return v
}

// from returns the ops of a chain from a seq on, all those at each place.
func (l *Log) from(c chain, seq uint64) iter.Seq[*op] {
	return func(yield func(*op) bool) {
		for _, o := range l.chains[c][seq:] {
			if !yield(o) {
				return
			}
			for _, b := range l.beside[spot{c, uint64(o.seq)}] {
				if !yield(b) {
					return
				}
			}
		}
	}
}

// Lacks returns the operations that a log with the given vector does not have
// and this one does: control before content, each strand in the log's order, so
// that they can be appended as they come. Where the other has a tip that this log
// does not know, the chain is sent from below it only if this log is ahead;
// if neither knows the other's tip the chain forks and is sent whole.
func (l *Log) Lacks(theirs Vector) []Op {
	tips := make(map[chain][]Head)
	for _, h := range theirs {
		c := chain{h.Device, h.Strand}
		tips[c] = append(tips[c], h)
	}
	var lack [2][]*op
	for c, ops := range l.chains {
		_, forked := l.forked[c]
		known, ahead, unknown := make([]*op, 0, 1), uint64(math.MaxUint64), false
		for _, h := range tips[c] {
			if o, ok := l.ops[h.ID]; ok && o.who.device == h.Device && o.strand == h.Strand {
				known = append(known, o)
			} else {
				ahead, unknown = min(ahead, h.Seq), true
			}
		}
		switch {
		case !forked && len(known) > 0: // the whole chain below is one history
			lack[c.strand-1] = append(lack[c.strand-1], ops[slices.MaxFunc(known, bySeq).seq+1:]...)
		case !forked && unknown && uint64(len(ops)) <= ahead: // a longer chain of one history has all of ours
		default:
			skip := make(map[*op]bool)
			for _, o := range known {
				for ; o != nil && !skip[o]; o = l.ops[orZero(o.prev)] {
					skip[o] = true
				}
			}
			for o := range l.from(c, 0) {
				if !skip[o] {
					lack[c.strand-1] = append(lack[c.strand-1], o)
				}
			}
		}
	}
	var out []Op
	for s := range lack {
		l.order[s].sort(lack[s])
		for _, o := range lack[s] {
			out = append(out, l.handle(o))
		}
	}
	return out
}

func bySeq(a, b *op) int { return cmp.Compare(a.seq, b.seq) }
