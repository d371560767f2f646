package entity

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// Checkpoint signs a checkpoint over the present heads and appends it. It fails with
// ErrNotAuthorized, ErrEnded or ErrFrozen, or like Add.
func (e *Entity) Checkpoint(a Author) (oplog.Op, error) {
	last := e.State().Final.ID
	d := e.draft(a, oplog.Control, oplog.FamilyCheckpoint, TypeCheckpoint, nil)
	e.see(&d, last)
	c := e.checkpointOf(e.facts.reach.upTo(append(slices.Clone(d.Parents), d.Prev)))
	return e.controlAfter(last, a, oplog.FamilyCheckpoint, TypeCheckpoint, c)
}

// Ack signs that a checkpoint was checked, and appends it. It fails as Checkpoint does.
func (e *Entity) Ack(a Author, checkpoint keys.Digest) (oplog.Op, error) {
	return e.controlAfter(checkpoint, a, oplog.FamilyCheckpoint, TypeAck, Ack{Checkpoint: checkpoint})
}

// waitsOf reports whether a user has a checkpoint in a past that follows prev and waits, or
// waited, for acks: not one by his word as the founder.
func (e *Entity) waitsOf(user keys.Digest, prev int, p past) bool {
	return slices.ContainsFunc(e.facts.next[prev], func(c int) bool {
		return p.has(c) && e.facts.reach.ops[c].User() == user && !e.mark(c).founder
	})
}

// judgeFinality checks what a checkpoint and an ack say against their own past, of which
// before is the state.
func (e *Entity) judgeFinality(before *State, o oplog.Op, body any) error {
	if o.Family() != oplog.FamilyCheckpoint {
		return nil
	}
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %v %d/%d: %s", ErrNotAuthorized, o.ID(), o.Family(), o.Type(), fmt.Sprintf(format, args...))
	}
	f := e.facts
	p := e.pastOf(o)
	his := func(n int) bool { return p.has(n) && f.reach.ops[n].User() == o.User() }
	switch b := body.(type) {
	case *Checkpoint:
		prev := -1
		if n, ok := f.reach.number[digestOf(b.Prev)]; ok {
			prev = n
		}
		if before.Founder != o.User() && e.waitsOf(o.User(), prev, p) {
			return refuse("one of his waits for acks there") // each costs a fold
		}
		want := e.checkpointOf(p)
		switch {
		case b.Number != want.Number || !bytes.Equal(b.Prev, want.Prev):
			return refuse("checkpoint %d, want %d after %x", b.Number, want.Number, want.Prev)
		case !slices.Equal(b.Keeps, want.Keeps):
			return refuse("keeps %v, want %v", b.Keeps, want.Keeps)
		case b.Members != want.Members || b.Epochs != want.Epochs || b.Refs != want.Refs:
			return refuse("roots of another state")
		}
	case *Ack:
		c, ok := f.reach.number[b.Checkpoint]
		_, is := f.prev[c]
		switch {
		case !ok || !is || !p.has(c):
			return refuse("of no checkpoint that it has seen")
		case f.reach.ops[c].User() == o.User():
			return refuse("of his own checkpoint")
		case slices.ContainsFunc(f.acks[c], his):
			return refuse("again")
		}
	}
	return nil
}

// digestOf is the id of a checkpoint before another, zero for none.
func digestOf(prev []byte) (id keys.Digest) {
	if len(prev) == len(id) {
		copy(id[:], prev)
	}
	return id
}

// checkpointOf returns the checkpoint that closes a past.
func (e *Entity) checkpointOf(p past) Checkpoint {
	s := e.fold(p)
	c := Checkpoint{Number: s.Final.Number + 1, Prev: []byte{}, Keeps: []keys.Digest{}}
	if !s.Final.ID.IsZero() {
		c.Prev = s.Final.ID[:]
	}
	for _, n := range e.keepable(p, s) {
		c.Keeps = append(c.Keeps, e.facts.reach.ops[n].ID())
	}
	c.Members, c.Epochs, c.Refs = s.roots()
	return c
}

// Pending returns what the next checkpoint will keep of the ops beside the last one,
// which are void until then.
func (e *Entity) Pending() (ids []keys.Digest) {
	p := e.facts.reach.upTo(e.log.Heads(oplog.Control))
	if len(e.besideTip(p)) == 0 {
		return nil
	}
	for _, n := range e.keepable(p, e.fold(p)) {
		ids = append(ids, e.facts.reach.ops[n].ID())
	}
	return ids
}

// Dismissed reports whether somebody was removed or has left by an op that counts, also
// one that met him when he was not in.
func (e *Entity) Dismissed(user keys.Digest) bool {
	f := e.facts
	return slices.ContainsFunc(f.about[user], func(n int) bool {
		_, leave := f.bodies[n].(*Leave)
		_, remove := f.bodies[n].(*Remove)
		return (leave || remove) && !e.State().Void[f.reach.ops[n].ID()]
	})
}

// besideTip returns the ops of a past beside its last final checkpoint that could be
// kept: not those of unknown types without effect, and none that speaks of finality.
func (e *Entity) besideTip(p past) (ns []int) {
	f := e.facts
	v := e.closedAt(p)
	tip := v.tip()
	if tip < 0 {
		return nil
	}
	for n := f.reach.joint[tip] + 1; n < len(f.bodies); n++ {
		o := f.reach.ops[n]
		if n != tip && p.has(n) && f.reach.beside(n, tip) && o.Family() != oplog.FamilyCheckpoint && (f.bodies[n] != nil || o.Critical()) {
			ns = append(ns, n)
		}
	}
	return ns
}

// keepable returns what a checkpoint over a past keeps of the ops beside the one before,
// in the order in which they count: what its author would have the right to write now,
// and what counts of the past takes nothing of. It folds them into s, the state of the
// past. First comes what takes away, by seniority; of admissions the one with the greater
// role; an end last; else the log's order.
func (e *Entity) keepable(p past, s *State) (kept []int) {
	f := e.facts
	v := e.verdict(p)
	forked := e.forked(p, v)
	var could []int
	order := make(map[int][4]int)
	place := f.places(e.log)
	for _, n := range e.besideTip(p) {
		if forked[n] {
			continue
		}
		could = append(could, n)
		o, at := f.reach.ops[n], [4]int{1, 0, 0, place[n]}
		_, leave := f.bodies[n].(*Leave)
		switch b := f.bodies[n].(type) {
		case *Admit:
			at[2] = -int(b.Role)
		case *End:
			at[0] = 2
		default:
			if leave || len(removes(o, b)) > 0 {
				at[0], at[1] = 0, e.rank(p, v, o.User())
			}
		}
		order[n] = at
	}
	if len(could) == 0 {
		return nil
	}
	slices.SortFunc(could, func(a, b int) int {
		x, y := order[a], order[b]
		return slices.Compare(x[:], y[:])
	})
	struck := make(voids) // by what counts
	strike := func(r int) {
		for _, piece := range f.struck(r, p, func(int) bool { return true }) {
			for _, n := range piece {
				struck[n] = true
			}
		}
	}
	for _, r := range f.removals {
		if p.has(r) && !v.void(r) {
			strike(r)
		}
	}
	for before := -1; before < len(kept); { // what is kept may give a right to more
		before = len(kept)
		could = slices.DeleteFunc(could, func(n int) bool {
			o, body, hit := f.reach.ops[n], f.bodies[n], struck[n]
			if hit || len(kept) == MaxKeeps || judge(s, o, withoutCuts(body), body != nil) != nil {
				return hit
			}
			apply(s, o, body)
			if _, filed := slices.BinarySearch(f.removals, n); filed {
				strike(n)
			}
			kept = append(kept, n)
			return true
		})
	}
	return kept
}

// withoutCuts is a removal as it is judged again: the devices that it cuts may have
// changed meanwhile.
func withoutCuts(body any) any {
	switch b := body.(type) {
	case *Remove:
		c := *b
		c.Cuts = nil
		return &c
	case *MasterRemove:
		return &MasterRemove{User: b.User}
	case *MasterTransfer:
		return &MasterTransfer{Party: b.Party}
	case *Leave:
		return &Leave{}
	}
	return body
}

// roots names the parts of a state that a checkpoint commits to (docs/PROTOCOL.md §2.10).
func (s *State) roots() (members, epochs, refs keys.Digest) {
	type member struct {
		User     keys.Digest `cbor:"1,keyasint"`
		Standing Standing    `cbor:"2,keyasint"`
		Role     Role        `cbor:"3,keyasint"`
		Party    Party       `cbor:"4,keyasint"`
		Admit    keys.Digest `cbor:"5,keyasint"`
	}
	type cut struct {
		User   keys.Digest `cbor:"1,keyasint"`
		Device keys.ID     `cbor:"2,keyasint"`
		Count  uint64      `cbor:"3,keyasint"`
	}
	type epoch struct {
		ID         keys.Digest `cbor:"1,keyasint"`
		Depth      uint64      `cbor:"2,keyasint"`
		Commitment keys.Digest `cbor:"3,keyasint"`
	}
	ms, cs, es, rs := []member{}, []cut{}, []epoch{}, [][16]byte{}
	for u, m := range s.Members {
		ms = append(ms, member{u, m.Standing, m.Role, m.Party, m.Admit})
		if m.Ref != [16]byte{} {
			rs = append(rs, m.Ref)
		}
	}
	for w, n := range s.Cuts {
		cs = append(cs, cut{w.User, w.Device, n})
	}
	for id, e := range s.Epochs {
		es = append(es, epoch{id, e.Depth, e.Commitment})
	}
	slices.SortFunc(ms, func(a, b member) int { return compare(a.User, b.User) })
	slices.SortFunc(cs, func(a, b cut) int {
		return cmp.Or(compare(a.User, b.User), bytes.Compare(a.Device[:], b.Device[:]))
	})
	slices.SortFunc(es, func(a, b epoch) int { return compare(a.ID, b.ID) })
	slices.SortFunc(rs, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	var ended byte
	if s.Ended {
		ended = 1
	}
	root := func(key byte, parts ...[]byte) keys.Digest {
		return keys.Hash(keys.LabelRoots, append([][]byte{s.ID[:], {key}}, parts...)...)
	}
	members = root(3, s.Founder[:], keys.Marshal(s.Policy), []byte(s.Title), []byte(s.Description), []byte{ended}, keys.Marshal(ms), keys.Marshal(cs))
	return members, root(4, keys.Marshal(es)), root(5, keys.Marshal(slices.Compact(rs)))
}
