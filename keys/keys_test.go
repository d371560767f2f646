package keys_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"math/big"
	"slices"
	"testing"
	"testing/cryptotest"

	"pttnode/keys"
)

// purposes are all that a signature can be for; TestLabelsComplete sees to it
// that none is forgotten in labels.go.
var purposes = []keys.Purpose{
	keys.PurposeOp, keys.PurposeAck, keys.PurposeInvite, keys.PurposeDevice, keys.PurposeApply,
	keys.PurposeInfo, keys.PurposeLink, keys.PurposeReset, keys.PurposeVote,
	keys.PurposeReady, keys.PurposeWords, keys.PurposeMoved,
}

func TestSignVerify(t *testing.T) {
	t.Parallel()
	key, other := keys.FromSeed([32]byte{1}), keys.FromSeed([32]byte{2})
	for _, message := range [][]byte{nil, {}, {0}, []byte("hello"), bytes.Repeat([]byte{7}, 5000)} {
		for _, p := range purposes {
			sig := key.Sign(p, message)
			if err := key.ID().Verify(p, message, sig); err != nil {
				t.Errorf("Verify(%q, %.9x) of its own signature: got %v, want nil", p, message, err)
			}
			for _, q := range purposes {
				if err := key.ID().Verify(q, message, sig); p != q && !errors.Is(err, keys.ErrSignature) {
					t.Errorf("Verify(%q, %.9x) of a signature for %q: got %v, want ErrSignature", q, message, p, err)
				}
			}
			if err := other.ID().Verify(p, message, sig); !errors.Is(err, keys.ErrSignature) {
				t.Errorf("Verify(%q, %.9x) by another key: got %v, want ErrSignature", p, message, err)
			}
		}
	}
}

func TestVerifyRefusesChanges(t *testing.T) {
	t.Parallel()
	key, message := keys.FromSeed([32]byte{1}), []byte("the message")
	sig := key.Sign(keys.PurposeOp, message)
	check := func(what string, id keys.ID, message []byte, sig keys.Signature) {
		t.Helper()
		if err := id.Verify(keys.PurposeOp, message, sig); !errors.Is(err, keys.ErrSignature) {
			t.Errorf("Verify with %s: got %v, want ErrSignature", what, err)
		}
	}
	for i := range sig {
		for bit := range 8 {
			changed := sig
			changed[i] ^= 1 << bit
			check("a flipped bit of the signature", key.ID(), message, changed)
		}
	}
	for i := range message {
		changed := bytes.Clone(message)
		changed[i] ^= 1
		check("a flipped bit of the message", key.ID(), changed, sig)
		check("a shorter message", key.ID(), message[:i], sig)
	}
	for i := range len(keys.ID{}) {
		id := key.ID()
		id[i] ^= 1
		check("a flipped bit of the id", id, message, sig)
	}
	check("a longer message", key.ID(), append(bytes.Clone(message), 0), sig)
	check("the zero id", keys.ID{}, message, sig)
	check("the zero signature", key.ID(), message, keys.Signature{})

	// S and S+L are the same number to a careless verifier; RFC 8032 §5.1.7
	// wants the smaller one only.
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	var s [32]byte
	for i := range s {
		s[i] = sig[63-i]
	}
	sum := new(big.Int).Add(new(big.Int).SetBytes(s[:]), order).FillBytes(make([]byte, 32))
	malleable := sig
	for i := range sum {
		malleable[63-i] = sum[i]
	}
	check("S+L for S", key.ID(), message, malleable)
}

// TestSignedBytes pins what is signed: LP(purpose, message), by plain Ed25519.
func TestSignedBytes(t *testing.T) {
	t.Parallel()
	key, message := keys.FromSeed([32]byte{1}), []byte("the message")
	var signed []byte
	for _, part := range []string{"ptt/op/2", "the message"} {
		signed = binary.BigEndian.AppendUint32(signed, uint32(len(part)))
		signed = append(signed, part...)
	}
	sig, id := key.Sign(keys.PurposeOp, message), key.ID()
	if !ed25519.Verify(id[:], signed, sig[:]) {
		t.Errorf("Sign(PurposeOp, %q) = %x, which is no Ed25519 signature of %x", message, sig, signed)
	}
	if ed25519.Verify(id[:], message, sig[:]) {
		t.Errorf("Sign(PurposeOp, %q) signs the bare message", message)
	}
}

func TestPrivate(t *testing.T) {
	t.Parallel()
	seed := seedBytes()
	key := keys.FromSeed(seed)
	if got := key.Secret(); got != seed {
		t.Errorf("FromSeed(%x).Secret() = %x", seed, got)
	}
	if got, want := key.ID(), keys.ID(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)); got != want {
		t.Errorf("FromSeed(%x).ID() = %v, want %v", seed, got, want)
	}
	zero := keys.Private{}
	for _, c := range []struct {
		name string
		a, b keys.Private
		want bool
	}{
		{"same seed", key, keys.FromSeed(seed), true},
		{"other seed", key, keys.FromSeed([32]byte{1}), false},
		{"zero and a key", zero, key, false},
		{"a key and zero", key, zero, false},
		{"zero and zero", zero, zero, true},
	} {
		if got := c.a.Equal(c.b); got != c.want {
			t.Errorf("%s: Equal = %v, want %v", c.name, got, c.want)
		}
	}
	if !zero.IsZero() || key.IsZero() || !zero.ID().IsZero() || key.ID().IsZero() {
		t.Errorf("IsZero of the zero Private and its id: %v %v, want true true; of a key: %v %v, want false false",
			zero.IsZero(), zero.ID().IsZero(), key.IsZero(), key.ID().IsZero())
	}
	mustPanic(t, "Sign with the zero Private", func() { zero.Sign(keys.PurposeOp, nil) })
}

// TestFreshKeys: every random key comes from the system's randomness, all of it,
// and no two are the same.
func TestFreshKeys(t *testing.T) {
	makers := map[string]func() [32]byte{
		"New":         func() [32]byte { return keys.New().Secret() },
		"NewBox":      func() [32]byte { return keys.NewBox().Secret() },
		"NewOpKey":    func() [32]byte { return keys.NewOpKey().Secret() },
		"NewVaultKey": keys.NewVaultKey,
	}
	for name, fresh := range makers {
		t.Run(name, func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, 1)
			var made [][32]byte
			for range 50 {
				k := fresh()
				if slices.Contains(made, k) || k[31] == 0 && k[30] == 0 && k[29] == 0 {
					t.Fatalf("%s: the key after %d others is one of them or ends in zeros", name, len(made))
				}
				made = append(made, k)
			}
			cryptotest.SetGlobalRandom(t, 1)
			if fresh() != made[0] {
				t.Errorf("%s differs under the same system randomness, want its bytes from crypto/rand only", name)
			}
		})
	}
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: returned, want a panic", what)
		}
	}()
	f()
}
