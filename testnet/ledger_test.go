package testnet

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
)

// batch is what one batch wrote, by key.
type batch map[string][]byte

// has reports whether a key with this prefix is among them.
func (b batch) has(prefix string) bool {
	for key := range b {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// ledger is a store that keeps account of the batches it was given.
type ledger struct {
	datastore.Batching

	mu      sync.Mutex
	batches []batch
	waited  int           // batches that wait has looked at
	grown   chan struct{} // holds a value when batches has grown
}

func newLedger(ds datastore.Batching) *ledger {
	return &ledger{Batching: ds, grown: make(chan struct{}, 1)}
}

// Batch returns a batch that is noted when it is committed.
func (l *ledger) Batch(ctx context.Context) (datastore.Batch, error) {
	b, err := l.Batching.Batch(ctx)
	return &noted{b, l, make(batch)}, err
}

type noted struct {
	datastore.Batch
	ledger *ledger
	puts   batch
}

// Put notes a key and its value.
func (b *noted) Put(ctx context.Context, key datastore.Key, value []byte) error {
	b.puts[key.String()] = value
	return b.Batch.Put(ctx, key, value)
}

// Commit notes the batch once it is durable.
func (b *noted) Commit(ctx context.Context) error {
	if err := b.Batch.Commit(ctx); err != nil {
		return err
	}
	b.ledger.mu.Lock()
	b.ledger.batches = append(b.ledger.batches, b.puts)
	b.ledger.mu.Unlock()
	select {
	case b.ledger.grown <- struct{}{}:
	default:
	}
	return nil
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.batches)
}

// from returns the batches after the first n.
func (l *ledger) from(n int) []batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.batches[n:len(l.batches):len(l.batches)]
}

// wait returns when one more batch with a key of this prefix is durable.
func (l *ledger) wait(tb testing.TB, prefix string) {
	tb.Helper()
	limit := time.After(10 * time.Second)
	for {
		for l.waited < l.len() {
			b := l.from(l.waited)[0]
			l.waited++
			if b.has(prefix) {
				return
			}
		}
		select {
		case <-l.grown:
		case <-limit:
			tb.Fatalf("no write of %s within ten seconds", prefix)
		}
	}
}

// repeat writes a batch once more.
func (l *ledger) repeat(b batch) error {
	ctx := context.Background()
	w, err := l.Batch(ctx)
	if err != nil {
		return err
	}
	for key, value := range b {
		if err := w.Put(ctx, datastore.RawKey(key), value); err != nil {
			return err
		}
	}
	return w.Commit(ctx)
}
