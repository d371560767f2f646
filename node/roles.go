package node

import (
	"context"

	"pttnode/entity"
	"pttnode/oplog"
)

// SetRole makes a member of a board an owner, a member or a reader. Only an owner
// may; the founder stays what he is.
func (n *Node) SetRole(_ context.Context, board, user, role string) (MemberView, error) {
	var want entity.Role
	for _, r := range []entity.Role{entity.Reader, entity.Member, entity.Master} {
		if r.String() == role {
			want = r
		}
	}
	if want == 0 {
		return MemberView{}, refuse("usage", "what", "a role is owner, member or reader")
	}
	var view MemberView
	err := n.update(func(tx *tx) error {
		h, err := n.board(board)
		if err != nil {
			return err
		}
		m, err := n.memberRef(h, user)
		if err != nil {
			return err
		}
		s := h.State()
		switch {
		case !s.Speaks(n.user, n.device.ID(), entity.Master):
			return refuse("not_owner", "name", n.boardName(h))
		case s.Personal:
			return refuse("usage", "what", "a personal board has one owner")
		case m.Party.User == s.Founder && want != entity.Master:
			return refuse("last_owner", "name", n.boardName(h))
		}
		if err := tx.setRole(h, m, want); err != nil {
			return writeCode(err)
		}
		for _, v := range n.members(h) {
			if v.UserID == m.Party.User {
				view = v
			}
		}
		return nil
	})
	return view, err
}

// setRole writes what leads from a member's role to another: one op, or two from
// owner to reader.
func (tx *tx) setRole(h *held, m *entity.Membership, want entity.Role) error {
	user := m.Party.User
	write := func(family oplog.Family, typ uint16, body any) error {
		o, err := h.Control(tx.author(), family, typ, body)
		if err == nil {
			tx.ops(h.Entity, o)
			tx.event("board.role", map[string]any{"id": h.ID().String(), "user_id": user.String(), "role": want.String()})
		}
		return err
	}
	switch {
	case m.Role == want:
		return nil
	case want == entity.Master:
		party := m.Party
		return write(oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party})
	case m.Role == entity.Master:
		cuts := h.CutsOf(m.Party.Devices, oplog.Control)
		if err := write(oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: user, Cuts: cuts}); err != nil || want == entity.Member {
			return err
		}
	}
	return write(oplog.FamilyMember, entity.TypeRole, entity.SetRole{User: user, Role: want})
}

// memberRef finds an active member by name or id. The caller holds the lock.
func (n *Node) memberRef(h *held, ref string) (*entity.Membership, error) {
	return pick("member", ref, h.State().Active(), func(m *entity.Membership) []string {
		return []string{n.nameOf(m.Party.User), m.Party.User.String()}
	})
}
