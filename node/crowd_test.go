package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// crowd is a board with many authors at two nodes: full, its founder's, has it all,
// and empty is that of a member who was let in last and has none of its content.
type crowd struct {
	full, empty *Node
	board       *held // at full
	authors     []claimant
	written     []oplog.Op
}

// The keys of a crowd's empty node, which another process may open.
var (
	emptyDevice = keys.FromSeed([32]byte{7})
	emptyVault  = keys.OpenVault([32]byte{8})
)

// found makes an identity on a store.
func found(tb testing.TB, ds datastore.Batching, name string, device keys.Private, vault keys.Vault) *Node {
	tb.Helper()
	_, _, err := Found(tb.Context(), ds, Founding{
		Device: device, Vault: vault, Name: name, DeviceName: "laptop", Class: entity.Desktop, Now: time.Now(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return reopen(tb, ds, device, vault)
}

// reopen reads a node from its store and gives it a host on loopback.
func reopen(tb testing.TB, ds datastore.Batching, device keys.Private, vault keys.Vault) *Node {
	tb.Helper()
	h, err := NewHost(device, []string{"/ip4/127.0.0.1/udp/0/quic-v1"}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	n, err := New(h, ds, Config{Device: device, Vault: vault})
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// newCrowd has as many authors write as many entries, in turns, each on top of the
// one before and with a sealed body of so many bytes.
func newCrowd(tb testing.TB, ds, late datastore.Batching, authors, entries, size int) *crowd {
	tb.Helper()
	c := &crowd{
		full:  found(tb, ds, "alice", keys.New(), keys.OpenVault(keys.NewVaultKey())),
		empty: found(tb, late, "bob", emptyDevice, emptyVault),
	}
	b, err := c.full.CreateBoard(tb.Context(), BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		tb.Fatal(err)
	}
	c.board = c.full.entities[b.ID]
	for range authors {
		a := newClaimant(tb)
		enters(tb, c.full, c.board, a)
		c.authors = append(c.authors, a)
	}
	c.write(tb, entries, size)
	enters(tb, c.full, c.board, claimant{c.empty.me.Entity, c.empty.device})
	c.join(tb)
	return c
}

// join gives empty the board without its content.
func (c *crowd) join(tb testing.TB) {
	tb.Helper()
	var e *entity.Entity
	for o := range c.board.Log().All(oplog.Control) {
		var err error
		if e == nil {
			e, err = entity.New(o)
		} else {
			_, err = e.Add(o)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	err := c.empty.update(func(tx *tx) error {
		_, err := tx.join(e, c.board.ring)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// write has the authors write entries in turns.
func (c *crowd) write(tb testing.TB, entries, size int) {
	tb.Helper()
	var text [1 << 16]byte
	for done := 0; done < entries; {
		err := c.full.update(func(tx *tx) error {
			for range min(1000, entries-done) {
				a := c.authors[len(c.written)%len(c.authors)]
				o, err := c.board.Write(entity.Author{Key: a.key, User: a.me.ID(), Now: tx.now}, c.board.ring,
					oplog.FamilyComment, 200, keys.Digest{}, text[:size-keys.SealOverhead-2])
				if err != nil {
					return err
				}
				tx.ops(c.board.Entity, o)
				c.written = append(c.written, o)
				done++
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// runs runs a node and returns what ends it.
func runs(tb testing.TB, n *Node) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	<-n.running
	return func() {
		cancel()
		if err := errors.Join(<-ended, n.host.Close()); err != nil {
			tb.Error(err)
		}
	}
}

// connect dials another node, which is all it takes to sync with it.
func connect(tb testing.TB, n, other *Node) {
	tb.Helper()
	n.host.Peerstore().AddAddrs(other.host.ID(), other.host.Addrs(), peerstore.PermanentAddrTTL)
	if _, err := n.host.Network().DialPeer(tb.Context(), other.host.ID()); err != nil {
		tb.Fatal(err)
	}
}
