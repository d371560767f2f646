package chain

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pttnode/keys"
)

// Set is what is known of one person's chain: all its branches, none of which extends
// another. The zero Set is empty. It does not change: what adds to it returns another.
//
// Join is commutative, associative and idempotent, and Judge looks at nothing but the
// Set. So what comes of it does not depend on the order of arrival.
type Set struct{ branches []*Chain } // ascending by head

// ErrForeign says that chains of two people do not go together.
var ErrForeign = errors.New("chain: of another person")

// SetOf returns the set of some chains of one person. It fails with ErrForeign.
func SetOf(chains ...*Chain) (s Set, err error) {
	for _, c := range chains {
		if s, err = s.Add(c); err != nil {
			return Set{}, err
		}
	}
	return s, nil
}

// Add returns s with a chain. It fails with ErrForeign.
func (s Set) Add(c *Chain) (Set, error) {
	kept := make([]*Chain, 0, len(s.branches)+1)
	for _, b := range s.branches {
		switch {
		case b.User() != c.User():
			return s, fmt.Errorf("%w: %v in a set of %v", ErrForeign, c.User(), b.User())
		case b.Extends(c):
			return s, nil
		case !c.Extends(b):
			kept = append(kept, b)
		}
	}
	kept = append(kept, c)
	slices.SortFunc(kept, func(a, b *Chain) int { return compareDigests(a.Head(), b.Head()) })
	return Set{kept}, nil
}

// Join returns the chains of both. It fails with ErrForeign.
func (s Set) Join(other Set) (Set, error) {
	joined := s
	for _, c := range other.branches {
		var err error
		if joined, err = joined.Add(c); err != nil {
			return s, err
		}
	}
	return joined, nil
}

// Offer is Add for a store that is bounded: in a set of MaxBranches it takes the
// place of the branch of the least history, if its own is greater than any, and else is
// not taken. What a store keeps so is no verdict, and a log does not use it.
func (s Set) Offer(c *Chain) (Set, error) {
	next, err := s.Add(c)
	if err != nil || len(next.branches) <= MaxBranches {
		return next, err
	}
	least := slices.MinFunc(next.branches, func(a, b *Chain) int { return strings.Compare(a.state.history, b.state.history) })
	for _, b := range s.branches {
		if b.state.history >= c.state.history {
			return s, nil
		}
	}
	next.branches = slices.DeleteFunc(next.branches, func(b *Chain) bool { return b == least })
	return next, nil
}

// Extend returns s with ops that follow one of its chains, or begin one, as they come in
// pieces; those it has are passed over. It takes those before the first that is not
// valid, and then fails as Chain.Extend does.
func (s Set) Extend(links []Link) (Set, error) {
	var c *Chain
	for _, l := range links {
		if at := s.At(l.Op.ID()); at != nil {
			c = at
			continue
		}
		_, b, err := decode(l.Op)
		if err != nil {
			return s, err
		}
		if prev := b.link().Prev; c == nil || c.Head() != prev {
			if c = s.At(prev); c == nil && !prev.IsZero() {
				return s, fmt.Errorf("%w: %v is not known", ErrPlace, prev)
			}
		}
		next, err := c.Extend(l)
		if err != nil {
			return s, err
		}
		if s, err = s.Add(next); err != nil {
			return s, err
		}
		c = next
	}
	return s, nil
}

// At returns the chain as of an op that one of the branches has, nil if none has.
func (s Set) At(op keys.Digest) *Chain {
	for _, b := range s.branches {
		if at := b.At(op); at != nil {
			return at
		}
	}
	return nil
}

// Has reports whether the set has a chain.
func (s Set) Has(c *Chain) bool {
	return slices.ContainsFunc(s.branches, func(b *Chain) bool { return b.Extends(c) })
}

// Equal reports whether both sets have the same chains.
func (s Set) Equal(other Set) bool {
	return slices.EqualFunc(s.branches, other.branches, func(a, b *Chain) bool { return a.Head() == b.Head() })
}

// Branches returns the chains that no other extends, ascending by head.
func (s Set) Branches() []*Chain { return slices.Clone(s.branches) }

// Len returns how many branches there are.
func (s Set) Len() int { return len(s.branches) }

// RemovedAnywhere reports whether some branch removed a device. The author of a RESET
// names no such survivor: who holds that branch would refuse it (Verdict.Gone).
func (s Set) RemovedAnywhere(device keys.ID) bool {
	return slices.ContainsFunc(s.branches, func(b *Chain) bool { return b.state.Removed(device) })
}
