package node

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"pttnode/entity"
	"pttnode/keys"
)

// keep dials own devices and members, syncs with members and ends what is over, at
// the start, every 30 s, and when the network or the machine is back.
func (n *Node) keep(ctx context.Context) {
	for last := n.moment(); ; {
		if err := n.sweep(); err != nil && ctx.Err() == nil {
			n.log.Warn("sweep", "err", err)
		}
		if err := n.closePasts(); err != nil && ctx.Err() == nil {
			n.log.Warn("close pasts", "err", err)
		}
		n.fetchSoon()
		n.tiesChanged()
		n.meet() // who was a member is a stranger now
		n.dialMembers(ctx)
		n.syncMembers(ctx)
		n.bidFarewell(ctx)
		n.keysAll()
		n.bodiesAll()
		if err := n.pruneAll(); err != nil && ctx.Err() == nil {
			n.log.Warn("prune", "err", err)
		}
		jitter := 0.8 + 0.4*rand.Float64()
		select {
		case <-time.After(time.Duration(float64(keepEvery) * jitter)):
		case <-n.rouse:
		case <-ctx.Done():
			return
		}
		now := n.moment()
		if now.slept(last) > sleptFor {
			n.log.Info("the machine slept, or its clock was set", "for", now.slept(last).Round(time.Second))
			n.dialAnew(ctx)
		}
		last = now
	}
}

// keysAll asks for the keys that are lacking anywhere.
func (n *Node) keysAll() {
	n.mu.Lock()
	eids := slices.SortedFunc(mapKeys(n.entities), compareDigests)
	n.mu.Unlock()
	for _, eid := range eids {
		n.keysSoon(eid, keys.ID{})
	}
}

// moment is one moment by both clocks.
type moment struct{ wall, monotonic time.Time }

func (n *Node) moment() moment { return moment{n.now().Round(0), time.Now()} }

// slept returns how much longer the time since then was by the wall clock than by
// the monotonic one, which stands still while a machine sleeps.
func (m moment) slept(then moment) time.Duration {
	return m.wall.Sub(then.wall) - m.monotonic.Sub(then.monotonic)
}

// dialAnew is for a network that is another one, or back: nobody is refused for
// dials that failed before, requests are tried now, and a round of keeping is due.
// Every sync of it tells of our new addresses.
func (n *Node) dialAnew(ctx context.Context) {
	n.mu.Lock()
	for _, h := range n.entities {
		for _, m := range h.State().Active() {
			for _, d := range m.Party.Devices {
				n.forgive(d)
			}
		}
	}
	for id := range n.pursuits {
		n.forgive(n.attempts[id].Issuer)
		n.pokeLocked(id)
	}
	n.mu.Unlock()
	n.dialMembers(ctx)
	select {
	case n.rouse <- struct{}{}:
	default:
	}
}

// forgive has libp2p forget that dials of a device failed.
func (n *Node) forgive(device keys.ID) {
	sw, ok := n.host.Network().(*swarm.Swarm)
	if p, err := peerID(device); ok && err == nil {
		sw.Backoff().Clear(p)
	}
}

// dialMembers dials our other devices and up to two unconnected members of every
// entity, so that a member is found when the inviter is gone. The connection then
// syncs.
func (n *Node) dialMembers(ctx context.Context) {
	n.mu.Lock()
	targets := make(map[peer.ID]bool)
	for _, d := range n.otherDevices() {
		n.forgive(d) // a round is long enough a pause
		n.target(targets, d)
	}
	for eid, h := range n.entities {
		if n.told[eid] && !n.takesPart(h) {
			continue
		}
		count := 0
		members := h.State().Active()
		rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		for _, m := range members {
			if m.Party.User == n.user || count >= memberDials || n.online(m.Party.Devices) {
				continue
			}
			for _, d := range m.Party.Devices {
				if n.target(targets, d) {
					count++
				}
			}
		}
	}
	n.mu.Unlock()
	for p := range targets {
		n.wg.Go(func() { n.dial(ctx, p) })
	}
}

// target adds a device that can be dialled and is not connected.
func (n *Node) target(targets map[peer.ID]bool, device keys.ID) bool {
	p, err := peerID(device)
	if err == nil {
		n.lookNear(device, p)
	}
	if err != nil || len(n.host.Peerstore().Addrs(p)) == 0 || n.host.Network().Connectedness(p) == network.Connected {
		return false
	}
	targets[p] = true
	return true
}

func (n *Node) dial(ctx context.Context, p peer.ID) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	if _, err := n.host.Network().DialPeer(ctx, p); err != nil {
		n.log.Debug("dial", "peer", p.String(), "err", err)
	}
}

// takesPart reports whether an entity goes on and we are in it. Of one that we left
// somebody has to hear; then nobody is dialled for it.
func (n *Node) takesPart(h *held) bool {
	s := h.State()
	m, ok := s.Member(n.user)
	return ok && m.Standing == entity.Active && !s.Ended
}

// synced notes how a sync has ended. After a good one the member has what we know
// of the entity; one that he resets he does not want, since we are a stranger there.
func (n *Node) synced(eid keys.Digest, err error) {
	if reset, ok := errors.AsType[*network.StreamError](err); err != nil && !(ok && reset.Remote) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if h, ok := n.entities[eid]; ok && !n.takesPart(h) {
		n.told[eid] = true
	}
}

// syncMembers syncs every entity with a few of its connected members, with whom it was
// not for the longest time: who withholds what is new cannot be asked instead of another.
func (n *Node) syncMembers(ctx context.Context) {
	type pair struct {
		device keys.ID
		eid    keys.Digest
	}
	var pairs []pair
	n.mu.Lock()
	maps.DeleteFunc(n.tried, func(c catching, _ time.Time) bool { return !n.online([]keys.ID{c.peer}) })
	for _, h := range n.all() {
		id := h.ID()
		var devices []keys.ID
		for d := range n.others(h) {
			if n.online([]keys.ID{d}) && n.underway[catching{d, id}] == 0 { // a large one takes longer than a round
				devices = append(devices, d)
			}
		}
		rand.Shuffle(len(devices), func(i, j int) { devices[i], devices[j] = devices[j], devices[i] })
		slices.SortStableFunc(devices, func(a, b keys.ID) int { return n.tried[catching{a, id}].Compare(n.tried[catching{b, id}]) })
		for _, d := range devices[:min(len(devices), memberSyncs)] {
			pairs = append(pairs, pair{d, id})
		}
	}
	n.mu.Unlock()
	slices.SortFunc(pairs, func(a, b pair) int { return compareDigests(a.eid, b.eid) })
	for _, p := range pairs {
		if ctx.Err() != nil {
			return
		}
		if err := n.syncEntity(ctx, p.device, p.eid); err != nil {
			n.log.Debug("sync", "peer", p.device.String(), "entity", p.eid.String(), "err", err)
		}
	}
}
