package testnet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// stored is what a peer's store holds.
type stored struct {
	peer     *Peer
	user     keys.Digest
	entities map[keys.Digest]*entity.Entity
	invites  []invite.Record
}

// stored reads a peer's store as a restart would.
func (p *Peer) stored(signatures bool) (*stored, error) {
	ctx := context.Background()
	logs, err := oplog.Load(ctx, p.Store, oplogtest.FromStore(ctx, p.Store))
	if err != nil {
		return nil, err
	}
	s := &stored{peer: p, user: p.User(), entities: make(map[keys.Digest]*entity.Entity)}
	for id, log := range logs {
		e, err := entity.Open(log)
		if err != nil {
			return nil, fmt.Errorf("fold %v: %w", id, err)
		}
		s.entities[id] = e
	}
	if s.invites, err = p.invites(); err == nil && signatures {
		err = s.authentic()
	}
	return s, err
}

// invites reads the invites of a store with its vault.
func (p *Peer) invites() (out []invite.Record, err error) {
	err = p.each("/i", func(key string, value []byte) error {
		r, err := unsealed[invite.Record](p, key, value)
		out = append(out, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, p.each("/u", func(key string, value []byte) error {
		c, err := unsealed[invite.Claim](p, key, value)
		i := slices.IndexFunc(out, func(r invite.Record) bool { return strings.HasPrefix(key, "/u/"+r.ID+"/") })
		if i < 0 {
			return errors.New("a claim of no invite")
		}
		out[i].Claims = append(out[i].Claims, &c)
		return err
	})
}

// unsealed reads a sealed record of a store.
func unsealed[T any](p *Peer, key string, value []byte) (record T, err error) {
	plain, err := p.vault.Open(key, value)
	if err != nil {
		return record, err
	}
	return record, keys.Unmarshal(plain, &record)
}

// authentic checks that whoever gets a stored log whole believes all of it, with the bodies
// that are there.
func (s *stored) authentic() error {
	for id, e := range s.entities {
		var pairs []oplog.Pair
		for _, strand := range []oplog.Strand{oplog.Control, oplog.Content} {
			for o := range e.Log().All(strand) {
				whole, err := e.Log().Whole(o)
				if err != nil {
					return err
				}
				if whole.Size() > 0 && o.Here() != (whole.Body() != nil) {
					return fmt.Errorf("the body of %v of %v is here: %t", o.ID(), id, o.Here())
				}
				pairs = append(pairs, whole.Pair())
			}
		}
		if got := len(oplog.ParseBatch(oplog.HashAll(pairs))); got != len(pairs) {
			return fmt.Errorf("of %d operations of %v %d are authentic", len(pairs), id, got)
		}
	}
	return nil
}

// each calls f with every entry of the store below a prefix.
func (p *Peer) each(prefix string, f func(key string, value []byte) error) error {
	res, err := p.Store.Query(context.Background(), query.Query{Prefix: prefix, Orders: []query.Order{query.OrderByKey{}}})
	if err != nil {
		return err
	}
	all, err := res.Rest()
	if err != nil {
		return err
	}
	for _, e := range all {
		if err := f(datastore.RawKey(e.Key).String(), e.Value); err != nil {
			return fmt.Errorf("%s: %w", e.Key, err)
		}
	}
	return nil
}

func (s *stored) active(id keys.Digest) bool {
	e, ok := s.entities[id]
	if !ok {
		return false
	}
	m, ok := e.State().Member(s.user)
	return ok && m.Standing == entity.Active
}
