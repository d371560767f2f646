package oplog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"pttnode/keys"
)

// ErrRanges says that bytes are not ranges of a reconciliation, or come when none may.
var ErrRanges = errors.New("oplog: malformed ranges")

// Salt makes sums and short names differ from one reconciliation to the next: whoever
// writes operations cannot choose them so that two different ranges look the same.
type Salt [16]byte

// span is what one side says of the places between the bound of the span before it and
// its own.
type span struct {
	upTo bound
	kind uint8
	sum  [sumSize]byte // with saidSum
	list []short       // with saidList, in the order of places
}

// Kinds of a span. Wire values; do not reorder.
const (
	saidNothing uint8 = 0
	saidSum     uint8 = 1
	saidList    uint8 = 2
)

const (
	sumSize   = 8
	shortSize = 6
)

// short names an op within one reconciliation.
type short [shortSize]byte

// bound lies before all places of its depth whose id is its prefix or greater.
type bound struct {
	depth  uint64
	prefix string
	end    bool // after all places
}

func (b bound) before(p Place) bool {
	return !b.end && (p.Depth > b.depth || p.Depth == b.depth && string(p.ID[:]) >= b.prefix)
}

func (b bound) less(c bound) bool {
	return !b.end && (c.end || b.depth < c.depth || b.depth == c.depth && b.prefix < c.prefix)
}

// between returns the shortest bound that has a before it and b not.
func between(a, b Place) bound {
	if a.Depth != b.Depth {
		return bound{depth: b.Depth}
	}
	n := 0
	for a.ID[n] == b.ID[n] {
		n++
	}
	return bound{depth: b.Depth, prefix: string(b.ID[:n+1])}
}

// Reconciler is one side of a reconciliation of two logs of an entity
// (docs/PROTOCOL.md §8.4): the sides take turns in saying sums of ranges of their
// places, split where they differ, until short lists tell which operations one side
// lacks. It holds what the log had when it was made.
type Reconciler struct {
	salt   Salt
	places []Place
	lacks  []bool        // by place: the other side lacks it
	listed map[short]int // places in lists of ours: the other may want them
}

// NewReconciler returns one side of a reconciliation over the places of its log.
func NewReconciler(places []Place, salt Salt) *Reconciler {
	return &Reconciler{salt: salt, places: places, lacks: make([]bool, len(places)), listed: make(map[short]int)}
}

// Open returns what the side that begins says: sums of everything but the newest, and
// a list of these, since that is where two logs mostly differ.
func (r *Reconciler) Open() (ranges []byte) {
	n := len(r.places)
	tail := max(0, n-tailList)
	var spans []span
	if tail > 0 {
		spans = r.split(spans, 0, tail, openParts, between(r.places[tail-1], r.places[tail]))
	}
	return encodeSpans(append(spans, r.list(tail, n, bound{end: true})))
}

// Answer takes what the other side says and wants, and returns what to say to that, and
// which of the operations that it listed are wanted. When ranges comes out empty there is
// nothing left to be said. It fails with ErrRanges.
func (r *Reconciler) Answer(ranges, wants []byte) (reply, want []byte, err error) {
	theirs, err := decodeSpans(ranges)
	if err != nil {
		return nil, nil, err
	}
	if err := r.wanted(wants); err != nil {
		return nil, nil, err
	}
	var spans []span
	from, size := 0, 0
	for _, t := range theirs {
		to := r.until(from, t.upTo)
		added := len(spans)
		switch {
		case t.kind == saidSum && t.sum == r.sum(from, to), t.kind == saidSum && size > replySize:
			// The same, or more than one exchange has room for: the next will find it.
		case t.kind == saidSum && to-from <= maxList:
			spans = append(spans, r.list(from, to, t.upTo))
		case t.kind == saidSum:
			spans = r.split(spans, from, to, splitParts, t.upTo)
		case t.kind == saidList:
			want = append(want, r.compare(from, to, t.list)...)
		}
		if len(spans) == added && (len(spans) == 0 || spans[len(spans)-1].kind != saidNothing) {
			spans = append(spans, span{})
		}
		if len(spans) > 0 {
			spans[len(spans)-1].upTo = t.upTo
		}
		for _, s := range spans[added:] {
			size += 2 + len(s.upTo.prefix) + sumSize + shortSize*len(s.list)
		}
		from = to
	}
	if len(spans) > 0 && spans[len(spans)-1].kind == saidNothing {
		spans = spans[:len(spans)-1]
	}
	return encodeSpans(spans), want, nil
}

// Lacking returns the ids of what the other side lacks, in an order in which it can be
// appended.
func (r *Reconciler) Lacking() []keys.Digest {
	var out []keys.Digest
	for i, lacks := range r.lacks {
		if lacks {
			out = append(out, r.places[i].ID)
		}
	}
	return out
}

// until returns the first place at or after from that is not before a bound.
func (r *Reconciler) until(from int, b bound) int {
	n, _ := slices.BinarySearchFunc(r.places[from:], b, func(p Place, b bound) int {
		if b.before(p) {
			return 1
		}
		return -1
	})
	return from + n
}

// split says the sums of parts of about the same number of places.
func (r *Reconciler) split(spans []span, from, to, parts int, upTo bound) []span {
	parts = max(1, min(parts, (to-from)/leastPart))
	for i := range parts {
		a, b := from+i*(to-from)/parts, from+(i+1)*(to-from)/parts
		end := upTo
		if i+1 < parts {
			end = between(r.places[b-1], r.places[b])
		}
		spans = append(spans, span{upTo: end, kind: saidSum, sum: r.sum(a, b)})
	}
	return spans
}

func (r *Reconciler) list(from, to int, upTo bound) span {
	s := span{upTo: upTo, kind: saidList}
	for i, p := range r.places[from:to] {
		name := r.short(p.ID)
		r.listed[name] = from + i
		s.list = append(s.list, name)
	}
	return s
}

// compare notes what the other side lacks of a range, and returns the short names of
// what is not here.
func (r *Reconciler) compare(from, to int, list []short) (want []byte) {
	theirs := make(map[short]bool, len(list))
	for _, name := range list {
		theirs[name] = true
	}
	for i := from; i < to; i++ {
		name := r.short(r.places[i].ID)
		r.lacks[i] = !theirs[name]
		delete(theirs, name)
	}
	for _, name := range list {
		if theirs[name] {
			want = append(want, name[:]...)
			delete(theirs, name)
		}
	}
	return want
}

// wanted notes what the other side wants of what was listed here.
func (r *Reconciler) wanted(wants []byte) error {
	if len(wants)%shortSize != 0 {
		return fmt.Errorf("%w: wants of %d bytes", ErrRanges, len(wants))
	}
	for name := range slices.Chunk(wants, shortSize) {
		i, ok := r.listed[short(name)]
		if !ok {
			return fmt.Errorf("%w: wants what was not listed", ErrRanges)
		}
		r.lacks[i] = true
	}
	return nil
}

func (r *Reconciler) sum(from, to int) (sum [sumSize]byte) {
	b := make([]byte, 0, (to-from)*len(keys.Digest{}))
	for _, p := range r.places[from:to] {
		b = append(b, p.ID[:]...)
	}
	h := keys.Hash(keys.LabelRanges, r.salt[:], b)
	copy(sum[:], h[:])
	return sum
}

func (r *Reconciler) short(id keys.Digest) (name short) {
	h := keys.Hash(keys.LabelShort, r.salt[:], id[:])
	copy(name[:], h[:])
	return name
}

// encodeSpans writes each span as: how far its bound's depth is from that of the bound
// before it, as uvarint; a byte with the kind and four times the length of the prefix;
// the prefix; the sum, or the number of names, as uvarint, and the names. A bound that
// does not move is the end.
func encodeSpans(spans []span) (out []byte) {
	var depth uint64
	for _, s := range spans {
		step := s.upTo.depth - depth
		if s.upTo.end {
			step = 0
		} else {
			depth = s.upTo.depth
		}
		out = binary.AppendUvarint(out, step)
		out = append(out, s.kind|uint8(len(s.upTo.prefix))<<2)
		out = append(out, s.upTo.prefix...)
		switch s.kind {
		case saidSum:
			out = append(out, s.sum[:]...)
		case saidList:
			out = binary.AppendUvarint(out, uint64(len(s.list)))
			for _, name := range s.list {
				out = append(out, name[:]...)
			}
		}
	}
	return out
}

// decodeSpans reads spans; their bounds ascend. It accepts only what encodeSpans writes.
func decodeSpans(b []byte) ([]span, error) {
	bad := func(why string) ([]span, error) { return nil, fmt.Errorf("%w: %s", ErrRanges, why) }
	all := b
	var spans []span
	var last bound
	take := func(n uint64) []byte {
		if n > uint64(len(b)) {
			b = nil
			return nil
		}
		head := b[:n]
		b = b[n:]
		return head
	}
	for len(b) > 0 {
		step, n := binary.Uvarint(b)
		if n <= 0 || len(b) == n || step > maxDepth-last.depth {
			return bad("a step")
		}
		head := b[n]
		b = b[n+1:]
		s := span{kind: head & 3, upTo: bound{depth: last.depth + step}}
		s.upTo.prefix = string(take(uint64(head >> 2)))
		s.upTo.end = step == 0 && s.upTo.prefix == ""
		switch s.kind {
		case saidNothing:
		case saidSum:
			copy(s.sum[:], take(sumSize))
		case saidList:
			count, n := binary.Uvarint(b)
			if n <= 0 || count > uint64(len(b)-n)/shortSize {
				return bad("a list")
			}
			b = b[n:]
			for name := range slices.Chunk(take(count*shortSize), shortSize) {
				s.list = append(s.list, short(name))
			}
		default:
			return bad("a kind")
		}
		if len(spans) > 0 && !last.less(s.upTo) || len(s.upTo.prefix) > len(keys.Digest{}) {
			return bad("a bound")
		}
		spans, last = append(spans, s), s.upTo
	}
	if !bytes.Equal(encodeSpans(spans), all) {
		return bad("not as it is written")
	}
	return spans, nil
}
