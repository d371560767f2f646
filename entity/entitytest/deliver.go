package entitytest

import (
	"errors"
	"slices"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// All returns the ops of an entity as they can be added.
func All(e interface{ Log() *oplog.Log }) []oplog.Op {
	return append(slices.Collect(e.Log().All(oplog.Control)), slices.Collect(e.Log().All(oplog.Content))...)
}

// Clone adds every op of an entity to a new one.
func Clone(tb TB, e *entity.Entity) *entity.Entity {
	tb.Helper()
	ops := All(e)
	c, err := entity.New(ops[0])
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	for _, o := range ops[1:] {
		if _, err := c.Add(o); err != nil {
			tb.Fatalf("Add what was added elsewhere: %v", err)
		}
	}
	return c
}

// Take adds the first n ops that to lacks of from. What from accepted, to accepts: an
// op is judged by its past.
func Take(tb TB, from, to *entity.Entity, n int) {
	tb.Helper()
	for i, o := range from.Log().Lacks(to.Log().Vector()) {
		if i == n {
			return
		}
		if _, err := to.Add(o); err != nil && !errors.Is(err, oplog.ErrMissing) { // a fork that neither knew
			tb.Fatalf("what one node accepted another refuses: %d/%d: %v", o.Family(), o.Type(), err)
		}
	}
}

// Union returns what the nodes have of an entity, with every op after all it builds on.
func Union[N interface{ Log() *oplog.Log }](tb TB, id keys.Digest, nodes []N) []oplog.Op {
	tb.Helper()
	log := oplog.NewLog(id)
	var ops []oplog.Op
	for _, n := range nodes {
		for _, o := range All(n) {
			if added, err := log.Append(o); err != nil {
				tb.Fatalf("Append: %v", err)
			} else if added {
				ops = append(ops, o)
			}
		}
	}
	return ops
}

// Deliver adds ops to a new entity, each after all it builds on, in an order that pick
// chooses, and each of them twice. It calls between before each.
func Deliver(tb TB, ops []oplog.Op, pick func(n int) int, between func(e *entity.Entity)) *entity.Entity {
	tb.Helper()
	e, err := entity.New(ops[0])
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	for rest := slices.Clone(ops[1:]); len(rest) > 0; {
		var ready []int
		for i, o := range rest {
			if len(e.Log().Missing(o)) == 0 {
				ready = append(ready, i)
			}
		}
		if len(ready) == 0 {
			tb.Fatalf("%d ops build on what is nowhere", len(rest))
		}
		i := ready[pick(len(ready))]
		o := rest[i]
		if i%2 == 0 {
			e.State() // an op that names all heads is then folded upon it
		}
		between(e)
		if added, err := e.Add(o); err != nil || !added {
			tb.Fatalf("what one node accepted another refuses: %d/%d: %v", o.Family(), o.Type(), err)
		}
		if added, err := e.Add(o); err != nil || added {
			tb.Fatalf("an op again: %v, %v", added, err)
		}
		rest = slices.Delete(rest, i, i+1)
	}
	return e
}

// Signatures returns how long it takes to check the signatures of ops, each by itself.
func Signatures(tb TB, ops []oplog.Op) time.Duration {
	tb.Helper()
	k := keys.FromSeed([32]byte{1})
	raw := ops[len(ops)-1].Envelope()
	sig := k.Sign(keys.PurposeOp, raw)
	start := time.Now()
	for range ops {
		if err := k.ID().Verify(keys.PurposeOp, raw, sig); err != nil {
			tb.Fatalf("Verify: %v", err)
		}
	}
	return time.Since(start)
}
