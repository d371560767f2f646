package testnet

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"google.golang.org/protobuf/proto"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/node"
	"pttnode/oplog"
	"pttnode/protocol"
)

// gossiper is a member who speaks gossipsub by hand.
type gossiper struct {
	*member
	epoch keys.Digest
	topic string
	out   network.Stream

	mu  sync.Mutex
	got []*pb.RPC
}

// gossiper has an attacker join Alice's board and open gossip with her.
func (n *Net) gossiper(index int, name string, to *Peer, link string) *gossiper {
	n.t.Helper()
	g := n.gossips(n.member(index, name, to, link), to)
	n.Until(time.Minute, to.Name+" subscribed to the topic", func() bool { return slices.Contains(g.topics(), g.topic) })
	return g
}

// gossips opens gossip between a member and Alice.
func (n *Net) gossips(m *member, to *Peer) *gossiper {
	n.t.Helper()
	epoch, ok := m.e.State().WritingEpoch(func(id keys.Digest) bool { _, ok := m.ring[id]; return ok })
	if !ok {
		n.t.Fatal("no epoch")
	}
	g := &gossiper{member: m, epoch: epoch.ID, topic: m.ring[epoch.ID].Topic(m.e.ID(), epoch.ID)}
	g.listen()
	g.begin(to)
	g.send(&pb.RPC{Subscriptions: []*pb.RPC_SubOpts{{Topicid: &g.topic, Subscribe: new(true)}}})
	return g
}

// begin opens the stream over which the attacker speaks.
func (g *gossiper) begin(to *Peer) {
	g.t.Helper()
	var err error
	if g.out, err = g.host.NewStream(g.t.Context(), to.Host.ID(), pubsub.GossipSubID_v12); err != nil {
		g.t.Fatal(err)
	}
}

// listen collects what peers say to the attacker.
func (g *gossiper) listen() {
	g.host.SetStreamHandler(pubsub.GossipSubID_v12, func(s network.Stream) {
		for r := bufio.NewReader(s); ; {
			size, err := binary.ReadUvarint(r)
			if err != nil {
				return
			}
			b := make([]byte, size)
			if _, err := io.ReadFull(r, b); err != nil {
				return
			}
			rpc := new(pb.RPC)
			if err := proto.Unmarshal(b, rpc); err != nil {
				return
			}
			g.mu.Lock()
			g.got = append(g.got, rpc)
			g.mu.Unlock()
		}
	})
}

// send sends an RPC and reports whether the stream took it.
func (g *gossiper) send(rpc *pb.RPC) bool {
	b, err := proto.Marshal(rpc)
	if err != nil {
		g.t.Fatal(err)
	}
	_, err = g.out.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
	return err == nil
}

// topics returns the topics that the attacker heard of.
func (g *gossiper) topics() (out []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, rpc := range g.got {
		for _, s := range rpc.GetSubscriptions() {
			out = append(out, s.GetTopicid())
		}
	}
	return out
}

// heard returns how many messages, and message ids in IWANTs, came to the attacker.
func (g *gossiper) heard() (messages, wanted int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, rpc := range g.got {
		messages += len(rpc.GetPublish())
		for _, w := range rpc.GetControl().GetIwant() {
			wanted += len(w.GetMessageIDs())
		}
	}
	return messages, wanted
}

// publish sends a payload on the topic.
func (g *gossiper) publish(payload []byte) bool {
	return g.send(&pb.RPC{Publish: []*pb.Message{{Topic: &g.topic, Data: payload}}})
}

// payload seals what a member may say.
func (g *gossiper) payload(msg protocol.Gossip) []byte {
	g.t.Helper()
	p, fits := msg.Seal(g.ring[g.epoch].Header(g.e.ID(), g.epoch), g.e.ID(), g.epoch)
	if !fits {
		g.t.Fatal("too long")
	}
	return p
}

// ops is a payload of operations.
func (g *gossiper) ops(ops ...oplog.Op) []byte {
	var msg protocol.Gossip
	for _, o := range ops {
		msg.Ops = append(msg.Ops, o.Pair())
	}
	return g.payload(msg)
}

// writes makes the attacker's next honest article.
func (g *gossiper) writes(title string) oplog.Op {
	g.t.Helper()
	tip, ok := g.e.Log().Tip(g.key.ID(), oplog.Content)
	o := g.article(g.key, title, func(d *oplog.Draft) {
		if ok {
			d.Seq, d.Prev = tip.Seq()+1, tip.ID()
		}
	})
	if _, err := g.e.Add(o); err != nil {
		g.t.Fatal(err)
	}
	return o
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// boardOfThree is Alice's board with an honest Bob and an attacker who gossips with
// Alice.
func boardOfThree(t *testing.T) (n *Net, alice, bob *Peer, m *gossiper) {
	t.Helper()
	n, alice = aliceAndBoard(t)
	n.Unchecked()
	inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 5})
	bob = n.Add("bob")
	n.opens(bob, inv.Link, "done")
	m = n.gossiper(0, "mallory", alice, inv.Link)
	pass(2 * time.Second)
	return n, alice, bob, m
}

// served fails the test unless an article of Alice's is with Bob within half a
// round trip and some more.
func served(t *testing.T, n *Net, alice, bob *Peer, while string) {
	t.Helper()
	before := len(titles(bob, "dev"))
	post(t, alice, "dev", while, 100)
	took := n.Until(time.Minute, "an article "+while, func() bool { return len(titles(bob, "dev")) > before })
	if took > n.rtt {
		t.Errorf("%s an article takes %v, want at most a round trip of %v", while, took, n.rtt)
	}
}

// TestAttackG1: a member who floods with IHAVE, IWANT, GRAFT and IDONTWANT. What
// that costs is bounded, and others are served.
func TestAttackG1(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	ids := func(k int) (out []string) {
		for range k {
			out = append(out, string(random(32)))
		}
		return out
	}
	for what, flood := range map[string]func(m *gossiper) *pb.ControlMessage{
		"IHAVE": func(m *gossiper) *pb.ControlMessage {
			return &pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: &m.topic, MessageIDs: ids(4000)}}}
		},
		"IWANT": func(*gossiper) *pb.ControlMessage {
			return &pb.ControlMessage{Iwant: []*pb.ControlIWant{{MessageIDs: ids(4000)}}}
		},
		"GRAFT": func(*gossiper) *pb.ControlMessage {
			c := new(pb.ControlMessage)
			for range 4000 {
				topic := fmt.Sprintf("%032x", random(16))
				c.Graft = append(c.Graft, &pb.ControlGraft{TopicID: &topic})
			}
			return c
		},
		"IDONTWANT": func(*gossiper) *pb.ControlMessage {
			return &pb.ControlMessage{Idontwant: []*pb.ControlIDontWant{{MessageIDs: ids(4000)}}}
		},
	} {
		story(t, what, func(t *testing.T) {
			n, alice, bob, m := boardOfThree(t)
			post(t, alice, "dev", "before", 8000)
			pass(time.Second)
			heap, _ := int64(heapNow()), 0
			sent, start := 0, time.Now()
			for range rounds {
				for range 10 {
					if m.send(&pb.RPC{Control: flood(m)}) {
						sent++
					}
				}
				served(t, n, alice, bob, "while "+what+" comes")
			}
			took := time.Since(start)
			if grown := int64(heapNow()) - heap; grown > 16<<20 {
				t.Errorf("the heap grew by %d KiB", grown>>10)
			}
			// 500 ids are asked for in a heartbeat, and a message is sent three times on demand.
			messages, wanted := m.heard()
			if most := 500 * (int(took/time.Second) + 3); wanted > most {
				t.Errorf("%d message ids were asked for in %v, want at most %d", wanted, took, most)
			}
			if messages > 3*(rounds+1) {
				t.Errorf("%d messages were sent, of %d articles", messages, rounds+1)
			}
			t.Logf("%d RPCs in %v: %d messages sent, %d ids asked for", sent, took, messages, wanted)
		})
	}
}

// TestAttackG1Rate: no more than a bounded rate is read from one member, whatever
// he sends.
func TestAttackG1Rate(t *testing.T) {
	t.Parallel()
	story(t, "", func(t *testing.T) {
		n, alice, bob, m := boardOfThree(t)
		before, start := gossiped(alice), time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for time.Since(start) < 10*time.Second && m.send(&pb.RPC{Publish: []*pb.Message{{Topic: new("other"), Data: random(200_000)}}}) {
				if time.Since(start) > time.Minute {
					return
				}
			}
		}()
		pass(9 * time.Second)
		served(t, n, alice, bob, "while one sends all he can")
		read := gossiped(alice) - before
		if most := 4<<20 + 11<<20; read > most {
			t.Errorf("%d KiB were read in %v, want at most %d", read>>10, time.Since(start), most>>10)
		}
		if read < 8<<20 {
			t.Errorf("only %d KiB were sent: this proves nothing", read>>10)
		}
		_ = m.out.Reset()
		<-done
	})
}

// TestAttackG2: after four invalid messages nobody listens to who sent them, after
// three everybody still does.
func TestAttackG2(t *testing.T) {
	t.Parallel()
	for what, bad := range map[string]func(m *gossiper) []byte{
		"noise":     func(*gossiper) []byte { return random(200) },
		"too short": func(*gossiper) []byte { return random(3) },
		"too long":  func(*gossiper) []byte { return random(protocol.MaxGossipPayload + 1) },
		"empty":     func(m *gossiper) []byte { return m.payload(protocol.Gossip{}) },
		"ops and heads": func(m *gossiper) []byte {
			return m.payload(protocol.Gossip{Ops: []oplog.Pair{{Envelope: random(10)}}, Heads: oplog.Vector{{ID: keys.Digest{1}}}})
		},
		"no op": func(m *gossiper) []byte {
			return m.payload(protocol.Gossip{Ops: []oplog.Pair{{Envelope: random(300)}}})
		},
		"not CBOR": func(m *gossiper) []byte { return m.seal(m.e.ID(), m.epoch, random(40)) },
		"another epoch": func(m *gossiper) []byte {
			return m.seal(m.e.ID(), keys.Digest{7}, keys.Marshal(protocol.Gossip{Ops: []oplog.Pair{m.writes("x").Pair()}}))
		},
		"another entity": func(m *gossiper) []byte {
			return m.seal(keys.Digest{7}, m.epoch, keys.Marshal(protocol.Gossip{Ops: []oplog.Pair{m.writes("x").Pair()}}))
		},
		"an op of another entity": func(m *gossiper) []byte {
			return m.ops(m.article(m.key, "x", func(d *oplog.Draft) { d.Entity = keys.Hash("x", random(8)) }))
		},
		"a bad signature among good ops": func(m *gossiper) []byte {
			bad := badlySigned(m.article(m.key, fmt.Sprintf("%x", random(4)), nil))
			return m.payload(protocol.Gossip{Ops: []oplog.Pair{m.writes("good").Pair(), bad}})
		},
		"an op without its body among good ops": func(m *gossiper) []byte {
			without := m.article(m.key, fmt.Sprintf("%x", random(4)), nil).WithoutBody()
			return m.ops(m.writes("good"), without)
		},
		"an op with another's body": func(m *gossiper) []byte {
			p := m.article(m.key, fmt.Sprintf("%x", random(4)), nil).Pair()
			p.Body = random(len(p.Body))
			return m.payload(protocol.Gossip{Ops: []oplog.Pair{p}})
		},
		"an op without the right": func(m *gossiper) []byte {
			o, err := oplog.Sign(m.key, oplog.Draft{
				Entity: m.e.ID(), User: m.user(), Strand: oplog.Control, Family: oplog.FamilyPolicy, Type: entity.TypeTitle,
				Parents: m.e.Log().Heads(oplog.Control), At: time.Now(), Body: keys.Marshal(entity.Text{Text: fmt.Sprintf("%x", random(4))}),
			})
			if err != nil {
				m.t.Fatal(err)
			}
			return m.ops(o)
		},
	} {
		for _, times := range []int{3, 4} {
			story(t, fmt.Sprint(what, "/", times), func(t *testing.T) {
				n, alice, bob, m := boardOfThree(t)
				before, _ := boardOf(t, alice)
				for range times {
					m.publish(bad(m))
				}
				pass(time.Second)
				if now, _ := boardOf(t, alice); now != before {
					t.Errorf("alice went from %d to %d operations", before, now)
				}
				m.member.e = entityOf(t, m.member, alice) // his own log is what she has
				o := m.writes("honest")
				m.publish(m.ops(o))
				pass(n.rtt + 10*time.Millisecond) // by alice to bob
				want := 0
				if times == 3 {
					want = 1
				}
				for _, p := range []*Peer{alice, bob} {
					if _, got := boardOf(t, p); got != want {
						t.Errorf("after %d × %s an honest article: %s has %d, want %d", times, what, p.Name, got, want)
					}
				}
			})
		}
	}
}

// entityOf returns the entity as a peer has it.
func entityOf(t *testing.T, m *member, p *Peer) *entity.Entity {
	t.Helper()
	s, err := p.stored(false)
	if err != nil {
		t.Fatal(err)
	}
	return s.entities[m.e.ID()]
}

// seal is payload for any epoch, entity and content.
func (g *gossiper) seal(eid, epoch keys.Digest, plain []byte) []byte {
	return g.ring[g.epoch].Header(eid, epoch).Seal(eid, epoch, nil, plain)
}

// TestAttackG4: a member who subscribes to ten thousand topics, in one RPC and in
// many.
func TestAttackG4(t *testing.T) {
	for name, each := range map[string]int{"at once": 10_000, "a hundred at a time": 100} {
		story(t, name, func(t *testing.T) {
			n, alice, bob, m := boardOfThree(t)
			heap := int64(heapNow())
			for left := 10_000; left > 0; left -= each {
				rpc := new(pb.RPC)
				for range each {
					topic := fmt.Sprintf("%032x", random(16))
					rpc.Subscriptions = append(rpc.Subscriptions, &pb.RPC_SubOpts{Topicid: &topic, Subscribe: new(true)})
				}
				m.send(rpc)
			}
			pass(time.Second)
			if grown := int64(heapNow()) - heap; grown > 4<<20 {
				t.Errorf("the heap grew by %d KiB", grown>>10)
			}
			served(t, n, alice, bob, "after ten thousand topics")
		})
	}
}

// TestAttackG4OneAddress: members who come from one address, more than a household
// has, are heard by nobody, and as many as that are.
func TestAttackG4OneAddress(t *testing.T) {
	t.Parallel()
	for count, want := range map[int]int{8: 1, 24: 0} {
		story(t, fmt.Sprint(count), func(t *testing.T) {
			n, alice := aliceAndBoard(t)
			n.Unchecked()
			inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 30})
			bob := n.Add("bob")
			n.opens(bob, inv.Link, "done")
			var last *gossiper
			for i := range count {
				a := n.attackerAt(fmt.Sprint("m", i), keys.New(), func(device keys.Private) host.Host { return n.newHostAt("198.51.100.7", 8001+i, device) })
				// Named when they connect, as a node does: libp2p hears ten later changes of one network.
				a.host.SetStreamHandler(pubsub.GossipSubID_v12, func(s network.Stream) { _ = s.Reset() })
				j := a.join(alice, inv.Link)
				last = n.gossips(&member{attacker: a, e: j.Entity, ring: j.Ring}, alice)
				pass(200 * time.Millisecond)
			}
			pass(2 * time.Minute) // scores look at addresses once a minute
			last.e = entityOf(t, last.member, alice)
			last.publish(last.ops(last.writes("from a crowd")))
			pass(n.rtt + 10*time.Millisecond)
			for _, p := range []*Peer{alice, bob} {
				if _, got := boardOf(t, p); got != want {
					t.Errorf("with %d of one address an article of one of them: %s has %d, want %d", count, p.Name, got, want)
				}
			}
			served(t, n, alice, bob, "beside the crowd")
		})
	}
}

// TestAttackG5: who is no member hears no topic and no message: not when he asks,
// not when he knows a topic's name, and not while he asks to join.
func TestAttackG5(t *testing.T) {
	t.Parallel()
	story(t, "", func(t *testing.T) {
		n, alice, bob, m := boardOfThree(t)
		inv := boardLink(t, alice, node.InviteOptions{Uses: 5}) // a person decides
		s := &gossiper{member: &member{attacker: n.attacker(1, "stranger")}, topic: m.topic}
		s.listen()
		w := s.mustOpen(alice, protocol.ID)
		s.play(w, inv.Link, nil) // until it waits for a person
		for _, id := range meshsub {
			for range 3 {
				out, err := s.host.NewStream(t.Context(), alice.Host.ID(), id)
				if err != nil {
					continue
				}
				s.out = out
				s.send(&pb.RPC{
					Subscriptions: []*pb.RPC_SubOpts{{Topicid: &m.topic, Subscribe: new(true)}},
					Control: &pb.ControlMessage{
						Graft: []*pb.ControlGraft{{TopicID: &m.topic}}, Iwant: []*pb.ControlIWant{{MessageIDs: []string{string(random(32))}}},
					},
				})
				b, _ := io.ReadAll(out)
				if len(b) > 0 {
					t.Errorf("a stranger was answered %x", b)
				}
			}
		}
		for range 3 {
			served(t, n, alice, bob, "while a stranger listens")
			pass(time.Minute)
		}
		if got := s.topics(); len(got) > 0 {
			t.Errorf("a stranger heard of the topics %q", got)
		}
		if messages, _ := s.heard(); messages > 0 {
			t.Errorf("a stranger heard %d messages", messages)
		}
		if got, want := gossipStreams(alice, s.host.Network()), 0; got != want {
			t.Errorf("alice has %d streams of gossip with a stranger, want %d", got, want)
		}
		// The control: the member next to him heard both.
		if messages, _ := m.heard(); messages < 3 || !slices.Contains(m.topics(), m.topic) {
			t.Errorf("the member heard %d messages of 3: this proves nothing", messages)
		}
	})
}

// TestAttackG5OtherTopic: a member of one board who knows the name of another's
// topic hears nothing that is said there.
func TestAttackG5OtherTopic(t *testing.T) {
	t.Parallel()
	story(t, "", func(t *testing.T) {
		n, alice, bob, m := boardOfThree(t)
		newBoard(t, alice, "secret", "link")
		v := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "secret", Auto: true})
		n.opens(bob, v.Link, "done")
		pass(time.Second)
		heard := m.topics() // alice names all of hers to all she gossips with
		for _, topic := range heard {
			m.send(&pb.RPC{
				Subscriptions: []*pb.RPC_SubOpts{{Topicid: &topic, Subscribe: new(true)}},
				Control:       &pb.ControlMessage{Graft: []*pb.ControlGraft{{TopicID: &topic}}},
			})
		}
		pass(time.Second)
		before, _ := m.heard()
		post(t, alice, "secret", "not for him", 100)
		n.Until(time.Minute, "the article at bob", func() bool { return len(titles(bob, "secret")) == 1 })
		post(t, bob, "secret", "nor this one", 100) // which alice forwards to her mesh
		n.Until(time.Minute, "the article at alice", func() bool { return len(titles(alice, "secret")) == 2 })
		pass(time.Minute)
		if now, _ := m.heard(); now != before {
			t.Errorf("a member of another board heard %d messages", now-before)
		}
		post(t, alice, "dev", "for him too", 100)
		pass(time.Second)
		if now, _ := m.heard(); now != before+1 {
			t.Errorf("he heard %d messages of his own board, want 1: this proves nothing", now-before)
		}
	})
}

// TestAttackG6: who left or was removed stays subscribed, and hears nothing new and
// brings nothing more: neither one who shares nothing else, nor one who gossips on
// elsewhere.
func TestAttackG6(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what               string
		elsewhere, removed bool
	}{
		{"left, out of all", false, false},
		{"left, in another board", true, false},
		{"removed, out of all", false, true},
		{"removed, in another board", true, true},
	} {
		elsewhere := c.elsewhere
		story(t, c.what, func(t *testing.T) {
			n, alice, bob, m := boardOfThree(t)
			if elsewhere {
				newBoard(t, alice, "other", "link")
				m.join(alice, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "other", Auto: true}).Link)
			}
			post(t, alice, "dev", "for him too", 100)
			pass(time.Second)
			before, _ := m.heard()
			if before == 0 {
				t.Fatal("he heard nothing while he was a member: this proves nothing")
			}
			late := m.article(m.key, "written before, shown after", nil)
			topics := len(m.topics())
			if c.removed {
				if _, err := alice.Node.RemoveMember(t.Context(), "dev", m.user().String()); err != nil {
					t.Fatal(err)
				}
			} else {
				m.publish(m.ops(m.leave()))
			}
			pass(time.Second)
			if ms, err := bob.Node.Members("dev"); err != nil || len(ms) != 3 || ms[2].State == "active" && ms[1].State == "active" {
				t.Fatalf("%+v, %v: he is not gone", ms, err)
			}
			before, _ = m.heard()
			for range 3 {
				served(t, n, alice, bob, "after he went")
				if s, err := m.host.NewStream(t.Context(), alice.Host.ID(), pubsub.GossipSubID_v12); err == nil {
					m.out = s
					m.send(&pb.RPC{Subscriptions: []*pb.RPC_SubOpts{{Topicid: &m.topic, Subscribe: new(true)}}})
					m.publish(m.ops(late))
				}
				pass(time.Minute)
			}
			if now, _ := m.heard(); now != before {
				t.Errorf("he heard %d messages after he went", now-before)
			}
			if now := len(m.topics()); now != topics && !elsewhere {
				t.Errorf("he heard of %d topics after he went", now-topics)
			}
			if _, taken := entityOf(t, m.member, alice).Log().Get(late.ID()); taken {
				t.Error("what he showed after he left was taken")
			}
		})
	}
}

// TestAttackG6NoOwner: while no owner is there to change the key, the others write with
// one that who left has; he hears nothing of it all the same.
func TestAttackG6NoOwner(t *testing.T) {
	t.Parallel()
	story(t, "", func(t *testing.T) {
		n, alice, bob, m := boardOfThree(t)
		carol := n.Add("carol")
		n.opens(carol, boardLink(t, alice, node.InviteOptions{Auto: true}).Link, "done")
		if err := m.host.Connect(t.Context(), bob.Host.Peerstore().PeerInfo(bob.Host.ID())); err != nil {
			t.Fatal(err)
		}
		g := n.gossips(m.member, bob)
		pass(time.Minute)
		alice.Crash()
		before, _ := g.heard()
		served(t, n, bob, carol, "while he is a member")
		pass(time.Second)
		if now, _ := g.heard(); now == before {
			t.Fatal("he heard nothing while he was a member: this proves nothing")
		}
		topics := len(g.topics())
		g.publish(g.ops(g.leave()))
		n.Until(time.Minute, "carol knows", func() bool {
			ms, err := carol.Node.Members("dev")
			return err == nil && slices.ContainsFunc(ms, func(v node.MemberView) bool { return v.UserID == m.user() && v.State == "left" })
		})
		before, _ = g.heard()
		for range 3 {
			served(t, n, bob, carol, "after he went")
			if s, err := g.host.NewStream(t.Context(), bob.Host.ID(), pubsub.GossipSubID_v12); err == nil {
				g.out = s
				g.send(&pb.RPC{Subscriptions: []*pb.RPC_SubOpts{{Topicid: &g.topic, Subscribe: new(true)}}})
			}
			pass(time.Minute)
		}
		writing, ok := entityOf(t, m.member, bob).State().WritingEpoch(func(keys.Digest) bool { return true })
		if !ok || writing.ID != g.epoch || !writing.Left {
			t.Fatalf("they write in %+v: this proves nothing", writing)
		}
		if now, _ := g.heard(); now != before || len(g.topics()) != topics {
			t.Errorf("he heard %d messages after he went, and of %d topics", now-before, len(g.topics())-topics)
		}
	})
}

// TestAttackGossipReplay: old payloads, and old operations in new ones, go no
// further, however late they come.
func TestAttackGossipReplay(t *testing.T) {
	t.Parallel()
	story(t, "", func(t *testing.T) {
		n, alice, bob, m := boardOfThree(t)
		o := m.writes("once")
		old := m.ops(o)
		m.publish(old)
		n.Until(time.Second, "the article at bob", func() bool { return len(titles(bob, "dev")) == 1 })
		for _, late := range []time.Duration{time.Second, 11 * time.Minute, time.Minute} {
			pass(late)
			keysBefore, read := storeKeys(t, alice), gossiped(bob)
			for range 50 {
				m.publish(old)
				m.publish(m.ops(o)) // the same operation under another nonce
			}
			pass(time.Second)
			if got := storeKeys(t, alice); got != keysBefore {
				t.Errorf("%v later alice's store went from %d to %d entries", late, keysBefore, got)
			}
			if got := gossiped(bob) - read; got > 4*len(old) {
				t.Errorf("%v later bob got %d bytes for replays of %d bytes", late, got, len(old))
			}
		}
		served(t, n, alice, bob, "after the replays")
		m.publish(m.ops(m.writes("another")))
		n.Until(time.Second, "his next article at bob", func() bool { return len(titles(bob, "dev")) == 3 })
	})
}

// TestAttackGossipHeads: heads that nobody has cost a sync at a time, and no more.
func TestAttackGossipHeads(t *testing.T) {
	t.Parallel()
	story(t, "", func(t *testing.T) {
		n, alice, bob, m := boardOfThree(t)
		silent := m.leavesUnanswered()
		for range 500 {
			m.publish(m.payload(protocol.Gossip{Heads: oplog.Vector{{Device: m.key.ID(), Strand: oplog.Content, Seq: 9, ID: keys.Digest(random(32))}}}))
		}
		served(t, n, alice, bob, "while heads are announced")
		pass(time.Minute)
		if asked, most := silent.count(); asked == 0 || most > 2 { // one for the heads, one of the rounds of keeping
			t.Errorf("%d syncs were asked for, %d at once; want one at a time", asked, most)
		}
	})
}

// TestAttackGossipOwnOps: an operation signed with a node's own key that its store
// does not have, brought by gossip: nothing is written there any more.
func TestAttackGossipOwnOps(t *testing.T) {
	t.Parallel()
	story(t, "", func(t *testing.T) {
		n, alice, bob, m := boardOfThree(t)
		served(t, n, alice, bob, "before")
		o := m.article(alice.Device(), "by a copy of alice's device", func(d *oplog.Draft) { d.User = alice.User() })
		m.publish(m.ops(o))
		pass(time.Second)
		if h := alice.Node.Status().Health; len(h) != 1 || h[0].Code != "store_behind" {
			t.Errorf("alice's health is %+v, want store_behind", h)
		}
		if _, err := alice.Node.NewArticle(t.Context(), "dev", "", "after it", ""); code(err) != "store_behind" {
			t.Errorf("alice writes on: %v, want store_behind", err)
		}
	})
}

// TestGossipInOrder: operations that follow one another closely are taken in their
// order, and nobody is asked for what is on its way. What one member pushes is not
// pushed back to him.
func TestGossipInOrder(t *testing.T) {
	t.Parallel()
	story(t, "", func(t *testing.T) {
		n, _, bob, m := boardOfThree(t)
		var mu sync.Mutex
		asked := 0
		m.host.SetStreamHandler(protocol.SyncID, func(s network.Stream) {
			mu.Lock()
			asked++
			mu.Unlock()
			_ = s.Reset()
		})
		const count = 200
		for i := range count {
			m.publish(m.ops(m.writes(fmt.Sprint(i))))
		}
		n.Until(5*time.Second, "all at bob", func() bool { return len(titles(bob, "dev")) == count })
		mu.Lock()
		if asked > 2 { // a round of keeping
			t.Errorf("he was asked for %d syncs while %d operations came", asked, count)
		}
		mu.Unlock()

		quiet := n.member(1, "quiet", n.Peers[0], boardLink(t, n.Peers[0], node.InviteOptions{Auto: true}).Link)
		quiet.e = entityOf(t, quiet, n.Peers[0])
		pass(2 * time.Second)
		pushed := 0
		quiet.host.SetStreamHandler(protocol.SyncID, func(s network.Stream) {
			if b, _ := io.ReadAll(s); len(b) > 200 { // more than a hello
				mu.Lock()
				pushed++
				mu.Unlock()
			}
		})
		quiet.push(n.Peers[0], quiet.e.ID(), quiet.article(quiet.key, "by who does not gossip", nil).Pair())
		n.Until(time.Second, "his article at bob", func() bool { return len(titles(bob, "dev")) == count+1 })
		pass(time.Second)
		mu.Lock()
		if pushed != 0 {
			t.Errorf("what he pushed came back %d times", pushed)
		}
		mu.Unlock()
		post(t, bob, "dev", "by bob", 300)
		pass(time.Second)
		mu.Lock()
		if pushed != 1 {
			t.Errorf("bob's article was pushed %d times to who does not gossip, want once", pushed)
		}
		mu.Unlock()
	})
}
