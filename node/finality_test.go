package node

import (
	"testing"
	"time"

	"pttnode/entity"
)

// TestPatience: the founder gives an owner's checkpoint that waits for acks until it is a
// day old, but never less than ten minutes, and no more to one that says it is not made yet,
// or of who is no owner any more.
func TestPatience(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		what string
		age  time.Duration // of the checkpoint, when one of the founder's became due
		want time.Duration
	}{
		{"just made", 0, founderAway},
		{"made by a clock a little ahead", -time.Minute, founderAway},
		{"hours old", 20 * time.Hour, 4 * time.Hour},
		{"days old", 100 * time.Hour, afterRemoval},
		{"made by a clock that is ahead", -time.Hour, afterRemoval},
	} {
		n, _ := target(t, nil)
		b, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
		if err != nil {
			t.Fatal(err)
		}
		first, second := newGuest(t, n, b.ID), newGuest(t, n, b.ID)
		for _, g := range []guest{first, second} {
			if _, err := n.SetRole(t.Context(), "dev", g.me.ID().String(), "owner"); err != nil {
				t.Fatal(err)
			}
		}
		h := n.entities[b.ID]
		w := wanted{entity.DueRemoval, now}
		if got := n.patience(h, w, now); got != afterRemoval {
			t.Errorf("while none waits: %v, want %v", got, afterRemoval)
		}
		if _, err := h.Checkpoint(entity.Author{Key: first.key, User: first.me.ID(), Now: now.Add(-c.age)}); err != nil {
			t.Fatal(err)
		}
		if got := n.patience(h, w, now).Round(time.Second); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
		if _, err := n.SetRole(t.Context(), "dev", first.me.ID().String(), "member"); err != nil {
			t.Fatal(err)
		}
		if got := n.patience(h, w, now); got != afterRemoval {
			t.Errorf("%s, of who is no owner any more: %v, want %v", c.what, got, afterRemoval)
		}
	}
}
