package node

import (
	"crypto/ed25519"
	"fmt"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"pttnode/keys"
	"pttnode/protocol"
)

// HostIdentity returns the libp2p form of a device key.
func HostIdentity(device keys.Private) (crypto.PrivKey, error) {
	seed := device.Secret()
	k, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		return nil, fmt.Errorf("device key: %w", err)
	}
	return k, nil
}

// HostOptions are the libp2p options of every host of ours, real or simulated,
// but for its transports and addresses: no relay, no address discovery by others,
// no metrics in the process-wide registry, nothing in the user agent that
// identifies a machine.
func HostOptions(device keys.Private) ([]libp2p.Option, error) {
	id, err := HostIdentity(device)
	if err != nil {
		return nil, err
	}
	limits, err := hostLimits()
	if err != nil {
		return nil, err
	}
	conns, err := connmgr.NewConnManager(160, 200)
	if err != nil {
		return nil, fmt.Errorf("connection manager: %w", err)
	}
	return []libp2p.Option{
		libp2p.Identity(id),
		libp2p.ResourceManager(limits),
		libp2p.ConnectionManager(conns),
		libp2p.UserAgent("pttnode"),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.DisableIdentifyAddressDiscovery(),
		// An inviter may be off for days; libp2p would take that for a network without
		// UDP and refuse most of our dials when he is back.
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
	}, nil
}

// NewHost returns a host that listens with QUIC and TCP and with nothing else.
func NewHost(device keys.Private, listen []string) (host.Host, error) {
	opts, err := HostOptions(device)
	if err != nil {
		return nil, err
	}
	h, err := libp2p.New(append(opts,
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.ListenAddrStrings(listen...),
	)...)
	if err != nil {
		return nil, because("network", fmt.Errorf("listen on %v: %w", listen, err))
	}
	return h, nil
}

// hostLimits are libp2p's scaled defaults with the memory of our own protocols
// bounded: what strangers may hold is decided before any frame is read.
func hostLimits() (network.ResourceManager, error) {
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	limits.AddProtocolLimit(protocol.ID, rcmgr.BaseLimit{
		StreamsInbound: maxLiveJoins + maxParked, StreamsOutbound: maxLiveJoins, Streams: 2*maxLiveJoins + maxParked, Memory: 64 << 20,
	}, rcmgr.BaseLimitIncrease{})
	limits.AddProtocolPeerLimit(protocol.ID, rcmgr.BaseLimit{
		StreamsInbound: 4, StreamsOutbound: 16, Streams: 20, Memory: 4 << 20,
	}, rcmgr.BaseLimitIncrease{})
	for _, id := range []libprotocol.ID{protocol.InfoID, protocol.SyncID} {
		limits.AddProtocolLimit(id, rcmgr.BaseLimit{
			StreamsInbound: 512, StreamsOutbound: 1024, Streams: 1536, Memory: 128 << 20,
		}, rcmgr.BaseLimitIncrease{})
		limits.AddProtocolPeerLimit(id, rcmgr.BaseLimit{
			StreamsInbound: 64, StreamsOutbound: 64, Streams: 128, Memory: 16 << 20,
		}, rcmgr.BaseLimitIncrease{})
	}
	for _, id := range gossipProtocols { // one each way, and those that a new one replaces
		limits.AddProtocolPeerLimit(id, rcmgr.BaseLimit{
			StreamsInbound: 4, StreamsOutbound: 4, Streams: 8, Memory: 4 << 20,
		}, rcmgr.BaseLimitIncrease{})
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.AutoScale()))
	if err != nil {
		return nil, fmt.Errorf("resource limits: %w", err)
	}
	return m, nil
}
