package node

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/entity/chain"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// target returns a node on a map store, with a host that listens to nobody, and
// the store. It does not run.
func target(tb testing.TB, change func(*Config)) (*Node, datastore.Batching) {
	tb.Helper()
	ds := dssync.MutexWrap(datastore.NewMapDatastore())
	return targetOn(tb, ds, change), ds
}

func targetOn(tb testing.TB, ds datastore.Batching, change func(*Config)) *Node {
	tb.Helper()
	cfg := Config{Device: keys.New(), Vault: keys.OpenVault(keys.NewVaultKey())}
	_, _, err := Found(tb.Context(), ds, Founding{
		Device: cfg.Device, Vault: cfg.Vault, Name: "alice", DeviceName: "laptop", Class: entity.Desktop, Now: time.Now(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	id, err := HostIdentity(cfg.Device)
	if err != nil {
		tb.Fatal(err)
	}
	h, err := libp2p.New(libp2p.Identity(id), libp2p.NoListenAddrs, libp2p.DisableMetrics())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = h.Close() })
	n, err := New(h, ds, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// claimant is a user who proved that he knows a link.
type claimant struct {
	me  *entity.Entity
	key keys.Private
}

func newClaimant(tb testing.TB) claimant {
	tb.Helper()
	key := keys.New()
	me, err := entity.CreateMe(entity.Author{Key: key, Now: time.Now()}, keys.New().ID(), entity.Desktop, keys.NewBox().ID())
	if err != nil {
		tb.Fatal(err)
	}
	return claimant{me.Entity, key}
}

// chain is the claimant's device chain, as it is shown.
func (c claimant) chain() *chain.Chain {
	shown, err := entity.OpenDeviceChain(c.me.DeviceChain())
	if err != nil {
		panic(err) // it was just made
	}
	return shown
}

// reserve is what an Inviter asks for when he comes through a link to board h.
func (c claimant) reserve(h *held) *protocol.Change {
	p := c.me.State().Party("racer")
	policy := h.State().PolicyHash()
	return &protocol.Change{Chain: c.chain(), Policy: policy[:], Reserve: &invite.Claim{
		User: c.me.ID(), Device: c.key.ID(), Name: "racer", Box: p.Box, Head: p.Head, Devices: p.Devices,
	}}
}

// admitsOf returns the users whom a board's log admits.
func admitsOf(h *held) (users []keys.Digest) {
	for o := range h.Log().All(oplog.Control) {
		if o.Family() != oplog.FamilyMember || o.Type() != entity.TypeAdmit {
			continue
		}
		var a entity.Admit
		if err := keys.Unmarshal(o.Control(), &a); err == nil {
			users = append(users, a.Party.User)
		}
	}
	return users
}

// race lets claimants come to one new link at once, each by take, and says how many
// were let in.
func race(t *testing.T, n *Node, round int, all []claimant, take func(record string, h *held, c claimant)) []keys.Digest {
	t.Helper()
	b, err := n.CreateBoard(t.Context(), BoardOptions{Name: fmt.Sprint("board ", round), Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	inv, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: b.ID.String(), Auto: true})
	if err != nil {
		t.Fatal(err)
	}
	h := n.entities[b.ID]
	var start, over sync.WaitGroup
	start.Add(1)
	for _, c := range all {
		over.Go(func() {
			start.Wait()
			take(inv.ID, h, c)
		})
	}
	start.Done()
	over.Wait()
	admits := admitsOf(h)
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.invites[inv.ID]
	if got := r.UsedCount(); got != len(admits) {
		t.Errorf("round %d: %d uses and %d admits", round, got, len(admits))
	}
	delete(n.invites, inv.ID) // so that a thousand rounds stay as fast as the first
	delete(n.byIID, r.IID)
	delete(n.entities, b.ID)
	return admits
}

// TestAttackH21: 64 racers, a thousand times, for a link with one use, on the
// transactions that a node makes of a join. One is let in.
func TestAttackH21(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 50
	}
	n, _ := target(t, nil)
	racers := make([]claimant, 64)
	for i := range racers {
		racers[i] = newClaimant(t)
	}
	for round := range rounds {
		var mu sync.Mutex
		granted := 0
		admits := race(t, n, round, racers, func(record string, h *held, c claimant) {
			ev := n.commitInviting(c.key.ID(), record, c.reserve(h))
			got, ok := ev.(protocol.Committed)
			if !ok || got.Refuse != invite.OK {
				return
			}
			id := got.Claim.JoinID
			ev = n.commitInviting(c.key.ID(), record, &protocol.Change{Approve: &id})
			if got, ok := ev.(protocol.Committed); ok && got.Grant != nil {
				mu.Lock()
				granted++
				mu.Unlock()
			}
		})
		if len(admits) != 1 || granted != 1 {
			t.Fatalf("round %d: %d admits and %d got keys, want one", round, len(admits), granted)
		}
	}
}

// TestAttackH21Split: the race above finds a node that looks in one transaction and
// takes in another.
func TestAttackH21Split(t *testing.T) {
	n, _ := target(t, nil)
	racers := make([]claimant, 8)
	for i := range racers {
		racers[i] = newClaimant(t)
	}
	var looked sync.WaitGroup
	looked.Add(len(racers))
	admits := race(t, n, 0, racers, func(record string, h *held, c claimant) {
		n.mu.Lock()
		r := n.invites[record]
		n.mu.Unlock()
		free := r.UsedCount() < int(r.Uses)
		looked.Done()
		looked.Wait()
		if !free {
			return
		}
		ev := n.update(func(tx *tx) error {
			claim := *c.reserve(h).Reserve
			claim.ID = tx.shortID("r")
			stale, claim, _ := r.Reserve(claim, tx.now, true)
			stale, claim, _ = stale.Decide(claim.JoinID, true, tx.now)
			_, err := tx.admit(stale, claim)
			r := n.invites[record]
			r.Claims = append(slices.Clone(r.Claims), &claim)
			tx.record(r)
			return err
		})
		if ev != nil {
			t.Errorf("split: %v", ev)
		}
	})
	if len(admits) < 2 {
		t.Errorf("the split variant let %d in; the race would not find it", len(admits))
	}
}

// TestAttackH22: the same claimant 64 times at once, on the transactions: one claim,
// one admit, and the same good answer to all.
func TestAttackH22(t *testing.T) {
	n, _ := target(t, nil)
	same := slices.Repeat([]claimant{newClaimant(t)}, 64)
	var mu sync.Mutex
	answers := make(map[keys.Digest]int)
	admits := race(t, n, 0, same, func(record string, h *held, c claimant) {
		ev, ok := n.commitInviting(c.key.ID(), record, c.reserve(h)).(protocol.Committed)
		if ok && ev.Grant == nil {
			id := ev.Claim.JoinID
			ev, ok = n.commitInviting(c.key.ID(), record, &protocol.Change{Approve: &id}).(protocol.Committed)
		}
		if !ok || ev.Grant == nil {
			t.Errorf("an answer without keys: %v, %+v", ok, ev.Refuse)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		answers[ev.Grant.Admit]++
	})
	if len(admits) != 1 || len(answers) != 1 {
		t.Errorf("%d admits, answers %v; want one, and 64 that name it", len(admits), answers)
	}
}

// joinPayload returns the payload of a JOIN.
func joinPayload(iid [16]byte) []byte {
	b := protocol.Encode(protocol.Join{
		Versions: []uint16{protocol.Version1}, Suites: []uint16{protocol.Suite1}, IID: iid, Challenge: [32]byte{1}, Commitment: keys.Digest{2},
	})
	_, head := binary.Uvarint(b)
	return b[head+1:]
}

// TestAttackH1: a JOIN with an unknown iid leaves nothing in the node.
func TestAttackH1(t *testing.T) {
	n, _ := target(t, nil)
	if _, err := n.Invite(t.Context(), InviteOptions{Kind: "friend"}); err != nil {
		t.Fatal(err)
	}
	events := len(n.events)
	for i := range 20_000 {
		peer := keys.ID{1, byte(i), byte(i >> 8)}
		_, in, err := n.answerJoin(peer, uint8(protocol.TypeJoin), joinPayload([16]byte{2, byte(i), byte(i >> 8)}))
		if in != nil || err != nil {
			t.Fatalf("%v, %v", in, err)
		}
	}
	if len(n.spending.of) != 0 || len(n.parked) != 0 || n.live != 0 || len(n.invites) != 1 || len(n.events) != events || len(n.chains) != 0 {
		t.Errorf("20,000 unknown iids left %d accounts, %d parked, %d live, %d invites, %d events, %d chains",
			len(n.spending.of), len(n.parked), n.live, len(n.invites), len(n.events)-events, len(n.chains))
	}
	if got := testing.AllocsPerRun(100, func() { _, _, _ = n.answerJoin(keys.ID{1}, uint8(protocol.TypeJoin), joinPayload([16]byte{2})) }); got > 100 {
		t.Errorf("%v allocations for an unknown iid", got)
	}
}

// TestAttackH37: an unknown iid costs no public-key work and is answered with the
// same bytes as an invite that cannot be proved. (How long it takes is measured:
// see docs/PERFORMANCE.md.)
func TestAttackH37(t *testing.T) {
	n, _ := target(t, nil)
	inv, err := n.Invite(t.Context(), InviteOptions{Kind: "friend"})
	if err != nil {
		t.Fatal(err)
	}
	known := n.invites[inv.ID].IID
	if _, in, err := n.answerJoin(keys.ID{1}, uint8(protocol.TypeJoin), joinPayload(known)); in == nil || err != nil {
		t.Fatalf("a known iid: %v, %v", in, err)
	}
	me, device := n.me, n.device
	n.me, n.device = nil, keys.Private{} // whoever signs or proves anything now panics
	if _, in, err := n.answerJoin(keys.ID{1}, uint8(protocol.TypeJoin), joinPayload([16]byte{3})); in != nil || err != nil {
		t.Errorf("an unknown iid: %v, %v", in, err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a known iid needed no key: this proves nothing")
			}
		}()
		_, _, _ = n.answerJoin(keys.ID{1}, uint8(protocol.TypeJoin), joinPayload(known))
	}()
	n.me, n.device = me, device
	if got := protocol.Encode(protocol.No{}); !bytes.Equal(got, []byte{2, 5, 0xa0}) {
		t.Errorf("NO is %x, want three bytes that are always the same", got)
	}
	// A board that is not ours any more: as if the invite had never been.
	b, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	inv, err = n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	delete(n.entities, b.ID)
	if _, in, err := n.answerJoin(keys.ID{1}, uint8(protocol.TypeJoin), joinPayload(n.invites[inv.ID].IID)); in != nil || err != nil {
		t.Errorf("an invite to what is gone: %v, %v; want the answer of an unknown one", in, err)
	}
}

// fakeStream is what a stream reader sees of libp2p.
type fakeStream struct {
	network.Stream
	reserved int
	most     int
	refuse   bool
}

func (f *fakeStream) Scope() network.StreamScope { return &fakeScope{f: f} }

// SetWriteDeadline does nothing: what is written goes to memory.
func (f *fakeStream) SetWriteDeadline(time.Time) error { return nil }

type fakeScope struct {
	network.NullScope
	f *fakeStream
}

func (s *fakeScope) SetService(string) error { return nil }

// ReserveMemory counts, or refuses.
func (s *fakeScope) ReserveMemory(size int, _ uint8) error {
	if s.f.refuse {
		return network.ErrResourceLimitExceeded
	}
	s.f.reserved += size
	s.f.most = max(s.f.most, s.f.reserved)
	return nil
}

func (s *fakeScope) ReleaseMemory(size int) { s.f.reserved -= size }

// TestAttackH13: a length beyond the limit of its type is refused before memory is
// taken; one within it is reserved first, and only while it is read.
func TestAttackH13(t *testing.T) {
	limit := func(typ uint8) int { return protocol.Limit(protocol.Type(typ)) }
	read := func(f *fakeStream, b []byte) (uint8, []byte, error) {
		s := &stream{Stream: f, r: bufio.NewReaderSize(bytes.NewReader(b), 16)}
		return s.read(limit)
	}
	over := binary.AppendUvarint(nil, 1<<31)
	for name, b := range map[string][]byte{
		"2^31":                     append(over, byte(protocol.TypeApproveJoin)),
		"2^63":                     append(binary.AppendUvarint(nil, 1<<63), byte(protocol.TypeJoin)),
		"a uvarint of 11 bytes":    append(bytes.Repeat([]byte{0x80}, 10), 1, byte(protocol.TypeJoin)),
		"zero":                     {0, byte(protocol.TypeJoin)},
		"one over MaxApprove":      append(binary.AppendUvarint(nil, protocol.MaxApprove+1), byte(protocol.TypeApproveJoin)),
		"one over MaxJoin":         append(binary.AppendUvarint(nil, protocol.MaxJoin+1), byte(protocol.TypeJoin)),
		"one over MaxNo":           append(binary.AppendUvarint(nil, protocol.MaxNo+1), byte(protocol.TypeNo)),
		"a type that is not there": {1, 9},
	} {
		f := &fakeStream{}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, p, err := read(f, b)
		runtime.ReadMemStats(&after)
		if err == nil || p != nil || f.most != 0 {
			t.Errorf("%s: %d bytes, %v, %d reserved; want an error before anything is reserved", name, len(p), err, f.most)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
			t.Errorf("%s took %d bytes of memory", name, got)
		}
	}
	// Within the limit: reserved as long as it takes, and no longer, also when the
	// rest never comes.
	f := &fakeStream{}
	frame := protocol.Frame(byte(protocol.TypeJoin), make([]byte, 500))
	if typ, p, err := read(f, frame); err != nil || typ != 1 || len(p) != 500 || f.most != 501 || f.reserved != 0 {
		t.Errorf("a good frame: %d, %d bytes, %v, %d of %d reserved", typ, len(p), err, f.reserved, f.most)
	}
	f = &fakeStream{}
	if _, _, err := read(f, frame[:100]); err == nil || f.most != 501 || f.reserved != 0 {
		t.Errorf("half a frame: %v, %d of %d reserved", err, f.reserved, f.most)
	}
	if _, _, err := read(&fakeStream{refuse: true}, frame); !errors.Is(err, network.ErrResourceLimitExceeded) {
		t.Errorf("no memory left: %v, want the limit's error", err)
	}
	// The readers of the other two protocols.
	for name, limit := range map[string]func(uint8) int{"sync": syncLimit, "info": infoLimit} {
		for typ := range 256 {
			if got := limit(uint8(typ)); got < 0 || got > 1<<20 {
				t.Errorf("%s: a frame %d may have %d bytes", name, typ, got)
			}
		}
		if limit(0) != 0 || limit(200) != 0 {
			t.Errorf("%s: frames that do not exist have a size", name)
		}
	}
}

// TestAttackOldKey: operations of our own device that our store does not know stop
// the node for good, and say so: it is a copy or an old backup.
func TestAttackOldKey(t *testing.T) {
	n, h, _ := boardTarget(t, InviteOptions{})
	c := newClaimant(t)
	enters(t, n, h, c)

	// What the other copy of this device wrote.
	copied, err := copyOf(h.Entity)
	if err != nil {
		t.Fatal(err)
	}
	o, err := copied.Write(entity.Author{Key: n.device, User: n.user, Now: time.Now()}, h.ring, oplog.FamilyArticle, board.TypeArticleNew,
		keys.Digest{}, board.Article{Title: "by the other copy"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.take(h.ID(), c.key.ID(), []oplog.Pair{o.Pair()}); err == nil {
		t.Error("an op of our own device that we did not write was taken")
	}
	_, err = n.NewArticle(t.Context(), "dev", "", "a second op at one place", "text")
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != "store_behind" {
		t.Errorf("writing goes on: %v, want store_behind", err)
	}
	if hs := n.Status().Health; len(hs) != 1 || hs[0].Code != "store_behind" || !strings.Contains(hs[0].Title, "backup") {
		t.Errorf("health: %+v", hs)
	}
}
