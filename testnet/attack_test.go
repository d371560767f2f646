package testnet

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/node"
	"pttnode/protocol"
)

// Each test is one attack on running nodes over their streams, named by its id in
// docs/SECURITY.md. What one machine or one log decides alone is attacked beside
// its code.

// attacker is an identity with a host of its own, no node: its test speaks the
// protocols by hand.
type attacker struct {
	t    *testing.T
	name string
	key  keys.Private
	me   *entity.Entity
	host host.Host
}

// attacker returns one more attacker; index tells hosts apart.
func (n *Net) attacker(index int, name string) *attacker {
	n.t.Helper()
	return n.attackerWith(index, name, keys.New())
}

// attackerWith is attacker with a device key that it may have stolen.
func (n *Net) attackerWith(index int, name string, key keys.Private) *attacker {
	n.t.Helper()
	return n.attackerAt(name, key, func(device keys.Private) host.Host { return n.NewHost(index, device) })
}

// attackerAt is attackerWith on any host.
func (n *Net) attackerAt(name string, key keys.Private, newHost func(keys.Private) host.Host) *attacker {
	n.t.Helper()
	c, err := entity.CreateMe(entity.Author{Key: key, Now: time.Now()}, keys.New().ID(), entity.Desktop, keys.NewBox().ID())
	if err != nil {
		n.t.Fatal(err)
	}
	return &attacker{t: n.t, name: name, key: key, me: c.Entity, host: newHost(key)}
}

func (a *attacker) user() keys.Digest { return a.me.ID() }

// wire is one stream in the hands of an attacker.
type wire struct {
	network.Stream
	r *bufio.Reader
}

// open opens a stream to a peer.
func (a *attacker) open(to *Peer, id libprotocol.ID) (*wire, error) {
	a.host.Peerstore().AddAddrs(to.Host.ID(), to.Host.Addrs(), peerstore.PermanentAddrTTL)
	s, err := a.host.NewStream(a.t.Context(), to.Host.ID(), id)
	if err != nil {
		return nil, err
	}
	return &wire{s, bufio.NewReader(s)}, nil
}

// mustOpen is open where nothing stands against it.
func (a *attacker) mustOpen(to *Peer, id libprotocol.ID) *wire {
	a.t.Helper()
	w, err := a.open(to, id)
	if err != nil {
		a.t.Fatalf("%s opens %s: %v", a.name, id, err)
	}
	return w
}

// frame reads one frame: the type and the whole of its bytes.
func (w *wire) frame() (typ uint8, payload []byte, err error) {
	size, err := binary.ReadUvarint(w.r)
	if err != nil {
		return 0, nil, err
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(w.r, b); err != nil {
		return 0, nil, err
	}
	if size == 0 {
		return 0, nil, protocol.ErrFrame
	}
	return b[0], b[1:], nil
}

// message reads one frame of a join.
func (w *wire) message() (protocol.Message, error) {
	typ, payload, err := w.frame()
	if err != nil {
		return nil, err
	}
	return protocol.Decode(append([]byte{typ}, payload...))
}

// refused fails the test unless the other side ends the stream without another
// byte, and returns after how much virtual time it did.
func (w *wire) refused(t *testing.T, what string) time.Duration {
	t.Helper()
	start := time.Now()
	if b, err := io.ReadAll(w.r); len(b) > 0 {
		t.Errorf("%s: answered with %x, then %v; want the stream to end without a word", what, b, err)
	}
	return time.Since(start)
}

// refusedAtOnce writes a frame and fails the test unless the other side ends the stream
// without another byte, within a second.
func (w *wire) refusedAtOnce(t *testing.T, what string, frame []byte) {
	t.Helper()
	if _, err := w.Write(frame); err != nil {
		t.Fatal(err)
	}
	if took := w.refused(t, what); took > time.Second {
		t.Errorf("%s: listened to for %v", what, took)
	}
}

// played is what happened in a run that an attacker played with an honest
// requester's machine.
type played struct {
	got     []protocol.Message // of M
	sent    []protocol.Message // before they were changed
	attempt invite.Attempt
	joined  *protocol.Joined
	err     error // how the stream ended before the machine was done
}

// Format says in short what happened: whole messages fill a screen.
func (p played) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "sent %d frames, got %d, %v %v, joined %v, err %v",
		len(p.sent), len(p.got), p.attempt.State, p.attempt.Reason, p.joined != nil, p.err)
}

// play opens a link over w. change may replace the bytes of a frame before it goes
// out. A run that is told to wait for a person ends there.
func (a *attacker) play(w *wire, link string, change func(protocol.Message) []byte) (p played) {
	a.t.Helper()
	l, err := invite.Parse(link)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.playLink(w, l, change)
}

func (a *attacker) playLink(w *wire, l invite.Link, change func(protocol.Message) []byte) (p played) {
	a.t.Helper()
	j, err := protocol.NewJoiner(protocol.Joining{
		Attempt: invite.NewAttempt("r-1", l, "", time.Now()), Device: a.key, Me: a.me, Name: a.name,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	for ev := protocol.Event(protocol.Start{}); ; {
		eff, err := j.Step(time.Now(), ev)
		p.attempt = j.Attempt()
		switch {
		case err != nil:
			p.err = err
			return p
		case eff.Commit != nil:
			if eff.Commit.Joined != nil {
				p.joined = eff.Commit.Joined
			}
			ev = protocol.Committed{}
			continue
		}
		for _, m := range eff.Send {
			p.sent = append(p.sent, m)
			b := protocol.Encode(m)
			if change != nil {
				b = change(m)
			}
			if _, err := w.Write(b); err != nil {
				p.err = err
				return p
			}
		}
		if eff.Done != nil || p.attempt.State == invite.AttemptWaitingApproval {
			return p
		}
		m, err := w.message()
		if err != nil {
			p.err = err
			return p
		}
		p.got = append(p.got, m)
		ev = m
	}
}

// join opens a link by a whole honest run and returns what was joined.
func (a *attacker) join(to *Peer, link string) *protocol.Joined {
	a.t.Helper()
	p := a.play(a.mustOpen(to, protocol.ID), link, nil)
	if p.err != nil || p.joined == nil {
		a.t.Fatalf("%s joins: %v", a.name, p)
	}
	return p.joined
}

// withWrongProof spoils the proof that one knows the link's secret, and nothing
// else.
func withWrongProof(m protocol.Message) []byte {
	if r, ok := m.(protocol.JoinEntity); ok {
		r.Invite[7] ^= 1
		m = r
	}
	return protocol.Encode(m)
}

// aliceAndBoard returns a network with Alice and her board "dev".
func aliceAndBoard(t *testing.T) (*Net, *Peer) {
	t.Helper()
	n := New(t, 100*time.Millisecond)
	alice := n.Add("alice")
	if _, err := alice.Node.CreateBoard(t.Context(), node.BoardOptions{Name: "dev", Policy: "link"}); err != nil {
		t.Fatal(err)
	}
	return n, alice
}

// bobAndCarol is aliceAndBoard with bob and carol as members.
func bobAndCarol(t *testing.T) (n *Net, alice, bob, carol *Peer) {
	t.Helper()
	n, alice = aliceAndBoard(t)
	inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 2})
	bob, carol = n.Add("bob"), n.Add("carol")
	n.opens(bob, inv.Link, "done")
	n.opens(carol, inv.Link, "done")
	return n, alice, bob, carol
}

// boardLink makes a link to Alice's board.
func boardLink(t *testing.T, p *Peer, o node.InviteOptions) node.InviteView {
	t.Helper()
	o.Kind, o.Board = "board", "dev"
	v, err := p.Node.Invite(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// opens has an honest node open a link and waits for a state.
func (n *Net) opens(p *Peer, link, state string) node.RequestView {
	n.t.Helper()
	r, err := p.Node.Join(n.t.Context(), link, "")
	if err != nil {
		n.t.Fatal(err)
	}
	return n.reaches(p, r.ID, state)
}

// reaches waits until a request is in a state: who was away is tried again after ten minutes,
// a fifth more or less, at the latest.
func (n *Net) reaches(p *Peer, id, state string) (r node.RequestView) {
	n.t.Helper()
	var err error
	n.Until(13*time.Minute, p.Name+"'s request "+state, func() bool {
		r, err = p.Node.Request(id)
		return err == nil && r.State == state
	})
	return r
}

// storeKeys counts the entries of a peer's store.
func storeKeys(t *testing.T, p *Peer) int {
	t.Helper()
	count := 0
	if err := p.each("/", func(string, []byte) error { count++; return nil }); err != nil {
		t.Fatal(err)
	}
	return count
}

// unharmed fails the test unless a peer's store has as many entries as before an attack,
// and he writes on.
func unharmed(t *testing.T, p *Peer, before int) {
	t.Helper()
	if got := storeKeys(t, p); got != before {
		t.Errorf("%s's store went from %d to %d entries", p.Name, before, got)
	}
	if _, err := p.Node.NewArticle(t.Context(), "dev", "", "after it", "all"); err != nil {
		t.Error(err)
	}
}

// joinStreams counts the incoming streams of a protocol at a peer.
func joinStreams(p *Peer, id libprotocol.ID) int {
	count := 0
	for _, c := range p.Host.Network().Conns() {
		for _, s := range c.GetStreams() {
			if s.Protocol() == id && s.Stat().Direction == network.DirInbound {
				count++
			}
		}
	}
	return count
}

// TestAttackH1: a flood of JOINs with unknown iids. Each gets the same three
// bytes, nothing is kept of any, and an honest join beside them ends.
func TestAttackH1(t *testing.T) {
	t.Parallel()
	each := 850
	if testing.Short() {
		each = 40
	}
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		bob := n.Add("bob")
		inv := boardLink(t, alice, node.InviteOptions{Auto: true})
		before := storeKeys(t, alice)

		const attackers, lanes = 8, 3
		var flood sync.WaitGroup
		var mu sync.Mutex
		answers, refusals := make(map[string]int), 0
		for i := range attackers {
			a := n.attacker(i, "mallory")
			for range lanes {
				flood.Go(func() {
					for k := range each {
						w, err := a.open(alice, protocol.ID)
						if err != nil { // sent away as a stranger that had nothing to say just then
							mu.Lock()
							refusals++
							mu.Unlock()
							continue
						}
						m := protocol.Join{
							Versions: []uint16{protocol.Version1}, Suites: []uint16{protocol.Suite1},
							IID: [16]byte{byte(i), byte(k), byte(k >> 8)}, Challenge: [32]byte{1}, Commitment: keys.Digest{2},
						}
						_, err = w.Write(protocol.Encode(m))
						b, _ := io.ReadAll(w.r)
						mu.Lock()
						if err != nil || len(b) == 0 {
							refusals++ // by the limits of the host
						} else {
							answers[string(b)]++
						}
						mu.Unlock()
						_ = w.Close()
					}
				})
			}
		}
		start := time.Now()
		r := n.opens(bob, inv.Link, "done")
		took := time.Since(start)
		flood.Wait()
		if took > 5*time.Second {
			t.Errorf("the honest join took %v of virtual time beside the flood", took)
		}
		no := string(protocol.Encode(protocol.No{}))
		if len(answers) != 1 || answers[no] < attackers*lanes*each/2 {
			t.Errorf("answers %v and %d refusals; want only NO, %x", answers, refusals, no)
		}
		t.Logf("%d times NO, %d refused; bob %s after %v", answers[no], refusals, r.State, took)
		if got := len(alice.Node.Requests()); got != 1 {
			t.Errorf("alice has %d requests, want bob's", got)
		}
		// What bob's join added, and nothing for the flood.
		if got := storeKeys(t, alice); got > before+20 {
			t.Errorf("the store grew from %d to %d entries", before, got)
		}
	})
}

// TestAttackH13: a length far beyond what follows. No memory is taken for it and
// the stream is reset. See also the test of this name in node.
func TestAttackH13(t *testing.T) {
	t.Parallel()
	lengths := map[string][]byte{
		"2^31":                      binary.AppendUvarint(nil, 1<<31),
		"2^63":                      binary.AppendUvarint(nil, 1<<63),
		"overlong uvarint":          {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"zero":                      {0},
		"above the largest frame":   binary.AppendUvarint(nil, protocol.MaxApprove+1),
		"above the limit of JOIN":   binary.AppendUvarint(nil, protocol.MaxJoin+1),
		"a frame of APPROVE's size": binary.AppendUvarint(nil, protocol.MaxApprove),
	}
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		a := n.attacker(0, "mallory")
		for name, length := range lengths {
			w := a.mustOpen(alice, protocol.ID)
			if _, err := w.Write(append(length, byte(protocol.TypeJoin))); err != nil {
				t.Fatal(err)
			}
			if took := w.refused(t, name); took > time.Second {
				t.Errorf("%s: refused after %v, want at once", name, took)
			}
		}
		for _, id := range []libprotocol.ID{protocol.SyncID, protocol.InfoID} {
			w := a.mustOpen(alice, id)
			if _, err := w.Write(append(binary.AppendUvarint(nil, 1<<31), 1)); err != nil {
				t.Fatal(err)
			}
			if took := w.refused(t, string(id)); took > time.Second {
				t.Errorf("%s: refused after %v, want at once", id, took)
			}
		}
		// Behind ACK-CHALLENGE the machine's own reader reads.
		inv := boardLink(t, alice, node.InviteOptions{})
		w := a.mustOpen(alice, protocol.ID)
		p := a.play(w, inv.Link, func(m protocol.Message) []byte {
			if _, ok := m.(protocol.JoinEntity); ok {
				return append(binary.AppendUvarint(nil, 1<<31), byte(protocol.TypeJoinEntity))
			}
			return protocol.Encode(m)
		})
		if p.err == nil || len(p.got) != 1 {
			t.Errorf("a JOIN-ENTITY of 2^31 bytes: %v", p)
		}
		if got := len(alice.Node.Requests()); got != 0 {
			t.Errorf("alice has %d requests", got)
		}
	})
}

// TestAttackH14: one byte every nine seconds. The deadline is the frame's and not
// the byte's.
func TestAttackH14(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		a := n.attacker(0, "mallory")
		inv := boardLink(t, alice, node.InviteOptions{})
		drip := func(w *wire, b []byte) time.Duration {
			start := time.Now()
			over := make(chan struct{})
			go func() {
				defer close(over)
				_, _ = io.ReadAll(w.r)
			}()
			for _, c := range b {
				if _, err := w.Write([]byte{c}); err != nil {
					break
				}
				select {
				case <-over:
					return time.Since(start)
				case <-time.After(9 * time.Second):
				}
			}
			<-over
			return time.Since(start)
		}
		for id, most := range map[libprotocol.ID]time.Duration{
			protocol.ID: protocol.FrameTime, protocol.InfoID: protocol.FrameTime, protocol.SyncID: time.Minute,
		} {
			if took := drip(a.mustOpen(alice, id), protocol.Frame(1, make([]byte, 200))); took > most+time.Second {
				t.Errorf("%s: one byte per 9 s was listened to for %v, want %v", id, took, most)
			}
		}
		w := a.mustOpen(alice, protocol.ID)
		var request []byte
		var took time.Duration
		p := a.play(w, inv.Link, func(m protocol.Message) []byte {
			if _, ok := m.(protocol.JoinEntity); !ok {
				return protocol.Encode(m)
			}
			request = protocol.Encode(m)
			took = drip(w, request)
			return []byte{0}
		})
		if took < 9*time.Second || took > protocol.FrameTime+time.Second {
			t.Errorf("JOIN-ENTITY: one byte per 9 s was listened to for %v, want %v", took, protocol.FrameTime)
		}
		if p.joined != nil || len(alice.Node.Requests()) != 0 || len(request) == 0 {
			t.Errorf("the slow JOIN-ENTITY came through: %v", p)
		}
		// It counts as a failed run of the peer; the honest one is not touched.
		bob := n.Add("bob")
		n.opens(bob, inv.Link, "waiting_approval")
	})
}

// TestAttackH15: many streams that say nothing. Each peer may hold four, each for
// ten seconds, and an honest join still ends.
func TestAttackH15(t *testing.T) {
	t.Parallel()
	attackers := 90 // enough to hold all join streams of the host
	if testing.Short() {
		attackers = 10
	}
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		bob := n.Add("bob")
		inv := boardLink(t, alice, node.InviteOptions{Auto: true})
		const perPeer = 8
		var silent sync.WaitGroup
		for i := range attackers {
			a := n.attacker(i, "mallory")
			silent.Go(func() {
				for range perPeer {
					w, err := a.open(alice, protocol.ID)
					if err != nil {
						return // a limit of connections
					}
					_, _ = w.Write([]byte{10}) // the negotiation goes out with the first byte
				}
			})
		}
		silent.Wait()
		pass(time.Second)
		held := joinStreams(alice, protocol.ID)
		if held == 0 || held > 4*attackers || held > 356 {
			t.Errorf("%d streams are held by %d peers; want some, and 4 for each at most", held, attackers)
		}
		start := time.Now()
		n.opens(bob, inv.Link, "done")
		took := time.Since(start)
		if took > 30*time.Second {
			t.Errorf("the honest join took %v", took)
		}
		pass(protocol.FrameTime + time.Second)
		if left := joinStreams(alice, protocol.ID); left > 1 {
			t.Errorf("%d silent streams are left after the time of a frame", left)
		}
		t.Logf("%d silent streams of %d peers; the honest join ended after %v", held, attackers, took)
	})
}

// TestAttackH16: without the secret, over real streams: five tries a minute for a
// peer, ten for the link, whoever makes them.
func TestAttackH16(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		inv, other := boardLink(t, alice, node.InviteOptions{}), boardLink(t, alice, node.InviteOptions{Auto: true})
		try := func(a *attacker) played { return a.play(a.mustOpen(alice, protocol.ID), inv.Link, withWrongProof) }
		state := func() string {
			v, err := alice.Node.InviteByID(inv.ID)
			if err != nil {
				t.Fatal(err)
			}
			return v.State
		}
		a, b, c := n.attacker(0, "mallory"), n.attacker(1, "marvin"), n.attacker(2, "moe")
		for i := range 5 {
			if p := try(a); len(p.got) != 1 || p.err == nil {
				t.Fatalf("try %d: %v; want ACK-CHALLENGE and no answer to the wrong proof", i+1, p)
			}
		}
		if p := try(a); len(p.got) != 0 {
			t.Errorf("the sixth try within a minute was answered: %d frames", len(p.got))
		}
		if p := a.play(a.mustOpen(alice, protocol.ID), other.Link, nil); len(p.got) != 0 {
			t.Error("the limit is the peer's, and not the link's")
		}
		pass(time.Minute)
		if p := try(a); len(p.got) != 1 {
			t.Errorf("after a minute: %v, want another try", p)
		}
		for _, x := range []*attacker{b, b, c} {
			if p := try(x); len(p.got) != 1 {
				t.Fatalf("%s: %v", x.name, p)
			}
		}
		if got := state(); got != "open" {
			t.Fatalf("after nine failures the link is %s", got)
		}
		try(c)
		if got := state(); got != "locked" {
			t.Fatalf("after ten failures the link is %s, want locked", got)
		}
		events, _ := alice.Node.Events(0, 0)
		told := false
		for _, e := range events {
			told = told || e.Type == "invite.locked"
		}
		if !told {
			t.Error("nobody was told that the link is locked")
		}
		bob := n.Add("bob")
		if r := n.opens(bob, inv.Link, "rejected"); r.Reason != "invite_locked" {
			t.Errorf("who knows the secret of the locked link: %+v", r)
		}
		n.opens(bob, other.Link, "done")
		if got := len(alice.Node.Requests()); got != 1 {
			t.Errorf("alice was asked %d times, want bob's one request", got)
		}
	})
}

// TestAttackOutOfPlace: frames that do not belong where they come.
func TestAttackOutOfPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		n.Unchecked()
		inv := boardLink(t, alice, node.InviteOptions{Uses: 20, Auto: true})
		before := storeKeys(t, alice)
		a := n.attacker(0, "mallory")
		for _, id := range []libprotocol.ID{protocol.ID, protocol.SyncID, protocol.InfoID} {
			for typ := range uint8(9) {
				first := map[libprotocol.ID][]uint8{protocol.ID: {1}, protocol.SyncID: {1, 6}, protocol.InfoID: {1}}
				w := a.mustOpen(alice, id)
				if _, err := w.Write(protocol.Frame(typ, []byte{0xa0})); err != nil {
					t.Fatal(err)
				}
				took := w.refused(t, string(id))
				if took > time.Second {
					t.Errorf("%s: a frame %d first was listened to for %v (those that may come first are %v)", id, typ, took, first[id])
				}
			}
		}
		if got := storeKeys(t, alice); got != before {
			t.Errorf("the store went from %d to %d entries", before, got)
		}
		// A second JOIN, M's own frames, and a decision, after ACK-CHALLENGE.
		for i, m := range []protocol.Message{protocol.Join{}, protocol.AckChallenge{}, protocol.ApproveJoin{Status: protocol.Approved}, protocol.No{}} {
			a := n.attacker(10+i, "mallory")
			w := a.mustOpen(alice, protocol.ID)
			p := a.play(w, inv.Link, func(own protocol.Message) []byte {
				if _, ok := own.(protocol.JoinEntity); ok {
					return protocol.Encode(m)
				}
				return protocol.Encode(own)
			})
			if p.err == nil || len(p.got) != 1 {
				t.Errorf("%T in place of JOIN-ENTITY: %v", m, p)
			}
		}
		// A second JOIN-ENTITY while a person is waited for ends the run and not the claim.
		byHand := boardLink(t, alice, node.InviteOptions{})
		w := a.mustOpen(alice, protocol.ID)
		p := a.play(w, byHand.Link, nil)
		if p.attempt.State != invite.AttemptWaitingApproval {
			t.Fatalf("%v", p)
		}
		if _, err := w.Write(protocol.Encode(p.sent[1])); err != nil {
			t.Fatal(err)
		}
		w.refused(t, "JOIN-ENTITY twice")
		if rs := alice.Node.Requests(); len(rs) != 1 || rs[0].State != "new" {
			t.Errorf("alice has %+v, want the one request", rs)
		}
	})
}

// heapNow returns the bytes in use after a collection.
func heapNow() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func newReader(s network.Stream) *bufio.Reader { return bufio.NewReader(s) }

func itoa(i int) string { return strconv.Itoa(i) }

// peerRecord returns a signed peer record by an attacker for any peer.
func peerRecord(t *testing.T, by *attacker, of peer.ID, addrs ...ma.Multiaddr) []byte {
	t.Helper()
	env, err := record.Seal(peer.PeerRecordFromAddrInfo(peer.AddrInfo{ID: of, Addrs: addrs}), by.host.Peerstore().PrivKey(by.host.ID()))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := env.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
