package invite_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

func claim(n byte, user keys.Digest) invite.Claim {
	return invite.Claim{
		ID: fmt.Sprintf("r-%d", n), User: user, Device: keys.ID{n}, Name: "bob", Code: "123456",
		Devices: []keys.ID{{n}}, Addrs: []byte{n}, Box: keys.BoxID{n},
	}
}

func record(t testing.TB, kind entity.Kind, uses uint8) invite.Record {
	t.Helper()
	return invite.NewRecord("i-1", link(t, kind, invite.Options{Uses: uses}), eid, invite.Terms{Created: t0})
}

// claimant returns what device n shows to a link of kind: a new device has no user
// and consents to become one of alice's.
func claimant(n byte, kind entity.Kind) invite.Claim {
	if kind != entity.Me {
		return claim(n, alice)
	}
	c := claim(n, keys.Digest{})
	c.Devices, c.Consent = nil, &keys.Signature{n}
	return c
}

// id returns the joinid of claim n in r.
func id(r invite.Record, n byte) keys.Digest {
	return invite.JoinID(r.Ref, claimant(n, r.Kind).User, keys.ID{n})
}

const (
	hour = time.Hour
	week = 7 * 24 * hour
)

// step is a step of a table: what is done to a record, and when.
type step struct {
	do   string // reserve, policy, propose, approve, deny, cancel, revoke, expire, sweep, fail, wrong, admit
	n    byte   // which claim
	at   time.Duration
	want invite.Code
}

func apply(r invite.Record, s step) (invite.Record, invite.Claim, invite.Code) {
	now := t0.Add(s.at)
	j := id(r, s.n)
	switch s.do {
	case "reserve", "policy":
		return r.Reserve(claimant(s.n, r.Kind), now, s.do == "reserve")
	case "propose":
		return r.Propose(j, now)
	case "approve", "deny":
		return r.Decide(j, s.do == "approve", now)
	case "cancel":
		return r.Cancel(j, now)
	case "admit":
		return r.Admitted(j, keys.Digest{s.n})
	case "revoke":
		r, _ = r.Revoke(now)
	case "expire":
		r, _ = r.Expire(now)
	case "sweep":
		r, _ = r.Sweep(now)
	case "fail":
		r, _ = r.Fail()
	case "wrong":
		r, _ = r.WrongCode(now)
	default:
		panic(s.do)
	}
	return r, invite.Claim{}, invite.OK
}

func TestRecordStories(t *testing.T) {
	const ok = invite.OK
	for _, tt := range []struct {
		name  string
		uses  uint8
		steps []step
		state invite.State
		text  string
	}{
		{"fresh", 1, nil, invite.Open, "open"},
		{"reserved", 2, []step{{"reserve", 1, 0, ok}}, invite.Open, "used 1/2"},
		{"reserved again is one use", 2, []step{{"reserve", 1, 0, ok}, {"reserve", 1, hour, ok}}, invite.Open, "used 1/2"},
		{"approved to the last use", 1, []step{{"reserve", 1, 0, ok}, {"approve", 1, hour, ok}}, invite.UsedUp, "used_up"},
		{"approving twice", 1, []step{{"reserve", 1, 0, ok}, {"approve", 1, hour, ok}, {"approve", 1, hour, ok}}, invite.UsedUp, "used_up"},
		{"approved, not the last", 2, []step{{"reserve", 1, 0, ok}, {"approve", 1, hour, ok}}, invite.Open, "used 1/2"},
		{"the approved returns after used up", 1, []step{{"reserve", 1, 0, ok}, {"approve", 1, 0, ok}, {"reserve", 1, 30 * week, ok}}, invite.UsedUp, "used_up"},
		{"full", 1, []step{{"reserve", 1, 0, ok}, {"reserve", 2, 0, invite.RefusedUsedUp}}, invite.Open, "used 1/1"},
		{"extra keeps its outcome", 1, []step{
			{"reserve", 1, 0, ok},
			{"reserve", 2, 0, invite.RefusedUsedUp},
			{"deny", 1, 0, ok},
			{"reserve", 2, 0, invite.RefusedUsedUp},
			{"approve", 2, 0, invite.RefusedUsedUp},
			{"reserve", 3, 0, ok},
		}, invite.Open, "used 1/1"},
		{"denied returns the use", 1, []step{{"reserve", 1, 0, ok}, {"deny", 1, 0, ok}, {"deny", 1, 0, ok}, {"reserve", 1, 0, invite.RefusedRejected}}, invite.Open, "open"},
		{"approving the denied", 1, []step{{"reserve", 1, 0, ok}, {"deny", 1, 0, ok}, {"approve", 1, 0, invite.RefusedRejected}}, invite.Open, "open"},
		{"denying the approved", 1, []step{{"reserve", 1, 0, ok}, {"approve", 1, 0, ok}, {"deny", 1, 0, invite.RefusedAlreadyApproved}}, invite.UsedUp, "used_up"},
		{"withdrawn beats approval", 1, []step{
			{"reserve", 1, 0, ok},
			{"cancel", 1, 0, ok},
			{"cancel", 1, 0, ok},
			{"approve", 1, 0, invite.RefusedCancelled},
			{"reserve", 1, 0, invite.RefusedCancelled},
		}, invite.Open, "open"},
		{"withdrawn too late", 1, []step{{"reserve", 1, 0, ok}, {"approve", 1, 0, ok}, {"cancel", 1, 0, invite.RefusedAlreadyApproved}}, invite.UsedUp, "used_up"},
		{"withdrawn after denial", 1, []step{{"reserve", 1, 0, ok}, {"deny", 1, 0, ok}, {"cancel", 1, 0, invite.RefusedRejected}}, invite.Open, "open"},
		{"the claim outlives the link", 1, []step{{"reserve", 1, 71 * hour, ok}, {"expire", 0, 73 * hour, ok}, {"approve", 1, 71*hour + week - 1e9, ok}}, invite.Expired, "expired"},
		{"but not for ever", 1, []step{{"reserve", 1, 0, ok}, {"approve", 1, week, invite.RefusedTimedOut}, {"approve", 1, 0, invite.RefusedTimedOut}}, invite.Open, "open"},
		{"timed out returns the use", 1, []step{{"reserve", 1, 0, ok}, {"sweep", 0, week, ok}, {"reserve", 1, hour, invite.RefusedTimedOut}, {"reserve", 2, hour, ok}}, invite.Open, "used 1/1"},
		{"timed out on return", 1, []step{{"reserve", 1, 0, ok}, {"reserve", 1, week, invite.RefusedTimedOut}}, invite.Open, "open"},
		{"cancelled too late", 1, []step{{"reserve", 1, 0, ok}, {"cancel", 1, week, invite.RefusedTimedOut}}, invite.Open, "open"},
		{"expired", 1, []step{{"reserve", 1, 72 * hour, invite.RefusedExpired}}, invite.Expired, "expired"},
		{"expired for good", 1, []step{{"expire", 0, 72 * hour, ok}, {"reserve", 1, 0, invite.RefusedExpired}}, invite.Expired, "expired"},
		{"not yet", 1, []step{{"expire", 0, 72*hour - 1e9, ok}, {"reserve", 1, 0, ok}}, invite.Open, "used 1/1"},
		{"revoked while reserved", 1, []step{
			{"reserve", 1, 0, ok},
			{"revoke", 0, 0, ok},
			{"reserve", 1, 0, invite.RefusedRevoked},
			{"approve", 1, 0, invite.RefusedRevoked},
			{"cancel", 1, 0, invite.RefusedRevoked},
			{"reserve", 2, 0, invite.RefusedRevoked},
		}, invite.Revoked, "revoked"},
		{"revoked keeps who is in", 2, []step{{"reserve", 1, 0, ok}, {"approve", 1, 0, ok}, {"revoke", 0, 0, ok}, {"reserve", 1, 0, ok}}, invite.Revoked, "revoked"},
		{"revoking the expired ends its claims", 1, []step{
			{"reserve", 1, 0, ok},
			{"expire", 0, 72 * hour, ok},
			{"revoke", 0, 72 * hour, ok},
			{"approve", 1, 72 * hour, invite.RefusedRevoked},
		}, invite.Expired, "expired"},
		{"other policy", 1, []step{{"policy", 1, 0, invite.RefusedPolicyChanged}, {"reserve", 1, 0, ok}, {"policy", 1, 0, ok}}, invite.Open, "used 1/1"},
		{"unknown", 1, []step{
			{"approve", 1, 0, invite.RefusedUnknown},
			{"cancel", 1, 0, invite.RefusedUnknown},
			{"propose", 1, 0, invite.RefusedUnknown},
			{"admit", 1, 0, invite.RefusedUnknown},
		}, invite.Open, "open"},
		{"ten failed proofs", 1, slices.Repeat([]step{{"fail", 0, 0, ok}}, 10), invite.Locked, "locked"},
		{"nine failed proofs", 1, slices.Repeat([]step{{"fail", 0, 0, ok}}, 9), invite.Open, "open"},
		{"locked", 1, append(slices.Repeat([]step{{"fail", 0, 0, ok}}, 12), step{"reserve", 1, 0, invite.RefusedLocked}, step{"revoke", 0, 0, ok}), invite.Locked, "locked"},
		{"two wrong codes", 1, []step{{"reserve", 1, 0, ok}, {"wrong", 0, 0, ok}, {"wrong", 0, 0, ok}, {"propose", 1, 0, ok}}, invite.Open, "used 1/1"},
		{"three wrong codes", 1, []step{{"reserve", 1, 0, ok}, {"wrong", 0, 0, ok}, {"wrong", 0, 0, ok}, {"wrong", 0, 0, ok}, {"propose", 1, 0, invite.RefusedRevoked}}, invite.Revoked, "revoked"},
		{"proposed", 1, []step{{"reserve", 1, 0, ok}, {"propose", 1, 0, ok}, {"propose", 1, 0, ok}, {"approve", 1, 0, ok}, {"propose", 1, 0, ok}}, invite.UsedUp, "used_up"},
		{"proposed, withdrawn", 1, []step{{"reserve", 1, 0, ok}, {"propose", 1, 0, ok}, {"cancel", 1, 0, ok}, {"approve", 1, 0, invite.RefusedCancelled}}, invite.Open, "open"},
		{"proposed, timed out", 1, []step{{"reserve", 1, 0, ok}, {"propose", 1, 0, ok}, {"approve", 1, week, invite.RefusedTimedOut}}, invite.Open, "open"},
		{"admitted", 1, []step{{"reserve", 1, 0, ok}, {"admit", 1, 0, invite.RefusedInternal}, {"approve", 1, 0, ok}, {"admit", 1, 0, ok}, {"admit", 1, 0, ok}}, invite.UsedUp, "used_up"},
		{"admitting the denied", 1, []step{{"reserve", 1, 0, ok}, {"deny", 1, 0, ok}, {"admit", 1, 0, invite.RefusedRejected}}, invite.Open, "open"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := record(t, entity.Friend, tt.uses)
			for i, s := range tt.steps {
				var got invite.Code
				var c invite.Claim
				r, c, got = apply(r, s)
				if got != s.want {
					t.Fatalf("step %d, %s %d: got %v, want %v", i, s.do, s.n, got, s.want)
				}
				if stored, ok := r.Claim(c.JoinID); ok && !reflect.DeepEqual(stored, c) {
					t.Fatalf("step %d, %s %d: returned %+v, stored %+v", i, s.do, s.n, c, stored)
				}
			}
			if r.State != tt.state || r.StateText() != tt.text {
				t.Errorf("got %v %q, want %v %q", r.State, r.StateText(), tt.state, tt.text)
			}
		})
	}
}

func TestBound(t *testing.T) {
	l := link(t, entity.Friend, invite.Options{Bound: &alice, Auto: true})
	r := invite.NewRecord("i-1", l, eid, invite.Terms{Created: t0})
	if !r.Auto || r.Bound == l.Bound {
		t.Errorf("auto %v, bound shared %v", r.Auto, r.Bound == l.Bound)
	}
	bob := keys.Hash("ptt/test/bob", nil)
	r2, _, refused := r.Reserve(claim(1, bob), t0, true)
	if refused != invite.RefusedBound || len(r2.Claims) != 0 {
		t.Errorf("bob: %v, %d claims", refused, len(r2.Claims))
	}
	r, _, refused = r.Reserve(claim(2, alice), t0, true)
	if refused != invite.OK {
		t.Errorf("alice: %v", refused)
	}
	// Who is not the bound user is not shown as a second claimant either.
	if r, _, refused = r.Reserve(claim(1, bob), t0, true); refused != invite.RefusedBound || len(r.Claims) != 1 {
		t.Errorf("bob, full: %v, %d claims", refused, len(r.Claims))
	}
}

func TestReserveSetsTheClaim(t *testing.T) {
	for _, tt := range []struct {
		kind entity.Kind
		life time.Duration
	}{{entity.Friend, week}, {entity.Board, week}, {entity.Me, 10 * time.Minute}} {
		c := claimant(1, tt.kind)
		c.State, c.Extra, c.Admit, c.Reason, c.JoinID = invite.Approved, true, keys.Digest{9}, invite.RefusedBound, keys.Digest{8}
		c.Note = string(make([]byte, 500))
		r, got, refused := record(t, tt.kind, 1).Reserve(c, t0, true)
		if refused != invite.OK || got.State != invite.Reserved || got.Extra || !got.Admit.IsZero() || got.Reason != invite.OK ||
			got.JoinID != id(r, 1) || got.Reserved != t0.Unix() || got.Deadline != t0.Add(tt.life).Unix() || len(got.Note) != invite.MaxNote {
			t.Errorf("%v: %v, %+v", tt.kind, refused, got)
		}
	}
}

func TestExtras(t *testing.T) {
	r, _, _ := record(t, entity.Friend, 1).Reserve(claim(1, alice), t0, true)
	for n := byte(2); n < 9; n++ {
		var refused invite.Code
		if r, _, refused = r.Reserve(claim(n, alice), t0, true); refused != invite.RefusedUsedUp {
			t.Fatalf("claim %d: %v", n, refused)
		}
	}
	if got := len(r.Claims); got != 1+invite.MaxExtra {
		t.Errorf("%d claims kept", got)
	}
	for _, c := range r.Claims[1:] {
		if !c.Extra || c.State != invite.Denied || c.Devices != nil || c.Addrs != nil || c.Name != "bob" {
			t.Errorf("extra %+v", c)
		}
	}
	if r.UsedCount() != 1 {
		t.Errorf("extras hold uses: %d", r.UsedCount())
	}
}

func TestClaimsAreBounded(t *testing.T) {
	r := record(t, entity.Board, 1)
	for n := range invite.MaxClaims + 1 {
		c := claim(1, alice)
		c.Device = keys.ID{byte(n), byte(n >> 8), 1}
		var refused invite.Code
		if r, c, refused = r.Reserve(c, t0, true); refused != invite.OK {
			if n != invite.MaxClaims || refused != invite.RefusedLocked {
				t.Fatalf("claim %d: %v", n, refused)
			}
			break
		}
		r, _, _ = r.Cancel(c.JoinID, t0)
	}
	if r.State != invite.Locked || len(r.Claims) != invite.MaxClaims {
		t.Errorf("%v with %d claims", r.State, len(r.Claims))
	}
}

func TestEndedAreReturned(t *testing.T) {
	r := record(t, entity.Friend, 3)
	for n := byte(1); n <= 3; n++ {
		r, _, _ = r.Reserve(claim(n, alice), t0, true)
	}
	r, _, _ = r.Decide(id(r, 2), true, t0)
	revoked, ended := r.Revoke(t0)
	if len(ended) != 2 || ended[0].State != invite.Cancelled || ended[1].Outcome() != invite.RefusedRevoked {
		t.Errorf("revoke ended %+v", ended)
	}
	if _, again := revoked.Revoke(t0); again != nil {
		t.Errorf("revoking again ended %+v", again)
	}
	if _, ended := r.Sweep(t0.Add(week)); len(ended) != 2 || ended[0].State != invite.TimedOut {
		t.Errorf("sweep ended %+v", ended)
	}
	if _, ended := r.Sweep(t0.Add(week - time.Second)); ended != nil {
		t.Errorf("early sweep ended %+v", ended)
	}
}

// TestWalk does random things to records and holds them against the three rules
// of the package comment.
func TestWalk(t *testing.T) {
	verbs := []string{
		"reserve", "reserve", "reserve", "reserve", "policy", "propose", "approve", "approve",
		"deny", "cancel", "revoke", "expire", "sweep", "fail", "wrong", "admit",
	}
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		uses := uint8(1 + rnd.IntN(3))
		kind, unit := entity.Friend, hour
		if seed%4 == 3 {
			kind, unit = entity.Me, time.Minute/6 // what is hours to a friend is seconds to a device
		}
		r := record(t, kind, uses)
		final := map[keys.Digest]invite.Code{} // of claims that ended or were approved
		approved := map[keys.Digest]bool{}
		var log []step
		for range 60 {
			s := step{do: verbs[rnd.IntN(len(verbs))], n: byte(1 + rnd.IntN(5)), at: time.Duration(rnd.IntN(100)) * unit}
			switch {
			case rnd.IntN(20) == 0:
				s.at = 2 * week // the clock goes forth and back
			case s.do == "revoke" || s.do == "fail" || s.do == "wrong" || s.do == "expire":
				if rnd.IntN(3) > 0 {
					continue
				}
			}
			log = append(log, s)
			before, frozen := r, keys.Marshal(r)
			next, _, _ := apply(r, s)
			if string(keys.Marshal(before)) != string(frozen) {
				t.Fatalf("seed %d: %v changed the old record", seed, s)
			}
			again, _, _ := apply(next, s)
			if s.do != "fail" && s.do != "wrong" && string(keys.Marshal(again)) != string(keys.Marshal(next)) {
				t.Fatalf("seed %d: %v is not idempotent", seed, log)
			}
			r = next
			if before.State.Terminal() && r.State != before.State {
				t.Fatalf("seed %d: %v went to %v: %v", seed, before.State, r.State, log)
			}
			n := 0
			for _, c := range r.Claims {
				if c.State == invite.Approved {
					n++
					approved[c.JoinID] = true
				}
				if ended := !c.State.Waiting() && c.State != invite.Approved; ended && (c.Consent != nil || !c.Box.IsZero()) {
					t.Fatalf("seed %d: claim %s is %v and keeps what an approval needs: %v", seed, c.ID, c.State, log)
				}
				if want, ok := final[c.JoinID]; ok && want != c.Outcome() || approved[c.JoinID] && c.State != invite.Approved {
					t.Fatalf("seed %d: claim %s ended %v, now %v: %v", seed, c.ID, want, c.State, log)
				}
				if !c.State.Waiting() {
					final[c.JoinID] = c.Outcome()
				}
			}
			if n > int(uses) || r.UsedCount() > int(uses) {
				t.Fatalf("seed %d: %d approved, %d held of %d: %v", seed, n, r.UsedCount(), uses, log)
			}
			if (r.State == invite.UsedUp) != (n == int(uses)) && !before.State.Terminal() && r.State == invite.UsedUp {
				t.Fatalf("seed %d: used up with %d of %d", seed, n, uses)
			}
		}
		for n := byte(1); n <= 5; n++ { // who asks again hears what the claim says
			j := id(r, n)
			c, known := r.Claim(j)
			_, got, why := r.Reserve(claimant(n, kind), t0, true)
			if known && (got.JoinID != j || why != c.Outcome()) {
				t.Fatalf("seed %d: claim %d is %v and hears %v", seed, n, c.State, why)
			}
		}
	}
}

func TestWords(t *testing.T) {
	for n := range uint16(25) {
		c := invite.ParseCode(n)
		if s := c.String(); s == "" || n > 0 && s == fmt.Sprintf("code(%d)", n) {
			t.Errorf("code %d prints as %q", n, s)
		}
	}
	for _, tt := range []struct {
		got  fmt.Stringer
		want string
	}{
		{invite.ParseCode(2), "invite_expired"},
		{invite.ParseCode(24), "internal"},
		{invite.ParseCode(25), "board_too_large"},
		{invite.ParseCode(26), "code(26)"},
		{invite.State(9), "state(9)"},
		{invite.ClaimState(9), "claim(9)"},
		{invite.AttemptState(0), "attempt(0)"},
		{invite.AttemptState(12), "attempt(12)"},
		{invite.AttemptWaitingPeer, "waiting_peer"},
		{invite.AttemptFailed, "failed"},
		{invite.TimedOut, "timed_out"},
		{invite.UsedUp, "used_up"},
	} {
		if tt.got.String() != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestJoinID(t *testing.T) {
	ref, dev := [16]byte{1}, keys.ID{2}
	if got, want := invite.JoinID(ref, alice, dev), keys.Hash(keys.LabelJoinID, ref[:], alice[:], dev[:]); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := invite.JoinID(ref, keys.Digest{}, dev), keys.Hash(keys.LabelJoinID, ref[:], nil, dev[:]); got != want {
		t.Errorf("without a user: got %v, want %v", got, want)
	}
}

// TestMisuse: broken invariants of the caller stop the program and do not make
// a link from nothing.
func TestMisuse(t *testing.T) {
	l := link(t, entity.Friend, invite.Options{})
	for name, f := range map[string]func(){
		"body of the zero link":      func() { _ = invite.Link{}.Body() },
		"keys of the zero link":      func() { _ = invite.Link{}.Keys() },
		"a link to a profile":        func() { invite.New(entity.Profile, eid, issuer, invite.Options{Expires: t0}) },
		"a link without issuer":      func() { invite.New(entity.Friend, eid, keys.ID{}, invite.Options{Expires: t0}) },
		"101 uses":                   func() { invite.New(entity.Friend, eid, issuer, invite.Options{Expires: t0, Uses: 101}) },
		"no expiry":                  func() { invite.New(entity.Friend, eid, issuer, invite.Options{}) },
		"the record of other things": func() { invite.NewRecord("i-1", l, alice, invite.Terms{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// TestChanged: what is done to one claim is a change of that one only, and none of the
// record before it.
func TestChanged(t *testing.T) {
	t.Parallel()
	r := record(t, entity.Board, 4)
	if at := r.Changed(invite.Record{}); at != nil {
		t.Errorf("of an empty record %v changed", at)
	}
	for n := range byte(3) {
		before := r
		if r, _, _ = r.Reserve(claim(n, alice), t0, true); !slices.Equal(r.Changed(before), []int{int(n)}) {
			t.Errorf("claim %d is new: %v changed", n, r.Changed(before))
		}
	}
	for _, s := range []step{
		{do: "reserve", n: 1}, {do: "propose", n: 1}, {do: "approve", n: 1}, {do: "deny", n: 1}, {do: "cancel", n: 1}, {do: "approve", n: 1, at: 8 * week},
	} {
		was := []invite.Claim{*r.Claims[0], *r.Claims[1], *r.Claims[2]}
		after, _, _ := apply(r, s)
		if at := after.Changed(r); !slices.Equal(at, []int{1}) {
			t.Errorf("%s: %v changed, want the second", s.do, at)
		}
		for i := range was {
			if !reflect.DeepEqual(was[i], *r.Claims[i]) {
				t.Errorf("%s changed claim %d of the record before it", s.do, i)
			}
		}
	}
}
