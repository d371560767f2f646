package entity_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// TestHostileProfile: what is sealed was checked by nobody on its way. A profile out of
// bounds, or of another shape, is passed over.
func TestHostileProfile(t *testing.T) {
	t.Parallel()
	p := settle(t, entity.Profile)
	set := func(b any) {
		t.Helper()
		if _, err := p.Write(p.Who(t, "founder").Author(), p.Ring, oplog.FamilyProfile, entity.TypeProfileSet, keys.Digest{}, b); err != nil {
			t.Fatalf("Write: %v", err)
		}
	}
	if got := p.ProfileOf(p.Ring); got != (entity.ProfileSet{}) {
		t.Errorf("a profile before the first: %+v", got)
	}
	want := entity.ProfileSet{Name: strings.Repeat("n", entity.MaxName), Card: "card"}
	set(entity.ProfileSet{Name: "old"})
	set(want)
	set(entity.ProfileSet{Name: strings.Repeat("n", entity.MaxName+1)})
	set(entity.ProfileSet{Name: "n", Card: strings.Repeat("c", entity.MaxText+1)})
	set(struct{}{})
	for _, other := range []struct {
		family oplog.Family
		typ    uint16
	}{{oplog.FamilyProfile, 2}, {oplog.FamilyMessage, entity.TypeProfileSet}} {
		if _, err := p.Write(p.Who(t, "founder").Author(), p.Ring, other.family, other.typ, keys.Digest{}, entity.ProfileSet{Name: "no profile"}); err != nil {
			t.Fatalf("Write: %v", err)
		}
	}
	if got := p.ProfileOf(p.Ring); got != want {
		t.Errorf("ProfileOf = %.20q, want the last within bounds", got.Name)
	}
	fork := p.clone(t)
	set(entity.ProfileSet{Name: "one"})
	if got := p.ProfileOf(p.Ring); got.Name != "one" {
		t.Errorf("ProfileOf = %.20q, want the last", got.Name)
	}
	two, err := fork.Write(fork.Who(t, "founder").Author(), p.Ring, oplog.FamilyProfile, entity.TypeProfileSet, keys.Digest{}, entity.ProfileSet{Name: "two"})
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	checkAdded(t, p.Entity, two)
	if got := p.ProfileOf(p.Ring); got != want {
		t.Errorf("ProfileOf = %.20q after two at one place, want the last before", got.Name)
	}
}

// TestSealed: a body opens in its own envelope, epoch and entity, with the key that
// the epoch committed to, and nowhere else.
func TestSealed(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.Who(t, "member")
	key := keys.NewOpKey()
	writing, _ := w.State().WritingEpoch(func(keys.Digest) bool { return true })
	first := writing.ID
	second := w.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{Commitment: key.Commitment(w.ID()), Depth: nextEpoch(w).Depth, Replaces: epochs(w)}).ID()
	old := entity.Keyring{first: w.Ring[first]}
	o, err := w.Write(m.Author(), old, oplog.FamilyArticle, entitytest.TypeNew, keys.Digest{}, entitytest.Words{Title: "sealed"})
	if err != nil {
		t.Fatalf("Write in the first epoch: %v", err)
	}
	var a entitytest.Words
	if err := w.Read(o, old, &a); err != nil || a.Title != "sealed" || o.Epoch() != first {
		t.Fatalf("Read = %q, %v in epoch %v", a.Title, err, o.Epoch())
	}
	w.Ring[second] = key
	if o, err := w.Write(m.Author(), w.Ring, oplog.FamilyArticle, entitytest.TypeNew, keys.Digest{}, entitytest.Words{Title: "x"}); err != nil || o.Epoch() != second {
		t.Errorf("Write with both keys uses epoch %v, %v, want the deeper one", o.Epoch(), err)
	}

	// The same body in other envelopes, all well signed by the author himself.
	d := func(change func(*oplog.Draft)) oplog.Op {
		d := w.Draft(m, oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, o.Body())
		d.Epoch = first
		change(&d)
		return sign(t, m, d)
	}
	for name, moved := range map[string]oplog.Op{
		"another place in the chain": d(func(*oplog.Draft) {}),
		"the place it had, a new at": d(func(d *oplog.Draft) {
			d.Seq, d.Prev, d.Parents, d.Auth, d.At = o.Seq(), o.Prev(), o.Parents(), o.Auth(), now.Add(1e9)
		}),
		"another type": d(func(d *oplog.Draft) {
			d.Seq, d.Prev, d.Parents, d.Auth, d.Type = o.Seq(), o.Prev(), o.Parents(), o.Auth(), 2
		}),
		"the place it had, about another op": d(func(d *oplog.Draft) {
			d.Seq, d.Prev, d.Parents, d.Auth, d.About = o.Seq(), o.Prev(), o.Parents(), o.Auth(), keys.Digest{9}
		}),
		"another family": d(func(d *oplog.Draft) {
			d.Seq, d.Prev, d.Parents, d.Auth, d.Family = o.Seq(), o.Prev(), o.Parents(), o.Auth(), 17
		}),
		"another epoch": d(func(d *oplog.Draft) {
			d.Seq, d.Prev, d.Parents, d.Auth, d.Epoch = o.Seq(), o.Prev(), o.Parents(), o.Auth(), second
		}),
		"other parents": d(func(d *oplog.Draft) { d.Seq, d.Prev, d.Auth = o.Seq(), o.Prev(), o.Auth() }),
		"other auth": d(func(d *oplog.Draft) {
			d.Seq, d.Prev, d.Parents = o.Seq(), o.Prev(), o.Parents()
			d.Auth = []keys.Digest{w.ID()}
		}),
	} {
		if name == "other auth" || name == "other parents" {
			if fmt.Sprint(moved.Parents(), moved.Auth()) == fmt.Sprint(o.Parents(), o.Auth()) {
				t.Fatalf("%s: the test's own op has the same", name)
			}
		}
		if err := w.Read(moved, w.Ring, &entitytest.Words{}); !errors.Is(err, keys.ErrSealed) {
			t.Errorf("a body moved to %s: %v, want ErrSealed", name, err)
		}
	}
	whole := d(func(d *oplog.Draft) { d.Seq, d.Prev, d.Parents, d.Auth = o.Seq(), o.Prev(), o.Parents(), o.Auth() })
	if err := w.Read(whole, w.Ring, &entitytest.Words{}); err != nil || whole.ID() != o.ID() {
		t.Errorf("the test's own envelope is not the same: %v", err)
	}
	stolen := w.Who(t, "founder").By(w.Who(t, "founder").Key)
	s := w.Draft(stolen, oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, o.Body())
	s.Seq, s.Prev, s.Parents, s.Auth, s.Epoch = o.Seq(), o.Prev(), o.Parents(), o.Auth(), first
	if err := w.Read(sign(t, stolen, s), w.Ring, &entitytest.Words{}); !errors.Is(err, keys.ErrSealed) {
		t.Errorf("a body under another author: %v, want ErrSealed", err)
	}

	for name, ring := range map[string]entity.Keyring{
		"another key":             {first: keys.NewOpKey()},
		"the key of other epochs": {first: key},
	} {
		if err := w.Read(o, ring, &a); !errors.Is(err, keys.ErrSealed) {
			t.Errorf("Read with %s: %v, want ErrSealed", name, err)
		}
	}
	for name, ring := range map[string]entity.Keyring{"no key": nil, "another epoch's key": {second: key}} {
		if err := w.Read(o, ring, &a); !errors.Is(err, entity.ErrNoKey) {
			t.Errorf("Read with %s: %v, want ErrNoKey", name, err)
		}
	}
	other := settle(t, entity.Board)
	if err := other.Read(o, w.Ring, &entitytest.Words{}); !errors.Is(err, keys.ErrSealed) {
		t.Errorf("Read in another entity: %v, want ErrSealed", err)
	}
}

// TestReadCommitment: a key that opens is not enough, the epoch must have committed
// to it: the commitment is inside what is authenticated.
func TestReadCommitment(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	key, lie := keys.NewOpKey(), keys.NewOpKey()
	epoch := w.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{Commitment: lie.Commitment(w.ID()), Depth: nextEpoch(w).Depth, Replaces: epochs(w)}).ID()
	m := w.Who(t, "member")
	// A writer that sealed to the commitment of the key it holds, not of the epoch.
	d := w.Draft(m, oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, nil)
	d.Epoch = epoch
	commitment := key.Commitment(w.ID())
	plain := keys.Marshal(entitytest.Words{Title: "x"})
	d.Body = make([]byte, len(plain)+keys.SealOverhead)
	d.Seal = func(aad []byte) []byte {
		return key.Seal(w.ID(), epoch, keys.LP([]byte(keys.LabelContentAAD), aad, commitment[:]), plain)
	}
	o := sign(t, m, d)
	checkAdded(t, w.Entity, o)
	if err := w.Read(o, entity.Keyring{epoch: key}, &entitytest.Words{}); !errors.Is(err, keys.ErrSealed) {
		t.Errorf("Read with a key the epoch did not commit to: %v, want ErrSealed", err)
	}
}

// TestWriteRefused: nobody writes what others would refuse.
func TestWriteRefused(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	article := entitytest.Words{Title: "x"}
	write := func(w *world, p person, ring entity.Keyring, body any) error {
		_, err := w.Write(p.Author(), ring, oplog.FamilyArticle, entitytest.TypeNew, keys.Digest{}, body)
		return err
	}
	for _, name := range []string{"reader", "gone", "stranger"} {
		if err := write(w, w.Who(t, name), w.Ring, article); !errors.Is(err, entity.ErrNotAuthorized) {
			t.Errorf("%s writes: %v, want ErrNotAuthorized", name, err)
		}
	}
	m := w.Who(t, "member")
	if err := write(w, m.By(keys.FromSeed([32]byte{9})), w.Ring, article); !errors.Is(err, entity.ErrNotAuthorized) {
		t.Errorf("a member writes with an unknown device: %v, want ErrNotAuthorized", err)
	}
	for name, ring := range map[string]entity.Keyring{"no key": nil, "a key of no epoch": {keys.Digest{9}: keys.NewOpKey()}} {
		if err := write(w, m, ring, article); !errors.Is(err, entity.ErrNoKey) {
			t.Errorf("a member writes with %s: %v, want ErrNoKey", name, err)
		}
	}
	if err := write(w, m, w.Ring, entitytest.Words{Title: strings.Repeat("t", oplog.MaxBody)}); !errors.Is(err, oplog.ErrTooLarge) {
		t.Errorf("a member writes 256 KiB: %v, want ErrTooLarge", err)
	}
	if _, err := w.Control(w.Who(t, "founder").Author(), oplog.FamilyPolicy, entity.TypeDescription, entity.Text{Text: strings.Repeat("t", oplog.MaxControl)}); !errors.Is(err, oplog.ErrTooLarge) {
		t.Errorf("a control op of 64 KiB and more: %v, want ErrTooLarge", err)
	}
	if n := len(w.Log().Heads(oplog.Content)); n != 0 {
		t.Errorf("%d heads of content after nothing but refusals", n)
	}
	w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
	if err := write(w, m, w.Ring, article); !errors.Is(err, entity.ErrEnded) {
		t.Errorf("a member writes after the end: %v, want ErrEnded", err)
	}
	if s := w.State(); !s.Ended || s.EndReason != entity.EndByParty || s.CanWrite(m.User(), m.Key.ID()) {
		t.Errorf("after the end: %v, reason %d", s.Ended, s.EndReason)
	}
}

// TestWriteNoBody: what has no body needs no key and is in no epoch, and who may write it
// is decided as for all content. What has one needs an epoch that its auth knows.
func TestWriteNoBody(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.Who(t, "member")
	heads := w.Log().Heads(oplog.Control)
	other := w.clone(t) // where nobody has a key
	for _, ring := range []entity.Keyring{w.Ring, nil, {keys.Digest{9}: keys.NewOpKey()}} {
		o, err := w.Write(m.Author(), ring, oplog.FamilyArticle, 3, keys.Digest{8}, nil)
		if err != nil {
			t.Fatalf("Write with %d keys: %v", len(ring), err)
		}
		if !o.Epoch().IsZero() || o.Size() != 0 || o.Body() != nil || !o.Here() || o.About() != (keys.Digest{8}) || !w.Counts(o) {
			t.Errorf("written with %d keys: epoch %v, %d bytes, here %v, about %v", len(ring), o.Epoch(), o.Size(), o.Here(), o.About())
		}
		checkAdded(t, other.Entity, o)
		for _, ring := range []entity.Keyring{w.Ring, nil} {
			if err := w.Read(o, ring, &entitytest.Words{}); !errors.Is(err, entity.ErrBody) {
				t.Errorf("Read of what has no body with %d keys: %v, want ErrBody", len(ring), err)
			}
		}
	}
	for _, name := range []string{"reader", "gone", "stranger"} {
		if _, err := w.Write(w.Who(t, name).Author(), w.Ring, oplog.FamilyArticle, 3, keys.Digest{}, nil); !errors.Is(err, entity.ErrNotAuthorized) {
			t.Errorf("%s writes what has no body: %v, want ErrNotAuthorized", name, err)
		}
		p := w.Who(t, name)
		checkRefused(t, w.Entity, sign(t, p, w.Draft(p, oplog.Content, oplog.FamilyArticle, 3, nil)), entity.ErrNotAuthorized)
	}

	epoch := w.Rekey(t).ID()
	d := w.Draft(m, oplog.Content, oplog.FamilyArticle, 3, []byte("sealed"))
	for name, c := range map[string]struct {
		epoch keys.Digest
		auth  []keys.Digest
		want  error
	}{
		"an epoch of its auth":                    {epoch, []keys.Digest{epoch}, nil},
		"one that began after its auth":           {epoch, heads, entity.ErrNotAuthorized},
		"one that nobody knows":                   {keys.Digest{7}, []keys.Digest{epoch}, entity.ErrNotAuthorized},
		"an op that holds no epoch":               {w.ID(), []keys.Digest{epoch}, entity.ErrNotAuthorized},
		"one from before, which is still read by": {heads[0], heads, nil},
	} {
		x := w.clone(t)
		d.Epoch, d.Auth = c.epoch, c.auth
		o := sign(t, m, d)
		if c.want == nil {
			checkAdded(t, x.Entity, oplogtest.Away(t, o)[0]) // whether the body is here decides nothing
			checkAdded(t, w.clone(t).Entity, o)
		} else {
			checkRefused(t, x.Entity, oplogtest.Away(t, o)[0], c.want)
			checkRefused(t, x.Entity, o, c.want)
		}
		if t.Failed() {
			t.Fatalf("a body in %s", name)
		}
	}
}

// TestReadSays why a body cannot be read.
func TestReadSays(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.Who(t, "member")
	post := w.Post(t, "member", "x")
	junk := sign(t, m, w.Draft(m, oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, bytes.Repeat([]byte{1}, 100)))
	checkAdded(t, w.Entity, junk)
	short := sign(t, m, w.Draft(m, oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, []byte("x")))
	checkAdded(t, w.Entity, short)
	lost := errors.New("the disk is gone")
	for _, c := range []struct {
		name string
		o    oplog.Op
		ring entity.Keyring
		away bool
		err  error // of the log's source
		want error
	}{
		{"all is well", post, w.Ring, false, nil, nil},
		{"no key", post, nil, false, nil, entity.ErrNoKey},
		{"no body", post, w.Ring, true, nil, entity.ErrNoBody},
		{"neither", post, nil, true, nil, entity.ErrNoKey},
		{"it does not open", junk, w.Ring, false, nil, entity.ErrBody},
		{"it is shorter than any that opens", short, w.Ring, false, nil, entity.ErrBody},
		{"the store fails", post, w.Ring, false, lost, lost},
	} {
		x := w.clone(t)
		if c.away {
			x.Log().LetGo(c.o.ID())
		}
		whole := x.clone(t).Log()
		x.Log().SetSource(oplogtest.Source(func(o oplog.Op) (oplog.Op, error) {
			at, _ := whole.Get(o.ID())
			return at, c.err
		}))
		o, _ := x.Log().Get(c.o.ID())
		err := x.Read(o, c.ring, &entitytest.Words{})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: Read = %v, want %v", c.name, err, c.want)
		}
	}
}

// TestFriendLife: consent makes a friendship alive; the lower of two merges wins;
// the first end counts.
func TestFriendLife(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Friend)
	f, o := w.Who(t, "founder"), w.Who(t, "other")
	if s := w.State(); s.Alive() || s.Other(f.User()) != o.User() || s.Other(o.User()) != f.User() || s.Ref != w.Ref {
		t.Errorf("before consent: alive %v", s.Alive())
	}
	if found(t, entity.Friend).State().Alive() {
		t.Error("a friendship of one is alive")
	}
	w.Must(t, "other", oplog.FamilyMember, entity.TypeAccept, entity.Accept{})
	if !w.State().Alive() {
		t.Error("after consent: not alive")
	}
	left := w.clone(t)
	left.Must(t, "other", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	if left.State().Alive() {
		t.Error("a friendship that one left is alive")
	}
	for _, c := range []struct{ into, want byte }{{5, 5}, {7, 5}, {3, 3}} {
		w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeMerged, entity.Merged{Into: keys.Digest{c.into}})
		if w.State().Merged != (keys.Digest{c.want}) {
			t.Errorf("merged into %v, want %d", w.State().Merged, c.want)
		}
	}
	w.Must(t, "other", oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
	w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndNotAccepted})
	if s := w.State(); s.Alive() || s.EndReason != entity.EndByParty {
		t.Errorf("after two ends: alive %v, reason %d", s.Alive(), s.EndReason)
	}
	if board := settle(t, entity.Board); board.State().Alive() {
		t.Error("a board is a friendship that is alive")
	}
}

// TestSpeaks: whose device is whose, and what it may do.
func TestSpeaks(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	s := w.State()
	for _, c := range []struct {
		name          string
		role          entity.Role // 0: does not speak
		known, writes bool
	}{
		{"founder", entity.Master, true, true},
		{"master", entity.Master, true, true},
		{"member", entity.Member, true, true},
		{"reader", entity.Reader, true, false},
		{"gone", 0, false, false},
		{"stranger", 0, false, false},
	} {
		p := w.Who(t, c.name)
		if user, ok := s.UserOf(p.Key.ID()); ok != c.known || ok && user != p.User() {
			t.Errorf("UserOf the device of %s = %v, %v", c.name, user, ok)
		}
		if got := s.CanWrite(p.User(), p.Key.ID()); got != c.writes {
			t.Errorf("%s can write: %v", c.name, got)
		}
		for least := entity.Reader; least <= entity.Master; least++ {
			if got, want := s.Speaks(p.User(), p.Key.ID(), least), c.role >= least; got != want {
				t.Errorf("%s speaks as %v: %v", c.name, least, got)
			}
			if s.Speaks(p.User(), w.Who(t, "other").Key.ID(), least) || s.Speaks(w.Who(t, "other").User(), p.Key.ID(), least) {
				t.Errorf("another speaks for %s, or he for another", c.name)
			}
		}
	}
}

// TestDescribe: an op in words, and nothing that is to be hidden.
func TestDescribe(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	post := w.Post(t, "member", "a post")
	write := func(typ uint16, body any) oplog.Op {
		t.Helper()
		o, err := w.Write(w.Who(t, "member").Author(), w.Ring, oplog.FamilyArticle, typ, post.ID(), body)
		if err != nil {
			t.Fatalf("Write: %v", err)
		}
		return o
	}
	plain, later, broken := write(3, nil), write(99, nil), write(entitytest.TypeNew, []int{1})
	unknown := w.Must(t, "member", oplog.FamilyPolicy, 99, struct{}{})
	types := entity.ContentTypes{oplog.FamilyArticle: {
		entitytest.TypeNew: {
			Word: "new", Body: func() any { return new(entitytest.Words) },
			Hide: func(b any) { b.(*entitytest.Words).Title += ", hidden" },
		},
		3: {Word: "delete"},
	}}
	for _, c := range []struct {
		name string
		o    oplog.Op
		ring entity.Keyring
		body string
		word string
	}{
		{"genesis", all(w.Entity)[0], nil, "*entity.Genesis", "genesis"},
		{"of a later version", unknown, w.Ring, "<nil>", "type(99)"},
		{"content", post, w.Ring, "*entitytest.Words{a post, hidden}", "new"},
		{"content without the key", post, nil, "<nil>", "new"},
		{"content without its body", oplogtest.Away(t, post)[0], w.Ring, "<nil>", "new"},
		{"content that is malformed", broken, w.Ring, "<nil>", "new"},
		{"content without a body", plain, nil, "<nil>", "delete"},
		{"content of a later version", later, w.Ring, "<nil>", "type(99)"},
	} {
		away := w.clone(t)
		if c.o.Body() == nil {
			away.Log().LetGo(c.o.ID())
		}
		body, word := away.Describe(c.o, types, c.ring)
		got := fmt.Sprintf("%T", body)
		if b, ok := body.(*entitytest.Words); ok {
			got += fmt.Sprint(*b)
		}
		if got != c.body || word != c.word {
			t.Errorf("%s: Describe = %s %q, want %s %q", c.name, got, word, c.body, c.word)
		}
	}
}

// TestDigestNames: the digest names members, roles, policy, epoch and end, and no
// content.
func TestDigestNames(t *testing.T) {
	t.Parallel()
	base := settle(t, entity.Board)
	before := base.State().Digest()
	for name, c := range map[string]struct {
		do      func(*world)
		changes bool
	}{
		"a post":      {func(w *world) { w.Post(t, "member", "x") }, false},
		"a title":     {func(w *world) { w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"}) }, false},
		"an admit":    {func(w *world) { w.Admit(t, "newcomer", entity.Reader) }, true},
		"a leave":     {func(w *world) { w.Must(t, "reader", oplog.FamilyMember, entity.TypeLeave, entity.Leave{}) }, true},
		"a promotion": {func(w *world) { w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, verbBody(t, w)) }, true},
		"a policy": {func(w *world) {
			w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeJoinPolicy, entity.SetJoinPolicy{Join: entity.JoinFriends})
		}, true},
		"a history": {func(w *world) {
			w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeHistory, entity.SetHistory{History: entity.History{Mode: entity.HistoryFromJoin}})
		}, true},
		"an epoch": {func(w *world) {
			w.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{Depth: nextEpoch(w).Depth, Replaces: epochs(w)})
		}, true},
		"an end": {func(w *world) { w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{}) }, true},
	} {
		w := base.clone(t)
		c.do(w)
		if got := w.State().Digest() != before; got != c.changes {
			t.Errorf("%s changes the digest: %v, want %v", name, got, c.changes)
		}
	}
}

func verbBody(t *testing.T, w *world) entity.MasterAdd {
	party := w.Who(t, "member").Party()
	return entity.MasterAdd{Party: party}
}

// TestWords of kinds, roles and standings that people read, and RoleFor.
func TestWords(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint(entity.Me, entity.Profile, entity.Friend, entity.Board, entity.Kind(9), entity.Reader, entity.Member, entity.Master, entity.Role(9),
		entity.JoinFriends, entity.JoinLink, entity.JoinPolicy(9), entity.Active, entity.Removed, entity.Gone, entity.Standing(9))
	want := "me profile friend board kind(9) reader member owner role(9) friends link policy(9) active removed left unknown"
	if got != want {
		t.Errorf("words: %s, want %s", got, want)
	}
	for kind, want := range map[entity.Kind]entity.Role{entity.Me: 0, entity.Profile: entity.Reader, entity.Friend: entity.Member, entity.Board: entity.Member} {
		if got := entity.RoleFor(kind); got != want {
			t.Errorf("RoleFor(%v) = %v, want %v", kind, got, want)
		}
		if got, want := entity.NeedsPerson(kind), kind == entity.Me || kind == entity.Friend; got != want {
			t.Errorf("NeedsPerson(%v) = %v, want %v", kind, got, want)
		}
	}
}

// TestEpochKeyIsHidden: a key inside a body is not printed with it.
func TestEpochKeyIsHidden(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("K", 32)
	k := entity.EpochKey{Epoch: keys.Digest{1}, Key: [32]byte([]byte(secret))}
	for _, v := range []any{k, &k, []entity.EpochKey{k}, entity.Approval{Keys: []entity.EpochKey{k}}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(out, "KKKK") || strings.Contains(out, "75 75") || strings.Contains(out, "4b4b") || strings.Contains(out, "0x4b, 0x4b") {
				t.Errorf("%s of %T prints the key: %s", verb, v, out)
			}
		}
	}
}
