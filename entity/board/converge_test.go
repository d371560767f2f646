package board_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// told is one article with all that a reader sees of it.
type told struct {
	board.Post
	remarks []board.Remark
}

// reads returns all that a reader sees.
func reads(b *board.Board, ring entity.Keyring) (out []told) {
	for _, p := range b.Posts(ring) {
		b.OpenPost(ring, &p)
		out = append(out, told{p, b.Remarks(ring, p.ID)})
	}
	return out
}

// masked is what of it a reader sees who has neither keys nor bodies.
func masked(all []told) []told {
	all = slices.Clone(all)
	for i := range all {
		p := &all[i]
		p.Article, p.Lack, p.Score = board.Article{}, 0, 0
		p.Others, p.remarks = slices.Clone(p.Others), slices.Clone(p.remarks)
		for j := range p.Others {
			p.Others[j].Article, p.Others[j].Lack = board.Article{}, 0
		}
		for j := range p.remarks {
			p.remarks[j].Mark, p.remarks[j].Text, p.remarks[j].Lack = 0, "", 0
		}
	}
	return all
}

func diff(want, got any) string { return cmp.Diff(want, got, cmp.AllowUnexported(told{})) }

// TestConvergence: random histories of people who write, edit, delete and comment
// concurrently, some of whom become owners, leave or sign twice at one place. Whoever has
// the same ops reads the same, in whatever order they came, and what they read is what
// docs/PROTOCOL.md §2.9 says.
func TestConvergence(t *testing.T) {
	t.Parallel()
	base := newStage(t)
	rapid.Check(t, func(rt *rapid.T) {
		ops, ring := drawBoard(t, rt, base, false)
		e := deliver(rt, ops, func(*entity.Entity) {})
		want := reads(board.New(e), ring)
		if d := diff(newNaive(e, e, ring).posts(ring), want); d != "" {
			rt.Fatalf("not what the rules say (-rules +got):\n%s", d)
		}
		if d := diff(newNaive(e, e, ring).dead(), board.New(e).Dead()); d != "" {
			rt.Fatalf("dead is not what the rules say (-rules +got):\n%s", d)
		}
		again := deliver(rt, ops, func(*entity.Entity) {})
		if d := diff(want, reads(board.New(again), ring)); d != "" {
			rt.Fatalf("two orders of arrival, two boards:\n%s", d)
		}
		// Read meanwhile, nothing that was kept of it may be wrong later.
		var b *board.Board
		deliver(rt, ops, func(e *entity.Entity) {
			if b == nil {
				b = board.New(e)
			}
			b.Posts(ring)
			b.Dead()
		})
		if d := diff(want, reads(b, ring)); d != "" {
			rt.Fatalf("whoever reads meanwhile has another board:\n%s", d)
		}
		opened, err := entity.Open(e.Log())
		if err != nil {
			rt.Fatalf("Open: %v", err)
		}
		if d := diff(want, reads(board.New(opened), ring)); d != "" {
			rt.Fatalf("Open comes to another board than Add:\n%s", d)
		}
	})
}

// TestFromEnvelopes: of two nodes, of which one has neither a key nor a body, both come to
// the same articles, edits, deletions, comments and dead texts; and one that has some of
// both says of each text why it cannot show it, until the rest comes.
func TestFromEnvelopes(t *testing.T) {
	t.Parallel()
	base := newStage(t)
	rapid.Check(t, func(rt *rapid.T) {
		ops, ring := drawBoard(t, rt, base, rapid.Bool().Draw(rt, "closing"))
		whole := deliver(rt, ops, func(*entity.Entity) {})
		keeps := keepsAny(whole)
		want, dead := reads(board.New(whole), ring), board.New(whole).Dead()

		bare := deliver(rt, away(rt, ops, func(oplog.Op) bool { return true }), func(*entity.Entity) {})
		if got := reads(board.New(bare), nil); diff(masked(want), masked(got)) != "" {
			rt.Fatalf("without keys and bodies:\n%s", diff(masked(want), masked(got)))
		}
		if d := diff(slices.Sorted(texts(dead)), slices.Sorted(texts(board.New(bare).Dead()))); d != "" {
			rt.Fatalf("dead without keys and bodies:\n%s", d)
		}

		some := make(entity.Keyring)
		for _, id := range slices.SortedFunc(maps.Keys(ring), oplogtest.Compare) {
			if rapid.IntRange(0, 3).Draw(rt, "no key") > 0 {
				some[id] = ring[id]
			}
		}
		var missing []oplog.Op
		part := deliver(rt, away(rt, ops, func(o oplog.Op) bool {
			gone := rapid.IntRange(0, 2).Draw(rt, "no body") == 0
			if gone {
				missing = append(missing, o)
			}
			return gone
		}), func(*entity.Entity) {})
		b := board.New(part)
		check := func(what string) {
			rt.Helper()
			n := newNaive(part, whole, ring)
			if d := diff(n.posts(some), reads(b, some)); d != "" && !keeps {
				rt.Fatalf("%s (-rules +got):\n%s", what, d)
			}
			if got := reads(b, some); diff(masked(want), masked(got)) != "" {
				rt.Fatalf("%s, another board:\n%s", what, diff(masked(want), masked(got)))
			}
			if d := diff(n.dead(), b.Dead()); d != "" && !keeps {
				rt.Fatalf("%s, dead (-rules +got):\n%s", what, d)
			}
		}
		check("with some bodies and keys")
		for i, o := range missing {
			if !part.Log().Bring(o) {
				rt.Fatalf("the body of %v does not come", o.ID())
			}
			if i%4 == 0 {
				check("with more bodies")
			}
		}
		check("with all bodies")
		if d := diff(want, reads(b, ring)); d != "" {
			rt.Fatalf("with all bodies and keys:\n%s", d)
		}
		if d := diff(dead, b.Dead()); d != "" {
			rt.Fatalf("dead with all bodies and keys:\n%s", d)
		}

		// What is dead is shown nowhere: letting go of it changes nothing.
		for id := range dead {
			part.Log().LetGo(id)
			b.Forget(id)
		}
		if d := diff(want, reads(b, ring)); d != "" {
			rt.Fatalf("without what is dead:\n%s", d)
		}
		if d := diff(dead, b.Dead()); d != "" {
			rt.Fatalf("dead, when it was let go of:\n%s", d)
		}
	})
}

// keepsAny reports whether a checkpoint keeps anything, which then counts out of the log's
// order: the naive board does not know that.
func keepsAny(e *entity.Entity) bool {
	for o := range e.Log().All(oplog.Control) {
		body, _ := e.Describe(o, nil, nil)
		if c, ok := body.(*entity.Checkpoint); ok && len(c.Keeps) > 0 {
			return true
		}
	}
	return false
}

func texts(ids map[keys.Digest]bool) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for id := range ids {
			if !yield(id.String()) {
				return
			}
		}
	}
}

// deliver adds ops to a new entity in a random order.
func deliver(rt *rapid.T, ops []oplog.Op, between func(e *entity.Entity)) *entity.Entity {
	rt.Helper()
	return entitytest.Deliver(rt, ops, func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "next") }, between)
}

// away returns ops, of content those without body that gone says.
func away(rt *rapid.T, ops []oplog.Op, gone func(o oplog.Op) bool) (out []oplog.Op) {
	rt.Helper()
	for _, o := range ops {
		if o.Size() > 0 && gone(o) {
			bare, err := oplog.Parse(o.Envelope())
			if err != nil {
				rt.Fatalf("Parse: %v", err)
			}
			o = bare
		}
		out = append(out, o)
	}
	return out
}

// drawBoard returns the ops of a random history, each after all it builds on. In one that
// is closing the founder makes checkpoints.
func drawBoard(t *testing.T, rt *rapid.T, base *stage, closing bool) ([]oplog.Op, entity.Keyring) {
	t.Helper()
	var places []*replica
	ring := maps.Clone(base.places["laptop"].Ring) // of all: keys are handed on at once
	for _, name := range []string{"laptop", "phone", "bob", "master", "founder", "twin"} {
		from := base.places[name]
		r := newReplica(from.Clone(t), from.name)
		r.People, r.Ring = maps.Clone(r.People), ring
		places = append(places, r)
	}
	if rapid.Bool().Draw(rt, "no forks") {
		places = places[:5]
	}
	for i := range rapid.IntRange(1, 40).Draw(rt, "steps") {
		r := places[rapid.IntRange(0, len(places)-1).Draw(rt, "place")]
		if rapid.IntRange(0, 2).Draw(rt, "act or hear") == 0 {
			entitytest.Take(rt, places[rapid.IntRange(0, len(places)-1).Draw(rt, "from")].Entity, r.Entity, rapid.IntRange(1, 20).Draw(rt, "how many"))
		} else {
			r.act(rt, i, closing)
		}
	}
	return entitytest.Union(rt, places[0].ID(), places), ring
}

// act is one thing that the person of a place does; some of it they may not do.
func (r *replica) act(rt *rapid.T, i int, closing bool) {
	p := r.People[r.name]
	about := nothing
	if ids := slices.Collect(r.Log().All(oplog.Content)); len(ids) > 0 && rapid.IntRange(0, 9).Draw(rt, "of nothing") > 0 {
		about = ids[rapid.IntRange(0, len(ids)-1).Draw(rt, "of")].ID()
	}
	title := fmt.Sprintf("%s %d", r.name, i)
	write := func(k kind, body any) {
		switch rapid.IntRange(0, 9).Draw(rt, "shape") {
		case 0:
			body = nil
		case 1:
			body = board.Article{Title: title}
		}
		if k == newArticle {
			about = keys.Digest{}
		}
		_, _ = r.Write(p.Author(), r.Ring, k.family, k.typ, about, body)
	}
	m, _ := r.State().Member(r.People[rapid.SampledFrom([]string{"bob", "master"}).Draw(rt, "whom")].User())
	acts := []string{"new", "new", "edit", "edit", "edit", "edit", "comment", "comment", "delete", "silence", "promote", "demote", "leave", "rekey"}
	if closing {
		acts = append(acts, "close", "close", "close")
	}
	switch rapid.SampledFrom(acts).Draw(rt, "what") {
	case "new":
		write(newArticle, board.Article{Title: title, Text: "text of " + title})
	case "edit":
		write(editArticle, board.Article{Title: rapid.SampledFrom([]string{title, title, title, ""}).Draw(rt, "title")})
	case "comment":
		write(newComment, board.Comment{Mark: board.Mark(rapid.IntRange(0, 4).Draw(rt, "mark")), Text: title})
	case "delete":
		write(deleteArticle, nil)
	case "silence":
		write(deleteComment, nil)
	case "promote":
		_, _ = r.Control(p.Author(), oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: m.Party})
	case "demote":
		_, _ = r.Control(p.Author(), oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: m.Party.User})
	case "leave":
		if rapid.IntRange(0, 3).Draw(rt, "really") == 0 {
			_, _ = r.Control(p.Author(), oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: r.CutsOf(m.Party.Devices, oplog.Content)})
		}
	case "rekey":
		if o, key, err := r.Rotate(p.Author()); err == nil {
			r.Ring[o.ID()] = key
		}
	case "close":
		if r.name == "founder" {
			r.Close(rt, r.name)
		} else {
			r.ack(rt)
		}
	}
}
