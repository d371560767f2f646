package testnet

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	pebbleds "github.com/ipfs/go-ds-pebble"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peerstore"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	msmux "github.com/multiformats/go-multistream"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/node"
	"pttnode/protocol"
)

// How much is measured: joins are timed in rounds, each with an issuer of its
// own, so that an issuer's log and its list of peers stay short.
const (
	rounds     = 8
	roundPairs = 10 // joins, and as many bare exchanges, of one round
)

// transport is one of the two that nodes have.
type transport struct {
	name, listen string
	option       libp2p.Option
}

var transports = []transport{
	{"QUIC", "/ip4/127.0.0.1/udp/0/quic-v1", libp2p.Transport(libp2pquic.NewTransport)},
	{"TCP", "/ip4/127.0.0.1/tcp/0", libp2p.Transport(tcp.NewTCPTransport)},
}

// newHost returns a host as node.NewHost makes them, but with one transport.
func (tr transport) newHost(tb testing.TB, device keys.Private) host.Host {
	tb.Helper()
	opts, err := node.HostOptions(device)
	if err != nil {
		tb.Fatal(err)
	}
	h, err := libp2p.New(append(opts, tr.option, libp2p.ListenAddrStrings(tr.listen))...)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// openDisk opens a store in dir in which what is acknowledged is on the disk.
func openDisk(tb testing.TB, dir string) *ledger {
	tb.Helper()
	ds, err := pebbleds.NewDatastore(dir, pebbleds.WithPebbleWriteOptions(pebble.Sync),
		pebbleds.WithPebbleOpts(&pebble.Options{Logger: quiet{}}))
	if err != nil {
		tb.Fatal(err)
	}
	return newLedger(ds)
}

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// realNode is a node with a host and a store of its own, in this process.
type realNode struct {
	*node.Node
	host  host.Host
	store *ledger
	stop  func()
}

// start founds an identity and starts its node; wrap may change its host.
func (tr transport) start(tb testing.TB, name string, wrap func(host.Host) host.Host) *realNode {
	tb.Helper()
	dir, err := os.MkdirTemp("", "bench-*")
	if err != nil {
		tb.Fatal(err)
	}
	device, vault := keys.New(), keys.OpenVault(keys.NewVaultKey())
	store := openDisk(tb, dir)
	_, _, err = node.Found(tb.Context(), store, node.Founding{
		Device: device, Vault: vault, Name: name, DeviceName: "laptop", Class: entity.Desktop, Now: time.Now(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	h := wrap(tr.newHost(tb, device))
	n, err := node.New(h, store, node.Config{Device: device, Vault: vault})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	for _, id := range []libprotocol.ID{protocol.ID, protocol.InfoID, protocol.SyncID} {
		for !slices.Contains(h.Mux().Protocols(), id) {
			runtime.Gosched()
		}
	}
	return &realNode{n, h, store, func() {
		cancel()
		if err := errors.Join(<-ended, h.Close(), store.Close(), os.RemoveAll(dir)); err != nil {
			tb.Error(err)
		}
	}}
}

func asIs(h host.Host) host.Host { return h }

// invite makes a board with one link, approved without asking, which one person
// can use.
func (n *realNode) invite(tb testing.TB, board string) string {
	tb.Helper()
	if _, err := n.CreateBoard(tb.Context(), node.BoardOptions{Name: board, Policy: "link"}); err != nil {
		tb.Fatal(err)
	}
	inv, err := n.Invite(tb.Context(), node.InviteOptions{Kind: "board", Board: board, Auto: true})
	if err != nil {
		tb.Fatal(err)
	}
	return inv.Link
}

// requestBatches is how often a requester stores its request: made, sent, done.
const requestBatches = 3

// join is the whole JoinBoard of n: from opening the link until the end of the
// write that holds the board.
func (n *realNode) join(tb testing.TB, link string) time.Duration {
	tb.Helper()
	start := time.Now()
	r, err := n.Join(tb.Context(), link, "")
	if err != nil {
		tb.Fatal(err)
	}
	for range requestBatches {
		n.store.wait(tb, "/a/")
	}
	took := time.Since(start)
	if r, err = n.Request(r.ID); err != nil || r.State != "done" {
		tb.Fatalf("after %d writes of the request it is %+v, %v", requestBatches, r, err)
	}
	return took
}

// script is what one join sends and stores: what the bare exchange repeats.
type script struct {
	frames  []int                 // lengths of the four frames
	asker   [requestBatches]batch // R's writes: before the dial, after frame 2, after frame 4
	inviter []batch               // M's writes: between frames 3 and 4
}

// learn carries out one join and takes its lengths and writes.
func (tr transport) learn(tb testing.TB) script {
	tb.Helper()
	t := &tap{}
	m := tr.start(tb, "alice", func(h host.Host) host.Host { t.Host = h; return t })
	defer m.stop()
	r := tr.start(tb, "bob", asIs)
	defer r.stop()
	link := m.invite(tb, "reading")
	asked, served := r.store.len(), m.store.len()
	r.join(tb, link)
	s := script{frames: t.lengths()}
	copy(s.asker[:], r.store.from(asked))
	for _, b := range m.store.from(served) {
		if b.has("/i/") {
			s.inviter = append(s.inviter, b)
		}
	}
	if len(s.frames) != 4 || len(s.inviter) != 2 {
		tb.Fatalf("a join of frames %v and %d writes at the issuer, want 4 and 2", s.frames, len(s.inviter))
	}
	return s
}

const bareID libprotocol.ID = "/bench/exchange/1"

// serveBare is the issuer's side of the bare exchange.
func (s script) serveBare(tb testing.TB, store *ledger) network.StreamHandler {
	return func(str network.Stream) {
		defer str.Close()
		br := bufio.NewReader(str)
		err := take(br, s.frames[0])
		err = errors.Join(err, give(str, s.frames[1]), take(br, s.frames[2]))
		for _, b := range s.inviter {
			err = errors.Join(err, store.repeat(b))
		}
		if err = errors.Join(err, give(str, s.frames[3])); err != nil {
			tb.Errorf("bare exchange, serving: %v", err)
		}
	}
}

// bare does what a join cannot do without: the same dial, two round trips of
// frames of the same lengths, and the same five writes.
func (s script) bare(tb testing.TB, h host.Host, store *ledger, to host.Host) time.Duration {
	tb.Helper()
	start := time.Now()
	err := store.repeat(s.asker[0])
	h.Peerstore().AddAddrs(to.ID(), to.Addrs(), peerstore.TempAddrTTL)
	conn, err2 := h.Network().DialPeer(tb.Context(), to.ID())
	if err := errors.Join(err, err2); err != nil {
		tb.Fatal(err)
	}
	str, err := conn.NewStream(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	rw := msmux.NewMSSelect(str, bareID)
	br := bufio.NewReader(rw)
	err = errors.Join(str.SetProtocol(bareID), give(rw, s.frames[0]), take(br, s.frames[1]), store.repeat(s.asker[1]),
		give(rw, s.frames[2]), take(br, s.frames[3]), store.repeat(s.asker[2]))
	took := time.Since(start)
	_ = rw.Close() // the other side may have closed both directions
	if err != nil {
		tb.Fatalf("bare exchange: %v", err)
	}
	return took
}

func give(w io.Writer, n int) error {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	_, err := w.Write(b)
	return err
}

func take(r io.Reader, n int) error {
	_, err := io.ReadFull(r, make([]byte, n))
	return err
}

// series is joins and bare exchanges that were timed in turns.
type series struct{ join, bare []time.Duration }

// measure times joins and bare exchanges, each of a fresh requester that was
// started before, in turns and each first half of the time.
func (tr transport) measure(tb testing.TB) series {
	tb.Helper()
	s := tr.learn(tb)
	var out series
	for range rounds {
		m := tr.start(tb, "alice", asIs)
		dir := tb.TempDir()
		beside := openDisk(tb, dir) // M's writes of the bare exchange
		m.host.SetStreamHandler(bareID, s.serveBare(tb, beside))
		for i := range roundPairs {
			join := func() { out.join = append(out.join, tr.timeJoin(tb, m, i)) }
			bare := func() { out.bare = append(out.bare, tr.timeBare(tb, m, s)) }
			if i%2 == 1 {
				join, bare = bare, join
			}
			join()
			bare()
		}
		m.stop()
		if err := beside.Close(); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

func (tr transport) timeJoin(tb testing.TB, m *realNode, i int) time.Duration {
	link := m.invite(tb, "board "+strconv.Itoa(i))
	r := tr.start(tb, "bob", asIs)
	defer r.stop()
	runtime.GC()
	return r.join(tb, link)
}

func (tr transport) timeBare(tb testing.TB, m *realNode, s script) time.Duration {
	h := tr.newHost(tb, keys.New())
	defer h.Close()
	dir, err := os.MkdirTemp("", "bench-*")
	if err != nil {
		tb.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store := openDisk(tb, dir)
	defer store.Close()
	runtime.GC()
	return s.bare(tb, h, store, m.host)
}

func median[T ~int64 | ~float64](s []T) T {
	s = slices.Sorted(slices.Values(s))
	return s[len(s)/2]
}

func (s series) ratio() float64 { return float64(median(s.join)) / float64(median(s.bare)) }

// String says the two medians, and between which ratios the middle half of all
// pairs lies.
func (s series) String() string {
	pairs := make([]float64, len(s.join))
	for i := range pairs {
		pairs[i] = float64(s.join[i]) / float64(s.bare[i])
	}
	slices.Sort(pairs)
	return fmt.Sprintf("%v / %v, half of %d pairs in %.2f-%.2f", median(s.join).Round(10*time.Microsecond),
		median(s.bare).Round(10*time.Microsecond), len(pairs), pairs[len(pairs)/4], pairs[len(pairs)*3/4])
}

// tap is a host that notes the lengths of the frames of the joins it serves.
type tap struct {
	host.Host
	mu     sync.Mutex
	frames []int
	read   int // since the last frame written
}

// SetStreamHandler listens in on joins.
func (t *tap) SetStreamHandler(id libprotocol.ID, h network.StreamHandler) {
	if id != protocol.ID {
		t.Host.SetStreamHandler(id, h)
		return
	}
	t.Host.SetStreamHandler(id, func(s network.Stream) { h(&tapped{s, t}) })
}

func (t *tap) lengths() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.frames)
}

type tapped struct {
	network.Stream
	tap *tap
}

// Read counts what comes.
func (s *tapped) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	s.tap.mu.Lock()
	s.tap.read += n
	s.tap.mu.Unlock()
	return n, err
}

// Write ends what came before and notes one frame.
func (s *tapped) Write(p []byte) (int, error) {
	s.tap.mu.Lock()
	s.tap.frames = append(s.tap.frames, s.tap.read, len(p))
	s.tap.read = 0
	s.tap.mu.Unlock()
	return s.Stream.Write(p)
}
