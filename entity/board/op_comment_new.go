package board

import (
	"pttnode/entity"
	"pttnode/oplog"
)

// Mark is what a comment says of its article. Wire values; do not reorder.
type Mark uint8

// The marks of docs/PROTOCOL.md §2.4.
const (
	Push  Mark = 1 // 推
	Boo   Mark = 2 // 噓
	Arrow Mark = 3 // →
)

// String returns "push", "boo" or "arrow".
func (m Mark) String() string {
	switch m {
	case Push:
		return "push"
	case Boo:
		return "boo"
	case Arrow:
		return "arrow"
	}
	return "unknown"
}

// Comment is the body of comment/new.
type Comment struct {
	Mark Mark   `cbor:"1,keyasint"`
	Text string `cbor:"2,keyasint,omitempty"` // at most entity.MaxComment bytes
}

// NewComment checks a comment's bounds and shape; it fails with entity.ErrBody.
func NewComment(c Comment) (Comment, error) {
	if !c.check() {
		return Comment{}, entity.ErrBody
	}
	return c, nil
}

func (c Comment) check() bool {
	return c.Mark >= Push && c.Mark <= Arrow && entity.IsText(c.Text, entity.MaxComment)
}

func (c Comment) gist() gist { return gist{mark: c.Mark} }

var commentNew = row{
	word: "new",
	body: func() body { return new(Comment) },
	may:  func(_ *Board, _, about oplog.Op) bool { return kindOf(about) == kindNew },
	changes: func(r *reading, o, about oplog.Op) {
		p := r.post(about)
		p.comments = append(p.comments, o)
	},
}
