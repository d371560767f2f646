package node

import (
	"errors"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"pttnode/keys"
	"pttnode/protocol"
)

// TestLimitRate: each budget is of one peer or subnet, ends, and comes back with
// its window.
func TestLimitRate(t *testing.T) {
	now := time.Now()
	var s spending
	for b := range budgets {
		b := budget(b)
		for i := range budgets[b].most {
			if !s.take(b, "x", now) {
				t.Fatalf("budget %d: number %d was refused, want %d", b, i, budgets[b].most)
			}
		}
		if s.take(b, "x", now) || !s.over(b, "x", now) {
			t.Errorf("budget %d: one more than %d was allowed", b, budgets[b].most)
		}
		if s.over(b, "y", now) || s.over(b, "", now) || !s.take(b, "", now) {
			t.Errorf("budget %d holds for another, or for nobody in particular", b)
		}
		if w := budgets[b].window; s.take(b, "x", now.Add(w-1)) || !s.take(b, "x", now.Add(w)) {
			t.Errorf("budget %d: want it back after %v, not before", b, w)
		}
	}
}

// TestSpendingIsForgotten: what is over takes no memory, and what is not is not
// looked through each time.
func TestSpendingIsForgotten(t *testing.T) {
	now := time.Now()
	var s spending
	for i := range 4*maxLiveJoins + 1 {
		s.add(joinsOfPeer, keys.ID{3, byte(i), byte(i >> 8)}.String(), now)
	}
	if want := 2 * 4 * maxLiveJoins; s.forget != want {
		t.Errorf("with %d open accounts the next sweep is at %d, want %d", len(s.of), s.forget, want)
	}
	now = now.Add(joinWindow)
	for i := range 4 * maxLiveJoins {
		s.add(joinsOfPeer, keys.ID{4, byte(i), byte(i >> 8)}.String(), now)
	}
	if got := len(s.of); got > 4*maxLiveJoins {
		t.Errorf("%d accounts are kept, want the new ones: %d", got, 4*maxLiveJoins)
	}
}

// remote is a connection that comes from an address.
type remote struct{ addr ma.Multiaddr }

// LocalMultiaddr is not asked for.
func (remote) LocalMultiaddr() ma.Multiaddr { return nil }

// RemoteMultiaddr returns the address.
func (r remote) RemoteMultiaddr() ma.Multiaddr { return r.addr }

func TestSubnetOf(t *testing.T) {
	for addr, want := range map[string]string{
		"/ip4/192.0.2.77/tcp/1":                   "192.0.2.0/24",
		"/ip4/192.0.2.78/udp/1/quic-v1":           "192.0.2.0/24",
		"/ip6/::ffff:192.0.2.79/tcp/1":            "192.0.2.0/24",
		"/ip6/2001:db8:1:2:3::4/udp/1/quic-v1":    "2001:db8:1::/48",
		"/ip6/2001:db8:1:ffff:3::4/udp/1/quic-v1": "2001:db8:1::/48",
		"/ip4/127.0.0.1/tcp/1":                    "",
		"/ip6/::1/tcp/1":                          "",
		"/dns4/example.org/tcp/1":                 "",
	} {
		if got := subnetOf(remote{ma.StringCast(addr)}); got != want {
			t.Errorf("subnetOf(%s) = %q, want %q", addr, got, want)
		}
	}
}

// TestServeJoinBudgets: a subnet that has had its joins is refused whoever asks; a
// refused run that nothing remembers is counted, one that has a claim is not.
func TestServeJoinBudgets(t *testing.T) {
	n, _, inv := boardTarget(t, InviteOptions{})
	join := protocol.Frame(uint8(protocol.TypeJoin), joinPayload(n.invites[inv.ID].IID))
	for i := range budgets[joinsOfSubnet].most {
		n.charge(keys.ID{7, byte(i)}, "192.0.2.0/24")
	}
	l := newLine(join, false)
	s := l.stream(keys.ID{1})
	s.subnet = "192.0.2.0/24"
	if err := n.serveJoin(t.Context(), s); !errors.Is(err, errBusy) || len(l.sent()) != 0 {
		t.Errorf("from a subnet over its budget: %v, answered with %d bytes", err, len(l.sent()))
	}
	l = newLine(join, false)
	if s = l.stream(keys.ID{1}); n.serveJoin(t.Context(), s) == nil || len(l.sent()) == 0 {
		t.Error("from elsewhere it was refused too")
	}
	if got := n.spending.of[account{joinsOfPeer, keys.ID{1}.String()}]; got == nil || got.count != 1 {
		t.Errorf("a run that came to nothing was charged %+v, want 1", got)
	}
	for range budgets[runsOfPeer].most {
		n.afford(runsOfPeer, keys.ID{2})
	}
	l = newLine(join, false)
	if err := n.serveJoin(t.Context(), l.stream(keys.ID{2})); !errors.Is(err, errBusy) || len(l.sent()) != 0 {
		t.Errorf("a peer over its runs: %v, answered with %d bytes", err, len(l.sent()))
	}
}

// TestInfoAndSyncBudgets: a member who has had his syncs, or his infos, of a minute is
// served no more of them, and another member is.
func TestInfoAndSyncBudgets(t *testing.T) {
	n, _ := target(t, nil)
	friends := []claimant{newClaimant(t), newClaimant(t)}
	for _, c := range friends {
		befriended(t, n, c, true)
	}
	for name, c := range map[string]struct {
		budget budget
		serve  func(*stream) error
	}{
		"sync": {syncsOfPeer, func(s *stream) error { return n.serveSync(t.Context(), s) }},
		"info": {infosOfPeer, func(s *stream) error { return n.serveInfo(t.Context(), s) }},
	} {
		frame := protocol.Frame(99, nil) // read, and then refused
		for range budgets[c.budget].most {
			if !n.afford(c.budget, friends[0].key.ID()) {
				t.Fatal("the budget is spent too soon")
			}
		}
		for i, want := range []bool{true, false} {
			err := c.serve(newLine(frame, false).stream(friends[i].key.ID()))
			if got := errors.Is(err, errBusy); got != want {
				t.Errorf("%s of friend %d: %v, want busy: %v", name, i, err, want)
			}
		}
	}
}
