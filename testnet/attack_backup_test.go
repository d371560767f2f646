package testnet

import (
	"testing"
	"time"

	"pttnode/node"
)

// usedTwice has a board of alice's, of which dave is a member, and a link for one person
// that bob has used. Alice's node then is on a copy of its store from before that. Only
// she and carol, who has the same link, are running.
func usedTwice(t *testing.T) (n *Net, alice, bob, carol, dave *Peer, link string) {
	t.Helper()
	n = New(t, 20*time.Millisecond)
	store := NewFailStore()
	alice, bob, carol, dave = n.AddOn("alice", store), n.Add("bob"), n.Add("carol"), n.Add("dave")
	members(t, alice, dave)
	link = newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link
	backup, err := store.Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done(t, bob, join(t, bob, link))
	n.Settle()
	write(t, bob, "reading", "by bob")
	reads(t, dave, "reading", "by bob", time.Minute)
	for _, p := range []*Peer{alice, bob, dave} {
		p.Stop()
	}
	alice.Store = backup
	alice.Start()
	n.Unchecked() // alice's node has stopped, and what she approved is void
	return n, alice, bob, carol, dave, link
}

func behind(p *Peer) bool {
	h := p.Node.Status().Health
	return len(h) == 1 && h[0].Code == "store_behind"
}

// TestAttackO30: a link for one person is used a second time, after its issuer went back
// to a backup from before the first. If the issuer meets a member first that it knows, it
// stops and lets nobody in. Whom it let in since it does not know, and hears nothing of;
// so it lets the second user in. When all have met, both admissions are void everywhere,
// and both users know: the link was good for none.
func TestAttackO30(t *testing.T) {
	t.Parallel()
	story(t, "a member first", func(t *testing.T) {
		n, alice, bob, carol, dave, link := usedTwice(t)
		dave.Start()
		n.Until(5*time.Minute, "alice stops", func() bool { return behind(alice) })
		r := join(t, carol, link)
		bob.Start()
		pass(10 * time.Minute)
		if v, err := carol.Node.Request(r); err != nil || v.State != "waiting_peer" || v.Reason != "disk_full" {
			t.Errorf("the second request: %+v, %v", v, err)
		}
		for _, p := range []*Peer{bob, dave} {
			if role(p, "reading", "bob") != "member active" || role(p, "reading", "carol") != "nobody" {
				t.Errorf("%s: bob is %s, carol is %s", p.Name, role(p, "reading", "bob"), role(p, "reading", "carol"))
			}
		}
	})
	for _, bobFirst := range []bool{false, true} {
		story(t, map[bool]string{false: "nobody else first", true: "who used it first"}[bobFirst], func(t *testing.T) { secondUse(t, bobFirst) })
	}
}

func secondUse(t *testing.T, bobFirst bool) {
	n, alice, bob, carol, dave, link := usedTwice(t)
	if bobFirst {
		bob.Start()
		pass(10 * time.Minute)
		if behind(alice) || role(bob, "reading", "bob") != "member active" {
			t.Errorf("alice hears of bob, whom she does not know; he is %s", role(bob, "reading", "bob"))
		}
	}
	done(t, carol, join(t, carol, link))
	write(t, carol, "reading", "by carol")
	if !bobFirst {
		bob.Start()
	}
	pass(5 * time.Minute)
	dave.Start()
	n.Until(10*time.Minute, "both void at dave, and both know", func() bool {
		return role(dave, "reading", "bob") == "nobody" && role(dave, "reading", "carol") == "nobody" &&
			len(bob.Node.Boards()) == 1 && len(carol.Node.Boards()) == 1 && behind(alice)
	})
	var digests []string
	for _, p := range []*Peer{bob, carol, dave} {
		s, err := p.stored(true)
		if err != nil {
			t.Fatal(err)
		}
		e := s.entities[readingID(t, dave)]
		digests = append(digests, e.State().Digest().String())
	}
	if digests[0] != digests[2] || digests[1] != digests[2] {
		t.Errorf("bob, carol and dave come to the states %v", digests)
	}
	if got := titles(dave, "reading"); len(got) != 0 {
		t.Errorf("dave reads %q of people who were never let in", got)
	}
	if got := role(alice, "reading", "carol"); got != "member active" {
		t.Errorf("alice, who takes nothing any more, says that carol is %s", got)
	}
}
