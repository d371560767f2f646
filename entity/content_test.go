package entity_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

func TestPosts(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	w.post(t, "founder", "first")
	o, err := w.Write(w.who(t, "member").author(), w.ring, oplog.FamilyArticle, entity.TypeArticleNew, entity.Article{Class: "c", Title: "second", Text: "text"})
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	for _, other := range []struct {
		family oplog.Family
		typ    uint16
	}{{oplog.FamilyArticle, entity.TypeArticleEdit}, {oplog.FamilyComment, entity.TypeCommentNew}} {
		if _, err := w.Write(w.who(t, "member").author(), w.ring, other.family, other.typ, entity.Article{Title: "no article"}); err != nil {
			t.Fatalf("Write: %v", err)
		}
	}
	posts := w.Posts(w.ring)
	want := entity.Post{
		ID: o.ID(), No: 2, Author: w.who(t, "member").user(), At: now,
		Version: entity.Version{Device: o.Device(), Article: entity.Article{Class: "c", Title: "second"}},
	}
	if len(posts) != 2 || posts[0].Title != "first" || posts[0].No != 1 {
		t.Fatalf("posts: %+v", posts)
	}
	if diff := cmp.Diff(want, posts[1]); diff != "" {
		t.Errorf("second post (-want +got):\n%s", diff)
	}
	for _, ring := range []entity.Keyring{nil, {}} { // also after another one opened them
		for _, p := range w.Posts(ring) {
			w.OpenPost(ring, &p)
			if !p.Unreadable || p.Article != (entity.Article{}) {
				t.Errorf("a post without the key: %+v", p)
			}
		}
	}
	if w.OpenPost(w.ring, &posts[1]); posts[1].Text != "text" {
		t.Errorf("OpenPost: %+v", posts[1])
	}
	fresh := w.clone(t)
	if p := fresh.Posts(nil)[1]; !p.Unreadable {
		t.Errorf("a post whose key is still to come: %+v", p)
	}
	if p := fresh.Posts(w.ring)[1]; p.Unreadable || p.Title != "second" {
		t.Errorf("a post whose key came: %+v", p)
	}
}

// TestHostileContent: what is sealed was checked by nobody on its way. An article
// or a profile out of bounds is shown as unreadable, not as it is.
func TestHostileContent(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	for name, body := range map[string]any{
		"no title":      entity.Article{Text: "x"},
		"a long title":  entity.Article{Title: strings.Repeat("t", entity.MaxTitle+1)},
		"a long class":  entity.Article{Title: "t", Class: strings.Repeat("c", entity.MaxName+1)},
		"a long text":   entity.Article{Title: "t", Text: strings.Repeat("t", entity.MaxText+1)},
		"another shape": entity.Left{},
		"nothing":       nil,
	} {
		if _, err := w.Write(w.who(t, "member").author(), w.ring, oplog.FamilyArticle, entity.TypeArticleNew, body); err != nil {
			t.Fatalf("%s: Write: %v", name, err)
		}
		posts := w.Posts(w.ring)
		if p := posts[len(posts)-1]; !p.Unreadable || p.Article != (entity.Article{}) {
			t.Errorf("%s: shown as %+.40v", name, p.Article)
		}
		if a, ok := body.(entity.Article); ok {
			if _, err := entity.NewArticle(a); !errors.Is(err, entity.ErrBody) {
				t.Errorf("NewArticle with %s: %v, want ErrBody", name, err)
			}
		}
	}
	if _, err := entity.NewArticle(entity.Article{Title: "a\xff"}); !errors.Is(err, entity.ErrBody) {
		t.Errorf("NewArticle of a title that is not UTF-8: %v, want ErrBody", err)
	}
	good := entity.Article{
		Title: strings.Repeat("t", entity.MaxTitle), Class: strings.Repeat("c", entity.MaxName), Text: strings.Repeat("t", entity.MaxText),
	}
	if a, err := entity.NewArticle(good); err != nil || a != good {
		t.Errorf("NewArticle at the bounds: %v", err)
	}

	p := settle(t, entity.Profile)
	set := func(b any) {
		t.Helper()
		if _, err := p.Write(p.who(t, "founder").author(), p.ring, oplog.FamilyProfile, entity.TypeProfileSet, b); err != nil {
			t.Fatalf("Write: %v", err)
		}
	}
	if got := p.ProfileOf(p.ring); got != (entity.ProfileSet{}) {
		t.Errorf("a profile before the first: %+v", got)
	}
	want := entity.ProfileSet{Name: strings.Repeat("n", entity.MaxName), Card: "card"}
	set(entity.ProfileSet{Name: "old"})
	set(want)
	set(entity.ProfileSet{Name: strings.Repeat("n", entity.MaxName+1)})
	set(entity.ProfileSet{Name: "n", Card: strings.Repeat("c", entity.MaxText+1)})
	set(entity.Left{})
	for _, other := range []struct {
		family oplog.Family
		typ    uint16
	}{{oplog.FamilyProfile, 2}, {oplog.FamilyMessage, entity.TypeProfileSet}} {
		if _, err := p.Write(p.who(t, "founder").author(), p.ring, other.family, other.typ, entity.ProfileSet{Name: "no profile"}); err != nil {
			t.Fatalf("Write: %v", err)
		}
	}
	if got := p.ProfileOf(p.ring); got != want {
		t.Errorf("ProfileOf = %.20q, want the last within bounds", got.Name)
	}
	fork := p.clone(t)
	set(entity.ProfileSet{Name: "one"})
	if got := p.ProfileOf(p.ring); got.Name != "one" {
		t.Errorf("ProfileOf = %.20q, want the last", got.Name)
	}
	two, err := fork.Write(fork.who(t, "founder").author(), p.ring, oplog.FamilyProfile, entity.TypeProfileSet, entity.ProfileSet{Name: "two"})
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	checkAdded(t, p.Entity, two)
	if got := p.ProfileOf(p.ring); got != want {
		t.Errorf("ProfileOf = %.20q after two at one place, want the last before", got.Name)
	}
}

// TestSealed: a body opens in its own envelope, epoch and entity, with the key that
// the epoch committed to, and nowhere else.
func TestSealed(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.who(t, "member")
	key := keys.NewOpKey()
	writing, _ := w.State().WritingEpoch(func(keys.Digest) bool { return true })
	first := writing.ID
	second := w.must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{Commitment: key.Commitment(w.ID()), Depth: nextEpoch(w).Depth, Replaces: epochs(w)}).ID()
	old := entity.Keyring{first: w.ring[first]}
	o, err := w.Write(m.author(), old, oplog.FamilyArticle, entity.TypeArticleNew, entity.Article{Title: "sealed"})
	if err != nil {
		t.Fatalf("Write in the first epoch: %v", err)
	}
	var a entity.Article
	if err := w.Read(o, old, &a); err != nil || a.Title != "sealed" || o.Epoch() != first {
		t.Fatalf("Read = %q, %v in epoch %v", a.Title, err, o.Epoch())
	}
	w.ring[second] = key
	if o, err := w.Write(m.author(), w.ring, oplog.FamilyArticle, entity.TypeArticleNew, entity.Article{Title: "x"}); err != nil || o.Epoch() != second {
		t.Errorf("Write with both keys uses epoch %v, %v, want the deeper one", o.Epoch(), err)
	}

	// The same body in other envelopes, all well signed by the author himself.
	d := func(change func(*oplog.Draft)) oplog.Op {
		d := w.draft(m, oplog.Content, oplog.FamilyArticle, entity.TypeArticleNew, o.Body())
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
		if err := w.Read(moved, w.ring, &entity.Article{}); !errors.Is(err, keys.ErrSealed) {
			t.Errorf("a body moved to %s: %v, want ErrSealed", name, err)
		}
	}
	whole := d(func(d *oplog.Draft) { d.Seq, d.Prev, d.Parents, d.Auth = o.Seq(), o.Prev(), o.Parents(), o.Auth() })
	if err := w.Read(whole, w.ring, &entity.Article{}); err != nil || whole.ID() != o.ID() {
		t.Errorf("the test's own envelope is not the same: %v", err)
	}
	stolen := w.who(t, "founder").by(w.who(t, "founder").key)
	s := w.draft(stolen, oplog.Content, oplog.FamilyArticle, entity.TypeArticleNew, o.Body())
	s.Seq, s.Prev, s.Parents, s.Auth, s.Epoch = o.Seq(), o.Prev(), o.Parents(), o.Auth(), first
	if err := w.Read(sign(t, stolen, s), w.ring, &entity.Article{}); !errors.Is(err, keys.ErrSealed) {
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
	if err := other.Read(o, w.ring, &entity.Article{}); !errors.Is(err, keys.ErrSealed) {
		t.Errorf("Read in another entity: %v, want ErrSealed", err)
	}
}

// TestReadCommitment: a key that opens is not enough, the epoch must have committed
// to it: the commitment is inside what is authenticated.
func TestReadCommitment(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	key, lie := keys.NewOpKey(), keys.NewOpKey()
	epoch := w.must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{Commitment: lie.Commitment(w.ID()), Depth: nextEpoch(w).Depth, Replaces: epochs(w)}).ID()
	m := w.who(t, "member")
	// A writer that sealed to the commitment of the key it holds, not of the epoch.
	d := w.draft(m, oplog.Content, oplog.FamilyArticle, entity.TypeArticleNew, nil)
	d.Epoch = epoch
	commitment := key.Commitment(w.ID())
	plain := keys.Marshal(entity.Article{Title: "x"})
	d.Body = make([]byte, len(plain)+keys.SealOverhead)
	d.Seal = func(aad []byte) []byte {
		return key.Seal(w.ID(), epoch, keys.LP([]byte(keys.LabelContentAAD), aad, commitment[:]), plain)
	}
	o := sign(t, m, d)
	checkAdded(t, w.Entity, o)
	if err := w.Read(o, entity.Keyring{epoch: key}, &entity.Article{}); !errors.Is(err, keys.ErrSealed) {
		t.Errorf("Read with a key the epoch did not commit to: %v, want ErrSealed", err)
	}
}

// TestWriteRefused: nobody writes what others would refuse.
func TestWriteRefused(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	article := entity.Article{Title: "x"}
	write := func(w *world, p person, ring entity.Keyring, body any) error {
		_, err := w.Write(p.author(), ring, oplog.FamilyArticle, entity.TypeArticleNew, body)
		return err
	}
	for _, name := range []string{"reader", "gone", "stranger"} {
		if err := write(w, w.who(t, name), w.ring, article); !errors.Is(err, entity.ErrNotAuthorized) {
			t.Errorf("%s writes: %v, want ErrNotAuthorized", name, err)
		}
	}
	m := w.who(t, "member")
	if err := write(w, m.by(keys.FromSeed([32]byte{9})), w.ring, article); !errors.Is(err, entity.ErrNotAuthorized) {
		t.Errorf("a member writes with an unknown device: %v, want ErrNotAuthorized", err)
	}
	for name, ring := range map[string]entity.Keyring{"no key": nil, "a key of no epoch": {keys.Digest{9}: keys.NewOpKey()}} {
		if err := write(w, m, ring, article); !errors.Is(err, entity.ErrNoKey) {
			t.Errorf("a member writes with %s: %v, want ErrNoKey", name, err)
		}
	}
	if err := write(w, m, w.ring, entity.Article{Title: "x", Text: strings.Repeat("t", oplog.MaxContent)}); !errors.Is(err, oplog.ErrTooLarge) {
		t.Errorf("a member writes 256 KiB: %v, want ErrTooLarge", err)
	}
	if _, err := w.Control(w.who(t, "founder").author(), oplog.FamilyPolicy, entity.TypeDescription, entity.Text{Text: strings.Repeat("t", oplog.MaxControl)}); !errors.Is(err, oplog.ErrTooLarge) {
		t.Errorf("a control op of 64 KiB and more: %v, want ErrTooLarge", err)
	}
	if n := len(w.Posts(w.ring)); n != 0 || w.Log().Heads(oplog.Content) != nil && len(w.Log().Heads(oplog.Content)) != 0 {
		t.Errorf("%d posts after nothing but refusals", n)
	}
	w.must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
	if err := write(w, m, w.ring, article); !errors.Is(err, entity.ErrEnded) {
		t.Errorf("a member writes after the end: %v, want ErrEnded", err)
	}
	if s := w.State(); !s.Ended || s.EndReason != entity.EndByParty || s.CanWrite(m.user(), m.key.ID()) {
		t.Errorf("after the end: %v, reason %d", s.Ended, s.EndReason)
	}
}

// TestFriendLife: consent makes a friendship alive; the lower of two merges wins;
// the first end counts.
func TestFriendLife(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Friend)
	f, o := w.who(t, "founder"), w.who(t, "other")
	if s := w.State(); s.Alive() || s.Other(f.user()) != o.user() || s.Other(o.user()) != f.user() || s.Ref != w.ref {
		t.Errorf("before consent: alive %v", s.Alive())
	}
	if found(t, entity.Friend).State().Alive() {
		t.Error("a friendship of one is alive")
	}
	w.must(t, "other", oplog.FamilyMember, entity.TypeAccept, entity.Accept{})
	if !w.State().Alive() {
		t.Error("after consent: not alive")
	}
	left := w.clone(t)
	left.must(t, "other", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	if left.State().Alive() {
		t.Error("a friendship that one left is alive")
	}
	for _, c := range []struct{ into, want byte }{{5, 5}, {7, 5}, {3, 3}} {
		w.must(t, "founder", oplog.FamilyPolicy, entity.TypeMerged, entity.Merged{Into: keys.Digest{c.into}})
		if w.State().Merged != (keys.Digest{c.want}) {
			t.Errorf("merged into %v, want %d", w.State().Merged, c.want)
		}
	}
	w.must(t, "other", oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
	w.must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndNotAccepted})
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
		p := w.who(t, c.name)
		if user, ok := s.UserOf(p.key.ID()); ok != c.known || ok && user != p.user() {
			t.Errorf("UserOf the device of %s = %v, %v", c.name, user, ok)
		}
		if got := s.CanWrite(p.user(), p.key.ID()); got != c.writes {
			t.Errorf("%s can write: %v", c.name, got)
		}
		for least := entity.Reader; least <= entity.Master; least++ {
			if got, want := s.Speaks(p.user(), p.key.ID(), least), c.role >= least; got != want {
				t.Errorf("%s speaks as %v: %v", c.name, least, got)
			}
			if s.Speaks(p.user(), w.who(t, "other").key.ID(), least) || s.Speaks(w.who(t, "other").user(), p.key.ID(), least) {
				t.Errorf("another speaks for %s, or he for another", c.name)
			}
		}
	}
}

// TestDescribe: an op in words, and never a key.
func TestDescribe(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	post := w.post(t, "member", "a post")
	edit := w.write(t, "member", entity.ArticleEdit{Article: post.ID(), Title: "edited"})
	comment := w.write(t, "founder", entity.Comment{Article: post.ID(), Mark: entity.Push})
	silenced := w.write(t, "founder", entity.CommentDelete{Comment: comment.ID()})
	gone := w.write(t, "founder", entity.ArticleDelete{Article: post.ID()})
	unknown := w.must(t, "member", oplog.FamilyPolicy, 99, struct{}{})
	me := found(t, entity.Me)
	f := me.who(t, "founder").author()
	joined, err := me.Write(f, me.ring, oplog.FamilyMe, entity.TypeJoined, entity.Joined{
		Entity: keys.Digest{1}, Kind: entity.Board, Addrs: [][]byte{{1}}, Keys: []entity.EpochKey{{Epoch: keys.Digest{1}, Key: [32]byte{1}}},
	})
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	for _, c := range []struct {
		name string
		w    *world
		o    oplog.Op
		ring entity.Keyring
		body string
		typ  string
	}{
		{"genesis", w, all(w.Entity)[0], nil, "*entity.Genesis", "genesis"},
		{"unknown", w, unknown, w.ring, "<nil>", "type(99)"},
		{"post", w, post, w.ring, "*entity.Article", "new"},
		{"post without the key", w, post, nil, "<nil>", "new"},
		{"joined", me, joined, me.ring, "*entity.Joined", "joined"},
		{"edit", w, edit, w.ring, "*entity.ArticleEdit", "edit"},
		{"delete", w, gone, w.ring, "*entity.ArticleDelete", "delete"},
		{"comment", w, comment, w.ring, "*entity.Comment", "new"},
		{"comment delete", w, silenced, w.ring, "*entity.CommentDelete", "delete"},
	} {
		body, typ := c.w.Describe(c.o, c.ring)
		if got := fmt.Sprintf("%T", body); got != c.body || typ != c.typ {
			t.Errorf("%s: Describe = %s %q, want %s %q", c.name, got, typ, c.body, c.typ)
		}
		if j, ok := body.(*entity.Joined); ok && (j.Keys != nil || j.Entity != keys.Digest{1}) {
			t.Errorf("Describe tells the keys of a joined entity: %v", j)
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
		"a post":      {func(w *world) { w.post(t, "member", "x") }, false},
		"a title":     {func(w *world) { w.must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"}) }, false},
		"an admit":    {func(w *world) { w.admit(t, "newcomer", entity.Reader) }, true},
		"a leave":     {func(w *world) { w.must(t, "reader", oplog.FamilyMember, entity.TypeLeave, entity.Leave{}) }, true},
		"a promotion": {func(w *world) { w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, verbBody(t, w)) }, true},
		"a policy": {func(w *world) {
			w.must(t, "founder", oplog.FamilyPolicy, entity.TypeJoinPolicy, entity.SetJoinPolicy{Join: entity.JoinFriends})
		}, true},
		"a history": {func(w *world) {
			w.must(t, "founder", oplog.FamilyPolicy, entity.TypeHistory, entity.SetHistory{History: entity.History{Mode: entity.HistoryFromJoin}})
		}, true},
		"an epoch": {func(w *world) {
			w.must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{Depth: nextEpoch(w).Depth, Replaces: epochs(w)})
		}, true},
		"an end": {func(w *world) { w.must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{}) }, true},
	} {
		w := base.clone(t)
		c.do(w)
		if got := w.State().Digest() != before; got != c.changes {
			t.Errorf("%s changes the digest: %v, want %v", name, got, c.changes)
		}
	}
}

func verbBody(t *testing.T, w *world) entity.MasterAdd {
	party := w.who(t, "member").party()
	return entity.MasterAdd{Party: &party}
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
	for _, v := range []any{k, &k, entity.Joined{Keys: []entity.EpochKey{k}}, entity.Approval{Keys: []entity.EpochKey{k}}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(out, "KKKK") || strings.Contains(out, "75 75") || strings.Contains(out, "4b4b") || strings.Contains(out, "0x4b, 0x4b") {
				t.Errorf("%s of %T prints the key: %s", verb, v, out)
			}
		}
	}
}
