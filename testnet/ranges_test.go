package testnet

import (
	"bufio"
	"bytes"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"pttnode/keys"
	"pttnode/node"
	"pttnode/oplog"
	"pttnode/protocol"
)

// everything is a range of a whole log with a sum that no log has.
var everything = []byte{0, 1, 1, 2, 3, 4, 5, 6, 7, 8}

// opening is the first frame of a sync by ranges.
func opening(eid keys.Digest, ranges []byte) protocol.Ranges {
	return protocol.Ranges{Entity: &eid, Hash: &keys.Digest{1}, Salt: &oplog.Salt{2}, Ranges: ranges}
}

func rangesFrame(f protocol.Ranges) []byte {
	return protocol.Frame(uint8(protocol.SyncRanges), keys.Marshal(f))
}

// TestAttackRangesAccess: who may not have an entity is told the same for ranges as for
// a hello, whether he was a member, or it is not there.
func TestAttackRangesAccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		n.Unchecked()
		secret, err := alice.Node.CreateBoard(t.Context(), node.BoardOptions{Name: "secret"})
		if err != nil {
			t.Fatal(err)
		}
		inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 2})
		stranger, m, former := n.attacker(0, "stranger"), n.member(1, "mallory", alice, inv.Link), n.member(2, "former", alice, inv.Link)
		if got := former.ask(alice, rangesFrame(opening(m.e.ID(), everything))); len(got) == 0 || got[0] != byte(protocol.SyncRanges) {
			t.Fatalf("a member gets %x: this proves nothing", got)
		}
		former.leaves(alice)
		no := append([]byte{byte(protocol.SyncNo)}, keys.Marshal(protocol.No{})...)
		for _, c := range []struct {
			who  *attacker
			what string
			eid  keys.Digest
			want []byte
		}{
			{stranger, "a board", m.e.ID(), nil}, // who shares nothing is not listened to at all
			{stranger, "nothing", keys.Digest{1}, nil},
			{former.attacker, "the board he left", m.e.ID(), nil},
			{former.attacker, "nothing", keys.Digest{1}, nil},
			{m.attacker, "another board", secret.ID, no},
			{m.attacker, "alice's identity", alice.User(), no},
			{m.attacker, "nothing", keys.Digest{1}, no},
		} {
			if got := c.who.ask(alice, rangesFrame(opening(c.eid, everything))); !bytes.Equal(got, c.want) {
				t.Errorf("%s asks for %s: %x, want %x", c.who.name, c.what, got, c.want)
			}
		}
	})
}

// TestAttackRangesFormer: who left one board and shares another one gets the same no for
// the one he left as for one that is not there.
func TestAttackRangesFormer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		m.joinOther(alice)
		m.leaves(alice)
		no := append([]byte{byte(protocol.SyncNo)}, keys.Marshal(protocol.No{})...)
		for what, eid := range map[string]keys.Digest{"the board he left": m.e.ID(), "nothing": {1}} {
			if got := m.ask(alice, rangesFrame(opening(eid, everything))); !bytes.Equal(got, no) {
				t.Errorf("%s: %x, want %x", what, got, no)
			}
		}
	})
}

// TestAttackRangesAtOnce: a member who begins many exchanges of ranges and ends none has two,
// and another member is served beside him; who ends one gets another one.
func TestAttackRangesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		carol := n.member(1, "carol", alice, boardLink(t, alice, node.InviteOptions{Auto: true}).Link)
		first := rangesFrame(opening(m.e.ID(), everything))
		var open []*wire
		begin := func() {
			w := m.mustOpen(alice, protocol.SyncID)
			if _, err := w.Write(first); err != nil {
				t.Fatal(err)
			}
			if typ, _, err := w.frame(); err == nil && typ == uint8(protocol.SyncRanges) {
				open = append(open, w)
			}
		}
		for range 10 {
			begin()
		}
		if len(open) != 2 {
			t.Errorf("%d exchanges of one member are open at once, want 2", len(open))
		}
		if got := carol.ask(alice, first); len(got) == 0 || got[0] != byte(protocol.SyncRanges) {
			t.Errorf("another member gets %x", got)
		}
		_ = open[0].Reset()
		pass(time.Second)
		open = open[1:]
		if begin(); len(open) != 2 {
			t.Error("who ended one gets no other one")
		}
		for _, w := range open {
			_ = w.Reset()
		}
	})
}

// TestAttackRangesFrames: a member who does not keep to the order of ranges, who goes on
// for ever, or who has them compared all the time.
func TestAttackRangesFrames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		eid, before := m.e.ID(), storeKeys(t, alice)
		first := rangesFrame(opening(eid, everything))
		vector := protocol.Frame(uint8(protocol.SyncVector), keys.Marshal(protocol.VectorFrame{Heads: oplog.Vector{}}))
		for what, second := range map[string][]byte{"a new beginning": first, "a vector inside": vector} {
			w := m.mustOpen(alice, protocol.SyncID)
			if _, err := w.Write(first); err != nil {
				t.Fatal(err)
			}
			if typ, _, err := w.frame(); err != nil || typ != uint8(protocol.SyncRanges) {
				t.Fatalf("%d, %v", typ, err)
			}
			w.refusedAtOnce(t, what, second)
		}
		for what, frames := range map[string][]byte{
			"ranges of nothing": rangesFrame(protocol.Ranges{Ranges: everything}),
			"without a salt":    rangesFrame(protocol.Ranges{Entity: &eid, Hash: &keys.Digest{1}, Ranges: everything}),
			"malformed ranges":  rangesFrame(opening(eid, everything[:5])),
			"a want of nothing": rangesFrame(protocol.Ranges{Entity: &eid, Hash: &keys.Digest{1}, Salt: &oplog.Salt{}, Wants: make([]byte, 6)}),
		} {
			m.mustOpen(alice, protocol.SyncID).refusedAtOnce(t, what, frames)
		}

		w := m.mustOpen(alice, protocol.SyncID)
		turns := 0
		for frame := first; ; frame = rangesFrame(protocol.Ranges{Ranges: everything}) {
			if _, err := w.Write(frame); err != nil {
				break
			}
			if _, _, err := w.frame(); err != nil {
				break
			}
			if turns++; turns > 20 {
				t.Fatal("ranges without end are still answered")
			}
		}
		if turns < 2 {
			t.Errorf("%d turns: this proves nothing", turns)
		}

		answered := 0
		for range 100 {
			if len(m.ask(alice, first)) > 0 {
				answered++
			}
		}
		if answered == 0 || answered > 60 {
			t.Errorf("%d of 100 in one minute were answered, want at most 60", answered)
		}
		unharmed(t, alice, before)
	})
}

// TestRangesRepair: where the vectors differ and neither side has what the other lacks,
// ranges are compared, once in a round, and what they bring is taken.
func TestRangesRepair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		hidden := m.article(m.key, "found by ranges", nil)
		var hellos, ranges atomic.Int32
		m.host.SetStreamHandler(protocol.SyncID, func(s network.Stream) {
			defer s.Close()
			w := &wire{s, bufio.NewReader(s)}
			typ, payload, err := w.frame()
			if err != nil {
				return
			}
			say := func(typ protocol.SyncType, v any) { _, _ = w.Write(protocol.Frame(uint8(typ), keys.Marshal(v))) }
			switch protocol.SyncType(typ) {
			case protocol.SyncHello:
				hellos.Add(1)
				// A tip that nobody has, of a chain that is longer than alice's.
				say(protocol.SyncVector, protocol.VectorFrame{Heads: append(m.e.Log().Vector(), oplog.Head{
					Device: keys.ID{255, 255}, Strand: oplog.Content, Seq: 9, ID: keys.Digest{9},
				})})
				for range 2 {
					if _, _, err := w.frame(); err != nil {
						return
					}
				}
				say(protocol.SyncOps, protocol.Ops{Ops: []oplog.Pair{}})
			case protocol.SyncRanges:
				ranges.Add(1)
				var f protocol.Ranges
				if err := protocol.DecodeSync(payload, &f); err != nil || !f.Begins() || *f.Entity != m.e.ID() {
					t.Errorf("%+v, %v", f, err)
					return
				}
				say(protocol.SyncRanges, protocol.Ranges{})
				say(protocol.SyncOps, protocol.Ops{Ops: []oplog.Pair{hidden.Pair()}})
				_, _, _ = w.frame()
			}
		})
		n.Until(2*time.Minute, "the article by ranges", func() bool {
			_, articles := boardOf(t, alice)
			return articles == 1
		})
		if h, r := hellos.Load(), ranges.Load(); r == 0 || r > h {
			t.Errorf("%d hellos and %d ranges, want at most one for each", h, r)
		}
	})
}
