package entity_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// stage is a board at several places: what is done at one the others do not know until
// they meet. The author has a laptop, a phone and, of the laptop, a twin with the same
// key; bob is a member, master a further owner.
type stage struct {
	places map[string]*replica
	ops    map[string]oplog.Op // articles and comments by label
	labels map[keys.Digest]string
}

var placeOf = map[string]string{
	"laptop": "member", "phone": "member", "twin": "member", "bob": "bob", "master": "master", "founder": "founder",
}

var phoneKey = keys.FromSeed([32]byte{7})

func newStage(tb testing.TB) *stage {
	tb.Helper()
	base := settle(tb, entity.Board)
	base.admit(tb, "bob", entity.Member)
	party := base.who(tb, "member").party()
	party.Devices = sorted(append(party.Devices, phoneKey.ID()))
	base.must(tb, "member", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
	s := &stage{places: map[string]*replica{}, ops: map[string]oplog.Op{}, labels: map[keys.Digest]string{}}
	for place, name := range placeOf {
		r := &replica{base.clone(tb), name}
		if place == "phone" {
			r.people = maps.Clone(r.people)
			r.people["member"] = r.people["member"].by(phoneKey)
		}
		s.places[place] = r
	}
	return s
}

// run carries out one line: a place, what is done there, and to what.
func (s *stage) run(tb testing.TB, line string) {
	tb.Helper()
	f := strings.Fields(line)
	for len(f) < 5 {
		f = append(f, "")
	}
	where, verb, label, rest := f[0], f[1], f[2], f[3]
	of := s.ops[label]
	id := keys.Digest{9} // of nothing
	if of != (oplog.Op{}) {
		id = of.ID()
	}
	if where == "all" {
		for range 2 {
			for _, a := range s.places {
				for _, b := range s.places {
					s.hear(tb, a, b)
				}
			}
		}
		return
	}
	r := s.places[where]
	name := r.name
	party := func(name string) entity.Party {
		m, _ := r.State().Member(r.who(tb, name).user())
		return m.Party
	}
	switch verb {
	case "hears":
		s.hear(tb, r, s.places[label])
	case "new":
		s.label(label, r.write(tb, name, entity.Article{Title: rest}))
	case "edit":
		r.write(tb, name, entity.ArticleEdit{Article: id, Title: rest})
	case "delete":
		r.write(tb, name, entity.ArticleDelete{Article: id})
	case "push", "boo", "arrow", "mark0", "mark4":
		mark := map[string]entity.Mark{"push": entity.Push, "boo": entity.Boo, "arrow": entity.Arrow, "mark4": 4}[verb]
		s.label(rest, r.write(tb, name, entity.Comment{Article: id, Mark: mark, Text: f[4]}))
	case "silence":
		r.write(tb, name, entity.CommentDelete{Comment: id})
	case "promotes":
		p := party(label)
		r.must(tb, name, oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: &p})
	case "demotes":
		r.must(tb, name, oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: party(label).User})
	case "leaves":
		r.must(tb, name, oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: cutsAt(r, party(name).Devices)})
	case "drops": // the author's phone
		p := party(name)
		p.Devices = []keys.ID{r.who(tb, name).key.ID()}
		r.must(tb, name, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: p, Cuts: cutsAt(r, []keys.ID{phoneKey.ID()})})
	default:
		tb.Fatalf("%q: what is %s?", line, verb)
	}
}

func (s *stage) label(label string, o oplog.Op) { s.ops[label], s.labels[o.ID()] = o, label }

func (s *stage) hear(tb testing.TB, r, from *replica) {
	for _, o := range from.Log().Lacks(r.Log().Vector()) {
		if _, err := r.Add(o); err != nil && !errors.Is(err, oplog.ErrMissing) {
			tb.Fatalf("what one place accepted another refuses: %v", err)
		}
	}
}

func cutsAt(r *replica, devices []keys.ID) []entity.Cut {
	var cuts []entity.Cut
	for _, d := range devices {
		if tip, ok := r.Log().Tip(d, oplog.Content); ok {
			cuts = append(cuts, entity.Cut{Device: d, Strand: oplog.Content, Seq: tip.Seq(), ID: tip.ID()})
		}
	}
	return cuts
}

// show is the board as its readers see it. Of versions beside each other it names the
// titles in their own order, since which one is shown is a matter of ids.
func (s *stage) show(tb testing.TB, e *entity.Entity, ring entity.Keyring) string {
	tb.Helper()
	names := map[keys.Digest]string{}
	for _, r := range s.places {
		for name, p := range r.people {
			names[p.user()] = name
		}
	}
	var out []string
	for i, p := range e.Posts(ring) {
		if p.No != i+1 {
			tb.Errorf("post %d has number %d", i+1, p.No)
		}
		var line strings.Builder
		line.WriteString(s.labels[p.ID] + ": ")
		titles := []string{p.Title}
		for j, v := range p.Beside {
			titles = append(titles, v.Title)
			if compare(p.Edit, v.Edit) >= 0 || j > 0 && compare(p.Beside[j-1].Edit, v.Edit) >= 0 {
				tb.Errorf("what is shown is not the lowest id, or the others are not ascending")
			}
		}
		slices.Sort(titles)
		switch {
		case !p.DeletedBy.IsZero():
			line.WriteString("deleted by " + names[p.DeletedBy])
			if p.Title != "" || p.Beside != nil || p.Unreadable {
				tb.Errorf("a deleted article says %+v", p)
			}
		case p.Unreadable:
			line.WriteString("unreadable")
		default:
			line.WriteString(strings.Join(titles, " | "))
		}
		for j, c := range e.Remarks(ring, p.ID) {
			if c.No != j+1 || s.labels[c.ID] == "" {
				tb.Errorf("comment %d: %+v", j+1, c)
			}
			if c.By.IsZero() {
				line.WriteString(fmt.Sprintf(" {%v %s %s}", c.Mark, names[c.Author], c.Text))
			} else {
				line.WriteString(fmt.Sprintf(" {%v %s%s deleted by %s}", c.Mark, names[c.Author], c.Text, names[c.By]))
			}
		}
		if p.Comments > 0 || p.Score != 0 {
			line.WriteString(fmt.Sprintf(" %+d of %d", p.Score, p.Comments))
		}
		out = append(out, line.String())
	}
	return strings.Join(out, "\n")
}

// TestArticles is what a board shows after what people did to its articles: each row a
// history, and what it must come to at every place (docs/PROTOCOL.md §2.9).
func TestArticles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, history, want string }{
		// Edits.
		{"an edit replaces", "laptop new A one; laptop edit A two", "A: two"},
		{"the last edit is shown", "laptop new A one; laptop edit A two; laptop edit A three", "A: three"},
		{"an edit on another device", "laptop new A one; all; phone edit A two", "A: two"},
		{"edits beside each other are both there", "laptop new A one; all; laptop edit A two; phone edit A three", "A: three | two"},
		{"of each device the last one", "laptop new A one; all; laptop edit A two; phone edit A three; laptop edit A four", "A: four | three"},
		{"an edit of who saw both replaces both", "laptop new A one; all; laptop edit A two; phone edit A three; all; phone edit A four", "A: four"},
		{"an edit of who saw one stands beside the other", "laptop new A one; all; phone edit A two; all; laptop edit A three; phone edit A four", "A: four | three"},
		{"an edit that saw another over a third one's op", "laptop new A one; all; phone edit A two; bob hears phone; bob push A c1; laptop hears bob; laptop edit A three", "A: three {push bob } +1 of 1"},
		{"edits of two articles do not replace each other", "laptop new A one; laptop new B two; all; laptop edit A three; phone hears laptop; phone edit B four", "A: three\nB: four"},
		{"beside each other, though one saw an older one of the other's", "laptop new A one; laptop edit A two; all; laptop edit A three; phone edit A four", "A: four | three"},

		// Who may edit.
		{"nobody edits what another wrote", "bob new A one; all; laptop edit A two", "A: one"},
		{"nor does an owner", "bob new A one; all; master edit A two; founder edit A three", "A: one"},
		{"an edit of nothing, of a comment, of an edit", "laptop new A one; laptop edit nothing two; laptop push A c1; laptop edit c1 three", "A: one {push member } +1 of 1"},
		{"an edit of a device that was dropped, beyond its cut", "laptop new A one; all; phone arrow A c1; all; phone edit A two; laptop drops; all", "A: one {arrow member } +0 of 1"},
		{"an edit of that device up to its cut", "laptop new A one; all; phone edit A two; all; laptop drops; all", "A: two"},
		{"an edit beside others of who left", "laptop new A one; all; laptop leaves; phone edit A two", "A: one"},
		{"edits of a device that signed two at one place", "laptop new A one; all; laptop edit A two; twin edit A three; phone edit A four", "A: four"},

		// Deleting.
		{"its author deletes it", "laptop new A one; laptop delete A", "A: deleted by member"},
		{"on another device", "laptop new A one; all; phone delete A", "A: deleted by member"},
		{"an owner deletes it", "laptop new A one; all; master delete A", "A: deleted by master"},
		{"the founder deletes it", "laptop new A one; all; founder delete A", "A: deleted by founder"},
		{"another does not", "laptop new A one; all; bob delete A", "A: one"},
		{"a number is not used again", "laptop new A one; laptop delete A; laptop new B two", "A: deleted by member\nB: two"},
		{"a deletion beats an edit beside it", "laptop new A one; all; laptop edit A two; master delete A", "A: deleted by master"},
		{"and an edit after it", "laptop new A one; laptop delete A; laptop edit A two", "A: deleted by member"},
		{"deleted twice: the first", "laptop new A one; all; master delete A; all; founder delete A", "A: deleted by master"},
		{"comments go with it", "laptop new A one; all; bob push A c1 hi; all; laptop delete A", "A: deleted by member"},
		{"a comment on what is deleted", "laptop new A one; laptop delete A; all; bob push A c1 hi", "A: deleted by member"},
		{"a deletion of nothing, of a comment", "laptop new A one; laptop delete nothing; laptop push A c1; laptop delete c1", "A: one {push member } +1 of 1"},

		// An owner is who was one at the heads that the deletion cites.
		{"made an owner, he deletes", "laptop new A one; all; founder promotes bob; all; bob delete A", "A: deleted by bob"},
		{"what he deleted before is not deleted by it", "laptop new A one; all; bob delete A; all; founder promotes bob; all", "A: one"},
		{"what he deleted stays so when he is one no more", "laptop new A one; all; master delete A; all; founder demotes master; all", "A: deleted by master"},
		{"an owner no more, he does not", "laptop new A one; all; founder demotes master; all; master delete A", "A: one"},
		{"beside his demotion he does", "laptop new A one; all; founder demotes master; master delete A", "A: deleted by master"},
		{"made an owner in a void op, he does not", "laptop new A one; all; founder demotes master; master promotes bob; bob hears master; bob delete A", "A: one"},

		// Comments.
		{"they stand in their order", "laptop new A one; all; bob push A c1 x; bob boo A c2 y; bob arrow A c3 z", "A: one {push bob x} {boo bob y} {arrow bob z} -1 of 3"},
		{"everybody counts once", "laptop new A one; all; bob push A c1 x; bob push A c2 x; all; master push A c3 x; master boo A c4 y", "A: one {push bob x} {push bob x} {push master x} {boo master y} +0 of 4"},
		{"an arrow takes no push back", "laptop new A one; all; bob push A c1 x; bob arrow A c2 y", "A: one {push bob x} {arrow bob y} +1 of 2"},
		{"a mark that is none", "laptop new A one; all; bob mark0 A c1 x; bob mark4 A c2 x", "A: one"},
		{"on nothing, on a comment", "laptop new A one; all; bob push nothing c1 x; bob push A c2 y; bob push c2 c3 z", "A: one {push bob y} +1 of 1"},
		{"its author deletes one", "laptop new A one; all; bob push A c1 x; bob push A c2 y; bob silence c2", "A: one {push bob x} {push bob deleted by bob} +1 of 1"},
		{"his last mark is gone, so the one before counts", "laptop new A one; all; bob boo A c1 x; bob push A c2 y; bob silence c2", "A: one {boo bob x} {push bob deleted by bob} -1 of 1"},
		{"an owner deletes one", "laptop new A one; all; bob boo A c1 x; all; master silence c1", "A: one {boo bob deleted by master}"},
		{"the article's author does not", "laptop new A one; all; bob boo A c1 x; all; laptop silence c1", "A: one {boo bob x} -1 of 1"},
		{"deleted twice: by the first", "laptop new A one; all; bob boo A c1 x; all; master silence c1; all; bob silence c1", "A: one {boo bob deleted by master}"},
		{"an article is no comment", "laptop new A one; laptop silence A", "A: one"},
		{"of who left, up to his cut", "laptop new A one; all; bob push A c1 x; bob leaves; all", "A: one {push bob x} +1 of 1"},
	} {
		s := newStage(t)
		for line := range strings.SplitSeq(c.history, ";") {
			s.run(t, strings.TrimSpace(line))
			for _, r := range s.places {
				r.Posts(r.ring) // nothing that is kept of it may be wrong later
			}
		}
		s.run(t, "all")
		for place, r := range s.places {
			if got := s.show(t, r.Entity, r.ring); !sameArticles(got, c.want) {
				t.Errorf("%s, at %s:\n%s\nwant:\n%s", c.name, place, got, c.want)
			}
		}
	}
}

// sameArticles compares two boards but for the order of articles that stand beside
// each other, which is a matter of ids.
func sameArticles(got, want string) bool {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// TestOpenPost: the texts of what is shown and of what stands beside it.
func TestOpenPost(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.run(t, "laptop new A one")
	s.run(t, "all")
	laptop, phone := s.places["laptop"], s.places["phone"]
	id := s.ops["A"].ID()
	for r, text := range map[*replica]string{laptop: "said on the laptop", phone: "said on the phone"} {
		r.write(t, r.name, entity.ArticleEdit{Article: id, Class: "c", Title: "t", Text: text})
	}
	s.run(t, "all")
	p := laptop.Posts(laptop.ring)[0]
	if p.Text != "" {
		t.Errorf("a post that is not open says %q", p.Text)
	}
	laptop.OpenPost(laptop.ring, &p)
	if len(p.Beside) != 1 {
		t.Fatalf("%d beside, want one: %+v", len(p.Beside), p)
	}
	for _, v := range []entity.Version{p.Version, p.Beside[0]} {
		want := "said on the laptop"
		if v.Device == phoneKey.ID() {
			want = "said on the phone"
		}
		if v.Text != want || v.Class != "c" || !v.EditedAt.Equal(now) {
			t.Errorf("written on %v: %+v, want %q", v.Device, v, want)
		}
	}
	if p.Device == p.Beside[0].Device {
		t.Error("the same device twice")
	}
	s.run(t, "laptop delete A")
	p = laptop.Posts(laptop.ring)[0]
	if laptop.OpenPost(laptop.ring, &p); p.Text != "" || p.Title != "" || p.Beside != nil {
		t.Errorf("a deleted post: %+v", p)
	}
}

// TestHostileBoard: bodies out of bounds and of another shape change nothing, and an
// edit of an article that cannot be read makes it readable.
func TestHostileBoard(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.run(t, "laptop new A one")
	r, id := s.places["laptop"], s.ops["A"].ID()
	long := strings.Repeat("x", entity.MaxComment+1)
	for name, b := range map[string]any{
		"an edit without a title":         entity.ArticleEdit{Article: id},
		"an edit with a long title":       entity.ArticleEdit{Article: id, Title: strings.Repeat("t", entity.MaxTitle+1)},
		"an edit with a long class":       entity.ArticleEdit{Article: id, Title: "t", Class: strings.Repeat("t", entity.MaxName+1)},
		"an edit with a long text":        entity.ArticleEdit{Article: id, Title: "t", Text: strings.Repeat("t", entity.MaxText+1)},
		"a comment with a long text":      entity.Comment{Article: id, Mark: entity.Push, Text: long},
		"a comment that is not UTF-8":     entity.Comment{Article: id, Mark: entity.Push, Text: "\xff"},
		"a comment without a mark":        entity.Comment{Article: id},
		"an edit of nothing":              entity.ArticleEdit{Title: "t"},
		"a deletion of nothing":           entity.ArticleDelete{},
		"a comment on nothing":            entity.Comment{Mark: entity.Push},
		"a deletion of no comment at all": entity.CommentDelete{},
	} {
		o := r.write(t, r.name, b)
		if got := s.show(t, r.Entity, r.ring); got != "A: one" {
			t.Errorf("%s: %s", name, got)
		}
		if of, _, ok := r.Concerns(o, r.ring); ok {
			t.Errorf("%s concerns %v", name, of)
		}
		if c, ok := b.(entity.Comment); ok && c.Article == id {
			if _, err := entity.NewComment(c); !errors.Is(err, entity.ErrBody) {
				t.Errorf("NewComment of %s: %v, want ErrBody", name, err)
			}
		}
	}
	if _, err := entity.NewComment(entity.Comment{Mark: entity.Arrow, Text: long[1:]}); err != nil {
		t.Errorf("NewComment at the bounds: %v", err)
	}
	for _, typ := range []uint16{entity.TypeArticleEdit, entity.TypeArticleDelete} {
		if _, err := r.Write(r.who(t, "member").author(), r.ring, oplog.FamilyArticle, typ, entity.Left{}); err != nil {
			t.Fatal(err)
		}
	}
	r.write(t, r.name, entity.Article{Text: "without a title"})
	posts := r.Posts(r.ring)
	bad := posts[len(posts)-1]
	if len(posts) != 2 || !bad.Unreadable {
		t.Fatalf("posts: %+v", posts)
	}
	r.write(t, r.name, entity.ArticleEdit{Article: bad.ID, Title: "mended"})
	if p := r.Posts(r.ring)[1]; p.Unreadable || p.Title != "mended" {
		t.Errorf("an unreadable article that was edited: %+v", p)
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
	edit := s.places["laptop"].write(t, "member", entity.ArticleEdit{Article: a, Title: "t"}).ID()
	for _, row := range []struct {
		by   string
		body any
		want bool
	}{
		{"laptop", entity.ArticleEdit{Article: a, Title: "t"}, true},
		{"phone", entity.ArticleEdit{Article: a, Title: "t"}, true},
		{"master", entity.ArticleEdit{Article: a, Title: "t"}, false},
		{"laptop", entity.ArticleEdit{Article: c, Title: "t"}, false},
		{"laptop", entity.ArticleDelete{Article: a}, true},
		{"master", entity.ArticleDelete{Article: a}, true},
		{"bob", entity.ArticleDelete{Article: a}, false},
		{"bob", entity.ArticleDelete{Article: c}, false},
		{"bob", entity.Comment{Article: a, Mark: entity.Boo}, true},
		{"bob", entity.Comment{Article: c, Mark: entity.Boo}, false},
		{"bob", entity.Comment{Article: keys.Digest{9}, Mark: entity.Boo}, false},
		{"bob", entity.CommentDelete{Comment: c}, true},
		{"master", entity.CommentDelete{Comment: c}, true},
		{"laptop", entity.CommentDelete{Comment: c}, false},
		{"laptop", entity.CommentDelete{Comment: a}, false},
		{"laptop", entity.CommentDelete{Comment: edit}, false},
		{"laptop", entity.Article{Title: "t"}, false},
	} {
		r := s.places[row.by]
		o := r.write(t, r.name, row.body)
		got, named, ok := r.Concerns(o, r.ring)
		_, of := row.body.(entity.CommentDelete)
		if ok != row.want || ok && (got != a || of != (named == c)) {
			t.Errorf("%T by %s concerns %v, %v, %v, want %v", row.body, row.by, got, named, ok, row.want)
		}
		if _, _, ok := r.Concerns(o, nil); ok {
			t.Errorf("%T concerns something without the key", row.body)
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
		by   string
		body any
		want bool
	}{
		{"bob", entity.Comment{Article: s.ops["A"].ID(), Mark: entity.Push}, true},
		{"bob", entity.Comment{Article: s.ops["B"].ID(), Mark: entity.Push}, false},
		{"master", entity.ArticleDelete{Article: s.ops["B"].ID()}, false},
		{"master", entity.CommentDelete{Comment: s.ops["c0"].ID()}, true},
		{"master", entity.CommentDelete{Comment: s.ops["c1"].ID()}, false},
	}
	var ops []oplog.Op
	for _, row := range rows {
		ops = append(ops, s.places[row.by].write(t, row.by, row.body))
	}
	for i, o := range ops {
		r := s.places[rows[i].by]
		if _, _, ok := r.Concerns(o, r.ring); !ok {
			t.Errorf("number %d concerns nothing while all counts", i)
		}
	}
	s.run(t, "laptop drops")
	s.run(t, "all")
	for i, o := range ops {
		r := s.places["founder"]
		if _, _, ok := r.Concerns(o, r.ring); ok != rows[i].want {
			t.Errorf("number %d, %T: %v, want %v", i, rows[i].body, ok, rows[i].want)
		}
	}
}

// TestBoardBodies: the bytes of docs/PROTOCOL.md §2.4.
func TestBoardBodies(t *testing.T) {
	t.Parallel()
	id := keys.Digest{0xaa}
	x := "5820" + fmt.Sprintf("%x", id[:])
	for _, c := range []struct {
		body any
		want string
	}{
		{entity.ArticleEdit{Article: id, Title: "t"}, "a201" + x + "036174"},
		{entity.ArticleEdit{Article: id, Class: "c", Title: "t", Text: "x"}, "a401" + x + "026163" + "036174" + "046178"},
		{entity.ArticleDelete{Article: id}, "a101" + x},
		{entity.Comment{Article: id, Mark: entity.Push}, "a201" + x + "0201"},
		{entity.Comment{Article: id, Mark: entity.Arrow, Text: "x"}, "a301" + x + "0203" + "036178"},
		{entity.CommentDelete{Comment: id}, "a101" + x},
	} {
		if got := fmt.Sprintf("%x", keys.Marshal(c.body)); got != c.want {
			t.Errorf("%+v is %s, want %s", c.body, got, c.want)
		}
	}
}
