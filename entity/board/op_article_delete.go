package board

import "pttnode/oplog"

var articleDelete = row{
	word: "delete",
	may:  func(b *Board, o, about oplog.Op) bool { return kindOf(about) == kindNew && b.mayDelete(o, about) },
	changes: func(r *reading, o, about oplog.Op) {
		if p := r.post(about); p.deleted.IsZero() { // the first in the log's order did it
			p.deleted = o
		}
	},
}

// mayDelete reports whether the author of o may take back another op: their own, or
// anything where they were an owner at the heads that o cites.
func (b *Board) mayDelete(o, about oplog.Op) bool {
	return o.User() == about.User() || b.e.WroteAsOwner(o)
}
