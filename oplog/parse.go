package oplog

import (
	"bytes"
	"fmt"

	"pttnode/keys"
)

// Parse checks the bytes of an envelope and its signature and returns the operation,
// without a body. It keeps a copy of raw. It fails with ErrFormat, ErrVersion,
// ErrTooLarge or ErrSignature.
func Parse(raw []byte) (Op, error) {
	o, err := decode(raw)
	if err != nil {
		return Op{}, err
	}
	if err := o.verify(); err != nil {
		return Op{}, err
	}
	o.signed = good
	return o, nil
}

// ParseChain parses the envelopes of consecutive content operations of one device,
// oldest first: it checks the signature of the last and the hashes of the others
// (docs/PROTOCOL.md §2.3). It fails with ErrChain when one does not name the one
// before it, and else like Parse.
func ParseChain(raws [][]byte) ([]Op, error) {
	ops := make([]Op, len(raws))
	for i, raw := range raws {
		o, err := decode(raw)
		if err != nil {
			return nil, err
		}
		if o.strand != Content {
			return nil, fmt.Errorf("%w: control op %v in a chain", ErrChain, o.ID())
		}
		if i > 0 {
			if p := ops[i-1]; !follows(p, o) {
				return nil, fmt.Errorf("%w: %v does not follow %v", ErrChain, o.ID(), p.ID())
			}
		}
		ops[i] = o
	}
	if len(ops) > 0 {
		if err := ops[len(ops)-1].verify(); err != nil {
			return nil, err
		}
	}
	return ops, nil
}

// follows reports whether o is the next content op of p's device after p.
func follows(p, o Op) bool {
	return o.prev != nil && *o.prev == p.ID() && o.Device() == p.Device() && o.seq == p.seq+1 && o.Entity() == p.Entity() && o.strand == p.strand
}

// decode parses raw, of which it keeps a copy, but for the signature.
func decode(raw []byte) (Op, error) { return decodeOwn(IDOf(raw), bytes.Clone(raw)) }

// decodeOwn is decode for bytes that it may keep, and their hash.
func decodeOwn(id keys.Digest, raw []byte) (Op, error) {
	if len(raw) > MaxControl {
		return Op{}, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(raw))
	}
	// {1: v, …}: the version decides whether the rest may be read at all.
	if len(raw) > 3 && raw[0]>>5 == majorMap && raw[1] == 1 {
		r := reader{rest: raw[2:]}
		if v := r.head(majorUint); v > version {
			return Op{}, fmt.Errorf("%w: v %d", ErrVersion, v)
		}
	}
	env, err := unmarshal(raw)
	if err != nil {
		return Op{}, err
	}
	return build(id, raw, &env)
}

// build checks the envelope's own rules and builds the Op around raw, which it takes over.
func build(id keys.Digest, raw []byte, env *envelope) (Op, error) {
	bad := func(why string) (Op, error) { return Op{}, fmt.Errorf("%w: %s", ErrFormat, why) }
	if env.V != version {
		return bad("not v 2") // decode knows the newer ones
	}
	for _, id := range [...][]byte{env.Entity, env.User, env.Epoch, env.Prev, env.About, env.Hash} {
		switch {
		case len(id) != 0 && len(id) != len(keys.Digest{}):
			return bad("an id is not 32 bytes")
		case len(id) != 0 && keys.Digest(id).IsZero():
			return bad("an id is all zero")
		}
	}
	reset := isReset(env.Family, env.Type)
	switch {
	case !ascending(env.Parents) || !ascending(env.Auth):
		return bad("parents or auth not ascending")
	case len(env.Parents) > MaxParents || len(env.Auth) > MaxParents:
		return bad("too many parents or auth")
	case env.At > maxAt:
		return bad("at beyond the calendar")
	case env.Seq > maxSeq:
		return bad("seq beyond the bound")
	case reset && (len(env.Prev) != 0 || env.Seq != 0), !reset && (env.Seq == 0) != (len(env.Prev) == 0):
		return bad("seq and prev disagree")
	case (len(env.Hash) == 0) != (env.Size == 0):
		return bad("hash and size disagree")
	}
	size := env.Size
	switch env.Strand {
	case Control:
		genesis := env.Family == FamilyGenesis
		switch {
		case len(raw) > MaxControl:
			return Op{}, fmt.Errorf("%w: control op of %d bytes", ErrTooLarge, len(raw))
		case env.Family == 0 || env.Family >= FamilyArticle:
			return bad("family of the other strand")
		case len(env.Auth) != 0 || len(env.Epoch) != 0 || len(env.About) != 0 || len(env.Hash) != 0:
			return bad("control op with auth, epoch, about or hash")
		case genesis != (len(env.Entity) == 0), genesis != (len(env.Parents) == 0):
			return bad("only a genesis has neither entity nor parents")
		case genesis && env.Seq != 0, !genesis && len(env.User) == 0:
			return bad("genesis or user out of place")
		}
		size = uint64(len(env.Body))
	case Content:
		switch {
		case len(raw) > MaxEnvelope:
			return Op{}, fmt.Errorf("%w: envelope of %d bytes", ErrTooLarge, len(raw))
		case env.Size > MaxBody:
			return Op{}, fmt.Errorf("%w: body of %d bytes", ErrTooLarge, env.Size)
		case env.Family < FamilyArticle || len(env.Entity) == 0 || len(env.User) == 0 || len(env.Auth) == 0:
			return bad("content op without family, entity, user or auth")
		case (len(env.Epoch) == 0) != (env.Size == 0):
			return bad("epoch and size disagree")
		case len(env.Body) != 0:
			return bad("content op with a body inside")
		}
	default:
		return bad("unknown strand")
	}
	o := &op{
		id: [1]keys.Digest{id}, parents: env.Parents, auth: env.Auth, at: env.At, seq: uint32(env.Seq), size: uint32(size),
		typ: env.Type, strand: env.Strand, family: env.Family,
		who: &author{entity: toDigest(env.Entity), user: toDigest(env.User), device: env.Device},
	}
	ids := &[3]keys.Digest{toDigest(env.Prev), toDigest(env.Epoch), toDigest(env.About)}
	o.prev, o.epoch, o.about = orNil(&ids[0]), orNil(&ids[1]), orNil(&ids[2])
	return Op{o, &wire{envelope: raw, hash: toDigest(env.Hash)}}, nil
}

// toDigest returns what b, which has 32 bytes or none, says.
func toDigest(b []byte) (d keys.Digest) {
	copy(d[:], b)
	return d
}

func orNil(d *keys.Digest) *keys.Digest {
	if d.IsZero() {
		return nil
	}
	return d
}

func ascending(ids []keys.Digest) bool {
	for i := 1; i < len(ids); i++ {
		if bytes.Compare(ids[i-1][:], ids[i][:]) >= 0 {
			return false
		}
	}
	return true
}
