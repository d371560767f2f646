package oplog_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// FuzzParse: what parses is what was given, byte for byte, and parses again to the
// same.
func FuzzParse(f *testing.F) {
	k := keys.FromSeed([32]byte{1})
	for _, w := range []wire{genesisWire(), controlWire(), contentWire(), resetWire()} {
		f.Add(w.sign(k))
	}
	for _, raw := range [][]byte{nil, {0xaf}, {0xaf, 1, 2}, bytes.Repeat([]byte{0xff}, 16)} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := oplog.Parse(raw)
		if err != nil {
			if !o.IsZero() {
				t.Fatalf("an op with the error %v", err)
			}
			// The signature is what the fuzzer cannot find: sign what it made.
			if len(raw) > 67 {
				raw = bytes.Clone(raw)
				sig := k.Sign(keys.PurposeOp, raw[:len(raw)-67])
				copy(raw[len(raw)-64:], sig[:])
				o, err = oplog.Parse(raw)
			}
			if err != nil {
				return
			}
		}
		if !bytes.Equal(o.Bytes(), raw) || o.ID() != sum(raw) {
			t.Fatalf("Parse(%x).Bytes() = %x", raw, o.Bytes())
		}
		again, err := oplog.Parse(o.Bytes())
		if err != nil || again.ID() != o.ID() || again.Entity() != o.Entity() || again.Seq() != o.Seq() {
			t.Fatalf("Parse again = %v, or another op", err)
		}
		if !bytes.HasPrefix(raw, o.AAD()) || len(o.Parents()) > oplog.MaxParents || len(o.Auth()) > oplog.MaxParents {
			t.Fatalf("%x breaks the rules of the envelope", raw)
		}
		if o.Strand() == oplog.Content {
			if ops, err := oplog.ParseChain([][]byte{raw}); err != nil || ops[0].ID() != o.ID() {
				t.Fatalf("ParseChain of one = %v", err)
			}
		}
		oplog.NewLog(o.Entity()).AppendAll([]oplog.Op{o}) // must not panic or take long
	})
}

// FuzzParseChain: what ParseChain takes follows one another, and the last verifies.
func FuzzParseChain(f *testing.F) {
	join := func(raws ...[]byte) (b []byte) {
		for _, raw := range raws {
			b = binary.BigEndian.AppendUint16(b, uint16(len(raw)))
			b = append(b, raw...)
		}
		return b
	}
	chain := contentChain(f, 3)
	f.Add(join(chain...))
	f.Add(join(chain[0], chain[2]))
	f.Add(join(chain[1], chain[0]))
	d := oplogtest.Draw(f, "A0 -> A1\na0 -> a1 -> a2\na0 -> a1'")
	for _, names := range []string{"a0 a1 a2", "a0 a1'", "A0 A1", "a1 a1'"} {
		var raws [][]byte
		for _, o := range d.Ops(names) {
			raws = append(raws, o.Bytes())
		}
		f.Add(join(raws...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var raws [][]byte
		for len(b) >= 2 {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			raws, b = append(raws, b[2:2+n]), b[2+n:]
		}
		ops, err := oplog.ParseChain(raws)
		if err != nil {
			if ops != nil {
				t.Fatalf("ops with the error %v", err)
			}
			return
		}
		for i, o := range ops {
			if !bytes.Equal(o.Bytes(), raws[i]) || o.Strand() != oplog.Content {
				t.Fatalf("op %d is not what was given", i)
			}
			if i > 0 && (o.Prev() != ops[i-1].ID() || o.Device() != ops[i-1].Device() || o.Seq() != ops[i-1].Seq()+1) {
				t.Fatalf("op %d does not follow the one before", i)
			}
		}
		if len(ops) > 0 {
			if _, err := oplog.Parse(raws[len(raws)-1]); err != nil {
				t.Fatalf("the last op of a chain does not verify: %v", err)
			}
		}
	})
}

// FuzzStub: what is taken for a stub's envelope is that of just the bytes given, and would be
// well-formed with a body behind it; what is not would not be.
func FuzzStub(f *testing.F) {
	for _, w := range []wire{contentWire(), longestWire(), controlWire(), genesisWire(), resetWire()} {
		f.Add(envelopeOf(w))
	}
	for _, envelope := range [][]byte{nil, {0xaf}, {0xaf, 1, 1}, contentWire().sign(keys.FromSeed([32]byte{1})), bytes.Repeat([]byte{0xff}, 16)} {
		f.Add(envelope)
	}
	f.Fuzz(func(t *testing.T, envelope []byte) {
		s := oplog.Stub{ID: digest(7), Envelope: envelope}
		o, err := s.Op(digest(8))
		// With no body and a signature of zeros, Parse finds nothing else bad.
		raw := append(slices.Concat(envelope, []byte{14, 0x40, 15, 0x58, 64}), make([]byte, 64)...)
		_, whole := oplog.Parse(raw)
		var w wire
		well := (whole == nil || errors.Is(whole, oplog.ErrSignature)) && keys.Unmarshal(raw, &w) == nil && w.Strand == uint64(oplog.Content)
		if well != (err == nil) {
			t.Fatalf("the stub of %x: %v; with a body, Parse: %v", envelope, err, whole)
		}
		if err != nil {
			if !o.IsZero() || !errors.Is(err, oplog.ErrFormat) && !errors.Is(err, oplog.ErrTooLarge) {
				t.Fatalf("an op %v with the error %v", !o.IsZero(), err)
			}
			return
		}
		if !bytes.Equal(o.AAD(), envelope) || o.ID() != digest(7) || o.DroppedBy() != digest(8) || o.Body() != nil || o.Bytes() != nil {
			t.Fatalf("the stub of %x is an op with the envelope %x, id %v, dropped by %v", envelope, o.AAD(), o.ID(), o.DroppedBy())
		}
		if !bytes.Equal(keys.Marshal(oplog.StubOf(o)), keys.Marshal(s)) {
			t.Fatalf("the stub of %x is %x again", envelope, oplog.StubOf(o).Envelope)
		}
		entity, user, prev, epoch, device := o.Entity(), o.User(), o.Prev(), o.Epoch(), o.Device()
		for i, got := range [][2][]byte{
			{entity[:], w.Entity}, {user[:], w.User}, {epoch[:], w.Epoch}, {device[:], w.Device}, {prev[:], append(w.Prev, make([]byte, 32)...)[:32]},
		} {
			if !bytes.Equal(got[0], got[1]) {
				t.Fatalf("field %d of %x is %x, want %x", i, envelope, got[0], got[1])
			}
		}
		oplog.NewLog(o.Entity()).AppendAll([]oplog.Op{o}) // must not panic or take long
	})
}
