package invite_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

// TestDeviceStories is a device link's life: ten minutes, one claim at a time, a code
// that may be typed wrong twice.
func TestDeviceStories(t *testing.T) {
	const (
		ok     = invite.OK
		minute = time.Minute
	)
	reserve, wrong, propose := step{"reserve", 1, 0, ok}, step{"wrong", 0, 0, ok}, step{"propose", 1, 0, ok}
	for _, tt := range []struct {
		name  string
		steps []step
		text  string
		claim invite.ClaimState // of device 1, 0 for none
	}{
		{"typed and approved", []step{reserve, propose, {"approve", 1, 0, ok}, {"admit", 1, 0, ok}}, "used_up", invite.Approved},
		{"the device comes back for its approval", []step{reserve, propose, {"approve", 1, 0, ok}, {"reserve", 1, week, ok}}, "used_up", invite.Approved},
		{"two wrong codes and the right one", []step{reserve, wrong, wrong, propose, {"approve", 1, 0, ok}}, "used_up", invite.Approved},
		{"H33: three wrong codes, then the right one", []step{
			reserve, wrong, wrong, wrong,
			{"propose", 1, 0, invite.RefusedRevoked},
			{"approve", 1, 0, invite.RefusedRevoked},
			{"reserve", 1, 0, invite.RefusedRevoked},
		}, "revoked", invite.Cancelled},
		{"H33: wrong codes stay counted when the device begins anew", []step{
			reserve, wrong, reserve, wrong, reserve, wrong, {"reserve", 1, 0, invite.RefusedRevoked},
		}, "revoked", invite.Cancelled},
		{"H33: and for the next device", []step{
			reserve, wrong, wrong, {"deny", 1, 0, ok}, {"reserve", 2, 0, ok}, wrong, {"propose", 2, 0, invite.RefusedRevoked},
		}, "revoked", invite.Denied},
		{"H33: wrong codes end what was proposed", []step{reserve, propose, wrong, wrong, wrong, {"approve", 1, 0, invite.RefusedRevoked}}, "revoked", invite.Cancelled},
		{"H33: who was approved stays", []step{reserve, propose, {"approve", 1, 0, ok}, wrong, wrong, wrong, {"reserve", 1, 0, ok}}, "used_up", invite.Approved},
		{"a second device while the first waits", []step{reserve, {"reserve", 2, 0, invite.RefusedUsedUp}, propose, {"approve", 1, 0, ok}}, "used_up", invite.Approved},
		{"nobody types in time", []step{reserve, {"propose", 1, 10 * minute, invite.RefusedTimedOut}, {"approve", 1, 0, invite.RefusedTimedOut}}, "open", invite.TimedOut},
		{"typed, and nobody decides in time", []step{reserve, propose, {"approve", 1, 10 * minute, invite.RefusedTimedOut}}, "open", invite.TimedOut},
		{"typed in the last second", []step{reserve, {"propose", 1, 10*minute - 1e9, ok}, {"approve", 1, 10*minute - 1e9, ok}}, "used_up", invite.Approved},
		{"swept when late", []step{reserve, propose, {"sweep", 0, 10 * minute, ok}, {"approve", 1, 0, invite.RefusedTimedOut}}, "open", invite.TimedOut},
		{"a run anew does not lengthen the wait", []step{reserve, {"reserve", 1, 9 * minute, ok}, {"sweep", 0, 10 * minute, ok}}, "open", invite.TimedOut},
		{"withdrawn", []step{reserve, propose, {"cancel", 1, 0, ok}, {"approve", 1, 0, invite.RefusedCancelled}}, "open", invite.Cancelled},
		{"withdrawn too late", []step{
			reserve, propose,
			{"approve", 1, 0, ok},
			{"cancel", 1, 0, invite.RefusedCancelled},
			{"cancel", 1, week, invite.RefusedCancelled},
			{"reserve", 1, 0, ok},
		}, "used_up", invite.Approved},
		{"revoked while the code is typed", []step{reserve, {"revoke", 0, 0, ok}, {"propose", 1, 0, invite.RefusedRevoked}}, "revoked", invite.Cancelled},
		{"the link's ten minutes are over", []step{{"reserve", 1, 10 * minute, invite.RefusedExpired}}, "expired", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := link(t, entity.Me, invite.Options{Expires: t0.Add(invite.DefaultLife(entity.Me))})
			r := invite.NewRecord("i-1", l, eid, invite.Terms{Created: t0})
			for i, s := range tt.steps {
				var got invite.Code
				if r, _, got = apply(r, s); got != s.want {
					t.Fatalf("step %d, %s %d: got %v, want %v", i, s.do, s.n, got, s.want)
				}
			}
			if c, _ := r.Claim(id(r, 1)); r.StateText() != tt.text || c.State != tt.claim {
				t.Errorf("link %s, claim %v; want %s and %v", r.StateText(), c.State, tt.text, tt.claim)
			}
		})
	}
}

// TestWaitingClaimIsRefreshed: a claim that waits takes over what a later verified run
// shows of its device and its user's devices, and nothing that a person was shown.
// One that is decided stays as it was decided.
func TestWaitingClaimIsRefreshed(t *testing.T) {
	for _, kind := range []entity.Kind{entity.Friend, entity.Board, entity.Me} {
		later := claimant(1, kind)
		later.ID, later.Name, later.Note, later.Code, later.CodeID = "r-9", "mallory", "let me in", "999999", keys.Digest{9}
		later.Box, later.Head, later.Devices, later.Addrs = keys.BoxID{8}, keys.Digest{8}, []keys.ID{{1}, {8}}, []byte{8}
		if kind == entity.Me {
			later.Consent = &keys.Signature{8}
		}
		for name, c := range map[string]struct {
			steps   []step
			at      time.Duration
			refresh bool
		}{
			"reserved":            {nil, time.Minute, true},
			"proposed":            {[]step{{do: "propose", n: 1}}, time.Minute, true},
			"reserved, link dead": {[]step{{do: "expire", at: 30 * week}}, time.Minute, true},
			"approved":            {[]step{{do: "approve", n: 1}}, time.Minute, false},
			"denied":              {[]step{{do: "deny", n: 1}}, time.Minute, false},
			"withdrawn":           {[]step{{do: "cancel", n: 1}}, time.Minute, false},
			"revoked":             {[]step{{do: "revoke"}}, time.Minute, false},
			"late":                {nil, invite.ClaimLife(kind), false},
		} {
			r := record(t, kind, 1)
			first := claimant(1, kind)
			first.Head = keys.Digest{7}
			r, _, _ = r.Reserve(first, t0, true)
			for _, s := range c.steps {
				r, _, _ = apply(r, s)
			}
			now := t0.Add(c.at)
			r, _ = r.Sweep(now) // the claim as it stands when the device comes back
			want, _ := r.Claim(id(r, 1))
			if c.refresh {
				want.Box, want.Head, want.Devices, want.Addrs, want.Consent = later.Box, later.Head, later.Devices, later.Addrs, later.Consent
			}
			by := later
			by.Devices, by.Addrs = slices.Clone(later.Devices), slices.Clone(later.Addrs)
			next, got, why := r.Reserve(by, now, true)
			if why != want.Outcome() || !reflect.DeepEqual(got, want) {
				t.Errorf("%v, %s: %v\n got %+v\nwant %+v", kind, name, why, got, want)
			}
			by.Devices[0], by.Addrs[0] = keys.ID{0xff}, 0xff
			if stored, _ := next.Claim(want.JoinID); !reflect.DeepEqual(stored, want) {
				t.Errorf("%v, %s: stored %+v, want %+v whatever its caller does since", kind, name, stored, want)
			}
			if old, _ := r.Claim(want.JoinID); c.refresh && old.Box == later.Box {
				t.Errorf("%v, %s: the old record changed", kind, name)
			}
		}
	}
}

// TestEndedClaimForgets: whichever way a device's claim ends, the record keeps no
// consent with which it could still be added, and who it was, to be shown.
func TestEndedClaimForgets(t *testing.T) {
	signed := keys.Signature{1}
	for name, end := range map[string]func(invite.Record) invite.Record{
		"rejected":  func(r invite.Record) invite.Record { r, _, _ = r.Decide(id(r, 1), false, t0); return r },
		"withdrawn": func(r invite.Record) invite.Record { r, _, _ = r.Cancel(id(r, 1), t0); return r },
		"revoked":   func(r invite.Record) invite.Record { r, _ = r.Revoke(t0); return r },
		"late":      func(r invite.Record) invite.Record { r, _ = r.Sweep(t0.Add(week)); return r },
		"refused": func(r invite.Record) invite.Record {
			r, _, _ = r.Refuse(id(r, 1), invite.RefusedAlreadyDevice, t0)
			return r
		},
		"three wrong codes": func(r invite.Record) invite.Record {
			for range invite.MaxWrongCodes {
				r, _ = r.WrongCode(t0)
			}
			return r
		},
	} {
		r, c, _ := record(t, entity.Me, 1).Reserve(claimant(1, entity.Me), t0, true)
		if c.Consent == nil || *c.Consent != signed || !c.User.IsZero() {
			t.Fatalf("a waiting claim is %+v, want the consent %v and no user", c, signed)
		}
		r = end(r)
		c, _ = r.Claim(id(r, 1))
		if c.State.Waiting() || c.Consent != nil || !c.Box.IsZero() || c.Addrs != nil || c.Name != "bob" || c.Device != (keys.ID{1}) {
			t.Errorf("%s: the claim is %+v", name, c)
		}
	}
	// Who came when the link was full never waited.
	r, _, _ := record(t, entity.Me, 1).Reserve(claimant(1, entity.Me), t0, true)
	if r, c, why := r.Reserve(claimant(2, entity.Me), t0, true); why != invite.RefusedUsedUp || !c.Extra || c.Consent != nil || len(r.Claims) != 2 {
		t.Errorf("a second claimant: %v, %+v", why, c)
	}
	// What is approved keeps what its device-add says.
	r, _, _ = r.Decide(id(r, 1), true, t0)
	if c, _ := r.Claim(id(r, 1)); c.Consent == nil || *c.Consent != signed || c.Box.IsZero() {
		t.Errorf("approved: %+v, want consent and box key kept", c)
	}
}

// TestDeviceClaimsAreBounded: devices that come, look at their code and withdraw lock
// the link long before they find the code of another.
func TestDeviceClaimsAreBounded(t *testing.T) {
	r := record(t, entity.Me, 1)
	for n := range byte(invite.MaxDeviceClaims) {
		var why invite.Code
		if r, _, why = r.Reserve(claimant(n, entity.Me), t0, true); why != invite.OK {
			t.Fatalf("device %d: %v", n, why)
		}
		r, _, _ = r.Cancel(id(r, n), t0)
	}
	r, c, why := r.Reserve(claimant(99, entity.Me), t0, true)
	if why != invite.RefusedLocked || r.State != invite.Locked || len(r.Claims) != invite.MaxDeviceClaims || !c.JoinID.IsZero() {
		t.Errorf("one more: %v, link %v with %d claims", why, r.State, len(r.Claims))
	}
}

// TestClaimsOfKinds: one device that uses two links, or one link as itself and as a
// user's, has a claim for each.
func TestClaimsOfKinds(t *testing.T) {
	a, b := record(t, entity.Me, 1), record(t, entity.Me, 1)
	dev := keys.ID{1}
	seen := map[keys.Digest]bool{}
	for _, j := range []keys.Digest{
		invite.JoinID(a.Ref, keys.Digest{}, dev), invite.JoinID(b.Ref, keys.Digest{}, dev), invite.JoinID(a.Ref, alice, dev),
		invite.JoinID(a.Ref, keys.Digest{}, keys.ID{2}), keys.Hash(keys.LabelJoinID, a.Ref[:], make([]byte, 32), dev[:]),
	} {
		if seen[j] {
			t.Errorf("joinid %v twice", j)
		}
		seen[j] = true
	}
	r, _, _ := a.Reserve(claimant(1, entity.Me), t0, true)
	if _, _, why := r.Propose(invite.JoinID(b.Ref, keys.Digest{}, dev), t0); why != invite.RefusedUnknown {
		t.Errorf("H33: the claim of another link: %v, want unknown", why)
	}
}
