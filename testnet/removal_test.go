package testnet

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs/go-datastore"

	"pttnode/keys"
	"pttnode/node"
	"pttnode/oplog"
)

// threeOnBoard is a net of alice, who owns the board "reading", and bob and carol, who
// are its members.
func threeOnBoard(t *testing.T) (n *Net, alice, bob, carol *Peer) {
	t.Helper()
	n = New(t, 20*time.Millisecond)
	alice, bob, carol = n.Add("alice"), n.Add("bob"), n.Add("carol")
	members(t, alice, bob, carol)
	return n, alice, bob, carol
}

func readingID(t *testing.T, p *Peer) keys.Digest {
	t.Helper()
	b, err := p.Node.Board("reading")
	if err != nil {
		t.Fatal(err)
	}
	return b.ID
}

func remove(t *testing.T, p *Peer, board, name string) {
	t.Helper()
	if _, err := p.Node.RemoveMember(t.Context(), board, name); err != nil {
		t.Fatalf("%s removes %s: %v", p.Name, name, err)
	}
}

// keysHeld returns how many op-keys a peer's store has of an entity.
func keysHeld(t *testing.T, p *Peer, eid keys.Digest) int {
	t.Helper()
	count := 0
	if err := p.each("/k/"+eid.String(), func(string, []byte) error { count++; return nil }); err != nil {
		t.Fatal(err)
	}
	return count
}

// TestRemove: who is removed hears that he is, and nothing after it; the others have a
// new key at once and write on.
func TestRemove(t *testing.T) {
	t.Parallel()
	for _, gossip := range []bool{true, false} {
		story(t, map[bool]string{true: "gossip", false: "no gossip"}[gossip], func(t *testing.T) {
			n := New(t, 20*time.Millisecond)
			n.NoGossip = !gossip
			alice, bob, carol := n.Add("alice"), n.Add("bob"), n.Add("carol")
			members(t, alice, bob, carol)
			write(t, alice, "reading", "before")
			reads(t, bob, "reading", "before", time.Minute)
			reads(t, carol, "reading", "before", time.Minute)
			eid := readingID(t, alice)
			remove(t, alice, "reading", "bob")
			write(t, alice, "reading", "after")
			reads(t, carol, "reading", "after", time.Minute)
			n.Until(time.Minute, "bob knows", func() bool { return len(bob.Node.Boards()) == 1 }) // his own
			write(t, carol, "reading", "by carol")
			reads(t, alice, "reading", "by carol", time.Minute)
			pass(30 * time.Minute)
			if got := keysHeld(t, bob, eid); got != 1 {
				t.Errorf("who was removed has %d keys, want the one from before", got)
			}
			if got := keysHeld(t, carol, eid); got != 2 {
				t.Errorf("a member has %d keys, want 2", got)
			}
			if ops, articles := operations(t, bob, eid); articles != 1 {
				t.Errorf("who was removed has %d articles of %d operations, want the one from before", articles, ops)
			}
			if _, err := bob.Node.RemoveMember(t.Context(), eid.String(), "alice"); code(err) != "not_found" {
				t.Errorf("who was removed removes: %v, want not_found", err)
			}
		})
	}
}

// operations counts control and content operations that a peer's store has of an entity.
func operations(t *testing.T, p *Peer, eid keys.Digest) (control, content int) {
	t.Helper()
	s, err := p.stored(false)
	if err != nil {
		t.Fatal(err)
	}
	e, ok := s.entities[eid]
	if !ok {
		return 0, 0
	}
	for range e.Log().All(oplog.Control) {
		control++
	}
	return control, e.Log().Len() - control
}

// TestRejoin: who was removed comes back by a link that was made for it, not by one
// from before, and not by one that asks nobody.
func TestRejoin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, bob, carol := threeOnBoard(t)
		old := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Uses: 5})
		remove(t, alice, "reading", "bob")
		n.Until(time.Minute, "bob knows", func() bool { return len(bob.Node.Boards()) == 1 })
		refused(t, bob, join(t, bob, old.Link), "rejected", "removed")
		open := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Uses: 5, Auto: true})
		refused(t, bob, join(t, bob, open.Link), "rejected", "removed")
		write(t, carol, "reading", "while away")
		asks := join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading"}).Link)
		waits(t, bob, asks)
		approveNew(alice)
		done(t, bob, asks)
		reads(t, bob, "reading", "while away", time.Minute) // the board's history is for all
		write(t, bob, "reading", "back")
		reads(t, carol, "reading", "back", time.Minute)
		remove(t, alice, "reading", "bob")
		bound := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true, For: bob.User().String()})
		done(t, bob, join(t, bob, bound.Link))
	})
}

// TestKeyFromAnyMember: the owner who changed the key is gone before most have it;
// whoever has it hands it on, and one who was away reads everything.
func TestKeyFromAnyMember(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, _, carol := threeOnBoard(t)
		dave := n.Add("dave")
		done(t, dave, join(t, dave, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		n.Until(time.Minute, "carol knows dave", func() bool { return role(carol, "reading", "dave") == "member active" })
		n.Settle()
		dave.Crash()
		remove(t, alice, "reading", "bob")
		write(t, alice, "reading", "sealed anew")
		reads(t, carol, "reading", "sealed anew", time.Minute)
		alice.Crash()
		pass(6 * time.Hour)
		dave.Restart()
		reads(t, dave, "reading", "sealed anew", 5*time.Minute)
		write(t, dave, "reading", "from dave")
		reads(t, carol, "reading", "from dave", time.Minute)
	})
}

// TestLeaveRotates: after a member has gone by himself the others write on, and an owner
// changes the key when he is there.
func TestLeaveRotates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, bob, carol := threeOnBoard(t)
		eid := readingID(t, alice)
		dave := n.Add("dave")
		done(t, dave, join(t, dave, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		n.Settle()
		alice.Crash()
		if err := bob.Node.LeaveBoard(t.Context(), "reading"); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*Peer{carol, dave} {
			n.Until(time.Minute, p.Name+" knows", func() bool { return role(p, "reading", "bob") == "member left" })
		}
		write(t, carol, "reading", "no owner is here")
		reads(t, dave, "reading", "no owner is here", time.Minute)
		alice.Restart()
		n.Until(2*time.Minute, "a new key at carol", func() bool { return keysHeld(t, carol, eid) == 2 })
		write(t, carol, "reading", "on we go")
		for _, p := range []*Peer{alice, dave} {
			reads(t, p, "reading", "no owner is here", time.Minute)
			reads(t, p, "reading", "on we go", time.Minute)
		}
		if got := keysHeld(t, bob, eid); got != 1 {
			t.Errorf("who has left has %d keys, want 1", got)
		}
	})
}

// TestRotationInTurn: two owners do not both change the key: the senior does, and the
// junior only when the senior is not there.
func TestRotationInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, bob, carol := threeOnBoard(t)
		eid := readingID(t, alice)
		if _, err := alice.Node.SetRole(t.Context(), "reading", "carol", "owner"); err != nil {
			t.Fatal(err)
		}
		dave := n.Add("dave")
		done(t, dave, join(t, dave, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		n.Settle()
		if err := bob.Node.LeaveBoard(t.Context(), "reading"); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Minute)
		for _, p := range []*Peer{alice, carol, dave} {
			if got := keysHeld(t, p, eid); got != 2 {
				t.Errorf("%s has %d keys after one went, want 2", p.Name, got)
			}
		}
		alice.Crash()
		if err := dave.Node.LeaveBoard(t.Context(), "reading"); err != nil {
			t.Fatal(err)
		}
		n.Until(5*time.Minute, "the junior owner changes it", func() bool { return keysHeld(t, carol, eid) == 3 })
		alice.Restart()
		n.Until(5*time.Minute, "alice has it", func() bool { return keysHeld(t, alice, eid) == 3 })
	})
}

// TestHistoryPolicies: from its join on, or for some time back, a newcomer has the
// keys, whatever ciphertext it gets.
func TestHistoryPolicies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, board, invite string
		want                []string
	}{
		{"all", "", "", []string{"five hours ago", "an hour ago", "since"}},
		{"board: last two hours", "last:7200", "", []string{"an hour ago", "since"}},
		{"board: from the join on", "from-join", "", []string{"since"}},
		{"invite: from the join on", "", "from-join", []string{"since"}},
		{"invite: all, where the board has less", "from-join", "all", []string{"five hours ago", "an hour ago", "since"}},
	} {
		story(t, c.name, func(t *testing.T) {
			n := New(t, 20*time.Millisecond)
			alice, bob := n.Add("alice"), n.Add("bob")
			newBoard(t, alice, "reading", "link")
			if c.board != "" {
				if _, err := alice.Node.SetBoard(t.Context(), "reading", node.BoardChange{History: &c.board}); err != nil {
					t.Fatal(err)
				}
			}
			write(t, alice, "reading", "five hours ago")
			pass(4 * time.Hour)
			if _, err := alice.Node.RotateBoard(t.Context(), "reading"); err != nil {
				t.Fatal(err)
			}
			write(t, alice, "reading", "an hour ago")
			pass(time.Hour)
			done(t, bob, join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true, History: c.invite}).Link))
			write(t, alice, "reading", "since")
			reads(t, bob, "reading", "since", time.Minute)
			n.Settle()
			readable := slices.DeleteFunc(titles(bob, "reading"), func(s string) bool { return s == "" })
			if !slices.Equal(readable, c.want) {
				t.Errorf("a newcomer reads %q, want %q", readable, c.want)
			}
			write(t, bob, "reading", "mine")
			reads(t, alice, "reading", "mine", time.Minute)
		})
	}
}

// TestRotationOnSchedule: a key that is written with is changed after a week, one that
// is not stays.
func TestRotationOnSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice := n.Add("alice")
		newBoard(t, alice, "quiet", "link")
		newBoard(t, alice, "busy", "link")
		write(t, alice, "busy", "x")
		pass(8 * 24 * time.Hour)
		for board, want := range map[string]int{"quiet": 1, "busy": 2} {
			b, err := alice.Node.Board(board)
			if err != nil {
				t.Fatal(err)
			}
			if got := keysHeld(t, alice, b.ID); got != want {
				t.Errorf("board %s has %d keys after a week, want %d", board, got, want)
			}
		}
	})
}

// TestDeleteBoard: a board that was deleted is written in no more; it leaves the list
// of who deleted it at once, and of others when they want.
func TestDeleteBoard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, bob, _ := threeOnBoard(t)
		if err := bob.Node.DeleteBoard(t.Context(), "reading"); code(err) != "not_owner" {
			t.Errorf("a member deletes: %v, want not_owner", err)
		}
		if err := alice.Node.DeleteBoard(t.Context(), "reading"); err != nil {
			t.Fatal(err)
		}
		if _, err := alice.Node.Board("reading"); code(err) != "not_found" {
			t.Errorf("the board is on the list of who deleted it: %v", err)
		}
		ended := func() bool { b, err := bob.Node.Board("reading"); return err == nil && b.Ended }
		n.Until(time.Minute, "bob sees the end", ended)
		if _, err := bob.Node.NewArticle(t.Context(), "reading", "", "x", ""); code(err) != "board_read_only" {
			t.Errorf("write after the end: %v, want board_read_only", err)
		}
		bob.Restart()
		if !ended() {
			t.Error("after a restart the board has not ended")
		}
		if err := bob.Node.LeaveBoard(t.Context(), "reading"); err != nil {
			t.Fatal(err)
		}
		bob.Restart()
		if _, err := bob.Node.Board("reading"); code(err) != "not_found" {
			t.Errorf("the board is on the list of who took it off: %v", err)
		}
	})
}

// TestTransfer: a founder hands a board on, stays a member, and may leave then.
func TestTransfer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, bob, carol := threeOnBoard(t)
		if err := alice.Node.LeaveBoard(t.Context(), "reading"); code(err) != "last_owner" {
			t.Errorf("the founder leaves: %v, want last_owner", err)
		}
		if _, err := bob.Node.TransferBoard(t.Context(), "reading", "carol"); code(err) != "not_owner" {
			t.Errorf("a member hands on: %v, want not_owner", err)
		}
		if b, err := alice.Node.TransferBoard(t.Context(), "reading", "bob"); err != nil || b.Role != "member" || b.OwnerID != bob.User() {
			t.Fatalf("hand on: %+v, %v", b, err)
		}
		n.Until(time.Minute, "bob owns it", func() bool { return role(bob, "reading", "bob") == "owner active" })
		if _, err := alice.Node.RemoveMember(t.Context(), "reading", "carol"); code(err) != "not_owner" {
			t.Errorf("who handed on removes: %v, want not_owner", err)
		}
		if err := alice.Node.LeaveBoard(t.Context(), "reading"); err != nil {
			t.Fatal(err)
		}
		n.Until(2*time.Minute, "alice is gone", func() bool { return role(carol, "reading", "alice") == "member left" })
		n.Until(2*time.Minute, "bob changed the key", func() bool { return keysHeld(t, carol, readingID(t, bob)) == 2 })
		write(t, carol, "reading", "at bob's")
		reads(t, bob, "reading", "at bob's", time.Minute)
	})
}

// TestLostKey: a member whose store has lost a key gets it again from another one, and
// reads what it could not.
func TestLostKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, alice, bob, carol := threeOnBoard(t)
		eid := readingID(t, alice)
		write(t, alice, "reading", "sealed")
		reads(t, carol, "reading", "sealed", time.Minute)
		alice.Crash() // any member has it
		carol.Crash()
		var lost []datastore.Key
		if err := carol.each("/k/"+eid.String(), func(key string, _ []byte) error {
			lost = append(lost, datastore.RawKey(key))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, key := range lost {
			if err := carol.Store.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		if got := keysHeld(t, carol, eid); len(lost) != 1 || got != 0 {
			t.Fatalf("%d keys lost, %d left", len(lost), got)
		}
		carol.Restart()
		reads(t, carol, "reading", "sealed", 2*time.Minute)
		write(t, carol, "reading", "and on")
		reads(t, bob, "reading", "and on", time.Minute)
	})
}

// TestStopBesideOneKilled: a node that has just told a killed one something stops at
// once; the transport believes in that one for half a minute.
func TestStopBesideOneKilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, _, carol := threeOnBoard(t)
		n.Unchecked()
		pass(2 * time.Minute) // so that members are connected
		carol.Crash()
		remove(t, alice, "reading", "carol")
		pass(time.Second)
		began := time.Now()
		alice.cancel()
		<-alice.ended
		if took := time.Since(began); took > time.Second {
			t.Errorf("the node ended after %v", took)
		}
		alice.stop()
	})
}
