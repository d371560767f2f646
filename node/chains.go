package node

import (
	"fmt"
	"strings"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// The device chains of other users that this node has met, all branches of each, wherever
// they came from: whom a node serves goes by the furthest of what it knows
// (docs/protocol/me-chain.md §6.2).

// chainKey names an op of somebody's device chain.
func chainKey(user, op keys.Digest) string { return "/c/" + user.String() + "/" + op.String() }

// chain keeps a user's device chain beside what is known of it already.
func (tx *tx) chain(c *chain.Chain) {
	user := c.User()
	if user == tx.n.user {
		return
	}
	known := tx.n.chains[user]
	next, err := known.Offer(c)
	if err != nil || next.Equal(known) {
		return // of the same user: it is the key
	}
	tx.n.chains[user] = next
	for ; c != nil && known.At(c.Head()) == nil; c = c.Before() {
		tx.put(chainKey(user, c.Head()), c.Last().Marshal())
	}
	for _, b := range known.Branches() { // one may have gone for c
		for ; b != nil && next.At(b.Head()) == nil; b = b.Before() {
			tx.put(chainKey(user, b.Head()), nil)
		}
	}
}

// devicesOf returns what is known of a user's devices. The caller holds the lock.
func (n *Node) devicesOf(user keys.Digest) []entity.Device {
	if user == n.user {
		return n.me.State().Devices
	}
	return n.chains[user].Judge().Devices()
}

// loadChains reads the device chains of others.
func (n *Node) loadChains() error {
	after := make(map[keys.Digest][]chain.Link) // by the op before
	var todo []chain.Link
	err := n.scan("/c", func(key string, value []byte) error {
		l, err := chain.ParseLink(value)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", oplog.ErrCorrupt, key, err)
		}
		prev, err := chain.Follows(l.Op)
		if err != nil || strings.TrimPrefix(key, "/c/") != l.Op.User().String()+"/"+l.Op.ID().String() {
			return fmt.Errorf("%w: %s", oplog.ErrCorrupt, key)
		}
		if prev.IsZero() {
			todo = append(todo, l)
		} else {
			after[prev] = append(after[prev], l)
		}
		return nil
	})
	for ; err == nil && len(todo) > 0; todo = todo[1:] {
		user := todo[0].Op.User()
		n.chains[user], err = n.chains[user].Extend(todo[:1])
		todo = append(todo, after[todo[0].Op.ID()]...)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", oplog.ErrCorrupt, err)
	}
	return nil
}
