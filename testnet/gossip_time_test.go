package testnet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"pttnode/keys"
	"pttnode/node"
)

// percentile returns the value below which a share of all lie.
func percentile(all []time.Duration, share float64) time.Duration {
	s := slices.Sorted(slices.Values(all))
	return s[min(len(s)-1, int(float64(len(s))*share))]
}

// TestFirstArticleAfterJoin: who has just joined reads what a member writes then
// within a round trip and 30 ms, also from a member whom he is not connected to.
func TestFirstArticleAfterJoin(t *testing.T) {
	t.Parallel()
	var all []time.Duration
	first := func(t *testing.T, n *Net, writer, joiner *Peer) {
		t.Helper()
		title := "for " + joiner.Name
		post(t, writer, "dev", title, 500)
		took := n.Until(time.Minute, "the article at "+joiner.Name, func() bool { return slices.Contains(titles(joiner, "dev"), title) })
		t.Logf("%s: %v, from %s", joiner.Name, took, writer.Name)
		all = append(all, took)
	}
	seeds := 40
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds { // at any moment of his first second
		story(t, fmt.Sprint("moment/", seed), func(t *testing.T) {
			n, alice := aliceAndBoard(t)
			rng := mrand.New(mrand.NewPCG(uint64(seed), 3))
			inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 4})
			for i := range 4 {
				n.opens(n.Add(fmt.Sprint("m", i)), inv.Link, "done")
			}
			pass(time.Duration(rng.Float64() * float64(10*n.rtt)))
			first(t, n, n.Peers[rng.IntN(4)], n.Peers[4])
		})
	}
	story(t, "crowd", func(t *testing.T) { // with more members than one has in her mesh
		n, alice := aliceAndBoard(t)
		rng := mrand.New(mrand.NewPCG(4, 3))
		inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 30})
		for i := range 30 {
			p := n.Add(fmt.Sprint("m", i))
			n.opens(p, inv.Link, "done")
			n.Until(time.Minute, "what was written before", func() bool { return len(titles(p, "dev")) == i })
			first(t, n, n.Peers[rng.IntN(i+1)], p)
		}
	})
	got := percentile(all, 0.95)
	t.Logf("first article after a join: p50 %v, p95 %v, longest %v, of %d", percentile(all, 0.5), got, percentile(all, 1), len(all))
	if limit := simulatedRTT + 30*time.Millisecond; got > limit {
		t.Errorf("the first article after a join: p95 is %v, want at most a round trip of %v and 30ms", got, simulatedRTT)
	}
	if longest := percentile(all, 1); longest > 3*simulatedRTT { // nobody waits for a heartbeat
		t.Errorf("the first article after a join: the longest took %v", longest)
	}
}

// bareGossip is gossipsub alone on hosts that are connected as the nodes are.
type bareGossip struct {
	mu    sync.Mutex
	came  []time.Duration
	sent  time.Time
	count int
}

// TestGossipLatency: to fifty members an article comes as soon as a message of bare
// gossipsub comes to as many hosts, connected in the same way on the same network.
func TestGossipLatency(t *testing.T) {
	t.Parallel()
	const members, degree, messages, size = 50, 8, 20, 1000
	if testing.Short() {
		t.Skip("long")
	}
	var ours, bare []time.Duration
	edges := func(f func(i, j int)) {
		rng := mrand.New(mrand.NewPCG(11, 12))
		for i := range members {
			f(i, (i+1)%members) // so that it hangs together
			for range degree/2 - 1 {
				if j := rng.IntN(members); j != i {
					f(i, j)
				}
			}
		}
	}
	story(t, "", func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		n.Unchecked()
		inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: members})
		peers := []*Peer{alice}
		for i := range members - 1 {
			p := n.Add(fmt.Sprint("m", i))
			n.opens(p, inv.Link, "done")
			peers = append(peers, p)
		}
		pass(2 * time.Minute) // all know all
		edges(func(i, j int) { connect(t, peers[i].Host, peers[j].Host) })
		pass(time.Minute)
		degrees := 0
		for _, p := range peers {
			degrees += len(p.Host.Network().Peers())
		}
		for k := range messages {
			title := fmt.Sprint("article ", k)
			writer := peers[(k*7)%members]
			came := make(map[*Peer]bool)
			start := time.Now()
			post(t, writer, "dev", title, size)
			n.Until(time.Minute, title+" everywhere", func() bool {
				for _, p := range peers {
					if !came[p] && len(titles(p, "dev")) > k {
						came[p] = true
						if p != writer {
							ours = append(ours, time.Since(start))
						}
					}
				}
				return len(came) == len(peers)
			})
			pass(5 * time.Second)
		}

		// The same with gossipsub alone, on the same network, with as many edges.
		b := new(bareGossip)
		hosts := make([]host.Host, members)
		topics := make([]*pubsub.Topic, members)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for i := range members {
			hosts[i] = n.NewHost(i, keys.New())
			topics[i] = b.join(t, ctx, hosts[i])
		}
		for i, p := range peers { // the edges that the nodes have, no more and no less
			for j, q := range peers[:i] {
				if len(p.Host.Network().ConnsToPeer(q.Host.ID())) > 0 {
					connect(t, hosts[i], hosts[j])
				}
			}
		}
		pass(time.Minute)
		for k := range messages {
			b.begin()
			data := make([]byte, size+400) // an article of that size in its envelope
			_, _ = rand.Read(data)
			if err := topics[(k*7)%members].Publish(ctx, data); err != nil {
				t.Fatal(err)
			}
			n.Until(time.Minute, "the message everywhere", func() bool { return b.all() == members })
			pass(5 * time.Second)
		}
		for _, d := range b.came {
			if d > 0 { // not the writer's own
				bare = append(bare, d)
			}
		}
		t.Logf("%d members with %.1f connections each", members, float64(degrees)/members)
	})
	for _, share := range []float64{0.5, 0.99} {
		o, b := percentile(ours, share), percentile(bare, share)
		t.Logf("p%.0f: an article %v, bare gossipsub %v (%d and %d deliveries)", share*100, o, b, len(ours), len(bare))
		if float64(o) > 1.1*float64(b) {
			t.Errorf("p%.0f: an article takes %v, bare gossipsub %v; want at most a tenth more", share*100, o, b)
		}
	}
}

func connect(t *testing.T, a, b host.Host) {
	t.Helper()
	if err := a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
}

// join starts gossipsub on a host with a topic on which arrivals are timed.
func (b *bareGossip) join(t *testing.T, ctx context.Context, h host.Host) *pubsub.Topic {
	t.Helper()
	ps, err := pubsub.NewGossipSub(ctx, h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(), pubsub.WithFloodPublish(true),
		pubsub.WithMessageIdFn(func(m *pb.Message) string {
			id := sha256.Sum256(m.GetData())
			return string(id[:])
		}))
	if err != nil {
		t.Fatal(err)
	}
	topic, err := ps.Join("bare")
	if err != nil {
		t.Fatal(err)
	}
	sub, err := topic.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, err := sub.Next(ctx); err != nil {
				return
			}
			b.mu.Lock()
			b.came = append(b.came, time.Since(b.sent))
			b.count++
			b.mu.Unlock()
		}
	}()
	return topic
}

func (b *bareGossip) begin() {
	b.mu.Lock()
	b.sent, b.count = time.Now(), 0
	b.mu.Unlock()
}

func (b *bareGossip) all() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}
