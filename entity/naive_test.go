package entity_test

import (
	"fmt"
	"maps"
	"slices"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// naive decides what is void of a board straight from docs/PROTOCOL.md §2.8: it walks
// the whole log for every question, and shares no code with what it checks but the
// log's order and the bodies.
type naive struct {
	ops    []oplog.Op // in the log's order
	bodies []any
	past   []map[int]bool
}

func newNaive(e *entity.Entity) *naive {
	n := &naive{}
	place := map[keys.Digest]int{}
	for o := range e.Log().All(oplog.Control) {
		i := len(n.ops)
		place[o.ID()] = i
		body, _ := e.Describe(o, nil)
		n.ops, n.bodies = append(n.ops, o), append(n.bodies, body)
		before := map[int]bool{}
		todo := append(slices.Clone(o.Parents()), o.Prev())
		for len(todo) > 0 {
			id := todo[0]
			todo = todo[1:]
			if j, ok := place[id]; ok && !before[j] {
				before[j] = true
				todo = append(append(todo, n.ops[j].Parents()...), n.ops[j].Prev())
			}
		}
		n.past = append(n.past, before)
	}
	return n
}

func (n *naive) beside(i, j int) bool { return i != j && !n.past[i][j] && !n.past[j][i] }

type place struct {
	devices []keys.ID
	role    entity.Role
	active  bool
}

// rights folds who stands how in a set of ops without those that are void.
func (n *naive) rights(in func(int) bool, void map[int]bool) (map[keys.Digest]*place, keys.Digest) {
	all, founder := map[keys.Digest]*place{}, n.ops[0].User()
	for i, o := range n.ops {
		if !in(i) || void[i] {
			continue
		}
		switch b := n.bodies[i].(type) {
		case *entity.Genesis:
			all[founder] = &place{b.Founder.Devices, entity.Master, true}
		case *entity.MasterAdd:
			if p := all[b.Party.User]; p != nil {
				p.role = entity.Master
			}
		case *entity.MasterRemove:
			if p := all[b.User]; p != nil && p.role == entity.Master {
				p.role = entity.Member
			}
		case *entity.MasterTransfer:
			from, to := all[o.User()], all[b.Party.User]
			if from != nil && to != nil && from.role == entity.Master && to.active {
				from.role, to.role = entity.Member, entity.Master
				if founder == o.User() {
					founder = b.Party.User
				}
			}
		case *entity.SetRole:
			if p := all[b.User]; p != nil && p.role != entity.Master {
				p.role = b.Role
			}
		case *entity.Admit:
			if p := all[b.Party.User]; p != nil && p.active {
				p.role = max(p.role, b.Role)
			} else {
				all[b.Party.User] = &place{b.Party.Devices, b.Role, true}
			}
		case *entity.Leave:
			if p := all[o.User()]; p != nil {
				p.active = false
			}
		case *entity.Remove:
			if p := all[b.User]; p != nil {
				p.active = false
			}
		case *entity.Devices:
			if p := all[b.Party.User]; p != nil {
				p.devices = b.Party.Devices
			}
		}
	}
	return all, founder
}

func asMaster(body any) bool {
	switch body.(type) {
	case *entity.MasterAdd, *entity.MasterRemove, *entity.MasterTransfer, *entity.Admit, *entity.Remove, *entity.SetRole, *entity.Epoch,
		*entity.Text, *entity.SetJoinPolicy, *entity.SetHistory, *entity.End:
		return true
	}
	return false
}

// hits: the table of §2.8.
func (n *naive) hits(r, i int) bool {
	if !n.beside(r, i) {
		return false
	}
	o := n.ops[i]
	var admitted, added, transferred, roled keys.Digest
	switch b := n.bodies[i].(type) {
	case *entity.Admit:
		admitted = b.Party.User
	case *entity.MasterAdd:
		added = b.Party.User
	case *entity.MasterTransfer:
		transferred = b.Party.User
	case *entity.SetRole:
		roled = b.User
	}
	switch b := n.bodies[r].(type) {
	case *entity.Remove:
		return slices.Contains([]keys.Digest{o.User(), admitted, added, transferred, roled}, b.User)
	case *entity.MasterRemove:
		return o.User() == b.User && asMaster(n.bodies[i]) || added == b.User || transferred == b.User
	case *entity.MasterTransfer:
		u := n.ops[r].User()
		return o.User() == u && asMaster(n.bodies[i]) || added == u || transferred == u
	case *entity.Devices:
		return o.User() == b.Party.User && slices.ContainsFunc(b.Cuts, func(c entity.Cut) bool { return c.Device == o.Device() })
	case *entity.Leave:
		return slices.Contains([]keys.Digest{admitted, transferred}, n.ops[r].User())
	}
	return false
}

// right: would the author of op i have the right to it in its own past without void?
func (n *naive) right(i int, void map[int]bool) bool {
	o := n.ops[i]
	if i == 0 || o.Family() == oplog.FamilyOpKey {
		return true
	}
	all, founder := n.rights(func(j int) bool { return n.past[i][j] }, void)
	p := all[o.User()]
	if p == nil || !p.active || !slices.Contains(p.devices, o.Device()) || asMaster(n.bodies[i]) && p.role != entity.Master {
		return false
	}
	switch b := n.bodies[i].(type) {
	case *entity.Remove:
		return b.User != founder
	case *entity.MasterRemove:
		return b.User != founder
	case *entity.Leave:
		return o.User() != founder
	}
	return true
}

// rests adds what rests on what is void: once through the log's order, in which an op
// comes after all that it could rest on.
func (n *naive) rests(hit map[int]bool) map[int]bool {
	void := map[int]bool{}
	for i := range n.ops {
		void[i] = hit[i] || !n.right(i, void)
	}
	return void
}

func (n *naive) forked(void map[int]bool) {
	for i, a := range n.ops {
		for j, b := range n.ops {
			if i == j || a.Device() != b.Device() || a.Seq() != b.Seq() {
				continue
			}
			for k, o := range n.ops {
				stands := o.Family() == oplog.FamilyOpKey ||
					o.Family() == oplog.FamilyMember && (o.Type() == entity.TypeLeave || o.Type() == entity.TypeRemove) ||
					o.Family() == oplog.FamilyMaster && o.Type() == entity.TypeMasterRemove
				if o.Device() == a.Device() && o.Seq() >= a.Seq() && !stands {
					void[k] = true
				}
			}
		}
	}
}

func (n *naive) rank(u keys.Digest, void map[int]bool) int {
	if u == n.ops[0].User() {
		return -1
	}
	for i := range n.ops {
		switch b := n.bodies[i].(type) {
		case *entity.MasterAdd:
			if !void[i] && b.Party.User == u {
				return i
			}
		case *entity.MasterTransfer:
			if !void[i] && b.Party.User == u {
				return i
			}
		}
	}
	return len(n.ops)
}

// voids returns the places of what is void.
func (n *naive) voids() map[int]bool {
	given := map[int]bool{}
	for {
		hit, applied, again := maps.Clone(given), []int{}, false
		n.forked(hit)
		for !again {
			void := n.rests(hit)
			for _, a := range applied {
				if void[a] {
					given[a], again = true, true
				}
			}
			next := -1
			for r := range n.ops {
				if void[r] || slices.Contains(applied, r) || !slices.ContainsFunc(n.all(), func(i int) bool { return n.hits(r, i) }) {
					continue
				}
				if next < 0 || n.rank(n.ops[r].User(), void) < n.rank(n.ops[next].User(), void) {
					next = r
				}
			}
			if again {
				break
			}
			if next < 0 {
				return void
			}
			applied = append(applied, next)
			for i := range n.ops {
				if n.hits(next, i) {
					hit[i] = true
				}
			}
		}
	}
}

func (n *naive) all() []int {
	out := make([]int, len(n.ops))
	for i := range out {
		out[i] = i
	}
	return out
}

// check compares what an entity holds void with what the rules say, and who may do
// what after it.
func (n *naive) check(e *entity.Entity) error {
	void := n.voids()
	for i, o := range n.ops {
		if got := e.State().Void[o.ID()]; got != void[i] {
			_, typ := e.Describe(o, nil)
			return fmt.Errorf("%v %s, place %d: void %v, want %v", o.ID(), typ, i, got, void[i])
		}
	}
	all, founder := n.rights(func(int) bool { return true }, void)
	if e.State().Founder != founder {
		return fmt.Errorf("founder %v, want %v", e.State().Founder, founder)
	}
	for u, p := range all {
		m, ok := e.State().Member(u)
		if !ok || (m.Standing == entity.Active) != p.active || m.Role != p.role {
			return fmt.Errorf("%v is %+v, want %+v", u, m, p)
		}
	}
	// Nobody acts whom what counts of an act's own past removed.
	for i, o := range n.ops {
		if void[i] || i == 0 {
			continue
		}
		before, _ := n.rights(func(j int) bool { return n.past[i][j] }, void)
		p := before[o.User()]
		if o.Family() != oplog.FamilyOpKey && (p == nil || !p.active || asMaster(n.bodies[i]) && p.role != entity.Master) {
			return fmt.Errorf("%v counts, whose author was %+v", o.ID(), p)
		}
	}
	return nil
}
