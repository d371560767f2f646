package oplog_test

import (
	"context"
	"errors"
	"strings"
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

// faulty is a store that fails where a key begins with prefix.
type faulty struct {
	datastore.Batching
	prefix  string
	entries bool // the query is answered, and its first entry is the error
}

var errFaulty = errors.New("a faulty store")

func (f faulty) Put(ctx context.Context, k datastore.Key, v []byte) error {
	if strings.HasPrefix(k.String(), f.prefix) {
		return errFaulty
	}
	return f.Batching.Put(ctx, k, v)
}

func (f faulty) Query(ctx context.Context, q query.Query) (query.Results, error) {
	if !strings.HasPrefix(q.Prefix, f.prefix) {
		return f.Batching.Query(ctx, q)
	}
	if !f.entries {
		return nil, errFaulty
	}
	return query.ResultsWithContext(q, func(_ context.Context, out chan<- query.Result) { out <- query.Result{Error: errFaulty} }), nil
}

// TestFaultyStore: an error of either key of an op, or of either query, is one of Put
// and Load.
func TestFaultyStore(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> A1")
	s := dssync.MutexWrap(datastore.NewMapDatastore())
	l := d.Log("")
	for _, o := range d.Ops("") {
		if err := oplog.Put(t.Context(), s, l, o); err != nil {
			t.Fatalf("Put: %v", err)
		}
	}
	for _, prefix := range []string{"/o", "/c"} {
		if err := oplog.Put(t.Context(), faulty{Batching: s, prefix: prefix}, l, d.Op("A1")); !errors.Is(err, errFaulty) {
			t.Errorf("Put where %s fails: %v", prefix, err)
		}
		for _, entries := range []bool{false, true} {
			if logs, _, err := oplog.Load(t.Context(), faulty{s, prefix, entries}); !errors.Is(err, errFaulty) || logs != nil {
				t.Errorf("Load where %s fails: %d logs, %v", prefix, len(logs), err)
			}
		}
	}
}
