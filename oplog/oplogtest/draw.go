package oplogtest

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// Drawing is the operations of one entity under the names they were drawn with.
type Drawing struct {
	tb      testing.TB
	ops     map[string]oplog.Op
	order   []string // as first drawn, but each after all it builds on
	parents map[string][]string
	genesis string
}

// Device returns the key of the device called name: the same for the same name.
func Device(name string) keys.Private {
	return keys.FromSeed(sha256.Sum256([]byte("device " + strings.ToUpper(name))))
}

// opName is a device, a seq and what tells the sides of a fork apart.
var opName = regexp.MustCompile(`^([A-Za-z]+)([0-9]+)('*)$`)

// Draw builds operations from a drawing such as
//
//	A0 -> B0 -> a0 -> a1 -> b0
//	      B0 -> a0 -> a1'
//	a1 a1' -> b1
//
// An operation is called by its device, its seq and, where the chain forks, a
// prime: a1 and a1' are two operations of device A at seq 1. Capital letters are
// the control strand, small ones the content strand of the same device. An arrow
// goes from parents to a child; parents of the other strand count for nothing,
// but every content op cites the genesis in auth. The first operation drawn is
// the genesis. The prev of an operation follows from its name: the op of its
// device one seq lower on the same side of a fork, or below the fork. The body of
// an operation is its name; that of content is nothing that opens.
func Draw(tb testing.TB, drawing string) *Drawing {
	tb.Helper()
	d := &Drawing{tb: tb, ops: map[string]oplog.Op{}, parents: map[string][]string{}}
	for line := range strings.Lines(drawing) {
		line, _, _ = strings.Cut(line, "#")
		var last []string
		for i, side := range strings.Split(line, "->") {
			names := strings.Fields(side)
			if len(names) == 0 && (i > 0 || strings.Contains(line, "->")) {
				tb.Fatalf("oplogtest: an arrow from or to nothing in %q", line)
			}
			for _, name := range names {
				if !opName.MatchString(name) {
					tb.Fatalf("oplogtest: %q is not the name of an operation", name)
				}
				if _, ok := d.parents[name]; !ok {
					d.order = append(d.order, name)
				}
				d.parents[name] = append(d.parents[name], last...)
			}
			last = names
		}
	}
	if len(d.order) == 0 {
		tb.Fatal("oplogtest: an empty drawing")
	}
	drawn := d.order
	d.genesis, d.order = drawn[0], nil
	for _, name := range drawn {
		d.build(name, nil)
	}
	return d
}

// build signs the operation called name after all it builds on.
func (d *Drawing) build(name string, above []string) oplog.Op {
	d.tb.Helper()
	if o, ok := d.ops[name]; ok {
		return o
	}
	if slices.Contains(above, name) {
		d.tb.Fatalf("oplogtest: %s is drawn above itself: %v", name, above)
	}
	above = append(above, name)
	part := opName.FindStringSubmatch(name)
	seq, err := strconv.ParseUint(part[2], 10, 32)
	if err != nil {
		d.tb.Fatalf("oplogtest: the seq of %s: %v", name, err)
	}
	draft := oplog.Draft{
		User: sha256.Sum256([]byte("user " + strings.ToUpper(part[1]))), Strand: oplog.Control, Family: oplog.FamilyMember,
		Type: 100, Seq: seq, At: time.UnixMilli(1_700_000_000_000), Body: []byte(name),
	}
	switch {
	case name == d.genesis:
		draft.Family, draft.Type = oplog.FamilyGenesis, 1
	case strings.ToLower(part[1]) == part[1]:
		draft.Strand, draft.Family, draft.Epoch = oplog.Content, oplog.FamilyMessage, keys.Digest{1}
		draft.Auth = []keys.Digest{d.build(d.genesis, above).ID()}
		fallthrough
	default:
		draft.Entity = d.build(d.genesis, above).ID()
	}
	if seq > 0 {
		draft.Prev = d.build(d.prev(part[1], seq-1, part[3]), above).ID()
	}
	for _, p := range d.parents[name] {
		if o := d.build(p, above); o.Strand() == draft.Strand && !slices.Contains(draft.Parents, o.ID()) {
			draft.Parents = append(draft.Parents, o.ID())
		}
	}
	slices.SortFunc(draft.Parents, Compare)
	o, err := oplog.Sign(Device(part[1]), draft)
	if err != nil {
		d.tb.Fatalf("oplogtest: sign %s: %v", name, err)
	}
	d.ops[name] = o
	d.order = append(d.order, name)
	return o
}

// prev returns the name of the op of a device at seq, on the side of a fork that
// primes name or on one below it.
func (d *Drawing) prev(device string, seq uint64, primes string) string {
	for {
		name := fmt.Sprint(device, seq, primes)
		if _, ok := d.parents[name]; ok {
			return name
		}
		if primes == "" {
			d.tb.Fatalf("oplogtest: %s is not drawn", name)
		}
		primes = primes[1:]
	}
}

// Entity returns the id of the drawing's entity.
func (d *Drawing) Entity() keys.Digest { return d.ops[d.genesis].ID() }

// Op returns the operation called name.
func (d *Drawing) Op(name string) oplog.Op {
	d.tb.Helper()
	o, ok := d.ops[name]
	if !ok {
		d.tb.Fatalf("oplogtest: %s is not drawn", name)
	}
	return o
}

// Ops returns the operations called by names, split at spaces, or all for "": as
// drawn, but each after all it builds on.
func (d *Drawing) Ops(names string) (ops []oplog.Op) {
	d.tb.Helper()
	list := strings.Fields(names)
	if len(list) == 0 {
		list = d.order
	}
	for _, name := range list {
		ops = append(ops, d.Op(name))
	}
	return ops
}

// Log returns a log of the operations called by names, in whatever order they
// are given; all for "".
func (d *Drawing) Log(names string) *oplog.Log {
	d.tb.Helper()
	l := oplog.NewLog(d.Entity())
	if left := AppendAll(l, d.Ops(names)); len(left) > 0 {
		d.tb.Fatalf("oplogtest: %s build on what is not in the log", d.Names(left))
	}
	return l
}

// Names returns the names of ops, in their order.
func (d *Drawing) Names(ops []oplog.Op) string {
	called := make(map[keys.Digest]string, len(d.ops))
	for name, o := range d.ops {
		called[o.ID()] = name
	}
	var names []string
	for _, o := range ops {
		name, ok := called[o.ID()]
		if !ok {
			name = o.ID().String()
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// AppendAll appends ops, in whatever order they come, and returns those that do not
// fit, as they came.
func AppendAll(l *oplog.Log, ops []oplog.Op) (left []oplog.Op) {
	waiting := make(map[keys.Digest][]oplog.Op) // by an op that each of them lacks
	for _, o := range ops {
		for todo := []oplog.Op{o}; len(todo) > 0; {
			next := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if missing := l.Missing(next); len(missing) > 0 {
				waiting[missing[0]] = append(waiting[missing[0]], next)
			} else if _, err := l.Append(next); err == nil {
				todo = append(todo, waiting[next.ID()]...)
				delete(waiting, next.ID())
			}
		}
	}
	for _, o := range ops {
		if _, ok := l.Get(o.ID()); !ok {
			left = append(left, o)
		}
	}
	return left
}

// Away returns ops as they come without their bodies. Each is authentic by itself.
func Away(tb testing.TB, ops ...oplog.Op) (out []oplog.Op) {
	tb.Helper()
	for _, o := range ops {
		bare, err := oplog.Parse(o.Envelope())
		if err != nil {
			tb.Fatalf("oplogtest: the envelope of %v: %v", o.ID(), err)
		}
		out = append(out, bare)
	}
	return out
}

// Compare orders ids as logs do.
func Compare(a, b keys.Digest) int { return slices.Compare(a[:], b[:]) }
