package oplog

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"pttnode/keys"
)

// samples are well-formed envelopes of every length of head.
func samples(tb testing.TB) (raws [][]byte) {
	tb.Helper()
	k := keys.FromSeed([32]byte{7})
	for _, n := range []int{0, 1, 23, 24, 255, 256, 65_535, 65_536} { // bytes of the body
		for i, parents := range [][]keys.Digest{nil, {{1}}, {{1}, {2}, {3}}} {
			d := Draft{
				Entity: keys.Digest{9}, User: keys.Digest{8}, Strand: Content, Family: FamilyArticle, Type: uint16(n),
				Seq: uint64(i), Parents: parents, Auth: []keys.Digest{{4}}, Epoch: keys.Digest{5}, At: time.UnixMilli(int64(n) << 20), Body: make([]byte, n),
			}
			if i > 0 {
				d.Prev, d.About = keys.Digest{6}, keys.Digest{7}
			}
			if n == 0 {
				d.Epoch = keys.Digest{}
			}
			o, err := Sign(k, d)
			if err != nil {
				tb.Fatalf("Sign a body of %d bytes: %v", n, err)
			}
			raws = append(raws, o.Envelope())
		}
	}
	for _, n := range []int{0, 1, 23, 24, 255, 256, 65_000} {
		o, err := Sign(k, Draft{Strand: Control, Family: FamilyGenesis, Type: 1, Body: make([]byte, n)})
		if err != nil {
			tb.Fatalf("Sign a genesis with %d bytes: %v", n, err)
		}
		raws = append(raws, o.Envelope())
	}
	return raws
}

// checkSameAsCodec compares unmarshal with the codec it stands in for.
func checkSameAsCodec(tb testing.TB, raw []byte) {
	tb.Helper()
	var want envelope
	codec := keys.Unmarshal(raw, &want)
	got, err := unmarshal(raw)
	if (err == nil) != (codec == nil) {
		tb.Fatalf("unmarshal(%x) = %v, but the codec says %v", raw, err, codec)
	}
	if err == nil && (!bytes.Equal(keys.Marshal(got), raw) || !bytes.Equal(keys.Marshal(want), raw)) {
		tb.Fatalf("unmarshal(%x) = %+v, the codec: %+v", raw, got, want)
	}
}

func TestUnmarshal(t *testing.T) {
	t.Parallel()
	for n, raw := range samples(t) {
		checkSameAsCodec(t, raw)
		e, err := unmarshal(raw)
		if err != nil || !bytes.Equal(keys.Marshal(e), raw) {
			t.Errorf("unmarshal of %d bytes: %v, or it encodes to others", len(raw), err)
		}
		if n%5 != 0 || len(raw) > 700 {
			continue
		}
		for i := range raw {
			checkSameAsCodec(t, raw[:i])
			for bit := range 8 {
				changed := bytes.Clone(raw)
				changed[i] ^= 1 << bit
				checkSameAsCodec(t, changed)
			}
		}
	}
}

// TestUnmarshalHeads tries every number around the bounds of each form of a head
// at the place of every value.
func TestUnmarshalHeads(t *testing.T) {
	t.Parallel()
	raw := samples(t)[4]
	for i := range raw {
		if i > 0 && raw[i-1] == raw[i] {
			continue // inside an id of this test
		}
		for major := range byte(8) {
			for _, n := range []uint64{0, 23, 24, 32, 255, 256, 65_535, 65_536, 1<<32 - 1, 1 << 32, 1<<64 - 1} {
				for _, head := range [][]byte{
					{major<<5 | byte(n&0x1f)},
					{major<<5 | 24, byte(n)},
					binary.BigEndian.AppendUint16([]byte{major<<5 | 25}, uint16(n)),
					binary.BigEndian.AppendUint32([]byte{major<<5 | 26}, uint32(n)),
					binary.BigEndian.AppendUint64([]byte{major<<5 | 27}, n),
				} {
					checkSameAsCodec(t, append(append(bytes.Clone(raw[:i]), head...), raw[i+1:]...))
				}
			}
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, raw := range samples(f) {
		if len(raw) < 2000 {
			f.Add(raw)
		}
	}
	f.Add([]byte{0xb2, 1, 2})
	f.Fuzz(func(t *testing.T, raw []byte) { checkSameAsCodec(t, raw) })
}
