package entity

import (
	"cmp"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// overtaken returns which content ops are in the past of another one of their group.
// Of a device there is at most one in a group, and no place at which it signed two.
//
// The walk down from the ops of one device visits each op of the log at most once,
// since a later op of the device has in its past whatever an earlier one has. It stops
// at the oldest op that is asked for: what a place of the log's order has in its past
// stands before it.
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

// down marks what is in the past of o.
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
