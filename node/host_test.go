package node

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	cryptopb "github.com/libp2p/go-libp2p/core/crypto/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"

	"pttnode/keys"
)

// largeRSA is an identity with a public key of 16,384 bits. Its signatures are
// nonsense: it must be refused before one is looked at.
type largeRSA struct{ public []byte }

// Equals is never true.
func (largeRSA) Equals(crypto.Key) bool { return false }

// Raw returns the public key's DER.
func (k largeRSA) Raw() ([]byte, error) { return k.public, nil }

// Type says RSA.
func (largeRSA) Type() cryptopb.KeyType { return cryptopb.KeyType_RSA }

// Sign returns what is as long as a signature.
func (largeRSA) Sign([]byte) ([]byte, error) { return make([]byte, 2048), nil }

// Verify is never true.
func (largeRSA) Verify([]byte, []byte) (bool, error) { return false, nil }

// GetPublic returns the key itself: nobody has its other half.
func (k largeRSA) GetPublic() crypto.PubKey { return k }

func newLargeRSA(t *testing.T) largeRSA {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 16384))
	if err != nil {
		t.Fatal(err)
	}
	n.SetBit(n.SetBit(n, 16383, 1), 0, 1)
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	return largeRSA{der}
}

// TestAttackG9: an identity with a key of 16,384 bits, whose check would be dear, and
// every other that is not Ed25519, is refused in the handshake, over both transports.
func TestAttackG9(t *testing.T) {
	identities := map[string]crypto.PrivKey{"RSA-16384": newLargeRSA(t)}
	for name, typ := range map[string]int{"RSA-2048": crypto.RSA, "ECDSA": crypto.ECDSA, "Secp256k1": crypto.Secp256k1, "Ed25519": crypto.Ed25519} {
		k, _, err := crypto.GenerateKeyPairWithReader(typ, 2048, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		identities[name] = k
	}
	h, err := NewHost(keys.New(), []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	met := make(chan peer.ID, 16)
	h.Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) { met <- c.RemotePeer() }})
	for name, k := range identities {
		for _, addr := range h.Addrs() {
			if connects(t, h, k, addr) && name != "Ed25519" {
				t.Errorf("%s connects to %v", name, addr)
			}
		}
	}
	for range 2 { // Ed25519, over both: else this proves nothing
		select {
		case p := <-met:
			if _, err := deviceID(p); err != nil {
				t.Errorf("%v was let in", p)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("not even an Ed25519 identity connects")
		}
	}
}

// connects reports whether a host with an identity is let in and stays.
func connects(t *testing.T, to host.Host, k crypto.PrivKey, addr ma.Multiaddr) bool {
	t.Helper()
	h, err := libp2p.New(libp2p.Identity(k), libp2p.Transport(tcp.NewTCPTransport), libp2p.Transport(libp2pquic.NewTransport), libp2p.NoListenAddrs, libp2p.DisableMetrics())
	if err != nil {
		t.Logf("a host of %v: %v", k.Type(), err) // libp2p refuses to be one at all
		return false
	}
	defer h.Close()
	if err := h.Connect(t.Context(), peer.AddrInfo{ID: to.ID(), Addrs: []ma.Multiaddr{addr}}); err != nil {
		return false
	}
	if _, err := h.NewStream(t.Context(), to.ID(), "/ipfs/id/1.0.0"); err != nil {
		return false
	}
	return len(to.Network().ConnsToPeer(h.ID())) > 0
}

// TestHostLimits: the limits fit together on a small machine and on a large one.
func TestHostLimits(t *testing.T) {
	for _, c := range []struct {
		memory  int64 // an eighth of the machine's
		files   int
		inbound int
	}{
		{128 << 20, 512, connsBase},
		{3 << 30, 32768, connsBase + 3*connsMore},
	} {
		scaling := hostLimits()
		limits := scaling.Scale(c.memory, c.files)
		p := limits.ToPartialLimitConfig()
		low, high := watermarks(limits)
		if in := int(p.System.ConnsInbound); in != c.inbound || low <= 0 || low >= high || high >= in {
			t.Errorf("%d MiB: %d inbound connections, trimmed from %d to %d; want %d, and less", c.memory>>20, in, high, low, c.inbound)
		}
		if got := int(p.Transient.ConnsInbound); got < 500 || got > int(p.System.ConnsInbound) {
			t.Errorf("%d MiB: %d handshakes at once, want 500 at least and no more than connections", c.memory>>20, got)
		}
		if id := p.Service["libp2p.identify"]; int(id.StreamsInbound) < c.inbound || int(id.StreamsOutbound) < c.inbound {
			t.Errorf("%d MiB: identify has %v streams, want one for each of %d connections", c.memory>>20, id, c.inbound)
		}
		if connsPerNet*2 > int(p.System.ConnsInbound) || connsPerAddr*2 > connsPerNet {
			t.Errorf("%d MiB: one network may take more than half of %v", c.memory>>20, p.System.ConnsInbound)
		}
		m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits), addrLimits()...)
		if err != nil {
			t.Fatal(err)
		}
		cm, err := connmgr.NewConnManager(low, high)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := m.(interface{ GetConnLimit() int }); ok && cm.CheckLimit(got) != nil {
			t.Errorf("%d MiB: %v", c.memory>>20, cm.CheckLimit(got))
		}
		_ = cm.Close()
		_ = m.Close()
	}
}

// TestAddrLimits: an office of a hundred behind one address connects at once without
// being asked to show its address first; one address cannot have everything, nor one
// network; another address is not concerned; and loopback is free.
func TestAddrLimits(t *testing.T) {
	scaling := hostLimits()
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(scaling.Scale(3<<30, 32768)), addrLimits()...)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	open := func(addr string, count int) (opened int) {
		for range count {
			a := ma.StringCast(addr)
			if c, err := m.OpenConnection(network.DirInbound, true, a); err == nil {
				if err := c.SetPeer(peer.ID("x" + addr + string(rune(opened)))); err != nil {
					t.Fatal(err)
				}
				opened++
			}
		}
		return opened
	}
	asked := 0
	for range 60 {
		if m.VerifySourceAddress(&net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}) {
			asked++
		}
	}
	if asked > 0 {
		t.Errorf("%d of 60 at once from one address have to show it first", asked)
	}
	if got := open("/ip4/192.0.2.1/udp/1/quic-v1", 300); got != connsPerAddr {
		t.Errorf("one address has %d connections, want %d", got, connsPerAddr)
	}
	all := connsPerAddr
	for i := 2; i < 12; i++ {
		all += open(fmt.Sprintf("/ip4/192.0.2.%d/udp/1/quic-v1", i), 60)
	}
	if all != connsPerNet {
		t.Errorf("one /24 has %d connections, want %d", all, connsPerNet)
	}
	if got := open("/ip4/198.51.100.1/udp/1/quic-v1", 64); got != 64 {
		t.Errorf("another address has %d connections, want 64", got)
	}
	if got := open("/ip4/127.0.0.1/tcp/1", 500); got != 500 {
		t.Errorf("loopback has %d connections, want 500", got)
	}
}

// TestFileLimits: with the files that the comment on the limits asks for, a machine of
// up to 64 GiB has two for each of its connections, so that the number of connections
// is what bounds them; and every one of them may be TCP, which takes a file.
func TestFileLimits(t *testing.T) {
	const noFile = 65536
	scaling := hostLimits()
	for _, gib := range []int64{1, 4, 24, 64} {
		limits := scaling.Scale(gib<<30/8, noFile/2) // as AutoScale has it
		system := limits.ToPartialLimitConfig().System
		if system.FD < 2*system.Conns {
			t.Errorf("%d GiB: %d files for %d connections, want two for each", gib, system.FD, system.Conns)
		}
		m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits), addrLimits()...)
		if err != nil {
			t.Fatal(err)
		}
		opened := 0
		for {
			c, err := m.OpenConnection(network.DirInbound, true, ma.StringCast("/ip4/127.0.0.1/tcp/1"))
			if err != nil {
				break
			}
			if opened++; c.SetPeer(peer.ID("x"+string(rune(opened)))) != nil {
				break
			}
		}
		if opened != int(system.ConnsInbound) {
			t.Errorf("%d GiB: %d connections over TCP, want %d", gib, opened, system.ConnsInbound)
		}
		_ = m.Close()
	}
}
