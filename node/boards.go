package node

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"pttnode/entity"
)

// BoardOptions is what a new board is made of.
type BoardOptions struct {
	Name   string `json:"name"`
	Title  string `json:"title,omitempty"`
	Policy string `json:"policy,omitempty"` // friends (default) or link
	// What a newcomer may read of the past: all (default), from-join or last:SECONDS.
	History string `json:"history,omitempty"`
}

// CreateBoard founds a board.
func (n *Node) CreateBoard(_ context.Context, o BoardOptions) (BoardView, error) {
	if !ValidName(o.Name) || o.Name[0] == '@' || o.Name[0] == '-' {
		return BoardView{}, refuse("usage", "what", "a board's name is one line of 1 to 64 bytes and begins neither with @ nor with -")
	}
	policy, err := parsePolicy(cmp.Or(o.Policy, "friends"))
	if err != nil {
		return BoardView{}, err
	}
	history, err := parseHistory(cmp.Or(o.History, "all"))
	if err != nil {
		return BoardView{}, err
	}
	var view BoardView
	err = n.update(func(tx *tx) error {
		party := n.me.State().Party(n.name())
		h, err := tx.create(entity.Genesis{
			Kind: entity.Board, Founder: &party, Name: o.Name, Title: o.Title,
			Policy: &entity.Policy{Join: policy, History: history},
		})
		if err != nil {
			return writeCode(err)
		}
		tx.event("board.created", map[string]any{"id": h.ID().String(), "name": o.Name})
		view = n.boardView(h)
		return nil
	})
	return view, err
}

// boardName returns a board's name; a personal one is named after its user.
func (n *Node) boardName(h *held) string {
	if s := h.State(); s.Personal {
		return "@" + n.nameOf(s.Founder)
	}
	return h.State().Name
}

func (n *Node) boardView(h *held) BoardView {
	s := h.State()
	have, total := n.progress(h)
	v := BoardView{
		ID: h.ID(), Name: n.boardName(h), Title: s.Title, Description: s.Description, Owner: n.nameOf(s.Founder), OwnerID: s.Founder,
		Policy: s.Policy.Join.String(), History: historyText(s.Policy.History), Personal: s.Personal, Ended: s.Ended, Members: len(s.Active()), Have: have, Total: total,
	}
	v.Confirmed, v.Of, _ = n.confirmations(h)
	if m, ok := s.Member(n.user); ok {
		v.Role = m.Role.String()
	}
	for _, p := range h.board.Posts(h.ring) {
		if p.Author != n.user && p.DeletedBy.IsZero() && !n.hasSeen(h.ID(), p.ID) {
			v.Unread++
		}
	}
	return v
}

// boards returns the boards we are a member of. The caller holds the lock.
func (n *Node) boards() []*held {
	var out []*held
	for _, h := range n.entities {
		s := h.State()
		m, ok := s.Member(n.user)
		if s.Kind != entity.Board || !ok || m.Standing != entity.Active {
			continue
		}
		if _, listed := n.meLog.Entities[h.ID()]; listed || !s.Ended { // one that ended can be taken off the list
			out = append(out, h)
		}
	}
	return out
}

// board finds a board by name or id. The caller holds the lock.
func (n *Node) board(ref string) (*held, error) {
	h, err := n.pickBoard(ref, n.boards())
	if err != nil {
		if _, how := n.formerBoard(ref); how != "" {
			return nil, refuse("not_found", "what", "board", "name", ref, "gone", how)
		}
	}
	return h, err
}

func (n *Node) pickBoard(ref string, among []*held) (*held, error) {
	return pick("board", ref, among, func(h *held) []string { return []string{n.boardName(h), h.ID().String()} })
}

// formerBoard finds a board that is not among ours any more, and says how that came;
// "" if no board is meant, or one of ours. The caller holds the lock.
func (n *Node) formerBoard(ref string) (h *held, how string) {
	_, err := n.pickBoard(ref, n.boards())
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != "not_found" {
		return nil, ""
	}
	var former []*held
	for _, h := range n.entities {
		if h.State().Kind == entity.Board {
			former = append(former, h)
		}
	}
	if h, err = n.pickBoard(ref, former); err != nil {
		return nil, ""
	}
	m, ok := h.State().Member(n.user)
	switch {
	case !ok:
		return h, "who let you in could not, as it turned out"
	case m.Standing == entity.Removed:
		return h, "you were removed from it"
	case m.Standing == entity.Gone:
		return h, "you have left it"
	}
	return h, "it has ended"
}

// Boards returns our boards by name, the personal ones last.
func (n *Node) Boards() []BoardView {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := []BoardView{}
	for _, h := range n.boards() {
		out = append(out, n.boardView(h))
	}
	slices.SortFunc(out, func(a, b BoardView) int {
		if a.Personal != b.Personal {
			if a.Personal {
				return 1
			}
			return -1
		}
		return compareNames(a.Name, b.Name, a.ID, b.ID)
	})
	return out
}

// Board returns one board by name or id.
func (n *Node) Board(ref string) (BoardView, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, err := n.board(ref)
	if err != nil {
		return BoardView{}, err
	}
	return n.oneBoard(h), nil
}

// oneBoard is boardView with the devices that do not have everything.
func (n *Node) oneBoard(h *held) BoardView {
	v := n.boardView(h)
	_, _, v.Behind = n.confirmations(h)
	return v
}

// Members returns everybody who is or was a member, the founder first.
func (n *Node) Members(ref string) ([]MemberView, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, err := n.board(ref)
	if err != nil {
		return nil, err
	}
	return n.members(h), nil
}

func (n *Node) members(h *held) []MemberView { return n.membersOf(h.State()) }

func (n *Node) membersOf(s *entity.State) []MemberView {
	out := []MemberView{}
	for user, m := range s.Members {
		name := n.nameOf(user)
		v := MemberView{UserID: user, Name: name, Role: m.Role.String(), Since: m.Since, State: m.Standing.String()}
		if m.By != user {
			v.InvitedBy = &m.By
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b MemberView) int {
		if (a.UserID == s.Founder) != (b.UserID == s.Founder) {
			if a.UserID == s.Founder {
				return -1
			}
			return 1
		}
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return compareDigests(a.UserID, b.UserID)
	})
	return out
}

// LeaveBoard ends our membership of a board.
func (n *Node) LeaveBoard(_ context.Context, ref string) error {
	return n.update(func(tx *tx) error {
		h, err := n.board(ref)
		if err != nil {
			return err
		}
		name := n.boardName(h)
		if s := h.State(); s.Personal && s.Founder == n.user {
			return refuse("usage", "what", "a personal board stays")
		}
		if err := tx.leave(h); err != nil {
			return writeCode(err)
		}
		tx.event("board.left", map[string]any{"id": h.ID().String(), "name": name})
		return nil
	})
}
