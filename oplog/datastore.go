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

const (
	opPrefix      = "/o/"
	droppedPrefix = "/s/"
)

// bareMark begins the value of an op of which the stub is left, and no op: the list that
// has it follows.
const bareMark = 0

// Put writes o with w: its bytes under /o/<entity>/<id>, the one key of an op;
// everything else is derived when its log is loaded. What it builds on must be in
// the store or in the same batch, and with a bare op the list that it is in. After a
// failed commit a log that has o has what the store lacks; load it again.
func Put(ctx context.Context, w datastore.Write, o Op) error {
	value := o.Bytes()
	if by := o.DroppedBy(); o.Bare() {
		value = append([]byte{bareMark}, by[:]...)
	}
	if err := w.Put(ctx, opKey(o.Entity(), o.ID()), value); err != nil {
		return fmt.Errorf("put op %v: %w", o.ID(), err)
	}
	return nil
}

// PutDropped writes a list of stubs with w, under /s/<entity>/<checkpoint>.
func PutDropped(ctx context.Context, w datastore.Write, entity keys.Digest, d Dropped) error {
	if err := w.Put(ctx, datastore.RawKey(droppedPrefix+entity.String()+"/"+d.Checkpoint.String()), keys.Marshal(d.Stubs)); err != nil {
		return fmt.Errorf("put what %v drops: %w", d.Checkpoint, err)
	}
	return nil
}

func opKey(entity, id keys.Digest) datastore.Key {
	b := append(make([]byte, 0, 128), opPrefix...)
	b, _ = entity.AppendText(b) // it cannot fail
	b, _ = id.AppendText(append(b, '/'))
	return datastore.RawKey(string(b))
}

// KeysOf returns the prefix of the keys of an entity's ops.
func KeysOf(entity keys.Digest) string { return opPrefix + entity.String() + "/" }

// Load reads every log of a store. The signatures of stored ops were checked
// before they were stored; their hashes are checked again, and a difference
// fails with ErrCorrupt. Ops of a newer format are counted, not read.
func Load(ctx context.Context, r datastore.Read) (logs map[keys.Digest]*Log, newer int, err error) {
	found := make(map[keys.Digest][]Op)
	lists, stubs, err := loadDropped(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	err = scan(ctx, r, opPrefix, func(key string, value []byte) error {
		o, err := decodeStored(key, value, stubs)
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
		for _, d := range lists[entity] {
			l.KeepDropped(d)
		}
		if left := l.AppendAll(ops); len(left) > 0 {
			return nil, 0, fmt.Errorf("%w: %d ops of %v build on what is missing", ErrCorrupt, len(left), entity)
		}
		logs[entity] = l
	}
	return logs, newer, nil
}

// bareKey names a stub in a list.
type bareKey struct{ entity, checkpoint, id keys.Digest }

// loadDropped reads all lists, by entity, and the stubs in them.
func loadDropped(ctx context.Context, r datastore.Read) (lists map[keys.Digest][]Dropped, stubs map[bareKey]Op, err error) {
	lists, stubs = make(map[keys.Digest][]Dropped), make(map[bareKey]Op)
	err = scan(ctx, r, droppedPrefix, func(key string, value []byte) error {
		parts := strings.Split(strings.TrimPrefix(key, droppedPrefix), "/")
		if len(parts) != 2 {
			return fmt.Errorf("%w: %s", ErrCorrupt, key)
		}
		entity, err1 := keys.ParseDigest(parts[0])
		checkpoint, err2 := keys.ParseDigest(parts[1])
		d := Dropped{Checkpoint: checkpoint}
		if err := errors.Join(err1, err2, keys.Unmarshal(value, &d.Stubs)); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrCorrupt, key, err)
		}
		ops, err := d.Ops(entity)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrCorrupt, key, err)
		}
		for _, o := range ops {
			stubs[bareKey{entity, checkpoint, o.id}] = o
		}
		lists[entity] = append(lists[entity], d)
		return nil
	})
	return lists, stubs, err
}

// decodeStored is decode for the value of an op's key.
func decodeStored(key string, value []byte, stubs map[bareKey]Op) (Op, error) {
	if len(value) != 1+len(keys.Digest{}) || value[0] != bareMark {
		return decode(value)
	}
	parts := strings.Split(strings.TrimPrefix(key, opPrefix), "/")
	if len(parts) != 2 {
		return Op{}, ErrFormat
	}
	entity, err1 := keys.ParseDigest(parts[0])
	id, err2 := keys.ParseDigest(parts[1])
	o, ok := stubs[bareKey{entity, keys.Digest(value[1:]), id}]
	if !ok {
		return Op{}, errors.Join(ErrMissing, err1, err2)
	}
	return o, nil
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
