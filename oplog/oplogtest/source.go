package oplogtest

import (
	"context"

	"github.com/ipfs/go-datastore"

	"pttnode/oplog"
)

// Source is an [oplog.Source] that is one function.
type Source func(o oplog.Op) (oplog.Op, error)

// Whole calls s.
func (s Source) Whole(o oplog.Op) (oplog.Op, error) { return s(o) }

// FromStore returns what gives each log its source over a store, as [oplog.Load] wants
// it: every op is read and checked each time it is asked for.
func FromStore(ctx context.Context, r datastore.Read) func(*oplog.Log) oplog.Source {
	return func(l *oplog.Log) oplog.Source {
		return Source(func(o oplog.Op) (oplog.Op, error) { return l.ReadWhole(ctx, r, o) })
	}
}
