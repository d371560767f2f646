package chain

import (
	"fmt"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// certificate is what votes an op needs.
type certificate struct {
	op      keys.Digest
	place   place
	quorums [][]keys.ID // sets of voters, a majority of each of which must vote
	never   []keys.ID   // whose vote is none
	most    int         // votes: no more are taken, and so many are counted
}

// ordinary returns what an op after s needs: nothing besides its signature if its
// author is the sole voter, else a majority of the voters.
func (s *State) ordinary(o oplog.Op) certificate {
	if s.SoleVoter(o.Device()) {
		return certificate{}
	}
	return s.majority(o.ID())
}

// majority returns the certificate of a majority of the voters for an op after s.
func (s *State) majority(op keys.Digest) certificate {
	return certificate{op: op, place: s.place(), quorums: [][]keys.ID{s.Voters}, most: majority(len(s.Voters))}
}

// check checks votes. All must be good, none superfluous: what an op costs must not
// depend on who collected its votes.
func (c certificate) check(votes []Vote) error {
	switch {
	case len(votes) > c.most:
		return fmt.Errorf("%d votes, want %d", len(votes), c.most)
	case !ascending(votes, compareVotes):
		return fmt.Errorf("votes not ascending")
	}
	if err := c.elects(votes); err != nil {
		return err
	}
	message := c.place.vote(c.op)
	for _, v := range votes {
		if err := v.Device.Verify(keys.PurposeVote, message, v.Sig); err != nil {
			return fmt.Errorf("vote: %w", err)
		}
	}
	return nil
}

// elects checks who votes.
func (c certificate) elects(votes []Vote) error {
	for _, v := range votes {
		if !c.may(v.Device) {
			return fmt.Errorf("vote by %v, which has none", v.Device)
		}
	}
	for _, q := range c.quorums {
		n := 0
		for _, v := range votes {
			if slices.Contains(q, v.Device) {
				n++
			}
		}
		if n < majority(len(q)) {
			return fmt.Errorf("%d votes of %d voters", n, len(q))
		}
	}
	return nil
}

// may reports whether a device's vote is one.
func (c certificate) may(id keys.ID) bool {
	return !slices.Contains(c.never, id) && slices.ContainsFunc(c.quorums, func(q []keys.ID) bool { return slices.Contains(q, id) })
}

// pick returns a certificate made of some of the votes that were collected.
func (c certificate) pick(votes []Vote) ([]Vote, error) {
	message := c.place.vote(c.op)
	var good []Vote
	for _, v := range votes {
		if c.may(v.Device) && v.Device.Verify(keys.PurposeVote, message, v.Sig) == nil {
			good = append(good, v)
		}
	}
	slices.SortFunc(good, compareVotes)
	good = slices.CompactFunc(good, func(a, b Vote) bool { return a.Device == b.Device })
	for i := 0; i < len(good); { // leave out who is not needed
		if without := slices.Delete(slices.Clone(good), i, i+1); c.elects(without) == nil {
			good = without
		} else {
			i++
		}
	}
	return good, c.check(good)
}
