package node

import (
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	manet "github.com/multiformats/go-multiaddr/net"

	"pttnode/keys"
)

// spending counts what peers and subnets had of their budgets. The node's lock
// guards it.
type spending struct {
	of     map[account]*spent
	forget int // sweep when there are as many accounts
}

// account is one budget of one peer or subnet, by its text.
type account struct {
	budget budget
	who    string
}

type spent struct {
	count int
	since time.Time
}

// over reports whether who has had all of a budget. Nobody in particular, as who
// comes from this machine, has no budget.
func (s *spending) over(b budget, who string, now time.Time) bool {
	a := s.of[account{b, who}]
	return who != "" && a != nil && a.count >= budgets[b].most && now.Sub(a.since) < budgets[b].window
}

// add counts one against a budget.
func (s *spending) add(b budget, who string, now time.Time) {
	if who == "" {
		return
	}
	key := account{b, who}
	a := s.of[key]
	if a == nil || now.Sub(a.since) >= budgets[b].window {
		s.sweep(now)
		a = &spent{since: now}
		if s.of == nil {
			s.of = make(map[account]*spent)
		}
		s.of[key] = a
	}
	a.count++
}

// addMany counts some against a budget.
func (s *spending) addMany(b budget, who string, many int, now time.Time) {
	if many > 0 {
		s.add(b, who, now)
		s.of[account{b, who}].count += many - 1
	}
}

// take counts one if the budget has it.
func (s *spending) take(b budget, who string, now time.Time) bool {
	if s.over(b, who, now) {
		return false
	}
	s.add(b, who, now)
	return true
}

// sweep forgets windows that are over, when there are many: as often as their
// number doubles, so that each costs little.
func (s *spending) sweep(now time.Time) {
	if len(s.of) < max(s.forget, 4*maxLiveJoins) {
		return
	}
	for key, a := range s.of {
		if now.Sub(a.since) >= budgets[key.budget].window {
			delete(s.of, key)
		}
	}
	s.forget = 2 * len(s.of)
}

// charge counts a join that failed, was refused or was new against its peer, and
// one that did not come to a claim against its subnet too.
func (n *Node) charge(peer keys.ID, subnet string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.spending.add(joinsOfPeer, peer.String(), n.now())
	n.spending.add(joinsOfSubnet, subnet, n.now())
}

// afford takes one of a peer's budget, or says that it has none left.
func (n *Node) afford(b budget, peer keys.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.spending.take(b, peer.String(), n.now())
}

// exhausted reports whether a peer has had all of a budget.
func (n *Node) exhausted(b budget, peer keys.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.spending.over(b, peer.String(), n.now())
}

// crowded reports whether a subnet has had its joins.
func (n *Node) crowded(subnet string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.spending.over(joinsOfSubnet, subnet, n.now())
}

// subnetOf returns the IPv4 /24 or IPv6 /48 of a connection's other end: whoever
// can have many identities has seldom many of those. "" for this machine and for
// what has no address.
func subnetOf(c network.ConnMultiaddrs) string {
	ip, err := manet.ToIP(c.RemoteMultiaddr())
	if err != nil {
		return ""
	}
	addr, ok := netip.AddrFromSlice(ip)
	if addr = addr.Unmap(); !ok || addr.IsLoopback() {
		return ""
	}
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	net, err := addr.Prefix(bits)
	if err != nil {
		return ""
	}
	return net.String()
}
