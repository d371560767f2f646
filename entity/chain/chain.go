package chain

import (
	"fmt"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// Chain is the chain of a person up to one of its ops, all of it verified. It does
// not change: Extend returns another, which shares what is before. So each op of a
// chain is a Chain as well, and branches cost what they do not share.
type Chain struct {
	before *Chain // nil at the genesis
	link   Link
	body   body
	state  State
	len    int // ops
	bytes  int // as docs/protocol/me-chain.md §7 counts them
}

// Start verifies the genesis of a Me. Its id is the person's uid.
func Start(genesis Link) (*Chain, error) { return (*Chain)(nil).Extend(genesis) }

// Open verifies a chain from its genesis on. It fails with the error of the first op
// that is not valid, and returns the chain before that op, nil if it is the genesis.
func Open(links []Link) (*Chain, error) {
	if len(links) == 0 {
		return nil, fmt.Errorf("%w: an empty chain", ErrFormat)
	}
	var c *Chain
	for _, l := range links {
		next, err := c.Extend(l)
		if err != nil {
			return c, err
		}
		c = next
	}
	return c, nil
}

// Extend verifies the next op of the chain (docs/protocol/me-chain.md §5) and returns
// the chain with it. It costs the op's own signatures and nothing that grows with the
// chain but a search in a list. An op without its certificate fails with
// ErrCertificate: it is a proposal, which is no fault.
func (c *Chain) Extend(l Link) (*Chain, error) {
	next, err := c.check(l.Op)
	if err != nil {
		return nil, err
	}
	if err := next.body.certificate(c, l.Op).check(l.Votes); err != nil {
		return nil, fmt.Errorf("%w: %s %v: %w", ErrCertificate, wordOf(l.Op), l.Op.ID(), err)
	}
	next.link.Votes = slices.Clone(l.Votes)
	return next, nil
}

// Check verifies all of the next op but its certificate: what a voter looks at before
// it votes.
func (c *Chain) Check(o oplog.Op) error {
	_, err := c.check(o)
	return err
}

// check returns the chain with o as its next op, if that is certified.
func (c *Chain) check(o oplog.Op) (*Chain, error) {
	fail := func(kind error, format string, args ...any) (*Chain, error) {
		return nil, fmt.Errorf("%w: %s %v: %s", kind, wordOf(o), o.ID(), fmt.Sprintf(format, args...))
	}
	if len(o.Envelope()) > MaxOp {
		return fail(ErrFormat, "%d bytes", len(o.Envelope()))
	}
	r, b, err := decode(o)
	if err != nil {
		return nil, err
	}
	next := &Chain{before: c, link: Link{Op: o}, body: b, len: 1}
	if err := b.shape(); err != nil {
		return fail(ErrFormat, "%v", err)
	}
	if c == nil && r.typ != genesisType {
		return fail(ErrPlace, "before the genesis")
	}
	size := len(o.Envelope()) + voteBytes*b.certificate(c, o).most
	if c != nil {
		next.len, next.state = c.len+1, c.state
		s, place := &c.state, b.link()
		switch {
		case r.typ == genesisType:
			return fail(ErrPlace, "a second genesis")
		case (r.typ == epochType) != (c.len == 1):
			return fail(ErrPlace, "the first epoch follows the genesis, and nothing else does")
		case o.Entity() != s.User || o.User() != s.User:
			return fail(ErrPlace, "of another person")
		case place.Prev != s.Head:
			return fail(ErrPlace, "follows %v, the head is %v", place.Prev, s.Head)
		case place.Reset != s.Reset():
			return fail(ErrPlace, "reset %d, want %d", place.Reset, s.Reset())
		case s.Moved != nil && r.typ != resetType:
			return fail(ErrRefused, "the person goes on as %v", s.Moved.To)
		}
		if err := c.room(r, size); err != nil {
			return fail(ErrFull, "%v", err)
		}
		switch {
		case r.typ == resetType:
			if o.Device() != s.Words {
				return fail(ErrRefused, "by %v, not by the words", o.Device())
			}
		case s.device(o.Device()) == nil:
			return fail(ErrRefused, "by %v, which is not in the set", o.Device())
		}
		next.bytes = c.bytes
	}
	next.bytes += size
	if err := b.check(c, o); err != nil {
		return fail(ErrRefused, "%v", err)
	}
	b.apply(&next.state, o)
	next.state.Head = o.ID()
	return next, nil
}

// room checks that the chain has room for an op of a type and size.
func (c *Chain) room(r *row, size int) error {
	switch {
	case c.len >= MaxOps:
		return fmt.Errorf("%d ops", c.len)
	case c.bytes+size > MaxBytes:
		return fmt.Errorf("%d bytes, and %d more", c.bytes, size)
	case !r.always && c.len >= OpenOps:
		return fmt.Errorf("%d ops, the rest are for removal", c.len)
	case !r.always && c.bytes+size > OpenBytes:
		return fmt.Errorf("%d bytes, and %d more, the rest are for removal", c.bytes, size)
	}
	return nil
}

// User returns whose chain it is.
func (c *Chain) User() keys.Digest { return c.state.User }

// Head returns the id of the last op.
func (c *Chain) Head() keys.Digest { return c.state.Head }

// State returns what the chain says. The caller must not change it.
func (c *Chain) State() *State { return &c.state }

// Len returns how many ops there are, with the genesis.
func (c *Chain) Len() int { return c.len }

// Bytes returns how many bytes the chain takes, as its bound counts them.
func (c *Chain) Bytes() int { return c.bytes }

// Last returns the last op with the certificate it came with.
func (c *Chain) Last() Link { return c.link }

// Before returns the chain without its last op, nil for a genesis.
func (c *Chain) Before() *Chain { return c.before }

// Links returns all ops, the genesis first.
func (c *Chain) Links() []Link { return c.Since(nil) }

// Since returns the ops of c after those of an earlier state of it, all of them for
// nil, or for one that is not.
func (c *Chain) Since(earlier *Chain) []Link {
	n := 0
	if earlier != nil && c.Extends(earlier) {
		n = earlier.len
	}
	list := make([]Link, c.len-n)
	for ; c != nil && c.len > n; c = c.before {
		list[c.len-n-1] = c.link
	}
	return list
}

// At returns the chain as of one of its ops, nil if that is none of it.
func (c *Chain) At(op keys.Digest) *Chain {
	for ; c != nil; c = c.before {
		if c.state.Head == op {
			return c
		}
	}
	return nil
}

// to returns the chain as of its n-th op, nil for 0.
func (c *Chain) to(n int) *Chain {
	for c != nil && c.len > n {
		c = c.before
	}
	return c
}

// Cuts returns how much counts, by the last op, of what the devices that it removes wrote.
func (c *Chain) Cuts() []Cut {
	switch b := c.body.(type) {
	case *DeviceRemove:
		return b.Cuts
	case *Mend:
		return b.Cuts
	case *Reset:
		return b.Cuts
	}
	return nil
}
