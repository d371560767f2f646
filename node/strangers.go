package node

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"pttnode/keys"
	"pttnode/protocol"
)

// A stranger is a device that we share nothing with and have no business with. It
// is listened to on /ptt/join/1, over one connection, as long as it joins.

// visits says when a stranger's connection last had an open join stream, or was
// first seen.
type visits map[network.Conn]time.Time

// greet has a stranger's connection watched. Of more than two it closes the oldest
// at once: a dial over two transports may cross, and no more. The caller holds the
// lock.
func (n *Node) greet(device keys.ID, c network.Conn) {
	if n.relations(device)[device] != relationStranger {
		return
	}
	n.meet()
	var oldest network.Conn
	others := 0
	for _, o := range n.host.Network().ConnsToPeer(c.RemotePeer()) {
		if o == c {
			continue
		}
		others++
		if oldest == nil || o.Stat().Opened.Before(oldest.Stat().Opened) {
			oldest = o
		}
	}
	if others > 1 {
		n.wg.Go(func() { _ = oldest.Close() })
	}
}

// meet has connections looked at for strangers soon.
func (n *Node) meet() {
	select {
	case n.met <- struct{}{}:
	default:
	}
}

// sendAway closes all but one connection of each stranger, the newest that joins
// or else the newest, so that who was killed and is back is not locked out; and
// what has had no join stream for a minute. It reports whether strangers are left.
func (n *Node) sendAway(seen visits, now time.Time) bool {
	conns := n.strangeConns()
	byPeer := make(map[peer.ID]network.Conn) // the one to keep
	for _, c := range conns {
		if joins(c) {
			seen[c] = now
		} else if _, ok := seen[c]; !ok {
			seen[c] = now
		}
		k := byPeer[c.RemotePeer()]
		if k == nil || joins(c) && !joins(k) || joins(c) == joins(k) && c.Stat().Opened.After(k.Stat().Opened) {
			byPeer[c.RemotePeer()] = c
		}
	}
	left := false
	present := make(map[network.Conn]bool, len(conns))
	for _, c := range conns {
		present[c] = true
		k := byPeer[c.RemotePeer()]
		if k != c && now.Sub(k.Stat().Opened) > crossTime && now.Sub(c.Stat().Opened) > crossTime || now.Sub(seen[c]) >= strangerIdle {
			_ = c.Close()
			continue
		}
		left = true
	}
	for c := range seen {
		if !present[c] {
			delete(seen, c)
		}
	}
	return left
}

// strangeConns returns the connections of strangers.
func (n *Node) strangeConns() []network.Conn {
	all := n.host.Network().Conns()
	devices := make([]keys.ID, len(all)) // zero, and so a stranger, for what is no device
	for i, c := range all {
		devices[i], _ = deviceID(c.RemotePeer())
	}
	n.mu.Lock()
	relations := n.relations(devices...)
	n.mu.Unlock()
	var out []network.Conn
	for i, c := range all {
		if relations[devices[i]] == relationStranger {
			out = append(out, c)
		}
	}
	return out
}

// joins reports whether a connection has an open join stream; who waits parked has.
func joins(c network.Conn) bool {
	for _, s := range c.GetStreams() {
		if s.Protocol() == protocol.ID {
			return true
		}
	}
	return false
}
