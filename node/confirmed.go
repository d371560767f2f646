package node

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/keys"
)

// sighting says when a device was last known to have all that we had of an entity, and
// what that was. It is kept in memory only: a restart asks again.
type sighting struct {
	heads keys.Digest // hash of our heads vector
	at    time.Time
}

// confirm notes that a device has all operations of a heads vector of ours.
func (n *Node) confirm(eid keys.Digest, device keys.ID, heads keys.Digest) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sawAll(eid, device, heads)
}

// sawAll is confirm for who holds the lock.
func (n *Node) sawAll(eid keys.Digest, device keys.ID, heads keys.Digest) {
	if h, ok := n.find(eid); !ok || !n.mayHave(h, device) {
		return
	}
	if n.confirmed[eid] == nil {
		n.confirmed[eid] = make(map[keys.ID]sighting)
	}
	n.confirmed[eid][device] = sighting{heads, n.now()}
}

// hasAll reports whether a device is known to have all that is here now. The caller
// holds the lock.
func (n *Node) hasAll(eid keys.Digest, device keys.ID, heads keys.Digest) bool {
	s, ok := n.confirmed[eid][device]
	return ok && s.heads == heads
}

// confirmations counts the other devices that may have an entity, and those known to
// have all that is here; it returns the rest, who has been behind longest first. The
// caller holds the lock.
func (n *Node) confirmations(h *held) (confirmed, of int, behind []BehindView) {
	heads := h.Log().Vector().Hash(h.ID())
	s := h.State()
	for d := range n.others(h) {
		of++
		if n.hasAll(h.ID(), d, heads) {
			confirmed++
			continue
		}
		v := BehindView{DeviceID: d, UserID: n.user, Device: n.className(n.user, d)}
		if user, ok := s.UserOf(d); ok {
			v.UserID, v.Device = user, n.className(user, d)
		}
		v.Name = n.nameOf(v.UserID)
		if last, ok := n.confirmed[h.ID()][d]; ok {
			v.Since = &last.at
		}
		behind = append(behind, v)
	}
	slices.SortFunc(behind, func(a, b BehindView) int {
		return cmp.Or(sinceOf(a).Compare(sinceOf(b)), compareDigests(a.UserID, b.UserID), bytes.Compare(a.DeviceID[:], b.DeviceID[:]))
	})
	return confirmed, of, behind[:min(len(behind), maxBehind)]
}

func sinceOf(v BehindView) time.Time {
	if v.Since == nil {
		return time.Time{}
	}
	return *v.Since
}

// className returns what a device of a user is, "" if that user's devices are not known
// or it is his only one.
func (n *Node) className(user keys.Digest, device keys.ID) string {
	devices := n.devicesOf(user)
	i := slices.IndexFunc(devices, func(d entity.Device) bool { return d.ID == device })
	if i < 0 || len(devices) < 2 {
		return ""
	}
	return devices[i].Class.String()
}

// settling notes that the heads of entities have changed: members are asked whether they
// have the same when nothing has for a while. The caller holds the lock.
func (n *Node) settling(tx *tx) {
	for eid := range tx.fresh {
		n.beacons[eid] = time.Now().Add(beaconAfter)
	}
}

// beacon compares heads with connected members for each entity whose heads have
// settled, and returns after how long to look again.
func (n *Node) beacon() (again time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now, again := time.Now(), keepEvery
	for _, eid := range slices.SortedFunc(maps.Keys(n.beacons), compareDigests) {
		if wait := n.beacons[eid].Sub(now); wait > 0 {
			again = min(again, wait)
			continue
		}
		delete(n.beacons, eid)
		if h, ok := n.find(eid); ok {
			n.compareHeads(h)
		}
	}
	return again
}

// compareHeads syncs with a few connected devices that are not known to have what is
// here. Where all have it that is the hash and no more, and says it to both sides. The
// caller holds the lock.
func (n *Node) compareHeads(h *held) {
	heads, left, ctx := h.Log().Vector().Hash(h.ID()), maxBeacons, n.runCtx
	for d := range n.others(h) { // in no order: another few the next time
		if left == 0 || n.hasAll(h.ID(), d, heads) || n.underway[catching{d, h.ID()}] > 0 || !n.online([]keys.ID{d}) {
			continue
		}
		left--
		n.wg.Go(func() {
			if err := n.syncEntity(ctx, d, h.ID()); err != nil {
				n.log.Debug("beacon", "peer", d.String(), "entity", h.ID().String(), "err", err)
			}
		})
	}
}
