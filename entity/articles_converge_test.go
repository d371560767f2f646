package entity_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestBoardConvergence: random histories of people who write, edit, delete and comment
// beside each other, some of whom become owners, leave or sign twice at one place.
// Whoever has the same ops reads the same, in whatever order they came, and what he
// reads is what docs/PROTOCOL.md §2.9 says.
func TestBoardConvergence(t *testing.T) {
	t.Parallel()
	base := newStage(t)
	rapid.Check(t, func(rt *rapid.T) {
		ops, ring := drawBoard(t, rt, base)
		want := deliver(rt, ops, func(int) int { return 0 })
		say := reads(want, ring)
		if got := naiveBoard(want, ring); got != say {
			rt.Fatalf("not what the rules say (-rules +got):\n%s", cmp.Diff(got, say))
		}
		for i := range 2 {
			got := deliver(rt, ops, func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, fmt.Sprintf("next of delivery %d", i)) })
			if again := reads(got, ring); again != say {
				rt.Fatalf("two orders of arrival, two boards:\n%s", cmp.Diff(say, again))
			}
			// Read meanwhile, nothing that was kept of it may be wrong later.
			got = deliverReading(rt, ops, ring)
			if again := reads(got, ring); again != say {
				rt.Fatalf("whoever reads meanwhile has another board:\n%s", cmp.Diff(say, again))
			}
		}
		opened, err := entity.Open(want.Log())
		if err != nil || reads(opened, ring) != say {
			rt.Fatalf("Open comes to another board than Add: %v", err)
		}
	})
}

// deliverReading adds ops in a random order and reads the board between them.
func deliverReading(rt *rapid.T, ops []oplog.Op, ring entity.Keyring) *entity.Entity {
	e, err := entity.New(ops[0])
	if err != nil {
		rt.Fatalf("New: %v", err)
	}
	for rest := slices.Clone(ops[1:]); len(rest) > 0; {
		i := rapid.IntRange(0, len(rest)-1).Draw(rt, "next while reading")
		for len(e.Log().Missing(rest[i])) > 0 {
			i = (i + 1) % len(rest)
		}
		if _, err := e.Add(rest[i]); err != nil {
			rt.Fatalf("Add: %v", err)
		}
		rest = slices.Delete(rest, i, i+1)
		e.Posts(ring)
	}
	return e
}

// drawBoard returns the ops of a random history, each after all it builds on.
func drawBoard(t *testing.T, rt *rapid.T, base *stage) ([]oplog.Op, entity.Keyring) {
	var places []*replica
	for _, name := range []string{"laptop", "phone", "bob", "master", "founder", "twin"} {
		r := *base.places[name]
		r.world = r.clone(t)
		r.people = maps.Clone(r.people)
		places = append(places, &r)
	}
	if rapid.Bool().Draw(rt, "no forks") {
		places = places[:5]
	}
	for i := range rapid.IntRange(1, 40).Draw(rt, "steps") {
		r := places[rapid.IntRange(0, len(places)-1).Draw(rt, "place")]
		if rapid.IntRange(0, 2).Draw(rt, "act or hear") == 0 {
			take(rt, places[rapid.IntRange(0, len(places)-1).Draw(rt, "from")].Entity, r.Entity, rapid.IntRange(1, 20).Draw(rt, "how many"))
		} else {
			r.actOnBoard(rt, i)
		}
	}
	log := oplog.NewLog(places[0].ID())
	var ops []oplog.Op
	for _, r := range places {
		for _, o := range all(r.Entity) {
			if added, err := log.Append(o); err != nil {
				rt.Fatalf("Append: %v", err)
			} else if added {
				ops = append(ops, o)
			}
		}
	}
	return ops, places[0].ring
}

// actOnBoard is one thing that the person of a place does; some of it he may not do.
func (r *replica) actOnBoard(rt *rapid.T, i int) {
	p := r.people[r.name]
	var ids []keys.Digest
	for o := range r.Log().All(oplog.Content) {
		ids = append(ids, o.ID())
	}
	of := keys.Digest{9}
	if len(ids) > 0 && rapid.IntRange(0, 9).Draw(rt, "of nothing") > 0 {
		of = ids[rapid.IntRange(0, len(ids)-1).Draw(rt, "of")]
	}
	write := func(body any) {
		family, typ := boardType(body)
		_, _ = r.Write(p.author(), r.ring, family, typ, body)
	}
	m, _ := r.State().Member(r.people[rapid.SampledFrom([]string{"bob", "master"}).Draw(rt, "whom")].user())
	title := fmt.Sprintf("%s %d", r.name, i)
	switch rapid.SampledFrom([]string{
		"new", "new", "edit", "edit", "edit", "edit", "comment", "comment", "delete", "silence", "promote", "demote", "leave",
	}).Draw(rt, "what") {
	case "new":
		write(entity.Article{Title: title})
	case "edit":
		write(entity.ArticleEdit{Article: of, Title: rapid.SampledFrom([]string{title, title, title, ""}).Draw(rt, "title")})
	case "comment":
		write(entity.Comment{Article: of, Mark: entity.Mark(rapid.IntRange(0, 4).Draw(rt, "mark")), Text: title})
	case "delete":
		write(entity.ArticleDelete{Article: of})
	case "silence":
		write(entity.CommentDelete{Comment: of})
	case "promote":
		_, _ = r.Control(p.author(), oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: &m.Party})
	case "demote":
		_, _ = r.Control(p.author(), oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: m.Party.User})
	case "leave":
		if rapid.IntRange(0, 3).Draw(rt, "really") == 0 {
			_, _ = r.Control(p.author(), oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: cutsAt(r, m.Party.Devices)})
		}
	}
}

// reads is all that a reader sees, as text.
func reads(e *entity.Entity, ring entity.Keyring) string {
	var b strings.Builder
	for _, p := range e.Posts(ring) {
		e.OpenPost(ring, &p)
		fmt.Fprintf(&b, "%v %d %v %q %v unreadable %v deleted %v %+d of %d\n", p.ID, p.No, p.Author, p.Title, p.Edit, p.Unreadable, p.DeletedBy, p.Score, p.Comments)
		for _, v := range p.Beside {
			fmt.Fprintf(&b, "\tbeside %v %q\n", v.Edit, v.Title)
		}
		for _, r := range e.Remarks(ring, p.ID) {
			fmt.Fprintf(&b, "\t%d %v %v %v %q deleted %v\n", r.No, r.ID, r.Author, r.Mark, r.Text, r.By)
		}
	}
	return b.String()
}

// naiveBoard is reads straight from docs/PROTOCOL.md §2.9: it opens everything anew,
// walks the whole log for every question, and shares nothing with what it checks but
// the log's order and what counts.
func naiveBoard(e *entity.Entity, ring entity.Keyring) string {
	var ops []oplog.Op
	body := map[keys.Digest]any{}
	by := map[keys.Digest]oplog.Op{}
	past := map[keys.Digest]map[keys.Digest]bool{}
	for o := range e.Log().All(oplog.Content) {
		past[o.ID()] = map[keys.Digest]bool{}
		for _, id := range append(slices.Clone(o.Parents()), o.Prev()) {
			maps.Copy(past[o.ID()], past[id])
			past[o.ID()][id] = true
		}
		if b, _ := e.Describe(o, ring); e.Counts(o) {
			ops = append(ops, o)
			body[o.ID()], by[o.ID()] = b, o
		}
	}
	voidNow := newNaive(e)
	may := func(o oplog.Op, of oplog.Op) bool { return o.User() == of.User() || voidNow.owner(e, o) }
	is := func(o oplog.Op, f oplog.Family) bool { return o != (oplog.Op{}) && o.Family() == f && o.Type() == 1 }
	gone := func(of keys.Digest) (who keys.Digest) {
		for _, o := range slices.Backward(ops) {
			switch b := body[o.ID()].(type) {
			case *entity.ArticleDelete:
				if b.Article == of && is(by[of], oplog.FamilyArticle) && may(o, by[of]) {
					who = o.User()
				}
			case *entity.CommentDelete:
				if b.Comment == of && is(by[of], oplog.FamilyComment) && may(o, by[of]) {
					who = o.User()
				}
			}
		}
		return who
	}
	var out strings.Builder
	no := 0
	for _, o := range ops {
		if o.Family() != oplog.FamilyArticle || o.Type() != entity.TypeArticleNew {
			continue
		}
		no++
		if who := gone(o.ID()); !who.IsZero() {
			fmt.Fprintf(&out, "%v %d %v %q %v unreadable %v deleted %v %+d of %d\n", o.ID(), no, o.User(), "", keys.Digest{}, false, who, 0, 0)
			continue
		}
		a, readable := body[o.ID()].(*entity.Article)
		title := ""
		if readable {
			title = a.Title
		}
		var edits []oplog.Op
		for _, x := range ops {
			if b, ok := body[x.ID()].(*entity.ArticleEdit); ok && b.Article == o.ID() && b.Title != "" && x.User() == o.User() {
				edits = append(edits, x)
			}
		}
		edits = slices.DeleteFunc(slices.Clone(edits), func(x oplog.Op) bool {
			return slices.ContainsFunc(edits, func(y oplog.Op) bool { return past[y.ID()][x.ID()] })
		})
		slices.SortFunc(edits, func(a, b oplog.Op) int { return compare(a.ID(), b.ID()) })
		edit := keys.Digest{}
		if len(edits) > 0 {
			readable = true
			edit, title = edits[0].ID(), body[edits[0].ID()].(*entity.ArticleEdit).Title
		}
		var comments strings.Builder
		n, count, marks := 0, 0, map[keys.Digest]int{}
		for _, x := range ops {
			b, ok := body[x.ID()].(*entity.Comment)
			if !ok || b.Article != o.ID() || b.Mark < 1 || b.Mark > 3 {
				continue
			}
			n++
			who, said := gone(x.ID()), b.Text
			if who.IsZero() {
				count++
				switch b.Mark {
				case entity.Push:
					marks[x.User()] = 1
				case entity.Boo:
					marks[x.User()] = -1
				}
			} else {
				said = ""
			}
			fmt.Fprintf(&comments, "\t%d %v %v %v %q deleted %v\n", n, x.ID(), x.User(), b.Mark, said, who)
		}
		score := 0
		for _, m := range marks {
			score += m
		}
		fmt.Fprintf(&out, "%v %d %v %q %v unreadable %v deleted %v %+d of %d\n", o.ID(), no, o.User(), title, edit, !readable, keys.Digest{}, score, count)
		for _, x := range edits[min(1, len(edits)):] {
			fmt.Fprintf(&out, "\tbeside %v %q\n", x.ID(), body[x.ID()].(*entity.ArticleEdit).Title)
		}
		out.WriteString(comments.String())
	}
	return out.String()
}

// owner reports whether the author of a content op was an owner at the heads it cites,
// without what is void now.
func (n *naive) owner(e *entity.Entity, o oplog.Op) bool {
	in := map[int]bool{}
	for i, c := range n.ops {
		for _, h := range o.Auth() {
			if c.ID() == h {
				in[i] = true
				maps.Copy(in, n.past[i])
			}
		}
	}
	var counts []int
	for i, c := range n.ops {
		if in[i] && e.Counts(c) {
			counts = append(counts, i)
		}
	}
	rights, _ := n.rights(counts)
	p := rights[o.User()]
	return p != nil && p.active && p.role == entity.Master && slices.Contains(p.devices, o.Device())
}
