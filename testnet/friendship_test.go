package testnet

import (
	"testing"
	"time"

	"pttnode/node"
)

func TestBothAddEachOther(t *testing.T) {
	t.Parallel()
	// Bob says yes so long after alice: each leaves another one of the two
	// friendships, and the other request, at another point of its way. After an hour:
	// he never answers.
	for _, later := range []time.Duration{0, rtt / 4, rtt / 2, 3 * rtt / 4, rtt, 2 * rtt, 3 * rtt, time.Second, time.Hour} {
		story(t, later.String(), func(t *testing.T) {
			n := New(t, rtt)
			alice, bob := n.Add("alice"), n.Add("bob")
			va := newLink(t, alice, node.InviteOptions{Kind: "friend"})
			vb := newLink(t, bob, node.InviteOptions{Kind: "friend"})
			rb, ra := join(t, bob, va.Link), join(t, alice, vb.Link)
			waits(t, bob, rb)
			waits(t, alice, ra)
			approveNew(alice)
			pass(later)
			for _, r := range bob.Node.Requests() {
				if r.Direction != "in" {
					continue
				}
				if later == time.Hour {
					if r.State != "rejected" || r.Reason != "already_friends" {
						t.Errorf("bob's unanswered request is %s with %q", r.State, r.Reason)
					}
					continue
				}
				_, err := bob.Node.Approve(t.Context(), r.ID)
				if err != nil && (code(err) != "already_friends" || later < rtt/2) || err == nil && later == time.Second {
					t.Errorf("bob approves after %v: %v", later, err)
				}
			}
			n.Until(2*time.Minute, "friends", func() bool { return alive(alice, "bob") && alive(bob, "alice") })
			n.Settle()
			a, errA := alice.Node.Friend("bob")
			b, errB := bob.Node.Friend("alice")
			if errA != nil || errB != nil || a.ID != b.ID {
				t.Errorf("the friendship is %v (%v) at alice and %v (%v) at bob", a.ID, errA, b.ID, errB)
			}
			for p, id := range map[*Peer]string{alice: ra, bob: rb} {
				r, err := p.Node.Request(id)
				if err != nil || r.State != "done" && r.Reason != "already_friends" {
					t.Errorf("request of %s: %+v, %v", p.Name, r, err)
				}
			}
			write(t, alice, "@alice", "for my friends")
			reads(t, bob, "@alice", "for my friends", time.Minute)
		})
	}
}

// TestBothAddEachOtherCut cuts the network while two friendships of one pair become
// one.
func TestBothAddEachOtherCut(t *testing.T) {
	t.Parallel()
	for after := time.Duration(0); after < 3*rtt; after += rtt / 4 {
		story(t, after.String(), func(t *testing.T) {
			n := New(t, rtt)
			alice, bob := n.Add("alice"), n.Add("bob")
			rb := join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "friend"}).Link)
			ra := join(t, alice, newLink(t, bob, node.InviteOptions{Kind: "friend"}).Link)
			waits(t, bob, rb)
			waits(t, alice, ra)
			approveNew(alice)
			approveNew(bob)
			pass(after)
			n.Partition(alice, bob)
			pass(5 * time.Minute)
			n.Heal()
			n.Until(20*time.Minute, "friends", func() bool { return alive(alice, "bob") && alive(bob, "alice") })
			done(t, alice, ra)
			done(t, bob, rb)
			if a, _ := alice.Node.Friend("bob"); len(alice.Node.Friends()) != 1 || len(bob.Node.Friends()) != 1 {
				t.Errorf("friends %+v and %+v", a, bob.Node.Friends())
			}
		})
	}
}

func TestFriendshipNotAccepted(t *testing.T) {
	t.Parallel()
	story(t, "ended and begun again", func(t *testing.T) {
		n := New(t, rtt)
		alice, bob := n.Add("alice"), n.Add("bob")
		rb := join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "friend"}).Link)
		waits(t, bob, rb)
		bob.Crash()
		approveNew(alice)
		if f, err := alice.Node.Friend("bob"); err != nil || f.State != "init" {
			t.Errorf("friend that has not accepted: %+v, %v", f, err)
		}
		alice.Skew(7*24*time.Hour + time.Minute)
		n.Until(2*time.Minute, "ended", func() bool {
			f, err := alice.Node.Friend("bob")
			return err == nil && f.State == "ended"
		})
		bob.Start()
		refused(t, bob, rb, "rejected", "removed")
		befriend(t, alice, bob)
	})
}
