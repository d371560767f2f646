package node

import (
	"maps"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/entity/me"
	"pttnode/keys"
	"pttnode/oplog"
)

// held is an entity we are or were a member of, with its keys.
type held struct {
	*entity.Entity
	ring  entity.Keyring
	board *board.Board // reads its articles and comments
	dead  deadMemo
	bytes map[keys.Digest]int // of bodies that are here, by author; nil until asked for
}

// deadMemo is what was found dead when there were so many operations, bodies and keys.
type deadMemo struct {
	ops, absent, keys int
	ids               map[keys.Digest]bool
}

// hold returns an entity as it is held: what its log does not keep in memory is found on
// the shelf.
func (s *shelf) hold(e *entity.Entity, ring entity.Keyring) *held {
	if ring == nil {
		ring = entity.Keyring{}
	}
	e.Log().SetSource(s.of(e.Log()))
	return &held{Entity: e, ring: ring, board: board.New(e)}
}

// writing returns the epoch that is written in here.
func (h *held) writing() (entity.EpochInfo, bool) {
	return h.State().WritingEpoch(func(id keys.Digest) bool { _, ok := h.ring[id]; return ok })
}

// contentTypes are the types of all content that this version knows.
var contentTypes = func() entity.ContentTypes {
	all := maps.Clone(board.Types)
	maps.Copy(all, me.Types)
	maps.Copy(all, entity.ProfileTypes)
	return all
}()

// describe returns an operation's body and the word of its type.
func (h *held) describe(o oplog.Op) (body any, word string) {
	return h.Describe(o, contentTypes, h.ring)
}

// stored returns how many bytes of bodies of each author are here.
func (h *held) stored() map[keys.Digest]int {
	if h.bytes == nil {
		h.bytes = make(map[keys.Digest]int)
		for o := range h.Log().All(oplog.Content) {
			if o.Here() {
				h.bytes[o.User()] += o.Size()
			}
		}
	}
	return h.bytes
}

// deadNow returns the ids of what is shown nowhere, and of each whether that is so for good
// (docs/PROTOCOL.md §2.11).
func (h *held) deadNow() map[keys.Digest]bool {
	now := deadMemo{ops: h.Log().Len(), absent: h.Log().AbsentLen(), keys: len(h.ring)}
	if d := h.dead; d.ids != nil && d.ops == now.ops && d.absent == now.absent && d.keys == now.keys {
		return d.ids
	}
	switch h.State().Kind {
	case entity.Board:
		now.ids = h.board.Dead()
	case entity.Profile:
		now.ids = h.DeadProfiles(h.ring)
	case entity.Me:
		now.ids = me.Fold(h.Entity, h.ring, nil).Dead()
	default:
		now.ids = map[keys.Digest]bool{}
	}
	h.dead = now
	return now.ids
}
