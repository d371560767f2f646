package node

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// line is a stream in memory between a test and one handler of a node.
type line struct {
	*fakeStream
	in    io.Reader
	mu    sync.Mutex
	out   bytes.Buffer
	reset bool
	ended chan struct{}
	once  sync.Once
}

// newLine returns a line on which in is read and then, unless it is to hang, its
// end.
func newLine(in []byte, hang bool) *line {
	l := &line{fakeStream: &fakeStream{}, ended: make(chan struct{})}
	l.in = bytes.NewReader(in)
	if hang {
		l.in = io.MultiReader(l.in, readerFunc(func([]byte) (int, error) { <-l.ended; return 0, io.EOF }))
	}
	return l
}

type readerFunc func([]byte) (int, error)

// Read calls f.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Read reads what the test sent.
func (l *line) Read(p []byte) (int, error) { return l.in.Read(p) }

// Write keeps what the node sent.
func (l *line) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

// Close ends the line.
func (l *line) Close() error { l.once.Do(func() { close(l.ended) }); return nil }

// Reset ends the line and is remembered.
func (l *line) Reset() error {
	l.mu.Lock()
	l.reset = true
	l.mu.Unlock()
	return l.Close()
}

// SetReadDeadline ends a line that hangs when the time is over at once.
func (l *line) SetReadDeadline(at time.Time) error {
	if !at.IsZero() && time.Until(at) <= 0 {
		return l.Close()
	}
	return nil
}

func (l *line) sent() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.out.Bytes())
}

// stream returns the line as a handler gets it from a device.
func (l *line) stream(from keys.ID) *stream {
	return &stream{Stream: l, rw: l, r: bufio.NewReader(l), peer: from}
}

// boardTarget returns a node with a board, and a link to it.
func boardTarget(t *testing.T, o InviteOptions) (*Node, *held, InviteView) {
	t.Helper()
	n, _ := target(t, nil)
	b, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	o.Kind, o.Board = "board", "dev"
	inv, err := n.Invite(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return n, n.entities[b.ID], inv
}

// TestServeJoinLimits: what is refused before a machine is made, and what is given
// back when one has ended.
func TestServeJoinLimits(t *testing.T) {
	n, _, inv := boardTarget(t, InviteOptions{})
	iid := n.invites[inv.ID].IID
	peer := keys.ID{1}
	join := protocol.Frame(uint8(protocol.TypeJoin), joinPayload(iid))

	l := newLine(join, false) // and then the requester is gone
	if err := n.serveJoin(t.Context(), l.stream(peer)); err == nil || len(l.sent()) < 100 {
		t.Errorf("JOIN and no more: %v, answered with %d bytes; want ACK-CHALLENGE", err, len(l.sent()))
	}
	if got := n.spending.of[account{joinsOfPeer, peer.String()}]; n.live != 0 || got == nil || got.count != 1 {
		t.Errorf("afterwards %d joins are live, and %+v was charged", n.live, got)
	}

	n.live = maxLiveJoins
	l = newLine(join, false)
	if err := n.serveJoin(t.Context(), l.stream(keys.ID{2})); !errors.Is(err, errBusy) || len(l.sent()) != 0 || !l.reset {
		t.Errorf("one join too many: %v, answered with %x, reset %v", err, l.sent(), l.reset)
	}
	if n.live != maxLiveJoins {
		t.Errorf("a refused join left %d", n.live)
	}
	n.live = 0

	n.spending.of[account{joinsOfPeer, peer.String()}].count = budgets[joinsOfPeer].most
	l = newLine(join, false)
	if err := n.serveJoin(t.Context(), l.stream(peer)); !errors.Is(err, errBusy) || len(l.sent()) != 0 {
		t.Errorf("a peer over its rate: %v, answered with %x", err, l.sent())
	}

	// Nothing but JOIN may come first: the room of a larger frame is not even taken.
	for typ := range uint8(7) {
		if protocol.Type(typ) == protocol.TypeJoin {
			continue
		}
		l := newLine(protocol.Frame(typ, make([]byte, 1000)), false)
		if err := n.serveJoin(t.Context(), l.stream(keys.ID{3})); err == nil || len(l.sent()) != 0 || l.most != 0 {
			t.Errorf("a frame %d first: %v, answered with %x, %d bytes taken", typ, err, l.sent(), l.most)
		}
		if _, in, err := n.answerJoin(keys.ID{3}, typ, []byte{0xa0}); err == nil || in != nil {
			t.Errorf("a frame %d looked up: %v, %v", typ, in, err)
		}
	}
	if _, in, err := n.answerJoin(keys.ID{3}, uint8(protocol.TypeJoin), []byte{0xa1}); err == nil || in != nil {
		t.Errorf("a JOIN that does not parse: %v, %v", in, err)
	}
}

// TestParkedHearsAll: a run hears of its decision, made before it was parked, while
// it waits, or made void by what happened since.
func TestParkedHearsAll(t *testing.T) {
	n, h, inv := boardTarget(t, InviteOptions{Uses: 5})
	reserved := func(c claimant) invite.Claim {
		t.Helper()
		ev, ok := n.commitInviting(c.key.ID(), inv.ID, c.reserve(h)).(protocol.Committed)
		if !ok || ev.Claim.State != invite.Reserved {
			t.Fatalf("%+v", ev)
		}
		return ev.Claim
	}
	heard := func(inbox chan protocol.Event) protocol.Decided {
		t.Helper()
		select {
		case ev := <-inbox:
			return ev.(protocol.Decided)
		default:
			t.Fatal("nothing was heard")
		}
		return protocol.Decided{}
	}

	c := reserved(newClaimant(t))
	if _, err := n.Reject(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	inbox := make(chan protocol.Event, 1)
	n.park(c.JoinID, inv.ID, inbox)
	if got := heard(inbox); got.Claim.State != invite.Denied || len(n.parked) != 0 {
		t.Errorf("decided before it was parked: %v", got.Claim.State)
	}

	c = reserved(newClaimant(t))
	n.park(c.JoinID, inv.ID, inbox)
	if _, err := n.Approve(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if got := heard(inbox); got.Claim.State != invite.Approved || got.Grant == nil {
		t.Errorf("approved while it waited: %+v", got)
	}
	n.park(c.JoinID, inv.ID, inbox)
	<-inbox
	n.park(keys.Digest{1}, inv.ID, inbox)
	n.unpark(keys.Digest{1}, inbox)
	if len(n.parked) != 0 {
		t.Error("who ended is still parked")
	}

	// Approved, and gone again before the run heard of it: no keys.
	who := newClaimant(t)
	c = reserved(who)
	if _, err := n.Approve(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	leave(t, h, who)
	n.park(c.JoinID, inv.ID, inbox)
	if got := heard(inbox); got.Claim.State != invite.Denied || got.Claim.Reason != invite.RefusedRemoved || got.Grant != nil {
		t.Errorf("approved and gone: %v %v, keys %v; want removed", got.Claim.State, got.Claim.Reason, got.Grant != nil)
	}
	if ev, ok := n.commitInviting(who.key.ID(), inv.ID, who.reserve(h)).(protocol.Refused); !ok || ev.Why != invite.RefusedRemoved {
		t.Errorf("he comes back: %+v, want removed", ev)
	}
}

// leave has a member leave a board, as if his op had come by sync.
func leave(t *testing.T, h *held, c claimant) {
	t.Helper()
	heads := h.Log().Heads(oplog.Control)
	leaveAt(t, h, c, heads[:min(len(heads), oplog.MaxParents)])
}

func leaveAt(t *testing.T, h *held, c claimant, parents []keys.Digest) {
	t.Helper()
	if _, err := h.Add(leaving(t, h, c, parents)); err != nil {
		t.Fatal(err)
	}
}

// leaving is a member's leave of a board, which nobody has yet.
func leaving(t *testing.T, h *held, c claimant, parents []keys.Digest) oplog.Op {
	t.Helper()
	o, err := oplog.Sign(c.key, oplog.Draft{
		Entity: h.ID(), User: c.me.ID(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: entity.TypeLeave,
		Parents: parents, At: time.Now(), Body: keys.Marshal(entity.Leave{Cuts: []entity.Cut{}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestInvitingManyHeads: a card names no more heads than a requester takes.
func TestInvitingManyHeads(t *testing.T) {
	n, h, inv := boardTarget(t, InviteOptions{Uses: 100})
	var all []claimant
	for range oplog.MaxParents + 4 {
		c := newClaimant(t)
		ev := n.commitInviting(c.key.ID(), inv.ID, c.reserve(h)).(protocol.Committed)
		if _, err := n.Approve(t.Context(), ev.Claim.ID); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	base := h.Log().Heads(oplog.Control)
	for _, c := range all {
		leaveAt(t, h, c, base)
	}
	if got := len(h.Log().Heads(oplog.Control)); got <= oplog.MaxParents {
		t.Fatalf("only %d heads", got)
	}
	_, in, err := n.answerJoin(keys.ID{1}, uint8(protocol.TypeJoin), joinPayload(n.invites[inv.ID].IID))
	if err != nil || in == nil || len(in.Card.Heads) != oplog.MaxParents {
		t.Errorf("%v, a card with %d heads, want %d", err, len(in.Card.Heads), oplog.MaxParents)
	}
}

// eventsOf counts the journal's entries of a type.
func eventsOf(n *Node, typ string) (count int) {
	events, _ := n.Events(0, 0)
	for _, e := range events {
		if e.Type == typ {
			count++
		}
	}
	return count
}

// asks has a claimant ask by a link, and returns why he is refused.
func asks(t *testing.T, n *Node, h *held, c claimant, record string) invite.Code {
	t.Helper()
	switch ev := n.commitInviting(c.key.ID(), record, c.reserve(h)).(type) {
	case protocol.Refused:
		return ev.Why
	case protocol.Committed:
		return ev.Refuse
	}
	t.Fatal("no answer")
	return invite.OK
}

// TestReserveConditions: who may not ask at all, and what the journal says of those
// who ask.
func TestReserveConditions(t *testing.T) {
	now := time.Now()
	n, _ := target(t, func(c *Config) { c.Now = func() time.Time { return now } })
	refused := func(record string, c claimant, h *held) invite.Code {
		t.Helper()
		return asks(t, n, h, c, record)
	}
	friend, err := n.Invite(t.Context(), InviteOptions{Kind: "friend", Uses: 3})
	if err != nil {
		t.Fatal(err)
	}
	open, err := n.CreateBoard(t.Context(), BoardOptions{Name: "open", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	closed, err := n.CreateBoard(t.Context(), BoardOptions{Name: "closed"})
	if err != nil {
		t.Fatal(err)
	}
	link := func(board string) string {
		t.Helper()
		inv, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: board, Uses: 3, Auto: true})
		if err != nil {
			t.Fatal(err)
		}
		return inv.ID
	}
	toOpen, toClosed := link("open"), link("closed")
	self, stranger := claimant{n.me.Entity, n.device}, newClaimant(t)
	h, hc := n.entities[open.ID], n.entities[closed.ID]

	if got := refused("i-none", stranger, h); got != invite.RefusedUnknown {
		t.Errorf("an invite that is not there: %v", got)
	}
	if got := refused(friend.ID, self, h); got != invite.RefusedIdentity {
		t.Errorf("one's own friend: %v", got)
	}
	if got := refused(toOpen, self, h); got != invite.RefusedAlreadyMember {
		t.Errorf("a member: %v", got)
	}
	if got := refused(toClosed, stranger, hc); got != invite.RefusedNotFriend {
		t.Errorf("a board for friends: %v", got)
	}
	if got := eventsOf(n, "request.in"); got != 0 {
		t.Errorf("%d requests were announced of those who may not ask", got)
	}
	// A policy that changed since the card.
	stale := stranger.reserve(h)
	stale.Policy = make([]byte, 32)
	if ev, ok := n.commitInviting(stranger.key.ID(), toOpen, stale).(protocol.Committed); !ok || ev.Refuse != invite.RefusedPolicyChanged {
		t.Errorf("another policy than the card's: %+v", ev)
	}
	if got := refused(toOpen, stranger, h); got != invite.OK {
		t.Fatalf("the honest one: %v", got)
	}
	if got := refused(toOpen, stranger, h); got != invite.OK || eventsOf(n, "request.in") != 1 {
		t.Errorf("again: %v, announced %d times", got, eventsOf(n, "request.in"))
	}
	// Withdrawn: it is journalled, once, and beats a later approval.
	id := invite.JoinID(n.invites[toOpen].Ref, stranger.me.ID(), stranger.key.ID())
	for range 2 {
		n.commitInviting(stranger.key.ID(), toOpen, &protocol.Change{Withdraw: &id})
	}
	if ev, ok := n.commitInviting(stranger.key.ID(), toOpen, &protocol.Change{Approve: &id}).(protocol.Committed); !ok || ev.Grant != nil ||
		len(admitsOf(h)) != 0 || eventsOf(n, "request.decided") == 0 {
		t.Errorf("withdrawn, then approved: %+v, %d admits", ev, len(admitsOf(h)))
	}
	// Too late: the link says so, and the journal too, without a request.
	now = now.Add(40 * 24 * time.Hour)
	in := eventsOf(n, "request.in")
	if got := refused(toOpen, newClaimant(t), h); got != invite.RefusedExpired {
		t.Errorf("too late: %v", got)
	}
	if eventsOf(n, "invite.expired") != 1 || eventsOf(n, "request.in") != in {
		t.Errorf("%d links were announced as expired, %d requests more", eventsOf(n, "invite.expired"), eventsOf(n, "request.in")-in)
	}
}

// TestDecideConditions: the conditions hold again when a person decides.
func TestDecideConditions(t *testing.T) {
	n, h, inv := boardTarget(t, InviteOptions{Uses: 5})
	second, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev", Uses: 5})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(c claimant, record string) string {
		t.Helper()
		ev, ok := n.commitInviting(c.key.ID(), record, c.reserve(h)).(protocol.Committed)
		if !ok {
			t.Fatalf("%+v", ev)
		}
		return ev.Claim.ID
	}
	twice, late := newClaimant(t), newClaimant(t)
	third, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev", Uses: 5})
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := ask(twice, inv.ID), ask(twice, second.ID), ask(twice, third.ID)
	other := ask(late, inv.ID)
	if _, err := n.Approve(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Approve(t.Context(), b); code(t, err) != "already_member" {
		t.Errorf("a member approved again, through another link: %v", err)
	}
	if v, err := n.Approve(t.Context(), a); err != nil || v.State != "approved" {
		t.Errorf("approved again as before: %+v, %v", v, err)
	}
	for _, id := range []string{b, c} {
		if v, err := n.Reject(t.Context(), id); err != nil || v.State != "rejected" {
			t.Errorf("rejecting a member's further request: %+v, %v", v, err)
		}
	}
	if got := admitsOf(h); len(got) != 1 {
		t.Errorf("%d admits", len(got))
	}
	if _, err := n.Approve(t.Context(), "r-none"); code(t, err) != "not_found" {
		t.Errorf("a request that is not there: %v", err)
	}
	if _, err := n.Reject(t.Context(), a); code(t, err) != "already_approved" {
		t.Errorf("reject what was approved: %v", err)
	}
	// The board ends: nobody is admitted any more, and the link proves nothing.
	o, err := h.Control(entity.Author{Key: n.device, User: n.user, Now: time.Now()}, oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
	if err != nil || o.IsZero() {
		t.Fatal(err)
	}
	if _, err := n.Approve(t.Context(), other); code(t, err) != "not_owner" {
		t.Errorf("approve on a board that has ended: %v", err)
	}
	if _, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev"}); code(t, err) != "not_owner" {
		t.Errorf("invite to a board that has ended: %v", err)
	}
	if got := admitsOf(h); len(got) != 1 {
		t.Errorf("%d admits", len(got))
	}
}

// TestDecideLate: approving what waited too long ends it, durably, and admits
// nobody. What cannot be admitted stays undecided.
func TestDecideLate(t *testing.T) {
	now := time.Now()
	n, _ := target(t, func(c *Config) { c.Now = func() time.Time { return now } })
	if _, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"}); err != nil {
		t.Fatal(err)
	}
	inv, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev", Uses: 5})
	if err != nil {
		t.Fatal(err)
	}
	h := n.entities[n.invites[inv.ID].EID]
	late, broken := newClaimant(t), newClaimant(t)
	ev := n.commitInviting(late.key.ID(), inv.ID, late.reserve(h)).(protocol.Committed)
	change := broken.reserve(h)
	change.Reserve.Devices = nil // as no Inviter would pass it on
	bad := n.commitInviting(broken.key.ID(), inv.ID, change).(protocol.Committed)
	if _, err := n.Approve(t.Context(), bad.Claim.ID); code(t, err) != "internal" {
		t.Errorf("a claim that no log takes: %v", err)
	}
	if v, err := n.Request(bad.Claim.ID); err != nil || v.State != "new" || len(admitsOf(h)) != 0 {
		t.Errorf("afterwards it is %+v, %v, with %d admits", v, err, len(admitsOf(h)))
	}
	now = now.Add(invite.ClaimLife(entity.Board))
	if _, err := n.Approve(t.Context(), ev.Claim.ID); code(t, err) != "expired" {
		t.Errorf("approved after its deadline: %v", err)
	}
	if v, err := n.Request(ev.Claim.ID); err != nil || v.State != "expired" || len(admitsOf(h)) != 0 || eventsOf(n, "request.decided") != 1 {
		t.Errorf("afterwards it is %+v, %v, with %d admits", v, err, len(admitsOf(h)))
	}
	now = now.Add(-24 * time.Hour)
	if _, err := n.Approve(t.Context(), ev.Claim.ID); code(t, err) != "expired" {
		t.Errorf("with the clock set back: %v", err)
	}
}

// befriended has a claimant become a friend of a node, up to what is asked for.
func befriended(t *testing.T, n *Node, c claimant, accept bool) *held {
	t.Helper()
	inv, err := n.Invite(t.Context(), InviteOptions{Kind: "friend"})
	if err != nil {
		t.Fatal(err)
	}
	ev, ok := n.commitInviting(c.key.ID(), inv.ID, c.reserve(n.entities[n.self.Board])).(protocol.Committed)
	if !ok || ev.Refuse != invite.OK {
		t.Fatalf("%+v", ev)
	}
	if _, err := n.Approve(t.Context(), ev.Claim.ID); err != nil {
		t.Fatal(err)
	}
	f := n.friendship(c.me.ID())
	if accept {
		accepts(t, f, c)
	}
	return f
}

func accepts(t *testing.T, f *held, c claimant) {
	t.Helper()
	o, err := oplog.Sign(c.key, oplog.Draft{
		Entity: f.ID(), User: c.me.ID(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: entity.TypeAccept,
		Parents: f.Log().Heads(oplog.Control), At: time.Now(), Body: keys.Marshal(entity.Accept{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Add(o); err != nil {
		t.Fatal(err)
	}
}

// TestFriendsConditions: who counts as a friend, for a further link and for a board
// that takes friends only.
func TestFriendsConditions(t *testing.T) {
	n, _ := target(t, nil)
	b, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	board, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev", Uses: 9})
	if err != nil {
		t.Fatal(err)
	}
	again, err := n.Invite(t.Context(), InviteOptions{Kind: "friend", Uses: 9})
	if err != nil {
		t.Fatal(err)
	}
	h, c := n.entities[b.ID], newClaimant(t)
	ask := func(record string) invite.Code {
		t.Helper()
		return asks(t, n, h, c, record)
	}
	f := befriended(t, n, c, false)
	if got := ask(board.ID); got != invite.RefusedNotFriend {
		t.Errorf("a friendship that was not accepted opens a board: %v", got)
	}
	if got := ask(again.ID); got != invite.OK {
		t.Errorf("a friendship that was not accepted forbids a further one: %v", got)
	}
	accepts(t, f, c)
	if got := ask(board.ID); got != invite.OK {
		t.Errorf("a friend may not ask: %v", got)
	}
	third, err := n.Invite(t.Context(), InviteOptions{Kind: "friend"})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(third.ID); got != invite.RefusedAlreadyFriends {
		t.Errorf("a friend becomes one again: %v", got)
	}
	o, err := f.Control(entity.Author{Key: n.device, User: n.user, Now: time.Now()}, oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty})
	if err != nil || o.IsZero() {
		t.Fatal(err)
	}
	if n.isParty(f, c.key.ID()) {
		t.Error("a former friend is still listened to")
	}
	other, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(other.ID); got != invite.RefusedNotFriend {
		t.Errorf("a former friend asks: %v", got)
	}
}

// TestGrantConditions: what an approval hands over, and to whom.
func TestGrantConditions(t *testing.T) {
	n, h, inv := boardTarget(t, InviteOptions{Auto: true, Uses: 5})
	second, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev", Auto: true, Uses: 5})
	if err != nil {
		t.Fatal(err)
	}
	c := newClaimant(t)
	enter := func(record string) protocol.Event {
		t.Helper()
		ev, ok := n.commitInviting(c.key.ID(), record, c.reserve(h)).(protocol.Committed)
		if !ok || ev.Refuse != invite.OK {
			t.Fatalf("%+v", ev)
		}
		return n.commitInviting(c.key.ID(), record, &protocol.Change{Approve: &ev.Claim.JoinID})
	}
	if ev, ok := enter(inv.ID).(protocol.Committed); !ok || ev.Grant == nil {
		t.Fatalf("%+v", ev)
	}
	leave(t, h, c)
	if ev, ok := enter(second.ID).(protocol.Committed); !ok || ev.Grant == nil {
		t.Fatalf("back again: %+v", ev)
	}
	if ev, ok := n.commitInviting(c.key.ID(), inv.ID, c.reserve(h)).(protocol.Refused); !ok || ev.Why != invite.RefusedRemoved {
		t.Errorf("the claim of before he left: %+v, want removed", ev)
	}
	// Of a log that no frame holds the beginning is sent, with how much there is.
	for range protocol.MaxLogs/(60<<10) + 1 {
		_, err := h.Control(entity.Author{Key: n.device, User: n.user, Now: time.Now()}, oplog.FamilyPolicy, entity.TypeDescription,
			entity.Text{Text: strings.Repeat("x", 60<<10)})
		if err != nil {
			t.Fatal(err)
		}
	}
	ev, ok := n.commitInviting(c.key.ID(), second.ID, c.reserve(h)).(protocol.Committed)
	if !ok || ev.Grant == nil {
		t.Fatalf("a log of 900 KiB: %+v", ev)
	}
	size := uint64(0)
	for _, raw := range ev.Grant.Logs {
		size += uint64(len(raw))
	}
	if s := ev.Grant.Strand; size > protocol.MaxLogs || s.Bytes <= protocol.MaxLogs || s.Ops <= uint64(len(ev.Grant.Logs)) || !h.Holds(s.Heads) {
		t.Errorf("a log of 900 KiB: %d bytes in %d ops are sent of %+v", size, len(ev.Grant.Logs), s)
	}
}

// TestNotOwner: an invite to a board of somebody else lets nobody in, however it
// came about.
func TestNotOwner(t *testing.T) {
	n, _ := target(t, nil)
	other, c := newClaimant(t), newClaimant(t)
	policy := entity.Policy{Join: entity.JoinLink, History: entity.History{Mode: entity.HistoryAll}}
	board, err := entity.CreateEntity(entity.Author{Key: other.key, User: other.me.ID(), Now: time.Now()}, entity.Genesis{
		Kind: entity.Board, Founder: new(other.me.State().Party("other")), Name: "other", Policy: &policy,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &held{Entity: board.Entity, ring: entity.Keyring{board.Epoch: board.Key}}
	n.entities[board.ID()] = h
	l := invite.New(entity.Board, board.ID(), n.device.ID(), invite.Options{Expires: time.Now().Add(time.Hour)})
	r := invite.NewRecord("i-9", l, board.ID(), invite.Terms{Created: time.Now(), Role: entity.Member})
	n.invites[r.ID], n.byIID[r.IID] = r, r.ID
	if _, in, err := n.answerJoin(keys.ID{1}, uint8(protocol.TypeJoin), joinPayload(r.IID)); in != nil || err != nil {
		t.Errorf("a JOIN is answered: %v, %v", in, err)
	}
	if ev, ok := n.commitInviting(c.key.ID(), r.ID, c.reserve(h)).(protocol.Refused); !ok || ev.Why != invite.RefusedNotOwner {
		t.Errorf("a claim: %+v, want not_owner", ev)
	}
	if _, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: board.ID().String()}); err == nil {
		t.Error("a link to a board of somebody else was made")
	}
}

// TestJoinRefuses: what is no link for this command is refused before anything is
// stored: also one that would add this device to somebody's identity.
func TestJoinRefuses(t *testing.T) {
	n, _, inv := boardTarget(t, InviteOptions{})
	device := invite.New(entity.Me, n.user, keys.New().ID(), invite.Options{Expires: time.Now().Add(time.Minute)})
	friend := invite.New(entity.Friend, keys.Digest{1}, keys.New().ID(), invite.Options{Expires: time.Now().Add(time.Hour)}).URL()
	for what, c := range map[string]struct{ text, note, code string }{
		"a device link":   {device.URL(), "", "device_link_here"},
		"one's own":       {inv.Link, "", "link_own"},
		"half a link":     {friend[:len(friend)/2], "", "link_incomplete"},
		"no link":         {"hello", "", "link_not_pttnode"},
		"another kind":    {strings.Replace(friend, "friend/", "board/", 1), "", "link_kind"},
		"two links":       {friend + " or " + inv.Link, "", "link_several"},
		"a note too long": {friend, strings.Repeat("x", invite.MaxNote+1), "too_long"},
		"megabytes of it": {strings.Repeat(friend, 20_000), "", "link_not_pttnode"},
	} {
		if _, err := n.Join(t.Context(), c.text, c.note); code(t, err) != c.code {
			t.Errorf("%s: %q, want %s", what, code(t, err), c.code)
		}
	}
	if len(n.attempts) != 0 {
		t.Errorf("%d requests were stored", len(n.attempts))
	}
	a, err := n.Join(t.Context(), friend, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := n.Join(t.Context(), strings.ToUpper(friend[:4])+friend[4:], "")
	if err != nil || b.ID != a.ID || len(n.attempts) != 1 {
		t.Errorf("the same link again: %v, %s and %s, %d requests", err, a.ID, b.ID, len(n.attempts))
	}
}

// TestInviteRefuses: no link that nobody should have.
func TestInviteRefuses(t *testing.T) {
	n, _, _ := boardTarget(t, InviteOptions{})
	for what, c := range map[string]struct {
		o    InviteOptions
		code string
	}{
		"a friend approved unseen":  {InviteOptions{Kind: "friend", Auto: true}, "usage"},
		"a device approved unseen":  {InviteOptions{Kind: "device", Auto: true}, "usage"},
		"two devices":               {InviteOptions{Kind: "device", Uses: 2}, "usage"},
		"a device for a friend":     {InviteOptions{Kind: "device", For: "bob"}, "usage"},
		"a device with a role":      {InviteOptions{Kind: "device", Role: "reader"}, "usage"},
		"something else":            {InviteOptions{Kind: "me"}, "usage"},
		"no end of uses":            {InviteOptions{Kind: "friend", Uses: invite.MaxUses + 1}, "usage"},
		"less than a use":           {InviteOptions{Kind: "friend", Uses: -1}, "usage"},
		"uses beyond a byte":        {InviteOptions{Kind: "friend", Uses: 257}, "usage"},
		"a year":                    {InviteOptions{Kind: "friend", Expires: 365 * 24 * time.Hour}, "usage"},
		"a link that is over":       {InviteOptions{Kind: "friend", Expires: -time.Hour}, "usage"},
		"a friend with a role":      {InviteOptions{Kind: "friend", Role: "reader"}, "usage"},
		"an owner":                  {InviteOptions{Kind: "board", Board: "dev", Role: "owner"}, "usage"},
		"the personal board":        {InviteOptions{Kind: "board", Board: "@alice"}, "not_owner"},
		"half the history":          {InviteOptions{Kind: "board", Board: "dev", History: "half"}, "usage"},
		"a history of no time":      {InviteOptions{Kind: "board", Board: "dev", History: "last:0"}, "usage"},
		"a friend with a history":   {InviteOptions{Kind: "friend", History: "all"}, "usage"},
		"a note of a book":          {InviteOptions{Kind: "friend", Note: strings.Repeat("x", invite.MaxNote+1)}, "usage"},
		"for somebody unknown":      {InviteOptions{Kind: "friend", For: "nobody"}, "not_found"},
		"a board that is not there": {InviteOptions{Kind: "board", Board: "none"}, "not_found"},
	} {
		if v, err := n.Invite(t.Context(), c.o); code(t, err) != c.code || v.Link != "" {
			t.Errorf("%s: %q, want %s", what, code(t, err), c.code)
		}
	}
	if got := len(n.invites); got != 1 {
		t.Errorf("%d invites, want the one of the beginning", got)
	}
}

// TestInviteFor: --for names a friend, by what identifies him alone.
func TestInviteFor(t *testing.T) {
	n, _ := target(t, nil)
	c := newClaimant(t)
	f := befriended(t, n, c, true)
	bound := func(who string) (string, *[16]byte) {
		t.Helper()
		v, err := n.Invite(t.Context(), InviteOptions{Kind: "friend", For: who, Auto: true})
		return code(t, err), n.invites[v.ID].Bound
	}
	user, stranger := c.me.ID(), keys.Digest{7}
	for who, want := range map[string]keys.Digest{"racer": user, user.String(): user, stranger.String(): stranger} {
		if got, id := bound(who); got != "" || id == nil || *id != [16]byte(want[:16]) {
			t.Errorf("for %s: %q, bound to %x", who, got, id)
		}
	}
	other := befriended(t, n, newClaimant(t), true) // of the same name
	if got, _ := bound("racer"); got != "ambiguous" {
		t.Errorf("for one of two: %q, want ambiguous", got)
	}
	for _, h := range []*held{f, other} {
		if _, err := h.Control(entity.Author{Key: n.device, User: n.user, Now: time.Now()}, oplog.FamilyPolicy, entity.TypeEnd, entity.End{Reason: entity.EndByParty}); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := bound("racer"); got != "not_found" {
		t.Errorf("for a former friend, by name: %q, want not_found", got)
	}
	if got, _ := bound("@alice"); got != "not_found" {
		t.Errorf("for a board: %q, want not_found", got)
	}
}

// TestWhoSpeaksForAnEntity: a device that speaks for nobody, or only for ourselves,
// shares nothing, and brings nothing.
func TestWhoSpeaksForAnEntity(t *testing.T) {
	n, h, _ := boardTarget(t, InviteOptions{})
	c := newClaimant(t)
	enters(t, n, h, c)
	own, member, stranger := n.device.ID(), c.key.ID(), keys.ID{9}
	for who, want := range map[keys.ID]bool{own: false, member: true, stranger: false} {
		if got := n.shares(h.ID(), who); got != want {
			t.Errorf("shares with %v: %v", who, got)
		}
		if got := slices.Contains(n.sharedWith(who), h.ID()); got != want {
			t.Errorf("shared with %v: %v", who, got)
		}
	}
	if n.shares(keys.Digest{1}, member) {
		t.Error("what does not exist is shared")
	}
	o := leaving(t, h, c, h.Log().Heads(oplog.Control))
	before := h.Log().Len()
	for _, from := range []keys.ID{own, stranger} {
		if _, err := n.take(h.ID(), from, []oplog.Pair{o.Pair()}); err != nil || h.Log().Len() != before {
			t.Errorf("from %v: %v, %d ops more", from, err, h.Log().Len()-before)
		}
	}
	if missing, err := n.take(keys.Digest{1}, member, []oplog.Pair{o.Pair()}); missing || err != nil {
		t.Errorf("for what is not here: %v, %v", missing, err)
	}
	// His leave, and the new epoch of the owner that this node is.
	if _, err := n.take(h.ID(), member, []oplog.Pair{o.Pair()}); err != nil || h.Log().Len() != before+2 || h.State().NeedsEpoch() {
		t.Errorf("from the member himself: %v, %d ops more", err, h.Log().Len()-before)
	}
}

// syncFrame returns a frame of a sync.
func syncFrame(typ protocol.SyncType, v any) []byte {
	return protocol.AppendFrame(nil, uint8(typ), v)
}
