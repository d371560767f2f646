package node

import (
	"cmp"
	"errors"
	"slices"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// take parses operations from a member, without the lock, and appends what is
// new and authorised, in one durable batch. missing says that some build on what
// is not here.
func (n *Node) take(eid keys.Digest, from keys.ID, raws [][]byte) (missing bool, err error) {
	missing, finish, err := n.takeParsed(eid, from, n.parse(eid, raws, nil))
	if finish != nil {
		err = cmp.Or(finish(), err)
	}
	return missing, err
}

// parse returns what is authentic and not here of operations from a member, of which some
// may be named by stubs.
func (n *Node) parse(eid keys.Digest, raws [][]byte, stubs map[keys.Digest]oplog.Op) []oplog.Op {
	return oplog.ParseBatch(n.unknown(eid, oplog.HashAll(raws)), stubs)
}

// takeParsed is take in memory, for operations that were parsed: finish, nil if there
// is nothing to write, returns when they are durable, and must be called.
func (n *Node) takeParsed(eid keys.Digest, from keys.ID, ops []oplog.Op) (missing bool, finish func() error, err error) {
	if len(ops) == 0 {
		return false, nil, nil
	}
	finish, err = n.begin(func(tx *tx) error {
		if n.me == nil {
			return refuse("linking")
		}
		h, ok := n.find(eid)
		switch {
		case !ok: // an entity that another device of ours joined; its hash says that it is the one
			if h, ok = tx.begin(eid, ops); !ok {
				return errNoEntity
			}
		case !n.mayHave(h, from):
			if _, out := h.DismissalOf(from); !out {
				return errNoEntity
			}
			// What he wrote beside his removal decides with it what holds; what he writes
			// otherwise comes from those who are in.
			ops = slices.DeleteFunc(slices.Clone(ops), func(o oplog.Op) bool { return o.Strand() == oplog.Content })
		}
		var err error
		missing, _, err = tx.take(h, from, ops)
		return err
	})
	if errors.Is(err, errNoEntity) {
		return false, finish, nil
	}
	return missing, finish, err
}

// take appends what is new and authorised of parsed operations from a member.
// missing says that some build on what is not here, refused what the entity's
// rules said to the first they did not let in.
func (tx *tx) take(h *held, from keys.ID, ops []oplog.Op) (missing bool, refused, err error) {
	n := tx.n
	var flooded error                                                                                                    // by who sent them
	kind := h.State().Kind                                                                                               // once: what is beside other operations has the state folded anew
	ops = slices.DeleteFunc(slices.Clone(ops), func(o oplog.Op) bool { return o.Bare() && o.Device() == n.device.ID() }) // of ours nothing is a stub only elsewhere
	for _, o := range ops {
		if _, known := h.Log().Get(o.ID()); !known && o.Entity() == h.ID() && o.Device() == n.device.ID() {
			// Our own key wrote what our store does not know: a clone or an old
			// backup. Whatever we wrote next would be a second op at one place.
			n.store.fail(refuse("store_behind"))
			return false, nil, refuse("store_behind")
		}
	}
	tx.from = from
	was := n.takesPart(h)
	add := func(o oplog.Op) {
		wide := o.Strand() == oplog.Control && h.Log().Widens(o)
		if wide && n.spending.over(wideOfDevice, o.Device().String(), tx.now) {
			if o.Device() == from {
				flooded = errFlood
			}
			return // it is taken later: he has it, and so does who brought it
		}
		added, err := h.Add(o)
		if added && wide {
			n.spending.add(wideOfDevice, o.Device().String(), tx.now)
		}
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
			tx.noticed(h, kind, o)
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
	if _, member := h.State().Member(n.user); was && !member { // not removed: never let in
		tx.event("member.void", map[string]any{"id": h.ID().String(), "user_id": n.user.String()})
	}
	tx.takeKeys(h)
	tx.listDevicesIn(h)
	tx.rotate(h)
	if len(n.lackedKeys(h)) > 0 {
		tx.after = append(tx.after, func() { n.keysSoon(h.ID(), from) })
	}
	if s := h.State(); s.Kind == entity.Friend {
		tx.ended(h)
		return missing, refused, cmp.Or(tx.settle(s.Other(n.user)), flooded)
	}
	return missing, refused, flooded
}

// unknown keeps those of an entity's operations that are not here: a signature is checked
// once, however often an op arrives.
func (n *Node) unknown(eid keys.Digest, batch []oplog.Hashed) []oplog.Hashed {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	if !ok {
		if _, missing := n.meLog.Entities[eid]; missing {
			return batch
		}
		return nil
	}
	return slices.DeleteFunc(batch, func(o oplog.Hashed) bool {
		_, known := h.Log().Get(o.ID())
		return known
	})
}

var (
	errNoEntity = errors.New("node: not shared")
	errFlood    = errors.New("node: too many control operations beside each other")
)

// noticed journals what a person would want to know of a new operation.
func (tx *tx) noticed(h *held, kind entity.Kind, o oplog.Op) {
	switch {
	case o.Bare(): // it is over
	case o.Family() == oplog.FamilyArticle && o.Type() == entity.TypeArticleNew:
		tx.event("article.new", map[string]any{"board": h.ID().String(), "id": o.ID().String(), "by": o.User().String()})
	case o.Family() == oplog.FamilyArticle, o.Family() == oplog.FamilyComment:
		tx.noticedChange(h, o)
	case o.Family() == oplog.FamilyMember && o.Type() == entity.TypeRemove:
		if body, _ := h.Describe(o, nil); body != nil {
			user := body.(*entity.Remove).User
			tx.event("member.removed", map[string]any{"id": h.ID().String(), "user_id": user.String(), "name": tx.n.nameOf(user)})
		}
	case o.Family() == oplog.FamilyMember && kind == entity.Board:
		tx.event("board.members", map[string]any{"id": h.ID().String()})
	case o.Family() == oplog.FamilyPolicy && o.Type() == entity.TypeEnd && kind == entity.Friend:
		tx.event("friend.ended", map[string]any{"id": h.ID().String()})
	}
}
