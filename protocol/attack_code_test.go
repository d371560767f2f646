package protocol

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"pttnode/entity/chain"
	"pttnode/invite"
	"pttnode/keys"
)

// Attacks on the code that a person types for a device.

// TestAttackH32Device: somebody between a new device and its issuer wants both to show
// one code, so that the person types his device's in.
func TestAttackH32Device(t *testing.T) {
	// (a) What he committed to before he saw the issuer's part he cannot open otherwise.
	w := deviceWorld(t)
	for name, change := range map[string]func(*JoinBody){
		"nonce":  func(b *JoinBody) { b.Nonce[0]++ },
		"box":    func(b *JoinBody) { b.Box = keys.NewBox().ID() },
		"device": func(b *JoinBody) { b.Device = newDevice("zoe").id() },
		"user":   func(b *JoinBody) { b.User = make([]byte, 32) },
	} {
		t.Run("a commitment to another "+name, func(t *testing.T) {
			c := w.claimant(t, newDevice("mallory"))
			change(&c.committed)
			c.wantNoClaim()
		})
	}

	// (b) What he may still say once he saw it does not change the code: one run,
	// answered in many ways.
	mallory := newDevice("mallory")
	c := w.claimant(t, mallory)
	b := c.committed
	c.join.Commitment = commitment(b.Nonce, b.User, b.Device, b.Box)
	i := NewInviter(w.m.inviting(c.peer))
	if _, err := i.Step(w.now, c.join); err != nil {
		t.Fatal(err)
	}
	answer := func(change func(*JoinBody), forge ...func(*JoinEntity)) invite.Claim {
		t.Helper()
		body, i := c.shown, *i
		change(&body)
		m := JoinEntity{Body: keys.Marshal(body)}
		signed := i.t.with(TypeJoinEntity, m.Body).digest()
		m.Invite, m.Device = c.secret.Sign(keys.PurposeInvite, signed[:]), c.device.Sign(keys.PurposeDevice, signed[:])
		for _, f := range forge {
			f(&m)
		}
		eff, err := i.Step(w.now, m)
		if err != nil || eff.Commit == nil || eff.Commit.Reserve == nil {
			t.Fatalf("got %+v, %v; want a claim", eff, err)
		}
		return *eff.Commit.Reserve
	}
	first := answer(func(*JoinBody) {})
	for name, change := range map[string]func(*JoinBody){
		"name":  func(b *JoinBody) { b.Name = "rita's phone" },
		"note":  func(b *JoinBody) { b.Note = "hello" },
		"addrs": func(b *JoinBody) { b.Addrs = []byte{1} },
		"device box key": func(b *JoinBody) {
			other := mallory
			other.box = keys.NewBox()
			b.DeviceBox, b.Consent = new(other.box.ID()), other.consent(w.m.user())
		},
		"signature of the consent": func(b *JoinBody) {
			b.Consent = new(anotherSignature(mallory.key, keys.PurposeLink, chain.Consent(w.m.user(), mallory.id(), mallory.box.ID())))
		},
	} {
		if got := answer(change); got.Code != first.Code || got.CodeID != first.CodeID || len(got.Code) != 6 {
			t.Errorf("another %s changes the code from %s to %s", name, first.Code, got.Code)
		}
	}

	for name, forge := range map[string]func(m *JoinEntity, signed keys.Digest){
		"signature of the device": func(m *JoinEntity, s keys.Digest) { m.Device = anotherSignature(c.device, keys.PurposeDevice, s[:]) },
		"proof of the secret":     func(m *JoinEntity, s keys.Digest) { m.Invite = anotherSignature(c.secret, keys.PurposeInvite, s[:]) },
	} {
		got := answer(func(*JoinBody) {}, func(m *JoinEntity) {
			before := *m
			if forge(m, i.t.with(TypeJoinEntity, m.Body).digest()); m.Device == before.Device && m.Invite == before.Invite {
				t.Errorf("another %s is the same one", name)
			}
		})
		if got.Code != first.Code || got.CodeID != first.CodeID {
			t.Errorf("another %s changes the code from %s to %s", name, first.Code, got.Code)
		}
	}

	// (c) In the issuer's place he has to send his ACK before he learns anything of the
	// device's half: JOIN shows none of it, a run takes one ACK, and the device opens
	// its half to that one.
	x := w.run(t).toJoin()
	frame := Encode(x.join)
	id, box := x.r.id(), x.j.box.ID()
	for what, secret := range map[string][]byte{"nonce": x.j.nonce[:], "device": id[:], "box": box[:]} {
		if bytes.Contains(frame, secret) {
			t.Errorf("JOIN shows the %s", what)
		}
	}
	codes := map[keys.Digest]string{}
	for range 8 { // other ACKs to the same JOIN: other codes, that he cannot know
		f := x.forgeAck()
		f.body.Challenge = [32]byte(keys.NewOpKey().Secret())
		j := *x.j
		eff, err := j.Step(w.now, x.sign(f))
		if err != nil || eff.Commit == nil {
			t.Fatal(err)
		}
		run := eff.Commit.Attempt.Codes[len(eff.Commit.Attempt.Codes)-1]
		codes[run.CodeID] = run.Code
		if _, err := j.Step(w.now, x.sign(x.forgeAck())); !errors.Is(err, ErrUnexpected) {
			t.Errorf("a second ACK in one run: %v, want ErrUnexpected", err)
		}
	}
	if len(codes) != 8 {
		t.Errorf("8 ACKs make %d codes", len(codes))
	}
}

// TestAttackH32Runs: the same by many runs. The device makes so many with one link and
// no more, though each is broken off after it has shown its code.
func TestAttackH32Runs(t *testing.T) {
	w := deviceWorld(t)
	for n := range invite.MaxCodes {
		if x := w.run(t).toPending(); x.r.attempt.State.Terminal() {
			t.Fatalf("run %d: %v", n, x.r.attempt.State)
		}
	}
	x := w.run(t).toAck()
	eff := x.stepJ(x.ack)
	if eff.Commit == nil || eff.Commit.Attempt.State != invite.AttemptFailed || eff.Commit.Attempt.Reason != invite.RefusedLocked {
		t.Fatalf("one run more: %+v, want it to fail for good", eff)
	}
	if eff = x.stepJ(Committed{}); len(eff.Send) != 0 || eff.Done == nil {
		t.Errorf("then: %+v, want it over and nothing sent", eff)
	}
}

// TestAttackGroundIssuer: at the issuer a run of a device link that went past the ACK
// and has no claim is a failed proof, however it ends; ten of them lock the link.
func TestAttackGroundIssuer(t *testing.T) {
	rita := newDevice("rita")
	withdraw := func(b *JoinBody) { b.Withdraw, b.DeviceBox, b.Consent = true, nil, nil }
	play := func(w *world, change func(*claimant)) *Inviter {
		c := w.claimant(t, rita)
		change(c)
		i, eff, err := c.claim()
		for err == nil && eff.Commit != nil {
			ev := w.m.commit(w.now, eff.Commit)
			if ev == nil {
				break
			}
			eff, err = i.Step(w.now, ev)
		}
		return i
	}
	acked := func(w *world) *Inviter {
		i, _, err := w.claimant(t, rita).grind(false)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	for _, c := range []struct {
		name string
		run  func(w *world) *Inviter
		want bool
	}{
		{"before JOIN", func(w *world) *Inviter { return NewInviter(w.m.inviting(rita.id())) }, false},
		{"answered with NO", func(w *world) *Inviter {
			i := NewInviter(w.m.inviting(rita.id()))
			_, _ = i.Step(w.now, Join{IID: w.m.rec.IID})
			return i
		}, false},
		{"silent after the ACK", acked, true},
		{"silent until the time is over", func(w *world) *Inviter { i := acked(w); _, _ = i.Step(w.now.Add(RunTime), Tick{}); return i }, true},
		{"too late", func(w *world) *Inviter {
			i := acked(w)
			_, _ = i.Step(w.now.Add(RunTime+time.Second), JoinEntity{})
			return i
		}, true},
		{"something else after the ACK", func(w *world) *Inviter { i := acked(w); _, _ = i.Step(w.now, Start{}); return i }, true},
		{"a body that is none", func(w *world) *Inviter { i := acked(w); _, _ = i.Step(w.now, JoinEntity{Body: []byte{0xff}}); return i }, true},
		{"an identity that does not hold", func(w *world) *Inviter { return play(w, func(c *claimant) { c.shown.Nonce[0]++ }) }, true},
		{"without the secret", func(w *world) *Inviter { return play(w, func(c *claimant) { c.secret = rita.key }) }, false}, // counted by itself
		{"withdrawing what was never asked", func(w *world) *Inviter { return play(w, func(c *claimant) { c.both(withdraw) }) }, true},
		{"asking a full link", func(w *world) *Inviter {
			for n := range 1 + invite.MaxExtra {
				w.m.rec, _, _ = w.m.rec.Reserve(invite.Claim{Device: keys.ID{byte(n)}}, w.now, true)
			}
			return play(w, func(*claimant) {})
		}, true},
		{"when the store is full", func(w *world) *Inviter {
			i, eff, _ := w.claimant(t, rita).claim()
			if eff.Commit == nil {
				t.Fatal("no claim")
			}
			_, _ = i.Step(w.now, Refused{invite.RefusedDiskFull})
			return i
		}, true},
		{"with a claim", func(w *world) *Inviter { return play(w, func(*claimant) {}) }, false},
		{"with a claim that is known", func(w *world) *Inviter { play(w, func(*claimant) {}); return play(w, func(*claimant) {}) }, false},
		{"with a claim that is denied", func(w *world) *Inviter {
			i := play(w, func(*claimant) {})
			w.m.rec, _, _ = w.m.rec.Decide(i.JoinID(), false, w.now)
			return play(w, func(*claimant) {})
		}, false},
		{"withdrawing its claim", func(w *world) *Inviter {
			play(w, func(*claimant) {})
			return play(w, func(c *claimant) { c.both(withdraw) })
		}, false},
		{"shown beside the others", func(w *world) *Inviter {
			w.m.rec, _, _ = w.m.rec.Reserve(invite.Claim{Device: keys.ID{1}}, w.now, true)
			return play(w, func(*claimant) {})
		}, false},
	} {
		if got := c.run(deviceWorld(t)).Ground(); got != c.want {
			t.Errorf("a run that ended %s: ground %v, want %v", c.name, got, c.want)
		}
	}
	w := boardWorld(t) // other codes are compared by two people, not typed
	if w.run(t).toAck().i.Ground() {
		t.Error("a run of a board link counts as ground")
	}

	w = deviceWorld(t)
	for range invite.MaxFailed {
		if acked(w).Ground() {
			w.m.commit(w.now, &Change{Failed: true})
		}
	}
	m := w.run(t).toRequest().answer()
	if body[ApproveBody](t, m.Body).Reason != uint16(invite.RefusedLocked) || w.m.rec.State != invite.Locked {
		t.Errorf("after ten: %v, link %v, want invite_locked", m.Status, w.m.rec.State)
	}
}

// TestAttackH33: codes typed for a device. Three wrong ones revoke the link, and then
// the right one is of no use; a code of another link or device is a wrong one.
func TestAttackH33(t *testing.T) {
	w := deviceWorld(t)
	x := w.run(t).toPending()
	other := deviceWorld(t) // another link of the same issuer, used by the same device
	other.run(t).toPending()
	right, foreign := w.m.rec.Claims[0].Code, other.m.rec.Claims[0].Code
	if right == foreign {
		t.Fatal("two runs have one code")
	}
	extra := w.runOf(t, w.requester(t, "zoe")).toRequest()
	extra.answer()
	zoes := w.m.rec.Claims[1].Code

	var ended []invite.Claim
	for n, code := range []string{foreign, zoes, ""} {
		var claim invite.Claim
		claim, ended, _ = w.m.typed(x.i.JoinID(), code, w.now)
		if claim.State == invite.Approved || w.m.appends != 0 || (len(ended) == 1) != (n == 2) {
			t.Fatalf("wrong code %d: %v, %d ended", n, claim.State, len(ended))
		}
	}
	if w.m.rec.State != invite.Revoked {
		t.Errorf("link %v after three wrong codes, want revoked", w.m.rec.State)
	}
	if claim, _, why := w.m.typed(x.i.JoinID(), right, w.now); why != invite.RefusedRevoked || claim.State == invite.Approved || w.m.appends != 0 {
		t.Errorf("the right code after that: %v, %v", claim.State, why)
	}
	if _, ok := w.m.me.State().Device(w.r.id()); ok {
		t.Error("the device was added")
	}
	m := sent[ApproveJoin](t, x.stepI(w.m.decided(ended[0])))
	if b := body[ApproveBody](t, m.Body); m.Status != Denied || b.Reason != uint16(invite.RefusedRevoked) || b.Logs != nil || b.Box != nil {
		t.Errorf("the device is answered %+v, want denied and nothing beside", b)
	}
	// Who was shown beside the first is not let in by his own code either.
	if claim, _, why := w.m.typed(extra.i.JoinID(), zoes, w.now); why == invite.OK || claim.State == invite.Approved {
		t.Errorf("the second claimant by his code: %v, %v", claim.State, why)
	}
}
