package keys_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"pttnode/keys"
)

// count returns 32 bytes that count up from first: inputs of the pinned values,
// which were computed by another program from docs/PROTOCOL.md alone.
func count(first byte) (b [32]byte) {
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func unhex(s string) (b [32]byte) {
	if n, err := hex.Decode(b[:], []byte(s)); err != nil || n != 32 {
		panic("unhex " + s)
	}
	return b
}

func TestLP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		parts []string
		want  string
	}{
		{nil, ""},
		{[]string{""}, "\x00\x00\x00\x00"},
		{[]string{"ab", "c"}, "\x00\x00\x00\x02ab\x00\x00\x00\x01c"},
		{[]string{"a", "bc"}, "\x00\x00\x00\x01a\x00\x00\x00\x02bc"},
		{[]string{strings.Repeat("x", 258)}, "\x00\x00\x01\x02" + strings.Repeat("x", 258)},
	} {
		var parts [][]byte
		for _, p := range c.parts {
			parts = append(parts, []byte(p))
		}
		if got := string(keys.LP(parts...)); got != c.want {
			t.Errorf("LP(%q) = %q, want %q", c.parts, got, c.want)
		}
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	e, p, k := count(0), count(32), count(64)
	want := keys.Digest(unhex("f9243959f2322cbd14c3dd533d605d88dbbb637692062dfde088e2075f94e701"))
	if got := keys.Hash(keys.LabelKey, e[:], k[:]); got != want {
		t.Errorf("Hash(LabelKey, %x, %x) = %x, want %x", e, k, got, want)
	}
	want = keys.Digest(unhex("ba5fa2b32e3bdb848cc57fb8b7a6eb910c8f3ea1d5fd6fd168ddd7fd15c170d5"))
	if got := keys.HashUnlabelled(e[:], p[:]); got != want {
		t.Errorf("HashUnlabelled(%x, %x) = %x, want %x", e, p, got, want)
	}
	long := bytes.Repeat([]byte{1}, 1000) // longer than the buffer on the stack
	for n := range len(long) {
		parts := [][]byte{[]byte(keys.LabelKey), long[:n], p[:], long}
		want := keys.Digest(sha256.Sum256(keys.LP(parts...)))
		if got := keys.Hash(keys.LabelKey, parts[1:]...); got != want {
			t.Fatalf("Hash of %d bytes = %v, want that of their LP, %v", n, got, want)
		}
		if got := keys.HashUnlabelled(parts[:2]...); got != keys.Digest(sha256.Sum256(keys.LP(parts[:2]...))) {
			t.Fatalf("HashUnlabelled of %d bytes = %v, want that of their LP", n, got)
		}
	}
	seen := map[keys.Digest]string{}
	for name, d := range map[string]keys.Digest{
		"label":        keys.Hash(keys.LabelJoin, e[:], k[:]),
		"other label":  keys.Hash(keys.LabelKey, e[:], k[:]),
		"other order":  keys.Hash(keys.LabelKey, k[:], e[:]),
		"other split":  keys.Hash(keys.LabelKey, e[:31], append([]byte{e[31]}, k[:]...)),
		"one part":     keys.Hash(keys.LabelKey, append(e[:], k[:]...)),
		"empty part":   keys.Hash(keys.LabelKey, e[:], k[:], nil),
		"without":      keys.Hash(keys.LabelKey, e[:]),
		"label only":   keys.Hash(keys.LabelKey),
		"nothing":      keys.HashUnlabelled(),
		"unlabelled":   keys.HashUnlabelled(e[:], k[:]),
		"label inside": keys.Hash("", []byte(keys.LabelKey), e[:], k[:]),
	} {
		if before, ok := seen[d]; ok {
			t.Errorf("Hash of %q and of %q are the same: %v", name, before, d)
		}
		seen[d] = name
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}$`)
	seen := map[string]bool{}
	for i := range 1000 {
		user := keys.HashUnlabelled([]byte{byte(i), byte(i >> 8)})
		got := keys.Fingerprint(user)
		if !form.MatchString(got) || seen[got] {
			t.Fatalf("Fingerprint(%v) = %q, want a new one of the form %v", user, got, form)
		}
		seen[got] = true
	}
	if got, want := keys.Fingerprint(count(0)), "trgp-5sgt-24ey-4xas"; got != want {
		t.Errorf("Fingerprint(%x) = %q, want %q", count(0), got, want)
	}
}

func TestTextForms(t *testing.T) {
	t.Parallel()
	const of0 = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"
	for in, want := range map[[32]byte]string{
		count(0):       of0,
		{}:             strings.Repeat("a", 52),
		[32]byte(ff()): strings.Repeat("7", 51) + "q",
		count(0x9d):    "",
	} {
		d, id := keys.Digest(in), keys.ID(in)
		if got := d.String(); want != "" && got != want || id.String() != got || len(got) != 52 {
			t.Errorf("String of %x: Digest %q, ID %q, want %q", in, got, id, want)
		}
		if got, err := keys.ParseDigest(d.String()); err != nil || got != d {
			t.Errorf("ParseDigest(%q) = %v, %v, want %v", d, got, err, d)
		}
		if got, err := keys.ParseID(id.String()); err != nil || got != id {
			t.Errorf("ParseID(%q) = %v, %v, want %v", id, got, err, id)
		}
		type both struct {
			D keys.Digest
			I keys.ID
			M map[keys.ID]keys.Digest
		}
		js, err := json.Marshal(both{d, id, map[keys.ID]keys.Digest{id: d}})
		var got both
		if err == nil {
			err = json.Unmarshal(js, &got)
		}
		if err != nil || got.D != d || got.I != id || got.M[id] != d {
			t.Errorf("JSON of %x: %s came back as %+v, %v", in, js, got, err)
		}
	}
}

func ff() []byte { return bytes.Repeat([]byte{0xff}, 32) }

func TestTextFormsRefused(t *testing.T) {
	t.Parallel()
	good := keys.Digest(count(1)).String()
	bad := map[string]string{
		"empty":               "",
		"short":               good[:51],
		"long":                good + "a",
		"upper case":          strings.ToUpper(good),
		"one upper case":      strings.ToUpper(good[:1]) + good[1:],
		"padded":              good + "====",
		"space before":        " " + good,
		"newline after":       good + "\n",
		"newline inside":      good[:20] + "\n" + good[20:],
		"newline for a char":  good[:20] + "\n" + good[21:],
		"carriage return":     good[:20] + "\r\n" + good[20:],
		"digit 0":             "0" + good[1:],
		"digit 1":             "1" + good[1:],
		"digit 8":             "8" + good[1:],
		"hyphen":              good[:4] + "-" + good[5:],
		"hex":                 strings.Repeat("ab", 32),
		"letter of two bytes": "ä" + good[2:],
		"zero byte":           "\x00" + good[1:],
	}
	// The last character carries 1 bit of the value and 4 that must be zero.
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	for i, c := range alphabet {
		if i%16 != 0 {
			bad["trailing bits "+string(c)] = good[:51] + string(c)
		}
	}
	for name, in := range bad {
		if got, err := keys.ParseDigest(in); !errors.Is(err, keys.ErrText) || !got.IsZero() {
			t.Errorf("%s: ParseDigest(%q) = %v, %v, want zero and ErrText", name, in, got, err)
		}
		if got, err := keys.ParseID(in); !errors.Is(err, keys.ErrText) || !got.IsZero() {
			t.Errorf("%s: ParseID(%q) = %v, %v, want zero and ErrText", name, in, got, err)
		}
		d, id := keys.Digest(count(3)), keys.ID(count(3))
		if err := d.UnmarshalText([]byte(in)); !errors.Is(err, keys.ErrText) || d != count(3) {
			t.Errorf("%s: Digest.UnmarshalText(%q) = %v, left %v, want ErrText and no change", name, in, err, d)
		}
		if err := id.UnmarshalText([]byte(in)); !errors.Is(err, keys.ErrText) || id != count(3) {
			t.Errorf("%s: ID.UnmarshalText(%q) = %v, left %v, want ErrText and no change", name, in, err, id)
		}
	}
}

// FuzzParseDigest: whatever parses is printed again as it was.
func FuzzParseDigest(f *testing.F) {
	f.Add(keys.Digest(count(1)).String())
	f.Add(strings.Repeat("A", 52))
	f.Fuzz(func(t *testing.T, in string) {
		d, err := keys.ParseDigest(in)
		if err == nil && d.String() != in {
			t.Errorf("ParseDigest(%q).String() = %q", in, d)
		}
		if id, err2 := keys.ParseID(in); (err == nil) != (err2 == nil) || keys.Digest(id) != d {
			t.Errorf("ParseID(%q) = %v, %v, but ParseDigest = %v, %v", in, id, err2, d, err)
		}
	})
}
