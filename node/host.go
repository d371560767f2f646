package node

import (
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

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
// no ping for strangers, no metrics in the process-wide registry, nothing in the
// user agent that identifies a machine.
func HostOptions(device keys.Private) ([]libp2p.Option, error) { return hostOptions(device, nil) }

// hostOptions are HostOptions with libp2p's own metrics, unless metrics is nil.
func hostOptions(device keys.Private, metrics *prometheus.Registry) ([]libp2p.Option, error) {
	id, err := HostIdentity(device)
	if err != nil {
		return nil, err
	}
	scaled := hostLimits()
	limits := scaled.AutoScale()
	resources, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits), addrLimits()...)
	if err != nil {
		return nil, fmt.Errorf("resource limits: %w", err)
	}
	low, high := watermarks(limits)
	conns, err := connmgr.NewConnManager(low, high)
	if err != nil {
		return nil, fmt.Errorf("connection manager: %w", err)
	}
	measure := libp2p.DisableMetrics()
	if metrics != nil {
		measure = libp2p.PrometheusRegisterer(metrics)
	}
	return []libp2p.Option{
		libp2p.Identity(id),
		libp2p.ResourceManager(resources),
		libp2p.ConnectionManager(conns),
		libp2p.ConnectionGater(gater{}),
		libp2p.UserAgent("pttnode"),
		libp2p.DisableRelay(),
		libp2p.Ping(false),
		measure,
		libp2p.DisableIdentifyAddressDiscovery(),
		// An inviter may be off for days; libp2p would take that for a network without
		// UDP and refuse most of our dials when he is back.
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
	}, nil
}

// NewHost returns a host that listens with QUIC and TCP and with nothing else.
// libp2p's metrics go into metrics, unless it is nil.
func NewHost(device keys.Private, listen []string, metrics *prometheus.Registry) (host.Host, error) {
	opts, err := hostOptions(device, metrics)
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

// gater lets Ed25519 identities through and no others: the check costs nothing,
// and comes before a muxer is negotiated or identify is heard.
type gater struct{}

// InterceptPeerDial allows every dial.
func (gater) InterceptPeerDial(peer.ID) bool { return true }

// InterceptAddrDial allows every address.
func (gater) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept allows every incoming connection: the resource manager counts.
func (gater) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured refuses who is no device of ours or anybody's.
func (gater) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	_, err := deviceID(p)
	return err == nil
}

// InterceptUpgraded allows what InterceptSecured did.
func (gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }

// hostLimits are libp2p's defaults with room for a board that is announced to
// thousands, and with the memory of our own protocols bounded: what strangers may
// hold is decided before any frame is read.
func hostLimits() rcmgr.ScalingLimitConfig {
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)

	system, more := &limits.SystemBaseLimit, &limits.SystemLimitIncrease
	system.ConnsInbound, system.ConnsOutbound, system.Conns = connsBase, connsBase, connsBase*3/2
	more.ConnsInbound, more.ConnsOutbound, more.Conns = connsMore, connsMore, connsMore*3/2
	system.StreamsInbound, system.StreamsOutbound, system.Streams = 8*connsBase, 8*connsBase, 12*connsBase
	more.StreamsInbound, more.StreamsOutbound, more.Streams = 8*connsMore, 8*connsMore, 12*connsMore

	handshakes, more := &limits.TransientBaseLimit, &limits.TransientLimitIncrease
	handshakes.ConnsInbound, handshakes.ConnsOutbound, handshakes.Conns = handshakesBase, handshakesBase, handshakesBase*3/2
	more.ConnsInbound, more.ConnsOutbound, more.Conns = handshakesMore, handshakesMore, handshakesMore*3/2
	handshakes.StreamsInbound, handshakes.StreamsOutbound, handshakes.Streams = 2*handshakesBase, 2*handshakesBase, 3*handshakesBase
	handshakes.FD, more.FDFraction = handshakesBase/2, 0.5

	// Each connection has one identify stream each way when it begins.
	each := rcmgr.BaseLimit{StreamsInbound: connsBase, StreamsOutbound: connsBase, Streams: 2 * connsBase, Memory: connsBase * identifySize}
	eachMore := rcmgr.BaseLimitIncrease{StreamsInbound: connsMore, StreamsOutbound: connsMore, Streams: 2 * connsMore, Memory: connsMore * identifySize}
	limits.AddServiceLimit(identify.ServiceName, each, eachMore)
	for _, id := range []libprotocol.ID{identify.ID, identify.IDPush} {
		limits.AddProtocolLimit(id, each, eachMore)
	}

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
	return limits
}

// identifySize is what libp2p reserves for one identify message.
const identifySize = 8 << 10

// watermarks are between which numbers of connections the connection manager
// trims: below what the resource manager would refuse, so that somebody new finds
// room. Protected peers are not trimmed.
func watermarks(limits rcmgr.ConcreteLimitConfig) (low, high int) {
	conns := int(limits.ToPartialLimitConfig().System.ConnsInbound)
	return conns / 2, conns * 3 / 4
}

// addrLimits bound what one address and one network can have, so that an office or
// a carrier's shared address works and none of them takes everything. QUIC checks
// an address, for one round trip more, only when half of its connections came
// within a short time. Loopback is free, as in libp2p's own limits.
func addrLimits() []rcmgr.Option {
	addr := rate.Limit{RPS: newConnsPerAddr, Burst: newConnsAddrSave}
	net := rate.Limit{RPS: newConnsPerNet, Burst: newConnsNetSave}
	return []rcmgr.Option{
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: connsPerAddr}, {PrefixLength: 24, ConnCount: connsPerNet}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: connsPerAddr}, {PrefixLength: 48, ConnCount: connsPerNet}},
		),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: []rate.PrefixLimit{
				{Prefix: netip.MustParsePrefix("127.0.0.0/8")}, {Prefix: netip.MustParsePrefix("::1/128")},
			},
			SubnetRateLimiter: rate.SubnetLimiter{
				IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: addr}, {PrefixLength: 24, Limit: net}},
				IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: addr}, {PrefixLength: 48, Limit: net}},
				GracePeriod:      time.Minute,
			},
		}),
	}
}
