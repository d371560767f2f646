package entity

import (
	"slices"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// RemoveMember ends a user's membership by one op, with cuts of all his devices and
// the epoch that follows; the caller keeps its key. It fails like Control.
func (e *Entity) RemoveMember(a Author, user keys.Digest) (oplog.Op, keys.OpKey, error) {
	body := Remove{User: user, Cuts: []Cut{}}
	if m, ok := e.State().Members[user]; ok {
		body.Cuts = e.CutsOf(m.Party.Devices, oplog.Control, oplog.Content)
	}
	key := keys.NewOpKey()
	body.Epoch = e.nextEpoch(key)
	o, err := e.Control(a, oplog.FamilyMember, TypeRemove, body)
	return o, key, err
}

// CutsOf returns the last op of each device in some strands, as this log has them.
func (e *Entity) CutsOf(devices []keys.ID, strands ...oplog.Strand) []Cut {
	cuts := []Cut{}
	for _, d := range devices {
		for _, s := range strands {
			if tip, ok := e.log.Tip(d, s); ok {
				cuts = append(cuts, Cut{Device: d, Strand: s, Seq: tip.Seq(), ID: tip.ID()})
			}
		}
	}
	return cuts
}

// RankOf returns a master's place among the active masters by seniority, from 0: who
// is lower acts first where any of them could.
func (e *Entity) RankOf(user keys.Digest) int {
	p := e.facts.reach.upTo(e.log.Heads(oplog.Control))
	v := e.verdict(p)
	own := e.rank(p, v, user)
	rank := 0
	for u, m := range e.State().Members {
		if m.Standing == Active && m.Role == Master && u != user && e.rank(p, v, u) < own {
			rank++
		}
	}
	return rank
}

// Until returns the control strand up to some ops, as a log of its own; nil when one of
// them is not here.
func (e *Entity) Until(ops ...keys.Digest) *oplog.Log {
	for _, id := range ops {
		if _, ok := e.facts.reach.number[id]; !ok {
			return nil
		}
	}
	p := e.facts.reach.upTo(ops)
	l := oplog.NewLog(e.ID())
	for o := range e.log.All(oplog.Control) {
		if p.has(e.facts.reach.number[o.ID()]) {
			if _, err := l.Append(o); err != nil {
				panic("entity: the past of an op does not append: " + err.Error()) // it did once, in this order
			}
		}
	}
	return l
}

// Saw reports whether a control op is at or before some heads; heads that are not
// here have seen nothing.
func (e *Entity) Saw(heads []keys.Digest, op keys.Digest) bool {
	n, ok := e.facts.reach.number[op]
	return ok && e.facts.reach.upTo(heads).has(n)
}

// StateAt returns the state that an op of the control strand led to.
func (e *Entity) StateAt(op keys.Digest) (*State, bool) {
	if _, ok := e.facts.reach.number[op]; !ok {
		return nil, false
	}
	return e.fold(e.facts.reach.upTo([]keys.Digest{op})), true
}

// StateBefore returns the state of what was written up to a time by its authors'
// clocks, which nothing but a person's look back goes by; nil before the genesis.
func (e *Entity) StateBefore(t time.Time) *State {
	in := make(map[keys.Digest]bool)
	heads := make(map[keys.Digest]bool)
	for o := range e.log.All(oplog.Control) {
		builds := o.Parents()
		if p := o.Prev(); !p.IsZero() {
			builds = append(slices.Clone(builds), p)
		}
		if o.At().After(t) || slices.ContainsFunc(builds, func(id keys.Digest) bool { return !in[id] }) {
			continue
		}
		in[o.ID()], heads[o.ID()] = true, true
		for _, id := range builds {
			delete(heads, id)
		}
	}
	if len(in) == 0 {
		return nil
	}
	ids := make([]keys.Digest, 0, len(heads))
	for id := range heads {
		ids = append(ids, id)
	}
	return e.fold(e.facts.reach.upTo(ids))
}
