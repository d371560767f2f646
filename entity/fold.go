package entity

import (
	"fmt"
	"maps"
	"slices"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// fold makes the state of a past: what is not void of it, in the log's order.
func (e *Entity) fold(p past) *State { return e.foldBy(p, e.verdict(p)) }

// foldBy folds a past without what a verdict says is void.
func (e *Entity) foldBy(p past, v *verdict) *State {
	f := e.facts
	if f.kind() == Me {
		return e.foldMe(p)
	}
	f.places(e.log)
	s, done := f.founding(), 0
	if b := e.settled; b != nil && len(v.chain) >= b.height && v.chain[b.height-1] == b.tip {
		s, done = b.state.clone(), b.height
	}
	for ; done < len(v.chain); done++ {
		e.foldPart(s, e.facts.reach.upTo([]keys.Digest{f.reach.ops[v.chain[done]].ID()}), v, done)
		if done == len(v.chain)-1 {
			e.settled = &settled{tip: v.chain[done], height: len(v.chain), state: s.clone()}
		}
	}
	e.foldPart(s, p, v, done)
	e.taint(s)
	s.Final.Rivals = e.rivals(p, v)
	return s
}

// foldMe folds a past of a Me, where the order is of no account: the chain is judged once.
func (e *Entity) foldMe(p past) *State {
	f := e.facts
	s := f.founding()
	var chains []*chain.Chain
	for n, o := range f.reach.ops[1:] {
		if !p.has(n + 1) {
			continue
		}
		if b, ok := f.bodies[n+1].(*DeviceOp); ok {
			s.addEpochOf(o, b)
			chains = append(chains, b.chain)
		} else {
			apply(s, o, f.bodies[n+1])
		}
	}
	if len(chains) > 0 {
		s.addChains(chains, false)
	}
	return s
}

// settled is the state at a final checkpoint, which does not change any more, to fold on.
type settled struct {
	tip, height int // the checkpoint, and its place in its chain
	state       *State
}

// foldPart folds what a past has beyond place i of the chain: what builds on the
// checkpoint before it, then what the one at place i keeps of the rest, then that one.
func (e *Entity) foldPart(s *State, p past, v *verdict, i int) {
	f := e.facts
	from, first := 1, 1
	if i > 0 {
		from, first = f.position[v.chain[i-1]]+1, f.reach.joint[v.chain[i-1]]+1
	}
	to, last := len(f.sequence), len(f.sequence)
	if i < len(v.chain) {
		to, last = f.position[v.chain[i]], v.chain[i]
	}
	for _, n := range f.sequence[from:to] {
		switch {
		case !p.has(n) || !v.after(i, n):
		case v.void(n):
			s.void(f.reach.ops[n], f.bodies[n])
		default:
			apply(s, f.reach.ops[n], f.bodies[n])
		}
	}
	for n := first; i > 0 && n < last; n++ { // beside the one before
		if p.has(n) && n != v.chain[i-1] && !v.after(i, n) && v.closing(n) == i && v.void(n) {
			s.void(f.reach.ops[n], f.bodies[n])
		}
	}
	if i == len(v.chain) {
		return
	}
	c := f.bodies[v.chain[i]].(*Checkpoint)
	for _, id := range c.Keeps {
		n := f.reach.number[id]
		apply(s, f.reach.ops[n], f.bodies[n])
	}
	s.Final = Final{ID: f.reach.ops[v.chain[i]].ID(), Number: c.Number}
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
	var party Party
	me := g.Kind == Me
	switch {
	case me != (o.User() == o.ID()), me == (g.Founder != nil), me != (g.Recovery != nil), me != (g.Box != nil),
		me != (g.Class != 0), r.policy != (g.Policy != nil):
		return bad("a field is missing or out of place")
	case !IsText(g.Name, MaxName) || !IsText(g.Title, MaxTitle) || g.Kind != Board && (g.Name != "" || g.Title != ""):
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
	if !me { // of a Me the chain says who is in it
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

// apply folds one operation that is not void into s.
func apply(s *State, o oplog.Op, body any) {
	switch body.(type) { // of the rest most come by the thousand, and move no device
	case *Admit, *Epoch, *Text, *Checkpoint, *Ack:
	default:
		s.owners = nil
	}
	if body == nil {
		// In a Me nothing that is not of its chain becomes void.
		s.Frozen = s.Frozen || o.Critical() && (s.Kind == Me || s.Speaks(o.User(), o.Device(), Master))
		return
	}
	switch b := body.(type) {
	case *MasterAdd:
		if m := s.Members[b.Party.User]; m != nil {
			m.Role = Master
		}
	case *Admit:
		m := s.Members[b.Party.User]
		if m != nil && m.Standing == Active { // admitted twice at once: the first in order stays
			m.Role = max(m.Role, b.Role)
			return
		}
		n := &Membership{Party: b.Party, Role: b.Role, Standing: Active, By: o.User(), Admit: o.ID(), Since: o.At()}
		if b.Ref != nil {
			n.Ref = *b.Ref
		}
		for _, d := range b.Party.Devices {
			delete(s.Cuts, Writer{b.Party.User, d})
		}
		s.Members[b.Party.User] = n
		s.own(b.Party)
	case *Leave:
		m := s.Members[o.User()]
		if m != nil && m.Standing == Gone { // by another leave, beside this one
			s.depart(o, o.User(), m.Admit)
		}
		if m == nil || m.Standing != Active {
			return
		}
		m.Standing, m.End = Gone, o.ID()
		s.cutAll(m, b.Cuts)
		s.depart(o, o.User(), m.Admit)
	case *Remove:
		if m := s.Members[b.User]; m != nil {
			if m.Standing == Active {
				m.Standing, m.End = Removed, o.ID()
			}
			s.cutAll(m, b.Cuts)
			s.depart(o, b.User, m.Admit)
		}
		s.addEpoch(o.ID(), o.User(), body)
	case *MasterRemove:
		if m := s.Members[b.User]; m != nil && m.Role == Master {
			m.Role = Member
		}
	case *MasterTransfer:
		from, to := s.Members[o.User()], s.Members[b.Party.User]
		if from == nil || to == nil || from.Role != Master || to.Standing != Active {
			return
		}
		from.Role, to.Role = Member, Master
		if s.Founder == o.User() {
			s.Founder = b.Party.User
		}
	case *SetRole:
		if m := s.Members[b.User]; m != nil && m.Role != Master {
			m.Role = b.Role
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
		if len(b.Cuts) > 0 {
			s.depart(o, b.Party.User, o.ID()) // the device has the user's box key
		}
	case *Accept:
		m := s.Members[o.User()]
		if m == nil {
			return
		}
		m.Accepted = true
		if s.Ended && s.EndReason == EndNotAccepted { // it was, beside the end
			s.Ended, s.EndReason = false, 0
		}
	case *Epoch:
		s.addEpoch(o.ID(), o.User(), body)
	case *DeviceOp:
		s.addEpochOf(o, b)
		s.addChain(b.chain)
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

// addEpoch adds the epoch that an op holds.
func (s *State) addEpoch(id, by keys.Digest, body any) {
	i := EpochInfo{ID: id, By: by}
	var replaces []keys.Digest
	switch b := body.(type) {
	case *Epoch:
		i.Depth, i.Commitment, replaces = b.Depth, b.Commitment, b.Replaces
	case *Remove:
		i.Depth, i.Commitment, replaces = b.Epoch.Depth, b.Epoch.Commitment, b.Epoch.Replaces
	default:
		return
	}
	s.Epochs[id] = i
	s.clean = append(s.clean, id)
	s.replace(replaces)
}

// replace notes that a later epoch names others. Where the whole of a past is folded
// all are known (judgeEpochOf); where a part is, they may be missing, and stay so.
func (s *State) replace(epochs []keys.Digest) {
	for _, old := range epochs {
		if e, ok := s.Epochs[old]; ok {
			e.Replaced = true
			s.Epochs[old] = e
		}
	}
}

// void notes that an op has no effect.
func (s *State) void(o oplog.Op, body any) {
	s.Void[o.ID()] = true
	s.keepEpoch(o, body)
}

// keepEpoch keeps the epoch of a void op: what was written under it must stay
// readable.
func (s *State) keepEpoch(o oplog.Op, body any) {
	s.addEpoch(o.ID(), o.User(), body)
	if e, ok := s.Epochs[o.ID()]; ok && o.Family() != oplog.FamilyOpKey {
		e.Void = true
		s.Epochs[o.ID()] = e
	}
}

// cutAll limits the content of a member who is gone: of each of his devices what is
// up to its cut counts, of one without none.
func (s *State) cutAll(m *Membership, cuts []Cut) {
	for _, d := range m.Party.Devices {
		s.Cuts[Writer{m.Party.User, d}] += 0
	}
	for _, c := range cuts {
		if c.Strand == oplog.Content {
			s.cut(m.Party.User, c)
		}
	}
}

// clone returns a copy that can be folded on.
func (s *State) clone() *State {
	c := *s
	c.owners = nil
	c.Members = make(map[keys.Digest]*Membership, len(s.Members))
	for u, m := range s.Members {
		c.Members[u] = new(*m)
	}
	c.Epochs, c.Cuts, c.Void = maps.Clone(s.Epochs), maps.Clone(s.Cuts), maps.Clone(s.Void)
	c.Devices, c.departed = slices.Clone(s.Devices), slices.Clone(s.departed)
	c.clean, c.left = slices.Clone(s.clean), slices.Clone(s.left)
	return &c
}
