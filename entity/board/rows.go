package board

import (
	"pttnode/entity"
	"pttnode/oplog"
)

// row is one type of operation.
type row struct {
	word string
	body func() body // nil for one without a body
	// begins adds what an op begins to a reading; nil if it is about another op.
	begins func(r *reading, o oplog.Op)
	// changes is what an op does to the one that it is about, which is in the log and
	// counts; nil if it begins something.
	changes func(r *reading, o, about oplog.Op)
	// may reports whether the author of o may do that to the op that it is about.
	may func(b *Board, o, about oplog.Op) bool
}

// body is what an operation seals.
type body interface {
	check() bool // of bounds: what is sealed was checked by nobody on its way
	gist() gist
}

// kind names a type of operation.
type kind struct {
	family oplog.Family
	typ    uint16
}

func kindOf(o oplog.Op) kind { return kind{o.Family(), o.Type()} }

// The types of docs/PROTOCOL.md §2.2. Wire values; do not reorder.
const (
	TypeArticleNew    uint16 = 1
	TypeArticleEdit   uint16 = 2
	TypeArticleDelete uint16 = 3

	TypeCommentNew    uint16 = 1
	TypeCommentDelete uint16 = 2
)

// table is all types of operations of a board. Each op_….go fills its own row.
var table = map[kind]row{
	{oplog.FamilyArticle, TypeArticleNew}:    articleNew,
	{oplog.FamilyArticle, TypeArticleEdit}:   articleEdit,
	{oplog.FamilyArticle, TypeArticleDelete}: articleDelete,
	{oplog.FamilyComment, TypeCommentNew}:    commentNew,
	{oplog.FamilyComment, TypeCommentDelete}: commentDelete,
}

// Types describes the types of a board's content.
var Types = types()

func types() entity.ContentTypes {
	out := make(entity.ContentTypes)
	for k, r := range table {
		if out[k.family] == nil {
			out[k.family] = make(map[uint16]entity.ContentType)
		}
		t := entity.ContentType{Word: r.word}
		if r.body != nil {
			t.Body = func() any { return r.body() }
		}
		out[k.family][k.typ] = t
	}
	return out
}
