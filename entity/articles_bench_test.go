package entity_test

import (
	"fmt"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/oplog"
)

// BenchmarkBoard compares what it costs to list a board with what it costs to check the
// signatures of its content: the first time, when everything has to be opened, and when
// it was opened before.
func BenchmarkBoard(b *testing.B) {
	for _, c := range []struct {
		name         string
		fill         func(*testing.B, *stage)
		first, again float64 // bounds
	}{
		{"articles=10000,comments=30000", func(b *testing.B, s *stage) {
			laptop, bob := s.places["laptop"], s.places["bob"]
			var articles []oplog.Op
			for i := range 10_000 {
				articles = append(articles, laptop.write(b, laptop.name, entity.Article{Title: fmt.Sprint("article ", i), Text: "text"}))
			}
			s.hear(b, bob, laptop)
			for i := range 30_000 {
				bob.write(b, bob.name, entity.Comment{Article: articles[i%len(articles)].ID(), Mark: entity.Push, Text: "well said"})
			}
			s.hear(b, laptop, bob)
		}, 0.25, 0.04},
		{"edits=10000", func(b *testing.B, s *stage) { // of one article, beside each other on two devices
			laptop, phone := s.places["laptop"], s.places["phone"]
			o := laptop.write(b, laptop.name, entity.Article{Title: "one"})
			s.hear(b, phone, laptop)
			for i := range 5_000 {
				for _, r := range []*replica{laptop, phone} {
					r.write(b, r.name, entity.ArticleEdit{Article: o.ID(), Title: fmt.Sprint("edit ", i)})
				}
			}
			s.hear(b, laptop, phone)
		}, 0.25, 0.04},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := newStage(b)
			c.fill(b, s)
			w := s.places["laptop"]
			ops := all(w.Entity)
			base, first, again := time.Duration(0), time.Hour, time.Hour
			for b.Loop() {
				e, err := entity.Open(w.Log())
				if err != nil {
					b.Fatal(err)
				}
				start := time.Now()
				posts := len(e.Posts(w.ring))
				first = min(first, time.Since(start))
				start = time.Now()
				if n := len(e.Posts(w.ring)); n != posts || n == 0 {
					b.Fatalf("%d posts, then %d", posts, n)
				}
				again = min(again, time.Since(start))
				if d := signatures(b, ops); base == 0 || d < base {
					base = d
				}
			}
			for _, f := range []struct {
				name  string
				took  time.Duration
				bound float64
			}{{"first", first, c.first}, {"again", again, c.again}} {
				ratio := float64(f.took) / float64(base)
				b.ReportMetric(ratio, f.name+"-of-signatures")
				if ratio > f.bound {
					b.Errorf("listing (%s) takes %v, %.3f of checking the signatures (%v), bound %v", f.name, f.took, ratio, base, f.bound)
				}
			}
		})
	}
}
