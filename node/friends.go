package node

import (
	"slices"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// friendship returns the friendship with a user that counts: one that has not
// ended or been merged, alive before not yet alive, then the lowest id; nil if
// there is none. The caller holds the lock.
func (n *Node) friendship(user keys.Digest) *held {
	var best *held
	for _, h := range n.friendships(user) {
		s := h.State()
		if s.Ended || !s.Merged.IsZero() {
			continue
		}
		if best == nil || s.Alive() && !best.State().Alive() {
			best = h
		}
	}
	return best
}

// friendships returns all Friend entities with a user, ascending by id.
func (n *Node) friendships(user keys.Digest) []*held {
	var out []*held
	for _, h := range n.entities {
		if s := h.State(); s.Kind == entity.Friend && user != n.user && slices.Contains(s.Parties, user) {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b *held) int { return compareDigests(a.ID(), b.ID()) })
	return out
}

// personal returns a user's profile or personal board, as far as we are a member
// of it; nil otherwise. The caller holds the lock.
func (n *Node) personal(user keys.Digest, kind entity.Kind) *held {
	for _, h := range n.entities {
		s := h.State()
		if s.Founder != user || s.Kind != kind || kind == entity.Board && !s.Personal {
			continue
		}
		if m, ok := s.Member(n.user); ok && m.Standing == entity.Active {
			return h
		}
	}
	return nil
}

// alive reports whether a friendship has all it needs on this side.
func (n *Node) alive(h *held) bool {
	other := h.State().Other(n.user)
	return h.State().Alive() && n.personal(other, entity.Profile) != nil && n.personal(other, entity.Board) != nil
}

// syncing reports whether a request of ours through the invite that ref names waits
// for the other side's entities: it does until he answered in this friendship,
// also when they came by another one of the same two people.
func (n *Node) syncing(ref [16]byte) bool {
	for _, a := range n.attempts {
		if a.State == invite.AttemptSyncing && a.Ref == ref {
			return true
		}
	}
	return false
}

// asker reports whether a request of this very device led to the friendship whose
// invite ref names. The caller holds the lock.
func (n *Node) asker(ref [16]byte) bool {
	for _, a := range n.attempts {
		if a.Ref == ref {
			return true
		}
	}
	return false
}

// settle merges the friendships of one pair that both accepted at once: the one
// with the lowest id stays (docs/PROTOCOL.md §6.3).
func (tx *tx) settle(user keys.Digest) error {
	var keep *held
	for _, h := range tx.n.friendships(user) {
		s := h.State()
		if s.Merged.IsZero() {
			if !s.Alive() {
				continue
			}
			if keep == nil {
				keep = h
				continue
			}
			o, err := h.Control(tx.author(), oplog.FamilyPolicy, entity.TypeMerged, entity.Merged{Into: keep.ID()})
			if err != nil {
				return err
			}
			tx.ops(h.Entity, o)
			tx.event("friend.merged", map[string]any{"id": h.ID().String(), "into": keep.ID().String()})
		}
		for _, a := range tx.n.attempts {
			if a.State == invite.AttemptSyncing && a.Ref == s.Ref {
				tx.attempt(a.Joined(tx.now))
			}
		}
	}
	return nil
}

// Friends returns the friends, by name; of several friendships with one user the
// one that counts.
func (n *Node) Friends() []FriendView {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.friendViews()
}

func (n *Node) friendViews() []FriendView {
	users := make(map[keys.Digest]bool)
	for _, h := range n.entities {
		if s := h.State(); s.Kind == entity.Friend {
			users[s.Other(n.user)] = true
		}
	}
	out := make([]FriendView, 0, len(users))
	for user := range users {
		out = append(out, n.lastFriendship(user))
	}
	slices.SortFunc(out, func(a, b FriendView) int { return compareNames(a.Name, b.Name, a.UserID, b.UserID) })
	return out
}

// lastFriendship shows the friendship with a user that counts, or one that ended.
func (n *Node) lastFriendship(user keys.Digest) FriendView {
	h := n.friendship(user)
	if h == nil {
		all := n.friendships(user)
		h = all[len(all)-1]
	}
	return n.friendView(h)
}

func (n *Node) friendView(h *held) FriendView {
	s := h.State()
	user := s.Other(n.user)
	v := FriendView{ID: h.ID(), UserID: user, Name: n.nameOf(user), State: "init", Blocked: n.blocked(user)}
	switch {
	case s.Ended:
		v.State = "ended"
	case n.alive(h):
		v.State = "alive"
	}
	if m, ok := s.Member(user); ok {
		v.Online = n.online(m.Party.Devices)
	}
	if b := n.personal(user, entity.Board); b != nil {
		v.BoardID = b.ID().String()
	}
	v.Profile.Name = v.Name
	if p := n.personal(user, entity.Profile); p != nil {
		v.Profile.Card = p.ProfileOf(p.ring).Card
	}
	return v
}

// Friend returns one friend by name or id.
func (n *Node) Friend(ref string) (FriendView, error) {
	return pick("friend", ref, n.Friends(), func(f FriendView) []string {
		return []string{f.Name, f.UserID.String(), f.ID.String()}
	})
}
