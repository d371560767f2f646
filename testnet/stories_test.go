package testnet

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pttnode/node"
	"pttnode/protocol"
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

func TestBothAddEachOther(t *testing.T) {
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

func TestPolicies(t *testing.T) {
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

// TestInviterAway: the requester waits for days, always says for what and until
// when, and is in when the inviter is back.
func TestInviterAway(t *testing.T) {
	for _, at := range []string{"before the request", "after the request"} {
		story(t, at, func(t *testing.T) {
			n := New(t, rtt)
			alice, bob := n.Add("alice"), n.Add("bob")
			newBoard(t, alice, "reading", "link")
			v := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading"})
			if at == "before the request" {
				alice.Crash()
			}
			r := join(t, bob, v.Link)
			if at == "after the request" {
				waits(t, bob, r)
				alice.Crash()
				pass(time.Minute) // until bob's side hears nothing any more
			}
			for range 3 * 24 * 12 { // every five minutes of three days
				pass(5 * time.Minute)
				v, err := bob.Node.Request(r)
				if err != nil {
					t.Fatal(err)
				}
				trying := v.State == "connecting" || v.State == "waiting_approval" && v.NextTryAt == nil
				if trying { // a dial takes some seconds; then it waits again
					pass(30 * time.Second)
					v, _ = bob.Node.Request(r)
				}
				if v.NextTryAt == nil || v.NextTryAt.After(time.Now().Add(12*time.Minute+time.Second)) || v.Reason == "" {
					t.Fatalf("after %v bob's request says %+v", time.Since(v.Since), v)
				}
			}
			alice.Start()
			took := n.Until(13*time.Minute, "joined", func() bool {
				approveNew(alice)
				v, err := bob.Node.Request(r)
				return err == nil && v.State == "done"
			})
			t.Logf("joined %v after the inviter was back", took)
		})
	}
	for _, away := range []time.Duration{10 * time.Second, 100 * time.Second, 20 * time.Minute, 3 * time.Hour} {
		story(t, "retry after "+away.String(), func(t *testing.T) {
			n := New(t, rtt)
			alice, bob := n.Add("alice"), n.Add("bob")
			newBoard(t, alice, "reading", "link")
			v := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true})
			alice.Crash()
			r := join(t, bob, v.Link)
			pass(away)
			n.Until(time.Minute, "waiting", func() bool {
				v, err := bob.Node.Request(r)
				return err == nil && v.State == "waiting_peer"
			})
			alice.Start()
			if _, err := bob.Node.Retry(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			n.Until(2*time.Second, "joined by a retry", func() bool {
				v, err := bob.Node.Request(r)
				return err == nil && v.State == "done"
			})
		})
	}
}

// TestInviterGone: members who met through alice find each other without her.
func TestInviterGone(t *testing.T) {
	story(t, "crashed at once", func(t *testing.T) {
		n := New(t, rtt)
		alice, bob, carol := n.Add("alice"), n.Add("bob"), n.Add("carol")
		newBoard(t, alice, "reading", "link")
		v := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true, Uses: 2})
		done(t, bob, join(t, bob, v.Link))
		done(t, carol, join(t, carol, v.Link))
		alice.Crash()
		write(t, bob, "reading", "from bob")
		write(t, carol, "reading", "from carol")
		reads(t, carol, "reading", "from bob", 2*36*time.Second+5*time.Second)
		reads(t, bob, "reading", "from carol", 2*36*time.Second+5*time.Second)
	})
	story(t, "and both restarted", func(t *testing.T) {
		n := New(t, rtt)
		alice, bob, carol := n.Add("alice"), n.Add("bob"), n.Add("carol")
		members(t, alice, bob, carol)
		for _, p := range n.Peers {
			p.Crash()
		}
		bob.Start()
		carol.Start()
		write(t, bob, "reading", "from bob")
		reads(t, carol, "reading", "from bob", 2*36*time.Second+5*time.Second)
	})
}

func TestLeave(t *testing.T) {
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

func TestCancel(t *testing.T) {
	for _, kind := range []string{"board", "friend"} {
		story(t, kind+" before the approval", func(t *testing.T) {
			p := newPair(t, kind, node.InviteOptions{})
			_ = p.ask(t)
			in := p.waiting(t)
			if _, err := p.bob.Node.Cancel(t.Context(), p.request); err != nil {
				t.Fatal(err)
			}
			p.net.Until(time.Minute, "withdrawn at alice", func() bool {
				r, err := p.alice.Node.Request(in.ID)
				return err == nil && r.State == "withdrawn"
			})
			if _, err := p.alice.Node.Approve(t.Context(), in.ID); code(err) != "cancelled" {
				t.Errorf("approving what was withdrawn: %v", err)
			}
			if v := p.alice.Node.Invites()[0]; v.Used != 0 || v.State != "open" {
				t.Errorf("the use was not given back: %+v", v)
			}
		})
		story(t, kind+" before anything was sent", func(t *testing.T) {
			p := newPair(t, kind, node.InviteOptions{})
			p.alice.Crash()
			_ = p.ask(t)
			if _, err := p.bob.Node.Cancel(t.Context(), p.request); err != nil {
				t.Fatal(err)
			}
			p.alice.Start()
			pass(time.Minute)
			if got := p.alice.Node.Requests(); len(got) != 0 {
				t.Errorf("alice heard of a request that was never sent: %+v", got)
			}
		})
		for _, delay := range []time.Duration{0, 5 * time.Millisecond, 10 * time.Millisecond, 15 * time.Millisecond, time.Second} {
			story(t, fmt.Sprintf("%s racing the approval, %v later", kind, delay), func(t *testing.T) {
				p := newPair(t, kind, node.InviteOptions{}) // 10 ms one way
				_ = p.ask(t)
				in := p.waiting(t)
				if delay == time.Second {
					p.net.Partition(p.alice, p.bob) // bob hears of neither
				}
				if _, err := p.alice.Node.Approve(t.Context(), in.ID); err != nil {
					t.Fatal(err)
				}
				pass(delay)
				if _, err := p.bob.Node.Cancel(t.Context(), p.request); err != nil {
					if code(err) != "already_approved" {
						t.Fatal(err)
					}
					if delay < 10*time.Millisecond {
						t.Errorf("bob knew of the approval after %v", delay)
					}
					p.net.Until(time.Minute, "joined", p.joined)
					return
				}
				p.net.Heal()
				p.net.Until(20*time.Minute, "bob gone again", func() bool {
					if kind == "friend" {
						f, err := p.alice.Node.Friend("bob")
						return err == nil && f.State == "ended"
					}
					b, err := p.alice.Node.Board("reading")
					return err == nil && b.Members == 1
				})
				if r, err := p.bob.Node.Request(p.request); err != nil || r.State != "cancelled" {
					t.Errorf("bob's request: %+v, %v", r, err)
				}
			})
		}
	}
}

// TestDecideTwice: a decision that is made again, as by two clicks, changes nothing.
func TestDecideTwice(t *testing.T) {
	for _, kind := range []string{"board", "friend"} {
		story(t, kind, func(t *testing.T) {
			p := newPair(t, kind, node.InviteOptions{})
			_ = p.ask(t)
			in := p.waiting(t)
			for range 3 {
				r, err := p.alice.Node.Approve(t.Context(), in.ID)
				if err != nil || r.State != "approved" {
					t.Errorf("approve: %+v, %v", r, err)
				}
			}
			if _, err := p.alice.Node.Reject(t.Context(), in.ID); code(err) != "already_approved" {
				t.Errorf("reject what is approved: %v", err)
			}
			p.net.Until(time.Minute, "joined", p.joined)
			p.theOne(t)
		})
	}
}

// TestQuickApproval: a program approves in the moment it hears of a request,
// perhaps before the run that made it waits for the decision.
func TestQuickApproval(t *testing.T) {
	for run := range 20 {
		story(t, fmt.Sprint(run), func(t *testing.T) {
			p := newPair(t, "board", node.InviteOptions{})
			changed, stop := p.alice.Node.Watch()
			defer stop()
			over := make(chan struct{})
			defer close(over)
			go func() {
				for {
					select {
					case <-changed:
						approveNew(p.alice)
					case <-over:
						return
					}
				}
			}()
			_ = p.ask(t)
			p.net.Until(time.Second, "joined", p.joined)
		})
	}
}

func TestRestartWhileWaiting(t *testing.T) {
	for _, kind := range []string{"board", "friend"} {
		for _, who := range []string{"alice", "bob", "both"} {
			story(t, kind+"/"+who, func(t *testing.T) {
				p := newPair(t, kind, node.InviteOptions{})
				_ = p.ask(t)
				in := p.waiting(t)
				for range 3 {
					if who != "bob" {
						p.alice.Crash()
					}
					if who != "alice" {
						p.bob.Crash()
					}
					pass(20 * time.Second)
					for _, q := range p.net.Peers {
						if !q.Running() {
							q.Start()
						}
					}
				}
				p.net.Until(5*time.Minute, "waiting again", func() bool {
					r, err := p.bob.Node.Request(p.request)
					return err == nil && r.State == "waiting_approval"
				})
				if got, err := p.alice.Node.Request(in.ID); err != nil || got.State != "new" || got.Code != in.Code {
					t.Errorf("after the restarts alice sees %+v, %v, want %+v", got, err, in)
				}
				if r, err := p.bob.Node.Request(p.request); err != nil || r.Code != in.Code {
					t.Errorf("after the restarts bob's code is %q, alice's %q, %v", r.Code, in.Code, err)
				}
				if _, err := p.alice.Node.Approve(t.Context(), in.ID); err != nil {
					t.Fatal(err)
				}
				p.net.Until(5*time.Minute, "joined", p.joined)
				p.theOne(t)
			})
		}
	}
}

func TestPartition(t *testing.T) {
	for _, j := range joins {
		for cut := range 8 { // in steps of half a way: before each frame
			story(t, fmt.Sprintf("%s/%d", j.name, cut), func(t *testing.T) {
				p := newPair(t, j.kind, node.InviteOptions{Auto: j.auto})
				_ = p.ask(t)
				for range cut * 10 {
					pass(time.Millisecond)
					approveNew(p.alice)
				}
				p.net.Partition(p.alice, p.bob)
				for range 300 {
					pass(time.Second)
					approveNew(p.alice)
				}
				p.net.Heal()
				p.net.Until(20*time.Minute, "joined after the partition", func() bool {
					approveNew(p.alice)
					return p.joined()
				})
				p.theOne(t)
			})
		}
	}
}

func TestLoss(t *testing.T) {
	for _, j := range joins {
		for run := range 12 {
			story(t, fmt.Sprintf("%s/%d", j.name, run), func(t *testing.T) {
				p := newPair(t, j.kind, node.InviteOptions{Auto: j.auto})
				p.net.Seed(uint64(run))
				p.net.Loss(0.2)
				_ = p.ask(t)
				took := p.net.Until(5*time.Minute, "joined with a fifth of all packets lost", func() bool {
					approveNew(p.alice)
					return p.joined()
				})
				t.Logf("joined after %v", took)
				p.net.Loss(0)
				p.theOne(t)
			})
		}
	}
}

// TestSkew: two clocks three hours apart; whether a link is still good is for its
// maker to say.
func TestSkew(t *testing.T) {
	const off = 3 * time.Hour
	for _, j := range joins {
		for _, skews := range [][2]time.Duration{{off, 0}, {-off, 0}, {0, off}, {0, -off}, {off, -off}, {-off, off}} {
			story(t, fmt.Sprintf("%s/%v %v", j.name, skews[0], skews[1]), func(t *testing.T) {
				n := New(t, 20*time.Millisecond)
				p := &pair{net: n, kind: j.kind, alice: n.Add("alice"), bob: n.Add("bob")}
				p.alice.Skew(skews[0])
				p.bob.Skew(skews[1])
				o := node.InviteOptions{Kind: j.kind, Auto: j.auto, Expires: time.Hour}
				if j.kind == "board" {
					newBoard(t, p.alice, "reading", "link")
					o.Board = "reading"
				}
				p.link = newLink(t, p.alice, o).Link
				late := newLink(t, p.alice, o).Link
				pass(59 * time.Minute)
				_ = p.ask(t)
				n.Until(time.Minute, "joined", func() bool {
					approveNew(p.alice)
					return p.joined()
				})
				pass(2 * time.Minute)
				if j.kind == "board" { // of another one: bob is a member here
					refused(t, n.Add("carol"), join(t, n.Peers[2], late), "expired", "invite_expired")
				}
			})
		}
	}
}

// TestOldBackup: a node on an old copy of its store stops writing when it meets
// what it wrote since.
func TestOldBackup(t *testing.T) {
	story(t, "articles", func(t *testing.T) {
		n := New(t, rtt)
		store := NewFailStore()
		alice, bob := n.AddOn("alice", store), n.Add("bob")
		members(t, alice, bob)
		backup, err := store.Copy(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		write(t, alice, "reading", "one")
		reads(t, bob, "reading", "one", time.Minute)
		alice.Stop()
		alice.Store = backup
		alice.Start()
		n.Until(2*time.Minute, "noticed", func() bool {
			h := alice.Node.Status().Health
			return len(h) == 1 && h[0].Code == "store_behind"
		})
		if _, err := alice.Node.NewArticle(t.Context(), "reading", "", "two", ""); code(err) != "store_behind" {
			t.Errorf("writing on an old copy: %v, want store_behind", err)
		}
		if _, err := alice.Node.Invite(t.Context(), node.InviteOptions{Kind: "friend"}); code(err) != "store_behind" {
			t.Errorf("inviting on an old copy: %v, want store_behind", err)
		}
		pass(5 * time.Minute)
		if h := alice.Node.Status().Health; len(h) != 1 || h[0].Code != "store_behind" {
			t.Errorf("health five minutes later: %+v", h)
		}
		if got := titles(bob, "reading"); !slices.Equal(got, []string{"one"}) {
			t.Errorf("bob reads %q", got)
		}
		n.Unchecked() // alice has less than bob, and says so
	})
}

// TestIdle: when nothing changes a round is one exchange of equal hashes for each
// shared entity, and writes nothing.
func TestIdle(t *testing.T) {
	story(t, "friends with a board", func(t *testing.T) {
		n := New(t, rtt)
		stores := map[string]*FailStore{"alice": NewFailStore(), "bob": NewFailStore()}
		alice, bob := n.AddOn("alice", stores["alice"]), n.AddOn("bob", stores["bob"])
		befriend(t, alice, bob)
		members(t, alice, bob)
		pass(2 * time.Minute)
		const shared = 1 + 4 + 1 // the friendship, two profiles and two personal boards, the board
		const rounds = 10
		before := make(map[*Peer]Traffic)
		commits := make(map[string]int)
		for _, p := range n.Peers {
			before[p] = p.Served(protocol.SyncID)
			commits[p.Name] = stores[p.Name].Commits()
		}
		pass(rounds * 24 * time.Second) // the shortest round
		for _, p := range n.Peers {
			was, is := before[p], p.Served(protocol.SyncID)
			streams := is.Streams - was.Streams
			if streams == 0 || streams > (rounds+1)*shared {
				t.Errorf("%s served %d syncs in %d rounds of %d shared entities", p.Name, streams, rounds, shared)
			}
			if out := (is.Out - was.Out) / max(streams, 1); out > 64 {
				t.Errorf("%s answered with %d bytes a sync: more than that all is equal", p.Name, out)
			}
			if got := stores[p.Name].Commits() - commits[p.Name]; got != 0 {
				t.Errorf("%s wrote %d times while nothing happened", p.Name, got)
			}
		}
	})
}
