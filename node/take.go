package node

import (
	"cmp"
	"errors"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// take parses operations from a member, without the lock, and appends what is
// new and authorised, in one durable batch. missing says that some build on what
// is not here.
func (n *Node) take(eid keys.Digest, from keys.ID, raws [][]byte) (missing bool, err error) {
	ops := oplog.ParseBatch(n.unknown(eid, raws))
	if len(ops) == 0 {
		return false, nil
	}
	err = n.update(func(tx *tx) error {
		h, ok := n.find(eid)
		switch {
		case !ok: // an entity that another device of ours joined; its hash says that it is the one
			if h, ok = tx.begin(eid, ops); !ok {
				return errNoEntity
			}
		case !n.mayHave(h, from):
			return errNoEntity
		}
		var err error
		missing, _, err = tx.take(h, from, ops)
		return err
	})
	if errors.Is(err, errNoEntity) {
		return false, nil
	}
	return missing, err
}

// take appends what is new and authorised of parsed operations from a member.
// missing says that some build on what is not here, refused what the entity's
// rules said to the first they did not let in.
func (tx *tx) take(h *held, from keys.ID, ops []oplog.Op) (missing bool, refused, err error) {
	n := tx.n
	for _, o := range ops {
		if _, known := h.Log().Get(o.ID()); !known && o.Entity() == h.ID() && o.Device() == n.device.ID() {
			// Our own key wrote what our store does not know: a clone or an old
			// backup. Whatever we wrote next would be a second op at one place.
			n.store.fail(refuse("store_behind"))
			return false, nil, refuse("store_behind")
		}
	}
	tx.from = from
	add := func(o oplog.Op) {
		added, err := h.Add(o)
		switch {
		case errors.Is(err, oplog.ErrMissing):
			missing = true
			n.counts.ops.WithLabelValues("missing").Inc()
		case err != nil:
			refused = cmp.Or(refused, err)
			n.counts.ops.WithLabelValues("refused").Inc()
		case added:
			n.counts.ops.WithLabelValues("taken").Inc()
			tx.ops(h.Entity, o)
			tx.noticed(h, o)
		}
	}
	var content []oplog.Op
	for _, o := range ops {
		if o.Strand() == oplog.Content {
			content = append(content, o) // after control, by which it is judged
			continue
		}
		add(o)
	}
	for _, o := range h.Vouched(content) {
		add(o)
	}
	if refused != nil { // one line for a batch: a member must not fill the log
		n.log.Warn("refused operations", "peer", from.String(), "first", refused)
	}
	tx.takeKeys(h)
	tx.listDevicesIn(h)
	if s := h.State(); s.Kind == entity.Friend {
		return missing, refused, tx.settle(s.Other(n.user))
	}
	return missing, refused, nil
}

// unknown returns those of an entity's operations that are not here: a signature is
// checked once, however often an op arrives.
func (n *Node) unknown(eid keys.Digest, raws [][]byte) [][]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	if !ok {
		if _, missing := n.meLog.Entities[eid]; missing {
			return raws
		}
		return nil
	}
	var out [][]byte
	for _, raw := range raws {
		if _, known := h.Log().Get(oplog.IDOf(raw)); !known {
			out = append(out, raw)
		}
	}
	return out
}

var errNoEntity = errors.New("node: not shared")

// noticed journals what a person would want to know of a new operation.
func (tx *tx) noticed(h *held, o oplog.Op) {
	switch {
	case o.Family() == oplog.FamilyArticle && o.Type() == entity.TypeArticleNew:
		tx.event("article.new", map[string]any{"board": h.ID().String(), "id": o.ID().String(), "by": o.User().String()})
	case o.Family() == oplog.FamilyArticle, o.Family() == oplog.FamilyComment:
		tx.noticedChange(h, o)
	case o.Family() == oplog.FamilyMember && h.State().Kind == entity.Board:
		tx.event("board.members", map[string]any{"id": h.ID().String()})
	case o.Family() == oplog.FamilyPolicy && o.Type() == entity.TypeEnd && h.State().Kind == entity.Friend:
		tx.event("friend.ended", map[string]any{"id": h.ID().String()})
	}
}
