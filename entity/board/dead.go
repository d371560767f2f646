package board

import (
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// Dead returns the ids of what is shown nowhere (docs/PROTOCOL.md §2.11), and of each
// whether that is so for good, so that its body need not be kept.
func (b *Board) Dead() map[keys.Digest]bool {
	dead := make(map[keys.Digest]bool)
	r := b.read()
	for _, p := range r.posts {
		if !p.deleted.IsZero() {
			good := b.e.ForGood(p.deleted)
			for _, o := range slices.Concat([]oplog.Op{p.op}, p.edits, p.comments) {
				dead[o.ID()] = good
			}
			continue
		}
		if len(p.shown) == 0 {
			continue
		}
		// A text that has not come must not take the one before it along.
		good := !slices.ContainsFunc(p.shown, func(o oplog.Op) bool { return !o.Here() || !b.e.ForGood(o) })
		for _, o := range append(p.edits, p.op) {
			if !slices.ContainsFunc(p.shown, o.Is) {
				dead[o.ID()] = good
			}
		}
	}
	for id, by := range r.gone {
		dead[id] = dead[id] || b.e.ForGood(by)
	}
	return dead
}
