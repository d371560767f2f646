package board

import (
	"cmp"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// latest is the memory of findLatest: which of an article's last edits by device no
// other has among its ancestors.
type latest struct{ of, shown []oplog.Op }

// findLatest finds for each article the edits that no other one has among its ancestors.
//
// The edits of one device stand in a row, so only the last of each device can be one
// of them. Where there are several, the past of each is walked, from one device's
// first such edit to its last, each op once: the edits of many articles by one device
// cost one walk. What one walk found stays true, so it is kept in memory.
func (b *Board) findLatest(posts []posted) {
	var open [][]oplog.Op // of each article to be decided, the last edits by device
	var of []*posted
	for i := range posts {
		p := &posts[i]
		if !p.deleted.IsZero() {
			continue
		}
		last := lastByDevice(p.edits)
		if len(last) < 2 {
			p.shown = last
			continue
		}
		if known := b.latest[p.op.ID()]; slices.EqualFunc(known.of, last, oplog.Op.Is) {
			p.shown = known.shown
			continue
		}
		open, of = append(open, last), append(of, p)
	}
	if len(open) == 0 {
		return
	}
	over := overtaken(b.e.Log(), open)
	for i, p := range of {
		for _, o := range open[i] {
			if !over[o.ID()] {
				p.shown = append(p.shown, o)
			}
		}
		byID(p.shown)
		b.latest[p.op.ID()] = latest{open[i], p.shown}
	}
}

// lastByDevice returns the last of each device's edits, which are in the log's order.
func lastByDevice(edits []oplog.Op) []oplog.Op {
	if len(edits) < 2 {
		return edits
	}
	seen := make(map[keys.ID]bool)
	var last []oplog.Op
	for _, o := range slices.Backward(edits) {
		if !seen[o.Device()] {
			seen[o.Device()] = true
			last = append(last, o)
		}
	}
	return last
}

// overtaken returns which content ops are among the ancestors of another one of their group.
// Of a device there is at most one in a group, and no place at which it signed two.
//
// The walk down from the ops of one device visits each op of the log at most once,
// since a later op of the device has among its ancestors whatever an earlier one has. It stops
// at the oldest op that is asked for: the ancestors of an op stand before it in the
// log's order.
func overtaken(l *oplog.Log, groups [][]oplog.Op) map[keys.Digest]bool {
	asked := make(map[keys.Digest]bool)
	byDevice := make(map[keys.ID][]member)
	for i, g := range groups {
		for _, o := range g {
			asked[o.ID()] = true
			byDevice[o.Device()] = append(byDevice[o.Device()], member{o, i})
		}
	}
	place := placesSince(l, asked)
	over := make(map[keys.Digest]bool)
	for _, ms := range byDevice {
		slices.SortFunc(ms, func(a, b member) int { return cmp.Compare(a.op.Seq(), b.op.Seq()) })
		oldest := len(place)
		for _, m := range ms {
			for _, o := range groups[m.group] {
				oldest = min(oldest, place[o.ID()])
			}
		}
		w := walk{l, place, oldest, make([]bool, len(place))}
		for _, m := range ms {
			w.down(m.op)
			for _, o := range groups[m.group] {
				if w.seen[place[o.ID()]] {
					over[o.ID()] = true
				}
			}
		}
	}
	return over
}

// member is an op and the group it is in.
type member struct {
	op    oplog.Op
	group int
}

// placesSince returns the places of ops in the log's order, counted from the first one
// asked for.
func placesSince(l *oplog.Log, asked map[keys.Digest]bool) map[keys.Digest]int {
	place := make(map[keys.Digest]int)
	for o := range l.All(oplog.Content) {
		if len(place) > 0 || asked[o.ID()] {
			place[o.ID()] = len(place)
		}
	}
	return place
}

// walk goes from ops to what they build on.
type walk struct {
	log    *oplog.Log
	place  map[keys.Digest]int
	oldest int    // place below which nothing is looked for
	seen   []bool // by place
}

// down marks the ancestors of o.
func (w walk) down(o oplog.Op) {
	todo := []oplog.Op{o}
	step := func(id keys.Digest) {
		if i, ok := w.place[id]; ok && i >= w.oldest && !w.seen[i] {
			w.seen[i] = true
			p, _ := w.log.Get(id)
			todo = append(todo, p)
		}
	}
	for len(todo) > 0 {
		o, todo = todo[len(todo)-1], todo[:len(todo)-1]
		step(o.Prev())
		for _, id := range o.Parents() {
			step(id)
		}
	}
}
