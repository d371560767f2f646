package testnet

import (
	"fmt"
	"testing"
	"time"

	"pttnode/node"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"board", "friend"} {
		story(t, kind+" before the approval", func(t *testing.T) {
			p := newPair(t, kind, node.InviteOptions{})
			_ = p.ask(t)
			in := p.waiting(t)
			if _, err := p.bob.Node.Cancel(t.Context(), p.request); err != nil {
				t.Fatal(err)
			}
			p.net.Until(time.Minute, "withdrawn at alice", func() bool {
				r, err := p.alice.Node.Request(in.ID)
				return err == nil && r.State == "withdrawn"
			})
			if _, err := p.alice.Node.Approve(t.Context(), in.ID); code(err) != "cancelled" {
				t.Errorf("approving what was withdrawn: %v", err)
			}
			if v := p.alice.Node.Invites()[0]; v.Used != 0 || v.State != "open" {
				t.Errorf("the use was not given back: %+v", v)
			}
		})
		story(t, kind+" before anything was sent", func(t *testing.T) {
			p := newPair(t, kind, node.InviteOptions{})
			p.alice.Crash()
			_ = p.ask(t)
			if _, err := p.bob.Node.Cancel(t.Context(), p.request); err != nil {
				t.Fatal(err)
			}
			p.alice.Start()
			pass(time.Minute)
			if got := p.alice.Node.Requests(); len(got) != 0 {
				t.Errorf("alice heard of a request that was never sent: %+v", got)
			}
		})
		for _, delay := range []time.Duration{0, 5 * time.Millisecond, 10 * time.Millisecond, 15 * time.Millisecond, time.Second} {
			story(t, fmt.Sprintf("%s racing the approval, %v later", kind, delay), func(t *testing.T) {
				p := newPair(t, kind, node.InviteOptions{}) // 10 ms one way
				_ = p.ask(t)
				in := p.waiting(t)
				if delay == time.Second {
					p.net.Partition(p.alice, p.bob) // bob hears of neither
				}
				if _, err := p.alice.Node.Approve(t.Context(), in.ID); err != nil {
					t.Fatal(err)
				}
				pass(delay)
				if _, err := p.bob.Node.Cancel(t.Context(), p.request); err != nil {
					if code(err) != "already_approved" {
						t.Fatal(err)
					}
					if delay < 10*time.Millisecond {
						t.Errorf("bob knew of the approval after %v", delay)
					}
					p.net.Until(time.Minute, "joined", p.joined)
					return
				}
				p.net.Heal()
				p.net.Until(20*time.Minute, "bob gone again", func() bool {
					if kind == "friend" {
						f, err := p.alice.Node.Friend("bob")
						return err == nil && f.State == "ended"
					}
					b, err := p.alice.Node.Board("reading")
					return err == nil && b.Members == 1
				})
				if r, err := p.bob.Node.Request(p.request); err != nil || r.State != "cancelled" {
					t.Errorf("bob's request: %+v, %v", r, err)
				}
			})
		}
	}
}

// TestDecideTwice: a decision that is made again, as by two clicks, changes nothing.
func TestDecideTwice(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"board", "friend"} {
		story(t, kind, func(t *testing.T) {
			p := newPair(t, kind, node.InviteOptions{})
			_ = p.ask(t)
			in := p.waiting(t)
			for range 3 {
				r, err := p.alice.Node.Approve(t.Context(), in.ID)
				if err != nil || r.State != "approved" {
					t.Errorf("approve: %+v, %v", r, err)
				}
			}
			if _, err := p.alice.Node.Reject(t.Context(), in.ID); code(err) != "already_approved" {
				t.Errorf("reject what is approved: %v", err)
			}
			p.net.Until(time.Minute, "joined", p.joined)
			p.theOne(t)
		})
	}
}

// TestQuickApproval: a program approves in the moment it hears of a request,
// perhaps before the run that made it waits for the decision.
func TestQuickApproval(t *testing.T) {
	t.Parallel()
	for run := range 20 {
		story(t, fmt.Sprint(run), func(t *testing.T) {
			p := newPair(t, "board", node.InviteOptions{})
			changed, stop := p.alice.Node.Watch()
			defer stop()
			over := make(chan struct{})
			defer close(over)
			go func() {
				for {
					select {
					case <-changed:
						approveNew(p.alice)
					case <-over:
						return
					}
				}
			}()
			_ = p.ask(t)
			p.net.Until(time.Second, "joined", p.joined)
		})
	}
}
