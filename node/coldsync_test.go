package node

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// A cold sync as docs/PERFORMANCE.md bounds it.
const (
	coldAuthors = 50
	coldEntries = 100_000
	coldBytes   = 200 // of a sealed body
)

// verifyAll checks signatures singly on all cores, and returns how long it took.
func verifyAll(tb testing.TB, ops []oplog.Op) time.Duration {
	tb.Helper()
	start := time.Now()
	var all sync.WaitGroup
	for part := range slices.Chunk(ops, len(ops)/runtime.GOMAXPROCS(0)+1) {
		all.Go(func() {
			for _, o := range part {
				raw := o.Envelope()
				if o.Device().Verify(keys.PurposeOp, raw[:len(raw)-67], keys.Signature(raw[len(raw)-64:])) != nil {
					tb.Error("a signature is bad")
				}
			}
		})
	}
	all.Wait()
	return time.Since(start)
}

// coldCrowd is a crowd on disk; empty is closed, to be copied.
func coldCrowd(tb testing.TB) (c *crowd, late string) {
	tb.Helper()
	late = tb.TempDir()
	ds, err := openStore(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	lateStore, err := openStore(late)
	if err != nil {
		tb.Fatal(err)
	}
	c = newCrowd(tb, ds, lateStore, coldAuthors, coldEntries, coldBytes)
	if err := errors.Join(c.empty.host.Close(), lateStore.Close()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = ds.Close() })
	return c, late
}

// again opens a copy of empty.
func (c *crowd) again(tb testing.TB, late string) (n *Node, stop func()) {
	tb.Helper()
	dir, err := os.MkdirTemp("", "cold-*")
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(late)); err != nil {
		tb.Fatal(err)
	}
	ds, err := openStore(dir)
	if err != nil {
		tb.Fatal(err)
	}
	n = reopen(tb, ds, emptyDevice, emptyVault)
	end := runs(tb, n)
	return n, func() {
		end()
		if err := errors.Join(ds.Close(), os.RemoveAll(dir)); err != nil {
			tb.Error(err)
		}
	}
}

// coldSync has a node that has no content connect, and returns how long it takes until
// all of it is there and on disk.
func (c *crowd) coldSync(tb testing.TB, late string) time.Duration {
	tb.Helper()
	n, stop := c.again(tb, late)
	defer stop()
	runtime.GC()
	start := time.Now()
	connect(tb, n, c.full)
	for n.have(c.board.ID()) < c.board.Log().Len() {
		<-time.After(time.Millisecond)
	}
	if err := n.store.settled(); err != nil {
		tb.Fatal(err)
	}
	took := time.Since(start)
	if got, want := n.vector(c.board.ID()).Hash(c.board.ID()), c.full.vector(c.board.ID()).Hash(c.board.ID()); got != want {
		tb.Fatal("the logs differ")
	}
	return took
}

// BenchmarkColdSync reports how long 100,000 entries of 50 authors take to a node that
// has none, beside checking their signatures singly on all cores.
func BenchmarkColdSync(b *testing.B) {
	c, late := coldCrowd(b)
	defer runs(b, c.full)()
	var syncs, bare []time.Duration
	for b.Loop() {
		syncs, bare = append(syncs, c.coldSync(b, late)), append(bare, verifyAll(b, c.written))
	}
	slices.Sort(syncs)
	slices.Sort(bare)
	b.ReportMetric(float64(syncs[len(syncs)/2])/float64(bare[len(bare)/2]), "ratio")
	b.ReportMetric(0, "ns/op")
	b.Logf("%v beside %v", syncs, bare)
}
