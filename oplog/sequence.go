package oplog

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"
)

// sequence is one strand in the log's one order (docs/PROTOCOL.md §2.6): repeatedly the
// op with the lowest id among those of which all that they build on is out.
//
// An op that is added has none that builds on it, so it moves no other one. It comes
// behind the last of what it builds on, and before the first there with a greater id:
//
//	… d  e  g  |  k  b  m  …        x builds on g, and k < x < m
//	           last        ^ x
//
// The order is kept in blocks, so that an op finds its place anywhere in it by moving one
// block's entries, and by looking at one number and one id of each other block: whoever
// signs operations that belong far back costs little more than who is up to date.
type sequence struct{ blocks []*block }

// block is a run of a sequence.
type block struct {
	at      int // in blocks
	ops     []placed
	highest placed // by id
}

// placed is an op in a block, with the beginning of its id: most ids are told apart without
// looking at the ops, which lie all over memory.
type placed struct {
	begins uint64
	*op
}

func place(o *op) placed { return placed{binary.BigEndian.Uint64(o.id[0][:]), o} }

func (p placed) less(q placed) bool {
	return p.begins < q.begins || p.begins == q.begins && compare(p.id[0], q.id[0]) < 0
}

// blockSize is how many ops a block has at most, before it is cut in two.
const blockSize = 512

func (s *sequence) add(o *op, on []*op) {
	p := place(o)
	b, i := s.find(p, on)
	if b == nil {
		b = &block{at: len(s.blocks)}
		s.blocks = append(s.blocks, b)
	}
	b.ops = slices.Insert(b.ops, i, p)
	o.block = b
	if b.highest.op == nil || b.highest.less(p) {
		b.highest = p
	}
	if len(b.ops) > blockSize {
		s.cut(b)
	}
}

// cut cuts a block in two: one that is at the end keeps nearly all, since most of what
// comes goes behind it.
func (s *sequence) cut(b *block) {
	keep := len(b.ops) / 2
	if b.at == len(s.blocks)-1 {
		keep = len(b.ops) - 1
	}
	next := &block{ops: slices.Clone(b.ops[keep:])}
	b.ops = slices.Clip(slices.Clone(b.ops[:keep]))
	s.blocks = slices.Insert(s.blocks, b.at+1, next)
	for i := b.at + 1; i < len(s.blocks); i++ {
		s.blocks[i].at = i
	}
	for _, half := range []*block{b, next} {
		half.highest = half.ops[0]
		for _, o := range half.ops {
			o.block = half
			if half.highest.less(o) {
				half.highest = o
			}
		}
	}
}

// find returns the block and the index at which o belongs; no block where there is none.
func (s *sequence) find(o placed, on []*op) (b *block, i int) {
	if len(s.blocks) == 0 {
		return nil, 0
	}
	b, i = s.blocks[0], 0 // behind nothing
	for _, p := range on {
		switch {
		case p.block.at > b.at:
			b, i = p.block, indexOf(p)+1
		case p.block == b:
			i = max(i, indexOf(p)+1)
		}
	}
	for {
		if o.less(b.highest) {
			for ; i < len(b.ops); i++ {
				if p := b.ops[i]; p.begins >= o.begins && o.less(p) {
					return b, i
				}
			}
		}
		at := b.at + 1
		for at < len(s.blocks) && s.blocks[at].highest.less(o) {
			at++
		}
		if at == len(s.blocks) {
			last := s.blocks[at-1]
			return last, len(last.ops)
		}
		b, i = s.blocks[at], 0
	}
}

// indexOf returns where an op is in its block; most that are asked for are at the end.
func indexOf(o *op) int {
	for i := len(o.block.ops) - 1; i >= 0; i-- {
		if o.block.ops[i].op == o {
			return i
		}
	}
	panic("oplog: an op is not in its block") // add put it there
}

func (s *sequence) all() iter.Seq[*op] {
	return func(yield func(*op) bool) {
		for _, b := range s.blocks {
			for _, o := range b.ops {
				if !yield(o.op) {
					return
				}
			}
		}
	}
}

func (s *sequence) backward() iter.Seq[*op] {
	return func(yield func(*op) bool) {
		for _, b := range slices.Backward(s.blocks) {
			for _, o := range slices.Backward(b.ops) {
				if !yield(o.op) {
					return
				}
			}
		}
	}
}

// sort puts ops of the sequence in its order.
func (s *sequence) sort(ops []*op) {
	index := make(map[*op]int, len(ops))
	for _, o := range ops {
		index[o] = -1
	}
	seen := make(map[*block]bool)
	for _, o := range ops {
		if seen[o.block] {
			continue
		}
		seen[o.block] = true
		for i, p := range o.block.ops {
			if _, asked := index[p.op]; asked {
				index[p.op] = i
			}
		}
	}
	slices.SortFunc(ops, func(a, b *op) int {
		return cmp.Or(cmp.Compare(a.block.at, b.block.at), cmp.Compare(index[a], index[b]))
	})
}
