package testnet

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"pttnode/keys"
	"pttnode/node"
	"pttnode/oplog"
	"pttnode/protocol"
)

// wanted counts what an attacker is asked for of bodies.
type wanted struct {
	mu    sync.Mutex
	times map[peer.ID]int
	ids   map[keys.Digest]int
}

// asked returns how often a peer has asked.
func (w *wanted) asked(p *Peer) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.times[p.Host.ID()]
}

// answersWants has an attacker answer whoever wants bodies, with what answer writes.
func (a *attacker) answersWants(answer func(w protocol.Want, to io.Writer)) *wanted {
	counts := &wanted{times: make(map[peer.ID]int), ids: make(map[keys.Digest]int)}
	a.host.SetStreamHandler(protocol.BodyID, func(s network.Stream) {
		defer s.Close()
		_, payload, err := (&wire{s, bufio.NewReader(s)}).frame()
		if err != nil {
			return
		}
		want, err := protocol.DecodeWant(payload)
		if err != nil {
			a.t.Errorf("a want: %v", err)
			return
		}
		counts.mu.Lock()
		counts.times[s.Conn().RemotePeer()]++
		for _, id := range want.IDs {
			counts.ids[id]++
		}
		counts.mu.Unlock()
		answer(want, s)
	})
	return counts
}

// bodiesFrame is a frame of answers.
func bodiesFrame(more bool, answers ...protocol.Answer) []byte {
	if answers == nil {
		answers = []protocol.Answer{}
	}
	return protocol.Frame(uint8(protocol.BodyBodies), keys.Marshal(protocol.Bodies{Answers: answers, More: more}))
}

// hasNothing answers that no body is here.
func hasNothing(w protocol.Want, to io.Writer) {
	var answers []protocol.Answer
	for _, id := range w.IDs {
		answers = append(answers, protocol.Answer{ID: id, Says: protocol.BodyNotHere})
	}
	_, _ = to.Write(bodiesFrame(false, answers...))
}

// has answers with a body where an operation is wanted.
func has(id keys.Digest, body []byte) func(protocol.Want, io.Writer) {
	return func(w protocol.Want, to io.Writer) {
		var answers []protocol.Answer
		for _, want := range w.IDs {
			a := protocol.Answer{ID: want, Says: protocol.BodyNotHere}
			if want == id {
				a.Says, a.Body = protocol.BodyHere, body
			}
			answers = append(answers, a)
		}
		_, _ = to.Write(bodiesFrame(false, answers...))
	}
}

// wantFrame asks for bodies.
func wantFrame(eid keys.Digest, ids ...keys.Digest) []byte {
	return protocol.Frame(uint8(protocol.BodyWant), keys.Marshal(protocol.Want{Entity: eid, IDs: ids}))
}

// wants asks a peer for bodies and returns the frame that answers, nil when the stream is
// reset.
func (a *attacker) wants(to *Peer, eid keys.Digest, ids ...keys.Digest) []byte {
	a.t.Helper()
	return a.askOver(protocol.BodyID, to, wantFrame(eid, ids...))
}

// saysOf returns what the frame of one answer says, 0 if it is none.
func saysOf(t *testing.T, answer []byte) (protocol.BodySays, []byte) {
	t.Helper()
	if len(answer) == 0 || answer[0] != byte(protocol.BodyBodies) {
		return 0, nil
	}
	b, err := protocol.DecodeBodies(answer[1:])
	if err != nil || len(b.Answers) != 1 {
		t.Fatalf("%d answers, %v, want one", len(b.Answers), err)
	}
	return b.Answers[0].Says, b.Answers[0].Body
}

// lacksText reports whether a peer shows an article of "dev" as one whose text is not here.
func lacksText(t *testing.T, p *Peer, id keys.Digest) bool {
	t.Helper()
	v, err := p.Node.Article(t.Context(), "dev", id.String())
	return err == nil && v.State == "unreadable" && v.Lack == "not_here" && v.Title+*v.Body == ""
}

// hasText reports whether a peer shows an article of "dev" with its text.
func hasText(p *Peer, id keys.Digest, title string) bool {
	return strings.HasPrefix(says(p, "dev", id.String()), fmt.Sprintf("ok %q %q", title, "text"))
}

// TestAttackBodyWithheld: a member brings an article without its body, and says that it is
// not here. That holds up nothing; he is asked again after half a minute, then after twice
// as long each time, up to a day. Another member's is taken as soon as that one is there.
func TestAttackBodyWithheld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, bob, carol := bobAndCarol(t)
		m := n.member(0, "mallory", alice, boardLink(t, alice, node.InviteOptions{Auto: true}).Link)
		counts := m.answersWants(hasNothing)
		n.Settle()
		for _, p := range []*Peer{alice, bob} {
			n.Partition(p, carol)
		}
		o := m.article(m.key, "withheld", nil)
		m.syncs(alice, withoutBodies([]oplog.Pair{o.Pair()}))
		m.syncs(carol, []oplog.Pair{o.Pair()})
		n.Until(10*time.Second, "without its text at both", func() bool { return lacksText(t, alice, o.ID()) && lacksText(t, bob, o.ID()) })
		for _, p := range []*Peer{alice, bob} {
			if v := bodiesAt(t, p, "dev"); v.Missing != 1 || v.Since == nil || v.LetGo != 0 {
				t.Errorf("%s shows %+v, want one missing", p.Name, v)
			}
		}
		served(t, n, alice, bob, "beside it")
		if _, err := bob.Node.AddComment(t.Context(), "dev", o.ID().String(), "push", "what does it say?"); err != nil {
			t.Error(err)
		}
		n.Until(10*time.Second, "a comment on it", func() bool { return strings.Contains(says(alice, "dev", o.ID().String()), "what does it say?") })

		last := counts.asked(alice)
		n.Until(time.Minute, "mallory asked", func() bool { last = counts.asked(alice); return last > 0 })
		at := alice.now()
		const slack = 80 * time.Second // a round of keeping is up to 36 s, and there may be a sync between
		for wait := 30 * time.Second; ; wait = min(2*wait, 24*time.Hour) {
			pass(time.Second) // his answer has come
			if wait > 4*time.Minute {
				later(n, wait-2*time.Minute)
			}
			n.Until(wait+slack, "mallory asked again", func() bool { return counts.asked(alice) > last })
			took := alice.now().Sub(at)
			if now := counts.asked(alice); took < wait || took > wait+slack || now != last+1 {
				t.Errorf("asked %d times after %v, want once after %v", now-last, took, wait)
			}
			last, at = counts.asked(alice), alice.now()
			if wait == 24*time.Hour {
				break
			}
		}
		if !lacksText(t, alice, o.ID()) {
			t.Error("alice has the text: this proves nothing")
		}
		n.Heal()
		n.Until(3*time.Minute, "the text from carol", func() bool { return hasText(alice, o.ID(), "withheld") && hasText(bob, o.ID(), "withheld") })
		_ = m.host.Close()
	})
}

// TestAttackBodyWrong: a member answers with what is no body of what was asked for. It is
// not taken, the operation stands, and the next member's good one is.
func TestAttackBodyWrong(t *testing.T) {
	t.Parallel()
	for what, wrong := range map[string]func(o, other oplog.Op) func(protocol.Want, io.Writer){
		"other bytes": func(o, _ oplog.Op) func(protocol.Want, io.Writer) { return has(o.ID(), random(o.Size())) },
		"one byte":    func(o, _ oplog.Op) func(protocol.Want, io.Writer) { return has(o.ID(), []byte{1}) },
		"a large one": func(o, _ oplog.Op) func(protocol.Want, io.Writer) { return has(o.ID(), random(700<<10)) },
		"of another op": func(o, other oplog.Op) func(protocol.Want, io.Writer) {
			return has(o.ID(), other.Body())
		},
		"what nobody asked for": func(_, other oplog.Op) func(protocol.Want, io.Writer) {
			return func(_ protocol.Want, to io.Writer) {
				_, _ = to.Write(bodiesFrame(false, protocol.Answer{ID: other.ID(), Says: protocol.BodyHere, Body: other.Body()}))
			}
		},
		"twice": func(o, _ oplog.Op) func(protocol.Want, io.Writer) {
			return func(_ protocol.Want, to io.Writer) {
				not := protocol.Answer{ID: o.ID(), Says: protocol.BodyNotHere}
				_, _ = to.Write(bodiesFrame(false, not, not))
			}
		},
		"no answer that there is": func(o, _ oplog.Op) func(protocol.Want, io.Writer) {
			return func(_ protocol.Want, to io.Writer) {
				_, _ = to.Write(bodiesFrame(false, protocol.Answer{ID: o.ID(), Says: 9}))
			}
		},
		"noise": func(oplog.Op, oplog.Op) func(protocol.Want, io.Writer) {
			return func(_ protocol.Want, to io.Writer) { _, _ = to.Write(random(500)) }
		},
		"a frame of a sync": func(oplog.Op, oplog.Op) func(protocol.Want, io.Writer) {
			return func(_ protocol.Want, to io.Writer) {
				_, _ = to.Write(protocol.Frame(uint8(protocol.SyncOps), []byte{0xa0}))
			}
		},
	} {
		story(t, what, func(t *testing.T) {
			n, alice, m := aliceAndMallory(t)
			n.Unchecked()
			good := n.member(1, "good", alice, boardLink(t, alice, node.InviteOptions{Auto: true}).Link)
			good.answersWants(hasNothing)
			other := m.article(m.key, "other", nil)
			o := m.article(m.key, "withheld", func(d *oplog.Draft) {
				d.Seq, d.Prev, d.Parents = 1, other.ID(), []keys.Digest{other.ID()}
			})
			counts := m.answersWants(wrong(o, other))
			m.syncs(alice, []oplog.Pair{other.Pair(), {Envelope: o.Envelope()}})
			if !lacksText(t, alice, o.ID()) || !hasText(alice, other.ID(), "other") { // which marks both as read
				t.Fatal("alice does not have both")
			}
			pass(time.Second)
			before := storeKeys(t, alice)
			n.Until(2*time.Minute, "mallory asked twice", func() bool { return counts.asked(alice) > 1 })
			pass(time.Second)
			if !lacksText(t, alice, o.ID()) || !hasText(alice, other.ID(), "other") {
				t.Errorf("alice shows %s and %s", says(alice, "dev", o.ID().String()), says(alice, "dev", other.ID().String()))
			}
			if now := storeKeys(t, alice); now != before {
				t.Errorf("alice's store went from %d to %d entries", before, now)
			}
			good.answersWants(has(o.ID(), o.Body()))
			n.Until(3*time.Minute, "the good one", func() bool { return hasText(alice, o.ID(), "withheld") })
			unharmed(t, alice, before+1) // the body
			if _, err := alice.stored(true); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAttackBodyWrongFirst: a member answers with a wrong body for the newest of several
// entries. The others are taken all the same, and the wrong one is asked for less and less.
func TestAttackBodyWrongFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		first := m.article(m.key, "first", nil)
		second := m.article(m.key, "second", func(d *oplog.Draft) {
			d.Seq, d.Prev, d.Parents = 1, first.ID(), []keys.Digest{first.ID()}
		})
		counts := m.answersWants(func(w protocol.Want, to io.Writer) {
			var answers []protocol.Answer
			for _, id := range w.IDs {
				body := first.Body()
				if id == second.ID() {
					body = random(second.Size())
				}
				answers = append(answers, protocol.Answer{ID: id, Says: protocol.BodyHere, Body: body})
			}
			_, _ = to.Write(bodiesFrame(false, answers...))
		})
		m.syncs(alice, withoutBodies([]oplog.Pair{first.Pair(), second.Pair()}))
		n.Until(2*time.Minute, "the other one", func() bool { return hasText(alice, first.ID(), "first") })
		before := counts.asked(alice)
		pass(30 * time.Minute)
		if asked := counts.asked(alice) - before; asked == 0 || asked > 7 { // after 1, 2, 4 … minutes
			t.Errorf("he was asked for the wrong one %d times in half an hour, want less and less", asked)
		}
		if !lacksText(t, alice, second.ID()) {
			t.Error("alice took a body that is not the entry's")
		}
		_ = m.host.Close()
	})
}

// TestAttackBodyEndless: a member answers a want with frames that say nothing and never
// end. That is over with the fourth.
func TestAttackBodyEndless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, m := aliceAndMallory(t)
		n.Unchecked()
		var mu sync.Mutex
		asked, sent := 0, 0
		m.answersWants(func(_ protocol.Want, to io.Writer) {
			mu.Lock()
			asked++
			mu.Unlock()
			for range 100_000 {
				if _, err := to.Write(bodiesFrame(true)); err != nil {
					return
				}
				mu.Lock()
				sent++
				mu.Unlock()
				pass(time.Millisecond)
			}
		})
		o := m.article(m.key, "withheld", nil)
		m.syncs(alice, withoutBodies([]oplog.Pair{o.Pair()}))
		pass(10 * time.Minute)
		_ = m.host.Close()
		pass(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if asked == 0 || asked > 40 {
			t.Errorf("he was asked %d times in ten minutes, want once a round", asked)
		}
		if most := 200 * asked; sent > most { // what is on its way in a round trip
			t.Errorf("%d frames of nothing were sent in %d exchanges, want at most %d", sent, asked, most)
		}
	})
}

// TestAttackBodyRights: a body is given to who may have the key of its epoch. Who may not
// have it is told so, whether it is here or not; who is no member, and who asks for what is
// not here, are told the same.
func TestAttackBodyRights(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice := aliceAndBoard(t)
		n.Unchecked()
		link := func(history string) string {
			return boardLink(t, alice, node.InviteOptions{Auto: true, History: history}).Link
		}
		m := n.member(0, "mallory", alice, link(""))
		eid := m.e.ID()
		old, err := alice.Node.NewArticle(t.Context(), "dev", "", "from before", "text")
		if err != nil {
			t.Fatal(err)
		}
		m.e = entityOf(t, m, alice)
		nobodys := m.article(m.key, "nobody has its body", nil)
		m.syncs(alice, withoutBodies([]oplog.Pair{nobodys.Pair()}))
		if _, err := alice.Node.DeleteArticle(t.Context(), "dev", nobodys.ID().String()); err != nil {
			t.Fatal(err)
		}
		late, stranger := n.member(1, "late", alice, link("from-join")), n.attacker(2, "stranger")
		since, err := alice.Node.NewArticle(t.Context(), "dev", "", "since", "text")
		if err != nil {
			t.Fatal(err)
		}
		bodies, _ := inStore(t, alice, eid)
		for _, c := range []struct {
			who  *member
			what string
			id   keys.Digest
			want protocol.BodySays
		}{
			{m, "what was there before him", old.ID, protocol.BodyHere},
			{m, "what came since", since.ID, protocol.BodyHere},
			{m, "what was deleted before it was here", nobodys.ID(), protocol.BodyLetGo},
			{m, "nothing", keys.Digest{1}, protocol.BodyNotHere},
			{m, "a control operation", eid, protocol.BodyNotHere},
			{late, "what came since", since.ID, protocol.BodyHere},
			{late, "what was there before him", old.ID, protocol.BodyNoRight},
			{late, "what was there before him, and is not here", nobodys.ID(), protocol.BodyNoRight},
			{late, "nothing", keys.Digest{1}, protocol.BodyNotHere},
		} {
			got, body := saysOf(t, c.who.wants(alice, eid, c.id))
			if got != c.want || (got == protocol.BodyHere) != (len(body) > 0) || len(body) > 0 && !bytes.Equal(body, bodies[c.id]) {
				t.Errorf("%s asks for %s: %d with %d bytes, want %d", c.who.name, c.what, got, len(body), c.want)
			}
		}
		// A sync gives him the envelopes of all, and the bodies that he may have.
		got := late.whole(alice)
		for _, c := range []struct {
			id   keys.Digest
			want bool
		}{{old.ID, false}, {since.ID, true}} {
			p, ok := got[c.id]
			if !ok || (len(p.Body) > 0) != c.want {
				t.Errorf("a sync gives a newcomer the operation: %v, with %d bytes of body, want some: %v", ok, len(p.Body), c.want)
			}
		}

		if _, err := alice.Node.RemoveMember(t.Context(), "dev", m.user().String()); err != nil {
			t.Fatal(err)
		}
		for what, id := range map[string]keys.Digest{"what he had": old.ID, "nothing": {1}} {
			for _, a := range []*attacker{m.attacker, stranger} { // who shares nothing is not listened to at all
				if got := a.wants(alice, eid, id); got != nil {
					t.Errorf("%s asks for %s and gets %x", a.name, what, got)
				}
			}
		}
		m.joinOther(alice)
		no := append([]byte{byte(protocol.BodyNo)}, keys.Marshal(protocol.No{})...)
		for what, of := range map[string]keys.Digest{"the board he was removed from": eid, "alice's identity": alice.User(), "nothing": {1}} {
			for _, id := range []keys.Digest{old.ID, {1}} {
				if got := m.wants(alice, of, id); !bytes.Equal(got, no) {
					t.Errorf("who was removed asks for a body of %s: %x, want %x", what, got, no)
				}
			}
		}
	})
}

// whole syncs a board with a peer as if nothing of it was here, and returns what comes.
func (m *member) whole(from *Peer) map[keys.Digest]oplog.Pair {
	m.t.Helper()
	w := m.mustOpen(from, protocol.SyncID)
	write := func(typ protocol.SyncType, v any) {
		if _, err := w.Write(protocol.Frame(uint8(typ), keys.Marshal(v))); err != nil {
			m.t.Fatal(err)
		}
	}
	write(protocol.SyncHello, protocol.Hello{Entity: m.e.ID(), Hash: keys.Digest{1}})
	if typ, _, err := w.frame(); err != nil || typ != uint8(protocol.SyncVector) {
		m.t.Fatalf("frame %d, %v; want a vector", typ, err)
	}
	write(protocol.SyncOps, protocol.Ops{Ops: []oplog.Pair{}})
	write(protocol.SyncVector, protocol.VectorFrame{Heads: oplog.Vector{}})
	out := make(map[keys.Digest]oplog.Pair)
	for more := true; more; {
		var f protocol.Ops
		typ, payload, err := w.frame()
		if err != nil || typ != uint8(protocol.SyncOps) || protocol.DecodeSync(payload, &f) != nil {
			m.t.Fatalf("frame %d, %v; want operations", typ, err)
		}
		for _, p := range f.Ops {
			out[oplog.IDOf(p.Envelope)] = p
		}
		more = f.More
	}
	return out
}

// TestAttackBodyFlood: a member who wants what is not here, 256 at a time and without end,
// has a budget, and others are served beside it; one answer has four frames at most.
func TestAttackBodyFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, bob, m := bobAndMallory(t)
		eid := m.e.ID()
		var large []keys.Digest
		for i := range 60 {
			a, err := alice.Node.NewArticle(t.Context(), "dev", "", fmt.Sprint(i), strings.Repeat("x", 100<<10))
			if err != nil {
				t.Fatal(err)
			}
			large = append(large, a.ID)
		}
		n.Settle()
		w := m.mustOpen(alice, protocol.BodyID)
		if _, err := w.Write(wantFrame(eid, large...)); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(w.r)
		if frame := 800 << 10; err != nil || len(all) < 3*frame || len(all) > 4*frame+4096 {
			t.Errorf("for 6 MiB of bodies %d bytes came, %v; want four frames of 800 KiB", len(all), err)
		}

		before := storeKeys(t, alice)
		id := keys.Digest{1}
		many := make([]keys.Digest, protocol.MaxWanted+1)
		for i := range many {
			many[i] = keys.Digest(random(32))
		}
		for what, frame := range map[string][]byte{
			"none":             wantFrame(eid),
			"one more":         wantFrame(eid, many...),
			"the same twice":   wantFrame(eid, id, id),
			"a length of 2^31": {0x80, 0x80, 0x80, 0x80, 0x08, byte(protocol.BodyWant)},
			"an answer":        bodiesFrame(false),
			"no CBOR":          protocol.Frame(uint8(protocol.BodyWant), []byte{0xff}),
		} {
			m.mustOpen(alice, protocol.BodyID).refusedAtOnce(t, what, frame)
		}
		var flood sync.WaitGroup
		var mu sync.Mutex
		answered, refused := 0, 0
		for range 3 {
			flood.Go(func() {
				for range 300 {
					w, err := m.open(alice, protocol.BodyID)
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = w.Write(wantFrame(eid, many[1:]...))
					b, _ := io.ReadAll(w.r)
					_ = w.Close()
					mu.Lock()
					switch {
					case len(b) == 0:
						refused++
					case len(b) > protocol.MaxWanted*36:
						answered++
					default:
						t.Errorf("a want is answered with %x", b)
					}
					mu.Unlock()
				}
			})
		}
		served(t, n, alice, bob, "while one wants what is not here")
		flood.Wait()
		if answered < 400 || answered > 600 || refused == 0 {
			t.Errorf("%d answered and %d refused, want at most 600 a minute", answered, refused)
		}
		if now := storeKeys(t, alice); now < before {
			t.Errorf("alice's store went from %d to %d entries", before, now)
		}
		pass(time.Minute)
		if says, _ := saysOf(t, m.wants(alice, eid, id)); says != protocol.BodyNotHere {
			t.Errorf("after the minute: %d, want that it is not here", says)
		}
		_ = m.host.Close()
	})
}

// TestAttackPushWithoutBody: what is pushed without its body, or with another's, is refused
// with all that came along, known or not.
func TestAttackPushWithoutBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, bob, m := bobAndMallory(t)
		first := m.article(m.key, "first", nil)
		second := m.article(m.key, "second", func(d *oplog.Draft) {
			d.Seq, d.Prev, d.Parents = 1, first.ID(), []keys.Digest{first.ID()}
		})
		n.Settle()
		before, _ := boardOf(t, alice)
		without, swapped := second.WithoutBody().Pair(), second.Pair()
		swapped.Body = first.Body()
		withBody := m.e.Log().Heads(oplog.Control)[:1]
		control, _ := m.e.Log().Get(withBody[0])
		sticky := control.Pair()
		sticky.Body = first.Body()
		bad := map[string]oplog.Pair{"without its body": without, "with another's body": swapped, "a control operation with a body": sticky}
		for what, p := range bad {
			m.push(alice, m.e.ID(), first.Pair(), p)
			if now, articles := boardOf(t, alice); now != before || articles != 0 {
				t.Errorf("%s: alice went from %d to %d operations", what, before, now)
			}
		}
		m.push(alice, m.e.ID(), first.Pair())
		for what, p := range bad { // beside what she has
			m.push(alice, m.e.ID(), first.Pair(), p)
			if now, articles := boardOf(t, alice); now != before+1 || articles != 1 {
				t.Errorf("%s: alice went from %d to %d operations", what, before+1, now)
			}
		}
		m.push(alice, m.e.ID(), first.Pair(), second.Pair())
		n.Until(time.Minute, "both at bob", func() bool { return hasText(bob, first.ID(), "first") && hasText(bob, second.ID(), "second") })
		_ = m.host.Close()
	})
}

// TestAttackBodyBroughtBack: what was let go of does not come back because a member sends it
// once more.
func TestAttackBodyBroughtBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, alice, _, m := bobAndMallory(t)
		first := m.article(m.key, "first", nil)
		m.push(alice, m.e.ID(), first.Pair())
		if _, err := alice.Node.DeleteArticle(t.Context(), "dev", first.ID().String()); err != nil {
			t.Fatal(err)
		}
		was := finalOf(t, alice, "dev")
		remove(t, alice, "dev", "bob")
		n.Until(15*time.Minute, "a checkpoint", func() bool { return finalOf(t, alice, "dev") != was })
		looked(n)
		later(n, letGo)
		pass(2 * time.Minute)
		gone := func(when string) {
			t.Helper()
			if v := bodiesAt(t, alice, "dev"); v.LetGo != 1 || onDisk(t, alice, first.Body()) {
				t.Errorf("%s: alice shows %+v, on disk %v, want one let go of", when, v, onDisk(t, alice, first.Body()))
			}
		}
		gone("two weeks")
		m.push(alice, m.e.ID(), first.Pair())
		gone("sent again")
		_ = m.host.Close()
	})
}
