package chain

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
)

// Errors of this package. A caller tells them apart with errors.Is.
var (
	ErrFormat      = errors.New("chain: malformed")
	ErrUnknown     = errors.New("chain: no chain op that this version knows")
	ErrPlace       = errors.New("chain: not the next op of the chain")
	ErrFull        = errors.New("chain: full")
	ErrRefused     = errors.New("chain: refused")
	ErrCertificate = errors.New("chain: not certified")
)

// DeviceLink places an op in its chain.
type DeviceLink struct {
	Prev  keys.Digest `cbor:"1,keyasint"` // the chain op before it
	Reset uint64      `cbor:"2,keyasint"` // how many RESETs and new words came before
}

// Vote is a device's signature about one place of a chain: that an op stands there,
// or that the device is ready to be a voter from there on.
type Vote struct {
	Device keys.ID        `cbor:"1,keyasint"`
	Sig    keys.Signature `cbor:"2,keyasint"`
}

// Cut says how many ops of a device in a strand of Me count; 0 is none.
type Cut struct {
	Device keys.ID      `cbor:"1,keyasint"`
	Strand oplog.Strand `cbor:"2,keyasint"`
	Count  uint64       `cbor:"3,keyasint"`
}

// Link is an op of a chain with its certificate. Two Links of one op with different
// certificates mean the same.
type Link struct {
	Op    oplog.Op
	Votes []Vote // ascending by device, exactly as many as the op needs
}

// wire is how a Link travels.
type wire struct {
	Op    []byte `cbor:"1,keyasint"`
	Votes []Vote `cbor:"2,keyasint,omitempty"`
}

// Marshal returns the bytes of l.
func (l Link) Marshal() []byte { return keys.Marshal(wire{Op: l.Op.Envelope(), Votes: l.Votes}) }

// ParseLink parses what Marshal returns: the op is one with a good signature, the
// certificate is not looked at. It fails with ErrFormat, or as oplog.Parse does.
func ParseLink(raw []byte) (Link, error) {
	if len(raw) > maxWire {
		return Link{}, fmt.Errorf("%w: a link of %d bytes", ErrFormat, len(raw))
	}
	var w wire
	if err := keys.Unmarshal(raw, &w); err != nil {
		return Link{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	o, err := oplog.Parse(w.Op)
	if err != nil {
		return Link{}, fmt.Errorf("link: %w", err)
	}
	return Link{Op: o, Votes: w.Votes}, nil
}

// place is where an op stands: what its votes, and the signatures in its body, name.
type place struct {
	user, prev keys.Digest
	reset      uint64
}

// message returns what is signed about a place.
func (p place) message(parts ...[]byte) []byte {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], p.reset)
	return keys.LP(append([][]byte{p.user[:], p.prev[:], n[:]}, parts...)...)
}

// vote returns what a voter signs about an op at p.
func (p place) vote(op keys.Digest) []byte {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], p.reset)
	return keys.LP(p.user[:], op[:], p.prev[:], n[:])
}

// ready returns what a device signs to be a voter, or a survivor, from p on.
func (p place) ready(box keys.BoxID) []byte { return p.message(box[:]) }

// words returns what the old words sign to be replaced at p.
func (p place) words(next keys.ID) []byte { return p.message(next[:]) }

// moved returns what the words sign for the person to go on as another.
func (p place) moved(to, head keys.Digest) []byte { return p.message(to[:], head[:]) }

// Consent returns what a device signs, with keys.PurposeLink, to become one of
// user's with its box key: nobody can list a device that did not.
func Consent(user keys.Digest, device keys.ID, box keys.BoxID) []byte {
	return keys.LP(user[:], device[:], box[:])
}

func compareIDs(a, b keys.ID) int { return bytes.Compare(a[:], b[:]) }

func compareVotes(a, b Vote) int { return compareIDs(a.Device, b.Device) }

func compareDigests(a, b keys.Digest) int { return bytes.Compare(a[:], b[:]) }

func compareCuts(a, b Cut) int {
	if c := compareIDs(a.Device, b.Device); c != 0 {
		return c
	}
	return int(a.Strand) - int(b.Strand)
}

// ascending reports whether list is strictly so.
func ascending[T any](list []T, compare func(a, b T) int) bool {
	for i := 1; i < len(list); i++ {
		if compare(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}
