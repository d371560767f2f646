package entity_test

import (
	"bytes"
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
	known  map[int]ruling // of the past of a checkpoint
}

func newNaive(e *entity.Entity) *naive {
	n := &naive{known: map[int]ruling{}}
	place := map[keys.Digest]int{}
	for o := range e.Log().All(oplog.Control) {
		i := len(n.ops)
		place[o.ID()] = i
		body, _ := e.Describe(o, nil, nil)
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

// rights folds who stands how after some ops, in the order in which they count.
func (n *naive) rights(order []int) (map[keys.Digest]*place, keys.Digest) {
	all, founder := map[keys.Digest]*place{}, n.ops[0].User()
	for _, i := range order {
		o := n.ops[i]
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
		*entity.Text, *entity.SetJoinPolicy, *entity.SetHistory, *entity.End,
		*entity.Checkpoint, *entity.Ack:
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

// ruling is what the rules come to for a set of ops that is closed under what they build on.
type ruling struct {
	chain []int        // final checkpoints, oldest first
	void  map[int]bool // what is void
	order []int        // what is not, in the order in which it counts
}

// rule goes through a set from one final checkpoint to the next: what builds on the one
// before, then what the next keeps of the rest.
func (n *naive) rule(in map[int]bool) ruling {
	r := ruling{chain: n.chain(in), void: map[int]bool{}, order: []int{0}}
	closed, tip := map[int]bool{0: true}, -1
	for step := 0; step <= len(r.chain); step++ {
		scope, next := in, -1
		if step < len(r.chain) {
			next = r.chain[step]
			scope = n.past[next]
		}
		var open []int
		for i := range n.ops {
			switch {
			case !scope[i] || closed[i]:
			case tip < 0 || n.past[i][tip]:
				open = append(open, i)
			default: // beside the one before
				r.void[i] = true
			}
		}
		void := n.live(r, scope, open)
		for _, i := range open {
			if void[i] {
				r.void[i] = true
			} else {
				r.order = append(r.order, i)
			}
		}
		if next < 0 {
			return r
		}
		for _, id := range n.bodies[next].(*entity.Checkpoint).Keeps {
			i := slices.IndexFunc(n.ops, func(o oplog.Op) bool { return o.ID() == id })
			delete(r.void, i)
			r.order = append(r.order, i)
		}
		r.order = append(r.order, next)
		for i := range scope {
			closed[i] = true
		}
		closed[next], tip = true, next
	}
	return r
}

// chain picks the final checkpoints of a set.
func (n *naive) chain(in map[int]bool) (chain []int) {
	prev := []byte{}
	for {
		best, bestAcked := -1, false
		for i := range n.ops { // in the log's order, so look at the ids
			c, ok := n.bodies[i].(*entity.Checkpoint)
			if !ok || !in[i] || !bytes.Equal(c.Prev, prev) {
				continue
			}
			final, acked := n.final(in, i, chain)
			if final && (best < 0 || acked && !bestAcked || acked == bestAcked && compare(n.ops[i].ID(), n.ops[best].ID()) < 0) {
				best, bestAcked = i, acked
			}
		}
		if best < 0 {
			return chain
		}
		chain = append(chain, best)
		id := n.ops[best].ID()
		prev = id[:]
	}
}

func (n *naive) final(in map[int]bool, c int, chain []int) (final, acked bool) {
	r, ok := n.known[c]
	if !ok {
		r = n.rule(n.past[c])
		n.known[c] = r
	}
	all, founder := n.rights(r.order)
	author := n.ops[c].User()
	masters, by := 0, map[keys.Digest]bool{author: true}
	for u, p := range all {
		if !p.active || p.role != entity.Master {
			continue
		}
		masters++
		for i := range n.ops {
			if a, ok := n.bodies[i].(*entity.Ack); ok && in[i] && a.Checkpoint == n.ops[c].ID() && n.ops[i].User() == u {
				by[u] = true
			}
		}
	}
	acked = len(by) > 1 && 3*len(by) > 2*masters
	final = founder == author
	for i, o := range n.ops {
		_, gives := n.bodies[i].(*entity.MasterTransfer)
		if gives && in[i] && o.User() == author && n.beside(i, c) && (len(chain) == 0 || n.past[i][chain[len(chain)-1]]) {
			final = false
		}
	}
	return final || acked, acked
}

// right: would the author of op i have the right to it in what counts of its own past?
func (n *naive) right(i int, r ruling, open []int, void map[int]bool) bool {
	o := n.ops[i]
	if o.Family() == oplog.FamilyOpKey {
		return true
	}
	order := slices.Clone(r.order)
	for _, j := range open {
		if n.past[i][j] && !void[j] {
			order = append(order, j)
		}
	}
	all, founder := n.rights(order)
	return n.may(i, all, founder)
}

func (n *naive) may(i int, all map[keys.Digest]*place, founder keys.Digest) bool {
	o := n.ops[i]
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
func (n *naive) rests(r ruling, open []int, hit map[int]bool) map[int]bool {
	void := map[int]bool{}
	for _, i := range open {
		void[i] = hit[i] || !n.right(i, r, open, void)
	}
	return void
}

// forked returns what is void of devices that signed two ops at one place: of two that
// were closed one after the other, the second, with what stands upon it; else all from
// there on.
func (n *naive) forked(r ruling, scope map[int]bool) map[int]bool {
	stage := func(i int) int {
		for s, c := range r.chain {
			if i == c || n.past[c][i] {
				return s
			}
		}
		return len(r.chain)
	}
	void, aside := map[int]bool{}, map[int]bool{}
	frozen := map[keys.ID]uint64{}
	for i, a := range n.ops { // what a device wrote before stands before
		if !scope[i] {
			continue
		}
		for j, b := range n.ops {
			if i == j || !scope[j] || a.Device() != b.Device() {
				continue
			}
			if b.ID() == a.Prev() && aside[j] {
				aside[i] = true
			}
			if b.Seq() == a.Seq() && stage(j) < stage(i) && !aside[j] {
				aside[i] = true
			}
		}
	}
	for i, a := range n.ops {
		for j, b := range n.ops {
			if i != j && scope[i] && scope[j] && !aside[i] && !aside[j] && a.Device() == b.Device() && a.Seq() == b.Seq() {
				if at, ok := frozen[a.Device()]; !ok || a.Seq() < at {
					frozen[a.Device()] = a.Seq()
				}
			}
		}
	}
	for i, o := range n.ops {
		stands := o.Family() == oplog.FamilyOpKey ||
			o.Family() == oplog.FamilyMember && (o.Type() == entity.TypeLeave || o.Type() == entity.TypeRemove) ||
			o.Family() == oplog.FamilyMaster && o.Type() == entity.TypeMasterRemove
		at, ok := frozen[o.Device()]
		if scope[i] && !stands && (aside[i] || ok && o.Seq() >= at) {
			void[i] = true
		}
	}
	return void
}

func (n *naive) rank(u keys.Digest, scope, void map[int]bool) int {
	if u == n.ops[0].User() {
		return -1
	}
	for i := range n.ops {
		if !scope[i] || void[i] {
			continue
		}
		switch b := n.bodies[i].(type) {
		case *entity.MasterAdd:
			if b.Party.User == u {
				return i
			}
		case *entity.MasterTransfer:
			if b.Party.User == u {
				return i
			}
		}
	}
	return len(n.ops)
}

// live returns what is void of the ops that build on all that r has.
func (n *naive) live(r ruling, scope map[int]bool, open []int) map[int]bool {
	given := map[int]bool{}
	forked := n.forked(ruling{chain: n.before(r, open, scope)}, scope)
	for {
		hit, applied, again := maps.Clone(given), []int{}, false
		for _, i := range open {
			hit[i] = hit[i] || forked[i]
		}
		for !again {
			void := n.rests(r, open, hit)
			for _, a := range applied {
				if void[a] {
					given[a], again = true, true
				}
			}
			if again {
				break
			}
			next := -1
			both := maps.Clone(r.void)
			maps.Copy(both, void)
			for _, i := range open {
				if void[i] || slices.Contains(applied, i) || !slices.ContainsFunc(open, func(j int) bool { return n.hits(i, j) }) {
					continue
				}
				if next < 0 || n.rank(n.ops[i].User(), scope, both) < n.rank(n.ops[next].User(), scope, both) {
					next = i
				}
			}
			if next < 0 {
				return void
			}
			applied = append(applied, next)
			for _, i := range open {
				if n.hits(next, i) {
					hit[i] = true
				}
			}
		}
	}
}

// before returns the checkpoints of a ruling that was made so far.
func (n *naive) before(r ruling, open []int, scope map[int]bool) (chain []int) {
	for _, c := range r.chain {
		if scope[c] {
			chain = append(chain, c)
		}
	}
	return chain
}

// kept checks what a checkpoint keeps: all that its author may still do and nothing that
// counts takes away.
func (n *naive) kept(c int) error {
	r := n.rule(n.past[c])
	if len(r.chain) == 0 {
		if k := n.bodies[c].(*entity.Checkpoint).Keeps; len(k) > 0 {
			return fmt.Errorf("the first checkpoint keeps %v", k)
		}
		return nil
	}
	tip := r.chain[len(r.chain)-1]
	forked := n.forked(r, n.past[c])
	counts := slices.Clone(r.order)
	keeps := map[int]bool{}
	for _, id := range n.bodies[c].(*entity.Checkpoint).Keeps {
		i := slices.IndexFunc(n.ops, func(o oplog.Op) bool { return o.ID() == id })
		all, founder := n.rights(counts)
		hit := slices.ContainsFunc(counts, func(j int) bool { return n.hits(j, i) })
		if !n.past[c][i] || !n.beside(tip, i) || forked[i] || hit || !n.may(i, all, founder) || n.idle(i, all, founder) {
			return fmt.Errorf("%v keeps %v: hit %v, signed twice %v", n.ops[c].ID(), id, hit, forked[i])
		}
		counts = append(counts, i)
		keeps[i] = true
	}
	all, founder := n.rights(counts)
	for i := range n.past[c] {
		hit := slices.ContainsFunc(counts, func(j int) bool { return n.hits(j, i) })
		if n.beside(tip, i) && !keeps[i] && !forked[i] && !hit && n.may(i, all, founder) && !n.idle(i, all, founder) {
			return fmt.Errorf("%v does not keep %v", n.ops[c].ID(), n.ops[i].ID())
		}
	}
	return nil
}

// idle reports whether there is nothing left to do for an op, or nothing that a checkpoint
// keeps: then it is not kept.
func (n *naive) idle(i int, all map[keys.Digest]*place, founder keys.Digest) bool {
	active := func(u keys.Digest) bool { return all[u] != nil && all[u].active }
	same := func(p entity.Party) bool { return active(p.User) && slices.Equal(all[p.User].devices, p.Devices) }
	switch b := n.bodies[i].(type) {
	case *entity.Admit:
		return active(b.Party.User)
	case *entity.Remove:
		return !active(b.User)
	case *entity.MasterRemove:
		return !active(b.User) || all[b.User].role != entity.Master
	case *entity.SetRole:
		return !active(b.User) || all[b.User].role == entity.Master
	case *entity.MasterAdd:
		return !same(b.Party)
	case *entity.MasterTransfer:
		return !same(b.Party) || b.Party.User == founder
	case *entity.Devices: // those that go now are others
		var gone []keys.ID
		for _, d := range all[b.Party.User].devices {
			if !slices.Contains(b.Party.Devices, d) {
				gone = append(gone, d)
			}
		}
		return slices.ContainsFunc(b.Cuts, func(c entity.Cut) bool { return !slices.Contains(gone, c.Device) }) ||
			slices.ContainsFunc(gone, func(d keys.ID) bool {
				return !slices.ContainsFunc(b.Cuts, func(c entity.Cut) bool { return c.Device == d && c.Strand == oplog.Content })
			})
	case *entity.Checkpoint, *entity.Ack:
		return true
	case nil:
		return !n.ops[i].Critical() || !active(n.ops[i].User()) || all[n.ops[i].User()].role != entity.Master
	}
	return false
}

// check compares what an entity holds void and final with what the rules say, and who may
// do what after it.
func (n *naive) check(e *entity.Entity) error {
	everything := map[int]bool{}
	for i := range n.ops {
		everything[i] = true
	}
	r := n.rule(everything)
	for i, o := range n.ops {
		if got := e.State().Void[o.ID()]; got != r.void[i] {
			_, typ := e.Describe(o, nil, nil)
			return fmt.Errorf("%v %s, place %d: void %v, want %v", o.ID(), typ, i, got, r.void[i])
		}
		if _, ok := n.bodies[i].(*entity.Checkpoint); ok {
			if err := n.kept(i); err != nil {
				return err
			}
		}
	}
	var last keys.Digest
	if len(r.chain) > 0 {
		last = n.ops[r.chain[len(r.chain)-1]].ID()
	}
	if got := e.State().Final; got.ID != last || got.Number != uint64(len(r.chain)) {
		return fmt.Errorf("final up to %d %v, want %d %v", got.Number, got.ID, len(r.chain), last)
	}
	all, founder := n.rights(r.order)
	if e.State().Founder != founder {
		return fmt.Errorf("founder %v, want %v", e.State().Founder, founder)
	}
	for u, p := range all {
		m, ok := e.State().Member(u)
		if !ok || (m.Standing == entity.Active) != p.active || m.Role != p.role {
			return fmt.Errorf("%v is %+v, want %+v", u, m, p)
		}
	}
	if len(e.State().Members) != len(all) {
		return fmt.Errorf("%d members, want %d", len(e.State().Members), len(all))
	}
	return nil
}
