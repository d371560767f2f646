package testnet

import (
	"bufio"
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peerstore"
	msmux "github.com/multiformats/go-multistream"

	"pttnode/invite"
	"pttnode/keys"
	"pttnode/node"
)

// linkPairs is how many JoinMe are timed, and as many bare exchanges.
const linkPairs = 20

// fourTrips is the length of a frame of the bare exchange of JoinMe: that of
// ACK-CHALLENGE, about.
const fourTrips = 1 << 10

// measureLink times JoinMe, from the first dial until the device is alive on both
// sides, with the code typed as soon as it is shown, and beside it a bare dial with
// four round trips; in turns, each on fresh hosts.
func (tr transport) measureLink(tb testing.TB) series {
	tb.Helper()
	var out series
	for i := range linkPairs {
		m := tr.start(tb, "alice", asIs)
		m.host.SetStreamHandler(bareID, func(s network.Stream) {
			defer s.Close()
			for br := bufio.NewReader(s); take(br, fourTrips) == nil; {
				if give(s, fourTrips) != nil {
					return
				}
			}
		})
		link := func() { out.join = append(out.join, tr.timeLink(tb, m)) }
		bare := func() { out.bare = append(out.bare, tr.timeTrips(tb, m)) }
		if i%2 == 1 {
			link, bare = bare, link
		}
		link()
		bare()
		m.stop()
	}
	return out
}

func (tr transport) timeLink(tb testing.TB, m *realNode) time.Duration {
	tb.Helper()
	v, err := m.Invite(tb.Context(), node.InviteOptions{Kind: "device"})
	if err != nil {
		tb.Fatal(err)
	}
	l, err := invite.Parse(v.Link)
	if err != nil {
		tb.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "bench-*")
	if err != nil {
		tb.Fatal(err)
	}
	device, vault, store := keys.New(), keys.OpenVault(keys.NewVaultKey()), openDisk(tb, dir)
	request, err := node.FoundDevice(tb.Context(), store, l, node.Founding{Device: device, Vault: vault, DeviceName: "phone", Now: time.Now()})
	if err != nil {
		tb.Fatal(err)
	}
	h := tr.newHost(tb, device)
	r, err := node.New(h, store, node.Config{Device: device, Vault: vault})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	runtime.GC()
	start := time.Now()
	go func() { ended <- r.Run(ctx) }()
	until(tb, r, "shows its code", func() bool { q, err := r.Request(request); return err == nil && q.State == "waiting_approval" })
	q, _ := r.Request(request)
	for _, in := range m.Requests() {
		if in.State == "new" {
			if _, err := m.ApproveDevice(tb.Context(), in.ID, q.Code); err != nil {
				tb.Fatal(err)
			}
		}
	}
	until(tb, r, "is alive", func() bool { d := r.Devices(); return len(d) > 1 && d[len(d)-1].Status == "alive" })
	took := time.Since(start)
	until(tb, m.Node, "sees it alive", func() bool { d := m.Devices(); return d[len(d)-1].Status == "alive" })
	cancel()
	if err := errors.Join(<-ended, h.Close(), store.Close(), os.RemoveAll(dir)); err != nil {
		tb.Error(err)
	}
	return took
}

// until waits for something that a node's watchers hear of.
func until(tb testing.TB, n *node.Node, what string, holds func() bool) {
	tb.Helper()
	changed, stop := n.Watch()
	defer stop()
	limit := time.After(time.Minute)
	for !holds() {
		select {
		case <-changed:
		case <-limit:
			tb.Fatalf("after a minute: not %s", what)
		}
	}
}

func (tr transport) timeTrips(tb testing.TB, m *realNode) time.Duration {
	tb.Helper()
	h := tr.newHost(tb, keys.New())
	defer h.Close()
	runtime.GC()
	start := time.Now()
	if err := trips(tb.Context(), h, m.host, 4); err != nil {
		tb.Fatal(err)
	}
	return time.Since(start)
}

// trips dials and makes some round trips on one stream, as lazily as a join does.
func trips(ctx context.Context, h, to host.Host, count int) error {
	h.Peerstore().AddAddrs(to.ID(), to.Addrs(), peerstore.TempAddrTTL)
	conn, err := h.Network().DialPeer(ctx, to.ID())
	if err != nil {
		return err
	}
	s, err := conn.NewStream(ctx)
	if err != nil {
		return err
	}
	rw := msmux.NewMSSelect(s, bareID)
	defer rw.Close()
	if err := s.SetProtocol(bareID); err != nil {
		return err
	}
	br := bufio.NewReader(rw)
	for range count {
		if err := errors.Join(give(rw, fourTrips), take(br, fourTrips)); err != nil {
			return err
		}
	}
	return nil
}
