package keys

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
)

// Invite is all that derives from the 16-byte secret of an invite link
// (docs/PROTOCOL.md §4.1). The requester derives it from the link; the issuer
// keeps only IID, Ref, Sign.ID() and MAC.
type Invite struct {
	IID  [16]byte // looks the invite up; never in a log
	Ref  [16]byte // names the invite in logs
	Sign Private  // proves that one knows the secret
	MAC  MACKey   // proves that one holds the issuer's record
}

// DeriveInvite derives an invite's keys from its secret. salt is
// Hash(LabelInvite, version, kind, eid16, issuer), so changing any of these in
// a link changes every key. It panics on an all-zero secret: a key from nothing
// is a broken invariant (k3s, GHSA-cxm9-4m6p-24mc); parsers refuse it before.
func DeriveInvite(salt Digest, secret [16]byte) Invite {
	if secret == [16]byte{} {
		panic("keys: DeriveInvite with an empty secret")
	}
	prk, err := hkdf.Extract(sha256.New, secret[:], salt[:])
	if err != nil {
		panic("keys: HKDF-Extract: " + err.Error()) // only in FIPS mode with a short key
	}
	return Invite{
		IID:  [16]byte(expand(prk, 16, labelIID)),
		Ref:  [16]byte(expand(prk, 16, labelRef)),
		Sign: FromSeed([32]byte(expand(prk, 32, labelInvSign))),
		MAC:  MACKeyFromSecret([32]byte(expand(prk, 32, labelAckMAC))),
	}
}

// MACKey is the verifier key K_v of an invite, 32 bytes. It cannot be printed.
type MACKey struct {
	key hidden[[32]byte] // nil in the zero MACKey, which panics when used
}

// MACKeyFromSecret returns the MAC key of 32 bytes.
func MACKeyFromSecret(secret [32]byte) MACKey { return MACKey{key: hide(secret)} }

// Secret returns the 32 bytes, for the issuer's record.
func (k MACKey) Secret() [32]byte { return k.key() }

// Format prints nothing but that this is a MAC key, whatever the verb.
func (k MACKey) Format(f fmt.State, _ rune) { redact(f, "mac-key", "redacted") }

// Sum returns HMAC-SHA-256 of message.
func (k MACKey) Sum(message Digest) Digest {
	secret := k.key()
	m := hmac.New(sha256.New, secret[:])
	m.Write(message[:])
	return Digest(m.Sum(nil))
}

// Verify compares mac with the right one in constant time.
func (k MACKey) Verify(message, mac Digest) bool {
	want := k.Sum(message)
	return hmac.Equal(want[:], mac[:])
}

// SafetyCode returns the six digits that two people compare, from the committed
// values of a join: Expand(input, "sas", 8) mod 10^6 (docs/PROTOCOL.md §5.3).
func SafetyCode(input Digest) string {
	var n uint64
	for _, b := range expand(input[:], 8, labelSAS) {
		n = n<<8 | uint64(b)
	}
	return fmt.Sprintf("%06d", n%1_000_000)
}
