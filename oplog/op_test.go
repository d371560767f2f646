package oplog_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pttnode/keys"
	"pttnode/oplog"
)

// wire is the form of docs/PROTOCOL.md §2.1 as a second hand would write it, with
// none of the package's checks.
type wire struct {
	V       uint64        `cbor:"1,keyasint"`
	Entity  []byte        `cbor:"2,keyasint"`
	Strand  uint64        `cbor:"3,keyasint"`
	Family  uint64        `cbor:"4,keyasint"`
	Type    uint64        `cbor:"5,keyasint"`
	User    []byte        `cbor:"6,keyasint"`
	Device  []byte        `cbor:"7,keyasint"`
	Seq     uint64        `cbor:"8,keyasint"`
	Prev    []byte        `cbor:"9,keyasint"`
	Parents []keys.Digest `cbor:"10,keyasint"`
	Auth    []keys.Digest `cbor:"11,keyasint"`
	Epoch   []byte        `cbor:"12,keyasint"`
	At      uint64        `cbor:"13,keyasint"`
	About   []byte        `cbor:"14,keyasint"`
	Body    []byte        `cbor:"15,keyasint"`
	Hash    []byte        `cbor:"16,keyasint"`
	Size    uint64        `cbor:"17,keyasint"`
	Sig     []byte        `cbor:"18,keyasint"`
}

// sigBytes is what key 18 takes.
const sigBytes = 67

// sign signs w as the device of key k and returns its bytes.
func (w wire) sign(k keys.Private) []byte {
	if w.Device == nil {
		id := k.ID()
		w.Device = id[:]
	}
	w.Sig = make([]byte, 64)
	raw := keys.Marshal(w)
	purpose := keys.PurposeOp
	if w.Family == uint64(oplog.FamilyCheckpoint) && w.Type == uint64(oplog.TypeReset) {
		purpose = keys.PurposeReset
	}
	sig := k.Sign(purpose, raw[:len(raw)-sigBytes])
	copy(raw[len(raw)-64:], sig[:])
	return raw
}

func id(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func digest(b byte) keys.Digest { return keys.Digest(id(b)) }

func digests(n int) (out []keys.Digest) {
	for i := range n {
		out = append(out, digest(byte(i+1)))
	}
	return out
}

// genesisWire, controlWire, contentWire and bareWire, content without a body, are
// well-formed.
func genesisWire() wire {
	return wire{V: 2, Strand: 1, Family: 1, Type: 1, User: id(2), At: 1_700_000_000_000, Body: []byte("genesis")}
}

func controlWire() wire {
	return wire{
		V: 2, Entity: id(1), Strand: 1, Family: 3, Type: 1, User: id(2), Seq: 7, Prev: id(3), Parents: digests(2),
		At: 1_700_000_000_000, Body: []byte("control"),
	}
}

func contentWire() wire { return sealedWire(contentBody) }

// contentBody is the body of contentWire.
var contentBody = []byte("content")

func sealedWire(body []byte) wire {
	w := bareWire()
	hash := sum(body)
	w.Epoch, w.Hash, w.Size = id(5), hash[:], uint64(len(body))
	return w
}

func bareWire() wire {
	return wire{
		V: 2, Entity: id(1), Strand: 2, Family: 16, Type: 1, User: id(2), Parents: digests(1), Auth: digests(2),
		At: 1_700_000_000_000, About: id(6),
	}
}

func resetWire() wire {
	w := controlWire()
	w.Family, w.Type, w.Seq, w.Prev = 6, uint64(oplog.TypeReset), 0, nil
	return w
}

// wires are one of each.
func wires() map[string]wire {
	return map[string]wire{"genesis": genesisWire(), "control": controlWire(), "content": contentWire(), "bare": bareWire(), "RESET": resetWire()}
}

func with(w wire, change func(*wire)) wire {
	change(&w)
	return w
}

// TestParseRules breaks each rule of the envelope once, in bytes that are well
// signed.
func TestParseRules(t *testing.T) {
	t.Parallel()
	genesis, control, content, bare, reset := genesisWire(), controlWire(), contentWire(), bareWire(), resetWire()
	for _, c := range []struct {
		name string
		w    wire
		want error
	}{
		{"genesis", genesis, nil},
		{"genesis of Me", with(genesis, func(w *wire) { w.User = nil }), nil},
		{"control", control, nil},
		{"first control of a device", with(control, func(w *wire) { w.Seq, w.Prev = 0, nil }), nil},
		{"control of an unknown family", with(control, func(w *wire) { w.Family = 15 }), nil},
		{"control of an unknown type", with(control, func(w *wire) { w.Type = math.MaxUint16 }), nil},
		{"control with 16 parents", with(control, func(w *wire) { w.Parents = digests(16) }), nil},
		{"content", content, nil},
		{"content without parents", with(content, func(w *wire) { w.Parents = nil }), nil},
		{"content of an unknown family", with(content, func(w *wire) { w.Family = 255 }), nil},
		{"content without a body", bare, nil},
		{"content about nothing", with(content, func(w *wire) { w.About = nil }), nil},
		{"content with a body of one byte", with(content, func(w *wire) { w.Size = 1 }), nil},
		{"content with the largest body", with(content, func(w *wire) { w.Size = 256 << 10 }), nil},
		{"content with 16 parents and 16 auth", with(content, func(w *wire) { w.Parents, w.Auth = digests(16), digests(16) }), nil},
		{"control without a body", with(control, func(w *wire) { w.Body = nil }), nil},
		{"the last seq", with(content, func(w *wire) { w.Seq, w.Prev = 1<<20-1, id(3) }), nil},
		{"at 1970", with(content, func(w *wire) { w.At = 0 }), nil},
		{"at the end of the calendar", with(content, func(w *wire) { w.At = 253_402_300_799_999 }), nil},
		{"RESET", reset, nil},
		{"RESET's type in another family", with(control, func(w *wire) { w.Type = uint64(oplog.TypeReset) }), nil},
		{"another type of RESET's family", with(control, func(w *wire) { w.Family = 6 }), nil},

		{"v 0", with(control, func(w *wire) { w.V = 0 }), oplog.ErrFormat},
		{"v 1", with(control, func(w *wire) { w.V = 1 }), oplog.ErrFormat},
		{"content of v 1", with(content, func(w *wire) { w.V = 1 }), oplog.ErrFormat},
		{"v 3", with(control, func(w *wire) { w.V = 3 }), oplog.ErrVersion},
		{"content of v 3", with(content, func(w *wire) { w.V = 3 }), oplog.ErrVersion},
		{"v 23", with(control, func(w *wire) { w.V = 23 }), oplog.ErrVersion},
		{"v 24", with(control, func(w *wire) { w.V = 24 }), oplog.ErrVersion},
		{"v of 64 bits", with(control, func(w *wire) { w.V = math.MaxUint64 }), oplog.ErrVersion},
		{"strand 0", with(control, func(w *wire) { w.Strand = 0 }), oplog.ErrFormat},
		{"strand 3", with(control, func(w *wire) { w.Strand = 3 }), oplog.ErrFormat},
		{"strand 257", with(control, func(w *wire) { w.Strand = 257 }), oplog.ErrFormat},
		{"family 257", with(control, func(w *wire) { w.Family = 257 }), oplog.ErrFormat},
		{"type 65537", with(control, func(w *wire) { w.Type = 65_537 }), oplog.ErrFormat},
		{"entity of 31 bytes", with(control, func(w *wire) { w.Entity = id(1)[:31] }), oplog.ErrFormat},
		{"entity of 33 bytes", with(control, func(w *wire) { w.Entity = append(id(1), 1) }), oplog.ErrFormat},
		{"user of 31 bytes", with(control, func(w *wire) { w.User = id(1)[:31] }), oplog.ErrFormat},
		{"prev of 31 bytes", with(control, func(w *wire) { w.Prev = id(1)[:31] }), oplog.ErrFormat},
		{"epoch of 31 bytes", with(content, func(w *wire) { w.Epoch = id(1)[:31] }), oplog.ErrFormat},
		{"epoch of 33 bytes", with(content, func(w *wire) { w.Epoch = append(id(1), 1) }), oplog.ErrFormat},
		{"about of 31 bytes", with(content, func(w *wire) { w.About = id(1)[:31] }), oplog.ErrFormat},
		{"about of 33 bytes", with(content, func(w *wire) { w.About = append(id(1), 1) }), oplog.ErrFormat},
		{"hash of 31 bytes", with(content, func(w *wire) { w.Hash = id(1)[:31] }), oplog.ErrFormat},
		{"hash of 33 bytes", with(content, func(w *wire) { w.Hash = append(id(1), 1) }), oplog.ErrFormat},
		{"about zero", with(content, func(w *wire) { w.About = id(0) }), oplog.ErrFormat},
		{"hash zero", with(content, func(w *wire) { w.Hash = id(0) }), oplog.ErrFormat},
		{"entity zero", with(control, func(w *wire) { w.Entity = id(0) }), oplog.ErrFormat},
		{"user zero", with(control, func(w *wire) { w.User = id(0) }), oplog.ErrFormat},
		{"prev zero", with(control, func(w *wire) { w.Prev = id(0) }), oplog.ErrFormat},
		{"epoch zero", with(content, func(w *wire) { w.Epoch = id(0) }), oplog.ErrFormat},
		{"device of 31 bytes", with(control, func(w *wire) { w.Device = id(1)[:31] }), oplog.ErrFormat},
		{"device of 33 bytes", with(control, func(w *wire) { w.Device = append(id(1), 1) }), oplog.ErrFormat},
		{"no device", with(control, func(w *wire) { w.Device = []byte{} }), oplog.ErrFormat},
		{"parents not ascending", with(control, func(w *wire) { w.Parents = []keys.Digest{digest(2), digest(1)} }), oplog.ErrFormat},
		{"a parent twice", with(control, func(w *wire) { w.Parents = []keys.Digest{digest(2), digest(2)} }), oplog.ErrFormat},
		{"auth not ascending", with(content, func(w *wire) { w.Auth = []keys.Digest{digest(2), digest(1)} }), oplog.ErrFormat},
		{"an auth twice", with(content, func(w *wire) { w.Auth = []keys.Digest{digest(2), digest(2)} }), oplog.ErrFormat},
		{"17 parents", with(control, func(w *wire) { w.Parents = digests(17) }), oplog.ErrFormat},
		{"17 auth", with(content, func(w *wire) { w.Auth = digests(17) }), oplog.ErrFormat},
		{"at beyond the calendar", with(content, func(w *wire) { w.At = 253_402_300_800_000 }), oplog.ErrFormat},
		{"seq 0 with prev", with(control, func(w *wire) { w.Seq = 0 }), oplog.ErrFormat},
		{"seq 1 without prev", with(control, func(w *wire) { w.Seq, w.Prev = 1, nil }), oplog.ErrFormat},
		{"content at seq 1 without prev", with(content, func(w *wire) { w.Seq = 1 }), oplog.ErrFormat},
		{"RESET with prev", with(reset, func(w *wire) { w.Seq, w.Prev = 1, id(3) }), oplog.ErrFormat},
		{"RESET with prev at seq 0", with(reset, func(w *wire) { w.Prev = id(3) }), oplog.ErrFormat},
		{"RESET far out in the chain", with(reset, func(w *wire) { w.Seq = 1 << 40 }), oplog.ErrFormat},
		{"RESET in the content strand", with(reset, func(w *wire) { w.Strand, w.Auth, w.Epoch = 2, digests(1), id(1) }), oplog.ErrFormat},
		{"RESET's type in another family without prev", with(reset, func(w *wire) { w.Family, w.Seq = 5, 3 }), oplog.ErrFormat},
		{"control of family 0", with(control, func(w *wire) { w.Family = 0 }), oplog.ErrFormat},
		{"control of a content family", with(control, func(w *wire) { w.Family = 16 }), oplog.ErrFormat},
		{"control with auth", with(control, func(w *wire) { w.Auth = digests(1) }), oplog.ErrFormat},
		{"control with an epoch", with(control, func(w *wire) { w.Epoch = id(1) }), oplog.ErrFormat},
		{"control about another op", with(control, func(w *wire) { w.About = id(1) }), oplog.ErrFormat},
		{"control with a hash", with(control, func(w *wire) { w.Hash = id(1) }), oplog.ErrFormat},
		{"control with a size", with(control, func(w *wire) { w.Size = 7 }), oplog.ErrFormat},
		{"control with hash and size", with(control, func(w *wire) { w.Hash, w.Size = id(1), 7 }), oplog.ErrFormat},
		{"control with a sealed body", with(control, func(w *wire) { w.Hash, w.Size, w.Epoch = id(1), 7, id(1) }), oplog.ErrFormat},
		{"genesis about another op", with(genesis, func(w *wire) { w.About = id(1) }), oplog.ErrFormat},
		{"genesis with hash and size", with(genesis, func(w *wire) { w.Hash, w.Size = id(1), 7 }), oplog.ErrFormat},
		{"control without entity", with(control, func(w *wire) { w.Entity = nil }), oplog.ErrFormat},
		{"control without parents", with(control, func(w *wire) { w.Parents = nil }), oplog.ErrFormat},
		{"control without user", with(control, func(w *wire) { w.User = nil }), oplog.ErrFormat},
		{"genesis with an entity", with(genesis, func(w *wire) { w.Entity = id(1) }), oplog.ErrFormat},
		{"genesis with parents", with(genesis, func(w *wire) { w.Parents = digests(1) }), oplog.ErrFormat},
		{"genesis at seq 1", with(genesis, func(w *wire) { w.Seq, w.Prev = 1, id(1) }), oplog.ErrFormat},
		{"content of a control family", with(content, func(w *wire) { w.Family = 15 }), oplog.ErrFormat},
		{"content without entity", with(content, func(w *wire) { w.Entity = nil }), oplog.ErrFormat},
		{"content without user", with(content, func(w *wire) { w.User = nil }), oplog.ErrFormat},
		{"content without epoch", with(content, func(w *wire) { w.Epoch = nil }), oplog.ErrFormat},
		{"content without auth", with(content, func(w *wire) { w.Auth = nil }), oplog.ErrFormat},
		{"content with a size and no hash", with(content, func(w *wire) { w.Hash = nil }), oplog.ErrFormat},
		{"content with a hash and no size", with(content, func(w *wire) { w.Size = 0 }), oplog.ErrFormat},
		{"content with an epoch and no body", with(bare, func(w *wire) { w.Epoch = id(1) }), oplog.ErrFormat},
		{"content with a size only", with(bare, func(w *wire) { w.Size = 7 }), oplog.ErrFormat},
		{"content with a hash only", with(bare, func(w *wire) { w.Hash = id(1) }), oplog.ErrFormat},
		{"content with a body inside", with(bare, func(w *wire) { w.Body = []byte{0} }), oplog.ErrFormat},
		{"content with its body inside", with(content, func(w *wire) { w.Body = contentBody }), oplog.ErrFormat},
		{"seq 2^20", with(content, func(w *wire) { w.Seq, w.Prev = 1<<20, id(3) }), oplog.ErrFormat},
		{"control at seq 2^20", with(control, func(w *wire) { w.Seq = 1 << 20 }), oplog.ErrFormat},
		{"seq 2^32", with(content, func(w *wire) { w.Seq, w.Prev = 1<<32, id(3) }), oplog.ErrFormat},
		{"seq of 64 bits", with(content, func(w *wire) { w.Seq, w.Prev = math.MaxUint64, id(3) }), oplog.ErrFormat},
		{"at of 64 bits", with(content, func(w *wire) { w.At = math.MaxUint64 }), oplog.ErrFormat},
		{"a body of 256 KiB and a byte", with(content, func(w *wire) { w.Size = 256<<10 + 1 }), oplog.ErrTooLarge},
		{"a body of 2^32 bytes", with(content, func(w *wire) { w.Size = 1 << 32 }), oplog.ErrTooLarge},
		{"a body of 2^64 bytes", with(content, func(w *wire) { w.Size = math.MaxUint64 }), oplog.ErrTooLarge},
	} {
		raw := c.w.sign(keys.FromSeed([32]byte{1}))
		o, err := oplog.Parse(raw)
		if !errors.Is(err, c.want) || (err == nil) == o.IsZero() {
			t.Errorf("%s: Parse = %v, %v, want %v", c.name, !o.IsZero(), err, c.want)
		}
		if errors.Is(c.want, oplog.ErrFormat) && errors.Is(err, oplog.ErrVersion) {
			t.Errorf("%s: Parse says a newer version: %v", c.name, err)
		}
		if err == nil && (!bytes.Equal(o.Envelope(), raw) || o.Body() != nil) {
			t.Errorf("%s: Parse made other bytes of it, or a body of %d bytes", c.name, len(o.Body()))
		}
	}
}

// TestParseSizes: a control op has 64 KiB, the envelope of a content op 4 KiB, its body
// 256 KiB, and not a byte more.
func TestParseSizes(t *testing.T) {
	t.Parallel()
	k := keys.FromSeed([32]byte{1})
	for _, c := range []struct {
		name string
		w    wire
		most int
		want error // of one that has just the most
	}{
		{"control", controlWire(), 64 << 10, nil},
		{"content", contentWire(), 4 << 10, oplog.ErrFormat}, // nothing but a body inside makes it as long
	} {
		c.w.Body = make([]byte, c.most)
		for over := 1; over > 0; c.w.Body = c.w.Body[:len(c.w.Body)-over] {
			over = len(c.w.sign(k)) - c.most
		}
		for len(c.w.sign(k)) < c.most { // the head of the body is shorter now
			c.w.Body = append(c.w.Body, 0)
		}
		if raw := c.w.sign(k); len(raw) != c.most {
			t.Fatalf("%s: the test's own op has %d bytes, want %d", c.name, len(raw), c.most)
		} else if _, err := oplog.Parse(raw); !errors.Is(err, c.want) {
			t.Errorf("%s of %d bytes: %v, want %v", c.name, len(raw), err, c.want)
		}
		c.w.Body = append(c.w.Body, 0)
		if _, err := oplog.Parse(c.w.sign(k)); !errors.Is(err, oplog.ErrTooLarge) {
			t.Errorf("%s of %d bytes: %v, want ErrTooLarge", c.name, c.most+1, err)
		}
	}
	most := controlWire()
	most.Body = make([]byte, 64<<10)
	if _, err := oplog.Sign(k, draftOf(most, most.Body)); !errors.Is(err, oplog.ErrTooLarge) {
		t.Errorf("Sign a control op of over 64 KiB: %v, want ErrTooLarge", err)
	}
	for n, want := range map[int]error{256 << 10: nil, 256<<10 + 1: oplog.ErrTooLarge} {
		if _, err := oplog.Sign(k, draftOf(contentWire(), make([]byte, n))); !errors.Is(err, want) {
			t.Errorf("Sign with a body of %d bytes: %v, want %v", n, err, want)
		}
	}
	if _, err := oplog.Parse(make([]byte, 64<<20)); !errors.Is(err, oplog.ErrTooLarge) {
		t.Errorf("Parse of 64 MiB: %v, want ErrTooLarge", err)
	}
	longest := with(contentWire(), func(w *wire) {
		w.Family, w.Type, w.Seq, w.Prev, w.Parents, w.Auth = 255, math.MaxUint16, 1<<20-1, id(9), digests(16), digests(16)
	})
	if n := len(longest.sign(k)); n < 1400 || n > 1536 {
		t.Errorf("the longest envelope has %d bytes, limits.go says 1.5 KiB", n)
	}
}

// TestNewerOrGarbage: only what begins as an envelope of a later version is one.
func TestNewerOrGarbage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw  []byte
		want error
	}{
		{[]byte{0xb2, 1, 3, 0}, oplog.ErrVersion},
		{[]byte{0xa1, 1, 3, 0}, oplog.ErrVersion},
		{[]byte{0xbf, 1, 0x18, 100}, oplog.ErrVersion},
		{[]byte{0xb2, 1, 2, 0}, oplog.ErrFormat},
		{[]byte{0xaf, 1, 1, 0}, oplog.ErrFormat},
		{[]byte{0x8f, 1, 3, 0}, oplog.ErrFormat},
		{[]byte{0, 1, 3, 0}, oplog.ErrFormat},
		{[]byte{0xb2, 2, 3, 0}, oplog.ErrFormat},
		{[]byte{0xb2, 1, 0x18, 3}, oplog.ErrFormat},
		{[]byte{0xb2, 1, 0x41, 3}, oplog.ErrFormat},
		{[]byte{0xb2, 1, 3}, oplog.ErrFormat},
	} {
		if _, err := oplog.Parse(c.raw); !errors.Is(err, c.want) {
			t.Errorf("Parse(%x) = %v, want %v", c.raw, err, c.want)
		}
	}
}

func draftOf(w wire, body []byte) oplog.Draft {
	d := oplog.Draft{
		Strand: oplog.Strand(w.Strand), Family: oplog.Family(w.Family), Type: uint16(w.Type), Seq: w.Seq,
		Parents: w.Parents, Auth: w.Auth, At: time.UnixMilli(int64(w.At)), Body: body,
	}
	copy(d.Entity[:], w.Entity)
	copy(d.User[:], w.User)
	copy(d.Prev[:], w.Prev)
	copy(d.Epoch[:], w.Epoch)
	copy(d.About[:], w.About)
	return d
}

// TestSign: what Sign makes are the bytes that the wire form says, they parse, and
// what would not parse is not signed.
func TestSign(t *testing.T) {
	t.Parallel()
	k := keys.FromSeed([32]byte{1})
	for name, w := range wires() {
		body := w.Body
		if name == "content" {
			body = contentBody
		}
		o, err := oplog.Sign(k, draftOf(w, body))
		if err != nil || !bytes.Equal(o.Envelope(), w.sign(k)) || !o.Signed() {
			t.Errorf("Sign(%s) = %v, or other bytes than the wire form", name, err)
			continue
		}
		p, err := oplog.Parse(o.Envelope())
		if err == nil && name == "content" {
			p, err = p.WithBody(o.Body())
		}
		if err != nil || !p.Is(o) || !p.Signed() || p.Entity() != o.Entity() {
			t.Errorf("Parse(Sign(%s)) = %v, or another op", name, err)
		}
		if got := o.Pair(); !bytes.Equal(got.Envelope, o.Envelope()) || !bytes.Equal(got.Body, o.Body()) {
			t.Errorf("Sign(%s).Pair() = %x", name, got)
		}
	}
	for name, change := range map[string]func(*oplog.Draft){
		"seq 0 with prev":     func(d *oplog.Draft) { d.Prev = digest(3) },
		"an epoch, no body":   func(d *oplog.Draft) { d.Body = nil },
		"a body, no epoch":    func(d *oplog.Draft) { d.Epoch = keys.Digest{} },
		"at in the year 9999": func(d *oplog.Draft) { d.At = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"seq 2^20":            func(d *oplog.Draft) { d.Seq, d.Prev = 1<<20, digest(3) },
		"strand 0":            func(d *oplog.Draft) { d.Strand = 0 },
		"control about":       func(d *oplog.Draft) { d.Strand, d.Family, d.Auth, d.Epoch = 1, 3, nil, keys.Digest{} },
	} {
		bad := draftOf(contentWire(), contentBody)
		change(&bad)
		if o, err := oplog.Sign(k, bad); !errors.Is(err, oplog.ErrFormat) || !o.IsZero() {
			t.Errorf("Sign of %s = %v, want ErrFormat", name, err)
		}
	}
	early := draftOf(contentWire(), contentBody)
	early.At = time.Unix(-5, 0)
	if o, err := oplog.Sign(k, early); err != nil || !o.At().Equal(time.Unix(0, 0)) {
		t.Errorf("Sign before 1970: at %v, %v, want 1970", o.At(), err)
	}
	if !(oplog.Op{}).IsZero() || (oplog.Op{}).Envelope() != nil || (oplog.Op{}).Body() != nil {
		t.Error("the zero Op is not zero")
	}
}

// TestFields reads every field back.
func TestFields(t *testing.T) {
	t.Parallel()
	k := keys.FromSeed([32]byte{1})
	w := with(contentWire(), func(w *wire) { w.Seq, w.Prev, w.Type = 3, id(4), 200 })
	raw := w.sign(k)
	o, err := oplog.Parse(raw)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	raw[len(raw)-1] ^= 1 // Parse keeps a copy
	if _, err := oplog.Parse(o.Envelope()); err != nil {
		t.Errorf("the op changed with the bytes it was parsed from: %v", err)
	}
	type fields struct {
		Entity, User, Prev, Epoch, About keys.Digest
		Strand                           string
		Family                           oplog.Family
		Type                             uint16
		Device                           keys.ID
		Seq                              uint64
		Parents, Auth                    []keys.Digest
		At                               time.Time
		Size                             int
		Critical, Here                   bool
	}
	got := fields{
		o.Entity(), o.User(), o.Prev(), o.Epoch(), o.About(), o.Strand().String(), o.Family(), o.Type(), o.Device(), o.Seq(),
		o.Parents(), o.Auth(), o.At(), o.Size(), o.Critical(), o.Here(),
	}
	want := fields{
		digest(1), digest(2), digest(4), digest(5), digest(6), "content", oplog.FamilyArticle, 200, k.ID(), 3,
		digests(1), digests(2), time.UnixMilli(1_700_000_000_000).UTC(), 7, true, false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields differ (-want +got):\n%s", diff)
	}
	if o.ID() != sum(o.Envelope()) || oplog.IDOf(o.Envelope()) != o.ID() {
		t.Errorf("id %v is not the hash of the envelope", o.ID())
	}
	bare, err := oplog.Parse(bareWire().sign(k))
	if err != nil || bare.Size() != 0 || !bare.Here() || !bare.Epoch().IsZero() || bare.About() != digest(6) {
		t.Errorf("content without a body: size %d, here %v, epoch %v, about %v, %v", bare.Size(), bare.Here(), bare.Epoch(), bare.About(), err)
	}
	for strand, want := range map[oplog.Strand]string{oplog.Control: "control", oplog.Content: "content", 9: "strand(9)"} {
		if strand.String() != want {
			t.Errorf("Strand(%d) = %q, want %q", uint8(strand), strand, want)
		}
	}
	if genesis, err := oplog.Parse(with(genesisWire(), func(w *wire) { w.User = nil }).sign(k)); err != nil ||
		genesis.Entity() != genesis.ID() || genesis.User() != genesis.ID() || genesis.Critical() {
		t.Errorf("genesis of Me: entity %v, user %v, %v, want both its id", genesis.Entity(), genesis.User(), err)
	}
}

// headSizes are lengths around which the head of a string changes.
var headSizes = []int{1, 23, 24, 255, 256, 65_535, 65_536}

// TestAAD: a sealed body is bound to everything before key 15, whatever its length, and
// so would be one of an op that has none.
func TestAAD(t *testing.T) {
	t.Parallel()
	k := keys.FromSeed([32]byte{1})
	before := func(w wire) []byte { return append([]byte{0xb2}, slices.Concat(encodings(w, k)[:14]...)...) }
	want := before(contentWire())
	for _, n := range append(headSizes, 256<<10) {
		var sealed []byte
		d := draftOf(contentWire(), nil)
		d.Seal = func(aad []byte) []byte {
			sealed = bytes.Clone(aad)
			return bytes.Repeat([]byte{9}, n)
		}
		o, err := oplog.Sign(k, d)
		if err != nil {
			t.Fatalf("Sign a body of %d bytes: %v", n, err)
		}
		if !bytes.Equal(sealed, want) || !bytes.Equal(o.AAD(), want) {
			t.Errorf("a body of %d bytes is sealed with %x, AAD %x, want %x", n, sealed, o.AAD(), want)
		}
		if p, err := oplog.Parse(o.Envelope()); err != nil || !bytes.Equal(p.AAD(), want) {
			t.Errorf("parsed again, the AAD of a body of %d bytes is %x, %v, want %x", n, p.AAD(), err, want)
		}
		if !bytes.Equal(o.Body(), bytes.Repeat([]byte{9}, n)) || o.Size() != n {
			t.Errorf("the sealed body of %d bytes is not that of the op", n)
		}
	}
	if o, err := oplog.Parse(bareWire().sign(k)); err != nil || !bytes.Equal(o.AAD(), before(bareWire())) {
		t.Errorf("AAD without a body is %x, %v, want %x", o.AAD(), err, before(bareWire()))
	}
}

// TestControl: the body of a control op is inside, whatever its length.
func TestControl(t *testing.T) {
	t.Parallel()
	k := keys.FromSeed([32]byte{1})
	for _, n := range append(headSizes[:5:5], 0, 65_000) {
		for name, w := range map[string]wire{"genesis": genesisWire(), "control": controlWire(), "RESET": resetWire()} {
			w.Body = bytes.Repeat([]byte{7}, n)
			o, err := oplog.Parse(w.sign(k))
			if err != nil {
				t.Fatalf("%s with a body of %d bytes: %v", name, n, err)
			}
			if !bytes.Equal(o.Control(), w.Body) || o.Size() != 0 || o.Body() != nil || !o.Here() {
				t.Errorf("%s with a body of %d bytes: Control %d bytes, size %d, body %d, here %v",
					name, n, len(o.Control()), o.Size(), len(o.Body()), o.Here())
			}
			if got := append(o.Control(), 1); !bytes.Equal(o.Envelope(), w.sign(k)) {
				t.Errorf("%s: appending to its body of %d bytes changed it", name, len(got)-1)
			}
			if p, err := oplog.Sign(k, draftOf(w, w.Body)); err != nil || !bytes.Equal(p.Control(), w.Body) || p.Body() != nil {
				t.Errorf("%s signed with a body of %d bytes: Control %d bytes, %v", name, n, len(p.Control()), err)
			}
		}
	}
	if o, err := oplog.Parse(contentWire().sign(k)); err != nil || o.Control() != nil {
		t.Errorf("Control of content is %x, %v", o.Control(), err)
	}
}

// TestWithBody: an op takes the body whose size and hash it names, and no other one; it
// stands without.
func TestWithBody(t *testing.T) {
	t.Parallel()
	k := keys.FromSeed([32]byte{1})
	parse := func(w wire) oplog.Op {
		t.Helper()
		o, err := oplog.Parse(w.sign(k))
		if err != nil {
			t.Fatalf("Parse: %v", err)
		}
		return o
	}
	o := parse(contentWire())
	whole, err := o.WithBody(contentBody)
	if err != nil || !whole.Is(o) || !bytes.Equal(whole.Body(), contentBody) || !bytes.Equal(whole.Envelope(), o.Envelope()) || !whole.Signed() {
		t.Errorf("WithBody = %q, %v", whole.Body(), err)
	}
	if o.Body() != nil {
		t.Error("WithBody changed the op that it was asked of")
	}
	if again, err := whole.WithBody(contentBody); err != nil || !bytes.Equal(again.Body(), contentBody) {
		t.Errorf("WithBody again: %v", err)
	}
	lies := with(contentWire(), func(w *wire) { w.Size++ }) // the hash is right, the size is not
	for name, c := range map[string]struct {
		o    oplog.Op
		body []byte
	}{
		"another one":                   {o, []byte("c0ntent")},
		"a longer one":                  {o, []byte("content.")},
		"a shorter one":                 {o, []byte("conten")},
		"an empty one":                  {o, []byte{}},
		"none":                          {o, nil},
		"a body and another size":       {parse(lies), contentBody},
		"one of an op without":          {parse(bareWire()), contentBody},
		"an empty one of an op without": {parse(bareWire()), nil},
		"one of a control op":           {parse(controlWire()), []byte("control")},
		"none of a control op":          {parse(controlWire()), nil},
		"another op's":                  {parse(sealedWire([]byte("CONTENT"))), contentBody},
		"a wrong one after a right":     {whole, []byte("c0ntent")},
	} {
		if got, err := c.o.WithBody(c.body); !errors.Is(err, oplog.ErrBody) || !got.IsZero() {
			t.Errorf("%s: WithBody = %v, want ErrBody", name, err)
		}
	}
	if _, err := oplog.Parse(o.Envelope()); err != nil {
		t.Errorf("after wrong bodies the envelope: %v", err)
	}
}

// TestTamper flips every byte of an op and truncates it at every length: nothing
// of it parses.
func TestTamper(t *testing.T) {
	t.Parallel()
	k := keys.FromSeed([32]byte{1})
	for name, w := range wires() {
		raw := w.sign(k)
		for i := range raw {
			for _, flip := range []byte{0x01, 0x80, 0xff} {
				changed := bytes.Clone(raw)
				changed[i] ^= flip
				o, err := oplog.Parse(changed)
				if err == nil || !o.IsZero() {
					t.Errorf("%s: byte %d xor %#x parses", name, i, flip)
				}
				if i >= len(raw)-64 && !errors.Is(err, oplog.ErrSignature) {
					t.Errorf("%s: byte %d of the signature xor %#x: %v, want ErrSignature", name, i-len(raw)+64, flip, err)
				}
				if _, err := oplog.ParseChain([][]byte{changed}); err == nil {
					t.Errorf("%s: byte %d xor %#x parses as a chain", name, i, flip)
				}
			}
			if _, err := oplog.Parse(raw[:i]); !errors.Is(err, oplog.ErrFormat) {
				t.Errorf("%s: the first %d bytes of %d: %v, want ErrFormat", name, i, len(raw), err)
			}
			if _, err := oplog.Parse(raw[i+1:]); err == nil {
				t.Errorf("%s: the last %d bytes of %d parse", name, len(raw)-i-1, len(raw))
			}
		}
		for what, b := range map[string][]byte{"a zero": {0}, "a break": {0xff}, "itself": raw} {
			if _, err := oplog.Parse(slices.Concat(raw, b)); !errors.Is(err, oplog.ErrFormat) {
				t.Errorf("%s with %s behind: %v, want ErrFormat", name, what, err)
			}
		}
	}
}

// encodings are the values of an op, each as the bytes of its key and value, so
// that a test can write them in a form that no encoder would.
func encodings(w wire, k keys.Private) [][]byte {
	raw := w.sign(k)
	var items [][]byte
	rest := raw[1:]
	for n := 1; n <= 18; n++ {
		end := len(rest)
		if n < 18 {
			// The next key stands where cutting leaves a value that encodes alike.
			end = 1 + len(value(w, k, n))
		}
		items, rest = append(items, rest[:end]), rest[end:]
	}
	return items
}

func value(w wire, k keys.Private, n int) []byte {
	device := k.ID()
	return keys.Marshal([]any{
		w.V, notNil(w.Entity), w.Strand, w.Family, w.Type, notNil(w.User), device[:], w.Seq, notNil(w.Prev), w.Parents, w.Auth,
		notNil(w.Epoch), w.At, notNil(w.About), notNil(w.Body), notNil(w.Hash), w.Size,
	}[n-1])
}

func notNil(b []byte) []byte { return append([]byte{}, b...) }

// resign joins items to a map of that many pairs and signs it.
func resign(k keys.Private, items [][]byte) []byte {
	head := []byte{0xa0 | byte(len(items))}
	if len(items) > 23 {
		head = []byte{0xb8, byte(len(items))}
	}
	raw := slices.Concat(head, slices.Concat(items...))
	sig := k.Sign(keys.PurposeOp, raw[:len(raw)-sigBytes])
	copy(raw[len(raw)-64:], sig[:])
	return raw
}

// TestAttackH12: bytes that mean the same op but are not its one encoding are
// none, although they are well signed.
func TestAttackH12(t *testing.T) {
	t.Parallel()
	k := keys.FromSeed([32]byte{1})
	w := contentWire()
	good := encodings(w, k)
	if _, err := oplog.Parse(resign(k, good)); err != nil {
		t.Fatalf("the test's own encoding does not parse: %v", err)
	}
	change := func(n int, item ...byte) [][]byte {
		items := slices.Clone(good)
		items[n-1] = item
		return items
	}
	entity := id(1)
	for name, raw := range map[string][]byte{
		"v in two bytes":           resign(k, change(1, 1, 0x18, 2)),
		"a key in two bytes":       resign(k, change(1, 0x18, 1, 2)),
		"strand in three bytes":    resign(k, change(3, 3, 0x19, 0, 2)),
		"seq in five bytes":        resign(k, change(8, 8, 0x1a, 0, 0, 0, 0)),
		"seq in nine bytes":        resign(k, change(8, 8, 0x1b, 0, 0, 0, 0, 0, 0, 0, 0)),
		"a length in three bytes":  resign(k, change(2, append([]byte{2, 0x59, 0, 32}, entity...)...)),
		"a count in two bytes":     resign(k, change(10, append([]byte{10, 0x98, 1, 0x58, 32}, entity...)...)),
		"an indefinite string":     resign(k, change(2, append(append([]byte{2, 0x5f, 0x58, 32}, entity...), 0xff)...)),
		"an indefinite array":      resign(k, change(10, append(append([]byte{10, 0x9f, 0x58, 32}, entity...), 0xff)...)),
		"a tag":                    resign(k, change(1, 1, 0xc1, 2)),
		"a float":                  resign(k, change(8, 8, 0xf9, 0, 0)),
		"null for an empty id":     resign(k, change(9, 9, 0xf6)),
		"size in two bytes":        resign(k, change(17, 17, 0x18, 7)),
		"a negative size":          resign(k, change(17, 17, 0x27)),
		"an array for a string":    resign(k, change(15, 15, 0x80)),
		"a text for a string":      resign(k, change(15, 15, 0x60)),
		"null for an empty body":   resign(k, change(15, 15, 0xf6)),
		"two keys in disorder":     resign(k, append([][]byte{good[1], good[0]}, good[2:]...)),
		"a key missing":            resign(k, slices.Concat(good[:8], good[9:])),
		"a key more":               resign(k, slices.Concat([][]byte{{0, 0}}, good)),
		"a key more, last but sig": resign(k, slices.Concat(good[:17], [][]byte{append([]byte{19, 0x58, 64}, make([]byte, 64)...)})),
		"one key more, before sig": resign(k, slices.Concat(good[:17], [][]byte{{17, 0}}, good[17:])),
		"the keys of version 1":    resign(k, slices.Concat(good[:13], [][]byte{append([]byte{14}, good[14][1:]...), append([]byte{15}, good[17][1:]...)})),
		"an indefinite map":        append([]byte{0xbf}, append(bytes.Clone(resign(k, good)[1:]), 0xff)...),
		"a long head of the map":   append([]byte{0xb8, 18}, resign(k, good)[1:]...),
	} {
		if o, err := oplog.Parse(raw); !errors.Is(err, oplog.ErrFormat) || !o.IsZero() {
			t.Errorf("%s: Parse = %v, want ErrFormat", name, err)
		}
		if _, err := oplog.ParseChain([][]byte{raw}); !errors.Is(err, oplog.ErrFormat) {
			t.Errorf("%s: ParseChain = %v, want ErrFormat", name, err)
		}
	}
}

// TestAttackH11: a key that comes twice, with equal or with other values.
func TestAttackH11(t *testing.T) {
	t.Parallel()
	k := keys.FromSeed([32]byte{1})
	good := encodings(contentWire(), k)
	for n := range good {
		if n == 17 {
			continue // the signature stands last
		}
		double := slices.Insert(slices.Clone(good), n, good[n])
		if _, err := oplog.Parse(resign(k, double)); !errors.Is(err, oplog.ErrFormat) {
			t.Errorf("key %d twice: %v, want ErrFormat", n+1, err)
		}
		double[n+1] = double[n+1][:1:1]
		double[n+1] = append(double[n+1], encodings(controlWire(), k)[n][1:]...)
		if _, err := oplog.Parse(resign(k, double)); !errors.Is(err, oplog.ErrFormat) {
			t.Errorf("key %d twice with another value: %v, want ErrFormat", n+1, err)
		}
	}
}

// TestBadSignature: an op is its author's or none, whatever else is right.
func TestBadSignature(t *testing.T) {
	t.Parallel()
	k, other := keys.FromSeed([32]byte{1}), keys.FromSeed([32]byte{2})
	me := k.ID()
	for name, w := range wires() {
		raw := w.sign(k)
		forged := w
		forged.Device = me[:]
		purpose := bytes.Clone(raw)
		sig := k.Sign(keys.PurposeVote, raw[:len(raw)-sigBytes])
		copy(purpose[len(raw)-64:], sig[:])
		whole := bytes.Clone(raw)
		sig = k.Sign(keys.PurposeOp, raw)
		copy(whole[len(raw)-64:], sig[:])
		zero := bytes.Clone(raw)
		clear(zero[len(raw)-64:])
		for what, b := range map[string][]byte{
			"by another key": forged.sign(other), "for another purpose": purpose, "of other bytes": whole, "of zeros": zero,
		} {
			if o, err := oplog.Parse(b); !errors.Is(err, oplog.ErrSignature) || !o.IsZero() {
				t.Errorf("%s: a signature %s: %v, want ErrSignature", name, what, err)
			}
		}
	}
}

// TestParseChain: one signature and the hashes carry a chain.
func TestParseChain(t *testing.T) {
	t.Parallel()
	k := keys.FromSeed([32]byte{1})
	raws := contentChain(t, 6)
	ops, err := oplog.ParseChain(raws)
	if err != nil || len(ops) != len(raws) {
		t.Fatalf("ParseChain of %d = %d, %v", len(raws), len(ops), err)
	}
	for i, o := range ops {
		want, err := oplog.Parse(raws[i])
		if err != nil || o.ID() != want.ID() || !bytes.Equal(o.Envelope(), raws[i]) {
			t.Errorf("op %d of the chain: %v, or not what Parse makes of it", i, err)
		}
	}
	if ops, err := oplog.ParseChain(nil); err != nil || len(ops) != 0 {
		t.Errorf("ParseChain of nothing = %d, %v", len(ops), err)
	}
	if _, err := oplog.ParseChain(raws[2:4]); err != nil {
		t.Errorf("ParseChain of the middle: %v", err)
	}

	replace := func(i int, raw []byte) [][]byte {
		r := slices.Clone(raws)
		r[i] = raw
		return r
	}
	badSig := func(i int) []byte {
		raw := bytes.Clone(raws[i])
		raw[len(raw)-1] ^= 1
		return raw
	}
	next := func(change func(*oplog.Draft)) []byte { // a last op, changed, well signed
		d := oplog.Draft{
			Entity: keys.Digest{1}, User: keys.Digest{2}, Strand: oplog.Content, Family: oplog.FamilyMessage, Type: 1,
			Seq: 6, Prev: ops[5].ID(), Parents: []keys.Digest{ops[5].ID()}, Auth: []keys.Digest{{3}}, At: time.UnixMilli(1),
		}
		change(&d)
		o, err := oplog.Sign(k, d)
		if err != nil {
			t.Fatalf("Sign: %v", err)
		}
		return o.Envelope()
	}
	stranger, err := oplog.Sign(keys.FromSeed([32]byte{2}), oplog.Draft{
		Entity: keys.Digest{1}, User: keys.Digest{2}, Strand: oplog.Content, Family: oplog.FamilyMessage, Type: 1,
		Seq: 6, Prev: ops[5].ID(), Parents: []keys.Digest{ops[5].ID()}, Auth: []keys.Digest{{3}},
	})
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	extend := func(raw []byte) [][]byte { return append(slices.Clone(raws), raw) }
	if _, err := oplog.ParseChain(extend(next(func(*oplog.Draft) {}))); err != nil {
		t.Fatalf("the test's own next op: %v", err)
	}
	control, err := oplog.Sign(k, oplog.Draft{Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: 1})
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	for _, c := range []struct {
		name string
		raws [][]byte
		want error
	}{
		{"a bad signature at the end", replace(5, badSig(5)), oplog.ErrSignature},
		{"a bad signature in the middle", replace(3, badSig(3)), oplog.ErrChain}, // another id
		{"a bad signature at the beginning", replace(0, badSig(0)), oplog.ErrChain},
		{"a hole", slices.Delete(slices.Clone(raws), 2, 3), oplog.ErrChain},
		{"two in disorder", replace(2, raws[3]), oplog.ErrChain},
		{"one twice", slices.Insert(slices.Clone(raws), 2, raws[2]), oplog.ErrChain},
		{"newest first", [][]byte{raws[1], raws[0]}, oplog.ErrChain},
		{"garbage in the middle", replace(3, []byte("garbage")), oplog.ErrFormat},
		{"a newer op in the middle", replace(3, newer(raws[3])), oplog.ErrVersion},
		{"nothing in the middle", replace(3, nil), oplog.ErrFormat},
		{"one too large in the middle", replace(3, make([]byte, oplog.MaxControl+1)), oplog.ErrTooLarge},
		{"one of a longer envelope in the middle", replace(3, with(bareWire(), func(w *wire) { w.Body = make([]byte, 4<<10) }).sign(k)), oplog.ErrTooLarge},
		{"a control op", [][]byte{control.Envelope()}, oplog.ErrChain},
		{"another device's op", extend(stranger.Envelope()), oplog.ErrChain},
		{"another prev", extend(next(func(d *oplog.Draft) { d.Prev = ops[4].ID() })), oplog.ErrChain},
		{"a seq too high", extend(next(func(d *oplog.Draft) { d.Seq = 7 })), oplog.ErrChain},
		{"a seq too low", extend(next(func(d *oplog.Draft) { d.Seq = 5 })), oplog.ErrChain},
		{"another entity", extend(next(func(d *oplog.Draft) { d.Entity = keys.Digest{9} })), oplog.ErrChain},
	} {
		got, err := oplog.ParseChain(c.raws)
		if !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: ParseChain = %d ops, %v, want %v", c.name, len(got), err, c.want)
		}
	}
}

// TestParseChainCarriesBadSignature: an op whose own signature is bad is authentic
// if an authentic op of the same device names it (docs/PROTOCOL.md §2.3). Alone
// it is none.
func TestParseChainCarriesBadSignature(t *testing.T) {
	t.Parallel()
	k := keys.FromSeed([32]byte{1})
	first := contentWire().sign(k)
	first[len(first)-1] ^= 1
	if _, err := oplog.Parse(first); !errors.Is(err, oplog.ErrSignature) {
		t.Fatalf("Parse of a bad signature: %v", err)
	}
	firstID := sum(first)
	second := with(contentWire(), func(w *wire) { w.Seq, w.Prev = 1, firstID[:] }).sign(k)
	if ops, err := oplog.ParseChain([][]byte{first, second}); err != nil || len(ops) != 2 {
		t.Errorf("ParseChain = %d ops, %v, want both", len(ops), err)
	}
	if _, err := oplog.ParseChain([][]byte{first}); !errors.Is(err, oplog.ErrSignature) {
		t.Errorf("ParseChain of the first alone: %v, want ErrSignature", err)
	}
}

// TestErrorsSayNothingSecret: an error names ids, not bodies.
func TestErrorsSayNothingSecret(t *testing.T) {
	t.Parallel()
	private := []byte("a private text")
	w := sealedWire(private)
	o, err := oplog.Parse(w.sign(keys.FromSeed([32]byte{1})))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	w.Body = private
	_, inside := oplog.Parse(w.sign(keys.FromSeed([32]byte{1})))
	_, other := o.WithBody(append(private, '!'))
	for what, err := range map[string]error{"inside": inside, "another body": other} {
		if err == nil || strings.Contains(err.Error(), "private text") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func newer(raw []byte) []byte {
	raw = bytes.Clone(raw)
	raw[2] = 3
	return raw
}
