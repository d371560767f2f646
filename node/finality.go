package node

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

// wanted is since when a board has wanted a checkpoint, and why.
type wanted struct {
	why   entity.Due
	since time.Time
}

// closePasts makes and acks the checkpoints of boards that are due, tells of those that
// became final (docs/PROTOCOL.md §2.10). Of a user's
// devices the sole voter makes and acks them: two that do not know of each other would
// make two of one number.
func (n *Node) closePasts() error {
	return n.transact(func(tx *tx) error {
		if n.me == nil {
			return nil
		}
		boards := n.all()
		slices.SortFunc(boards, func(a, b *held) int { return compareDigests(a.ID(), b.ID()) })
		for _, h := range boards {
			if h.State().Kind != entity.Board {
				continue
			}
			if n.me.State().SoleVoter(n.device.ID()) && h.State().Speaks(n.user, n.device.ID(), entity.Master) {
				if err := tx.closePast(h); err != nil {
					n.log.Warn("checkpoint", "board", h.ID().String(), "err", err) // the others are not held up
				}
			}
			tx.tellFinal(h)
		}
		return tx.readmit()
	})
}

// closePast makes a checkpoint of a board if it is due, and acks one of another owner.
func (tx *tx) closePast(h *held) error {
	n, id := tx.n, h.ID()
	why := h.WantsCheckpoint(n.user)
	w, waits := n.wanted[id]
	switch {
	case why == entity.NotDue:
		delete(n.wanted, id)
	case !waits:
		w = wanted{why, tx.now}
	default:
		w.why = why
	}
	var failed error
	if why != entity.NotDue {
		n.wanted[id] = w
		beside := why == entity.DueBeside && h.State().Founder == n.user // the others wait for a day each time
		if tx.now.Sub(w.since) >= n.patience(h, w, tx.now) && !(beside && n.spending.over(besideOfBoard, id.String(), tx.now)) {
			failed = tx.checkpoint(h, beside) // an ack is not held up by it
		}
	}
	if c, ok := h.WantsAck(n.user); ok {
		o, err := h.Ack(tx.author(), c)
		if err != nil {
			return errors.Join(failed, err)
		}
		tx.ops(h.Entity, o)
	}
	return failed
}

// checkpoint makes a checkpoint of a board. beside says that it is for what is beside the
// last one.
func (tx *tx) checkpoint(h *held, beside bool) error {
	o, err := h.Checkpoint(tx.author())
	if err != nil {
		return err
	}
	if beside {
		tx.n.spending.add(besideOfBoard, h.ID().String(), tx.now)
	}
	delete(tx.n.wanted, h.ID())
	tx.ops(h.Entity, o)
	return nil
}

// patience is how long this owner waits with a checkpoint: the founder after a removal,
// so that what was on its way arrives, and where one of another owner's waits for acks,
// until it has waited for a day; the others until he has been away for a day, and one after
// the other.
func (n *Node) patience(h *held, w wanted, now time.Time) time.Duration {
	s := h.State()
	if s.Founder != n.user {
		return founderAway + time.Duration(h.RankOf(n.user))*ownerTurn
	}
	if c, waits := h.Waits(); waits {
		m, _ := s.Member(c.User())
		if m.Standing != entity.Active || m.Role != entity.Master || c.At().After(now.Add(invite.ClockSkew)) {
			return afterRemoval // nobody is to be held up by who is no owner any more, or sets his clock for it
		}
		return min(max(founderAway-w.since.Sub(c.At()), afterRemoval), founderAway) // acks that are there take a while to arrive
	}
	if w.why == entity.DueRemoval {
		return afterRemoval
	}
	return 0
}

// tellFinal journals that more of a board cannot change any more.
func (tx *tx) tellFinal(h *held) {
	final := h.State().Final
	told, known := tx.n.finals[h.ID()]
	tx.n.finals[h.ID()] = final.Number
	if known && final.Number > told {
		tx.event("board.final", map[string]any{"id": h.ID().String(), "number": final.Number, "checkpoint": final.ID.String()})
	}
}

// readmit lets in again whom an invite of ours let in by an op that became void, while
// we still may: it was approved. Not who was removed or has left since, nor whom the
// next checkpoint lets in.
func (tx *tx) readmit() error {
	n := tx.n
	for id, r := range n.invites {
		h, ok := n.entities[r.EID]
		if r.Kind != entity.Board || !ok || !h.State().Speaks(n.user, n.device.ID(), entity.Master) || h.State().Ended || h.State().Frozen {
			continue
		}
		for _, c := range r.Claims {
			_, member := h.State().Member(c.User)
			if c.State != invite.Approved || !h.State().Void[c.Admit] || member || h.Dismissed(c.User) || slices.Contains(h.Pending(), c.Admit) {
				continue
			}
			op, err := tx.admit(n.invites[id], *c)
			if err != nil {
				n.log.Warn("admit again", "board", r.EID.String(), "err", err)
				continue
			}
			again, _, refused := n.invites[id].Admitted(c.JoinID, op)
			if refused != invite.OK {
				return refuse("internal")
			}
			tx.record(again)
		}
	}
	return nil
}

// alarms tells of our boards in which a checkpoint contradicts the one that counts, as every
// user is to be told (docs/PROTOCOL.md §2.10), by id. The caller holds the lock.
func (n *Node) alarms() []Health {
	boards := n.boards()
	slices.SortFunc(boards, func(a, b *held) int { return compareDigests(a.ID(), b.ID()) })
	var out []Health
	for _, h := range boards {
		view := "pttnode view " + h.ID().String() // by its id: a name may be made to be pasted into a shell
		if len(h.State().Final.Rivals) > 0 {
			out = append(out, Health{
				Code: "checkpoint_rivals",
				Title: fmt.Sprintf("board %q: a checkpoint contradicts the one that counts: owners were cut off from one another, "+
					"or somebody else has a key of the founder's", n.boardName(h)),
				Hint: "what the other one closed may not count; ask the founder whether both are his, and have a second owner confirm the next: " + view,
			})
		}
	}
	return out
}

// finalView says how far a board's control strand can change no more.
func finalView(h *held) *FinalView {
	s := h.State()
	if s.Kind != entity.Board {
		return nil
	}
	v := &FinalView{
		Number: s.Final.Number, Waiting: len(h.Pending()), Rivals: append([]keys.Digest{}, s.Final.Rivals...),
	}
	if !s.Final.ID.IsZero() {
		v.Checkpoint = &s.Final.ID
	}
	return v
}
