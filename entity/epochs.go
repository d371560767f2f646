package entity

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// departure is the end of a membership, or of one device's: who goes was given the
// op-keys of his time.
type departure struct {
	user, admit keys.Digest // the membership that ended; of a device the op that ended it
	op          keys.Digest
}

// depart notes of every epoch that is there that who goes was given it. Who leaves could
// have stayed and read on, so the others go on writing until an owner has changed the key;
// who is removed could not.
func (s *State) depart(o oplog.Op, user, admit keys.Digest) {
	s.departed = append(s.departed, departure{user, admit, o.ID()})
	gone := s.clean
	s.clean = nil
	if isLeave(o) {
		s.left = append(s.left, gone...)
	} else {
		gone, s.left = slices.Concat(gone, s.left), nil
	}
	for _, id := range gone {
		i := s.Epochs[id]
		i.Left, i.Tainted = isLeave(o), !isLeave(o)
		s.Epochs[id] = i
	}
}

// isLeave reports whether an op is a leave, of the ops that end a membership.
func isLeave(o oplog.Op) bool {
	return o.Family() == oplog.FamilyMember && o.Type() == TypeLeave
}

// taint decides anew which epochs of a folded past are clean (docs/PROTOCOL.md §3.2):
// those made by who had seen everybody go that went, and knew of no one who was let
// in by what is void.
func (e *Entity) taint(s *State) {
	f := e.facts
	type membership struct {
		user, admit keys.Digest
		left        bool
	}
	ends := make(map[membership][]int) // each by several ops, where they are beside one another
	var order []membership
	for _, d := range s.departed {
		n := f.reach.number[d.op]
		m := membership{d.user, d.admit, isLeave(f.reach.ops[n])}
		if _, ok := ends[m]; !ok {
			order = append(order, m)
		}
		ends[m] = append(ends[m], n)
	}
	slices.Reverse(order) // an old epoch has not seen the last one go
	strangers := e.strangers(s)
	s.clean, s.left = nil, nil
	for id := range s.Epochs { // what is void, or kept, was not folded at its own place
		switch b := f.bodies[f.epochs[id]].(type) {
		case *Epoch:
			s.replace(b.Replaces)
		case *Remove:
			s.replace(b.Epoch.Replaces)
		}
	}
	for id, i := range s.Epochs {
		n := f.epochs[id]
		saw := func(end int) bool { return end == n || f.reach.before(end, n) }
		missed := func(left bool) bool {
			return slices.ContainsFunc(order, func(m membership) bool { return m.left == left && !slices.ContainsFunc(ends[m], saw) })
		}
		i.Tainted = missed(false) || e.gave(strangers, n)
		i.Left = !i.Tainted && missed(true)
		s.Epochs[id] = i
		switch {
		case i.Left:
			s.left = append(s.left, id)
		case !i.Tainted:
			s.clean = append(s.clean, id)
		}
	}
}

// strangers returns the admissions that are void, of users who are no members by
// another one.
func (e *Entity) strangers(s *State) []int {
	var out []int
	for id := range s.Void {
		n := e.facts.reach.number[id]
		a, ok := e.facts.bodies[n].(*Admit)
		if ok && (s.Members[a.Party.User] == nil || s.Members[a.Party.User].Standing != Active) {
			out = append(out, n)
		}
	}
	return out
}

// gave reports whether an epoch may have been given to somebody by an admission that
// is void: by its author, or by a member for whom it was not. Of many it is assumed
// that it was, until an epoch has seen them all.
func (e *Entity) gave(strangers []int, epoch int) bool {
	f := e.facts
	id := f.reach.ops[epoch].ID()
	var seen *verdict // of the epoch's past, once it is asked for
	for _, n := range strangers {
		if slices.Contains(f.bodies[n].(*Admit).Epochs, id) {
			return true
		}
		v := seen
		switch saw := f.reach.before(n, epoch); {
		case saw && v == nil:
			v = e.verdict(f.reach.upTo([]keys.Digest{id}))
			seen = v
		case !saw && len(strangers) > maxStrangers:
			return true
		case !saw:
			v = e.verdict(f.reach.upTo([]keys.Digest{f.reach.ops[n].ID(), id}))
		}
		if !v.void(n) {
			return true
		}
	}
	return false
}

// NeedsEpoch reports whether an owner is to begin an epoch: somebody is gone who has the
// key of each that could be written in.
func (s *State) NeedsEpoch() bool {
	writing, ok := s.WritingEpoch(func(keys.Digest) bool { return true })
	return !ok || writing.Left
}

// Written returns how many content ops were sealed in an epoch.
func (e *Entity) Written(epoch keys.Digest) int {
	count := 0
	for o := range e.log.All(oplog.Content) {
		if o.Epoch() == epoch {
			count++
		}
	}
	return count
}

// EpochAt returns when an epoch was begun, as its author said.
func (e *Entity) EpochAt(epoch keys.Digest) time.Time {
	o, _ := e.log.Get(epoch)
	return o.At()
}

// Rotate begins a new epoch and appends its op; the caller keeps the key. It fails
// like Control.
func (e *Entity) Rotate(a Author) (oplog.Op, keys.OpKey, error) {
	key := keys.NewOpKey()
	next := e.nextEpoch(key)
	o, err := e.Control(a, oplog.FamilyOpKey, TypeEpoch, Epoch{Commitment: next.Commitment, Depth: next.Depth, Replaces: next.Replaces})
	return o, key, err
}

// nextEpoch returns what an op says of an epoch that follows all there are.
func (e *Entity) nextEpoch(key keys.OpKey) NextEpoch {
	var last []EpochInfo
	for _, i := range e.State().Epochs {
		if !i.Replaced {
			last = append(last, i)
		}
	}
	slices.SortFunc(last, func(a, b EpochInfo) int { return cmp.Or(cmp.Compare(b.Depth, a.Depth), compare(a.ID, b.ID)) })
	next := NextEpoch{Commitment: key.Commitment(e.ID()), Depth: 1}
	for _, i := range last[:min(len(last), maxReplaces)] {
		next.Replaces = append(next.Replaces, i.ID)
		next.Depth = max(next.Depth, i.Depth+1)
	}
	slices.SortFunc(next.Replaces, compare)
	return next
}

// HandsOut returns the epochs of ring whose keys a newcomer gets at a time, ascending,
// and whether a new one has to be begun first: none of these is one to write in.
func (e *Entity) HandsOut(ring Keyring, h History, now time.Time) (epochs []keys.Digest, rotate bool) {
	rotate = h.limits()
	since := now.Truncate(time.Millisecond).Add(-h.span()) // as an op has its time
	for id, i := range e.State().Epochs {
		if _, ok := ring[id]; !ok || h.limits() && e.EpochAt(id).Before(since) {
			continue
		}
		epochs = append(epochs, id)
		rotate = rotate && (i.Tainted || i.Void)
	}
	slices.SortFunc(epochs, compare)
	return epochs, rotate
}

// limits reports whether a history policy withholds anything.
func (h History) limits() bool { return h.Mode == HistoryLast || h.Mode == HistoryFromJoin }

// span is how far back a limited policy lets a newcomer read.
func (h History) span() time.Duration {
	return time.Duration(min(h.Last, maxHistory)) * time.Second
}

// MayHave reports whether a member may be given the key of an epoch: one that his
// admission named, any that he was a member for, and every one unless his history is
// limited.
func (e *Entity) MayHave(user, epoch keys.Digest) bool {
	f := e.facts
	n, known := f.epochs[epoch]
	m, ok := e.State().Members[user]
	if !known || !ok || m.Standing != Active {
		return false
	}
	at := f.reach.number[m.Admit]
	a, ok := f.bodies[at].(*Admit)
	if !ok || a.History == nil || !a.History.limits() { // member by the genesis, or of the whole history
		return true
	}
	return slices.Contains(a.Epochs, epoch) || !f.reach.before(n, at)
}

// SealKey seals the key of an epoch to a member who may have it. It fails with
// ErrNotAuthorized otherwise, and with ErrNoKey when key is not that epoch's.
func (e *Entity) SealKey(user, epoch keys.Digest, key keys.OpKey) ([]byte, error) {
	if !e.MayHave(user, epoch) {
		return nil, fmt.Errorf("%w: the key of epoch %v for %v", ErrNotAuthorized, epoch, user)
	}
	secret := key.Secret()
	if _, ok := e.State().OpenKey(EpochKey{Epoch: epoch, Key: secret}); !ok {
		return nil, fmt.Errorf("%w: epoch %v", ErrNoKey, epoch)
	}
	to := e.State().Members[user].Party.Box
	box, err := to.Seal(boxInfo(e.ID(), key.Commitment(e.ID()), to), secret[:])
	if err != nil {
		return nil, fmt.Errorf("the key of epoch %v for %v: %w", epoch, user, err)
	}
	return box, nil
}

// OpenSealed opens what SealKey made with one of our user box keys. It fails with
// keys.ErrBox, and with ErrNoKey when the key is not the one that the epoch committed
// to.
func (s *State) OpenSealed(epoch keys.Digest, box []byte, with keys.BoxKey) (keys.OpKey, error) {
	plain, err := with.Open(boxInfo(s.ID, s.Epochs[epoch].Commitment, with.ID()), box)
	if err != nil {
		return keys.OpKey{}, err
	}
	if len(plain) != 32 {
		return keys.OpKey{}, fmt.Errorf("%w: a key of %d bytes", ErrNoKey, len(plain))
	}
	key, ok := s.OpenKey(EpochKey{Epoch: epoch, Key: [32]byte(plain)})
	if !ok {
		return keys.OpKey{}, fmt.Errorf("%w: another key than epoch %v has", ErrNoKey, epoch)
	}
	return key, nil
}

// boxInfo binds a sealed op-key to its epoch and receiver (docs/PROTOCOL.md §3.3).
func boxInfo(eid, commitment keys.Digest, to keys.BoxID) keys.Digest {
	return keys.Hash(keys.LabelBoxes, eid[:], commitment[:], to[:])
}
