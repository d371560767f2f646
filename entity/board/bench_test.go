package board_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/entity/entitytest"
	"pttnode/keys"
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
				articles = append(articles, laptop.write(b, newArticle, keys.Digest{}, board.Article{Title: fmt.Sprint("article ", i), Text: "text"}))
			}
			s.hear(b, bob, laptop)
			for i := range 30_000 {
				bob.write(b, newComment, articles[i%len(articles)].ID(), board.Comment{Mark: board.Push, Text: "well said"})
			}
			s.hear(b, laptop, bob)
		}, 0.25, 0.04},
		{"edits=10000", func(b *testing.B, s *stage) { // of one article, concurrent on two devices
			laptop, phone := s.places["laptop"], s.places["phone"]
			o := laptop.write(b, newArticle, keys.Digest{}, board.Article{Title: "one"})
			s.hear(b, phone, laptop)
			for i := range 5_000 {
				for _, r := range []*replica{laptop, phone} {
					r.write(b, editArticle, o.ID(), board.Article{Title: fmt.Sprint("edit ", i)})
				}
			}
			s.hear(b, laptop, phone)
		}, 0.25, 0.04},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := newStage(b)
			c.fill(b, s)
			w := s.places["laptop"]
			ops := entitytest.All(w.Entity)
			base, first, again := time.Duration(0), time.Hour, time.Hour
			for b.Loop() {
				e, err := entity.Open(w.Log())
				if err != nil {
					b.Fatal(err)
				}
				read := board.New(e)
				start := time.Now()
				posts := len(read.Posts(w.Ring))
				first = min(first, time.Since(start))
				start = time.Now()
				if n := len(read.Posts(w.Ring)); n != posts || n == 0 {
					b.Fatalf("%d posts, then %d", posts, n)
				}
				again = min(again, time.Since(start))
				if d := entitytest.Signatures(b, ops); base == 0 || d < base {
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

// BenchmarkDead compares what it costs to find what is dead, which a node does now and then,
// with what it costs to check the signatures of the content.
func BenchmarkDead(b *testing.B) {
	s := newStage(b)
	laptop, f := s.places["laptop"], s.places["founder"]
	var article oplog.Op
	for i := range 6_000 { // four versions of a text each
		body := board.Article{Title: fmt.Sprint(i), Text: strings.Repeat("x", 1000)}
		if i%4 == 0 {
			article = laptop.write(b, newArticle, keys.Digest{}, body)
		} else {
			laptop.write(b, editArticle, article.ID(), body)
		}
	}
	s.hear(b, f, laptop)
	f.Close(b, "founder")
	ops := entitytest.All(f.Entity)
	base, found := time.Duration(0), time.Hour
	for b.Loop() {
		e, err := entity.Open(f.Log())
		if err != nil {
			b.Fatal(err)
		}
		read := board.New(e)
		start := time.Now()
		if dead := len(read.Dead()); dead != 4_500 {
			b.Fatalf("%d are dead", dead)
		}
		found = min(found, time.Since(start))
		if d := entitytest.Signatures(b, ops); base == 0 || d < base {
			base = d
		}
	}
	ratio := float64(found) / float64(base)
	if b.ReportMetric(ratio, "of-signatures"); ratio > 0.25 {
		b.Errorf("finding what is dead takes %v, %.3f of checking the signatures (%v)", found, ratio, base)
	}
}
