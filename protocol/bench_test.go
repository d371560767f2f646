package protocol

import (
	"testing"

	"pttnode/entity"
	"pttnode/invite"
)

// BenchmarkJoin is a whole join in memory: both machines, every frame encoded and
// decoded, and the admit, but no store and no network.
func BenchmarkJoin(b *testing.B) {
	for _, kind := range []entity.Kind{entity.Board, entity.Friend} {
		b.Run(kind.String(), func(b *testing.B) {
			w := newWorld(b, kind, invite.Options{})
			rec, board := w.m.rec, w.m.board
			raws := [][]byte{}
			if board.e != nil {
				raws = board.e.ControlStrand()
			}
			bytes := 0
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				w.m.rec = rec
				if board.e != nil {
					w.m.board = place{replay(b, raws), board.ring}
				}
				r := *w.r
				b.StartTimer()

				j, err := NewJoiner(r.joining())
				if err != nil {
					b.Fatal(err)
				}
				i := NewInviter(w.m.inviting(r.id()))
				eff, err := j.Step(w.now, Start{})
				for err == nil && r.joined == nil {
					var m Message
					switch {
					case eff.Commit != nil && eff.Commit.Attempt != nil:
						eff, err = j.Step(w.now, r.commit(eff.Commit))
						continue
					case eff.Commit != nil:
						eff, err = i.Step(w.now, w.m.commit(w.now, eff.Commit))
						continue
					case eff.Ask != nil:
						claim, _ := w.m.decide(eff.Ask.Claim.JoinID, true, w.now)
						eff, err = i.Step(w.now, w.m.decided(claim))
						continue
					}
					frame := Encode(eff.Send[0])
					bytes += len(frame)
					if m, err = unframe(frame); err != nil {
						break
					}
					switch m.(type) {
					case Join, JoinEntity:
						eff, err = i.Step(w.now, m)
					default:
						eff, err = j.Step(w.now, m)
					}
				}
				if err != nil || r.joined == nil {
					b.Fatalf("not joined: %+v, %v", eff, err)
				}
			}
			b.ReportMetric(float64(bytes)/float64(b.N), "wire-B/op")
		})
	}
}
