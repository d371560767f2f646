package oplog

import (
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
	ErrSignature = keys.ErrSignature
)

// Op is one authentic operation. The zero Op is none; copying is cheap; two
// copies of one operation that was parsed once are ==.
//
// The format is frozen at v 1 (docs/PROTOCOL.md §2.1): a family or a type may be
// added, a field never. An unknown type is kept, relayed and ignored; an unknown
// type of 128 or more is critical.
type Op struct{ *op }

// op holds little beside its bytes, since all operations stay in memory: what is long
// is read from there.
type op struct {
	id            keys.Digest
	raw           []byte // of a bare one its envelope and the checkpoint that drops it
	parents, auth []keys.Digest
	seq, at       uint64
	body          int32 // length; bare where there is none
	typ           uint16
	strand        Strand
	family        Family
	fields        fields
	signed        bool // the signature was checked and is good; else nobody has looked, or it is bad
}

// bare is the length of the body of an op that is known by its stub only.
const bare = -1

// fields says where in the bytes what is 32 bytes long begins: 0 where it is empty.
type fields struct{ entity, user, device, prev, epoch uint16 }

// fieldsOf returns where the fields of an envelope are in its encoding, which is the
// deterministic one: each is a key and a head and what it holds.
func fieldsOf(e *envelope) (f fields) {
	at := 1 // the head of the map
	pass := func(n uint64, size int) { at += 1 + headSize(n) + size }
	field := func(b []byte) (begins uint16) {
		if len(b) > 0 {
			begins = uint16(at + 1 + headSize(uint64(len(b))))
		}
		pass(uint64(len(b)), len(b))
		return begins
	}
	const listed = 2 + len(keys.Digest{}) // an id in a list
	pass(e.V, 0)
	f.entity = field(e.Entity)
	pass(uint64(e.Strand), 0)
	pass(uint64(e.Family), 0)
	pass(uint64(e.Type), 0)
	f.user = field(e.User)
	f.device = field(e.Device[:])
	pass(e.Seq, 0)
	f.prev = field(e.Prev)
	pass(uint64(len(e.Parents)), len(e.Parents)*listed)
	pass(uint64(len(e.Auth)), len(e.Auth)*listed)
	f.epoch = field(e.Epoch)
	return f
}

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

// envelope is the wire form. The order of keys is the order of the bytes, so
// everything before key 14 is the additional data of a sealed body and
// everything before key 15 is what is signed.
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
	Epoch   []byte         `cbor:"12,keyasint"` // 32 bytes; empty in the control strand
	At      uint64         `cbor:"13,keyasint"` // Unix milliseconds
	Body    []byte         `cbor:"14,keyasint"`
	Sig     keys.Signature `cbor:"15,keyasint"`
}

// sigSize is how many bytes key 15 takes at the end: key, byte string head, 64.
const sigSize = 1 + 2 + len(keys.Signature{})

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
// the genesis of Me, Epoch in the control strand.
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
	Body         []byte
	// Seal, if set, makes the body from the bytes that precede it.
	Seal func(aad []byte) []byte
}

// Sign returns d as an operation of the device whose key is k. It fails with
// ErrFormat or ErrTooLarge when the result would not parse.
func Sign(k keys.Private, d Draft) (Op, error) {
	env := envelope{
		V: 1, Entity: opt(d.Entity), Strand: d.Strand, Family: d.Family, Type: d.Type, User: opt(d.User),
		Device: k.ID(), Seq: d.Seq, Prev: opt(d.Prev), Parents: d.Parents, Auth: d.Auth, Epoch: opt(d.Epoch),
		At: uint64(max(0, d.At.UnixMilli())), Body: d.Body,
	}
	if d.Seal != nil {
		raw := keys.Marshal(env)
		env.Body = d.Seal(raw[:bodyAt(raw, len(env.Body))])
	}
	raw := keys.Marshal(env)
	env.Sig = k.Sign(purposeOf(env.Family, env.Type), raw[:len(raw)-sigSize])
	copy(raw[len(raw)-len(env.Sig):], env.Sig[:])
	o, err := build(IDOf(raw), raw, env, int32(len(env.Body)))
	if err == nil {
		o.signed = true
	}
	return o, err
}

func opt(d keys.Digest) []byte {
	if d.IsZero() {
		return nil
	}
	return d[:]
}

// bodyAt returns where key 14 begins in an encoding whose body has n bytes.
func bodyAt(raw []byte, n int) int { return len(raw) - sigSize - 1 - headSize(uint64(n)) - n }

// Signed reports whether o is authentic by itself: its own signature is good, or it is
// bare. A content op that is not is authentic by a whole one that names it
// (docs/PROTOCOL.md §2.3).
func (o Op) Signed() bool { return o.Bare() || o.signed || o.verify() == nil }

// IDOf returns the id that raw has as an operation, whether it is one or not.
func IDOf(raw []byte) keys.Digest { return sha256.Sum256(raw) }

// IsZero reports whether o is no operation.
func (o Op) IsZero() bool { return o.op == nil }

// ID returns the SHA-256 of the operation's bytes.
func (o Op) ID() keys.Digest { return o.id }

// Bytes returns the operation as it was signed, nil where only its stub is left. The
// caller must not change it.
func (o Op) Bytes() []byte {
	if o.Bare() {
		return nil
	}
	return o.raw
}

// Entity returns the id of the entity; for a genesis this is the op's own id.
func (o Op) Entity() keys.Digest {
	if o.fields.entity == 0 {
		return o.id
	}
	return o.field(o.fields.entity)
}

// field returns what begins at a place of the bytes, zero for an empty field.
func (o Op) field(at uint16) (d keys.Digest) {
	if at > 0 {
		copy(d[:], o.raw[at:])
	}
	return d
}

// User returns the id of the author's Me entity.
func (o Op) User() keys.Digest {
	if o.fields.user == 0 { // the genesis of Me
		return o.id
	}
	return o.field(o.fields.user)
}

// Device returns the key that signed; it is the recovery key in a RESET.
func (o Op) Device() keys.ID { return keys.ID(o.field(o.fields.device)) }

// Strand returns the strand.
func (o Op) Strand() Strand { return o.strand }

// Family returns the family.
func (o Op) Family() Family { return o.family }

// Type returns the type within the family.
func (o Op) Type() uint16 { return o.typ }

// Seq returns the place in the device's chain of this strand, from 0.
func (o Op) Seq() uint64 { return o.seq }

// Prev returns the op before it in the chain, zero for the first.
func (o Op) Prev() keys.Digest { return o.field(o.fields.prev) }

// Parents returns the heads of the strand that the author had, ascending. The
// caller must not change it.
func (o Op) Parents() []keys.Digest { return o.parents }

// Auth returns the control heads under which a content op was written,
// ascending. The caller must not change it.
func (o Op) Auth() []keys.Digest { return o.auth }

// Epoch returns the id of the op that holds the key of a content op's body.
func (o Op) Epoch() keys.Digest { return o.field(o.fields.epoch) }

// At returns when the author says it was written: for display only.
func (o Op) At() time.Time { return time.UnixMilli(int64(o.at)).UTC() }

// Body returns the body: CBOR in the control strand, sealed bytes in the
// content strand, nil where only its stub is left. The caller must not change it.
func (o Op) Body() []byte {
	if o.Bare() {
		return nil
	}
	end := len(o.raw) - sigSize
	return o.raw[end-int(o.body) : end : end]
}

// AAD returns the additional data of a sealed body: the bytes before it.
func (o Op) AAD() []byte {
	if o.Bare() {
		return o.raw[:len(o.raw)-len(keys.Digest{})]
	}
	return o.raw[:bodyAt(o.raw, int(o.body))]
}

// Critical reports whether a node that does not know the type must stop writing.
func (o Op) Critical() bool { return o.typ >= 128 }
