package node

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// deletes is a board of alice's with an article that the claimant wrote, so many bytes by
// alice, and that the claimant deleted the article, and a checkpoint that drops it: all of
// it, and what a node has that lacks the content.
func deletes(t *testing.T, between int) (n *Node, whole *entity.Entity, c claimant, list oplog.Dropped) {
	t.Helper()
	n, h, _ := boardTarget(t, InviteOptions{})
	c = newClaimant(t)
	enters(t, n, h, c)
	author := entity.Author{Key: c.key, User: c.me.ID(), Now: time.Now()}
	a, err := h.Write(author, h.ring, oplog.FamilyArticle, entity.TypeArticleNew, entity.Article{Title: "regretted"})
	if err != nil {
		t.Fatal(err)
	}
	for ; between > 0; between -= 100_000 {
		if _, err := n.NewArticle(t.Context(), "dev", "", "between", strings.Repeat("x", 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Write(author, h.ring, oplog.FamilyArticle, entity.TypeArticleDelete, entity.ArticleDelete{Article: a.ID()}); err != nil {
		t.Fatal(err)
	}
	o, err := h.Checkpoint(entity.Author{Key: n.device, User: n.user, Now: time.Now()}, h.ring)
	if err != nil {
		t.Fatal(err)
	}
	control := slices.Collect(h.Log().All(oplog.Control))
	lacking, err := entity.New(control[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range control[1:] {
		if _, err := lacking.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	n.entities[h.ID()] = &held{lacking, h.ring}
	if list, _, err = h.Strip(o.ID(), h.ring); err != nil || len(list.Stubs) != 1 {
		t.Fatalf("%d, %v", len(list.Stubs), err)
	}
	return n, h.Entity, c, list
}

// TestAttackDroppedFrames: stubs are taken from a member with the list of a checkpoint and
// without it by no way, and what is no such list ends the stream.
func TestAttackDroppedFrames(t *testing.T) {
	n, whole, c, list := deletes(t, 0)
	eid := whole.ID()
	var entries [][]byte
	for o := range whole.Log().All(oplog.Content) {
		entries = append(entries, o.Entry())
	}
	next := slices.Collect(whole.Log().All(oplog.Content))[1].Bytes() // which names the stub
	genesis, _ := whole.Log().Get(eid)
	vouched := func(raws ...[]byte) []byte { return syncFrame(protocol.SyncVouchers, protocol.Vouchers{Ops: raws}) }
	dropped := func(d oplog.Dropped) []byte { return syncFrame(protocol.SyncDropped, protocol.Dropped(d)) }
	ops := syncFrame(protocol.SyncOps, protocol.Ops{Ops: entries})
	circle := oplog.Dropped{Checkpoint: list.Checkpoint, Stubs: []oplog.Stub{{ID: list.Stubs[0].ID, Envelope: oplog.StubOf(slices.Collect(whole.Log().All(oplog.Content))[1]).Envelope}}}
	another := oplog.Dropped{Checkpoint: list.Checkpoint, Stubs: []oplog.Stub{{ID: keys.Digest{1}, Envelope: list.Stubs[0].Envelope}}}
	for what, c2 := range map[string]struct {
		frames [][]byte
		over   bool // the stream ends
	}{
		"no list":                 {[][]byte{ops}, false},
		"another list":            {[][]byte{dropped(another), ops}, true},
		"a list that is none":     {[][]byte{dropped(oplog.Dropped{Checkpoint: list.Checkpoint, Stubs: []oplog.Stub{{}}}), ops}, true},
		"of another checkpoint":   {[][]byte{dropped(oplog.Dropped{Checkpoint: keys.Digest{1}, Stubs: list.Stubs}), ops}, true},
		"a list again, at once":   {[][]byte{dropped(list), dropped(list), ops}, true},
		"a voucher of nothing":    {[][]byte{vouched(genesis.Bytes()), ops}, true},
		"a voucher again":         {[][]byte{dropped(list), vouched(next, next), ops}, true},
		"a voucher badly signed":  {[][]byte{dropped(list), vouched(append(slices.Clone(next[:len(next)-1]), next[len(next)-1]^1)), ops}, true},
		"vouchers of none":        {[][]byte{dropped(list), vouched(), vouched(), vouched(), ops}, true},
		"a list that is a circle": {[][]byte{dropped(circle), vouched(next), ops}, true},
		"no voucher":              {[][]byte{dropped(list), ops}, false},
		"a list after the stubs":  {[][]byte{syncFrame(protocol.SyncOps, protocol.Ops{Ops: entries, More: true}), dropped(another)}, true},
	} {
		frames := slices.Concat([][]byte{syncFrame(protocol.SyncHello, protocol.Hello{Entity: eid})}, c2.frames,
			[][]byte{syncFrame(protocol.SyncVector, protocol.VectorFrame{Heads: oplog.Vector{}})})
		got := answers(t, n, c, frames...)
		if over := len(got) < 2; over != c2.over {
			t.Errorf("%s: answers %v", what, got)
		}
		if got := n.have(eid); got != whole.Log().Len()-2 {
			t.Fatalf("%s: %d ops are here", what, got)
		}
	}
	if _, err := n.take(eid, c.key.ID(), entries); err != nil || n.have(eid) != whole.Log().Len()-2 {
		t.Errorf("a push of stubs: %v, %d ops", err, n.have(eid))
	}
	if _, err := n.takeList(eid, newClaimant(t).key.ID(), list); err == nil {
		t.Error("a list from who is no member")
	}
	n.runCtx = t.Context() // so that it would tell others
	got := answers(t, n, c, syncFrame(protocol.SyncHello, protocol.Hello{Entity: eid}), dropped(list), vouched(next), ops,
		syncFrame(protocol.SyncVector, protocol.VectorFrame{Heads: oplog.Vector{}}))
	want := []protocol.SyncType{protocol.SyncVector, protocol.SyncOps, protocol.SyncDropped, protocol.SyncVouchers, protocol.SyncOps}
	if n.have(eid) != whole.Log().Len() || !slices.Equal(got, want) {
		t.Errorf("the list: %d ops of %d, answers %v, want %v", n.have(eid), whole.Log().Len(), got, want)
	}
	told := 0
	for _, tidings := range n.outbox {
		told += len(tidings.ops)
		if slices.ContainsFunc(tidings.ops, oplog.Op.Bare) {
			t.Error("a stub is pushed, which convinces nobody")
		}
	}
	if told != 1 {
		t.Errorf("members are told of %d ops, want the deletion", told)
	}
}

// TestListsOnce: a sync that was cut off after a list goes on without it: each side says up
// to where it has them. Who says what the other does not know gets all.
func TestListsOnce(t *testing.T) {
	n, whole, c, list := deletes(t, 0)
	eid := whole.ID()
	hello := syncFrame(protocol.SyncHello, protocol.Hello{Entity: eid})
	vector := func(lists *keys.Digest) []byte {
		return syncFrame(protocol.SyncVector, protocol.VectorFrame{Heads: oplog.Vector{}, Lists: lists})
	}
	ops := func(entries ...[]byte) []byte {
		return syncFrame(protocol.SyncOps, protocol.Ops{Ops: append([][]byte{}, entries...)})
	}
	if n.offer(eid, false).lists != nil {
		t.Error("there is no list, and it says that there is one")
	}
	answers(t, n, c, hello, syncFrame(protocol.SyncDropped, protocol.Dropped(list)))
	if got := n.offer(eid, false).lists; n.have(eid) != whole.Log().Len()-2 || got == nil || *got != list.Checkpoint {
		t.Fatalf("%d ops, and lists up to %v", n.have(eid), got)
	}
	l := newLine(hello, false)
	_ = n.serveSync(t.Context(), l.stream(c.key.ID())) // the line ends, which is no fault
	var said protocol.VectorFrame
	r := &stream{Stream: &fakeStream{}, r: bufio.NewReader(bytes.NewReader(l.sent()))}
	if err := r.readSync(protocol.SyncVector, &said); err != nil || said.Lists == nil || *said.Lists != list.Checkpoint {
		t.Errorf("it says %v, %v", said.Lists, err)
	}

	vouchers := func(raws ...[]byte) []byte { return syncFrame(protocol.SyncVouchers, protocol.Vouchers{Ops: raws}) }
	var entries [][]byte
	for o := range whole.Log().All(oplog.Content) {
		entries = append(entries, o.Entry())
	}
	next := slices.Collect(whole.Log().All(oplog.Content))[1].Bytes() // which names the stub
	got := answers(t, n, c, hello, vouchers(next), ops(entries...), vector(&list.Checkpoint))
	want := []protocol.SyncType{protocol.SyncVector, protocol.SyncVouchers, protocol.SyncOps}
	if n.have(eid) != whole.Log().Len() || !slices.Equal(got, want) {
		t.Errorf("%d ops of %d; it answers %v, want no list: %v", n.have(eid), whole.Log().Len(), got, want)
	}
	want = []protocol.SyncType{protocol.SyncVector, protocol.SyncOps, protocol.SyncDropped, protocol.SyncVouchers, protocol.SyncOps}
	if got := answers(t, n, c, hello, ops(), vector(&keys.Digest{1})); !slices.Equal(got, want) {
		t.Errorf("who has lists of another chain gets %v, want %v", got, want)
	}
	if got := answers(t, n, c, hello, vouchers(next), ops(), vector(nil)); len(got) < 2 {
		t.Errorf("a voucher of what another sync was faster with is answered by %v, want all", got)
	}
	if got := answers(t, n, c, hello, vouchers(next), vouchers(next), ops(), vector(nil)); len(got) != 1 {
		t.Errorf("a voucher again is answered by %v, want the end", got)
	}

	other := []byte{0, 1, 1, 2, 3, 4, 5, 6, 7, 8} // a sum of everything that is not theirs
	turn, _, err := oplog.NewReconciler(whole.Log().Places(), oplog.Salt{1}).Answer(other, nil)
	if err != nil {
		t.Fatal(err)
	}
	got = answers(t, n, c,
		syncFrame(protocol.SyncRanges, protocol.Ranges{Entity: &eid, Hash: &eid, Salt: &oplog.Salt{1}, Ranges: other, Lists: &list.Checkpoint}),
		syncFrame(protocol.SyncRanges, protocol.Ranges{Wants: turn[3:]}), // all that is listed behind step, head and count
		ops())
	if want := []protocol.SyncType{protocol.SyncRanges, protocol.SyncVouchers, protocol.SyncOps}; !slices.Equal(got, want) {
		t.Errorf("by ranges it answers %v, want no list: %v", got, want)
	}
	l = newLine(syncFrame(protocol.SyncRanges, protocol.Ranges{Entity: &eid, Hash: &eid, Salt: &oplog.Salt{1}, Ranges: other}), false)
	_ = n.serveSync(t.Context(), l.stream(c.key.ID()))
	var ranges protocol.Ranges
	r = &stream{Stream: &fakeStream{}, r: bufio.NewReader(bytes.NewReader(l.sent()))}
	if err := r.readSync(protocol.SyncRanges, &ranges); err != nil || ranges.Lists == nil || *ranges.Lists != list.Checkpoint {
		t.Errorf("by ranges it says %v, %v", ranges.Lists, err)
	}
	if first := n.firstRanges(eid, new(n.offer(eid, true))); first.Lists == nil || *first.Lists != list.Checkpoint {
		t.Errorf("with the first ranges it says %v", first.Lists)
	}
}

// TestListsOnceAsked: so it is where the other side was asked.
func TestListsOnceAsked(t *testing.T) {
	n, whole, c, list := deletes(t, 0)
	n.entities[whole.ID()] = &held{whole, n.entities[whole.ID()].ring}
	n.runCtx = t.Context()
	id, err := HostIdentity(c.key)
	if err != nil {
		t.Fatal(err)
	}
	other, err := libp2p.New(libp2p.Identity(id), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var got []protocol.SyncType
	var said protocol.VectorFrame
	handled := make(chan struct{})
	other.SetStreamHandler(protocol.SyncID, func(raw network.Stream) {
		defer close(handled)
		s := &stream{Stream: raw, rw: raw, r: bufio.NewReader(raw)}
		defer s.Close()
		if _, _, err := s.read(syncLimit); err != nil {
			return
		}
		if err := s.write(syncFrame(protocol.SyncVector, protocol.VectorFrame{Heads: oplog.Vector{}, Lists: &list.Checkpoint})); err != nil {
			return
		}
		for {
			typ, payload, err := s.read(syncLimit)
			if err != nil {
				return
			}
			got = append(got, protocol.SyncType(typ))
			if protocol.SyncType(typ) == protocol.SyncVector {
				_ = protocol.DecodeSync(payload, &said)
				_ = s.write(syncFrame(protocol.SyncOps, protocol.Ops{Ops: [][]byte{}}))
				return
			}
		}
	})
	n.host.Peerstore().AddAddrs(other.ID(), other.Addrs(), peerstore.PermanentAddrTTL)
	if _, err := n.exchange(t.Context(), c.key.ID(), whole.ID(), false); err != nil {
		t.Fatal(err)
	}
	<-handled
	if want := []protocol.SyncType{protocol.SyncVouchers, protocol.SyncOps, protocol.SyncVector}; !slices.Equal(got, want) {
		t.Errorf("it sends %v, want no list: %v", got, want)
	}
	if said.Lists == nil || *said.Lists != list.Checkpoint {
		t.Errorf("it says %v", said.Lists)
	}
}

// TestListsInRow: what a node says of its lists ends before one that it lacks.
func TestListsInRow(t *testing.T) {
	n, whole, _, first := deletes(t, 0)
	lacking := n.entities[whole.ID()]
	author := entity.Author{Key: n.device, User: n.user, Now: time.Now()}
	a, err := whole.Write(author, lacking.ring, oplog.FamilyArticle, entity.TypeArticleNew, entity.Article{Title: "regretted too"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whole.Write(author, lacking.ring, oplog.FamilyArticle, entity.TypeArticleDelete, entity.ArticleDelete{Article: a.ID()}); err != nil {
		t.Fatal(err)
	}
	o, err := whole.Checkpoint(author, lacking.ring)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := whole.Strip(o.ID(), lacking.ring)
	if err != nil || len(second.Stubs) != 1 {
		t.Fatalf("%d, %v", len(second.Stubs), err)
	}
	if _, err := lacking.Add(o); err != nil {
		t.Fatal(err)
	}
	lacking.Log().KeepDropped(second)
	if got := n.offer(whole.ID(), false).lists; got != nil {
		t.Errorf("without the first it says %v", got)
	}
	lacking.Log().KeepDropped(first)
	if got := n.offer(whole.ID(), false).lists; got == nil || *got != second.Checkpoint {
		t.Errorf("with both it says %v, want the second", got)
	}
	n.entities[whole.ID()] = &held{whole, lacking.ring}
	early := slices.Collect(whole.Log().All(oplog.Content))[:2] // the stub of the first list, and what vouches for it
	for what, has := range map[string]*keys.Digest{"first": &first.Checkpoint, "second": &second.Checkpoint} {
		if lists, _, _ := n.listsFor(whole.ID(), early, has); len(lists) != 0 {
			t.Errorf("who has the lists up to the %s, and lacks a stub of the first, is sent %d again", what, len(lists))
		}
	}
}

// TestDroppedByRanges: stubs and their lists also come where ranges of logs are compared.
func TestDroppedByRanges(t *testing.T) {
	n, whole, c, list := deletes(t, 0)
	n.entities[whole.ID()] = &held{whole, n.entities[whole.ID()].ring}
	l := newLine(nil, false)
	var ids []keys.Digest
	for o := range whole.Log().All(oplog.Content) {
		ids = append(ids, o.ID())
	}
	lists, _, _ := n.listsFor(whole.ID(), slices.Collect(whole.Log().All(oplog.Content)), nil)
	if len(lists) != 1 || lists[0].Checkpoint != list.Checkpoint {
		t.Fatalf("%d lists", len(lists))
	}
	if err := n.sendNamed(l.stream(c.key.ID()), whole.ID(), ids); err != nil {
		t.Fatal(err)
	}
	if sent := string(l.sent()); !strings.Contains(sent, string(list.Stubs[0].Envelope)) {
		t.Error("the list was not sent")
	}
}

// TestFalseDropsShowInStatus: a checkpoint that is signed with a stolen key of the founder's
// and drops what is shown is told of in status, and drops nothing.
func TestFalseDropsShowInStatus(t *testing.T) {
	n, h, _ := boardTarget(t, InviteOptions{})
	c, phone := newClaimant(t), keys.New()
	enters(t, n, h, c)
	if _, err := n.NewArticle(t.Context(), "dev", "", "shown", "text"); err != nil {
		t.Fatal(err)
	}
	listPhone(t, n, h, phone)
	next, err := thiefOf(t, h).Checkpoint(entity.Author{Key: phone, User: n.user, Now: time.Now()}, h.ring)
	if err != nil {
		t.Fatal(err)
	}
	var body entity.Checkpoint
	if err := keys.Unmarshal(next.Body(), &body); err != nil {
		t.Fatal(err)
	}
	thief, eid := thiefOf(t, h), h.ID()
	stubs := []oplog.Stub{oplog.StubOf(slices.Collect(thief.Log().All(oplog.Content))[0])}
	body.Drops, body.Content = 1, keys.Hash(keys.LabelRoots, eid[:], []byte{6}, keys.Marshal(body.Heads), keys.Marshal(stubs))
	forged, err := thief.Control(entity.Author{Key: phone, User: n.user, Now: time.Now()}, oplog.FamilyCheckpoint, entity.TypeCheckpoint, body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.take(h.ID(), c.key.ID(), [][]byte{forged.Bytes()}); err != nil {
		t.Fatal(err)
	}
	if err := n.closePasts(); err != nil {
		t.Fatal(err)
	}
	if got := healthCodes(n); !slices.Equal(got, []string{"checkpoint_false"}) {
		t.Errorf("health %q, want checkpoint_false", got)
	}
	if v, err := n.View("dev"); err != nil || v.Final.Dropped != 0 || !slices.Equal(v.Final.False, []keys.Digest{forged.ID()}) {
		t.Errorf("%+v, %v", v.Final, err)
	}
}

// listPhone lists a further device of alice's in her board.
func listPhone(t *testing.T, n *Node, h *held, phone keys.Private) {
	t.Helper()
	m, _ := h.State().Member(n.user)
	party := m.Party
	party.Devices = append(slices.Clone(party.Devices), phone.ID())
	slices.SortFunc(party.Devices, func(a, b keys.ID) int { return slices.Compare(a[:], b[:]) })
	if _, err := h.Control(entity.Author{Key: n.device, User: n.user, Now: time.Now()}, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party}); err != nil {
		t.Fatal(err)
	}
}

// thiefOf is all that a board has, at another place.
func thiefOf(t *testing.T, h *held) *entity.Entity {
	t.Helper()
	thief, err := copyOf(h.Entity)
	if err != nil {
		t.Fatal(err)
	}
	for o := range h.Log().All(oplog.Content) {
		if _, err := thief.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return thief
}

// TestDroppedLeavesTheDisk: what was deleted is in no file of the store four weeks later,
// at the latest after the next start.
func TestDroppedLeavesTheDisk(t *testing.T) {
	dir := t.TempDir()
	ds, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	n := targetOn(t, ds, func(c *Config) { c.Now, c.Merge = func() time.Time { return now }, mergerOf(ds) })
	n.runCtx = t.Context()
	b, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	a, err := n.NewArticle(t.Context(), "dev", "", "regretted", strings.Repeat("x", 2000))
	if err != nil {
		t.Fatal(err)
	}
	o, _ := n.entities[b.ID].Log().Get(a.ID)
	sealed := slices.Clone(o.Body())
	if _, err := n.DeleteArticle(t.Context(), "dev", a.ID.String()); err != nil {
		t.Fatal(err)
	}
	if err := ds.DB.Flush(); err != nil { // into a table
		t.Fatal(err)
	}
	in := func(pattern string) (count int) { // pebble takes its time to remove files
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%q: %v", files, err)
		}
		for _, f := range files {
			if raw, err := os.ReadFile(f); err == nil && bytes.Contains(raw, sealed[100:200]) { // a file may go meanwhile
				count++
			}
		}
		return count
	}
	if in("*.sst") == 0 {
		t.Fatal("it is in no table: this proves nothing")
	}
	for range 2 {
		now = now.Add(entity.DropAfter)
		if err := n.closePasts(); err != nil {
			t.Fatal(err)
		}
	}
	n.wg.Wait()
	if got := n.entities[b.ID].Log().Bare(); got != 1 {
		t.Errorf("%d dropped", got)
	}
	if err := ds.Close(); err != nil {
		t.Fatal(err)
	}
	if ds, err = openStore(dir); err != nil {
		t.Fatal(err)
	}
	if err := ds.Close(); err != nil { // which waits for the files that are to be removed
		t.Fatal(err)
	}
	if got := in("*"); got > 0 {
		t.Errorf("in %d files after a start", got)
	}
}

// TestStubsOfNoCheckpoint: stubs that no checkpoint vouches for any more are not sent, nor
// what builds on them; the rest is.
func TestStubsOfNoCheckpoint(t *testing.T) {
	n, whole, _, list := deletes(t, 0)
	n.entities[whole.ID()] = &held{whole, nil}
	lost, err := list.Stubs[0].Op(keys.Digest{1})
	if err != nil {
		t.Fatal(err)
	}
	ops := slices.Collect(whole.Log().All(oplog.Control))
	control := len(ops)
	for o := range whole.Log().All(oplog.Content) {
		if o.ID() == lost.ID() {
			o = lost
		}
		ops = append(ops, o)
	}
	lists, _, left := n.listsFor(whole.ID(), ops, nil)
	if len(lists) != 0 || !slices.Equal(left, ops[:control]) {
		t.Errorf("%d lists, %d of %d ops, want the %d of the control strand", len(lists), len(left), len(ops), control)
	}
}

// TestAttackStubOfOwnDevice: a list can name what our own device never wrote; that is no
// sign of an old backup, which would stop this node.
func TestAttackStubOfOwnDevice(t *testing.T) {
	n, h, _ := boardTarget(t, InviteOptions{})
	c := newClaimant(t)
	enters(t, n, h, c)
	var epoch keys.Digest
	for epoch = range h.ring { // there is one
	}
	o, err := oplog.Sign(n.device, oplog.Draft{
		Entity: h.ID(), User: n.user, Strand: oplog.Content, Family: oplog.FamilyArticle, Type: entity.TypeArticleNew,
		Auth: h.Log().Heads(oplog.Control), Epoch: epoch, At: time.Now(), Body: []byte("x"),
	})
	if err != nil {
		t.Fatal(err)
	}
	stub := oplog.StubOf(o) // its author needs no key to make it up
	stub.ID = keys.Digest{1}
	bare, err := stub.Op(keys.Digest{2})
	if err != nil {
		t.Fatal(err)
	}
	_, finish, err := n.takeParsed(h.ID(), c.key.ID(), []oplog.Op{bare}) // if it got so far: nothing names it
	if finish != nil {
		err = finish()
	}
	if err != nil {
		t.Error(err)
	}
	if _, known := h.Log().Get(stub.ID); known || len(healthCodes(n)) != 0 {
		t.Errorf("known %v, health %v", known, healthCodes(n))
	}
	if _, err := n.NewArticle(t.Context(), "dev", "", "still here", "text"); err != nil {
		t.Error(err)
	}
}

// TestVoucherFarOff: a stub is taken though the op that vouches for it builds on more than
// a frame carries.
func TestVoucherFarOff(t *testing.T) {
	n, whole, c, _ := deletes(t, 3<<20)
	lacking := n.entities[whole.ID()]
	n.entities[whole.ID()] = &held{whole, lacking.ring}
	l := newLine(nil, false)
	if err := n.sendOps(l.stream(c.key.ID()), whole.ID(), slices.Collect(whole.Log().All(oplog.Content))); err != nil {
		t.Fatal(err)
	}
	n.entities[whole.ID()] = lacking
	n.device = keys.New() // else it would have written what it lacks
	answers(t, n, c, syncFrame(protocol.SyncHello, protocol.Hello{Entity: whole.ID()}), l.sent(),
		syncFrame(protocol.SyncVector, protocol.VectorFrame{Heads: oplog.Vector{}}))
	if got := n.have(whole.ID()); got != whole.Log().Len() || lacking.Log().Bare() != 1 {
		t.Errorf("%d ops of %d, %d stubs", got, whole.Log().Len(), lacking.Log().Bare())
	}
}

// TestVouchersInTurn: no frame comes after more than a frame of vouchers, of which nothing is
// kept if the stream is cut off.
func TestVouchersInTurn(t *testing.T) {
	n, h, _ := boardTarget(t, InviteOptions{})
	c := newClaimant(t)
	enters(t, n, h, c)
	author := entity.Author{Key: c.key, User: c.me.ID(), Now: time.Now()}
	write := func(typ uint16, body any) oplog.Op {
		t.Helper()
		o, err := h.Write(author, h.ring, oplog.FamilyArticle, typ, body)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	for range 40 { // each stub needs a long one
		a := write(entity.TypeArticleNew, entity.Article{Title: "short"})
		write(entity.TypeArticleNew, entity.Article{Title: "long", Text: strings.Repeat("x", 60_000)})
		write(entity.TypeArticleDelete, entity.ArticleDelete{Article: a.ID()})
	}
	o, err := h.Checkpoint(entity.Author{Key: n.device, User: n.user, Now: time.Now()}, h.ring)
	if err != nil {
		t.Fatal(err)
	}
	if _, stripped, err := h.Strip(o.ID(), h.ring); err != nil || len(stripped) != 40 {
		t.Fatalf("%d, %v", len(stripped), err)
	}
	l := newLine(nil, false)
	if err := n.sendOps(l.stream(c.key.ID()), h.ID(), slices.Collect(h.Log().All(oplog.Content))); err != nil {
		t.Fatal(err)
	}
	r := &stream{Stream: &fakeStream{}, r: bufio.NewReader(bytes.NewReader(l.sent()))}
	vouchers, all := 0, 0
	for {
		typ, payload, err := r.read(syncLimit)
		if err != nil {
			break
		}
		switch protocol.SyncType(typ) {
		case protocol.SyncVouchers:
			vouchers += len(payload)
			all += len(payload)
		case protocol.SyncOps:
			vouchers = 0
		}
		if vouchers > 2*protocol.MaxSync {
			t.Errorf("%d bytes of vouchers in a row", vouchers)
		}
	}
	if all < 40*60_000 {
		t.Errorf("%d bytes of vouchers: this proves nothing", all)
	}
}
