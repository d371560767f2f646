package testnet

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/node"
)

// never is how long a lost packet takes: longer than any test.
const never = 100 * 365 * 24 * time.Hour

// Net is a simulated network of nodes.
type Net struct {
	t         *testing.T
	sim       *simnet.Simnet
	rtt       time.Duration
	Peers     []*Peer
	Skew      time.Duration // of the clocks of peers that are added from now on
	NoGossip  bool          // peers added from now on do not gossip
	unchecked bool

	mu   sync.Mutex
	loss float64
	rng  *rand.Rand
	cut  map[[2]string]bool // by IP, both directions
	dead map[string]bool
}

// New starts a network whose round trips take rtt. It must be called inside a
// synctest bubble; the network ends with the test, after [Net.Check].
func New(t *testing.T, rtt time.Duration) *Net {
	t.Helper()
	n := &Net{
		t: t, rtt: rtt, rng: rand.New(rand.NewPCG(1, 2)), cut: make(map[[2]string]bool), dead: make(map[string]bool),
	}
	n.sim = &simnet.Simnet{Logger: slog.New(slog.DiscardHandler), LatencyFunc: func(p *simnet.Packet) time.Duration {
		if n.lost(ipOf(p.From), ipOf(p.To)) {
			return never
		}
		return rtt / 2
	}}
	n.sim.Start()
	t.Cleanup(func() {
		if !t.Failed() && !n.unchecked {
			n.Check(t)
		}
		for _, p := range n.Peers {
			p.stop()
		}
		n.sim.Close()
	})
	return n
}

// Peer is one node of a Net, with what survives its crashes.
type Peer struct {
	Name  string
	Node  *node.Node
	Host  host.Host
	Store datastore.Batching
	IP    string
	// Request is the short id of the request by which a device is linked.
	Request string

	net    *Net
	user   keys.Digest
	device keys.Private
	vault  keys.Vault
	tally  *tally
	silent bool         // no gossip
	skew   atomic.Int64 // a time.Duration
	cancel context.CancelFunc
	ended  chan struct{}
}

// Add founds an identity and starts its node on a map store.
func (n *Net) Add(name string) *Peer {
	n.t.Helper()
	return n.AddOn(name, dssync.MutexWrap(datastore.NewMapDatastore()))
}

// AddOn is Add on a given store, which must be empty.
func (n *Net) AddOn(name string, ds datastore.Batching) *Peer {
	n.t.Helper()
	p := n.newPeer(name, ds)
	user, _, err := node.Found(context.Background(), ds, node.Founding{
		Device: p.device, Vault: p.vault, Name: name, DeviceName: name + "-laptop", Class: entity.Desktop, Now: p.now(),
	})
	if err != nil {
		n.t.Fatalf("found %s: %v", name, err)
	}
	p.user = user.ID
	p.Start()
	return p
}

// AddDevice starts a device that is to become one of another peer's user, by a
// device link, on a map store.
func (n *Net) AddDevice(name, link string) *Peer {
	n.t.Helper()
	return n.AddDeviceOn(name, link, dssync.MutexWrap(datastore.NewMapDatastore()))
}

// AddDeviceOn is AddDevice on a given store, which must be empty.
func (n *Net) AddDeviceOn(name, link string, ds datastore.Batching) *Peer {
	n.t.Helper()
	l, err := invite.Parse(link)
	if err != nil {
		n.t.Fatalf("link of %s: %v", name, err)
	}
	p := n.newPeer(name, ds)
	if p.Request, err = node.FoundDevice(context.Background(), ds, l, node.Founding{
		Device: p.device, Vault: p.vault, DeviceName: name, Now: p.now(),
	}); err != nil {
		n.t.Fatalf("found %s: %v", name, err)
	}
	p.Start()
	return p
}

func (n *Net) newPeer(name string, ds datastore.Batching) *Peer {
	p := &Peer{
		Name: name, Store: ds, net: n, silent: n.NoGossip, device: keys.New(), vault: keys.OpenVault(keys.NewVaultKey()),
		tally: &tally{served: make(map[libprotocol.ID]*Traffic)},
		IP:    simnet.IntToPublicIPv4(len(n.Peers)).String(),
	}
	p.Skew(n.Skew)
	n.Peers = append(n.Peers, p)
	return p
}

// now is the time by the peer's clock.
func (p *Peer) now() time.Time { return time.Now().Add(time.Duration(p.skew.Load())) }

// User returns the id of the peer's user.
func (p *Peer) User() keys.Digest {
	if p.user.IsZero() { // a device that was linked since
		p.user = p.Node.Me().User.ID
	}
	return p.user
}

// Device returns the peer's device key.
func (p *Peer) Device() keys.Private { return p.device }

// NewHost returns another host on the network, for an attacker or a bare
// exchange. It ends with the test.
func (n *Net) NewHost(index int, device keys.Private) host.Host {
	n.t.Helper()
	return n.newHostAt(simnet.IntToPublicIPv4(1000+index).String(), port, device)
}

// newHostAt is NewHost at a given address.
func (n *Net) newHostAt(ip string, port int, device keys.Private) host.Host {
	n.t.Helper()
	h, err := n.listen(ip, port, device)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = h.Close() })
	return h
}

// port is where all peers, and most other hosts, listen.
const port = 8000

func (n *Net) listen(ip string, port int, device keys.Private) (host.Host, error) {
	opts, err := node.HostOptions(device)
	if err != nil {
		return nil, err
	}
	link := simnet.NodeBiDiLinkSettings{
		Downlink: simnet.LinkSettings{BitsPerSecond: 100 * simlibp2p.OneMbps},
		Uplink:   simnet.LinkSettings{BitsPerSecond: 100 * simlibp2p.OneMbps},
	}
	return libp2p.New(append(opts,
		libp2p.ListenAddrStrings("/ip4/"+ip+"/udp/"+strconv.Itoa(port)+"/quic-v1"),
		simlibp2p.QUICSimnet(n.sim, link),
	)...)
}

func ipOf(a net.Addr) string {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.IP.String()
	}
	return a.String()
}

func (n *Net) lost(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dead[from] || n.dead[to] || n.cut[[2]string{from, to}] || n.loss > 0 && n.rng.Float64() < n.loss
}

// Loss makes the network lose a share of all packets.
func (n *Net) Loss(share float64) {
	n.mu.Lock()
	n.loss = share
	n.mu.Unlock()
}

// Seed says which packets are lost from now on.
func (n *Net) Seed(seed uint64) {
	n.mu.Lock()
	n.rng = rand.New(rand.NewPCG(seed, seed))
	n.mu.Unlock()
}

// Partition cuts the network between a and b, both ways; Heal mends all cuts.
func (n *Net) Partition(a, b *Peer) {
	n.mu.Lock()
	n.cut[[2]string{a.IP, b.IP}], n.cut[[2]string{b.IP, a.IP}] = true, true
	n.mu.Unlock()
}

// Heal ends all partitions.
func (n *Net) Heal() {
	n.mu.Lock()
	clear(n.cut)
	n.mu.Unlock()
}

// Start starts the node from its store, after Add, Crash or Stop.
func (p *Peer) Start() {
	p.net.t.Helper()
	p.net.mu.Lock()
	delete(p.net.dead, p.IP)
	p.net.mu.Unlock()
	h, err := p.net.listen(p.IP, port, p.device)
	if err != nil {
		p.net.t.Fatalf("start %s: %v", p.Name, err)
	}
	nd, err := node.New(counting{h, p.tally}, p.Store, node.Config{
		Device: p.device, Vault: p.vault, NoGossip: p.silent, Now: p.now,
		Log: slog.New(slog.NewTextHandler(p.net.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", p.Name),
	})
	if err != nil {
		p.net.t.Fatalf("start %s: %v", p.Name, errors.Join(err, h.Close()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.Node, p.Host, p.cancel, p.ended = nd, h, cancel, make(chan struct{})
	go func() {
		defer close(p.ended)
		if err := nd.Run(ctx); err != nil {
			p.net.t.Errorf("run %s: %v", p.Name, err)
		}
	}()
}

// Crash ends the node so that nobody hears of it: not a packet leaves any more.
func (p *Peer) Crash() {
	p.silence()
	p.stop()
}

// silence ends all traffic of the node at once: what it does from now on nobody
// hears of.
func (p *Peer) silence() {
	p.net.mu.Lock()
	p.net.dead[p.IP] = true
	p.net.mu.Unlock()
}

// Running reports whether the node was started and not stopped since.
func (p *Peer) Running() bool { return p.cancel != nil }

// Stop ends the node in order.
func (p *Peer) Stop() { p.stop() }

// Restart is Crash and Start.
func (p *Peer) Restart() {
	p.Crash()
	p.Start()
}

// Skew sets the node's clock off by d.
func (p *Peer) Skew(d time.Duration) { p.skew.Store(int64(d)) }

func (p *Peer) stop() {
	if p.cancel == nil {
		return
	}
	p.cancel()
	_ = p.Host.Close()
	<-p.ended
	p.cancel = nil
}

// Until waits in virtual time until cond holds, at most limit, and fails the test
// otherwise. It returns how long it took, to a millisecond or, beyond ten seconds,
// to a thousandth.
func (n *Net) Until(limit time.Duration, what string, cond func() bool) time.Duration {
	n.t.Helper()
	start := time.Now()
	for !cond() {
		if time.Since(start) > limit {
			n.t.Fatalf("after %v of virtual time: not %s", limit, what)
		}
		time.Sleep(max(time.Millisecond, (time.Since(start)-10*time.Second)/1000))
	}
	return time.Since(start)
}

// pass lets d of virtual time pass: what the network does meanwhile is the test.
func pass(d time.Duration) { time.Sleep(d) }
