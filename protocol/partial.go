package protocol

import (
	"bytes"
	"fmt"
	"slices"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// Strand is what an approval says of an entity's control strand, of which it may carry
// only the beginning.
type Strand struct {
	Heads []keys.Digest `cbor:"1,keyasint"` // ascending, MaxTips at most
	Ops   uint64        `cbor:"2,keyasint"`
	Bytes uint64        `cbor:"3,keyasint"`
}

// Pack returns what an approval says of e's control strand, and as many of its operations,
// from the first on, as fit into room bytes. The admit is among the ancestors of the heads.
func Pack(e *entity.Entity, admit keys.Digest, room int) (s Strand, logs [][]byte) {
	fits := true
	for _, raw := range e.ControlStrand() {
		s.Ops, s.Bytes = s.Ops+1, s.Bytes+uint64(len(raw))
		if fits = fits && s.Bytes <= uint64(max(room, 0)); fits {
			logs = append(logs, raw)
		}
	}
	s.Heads = e.Log().Heads(oplog.Control)
	if len(s.Heads) > MaxTips {
		if s.Heads = s.Heads[:MaxTips]; !e.Saw(s.Heads, admit) {
			s.Heads[MaxTips-1] = admit
			slices.SortFunc(s.Heads, compareIDs)
		}
	}
	return s, logs
}

func compareIDs(a, b keys.Digest) int { return bytes.Compare(a[:], b[:]) }

// Open judges the operations of an approval one by one and checks that they go with what
// it says of the whole: with all heads among them there are as many as it says, else fewer.
func (s Strand) Open(id keys.Digest, logs [][]byte) (*entity.Entity, error) {
	size := uint64(0)
	for _, raw := range logs {
		size += uint64(len(raw))
	}
	n := uint64(len(logs))
	switch {
	case len(s.Heads) == 0 || len(s.Heads) > MaxTips || !slices.IsSortedFunc(s.Heads, compareIDs) || len(slices.Compact(slices.Clone(s.Heads))) < len(s.Heads):
		return nil, fmt.Errorf("%w: %d heads of a control strand", ErrFrame, len(s.Heads))
	case n > s.Ops || size > s.Bytes || s.Ops-n > (s.Bytes-size)/leastOp:
		return nil, fmt.Errorf("%w: %d ops of %d bytes, of %d of %d bytes", ErrProof, n, size, s.Ops, s.Bytes)
	}
	e, err := entity.OpenStrand(id, logs)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	if whole := e.Holds(s.Heads); whole && len(s.Heads) < MaxTips && (n != s.Ops || size != s.Bytes) || !whole && n == s.Ops {
		return nil, fmt.Errorf("%w: %d ops of %d, with all heads: %v", ErrProof, n, s.Ops, whole)
	}
	return e, nil
}

// Most returns how many operations and bytes may come of a control strand before its heads
// are there: it may have grown since its approval.
func (s Strand) Most() (ops, bytes uint64) {
	return s.Ops + s.Ops/4 + moreOps, s.Bytes + s.Bytes/4 + moreBytes
}

// Partial is an approval as its requester keeps it while the rest of the control strand is
// fetched: sealed, and nothing of it used.
type Partial struct {
	Entity keys.Digest       `cbor:"1,keyasint"`
	Kind   entity.Kind       `cbor:"2,keyasint"`
	Admit  keys.Digest       `cbor:"3,keyasint"`
	Ref    [16]byte          `cbor:"4,keyasint"`
	Card   []keys.Digest     `cbor:"5,keyasint"` // heads that the card showed
	Strand Strand            `cbor:"6,keyasint"`
	Keys   []entity.EpochKey `cbor:"7,keyasint"`
	Addrs  [][]byte          `cbor:"8,keyasint"`
	Issuer [][]byte          `cbor:"9,keyasint"` // the issuer's device chain
	Chains [][][]byte        `cbor:"10,keyasint"`
}

func (p Partial) approval() entity.Approval {
	return entity.Approval{Entity: p.Entity, Admit: p.Admit, Heads: p.Strand.Heads, Keys: p.Keys}
}

// Judge judges an approval whose control strand is here: it was judged op by op, and is e;
// me is the requester's own identity. Any failure: keep nothing. It fails with
// entity.ErrRemoved and entity.ErrEnded where nobody lied.
func (p Partial) Judge(e, me *entity.Entity) (*Joined, error) {
	issuer, err := entity.OpenDeviceChain(p.Issuer)
	if err != nil {
		return nil, err
	}
	ring, err := entity.CreateJoinEntity(e, p.approval(), entity.Wanted{
		Kind: p.Kind, Me: me, By: issuer.User(), Ref: &p.Ref, Heads: p.Card,
	})
	if err != nil {
		return nil, err
	}
	if m, ok := e.State().Member(issuer.User()); p.Kind == entity.Friend && (!ok || !m.Party.Same(entity.PartyOf(issuer, ""))) {
		return nil, fmt.Errorf("%w: a friendship founded with other devices than the issuer's", ErrProof)
	}
	joined := &Joined{Entity: e, Ring: ring, Issuer: issuer, Addrs: p.Addrs}
	for _, raws := range p.Chains {
		of, err := entity.OpenDeviceChain(raws)
		if err != nil {
			return nil, err
		}
		if _, ok := e.State().Member(of.User()); !ok {
			return nil, fmt.Errorf("%w: device chain of a stranger", ErrProof)
		}
		joined.Chains = append(joined.Chains, of)
	}
	return joined, nil
}
