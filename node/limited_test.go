package node

import (
	"context"
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"pttnode/keys"
	"pttnode/protocol"
)

// relayed is a host whose only connection is one over a relay. It opens no stream, and
// notes whether one over such a connection was allowed.
type relayed struct {
	host.Host
	dialled, opened bool
}

// Network returns the network of that connection.
func (r *relayed) Network() network.Network { return relayedNetwork{r.Host.Network(), r} }

type relayedNetwork struct {
	network.Network
	r *relayed
}

// DialPeer notes what is allowed.
func (n relayedNetwork) DialPeer(ctx context.Context, _ peer.ID) (network.Conn, error) {
	n.r.dialled, _ = network.GetAllowLimitedConn(ctx)
	return relayedConn{r: n.r}, nil
}

type relayedConn struct {
	network.Conn
	r *relayed
}

var errRelayed = errors.New("over a relay")

// NewStream notes what is allowed.
func (c relayedConn) NewStream(ctx context.Context) (network.Stream, error) {
	c.r.opened, _ = network.GetAllowLimitedConn(ctx)
	return nil, errRelayed
}

// TestLimitedConnections: syncs and pushes go over relayed connections, joins and
// init-friend-info do not.
func TestLimitedConnections(t *testing.T) {
	n, _ := target(t, nil)
	for id, want := range map[libprotocol.ID]bool{protocol.SyncID: true, protocol.ID: false, protocol.InfoID: false} {
		r := &relayed{Host: n.host}
		n.host = r
		if _, err := n.openStream(t.Context(), keys.New().ID(), id); !errors.Is(err, errRelayed) {
			t.Fatal(err)
		}
		if r.dialled != want || r.opened != want {
			t.Errorf("%s over a relay: dialled %v, opened %v, want %v", id, r.dialled, r.opened, want)
		}
		n.host = r.Host
	}
}
