package protocol

import (
	"encoding/binary"
	"errors"
	"testing"

	"pttnode/entity"
	"pttnode/invite"
)

// flips returns what is done to the byte at a place: one bit of each, and more
// where lengths, types and the first keys are.
func flips(at int) []byte {
	if at < 16 {
		return []byte{0x01, 0x02, 0x80, 0xff}
	}
	return []byte{1 << (at % 8)}
}

// tamper calls f with every frame that differs from m's in one byte, its length
// and type included, and says where.
func tamper(t *testing.T, m Message, f func(t *testing.T, at int, m Message)) {
	t.Helper()
	frame := Encode(m)
	if _, err := unframe(frame); err != nil {
		t.Fatalf("the honest frame: %v", err)
	}
	reached := 0
	for at := range frame {
		for _, x := range flips(at) {
			frame[at] ^= x
			if m, err := unframe(frame); err == nil {
				reached++
				f(t, at, m)
			} else if !errors.Is(err, ErrFrame) {
				t.Errorf("byte %d: %v, want ErrFrame", at, err)
			}
			frame[at] ^= x
		}
		if t.Failed() {
			t.Fatalf("byte %d of %d of %s", at, len(frame), word(m))
		}
	}
	if reached < len(frame)/2 {
		t.Errorf("only %d changed frames of %d bytes reached the machine: the test tries nothing", reached, len(frame))
	}
	prefixes(t, m)
}

// prefixes checks that no proper prefix of a frame is a frame, even with its
// length made right.
func prefixes(t *testing.T, m Message) {
	t.Helper()
	frame := Encode(m)
	_, k := binary.Uvarint(frame)
	for n := range frame {
		if m, err := unframe(frame[:n]); !errors.Is(err, ErrFrame) {
			t.Fatalf("the first %d bytes of %s: %v, %v; want ErrFrame", n, word(m), m, err)
		}
		if n < k || n == len(frame) {
			continue
		}
		if m, err := Decode(frame[k:n]); !errors.Is(err, ErrFrame) {
			t.Fatalf("%s cut to %d bytes: %v, %v; want ErrFrame", word(m), n-k, m, err)
		}
	}
	for _, more := range []byte{0x00, 0xf6, 0xff} {
		if m, err := Decode(append(frame[k:len(frame):len(frame)], more)); !errors.Is(err, ErrFrame) {
			t.Fatalf("%s and byte %#x: %v, %v; want ErrFrame", word(m), more, m, err)
		}
	}
}

// TestTampering changes every byte of every frame: the join fails, and what
// receives it takes no claim, keeps nothing of an approval, and does not get to
// asking.
func TestTampering(t *testing.T) {
	for _, kind := range []entity.Kind{entity.Board, entity.Friend, entity.Me} {
		w := newWorld(t, kind, invite.Options{})
		x := w.run(t)
		name := kind.String() + " "

		x.toJoin()
		t.Run(name+"JOIN", func(t *testing.T) {
			tamper(t, x.join, func(t *testing.T, at int, m Message) {
				i, j := *x.i, *x.j
				eff, err := i.Step(w.now, m)
				if err != nil || len(eff.Send) == 0 {
					return
				}
				if ack, ok := eff.Send[0].(AckChallenge); ok {
					wantNothing(t, &j, at, ack) // each saw another JOIN
				}
			})
		})

		x.i = NewInviter(w.m.inviting(x.r.id()))
		x.ack = sent[AckChallenge](t, x.stepI(x.join))
		t.Run(name+"ACK-CHALLENGE", func(t *testing.T) {
			tamper(t, x.ack, func(t *testing.T, at int, m Message) {
				j := *x.j
				wantNothing(t, &j, at, m)
			})
		})

		x.request = sent[JoinEntity](t, func() Effects { x.r.commit(x.stepJ(x.ack).Commit); return x.stepJ(Committed{}) }())
		t.Run(name+"JOIN-ENTITY", func(t *testing.T) {
			tamper(t, x.request, func(t *testing.T, at int, m Message) {
				i := *x.i
				eff, err := i.Step(w.now, m)
				if c := eff.Commit; err == nil && c != nil && !c.Failed {
					t.Errorf("byte %d: %+v", at, c)
				}
				if _, err := i.Step(w.now, Tick{}); !errors.Is(err, ErrOver) {
					t.Errorf("byte %d: the run goes on", at)
				}
			})
		})

		pending := x.answer()
		t.Run(name+"APPROVE-JOIN pending", func(t *testing.T) {
			tamper(t, pending, func(t *testing.T, at int, m Message) {
				j := *x.j
				wantNothing(t, &j, at, m)
			})
		})
		x.stepJ(x.r.commit(x.stepJ(pending).Commit))

		approved := x.approve()
		t.Run(name+"APPROVE-JOIN approved", func(t *testing.T) {
			tamper(t, approved, func(t *testing.T, at int, m Message) {
				j := *x.j
				wantNothing(t, &j, at, m)
			})
		})

		// The machines were copied and not used: the honest end still comes.
		if eff := x.stepJ(approved); eff.Commit == nil || eff.Commit.Joined == nil {
			t.Errorf("%v: the honest approval: %+v", kind, eff)
		}

		y := w.runOf(t, w.requester(t, "zoe")).toRequest()
		denied := y.answer()
		t.Run(name+"APPROVE-JOIN denied", func(t *testing.T) {
			if denied.Status != Denied {
				t.Fatalf("status %s", statusWord(denied.Status))
			}
			tamper(t, denied, func(t *testing.T, at int, m Message) {
				j := *y.j
				wantNothing(t, &j, at, m)
			})
		})
	}
	prefixes(t, No{})
}

// wantNothing fails the test unless the requester ends the run without sending
// anything and stores at most that the check failed.
func wantNothing(t *testing.T, j *Joiner, at int, m Message) {
	t.Helper()
	eff, err := j.Step(dawn, m)
	if err != nil {
		return
	}
	if c := eff.Commit; c == nil || c.Joined != nil || c.Attempt.State != invite.AttemptFailed ||
		c.Attempt.Reason != invite.RefusedIdentity || len(eff.Send) != 0 {
		t.Errorf("byte %d: %+v, want it to fail", at, eff)
		return
	}
	if eff, err = j.Step(dawn, Committed{}); err != nil || eff.Done == nil || len(eff.Send) != 0 {
		t.Errorf("byte %d: then %+v, %v; want it over", at, eff, err)
	}
}
