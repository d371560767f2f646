package node

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"

	"pttnode/entity"
	"pttnode/keys"
)

// ownRecord is our signed peer record, where this device can be dialled, and who
// was told of it. It has a lock of its own: it is asked for with and without the
// node's.
type ownRecord struct {
	mu   sync.Mutex
	of   string // the addresses it was made of
	raw  []byte
	sent map[keys.ID]bool // since it was made
}

// ownRecord returns our signed peer record, signed anew when the addresses have
// changed; nil when it cannot be made, since addresses are hints.
func (n *Node) ownRecord() []byte {
	n.own.mu.Lock()
	defer n.own.mu.Unlock()
	return n.sealRecord()
}

// newRecord returns our record for a device that was not told of it yet, or nil.
func (n *Node) newRecord(device keys.ID) []byte {
	n.own.mu.Lock()
	defer n.own.mu.Unlock()
	raw := n.sealRecord()
	if n.own.sent[device] {
		return nil
	}
	n.own.sent[device] = true
	return raw
}

// gaveRecord notes that a device has our record by another way than a sync.
func (n *Node) gaveRecord(device keys.ID) {
	n.own.mu.Lock()
	defer n.own.mu.Unlock()
	if n.own.sent != nil {
		n.own.sent[device] = true
	}
}

func (n *Node) sealRecord() []byte {
	addrs := n.host.Addrs()
	of := fmt.Sprint(addrs)
	if of == n.own.of {
		return n.own.raw
	}
	key := n.host.Peerstore().PrivKey(n.host.ID())
	env, err := record.Seal(peer.PeerRecordFromAddrInfo(peer.AddrInfo{ID: n.host.ID(), Addrs: addrs}), key)
	if err != nil {
		return nil
	}
	raw, err := env.Marshal()
	if err != nil {
		return nil
	}
	n.own.of, n.own.raw, n.own.sent = of, raw, make(map[keys.ID]bool)
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

// storedRecord reads a record that was checked before it was stored.
func storedRecord(raw []byte) (rec peer.PeerRecord, ok bool) {
	env, err := record.UnmarshalEnvelope(raw)
	return rec, err == nil && env.TypedRecord(&rec) == nil
}

// addrs keeps a device's record if it is newer than the one we have and names
// other addresses. Records of others than the device named, and anything
// malformed, are ignored: addresses are hints.
func (tx *tx) addrs(device keys.ID, raw []byte) {
	old, known := tx.n.records[device]
	if len(raw) > maxRecord || known && bytes.Equal(old, raw) {
		return
	}
	rec, ok := openRecord(device, raw)
	if !ok {
		return
	}
	if known {
		prev, ok := storedRecord(old)
		if ok && (prev.Seq >= rec.Seq || slices.EqualFunc(prev.Addrs, rec.Addrs, ma.Multiaddr.Equal)) {
			return // every sync brings one that is newer; most say the same
		}
	}
	tx.n.records[device] = bytes.Clone(raw)
	tx.put("/p/"+device.String(), tx.n.records[device])
	tx.n.host.Peerstore().AddAddrs(rec.PeerID, rec.Addrs, peerstore.PermanentAddrTTL)
}

// anyAddrs keeps a record that a device of ours had, of whichever device it is: what
// it belongs to may still be on its way here.
func (tx *tx) anyAddrs(raw []byte) {
	if device, ok := recordOf(raw); ok && device != tx.n.device.ID() {
		tx.addrs(device, raw)
	}
}

// knownAddrs returns the records we have, but for that of the device they are for.
// The caller holds the lock.
func (n *Node) knownAddrs(to keys.ID) [][]byte {
	out := [][]byte{}
	for device, raw := range n.records {
		if device != to && len(out) < maxHanded {
			out = append(out, raw)
		}
	}
	return out
}

// recordOf returns the device that a record says it is of, which is not checked.
func recordOf(raw []byte) (keys.ID, bool) {
	env, err := record.UnmarshalEnvelope(raw)
	if err != nil {
		return keys.ID{}, false
	}
	p, err := peer.IDFromPublicKey(env.PublicKey)
	if err != nil {
		return keys.ID{}, false
	}
	device, err := deviceID(p)
	return device, err == nil
}

// addrsOf keeps a record if it is of a device of a member.
func (tx *tx) addrsOf(s *entity.State, raw []byte) {
	device, ok := recordOf(raw)
	if _, member := s.UserOf(device); ok && member {
		tx.addrs(device, raw)
	}
}

// know gives the peerstore a signed peer record for as long as a fetch may take,
// and returns whose it is.
func (n *Node) know(raw []byte) (keys.ID, bool) {
	device, ok := recordOf(raw)
	if !ok || len(raw) > maxRecord {
		return keys.ID{}, false
	}
	rec, ok := openRecord(device, raw)
	if ok {
		n.host.Peerstore().AddAddrs(rec.PeerID, rec.Addrs, peerstore.TempAddrTTL)
	}
	return device, ok
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

// seek dials a device that we let in and that does not wait here: its request may
// hang on a connection with a node that was killed, which QUIC believes in for 30 s
// (see returned). The caller holds the lock.
func (n *Node) seek(device keys.ID) {
	p, err := peerID(device)
	if err != nil || n.runCtx == nil || n.runCtx.Err() != nil || n.online([]keys.ID{device}) {
		return
	}
	ctx := n.runCtx
	n.wg.Go(func() {
		dial, cancel := context.WithTimeout(ctx, dialTime)
		defer cancel()
		if _, err := n.host.Network().DialPeer(dial, p); err != nil {
			n.log.Debug("dial who was let in", "peer", p.String(), "err", err)
		}
	})
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
	if err == nil && c.Stat().Direction == network.DirInbound {
		n.returned(device, c)
		n.dropOlder(c)
		n.greet(device, c)
	}
	if err != nil {
		return
	}
	n.linkSoon(device)
	if n.mine(device) {
		n.wg.Go(func() { n.sawDevice(device) })
	}
	if c.Stat().Direction == network.DirOutbound && n.sharesAny(device) {
		n.wg.Go(func() { n.syncLogged(ctx, device) })
	}
}

// dropOlder closes the connections with a peer that are older than one which it has
// just dialled: it was killed and has come back (see returned), and what waits on
// them, as an exchange of init-me-info, is to begin anew. The caller holds the lock.
func (n *Node) dropOlder(c network.Conn) {
	for _, old := range n.host.Network().ConnsToPeer(c.RemotePeer()) {
		if old != c && c.Stat().Opened.Sub(old.Stat().Opened) > staleAfter {
			n.wg.Go(func() { _ = old.Close() })
		}
	}
}

// onDisconnected notes until when a device of ours was here.
func (n *Node) onDisconnected(ctx context.Context, c network.Conn) {
	device, err := deviceID(c.RemotePeer())
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil && ctx.Err() == nil && n.mine(device) {
		n.wg.Go(func() { n.sawDevice(device) })
	}
}

// all returns every entity here, Me among them. The caller holds the lock.
func (n *Node) all() []*held {
	out := slices.Collect(maps.Values(n.entities))
	if n.me != nil {
		out = append(out, n.me)
	}
	return out
}

// sharesAny reports whether there is an entity that a device may have. The caller
// holds the lock.
func (n *Node) sharesAny(device keys.ID) bool {
	return n.mine(device) || slices.ContainsFunc(n.all(), func(h *held) bool { return n.mayHave(h, device) })
}

// sharedWith returns the entities that a device may have; of an own one also those
// that are named by the me-oplog and not here yet. The caller holds the lock.
func (n *Node) sharedWith(device keys.ID) []keys.Digest {
	var out []keys.Digest
	for _, h := range n.all() {
		if n.mayHave(h, device) {
			out = append(out, h.ID())
		}
	}
	if n.mine(device) {
		out = append(out, n.missing()...)
	}
	slices.SortFunc(out, compareDigests)
	return out
}
