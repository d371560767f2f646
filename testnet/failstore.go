package testnet

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	dssync "github.com/ipfs/go-datastore/sync"
)

// ErrStopped is what every write to a stopped FailStore returns.
var ErrStopped = errors.New("testnet: the store has stopped")

// FailStore is a store in memory that stops at one of its writes, as the disk of
// a process that is killed there: that write is there whole or not at all, and no
// later one is. It is safe for concurrent use.
type FailStore struct {
	datastore.Batching

	mu      sync.Mutex
	commits int // that were written
	left    int // commits until the stop, 0: none is planned
	written bool
	onStop  func()
	stopped bool
}

// NewFailStore returns an empty store that works.
func NewFailStore() *FailStore {
	return &FailStore{Batching: dssync.MutexWrap(datastore.NewMapDatastore())}
}

// StopAt makes the k-th commit from now, k counting from 1, the last: written
// says whether what it writes is there afterwards, which its caller does not hear
// in either case. onStop runs inside that commit; nil does nothing.
func (s *FailStore) StopAt(k int, written bool, onStop func()) {
	s.mu.Lock()
	s.left, s.written, s.onStop = k, written, onStop
	s.mu.Unlock()
}

// Stopped reports whether the planned commit has come.
func (s *FailStore) Stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// Mend makes the store work again, on what it holds.
func (s *FailStore) Mend() {
	s.mu.Lock()
	s.stopped, s.left = false, 0
	s.mu.Unlock()
}

// Commits returns how many batches were written.
func (s *FailStore) Commits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commits
}

// Copy returns a store with what this one holds now: a backup.
func (s *FailStore) Copy(ctx context.Context) (*FailStore, error) {
	c := NewFailStore()
	res, err := s.Query(ctx, query.Query{})
	if err != nil {
		return nil, fmt.Errorf("copy a store: %w", err)
	}
	all, err := res.Rest()
	if err != nil {
		return nil, fmt.Errorf("copy a store: %w", err)
	}
	for _, e := range all {
		if err := c.Put(ctx, datastore.RawKey(e.Key), e.Value); err != nil {
			return nil, fmt.Errorf("copy a store: %w", err)
		}
	}
	return c, nil
}

// Batch returns a batch whose Commit may be the last.
func (s *FailStore) Batch(ctx context.Context) (datastore.Batch, error) {
	b, err := s.Batching.Batch(ctx)
	return &failBatch{b, s}, err
}

type failBatch struct {
	datastore.Batch
	store *FailStore
}

// Commit writes the batch, unless the store has stopped or stops before it.
func (b *failBatch) Commit(ctx context.Context) error {
	s := b.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return ErrStopped
	}
	last := s.left == 1
	if s.left > 0 {
		s.left--
	}
	if last {
		s.stopped = true
		if s.onStop != nil {
			s.onStop()
		}
	}
	if !last || s.written {
		if err := b.Batch.Commit(ctx); err != nil {
			return err
		}
		s.commits++
	}
	if last {
		return ErrStopped
	}
	return nil
}
