package oplogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"pttnode/oplog"
)

// Backend is one store under test.
type Backend struct {
	Store datastore.Batching
	// Reopen closes the store and opens it again from what it kept; nil for a store
	// that lives in memory only.
	Reopen func(t *testing.T) datastore.Batching
}

func (b *Backend) reopen(t *testing.T) {
	t.Helper()
	if b.Reopen != nil {
		b.Store = b.Reopen(t)
	}
}

// history is a log with a fork, two strands and several devices.
const history = `
	A0 -> A1 -> B0 -> A2
	A0 -> C0 -> A2
	A1 -> B0'
	a0 -> a1 -> b0 -> b1
	a0 -> a1'-> b1
	c0 -> c1
`

// Run tests oplog.Put and oplog.Load on a back end: open returns a fresh, empty
// store each time.
func Run(t *testing.T, open func(t *testing.T) *Backend) {
	for name, f := range map[string]func(*testing.T, *Backend){
		"Empty":       testEmpty,
		"OneByOne":    testOneByOne,
		"OneBatch":    testOneBatch,
		"TwoEntities": testTwoEntities,
		"OtherKeys":   testOtherKeys,
		"Uncommitted": testUncommitted,
		"Damaged":     testDamaged,
		"Newer":       testNewer,

		"Dropped":        testDropped,
		"DroppedKept":    testDroppedKept,
		"DroppedDamaged": testDroppedDamaged,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
	t.Run("Stopped", func(t *testing.T) { testStopped(t, open) })
	t.Run("DroppedStopped", func(t *testing.T) { testDroppedStopped(t, open) })
}

func testEmpty(t *testing.T, b *Backend) {
	checkLoad(t, b.Store, 0)
	b.reopen(t)
	checkLoad(t, b.Store, 0)
}

// testOneByOne: what was committed is there at once and after reopening.
func testOneByOne(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	for _, o := range d.Ops("") {
		put(t, b.Store, l, o)
		put(t, b.Store, l, o) // again: no change
		checkLoad(t, b.Store, 0, l)
	}
	b.reopen(t)
	checkLoad(t, b.Store, 0, l)
}

func testOneBatch(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("")...)
	b.reopen(t)
	checkLoad(t, b.Store, 0, l)
}

func testTwoEntities(t *testing.T, b *Backend) {
	d, e := Draw(t, history), Draw(t, "B0 -> A0 -> a0 -> a1\nA0 -> B1")
	l, m := oplog.NewLog(d.Entity()), oplog.NewLog(e.Entity())
	put(t, b.Store, l, d.Ops("")...)
	put(t, b.Store, m, e.Ops("")...)
	b.reopen(t)
	checkLoad(t, b.Store, 0, l, m)
}

// testOtherKeys: a store holds more than logs.
func testOtherKeys(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("")...)
	for _, key := range []string{"/a", "/oo/x", "/p/o/x", "/ss/x", "/p/s/x", "/z"} {
		if err := b.Store.Put(t.Context(), datastore.NewKey(key), []byte("other")); err != nil {
			t.Fatalf("Put(%s): %v", key, err)
		}
	}
	b.reopen(t)
	checkLoad(t, b.Store, 0, l)
}

func testUncommitted(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("A0 A1")...)
	want := d.Log("A0 A1")
	batch, err := b.Store.Batch(t.Context())
	if err != nil {
		t.Fatalf("Batch: %v", err)
	}
	for _, o := range d.Ops("B0 B0'") {
		appendTo(t, l, o)
		if err := oplog.Put(t.Context(), batch, o); err != nil {
			t.Fatalf("Put %s: %v", d.Names([]oplog.Op{o}), err)
		}
	}
	checkLoad(t, b.Store, 0, want)
	b.reopen(t)
	checkLoad(t, b.Store, 0, want)
}

// testDamaged: what was never written is noticed, and what is gone that others build on.
func testDamaged(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("")...)
	for _, e := range entries(t, b.Store) {
		flipped, cut := bytes.Clone(e.Value), e.Value[:len(e.Value)-1]
		flipped[len(flipped)/2] ^= 1
		for what, value := range map[string][]byte{"a flipped bit": flipped, "a byte less": cut, "nothing": {}} {
			if err := b.Store.Put(t.Context(), datastore.RawKey(e.Key), value); err != nil {
				t.Fatalf("damage %s: %v", e.Key, err)
			}
			if logs, _, err := oplog.Load(t.Context(), b.Store); !errors.Is(err, oplog.ErrCorrupt) || logs != nil {
				t.Errorf("Load with %s at %s = %d logs, %v, want ErrCorrupt", what, e.Key, len(logs), err)
			}
			if err := b.Store.Put(t.Context(), datastore.RawKey(e.Key), e.Value); err != nil {
				t.Fatalf("mend %s: %v", e.Key, err)
			}
		}
	}
	checkLoad(t, b.Store, 0, l)

	// An op under another's key, whole and well signed.
	var ops []query.Entry
	for _, e := range entries(t, b.Store) {
		if strings.HasPrefix(e.Key, "/o/") {
			ops = append(ops, e)
		}
	}
	for i := range 2 { // one op twice, then two in each other's place
		if err := b.Store.Put(t.Context(), datastore.RawKey(ops[i].Key), ops[1-i].Value); err != nil {
			t.Fatalf("Put: %v", err)
		}
		if _, _, err := oplog.Load(t.Context(), b.Store); !errors.Is(err, oplog.ErrCorrupt) {
			t.Errorf("Load with an op under another's key: %v, want ErrCorrupt", err)
		}
	}
	for i := range 2 {
		if err := b.Store.Put(t.Context(), datastore.RawKey(ops[i].Key), ops[i].Value); err != nil {
			t.Fatalf("Put: %v", err)
		}
	}

	// An op gone on which others build.
	gone := d.Op("A1")
	for _, e := range entries(t, b.Store) {
		if bytes.Equal(e.Value, gone.Bytes()) {
			if err := b.Store.Delete(t.Context(), datastore.RawKey(e.Key)); err != nil {
				t.Fatalf("Delete: %v", err)
			}
		}
	}
	if _, _, err := oplog.Load(t.Context(), b.Store); !errors.Is(err, oplog.ErrCorrupt) {
		t.Errorf("Load without an op that others build on: %v, want ErrCorrupt", err)
	}
}

// testNewer: ops of a later version of this program are counted and stay.
func testNewer(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("")...)
	newer := bytes.Clone(d.Op("A0").Bytes())
	newer[2] = 2 // {1: 2, …
	id := oplog.IDOf(newer)
	if err := b.Store.Put(t.Context(), datastore.RawKey("/o/"+d.Entity().String()+"/"+id.String()), newer); err != nil {
		t.Fatalf("Put: %v", err)
	}
	checkLoad(t, b.Store, 1, l)
}

// testStopped stops the store at its k-th write, for every k: what was
// acknowledged is there, and nothing else.
func testStopped(t *testing.T, open func(t *testing.T) *Backend) {
	d := Draw(t, history)
	// Batches of one, two and three ops, as approvals and syncs write them.
	var batches [][]oplog.Op
	for ops, n := d.Ops(""), 1; len(ops) > 0; n = n%3 + 1 {
		n = min(n, len(ops))
		batches, ops = append(batches, ops[:n]), ops[n:]
	}
	for k := range len(batches) + 1 {
		b := open(t)
		store := FailAfter(b.Store, k)
		l, acknowledged := oplog.NewLog(d.Entity()), oplog.NewLog(d.Entity())
		stopped := 0
		for _, ops := range batches {
			if err := tryPut(t.Context(), store, l, ops); err == nil {
				for _, o := range ops {
					appendTo(t, acknowledged, o)
				}
			} else if errors.Is(err, ErrFailed) {
				stopped++
			} else {
				t.Fatalf("write with %d allowed: %v", k, err)
			}
		}
		if want := len(batches) - k; stopped != want {
			t.Errorf("a store of %d writes refused %d batches, want %d", k, stopped, want)
		}
		b.reopen(t)
		if k == 0 {
			checkLoad(t, b.Store, 0)
		} else {
			checkLoad(t, b.Store, 0, acknowledged)
		}
	}
}

func appendTo(t *testing.T, l *oplog.Log, o oplog.Op) {
	t.Helper()
	if _, err := l.Append(o); err != nil {
		t.Fatalf("Append %v: %v", o.ID(), err)
	}
}

// put appends ops to l and writes them as one batch.
func put(t *testing.T, s datastore.Batching, l *oplog.Log, ops ...oplog.Op) {
	t.Helper()
	if err := tryPut(t.Context(), s, l, ops); err != nil {
		t.Fatal(err)
	}
}

func tryPut(ctx context.Context, s datastore.Batching, l *oplog.Log, ops []oplog.Op) error {
	b, err := s.Batch(ctx)
	if err != nil {
		return err
	}
	for _, o := range ops {
		if _, err := l.Append(o); err != nil {
			return err
		}
		if err := oplog.Put(ctx, b, o); err != nil {
			return err
		}
	}
	return b.Commit(ctx)
}

func entries(t *testing.T, s datastore.Batching) []query.Entry {
	t.Helper()
	res, err := s.Query(t.Context(), query.Query{Orders: []query.Order{query.OrderByKey{}}})
	if err != nil {
		t.Fatalf("Query: %v", err)
	}
	list, err := res.Rest()
	if err != nil {
		t.Fatalf("Query: %v", err)
	}
	return list
}

// checkLoad loads the store and compares it with what it should hold.
func checkLoad(t *testing.T, s datastore.Batching, newer int, want ...*oplog.Log) {
	t.Helper()
	logs, gotNewer, err := oplog.Load(t.Context(), s)
	if err != nil || len(logs) != len(want) || gotNewer != newer {
		t.Fatalf("Load = %d logs, %d newer, %v, want %d, %d", len(logs), gotNewer, err, len(want), newer)
	}
	for _, w := range want {
		got := logs[w.Entity()]
		if got == nil {
			t.Fatalf("Load: no log of %v", w.Entity())
		}
		if diff := Diff(w, got); diff != "" {
			t.Error(diff)
		}
	}
}

// Diff says in what two logs differ, in operations, bytes, stubs, order, heads or vector,
// or returns "".
func Diff(want, got *oplog.Log) string {
	var b strings.Builder
	if got.Entity() != want.Entity() || got.Len() != want.Len() {
		fmt.Fprintf(&b, "a log of %v with %d ops, want %v with %d\n", got.Entity(), got.Len(), want.Entity(), want.Len())
	}
	if diff := cmp.Diff(want.Vector(), got.Vector()); diff != "" {
		fmt.Fprintf(&b, "vectors differ (-want +got):\n%s", diff)
	}
	for _, s := range []oplog.Strand{oplog.Control, oplog.Content} {
		if diff := cmp.Diff(ids(want, s), ids(got, s)); diff != "" {
			fmt.Fprintf(&b, "order of the %v strand differs (-want +got):\n%s", s, diff)
		}
		if diff := cmp.Diff(want.Heads(s), got.Heads(s)); diff != "" {
			fmt.Fprintf(&b, "heads of the %v strand differ (-want +got):\n%s", s, diff)
		}
		for o := range got.All(s) {
			if w, ok := want.Get(o.ID()); ok && !bytes.Equal(w.Bytes(), o.Bytes()) {
				fmt.Fprintf(&b, "bytes of %v differ\n", o.ID())
			} else if ok && (w.DroppedBy() != o.DroppedBy() || w.Bare() != o.Bare() || !bytes.Equal(w.AAD(), o.AAD())) {
				fmt.Fprintf(&b, "stubs of %v differ, dropped by %v and %v\n", o.ID(), w.DroppedBy(), o.DroppedBy())
			}
		}
	}
	return b.String()
}

func ids(l *oplog.Log, s oplog.Strand) (out []string) {
	for o := range l.All(s) {
		out = append(out, o.ID().String())
	}
	return out
}
