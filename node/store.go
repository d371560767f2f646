package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ipfs/go-datastore"

	"pttnode/oplog"
)

// format is the number of the store's layout. A store with a greater one is of a
// newer version and is refused (data_newer), one with a smaller one of an older version
// (data_older): up to 3 operations were of format 1, which nobody can change into format 2
// without the keys of all who signed them.
const format = 4

// store commits batches in the order in which they were queued, all that wait in
// one synced write. It is safe for concurrent use. After a failed write it
// refuses everything: what is in memory may differ from the disk, and only a
// restart reads it again.
type store struct {
	ds   datastore.Batching
	room func() error // nil error: there is room for a write
	// merge lets go of the bytes that were replaced below a prefix; may be nil
	merge   func(ctx context.Context, prefix string) error
	durable func([]*oplog.Op) // called with the operations of each write; may be nil
	done    func(int)         // called with the number of transactions of each write; may be nil

	mu     sync.Mutex
	queue  []*batch
	busy   bool
	failed error
}

// batch is what one transaction writes.
type batch struct {
	puts []put
	ops  []*oplog.Op // whose bytes are among them
	turn chan bool   // true: commit the queue; closed: done
	err  error
}

type put struct {
	key   datastore.Key
	value []byte // nil deletes
}

// ready says whether a transaction may begin: before anything changes in memory.
func (s *store) ready() error {
	s.mu.Lock()
	failed := s.failed
	s.mu.Unlock()
	if coded, ok := errors.AsType[*Error](failed); ok {
		return coded
	}
	if failed != nil {
		return because("disk_full", failed)
	}
	if s.room != nil {
		if err := s.room(); err != nil {
			return because("disk_full", err)
		}
	}
	return nil
}

// enqueue takes a place in the order of writes. The caller holds the node's lock.
func (s *store) enqueue(puts []put, ops []*oplog.Op) *batch {
	b := &batch{puts: puts, ops: ops, turn: make(chan bool, 1)}
	s.mu.Lock()
	s.queue = append(s.queue, b)
	if !s.busy {
		s.busy = true
		b.turn <- true
	}
	s.mu.Unlock()
	return b
}

// wait returns when b is durable, or the store has failed. One of those who wait
// writes for all.
func (s *store) wait(b *batch) error {
	if lead := <-b.turn; !lead {
		return b.err
	}
	s.mu.Lock()
	group, failed := s.queue, s.failed
	s.queue = nil
	s.mu.Unlock()
	if failed == nil {
		failed = s.commit(group)
	}
	s.mu.Lock()
	if s.failed == nil { // fail may have been called meanwhile
		s.failed = failed
	}
	if len(s.queue) > 0 {
		s.queue[0].turn <- true
	} else {
		s.busy = false
	}
	s.mu.Unlock()
	for _, g := range group {
		g.err = failed
		if g != b {
			close(g.turn)
		}
	}
	return failed
}

// settled returns when all that was queued so far is durable: an operation of ours
// that others have and a crash took from us would look like an old backup. It
// fails when memory may be ahead of the disk.
func (s *store) settled() error {
	s.mu.Lock()
	if !s.busy {
		failed := s.failed
		s.mu.Unlock()
		if _, behind := errors.AsType[*Error](failed); behind {
			return nil // the disk has all that memory has
		}
		return failed
	}
	b := &batch{turn: make(chan bool, 1)}
	s.queue = append(s.queue, b)
	s.mu.Unlock()
	return s.wait(b)
}

func (s *store) commit(group []*batch) (err error) {
	// A store may report a failed disk by a panic; it must not take the readers along.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errStore, p)
		}
	}()
	if !slices.ContainsFunc(group, func(b *batch) bool { return len(b.puts) > 0 }) {
		return nil // only settled waits
	}
	ctx := context.Background() // a queued write is never given up half way
	w, err := s.ds.Batch(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	for _, b := range group {
		for _, p := range b.puts {
			if p.value == nil {
				err = w.Delete(ctx, p.key)
			} else {
				err = w.Put(ctx, p.key, p.value)
			}
			if err != nil {
				return fmt.Errorf("%w: %w", errStore, err)
			}
		}
	}
	if err := w.Commit(ctx); err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	if s.durable != nil {
		for _, b := range group {
			s.durable(b.ops)
		}
	}
	if s.done != nil {
		s.done(len(group))
	}
	return nil
}
