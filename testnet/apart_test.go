package testnet

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pttnode/node"
)

// TestOwnersRemoveEachOther: two owners, cut off from each other, each remove the other
// and let a friend in. When the network is healed the senior stays with whom he let
// in, on every node the same; the junior knows that he is out, and what he did is void.
// It needs nobody who is a member for both.
func TestOwnersRemoveEachOther(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{false, true} {
		story(t, map[bool]string{false: "with the founder", true: "alone"}[alone], func(t *testing.T) { ownersRemoveEachOther(t, alone) })
	}
}

func ownersRemoveEachOther(t *testing.T, alone bool) {
	n := New(t, 20*time.Millisecond)
	founder, alice, bob, carol, dave := n.Add("founder"), n.Add("alice"), n.Add("bob"), n.Add("carol"), n.Add("dave")
	newBoard(t, founder, "reading", "link")
	for _, p := range []*Peer{alice, bob} {
		done(t, p, join(t, p, newLink(t, founder, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		if _, err := founder.Node.SetRole(t.Context(), "reading", p.Name, "owner"); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []*Peer{alice, bob} {
		n.Until(time.Minute, "both owners", func() bool {
			return role(p, "reading", "alice") == "owner active" && role(p, "reading", "bob") == "owner active"
		})
	}
	n.Settle()
	founder.Crash()
	for _, a := range []*Peer{alice, carol} {
		for _, b := range []*Peer{bob, dave} {
			n.Partition(a, b)
		}
	}
	pass(time.Minute)
	remove(t, alice, "reading", "bob")
	remove(t, bob, "reading", "alice")
	done(t, carol, join(t, carol, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
	done(t, dave, join(t, dave, newLink(t, bob, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
	write(t, carol, "reading", "at alice's")
	write(t, dave, "reading", "at bob's")
	n.Heal()
	in := []*Peer{alice, carol}
	if !alone {
		founder.Restart()
		in = append(in, founder)
	}
	n.Until(10*time.Minute, "alice in, bob out, carol in, dave out, on every node", func() bool {
		for _, p := range in {
			if role(p, "reading", "alice") != "owner active" || role(p, "reading", "bob") != "owner removed" ||
				role(p, "reading", "carol") != "member active" || role(p, "reading", "dave") != "nobody" {
				return false
			}
		}
		return len(bob.Node.Boards()) == 1
	})
	n.Until(10*time.Minute, "dave knows that he was never let in", func() bool { return len(dave.Node.Boards()) == 1 })
	if events, _ := dave.Node.Events(0, 0); !slices.ContainsFunc(events, func(e node.Event) bool { return e.Type == "member.void" }) {
		t.Error("dave's journal does not say that he is a member no more")
	}
	_, err := dave.Node.Board("reading")
	if e, ok := errors.AsType[*node.Error](err); !ok || e.Code != "not_found" || !strings.HasPrefix(e.Detail["gone"], "who let you in could not") {
		t.Errorf("dave asks for the board: %v, want to be told why it is gone", err)
	}
	write(t, alice, "reading", "healed")
	for _, p := range append(in, dave) {
		w, err := p.Node.Why("reading", "dave")
		if p != dave && code(err) == "not_found" {
			continue // bob may have heard that he is out before he could tell them of dave
		}
		if err != nil || w.State != "void" || w.Valid || !slices.ContainsFunc(w.Chain, func(o node.WhyOp) bool {
			return o.Type == "admit" && o.By == bob.User() && o.MemberName == "dave" && !o.OK
		}) {
			t.Errorf("%s does not say why dave is no member: %+v, %v", p.Name, w, err)
		}
	}
	for _, p := range in {
		reads(t, p, "reading", "healed", 5*time.Minute)
		reads(t, p, "reading", "at alice's", time.Minute)
		if slices.Contains(titles(p, "reading"), "at bob's") {
			t.Errorf("%s reads what dave wrote, who was never let in", p.Name)
		}
		w, err := p.Node.Why("reading", "bob")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(w.Chain, func(o node.WhyOp) bool { return o.Type == "remove" && o.By == alice.User() && o.OK }) {
			t.Errorf("%s does not say why bob is out: %+v", p.Name, w.Chain)
		}
		n.Until(5*time.Minute, "what bob tried at "+p.Name, func() bool {
			w, err := p.Node.Why("reading", "alice")
			return err == nil && slices.ContainsFunc(w.Chain, func(o node.WhyOp) bool { return o.Type == "remove" && o.By == bob.User() && !o.OK })
		})
	}
	n.Unchecked() // bob's invite has an approved request whose admit is void
}
