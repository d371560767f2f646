package testnet

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"

	"pttnode/keys"
	"pttnode/node"
	"pttnode/protocol"
)

// connections returns how many connections a peer has with another host's identity.
func (p *Peer) connections(a *attacker) int {
	return len(p.Host.Network().ConnsToPeer(a.host.ID()))
}

// TestStrangerIsSentAway: who shares nothing with us may stay while it joins, and a
// minute without.
func TestStrangerIsSentAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		n.Unchecked()
		inv := boardLink(t, alice, node.InviteOptions{Uses: 5})
		bob := n.Add("bob")
		waits(t, bob, join(t, bob, inv.Link)) // and his stream is parked
		a := n.attacker(0, "stranger")
		w := a.mustOpen(alice, protocol.SyncID) // connected, and refused
		w.refused(t, "a sync of a stranger")
		pass(55 * time.Second)
		if got := alice.connections(a); got != 1 {
			t.Errorf("after 55 s a stranger has %d connections, want 1", got)
		}
		took := n.Until(20*time.Second, "the stranger gone", func() bool { return alice.connections(a) == 0 })
		t.Logf("sent away after %v", 55*time.Second+took)
		pass(10 * time.Minute)
		if alice.Host.Network().Connectedness(bob.Host.ID()) != network.Connected {
			t.Error("who waits for a decision was sent away")
		}
		if got := len(alice.Node.Peers()); got != 1 {
			t.Errorf("alice has %d peers, want bob", got)
		}
	})
}

// TestStrangerHasOneConnection: of several the newest stays: who was killed and is
// back is not locked out by what is left of it.
func TestStrangerHasOneConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		n.Unchecked()
		inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 5})
		key := keys.New()
		var last *attacker
		for i := range 6 {
			last = n.attackerWith(i, "mallory", key)
			w := last.mustOpen(alice, protocol.SyncID)
			w.refused(t, "a sync of a stranger")
			pass(100 * time.Millisecond)
			if got := alice.connections(last); got > 2 {
				t.Errorf("with %d hosts a stranger has %d connections, want at most 2", i+1, got)
			}
		}
		pass(10 * time.Second)
		conns := alice.Host.Network().ConnsToPeer(last.host.ID())
		if len(conns) != 1 || conns[0].RemoteMultiaddr().String() != last.host.Addrs()[0].String() {
			t.Fatalf("ten seconds later: %v, want the newest", conns)
		}
		last.join(alice, inv.Link)
	})
}

// protects reports whether p spares its connections to other.
func (p *Peer) protects(other *Peer) bool {
	return p.Host.ConnManager().IsProtected(other.Host.ID(), "ptt")
}

// TestProtected: whose connections are not trimmed, and no longer when the reason is
// gone.
func TestProtected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, bob, carol := bobAndCarol(t)
		befriend(t, bob, carol)
		phone := linkDevice(t, alice, "alice-phone")
		tablet := linkDevice(t, alice, "alice-tablet")
		pass(2 * time.Minute) // so that members are connected
		for _, c := range []struct {
			who, whom *Peer
			want      bool
			why       string
		}{
			{bob, alice, true, "alice owns the board"},
			{alice, bob, false, "bob is a member"},
			{bob, carol, true, "carol is a friend"},
			{carol, bob, true, "bob is a friend"},
			{alice, phone, true, "it is her own device"},
			{phone, alice, true, "it is its own person's device"},
		} {
			if got := c.who.protects(c.whom); got != c.want {
				t.Errorf("%s protects %s: %v, want %v: %s", c.who.Name, c.whom.Name, got, c.want, c.why)
			}
		}
		own := make(map[string]string) // what our own devices are called, by peer id
		for _, v := range alice.Node.Peers() {
			if v.Relation == "own" {
				own[v.PeerID] = v.Name
			}
		}
		if want := map[string]string{phone.Host.ID().String(): "alice-phone", tablet.Host.ID().String(): "alice-tablet"}; !maps.Equal(own, want) {
			t.Errorf("alice's own devices among her peers: %v, want %v", own, want)
		}

		if err := bob.Node.LeaveBoard(t.Context(), "dev"); err != nil {
			t.Fatal(err)
		}
		n.Until(5*time.Second, "bob protecting alice no more", func() bool { return !bob.protects(alice) })

		// Both sides of a request that waits.
		dave := n.Add("dave")
		byHand := boardLink(t, alice, node.InviteOptions{})
		r := join(t, dave, byHand.Link)
		waits(t, dave, r)
		n.Until(5*time.Second, "both protected", func() bool { return dave.protects(alice) && alice.protects(dave) })
		if _, err := dave.Node.Cancel(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		n.Until(2*time.Minute, "neither protected", func() bool { return !dave.protects(alice) && !alice.protects(dave) })
	})
}

// waitsLong has bob ask alice, who is away so long that he tries seldom, and brings
// her back.
func waitsLong(t *testing.T) (n *Net, bob *Peer, request string) {
	t.Helper()
	n, alice := aliceAndBoard(t)
	bob = n.Add("bob")
	inv := boardLink(t, alice, node.InviteOptions{Auto: true})
	alice.Crash()
	request = join(t, bob, inv.Link)
	pass(2 * time.Hour)
	n.Until(15*time.Minute, "a long pause", func() bool {
		r, err := bob.Node.Request(request)
		return err == nil && r.NextTryAt != nil && r.NextTryAt.After(time.Now().Add(5*time.Minute))
	})
	alice.Start()
	return n, bob, request
}

func isDone(p *Peer, request string) func() bool {
	return func() bool {
		r, err := p.Node.Request(request)
		return err == nil && r.State == "done"
	}
}

// TestNewAddressDialsAnew: when our addresses have changed, what waits is tried at
// once.
func TestNewAddressDialsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, bob, r := waitsLong(t)
		e, err := bob.Host.EventBus().Emitter(new(event.EvtLocalAddressesUpdated))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if err := e.Emit(event.EvtLocalAddressesUpdated{}); err != nil {
			t.Fatal(err)
		}
		n.Until(2*time.Second, "joined", isDone(bob, r))
	})
}

// TestSleepDialsAnew: the same after the machine slept, which shows in the two
// clocks, by the next round.
func TestSleepDialsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, bob, r := waitsLong(t)
		bob.Skew(time.Hour)
		n.Until(40*time.Second, "joined", isDone(bob, r))
	})
}

// TestLeaverDialsNobody: once somebody has heard of it, a member who left dials
// nobody of the board, and until then he does.
func TestLeaverDialsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		bob := n.Add("bob")
		inv := boardLink(t, alice, node.InviteOptions{Auto: true})
		n.opens(bob, inv.Link, "done")
		pass(time.Minute)
		n.Partition(alice, bob)
		apart := func() {
			_ = alice.Host.Network().ClosePeer(bob.Host.ID())
			_ = bob.Host.Network().ClosePeer(alice.Host.ID())
		}
		apart()
		if err := bob.Node.LeaveBoard(t.Context(), "dev"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		n.Heal()
		n.Until(5*time.Minute, "alice hearing of it", func() bool {
			ms, err := alice.Node.Members("dev")
			return err == nil && len(ms) == 2 && (ms[0].State == "left" || ms[1].State == "left")
		})
		pass(time.Minute)
		apart()
		pass(5 * time.Minute)
		if bob.Host.Network().Connectedness(alice.Host.ID()) == network.Connected {
			for _, c := range bob.Host.Network().Conns() {
				t.Errorf("five minutes later the leaver is connected again: %v %v", c, c.Stat())
			}
		}
	})
}

// TestPendingAndHungUp: an issuer that answers that one has to wait, and hangs up,
// is not asked again without pauses.
func TestPendingAndHungUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		bob := n.Add("bob")
		r := join(t, bob, boardLink(t, alice, node.InviteOptions{}).Link)
		for start := time.Now(); time.Since(start) < time.Minute; pass(10 * time.Millisecond) {
			if v, err := bob.Node.Request(r); err == nil && v.State == "waiting_approval" && v.NextTryAt == nil {
				_ = alice.Host.Network().ClosePeer(bob.Host.ID())
			}
		}
		got := alice.Served(protocol.ID).Streams
		if got < 3 || got > 10 { // after 50-250 ms, 2, 4, 8, 16, 32 s
			t.Errorf("within a minute bob asked %d times, want 3 to 10", got)
		}
		t.Logf("asked %d times", got)
		approveNew(alice)
		n.Until(2*time.Minute, "joined", isDone(bob, r))
	})
}
