package oplog_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// envelopeOf returns the bytes of an op before its body, counted from the end, with none
// of the package's help.
func envelopeOf(w wire) []byte {
	raw := w.sign(keys.FromSeed([32]byte{1}))
	return raw[:len(raw)-67-len(keys.Marshal(notNil(w.Body)))-1]
}

// TestStub: what is left of an op is all of it but the body and the signature, and comes
// back from the stub.
func TestStub(t *testing.T) {
	t.Parallel()
	k, checkpoint := keys.FromSeed([32]byte{1}), digest(0xcc)
	for name, w := range map[string]wire{
		"an op":               contentWire(),
		"no parents":          with(contentWire(), func(w *wire) { w.Parents = nil }),
		"no body":             with(contentWire(), func(w *wire) { w.Body = nil }),
		"a long body":         with(contentWire(), func(w *wire) { w.Body = make([]byte, 70_000) }),
		"the second":          with(contentWire(), func(w *wire) { w.Seq, w.Prev = 1, id(9) }),
		"critical":            with(contentWire(), func(w *wire) { w.Type = 128 }),
		"an unknown family":   with(contentWire(), func(w *wire) { w.Family, w.Type = 255, math.MaxUint16 }),
		"as long as they get": longestWire(),
	} {
		o, err := oplog.Parse(w.sign(k))
		if err != nil {
			t.Fatalf("%s: Parse: %v", name, err)
		}
		if o.Bare() || !o.DroppedBy().IsZero() || !bytes.Equal(o.Entry(), o.Bytes()) {
			t.Errorf("%s: a whole op is bare %v, dropped by %v", name, o.Bare(), o.DroppedBy())
		}
		s := oplog.StubOf(o)
		if s.ID != sum(w.sign(k)) || !bytes.Equal(s.Envelope, envelopeOf(w)) {
			t.Errorf("%s: StubOf = %v and %x, want %v and %x", name, s.ID, s.Envelope, o.ID(), envelopeOf(w))
		}
		given := oplog.Stub{ID: s.ID, Envelope: bytes.Clone(s.Envelope)}
		b, err := given.Op(checkpoint)
		if err != nil {
			t.Errorf("%s: Op: %v", name, err)
			continue
		}
		clear(given.Envelope) // Op keeps a copy
		if diff := cmp.Diff(headOf(o), headOf(b)); diff != "" {
			t.Errorf("%s: the stub's op is another (-whole +bare):\n%s", name, diff)
		}
		if !b.Bare() || b.DroppedBy() != checkpoint || !b.Signed() || b.IsZero() {
			t.Errorf("%s: the stub's op is bare %v, dropped by %v, signed %v", name, b.Bare(), b.DroppedBy(), b.Signed())
		}
		if b.Body() != nil || b.Bytes() != nil {
			t.Errorf("%s: the stub's op has a body %x of bytes %x", name, b.Body(), b.Bytes())
		}
		if h := oplog.HashAll([][]byte{o.Entry(), b.Entry()}); h[0].ID() != o.ID() || h[1].ID() != o.ID() || len(b.Entry()) != 32 {
			t.Errorf("%s: entries of %d and %d bytes for %v and %v, want %v", name, len(o.Entry()), len(b.Entry()), h[0].ID(), h[1].ID(), o.ID())
		}
		if diff := cmp.Diff(s, oplog.StubOf(b)); diff != "" {
			t.Errorf("%s: the stub of a bare op is another (-want +got):\n%s", name, diff)
		}
	}
}

// head is what a log and its rules need of an op.
type head struct {
	ID, Entity, User, Prev, Epoch keys.Digest
	Device                        keys.ID
	Strand                        oplog.Strand
	Family                        oplog.Family
	Type                          uint16
	Critical                      bool
	Seq                           uint64
	Parents, Auth                 []keys.Digest
	At                            time.Time
	AAD                           []byte
}

func headOf(o oplog.Op) head {
	return head{
		o.ID(), o.Entity(), o.User(), o.Prev(), o.Epoch(), o.Device(), o.Strand(), o.Family(), o.Type(), o.Critical(), o.Seq(),
		o.Parents(), o.Auth(), o.At(), o.AAD(),
	}
}

// TestStubBytes: the wire form of docs/PROTOCOL.md §2.11, byte for byte.
func TestStubBytes(t *testing.T) {
	t.Parallel()
	s := oplog.Stub{ID: digest(7), Envelope: envelopeOf(contentWire())}
	n := len(s.Envelope)
	want := slices.Concat([]byte{0xa2, 1, 0x58, 32}, id(7), []byte{2, 0x59, byte(n >> 8), byte(n)}, s.Envelope)
	if got := keys.Marshal(s); !bytes.Equal(got, want) {
		t.Errorf("a stub is %x, want %x", got, want)
	}
	var got oplog.Stub
	if err := keys.Unmarshal(want, &got); err != nil || got.ID != s.ID || !bytes.Equal(got.Envelope, s.Envelope) {
		t.Errorf("Unmarshal = %v, or another stub", err)
	}
}

// TestStubRefused: a stub is the first 13 keys of a well-formed content op, and nothing
// else is one.
func TestStubRefused(t *testing.T) {
	t.Parallel()
	content := contentWire()
	for name, w := range map[string]wire{
		"a control op":                   controlWire(),
		"a genesis":                      genesisWire(),
		"the genesis of a Me":            with(genesisWire(), func(w *wire) { w.User = nil }),
		"a RESET":                        resetWire(),
		"a control op of content's form": with(content, func(w *wire) { w.Strand = 1 }),
		"content of a control family":    with(content, func(w *wire) { w.Family = 15 }),
		"strand 0":                       with(content, func(w *wire) { w.Strand = 0 }),
		"strand 3":                       with(content, func(w *wire) { w.Strand = 3 }),
		"v 0":                            with(content, func(w *wire) { w.V = 0 }),
		"v 2":                            with(content, func(w *wire) { w.V = 2 }), // whose bytes would be read no further
		"no entity":                      with(content, func(w *wire) { w.Entity = nil }),
		"an entity of zeros":             with(content, func(w *wire) { w.Entity = id(0) }),
		"no user":                        with(content, func(w *wire) { w.User = nil }),
		"a device of 31 bytes":           with(content, func(w *wire) { w.Device = id(1)[:31] }),
		"no epoch":                       with(content, func(w *wire) { w.Epoch = nil }),
		"no auth":                        with(content, func(w *wire) { w.Auth = nil }),
		"auth that does not ascend":      with(content, func(w *wire) { w.Auth = []keys.Digest{digest(2), digest(1)} }),
		"parents that do not ascend":     with(content, func(w *wire) { w.Parents = []keys.Digest{digest(2), digest(2)} }),
		"17 parents":                     with(content, func(w *wire) { w.Parents = digests(17) }),
		"seq 1 without prev":             with(content, func(w *wire) { w.Seq = 1 }),
		"seq 0 with prev":                with(content, func(w *wire) { w.Prev = id(9) }),
		"at beyond the calendar":         with(content, func(w *wire) { w.At = 1<<48 + 1 }),
	} {
		checkNoStub(t, name, oplog.Stub{ID: digest(7), Envelope: envelopeOf(w)}, oplog.ErrFormat)
	}

	good := envelopeOf(content)
	if _, err := (oplog.Stub{ID: digest(7), Envelope: good}).Op(digest(8)); err != nil {
		t.Fatalf("the test's own stub: %v", err)
	}
	checkNoStub(t, "an id of zeros", oplog.Stub{Envelope: good}, oplog.ErrFormat)
	for i := range good {
		checkNoStub(t, "cut off", oplog.Stub{ID: digest(7), Envelope: good[:i]}, oplog.ErrFormat)
	}
	k := keys.FromSeed([32]byte{1})
	items := encodings(content, k)[:13]
	change := func(n int, item ...byte) []byte {
		changed := slices.Clone(items)
		changed[n-1] = item
		return slices.Concat([]byte{0xaf}, slices.Concat(changed...))
	}
	for name, envelope := range map[string][]byte{
		"a byte behind":             append(bytes.Clone(good), 0),
		"a checkpoint behind":       append(bytes.Clone(good), id(8)...),
		"the body behind":           append(bytes.Clone(good), keys.Marshal(content.Body)...),
		"its key and body behind":   append(append(bytes.Clone(good), 14), keys.Marshal(content.Body)...),
		"the whole op":              content.sign(k),
		"a map of 14":               append([]byte{0xae}, good[1:]...),
		"a map of what is there":    append([]byte{0xad}, good[1:]...),
		"a map of 16":               append([]byte{0xb0}, good[1:]...),
		"an array":                  append([]byte{0x8f}, good[1:]...),
		"an indefinite map":         append([]byte{0xbf}, good[1:]...),
		"a long head of the map":    append([]byte{0xb8, 15}, good[1:]...),
		"v in two bytes":            change(1, 1, 0x18, 1),
		"a key in two bytes":        change(1, 0x18, 1, 1),
		"seq in nine bytes":         change(8, 8, 0x1b, 0, 0, 0, 0, 0, 0, 0, 0),
		"a length in three bytes":   change(2, append([]byte{2, 0x59, 0, 32}, id(1)...)...),
		"a count in two bytes":      change(10, append([]byte{10, 0x98, 1, 0x58, 32}, id(1)...)...),
		"null for an empty id":      change(9, 9, 0xf6),
		"a key missing":             change(9),
		"two keys in disorder":      slices.Concat([]byte{0xaf}, items[1], items[0], slices.Concat(items[2:]...)),
		"the last key is another":   slices.Concat([]byte{0xaf}, slices.Concat(items[:12]...), []byte{14, 0}),
		"at is a string of nothing": change(13, 13, 0x40),
	} {
		checkNoStub(t, name, oplog.Stub{ID: digest(7), Envelope: envelope}, oplog.ErrFormat)
	}

	over := with(content, func(w *wire) { w.Parents = digests(120) })
	checkNoStub(t, "one too large", oplog.Stub{ID: digest(7), Envelope: envelopeOf(over)}, oplog.ErrTooLarge)
}

func checkNoStub(t *testing.T, name string, s oplog.Stub, want error) {
	t.Helper()
	if o, err := s.Op(digest(8)); !errors.Is(err, want) || !o.IsZero() {
		t.Errorf("%s: the stub %x is an op %v, %v, want %v", name, s.Envelope, !o.IsZero(), err, want)
	}
}

// longestWire has every number in its longest form and every list full.
func longestWire() wire {
	return with(contentWire(), func(w *wire) {
		w.Family, w.Type, w.Seq, w.Prev, w.Parents, w.Auth, w.At = 255, math.MaxUint16, math.MaxUint64, id(9), digests(16), digests(16), 1<<48
	})
}

// TestStubSize: the bound on a stub is far over the longest, and that is what limits.go
// says of it.
func TestStubSize(t *testing.T) {
	t.Parallel()
	if n := len(envelopeOf(longestWire())); n < 1200 || n > 1434 || 2*n > oplog.MaxStub {
		t.Errorf("the longest envelope has %d bytes, a stub at most %d", n, oplog.MaxStub)
	}
}

// TestDroppedOps: a list ascends, and is of content ops of its entity.
func TestDroppedOps(t *testing.T) {
	t.Parallel()
	d := oplogtest.Draw(t, "A0 -> B0\na0 -> a1 -> b0")
	good := oplogtest.Dropped(digest(8), d.Ops("a0 a1 b0")...)
	ops, err := good.Ops(d.Entity())
	if err != nil || len(ops) != 3 {
		t.Fatalf("Ops = %d, %v, want 3", len(ops), err)
	}
	for i, o := range ops {
		if o.ID() != good.Stubs[i].ID || !o.Bare() || o.DroppedBy() != digest(8) {
			t.Errorf("op %d is %v, bare %v, dropped by %v", i, o.ID(), o.Bare(), o.DroppedBy())
		}
	}
	if ops, err := (oplog.Dropped{Checkpoint: digest(8)}).Ops(d.Entity()); err != nil || len(ops) != 0 {
		t.Errorf("Ops of an empty list = %d, %v", len(ops), err)
	}
	foreign := oplog.StubOf(oplogtest.Draw(t, "B0 -> A0\na0").Op("a0"))
	for name, c := range map[string]struct {
		change func(s []oplog.Stub) []oplog.Stub
		want   error
	}{
		"descending":         {func(s []oplog.Stub) []oplog.Stub { slices.Reverse(s); return s }, oplog.ErrFormat},
		"two in disorder":    {func(s []oplog.Stub) []oplog.Stub { s[1], s[2] = s[2], s[1]; return s }, oplog.ErrFormat},
		"one twice":          {func(s []oplog.Stub) []oplog.Stub { return slices.Insert(s, 1, s[1]) }, oplog.ErrFormat},
		"one id twice":       {func(s []oplog.Stub) []oplog.Stub { s[1].ID = s[0].ID; return s }, oplog.ErrFormat},
		"one of no envelope": {func(s []oplog.Stub) []oplog.Stub { s[2].Envelope = nil; return s }, oplog.ErrFormat},
		"a control op":       {func(s []oplog.Stub) []oplog.Stub { s[2].Envelope = d.Op("B0").AAD(); return s }, oplog.ErrFormat},
		"another entity's":   {func(s []oplog.Stub) []oplog.Stub { s[1].Envelope = foreign.Envelope; return s }, oplog.ErrForeign},
		"only another's":     {func([]oplog.Stub) []oplog.Stub { return []oplog.Stub{foreign} }, oplog.ErrForeign},
	} {
		bad := oplog.Dropped{Checkpoint: digest(8), Stubs: c.change(slices.Clone(good.Stubs))}
		if ops, err := bad.Ops(d.Entity()); !errors.Is(err, c.want) || ops != nil {
			t.Errorf("%s: Ops = %d, %v, want %v", name, len(ops), err, c.want)
		}
		// A log takes nothing of it.
		l := d.Log("")
		if stripped, err := l.Strip(bad, nil); !errors.Is(err, c.want) || stripped != nil {
			t.Errorf("%s: Strip = %d, %v, want %v", name, len(stripped), err, c.want)
		}
		if _, ok := l.Dropped(digest(8)); ok || l.Bare() != 0 {
			t.Errorf("%s: a refused list is kept %v and %d ops are bare", name, ok, l.Bare())
		}
		if diff := oplogtest.Diff(d.Log(""), l); diff != "" {
			t.Errorf("%s: a refused list changed the log: %s", name, diff)
		}
	}
}
