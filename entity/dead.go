package entity

import (
	"fmt"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// MaxDropped is how many bytes of stubs, as CBOR, one checkpoint drops: a list fits a frame
// of sync (docs/PROTOCOL.md §2.11).
const MaxDropped = 768 << 10

// dead returns what a checkpoint over a past, with these heads of content, has to drop,
// ascending by id. It fails with ErrNoKey where something does not open for want of a key,
// and with oplog.ErrMissing where some of the content is not here, or is here as a stub
// that no earlier checkpoint accounts for.
func (e *Entity) dead(p past, heads []oplog.Head, ring Keyring) ([]oplog.Stub, error) {
	dropped, err := e.droppedBefore(p, ring)
	if err != nil {
		return nil, err
	}
	ops, err := e.contentAt(heads)
	if err != nil {
		return nil, err
	}
	r := e.readerAt(p, ops, dropped)
	named := make(map[keys.Digest]bool) // by the next op of its device, which says that the id is that device's
	for _, o := range ops {
		if dropped[o.ID()] || o.Signed() {
			named[o.Prev()] = true
		}
		_, held := ring[o.Epoch()]
		switch {
		case o.Bare() && !dropped[o.ID()]:
			return nil, fmt.Errorf("%w: the body of %v", oplog.ErrMissing, o.ID())
		case !o.Bare() && !held && boardBody(o) != nil && r.counts(o):
			return nil, fmt.Errorf("%w: %v", ErrNoKey, o.ID())
		}
	}
	var stubs []oplog.Stub
	for _, o := range r.dead(ops, ring) {
		if !dropped[o.ID()] && o.Signed() && named[o.ID()] && (dropped[o.Prev()] || !e.vouchesAlone(o)) {
			stubs = append(stubs, oplog.StubOf(o))
		}
	}
	slices.SortFunc(stubs, func(a, b oplog.Stub) int { return compare(a.ID, b.ID) })
	size := 0
	for i, s := range stubs {
		if size += len(keys.Marshal(s)); size > MaxDropped {
			return stubs[:i], nil
		}
	}
	return stubs, nil
}

// vouchesAlone reports whether the op before o in its chain is whole and has a bad signature
// of its own, so that it is authentic by o, which a stub could not say.
func (e *Entity) vouchesAlone(o oplog.Op) bool {
	prev, ok := e.log.Get(o.Prev())
	return ok && !prev.Bare() && !prev.Signed()
}

// deadNow returns the ids of what is whole and of which nothing is shown, as far as that
// can be read here.
func (e *Entity) deadNow(ring Keyring) map[keys.Digest]bool {
	ops := slices.Collect(e.log.All(oplog.Content))
	stubs := make(map[keys.Digest]bool)
	for _, o := range ops {
		if o.Bare() {
			stubs[o.ID()] = true
		}
	}
	dead := make(map[keys.Digest]bool)
	for _, o := range e.readerAt(e.facts.reach.upTo(e.log.Heads(oplog.Control)), ops, stubs).dead(ops, ring) {
		dead[o.ID()] = !stubs[o.ID()]
	}
	return dead
}

// reader reads some of a board's content by the state of a past.
type reader struct {
	e       *Entity
	past    past
	verdict *verdict
	state   *State
	forked  map[keys.ID]uint64
	dropped map[keys.Digest]bool
}

// readerAt returns a reader of ops, of which those in dropped have no body for it, whether
// it is here or not: that there was an article, a stub says.
func (e *Entity) readerAt(p past, ops []oplog.Op, dropped map[keys.Digest]bool) *reader {
	v := e.verdict(p)
	return &reader{e, p, v, e.foldBy(p, v), forksAmong(ops), dropped}
}

// counts reports whether an op has a say: as Counts, and it was written in an epoch that
// is not void, whose key members can have.
func (r *reader) counts(o oplog.Op) bool {
	at, forks := r.forked[o.Device()]
	epoch, known := r.state.Epochs[o.Epoch()]
	unread := r.dropped[o.ID()] && !is(o, oplog.FamilyArticle, TypeArticleNew)
	return r.state.Members[o.User()] != nil && !r.state.beyondCut(o) && !(forks && o.Seq() >= at) && known && !epoch.Void && !unread
}

// mayDelete is Entity.mayDelete by the reader's past, which must have all that o cites.
func (r *reader) mayDelete(o, of oplog.Op) bool {
	return o.User() == of.User() || r.past.covers(o.Auth()) &&
		r.e.partial(r.past.reach.upTo(o.Auth()), r.verdict, o.User()).Speaks(o.User(), o.Device(), Master)
}

// dead returns those of the ops, which are in the log's order, of which nothing is shown.
func (r *reader) dead(ops []oplog.Op, ring Keyring) (dead []oplog.Op) {
	b := r.e.boardOf(slices.Values(ops), ring, r.counts, r.mayDelete)
	findLatest(r.e.log, b.posts, make(map[keys.Digest]latest))
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

// covers reports whether all of some control ops are in the past.
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
