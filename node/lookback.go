package node

import (
	"time"

	"pttnode/entity"
	"pttnode/keys"
)

// MembersAt returns who was a member of a board after one of its operations, or at a
// time by the clocks of who wrote; it says what the board's log says of it today.
func (n *Node) MembersAt(ref, at string) ([]MemberView, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, err := n.board(ref)
	if err != nil {
		return nil, err
	}
	var s *entity.State
	if op, err := keys.ParseDigest(at); err == nil {
		if s, _ = h.StateAt(op); s == nil {
			return nil, refuse("not_found", "what", "operation", "name", at)
		}
	} else if t, err := time.Parse(time.RFC3339, at); err == nil {
		if s = h.StateBefore(t); s == nil {
			return []MemberView{}, nil
		}
	} else {
		return nil, refuse("usage", "what", "--at takes an operation's id, or a time as 2026-01-31T18:00:00Z")
	}
	return n.membersOf(s), nil
}
