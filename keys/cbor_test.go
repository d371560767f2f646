package keys_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pttnode/keys"
)

// small is the shape of the hand-written encodings below.
type small struct {
	N uint64   `cbor:"1,keyasint"`
	A [4]byte  `cbor:"2,keyasint"`
	L []uint64 `cbor:"3,keyasint"`
}

// sample has every kind of field that the messages of this project have.
type sample struct {
	Version uint64        `cbor:"1,keyasint"`
	Who     keys.ID       `cbor:"2,keyasint"`
	Heads   []keys.Digest `cbor:"3,keyasint"`
	Name    string        `cbor:"4,keyasint,omitempty"`
	Sealed  []byte        `cbor:"5,keyasint,omitempty"`
	Delta   int64         `cbor:"6,keyasint,omitempty"`
	Flag    bool          `cbor:"7,keyasint,omitempty"`
	Pair    *pair         `cbor:"8,keyasint,omitempty"`
	Rest    []pair        `cbor:"24,keyasint,omitempty"` // a key of two bytes
}

type pair struct {
	_  struct{} `cbor:",toarray"`
	ID [16]byte
	At uint64
}

func samples() []sample {
	return []sample{
		{},
		{Version: 1, Who: count(0), Heads: []keys.Digest{count(1), count(2)}, Name: "Ada", Sealed: []byte{1}, Delta: -5, Flag: true},
		{Version: math.MaxUint64, Delta: math.MinInt64, Pair: &pair{}},
		{Heads: make([]keys.Digest, 300), Name: strings.Repeat("å", 200), Rest: []pair{{At: 1}, {ID: [16]byte{1}, At: 1 << 32}}},
		{Version: 23, Delta: 24, Rest: make([]pair, 24)},
	}
}

func TestCBORRoundTrip(t *testing.T) {
	t.Parallel()
	for _, want := range samples() {
		b := keys.Marshal(want)
		var got sample
		if err := keys.Unmarshal(b, &got); err != nil {
			t.Errorf("Unmarshal(Marshal(%+v)) = %v", want, err)
			continue
		}
		if len(want.Heads) == 0 {
			want.Heads = got.Heads // nil and empty have one encoding
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b pair) bool { return a == b })); diff != "" {
			t.Errorf("Unmarshal(Marshal(v)) differs (-want +got):\n%s", diff)
		}
		if again := keys.Marshal(got); !bytes.Equal(again, b) {
			t.Errorf("Marshal of %+v twice = %x, then %x", want, b, again)
		}
		if behind := keys.Append([]byte("before"), got); !bytes.Equal(behind, append([]byte("before"), b...)) {
			t.Errorf("Append of %+v = %x, want it behind what was there", got, behind)
		}
	}
}

func TestCBORForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   any
		want string
	}{
		{small{N: 5, A: [4]byte{1, 2, 3, 4}, L: []uint64{1, 2}}, "a3 01 05 02 44 01020304 03 82 01 02"},
		{small{N: 24}, "a3 01 1818 02 44 00000000 03 80"},
		{pair{At: 256}, "82 50 00000000000000000000000000000000 190100"},
		{map[uint64]bool{300: true, 1: false}, "a2 01 f4 19012c f5"},
		{keys.Digest(count(0)), "5820 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
	} {
		want := strings.ReplaceAll(c.want, " ", "")
		if got := hex.EncodeToString(keys.Marshal(c.in)); got != want {
			t.Errorf("Marshal(%+v) = %s, want %s", c.in, got, want)
		}
	}
	mustPanic(t, "Marshal of a func", func() { keys.Marshal(func() {}) })
}

func TestCBORStrict(t *testing.T) {
	t.Parallel()
	const good = "a3 01 05 02 44 01020304 03 82 01 02"
	decode := func(text string) error {
		b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
		if err != nil {
			t.Fatalf("the test's own %q: %v", text, err)
		}
		var v small
		return keys.Unmarshal(b, &v)
	}
	if err := decode(good); err != nil {
		t.Fatalf("Unmarshal(%s) = %v, want nil", good, err)
	}
	for _, c := range []struct{ name, in string }{
		{"nothing", ""},
		{"duplicate key", "a4 01 05 01 05 02 44 01020304 03 82 01 02"},
		{"duplicate key, last", "a4 01 05 02 44 01020304 03 82 01 02 03 82 01 02"},
		{"unknown key", "a4 01 05 02 44 01020304 03 82 01 02 04 00"},
		{"unknown text key", "a4 01 05 02 44 01020304 03 82 01 02 61 41 00"},
		{"key as text", "a3 61 4e 05 02 44 01020304 03 82 01 02"},
		{"key missing", "a2 01 05 02 44 01020304"},
		{"empty map", "a0"},
		{"keys out of order", "a3 02 44 01020304 01 05 03 82 01 02"},
		{"non-minimal int, 1 byte", "a3 01 1805 02 44 01020304 03 82 01 02"},
		{"non-minimal int, 2 bytes", "a3 01 190005 02 44 01020304 03 82 01 02"},
		{"non-minimal int, 4 bytes", "a3 01 1a00000005 02 44 01020304 03 82 01 02"},
		{"non-minimal int, 8 bytes", "a3 01 1b0000000000000005 02 44 01020304 03 82 01 02"},
		{"non-minimal key", "a3 1801 05 02 44 01020304 03 82 01 02"},
		{"non-minimal map length", "b803 01 05 02 44 01020304 03 82 01 02"},
		{"non-minimal byte string length", "a3 01 05 02 5804 01020304 03 82 01 02"},
		{"non-minimal array length", "a3 01 05 02 44 01020304 03 9802 01 02"},
		{"indefinite map", "bf 01 05 02 44 01020304 03 82 01 02 ff"},
		{"indefinite array", "a3 01 05 02 44 01020304 03 9f 01 02 ff"},
		{"indefinite byte string", "a3 01 05 02 5f 44 01020304 ff 03 82 01 02"},
		{"tag around all", "d9d9f7 a3 01 05 02 44 01020304 03 82 01 02"},
		{"tag on a value", "a3 01 c1 05 02 44 01020304 03 82 01 02"},
		{"bignum", "a3 01 c2 41 05 02 44 01020304 03 82 01 02"},
		{"trailing byte", good + "00"},
		{"trailing break", good + "ff"},
		{"twice", good + good},
		{"float", "a3 01 f94500 02 44 01020304 03 82 01 02"},
		{"float of 64 bits", "a3 01 fb4014000000000000 02 44 01020304 03 82 01 02"},
		{"float in an array", "a3 01 05 02 44 01020304 03 82 01 f94000"},
		{"negative for unsigned", "a3 01 24 02 44 01020304 03 82 01 02"},
		{"true for a number", "a3 01 f5 02 44 01020304 03 82 01 02"},
		{"null for a number", "a3 01 f6 02 44 01020304 03 82 01 02"},
		{"null for an array", "a3 01 05 02 44 01020304 03 f6"},
		{"undefined for an array", "a3 01 05 02 44 01020304 03 f7"},
		{"null for a fixed array", "a3 01 05 02 f6 03 82 01 02"},
		{"null for all", "f6"},
		{"short byte string", "a3 01 05 02 43 010203 03 82 01 02"},
		{"empty byte string", "a3 01 05 02 40 03 82 01 02"},
		{"long byte string", "a3 01 05 02 45 0102030405 03 82 01 02"},
		{"text for bytes", "a3 01 05 02 64 61626364 03 82 01 02"},
		{"array of numbers for bytes", "a3 01 05 02 84 01020304 03 82 01 02"},
		{"byte string for an array", "a3 01 05 02 44 01020304 03 42 0102"},
		{"array for the map", "83 05 44 01020304 82 01 02"},
		{"promised array of 2^31", "a3 01 05 02 44 01020304 03 9a80000000"},
		{"promised byte string of 2^63", "a3 01 05 02 5b8000000000000000"},
		{"promised map of 2^32", "ba ffffffff"},
		{"deep nesting", strings.Repeat("81", 10_000) + "00"},
		{"reserved additional information", "a3 01 1c 02 44 01020304 03 82 01 02"},
		{"break alone", "ff"},
	} {
		if err := decode(c.in); !errors.Is(err, keys.ErrEncoding) {
			t.Errorf("%s: Unmarshal(%.80s) = %v, want ErrEncoding", c.name, c.in, err)
		}
	}
	whole := strings.ReplaceAll(good, " ", "")
	for i := 0; i < len(whole); i += 2 {
		if err := decode(whole[:i]); !errors.Is(err, keys.ErrEncoding) {
			t.Errorf("first %d bytes: Unmarshal(%s) = %v, want ErrEncoding", i/2, whole[:i], err)
		}
	}
}

func TestCBORStrictText(t *testing.T) {
	t.Parallel()
	for name, in := range map[string][]byte{
		"text that is not UTF-8":     {0xa1, 0x01, 0x62, 0xc3, 0x28},
		"empty text for an omitted":  {0xa1, 0x01, 0x60},
		"byte string for text":       {0xa1, 0x01, 0x41, 0x61},
		"null for text":              {0xa1, 0x01, 0xf6},
		"non-minimal length of text": {0xa1, 0x01, 0x78, 0x01, 0x61},
	} {
		var v struct {
			Name string `cbor:"1,keyasint,omitempty"`
		}
		if err := keys.Unmarshal(in, &v); !errors.Is(err, keys.ErrEncoding) {
			t.Errorf("%s: Unmarshal(%x) = %v, want ErrEncoding", name, in, err)
		}
	}
}

// FuzzUnmarshal: whatever decodes encodes to the same bytes.
func FuzzUnmarshal(f *testing.F) {
	for _, s := range samples() {
		b := keys.Marshal(s)
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Add([]byte{0xf6})
	f.Add([]byte{0xbf, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var v sample
		if err := keys.Unmarshal(b, &v); err != nil {
			if !errors.Is(err, keys.ErrEncoding) {
				t.Fatalf("Unmarshal(%x) = %v, want ErrEncoding or nil", b, err)
			}
			return
		}
		if again := keys.Marshal(v); !bytes.Equal(again, b) {
			t.Fatalf("Unmarshal(%x) encodes to %x", b, again)
		}
		// Any value that was decoded is again a value that can be sent.
		var w sample
		if err := keys.Unmarshal(keys.Marshal(&v), &w); err != nil {
			t.Fatalf("Unmarshal of Marshal of what %x decodes to: %v", b, err)
		}
	})
}
