package node

import (
	"context"
	"strconv"

	"pttnode/entity/board"
	"pttnode/keys"
	"pttnode/oplog"
)

// Comments returns the comments of an article in the board's order, the deleted ones in
// their places.
func (n *Node) Comments(ref, article string) ([]CommentView, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, p, err := n.article(ref, article)
	if err != nil {
		return nil, err
	}
	return n.comments(h, p.ID), nil
}

func (n *Node) comments(h *held, article keys.Digest) []CommentView {
	out := []CommentView{}
	for _, r := range h.board.Remarks(h.ring, article) {
		out = append(out, n.commentView(r))
	}
	return out
}

func (n *Node) commentView(r board.Remark) CommentView {
	v := CommentView{
		ID: r.ID, No: r.No, Author: n.nameOf(r.Author), AuthorID: r.Author, Text: r.Text, At: r.At, State: "ok",
	}
	if r.Mark != 0 {
		v.Type = r.Mark.String()
	}
	switch {
	case !r.By.IsZero():
		v.State, v.DeletedBy = "deleted", n.nameOf(r.By)
	case r.Lack != board.Nothing:
		v.State, v.Lack = "unreadable", r.Lack.String()
	}
	return v
}

// remark finds a comment of an article by number or id. The caller holds the lock.
func (n *Node) remark(h *held, article keys.Digest, ref string) (board.Remark, error) {
	return pick("comment", ref, h.board.Remarks(h.ring, article), func(r board.Remark) []string {
		return []string{strconv.Itoa(r.No), r.ID.String()}
	})
}

// AddComment writes a comment below an article: a push, a boo or, where the type says
// nothing, an arrow.
func (n *Node) AddComment(_ context.Context, ref, article, typ, text string) (CommentView, error) {
	c := board.Comment{Mark: board.Arrow, Text: text}
	switch typ {
	case "", "arrow":
		if text == "" {
			return CommentView{}, refuse("usage", "what", "a comment that neither pushes nor boos needs a text")
		}
	case "push":
		c.Mark = board.Push
	case "boo":
		c.Mark = board.Boo
	default:
		return CommentView{}, refuse("usage", "what", "a comment is a push, a boo or an arrow")
	}
	c, err := board.NewComment(c)
	if err != nil {
		return CommentView{}, writeCode(err)
	}
	var view CommentView
	err = n.update(func(tx *tx) error {
		h, p, err := n.articleToChange(ref, article)
		if err != nil {
			return err
		}
		o, err := tx.write(h, oplog.FamilyComment, board.TypeCommentNew, p.ID, c)
		if err != nil {
			return err
		}
		r, err := n.remark(h, p.ID, o.ID().String())
		view = n.commentView(r)
		return err
	})
	return view, err
}

// DeleteComment takes a comment back: one of ours, or any where we are an owner of the
// board.
func (n *Node) DeleteComment(_ context.Context, ref, article, comment string) (CommentView, error) {
	var view CommentView
	err := n.update(func(tx *tx) error {
		h, p, err := n.articleToChange(ref, article)
		if err != nil {
			return err
		}
		r, err := n.remark(h, p.ID, comment)
		if err != nil {
			return err
		}
		if r.By.IsZero() {
			if !n.mayDelete(h, r.Author) {
				return refuse("not_author", "what", "comment")
			}
			if _, err := tx.write(h, oplog.FamilyComment, board.TypeCommentDelete, r.ID, nil); err != nil {
				return err
			}
			if r, err = n.remark(h, p.ID, r.ID.String()); err != nil {
				return err
			}
		}
		view = n.commentView(r)
		return nil
	})
	return view, err
}
