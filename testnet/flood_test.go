package testnet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peerstore"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	msmux "github.com/multiformats/go-multistream"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/node"
)

// A board is announced to a thousand people: waves of requesters, all of a wave at
// once, over several boards of one issuer.
const (
	floodBoards = 10
	floodUses   = 100 // of each board's link: all that a link can have
	floodWave   = 100 // requesters at once
)

// both is a node as it is outside of measurements: QUIC and TCP.
var both = transport{"both", "/ip4/127.0.0.1/udp/0/quic-v1", libp2p.ChainOptions(
	libp2p.Transport(libp2pquic.NewTransport), libp2p.Transport(tcp.NewTCPTransport), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
)}

// requester joins one board and leaves.
type requester interface {
	join(ctx context.Context, link string) error
	leave()
}

// asker is a requester with a host of its own and its store in memory: outside of
// measurements each has a computer of its own.
type asker struct {
	*node.Node
	host host.Host
	to   host.Host
	stop func()
}

func (a *asker) leave() { a.stop() }

func (tr transport) asker(tb testing.TB, name string, to host.Host) *asker {
	tb.Helper()
	device, vault, ds := keys.New(), keys.OpenVault(keys.NewVaultKey()), dssync.MutexWrap(datastore.NewMapDatastore())
	_, _, err := node.Found(tb.Context(), ds, node.Founding{
		Device: device, Vault: vault, Name: name, DeviceName: "laptop", Class: entity.Desktop, Now: time.Now(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	h := tr.newHost(tb, device)
	n, err := node.New(h, ds, node.Config{Device: device, Vault: vault})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	return &asker{n, h, to, func() {
		cancel()
		if err := errors.Join(<-ended, h.Close()); err != nil {
			tb.Error(err)
		}
	}}
}

// join opens a link and returns when the board is there and the issuer's connection
// is closed.
func (a *asker) join(ctx context.Context, link string) error {
	defer func() { _ = a.host.Network().ClosePeer(a.to.ID()) }()
	changed, stop := a.Watch()
	defer stop()
	r, err := a.Join(ctx, link, "")
	for err == nil && r.State != "done" {
		if slices.Contains([]string{"rejected", "expired", "cancelled", "failed"}, r.State) {
			return fmt.Errorf("%s: %s", r.State, r.Reason)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s %s: %w", r.State, r.Reason, context.Cause(ctx))
		}
		r, err = a.Request(r.ID)
	}
	return err
}

// exchange is a dial and two round trips of frames as a join has them; a dial that
// is refused is tried again as a join's is.
func exchange(ctx context.Context, h, to host.Host, frames []int) error {
	h.Peerstore().AddAddrs(to.ID(), to.Addrs(), peerstore.TempAddrTTL)
	for {
		err := exchangeOnce(ctx, h, to, frames)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(50*time.Millisecond + rand.N(200*time.Millisecond)):
		case <-ctx.Done():
			return err
		}
	}
}

func exchangeOnce(ctx context.Context, h, to host.Host, frames []int) error {
	conn, err := h.Network().DialPeer(ctx, to.ID())
	if err != nil {
		return err
	}
	str, err := conn.NewStream(ctx)
	if err != nil {
		return err
	}
	rw := msmux.NewMSSelect(str, bareID)
	err = errors.Join(str.SetProtocol(bareID), str.SetDeadline(time.Now().Add(10*time.Second)))
	if err == nil {
		err = errors.Join(give(rw, frames[0]), take(rw, frames[1]), give(rw, frames[2]), take(rw, frames[3]))
	}
	_ = rw.Close()
	return err
}

// flood has many join at once, wave after wave, and as many bare exchanges in
// turns; it returns how many of each there were a second.
func (tr transport) flood(tb testing.TB, boards, uses, wave int, thin bool) (joins, bare float64) {
	tb.Helper()
	frames := tr.learn(tb).frames
	m := tr.start(tb, "alice", asIs)
	defer m.stop()
	m.host.SetStreamHandler(bareID, func(s network.Stream) {
		_ = errors.Join(take(s, frames[0]), give(s, frames[1]), take(s, frames[2]), give(s, frames[3])) // the other side says
		_ = s.Close()
	})
	var links []string
	for i := range boards {
		name := "board " + strconv.Itoa(i)
		if _, err := m.CreateBoard(tb.Context(), node.BoardOptions{Name: name, Policy: "link"}); err != nil {
			tb.Fatal(err)
		}
		inv, err := m.Invite(tb.Context(), node.InviteOptions{Kind: "board", Board: name, Auto: true, Uses: uses})
		if err != nil {
			tb.Fatal(err)
		}
		links = append(links, inv.Link)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Minute)
	defer cancel()
	var joining, dialling time.Duration
	for begun := 0; begun < boards*uses; begun += wave {
		join := func() {
			askers := make([]requester, wave)
			for i := range askers {
				if thin {
					askers[i] = tr.thinAsker(tb, m.host)
				} else {
					askers[i] = tr.asker(tb, "asker "+strconv.Itoa(begun+i), m.host)
				}
			}
			joining += atOnce(tb, wave, func(i int) error { return askers[i].join(ctx, links[(begun+i)%boards]) })
			for _, a := range askers {
				a.leave()
			}
		}
		dial := func() {
			hosts := make([]host.Host, wave)
			for i := range hosts {
				hosts[i] = tr.newHost(tb, keys.New())
			}
			dialling += atOnce(tb, wave, func(i int) error { return exchange(ctx, hosts[i], m.host, frames) })
			for _, h := range hosts {
				_ = h.Close()
			}
		}
		if begun/wave%2 == 1 {
			join, dial = dial, join
		}
		join()
		dial()
	}
	for i := range boards {
		ms, err := m.Members("board " + strconv.Itoa(i))
		users := make(map[keys.Digest]bool)
		for _, m := range ms {
			users[m.UserID] = true
		}
		if err != nil || len(ms) != uses+1 || len(users) != len(ms) {
			tb.Errorf("board %d has %d members, %d different ones, want %d: %v", i, len(ms), len(users), uses+1, err)
		}
	}
	total := float64(boards * uses)
	return total / joining.Seconds(), total / dialling.Seconds()
}

// atOnce runs f for 0 to n-1 at once and returns how long all took.
func atOnce(tb testing.TB, n int, f func(int) error) time.Duration {
	tb.Helper()
	runtime.GC()
	var all sync.WaitGroup
	start := time.Now()
	for i := range n {
		all.Go(func() {
			if err := f(i); err != nil {
				tb.Errorf("number %d: %v", i, err)
			}
		})
	}
	all.Wait()
	return time.Since(start)
}

// BenchmarkFlood measures joins beside bare exchanges.
func BenchmarkFlood(b *testing.B) {
	for _, c := range []struct {
		tr   transport
		thin bool
	}{{transports[0], true}, {transports[1], true}, {both, true}, {transports[0], false}, {transports[1], false}, {both, false}} {
		tr, thin := c.tr, c.thin
		name := tr.name
		if thin {
			name += "/issuer"
		}
		b.Run(name, func(b *testing.B) {
			var joins, bare float64
			for b.Loop() {
				joins, bare = tr.flood(b, floodBoards, floodUses, floodWave, thin)
			}
			b.ReportMetric(joins/bare, "ratio")
			b.ReportMetric(joins, "joins/s")
			b.ReportMetric(bare, "bare/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// TestFlood: nobody is lost and nobody doubled when many join at once.
func TestFlood(t *testing.T) {
	t.Parallel()
	boards, uses, wave := 4, 50, 100
	if testing.Short() {
		boards, uses, wave = 2, 20, 40
	}
	joins, bare := both.flood(t, boards, uses, wave, false)
	t.Logf("%.0f joins a second beside %.0f bare exchanges", joins, bare)
}
