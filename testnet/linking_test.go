package testnet

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/node"
)

// linkDevice makes a device link at p, starts a device with it and types its code.
// It returns when the device is alive on both sides.
func linkDevice(t *testing.T, p *Peer, name string) *Peer {
	t.Helper()
	d := p.net.AddDevice(name, newLink(t, p, node.InviteOptions{Kind: "device"}).Link)
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
	t.Parallel()
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

// TestFollow: what one device of alice joins, makes, reads, renames, decides or
// leaves appears on the other.
func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		laptop, bob, carol := n.Add("alice"), n.Add("bob"), n.Add("carol")
		phone := linkDevice(t, laptop, "alice-phone")

		// Joined on the phone.
		newBoard(t, carol, "choir", "link")
		write(t, carol, "choir", "welcome")
		done(t, phone, join(t, phone, newLink(t, carol, node.InviteOptions{Kind: "board", Board: "choir", Auto: true}).Link))
		n.Until(time.Minute, "the board of the phone on the laptop", func() bool { return slices.Equal(titles(laptop, "choir"), []string{"welcome"}) })
		write(t, laptop, "choir", "from the laptop")
		n.Until(time.Minute, "an article of the laptop at carol", func() bool { return slices.Equal(titles(carol, "choir"), []string{"welcome", "from the laptop"}) })

		// Made on the laptop.
		newBoard(t, laptop, "plans", "friends")
		n.Until(time.Minute, "a board of the laptop on the phone", func() bool { _, err := phone.Node.Board("plans"); return err == nil })

		// A friend asked for on the phone, and one who asks at the laptop and is let in
		// on the phone.
		join(t, phone, newLink(t, bob, node.InviteOptions{Kind: "friend"}).Link)
		n.Until(time.Minute, "bob on both devices", func() bool {
			approveNew(bob)
			return alive(laptop, "bob") && alive(phone, "bob") && alive(bob, "alice")
		})
		if _, err := carol.Node.Join(t.Context(), newLink(t, laptop, node.InviteOptions{Kind: "friend"}).Link, "it is me"); err != nil {
			t.Fatal(err)
		}
		var asked node.RequestView
		n.Until(time.Minute, "carol's request on the phone", func() bool {
			for _, r := range phone.Node.Requests() {
				if r.Direction == "in" && r.With.Name == "carol" {
					asked = r
				}
			}
			return asked.State == "new"
		})
		if asked.At != "alice-laptop" || asked.Note != "it is me" || len(asked.Code) != 6 {
			t.Errorf("carol's request on the phone: %+v", asked)
		}
		if _, err := phone.Node.Approve(t.Context(), asked.ID); err != nil {
			t.Fatal(err)
		}
		n.Until(time.Minute, "carol on both devices", func() bool {
			r, _ := phone.Node.Request(asked.ID)
			return alive(laptop, "carol") && alive(phone, "carol") && alive(carol, "alice") && r.State == "approved"
		})

		// Renamed and read on the phone.
		if err := phone.Node.Rename(t.Context(), "愛麗絲"); err != nil {
			t.Fatal(err)
		}
		if _, err := phone.Node.RenameDevice(t.Context(), "alice-laptop", "desk"); err != nil {
			t.Fatal(err)
		}
		if _, err := phone.Node.Article(t.Context(), "choir", "1"); err != nil {
			t.Fatal(err)
		}
		n.Until(2*time.Minute, "names and read marks on the laptop", func() bool {
			d, err := laptop.Node.Device("desk")
			b, _ := laptop.Node.Board("choir")
			return err == nil && d.This && laptop.Node.Me().User.Name == "愛麗絲" && b.Unread == 0
		})

		// Left on the laptop.
		if err := laptop.Node.LeaveBoard(t.Context(), "choir"); err != nil {
			t.Fatal(err)
		}
		n.Until(time.Minute, "the phone has left too", func() bool {
			_, err := phone.Node.Board("choir")
			return code(err) == "not_found"
		})
	})
}

// TestPhoneAway: the phone is off during ten articles and a new friendship, then
// on again.
func TestPhoneAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		laptop, bob := n.Add("alice"), n.Add("bob")
		newBoard(t, laptop, "plans", "friends")
		phone := linkDevice(t, laptop, "alice-phone")
		phone.Crash()
		for range 10 {
			write(t, laptop, "plans", "x")
		}
		join(t, bob, newLink(t, laptop, node.InviteOptions{Kind: "friend"}).Link)
		n.Until(time.Minute, "friends", func() bool { approveNew(laptop); return alive(laptop, "bob") && alive(bob, "alice") })
		write(t, bob, "@bob", "hello")
		pass(time.Hour)
		if d, err := laptop.Node.Device("alice-phone"); err != nil || d.Online || d.LastSeen == nil || time.Since(*d.LastSeen) < 59*time.Minute {
			t.Errorf("the phone, which is off, at the laptop: %+v, %v", d, err)
		}
		phone.Start()
		n.Until(2*time.Minute, "all of it on the phone", func() bool {
			return len(titles(phone, "plans")) == 10 && alive(phone, "bob") && slices.Equal(titles(phone, "@bob"), []string{"hello"})
		})
	})
}

// TestAttackH33: a wrong code typed three times takes the link back; the request
// ends on both sides, and the right code does not help any more. The code of
// another link, and of another device, are wrong ones.
func TestAttackH33(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice := n.Add("alice")
		shown := func(d *Peer) (code string) {
			n.Until(time.Minute, d.Name+" shows a code", func() bool {
				r, err := d.Node.Request(d.Request)
				code = r.Code
				return err == nil && r.State == "waiting_approval"
			})
			return code
		}
		first := newLink(t, alice, node.InviteOptions{Kind: "device"})
		second := newLink(t, alice, node.InviteOptions{Kind: "device"})
		phone, tablet := n.AddDevice("phone", first.Link), n.AddDevice("tablet", second.Link)
		right, other := shown(phone), shown(tablet)
		if right == other { // once in 10^6
			t.Fatal("two devices show one code; run it again")
		}
		in := make(map[string]node.RequestView)
		for _, r := range alice.Node.Requests() {
			in[r.With.Name] = r
		}
		wrong := []string{other, "000000", right[1:] + "x"}
		for i, try := range wrong {
			if _, err := alice.Node.ApproveDevice(t.Context(), in["phone"].ID, try); code(err) != "wrong_code" {
				t.Errorf("code %d of %d, %q: %v, want wrong_code", i+1, len(wrong), try, err)
			}
		}
		if _, err := alice.Node.ApproveDevice(t.Context(), in["phone"].ID, right); code(err) != "invite_revoked" {
			t.Errorf("the right code after three wrong ones: %v, want invite_revoked", err)
		}
		refused(t, phone, phone.Request, "rejected", "invite_revoked")
		if v, err := alice.Node.InviteByID(first.ID); err != nil || v.State != "revoked" {
			t.Errorf("the link after three wrong codes: %+v, %v", v, err)
		}
		if _, err := alice.Node.Approve(t.Context(), in["tablet"].ID); code(err) != "code_needed" {
			t.Errorf("a device without its code: %v, want code_needed", err)
		}
		if _, err := alice.Node.ApproveDevice(t.Context(), in["tablet"].ID, other[:3]+" "+other[3:]); err != nil {
			t.Errorf("the other device, with its own code: %v", err)
		}
		n.Until(time.Minute, "the tablet alive", func() bool { return aliveDevice(alice, "tablet") && linked(tablet) })
		if d := alice.Node.Devices(); len(d) != 2 {
			t.Errorf("devices: %+v, want two", d)
		}
	})
}

// TestAttackH39: a friend link relabelled as a device link names an invite that does
// not exist; and a device link is not opened where other links are.
func TestAttackH39(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob := n.Add("alice"), n.Add("bob")
		friend := newLink(t, alice, node.InviteOptions{Kind: "friend"})
		device := newLink(t, alice, node.InviteOptions{Kind: "device"})
		if _, err := bob.Node.Join(t.Context(), device.Link, ""); code(err) != "device_link_here" {
			t.Errorf("a device link opened as another: %v, want device_link_here", err)
		}
		mallory := n.AddDevice("mallory", relabel(t, friend.Link, entity.Me))
		if r := ended(t, mallory, 5*time.Minute, mallory.Request); r.State != "failed" || r.Reason != "invite_unknown" {
			t.Errorf("a friend link opened to add a device: %s with %q, want failed with invite_unknown", r.State, r.Reason)
		}
		r := join(t, bob, relabel(t, device.Link, entity.Friend))
		if r := ended(t, bob, 5*time.Minute, r); r.State != "failed" || r.Reason != "invite_unknown" {
			t.Errorf("a device link opened to be friends: %s with %q, want failed with invite_unknown", r.State, r.Reason)
		}
		if d := alice.Node.Devices(); len(d) != 1 {
			t.Errorf("devices: %+v, want one", d)
		}
	})
}

// relabel returns a link that says it is of another kind.
func relabel(t *testing.T, link string, kind entity.Kind) string {
	t.Helper()
	l, err := invite.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	l.Kind = kind
	return l.URL()
}

// TestAttackDeviceOffline: only the device that decides on the set makes device
// links; what it made, no other device lets in.
func TestAttackDeviceOffline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		laptop := n.Add("alice")
		phone := linkDevice(t, laptop, "alice-phone")
		if _, err := phone.Node.Invite(t.Context(), node.InviteOptions{Kind: "device"}); code(err) != "devices_offline" {
			t.Errorf("a device link made on the phone: %v, want devices_offline", err)
		}
		tablet := n.AddDevice("tablet", newLink(t, laptop, node.InviteOptions{Kind: "device"}).Link)
		var seen node.RequestView
		n.Until(time.Minute, "the request on the phone", func() bool {
			for _, r := range phone.Node.Requests() {
				if r.Kind == "device" && r.Direction == "in" {
					seen = r
				}
			}
			return seen.State == "new"
		})
		for _, p := range []*Peer{laptop, phone} {
			if got := p.Node.Status().Waiting; got != 1 {
				t.Errorf("%s: %d requests wait for alice, want 1", p.Name, got)
			}
		}
		if seen.Code != "" || seen.At != "alice-laptop" {
			t.Errorf("the tablet's request on the phone: %+v, want no code, and where it waits", seen)
		}
		if _, err := phone.Node.Approve(t.Context(), seen.ID); code(err) != "code_elsewhere" {
			t.Errorf("approved on the phone: %v, want code_elsewhere", err)
		}
		if _, err := phone.Node.Reject(t.Context(), seen.ID); err != nil {
			t.Fatal(err)
		}
		refused(t, tablet, tablet.Request, "rejected", "rejected")

		// A request whose device is away for ever does not wait for ever on the others.
		_ = n.AddDevice("watch", newLink(t, laptop, node.InviteOptions{Kind: "device"}).Link)
		n.Until(time.Minute, "another request on the phone", func() bool { return phone.Node.Status().Waiting == 1 })
		laptop.Crash()
		phone.Skew(invite.ClaimLife(entity.Me) + invite.ClockSkew)
		for _, r := range phone.Node.Requests() {
			if r.Direction == "in" && r.State != "expired" && r.State != "rejected" {
				t.Errorf("past its deadline, the laptop away: %+v, want expired", r)
			}
		}
		if got := phone.Node.Status().Waiting; got != 0 {
			t.Errorf("past its deadline, the laptop away: %d requests wait, want none", got)
		}
		phone.Skew(0)
		laptop.Start()
	})
}

// TestAcceptedWhileAway: a device that was away while a friend accepted does not end
// the friendship when it comes back after the claim's deadline: it cannot know.
func TestAcceptedWhileAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, rtt)
		laptop, bob := n.Add("alice"), n.Add("bob")
		phone := linkDevice(t, laptop, "alice-phone")
		waits(t, bob, join(t, bob, newLink(t, laptop, node.InviteOptions{Kind: "friend"}).Link))
		bob.Crash()
		approveNew(laptop)
		n.Until(time.Minute, "the friendship on the phone", func() bool {
			f, err := phone.Node.Friend("bob")
			return err == nil && f.State == "init"
		})
		phone.Crash()
		bob.Start()
		n.Until(time.Minute, "friends", func() bool { return alive(laptop, "bob") && alive(bob, "alice") })
		phone.Skew(7*24*time.Hour + time.Minute)
		phone.Start()
		n.Until(2*time.Minute, "the friendship alive on the phone, or ended", func() bool {
			f, err := phone.Node.Friend("bob")
			return err == nil && f.State != "init"
		})
		pass(time.Minute)
		for _, p := range []*Peer{laptop, phone} {
			if f, err := p.Node.Friend("bob"); err != nil || f.State != "alive" {
				t.Errorf("%s: the friendship with bob: %+v, %v; want alive", p.Name, f, err)
			}
		}
	})
}

// TestPhoneWithoutLaptop: friends and members are found from the phone when the
// laptop is off for good, though neither ever had the phone's address from it.
func TestPhoneWithoutLaptop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		laptop, bob, carol := n.Add("alice"), n.Add("bob"), n.Add("carol")
		befriend(t, laptop, bob)
		phone := linkDevice(t, laptop, "alice-phone")
		befriend(t, laptop, carol) // after the phone: it hears of her by the me-oplog
		n.Until(time.Minute, "carol on the phone", func() bool { return alive(phone, "carol") })
		laptop.Crash()
		phone.Restart()
		write(t, phone, "@alice", "on my own")
		reads(t, bob, "@alice", "on my own", 2*time.Minute)
		reads(t, carol, "@alice", "on my own", 2*time.Minute)
		laptop.Start()
	})
}
