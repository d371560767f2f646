package entity

import (
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// Due is why a checkpoint is due.
type Due uint8

// Why a checkpoint is due, the most urgent first.
const (
	NotDue     Due = 0
	DueBeside  Due = 1 // acts beside the last one do nothing until the next keeps them
	DueRemoval Due = 2 // somebody was removed, and could still act beside it
	DueMany    Due = 3 // MaxOpen ops since the last one
)

// WantsCheckpoint says whether a user has a reason to make a checkpoint, and which. One that
// waits for acks, also for theirs, is reason not to, but for the founder: see Waits.
func (e *Entity) WantsCheckpoint(user keys.Digest) Due {
	f, s := e.facts, e.State()
	if m, ok := s.Member(user); !ok || m.Standing != Active || m.Role != Master || !ruleOf[s.Kind].policy || s.Ended || s.Frozen {
		return NotDue
	}
	tip := f.tip(s)
	if s.Founder != user {
		all := f.reach.upTo(e.log.Heads(oplog.Control))
		if _, waits := e.Waits(); waits || e.waitsOf(user, tip, all) {
			return NotDue
		}
	}
	if len(e.Pending()) > 0 {
		return DueBeside
	}
	open := 0
	tip = max(tip, 0) // without one genesis, which is before all
	for n := tip + 1; n < len(f.bodies); n++ {
		o := f.reach.ops[n]
		if !f.reach.before(tip, n) || o.Family() == oplog.FamilyCheckpoint || s.Void[o.ID()] {
			continue
		}
		if len(removes(o, f.bodies[n])) > 0 {
			return DueRemoval
		}
		open++
	}
	if open >= MaxOpen {
		return DueMany
	}
	return NotDue
}

// Waits returns the lowest checkpoint that waits for acks. The founder, who needs none,
// gives it time.
func (e *Entity) Waits() (c oplog.Op, ok bool) {
	waiting := e.unacked()
	if len(waiting) == 0 {
		return oplog.Op{}, false
	}
	return e.facts.reach.ops[waiting[0]], true
}

// unacked returns the checkpoints after the last final one that wait for acks, ascending by
// id.
func (e *Entity) unacked() (ns []int) {
	f, s := e.facts, e.State()
	for _, c := range f.next[f.tip(s)] {
		if !s.Void[f.reach.ops[c].ID()] {
			ns = append(ns, c)
		}
	}
	slices.SortFunc(ns, func(a, b int) int { return compare(f.reach.ops[a].ID(), f.reach.ops[b].ID()) })
	return ns
}

// tip is the last final checkpoint of a state, -1 for none.
func (f *facts) tip(s *State) int {
	if s.Final.ID.IsZero() {
		return -1
	}
	return f.reach.number[s.Final.ID]
}

// WantsAck returns the checkpoint that a user should ack: one that waits for it, or the
// last final one of somebody else, which then nobody can undo alone, or one before it that
// is final by its founder's word alone. The founder acks last: as long as that does not make
// it final they may have to go on without it, and nobody should stand for two.
func (e *Entity) WantsAck(user keys.Digest) (checkpoint keys.Digest, ok bool) {
	f, s := e.facts, e.State()
	m, is := s.Member(user)
	if !is || m.Standing != Active || m.Role != Master || s.Ended || s.Frozen {
		return keys.Digest{}, false
	}
	for _, c := range e.ackable() {
		if s.Founder == user && !e.finalWith(user, c) {
			continue
		}
		acked := func(c int) bool {
			return slices.ContainsFunc(f.acks[c], func(a int) bool { return f.reach.ops[a].User() == user })
		}
		if f.reach.ops[c].User() != user && e.heard(user, c) && !slices.ContainsFunc(f.next[f.prev[c]], acked) {
			return f.reach.ops[c].ID(), true // of those that follow one, one only
		}
	}
	return keys.Digest{}, false
}

// finalWith reports whether a checkpoint is final, or would be with an ack of user.
func (e *Entity) finalWith(user keys.Digest, c int) bool {
	f := e.facts
	final, _ := e.final(f.reach.upTo(e.log.Heads(oplog.Control)), c)
	by, m := f.standers(c), e.mark(c).masters
	by[user] = true
	return final || enough(len(slices.DeleteFunc(slices.Clone(m), func(u keys.Digest) bool { return !by[u] })), m)
}

// heard reports whether an ack by a user helps a checkpoint: he was a master in its own past,
// or, where it is final, could ack another one in its place.
func (e *Entity) heard(user keys.Digest, c int) bool {
	points := []int{c}
	if e.Final(e.facts.reach.ops[c]) {
		points = e.facts.next[e.facts.prev[c]]
	}
	return slices.ContainsFunc(points, func(o int) bool { return slices.Contains(e.mark(o).masters, user) })
}

// ackable returns the checkpoints that an ack helps: those that wait for it, the last final
// one, and of those before it, the last first, what another could take the place of.
func (e *Entity) ackable() []int {
	ns := e.unacked()
	all := e.facts.reach.upTo(e.log.Heads(oplog.Control))
	chain := e.closedAt(all).chain
	for i, c := range slices.Backward(chain) {
		if _, acked := e.final(all, c); i == len(chain)-1 || !acked {
			ns = append(ns, c)
		}
	}
	return ns
}

// standers returns who made or acked a checkpoint.
func (f *facts) standers(c int) map[keys.Digest]bool {
	users := map[keys.Digest]bool{f.reach.ops[c].User(): true}
	for _, a := range f.acks[c] {
		users[f.reach.ops[a].User()] = true
	}
	return users
}
