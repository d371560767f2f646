package node

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"pttnode/invite"
	"pttnode/keys"
	"pttnode/protocol"
)

// listen sets the stream handlers and returns what removes them.
func (n *Node) listen(ctx context.Context) (stop func()) {
	handlers := map[libprotocol.ID]func(context.Context, *stream) error{
		protocol.ID:     n.serveJoin,
		protocol.InfoID: n.serveInfo,
		protocol.SyncID: n.serveSync,
		protocol.KeysID: n.serveKeys, protocol.BodyID: n.serveBodies,
	}
	for id, serve := range handlers {
		n.host.SetStreamHandler(id, func(s network.Stream) {
			n.mu.Lock()
			over := ctx.Err() != nil
			if !over {
				n.wg.Add(1)
			}
			n.mu.Unlock()
			if over {
				_ = s.Reset()
				return
			}
			defer n.wg.Done()
			str, err := accepted(s)
			if err != nil {
				_ = s.Reset()
				return
			}
			undo := context.AfterFunc(ctx, func() { _ = s.Reset() })
			defer undo()
			if err := serve(ctx, str); err != nil && !errors.Is(err, errClosed) {
				n.log.Debug("stream ended", "protocol", string(id), "peer", str.peer.String(), "err", err)
			}
		})
	}
	notify := &network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { n.onConnected(ctx, c) },
		DisconnectedF: func(_ network.Network, c network.Conn) { n.onDisconnected(ctx, c) },
	}
	n.host.Network().Notify(notify)
	return func() {
		n.host.Network().StopNotify(notify)
		for id := range handlers {
			n.host.RemoveStreamHandler(id)
		}
	}
}

// serveJoin is M's side of one join.
func (n *Node) serveJoin(ctx context.Context, s *stream) error {
	if err := s.SetReadDeadline(time.Now().Add(protocol.FrameTime)); err != nil {
		s.finish(err)
		return err
	}
	typ, payload, err := s.read(func(t uint8) int {
		if protocol.Type(t) != protocol.TypeJoin {
			return 0 // nothing else may come first
		}
		return protocol.MaxJoin
	})
	if err != nil {
		s.finish(err)
		return err
	}
	first, in, err := n.answerJoin(s.peer, typ, payload)
	if err != nil {
		s.finish(err)
		return err
	}
	if in == nil {
		err := s.write(protocol.Encode(protocol.No{}))
		s.finish(err)
		return err
	}
	if n.crowded(s.subnet) || !n.afford(runsOfPeer, s.peer) || !n.beginLive() {
		s.finish(errBusy)
		return errBusy
	}
	live := true
	defer func() {
		if live {
			n.endLive()
		}
	}()
	if err := s.SetReadDeadline(time.Time{}); err != nil { // the machine keeps time from here
		s.finish(err)
		return err
	}
	m := protocol.NewInviter(*in)
	inbox := make(chan protocol.Event, 1)
	defer func() { n.unpark(m.JoinID(), inbox) }()
	sess := &session{
		n: n, stream: s, machine: m, inbox: inbox,
		commit: func(c *protocol.Change) protocol.Event { return n.commitInviting(s.peer, in.Record.ID, c) },
		ask: func(r protocol.Request) {
			live = false
			n.endLive()
			if !n.park(r.Claim.JoinID, in.Record.ID, inbox) {
				time.AfterFunc(joinWindow, func() { _ = s.Close() }) // it would not hear of the decision
			}
		},
	}
	out, err := sess.run(ctx, first)
	if m.Ground() { // it has seen a code's half and shown nothing of its own
		_ = n.commitInviting(s.peer, in.Record.ID, &protocol.Change{Failed: true})
	}
	n.counts.join(out, err)
	if !n.claims(in.Record.ID, m.JoinID()) { // failed or refused, and nothing here remembers it
		n.charge(s.peer, s.subnet)
	}
	return errors.Join(err, out.Detail)
}

var errBusy = errors.New("node: too many at once")

// answerJoin looks a JOIN's invite up. An unknown one gives nil: no public key
// was touched and no memory kept.
func (n *Node) answerJoin(peer keys.ID, typ uint8, payload []byte) (protocol.Join, *protocol.Inviting, error) {
	m, err := protocol.Decode(append([]byte{typ}, payload...))
	if err != nil {
		return protocol.Join{}, nil, err
	}
	join, ok := m.(protocol.Join)
	if !ok {
		return protocol.Join{}, nil, protocol.ErrUnexpected
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	id, ok := n.byIID[join.IID]
	if !ok {
		return join, nil, nil
	}
	if n.spending.over(joinsOfPeer, peer.String(), n.now()) {
		return join, nil, errBusy
	}
	return join, n.inviting(n.invites[id], peer), nil
}

// claims reports whether an invite has a claim: who has one may come back.
func (n *Node) claims(record string, joinID keys.Digest) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.invites[record].Claim(joinID)
	return ok
}

// knows reports whether a device speaks for a member of any entity here: nobody
// else is read from, but for a join.
func (n *Node) knows(device keys.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sharesAny(device)
}

var errStranger = errors.New("node: a stranger")

func (n *Node) beginLive() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.live >= maxLiveJoins {
		return false
	}
	n.live++
	return true
}

func (n *Node) endLive() {
	n.mu.Lock()
	n.live--
	n.mu.Unlock()
}

// park lets a run hear of the decision on its claim. Of two runs of one claim the
// newer hears it; beyond the limit none does: park reports false, and the requester
// has to come back.
func (n *Node) park(joinID keys.Digest, record string, inbox chan protocol.Event) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.parked[joinID] == nil && len(n.parked) >= maxParked {
		return false
	}
	n.parked[joinID] = inbox
	n.tiesChanged()
	// Decided between the reservation and here? Then say so now.
	if c, ok := n.invites[record].Claim(joinID); ok && !c.State.Waiting() {
		n.tell(c)
	}
	return true
}

func (n *Node) unpark(joinID keys.Digest, inbox chan protocol.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.parked[joinID] == inbox {
		delete(n.parked, joinID)
		n.tiesChanged()
	}
}

// tell hands a decision to the run that waits for it. The caller holds the lock;
// the decision must be durable.
func (n *Node) tell(c invite.Claim) {
	inbox, ok := n.parked[c.JoinID]
	if !ok {
		if c.State == invite.Approved {
			n.seek(c.Device)
		}
		return
	}
	delete(n.parked, c.JoinID)
	ev := protocol.Decided{Claim: c}
	if c.State == invite.Approved {
		g, why := n.grant(c)
		if why != invite.OK {
			ev.Claim.State, ev.Claim.Reason = invite.Denied, why
		} else {
			ev.Grant = g
		}
	}
	inbox <- ev // room for one, and each run is told once
}
