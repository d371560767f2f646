package entity

import (
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// strictAfter is how often Vouched looks again before it trusts own signatures only:
// what honest members send needs one look, and what is made to fall apart op by op
// would need as many as it has ops.
const strictAfter = 4

// Vouched returns the content ops, which come in an order in which they could be
// added, without those that nobody could be convinced of later: an op whose own
// signature is bad is authentic by one that names it (docs/PROTOCOL.md §2.3), so the
// two are added together or not at all. Else a log could hold an op that it alone
// accepts, and nothing that builds on it would reach anybody. Ops that Add would not
// take stay: it says why.
func (e *Entity) Vouched(ops []oplog.Op) []oplog.Op {
	out := slices.Clone(ops)
	for round := 0; ; round++ {
		coming := make(map[keys.Digest]oplog.Op, len(out))
		for _, o := range out {
			if e.log.CheckAfter(o, coming) == nil && e.judgeContent(o) == nil {
				coming[o.ID()] = o
			}
		}
		named := make(map[keys.Digest]bool, len(out))
		drop := make(map[keys.Digest]bool)
		for _, o := range slices.Backward(out) {
			_, comes := coming[o.ID()]
			switch {
			case !comes:
			case named[o.ID()] && round < strictAfter, o.Signed():
				named[o.Prev()] = true
			default:
				drop[o.ID()] = true
			}
		}
		if len(drop) == 0 {
			return out
		}
		out = slices.DeleteFunc(out, func(o oplog.Op) bool { return drop[o.ID()] })
	}
}
