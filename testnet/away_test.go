package testnet

import (
	"slices"
	"testing"
	"time"

	"pttnode/node"
	"pttnode/protocol"
)

// TestInviterAway: the requester waits for days, always says for what and until
// when, and is in when the inviter is back.
func TestInviterAway(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// TestOldBackup: a node on an old copy of its store stops writing when it meets
// what it wrote since.
func TestOldBackup(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
