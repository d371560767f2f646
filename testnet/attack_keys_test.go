package testnet

import (
	"bufio"
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/node"
	"pttnode/oplog"
	"pttnode/protocol"
)

// askKeys asks a peer for keys and returns the frame that comes, nil when the stream
// is reset.
func (a *attacker) askKeys(to *Peer, eid keys.Digest, epochs ...keys.Digest) []byte {
	a.t.Helper()
	ask := protocol.AskKeys{Entity: eid, Epochs: epochs}
	return a.askOver(protocol.KeysID, to, protocol.Frame(uint8(protocol.KeysAsk), keys.Marshal(ask)))
}

// boxes returns how many keys an answer has.
func boxes(t *testing.T, answer []byte) int {
	t.Helper()
	if len(answer) == 0 || answer[0] != byte(protocol.KeysBoxes) {
		return -1
	}
	b, err := protocol.DecodeKeyBoxes(answer[1:])
	if err != nil {
		t.Fatal(err)
	}
	return len(b.Boxes)
}

// epochOf returns the epoch that a peer writes in on the board "dev".
func epochOf(t *testing.T, p *Peer) keys.Digest {
	t.Helper()
	s, err := p.stored(false)
	if err != nil {
		t.Fatal(err)
	}
	e, ok := s.entities[boardID(t, p)].State().WritingEpoch(func(keys.Digest) bool { return true })
	if !ok {
		t.Fatal("no epoch to write in")
	}
	return e.ID
}

// TestAttackKeysAsked: who was removed, who never was a member and who asks for what
// is not here get no key, and one answer; a newcomer gets none from before his time.
func TestAttackKeysAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		n.Unchecked()
		link := func(history string) string {
			return boardLink(t, alice, node.InviteOptions{Auto: true, History: history}).Link
		}
		first := epochOf(t, alice)
		m, bob, late := n.member(0, "mallory", alice, link("")), n.member(1, "bob", alice, link("")), n.member(2, "late", alice, link("from-join"))
		stranger := n.attacker(3, "stranger")
		eid := m.e.ID()
		if got := boxes(t, m.askKeys(alice, eid, first)); got != 1 {
			t.Fatalf("a member asks for his board's key: %d boxes, want 1", got)
		}
		if got := boxes(t, late.askKeys(alice, eid, first)); got != 0 {
			t.Errorf("a newcomer asks for a key from before his time: %d boxes, want none", got)
		}
		if _, err := alice.Node.RemoveMember(t.Context(), "dev", m.user().String()); err != nil {
			t.Fatal(err)
		}
		now := epochOf(t, alice)
		for _, member := range []*member{bob, late} {
			if got := boxes(t, member.askKeys(alice, eid, now)); got != 1 {
				t.Errorf("%s asks for the new key: %d boxes, want 1", member.name, got)
			}
		}
		// Mallory is a stranger now, but for another board: then he is told no.
		for _, epoch := range []keys.Digest{first, now} {
			if got := m.askKeys(alice, eid, epoch); got != nil {
				t.Errorf("who was removed asks and gets %x", got)
			}
			if got := stranger.askKeys(alice, eid, epoch); got != nil {
				t.Errorf("a stranger asks and gets %x", got)
			}
		}
		m.joinOther(alice)
		no := append([]byte{byte(protocol.KeysNo)}, keys.Marshal(protocol.No{})...)
		for what, id := range map[string]keys.Digest{"the board he was removed from": eid, "alice's identity": alice.User(), "nothing": {1}} {
			for _, epoch := range []keys.Digest{first, now} {
				if got := m.askKeys(alice, id, epoch); !bytes.Equal(got, no) {
					t.Errorf("who was removed asks for %s: %x, want %x", what, got, no)
				}
			}
		}
	})
}

// TestAttackKeysRate: a member cannot have a node seal keys without end.
func TestAttackKeysRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		epoch, answered := epochOf(t, alice), 0
		for range 300 {
			if boxes(t, m.askKeys(alice, m.e.ID(), epoch)) == 1 {
				answered++
			}
		}
		if answered == 0 || answered > 250 {
			t.Errorf("%d of 300 answered, want a budget of about 120 a minute", answered)
		}
		pass(2 * time.Minute)
		if got := boxes(t, m.askKeys(alice, m.e.ID(), epoch)); got != 1 {
			t.Errorf("after the minute: %d boxes, want 1", got)
		}
	})
}

// TestAttackRemovedRate: who was removed cannot have a node go through a log for him
// without end, and is told that he is out all the same.
func TestAttackRemovedRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		n.Unchecked()
		m := n.member(0, "mallory", alice, boardLink(t, alice, node.InviteOptions{Auto: true}).Link)
		if _, err := alice.Node.RemoveMember(t.Context(), "dev", m.user().String()); err != nil {
			t.Fatal(err)
		}
		told := func() bool {
			got := m.hello(alice, m.e.ID())
			return len(got) > 0 && got[0] == byte(protocol.SyncVector)
		}
		answered := 0
		for range 200 {
			if told() {
				answered++
			}
		}
		if answered == 0 || answered > 130 {
			t.Errorf("%d of 200 answered, want a budget of about 60 a minute", answered)
		}
		pass(2 * time.Minute)
		if !told() {
			t.Error("after the minute he is not told that he is out")
		}
	})
}

// TestAttackKeysAnswered: an owner who begins an epoch and answers with another key, one
// that was not asked for, or what does not open, gives nothing; nobody writes with it,
// and the true key is taken when it comes.
func TestAttackKeysAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, bob, m := bobAndMallory(t)
		n.Unchecked()
		if _, err := alice.Node.SetRole(t.Context(), "dev", m.user().String(), "owner"); err != nil {
			t.Fatal(err)
		}
		n.Until(time.Minute, "mallory an owner at bob", func() bool { return role(bob, "dev", "mallory") == "owner active" })
		alice.Crash() // mallory is the only one bob can ask
		m.e = entityOf(t, m, bob)
		op, key, err := m.e.Rotate(m.author())
		if err != nil {
			t.Fatal(err)
		}
		eid, commitment := m.e.ID(), key.Commitment(m.e.ID())
		self, _ := m.e.State().Member(bob.User())
		to := self.Party.Box
		seal := func(plain []byte) []byte {
			box, err := to.Seal(keys.Hash(keys.LabelBoxes, eid[:], commitment[:], to[:]), plain)
			if err != nil {
				t.Error(err)
			}
			return box
		}
		truth, lie := key.Secret(), keys.NewOpKey().Secret()
		answers := []protocol.KeyBox{
			{Epoch: op.ID(), Box: seal(lie[:])},
			{Epoch: keys.Digest{7}, Box: seal(truth[:])},
			{Epoch: op.ID(), Box: make([]byte, 80)},
			{Epoch: op.ID(), Box: seal(truth[:])},
		}
		asked := 0
		m.host.SetStreamHandler(protocol.KeysID, func(s network.Stream) {
			w := &wire{s, bufio.NewReader(s)}
			_, payload, err := w.frame()
			if err != nil {
				return
			}
			if ask, err := protocol.DecodeAskKeys(payload); err != nil || !slices.Equal(ask.Epochs, []keys.Digest{op.ID()}) {
				t.Errorf("bob asks for %v, %v, want the new epoch", ask.Epochs, err)
			}
			if asked == len(answers)-1 && keysHeld(t, bob, eid) != 1 {
				t.Error("bob took what is not the key")
			}
			b := protocol.KeyBoxes{Boxes: []protocol.KeyBox{answers[min(asked, len(answers)-1)]}}
			_, _ = s.Write(protocol.Frame(uint8(protocol.KeysBoxes), keys.Marshal(b)))
			_ = s.Close()
			asked++
		})
		m.push(bob, eid, op.Pair())
		write(t, bob, "dev", "in the old epoch, which is as good") // nobody is gone
		n.Until(5*time.Minute, "the true key", func() bool { return keysHeld(t, bob, eid) == 2 })
		if asked != len(answers) {
			t.Errorf("bob asked %d times, want %d", asked, len(answers))
		}
	})
}

// TestAttackRemovedSync: who was removed is told of it by sync and of nothing after it,
// brings no content, and brings what he did beside it.
func TestAttackRemovedSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		if _, err := alice.Node.SetRole(t.Context(), "dev", m.user().String(), "owner"); err != nil {
			t.Fatal(err)
		}
		m.e = entityOf(t, m, alice)
		late := m.article(m.key, "written before, shown after", nil)
		if _, err := alice.Node.RemoveMember(t.Context(), "dev", m.user().String()); err != nil {
			t.Fatal(err)
		}
		beside, err := m.e.Control(m.author(), oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "his"})
		if err != nil {
			t.Fatal(err)
		}
		write(t, alice, "dev", "after")
		if _, err := alice.Node.RotateBoard(t.Context(), "dev"); err != nil {
			t.Fatal(err)
		}
		w := m.mustOpen(alice, protocol.SyncID)
		send := func(typ protocol.SyncType, v any) {
			if _, err := w.Write(protocol.Frame(uint8(typ), keys.Marshal(v))); err != nil {
				t.Fatal(err)
			}
		}
		send(protocol.SyncHello, protocol.Hello{Entity: m.e.ID()})
		if typ, _, err := w.frame(); err != nil || typ != uint8(protocol.SyncVector) {
			t.Fatalf("a hello of who was removed: frame %d, %v, want a vector", typ, err)
		}
		send(protocol.SyncOps, protocol.Ops{Ops: []oplog.Pair{beside.Pair(), late.Pair()}})
		send(protocol.SyncVector, protocol.VectorFrame{Heads: m.e.Log().Vector()})
		_, payload, err := w.frame()
		if err != nil {
			t.Fatal(err)
		}
		var got protocol.Ops
		if err := protocol.DecodeSync(payload, &got); err != nil || got.More || len(got.Ops) != 1 {
			t.Fatalf("who was removed gets %d operations, %v, want his removal", len(got.Ops), err)
		}
		if o, err := oplog.Parse(got.Ops[0].Envelope); err != nil || o.Type() != entity.TypeRemove || o.Family() != oplog.FamilyMember {
			t.Errorf("who was removed gets %d/%d, %v, want his removal", o.Family(), o.Type(), err)
		}
		e := entityOf(t, m, alice)
		if _, ok := e.Log().Get(late.ID()); ok {
			t.Error("content of who was removed was taken")
		}
		if _, ok := e.Log().Get(beside.ID()); !ok || e.Counts(beside) || e.State().Title == "his" {
			t.Errorf("what he did beside his removal: here %v, title %q", ok, e.State().Title)
		}
	})
}
