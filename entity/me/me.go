package me

import (
	"slices"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// Types of the me-oplog (docs/PROTOCOL.md §2.2). Wire values; do not reorder.
const (
	TypeJoined   uint16 = 1
	TypeLeft     uint16 = 2
	TypeRead     uint16 = 3
	TypeDecision uint16 = 4
	TypeSetting  uint16 = 5
	TypeRequest  uint16 = 6
)

// row is one type of entry.
type row struct {
	word  string
	body  func() body
	apply func(s *State, o oplog.Op, b body)
	// replaces names what an entry of a device says anew, so that the one before it is dead;
	// nil where each entry says something of its own.
	replaces func(device keys.ID, b body) any
	own      bool      // only the device that wrote an entry replaces it
	hide     func(any) // what nobody is shown
}

// body is what an entry seals.
type body interface {
	check() bool // of bounds
}

// Body is what an entry seals: a pointer to one of the types of this package.
type Body = body

// table is all types of entries. Each op_….go fills its own row.
var table = map[uint16]row{
	TypeJoined: joined, TypeLeft: left, TypeRead: read, TypeDecision: decision, TypeSetting: setting, TypeRequest: request,
}

// Types describes the types of the me-oplog.
var Types = types()

func types() entity.ContentTypes {
	out := make(map[uint16]entity.ContentType)
	for typ, r := range table {
		out[typ] = entity.ContentType{Word: r.word, Body: func() any { return r.body() }, Hide: r.hide}
	}
	return entity.ContentTypes{oplog.FamilyMe: out}
}

// State is what the me-oplog means: the content strand of a Me.
type State struct {
	Entities  map[keys.Digest]Joined               // joined and not left since, with the keys of all entries
	Seen      map[keys.Digest]map[keys.Digest]bool // by entity, the ops that were read
	Decisions map[keys.Digest]Decided              // by joinid, the first
	Settings  map[string][]byte                    // the last of each name
	Requests  map[AskedAt]Asked                    // the last of each

	keys map[keys.Digest][]entity.EpochKey // by entity
	last map[any]keys.Digest               // the last entry of each name that entries replace
	dead map[keys.Digest]bool              // entries that later ones name as replaced, and whether one of these can be read, or is itself dead for good
}

// Opened keeps the bodies that one Fold opened for the next.
type Opened map[keys.Digest]body

// Fold reads the me-oplog with the keys of Me. What cannot be opened or is out of bounds is
// passed over: its key or body may still come. opened may be nil.
func Fold(e *entity.Entity, ring entity.Keyring, opened Opened) State {
	s := State{
		Entities: make(map[keys.Digest]Joined), Seen: make(map[keys.Digest]map[keys.Digest]bool),
		Decisions: make(map[keys.Digest]Decided), Settings: make(map[string][]byte), Requests: make(map[AskedAt]Asked),
		keys: make(map[keys.Digest][]entity.EpochKey), last: make(map[any]keys.Digest), dead: make(map[keys.Digest]bool),
	}
	if opened == nil {
		opened = make(Opened)
	}
	var named []oplog.Op // entries that name the one that they replace
	for o := range e.Log().All(oplog.Content) {
		if o.Family() != oplog.FamilyMe || !e.Counts(o) {
			continue
		}
		r := table[o.Type()]
		if about, ok := e.Log().Get(o.About()); ok && r.mayReplace(o, about) {
			named = append(named, o)
		}
		b, ok := opened[o.ID()]
		if !ok {
			if b = open(e, ring, r, o); b == nil {
				continue
			}
			opened[o.ID()] = b
		}
		r.apply(&s, o, b)
		if r.replaces == nil {
			continue
		}
		s.last[r.replaces(o.Device(), b)] = o.ID()
	}
	for _, o := range slices.Backward(named) { // what cannot be read must not take the one before it along
		s.dead[o.About()] = s.dead[o.About()] || o.Here() && opened[o.ID()] != nil || s.dead[o.ID()]
	}
	return s
}

// mayReplace reports whether an entry of this type may name another one as replaced.
func (r row) mayReplace(o, about oplog.Op) bool {
	return r.replaces != nil && about.Family() == o.Family() && about.Type() == o.Type() && (!r.own || about.Device() == o.Device())
}

// Replaces returns the entry that one of a device, with a body of this package, replaces
// and is to name (docs/PROTOCOL.md §2.4); zero for none.
func (s State) Replaces(typ uint16, device keys.ID, b Body) keys.Digest {
	r := table[typ]
	if r.replaces == nil {
		return keys.Digest{}
	}
	return s.last[r.replaces(device, b)]
}

// open opens one entry; nil for what cannot be opened, is of a later version, or out of
// bounds.
func open(e *entity.Entity, ring entity.Keyring, r row, o oplog.Op) body {
	if r.body == nil {
		return nil
	}
	b := r.body()
	if e.Read(o, ring, b) != nil || !b.check() {
		return nil
	}
	return b
}

// Dead returns the ids of the entries that later ones replace, and of each whether it is so
// for good (docs/PROTOCOL.md §2.11).
func (s State) Dead() map[keys.Digest]bool { return s.dead }
