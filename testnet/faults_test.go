package testnet

import (
	"fmt"
	"testing"
	"time"

	"pttnode/node"
)

// anyJoin is a join of any kind, for what may go wrong with each of them.
type anyJoin struct {
	net               *Net
	issuer, requester *Peer                   // a new device is there once it asks
	ask               func()                  // the requester opens the link
	answer            func()                  // the issuer's person says yes to whatever is new
	pending           func() node.RequestView // waits until the issuer is asked, and returns what he sees
	request           func() node.RequestView // as the requester sees it
	joined            func() bool
	theOne            func() // checks what must be so after any join that ended well
}

// allJoins are joins, and that of a device.
var allJoins = append(joins[:len(joins):len(joins)], struct {
	name string
	kind string
	auto bool
}{"device", "device", false})

// newJoin starts the issuer, with a clock that is off by skews[0], who makes a link;
// the requester's clock is off by skews[1].
func newJoin(t *testing.T, kind string, auto bool, expires time.Duration, skews [2]time.Duration) *anyJoin {
	t.Helper()
	n := New(t, 20*time.Millisecond)
	o := node.InviteOptions{Kind: kind, Auto: auto, Expires: expires}
	if kind == "device" {
		p := &linkPair{net: n, laptop: n.Add("alice"), bob: n.Add("bob")}
		befriend(t, p.laptop, p.bob)
		newBoard(t, p.laptop, "plans", "friends")
		write(t, p.laptop, "plans", "before")
		p.laptop.Skew(skews[0])
		link := newLink(t, p.laptop, o).Link
		j := &anyJoin{net: n, issuer: p.laptop, joined: p.linked}
		j.ask = func() {
			n.Skew = skews[1]
			p.phone = n.AddDevice("alice-phone", link)
			n.Skew, j.requester = 0, p.phone
		}
		j.answer = func() { p.typeNew(t) }
		j.pending = func() node.RequestView { return p.asks(t) }
		j.request = func() node.RequestView { return requestOf(t, p.phone, p.phone.Request) }
		j.theOne = func() { p.theOne(t) }
		return j
	}
	p := &pair{net: n, kind: kind, alice: n.Add("alice"), bob: n.Add("bob")}
	p.alice.Skew(skews[0])
	p.bob.Skew(skews[1])
	if kind == "board" {
		newBoard(t, p.alice, "reading", "link")
		o.Board = "reading"
	}
	p.link = newLink(t, p.alice, o).Link
	return &anyJoin{
		net: n, issuer: p.alice, requester: p.bob, joined: p.joined,
		ask:     func() { _ = p.ask(t) },
		answer:  func() { approveNew(p.alice) },
		pending: func() node.RequestView { return p.waiting(t) },
		request: func() node.RequestView { return requestOf(t, p.bob, p.request) },
		theOne:  func() { p.theOne(t) },
	}
}

func requestOf(t *testing.T, p *Peer, id string) node.RequestView {
	t.Helper()
	r, err := p.Node.Request(id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRestartWhileWaiting: either side, or both, are killed again and again while a
// person is asked: the same request waits, under the same code.
func TestRestartWhileWaiting(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"board", "friend", "device"} {
		for _, who := range []string{"issuer", "requester", "both"} {
			story(t, kind+"/"+who, func(t *testing.T) {
				j := newJoin(t, kind, false, 0, [2]time.Duration{})
				j.ask()
				in := j.pending()
				code := j.request().Code
				for range 3 {
					if who != "requester" {
						j.issuer.Crash()
					}
					if who != "issuer" {
						j.requester.Crash()
					}
					pass(20 * time.Second)
					for _, q := range j.net.Peers {
						if !q.Running() {
							q.Start()
						}
					}
				}
				j.net.Until(5*time.Minute, "waiting again", func() bool { return j.request().State == "waiting_approval" })
				if got, err := j.issuer.Node.Request(in.ID); err != nil || got.State != "new" || got.Code != in.Code {
					t.Errorf("after the restarts the issuer sees %+v, %v, want %+v", got, err, in)
				}
				if r := j.request(); len(code) != 6 || r.Code != code || kind != "device" && in.Code != code {
					t.Errorf("after the restarts the requester's code is %q, before it was %q, the issuer's %q", r.Code, code, in.Code)
				}
				j.net.Until(5*time.Minute, "joined", func() bool { j.answer(); return j.joined() })
				j.theOne()
			})
		}
	}
}

// TestPartition cuts the two from each other at every stage of each join, for five
// minutes.
func TestPartition(t *testing.T) {
	t.Parallel()
	for _, j := range allJoins {
		stages := 8 // in steps of half a way: before each frame
		if j.kind == "device" {
			stages = 16 // what follows the approval has more of them
		}
		for cut := range stages {
			story(t, fmt.Sprintf("%s/%d", j.name, cut), func(t *testing.T) {
				j := newJoin(t, j.kind, j.auto, 0, [2]time.Duration{})
				j.ask()
				for range cut * 10 {
					pass(time.Millisecond)
					j.answer()
				}
				j.net.Partition(j.issuer, j.requester)
				for range 300 {
					pass(time.Second)
					j.answer()
				}
				j.net.Heal()
				j.net.Until(20*time.Minute, "joined after the partition", func() bool { j.answer(); return j.joined() })
				j.theOne()
			})
		}
	}
}

// TestLoss joins while the network loses up to three packets of ten.
func TestLoss(t *testing.T) {
	t.Parallel()
	for _, j := range allJoins {
		for run := range 12 {
			story(t, fmt.Sprintf("%s/%d", j.name, run), func(t *testing.T) {
				j := newJoin(t, j.kind, j.auto, 0, [2]time.Duration{})
				loss := [...]float64{0.1, 0.2, 0.3, 0.3}[run%4]
				j.net.Seed(uint64(run))
				j.net.Loss(loss)
				j.ask()
				took := j.net.Until(5*time.Minute, fmt.Sprintf("joined with a loss of %v", loss), func() bool { j.answer(); return j.joined() })
				t.Logf("joined after %v with a loss of %v", took, loss)
				j.net.Loss(0)
				j.theOne()
			})
		}
	}
}

// TestSkew: two clocks three hours apart; whether a link is still good is for its
// maker to say.
func TestSkew(t *testing.T) {
	t.Parallel()
	const off = 3 * time.Hour
	for _, j := range allJoins {
		for _, skews := range [][2]time.Duration{{off, 0}, {-off, 0}, {0, off}, {0, -off}, {off, -off}, {-off, off}} {
			story(t, fmt.Sprintf("%s/%v %v", j.name, skews[0], skews[1]), func(t *testing.T) {
				kind := j.kind
				j := newJoin(t, kind, j.auto, time.Hour, skews)
				o := node.InviteOptions{Kind: kind, Expires: time.Hour}
				if kind == "board" {
					o.Board = "reading"
				}
				late := newLink(t, j.issuer, o).Link
				pass(59 * time.Minute)
				j.ask()
				j.net.Until(time.Minute, "joined", func() bool { j.answer(); return j.joined() })
				pass(2 * time.Minute)
				switch kind {
				case "board": // of another one: bob is a member here
					carol := j.net.Add("carol")
					refused(t, carol, join(t, carol, late), "expired", "invite_expired")
				case "device":
					j.net.Skew = skews[1]
					tablet := j.net.AddDevice("tablet", late)
					refused(t, tablet, tablet.Request, "expired", "invite_expired")
				}
			})
		}
	}
}

// TestClockJumps: one side's clock is set while the device's request waits, by more
// than its claim may wait: both sides end in one state.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"board", "friend", "device"} {
		for _, who := range []string{"issuer", "requester"} {
			for _, off := range []time.Duration{8 * 24 * time.Hour, -3 * time.Hour} {
				story(t, fmt.Sprintf("%s/%s/%v", kind, who, off), func(t *testing.T) {
					j := newJoin(t, kind, false, 0, [2]time.Duration{})
					j.ask()
					in := j.pending()
					p := j.issuer
					if who == "requester" {
						p = j.requester
					}
					p.Skew(off)
					pass(2 * time.Minute) // M looks twice a minute for what is over
					j.answer()
					if who == "issuer" && off > 0 {
						j.net.Until(5*time.Minute, "expired on both sides", func() bool {
							l, err := j.issuer.Node.Request(in.ID)
							return err == nil && l.State == "expired" && j.request().State == "expired"
						})
						return
					}
					j.net.Until(20*time.Minute, "joined", func() bool { j.answer(); return j.joined() })
					j.theOne()
				})
			}
		}
	}
}
