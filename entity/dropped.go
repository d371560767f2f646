package entity

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// Times of what checkpoints drop (docs/PROTOCOL.md §2.11).
const (
	DropAfter = 14 * 24 * time.Hour // from a checkpoint until what it drops is gone, and until one is made for what is dead
	lookAfter = time.Hour           // between two looks for what is dead now: each reads the whole board
)

// ErrDropped says that a list is not that of what a checkpoint drops, or of none that
// nobody can undo alone.
var ErrDropped = errors.New("entity: not what a checkpoint drops")

// list is what was found out about what a checkpoint drops, with so many keys and lists
// of others.
type list struct {
	stubs       []oplog.Stub
	err         error
	keys, lists int
}

// droppedBefore returns what the final checkpoints of a past drop. It fails like found,
// but with oplog.ErrMissing where one of them is false: nobody can tell then what is gone.
func (e *Entity) droppedBefore(p past, ring Keyring) (map[keys.Digest]bool, error) {
	dropped := make(map[keys.Digest]bool)
	for _, c := range e.closedAt(p).chain {
		stubs, err := e.listOf(c, ring)
		if errors.Is(err, ErrDropped) {
			return nil, fmt.Errorf("%w: a true list of %v", oplog.ErrMissing, e.facts.reach.ops[c].ID())
		}
		if err != nil {
			return nil, err
		}
		for _, s := range stubs {
			dropped[s.ID] = true
		}
	}
	return dropped, nil
}

// listOf returns what a checkpoint drops: what comes out of the log, or, where that cannot
// be found, a list that the log keeps. It fails like found.
func (e *Entity) listOf(c int, ring Keyring) ([]oplog.Stub, error) {
	kept, ok := e.log.Dropped(e.facts.reach.ops[c].ID())
	if ok && e.has(kept.Stubs, oplog.Op.Bare) {
		return kept.Stubs, nil // it cannot be found again
	}
	stubs, err := e.found(c, ring)
	if err != nil && !errors.Is(err, ErrDropped) && ok {
		return kept.Stubs, nil
	}
	return stubs, err
}

// found returns the list of what a checkpoint drops as it comes out of the log. It fails
// like dead, and with ErrDropped where that is not what its author said.
func (e *Entity) found(c int, ring Keyring) ([]oplog.Stub, error) {
	o, body := e.facts.reach.ops[c], e.facts.bodies[c].(*Checkpoint)
	if body.Drops == 0 {
		return nil, nil
	}
	lists := e.log.DroppedLists()
	if l, known := e.reading.lists[c]; known && (l.err == nil || errors.Is(l.err, ErrDropped) || l.keys == len(ring) && l.lists == lists) {
		return l.stubs, l.err
	}
	for _, h := range body.Heads {
		if _, ok := e.log.Get(h.ID); !ok { // soon it may be here
			return nil, fmt.Errorf("%w: content %v", oplog.ErrMissing, h.ID)
		}
	}
	if _, err := e.droppedBefore(e.pastOf(o), ring); err != nil { // the same of those before
		return nil, err
	}
	stubs, err := e.dead(e.pastOf(o), body.Heads, ring)
	if err == nil && !e.isList(c, stubs) {
		stubs, err = nil, fmt.Errorf("%w: checkpoint %v", ErrDropped, o.ID())
	}
	if e.reading.lists == nil {
		e.reading.lists = make(map[int]list)
	}
	e.reading.lists[c] = list{stubs, err, len(ring), lists}
	return stubs, err
}

// isList reports whether a list is the one that a checkpoint commits to.
func (e *Entity) isList(c int, stubs []oplog.Stub) bool {
	body := e.facts.bodies[c].(*Checkpoint)
	return uint64(len(stubs)) == body.Drops && contentRoot(e.ID(), body.Heads, stubs) == body.Content
}

// dropsNow returns what a checkpoint over a past, signed now, drops. It fails like dead, and
// with ErrNoKey where a master was let in without the older keys: he could ack none that
// drops something.
func (e *Entity) dropsNow(p past, heads []oplog.Head, ring Keyring) ([]oplog.Stub, error) {
	for _, m := range e.State().Active() {
		a, admitted := e.facts.bodies[e.facts.reach.number[m.Admit]].(*Admit)
		if m.Role == Master && admitted && a.History != nil && a.History.limits() {
			return nil, fmt.Errorf("%w: master %v", ErrNoKey, m.Party.User)
		}
	}
	return e.dead(p, heads, ring)
}

// anyDead reports whether a checkpoint made now would drop something, as far as that was
// found within an hour.
func (e *Entity) anyDead(ring Keyring, now time.Time) bool {
	r := &e.reading
	if since := now.Sub(r.looked); r.looked.IsZero() || since < 0 || since >= lookAfter {
		stubs, err := e.dropsNow(e.facts.reach.upTo(e.log.Heads(oplog.Control)), e.contentHeads(), ring)
		r.looked, r.anyDead = now, err == nil && len(stubs) > 0
	}
	return r.anyDead
}

// wantsDrop reports whether a checkpoint is due for what is dead, after the last one, or the
// genesis.
func (e *Entity) wantsDrop(last int, ring Keyring, now time.Time) bool {
	since := now.Sub(e.facts.reach.ops[last].At())
	full := false // then there is more
	if _, is := e.facts.bodies[last].(*Checkpoint); is {
		stubs, err := e.listOf(last, ring)
		full = err == nil && len(stubs) > 0 && len(keys.Marshal(stubs)) > MaxDropped-oplog.MaxStub
	}
	return (full || since < 0 || since >= DropAfter) && e.anyDead(ring, now) // one of tomorrow says nothing
}

// Drop is a final checkpoint that drops something.
type Drop struct {
	Checkpoint keys.Digest
	At         time.Time // as the authors of it and of those after it say: the earliest
	Count      int
	Settled    bool // no other checkpoint can take its place, but by a key of the founder's where his word is all there is
}

// Drops returns the final checkpoints that drop something, oldest first.
func (e *Entity) Drops() (out []Drop) {
	chain, settled := e.settledOf()
	var at time.Time
	for i, c := range slices.Backward(chain) {
		o := e.facts.reach.ops[c]
		if at.IsZero() || o.At().Before(at) {
			at = o.At()
		}
		if n := e.facts.bodies[c].(*Checkpoint).Drops; n > 0 {
			out = append(out, Drop{Checkpoint: o.ID(), At: at, Count: int(min(n, MaxDropped)), Settled: settled[i]})
		}
	}
	slices.Reverse(out)
	return out
}

// settledDrop returns a settled checkpoint that drops something. It fails with ErrDropped.
func (e *Entity) settledDrop(checkpoint keys.Digest) (int, error) {
	if !slices.ContainsFunc(e.Drops(), func(d Drop) bool { return d.Checkpoint == checkpoint && d.Settled }) {
		return 0, fmt.Errorf("%w: %v is not settled", ErrDropped, checkpoint)
	}
	return e.facts.reach.number[checkpoint], nil
}

// settledOf returns the final checkpoints, and of each whether it is confirmed, and safe with
// all before it (docs/PROTOCOL.md §2.11).
func (e *Entity) settledOf() (chain []int, settled []bool) {
	f := e.facts
	if f.held.at == len(f.bodies) {
		return f.held.chain, f.held.settled
	}
	all := f.reach.upTo(e.log.Heads(oplog.Control))
	chain = e.closedAt(all).chain
	settled = make([]bool, len(chain))
	type contest struct {
		c, known int // known others when it was last looked at
		safe     bool
	}
	var contests []contest
	for i, c := range chain {
		if len(f.next[f.prev[c]]) > 1 {
			contests = append(contests, contest{c, -1, false})
		} else if !e.safe(c, nil) {
			break
		}
		settled[i] = e.confirmed(all, c)
		for j := range contests {
			x := &contests[j]
			if others := f.others(x.c, c); len(others) != x.known {
				x.known, x.safe = len(others), e.safe(x.c, others)
			}
			settled[i] = settled[i] && x.safe
		}
	}
	f.held = settlement{len(f.bodies), chain, settled}
	return chain, settled
}

// others returns those of the checkpoints that follow the same one as c that are in the past
// of at. What comes to light later takes nothing from at.
func (f *facts) others(c, at int) (os []int) {
	for _, o := range f.next[f.prev[c]] {
		if o != c && f.reach.before(o, at) {
			os = append(os, o)
		}
	}
	return os
}

// standers returns who made or acked one of some checkpoints.
func (f *facts) standers(cs ...int) map[keys.Digest]bool {
	users := make(map[keys.Digest]bool)
	for _, c := range cs {
		users[f.reach.ops[c].User()] = true
		for _, a := range f.acks[c] {
			users[f.reach.ops[a].User()] = true
		}
	}
	return users
}

// safe reports whether too few masters are left who could give another checkpoint the acks
// to take the place of c, one of the chain: who stands for c, and for none of the others that
// are known, does not; nor does who is no master any more and stands for none of these,
// unless the author of c knew of one.
func (e *Entity) safe(c int, others []int) bool {
	f := e.facts
	knew := slices.ContainsFunc(others, func(o int) bool { return f.reach.before(o, c) })
	stand, both := f.standers(c), f.standers(others...)
	for _, point := range append(others, c) {
		masters, could := e.mark(point).masters, 0
		for _, u := range masters {
			if both[u] || !stand[u] && (knew || !e.wasOut(u, point)) {
				could++
			}
		}
		if could > 1 && enough(could, masters) { // one alone has no ack
			return false
		}
	}
	return true
}

// confirmed reports whether a final checkpoint has more than its founder's word: enough
// masters acked it, or all those who could and have been some ever since.
func (e *Entity) confirmed(p past, c int) bool {
	final, acked := e.final(p, c)
	stand := e.facts.standers(c)
	couldAck := func(u keys.Digest) bool { return !stand[u] && !e.wasOut(u, c) }
	return acked || final && !slices.ContainsFunc(e.mark(c).masters, couldAck)
}

// wasOut reports whether somebody ceased to be an owner by an op that counts for good and is
// not in the past of a checkpoint: what was settled by it stays so, also when he is one again.
func (e *Entity) wasOut(u keys.Digest, c int) bool {
	f := e.facts
	return slices.ContainsFunc(f.about[u], func(n int) bool {
		o, out := f.reach.ops[n], false
		switch f.bodies[n].(type) {
		case *Remove, *MasterRemove:
			out = true
		case *Leave, *MasterTransfer:
			out = o.User() == u
		}
		return out && !f.reach.before(n, c) && e.Final(o) && !e.State().Void[o.ID()]
	})
}

// checkpoints returns those in force: the final ones, and those that wait for acks.
func (e *Entity) checkpoints() []int {
	chain := e.closedAt(e.facts.reach.upTo(e.log.Heads(oplog.Control))).chain
	tip := -1
	if len(chain) > 0 {
		tip = chain[len(chain)-1]
	}
	return slices.Concat(chain, e.facts.next[tip])
}

// CheckDrops looks for checkpoints that drop something else than what is dead, as far as
// that can be found with the keys of ring.
func (e *Entity) CheckDrops(ring Keyring) {
	for _, c := range e.checkpoints() {
		_, _ = e.listOf(c, ring) // it is remembered
	}
}

// FalseDrops returns what CheckDrops found.
func (e *Entity) FalseDrops() (ids []keys.Digest) {
	for _, c := range e.checkpoints() {
		if errors.Is(e.reading.lists[c].err, ErrDropped) {
			ids = append(ids, e.facts.reach.ops[c].ID())
		}
	}
	return ids
}

// Strip replaces by their stubs what a settled checkpoint drops and what is dead now too,
// as read here, and returns the list and the ops that were replaced, which are bare now. It
// fails with ErrDropped where the checkpoint drops something else than what was dead, and
// else like dead.
func (e *Entity) Strip(checkpoint keys.Digest, ring Keyring) (oplog.Dropped, []oplog.Op, error) {
	d := oplog.Dropped{Checkpoint: checkpoint}
	c, err := e.settledDrop(checkpoint)
	if err != nil {
		return d, nil, err
	}
	if d.Stubs, err = e.listOf(c, ring); err != nil {
		return d, nil, err
	}
	if !e.has(d.Stubs, whole) {
		e.log.KeepDropped(d)
		return d, nil, nil
	}
	dead := e.deadNow(ring)
	stripped, err := e.log.Strip(d, func(o oplog.Op) bool { return !dead[o.ID()] || e.vouchesAlone(o) })
	for _, o := range stripped {
		delete(e.reading.gists, o.ID())
	}
	return d, stripped, err
}

// has reports whether one of the ops of a list is here and is so.
func (e *Entity) has(stubs []oplog.Stub, is func(oplog.Op) bool) bool {
	return slices.ContainsFunc(stubs, func(s oplog.Stub) bool { o, here := e.log.Get(s.ID); return here && is(o) })
}

func whole(o oplog.Op) bool { return !o.Bare() }

// TakeDropped checks a list that a member sent, and has the log keep it. It fails with
// ErrDropped, also where it can be seen here that the list is false, or like
// oplog.Dropped.Ops.
func (e *Entity) TakeDropped(d oplog.Dropped, ring Keyring) error {
	c, err := e.settledDrop(d.Checkpoint)
	if err != nil {
		return err
	}
	if !e.isList(c, d.Stubs) {
		return fmt.Errorf("%w: of %v", ErrDropped, d.Checkpoint)
	}
	if _, err := e.found(c, ring); errors.Is(err, ErrDropped) {
		return err
	}
	if _, err := d.Ops(e.ID()); err != nil {
		return err
	}
	e.log.KeepDropped(d)
	return nil
}
