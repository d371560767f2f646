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

// HandlePeerFound notes where a peer is, and dials it if we know it. The library
// says each only once in a while, and calls this on goroutines of its own, also
// after Close.
func (f finder) HandlePeerFound(info peer.AddrInfo) {
	n := f.n
	device, err := deviceID(info.ID)
	addrs := localAddrs(info.Addrs)
	if err != nil || len(addrs) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.ctx.Err() != nil || device == n.device.ID() {
		return
	}
	for d := range n.near {
		if len(n.near) < maxNear {
			break
		}
		delete(n.near, d) // any: who is still there says so again
	}
	n.near[device] = addrs
	if n.relations(device)[device] == relationStranger || n.host.Network().Connectedness(info.ID) == network.Connected ||
		!n.spending.take(foundOfPeer, device.String(), n.now()) {
		return
	}
	n.log.Debug("found on the local network", "peer", device.String())
	n.lookNear(device, info.ID)
	n.forgive(device)
	for id := range n.pursuits {
		if n.attempts[id].Issuer == device {
			n.pokeLocked(id)
		}
	}
	n.wg.Go(func() { n.dial(f.ctx, info.ID) })
}

// lookNear has a device that is about to be dialled looked for where it announced
// itself on the local network. The caller holds the lock.
func (n *Node) lookNear(device keys.ID, p peer.ID) {
	n.host.Peerstore().AddAddrs(p, n.near[device], peerstore.TempAddrTTL)
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
