package testnet

import (
	"testing"
	"testing/synctest"
	"time"

	"pttnode/node"
)

func TestBoardAuto(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 100*time.Millisecond)
		alice, bob := n.Add("alice"), n.Add("bob")
		b, err := alice.Node.CreateBoard(t.Context(), node.BoardOptions{Name: "reading", Policy: "link"})
		if err != nil {
			t.Fatal(err)
		}
		inv, err := alice.Node.Invite(t.Context(), node.InviteOptions{Kind: "board", Board: b.Name, Auto: true})
		if err != nil {
			t.Fatal(err)
		}
		r, err := bob.Node.Join(t.Context(), inv.Link, "hi")
		if err != nil {
			t.Fatal(err)
		}
		took := n.Until(10*time.Second, "joined", func() bool {
			r, err = bob.Node.Request(r.ID)
			return err == nil && r.State == "done"
		})
		t.Logf("joined after %v: %+v", took, r)
		a, err := alice.Node.NewArticle(t.Context(), "reading", "", "hello", "text")
		if err != nil {
			t.Fatal(err)
		}
		if a.State != "ok" || a.No != 1 || a.Title != "hello" {
			t.Errorf("the new article = %+v, want it readable, number 1", a)
		}
		took = n.Until(10*time.Second, "article at bob", func() bool {
			as, err := bob.Node.Articles("reading")
			return err == nil && len(as) == 1
		})
		t.Logf("article after %v", took)
	})
}

func TestFriendByHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 100*time.Millisecond)
		alice, bob := n.Add("alice"), n.Add("bob")
		inv, err := alice.Node.Invite(t.Context(), node.InviteOptions{Kind: "friend"})
		if err != nil {
			t.Fatal(err)
		}
		r, err := bob.Node.Join(t.Context(), inv.Link, "hi")
		if err != nil {
			t.Fatal(err)
		}
		n.Until(10*time.Second, "waiting", func() bool {
			r, err = bob.Node.Request(r.ID)
			return err == nil && r.State == "waiting_approval"
		})
		in := alice.Node.Requests()
		if len(in) != 1 || in[0].Code != r.Code || in[0].With.Name != "bob" {
			t.Fatalf("alice sees %+v, bob %+v", in, r)
		}
		if _, err := alice.Node.Approve(t.Context(), in[0].ID); err != nil {
			t.Fatal(err)
		}
		took := n.Until(10*time.Second, "done", func() bool {
			r, err = bob.Node.Request(r.ID)
			return err == nil && r.State == "done"
		})
		t.Logf("alive after %v", took)
		n.Until(10*time.Second, "alive at alice", func() bool {
			f, err := alice.Node.Friend("bob")
			return err == nil && f.State == "alive"
		})
	})
}
