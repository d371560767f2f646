package invite

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"pttnode/entity"
	"pttnode/keys"
)

// The body of a link, docs/PROTOCOL.md §4:
//
//	version 1, kind 1, flags 1, uses 1, expiry 4, eid16 16, secret 16, issuer 32,
//	bound 16 if flagBound, addresses, certificate hash, name, checksum 4
//
// Addresses, certificate hash and name carry their tags, so the fixed part is 76 bytes and nothing
// counts them. The version and the checksum keep their places in every version:
// only so can an old program tell a newer link from a broken one.
const (
	version      = 1
	flagBound    = 1 << 7 // the bound user follows; in a Link it shows as Bound
	checksumSize = 4
	certSize     = 32
	headSize     = 72
	fixedSize    = headSize + checksumSize
)

// Body returns the binary form of the link. It contains the secret: it is stored
// sealed, in an Attempt. It panics for a Link that neither New nor a parser made.
func (l Link) Body() []byte {
	if l.secret == nil {
		panic("invite: Body of a Link without a secret")
	}
	secret, flags := l.secret(), l.Flags
	if l.Bound != nil {
		flags |= flagBound
	}
	b := make([]byte, 0, MaxBody)
	b = append(b, version, uint8(l.Kind), flags, l.Uses)
	b = binary.BigEndian.AppendUint32(b, uint32(l.Expires.Unix()))
	b = append(b, l.EID16[:]...)
	b = append(b, secret[:]...)
	b = append(b, l.Issuer[:]...)
	if l.Bound != nil {
		b = append(b, l.Bound[:]...)
	}
	for _, a := range l.Addrs {
		b = a.append(b)
	}
	if l.Cert != nil {
		b = append(b, tagCert)
		b = append(b, l.Cert[:]...)
	}
	if l.Name != "" {
		b = append(b, tagName|uint8(len(l.Name)))
		b = append(b, l.Name...)
	}
	sum := checksum(b)
	return append(b, sum[:]...)
}

// ParseBody reads the binary form. It fails with ErrIncomplete, ErrNewer or
// ErrNotLink and accepts nothing but what Body returns.
func ParseBody(body []byte) (Link, error) {
	n := len(body) - checksumSize
	if n < 1 || checksum(body[:n]) != [checksumSize]byte(body[n:]) {
		return Link{}, ErrIncomplete
	}
	switch {
	case body[0] > version:
		return Link{}, ErrNewer
	case body[0] < version || len(body) > MaxBody:
		return Link{}, ErrNotLink
	case len(body) < fixedSize:
		return Link{}, ErrIncomplete
	}
	flags := body[2]
	if flags&^(FlagAuto|flagBound) != 0 {
		return Link{}, ErrNewer
	}
	secret := [16]byte(body[24:])
	l := Link{
		Kind:    entity.Kind(body[1]),
		Flags:   flags &^ flagBound,
		Uses:    body[3],
		Expires: time.Unix(int64(binary.BigEndian.Uint32(body[4:])), 0).UTC(),
		EID16:   [16]byte(body[8:]),
		secret:  func() [16]byte { return secret },
		Issuer:  keys.ID(body[40:]),
	}
	rest := body[headSize:n]
	if flags&flagBound != 0 {
		if len(rest) < 16 {
			return Link{}, ErrNotLink
		}
		l.Bound, rest = new([16]byte(rest)), rest[16:]
	}
	if err := l.parseParts(rest); err != nil {
		return Link{}, err
	}
	if err := l.valid(); err != nil {
		return Link{}, err
	}
	if !bytes.Equal(l.Body(), body) { // one order of the parts, one of each
		return Link{}, ErrNotLink
	}
	return l, nil
}

// parseParts reads the tagged parts. A tag that this version does not know is a
// newer version's: its length is unknown too, so nothing can be skipped.
func (l *Link) parseParts(b []byte) error {
	for len(b) > 0 {
		switch tag := b[0]; {
		case tagIP4QUIC <= tag && tag <= tagDNSTCP:
			a, rest, ok := cutAddr(b)
			if !ok {
				return ErrNotLink
			}
			l.Addrs, b = append(l.Addrs, a), rest
		case tag == tagCert:
			if len(b) < 1+certSize {
				return ErrNotLink
			}
			l.Cert, b = new([certSize]byte(b[1:])), b[1+certSize:]
		case tagName < tag && tag <= tagName+MaxLinkName:
			n := int(tag - tagName)
			if len(b) < 1+n {
				return ErrNotLink
			}
			l.Name, b = string(b[1:1+n]), b[1+n:]
		case tagRelay <= tag && tag < tagName: // tagCert was above
			return ErrNewer
		default:
			return ErrNotLink
		}
	}
	return nil
}

// valid checks what both a maker and a parser must refuse.
func (l Link) valid() error {
	unix := l.Expires.Unix()
	switch {
	case kindWord(l.Kind) == "":
		return fmt.Errorf("%w: kind %v", ErrNotLink, l.Kind)
	case l.Uses < 1 || l.Uses > MaxUses:
		return fmt.Errorf("%w: %d uses", ErrNotLink, l.Uses)
	case unix < 0 || unix > math.MaxUint32:
		return fmt.Errorf("%w: expiry", ErrNotLink)
	case l.Issuer.IsZero() || l.Secret() == [16]byte{}:
		return fmt.Errorf("%w: an empty key", ErrNotLink) // keys from nothing: GHSA-cxm9-4m6p-24mc
	case len(l.Addrs) > MaxAddrs:
		return fmt.Errorf("%w: %d addresses", ErrNotLink, len(l.Addrs))
	case len(l.Name) > MaxLinkName || !utf8.ValidString(l.Name):
		return fmt.Errorf("%w: name", ErrNotLink)
	}
	for _, a := range l.Addrs {
		if !a.valid() {
			return fmt.Errorf("%w: address", ErrNotLink)
		}
	}
	return nil
}

// checksum is for bad copies, not for bad people.
func checksum(b []byte) [checksumSize]byte {
	sum := sha256.Sum256(b)
	return [checksumSize]byte(sum[:])
}
