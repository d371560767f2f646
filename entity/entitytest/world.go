package entitytest

import (
	"crypto/sha256"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// TB is what helpers need of a test: a *testing.T, *testing.B or *rapid.T.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Now is when everything of these tests happens.
var Now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// OpenPolicy is the policy of boards that [Found] makes.
var OpenPolicy = entity.Policy{Join: entity.JoinLink, History: entity.History{Mode: entity.HistoryAll}}

// Person is a user with one device.
type Person struct {
	Name string
	Key  keys.Private
	Me   entity.Created
}

// NewPerson returns the person of a name, always with the same keys.
func NewPerson(tb TB, name string) Person {
	tb.Helper()
	key := keys.FromSeed(sha256.Sum256([]byte(name)))
	box := keys.BoxFromSecret(sha256.Sum256([]byte("box of " + name)))
	me, err := entity.CreateMe(entity.Author{Key: key, Now: Now}, keys.FromSeed(sha256.Sum256([]byte("recovery of "+name))).ID(), entity.Desktop, box.ID())
	if err != nil {
		tb.Fatalf("CreateMe of %s: %v", name, err)
	}
	return Person{name, key, me}
}

// User returns the id of the person's Me.
func (p Person) User() keys.Digest { return p.Me.ID() }

// Author is the person as a writer.
func (p Person) Author() entity.Author { return entity.Author{Key: p.Key, User: p.User(), Now: Now} }

// Party is the person as an admission names them.
func (p Person) Party() entity.Party { return p.Me.State().Party(p.Name) }

// By is the person, writing with another device.
func (p Person) By(key keys.Private) Person {
	p.Key = key
	return p
}

// World is an entity with the people in it, by name, and all its keys.
type World struct {
	*entity.Entity
	Ring   entity.Keyring
	People map[string]Person
	Ref    [16]byte // of the invite through which everybody came
}

// Who returns the person of a name.
func (w *World) Who(tb TB, name string) Person {
	tb.Helper()
	p, ok := w.People[name]
	if !ok {
		p = NewPerson(tb, name)
		w.People[name] = p
	}
	return p
}

// Admit lets a person in by the founder.
func (w *World) Admit(tb TB, name string, role entity.Role) oplog.Op {
	tb.Helper()
	o, err := entity.ApproveJoinEntity(w.Entity, w.Who(tb, "founder").Author(), w.Ring, entity.Admission{
		Party: w.Who(tb, name).Party(), Role: role, Ref: &w.Ref,
	})
	if err != nil {
		tb.Fatalf("admit %s: %v", name, err)
	}
	return o
}

// Must has a person write a control op.
func (w *World) Must(tb TB, name string, family oplog.Family, typ uint16, body any) oplog.Op {
	tb.Helper()
	o, err := w.Control(w.Who(tb, name).Author(), family, typ, body)
	if err != nil {
		tb.Fatalf("%s writes %d/%d: %v", name, family, typ, err)
	}
	return o
}

// Rekey is the founder beginning a new epoch, as after every departure.
func (w *World) Rekey(tb TB) oplog.Op {
	tb.Helper()
	o, key, err := w.Rotate(w.Who(tb, "founder").Author())
	if err != nil {
		tb.Fatalf("Rotate: %v", err)
	}
	w.Ring[o.ID()] = key
	return o
}

// Words is the body of an article with nothing but a title, for tests to which it is
// content like any other.
type Words struct {
	Title string `cbor:"2,keyasint"`
}

// TypeNew is the type of what Post writes, an article.
const TypeNew uint16 = 1

// Post has a person write an article.
func (w *World) Post(tb TB, name, title string) oplog.Op {
	tb.Helper()
	o, err := w.Write(w.Who(tb, name).Author(), w.Ring, oplog.FamilyArticle, TypeNew, keys.Digest{}, Words{title})
	if err != nil {
		tb.Fatalf("%s posts %q: %v", name, title, err)
	}
	return o
}

// Close has a person make a checkpoint.
func (w *World) Close(tb TB, name string) oplog.Op {
	tb.Helper()
	o, err := w.Checkpoint(w.Who(tb, name).Author())
	if err != nil {
		tb.Fatalf("%s makes a checkpoint: %v", name, err)
	}
	return o
}

// Found makes an entity with its founder alone.
func Found(tb TB, kind entity.Kind) *World {
	tb.Helper()
	return FoundBy(tb, kind, map[string]Person{})
}

// FoundBy is Found with people who are somewhere already.
func FoundBy(tb TB, kind entity.Kind, people map[string]Person) *World {
	tb.Helper()
	w := &World{People: people, Ref: [16]byte{1, 2, 3}}
	f := w.Who(tb, "founder")
	if kind == entity.Me {
		w.Entity, w.Ring = Clone(tb, f.Me.Entity), entity.Keyring{f.Me.Epoch: f.Me.Key}
		return w
	}
	party := f.Party()
	g := entity.Genesis{Kind: kind, Founder: &party}
	switch kind {
	case entity.Board:
		g.Name, g.Title, g.Policy = "a board", "A board", &OpenPolicy
	case entity.Friend:
		parties := []keys.Digest{f.User(), w.Who(tb, "other").User()}
		slices.SortFunc(parties, oplogtest.Compare)
		g.Parties, g.Ref = parties, &w.Ref
	}
	c, err := entity.CreateEntity(f.Author(), g)
	if err != nil {
		tb.Fatalf("found a %v: %v", kind, err)
	}
	w.Entity, w.Ring = c.Entity, entity.Keyring{c.Epoch: c.Key}
	return w
}

// Settle makes an entity with everybody the kind can have: "master", "member",
// "reader" and "gone", who left; in a friendship "other" and, before that, nobody.
func Settle(tb TB, kind entity.Kind) *World {
	tb.Helper()
	return SettleBy(tb, kind, map[string]Person{})
}

// SettleBy is Settle with people who are somewhere already.
func SettleBy(tb TB, kind entity.Kind, people map[string]Person) *World {
	tb.Helper()
	w := FoundBy(tb, kind, people)
	switch kind {
	case entity.Board:
		for _, name := range []string{"master", "member", "gone"} {
			w.Admit(tb, name, entity.Member)
		}
		w.Admit(tb, "reader", entity.Reader)
		party := w.Who(tb, "master").Party()
		w.Must(tb, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party})
		w.Must(tb, "gone", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
		w.Rekey(tb)
	case entity.Profile:
		w.Admit(tb, "reader", entity.Reader)
		w.Admit(tb, "gone", entity.Reader)
		w.Must(tb, "gone", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
		w.Rekey(tb)
	case entity.Friend:
		w.Admit(tb, "other", entity.Member)
	}
	return w
}

// Clone returns the same people with a copy of the entity, as another node has it.
func (w *World) Clone(tb TB) *World {
	tb.Helper()
	c := *w
	c.Entity = Clone(tb, w.Entity)
	return &c
}

// Draft is an op of p at the present heads that Entity.Control and Entity.Write would
// not sign. Bytes are the body as they are; of content that is not sealed.
func (w *World) Draft(p Person, s oplog.Strand, family oplog.Family, typ uint16, body any) oplog.Draft {
	d := oplog.Draft{
		Entity: w.ID(), User: p.User(), Strand: s, Family: family, Type: typ, Parents: w.Log().Heads(s), At: Now,
	}
	switch b := body.(type) {
	case []byte:
		d.Body = b
	case nil:
	default:
		d.Body = keys.Marshal(body)
	}
	if s == oplog.Content {
		d.Auth = w.Log().Heads(oplog.Control)
		for id := range w.Ring {
			if len(d.Body) > 0 {
				d.Epoch = id
			}
		}
	}
	if tip, ok := w.Log().Tip(p.Key.ID(), s); ok {
		d.Seq, d.Prev = tip.Seq()+1, tip.ID()
	}
	return d
}

// Sign returns a draft as p signs it.
func Sign(tb TB, p Person, d oplog.Draft) oplog.Op {
	tb.Helper()
	o, err := oplog.Sign(p.Key, d)
	if err != nil {
		tb.Fatalf("sign by %s: %v", p.Name, err)
	}
	return o
}

// CheckAdded adds an op that must be new and taken.
func CheckAdded(tb TB, e *entity.Entity, o oplog.Op) {
	tb.Helper()
	if added, err := e.Add(o); !added || err != nil {
		tb.Errorf("Add %d/%d = %v, %v", o.Family(), o.Type(), added, err)
	}
}

// Sorted sorts devices as parties list them.
func Sorted(ids []keys.ID) []keys.ID {
	slices.SortFunc(ids, func(a, b keys.ID) int { return slices.Compare(a[:], b[:]) })
	return ids
}
