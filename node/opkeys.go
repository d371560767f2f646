package node

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/protocol"
)

// Op-keys go from member to member (docs/PROTOCOL.md §3.3): an epoch's op says what
// its key commits to and brings no key. Who lacks one asks whoever is connected, and
// whoever has it seals it to him, if the entity's log lets him have it.

// lackedKeys returns epochs of an entity whose keys are not here and may be, the
// latest ones, ascending. The caller holds the lock.
func (n *Node) lackedKeys(h *held) []keys.Digest {
	s := h.State()
	if s.Kind == entity.Me || n.me == nil || !n.takesPart(h) {
		return nil
	}
	var out []entity.EpochInfo
	for id, i := range s.Epochs {
		if _, ok := h.ring[id]; !ok && h.MayHave(n.user, id) {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b entity.EpochInfo) int {
		return cmp.Or(cmp.Compare(b.Depth, a.Depth), compareDigests(a.ID, b.ID))
	})
	var ids []keys.Digest
	for _, i := range out[:min(len(out), protocol.MaxAsked)] {
		ids = append(ids, i.ID)
	}
	slices.SortFunc(ids, compareDigests)
	return ids
}

// keysSoon asks for the keys that an entity lacks in a goroutine of its own, one at a
// time: first whoever brought what needs them.
func (n *Node) keysSoon(eid keys.Digest, first keys.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	if !ok || n.asking[eid] || n.runCtx == nil || n.runCtx.Err() != nil || len(n.lackedKeys(h)) == 0 {
		return
	}
	n.asking[eid] = true
	ctx := n.runCtx
	n.wg.Go(func() {
		n.askForKeys(ctx, eid, first)
		n.mu.Lock()
		delete(n.asking, eid)
		n.mu.Unlock()
	})
}

// askForKeys asks connected members until nothing is lacking, a few at most.
func (n *Node) askForKeys(ctx context.Context, eid keys.Digest, first keys.ID) {
	for _, d := range n.keyHolders(eid, first) {
		n.mu.Lock()
		var lacked []keys.Digest
		if h, ok := n.find(eid); ok {
			lacked = n.lackedKeys(h)
		}
		n.mu.Unlock()
		if len(lacked) == 0 || ctx.Err() != nil {
			return
		}
		if err := n.askKeys(ctx, d, eid, lacked); err != nil {
			n.log.Debug("keys", "peer", d.String(), "entity", eid.String(), "err", err)
		}
	}
}

// keyHolders returns connected devices to ask, first before others.
func (n *Node) keyHolders(eid keys.Digest, first keys.ID) []keys.ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	if !ok {
		return nil
	}
	var out []keys.ID
	for d := range n.others(h) {
		if d != first && n.online([]keys.ID{d}) {
			out = append(out, d)
		}
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	out = out[:min(len(out), keyAsks)]
	if n.others(h)[first] {
		out = append([]keys.ID{first}, out...)
	}
	return out
}

// askKeys is R's side: it asks one device and keeps what is an epoch's key.
func (n *Node) askKeys(ctx context.Context, device keys.ID, eid keys.Digest, epochs []keys.Digest) (err error) {
	ctx, cancel := context.WithTimeout(ctx, protocol.FrameTime)
	defer cancel()
	s, err := n.openStream(ctx, device, protocol.KeysID)
	if err != nil {
		return err
	}
	undo := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer undo()
	defer func() { s.finish(err) }()
	ask := protocol.AskKeys{Entity: eid, Epochs: epochs}
	if err := s.send(uint8(protocol.KeysAsk), ask); err != nil {
		return err
	}
	typ, payload, err := s.read(protocol.KeysLimit)
	if err != nil || protocol.KeysType(typ) == protocol.KeysNo {
		return err
	}
	if protocol.KeysType(typ) != protocol.KeysBoxes {
		return fmt.Errorf("%w: keys frame %d", protocol.ErrUnexpected, typ)
	}
	answer, err := protocol.DecodeKeyBoxes(payload)
	if err != nil {
		return err
	}
	return n.update(func(tx *tx) error { return tx.takeBoxes(eid, answer.Boxes) })
}

// takeBoxes keeps what is the key of an epoch. One that does not open, or is not what
// its epoch committed to, ends it: what came before is kept.
func (tx *tx) takeBoxes(eid keys.Digest, boxes []protocol.KeyBox) error {
	n := tx.n
	h, ok := n.find(eid)
	if !ok {
		return nil
	}
	for _, b := range boxes {
		if _, have := h.ring[b.Epoch]; have {
			continue
		}
		key, err := n.openKeyBox(h, b)
		if err != nil {
			return err
		}
		tx.opKey(h, b.Epoch, key)
	}
	return nil
}

// openKeyBox opens a box with the user box key that the entity has of us: that of the
// last epoch of Me, or an older one.
func (n *Node) openKeyBox(h *held, b protocol.KeyBox) (keys.OpKey, error) {
	err := error(keys.ErrBox)
	for _, me := range n.me.ring {
		var key keys.OpKey
		if key, err = h.State().OpenSealed(b.Epoch, b.Box, me.UserBox()); err == nil {
			return key, nil
		}
	}
	return keys.OpKey{}, err
}

// serveKeys is M's side. Who is no member, and who asks for an entity that is not
// here, get the same answer; a member gets the keys that he may have and that are here.
func (n *Node) serveKeys(_ context.Context, s *stream) (err error) {
	defer func() { s.finish(err) }()
	if !n.knows(s.peer) {
		return errStranger
	}
	if !n.afford(keysOfPeer, s.peer) {
		return errBusy
	}
	if err := s.SetReadDeadline(time.Now().Add(protocol.FrameTime)); err != nil {
		return err
	}
	typ, payload, err := s.read(protocol.KeysLimit)
	if err != nil {
		return err
	}
	if protocol.KeysType(typ) != protocol.KeysAsk {
		return fmt.Errorf("%w: keys frame %d", protocol.ErrUnexpected, typ)
	}
	ask, err := protocol.DecodeAskKeys(payload)
	if err != nil {
		return err
	}
	boxes, ok := n.boxesFor(s.peer, ask)
	if !ok {
		return s.send(uint8(protocol.KeysNo), protocol.No{})
	}
	if err := n.store.settled(); err != nil { // the op of an epoch is durable before its key is told
		return err
	}
	return s.send(uint8(protocol.KeysBoxes), protocol.KeyBoxes{Boxes: boxes})
}

// boxesFor seals what a device asks for, or reports that it may not ask.
func (n *Node) boxesFor(device keys.ID, ask protocol.AskKeys) ([]protocol.KeyBox, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.entities[ask.Entity]
	if !ok || !n.mayHave(h, device) {
		return nil, false
	}
	user := n.user
	if !n.mine(device) {
		user, _ = h.State().UserOf(device)
	}
	boxes := []protocol.KeyBox{}
	for _, epoch := range ask.Epochs {
		key, ok := h.ring[epoch]
		if !ok {
			continue
		}
		if box, err := h.SealKey(user, epoch, key); err == nil {
			boxes = append(boxes, protocol.KeyBox{Epoch: epoch, Box: box})
		}
	}
	return boxes, true
}

// keysFor returns the keys of an entity that a member may have. The caller holds the
// lock.
func (n *Node) keysFor(h *held, user keys.Digest) []entity.EpochKey {
	out := epochKeys(h.ring)
	return slices.DeleteFunc(out, func(k entity.EpochKey) bool { return !h.MayHave(user, k.Epoch) })
}
