package node

import (
	"context"
	"slices"
	"strconv"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/keys"
	"pttnode/oplog"
)

// Articles returns a board's articles in its order.
func (n *Node) Articles(ref string) ([]ArticleView, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, err := n.board(ref)
	if err != nil {
		return nil, err
	}
	out := []ArticleView{}
	for _, p := range h.board.Posts(h.ring) {
		out = append(out, n.articleView(p))
	}
	return out, nil
}

func (n *Node) articleView(p board.Post) ArticleView {
	v := ArticleView{
		ID: p.ID, No: p.No, Title: p.Title, Class: p.Class, Author: n.nameOf(p.Author), AuthorID: p.Author, At: p.At,
		Score: p.Score, Comments: p.Comments, State: "ok",
	}
	switch {
	case !p.DeletedBy.IsZero():
		v.State, v.DeletedBy = "deleted", n.nameOf(p.DeletedBy)
	case p.Lack != board.Nothing:
		v.State, v.Lack = "unreadable", p.Lack.String()
	case !p.Edit.IsZero():
		v.State, v.EditedAt = "edited", &p.EditedAt
	}
	return v
}

// article finds a board and an article of it by number or id. The caller holds the
// lock.
func (n *Node) article(ref, article string) (*held, board.Post, error) {
	h, err := n.board(ref)
	if err != nil {
		return nil, board.Post{}, err
	}
	p, err := n.post(h, article)
	return h, p, err
}

func (n *Node) post(h *held, ref string) (board.Post, error) {
	return pick("article", ref, h.board.Posts(h.ring), func(p board.Post) []string {
		return []string{strconv.Itoa(p.No), p.ID.String()}
	})
}

// Article returns one article by number or id, with its text, its comments and what
// its author made it say beside that, and marks it read.
func (n *Node) Article(_ context.Context, ref, article string) (ArticleView, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, p, err := n.article(ref, article)
	if err != nil {
		return ArticleView{}, err
	}
	view := n.wholeArticle(h, p)
	if !n.hasSeen(h.ID(), p.ID) && p.Author != n.user {
		n.markSeen(h.ID(), p.ID)
		if n.runCtx != nil && n.runCtx.Err() == nil {
			n.wg.Go(func() { n.storeSeen(h.ID(), p.ID) })
		}
	}
	return view, nil
}

// wholeArticle opens an article. The caller holds the lock.
func (n *Node) wholeArticle(h *held, p board.Post) ArticleView {
	h.board.OpenPost(h.ring, &p)
	if p.Lack == board.NotHere {
		shown := p.Edit
		if shown.IsZero() {
			shown = p.ID
		}
		n.wantBody(h, shown)
	}
	view := n.articleView(p)
	view.Body, view.Thread, view.Variants = &p.Text, n.comments(h, p.ID), []VariantView{}
	for _, v := range p.Others {
		view.Variants = append(view.Variants, VariantView{
			ID: v.Edit, Title: v.Title, Class: v.Class, Body: v.Text, Device: n.writtenOn(v.Device), At: v.EditedAt, Lack: v.Lack.String(),
		})
	}
	return view
}

// writtenOn names a device if it is one of ours.
func (n *Node) writtenOn(device keys.ID) DeviceView {
	v := DeviceView{ID: device}
	if slices.ContainsFunc(n.me.State().Devices, func(d entity.Device) bool { return d.ID == device }) {
		v.Name = n.deviceName(device)
	}
	return v
}

// hasSeen reports whether an article was read, on any device of ours. What is done to
// it later, an edit or a comment, does not make it unread again.
func (n *Node) hasSeen(eid, id keys.Digest) bool { return n.seen[eid][id] || n.meLog.Seen[eid][id] }

func (n *Node) markSeen(eid, id keys.Digest) {
	if n.seen[eid] == nil {
		n.seen[eid] = make(map[keys.Digest]bool)
	}
	n.seen[eid][id] = true
}

// storeSeen keeps a read mark; losing one to a crash or a full disk shows an
// article as unread again, and does no more harm.
func (n *Node) storeSeen(eid, id keys.Digest) {
	err := n.update(func(tx *tx) error {
		tx.put("/r/"+eid.String()+"/"+id.String(), []byte{1})
		return nil
	})
	if err != nil {
		n.log.Debug("read mark", "err", err)
	}
}

// NewArticle writes an article. It is durable when it is returned, and on its
// way to the members that are connected.
func (n *Node) NewArticle(_ context.Context, ref, class, title, body string) (ArticleView, error) {
	a, err := board.NewArticle(board.Article{Class: class, Title: title, Text: body})
	if err != nil {
		return ArticleView{}, writeCode(err)
	}
	var view ArticleView
	err = n.update(func(tx *tx) error {
		h, err := n.board(ref)
		if err != nil {
			return err
		}
		o, err := tx.write(h, oplog.FamilyArticle, board.TypeArticleNew, keys.Digest{}, a)
		if err != nil {
			return err
		}
		p, err := n.post(h, o.ID().String())
		view = n.articleView(p)
		return err
	})
	return view, err
}

// ArticleChange says what of an article is replaced; what is nil stays.
type ArticleChange struct {
	Title *string
	Class *string
	Body  *string
}

// EditArticle replaces what an article of ours says. It stands in the place of all
// that it said before, on other devices too, as far as this one has seen that.
func (n *Node) EditArticle(_ context.Context, ref, article string, c ArticleChange) (ArticleView, error) {
	var view ArticleView
	err := n.update(func(tx *tx) error {
		h, p, err := n.articleToChange(ref, article)
		switch {
		case err != nil:
			return err
		case p.Author != n.user:
			return refuse("not_author", "what", "article")
		case p.Lack != board.Nothing && (c.Class == nil || c.Title == nil || c.Body == nil):
			return refuse("usage", "what", "this article cannot be read here, so title, class and text are all needed")
		}
		if c.Title != nil && *c.Title == "" {
			return refuse("usage", "what", "an article needs a title")
		}
		h.board.OpenPost(h.ring, &p)
		a := p.Article
		replace(&a.Title, c.Title)
		replace(&a.Class, c.Class)
		replace(&a.Text, c.Body)
		if a, err = board.NewArticle(a); err != nil {
			return writeCode(err)
		}
		if a != p.Article || len(p.Others) > 0 || p.Lack != board.Nothing {
			if p, err = tx.change(h, p, board.TypeArticleEdit, a); err != nil {
				return err
			}
		}
		view = n.articleView(p)
		return nil
	})
	return view, err
}

func replace(what, by *string) {
	if by != nil {
		*what = *by
	}
}

// DeleteArticle takes an article back, for good: one of ours, or any where we are an
// owner of the board.
func (n *Node) DeleteArticle(_ context.Context, ref, article string) (ArticleView, error) {
	var view ArticleView
	err := n.update(func(tx *tx) error {
		h, p, err := n.article(ref, article)
		if err != nil {
			return err
		}
		if p.DeletedBy.IsZero() {
			if !n.mayDelete(h, p.Author) {
				return refuse("not_author", "what", "article")
			}
			if p, err = tx.change(h, p, board.TypeArticleDelete, nil); err != nil {
				return err
			}
		}
		view = n.articleView(p)
		return nil
	})
	return view, err
}

// change writes an op about an article and returns the article as it is then.
func (tx *tx) change(h *held, p board.Post, typ uint16, body any) (board.Post, error) {
	if _, err := tx.write(h, oplog.FamilyArticle, typ, p.ID, body); err != nil {
		return p, err
	}
	return tx.n.post(h, p.ID.String())
}

// mayDelete reports whether we may delete what a user wrote.
func (n *Node) mayDelete(h *held, author keys.Digest) bool {
	return author == n.user || h.State().Speaks(n.user, n.device.ID(), entity.Master)
}

// articleToChange is article for one that is not deleted.
func (n *Node) articleToChange(ref, article string) (*held, board.Post, error) {
	h, p, err := n.article(ref, article)
	if err == nil && !p.DeletedBy.IsZero() {
		err = refuse("deleted", "what", "article", "by", n.nameOf(p.DeletedBy))
	}
	return h, p, err
}

// write writes content about another op, zero for none, into an entity and journals it.
func (tx *tx) write(h *held, family oplog.Family, typ uint16, about keys.Digest, body any) (oplog.Op, error) {
	o, err := h.Write(tx.author(), h.ring, family, typ, about, body)
	if err != nil {
		return oplog.Op{}, writeCode(err)
	}
	tx.ops(h.Entity, o)
	tx.noticed(h, h.State().Kind, o)
	return o, nil
}

// noticedChange journals what was done to an article that is here, by who may.
func (tx *tx) noticedChange(h *held, o oplog.Op) {
	article, named, ok := h.board.Concerns(o)
	if !ok || !h.Counts(o) {
		return
	}
	data := map[string]any{"board": h.ID().String(), "id": article.String(), "by": o.User().String()}
	switch {
	case o.Family() == oplog.FamilyArticle && o.Type() == board.TypeArticleEdit:
		tx.event("article.edited", data)
	case o.Family() == oplog.FamilyArticle:
		tx.event("article.deleted", data)
	case o.Type() == board.TypeCommentNew:
		data["article"], data["id"] = article.String(), o.ID().String()
		tx.event("comment.new", data)
	default:
		data["article"], data["id"] = article.String(), named.String()
		tx.event("comment.deleted", data)
	}
}
