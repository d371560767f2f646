package testnet

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pttnode/node"
)

// maxWrites is more than any side of a join commits.
const maxWrites = 40

// joins are the joins that are killed at every write of either side.
var joins = []struct {
	name string
	kind string
	auto bool
}{
	{"board auto", "board", true},
	{"board by hand", "board", false},
	{"friend by hand", "friend", false},
}

// TestCrashAtEveryWrite kills either side of every join at each of its writes: in
// the moment before the write is durable, and in the moment after. The rows of
// docs/PROTOCOL.md §5.7 from "before the claim is durable" on are such moments.
func TestCrashAtEveryWrite(t *testing.T) {
	for _, j := range joins {
		for _, side := range []string{"alice", "bob"} {
			for _, written := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/written=%v", j.name, side, written), func(t *testing.T) {
					atEveryWrite(t, side, thin(), 2, func(t *testing.T, k int) bool {
						return crashAt(t, j.kind, j.auto, side, k, written)
					})
				})
			}
		}
	}
}

// thin is how far apart the writes are that are tried: in a short run every third.
func thin() int {
	if testing.Short() {
		return 3
	}
	return 1
}

// atEveryWrite calls f in a net of its own for each k-th write of a side, step apart,
// until f reports that there was no such write. There must be least of them.
func atEveryWrite(t *testing.T, side string, step, least int, f func(t *testing.T, k int) bool) {
	t.Helper()
	stopped, k := true, 1 // stopped stays as it is where -run leaves a write out
	for ; stopped && k <= maxWrites && !t.Failed(); k += step {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { stopped = f(t, k) })
		})
	}
	if wrote := k - step - 1; wrote < least && !t.Failed() {
		t.Errorf("%s wrote only %d times", side, wrote)
	}
}

// revive brings a peer back ten seconds after its store stopped and it died, and reports
// whether that was so.
func (p *Peer) revive(store *FailStore) bool {
	if !store.Stopped() {
		return false
	}
	p.Crash()
	pass(10 * time.Second)
	store.Mend()
	p.Start()
	return true
}

// crashAt runs one join in which the store of one side stops at its k-th write,
// the process dies in that moment, and comes back ten seconds later. It reports
// whether there was such a write.
func crashAt(t *testing.T, kind string, auto bool, side string, k int, written bool) bool {
	p := newPair(t, kind, node.InviteOptions{Auto: auto})
	victim, store := p.alice, p.aStore
	if side == "bob" {
		victim, store = p.bob, p.bStore
	}
	store.StopAt(k, written, victim.silence)
	asked := p.ask(t) == nil
	hit := false
	revive := func() {
		if !victim.revive(store) {
			return
		}
		hit = true
		if !asked { // no request was shown, so the link is opened again
			asked = p.ask(t) == nil
		}
	}
	p.net.Until(30*time.Minute, fmt.Sprintf("joined by %s after a stop of %s at write %d", kind, side, k), func() bool {
		revive()
		approveNew(p.alice)
		return p.joined()
	})
	for range 50 { // what is written after the end is killed too
		pass(100 * time.Millisecond)
		revive()
	}
	store.StopAt(0, false, nil)
	p.net.Check(t)
	p.theOne(t)
	return hit
}

// TestFullDisk is a store that refuses from its k-th write on while its process
// lives: what was not stored is told to nobody, so that after a restart with a
// disk that works everything goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, j := range joins {
		for _, side := range []string{"alice", "bob"} {
			t.Run(j.name+"/"+side, func(t *testing.T) {
				hit := true
				for k := 1; hit && !t.Failed(); k++ {
					if testing.Short() {
						k += 3
					}
					t.Run(fmt.Sprint(k), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { hit = fullDiskAt(t, j.kind, j.auto, side, k) })
					})
				}
			})
		}
	}
}

func fullDiskAt(t *testing.T, kind string, auto bool, side string, k int) bool {
	p := newPair(t, kind, node.InviteOptions{Auto: auto})
	victim, store := p.alice, p.aStore
	if side == "bob" {
		victim, store = p.bob, p.bStore
	}
	store.StopAt(k, false, nil)
	asked := p.ask(t) == nil
	for range 120 { // two minutes on
		pass(time.Second)
		approveNew(p.alice)
	}
	hit := store.Stopped()
	if hit {
		if h := victim.Node.Status().Health; len(h) != 1 || h[0].Code != "disk_full" {
			t.Errorf("health with a store that refuses writes: %+v", h)
		}
	}
	victim.Crash()
	store.Mend()
	victim.Start()
	if !asked {
		if err := p.ask(t); err != nil {
			t.Fatalf("ask again after the disk was mended: %v", err)
		}
	}
	p.net.Until(30*time.Minute, "joined after the disk was mended", func() bool {
		approveNew(p.alice)
		return p.joined()
	})
	p.net.Check(t)
	p.theOne(t)
	for _, peer := range p.net.Peers {
		if h := peer.Node.Status().Health; len(h) != 0 {
			t.Errorf("%s is not well: %+v", peer.Name, h)
		}
	}
	return hit
}

// TestCrashMakingInvite: a link whose record is not durable is not shown.
func TestCrashMakingInvite(t *testing.T) {
	t.Parallel()
	for _, written := range []bool{false, true} {
		t.Run(fmt.Sprintf("written=%v", written), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New(t, 20*time.Millisecond)
				store := NewFailStore()
				alice := n.AddOn("alice", store)
				store.StopAt(1, written, alice.silence)
				v, err := alice.Node.Invite(t.Context(), node.InviteOptions{Kind: "friend"})
				if err == nil || code(err) != "disk_full" {
					t.Errorf("invite on a store that stops: %+v, %v", v, err)
				}
				alice.Crash()
				store.Mend()
				alice.Start()
				want := 0
				if written {
					want = 1 // nobody knows its secret
				}
				if got := alice.Node.Invites(); len(got) != want {
					t.Errorf("%d invites after the restart, want %d", len(got), want)
				}
			})
		})
	}
}

// TestApprovalNotDurable: an approval whose write failed is no approval; after
// the restart the request is as new as before.
func TestApprovalNotDurable(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"board", "friend"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, kind, node.InviteOptions{})
				_ = p.ask(t)
				in := p.waiting(t)
				p.aStore.StopAt(1, false, p.alice.silence)
				if _, err := p.alice.Node.Approve(t.Context(), in.ID); code(err) != "disk_full" {
					t.Errorf("approve on a store that stops: %v", err)
				}
				p.alice.Crash()
				p.aStore.Mend()
				p.alice.Start()
				if got, err := p.alice.Node.Request(in.ID); err != nil || got.State != "new" || got.Code != in.Code {
					t.Errorf("after the restart %+v, %v, want %+v", got, err, in)
				}
				p.net.Until(5*time.Minute, "joined", func() bool {
					approveNew(p.alice)
					return p.joined()
				})
				p.theOne(t)
			})
		})
	}
}

// TestRevokedWhileReserved: alice takes the link back while bob's request waits;
// he hears it at once, after a restart of hers, or after one of his.
func TestRevokedWhileReserved(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"nobody", "alice", "bob", "bob is off"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, "board", node.InviteOptions{})
				_ = p.ask(t)
				in := p.waiting(t)
				if who == "bob is off" {
					p.bob.Crash()
				}
				if who == "alice" {
					p.alice.silence() // she dies before she can tell
				}
				if _, err := p.alice.Node.Revoke(t.Context(), in.Invite); err != nil {
					t.Fatal(err)
				}
				switch who {
				case "alice":
					p.alice.Restart()
				case "bob":
					p.bob.Restart()
				case "bob is off":
					pass(time.Hour)
					p.bob.Start()
				}
				if r := p.ended(t, 5*time.Minute, p.request); r.State != "rejected" || r.Reason != "invite_revoked" {
					t.Errorf("bob's request is %s with %q, want rejected with invite_revoked", r.State, r.Reason)
				}
				if got, _ := p.alice.Node.Request(in.ID); got.State != "withdrawn" || got.Reason != "invite_revoked" {
					t.Errorf("alice sees %s with %q", got.State, got.Reason)
				}
				if _, err := p.alice.Node.Approve(t.Context(), in.ID); code(err) != "invite_revoked" {
					t.Errorf("approving it then: %v", err)
				}
				if _, err := p.bob.Node.Board("reading"); code(err) != "not_found" {
					t.Errorf("bob's board: %v", err)
				}
			})
		})
	}
}

// TestLeftBeforePickUp: who is no member any more when he comes for his approval
// gets removed, and no key. Bob's node comes back from a backup made while he
// waited; meanwhile he joined and left.
func TestLeftBeforePickUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, "board", node.InviteOptions{})
		_ = p.ask(t)
		p.waiting(t)
		backup, err := p.bStore.Copy(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.net.Until(time.Minute, "joined", func() bool { approveNew(p.alice); return p.joined() })
		if err := p.bob.Node.LeaveBoard(t.Context(), "reading"); err != nil {
			t.Fatal(err)
		}
		p.net.Settle()
		p.bob.Stop()
		p.bob.Store = backup
		p.bob.Start()
		if r := p.ended(t, 5*time.Minute, p.request); r.State != "rejected" || r.Reason != "removed" {
			t.Errorf("bob's request is %s with %q, want rejected with removed", r.State, r.Reason)
		}
		if _, err := p.bob.Node.Board("reading"); code(err) != "not_found" {
			t.Errorf("bob's board: %v", err)
		}
	})
}
