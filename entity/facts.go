package entity

import (
	"slices"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// facts is what the control ops of an entity say, filed by whom they speak of: the
// standing of one user at any past is folded from a few of them.
type facts struct {
	reach     *reach
	bodies    []any                     // by number; nil of an unknown type
	about     map[keys.Digest][]int     // by user, ops that change his standing, in order of arrival
	acts      map[keys.Digest][]int     // by user, the ops he wrote
	claimed   map[keys.ID][]keys.Digest // users whom a party gave the device
	epochs    map[keys.Digest]int       // ops that hold an epoch
	general   []int                     // genesis, ends, merges
	handed    map[keys.Digest]bool      // users who handed their place on, or to whom it was
	removals  []int                     // those that something may stand beside, ascending
	hits      map[int][]int             // by removal, the ops beside it that it voids, unless it is void; not what it takes from devices
	pairs     []bool                    // by number, whether hits may have something of it
	signed    map[Writer]lines          // by device of a user
	drops     map[Writer][]int          // by device of a user, the ops that drop it
	lastClash int                       // greatest number of an op beside a removal that hits one of the two, or of a device that forked; -1 for none
	forks     map[keys.ID]uint64        // devices that signed two ops at one place, from where on
	founded   *State                    // of the genesis alone
	sequence  []int                     // numbers in the log's order; short of what was appended since
	position  []int                     // by number, the place in sequence

	points []int                 // checkpoints
	next   map[int][]int         // checkpoints by the one before them, -1 for none
	prev   map[int]int           // of each checkpoint
	acks   map[int][]int         // by checkpoint
	marks  map[int]*mark         // by checkpoint, once asked for
	gaveUp map[keys.Digest][]int // by user, where he handed his place on
	raised []keys.Digest         // users who ever were made masters, the founder first
	gone   []Dismissal           // when there were goneAt ops
	goneBy map[keys.ID]int       // gone by device
	goneAt int
	causes map[int]*hunt // by void op, what makes it so

	devices map[keys.Digest]*chain.Chain // Me: the device chain up to each of its ops
	sure    []int                        // the line of final checkpoints; nil until asked for, and after a change
}

// clash is a removal with the ops beside it that it voids, in pieces.
type clash struct {
	removal int
	ops     [][]int
}

func newFacts() *facts {
	return &facts{
		reach: newReach(), about: make(map[keys.Digest][]int), acts: make(map[keys.Digest][]int),
		claimed: make(map[keys.ID][]keys.Digest), handed: make(map[keys.Digest]bool), epochs: make(map[keys.Digest]int), forks: make(map[keys.ID]uint64), lastClash: -1,
		hits: make(map[int][]int), signed: make(map[Writer]lines), drops: make(map[Writer][]int), next: make(map[int][]int), prev: make(map[int]int), acks: make(map[int][]int), marks: make(map[int]*mark), gaveUp: make(map[keys.Digest][]int),
		causes: make(map[int]*hunt), devices: make(map[keys.Digest]*chain.Chain),
	}
}

// founding returns the state of the genesis alone, to be folded on.
func (f *facts) founding() *State {
	s := *f.founded
	s.Members = make(map[keys.Digest]*Membership, len(f.founded.Members))
	for u, m := range f.founded.Members {
		s.Members[u] = new(*m)
	}
	s.Epochs, s.Cuts, s.Void = make(map[keys.Digest]EpochInfo), make(map[Writer]uint64), make(map[keys.Digest]bool)
	if s.Kind == Me {
		s.addChain(f.devices[s.ID])
	}
	return &s
}

// subjects returns whose standing a control op changes.
func subjects(o oplog.Op, body any) []keys.Digest {
	switch b := body.(type) {
	case *Genesis, *Leave, *Accept:
		return []keys.Digest{o.User()}
	case *MasterAdd:
		return []keys.Digest{b.Party.User}
	case *MasterRemove:
		return []keys.Digest{b.User}
	case *MasterTransfer:
		return []keys.Digest{o.User(), b.Party.User}
	case *Admit:
		return []keys.Digest{b.Party.User}
	case *Remove:
		return []keys.Digest{b.User}
	case *SetRole:
		return []keys.Digest{b.User}
	case *Devices:
		return []keys.Digest{b.Party.User}
	case *DeviceOp:
		return []keys.Digest{o.User()}
	}
	return nil
}

// add files an op that was just appended.
func (f *facts) add(l *oplog.Log, o oplog.Op, body any) {
	n := f.reach.add(o)
	f.bodies = append(f.bodies, body)
	for _, u := range subjects(o, body) {
		f.about[u] = append(f.about[u], n)
	}
	f.acts[o.User()] = append(f.acts[o.User()], n)
	for _, p := range parties(body) {
		for _, d := range p.Devices {
			if !slices.Contains(f.claimed[d], p.User) {
				f.claimed[d] = append(f.claimed[d], p.User)
			}
		}
	}
	switch b := body.(type) {
	case *DeviceOp:
		f.devices[o.ID()] = b.chain
		if e, begins := b.epoch(); begins {
			f.epochs[o.ID()] = n
			b.unsound = !f.sound(n, &e)
		}
	case *Genesis:
		f.general = append(f.general, n)
		f.raise(o.User())
	case *End, *Merged:
		f.general = append(f.general, n)
	case *MasterAdd:
		f.raise(b.Party.User)
	case *MasterTransfer:
		f.raise(b.Party.User)
		for _, u := range subjects(o, body) {
			f.handed[u] = true
		}
	case *Epoch, *Remove:
		f.epochs[o.ID()] = n
	}
	if at, forked := l.Forked(o.Device(), oplog.Control); forked {
		f.forks[o.Device()] = at
		f.lastClash = n
	}
	f.clash(n, o, body)
	f.fileCheckpoint(n, body)
}

// sound reports whether an epoch that an op of the device chain holds replaces epochs of its
// own past, and is one deeper than the deepest of them.
func (f *facts) sound(n int, e *Epoch) bool {
	depth := uint64(1)
	for _, id := range e.Replaces {
		m, ok := f.epochs[id]
		if !ok || !f.reach.before(m, n) {
			return false
		}
		switch b := f.bodies[m].(type) {
		case *Epoch:
			depth = max(depth, b.Depth+1)
		case *DeviceOp:
			old, _ := b.epoch()
			depth = max(depth, old.Depth+1)
		}
	}
	return e.Depth == depth
}

func (f *facts) raise(u keys.Digest) {
	if !slices.Contains(f.raised, u) {
		f.raised = append(f.raised, u)
	}
}

// parties returns the parties that a body names.
func parties(body any) []Party {
	switch b := body.(type) {
	case *Genesis:
		if b.Founder != nil {
			return []Party{*b.Founder}
		}
	case *Admit:
		return []Party{b.Party}
	case *Devices:
		return []Party{b.Party}
	}
	return nil
}

// removal is what an op takes away: from a user all rights, or those of a master
// only; or all from one device of his.
type removal struct {
	user    keys.Digest
	device  keys.ID // zero: all of his devices
	mastery bool    // only his acts as a master
}

// removes returns what an op takes away from others than its author alone.
func removes(o oplog.Op, body any) []removal {
	switch b := body.(type) {
	case *Remove:
		return []removal{{user: b.User}}
	case *MasterRemove:
		return []removal{{user: b.User, mastery: true}}
	case *MasterTransfer:
		return []removal{{user: o.User(), mastery: true}}
	case *Devices:
		var out []removal
		for _, c := range b.Cuts {
			out = append(out, removal{user: b.Party.User, device: c.Device})
		}
		return slices.CompactFunc(out, func(a, b removal) bool { return a.device == b.device })
	}
	return nil
}

// hits reports whether a removal voids an op beside it (docs/PROTOCOL.md §2.8).
func (r removal) hits(k Kind, o oplog.Op, body any) bool {
	if o.User() == r.user && (r.device.IsZero() || o.Device() == r.device) && (!r.mastery || needsMaster(k, body)) {
		return true
	}
	switch b := body.(type) { // removing beats a concurrent adding
	case *Admit:
		return b.Party.User == r.user && r.device.IsZero() && !r.mastery
	case *MasterAdd:
		return b.Party.User == r.user && r.device.IsZero()
	case *MasterTransfer:
		return b.Party.User == r.user && r.device.IsZero()
	case *SetRole:
		return b.User == r.user && r.device.IsZero() && !r.mastery
	}
	return false
}

// leaves reports whether an op is a leave beside an admission of the same user, or
// beside a place handed to him, which did not see it.
func leaves(o oplog.Op, body, beside any) bool {
	if _, leave := body.(*Leave); !leave {
		return false
	}
	switch b := beside.(type) {
	case *Admit:
		return b.Party.User == o.User()
	case *MasterTransfer:
		return b.Party.User == o.User()
	}
	return false
}

func (f *facts) kind() Kind {
	if g, ok := f.bodies[0].(*Genesis); ok {
		return g.Kind
	}
	return 0
}

// order sorts numbers of ops by the log's order.
func (f *facts) order(l *oplog.Log, ns []int) []int {
	slices.Sort(ns)
	ns = slices.Compact(ns)
	chained := true
	for i := 1; i < len(ns) && chained; i++ {
		chained = f.reach.before(ns[i-1], ns[i])
	}
	if chained { // one after the other in any order
		return ns
	}
	place := f.places(l)
	slices.SortFunc(ns, func(a, b int) int { return place[a] - place[b] })
	return ns
}

// places returns where each op stands in the log's order, by number.
func (f *facts) places(l *oplog.Log) []int {
	known := len(f.position)
	left := len(f.reach.ops) - known
	f.position = append(f.position, make([]int, left)...)
	f.sequence = append(f.sequence, make([]int, left)...)
	if left == 0 {
		return f.position
	}
	i := len(f.sequence)
	for o := range l.Backward(oplog.Control) { // what is new moves only what comes after it
		i--
		n := f.reach.number[o.ID()]
		f.sequence[i], f.position[n] = n, i
		if n >= known {
			if left--; left == 0 {
				break
			}
		}
	}
	return f.position
}

// since returns the end of an ascending list, from n on.
func since(list []int, n int) []int {
	i, _ := slices.BinarySearch(list, n)
	return list[i:]
}
