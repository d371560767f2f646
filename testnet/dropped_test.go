package testnet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pttnode/entity"
	"pttnode/node"
	"pttnode/oplog"
)

// later sets all clocks on.
func later(n *Net, by time.Duration) {
	for _, p := range n.Peers {
		p.Skew(time.Duration(p.skew.Load()) + by)
	}
}

// droppedAt returns of how many entries of the board a peer has only stubs.
func droppedAt(p *Peer) int {
	v, err := p.Node.View("reading")
	if err != nil {
		return 0
	}
	return v.Final.Dropped
}

// bodies returns how many articles and comments a peer's store has whole, and how many as
// stubs.
func bodies(t *testing.T, p *Peer) (whole, stubs int) {
	t.Helper()
	s, err := p.stored(true)
	if err != nil {
		t.Fatalf("the store of %s: %v", p.Name, err)
	}
	for o := range s.entities[readingID(t, p)].Log().All(oplog.Content) {
		if o.Bare() {
			stubs++
		} else {
			whole++
		}
	}
	return whole, stubs
}

// pages is the board as a peer reads it, with texts and comments.
func pages(t *testing.T, p *Peer) string {
	t.Helper()
	as, err := p.Node.Articles("reading")
	if err != nil {
		return err.Error()
	}
	var out strings.Builder
	for _, a := range as {
		whole, err := p.Node.Article(t.Context(), "reading", a.ID.String())
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(fmt.Sprintf("%d %s %s %q", whole.No, whole.State, whole.Title, *whole.Body))
		for _, c := range whole.Thread {
			out.WriteString(fmt.Sprintf(" {%s %s}", c.Type, c.Text))
		}
		out.WriteString("\n")
	}
	return out.String()
}

// rubbish writes an article that is edited and one that is deleted, with a comment: four
// of its seven entries are dead.
func rubbish(t *testing.T, alice, other *Peer) {
	t.Helper()
	write(t, alice, "reading", "kept")
	write(t, alice, "reading", "regretted")
	reads(t, other, "reading", "regretted", time.Minute)
	if _, err := other.Node.AddComment(t.Context(), "reading", "2", "push", "yes!"); err != nil {
		t.Fatal(err)
	}
	alice.net.Settle()
	title := "better"
	for range 2 {
		if _, err := alice.Node.EditArticle(t.Context(), "reading", "1", node.ArticleChange{Title: &title}); err != nil {
			t.Fatal(err)
		}
		title = "best"
	}
	if _, err := alice.Node.DeleteArticle(t.Context(), "reading", "2"); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Node.AddComment(t.Context(), "reading", "1", "push", "and no"); err != nil { // of no device the last entry is dropped
		t.Fatal(err)
	}
	alice.net.Settle()
}

const (
	rubbishOps  = 7
	rubbishDead = 4
)

// TestDropped: four weeks after something was deleted or replaced its text is on no disk
// any more, of those who were there and of those who were not, everybody reads the same
// board as before, and somebody new does, from whomever he has it.
func TestDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob, carol, erin := n.Add("alice"), n.Add("bob"), n.Add("carol"), n.Add("erin")
		members(t, alice, bob, carol, erin)
		owner(t, n, alice, bob)
		n.Settle()
		erin.Stop()
		rubbish(t, alice, bob)
		before := pages(t, carol)
		later(n, entity.DropAfter)
		pass(2 * time.Minute)
		if got := droppedAt(alice); got != 0 {
			t.Fatalf("%d dropped at once", got)
		}
		if got := finalOf(t, bob, "reading"); got != 1 {
			t.Fatalf("checkpoint %d after two weeks with something dead, want 1", got)
		}
		later(n, entity.DropAfter)
		all := []*Peer{alice, bob, carol}
		n.Until(5*time.Minute, "dropped", func() bool {
			return !slices.ContainsFunc(all, func(p *Peer) bool { return droppedAt(p) < rubbishDead })
		})
		erin.Start()
		dave := n.Add("dave")
		dave.Skew(time.Duration(alice.skew.Load()))
		done(t, dave, join(t, dave, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		n.Settle()
		for _, p := range append(all, erin, dave) {
			if got := pages(t, p); got != before {
				t.Errorf("%s reads\n%s\nwant\n%s", p.Name, got, before)
			}
			if whole, stubs := bodies(t, p); whole != rubbishOps-rubbishDead || stubs != rubbishDead {
				t.Errorf("%s has %d whole and %d stubs on disk", p.Name, whole, stubs)
			}
		}
		// From one who has never had more than stubs, and after his restart.
		owner(t, n, alice, dave)
		n.Settle()
		for _, p := range n.Peers {
			p.Stop()
		}
		dave.Start()
		frank := n.Add("frank")
		frank.Skew(time.Duration(alice.skew.Load()))
		done(t, frank, join(t, frank, newLink(t, dave, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		n.Until(time.Minute, "the board at frank", func() bool { return pages(t, frank) == before })
		if whole, stubs := bodies(t, frank); whole != rubbishOps-rubbishDead || stubs != rubbishDead {
			t.Errorf("frank has %d whole and %d stubs on disk", whole, stubs)
		}
		for _, p := range []*Peer{alice, bob, carol, erin} {
			p.Start()
		}
	})
}

// TestNotDropped: nothing goes while an owner has not acked, and what goes later is whole
// until then.
func TestNotDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob, carol := n.Add("alice"), n.Add("bob"), n.Add("carol")
		members(t, alice, bob, carol)
		owner(t, n, alice, bob)
		n.Settle()
		rubbish(t, alice, carol)
		bob.Stop()
		for range 3 {
			later(n, entity.DropAfter)
			pass(5 * time.Minute)
		}
		if finalOf(t, carol, "reading") == 0 || droppedAt(alice)+droppedAt(carol) != 0 {
			t.Errorf("checkpoint %d, %d and %d dropped, want none without bob", finalOf(t, carol, "reading"), droppedAt(alice), droppedAt(carol))
		}
		bob.Start()
		n.Until(5*time.Minute, "dropped", func() bool { return droppedAt(alice) == rubbishDead && droppedAt(carol) == rubbishDead })
	})
}

// TestDropCrash kills a member at each write by which stubs take the place of what was
// dropped, or come to him who was away, before it is durable and after. Then either none
// of it is done or all.
func TestDropCrash(t *testing.T) {
	for _, side := range []string{"there", "away"} {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/written=%v", side, written), func(t *testing.T) {
				atEveryWrite(t, side, 1, 1, func(t *testing.T, k int) bool { return dropCrash(t, side, k, written) })
			})
		}
	}
}

func dropCrash(t *testing.T, side string, k int, written bool) bool {
	n := New(t, 20*time.Millisecond)
	store := NewFailStore()
	alice, carol := n.Add("alice"), n.AddOn("carol", store)
	members(t, alice, carol)
	if side == "away" {
		bob := n.Add("bob")
		done(t, bob, join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		carol.Stop()
		rubbish(t, alice, bob)
	} else {
		rubbish(t, alice, carol)
	}
	before := pages(t, alice)
	later(n, entity.DropAfter)
	pass(2 * time.Minute)
	later(n, entity.DropAfter)
	if side == "away" {
		n.Until(5*time.Minute, "dropped", func() bool { return droppedAt(alice) == rubbishDead })
	}
	store.StopAt(k, written, carol.silence)
	if side == "away" {
		carol.Start()
	}
	hit := false
	revive := func() {
		hit = carol.revive(store) || hit
	}
	n.Until(10*time.Minute, fmt.Sprintf("dropped, after a stop at write %d", k), func() bool {
		revive()
		return !store.Stopped() && droppedAt(carol) == rubbishDead
	})
	store.Mend() // there was no such write
	n.Settle()
	if got := pages(t, carol); got != before {
		t.Errorf("carol reads\n%s\nwant\n%s", got, before)
	}
	if whole, stubs := bodies(t, carol); whole != rubbishOps-rubbishDead || stubs != rubbishDead {
		t.Errorf("%d whole and %d stubs on disk", whole, stubs)
	}
	return hit
}
