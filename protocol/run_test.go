package protocol

import (
	"testing"

	"pttnode/entity"
)

// TestJoin is the honest run of each kind, by hand.
func TestJoin(t *testing.T) {
	for _, c := range []struct {
		name string
		w    *world
	}{
		{"board", boardWorld(t)},
		{"friend", friendWorld(t)},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := c.w.run(t).toPending()
			eff := x.stepJ(x.approve())
			if eff.Commit == nil || eff.Commit.Joined == nil || eff.Done != nil || len(eff.Send) != 0 {
				t.Fatalf("APPROVE-JOIN: %+v, want a commit of what was joined and nothing else", eff)
			}
			eff = x.stepJ(x.r.commit(eff.Commit))
			if eff.Done == nil || eff.Done.Status != Approved {
				t.Fatalf("after the commit: %+v, want done", eff)
			}
			s := x.r.joined.Entity.State()
			if m, ok := s.Member(x.r.user()); !ok || m.Standing != entity.Active || m.Role != entity.Member {
				t.Errorf("R is %+v there, want an active member", m)
			}
			if len(x.r.joined.Ring) != 1 || x.r.joined.Leave {
				t.Errorf("joined %+v, want one key and to stay", x.r.joined)
			}
			if x.r.attempt.Code == "" || x.r.attempt.Code != x.w.m.rec.Claims[0].Code {
				t.Errorf("codes: R shows %q, M %q", x.r.attempt.Code, x.w.m.rec.Claims[0].Code)
			}
		})
	}
}
