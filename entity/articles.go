package entity

import (
	"iter"
	"slices"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// Post is one article of a board as its readers see it.
type Post struct {
	ID         keys.Digest
	No         int // place in the board's order, from 1; it may move while older articles arrive
	Author     keys.Digest
	At         time.Time
	Version                // what is shown; without its text until it is opened
	Beside     []Version   // edits beside the one that is shown, ascending by id
	Unreadable bool        // no key for its epoch, or what it opens to is no article
	DeletedBy  keys.Digest // zero if nobody did; then it says nothing and has no comments
	Score      int         // users who push it less those who boo it
	Comments   int
}

// Version is one of the things that an article's author made it say.
type Version struct {
	Edit     keys.Digest // the edit, zero of what was there first
	Device   keys.ID     // it was written on
	EditedAt time.Time   // for display; zero of what was there first
	Article
}

// Posts returns the articles of a board in its one order, without their texts.
func (e *Entity) Posts(ring Keyring) []Post {
	b := e.board(ring)
	if e.reading.latest == nil {
		e.reading.latest = make(map[keys.Digest]latest)
	}
	findLatest(e.log, b.posts, e.reading.latest)
	out := make([]Post, len(b.posts))
	for i := range b.posts {
		p := &b.posts[i]
		out[i] = Post{ID: p.op.ID(), No: i + 1, Author: p.op.User(), At: p.op.At()}
		if p.deleted != (oplog.Op{}) {
			out[i].DeletedBy = p.deleted.User()
			continue
		}
		out[i].Score, out[i].Comments = e.score(ring, p.comments, b.gone)
		shown := p.op
		if len(p.shown) > 0 {
			shown = p.shown[0]
			for _, o := range p.shown[1:] {
				out[i].Beside = append(out[i].Beside, e.version(ring, o))
			}
		}
		if e.gist(shown, ring) == nil {
			out[i].Unreadable = true
			continue
		}
		out[i].Version = e.version(ring, shown)
	}
	return out
}

// version returns what a list shows of an article/new or edit that opens.
func (e *Entity) version(ring Keyring, o oplog.Op) Version {
	g := e.gist(o, ring)
	v := Version{Device: o.Device(), Article: Article{Class: g.class, Title: g.title}}
	if is(o, oplog.FamilyArticle, TypeArticleEdit) {
		v.Edit, v.EditedAt = o.ID(), o.At()
	}
	return v
}

// OpenPost fills in the texts of an article and of what stands beside it.
func (e *Entity) OpenPost(ring Keyring, p *Post) {
	if p.Unreadable || !p.DeletedBy.IsZero() {
		return
	}
	open := func(v *Version, id keys.Digest) {
		o, _ := e.log.Get(id)
		switch b := e.openContent(o, ring).(type) {
		case *Article:
			v.Text = b.Text
		case *ArticleEdit:
			v.Text = b.Text
		}
	}
	if p.Edit.IsZero() {
		open(&p.Version, p.ID)
	} else {
		open(&p.Version, p.Edit)
	}
	for i := range p.Beside {
		open(&p.Beside[i], p.Beside[i].Edit)
	}
}

// board is what counts of a board's content, filed by article.
type board struct {
	posts []posted                 // in the log's order
	index map[keys.Digest]int      // of posts, by id
	gone  map[keys.Digest]oplog.Op // comments that were deleted, with the first op that did
}

// posted is one article with what was done to it since, each in the log's order.
type posted struct {
	op       oplog.Op
	edits    []oplog.Op
	shown    []oplog.Op // the edits that no other has in its past, ascending by id
	deleted  oplog.Op   // the first that did, zero if none
	comments []oplog.Op
}

// board reads the content strand once. What an op is about may come after it in the
// log's order: an author who has more heads than an op may name leaves some out.
// Nothing here depends on the order of arrival: rights to edit and delete are found
// here and not when an op comes, where an op that is refused would keep what builds on
// it from being appended.
func (e *Entity) board(ring Keyring) board {
	return e.boardOf(e.log.All(oplog.Content), ring, e.Counts, e.mayDelete)
}

// boardOf is board for some of the ops, by what decides which of them count, and whether
// the author of one may delete another.
func (e *Entity) boardOf(ops iter.Seq[oplog.Op], ring Keyring, counts func(oplog.Op) bool, mayDelete func(o, of oplog.Op) bool) board {
	b := board{index: make(map[keys.Digest]int), gone: make(map[keys.Digest]oplog.Op)}
	var later []oplog.Op
	for o := range ops {
		switch {
		case o.Family() != oplog.FamilyArticle && o.Family() != oplog.FamilyComment, !counts(o):
		case is(o, oplog.FamilyArticle, TypeArticleNew):
			b.index[o.ID()] = len(b.posts)
			b.posts = append(b.posts, posted{op: o})
		default:
			later = append(later, o)
		}
	}
	for _, o := range later {
		g := e.gist(o, ring)
		if g == nil {
			continue
		}
		if is(o, oplog.FamilyComment, TypeCommentDelete) {
			of, ok := e.log.Get(g.of)
			if _, already := b.gone[g.of]; ok && !already && mayDelete(o, of) {
				b.gone[g.of] = o
			}
			continue
		}
		i, ok := b.index[g.of]
		if !ok {
			continue
		}
		switch p := &b.posts[i]; {
		case is(o, oplog.FamilyComment, TypeCommentNew):
			p.comments = append(p.comments, o)
		case is(o, oplog.FamilyArticle, TypeArticleEdit):
			if o.User() == p.op.User() {
				p.edits = append(p.edits, o)
			}
		case p.deleted == oplog.Op{} && mayDelete(o, p.op):
			p.deleted = o
		}
	}
	return b
}

// NewArticle checks an article's bounds and shape; it fails with ErrBody.
func NewArticle(a Article) (Article, error) {
	if err := a.check(); err != nil {
		return Article{}, err
	}
	return a, nil
}

func (a Article) check() error {
	if !text(a.Title, MaxTitle) || !text(a.Class, MaxName) || !text(a.Text, MaxText) || a.Title == "" {
		return ErrBody
	}
	return nil
}

func (b ArticleEdit) check() error { return Article{b.Class, b.Title, b.Text}.check() }

// latest is the memory of findLatest: which of an article's last edits by device no
// other has in its past.
type latest struct{ of, shown []oplog.Op }

// findLatest finds for each article the edits that no other one has in its past.
//
// The edits of one device stand in a row, so only the last of each device can be one
// of them. Where there are several, the past of each is walked, from one device's
// first such edit to its last, each op once: the edits of many articles by one device
// cost one walk. What one walk found stays true, so it is kept in memory.
func findLatest(l *oplog.Log, posts []posted, memory map[keys.Digest]latest) {
	var open [][]oplog.Op // of each article to be decided, the last edits by device
	var of []*posted
	for i := range posts {
		p := &posts[i]
		if p.deleted != (oplog.Op{}) {
			continue
		}
		last := lastByDevice(p.edits)
		if len(last) < 2 {
			p.shown = last
			continue
		}
		if known := memory[p.op.ID()]; slices.Equal(known.of, last) {
			p.shown = known.shown
			continue
		}
		open, of = append(open, last), append(of, p)
	}
	if len(open) == 0 {
		return
	}
	over := overtaken(l, open)
	for i, p := range of {
		for _, o := range open[i] {
			if !over[o.ID()] {
				p.shown = append(p.shown, o)
			}
		}
		slices.SortFunc(p.shown, func(a, b oplog.Op) int { return compare(a.ID(), b.ID()) })
		memory[p.op.ID()] = latest{open[i], p.shown}
	}
}

// lastByDevice returns the last of each device's edits, which are in the log's order.
func lastByDevice(edits []oplog.Op) []oplog.Op {
	if len(edits) < 2 {
		return edits
	}
	seen := make(map[keys.ID]bool)
	var last []oplog.Op
	for _, o := range slices.Backward(edits) {
		if !seen[o.Device()] {
			seen[o.Device()] = true
			last = append(last, o)
		}
	}
	return last
}
