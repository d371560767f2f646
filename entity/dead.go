package entity

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// Bounds of what checkpoints drop (docs/PROTOCOL.md §2.11).
const (
	MaxDropped = 768 << 10           // bytes of one list as CBOR: it fits a frame of sync
	DropAfter  = 14 * 24 * time.Hour // from a checkpoint until what it drops is gone, and until one is made for what is dead
	lookAfter  = time.Hour           // between two looks for what is dead now: each reads the whole board
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

// dead returns the list of what a checkpoint over a past, with these heads of content,
// has to drop. It fails with ErrNoKey where something does not open for want of a key, and
// with oplog.ErrMissing where some of the content is not here, or is here as a stub that
// no earlier checkpoint accounts for.
func (e *Entity) dead(p past, heads []oplog.Head, ring Keyring) ([]oplog.Stub, error) {
	dropped, err := e.droppedBefore(p, ring)
	if err != nil {
		return nil, err
	}
	ops, err := e.contentAt(heads)
	if err != nil {
		return nil, err
	}
	for _, o := range ops {
		_, held := ring[o.Epoch()]
		switch {
		case o.Bare() && !dropped[o.ID()]:
			return nil, fmt.Errorf("%w: the body of %v", oplog.ErrMissing, o.ID())
		case !o.Bare() && !held && boardBody(o) != nil:
			return nil, fmt.Errorf("%w: %v", ErrNoKey, o.ID())
		}
	}
	var stubs []oplog.Stub
	for _, o := range e.deadAmong(p, ops, dropped, ring) {
		if !dropped[o.ID()] {
			stubs = append(stubs, oplog.StubOf(o))
		}
	}
	slices.SortFunc(stubs, func(a, b oplog.Stub) int { return compare(a.ID, b.ID) })
	size := 5 // the head of the array
	for i, s := range stubs {
		if size += len(keys.Marshal(s)); size > MaxDropped {
			return stubs[:i], nil
		}
	}
	return stubs, nil
}

// deadAmong returns the ops, which are given in the log's order, of which nothing is
// shown, by the state of a past. What was dropped is read by nobody, also where it is
// whole; that there was an article, its stub says.
func (e *Entity) deadAmong(p past, ops []oplog.Op, dropped map[keys.Digest]bool, ring Keyring) (dead []oplog.Op) {
	v := e.verdict(p)
	s := e.foldBy(p, v)
	forked := forksAmong(ops)
	counts := func(o oplog.Op) bool {
		at, forks := forked[o.Device()]
		unread := dropped[o.ID()] && !is(o, oplog.FamilyArticle, TypeArticleNew)
		return s.Members[o.User()] != nil && !s.beyondCut(o) && !(forks && o.Seq() >= at) && !unread
	}
	mayDelete := func(o, of oplog.Op) bool {
		return o.User() == of.User() || p.covers(o.Auth()) && e.partial(p.reach.upTo(o.Auth()), v, o.User()).Speaks(o.User(), o.Device(), Master)
	}
	b := e.boardOf(slices.Values(ops), ring, counts, mayDelete)
	findLatest(e.log, b.posts, make(map[keys.Digest]latest))
	for _, post := range b.posts {
		switch {
		case post.deleted != oplog.Op{}:
			dead = append(dead, post.op)
			dead = append(dead, post.edits...)
			dead = append(dead, post.comments...)
		case len(post.shown) > 0:
			dead = append(dead, post.op)
			for _, o := range post.edits {
				if !slices.Contains(post.shown, o) {
					dead = append(dead, o)
				}
			}
		}
	}
	return dead
}

// covers reports whether all control ops of some are in the past.
func (p past) covers(ids []keys.Digest) bool {
	return !slices.ContainsFunc(ids, func(id keys.Digest) bool {
		n, ok := p.reach.number[id]
		return !ok || !p.has(n)
	})
}

// contentAt returns the content ops at and before heads, in the log's order. It fails with
// oplog.ErrMissing.
func (e *Entity) contentAt(heads []oplog.Head) ([]oplog.Op, error) {
	in := make(map[keys.Digest]bool)
	var todo []keys.Digest
	for _, h := range heads {
		if o, ok := e.log.Get(h.ID); !ok || o.Strand() != oplog.Content {
			return nil, fmt.Errorf("%w: content %v", oplog.ErrMissing, h.ID)
		}
		todo = append(todo, h.ID)
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !id.IsZero() && !in[id] {
			in[id] = true
			o, _ := e.log.Get(id)
			todo = append(append(todo, o.Prev()), o.Parents()...)
		}
	}
	var ops []oplog.Op
	for o := range e.log.All(oplog.Content) {
		if in[o.ID()] {
			ops = append(ops, o)
		}
	}
	return ops, nil
}

// forksAmong returns the lowest place of each device at which two of the ops are.
func forksAmong(ops []oplog.Op) map[keys.ID]uint64 {
	type place struct {
		device keys.ID
		seq    uint64
	}
	taken, forks := make(map[place]bool), make(map[keys.ID]uint64)
	for _, o := range ops {
		at := place{o.Device(), o.Seq()}
		if low, known := forks[o.Device()]; taken[at] && (!known || o.Seq() < low) {
			forks[o.Device()] = o.Seq()
		}
		taken[at] = true
	}
	return forks
}

// droppedBefore returns what the final checkpoints of a past drop.
func (e *Entity) droppedBefore(p past, ring Keyring) (map[keys.Digest]bool, error) {
	dropped := make(map[keys.Digest]bool)
	for _, c := range e.closedAt(p).chain {
		stubs, err := e.listOf(c, ring)
		if err != nil {
			return nil, err
		}
		for _, s := range stubs {
			dropped[s.ID] = true
		}
	}
	return dropped, nil
}

// listOf returns what a checkpoint drops: the list that the log keeps, or the one that
// comes out of the log. It fails like dead, and with ErrDropped where what comes out is not
// what its author said.
func (e *Entity) listOf(c int, ring Keyring) ([]oplog.Stub, error) {
	o, body := e.facts.reach.ops[c], e.facts.bodies[c].(*Checkpoint)
	if body.Drops == 0 {
		return nil, nil
	}
	if d, ok := e.log.Dropped(o.ID()); ok {
		return d.Stubs, nil
	}
	kept := e.log.DroppedLists()
	if l, known := e.reading.lists[c]; known && (l.err == nil || errors.Is(l.err, ErrDropped) || l.keys == len(ring) && l.lists == kept) {
		return l.stubs, l.err
	}
	for _, h := range body.Heads {
		if _, ok := e.log.Get(h.ID); !ok { // soon it may be here
			return nil, fmt.Errorf("%w: content %v", oplog.ErrMissing, h.ID)
		}
	}
	stubs, err := e.dead(e.pastOf(o), body.Heads, ring)
	if err == nil && (uint64(len(stubs)) != body.Drops || contentRoot(e.ID(), body.Heads, stubs) != body.Content) {
		stubs, err = nil, fmt.Errorf("%w: checkpoint %v", ErrDropped, o.ID())
	}
	if e.reading.lists == nil {
		e.reading.lists = make(map[int]list)
	}
	e.reading.lists[c] = list{stubs, err, len(ring), kept}
	return stubs, err
}

// anyDead reports whether a checkpoint made now would drop something, as far as that was
// found within an hour.
func (e *Entity) anyDead(ring Keyring, now time.Time) bool {
	r := &e.reading
	if since := now.Sub(r.looked); r.looked.IsZero() || since < 0 || since >= lookAfter {
		stubs, err := e.dead(e.facts.reach.upTo(e.log.Heads(oplog.Control)), e.contentHeads(), ring)
		r.looked, r.anyDead = now, err == nil && len(stubs) > 0
	}
	return r.anyDead
}

// full reports whether a checkpoint drops as much as it may, so that there is more.
func (e *Entity) full(c int, ring Keyring) bool {
	if _, is := e.facts.bodies[c].(*Checkpoint); !is {
		return false
	}
	stubs, err := e.listOf(c, ring)
	return err == nil && len(stubs) > 0 && len(keys.Marshal(stubs)) > MaxDropped-oplog.MaxStub
}

// Drop is a checkpoint that drops something.
type Drop struct {
	Checkpoint keys.Digest
	At         time.Time // as its author says
	Count      int
	Settled    bool // no other checkpoint can take its place, but by the key of a founder who was the only master
}

// Drops returns the final checkpoints that drop something, oldest first.
func (e *Entity) Drops() (out []Drop) {
	all := e.facts.reach.upTo(e.log.Heads(oplog.Control))
	for _, c := range e.closedAt(all).chain {
		if n := e.facts.bodies[c].(*Checkpoint).Drops; n > 0 {
			o := e.facts.reach.ops[c]
			out = append(out, Drop{Checkpoint: o.ID(), At: o.At(), Count: int(min(n, MaxDropped)), Settled: e.isSettled(all, c)})
		}
	}
	return out
}

func (e *Entity) isSettled(p past, c int) bool {
	final, acked := e.final(p, c)
	return acked || final && len(e.mark(c).masters) == 1
}

// CheckDrops looks for final checkpoints that drop something else than what is dead, as
// far as that can be found with the keys of ring.
func (e *Entity) CheckDrops(ring Keyring) {
	for _, d := range e.Drops() {
		_, _ = e.listOf(e.facts.reach.number[d.Checkpoint], ring) // it is remembered
	}
}

// FalseDrops returns what CheckDrops found.
func (e *Entity) FalseDrops() (ids []keys.Digest) {
	for _, d := range e.Drops() {
		if errors.Is(e.reading.lists[e.facts.reach.number[d.Checkpoint]].err, ErrDropped) {
			ids = append(ids, d.Checkpoint)
		}
	}
	return ids
}

// Strip replaces by their stubs what a settled checkpoint drops, and returns the list and
// the ops that were replaced, which are bare now. It fails with ErrDropped where it drops
// something else than what is dead, and else like dead.
func (e *Entity) Strip(checkpoint keys.Digest, ring Keyring) (oplog.Dropped, []oplog.Op, error) {
	d := oplog.Dropped{Checkpoint: checkpoint}
	if !slices.ContainsFunc(e.Drops(), func(d Drop) bool { return d.Checkpoint == checkpoint && d.Settled }) {
		return d, nil, fmt.Errorf("%w: %v is not settled", ErrDropped, checkpoint)
	}
	var err error
	if d.Stubs, err = e.listOf(e.facts.reach.number[checkpoint], ring); err != nil {
		return d, nil, err
	}
	stripped, err := e.log.Strip(d)
	for _, o := range stripped {
		delete(e.reading.gists, o.ID())
	}
	return d, stripped, err
}

// TakeDropped checks a list that a member sent, and has the log keep it. Those before it
// in the chain must be here. It fails with ErrDropped, or like oplog.Dropped.Ops.
func (e *Entity) TakeDropped(d oplog.Dropped) error {
	for _, drop := range e.Drops() {
		if drop.Checkpoint != d.Checkpoint {
			if _, ok := e.log.Dropped(drop.Checkpoint); !ok {
				return fmt.Errorf("%w: %v before %v", ErrDropped, drop.Checkpoint, d.Checkpoint)
			}
			continue
		}
		body := e.facts.bodies[e.facts.reach.number[d.Checkpoint]].(*Checkpoint)
		if !drop.Settled || uint64(len(d.Stubs)) != body.Drops || contentRoot(e.ID(), body.Heads, d.Stubs) != body.Content {
			return fmt.Errorf("%w: of %v", ErrDropped, d.Checkpoint)
		}
		if _, err := d.Ops(e.ID()); err != nil {
			return err
		}
		e.log.KeepDropped(d)
		return nil
	}
	return fmt.Errorf("%w: %v is not final", ErrDropped, d.Checkpoint)
}
