package board

import "pttnode/oplog"

var commentDelete = row{
	word: "delete",
	may: func(b *Board, o, about oplog.Op) bool {
		return kindOf(about) == kind{oplog.FamilyComment, TypeCommentNew} && b.mayDelete(o, about)
	},
	changes: func(r *reading, o, about oplog.Op) {
		if _, already := r.gone[about.ID()]; !already {
			r.gone[about.ID()] = o
		}
	},
}
