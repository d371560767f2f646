package oplogtest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ipfs/go-datastore"

	"pttnode/keys"
	"pttnode/oplog"
)

// Dropped returns the list in which a checkpoint drops ops.
func Dropped(checkpoint keys.Digest, ops ...oplog.Op) oplog.Dropped {
	d := oplog.Dropped{Checkpoint: checkpoint}
	for _, o := range ops {
		d.Stubs = append(d.Stubs, oplog.StubOf(o))
	}
	slices.SortFunc(d.Stubs, func(a, b oplog.Stub) int { return Compare(a.ID, b.ID) })
	return d
}

// droppedHistory returns a drawing, its log, and two lists that share one op.
func droppedHistory(t *testing.T) (d *Drawing, l *oplog.Log, first, second oplog.Dropped) {
	t.Helper()
	d = Draw(t, history)
	return d, d.Log(""), Dropped(keys.Digest{0xc1}, d.Ops("a0 b0 a1'")...), Dropped(keys.Digest{0xc2}, d.Ops("b0 c0 b1")...)
}

// testDropped: what is left of ops whose bodies were dropped is there at once and after
// reopening, and of the bodies nothing is.
func testDropped(t *testing.T, b *Backend) {
	d, _, first, second := droppedHistory(t)
	other := Draw(t, "B0 -> A0 -> a0 -> a1\nA0 -> B1")
	l, m := oplog.NewLog(d.Entity()), oplog.NewLog(other.Entity())
	put(t, b.Store, l, d.Ops("")...)
	put(t, b.Store, m, other.Ops("")...)
	check := func() {
		t.Helper()
		checkLoad(t, b.Store, 0, l, m)
		checkLists(t, b.Store, l, first.Checkpoint, second.Checkpoint)
		checkLists(t, b.Store, m, first.Checkpoint)
	}
	for _, step := range []func() error{
		func() error { return tryStrip(t.Context(), b.Store, l, first) },
		func() error { return tryStrip(t.Context(), b.Store, l, first) }, // again: no change
		func() error { return tryKeep(t.Context(), b.Store, l, second) }, // whole they stay
		func() error { return tryStrip(t.Context(), b.Store, l, second) },
		func() error { return tryStrip(t.Context(), b.Store, m, Dropped(first.Checkpoint, other.Op("a0"))) }, // by one of that name
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		check()
	}
	b.reopen(t)
	check()
	if l.Bare() != 5 || m.Bare() != 1 {
		t.Errorf("%d and %d ops are bare, want 5 and 1", l.Bare(), m.Bare())
	}
	gone := append(d.Ops("a0 b0 a1' c0 b1"), other.Op("a0"))
	for _, e := range entries(t, b.Store) {
		for _, o := range gone {
			if bytes.Contains(e.Value, o.Bytes()[len(o.AAD()):]) {
				t.Errorf("the body of %v is still at %s", o.ID(), e.Key)
			}
		}
	}

	// What came bare is written as what was stripped.
	fresh := oplog.NewLog(d.Entity())
	for _, list := range []oplog.Dropped{first, second} {
		fresh.KeepDropped(list)
	}
	for o := range l.All(oplog.Control) {
		appendTo(t, fresh, o)
	}
	for o := range l.All(oplog.Content) {
		appendTo(t, fresh, o)
		if err := oplog.Put(t.Context(), b.Store, o); err != nil {
			t.Fatalf("Put: %v", err)
		}
	}
	if diff := Diff(l, fresh); diff != "" {
		t.Error(diff)
	}
	check()
}

// testDroppedKept: who has a list and the ops whole keeps them whole.
func testDroppedKept(t *testing.T, b *Backend) {
	d, _, first, _ := droppedHistory(t)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("A0 A1 B0 a0")...)
	if err := tryKeep(t.Context(), b.Store, l, first); err != nil {
		t.Fatal(err)
	}
	put(t, b.Store, l, d.Ops("a1 b0")...) // after the list too
	b.reopen(t)
	checkLoad(t, b.Store, 0, l)
	checkLists(t, b.Store, l, first.Checkpoint)
	if l.Bare() != 0 {
		t.Errorf("a list that is kept made %d ops bare", l.Bare())
	}
}

// testDroppedDamaged: a stub that is not there, or not whole, is noticed.
func testDroppedDamaged(t *testing.T, b *Backend) {
	d, _, first, second := droppedHistory(t)
	l := oplog.NewLog(d.Entity())
	put(t, b.Store, l, d.Ops("")...)
	for _, list := range []oplog.Dropped{first, second} {
		if err := tryStrip(t.Context(), b.Store, l, list); err != nil {
			t.Fatal(err)
		}
	}
	checkLoad(t, b.Store, 0, l)
	opKey := func(name string) string { return "/o/" + d.Entity().String() + "/" + d.Op(name).ID().String() }
	listKey := func(checkpoint keys.Digest) string { return "/s/" + d.Entity().String() + "/" + checkpoint.String() }
	mark := func(checkpoint keys.Digest) []byte { return append([]byte{0}, checkpoint[:]...) }
	stubs := func(change func(s []oplog.Stub) []oplog.Stub) []byte {
		return keys.Marshal(change(slices.Clone(first.Stubs)))
	}
	whole := keys.Marshal(first.Stubs)
	foreign := Draw(t, "B0 -> A0\na0")
	for name, c := range map[string]struct {
		key   string
		value []byte // nil: it is gone
	}{
		"a list gone":                          {listKey(first.Checkpoint), nil},
		"a list of nothing":                    {listKey(first.Checkpoint), []byte{}},
		"an empty list":                        {listKey(first.Checkpoint), []byte{0x80}},
		"a list a byte shorter":                {listKey(first.Checkpoint), whole[:len(whole)-1]},
		"a list a byte longer":                 {listKey(first.Checkpoint), append(bytes.Clone(whole), 0)},
		"a list without a stub that is marked": {listKey(first.Checkpoint), stubs(func(s []oplog.Stub) []oplog.Stub { return s[1:] })},
		"a list that descends":                 {listKey(first.Checkpoint), stubs(func(s []oplog.Stub) []oplog.Stub { slices.Reverse(s); return s })},
		"a list with a stub twice":             {listKey(first.Checkpoint), stubs(func(s []oplog.Stub) []oplog.Stub { return slices.Insert(s, 0, s[0]) })},
		"a list with another id":               {listKey(first.Checkpoint), stubs(func(s []oplog.Stub) []oplog.Stub { s[0].ID[31] ^= 1; return s })},
		"a list with half an envelope":         {listKey(first.Checkpoint), stubs(func(s []oplog.Stub) []oplog.Stub { s[0].Envelope = s[0].Envelope[:50]; return s })},
		"a list with a stub of control": {listKey(first.Checkpoint), stubs(func(s []oplog.Stub) []oplog.Stub {
			s[0].Envelope = d.Op("A1").AAD()
			return s
		})},
		"a list with another entity's stub": {listKey(first.Checkpoint), stubs(func(s []oplog.Stub) []oplog.Stub {
			s[0].Envelope = foreign.Op("a0").AAD()
			return s
		})},
		"a list under no entity":             {"/s/" + first.Checkpoint.String(), whole},
		"a list under what is no checkpoint": {listKey(first.Checkpoint) + "a", whole},
		"a list under what is no entity":     {"/s/x/" + first.Checkpoint.String(), whole},
		"an empty list of no entity":         {"/s/x/" + first.Checkpoint.String(), []byte{0x80}},
		"a list too deep":                    {listKey(first.Checkpoint) + "/x", whole},
		"a list under another entity":        {"/s/" + foreign.Entity().String() + "/" + first.Checkpoint.String(), whole},
		"a mark gone, on which others build": {opKey("a0"), nil},
		"a mark of no list":                  {opKey("a0"), mark(keys.Digest{0xc3})},
		"a mark of another list":             {opKey("a0"), mark(second.Checkpoint)},
		"a mark at what is in no list":       {opKey("a1"), mark(first.Checkpoint)},
		"a mark at a control op":             {opKey("A1"), mark(first.Checkpoint)},
		"a mark at what is no op":            {opKey("a0") + "a", mark(first.Checkpoint)},
		"a mark at an op of another entity":  {"/o/" + foreign.Entity().String() + "/" + d.Op("a0").ID().String(), mark(first.Checkpoint)},
		"a mark at no entity":                {"/o/" + d.Op("a0").ID().String(), mark(first.Checkpoint)},
		"a mark a byte shorter":              {opKey("a0"), mark(first.Checkpoint)[:32]},
		"a mark a byte longer":               {opKey("a0"), append(mark(first.Checkpoint), 0)},
		"a mark that begins otherwise":       {opKey("a0"), append([]byte{1}, first.Checkpoint[:]...)},
		"a bare id":                          {opKey("a0"), first.Checkpoint[:]},
	} {
		key := datastore.RawKey(c.key)
		before, err := b.Store.Get(t.Context(), key)
		if err != nil && !errors.Is(err, datastore.ErrNotFound) {
			t.Fatalf("Get: %v", err)
		}
		write := func(value []byte) {
			t.Helper()
			err := b.Store.Delete(t.Context(), key)
			if value != nil {
				err = b.Store.Put(t.Context(), key, value)
			}
			if err != nil {
				t.Fatalf("write %s: %v", key, err)
			}
		}
		write(c.value)
		if logs, _, err := oplog.Load(t.Context(), b.Store); !errors.Is(err, oplog.ErrCorrupt) || logs != nil {
			t.Errorf("%s: Load = %d logs, %v, want ErrCorrupt", name, len(logs), err)
		}
		write(before)
	}
	checkLoad(t, b.Store, 0, l)
	checkLists(t, b.Store, l, first.Checkpoint, second.Checkpoint)
}

// testDroppedStopped stops the store at its k-th write, for every k: ops are replaced and
// their list is there, or neither.
func testDroppedStopped(t *testing.T, open func(t *testing.T) *Backend) {
	for k := range 4 {
		b := open(t)
		store := FailAfter(b.Store, k)
		d, acknowledged, first, second := droppedHistory(t)
		writes := []func(l *oplog.Log) error{
			func(l *oplog.Log) error { return tryPut(t.Context(), store, l, d.Ops("")) },
			func(l *oplog.Log) error { return tryStrip(t.Context(), store, l, first) },
			func(l *oplog.Log) error { return tryStrip(t.Context(), store, l, second) },
		}
		l := oplog.NewLog(d.Entity())
		for i, write := range writes {
			if err := write(l); (err == nil) != (i < k) || err != nil && !errors.Is(err, ErrFailed) {
				t.Fatalf("write %d with %d allowed: %v", i, k, err)
			}
		}
		for _, list := range []oplog.Dropped{first, second}[:max(0, k-1)] {
			if _, err := acknowledged.Strip(list, nil); err != nil {
				t.Fatalf("Strip: %v", err)
			}
		}
		b.reopen(t)
		if k == 0 {
			checkLoad(t, b.Store, 0)
			continue
		}
		checkLoad(t, b.Store, 0, acknowledged)
		checkLists(t, b.Store, acknowledged, first.Checkpoint, second.Checkpoint)
	}
}

// tryStrip strips a list from l and writes it, and what it stripped, as one batch.
func tryStrip(ctx context.Context, s datastore.Batching, l *oplog.Log, d oplog.Dropped) error {
	stripped, err := l.Strip(d, nil)
	if err != nil {
		return err
	}
	return tryWrite(ctx, s, l, d, stripped)
}

// tryKeep has l keep a list, and writes it.
func tryKeep(ctx context.Context, s datastore.Batching, l *oplog.Log, d oplog.Dropped) error {
	l.KeepDropped(d)
	return tryWrite(ctx, s, l, d, nil)
}

func tryWrite(ctx context.Context, s datastore.Batching, l *oplog.Log, d oplog.Dropped, ops []oplog.Op) error {
	b, err := s.Batch(ctx)
	if err != nil {
		return err
	}
	for _, o := range ops { // before their list: within a batch the order is nothing
		if err := oplog.Put(ctx, b, o); err != nil {
			return err
		}
	}
	if err := oplog.PutDropped(ctx, b, l.Entity(), d); err != nil {
		return err
	}
	return b.Commit(ctx)
}

// checkLists loads the store and compares the lists of checkpoints with those that a log
// keeps.
func checkLists(t *testing.T, s datastore.Batching, want *oplog.Log, checkpoints ...keys.Digest) {
	t.Helper()
	logs, _, err := oplog.Load(t.Context(), s)
	if err != nil || logs[want.Entity()] == nil {
		t.Fatalf("Load: %v, or no log of %v", err, want.Entity())
	}
	lists := 0
	for _, c := range checkpoints {
		w, kept := want.Dropped(c)
		g, ok := logs[want.Entity()].Dropped(c)
		if diff := cmp.Diff(w, g); ok != kept || diff != "" {
			t.Errorf("list of %v kept %v, want %v (-want +got):\n%s", c, ok, kept, diff)
		}
		if kept {
			lists++
		}
	}
	for _, e := range entries(t, s) {
		if strings.HasPrefix(e.Key, "/s/"+want.Entity().String()+"/") {
			lists--
		}
	}
	if lists != 0 {
		t.Errorf("the store has %d lists more than the log keeps", -lists)
	}
	if g, w := logs[want.Entity()].Bare(), want.Bare(); g != w {
		t.Errorf("%d ops are bare, want %d", g, w)
	}
}
