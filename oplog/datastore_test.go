package oplog_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
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

// faulty is a store that fails.
type faulty struct {
	datastore.Batching
	prefix  string // of the queries that fail
	entries bool   // the query is answered, and its first entry is the error
}

var errFaulty = errors.New("a faulty store")

func (f faulty) Put(context.Context, datastore.Key, []byte) error { return errFaulty }

func (f faulty) Query(ctx context.Context, q query.Query) (query.Results, error) {
	if q.Prefix != f.prefix {
		return f.Batching.Query(ctx, q)
	}
	if !f.entries {
		return nil, errFaulty
	}
	return query.ResultsWithContext(q, func(_ context.Context, out chan<- query.Result) { out <- query.Result{Error: errFaulty} }), nil
}

// TestFaultyStore: an error of the store is one of Put, PutDropped and Load.
func TestFaultyStore(t *testing.T) {
	t.Parallel()
	s := dssync.MutexWrap(datastore.NewMapDatastore())
	d := oplogtest.Draw(t, "A0\na0")
	if err := oplog.Put(t.Context(), faulty{Batching: s}, d.Op("A0")); !errors.Is(err, errFaulty) {
		t.Errorf("Put: %v", err)
	}
	if err := oplog.PutDropped(t.Context(), faulty{Batching: s}, d.Entity(), oplogtest.Dropped(digest(8), d.Op("a0"))); !errors.Is(err, errFaulty) {
		t.Errorf("PutDropped: %v", err)
	}
	for _, prefix := range []string{"/o", "/s"} {
		for _, entries := range []bool{false, true} {
			if logs, _, err := oplog.Load(t.Context(), faulty{s, prefix, entries}); !errors.Is(err, errFaulty) || logs != nil {
				t.Errorf("Load, where %s fails: %d logs, %v", prefix, len(logs), err)
			}
		}
	}
}
