package entity

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"pttnode/keys"
	"pttnode/oplog"
)

// judge says whether o's author had the right to it in the state at o's own
// past. s is nil for a genesis. It is pure.
func judge(s *State, o oplog.Op, body any, known bool) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %v %d/%d: %s", ErrNotAuthorized, o.ID(), o.Family(), o.Type(), fmt.Sprintf(format, args...))
	}
	if s == nil {
		_, err := begin(o, body)
		return err
	}
	if o.Family() == oplog.FamilyGenesis {
		return refuse("a second genesis")
	}
	if b, ok := body.(*DeviceOp); ok {
		if err := judgeDeviceOp(s, o, b); err != nil {
			return refuse("%v", err)
		}
		return nil
	}
	if !s.Speaks(o.User(), o.Device(), Reader) {
		return refuse("%v does not speak for a member", o.Device())
	}
	master := s.Speaks(o.User(), o.Device(), Master)
	if !known {
		if o.Critical() && !master {
			return refuse("a critical op of a newer version, not by a master")
		}
		return nil
	}
	if _, epoch := body.(*Epoch); s.Kind == Me && !epoch {
		return refuse("a Me has no such op")
	}
	if s.Ended && !(o.Family() == oplog.FamilyPolicy && (o.Type() == TypeEnd || o.Type() == TypeMerged)) {
		return fmt.Errorf("%w: op %v", ErrEnded, o.ID())
	}
	if needsMaster(s.Kind, body) && !master {
		return refuse("not a master")
	}
	r := ruleOf[s.Kind]
	self := s.Members[o.User()]
	switch b := body.(type) {
	case *MasterAdd:
		switch {
		case b.Party.User != s.Founder && !r.addMaster:
			return refuse("a %v has one master", s.Kind)
		default:
			m := s.Members[b.Party.User]
			if m == nil || m.Standing != Active {
				return refuse("%v is not a member", b.Party.User)
			}
			if !m.Party.Same(b.Party) {
				return refuse("%v with other devices than he has here", b.Party.User) // an owner speaks with the devices that the log knows
			}
		}
	case *Admit:
		return judgeAdmit(s, b, r, refuse)
	case *Leave:
		if o.User() == s.Founder || s.Kind == Me {
			return fmt.Errorf("%w: op %v", ErrLastOwner, o.ID())
		}
		for _, c := range b.Cuts {
			if c.Strand != oplog.Content || !slices.Contains(self.Party.Devices, c.Device) {
				return refuse("a cut of another's device")
			}
		}
	case *Devices:
		return judgeDevices(s, o.User(), b, master, refuse)
	case *Accept:
		if !r.accept || o.User() == s.Founder || self.Accepted {
			return refuse("nothing to accept")
		}
	case *Epoch:
		return judgeEpochOf(s, b.Depth, b.Replaces, refuse)
	case *End:
		if s.Kind == Profile {
			return refuse("a %v does not end", s.Kind)
		}
	case *MasterRemove, *MasterTransfer, *Remove, *SetRole:
		return judgeAgainst(s, o, body, r, refuse)
	case *Checkpoint, *Ack: // judgeFinality says more
		if !r.policy {
			return refuse("no checkpoints in a %v", s.Kind)
		}
	case *Merged:
		if s.Kind != Friend || b.Into == s.ID || b.Into.IsZero() {
			return refuse("nothing to merge")
		}
	case *Text:
		if !r.policy || o.Type() == TypeTitle && len(b.Text) > MaxTitle {
			return refuse("no title here, or too long")
		}
	case *SetJoinPolicy:
		if !r.policy || b.Join < JoinFriends || b.Join > JoinLink {
			return refuse("no such policy")
		}
	case *SetHistory:
		if !r.policy || !b.History.valid() {
			return refuse("no such policy")
		}
	}
	return nil
}

// needsMaster reports whether only a master may write an operation with this body.
func needsMaster(k Kind, body any) bool {
	switch body.(type) {
	case *MasterAdd, *MasterRemove, *MasterTransfer, *Admit, *Remove, *SetRole, *Epoch, *Text, *SetJoinPolicy, *SetHistory,
		*Checkpoint, *Ack:
		return true
	case *End:
		return k != Friend
	}
	return false
}

func judgeAdmit(s *State, b *Admit, r rules, refuse func(string, ...any) error) error {
	switch {
	case !slices.Contains(r.roles, b.Role):
		return refuse("a %v does not admit as %v", s.Kind, b.Role)
	case (b.Ref == nil) == (b.Friend == nil):
		return refuse("needs an invite or a friendship")
	case s.Kind == Friend && (b.Ref == nil || *b.Ref != s.Ref || !slices.Contains(s.Parties, b.Party.User)):
		return refuse("not the other party of this friendship")
	case b.History != nil && !b.History.valid():
		return refuse("an unknown history policy")
	}
	if m := s.Members[b.Party.User]; m != nil && m.Standing == Active {
		return refuse("%v is a member already", b.Party.User)
	}
	if len(s.Members) >= r.members && s.active() >= r.members {
		return refuse("full: %d members", r.members)
	}
	if !ascending(b.Epochs, compare) {
		return refuse("epochs not ascending")
	}
	for _, id := range b.Epochs {
		if _, ok := s.Epochs[id]; !ok {
			return refuse("hands out an unknown epoch")
		}
	}
	return judgeParty(s, b.Party, refuse)
}

// judgeDevices checks what b says of a member's devices. A device that goes must
// leave a cut of its content, and nothing else may be cut: or a member could end
// what others write, and write on himself with a device he gave up. A master
// speaks for an absent member, but not for another master: only the founder may.
func judgeDevices(s *State, author keys.Digest, b *Devices, master bool, refuse func(string, ...any) error) error {
	m := s.Members[b.Party.User]
	switch {
	case m == nil || m.Standing != Active:
		return refuse("devices of no member")
	case author != b.Party.User && !master, author != b.Party.User && m.Role == Master && author != s.Founder:
		return refuse("devices of another")
	}
	gone := func(d keys.ID) bool {
		return slices.Contains(m.Party.Devices, d) && !slices.Contains(b.Party.Devices, d)
	}
	for _, c := range b.Cuts {
		if !gone(c.Device) {
			return refuse("a cut of a device that is not gone")
		}
	}
	for _, d := range m.Party.Devices {
		if gone(d) && !slices.ContainsFunc(b.Cuts, func(c Cut) bool { return c.Device == d && c.Strand == oplog.Content }) {
			return refuse("a device goes without a cut")
		}
	}
	return judgeParty(s, b.Party, refuse)
}

func judgeParty(s *State, p Party, refuse func(string, ...any) error) error {
	switch {
	case p.User.IsZero() || p.Head.IsZero():
		return refuse("a party without user or head")
	case p.Box.Check() != nil: // the next epoch could not be sealed to him, and so to nobody
		return refuse("a party without box key, or with one of low order")
	case len(p.Devices) == 0 || len(p.Devices) > MaxDevices:
		return refuse("a party of %d devices", len(p.Devices))
	case !ascending(p.Devices, func(a, b keys.ID) int { return bytes.Compare(a[:], b[:]) }):
		return refuse("devices not ascending")
	case !IsText(p.Name, MaxName):
		return refuse("a name that is none")
	}
	if user, ok := s.claimant(p); ok {
		return refuse("claims a device of %v", user)
	}
	return nil
}

// judgeAgainst checks what is done to another member. The founder is out of reach
// of all but himself, and he can only hand his place on: so there is always a
// master.
func judgeAgainst(s *State, o oplog.Op, body any, r rules, refuse func(string, ...any) error) error {
	var user keys.Digest
	var cuts []Cut
	switch b := body.(type) {
	case *MasterRemove:
		user, cuts = b.User, b.Cuts
	case *MasterTransfer:
		user, cuts = b.Party.User, b.Cuts
	case *Remove:
		user, cuts = b.User, b.Cuts
	case *SetRole:
		user = b.User
	}
	m := s.Members[user]
	switch {
	case m == nil || m.Standing != Active:
		return refuse("%v is not a member", user)
	case user == s.Founder:
		return refuse("the founder")
	}
	of := m // whose devices the cuts are of
	switch b := body.(type) {
	case *MasterRemove:
		if !r.policy || m.Role != Master {
			return refuse("not a further master of a board")
		}
	case *MasterTransfer:
		of = s.Members[o.User()]
		if !r.policy || user == o.User() || !m.Party.Same(b.Party) {
			return refuse("not to another member of a board, as he is here")
		}
	case *SetRole:
		if !r.policy || m.Role == Master || !slices.Contains(r.roles, b.Role) {
			return refuse("no such role, or of a master")
		}
	case *Remove:
		if s.Kind != Board && s.Kind != Profile || user == o.User() {
			return refuse("a %v has nobody to remove, and who goes himself leaves", s.Kind)
		}
		if err := judgeEpochOf(s, b.Epoch.Depth, b.Epoch.Replaces, refuse); err != nil {
			return err
		}
	}
	for _, c := range cuts {
		if !slices.Contains(of.Party.Devices, c.Device) {
			return refuse("a cut of another's device")
		}
	}
	return nil
}

func judgeEpochOf(s *State, given uint64, replaces []keys.Digest, refuse func(string, ...any) error) error {
	depth := uint64(1)
	for _, id := range replaces {
		e, ok := s.Epochs[id]
		if !ok {
			return refuse("replaces an unknown epoch")
		}
		depth = max(depth, e.Depth+1)
	}
	switch {
	case !ascending(replaces, compare):
		return refuse("epochs not ascending")
	case given != depth:
		return refuse("depth %d, want %d", given, depth)
	case len(s.Epochs) > 0 && len(replaces) == 0:
		return refuse("a first epoch beside another")
	}
	return nil
}

// valid reports whether h is a history policy of this version.
func (h History) valid() bool {
	switch h.Mode {
	case HistoryAll, HistoryFromJoin:
		return h.Last == 0
	case HistoryLast:
		return h.Last > 0
	}
	return false
}

// ascending reports whether ids rise, each once: a list has one form.
func ascending[T any](ids []T, cmp func(a, b T) int) bool {
	for i := 1; i < len(ids); i++ {
		if cmp(ids[i-1], ids[i]) >= 0 {
			return false
		}
	}
	return true
}

// IsText reports whether s is valid UTF-8 of at most n bytes.
func IsText(s string, n int) bool { return len(s) <= n && utf8.ValidString(s) }
