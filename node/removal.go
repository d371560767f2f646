package node

import (
	"context"

	"pttnode/entity"
	"pttnode/entity/me"
	"pttnode/keys"
	"pttnode/oplog"
)

// ownBoard finds a board of which this device speaks for an owner. The caller holds
// the lock.
func (n *Node) ownBoard(ref string) (*held, error) {
	h, err := n.board(ref)
	if err != nil {
		return nil, err
	}
	if !h.State().Speaks(n.user, n.device.ID(), entity.Master) {
		return nil, refuse("not_owner", "name", n.boardName(h))
	}
	return h, nil
}

// another finds a member of a board of ours who is neither we nor its founder. ourself
// is what is said if it is we. The caller holds the lock.
func (n *Node) another(board, user, ourself string) (*held, *entity.Membership, error) {
	h, err := n.ownBoard(board)
	if err != nil {
		return nil, nil, err
	}
	m, err := n.memberRef(h, user)
	switch s := h.State(); {
	case err != nil:
	case m.Party.User == n.user:
		err = refuse("usage", "what", ourself)
	case s.Personal:
		err = refuse("usage", "what", "a personal board is yours and for your friends: pttnode friend remove")
	case m.Party.User == s.Founder:
		err = refuse("founder_stays", "name", n.boardName(h))
	}
	return h, m, err
}

// RemoveMember ends somebody's membership of a board and changes its key, in one
// operation. Only an owner may.
func (n *Node) RemoveMember(_ context.Context, board, user string) (MemberView, error) {
	var view MemberView
	err := n.update(func(tx *tx) error {
		h, m, err := n.another(board, user, "that is you; to go yourself: pttnode board leave BOARD")
		if err != nil {
			return err
		}
		gone := m.Party.User
		if err := tx.remove(h, gone); err != nil {
			return writeCode(err)
		}
		for _, v := range n.members(h) {
			if v.UserID == gone {
				view = v
			}
		}
		return nil
	})
	return view, err
}

// remove ends a user's membership, and tells his connected devices so: it is the last
// that they hear.
func (tx *tx) remove(h *held, user keys.Digest) error {
	n := tx.n
	m, _ := h.State().Member(user)
	devices := m.Party.Devices
	o, key, err := h.RemoveMember(tx.author(), user)
	if err != nil {
		return err
	}
	tx.ops(h.Entity, o)
	tx.opKey(h, o.ID(), key)
	tx.event("member.removed", map[string]any{"id": h.ID().String(), "user_id": user.String(), "name": n.nameOf(user)})
	tx.after = append(tx.after, func() { n.farewell(h.ID(), o, devices) })
	return nil
}

// TransferBoard makes a member owner of a board in our place, founder where we are the
// founder; we stay a member.
func (n *Node) TransferBoard(_ context.Context, board, user string) (BoardView, error) {
	var view BoardView
	err := n.update(func(tx *tx) error {
		h, m, err := n.another(board, user, "that is you: it is yours already")
		if err != nil {
			return err
		}
		self, _ := h.State().Member(n.user)
		body := entity.MasterTransfer{Party: m.Party, Cuts: h.CutsOf(self.Party.Devices, oplog.Control)}
		o, err := h.Control(tx.author(), oplog.FamilyMaster, entity.TypeMasterTransfer, body)
		if err != nil {
			return writeCode(err)
		}
		tx.ops(h.Entity, o)
		tx.event("board.handed_on", map[string]any{"id": h.ID().String(), "user_id": m.Party.User.String()})
		view = n.boardView(h)
		return nil
	})
	return view, err
}

// DeleteBoard ends a board for everybody: nothing is written in it any more, and it
// is not among our boards. What others have of it they keep.
func (n *Node) DeleteBoard(_ context.Context, ref string) error {
	return n.update(func(tx *tx) error {
		h, err := n.ownBoard(ref)
		if err != nil {
			return err
		}
		if h.State().Personal {
			return refuse("usage", "what", "a personal board stays")
		}
		name := n.boardName(h)
		if !h.State().Ended {
			o, err := h.Control(tx.author(), oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
			if err != nil {
				return writeCode(err)
			}
			tx.ops(h.Entity, o)
		}
		tx.event("board.deleted", map[string]any{"id": h.ID().String(), "name": name})
		return tx.me(me.TypeLeft, &me.Left{Entity: h.ID()})
	})
}

// leave ends our own membership of an entity. Of one that has ended there is nothing
// to leave but our own list of what we are in, and that once.
func (tx *tx) leave(h *held) error {
	m, _ := h.State().Member(tx.n.user)
	if _, listed := tx.n.meLog.Entities[h.ID()]; !listed && h.State().Ended {
		return nil
	}
	if !h.State().Ended {
		o, err := h.Control(tx.author(), oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: h.CutsOf(m.Party.Devices, oplog.Content)})
		if err != nil {
			return err
		}
		tx.ops(h.Entity, o)
	}
	return tx.me(me.TypeLeft, &me.Left{Entity: h.ID()})
}
