package node

import (
	"context"
	"sync"

	"github.com/ipfs/go-datastore"

	"pttnode/keys"
	"pttnode/oplog"
)

// shelf is where logs find the bytes of their content, which they do not hold: what is
// not durable yet, else the store, whose block cache bounds what is in memory. It is safe
// for concurrent use.
type shelf struct {
	ds datastore.Read

	mu     sync.Mutex
	queued map[opOf]*oplog.Op // the last that was queued of each
}

// opOf names an operation of an entity.
type opOf struct{ entity, id keys.Digest }

func newShelf(ds datastore.Read) *shelf { return &shelf{ds: ds, queued: make(map[opOf]*oplog.Op)} }

// of returns the source of a log.
func (s *shelf) of(l *oplog.Log) oplog.Source {
	if s == nil { // nothing is read in a transaction that makes an identity
		return nil
	}
	return source{s, l}
}

// queue holds an op until it is durable.
func (s *shelf) queue(o oplog.Op) *oplog.Op {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued[opOf{o.Entity(), o.ID()}] = &o
	return &o
}

// release lets go of ops that are durable, unless they were queued again.
func (s *shelf) release(ops []*oplog.Op) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range ops {
		if at := (opOf{o.Entity(), o.ID()}); s.queued[at] == o {
			delete(s.queued, at)
		}
	}
}

// source is the shelf of one log.
type source struct {
	shelf *shelf
	log   *oplog.Log
}

// Whole returns an op with its envelope, and with its body if that is here.
func (s source) Whole(o oplog.Op) (oplog.Op, error) {
	s.shelf.mu.Lock()
	q := s.shelf.queued[opOf{o.Entity(), o.ID()}]
	s.shelf.mu.Unlock()
	if q != nil {
		return *q, nil
	}
	return s.log.ReadWhole(context.Background(), s.shelf.ds, o)
}

// reader returns what reads ops of a log, about in the order in which they came: a page at a
// time, as long as most of what is read so is asked for. It is for one goroutine.
func (s *shelf) reader(l *oplog.Log, ops []oplog.Op) func(oplog.Op) (oplog.Op, error) {
	wanted := make(map[uint32]int)
	for _, o := range ops {
		if o.Strand() == oplog.Content {
			wanted[oplog.PageOf(o)]++
		}
	}
	pages := make(map[uint32]*oplog.Page) // the last that were read; nil for one that is read op by op
	var order []uint32
	return func(o oplog.Op) (oplog.Op, error) {
		n := oplog.PageOf(o)
		if o.Strand() == oplog.Control || wanted[n] < pageWorth {
			return l.Whole(o)
		}
		s.mu.Lock()
		q := s.queued[opOf{o.Entity(), o.ID()}]
		s.mu.Unlock()
		if q != nil {
			return *q, nil
		}
		p, read := pages[n]
		if !read {
			var err error
			if p, err = l.ReadPage(context.Background(), s.ds, o, pageBytes); err != nil {
				return oplog.Op{}, err
			}
			if pages[n], order = p, append(order, n); len(order) > maxPages {
				delete(pages, order[0])
				order = order[1:]
			}
		}
		if p != nil {
			if whole, ok, err := p.Whole(o); ok || err != nil {
				return whole, err
			}
		}
		return l.Whole(o)
	}
}
