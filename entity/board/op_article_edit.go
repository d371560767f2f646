package board

import "pttnode/oplog"

var articleEdit = row{
	word: "edit",
	body: func() body { return new(Article) },
	may:  func(_ *Board, o, about oplog.Op) bool { return kindOf(about) == kindNew && o.User() == about.User() },
	changes: func(r *reading, o, about oplog.Op) {
		p := r.post(about)
		p.edits = append(p.edits, o)
	},
}

// kindNew is the type of an article.
var kindNew = kind{oplog.FamilyArticle, TypeArticleNew}
