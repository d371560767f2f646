package testnet

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pttnode/node"
)

// friendState returns what a peer says of a friend.
func friendState(p *Peer, name string) string {
	f, err := p.Node.Friend(name)
	if err != nil {
		return code(err)
	}
	if f.Blocked {
		return "blocked"
	}
	return f.State
}

// personalKeys returns how many op-keys a peer has of another one's personal board.
func personalKeys(t *testing.T, p, of *Peer) int {
	t.Helper()
	b, err := of.Node.Board("@" + of.Name)
	if err != nil {
		t.Fatal(err)
	}
	return keysHeld(t, p, b.ID)
}

// TestRemoveFriend: who is no friend any more reads nothing new of the other, on either
// side, also where he did not see the end for long; and both can be friends again.
func TestRemoveFriend(t *testing.T) {
	t.Parallel()
	for _, away := range []bool{false, true} {
		story(t, map[bool]string{false: "there", true: "away"}[away], func(t *testing.T) {
			n := New(t, 20*time.Millisecond)
			alice, bob, carol := n.Add("alice"), n.Add("bob"), n.Add("carol")
			befriend(t, alice, bob)
			befriend(t, alice, carol)
			write(t, alice, "@alice", "for friends")
			reads(t, bob, "@alice", "for friends", time.Minute)
			n.Settle()
			if away {
				bob.Crash()
			}
			if f, err := alice.Node.RemoveFriend(t.Context(), "bob"); err != nil || f.State != "ended" {
				t.Fatalf("remove a friend: %+v, %v", f, err)
			}
			if away {
				pass(time.Hour)
				bob.Restart()
			}
			n.Until(5*time.Minute, "bob sees the end", func() bool { return friendState(bob, "alice") == "ended" })
			write(t, alice, "@alice", "for fewer friends")
			reads(t, carol, "@alice", "for fewer friends", time.Minute)
			n.Until(10*time.Minute, "neither is on the other's board", func() bool {
				_, errA := alice.Node.Board("@bob")
				_, errB := bob.Node.Board("@alice")
				return code(errA) == "not_found" && code(errB) == "not_found" &&
					role(alice, "@alice", "bob") != "member active" && role(bob, "@bob", "alice") != "member active"
			})
			if got := personalKeys(t, bob, alice); got != 1 {
				t.Errorf("who is no friend any more has %d keys of the personal board, want the one from before", got)
			}
			if got := personalKeys(t, carol, alice); got != 2 {
				t.Errorf("a friend has %d keys of the personal board, want 2", got)
			}
			n.Unchecked() // the end is known to both; who hears of the other's last removal depends on the moment
			befriend(t, alice, bob)
			reads(t, bob, "@alice", "for fewer friends", time.Minute)
			pass(10 * time.Minute) // the friendship that ended is no reason to end this one
			if friendState(alice, "bob") != "alive" || friendState(bob, "alice") != "alive" || role(alice, "@alice", "bob") != "member active" {
				t.Errorf("friends again, and ten minutes later %s, %s, %s", friendState(alice, "bob"), friendState(bob, "alice"), role(alice, "@alice", "bob"))
			}
		})
	}
}

// TestBlock: a blocked user is asked for nothing and let in nowhere, on all devices of
// who blocked him, until he is unblocked.
func TestBlock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob := n.Add("alice"), n.Add("bob")
		befriend(t, alice, bob)
		phone := linkDevice(t, alice, "alice-phone")
		newBoard(t, alice, "reading", "link")
		waiting := join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading"}).Link)
		waits(t, bob, waiting)
		n.Settle()
		if b, err := phone.Node.BlockUser(t.Context(), "bob"); err != nil || !b.Blocked || b.UserID != bob.User() {
			t.Fatalf("block: %+v, %v", b, err)
		}
		n.Until(10*time.Minute, "blocked on the laptop", func() bool { return friendState(alice, "bob") == "blocked" })
		refused(t, bob, waiting, "rejected", "rejected")
		for _, p := range []*Peer{alice, phone} {
			refused(t, bob, join(t, bob, newLink(t, p, node.InviteOptions{Kind: "friend"}).Link), "rejected", "rejected")
		}
		refused(t, bob, join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link), "rejected", "rejected")
		if _, err := alice.Node.BlockUser(t.Context(), "nobody"); code(err) != "not_found" {
			t.Errorf("block nobody: %v, want not_found", err)
		}
		if b, err := alice.Node.UnblockUser(t.Context(), "bob"); err != nil || b.Blocked {
			t.Fatalf("unblock: %+v, %v", b, err)
		}
		if got := friendState(alice, "bob"); got != "ended" {
			t.Errorf("after unblocking the friendship is %q, want ended", got)
		}
		done(t, bob, join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		n.Unchecked()
	})
}

// TestFriendEndsItFromAPhone: what one device ends, another does not end again: the
// other side is removed once.
func TestFriendEndsItFromAPhone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob := n.Add("alice"), n.Add("bob")
		befriend(t, alice, bob)
		phone := linkDevice(t, alice, "alice-phone")
		n.Settle()
		if _, err := phone.Node.RemoveFriend(t.Context(), "bob"); err != nil {
			t.Fatal(err)
		}
		pass(15 * time.Minute)
		b, err := alice.Node.Board("@alice")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []*Peer{alice, phone} {
			ops, err := p.Node.OpLog(b.ID.String(), "member")
			if err != nil {
				t.Fatal(err)
			}
			removals := slices.DeleteFunc(ops, func(o node.OpView) bool { return o.Type != "remove" })
			if len(removals) != 1 || !removals[0].Valid || removals[0].Device != phone.Device().ID() {
				t.Errorf("%s has %d removals, want the phone's: %+v", p.Name, len(removals), removals)
			}
			if got := friendState(p, "bob"); got != "ended" {
				t.Errorf("%s: the friendship is %q", p.Name, got)
			}
		}
		n.Unchecked()
	})
}
