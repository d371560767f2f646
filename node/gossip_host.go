package node

import (
	"context"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/time/rate"
)

// gossipProtocols are the versions of gossipsub that are spoken: those with scores.
var gossipProtocols = []libprotocol.ID{pubsub.GossipSubID_v13, pubsub.GossipSubID_v12, pubsub.GossipSubID_v11}

// members is the host as pubsub has it: there is nobody but the devices that share
// a topic with us. pubsub learns of peers by an event bus of its own, on which a
// stranger appears once he was admitted somewhere.
type members struct {
	host.Host
	g   *gossip
	ctx context.Context // Run's: a stream ends with it
	bus event.Bus
	met event.Emitter
}

// EventBus returns the bus on which meet tells of peers.
func (m members) EventBus() event.Bus { return m.bus }

// Network returns the network without its list of peers, with which pubsub would
// begin.
func (m members) Network() network.Network { return unlisted{m.Host.Network()} }

type unlisted struct{ network.Network }

// Peers returns nobody: meet says who is there.
func (unlisted) Peers() []peer.ID { return nil }

// meet tells pubsub of a connected peer that shares a topic. pubsub ignores whom it
// has already; of a stranger it is not told, though NewStream would refuse him.
func (m members) meet(p peer.ID) {
	spoken, err := m.Peerstore().SupportsProtocols(p, gossipProtocols...)
	if err == nil && len(spoken) > 0 && m.g.admits(p) {
		_ = m.met.Emit(event.EvtPeerIdentificationCompleted{Peer: p, Protocols: spoken})
	}
}

// NewStream opens a stream to a peer that shares a topic, and to nobody else: over
// it goes what we subscribe to, and pubsub opens one anew to whom it lost.
func (m members) NewStream(ctx context.Context, p peer.ID, ids ...libprotocol.ID) (network.Stream, error) {
	if !m.g.admits(p) {
		return nil, errStranger
	}
	s, err := m.Host.NewStream(ctx, p, ids...)
	if err != nil {
		return nil, err
	}
	return opened{s, context.AfterFunc(m.ctx, func() { _ = s.Reset() })}, nil
}

// opened is an outgoing stream that ends with Run. pubsub resets every stream that
// it is done with.
type opened struct {
	network.Stream
	undo func() bool
}

// Reset ends the stream.
func (s opened) Reset() error {
	s.undo()
	return s.Stream.Reset()
}

// SetStreamHandler serves streams of those that share a topic, each read at a
// bounded rate, and resets all others.
func (m members) SetStreamHandler(id libprotocol.ID, serve network.StreamHandler) {
	m.Host.SetStreamHandler(id, func(s network.Stream) {
		p := s.Conn().RemotePeer()
		if !m.g.admits(p) || !m.g.n.enter(m.ctx) {
			_ = s.Reset()
			return
		}
		defer m.g.n.wg.Done()
		undo := context.AfterFunc(m.ctx, func() { _ = s.Reset() })
		defer undo()
		defer m.g.arrives(p)()
		m.meet(p) // who speaks to us listens to us
		serve(slowed{s, m.ctx, rate.NewLimiter(gossipRate, gossipBurst)})
	})
}

// enter counts a goroutine of others as one of Run's, and reports false when Run
// has ended.
func (n *Node) enter(ctx context.Context) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	n.wg.Add(1)
	return true
}

// arrives counts an incoming stream of a peer until the function it returns is
// called. What the peer named is forgotten with its last one.
func (g *gossip) arrives(p peer.ID) (ends func()) {
	g.mu.Lock()
	g.inbound[p]++
	g.mu.Unlock()
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.inbound[p]--; g.inbound[p] == 0 {
			delete(g.inbound, p)
			delete(g.named, p)
			if d, err := deviceID(p); err == nil {
				for _, r := range g.rooms {
					delete(r.came, d)
				}
			}
		}
	}
}

// slowed is a stream of which no more is read in a second than one peer may cost:
// all that he sends is worked on in pubsub's one loop, before the others'.
type slowed struct {
	network.Stream
	ctx   context.Context
	limit *rate.Limiter
}

// Read reads, and then waits until as much may be read again.
func (s slowed) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b[:min(len(b), gossipBurst)])
	if wait := s.limit.WaitN(s.ctx, n); err == nil && wait != nil {
		return n, wait
	}
	return n, err
}

// reset ends all streams of pubsub with a peer, of both directions: each side then
// begins anew if it may.
func (m members) reset(p peer.ID) {
	for _, c := range m.Host.Network().ConnsToPeer(p) {
		for _, s := range c.GetStreams() {
			for _, id := range gossipProtocols {
				if s.Protocol() == id {
					_ = s.Reset()
				}
			}
		}
	}
}
