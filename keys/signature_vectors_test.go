package keys_test

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"slices"
	"testing"

	"pttnode/keys"
)

// signatureVector is a signature at the edge of the set that all nodes must accept
// alike (docs/PROTOCOL.md §1.3). M is what is signed for the purpose ptt/ack/1, Message
// what Ed25519 is given. Equation and Cofactored say whether S·B = R + h·A holds for the
// points, whatever their encodings, and whether eight times it does: where they differ
// from Accepted, so do libraries.
type signatureVector struct {
	Name       string `json:"name"`
	Key        string `json:"key"`
	M          string `json:"m"`
	Message    string `json:"message"`
	Signature  string `json:"signature"`
	Equation   bool   `json:"equation"`
	Cofactored bool   `json:"cofactored"`
	Accepted   bool   `json:"accepted"`
}

func TestSignatureVectors(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/signatures.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []signatureVector
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("no vectors")
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatalf("the file's own %q: %v", s, err)
		}
		return b
	}
	for _, v := range vectors {
		key, sig, m := unhex(v.Key), unhex(v.Signature), unhex(v.M)
		message := keys.LP([]byte(keys.PurposeAck), m)
		if got := hex.EncodeToString(message); got != v.Message {
			t.Errorf("%s: LP of purpose and m = %s, want %s", v.Name, got, v.Message)
		}
		err := keys.ID(key).Verify(keys.PurposeAck, m, keys.Signature(sig))
		if (err == nil) != v.Accepted {
			t.Errorf("%s: Verify = %v, want accepted %v", v.Name, err, v.Accepted)
		}
		if eq, co := edEquations(t, key, message, sig); eq != v.Equation || co != v.Cofactored {
			t.Errorf("%s: equation %v, cofactored %v, want %v, %v", v.Name, eq, co, v.Equation, v.Cofactored)
		}
	}
}

// The curve of RFC 8032 §5.1 by its definition: slow, and for this test only.
var (
	edP = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	edL = bigOf("7237005577332262213973186563042994240857116359379907606001950938285454250989")
	edD = bigOf("37095705934669439343138083508754565189542113879843219016388785533085940283555")
	edI = new(big.Int).Exp(big.NewInt(2), new(big.Int).Rsh(edP, 2), edP) // a root of -1
	edB = edPoint{
		bigOf("15112221349535400772501151409588531511454012693041857206046113283949847762202"),
		bigOf("46316835694926478169428394003475163141307993866256225615783033603165251855960"),
	}
)

type edPoint struct{ x, y *big.Int }

func bigOf(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		panic("not a number: " + s)
	}
	return n
}

func bigOfBytes(b []byte) *big.Int { // little-endian
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

func mulP(a, b *big.Int) *big.Int { return new(big.Int).Mod(new(big.Int).Mul(a, b), edP) }

func (p edPoint) add(q edPoint) edPoint {
	one := big.NewInt(1)
	k := mulP(edD, mulP(mulP(p.x, q.x), mulP(p.y, q.y)))
	over := func(n, d *big.Int) *big.Int { return mulP(n, new(big.Int).ModInverse(d.Mod(d, edP), edP)) }
	return edPoint{
		over(new(big.Int).Add(mulP(p.x, q.y), mulP(q.x, p.y)), new(big.Int).Add(one, k)),
		over(new(big.Int).Add(mulP(p.y, q.y), mulP(p.x, q.x)), new(big.Int).Sub(one, k)),
	}
}

func (p edPoint) mul(n *big.Int) edPoint {
	out := edPoint{big.NewInt(0), big.NewInt(1)}
	for i := n.BitLen() - 1; i >= 0; i-- {
		if out = out.add(out); n.Bit(i) == 1 {
			out = out.add(p)
		}
	}
	return out
}

func (p edPoint) equal(q edPoint) bool { return p.x.Cmp(q.x) == 0 && p.y.Cmp(q.y) == 0 }

// edDecode decodes a point, also where RFC 8032 §5.1.3 refuses its encoding.
func edDecode(t *testing.T, b []byte) edPoint {
	t.Helper()
	y := bigOfBytes(b)
	sign := y.Bit(255)
	y.Mod(y.SetBit(y, 255, 0), edP)
	yy := mulP(y, y)
	xx := mulP(new(big.Int).Sub(yy, big.NewInt(1)), new(big.Int).ModInverse(new(big.Int).Add(mulP(edD, yy), big.NewInt(1)), edP))
	x := new(big.Int).Exp(xx, new(big.Int).Rsh(new(big.Int).Add(edP, big.NewInt(3)), 3), edP)
	if mulP(x, x).Cmp(xx) != 0 {
		x = mulP(x, edI)
	}
	if mulP(x, x).Cmp(xx) != 0 {
		t.Fatalf("%x is no point", b)
	}
	if x.Bit(0) != sign {
		x.Mod(x.Neg(x), edP)
	}
	return edPoint{x, y}
}

// edEquations says whether S·B = R + h·A holds, and whether 8·S·B = 8·R + 8·h·A does. h is
// reduced before it is multiplied with, which matters to a key that is not of order L.
func edEquations(t *testing.T, key, message, sig []byte) (plain, cofactored bool) {
	t.Helper()
	sum := sha512.Sum512(slices.Concat(sig[:32], key, message))
	h := bigOfBytes(sum[:])
	h.Mod(h, edL)
	left := edB.mul(bigOfBytes(sig[32:]))
	right := edDecode(t, sig[:32]).add(edDecode(t, key).mul(h))
	eight := big.NewInt(8)
	return left.equal(right), left.mul(eight).equal(right.mul(eight))
}
