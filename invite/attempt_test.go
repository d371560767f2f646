package invite_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

func attempt(t testing.TB, kind entity.Kind) invite.Attempt {
	t.Helper()
	return invite.NewAttempt("r-1", link(t, kind, invite.Options{Name: "alice"}), "hi", t0)
}

// events are all transitions of an attempt that a run can make.
var events = []struct {
	name string
	do   func(invite.Attempt) invite.Attempt
}{
	{"connecting", func(a invite.Attempt) invite.Attempt { return a.Connecting(t0) }},
	{"unreachable", func(a invite.Attempt) invite.Attempt { return a.Unreachable(t0, t0.Add(hour)) }},
	{"checked", func(a invite.Attempt) invite.Attempt { a, _ = a.Checked(t0, eid, alice, "Alice"); return a }},
	{"sent", func(a invite.Attempt) invite.Attempt { return a.Sent(t0, keys.Digest{1}, "111111") }},
	{"pending", func(a invite.Attempt) invite.Attempt {
		a, _ = a.Pending(t0, keys.Digest{1}, invite.OK)
		return a
	}},
	{"approved", func(a invite.Attempt) invite.Attempt { return a.Approved(t0) }},
	{"syncing", func(a invite.Attempt) invite.Attempt { return a.Syncing(t0) }},
	{"joined", func(a invite.Attempt) invite.Attempt { return a.Joined(t0) }},
	{"rejected", func(a invite.Attempt) invite.Attempt { return a.Denied(t0, invite.RefusedRejected) }},
	{"timed out", func(a invite.Attempt) invite.Attempt { return a.Denied(t0, invite.RefusedTimedOut) }},
	{"identity", func(a invite.Attempt) invite.Attempt { return a.Denied(t0, invite.RefusedIdentity) }},
	{"busy", func(a invite.Attempt) invite.Attempt { return a.Denied(t0, invite.RefusedBusy) }},
	{"cancel", func(a invite.Attempt) invite.Attempt { return a.Cancel(t0) }},
	{"retry", func(a invite.Attempt) invite.Attempt { return a.Retry(t0) }},
	{"expire", func(a invite.Attempt) invite.Attempt { a, _ = a.Expire(t0.Add(100 * week)); return a }},
}

// paths lead from a new attempt to each state.
var paths = []struct {
	state  invite.AttemptState
	events []string
}{
	{invite.AttemptWaitingPeer, nil},
	{invite.AttemptConnecting, []string{"connecting"}},
	{invite.AttemptChecking, []string{"connecting", "checked", "sent"}},
	{invite.AttemptWaitingApproval, []string{"connecting", "checked", "sent", "pending"}},
	{invite.AttemptApproved, []string{"connecting", "checked", "sent", "approved"}},
	{invite.AttemptSyncing, []string{"connecting", "checked", "sent", "approved", "syncing"}},
	{invite.AttemptDone, []string{"joined"}},
	{invite.AttemptRejected, []string{"rejected"}},
	{invite.AttemptExpired, []string{"timed out"}},
	{invite.AttemptCancelled, []string{"cancel"}},
	{invite.AttemptFailed, []string{"identity"}},
}

// TestAttemptTable walks every state with every event. A column is an event in
// the order of events, a letter the state after it.
func TestAttemptTable(t *testing.T) {
	letters := map[invite.AttemptState]byte{
		invite.AttemptWaitingPeer: 'w', invite.AttemptConnecting: 'c', invite.AttemptChecking: 'k', invite.AttemptWaitingApproval: 'p',
		invite.AttemptApproved: 'a', invite.AttemptSyncing: 's', invite.AttemptDone: 'D', invite.AttemptRejected: 'R',
		invite.AttemptExpired: 'E', invite.AttemptCancelled: 'C', invite.AttemptFailed: 'F',
	}
	want := map[invite.AttemptState]string{
		//                          cuk  spa  sj  RtIb  cre
		invite.AttemptWaitingPeer:     "cwk" + "wwa" + "sD" + "REFw" + "CwE",
		invite.AttemptConnecting:      "cwk" + "cca" + "sD" + "REFw" + "CcE",
		invite.AttemptChecking:        "cwk" + "kpa" + "sD" + "REFw" + "Ckk",
		invite.AttemptWaitingApproval: "ppp" + "ppa" + "sD" + "REFp" + "Cpp",
		invite.AttemptApproved:        "aaa" + "aaa" + "sD" + "REFa" + "Caa",
		invite.AttemptSyncing:         "sss" + "sss" + "sD" + "ssss" + "sss",
		invite.AttemptDone:            "DDD" + "DDD" + "DD" + "DDDD" + "DDD",
		invite.AttemptRejected:        "RRR" + "RRR" + "RR" + "RRRR" + "RRR",
		invite.AttemptExpired:         "EEE" + "EEE" + "EE" + "EEEE" + "EEE",
		invite.AttemptCancelled:       "CCC" + "CCC" + "CC" + "CCCC" + "CCC",
		invite.AttemptFailed:          "FFF" + "FFF" + "FF" + "FFFF" + "FwF",
	}
	for _, p := range paths {
		a := attempt(t, entity.Friend)
		for _, name := range p.events {
			a = event(a, name)
		}
		if a.State != p.state {
			t.Fatalf("path to %v leads to %v", p.state, a.State)
		}
		frozen := string(keys.Marshal(a))
		var got strings.Builder
		for i, e := range events {
			b := e.do(a)
			got.WriteString(string(letters[b.State]))
			if string(keys.Marshal(a)) != frozen {
				t.Errorf("%v changed the old attempt", e.name)
			}
			switch {
			case b.State == invite.AttemptSyncing || b.State.Terminal() && b.State != invite.AttemptFailed && !b.Withdrawing():
				if b.Body != nil {
					t.Errorf("%v, %s: the link is kept", p.state, e.name)
				}
			case b.Body == nil && e.name != "expire":
				t.Errorf("%v, %s: the link is gone", p.state, e.name)
			}
			if p.state.Terminal() && p.state != invite.AttemptFailed && string(keys.Marshal(b)) != frozen {
				t.Errorf("%v, %s: an ended attempt changed", p.state, events[i].name)
			}
		}
		if got.String() != want[p.state] {
			t.Errorf("%v: got %s, want %s", p.state, got.String(), want[p.state])
		}
	}
}

func event(a invite.Attempt, name string) invite.Attempt {
	for _, e := range events {
		if e.name == name {
			return e.do(a)
		}
	}
	panic(name)
}

// TestDeniedStates fixes where each refusal ends.
func TestDeniedStates(t *testing.T) {
	want := map[invite.AttemptState][]invite.Code{
		invite.AttemptWaitingPeer: {
			invite.RefusedBusy, invite.RefusedDiskFull, invite.RefusedInternal, invite.RefusedDevicesOffline, invite.RefusedAlreadyApproved,
		},
		invite.AttemptExpired:   {invite.RefusedExpired, invite.RefusedTimedOut},
		invite.AttemptCancelled: {invite.RefusedCancelled},
		invite.AttemptFailed: {
			invite.RefusedUnknown, invite.RefusedPolicyChanged, invite.RefusedProofTooLong, invite.RefusedKind, invite.RefusedIdentity, invite.RefusedTooLarge, invite.OK, 99,
		},
		invite.AttemptRejected: {
			invite.RefusedRevoked, invite.RefusedUsedUp, invite.RefusedLocked, invite.RefusedBound, invite.RefusedAlreadyFriends,
			invite.RefusedAlreadyMember, invite.RefusedNotFriend, invite.RefusedRemoved, invite.RefusedRejected, invite.RefusedAlreadyDevice,
			invite.RefusedNotOwner,
		},
	}
	n := 0
	for state, codes := range want {
		for _, c := range codes {
			n++
			a := attempt(t, entity.Board).Denied(t0, c)
			if a.State != state || a.Reason != c || (state == invite.AttemptWaitingPeer) != (a.NextTry > 0) {
				t.Errorf("%v: %v, reason %v, next try %d, want %v", c, a.State, a.Reason, a.NextTry, state)
			}
		}
	}
	if n != 27 {
		t.Errorf("%d codes are sorted, want all 25, OK and an unknown one", n)
	}
}

func TestPinned(t *testing.T) {
	a := attempt(t, entity.Friend)
	if b, err := a.Checked(t0, alice, alice, ""); !errors.Is(err, invite.ErrPinned) || b.State != a.State {
		t.Errorf("another entity: %v", err)
	}
	a, err := a.Checked(t0, eid, alice, "Alice")
	if err != nil || a.Name != "Alice" || a.EID != eid || a.User != alice {
		t.Fatalf("first: %v", err)
	}
	if _, err := a.Checked(t0, eid, eid, ""); !errors.Is(err, invite.ErrPinned) {
		t.Errorf("another user: %v", err)
	}
	other := eid
	other[31] ^= 1 // the first 16 bytes are the link's
	if _, err := a.Checked(t0, other, alice, ""); !errors.Is(err, invite.ErrPinned) {
		t.Errorf("another entity of the same start: %v", err)
	}
}

func TestCodes(t *testing.T) {
	a := attempt(t, entity.Friend).Sent(t0, keys.Digest{0}, "000000")
	if b, err := a.Pending(t0, keys.Digest{9}, invite.OK); !errors.Is(err, invite.ErrForeignRun) || b.State != a.State {
		t.Errorf("foreign: %v, %v", err, b.State)
	}
	a, err := a.Pending(t0, keys.Digest{0}, invite.RefusedDevicesOffline)
	if err != nil || a.Code != "000000" || a.Reason != invite.RefusedDevicesOffline || a.Deadline != t0.Add(week).Unix() {
		t.Fatalf("pending: %v, %+v", err, a)
	}
	for n := range 100 {
		a = a.Sent(t0, keys.Digest{1, byte(n)}, fmt.Sprintf("1%05d", n))
	}
	if len(a.Codes) != invite.MaxCodes || a.Codes[invite.MaxCodes-1].Code != "100099" {
		t.Errorf("%d codes, the last %v", len(a.Codes), a.Codes[len(a.Codes)-1])
	}
	if _, err := a.Pending(t0, keys.Digest{0}, invite.OK); err != nil {
		t.Errorf("the run that reserved is forgotten: %v", err)
	}
	if b := a.Sent(t0, keys.Digest{1, 99}, "100099"); len(b.Codes) != invite.MaxCodes {
		t.Errorf("the same run twice: %d codes", len(b.Codes))
	}
}

func TestUnfinished(t *testing.T) {
	for _, tt := range []struct {
		kind entity.Kind
		want invite.AttemptState
	}{{entity.Me, invite.AttemptFailed}, {entity.Friend, invite.AttemptChecking}} {
		a := attempt(t, tt.kind)
		for n := range invite.MaxUnfinished { // finished runs do not count
			a, _ = a.Checked(t0, eid, eid, "")
			a = a.Sent(t0, keys.Digest{byte(n)}, "123456")
		}
		for range invite.MaxUnfinished {
			a, _ = a.Checked(t0, eid, eid, "")
			if a.State != invite.AttemptChecking {
				t.Fatalf("%v: %v too early", tt.kind, a.State)
			}
		}
		a, _ = a.Checked(t0, eid, eid, "")
		if a.State != tt.want {
			t.Errorf("%v: %v, want %v", tt.kind, a.State, tt.want)
		}
		if tt.kind == entity.Me && (a.Body != nil || a.Reason != invite.RefusedLocked || a.Retry(t0).State != invite.AttemptFailed) {
			t.Errorf("a ground link can be tried again: %+v", a)
		}
	}
}

// TestDeviceRuns: a device has MaxCodes runs with one link, whatever becomes of them,
// so that nobody breaks them off until he likes the code. A user has as many as he
// likes: his code is compared, not typed.
func TestDeviceRuns(t *testing.T) {
	for _, tt := range []struct {
		kind entity.Kind
		want invite.AttemptState
	}{{entity.Me, invite.AttemptFailed}, {entity.Friend, invite.AttemptWaitingApproval}} {
		a := attempt(t, tt.kind)
		for n := range invite.MaxCodes {
			var err error
			if a, err = a.Checked(t0, eid, eid, ""); err != nil || a.State.Terminal() {
				t.Fatalf("%v: run %d: %v, %v", tt.kind, n, a.State, err)
			}
			a = a.Sent(t0, keys.Digest{byte(n)}, "123456")
			a, _ = a.Pending(t0, keys.Digest{byte(n)}, invite.OK)
		}
		a, _ = a.Checked(t0, eid, eid, "")
		if a.State != tt.want || (a.Body == nil) != (tt.kind == entity.Me) {
			t.Errorf("%v: one run more: %v, want %v", tt.kind, a.State, tt.want)
		}
	}
}

func TestCancel(t *testing.T) {
	a := attempt(t, entity.Friend)
	if b := a.Cancel(t0); b.Withdrawing() || b.State != invite.AttemptCancelled {
		t.Errorf("nothing was sent: withdrawing %v, %v", b.Withdrawing(), b.State)
	}
	a = a.Sent(t0, keys.Digest{1}, "123456").Cancel(t0)
	if !a.Withdrawing() || a.NextTry == 0 {
		t.Error("a sent request is not withdrawn")
	}
	if _, err := a.Link(); err != nil {
		t.Errorf("withdrawing without a link: %v", err)
	}
	for n := range uint32(20) { // its pauses grow as those of any try, and it stays what it is
		if b := a.Connecting(t0); b.Tries != n+1 || b.State != a.State || b.NextTry != a.NextTry {
			t.Errorf("try %d to withdraw: %v, %d tries, next at %d", n+1, b.State, b.Tries, b.NextTry)
		}
		a = a.Connecting(t0)
	}
	if b := a.Withdrawn(); b.Withdrawing() || b.Body != nil || b.State != invite.AttemptCancelled {
		t.Errorf("withdrawn: %+v", b)
	}
	// The issuer may have said yes: it is to hear of it, however late.
	if b, ok := a.Expire(t0.Add(100 * week)); ok || !b.Withdrawing() {
		t.Errorf("a withdrawal that nobody heard is over: %v, %+v", ok, b)
	}
	if b := a.Unreachable(t0, t0.Add(hour)); b.NextTry != t0.Add(hour).Unix() || len(b.Steps) != len(a.Steps) {
		t.Errorf("a withdrawal that did not get through: next try %d, steps %+v", b.NextTry, b.Steps)
	}
}

func TestGiveUp(t *testing.T) {
	a := attempt(t, entity.Friend)
	// A claim made in the link's last second lives a week.
	if got, want := a.GiveUp(), t0.Add(72*hour+week+invite.ClockSkew); !got.Equal(want) {
		t.Errorf("before PENDING: %v, want %v", got, want)
	}
	if b, ok := a.Expire(a.GiveUp().Add(-time.Second)); ok || b.State != a.State {
		t.Error("gave up within the clocks' difference")
	}
	b, ok := a.Expire(a.GiveUp())
	if !ok || b.State != invite.AttemptExpired || b.Reason != invite.RefusedTimedOut || b.Body != nil {
		t.Errorf("nothing was asked: %v, %v with %v", ok, b.State, b.Reason)
	}
}

// TestOnlyTheIssuerKnows: once the request may have reached the issuer, no clock here
// ends it; it waits for the issuer, says so, and a person can cancel it.
func TestOnlyTheIssuerKnows(t *testing.T) {
	for _, kind := range []entity.Kind{entity.Me, entity.Friend, entity.Board} {
		a := attempt(t, kind)
		a, _ = a.Checked(t0, [32]byte(append(a.EID16[:], make([]byte, 16)...)), alice, "Alice")
		a = a.Sent(t0, keys.Digest{1}, "1")
		for _, what := range []string{"sent", "pending"} {
			if what == "pending" {
				a, _ = a.Pending(t0, keys.Digest{1}, invite.OK)
				if got, want := a.GiveUp(), t0.Add(invite.ClaimLife(kind)+invite.ClockSkew); !got.Equal(want) {
					t.Errorf("%v: the claim is over at %v, want %v", kind, got, want)
				}
			}
			if b, ok := a.Expire(t0.Add(100 * week)); ok || b.State != a.State || b.Body == nil {
				t.Errorf("%v, %s: ended by a clock: %v, %v", kind, what, ok, b.State)
			}
			for _, late := range []bool{false, true} {
				now, want := a.GiveUp().Add(-time.Second), "network"
				if late {
					now, want = a.GiveUp(), "issuer_away"
				}
				b := a.Unreachable(now, now.Add(hour))
				if got := b.Steps[len(b.Steps)-1].Detail; got != want {
					t.Errorf("%v, %s, late %v: it waits for %q, want %q", kind, what, late, got, want)
				}
			}
			if b := a.Cancel(a.GiveUp()); !b.Withdrawing() {
				t.Errorf("%v, %s: cancelled, and the issuer is not told: %v", kind, what, b.State)
			}
		}
	}
}

func TestSteps(t *testing.T) {
	a := attempt(t, entity.Friend)
	for n := range 500 {
		now := t0.Add(time.Duration(n) * time.Minute)
		a = a.Connecting(now).Unreachable(now, now.Add(time.Minute))
	}
	if len(a.Steps) != 1 || a.Steps[0].At != t0.Add(499*time.Minute).Unix() || a.Tries != 500 {
		t.Errorf("%d steps, %d tries: %+v", len(a.Steps), a.Tries, a.Steps)
	}
	for range 100 {
		a, _ = a.Unreachable(t0, t0).Checked(t0, eid, alice, "Alice")
	}
	if len(a.Steps) != invite.MaxSteps || a.Steps[invite.MaxSteps-1].Step != "check" {
		t.Errorf("%d steps, the last %+v", len(a.Steps), a.Steps[len(a.Steps)-1])
	}
}

func TestBackoff(t *testing.T) {
	for _, tt := range []struct {
		tries     int
		reachable bool
		base      time.Duration
	}{
		{2, true, 2 * time.Second},
		{3, true, 4 * time.Second},
		{6, true, 32 * time.Second},
		{7, true, time.Minute},
		{1 << 30, true, time.Minute},
		{7, false, 64 * time.Second},
		{10, false, 512 * time.Second},
		{11, false, 10 * time.Minute},
		{1 << 30, false, 10 * time.Minute},
	} {
		lo, mid, hi := invite.Backoff(tt.tries, tt.reachable, 0), invite.Backoff(tt.tries, tt.reachable, 0.5), invite.Backoff(tt.tries, tt.reachable, 1)
		if lo != tt.base*4/5 || mid != tt.base || hi != tt.base*6/5 {
			t.Errorf("try %d, reachable %v: %v %v %v, want %v and a fifth around it", tt.tries, tt.reachable, lo, mid, hi, tt.base)
		}
	}
	for _, tries := range []int{-1, 0, 1} {
		if lo, hi := invite.Backoff(tries, true, 0), invite.Backoff(tries, false, 1); lo != 50*time.Millisecond || hi != 250*time.Millisecond {
			t.Errorf("try %d: %v to %v", tries, lo, hi)
		}
	}
}
