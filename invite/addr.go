package invite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ErrAddr says that a text is not an address that fits a link.
var ErrAddr = errors.New("invite: not an IP or DNS address with QUIC or TCP")

// Addr is an address inside a link: an IP address or a DNS name, a port, and
// QUIC or TCP. The zero Addr is none. Addrs compare with ==.
type Addr struct {
	tag  uint8
	ip   netip.Addr
	host string
	port uint16
}

// Tags of the optional parts of a body. Wire values; do not reorder. An IP
// address follows its tag with 4 or 16 bytes and the port, a DNS name with its
// length, its bytes and the port. tagRelay is reserved for a circuit through a
// relay (its key and its IP address); version 1 does not make one and says of it
// that a newer version did. tagCert is reserved too, for browsers, but of a fixed
// length, so that version 1 reads past it.
const (
	tagIP4QUIC uint8 = 1
	tagIP4TCP  uint8 = 2
	tagIP6QUIC uint8 = 3
	tagIP6TCP  uint8 = 4
	tagDNSQUIC uint8 = 5
	tagDNSTCP  uint8 = 6
	tagRelay   uint8 = 7
	tagCert    uint8 = 8    // plus 32 bytes
	tagName    uint8 = 0x80 // plus the name's length in bytes, 1 to 16
)

// ParseAddr parses a multiaddr text of one of the forms /ip4/A/udp/P/quic-v1,
// /ip4/A/tcp/P and the same with ip6 or dns. It fails with ErrAddr for all others,
// for port 0, and for addresses that nobody can dial.
func ParseAddr(multiaddr string) (Addr, error) {
	p := strings.Split(multiaddr, "/")
	quic := len(p) == 6 && p[3] == "udp" && p[5] == "quic-v1"
	tcp := len(p) == 5 && p[3] == "tcp"
	if !quic && !tcp || p[0] != "" {
		return Addr{}, fmt.Errorf("%w: %q", ErrAddr, multiaddr)
	}
	var a Addr
	switch p[1] {
	case "ip4", "ip6":
		ip, err := netip.ParseAddr(p[2])
		if err != nil || ip.Is4() != (p[1] == "ip4") {
			return Addr{}, fmt.Errorf("%w: %q", ErrAddr, multiaddr)
		}
		a.ip, a.tag = ip, tagIP4QUIC
		if ip.Is6() {
			a.tag = tagIP6QUIC
		}
	case "dns":
		a.host, a.tag = strings.ToLower(p[2]), tagDNSQUIC
	}
	if tcp && a.tag != 0 {
		a.tag++ // each TCP tag follows its QUIC tag
	}
	port, err := strconv.ParseUint(p[4], 10, 16)
	a.port = uint16(port)
	if err != nil || !a.valid() {
		return Addr{}, fmt.Errorf("%w: %q", ErrAddr, multiaddr)
	}
	return a, nil
}

// String returns the multiaddr text of a.
func (a Addr) String() string {
	var host string
	switch a.tag {
	case tagIP4QUIC, tagIP4TCP:
		host = "/ip4/" + a.ip.String()
	case tagIP6QUIC, tagIP6TCP:
		host = "/ip6/" + a.ip.String()
	case tagDNSQUIC, tagDNSTCP:
		host = "/dns/" + a.host
	default:
		return ""
	}
	port := strconv.Itoa(int(a.port))
	if a.quic() {
		return host + "/udp/" + port + "/quic-v1"
	}
	return host + "/tcp/" + port
}

// IsZero reports whether a is the zero value, which is no address.
func (a Addr) IsZero() bool { return a == Addr{} }

func (a Addr) quic() bool { return a.tag&1 == 1 }

// valid refuses what has a second text or byte form, and what cannot be dialed.
func (a Addr) valid() bool {
	switch a.tag {
	case tagIP4QUIC, tagIP4TCP, tagIP6QUIC, tagIP6TCP:
		return a.port != 0 && a.ip.IsValid() && a.ip.Zone() == "" && !a.ip.Is4In6() &&
			!a.ip.IsUnspecified() && !a.ip.IsMulticast()
	case tagDNSQUIC, tagDNSTCP:
		return a.port != 0 && validHost(a.host)
	}
	return false
}

// validHost reports whether h is labels of lower-case letters, digits and
// hyphens, so that no link carries text that a screen could misread.
func validHost(h string) bool {
	if len(h) == 0 || len(h) > maxHost {
		return false
	}
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
				return false
			}
		}
	}
	return true
}

func (a Addr) append(b []byte) []byte {
	b = append(b, a.tag)
	if a.ip.IsValid() {
		b = append(b, a.ip.AsSlice()...)
	} else {
		b = append(b, uint8(len(a.host)))
		b = append(b, a.host...)
	}
	return binary.BigEndian.AppendUint16(b, a.port)
}

// cutAddr reads the address at the start of b and returns what follows it.
func cutAddr(b []byte) (Addr, []byte, bool) {
	a := Addr{tag: b[0]}
	b = b[1:]
	n := 0
	switch a.tag {
	case tagIP4QUIC, tagIP4TCP:
		n = 4
	case tagIP6QUIC, tagIP6TCP:
		n = 16
	case tagDNSQUIC, tagDNSTCP:
		if len(b) == 0 {
			return Addr{}, nil, false
		}
		n, b = int(b[0]), b[1:]
	}
	if len(b) < n+2 {
		return Addr{}, nil, false
	}
	if a.tag == tagDNSQUIC || a.tag == tagDNSTCP {
		a.host = string(b[:n])
	} else {
		a.ip, _ = netip.AddrFromSlice(b[:n])
	}
	a.port = binary.BigEndian.Uint16(b[n:])
	return a, b[n+2:], a.valid()
}
