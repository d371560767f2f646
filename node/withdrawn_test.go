package node

import (
	"testing"

	"pttnode/entity/chain"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/protocol"
)

// TestWithdrawnDevice: a device that was let in and took its request back is given
// nothing, whenever and however often it comes; the request and the device say so,
// before and after a restart.
func TestWithdrawnDevice(t *testing.T) {
	b := newBrittle()
	var cfg Config
	n := targetOn(t, b, func(c *Config) { cfg = *c })
	inv, err := n.Invite(t.Context(), InviteOptions{Kind: "device"})
	if err != nil {
		t.Fatal(err)
	}
	key, box := keys.New(), keys.NewBox().ID()
	consent := key.Sign(keys.PurposeLink, chain.Consent(n.user, key.ID(), box))
	ask := &protocol.Change{Reserve: &invite.Claim{Device: key.ID(), Name: "phone", Box: box, Consent: &consent, Code: "123456"}}
	ev, ok := n.commitInviting(key.ID(), inv.ID, ask).(protocol.Committed)
	if !ok || ev.Claim.State != invite.Reserved {
		t.Fatalf("%+v", ev)
	}
	if _, err := n.ApproveDevice(t.Context(), ev.Claim.ID, "123456"); err != nil {
		t.Fatal(err)
	}
	if ev, ok := n.commitInviting(key.ID(), inv.ID, ask).(protocol.Committed); !ok || ev.Grant == nil {
		t.Fatalf("before it withdrew: %+v, want a grant", ev)
	}
	withdraw := &protocol.Change{Withdraw: &ev.Claim.JoinID}
	for _, c := range []*protocol.Change{withdraw, withdraw, ask} {
		if ev, ok := n.commitInviting(key.ID(), inv.ID, c).(protocol.Refused); !ok || ev.Why != invite.RefusedCancelled {
			t.Errorf("%+v: %+v, want cancelled, and nothing handed over", c, ev)
		}
	}
	for range 2 {
		if r, err := n.Request(ev.Claim.ID); err != nil || r.State != "withdrawn" || r.Reason != "cancelled" {
			t.Errorf("the request: %+v, %v, want withdrawn", r, err)
		}
		if d := n.Devices(); len(d) != 2 || d[1].Status != "withdrawn" {
			t.Errorf("devices: %+v, want the second one withdrawn", d)
		}
		if got := n.unlinked(); len(got) != 0 {
			t.Errorf("%v is still to be brought up to date", got)
		}
		if n, err = New(n.host, b, cfg); err != nil {
			t.Fatal(err)
		}
	}
}
