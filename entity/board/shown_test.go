package board_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

func TestPosts(t *testing.T) {
	t.Parallel()
	w := entitytest.Settle(t, entity.Board)
	r := newReplica(w, "member")
	w.Post(t, "founder", "first")
	o := r.write(t, newArticle, keys.Digest{}, board.Article{Class: "c", Title: "second", Text: "text"})
	for _, other := range []kind{editArticle, newComment, {oplog.FamilyArticle, 99}, {oplog.FamilyMessage, board.TypeArticleNew}} {
		r.write(t, other, keys.Digest{}, board.Article{Title: "no article"})
	}
	posts := r.b.Posts(w.Ring)
	want := board.Post{
		ID: o.ID(), No: 2, Author: w.Who(t, "member").User(), At: entitytest.Now,
		Version: board.Version{Device: o.Device(), Article: board.Article{Class: "c", Title: "second"}},
	}
	if len(posts) != 2 || posts[0].Title != "first" || posts[0].No != 1 {
		t.Fatalf("posts: %+v", posts)
	}
	if diff := cmp.Diff(want, posts[1]); diff != "" {
		t.Errorf("second post (-want +got):\n%s", diff)
	}
	for _, ring := range []entity.Keyring{nil, {}} { // also after another one opened them
		for _, p := range r.b.Posts(ring) {
			r.b.OpenPost(ring, &p)
			if p.Lack != board.NoKey || p.Article != (board.Article{}) {
				t.Errorf("a post without the key: %+v", p)
			}
		}
	}
	if r.b.OpenPost(w.Ring, &posts[1]); posts[1].Text != "text" {
		t.Errorf("OpenPost: %+v", posts[1])
	}
	fresh := newReplica(w.Clone(t), "member")
	if p := fresh.b.Posts(nil)[1]; p.Lack != board.NoKey {
		t.Errorf("a post whose key is still to come: %+v", p)
	}
	if p := fresh.b.Posts(w.Ring)[1]; p.Lack != board.Nothing || p.Title != "second" {
		t.Errorf("a post whose key came: %+v", p)
	}
}

// TestOpenPost: the texts of what is shown and of what is concurrent with it.
func TestOpenPost(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.run(t, "laptop new A one")
	s.run(t, "all")
	laptop, phone := s.places["laptop"], s.places["phone"]
	id := s.ops["A"].ID()
	for r, text := range map[*replica]string{laptop: "said on the laptop", phone: "said on the phone"} {
		r.write(t, editArticle, id, board.Article{Class: "c", Title: "t", Text: text})
	}
	s.run(t, "all")
	p := laptop.b.Posts(laptop.Ring)[0]
	if p.Text != "" {
		t.Errorf("a post that is not open says %q", p.Text)
	}
	laptop.b.OpenPost(laptop.Ring, &p)
	if len(p.Others) != 1 {
		t.Fatalf("%d others, want one: %+v", len(p.Others), p)
	}
	for _, v := range []board.Version{p.Version, p.Others[0]} {
		want := "said on the laptop"
		if v.Device == phoneKey.ID() {
			want = "said on the phone"
		}
		if v.Text != want || v.Class != "c" || !v.EditedAt.Equal(entitytest.Now) {
			t.Errorf("written on %v: %+v, want %q", v.Device, v, want)
		}
	}
	if p.Device == p.Others[0].Device {
		t.Error("the same device twice")
	}
	s.run(t, "laptop delete A")
	p = laptop.b.Posts(laptop.Ring)[0]
	if laptop.b.OpenPost(laptop.Ring, &p); p.Text != "" || p.Title != "" || p.Others != nil {
		t.Errorf("a deleted post: %+v", p)
	}
}

// TestHostileBoard: what is sealed was checked by nobody on its way. What is out of bounds, of
// another shape, or not there at all is shown as malformed, not as it is; an edit of it
// makes it readable.
func TestHostileBoard(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", entity.MaxText+1)
	for name, c := range map[string]struct {
		article board.Article
		comment board.Comment
	}{
		"nothing":        {board.Article{Text: "x"}, board.Comment{Text: "x"}},
		"a long title":   {board.Article{Title: long[:entity.MaxTitle+1]}, board.Comment{Mark: 4}},
		"a long class":   {board.Article{Title: "t", Class: long[:entity.MaxName+1]}, board.Comment{Mark: 4}},
		"a long text":    {board.Article{Title: "t", Text: long}, board.Comment{Mark: board.Push, Text: long[:entity.MaxComment+1]}},
		"not UTF-8":      {board.Article{Title: "a\xff"}, board.Comment{Mark: board.Push, Text: "\xff"}},
		"another shape":  {},
		"no body at all": {},
	} {
		w := entitytest.Settle(t, entity.Board)
		r := newReplica(w, "member")
		var article, edit, comment any = c.article, c.article, c.comment
		switch name {
		case "another shape":
			article, edit, comment = []int{1}, struct{}{}, []int{1}
		case "no body at all":
			article, edit, comment = nil, nil, nil
		case "not UTF-8":
			article, edit = board.Article{Text: "x"}, board.Article{Text: "x"} // that is no CBOR either
			comment = board.Comment{}
		}
		a := r.write(t, newArticle, keys.Digest{}, article)
		r.write(t, newComment, a.ID(), comment)
		for range 2 {
			p := r.b.Posts(w.Ring)[0]
			if r.b.OpenPost(w.Ring, &p); p.Lack != board.Malformed || p.Article != (board.Article{}) || p.Comments != 1 || p.Score != 0 {
				t.Errorf("%s: shown as %+.80v", name, p)
			}
			if m := r.b.Remarks(w.Ring, a.ID()); len(m) != 1 || m[0].Lack != board.Malformed || m[0].Mark != 0 || m[0].Text != "" {
				t.Errorf("%s: a comment is shown as %+.80v", name, m)
			}
		}
		r.write(t, editArticle, a.ID(), board.Article{Title: "mended"})
		if p := r.b.Posts(w.Ring)[0]; p.Lack != board.Nothing || p.Title != "mended" {
			t.Errorf("%s, mended: shown as %+.80v", name, p)
		}
		e := r.write(t, editArticle, a.ID(), edit)
		if p := r.b.Posts(w.Ring)[0]; p.Lack != board.Malformed || p.Article != (board.Article{}) || p.Edit != e.ID() {
			t.Errorf("%s in an edit: shown as %+.80v", name, p)
		}
		if name == "another shape" || name == "no body at all" {
			continue
		}
		if _, err := board.NewArticle(c.article); !errors.Is(err, entity.ErrBody) {
			t.Errorf("NewArticle with %s: %v, want ErrBody", name, err)
		}
		if _, err := board.NewComment(c.comment); !errors.Is(err, entity.ErrBody) {
			t.Errorf("NewComment with %s: %v, want ErrBody", name, err)
		}
	}
	good := board.Article{Title: long[:entity.MaxTitle], Class: long[:entity.MaxName], Text: long[:entity.MaxText]}
	if a, err := board.NewArticle(good); err != nil || a != good {
		t.Errorf("NewArticle at the bounds: %v", err)
	}
	if _, err := board.NewComment(board.Comment{Mark: board.Arrow, Text: long[:entity.MaxComment]}); err != nil {
		t.Errorf("NewComment at the bounds: %v", err)
	}
}

// TestDeleteWithoutKeys: a deletion needs no key and has no body. One that has a body is a
// deletion, whatever is in it, and whoever has the body.
func TestDeleteWithoutKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		ring bool
		body any
	}{
		{"without a body, with the key", true, nil},
		{"without a body, without the key", false, nil},
		{"with a body", true, struct{}{}},
		{"with a body that is an article", true, board.Article{Title: "x"}},
		{"with a body that is none", true, []int{1}},
	} {
		s := newStage(t)
		for _, line := range []string{"laptop new A one", "all", "bob push A c1 x", "bob push A c2 x", "all"} {
			s.run(t, line)
		}
		write := func(place string, k kind, label string) oplog.Op {
			r := s.places[place]
			ring := r.Ring
			if !c.ring {
				ring = nil
			}
			o, err := r.Write(r.Who(t, r.name).Author(), ring, k.family, k.typ, s.ops[label].ID(), c.body)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if o.Epoch().IsZero() != (c.body == nil) || (o.Size() == 0) != (c.body == nil) {
				t.Errorf("%s: epoch %v, %d bytes", c.name, o.Epoch(), o.Size())
			}
			return o
		}
		comment := write("bob", deleteComment, "c1")
		s.run(t, "all")
		for place, r := range s.places {
			r.Log().LetGo(comment.ID())
			if got, want := s.show(t, r.b, r.Ring), "A: one {bob deleted by bob} {push bob x} +1 of 1"; got != want {
				t.Errorf("%s, at %s: %s, want %s", c.name, place, got, want)
			}
		}
		article := write("phone", deleteArticle, "A")
		s.run(t, "all")
		for place, r := range s.places {
			r.Log().LetGo(article.ID())
			if got, want := s.show(t, r.b, nil), "A: deleted by member"; got != want {
				t.Errorf("%s, at %s: %s, want %s", c.name, place, got, want)
			}
		}
	}
}

// TestConcerns: what an op is about, if its author may.
func TestConcerns(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.run(t, "laptop new A one")
	s.run(t, "all")
	s.run(t, "bob push A c1")
	s.run(t, "all")
	a, c := s.ops["A"].ID(), s.ops["c1"].ID()
	edit := s.places["laptop"].write(t, editArticle, a, board.Article{Title: "t"}).ID()
	gone := s.places["bob"].write(t, deleteComment, c, nil).ID()
	for _, row := range []struct {
		by    string
		kind  kind
		about keys.Digest
		want  bool
	}{
		{"laptop", editArticle, a, true},
		{"phone", editArticle, a, true},
		{"master", editArticle, a, false},
		{"laptop", editArticle, c, false},
		{"laptop", editArticle, edit, false},
		{"laptop", editArticle, nothing, false},
		{"laptop", editArticle, keys.Digest{}, false},
		{"laptop", deleteArticle, a, true},
		{"master", deleteArticle, a, true},
		{"bob", deleteArticle, a, false},
		{"bob", deleteArticle, c, false},
		{"laptop", deleteArticle, edit, false},
		{"laptop", deleteArticle, keys.Digest{}, false},
		{"bob", newComment, a, true},
		{"bob", newComment, c, false},
		{"laptop", newComment, edit, false},
		{"bob", newComment, nothing, false},
		{"bob", newComment, keys.Digest{}, false},
		{"bob", deleteComment, c, true},
		{"master", deleteComment, c, true},
		{"laptop", deleteComment, c, false},
		{"laptop", deleteComment, a, false},
		{"laptop", deleteComment, edit, false},
		{"bob", deleteComment, gone, false},
		{"bob", deleteComment, keys.Digest{}, false},
		{"laptop", newArticle, keys.Digest{}, false},
		{"laptop", newArticle, a, false},
		{"laptop", kind{oplog.FamilyArticle, 99}, a, false},
	} {
		r := s.places[row.by]
		o := r.write(t, row.kind, row.about, nil)
		article, named, ok := r.b.Concerns(o)
		if ok != row.want || ok && (article != a || named != row.about) {
			t.Errorf("%v about %v by %s concerns %v, %v, %v, want %v", row.kind, row.about, row.by, article, named, ok, row.want)
		}
	}
}

// TestConcernsWhatCounts: an op has no effect on what is beyond a cut, nor is it about it.
func TestConcernsWhatCounts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, line := range []string{"laptop new A one", "all", "phone push A c0", "all", "phone new B two", "phone push A c1", "bob hears phone", "master hears phone"} {
		s.run(t, line)
	}
	rows := []struct {
		by    string
		kind  kind
		label string
		want  bool
	}{
		{"bob", newComment, "A", true},
		{"bob", newComment, "B", false},
		{"master", deleteArticle, "B", false},
		{"master", deleteComment, "c0", true},
		{"master", deleteComment, "c1", false},
	}
	var ops []oplog.Op
	for _, row := range rows {
		ops = append(ops, s.places[row.by].write(t, row.kind, s.ops[row.label].ID(), nil))
	}
	for i, o := range ops {
		if _, _, ok := s.places[rows[i].by].b.Concerns(o); !ok {
			t.Errorf("number %d concerns nothing while all counts", i)
		}
	}
	s.run(t, "laptop drops")
	s.run(t, "all")
	for i, o := range ops {
		if _, _, ok := s.places["founder"].b.Concerns(o); ok != rows[i].want {
			t.Errorf("number %d, about %s: %v, want %v", i, rows[i].label, ok, rows[i].want)
		}
	}
}

// TestBodies: the bytes of docs/PROTOCOL.md §2.4.
func TestBodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body any
		want string
	}{
		{board.Article{Title: "t"}, "a1" + "026174"},
		{board.Article{Class: "c", Title: "t", Text: "x"}, "a3" + "016163" + "026174" + "036178"},
		{board.Comment{Mark: board.Push}, "a1" + "0101"},
		{board.Comment{Mark: board.Arrow, Text: "x"}, "a2" + "0103" + "026178"},
	} {
		if got := fmt.Sprintf("%x", keys.Marshal(c.body)); got != c.want {
			t.Errorf("%+v is %s, want %s", c.body, got, c.want)
		}
	}
}

// TestTypes: ops in words, for people who look at a log.
func TestTypes(t *testing.T) {
	t.Parallel()
	w := entitytest.Settle(t, entity.Board)
	r := newReplica(w, "member")
	a := r.article(t, "a title")
	c := r.write(t, newComment, a.ID(), board.Comment{Mark: board.Boo})
	for _, row := range []struct {
		o    oplog.Op
		ring entity.Keyring
		body string
		word string
	}{
		{a, w.Ring, "*board.Article", "new"},
		{a, nil, "<nil>", "new"},
		{r.write(t, editArticle, a.ID(), board.Article{Title: "x"}), w.Ring, "*board.Article", "edit"},
		{r.write(t, deleteArticle, a.ID(), nil), w.Ring, "<nil>", "delete"},
		{c, w.Ring, "*board.Comment", "new"},
		{r.write(t, deleteComment, c.ID(), nil), nil, "<nil>", "delete"},
		{r.write(t, kind{oplog.FamilyComment, 99}, a.ID(), nil), w.Ring, "<nil>", "type(99)"},
	} {
		body, word := w.Describe(row.o, board.Types, row.ring)
		if got := fmt.Sprintf("%T", body); got != row.body || word != row.word {
			t.Errorf("%d/%d: %s %q, want %s %q", row.o.Family(), row.o.Type(), got, word, row.body, row.word)
		}
	}
	got := fmt.Sprint(board.Push, board.Boo, board.Arrow, board.Mark(0), board.Nothing, board.NotHere, board.NoKey, board.Malformed, board.Unread)
	if want := "push boo arrow unknown  not_here no_key malformed unread"; got != want {
		t.Errorf("words: %q, want %q", got, want)
	}
}
