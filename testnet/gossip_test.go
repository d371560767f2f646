package testnet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"pttnode/node"
	"pttnode/protocol"
)

// meshsub are the protocols of gossip.
var meshsub = []libprotocol.ID{pubsub.GossipSubID_v13, pubsub.GossipSubID_v12, pubsub.GossipSubID_v11}

// gossiped returns how many bytes came to a peer by gossip.
func gossiped(p *Peer) (in int) {
	for _, id := range meshsub {
		in += p.Served(id).In
	}
	return in
}

// gossipStreams returns how many streams of gossip a peer has with a host.
func gossipStreams(p *Peer, with network.Network) (count int) {
	for _, c := range p.Host.Network().ConnsToPeer(with.LocalPeer()) {
		for _, s := range c.GetStreams() {
			for _, id := range meshsub {
				if s.Protocol() == id {
					count++
				}
			}
		}
	}
	return count
}

// post writes an article with a text of size bytes.
func post(t *testing.T, p *Peer, board, title string, size int) {
	t.Helper()
	if _, err := p.Node.NewArticle(t.Context(), board, "", title, strings.Repeat("x", size)); err != nil {
		t.Fatalf("%s writes: %v", p.Name, err)
	}
}

// carried has from write an article and returns how many bytes it took to, by
// gossip and by sync and push, and how long.
func carried(t *testing.T, n *Net, from, to *Peer, title string, size int) (gossip, sync int, took time.Duration) {
	t.Helper()
	g, s := gossiped(to), to.Served(protocol.SyncID).In
	before := len(titles(to, "dev"))
	post(t, from, "dev", title, size)
	took = n.Until(time.Minute, title+" at "+to.Name, func() bool { return len(titles(to, "dev")) > before })
	pass(n.rtt)
	return gossiped(to) - g, to.Served(protocol.SyncID).In - s, took
}

// TestGossipCarries: once members are in the topic an article goes by gossip, in
// half a round trip, and not by a stream of its own. They get there on the
// connection over which they came as strangers.
func TestGossipCarries(t *testing.T) {
	t.Parallel()
	story(t, "board", func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 2})
		bob := n.Add("bob")
		n.opens(bob, inv.Link, "done")
		conns := alice.Host.Network().ConnsToPeer(bob.Host.ID())
		pass(2 * time.Minute) // a newcomer is pushed to as well
		for from, to := range map[*Peer]*Peer{alice: bob, bob: alice} {
			back := gossiped(from)
			gossip, sync, took := carried(t, n, from, to, "by "+from.Name, 8000)
			if gossip < 8000 || sync > 4000 {
				t.Errorf("%s's article of 8,000 bytes: %d bytes came by gossip and %d by sync", from.Name, gossip, sync)
			}
			if back = gossiped(from) - back; back > 4000 {
				t.Errorf("%s's article of 8,000 bytes came back with %d bytes", from.Name, back)
			}
			if took > n.rtt/2+5*time.Millisecond {
				t.Errorf("%s's article took %v, want half a round trip of %v", from.Name, took, n.rtt)
			}
		}
		now := alice.Host.Network().ConnsToPeer(bob.Host.ID())
		if len(conns) == 0 || len(now) == 0 || conns[0].ID() != now[0].ID() {
			t.Errorf("alice and bob had the connections %v and have %v: it must be the first one", conns, now)
		}
	})
}

// TestGossipFriendComes: a friend is in topics already when he joins a board; a
// member to whom he named its topic before she knew of his admission hears him all
// the same, and he her.
func TestGossipFriendComes(t *testing.T) {
	t.Parallel()
	story(t, "", func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 2})
		bob, carol := n.Add("bob"), n.Add("carol")
		n.opens(carol, inv.Link, "done")
		befriend(t, bob, carol)
		pass(time.Minute)
		n.Partition(alice, carol) // she hears of bob late, and not by a stream of alice's
		pass(time.Minute)
		n.opens(bob, inv.Link, "done")
		pass(time.Second)
		n.Heal()
		pass(3 * time.Minute)
		for from, to := range map[*Peer]*Peer{carol: bob, bob: carol} {
			// A round of syncs may be under way when one of them is written, and bring it too.
			var both []int
			for i := range 3 {
				gossip, sync, _ := carried(t, n, from, to, fmt.Sprint("by ", from.Name, i), 8000)
				if gossip < 8000 {
					t.Errorf("%s's article of 8,000 bytes: %d bytes came by gossip and %d by sync", from.Name, gossip, sync)
				}
				if sync > 4000 {
					both = append(both, sync)
				}
			}
			if len(both) > 1 {
				t.Errorf("of %s's three articles of 8,000 bytes by gossip, %d came by sync too: %d bytes", from.Name, len(both), both)
			}
		}
	})
}

// TestGossipEdge: what fits a payload of 16 KiB comes by gossip; what does not is
// announced by its heads and comes by a sync, at once.
func TestGossipEdge(t *testing.T) {
	t.Parallel()
	story(t, "", func(t *testing.T) {
		n, alice, bob, carol := bobAndCarol(t)
		pass(2 * time.Minute) // newcomers are pushed to as well
		const over = 500      // envelope of an article, at least
		small, large := 0, 0
		for size := protocol.MaxGossip - over; size <= protocol.MaxGossip; size += 20 {
			gossip, sync, took := carried(t, n, alice, bob, fmt.Sprint(size), size)
			if took > 3*n.rtt {
				t.Errorf("%d bytes took %v", size, took)
			}
			switch {
			case gossip >= size && sync < size:
				small = max(small, size)
			case gossip < size/2:
				if large == 0 {
					large = size
				}
			default:
				t.Errorf("%d bytes: %d came by gossip and %d by sync", size, gossip, sync)
			}
		}
		t.Logf("the longest text in a payload has %d bytes, the shortest announced %d", small, large)
		if small == 0 || large != small+20 || small < protocol.MaxGossip-over {
			t.Errorf("texts up to %d bytes go whole, from %d on as heads; want one edge", small, large)
		}
		if got := len(titles(carol, "dev")); got != len(titles(bob, "dev")) {
			t.Errorf("carol has %d articles, bob %d", got, len(titles(bob, "dev")))
		}
	})
}

// TestNoGossip: without gossip, at all nodes or at some, everybody comes to the
// same, and nobody is spoken to who does not speak it.
func TestNoGossip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		silent []bool // alice, bob, carol
	}{
		{"nobody gossips", []bool{true, true, true}},
		{"alice does not", []bool{true, false, false}},
		{"bob does not", []bool{false, true, false}},
	} {
		story(t, c.name, func(t *testing.T) {
			n := New(t, 50*time.Millisecond)
			var ps []*Peer
			for i, name := range []string{"alice", "bob", "carol"} {
				n.NoGossip = c.silent[i]
				ps = append(ps, n.Add(name))
			}
			newBoard(t, ps[0], "dev", "link")
			inv := boardLink(t, ps[0], node.InviteOptions{Auto: true, Uses: 2})
			n.opens(ps[1], inv.Link, "done")
			n.opens(ps[2], inv.Link, "done")
			for i, p := range ps {
				post(t, p, "dev", p.Name, 100)
				post(t, p, "dev", p.Name+" at length", 20_000)
				n.Until(2*time.Minute, "articles of "+p.Name, func() bool {
					return len(titles(ps[0], "dev")) == 2*(i+1) && len(titles(ps[1], "dev")) == 2*(i+1) && len(titles(ps[2], "dev")) == 2*(i+1)
				})
			}
			for i, p := range ps {
				if got := gossiped(p); c.silent[i] && got > 0 {
					t.Errorf("%s does not gossip and got %d bytes", p.Name, got)
				}
			}
		})
	}
}

// TestGossipHeals: members who were cut off from one another, on a network that
// loses packets, come to the same when it is mended.
func TestGossipHeals(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		story(t, fmt.Sprint(seed), func(t *testing.T) {
			n, alice := aliceAndBoard(t)
			n.Seed(seed)
			inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 4})
			for i := range 4 {
				n.opens(n.Add(fmt.Sprint("m", i)), inv.Link, "done")
			}
			pass(time.Minute)
			left, right := n.Peers[:2], n.Peers[2:]
			for _, l := range left {
				for _, r := range right {
					n.Partition(l, r)
				}
			}
			n.Loss(0.1)
			for k := range 10 {
				for _, p := range n.Peers {
					post(t, p, "dev", fmt.Sprint(p.Name, k), 500)
				}
				pass(5 * time.Second)
			}
			n.Heal()
			n.Loss(0)
			n.Settle()
			for _, p := range n.Peers {
				if got := len(titles(p, "dev")); got != 50 {
					t.Errorf("%s reads %d articles, want 50", p.Name, got)
				}
			}
			pass(2 * time.Minute)
			gossip, _, _ := carried(t, n, left[0], right[2], "after it all", 8000)
			if gossip < 8000 {
				t.Errorf("after the cut an article of 8,000 bytes came with %d bytes of gossip", gossip)
			}
		})
	}
}
