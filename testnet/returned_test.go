package testnet

import (
	"testing"
	"testing/synctest"
	"time"

	"pttnode/node"
)

// TestIssuerReturns: an issuer that was killed while a friend's request waits is
// found within seconds of its return, not when the old connection times out.
func TestIssuerReturns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob := n.Add("alice"), n.Add("bob")
		befriend := func(o node.InviteOptions) {
			inv, err := alice.Node.Invite(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			r, err := bob.Node.Join(t.Context(), inv.Link, "")
			if err != nil {
				t.Fatal(err)
			}
			n.Until(10*time.Second, "friends", func() bool {
				r, err = bob.Node.Request(r.ID)
				return err == nil && r.State == "done"
			})
		}
		befriend(node.InviteOptions{Kind: "friend", For: bob.User().String(), Auto: true})
		if _, err := alice.Node.CreateBoard(t.Context(), node.BoardOptions{Name: "plans"}); err != nil {
			t.Fatal(err)
		}
		inv, err := alice.Node.Invite(t.Context(), node.InviteOptions{Kind: "board", Board: "plans"})
		if err != nil {
			t.Fatal(err)
		}
		r, err := bob.Node.Join(t.Context(), inv.Link, "")
		if err != nil {
			t.Fatal(err)
		}
		n.Until(10*time.Second, "waiting", func() bool {
			r, err = bob.Node.Request(r.ID)
			return err == nil && r.State == "waiting_approval"
		})
		pass(5 * time.Second)
		alice.Restart()
		for _, in := range alice.Node.Requests() {
			if in.State == "new" {
				if _, err := alice.Node.Approve(t.Context(), in.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		took := n.Until(time.Minute, "joined", func() bool {
			r, err = bob.Node.Request(r.ID)
			return err == nil && r.State == "done"
		})
		if took > 5*time.Second {
			t.Errorf("joined %v after alice was back, want within 5 s", took)
		}
	})
}
