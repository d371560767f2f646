package keys_test

import (
	"bytes"
	"encoding/base32"
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"pttnode/keys"
)

func TestOpKeyDerivations(t *testing.T) {
	t.Parallel()
	entity, epoch, key := keys.Digest(count(0)), keys.Digest(count(32)), keys.OpKeyFromSecret(count(64))
	if got, want := key.Topic(entity, epoch), "2WTBA6G7MS3EHENGSCB3IJZ65J7SEQG5"; got != want {
		t.Errorf("Topic = %q, want %q", got, want)
	}
	want := unhex("24a544c60b17d6ea6ab1723864ac1a88f34d842c7e61f2cbf9465f0276e2ebc7")
	if got := key.Header(entity, epoch).Secret(); got != want {
		t.Errorf("Header = %x, want %x", got, want)
	}
	want = unhex("bbffcc0add358bb0eb542a3a137c6aa26fc911b26ef7d368ac6f4a2192b6fc61")
	if got := key.UserBox().Secret(); got != want {
		t.Errorf("UserBox = %x, want %x", got, want)
	}
	want = unhex("f9243959f2322cbd14c3dd533d605d88dbbb637692062dfde088e2075f94e701")
	if got := key.Commitment(entity); got != want {
		t.Errorf("Commitment = %x, want %x", got, want)
	}
	content := unhex("684f9ef0f4f22ddce4cd6d8a9c83cf97ef930958d1c470d6aa345ed68c508313")
	aead, err := chacha20poly1305.NewX(content[:])
	if err != nil {
		t.Fatal(err)
	}
	sealed := key.Seal(entity, epoch, []byte("aad"), []byte("plain"))
	if got, err := aead.Open(nil, sealed[:24], sealed[24:], []byte("aad")); err != nil || string(got) != "plain" {
		t.Errorf("Seal does not use the content key %x: got %q, %v", content, got, err)
	}
}

// TestOpKeyDomains: every derived value depends on each of key, entity and epoch,
// and no two are the same.
func TestOpKeyDomains(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	add := func(name, value string) {
		t.Helper()
		if before, ok := seen[value]; ok {
			t.Errorf("%s and %s are the same: %x", name, before, value)
		}
		seen[value] = name
	}
	for i := range byte(200) {
		key := keys.OpKeyFromSecret(keys.HashUnlabelled([]byte{i, 0}))
		entity, epoch := keys.HashUnlabelled([]byte{i, 1}), keys.HashUnlabelled([]byte{i, 2})
		for name, in := range map[string][2]keys.Digest{
			"": {entity, epoch}, " of another entity": {epoch, epoch}, " of another epoch": {entity, entity}, " of both": {epoch, entity},
		} {
			header := key.Header(in[0], in[1]).Secret()
			add("header"+name, string(header[:]))
			topic, err := base32.StdEncoding.DecodeString(key.Topic(in[0], in[1]))
			if err != nil || len(key.Topic(in[0], in[1])) != 32 || len(topic) != 20 {
				t.Errorf("Topic = %q, want 32 characters of base32", key.Topic(in[0], in[1]))
			}
			add("topic"+name, string(topic))
			if bytes.HasPrefix(header[:], topic) {
				t.Errorf("topic%s gives away the beginning of the header key: %x", name, topic)
			}
		}
		secret, box, commitment := key.Secret(), key.UserBox().Secret(), key.Commitment(entity)
		add("key", string(secret[:]))
		add("user box", string(box[:]))
		add("commitment", string(commitment[:]))
		commitment = key.Commitment(epoch)
		add("commitment to another entity", string(commitment[:]))
	}
}

func TestOpKeyZero(t *testing.T) {
	t.Parallel()
	if z := (keys.OpKey{}); !z.IsZero() || z.Secret() != [32]byte{} || !keys.OpKeyFromSecret([32]byte{}).IsZero() {
		t.Errorf("the zero OpKey: IsZero %v, Secret %x, want true and zeros", z.IsZero(), z.Secret())
	}
	if keys.OpKeyFromSecret([32]byte{31: 1}).IsZero() || keys.NewOpKey().IsZero() {
		t.Errorf("IsZero of a key = true, want false")
	}
	entity := keys.Digest(count(0)) // a received key may be zeros: no method may panic for it
	if got, want := (keys.OpKey{}).Commitment(entity), keys.OpKeyFromSecret([32]byte{}).Commitment(entity); got != want {
		t.Errorf("Commitment of the zero OpKey = %v, want that of 32 zeros, %v", got, want)
	}
}

// sealer is what OpKey and Vault have in common, for the tests of both.
type sealer struct {
	seal func(plain []byte) []byte
	open func(sealed []byte) ([]byte, error)
	// others open under something else: key, entity, epoch, additional data, name
	others map[string]func(sealed []byte) ([]byte, error)
}

func sealers() map[string]sealer {
	key, vault := keys.OpKeyFromSecret(count(64)), keys.OpenVault(count(64))
	entity, epoch, aad := keys.Digest(count(0)), keys.Digest(count(32)), []byte("aad")
	open := func(key keys.OpKey, entity, epoch keys.Digest, aad string) func([]byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) { return key.Open(entity, epoch, []byte(aad), b) }
	}
	record := func(vault keys.Vault, name string) func([]byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) { return vault.Open(name, b) }
	}
	return map[string]sealer{
		"OpKey": {
			seal: func(plain []byte) []byte { return key.Seal(entity, epoch, aad, plain) },
			open: open(key, entity, epoch, "aad"),
			others: map[string]func([]byte) ([]byte, error){
				"another key":     open(keys.NewOpKey(), entity, epoch, "aad"),
				"the zero key":    open(keys.OpKey{}, entity, epoch, "aad"),
				"the header key":  open(key.Header(entity, epoch), entity, epoch, "aad"),
				"another entity":  open(key, epoch, epoch, "aad"),
				"another epoch":   open(key, entity, entity, "aad"),
				"entity as epoch": open(key, epoch, entity, "aad"),
				"other data":      open(key, entity, epoch, "aae"),
				"no data":         open(key, entity, epoch, ""),
				"more data":       open(key, entity, epoch, "aad\x00"),
				"a vault":         record(vault, "aad"),
			},
		},
		"Vault": {
			seal: func(plain []byte) []byte { return vault.Seal("device", plain) },
			open: record(vault, "device"),
			others: map[string]func([]byte) ([]byte, error){
				"another key":    record(keys.OpenVault(count(65)), "device"),
				"another name":   record(vault, "devicf"),
				"a longer name":  record(vault, "device1"),
				"a shorter name": record(vault, "devic"),
				"no name":        record(vault, ""),
				"upper case":     record(vault, "Device"),
				"an op-key":      open(key, entity, epoch, "device"),
			},
		},
	}
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	for kind, s := range sealers() {
		var sealed [][]byte
		for _, plain := range [][]byte{nil, {0}, []byte("content"), []byte("content"), bytes.Repeat([]byte{3}, 70_000)} {
			b := s.seal(plain)
			if len(b) != len(plain)+keys.SealOverhead {
				t.Errorf("%s: Seal of %d bytes = %d bytes, want %d more", kind, len(plain), len(b), keys.SealOverhead)
			}
			if got, err := s.open(b); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s: Open of %d sealed bytes = %.9x, %v, want %.9x", kind, len(plain), got, err, plain)
			}
			if slices.ContainsFunc(sealed, func(o []byte) bool { return bytes.Equal(o[:24], b[:24]) }) {
				t.Errorf("%s: a nonce came twice: %x", kind, b[:24])
			}
			sealed = append(sealed, b)
		}
	}
}

func TestOpenRefused(t *testing.T) {
	t.Parallel()
	for kind, s := range sealers() {
		sealed := s.seal([]byte("content"))
		check := func(what string, open func([]byte) ([]byte, error), b []byte) {
			t.Helper()
			if got, err := open(b); !errors.Is(err, keys.ErrSealed) || got != nil {
				t.Errorf("%s: Open with %s = %x, %v, want ErrSealed", kind, what, got, err)
			}
		}
		for what, other := range s.others {
			check(what, other, sealed)
		}
		for i := range sealed {
			for bit := range 8 {
				changed := bytes.Clone(sealed)
				changed[i] ^= 1 << bit
				check("a flipped bit", s.open, changed)
			}
			check("truncated bytes", s.open, sealed[:i])
			check("bytes cut in front", s.open, sealed[i+1:])
		}
		check("a longer text", s.open, append(bytes.Clone(sealed), 0))
		check("nothing", s.open, nil)
	}
}

func TestVaultFromPassphrase(t *testing.T) {
	t.Parallel()
	salt := count(0)
	sealed := keys.VaultFromPassphrase([]byte("correct horse"), salt).Seal("device", []byte("x"))
	for _, c := range []struct {
		name, pass string
		salt       [32]byte
		ok         bool
	}{
		{"same", "correct horse", salt, true},
		{"other passphrase", "correct horsf", salt, false},
		{"other salt", "correct horse", count(1), false},
		{"no passphrase", "", salt, false},
	} {
		got, err := keys.VaultFromPassphrase([]byte(c.pass), c.salt).Open("device", sealed)
		if c.ok && (err != nil || string(got) != "x") || !c.ok && !errors.Is(err, keys.ErrSealed) {
			t.Errorf("%s: Open = %q, %v, want success %v", c.name, got, err, c.ok)
		}
	}
}
