package testnet

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pttnode/node"
)

// enlarge makes the control strand of a peer's board larger than one approval carries, by
// describing it anew again and again.
func enlarge(t *testing.T, p *Peer, board string, times int) {
	t.Helper()
	text := strings.Repeat("x", 60<<10)
	for i := range times {
		described := fmt.Sprint(text, i)
		if _, err := p.Node.SetBoard(t.Context(), board, node.BoardChange{Description: &described}); err != nil {
			t.Fatal(err)
		}
	}
}

// large is how often a board is described: 15 times fit into an approval, and the rest
// into two frames of a sync.
const large = 32

// TestControlCrash kills either side of a join whose control strand comes by sync at each
// of its writes, in the moment before it is durable and in the moment after.
func TestControlCrash(t *testing.T) {
	for _, side := range []string{"alice", "bob"} {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/written=%v", side, written), func(t *testing.T) {
				atEveryWrite(t, side, thin(), 2, func(t *testing.T, k int) bool { return controlCrash(t, side, k, written) })
			})
		}
	}
}

func controlCrash(t *testing.T, side string, k int, written bool) bool {
	p := newPair(t, "board", node.InviteOptions{Auto: true})
	enlarge(t, p.alice, "reading", large)
	victim, store := p.alice, p.aStore
	if side == "bob" {
		victim, store = p.bob, p.bStore
	}
	store.StopAt(k, written, victim.silence)
	asked := p.ask(t) == nil
	hit := false
	p.net.Until(30*time.Minute, fmt.Sprintf("joined after a stop of %s at write %d", side, k), func() bool {
		if victim.revive(store) {
			hit = true
			if !asked {
				asked = p.ask(t) == nil
			}
		}
		return p.joined()
	})
	store.StopAt(0, false, nil)
	p.net.Check(t)
	p.theOne(t)
	leftOver(t, p.bob)
	return hit
}

// leftOver fails the test if a peer keeps something of a quarantine.
func leftOver(t *testing.T, p *Peer) {
	t.Helper()
	err := p.each("/w", func(key string, _ []byte) error {
		t.Errorf("%s keeps %s", p.Name, key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestControlIssuerGone: alice lets bob in and is gone for good before he has all of the
// control strand; carol, a member, gives it to him. If he is removed meanwhile, alice or
// carol tells him.
func TestControlIssuerGone(t *testing.T) {
	for _, c := range []struct {
		name    string
		removed bool
		back    string // who is there when bob is back
		state   string
	}{
		{"another member", false, "carol", "done"},
		{"removed, the issuer", true, "alice", "rejected"},
		{"removed, another member", true, "carol", "rejected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, "board", node.InviteOptions{Auto: true, Uses: 2})
				carol := p.net.Add("carol")
				r, err := carol.Node.Join(t.Context(), p.link, "")
				if err != nil {
					t.Fatal(err)
				}
				ended(t, carol, time.Minute, r.ID)
				enlarge(t, p.alice, "reading", large)
				p.bStore.StopAt(3, true, p.bob.silence) // the request, its code, and what came with the approval
				_ = p.ask(t)
				p.net.Until(time.Minute, "what came is stored", p.bStore.Stopped)
				p.bob.Crash()
				p.bStore.Mend()
				p.net.Until(time.Minute, "carol knows of bob", func() bool { return role(carol, "reading", "bob") == "member active" })
				if c.removed {
					if _, err := p.alice.Node.RemoveMember(t.Context(), "reading", "bob"); err != nil {
						t.Fatal(err)
					}
					p.net.Until(time.Minute, "carol knows that bob is out", func() bool { return role(carol, "reading", "bob") == "member removed" })
				}
				if c.back == "carol" {
					p.alice.Crash()
				} else {
					carol.Crash()
				}
				p.bob.Start()
				p.request = p.bob.Node.Requests()[0].ID
				if v, _ := p.bob.Node.Request(p.request); v.State != "approved" || v.Progress == nil || v.Progress.Have == 0 || v.Progress.Have >= v.Progress.Total {
					t.Errorf("after the approval: %+v", v)
				}
				var v node.RequestView
				p.net.Until(10*time.Minute, "bob's request ends", func() bool {
					v, err = p.bob.Node.Request(p.request)
					return err == nil && (v.State == "done" || v.State == "rejected" || v.State == "failed")
				})
				if v.State != c.state || c.removed && v.Reason != "removed" || v.Stays {
					t.Errorf("bob's request: %+v, want %s", v, c.state)
				}
				if _, err := p.bob.Node.Board("reading"); (err == nil) != (c.state == "done") {
					t.Errorf("the board at bob: %v", err)
				}
				leftOver(t, p.bob)
				if c.back == "carol" {
					p.alice.Start()
				} else {
					carol.Start()
				}
			})
		})
	}
}

// TestControlFriend: two people become friends whose personal boards have control strands
// that no init-friend-info carries, also where one side is killed on the way.
func TestControlFriend(t *testing.T) {
	for _, side := range []string{"", "alice", "bob"} {
		t.Run("killed="+side, func(t *testing.T) {
			atEveryWrite(t, side, 3, 0, func(t *testing.T, k int) bool {
				p := newPair(t, "friend", node.InviteOptions{})
				for _, peer := range []*Peer{p.alice, p.bob} {
					enlarge(t, peer, "@"+peer.Name, large)
				}
				victim, store := p.alice, p.aStore
				if side == "bob" {
					victim, store = p.bob, p.bStore
				}
				if side != "" {
					store.StopAt(k, true, victim.silence)
				}
				asked, hit := p.ask(t) == nil, false
				p.net.Until(time.Hour, "friends", func() bool {
					if victim.revive(store) {
						hit = true
						if !asked {
							asked = p.ask(t) == nil
						}
					}
					approveNew(p.alice)
					return p.joined()
				})
				store.StopAt(0, false, nil)
				p.net.Check(t)
				leftOver(t, p.alice)
				leftOver(t, p.bob)
				return hit
			})
		})
	}
}
