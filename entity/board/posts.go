package board

import (
	"bytes"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// Post is one article of a board as its readers see it.
type Post struct {
	ID        keys.Digest
	No        int // place in the board's order, from 1; it may move while older articles arrive
	Author    keys.Digest
	At        time.Time
	Version               // what is shown; without its text until it is opened
	Others    []Version   // edits that are concurrent with the one that is shown, ascending by id
	DeletedBy keys.Digest // zero if nobody did; then it says nothing and has no comments
	Score     int         // users who push it less those who boo it
	Comments  int
}

// Version is one of the things that an article's author made it say.
type Version struct {
	Edit     keys.Digest // the edit, zero of what was there first
	Device   keys.ID     // it was written on
	EditedAt time.Time   // for display; zero of what was there first
	Lack     Lack        // why it says nothing
	Article
}

// Posts returns the articles of a board in its one order, without their texts.
func (b *Board) Posts(ring entity.Keyring) []Post {
	r := b.read()
	out := make([]Post, len(r.posts))
	for i := range r.posts {
		p := &r.posts[i]
		out[i] = Post{ID: p.op.ID(), No: i + 1, Author: p.op.User(), At: p.op.At()}
		if !p.deleted.IsZero() {
			out[i].DeletedBy = p.deleted.User()
			continue
		}
		out[i].Score, out[i].Comments = b.score(ring, p.comments, r.gone)
		if len(p.shown) == 0 {
			out[i].Version = b.version(ring, p.op)
			continue
		}
		out[i].Version = b.version(ring, p.shown[0])
		for _, o := range p.shown[1:] {
			out[i].Others = append(out[i].Others, b.version(ring, o))
		}
	}
	return out
}

// version returns what a list shows of an article or an edit.
func (b *Board) version(ring entity.Keyring, o oplog.Op) Version {
	g, lack := b.gist(o, ring)
	v := Version{Device: o.Device(), Lack: lack, Article: Article{Class: g.class, Title: g.title}}
	if kindOf(o) != kindNew {
		v.Edit, v.EditedAt = o.ID(), o.At()
	}
	return v
}

// OpenPost fills in the texts of an article and of what is concurrent with it.
func (b *Board) OpenPost(ring entity.Keyring, p *Post) {
	if !p.DeletedBy.IsZero() {
		return
	}
	open := func(v *Version) {
		id := v.Edit
		if id.IsZero() {
			id = p.ID
		}
		o, _ := b.e.Log().Get(id)
		body, err := b.open(o, ring)
		if a, ok := body.(*Article); ok {
			v.Text = a.Text
		}
		v.Lack = lackOf(err)
	}
	open(&p.Version)
	for i := range p.Others {
		open(&p.Others[i])
	}
}

// Remark is one comment as readers see it.
type Remark struct {
	ID     keys.Digest
	No     int // place below its article, from 1; it may move while older comments arrive
	Author keys.Digest
	At     time.Time
	Mark   Mark // zero where that cannot be read, or is not to be
	Text   string
	By     keys.Digest // who deleted it, zero if nobody; then it has no text
	Lack   Lack        // why it says nothing
}

// Remarks returns the comments of an article in the log's one order, the deleted ones
// in their places. A deleted article has none, nor has what is no article.
func (b *Board) Remarks(ring entity.Keyring, article keys.Digest) []Remark {
	r := b.read()
	i, ok := r.index[article]
	if !ok || !r.posts[i].deleted.IsZero() {
		return nil
	}
	var out []Remark
	for _, o := range r.posts[i].comments {
		m := Remark{ID: o.ID(), No: len(out) + 1, Author: o.User(), At: o.At()}
		if gone, ok := r.gone[o.ID()]; ok {
			m.By = gone.User()
			out = append(out, m)
			continue
		}
		g, lack := b.gist(o, ring)
		m.Mark, m.Lack = g.mark, lack
		if lack == Nothing {
			body, err := b.open(o, ring)
			if c, ok := body.(*Comment); ok {
				m.Text = c.Text
			}
			m.Lack = lackOf(err)
		}
		out = append(out, m)
	}
	return out
}

// score returns the pushes of an article less its boos, and how many comments it has.
// One user counts once, by their last push or boo: whoever pushes ten times says no more
// than whoever does it once, and an arrow adds words and takes nothing back.
func (b *Board) score(ring entity.Keyring, comments []oplog.Op, gone map[keys.Digest]oplog.Op) (score, n int) {
	var marked map[keys.Digest]bool
	for i := len(comments) - 1; i >= 0; i-- {
		o := comments[i]
		if _, deleted := gone[o.ID()]; deleted {
			continue
		}
		n++
		g, lack := b.gist(o, ring)
		if lack != Nothing || g.mark == Arrow || marked[o.User()] {
			continue
		}
		if marked == nil {
			marked = make(map[keys.Digest]bool)
		}
		marked[o.User()] = true
		if g.mark == Push {
			score++
		} else {
			score--
		}
	}
	return score, n
}

func compare(a, b keys.Digest) int { return bytes.Compare(a[:], b[:]) }
