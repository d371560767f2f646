package node

import (
	"context"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"pttnode/entity"
	"pttnode/keys"
)

// protection is the connection manager's tag of peers whose connections are not
// trimmed (PIP-12: the peer is important).
const protection = "ptt"

// Relations of a device to this person, the nearest first.
const (
	relationOwn      = "own"     // another device of ours
	relationFriend   = "friend"  //
	relationPending  = "pending" // we ask it to let us in, or it asks us and waits
	relationMember   = "member"  // of something we are in
	relationStranger = "stranger"
)

// reach watches who is connected and where we are, until ctx ends: it protects
// connections that matter, sends strangers away, and dials anew when our addresses
// have changed.
func (n *Node) reach(ctx context.Context) {
	sub, err := n.host.EventBus().Subscribe(new(event.EvtLocalAddressesUpdated))
	if err != nil {
		n.log.Warn("our addresses cannot be watched", "err", err)
		return
	}
	defer sub.Close()
	stranger := make(visits)
	var protect, look <-chan time.Time // nil while nothing is due
	for {
		select {
		case <-n.ties:
			if protect == nil {
				protect = time.After(tiesPause)
			}
		case <-protect:
			protect = nil
			n.protect()
		case <-n.met:
			if look == nil {
				look = time.After(strangerSweep)
			}
		case <-look:
			look = nil
			if n.sendAway(stranger, time.Now()) {
				look = time.After(strangerSweep)
			}
		case _, ok := <-sub.Out():
			if !ok {
				return // the host is closed
			}
			n.dialAnew(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// tiesChanged has the protected connections looked at again soon.
func (n *Node) tiesChanged() {
	select {
	case n.ties <- struct{}{}:
	default:
	}
}

// otherDevices returns our own devices but this one. The caller holds the lock.
func (n *Node) otherDevices() []keys.ID {
	var out []keys.ID
	if n.me == nil {
		return out
	}
	for _, d := range n.me.State().Devices {
		if d.ID != n.device.ID() {
			out = append(out, d.ID)
		}
	}
	return out
}

// important returns the devices whose connections are kept when connections are
// trimmed, with their relation: our own, friends, owners of what we are in, issuers
// of our requests, and who waits here for a decision. The caller holds the lock.
func (n *Node) important() map[keys.ID]string {
	out := make(map[keys.ID]string)
	for _, a := range n.attempts {
		if n.unfinished(a) {
			out[a.Issuer] = relationPending
		}
	}
	for d := range n.fetchedFrom {
		out[d] = relationPending
	}
	for _, r := range n.invites {
		for _, c := range r.Claims {
			if n.parked[c.JoinID] != nil {
				out[c.Device] = relationPending
			}
		}
	}
	for _, h := range n.entities {
		s := h.State()
		if !n.takesPart(h) {
			continue
		}
		for _, m := range s.Members {
			if m.Party.User == n.user || m.Standing != entity.Active || s.Kind != entity.Friend && m.Role != entity.Master {
				continue
			}
			for _, d := range m.Party.Devices {
				if s.Kind == entity.Friend {
					out[d] = relationFriend
				} else if out[d] != relationFriend {
					out[d] = relationMember
				}
			}
		}
	}
	for _, d := range n.otherDevices() {
		out[d] = relationOwn
	}
	return out
}

// relations returns the relation of each device, from one look at all members. The
// caller holds the lock.
func (n *Node) relations(devices ...keys.ID) map[keys.ID]string {
	important := n.important()
	out := make(map[keys.ID]string, len(devices))
	for _, d := range devices {
		out[d] = relationStranger
		if r, ok := important[d]; ok {
			out[d] = r
		}
	}
	for _, h := range n.entities {
		for _, m := range h.State().Members {
			if m.Standing != entity.Active || m.Party.User == n.user {
				continue
			}
			for _, d := range m.Party.Devices {
				if out[d] == relationStranger {
					out[d] = relationMember
				}
			}
		}
	}
	return out
}

// protect has the connection manager spare the important devices, and no others.
func (n *Node) protect() {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := make(map[peer.ID]bool)
	for d := range n.important() {
		if p, err := peerID(d); err == nil {
			now[p] = true
			n.host.ConnManager().Protect(p, protection)
		}
	}
	for p := range n.protected {
		if !now[p] {
			n.host.ConnManager().Unprotect(p, protection)
		}
	}
	n.protected = now
}

// PeerView is one connected peer. RTT is null until something was measured.
type PeerView struct {
	PeerID    string       `json:"peer_id"`
	UserID    *keys.Digest `json:"user_id,omitempty"`
	Name      string       `json:"name,omitempty"` // the person's; of our own devices the device's
	Relation  string       `json:"relation"`       // own, friend, member, pending, stranger
	Addr      string       `json:"addr"`
	Transport string       `json:"transport"` // quic, tcp
	Since     time.Time    `json:"since"`
	RTT       *float64     `json:"rtt_ms"` // of the last syncs, in milliseconds
}

// Peers returns who is connected, the nearest relation first, then the oldest
// connection. Of several connections to one peer the oldest is named.
func (n *Node) Peers() []PeerView {
	oldest := make(map[peer.ID]network.Conn)
	for _, c := range n.host.Network().Conns() {
		p := c.RemotePeer()
		if o := oldest[p]; o == nil || c.Stat().Opened.Before(o.Stat().Opened) {
			oldest[p] = c
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var devices []keys.ID
	for p := range oldest {
		if d, err := deviceID(p); err == nil {
			devices = append(devices, d)
		}
	}
	relations := n.relations(devices...)
	out := make([]PeerView, 0, len(oldest))
	for p, c := range oldest {
		v := PeerView{PeerID: p.String(), Relation: relationStranger, Addr: c.RemoteMultiaddr().String(), Transport: transportOf(c), Since: c.Stat().Opened.UTC()}
		if d, err := deviceID(p); err == nil {
			v.Relation = relations[d]
			if user, ok := n.userOf(d); ok {
				v.UserID, v.Name = &user, n.nameOf(user)
				if user == n.user { // the person's name would not tell our devices apart
					v.Name = n.deviceName(d)
				}
			}
		}
		if rtt := n.host.Peerstore().LatencyEWMA(p); rtt > 0 {
			v.RTT = new(float64(rtt.Microseconds()) / 1000)
		}
		out = append(out, v)
	}
	rank := []string{relationOwn, relationFriend, relationMember, relationPending, relationStranger}
	slices.SortFunc(out, func(a, b PeerView) int {
		if r := slices.Index(rank, a.Relation) - slices.Index(rank, b.Relation); r != 0 {
			return r
		}
		return a.Since.Compare(b.Since)
	})
	return out
}

// userOf returns the user that a device is known to belong to: us, a member of
// something, or somebody whose request was checked. The caller holds the lock.
func (n *Node) userOf(device keys.ID) (keys.Digest, bool) {
	for _, d := range n.me.State().Devices {
		if d.ID == device {
			return n.user, true
		}
	}
	for _, h := range n.entities {
		if user, ok := h.State().UserOf(device); ok {
			return user, true
		}
	}
	for _, r := range n.invites {
		for _, c := range r.Claims {
			if c.Device == device {
				return c.User, true
			}
		}
	}
	for _, a := range n.attempts {
		if a.Issuer == device && !a.User.IsZero() {
			return a.User, true
		}
	}
	return keys.Digest{}, false
}

func transportOf(c network.Conn) string {
	if t := c.ConnState().Transport; t != "quic-v1" && t != "" {
		return t
	}
	return "quic"
}
