package board

import (
	"errors"
	"slices"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// Board reads the articles and comments of an entity. It remembers what it found out, and
// is not safe for concurrent use.
type Board struct {
	e      *entity.Entity
	gists  map[keys.Digest]*gist  // what was opened; nil where it opens to nothing, which it does for ever
	latest map[keys.Digest]latest // by article, of those edited on several devices
}

// New returns a Board that reads e.
func New(e *entity.Entity) *Board {
	return &Board{e: e, gists: make(map[keys.Digest]*gist), latest: make(map[keys.Digest]latest)}
}

// Lack is why a text cannot be shown.
type Lack uint8

// Why a text cannot be shown.
const (
	Nothing   Lack = 0
	NotHere   Lack = 1 // its body has not come yet, or was let go of
	NoKey     Lack = 2 // for its epoch
	Malformed Lack = 3 // it does not open, or to nothing that is within bounds
	Unread    Lack = 4 // the store did not give it
)

// String returns "", "not_here", "no_key", "malformed" or "unread".
func (l Lack) String() string {
	return [...]string{"", "not_here", "no_key", "malformed", "unread"}[l]
}

func lackOf(err error) Lack {
	switch {
	case err == nil:
		return Nothing
	case errors.Is(err, entity.ErrNoKey):
		return NoKey
	case errors.Is(err, entity.ErrNoBody):
		return NotHere
	case errors.Is(err, entity.ErrBody):
		return Malformed
	}
	return Unread
}

// gist is what a list needs of a body: how it is headed, not its text.
type gist struct {
	mark         Mark
	class, title string
}

// open returns the body of an op of a board. It fails with entity.ErrNoKey,
// entity.ErrNoBody or entity.ErrBody, or as the log's source does.
func (b *Board) open(o oplog.Op, ring entity.Keyring) (body, error) {
	r := table[kindOf(o)]
	if r.body == nil {
		return nil, entity.ErrNoBody
	}
	body := r.body()
	if err := b.e.Read(o, ring, body); err != nil {
		return nil, err
	}
	if !body.check() {
		return nil, entity.ErrBody
	}
	return body, nil
}

// gist opens an op for a list. What was opened with another keyring is not shown to one
// that lacks the key.
func (b *Board) gist(o oplog.Op, ring entity.Keyring) (gist, Lack) {
	if _, ok := ring[o.Epoch()]; !ok && o.Size() > 0 {
		return gist{}, NoKey
	}
	g, ok := b.gists[o.ID()]
	if !ok {
		body, err := b.open(o, ring)
		switch {
		case err == nil:
			g = new(body.gist())
		case lackOf(err) != Malformed:
			return gist{}, lackOf(err)
		}
		b.gists[o.ID()] = g
	}
	if g == nil {
		return gist{}, Malformed
	}
	return *g, Nothing
}

// Forget has a Board open an op again, whose body was let go of.
func (b *Board) Forget(id keys.Digest) { delete(b.gists, id) }

// Concerns returns the article that a content op edits, deletes or comments on, or
// from which it deletes a comment, and what of these it names, if its author may do so,
// both are here, and they count (docs/PROTOCOL.md §2.9).
func (b *Board) Concerns(o oplog.Op) (article, named keys.Digest, ok bool) {
	about, ok := b.concerned(o)
	if !ok {
		return keys.Digest{}, keys.Digest{}, false
	}
	if kindOf(about) == kindNew {
		return about.ID(), about.ID(), true
	}
	post, ok := b.concerned(about)
	return post.ID(), about.ID(), ok
}

// concerned returns what an op changes, if it is here and counts and its author may.
func (b *Board) concerned(o oplog.Op) (about oplog.Op, ok bool) {
	r := table[kindOf(o)]
	if r.changes == nil {
		return oplog.Op{}, false
	}
	about, ok = b.e.Log().Get(o.About())
	if !ok || !b.e.Counts(about) || !r.may(b, o, about) {
		return oplog.Op{}, false
	}
	return about, true
}

// reading is what counts of a board's content, filed by article.
type reading struct {
	posts []posted                 // in the log's order
	index map[keys.Digest]int      // of posts, by id
	gone  map[keys.Digest]oplog.Op // comments that were deleted, with the first op that did
}

// posted is one article with what was done to it since, each in the log's order.
type posted struct {
	op       oplog.Op
	edits    []oplog.Op
	shown    []oplog.Op // the edits that no other has among its ancestors, ascending by id
	deleted  oplog.Op   // the first that did, zero if none
	comments []oplog.Op
}

// post returns the article of an id that is in the index.
func (r *reading) post(o oplog.Op) *posted { return &r.posts[r.index[o.ID()]] }

// read reads the content strand once. What an op is about may come after it in the
// log's order: an author who has more heads than an op may name leaves some out.
// Rights to edit and delete are found here and not when an op comes: an op that is refused
// would keep what builds on it from being appended.
func (b *Board) read() reading {
	r := reading{index: make(map[keys.Digest]int), gone: make(map[keys.Digest]oplog.Op)}
	var later []oplog.Op
	for o := range b.e.Log().All(oplog.Content) {
		row, known := table[kindOf(o)]
		switch {
		case !known || !b.e.Counts(o):
		case row.begins != nil:
			row.begins(&r, o)
		default:
			later = append(later, o)
		}
	}
	for _, o := range later {
		if about, ok := b.concerned(o); ok {
			table[kindOf(o)].changes(&r, o, about)
		}
	}
	b.findLatest(r.posts)
	return r
}

// byID sorts ops by their ids.
func byID(ops []oplog.Op) {
	slices.SortFunc(ops, func(a, b oplog.Op) int { return compare(a.ID(), b.ID()) })
}
