package node

import (
	"testing"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/invite"
	"pttnode/keys"
)

// TestRoomForDevice: as many devices as the node takes leave it able to prove its
// links; the next one is refused with a reason, not the links of everybody.
func TestRoomForDevice(t *testing.T) {
	n, _ := target(t, nil)
	if _, err := n.CreateBoard(t.Context(), BoardOptions{Name: "reading"}); err != nil {
		t.Fatal(err)
	}
	for count := 1; ; count++ {
		for _, o := range []InviteOptions{{Kind: "friend"}, {Kind: "board", Board: "reading"}} {
			v, err := n.Invite(t.Context(), o)
			if err != nil {
				t.Fatalf("with %d devices: a %s link: %v", count, o.Kind, err)
			}
			if n.inviting(n.invites[v.ID], keys.New().ID()) == nil {
				t.Fatalf("with %d devices: a %s link was made that cannot be proved", count, o.Kind)
			}
		}
		if _, err := n.Invite(t.Context(), InviteOptions{Kind: "device"}); err != nil {
			if got := code(t, err); got != "proof_too_long" || count < 8 {
				t.Errorf("with %d devices: a device link: %v, want proof_too_long with more", count, got)
			}
			for _, r := range n.invites { // a link that was made while there was room
				if r.Kind != entity.Me {
					continue
				}
				if got := (&tx{n: n}).admissible(r, invite.Claim{Device: keys.New().ID()}); got != invite.RefusedProofTooLong {
					t.Errorf("with %d devices: an older device link: %v, want proof_too_long", count, got)
				}
			}
			return
		}
		if err := n.update(func(tx *tx) error {
			key, box := keys.New(), keys.NewBox().ID()
			consent := key.Sign(keys.PurposeLink, chain.Consent(n.user, key.ID(), box))
			o, err := entity.AddDevice(n.me.Entity, tx.author(), entity.NewDevice{ID: key.ID(), Box: box, Consent: consent}, entity.Phone)
			if err != nil {
				return err
			}
			alive, err := entity.SetDeviceClass(n.me.Entity, tx.author(), key.ID(), entity.Phone)
			if err != nil {
				return err
			}
			tx.ops(n.me.Entity, o, alive)
			tx.listDevices()
			return nil
		}); err != nil {
			t.Fatalf("device %d: %v", count+1, err)
		}
	}
}

// TestListDevicesCost: looking at every entity for an old list of our devices, which
// each operation that comes and each sweep does, opens no profile when none is old.
func TestListDevicesCost(t *testing.T) {
	n, _ := target(t, nil)
	look := func() float64 {
		return testing.AllocsPerRun(5, func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			(&tx{n: n, now: n.now()}).listDevices()
		})
	}
	before := look()
	for range 50 {
		if err := n.SetCard(t.Context(), "card"); err != nil {
			t.Fatal(err)
		}
	}
	if after := look(); after > 2*before {
		t.Errorf("%v allocations after 50 changes of the profile, %v before", after, before)
	}
}
