package board_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestLacks: why a text is not shown, what is remembered of that, and what shows it.
func TestLacks(t *testing.T) {
	t.Parallel()
	w := entitytest.Settle(t, entity.Board)
	r := newReplica(w, "member")
	a := r.article(t, "good")
	bad := r.article(t, "")
	c := r.write(t, newComment, a.ID(), board.Comment{Mark: board.Push, Text: "x"})
	var store *entitytest.Store
	lost := errors.New("the disk is gone")
	check := func(what string, ring entity.Keyring, good, comment, malformed board.Lack) {
		t.Helper()
		posts := r.b.Posts(ring)
		for _, open := range []bool{false, true} {
			for _, p := range posts {
				want, title := good, "good"
				if p.ID == bad.ID() {
					want, title = malformed, ""
				}
				if want != board.Nothing {
					title = ""
				}
				if open {
					r.b.OpenPost(ring, &p)
				}
				if p.Lack != want || p.Title != title {
					t.Errorf("%s, open %v: %v %q, want %v %q", what, open, p.Lack, p.Title, want, title)
				}
			}
		}
		if m := r.b.Remarks(ring, a.ID()); len(m) != 1 || m[0].Lack != comment || (m[0].Text == "x") != (comment == board.Nothing) {
			t.Errorf("%s: the comment %+v, want %v", what, m, comment)
		}
		for _, p := range posts {
			if score := p.Score; p.ID == a.ID() && (p.Comments != 1 || (score == 1) != (comment == board.Nothing)) {
				t.Errorf("%s: %+d of %d", what, score, p.Comments)
			}
		}
	}
	ops := []oplog.Op{a, bad, c}
	letGo := func() {
		for _, o := range ops {
			w.Log().LetGo(o.ID())
			r.b.Forget(o.ID())
		}
	}
	none, notHere, noKey, malformed, unread := board.Nothing, board.NotHere, board.NoKey, board.Malformed, board.Unread

	check("all is here", w.Ring, none, none, malformed)
	letGo()
	check("bodies that were let go of", w.Ring, notHere, notHere, notHere)
	check("neither bodies nor keys", nil, noKey, noKey, noKey)
	w.Log().Bring(a)
	check("one came", w.Ring, none, notHere, notHere)
	check("one came, without keys", nil, noKey, noKey, noKey)
	w.Log().Bring(bad)
	w.Log().Bring(c)
	check("all came", w.Ring, none, none, malformed)

	// Over a store.
	letGo()
	store = entitytest.NewStore(ops...)
	w.Log().SetSource(store)
	check("a store, without bodies", w.Ring, notHere, notHere, notHere)
	for _, o := range ops {
		w.Log().Bring(o)
	}
	store.Err = lost
	check("a store that fails", w.Ring, unread, unread, unread)
	check("a store that fails, without keys", nil, noKey, noKey, noKey)
	store.Err = nil
	check("and is well again", w.Ring, none, none, malformed)

	// What was opened for a list is remembered; texts are read from the store.
	store.Err = lost
	for _, p := range r.b.Posts(w.Ring) {
		if p.ID == a.ID() && (p.Lack != none || p.Title != "good" || p.Score != 1) || p.ID == bad.ID() && p.Lack != malformed {
			t.Errorf("what was opened before is forgotten: %v %q", p.Lack, p.Title)
		}
		if r.b.OpenPost(w.Ring, &p); p.Lack != unread {
			t.Errorf("the text comes from nowhere: %v", p.Lack)
		}
	}
}

// TestHoldsNoBody: a Board holds of bodies what a list needs, not their texts.
func TestHoldsNoBody(t *testing.T) {
	w := entitytest.Settle(t, entity.Board)
	r := newReplica(w.Clone(t), "member")
	var ops []oplog.Op
	for range 20 {
		a := r.write(t, newArticle, keys.Digest{}, board.Article{Title: "t", Text: strings.Repeat("x", 50_000)})
		e := r.write(t, editArticle, a.ID(), board.Article{Title: "t", Text: strings.Repeat("y", 50_000)})
		c := r.write(t, newComment, a.ID(), board.Comment{Mark: board.Push, Text: strings.Repeat("z", 4000)})
		ops = append(ops, a, e, c)
	}
	store := entitytest.NewStore(ops...)
	w.Log().SetSource(store)
	for _, o := range ops {
		entitytest.CheckAdded(t, w.Entity, store.Op(t, o.ID()))
	}
	b := board.New(w.Entity)
	for range 2 {
		for _, p := range b.Posts(w.Ring) {
			if b.OpenPost(w.Ring, &p); len(p.Text) != 50_000 {
				t.Errorf("a text of %d bytes, %v", len(p.Text), p.Lack)
			}
			if m := b.Remarks(w.Ring, p.ID); len(m[0].Text) != 4000 {
				t.Errorf("a comment of %d bytes, %v", len(m[0].Text), m[0].Lack)
			}
		}
	}
	if dead := len(b.Dead()); dead != 20 {
		t.Errorf("%d are dead, want 20", dead)
	}
	if given, alive := store.Alive(); alive != 0 || given < 3*len(ops) {
		t.Errorf("of %d bodies that came or were read %d are in memory", given, alive)
	}
	runtime.KeepAlive(b)
}
