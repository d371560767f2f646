package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// Control larger than a frame (docs/PROTOCOL.md §6.6): who is let in fetches the rest of
// the control strand from the issuer or another member, and judges it whole.

// serveControl answers who was let in and does not have the control strand yet; somebody
// who was removed since gets it up to the removal.
func (n *Node) serveControl(s *stream, payload []byte) error {
	c, err := protocol.DecodeControl(payload)
	if err != nil {
		return err
	}
	if !n.afford(controlsOfPeer, s.peer) {
		return errBusy
	}
	ops, ok := n.controlFor(c, s.peer)
	if !ok {
		return s.sendSync(protocol.SyncNo, protocol.No{})
	}
	return n.sendOps(s, c.Entity, ops)
}

func (n *Node) controlFor(c protocol.Control, device keys.ID) ([]oplog.Op, bool) {
	if n.shares(c.Entity, device) {
		n.mu.Lock()
		defer n.mu.Unlock()
		h, ok := n.find(c.Entity)
		if !ok {
			return nil, false
		}
		return h.ControlBeyond(c.Heads), true
	}
	part, _ := n.partFor(c.Entity, device)
	if part == nil {
		return nil, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(c.Entity)
	if !ok {
		return nil, false
	}
	return slices.DeleteFunc(h.ControlBeyond(c.Heads), func(o oplog.Op) bool {
		_, theirs := part.Get(o.ID())
		return !theirs
	}), true
}

// Errors of a device that was asked for control.
var (
	errNotShared = errors.New("node: control is not shared with us")
	errShort     = errors.New("node: all that a device has of a control strand lacks its heads")
)

// fetchControl asks one device for what a quarantine lacks, until its heads are there. save
// makes what came durable. It fails with errNotShared; with errShort when the device had no
// more; with errBeyond, errEndless or errPayload when what it brings is of no use; else as
// the network does.
func (n *Node) fetchControl(ctx context.Context, q *quarantine, device keys.ID, save func([]put) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, controlTime)
	defer cancel()
	n.mu.Lock()
	n.fetchedFrom[device]++
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.fetchedFrom[device]--; n.fetchedFrom[device] == 0 {
			delete(n.fetchedFrom, device)
		}
	}()
	s, err := n.openStream(ctx, device, protocol.SyncID)
	if err != nil {
		return err
	}
	undo := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer undo()
	defer func() { s.finish(err) }()
	return n.askControl(s, q, save)
}

// askControl is fetchControl on a stream.
func (n *Node) askControl(s *stream, q *quarantine, save func([]put) error) error {
	tips := q.e.Log().Heads(oplog.Control)
	if err := s.sendSync(protocol.SyncControl, protocol.Control{Entity: q.eid, Heads: tips[:min(len(tips), protocol.MaxTips)]}); err != nil {
		return err
	}
	for {
		if err := s.SetReadDeadline(time.Now().Add(syncTime)); err != nil {
			return fmt.Errorf("read frame: %w", err)
		}
		typ, payload, err := s.read(syncLimit)
		switch {
		case err != nil:
			return err
		case protocol.SyncType(typ) == protocol.SyncNo:
			return errNotShared
		case protocol.SyncType(typ) != protocol.SyncOps:
			return fmt.Errorf("%w: sync frame %d", protocol.ErrUnexpected, typ)
		}
		var f protocol.Ops
		if err := protocol.DecodeSync(payload, &f); err != nil {
			return err
		}
		puts, bad := q.add(oplog.ParseBatch(slices.DeleteFunc(oplog.HashAll(f.Ops), func(h oplog.Hashed) bool {
			_, here := q.e.Log().Get(h.ID())
			return here
		})))
		if len(puts) > 0 {
			if err := save(puts); err != nil {
				return err
			}
		}
		switch {
		case q.whole():
			if f.More {
				_ = s.Reset() // what follows comes by the sync of a member
			}
			return nil
		case bad != nil:
			return bad
		case !f.More:
			return errShort
		case len(puts) == 0:
			return errEndless
		}
	}
}

// useless reports whether a device that was asked for control brought what nobody honest
// brings who has all of it.
func useless(err error) bool {
	return errors.Is(err, errShort) || errors.Is(err, errBeyond) || errors.Is(err, errEndless) || errors.Is(err, errPayload)
}

// fetcher asks a device for what a quarantine lacks: Node.fetchControl.
type fetcher func(ctx context.Context, q *quarantine, device keys.ID, save func([]put) error) error

// fetchRequest goes on with a request that was approved. reached says that somebody
// answered. again says that the issuer has to be asked anew by a join.
func (n *Node) fetchRequest(ctx context.Context, a invite.Attempt) (reached, again bool, err error) {
	q, p, err := n.requestQuarantine(a.ID)
	if err != nil {
		return false, false, err
	}
	return n.complete(ctx, a, q, p, n.controlSources(a, p), n.fetchControl)
}

// complete fetches what lacks of a request, from one device after the other, and judges it.
func (n *Node) complete(ctx context.Context, a invite.Attempt, q *quarantine, p partial, devices []keys.ID, fetch fetcher) (reached, again bool, err error) {
	for _, device := range devices {
		if q.whole() || ctx.Err() != nil {
			break
		}
		var got error
		for range 2 { // a second time from the beginning, if what others brought fills it
			clean := q.have() == q.begun
			got = fetch(ctx, q, device, func(puts []put) error { return n.keepStrand(a.ID, q, puts) })
			if !errors.Is(got, errBeyond) {
				break
			}
			if err := n.emptyStrand(a.ID, q); err != nil {
				return reached, false, err
			}
			if clean {
				break
			}
		}
		switch {
		case got == nil:
			reached = true
		case errors.Is(got, errGone):
			return true, false, got
		case n.outOf(q):
			return true, false, n.verdict(a.ID, entity.ErrRemoved)
		case device == a.Issuer && useless(got):
			// It named heads that it does not have, or numbers that are not so: nothing of it holds.
			return true, false, n.verdict(a.ID, fmt.Errorf("%w: control of the issuer: %w", protocol.ErrProof, got))
		case device == a.Issuer && errors.Is(got, errNotShared):
			reached, again = true, true
		default:
			reached = reached || useless(got)
		}
		if got != nil {
			err = got
			n.log.Debug("control", "request", a.ID, "peer", device.String(), "err", got)
		}
	}
	if !q.whole() {
		return reached, again, err
	}
	return true, false, n.judgeStrand(a.ID, q, p)
}

// controlSources returns whom to ask for the control strand of a request.
func (n *Node) controlSources(a invite.Attempt, p partial) []keys.ID {
	out := []keys.ID{a.Issuer}
	if link, err := a.Link(); err == nil {
		n.knowLink(link)
	}
	for _, raw := range p.Addrs {
		if d, ok := n.know(raw); ok && d != n.device.ID() && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	for _, d := range out {
		n.forgive(d)
	}
	return out
}

// outOf reports whether what is here of a control strand says that we were removed.
func (n *Node) outOf(q *quarantine) bool {
	m, ok := q.e.State().Member(n.userID())
	return ok && m.Standing == entity.Removed
}

func (n *Node) userID() keys.Digest {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.user
}

// requestQuarantine reads what is kept of a request.
func (n *Node) requestQuarantine(id string) (*quarantine, partial, error) {
	var p partial
	if err := n.open(quarantineKey(requestStrand(id)), &p); err != nil {
		return nil, p, err
	}
	q, err := n.loadStrand(requestStrand(id), p.Entity, p.Strand, p.Begun)
	if q == nil && err == nil { // it was stored with the request
		err = fmt.Errorf("%w: quarantine %s is gone", oplog.ErrCorrupt, id)
	}
	return q, p, err
}

// errGone says that a request ended while its control strand was fetched.
var errGone = errors.New("node: the request is over")

// keepStrand makes what came of a control strand durable, with how far the request is.
func (n *Node) keepStrand(id string, q *quarantine, puts []put) error {
	return n.transact(func(tx *tx) error {
		a := n.attempts[id]
		if !a.Fetches() {
			return errGone
		}
		tx.puts = append(tx.puts, puts...)
		tx.attempt(a.Fetched(tx.now, q.have(), q.size))
		return nil
	})
}

// emptyStrand lets go of all that came after the approval: it was more than there can be,
// and what of it is of no use nobody knows.
func (n *Node) emptyStrand(id string, q *quarantine) error {
	stored := q.keys
	var first [][]byte
	for o := range q.e.Log().All(oplog.Control) {
		if uint64(oplog.RowOf(o)) < q.begun {
			first = append(first, o.Envelope())
		}
	}
	e, err := entity.OpenStrand(q.eid, first)
	if err != nil {
		return err
	}
	begun := newQuarantine(q.name, q.strand, e)
	*q = *begun
	puts := q.all()
	return n.transact(func(tx *tx) error {
		a := n.attempts[id]
		if !a.Fetches() {
			return errGone
		}
		for _, key := range stored {
			tx.puts = append(tx.puts, put{key, nil})
		}
		tx.puts = append(tx.puts, puts...)
		tx.attempt(a.Fetched(tx.now, q.have(), q.size))
		return nil
	})
}

// judgeStrand judges a control strand that is whole and, if it holds, makes it an entity.
func (n *Node) judgeStrand(id string, q *quarantine, p partial) error {
	n.mu.Lock()
	me, err := copyOf(n.me.Entity) // it is read without the lock
	n.mu.Unlock()
	if err != nil {
		return err
	}
	joined, err := p.Judge(q.e, me)
	if err != nil {
		return n.verdict(id, err)
	}
	var issuer keys.ID
	writes := q.writes()
	err = n.update(func(tx *tx) error {
		tx.strand = writes
		a := n.attempts[id]
		if !a.Fetches() {
			return errGone
		}
		issuer = a.Issuer
		a = protocol.After(a, tx.now, joined)
		if err := tx.joined(joined); err != nil {
			return err
		}
		tx.attempt(a)
		tx.drop(q.name, q.keys)
		return nil
	})
	if err != nil {
		return err
	}
	n.gaveRecord(issuer) // in JOIN-ENTITY
	n.poke()
	n.syncSoon(issuer)
	return nil
}

// verdict ends a request whose control strand does not hold: nothing of it is kept.
func (n *Node) verdict(id string, why error) error {
	out := errors.Is(why, entity.ErrRemoved) || errors.Is(why, entity.ErrEnded)
	if !out {
		n.log.Warn("identity check failed", "request", id, "err", why)
	}
	stored, err := n.quarantined(requestStrand(id))
	if err != nil {
		return err
	}
	return n.transact(func(tx *tx) error {
		a := n.attempts[id]
		if !a.Fetches() {
			return errGone
		}
		switch {
		case a.Withdrawing():
			a = a.Withdrawn()
		case out:
			a = a.Denied(tx.now, invite.RefusedRemoved)
		default:
			a = a.Denied(tx.now, invite.RefusedIdentity)
		}
		if !out {
			a = a.Staying(tx.now)
		}
		tx.attempt(a)
		tx.drop(requestStrand(id), stored)
		return nil
	})
}

// keepPartial keeps an approval of which more has to be fetched. What came by an earlier
// one of the same request stays.
func (tx *tx) keepPartial(c *protocol.Change, earlier bool) {
	name := requestStrand(c.Attempt.ID)
	if earlier {
		tx.seal(quarantineKey(name), partial{*c.Partial, tx.n.begunOf(name)})
		return
	}
	q := newQuarantine(name, c.Partial.Strand, c.Begun)
	tx.puts = append(tx.puts, q.all()...)
	tx.seal(quarantineKey(name), partial{*c.Partial, q.begun})
	*c.Attempt = c.Attempt.Fetched(tx.now, q.have(), q.size)
}

// begunOf returns how many operations of a quarantine came with its first approval.
func (n *Node) begunOf(name string) uint64 {
	var p partial
	if err := n.open(quarantineKey(name), &p); err != nil {
		return 0
	}
	return p.Begun
}

// strandOf returns the control strand of an approval outside a join, what it lacks fetched
// from the device that sent it. It is kept until the entity is there, so that the next try
// goes on from it.
func (n *Node) strandOf(ctx context.Context, from keys.ID, name string, ap protocol.InfoApproval) (*quarantine, error) {
	strand := ap.Strand()
	e, err := strand.Open(ap.Entity, ap.Logs)
	if err != nil {
		return nil, err
	}
	q := newQuarantine(name, strand, e)
	if q.whole() {
		return q, nil
	}
	if strand.Bytes > n.most {
		return nil, fmt.Errorf("%w: a control strand of %d bytes", errTooLarge, strand.Bytes)
	}
	if !n.beginFetch(name) {
		return nil, errBusy
	}
	defer n.endFetch(name)
	save := func(puts []put) error {
		return n.transact(func(tx *tx) error { tx.puts = append(tx.puts, puts...); return nil })
	}
	kept, err := n.loadStrand(name, ap.Entity, strand, q.begun)
	switch {
	case err != nil:
		return nil, err
	case kept != nil && !kept.full():
		q = kept
	default:
		if err := n.transact(func(tx *tx) error {
			if kept != nil {
				tx.drop(name, kept.keys)
			}
			tx.puts = append(tx.puts, q.all()...)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	if q.whole() {
		return q, nil
	}
	if err := n.fetchControl(ctx, q, from, save); err != nil {
		return nil, err
	}
	return q, nil
}

var errTooLarge = errors.New("node: larger than this device takes")

// beginFetch says whether nobody fetches what is kept under a name; then it is ours until
// endFetch.
func (n *Node) beginFetch(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.filling[name] {
		return false
	}
	n.filling[name] = true
	return true
}

func (n *Node) endFetch(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.filling, name)
}
