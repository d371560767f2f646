package entity_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// now is when everything of these tests happens.
var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// person is a user with one device.
type person struct {
	name string
	key  keys.Private
	me   entity.Created
}

func newPerson(tb testing.TB, name string) person {
	tb.Helper()
	key := keys.FromSeed(sha256.Sum256([]byte(name)))
	box := keys.BoxFromSecret(sha256.Sum256([]byte("box of " + name)))
	me, err := entity.CreateMe(entity.Author{Key: key, Now: now}, keys.FromSeed(sha256.Sum256([]byte("recovery of "+name))).ID(), entity.Desktop, box.ID())
	if err != nil {
		tb.Fatalf("CreateMe of %s: %v", name, err)
	}
	return person{name, key, me}
}

func (p person) user() keys.Digest { return p.me.ID() }

func (p person) author() entity.Author { return entity.Author{Key: p.key, User: p.user(), Now: now} }

func (p person) party() entity.Party { return p.me.State().Party(p.name) }

// by is p writing with another device.
func (p person) by(key keys.Private) person {
	p.key = key
	return p
}

// world is an entity with one person in every standing it has.
type world struct {
	*entity.Entity
	ring   entity.Keyring
	people map[string]person
	ref    [16]byte
}

func (w *world) who(tb testing.TB, name string) person {
	tb.Helper()
	p, ok := w.people[name]
	if !ok {
		p = newPerson(tb, name)
		w.people[name] = p
	}
	return p
}

// admit lets a person in by the founder.
func (w *world) admit(tb testing.TB, name string, role entity.Role) oplog.Op {
	tb.Helper()
	o, err := entity.ApproveJoinEntity(w.Entity, w.who(tb, "founder").author(), w.ring, entity.Admission{
		Party: w.who(tb, name).party(), Role: role, Ref: &w.ref,
	})
	if err != nil {
		tb.Fatalf("admit %s: %v", name, err)
	}
	return o
}

func (w *world) must(tb testing.TB, name string, family oplog.Family, typ uint16, body any) oplog.Op {
	tb.Helper()
	o, err := w.Control(w.who(tb, name).author(), family, typ, body)
	if err != nil {
		tb.Fatalf("%s writes %d/%d: %v", name, family, typ, err)
	}
	return o
}

// rekey is the founder beginning a new epoch, as after every departure.
func (w *world) rekey(tb testing.TB) oplog.Op {
	tb.Helper()
	o, key, err := w.Rotate(w.who(tb, "founder").author())
	if err != nil {
		tb.Fatalf("Rotate: %v", err)
	}
	w.ring[o.ID()] = key
	return o
}

func (w *world) post(tb testing.TB, name, title string) oplog.Op {
	tb.Helper()
	o, err := w.Write(w.who(tb, name).author(), w.ring, oplog.FamilyArticle, entity.TypeArticleNew, entity.Article{Title: title})
	if err != nil {
		tb.Fatalf("%s posts %q: %v", name, title, err)
	}
	return o
}

// write is what a person does on a board: a body of an article or a comment.
func (w *world) write(tb testing.TB, name string, body any) oplog.Op {
	tb.Helper()
	family, typ := boardType(body)
	o, err := w.Write(w.who(tb, name).author(), w.ring, family, typ, body)
	if err != nil {
		tb.Fatalf("%s writes %T: %v", name, body, err)
	}
	return o
}

// boardType returns the family and type of a body of an article or a comment.
func boardType(body any) (oplog.Family, uint16) {
	switch body.(type) {
	case entity.Article:
		return oplog.FamilyArticle, entity.TypeArticleNew
	case entity.ArticleEdit:
		return oplog.FamilyArticle, entity.TypeArticleEdit
	case entity.ArticleDelete:
		return oplog.FamilyArticle, entity.TypeArticleDelete
	case entity.Comment:
		return oplog.FamilyComment, entity.TypeCommentNew
	case entity.CommentDelete:
		return oplog.FamilyComment, entity.TypeCommentDelete
	}
	return 0, 0
}

var openPolicy = entity.Policy{Join: entity.JoinLink, History: entity.History{Mode: entity.HistoryAll}}

// found makes a world with its founder alone.
func found(tb testing.TB, kind entity.Kind) *world {
	tb.Helper()
	return foundBy(tb, kind, map[string]person{})
}

// foundBy is found with people who are somewhere already.
func foundBy(tb testing.TB, kind entity.Kind, people map[string]person) *world {
	tb.Helper()
	w := &world{people: people, ref: [16]byte{1, 2, 3}}
	f := w.who(tb, "founder")
	if kind == entity.Me {
		w.Entity, w.ring = clone(tb, f.me.Entity), entity.Keyring{f.me.Epoch: f.me.Key}
		return w
	}
	party := f.party()
	g := entity.Genesis{Kind: kind, Founder: &party}
	switch kind {
	case entity.Board:
		g.Name, g.Title, g.Policy = "a board", "A board", &openPolicy
	case entity.Friend:
		parties := []keys.Digest{f.user(), w.who(tb, "other").user()}
		slices.SortFunc(parties, compare)
		g.Parties, g.Ref = parties, &w.ref
	}
	c, err := entity.CreateEntity(f.author(), g)
	if err != nil {
		tb.Fatalf("found a %v: %v", kind, err)
	}
	w.Entity, w.ring = c.Entity, entity.Keyring{c.Epoch: c.Key}
	return w
}

// settle makes a world with everybody the kind can have: "master", "member",
// "reader" and "gone", who left; in a friendship "other" and, before that, nobody.
func settle(tb testing.TB, kind entity.Kind) *world {
	tb.Helper()
	return settleBy(tb, kind, map[string]person{})
}

func settleBy(tb testing.TB, kind entity.Kind, people map[string]person) *world {
	tb.Helper()
	w := foundBy(tb, kind, people)
	switch kind {
	case entity.Board:
		for _, name := range []string{"master", "member", "gone"} {
			w.admit(tb, name, entity.Member)
		}
		w.admit(tb, "reader", entity.Reader)
		party := w.who(tb, "master").party()
		w.must(tb, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: &party})
		w.must(tb, "gone", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
		w.rekey(tb)
	case entity.Profile:
		w.admit(tb, "reader", entity.Reader)
		w.admit(tb, "gone", entity.Reader)
		w.must(tb, "gone", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
		w.rekey(tb)
	case entity.Friend:
		w.admit(tb, "other", entity.Member)
	}
	return w
}

// all returns the ops of an entity as they can be added.
func all(e interface{ Log() *oplog.Log }) []oplog.Op {
	return append(slices.Collect(e.Log().All(oplog.Control)), slices.Collect(e.Log().All(oplog.Content))...)
}

// clone adds every op of an entity to a new one.
func clone(tb testing.TB, e *entity.Entity) *entity.Entity {
	tb.Helper()
	ops := all(e)
	c, err := entity.New(ops[0])
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	for _, o := range ops[1:] {
		if _, err := c.Add(o); err != nil {
			tb.Fatalf("Add what was added elsewhere: %v", err)
		}
	}
	return c
}

func (w *world) clone(tb testing.TB) *world {
	tb.Helper()
	c := *w
	c.Entity = clone(tb, w.Entity)
	return &c
}

// draft is an op of p at the present heads that Entity.Control and Entity.Write
// would not sign.
func (w *world) draft(p person, s oplog.Strand, family oplog.Family, typ uint16, body any) oplog.Draft {
	d := oplog.Draft{
		Entity: w.ID(), User: p.user(), Strand: s, Family: family, Type: typ, Parents: w.Log().Heads(s), At: now,
	}
	if b, ok := body.([]byte); ok {
		d.Body = b
	} else {
		d.Body = keys.Marshal(body)
	}
	if s == oplog.Content {
		d.Auth = w.Log().Heads(oplog.Control)
		for id := range w.ring {
			d.Epoch = id
		}
	}
	if tip, ok := w.Log().Tip(p.key.ID(), s); ok {
		d.Seq, d.Prev = tip.Seq()+1, tip.ID()
	}
	return d
}

func sign(tb testing.TB, p person, d oplog.Draft) oplog.Op {
	tb.Helper()
	o, err := oplog.Sign(p.key, d)
	if err != nil {
		tb.Fatalf("sign by %s: %v", p.name, err)
	}
	return o
}

// checkRefused: an op that is refused leaves no trace.
func checkRefused(tb testing.TB, e *entity.Entity, o oplog.Op, want error) {
	tb.Helper()
	before, n := snapshot(e), e.Log().Len()
	if added, err := e.Add(o); added || !errors.Is(err, want) {
		tb.Errorf("Add %d/%d = %v, %v, want %v", o.Family(), o.Type(), added, err, want)
	}
	if _, ok := e.Log().Get(o.ID()); ok || e.Log().Len() != n || !bytes.Equal(snapshot(e), before) {
		tb.Errorf("a refused op %d/%d changed the entity", o.Family(), o.Type())
	}
}

func checkAdded(tb testing.TB, e *entity.Entity, o oplog.Op) {
	tb.Helper()
	if added, err := e.Add(o); !added || err != nil {
		tb.Errorf("Add %d/%d = %v, %v", o.Family(), o.Type(), added, err)
	}
}

// snapshot is all that a state says, as bytes.
func snapshot(e *entity.Entity) []byte {
	s := e.State()
	type member struct {
		User keys.Digest
		M    entity.Membership
	}
	var members []member
	for user, m := range s.Members {
		members = append(members, member{user, *m})
	}
	slices.SortFunc(members, func(a, b member) int { return compare(a.User, b.User) })
	var epochs []entity.EpochInfo
	for _, i := range s.Epochs {
		epochs = append(epochs, i)
	}
	slices.SortFunc(epochs, func(a, b entity.EpochInfo) int { return compare(a.ID, b.ID) })
	var void []keys.Digest
	for id, yes := range s.Void {
		if yes {
			void = append(void, id)
		}
	}
	slices.SortFunc(void, compare)
	type cut struct {
		W entity.Writer
		N uint64
	}
	var cuts []cut
	for w, n := range s.Cuts {
		cuts = append(cuts, cut{w, n})
	}
	slices.SortFunc(cuts, func(a, b cut) int {
		return bytes.Compare(append(a.W.User[:], a.W.Device[:]...), append(b.W.User[:], b.W.Device[:]...))
	})
	var content []bool
	for o := range e.Log().All(oplog.Content) {
		content = append(content, e.Counts(o))
	}
	return keys.Marshal([]any{
		s.Digest(), s.Kind, s.Name, s.Title, s.Description, s.Policy, s.Ended, s.EndReason, s.Merged, s.Frozen,
		s.Final.ID, s.Final.Number, s.Final.Rivals, e.Pending(), s.DeviceHead, s.UserBox, s.Devices, members, epochs, void, cuts, content,
	})
}

func compare(a, b keys.Digest) int { return bytes.Compare(a[:], b[:]) }
