package entity

import (
	"fmt"
	"iter"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// fold applies operations, given parents first, to an empty state. It returns
// nil for no operations.
func (e *Entity) fold(ops iter.Seq[oplog.Op]) (*State, error) {
	type place struct {
		device keys.ID
		seq    uint64
	}
	seen := make(map[place]bool)
	forked := make(map[keys.ID]uint64)
	for o := range ops {
		p := place{o.Device(), o.Seq()}
		if at, ok := forked[p.device]; seen[p] && (!ok || p.seq < at) {
			forked[p.device] = p.seq
		}
		seen[p] = true
	}
	var s *State
	for o := range ops {
		body, known, err := e.body(o)
		if err != nil {
			return nil, err
		}
		if s == nil {
			if s, err = begin(o, body); err != nil {
				return nil, err
			}
			continue
		}
		// Equivocation: what a device signed from its fork on is void, but for
		// what only takes away (docs/PROTOCOL.md §2.6).
		if at, ok := forked[o.Device()]; ok && o.Seq() >= at && !takesAway(o) {
			s.Void[o.ID()] = true
			continue
		}
		// Its author's admission or mastership became void. An epoch stands: what was
		// written under it must stay readable.
		m := s.Members[o.User()]
		if (m == nil || m.Role != Master && needsMaster(s.Kind, body)) && o.Family() != oplog.FamilyOpKey {
			s.Void[o.ID()] = true
			continue
		}
		apply(e.log, s, o, body, known)
	}
	return s, nil
}

// body returns the decoded body of a control op, read only: an op is folded once
// for every past that contains it, and decoded once.
func (e *Entity) body(o oplog.Op) (body any, known bool, err error) {
	if body, ok := e.bodies[o.ID()]; ok {
		return body, body != nil, nil
	}
	if body, known, err = decodeBody(o); err != nil {
		return nil, known, fmt.Errorf("%w: %w", ErrBody, err)
	}
	if _, kept := e.log.Get(o.ID()); kept {
		e.bodies[o.ID()] = body
	}
	return body, known, nil
}

func takesAway(o oplog.Op) bool { return takesAwayType(o.Family(), o.Type()) }

func takesAwayType(family oplog.Family, typ uint16) bool {
	return family == oplog.FamilyOpKey ||
		family == oplog.FamilyMember && (typ == TypeLeave || typ == TypeRemove) ||
		family == oplog.FamilyMaster && typ == TypeMasterRemove
}

// begin makes the state of a genesis alone.
func begin(o oplog.Op, body any) (*State, error) {
	g, ok := body.(*Genesis)
	if !ok {
		return nil, fmt.Errorf("%w: %v is no genesis", ErrBody, o.ID())
	}
	bad := func(why string) (*State, error) {
		return nil, fmt.Errorf("%w: genesis %v: %s", ErrBody, o.ID(), why)
	}
	r, ok := ruleOf[g.Kind]
	if !ok {
		return bad("unknown kind")
	}
	s := &State{
		ID: o.ID(), Kind: g.Kind, Founder: o.User(), Name: g.Name, Title: g.Title, Personal: g.Personal,
		Members: make(map[keys.Digest]*Membership), Epochs: make(map[keys.Digest]EpochInfo),
		Cuts: make(map[Writer]uint64), Void: make(map[keys.Digest]bool),
	}
	party := Party{User: o.User(), Head: o.ID(), Devices: []keys.ID{o.Device()}}
	me := g.Kind == Me
	switch {
	case me != (o.User() == o.ID()), me == (g.Founder != nil), me != (g.Recovery != nil), me != (g.Box != nil),
		me && (g.Recovery.IsZero() || g.Box.IsZero()), me != g.Class.valid(), r.policy != (g.Policy != nil):
		return bad("a field is missing or out of place")
	case !text(g.Name, MaxName) || !text(g.Title, MaxTitle) || g.Kind != Board && (g.Name != "" || g.Title != ""):
		return bad("a name that is none, or for what has none")
	case g.Personal && g.Kind != Board:
		return bad("only a board is personal")
	case g.Succession != 0:
		return bad("unknown succession rule")
	case r.policy && (g.Policy.Join < JoinFriends || g.Policy.Join > JoinLink || !g.Policy.History.valid()):
		return bad("unknown policy")
	case g.Kind == Friend && len(g.Parties) != 2, g.Kind != Friend && len(g.Parties) != 0, (g.Kind == Friend) != (g.Ref != nil):
		return bad("parties or ref out of place")
	}
	if me {
		s.Recovery = *g.Recovery
		s.Devices = []Device{{ID: o.Device(), Class: g.Class, Box: *g.Box, Alive: true}}
		s.DeviceHead = o.ID()
	} else {
		party = *g.Founder
		if party.User != o.User() || !slices.Contains(party.Devices, o.Device()) {
			return bad("not by its founder")
		}
		if err := judgeParty(s, party, func(f string, a ...any) error { return fmt.Errorf(f, a...) }); err != nil {
			return bad(err.Error())
		}
	}
	if g.Kind == Friend {
		if compare(g.Parties[0], g.Parties[1]) >= 0 || !slices.Contains(g.Parties, o.User()) {
			return bad("parties are not the founder and another, ascending")
		}
		s.Parties, s.Ref = g.Parties, *g.Ref
	}
	if g.Policy != nil {
		s.Policy = *g.Policy
	}
	s.Members[o.User()] = &Membership{
		Party: party, Role: Master, Standing: Active, By: o.User(), Admit: o.ID(), Since: o.At(), Accepted: true,
	}
	return s, nil
}

// apply folds one judged operation into s. Concurrent operations are folded in
// the log's order; a leave beats an admission that did not see it.
func apply(l *oplog.Log, s *State, o oplog.Op, body any, known bool) {
	if !known {
		s.Frozen = s.Frozen || o.Critical() && s.Speaks(o.User(), o.Device(), Master)
		return
	}
	if link := chainLink(body); link != nil {
		if link.Prev != s.DeviceHead {
			s.Void[o.ID()] = true // a second successor of one device op
			return
		}
		s.DeviceHead = o.ID()
	}
	switch b := body.(type) {
	case *MasterAdd:
		if s.Kind == Me {
			return // it lists the device
		}
		if m := s.Members[b.Party.User]; m != nil {
			m.Role = Master
		}
	case *Admit:
		m := s.Members[b.Party.User]
		if m != nil && m.Standing != Active {
			past := ancestors(l, []keys.Digest{o.ID()})
			if slices.ContainsFunc(m.gone, func(id keys.Digest) bool { return !past[id] }) {
				s.Void[o.ID()] = true
				return
			}
		}
		if m != nil && m.Standing == Active { // admitted twice at once: the first in order stays
			m.Role = max(m.Role, b.Role)
			return
		}
		n := &Membership{Party: b.Party, Role: b.Role, Standing: Active, By: o.User(), Admit: o.ID(), Since: o.At()}
		if b.Ref != nil {
			n.Ref = *b.Ref
		}
		if m != nil {
			n.gone = m.gone
		}
		for _, d := range b.Party.Devices {
			delete(s.Cuts, Writer{b.Party.User, d})
		}
		s.Members[b.Party.User] = n
	case *Leave:
		m := s.Members[o.User()]
		m.Standing = Gone
		m.gone = append(m.gone, o.ID())
		for _, d := range m.Party.Devices {
			s.Cuts[Writer{o.User(), d}] += 0 // none counts, if no cut says more
		}
		for _, c := range b.Cuts {
			s.cut(o.User(), c)
		}
	case *Devices:
		if m := s.Members[b.Party.User]; m != nil {
			m.Party = b.Party
		}
		for _, c := range b.Cuts {
			if c.Strand == oplog.Content {
				s.cut(b.Party.User, c)
			}
		}
	case *Accept:
		s.Members[o.User()].Accepted = true
		if s.Ended && s.EndReason == EndNotAccepted { // it was, beside the end
			s.Ended, s.EndReason = false, 0
		}
	case *Epoch:
		s.Epochs[o.ID()] = EpochInfo{ID: o.ID(), Depth: b.Depth, Commitment: b.Commitment, By: o.User()}
		if s.Kind == Me {
			s.UserBox = *b.UserBox
		}
	case *DeviceAdd:
		s.addDevice(b)
	case *DeviceClass:
		s.setClass(b)
	case *End:
		if !s.Ended && !(b.Reason == EndNotAccepted && s.accepted()) {
			s.Ended, s.EndReason = true, b.Reason
		}
	case *Merged:
		if s.Merged.IsZero() || compare(b.Into, s.Merged) < 0 {
			s.Merged = b.Into
		}
	case *Text:
		if o.Type() == TypeTitle {
			s.Title = b.Text
		} else {
			s.Description = b.Text
		}
	case *SetJoinPolicy:
		s.Policy.Join = b.Join
	case *SetHistory:
		s.Policy.History = b.History
	}
}
