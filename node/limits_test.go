package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// code returns the code of an error of this package, "" for nil.
func code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("an error without a code: %v", err)
	}
	return e.Code
}

// healthCodes returns what Status says is not well.
func healthCodes(n *Node) (codes []string) {
	for _, h := range n.Status().Health {
		codes = append(codes, h.Code)
	}
	return codes
}

// TestDiskFull: without room nothing new is accepted and nothing in memory changes;
// what is there can be read; with room again it goes on.
func TestDiskFull(t *testing.T) {
	var mu sync.Mutex
	var full error
	room := func() error {
		mu.Lock()
		defer mu.Unlock()
		return full
	}
	set := func(err error) {
		mu.Lock()
		full = err
		mu.Unlock()
	}
	n, ds := target(t, func(c *Config) { c.Room = room })
	b, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.NewArticle(t.Context(), "dev", "", "before", "text"); err != nil {
		t.Fatal(err)
	}
	inv, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	c, h := newClaimant(t), n.entities[b.ID]
	waiting, ok := n.commitInviting(c.key.ID(), inv.ID, c.reserve(h)).(protocol.Committed)
	if !ok || waiting.Claim.ID == "" {
		t.Fatalf("%+v", waiting)
	}
	before := n.Status()
	if len(before.Health) != 0 {
		t.Fatalf("health before: %+v", before.Health)
	}
	keysBefore, lastEvent := entries(t, ds), n.lastEvent

	set(errors.New("3 MiB free"))
	late := newClaimant(t)
	for what, f := range map[string]func() error{
		"an article":   func() error { _, err := n.NewArticle(t.Context(), "dev", "", "x", "y"); return err },
		"a board":      func() error { _, err := n.CreateBoard(t.Context(), BoardOptions{Name: "x"}); return err },
		"an invite":    func() error { _, err := n.Invite(t.Context(), InviteOptions{Kind: "friend"}); return err },
		"a revocation": func() error { _, err := n.Revoke(t.Context(), inv.ID); return err },
		"an approval":  func() error { _, err := n.Approve(t.Context(), waiting.Claim.ID); return err },
		"a name":       func() error { return n.Rename(t.Context(), "other") },
		"leaving":      func() error { return n.LeaveBoard(t.Context(), "dev") },
	} {
		if got := code(t, f()); got != "disk_full" {
			t.Errorf("%s: %q, want disk_full", what, got)
		}
	}
	if got, ok := n.commitInviting(late.key.ID(), inv.ID, late.reserve(h)).(protocol.Refused); !ok || got.Why != invite.RefusedDiskFull || !got.Why.Temporary() {
		t.Errorf("a request: %+v, want a refusal that is worth coming back for", got)
	}
	if got := healthCodes(n); len(got) != 1 || got[0] != "disk_full" {
		t.Errorf("health: %v, want disk_full", got)
	}
	// Nothing changed, and everything can be read.
	if got := entries(t, ds); got != keysBefore || n.lastEvent != lastEvent {
		t.Errorf("the store went from %d to %d entries, the journal from %d to %d", keysBefore, got, lastEvent, n.lastEvent)
	}
	if v, err := n.InviteByID(inv.ID); err != nil || v.State != "open" || v.Used != 1 {
		t.Errorf("the invite: %+v, %v", v, err)
	}
	if as, err := n.Articles("dev"); err != nil || len(as) != 1 || n.Me().User.Name != "alice" || len(n.Boards()) != 2 {
		t.Errorf("reading: %+v, %v", as, err)
	}
	if ms, err := n.Members("dev"); err != nil || len(ms) != 1 {
		t.Errorf("members: %+v, %v", ms, err)
	}

	set(nil)
	if got := healthCodes(n); len(got) != 0 {
		t.Errorf("health with room again: %v", got)
	}
	if _, err := n.Approve(t.Context(), waiting.Claim.ID); err != nil {
		t.Errorf("approve with room again: %v", err)
	}
	if _, err := n.NewArticle(t.Context(), "dev", "", "after", "text"); err != nil {
		t.Errorf("an article with room again: %v", err)
	}
	if ms, _ := n.Members("dev"); len(ms) != 2 {
		t.Errorf("members with room again: %+v", ms)
	}
}

func entries(t *testing.T, ds datastore.Batching) int {
	t.Helper()
	n := &Node{store: &store{ds: ds}}
	count := 0
	if err := n.scan("/", func(string, []byte) error { count++; return nil }); err != nil {
		t.Fatal(err)
	}
	return count
}

// brittle is a store whose next commits fail once it is told so, by an error or by
// a panic, or wait.
type brittle struct {
	datastore.Batching
	mu    sync.Mutex
	fail  error
	crash bool
	gate  chan struct{} // commits wait for it
	began chan struct{} // gets a value when one waits
}

func newBrittle() *brittle {
	return &brittle{Batching: dssync.MutexWrap(datastore.NewMapDatastore()), began: make(chan struct{}, 16)}
}

func (b *brittle) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// Batch returns a batch that ends as the store was told.
func (b *brittle) Batch(ctx context.Context) (datastore.Batch, error) {
	w, err := b.Batching.Batch(ctx)
	return &brittleBatch{w, b}, err
}

type brittleBatch struct {
	datastore.Batch
	b *brittle
}

// Commit fails, panics or waits as the store was told.
func (w *brittleBatch) Commit(ctx context.Context) error {
	w.b.mu.Lock()
	fail, crash, gate := w.b.fail, w.b.crash, w.b.gate
	w.b.mu.Unlock()
	if gate != nil {
		w.b.began <- struct{}{}
		<-gate
	}
	if crash {
		panic("the disk is gone")
	}
	if fail != nil {
		return fail
	}
	return w.Batch.Commit(ctx)
}

// TestStoreFails: after a commit that failed nothing is accepted any more, also
// when the store works again: memory and disk may differ, and only a restart reads
// it again. Nobody is told of what was not durable.
func TestStoreFails(t *testing.T) {
	for name, breakIt := range map[string]func(*brittle){
		"error": func(b *brittle) { b.fail = errors.New("EIO") },
		"panic": func(b *brittle) { b.crash = true },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrittle()
			var cfg Config
			n := targetOn(t, b, func(c *Config) { cfg = *c })
			board, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
			if err != nil {
				t.Fatal(err)
			}
			inv, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev", Auto: true})
			if err != nil {
				t.Fatal(err)
			}
			member, h := newClaimant(t), n.entities[board.ID]
			got := n.commitInviting(member.key.ID(), inv.ID, member.reserve(h)).(protocol.Committed)
			if ev, ok := n.commitInviting(member.key.ID(), inv.ID, &protocol.Change{Approve: &got.Claim.JoinID}).(protocol.Committed); !ok || ev.Grant == nil {
				t.Fatalf("%+v", ev)
			}
			durable, err := oplogIDs(t, b, h.ID())
			if err != nil {
				t.Fatal(err)
			}

			b.set(func() { breakIt(b) })
			if _, err := n.NewArticle(t.Context(), "dev", "", "lost", "text"); code(t, err) != "disk_full" {
				t.Errorf("the write that failed: %v", err)
			}
			if _, err := n.Invite(t.Context(), InviteOptions{Kind: "friend"}); code(t, err) != "disk_full" {
				t.Errorf("the one after it: %v", err)
			}
			b.set(func() { b.fail, b.crash = nil, false })
			if v, err := n.Invite(t.Context(), InviteOptions{Kind: "friend"}); code(t, err) != "disk_full" || v.Link != "" {
				t.Errorf("with the store working again: %v, link %v; want it to stay refused", err, v.Link != "")
			}
			if got := healthCodes(n); len(got) != 1 || got[0] != "disk_full" {
				t.Errorf("health: %v", got)
			}
			if _, err := n.Articles("dev"); err != nil {
				t.Errorf("reading: %v", err)
			}
			// A member who asks gets what is durable: an op of ours that he had and our
			// own store had not would end this device for good after a restart.
			for _, id := range handedOut(t, n, h.ID()) {
				if !durable[id] {
					t.Errorf("an op that is not in the store was handed out: %v", id)
				}
			}

			again, err := New(n.host, b, cfg)
			if err != nil {
				t.Fatalf("a restart: %v", err)
			}
			if as, err := again.Articles("dev"); err != nil || len(as) != 0 {
				t.Errorf("after a restart: %+v, %v", as, err)
			}
			if _, err := again.NewArticle(t.Context(), "dev", "", "good", "text"); err != nil {
				t.Errorf("after a restart: %v", err)
			}
		})
	}
}

// handedOut returns the operations that a member who has none is sent.
func handedOut(t *testing.T, n *Node, eid keys.Digest) (ids []keys.Digest) {
	t.Helper()
	var sent memory
	_ = n.sendOps(&stream{Stream: &fakeStream{}, rw: &sent}, eid, n.lacks(eid, keys.ID{}, oplog.Vector{})) // a failed store may refuse
	r := &stream{Stream: &fakeStream{}, r: bufio.NewReader(&sent)}
	for {
		_, payload, err := r.read(syncLimit)
		if err != nil {
			return ids
		}
		var f protocol.Ops
		if err := protocol.DecodeSync(payload, &f); err != nil {
			t.Error(err)
		}
		for _, p := range f.Ops {
			ids = append(ids, oplog.IDOf(p.Envelope))
		}
	}
}

// memory is a stream's bytes.
type memory struct{ bytes.Buffer }

// Close does nothing.
func (*memory) Close() error { return nil }

func oplogIDs(t *testing.T, ds datastore.Batching, eid keys.Digest) (map[keys.Digest]bool, error) {
	t.Helper()
	logs, err := oplog.Load(t.Context(), ds, newShelf(ds).of)
	if err != nil {
		return nil, err
	}
	ids := make(map[keys.Digest]bool)
	for _, s := range []oplog.Strand{oplog.Control, oplog.Content} {
		for o := range logs[eid].All(s) {
			ids[o.ID()] = true
		}
	}
	return ids, nil
}

// TestNothingIsHandedOutEarly: what is being written is not handed to a member
// before it is durable.
func TestNothingIsHandedOutEarly(t *testing.T) {
	b := newBrittle()
	n := targetOn(t, b, nil)
	board, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	gate := make(chan struct{})
	b.set(func() { b.gate = gate })
	var over sync.WaitGroup
	over.Go(func() {
		if _, err := n.NewArticle(t.Context(), "dev", "", "slow", "text"); err != nil {
			t.Error(err)
		}
	})
	<-b.began // it is in memory and not yet on the disk
	asked := make(chan int, 1)
	over.Go(func() { asked <- len(handedOut(t, n, board.ID)) })
	select {
	case got := <-asked:
		durable, err := oplogIDs(t, b, board.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got > len(durable) {
			t.Errorf("%d ops were handed out while %d were durable", got, len(durable))
		}
	case <-time.After(100 * time.Millisecond): // it waits, as it should
	}
	b.set(func() { b.gate = nil })
	close(gate)
	over.Wait()
}

// TestStoreStaysFailed: a reason to stop that comes while a commit is under way is
// not forgotten when that commit goes well.
func TestStoreStaysFailed(t *testing.T) {
	b := newBrittle()
	s := &store{ds: b}
	gate := make(chan struct{})
	b.set(func() { b.gate = gate })
	var over sync.WaitGroup
	over.Go(func() {
		if err := s.wait(s.enqueue([]put{{datastore.NewKey("/x"), []byte{1}}}, nil)); err != nil {
			t.Errorf("the commit under way: %v", err)
		}
	})
	<-b.began
	s.fail(refuse("store_behind"))
	close(gate)
	over.Wait()
	if got := code(t, s.ready()); got != "store_behind" {
		t.Errorf("afterwards: %q, want store_behind", got)
	}
}

// TestLimitParked: who cannot be parked is told so, so that its stream is ended and
// its requester comes back; a run of a claim that waits already takes its place.
func TestLimitParked(t *testing.T) {
	n, _ := target(t, nil)
	for i := range maxParked {
		if !n.park(keys.Digest{1, byte(i)}, "i-1", make(chan protocol.Event, 1)) {
			t.Fatalf("the stream %d was not parked", i)
		}
	}
	if n.park(keys.Digest{2}, "i-1", make(chan protocol.Event, 1)) {
		t.Error("one more was parked")
	}
	newer := make(chan protocol.Event, 1)
	if !n.park(keys.Digest{1, 0}, "i-1", newer) || n.parked[keys.Digest{1, 0}] != newer || len(n.parked) != maxParked {
		t.Error("a newer run of a parked claim did not take its place")
	}
	// The older run that ends does not take the newer one's place away.
	n.unpark(keys.Digest{1, 0}, make(chan protocol.Event, 1))
	if n.parked[keys.Digest{1, 0}] != newer {
		t.Error("another run unparked it")
	}
}

// TestLimitLive: so many joins at once, and no more.
func TestLimitLive(t *testing.T) {
	n, _ := target(t, nil)
	for i := range maxLiveJoins {
		if !n.beginLive() {
			t.Fatalf("join %d was refused", i)
		}
	}
	if n.beginLive() {
		t.Error("one more was taken")
	}
	n.endLive()
	if !n.beginLive() {
		t.Error("a free place was refused")
	}
}

// TestLimitLog: a member whose operations are refused by the hundred gets one line
// in the log for them, and none of them in.
func TestLimitLog(t *testing.T) {
	var log bytes.Buffer
	n, _ := target(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	b, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	inv, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	h, c := n.entities[b.ID], newClaimant(t)
	ev := n.commitInviting(c.key.ID(), inv.ID, c.reserve(h)).(protocol.Committed)
	if _, err := n.Approve(t.Context(), ev.Claim.ID); err != nil {
		t.Fatal(err)
	}
	var raws []oplog.Pair
	for i := range 200 {
		o, err := oplog.Sign(c.key, oplog.Draft{
			Entity: h.ID(), User: c.me.ID(), Strand: oplog.Control, Family: oplog.FamilyPolicy, Type: entity.TypeTitle,
			Parents: h.Log().Heads(oplog.Control), At: time.UnixMilli(int64(i)), Body: keys.Marshal(entity.Text{Text: "mine"}),
		})
		if err != nil {
			t.Fatal(err)
		}
		raws = append(raws, o.Pair())
	}
	log.Reset()
	before := h.Log().Len()
	if _, err := n.take(h.ID(), c.key.ID(), raws); err != nil || h.Log().Len() != before || h.State().Title != "" {
		t.Errorf("%v, %d ops more, the board is called %q", err, h.Log().Len()-before, h.State().Title)
	}
	if got := strings.Count(log.String(), "\n"); got != 1 {
		t.Errorf("%d lines in the log, want 1", got)
	}
}

// TestLimitPending: so many undecided requests of one entity, over all its links.
func TestLimitPending(t *testing.T) {
	n, h, inv := boardTarget(t, InviteOptions{Uses: 100})
	second, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev", Uses: 100})
	if err != nil {
		t.Fatal(err)
	}
	links := []string{inv.ID, second.ID}
	var first claimant
	for i := range maxPending {
		c := newClaimant(t)
		if i == 0 {
			first = c
		}
		if got, ok := n.commitInviting(c.key.ID(), links[i%2], c.reserve(h)).(protocol.Committed); !ok || got.Refuse != invite.OK {
			t.Fatalf("request %d: %+v", i, got)
		}
	}
	late := newClaimant(t)
	if got, ok := n.commitInviting(late.key.ID(), links[0], late.reserve(h)).(protocol.Refused); !ok || got.Why != invite.RefusedBusy || !got.Why.Temporary() {
		t.Errorf("one more: %+v, want too_many", got)
	}
	if got, ok := n.commitInviting(first.key.ID(), links[0], first.reserve(h)).(protocol.Committed); !ok || got.Refuse != invite.OK {
		t.Errorf("one that waits already comes back: %+v", got)
	}
	other, err := n.CreateBoard(t.Context(), BoardOptions{Name: "other", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "other"})
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := n.commitInviting(late.key.ID(), elsewhere.ID, late.reserve(n.entities[other.ID])).(protocol.Committed); !ok || got.Refuse != invite.OK {
		t.Errorf("another board: %+v; want its own hundred", got)
	}
	// One that is decided makes room.
	if _, err := n.Reject(t.Context(), n.invites[links[0]].Claims[0].ID); err != nil {
		t.Fatal(err)
	}
	if got, ok := n.commitInviting(late.key.ID(), links[0], late.reserve(h)).(protocol.Committed); !ok || got.Refuse != invite.OK {
		t.Errorf("with room again: %+v", got)
	}
}
