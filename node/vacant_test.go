package node

import (
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

// TestVacant: a home stays taken while its device is being linked, let in or not, and
// is as new once it was refused.
func TestVacant(t *testing.T) {
	l := invite.New(entity.Me, keys.Digest{1}, keys.New().ID(), invite.Options{Expires: time.Now().Add(time.Minute).Truncate(time.Second)})
	h, err := OpenHome(homeDir(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Vacant(nil); err != nil {
		t.Errorf("an empty home: %v, want vacant", err)
	}
	opt := InitDeviceOptions{Link: l.URL(), DeviceName: "phone"}
	_, request, err := h.InitDevice(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []invite.AttemptState{invite.AttemptWaitingPeer, invite.AttemptWaitingApproval, invite.AttemptApproved, invite.AttemptSyncing} {
		setState(t, h, request, s)
		if err := h.Vacant(nil); code(t, err) != "linking" {
			t.Errorf("Vacant while %v: %v, want linking", s, err)
		}
		if err := h.Forget(nil); code(t, err) != "linking" || !h.HasIdentity() {
			t.Errorf("Forget while %v: %v, want linking and all as it was", s, err)
		}
		if _, again, err := h.InitDevice(t.Context(), opt); err != nil || again != request {
			t.Errorf("the same link while %v: %s, %v, want %s", s, again, err, request)
		}
	}
	// Cancelled: taken until the one who made the link has heard of it, or for as long
	// as he could have said yes; after that a person who wants another one gets it.
	for _, c := range []struct {
		over bool
		want string
	}{{false, "linking"}, {true, ""}} {
		changeAttempt(t, h, request, func(a *invite.Attempt) {
			a.State, a.Deadline = invite.AttemptCancelled, time.Now().Add(time.Minute).Unix()
			if c.over {
				a.Deadline = time.Now().Add(-time.Minute - invite.ClockSkew).Unix()
			}
		})
		if err := h.Vacant(nil); c.want == "" && err != nil || c.want != "" && code(t, err) != c.want {
			t.Errorf("Vacant with a withdrawal that was not heard, past its time %v: %v, want %q", c.over, err, c.want)
		}
	}
	for _, s := range []invite.AttemptState{invite.AttemptRejected, invite.AttemptExpired, invite.AttemptFailed} {
		setState(t, h, request, s)
		if err := h.Vacant(nil); err != nil {
			t.Errorf("Vacant after %v: %v", s, err)
		}
		if _, err := Start(t.Context(), h, StartOptions{Listen: []string{"/ip4/127.0.0.1/tcp/0"}}); code(t, err) != "no_identity" {
			t.Errorf("Start after %v: %v, want no_identity", s, err)
		}
	}
	if err := h.Forget(nil); err != nil || h.HasIdentity() {
		t.Errorf("Forget: %v, and has an identity: %v", err, h.HasIdentity())
	}
	if err := h.Forget(nil); err != nil {
		t.Errorf("Forget once more: %v", err)
	}
}

// setState gives the request of a home whose node does not run another state.
func setState(t *testing.T, h *Home, request string, s invite.AttemptState) {
	t.Helper()
	changeAttempt(t, h, request, func(a *invite.Attempt) { a.State = s })
}

func changeAttempt(t *testing.T, h *Home, request string, change func(*invite.Attempt)) {
	t.Helper()
	atRest(t, h, func(n *Node) error {
		return n.transact(func(tx *tx) error {
			a := n.attempts[request]
			change(&a)
			tx.attempt(a)
			return nil
		})
	})
}
