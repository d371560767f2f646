package oplog_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	pebbleds "github.com/ipfs/go-ds-pebble"

	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

func TestMapDatastore(t *testing.T) {
	t.Parallel()
	oplogtest.Run(t, func(*testing.T) *oplogtest.Backend {
		return &oplogtest.Backend{Store: dssync.MutexWrap(datastore.NewMapDatastore())}
	})
}

func TestPebble(t *testing.T) {
	t.Parallel()
	oplogtest.Run(t, func(t *testing.T) *oplogtest.Backend {
		return &oplogtest.Backend{Store: openPebble(t, t.TempDir())}
	})
}

// TestPebbleReopened closes the store and opens its directory again before what
// was written is looked for.
func TestPebbleReopened(t *testing.T) {
	t.Parallel()
	oplogtest.Run(t, func(t *testing.T) *oplogtest.Backend {
		dir := t.TempDir()
		b := &oplogtest.Backend{Store: openPebble(t, dir)}
		b.Reopen = func(t *testing.T) datastore.Batching {
			if err := b.Store.Close(); err != nil {
				t.Fatalf("close %s: %v", dir, err)
			}
			return openPebble(t, dir)
		}
		return b
	})
}

func openPebble(t *testing.T, dir string) datastore.Batching {
	t.Helper()
	s, err := pebbleds.NewDatastore(dir, pebbleds.WithPebbleWriteOptions(pebble.Sync), pebbleds.WithCacheSize(1<<20))
	if err != nil {
		t.Fatalf("open %s: %v", dir, err)
	}
	t.Cleanup(func() { _ = s.Close() }) // closing twice is allowed
	return s
}

// TestPutIsTwoWrites: a store that stops between the two is damaged, which is
// why Put wants a batch.
func TestPutIsTwoWrites(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0")
	for k := range 3 {
		s := dssync.MutexWrap(datastore.NewMapDatastore())
		err := oplog.Put(t.Context(), oplogtest.FailAfter(s, k), d.Log(""), d.Op("A0"))
		_, _, load := oplog.Load(t.Context(), s)
		if (err == nil) != (k == 2) || (load == nil) != (k != 1) {
			t.Errorf("Put without a batch into a store of %d writes: %v, then Load: %v", k, err, load)
		}
	}
}
