package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	"pttnode/entity"
	"pttnode/entity/me"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// pursuit is a running outgoing request.
type pursuit struct {
	poke chan struct{}      // try now
	stop context.CancelFunc // of the present try, nil between tries
	conn network.Conn       // of the present try, nil until it is dialled

	denied int // tries in which the issuer let us in and did not give us the control strand
}

// Join opens a link: it stores the request and begins to pursue it.
func (n *Node) Join(_ context.Context, text, note string) (RequestView, error) {
	link, err := invite.Parse(text)
	if err != nil {
		return RequestView{}, linkCode(err)
	}
	if link.Kind == entity.Me {
		return RequestView{}, refuse("device_link_here")
	}
	if len(note) > invite.MaxNote {
		return RequestView{}, refuse("too_long", "what", "note")
	}
	if err := link.CheckOwn(n.ownDevices()...); err != nil {
		return RequestView{}, linkCode(err)
	}
	var view RequestView
	err = n.update(func(tx *tx) error {
		// The same link again is the same request.
		for _, a := range n.attempts {
			if !a.State.Terminal() && a.Ref == link.Keys().Ref {
				view = n.attemptView(a)
				n.pokeLocked(a.ID)
				return nil
			}
		}
		a := invite.NewAttempt(tx.shortID("r"), link, note, tx.now)
		tx.attempt(a)
		view = n.attemptView(a)
		return nil
	})
	if err == nil {
		n.mu.Lock()
		n.pursueLocked(view.ID)
		n.mu.Unlock()
	}
	return view, err
}

// unfinished reports whether there is still something to do for a request.
func (n *Node) unfinished(a invite.Attempt) bool {
	return !a.State.Terminal() && a.State != invite.AttemptSyncing || a.Withdrawing()
}

// pursueLocked starts the goroutine of a request, once, while Run runs.
func (n *Node) pursueLocked(id string) {
	if n.pursuits[id] != nil || n.runCtx == nil || n.runCtx.Err() != nil || !n.unfinished(n.attempts[id]) {
		return
	}
	p := &pursuit{poke: make(chan struct{}, 1)}
	n.pursuits[id] = p
	n.wg.Go(func() { n.pursue(n.runCtx, id, p) })
}

// pokeLocked has a request tried now.
func (n *Node) pokeLocked(id string) {
	if p := n.pursuits[id]; p != nil {
		select {
		case p.poke <- struct{}{}:
		default:
		}
	}
}

// returned has requests to an issuer tried at once when it connects to us. One
// that waits on a connection of old is freed from it: an issuer that still had
// that connection would not have dialled, so it was killed and has come back. Two
// connections made close together may have crossed; if both are there a moment
// later, they did not. The caller holds the lock.
func (n *Node) returned(device keys.ID, c network.Conn) {
	for id, p := range n.pursuits {
		if n.attempts[id].Issuer != device {
			continue
		}
		if old := p.conn; old != nil && old != c {
			wait := time.Duration(0)
			if c.Stat().Opened.Sub(old.Stat().Opened) <= staleAfter {
				wait = crossedFor
			}
			n.wg.Go(func() { n.free(p, old, c, wait) })
		}
		n.pokeLocked(id)
	}
}

// free closes the connection on which a request waits, if after a while it still
// does, and the newer one is still there.
func (n *Node) free(p *pursuit, old, newer network.Conn, wait time.Duration) {
	select {
	case <-time.After(wait):
	case <-n.runCtx.Done():
		return
	}
	n.mu.Lock()
	waits := p.conn == old && !newer.IsClosed()
	n.mu.Unlock()
	if waits {
		_ = old.Close()
	}
}

// pursue tries a request until it has ended.
func (n *Node) pursue(ctx context.Context, id string, p *pursuit) {
	defer func() {
		n.mu.Lock()
		delete(n.pursuits, id)
		n.mu.Unlock()
	}()
	for ctx.Err() == nil {
		n.mu.Lock()
		a := n.attempts[id]
		if !n.unfinished(a) {
			n.mu.Unlock()
			return
		}
		try, cancel := context.WithCancel(ctx)
		p.stop = cancel
		a = a.Connecting(n.now())
		n.attempts[id] = a
		n.mu.Unlock()
		n.changed()

		began := time.Now()
		reached, err := n.try(try, a, p)
		cancel()
		n.mu.Lock()
		p.stop, p.conn = nil, nil
		n.attempts[id] = n.attempts[id].Held(time.Since(began))
		pause := n.rest(id, reached, err)
		n.mu.Unlock()
		n.changed()
		if pause < 0 {
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-p.poke:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// rest notes how a try ended and returns the pause before the next one, negative
// for none. The caller holds the lock.
func (n *Node) rest(id string, reached bool, err error) time.Duration {
	a := n.attempts[id]
	if !n.unfinished(a) {
		return -1
	}
	now := n.now()
	// Who links a device stands beside it, and its link lives ten minutes.
	soon := reached || a.Kind == entity.Me && !a.Withdrawing() && now.Before(a.GiveUp())
	pause := invite.Backoff(int(a.Tries), soon, rand.Float64())
	if expired, over := a.Expire(now); over {
		n.wg.Go(func() { n.storeAttempt(expired) })
		return time.Second // the write ends the pursuit
	}
	if a.NextTry > now.Unix() { // M said when
		pause = time.Unix(a.NextTry, 0).Sub(now)
	}
	if err != nil {
		n.log.Debug("join", "request", id, "reached", reached, "err", err)
	}
	if left := a.GiveUp().Sub(now); left > 0 && left < pause {
		pause = left + time.Second // its end is not to be told a pause too late
	}
	if a.Fetches() {
		n.attempts[id] = a.Unfetched(now, now.Add(pause))
		return pause
	}
	n.attempts[id] = a.Unreachable(now, now.Add(pause))
	return pause
}

func (n *Node) storeAttempt(a invite.Attempt) {
	err := n.transact(func(tx *tx) error {
		tx.attempt(a)
		return nil
	})
	if err != nil {
		n.log.Warn("join", "request", a.ID, "err", err)
	}
}

// try runs one Joiner, or goes on with what its approval left to fetch. reached says that
// somebody answered.
func (n *Node) try(ctx context.Context, a invite.Attempt, p *pursuit) (reached bool, err error) {
	if !a.Fetches() {
		if reached, err = n.talk(ctx, a); err != nil {
			return reached, err
		}
		n.mu.Lock()
		a = n.attempts[a.ID]
		n.mu.Unlock()
		if !a.Fetches() {
			return reached, nil
		}
	}
	reached, again, err := n.fetchRequest(ctx, a)
	if !again {
		p.denied = 0
		return reached, err
	}
	if p.denied++; p.denied > maxDenials {
		return reached, n.verdict(a.ID, fmt.Errorf("%w: the issuer lets us in and does not share control", protocol.ErrProof))
	}
	return n.talk(ctx, a) // it says why, or lets us in anew
}

// knowLink gives the peerstore where a link says that its issuer is.
func (n *Node) knowLink(link invite.Link) {
	p, err := peerID(link.Issuer)
	if err != nil {
		return
	}
	for _, addr := range link.Addrs {
		if m, err := ma.NewMultiaddr(addr.String()); err == nil {
			n.host.Peerstore().AddAddr(p, m, peerstore.TempAddrTTL)
		}
	}
	n.mu.Lock()
	n.lookNear(link.Issuer, p)
	n.mu.Unlock()
}

// talk runs one Joiner. reached says that the issuer answered.
func (n *Node) talk(ctx context.Context, a invite.Attempt) (reached bool, err error) {
	link, err := a.Link()
	if err != nil {
		return false, err
	}
	n.knowLink(link)
	n.forgive(link.Issuer) // our own pauses say when to dial, and so does a person who retries
	s, err := n.openStream(ctx, link.Issuer, protocol.ID)
	if err != nil {
		return false, err
	}
	n.mu.Lock()
	if p := n.pursuits[a.ID]; p != nil {
		p.conn = s.Conn()
	}
	in, err := n.requester(a)
	n.mu.Unlock()
	if err != nil {
		s.finish(err)
		return false, err
	}
	m, err := protocol.NewJoiner(in)
	if err != nil {
		s.finish(err)
		return false, err
	}
	sess := &session{n: n, stream: s, machine: m, commit: func(c *protocol.Change) protocol.Event { return n.commitJoining(c) }}
	out, err := sess.run(ctx, protocol.Start{})
	if errors.Is(err, protocol.ErrTimeout) {
		_ = s.Conn().Close() // it may be dead; the next try dials anew
	}
	if out.Detail != nil {
		n.log.Warn("identity check failed", "request", a.ID, "issuer", link.Issuer.String(), "err", out.Detail)
	}
	return err == nil || m.Attempt().Code != "" || out.Status != 0, err
}

// requester returns what R brings to a run. The caller holds the lock.
func (n *Node) requester(a invite.Attempt) (protocol.Joining, error) {
	in := protocol.Joining{Attempt: a, Device: n.device, Addrs: n.ownRecord(), Withdraw: a.Withdrawing(), Most: n.most}
	if a.Kind == entity.Me {
		in.Box, in.Name = n.box().ID(), n.self.Device
		return in, nil
	}
	me, err := copyOf(n.me.Entity) // the machine reads it without the lock
	in.Me, in.Name = me, n.name()
	return in, err
}

// box returns this device's box key.
func (n *Node) box() keys.BoxKey { return keys.BoxFromSecret([32]byte(n.self.Box)) }

// copyOf returns what an entity's control strand makes. Signatures are not checked
// again: they were before the ops were stored.
func copyOf(e *entity.Entity) (*entity.Entity, error) {
	log := oplog.NewLog(e.ID())
	for o := range e.Log().All(oplog.Control) {
		if _, err := log.Append(o); err != nil {
			return nil, fmt.Errorf("copy %v: %w", e.ID(), err)
		}
	}
	return entity.Open(log)
}

// commitJoining makes a change of a Joiner durable, unless its person cancelled
// meanwhile.
func (n *Node) commitJoining(c *protocol.Change) protocol.Event {
	var ev protocol.Event = protocol.Committed{}
	stored, err := n.fetchedSoFar(c.Attempt.ID)
	if err == nil {
		err = n.transact(func(tx *tx) error { return n.commitRequest(tx, c, stored, &ev) })
	}
	if err != nil {
		n.log.Warn("join", "request", c.Attempt.ID, "err", err)
		return protocol.Refused{Why: invite.RefusedDiskFull}
	}
	if c.Joined != nil {
		n.gaveRecord(c.Attempt.Issuer) // in JOIN-ENTITY
		n.poke()
		n.syncSoon(c.Attempt.Issuer) // what was written before we joined
	}
	return ev
}

// commitRequest is commitJoining in its transaction. stored is what is kept of an approval
// that came before.
func (n *Node) commitRequest(tx *tx, c *protocol.Change, stored []datastore.Key, ev *protocol.Event) error {
	now, ok := n.attempts[c.Attempt.ID]
	if !ok || now.State.Terminal() && !now.Withdrawing() || now.Withdrawing() && c.Attempt.State != invite.AttemptCancelled {
		*ev = protocol.Refused{Why: invite.RefusedCancelled}
		return nil
	}
	if c.Joined != nil {
		if err := tx.joined(c.Joined); err != nil {
			return err
		}
	}
	switch {
	case c.Partial != nil:
		tx.keepPartial(c, now.Fetch != nil)
	case now.Fetch != nil && c.Attempt.Fetch == nil:
		tx.drop(requestStrand(c.Attempt.ID), stored)
	}
	tx.attempt(*c.Attempt)
	return nil
}

// fetchedSoFar returns the keys of what is kept of a request that fetches.
func (n *Node) fetchedSoFar(id string) ([]datastore.Key, error) {
	n.mu.Lock()
	fetches := n.attempts[id].Fetch != nil
	n.mu.Unlock()
	if !fetches {
		return nil, nil
	}
	return n.quarantined(requestStrand(id))
}

// joined is CreateJoinEntity at the requester, in one batch with the request's
// end.
func (tx *tx) joined(j *protocol.Joined) error {
	if j.Entity.State().Kind == entity.Me {
		return tx.linked(j)
	}
	tx.chain(j.Issuer)
	for _, c := range j.Chains {
		tx.chain(c)
	}
	for _, raw := range j.Addrs {
		tx.addrsOf(j.Entity.State(), raw)
	}
	h, err := tx.join(j.Entity, j.Ring)
	if err != nil {
		return err
	}
	s := h.State()
	var o oplog.Op
	switch {
	case j.Leave && s.Kind == entity.Board:
		o, err = h.Control(tx.author(), oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: []entity.Cut{}})
	case j.Leave:
		o, err = h.Control(tx.author(), oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
	case s.Kind == entity.Friend:
		if m, ok := s.Member(tx.n.user); ok && m.Accepted {
			return nil
		}
		o, err = h.Control(tx.author(), oplog.FamilyMember, entity.TypeAccept, entity.Accept{})
	default:
		tx.event("board.joined", map[string]any{"id": h.ID().String(), "name": tx.n.boardName(h)})
		return nil
	}
	if err != nil {
		return err
	}
	tx.ops(h.Entity, o)
	if j.Leave && s.Kind == entity.Board {
		return tx.me(me.TypeLeft, &me.Left{Entity: h.ID()})
	}
	return nil
}

func (n *Node) ownDevices() []keys.ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	ids := []keys.ID{n.device.ID()}
	if n.me != nil {
		for _, d := range n.me.State().Devices {
			ids = append(ids, d.ID)
		}
	}
	return ids
}
