package oplog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"pttnode/keys"
)

// ErrCorrupt says that a store holds what was never written to it.
var ErrCorrupt = errors.New("oplog: the store is damaged")

// An op is in the store under its row, its place in the log by arrival: what is written,
// read at a start and sent to others in one go stands in one piece of the disk.
//
//	/o/<entity>/<row>   one byte, 1 if the body is here, the first 8 of the id, and the envelope
//	/b/<entity>/<row>   the sealed body, if it is here
//
// A row is two names, the page that it is in and its place there.
const (
	opPrefix   = "/o/"
	bodyPrefix = "/b/"
)

// The first byte of an op's value: whether its body is here.
const (
	bodyAway byte = 0
	bodyHere byte = 1
)

// pageSize is how many rows a page has.
const pageSize = 256

// checkSize is how many bytes of its id an op has beside it in the store: nothing else
// says what the last op of each device should be.
const checkSize = 8

// encodeStored returns an op's value.
func encodeStored(says byte, id keys.Digest, envelope []byte) []byte {
	value := append(make([]byte, 0, 1+checkSize+len(envelope)), says)
	return append(append(value, id[:checkSize]...), envelope...)
}

// decodeStored reads an op's value, which the op keeps. It fails with ErrCorrupt, or with
// ErrVersion.
func decodeStored(value []byte) (o Op, here bool, err error) {
	if len(value) < 1+checkSize || value[0] > bodyHere {
		return Op{}, false, fmt.Errorf("%w: no op", ErrCorrupt)
	}
	envelope := value[1+checkSize:]
	id := IDOf(envelope)
	if !bytes.Equal(id[:checkSize], value[1:1+checkSize]) {
		return Op{}, false, fmt.Errorf("%w: another op", ErrCorrupt)
	}
	o, err = decodeOwn(id, envelope)
	if err != nil && !errors.Is(err, ErrVersion) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return o, value[0] == bodyHere, err
}

// Put writes an op of the log with w: o has its envelope, and its body if that is here.
// The ops that it builds on must be in the store or in the same batch. After a failed commit the
// log has what the store lacks; load it again.
func (l *Log) Put(ctx context.Context, w datastore.Write, o Op) error {
	at, ok := l.ops[o.ID()]
	if !ok {
		return fmt.Errorf("put op %v: %w", o.ID(), ErrMissing)
	}
	says := bodyHere
	if !at.here {
		says = bodyAway
	}
	if err := w.Put(ctx, l.key(opPrefix, at.row), encodeStored(says, o.ID(), o.envelope)); err != nil {
		return fmt.Errorf("put op %v: %w", o.ID(), err)
	}
	if at.here && at.strand == Content && at.size > 0 {
		if err := w.Put(ctx, l.key(bodyPrefix, at.row), o.body); err != nil {
			return fmt.Errorf("put the body of %v: %w", o.ID(), err)
		}
	}
	return nil
}

// PutLetGo writes with w that the body of an op of the log, which has its envelope, is not
// here any more.
func (l *Log) PutLetGo(ctx context.Context, w datastore.Write, o Op) error {
	if err := l.Put(ctx, w, o); err != nil {
		return err
	}
	if err := w.Delete(ctx, l.key(bodyPrefix, l.ops[o.ID()].row)); err != nil {
		return fmt.Errorf("let go of the body of %v: %w", o.ID(), err)
	}
	return nil
}

// key names a row: /<page>/<place>, a page being pageSize rows, which are read at once.
func (l *Log) key(prefix string, row uint32) datastore.Key {
	var b [80]byte
	return datastore.RawKey(string(appendHex(append(l.page(b[:0], prefix, row), '/'), row%pageSize, 2)))
}

func (l *Log) page(b []byte, prefix string, row uint32) []byte {
	b = append(b, prefix...)
	b, _ = l.entity.AppendText(b) // it cannot fail
	return appendHex(append(b, '/'), row/pageSize, 6)
}

// appendHex appends the last digits of n.
func appendHex(b []byte, n uint32, digits int) []byte {
	for digits--; digits >= 0; digits-- {
		b = append(b, "0123456789abcdef"[n>>(4*digits)&15])
	}
	return b
}

// BodiesOf returns the prefix of the keys of the bodies of an entity.
func BodiesOf(entity keys.Digest) string { return bodyPrefix + entity.String() + "/" }

// ReadWhole returns an op of the log with its envelope, and with its body if that is here,
// from a store. It fails with ErrCorrupt where they are not what was written.
func (l *Log) ReadWhole(ctx context.Context, r datastore.Read, o Op) (Op, error) {
	value, err := get(ctx, r, l.key(opPrefix, o.row))
	if err != nil {
		return Op{}, fmt.Errorf("read op %v: %w", o.ID(), err)
	}
	whole, here, err := o.stored(value)
	if err != nil || o.Size() == 0 || !here {
		return whole, err
	}
	body, err := get(ctx, r, l.key(bodyPrefix, o.row))
	if errors.Is(err, datastore.ErrNotFound) { // perhaps it was let go of between the two
		if value, again := get(ctx, r, l.key(opPrefix, o.row)); again == nil && value[0] == bodyAway {
			return whole, nil
		}
	}
	if err != nil {
		return Op{}, fmt.Errorf("read the body of %v: %w", o.ID(), err)
	}
	return whole.storedBody(body)
}

// stored returns an op of a log with the envelope that its value has, and whether its body
// is in the store.
func (o Op) stored(value []byte) (whole Op, here bool, err error) {
	if len(value) < 1+checkSize || value[0] > bodyHere || !bytes.Equal(value[1:1+checkSize], o.id[0][:checkSize]) || IDOf(value[1+checkSize:]) != o.ID() {
		return Op{}, false, fmt.Errorf("%w: another value in place of op %v", ErrCorrupt, o.ID())
	}
	w := &wire{envelope: value[1+checkSize:]}
	if o.Size() > 0 { // the hash stands before size and signature
		end := len(w.envelope) - sigSize - 1 - headSize(uint64(o.size))
		copy(w.hash[:], w.envelope[end-len(w.hash):end])
	}
	return Op{o.op, w}, value[0] == bodyHere, nil
}

func (o Op) storedBody(body []byte) (Op, error) {
	whole, err := o.WithBody(body)
	if err != nil {
		return Op{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return whole, nil
}

// Page is what a store has of some rows of a log.
type Page struct {
	row         uint32 // the first
	ops, bodies [pageSize][]byte
}

// RowOf returns the place of an op in its log by arrival.
func RowOf(o Op) uint32 { return o.row }

// PageOf returns the number of the page that an op of a log is in.
func PageOf(o Op) uint32 { return o.row / pageSize }

// ReadPage reads the page that an op of the log is in. It gives up, without an error, where
// that takes more than most bytes.
func (l *Log) ReadPage(ctx context.Context, r datastore.Read, o Op, most int) (*Page, error) {
	p := &Page{row: o.row / pageSize * pageSize}
	for _, part := range []struct {
		prefix string
		values *[pageSize][]byte
	}{{opPrefix, &p.ops}, {bodyPrefix, &p.bodies}} {
		at := string(l.page(nil, part.prefix, o.row))
		err := scan(ctx, r, at+"/", func(key string, value []byte) error {
			i, err := strconv.ParseUint(strings.TrimPrefix(key, at+"/"), 16, 8)
			if err != nil {
				return fmt.Errorf("%w: %s", ErrCorrupt, key)
			}
			if most -= len(value); most < 0 {
				return errFull
			}
			part.values[i] = value
			return nil
		})
		if errors.Is(err, errFull) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

var errFull = errors.New("oplog: a page of too many bytes")

// Whole is Log.ReadWhole for an op that is in the page; ok is false where the page was read
// before the op came, or while its body went.
func (p *Page) Whole(o Op) (whole Op, ok bool, err error) {
	i := o.row - p.row
	if i >= pageSize || p.ops[i] == nil {
		return Op{}, false, nil
	}
	whole, here, err := o.stored(p.ops[i])
	switch {
	case err != nil:
		return Op{}, false, err
	case o.Size() == 0 || !here:
		return whole, true, nil
	case p.bodies[i] == nil:
		return Op{}, false, nil
	}
	whole, err = whole.storedBody(p.bodies[i])
	return whole, err == nil, err
}

// get reads a value that was written: that it is gone is damage.
func get(ctx context.Context, r datastore.Read, key datastore.Key) ([]byte, error) {
	value, err := r.Get(ctx, key)
	if errors.Is(err, datastore.ErrNotFound) {
		err = fmt.Errorf("%w: %s: %w", ErrCorrupt, key, err)
	}
	return value, err
}

// Load reads every log of a store, without bodies; source returns where each finds what it
// does not hold. The signatures of stored ops were checked before they were stored; their
// hashes are checked again, and a difference fails with ErrCorrupt, as does an op that is
// gone. Load fails with ErrVersion where an op is of a newer format.
func Load(ctx context.Context, r datastore.Read, source func(*Log) Source) (map[keys.Digest]*Log, error) {
	logs := make(map[keys.Digest]*Log)
	var last *Log
	err := scan(ctx, r, opPrefix, func(key string, value []byte) error {
		o, here, err := decodeStored(value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(key, opPrefix), "/")
		if last == nil || last.entity.String() != name {
			eid, err := keys.ParseDigest(name)
			if err != nil {
				return fmt.Errorf("%w: %s: %w", ErrCorrupt, key, err)
			}
			last = NewLog(eid)
			last.SetSource(source(last))
			logs[eid] = last
		}
		if key != last.key(opPrefix, uint32(last.Len())).String() {
			return fmt.Errorf("%w: the op before %s is gone", ErrCorrupt, key)
		}
		if _, ok := last.ops[o.ID()]; ok {
			return fmt.Errorf("%w: %s is the second place of %v", ErrCorrupt, key, o.ID())
		}
		if err := last.Check(o); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrCorrupt, key, err)
		}
		last.append(o, here)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return logs, nil
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
