package oplogtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ipfs/go-datastore"
)

// ErrFailed is what a store of FailAfter answers once it has failed.
var ErrFailed = errors.New("oplogtest: the store failed")

// Failing is a store that stops writing, as a full disk or a crash does. It is
// safe for concurrent use if the store below is.
type Failing struct {
	datastore.Batching

	mu   sync.Mutex
	left int // guarded by mu
}

// FailAfter returns a store on s whose first n writes succeed and whose later ones
// all fail with ErrFailed. The commit of a batch is one write: nothing of a batch
// that fails is visible.
func FailAfter(s datastore.Batching, n int) *Failing {
	return &Failing{Batching: s, left: n}
}

func (f *Failing) write(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left <= 0 {
		return fmt.Errorf("%s: %w", what, ErrFailed)
	}
	f.left--
	return nil
}

// Put writes, or fails.
func (f *Failing) Put(ctx context.Context, k datastore.Key, v []byte) error {
	if err := f.write("put"); err != nil {
		return err
	}
	return f.Batching.Put(ctx, k, v)
}

// Delete deletes, or fails.
func (f *Failing) Delete(ctx context.Context, k datastore.Key) error {
	if err := f.write("delete"); err != nil {
		return err
	}
	return f.Batching.Delete(ctx, k)
}

// Batch returns a batch whose Commit is one write.
func (f *Failing) Batch(ctx context.Context) (datastore.Batch, error) {
	b, err := f.Batching.Batch(ctx)
	if err != nil {
		return nil, err
	}
	return failingBatch{b, f}, nil
}

type failingBatch struct {
	datastore.Batch
	store *Failing
}

// Commit commits, or fails and writes nothing.
func (b failingBatch) Commit(ctx context.Context) error {
	if err := b.store.write("commit"); err != nil {
		return err
	}
	return b.Batch.Commit(ctx)
}
