package testnet

import (
	"testing"
	"testing/synctest"
	"time"

	"pttnode/node"
)

// linkDevice makes a device link at p, starts a device with it and types its code.
// It returns when the device is alive on both sides.
func linkDevice(t *testing.T, p *Peer, name string) *Peer {
	t.Helper()
	inv, err := p.Node.Invite(t.Context(), node.InviteOptions{Kind: "device"})
	if err != nil {
		t.Fatal(err)
	}
	d := p.net.AddDevice(name, inv.Link)
	typeCode(t, p, d)
	p.net.Until(time.Minute, name+" alive", func() bool { return aliveDevice(p, name) && aliveDevice(d, name) && linked(d) })
	return d
}

func linked(d *Peer) bool {
	r, err := d.Node.Request(d.Request)
	return err == nil && r.State == "done"
}

// typeCode waits until a device's request waits at p, and has p's person type the
// code that the device shows.
func typeCode(t *testing.T, p, d *Peer) {
	t.Helper()
	var code string
	p.net.Until(time.Minute, d.Name+" shows a code", func() bool {
		r, err := d.Node.Request(d.Request)
		code = r.Code
		return err == nil && r.State == "waiting_approval"
	})
	for _, r := range p.Node.Requests() {
		if r.Kind == "device" && r.Direction == "in" && r.State == "new" {
			if r.Code != "" {
				t.Errorf("%s sees the code %q that its person has to type", p.Name, r.Code)
			}
			if _, err := p.Node.ApproveDevice(t.Context(), r.ID, code); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%s sees no request of a device: %+v", p.Name, p.Node.Requests())
}

func aliveDevice(p *Peer, name string) bool {
	d, err := p.Node.Device(name)
	return err == nil && d.Status == "alive"
}

// TestLinkDevice: a second device gets profile, personal board, friends, boards and
// history, and writes with them.
func TestLinkDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, "friend", node.InviteOptions{})
		_ = p.ask(t)
		p.net.Until(time.Minute, "friends", func() bool { approveNew(p.alice); return p.joined() })
		if _, err := p.alice.Node.CreateBoard(t.Context(), node.BoardOptions{Name: "reading", Policy: "link"}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.alice.Node.NewArticle(t.Context(), "reading", "", "before", "text"); err != nil {
			t.Fatal(err)
		}
		phone := linkDevice(t, p.alice, "alice-phone")
		if got := phone.Node.Me().User.Name; got != "alice" {
			t.Errorf("the phone is %q's", got)
		}
		if !alive(phone, "bob") {
			t.Errorf("the phone's friends: %+v", phone.Node.Friends())
		}
		if a, err := phone.Node.Articles("reading"); err != nil || len(a) != 1 || a[0].Title != "before" {
			t.Errorf("the phone's articles: %+v, %v", a, err)
		}
		if _, err := phone.Node.NewArticle(t.Context(), "reading", "", "from the phone", "text"); err != nil {
			t.Fatal(err)
		}
		p.net.Until(time.Minute, "an article from the phone", func() bool {
			a, err := p.alice.Node.Articles("reading")
			return err == nil && len(a) == 2
		})
	})
}
