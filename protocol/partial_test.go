package protocol

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// largeWorld is a board whose control strand is more than one approval carries: so many
// ops with a text each, of the founder.
func largeWorld(t testing.TB, texts int) *world {
	t.Helper()
	w := boardWorld(t)
	text := string(make([]byte, 60<<10))
	for i := range texts {
		w.m.board.control(t, w.m.person, oplog.FamilyPolicy, entity.TypeDescription, entity.Text{Text: fmt.Sprint(text, i)})
	}
	return w
}

// toPartial makes the approval of a large board; R has it.
func (x *run) toPartial() *run {
	x.t.Helper()
	x.toPending()
	eff := x.stepJ(x.approve())
	x.r.commit(eff.Commit)
	if x.r.partial == nil || x.r.joined != nil || x.r.attempt.State != invite.AttemptApproved || !x.r.attempt.Fetches() {
		x.t.Fatalf("a large approval: %+v, want a part of it kept", eff.Commit)
	}
	if eff = x.stepJ(Committed{}); eff.Done == nil || eff.Done.Status != Approved || len(eff.Send) != 0 {
		x.t.Fatalf("then: %+v, want the run over", eff)
	}
	return x
}

// fetchAll adds what the issuer has to what R has.
func (x *run) fetchAll() *entity.Entity {
	x.t.Helper()
	for _, o := range x.w.m.board.e.ControlBeyond(x.r.begun.Log().Heads(oplog.Control)) {
		if _, err := x.r.begun.Add(o); err != nil {
			x.t.Fatal(err)
		}
	}
	return x.r.begun
}

// TestPartial: an approval of a strand that does not fit is kept, as little as it is, and
// judged when all has come.
func TestPartial(t *testing.T) {
	w := largeWorld(t, 20)
	x := w.run(t).toPartial()
	strand := x.r.partial.Strand
	if n := uint64(len(x.r.begun.ControlStrand())); n < 10 || n >= strand.Ops || x.r.attempt.Fetch.Ops != strand.Ops || x.r.attempt.Fetch.Bytes != strand.Bytes {
		t.Fatalf("%d ops came of %+v, and the request says %+v", n, strand, x.r.attempt.Fetch)
	}
	if _, err := x.r.partial.Judge(x.r.begun, w.r.me); !errors.Is(err, entity.ErrNotAuthorized) {
		t.Fatalf("a part is judged: %v", err)
	}
	later := w.m.board.control(t, w.m.person, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "since"})
	joined, err := x.r.partial.Judge(x.fetchAll(), w.r.me)
	if err != nil || len(joined.Ring) != 1 || joined.Issuer.User() != w.m.user() || !joined.Entity.Holds([]keys.Digest{later.ID()}) {
		t.Fatalf("Judge: %v", err)
	}
	if at := After(x.r.attempt, w.now, joined); at.State != invite.AttemptDone || at.Fetch != nil || joined.Leave {
		t.Errorf("then the request is %+v", at)
	}
	cancelled := x.r.attempt.Cancel(w.now)
	if !cancelled.Withdrawing() || !cancelled.Fetches() {
		t.Fatalf("cancelled while it fetches: %+v", cancelled)
	}
	if at := After(cancelled, w.now, joined); at.State != invite.AttemptCancelled || at.Withdrawing() || at.Fetches() || !joined.Leave {
		t.Errorf("cancelled, then whole: %+v, leave %v", at, joined.Leave)
	}
}

// TestPartialSince: what came since an approval is judged with it, and nobody lied.
func TestPartialSince(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, w *world)
		want error
	}{
		"the issuer is an owner no more": {func(t *testing.T, w *world) {
			fay := newPerson(t, "fay")
			w.m.board.admit(t, w.m.person, entity.Admission{Party: fay.party(), Role: entity.Member, Ref: &[16]byte{1}})
			w.m.board.control(t, w.m.person, oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: fay.party(), Cuts: []entity.Cut{}})
		}, nil},
		"we are removed": {func(t *testing.T, w *world) {
			var epochs []keys.Digest
			for id := range w.m.board.ring {
				epochs = append(epochs, id)
			}
			w.m.board.control(t, w.m.person, oplog.FamilyMember, entity.TypeRemove, entity.Remove{
				User: w.r.user(), Cuts: []entity.Cut{}, Epoch: entity.NextEpoch{Commitment: keys.Digest{1}, Depth: 2, Replaces: epochs},
			})
		}, entity.ErrRemoved},
		"it has ended": {func(t *testing.T, w *world) {
			w.m.board.control(t, w.m.person, oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
		}, entity.ErrEnded},
	} {
		t.Run(name, func(t *testing.T) {
			w := largeWorld(t, 16)
			x := w.run(t).toPartial()
			c.do(t, w)
			if _, err := x.r.partial.Judge(x.fetchAll(), w.r.me); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("Judge: %v, want %v", err, c.want)
			}
		})
	}
}

// TestAttackStrand: an issuer that lies about its control strand, as far as the approval
// shows it by itself.
func TestAttackStrand(t *testing.T) {
	w := boardWorld(t)
	small := w.m.board.grant(w.m.board.admit(t, w.m.person, w.admission()).ID())
	part := func(a *approval) { a.body.Logs = a.body.Logs[:3] }
	for name, c := range map[string]struct {
		change func(a *approval)
		why    string
	}{
		"no heads":                       {func(a *approval) { a.body.Heads = nil }, "0 heads"},
		"a head twice":                   {func(a *approval) { a.body.Heads = append(a.body.Heads, a.body.Heads[0]) }, "2 heads"},
		"heads not ascending":            {func(a *approval) { a.body.Heads = []keys.Digest{{2}, {1}} }, "2 heads"},
		"too many heads":                 {func(a *approval) { a.body.Heads = make([]keys.Digest, MaxTips+1) }, "heads"},
		"no numbers":                     {func(a *approval) { a.body.Ops, a.body.Bytes = 0, 0 }, "of 0 of 0 bytes"},
		"fewer ops than came":            {func(a *approval) { a.body.Ops-- }, "4 ops of"},
		"fewer bytes than came":          {func(a *approval) { a.body.Bytes-- }, "4 ops of"},
		"all heads, and more ops":        {func(a *approval) { a.body.Ops, a.body.Bytes = 5, a.body.Bytes+500 }, "with all heads: true"},
		"all heads, and more bytes":      {func(a *approval) { a.body.Bytes++ }, "with all heads: true"},
		"all ops, and a head lacks":      {func(a *approval) { a.body.Heads = []keys.Digest{{1}} }, "with all heads: false"},
		"more ops than fit in the bytes": {func(a *approval) { part(a); a.body.Ops = 1 << 40 }, "ops of"},
		"part of it, by its own number":  {func(a *approval) { part(a); a.body.Ops = 3 }, "with all heads: false"},
		"the admit after the heads":      {func(a *approval) { part(a); a.body.Logs = small.Logs; a.body.Heads = []keys.Digest{w.m.board.e.ID()} }, "among the ancestors"},
		"an op of another entity": {func(a *approval) {
			part(a)
			a.body.Logs = append(slices.Clone(a.body.Logs), newBoardPlace(t, w.m.person, "other").e.ControlStrand()[1])
		}, "another entity"},
		"a gap": {func(a *approval) { a.body.Logs = append(slices.Clone(a.body.Logs[:1]), a.body.Logs[2:]...) }, "needs"},
	} {
		t.Run(name, func(t *testing.T) {
			x := w.asked(t, func(c *Card) { c.Heads = []keys.Digest{w.m.board.e.ID()} })
			a := x.forgeApproval(small)
			c.change(a)
			x.wantDistrust(a.sign(t), c.why)
			if !w.r.attempt.Stays && !x.j.Attempt().Stays {
				t.Error("the request does not say that we may be a member there")
			}
		})
	}
}

// TestTooLarge: a board that is larger than this device takes ends the request with a code
// of its own, before anything of it is kept.
func TestTooLarge(t *testing.T) {
	for name, most := range map[string]uint64{"as it is set": 1 << 20, "by itself": 0} {
		w := largeWorld(t, 20)
		x := w.run(t).toPending()
		x.j.in.Most = most
		a := x.forgeApproval(w.m.board.grant(w.m.board.admit(t, w.m.person, w.admission()).ID()))
		_, logs := Pack(w.m.board.e, *a.body.Admit, MaxLogs)
		a.body.Logs = logs
		if most == 0 {
			a.body.Bytes = MaxControl + 1
		} else {
			a.body.Bytes += 1 << 20
		}
		a.body.Ops, a.body.Heads = uint64(len(logs))+100, w.m.board.e.Log().Heads(oplog.Control)
		c := x.stepJ(a.sign(t)).Commit
		if c == nil || c.Partial != nil || c.Joined != nil || c.Attempt.Reason != invite.RefusedTooLarge || c.Attempt.State != invite.AttemptFailed || !c.Attempt.Stays {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// TestEndedFriend: J3: an approval of a friendship that has ended ends the request, also
// one that was withdrawn.
func TestEndedFriend(t *testing.T) {
	for _, withdrawn := range []bool{false, true} {
		w := friendWorld(t)
		if withdrawn {
			x := w.run(t).toPending()
			x.approve()
			w.r.attempt = w.r.attempt.Cancel(w.now)
		}
		x := w.run(t).toRequest0(withdrawn)
		var c invite.Claim
		for _, f := range w.m.rec.Claims {
			c = *f
		}
		if c.Admit.IsZero() {
			x.answer()
			c, _ = w.m.decide(x.i.JoinID(), true, w.now)
		}
		f := w.m.friends[c.JoinID]
		f.control(t, w.m.person, oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
		eff := x.stepJ(x.forgeApproval(f.grant(c.Admit)).sign(t))
		at := eff.Commit.Attempt
		switch {
		case eff.Commit.Joined != nil:
			t.Errorf("withdrawn %v: it is kept", withdrawn)
		case withdrawn && (at.State != invite.AttemptCancelled || at.Withdrawing()):
			t.Errorf("withdrawn: %+v", at)
		case !withdrawn && (at.State != invite.AttemptRejected || at.Reason != invite.RefusedRemoved):
			t.Errorf("ended: %+v", at)
		}
	}
}

// toRequest0 makes frame 3, of a run that withdraws or not.
func (x *run) toRequest0(withdrawing bool) *run {
	x.t.Helper()
	if !withdrawing {
		return x.toRequest()
	}
	x.toAck()
	x.request = sent[JoinEntity](x.t, x.stepJ(x.ack))
	return x
}
