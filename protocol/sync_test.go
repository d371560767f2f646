package protocol

import (
	"bytes"
	"reflect"
	"testing"

	"pttnode/keys"
	"pttnode/oplog"
)

// TestSyncSizes: what docs/PERFORMANCE.md allows a sync besides its operations.
func TestSyncSizes(t *testing.T) {
	size := func(typ SyncType, v any) int { return len(Frame(uint8(typ), keys.Marshal(v))) }
	var vector oplog.Vector
	for i := range byte(50) {
		vector = append(vector, oplog.Head{Device: keys.ID{i}, Strand: oplog.Content, Seq: 2000, ID: keys.Digest{i}})
	}
	vector = append(vector, oplog.Head{Device: keys.ID{50}, Strand: oplog.Control, Seq: 60, ID: keys.Digest{50}})
	hello, equal := size(SyncHello, Hello{}), size(SyncEqual, No{})
	if got := hello + equal; got > 128 {
		t.Errorf("equal logs take %d bytes, want at most 128", got)
	}
	nothing := size(SyncOps, Ops{Ops: []oplog.Pair{}})
	if got := hello + nothing + size(SyncVector, VectorFrame{Heads: vector}); got > 4<<10 {
		t.Errorf("hello, vector and the frame around operations of 50 authors take %d bytes, want at most 4,096", got)
	} else {
		t.Logf("equal: %d bytes; 50 authors: %d", hello+equal, got)
	}
}

// TestAppendFrame: it makes the frame that Frame makes, behind what was there.
func TestAppendFrame(t *testing.T) {
	t.Parallel()
	used := bytes.Repeat([]byte{0xff}, 50_000)
	for _, size := range []int{0, 100, 120, 130, 20_000, 900_000} { // lengths of one, two and three bytes
		v := Ops{Ops: []oplog.Pair{{Envelope: make([]byte, size)}}}
		want := Frame(uint8(SyncOps), keys.Marshal(v))
		if got := AppendFrame([]byte("before"), uint8(SyncOps), v); !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Errorf("behind others the frame of %d bytes is another: of %d bytes, want %d", size, len(got)-6, len(want))
		}
		if got := AppendFrame(used[:0], uint8(SyncOps), v); !bytes.Equal(got, want) {
			t.Errorf("in a buffer that was used the frame of %d bytes is another: of %d bytes, want %d", size, len(got), len(want))
		}
	}
}

// TestDecodeSyncKeepsNothing: the bytes may be changed after it; the next payload takes
// their place.
func TestDecodeSyncKeepsNothing(t *testing.T) {
	t.Parallel()
	id, some := keys.Digest{1}, bytes.Repeat([]byte{7}, 100)
	for _, v := range []any{
		&Hello{Entity: id, Hash: id, Addrs: some},
		&VectorFrame{Heads: oplog.Vector{{Device: keys.ID{2}, Strand: oplog.Content, Seq: 3, ID: id}}, Addrs: some},
		&Ranges{Entity: &id, Hash: &id, Salt: &oplog.Salt{3}, Ranges: some, Wants: some, Addrs: some},
		&Ops{Ops: []oplog.Pair{{Envelope: some, Body: some}, {Envelope: some}}, More: true},
		&Push{Entity: id, Ops: []oplog.Pair{{Envelope: some, Body: some}}},
		&Want{Entity: id, IDs: []keys.Digest{id}},
		&Bodies{Answers: []Answer{{ID: id, Says: BodyHere, Body: some}}, More: true},
	} {
		want := keys.Marshal(v)
		payload := bytes.Clone(want)
		got := reflect.New(reflect.TypeOf(v).Elem()).Interface()
		if err := DecodeSync(payload, got); err != nil {
			t.Errorf("%T: %v", v, err)
		}
		clear(payload)
		if !bytes.Equal(keys.Marshal(got), want) {
			t.Errorf("%T changes with the bytes it was decoded from", v)
		}
	}
}

func FuzzSync(f *testing.F) {
	f.Add(keys.Marshal(Ranges{Entity: &keys.Digest{1}, Hash: &keys.Digest{2}, Salt: &oplog.Salt{3}, Ranges: []byte{4}, Wants: []byte{5}, Addrs: []byte{6}}))
	f.Add(keys.Marshal(Ranges{}))
	f.Add(keys.Marshal(Hello{}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var r Ranges
		if err := DecodeSync(payload, &r); err == nil && string(keys.Marshal(r)) != string(payload) {
			t.Errorf("%x decodes, and encodes as %x", payload, keys.Marshal(r))
		}
	})
}

// TestRangesBegins: what only the first frame of a stream has.
func TestRangesBegins(t *testing.T) {
	id, salt := &keys.Digest{1}, &oplog.Salt{2}
	for _, c := range []struct {
		f    Ranges
		want bool
	}{
		{Ranges{Entity: id, Hash: id, Salt: salt}, true},
		{Ranges{Hash: id, Salt: salt}, false},
		{Ranges{Entity: id, Salt: salt}, false},
		{Ranges{Entity: id, Hash: id}, false},
		{Ranges{}, false},
	} {
		if got := c.f.Begins(); got != c.want {
			t.Errorf("%+v begins: %v, want %v", c.f, got, c.want)
		}
	}
}
