package testnet

import (
	"bufio"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"pttnode/keys"
	"pttnode/node"
	"pttnode/oplog"
	"pttnode/protocol"
)

// syncPeriod is the longest that a round of syncs takes to come.
const syncPeriod = 36 * time.Second

// TestPartitionOf20: without gossip, two halves of a board that were cut off from each
// other have the same within one period after a member of one has reached the other.
func TestPartitionOf20(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("20 members, with -short")
	}
	story(t, "", func(t *testing.T) {
		n := New(t, 50*time.Millisecond)
		n.NoGossip = true
		alice := n.Add("alice")
		newBoard(t, alice, "dev", "link")
		inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 19})
		for i := range 19 {
			n.opens(n.Add(fmt.Sprint("m", i)), inv.Link, "done")
		}
		left, right := n.Peers[:10], n.Peers[10:]
		for _, p := range right { // those on the left have met alice
			hub := peer.AddrInfo{ID: right[0].Host.ID(), Addrs: right[0].Host.Addrs()}
			if err := p.Host.Connect(t.Context(), hub); err != nil && p != right[0] {
				t.Fatal(err)
			}
		}
		for _, l := range left {
			for _, r := range right {
				n.Partition(l, r)
			}
		}
		pass(time.Minute)
		for i, p := range n.Peers {
			post(t, p, "dev", fmt.Sprint("by ", i), 500)
		}
		have := func(most int, ps []*Peer) (n int) {
			for _, p := range ps {
				if len(titles(p, "dev")) >= most {
					n++
				}
			}
			return n
		}
		n.Until(2*time.Minute, "each half has its own", func() bool { return have(10, n.Peers) == 20 })
		pass(time.Minute)
		if got := have(11, n.Peers); got > 0 {
			t.Fatalf("%d members have articles of the other half: this proves nothing", got)
		}
		n.Heal()
		contact := n.Until(5*time.Minute, "contact", func() bool { return have(11, n.Peers) > 0 })
		took := n.Until(syncPeriod, "everything everywhere", func() bool { return have(20, n.Peers) == 20 })
		t.Logf("contact after %v, everything %v later", contact, took)
	})
}

// TestAttackG12: of ten members that a node is connected to eight say that it has
// everything, and pass nothing on; the two others answer when they are asked. It has what
// they have within two minutes.
func TestAttackG12(t *testing.T) {
	t.Parallel()
	for run := range 5 {
		story(t, fmt.Sprint(run), func(t *testing.T) {
			n := New(t, 100*time.Millisecond)
			n.Unchecked()
			alice, bob := n.Add("alice"), n.Add("bob")
			newBoard(t, alice, "dev", "link")
			inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 11})
			n.opens(bob, inv.Link, "done")
			var mu sync.Mutex // of the next two: streams come beside each other
			var asked []string
			var served bool // what bob asks of others when he has it is another story
			var honest []*member
			for i := range 10 {
				m := n.member(i, fmt.Sprint("member ", i), alice, inv.Link)
				m.host.SetStreamHandler(protocol.SyncID, func(s network.Stream) {
					mu.Lock()
					if !served {
						asked = append(asked, m.name)
					}
					mu.Unlock()
					if i < 8 {
						m.withhold(s)
						return
					}
					m.serve(s)
					mu.Lock()
					served = true
					mu.Unlock()
				})
				m.host.Peerstore().AddAddrs(bob.Host.ID(), bob.Host.Addrs(), peerstore.PermanentAddrTTL)
				if err := m.host.Connect(t.Context(), bob.Host.Peerstore().PeerInfo(bob.Host.ID())); err != nil {
					t.Fatal(err)
				}
				if i >= 8 {
					honest = append(honest, m)
				}
			}
			alice.Stop()
			pass(time.Minute + time.Duration(run)*7*time.Second) // all have been asked when it was new
			for _, m := range honest {
				o := m.article(m.key, "withheld", nil)
				m.mu.Lock()
				_, err := m.e.Add(o)
				m.mu.Unlock()
				if err != nil {
					t.Fatal(err)
				}
			}
			mu.Lock()
			asked, served = nil, false
			mu.Unlock()
			took := n.Until(2*time.Minute, "what was withheld", func() bool { return len(titles(bob, "dev")) > 0 })
			mu.Lock()
			defer mu.Unlock()
			t.Logf("after %v; asked: %v", took, asked)
			slices.Sort(asked)
			if len(slices.Compact(slices.Clone(asked))) < len(asked) {
				t.Errorf("somebody was asked twice before all were asked once: %v", asked)
			}
		})
	}
}

// withhold says that the other side has everything.
func (m *member) withhold(s network.Stream) {
	defer s.Close()
	w := &wire{s, bufio.NewReader(s)}
	if _, _, err := w.frame(); err == nil {
		_, _ = w.Write(protocol.Frame(uint8(protocol.SyncEqual), keys.Marshal(protocol.No{})))
	}
}

// serve answers a sync with all that the member has.
func (m *member) serve(s network.Stream) {
	defer s.Close()
	w := &wire{s, bufio.NewReader(s)}
	say := func(typ protocol.SyncType, v any) { _, _ = w.Write(protocol.Frame(uint8(typ), keys.Marshal(v))) }
	if typ, _, err := w.frame(); err != nil || typ != uint8(protocol.SyncHello) {
		return
	}
	m.mu.Lock()
	have := m.e.Log().Vector()
	m.mu.Unlock()
	say(protocol.SyncVector, protocol.VectorFrame{Heads: have})
	if _, _, err := w.frame(); err != nil {
		return
	}
	_, payload, err := w.frame()
	var v protocol.VectorFrame
	if err != nil || protocol.DecodeSync(payload, &v) != nil {
		return
	}
	f := protocol.Ops{Ops: []oplog.Pair{}}
	m.mu.Lock()
	for _, o := range m.e.Log().Lacks(v.Heads) {
		f.Ops = append(f.Ops, o.Pair())
	}
	m.mu.Unlock()
	say(protocol.SyncOps, f)
}

// TestConfirmed: who is known to have everything, and who is behind, and that finding it
// out costs nothing while nothing happens.
func TestConfirmed(t *testing.T) {
	t.Parallel()
	story(t, "", func(t *testing.T) {
		n, alice, bob, carol := bobAndCarol(t)
		view := func(p *Peer) node.BoardView {
			b, err := p.Node.Board("dev")
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		all := func(want int, ps ...*Peer) func() bool {
			return func() bool {
				for _, p := range ps {
					if b := view(p); b.Confirmed != want || b.Of != 2 {
						return false
					}
				}
				return true
			}
		}
		n.Until(2*time.Minute, "all connected, all confirmed", all(2, alice, bob, carol))
		post(t, alice, "dev", "first", 500)
		if b := view(alice); b.Confirmed != 0 || len(b.Behind) != 2 || b.Behind[0].Since == nil {
			t.Errorf("as soon as there is something new: %+v", b)
		}
		took := n.Until(10*time.Second, "all have the first, and all know it", all(2, alice, bob, carol))
		t.Logf("known after %v", took)

		left := time.Now()
		carol.Stop()
		pass(time.Minute)
		post(t, alice, "dev", "second", 500)
		n.Until(10*time.Second, "bob has the second", all(1, alice, bob))
		b := view(alice)
		if len(b.Behind) != 1 || b.Behind[0].UserID != carol.User() || b.Behind[0].Name != "carol" ||
			b.Behind[0].DeviceID != carol.Device().ID() || b.Behind[0].Since == nil || b.Behind[0].Since.After(left) {
			t.Errorf("who is behind: %+v; want carol, not since %v", b.Behind, left)
		}
		carol.Start()
		n.Until(2*time.Minute, "carol has the second", all(2, alice, bob, carol))

		pass(2 * time.Minute)
		was := alice.Served(protocol.SyncID)
		pass(10 * time.Minute)
		is := alice.Served(protocol.SyncID)
		syncs := is.Streams - was.Streams
		if each := (is.In + is.Out - was.In - was.Out) / max(1, syncs); syncs == 0 || each > 128 {
			t.Errorf("%d syncs of %d bytes each while nothing happens, want at most 128", syncs, each)
		}
	})
}
