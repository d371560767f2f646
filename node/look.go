package node

import (
	"fmt"
	"slices"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// familyNames are the words of families, for people.
var familyNames = map[oplog.Family]string{
	oplog.FamilyGenesis: "genesis", oplog.FamilyMaster: "master", oplog.FamilyMember: "member", oplog.FamilyOpKey: "opkey",
	oplog.FamilyPolicy: "policy", oplog.FamilyCheckpoint: "checkpoint", oplog.FamilyArticle: "article",
	oplog.FamilyComment: "comment", oplog.FamilyMessage: "message", oplog.FamilyProfile: "profile", oplog.FamilyMe: "me",
}

// entityRef finds an entity by a board's name, a friend's name, "me", or an id.
// The caller holds the lock.
func (n *Node) entityRef(ref string) (*held, error) {
	if n.me == nil {
		return nil, refuse("linking")
	}
	if ref == "me" || ref == n.user.String() {
		return n.me, nil
	}
	all := make([]*held, 0, len(n.entities))
	for _, h := range n.entities {
		all = append(all, h)
	}
	return pick("entity", ref, all, func(h *held) []string {
		switch s := h.State(); s.Kind {
		case entity.Board:
			return []string{n.boardName(h), h.ID().String()}
		case entity.Friend:
			if h != n.friendship(s.Other(n.user)) {
				return []string{"", h.ID().String()} // an older one: by id only
			}
			return []string{n.nameOf(s.Other(n.user)), h.ID().String()}
		}
		return []string{"", h.ID().String()}
	})
}

// OpLog returns an entity's operations, control before content, each in the log's
// order; of one family only if it is named.
func (n *Node) OpLog(ref, family string) ([]OpView, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, err := n.entityRef(ref)
	if err != nil {
		return nil, err
	}
	out := []OpView{}
	for _, strand := range []oplog.Strand{oplog.Control, oplog.Content} {
		for o := range h.Log().All(strand) {
			name, ok := familyNames[o.Family()]
			if !ok {
				name = fmt.Sprintf("family(%d)", uint8(o.Family()))
			}
			if family != "" && family != name {
				continue
			}
			body, typ := h.describe(o)
			parents := o.Parents()
			if parents == nil { // of a genesis: a list in JSON all the same
				parents = []keys.Digest{}
			}
			out = append(out, OpView{
				ID: o.ID(), Family: name, Type: typ, User: o.User(), Device: o.Device(), Seq: o.Seq(), Parents: parents,
				At: o.At(), Valid: h.Counts(o), Body: body,
			})
		}
	}
	return out, nil
}

// View returns an entity as its control strand means it.
func (n *Node) View(ref string) (EntityView, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, err := n.entityRef(ref)
	if err != nil {
		return EntityView{}, err
	}
	s := h.State()
	epoch, _ := s.WritingEpoch(func(keys.Digest) bool { return true })
	heads := append(h.Log().Heads(oplog.Control), h.Log().Heads(oplog.Content)...)
	slices.SortFunc(heads, compareDigests)
	v := EntityView{
		Entity: h.ID(), Digest: s.Digest(), Members: n.members(h), Heads: heads, Epoch: epoch.Depth, Final: finalView(h), Bodies: n.bodiesView(h),
		Metadata: map[string]any{"kind": s.Kind.String(), "ended": s.Ended},
	}
	switch s.Kind {
	case entity.Board:
		v.Metadata["name"], v.Metadata["title"], v.Metadata["description"] = n.boardName(h), s.Title, s.Description
		v.Metadata["policy"], v.Metadata["personal"] = s.Policy.Join.String(), s.Personal
	case entity.Friend:
		if !s.Merged.IsZero() {
			v.Metadata["merged_into"] = s.Merged
		}
	}
	return v, nil
}

// Synced says how much of an entity is here.
func (n *Node) Synced(ref string) (SyncView, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, err := n.entityRef(ref)
	if err != nil {
		return SyncView{}, err
	}
	have, total := n.progress(h)
	return SyncView{Entity: h.ID(), Have: have, Total: total}, nil
}

// progress returns how many operations of an entity are here and the most that a
// member was seen to have.
func (n *Node) progress(h *held) (have, total int) {
	have = h.Log().Len()
	total = have
	for _, seen := range n.totals[h.ID()] {
		total = max(total, seen)
	}
	return have, total
}
