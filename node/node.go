package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"pttnode/entity/chain"
	"pttnode/entity/me"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/protocol"
)

// Config is what a node needs beside its host and its store.
type Config struct {
	Device keys.Private     // must be the host's identity
	Vault  keys.Vault       // seals secrets in the store
	Log    *slog.Logger     // nil discards
	Now    func() time.Time // nil is time.Now
	Room   func() error     // nil error when the disk has room; nil means always
	// Merge has the store let go of the bytes that were replaced below a prefix of its
	// keys; nil where it does so at once.
	Merge func(ctx context.Context, prefix string) error

	LAN     bool                 // announce this node on the local network, and look for those it knows
	Metrics *prometheus.Registry // gets the node's metrics; nil for none
	// MaxControl is how many bytes of an entity's control strand this device takes; 0 is
	// protocol.MaxControl.
	MaxControl uint64

	NoGossip bool // new ops are pushed to connected members and synced, and nothing else
}

// Node is one person's node.
type Node struct {
	// Immutable after New.
	host   host.Host
	store  *store
	shelf  *shelf
	device keys.Private
	vault  keys.Vault
	log    *slog.Logger
	now    func() time.Time
	lan    bool
	silent bool // Config.NoGossip
	most   uint64

	// Owned by Run.
	wg      sync.WaitGroup
	runCtx  context.Context // set before ready is closed
	running chan struct{}   // closed when Run has started
	close   []func() error

	// Guarded by mu, the writer's lock.
	mu          sync.Mutex
	self        self
	user        keys.Digest               // our Me's id; set once, with me
	me          *held                     // nil while this device is being linked to its user
	meLog       me.State                  // what the content of Me says
	opened      me.Opened                 // bodies of the me-oplog
	devices     map[keys.ID]deviceRecord  // what is known of our other devices
	asked       map[me.AskedAt]string     // short ids of requests at our other devices,
	entities    map[keys.Digest]*held     // all but Me
	chains      map[keys.Digest]chain.Set // devices of other users
	invites     map[string]invite.Record
	byIID       map[[16]byte]string
	attempts    map[string]invite.Attempt
	pursuits    map[string]*pursuit // running outgoing requests
	parked      map[keys.Digest]chan protocol.Event
	events      []Event
	lastEvent   uint64
	counter     uint64
	records     map[keys.ID][]byte // signed peer records of member devices
	seen        map[keys.Digest]map[keys.Digest]bool
	spending    spending
	live        int
	totals      map[keys.Digest]map[keys.ID]int // ops that members were seen to have
	catching    map[catching]bool               // syncs for pushes; true: once more
	farewells   map[leaveTaking]parting         // who was removed, and was told so
	asking      map[keys.Digest]bool            // entities whose keys are asked for
	due         map[keys.Digest]time.Time       // since when an entity of ours wants a new epoch
	underway    map[catching]int                // syncs that we began and that run
	comparing   map[keys.ID]int                 // exchanges of ranges that run and that peers had us begin
	tried       map[catching]time.Time          // when we last began one, of who is connected
	confirmed   map[keys.Digest]map[keys.ID]sighting
	beacons     map[keys.Digest]time.Time // entities whose heads have changed, and when to compare them
	fetchedFrom map[keys.ID]int           // devices that are asked for control: strangers until it is whole
	filling     map[string]bool           // quarantines that are fetched for outside of a request
	wake        chan struct{}
	linkNow     chan struct{}                             // a device that is not alive has come
	fetching    bool                                      // entities that another device of ours joined
	wanted      map[keys.Digest]wanted                    // boards that want a checkpoint of us
	lacking     map[keys.Digest]*lacking                  // entities of which bodies are not here
	unshown     map[keys.Digest]map[keys.Digest]time.Time // by entity, since when what is shown nowhere for good is so
	pruned      map[keys.Digest]time.Time                 // when it was looked at what is shown nowhere
	finals      map[keys.Digest]uint64                    // the last final checkpoint of each board that the journal tells of, or was at the start
	told        map[keys.Digest]bool                      // entities we left: a member has it from us, or knew
	protected   map[peer.ID]bool                          // connections that are not trimmed
	near        map[keys.ID][]ma.Multiaddr                // who announced itself on the local network
	gossip      *gossip                                   // nil before Run, and without gossip
	outbox      []tidings
	outWake     chan struct{} // holds one when something is in outbox, or topics change

	own    ownRecord
	counts counts
	ties   chan struct{} // ties may have changed; room for one
	met    chan struct{} // a stranger has connected; room for one
	rouse  chan struct{} // a round of keeping is due now; room for one

	watchMu  sync.Mutex
	watchers map[chan struct{}]bool
}

// self is what only this device needs to know of itself. Me, Profile and Board are
// zero until they are known: on a device that is being linked they come one after
// the other.
type self struct {
	Me       keys.Digest   `cbor:"1,keyasint"`
	Profile  keys.Digest   `cbor:"2,keyasint"`
	Board    keys.Digest   `cbor:"3,keyasint"`
	Device   string        `cbor:"4,keyasint"` // this device's name
	Box      invite.Secret `cbor:"5,keyasint"` // device box key
	Recovery keys.ID       `cbor:"6,keyasint"`

	// How far a device that was linked is; zero on a user's first device.
	Status protocol.LinkStatus `cbor:"7,keyasint,omitempty"`
}

// New reads a node from its store. It starts nothing. It fails with
// no_identity when Found has not made one there, data_newer when a newer
// version wrote it, and oplog.ErrCorrupt when it is damaged.
func New(h host.Host, ds datastore.Batching, cfg Config) (*Node, error) {
	n := &Node{
		host: h, store: &store{ds: ds, room: cfg.Room, merge: cfg.Merge}, shelf: newShelf(ds), device: cfg.Device, vault: cfg.Vault, log: cfg.Log, now: cfg.Now, silent: cfg.NoGossip,
		most: cmp.Or(cfg.MaxControl, protocol.MaxControl), fetchedFrom: make(map[keys.ID]int), filling: make(map[string]bool),
		running: make(chan struct{}),
		opened:  make(me.Opened), devices: make(map[keys.ID]deviceRecord), asked: make(map[me.AskedAt]string),
		entities: make(map[keys.Digest]*held), chains: make(map[keys.Digest]chain.Set),
		invites: make(map[string]invite.Record), byIID: make(map[[16]byte]string),
		attempts: make(map[string]invite.Attempt), pursuits: make(map[string]*pursuit),
		parked: make(map[keys.Digest]chan protocol.Event), records: make(map[keys.ID][]byte),
		seen:   make(map[keys.Digest]map[keys.Digest]bool),
		totals: make(map[keys.Digest]map[keys.ID]int), catching: make(map[catching]bool), underway: make(map[catching]int), tried: make(map[catching]time.Time),
		confirmed: make(map[keys.Digest]map[keys.ID]sighting), beacons: make(map[keys.Digest]time.Time), asking: make(map[keys.Digest]bool), farewells: make(map[leaveTaking]parting),
		due: make(map[keys.Digest]time.Time), wake: make(chan struct{}, 1),
		wanted: make(map[keys.Digest]wanted), lacking: make(map[keys.Digest]*lacking), unshown: make(map[keys.Digest]map[keys.Digest]time.Time), pruned: make(map[keys.Digest]time.Time), comparing: make(map[keys.ID]int), finals: make(map[keys.Digest]uint64),
		told: make(map[keys.Digest]bool), protected: make(map[peer.ID]bool), near: make(map[keys.ID][]ma.Multiaddr), lan: cfg.LAN, counts: newCounts(),
		ties: make(chan struct{}, 1), met: make(chan struct{}, 1), rouse: make(chan struct{}, 1), linkNow: make(chan struct{}, 1), outWake: make(chan struct{}, 1),
		watchers: make(map[chan struct{}]bool),
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.now == nil {
		n.now = time.Now
	}
	n.store.durable = n.shelf.release
	n.store.done = func(group int) { n.counts.commits.Observe(float64(group)) }
	if cfg.Metrics != nil {
		n.register(cfg.Metrics)
	}
	return n, n.load(context.Background())
}

// Run serves and pursues until ctx ends, and returns when everything it started
// has ended.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	n.mu.Lock()
	n.runCtx = ctx
	n.mu.Unlock()
	defer n.wg.Wait()
	defer cancel()
	stop := n.listen(ctx)
	defer stop()
	hush, err := n.startGossip(ctx)
	if err != nil {
		return err
	}
	defer hush()
	close(n.running)
	n.knowAddrs()
	n.dropStale()
	n.mu.Lock()
	for id, a := range n.attempts {
		if n.unfinished(a) {
			n.pursueLocked(id)
		}
	}
	n.mu.Unlock()
	n.wg.Go(func() { n.befriend(ctx) })
	n.wg.Go(func() { n.link(ctx) })
	n.wg.Go(func() { n.keep(ctx) })
	n.wg.Go(func() { n.reach(ctx) })
	if n.lan {
		n.wg.Go(func() { n.lookAround(ctx) })
	}
	n.wg.Go(func() { n.announce(ctx) })
	<-ctx.Done()
	n.mu.Lock() // whoever starts a goroutine asks under the lock whether Run has ended
	cancel()
	n.mu.Unlock()
	return nil
}

// Close closes what the node was started with. It must be called after Run has
// returned.
func (n *Node) Close() error {
	var errs []error
	for _, f := range n.close {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

func mapKeys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

func compareDigests(a, b keys.Digest) int { return bytes.Compare(a[:], b[:]) }
