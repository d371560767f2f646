package chain

import (
	"fmt"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// Verdict is what a set of chains comes to: the one answer in Me and in every other log
// (docs/protocol/me-chain.md §6.2).
type Verdict struct {
	// Chain is the furthest chain; in a fork the last op that all its branches share.
	// It is nil for an empty set.
	Chain *Chain
	// Fork has the branches of a fork, ascending by head, and is empty without one.
	Fork []*Chain
	// ByReset says of a fork that nothing but a RESET ends it.
	ByReset bool
	// Gone has the devices that a RESET lets survive and a branch that it beats removed,
	// ascending.
	Gone []keys.ID

	devices []Device
}

// Forked reports whether there is a fork: device ops stop.
func (v *Verdict) Forked() bool { return len(v.Fork) > 0 }

// Devices returns who may be served, hold keys and write, in the order of the chain: the
// set of the furthest chain without those gone; in a fork those that are in every branch.
func (v *Verdict) Devices() []Device { return slices.Clone(v.devices) }

// Device returns one of Devices.
func (v *Verdict) Device(id keys.ID) (Device, bool) {
	i := slices.IndexFunc(v.devices, func(d Device) bool { return d.ID == id })
	if i < 0 {
		return Device{}, false
	}
	return v.devices[i], true
}

// Frozen returns the devices that are in some branch of a fork and may do nothing until
// it ends, ascending.
func (v *Verdict) Frozen() (frozen []keys.ID) {
	for _, b := range v.Fork {
		for _, d := range b.state.devices {
			if _, ok := v.Device(d.ID); !ok {
				frozen = append(frozen, d.ID)
			}
		}
	}
	slices.SortFunc(frozen, compareIDs)
	return slices.Compact(frozen)
}

// Box returns the user box key. In a fork there is none, since devices of one branch
// alone know that of it: keys go to the box keys of Devices.
func (v *Verdict) Box() (keys.BoxID, bool) {
	if v.Chain == nil || v.Forked() || v.Chain.state.Box.IsZero() {
		return keys.BoxID{}, false
	}
	return v.Chain.state.Box, true
}

// Admits reports whether the verdict lets a chain op come: without a fork any that
// follows the furthest chain, or a RESET of whatever op. With one, a RESET, and a mend of
// two of its branches where that ends it. An op that was written by somebody who had not
// all of this in the past is not asked about.
func (v *Verdict) Admits(o oplog.Op) error {
	_, b, err := decode(o)
	if err != nil {
		return err
	}
	if _, reset := b.(*Reset); reset {
		return nil
	}
	switch m, mend := b.(*Mend); {
	case v.Chain == nil:
		return nil
	case !v.Forked() && b.link().Prev != v.Chain.Head():
		return fmt.Errorf("%w: follows %v, the furthest is %v", ErrPlace, b.link().Prev, v.Chain.Head())
	case !v.Forked():
		return nil
	case !mend:
		return fmt.Errorf("%w: device ops stop, there are %d branches", ErrRefused, len(v.Fork))
	case v.ByReset:
		return fmt.Errorf("%w: device ops stop until a RESET", ErrRefused)
	case !v.branch(m.One) || !v.branch(m.Other):
		return fmt.Errorf("%w: names other branches than those there are", ErrRefused)
	}
	return nil
}

// branch reports whether a branch of the fork begins with an op.
func (v *Verdict) branch(op keys.Digest) bool {
	return slices.ContainsFunc(v.Fork, func(b *Chain) bool { return b.to(v.Chain.len+1).Head() == op })
}

// Judge returns what the set comes to.
func (s Set) Judge() *Verdict {
	v := new(Verdict)
	if len(s.branches) == 0 {
		return v
	}
	v.Chain, v.Fork = contest(s.contenders())
	if !v.Forked() {
		v.Gone = gone(v.Chain, s.branches)
		v.devices = without(v.Chain.state.Devices(), v.Gone)
		return v
	}
	v.ByReset = afterReset(v.Fork[0], v.Chain)
	others := s.without(v.Fork)
	for i, b := range v.Fork {
		went := gone(b, others)
		v.Gone = append(v.Gone, went...)
		mine := without(b.state.Devices(), went)
		if i == 0 {
			v.devices = mine
			continue
		}
		v.devices = slices.DeleteFunc(v.devices, func(d Device) bool {
			return !slices.ContainsFunc(mine, func(m Device) bool { return m.ID == d.ID && m.Box == d.Box })
		})
	}
	slices.SortFunc(v.Gone, compareIDs)
	v.Gone = slices.Compact(v.Gone)
	return v
}

// contenders returns the chains of the greatest history.
func (s Set) contenders() (top []*Chain) {
	for _, b := range s.branches {
		switch {
		case len(top) == 0 || b.state.history > top[0].state.history:
			top = []*Chain{b}
		case b.state.history == top[0].state.history:
			top = append(top, b)
		}
	}
	return top
}

// contest returns the furthest of chains of one history, or where they fork, and the
// branches. Each round takes the first place where they part, and goes on with the
// branch that mended all others there: a mend of a later place says nothing of it.
func contest(top []*Chain) (at *Chain, fork []*Chain) {
	for len(top) > 1 {
		d := top[0]
		for _, c := range top[1:] {
			d = common(d, c)
		}
		var winner []*Chain
		if !afterReset(top[0], d) {
			winner = mended(groups(top, d), d)
		}
		if winner == nil {
			return d, top
		}
		top = winner
	}
	return top[0], nil
}

// groups returns chains by their op after d.
func groups(chains []*Chain, d *Chain) (list [][]*Chain) {
	of := map[keys.Digest]int{}
	for _, c := range chains {
		op := c.to(d.len + 1).Head()
		i, ok := of[op]
		if !ok {
			i = len(list)
			of[op] = i
			list = append(list, nil)
		}
		list[i] = append(list[i], c)
	}
	return list
}

// mended returns the one group that has a mend against each other one, while none has
// one against it; nil if there is none.
func mended(list [][]*Chain, d *Chain) []*Chain {
	names := func(a, b []*Chain) bool {
		return slices.ContainsFunc(a, func(c *Chain) bool { return mends(c, d, b[0]) })
	}
	for i, a := range list {
		all := true
		for j, b := range list {
			all = all && (i == j || names(a, b) && !names(b, a))
		}
		if all {
			return a
		}
	}
	return nil
}

// without returns the branches that are none of rivals.
func (s Set) without(rivals []*Chain) (others []*Chain) {
	of := make(map[*Chain]bool, len(rivals))
	for _, r := range rivals {
		of[r] = true
	}
	for _, b := range s.branches {
		if !of[b] {
			others = append(others, b)
		}
	}
	return others
}

// gone returns the devices of c that a RESET of it lets survive and one of other branches
// removed.
func gone(c *Chain, others []*Chain) (list []keys.ID) {
	for _, b := range others {
		d := common(c, b)
		first := firstNumbered(c, d)
		if first == nil {
			continue
		}
		reset, ok := first.body.(*Reset)
		if !ok {
			continue
		}
		for p := b.state.removed; p != b.to(d.len).state.removed; p = p.next {
			if reset.names(p.what) && c.state.device(p.what) != nil {
				list = append(list, p.what)
			}
		}
	}
	slices.SortFunc(list, compareIDs)
	return slices.Compact(list)
}

// without returns the devices that are not gone.
func without(list []Device, gone []keys.ID) []Device {
	return slices.DeleteFunc(list, func(d Device) bool { return slices.Contains(gone, d.ID) })
}
