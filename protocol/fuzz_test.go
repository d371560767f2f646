package protocol

import (
	"bytes"
	"errors"
	"testing"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

// FuzzDecode: what decodes encodes to the same bytes, and nothing panics.
func FuzzDecode(f *testing.F) {
	for _, w := range []*world{boardWorld(f), deviceWorld(f)} {
		x := w.run(f).toPending()
		for _, m := range []Message{x.join, x.ack, x.request, x.approve(), No{}} {
			frame := Encode(m)
			for at := range 3 {
				if b := frame[at:]; len(b) > 0 && Limit(Type(b[0])) > 0 {
					f.Add(b)
				}
			}
		}
	}
	f.Add([]byte{byte(TypeNo), 0xa0})
	f.Add([]byte{byte(TypeJoin), 0xbf, 0xff})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrFrame) || m != nil {
				t.Fatalf("% x: %v, %v; want ErrFrame and nothing", b, m, err)
			}
			return
		}
		again := Encode(m)
		if got, err := unframe(again); err != nil || !bytes.HasSuffix(again, b) || len(b) > Limit(Type(b[0])) {
			t.Fatalf("% x encodes to % x: %v, %v", b, again, got, err)
		}
	})
}

// watch checks what must hold after every step of either machine.
type watch struct {
	t       *testing.T
	over    bool
	pending bool // a commit is asked for and was not answered
}

// saw checks one step.
func (w *watch) saw(ev Event, eff Effects, err error) {
	w.t.Helper()
	if w.over {
		if !errors.Is(err, ErrOver) || effectWords(eff, Effects{}) != "" {
			w.t.Fatalf("%s after the end: %+v, %v; want ErrOver", word(ev), eff, err)
		}
		return
	}
	if err != nil && effectWords(eff, Effects{}) != "" {
		w.t.Fatalf("%s: %v, and yet %+v", word(ev), err, eff)
	}
	if errors.Is(err, ErrOver) {
		w.t.Fatalf("%s: ErrOver before the end", word(ev))
	}
	if eff.Commit != nil && (len(eff.Send) > 0 || eff.Ask != nil) {
		w.t.Fatalf("%s: %+v does not wait for its commit", word(ev), eff)
	}
	if err == nil && eff.Commit == nil && eff.Done == nil && w.pending {
		switch ev.(type) {
		case Committed, Tick, Decided:
		default:
			w.t.Fatalf("%s while a commit is on its way: %+v", word(ev), eff)
		}
	}
	switch ev.(type) {
	case Committed, Refused:
		w.pending = false
	}
	w.pending = w.pending || eff.Commit != nil
	w.over = err != nil || eff.Done != nil
}

// foreign are messages of other people, and of an earlier run of these.
func foreignMessages(f *testing.F, w *world) []Message {
	x := w.run(f).toRequest()
	y := newWorld(f, w.m.link.Kind, invite.Options{}).run(f).toPending()
	return []Message{x.join, x.ack, x.request, y.join, y.ack, y.request, y.approve(), No{}}
}

// flip returns m with one byte changed, or m where that is no message.
func flip(m Message, at, x byte) Message {
	frame := Encode(m)
	frame[int(at)*len(frame)/256] ^= x
	if changed, err := unframe(frame); err == nil {
		return changed
	}
	return m
}

// FuzzJoiner feeds the requester events in any order, honest, forged and foreign.
func FuzzJoiner(f *testing.F) {
	w := boardWorld(f)
	admitted := w.m.board.copyOf(f)
	fuzzJoiner(f, w, admitted.grant(admitted.admit(f, w.m.person, w.admission()).ID()))
}

// FuzzJoinerDevice is FuzzJoiner of a device without a user.
func FuzzJoinerDevice(f *testing.F) {
	w := deviceWorld(f)
	me := place{w.m.me, w.m.ring}.copyOf(f)
	m := w.m.person
	m.me = me.e
	o, err := entity.AddDevice(me.e, m.author(dawn), entity.NewDevice{
		ID: w.r.id(), Box: w.r.box.ID(), Consent: *w.r.consent(w.m.user()), Ref: w.m.rec.Ref,
	}, entity.Phone)
	if err != nil {
		f.Fatal(err)
	}
	fuzzJoiner(f, w, me.grant(o.ID()))
}

func fuzzJoiner(f *testing.F, w *world, grant Grant) {
	others := foreignMessages(f, w)
	for _, script := range []string{
		"\x00\x06\x02\x07\x02\x08\x02\x00", // start, ack, stored, pending, stored, approved, stored, start
		"\x00\x06\x02\x08\x02\x08", "\x00\x05\x02\x02", "\x00\x0a\x03\x00\x00", "\x00\x06\x01\x02\x07\x02\x01\x07\x02\x09\x02",
		"\x00\x06\x02\x0b\x55\x01", "\x02\x03\x01\x00", "\x00\x06\x03\x02",
	} {
		f.Add([]byte(script), false)
		f.Add([]byte(script), true)
	}
	f.Fuzz(func(t *testing.T, script []byte, withdraw bool) {
		r := *w.r
		if withdraw {
			r.attempt.State, r.attempt.Reason = invite.AttemptCancelled, invite.RefusedCancelled
		}
		x := w.runOf(t, &r)
		watch := watch{t: t}
		requests, joins := 0, 0
		stored := withdraw // JOIN-ENTITY of a withdrawal changes nothing before it is sent
		for n := 0; n < len(script) && n < 32; n++ {
			next := func() byte {
				if n++; n < len(script) {
					return script[n]
				}
				return 0
			}
			var ev Event
			approve := func(s Status) ApproveJoin {
				a := x.forgeApproval(grant)
				if a.status = s; s != Approved {
					a.body = ApproveBody{Reason: uint16(next())}
					if codes := x.j.in.Attempt.Codes; len(codes) > 0 {
						a.body.CodeID = &codes[len(codes)-1].CodeID
					}
				}
				return a.sign(t)
			}
			switch b := script[n] % 13; b {
			case 0:
				ev = Start{}
			case 1:
				ev = Tick{}
			case 2:
				ev = Committed{}
			case 3:
				ev = Refused{Why: invite.Code(next())}
			case 4:
				ev = Decided{}
			case 5:
				ev = No{}
			case 6:
				ev = x.sign(x.forgeAck())
			case 7:
				ev = approve(Pending)
			case 8:
				ev = approve(Approved)
			case 9:
				ev = approve(Denied)
			case 10:
				ev = others[int(next())%len(others)]
			case 11:
				ev = flip(approve(Approved), next(), next()|1)
			case 12:
				ev = flip(x.sign(x.forgeAck()), next(), next()|1)
			}
			eff, err := x.j.Step(w.now, ev)
			watch.saw(ev, eff, err)
			if _, ok := ev.(Committed); ok && err == nil {
				stored = true
			}
			for _, m := range eff.Send {
				switch m := m.(type) {
				case Join:
					x.join = m
				case JoinEntity:
					if requests++; requests > 1 || !stored {
						t.Fatalf("JOIN-ENTITY for the %d. time, code stored: %t", requests, stored)
					}
				default:
					t.Fatalf("the requester sends %s", word(m))
				}
			}
			if c := eff.Commit; c != nil {
				if c.Attempt == nil || c.Reserve != nil || c.Approve != nil || c.Withdraw != nil || c.Failed {
					t.Fatalf("change %+v", c)
				}
				if c.Joined != nil {
					if joins++; joins > 1 || c.Joined.Entity.ID() != grant.Entity || c.Joined.Leave != withdraw {
						t.Fatalf("joined %+v for the %d. time", c.Joined, joins)
					}
				}
			}
		}
	})
}

// FuzzInviter does the same to the issuer, with a store that says anything.
func FuzzInviter(f *testing.F) { fuzzInviter(f, boardWorld(f)) }

// FuzzInviterDevice is FuzzInviter with a device link.
func FuzzInviterDevice(f *testing.F) { fuzzInviter(f, deviceWorld(f)) }

func fuzzInviter(f *testing.F, w *world) {
	others := foreignMessages(f, w)
	for _, script := range []string{
		"\x00\x01\x05\x02\x08\x03", // join, request, reserved, decided: approved
		"\x00\x01\x06\x03\x01", "\x00\x02\x05", "\x00\x03\x04", "\x0a\x00\x04\x01", "\x00\x01\x07\x00\x08\x00", "\x00\x0b\x33\x01",
	} {
		f.Add([]byte(script), false)
		f.Add([]byte(script), true)
	}
	states := []invite.ClaimState{0, invite.Reserved, invite.Proposed, invite.Approved, invite.Denied, invite.TimedOut, invite.Cancelled}
	f.Fuzz(func(t *testing.T, script []byte, auto bool) {
		in := w.m.inviting(w.r.id())
		in.Record.Auto = auto
		i := NewInviter(in)
		c := w.claimant(t, w.r.person)
		b := c.committed
		c.join.Commitment = commitment(b.Nonce, b.User, b.Device, b.Box)
		watch := watch{t: t}
		reserves := 0
		for n := 0; n < len(script) && n < 32; n++ {
			next := func() byte {
				if n++; n < len(script) {
					return script[n]
				}
				return 0
			}
			request := func(secret, device keys.Private, withdraw bool) JoinEntity {
				shown := c.shown
				if shown.Withdraw = withdraw; withdraw {
					shown.DeviceBox, shown.Consent = nil, nil
				}
				m := JoinEntity{Body: keys.Marshal(shown)}
				signed := i.t.with(TypeJoinEntity, m.Body).digest()
				m.Invite, m.Device = secret.Sign(keys.PurposeInvite, signed[:]), device.Sign(keys.PurposeDevice, signed[:])
				return m
			}
			claim := func() (invite.Claim, *Grant) {
				b := next()
				claim := invite.Claim{
					JoinID: i.JoinID(), State: states[int(b)%len(states)], Reason: invite.Code(b >> 4), Deadline: int64(int8(b)),
				}
				if b&8 != 0 {
					claim.JoinID[0] ^= 1
				}
				if b&16 != 0 {
					return claim, nil
				}
				return claim, &Grant{Keys: []entity.EpochKey{{}}}
			}
			var ev Event
			granted, honest := false, false
			switch b := script[n] % 12; b {
			case 0:
				ev = c.join
			case 1:
				ev = request(c.secret, c.device, false)
				honest = true
			case 2:
				ev = request(c.secret, c.device, true)
				honest = true
			case 3:
				ev = request(w.m.key, c.device, false)
			case 4:
				ev = request(c.secret, w.m.key, false)
			case 5, 6:
				claim, grant := claim()
				ev = Committed{Claim: claim, Grant: grant, Refuse: invite.Code(next() % 4)}
				granted = claim.State == invite.Approved && grant != nil
			case 7:
				ev = Refused{Why: invite.Code(next())}
			case 8:
				claim, grant := claim()
				ev = Decided{Claim: claim, Grant: grant}
				granted = claim.State == invite.Approved && grant != nil && claim.JoinID == i.JoinID()
			case 9:
				ev = []Event{Tick{}, Start{}}[next()%2]
			case 10:
				ev = others[int(next())%len(others)]
			case 11:
				m := request(c.secret, c.device, false)
				changed := flip(m, next(), next()|1)
				ev, honest = changed, bytes.Equal(Encode(changed), Encode(m))
			}
			state := i.state
			eff, err := i.Step(w.now, ev)
			watch.saw(ev, eff, err)
			for _, m := range eff.Send {
				switch m := m.(type) {
				case AckChallenge:
					if state != inviterNew {
						t.Fatalf("ACK-CHALLENGE in state %d", state)
					}
				case ApproveJoin:
					if m.Status == Approved && !granted {
						t.Fatalf("approved on %+v", ev)
					}
					if m.Status == Pending && state != inviterReserving && state != inviterApproving {
						t.Fatalf("pending in state %d", state)
					}
				case No:
				default:
					t.Fatalf("the issuer sends %s", word(m))
				}
			}
			if ch := eff.Commit; ch != nil {
				if ch.Attempt != nil || ch.Joined != nil || (ch.Reserve != nil || ch.Withdraw != nil) && !honest {
					t.Fatalf("change %+v on %s", ch, word(ev))
				}
				if ch.Reserve != nil || ch.Withdraw != nil {
					if reserves++; reserves > 1 {
						t.Fatal("two claims in one run")
					}
				}
				if ch.Approve != nil && !auto {
					t.Fatal("nobody was asked")
				}
			}
		}
	})
}
