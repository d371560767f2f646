package oplog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"pttnode/keys"
)

// ErrCorrupt says that a store holds what was never written to it.
var ErrCorrupt = errors.New("oplog: the store is damaged")

const opPrefix = "/o/"

// Put writes o with w: its bytes under /o/<entity>/<id>, the one key of an op;
// everything else is derived when its log is loaded. What it builds on must be in
// the store or in the same batch. After a failed commit a log that has o has what the
// store lacks; load it again.
func Put(ctx context.Context, w datastore.Write, o Op) error {
	if err := w.Put(ctx, opKey(o.Entity(), o.ID()), o.Bytes()); err != nil {
		return fmt.Errorf("put op %v: %w", o.ID(), err)
	}
	return nil
}

func opKey(entity, id keys.Digest) datastore.Key {
	return datastore.RawKey(opPrefix + entity.String() + "/" + id.String())
}

// Load reads every log of a store. The signatures of stored ops were checked
// before they were stored; their hashes are checked again, and a difference
// fails with ErrCorrupt. Ops of a newer format are counted, not read.
func Load(ctx context.Context, r datastore.Read) (logs map[keys.Digest]*Log, newer int, err error) {
	found := make(map[keys.Digest][]Op)
	err = scan(ctx, r, opPrefix, func(key string, value []byte) error {
		o, err := decode(value)
		if errors.Is(err, ErrVersion) {
			newer++
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrCorrupt, key, err)
		}
		if key != opKey(o.Entity(), o.ID()).String() {
			return fmt.Errorf("%w: %s holds %v", ErrCorrupt, key, o.ID())
		}
		found[o.Entity()] = append(found[o.Entity()], o)
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	logs = make(map[keys.Digest]*Log, len(found))
	for entity, ops := range found {
		l := NewLog(entity)
		if left := l.AppendAll(ops); len(left) > 0 {
			return nil, 0, fmt.Errorf("%w: %d ops of %v build on what is missing", ErrCorrupt, len(left), entity)
		}
		logs[entity] = l
	}
	return logs, newer, nil
}

// AppendAll appends ops in whatever order they come and returns those that do
// not fit, in the order given.
func (l *Log) AppendAll(ops []Op) []Op {
	waiting := make(map[keys.Digest][]Op) // by one missing id
	left := make(map[keys.Digest]bool)
	for _, o := range ops {
		for next := []Op{o}; len(next) > 0; {
			o, next = next[len(next)-1], next[:len(next)-1]
			if m := l.Missing(o); len(m) > 0 {
				waiting[m[0]] = append(waiting[m[0]], o)
				left[o.ID()] = true
				continue
			}
			if _, err := l.Append(o); err != nil {
				left[o.ID()] = true
				continue
			}
			delete(left, o.ID())
			next = append(next, waiting[o.ID()]...)
			delete(waiting, o.ID())
		}
	}
	return slices.DeleteFunc(slices.Clone(ops), func(o Op) bool { return !left[o.ID()] })
}

// scan calls f with each key and value below prefix, in key order.
func scan(ctx context.Context, r datastore.Read, prefix string, f func(key string, value []byte) error) error {
	res, err := r.Query(ctx, query.Query{Prefix: strings.TrimSuffix(prefix, "/"), Orders: []query.Order{query.OrderByKey{}}})
	if err != nil {
		return fmt.Errorf("read %s: %w", prefix, err)
	}
	defer res.Close()
	for e := range res.Next() {
		if e.Error != nil {
			return fmt.Errorf("read %s: %w", prefix, e.Error)
		}
		if err := f(e.Key, e.Value); err != nil {
			return err
		}
	}
	return nil
}
