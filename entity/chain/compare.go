package chain

import (
	"slices"
	"strings"

	"pttnode/keys"
)

// Relation is how a chain stands to another one of the same person.
type Relation int

// The relations of docs/protocol/me-chain.md §6.1.
const (
	Same   Relation = iota // the same ops
	Ahead                  // the further one
	Behind                 // the other is further
	Forked                 // neither is
)

// String returns "same", "ahead", "behind" or "forked".
func (r Relation) String() string {
	return [...]string{"same", "ahead", "behind", "forked"}[r]
}

// Compare says how c stands to other: by what takes numbers, then by extension, then
// by a mend. Of three chains it decides nothing: see Set.Judge. Chains of two people are
// Forked.
func (c *Chain) Compare(other *Chain) Relation {
	switch {
	case c.User() != other.User():
		return Forked
	case c.Head() == other.Head():
		return Same
	case c.Extends(other):
		return Ahead
	case other.Extends(c):
		return Behind
	}
	if h := strings.Compare(c.state.history, other.state.history); h != 0 {
		return beats(h > 0, h < 0)
	}
	d := common(c, other)
	if afterReset(c, d) {
		return Forked
	}
	return beats(mends(c, d, other), mends(other, d, c))
}

func beats(mine, its bool) Relation {
	switch {
	case mine && !its:
		return Ahead
	case its && !mine:
		return Behind
	}
	return Forked
}

// Extends reports whether earlier is c without its last ops, or c itself.
func (c *Chain) Extends(earlier *Chain) bool {
	at := c.to(earlier.len)
	return at.Head() == earlier.Head() && at.len == earlier.len
}

// common returns the longest chain that both extend: the fork, if neither extends the
// other. It is nil for chains of two people.
func common(a, b *Chain) *Chain {
	a, b = a.to(b.len), b.to(a.len)
	for a != nil && a != b && a.Head() != b.Head() {
		a, b = a.before, b.before
	}
	return a
}

// afterReset reports whether a RESET stands in c after d.
func afterReset(c, d *Chain) bool {
	return strings.IndexByte(c.state.history[len(d.state.history):], byReset) >= 0
}

// mends reports whether c ends, by a mend, the branch of other after their common d.
func mends(c, d, other *Chain) bool {
	return mendsOp(c, d, other.to(d.len+1).Head())
}

// mendsOp reports whether c has a mend of its own op after d and another.
func mendsOp(c, d *Chain, other keys.Digest) bool {
	one := c.to(d.len + 1).Head()
	for at := c; at.len > d.len+1; at = at.before {
		if m, ok := at.body.(*Mend); ok && m.One == one && m.Other == other {
			return true
		}
	}
	return false
}

// firstNumbered returns the chain as of the first op of c after d that takes a number,
// nil if there is none.
func firstNumbered(c, d *Chain) *Chain {
	var first *Chain
	for at := c; at != nil && at.len > d.len && len(at.state.history) > len(d.state.history); at = at.before {
		if len(at.before.state.history) < len(at.state.history) {
			first = at
		}
	}
	return first
}

// Twice returns the voters who signed both ops at which two chains part: by a vote in
// the certificates that these hold, or as the author where one voter alone decided. It
// is empty if one extends the other, or where a RESET parts them.
func Twice(a, b *Chain) []keys.ID {
	d := common(a, b)
	if d == nil || d.len == a.len || d.len == b.len {
		return nil
	}
	var both []keys.ID
	x, y := d.signers(a.to(d.len+1).link), d.signers(b.to(d.len+1).link)
	for _, id := range x {
		if slices.Contains(y, id) {
			both = append(both, id)
		}
	}
	return both
}

// signers returns the voters of c who certified the op after it.
func (c *Chain) signers(l Link) (ids []keys.ID) {
	if len(l.Votes) == 0 && c.state.SoleVoter(l.Op.Device()) {
		return []keys.ID{l.Op.Device()}
	}
	for _, v := range l.Votes {
		ids = append(ids, v.Device)
	}
	return ids
}
