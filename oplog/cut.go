package oplog

import (
	"slices"

	"pttnode/keys"
)

// CutBatch cuts ops, which stand in an order in which they can be appended, into
// about size bytes and the rest, so that ParseBatch takes all of the first piece by
// itself: what names an op there whose own signature is bad is pulled forward, with
// all that it builds on, as long as the piece has at most most bytes.
func CutBatch(ops []Op, size, most int) (chunk, rest []Op) {
	n, sum := 0, 0
	for n < len(ops) && (n == 0 || sum+len(ops[n].Entry()) <= size) {
		sum += len(ops[n].Entry())
		n++
	}
	if n == len(ops) { // what is there together vouches for itself
		return ops, nil
	}
	for cut := n; ; {
		chunk, rest, over := pullForward(ops, cut, most)
		switch {
		case over < 0:
			return chunk, rest
		case over > 0:
			cut = over // it comes first in the next piece
		case cut > 1:
			cut = 1 // it alone, with what it needs
		default:
			// What it needs builds on more than fits, which the pieces after this
			// one bring: the next time it fits.
			return ops[:n], ops[n:]
		}
	}
}

// pullForward cuts ops after n and moves forward what the first piece needs to be
// authentic. If that is over most bytes, it returns the place of the first op that
// needs it, else -1.
func pullForward(ops []Op, n, most int) (chunk, rest []Op, over int) {
	chunk, rest = ops[:n:n], ops[n:]
	checked := make(map[keys.Digest]bool)
	for first := n; ; {
		needs, at := unnamed(chunk, checked)
		first = min(first, at)
		need := vouchers(needs, rest)
		if len(need) == 0 {
			return chunk, rest, -1
		}
		var left []Op
		for _, o := range rest {
			if need[o.id] {
				chunk = append(chunk, o)
			} else {
				left = append(left, o)
			}
		}
		rest = left
		if frameSize(chunk) > most {
			return nil, nil, first
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
		if o.Strand() != Content || o.Bare() { // a stub makes nothing authentic
			continue
		}
		named[o.Prev()] = true
		if named[o.id] || checked[o.id] {
			continue
		}
		checked[o.id] = true
		if !o.Signed() {
			ids[o.id], first = o.id, i
		}
	}
	return ids, first
}

// vouchers returns, for each op in needs, the first signed op of rest by which it is
// authentic, and all of rest that this one builds on. It fills needs with what leads
// there.
func vouchers(needs map[keys.Digest]keys.Digest, rest []Op) map[keys.Digest]bool {
	need, found := make(map[keys.Digest]bool), make(map[keys.Digest]bool)
	last, want := 0, len(needs)
	for i, o := range rest {
		if len(found) == want {
			break
		}
		of, ok := needs[o.Prev()]
		if !ok || o.Strand() != Content || o.Bare() || found[of] {
			continue
		}
		if !o.Signed() {
			needs[o.id] = of
			continue
		}
		found[of], need[o.id], last = true, true, i+1
	}
	for _, o := range slices.Backward(rest[:last]) {
		if need[o.id] {
			need[o.Prev()] = true
			for _, id := range slices.Concat(o.Parents(), o.Auth()) {
				need[id] = true
			}
		}
	}
	return need
}

// frameSize returns how many bytes ops are as CBOR byte strings, at most.
func frameSize(ops []Op) (size int) {
	for _, o := range ops {
		size += len(o.Entry()) + 3
		if len(o.Entry()) >= 1<<16 {
			size += 2
		}
	}
	return size
}
