package oplog

import (
	"slices"

	"pttnode/keys"
)

// CutBatch cuts ops, which stand in an order in which they can be appended, into about
// size bytes and the rest, so that ParseBatch takes all of the first piece by itself:
// what names an op there whose own signature is bad is pulled forward, with all that it
// builds on, as long as the piece has at most most bytes. load returns an op with what is
// sent of it; the ops of the first piece are loaded. It fails as load does.
func CutBatch(ops []Op, size, most int, load func(Op) (Op, error)) (chunk, rest []Op, err error) {
	n, sum := 0, 0
	for n < len(ops) && (n == 0 || sum <= size) {
		if ops[n], err = load(ops[n]); err != nil {
			return nil, nil, err
		}
		if sum += ops[n].travels(); n == 0 || sum <= size {
			n++
		}
	}
	if n == len(ops) { // what is there together vouches for itself
		return ops, nil, nil
	}
	for cut := n; ; {
		chunk, rest, over, err := pullForward(ops, cut, most, load)
		switch {
		case err != nil:
			return nil, nil, err
		case over < 0:
			return chunk, rest, nil
		case over > 0:
			cut = over // it comes first in the next piece
		case cut > 1:
			cut = 1 // it alone, with what it needs
		default:
			// What it needs builds on more than fits, which the pieces after this
			// one bring: the next time it fits.
			return ops[:n], ops[n:], nil
		}
	}
}

// pullForward cuts ops after n and moves forward what the first piece needs to be
// authentic. If that is over most bytes, it returns the place of the first op that
// needs it, else -1.
func pullForward(ops []Op, n, most int, load func(Op) (Op, error)) (chunk, rest []Op, over int, err error) {
	chunk, rest = ops[:n:n], ops[n:]
	checked := make(map[keys.Digest]bool)
	for first := n; ; {
		needs, at := unnamed(chunk, checked)
		first = min(first, at)
		need, err := vouchers(needs, rest, load)
		if err != nil {
			return nil, nil, 0, err
		}
		if len(need) == 0 {
			return chunk, rest, -1, nil
		}
		var left []Op
		for _, o := range rest {
			if !need[o.ID()] {
				left = append(left, o)
				continue
			}
			if o, err = load(o); err != nil {
				return nil, nil, 0, err
			}
			chunk = append(chunk, o)
		}
		rest = left
		if frameSize(chunk) > most {
			return nil, nil, first, nil
		}
	}
}

// unnamed returns the content ops whose own signature is bad and that no other of ops
// names as prev, and the place of the first of them. Of those in checked it is known
// that they need nothing more; it adds what it looks at.
func unnamed(ops []Op, checked map[keys.Digest]bool) (ids map[keys.Digest]keys.Digest, first int) {
	ids, first = make(map[keys.Digest]keys.Digest), len(ops)
	named := make(map[keys.Digest]bool, len(ops))
	for i, o := range slices.Backward(ops) {
		if o.strand != Content {
			continue
		}
		named[o.Prev()] = true
		if named[o.ID()] || checked[o.ID()] {
			continue
		}
		checked[o.ID()] = true
		if !o.Signed() {
			ids[o.ID()], first = o.ID(), i
		}
	}
	return ids, first
}

// vouchers returns, for each op in needs, the first signed op of rest by which it is
// authentic, and all of rest that this one builds on. It fills needs with what leads
// there.
func vouchers(needs map[keys.Digest]keys.Digest, rest []Op, load func(Op) (Op, error)) (need map[keys.Digest]bool, err error) {
	need, found := make(map[keys.Digest]bool), make(map[keys.Digest]bool)
	last, want := 0, len(needs)
	for i, o := range rest {
		if len(found) == want {
			break
		}
		of, ok := needs[o.Prev()]
		if !ok || o.strand != Content || found[of] {
			continue
		}
		if o, err = load(o); err != nil {
			return nil, err
		}
		if !o.Signed() {
			needs[o.ID()] = of
			continue
		}
		found[of], need[o.ID()], last = true, true, i+1
	}
	for _, o := range slices.Backward(rest[:last]) {
		if need[o.ID()] {
			need[o.Prev()] = true
			for _, id := range slices.Concat(o.Parents(), o.Auth()) {
				need[id] = true
			}
		}
	}
	return need, nil
}

// frameSize returns how many bytes ops are as Pairs in CBOR, at most.
func frameSize(ops []Op) (size int) {
	for _, o := range ops {
		size += o.travels()
	}
	return size
}

// travels returns how many bytes an op takes as a Pair, at most.
func (o Op) travels() int { return pairHead + len(o.envelope) + len(o.Body()) }

// pairHead is what a Pair has beside envelope and body: a map, two keys, two heads.
const pairHead = 1 + 1 + 5 + 1 + 5
