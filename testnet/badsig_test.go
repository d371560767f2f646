package testnet

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pttnode/keys"
	"pttnode/node"
	"pttnode/oplog"
	"pttnode/protocol"
)

// chains are what a member's device writes, G an op with a good signature and B one
// with a bad one, and how much of it is authentic where it comes whole.
var chains = []struct {
	name, ops string
	strand    oplog.Strand
	whole     int
}{
	{"in the middle", "GBG", oplog.Content, 3},
	{"two in a row", "GBBG", oplog.Content, 4},
	{"at the end", "GGB", oplog.Content, 2},
	{"in the control strand", "GBG", oplog.Control, 1},
}

// chain writes a chain of the member's device, of which the first op is his first.
// Each op has text of the given size.
func (m *member) chain(strand oplog.Strand, ops string, size int) (pairs []oplog.Pair) {
	m.t.Helper()
	var prev keys.Digest
	for i, kind := range ops {
		next := func(d *oplog.Draft) {
			d.Seq, d.Prev = uint64(i), prev
			if i > 0 {
				d.Parents = []keys.Digest{prev}
			}
		}
		var o oplog.Op
		if strand == oplog.Content {
			o = m.article(m.key, fmt.Sprint(ops, i), func(d *oplog.Draft) { next(d); d.Body, d.Seal = random(size), nil })
		} else {
			d := oplog.Draft{ // of a type that nobody knows, which every member may write
				Entity: m.e.ID(), User: m.user(), Strand: strand, Family: oplog.FamilyMember, Type: 100,
				Parents: m.e.Log().Heads(strand), At: time.Now(), Body: keys.Marshal(struct{}{}),
			}
			next(&d)
			var err error
			if o, err = oplog.Sign(m.key, d); err != nil {
				m.t.Fatal(err)
			}
		}
		pair := o.Pair()
		if kind == 'B' {
			pair = badlySigned(o)
		}
		pairs, prev = append(pairs, pair), oplog.IDOf(pair.Envelope)
	}
	return pairs
}

// syncs brings operations to a peer by a sync, one list a frame.
func (m *member) syncs(to *Peer, frames ...[]oplog.Pair) {
	m.t.Helper()
	w := m.mustOpen(to, protocol.SyncID)
	write := func(typ protocol.SyncType, v any) {
		if _, err := w.Write(protocol.Frame(uint8(typ), keys.Marshal(v))); err != nil {
			m.t.Fatal(err)
		}
	}
	write(protocol.SyncHello, protocol.Hello{Entity: m.e.ID(), Hash: keys.Digest{1}})
	if typ, _, err := w.frame(); err != nil || typ != uint8(protocol.SyncVector) {
		m.t.Fatalf("frame %d, %v; want a vector", typ, err)
	}
	for i, ops := range frames {
		write(protocol.SyncOps, protocol.Ops{Ops: ops, More: i+1 < len(frames)})
	}
	write(protocol.SyncVector, protocol.VectorFrame{Heads: oplog.Vector{}})
	_, _, _ = w.frame()
	_ = w.Reset()
}

// eachAlone makes lists of one.
func eachAlone(pairs []oplog.Pair) (out [][]oplog.Pair) {
	for _, p := range pairs {
		out = append(out, []oplog.Pair{p})
	}
	return out
}

// TestBadSignatureEverywhere: a bad signature in a chain of a member's device, by
// every way on which it can come: all who are honest have the same of it, first as
// much as came to one of them, and all of it once another has it whole. Of a push or
// gossip that is not authentic as a whole nothing is taken.
func TestBadSignatureEverywhere(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		name  string
		want  [4]int                                                 // ops, by chain
		bring func(m *gossiper, to *Peer, ops []oplog.Pair, bad int) // bad is the place of the first bad op
	}{
		{"a sync in one batch", [4]int{3, 4, 2, 1}, func(m *gossiper, to *Peer, ops []oplog.Pair, _ int) { m.syncs(to, ops) }},
		{"a sync split after the bad op", [4]int{1, 1, 2, 1}, func(m *gossiper, to *Peer, ops []oplog.Pair, bad int) { m.syncs(to, ops[:bad+1], ops[bad+1:]) }},
		{"a sync of one op a frame", [4]int{1, 1, 2, 1}, func(m *gossiper, to *Peer, ops []oplog.Pair, _ int) { m.syncs(to, eachAlone(ops)...) }},
		{"one push", [4]int{3, 4, 0, 0}, func(m *gossiper, to *Peer, ops []oplog.Pair, _ int) { m.push(to, m.e.ID(), ops...) }},
		{"pushes in order", [4]int{1, 1, 2, 1}, func(m *gossiper, to *Peer, ops []oplog.Pair, _ int) {
			for _, o := range ops {
				m.push(to, m.e.ID(), o)
			}
		}},
		{"pushes in reverse order", [4]int{1, 1, 1, 1}, func(m *gossiper, to *Peer, ops []oplog.Pair, _ int) {
			for _, o := range slices.Backward(ops) {
				m.push(to, m.e.ID(), o)
			}
		}},
		{"pushes up to the bad op", [4]int{}, func(m *gossiper, to *Peer, ops []oplog.Pair, bad int) { m.push(to, m.e.ID(), ops[:bad+1]...) }},
		{"one gossip", [4]int{3, 4, 0, 0}, func(m *gossiper, _ *Peer, ops []oplog.Pair, _ int) { m.publish(m.payload(protocol.Gossip{Ops: ops})) }},
		{"gossip of one op a payload", [4]int{1, 1, 2, 1}, func(m *gossiper, _ *Peer, ops []oplog.Pair, _ int) {
			for _, o := range ops {
				m.publish(m.payload(protocol.Gossip{Ops: []oplog.Pair{o}}))
			}
		}},
	} {
		story(t, way.name, func(t *testing.T) {
			n, alice, bob, carol := bobAndCarol(t)
			inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 20})
			for i, c := range chains {
				m := n.gossiper(i, c.name, alice, inv.Link)
				pass(2 * time.Second)
				n.Settle()
				before, _ := boardOf(t, alice)
				ops := m.chain(c.strand, c.ops, 100)
				way.bring(m, alice, ops, slices.Index([]byte(c.ops), 'B'))
				n.same(t, c.name, before+way.want[i], alice, bob, carol)
				m.syncs(bob, ops) // whole, at last, by what takes each for itself
				_ = m.host.Close()
				n.same(t, c.name+", then whole to another", before+c.whole, alice, bob, carol)
			}
			nothingToSay(t, n)
			for _, from := range n.Peers { // nobody is made to pay for what he relayed
				for _, to := range n.Peers {
					if from != to {
						served(t, n, from, to, "from "+from.Name+" to "+to.Name)
					}
				}
			}
			if got := len(alice.Host.Network().ConnsToPeer(bob.Host.ID())); got == 0 {
				t.Error("alice and bob are not connected any more")
			}
		})
	}
}

// same waits until peers have the same of the board, and fails the test unless that
// is so many operations.
func (n *Net) same(t *testing.T, what string, want int, peers ...*Peer) {
	t.Helper()
	pass(time.Second)
	n.Settle()
	for _, p := range peers {
		if got, _ := boardOf(t, p); got != want {
			t.Fatalf("%s: %s has %d operations, want %d", what, p.Name, got, want)
		}
	}
}

// nothingToSay fails the test unless five quiet minutes bring only the syncs of the rounds,
// which find nothing to say.
func nothingToSay(t *testing.T, n *Net) {
	t.Helper()
	pass(time.Minute)
	before := make(map[*Peer]Traffic)
	for _, p := range n.Peers {
		before[p] = p.Served(protocol.SyncID)
	}
	pass(5 * time.Minute)
	for _, p := range n.Peers {
		now := p.Served(protocol.SyncID)
		streams, out := now.Streams-before[p].Streams, now.Out-before[p].Out
		if most := 14 * 4 * len(n.Peers); streams > most { // a round of 24 s, and what each entity shared with each needs
			t.Errorf("%s served %d syncs in five idle minutes, want at most %d", p.Name, streams, most)
		}
		if out > 16*streams {
			t.Errorf("%s answered %d idle syncs with %d bytes, want only that nothing differs", p.Name, streams, out)
		}
	}
}

// TestBadSignatureLater: who was away, and a device that is linked later, get it from
// another honest member, also where it takes frames of one op each.
func TestBadSignatureLater(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 200 << 10} {
		story(t, fmt.Sprint(size), func(t *testing.T) {
			n, alice, bob, m := bobAndMallory(t)
			n.Settle()
			before, _ := boardOf(t, alice)
			bob.Crash()
			m.push(alice, m.e.ID(), m.chain(oplog.Content, "GBBG", size)...)
			_ = m.host.Close()
			write(t, alice, "dev", "after it")
			n.same(t, "at alice", before+5, alice)
			phone := linkDevice(t, alice, "alice-phone")
			n.Until(2*time.Minute, "the board on the phone", func() bool { _, err := phone.Node.Board("dev"); return err == nil })
			n.Settle()
			before, _ = boardOf(t, alice) // with what it says of the phone
			n.same(t, "on the phone", before, alice, phone)
			bob.Start()
			n.same(t, "at bob", before, alice, bob, phone)
			nothingToSay(t, n)
		})
	}
}

// TestBadSignatureUnvouched: an op with a bad signature is named by a good one that
// nobody can take. Then nobody has it, and nobody has to relay what others reject.
func TestBadSignatureUnvouched(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(d *oplog.Draft){
		"builds on nothing":   func(d *oplog.Draft) { d.Parents = []keys.Digest{keys.Digest(random(32))} },
		"in an unknown epoch": func(d *oplog.Draft) { d.Epoch = keys.Digest{7} },
		"not his":             func(d *oplog.Draft) { d.User = keys.Digest{7} },
	} {
		story(t, what, func(t *testing.T) {
			n, alice, bob, m := bobAndMallory(t)
			n.Settle()
			before, _ := boardOf(t, alice)
			for range 5 { // beyond what one may publish that is invalid
				bad := m.chain(oplog.Content, "B", 100)[0]
				names := m.article(m.key, what, func(d *oplog.Draft) {
					d.Seq, d.Prev, d.Parents = 1, oplog.IDOf(bad.Envelope), []keys.Digest{oplog.IDOf(bad.Envelope)}
					spoil(d)
				})
				m.push(alice, m.e.ID(), bad, names.Pair())
				pass(time.Second)
			}
			_ = m.host.Close()
			n.same(t, what, before, alice, bob)
			served(t, n, alice, bob, "after it")
			served(t, n, bob, alice, "after it, back")
			nothingToSay(t, n)
		})
	}
}

// TestBadSignatureFarApart: between a bad op and the one that names it stand, in the
// order of a log, more others than a frame takes, which build on the bad one or not.
func TestBadSignatureFarApart(t *testing.T) {
	t.Parallel()
	for what, onIt := range map[string]bool{"others build on it": true, "others stand beside it": false} {
		story(t, what, func(t *testing.T) {
			n, alice, bob, m := bobAndMallory(t)
			other := n.member(1, "marvin", alice, boardLink(t, alice, node.InviteOptions{Auto: true}).Link)
			n.Settle()
			bob.Crash()
			m.e = entityOf(t, m, alice)
			other.e = m.e
			before, _ := boardOf(t, alice)
			chain := m.chain(oplog.Content, "BG", 100)
			bad := oplog.IDOf(chain[0].Envelope)
			last := keys.Digest{}
			var others []oplog.Pair
			for i := range 6 {
				o := other.article(other.key, what, func(d *oplog.Draft) {
					d.Seq, d.Prev, d.Parents, d.Body, d.Seal = uint64(i), last, nil, random(200<<10), nil
					switch {
					case i > 0:
						d.Parents = []keys.Digest{last}
					case onIt:
						d.Parents = []keys.Digest{bad}
					}
				})
				others, last = append(others, o.Pair()), o.ID()
			}
			if onIt {
				m.push(alice, m.e.ID(), chain...)
			}
			for _, o := range others {
				other.push(alice, m.e.ID(), o)
			}
			if !onIt { // what names the bad op builds on all of the others
				names := m.article(m.key, what, func(d *oplog.Draft) {
					d.Seq, d.Prev = 1, bad
					d.Parents = []keys.Digest{bad, last}
					slices.SortFunc(d.Parents, func(a, b keys.Digest) int { return slices.Compare(a[:], b[:]) })
				})
				m.push(alice, m.e.ID(), chain[0], names.Pair())
			}
			_, _ = m.host.Close(), other.host.Close()
			n.same(t, what+", at alice", before+8, alice)
			bob.Start()
			n.same(t, what+", at bob", before+8, alice, bob)
			nothingToSay(t, n)
		})
	}
}

// TestBadSignatureNewcomer: an honest newcomer, whose board comes by the approval and
// the sync that follows it, has the same of a chain with a bad signature as those who
// were there.
func TestBadSignatureNewcomer(t *testing.T) {
	t.Parallel()
	for i, c := range chains {
		story(t, c.name, func(t *testing.T) {
			n, alice := aliceAndBoard(t)
			inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 20})
			bob := n.Add("bob")
			n.opens(bob, inv.Link, "done")
			m := n.member(i, "mallory", alice, inv.Link)
			n.Settle()
			before, _ := boardOf(t, alice)
			m.syncs(alice, m.chain(c.strand, c.ops, 100))
			_ = m.host.Close()
			n.same(t, "before the newcomer", before+c.whole, alice, bob)
			carol := n.Add("carol")
			n.opens(carol, inv.Link, "done")
			n.same(t, "with the newcomer", before+c.whole+1, alice, bob, carol) // her admit
			nothingToSay(t, n)
		})
	}
}
