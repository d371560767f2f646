package entity

import (
	"pttnode/keys"
	"pttnode/oplog"
)

// reach answers which control ops of a log are in whose past, in constant time. It
// numbers the ops as they came, so that what an op builds on has lower numbers.
//
// An op that builds on all that came before it is a *joint*. Logs have many: every
// author who is up to date writes one. Of an op it is enough to know the last joint
// in its past, and which ops it builds on of those that came after that one.
type reach struct {
	number map[keys.Digest]int
	ops    []oplog.Op
	joint  []int      // number of the last joint at or before it; -1 for none
	since  [][]uint64 // bit i: op base(joint)+i is in its past
}

func newReach() *reach { return &reach{number: make(map[keys.Digest]int)} }

// base is the number of the first bit after a joint.
func base(joint int) int { return (joint + 1) &^ 63 }

// add numbers an op of the log; what it builds on was added before.
func (r *reach) add(o oplog.Op) int {
	n := len(r.ops)
	joint := -1
	on := r.buildsOn(o)
	for _, p := range on {
		joint = max(joint, r.joint[p])
	}
	from := base(joint)
	bits := make([]uint64, (n-from+63)/64)
	for _, p := range on {
		if p >= from {
			bits[(p-from)/64] |= 1 << ((p - from) % 64)
		}
		shift := (from - base(r.joint[p])) / 64 // both are whole words
		for i, w := range r.since[p] {
			if i >= shift {
				bits[i-shift] |= w
			}
		}
	}
	if covers(bits, joint+1-from, n-from) {
		joint, bits = n, nil
	}
	r.number[o.ID()] = n
	r.ops = append(r.ops, o)
	r.joint = append(r.joint, joint)
	r.since = append(r.since, bits)
	return n
}

func (r *reach) buildsOn(o oplog.Op) []int {
	on := make([]int, 0, len(o.Parents())+1)
	for _, id := range o.Parents() {
		on = append(on, r.number[id])
	}
	if p := o.Prev(); !p.IsZero() {
		on = append(on, r.number[p])
	}
	return on
}

// covers reports whether all bits in [from, to) are set.
func covers(bits []uint64, from, to int) bool {
	for i := from; i < to; i++ {
		if i%64 == 0 && i+64 <= to {
			if bits[i/64] != ^uint64(0) {
				return false
			}
			i += 63
			continue
		}
		if bits[i/64]&(1<<(i%64)) == 0 {
			return false
		}
	}
	return true
}

// before reports whether op a is in the past of op b.
func (r *reach) before(a, b int) bool {
	j := r.joint[b]
	if a <= j {
		return a != b
	}
	i := a - base(j)
	return a < b && i/64 < len(r.since[b]) && r.since[b][i/64]&(1<<(i%64)) != 0
}

// beside reports whether neither of two ops is in the other's past.
func (r *reach) beside(a, b int) bool { return a != b && !r.before(a, b) && !r.before(b, a) }

// past is the set of ops at or before some heads.
type past struct {
	reach *reach
	heads []int
	joint int // everything up to it is inside
}

// upTo returns the past of heads, which are in the log.
func (r *reach) upTo(heads []keys.Digest) past {
	p := past{reach: r, joint: -1}
	for _, id := range heads {
		if n, ok := r.number[id]; ok {
			p.heads = append(p.heads, n)
			p.joint = max(p.joint, r.joint[n])
		}
	}
	return p
}

// has reports whether op n is in the past.
func (p past) has(n int) bool {
	if n <= p.joint {
		return true
	}
	for _, h := range p.heads {
		if n == h || p.reach.before(n, h) {
			return true
		}
	}
	return false
}
