package testnet

import (
	"slices"
	"testing"
	"time"

	"pttnode/node"
)

// asks waits until the phone shows its code, and returns the request as the laptop
// has it.
func (p *linkPair) asks(t *testing.T) node.RequestView {
	t.Helper()
	p.net.Until(time.Minute, "a code", func() bool {
		r, err := p.phone.Node.Request(p.phone.Request)
		return err == nil && r.State == "waiting_approval"
	})
	for _, r := range p.laptop.Node.Requests() {
		if r.Kind == "device" && r.State == "new" {
			return r
		}
	}
	t.Fatalf("the laptop is not asked: %+v", p.laptop.Node.Requests())
	return node.RequestView{}
}

// TestLinkUnheard: what became of a phone's request the laptop alone knows, and the
// phone cannot reach it until long after the ten minutes that a claim waits. Neither
// ends by its own clock: when they meet again both end in one state.
func TestLinkUnheard(t *testing.T) {
	t.Parallel()
	for _, away := range []string{"off", "cut off"} {
		for _, long := range []time.Duration{20 * time.Minute, 2 * time.Hour} {
			for _, c := range []struct {
				name             string
				approve, cancel  bool
				phone, in, there string // the request at the phone and at the laptop; the device at the laptop
			}{
				{"approved", true, false, "done", "approved", "alive"},
				{"timed out", false, false, "expired", "expired", ""},
				{"approved and cancelled", true, true, "cancelled", "withdrawn", "withdrawn"},
				{"timed out and cancelled", false, true, "cancelled", "expired", ""},
			} {
				story(t, away+"/"+long.String()+"/"+c.name, func(t *testing.T) {
					p := newLinkPair(t, func(*linkPair) {})
					in := p.asks(t)
					p.net.Partition(p.laptop, p.phone)
					if c.approve {
						p.typeNew(t)
					}
					if away == "off" {
						p.laptop.Crash()
					}
					pass(long / 2)
					if c.cancel {
						if _, err := p.phone.Node.Cancel(t.Context(), p.phone.Request); err != nil {
							t.Fatal(err)
						}
					}
					pass(long - long/2)
					r, err := p.phone.Node.Request(p.phone.Request)
					switch {
					case err != nil || r.NextTryAt == nil || r.NextTryAt.After(time.Now().Add(13*time.Minute)):
						t.Errorf("after %v the phone's request does not say when it goes on: %+v, %v", long, r, err)
					case c.cancel && r.State != "cancelled", !c.cancel && (r.State != "waiting_approval" || r.Reason != "issuer_away"):
						t.Errorf("after %v the phone says %s, %q", long, r.State, r.Reason)
					}
					if c.cancel && long > time.Hour {
						p.net.Until(15*time.Minute, "a long pause before the next try to withdraw", func() bool {
							r, err := p.phone.Node.Request(p.phone.Request)
							return err == nil && r.NextTryAt.After(time.Now().Add(5*time.Minute))
						})
					}
					p.net.Heal()
					if away == "off" {
						p.laptop.Start()
					}
					p.net.Until(15*time.Minute, "an end on both sides", func() bool {
						r, err := p.phone.Node.Request(p.phone.Request)
						l, err2 := p.laptop.Node.Request(in.ID)
						return err == nil && err2 == nil && r.State == c.phone && r.NextTryAt == nil && l.State == c.in
					})
					d := p.laptop.Node.Devices()
					if c.there == "" {
						if len(d) != 1 {
							t.Errorf("devices at the laptop: %+v, want one", d)
						}
						return
					}
					p.net.Until(time.Minute, "the device "+c.there, func() bool {
						d = p.laptop.Node.Devices()
						return len(d) == 2 && d[1].Status == c.there
					})
					if c.there == "alive" {
						p.net.Until(time.Minute, "linked", p.linked)
						p.theOne(t)
						return
					}
					asked := p.phone.Served("/ptt/info/1").Streams
					pass(10 * time.Minute)
					if got := p.phone.Served("/ptt/info/1").Streams; got != asked {
						t.Errorf("the laptop goes on asking a device that cancelled: %d times in ten minutes", got-asked)
					}
				})
			}
		}
	}
}

// TestJoinUnheard: the same for a board and a friend, whose claims wait a week: the
// inviter says yes, or the requester cancels, and neither can tell the other for eight
// days.
func TestJoinUnheard(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("eight days of virtual time, many times")
	}
	for _, c := range []struct {
		kind            string
		approve, cancel bool
		out, reason     string // of the requester
		in              string // at the inviter
	}{
		{"board", true, false, "done", "", "approved"},
		{"board", false, false, "expired", "expired", "expired"},
		{"board", true, true, "cancelled", "cancelled", "approved"}, // bob is in, and leaves at once
		{"friend", true, false, "rejected", "removed", "approved"},  // ended by alice: he did not accept in time
		{"friend", false, true, "cancelled", "cancelled", "expired"},
	} {
		name := c.kind
		if c.approve {
			name += ", approved"
		}
		if c.cancel {
			name += ", cancelled"
		}
		story(t, name, func(t *testing.T) {
			p := newPair(t, c.kind, node.InviteOptions{})
			_ = p.ask(t)
			in := p.waiting(t)
			p.alice.silence()
			if c.approve {
				approveNew(p.alice)
			}
			p.alice.Crash()
			pass(24 * time.Hour)
			if c.cancel {
				if _, err := p.bob.Node.Cancel(t.Context(), p.request); err != nil {
					t.Fatal(err)
				}
			}
			pass(7 * 24 * time.Hour)
			p.alice.Start()
			p.net.Until(15*time.Minute, "an end on both sides", func() bool {
				r, err := p.bob.Node.Request(p.request)
				l, err2 := p.alice.Node.Request(in.ID)
				return err == nil && err2 == nil && r.State == c.out && r.Reason == c.reason && r.NextTryAt == nil && l.State == c.in
			})
			if c.kind == "board" {
				want := map[bool]string{true: "active", false: "left"}[c.out == "done"]
				p.net.Until(2*time.Minute, "bob's place on the board: "+want, func() bool {
					ms, err := p.alice.Node.Members("reading")
					if err != nil || !c.approve {
						return err == nil && len(ms) == 1
					}
					return len(ms) == 2 && ms[1-slices.IndexFunc(ms, func(m node.MemberView) bool { return m.Role == "owner" })].State == want
				})
			}
		})
	}
}

// TestLinkWithdrawnElsewhere: the user's other devices show the same of it.
func TestLinkWithdrawnElsewhere(t *testing.T) {
	t.Parallel()
	story(t, "a tablet", func(t *testing.T) {
		n := New(t, rtt)
		laptop := n.Add("alice")
		tablet := linkDevice(t, laptop, "tablet")
		p := &linkPair{net: n, laptop: laptop, phone: n.AddDevice("phone", newLink(t, laptop, node.InviteOptions{Kind: "device"}).Link)}
		in := p.asks(t)
		n.Partition(laptop, p.phone)
		p.typeNew(t)
		if _, err := p.phone.Node.Cancel(t.Context(), p.phone.Request); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		n.Heal()
		for _, q := range []*Peer{laptop, tablet} {
			n.Until(5*time.Minute, "withdrawn at the "+q.Name, func() bool {
				d := q.Node.Devices()
				return len(d) == 3 && d[2].Status == "withdrawn" && slices.ContainsFunc(q.Node.Requests(), func(r node.RequestView) bool {
					return r.Kind == "device" && r.Since.Equal(in.Since) && r.State == "withdrawn" && r.Reason == "cancelled"
				})
			})
		}
	})
}
