package testnet

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/marcopolo/simnet"

	"pttnode/node"
)

// TestLinkReturns: either side of a linking that was killed while its code is shown
// is found within seconds of its return, not when QUIC gives up the connection of
// old: a person waits in front of both.
func TestLinkReturns(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(t *testing.T, laptop, phone *Peer){
		"laptop": func(t *testing.T, laptop, phone *Peer) {
			laptop.Restart()
			typeCode(t, laptop, phone)
		},
		"phone": func(t *testing.T, laptop, phone *Peer) {
			phone.Crash()
			phone.IP = simnet.IntToPublicIPv4(77).String() // nobody at the old address says that it is gone
			phone.Start()
			pass(time.Second)
			typeCode(t, laptop, phone)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New(t, 20*time.Millisecond)
				laptop := n.Add("alice")
				inv, err := laptop.Node.Invite(t.Context(), node.InviteOptions{Kind: "device"})
				if err != nil {
					t.Fatal(err)
				}
				phone := n.AddDevice("phone", inv.Link)
				n.Until(time.Minute, "a code", func() bool {
					r, err := phone.Node.Request(phone.Request)
					return err == nil && r.State == "waiting_approval"
				})
				pass(5 * time.Second)
				kill(t, laptop, phone)
				took := n.Until(time.Minute, "alive", func() bool { return aliveDevice(laptop, "phone") && linked(phone) })
				if took > 5*time.Second {
					t.Errorf("alive %v after both were there; QUIC's idle timeout is 30s", took)
				}
			})
		})
	}
}
