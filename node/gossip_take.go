package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"slices"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// publish tells the topic of an entity of new operations, unless gossip brought
// them, and returns the devices that the topic reaches: what is ours goes to all
// that are in it, what we forward only to the mesh, where newcomers may have no
// place yet.
func (g *gossip) publish(ctx context.Context, t tidings) map[keys.ID]bool {
	g.mu.Lock()
	r := g.current[t.eid]
	g.mu.Unlock()
	if r == nil || r.topic == nil {
		return nil
	}
	peers := g.ps.ListPeers(r.name)
	reached := make(map[keys.ID]bool)
	g.mu.Lock()
	for _, p := range peers {
		d, err := deviceID(p)
		came, ok := r.came[d]
		if !ok {
			came = r.since
		}
		reached[d] = err == nil && (!t.heard || time.Since(came) > newcomer)
	}
	g.mu.Unlock()
	if t.heard || len(peers) == 0 {
		return reached
	}
	if err := r.topic.Publish(ctx, payloadOf(r, t.ops)); err != nil {
		g.n.log.Debug("gossip", "entity", t.eid.String(), "err", err)
		return nil
	}
	return reached
}

// payloadOf says what is new: the operations, or their heads when they are too
// many for one payload.
func payloadOf(r *room, ops []oplog.Op) []byte {
	var msg protocol.Gossip
	size := 0
	for _, o := range ops {
		p := o.Pair()
		if size += len(p.Envelope) + len(p.Body); size > protocol.MaxGossip || o.Size() > 0 && p.Body == nil {
			break
		}
		msg.Ops = append(msg.Ops, p)
	}
	if len(msg.Ops) == len(ops) {
		if payload, fits := msg.Seal(r.header, r.eid, r.epoch); fits {
			return payload
		}
	}
	payload, _ := protocol.Gossip{Heads: headsOf(ops)}.Seal(r.header, r.eid, r.epoch) // maxGossipHeads fit
	return payload
}

// headsOf returns the last operation of each chain among ops, the newest first, at
// most maxGossipHeads.
func headsOf(ops []oplog.Op) oplog.Vector {
	type chain struct {
		device keys.ID
		strand oplog.Strand
	}
	var out oplog.Vector
	had := make(map[chain]bool)
	for _, o := range slices.Backward(ops) {
		c := chain{o.Device(), o.Strand()}
		if len(out) < maxGossipHeads && !had[c] {
			had[c] = true
			out = append(out, oplog.Head{Device: o.Device(), Strand: o.Strand(), Seq: o.Seq(), ID: o.ID()})
		}
	}
	return out
}

// validator takes what comes on a topic and says what becomes of it: what no
// honest member sends is rejected, and costs the peer that forwarded it; what is
// new goes on to others before it is on our disk, since whoever has it from us
// could have it from its author.
func (g *gossip) validator(r *room) pubsub.ValidatorEx {
	return func(ctx context.Context, p peer.ID, m *pubsub.Message) pubsub.ValidationResult {
		if p == g.host.ID() {
			return pubsub.ValidationAccept // our own
		}
		device, err := deviceID(p)
		if err != nil || !g.allows(p, r.name) || !g.n.enter(g.host.ctx) {
			return pubsub.ValidationIgnore
		}
		defer g.n.wg.Done()
		msg, err := protocol.OpenGossip(r.header, r.eid, r.epoch, m.Data)
		if err != nil {
			return pubsub.ValidationReject
		}
		verdict, missing := pubsub.ValidationIgnore, g.n.lacksAny(r.eid, msg.Heads)
		if len(msg.Ops) > 0 {
			verdict, missing = g.n.hear(r.eid, device, msg.Ops)
		}
		if missing {
			g.n.wg.Go(func() {
				if err := g.n.catchUp(g.host.ctx, device, r.eid); err != nil {
					g.n.log.Debug("sync", "peer", device.String(), "entity", r.eid.String(), "err", err)
				}
			})
		}
		return verdict
	}
}

// hear takes operations that gossip brought, in memory: it does not wait for the
// disk. missing says that some build on what is not here.
func (n *Node) hear(eid keys.Digest, from keys.ID, pairs []oplog.Pair) (verdict pubsub.ValidationResult, missing bool) {
	ops, err := parseWhole(pairs)
	if err != nil {
		return pubsub.ValidationReject, false
	}
	if ops = n.notHere(eid, ops); len(ops) == 0 {
		return pubsub.ValidationIgnore, false
	}
	verdict = pubsub.ValidationIgnore
	finish, err := n.begin(func(tx *tx) error {
		h, ok := n.find(eid)
		if !ok {
			return errNoEntity
		}
		var refused, err error
		missing, refused, err = tx.take(h, from, ops)
		switch {
		case refused != nil:
			verdict = pubsub.ValidationReject
		case !missing && err == nil && len(tx.fresh[eid]) > 0:
			verdict, tx.heard = pubsub.ValidationAccept, true
		}
		return err
	})
	if finish != nil {
		n.wg.Go(func() { _ = finish() }) // a failed write is logged, and ends all others
	}
	if err != nil && !errors.Is(err, errNoEntity) {
		n.log.Debug("gossip", "peer", from.String(), "entity", eid.String(), "err", err)
	}
	return verdict, missing
}

// lacksAny reports whether any of the heads is not here.
func (n *Node) lacksAny(eid keys.Digest, heads oplog.Vector) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	return ok && slices.ContainsFunc(heads, func(head oplog.Head) bool {
		_, known := h.Log().Get(head.ID)
		return !known
	})
}

// options are those of our PubSub.
func (g *gossip) options() []pubsub.Option {
	params := pubsub.DefaultGossipSubParams()
	params.MaxIHaveLength = maxIHave
	return []pubsub.Option{
		pubsub.WithGossipSubParams(params),
		pubsub.WithGossipSubProtocols(gossipProtocols, pubsub.GossipSubDefaultFeatures),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(func(m *pb.Message) string {
			id := sha256.Sum256(m.GetData())
			return string(id[:])
		}),
		pubsub.WithMaxMessageSize(maxGossipRPC),
		pubsub.WithMaxControlMessageSize(maxGossipRPC),
		pubsub.WithPeerOutboundQueueSize(gossipQueue),
		pubsub.WithValidateQueueSize(gossipQueue),
		// One at a time, in the order in which they came: what builds on the message
		// before it must not be taken for what lacks its parent.
		pubsub.WithValidateWorkers(1),
		pubsub.WithSeenMessagesTTL(seenMessages),
		pubsub.WithFloodPublish(true),
		pubsub.WithPeerExchange(false),
		pubsub.WithPeerFilter(g.allows),
		pubsub.WithSubscriptionFilter(subscriptions{g}),
		pubsub.WithPeerScore(g.scores()),
	}
}

// subscriptions lets into a topic of ours who may be in it.
type subscriptions struct{ g *gossip }

// CanSubscribe reports whether a topic is ours.
func (s subscriptions) CanSubscribe(topic string) bool {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	return s.g.rooms[topic] != nil
}

// FilterIncomingSubscriptions keeps what a peer may be told to be in. Topics that
// are not ours, up to a number, are kept too: we may join one, and then know who is
// there. pubsub's loop calls it.
func (s subscriptions) FilterIncomingSubscriptions(p peer.ID, subs []*pb.RPC_SubOpts) ([]*pb.RPC_SubOpts, error) {
	device, err := deviceID(p)
	if err != nil || len(subs) > maxSubscriptions {
		return nil, pubsub.ErrTooManySubscriptions
	}
	g := s.g
	g.mu.Lock()
	defer g.mu.Unlock()
	named := g.named[p]
	if named == nil {
		named = make(map[string]bool)
		g.named[p] = named
	}
	var out []*pb.RPC_SubOpts
	for _, sub := range subs {
		topic := sub.GetTopicid()
		r := g.rooms[topic]
		_, again := named[topic]
		switch {
		case len(topic) != topicLen:
		case !sub.GetSubscribe():
			delete(named, topic)
			out = append(out, sub)
		case r == nil && (again || len(named) < maxOtherTopics):
			named[topic] = true
			out = append(out, sub)
		case r != nil && !r.devices[device]:
			named[topic] = false
		case r != nil:
			if _, ok := r.came[device]; !ok {
				r.came[device] = time.Now()
			}
			out = append(out, sub)
			g.n.wakeAnnouncer() // it may be what a new topic waits for
		}
	}
	return out, nil
}

// scores are what a peer's conduct is worth: four invalid messages are the end of
// him, three are not. Quiet topics punish nobody.
func (g *gossip) scores() (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
	var private []*net.IPNet // one house, or one machine, may have many devices
	for _, cidr := range []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10"} {
		_, n, _ := net.ParseCIDR(cidr) // they are
		private = append(private, n)
	}
	params := &pubsub.PeerScoreParams{
		Topics: make(map[string]*pubsub.TopicScoreParams),
		AppSpecificScore: func(p peer.ID) float64 {
			if g.admits(p) {
				return 10
			}
			return 0
		},
		AppSpecificWeight:        1,
		IPColocationFactorWeight: -5, IPColocationFactorThreshold: 8, IPColocationFactorWhitelist: private,
		BehaviourPenaltyWeight: -10, BehaviourPenaltyThreshold: 6, BehaviourPenaltyDecay: pubsub.ScoreParameterDecay(scoreDecay),
		DecayInterval: pubsub.DefaultDecayInterval, DecayToZero: pubsub.DefaultDecayToZero,
		RetainScore: retainScore, SeenMsgTTL: seenMessages,
	}
	return params, &pubsub.PeerScoreThresholds{
		GossipThreshold: -100, PublishThreshold: -500, GraylistThreshold: -1000,
		AcceptPXThreshold:           1 << 20, // nobody gets there: whom to dial is for members' records to say
		OpportunisticGraftThreshold: 2,
	}
}

func topicScore() *pubsub.TopicScoreParams {
	return &pubsub.TopicScoreParams{
		TopicWeight: 1, TimeInMeshQuantum: scoreDecay,
		FirstMessageDeliveriesWeight: 1, FirstMessageDeliveriesDecay: pubsub.ScoreParameterDecay(scoreDecay), FirstMessageDeliveriesCap: 20,
		InvalidMessageDeliveriesWeight: -100, InvalidMessageDeliveriesDecay: pubsub.ScoreParameterDecay(retainScore),
	}
}
