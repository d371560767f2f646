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
	fresh []Place // what came since the order was asked for, in no order
}

// Places returns the places of all ops, in their order. The caller must not change it.
func (l *Log) Places() []Place {
	if l.places == nil {
		l.places = &places{depth: make(map[keys.Digest]uint64, len(l.ops))}
		for _, s := range []Strand{Control, Content} {
			for o := range l.order[s-1].all() {
				l.places.add(o)
			}
		}
	}
	return l.places.sorted()
}

// add notes an op that was appended, if places are kept.
func (p *places) add(o *op) {
	if p == nil {
		return
	}
	var depth uint64
	if o.strand == Content {
		depth = contentAt
	}
	for _, id := range o.parents { // what it builds on was added before
		depth = max(depth, p.depth[id]+1)
	}
	if o.prev != nil {
		depth = max(depth, p.depth[*o.prev]+1)
	}
	p.depth[o.id[0]] = depth
	p.fresh = append(p.fresh, Place{depth, o.id[0]})
}

// sorted merges what is fresh into a new order: whoever has the old one may go on with it.
func (p *places) sorted() []Place {
	if len(p.fresh) == 0 {
		return p.order
	}
	slices.SortFunc(p.fresh, Place.compare)
	merged := make([]Place, 0, len(p.order)+len(p.fresh))
	old := p.order
	for _, f := range p.fresh {
		i, _ := slices.BinarySearchFunc(old, f, Place.compare)
		merged = append(append(merged, old[:i]...), f)
		old = old[i:]
	}
	p.order, p.fresh = append(merged, old...), nil
	return p.order
}
