package testnet

import (
	"errors"
	"testing"
	"time"

	"pttnode/node"
)

// pair is alice, who invites, and bob, who joins.
type pair struct {
	net            *Net
	alice, bob     *Peer
	aStore, bStore *FailStore
	kind           string
	link           string
	request        string // bob's
}

// newPair starts both, and alice makes the link.
func newPair(t *testing.T, kind string, opt node.InviteOptions) *pair {
	t.Helper()
	n := New(t, 20*time.Millisecond)
	p := &pair{net: n, aStore: NewFailStore(), bStore: NewFailStore(), kind: kind}
	p.alice, p.bob = n.AddOn("alice", p.aStore), n.AddOn("bob", p.bStore)
	opt.Kind = kind
	if kind == "board" {
		if _, err := p.alice.Node.CreateBoard(t.Context(), node.BoardOptions{Name: "reading", Policy: "link"}); err != nil {
			t.Fatal(err)
		}
		opt.Board = "reading"
	}
	inv, err := p.alice.Node.Invite(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	p.link = inv.Link
	return p
}

// ask has bob open the link. It reports an error only of a store that has stopped.
func (p *pair) ask(t *testing.T) error {
	t.Helper()
	r, err := p.bob.Node.Join(t.Context(), p.link, "hi")
	if err == nil {
		p.request = r.ID
		return nil
	}
	if p.bStore == nil || !p.bStore.Stopped() {
		t.Fatal(err)
	}
	return err
}

// approveNew has a peer's person say yes to whatever is new. A store that has
// stopped lets him try again later.
func approveNew(p *Peer) {
	if !p.Running() {
		return
	}
	for _, r := range p.Node.Requests() {
		if r.Direction == "in" && r.State == "new" {
			_, _ = p.Node.Approve(p.net.t.Context(), r.ID) // the next round shows what came of it
		}
	}
}

// joined reports whether all is there on both sides.
func (p *pair) joined() bool {
	if !p.alice.Running() || !p.bob.Running() {
		return false
	}
	r, err := p.bob.Node.Request(p.request)
	if err != nil || r.State != "done" {
		return false
	}
	if p.kind == "board" {
		b, err := p.bob.Node.Board("reading")
		return err == nil && b.Members == 2
	}
	return alive(p.alice, "bob") && alive(p.bob, "alice")
}

func alive(p *Peer, name string) bool {
	f, err := p.Node.Friend(name)
	return err == nil && f.State == "alive"
}

// theOne checks what must be so after any join that ended well, beside Check: one
// use spent by one approved request.
func (p *pair) theOne(t *testing.T) {
	t.Helper()
	invites := p.alice.Node.Invites()
	if len(invites) != 1 || invites[0].Used != 1 || invites[0].State != "used_up" {
		t.Errorf("invites after the join: %+v, want one use of one spent", invites)
	}
	in := p.alice.Node.Requests()
	if len(in) != 1 || in[0].State != "approved" {
		t.Errorf("alice's requests after the join: %+v, want one that is approved", in)
	}
	if p.kind == "friend" {
		a, _ := p.alice.Node.Friend("bob")
		b, _ := p.bob.Node.Friend("alice")
		if a.ID != b.ID {
			t.Errorf("the friendship is %v at alice and %v at bob", a.ID, b.ID)
		}
		v, err := p.bob.Node.View(b.ID.String())
		if err != nil || len(v.Members) != 2 || v.Members[0].Role != "owner" || v.Members[1].Role != "owner" {
			t.Errorf("the friendship at bob: %+v, %v, want two owners", v.Members, err)
		}
	}
}

// code returns the code of a refusal, "" for another error.
func code(err error) string {
	if e, ok := errors.AsType[*node.Error](err); ok {
		return e.Code
	}
	return ""
}

// waiting waits until alice is asked, and returns what she sees.
func (p *pair) waiting(t *testing.T) node.RequestView {
	t.Helper()
	var in node.RequestView
	p.net.Until(time.Minute, "waiting for alice", func() bool {
		r, err := p.bob.Node.Request(p.request)
		return err == nil && r.State == "waiting_approval"
	})
	for _, r := range p.alice.Node.Requests() {
		if r.Direction == "in" && r.State == "new" {
			in = r
		}
	}
	if in.ID == "" {
		t.Fatalf("alice sees no request: %+v", p.alice.Node.Requests())
	}
	return in
}

// ended waits until bob's request is in one of the states after which nothing
// happens by itself, and returns it.
func (p *pair) ended(t *testing.T, limit time.Duration, request string) node.RequestView {
	t.Helper()
	return ended(t, p.bob, limit, request)
}

func ended(t *testing.T, p *Peer, limit time.Duration, request string) node.RequestView {
	t.Helper()
	var r node.RequestView
	p.net.Until(limit, "an end of request "+request+" at "+p.Name, func() bool {
		var err error
		r, err = p.Node.Request(request)
		return err == nil && (r.State == "done" || r.State == "rejected" || r.State == "expired" || r.State == "cancelled" || r.State == "failed")
	})
	return r
}
