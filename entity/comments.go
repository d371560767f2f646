package entity

import (
	"slices"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// Remark is one comment as readers see it.
type Remark struct {
	ID     keys.Digest
	No     int // place below its article, from 1; it may move while older comments arrive
	Author keys.Digest
	At     time.Time
	Mark   Mark
	Text   string
	By     keys.Digest // who deleted it, zero if nobody; then it has no text
}

// Remarks returns the comments of an article in the log's one order, the deleted ones
// in their places. A deleted article has none, nor has what is no article.
func (e *Entity) Remarks(ring Keyring, article keys.Digest) []Remark {
	b := e.board(ring)
	i, ok := b.index[article]
	if !ok || b.posts[i].deleted != (oplog.Op{}) {
		return nil
	}
	var out []Remark
	for _, o := range b.posts[i].comments {
		r := Remark{ID: o.ID(), No: len(out) + 1, Author: o.User(), At: o.At(), Mark: e.gist(o, ring).mark}
		if gone, ok := b.gone[o.ID()]; ok {
			r.By = gone.User()
		} else if body, ok := e.openContent(o, ring).(*Comment); ok {
			r.Text = body.Text
		}
		out = append(out, r)
	}
	return out
}

// score returns the pushes of an article less its boos, and how many comments it has.
// One user counts once, by his last push or boo: whoever pushes ten times says no more
// than he who does it once, and an arrow adds words and takes nothing back.
func (e *Entity) score(ring Keyring, comments []oplog.Op, gone map[keys.Digest]oplog.Op) (score, n int) {
	var marked map[keys.Digest]bool
	for _, o := range slices.Backward(comments) {
		if _, deleted := gone[o.ID()]; deleted {
			continue
		}
		n++
		m := e.gist(o, ring).mark
		if m == Arrow || marked[o.User()] {
			continue
		}
		if marked == nil {
			marked = make(map[keys.Digest]bool)
		}
		marked[o.User()] = true
		if m == Push {
			score++
		} else {
			score--
		}
	}
	return score, n
}

// NewComment checks a comment's bounds and shape; it fails with ErrBody.
func NewComment(c Comment) (Comment, error) { return c, c.check() }

func (c Comment) check() error {
	if c.Mark < Push || c.Mark > Arrow || !text(c.Text, MaxComment) {
		return ErrBody
	}
	return nil
}

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
