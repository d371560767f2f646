package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/protocol"
)

// JoinMe after its approval (docs/PROTOCOL.md §6.5). At M one goroutine asks every
// device of the user that is not alive, as soon as it is connected, until it is;
// at R the questions are answered as they come.

// linked stores the Me that this device was made a part of, in the batch that ends
// the join.
func (tx *tx) linked(j *protocol.Joined) error {
	n := tx.n
	if j.Leave || n.me != nil {
		return nil // cancelled; the approval came too late, and nothing of it is kept
	}
	h := n.shelf.hold(j.Entity, nil)
	if err := tx.merge(h, j.Entity, j.Ring); err != nil {
		return err
	}
	n.me, n.user, n.self.Me, n.self.Recovery = h, h.ID(), h.ID(), h.State().Recovery
	for _, raw := range j.Addrs {
		tx.addrsOf(h.State(), raw)
	}
	tx.linkStatus(protocol.LinkInit)
	return nil
}

// linkStatus stores how far the linking of this device is.
func (tx *tx) linkStatus(s protocol.LinkStatus) {
	tx.n.self.Status = s
	tx.seal("/n/self", tx.n.self)
	tx.event("device.status", map[string]any{"id": tx.n.device.ID().String(), "status": s.String()})
}

// link is M's loop: it brings devices of the user that are not alive up to date,
// each in a goroutine of its own, while they are connected. Only the device that
// decides on the device set does so.
func (n *Node) link(ctx context.Context) {
	busy := make(map[keys.ID]bool)
	tries := make(map[keys.ID]int)
	next := make(map[keys.ID]time.Time)
	ended := make(chan keys.ID)
	for {
		n.mu.Lock()
		now := n.now()
		wait := keepEvery
		for _, d := range n.unlinked() {
			if busy[d] || !n.online([]keys.ID{d}) {
				continue
			}
			if due := next[d].Sub(now); due > 0 {
				wait = min(wait, due)
				continue
			}
			busy[d] = true
			tries[d]++
			n.wg.Go(func() {
				if err := n.linkDevice(ctx, d); err != nil {
					n.log.Debug("init-me-info", "device", d.String(), "err", err)
				}
				select {
				case ended <- d:
				case <-ctx.Done():
				}
			})
		}
		n.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case d := <-ended:
			busy[d] = false
			next[d] = n.now().Add(invite.Backoff(tries[d], true, 0.5))
		case <-n.linkNow: // one has just come: what it could not do before it may do now
			clear(next)
			clear(tries)
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// unlinked returns the devices that this one has to bring up to date. The caller
// holds the lock.
func (n *Node) unlinked() []keys.ID {
	var out []keys.ID
	if n.me == nil || !n.me.State().SoleVoter(n.device.ID()) {
		return nil
	}
	for _, d := range n.me.State().Devices {
		if !d.Alive && !n.withdrew(d.ID) {
			out = append(out, d.ID)
		}
	}
	return out
}

// withdrew reports whether a device that was let in here had taken its request back.
// The caller holds the lock.
func (n *Node) withdrew(device keys.ID) bool {
	for _, r := range n.invites {
		for _, c := range r.Claims {
			if c.Device == device && c.Withdrew() {
				return true
			}
		}
	}
	return false
}

// withdrewElsewhere is withdrew as another device of ours says it, who let it in:
// enough to show, and not to act. The caller holds the lock.
func (n *Node) withdrewElsewhere(device keys.ID) bool {
	for _, r := range n.meLog.Requests {
		if r.Device == device && stateOf(r) == invite.Cancelled && invite.ClaimState(r.State) == invite.Approved {
			return true
		}
	}
	return false
}

// linkSoon wakes the loop of M if device is one of those it brings up to date. The
// caller holds the lock.
func (n *Node) linkSoon(device keys.ID) {
	if !slices.Contains(n.unlinked(), device) {
		return
	}
	select {
	case n.linkNow <- struct{}{}:
	default:
	}
}

// linkDevice is one exchange with a device that is not alive: M's side of
// init-me-info, its acks and init-me-info-sync.
func (n *Node) linkDevice(ctx context.Context, device keys.ID) (err error) {
	ctx, cancel := context.WithTimeout(ctx, linkTime)
	defer cancel()
	s, err := n.openStream(ctx, device, protocol.InfoID)
	if err != nil {
		return err
	}
	undo := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer undo()
	defer func() { s.finish(err) }()
	if err := n.sendMeInfo(s, protocol.InfoBody{Step: protocol.InitMeInfo}); err != nil {
		return err
	}
	synced, before := false, protocol.LinkStatus(0)
	for {
		ack, err := n.readMeInfo(s, protocol.InitMeInfoAck)
		if err != nil {
			return err
		}
		if ack.Status <= before || ack.Status > protocol.LinkAlive { // it only goes on, so there are four at most
			return fmt.Errorf("%w: the status %v after %v", protocol.ErrUnexpected, ack.Status, before)
		}
		before = ack.Status
		if err := n.heard(device, ack.Status); err != nil {
			return err
		}
		switch {
		case ack.Status == protocol.LinkAlive:
			return nil
		case ack.Status == protocol.LinkPending && !synced:
			synced = true
			body, err := n.ownInfo(device)
			if err != nil {
				return err
			}
			if err := n.sendMeInfo(s, body); err != nil {
				return err
			}
		}
	}
}

func (n *Node) sendMeInfo(s *stream, body protocol.InfoBody) error {
	body.In = n.user
	if body.Approvals == nil {
		body.Approvals = []protocol.InfoApproval{}
	}
	body.Ops = [][]byte{}
	m := protocol.SignInfo(n.device, s.peer, body)
	return s.send(uint8(body.Step), m)
}

func (n *Node) readMeInfo(s *stream, step protocol.InfoStep) (protocol.InfoBody, error) {
	typ, payload, err := s.read(infoLimit)
	if err != nil {
		return protocol.InfoBody{}, err
	}
	if typ != uint8(step) {
		return protocol.InfoBody{}, fmt.Errorf("%w: info frame %d, want %d", protocol.ErrUnexpected, typ, step)
	}
	return n.openMeInfo(s, payload, step)
}

func (n *Node) openMeInfo(s *stream, payload []byte, step protocol.InfoStep) (protocol.InfoBody, error) {
	m, err := protocol.DecodeInfo(payload)
	if err != nil {
		return protocol.InfoBody{}, err
	}
	body, err := m.Open(s.peer, n.device.ID(), step)
	if err == nil && body.In != n.user {
		err = fmt.Errorf("%w: info of another Me", protocol.ErrProof)
	}
	return body, err
}

// heard stores the status that a device reports; alive, and M says so in the
// device chain.
func (n *Node) heard(device keys.ID, status protocol.LinkStatus) error {
	return n.update(func(tx *tx) error {
		d, ok := n.me.State().Device(device)
		if !ok || d.Alive {
			return nil
		}
		tx.deviceStatus(device, status)
		if status != protocol.LinkAlive || !n.me.State().SoleVoter(n.device.ID()) {
			return nil
		}
		o, err := entity.SetDeviceClass(n.me.Entity, tx.author(), device, d.Class)
		if err != nil {
			return err
		}
		tx.ops(n.me.Entity, o)
		tx.event("device.alive", map[string]any{"id": device.String(), "name": n.deviceName(device)})
		tx.listDevices()
		return nil
	})
}

// ownInfo is init-me-info-sync: profile, personal board and all epochs of Me.
func (n *Node) ownInfo(device keys.ID) (protocol.InfoBody, error) {
	body := protocol.InfoBody{Step: protocol.InitMeInfoSync, Approvals: []protocol.InfoApproval{}}
	err := n.update(func(tx *tx) error {
		d, ok := n.me.State().Device(device)
		if !ok {
			return fmt.Errorf("%w: %v is no device of ours", protocol.ErrProof, device)
		}
		tx.listDevices() // the device must speak in what is handed over
		for _, id := range []keys.Digest{n.user, n.self.Profile, n.self.Board} {
			h, ok := n.find(id)
			if !ok {
				return fmt.Errorf("%w: %v", errNoEntity, id)
			}
			box := protocol.BoxBody{Keys: epochKeys(h.ring)}
			if id == n.user { // whom we know how to reach, it reaches without us
				box.Addrs = n.knownAddrs(device)
			}
			sealed, err := protocol.SealApproval(d.Box, n.user, id, n.device.ID(), device, box)
			if err != nil {
				return err
			}
			body.Approvals = append(body.Approvals, protocol.InfoApproval{
				Entity: id, Admit: h.Listing(n.user, device), Box: sealed, Kind: h.State().Kind,
			})
		}
		n.pack(&body)
		return nil
	})
	return body, err
}

// serveMeInfo is R's side: it answers init-me-info, takes init-me-info-sync, and
// tells when it is alive. Only the device that decides on the device set may ask:
// another one, stolen perhaps, could name a profile and a board of its own making.
func (n *Node) serveMeInfo(ctx context.Context, s *stream, payload []byte) error {
	if _, err := n.openMeInfo(s, payload, protocol.InitMeInfo); err != nil {
		return err
	}
	err := n.update(func(tx *tx) error {
		if !n.me.State().SoleVoter(s.peer) {
			return errStranger
		}
		if n.self.Status == protocol.LinkInit {
			tx.linkStatus(protocol.LinkPending)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := n.answerStatus(s); err != nil {
		return err
	}
	if n.linkStatus() == protocol.LinkPending {
		if err := s.SetReadDeadline(time.Now().Add(protocol.FrameTime)); err != nil {
			return err
		}
		body, err := n.readMeInfo(s, protocol.InitMeInfoSync)
		if err != nil {
			return err
		}
		if err := n.takeOwn(ctx, s.peer, body); err != nil {
			return err
		}
		if err := n.answerStatus(s); err != nil {
			return err
		}
	}
	if n.linkStatus() == protocol.LinkAlive {
		return nil
	}
	if err := n.syncPeer(ctx, s.peer); err != nil {
		return err
	}
	if err := n.bodiesFrom(ctx, s.peer, n.user); err != nil { // a device is alive when it has all that this one has of Me
		return err
	}
	err = n.update(func(tx *tx) error {
		if n.self.Status == protocol.LinkSync {
			tx.linkStatus(protocol.LinkAlive)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return n.answerStatus(s)
}

func (n *Node) answerStatus(s *stream) error {
	status := n.linkStatus()
	if status == 0 { // the user's first device
		status = protocol.LinkAlive
	}
	return n.sendMeInfo(s, protocol.InfoBody{Step: protocol.InitMeInfoAck, Status: status})
}

func (n *Node) linkStatus() protocol.LinkStatus {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.self.Status
}

// takeOwn checks and stores what init-me-info-sync brings: all three, or nothing.
func (n *Node) takeOwn(ctx context.Context, from keys.ID, body protocol.InfoBody) error {
	if n.linkStatus() != protocol.LinkPending {
		return nil
	}
	strands := make([]*quarantine, len(body.Approvals))
	for i, ap := range body.Approvals {
		var err error
		if strands[i], err = n.strandOf(ctx, from, ownStrand(ap.Entity), ap); err != nil {
			return err
		}
	}
	return n.update(func(tx *tx) error {
		if n.self.Status != protocol.LinkPending {
			return nil
		}
		type taken struct {
			e    *entity.Entity
			ring entity.Keyring
		}
		var addrs [][]byte
		found := make(map[entity.Kind]taken)
		for i, ap := range body.Approvals {
			box, err := protocol.OpenApproval(n.box(), n.user, ap.Entity, from, n.device.ID(), ap.Box)
			if err != nil {
				return err
			}
			e := strands[i].e
			ring, err := entity.CreateOwn(
				e, entity.Approval{Entity: ap.Entity, Admit: ap.Admit, Heads: ap.Heads, Keys: box.Keys}, n.me.Entity, ap.Kind, n.device.ID())
			if err != nil {
				return err
			}
			found[ap.Kind] = taken{e, ring}
			addrs = append(addrs, box.Addrs...)
		}
		me, profile, board := found[entity.Me], found[entity.Profile], found[entity.Board]
		if me.e == nil || me.e.ID() != n.user || profile.e == nil || board.e == nil {
			return fmt.Errorf("%w: init-me-info-sync without Me, profile or personal board", protocol.ErrProof)
		}
		n.self.Profile, n.self.Board = profile.e.ID(), board.e.ID()
		for _, t := range []taken{me, profile, board} {
			if err := tx.merge(tx.hold(t.e), t.e, t.ring); err != nil {
				return err
			}
		}
		for _, q := range strands {
			if len(q.keys) > 0 {
				tx.drop(q.name, q.keys)
			}
		}
		for _, raw := range addrs[:min(len(addrs), maxHanded)] {
			tx.anyAddrs(raw)
		}
		tx.linkStatus(protocol.LinkSync)
		r := n.devices[from] // its connection is older than our knowing that it is ours
		r.Seen = tx.now.Unix()
		tx.deviceRecord(from, r)
		return nil
	})
}
