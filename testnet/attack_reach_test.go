package testnet

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	identifypb "github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"pttnode/keys"
	"pttnode/node"
	"pttnode/oplog"
	"pttnode/protocol"
)

// TestAttackG3: 20 sybils of one /24 have a link and waste joins. Together they get
// what one network gets; who comes from elsewhere joins meanwhile.
func TestAttackG3(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		n.Unchecked()
		inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 5})
		bob := n.Add("bob")
		var mu sync.Mutex
		var all sync.WaitGroup
		answered, begin := 0, time.Now()
		for i := range 20 {
			a := n.attacker(i, "sybil "+itoa(i))
			all.Go(func() {
				for range 10 { // each twice what one peer gets
					w, err := a.open(alice, protocol.ID)
					if err != nil {
						continue
					}
					p := a.play(w, inv.Link, func(m protocol.Message) []byte {
						if _, ok := m.(protocol.Join); ok {
							return protocol.Encode(m)
						}
						_ = w.Reset() // the answer to the challenge never comes
						return nil
					})
					if len(p.got) > 0 {
						mu.Lock()
						answered++
						mu.Unlock()
					}
				}
			})
		}
		all.Wait()
		t.Logf("%d answers after %v", answered, time.Since(begin))
		if answered < 40 || answered > 85 { // 60, and who was under way when they were gone
			t.Errorf("20 sybils of one /24 got %d answers, want about 60: each alone has five", answered)
		}
		n.opens(bob, inv.Link, "done")
		late := n.attacker(21, "late")
		late.mustOpen(alice, protocol.ID).refused(t, "nothing") // connected; silence ends in a reset
		w := late.mustOpen(alice, protocol.ID)
		if p := late.play(w, inv.Link, nil); len(p.got) != 0 {
			t.Errorf("one more of that network was answered: %v", p)
		}
		pass(time.Minute)
		if p := late.play(late.mustOpen(alice, protocol.ID), inv.Link, nil); p.joined == nil {
			t.Errorf("a minute later an honest one of that network: %v", p)
		}
	})
}

// TestAttackG7: identify with 1,800 protocols and 10,000 addresses, in one message
// and in as many as are read. What is kept is bounded, and goes with the connection.
func TestAttackG7(t *testing.T) {
	for _, whole := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n, alice := aliceAndBoard(t)
			n.Unchecked()
			inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 5})
			a := n.attacker(0, "mallory")
			a.host.RemoveStreamHandler(identify.IDPush)
			heard := 0
			a.host.SetStreamHandler(identify.ID, func(s network.Stream) {
				heard++
				for _, m := range identities(t, whole) {
					if _, err := s.Write(m); err != nil {
						break
					}
				}
				_ = s.Close()
			})
			before := heapNow()
			a.mustOpen(alice, protocol.SyncID).refused(t, "a sync of a stranger")
			pass(10 * time.Second)
			protocols, err := alice.Host.Peerstore().GetProtocols(a.host.ID())
			addrs := alice.Host.Peerstore().Addrs(a.host.ID())
			grown := int64(heapNow()) - int64(before)
			t.Logf("whole %v: heard %d times, %d protocols and %d addresses are kept, the heap grew by %d KiB", whole, heard, len(protocols), len(addrs), grown>>10)
			if heard == 0 {
				t.Error("alice did not ask who this is: this proves nothing")
			}
			if err != nil || len(protocols) > 128 || len(addrs) > 500 || grown > 4<<20 {
				t.Errorf("whole %v: %d protocols, %d addresses, %d KiB, %v; want at most 128, 500, 4 MiB", whole, len(protocols), len(addrs), grown>>10, err)
			}
			_ = a.host.Network().ClosePeer(alice.Host.ID())
			pass(time.Minute)
			if addrs := alice.Host.Peerstore().Addrs(a.host.ID()); len(addrs) > 20 {
				t.Errorf("whole %v: %d addresses outlive the connection", whole, len(addrs))
			}
			n.opens(n.Add("bob"), inv.Link, "done")
		})
	}
}

// identities returns framed identify messages with too much in them: one, or ten of
// nearly the size that is read.
func identities(t *testing.T, whole bool) (out [][]byte) {
	t.Helper()
	var all []*identifypb.Identify
	chunk := func() *identifypb.Identify {
		if !whole || len(all) == 0 {
			all = append(all, new(identifypb.Identify))
		}
		return all[len(all)-1]
	}
	add := func(count, each int, f func(m *identifypb.Identify, i int)) {
		for i := range count {
			if i%each == 0 {
				chunk()
			}
			f(all[len(all)-1], i)
		}
	}
	add(1800, 400, func(m *identifypb.Identify, i int) { m.Protocols = append(m.Protocols, "/attack/"+itoa(i)) })
	add(10_000, 700, func(m *identifypb.Identify, i int) {
		m.ListenAddrs = append(m.ListenAddrs, ma.StringCast("/ip4/9."+itoa(i>>8)+"."+itoa(i&255)+".9/tcp/9").Bytes())
	})
	for _, m := range all {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, append(binary.AppendUvarint(nil, uint64(len(b))), b...))
	}
	return out
}

// TestAttackG11: a member answers a sync with a frame of 1 GiB, with frames that
// never end, and with ops that bring nothing. Each ends soon, and costs little.
func TestAttackG11(t *testing.T) {
	for what, endless := range map[string]func(eid keys.Digest) (frame []byte){
		"a frame of 1 GiB": func(keys.Digest) []byte { return append(binary.AppendUvarint(nil, 1<<30), byte(protocol.SyncOps)) },
		"empty frames": func(keys.Digest) []byte {
			return protocol.Frame(uint8(protocol.SyncOps), keys.Marshal(protocol.Ops{Ops: []oplog.Pair{}, More: true}))
		},
		"frames of rubbish": func(keys.Digest) []byte {
			return protocol.Frame(uint8(protocol.SyncOps), keys.Marshal(protocol.Ops{Ops: []oplog.Pair{{Envelope: bytes.Repeat([]byte{0xa1}, 250<<10)}}, More: true}))
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, alice, m := aliceAndMallory(t)
				n.Unchecked()
				eid := m.e.ID()
				frame := endless(eid)
				var mu sync.Mutex
				asked, sent, most, longest := 0, 0, 0, time.Duration(0)
				m.host.SetStreamHandler(protocol.SyncID, func(s network.Stream) {
					defer s.Close()
					if _, err := s.Read(make([]byte, 4096)); err != nil {
						return
					}
					mu.Lock()
					asked++
					mu.Unlock()
					start := time.Now()
					vector := protocol.VectorFrame{Heads: oplog.Vector{}}
					_, err := s.Write(protocol.Frame(uint8(protocol.SyncVector), keys.Marshal(vector)))
					go func() { _, _ = io.Copy(io.Discard, s) }()
					for now := 0; err == nil; now++ {
						_, err = s.Write(frame)
						mu.Lock()
						sent += len(frame)
						most = max(most, now*len(frame))
						longest = max(longest, time.Since(start))
						mu.Unlock()
					}
				})
				heap, before := heapNow(), storeKeys(t, alice)
				pass(3 * time.Minute) // rounds of keeping
				mu.Lock()
				defer mu.Unlock()
				grown := int64(heapNow()) - int64(heap)
				t.Logf("asked %d times, sent %d KiB, at most %d in one answer and for %v; the heap grew by %d KiB", asked, sent>>10, most>>10, longest, grown>>10)
				if asked == 0 {
					t.Error("alice never asked: this proves nothing")
				}
				if most > 32<<20 || longest > 20*time.Second || grown > 16<<20 {
					t.Errorf("%d KiB in one answer, which took up to %v, and the heap grew by %d KiB; want 32 MiB, 20 s, 16 MiB", most>>10, longest, grown>>10)
				}
				if got := storeKeys(t, alice); got != before {
					t.Errorf("the store went from %d to %d entries", before, got)
				}
			})
		})
	}
}

// TestAttackG13: somebody connects and goes a thousand times a second. One address
// has its rate; an honest join works meanwhile.
func TestAttackG13(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		n.Unchecked()
		inv := boardLink(t, alice, node.InviteOptions{Auto: true, Uses: 5})
		bob := n.Add("bob")
		a := n.attacker(0, "mallory")
		a.host.Peerstore().AddAddrs(alice.Host.ID(), alice.Host.Addrs(), peerstore.PermanentAddrTTL)
		var made atomic.Int64
		alice.Host.Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
			if c.RemotePeer() == a.host.ID() {
				made.Add(1)
			}
		}})
		churn := make(chan struct{})
		go func() {
			defer close(churn)
			for range 1000 {
				if c, err := a.host.Network().DialPeer(network.WithDialPeerTimeout(t.Context(), time.Second), alice.Host.ID()); err == nil {
					_ = c.Close()
				}
				a.forget(alice)
				pass(time.Millisecond)
			}
		}()
		pass(10 * time.Second)
		took := time.Now()
		n.opens(bob, inv.Link, "done")
		if d := time.Since(took); d > 2*time.Second {
			t.Errorf("meanwhile an honest join took %v", d)
		}
		start := time.Now()
		<-churn
		limit := 200 + 5*int((10*time.Second+time.Since(start)+2*time.Second)/time.Second)
		seen := int(made.Load())
		t.Logf("%d of 1,000 connections were made", seen)
		if seen < 100 || seen > limit {
			t.Errorf("one address made %d connections, want 200 and 5 a second: at most %d", seen, limit)
		}
		if got := len(alice.Host.Network().ConnsToPeer(a.host.ID())); got > 2 {
			t.Errorf("%d connections of a stranger are open", got)
		}
	})
}

// forget has the attacker's own host not mind that dials failed.
func (a *attacker) forget(p *Peer) {
	if sw, ok := a.host.Network().(*swarm.Swarm); ok {
		sw.Backoff().Clear(p.Host.ID())
	}
}
