package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"

	"pttnode/entity"
	"pttnode/keys"
)

// gossip is the fast path of new operations (docs/PROTOCOL.md §8.3): a gossipsub
// topic for each entity, beside push and sync, which bring everything without it.
//
// There is no deadlock between the node's lock, ours and pubsub's loop, since they
// are only ever waited for in one order: the loop calls us (filters, scores) and we
// take mu in there and nothing else; mu is held for map look-ups alone; the node's
// lock may be held when mu is taken, never when pubsub is called. What calls pubsub
// and waits for its loop is announce's goroutine, without any lock. The validator
// takes the node's lock on pubsub's one worker, for which the loop never waits.
type gossip struct {
	n    *Node
	host members // what pubsub sees of ours
	ps   *pubsub.PubSub

	mu      sync.Mutex
	rooms   map[string]*room            // by topic
	current map[keys.Digest]*room       // by entity: that of its writing epoch, or its last
	known   map[keys.ID]bool            // devices of all rooms; nil: to be made again
	moved   bool                        // rooms changed since purge looked
	named   map[peer.ID]map[string]bool // topics that a peer named and we are not in with it; true: pubsub was told
	inbound map[peer.ID]int             // its streams that are open
}

// room is one topic: an epoch of an entity.
type room struct {
	name       string
	eid, epoch keys.Digest
	header     keys.OpKey
	since      time.Time

	// Guarded by gossip.mu.
	devices map[keys.ID]bool // that may be in it
	until   time.Time        // it was replaced and is left then
	gone    bool             // we are no active member, or it ended: it is left now
	came    map[keys.ID]time.Time

	// Of announce's goroutine.
	topic *pubsub.Topic
	leave func()
}

// startGossip begins gossip, unless it is off, and returns what ends it, together
// with the end of ctx.
func (n *Node) startGossip(ctx context.Context) (stop func(), err error) {
	if n.silent {
		return func() {}, nil
	}
	g := &gossip{
		n: n, rooms: make(map[string]*room), current: make(map[keys.Digest]*room),
		named: make(map[peer.ID]map[string]bool), inbound: make(map[peer.ID]int),
	}
	g.host = members{Host: n.host, g: g, ctx: ctx, bus: eventbus.NewBus()}
	met, err := g.host.bus.Emitter(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	g.host.met = met
	seen, err := n.host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerProtocolsUpdated),
	}, eventbus.BufSize(64))
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	if g.ps, err = pubsub.NewGossipSub(ctx, g.host, g.options()...); err != nil {
		_ = seen.Close()
		return nil, fmt.Errorf("gossip: %w", err)
	}
	n.mu.Lock()
	n.gossip = g
	for _, h := range n.all() {
		g.follow(h)
	}
	n.mu.Unlock()
	n.wg.Go(func() {
		defer seen.Close()
		for {
			select {
			case e := <-seen.Out():
				switch e := e.(type) {
				case event.EvtPeerIdentificationCompleted:
					g.host.meet(e.Peer)
				case event.EvtPeerProtocolsUpdated:
					g.host.meet(e.Peer)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		for _, id := range gossipProtocols {
			n.host.RemoveStreamHandler(id)
		}
	}, nil
}

// follow brings the topics of an entity to what the entity now is. The caller
// holds the node's lock; what pubsub has to do is left to announce.
func (g *gossip) follow(h *held) {
	s := h.State()
	active := !s.Ended && s.Speaks(g.n.user, g.n.device.ID(), entity.Reader)
	writing, ok := h.writing()
	topics := topicsOf(h)
	devices := g.n.others(h)
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.moved, g.known = true, nil
	for _, r := range g.rooms {
		if r.eid == h.ID() {
			r.devices = devices
			r.gone = !active
			if r.until.IsZero() && !slices.Contains(topics, r.epoch) {
				r.until = now.Add(oldTopic) // some write there until they have seen what we have
			}
		}
	}
	if !ok {
		delete(g.current, h.ID()) // there is no key to publish with: who is connected is told by push
	}
	if !active {
		return
	}
	for _, epoch := range topics {
		name := h.ring[epoch].Topic(h.ID(), epoch)
		r := g.rooms[name]
		if r == nil {
			r = &room{
				name: name, eid: h.ID(), epoch: epoch, header: h.ring[epoch].Header(h.ID(), epoch),
				devices: devices, came: make(map[keys.ID]time.Time), since: now,
			}
			g.rooms[name] = r
		}
		r.until = time.Time{}
		if ok && epoch == writing.ID {
			g.current[h.ID()] = r
		}
	}
}

// topicsOf returns the epochs on whose topics new operations of an entity may come:
// the clean ones that none replaced and whose keys are here, and the one to write in, also
// where what replaced it is void.
func topicsOf(h *held) []keys.Digest {
	var all []entity.EpochInfo
	writing, _ := h.writing()
	for id, i := range h.State().Epochs {
		if _, ok := h.ring[id]; ok && !i.Void && !i.Tainted && (!i.Replaced || id == writing.ID) {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, entity.EpochInfo.Compare)
	var out []keys.Digest
	for _, i := range all[:min(len(all), maxTopics)] {
		out = append(out, i.ID)
	}
	return out
}

// admits reports whether a device may be in any of our topics: nobody else gets a
// stream of pubsub or hears what we subscribe to.
func (g *gossip) admits(p peer.ID) bool {
	device, err := deviceID(p)
	if err != nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known == nil {
		g.known = make(map[keys.ID]bool)
		for _, r := range g.rooms {
			if !r.gone {
				maps.Copy(g.known, r.devices)
			}
		}
	}
	return g.known[device]
}

// allows reports whether a peer may be in a topic of ours. It is called by
// pubsub's loop.
func (g *gossip) allows(p peer.ID, topic string) bool {
	device, err := deviceID(p)
	if err != nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.rooms[topic]
	return r != nil && r.devices[device]
}

// purge takes out of the topics who may no longer be in them, and has named again
// what a peer named before he was admitted there: pubsub can be told of neither, so
// the streams with him begin anew, if he is still in any.
func (g *gossip) purge() {
	g.mu.Lock()
	moved := g.moved
	g.moved = false
	var topics []string
	again := make(map[peer.ID]bool)
	for name := range g.rooms {
		topics = append(topics, name)
	}
	if moved {
		for p, named := range g.named {
			device, err := deviceID(p)
			for topic, told := range named {
				r := g.rooms[topic]
				if err == nil && r != nil && r.devices[device] && !told {
					again[p] = true
					delete(named, topic)
				}
			}
			if g.inbound[p] == 0 {
				delete(g.named, p)
			}
		}
	}
	g.mu.Unlock()
	if !moved {
		return
	}
	for _, topic := range topics {
		for _, p := range g.ps.ListPeers(topic) {
			if !g.allows(p, topic) {
				again[p] = true
			}
		}
	}
	for p := range again {
		g.host.reset(p)
	}
	for _, p := range g.n.host.Network().Peers() {
		g.host.meet(p)
	}
}

// settle joins and leaves topics, and returns after how long to look again.
func (g *gossip) settle() time.Duration {
	now, again := time.Now(), keepEvery
	var leave, join []*room
	g.mu.Lock()
	for name, r := range g.rooms {
		if r.gone || !r.until.IsZero() && !now.Before(r.until) {
			delete(g.rooms, name)
			g.known = nil
			if g.current[r.eid] == r {
				delete(g.current, r.eid)
			}
			leave = append(leave, r)
			continue
		}
		if !r.until.IsZero() {
			again = min(again, r.until.Sub(now))
		}
		if r.leave == nil {
			join = append(join, r)
		}
	}
	g.mu.Unlock()
	for _, r := range leave {
		if r.leave != nil {
			r.leave()
		}
	}
	for _, r := range join {
		if wait := g.wait(r, now); wait > 0 {
			again = min(again, wait)
			continue
		}
		if err := g.join(r); err != nil {
			g.n.log.Debug("gossip", "entity", r.eid.String(), "err", err)
			r.leave = func() {} // it can be published and pushed to as before; the next start tries again
		}
	}
	return again
}

// wait returns how long to wait before joining a topic: who joins when its peers
// are known has them in its mesh at once, and after a heartbeat otherwise.
func (g *gossip) wait(r *room, now time.Time) time.Duration {
	wait := r.since.Add(topicWait).Sub(now)
	connected := slices.ContainsFunc(g.n.host.Network().Peers(), func(p peer.ID) bool { return g.allows(p, r.name) })
	if wait <= 0 || !connected || len(g.ps.ListPeers(r.name)) > 0 {
		return 0
	}
	return wait
}

func (g *gossip) join(r *room) error {
	err := g.ps.RegisterTopicValidator(r.name, g.validator(r), pubsub.WithValidatorInline(true))
	if err != nil {
		return fmt.Errorf("validator: %w", err)
	}
	if r.topic, err = g.ps.Join(r.name); err != nil {
		return fmt.Errorf("topic: %w", err)
	}
	if err := r.topic.SetScoreParams(topicScore()); err != nil {
		return fmt.Errorf("scores: %w", err)
	}
	// A relay takes part like a subscriber; what comes is taken by the validator.
	cancel, err := r.topic.Relay()
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	r.leave = func() {
		cancel()
		_ = r.topic.Close()
		_ = g.ps.UnregisterTopicValidator(r.name)
	}
	return nil
}
