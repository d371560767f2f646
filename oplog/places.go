package oplog

import (
	"bytes"
	"cmp"
	"slices"

	"pttnode/keys"
)

// contentAt is the first depth of the content strand: its ops stand after all control
// ops, by which they are judged.
const contentAt = 1 << 40

// Place is where an op stands in the order in which two logs are compared: by depth,
// then by id. What an op builds on has a lower depth, and the depth is the same in every
// log that has the op.
type Place struct {
	Depth uint64 // the longest way down through prev and parents; in content from contentAt on
	ID    keys.Digest
}

func (p Place) compare(q Place) int {
	return cmp.Or(cmp.Compare(p.Depth, q.Depth), bytes.Compare(p.ID[:], q.ID[:]))
}

// places is the order of a log's places. A log has it from when it is first asked for:
// most are small and never compared by it.
type places struct {
	depth map[keys.Digest]uint64
	order []Place
}

// Places returns the places of all ops, in their order.
func (l *Log) Places() []Place {
	if l.places == nil {
		l.places = &places{depth: make(map[keys.Digest]uint64, len(l.ops)), order: make([]Place, 0, len(l.ops))}
		for _, s := range []Strand{Control, Content} {
			for o := range l.All(s) {
				l.places.order = append(l.places.order, l.places.of(o))
			}
		}
		slices.SortFunc(l.places.order, Place.compare)
	}
	return slices.Clone(l.places.order)
}

// add notes an op that was appended, if places are kept.
func (p *places) add(o Op) {
	if p == nil {
		return
	}
	place := p.of(o)
	i, _ := slices.BinarySearchFunc(p.order, place, Place.compare)
	p.order = slices.Insert(p.order, i, place)
}

// of finds out where an op stands; what it builds on was found before.
func (p *places) of(o Op) Place {
	var depth uint64
	if o.Strand() == Content {
		depth = contentAt
	}
	for _, id := range o.Parents() {
		depth = max(depth, p.depth[id]+1)
	}
	if prev := o.Prev(); !prev.IsZero() {
		depth = max(depth, p.depth[prev]+1)
	}
	p.depth[o.ID()] = depth
	return Place{depth, o.ID()}
}
