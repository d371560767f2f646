package entity

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// The control strand of a Me is the device chain of its person (package chain), with
// its branches where there are several, and the epochs that stand outside it. What the
// chain allows is an op of the Me, and nothing else takes it away: a chain op stands by
// its certificate.

// Class, Device: see package chain.
type (
	Class  = chain.Class
	Device = chain.Device
)

// The classes of docs/protocol/me-chain.md §3.
const (
	Phone   = chain.Phone
	Desktop = chain.Desktop
	Server  = chain.Server
)

// DeviceOp is the body of an op of the device chain that is no genesis.
type DeviceOp struct {
	Body    any          // a pointer to a type of package chain
	chain   *chain.Chain // up to the op; nil until it is placed
	unsound bool         // the epoch in it has not the depth that its past gives it
}

// isDeviceOp reports whether an op is of the device chain, and no genesis. The first epoch
// of a Me is, and no other one: it is the second op there.
func isDeviceOp(o oplog.Op) bool {
	switch o.Family() {
	case oplog.FamilyGenesis:
		return false
	case oplog.FamilyOpKey:
		return o.Type() == TypeEpoch && o.Seq() == 1 && o.Entity() == o.User() && slices.Equal(o.Parents(), []keys.Digest{o.User()})
	}
	return chain.Known(chain.Type{Family: o.Family(), Type: o.Type()})
}

// decodeDeviceOp parses the body of an op of the device chain.
func decodeDeviceOp(o oplog.Op) (any, bool, error) {
	body, err := chain.Decode(o)
	if err != nil {
		return nil, true, fmt.Errorf("body of %v: %w", o.ID(), err)
	}
	return &DeviceOp{Body: body}, true, nil
}

// place finds where a control op of a Me stands in the device chain, if it is of it, and
// verifies it there. What it follows must be in the log.
func (f *facts) place(o oplog.Op, body any) error {
	var c *chain.Chain
	var err error
	switch b := body.(type) {
	case *Genesis:
		if b.Kind != Me {
			return nil
		}
		if c, err = chain.Start(chain.Link{Op: o}); err != nil {
			return fmt.Errorf("%w: %w", ErrBody, err)
		}
	case *DeviceOp:
		prev, _ := chain.Follows(o) // its body was parsed
		before, ok := f.devices[prev]
		if !ok {
			return fmt.Errorf("%w: %v follows no op of the device chain", ErrNotAuthorized, o.ID())
		}
		c, err = before.Extend(chain.Link{Op: o})
		b.chain = c
	default:
		return nil
	}
	if err != nil {
		return refusedChain(err)
	}
	if c.Len() == 1 {
		f.devices[o.ID()] = c // of another op add does it, when it was judged
	}
	return nil
}

// refusedChain makes of an error of package chain one of this package.
func refusedChain(err error) error {
	if errors.Is(err, chain.ErrFormat) {
		return fmt.Errorf("%w: %w", ErrBody, err)
	}
	return fmt.Errorf("%w: %w", ErrNotAuthorized, err)
}

// judgeDeviceOp says whether an op of the device chain, which was placed, may come where
// its author had s: it follows what is in its past, and what there is of branches there
// lets it.
func judgeDeviceOp(s *State, o oplog.Op, b *DeviceOp) error {
	switch {
	case s.Kind != Me:
		return fmt.Errorf("a device op outside Me")
	case b.chain == nil || !s.chains.Has(b.chain.Before()):
		return fmt.Errorf("it follows what is not in its past")
	}
	return s.person.Admits(o)
}

// addChain folds a chain op into the state of a Me, which has the one that it follows. Where
// that was the end of the only branch, it costs nothing that grows with the chain.
func (s *State) addChain(c *chain.Chain) {
	linear := s.chains.Len() == 1 && c.Before() != nil && c.Before().Head() == s.person.Chain.Head()
	s.addChains([]*chain.Chain{c}, linear)
}

// addChains folds chain ops into the state of a Me, in whatever order. linear says that they
// are one, which goes on with the only branch.
func (s *State) addChains(list []*chain.Chain, linear bool) {
	followed := make(map[keys.Digest]bool, len(list))
	for _, c := range list {
		if c.Before() != nil {
			followed[c.Before().Head()] = true
		}
	}
	cuts := false
	for _, c := range list {
		if !followed[c.Head()] {
			s.chains, _ = s.chains.Add(c) // of the same person: it was judged
		}
		cuts = cuts || len(c.Cuts()) > 0
	}
	v := s.chains.Judge()
	s.person = v
	at := v.Chain.State()
	s.Devices, s.DeviceHead, s.Recovery = v.Devices(), v.Chain.Head(), at.Words
	s.UserBox, _ = v.Box()
	if m := s.Members[s.ID]; m != nil {
		m.Party = s.Party("")
	}
	switch {
	case !linear:
		s.limitDevices()
		s.markBranches()
	case cuts:
		s.limitDevices()
	case len(s.Cuts) > 0:
		for _, d := range s.Devices { // one may be new, which a RESET had cut
			delete(s.Cuts, Writer{s.ID, d.ID})
		}
	}
}

// branches returns the chains by which the devices of a Me are judged: the furthest, or those
// of a fork.
func (s *State) branches() []*chain.Chain {
	if s.person.Forked() {
		return s.person.Fork
	}
	return []*chain.Chain{s.person.Chain}
}

// listed reports whether a device is in the set of a branch.
func (s *State) listed(device keys.ID) bool {
	return slices.ContainsFunc(s.branches(), func(c *chain.Chain) bool { _, ok := c.State().Device(device); return ok })
}

// limitDevices notes how much counts of what devices wrote that are in the set no more, as
// the op that took them out says. In a fork it is what any branch leaves them. A RESET may
// say it also of a device that its chain never had.
func (s *State) limitDevices() {
	s.Cuts = make(map[Writer]uint64)
	shared := cutsOf(s.person.Chain, nil)
	said := make(map[keys.ID]int) // by how many branches beyond what they share
	most := make(map[keys.ID]uint64)
	for _, c := range s.person.Fork {
		for device, n := range cutsOf(c, s.person.Chain) {
			said[device]++
			most[device] = max(most[device], n)
		}
	}
	for device, n := range shared {
		if said[device] == 0 || said[device] < len(s.person.Fork) {
			most[device] = max(most[device], n)
		}
	}
	for device, n := range most {
		if !s.listed(device) {
			s.Cuts[Writer{s.ID, device}] = n
		}
	}
}

// cutsOf returns the content cuts of a chain after an earlier state of it: of a device that it
// took out that which did, of others the last.
func cutsOf(c, earlier *chain.Chain) map[keys.ID]uint64 {
	cuts := make(map[keys.ID]uint64)
	for ; c.Before() != nil && (earlier == nil || c.Len() > earlier.Len()); c = c.Before() {
		for _, cut := range c.Cuts() {
			_, later := cuts[cut.Device]
			if cut.Strand == oplog.Content && !later && !c.Before().State().Removed(cut.Device) {
				cuts[cut.Device] = cut.Count
			}
		}
	}
	return cuts
}

// markBranches notes what is of a branch that lost: its ops are void, and its epochs are not
// written with. Nothing is, in a fork.
func (s *State) markBranches() {
	s.Void = make(map[keys.Digest]bool)
	for _, b := range s.chains.Branches() {
		if s.person.Forked() {
			break
		}
		for at := s.person.Chain; b != nil; b = b.Before() {
			for at != nil && at.Len() > b.Len() {
				at = at.Before()
			}
			if at != nil && at.Head() == b.Head() {
				break
			}
			s.Void[b.Head()] = true
		}
	}
	for id, e := range s.Epochs {
		if void := s.Void[id] || s.unsound[id]; e.Void != void {
			e.Void = void
			s.Epochs[id] = e
		}
	}
}

// addEpochOf adds the epoch that an op of the device chain holds, if it does. One that is
// not sound is read with, and never written with, whatever becomes of its branch.
func (s *State) addEpochOf(o oplog.Op, b *DeviceOp) {
	e, ok := b.epoch()
	if !ok {
		return
	}
	if b.unsound {
		e.Replaces = nil // what it names may come later
	}
	s.addEpoch(o.ID(), o.User(), &e)
	if b.unsound {
		i := s.Epochs[o.ID()]
		i.Void = true
		s.Epochs[o.ID()] = i
		if s.unsound == nil {
			s.unsound = make(map[keys.Digest]bool)
		}
		s.unsound[o.ID()] = true
	}
}

// epoch returns the epoch that an op of the device chain begins.
func (b *DeviceOp) epoch() (e Epoch, ok bool) {
	next := func(e *chain.NextEpoch) (Epoch, bool) {
		if e == nil {
			return Epoch{}, false
		}
		return Epoch{Commitment: e.Commitment, Depth: e.Depth, Replaces: e.Replaces}, true
	}
	switch b := b.Body.(type) {
	case *chain.FirstEpoch:
		return Epoch{Commitment: b.Commitment, Depth: b.Depth}, true
	case *chain.DeviceRemove:
		return next(&b.Epoch)
	case *chain.Reset:
		return next(&b.Epoch)
	case *chain.Mend:
		return next(b.Epoch)
	}
	return Epoch{}, false
}

// Device returns a device of a Me.
func (s *State) Device(id keys.ID) (Device, bool) {
	i := slices.IndexFunc(s.Devices, func(d Device) bool { return d.ID == id })
	if i < 0 {
		return Device{}, false
	}
	return s.Devices[i], true
}

// Voters returns the devices that decide on the next device op of a Me; none while its
// chain is forked.
func (s *State) Voters() []keys.ID {
	if s.person == nil || s.person.Forked() {
		return nil
	}
	return s.person.Chain.State().Voters
}

// SoleVoter reports whether device alone decides on the device set of a Me.
func (s *State) SoleVoter(device keys.ID) bool {
	v := s.Voters()
	return len(v) == 1 && v[0] == device
}

// PartyOf returns what an admit elsewhere needs of a person as of the end of a chain: the
// user, the head, the devices and the user box key.
func PartyOf(c *chain.Chain, name string) Party {
	s := c.State()
	return party(s.User, s.Head, s.Devices(), s.Box, name)
}

func party(user, head keys.Digest, devices []Device, box keys.BoxID, name string) Party {
	p := Party{User: user, Head: head, Box: box, Name: name}
	for _, d := range devices {
		p.Devices = append(p.Devices, d.ID)
	}
	slices.SortFunc(p.Devices, func(a, b keys.ID) int { return bytes.Compare(a[:], b[:]) })
	return p
}

// PartyAt returns the user's Party as of an op of the device chain; it reports
// false when head is none, or became void.
func (e *Entity) PartyAt(head keys.Digest, name string) (Party, bool) {
	c, ok := e.facts.devices[head]
	if !ok || e.State().Void[head] {
		return Party{}, false
	}
	return PartyOf(c, name), true
}

// AddDevice appends the op that makes a device one of the user's. a must be the
// sole voter.
func AddDevice(e *Entity, a Author, d NewDevice, class Class) (oplog.Op, error) {
	return e.Control(a, oplog.FamilyMember, TypeDeviceAdd, chain.DeviceAdd{
		Device: d.ID, Class: class, Box: d.Box, Consent: d.Consent, Ref: d.Ref, Weight: chain.Learner, Chain: e.State().person.Chain.Next(),
	})
}

// SetDeviceClass appends the op from which on a device is alive. a must be the
// sole voter.
func SetDeviceClass(e *Entity, a Author, device keys.ID, class Class) (oplog.Op, error) {
	return e.Control(a, oplog.FamilyMember, TypeDeviceClass, chain.DeviceClass{Device: device, Class: class, Chain: e.State().person.Chain.Next()})
}

// DeviceChain returns the device chain of a Me as it is shown to others; what its branches
// share, while it is forked.
func (e *Entity) DeviceChain() [][]byte { return ChainBytes(e.State().person.Chain) }

// ChainBytes returns the ops of a device chain as they travel.
func ChainBytes(c *chain.Chain) [][]byte {
	var raws [][]byte
	for _, l := range c.Links() {
		raws = append(raws, l.Marshal())
	}
	return raws
}

// OpenDeviceChain checks a device chain that somebody shows. It fails when it is none, or
// has no user box key.
func OpenDeviceChain(raws [][]byte) (*chain.Chain, error) {
	if len(raws) > chain.MaxOps {
		return nil, fmt.Errorf("%w: a device chain of %d ops", ErrBody, len(raws))
	}
	links := make([]chain.Link, len(raws))
	for i, raw := range raws {
		l, err := chain.ParseLink(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBody, err)
		}
		links[i] = l
	}
	c, err := chain.Open(links)
	switch {
	case err != nil:
		return nil, refusedChain(err)
	case c.State().Box.IsZero():
		return nil, fmt.Errorf("%w: a device chain without a user box key", ErrBody)
	}
	return c, nil
}
