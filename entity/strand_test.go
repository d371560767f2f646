package entity_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// crowded returns a board to which its founder has admitted so many, and the admit of
// newcomer, who is the last.
func crowded(tb testing.TB, newcomer entity.Party, count int) (board entity.Created, admit oplog.Op) {
	tb.Helper()
	key := keys.FromSeed([32]byte{1})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	me, err := entity.CreateMe(entity.Author{Key: key, Now: now}, keys.New().ID(), entity.Desktop, keys.NewBox().ID())
	if err != nil {
		tb.Fatal(err)
	}
	a := entity.Author{Key: key, User: me.ID(), Now: now}
	founder := me.State().Party("founder")
	board, err = entity.CreateEntity(a, entity.Genesis{
		Kind: entity.Board, Name: "crowd", Founder: &founder,
		Policy: &entity.Policy{Join: entity.JoinLink, History: entity.History{Mode: entity.HistoryAll}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	board.State()
	box := keys.NewBox().ID()
	for i := range count {
		id := keys.Hash("ptt/test/member", fmt.Append(nil, i))
		party := entity.Party{User: id, Head: id, Devices: []keys.ID{keys.ID(id)}, Box: box, Name: fmt.Sprint("member ", i)}
		if i == count-1 && !newcomer.User.IsZero() {
			party = newcomer
		}
		admit, err = entity.ApproveJoinEntity(board.Entity, a, entity.Keyring{board.Epoch: board.Key},
			entity.Admission{Party: party, Role: entity.Member, Ref: &[16]byte{1}})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return board, admit
}

// TestStrandCost: judging the control strand of a large board costs little beside the
// signatures in it.
func TestStrandCost(t *testing.T) {
	const count, most = 2000, 1.3
	if raceEnabled {
		t.Skip("it measures")
	}
	board, _ := crowded(t, entity.Party{}, count)
	raws := board.ControlStrand()
	best := 100.0
	for range 5 {
		start := time.Now()
		for _, raw := range raws {
			if _, err := oplog.Parse(raw); err != nil {
				t.Fatal(err)
			}
		}
		checked := time.Since(start)
		start = time.Now()
		e, err := entity.OpenStrand(board.ID(), raws)
		if err != nil || len(e.State().Members) != count+1 {
			t.Fatalf("OpenStrand: %v", err)
		}
		best = min(best, float64(time.Since(start))/float64(checked))
	}
	t.Logf("judging %d admits: %.2f times the signatures", count, best)
	if best > most {
		t.Errorf("judging %d admits costs %.2f times what their signatures do, at most %.1f", count, best, most)
	}
}

// BenchmarkStrand judges the control strand of boards, with its signatures and without.
func BenchmarkStrand(b *testing.B) {
	for _, count := range []int{2000, 9_999} {
		board, _ := crowded(b, entity.Party{}, count)
		raws := board.ControlStrand()
		bytes := 0
		for _, raw := range raws {
			bytes += len(raw)
		}
		b.Run(fmt.Sprint("signatures/", count), func(b *testing.B) {
			b.SetBytes(int64(bytes))
			for b.Loop() {
				for _, raw := range raws {
					if _, err := oplog.Parse(raw); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run(fmt.Sprint("judge/", count), func(b *testing.B) {
			b.SetBytes(int64(bytes))
			for b.Loop() {
				e, err := entity.OpenStrand(board.ID(), raws)
				if err != nil {
					b.Fatal(err)
				}
				e.State()
			}
		})
	}
}

// TestControlBeyond: who names the heads of what they have gets the rest, in an order in
// which it can be appended, wherever they stopped.
func TestControlBeyond(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	raws := w.ControlStrand()
	for n := 1; n <= len(raws); n++ {
		e, err := entity.OpenStrand(w.ID(), raws[:n])
		if err != nil {
			t.Fatal(err)
		}
		heads := e.Log().Heads(oplog.Control)
		rest := w.ControlBeyond(append(heads, keys.Digest{9})) // one that is not known changes nothing
		if len(rest) != len(raws)-n {
			t.Fatalf("after %d of %d ops come %d", n, len(raws), len(rest))
		}
		for i, o := range rest {
			if !bytes.Equal(o.Envelope(), raws[n+i]) {
				t.Fatalf("after %d ops number %d is %v", n, i, o.ID())
			}
			if e.Holds(w.Log().Heads(oplog.Control)) {
				t.Fatalf("%d ops have all heads", n+i)
			}
			checkAdded(t, e, o)
		}
		if !e.Holds(w.Log().Heads(oplog.Control)) || len(e.ControlBeyond(nil)) != len(raws) {
			t.Fatal("all ops have not all heads")
		}
	}
}

// TestApprovalHeads: an approval is judged by the heads it names, whatever came since.
func TestApprovalHeads(t *testing.T) {
	t.Parallel()
	no := entity.ErrNotAuthorized
	for _, c := range []struct {
		name string
		do   func(t *testing.T, x *offer)
		want error
	}{
		{"its heads", func(_ *testing.T, x *offer) { x.ap.Heads = x.w.Log().Heads(oplog.Control) }, nil},
		{"the admit alone", func(_ *testing.T, x *offer) { x.ap.Heads = []keys.Digest{x.ap.Admit} }, nil},
		{"a head that is not there", func(_ *testing.T, x *offer) { x.ap.Heads = []keys.Digest{x.ap.Admit, {1}} }, no},
		{"heads before the admit", func(_ *testing.T, x *offer) { x.ap.Heads = []keys.Digest{x.w.ID()} }, no},
		{"removed since", func(t *testing.T, x *offer) {
			x.ap.Heads = []keys.Digest{x.ap.Admit}
			x.w.Must(t, "founder", oplog.FamilyMember, entity.TypeRemove, entity.Remove{
				User: x.want.Me.ID(), Cuts: []entity.Cut{}, Epoch: nextEpoch(x.w),
			})
		}, entity.ErrRemoved},
		{"ended since", func(t *testing.T, x *offer) {
			x.ap.Heads = []keys.Digest{x.ap.Admit}
			x.w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
		}, entity.ErrEnded},
	} {
		x := approve(t, found(t, entity.Board), entity.Member)
		c.do(t, x)
		x.ap.Logs = x.w.ControlStrand()
		_, _, err := createJoinEntity(x.ap, x.want)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}
