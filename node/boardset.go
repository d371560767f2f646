package node

import (
	"context"

	"pttnode/entity"
	"pttnode/oplog"
)

// BoardChange is what an owner changes of a board; what is nil stays.
type BoardChange struct {
	Title       *string `json:"title,omitempty"`
	Description *string `json:"description,omitempty"`
	Policy      *string `json:"policy,omitempty"`
	History     *string `json:"history,omitempty"`
}

// SetBoard changes what a board says of itself and who may join it. Only an owner may.
// What newcomers may read holds for those who come from now on.
func (n *Node) SetBoard(_ context.Context, ref string, c BoardChange) (BoardView, error) {
	var view BoardView
	err := n.update(func(tx *tx) error {
		h, err := n.ownBoard(ref)
		if err != nil {
			return err
		}
		ops, err := changesOf(h.State(), c)
		if err != nil {
			return err
		}
		for _, change := range ops {
			o, err := h.Control(tx.author(), oplog.FamilyPolicy, change.typ, change.body)
			if err != nil {
				return writeCode(err)
			}
			tx.ops(h.Entity, o)
		}
		if len(ops) > 0 {
			tx.event("board.changed", map[string]any{"id": h.ID().String()})
		}
		view = n.oneBoard(h)
		return nil
	})
	return view, err
}

// policyOp is one op that changes a board.
type policyOp struct {
	typ  uint16
	body any
}

// changesOf returns the ops that lead from a board's state to what is asked: none for
// what is so already.
func changesOf(s *entity.State, c BoardChange) ([]policyOp, error) {
	var ops []policyOp
	if c.Title != nil && *c.Title != s.Title {
		if len(*c.Title) > entity.MaxTitle {
			return nil, refuse("too_long", "what", "title")
		}
		ops = append(ops, policyOp{entity.TypeTitle, entity.Text{Text: *c.Title}})
	}
	if c.Description != nil && *c.Description != s.Description {
		ops = append(ops, policyOp{entity.TypeDescription, entity.Text{Text: *c.Description}})
	}
	if c.Policy != nil {
		join, err := parsePolicy(*c.Policy)
		if err != nil {
			return nil, err
		}
		if join != s.Policy.Join {
			ops = append(ops, policyOp{entity.TypeJoinPolicy, entity.SetJoinPolicy{Join: join}})
		}
	}
	if c.History != nil {
		history, err := parseHistory(*c.History)
		if err != nil {
			return nil, err
		}
		if history != s.Policy.History {
			ops = append(ops, policyOp{entity.TypeHistory, entity.SetHistory{History: history}})
		}
	}
	return ops, nil
}

// parsePolicy reads who may ask to join: "friends" or "link".
func parsePolicy(s string) (entity.JoinPolicy, error) {
	for _, p := range []entity.JoinPolicy{entity.JoinFriends, entity.JoinLink} {
		if p.String() == s {
			return p, nil
		}
	}
	return 0, refuse("usage", "what", "--policy is friends or link")
}
