package node

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// guest is a member of a board of n's, who writes on a copy of it.
type guest struct {
	claimant
	n    *Node
	copy *entity.Entity
	by   keys.ID // who brings what he writes
}

func newGuest(t *testing.T, n *Node, board keys.Digest) guest {
	t.Helper()
	inv, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: board.String()})
	if err != nil {
		t.Fatal(err)
	}
	c, h := newClaimant(t), n.entities[board]
	waiting, ok := n.commitInviting(c.key.ID(), inv.ID, c.reserve(h)).(protocol.Committed)
	if !ok {
		t.Fatalf("%+v", waiting)
	}
	if _, err := n.Approve(t.Context(), waiting.Claim.ID); err != nil {
		t.Fatal(err)
	}
	g := guest{claimant: c, n: n, by: c.key.ID()}
	for _, s := range []oplog.Strand{oplog.Control, oplog.Content} {
		for o := range h.Log().All(s) {
			if g.copy == nil {
				g.copy, err = entity.New(o)
			} else {
				_, err = g.copy.Add(o)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return g
}

// whole returns an op of a log with its bytes.
func whole(tb testing.TB, l *oplog.Log, o oplog.Op) oplog.Op {
	tb.Helper()
	o, err := l.Whole(o)
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

// write has n take what the guest writes.
func (g guest) write(t *testing.T, family oplog.Family, typ uint16, about keys.Digest, body any) oplog.Op {
	t.Helper()
	h := g.n.entities[g.copy.ID()]
	for o := range h.Log().All(oplog.Content) {
		if _, err := g.copy.Add(whole(t, h.Log(), o)); err != nil {
			t.Fatal(err)
		}
	}
	o, err := g.copy.Write(entity.Author{Key: g.key, User: g.me.ID(), Now: time.Now()}, h.ring, family, typ, about, body)
	if err != nil {
		t.Fatal(err)
	}
	if missing, err := g.n.take(h.ID(), g.by, []oplog.Pair{o.Pair()}); missing || err != nil {
		t.Fatalf("take: %v, %v", missing, err)
	}
	return o
}

// TestArticleChanges: what its author, an owner and others may do to an article.
func TestArticleChanges(t *testing.T) {
	n, _ := target(t, nil)
	ctx := t.Context()
	b, err := n.CreateBoard(ctx, BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	mine, err := n.NewArticle(ctx, "dev", "c", "title", "text")
	if err != nil || mine.State != "ok" {
		t.Fatalf("NewArticle: %+v, %v", mine, err)
	}
	ops := n.entities[b.ID].Log().Len
	before := ops()
	if v, err := n.EditArticle(ctx, "dev", "1", ArticleChange{Title: new("title")}); err != nil || v.State != "ok" || ops() != before {
		t.Errorf("an edit that changes nothing: %+v, %v, %d ops more", v, err, ops()-before)
	}
	v, err := n.EditArticle(ctx, "dev", "1", ArticleChange{Body: new("other")})
	if err != nil || v.State != "edited" || v.EditedAt == nil || v.Title != "title" || v.Class != "c" {
		t.Errorf("an edit of the text: %+v, %v", v, err)
	}
	if v, err := n.EditArticle(ctx, "dev", mine.ID.String(), ArticleChange{Class: new("")}); err != nil || v.Class != "" || v.Title != "title" {
		t.Errorf("an edit of the class: %+v, %v", v, err)
	}
	if v, err := n.Article(ctx, "dev", "1"); err != nil || *v.Body != "other" || len(v.Variants) != 0 {
		t.Errorf("the article: %+v, %v", v, err)
	}

	g := newGuest(t, n, b.ID)
	his := g.write(t, oplog.FamilyArticle, board.TypeArticleNew, keys.Digest{}, board.Article{Title: "his"}).ID()
	comment := g.write(t, oplog.FamilyComment, board.TypeCommentNew, mine.ID, board.Comment{Mark: board.Boo, Text: "no"}).ID()
	g.write(t, oplog.FamilyArticle, board.TypeArticleEdit, mine.ID, board.Article{Title: "forged"})
	g.write(t, oplog.FamilyArticle, board.TypeArticleDelete, mine.ID, nil)
	if v, err := n.Article(ctx, "dev", "1"); err != nil || v.Title != "title" || v.State != "edited" || v.Score != -1 || v.Comments != 1 || len(v.Thread) != 1 {
		t.Errorf("after what a guest may not do: %+v, %v", v, err)
	}
	if _, err := n.EditArticle(ctx, "dev", his.String(), ArticleChange{Title: new("x")}); code(t, err) != "not_author" {
		t.Errorf("an owner edits what another wrote: %v, want not_author", err)
	}
	if _, err := n.EditArticle(ctx, "dev", "1", ArticleChange{Title: new(strings.Repeat("x", entity.MaxTitle+1))}); code(t, err) != "too_long" {
		t.Errorf("a long title: %v, want too_long", err)
	}

	// Unread: his article, until it is deleted; what is done to a read one does not count.
	unread := func() int {
		v, err := n.Board("dev")
		if err != nil {
			t.Fatal(err)
		}
		return v.Unread
	}
	if unread() != 1 {
		t.Errorf("%d unread, want his article", unread())
	}
	if _, err := n.Article(ctx, "dev", his.String()); err != nil {
		t.Fatal(err)
	}
	g.write(t, oplog.FamilyArticle, board.TypeArticleEdit, his, board.Article{Title: "edited"})
	g.write(t, oplog.FamilyComment, board.TypeCommentNew, his, board.Comment{Mark: board.Push})
	if unread() != 0 {
		t.Errorf("%d unread after an edit of and a comment on what was read", unread())
	}
	late := g.write(t, oplog.FamilyArticle, board.TypeArticleNew, keys.Digest{}, board.Article{Title: "late"}).ID()
	if v, err := n.DeleteArticle(ctx, "dev", late.String()); err != nil || v.State != "deleted" || v.DeletedBy != "alice" || unread() != 0 {
		t.Errorf("an owner deletes what another wrote: %+v, %v, %d unread", v, err, unread())
	}
	before = ops()
	if v, err := n.DeleteArticle(ctx, "dev", late.String()); err != nil || v.State != "deleted" || ops() != before {
		t.Errorf("once more: %+v, %v", v, err)
	}
	if _, err := n.EditArticle(ctx, "dev", late.String(), ArticleChange{Title: new("x")}); code(t, err) != "deleted" {
		t.Errorf("an edit of what is deleted: %v, want deleted", err)
	}
	if _, err := n.AddComment(ctx, "dev", late.String(), "push", ""); code(t, err) != "deleted" {
		t.Errorf("a comment on what is deleted: %v, want deleted", err)
	}
	if _, err := n.DeleteComment(ctx, "dev", late.String(), "1"); code(t, err) != "deleted" {
		t.Errorf("a comment of what is deleted: %v, want deleted", err)
	}

	// What was opened nobody can read: a title alone does not mend it.
	if _, err := n.entities[b.ID].Write(entity.Author{Key: n.device, User: n.user, Now: time.Now()}, n.entities[b.ID].ring,
		oplog.FamilyArticle, board.TypeArticleNew, keys.Digest{}, board.Article{Text: "no title"}); err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprint(len(n.entities[b.ID].board.Posts(nil)))
	if _, err := n.EditArticle(ctx, "dev", last, ArticleChange{Title: new("x")}); code(t, err) != "usage" {
		t.Errorf("a title for what cannot be read: %v, want usage", err)
	}
	if v, err := n.EditArticle(ctx, "dev", last, ArticleChange{Title: new("x"), Class: new(""), Body: new("")}); err != nil || v.State != "edited" {
		t.Errorf("all of what cannot be read: %+v, %v", v, err)
	}

	var got []string
	events, _ := n.Events(0, 100)
	for _, e := range events {
		if what, _, _ := strings.Cut(e.Type, "."); what == "article" || what == "comment" {
			who := "guest"
			if e.Data["by"] == n.user.String() {
				who = "alice"
			}
			of := map[string]string{mine.ID.String(): "mine", his.String(): "his", late.String(): "late", comment.String(): "comment"}[fmt.Sprint(e.Data["id"])]
			if e.Data["board"] != b.ID.String() {
				t.Errorf("%s of board %v", e.Type, e.Data["board"])
			}
			got = append(got, fmt.Sprintf("%s %s %s", who, e.Type, of))
		}
	}
	want := []string{
		"alice article.new mine", "alice article.edited mine", "alice article.edited mine", "guest article.new his", "guest comment.new comment",
		"guest article.edited his", "guest comment.new ", "guest article.new late", "alice article.deleted late", "alice article.edited ",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("events:\n got %q\nwant %q", got, want)
	}
}

// TestComments: who may comment and delete comments, and what of.
func TestComments(t *testing.T) {
	n, ds := target(t, nil)
	ctx := t.Context()
	b, err := n.CreateBoard(ctx, BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.NewArticle(ctx, "dev", "", "title", "text"); err != nil {
		t.Fatal(err)
	}
	if all, err := n.Comments("dev", "1"); err != nil || all == nil || len(all) != 0 {
		t.Errorf("no comments: %v, %v, want an empty list", all, err)
	}
	for _, c := range []struct{ typ, text, code, want string }{
		{"push", "good", "", "push"},
		{"boo", "", "", "boo"},
		{"", "hm", "", "arrow"},
		{"arrow", "hm", "", "arrow"},
		{"arrow", "", "usage", ""},
		{"", "", "usage", ""},
		{"like", "x", "usage", ""},
		{"push", strings.Repeat("x", entity.MaxComment+1), "too_long", ""},
		{"push", "\xff", "too_long", ""},
	} {
		v, err := n.AddComment(ctx, "dev", "1", c.typ, c.text)
		if c.code != "" {
			if code(t, err) != c.code {
				t.Errorf("a %q comment %.10q: %v, want %s", c.typ, c.text, err, c.code)
			}
			continue
		}
		if err != nil || v.Type != c.want || v.Text != c.text || v.Author != "alice" || v.State != "ok" {
			t.Errorf("a %q comment %q: %+v, %v", c.typ, c.text, v, err)
		}
	}
	if _, err := n.AddComment(ctx, "dev", "2", "push", ""); code(t, err) != "not_found" {
		t.Errorf("a comment on nothing: %v, want not_found", err)
	}

	g := newGuest(t, n, b.ID)
	all, err := n.Comments("dev", "1")
	if err != nil || len(all) != 4 {
		t.Fatalf("comments: %+v, %v", all, err)
	}
	his := g.write(t, oplog.FamilyComment, board.TypeCommentNew, n.entities[b.ID].board.Posts(nil)[0].ID, board.Comment{Mark: board.Push}).ID()
	g.write(t, oplog.FamilyComment, board.TypeCommentDelete, all[0].ID, nil)
	if v, err := n.DeleteComment(ctx, "dev", "1", "2"); err != nil || v.State != "deleted" || v.DeletedBy != "alice" || v.No != 2 {
		t.Errorf("DeleteComment by number: %+v, %v", v, err)
	}
	if v, err := n.DeleteComment(ctx, "dev", "1", his.String()); err != nil || v.State != "deleted" || v.Author == "alice" {
		t.Errorf("an owner deletes what another said: %+v, %v", v, err)
	}
	before := n.entities[b.ID].Log().Len()
	if v, err := n.DeleteComment(ctx, "dev", "1", "2"); err != nil || v.State != "deleted" || n.entities[b.ID].Log().Len() != before {
		t.Errorf("once more: %+v, %v", v, err)
	}
	if _, err := n.DeleteComment(ctx, "dev", "1", "9"); code(t, err) != "not_found" {
		t.Errorf("a comment that is not there: %v, want not_found", err)
	}
	want := "push good ok,   deleted, arrow hm ok, arrow hm ok,   deleted, score 1 of 3"
	say := func(n *Node) string {
		v, err := n.Article(ctx, "dev", "1")
		if err != nil {
			t.Fatal(err)
		}
		var s strings.Builder
		for _, c := range v.Thread {
			s.WriteString(fmt.Sprintf("%s %s %s, ", c.Type, c.Text, c.State))
		}
		return s.String() + fmt.Sprintf("score %d of %d", v.Score, v.Comments)
	}
	if got := say(n); got != want {
		t.Errorf("the thread: %s, want %s", got, want)
	}
	again, err := New(n.host, ds, Config{Device: n.device, Vault: n.vault})
	if err != nil {
		t.Fatal(err)
	}
	if got := say(again); got != want {
		t.Errorf("after a restart: %s, want %s", got, want)
	}
}

// TestVoidChangeIsNoEvent: what has no effect, since its author has left, is kept, and
// nobody is told of it.
func TestVoidChangeIsNoEvent(t *testing.T) {
	n, _ := target(t, nil)
	b, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	a, err := n.NewArticle(t.Context(), "dev", "", "title", "text")
	if err != nil {
		t.Fatal(err)
	}
	gone, friend := newGuest(t, n, b.ID), newGuest(t, n, b.ID)
	h := n.entities[b.ID]
	leave, err := h.Control(entity.Author{Key: gone.key, User: gone.me.ID(), Now: time.Now()}, oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	if err != nil {
		t.Fatal(err)
	}
	gone.by = friend.key.ID()
	if err := n.update(func(tx *tx) error { tx.rotate(h); return nil }); err != nil { // an event of its own
		t.Fatal(err)
	}
	before := n.lastEvent
	o := gone.write(t, oplog.FamilyComment, board.TypeCommentNew, a.ID, board.Comment{Mark: board.Boo})
	if _, ok := h.Log().Get(o.ID()); !ok || h.Counts(o) {
		t.Fatalf("what was written beside %v: kept %v, counts %v", leave.ID(), ok, h.Counts(o))
	}
	if n.lastEvent != before {
		t.Error("an event of what has no effect")
	}
	friend.write(t, oplog.FamilyComment, board.TypeCommentNew, a.ID, board.Comment{Mark: board.Boo})
	if n.lastEvent != before+1 {
		t.Errorf("%d events of a comment, want one", n.lastEvent-before)
	}
}
