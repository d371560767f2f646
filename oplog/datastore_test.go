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

// faulty is a store that fails.
type faulty struct {
	datastore.Batching
	prefix  string // of the keys that fail, all if empty
	entries bool   // a query is answered, and its first entry is the error
}

var errFaulty = errors.New("a faulty store")

func (f faulty) Put(ctx context.Context, k datastore.Key, v []byte) error {
	if strings.HasPrefix(k.String(), f.prefix) {
		return errFaulty
	}
	return f.Batching.Put(ctx, k, v)
}

func (f faulty) Get(ctx context.Context, k datastore.Key) ([]byte, error) {
	if strings.HasPrefix(k.String(), f.prefix) {
		return nil, errFaulty
	}
	return f.Batching.Get(ctx, k)
}

func (f faulty) Delete(context.Context, datastore.Key) error { return errFaulty }

func (f faulty) Query(_ context.Context, q query.Query) (query.Results, error) {
	if !f.entries {
		return nil, errFaulty
	}
	return query.ResultsWithContext(q, func(_ context.Context, out chan<- query.Result) { out <- query.Result{Error: errFaulty} }), nil
}

// TestFaultyStore: an error of the store is one of Put, PutLetGo, ReadWhole and Load, and
// says nothing of damage.
func TestFaultyStore(t *testing.T) {
	t.Parallel()
	s := dssync.MutexWrap(datastore.NewMapDatastore())
	d := oplogtest.Draw(t, "A0\na0")
	l := d.Log("")
	bad := faulty{Batching: s}
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, errFaulty) || errors.Is(err, oplog.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("Put", l.Put(t.Context(), bad, d.Op("a0")))
	check("PutLetGo", l.PutLetGo(t.Context(), bad, d.Op("a0")))
	for _, prefix := range []string{"/o/", "/b/"} {
		bad := faulty{Batching: s, prefix: prefix}
		for _, o := range d.Ops("") {
			if err := l.Put(t.Context(), s, o); err != nil {
				t.Fatal(err)
			}
		}
		check("Put below "+prefix, l.Put(t.Context(), bad, d.Op("a0")))
		o, _ := l.Get(d.Op("a0").ID())
		_, err := l.ReadWhole(t.Context(), bad, o)
		check("ReadWhole below "+prefix, err)
	}
	deletes := faulty{Batching: s, prefix: "delete"}
	l.LetGo(d.Op("a0").ID())
	check("PutLetGo", l.PutLetGo(t.Context(), deletes, d.Op("a0")))
	for _, entries := range []bool{false, true} {
		r := faulty{Batching: s, prefix: "/o", entries: entries}
		logs, err := oplog.Load(t.Context(), r, oplogtest.FromStore(t.Context(), r))
		if check("Load", err); logs != nil {
			t.Errorf("Load of a faulty store: %d logs", len(logs))
		}
	}
}

// TestPutOfAnUnknownOp: what is not in the log has no row.
func TestPutOfAnUnknownOp(t *testing.T) {
	t.Parallel()
	s := datastore.NewMapDatastore()
	d := oplogtest.Draw(t, "A0\na0")
	l := d.Log("A0")
	for what, err := range map[string]error{"Put": l.Put(t.Context(), s, d.Op("a0")), "PutLetGo": l.PutLetGo(t.Context(), s, d.Op("a0"))} {
		if !errors.Is(err, oplog.ErrMissing) {
			t.Errorf("%s: %v, want ErrMissing", what, err)
		}
	}
}
