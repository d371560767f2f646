package keys_test

import (
	"encoding/hex"
	"math/rand/v2"
	"regexp"
	"testing"

	"pttnode/keys"
)

func secret16(first byte) (s [16]byte) {
	for i := range s {
		s[i] = first + byte(i)
	}
	return s
}

func TestDeriveInvite(t *testing.T) {
	t.Parallel()
	inv := keys.DeriveInvite(count(0), secret16(1))
	mac := inv.MAC.Secret()
	seed := inv.Sign.Secret()
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"IID", inv.IID[:], "13e658b7e4b87fafb5b16d2f3ee7829a"},
		{"Ref", inv.Ref[:], "606efdf4ce6010530a7b19eb43f7fc41"},
		{"Sign", seed[:], "b051e9be3d256721e5c246fed3a633200c1a6f156502276e7da582611d270dd3"},
		{"MAC", mac[:], "c9a3325ff691ee88c6fdff06376b7f5ca807ab367b15091c54eed387cc612037"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("DeriveInvite(%x, %x).%s = %s, want %s", count(0), secret16(1), c.name, got, c.want)
		}
	}
	mustPanic(t, "DeriveInvite with an empty secret", func() { keys.DeriveInvite(count(0), [16]byte{}) })
}

// outputs are all that an invite derives, the public values of its keys too.
func outputs(inv keys.Invite) map[string]string {
	seed, mac, id := inv.Sign.Secret(), inv.MAC.Secret(), inv.Sign.ID()
	return map[string]string{
		"IID": string(inv.IID[:]), "Ref": string(inv.Ref[:]), "Sign": string(seed[:]), "Sign.ID": string(id[:]), "MAC": string(mac[:]),
	}
}

// TestInviteSalt: a link whose version, kind, entity, issuer or secret was changed
// on the way derives nothing that the right one does.
func TestInviteSalt(t *testing.T) {
	t.Parallel()
	type link struct {
		version, kind byte
		eid16         [16]byte
		issuer        keys.ID
		secret        [16]byte
	}
	derive := func(l link) map[string]string {
		salt := keys.Hash(keys.LabelInvite, []byte{l.version}, []byte{l.kind}, l.eid16[:], l.issuer[:])
		return outputs(keys.DeriveInvite(salt, l.secret))
	}
	base := link{1, 2, secret16(3), count(4), secret16(5)}
	changed := map[string]link{}
	for bit := range 8 {
		l := base
		l.version ^= 1 << bit
		changed["version"+string(rune('0'+bit))] = l
		l = base
		l.kind ^= 1 << bit
		changed["kind"+string(rune('0'+bit))] = l
	}
	for i := range 16 {
		l := base
		l.eid16[i] ^= 1
		changed["eid16 byte "+hex.EncodeToString([]byte{byte(i)})] = l
		l = base
		l.secret[i] ^= 0x80
		changed["secret byte "+hex.EncodeToString([]byte{byte(i)})] = l
	}
	for i := range 32 {
		l := base
		l.issuer[i] ^= 1
		changed["issuer byte "+hex.EncodeToString([]byte{byte(i)})] = l
	}
	l := base
	l.version, l.kind = base.kind, base.version
	changed["version and kind swapped"] = l
	want := derive(base)
	for name, l := range changed {
		for output, value := range derive(l) {
			if value == want[output] {
				t.Errorf("%s: %s is still %x, want every output changed", name, output, value)
			}
		}
	}
}

// TestInviteOutputsDistinct: over many random secrets no two derived values are
// the same, or the beginning of one another.
func TestInviteOutputsDistinct(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewChaCha8([32]byte{1}))
	seen := map[string]string{}
	for n := range 2000 {
		var salt keys.Digest
		var secret [16]byte
		for i := range salt {
			salt[i] = byte(rng.Uint32())
		}
		for i := range secret {
			secret[i] = byte(rng.Uint32())
		}
		for output, value := range outputs(keys.DeriveInvite(salt, secret)) {
			if before, ok := seen[value[:16]]; ok {
				t.Fatalf("input %d: %s begins as %s does: %x", n, output, before, value)
			}
			seen[value[:16]] = output
		}
		for _, in := range []string{string(salt[:16]), string(secret[:])} {
			if before, ok := seen[in]; ok {
				t.Fatalf("input %d: %s gives away its input %x", n, before, in)
			}
		}
	}
}

func TestMACKey(t *testing.T) {
	t.Parallel()
	key, message := keys.MACKeyFromSecret(count(0)), keys.Digest(count(32))
	if got := key.Secret(); got != count(0) {
		t.Errorf("MACKeyFromSecret(%x).Secret() = %x", count(0), got)
	}
	mac := key.Sum(message)
	if !key.Verify(message, mac) {
		t.Errorf("Verify(%v, Sum) = false, want true", message)
	}
	if keys.MACKeyFromSecret(count(1)).Verify(message, mac) {
		t.Errorf("Verify with another key = true, want false")
	}
	for i := range mac {
		for bit := range 8 {
			badMAC, badMessage := mac, message
			badMAC[i] ^= 1 << bit
			badMessage[i] ^= 1 << bit
			if key.Verify(message, badMAC) || key.Verify(badMessage, mac) {
				t.Errorf("Verify with bit %d of byte %d flipped in the mac or the message = true, want false", bit, i)
			}
		}
	}
	if key.Verify(message, keys.Digest{}) {
		t.Errorf("Verify(%v, zeros) = true, want false", message)
	}
}

func TestSafetyCode(t *testing.T) {
	t.Parallel()
	if got, want := keys.SafetyCode(count(0)), "125567"; got != want {
		t.Errorf("SafetyCode(%x) = %q, want %q", count(0), got, want)
	}
	six := regexp.MustCompile(`^[0-9]{6}$`)
	seen, zeros := map[string]bool{}, 0
	const n = 5000
	for i := range n {
		input := keys.HashUnlabelled([]byte{byte(i), byte(i >> 8)})
		got := keys.SafetyCode(input)
		if !six.MatchString(got) {
			t.Fatalf("SafetyCode(%v) = %q, want 6 digits", input, got)
		}
		if seen[got] = true; got[0] == '0' {
			zeros++
		}
	}
	// 5,000 of a million: about 12 meet by chance, and a tenth begin with 0.
	if len(seen) < n-60 || zeros < n/20 || zeros > n/5 {
		t.Errorf("%d inputs: %d different codes, %d that begin with 0: want about %d and %d", n, len(seen), zeros, n-12, n/10)
	}
}
