package oplog_test

import (
	"bytes"
	"encoding/binary"
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
	for _, w := range wires() {
		f.Add(w.sign(k))
	}
	for _, raw := range [][]byte{nil, {0xb2}, {0xb2, 1, 3}, bytes.Repeat([]byte{0xff}, 16)} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := oplog.Parse(raw)
		if err != nil {
			if !o.IsZero() {
				t.Fatalf("an op with the error %v", err)
			}
			// The signature is what the fuzzer cannot find: sign what it made.
			if len(raw) > sigBytes {
				raw = bytes.Clone(raw)
				sig := k.Sign(keys.PurposeOp, raw[:len(raw)-sigBytes])
				copy(raw[len(raw)-64:], sig[:])
				o, err = oplog.Parse(raw)
			}
			if err != nil {
				return
			}
		}
		if !bytes.Equal(o.Envelope(), raw) || o.ID() != sum(raw) {
			t.Fatalf("Parse(%x).Envelope() = %x", raw, o.Envelope())
		}
		again, err := oplog.Parse(o.Envelope())
		if err != nil || again.ID() != o.ID() || again.Entity() != o.Entity() || again.Seq() != o.Seq() {
			t.Fatalf("Parse again = %v, or another op", err)
		}
		if end := raw[:len(raw)-sigBytes]; o.Strand() == oplog.Control {
			if !bytes.HasSuffix(end, slices.Concat(o.Control(), []byte{16, 0x40, 17, 0})) {
				t.Fatalf("%x is no body of the control op %x", o.Control(), raw)
			}
		} else if n := len(o.AAD()); !bytes.HasPrefix(end, o.AAD()) || !bytes.HasPrefix(end[n:], []byte{15, 0x40, 16}) {
			t.Fatalf("%x is not what comes before the body of %x", o.AAD(), raw)
		}
		if len(o.Parents()) > oplog.MaxParents || len(o.Auth()) > oplog.MaxParents {
			t.Fatalf("%x breaks the rules of the envelope", raw)
		}
		if o.Strand() == oplog.Content {
			if ops, err := oplog.ParseChain([][]byte{raw}); err != nil || ops[0].ID() != o.ID() {
				t.Fatalf("ParseChain of one = %v", err)
			}
		}
		_, _ = oplog.NewLog(o.Entity()).Append(o) // must not panic or take long
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
			raws = append(raws, o.Envelope())
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
			if !bytes.Equal(o.Envelope(), raws[i]) || o.Strand() != oplog.Content {
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

// FuzzParseBatch: of whatever comes, what is taken is what came, with the body that its
// envelope names or none, and either verifies or is named by one that does.
func FuzzParseBatch(f *testing.F) {
	d := oplogtest.Draw(f, "A0 -> A1\na0 -> a1 -> a2\na0 -> a1'\nb0")
	for _, names := range []string{"A0 A1", "a0 a1 a2", "a0 a1 a1'", "b0 a2 a1 a0"} {
		var batch []oplog.Pair
		for i, o := range d.Ops(names) {
			p := o.Pair()
			switch i % 3 {
			case 1:
				p.Body = nil
			case 2:
				p.Envelope = flip(p.Envelope)
			}
			batch = append(batch, p)
		}
		f.Add(keys.Marshal(batch))
	}
	first := d.Op("a0").Pair()
	f.Add(keys.Marshal([]oplog.Pair{{Envelope: first.Envelope, Body: []byte("other")}, {Envelope: d.Op("A0").Envelope(), Body: []byte("A0")}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var batch []oplog.Pair
		if keys.Unmarshal(b, &batch) != nil {
			return
		}
		ops := oplog.ParseBatch(oplog.HashAll(batch))
		named, i := make(map[keys.Digest]bool), 0
		for _, o := range ops {
			named[o.Prev()] = true
			for i < len(batch) && !bytes.Equal(batch[i].Envelope, o.Envelope()) {
				i++
			}
			if i == len(batch) {
				t.Fatalf("%v did not come, or not in this order", o.ID())
			}
			if !bytes.Equal(batch[i].Body, o.Body()) || len(o.Body()) > 0 && (sum(o.Body()) != hashOf(t, o) || len(o.Body()) != o.Size()) {
				t.Fatalf("%v has the body %x, came with %x", o.ID(), o.Body(), batch[i].Body)
			}
			i++
		}
		for _, o := range ops {
			_, err := oplog.Parse(o.Envelope())
			if o.Signed() != (err == nil) || err != nil && !named[o.ID()] {
				t.Fatalf("%v: signed %v, named %v, Parse: %v", o.ID(), o.Signed(), named[o.ID()], err)
			}
		}
	})
}

// hashOf returns the hash of a body as an envelope says it.
func hashOf(t *testing.T, o oplog.Op) keys.Digest {
	t.Helper()
	var w wire
	if err := keys.Unmarshal(o.Envelope(), &w); err != nil || len(w.Hash) != 32 {
		t.Fatalf("%v: %v, or no hash", o.ID(), err)
	}
	return keys.Digest(w.Hash)
}
