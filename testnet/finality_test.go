package testnet

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pttnode/node"
	"pttnode/oplog"
)

// finalOf returns the number of the last final checkpoint that a peer knows of a board.
func finalOf(t *testing.T, p *Peer, board string) uint64 {
	t.Helper()
	v, err := p.Node.View(board)
	if err != nil {
		t.Fatal(err)
	}
	return v.Final.Number
}

func owner(t *testing.T, n *Net, by, whom *Peer) {
	t.Helper()
	if _, err := by.Node.SetRole(t.Context(), "reading", whom.Name, "owner"); err != nil {
		t.Fatal(err)
	}
	n.Until(time.Minute, whom.Name+" an owner", func() bool { return role(whom, "reading", whom.Name) == "owner active" })
}

// TestFinality: an owner takes the place of one who is senior to him and does not hear it.
// After ten minutes the founder's checkpoint is everywhere, and the others have acked it;
// what the senior signs as if he had not heard changes nothing.
func TestFinality(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob, carol, dave := n.Add("alice"), n.Add("bob"), n.Add("carol"), n.Add("dave")
		members(t, alice, bob, carol, dave)
		owner(t, n, alice, bob)
		owner(t, n, alice, carol)
		n.Settle()
		near := []*Peer{alice, carol, dave}
		for _, p := range near {
			n.Partition(p, bob)
		}
		pass(time.Minute)
		if _, err := carol.Node.SetRole(t.Context(), "reading", "bob", "member"); err != nil {
			t.Fatal(err)
		}
		closed := func(number uint64) func() bool {
			return func() bool {
				return !slices.ContainsFunc(near, func(p *Peer) bool { return finalOf(t, p, "reading") < number })
			}
		}
		pass(9 * time.Minute)
		if finalOf(t, alice, "reading") != 0 {
			t.Error("the founder closes at once what others may not have heard of")
		}
		n.Until(3*time.Minute, "a checkpoint", closed(1))
		why, err := dave.Node.Why("reading", "bob")
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range why.Chain {
			if !o.Final {
				t.Errorf("%s of %s may still change, though a checkpoint closed it", o.Type, o.ByName)
			}
		}
		pass(time.Minute) // carol's ack, and every node looks
		events, _ := dave.Node.Events(0, 0)
		if !slices.ContainsFunc(events, func(e node.Event) bool { return e.Type == "board.final" }) {
			t.Error("a member's journal does not tell of the checkpoint")
		}

		// Bob still has his key, and what he signs cites only what he had.
		if _, err := bob.Node.SetRole(t.Context(), "reading", "carol", "member"); err != nil {
			t.Fatal(err)
		}
		late := newLink(t, bob, node.InviteOptions{Kind: "board", Board: "reading", Auto: true})
		n.Heal()
		n.Until(5*time.Minute, "bob hears", func() bool { return role(bob, "reading", "bob") == "member active" })
		n.Settle()
		for _, p := range append(near, bob) {
			if role(p, "reading", "bob") != "member active" || role(p, "reading", "carol") != "owner active" {
				t.Errorf("%s: bob is %s, carol is %s", p.Name, role(p, "reading", "bob"), role(p, "reading", "carol"))
			}
			if v, err := p.Node.View("reading"); err != nil || len(v.Final.Rivals) > 0 || v.Final.Waiting > 0 {
				t.Errorf("%s: %+v, %v", p.Name, v.Final, err)
			}
		}
		erin := n.Add("erin")
		refused(t, erin, join(t, erin, late.Link), "failed", "invite_unknown")
	})
}

// TestKeptLater: what an owner did beside a checkpoint that he had not heard of counts
// soon after he is back.
func TestKeptLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob, carol, dave := n.Add("alice"), n.Add("bob"), n.Add("carol"), n.Add("dave")
		members(t, alice, bob, carol)
		owner(t, n, alice, bob)
		owner(t, n, alice, carol)
		n.Settle()
		for _, p := range []*Peer{alice, carol} {
			n.Partition(p, bob)
			n.Partition(p, dave)
		}
		pass(time.Minute)
		if _, err := alice.Node.SetRole(t.Context(), "reading", "carol", "member"); err != nil {
			t.Fatal(err)
		}
		n.Until(15*time.Minute, "a checkpoint", func() bool { return finalOf(t, carol, "reading") == 1 })
		done(t, dave, join(t, dave, newLink(t, bob, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		n.Heal()
		n.Until(5*time.Minute, "dave a member", func() bool {
			return !slices.ContainsFunc([]*Peer{alice, bob, carol, dave}, func(p *Peer) bool { return role(p, "reading", "dave") != "member active" })
		})
		if got := finalOf(t, alice, "reading"); got != 2 {
			t.Errorf("final up to %d, want 2: the one that keeps dave's admission", got)
		}
	})
}

// TestFounderGoesOn: an owner's checkpoint waits for the ack of one who never comes back.
// The founder makes the next one without it after a day, though not before acks that are
// there had time to come.
func TestFounderGoesOn(t *testing.T) {
	t.Parallel()
	for what, away := range map[string]bool{"she is there": false, "she is away": true} {
		story(t, what, func(t *testing.T) {
			n := New(t, 20*time.Millisecond)
			alice, bob, carol, dave := n.Add("alice"), n.Add("bob"), n.Add("carol"), n.Add("dave")
			members(t, alice, bob, carol, dave)
			owner(t, n, alice, bob)
			owner(t, n, alice, carol)
			n.Settle()
			points := func(p *Peer, what string, want int) { // checkpoints and acks
				t.Helper()
				pass(3 * time.Minute)
				s, err := p.stored(true)
				if err != nil {
					t.Fatal(err)
				}
				got := 0
				for o := range s.entities[readingID(t, p)].Log().All(oplog.Control) {
					if o.Family() == oplog.FamilyCheckpoint {
						got++
					}
				}
				if got != want {
					t.Fatalf("%s: %s has %d checkpoints and acks, want %d", what, p.Name, got, want)
				}
			}
			carol.Crash()
			alice.Crash()
			if _, err := bob.Node.RemoveMember(t.Context(), "reading", "dave"); err != nil {
				t.Fatal(err)
			}
			pass(2 * time.Minute)
			later(n, 26*time.Hour)
			points(bob, "after a day", 1)
			if away {
				later(n, 25*time.Hour)
			}
			alice.Restart()
			points(bob, "the founder would ack last", 1)
			pass(5 * time.Minute)
			if !away {
				pass(10 * time.Minute)
			}
			if got := finalOf(t, alice, "reading"); got != 0 {
				t.Errorf("final up to %d, though acks may still come", got)
			}
			if !away {
				later(n, 24*time.Hour)
			}
			n.Until(5*time.Minute, "the founder goes on", func() bool { return finalOf(t, alice, "reading") == 1 && finalOf(t, bob, "reading") == 1 })
			points(bob, "bob acks hers", 3)
			carol.Restart()
			points(alice, "carol acks hers", 4)
			n.Settle()
			for _, p := range []*Peer{alice, bob, carol} {
				if v, err := p.Node.View("reading"); err != nil || v.Final.Number != 1 || len(v.Final.Rivals) > 0 {
					t.Errorf("%s: %+v, %v", p.Name, v.Final, err)
				}
			}
		})
	}
}

// TestAdmittedAgain: an owner lets somebody in while his own place is taken away and given
// back, which he does not hear. The admission is void; it was approved, so he writes it
// again.
func TestAdmittedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob, dave := n.Add("alice"), n.Add("bob"), n.Add("dave")
		newBoard(t, alice, "reading", "link")
		done(t, bob, join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		owner(t, n, alice, bob)
		n.Settle()
		n.Partition(alice, bob)
		n.Partition(alice, dave)
		pass(time.Minute)
		for _, r := range []string{"member", "owner"} {
			if _, err := alice.Node.SetRole(t.Context(), "reading", "bob", r); err != nil {
				t.Fatal(err)
			}
		}
		done(t, dave, join(t, dave, newLink(t, bob, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		n.Heal()
		n.Until(5*time.Minute, "dave a member", func() bool {
			return !slices.ContainsFunc([]*Peer{alice, bob, dave}, func(p *Peer) bool { return role(p, "reading", "dave") != "member active" })
		})
	})
}

// TestFounderAway: the founder is away for more than a day. Then another owner makes the
// checkpoint, one alone, and it is final when more than two thirds of the owners have it.
func TestFounderAway(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a day of five nodes")
	}
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice := n.Add("alice")
		newBoard(t, alice, "reading", "link")
		var others []*Peer
		for _, name := range []string{"bob", "carol", "dave", "erin"} {
			p := n.Add(name)
			done(t, p, join(t, p, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
			owner(t, n, alice, p)
			others = append(others, p)
		}
		n.Settle()
		alice.Stop()
		if _, err := others[0].Node.SetRole(t.Context(), "reading", "erin", "member"); err != nil {
			t.Fatal(err)
		}
		pass(23 * time.Hour)
		if got := finalOf(t, others[0], "reading"); got != 0 {
			t.Errorf("final up to %d while the founder may come back", got)
		}
		n.Until(3*time.Hour, "a checkpoint by the others", func() bool {
			return !slices.ContainsFunc(others, func(p *Peer) bool { return finalOf(t, p, "reading") != 1 })
		})
		ops, err := others[0].Node.OpLog("reading", "checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for _, o := range ops {
			count[o.Type]++
		}
		if count["checkpoint"] != 1 || count["ack"] != 2 {
			t.Errorf("%v, want one checkpoint and the acks of two owners", count)
		}
		alice.Restart()
		n.Settle()
		if got := finalOf(t, alice, "reading"); got != 1 {
			t.Errorf("the founder comes back to %d, want 1", got)
		}
	})
}
