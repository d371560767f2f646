package node

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// friendWorld is a node and a claimant who is its friend, with all that
// init-friend-info is made of. The node made the link.
type friendWorld struct {
	t       *testing.T
	n       *Node
	c       claimant
	f       *held
	profile entity.Created
	board   entity.Created
}

func (c claimant) author() entity.Author {
	return entity.Author{Key: c.key, User: c.me.ID(), Now: time.Now()}
}

func newFriendWorld(t *testing.T, accept bool) *friendWorld {
	t.Helper()
	n, _ := target(t, nil)
	w := &friendWorld{t: t, n: n, c: newClaimant(t)}
	w.f = befriended(t, n, w.c, accept)
	w.profile = w.founds(w.c, entity.Genesis{Kind: entity.Profile})
	w.board = w.founds(w.c, personalBoard(true))
	return w
}

func personalBoard(personal bool) entity.Genesis {
	return entity.Genesis{Kind: entity.Board, Personal: personal, Policy: &entity.Policy{
		Join: entity.JoinFriends, History: entity.History{Mode: entity.HistoryAll},
	}}
}

// founds makes an entity of a claimant's.
func (w *friendWorld) founds(by claimant, g entity.Genesis) entity.Created {
	w.t.Helper()
	party := by.me.State().Party("friend")
	g.Founder = &party
	c, err := entity.CreateEntity(by.author(), g)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// approval admits the node's user to an entity, as by, and seals its key for the
// node.
func (w *friendWorld) approval(e entity.Created, by claimant) protocol.InfoApproval {
	w.t.Helper()
	if m, ok := e.State().Member(w.n.user); !ok || m.Standing != entity.Active {
		_, err := entity.ApproveJoinEntity(e.Entity, by.author(), entity.Keyring{e.Epoch: e.Key}, entity.Admission{
			Party: w.n.me.State().Party(""), Role: entity.RoleFor(e.State().Kind), Friend: new(w.f.ID()),
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	m, _ := e.State().Member(w.n.user)
	box, err := protocol.SealApproval(w.n.me.State().UserBox, w.f.ID(), e.ID(), by.key.ID(), w.n.device.ID(),
		protocol.BoxBody{Keys: []entity.EpochKey{{Epoch: e.Epoch, Key: e.Key.Secret()}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return protocol.InfoApproval{Entity: e.ID(), Admit: m.Admit, Logs: e.ControlStrand(), Box: box, Kind: e.State().Kind}
}

// honest is the body that an honest friend sends.
func (w *friendWorld) honest() protocol.InfoBody {
	return protocol.InfoBody{
		In: w.f.ID(), Step: protocol.InitFriendInfo, Ops: w.f.ControlStrand()[1:],
		Approvals: []protocol.InfoApproval{w.approval(w.profile, w.c), w.approval(w.board, w.c)},
	}
}

// recount has an approval say that its operations are all there are: what is forged about
// them shall not be found by their number.
func recount(ap *protocol.InfoApproval) {
	named := make(map[keys.Digest]bool)
	ap.Heads, ap.Ops, ap.Bytes = nil, uint64(len(ap.Logs)), 0
	for _, raw := range slices.Backward(ap.Logs) {
		ap.Bytes += uint64(len(raw))
		if id := oplog.IDOf(raw); !named[id] {
			ap.Heads = append(ap.Heads, id)
		}
		if o, err := oplog.Parse(raw); err == nil {
			for _, p := range o.Parents() {
				named[p] = true
			}
		}
	}
	slices.SortFunc(ap.Heads, compareDigests)
	ap.Heads = slices.Compact(ap.Heads)
}

// serve has the node serve one frame from a device.
func (w *friendWorld) serve(from keys.ID, frame []byte) (answer []byte, err error) {
	l := newLine(frame, false)
	err = w.n.serveInfo(w.t.Context(), l.stream(from))
	return l.sent(), err
}

func (w *friendWorld) send(by claimant, body protocol.InfoBody) (answer []byte, err error) {
	for i := range body.Approvals {
		recount(&body.Approvals[i])
	}
	m := protocol.SignInfo(by.key, w.n.device.ID(), body)
	return w.serve(by.key.ID(), protocol.Frame(uint8(body.Step), keys.Marshal(m)))
}

// nothing fails the test if the node took or handed out anything.
func (w *friendWorld) nothing(what string, answer []byte, err error) {
	w.t.Helper()
	if len(answer) > 0 && !bytes.Equal(answer, protocol.Encode(protocol.No{})) {
		w.t.Errorf("%s: answered with %d bytes", what, len(answer))
	}
	if len(answer) == 0 && err == nil {
		w.t.Errorf("%s: neither refused nor answered", what)
	}
	user := w.c.me.ID()
	if w.n.personal(user, entity.Profile) != nil || w.n.personal(user, entity.Board) != nil {
		w.t.Errorf("%s: the node joined something", what)
	}
	for _, id := range []keys.Digest{w.n.self.Profile, w.n.self.Board} {
		if m, ok := w.n.entities[id].State().Member(user); ok && m.Standing == entity.Active {
			w.t.Errorf("%s: the sender was let in", what)
		}
	}
}

// TestAttackFriendInfo: init-friend-info by who may not send it, or with what it may
// not bring. Nothing is joined, nobody is let in, no key leaves.
func TestAttackFriendInfo(t *testing.T) {
	w := newFriendWorld(t, true)
	n, c := w.n, w.c
	stranger, other := newClaimant(t), newClaimant(t)
	befriended(t, n, other, true) // known to the node, and no party of this friendship

	try := func(what string, by claimant, change func(*protocol.InfoBody)) {
		t.Helper()
		body := w.honest()
		if change != nil {
			change(&body)
		}
		answer, err := w.send(by, body)
		w.nothing(what, answer, err)
	}
	try("a stranger", stranger, nil)
	try("another friend", other, nil)
	try("another friend, who brings nothing", other, func(b *protocol.InfoBody) { b.Approvals = []protocol.InfoApproval{} })
	try("a stranger, who brings nothing", stranger, func(b *protocol.InfoBody) { b.Approvals = []protocol.InfoApproval{} })
	try("a friendship that does not exist", c, func(b *protocol.InfoBody) { b.In = keys.Digest{1} })
	try("a board for a friendship", c, func(b *protocol.InfoBody) { b.In = n.self.Board })
	try("the answer for the question", c, func(b *protocol.InfoBody) { b.Step = protocol.InitFriendInfoAck })
	try("an approval of a friendship", c, func(b *protocol.InfoBody) { b.Approvals[0].Kind = entity.Friend })
	try("one kind for another", c, func(b *protocol.InfoBody) { b.Approvals[0].Kind = entity.Board })
	try("a box that is not for us", c, func(b *protocol.InfoBody) { b.Approvals[0].Box = b.Approvals[1].Box })
	try("a log without its end", c, func(b *protocol.InfoBody) { b.Approvals[1].Logs = b.Approvals[1].Logs[:2] })
	try("another admit", c, func(b *protocol.InfoBody) { b.Approvals[1].Admit = b.Approvals[0].Admit })
	ordinary := w.founds(c, personalBoard(false))
	try("a board that is not personal", c, func(b *protocol.InfoBody) { b.Approvals[1] = w.approval(ordinary, c) })

	// A personal board of somebody else, in which the friend is an owner too.
	foreign := w.founds(stranger, personalBoard(true))
	party := c.me.State().Party("friend")
	if _, err := entity.ApproveJoinEntity(foreign.Entity, stranger.author(), entity.Keyring{foreign.Epoch: foreign.Key}, entity.Admission{
		Party: party, Role: entity.Member, Friend: new(w.f.ID()),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := foreign.Control(stranger.author(), oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party}); err != nil {
		t.Fatal(err)
	}
	try("somebody else's personal board", c, func(b *protocol.InfoBody) { b.Approvals[1] = w.approval(foreign, c) })

	// Frames.
	m := protocol.SignInfo(c.key, n.device.ID(), w.honest())
	spoiled := m
	spoiled.Sig[3] ^= 1
	toOther := protocol.SignInfo(c.key, stranger.key.ID(), w.honest())
	for what, frame := range map[string][]byte{
		"nothing":            nil,
		"another frame":      protocol.Frame(uint8(protocol.InitFriendInfoAck), keys.Marshal(m)),
		"no message":         protocol.Frame(uint8(protocol.InitFriendInfo), []byte{0xa0}),
		"a bad signature":    protocol.Frame(uint8(protocol.InitFriendInfo), keys.Marshal(spoiled)),
		"signed for another": protocol.Frame(uint8(protocol.InitFriendInfo), keys.Marshal(toOther)),
		"a frame of 2^31":    {0x80, 0x80, 0x80, 0x80, 0x08, 1},
		"half a frame":       protocol.Frame(uint8(protocol.InitFriendInfo), keys.Marshal(m))[:500],
	} {
		answer, err := w.serve(c.key.ID(), frame)
		w.nothing(what, answer, err)
	}
	answer, err := w.serve(other.key.ID(), protocol.Frame(uint8(protocol.InitFriendInfo), keys.Marshal(m)))
	w.nothing("sent on by another friend", answer, err)

	// And the honest one, after all of it.
	answer, err = w.send(c, w.honest())
	if err != nil || len(answer) < 500 || n.personal(c.me.ID(), entity.Profile) == nil || n.personal(c.me.ID(), entity.Board) == nil {
		t.Fatalf("the honest one: %d bytes, %v", len(answer), err)
	}
	if m, _ := w.f.State().Member(c.me.ID()); m.Role != entity.Master {
		t.Errorf("the friend is %v of the friendship, want master", m.Role)
	}
	if got := n.personal(c.me.ID(), entity.Board); got.ID() != w.board.ID() {
		t.Errorf("his personal board is %v, want %v", got.ID(), w.board.ID())
	}
	if len(n.friendships(n.user)) != 0 {
		t.Error("the node is its own friend")
	}
	// Again it is answered again, and nothing is doubled. What is no op is passed over.
	entities, entered := len(n.entities), n.me.Log().Len()
	body := w.honest()
	body.Ops = append(body.Ops, []byte("no op"), []byte{}, w.profile.ControlStrand()[0])
	if answer, err = w.send(c, body); err != nil || len(answer) < 500 {
		t.Errorf("again: %d bytes, %v", len(answer), err)
	}
	if eventsOf(n, "friend.added") != 1 || len(n.entities) != entities || n.me.Log().Len() != entered {
		t.Errorf("announced %d times, %d entities and %d entries more", eventsOf(n, "friend.added"), len(n.entities)-entities, n.me.Log().Len()-entered)
	}
}

// TestAttackFriendInfoEarly: before the friendship was accepted, and after it has
// ended, init-friend-info is answered like one for no friendship.
func TestAttackFriendInfoEarly(t *testing.T) {
	w := newFriendWorld(t, false)
	answer, err := w.send(w.c, w.honest())
	w.nothing("before it was accepted", answer, err)

	// Half of it is taken and is not yet a friend.
	w = newFriendWorld(t, true)
	body := w.honest()
	body.Approvals = body.Approvals[:1]
	if answer, err := w.send(w.c, body); err != nil || len(answer) < 500 || eventsOf(w.n, "friend.added") != 0 {
		t.Errorf("the profile alone: %d bytes, %v, announced %d times", len(answer), err, eventsOf(w.n, "friend.added"))
	}

	w = newFriendWorld(t, true)
	body = w.honest()
	if _, err := w.f.Control(w.c.author(), oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty}); err != nil {
		t.Fatal(err)
	}
	answer, err = w.send(w.c, body)
	w.nothing("after it has ended", answer, err)
}

// TestAttackFriendInfoAnswer: what comes back to init-friend-info is checked like
// what comes in.
func TestAttackFriendInfoAnswer(t *testing.T) {
	w := newFriendWorld(t, true)
	n, c, stranger := w.n, w.c, newClaimant(t)
	body := w.honest()
	ask := func(frame []byte) (protocol.InfoBody, error) {
		return n.exchangeInfo(newLine(frame, false).stream(c.key.ID()), body)
	}
	ack := w.honest()
	ack.Step = protocol.InitFriendInfoAck
	frame := func(by keys.Private, to keys.ID, b protocol.InfoBody) []byte {
		return protocol.Frame(uint8(b.Step), keys.Marshal(protocol.SignInfo(by, to, b)))
	}
	if got, err := ask(frame(c.key, n.device.ID(), ack)); err != nil || got.In != w.f.ID() || len(got.Approvals) != 2 {
		t.Fatalf("the honest answer: %+v, %v", got.In, err)
	}
	another, question := ack, body
	another.In = keys.Digest{1}
	for what, b := range map[string][]byte{
		"nothing":                nil,
		"NO":                     protocol.Encode(protocol.No{}),
		"the question":           frame(c.key, n.device.ID(), question),
		"another friendship":     frame(c.key, n.device.ID(), another),
		"signed by a stranger":   frame(stranger.key, n.device.ID(), ack),
		"signed for a stranger":  frame(c.key, stranger.key.ID(), ack),
		"the question as answer": protocol.Frame(uint8(protocol.InitFriendInfoAck), keys.Marshal(protocol.SignInfo(c.key, n.device.ID(), question))),
		"no message":             protocol.Frame(uint8(protocol.InitFriendInfoAck), []byte{0xa0}),
	} {
		if got, err := ask(b); err == nil {
			t.Errorf("%s was taken: %v", what, got.In)
		}
	}
}

// TestPersonal: a friend's personal board is the one that he founded as such, while
// we are in it.
func TestPersonal(t *testing.T) {
	w := newFriendWorld(t, true)
	n, user := w.n, w.c.me.ID()
	joins := func(e entity.Created) *held {
		t.Helper()
		w.approval(e, w.c)
		h := &held{Entity: e.Entity, ring: entity.Keyring{e.Epoch: e.Key}}
		n.entities[e.ID()] = h
		return h
	}
	joins(w.founds(w.c, personalBoard(false)))
	if n.personal(user, entity.Board) != nil || n.personal(user, entity.Profile) != nil {
		t.Error("an ordinary board of a friend counts as his personal one")
	}
	b := joins(w.board)
	if n.personal(user, entity.Board) != b || n.personal(user, entity.Profile) != nil {
		t.Error("his personal board is not found, or counts as his profile")
	}
	if err := n.LeaveBoard(t.Context(), b.ID().String()); err != nil {
		t.Fatal(err)
	}
	if n.personal(user, entity.Board) != nil {
		t.Error("a personal board that we left still counts")
	}
}

// TestNotAccepted: a friendship that was not accepted in time ends, once.
func TestNotAccepted(t *testing.T) {
	now := time.Now()
	n, _ := target(t, func(c *Config) { c.Now = func() time.Time { return now } })
	alive, waiting := befriended(t, n, newClaimant(t), true), befriended(t, n, newClaimant(t), false)
	inv, err := n.Invite(t.Context(), InviteOptions{Kind: "friend"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if err := n.sweep(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if waiting.State().Ended || eventsOf(n, "invite.expired") != 0 {
				t.Fatal("ended before its time")
			}
			now = now.Add(invite.ClaimLife(entity.Friend) + time.Second)
		}
	}
	ends := 0
	for o := range waiting.Log().All(oplog.Control) {
		if o.Family() == oplog.FamilyPolicy && o.Type() == entity.TypeEnd {
			ends++
		}
	}
	if ends != 1 || eventsOf(n, "friend.ended") != 1 || alive.State().Ended {
		t.Errorf("%d ends, %d announced; the accepted one ended: %v", ends, eventsOf(n, "friend.ended"), alive.State().Ended)
	}
	if v, err := n.InviteByID(inv.ID); err != nil || v.State != "expired" || eventsOf(n, "invite.expired") != 1 {
		t.Errorf("the link is %+v, %v, and was announced %d times", v, err, eventsOf(n, "invite.expired"))
	}
}

// TestCommitJoining: what a run brings for a request that its person ended
// meanwhile changes nothing.
func TestCommitJoining(t *testing.T) {
	n, _ := target(t, nil)
	link := invite.New(entity.Friend, keys.Digest{1}, keys.New().ID(), invite.Options{Expires: time.Now().Add(time.Hour)})
	refused := func(a invite.Attempt) bool {
		ev, ok := n.commitJoining(&protocol.Change{Attempt: &a}).(protocol.Refused)
		return ok && ev.Why == invite.RefusedCancelled
	}
	if a := invite.NewAttempt("r-none", link, "", time.Now()); !refused(a) || len(n.attempts) != 0 {
		t.Error("a run of a request that is not there")
	}
	v, err := n.Join(t.Context(), link.URL(), "")
	if err != nil {
		t.Fatal(err)
	}
	running := n.attempts[v.ID].Connecting(time.Now())
	if refused(running) {
		t.Error("a running one was refused")
	}
	checked, err := running.Checked(time.Now(), keys.Digest{1}, keys.Digest{1}, "alice")
	if err != nil {
		t.Fatal(err)
	}
	sent := checked.Sent(time.Now(), keys.Digest{2}, "123456")
	n.commitJoining(&protocol.Change{Attempt: &sent})
	if _, err := n.Cancel(t.Context(), v.ID); err != nil {
		t.Fatal(err)
	}
	waiting, err := sent.Pending(time.Now(), keys.Digest{2}, invite.OK)
	if err != nil {
		t.Fatal(err)
	}
	if !refused(waiting) || n.attempts[v.ID].State != invite.AttemptCancelled || !n.attempts[v.ID].Withdrawing() {
		t.Errorf("a run that is told to wait brought a cancelled request back: %v", n.attempts[v.ID].State)
	}
	told := n.attempts[v.ID].Withdrawn()
	if refused(told) || n.attempts[v.ID].Withdrawing() {
		t.Error("the withdrawal itself was refused")
	}
	if !refused(waiting) || n.attempts[v.ID].State != invite.AttemptCancelled {
		t.Error("a late run brought an ended request back")
	}
	if _, err := n.Retry(t.Context(), v.ID); err == nil {
		t.Error("an ended request was begun again")
	}
}

// TestCommitJoiningFails: a change that is not durable is refused, so that the run
// says nothing that rests on it.
func TestCommitJoiningFails(t *testing.T) {
	b := newBrittle()
	n := targetOn(t, b, nil)
	link := invite.New(entity.Friend, keys.Digest{1}, keys.New().ID(), invite.Options{Expires: time.Now().Add(time.Hour)})
	v, err := n.Join(t.Context(), link.URL(), "")
	if err != nil {
		t.Fatal(err)
	}
	a := n.attempts[v.ID].Connecting(time.Now())
	b.set(func() { b.fail = errors.New("EIO") })
	if ev, ok := n.commitJoining(&protocol.Change{Attempt: &a}).(protocol.Refused); !ok || ev.Why != invite.RefusedDiskFull {
		t.Errorf("a change that was not durable: %+v, want disk_full", ev)
	}
	if got := healthCodes(n); !slices.Equal(got, []string{"disk_full"}) {
		t.Errorf("health: %v", got)
	}
}
