package testnet

import (
	"testing"
	"time"

	"pttnode/node"
)

// within fails the test unless took is at most so many round trips.
func within(t *testing.T, what string, took time.Duration, trips float64) {
	t.Helper()
	got := float64(took) / float64(simulatedRTT)
	t.Logf("%s: %.2f round trips", what, got)
	if got > trips {
		t.Errorf("%s takes %.2f round trips, want at most %.1f", what, got, trips)
	}
}

// TestRoundTripsOfAPerson measures what people wait for beside the joins that
// TestRoundTrips measures: the code, the answer, an article.
func TestRoundTripsOfAPerson(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"board", "friend"} {
		story(t, kind, func(t *testing.T) {
			n := New(t, simulatedRTT)
			p := &pair{net: n, kind: kind, alice: n.Add("alice"), bob: n.Add("bob")}
			o := node.InviteOptions{Kind: kind}
			if kind == "board" {
				newBoard(t, p.alice, "reading", "link")
				o.Board = "reading"
			}
			p.link = newLink(t, p.alice, o).Link
			_ = p.ask(t)
			took := n.Until(time.Second, "a code on both screens", func() bool {
				r, err := p.bob.Node.Request(p.request)
				in := p.alice.Node.Requests()
				return err == nil && r.Code != "" && len(in) == 1 && in[0].Code == r.Code
			})
			within(t, "dial, JOIN, ACK, JOIN-ENTITY, PENDING", took, 3.2)

			pass(time.Hour)
			approveNew(p.alice)
			took = n.Until(time.Second, "done at bob", func() bool {
				r, err := p.bob.Node.Request(p.request)
				return err == nil && r.State == "done"
			})
			if kind == "board" {
				within(t, "a yes on a stream that waited for an hour", took, 0.6)
			} else {
				within(t, "a yes, and the personal entities both ways", took, 1.6)
			}
			n.Until(time.Second, "all there", p.joined)

			board := "reading"
			if kind == "friend" {
				board = "@alice"
			}
			write(t, p.alice, board, "hello")
			took = n.Until(time.Second, "article at bob", func() bool { return len(titles(p.bob, board)) == 1 })
			within(t, "an article to a member who is connected", took, 0.6)
		})
	}
}
