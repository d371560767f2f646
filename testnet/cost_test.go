package testnet

import (
	"strings"
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
// fails unless every write of both nodes has, beside operations, only what
// docs/PERFORMANCE.md lists.
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
				for _, k := range []string{"/o", "/b", "/c", "/e", "/i", "/u", "/a", "/k", "/p", "/r", "/n", "/v"} {
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

// opKeys returns how many keys of an entity were written for each of its operations.
func opKeys(written []batch, eid string) int {
	ops, all := 0, 0
	for _, b := range written {
		for key := range b {
			if strings.HasPrefix(key, "/o/"+eid+"/") {
				ops++
			}
			if strings.Contains(key, eid) {
				all++
			}
		}
	}
	if ops == 0 {
		return 0
	}
	return all / ops
}
