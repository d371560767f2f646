package node

import (
	"context"

	"pttnode/entity"
	"pttnode/entity/me"
	"pttnode/keys"
	"pttnode/oplog"
)

// RemoveFriend ends a friendship. He is removed from our profile and personal board,
// whose keys change, and we leave his.
func (n *Node) RemoveFriend(_ context.Context, ref string) (FriendView, error) {
	var view FriendView
	err := n.update(func(tx *tx) error {
		user, err := n.friendRef(ref)
		if err != nil {
			return err
		}
		if err := tx.endFriendship(user); err != nil {
			return err
		}
		view = n.lastFriendship(user)
		return nil
	})
	return view, err
}

// BlockUser ends a friendship and refuses every request of that user from now on, on
// all our devices; UnblockUser lets him ask again.
func (n *Node) BlockUser(_ context.Context, ref string) (BlockView, error) {
	return n.setBlocked(ref, true)
}

// UnblockUser ends what BlockUser began.
func (n *Node) UnblockUser(_ context.Context, ref string) (BlockView, error) {
	return n.setBlocked(ref, false)
}

func (n *Node) setBlocked(ref string, blocked bool) (BlockView, error) {
	var view BlockView
	err := n.update(func(tx *tx) error {
		user, err := n.friendRef(ref)
		if err != nil {
			id, parse := keys.ParseDigest(ref)
			if parse != nil || id == n.user {
				return err // also of a name that several have
			}
			user = id
		}
		view = BlockView{UserID: user, Name: n.nameOf(user), Blocked: blocked}
		if n.blocked(user) != blocked {
			value := []byte{0}
			if blocked {
				value = []byte{1}
			}
			if err := tx.me(me.TypeSetting, &me.Setting{Name: me.BlockSetting(user), Value: value}); err != nil {
				return err
			}
			tx.event("friend.blocked", map[string]any{"user_id": user.String(), "blocked": blocked})
		}
		if !blocked {
			return nil
		}
		n.foldMe()
		tx.refuseSettled()
		return tx.endFriendship(user)
	})
	return view, err
}

// blocked reports whether a user was blocked, on any device of ours.
func (n *Node) blocked(user keys.Digest) bool {
	value := n.meLog.Settings[me.BlockSetting(user)]
	return len(value) == 1 && value[0] == 1
}

// friendRef finds somebody who is or was a friend by name or id.
func (n *Node) friendRef(ref string) (keys.Digest, error) {
	f, err := pick("friend", ref, n.friendViews(), func(f FriendView) []string {
		return []string{f.Name, f.UserID.String(), f.ID.String()}
	})
	return f.UserID, err
}

// endFriendship ends each friendship with a user that there is, and what follows from
// one.
func (tx *tx) endFriendship(user keys.Digest) error {
	for _, h := range tx.n.friendships(user) {
		if s := h.State(); s.Ended || !s.Merged.IsZero() {
			continue
		}
		o, err := h.Control(tx.author(), oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
		if err != nil {
			return writeCode(err)
		}
		tx.ops(h.Entity, o)
		tx.event("friend.ended", map[string]any{"id": h.ID().String()})
	}
	tx.unfriend(user)
	return nil
}

// ended does what follows when the other side has ended a friendship. Of our devices
// the one that decides goes first, so that they do not do it beside each other; the
// others come to it later (govern).
func (tx *tx) ended(h *held) {
	n, s := tx.n, h.State()
	if end, ok := n.endOf(h); ok && end.User() != n.user && n.me.State().SoleVoter(n.device.ID()) {
		tx.unfriend(s.Other(n.user))
	}
}

// unfriend takes from a user with whom there is no friendship any more what friends
// have of each other: our profile and personal board, whose keys change, and we leave
// his. Repeated, it does nothing.
func (tx *tx) unfriend(user keys.Digest) {
	n := tx.n
	if n.friendship(user) != nil {
		return
	}
	for _, id := range []keys.Digest{n.self.Profile, n.self.Board} {
		h, ok := n.entities[id]
		if !ok {
			continue
		}
		if m, ok := h.State().Member(user); !ok || m.Standing != entity.Active {
			continue
		}
		if err := tx.remove(h, user); err != nil {
			n.log.Warn("remove who is no friend any more", "entity", id.String(), "err", err)
		}
	}
	for _, kind := range []entity.Kind{entity.Profile, entity.Board} {
		if h := n.personal(user, kind); h != nil {
			if err := tx.leave(h); err != nil {
				n.log.Warn("leave what is no friend's any more", "entity", h.ID().String(), "err", err)
			}
		}
	}
}
