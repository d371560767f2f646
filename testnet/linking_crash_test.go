package testnet

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pttnode/node"
)

// linkPair is a laptop with a friend and a board, and a phone to be linked to it.
type linkPair struct {
	net            *Net
	laptop, phone  *Peer
	bob            *Peer
	lStore, pStore *FailStore
}

// newLinkPair starts all of them; the phone has its link, and nobody typed a code.
// stop prepares the stores for what comes after that.
func newLinkPair(t *testing.T, stop func(p *linkPair)) *linkPair {
	t.Helper()
	n := New(t, 20*time.Millisecond)
	p := &linkPair{net: n, lStore: NewFailStore(), pStore: NewFailStore()}
	p.laptop, p.bob = n.AddOn("alice", p.lStore), n.Add("bob")
	befriend(t, p.laptop, p.bob)
	newBoard(t, p.laptop, "plans", "friends")
	write(t, p.laptop, "plans", "before")
	v := newLink(t, p.laptop, node.InviteOptions{Kind: "device"})
	p.phone = n.AddDeviceOn("alice-phone", v.Link, p.pStore)
	stop(p)
	return p
}

// typeNew has the laptop's person type what the phone shows, for every request of a
// device that waits. A store that has stopped lets him try again later.
func (p *linkPair) typeNew(t *testing.T) {
	t.Helper()
	if !p.laptop.Running() || !p.phone.Running() {
		return
	}
	shown, err := p.phone.Node.Request(p.phone.Request)
	if err != nil || shown.Code == "" {
		return
	}
	for _, r := range p.laptop.Node.Requests() {
		if r.Kind == "device" && r.State == "new" {
			_, _ = p.laptop.Node.ApproveDevice(t.Context(), r.ID, shown.Code) // the next round shows what came of it
		}
	}
}

// linked reports whether all is there on both sides.
func (p *linkPair) linked() bool {
	return p.laptop.Running() && p.phone.Running() && aliveDevice(p.laptop, "alice-phone") && aliveDevice(p.phone, "alice-phone") &&
		linked(p.phone) && alive(p.phone, "bob") && len(titles(p.phone, "plans")) == 1
}

// givenUp reports whether the phone's request has ended otherwise, and the laptop
// has no device of it.
func (p *linkPair) givenUp() bool {
	r, err := p.phone.Node.Request(p.phone.Request)
	return err == nil && (r.State == "expired" || r.State == "rejected" || r.State == "failed") && len(p.laptop.Node.Devices()) == 1
}

// theOne checks what must be so after a linking that ended well, beside Check.
func (p *linkPair) theOne(t *testing.T) {
	t.Helper()
	if d := p.laptop.Node.Devices(); len(d) != 2 || !d[0].Votes || d[1].Votes {
		t.Errorf("devices after the linking: %+v, want two of which the first votes", d)
	}
	for _, v := range p.laptop.Node.Invites() {
		if v.Kind == "device" && (v.Used != 1 || v.State != "used_up") {
			t.Errorf("the device link after the linking: %+v", v)
		}
	}
	write(t, p.phone, "plans", "after")
	reads(t, p.laptop, "plans", "after", time.Minute)
}

// TestLinkCrashAtEveryWrite kills either side of a JoinMe at each of its writes, in
// the moment before it is durable and in the moment after: the linking resumes at
// the status it had.
func TestLinkCrashAtEveryWrite(t *testing.T) {
	for _, side := range []string{"laptop", "phone"} {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/written=%v", side, written), func(t *testing.T) {
				atEveryWrite(t, side, thin(), 4, func(t *testing.T, k int) bool { return linkCrashAt(t, side, k, written) })
			})
		}
	}
}

func linkCrashAt(t *testing.T, side string, k int, written bool) bool {
	var victim *Peer
	var store *FailStore
	p := newLinkPair(t, func(p *linkPair) {
		victim, store = p.laptop, p.lStore
		if side == "phone" {
			victim, store = p.phone, p.pStore
		}
		store.StopAt(k, written, victim.silence)
	})
	hit := false
	revive := func() {
		hit = victim.revive(store) || hit
	}
	p.net.Until(15*time.Minute, fmt.Sprintf("linked after a stop of the %s at write %d", side, k), func() bool {
		revive()
		p.typeNew(t)
		return p.linked()
	})
	for range 50 { // what is written after the end is killed too
		pass(100 * time.Millisecond)
		revive()
	}
	store.StopAt(0, false, nil)
	p.net.Check(t)
	p.theOne(t)
	return hit
}

// status returns how far the phone is, as a peer shows it.
func (p *linkPair) status(q *Peer) string {
	if d := q.Node.Devices(); len(d) == 2 {
		return d[1].Status
	}
	return ""
}

// TestLinkStatuses kills the phone at each of its statuses, and the laptop while
// the phone has it: both show the same one, and the linking goes on from there.
func TestLinkStatuses(t *testing.T) {
	t.Parallel()
	next := map[string]string{"init": "internal_pending", "internal_pending": "sync", "sync": "alive"}
	for _, status := range []string{"init", "internal_pending", "sync"} {
		for _, side := range []string{"laptop", "phone", "both"} {
			story(t, status+"/"+side, func(t *testing.T) {
				p := newLinkPair(t, func(*linkPair) {})
				p.net.Until(time.Minute, "the status "+status, func() bool {
					p.typeNew(t)
					return p.status(p.phone) == status && p.status(p.laptop) == status
				})
				if side != "phone" {
					p.laptop.Crash()
				}
				if side != "laptop" {
					p.phone.Crash()
				}
				pass(time.Minute)
				p.net.Partition(p.laptop, p.phone) // what they show before they have talked
				for _, q := range []*Peer{p.phone, p.laptop} {
					if !q.Running() {
						q.Start()
					}
				}
				for _, q := range []*Peer{p.phone, p.laptop} {
					got := p.status(q)
					if q == p.phone && side == "laptop" && got == next[status] { // the laptop's last word was on its way
						continue
					}
					if got != status {
						t.Errorf("%s shows the status %q after the restart of %s, want %q", q.Name, got, side, status)
					}
				}
				p.net.Heal()
				p.net.Until(10*time.Minute, "linked", p.linked)
				p.theOne(t)
			})
		}
	}
}

// TestLinkKilledAtOnce: the laptop is killed with its answer unsaid and is back
// before a dial could have crossed another: the phone does not wait for the dead
// connection.
func TestLinkKilledAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newLinkPair(t, func(*linkPair) {})
		p.net.Until(time.Minute, "a code", func() bool {
			r, err := p.phone.Node.Request(p.phone.Request)
			return err == nil && r.State == "waiting_approval"
		})
		p.laptop.silence()
		p.typeNew(t)
		p.laptop.Restart()
		if took := p.net.Until(time.Minute, "linked", p.linked); took > 5*time.Second {
			t.Errorf("linked %v after the laptop was back", took)
		}
	})
}
