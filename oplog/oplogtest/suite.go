package oplogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"pttnode/keys"
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

// Run tests what a back end keeps of logs: open returns a fresh, empty store each time.
func Run(t *testing.T, open func(t *testing.T) *Backend) {
	for name, f := range map[string]func(*testing.T, *Backend){
		"Empty":       testEmpty,
		"OneByOne":    testOneByOne,
		"OneBatch":    testOneBatch,
		"TwoEntities": testTwoEntities,
		"OtherKeys":   testOtherKeys,
		"Uncommitted": testUncommitted,
		"Layout":      testLayout,
		"Away":        testAway,
		"Later":       testLater,
		"LetGo":       testLetGo,
		"SameBody":    testSameBody,
		"Damaged":     testDamaged,
		"Displaced":   testDisplaced,
		"Gone":        testGone,
		"Newer":       testNewer,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
	t.Run("Stopped", func(t *testing.T) { testStopped(t, open) })
	t.Run("BodyStopped", func(t *testing.T) { testBodyStopped(t, open) })
}

// drawn returns the history with, at its end, an op without a body: c2.
func drawn(t *testing.T) (d *Drawing, ops []oplog.Op) {
	t.Helper()
	d = Draw(t, history)
	last := d.Op("c1")
	o, err := oplog.Sign(Device("C"), oplog.Draft{
		Entity: d.Entity(), User: last.User(), Strand: oplog.Content, Family: oplog.FamilyArticle, Type: 3, Seq: 2,
		Prev: last.ID(), Parents: []keys.Digest{last.ID()}, Auth: last.Auth(), At: time.UnixMilli(1), About: d.Op("c0").ID(),
	})
	if err != nil {
		t.Fatalf("sign c2: %v", err)
	}
	return d, append(d.Ops(""), o)
}

func testEmpty(t *testing.T, b *Backend) {
	checkLoad(t, b.Store)
	b.reopen(t)
	checkLoad(t, b.Store)
}

// testOneByOne: what was committed is there at once and after reopening.
func testOneByOne(t *testing.T, b *Backend) {
	d, ops := drawn(t)
	l := oplog.NewLog(d.Entity())
	for _, o := range ops {
		put(t, b.Store, l, o)
		put(t, b.Store, l, o) // again: no change
		checkLoad(t, b.Store, l)
	}
	b.reopen(t)
	checkLoad(t, b.Store, l)
}

func testOneBatch(t *testing.T, b *Backend) {
	d, ops := drawn(t)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, ops...)
	b.reopen(t)
	checkLoad(t, b.Store, l)
}

func testTwoEntities(t *testing.T, b *Backend) {
	d, e := Draw(t, history), Draw(t, "B0 -> A0 -> a0 -> a1\nA0 -> B1")
	l, m := oplog.NewLog(d.Entity()), oplog.NewLog(e.Entity())
	put(t, b.Store, l, d.Ops("A0 A1 a0")...)
	put(t, b.Store, m, e.Ops("")...)
	put(t, b.Store, l, d.Ops("B0 B0' C0 a1")...)
	b.reopen(t)
	checkLoad(t, b.Store, l, m)
}

// testOtherKeys: a store holds more than logs.
func testOtherKeys(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("")...)
	for _, key := range []string{"/a", "/bb/x", "/b0/x", "/oo/x", "/o0/x", "/p/o/x", "/p/b/x", "/z"} {
		write(t, b.Store, key, []byte("other"))
	}
	b.reopen(t)
	checkLoad(t, b.Store, l)
}

func testUncommitted(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("A0 A1 a0")...)
	want := d.Log("A0 A1 a0")
	batch, err := b.Store.Batch(t.Context())
	if err != nil {
		t.Fatalf("Batch: %v", err)
	}
	for _, o := range d.Ops("B0 a1 B0'") {
		appendTo(t, l, o)
		if err := l.Put(t.Context(), batch, o); err != nil {
			t.Fatalf("Put %s: %v", d.Names([]oplog.Op{o}), err)
		}
	}
	checkLoad(t, b.Store, want)
	b.reopen(t)
	checkLoad(t, b.Store, want)
}

// testLayout: an op is under its row, in the order in which ops came, and of bodies
// there are those that are here, below the prefix that BodiesOf says.
func testLayout(t *testing.T, b *Backend) {
	d, ops := drawn(t)
	away := Away(t, d.Op("b0"))[0]
	l := oplog.NewLog(d.Entity())
	var want []string
	for i, o := range ops {
		if o.Is(away) {
			o = away
		}
		put(t, b.Store, l, o)
		want = append(want, rowKey("/o/", d.Entity(), i))
		if o.Body() != nil {
			want = append(want, rowKey("/b/", d.Entity(), i))
		}
	}
	slices.Sort(want)
	var got []string
	for _, e := range entries(t, b.Store) {
		got = append(got, e.Key)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys differ (-want +got):\n%s", diff)
	}
}

// testAway: an op without its body is an op, and stays so.
func testAway(t *testing.T, b *Backend) {
	d, ops := drawn(t)
	l := oplog.NewLog(d.Entity())
	for i, o := range ops {
		if i%2 == 0 {
			o = Away(t, o)[0]
		}
		put(t, b.Store, l, o)
		checkLoad(t, b.Store, l)
	}
	b.reopen(t)
	checkLoad(t, b.Store, l)
	if len(l.Absent()) == 0 || len(l.Absent()) == len(ops) {
		t.Errorf("%d of %d bodies are away: this proves nothing", len(l.Absent()), len(ops))
	}
}

// testLater: bodies that come after their ops, one by one, in any order.
func testLater(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, Away(t, d.Ops("")...)...)
	for _, name := range []string{"b1", "a0", "c1", "a1'", "a1", "b0", "c0"} {
		bring(t, b.Store, l, d.Op(name))
		checkLoad(t, b.Store, l)
	}
	b.reopen(t)
	checkLoad(t, b.Store, l)
	if diff := Diff(d.Log(""), l); diff != "" {
		t.Error(diff)
	}
}

// testLetGo: a body that was let go of is nowhere in the store, and can come again.
func testLetGo(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("")...)
	for _, name := range []string{"a1", "c1", "b0"} {
		letGo(t, b.Store, l, d.Op(name))
		checkLoad(t, b.Store, l)
		for _, e := range entries(t, b.Store) {
			if bytes.Equal(e.Value, d.Op(name).Body()) {
				t.Errorf("the body of %s is still at %s", name, e.Key)
			}
		}
	}
	bring(t, b.Store, l, d.Op("c1"))
	checkLoad(t, b.Store, l)
	b.reopen(t)
	checkLoad(t, b.Store, l)
}

// testSameBody: an author may copy another op's hash; to let go of one body takes
// nothing from the other.
func testSameBody(t *testing.T, b *Backend) {
	d := Draw(t, history)
	copied := d.Op("a0")
	o, err := oplog.Sign(Device("D"), oplog.Draft{
		Entity: d.Entity(), User: keys.Digest{4}, Strand: oplog.Content, Family: oplog.FamilyMessage, Type: 1,
		Auth: copied.Auth(), Epoch: copied.Epoch(), At: time.UnixMilli(1), Body: copied.Body(),
	})
	if err != nil {
		t.Fatalf("sign a copy: %v", err)
	}
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, append(d.Ops(""), o)...)
	letGo(t, b.Store, l, o)
	b.reopen(t)
	checkLoad(t, b.Store, l)
	if whole := readWhole(t, b.Store, l, copied); !bytes.Equal(whole.Body(), copied.Body()) {
		t.Error("the body went with that of a copy")
	}
}

// testDamaged: what was never written is noticed, of an op when the store is loaded, of
// a body when it is read.
func testDamaged(t *testing.T, b *Backend) {
	d, ops := drawn(t)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, Away(t, d.Op("A0"))[0])
	put(t, b.Store, l, ops[1:]...)
	letGo(t, b.Store, l, d.Op("b0"))
	for _, e := range entries(t, b.Store) {
		isOp := strings.HasPrefix(e.Key, "/o/")
		damaged := map[string][]byte{"nothing": {}, "a byte less": e.Value[:len(e.Value)-1], "a byte more": append(bytes.Clone(e.Value), 0)}
		for i := len(e.Value) - 1; i > 0 || i == 0 && !isOp; i -= 37 { // the first byte of an op by itself, below
			damaged[fmt.Sprintf("bit flipped in byte %d", i)] = flipped(e.Value, i)
		}
		for what, value := range damaged {
			write(t, b.Store, e.Key, value)
			if logs, err := load(t, b.Store); isOp && (!errors.Is(err, oplog.ErrCorrupt) || logs != nil) {
				t.Errorf("%s, %s: Load = %d logs, %v, want ErrCorrupt", e.Key, what, len(logs), err)
			}
			if err := readAll(t, b.Store, l); !errors.Is(err, oplog.ErrCorrupt) {
				t.Errorf("%s, %s: read %v, want ErrCorrupt", e.Key, what, err)
			}
		}
		if isOp {
			for _, says := range []byte{2, 3, 128, 255} {
				write(t, b.Store, e.Key, append([]byte{says}, e.Value[1:]...))
				if _, err := load(t, b.Store); !errors.Is(err, oplog.ErrCorrupt) {
					t.Errorf("%s, first byte %d: Load: %v, want ErrCorrupt", e.Key, says, err)
				}
			}
		}
		write(t, b.Store, e.Key, e.Value)
	}
	checkLoad(t, b.Store, l)

	// An op that says that its body is here, but there is none.
	for _, e := range entries(t, b.Store) {
		if !strings.HasPrefix(e.Key, "/o/") || e.Value[0] == 1 {
			continue
		}
		write(t, b.Store, e.Key, append([]byte{1}, e.Value[1:]...))
		logs, err := load(t, b.Store)
		if err != nil {
			t.Fatalf("Load: %v", err)
		}
		if err := readAll(t, b.Store, logs[d.Entity()]); !errors.Is(err, oplog.ErrCorrupt) {
			t.Errorf("%s says that its body is here: read %v, want ErrCorrupt", e.Key, err)
		}
		write(t, b.Store, e.Key, e.Value)
	}
	checkLoad(t, b.Store, l)
}

// testDisplaced: an op, or a body, in another's place, whole and well signed.
func testDisplaced(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("")...)
	var rows [2][]query.Entry // ops, bodies
	for _, e := range entries(t, b.Store) {
		what := 0
		if strings.HasPrefix(e.Key, oplog.BodiesOf(d.Entity())) {
			what = 1
		}
		rows[what] = append(rows[what], e)
	}
	check := func(what string, isOp bool) {
		t.Helper()
		if _, err := load(t, b.Store); isOp && !errors.Is(err, oplog.ErrCorrupt) {
			t.Errorf("%s: Load: %v, want ErrCorrupt", what, err)
		}
		if err := readAll(t, b.Store, l); !errors.Is(err, oplog.ErrCorrupt) {
			t.Errorf("%s: read %v, want ErrCorrupt", what, err)
		}
	}
	for what, list := range rows {
		for i, e := range list[1:] {
			before := list[i]
			write(t, b.Store, e.Key, before.Value) // one twice, then two in each other's place
			check(before.Key+" twice", what == 0)
			if what == 1 {
				write(t, b.Store, before.Key, e.Value)
				check(before.Key+" and the next in each other's place", false)
				write(t, b.Store, before.Key, before.Value)
			}
			write(t, b.Store, e.Key, e.Value)
		}
	}
	for _, key := range []string{
		rowKey("/o/", d.Entity(), l.Len()+1), fmt.Sprintf("/o/%v/%x", d.Entity(), l.Len()), fmt.Sprintf("/o/%v", d.Entity()),
		"/o/x/000000/00", rowKey("/o/", keys.Digest{1}, 0), rowKey("/o/", d.Entity(), l.Len()) + "/x",
	} {
		write(t, b.Store, key, rows[0][0].Value)
		if logs, err := load(t, b.Store); !errors.Is(err, oplog.ErrCorrupt) || logs != nil {
			t.Errorf("an op at %s: Load = %d logs, %v, want ErrCorrupt", key, len(logs), err)
		}
		if err := b.Store.Delete(t.Context(), datastore.RawKey(key)); err != nil {
			t.Fatalf("Delete: %v", err)
		}
	}
	checkLoad(t, b.Store, l)
}

// testGone: an op that is gone is noticed if another one came after it, a body always.
func testGone(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("")...)
	last := rowKey("/o/", d.Entity(), l.Len()-1)
	for _, e := range entries(t, b.Store) {
		if err := b.Store.Delete(t.Context(), datastore.RawKey(e.Key)); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		_, err := load(t, b.Store)
		if want := strings.HasPrefix(e.Key, "/o/") && e.Key != last; errors.Is(err, oplog.ErrCorrupt) != want {
			t.Errorf("without %s: Load: %v, want ErrCorrupt %v", e.Key, err, want)
		}
		if err := readAll(t, b.Store, l); !errors.Is(err, oplog.ErrCorrupt) {
			t.Errorf("without %s: read %v, want ErrCorrupt", e.Key, err)
		}
		write(t, b.Store, e.Key, e.Value)
	}
	checkLoad(t, b.Store, l)
}

// testNewer: a store that a later version of this program wrote is not read, whatever
// else is in it, and not called damaged.
func testNewer(t *testing.T, b *Backend) {
	d := Draw(t, history)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("A0 A1 a0")...)
	key := rowKey("/o/", d.Entity(), l.Len())
	for _, newer := range [][]byte{{0xb3, 1, 3, 0}, {0xa1, 1, 0x18, 100}, append([]byte{0xb2, 1, 3}, d.Op("a0").Envelope()[3:]...)} {
		id := oplog.IDOf(newer)
		write(t, b.Store, key, slices.Concat([]byte{0}, id[:8], newer))
		if logs, err := load(t, b.Store); !errors.Is(err, oplog.ErrVersion) || errors.Is(err, oplog.ErrCorrupt) || logs != nil {
			t.Errorf("Load with the op %x = %d logs, %v, want ErrVersion", newer[:4], len(logs), err)
		}
	}
}

// testStopped stops the store at its k-th write, for every k: what was
// acknowledged is there, and nothing else.
func testStopped(t *testing.T, open func(t *testing.T) *Backend) {
	d, ops := drawn(t)
	// Batches of one, two and three ops, as approvals and syncs write them.
	var batches [][]oplog.Op
	for n := 1; len(ops) > 0; n = n%3 + 1 {
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
			checkLoad(t, b.Store)
		} else {
			checkLoad(t, b.Store, acknowledged)
		}
	}
}

// testBodyStopped stops the store at its k-th write, for every k: a body that came or
// was let go of is there or not, as the op says.
func testBodyStopped(t *testing.T, open func(t *testing.T) *Backend) {
	d := Draw(t, history)
	type step func(context.Context, datastore.Batching, *oplog.Log) error
	comes := func(name string) step {
		return func(ctx context.Context, s datastore.Batching, l *oplog.Log) error {
			return tryBring(ctx, s, l, d.Op(name))
		}
	}
	goes := func(name string) step {
		return func(ctx context.Context, s datastore.Batching, l *oplog.Log) error {
			return tryLetGo(ctx, s, l, d.Op(name))
		}
	}
	first := func(ctx context.Context, s datastore.Batching, l *oplog.Log) error {
		ops := d.Ops("")
		for i, o := range ops {
			if o.Is(d.Op("a1")) || o.Is(d.Op("c0")) {
				ops[i] = Away(t, o)[0]
			}
		}
		return tryPut(ctx, s, l, ops)
	}
	steps := []step{first, comes("a1"), goes("b1"), goes("a1"), comes("b1")}
	for k := range len(steps) + 1 {
		b := open(t)
		store := FailAfter(b.Store, k)
		l, acknowledged := oplog.NewLog(d.Entity()), oplog.NewLog(d.Entity())
		memory := FailAfter(datastore.NewMapDatastore(), len(steps))
		for i, step := range steps {
			if err := step(t.Context(), store, l); (err == nil) != (i < k) || err != nil && !errors.Is(err, ErrFailed) {
				t.Fatalf("write %d with %d allowed: %v", i, k, err)
			}
			if i >= k {
				break // what the log has now the store lacks
			}
			if err := step(t.Context(), memory, acknowledged); err != nil {
				t.Fatalf("write %d to memory: %v", i, err)
			}
		}
		b.reopen(t)
		if k == 0 {
			checkLoad(t, b.Store)
		} else {
			checkLoad(t, b.Store, acknowledged)
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
		if err := l.Put(ctx, b, o); err != nil {
			return err
		}
	}
	return b.Commit(ctx)
}

// bring notes the body of an op of l, and writes it.
func bring(t *testing.T, s datastore.Batching, l *oplog.Log, o oplog.Op) {
	t.Helper()
	if err := tryBring(t.Context(), s, l, o); err != nil {
		t.Fatalf("bring %v: %v", o.ID(), err)
	}
}

func tryBring(ctx context.Context, s datastore.Batching, l *oplog.Log, o oplog.Op) error {
	b, err := s.Batch(ctx)
	if err != nil {
		return err
	}
	if !l.Bring(o) {
		return errors.New("it was here")
	}
	if err := l.Put(ctx, b, o); err != nil {
		return err
	}
	return b.Commit(ctx)
}

// letGo lets go of the body of an op of l, and of what the store has of it.
func letGo(t *testing.T, s datastore.Batching, l *oplog.Log, o oplog.Op) {
	t.Helper()
	if err := tryLetGo(t.Context(), s, l, o); err != nil {
		t.Fatalf("let go of %v: %v", o.ID(), err)
	}
}

func tryLetGo(ctx context.Context, s datastore.Batching, l *oplog.Log, o oplog.Op) error {
	b, err := s.Batch(ctx)
	if err != nil {
		return err
	}
	if !l.LetGo(o.ID()) {
		return errors.New("it was not here")
	}
	if err := l.PutLetGo(ctx, b, o); err != nil {
		return err
	}
	return b.Commit(ctx)
}

func write(t *testing.T, s datastore.Batching, key string, value []byte) {
	t.Helper()
	if err := s.Put(t.Context(), datastore.RawKey(key), value); err != nil {
		t.Fatalf("Put %s: %v", key, err)
	}
}

func flipped(value []byte, i int) []byte {
	value = bytes.Clone(value)
	value[i] ^= 1 << (i % 8)
	return value
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

func load(t *testing.T, s datastore.Batching) (map[keys.Digest]*oplog.Log, error) {
	t.Helper()
	return oplog.Load(t.Context(), s, FromStore(t.Context(), s))
}

// readAll reads every op of a log from a store and returns the first error.
func readAll(t *testing.T, s datastore.Batching, l *oplog.Log) error {
	t.Helper()
	for _, strand := range []oplog.Strand{oplog.Control, oplog.Content} {
		for o := range l.All(strand) {
			if _, err := l.ReadWhole(t.Context(), s, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func readWhole(t *testing.T, s datastore.Batching, l *oplog.Log, o oplog.Op) oplog.Op {
	t.Helper()
	o, _ = l.Get(o.ID())
	whole, err := l.ReadWhole(t.Context(), s, o)
	if err != nil {
		t.Fatalf("ReadWhole: %v", err)
	}
	return whole
}

// checkLoad loads the store and compares it with what it should hold.
func checkLoad(t *testing.T, s datastore.Batching, want ...*oplog.Log) {
	t.Helper()
	logs, err := load(t, s)
	if err != nil || len(logs) != len(want) {
		t.Fatalf("Load = %d logs, %v, want %d", len(logs), err, len(want))
	}
	for _, w := range want {
		got := logs[w.Entity()]
		if got == nil {
			t.Fatalf("Load: no log of %v", w.Entity())
		}
		if diff := Diff(w, got); diff != "" {
			t.Error(diff)
		}
		for o := range got.All(oplog.Content) {
			if o.Envelope() != nil || o.Body() != nil {
				t.Errorf("a log that was loaded holds bytes of %v", o.ID())
			}
		}
	}
}

// Diff says in what two logs differ, in operations, envelopes, bodies, order, heads or
// vector, or returns "". What the logs do not hold comes from their sources.
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
			if w, ok := want.Get(o.ID()); ok {
				diffOp(&b, want, w, got, o)
			}
		}
	}
	if diff := cmp.Diff(sortedIDs(want.Absent()), sortedIDs(got.Absent())); diff != "" {
		fmt.Fprintf(&b, "bodies that are absent differ (-want +got):\n%s", diff)
	}
	return b.String()
}

// diffOp says in what an op of one log differs from that of another.
func diffOp(b *strings.Builder, want *oplog.Log, w oplog.Op, got *oplog.Log, g oplog.Op) {
	if g.Here() != w.Here() {
		fmt.Fprintf(b, "the body of %v is here %v, want %v\n", g.ID(), g.Here(), w.Here())
	}
	w, wantErr := want.Whole(w)
	g, gotErr := got.Whole(g)
	switch {
	case wantErr != nil || gotErr != nil:
		fmt.Fprintf(b, "an op cannot be read: %v, want %v\n", gotErr, wantErr)
	case !bytes.Equal(w.Envelope(), g.Envelope()):
		fmt.Fprintf(b, "envelopes of %v differ\n", g.ID())
	case !bytes.Equal(w.Body(), g.Body()):
		fmt.Fprintf(b, "bodies of %v differ: %x, want %x\n", g.ID(), g.Body(), w.Body())
	}
}

func ids(l *oplog.Log, s oplog.Strand) (out []string) {
	for o := range l.All(s) {
		out = append(out, o.ID().String())
	}
	return out
}

func sortedIDs(ops []oplog.Op) (out []string) {
	for _, o := range ops {
		out = append(out, o.ID().String())
	}
	slices.Sort(out)
	return out
}

// rowKey is the key of a row: its page, and its place there.
func rowKey(prefix string, entity keys.Digest, row int) string {
	return fmt.Sprintf("%s%v/%06x/%02x", prefix, entity, row/256, row%256)
}
