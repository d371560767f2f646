package node

import (
	"slices"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// TestSyncByRanges: entities of more authors than a vector is good for are compared by
// ranges, whichever side begins, from nothing and from parts.
func TestSyncByRanges(t *testing.T) {
	mem := func() datastore.Batching { return dssync.MutexWrap(datastore.NewMapDatastore()) }
	c := newCrowd(t, mem(), mem(), maxSyncHeads+10, 600, 100)
	defer runs(t, c.full)()
	defer runs(t, c.empty)()
	eid := c.board.ID()
	same := func(what string) {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for c.empty.vector(eid).Hash(eid) != c.full.vector(eid).Hash(eid) {
			select {
			case <-deadline:
				t.Fatalf("%s: %d ops and %d", what, c.empty.have(eid), c.full.have(eid))
			case <-time.After(time.Millisecond):
			}
		}
	}
	connect(t, c.empty, c.full)
	same("from nothing")
	by := func(n, other *Node) int {
		n.mu.Lock()
		defer n.mu.Unlock()
		if a := n.spending.of[account{rangesOfPeer, other.device.ID().String()}]; a != nil {
			return a.count
		}
		return 0
	}
	if got := by(c.full, c.empty) + by(c.empty, c.full); got == 0 {
		t.Error("no ranges were compared: this proves nothing")
	}
	for _, side := range []*Node{c.full, c.empty} {
		if _, err := side.NewArticle(t.Context(), "dev", "", "by one side", "text"); err != nil {
			t.Fatal(err)
		}
	}
	other := map[*Node]*Node{c.full: c.empty, c.empty: c.full}
	sync := func() {
		t.Helper()
		for a, b := range other {
			err := a.syncEntity(t.Context(), b.device.ID(), eid)
			for tries := 0; err != nil && tries < 1000; tries++ { // refused while two of theirs are under way
				<-time.After(time.Millisecond)
				err = a.syncEntity(t.Context(), b.device.ID(), eid)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	sync()
	same("a little on both sides")
	// What began while the logs differed may compare ranges yet, and counts once, so one
	// round of several compares none. Were ranges of equal logs compared, each would.
	for rounds := 10; ; rounds-- {
		compared := by(c.full, c.empty) + by(c.empty, c.full)
		sync()
		if by(c.full, c.empty)+by(c.empty, c.full) == compared {
			break
		}
		if rounds == 0 {
			t.Fatal("ranges of equal logs were compared")
		}
	}
	for a, b := range other {
		a.mu.Lock()
		if heads := a.entities[eid].Log().Vector().Hash(eid); !a.hasAll(eid, b.device.ID(), heads) {
			t.Error("an equal sync did not confirm")
		}
		a.mu.Unlock()
	}
}

// TestAttackLeavesInsideRanges: a member who brings his own leave while ranges are
// compared gets nothing that he wanted before.
func TestAttackLeavesInsideRanges(t *testing.T) {
	n, h, _ := boardTarget(t, InviteOptions{})
	c := newClaimant(t)
	enters(t, n, h, c)
	leave := leaving(t, h, c, h.Log().Heads(oplog.Control))
	other := []byte{0, 1, 1, 2, 3, 4, 5, 6, 7, 8} // a sum of everything that is not theirs
	eid, salt := h.ID(), oplog.Salt{1}
	sync := func(ops ...oplog.Pair) []protocol.SyncType {
		t.Helper()
		list, _, err := oplog.NewReconciler(h.Log().Places(), salt).Answer(other, nil)
		if err != nil {
			t.Fatal(err)
		}
		return answers(t, n, c,
			syncFrame(protocol.SyncRanges, protocol.Ranges{Entity: &eid, Hash: &eid, Salt: &salt, Ranges: other}),
			syncFrame(protocol.SyncRanges, protocol.Ranges{Wants: list[3:]}), // all that is listed behind step, head and count
			syncFrame(protocol.SyncOps, protocol.Ops{Ops: append([]oplog.Pair{}, ops...)}),
		)
	}
	if got := sync(); !slices.Equal(got, []protocol.SyncType{protocol.SyncRanges, protocol.SyncOps}) {
		t.Fatalf("a member gets %v, want ranges and the ops", got)
	}
	if got := sync(leave.Pair()); !slices.Equal(got, []protocol.SyncType{protocol.SyncRanges}) {
		t.Errorf("who leaves meanwhile gets %v, want the ranges alone", got)
	}
	if m, _ := h.State().Member(c.me.ID()); m.Standing == entity.Active {
		t.Error("his leave was not taken: this proves nothing")
	}
}

// TestComparingAtOnce: many peers together have a bounded number of exchanges of ranges
// at once; what is over is free again.
func TestComparingAtOnce(t *testing.T) {
	n, _ := target(t, nil)
	peer := func(i int) keys.ID { return keys.ID{byte(i + 1)} }
	for i := range maxComparing {
		if !n.beginComparing(peer(i)) {
			t.Fatalf("number %d was refused, want %d", i, maxComparing)
		}
	}
	if n.beginComparing(peer(maxComparing)) {
		t.Errorf("one more than %d was begun", maxComparing)
	}
	for i := range maxComparing {
		n.endComparing(peer(i))
	}
	if len(n.comparing) != 0 {
		t.Errorf("%d peers have one that is over", len(n.comparing))
	}
	for i, want := range []bool{true, true, false} {
		if got := n.beginComparing(peer(maxComparing)); got != want {
			t.Errorf("number %d of one peer: %v, want %v", i, got, want)
		}
	}
}
