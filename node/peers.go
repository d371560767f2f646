package node

import (
	"bytes"
	"context"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/record"

	"pttnode/entity"
	"pttnode/keys"
)

// ownRecord returns our signed peer record: where this device can be dialled.
func (n *Node) ownRecord() []byte {
	key := n.host.Peerstore().PrivKey(n.host.ID())
	if key == nil {
		return nil
	}
	env, err := record.Seal(peer.PeerRecordFromAddrInfo(peer.AddrInfo{ID: n.host.ID(), Addrs: n.host.Addrs()}), key)
	if err != nil {
		return nil
	}
	raw, err := env.Marshal()
	if err != nil {
		return nil
	}
	return raw
}

// openRecord checks a signed peer record and that it is the device's own.
func openRecord(device keys.ID, raw []byte) (*peer.PeerRecord, bool) {
	env, r, err := record.ConsumeEnvelope(raw, peer.PeerRecordEnvelopeDomain)
	if err != nil {
		return nil, false
	}
	rec, ok := r.(*peer.PeerRecord)
	p, err := peerID(device)
	return rec, ok && err == nil && rec.PeerID == p && p.MatchesPublicKey(env.PublicKey)
}

// addrs keeps a device's record if it is newer than the one we have. Records of
// others than the device named, and anything malformed, are ignored: addresses
// are hints.
func (tx *tx) addrs(device keys.ID, raw []byte) {
	rec, ok := openRecord(device, raw)
	if !ok {
		return
	}
	if old, ok := tx.n.records[device]; ok {
		if prev, ok := openRecord(device, old); ok && prev.Seq >= rec.Seq {
			return
		}
	}
	tx.n.records[device] = bytes.Clone(raw)
	tx.put("/p/"+device.String(), tx.n.records[device])
	tx.n.host.Peerstore().AddAddrs(rec.PeerID, rec.Addrs, peerstore.PermanentAddrTTL)
}

// addrsOf keeps a record if it is of a device of a member.
func (tx *tx) addrsOf(s *entity.State, raw []byte) {
	_, r, err := record.ConsumeEnvelope(raw, peer.PeerRecordEnvelopeDomain)
	if err != nil {
		return
	}
	rec, ok := r.(*peer.PeerRecord)
	if !ok {
		return
	}
	device, err := deviceID(rec.PeerID)
	if err != nil {
		return
	}
	if _, member := s.UserOf(device); member {
		tx.addrs(device, raw)
	}
}

// memberAddrs returns our own record and those of up to limit-1 member devices.
// The caller holds the lock.
func (n *Node) memberAddrs(h *held, limit int) [][]byte {
	out := [][]byte{}
	if n.host != nil {
		if own := n.ownRecord(); own != nil {
			out = append(out, own)
		}
	}
	for _, m := range h.State().Active() {
		for _, d := range m.Party.Devices {
			if raw, ok := n.records[d]; ok && len(out) < limit {
				out = append(out, raw)
			}
		}
	}
	return out
}

// knowAddrs gives the peerstore what the store knows.
func (n *Node) knowAddrs() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for device, raw := range n.records {
		if rec, ok := openRecord(device, raw); ok {
			n.host.Peerstore().AddAddrs(rec.PeerID, rec.Addrs, peerstore.PermanentAddrTTL)
		}
	}
}

// protect keeps the connection to a friend's device when connections are trimmed
// (PIP-12: the peer is important).
func (n *Node) protect(device keys.ID) {
	if p, err := peerID(device); err == nil {
		n.host.ConnManager().Protect(p, "friend")
	}
}

// keep dials members, syncs with them and ends what is over, at the start and
// every 30 s.
func (n *Node) keep(ctx context.Context) {
	for {
		if err := n.sweep(); err != nil && ctx.Err() == nil {
			n.log.Warn("sweep", "err", err)
		}
		n.dialMembers(ctx)
		for _, p := range n.host.Network().Peers() {
			if ctx.Err() != nil {
				return
			}
			if device, err := deviceID(p); err == nil {
				n.syncPeer(ctx, device)
			}
		}
		jitter := 0.8 + 0.4*rand.Float64()
		select {
		case <-time.After(time.Duration(float64(keepEvery) * jitter)):
		case <-ctx.Done():
			return
		}
	}
}

// dialMembers dials up to two unconnected members of every entity, so that a
// member is found when the inviter is gone. The connection then syncs.
func (n *Node) dialMembers(ctx context.Context) {
	n.mu.Lock()
	targets := make(map[peer.ID]bool)
	for _, h := range n.entities {
		count := 0
		members := h.State().Active()
		rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		for _, m := range members {
			if m.Party.User == n.user || count >= memberDials || n.online(m.Party.Devices) {
				continue
			}
			for _, d := range m.Party.Devices {
				if p, err := peerID(d); err == nil && len(n.host.Peerstore().Addrs(p)) > 0 {
					targets[p] = true
					count++
				}
			}
		}
	}
	n.mu.Unlock()
	for p := range targets {
		n.wg.Go(func() {
			dial, cancel := context.WithTimeout(ctx, dialTime)
			defer cancel()
			if _, err := n.host.Network().DialPeer(dial, p); err != nil {
				n.log.Debug("dial member", "peer", p.String(), "err", err)
			}
		})
	}
}

// onConnected syncs over a connection that we dialled: one side is enough.
func (n *Node) onConnected(ctx context.Context, c network.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	defer n.changed()
	device, err := deviceID(c.RemotePeer())
	if err != nil || c.Stat().Direction != network.DirOutbound || len(n.sharedWith(device)) == 0 {
		return
	}
	n.wg.Go(func() { n.syncPeer(ctx, device) })
}

// sharedWith returns the entities in which a device speaks for a member. The
// caller holds the lock.
func (n *Node) sharedWith(device keys.ID) []keys.Digest {
	var out []keys.Digest
	for id, h := range n.entities {
		if user, ok := h.State().UserOf(device); ok && user != n.user {
			out = append(out, id)
		}
	}
	return out
}
