package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// admitting is a board with many members whose founder has let the node's user in by a link,
// and of whose control strand a part came with the approval.
type admitting struct {
	t       testing.TB
	n       *Node
	ds      datastore.Batching
	founder claimant
	member  claimant // has a device of their own, and no right but a member's
	board   entity.Created
	link    invite.Link
	admit   oplog.Op
	partial protocol.Partial
	begun   *entity.Entity
}

func (c *admitting) author() entity.Author {
	return entity.Author{Key: c.founder.key, User: c.founder.me.ID(), Now: time.Now()}
}

func newAdmitting(t testing.TB, members int) *admitting {
	t.Helper()
	c := &admitting{t: t, founder: newClaimant(t), member: newClaimant(t)}
	c.n, c.ds = target(t, nil)
	founder := c.founder.me.State().Party("founder")
	var err error
	c.board, err = entity.CreateEntity(c.author(), entity.Genesis{
		Kind: entity.Board, Name: "crowd", Founder: &founder,
		Policy: &entity.Policy{Join: entity.JoinLink, History: entity.History{Mode: entity.HistoryAll}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.board.State()
	c.let(c.member.me.State().Party("member"), [16]byte{1})
	box := keys.NewBox().ID()
	for i := range members {
		id := keys.Hash("ptt/test/member", fmt.Append(nil, i))
		c.let(entity.Party{User: id, Head: id, Devices: []keys.ID{keys.ID(id)}, Box: box, Name: fmt.Sprint("member ", i)}, [16]byte{1})
	}
	c.link = invite.New(entity.Board, c.board.ID(), c.founder.key.ID(), invite.Options{Expires: time.Now().Add(time.Hour), Name: "founder"})
	c.admit = c.let(c.n.me.State().Party("alice"), c.link.Keys().Ref)
	return c
}

func (c *admitting) let(p entity.Party, ref [16]byte) oplog.Op {
	c.t.Helper()
	o, err := entity.ApproveJoinEntity(c.board.Entity, c.author(), entity.Keyring{c.board.Epoch: c.board.Key},
		entity.Admission{Party: p, Role: entity.Member, Ref: &ref})
	if err != nil {
		c.t.Fatal(err)
	}
	return o
}

// approve has the node take an approval that carries room bytes of the control strand, and
// says change of the whole.
func (c *admitting) approve(room int, change func(*protocol.Strand)) *admitting {
	c.t.Helper()
	strand, logs := protocol.Pack(c.board.Entity, c.admit.ID(), room)
	if change != nil {
		change(&strand)
	}
	var err error
	if c.begun, err = strand.Open(c.board.ID(), logs); err != nil {
		c.t.Fatal(err)
	}
	c.partial = protocol.Partial{
		Entity: c.board.ID(), Kind: entity.Board, Admit: c.admit.ID(), Ref: c.link.Keys().Ref, Card: []keys.Digest{c.board.ID()}, Strand: strand,
		Keys:   []entity.EpochKey{{Epoch: c.board.Epoch, Key: c.board.Key.Secret()}},
		Issuer: c.founder.me.DeviceChain(),
	}
	now := time.Now()
	at := invite.NewAttempt("r-1", c.link, "", now)
	if at, err = at.Checked(now, c.board.ID(), c.founder.me.ID(), "crowd"); err != nil {
		c.t.Fatal(err)
	}
	at = at.Sent(now, keys.Digest{1}, "123456")
	c.n.attempts[at.ID] = at
	at = at.Fetching(now, strand.Ops, strand.Bytes)
	if ev, ok := c.n.commitJoining(&protocol.Change{Attempt: &at, Partial: &c.partial, Begun: c.begun}).(protocol.Committed); !ok {
		c.t.Fatalf("%+v", ev)
	}
	return c
}

// frames are the answer of a device that sends some operations, so many in a frame.
func frames(ops []oplog.Op, each int) (out []byte) {
	for {
		chunk := ops[:min(each, len(ops))]
		ops = ops[len(chunk):]
		out = append(out, protocol.Frame(uint8(protocol.SyncOps), keys.Marshal(protocol.Ops{Ops: pairsOf(chunk), More: len(ops) > 0}))...)
		if len(ops) == 0 {
			return out
		}
	}
}

// device answers a request for control, by what it is told that the node has.
type device func(heads []keys.Digest) []byte

func (c *admitting) honest(heads []keys.Digest) []byte {
	return frames(c.board.ControlBeyond(heads), 100)
}

var errAway = errors.New("cannot be reached")

// complete goes on with the request at the issuer and then at others; nil is one that is
// away.
func (c *admitting) complete(issuer device, others ...device) (again bool, err error) {
	c.t.Helper()
	a := c.n.attempts["r-1"]
	devices, answers := []keys.ID{a.Issuer}, map[keys.ID]device{a.Issuer: issuer}
	for i, d := range others {
		devices, answers[keys.ID{byte(i + 1)}] = append(devices, keys.ID{byte(i + 1)}), d
	}
	q, p, err := c.n.requestQuarantine("r-1")
	if err != nil {
		c.t.Fatal(err)
	}
	_, again, err = c.n.complete(c.t.Context(), a, q, p, devices, func(_ context.Context, q *quarantine, d keys.ID, save func([]put) error) error {
		if answers[d] == nil {
			return errAway
		}
		return c.n.askControl(newLine(answers[d](q.e.Log().Heads(oplog.Control)), false).stream(d), q, save)
	})
	return again, err
}

// kept returns how many entries of the store are of quarantines.
func (c *admitting) kept() int {
	c.t.Helper()
	stored, err := c.n.quarantined("")
	if err != nil {
		c.t.Fatal(err)
	}
	return len(stored)
}

// in fails the test unless the node is a member of the whole board, and keeps nothing else.
func (c *admitting) in() {
	c.t.Helper()
	h := c.n.entities[c.board.ID()]
	a := c.n.attempts["r-1"]
	if h == nil || a.State != invite.AttemptDone || a.Fetch != nil || len(a.Body) > 0 {
		c.t.Fatalf("the request is %v %v, the board is here: %v", a.State, a.Reason, h != nil)
	}
	if m, ok := h.State().Member(c.n.user); !ok || m.Standing != entity.Active || len(h.ring) != 1 || !h.Holds(c.partial.Strand.Heads) {
		c.t.Errorf("in the board we are %+v, with %d keys", m, len(h.ring))
	}
	if c.kept() != 0 {
		c.t.Errorf("%d entries of a quarantine are left", c.kept())
	}
}

// out fails the test unless the request ended so and nothing of it is here.
func (c *admitting) out(state invite.AttemptState, why invite.Code) {
	c.t.Helper()
	a := c.n.attempts["r-1"]
	if a.State != state || a.Reason != why || c.n.entities[c.board.ID()] != nil || c.kept() != 0 {
		c.t.Errorf("the request is %v %v, want %v %v; the board is here: %v; %d entries are kept",
			a.State, a.Reason, state, why, c.n.entities[c.board.ID()] != nil, c.kept())
	}
	if v, _ := c.n.Request("r-1"); v.Stays != (why == invite.RefusedIdentity) {
		c.t.Errorf("stays a member there: %v after %v", v.Stays, why)
	}
}

// waits fails the test unless the request goes on, and nothing of it is shown as an entity.
func (c *admitting) waits() {
	c.t.Helper()
	a := c.n.attempts["r-1"]
	if !a.Fetches() || c.n.entities[c.board.ID()] != nil || c.kept() < 2 {
		c.t.Errorf("the request is %v %v, the board is here: %v", a.State, a.Reason, c.n.entities[c.board.ID()] != nil)
	}
	if v, err := c.n.Request("r-1"); err != nil || v.State != "approved" && v.State != "cancelled" || v.Progress == nil || v.Progress.Have == 0 || v.Progress.Total != c.partial.Strand.Ops {
		c.t.Errorf("it is shown as %+v, %v", v, err)
	}
	if _, err := c.n.Board("crowd"); err == nil {
		c.t.Error("the board is shown")
	}
}

// TestControlFetched: the rest of a control strand comes from the issuer, or from another
// member, whoever else serves rubbish.
func TestControlFetched(t *testing.T) {
	const members = 400
	flood := func(c *admitting) []oplog.Op { // what a member has a right to write, and nobody has heard of
		e, err := entity.OpenStrand(c.board.ID(), c.board.ControlStrand())
		if err != nil {
			c.t.Fatal(err)
		}
		var out []oplog.Op
		a := entity.Author{Key: c.member.key, User: c.member.me.ID(), Now: time.Now()}
		for range 2000 {
			o, err := e.Control(a, oplog.FamilyPolicy, 99, struct{}{})
			if err != nil {
				c.t.Fatal(err)
			}
			out = append(out, o)
		}
		return out
	}
	for name, f := range map[string]func(c *admitting) (issuer device, others []device){
		"from the issuer": func(c *admitting) (device, []device) { return c.honest, nil },
		"from a member":   func(c *admitting) (device, []device) { return nil, []device{c.honest} },
		"a member that ends in the middle, and one that does not": func(c *admitting) (device, []device) {
			return nil, []device{func(heads []keys.Digest) []byte { return frames(c.board.ControlBeyond(heads)[:50], 20) }, c.honest}
		},
		"a member that breaks off in the middle": func(c *admitting) (device, []device) {
			return nil, []device{func(heads []keys.Digest) []byte {
				all := c.honest(heads)
				return all[:len(all)/2]
			}, c.honest}
		},
		"a member with the ops of another entity": func(c *admitting) (device, []device) {
			other := newAdmitting(c.t, 150)
			return nil, []device{func([]keys.Digest) []byte { return frames(other.board.ControlBeyond(nil), 50) }, c.honest}
		},
		"a member with ops that lack what they build on": func(c *admitting) (device, []device) {
			return nil, []device{func(heads []keys.Digest) []byte { return frames(c.board.ControlBeyond(heads)[100:], 50) }, c.honest}
		},
		"a member with frames that are none": func(c *admitting) (device, []device) {
			return nil, []device{func([]keys.Digest) []byte { return []byte("rubbish") }, c.honest}
		},
		"a member that says no": func(c *admitting) (device, []device) {
			return nil, []device{func([]keys.Digest) []byte { return protocol.Frame(uint8(protocol.SyncNo), keys.Marshal(protocol.No{})) }, c.honest}
		},
		"a member with no end of its own ops": func(c *admitting) (device, []device) {
			ops := flood(c)
			return nil, []device{func(heads []keys.Digest) []byte {
				beyond := c.board.ControlBeyond(heads)
				last := beyond[len(beyond)-1]
				return frames(append(slices.DeleteFunc(beyond, func(o oplog.Op) bool { return o.ID() == last.ID() }), ops...), 100)
			}, c.honest}
		},
		"a member's own ops, and then the issuer": func(c *admitting) (device, []device) {
			return nil, []device{func([]keys.Digest) []byte {
				e, _ := entity.OpenStrand(c.board.ID(), c.begun.ControlStrand())
				a := entity.Author{Key: c.member.key, User: c.member.me.ID(), Now: time.Now()}
				var ops []oplog.Op
				for range 2000 {
					o, err := e.Control(a, oplog.FamilyPolicy, 99, struct{}{})
					if err != nil {
						c.t.Fatal(err)
					}
					ops = append(ops, o)
				}
				return frames(ops, 100)
			}, c.honest}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newAdmitting(t, members).approve(100<<10, nil)
			c.waits()
			issuer, others := f(c)
			if again, err := c.complete(issuer, others...); again || err != nil && len(others) < 2 {
				t.Errorf("complete: again %v, %v", again, err)
			}
			c.in()
			if _, beyond := c.n.entities[c.board.ID()].Log().Tip(c.member.key.ID(), oplog.Control); beyond {
				t.Error("what only one member had to show is kept")
			}
		})
	}
}

// TestControlAttacks: an issuer that lies about its control strand ends the request, and
// nothing of it is kept.
func TestControlAttacks(t *testing.T) {
	const members = 300
	for name, c := range map[string]struct {
		change func(*protocol.Strand)
		issuer func(c *admitting) device
	}{
		"a head that never comes": {
			func(s *protocol.Strand) { s.Heads = []keys.Digest{{1}} }, func(c *admitting) device { return c.honest },
		},
		"numbers too small": {
			func(s *protocol.Strand) { s.Ops, s.Bytes = 210, 210*512 }, func(c *admitting) device { return c.honest },
		},
		"it ends in the middle": {nil, func(c *admitting) device {
			return func(heads []keys.Digest) []byte { return frames(c.board.ControlBeyond(heads)[:30], 10) }
		}},
		"content": {nil, func(c *admitting) device {
			o, err := oplog.Sign(c.founder.key, oplog.Draft{
				Entity: c.board.ID(), User: c.founder.me.ID(), Strand: oplog.Content, Family: oplog.FamilyArticle, Type: 1,
				Auth: c.board.Log().Heads(oplog.Control), Epoch: c.board.Epoch, At: time.Now(), Body: make([]byte, 100),
			})
			if err != nil {
				c.t.Fatal(err)
			}
			return func([]keys.Digest) []byte { return frames([]oplog.Op{o}, 1) }
		}},
		"frames that bring nothing": {nil, func(c *admitting) device {
			return func([]keys.Digest) []byte { return frames(c.begun.ControlBeyond(nil), 10) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newAdmitting(t, members+1200*map[bool]int{true: 1}[name == "numbers too small"]).approve(100<<10, c.change)
			if again, err := x.complete(c.issuer(x)); again || err != nil {
				t.Errorf("complete: again %v, %v", again, err)
			}
			x.out(invite.AttemptFailed, invite.RefusedIdentity)
		})
	}
	t.Run("the admit after the heads", func(t *testing.T) {
		t.Parallel()
		x := newAdmitting(t, members)
		before := x.board.Log().Heads(oplog.Control)
		x.admit = x.let(entity.Party{User: keys.Digest{7}, Head: keys.Digest{7}, Devices: []keys.ID{{7}}, Box: keys.NewBox().ID()}, [16]byte{2})
		x.approve(100<<10, func(s *protocol.Strand) { s.Heads = before })
		if again, err := x.complete(x.honest); again || err != nil {
			t.Errorf("complete: again %v, %v", again, err)
		}
		x.out(invite.AttemptFailed, invite.RefusedIdentity)
	})
}

// TestControlGoesOn: what is durable of a control strand is there after a restart, nobody
// to be asked ends nothing, and an issuer that shares nothing is asked to say why.
func TestControlGoesOn(t *testing.T) {
	t.Parallel()
	c := newAdmitting(t, 400).approve(100<<10, nil)
	if again, err := c.complete(nil, nil); again || !errors.Is(err, errAway) {
		t.Errorf("nobody there: again %v, %v", again, err)
	}
	c.waits()
	have := c.n.attempts["r-1"].Fetch.Have
	half := func(heads []keys.Digest) []byte {
		all := frames(c.board.ControlBeyond(heads), 20)
		return all[:len(all)/2]
	}
	if _, err := c.complete(half); err == nil {
		t.Error("half of it was taken as all")
	}
	c.waits()
	if now := c.n.attempts["r-1"].Fetch.Have; now <= have+50 {
		t.Errorf("%d ops are here, before it was %d", now, have)
	}
	again, err := New(c.n.host, c.ds, Config{Device: c.n.device, Vault: c.n.vault})
	if err != nil {
		t.Fatal(err)
	}
	c.n = again
	c.n.dropStale()
	c.waits()
	no := func([]keys.Digest) []byte { return protocol.Frame(uint8(protocol.SyncNo), keys.Marshal(protocol.No{})) }
	if again, _ := c.complete(no); !again {
		t.Error("an issuer that says no is not asked why")
	}
	// It approves anew, with what came since.
	have = c.n.attempts["r-1"].Fetch.Have
	c.let(entity.Party{User: keys.Digest{7}, Head: keys.Digest{7}, Devices: []keys.ID{{7}}, Box: keys.NewBox().ID()}, [16]byte{2})
	strand, logs := protocol.Pack(c.board.Entity, c.admit.ID(), 100<<10)
	begun, err := strand.Open(c.board.ID(), logs)
	if err != nil {
		t.Fatal(err)
	}
	at := c.n.attempts["r-1"].Fetching(time.Now(), strand.Ops, strand.Bytes)
	c.partial.Strand = strand
	c.n.commitJoining(&protocol.Change{Attempt: &at, Partial: &c.partial, Begun: begun})
	c.waits()
	if now := c.n.attempts["r-1"].Fetch.Have; now != have {
		t.Errorf("after a second approval %d ops are here, want %d", now, have)
	}
	if again, err := c.complete(c.honest); again || err != nil {
		t.Errorf("complete: again %v, %v", again, err)
	}
	c.in()
	if again, err := New(c.n.host, c.ds, Config{Device: c.n.device, Vault: c.n.vault}); err != nil || again.entities[c.board.ID()] == nil {
		t.Errorf("after a restart: %v", err)
	}
}

// TestControlRemoved: who was removed while they fetch is told so, by whom they ask.
func TestControlRemoved(t *testing.T) {
	t.Parallel()
	for _, lacking := range []bool{false, true} {
		c := newAdmitting(t, 300).approve(100<<10, func(s *protocol.Strand) {
			if lacking { // a head beside the removal, of which the removed are told nothing
				s.Heads = append(s.Heads, keys.Digest{255})
				slices.SortFunc(s.Heads, compareDigests)
			}
		})
		_, err := c.board.Control(c.author(), oplog.FamilyMember, entity.TypeRemove, entity.Remove{
			User: c.n.user, Cuts: []entity.Cut{}, Epoch: entity.NextEpoch{Commitment: keys.Digest{1}, Depth: 2, Replaces: []keys.Digest{c.board.Epoch}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.complete(nil, c.honest); again || err != nil {
			t.Errorf("complete: again %v, %v", again, err)
		}
		c.out(invite.AttemptRejected, invite.RefusedRemoved)
	}
}

// TestControlCancelled: a request that was cancelled while it fetches is fetched to its end,
// and left.
func TestControlCancelled(t *testing.T) {
	t.Parallel()
	c := newAdmitting(t, 300).approve(100<<10, nil)
	if v, err := c.n.Cancel(t.Context(), "r-1"); err != nil || v.State != "cancelled" {
		t.Fatalf("%+v, %v", v, err)
	}
	c.waits()
	if again, err := c.complete(c.honest); again || err != nil {
		t.Errorf("complete: again %v, %v", again, err)
	}
	h, a := c.n.entities[c.board.ID()], c.n.attempts["r-1"]
	if h == nil || a.Withdrawing() || a.Fetches() || a.State != invite.AttemptCancelled || c.kept() != 0 {
		t.Fatalf("the request is %+v, the board is here: %v, %d entries kept", a, h != nil, c.kept())
	}
	if m, _ := h.State().Member(c.n.user); m.Standing != entity.Gone {
		t.Errorf("we are %v there, want left", m.Standing)
	}
}

// TestControlServed: the device of somebody who was let in gets the control strand and
// nothing else, a stranger gets no.
func TestControlServed(t *testing.T) {
	n, h, _ := boardTarget(t, InviteOptions{})
	c := newClaimant(t)
	ask := func() []byte {
		l := newLine(protocol.Frame(uint8(protocol.SyncControl), keys.Marshal(protocol.Control{Entity: h.ID(), Heads: []keys.Digest{h.ID()}})), false)
		_ = n.serveSync(t.Context(), l.stream(c.key.ID()))
		return l.sent()
	}
	if got := ask(); len(got) != 0 {
		t.Errorf("a stranger gets %x", got)
	}
	_, err := entity.ApproveJoinEntity(h.Entity, entity.Author{Key: n.device, User: n.user, Now: time.Now()}, h.ring,
		entity.Admission{Party: c.me.State().Party("c"), Role: entity.Member, Ref: &[16]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(); len(got) < 500 {
		t.Errorf("a member gets %d bytes", len(got))
	}
}

// waitOf measures how long the node's lock is waited for while f runs, at most.
func waitOf(n *Node, f func()) time.Duration {
	var stop atomic.Bool
	longest := make(chan time.Duration)
	go func() {
		var most time.Duration
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for !stop.Load() {
			start := time.Now()
			_ = n.Requests()
			most = max(most, time.Since(start))
			<-tick.C
		}
		longest <- most
	}()
	f()
	stop.Store(true)
	return <-longest
}

// TestControlCost: a board of 2,000 is joined in the time of checking its signatures, and
// a third of it, and keeps nobody else waiting.
func TestControlCost(t *testing.T) {
	const members = 2000
	most := 1.3
	best, wait := 100.0, 100.0
	for range 4 {
		c := newAdmitting(t, members).approve(100<<10, nil)
		start := time.Now()
		for _, raw := range c.board.ControlStrand() {
			if _, err := oplog.Parse(raw); err != nil {
				t.Fatal(err)
			}
		}
		checked := time.Since(start)
		all := c.honest(c.begun.Log().Heads(oplog.Control))
		var took time.Duration
		w := waitOf(c.n, func() {
			start = time.Now()
			if again, err := c.complete(func([]keys.Digest) []byte { return all }); again || err != nil {
				t.Errorf("complete: again %v, %v", again, err)
			}
			took = time.Since(start)
		})
		c.in()
		best, wait = min(best, float64(took)/float64(checked)), min(wait, float64(w)/float64(checked))
	}
	t.Logf("joining a board of %d: %.2f times its signatures; a call waited for %.3f of that", members, best, wait)
	if raceEnabled {
		return
	}
	if best > most {
		t.Errorf("joining a board of %d costs %.2f times its signatures, at most %.1f", members, best, most)
	}
	if wait > 0.5 {
		t.Errorf("a call waited for %.2f of the time of the signatures, at most half of it", wait)
	}
}

// BenchmarkControl joins boards of which the first 900 KiB came with the approval.
func BenchmarkControl(b *testing.B) {
	for _, members := range []int{2000, 9_997} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			var wait time.Duration
			for b.Loop() {
				b.StopTimer()
				c := newAdmitting(b, members).approve(protocol.MaxLogs, nil)
				all := frames(c.board.ControlBeyond(c.begun.Log().Heads(oplog.Control)), 1600)
				b.StartTimer()
				wait = max(wait, waitOf(c.n, func() {
					if again, err := c.complete(func([]keys.Digest) []byte { return all }); again || err != nil {
						b.Errorf("complete: again %v, %v", again, err)
					}
				}))
				b.SetBytes(int64(c.partial.Strand.Bytes))
			}
			b.ReportMetric(float64(wait.Milliseconds()), "ms-wait")
		})
	}
}
