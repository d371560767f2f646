package oplog

import (
	"bytes"
	"fmt"

	"pttnode/keys"
)

// Parse checks raw and its signature and returns the operation. It keeps a copy
// of raw. It fails with ErrFormat, ErrVersion, ErrTooLarge or ErrSignature.
func Parse(raw []byte) (Op, error) {
	o, err := decode(raw)
	if err != nil {
		return Op{}, err
	}
	if err := o.verify(); err != nil {
		return Op{}, err
	}
	o.signed = true
	return o, nil
}

// ParseChain parses consecutive content operations of one device, oldest first:
// it checks the signature of the last and the hashes of the others
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
			return nil, fmt.Errorf("%w: control op %v in a chain", ErrChain, o.id)
		}
		if i > 0 {
			if p := ops[i-1]; !follows(p, o) {
				return nil, fmt.Errorf("%w: %v does not follow %v", ErrChain, o.id, p.id)
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
	return o.Prev() == p.id && o.Device() == p.Device() && o.seq == p.seq+1 && o.Entity() == p.Entity() && o.strand == p.strand
}

// decode parses raw, of which it keeps a copy, but for the signature.
func decode(raw []byte) (Op, error) { return decodeOwn(IDOf(raw), bytes.Clone(raw)) }

// decodeOwn is decode for bytes that it may keep, and their hash.
func decodeOwn(id keys.Digest, raw []byte) (Op, error) {
	if len(raw) > MaxContent {
		return Op{}, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(raw))
	}
	// {1: v, …}: the version decides whether the rest may be read at all.
	if len(raw) > 3 && raw[0]>>5 == majorMap && raw[1] == 1 {
		r := reader{rest: raw[2:]}
		if v := r.head(majorUint); v > 1 {
			return Op{}, fmt.Errorf("%w: v %d", ErrVersion, v)
		}
	}
	env, err := unmarshal(raw)
	if err != nil {
		return Op{}, err
	}
	return build(id, raw, env, int32(len(env.Body)))
}

// build checks the envelope's own rules and builds the Op around raw, which it takes over.
func build(id keys.Digest, raw []byte, env envelope, body int32) (Op, error) {
	o := &op{
		id: id, raw: raw, parents: env.Parents, auth: env.Auth, seq: env.Seq, at: env.At, body: body,
		typ: env.Type, strand: env.Strand, family: env.Family,
	}
	bad := func(why string) (Op, error) { return Op{}, fmt.Errorf("%w: %s", ErrFormat, why) }
	if env.V != 1 {
		return bad("v is not 1") // 0: decode knows the newer ones
	}
	for _, id := range [...][]byte{env.Entity, env.User, env.Epoch, env.Prev} {
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
	case reset && (len(env.Prev) != 0 || env.Seq != 0), !reset && (env.Seq == 0) != (len(env.Prev) == 0):
		return bad("seq and prev disagree")
	}
	switch env.Strand {
	case Control:
		genesis := env.Family == FamilyGenesis
		switch {
		case len(raw) > MaxControl:
			return Op{}, fmt.Errorf("%w: control op of %d bytes", ErrTooLarge, len(raw))
		case env.Family == 0 || env.Family >= FamilyArticle:
			return bad("family of the other strand")
		case len(env.Auth) != 0 || len(env.Epoch) != 0:
			return bad("control op with auth or epoch")
		case genesis != (len(env.Entity) == 0), genesis != (len(env.Parents) == 0):
			return bad("only a genesis has neither entity nor parents")
		case genesis && env.Seq != 0, !genesis && len(env.User) == 0:
			return bad("genesis or user out of place")
		}
	case Content:
		if len(raw) > MaxContent {
			return Op{}, fmt.Errorf("%w: content op of %d bytes", ErrTooLarge, len(raw))
		}
		if env.Family < FamilyArticle || len(env.Entity) == 0 || len(env.User) == 0 || len(env.Epoch) == 0 || len(env.Auth) == 0 {
			return bad("content op without family, entity, user, epoch or auth")
		}
	default:
		return bad("unknown strand")
	}
	o.fields = fieldsOf(&env)
	return Op{o}, nil
}

func ascending(ids []keys.Digest) bool {
	for i := 1; i < len(ids); i++ {
		if bytes.Compare(ids[i-1][:], ids[i][:]) >= 0 {
			return false
		}
	}
	return true
}

func (o Op) verify() error {
	signed, sig := o.raw[:len(o.raw)-sigSize], keys.Signature(o.raw[len(o.raw)-len(keys.Signature{}):])
	if err := o.Device().Verify(purposeOf(o.family, o.typ), signed, sig); err != nil {
		return fmt.Errorf("op %v: %w", o.id, err)
	}
	return nil
}
