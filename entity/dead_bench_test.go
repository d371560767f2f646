package entity_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// BenchmarkDead compares what it costs to find what a checkpoint drops, which every node
// does once, with what it costs to check the signatures of the content; and says how much
// of the bytes is left when all of it is gone.
func BenchmarkDead(b *testing.B) {
	s := newStage(b)
	laptop, f := s.places["laptop"], s.places["founder"]
	var article oplog.Op
	for i := range 6_000 { // four versions of a text each
		if i%4 == 0 {
			article = laptop.write(b, laptop.name, entity.Article{Title: fmt.Sprint(i), Text: strings.Repeat("x", 1000)})
		} else {
			laptop.write(b, laptop.name, entity.ArticleEdit{Article: article.ID(), Title: fmt.Sprint(i), Text: strings.Repeat("x", 1000)})
		}
	}
	s.hear(b, f, laptop)
	ops := all(f.Entity)
	size := 0
	for _, o := range ops {
		size += len(o.Bytes())
	}
	base, found := time.Duration(0), time.Hour
	for b.Loop() {
		e, err := entity.Open(f.Log())
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if e.WantsCheckpoint(f.people["founder"].user(), f.ring, now.Add(entity.DropAfter)) != entity.DueDead {
			b.Fatal("nothing is dead")
		}
		found = min(found, time.Since(start))
		if d := signatures(b, ops); base == 0 || d < base {
			base = d
		}
	}
	ratio := float64(found) / float64(base)
	if b.ReportMetric(ratio, "of-signatures"); ratio > 0.25 {
		b.Errorf("finding what is dead takes %v, %.3f of checking the signatures (%v)", found, ratio, base)
	}
	lists := 0
	for ; f.WantsCheckpoint(f.people["founder"].user(), f.ring, now.Add(entity.DropAfter)) == entity.DueDead; lists++ {
		f.close(b)
		strip(b, f.Entity, f.ring)
	}
	left := 0
	for _, o := range all(f.Entity) {
		if left += len(o.Bytes()); o.Bare() {
			left += len(keys.Marshal(oplog.StubOf(o))) + 33 // in its list, and what stands for it in the store
		}
	}
	b.ReportMetric(float64(lists), "lists")
	b.ReportMetric(float64(left)/float64(size), "of-bytes-left")
}
