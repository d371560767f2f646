package testnet

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"

	"pttnode/node"
)

const simulatedRTT = 100 * time.Millisecond

func TestRoundTrips(t *testing.T) {
	for kind, most := range map[string]float64{"board": mostBoardRTT, "friend": mostFriendRTT} {
		t.Run(kind, func(t *testing.T) {
			if trips := roundTrips(t, kind); trips > most {
				t.Errorf("a %s takes %.2f round trips, want at most %.1f", kind, trips, most)
			}
		})
	}
}

// roundTrips returns after how many round trips, the dial among them, a link
// that is approved by itself has led to a board that is joined or a friend who is
// alive, at the requester.
func roundTrips(t *testing.T, kind string) (trips float64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, simulatedRTT)
		alice, bob := n.Add("alice"), n.Add("bob")
		opt := node.InviteOptions{Kind: kind, Auto: true}
		if kind == "board" {
			if _, err := alice.Node.CreateBoard(t.Context(), node.BoardOptions{Name: "reading", Policy: "link"}); err != nil {
				t.Fatal(err)
			}
			opt.Board = "reading"
		} else {
			opt.For = bob.Node.Me().User.ID.String()
		}
		inv, err := alice.Node.Invite(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		r, err := bob.Node.Join(t.Context(), inv.Link, "")
		if err != nil {
			t.Fatal(err)
		}
		n.Until(10*simulatedRTT, "joined", func() bool {
			r, err = bob.Node.Request(r.ID)
			return err == nil && r.State == "done"
		})
		if kind == "friend" {
			n.Until(10*simulatedRTT, "alive", func() bool {
				f, err := bob.Node.Friend("alice")
				return err == nil && f.State == "alive"
			})
		}
		trips = float64(time.Since(start)) / float64(simulatedRTT)
	})
	return trips
}

func TestKeysPerOp(t *testing.T) {
	article, admit := keysPerOp(t)
	if article > mostKeys || admit > mostKeys {
		t.Errorf("an article takes %d keys of the store, an admit %d, want at most %d", article, admit, mostKeys)
	}
}

// keysPerOp returns how many keys of the store an article and an admit write. It
// fails unless every write of both nodes has two keys for each operation in it,
// and beside them only what docs/PERFORMANCE.md lists.
func keysPerOp(t *testing.T) (article, admit int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, simulatedRTT)
		mine, theirs := newLedger(dssync.MutexWrap(datastore.NewMapDatastore())), newLedger(dssync.MutexWrap(datastore.NewMapDatastore()))
		alice, bob := n.AddOn("alice", mine), n.AddOn("bob", theirs)
		board, err := alice.Node.CreateBoard(t.Context(), node.BoardOptions{Name: "reading", Policy: "link"})
		if err != nil {
			t.Fatal(err)
		}
		inv, err := alice.Node.Invite(t.Context(), node.InviteOptions{Kind: "board", Board: "reading", Auto: true})
		if err != nil {
			t.Fatal(err)
		}
		before := mine.len()
		r, err := bob.Node.Join(t.Context(), inv.Link, "")
		if err != nil {
			t.Fatal(err)
		}
		n.Until(10*time.Second, "joined", func() bool {
			r, err = bob.Node.Request(r.ID)
			return err == nil && r.State == "done"
		})
		admit = opKeys(mine.from(before), board.ID.String())

		before = mine.len()
		if _, err := alice.Node.NewArticle(t.Context(), "reading", "", "hello", "text"); err != nil {
			t.Fatal(err)
		}
		written := mine.from(before)
		article = opKeys(written, board.ID.String())
		if len(written) != 1 || len(written[0]) != article+1 || !written[0].has("/e/") {
			t.Errorf("an article is written as %v, want its op and a journal entry", written)
		}
		n.Until(10*time.Second, "article at bob", func() bool {
			as, err := bob.Node.Articles("reading")
			return err == nil && len(as) == 1
		})

		for name, l := range map[string]*ledger{"alice": mine, "bob": theirs} {
			for _, b := range l.from(0) {
				kinds := make(map[string]int)
				for key := range b {
					kinds[key[:strings.Index(key[1:]+"/", "/")+1]]++
				}
				if kinds["/o"] != kinds["/c"] {
					t.Errorf("%s wrote %d ops with %d places: %v", name, kinds["/o"], kinds["/c"], b)
				}
				for _, k := range []string{"/o", "/c", "/e", "/i", "/a", "/k", "/p", "/r", "/n", "/v"} {
					delete(kinds, k)
				}
				if len(kinds) > 0 {
					t.Errorf("%s wrote what docs/PERFORMANCE.md does not know: %v", name, kinds)
				}
			}
		}
	})
	return article, admit
}

// opKeys returns how many keys of an entity's log were written for each of its
// operations.
func opKeys(written []batch, eid string) int {
	ops, places := 0, 0
	for _, b := range written {
		for key := range b {
			switch {
			case strings.HasPrefix(key, "/o/"+eid+"/"):
				ops++
			case strings.HasPrefix(key, "/c/"+eid+"/"):
				places++
			}
		}
	}
	if ops == 0 {
		return 0
	}
	return (ops + places) / ops
}

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
