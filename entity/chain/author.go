package chain

import (
	"fmt"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// Next returns the place of the next op, for its body.
func (c *Chain) Next() DeviceLink { return DeviceLink{Prev: c.state.Head, Reset: c.state.Reset()} }

// Vote returns a voter's vote for o as the next op. Its voter has checked o (Check) against
// the furthest chain it knows, has never voted at this place, and has this vote durable
// before anybody sees it.
func (c *Chain) Vote(k keys.Private, o oplog.Op) Vote {
	return Vote{Device: k.ID(), Sig: k.Sign(keys.PurposeVote, c.state.place().vote(o.ID()))}
}

// Ready returns what a device signs to become a voter, or a new survivor, by the next op.
func (c *Chain) Ready(k keys.Private, box keys.BoxID) Vote {
	return Vote{Device: k.ID(), Sig: k.Sign(keys.PurposeReady, c.state.place().ready(box))}
}

// SignWords returns what the key of the present words signs for others to replace them.
func (c *Chain) SignWords(words keys.Private, next keys.ID) keys.Signature {
	return words.Sign(keys.PurposeWords, c.state.place().words(next))
}

// SignMoved returns what the key of the words signs for the person to go on as another.
func (c *Chain) SignMoved(words keys.Private, to, head keys.Digest) keys.Signature {
	return words.Sign(keys.PurposeMoved, c.state.place().moved(to, head))
}

// Certify returns o with a certificate made of what votes were collected, also bad or
// superfluous ones. It fails with ErrCertificate while they are too few, and like Check.
func (c *Chain) Certify(o oplog.Op, votes []Vote) (Link, error) {
	next, err := c.check(o)
	if err != nil {
		return Link{}, err
	}
	picked, err := next.body.certificate(c, o).pick(votes)
	if err != nil {
		return Link{}, fmt.Errorf("%w: %s %v: %w", ErrCertificate, wordOf(o), o.ID(), err)
	}
	return Link{Op: o, Votes: picked}, nil
}

// MayAppend reports whether an op of a type may come next, whatever it says: whether
// there is room for about size bytes with its votes, and the person did not move.
func (c *Chain) MayAppend(t Type, size int) error {
	r := rowOf[t]
	switch {
	case r == nil || t == genesisType || t == epochType:
		return fmt.Errorf("%w: %d/%d comes next in no chain", ErrUnknown, t.Family, t.Type)
	case c.state.Moved != nil && t != resetType:
		return fmt.Errorf("%w: the person goes on as %v", ErrRefused, c.state.Moved.To)
	}
	if err := c.room(r, size); err != nil {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return nil
}

// MayAdd reports whether a device can be added, in a chain that has room.
func (c *Chain) MayAdd(device keys.ID) error {
	switch s := &c.state; {
	case s.device(device) != nil:
		return fmt.Errorf("%w: %v is in the set", ErrRefused, device)
	case s.Removed(device):
		return fmt.Errorf("%w: %v was removed", ErrRefused, device)
	case len(s.devices) >= MaxDevices:
		return fmt.Errorf("%w: %d devices", ErrFull, len(s.devices))
	}
	return nil
}

// MayRemove reports whether a device can be removed by an op of another device's. One that
// votes needs voters to be named, the anchor another.
func (c *Chain) MayRemove(device keys.ID) error {
	switch s := &c.state; {
	case s.device(device) == nil:
		return fmt.Errorf("%w: %v is not in the set", ErrRefused, device)
	case s.SoleVoter(device):
		return fmt.Errorf("%w: %v is the last voter", ErrRefused, device)
	}
	return nil
}

// Evidence returns what a mend of a fork begins with: the op that follows the branch mine
// and ends other, with the proof, and the devices that must go. It reports false where no
// mend can be: there is no fork of 3 or 5 voters, or a RESET stands after it.
func Evidence(mine, other *Chain) (Mend, bool) {
	d := common(mine, other)
	if d == nil || d.len == mine.len || d.len == other.len || afterReset(mine, d) || len(d.state.Voters) < 3 {
		return Mend{}, false
	}
	one, two := mine.to(d.len+1), other.to(d.len+1)
	m := Mend{One: one.Head(), Other: two.Head(), Chain: mine.Next()}
	var err1, err2 error
	m.OneVotes, err1 = d.state.majority(m.One).pick(one.link.Votes)
	m.OtherVotes, err2 = d.state.majority(m.Other).pick(two.link.Votes)
	for _, id := range m.cheaters() {
		if mine.state.device(id) != nil {
			m.Devices = append(m.Devices, id)
		}
	}
	slices.SortFunc(m.Devices, compareIDs)
	return m, err1 == nil && err2 == nil
}
