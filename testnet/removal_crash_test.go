package testnet

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pttnode/keys"
)

// keyChange is something after which a board of alice's, bob's and carol's has another
// op-key.
type keyChange struct {
	name string
	act  func(t *testing.T, alice, bob *Peer) // again where a crash undid it
	came func(p *Peer) bool                   // p has seen it; its key is another matter
	out  bool                                 // bob is a member no more, and has no key of it
	op   string                               // the type of the control op that begins the epoch
}

var removing = keyChange{
	name: "removal",
	act:  func(t *testing.T, alice, _ *Peer) { _, _ = alice.Node.RemoveMember(t.Context(), "reading", "bob") },
	came: func(p *Peer) bool { return role(p, "reading", "bob") == "member removed" },
	out:  true,
	op:   "remove",
}

// The owner changes the key after a leave by herself, when she has taken it; by hand she
// does it again if a crash undid it.
var rotating = []keyChange{
	{
		name: "leave",
		act:  func(t *testing.T, _, bob *Peer) { _ = bob.Node.LeaveBoard(t.Context(), "reading") },
		came: func(p *Peer) bool { return role(p, "reading", "bob") == "member left" && depth(p) == 2 },
		out:  true,
		op:   "epoch",
	},
	{
		name: "by hand",
		act:  func(t *testing.T, alice, _ *Peer) { _, _ = alice.Node.RotateBoard(t.Context(), "reading") },
		came: func(p *Peer) bool { return depth(p) == 2 },
		op:   "epoch",
	},
}

// depth is that of the epoch in which a peer writes on the board, 0 for none.
func depth(p *Peer) uint64 {
	v, err := p.Node.View("reading")
	if err != nil {
		return 0
	}
	return v.Epoch
}

// TestRemovalCrash kills the owner who removes a member, and a member who hears of it,
// at each of their writes, in the moment before it is durable and in the moment after.
// Then either nothing was done, and it is done again, or all of it: the removal, its
// epoch and the key. In the end the others write on with a key that the removed one
// has not.
func TestRemovalCrash(t *testing.T) { keyChangeCrashes(t, removing) }

// TestRotationCrash is TestRemovalCrash where nobody is removed: the owner changes the
// key because somebody has left, or because she wants to.
func TestRotationCrash(t *testing.T) {
	for _, c := range rotating {
		t.Run(c.name, func(t *testing.T) { keyChangeCrashes(t, c) })
	}
}

func keyChangeCrashes(t *testing.T, c keyChange) {
	for _, side := range []string{"alice", "carol"} {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/written=%v", side, written), func(t *testing.T) {
				atEveryWrite(t, side, 1, 1, func(t *testing.T, k int) bool { return keyChangeCrash(t, c, side, k, written) })
			})
		}
	}
}

// keyChangeCrash is one change of the key in which the store of one side stops at its
// k-th write, and the process dies in that moment. It reports whether there was such a
// write.
func keyChangeCrash(t *testing.T, c keyChange, side string, k int, written bool) bool {
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
	stay := []*Peer{alice, carol}
	if !c.out {
		stay = append(stay, bob)
	}
	store.StopAt(k, written, victim.silence)
	c.act(t, alice, bob)
	hit := false
	revive := func() {
		if !victim.revive(store) {
			return
		}
		hit = true
		if !c.came(alice) {
			c.act(t, alice, bob)
		}
	}
	n.Until(10*time.Minute, fmt.Sprintf("%s, after a stop of %s at write %d", c.name, side, k), func() bool {
		revive()
		return !store.Stopped() && !slices.ContainsFunc(stay, func(p *Peer) bool { return !c.came(p) || keysHeld(t, p, eid) < 2 })
	})
	for range 50 { // what is written after the end is killed too
		pass(100 * time.Millisecond)
		revive()
	}
	store.Mend() // there was no such write
	n.Settle()
	changedOnce(t, c, eid, alice, bob, carol)
	return hit
}

// changedOnce checks that there is one new key, that all who are members write with it
// and read one another, and that who is none has not got it.
func changedOnce(t *testing.T, c keyChange, eid keys.Digest, alice, bob, carol *Peer) {
	t.Helper()
	held := map[*Peer]int{alice: 2, carol: 2, bob: 2}
	if c.out {
		held[bob] = 1
	}
	for p, want := range held {
		if want == 2 {
			if d := depth(p); d != 2 {
				t.Errorf("%s writes in epoch %d, want 2", p.Name, d)
			}
			write(t, p, "reading", "by "+p.Name)
		}
	}
	for p, has := range held {
		for by, wrote := range held {
			if has == 2 && wrote == 2 {
				reads(t, p, "reading", "by "+by.Name, 5*time.Minute)
			}
		}
	}
	for p, want := range held {
		if got := keysHeld(t, p, eid); got != want {
			t.Errorf("%s has %d keys, want %d", p.Name, got, want)
		}
	}
	ops, err := alice.Node.OpLog(eid.String(), "")
	if err != nil {
		t.Fatal(err)
	}
	changes := 0
	for _, o := range ops {
		if o.Type == c.op {
			changes++
		}
	}
	want := 1
	if c.op == "epoch" {
		want = 2 // that of the genesis is one
	}
	if changes != want {
		t.Errorf("%d operations of type %s, want %d", changes, c.op, want)
	}
}
