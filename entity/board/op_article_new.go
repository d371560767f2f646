package board

import (
	"pttnode/entity"
	"pttnode/oplog"
)

// Article is the body of article/new, and of article/edit, which replaces all that the
// article said.
type Article struct {
	Class string `cbor:"1,keyasint,omitempty"` // at most entity.MaxName bytes
	Title string `cbor:"2,keyasint"`           // 1 to entity.MaxTitle bytes
	Text  string `cbor:"3,keyasint,omitempty"` // at most entity.MaxText bytes
}

// NewArticle checks an article's bounds and shape; it fails with entity.ErrBody.
func NewArticle(a Article) (Article, error) {
	if !a.check() {
		return Article{}, entity.ErrBody
	}
	return a, nil
}

func (a Article) check() bool {
	return entity.IsText(a.Title, entity.MaxTitle) && entity.IsText(a.Class, entity.MaxName) && entity.IsText(a.Text, entity.MaxText) && a.Title != ""
}

func (a Article) gist() gist { return gist{class: a.Class, title: a.Title} }

var articleNew = row{
	word: "new",
	body: func() body { return new(Article) },
	begins: func(r *reading, o oplog.Op) {
		r.index[o.ID()] = len(r.posts)
		r.posts = append(r.posts, posted{op: o})
	},
}
