package node

import (
	"context"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// RotateBoard begins a new op-key of a board. Only an owner may.
func (n *Node) RotateBoard(_ context.Context, ref string) (BoardView, error) {
	var view BoardView
	err := n.update(func(tx *tx) error {
		h, err := n.ownBoard(ref)
		if err != nil {
			return err
		}
		if err := tx.newEpoch(h); err != nil {
			return writeCode(err)
		}
		view = n.boardView(h)
		return nil
	})
	return view, err
}

// newEpoch begins a new epoch of an entity.
func (tx *tx) newEpoch(h *held) error {
	o, key, err := h.Rotate(tx.author())
	if err != nil {
		return err
	}
	tx.ops(h.Entity, o)
	tx.opKey(h, o.ID(), key)
	tx.event("epoch.new", map[string]any{"id": h.ID().String(), "depth": h.State().Epochs[o.ID()].Depth})
	return nil
}

// rotate begins a new epoch where one is due and it is our turn: the most senior
// owner goes first, the others wait for so long that they see his.
func (tx *tx) rotate(h *held) {
	n := tx.n
	if !n.epochDue(h, tx.now) {
		delete(n.due, h.ID())
		return
	}
	since, ok := n.due[h.ID()]
	if !ok {
		since = tx.now
		n.due[h.ID()] = since
	}
	if tx.now.Sub(since) < time.Duration(h.RankOf(n.user))*rotateRank+time.Duration(n.ownRank())*rotateDevice {
		return
	}
	if err := tx.newEpoch(h); err != nil {
		n.log.Warn("new epoch", "entity", h.ID().String(), "err", err)
	}
	delete(n.due, h.ID())
}

// epochDue reports whether we may begin an epoch and there is a reason to: somebody
// is gone who has the last key, or much or old things were written in it. The caller
// holds the lock.
func (n *Node) epochDue(h *held, now time.Time) bool {
	s := h.State()
	if s.Kind == entity.Me || s.Ended || s.Frozen || !s.Speaks(n.user, n.device.ID(), entity.Master) ||
		s.Kind == entity.Friend && !s.Alive() {
		return false
	}
	if s.NeedsEpoch() {
		return true
	}
	writing, _ := s.WritingEpoch(func(keys.Digest) bool { return true })
	old := now.Sub(h.EpochAt(writing.ID)) > rotateEvery(s.Policy.History)
	if !old && h.Log().Len() < rotateAfter {
		return false
	}
	written := h.Written(writing.ID)
	return old && written > 0 || written >= rotateAfter
}

// rotateEvery returns how old a key may become that is written with. Where newcomers
// get the keys of the last days, these must be several.
func rotateEvery(h entity.History) time.Duration {
	if h.Mode != entity.HistoryLast {
		return rotateAge
	}
	return min(rotateAge, max(rotateLeast, time.Duration(min(h.Last, uint64(rotateAge/time.Second)*4))*time.Second/4))
}

// ownRank is the place of this device among our own. The caller holds the lock.
func (n *Node) ownRank() int {
	devices := n.me.State().Devices
	return slices.IndexFunc(devices, func(d entity.Device) bool { return d.ID == n.device.ID() })
}

// govern does what is due in the entities that we own: keys that somebody has who is
// gone are replaced, and who is no friend any more loses what friends have.
func (tx *tx) govern() {
	n := tx.n
	for _, eid := range slices.SortedFunc(mapKeys(n.entities), compareDigests) {
		h := n.entities[eid]
		tx.rotate(h)
		if end, ok := n.endOf(h); ok && tx.now.Sub(end.At()) > unfriendAfter {
			tx.unfriend(h.State().Other(n.user))
		}
	}
}

// endOf returns the op by which a friendship has ended, if it has.
func (n *Node) endOf(h *held) (oplog.Op, bool) {
	if s := h.State(); s.Kind != entity.Friend || !s.Ended {
		return oplog.Op{}, false
	}
	for o := range h.Log().All(oplog.Control) {
		if o.Family() == oplog.FamilyPolicy && o.Type() == entity.TypeEnd && h.Counts(o) {
			return o, true
		}
	}
	return oplog.Op{}, false
}
