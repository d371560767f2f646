package entity

import (
	"slices"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// Post is one article of a board as its readers see it.
type Post struct {
	ID     keys.Digest
	No     int // place in the board's order, from 1; it may move while older articles arrive
	Author keys.Digest
	At     time.Time
	Article
	Unreadable bool // no key for its epoch, or what it opens to is no article
}

// Posts returns the articles of a board in its one order; without a ring they are
// listed and not opened.
func (e *Entity) Posts(ring Keyring) []Post {
	var out []Post
	for o := range e.log.All(oplog.Content) {
		if o.Family() != oplog.FamilyArticle || o.Type() != TypeArticleNew || !e.Counts(o) {
			continue
		}
		p := Post{ID: o.ID(), No: len(out) + 1, Author: o.User(), At: o.At()}
		if ring != nil {
			e.OpenPost(ring, &p)
		}
		out = append(out, p)
	}
	return out
}

// OpenPost fills in what an article says, or that it is unreadable.
func (e *Entity) OpenPost(ring Keyring, p *Post) {
	var a Article
	o, ok := e.log.Get(p.ID)
	if ok && e.Read(o, ring, &a) == nil {
		if _, err := NewArticle(a); err == nil { // a stranger's version may not have checked its bounds
			p.Article, p.Unreadable = a, false
			return
		}
	}
	p.Article, p.Unreadable = Article{}, true
}

// ProfileOf returns the last profile written by the founder of a Profile, of those
// within bounds.
func (e *Entity) ProfileOf(ring Keyring) ProfileSet {
	var last ProfileSet
	for o := range e.log.All(oplog.Content) {
		var p ProfileSet
		if o.Family() == oplog.FamilyProfile && o.Type() == TypeProfileSet && e.Counts(o) && e.Read(o, ring, &p) == nil &&
			text(p.Name, MaxName) && text(p.Card, MaxText) {
			last = p
		}
	}
	return last
}

// NewArticle checks an article's bounds and shape; it fails with ErrBody.
func NewArticle(a Article) (Article, error) {
	if !text(a.Title, MaxTitle) || !text(a.Class, MaxName) || !text(a.Text, MaxText) || a.Title == "" {
		return Article{}, ErrBody
	}
	return a, nil
}

// RoleFor returns the role that an entity's kind gives a newcomer when the
// invite says none.
func RoleFor(k Kind) Role {
	roles := ruleOf[k].roles
	if len(roles) == 0 {
		return 0
	}
	return slices.Max(roles)
}
