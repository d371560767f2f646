package testnet

import (
	"testing"
	"testing/synctest"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/node"
	"pttnode/oplog"
	"pttnode/protocol"
)

// control makes control operations of a type that nobody knows, which any member may
// write; each names what parents says, or the one before it.
func (m *member) control(count int, parents []keys.Digest) (pairs []oplog.Pair) {
	m.t.Helper()
	var seq uint64
	var prev keys.Digest
	if tip, ok := m.e.Log().Tip(m.key.ID(), oplog.Control); ok {
		seq, prev = tip.Seq()+1, tip.ID()
	}
	for i := range count {
		d := oplog.Draft{
			Entity: m.e.ID(), User: m.user(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: 100,
			Seq: seq, Prev: prev, Parents: parents, At: time.Now(), Body: keys.Marshal(struct{}{}),
		}
		if parents == nil && i > 0 {
			d.Parents = []keys.Digest{prev}
		} else if parents == nil {
			d.Parents = m.e.Log().Heads(oplog.Control)
		}
		o, err := oplog.Sign(m.key, d)
		if err != nil {
			m.t.Fatal(err)
		}
		seq, prev = seq+1, o.ID()
		pairs = append(pairs, o.Pair())
	}
	return pairs
}

// pushAll pushes operations in as many frames as it takes.
func (m *member) pushAll(to *Peer, pairs []oplog.Pair) {
	for len(pairs) > 0 {
		n := min(len(pairs), 1000)
		w := m.mustOpen(to, protocol.SyncID)
		_, _ = w.Write(protocol.Frame(uint8(protocol.SyncPush), keys.Marshal(protocol.Push{Entity: m.e.ID(), Ops: pairs[:n]})))
		_, _, _ = w.frame() // it ends, whichever way
		_ = w.Reset()
		pairs = pairs[n:]
	}
}

// TestAttackO23: 5,000 control operations beside each other. Their author is cut off,
// and with him nobody else; a chain of as many is taken at once, also beside what one
// wrote oneself.
func TestAttackO23(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		carol := n.member(1, "carol", alice, boardLink(t, alice, node.InviteOptions{Auto: true}).Link)
		before, _ := boardOf(t, alice)
		m.pushAll(alice, m.control(5000, m.e.Log().Heads(oplog.Control)))
		taken, _ := boardOf(t, alice)
		if got := taken - before; got < 900 || got > 1000 {
			t.Errorf("%d of 5,000 were taken in the first minute, want at most 1,000", got)
		}
		if got := m.hello(alice, m.e.ID()); got != nil {
			t.Errorf("who floods is still answered: %x", got)
		}
		if got := carol.hello(alice, carol.e.ID()); len(got) == 0 || got[0] != byte(protocol.SyncVector) {
			t.Errorf("another member gets %x", got)
		}
		if _, err := alice.Node.NewArticle(t.Context(), "dev", "", "after it", "all"); err != nil {
			t.Error(err)
		}
		pass(61 * time.Second)
		if got := m.hello(alice, m.e.ID()); len(got) == 0 {
			t.Error("who flooded a minute ago is not answered")
		}

		// Carol was away for a month, in which she wrote a chain; so did the others.
		before, _ = boardOf(t, alice)
		carol.pushAll(alice, carol.control(3000, nil))
		if now, _ := boardOf(t, alice); now-before < 3000 {
			t.Errorf("%d of a chain of 3,000 were taken", now-before)
		}
		if got := carol.hello(alice, carol.e.ID()); len(got) == 0 {
			t.Error("who was away is cut off")
		}
	})
}

// TestAttackBesideAgain: a member who never names a checkpoint as seen keeps changing his
// devices. What he writes does nothing until the founder's next checkpoint, which does not come
// in each round for that; for the first of it, it comes at once.
func TestAttackBesideAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		ops := m.control(entity.MaxOpen, nil)
		m.pushAll(alice, ops)
		n.Until(time.Minute, "a checkpoint", func() bool { return finalOf(t, alice, "dev") == 1 })
		last, err := oplog.Parse(ops[len(ops)-1].Envelope)
		if err != nil {
			t.Fatal(err)
		}
		write := func() {
			d := oplog.Draft{
				Entity: m.e.ID(), User: m.user(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: entity.TypeDevices,
				Seq: last.Seq() + 1, Prev: last.ID(), Parents: []keys.Digest{last.ID()}, At: time.Now(),
				Body: keys.Marshal(entity.Devices{Party: m.e.State().Members[m.user()].Party, Cuts: []entity.Cut{}}),
			}
			if last, err = oplog.Sign(m.key, d); err != nil {
				t.Fatal(err)
			}
			m.pushAll(alice, []oplog.Pair{last.Pair()})
		}
		write()
		n.Until(time.Minute, "a checkpoint that keeps it", func() bool { return finalOf(t, alice, "dev") == 2 })
		for range 2 * 60 {
			write()
			pass(30 * time.Second)
		}
		if got := finalOf(t, alice, "dev"); got < 10 || got > 15 {
			t.Errorf("%d checkpoints in an hour, want two in ten minutes", got)
		}
	})
}
