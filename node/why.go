package node

import (
	"encoding/hex"
	"errors"
	"slices"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// Why says by which operations of a board a user is, or is not any more, a member
// of it: what was said of the user, and how whoever said so came to be allowed to,
// from genesis on. It may be a board that we were removed from, or left.
func (n *Node) Why(board, member string) (WhyView, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, err := n.board(board)
	if former, how := n.formerBoard(board); how != "" { // why we are no member any more
		h, err = former, nil
	}
	if err != nil {
		return WhyView{}, err
	}
	names := func(m MemberView) []string { return []string{m.Name, m.UserID.String()} }
	m, err := pick("member", member, n.members(h), names)
	if e, ok := errors.AsType[*Error](err); ok && e.Code == "not_found" { // only then: whoever let them in chose their names
		m, err = pick("member", member, n.neverIn(h), names)
	}
	if err != nil {
		return WhyView{}, err
	}
	return WhyView{
		Entity: h.ID(), UserID: m.UserID, Name: m.Name, Role: m.Role, State: m.State,
		Valid: m.State == entity.Active.String(), Chain: n.whyChain(h, m.UserID),
	}, nil
}

// neverIn returns those whom only void operations let into a board.
func (n *Node) neverIn(h *held) []MemberView {
	s := h.State()
	var out []MemberView
	for o := range h.Log().All(oplog.Control) {
		body, _ := h.describe(o)
		a, ok := body.(*entity.Admit)
		if !ok || slices.ContainsFunc(out, func(m MemberView) bool { return m.UserID == a.Party.User }) {
			continue
		}
		if _, member := s.Member(a.Party.User); !member {
			out = append(out, MemberView{
				UserID: a.Party.User, Name: n.nameOr(a.Party.User, a.Party.Name), Role: a.Role.String(), Since: o.At(), State: "void",
			})
		}
	}
	return out
}

// whyChain collects what was said of user, then of whoever said it, until nobody
// new is named: in a board that is the path to its founder.
func (n *Node) whyChain(h *held, user keys.Digest) []WhyOp {
	var ops []WhyOp
	for o := range h.Log().All(oplog.Control) {
		if w, ok := n.whyOp(h, o); ok {
			ops = append(ops, w)
		}
	}
	named := []keys.Digest{user}
	for i := 0; i < len(named); i++ {
		for _, w := range ops {
			if w.Member == named[i] && w.grants(user) && !slices.Contains(named, w.By) {
				named = append(named, w.By)
			}
		}
	}
	return slices.DeleteFunc(ops, func(w WhyOp) bool { return !slices.Contains(named, w.Member) || !w.grants(user) })
}

// grants reports whether w belongs to the chain of user: all that was said of him,
// and of others what made them members and owners.
func (w WhyOp) grants(user keys.Digest) bool {
	return w.Member == user || w.Type == "genesis" || w.Type == "admit" || w.Type == "add" || w.Type == "transfer"
}

// whyOp shows an operation that makes, changes or ends somebody's membership.
func (n *Node) whyOp(h *held, o oplog.Op) (WhyOp, bool) {
	body, typ := h.describe(o)
	w := WhyOp{Op: o.ID(), Type: typ, Member: o.User(), By: o.User(), Device: o.Device(), At: o.At(), OK: h.Counts(o), Final: h.Final(o)}
	called := ""
	switch b := body.(type) {
	case *entity.Genesis, *entity.Leave, *entity.Accept:
	case *entity.MasterAdd:
		w.Member = b.Party.User
	case *entity.Admit:
		w.Member, called = b.Party.User, b.Party.Name
		if b.Ref != nil {
			w.Invite = n.inviteOf(*b.Ref)
		}
	case *entity.Devices:
		w.Member = b.Party.User
	case *entity.Remove:
		w.Member = b.User
	case *entity.MasterRemove:
		w.Member, w.Type = b.User, "demote" // a remove of the master family
	case *entity.SetRole:
		w.Member, w.Role = b.User, b.Role.String()
	case *entity.MasterTransfer:
		w.Member = b.Party.User
	default:
		return w, false
	}
	w.MemberName, w.ByName = n.nameOr(w.Member, called), n.nameOf(w.By)
	return w, true
}

// inviteOf names an invite: by our short id where it is ours.
func (n *Node) inviteOf(ref [16]byte) string {
	for _, r := range n.invites {
		if r.Ref == ref {
			return r.ID
		}
	}
	return hex.EncodeToString(ref[:])
}
