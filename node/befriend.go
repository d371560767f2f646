package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// poke wakes the befriender.
func (n *Node) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// befriend sends init-friend-info for every friendship that we joined and that is
// not alive yet, again and again until it is answered.
func (n *Node) befriend(ctx context.Context) {
	busy := make(map[keys.Digest]bool)
	tries := make(map[keys.Digest]int)
	next := make(map[keys.Digest]time.Time)
	ended := make(chan keys.Digest)
	for {
		n.mu.Lock()
		now := n.now()
		wait := keepEvery
		for id, h := range n.entities {
			s := h.State()
			if s.Kind != entity.Friend || s.Founder == n.user || s.Ended || !s.Merged.IsZero() || busy[id] || n.alive(h) && !n.syncing(s.Ref) {
				continue
			}
			if _, seen := next[id]; !seen && !n.asker(s.Ref) {
				next[id] = now.Add(keepEvery) // the device of ours that asked goes first
			}
			if due := next[id].Sub(now); due > 0 {
				wait = min(wait, due)
				continue
			}
			busy[id] = true
			tries[id]++
			n.wg.Go(func() {
				if err := n.sendInfo(ctx, id); err != nil {
					n.log.Debug("init-friend-info", "friend", id.String(), "err", err)
				}
				select {
				case ended <- id:
				case <-ctx.Done():
				}
			})
		}
		n.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case id := <-ended:
			busy[id] = false
			next[id] = n.now().Add(invite.Backoff(tries[id], true, 0.5))
		case <-n.wake:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// sendInfo is R's init-friend-info and what follows M's answer.
func (n *Node) sendInfo(whole context.Context, friend keys.Digest) error {
	ctx, cancel := context.WithTimeout(whole, infoTime) // what has to be fetched has its own time
	defer cancel()
	var device keys.ID
	var body protocol.InfoBody
	record := n.ownRecord()
	err := n.update(func(tx *tx) error {
		h := n.entities[friend]
		other := h.State().Other(n.user)
		m, ok := h.State().Member(other)
		if !ok || len(m.Party.Devices) == 0 {
			return fmt.Errorf("friendship %v without its other party", friend)
		}
		device = n.reachable(m.Party.Devices)
		var err error
		body, err = tx.infoBody(h, other, device, protocol.InitFriendInfo)
		return err
	})
	if err != nil {
		return err
	}
	body.Addrs = record
	s, err := n.openStream(ctx, device, protocol.InfoID)
	if err != nil {
		return err
	}
	undo := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer undo()
	answer, err := n.exchangeInfo(s, body)
	s.finish(err)
	if err != nil {
		return err
	}
	err = n.takeInfo(whole, friend, device, answer)
	if err == nil {
		n.syncLogged(whole, device) // what was written before we were friends
	}
	return err
}

func (n *Node) exchangeInfo(s *stream, body protocol.InfoBody) (protocol.InfoBody, error) {
	m := protocol.SignInfo(n.device, s.peer, body)
	if err := s.send(uint8(protocol.InitFriendInfo), m); err != nil {
		return protocol.InfoBody{}, err
	}
	typ, payload, err := s.read(infoLimit)
	if err != nil {
		return protocol.InfoBody{}, err
	}
	if typ != uint8(protocol.InitFriendInfoAck) {
		return protocol.InfoBody{}, fmt.Errorf("%w: info frame %d", protocol.ErrUnexpected, typ)
	}
	ack, err := protocol.DecodeInfo(payload)
	if err != nil {
		return protocol.InfoBody{}, err
	}
	answer, err := ack.Open(s.peer, n.device.ID(), protocol.InitFriendInfoAck)
	if err == nil && answer.In != body.In {
		err = fmt.Errorf("%w: info of another friendship", protocol.ErrUnexpected)
	}
	return answer, err
}

func infoLimit(typ uint8) int {
	switch protocol.InfoStep(typ) {
	case protocol.InitFriendInfo, protocol.InitFriendInfoAck, protocol.InitMeInfo, protocol.InitMeInfoAck, protocol.InitMeInfoSync:
		return protocol.MaxInfo
	case protocol.InfoStep(protocol.TypeNo):
		return protocol.MaxNo
	}
	return 0
}

// serveInfo answers init-friend-info and init-me-info.
func (n *Node) serveInfo(ctx context.Context, s *stream) (err error) {
	defer func() { s.finish(err) }()
	if err := s.SetReadDeadline(time.Now().Add(protocol.FrameTime)); err != nil {
		return err
	}
	if !n.knows(s.peer) {
		return errStranger
	}
	if !n.afford(infosOfPeer, s.peer) {
		return errBusy
	}
	typ, payload, err := s.read(infoLimit)
	if err != nil {
		return err
	}
	switch protocol.InfoStep(typ) {
	case protocol.InitFriendInfo:
		return n.answerInfo(ctx, s, payload)
	case protocol.InitMeInfo:
		return n.serveMeInfo(ctx, s, payload)
	}
	return fmt.Errorf("%w: info frame %d", protocol.ErrUnexpected, typ)
}

// answerInfo is M's side of init-friend-info: it takes R's approvals, admits R, and
// answers with its own.
func (n *Node) answerInfo(ctx context.Context, s *stream, payload []byte) error {
	m, err := protocol.DecodeInfo(payload)
	if err != nil {
		return err
	}
	body, err := m.Open(s.peer, n.device.ID(), protocol.InitFriendInfo)
	if err != nil {
		return err
	}
	var answer protocol.InfoBody
	record := n.ownRecord()
	err = n.takeInfo(ctx, body.In, s.peer, body)
	if err == nil {
		err = n.update(func(tx *tx) error {
			h, ok := n.entities[body.In]
			if !ok || !n.isParty(h, s.peer) {
				return errNoFriend
			}
			var err error
			answer, err = tx.infoBody(h, h.State().Other(n.user), s.peer, protocol.InitFriendInfoAck)
			return err
		})
	}
	switch {
	case errors.Is(err, errNoFriend):
		return s.write(protocol.Encode(protocol.No{}))
	case err != nil:
		return err
	}
	answer.Addrs = record
	return s.send(uint8(protocol.InitFriendInfoAck), protocol.SignInfo(n.device, s.peer, answer))
}

var errNoFriend = errors.New("node: no such friendship")

// isParty reports whether device belongs to the other party of a friendship that
// has not ended.
func (n *Node) isParty(h *held, device keys.ID) bool {
	s := h.State()
	return s.Kind == entity.Friend && !s.Ended && s.Speaks(s.Other(n.user), device, entity.Member)
}

// infoBody admits the friend to our personal entities and returns the message
// that hands him the approvals. Repeated, it makes the same approvals again,
// sealed anew.
func (tx *tx) infoBody(h *held, friend keys.Digest, device keys.ID, step protocol.InfoStep) (protocol.InfoBody, error) {
	n := tx.n
	body := protocol.InfoBody{In: h.ID(), Step: step, Approvals: []protocol.InfoApproval{}, Ops: h.ControlStrand()[1:]}
	m, ok := h.State().Member(friend)
	if !ok {
		return body, fmt.Errorf("friend %v: no party of the friendship", friend)
	}
	party := m.Party // his own devices keep it as it is
	for _, id := range []keys.Digest{n.self.Profile, n.self.Board} {
		p, ok := n.entities[id]
		if !ok {
			return body, fmt.Errorf("%w: %v, on its way to this device", errNoEntity, id)
		}
		s := p.State()
		member, ok := s.Member(friend)
		if !ok || member.Standing != entity.Active {
			o, err := entity.ApproveJoinEntity(p.Entity, tx.author(), p.ring, entity.Admission{
				Party: party, Role: entity.RoleFor(s.Kind), Friend: new(h.ID()),
			})
			if err != nil {
				return body, err
			}
			tx.ops(p.Entity, o)
			member, _ = p.State().Member(friend)
		}
		box, err := protocol.SealApproval(party.Box, h.ID(), id, n.device.ID(), device, protocol.BoxBody{Keys: n.keysFor(p, friend)})
		if err != nil {
			return body, err
		}
		body.Approvals = append(body.Approvals, protocol.InfoApproval{Entity: id, Admit: member.Admit, Box: box, Kind: s.Kind})
	}
	n.pack(&body)
	return body, nil
}

// pack puts as much of the control strands into an info as there is room for, each having
// the same share. The caller holds the lock.
func (n *Node) pack(body *protocol.InfoBody) {
	room := protocol.MaxInfo - infoHead
	for _, raw := range body.Ops {
		room -= len(raw)
	}
	for _, ap := range body.Approvals {
		room -= len(ap.Box) + 34*protocol.MaxTips
	}
	for i := range body.Approvals {
		ap := &body.Approvals[i]
		h, ok := n.find(ap.Entity)
		if !ok {
			continue
		}
		strand, logs := protocol.Pack(h.Entity, ap.Admit, room/len(body.Approvals))
		ap.Logs, ap.Heads, ap.Ops, ap.Bytes = logs, strand.Heads, strand.Ops, strand.Bytes
	}
}

// takeInfo takes a friend's approvals, once what they lack of control strands is fetched.
func (n *Node) takeInfo(ctx context.Context, friend keys.Digest, device keys.ID, body protocol.InfoBody) error {
	h, ok := n.here(friend)
	n.mu.Lock()
	ok = ok && n.isParty(h, device)
	n.mu.Unlock()
	if !ok {
		return errNoFriend
	}
	strands := make(map[keys.Digest]*quarantine)
	for _, ap := range body.Approvals {
		if n.hasPersonal(friend, ap) {
			continue
		}
		q, err := n.strandOf(ctx, device, friendStrand(friend, ap.Entity), ap)
		if err != nil {
			return err
		}
		strands[ap.Entity] = q
	}
	return n.update(func(tx *tx) error {
		if !n.isParty(h, device) {
			return errNoFriend
		}
		return tx.takeInfo(h, device, body, strands)
	})
}

// takeInfo checks a friend's approvals and joins his personal entities. As the
// founder it also makes him a master of the friendship.
func (tx *tx) takeInfo(h *held, device keys.ID, body protocol.InfoBody, strands map[keys.Digest]*quarantine) error {
	n := tx.n
	friend := h.State().Other(n.user)
	// First all that can fail, then the changes.
	type taken struct {
		e    *entity.Entity
		ring entity.Keyring
	}
	var joins []taken
	var friends []keys.Digest
	for _, f := range n.friendships(friend) {
		friends = append(friends, f.ID())
	}
	for _, ap := range body.Approvals {
		if ap.Kind != entity.Profile && ap.Kind != entity.Board {
			return fmt.Errorf("%w: approval of a %v", protocol.ErrProof, ap.Kind)
		}
		box, err := n.openApproval(h.ID(), device, ap)
		if err != nil {
			return err
		}
		q := strands[ap.Entity]
		if q == nil {
			continue // there already; sync keeps it up to date
		}
		e := q.e
		ring, err := entity.CreateJoinEntity(e, entity.Approval{Entity: ap.Entity, Admit: ap.Admit, Heads: ap.Heads, Keys: box.Keys},
			entity.Wanted{Kind: ap.Kind, Me: n.me.Entity, By: friend, Friends: friends})
		if err != nil {
			return err
		}
		if e.State().Founder != friend || ap.Kind == entity.Board && !e.State().Personal {
			return fmt.Errorf("%w: not a personal entity of the friend", protocol.ErrProof)
		}
		joins = append(joins, taken{e, ring})
	}
	was := n.alive(h)
	tx.addRaw(h, body.Ops)
	if !h.State().Alive() {
		return errNoFriend
	}
	for _, j := range joins {
		if mine := n.entities[j.e.ID()]; mine != nil && n.personal(friend, j.e.State().Kind) == mine {
			continue // there already; sync keeps it up to date
		}
		if _, err := tx.join(j.e, j.ring); err != nil {
			return err
		}
		if q := strands[j.e.ID()]; len(q.keys) > 0 {
			tx.drop(q.name, q.keys)
		}
	}
	tx.addrs(device, body.Addrs)
	s := h.State()
	if m, _ := s.Member(friend); s.Founder == n.user && m.Role != entity.Master {
		o, err := h.Control(tx.author(), oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: m.Party})
		if err != nil {
			return err
		}
		tx.ops(h.Entity, o)
	}
	if !was && n.alive(h) {
		tx.event("friend.added", map[string]any{"id": h.ID().String(), "user_id": friend.String(), "name": n.nameOf(friend)})
	}
	for _, a := range n.attempts {
		if a.State == invite.AttemptSyncing && a.Ref == s.Ref && n.alive(h) {
			tx.attempt(a.Joined(tx.now))
		}
	}
	return tx.settle(friend)
}

// openApproval opens an approval's box with the user box key it was sealed to:
// that of the last epoch of Me, or an older one.
func (n *Node) openApproval(friend keys.Digest, from keys.ID, ap protocol.InfoApproval) (protocol.BoxBody, error) {
	err := error(keys.ErrBox)
	for _, key := range n.me.ring {
		var box protocol.BoxBody
		if box, err = protocol.OpenApproval(key.UserBox(), friend, ap.Entity, from, n.device.ID(), ap.Box); err == nil {
			return box, nil
		}
	}
	return protocol.BoxBody{}, err
}

// addRaw appends control ops of an entity that came outside a sync. Those that
// are known, or that their author had no right to, are passed over.
func (tx *tx) addRaw(h *held, raws [][]byte) {
	for _, raw := range raws {
		o, err := oplog.Parse(raw)
		if err != nil || o.Strand() != oplog.Control {
			continue
		}
		if added, err := h.Add(o); err == nil && added {
			tx.ops(h.Entity, o)
		}
	}
}

// hasPersonal reports whether what an approval lets us into is here: that profile or board
// of a friend is one that we are in.
func (n *Node) hasPersonal(friendship keys.Digest, ap protocol.InfoApproval) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, mine := n.entities[friendship], n.entities[ap.Entity]
	return h != nil && mine != nil && n.personal(h.State().Other(n.user), mine.State().Kind) == mine
}
