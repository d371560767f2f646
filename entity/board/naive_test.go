package board_test

import (
	"maps"
	"slices"
	"unicode/utf8"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// naive is a board straight from docs/PROTOCOL.md §2.9 and §2.11: it walks the whole log
// for every question, and shares nothing with what it checks but the log's order and what
// counts.
type naive struct {
	e      *entity.Entity
	whole  *entity.Entity // with all bodies and, in all, all keys
	all    entity.Keyring
	ops    []oplog.Op // of content, those that count
	past   map[keys.Digest]map[keys.Digest]bool
	owners map[keys.Digest]bool
}

func newNaive(e, whole *entity.Entity, all entity.Keyring) *naive {
	n := &naive{e: e, whole: whole, all: all, past: map[keys.Digest]map[keys.Digest]bool{}, owners: map[keys.Digest]bool{}}
	for _, s := range []oplog.Strand{oplog.Control, oplog.Content} {
		for o := range e.Log().All(s) {
			past := map[keys.Digest]bool{}
			for _, id := range slices.Concat(o.Parents(), o.Auth(), []keys.Digest{o.Prev()}) {
				maps.Copy(past, n.past[id])
				past[id] = true
			}
			n.past[o.ID()] = past
			if s == oplog.Content && e.Counts(o) {
				n.ops = append(n.ops, o)
			}
		}
	}
	for _, o := range n.ops {
		n.owners[o.ID()] = n.owner(o)
	}
	return n
}

// owner reports whether the author of a content op was an owner at the heads it cites,
// without what is void now. It knows the control ops that the histories of these tests have,
// without checkpoints.
func (n *naive) owner(o oplog.Op) bool {
	type place struct {
		devices        []keys.ID
		member, master bool
	}
	all := map[keys.Digest]*place{}
	for c := range n.e.Log().All(oplog.Control) {
		if !n.past[o.ID()][c.ID()] || !n.e.Counts(c) {
			continue
		}
		body, _ := n.e.Describe(c, nil, nil)
		switch b := body.(type) {
		case *entity.Genesis:
			all[c.User()] = &place{b.Founder.Devices, true, true}
		case *entity.Admit:
			if p := all[b.Party.User]; p == nil || !p.member {
				all[b.Party.User] = &place{b.Party.Devices, true, false}
			}
		case *entity.MasterAdd:
			all[b.Party.User].master = true
		case *entity.MasterRemove:
			all[b.User].master = false
		case *entity.Leave:
			all[c.User()].member = false
		case *entity.Devices:
			all[b.Party.User].devices = b.Party.Devices
		}
	}
	p := all[o.User()]
	return p != nil && p.member && p.master && slices.Contains(p.devices, o.Device())
}

func is(o oplog.Op, k kind) bool { return o.Family() == k.family && o.Type() == k.typ }

// about returns the ops of a type about another one whose author may write them.
func (n *naive) about(of oplog.Op, k kind, may func(o oplog.Op) bool) (ops []oplog.Op) {
	for _, o := range n.ops {
		if is(o, k) && o.About() == of.ID() && may(o) {
			ops = append(ops, o)
		}
	}
	return ops
}

func (n *naive) deletions(of oplog.Op, k kind) []oplog.Op {
	return n.about(of, k, func(o oplog.Op) bool { return o.User() == of.User() || n.owners[o.ID()] })
}

func (n *naive) edits(of oplog.Op) []oplog.Op {
	return n.about(of, editArticle, func(o oplog.Op) bool { return o.User() == of.User() })
}

func (n *naive) comments(of oplog.Op) []oplog.Op {
	return n.about(of, newComment, func(oplog.Op) bool { return true })
}

// shown returns the edits that stand, ascending by id.
func (n *naive) shown(edits []oplog.Op) []oplog.Op {
	stand := slices.DeleteFunc(slices.Clone(edits), func(x oplog.Op) bool {
		return slices.ContainsFunc(edits, func(y oplog.Op) bool { return n.past[y.ID()][x.ID()] })
	})
	slices.SortFunc(stand, func(a, b oplog.Op) int { return oplogtest.Compare(a.ID(), b.ID()) })
	return stand
}

// open says why a body cannot be shown, and opens it where it can.
func (n *naive) open(o oplog.Op, ring entity.Keyring, body any) board.Lack {
	_, has := ring[o.Epoch()]
	whole, _ := n.whole.Log().Get(o.ID())
	text := func(s string, most int) bool { return len(s) <= most && utf8.ValidString(s) }
	switch {
	case o.Size() == 0:
		return board.Malformed
	case !has:
		return board.NoKey
	case !o.Here():
		return board.NotHere
	}
	err := n.whole.Read(whole, n.all, body)
	switch b := body.(type) {
	case *board.Article:
		if err != nil || b.Title == "" || !text(b.Title, entity.MaxTitle) || !text(b.Class, entity.MaxName) || !text(b.Text, entity.MaxText) {
			*b = board.Article{}
			return board.Malformed
		}
	case *board.Comment:
		if err != nil || b.Mark < 1 || b.Mark > 3 || !text(b.Text, entity.MaxComment) {
			*b = board.Comment{}
			return board.Malformed
		}
	}
	return board.Nothing
}

func (n *naive) version(o oplog.Op, ring entity.Keyring) board.Version {
	v := board.Version{Device: o.Device()}
	v.Lack = n.open(o, ring, &v.Article)
	if is(o, editArticle) {
		v.Edit, v.EditedAt = o.ID(), o.At()
	}
	return v
}

// posts returns all that a board shows.
func (n *naive) posts(ring entity.Keyring) (out []told) {
	for _, o := range n.ops {
		if !is(o, newArticle) {
			continue
		}
		t := told{Post: board.Post{ID: o.ID(), No: len(out) + 1, Author: o.User(), At: o.At()}}
		if gone := n.deletions(o, deleteArticle); len(gone) > 0 {
			t.DeletedBy = gone[0].User()
			out = append(out, t)
			continue
		}
		shown := n.shown(n.edits(o))
		if len(shown) == 0 {
			shown = []oplog.Op{o}
		}
		t.Version = n.version(shown[0], ring)
		for _, x := range shown[1:] {
			t.Others = append(t.Others, n.version(x, ring))
		}
		marks := map[keys.Digest]int{}
		for _, x := range n.comments(o) {
			r := board.Remark{ID: x.ID(), No: len(t.remarks) + 1, Author: x.User(), At: x.At()}
			var c board.Comment
			if gone := n.deletions(x, deleteComment); len(gone) > 0 {
				r.By = gone[0].User()
			} else {
				t.Comments++
				r.Lack = n.open(x, ring, &c)
				r.Mark, r.Text = c.Mark, c.Text
			}
			switch c.Mark {
			case board.Push:
				marks[x.User()] = 1
			case board.Boo:
				marks[x.User()] = -1
			}
			t.remarks = append(t.remarks, r)
		}
		for _, m := range marks {
			t.Score += m
		}
		out = append(out, t)
	}
	return out
}

// dead returns what is shown nowhere, and whether for good.
func (n *naive) dead() map[keys.Digest]bool {
	last := n.e.State().Final.ID
	good := func(ops ...oplog.Op) bool {
		return !slices.ContainsFunc(ops, func(o oplog.Op) bool {
			return slices.ContainsFunc(o.Auth(), func(id keys.Digest) bool { return id != last && !n.past[last][id] })
		})
	}
	dead := map[keys.Digest]bool{}
	for _, o := range n.ops {
		if !is(o, newArticle) {
			continue
		}
		edits, comments := n.edits(o), n.comments(o)
		if gone := n.deletions(o, deleteArticle); len(gone) > 0 {
			for _, x := range slices.Concat([]oplog.Op{o}, edits, comments) {
				dead[x.ID()] = good(gone[0])
			}
		} else if shown := n.shown(edits); len(shown) > 0 {
			for _, x := range append(edits, o) {
				if !slices.ContainsFunc(shown, x.Is) {
					dead[x.ID()] = good(shown...) && !slices.ContainsFunc(shown, func(s oplog.Op) bool { return !s.Here() })
				}
			}
		}
	}
	for _, o := range n.ops {
		if !is(o, newComment) {
			continue
		}
		if gone := n.deletions(o, deleteComment); len(gone) > 0 {
			dead[o.ID()] = dead[o.ID()] || good(gone[0])
		}
	}
	return dead
}
