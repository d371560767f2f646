package testnet

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"pttnode/keys"
	"pttnode/node"
	"pttnode/oplog"
	"pttnode/protocol"
)

// letGo is how long a text is kept that is shown nowhere for good (docs/PROTOCOL.md §2.11).
const letGo = 14 * 24 * time.Hour

// later sets all clocks on.
func later(n *Net, by time.Duration) {
	for _, p := range n.Peers {
		p.Skew(time.Duration(p.skew.Load()) + by)
	}
}

// looked sets all clocks on until every node has looked once more at what it need not keep.
func looked(n *Net) {
	later(n, 2*time.Hour)
	pass(2 * time.Minute)
}

// bodiesAt returns what a peer says of the bodies of a board that are not here.
func bodiesAt(t *testing.T, p *Peer, board string) node.BodiesView {
	t.Helper()
	v, err := p.Node.View(board)
	if err != nil {
		t.Fatal(err)
	}
	return v.Bodies
}

// inStore returns the sealed bodies that a peer's store has of an entity, and the ids of
// the operations whose bodies it has not.
func inStore(t *testing.T, p *Peer, eid keys.Digest) (bodies map[keys.Digest][]byte, away []keys.Digest) {
	t.Helper()
	s, err := p.stored(true)
	if err != nil {
		t.Fatalf("the store of %s: %v", p.Name, err)
	}
	e, ok := s.entities[eid]
	if !ok {
		t.Fatalf("%s does not have %v", p.Name, eid)
	}
	bodies = make(map[keys.Digest][]byte)
	for o := range e.Log().All(oplog.Content) {
		switch whole, err := e.Log().Whole(o); {
		case err != nil:
			t.Fatal(err)
		case !o.Here():
			away = append(away, o.ID())
		case o.Size() > 0:
			bodies[o.ID()] = whole.Body()
		}
	}
	return bodies, away
}

// onDisk reports whether bytes are anywhere in a peer's store.
func onDisk(t *testing.T, p *Peer, text []byte) (found bool) {
	t.Helper()
	if err := p.each("/", func(_ string, value []byte) error {
		found = found || bytes.Contains(value, text)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// pages is the board as a peer reads it, with texts and comments.
func pages(t *testing.T, p *Peer) string {
	t.Helper()
	as, err := p.Node.Articles("reading")
	if err != nil {
		return err.Error()
	}
	var out strings.Builder
	for _, a := range as {
		out.WriteString(fmt.Sprintf("%d %s %s\n", a.No, a.ID, says(p, "reading", a.ID.String())))
	}
	return out.String()
}

// rubbish writes an article that is edited and one that is deleted, with a comment: four
// of its six texts are shown nowhere.
func rubbish(t *testing.T, alice, other *Peer) {
	t.Helper()
	write(t, alice, "reading", "kept")
	write(t, alice, "reading", "regretted")
	reads(t, other, "reading", "regretted", time.Minute)
	comment(t, other, "2", "yes!")
	alice.net.Settle()
	for _, title := range []string{"better", "best"} {
		edit(t, alice, "1", title)
	}
	if _, err := alice.Node.DeleteArticle(t.Context(), "reading", "2"); err != nil {
		t.Fatal(err)
	}
	comment(t, other, "1", "and no")
	alice.net.Settle()
}

const (
	rubbishTexts = 6
	rubbishDead  = 4
)

func comment(t *testing.T, p *Peer, article, text string) {
	t.Helper()
	if _, err := p.Node.AddComment(t.Context(), "reading", article, "push", text); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, p *Peer, article, title string) {
	t.Helper()
	if _, err := p.Node.EditArticle(t.Context(), "reading", article, node.ArticleChange{Title: &title}); err != nil {
		t.Fatal(err)
	}
}

// closes has alice remove a member and waits until a checkpoint has closed that, and what
// was before it, at all peers.
func closes(t *testing.T, alice *Peer, name string, peers ...*Peer) {
	t.Helper()
	was := finalOf(t, alice, "reading")
	remove(t, alice, "reading", name)
	alice.net.Until(15*time.Minute, "a checkpoint", func() bool {
		return !slices.ContainsFunc(peers, func(p *Peer) bool { return finalOf(t, p, "reading") == was })
	})
}

// TestLetGo: two weeks after a peer saw that something is deleted or replaced for good its
// text is on no disk of its any more, and not before. Everybody reads the same board as
// before, and so does who was away meanwhile, or is new, and never has the text.
func TestLetGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob, carol, dave, erin := n.Add("alice"), n.Add("bob"), n.Add("carol"), n.Add("dave"), n.Add("erin")
		members(t, alice, bob, carol, dave, erin)
		eid := readingID(t, alice)
		erin.Stop()
		rubbish(t, alice, bob)
		before := pages(t, carol)
		all, _ := inStore(t, carol, eid)
		if len(all) != rubbishTexts {
			t.Fatalf("%d texts, want %d", len(all), rubbishTexts)
		}
		has := func(what string, p *Peer, want int) {
			t.Helper()
			bodies, away := inStore(t, p, eid)
			if len(bodies) != want || len(away) != rubbishTexts-want {
				t.Fatalf("%s: %s has %d texts and lacks %d, want %d of %d", what, p.Name, len(bodies), len(away), want, rubbishTexts)
			}
			for _, id := range away {
				if onDisk(t, p, all[id]) {
					t.Errorf("%s: the text of %v is on the disk of %s", what, id, p.Name)
				}
			}
			if got := pages(t, p); got != before {
				t.Errorf("%s: %s reads\n%s\nwant\n%s", what, p.Name, got, before)
			}
		}
		for range 3 {
			later(n, letGo)
			pass(2 * time.Minute)
		}
		for _, p := range []*Peer{alice, bob, carol} {
			has("a removal that comes to light may void the deletion", p, rubbishTexts)
		}

		carol.Stop()
		closes(t, alice, "dave", alice, bob)
		looked(n)
		later(n, letGo-24*time.Hour)
		pass(2 * time.Minute)
		has("a day before", alice, rubbishTexts)
		carol.Start()
		n.Settle()
		looked(n)
		later(n, 24*time.Hour)
		gone := func(p *Peer) func() bool {
			return func() bool { return bodiesAt(t, p, "reading").LetGo == rubbishDead }
		}
		n.Until(5*time.Minute, "let go", func() bool { return gone(alice)() && gone(bob)() })
		pass(5 * time.Minute) // syncs with carol, who has all of it
		has("two weeks", alice, rubbishTexts-rubbishDead)
		has("two weeks", bob, rubbishTexts-rubbishDead)
		has("who saw it later", carol, rubbishTexts)
		later(n, letGo-24*time.Hour)
		n.Until(5*time.Minute, "let go by carol", gone(carol))

		dave.Stop() // has them still, and erin does not know that they were removed
		erin.Start()
		frank := n.Add("frank")
		frank.Skew(time.Duration(alice.skew.Load()))
		done(t, frank, join(t, frank, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		n.Settle()
		pass(5 * time.Minute)
		for _, p := range []*Peer{alice, bob, carol, erin, frank} {
			has("at last", p, rubbishTexts-rubbishDead)
			if v := bodiesAt(t, p, "reading"); v.Missing != 0 || v.Since != nil || v.LetGo != rubbishDead {
				t.Errorf("%s shows %+v, want %d that were let go of", p.Name, v, rubbishDead)
			}
		}
		// From one who never had them, and after its restart.
		owner(t, n, alice, frank)
		n.Settle()
		for _, p := range n.Peers {
			p.Stop()
		}
		frank.Start()
		gina := n.Add("gina")
		gina.Skew(time.Duration(alice.skew.Load()))
		done(t, gina, join(t, gina, newLink(t, frank, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		n.Until(time.Minute, "the board at gina", func() bool { return pages(t, gina) == before })
		has("from who never had them", gina, rubbishTexts-rubbishDead)
		for _, p := range []*Peer{alice, bob, carol, erin} {
			p.Start()
		}
	})
}

// TestLetGoOwn: of what a person's devices tell each other, and of a profile, the last
// stays. What was let go of does not come back from the device that does so later, after a
// restart either, and nobody looks for it.
func TestLetGoOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		laptop, bob := n.Add("alice"), n.Add("bob")
		befriend(t, laptop, bob)
		phone := linkDevice(t, laptop, "alice-phone")
		for _, name := range []string{"one", "two", "three"} {
			if _, err := laptop.Node.RenameDevice(t.Context(), "alice-phone", name); err != nil && name == "one" {
				t.Fatal(err)
			} else if err != nil {
				if _, err := laptop.Node.RenameDevice(t.Context(), map[string]string{"two": "one", "three": "two"}[name], name); err != nil {
					t.Fatal(err)
				}
			}
			if err := laptop.Node.SetCard(t.Context(), "card "+name); err != nil {
				t.Fatal(err)
			}
		}
		n.Settle()
		looked(n)
		phone.Stop() // it lets go later
		later(n, letGo)
		me := laptop.User()
		gone := func(p *Peer) func() bool {
			return func() bool { return bodiesAt(t, p, me.String()).LetGo >= 2 }
		}
		n.Until(5*time.Minute, "let go", gone(laptop))
		_, was := inStore(t, laptop, me)
		quiet := func(what string, p *Peer) {
			t.Helper()
			if _, away := inStore(t, p, me); len(away) != len(was) {
				t.Errorf("%s: %s lacks %d entries, want the %d that were let go of", what, p.Name, len(away), len(was))
			}
			if v := bodiesAt(t, p, me.String()); v.Missing != 0 || v.LetGo != len(was) {
				t.Errorf("%s: %s shows %+v, want %d that were let go of", what, p.Name, v, len(was))
			}
		}
		quiet("at once", laptop)
		phone.Start()
		pass(5 * time.Second)
		quiet("while another device has them", laptop)
		n.Until(5*time.Minute, "let go by the phone", gone(phone))
		for _, p := range []*Peer{laptop, phone} {
			p.Restart()
		}
		asked := laptop.Served(protocol.BodyID).Streams + phone.Served(protocol.BodyID).Streams
		pass(10 * time.Minute)
		quiet("after a restart", laptop)
		quiet("after a restart", phone)
		if now := laptop.Served(protocol.BodyID).Streams + phone.Served(protocol.BodyID).Streams; now != asked {
			t.Errorf("%d exchanges for what was let go of", now-asked)
		}
		if d := phone.Node.Devices(); len(d) != 2 || d[1].Name != "three" {
			t.Errorf("the phone is called %+v, want three", d)
		}
	})
}

// TestRevived: an owner who was away removes somebody with a cut before an edit for which
// all others have let go of the text before it. That is shown again: not here yet, until
// somebody gives it who has it.
func TestRevived(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob, carol, dave := n.Add("alice"), n.Add("bob"), n.Add("carol"), n.Add("dave")
		members(t, alice, bob, carol, dave)
		erin := n.Add("erin")
		done(t, erin, join(t, erin, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		owner(t, n, alice, carol)
		write(t, bob, "reading", "first")
		n.Settle()
		carol.Stop()
		edit(t, bob, "1", "second")
		reads(t, alice, "reading", "second", time.Minute)
		closes(t, alice, "dave", alice, bob, erin)
		looked(n)
		later(n, letGo)
		n.Until(5*time.Minute, "let go", func() bool {
			return !slices.ContainsFunc([]*Peer{alice, bob, erin}, func(p *Peer) bool { return bodiesAt(t, p, "reading").LetGo != 1 })
		})

		for _, p := range []*Peer{alice, bob, erin} {
			n.Partition(p, carol)
		}
		carol.Tamper(func(s network.Stream) network.Stream {
			if s.Protocol() == protocol.BodyID {
				return nil
			}
			return s
		})
		carol.Start()
		remove(t, carol, "reading", "bob")
		n.Heal()
		shows := func(p *Peer, want string) func() bool {
			return func() bool { return strings.HasPrefix(says(p, "reading", "1"), want) }
		}
		for _, p := range []*Peer{alice, erin} {
			n.Until(30*time.Minute, "not here yet at "+p.Name, shows(p, `unreadable ""`))
			if a, err := p.Node.Articles("reading"); err != nil || len(a) != 1 || a[0].No != 1 || a[0].Lack != "not_here" {
				t.Errorf("%s shows %+v, %v, want one that is not here yet", p.Name, a, err)
			}
			if v := bodiesAt(t, p, "reading"); v.Missing != 1 || v.Since == nil || v.LetGo != 0 { // the edit is not replaced
				t.Errorf("%s shows %+v, want one missing", p.Name, v)
			}
		}
		pass(3 * time.Minute)
		if !shows(alice, `unreadable ""`)() || !shows(carol, `ok "first"`)() {
			t.Errorf("alice shows %q, carol %q", says(alice, "reading", "1"), says(carol, "reading", "1"))
		}
		carol.Tamper(nil)
		n.Until(2*time.Minute, "the text again", func() bool { return shows(alice, `ok "first"`)() && shows(erin, `ok "first"`)() })
	})
}

// reframed is a stream whose frames are changed, those that come and those that go. What is
// written comes a frame at a time.
type reframed struct {
	network.Stream
	in     *bufio.Reader
	rest   bytes.Buffer
	change func(typ uint8, payload []byte) []byte // returns a frame
}

func (r *reframed) Write(p []byte) (int, error) {
	typ, payload, err := (&wire{r.Stream, bufio.NewReader(bytes.NewReader(p))}).frame()
	if err != nil {
		return 0, err
	}
	if _, err := r.Stream.Write(r.change(typ, payload)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (r *reframed) Read(p []byte) (int, error) {
	if r.rest.Len() == 0 {
		typ, payload, err := (&wire{r.Stream, r.in}).frame()
		if err != nil {
			return 0, err
		}
		r.rest.Write(r.change(typ, payload))
	}
	return r.rest.Read(p)
}

// withhold makes of streams such ones in which syncs bring an operation without its body,
// and nobody is told of bodies.
func withhold(id keys.Digest) func(network.Stream) network.Stream {
	return func(s network.Stream) network.Stream {
		switch s.Protocol() {
		case protocol.BodyID:
			return nil
		case protocol.SyncID:
			return &reframed{Stream: s, in: bufio.NewReader(s), change: func(typ uint8, payload []byte) []byte {
				var f protocol.Ops
				if protocol.SyncType(typ) != protocol.SyncOps || protocol.DecodeSync(payload, &f) != nil {
					return protocol.Frame(typ, payload)
				}
				for i, p := range f.Ops {
					if oplog.IDOf(p.Envelope) == id {
						f.Ops[i].Body = nil
					}
				}
				return protocol.Frame(typ, keys.Marshal(f))
			}}
		}
		return s
	}
}

// TestLinkWaitsForBodies: a device that is linked is alive only when it has every body of
// Me that the device has which lets it in.
func TestLinkWaitsForBodies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var id keys.Digest
		p := newLinkPair(t, func(p *linkPair) {
			s, err := p.laptop.stored(false)
			if err != nil {
				t.Fatal(err)
			}
			for o := range s.entities[s.user].Log().All(oplog.Content) {
				if o.Size() > 0 {
					id = o.ID()
					break
				}
			}
			p.laptop.Tamper(withhold(id))
			p.phone.Tamper(withhold(id)) // what the laptop brings
		})
		if id.IsZero() {
			t.Fatal("nothing in the laptop's Me has a body")
		}
		p.net.Until(time.Minute, "the status sync", func() bool {
			p.typeNew(t)
			return p.status(p.phone) == "sync" && p.status(p.laptop) == "sync"
		})
		pass(5 * time.Minute)
		if _, away := inStore(t, p.phone, p.laptop.User()); !slices.Equal(away, []keys.Digest{id}) {
			t.Fatalf("the phone lacks %v of Me, want %v: this proves nothing", away, id)
		}
		for _, q := range []*Peer{p.phone, p.laptop} {
			if got := p.status(q); got != "sync" {
				t.Errorf("%s shows the phone as %s while it lacks a body of Me", q.Name, got)
			}
		}
		for _, q := range []*Peer{p.phone, p.laptop} {
			q.Tamper(nil)
		}
		p.net.Until(5*time.Minute, "linked", p.linked)
		if _, away := inStore(t, p.phone, p.laptop.User()); len(away) > 0 {
			t.Errorf("the phone is alive and lacks %v of Me", away)
		}
		p.theOne(t)
	})
}

// withoutBodies are operations as who withholds their bodies sends them.
func withoutBodies(pairs []oplog.Pair) (out []oplog.Pair) {
	for _, p := range pairs {
		out = append(out, oplog.Pair{Envelope: p.Envelope})
	}
	return out
}

// TestManyBodies: 5,000 bodies that a member lacks come in as many exchanges as it takes to
// name them.
func TestManyBodies(t *testing.T) {
	t.Parallel()
	const count = 5000
	synctest.Test(t, func(t *testing.T) {
		n, alice, bob, m := bobAndMallory(t)
		n.Settle()
		ops := m.chain(oplog.Content, strings.Repeat("G", count), 100)
		n.Partition(alice, bob)
		m.syncs(alice, slices.Collect(slices.Chunk(withoutBodies(ops), 1000))...)
		m.syncs(bob, slices.Collect(slices.Chunk(ops, 1000))...)
		_ = m.host.Close()
		if _, away := inStore(t, alice, m.e.ID()); len(away) != count {
			t.Fatalf("alice lacks %d bodies, want %d", len(away), count)
		}
		before := bob.Served(protocol.BodyID)
		n.Heal()
		took := n.Until(10*time.Minute, "all bodies", func() bool { return bodiesAt(t, alice, "dev").Missing == 0 })
		now := bob.Served(protocol.BodyID)
		streams := now.Streams - before.Streams
		if _, away := inStore(t, alice, m.e.ID()); len(away) != 0 {
			t.Errorf("alice lacks %d bodies", len(away))
		}
		if most := count/protocol.MaxWanted + 5; streams > most {
			t.Errorf("%d exchanges, want at most %d", streams, most)
		}
		if most := (count + count/10) * (100 + 2*40); now.Out-before.Out > most { // ids, heads, and little said twice
			t.Errorf("%d bytes were sent for them, want at most %d", now.Out-before.Out, most)
		}
		t.Logf("%d bodies in %d exchanges and %v", count, streams, took)
	})
}

// TestBodiesCrash kills a member at each write by which it lets go of text, or takes a body
// that it lacked, before it is durable and after: either it is done or it is not, and after
// the restart it is carried on.
func TestBodiesCrash(t *testing.T) {
	for side, crash := range map[string]func(*testing.T, int, bool) bool{"letting go": letGoCrash, "taking": bodyCrash} {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/written=%v", side, written), func(t *testing.T) {
				atEveryWrite(t, side, 1, 1, func(t *testing.T, k int) bool { return crash(t, k, written) })
			})
		}
	}
}

func letGoCrash(t *testing.T, k int, written bool) bool {
	n := New(t, 20*time.Millisecond)
	store := NewFailStore()
	alice, carol, dave := n.Add("alice"), n.AddOn("carol", store), n.Add("dave")
	members(t, alice, carol, dave)
	eid := readingID(t, alice)
	rubbish(t, alice, carol)
	before := pages(t, carol)
	closes(t, alice, "dave", alice, carol)
	store.StopAt(k, written, carol.silence)
	hit := false
	until := func(what string, cond func() bool) {
		n.Until(10*time.Minute, what, func() bool {
			hit = carol.revive(store) || hit
			return !store.Stopped() && cond()
		})
	}
	later(n, 2*time.Hour)
	noted := func() bool {
		count := 0
		if err := carol.each("/x/"+eid.String(), func(string, []byte) error { count++; return nil }); err != nil {
			t.Fatal(err)
		}
		return count == rubbishDead
	}
	until("noted", noted)
	later(n, letGo)
	until(fmt.Sprintf("let go, after a stop at write %d", k), func() bool { return bodiesAt(t, carol, "reading").LetGo == rubbishDead })
	store.Mend() // there was no such write
	n.Settle()
	if got := pages(t, carol); got != before {
		t.Errorf("carol reads\n%s\nwant\n%s", got, before)
	}
	if bodies, away := inStore(t, carol, eid); len(bodies) != rubbishTexts-rubbishDead || len(away) != rubbishDead {
		t.Errorf("%d texts and %d without on the disk", len(bodies), len(away))
	}
	return hit
}

func bodyCrash(t *testing.T, k int, written bool) bool {
	n, alice := aliceAndBoard(t)
	store := NewFailStore()
	carol := n.AddOn("carol", store)
	inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 2})
	n.opens(carol, inv.Link, "done")
	m := n.member(0, "mallory", alice, inv.Link)
	n.Settle()
	n.Partition(alice, carol)
	o := m.article(m.key, "withheld", nil)
	m.syncs(carol, withoutBodies([]oplog.Pair{o.Pair()}))
	m.syncs(alice, []oplog.Pair{o.Pair()})
	_ = m.host.Close()
	if got := says(carol, "dev", "1"); !strings.HasPrefix(got, "unreadable") {
		t.Fatalf("carol shows %s", got)
	}
	pass(time.Minute) // alice is gone
	store.StopAt(k, written, carol.silence)
	n.Heal()
	hit := false
	n.Until(10*time.Minute, fmt.Sprintf("the text, after a stop at write %d", k), func() bool {
		hit = carol.revive(store) || hit
		return !store.Stopped() && strings.HasPrefix(says(carol, "dev", "1"), `ok "withheld" "text"`)
	})
	store.Mend()
	n.Settle()
	bodies, away := inStore(t, carol, boardID(t, carol))
	if len(away) > 0 || !bytes.Equal(bodies[o.ID()], o.Body()) {
		t.Errorf("carol's store lacks %v, and has of the body %d bytes", away, len(bodies[o.ID()]))
	}
	return hit
}
