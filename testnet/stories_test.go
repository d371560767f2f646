package testnet

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pttnode/node"
)

// story runs f in a bubble of its own.
func story(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// newLink makes a link, or fails the test.
func newLink(t *testing.T, p *Peer, o node.InviteOptions) node.InviteView {
	t.Helper()
	v, err := p.Node.Invite(t.Context(), o)
	if err != nil {
		t.Fatalf("invite by %s: %v", p.Name, err)
	}
	return v
}

// join opens a link, or fails the test, and returns the request's id.
func join(t *testing.T, p *Peer, link string) string {
	t.Helper()
	r, err := p.Node.Join(t.Context(), link, "")
	if err != nil {
		t.Fatalf("join by %s: %v", p.Name, err)
	}
	return r.ID
}

// newBoard founds a board, or fails the test.
func newBoard(t *testing.T, p *Peer, name, policy string) node.BoardView {
	t.Helper()
	b, err := p.Node.CreateBoard(t.Context(), node.BoardOptions{Name: name, Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// done waits until a request is done.
func done(t *testing.T, p *Peer, request string) {
	t.Helper()
	if r := ended(t, p, 5*time.Minute, request); r.State != "done" {
		t.Fatalf("request %s of %s is %s with %q, want done", request, p.Name, r.State, r.Reason)
	}
}

// refused waits until a request has ended with a reason.
func refused(t *testing.T, p *Peer, request, state, reason string) {
	t.Helper()
	if r := ended(t, p, 5*time.Minute, request); r.State != state || r.Reason != reason {
		t.Errorf("request %s of %s is %s with %q, want %s with %s", request, p.Name, r.State, r.Reason, state, reason)
	}
}

// waits waits until a request waits for the issuer's person.
func waits(t *testing.T, p *Peer, request string) {
	t.Helper()
	p.net.Until(5*time.Minute, "waiting for approval", func() bool {
		r, err := p.Node.Request(request)
		return err == nil && r.State == "waiting_approval"
	})
}

// write writes an article, or fails the test.
func write(t *testing.T, p *Peer, board, title string) {
	t.Helper()
	if _, err := p.Node.NewArticle(t.Context(), board, "", title, "text"); err != nil {
		t.Fatalf("article %q by %s: %v", title, p.Name, err)
	}
}

// titles returns what a peer reads on a board, in the board's order.
func titles(p *Peer, board string) []string {
	as, err := p.Node.Articles(board)
	if err != nil {
		return nil
	}
	var out []string
	for _, a := range as {
		out = append(out, a.Title)
	}
	return out
}

// reads waits until a peer reads an article.
func reads(t *testing.T, p *Peer, board, title string, limit time.Duration) {
	t.Helper()
	p.net.Until(limit, fmt.Sprintf("%q at %s", title, p.Name), func() bool { return slices.Contains(titles(p, board), title) })
}

// befriend makes two peers friends by a link bound to the second.
func befriend(t *testing.T, a, b *Peer) {
	t.Helper()
	v := newLink(t, a, node.InviteOptions{Kind: "friend", For: b.User().String(), Auto: true})
	done(t, b, join(t, b, v.Link))
	a.net.Until(time.Minute, "friends", func() bool { return alive(a, b.Name) && alive(b, a.Name) })
}

// members founds a board of alice's and lets the others join by one link.
func members(t *testing.T, alice *Peer, others ...*Peer) {
	t.Helper()
	newBoard(t, alice, "reading", "link")
	v := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true, Uses: len(others)})
	for _, p := range others {
		done(t, p, join(t, p, v.Link))
	}
	alice.net.Settle()
}

const rtt = 40 * time.Millisecond

func TestPolicies(t *testing.T) {
	t.Parallel()
	story(t, "friends", func(t *testing.T) {
		n := New(t, rtt)
		alice, bob, carol := n.Add("alice"), n.Add("bob"), n.Add("carol")
		befriend(t, alice, bob)
		newBoard(t, alice, "close", "friends")
		v := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "close", Auto: true, Uses: 2})
		refused(t, carol, join(t, carol, v.Link), "rejected", "not_friend_of_owner")
		done(t, bob, join(t, bob, v.Link))
		if b, err := alice.Node.Board("close"); err != nil || b.Members != 2 {
			t.Errorf("board %+v, %v", b, err)
		}
		if v, err := alice.Node.InviteByID(v.ID); err != nil || v.Used != 1 || v.State != "open" {
			t.Errorf("a refusal spent a use: %+v, %v", v, err)
		}
		befriend(t, carol, alice) // whoever asked whom
		done(t, carol, join(t, carol, v.Link))
	})
	story(t, "link", func(t *testing.T) {
		n := New(t, rtt)
		alice, bob := n.Add("alice"), n.Add("bob")
		members(t, alice, bob)
	})
}

func TestLinkEnds(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T, o node.InviteOptions) (n *Net, alice, bob, carol *Peer, v node.InviteView) {
		n = New(t, rtt)
		alice, bob, carol = n.Add("alice"), n.Add("bob"), n.Add("carol")
		newBoard(t, alice, "reading", "link")
		o.Kind, o.Board = "board", "reading"
		return n, alice, bob, carol, newLink(t, alice, o)
	}
	story(t, "expired", func(t *testing.T) {
		_, alice, bob, carol, v := setup(t, node.InviteOptions{Expires: time.Hour, Uses: 2})
		early := join(t, bob, v.Link)
		waits(t, bob, early)
		pass(time.Hour)
		refused(t, carol, join(t, carol, v.Link), "expired", "invite_expired")
		approveNew(alice) // who asked in time waits on, whatever the link's expiry
		done(t, bob, early)
	})
	story(t, "revoked before use", func(t *testing.T) {
		_, alice, bob, _, v := setup(t, node.InviteOptions{})
		if _, err := alice.Node.Revoke(t.Context(), v.ID); err != nil {
			t.Fatal(err)
		}
		refused(t, bob, join(t, bob, v.Link), "rejected", "invite_revoked")
	})
	story(t, "used up", func(t *testing.T) {
		_, alice, bob, carol, v := setup(t, node.InviteOptions{})
		first := join(t, bob, v.Link)
		waits(t, bob, first)
		refused(t, carol, join(t, carol, v.Link), "rejected", "invite_used_up")
		in := alice.Node.Requests()
		if len(in) != 2 || in[0].Extra || !in[1].Extra || in[1].With.Name != "carol" {
			t.Fatalf("alice sees %+v, want carol beside bob", in)
		}
		if _, err := alice.Node.Approve(t.Context(), in[1].ID); code(err) != "invite_used_up" {
			t.Errorf("approving the second claimant: %v, want invite_used_up", err)
		}
		approveNew(alice)
		done(t, bob, first)
	})
	story(t, "rejected", func(t *testing.T) {
		n, alice, bob, carol, v := setup(t, node.InviteOptions{})
		r := join(t, bob, v.Link)
		waits(t, bob, r)
		in := alice.Node.Requests()[0]
		if _, err := alice.Node.Reject(t.Context(), in.ID); err != nil {
			t.Fatal(err)
		}
		refused(t, bob, r, "rejected", "rejected")
		if _, err := alice.Node.Approve(t.Context(), in.ID); code(err) != "rejected" {
			t.Errorf("approving what was rejected: %v", err)
		}
		refused(t, bob, join(t, bob, v.Link), "rejected", "rejected") // the same device, the same outcome
		other := join(t, carol, v.Link)                               // the use is free again
		waits(t, carol, other)
		approveNew(alice)
		done(t, carol, other)
		n.Settle()
	})
	story(t, "bound to another", func(t *testing.T) {
		n := New(t, rtt)
		alice, bob, carol := n.Add("alice"), n.Add("bob"), n.Add("carol")
		v := newLink(t, alice, node.InviteOptions{Kind: "friend", For: bob.User().String(), Auto: true})
		refused(t, carol, join(t, carol, v.Link), "rejected", "invite_bound")
		done(t, bob, join(t, bob, v.Link))
	})
	story(t, "never made", func(t *testing.T) {
		n := New(t, rtt)
		store := NewFailStore()
		alice, bob := n.AddOn("alice", store), n.Add("bob")
		backup, err := store.Copy(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		v := newLink(t, alice, node.InviteOptions{Kind: "friend"})
		alice.Stop()
		alice.Store = backup
		alice.Start()
		refused(t, bob, join(t, bob, v.Link), "failed", "invite_unknown")
	})
	story(t, "already a member", func(t *testing.T) {
		_, alice, bob, _, v := setup(t, node.InviteOptions{Auto: true, Uses: 2})
		done(t, bob, join(t, bob, v.Link))
		second := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading"})
		refused(t, bob, join(t, bob, second.Link), "rejected", "already_member")
	})
}

// TestRacers is H21 in small: eight joiners, one use.
func TestRacers(t *testing.T) {
	t.Parallel()
	for _, auto := range []bool{true, false} {
		story(t, fmt.Sprintf("auto=%v", auto), func(t *testing.T) {
			n := New(t, rtt)
			alice := n.Add("alice")
			newBoard(t, alice, "reading", "link")
			v := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: auto})
			requests := make(map[*Peer]string)
			for i := range 8 {
				p := n.Add(fmt.Sprintf("racer%d", i))
				requests[p] = join(t, p, v.Link)
			}
			won := 0
			for p, id := range requests {
				var r node.RequestView
				n.Until(5*time.Minute, "an end", func() bool {
					approveNew(alice)
					r, _ = p.Node.Request(id)
					return r.State == "done" || r.State == "rejected"
				})
				switch {
				case r.State == "done":
					won++
				case r.Reason != "invite_used_up":
					t.Errorf("%s lost with %q", p.Name, r.Reason)
				}
			}
			if won != 1 {
				t.Errorf("%d of 8 joined by a link with one use", won)
			}
		})
	}
}

// TestTwoLinks: one claimant, two links to the same thing.
func TestTwoLinks(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"board", "friend"} {
		story(t, kind, func(t *testing.T) {
			n := New(t, rtt)
			alice, bob := n.Add("alice"), n.Add("bob")
			o := node.InviteOptions{Kind: kind}
			if kind == "board" {
				newBoard(t, alice, "reading", "link")
				o.Board = "reading"
			}
			v1, v2 := newLink(t, alice, o), newLink(t, alice, o)
			r1, r2 := join(t, bob, v1.Link), join(t, bob, v2.Link)
			waits(t, bob, r1)
			waits(t, bob, r2)
			approveNew(alice)
			a, b := ended(t, bob, 5*time.Minute, r1), ended(t, bob, 5*time.Minute, r2)
			if a.State != "done" && b.State != "done" {
				t.Errorf("neither request is done: %+v, %+v", a, b)
			}
			if kind == "board" && a.Reason != "already_member" && b.Reason != "already_member" {
				t.Errorf("neither request was refused: %+v, %+v", a, b)
			}
			n.Settle()
			if kind == "friend" && (len(alice.Node.Friends()) != 1 || len(bob.Node.Friends()) != 1) {
				t.Errorf("friends: %+v, %+v", alice.Node.Friends(), bob.Node.Friends())
			}
		})
	}
	story(t, "the same link twice", func(t *testing.T) {
		n := New(t, rtt)
		alice, bob := n.Add("alice"), n.Add("bob")
		newBoard(t, alice, "reading", "link")
		v := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading"})
		if r1, r2 := join(t, bob, v.Link), join(t, bob, v.Link); r1 != r2 {
			t.Errorf("two requests %s and %s for one link", r1, r2)
		}
		n.Until(time.Minute, "joined", func() bool {
			approveNew(alice)
			return len(titles(bob, "reading")) == 0 && bob.Node.Boards()[0].Name == "reading"
		})
	})
}

func TestLeave(t *testing.T) {
	t.Parallel()
	story(t, "board", func(t *testing.T) {
		n := New(t, rtt)
		alice, bob, carol := n.Add("alice"), n.Add("bob"), n.Add("carol")
		members(t, alice, bob, carol)
		write(t, bob, "reading", "before")
		reads(t, carol, "reading", "before", time.Minute)
		if err := bob.Node.LeaveBoard(t.Context(), "reading"); err != nil {
			t.Fatal(err)
		}
		if _, err := bob.Node.NewArticle(t.Context(), "reading", "", "after", ""); err == nil {
			t.Error("bob wrote on a board he has left")
		}
		n.Settle()
		for _, p := range []*Peer{alice, carol} {
			ms, err := p.Node.Members("reading")
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(ms, func(m node.MemberView) bool { return m.UserID == bob.User() })
			if i < 0 || ms[i].State != "left" {
				t.Errorf("%s shows %+v, want bob as left", p.Name, ms)
			}
			if got := titles(p, "reading"); !slices.Equal(got, []string{"before"}) {
				t.Errorf("%s reads %q", p.Name, got)
			}
		}
		write(t, alice, "reading", "without bob")
		reads(t, carol, "reading", "without bob", time.Minute)
	})
	story(t, "articles written beside it", func(t *testing.T) {
		// Bob's device goes on as a copy that does not know that he left.
		n := New(t, rtt)
		store := NewFailStore()
		alice, bob := n.Add("alice"), n.AddOn("bob", store)
		members(t, alice, bob)
		write(t, bob, "reading", "before")
		reads(t, alice, "reading", "before", time.Minute)
		n.Settle()
		backup, err := store.Copy(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := bob.Node.LeaveBoard(t.Context(), "reading"); err != nil {
			t.Fatal(err)
		}
		n.Settle()
		bob.Stop()
		bob.Store = backup
		bob.Start()
		write(t, bob, "reading", "after")
		pass(2 * time.Minute)
		if got := titles(alice, "reading"); !slices.Equal(got, []string{"before"}) {
			t.Errorf("alice reads %q of one who left", got)
		}
		n.Unchecked()
	})
	story(t, "and joined again", func(t *testing.T) {
		n := New(t, rtt)
		alice, bob, carol := n.Add("alice"), n.Add("bob"), n.Add("carol")
		members(t, alice, bob, carol)
		write(t, bob, "reading", "before")
		if err := bob.Node.LeaveBoard(t.Context(), "reading"); err != nil {
			t.Fatal(err)
		}
		n.Settle()
		write(t, carol, "reading", "meanwhile")
		v := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true})
		done(t, bob, join(t, bob, v.Link))
		reads(t, bob, "reading", "meanwhile", time.Minute)
		write(t, bob, "reading", "again")
		for _, p := range n.Peers {
			reads(t, p, "reading", "again", time.Minute)
			if got := titles(p, "reading"); len(got) != 3 {
				t.Errorf("%s reads %q", p.Name, got)
			}
		}
	})
}
