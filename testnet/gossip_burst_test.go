package testnet

import (
	"fmt"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"

	"pttnode/node"
	"pttnode/protocol"
)

// TestGossipBurst: hundreds of messages that come in one moment are all checked and all
// passed on: none is lost in a queue, so nobody asks for a sync.
func TestGossipBurst(t *testing.T) {
	t.Parallel()
	for what, deaf := range map[string]time.Duration{"at once": 0, "to one who hears nothing for two seconds": 2 * time.Second} {
		story(t, what, func(t *testing.T) { gossipBurst(t, deaf) })
	}
}

func gossipBurst(t *testing.T, deaf time.Duration) {
	n, alice, bob, m := boardOfThree(t)
	silent := m.leavesUnanswered()
	pass(newcomerTime) // from then on alice passes on by gossip alone
	const count = 350  // of 600 bytes: what one RPC holds
	rpc := new(pb.RPC)
	for i := range count {
		rpc.Publish = append(rpc.Publish, &pb.Message{Topic: &m.topic, Data: m.ops(m.writes(fmt.Sprint(i)))})
	}
	served := alice.Served(protocol.SyncID).Streams
	before, _ := silent.count()
	if deaf > 0 {
		n.Partition(alice, bob)
	}
	if !m.send(rpc) {
		t.Fatal("not sent")
	}
	pass(deaf)
	n.Heal()
	n.Until(5*time.Second, "all of them at bob", func() bool { return len(titles(bob, "dev")) == count })
	if asked, _ := silent.count(); asked-before > 1 { // a round of keeping
		t.Errorf("alice asked for %d syncs", asked-before)
	}
	if got := alice.Served(protocol.SyncID).Streams - served; got > 4 { // a round, of what the two share
		t.Errorf("bob asked for %d syncs", got)
	}
}

// newcomerTime is for how long who came into a topic is pushed to as well, and some more.
const newcomerTime = 61 * time.Second

// TestGossipNewcomerMesh: half a second after a newcomer has the board, what others
// pass on comes to him by gossip as to everybody else, whenever in the course of
// gossip's heartbeat, of a second, he came: he joined the topic when he knew who was
// in it. That pushes would bring it too is taken away here.
func TestGossipNewcomerMesh(t *testing.T) {
	t.Parallel()
	for phase := range 10 {
		story(t, fmt.Sprint(phase), func(t *testing.T) {
			n, alice, _, m := boardOfThree(t)
			inv := boardLink(t, alice, node.InviteOptions{Auto: true})
			pass(time.Duration(phase) * 100 * time.Millisecond)
			carol := n.Add("carol")
			n.opens(carol, inv.Link, "done")
			carol.Host.RemoveStreamHandler(protocol.SyncID)
			pass(500 * time.Millisecond)
			m.publish(m.ops(m.writes("passed on")))
			if took := n.Until(time.Minute, "the article at carol", func() bool { return len(titles(carol, "dev")) == 1 }); took > n.rtt+10*time.Millisecond {
				t.Errorf("it took %v, want the two half ways of %v", took, n.rtt)
			}
		})
	}
}
