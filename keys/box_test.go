package keys_test

import (
	"bytes"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pttnode/keys"
)

func TestBox(t *testing.T) {
	t.Parallel()
	key := keys.BoxFromSecret(seedBytes())
	if got := key.Secret(); got != seedBytes() {
		t.Errorf("BoxFromSecret(%x).Secret() = %x", seedBytes(), got)
	}
	info := keys.Digest(count(0))
	for _, plain := range [][]byte{nil, {0}, []byte("an op-key"), bytes.Repeat([]byte{3}, 70_000)} {
		box, err := key.ID().Seal(info, plain)
		if err != nil || len(box) != len(plain)+keys.BoxOverhead {
			t.Fatalf("Seal of %d bytes: got %d bytes, %v, want %d", len(plain), len(box), err, len(plain)+keys.BoxOverhead)
		}
		if got, err := key.Open(info, box); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("Open of %d sealed bytes = %.9x, %v, want %.9x", len(plain), got, err, plain)
		}
		again, err := key.ID().Seal(info, plain)
		if err != nil || bytes.Equal(again[:32], box[:32]) {
			t.Errorf("two boxes of one plaintext have the same encapsulated key %x (%v)", again[:32], err)
		}
	}
}

func TestBoxRefused(t *testing.T) {
	t.Parallel()
	key, info, plain := keys.NewBox(), keys.Digest(count(0)), []byte("an op-key of 32 bytes or nearly so")
	box, err := key.ID().Seal(info, plain)
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	check := func(what string, key keys.BoxKey, info keys.Digest, box []byte) {
		t.Helper()
		if got, err := key.Open(info, box); !errors.Is(err, keys.ErrBox) || got != nil {
			t.Errorf("Open with %s = %x, %v, want ErrBox", what, got, err)
		}
	}
	check("another key", keys.NewBox(), info, box)
	check("the zero key", keys.BoxKey{}, info, box)
	check("no info", key, keys.Digest{}, box)
	for i := range info {
		other := info
		other[i] ^= 1
		check("other info", key, other, box)
	}
	for i := range box {
		for bit := range 8 { // bit 7 of byte 31 is ignored by X25519, but not by HPKE
			changed := bytes.Clone(box)
			changed[i] ^= 1 << bit
			check("a flipped bit", key, info, changed)
		}
		check("a truncated box", key, info, box[:i])
		check("a box cut in front", key, info, box[i+1:])
	}
	check("a longer box", key, info, append(bytes.Clone(box), 0))
	check("nothing", key, info, nil)
}

// TestAttackH27: a public key of low order would make a shared secret that
// everybody knows. Neither side accepts one.
func TestAttackH27(t *testing.T) {
	t.Parallel()
	key, info := keys.NewBox(), keys.Digest(count(0))
	good, err := key.ID().Seal(info, []byte("x"))
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	points := lowOrder()
	if len(points) < 14 {
		t.Fatalf("lowOrder() = %d points, want all 14 encodings", len(points))
	}
	if err := key.ID().Check(); err != nil {
		t.Errorf("Check of a good key = %v, want nil", err)
	}
	for _, point := range points {
		if err := keys.BoxID(point).Check(); !saysLowOrder(err) {
			t.Errorf("Check of the low-order key %x = %v, want ErrBox for its low order", point, err)
		}
		if box, err := keys.BoxID(point).Seal(info, []byte("x")); !saysLowOrder(err) || box != nil {
			t.Errorf("Seal to the low-order key %x = %x, %v, want ErrBox for its low order", point, box, err)
		}
		if got, err := key.Open(info, slices.Concat(point[:], good[32:])); !saysLowOrder(err) || got != nil {
			t.Errorf("Open with the low-order encapsulated key %x = %x, %v, want ErrBox for its low order", point, got, err)
		}
	}
	if !(keys.BoxID{}).IsZero() || key.ID().IsZero() || (keys.BoxKey{}).ID() != (keys.BoxID{}) || !(keys.BoxKey{}).IsZero() || key.IsZero() {
		t.Errorf("IsZero: only the zero BoxID and BoxKey are zero")
	}
}

// saysLowOrder reads the text: a box with a low-order key does not open with an
// ordinary wrong key either, so ErrBox alone would show nothing.
func saysLowOrder(err error) bool {
	return errors.Is(err, keys.ErrBox) && strings.Contains(err.Error(), "low order")
}

// lowOrder returns every 32-byte encoding of a Curve25519 u-coordinate of low
// order: 0 and 1, the two of order 8, p-1, and these plus p and 2p as far as they
// fit, each with the bit that X25519 ignores cleared and set.
func lowOrder() (points [][32]byte) {
	number := func(s string) *big.Int {
		n, ok := new(big.Int).SetString(s, 10)
		if !ok {
			panic("lowOrder: " + s)
		}
		return n
	}
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	for _, u := range []*big.Int{
		big.NewInt(0),
		big.NewInt(1),
		number("325606250916557431795983626356110631294008115727848805560023387167927233504"),
		number("39382357235489614581723060781553021112529911719440698176882885853963445705823"),
		new(big.Int).Sub(p, big.NewInt(1)),
	} {
		for u := new(big.Int).Set(u); u.BitLen() <= 255; u.Add(u, p) {
			var point [32]byte
			u.FillBytes(point[:])
			slices.Reverse(point[:])
			points = append(points, point)
			point[31] |= 0x80
			points = append(points, point)
		}
	}
	return points
}
