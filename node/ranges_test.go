package node

import (
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
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
	for a, b := range other {
		if err := a.syncEntity(t.Context(), b.device.ID(), eid); err != nil {
			t.Fatal(err)
		}
	}
	same("a little on both sides")
	compared := by(c.full, c.empty) + by(c.empty, c.full)
	for a, b := range other {
		if err := a.syncEntity(t.Context(), b.device.ID(), eid); err != nil {
			t.Fatal(err)
		}
	}
	for a, b := range other {
		a.mu.Lock()
		if heads := a.entities[eid].Log().Vector().Hash(eid); !a.hasAll(eid, b.device.ID(), heads) {
			t.Error("an equal sync did not confirm")
		}
		a.mu.Unlock()
	}
	if got := by(c.full, c.empty) + by(c.empty, c.full); got > compared {
		t.Error("ranges of equal logs were compared")
	}
}
