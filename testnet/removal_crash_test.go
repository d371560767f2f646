package testnet

import (
	"fmt"
	"testing"
	"time"
)

// TestRemovalCrash kills the owner who removes a member, and a member who hears of it,
// at each of their writes, in the moment before it is durable and in the moment after.
// Then either nothing was done, and it is done again, or all of it: the removal, its
// epoch and the key. In the end the others write on with a key that the removed one
// has not.
func TestRemovalCrash(t *testing.T) {
	for _, side := range []string{"alice", "carol"} {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/written=%v", side, written), func(t *testing.T) {
				atEveryWrite(t, side, 1, 1, func(t *testing.T, k int) bool { return removalCrash(t, side, k, written) })
			})
		}
	}
}

// removalCrash is one removal in which the store of one side stops at its k-th write,
// and the process dies in that moment. It reports whether there was such a write.
func removalCrash(t *testing.T, side string, k int, written bool) bool {
	n := New(t, 20*time.Millisecond)
	stores := map[string]*FailStore{}
	add := func(name string) *Peer {
		stores[name] = NewFailStore()
		return n.AddOn(name, stores[name])
	}
	alice, bob, carol := add("alice"), add("bob"), add("carol")
	members(t, alice, bob, carol)
	eid := readingID(t, alice)
	victim, store := alice, stores["alice"]
	if side == "carol" {
		victim, store = carol, stores["carol"]
	}
	store.StopAt(k, written, victim.silence)
	gone := func() bool { return role(alice, "reading", "bob") == "member removed" }
	remove := func() { _, _ = alice.Node.RemoveMember(t.Context(), "reading", "bob") }
	remove()
	hit := false
	n.Until(10*time.Minute, fmt.Sprintf("removed, after a stop of %s at write %d", side, k), func() bool {
		if victim.revive(store) {
			hit = true
			if !gone() {
				remove()
			}
		}
		return !store.Stopped() && gone() && role(carol, "reading", "bob") == "member removed" && keysHeld(t, carol, eid) >= 2
	})
	store.Mend() // there was no such write
	write(t, alice, "reading", "after")
	reads(t, carol, "reading", "after", 5*time.Minute)
	write(t, carol, "reading", "and on")
	reads(t, alice, "reading", "and on", 5*time.Minute)
	if got := keysHeld(t, bob, eid); got != 1 {
		t.Errorf("who was removed has %d keys, want the one from before", got)
	}
	ops, err := alice.Node.OpLog(eid.String(), "member")
	if err != nil {
		t.Fatal(err)
	}
	removals := 0
	for _, o := range ops {
		if o.Type == "remove" {
			removals++
		}
	}
	if removals != 1 {
		t.Errorf("%d removals, want 1", removals)
	}
	return hit
}
