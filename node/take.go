package node

import (
	"cmp"
	"errors"
	"slices"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/keys"
	"pttnode/oplog"
)

// take takes a payload of operations that a member pushed, in one durable batch: what is
// new and authorised is appended. missing says that some build on what is not here. It
// fails with errPayload.
func (n *Node) take(eid keys.Digest, from keys.ID, pairs []oplog.Pair) (missing bool, err error) {
	ops, err := parseWhole(pairs)
	if err != nil {
		return false, err
	}
	missing, finish, err := n.takeParsed(eid, from, n.notHere(eid, ops))
	if finish != nil {
		err = cmp.Or(finish(), err)
	}
	return missing, err
}

// errPayload says that not all of a payload is authentic and has its body.
var errPayload = errors.New("node: a payload that no honest member sends")

// parseWhole parses what is pushed or gossiped: all of it is authentic, each operation with
// its body, whatever of it is here already, or nothing is taken. So nodes that have different
// parts of it blame the same peer for the same payload.
func parseWhole(pairs []oplog.Pair) ([]oplog.Op, error) {
	ops := oplog.ParseBatch(oplog.HashAll(pairs))
	if len(ops) < len(pairs) || slices.ContainsFunc(ops, func(o oplog.Op) bool { return o.Size() > 0 && o.Body() == nil }) {
		return nil, errPayload
	}
	return ops, nil
}

// notHere keeps those of an entity's operations that are not here, or not with their bodies.
func (n *Node) notHere(eid keys.Digest, ops []oplog.Op) []oplog.Op {
	return newHere(n, eid, ops, oplog.Op.ID, func(o oplog.Op) bool { return o.Body() != nil })
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
	var flooded error      // by whoever sent them
	kind := h.State().Kind // once: what is concurrent with other operations has the state folded anew
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
		if _, known := h.Log().Get(o.ID()); known {
			tx.bring(h, o)
			return
		}
		wide := o.Strand() == oplog.Control && h.Log().Widens(o)
		if wide && n.spending.over(wideOfDevice, o.Device().String(), tx.now) {
			if o.Device() == from {
				flooded = errFlood
			}
			return // it is taken later: he has it, and so does who brought it
		}
		if o.Body() != nil && n.overQuota(h, o) {
			o = o.WithoutBody()
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
			if o.Body() != nil {
				tx.spend(h, o)
			}
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

// unknown keeps those of an entity's operations that are not here, or not with their bodies:
// a signature is checked once, however often an op arrives in a sync.
func (n *Node) unknown(eid keys.Digest, batch []oplog.Hashed) []oplog.Hashed {
	return newHere(n, eid, batch, oplog.Hashed.ID, oplog.Hashed.HasBody)
}

func newHere[T any](n *Node, eid keys.Digest, batch []T, id func(T) keys.Digest, hasBody func(T) bool) []T {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.find(eid)
	if !ok {
		if _, missing := n.meLog.Entities[eid]; missing {
			return batch
		}
		return nil
	}
	return slices.DeleteFunc(batch, func(t T) bool {
		o, known := h.Log().Get(id(t))
		return known && (o.Here() || !hasBody(t))
	})
}

// bring keeps a body that came for an operation that is here without, if it is missed: what
// was let go of does not come back with a push.
func (tx *tx) bring(h *held, o oplog.Op) {
	l := tx.n.lacking[h.ID()]
	if l == nil || l.since[o.ID()].IsZero() || !l.wants[o.ID()] && tx.n.overQuota(h, o) || !h.Log().Bring(o) {
		return
	}
	tx.spend(h, o)
	tx.keep(h.Log(), o)
	tx.brought = append(tx.brought, o.Entity())
	tx.n.counts.ops.WithLabelValues("body").Inc()
}

var (
	errNoEntity = errors.New("node: not shared")
	errFlood    = errors.New("node: too many control operations beside each other")
)

// noticed journals what a person would want to know of a new operation.
func (tx *tx) noticed(h *held, kind entity.Kind, o oplog.Op) {
	switch {
	case o.Family() == oplog.FamilyArticle && o.Type() == board.TypeArticleNew:
		tx.event("article.new", map[string]any{"board": h.ID().String(), "id": o.ID().String(), "by": o.User().String()})
	case o.Family() == oplog.FamilyArticle, o.Family() == oplog.FamilyComment:
		tx.noticedChange(h, o)
	case o.Family() == oplog.FamilyMember && o.Type() == entity.TypeRemove:
		if body, _ := h.describe(o); body != nil {
			user := body.(*entity.Remove).User
			tx.event("member.removed", map[string]any{"id": h.ID().String(), "user_id": user.String(), "name": tx.n.nameOf(user)})
		}
	case o.Family() == oplog.FamilyMember && kind == entity.Board:
		tx.event("board.members", map[string]any{"id": h.ID().String()})
	case o.Family() == oplog.FamilyPolicy && o.Type() == entity.TypeEnd && kind == entity.Friend:
		tx.event("friend.ended", map[string]any{"id": h.ID().String()})
	}
}
