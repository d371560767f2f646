package keys_test

import (
	"errors"
	"strings"
	"testing"

	"pttnode/keys"
)

func TestWords(t *testing.T) {
	t.Parallel()
	// The values of 256 bits in the test vectors of BIP-39.
	for _, c := range []struct {
		seed byte
		want string
	}{
		{0x00, strings.Repeat("abandon ", 23) + "art"},
		{0x7f, strings.Repeat("legal winner thank year wave sausage worth useful ", 2) + "legal winner thank year wave sausage worth title"},
		{0x80, strings.Repeat("letter advice cage absurd amount doctor acoustic avoid ", 2) + "letter advice cage absurd amount doctor acoustic bless"},
		{0xff, strings.Repeat("zoo ", 23) + "vote"},
	} {
		var seed [32]byte
		for i := range seed {
			seed[i] = c.seed
		}
		key := keys.FromSeed(seed)
		if got := keys.Words(key); got != c.want {
			t.Errorf("Words of 32 times %#x = %q, want %q", c.seed, got, c.want)
		}
		for _, in := range []string{
			c.want, strings.ToUpper(c.want), "  " + strings.ReplaceAll(c.want, " ", "\n\t ") + "\r\n",
		} {
			if got, err := keys.FromWords(in); err != nil || !got.Equal(key) {
				t.Errorf("FromWords(%q) = %v, %v, want %v", in, got, err, key)
			}
		}
	}
	for range 50 {
		key := keys.New()
		if got, err := keys.FromWords(keys.Words(key)); err != nil || !got.Equal(key) {
			t.Errorf("FromWords(Words(%v)) = %v, %v", key, got, err)
		}
	}
}

func TestWordsRefused(t *testing.T) {
	t.Parallel()
	good := keys.Words(keys.FromSeed(seedBytes()))
	list := strings.Fields(good)
	swapped := append([]string{list[1], list[0]}, list[2:]...)
	for name, in := range map[string]string{
		"nothing":             "",
		"23 words":            strings.Join(list[:23], " "),
		"25 words":            good + " " + list[0],
		"12 good words":       strings.Repeat("abandon ", 11) + "about",
		"another last word":   strings.Repeat("abandon ", 24),
		"two words swapped":   strings.Join(swapped, " "),
		"a word not in list":  strings.Repeat("abandon ", 23) + "artt",
		"a word of 3 letters": strings.Repeat("aba ", 23) + "art",
		"commas":              strings.ReplaceAll(good, " ", ","),
		"hex":                 strings.Repeat("00", 32),
	} {
		got, err := keys.FromWords(in)
		if !errors.Is(err, keys.ErrWords) || !got.IsZero() {
			t.Errorf("%s: FromWords(%q) = %v, %v, want the zero Private and ErrWords", name, in, got, err)
			continue
		}
		for word := range strings.FieldsSeq(in) {
			if len(word) > 3 && strings.Contains(err.Error(), word) {
				t.Errorf("%s: the error %q says %q, which is a part of the secret", name, err, word)
			}
		}
	}
}
