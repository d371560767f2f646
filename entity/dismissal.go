package entity

import (
	"maps"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// Dismissal is somebody who is no member and may not know it: he was removed, or what
// let him in is void. Who left knows.
type Dismissal struct {
	User    keys.Digest
	Devices []keys.ID
	End     keys.Digest   // by which he was removed, zero: he was not
	Admits  []keys.Digest // by which he may believe to be in, void, ascending
}

// Dismissals returns everybody who is no member and may not know it, ascending by user.
// The caller must not change it.
func (e *Entity) Dismissals() []Dismissal {
	e.findDismissals()
	return e.facts.gone
}

// DismissalOf returns how a device's user is no member, if he may not know it; of several
// users of one device the lowest.
func (e *Entity) DismissalOf(device keys.ID) (Dismissal, bool) {
	e.findDismissals()
	i, ok := e.facts.goneBy[device]
	if !ok {
		return Dismissal{}, false
	}
	return e.facts.gone[i], true
}

func (e *Entity) findDismissals() {
	f := e.facts
	if f.goneAt == len(f.bodies) { // whoever comes is looked for among them
		return
	}
	f.gone, f.goneAt, f.goneBy = e.dismissals(), len(f.bodies), make(map[keys.ID]int)
	for i, d := range f.gone {
		for _, device := range d.Devices {
			if _, claimed := f.goneBy[device]; !claimed {
				f.goneBy[device] = i
			}
		}
	}
}

func (e *Entity) dismissals() []Dismissal {
	s := e.State()
	by := make(map[keys.Digest]Dismissal)
	for u, m := range s.Members {
		if m.Standing == Removed {
			by[u] = Dismissal{User: u, Devices: m.Party.Devices, End: m.End}
		}
	}
	for _, n := range e.strangers(s) {
		p := e.facts.bodies[n].(*Admit).Party
		if m := s.Members[p.User]; m != nil && m.Standing != Removed {
			continue
		}
		d := by[p.User]
		d.User = p.User
		for _, device := range p.Devices {
			if !slices.Contains(d.Devices, device) {
				d.Devices = append(slices.Clip(d.Devices), device)
			}
		}
		d.Admits = append(d.Admits, e.facts.reach.ops[n].ID())
		by[p.User] = d
	}
	for _, d := range by {
		slices.SortFunc(d.Admits, compare)
	}
	return slices.SortedFunc(maps.Values(by), func(a, b Dismissal) int { return compare(a.User, b.User) })
}

// PartOf returns what of the control strand tells somebody that he is no member, as a
// log of its own: his removal, what makes it count, and what makes his admissions void,
// with all that these build on, and nothing after. It is nil where nothing of it was found yet: of what may
// make an admission void a few candidates are looked at in one call.
func (e *Entity) PartOf(d Dismissal) *oplog.Log {
	var tells []keys.Digest
	if !d.End.IsZero() {
		tells = append(append(tells, d.End), e.keeperOf(d.End)...)
	}
	for _, id := range d.Admits {
		n, ok := e.facts.reach.number[id]
		if !ok {
			continue
		}
		if cause := e.causeOf(n); cause != nil {
			tells = append(append(tells, id), cause...)
		}
	}
	if tells == nil {
		return nil
	}
	return e.Until(tells...)
}

// keeperOf returns by what an op counts that is beside a final checkpoint: the checkpoint
// that keeps it, with its acks where it is not final without them.
func (e *Entity) keeperOf(id keys.Digest) []keys.Digest {
	f := e.facts
	c, _, kept := e.verdict(f.reach.upTo(e.log.Heads(oplog.Control))).keptBy(f.reach.number[id])
	if !kept {
		return nil
	}
	ids := []keys.Digest{f.reach.ops[c].ID()}
	if final, _ := e.final(f.reach.upTo(ids), c); final {
		return ids
	}
	for _, a := range f.acks[c] {
		ids = append(ids, f.reach.ops[a].ID())
	}
	return ids
}

// hunt is how far it was looked for what makes an op void.
type hunt struct {
	next  int           // number of the op to look at next
	cause []keys.Digest // ops whose past, with that of the op, makes it void; nil: not found
}

// causeOf returns ops whose past, together with that of a void op, makes it void: one,
// or a checkpoint's acks; nil for not found. Each candidate costs a look at what is
// void in that past, which never changes: it is looked at once, and maxCauses of them
// in one call.
func (e *Entity) causeOf(n int) []keys.Digest {
	f := e.facts
	at, ok := f.causes[n]
	if !ok {
		at = &hunt{}
		f.causes[n] = at
	}
	for looked := 0; at.cause == nil && at.next < len(f.bodies) && looked < maxCauses; at.next++ {
		with := f.voiding(e.log, at.next)
		if with == nil {
			continue
		}
		looked++
		if e.verdict(f.reach.upTo(append(slices.Clone(with), f.reach.ops[n].ID()))).void(n) {
			at.cause = with
			break
		}
	}
	return at.cause
}

// voiding returns an op and what it has an effect with, if it may make others void: it
// takes away, closes, or is one of two at a place. What came later is no part of it.
func (f *facts) voiding(l *oplog.Log, n int) []keys.Digest {
	o := f.reach.ops[n]
	if at, forked := f.forks[o.Device()]; forked && o.Seq() >= at && len(l.At(o.Device(), oplog.Control, o.Seq())) > 1 {
		return []keys.Digest{o.ID()}
	}
	switch b := f.bodies[n].(type) {
	case *Remove, *MasterRemove, *MasterTransfer, *Leave, *Devices, *Checkpoint:
		return []keys.Digest{o.ID()}
	case *Ack:
		var acks []keys.Digest
		for _, a := range f.acks[f.reach.number[b.Checkpoint]] {
			if a <= n {
				acks = append(acks, f.reach.ops[a].ID())
			}
		}
		return acks
	}
	return nil
}
