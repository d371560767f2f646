package chain

import (
	"fmt"
	"slices"
	"strings"

	"pttnode/keys"
	"pttnode/oplog"
)

var mendType = Type{Family: oplog.FamilyMember, Type: 15}

// Mend ends a fork without the words. It follows the branch that goes through One, and
// removes the voters that certified One and Other, by the votes of the others. It holds
// its own proof: the chain is verified without the branch that it ends.
type Mend struct {
	One        keys.Digest `cbor:"1,keyasint"` // the op after the fork on this branch
	Other      keys.Digest `cbor:"2,keyasint"` // that on the other
	OneVotes   []Vote      `cbor:"3,keyasint"` // a certificate of each
	OtherVotes []Vote      `cbor:"4,keyasint"`
	Devices    []keys.ID   `cbor:"5,keyasint,omitempty"` // who goes: those that voted twice, and others
	Cuts       []Cut       `cbor:"6,keyasint,omitempty"`
	Epoch      *NextEpoch  `cbor:"7,keyasint,omitempty"` // if somebody goes
	Voters     []keys.ID   `cbor:"8,keyasint,omitempty"`
	Ready      []Vote      `cbor:"9,keyasint,omitempty"`
	Anchor     *keys.ID    `cbor:"10,keyasint,omitempty"`
	Chain      DeviceLink  `cbor:"15,keyasint"`
}

func (b *Mend) link() DeviceLink { return b.Chain }

func (b *Mend) shape() error {
	switch {
	case b.One == b.Other:
		return fmt.Errorf("one op alone is no fork")
	case !ascending(b.Devices, compareIDs):
		return fmt.Errorf("devices not ascending")
	case (b.Epoch != nil) != (len(b.Devices) > 0):
		return fmt.Errorf("%d devices go, and an epoch begins: %t", len(b.Devices), b.Epoch != nil)
	case b.Epoch != nil:
		return b.Epoch.shape()
	}
	return nil
}

func (b *Mend) going() going {
	return going{gone: b.Devices, cuts: b.Cuts, voters: b.Voters, ready: b.Ready, anchor: b.Anchor}
}

// cheaters returns the devices that voted for both.
func (b *Mend) cheaters() (both []keys.ID) {
	for _, v := range b.OneVotes {
		if slices.ContainsFunc(b.OtherVotes, func(w Vote) bool { return w.Device == v.Device }) {
			both = append(both, v.Device)
		}
	}
	return both
}

// fork returns the state before the fork, nil if One is no op of c.
func (b *Mend) fork(c *Chain) *State {
	if at := c.At(b.One); at != nil && at.before != nil {
		return &at.before.state
	}
	return nil
}

func (b *Mend) check(c *Chain, o oplog.Op) error {
	s, fork := &c.state, b.fork(c)
	switch {
	case fork == nil:
		return fmt.Errorf("%v is no op of this branch", b.One)
	case strings.Contains(s.history[len(fork.history):], string(rune(byReset))):
		return fmt.Errorf("a RESET stands after the fork")
	case len(fork.Voters) < 3:
		return fmt.Errorf("a fork of %d voters", len(fork.Voters))
	}
	if err := fork.majority(b.One).check(b.OneVotes); err != nil {
		return fmt.Errorf("votes for one: %w", err)
	}
	if err := fork.majority(b.Other).check(b.OtherVotes); err != nil {
		return fmt.Errorf("votes for the other: %w", err)
	}
	for _, id := range b.cheaters() {
		if s.device(id) != nil && !slices.Contains(b.Devices, id) {
			return fmt.Errorf("%v voted twice and stays", id)
		}
	}
	for _, id := range b.Devices {
		if s.device(id) == nil {
			return fmt.Errorf("%v is not in the set", id)
		}
	}
	if slices.Contains(b.Devices, o.Device()) {
		return fmt.Errorf("by a device that goes, which would know the next key")
	}
	return b.going().check(s)
}

func (b *Mend) apply(s *State, _ oplog.Op) {
	if b.Epoch != nil {
		b.going().apply(s, b.Epoch)
	}
}

// certificate of a mend: a majority of the voters at the fork, who must agree or both
// branches could mend themselves with voters they brought in since; and a majority of
// the present ones, or those of long ago could take the chain, unless none of these is
// honest.
func (b *Mend) certificate(c *Chain, o oplog.Op) certificate {
	cheaters := b.cheaters()
	need := certificate{op: o.ID(), place: c.state.place(), never: append(cheaters, b.Devices...), most: mendVotes}
	if fork := b.fork(c); fork != nil {
		need.quorums = append(need.quorums, fork.Voters)
	}
	if slices.ContainsFunc(c.state.Voters, func(id keys.ID) bool { return !slices.Contains(cheaters, id) }) {
		need.quorums = append(need.quorums, c.state.Voters)
	}
	return need
}
