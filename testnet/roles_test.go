package testnet

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pttnode/node"
)

// role returns what a peer says that a user is on a board.
func role(p *Peer, board, name string) string {
	members, err := p.Node.Members(board)
	if err != nil {
		return code(err)
	}
	for _, m := range members {
		if m.Name == name {
			return m.Role + " " + m.State
		}
	}
	return "nobody"
}

// TestRoles: a second owner, made one by the founder's phone, lets somebody in; a
// reader does not write; an owner who is one no more lets nobody in.
func TestRoles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob, carol, dave := n.Add("alice"), n.Add("bob"), n.Add("carol"), n.Add("dave")
		newBoard(t, alice, "reading", "link")
		phone := linkDevice(t, alice, "alice-phone")
		done(t, bob, join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		n.Until(time.Minute, "bob on the phone", func() bool { return role(phone, "reading", "bob") == "member active" })
		if _, err := bob.Node.SetRole(t.Context(), "reading", "alice", "member"); code(err) != "not_owner" {
			t.Errorf("a member demotes the founder: %v, want not_owner", err)
		}
		if _, err := phone.Node.SetRole(t.Context(), "reading", "bob", "owner"); err != nil {
			t.Fatal(err)
		}
		n.Until(time.Minute, "bob an owner", func() bool { return role(bob, "reading", "bob") == "owner active" })
		if _, err := bob.Node.SetRole(t.Context(), "reading", "alice", "reader"); code(err) != "last_owner" {
			t.Errorf("an owner demotes the founder: %v, want last_owner", err)
		}
		done(t, carol, join(t, carol, newLink(t, bob, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		n.Until(time.Minute, "carol at alice", func() bool { return role(alice, "reading", "carol") == "member active" })
		if _, err := bob.Node.SetRole(t.Context(), "reading", "carol", "reader"); err != nil {
			t.Fatal(err)
		}
		n.Until(time.Minute, "carol a reader", func() bool { return role(carol, "reading", "carol") == "reader active" })
		if _, err := carol.Node.NewArticle(t.Context(), "reading", "", "mine", ""); code(err) != "board_read_only" {
			t.Errorf("a reader writes: %v, want board_read_only", err)
		}
		late := newLink(t, bob, node.InviteOptions{Kind: "board", Board: "reading", Auto: true})
		if _, err := alice.Node.SetRole(t.Context(), "reading", "bob", "reader"); err != nil {
			t.Fatal(err)
		}
		n.Until(time.Minute, "bob a reader", func() bool { return role(bob, "reading", "bob") == "reader active" })
		refused(t, dave, join(t, dave, late.Link), "failed", "invite_unknown") // he cannot prove that he may invite
	})
}

// TestOwnersApart: the founder takes a second owner's place away while the network
// between them is cut and the other one lets somebody in. When it is healed, he was
// never let in, on every node the same.
func TestOwnersApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob, carol, dave := n.Add("alice"), n.Add("bob"), n.Add("carol"), n.Add("dave")
		newBoard(t, alice, "reading", "link")
		done(t, bob, join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		done(t, carol, join(t, carol, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		if _, err := alice.Node.SetRole(t.Context(), "reading", "bob", "owner"); err != nil {
			t.Fatal(err)
		}
		n.Until(time.Minute, "bob an owner", func() bool { return role(bob, "reading", "bob") == "owner active" })
		n.Settle()
		for _, p := range []*Peer{alice, carol} {
			n.Partition(p, bob)
			n.Partition(p, dave)
		}
		pass(time.Minute)
		if _, err := alice.Node.SetRole(t.Context(), "reading", "bob", "member"); err != nil {
			t.Fatal(err)
		}
		done(t, dave, join(t, dave, newLink(t, bob, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		write(t, dave, "reading", "hello")
		n.Heal()
		n.Until(5*time.Minute, "bob no owner, dave out", func() bool {
			return !slices.ContainsFunc([]*Peer{alice, bob, carol}, func(p *Peer) bool {
				return role(p, "reading", "bob") != "member active" || role(p, "reading", "dave") != "nobody"
			})
		})
		for _, p := range []*Peer{alice, bob, carol} {
			if got := titles(p, "reading"); slices.Contains(got, "hello") {
				t.Errorf("%s reads what dave wrote, who was never let in: %v", p.Name, got)
			}
		}
		n.Unchecked() // bob's invite has an approved request whose admit is void, and dave, to whom nobody talks, does not know
	})
}
