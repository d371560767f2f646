package chain

import (
	"fmt"
	"slices"

	"pttnode/keys"
)

// Class says what a device is. No rule of a chain looks at it: a class of a later
// version is one as well. Wire values; do not reorder.
type Class uint8

// The classes of docs/protocol/me-chain.md §3.
const (
	Phone   Class = 1
	Desktop Class = 2
	Server  Class = 3
)

// String returns "phone", "desktop", "server", or the number of another class.
func (c Class) String() string {
	switch c {
	case Phone:
		return "phone"
	case Desktop:
		return "desktop"
	case Server:
		return "server"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// Weights of a device, as in PIP-12.
const (
	Learner uint64 = 1
	Voter   uint64 = 2
)

// Device is one device of a person.
type Device struct {
	ID    keys.ID
	Class Class
	Box   keys.BoxID
	Alive bool // has caught up once
}

// Move says that a person goes on as another.
type Move struct {
	To   keys.Digest // uid
	Head keys.Digest // an op of that person's chain
}

// letter is what an op that takes a number adds to the history.
type letter = byte

// In the order of their strength: new words need the words and the voters, a RESET
// the words alone.
const (
	byReset letter = 'r'
	byWords letter = 'w'
)

// State is what a chain says as of one of its ops. It does not change.
type State struct {
	User   keys.Digest
	Head   keys.Digest
	Voters []keys.ID // ascending; 1, 3 or 5
	Anchor keys.ID
	Words  keys.ID    // the key of the recovery words
	Box    keys.BoxID // the user box key; zero before the first epoch
	Moved  *Move

	devices []*Device // in the order in which they came; neither list nor devices are ever changed
	history string    // a letter for each op that took a number
	removed *past[keys.ID]
	retired *past[keys.ID]
}

// past is a list that states share: what was, the last first.
type past[T comparable] struct {
	what T
	next *past[T]
}

func (p *past[T]) has(what T) bool {
	for ; p != nil; p = p.next {
		if p.what == what {
			return true
		}
	}
	return false
}

// Reset returns the reset number: how many RESETs and new words came so far.
func (s *State) Reset() uint64 { return uint64(len(s.history)) }

// Devices returns the set in the order in which its devices came.
func (s *State) Devices() []Device {
	list := make([]Device, len(s.devices))
	for i, d := range s.devices {
		list[i] = *d
	}
	return list
}

// Device returns a device of the set.
func (s *State) Device(id keys.ID) (Device, bool) {
	if d := s.device(id); d != nil {
		return *d, true
	}
	return Device{}, false
}

func (s *State) device(id keys.ID) *Device {
	for _, d := range s.devices {
		if d.ID == id {
			return d
		}
	}
	return nil
}

// Removed reports whether a device ever went; it never comes back.
func (s *State) Removed(id keys.ID) bool { return s.removed.has(id) }

// Votes reports whether a device is a voter.
func (s *State) Votes(id keys.ID) bool { return slices.Contains(s.Voters, id) }

// SoleVoter reports whether a device alone decides.
func (s *State) SoleVoter(id keys.ID) bool { return len(s.Voters) == 1 && s.Voters[0] == id }

// Weight returns the weight of a device of the set: Voter or Learner.
func (s *State) Weight(id keys.ID) uint64 {
	if s.Votes(id) {
		return Voter
	}
	return Learner
}

// majority returns how many votes of n voters decide.
func majority(n int) int { return n/2 + 1 }

// place is where the next op stands.
func (s *State) place() place { return place{user: s.User, prev: s.Head, reset: s.Reset()} }

// set puts d into the set, in its place if it is in it.
func (s *State) set(d Device) {
	list := make([]*Device, 0, len(s.devices)+1)
	known := false
	for _, old := range s.devices {
		if old.ID == d.ID {
			old, known = &d, true
		}
		list = append(list, old)
	}
	if !known {
		list = append(list, &d)
	}
	s.devices = list
}

// remove takes devices out of the set, for good.
func (s *State) remove(gone []keys.ID) {
	kept := make([]*Device, 0, len(s.devices))
	for _, d := range s.devices {
		if slices.Contains(gone, d.ID) {
			s.removed = &past[keys.ID]{what: d.ID, next: s.removed}
		} else {
			kept = append(kept, d)
		}
	}
	s.devices = kept
}

// number takes the next number.
func (s *State) number(l letter) { s.history += string(rune(l)) }
