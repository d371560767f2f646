package entity_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"pttnode/entity"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

// cast are the people of the random histories, made once: making an identity costs
// more than a history.
var cast = sync.OnceValue(func() map[string]person {
	people := map[string]person{}
	for i := range 6 {
		name := fmt.Sprintf("p%d", i)
		people[name] = newPerson(silent{}, name)
	}
	return people
})

// silent is a testing.TB for what is made outside a test.
type silent struct{ testing.TB }

func (silent) Helper() {}

func (silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// replica is one node's copy of the entity and the person who writes there.
type replica struct {
	*world
	name string
}

// TestConvergence: random histories of people who write beside each other, see a part
// of what others wrote, leave and come back, and sometimes sign twice at one place.
// Whoever has the same ops has the same state, in whatever order they came.
func TestConvergence(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]entity.Kind{entity.Board, entity.Board, entity.Friend, entity.Profile}).Draw(rt, "kind")
		ops := drawEntity(t, rt, kind)
		want := deliver(rt, ops, func(n int) int { return 0 })
		opened, err := entity.Open(want.Log())
		if err != nil || !bytes.Equal(snapshot(opened), snapshot(want)) {
			rt.Fatalf("Open comes to another state than Add: %v\n%s", err, tell(want))
		}
		for i := range 2 {
			got := deliver(rt, ops, func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, fmt.Sprintf("next of delivery %d", i)) })
			if !bytes.Equal(snapshot(got), snapshot(want)) || got.State().Digest() != want.State().Digest() {
				rt.Fatalf("two orders of arrival, two states:\n%s\n%s", tell(want), tell(got))
			}
		}
		checkInvariants(rt, want)
	})
}

// checkInvariants holds for every history.
func checkInvariants(rt *rapid.T, e *entity.Entity) {
	s := e.State()
	f, ok := s.Member(s.Founder)
	if !ok || f.Standing != entity.Active || f.Role != entity.Master {
		rt.Fatalf("the founder is %+v", f)
	}
	for user, m := range s.Members {
		if m.Standing == entity.Gone && m.Party.User != user {
			rt.Fatalf("%v stands under another user", user)
		}
	}
	for o := range e.Log().All(oplog.Content) {
		m, ok := s.Member(o.User())
		if e.Counts(o) && !ok {
			rt.Fatalf("content of %v counts, who was never a member", o.User())
		}
		if e.Counts(o) && m.Standing != entity.Active {
			if _, limited := s.Cuts[entity.Writer{User: o.User(), Device: o.Device()}]; !limited {
				rt.Fatalf("content of %v counts, who left without a cut", o.User())
			}
		}
	}
}

// tell is an entity for people.
func tell(e *entity.Entity) string {
	var b bytes.Buffer
	name := func(d keys.Digest) string {
		for n, p := range cast() {
			if p.User() == d {
				return n
			}
		}
		return d.String()[:6]
	}
	for _, o := range all(e) {
		body, typ := e.Describe(o, nil, nil)
		fmt.Fprintf(&b, "%s %v/%d %s of %s, seq %d, counts %v %v\n", o.ID().String()[:6], o.Strand(), o.Family(), typ, name(o.User()), o.Seq(), e.Counts(o), body != nil)
	}
	for user, m := range e.State().Members {
		fmt.Fprintf(&b, "%s is %v %v\n", name(user), m.Standing, m.Role)
	}
	return b.String()
}

// drawEntity returns the ops of a random history, each after all it builds on.
func drawEntity(t *testing.T, rt *rapid.T, kind entity.Kind) []oplog.Op {
	base := &world{&entitytest.World{People: map[string]person{}, Ref: [16]byte{1, 2, 3}}}
	maps.Copy(base.People, cast())
	f := base.People["p0"]
	party := f.Party()
	g := entity.Genesis{Kind: kind, Founder: &party}
	switch kind {
	case entity.Board:
		g.Policy = &entitytest.OpenPolicy
	case entity.Friend:
		g.Parties, g.Ref = []keys.Digest{f.User(), base.People["p1"].User()}, &base.Ref
		slices.SortFunc(g.Parties, compare)
	}
	c, err := entity.CreateEntity(f.Author(), g)
	if err != nil {
		rt.Fatalf("CreateEntity: %v", err)
	}
	base.Entity, base.Ring = c.Entity, entity.Keyring{c.Epoch: c.Key}

	// p0 writes on two nodes with one key, as a clone of a disk does: it forks. p1 has a
	// second device on a node of its own.
	var nodes []*replica
	for i, name := range []string{"p0", "p1", "p2", "p3", "p0", "p1"} {
		r := &replica{base.clone(t), name}
		if i == 5 {
			r.People = map[string]person{}
			maps.Copy(r.People, cast())
			r.People["p1"] = r.People["p1"].By(secondDevice)
		}
		nodes = append(nodes, r)
	}
	forks := rapid.Bool().Draw(rt, "forks")
	if !forks {
		nodes = slices.Delete(nodes, 4, 5)
	}
	for i := range rapid.IntRange(1, 30).Draw(rt, "steps") {
		r := nodes[rapid.IntRange(0, len(nodes)-1).Draw(rt, "node")]
		switch rapid.SampledFrom([]string{"act", "act", "take"}).Draw(rt, "step") {
		case "act":
			r.act(rt, i)
		case "take":
			from := nodes[rapid.IntRange(0, len(nodes)-1).Draw(rt, "from")]
			entitytest.Take(rt, from.Entity, r.Entity, rapid.IntRange(0, 10).Draw(rt, "how many"))
		}
	}
	return entitytest.Union(rt, base.ID(), nodes)
}

var secondDevice = keys.FromSeed(sha256.Sum256([]byte("second device of p1")))

// act is one thing that the person of a node tries; much of it he may not do.
func (r *replica) act(rt *rapid.T, i int) {
	p := r.People[r.name]
	other := r.People[fmt.Sprintf("p%d", rapid.IntRange(0, 5).Draw(rt, "whom"))]
	title := fmt.Sprintf("%s %d", r.name, i)
	var cuts []entity.Cut
	if m, ok := r.State().Member(p.User()); ok {
		for _, d := range m.Party.Devices {
			if tip, ok := r.Log().Tip(d, oplog.Content); ok {
				cuts = append(cuts, entity.Cut{Device: d, Strand: oplog.Content, Seq: tip.Seq(), ID: tip.ID()})
			}
		}
	}
	do := func(family oplog.Family, typ uint16, body any) { _, _ = r.Control(p.Author(), family, typ, body) }
	switch rapid.SampledFrom([]string{
		"post", "post", "post", "admit", "admit", "admit", "owner", "leave", "devices", "fewer devices", "epoch", "title", "policy", "accept", "end", "merged", "unknown",
	}).Draw(rt, "what") {
	case "post":
		_, _ = r.Write(p.Author(), r.Ring, oplog.FamilyArticle, entitytest.TypeNew, keys.Digest{}, entitytest.Words{Title: title})
	case "admit":
		role := rapid.SampledFrom([]entity.Role{entity.Member, entity.Reader}).Draw(rt, "role")
		_, _ = entity.ApproveJoinEntity(r.Entity, p.Author(), r.Ring, entity.Admission{Party: other.Party(), Role: role, Ref: &r.Ref})
	case "owner":
		if m, ok := r.State().Member(other.User()); ok {
			do(oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: m.Party})
		}
	case "leave":
		if rapid.Bool().Draw(rt, "with cuts") {
			do(oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: cuts})
		} else {
			do(oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
		}
	case "devices":
		party := p.Party()
		if r.name == "p1" {
			party = r.People["p1"].Party()
			party.Devices = sorted(append(party.Devices, secondDevice.ID()))
		}
		do(oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party})
	case "fewer devices":
		party := p.Party()
		party.Devices = []keys.ID{p.Key.ID()}
		gone := slices.DeleteFunc(cuts, func(c entity.Cut) bool { return c.Device == p.Key.ID() })
		if m, ok := r.State().Member(p.User()); ok && len(gone) == 0 {
			for _, d := range m.Party.Devices {
				if d != p.Key.ID() {
					gone = append(gone, entity.Cut{Device: d, Strand: oplog.Content})
				}
			}
		}
		do(oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party, Cuts: gone})
	case "epoch":
		key := keys.NewOpKey()
		b := entity.Epoch{Commitment: key.Commitment(r.ID()), Replaces: epochs(r.world)}
		for _, e := range r.State().Epochs {
			b.Depth = max(b.Depth, e.Depth+1)
		}
		do(oplog.FamilyOpKey, entity.TypeEpoch, b)
	case "title":
		do(oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: title})
	case "policy":
		do(oplog.FamilyPolicy, entity.TypeJoinPolicy, entity.SetJoinPolicy{Join: entity.JoinFriends})
	case "accept":
		do(oplog.FamilyMember, entity.TypeAccept, entity.Accept{})
	case "end":
		if rapid.IntRange(0, 5).Draw(rt, "really") == 0 {
			do(oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
		}
	case "merged":
		do(oplog.FamilyPolicy, entity.TypeMerged, entity.Merged{Into: sha256.Sum256([]byte(title))})
	case "unknown":
		typ := rapid.SampledFrom([]uint16{99, 999}).Draw(rt, "type")
		if typ == 99 || rapid.IntRange(0, 5).Draw(rt, "really") == 0 {
			do(oplog.FamilyPolicy, typ, entity.Text{Text: title})
		}
	}
}

// TestExpected is what convergence cannot show: that the state all come to is the
// right one. Each row is a history of two nodes that did not see each other.
func TestExpected(t *testing.T) {
	t.Parallel()
	type side func(t *testing.T, w *world)
	title := func(who, text string) side {
		return func(t *testing.T, w *world) {
			w.Must(t, who, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: text})
		}
	}
	admit := func(by, whom string, role entity.Role) side {
		return func(t *testing.T, w *world) {
			w.Must(t, by, oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: w.Who(t, whom).Party(), Role: role, Ref: &w.Ref})
		}
	}
	leave := func(who string) side {
		return func(t *testing.T, w *world) { w.Must(t, who, oplog.FamilyMember, entity.TypeLeave, entity.Leave{}) }
	}
	owner := func(by, whom string) side {
		return func(t *testing.T, w *world) {
			party := w.Who(t, whom).Party()
			w.Must(t, by, oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party})
		}
	}
	both := func(sides ...side) side {
		return func(t *testing.T, w *world) {
			for _, s := range sides {
				s(t, w)
			}
		}
	}
	standing := func(name string, want entity.Standing, role entity.Role) func(*testing.T, *world) error {
		return func(t *testing.T, w *world) error {
			m, ok := w.State().Member(w.Who(t, name).User())
			if !ok || m.Standing != want || m.Role != role {
				return fmt.Errorf("%s is %+v, want %v %v", name, m, want, role)
			}
			return nil
		}
	}
	for _, c := range []struct {
		name string
		a, b side
		want func(*testing.T, *world) error
	}{
		{"admitted twice beside each other: once, with the greater role", admit("founder", "newcomer", entity.Reader), admit("master", "newcomer", entity.Member), standing("newcomer", entity.Active, entity.Member)},
		{"a leave beside a promotion: gone", leave("member"), owner("founder", "member"), standing("member", entity.Gone, entity.Master)},
		{"a leave beside what another owner does: gone", leave("master"), title("founder", "x"), standing("master", entity.Gone, entity.Master)},
		{"left and admitted anew beside a promotion", both(leave("member"), admit("founder", "member", entity.Reader)), owner("master", "member"), func(t *testing.T, w *world) error {
			m, _ := w.State().Member(w.Who(t, "member").User())
			if m.Standing != entity.Active {
				return fmt.Errorf("member is %v", m.Standing)
			}
			return nil
		}},
		{"an admission beside the leave of who is admitted: gone", both(leave("member"), admit("founder", "member", entity.Member), leave("member")), title("master", "x"), standing("member", entity.Gone, entity.Member)},
		{"an owner leaves beside his own admission of another: it stands", leave("master"), admit("founder", "newcomer", entity.Member), standing("newcomer", entity.Active, entity.Member)},
		{"an end beside an article", func(t *testing.T, w *world) {
			w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{})
		}, func(t *testing.T, w *world) { w.Post(t, "member", "x") }, func(_ *testing.T, w *world) error {
			posts := slices.Collect(w.Log().All(oplog.Content))
			if len(posts) != 1 || !w.Counts(posts[0]) || !w.State().Ended {
				return fmt.Errorf("%d posts, ended %v, want the one written before its author saw the end", len(posts), w.State().Ended)
			}
			return nil
		}},
		{"two epochs beside each other: both stay", epochBy("founder"), epochBy("master"), func(_ *testing.T, w *world) error {
			info, _ := w.State().WritingEpoch(func(keys.Digest) bool { return true })
			lowest := keys.Digest{}
			for id, e := range w.State().Epochs {
				if e.Depth == 3 && (lowest.IsZero() || compare(id, lowest) < 0) {
					lowest = id
				}
			}
			if len(w.State().Epochs) != 4 || info.ID != lowest {
				return fmt.Errorf("%d epochs, writing in %v, want 4 and the lowest of the deepest %v", len(w.State().Epochs), info.ID, lowest)
			}
			return nil
		}},
	} {
		base := settle(t, entity.Board)
		base.Who(t, "newcomer")
		a, b := base.clone(t), base.clone(t)
		c.a(t, a)
		c.b(t, b)
		for _, o := range all(b.Entity) {
			if _, err := a.Add(o); err != nil {
				t.Errorf("%s: Add: %v", c.name, err)
			}
		}
		for _, o := range all(a.Entity) {
			if _, err := b.Add(o); err != nil {
				t.Errorf("%s: Add: %v", c.name, err)
			}
		}
		for _, w := range []*world{a, b} {
			if err := c.want(t, w); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if !bytes.Equal(snapshot(a.Entity), snapshot(b.Entity)) {
			t.Errorf("%s: two nodes, two states", c.name)
		}
	}
}

func epochBy(who string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.Must(t, who, oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{Commitment: keys.Digest{1}, Depth: nextEpoch(w).Depth, Replaces: epochs(w)})
	}
}

// deliver adds ops to a new entity, each after all it builds on, in an order that pick
// chooses.
func deliver(rt *rapid.T, ops []oplog.Op, pick func(n int) int) *entity.Entity {
	rt.Helper()
	return entitytest.Deliver(rt, ops, pick, func(*entity.Entity) {})
}
