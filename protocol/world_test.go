package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// dawn is when every test begins.
var dawn = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// person is a user with one device, or a device that has no user yet.
type person struct {
	name string
	key  keys.Private
	me   *entity.Entity // nil of a device
	ring entity.Keyring // of me
	box  keys.BoxKey    // of a device: its box key
}

// newPerson returns the user of a name; the device key follows from the name.
func newPerson(t testing.TB, name string) person {
	t.Helper()
	key := keys.FromSeed(keys.Hash("ptt/test/person", []byte(name)))
	c, err := entity.CreateMe(entity.Author{Key: key, Now: dawn}, keys.New().ID(), entity.Desktop, keys.NewBox().ID())
	if err != nil {
		t.Fatal(err)
	}
	return person{name: name, key: key, me: c.Entity, ring: entity.Keyring{c.Epoch: c.Key}}
}

// newDevice returns the device of a name, with the keys that follow from it and
// without a user.
func newDevice(name string) person {
	return person{
		name: name, key: keys.FromSeed(keys.Hash("ptt/test/person", []byte(name))), box: keys.BoxFromSecret(keys.Hash("ptt/test/box", []byte(name))),
	}
}

func (p person) id() keys.ID { return p.key.ID() }

// user is zero of a device.
func (p person) user() keys.Digest {
	if p.me == nil {
		return keys.Digest{}
	}
	return p.me.ID()
}

// consent is what a device signs to become one of user's.
func (p person) consent(user keys.Digest) *keys.Signature {
	return new(p.key.Sign(keys.PurposeLink, chain.Consent(user, p.id(), p.box.ID())))
}

func (p person) party() entity.Party { return p.me.State().Party(p.name) }
func (p person) author(now time.Time) entity.Author {
	return entity.Author{Key: p.key, User: p.user(), Now: now}
}

// place is an entity with its keys, as one of its masters holds it.
type place struct {
	e    *entity.Entity
	ring entity.Keyring
}

func newPlace(t testing.TB, by person, g entity.Genesis) place {
	t.Helper()
	g.Founder = new(by.party())
	c, err := entity.CreateEntity(by.author(dawn), g)
	if err != nil {
		t.Fatal(err)
	}
	return place{c.Entity, entity.Keyring{c.Epoch: c.Key}}
}

func newBoardPlace(t testing.TB, by person, name string) place {
	return newPlace(t, by, entity.Genesis{
		Kind: entity.Board, Name: name,
		Policy: &entity.Policy{Join: entity.JoinLink, History: entity.History{Mode: entity.HistoryAll}},
	})
}

// keys returns the ring as an approval carries it.
func (p place) keys() []entity.EpochKey {
	var ks []entity.EpochKey
	for id, k := range p.ring {
		ks = append(ks, entity.EpochKey{Epoch: id, Key: k.Secret()})
	}
	slices.SortFunc(ks, func(a, b entity.EpochKey) int { return bytes.Compare(a.Epoch[:], b.Epoch[:]) })
	return ks
}

func (p place) grant(admit keys.Digest) Grant {
	strand, logs := Pack(p.e, admit, MaxLogs)
	return Grant{Entity: p.e.ID(), Admit: admit, Keys: p.keys(), Addrs: [][]byte{[]byte("address")}, Logs: logs, Strand: strand}
}

// control writes a control op as by.
func (p place) control(t testing.TB, by person, f oplog.Family, typ uint16, body any) oplog.Op {
	t.Helper()
	o, err := p.e.Control(by.author(dawn), f, typ, body)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// admit admits a party as by.
func (p place) admit(t testing.TB, by person, how entity.Admission) oplog.Op {
	t.Helper()
	o, err := entity.ApproveJoinEntity(p.e, by.author(dawn), p.ring, how)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// copyOf returns a second copy of an entity, to grow apart from the first.
func (p place) copyOf(t testing.TB) place {
	t.Helper()
	return place{replay(t, p.e.ControlStrand()), p.ring}
}

func replay(t testing.TB, raws [][]byte) *entity.Entity {
	t.Helper()
	var e *entity.Entity
	for i, raw := range raws {
		o, err := oplog.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if e, err = entity.New(o); err != nil {
				t.Fatal(err)
			}
		} else if _, err := e.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// issuer is M's node as far as a join needs it. Its store is a record and the
// entities; commit is its one transaction.
type issuer struct {
	person
	link    invite.Link
	rec     invite.Record
	board   place                 // of a board link
	friends map[keys.Digest]place // made by approvals, by joinid
	removed map[keys.Digest]bool  // users removed since their admission
	appends int                   // how many admits were written
}

// newIssuer returns p with a link to board, or, of another kind, to p.
func newIssuer(p person, kind entity.Kind, board place, opt invite.Options) *issuer {
	m := &issuer{person: p, board: board, friends: make(map[keys.Digest]place), removed: make(map[keys.Digest]bool)}
	eid := p.user()
	if board.e != nil {
		eid = board.e.ID()
	}
	if opt.Expires.IsZero() {
		opt.Expires = dawn.Add(invite.DefaultLife(kind))
	}
	opt.Name = p.name
	m.link = invite.New(kind, eid, p.id(), opt)
	terms := invite.Terms{Created: dawn, History: entity.History{Mode: entity.HistoryAll}}
	if kind == entity.Board {
		terms.Role = entity.Member
	}
	m.rec = invite.NewRecord("i-1", m.link, eid, terms)
	return m
}

// inviting returns what M brings to a run with the device at the other end.
func (m *issuer) inviting(peer keys.ID) Inviting {
	in := Inviting{Record: m.rec, Device: m.key, Peer: peer}
	in.Card, in.Proof = cardOf(m.person, m.board.e)
	if m.rec.Kind == entity.Me {
		in.Card.Kind, in.Card.Heads = entity.Me, m.me.Log().Heads(oplog.Control)
	}
	return in
}

// cardOf returns the card and the proof of a board, or of a person where e is nil.
func cardOf(m person, e *entity.Entity) (Card, entity.Proof) {
	card := Card{Entity: m.user(), Kind: entity.Friend, Name: m.name}
	if e != nil {
		s := e.State()
		card = Card{
			Entity: s.ID, Kind: entity.Board, Name: s.Name, Policy: new(s.Policy), Heads: e.Log().Heads(oplog.Control), Owner: m.name,
		}
	}
	proof, ok := entity.ProveMaster(m.me, e)
	if !ok {
		panic("no master")
	}
	return card, proof
}

// commit carries out a change in one transaction and returns what the machine
// hears of it; nil when the run is over.
func (m *issuer) commit(now time.Time, c *Change) Event {
	switch {
	case c.Failed:
		m.rec, _ = m.rec.Fail()
		return nil
	case c.Withdraw != nil:
		var claim invite.Claim
		var why invite.Code
		m.rec, claim, why = m.rec.Cancel(*c.Withdraw, now)
		return m.committed(claim, why)
	case c.Approve != nil:
		claim, why := m.decide(*c.Approve, true, now)
		return m.committed(claim, why)
	}
	policy := []byte{}
	if m.rec.Kind == entity.Me {
		_, known := m.rec.Claim(invite.JoinID(m.rec.Ref, keys.Digest{}, c.Reserve.Device))
		if _, ok := m.me.State().Device(c.Reserve.Device); ok && !known {
			return Committed{Refuse: invite.RefusedAlreadyDevice}
		}
	}
	if e := m.board.e; e != nil {
		h := e.State().PolicyHash()
		policy = h[:]
		_, known := m.rec.Claim(invite.JoinID(m.rec.Ref, c.Reserve.User, c.Reserve.Device))
		if s, ok := e.State().Member(c.Reserve.User); ok && s.Standing == entity.Active && !known {
			return Committed{Refuse: invite.RefusedAlreadyMember}
		}
	}
	claim := *c.Reserve
	claim.ID = "r-1"
	var why invite.Code
	m.rec, claim, why = m.rec.Reserve(claim, now, bytes.Equal(c.Policy, policy))
	return m.committed(claim, why)
}

func (m *issuer) committed(claim invite.Claim, why invite.Code) Committed {
	grant, refuse := m.outcome(claim, why)
	return Committed{Claim: claim, Refuse: refuse, Grant: grant}
}

func (m *issuer) decided(claim invite.Claim) Decided {
	grant, refuse := m.outcome(claim, invite.OK)
	if refuse != invite.OK {
		claim.State, claim.Reason = invite.Denied, refuse
	}
	return Decided{Claim: claim, Grant: grant}
}

// outcome returns what an approved claim hands over now: a function of the claim
// and of the entity's present state.
func (m *issuer) outcome(claim invite.Claim, why invite.Code) (*Grant, invite.Code) {
	if claim.State != invite.Approved {
		return nil, why
	}
	switch {
	case m.removed[claim.User]:
		return nil, invite.RefusedRemoved
	case claim.Withdrew():
		return nil, invite.RefusedCancelled
	}
	p := m.board
	switch m.rec.Kind {
	case entity.Friend:
		p = m.friends[claim.JoinID]
	case entity.Me:
		p = place{m.me, m.ring}
	}
	return new(p.grant(claim.Admit)), invite.OK
}

// typed is what follows when mia types code for a device's claim: the third wrong one
// revokes the link, with the claims that it returns; the right one approves.
func (m *issuer) typed(joinID keys.Digest, code string, now time.Time) (invite.Claim, []invite.Claim, invite.Code) {
	if c, _ := m.rec.Claim(joinID); c.Code != code && c.State.Waiting() {
		rec, ended := m.rec.WrongCode(now)
		m.rec = rec
		return c, ended, invite.OK
	}
	rec, claim, why := m.rec.Propose(joinID, now)
	if m.rec = rec; why != invite.OK {
		return claim, nil, why
	}
	claim, why = m.decide(joinID, true, now)
	return claim, nil, why
}

// decide carries out a decision: the claim's state and the admit in one.
func (m *issuer) decide(joinID keys.Digest, approve bool, now time.Time) (invite.Claim, invite.Code) {
	rec, claim, why := m.rec.Decide(joinID, approve, now)
	m.rec = rec
	if why != invite.OK || !approve || !claim.Admit.IsZero() {
		return claim, why
	}
	if m.rec.Kind == entity.Me {
		op, err := entity.AddDevice(m.me, m.author(now), entity.NewDevice{
			ID: claim.Device, Box: claim.Box, Consent: *claim.Consent, Ref: m.rec.Ref,
		}, entity.Phone)
		if err != nil {
			panic(err)
		}
		m.appends++
		m.rec, claim, why = m.rec.Admitted(joinID, op.ID())
		return claim, why
	}
	how := entity.Admission{
		Party: entity.Party{User: claim.User, Head: claim.Head, Devices: claim.Devices, Box: claim.Box, Name: claim.Name},
		Role:  m.rec.Role, Ref: new(m.rec.Ref),
	}
	p := m.board
	if p.e == nil {
		parties := []keys.Digest{m.user(), claim.User}
		slices.SortFunc(parties, func(a, b keys.Digest) int { return bytes.Compare(a[:], b[:]) })
		c, err := entity.CreateEntity(m.author(now), entity.Genesis{
			Kind: entity.Friend, Founder: new(m.party()), Parties: parties, Ref: new(m.rec.Ref),
		})
		if err != nil {
			panic(err)
		}
		p = place{c.Entity, entity.Keyring{c.Epoch: c.Key}}
		m.friends[joinID], how.Role = p, entity.Member
	}
	op, err := entity.ApproveJoinEntity(p.e, m.author(now), p.ring, how)
	if err != nil {
		panic(err)
	}
	m.appends++
	m.rec, claim, why = m.rec.Admitted(joinID, op.ID())
	return claim, why
}

// requester is R's node as far as a join needs it: its store is an attempt and
// what it joined.
type requester struct {
	person
	attempt invite.Attempt
	joined  *Joined
	partial *Partial       // what came of a large control strand
	begun   *entity.Entity //
}

func (r *requester) commit(c *Change) Event {
	r.attempt = *c.Attempt
	if c.Partial != nil {
		r.partial, r.begun = c.Partial, c.Begun
	}
	if c.Joined != nil {
		r.joined = c.Joined
	}
	return Committed{}
}

func (r *requester) joining() Joining {
	in := Joining{
		Attempt: r.attempt, Device: r.key, Me: r.me, Name: r.name, Addrs: []byte("rita's address"), Withdraw: r.attempt.Withdrawing(),
	}
	if r.me == nil {
		in.Box = r.box.ID()
	}
	return in
}

// world is an issuer with a link and a requester who has it.
type world struct {
	now time.Time
	m   *issuer
	r   *requester
}

func newWorld(t testing.TB, kind entity.Kind, opt invite.Options) *world {
	t.Helper()
	mia := newPerson(t, "mia")
	var board place
	if kind == entity.Board {
		board = newBoardPlace(t, mia, "dev")
	}
	return worldOf(t, newIssuer(mia, kind, board, opt))
}

func worldOf(t testing.TB, m *issuer) *world {
	t.Helper()
	w := &world{now: dawn, m: m}
	w.r = w.requester(t, "rita")
	return w
}

func boardWorld(t testing.TB) *world { t.Helper(); return newWorld(t, entity.Board, invite.Options{}) }

func friendWorld(t testing.TB) *world {
	t.Helper()
	return newWorld(t, entity.Friend, invite.Options{})
}

func deviceWorld(t testing.TB) *world { t.Helper(); return newWorld(t, entity.Me, invite.Options{}) }

// requester returns one more who has the link: a device without a user where it is a
// device link.
func (w *world) requester(t testing.TB, name string) *requester {
	p := newDevice(name)
	if w.m.link.Kind != entity.Me {
		p = newPerson(t, name)
	}
	return &requester{person: p, attempt: invite.NewAttempt("r-1", w.m.link, "it is "+name, w.now)}
}

// run is the two machines of one stream, stepped by hand; each method makes the
// next frame of an honest run and fails the test where it does not come.
type run struct {
	t testing.TB
	w *world
	r *requester
	j *Joiner
	i *Inviter

	join    Join
	ack     AckChallenge
	request JoinEntity
}

func (w *world) run(t testing.TB) *run { t.Helper(); return w.runOf(t, w.r) }

func (w *world) runOf(t testing.TB, r *requester) *run {
	t.Helper()
	j, err := NewJoiner(r.joining())
	if err != nil {
		t.Fatal(err)
	}
	return &run{t: t, w: w, r: r, j: j, i: NewInviter(w.m.inviting(r.id()))}
}

// toJoin makes frame 1.
func (x *run) toJoin() *run {
	x.t.Helper()
	x.join = sent[Join](x.t, x.stepJ(Start{}))
	return x
}

// toAck makes frame 2.
func (x *run) toAck() *run {
	x.t.Helper()
	x.toJoin()
	x.ack = sent[AckChallenge](x.t, x.stepI(x.join))
	return x
}

// toRequest makes frame 3.
func (x *run) toRequest() *run {
	x.t.Helper()
	x.toAck()
	eff := x.stepJ(x.ack)
	if eff.Commit == nil {
		x.t.Fatalf("ACK-CHALLENGE: %+v, want a commit first", eff)
	}
	x.request = sent[JoinEntity](x.t, x.stepJ(x.r.commit(eff.Commit)))
	return x
}

// toPending makes frame 4 of a link that asks a person; R has it.
func (x *run) toPending() *run {
	x.t.Helper()
	x.toRequest()
	m := x.answer()
	if m.Status != Pending {
		x.t.Fatalf("status %d, want pending", m.Status)
	}
	x.stepJ(x.r.commit(x.stepJ(m).Commit))
	return x
}

// answer makes frame 4: M's answer to frame 3.
func (x *run) answer() ApproveJoin {
	x.t.Helper()
	eff := x.stepI(x.request)
	for eff.Commit != nil {
		eff = x.stepI(x.w.m.commit(x.w.now, eff.Commit))
	}
	return sent[ApproveJoin](x.t, eff)
}

// approve makes the later frame 4: the person said yes.
func (x *run) approve() ApproveJoin {
	x.t.Helper()
	claim, why := x.w.m.decide(x.i.JoinID(), true, x.w.now)
	if why != invite.OK {
		x.t.Fatalf("approve: %v", why)
	}
	return sent[ApproveJoin](x.t, x.stepI(x.w.m.decided(claim)))
}

func (x *run) stepJ(ev Event) Effects {
	x.t.Helper()
	eff, err := x.j.Step(x.w.now, ev)
	if err != nil {
		x.t.Fatalf("requester: %s: %v", word(ev), err)
	}
	return eff
}

func (x *run) stepI(ev Event) Effects {
	x.t.Helper()
	eff, err := x.i.Step(x.w.now, ev)
	if err != nil {
		x.t.Fatalf("issuer: %s: %v", word(ev), err)
	}
	return eff
}

// sent returns the one message that eff sends.
func sent[M Message](t testing.TB, eff Effects) M {
	t.Helper()
	if len(eff.Send) == 1 {
		if m, ok := eff.Send[0].(M); ok {
			return m
		}
	}
	var want M
	t.Fatalf("got %+v, want it to send %s", eff, word(want))
	return want
}

// word returns the name of an event in the specification.
func word(ev Event) string {
	switch ev.(type) {
	case Join:
		return "JOIN"
	case AckChallenge:
		return "ACK-CHALLENGE"
	case JoinEntity:
		return "JOIN-ENTITY"
	case ApproveJoin:
		return "APPROVE-JOIN"
	case No:
		return "NO"
	case Start:
		return "Start"
	case Tick:
		return "Tick"
	case Committed:
		return "Committed"
	case Refused:
		return "Refused"
	case Decided:
		return "Decided"
	}
	return "nothing"
}

func statusWord(s Status) string {
	return [...]string{"status(0)", "approved", "pending", "denied"}[min(s, Denied)]
}

// unframe is what a reader of a stream does with the bytes of one frame.
func unframe(b []byte) (Message, error) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n != uint64(len(b)-k) || !bytes.Equal(binary.AppendUvarint(nil, n), b[:k]) {
		return nil, ErrFrame
	}
	return Decode(b[k:])
}

// errorWord returns the name of the sentinel that err is.
func errorWord(err error) string {
	for _, e := range []struct {
		err  error
		word string
	}{
		{ErrOver, "ErrOver"},
		{ErrTimeout, "ErrTimeout"},
		{ErrUnexpected, "ErrUnexpected"},
		{ErrFrame, "ErrFrame"},
		{ErrProof, "ErrProof"},
	} {
		if errors.Is(err, e.err) {
			return e.word
		}
	}
	if err != nil {
		return "another error: " + err.Error()
	}
	return ""
}

// body decodes a body that this test made.
func body[B any](t testing.TB, raw []byte) B {
	t.Helper()
	var b B
	if err := keys.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	return b
}
