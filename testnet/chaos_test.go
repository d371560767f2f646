package testnet

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pttnode/node"
)

// chaos is a network on which things go wrong at random, the same things for the
// same seed.
type chaos struct {
	*Net
	rng    *rand.Rand
	stores map[*Peer]*FailStore
}

func newChaos(t *testing.T, seed uint64) *chaos {
	t.Helper()
	c := &chaos{New(t, 20*time.Millisecond), rand.New(rand.NewPCG(seed, 7)), make(map[*Peer]*FailStore)}
	c.Seed(seed)
	return c
}

func (c *chaos) add(name string) *Peer {
	s := NewFailStore()
	c.skew()
	p := c.AddOn(name, s)
	c.stores[p] = s
	return p
}

// addDevice adds a device that is to be linked.
func (c *chaos) addDevice(name, link string) *Peer {
	s := NewFailStore()
	c.skew()
	p := c.AddDeviceOn(name, link, s)
	c.stores[p] = s
	return p
}

// skew sets every second clock up to three hours off.
func (c *chaos) skew() {
	c.Skew = 0
	if c.rng.IntN(2) == 0 {
		c.Skew = time.Duration((2*c.rng.Float64() - 1) * float64(3*time.Hour))
	}
}

// pause lets some time pass, of the order of mean.
func (c *chaos) pause(mean time.Duration) {
	pass(time.Duration(c.rng.ExpFloat64() * float64(mean)))
}

// upset does one thing to the network, or mends everything.
func (c *chaos) upset() {
	p, q := c.Peers[c.rng.IntN(len(c.Peers))], c.Peers[c.rng.IntN(len(c.Peers))]
	switch c.rng.IntN(9) {
	case 0:
		p.Crash()
	case 1:
		p.Stop()
	case 2:
		c.Partition(p, q)
	case 3:
		c.Loss(0.3)
	case 4, 5:
		c.stores[p].StopAt(1+c.rng.IntN(3), c.rng.IntN(2) == 0, nil)
	default:
		c.calm()
	}
}

// calm mends everything and starts who does not run.
func (c *chaos) calm() {
	c.Heal()
	c.Loss(0)
	for _, p := range c.Peers {
		if c.stores[p].Stopped() {
			p.Crash()
		}
		c.stores[p].Mend()
		if !p.Running() {
			p.Start()
		}
	}
}

// TestChaos crashes, stops, cuts, loses packets and fills disks at random while
// people join and write, and then leaves them alone: everybody ends where he
// wanted to be, with all that was written.
func TestChaos(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("long")
	}
	for seed := range uint64(15) {
		story(t, fmt.Sprintf("friend/%d", seed), func(t *testing.T) {
			c := newChaos(t, seed)
			p := &pair{net: c.Net, kind: "friend", alice: c.add("alice"), bob: c.add("bob")}
			p.link = newLink(t, p.alice, node.InviteOptions{Kind: "friend"}).Link
			_ = p.ask(t)
			for range 40 {
				c.pause(50 * time.Millisecond)
				approveNew(p.alice)
				c.upset()
			}
			c.calm()
			c.Until(30*time.Minute, "friends", func() bool {
				approveNew(p.alice)
				return p.joined()
			})
			c.Settle()
			p.theOne(t)
		})
		story(t, fmt.Sprintf("both/%d", seed), func(t *testing.T) {
			c := newChaos(t, seed)
			alice, bob := c.add("alice"), c.add("bob")
			join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "friend"}).Link)
			join(t, alice, newLink(t, bob, node.InviteOptions{Kind: "friend"}).Link)
			for range 40 {
				c.pause(30 * time.Millisecond)
				approveNew(alice)
				if c.rng.IntN(2) == 0 {
					approveNew(bob)
				}
				c.upset()
			}
			c.calm()
			c.Until(30*time.Minute, "friends", func() bool {
				approveNew(alice)
				approveNew(bob)
				return alive(alice, "bob") && alive(bob, "alice")
			})
		})
		story(t, fmt.Sprintf("device/%d", seed), func(t *testing.T) {
			c := newChaos(t, seed)
			p := &linkPair{net: c.Net, laptop: c.add("alice"), bob: c.add("bob")}
			befriend(t, p.laptop, p.bob)
			newBoard(t, p.laptop, "plans", "friends")
			write(t, p.laptop, "plans", "before")
			p.phone = c.addDevice("alice-phone", newLink(t, p.laptop, node.InviteOptions{Kind: "device", Expires: time.Hour}).Link)
			for range 40 {
				c.pause(50 * time.Millisecond)
				p.typeNew(t)
				c.upset()
			}
			c.calm()
			c.Until(30*time.Minute, "linked, or given up on both sides", func() bool {
				p.typeNew(t)
				return p.linked() || p.givenUp()
			})
			c.Settle()
			if p.givenUp() {
				t.Errorf("a link of an hour was given up after a minute: %+v", p.phone.Node.Requests())
			}
			p.theOne(t)
		})
		story(t, fmt.Sprintf("board/%d", seed), func(t *testing.T) {
			c := newChaos(t, seed)
			alice, bob, carol := c.add("alice"), c.add("bob"), c.add("carol")
			newBoard(t, alice, "reading", "link")
			v := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Uses: 2})
			requests := map[*Peer]string{bob: join(t, bob, v.Link), carol: join(t, carol, v.Link)}
			wrote := 0
			for range 60 {
				c.pause(100 * time.Millisecond)
				approveNew(alice)
				c.upset()
				if p := c.Peers[c.rng.IntN(len(c.Peers))]; p.Running() {
					if _, err := p.Node.NewArticle(t.Context(), "reading", "", fmt.Sprint(wrote), ""); err == nil {
						wrote++
					}
				}
			}
			c.calm()
			c.Until(30*time.Minute, "members", func() bool {
				approveNew(alice)
				for p, id := range requests {
					if r, err := p.Node.Request(id); err != nil || r.State != "done" {
						return false
					}
				}
				return true
			})
			c.Settle()
			for _, p := range c.Peers {
				if got := len(titles(p, "reading")); got < wrote { // more: some writes were not heard of
					t.Errorf("%s reads %d articles, %d were written", p.Name, got, wrote)
				}
				if h := p.Node.Status().Health; len(h) != 0 {
					t.Errorf("%s is not well: %+v", p.Name, h)
				}
			}
		})
	}
}
