package entity

import (
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// gist is what a list needs of a content op of a board: whom it is about and how it
// is headed, not its text.
type gist struct {
	of           keys.Digest // the article or comment that it is about; zero of a new article
	mark         Mark
	class, title string
}

// reading is what was found out about content and need not be found out again. The
// zero reading knows nothing.
type reading struct {
	gists map[keys.Digest]*gist // what was opened; nil where that failed, which it does for ever

	owners  map[keys.Digest]bool // whether an op's author was a master where he wrote
	verdict *verdict             // by which that was found
	control int                  // how many control ops there were then

	latest map[keys.Digest]latest // by article, of those edited on several devices

	lists   map[int]list // of what checkpoints drop, by number
	looked  time.Time    // when it was found whether anything is dead now
	anyDead bool
}

// gist opens a content op of a board. It is nil where there is no key or what it
// opens to is none of the bodies or out of bounds; such an op has no effect.
func (e *Entity) gist(o oplog.Op, ring Keyring) *gist {
	if _, ok := ring[o.Epoch()]; !ok {
		return nil
	}
	g, ok := e.reading.gists[o.ID()]
	if !ok {
		if e.reading.gists == nil {
			e.reading.gists = make(map[keys.Digest]*gist)
		}
		g = gistOf(e.openContent(o, ring))
		e.reading.gists[o.ID()] = g
	}
	return g
}

// openContent returns the body of an op about an article, nil where it does not open
// or is out of bounds: what is sealed was checked by nobody on its way.
func (e *Entity) openContent(o oplog.Op, ring Keyring) any {
	body := boardBody(o)
	if body == nil || e.Read(o, ring, body) != nil {
		return nil
	}
	if b, ok := body.(interface{ check() error }); ok && b.check() != nil {
		return nil
	}
	return body
}

// boardBody returns a pointer to a zero body of an op about an article, nil for
// another op.
func boardBody(o oplog.Op) any {
	switch (typeKey{o.Family(), o.Type()}) {
	case typeKey{oplog.FamilyArticle, TypeArticleNew}:
		return new(Article)
	case typeKey{oplog.FamilyArticle, TypeArticleEdit}:
		return new(ArticleEdit)
	case typeKey{oplog.FamilyArticle, TypeArticleDelete}:
		return new(ArticleDelete)
	case typeKey{oplog.FamilyComment, TypeCommentNew}:
		return new(Comment)
	case typeKey{oplog.FamilyComment, TypeCommentDelete}:
		return new(CommentDelete)
	}
	return nil
}

func gistOf(body any) *gist {
	switch b := body.(type) {
	case *Article:
		return &gist{class: b.Class, title: b.Title}
	case *ArticleEdit:
		return &gist{of: b.Article, class: b.Class, title: b.Title}
	case *ArticleDelete:
		return &gist{of: b.Article}
	case *Comment:
		return &gist{of: b.Article, mark: b.Mark}
	case *CommentDelete:
		return &gist{of: b.Comment}
	}
	return nil
}

// mayDelete reports whether the author of o may take back what op says: his own, or
// anything where he was a master at the heads that he cites. What is void now made
// nobody a master, whatever stood when o came.
func (e *Entity) mayDelete(o, op oplog.Op) bool {
	if o.User() == op.User() {
		return true
	}
	if n := len(e.facts.reach.ops); e.reading.owners == nil || e.reading.control != n {
		e.reading.owners, e.reading.control = make(map[keys.Digest]bool), n
		e.reading.verdict = e.verdict(e.facts.reach.upTo(e.log.Heads(oplog.Control)))
	}
	yes, ok := e.reading.owners[o.ID()]
	if !ok {
		yes = e.partial(e.facts.reach.upTo(o.Auth()), e.reading.verdict, o.User()).Speaks(o.User(), o.Device(), Master)
		e.reading.owners[o.ID()] = yes
	}
	return yes
}

// Concerns returns the article that a content op edits, deletes or comments on, or
// from which it deletes a comment, and what of these it names, if its author may do so,
// both are here, and they count (docs/PROTOCOL.md §2.9).
func (e *Entity) Concerns(o oplog.Op, ring Keyring) (article, named keys.Digest, ok bool) {
	g := e.gist(o, ring)
	if g == nil {
		return keys.Digest{}, keys.Digest{}, false
	}
	of, ok := e.log.Get(g.of)
	if !ok {
		return keys.Digest{}, keys.Digest{}, false
	}
	article = of.ID()
	switch {
	case is(o, oplog.FamilyComment, TypeCommentDelete):
		if !is(of, oplog.FamilyComment, TypeCommentNew) || !e.mayDelete(o, of) {
			return keys.Digest{}, keys.Digest{}, false
		}
		if article, _, ok = e.Concerns(of, ring); !ok {
			return keys.Digest{}, keys.Digest{}, false
		}
	case !is(of, oplog.FamilyArticle, TypeArticleNew),
		is(o, oplog.FamilyArticle, TypeArticleEdit) && o.User() != of.User(),
		is(o, oplog.FamilyArticle, TypeArticleDelete) && !e.mayDelete(o, of):
		return keys.Digest{}, keys.Digest{}, false
	}
	if !e.Counts(of) {
		return keys.Digest{}, keys.Digest{}, false
	}
	return article, of.ID(), true
}

func is(o oplog.Op, family oplog.Family, typ uint16) bool {
	return o.Family() == family && o.Type() == typ
}
