package node

import (
	"pttnode/entity"
	"pttnode/invite"
	"pttnode/protocol"
)

// committed says how a claim stands, with what to hand over if it is approved.
func (tx *tx) committed(c invite.Claim, why invite.Code) protocol.Event {
	ev := protocol.Committed{Claim: c, Refuse: why}
	if c.State == invite.Approved {
		g, no := tx.n.grant(c)
		if no != invite.OK {
			return protocol.Refused{Why: no}
		}
		ev.Grant = g
	}
	return ev
}

// grant makes what an approved claim hands over, from the entity as it is now.
// The caller holds the lock.
func (n *Node) grant(c invite.Claim) (*protocol.Grant, invite.Code) {
	if c.User.IsZero() {
		return n.grantDevice(c)
	}
	var h *held
	for _, e := range n.entities {
		if _, ok := e.Log().Get(c.Admit); ok {
			h = e
		}
	}
	if h == nil {
		return nil, invite.RefusedInternal
	}
	s := h.State()
	m, ok := s.Member(c.User)
	if !ok || m.Standing != entity.Active || m.Admit != c.Admit || s.Ended {
		return nil, invite.RefusedRemoved
	}
	g := &protocol.Grant{Entity: h.ID(), Admit: c.Admit, Keys: n.keysFor(h, c.User), Addrs: n.memberAddrs(h, memberRecords)}
	size := 0
	for user, known := range n.chains {
		if m, ok := s.Member(user); !ok || m.Role != entity.Master || m.Standing != entity.Active || user == n.user {
			continue
		}
		raws, more := entity.ChainBytes(known.Judge().Chain), 0
		for _, raw := range raws {
			more += len(raw)
		}
		if size+more <= protocol.MaxChains {
			g.Chains, size = append(g.Chains, raws), size+more
		}
	}
	g.Strand, g.Logs = protocol.Pack(h.Entity, c.Admit, protocol.MaxLogs-size)
	return g, invite.OK
}

// grantDevice is grant for a device of ours. The caller holds the lock.
func (n *Node) grantDevice(c invite.Claim) (*protocol.Grant, invite.Code) {
	if _, ok := n.me.State().Device(c.Device); !ok {
		return nil, invite.RefusedRemoved
	}
	if c.Withdrew() {
		return nil, invite.RefusedCancelled
	}
	g := &protocol.Grant{Entity: n.user, Admit: c.Admit, Keys: epochKeys(n.me.ring), Addrs: n.memberAddrs(n.me, maxOwnAddrs)}
	g.Strand, g.Logs = protocol.Pack(n.me.Entity, c.Admit, protocol.MaxLogs)
	return g, invite.OK
}
