package node

import (
	"context"
	"slices"

	"pttnode/entity"
	"pttnode/entity/me"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// Following (docs/PROTOCOL.md §7.1): what one device of the user joins, reads,
// renames or is asked appears on the others by the me-oplog.

// foldMe reads the me-oplog anew. The caller holds the lock.
func (n *Node) foldMe() {
	if n.me == nil {
		return
	}
	n.meLog = me.Fold(n.me.Entity, n.me.ring, n.opened)
}

// follow carries out what this transaction brought into the log of Me, and tells
// the other devices what changed here. It ends when nothing new follows.
func (tx *tx) follow() {
	n := tx.n
	for done := 0; n.me != nil; {
		if tx.claim {
			tx.claim = false
			tx.tellRequests()
		}
		if news := len(tx.fresh[n.user]) + len(tx.brought); news == done {
			return
		} else {
			done = news
		}
		before := n.meLog
		n.foldMe()
		tx.followed(before)
	}
}

// followed carries out what the me-oplog says now and did not say before.
func (tx *tx) followed(before me.State) {
	n := tx.n
	missing := false
	for eid, entry := range n.meLog.Entities {
		if h, ok := n.entities[eid]; ok {
			tx.takeKeys(h)
		} else {
			missing = true
		}
		if _, had := before.Entities[eid]; !had {
			for _, raw := range entry.Addrs[:min(len(entry.Addrs), maxEntryAddrs)] {
				tx.anyAddrs(raw)
			}
		}
	}
	if missing {
		tx.after = append(tx.after, n.fetchSoon)
	}
	for at, r := range n.meLog.Requests {
		tx.followRequest(at, r, before)
	}
	tx.carryOut()
	tx.settleLink()
}

// catchUpOwn tells our other devices what they were not told yet, and carries out
// what waits: it repeats what a crash or a full disk prevented.
func (tx *tx) catchUpOwn() error {
	n := tx.n
	tx.listDevices()
	tx.carryOut()
	tx.settleLink()
	if len(n.me.State().Devices) < 2 || n.me.State().Frozen {
		return nil
	}
	tx.tellRequests()
	if _, named := n.meLog.Settings[me.DeviceNameSetting(n.device.ID())]; !named {
		if err := tx.nameDevice(n.device.ID(), n.self.Device); err != nil {
			return err
		}
	}
	for _, eid := range slices.SortedFunc(mapKeys(n.seen), compareDigests) {
		var ids []keys.Digest
		for id := range n.seen[eid] {
			if !n.meLog.Seen[eid][id] {
				ids = append(ids, id)
			}
		}
		slices.SortFunc(ids, compareDigests)
		for chunk := range slices.Chunk(ids, me.MaxSeen) {
			if err := tx.me(me.TypeRead, &me.Seen{Entity: eid, Heads: chunk}); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeKeys keeps the keys that the me-oplog has for an entity and the ring has not.
func (tx *tx) takeKeys(h *held) {
	for _, k := range tx.n.meLog.Entities[h.ID()].Keys {
		if _, have := h.ring[k.Epoch]; have {
			continue
		}
		if key, ok := h.State().OpenKey(k); ok {
			tx.opKey(h, k.Epoch, key)
		}
	}
}

// settleLink ends the request by which this device was linked, once the device
// chain says that it is alive.
func (tx *tx) settleLink() {
	n := tx.n
	d, ok := n.me.State().Device(n.device.ID())
	if !ok || !d.Alive || n.self.Status == 0 {
		return
	}
	if n.self.Status != protocol.LinkAlive {
		tx.linkStatus(protocol.LinkAlive)
	}
	for _, a := range n.attempts {
		if a.Kind == entity.Me && a.State == invite.AttemptSyncing {
			tx.attempt(a.Joined(tx.now))
		}
	}
}

// missing returns the entities that the me-oplog names and that are not here. The
// caller holds the lock.
func (n *Node) missing() []keys.Digest {
	var out []keys.Digest
	for eid := range n.meLog.Entities {
		if _, ok := n.entities[eid]; !ok {
			out = append(out, eid)
		}
	}
	slices.SortFunc(out, compareDigests)
	return out
}

// fetchSoon fetches what is missing in a goroutine of its own, one at a time.
func (n *Node) fetchSoon() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fetching || len(n.missing()) == 0 || n.runCtx == nil || n.runCtx.Err() != nil {
		return
	}
	n.fetching = true
	n.wg.Go(func() {
		n.fetch(n.runCtx)
		n.mu.Lock()
		n.fetching = false
		n.mu.Unlock()
	})
}

// fetch looks for entities that another device of ours joined, at our devices and
// then at the members that its entry names.
func (n *Node) fetch(ctx context.Context) {
	n.mu.Lock()
	missing := n.missing()
	n.mu.Unlock()
	for _, sources := range []func(keys.Digest) []keys.ID{n.siblings, n.named} { // dead members must not keep us from our own
		for _, eid := range missing {
			for _, d := range sources(eid) {
				if _, ok := n.here(eid); ok {
					break
				}
				if ctx.Err() != nil {
					return
				}
				if err := n.syncEntity(ctx, d, eid); err != nil {
					n.log.Debug("fetch", "entity", eid.String(), "peer", d.String(), "err", err)
				}
			}
		}
	}
}

// siblings returns our other devices that are connected.
func (n *Node) siblings(keys.Digest) []keys.ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.DeleteFunc(n.otherDevices(), func(d keys.ID) bool { return !n.online([]keys.ID{d}) })
}

// named returns the devices of others whose addresses the me-oplog has for an
// entity.
func (n *Node) named(eid keys.Digest) []keys.ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []keys.ID
	for _, raw := range n.meLog.Entities[eid].Addrs {
		if d, ok := n.know(raw); ok && !n.mine(d) && d != n.device.ID() {
			out = append(out, d)
		}
	}
	return out
}

// here is find for who does not hold the lock.
func (n *Node) here(eid keys.Digest) (*held, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.find(eid)
}

// find returns an entity, Me among them. The caller holds the lock.
func (n *Node) find(eid keys.Digest) (*held, bool) {
	if n.me != nil && eid == n.user {
		return n.me, true
	}
	h, ok := n.entities[eid]
	return h, ok
}

// begin begins an entity that another device of ours joined, from the genesis among
// the ops that a peer sent. What follows is judged as in any sync.
func (tx *tx) begin(eid keys.Digest, ops []oplog.Op) (*held, bool) {
	joined, ok := tx.n.meLog.Entities[eid]
	if !ok {
		return nil, false
	}
	i := slices.IndexFunc(ops, func(o oplog.Op) bool { return o.ID() == eid })
	if i < 0 {
		return nil, false
	}
	e, err := entity.New(ops[i])
	if err != nil || e.State().Kind != joined.Kind {
		return nil, false
	}
	h := tx.hold(e)
	tx.ops(e, ops[i])
	return h, true
}
