package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/network"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// Status returns the node on one screen.
func (n *Node) Status() Status {
	s := Status{State: "ready", PeerID: n.PeerID(), Addrs: n.Addrs(), Peers: len(n.host.Network().Peers()), Health: []Health{}}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.me == nil || n.self.Status != 0 && n.self.Status != protocol.LinkAlive {
		s.State = "setup"
		if n.self.Status != 0 {
			s.Linking = n.self.Status.String()
		}
	}
	s.User, s.Device = n.userView(), DeviceView{ID: n.device.ID(), Name: n.deviceName(n.device.ID())}
	for _, r := range n.invites {
		for _, c := range r.Claims {
			if c.State.Waiting() {
				s.Waiting++
			}
		}
	}
	for at, r := range n.meLog.Requests {
		if _, decided := n.meLog.Decisions[at.JoinID]; r.By != n.device.ID() && n.askedState(r).Waiting() && !decided {
			s.Waiting++
		}
	}
	if e, ok := errors.AsType[*Error](n.store.ready()); ok && e.Code == "store_behind" {
		s.Health = append(s.Health, Health{
			Code: e.Code, Title: "this node's data is older than what this device has already written: a copy or an old backup",
			Hint: "nothing is written any more; set this device up anew",
		})
	} else if ok {
		s.Health = append(s.Health, Health{
			Code: e.Code, Title: "nothing new is accepted: the disk is full or failing", Hint: "make room; if that does not help, restart the node",
		})
	}
	s.Health = append(s.Health, n.alarms()...)
	return s
}

// Linking reports whether this device does not have yet what makes it one of a
// person's: it is let in nowhere, or profile and personal board are on their way.
func (n *Node) Linking() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.me == nil || n.self.Profile.IsZero()
}

// PeerID returns the libp2p name of this device.
func (n *Node) PeerID() string { return n.host.ID().String() }

// Addrs returns the addresses others can dial, with the peer id.
func (n *Node) Addrs() []string {
	out := []string{}
	for _, a := range n.host.Addrs() {
		out = append(out, a.String()+"/p2p/"+n.PeerID())
	}
	return out
}

// Me returns the person.
func (n *Node) Me() MeView {
	n.mu.Lock()
	defer n.mu.Unlock()
	return MeView{User: n.userView(), Device: DeviceView{ID: n.device.ID(), Name: n.deviceName(n.device.ID())}, Card: n.profile().Card}
}

func (n *Node) userView() UserView {
	if n.me == nil {
		return UserView{}
	}
	return UserView{ID: n.user, Name: n.name(), Fingerprint: keys.Fingerprint(n.user)}
}

// profile returns what our profile says; nothing while it is on its way to this
// device.
func (n *Node) profile() entity.ProfileSet {
	if p, ok := n.entities[n.self.Profile]; ok {
		return p.ProfileOf(p.ring)
	}
	return entity.ProfileSet{}
}

// name returns our own name. The caller holds the lock.
func (n *Node) name() string { return n.profile().Name }

// nameOf returns what a user calls himself: in his profile where we have it, else
// when he joined something. The caller holds the lock.
func (n *Node) nameOf(user keys.Digest) string {
	if user == n.user {
		return n.name()
	}
	if p := n.personal(user, entity.Profile); p != nil {
		if name := p.ProfileOf(p.ring).Name; name != "" {
			return name
		}
	}
	for _, h := range n.entities {
		if m, ok := h.State().Member(user); ok && m.Party.Name != "" {
			return m.Party.Name
		}
	}
	return keys.Fingerprint(user)
}

// nameOr is nameOf where a user is known, else what he is said to be called.
func (n *Node) nameOr(user keys.Digest, called string) string {
	name := n.nameOf(user)
	if called != "" && name == keys.Fingerprint(user) {
		return called
	}
	return name
}

// Rename changes our name.
func (n *Node) Rename(_ context.Context, name string) error {
	if !ValidName(name) {
		return badName(name)
	}
	return n.setProfile(func(p *entity.ProfileSet) { p.Name = name })
}

// SetCard changes what our card says.
func (n *Node) SetCard(_ context.Context, card string) error {
	if len(card) > entity.MaxTitle*4 || !utf8.ValidString(card) {
		return refuse("too_long", "what", "card")
	}
	return n.setProfile(func(p *entity.ProfileSet) { p.Card = card })
}

func (n *Node) setProfile(f func(*entity.ProfileSet)) error {
	return n.update(func(tx *tx) error {
		p, ok := n.entities[n.self.Profile]
		if !ok {
			return refuse("linking")
		}
		set := n.profile()
		f(&set)
		o, err := p.Write(tx.author(), p.ring, oplog.FamilyProfile, entity.TypeProfileSet, keys.Digest{}, set)
		if err != nil {
			return writeCode(err)
		}
		tx.ops(p.Entity, o)
		tx.event("profile.changed", map[string]any{"user_id": n.user.String()})
		return nil
	})
}

// ValidName reports whether a text can be a name: 1 to 64 bytes of UTF-8 in one
// line, without control characters at all.
func ValidName(name string) bool {
	return name != "" && strings.TrimSpace(name) == name && len(name) <= entity.MaxName && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 })
}

// badName says what is wrong with a name that is none.
func badName(name string) error {
	if len(name) > entity.MaxName {
		return refuse("too_long", "what", "name", "max", fmt.Sprintf("%d bytes", entity.MaxName))
	}
	return refuse("usage", "what", fmt.Sprintf("a name is one line of 1 to %d bytes, with no space around it", entity.MaxName))
}

// online reports whether one of the devices is connected.
func (n *Node) online(devices []keys.ID) bool {
	for _, d := range devices {
		if p, err := peerID(d); err == nil && n.host.Network().Connectedness(p) == network.Connected {
			return true
		}
	}
	return false
}

// reachable returns a connected one of the devices, else the first.
func (n *Node) reachable(devices []keys.ID) keys.ID {
	for _, d := range devices {
		if n.online([]keys.ID{d}) {
			return d
		}
	}
	return devices[0]
}

// linkKind returns the word of an invite's kind.
func linkKind(k entity.Kind) string {
	if k == entity.Me {
		return "device"
	}
	return k.String()
}
