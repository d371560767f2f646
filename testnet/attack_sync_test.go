package testnet

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/keys"
	"pttnode/node"
	"pttnode/oplog"
	"pttnode/protocol"
)

// member is an attacker who was let into Alice's board.
type member struct {
	*attacker
	mu   sync.Mutex // of e, where streams read it while the test writes
	e    *entity.Entity
	ring entity.Keyring
}

// member has an attacker join a board by a link.
func (n *Net) member(index int, name string, to *Peer, link string) *member {
	n.t.Helper()
	a := n.attacker(index, name)
	j := a.join(to, link)
	return &member{attacker: a, e: j.Entity, ring: j.Ring}
}

// aliceAndMallory is aliceAndBoard with mallory as a member, by a link.
func aliceAndMallory(t *testing.T) (n *Net, alice *Peer, m *member) {
	t.Helper()
	n, alice = aliceAndBoard(t)
	return n, alice, n.member(0, "mallory", alice, boardLink(t, alice, node.InviteOptions{Auto: true}).Link)
}

// bobAndMallory is aliceAndMallory with bob as a member who is honest.
func bobAndMallory(t *testing.T) (n *Net, alice, bob *Peer, m *member) {
	t.Helper()
	n, alice = aliceAndBoard(t)
	inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 2})
	bob = n.Add("bob")
	n.opens(bob, inv.Link, "done")
	return n, alice, bob, n.member(0, "mallory", alice, inv.Link)
}

func (m *member) author() entity.Author {
	return entity.Author{Key: m.key, User: m.user(), Now: time.Now()}
}

// joinOther has the member join a second board, "other", of a peer, and stay known there
// when he is gone from the first.
func (m *member) joinOther(of *Peer) {
	m.t.Helper()
	newBoard(m.t, of, "other", "link")
	m.join(of, newLink(m.t, of, node.InviteOptions{Kind: "board", Board: "other", Auto: true}).Link)
}

// leave makes the member's leave of the board.
func (m *member) leave() oplog.Op {
	m.t.Helper()
	o, err := m.e.Control(m.author(), oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{}})
	if err != nil {
		m.t.Fatal(err)
	}
	return o
}

// leaves has the member tell a peer that he leaves.
func (m *member) leaves(to *Peer) {
	m.t.Helper()
	m.push(to, m.e.ID(), m.leave().Pair())
}

// article makes an article as the member would, and lets change alter the draft;
// key signs it.
func (m *member) article(key keys.Private, title string, change func(*oplog.Draft)) oplog.Op {
	m.t.Helper()
	epoch, ok := m.e.State().WritingEpoch(func(id keys.Digest) bool { _, ok := m.ring[id]; return ok })
	if !ok {
		m.t.Fatal("no epoch")
	}
	plain := keys.Marshal(board.Article{Title: title, Text: "text"})
	d := oplog.Draft{
		Entity: m.e.ID(), User: m.user(), Strand: oplog.Content, Family: oplog.FamilyArticle, Type: board.TypeArticleNew,
		Parents: m.e.Log().Heads(oplog.Content), Auth: m.e.Log().Heads(oplog.Control)[:1], Epoch: epoch.ID, At: time.Now(),
		Body: make([]byte, len(plain)+keys.SealOverhead),
	}
	d.Seal = func(aad []byte) []byte {
		return m.ring[epoch.ID].Seal(d.Entity, epoch.ID, keys.LP([]byte(keys.LabelContentAAD), aad, epoch.Commitment[:]), plain)
	}
	if change != nil {
		change(&d)
	}
	o, err := oplog.Sign(key, d)
	if err != nil {
		m.t.Fatal(err)
	}
	return o
}

// push sends operations of an entity to a peer and waits until it is done with
// them.
func (a *attacker) push(to *Peer, eid keys.Digest, ops ...oplog.Pair) {
	a.t.Helper()
	w := a.mustOpen(to, protocol.SyncID)
	if _, err := w.Write(protocol.Frame(uint8(protocol.SyncPush), keys.Marshal(protocol.Push{Entity: eid, Ops: ops}))); err != nil {
		a.t.Fatal(err)
	}
	w.refused(a.t, "a push")
}

// hello asks a peer for an entity and returns the frame that comes first, nil when
// the stream is reset.
func (a *attacker) hello(to *Peer, eid keys.Digest) []byte {
	a.t.Helper()
	return a.ask(to, protocol.Frame(uint8(protocol.SyncHello), keys.Marshal(protocol.Hello{Entity: eid})))
}

// ask begins a sync with a frame and returns the one that answers it, nil when the
// stream is reset.
func (a *attacker) ask(to *Peer, first []byte) []byte {
	a.t.Helper()
	return a.askOver(protocol.SyncID, to, first)
}

// askOver sends a frame by a stream of any protocol and returns the one that answers it,
// nil when the stream is reset.
func (a *attacker) askOver(id libprotocol.ID, to *Peer, first []byte) []byte {
	a.t.Helper()
	w := a.mustOpen(to, id)
	if _, err := w.Write(first); err != nil {
		a.t.Fatal(err)
	}
	typ, payload, err := w.frame()
	_ = w.Reset()
	if err != nil {
		return nil
	}
	return append([]byte{typ}, payload...)
}

// unanswered counts the syncs for which an attacker is asked and says nothing.
type unanswered struct {
	mu                  sync.Mutex
	asked, atOnce, most int
}

// leavesUnanswered has an attacker take every sync, and say nothing until the other side
// gives up.
func (a *attacker) leavesUnanswered() *unanswered {
	u := new(unanswered)
	a.host.SetStreamHandler(protocol.SyncID, func(s network.Stream) {
		u.mu.Lock()
		u.asked++
		u.atOnce++
		u.most = max(u.most, u.atOnce)
		u.mu.Unlock()
		_, _ = io.ReadAll(s)
		u.mu.Lock()
		u.atOnce--
		u.mu.Unlock()
		_ = s.Close()
	})
	return u
}

// count returns for how many syncs he was asked, and for how many at once at the most.
func (u *unanswered) count() (asked, most int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked, u.most
}

// boardOf returns how many operations and articles a peer has of the board "dev".
func boardOf(t *testing.T, p *Peer) (ops, articles int) {
	t.Helper()
	v, err := p.Node.Synced(boardID(t, p).String())
	if err != nil {
		t.Fatal(err)
	}
	as, err := p.Node.Articles("dev")
	if err != nil {
		t.Fatal(err)
	}
	return v.Have, len(as)
}

func boardID(t *testing.T, p *Peer) keys.Digest {
	t.Helper()
	b, err := p.Node.Board("dev")
	if err != nil {
		t.Fatal(err)
	}
	return b.ID
}

// TestAttackO1: a member pushes what others are said to have written.
func TestAttackO1(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, bob, m := bobAndMallory(t)
		n.Unchecked()
		// The control: an honest op of his comes through to both.
		if _, err := m.e.Add(m.article(m.key, "honest", nil)); err != nil {
			t.Fatal(err)
		}
		honest := slices.Collect(m.e.Log().All(oplog.Content))
		m.push(alice, m.e.ID(), honest[0].Pair())
		n.Until(time.Minute, "the honest article at both", func() bool {
			_, a := boardOf(t, alice)
			_, b := boardOf(t, bob)
			return a == 1 && b == 1
		})
		before, _ := boardOf(t, alice)

		next := func(d *oplog.Draft) { d.Seq, d.Prev = 1, honest[0].ID() }
		asAlice := m.article(m.key, "by alice, I say", func(d *oplog.Draft) { next(d); d.User = alice.User() })
		spoiled := badlySigned(m.article(m.key, "spoiled", next))
		// Alice's device in the envelope, Mallory's signature.
		devices := m.article(m.key, "by alice's device", next).Pair()
		devices.Envelope = bytes.Replace(devices.Envelope, idBytes(m.key.ID()), idBytes(alice.Device().ID()), 1)
		control, err := oplog.Sign(m.key, oplog.Draft{
			Entity: m.e.ID(), User: alice.User(), Strand: oplog.Control, Family: oplog.FamilyPolicy, Type: entity.TypeTitle,
			Parents: m.e.Log().Heads(oplog.Control), At: time.Now(), Body: keys.Marshal(entity.Text{Text: "taken over"}),
		})
		if err != nil {
			t.Fatal(err)
		}
		for what, op := range map[string]oplog.Pair{
			"alice's user": asAlice.Pair(), "a bad signature": spoiled, "alice's device": devices, "a control op of alice": control.Pair(),
		} {
			m.push(alice, m.e.ID(), op)
			if now, articles := boardOf(t, alice); now != before || articles != 1 {
				t.Errorf("%s: alice went from %d to %d operations", what, before, now)
			}
		}
		pass(time.Minute)
		if now, articles := boardOf(t, bob); now != before || articles != 1 {
			t.Errorf("bob has %d operations, want %d", now, before)
		}
		if b, _ := alice.Node.Board("dev"); b.Title != "" {
			t.Errorf("the board is called %q", b.Title)
		}
	})
}

// badlySigned returns an operation whose signature is not good.
func badlySigned(o oplog.Op) oplog.Pair {
	p := o.Pair()
	p.Envelope = bytes.Clone(p.Envelope)
	p.Envelope[len(p.Envelope)-1] ^= 1
	return p
}

func idBytes(id keys.ID) []byte { return id[:] }

// TestAttackO2: what a non-member signed himself, pushed by him and by a member.
func TestAttackO2(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		before, _ := boardOf(t, alice)
		stranger := n.attacker(1, "stranger")
		op := m.article(stranger.key, "by a stranger", func(d *oplog.Draft) { d.User = stranger.user() })
		honest := m.article(m.key, "honest", nil)
		stranger.push(alice, m.e.ID(), op.Pair())
		stranger.push(alice, m.e.ID(), honest.Pair()) // even what is good: he is no member
		m.push(alice, m.e.ID(), op.Pair())
		if now, articles := boardOf(t, alice); now != before || articles != 0 {
			t.Errorf("alice went from %d to %d operations", before, now)
		}
		m.push(alice, m.e.ID(), honest.Pair())
		if _, articles := boardOf(t, alice); articles != 1 {
			t.Error("the honest op of the member did not come through: this proves nothing")
		}
	})
}

// TestAttackO25: an operation of one board, pushed as another's.
func TestAttackO25(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		n.Unchecked()
		other, err := alice.Node.CreateBoard(t.Context(), node.BoardOptions{Name: "other", Policy: "link"})
		if err != nil {
			t.Fatal(err)
		}
		dev := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 5})
		inv, err := alice.Node.Invite(t.Context(), node.InviteOptions{Kind: "board", Board: "other", Auto: true, Uses: 5})
		if err != nil {
			t.Fatal(err)
		}
		a := n.attacker(0, "mallory")
		inDev, inOther := a.join(alice, dev.Link), a.join(alice, inv.Link)
		m := &member{attacker: a, e: inDev.Entity, ring: inDev.Ring}
		if inOther.Entity.ID() != other.ID {
			t.Fatal("joined something else")
		}
		op := m.article(m.key, "of dev", nil)
		m.push(alice, other.ID, op.Pair())
		as, err := alice.Node.Articles("other")
		if _, articles := boardOf(t, alice); err != nil || len(as) != 0 || articles != 0 {
			t.Errorf("an op of dev pushed as other's: %d articles there, %d in dev", len(as), articles)
		}
		m.push(alice, inDev.Entity.ID(), op.Pair())
		if _, articles := boardOf(t, alice); articles != 1 {
			t.Error("the same op where it belongs did not come through")
		}
	})
}

// TestAttackO8: 10,000 operations that build on what nobody has. Nothing is kept of
// them, and for all of them one sync at a time is asked.
func TestAttackO8(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 1000
	}
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		silent := m.leavesUnanswered()
		before, _ := boardOf(t, alice)
		keysBefore := storeKeys(t, alice)

		var frames [][]byte
		var pairs []oplog.Pair
		size := 0
		for range count {
			var parent keys.Digest
			_, _ = rand.Read(parent[:])
			o := m.article(m.key, "in the air", func(d *oplog.Draft) { d.Parents = []keys.Digest{parent} })
			pairs = append(pairs, o.Pair())
			if size += len(o.Envelope()) + o.Size(); size > 900<<10 {
				frames = append(frames, protocol.Frame(uint8(protocol.SyncPush), keys.Marshal(protocol.Push{Entity: m.e.ID(), Ops: pairs})))
				pairs, size = nil, 0
			}
		}
		frames = append(frames, protocol.Frame(uint8(protocol.SyncPush), keys.Marshal(protocol.Push{Entity: m.e.ID(), Ops: pairs})))
		heap := heapNow()
		for _, frames := range [][][]byte{frames, frames[:1], frames[:1]} { // the same ones again are no better
			var all sync.WaitGroup
			for _, f := range frames {
				all.Go(func() {
					w := m.mustOpen(alice, protocol.SyncID)
					_, _ = w.Write(f)
				})
			}
			all.Wait()
			pass(5 * time.Second)
		}
		if now, _ := boardOf(t, alice); now != before {
			t.Errorf("alice went from %d to %d operations", before, now)
		}
		if got := storeKeys(t, alice); got != keysBefore {
			t.Errorf("alice's store went from %d to %d entries", keysBefore, got)
		}
		if grown := int64(heapNow()) - int64(heap); grown > 8<<20 {
			t.Errorf("the heap grew by %d KiB for operations that were not kept", grown>>10)
		}
		asked, most := silent.count()
		if asked == 0 || most > 2 { // one for the pushes, one of the rounds of keeping
			t.Errorf("%d syncs were asked for, %d at once; want one at a time", asked, most)
		}
		t.Logf("%d operations in %d frames: %d syncs asked for", count, len(frames), asked)
	})
}

// TestAttackG10: what is not shared and what does not exist look the same, to a
// stranger and to a member of something else.
func TestAttackG10(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		n.Unchecked()
		secret, err := alice.Node.CreateBoard(t.Context(), node.BoardOptions{Name: "secret"})
		if err != nil {
			t.Fatal(err)
		}
		inv := boardLink(t, alice, node.InviteOptions{Auto: true})
		stranger, m := n.attacker(0, "stranger"), n.member(1, "mallory", alice, inv.Link)
		no := append([]byte{byte(protocol.SyncNo)}, keys.Marshal(protocol.No{})...)
		// A device that shares nothing is not listened to at all.
		wants := map[*attacker][]byte{stranger: nil, m.attacker: no}
		for _, c := range []struct {
			who  *attacker
			what string
			eid  keys.Digest
		}{
			{stranger, "a board", m.e.ID()},
			{stranger, "another board", secret.ID},
			{stranger, "alice's identity", alice.User()},
			{stranger, "nothing", keys.Digest{1}},
			{m.attacker, "another board", secret.ID},
			{m.attacker, "alice's identity", alice.User()},
			{m.attacker, "nothing", keys.Digest{1}},
			{m.attacker, "nothing at all", keys.Digest{}},
		} {
			if got := c.who.hello(alice, c.eid); !bytes.Equal(got, wants[c.who]) {
				t.Errorf("%s asks for %s: %x, want %x", c.who.name, c.what, got, wants[c.who])
			}
		}
		if got := m.hello(alice, m.e.ID()); len(got) == 0 || got[0] == byte(protocol.SyncNo) {
			t.Error("a member is refused his own board: this proves nothing")
		}
		// init-friend-info: the same for a friendship of others and for none.
		var answers [][]byte
		for _, id := range []keys.Digest{{1}, m.e.ID(), secret.ID, alice.User()} {
			w := stranger.mustOpen(alice, protocol.InfoID)
			body := protocol.InfoBody{In: id, Step: protocol.InitFriendInfo, Approvals: []protocol.InfoApproval{}, Ops: [][]byte{}}
			f := protocol.SignInfo(stranger.key, alice.Device().ID(), body)
			if _, err := w.Write(protocol.Frame(uint8(protocol.InitFriendInfo), keys.Marshal(f))); err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(w.r)
			answers = append(answers, b)
		}
		for _, b := range answers {
			if !bytes.Equal(b, answers[0]) || len(b) > 0 && !bytes.Equal(b, protocol.Encode(protocol.No{})) {
				t.Errorf("init-friend-info of a stranger: %x and %x, want the same for all", b, answers[0])
			}
		}
	})
}

// TestAttackSyncFrames: a member who does not keep to the order of a sync, or who
// goes on for ever.
func TestAttackSyncFrames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		before := storeKeys(t, alice)
		begin := func() *wire {
			w := m.mustOpen(alice, protocol.SyncID)
			if _, err := w.Write(protocol.Frame(uint8(protocol.SyncHello), keys.Marshal(protocol.Hello{Entity: m.e.ID(), Hash: keys.Digest{1}}))); err != nil {
				t.Fatal(err)
			}
			if typ, _, err := w.frame(); err != nil || typ != uint8(protocol.SyncVector) {
				t.Fatalf("%d, %v", typ, err)
			}
			return w
		}
		ops, more := protocol.Ops{Ops: []oplog.Pair{}}, protocol.Ops{Ops: []oplog.Pair{}, More: true}
		for what, frame := range map[string][]byte{
			"hello again":        protocol.Frame(uint8(protocol.SyncHello), keys.Marshal(protocol.Hello{Entity: m.e.ID()})),
			"a vector too early": protocol.Frame(uint8(protocol.SyncVector), keys.Marshal(protocol.VectorFrame{Heads: oplog.Vector{}})),
			"a push inside":      protocol.Frame(uint8(protocol.SyncPush), keys.Marshal(protocol.Push{Entity: m.e.ID(), Ops: []oplog.Pair{}})),
			"an unknown frame":   protocol.Frame(99, []byte{0xa0}),
			"ranges inside":      protocol.Frame(uint8(protocol.SyncRanges), []byte{0xa0}),
			"ops for the vector": append(protocol.Frame(uint8(protocol.SyncOps), keys.Marshal(ops)), protocol.Frame(uint8(protocol.SyncOps), keys.Marshal(ops))...),
		} {
			begin().refusedAtOnce(t, what, frame)
		}
		// Frames without end: the sync has its time, and no more.
		w := begin()
		start := time.Now()
		for {
			if _, err := w.Write(protocol.Frame(uint8(protocol.SyncOps), keys.Marshal(more))); err != nil {
				break
			}
			if time.Since(start) > 2*time.Minute {
				t.Fatal("a sync without end is still listened to")
			}
			pass(time.Second)
		}
		if took := time.Since(start); took > 65*time.Second {
			t.Errorf("a sync without end was listened to for %v, want 60s", took)
		}
		// A vector that names places nobody has.
		w = begin()
		v := oplog.Vector{}
		for i := range 1000 {
			v = append(v, oplog.Head{Device: keys.ID{1, byte(i), byte(i >> 8)}, Strand: oplog.Content, Seq: 1 << 62, ID: keys.Digest{2}})
		}
		slices.SortFunc(v, func(a, b oplog.Head) int { return bytes.Compare(a.Device[:], b.Device[:]) })
		_, err := w.Write(append(protocol.Frame(uint8(protocol.SyncOps), keys.Marshal(ops)),
			protocol.Frame(uint8(protocol.SyncVector), keys.Marshal(protocol.VectorFrame{Heads: v}))...))
		if err != nil {
			t.Fatal(err)
		}
		if typ, _, err := w.frame(); err != nil || typ != uint8(protocol.SyncOps) {
			t.Errorf("a hostile vector: %d, %v; want the ops he lacks", typ, err)
		}
		unharmed(t, alice, before)
	})
}

// TestAttackLeaver: who left gets nothing more and brings nothing more.
func TestAttackLeaver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		late := m.article(m.key, "written before, shown after", nil)
		m.leaves(alice)
		ms, err := alice.Node.Members("dev")
		if err != nil || len(ms) != 2 || ms[1].State == "active" {
			t.Fatalf("%+v, %v", ms, err)
		}
		before, _ := boardOf(t, alice)
		if got := m.hello(alice, m.e.ID()); len(got) > 0 && got[0] != byte(protocol.SyncNo) {
			t.Errorf("who left asks for the board and gets frame %d", got[0])
		}
		m.push(alice, m.e.ID(), late.Pair())
		if now, articles := boardOf(t, alice); now != before || articles != 0 {
			t.Errorf("who left wrote: %d operations, want %d", now, before)
		}
		pushed := make(chan error, 8)
		m.host.SetStreamHandler(protocol.SyncID, func(s network.Stream) {
			pushed <- fmt.Errorf("%s to who left", s.Protocol())
			_ = s.Reset()
		})
		if _, err := alice.Node.NewArticle(t.Context(), "dev", "", "not for him", "text"); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Minute)
		select {
		case err := <-pushed:
			t.Error(err)
		default:
		}
	})
}
