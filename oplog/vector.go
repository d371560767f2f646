package oplog

import (
	"bytes"
	"cmp"
	"encoding/binary"
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

// Vector returns the tips of all chains.
func (l *Log) Vector() Vector {
	v := make(Vector, 0, len(l.chains))
	for c, ops := range l.chains {
		from, forked := l.forked[c]
		if !forked {
			tip := ops[len(ops)-1]
			v = append(v, Head{c.device, c.strand, tip.Seq(), tip.ID()})
			continue
		}
		// The tips of a forked chain are the ops that no other names as prev.
		named := make(map[keys.Digest]bool)
		for _, o := range ops[from:] {
			named[o.Prev()] = true
			for _, id := range l.beside[spot{c, o.Seq()}] {
				named[l.ops[id].Prev()] = true
			}
		}
		for _, o := range ops[from:] {
			if !named[o.ID()] {
				v = append(v, Head{c.device, c.strand, o.Seq(), o.ID()})
			}
			for _, id := range l.beside[spot{c, o.Seq()}] {
				if !named[id] {
					v = append(v, Head{c.device, c.strand, o.Seq(), id})
				}
			}
		}
	}
	slices.SortFunc(v, func(a, b Head) int {
		return cmp.Or(bytes.Compare(a.Device[:], b.Device[:]), cmp.Compare(a.Strand, b.Strand),
			cmp.Compare(a.Seq, b.Seq), compare(a.ID, b.ID))
	})
	return v
}

// Lacks returns the operations that a log with the given vector does not have
// and this one does: control before content, each strand in the log's order, so
// that they can be appended as they come. Where the other has a tip that this log
// does not know, the chain is sent from below it only if this log is ahead;
// if neither knows the other's tip the chain forks and is sent whole.
func (l *Log) Lacks(theirs Vector) []Op {
	have := make(map[keys.Digest]bool) // tips of theirs, known here
	ahead := make(map[chain]bool)      // theirs has a tip here unknown
	known := make(map[chain]bool)
	from := make(map[chain]uint64)
	for _, h := range theirs {
		c := chain{h.Device, h.Strand}
		if o, ok := l.ops[h.ID]; ok && o.Device() == h.Device && o.Strand() == h.Strand {
			have[h.ID] = true
			known[c] = true
			continue
		}
		if !ahead[c] || h.Seq < from[c] {
			from[c] = h.Seq
		}
		ahead[c] = true
	}
	skip := make(map[keys.Digest]bool)
	for id := range have {
		for o, ok := l.ops[id]; ok && !skip[o.ID()]; o, ok = l.ops[o.Prev()] {
			skip[o.ID()] = true
		}
	}
	for c := range ahead {
		ops := l.chains[c]
		if _, forked := l.forked[c]; !known[c] && !forked && uint64(len(ops)) <= from[c] {
			for _, o := range ops { // a longer chain of one history has all of ours
				skip[o.ID()] = true
			}
		}
	}
	var out []Op
	for _, s := range []Strand{Control, Content} {
		for o := range l.All(s) {
			if !skip[o.ID()] {
				out = append(out, o)
			}
		}
	}
	return out
}
