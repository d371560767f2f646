package node

import (
	"context"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"pttnode/keys"
)

// lanService is the name under which nodes announce themselves. What is announced
// is a random host name, the peer id and addresses: no name of a person or device.
const lanService = "_ptt._udp"

// lookAround announces this node on the local network and looks for others there,
// until ctx ends.
func (n *Node) lookAround(ctx context.Context) {
	s := mdns.NewMdnsService(n.host, lanService, finder{n, ctx})
	if err := s.Start(); err != nil {
		n.log.Warn("the local network cannot be searched", "err", err)
		return
	}
	<-ctx.Done()
	if err := s.Close(); err != nil {
		n.log.Debug("the local network", "err", err)
	}
}

// finder hears of announcements.
type finder struct {
	n   *Node
	ctx context.Context
}

// HandlePeerFound dials a peer that we know. The library calls it on goroutines of
// its own, also after Close.
func (f finder) HandlePeerFound(info peer.AddrInfo) {
	n := f.n
	device, err := deviceID(info.ID)
	if err != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.ctx.Err() != nil || !n.wants(device) || n.host.Network().Connectedness(info.ID) == network.Connected {
		return
	}
	addrs := localAddrs(info.Addrs)
	if len(addrs) == 0 || !n.spending.take(foundOfPeer, device.String(), n.now()) {
		return
	}
	n.log.Debug("found on the local network", "peer", device.String(), "addrs", len(addrs))
	n.host.Peerstore().AddAddrs(info.ID, addrs, peerstore.TempAddrTTL)
	n.forgive(device)
	for id := range n.pursuits {
		if n.attempts[id].Issuer == device {
			n.pokeLocked(id)
		}
	}
	n.wg.Go(func() { n.dial(f.ctx, info.ID) })
}

// wants reports whether a device that was found near is worth a dial: our own, a
// member of something, or the issuer of a request that waits. The caller holds the
// lock.
func (n *Node) wants(device keys.ID) bool {
	return device != n.device.ID() && n.relations(device)[device] != relationStranger
}

// localAddrs returns the first addresses of a private network. Anybody near can
// announce anything; nobody near can have us dial the world.
func localAddrs(all []ma.Multiaddr) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, a := range all {
		if len(out) < maxLANAddrs && manet.IsPrivateAddr(a) {
			out = append(out, a)
		}
	}
	return out
}
