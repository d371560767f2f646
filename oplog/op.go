package oplog

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"pttnode/keys"
)

// Strand is one of the two graphs of a log. Wire values; do not reorder.
type Strand uint8

// The strands of docs/PROTOCOL.md §2.
const (
	Control Strand = 1 // small; every member reads it whole
	Content Strand = 2 // what people write; bodies are sealed
)

// String returns "control" or "content".
func (s Strand) String() string {
	switch s {
	case Control:
		return "control"
	case Content:
		return "content"
	}
	return fmt.Sprintf("strand(%d)", uint8(s))
}

// Family groups types of operations so that each group can be listed by itself
// (PIP-12's oplogs). Wire values; do not reorder.
type Family uint8

// The families of docs/PROTOCOL.md §2.2: control below 16, content from 16.
const (
	FamilyGenesis    Family = 1 // log0
	FamilyMaster     Family = 2 // master-oplog
	FamilyMember     Family = 3 // member-oplog
	FamilyOpKey      Family = 4 // op-key oplog
	FamilyPolicy     Family = 5
	FamilyCheckpoint Family = 6

	FamilyArticle Family = 16
	FamilyComment Family = 17
	FamilyMessage Family = 18
	FamilyProfile Family = 19
	FamilyMe      Family = 20 // me-oplog
)

// TypeReset is the one type that oplog must know: RESET of the checkpoint
// family is signed by the recovery key and stands outside the chains.
const TypeReset uint16 = 3

// Errors of this package. A caller tells them apart with errors.Is.
var (
	ErrFormat    = errors.New("oplog: malformed operation")
	ErrVersion   = errors.New("oplog: operation of a newer format")
	ErrTooLarge  = errors.New("oplog: operation too large")
	ErrChain     = errors.New("oplog: not the next operation of its device")
	ErrMissing   = errors.New("oplog: an operation it builds on is missing")
	ErrForeign   = errors.New("oplog: operation of another entity")
	ErrBody      = errors.New("oplog: not the body of the operation")
	ErrSignature = keys.ErrSignature
)

// Op is one authentic operation: an envelope that was signed and, in the content
// strand, the hash of a body that travels beside it (docs/PROTOCOL.md §2.1). The zero
// Op is none; copying is cheap.
//
// An Op that was just parsed or signed has the bytes of its envelope, and may have its
// body. One that comes out of a log has those of control operations only: content
// stays in the store, and the log keeps an index entry of it. Compare two by their ids.
//
// The format is frozen at v 2: a family or a type may be added, a field never. An
// unknown type is kept, relayed and ignored; an unknown type of 128 or more is critical.
type Op struct {
	*op
	*wire
}

// op is the index entry of an operation. All of a log's stay in memory, so what many
// have in common is shared, and ids of operations are those in the entries of these.
type op struct {
	id            [1]keys.Digest // an array, so that an op whose only parent this is can share it
	parents, auth []keys.Digest
	who           *author
	block         *block       // where it is in its strand's order
	prev, about   *keys.Digest // nil for none
	epoch         *keys.Digest // nil for none
	at            uint64
	seq           uint32
	row           uint32 // place in its log by arrival, by which the store names it
	size          uint32 // bytes of the body
	typ           uint16
	strand        Strand
	family        Family
	signed        verdict
	here          bool // the body is in the store, or there is none
}

// author is what the operations of one device of a user in one entity have in common.
type author struct {
	entity, user keys.Digest // the user is zero in the genesis of Me, the entity in any
	device       keys.ID
}

// verdict is what is known of an operation's own signature.
type verdict uint8

const (
	unchecked verdict = iota // nobody has looked: another op that names it made it authentic
	good
	bad
)

// wire is what an operation was parsed from or signed as.
type wire struct {
	envelope []byte
	hash     keys.Digest // of the body; zero where there is none
	body     []byte      // nil where it is not here
}

// envelope is the wire form. The order of keys is the order of the bytes, so
// everything before key 15 is the additional data of a sealed body and
// everything before key 18 is what is signed.
type envelope struct {
	V       uint64         `cbor:"1,keyasint"`
	Entity  []byte         `cbor:"2,keyasint"` // 32 bytes; empty in a genesis
	Strand  Strand         `cbor:"3,keyasint"`
	Family  Family         `cbor:"4,keyasint"`
	Type    uint16         `cbor:"5,keyasint"`
	User    []byte         `cbor:"6,keyasint"` // 32 bytes; empty in the genesis of Me
	Device  keys.ID        `cbor:"7,keyasint"`
	Seq     uint64         `cbor:"8,keyasint"`
	Prev    []byte         `cbor:"9,keyasint"` // 32 bytes; empty when Seq is 0
	Parents []keys.Digest  `cbor:"10,keyasint"`
	Auth    []keys.Digest  `cbor:"11,keyasint"`
	Epoch   []byte         `cbor:"12,keyasint"` // 32 bytes; empty where there is no sealed body
	At      uint64         `cbor:"13,keyasint"` // Unix milliseconds
	About   []byte         `cbor:"14,keyasint"` // 32 bytes or empty; empty in the control strand
	Body    []byte         `cbor:"15,keyasint"` // of the control strand
	Hash    []byte         `cbor:"16,keyasint"` // 32 bytes: SHA-256 of a sealed body; empty where there is none
	Size    uint64         `cbor:"17,keyasint"` // of the sealed body
	Sig     keys.Signature `cbor:"18,keyasint"`
}

// version is key 1 of an envelope.
const version = 2

// sigSize is how many bytes key 18 takes at the end: key, byte string head, 64.
const sigSize = 1 + 2 + len(keys.Signature{})

// headSize returns how many bytes the head of a data item takes (RFC 8949 §3).
func headSize(n uint64) int {
	switch {
	case n < 24:
		return 1
	case n < 1<<8:
		return 2
	case n < 1<<16:
		return 3
	case n < 1<<32:
		return 5
	}
	return 9
}

// isReset reports whether this is the one operation that a recovery key signs.
func isReset(f Family, typ uint16) bool { return f == FamilyCheckpoint && typ == TypeReset }

// purposeOf returns what the signature of an operation is for.
func purposeOf(f Family, typ uint16) keys.Purpose {
	if isReset(f, typ) {
		return keys.PurposeReset
	}
	return keys.PurposeOp
}

// Draft is an operation to be signed. Entity is zero for a genesis, User for
// the genesis of Me; About is zero in the control strand, Epoch also in content
// without a body.
type Draft struct {
	Entity, User keys.Digest
	Strand       Strand
	Family       Family
	Type         uint16
	Seq          uint64
	Prev         keys.Digest
	Parents      []keys.Digest // ascending
	Auth         []keys.Digest // ascending
	Epoch        keys.Digest
	At           time.Time
	About        keys.Digest
	Body         []byte // plain in the control strand, sealed in the content strand
	// Seal, if set, makes the body of a content op from the bytes of its envelope that
	// precede it.
	Seal func(aad []byte) []byte
}

// Sign returns d as an operation of the device whose key is k. It fails with
// ErrFormat or ErrTooLarge when the result would not parse.
func Sign(k keys.Private, d Draft) (Op, error) {
	env := envelope{
		V: version, Entity: opt(d.Entity), Strand: d.Strand, Family: d.Family, Type: d.Type, User: opt(d.User),
		Device: k.ID(), Seq: d.Seq, Prev: opt(d.Prev), Parents: d.Parents, Auth: d.Auth, Epoch: opt(d.Epoch),
		At: uint64(max(0, d.At.UnixMilli())), About: opt(d.About),
	}
	body := d.Body
	if d.Seal != nil {
		raw := keys.Marshal(env)
		body = d.Seal(raw[:len(raw)-tailSize(&env)])
	}
	switch {
	case d.Strand != Content:
		env.Body, body = body, nil
	case len(body) > 0:
		hash := sha256.Sum256(body)
		env.Hash, env.Size = hash[:], uint64(len(body))
	}
	raw := keys.Marshal(env)
	env.Sig = k.Sign(purposeOf(env.Family, env.Type), raw[:len(raw)-sigSize])
	copy(raw[len(raw)-len(env.Sig):], env.Sig[:])
	o, err := build(IDOf(raw), raw, &env)
	if err != nil {
		return Op{}, err
	}
	o.signed, o.wire.body = good, body
	return o, nil
}

func opt(d keys.Digest) []byte {
	if d.IsZero() {
		return nil
	}
	return d[:]
}

// tailSize returns how many bytes the keys of an envelope take from the body on.
func tailSize(e *envelope) int {
	body, hash := len(e.Body), len(e.Hash)
	return 1 + headSize(uint64(body)) + body + 1 + headSize(uint64(hash)) + hash + 1 + headSize(e.Size) + sigSize
}

// IDOf returns the id that raw has as an envelope, whether it is one or not.
func IDOf(raw []byte) keys.Digest { return sha256.Sum256(raw) }

// IsZero reports whether o is no operation.
func (o Op) IsZero() bool { return o.op == nil }

// Is reports whether two are the same operation.
func (o Op) Is(other Op) bool {
	return o.op == other.op || o.op != nil && other.op != nil && o.id == other.id
}

// ID returns the SHA-256 of the operation's envelope.
func (o Op) ID() keys.Digest { return o.id[0] }

// Envelope returns the envelope as it was signed, nil where it is in the store only. The
// caller must not change it.
func (o Op) Envelope() []byte {
	if o.wire == nil {
		return nil
	}
	return o.envelope
}

// Entity returns the id of the entity; for a genesis this is the op's own id.
func (o Op) Entity() keys.Digest {
	if o.family == FamilyGenesis {
		return o.id[0]
	}
	return o.who.entity
}

// User returns the id of the author's Me entity.
func (o Op) User() keys.Digest {
	if o.who.user.IsZero() { // the genesis of Me
		return o.id[0]
	}
	return o.who.user
}

// Device returns the key that signed; it is the recovery key in a RESET.
func (o Op) Device() keys.ID { return o.who.device }

// Strand returns the strand.
func (o Op) Strand() Strand { return o.strand }

// Family returns the family.
func (o Op) Family() Family { return o.family }

// Type returns the type within the family.
func (o Op) Type() uint16 { return o.typ }

// Seq returns the place in the device's chain of this strand, from 0.
func (o Op) Seq() uint64 { return uint64(o.seq) }

// Prev returns the op before it in the chain, zero for the first.
func (o Op) Prev() keys.Digest { return orZero(o.prev) }

// Parents returns the heads of the strand that the author had, ascending. The
// caller must not change it.
func (o Op) Parents() []keys.Digest { return o.parents }

// Auth returns the control heads under which a content op was written,
// ascending. The caller must not change it.
func (o Op) Auth() []keys.Digest { return o.auth }

// Epoch returns the id of the op that holds the key of a content op's body, zero where
// there is no sealed body.
func (o Op) Epoch() keys.Digest { return orZero(o.epoch) }

// About returns the op that a content op edits, deletes or comments on, zero for none.
func (o Op) About() keys.Digest { return orZero(o.about) }

func orZero(d *keys.Digest) keys.Digest {
	if d == nil {
		return keys.Digest{}
	}
	return *d
}

// At returns when the author says it was written: for display only.
func (o Op) At() time.Time { return time.UnixMilli(int64(o.at)).UTC() }

// Control returns the body of a control op, CBOR. The caller must not change it.
func (o Op) Control() []byte {
	if o.strand != Control {
		return nil
	}
	end := len(o.envelope) - sigSize - 1 - headSize(0) - 1 - headSize(0) // hash and size are empty
	return o.envelope[end-int(o.size) : end : end]
}

// Size returns how many bytes the sealed body of a content op has, 0 where there is none.
func (o Op) Size() int {
	if o.strand != Content {
		return 0
	}
	return int(o.size)
}

// Here reports whether nothing of an op of a log is missing: the log has its body, or it
// has none.
func (o Op) Here() bool { return o.here || o.Size() == 0 }

// Body returns the sealed body that came with o, nil where none did.
func (o Op) Body() []byte {
	if o.wire == nil {
		return nil
	}
	return o.body
}

// WithBody returns o, which has its envelope, with its body. It fails with ErrBody if
// body is another one.
func (o Op) WithBody(body []byte) (Op, error) {
	if o.Size() == 0 || len(body) != o.Size() || sha256.Sum256(body) != o.hash {
		return Op{}, fmt.Errorf("%w: %d bytes for %v", ErrBody, len(body), o.ID())
	}
	return Op{o.op, &wire{o.envelope, o.hash, body}}, nil
}

// WithoutBody returns o as one whose body is not given.
func (o Op) WithoutBody() Op { return Op{o.op, &wire{o.envelope, o.hash, nil}} }

// AAD returns the additional data of a sealed body: the bytes of the envelope before it.
func (o Op) AAD() []byte { return aadOf(o.envelope, int(o.size)) }

// aadOf is AAD for the envelope of a content op, with the size of its body.
func aadOf(envelope []byte, size int) []byte {
	tail := 1 + headSize(0) + 1 + headSize(0) + 1 + headSize(0) + sigSize
	if size > 0 {
		tail = 1 + headSize(0) + 1 + headSize(32) + 32 + 1 + headSize(uint64(size)) + sigSize
	}
	return envelope[:len(envelope)-tail]
}

// Critical reports whether a node that does not know the type must stop writing.
func (o Op) Critical() bool { return o.typ >= 128 }

// Signed reports whether o, which has its envelope, is authentic by itself: its own
// signature is good. A content op that is not is authentic by one that names it
// (docs/PROTOCOL.md §2.3).
func (o Op) Signed() bool {
	if o.signed != unchecked {
		return o.signed == good
	}
	return o.verify() == nil
}

func (o Op) verify() error {
	signed, sig := o.envelope[:len(o.envelope)-sigSize], keys.Signature(o.envelope[len(o.envelope)-len(keys.Signature{}):])
	if err := o.Device().Verify(purposeOf(o.family, o.typ), signed, sig); err != nil {
		return fmt.Errorf("op %v: %w", o.ID(), err)
	}
	return nil
}

// Pair returns o, which has its envelope, as it travels: with its body, if that is here.
func (o Op) Pair() Pair { return Pair{Envelope: o.envelope, Body: o.Body()} }

// Pair is an operation where it travels (docs/PROTOCOL.md §2.1).
type Pair struct {
	Envelope []byte `cbor:"1,keyasint"`
	Body     []byte `cbor:"2,keyasint,omitempty"` // empty where the sender has or gives none
}

func compare(a, b keys.Digest) int { return bytes.Compare(a[:], b[:]) }
