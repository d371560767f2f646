package protocol

import (
	"errors"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

// TestJoin is the honest run of each kind, by hand.
func TestJoin(t *testing.T) {
	for _, c := range []struct {
		name string
		w    *world
	}{
		{"board", boardWorld(t)},
		{"friend", friendWorld(t)},
		{"device", deviceWorld(t)},
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
			if s.Kind == entity.Me {
				d, ok := s.Device(x.r.id())
				if !ok || d.Alive || d.Class != entity.Phone || d.Box != x.r.box.ID() || s.ID != x.w.m.user() || !s.Speaks(s.ID, x.r.id(), entity.Master) {
					t.Errorf("R is %+v there, want a device of mia's that is not alive", d)
				}
			} else if m, ok := s.Member(x.r.user()); !ok || m.Standing != entity.Active || m.Role != entity.Member {
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

// TestDeadlines: each frame has ten seconds, frames 1 to 3 thirty together, and
// what is waited for has none.
func TestDeadlines(t *testing.T) {
	w := boardWorld(t)
	x := w.run(t)
	at := func(eff Effects, want time.Duration) {
		t.Helper()
		if eff.Deadline != w.now.Add(want) {
			t.Errorf("deadline %v from now, want %v", eff.Deadline.Sub(w.now), want)
		}
	}
	if id := x.i.JoinID(); !id.IsZero() {
		t.Errorf("joinid %v before JOIN-ENTITY", id)
	}
	eff := x.stepJ(Start{})
	at(eff, FrameTime)
	x.join = sent[Join](t, eff)
	w.now = w.now.Add(5 * time.Second)
	eff = x.stepI(x.join)
	at(eff, FrameTime)
	x.ack = sent[AckChallenge](t, eff)
	w.now = w.now.Add(20 * time.Second)
	x.stepJ(x.ack)
	eff = x.stepJ(Committed{})
	at(eff, 5*time.Second)
	x.request = sent[JoinEntity](t, eff)
	for _, eff := range []Effects{x.stepI(x.request), x.stepI(w.m.commit(w.now, &Change{Reserve: new(invite.Claim{User: w.r.user(), Device: w.r.id()}), Policy: body[JoinBody](t, x.request.Body).PolicyHash}))} {
		if !eff.Deadline.IsZero() {
			t.Errorf("deadline %v while a person is asked", eff.Deadline)
		}
	}
	if id := x.i.JoinID(); id != invite.JoinID(w.m.rec.Ref, w.r.user(), w.r.id()) {
		t.Errorf("joinid %v", id)
	}
}

// TestStoreSaysNonsense: an approved claim without what to hand over is not an
// approval, and never a denial for no reason.
func TestStoreSaysNonsense(t *testing.T) {
	x := boardWorld(t).run(t).toRequest()
	x.stepI(x.request)
	m := sent[ApproveJoin](t, x.stepI(Committed{Claim: invite.Claim{State: invite.Approved}}))
	if m.Status != Denied || body[ApproveBody](t, m.Body).Reason != uint16(invite.RefusedInternal) {
		t.Errorf("got %s %+v, want denied, internal", statusWord(m.Status), body[ApproveBody](t, m.Body))
	}
	x = boardWorld(t).run(t).toPending()
	m = sent[ApproveJoin](t, x.stepI(Decided{Claim: invite.Claim{JoinID: x.i.JoinID(), State: invite.Denied, Reason: invite.RefusedRejected}, Grant: &Grant{}}))
	if m.Status != Denied {
		t.Errorf("a grant beside a denial: %s", statusWord(m.Status))
	}
}

// TestWithdrawalIsNotFailed: a withdrawal that meets somebody else than the
// issuer ends its run and leaves the attempt to be withdrawn.
func TestWithdrawalIsNotFailed(t *testing.T) {
	w := boardWorld(t)
	w.run(t).toPending()
	w.r.attempt = w.r.attempt.Cancel(w.now)
	x := w.run(t).toJoin()
	f := x.forgeAck()
	f.device = newPerson(t, "mallory").key
	if eff, err := x.j.Step(w.now, x.sign(f)); !errors.Is(err, keys.ErrSignature) || eff.Commit != nil {
		t.Errorf("ACK-CHALLENGE: %+v, %v; want a bad signature and nothing stored", eff, err)
	}
	x = w.run(t).toAck()
	sent[JoinEntity](t, x.stepJ(x.ack))
	a := &approval{device: newPerson(t, "mallory").key, over: x.j.t, status: Denied, body: ApproveBody{Reason: uint16(invite.RefusedCancelled)}}
	if eff, err := x.j.Step(w.now, a.sign(t)); !errors.Is(err, keys.ErrSignature) || eff.Commit != nil {
		t.Errorf("APPROVE-JOIN: %+v, %v; want a bad signature and nothing stored", eff, err)
	}
	if !x.j.Attempt().Withdrawing() {
		t.Errorf("attempt %+v", x.j.Attempt())
	}
}

// TestTooLate: an attempt that ended elsewhere asks for nothing.
func TestTooLate(t *testing.T) {
	w := boardWorld(t)
	w.r.attempt.State, w.r.attempt.Reason = invite.AttemptFailed, invite.RefusedUnknown
	x := w.run(t).toAck()
	eff := x.stepJ(x.ack)
	if eff.Commit == nil || eff.Commit.Attempt.State != invite.AttemptFailed {
		t.Fatalf("got %+v, want it to stay failed", eff)
	}
	if eff = x.stepJ(Committed{}); len(eff.Send) != 0 || eff.Done == nil {
		t.Errorf("then %+v, want it over", eff)
	}
	if _, err := NewJoiner(Joining{}); err == nil {
		t.Error("a run without a link")
	}
}
