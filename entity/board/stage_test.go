package board_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// replica is one node's copy of a board and the person who writes there.
type replica struct {
	*entitytest.World
	b    *board.Board
	name string
}

func newReplica(w *entitytest.World, name string) *replica {
	return &replica{w, board.New(w.Entity), name}
}

// kind names a type of operation.
type kind struct {
	family oplog.Family
	typ    uint16
}

// The types of a board's content.
var (
	newArticle    = kind{oplog.FamilyArticle, board.TypeArticleNew}
	editArticle   = kind{oplog.FamilyArticle, board.TypeArticleEdit}
	deleteArticle = kind{oplog.FamilyArticle, board.TypeArticleDelete}
	newComment    = kind{oplog.FamilyComment, board.TypeCommentNew}
	deleteComment = kind{oplog.FamilyComment, board.TypeCommentDelete}
)

// write has the person of a replica write an op about another one; body is nil for one
// without a body.
func (r *replica) write(tb entitytest.TB, k kind, about keys.Digest, body any) oplog.Op {
	tb.Helper()
	o, err := r.Write(r.Who(tb, r.name).Author(), r.Ring, k.family, k.typ, about, body)
	if err != nil {
		tb.Fatalf("%s writes %d/%d: %v", r.name, k.family, k.typ, err)
	}
	return o
}

// article has the person of a replica write an article with a title.
func (r *replica) article(tb entitytest.TB, title string) oplog.Op {
	tb.Helper()
	return r.write(tb, newArticle, keys.Digest{}, board.Article{Title: title})
}

// stage is a board at several places: what is done at one the others do not know until
// they meet. The author has a laptop, a phone and, of the laptop, a twin with the same
// key; bob is a member, master a further owner.
type stage struct {
	places map[string]*replica
	ops    map[string]oplog.Op // by label
	labels map[keys.Digest]string
}

var placeOf = map[string]string{
	"laptop": "member", "phone": "member", "twin": "member", "bob": "bob", "master": "master", "founder": "founder",
}

var phoneKey = keys.FromSeed([32]byte{7})

// nothing is the id of no op.
var nothing = keys.Digest{9}

func newStage(tb testing.TB) *stage {
	tb.Helper()
	base := entitytest.Settle(tb, entity.Board)
	base.Admit(tb, "bob", entity.Member)
	party := base.Who(tb, "member").Party()
	party.Devices = entitytest.Sorted(append(party.Devices, phoneKey.ID()))
	base.Must(tb, "member", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
	s := &stage{places: map[string]*replica{}, ops: map[string]oplog.Op{}, labels: map[keys.Digest]string{}}
	for place, name := range placeOf {
		r := newReplica(base.Clone(tb), name)
		if place == "phone" {
			r.People = maps.Clone(r.People)
			r.People["member"] = r.People["member"].By(phoneKey)
		}
		s.places[place] = r
	}
	return s
}

// run carries out one line: a place, what is done there, and to what.
//
//	PLACE new|edit LABEL TITLE           an edit has its title as label
//	PLACE delete|silence LABEL           an article, a comment
//	PLACE push|boo|arrow LABEL LABEL TEXT
//	PLACE hears PLACE, all               what one place has comes to another, or to all
//	PLACE promotes|demotes|removes NAME, PLACE leaves, PLACE drops (the author's phone)
//	PLACE closes, PLACE acks             a checkpoint, and what an owner acks
//	PLACE loses LABEL, PLACE finds LABEL a body goes, or comes
//
// A label that is none is of nothing.
func (s *stage) run(tb testing.TB, line string) {
	tb.Helper()
	f := strings.Fields(line)
	for len(f) < 5 {
		f = append(f, "")
	}
	where, verb, label, rest := f[0], f[1], f[2], f[3]
	about := nothing
	if o, ok := s.ops[label]; ok {
		about = o.ID()
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
	party := func(name string) entity.Party {
		m, _ := r.State().Member(r.Who(tb, name).User())
		return m.Party
	}
	switch verb {
	case "hears":
		s.hear(tb, r, s.places[label])
	case "new":
		s.label(label, r.article(tb, rest))
	case "edit":
		s.label(rest, r.write(tb, editArticle, about, board.Article{Title: rest}))
	case "delete":
		r.write(tb, deleteArticle, about, nil)
	case "push", "boo", "arrow", "mark0", "mark4":
		mark := map[string]board.Mark{"push": board.Push, "boo": board.Boo, "arrow": board.Arrow, "mark4": 4}[verb]
		s.label(rest, r.write(tb, newComment, about, board.Comment{Mark: mark, Text: f[4]}))
	case "silence":
		r.write(tb, deleteComment, about, nil)
	case "promotes":
		r.Must(tb, r.name, oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party(label)})
	case "demotes":
		r.Must(tb, r.name, oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: party(label).User})
	case "removes":
		o, key, err := r.RemoveMember(r.Who(tb, r.name).Author(), party(label).User)
		if err != nil {
			tb.Fatalf("%s: %v", line, err)
		}
		r.Ring[o.ID()] = key
	case "leaves":
		r.Must(tb, r.name, oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: r.CutsOf(party(r.name).Devices, oplog.Content)})
	case "drops":
		p := party(r.name)
		p.Devices = []keys.ID{r.Who(tb, r.name).Key.ID()}
		cuts := r.CutsOf([]keys.ID{phoneKey.ID()}, oplog.Content)
		if len(cuts) == 0 {
			cuts = []entity.Cut{{Device: phoneKey.ID(), Strand: oplog.Content}}
		}
		r.Must(tb, r.name, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: p, Cuts: cuts})
	case "closes":
		r.Close(tb, r.name)
	case "acks":
		r.ack(tb)
	case "loses":
		if !r.Log().LetGo(about) {
			tb.Fatalf("%q: it is not here", line)
		}
		r.b.Forget(about)
	case "finds":
		if !r.Log().Bring(s.ops[label]) {
			tb.Fatalf("%q: it is here", line)
		}
	default:
		tb.Fatalf("%q: what is %s?", line, verb)
	}
}

func (s *stage) label(label string, o oplog.Op) { s.ops[label], s.labels[o.ID()] = o, label }

func (s *stage) hear(tb testing.TB, r, from *replica) {
	tb.Helper()
	for _, o := range from.Log().Lacks(r.Log().Vector()) {
		if _, err := r.Add(o); err != nil && !errors.Is(err, oplog.ErrMissing) {
			tb.Fatalf("what one place accepted another refuses: %v", err)
		}
	}
}

// ack has the person of a place ack what they should there.
func (r *replica) ack(tb entitytest.TB) {
	tb.Helper()
	p := r.Who(tb, r.name)
	for id, ok := r.WantsAck(p.User()); ok; id, ok = r.WantsAck(p.User()) {
		if _, err := r.Ack(p.Author(), id); err != nil {
			tb.Fatalf("%s acks: %v", p.Name, err)
		}
	}
}

// show is the board as its readers see it. Of versions that are concurrent it names the
// titles in their own order, since which one is shown is a matter of ids.
func (s *stage) show(tb testing.TB, b *board.Board, ring entity.Keyring) string {
	tb.Helper()
	names := map[keys.Digest]string{}
	for _, r := range s.places {
		for name, p := range r.People {
			names[p.User()] = name
		}
	}
	says := func(lack board.Lack, text string) string {
		if lack != board.Nothing {
			return lack.String()
		}
		return text
	}
	var out []string
	for i, p := range b.Posts(ring) {
		if p.No != i+1 {
			tb.Errorf("post %d has number %d", i+1, p.No)
		}
		var line strings.Builder
		line.WriteString(s.labels[p.ID] + ": ")
		titles := []string{says(p.Lack, p.Title)}
		for j, v := range p.Others {
			titles = append(titles, says(v.Lack, v.Title))
			if oplogtest.Compare(p.Edit, v.Edit) >= 0 || j > 0 && oplogtest.Compare(p.Others[j-1].Edit, v.Edit) >= 0 {
				tb.Errorf("what is shown is not the lowest id, or the others are not ascending")
			}
		}
		slices.Sort(titles)
		if p.DeletedBy.IsZero() {
			line.WriteString(strings.Join(titles, " | "))
		} else {
			line.WriteString("deleted by " + names[p.DeletedBy])
			if p.Title != "" || p.Others != nil || p.Lack != board.Nothing {
				tb.Errorf("a deleted article says %+v", p)
			}
		}
		for j, c := range b.Remarks(ring, p.ID) {
			if c.No != j+1 || s.labels[c.ID] == "" {
				tb.Errorf("comment %d: %+v", j+1, c)
			}
			switch {
			case !c.By.IsZero():
				line.WriteString(fmt.Sprintf(" {%s deleted by %s}", names[c.Author], names[c.By]))
				if c.Text != "" || c.Lack != board.Nothing {
					tb.Errorf("a deleted comment says %+v", c)
				}
			case c.Lack != board.Nothing:
				line.WriteString(fmt.Sprintf(" {%v %s}", c.Lack, names[c.Author]))
			default:
				line.WriteString(fmt.Sprintf(" {%v %s %s}", c.Mark, names[c.Author], c.Text))
			}
		}
		if p.Comments > 0 || p.Score != 0 {
			line.WriteString(fmt.Sprintf(" %+d of %d", p.Score, p.Comments))
		}
		out = append(out, line.String())
	}
	return strings.Join(out, "\n")
}

// sameArticles compares two boards but for the order of articles that are concurrent,
// which is a matter of ids.
func sameArticles(got, want string) bool {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
