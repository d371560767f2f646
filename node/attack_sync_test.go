package node

import (
	"bufio"
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// enters lets a claimant into a board.
func enters(t testing.TB, n *Node, h *held, c claimant) {
	t.Helper()
	inv, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: h.ID().String(), Auto: true})
	if err != nil {
		t.Fatal(err)
	}
	ev, ok := n.commitInviting(c.key.ID(), inv.ID, c.reserve(h)).(protocol.Committed)
	if !ok {
		t.Fatalf("%+v", ev)
	}
	if got, ok := n.commitInviting(c.key.ID(), inv.ID, &protocol.Change{Approve: &ev.Claim.JoinID}).(protocol.Committed); !ok || got.Grant == nil {
		t.Fatalf("%+v", got)
	}
}

// answers returns the types of the frames with which a node answers all that a claimant
// sends in one sync.
func answers(t *testing.T, n *Node, c claimant, frames ...[]byte) (got []protocol.SyncType) {
	t.Helper()
	l := newLine(slices.Concat(frames...), false)
	_ = n.serveSync(t.Context(), l.stream(c.key.ID())) // the line ends, which is no fault
	r := &stream{Stream: &fakeStream{}, r: bufio.NewReader(bytes.NewReader(l.sent()))}
	for {
		typ, _, err := r.read(syncLimit)
		if err != nil {
			return got
		}
		got = append(got, protocol.SyncType(typ))
	}
}

// TestAttackLeavesInside: a member who brings his own leave in a sync gets nothing
// more in that very sync.
func TestAttackLeavesInside(t *testing.T) {
	n, h, _ := boardTarget(t, InviteOptions{})
	c := newClaimant(t)
	enters(t, n, h, c)
	o := leaving(t, h, c, h.Log().Heads(oplog.Control))
	sync := func(ops ...oplog.Pair) []protocol.SyncType {
		t.Helper()
		return answers(t, n, c,
			syncFrame(protocol.SyncHello, protocol.Hello{Entity: h.ID()}),
			syncFrame(protocol.SyncOps, protocol.Ops{Ops: append([]oplog.Pair{}, ops...)}),
			syncFrame(protocol.SyncVector, protocol.VectorFrame{Heads: oplog.Vector{}}),
		)
	}
	if got := sync(); !slices.Equal(got, []protocol.SyncType{protocol.SyncVector, protocol.SyncOps}) {
		t.Fatalf("a member gets %v, want the vector and the ops", got)
	}
	if got := sync(o.Pair()); !slices.Equal(got, []protocol.SyncType{protocol.SyncVector}) {
		t.Errorf("who leaves inside the sync gets %v, want the vector alone", got)
	}
	if m, _ := h.State().Member(c.me.ID()); m.Standing == entity.Active {
		t.Error("his leave was not taken: this proves nothing")
	}
}

// TestAttackOwnOps: our own operations, brought back by a member, do not stop this
// node: neither known ones, nor those of one board as another's, nor what somebody
// else signed with our device in the envelope.
func TestAttackOwnOps(t *testing.T) {
	n, h, _ := boardTarget(t, InviteOptions{})
	second, err := n.CreateBoard(t.Context(), BoardOptions{Name: "second", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	other, c := n.entities[second.ID], newClaimant(t)
	enters(t, n, h, c)
	enters(t, n, other, c)
	if _, err := n.NewArticle(t.Context(), "second", "", "by alice", "text"); err != nil {
		t.Fatal(err)
	}
	own := whole(t, other.Log(), slices.Collect(other.Log().All(oplog.Content))[0])
	forged := oplog.Pair{Envelope: bytes.Clone(own.Envelope()), Body: own.Body()}
	forged.Envelope[len(forged.Envelope)-1] ^= 1
	control := slices.Collect(other.Log().All(oplog.Control))
	for _, raw := range []oplog.Pair{own.Pair(), forged, control[1].Pair(), control[0].Pair()} {
		for _, eid := range []keys.Digest{h.ID(), other.ID()} {
			_, err := n.take(eid, c.key.ID(), []oplog.Pair{raw})
			if spoiled := &raw.Envelope[0] == &forged.Envelope[0]; errors.Is(err, errPayload) != spoiled || !spoiled && err != nil {
				t.Errorf("%v", err)
			}
		}
	}
	if got := healthCodes(n); len(got) != 0 {
		t.Errorf("a member stopped this node: %v", got)
	}
	if _, err := n.NewArticle(t.Context(), "dev", "", "still here", "text"); err != nil {
		t.Error(err)
	}
}

// sealedRecord returns a peer record of any peer, signed by a device.
func sealedRecord(t *testing.T, by keys.Private, of keys.ID, seq uint64, addrs ...string) []byte {
	t.Helper()
	id, err := peerID(of)
	if err != nil {
		t.Fatal(err)
	}
	key, err := HostIdentity(by)
	if err != nil {
		t.Fatal(err)
	}
	r := &peer.PeerRecord{PeerID: id, Seq: seq}
	for _, a := range addrs {
		r.Addrs = append(r.Addrs, ma.StringCast(a))
	}
	env, err := record.Seal(r, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := env.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestAttackRecords: a device's addresses come from itself, newer ones replace older
// ones, and those of devices of no member are not kept.
func TestAttackRecords(t *testing.T) {
	n, h, _ := boardTarget(t, InviteOptions{})
	c, stranger := newClaimant(t), newClaimant(t)
	enters(t, n, h, c)
	device := c.key.ID()
	first := sealedRecord(t, c.key, device, 5, "/ip4/1.2.3.4/udp/1/quic-v1")
	second := sealedRecord(t, c.key, device, 6, "/ip4/1.2.3.5/udp/1/quic-v1")
	keep := func(of keys.ID, raw []byte) {
		t.Helper()
		if err := n.update(func(tx *tx) error { tx.addrs(of, raw); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	keep(device, second)
	for what, raw := range map[string][]byte{
		"an older one":       first,
		"the same once more": sealedRecord(t, c.key, device, 6, "/ip4/9.9.9.9/udp/1/quic-v1"),
		"of a stranger":      sealedRecord(t, stranger.key, stranger.key.ID(), 9, "/ip4/9.9.9.9/udp/1/quic-v1"),
		"by a stranger":      sealedRecord(t, stranger.key, device, 9, "/ip4/9.9.9.9/udp/1/quic-v1"),
		"no record":          []byte("hello"),
		"spoiled":            append(bytes.Clone(second), 0),
	} {
		if keep(device, raw); !bytes.Equal(n.records[device], second) {
			t.Errorf("%s replaced the record", what)
		}
	}
	third := sealedRecord(t, c.key, device, 7, "/ip4/1.2.3.6/udp/1/quic-v1")
	if keep(device, third); !bytes.Equal(n.records[device], third) {
		t.Error("a newer one did not replace the record")
	}

	// What an approval brings: members' only.
	before := len(n.records)
	err := n.update(func(tx *tx) error {
		tx.addrsOf(h.State(), sealedRecord(t, stranger.key, stranger.key.ID(), 1, "/ip4/9.9.9.9/udp/1/quic-v1"))
		tx.addrsOf(h.State(), sealedRecord(t, stranger.key, device, 99, "/ip4/9.9.9.9/udp/1/quic-v1"))
		tx.addrsOf(h.State(), []byte("hello"))
		return nil
	})
	if err != nil || len(n.records) != before || !bytes.Equal(n.records[device], third) {
		t.Errorf("%v, %d records, want %d", err, len(n.records), before)
	}
	fourth := sealedRecord(t, c.key, device, 8, "/ip4/1.2.3.7/udp/1/quic-v1")
	if err := n.update(func(tx *tx) error { tx.addrsOf(h.State(), fourth); return nil }); err != nil || !bytes.Equal(n.records[device], fourth) {
		t.Errorf("a member's own was not kept: %v", err)
	}

	// What an approval carries: few.
	for range 6 {
		m := newClaimant(t)
		enters(t, n, h, m)
		keep(m.key.ID(), sealedRecord(t, m.key, m.key.ID(), 1, "/ip4/1.2.3.8/udp/1/quic-v1"))
	}
	if got := len(n.memberAddrs(h, 4)); got > 4 || got < 3 {
		t.Errorf("an approval carries %d records, want 4", got)
	}
}
