package entity

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// Standing is how a user stands in an entity.
type Standing uint8

// The standings of a member.
const (
	Active  Standing = 1
	Removed Standing = 2
	Gone    Standing = 3 // left by himself
)

// String returns "active", "removed" or "left".
func (s Standing) String() string {
	switch s {
	case Active:
		return "active"
	case Removed:
		return "removed"
	case Gone:
		return "left"
	}
	return "unknown"
}

// Membership is one user's place in an entity.
type Membership struct {
	Party    Party
	Role     Role
	Standing Standing
	By       keys.Digest // who admitted him; himself for the founder
	Admit    keys.Digest // the op that did
	Ref      [16]byte    // the invite it came through, zero if none
	Since    time.Time   // for display
	Accepted bool        // Friend: consented
	End      keys.Digest // the op that ended it, zero while it lasts
}

// EpochInfo is one epoch of an entity's op-key.
type EpochInfo struct {
	ID         keys.Digest
	Depth      uint64
	Commitment keys.Digest
	By         keys.Digest // the user who made it
	Void       bool        // of a removal that is void, or of the device chain and not to go by: read with, not written with
	Tainted    bool        // somebody who was given it was removed, or a device of his: the same
	Left       bool        // somebody who was given it left: written with until there is another
	Replaced   bool        // a later epoch names it as one that it replaces
}

// Writer is a device as that of one user: what a user says of a key, its cuts
// among it, holds for him alone.
type Writer struct {
	User   keys.Digest
	Device keys.ID
}

// State is what an entity's control strand means. It is read only for everyone
// but the fold; a *State from Entity.State is good until the next Add.
type State struct {
	ID          keys.Digest
	Kind        Kind
	Founder     keys.Digest
	Name        string
	Title       string
	Description string
	Personal    bool
	Policy      Policy
	Parties     []keys.Digest // Friend
	Ref         [16]byte      // Friend
	Members     map[keys.Digest]*Membership
	Epochs      map[keys.Digest]EpochInfo
	Cuts        map[Writer]uint64 // how many content ops count, where they are limited
	Ended       bool
	EndReason   uint8
	Merged      keys.Digest // the entity this one goes on in, zero if none
	Frozen      bool        // a master wrote what this version must not ignore
	Void        map[keys.Digest]bool
	Final       Final

	// Me
	Recovery   keys.ID
	Devices    []Device
	DeviceHead keys.Digest // last op of the device chain
	UserBox    keys.BoxID  // of the last epoch

	chains  chain.Set            // Me: the branches of the device chain
	person  *chain.Verdict       // Me: what they come to
	unsound map[keys.Digest]bool // Me: epochs of the chain that are not written with, whatever becomes of it

	owners   map[keys.ID]keys.Digest // active members by device; nil until asked for, and after a change
	departed []departure             // memberships that ended
	clean    []keys.Digest           // epochs that nobody has who is gone
	left     []keys.Digest           // epochs that only who left has, of those who are gone
}

// Member returns a user's membership, whatever its standing.
func (s *State) Member(user keys.Digest) (*Membership, bool) {
	m, ok := s.Members[user]
	return m, ok
}

// Speaks reports whether device is a device of user here, and user an active
// member of at least role least.
func (s *State) Speaks(user keys.Digest, device keys.ID, least Role) bool {
	m, ok := s.Members[user]
	return ok && m.Standing == Active && m.Role >= least && slices.Contains(m.Party.Devices, device)
}

// UserOf returns the active member that a device belongs to: the lowest, where two
// claimed it beside each other.
func (s *State) UserOf(device keys.ID) (user keys.Digest, ok bool) {
	if s.owners == nil {
		s.owners = make(map[keys.ID]keys.Digest, len(s.Members))
		for _, m := range s.Members {
			if m.Standing == Active {
				s.own(m.Party)
			}
		}
	}
	user, ok = s.owners[device]
	return user, ok
}

// own notes the devices of an active member for UserOf, once that was asked for.
func (s *State) own(p Party) {
	if s.owners == nil {
		return
	}
	for _, d := range p.Devices {
		if old, claimed := s.owners[d]; !claimed || compare(p.User, old) < 0 {
			s.owners[d] = p.User
		}
	}
}

// claimant returns another active member than p's user who has one of p's devices.
func (s *State) claimant(p Party) (keys.Digest, bool) {
	for _, d := range p.Devices {
		user, ok := s.UserOf(d)
		if ok && user != p.User {
			return user, true
		}
		if !ok {
			continue
		}
		for user, m := range s.Members { // it is p's user's already, and UserOf names the lowest
			if user != p.User && m.Standing == Active && slices.Contains(m.Party.Devices, d) {
				return user, true
			}
		}
	}
	return keys.Digest{}, false
}

// CanWrite reports whether content of user by device counts now.
func (s *State) CanWrite(user keys.Digest, device keys.ID) bool {
	return !s.Ended && !s.Frozen && s.Speaks(user, device, ruleOf[s.Kind].writes)
}

// Active returns the active members, ascending by user.
func (s *State) Active() []*Membership {
	var out []*Membership
	for _, user := range slices.SortedFunc(maps.Keys(s.Members), compare) {
		if m := s.Members[user]; m.Standing == Active {
			out = append(out, m)
		}
	}
	return out
}

// active returns the number of active members.
func (s *State) active() int {
	n := 0
	for _, m := range s.Members {
		if m.Standing == Active {
			n++
		}
	}
	return n
}

// Other returns the other party of a Friend.
func (s *State) Other(user keys.Digest) keys.Digest {
	for _, p := range s.Parties {
		if p != user {
			return p
		}
	}
	return keys.Digest{}
}

// Alive reports whether a Friend has both its members and the second's consent,
// and has not ended.
func (s *State) Alive() bool {
	if s.Kind != Friend || s.Ended || len(s.Active()) != 2 {
		return false
	}
	m := s.Members[s.Other(s.Founder)]
	return m != nil && m.Accepted
}

// accepted reports whether the second party of a Friend has consented.
func (s *State) accepted() bool {
	m := s.Members[s.Other(s.Founder)]
	return s.Kind == Friend && m != nil && m.Accepted
}

// WritingEpoch returns the epoch that writers use, among those held reports true for: one
// that nobody has who left, then that of greatest depth, then of lowest id. One that is
// tainted is never used.
func (s *State) WritingEpoch(held func(keys.Digest) bool) (EpochInfo, bool) {
	var best EpochInfo
	found := false
	for id, e := range s.Epochs {
		if e.Void || e.Tainted || !held(id) {
			continue
		}
		if !found || e.Compare(best) < 0 {
			best, found = e, true
		}
	}
	return best, found
}

// Compare is negative if an epoch is rather to be written in than another one
// (docs/PROTOCOL.md §3.2).
func (e EpochInfo) Compare(other EpochInfo) int {
	if e.Left != other.Left {
		if other.Left {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(other.Depth, e.Depth), compare(e.ID, other.ID))
}

// PolicyHash names the policy that a requester sees and agrees to; it is zero
// for the kinds that have none.
func (s *State) PolicyHash() keys.Digest {
	if !ruleOf[s.Kind].policy {
		return keys.Digest{}
	}
	return s.Policy.Hash()
}

// Hash returns the name of a policy.
func (p Policy) Hash() keys.Digest { return keys.Hash(keys.LabelPolicy, keys.Marshal(p)) }

// Digest names members, roles, policy and epoch, never heads or content: two
// nodes that agree on these have the same digest.
func (s *State) Digest() keys.Digest {
	var b []byte
	for _, m := range s.Active() {
		b = append(b, m.Party.User[:]...)
		b = append(b, byte(m.Role))
	}
	epoch, _ := s.WritingEpoch(func(keys.Digest) bool { return true })
	var ended byte
	if s.Ended {
		ended = 1
	}
	return keys.Hash(keys.LabelDigest, s.ID[:], b, keys.Marshal(s.Policy), epoch.ID[:],
		binary.BigEndian.AppendUint64(nil, epoch.Depth), []byte{ended})
}

// Party returns what an admit elsewhere needs of a Me: its user, head of the
// device chain, devices and user box key.
func (s *State) Party(name string) Party {
	return party(s.ID, s.DeviceHead, s.Devices, s.UserBox, name)
}

func compare(a, b keys.Digest) int { return bytes.Compare(a[:], b[:]) }

// cut limits a device of user to the content up to c; of several cuts the greatest
// counts.
func (s *State) cut(user keys.Digest, c Cut) {
	w := Writer{user, c.Device}
	s.Cuts[w] = max(s.Cuts[w], c.Seq, c.Seq+1) // the last seq there is has none after it
}

// beyondCut reports whether a content op lies beyond its device's cut. A device
// that was claimed beside its user's leave has none; nothing of it counts. Nor does anything
// of a device of a Me that only a branch has which lost.
func (s *State) beyondCut(o oplog.Op) bool {
	count, ok := s.Cuts[Writer{o.User(), o.Device()}]
	if !ok && s.Kind == Me {
		return !s.listed(o.Device())
	}
	if !ok {
		m := s.Members[o.User()]
		return m != nil && m.Standing != Active
	}
	return o.Seq() >= count
}
