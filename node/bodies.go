package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// Bodies that are not here (docs/PROTOCOL.md §2.11, §8.5). An operation counts without its
// body, so a sync is over when the envelopes are here; what is missing then is asked for by
// itself, of one device after the other, for as long as it is missing.

// lacking is what is known of the missing bodies of one entity.
type lacking struct {
	since map[keys.Digest]time.Time // when one was missed first
	asks  map[bodyAsk]backoff       // of those that a device did not have
	wants map[keys.Digest]bool      // that a person asked for, whatever the quota
	busy  map[keys.ID]bool          // devices that are being asked
}

// bodyAsk is one body, asked of one device.
type bodyAsk struct {
	id     keys.Digest
	device keys.ID
}

// backoff is when to ask again, and how long was waited for that.
type backoff struct {
	next time.Time
	wait time.Duration
}

// missing returns the operations of an entity whose bodies are to be asked for, the last
// that came first, of one author at most maxOpenBodies. The caller holds the node's lock.
func (n *Node) missingBodies(h *held) []oplog.Op {
	id := h.ID()
	if n.me == nil || h.Log().AbsentLen() == 0 {
		delete(n.lacking, id)
		return nil
	}
	l := n.lacking[id]
	if l == nil {
		l = &lacking{since: make(map[keys.Digest]time.Time), asks: make(map[bodyAsk]backoff), wants: make(map[keys.Digest]bool), busy: make(map[keys.ID]bool)}
		n.lacking[id] = l
	}
	dead := h.deadNow()
	open := make(map[keys.Digest]int)
	missing := slices.DeleteFunc(h.Log().Absent(), func(o oplog.Op) bool {
		if _, unshown := dead[o.ID()]; unshown || h.State().Kind != entity.Me && !h.MayHave(n.user, o.Epoch()) ||
			!l.wants[o.ID()] && n.overQuota(h, o) {
			return true
		}
		open[o.User()]++
		return open[o.User()] > maxOpenBodies
	})
	still := make(map[keys.Digest]bool, len(missing))
	for _, o := range missing {
		still[o.ID()] = true
		if _, noted := l.since[o.ID()]; !noted {
			l.since[o.ID()] = n.now()
		}
	}
	maps.DeleteFunc(l.since, func(id keys.Digest, _ time.Time) bool { return !still[id] })
	maps.DeleteFunc(l.asks, func(a bodyAsk, _ backoff) bool { return !still[a.id] })
	maps.DeleteFunc(l.wants, func(id keys.Digest, _ bool) bool { return !still[id] })
	return missing
}

// overQuota reports whether the body of an operation is more than this device takes of its
// author by itself (docs/PROTOCOL.md §8.5). Nothing that is decided rests on a body, so
// nobody else can tell. The caller holds the lock.
func (n *Node) overQuota(h *held, o oplog.Op) bool {
	if o.User() == n.user || o.Size() == 0 {
		return false
	}
	return h.stored()[o.User()]+o.Size() > maxAuthor || n.spending.over(bytesOfAuthor, quotaOf(h, o), n.now())
}

func quotaOf(h *held, o oplog.Op) string {
	var key [64]byte
	id, user := h.ID(), o.User()
	copy(key[copy(key[:], id[:]):], user[:])
	return string(key[:])
}

// spend counts a body that is here now against its author's quota.
func (tx *tx) spend(h *held, o oplog.Op) {
	h.stored()[o.User()] += o.Size()
	if o.User() != tx.n.user {
		tx.n.spending.addMany(bytesOfAuthor, quotaOf(h, o), o.Size(), tx.now)
	}
}

// wantBody has connected devices asked for a body that a person wants to see, whatever its
// author's quota. The caller holds the lock.
func (n *Node) wantBody(h *held, id keys.Digest) {
	n.missingBodies(h)
	l := n.lacking[h.ID()]
	if l == nil || l.wants[id] || n.runCtx == nil || n.runCtx.Err() != nil {
		return
	}
	l.wants[id] = true
	maps.DeleteFunc(l.asks, func(a bodyAsk, _ backoff) bool { return a.id == id })
	for d := range n.others(h) {
		if n.online([]keys.ID{d}) {
			n.wg.Go(func() { n.bodiesSoon(h.ID(), d) })
		}
	}
}

// bodiesView says of how many entries of an entity the text is not here. The caller holds
// the lock.
func (n *Node) bodiesView(h *held) BodiesView {
	v := BodiesView{Missing: len(n.missingBodies(h))}
	if l := n.lacking[h.ID()]; l != nil && v.Missing > 0 {
		v.Since = new(slices.MinFunc(slices.Collect(maps.Values(l.since)), time.Time.Compare))
	}
	dead := h.deadNow()
	for _, o := range h.Log().Absent() {
		if _, unshown := dead[o.ID()]; unshown {
			v.LetGo++
		}
	}
	return v
}

// bodiesAll asks connected devices for what is missing anywhere.
func (n *Node) bodiesAll() {
	n.mu.Lock()
	type pair struct {
		eid    keys.Digest
		device keys.ID
	}
	var pairs []pair
	for _, h := range n.all() {
		if h.Log().AbsentLen() == 0 || len(n.missingBodies(h)) == 0 {
			continue
		}
		for d := range n.others(h) {
			if n.online([]keys.ID{d}) {
				pairs = append(pairs, pair{h.ID(), d})
			}
		}
	}
	n.mu.Unlock()
	for _, p := range pairs {
		n.bodiesSoon(p.eid, p.device)
	}
}

// bodiesSoon asks a device for what is missing of an entity, in a goroutine of its own, one
// at a time.
func (n *Node) bodiesSoon(eid keys.Digest, device keys.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	if !ok || h.Log().AbsentLen() == 0 || n.runCtx == nil || n.runCtx.Err() != nil || len(n.toAsk(h, device)) == 0 {
		return
	}
	l := n.lacking[eid]
	if l.busy[device] {
		return
	}
	l.busy[device] = true
	ctx := n.runCtx
	n.wg.Go(func() {
		if err := n.bodiesFrom(ctx, device, eid); err != nil {
			n.log.Debug("bodies", "peer", device.String(), "entity", eid.String(), "err", err)
		}
		n.mu.Lock()
		delete(l.busy, device)
		n.mu.Unlock()
	})
}

// toAsk returns what a device is to be asked for now. The caller holds the lock.
func (n *Node) toAsk(h *held, device keys.ID) (ids []keys.Digest) {
	if !n.others(h)[device] {
		return nil
	}
	now := n.now()
	for _, o := range n.missingBodies(h) {
		if len(ids) == protocol.MaxWanted {
			break
		}
		if b, asked := n.lacking[h.ID()].asks[bodyAsk{o.ID(), device}]; asked && now.Before(b.next) && b.next.Sub(now) <= b.wait {
			continue
		}
		ids = append(ids, o.ID())
	}
	return ids
}

// bodiesFrom asks a device for what is missing of an entity, until it has said of all of it
// what it has.
func (n *Node) bodiesFrom(ctx context.Context, device keys.ID, eid keys.Digest) error {
	for ctx.Err() == nil {
		n.mu.Lock()
		var ids []keys.Digest
		if h, ok := n.find(eid); ok {
			ids = n.toAsk(h, device)
		}
		n.mu.Unlock()
		if len(ids) == 0 {
			return nil
		}
		answered, err := n.askBodies(ctx, device, eid, ids)
		if err != nil || answered == 0 {
			return err
		}
	}
	return ctx.Err()
}

// askBodies is A's side: it asks one device, and keeps what it gives.
func (n *Node) askBodies(ctx context.Context, device keys.ID, eid keys.Digest, ids []keys.Digest) (answered int, err error) {
	ctx, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	s, err := n.openStream(ctx, device, protocol.BodyID)
	if err != nil {
		return 0, err
	}
	undo := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer undo()
	defer func() { s.finish(err) }()
	if err := s.send(uint8(protocol.BodyWant), protocol.Want{Entity: eid, IDs: ids}); err != nil {
		return 0, err
	}
	for frames := 1; ; frames++ {
		typ, payload, err := s.read(protocol.BodyLimit)
		if err != nil || protocol.BodyType(typ) == protocol.BodyNo {
			return answered, err
		}
		if protocol.BodyType(typ) != protocol.BodyBodies {
			return answered, fmt.Errorf("%w: body frame %d", protocol.ErrUnexpected, typ)
		}
		f, err := protocol.DecodeBodies(payload)
		if err != nil {
			return answered, err
		}
		for _, a := range f.Answers { // in the order of what was asked, each once
			i := slices.Index(ids, a.ID)
			if i < 0 {
				return answered, fmt.Errorf("%w: the body of %v, which was not asked for", protocol.ErrUnexpected, a.ID)
			}
			ids = ids[i+1:]
		}
		answered += len(f.Answers)
		if err := n.takeBodies(eid, device, f.Answers); err != nil || !f.More {
			return answered, err
		}
		if frames == maxBodyFrames {
			return answered, fmt.Errorf("%w: more than %d frames of bodies", protocol.ErrUnexpected, maxBodyFrames)
		}
	}
}

// takeBodies keeps bodies that a device gave, and notes what it did not have. One that is
// not its operation's ends it: what came before is kept.
func (n *Node) takeBodies(eid keys.Digest, device keys.ID, answers []protocol.Answer) error {
	return n.update(func(tx *tx) error {
		h, ok := n.find(eid)
		if !ok {
			return nil
		}
		for _, a := range answers {
			o, ok := h.Log().Get(a.ID)
			if !ok || o.Here() {
				continue
			}
			if a.Says != protocol.BodyHere {
				n.askLater(h, bodyAsk{a.ID, device})
				continue
			}
			o, err := h.Log().Whole(o)
			if err != nil {
				return err
			}
			if o, err = o.WithBody(a.Body); err != nil {
				n.askLater(h, bodyAsk{a.ID, device}) // so that the next exchange brings what comes after it
				return err
			}
			tx.bring(h, o)
		}
		return nil
	})
}

// askLater notes that a device did not have a body. The caller holds the lock.
func (n *Node) askLater(h *held, a bodyAsk) {
	l := n.lacking[h.ID()]
	if l == nil {
		return
	}
	b := l.asks[a]
	b.wait = min(max(2*b.wait, keepEvery), bodyAgain)
	b.next = n.now().Add(b.wait)
	l.asks[a] = b
}

// serveBodies is B's side.
func (n *Node) serveBodies(_ context.Context, s *stream) (err error) {
	defer func() { s.finish(err) }()
	if !n.knows(s.peer) {
		return errStranger
	}
	if !n.afford(bodiesOfPeer, s.peer) {
		return errBusy
	}
	if err := s.SetReadDeadline(time.Now().Add(protocol.FrameTime)); err != nil {
		return err
	}
	typ, payload, err := s.read(protocol.BodyLimit)
	if err != nil {
		return err
	}
	if protocol.BodyType(typ) != protocol.BodyWant {
		return fmt.Errorf("%w: body frame %d", protocol.ErrUnexpected, typ)
	}
	want, err := protocol.DecodeWant(payload)
	if err != nil {
		return err
	}
	answers, whole, err := n.answersFor(s.peer, want)
	if errors.Is(err, errNoEntity) {
		return s.send(uint8(protocol.BodyNo), protocol.No{})
	}
	if err != nil {
		return err
	}
	if err := n.store.settled(); err != nil {
		return err
	}
	for frames := 1; ; frames++ {
		var f protocol.Bodies
		f.Answers, answers, err = fill(answers, whole)
		if err != nil {
			return err
		}
		f.More = len(answers) > 0 && frames < maxBodyFrames
		if err := s.send(uint8(protocol.BodyBodies), f); err != nil || !f.More {
			return err
		}
	}
}

// answersFor says of each body that a device wants whether it gets it; those that it gets
// have no bodies yet: whole finds them. It fails with errNoEntity where the device may not
// ask.
func (n *Node) answersFor(device keys.ID, want protocol.Want) (answers []protocol.Answer, whole func(keys.Digest) (oplog.Op, error), err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(want.Entity)
	if !ok || !n.mayHave(h, device) {
		return nil, nil, errNoEntity
	}
	may := n.mayRead(h, device)
	ops := make(map[keys.Digest]oplog.Op)
	for _, id := range want.IDs {
		o, known := h.Log().Get(id)
		a := protocol.Answer{ID: id, Says: protocol.BodyHere}
		switch {
		case !known || o.Size() == 0:
			a.Says = protocol.BodyNotHere
		case !may[o.Epoch()]:
			a.Says = protocol.BodyNoRight
		case !o.Here():
			a.Says = protocol.BodyNotHere
			if _, unshown := h.deadNow()[id]; unshown {
				a.Says = protocol.BodyLetGo
			}
		default:
			ops[id] = o
		}
		answers = append(answers, a)
	}
	log := h.Log()
	return answers, func(id keys.Digest) (oplog.Op, error) { return log.Whole(ops[id]) }, nil
}

// fill puts as many answers as fit into one frame, with their bodies, and returns the rest.
func fill(answers []protocol.Answer, whole func(keys.Digest) (oplog.Op, error)) (frame, rest []protocol.Answer, err error) {
	frame = []protocol.Answer{}
	size := 0
	for i, a := range answers {
		if a.Says == protocol.BodyHere {
			o, err := whole(a.ID)
			if err != nil {
				return nil, nil, err
			}
			if a.Body = o.Body(); a.Body == nil { // let go of since
				a.Says = protocol.BodyNotHere
			}
		}
		if size += answerHead + len(a.Body); size > syncChunk && i > 0 {
			return frame, answers[i:], nil
		}
		frame = append(frame, a)
	}
	return frame, nil, nil
}
