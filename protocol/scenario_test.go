package protocol

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/cockroachdb/datadriven"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestScenarios tells the stories of testdata/scenarios. Mia made a link; rita, or
// who=NAME, has it. The commands:
//
//	link board|friend|device [auto] [uses=N] [bound=NAME]   mia makes a link and everybody gets it
//	start                                            a stream is opened; a cancelled attempt withdraws
//	deliver [all]                                    the next frame in flight arrives, or all do
//	approve, reject, revoke                          mia decides
//	type right|wrong                                 mia types a code for who's device: who's own, or another
//	cancel                                           the requester cancels
//	tick +D                                          D later; deadlines are met
//	drop                                             the stream breaks
//	crash requester|issuer [at=commit|committed]     now; or at its next commit, before or after it is durable
//	full requester|issuer                            its next change is refused: disk full
//	policy friends|link, forget, admit, remove       mia changes the board's policy, loses the link's record, admits who
//	                                                 in another way, removes who
//	guess n=N                                        N runs of somebody without the secret
//	grind n=N [with=withdrawals]                     N runs of a new device, each ended when it has seen the ACK
//	be user|device                                   who has an identity, or has none
//	listed                                           who's device is mia's already
//	retry, again                                     the requester begins a failed attempt again, or opens the link anew
//	state                                            what is stored
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		cryptotest.SetGlobalRandom(t, 1)
		s := &scenario{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.out.Reset()
			s.do(d)
			return s.out.String()
		})
	})
}

type scenario struct {
	t       *testing.T
	out     strings.Builder
	w       *world
	people  map[string]*requester
	streams []*stream // oldest first
	armed   map[string]string
}

// stream is one open stream between a requester and mia.
type stream struct {
	r        *requester
	j        *Joiner
	i        *Inviter
	flight   []flying
	deadline map[string]time.Time
}

type flying struct {
	to    string // requester or issuer
	frame []byte
}

func (s *scenario) printf(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func (s *scenario) do(d *datadriven.TestData) {
	has := func(key string) bool {
		return slices.ContainsFunc(d.CmdArgs, func(a datadriven.CmdArg) bool { return a.Key == key })
	}
	arg := func(key, otherwise string) string {
		if has(key) {
			d.ScanArgs(s.t, key, &otherwise)
		}
		return otherwise
	}
	who := arg("who", "rita")
	switch d.Cmd {
	case "link":
		s.link(d.CmdArgs[0].Key, invite.Options{Auto: has("auto"), Uses: uint8(s.number(arg("uses", "1")))}, arg("bound", ""))
		return
	case "start":
		s.start(s.person(who))
	case "deliver":
		s.deliver(who, has("all"))
	case "approve", "reject":
		s.decide(who, d.Cmd == "approve")
	case "revoke":
		rec, ended := s.w.m.rec.Revoke(s.w.now)
		s.w.m.rec = rec
		s.announce(ended)
	case "cancel":
		r := s.person(who)
		r.attempt = r.attempt.Cancel(s.w.now)
		s.drop(who)
	case "tick":
		s.tick(d.CmdArgs[0].Key)
	case "drop":
		s.drop(who)
	case "crash":
		if at := arg("at", ""); at != "" {
			s.armed[d.CmdArgs[0].Key] = at
		} else {
			s.printf("%s crashes", d.CmdArgs[0].Key)
			s.crash(d.CmdArgs[0].Key, who)
		}
	case "full":
		s.armed[d.CmdArgs[0].Key] = "full"
	case "policy":
		join := map[string]entity.JoinPolicy{"friends": entity.JoinFriends, "link": entity.JoinLink}[d.CmdArgs[0].Key]
		s.w.m.board.control(s.t, s.w.m.person, oplog.FamilyPolicy, entity.TypeJoinPolicy, entity.SetJoinPolicy{Join: join})
	case "forget":
		s.w.m.rec.IID = [16]byte{}
	case "admit":
		s.w.m.board.admit(s.t, s.w.m.person, entity.Admission{Party: s.person(who).party(), Role: entity.Reader, Ref: &[16]byte{1}})
	case "remove":
		s.w.m.removed[s.person(who).user()] = true
	case "retry":
		r := s.person(who)
		r.attempt = r.attempt.Retry(s.w.now)
	case "again":
		r := s.person(who)
		r.attempt = invite.NewAttempt("r-2", s.w.m.link, "", s.w.now)
	case "type":
		s.typed(s.person(who), d.CmdArgs[0].Key == "right")
	case "be":
		r := s.person(who)
		if r.person = newDevice(who); d.CmdArgs[0].Key == "user" {
			r.person = newPerson(s.t, who)
		}
	case "listed":
		p := s.person(who).person
		if _, err := entity.AddDevice(s.w.m.me, s.w.m.author(s.w.now), entity.NewDevice{
			ID: p.id(), Box: p.box.ID(), Consent: *p.consent(s.w.m.user()),
		}, entity.Phone); err != nil {
			s.t.Fatal(err)
		}
	case "grind":
		s.grind(s.number(arg("n", "1")), arg("with", "") == "withdrawals")
	case "guess":
		s.guess(s.number(arg("n", "1")))
	case "state":
		s.state()
		return
	default:
		d.Fatalf(s.t, "unknown command %q", d.Cmd)
	}
	s.summary()
}

func (s *scenario) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *scenario) link(kind string, opt invite.Options, bound string) {
	s.people, s.armed, s.streams = make(map[string]*requester), make(map[string]string), nil
	if bound != "" {
		p := newPerson(s.t, bound)
		opt.Bound = new(p.user())
		s.people[bound] = &requester{person: p}
	}
	k := map[string]entity.Kind{"board": entity.Board, "friend": entity.Friend, "device": entity.Me}[kind]
	s.w = newWorld(s.t, k, opt)
	for _, r := range s.people {
		r.attempt = invite.NewAttempt("r-1", s.w.m.link, "it is "+r.name, s.w.now)
	}
	s.printf("%v, %s", k, s.w.m.rec.StateText())
}

func (s *scenario) person(name string) *requester {
	if s.people[name] == nil {
		s.people[name] = s.w.requester(s.t, name)
	}
	return s.people[name]
}

func (s *scenario) start(r *requester) {
	s.drop(r.name)
	r.attempt = r.attempt.Connecting(s.w.now)
	j, err := NewJoiner(r.joining())
	if err != nil {
		s.printf("%s: %v", r.name, err)
		return
	}
	st := &stream{r: r, j: j, deadline: make(map[string]time.Time)}
	s.streams = append(s.streams, st)
	s.step(st, "requester", Start{})
}

func (s *scenario) stream(who string) *stream {
	for _, st := range s.streams {
		if st.r.name == who {
			return st
		}
	}
	return nil
}

func (s *scenario) deliver(who string, all bool) {
	st := s.stream(who)
	for st != nil && len(st.flight) > 0 {
		f := st.flight[0]
		st.flight = st.flight[1:]
		m, err := unframe(f.frame)
		if err != nil {
			s.t.Fatal(err)
		}
		s.step(st, f.to, m)
		if !all {
			break
		}
	}
}

// step feeds an event to one side of a stream and does what it says.
func (s *scenario) step(st *stream, side string, ev Event) {
	if side == "issuer" && st.i == nil {
		join, ok := ev.(Join)
		if !ok {
			return // it has no machine any more
		}
		if join.IID != s.w.m.rec.IID {
			s.perform(st, side, Effects{Send: []Message{No{}}})
			return
		}
		st.i = NewInviter(s.w.m.inviting(st.r.id()))
	}
	var eff Effects
	var err error
	if side == "issuer" {
		eff, err = st.i.Step(s.w.now, ev)
	} else if st.j != nil {
		eff, err = st.j.Step(s.w.now, ev)
	}
	if err != nil {
		s.printf("%s: %s fails: %s", s.name(st, side), word(ev), errorWord(err))
		s.drop(st.r.name)
		return
	}
	s.perform(st, side, eff)
}

func (s *scenario) name(st *stream, side string) string {
	if side == "issuer" {
		return "mia"
	}
	return st.r.name
}

// perform does what a machine says, in its order.
func (s *scenario) perform(st *stream, side string, eff Effects) {
	name := s.name(st, side)
	if eff.Commit != nil {
		heard, ok := s.commit(st, side, eff.Commit)
		if !ok {
			return
		}
		if heard != nil {
			s.step(st, side, heard)
		}
	}
	for _, m := range eff.Send {
		text := word(m)
		if a, ok := m.(ApproveJoin); ok {
			b := body[ApproveBody](s.t, a.Body)
			text += " " + statusWord(a.Status)
			if b.Reason != 0 {
				text += " " + invite.ParseCode(b.Reason).String()
			}
		}
		s.printf("%s: send %s", name, text)
		to := "requester"
		if side == "requester" {
			to = "issuer"
		}
		st.flight = append(st.flight, flying{to, Encode(m)})
	}
	if eff.Ask != nil {
		c := eff.Ask.Claim
		s.printf("%s: ask about %q, %q, code %s", name, c.Name, c.Note, c.Code)
	}
	if eff.Commit == nil {
		st.deadline[side] = eff.Deadline
	}
	if !eff.Deadline.IsZero() {
		s.printf("%s: deadline +%v", name, eff.Deadline.Sub(s.w.now))
	}
	if d := eff.Done; d != nil {
		text := statusWord(d.Status)
		if d.Reason != invite.OK {
			text += " " + d.Reason.String()
		}
		s.printf("%s: done, %s", name, text)
		if side == "requester" {
			s.drop(st.r.name)
		}
	}
}

// commit carries out a change and reports what the machine hears; false when its
// node crashed.
func (s *scenario) commit(st *stream, side string, c *Change) (Event, bool) {
	name, armed := s.name(st, side), s.armed[side]
	delete(s.armed, side)
	switch armed {
	case "full":
		s.printf("%s: disk full", name)
		return Refused{invite.RefusedDiskFull}, true
	case "commit":
		s.printf("%s: crashes before the commit", name)
		s.crash(side, st.r.name)
		return nil, false
	}
	var heard Event
	if side == "issuer" {
		known := len(s.w.m.rec.Claims)
		heard = s.w.m.commit(s.w.now, c)
		s.printf("%s: %s", name, issuerWords(c, heard, len(s.w.m.rec.Claims) > known))
	} else {
		heard = st.r.commit(c)
		s.printf("%s: %s", name, requesterWords(c))
		if st.r.joined != nil && st.r.joined.Leave {
			s.printf("%s: leaves at once", name)
		}
	}
	if armed == "committed" {
		s.printf("%s: crashes after the commit", name)
		s.crash(side, st.r.name)
		return nil, false
	}
	return heard, true
}

func requesterWords(c *Change) string {
	if c.Joined != nil {
		return fmt.Sprintf("store %v, %d ops, %d key", c.Joined.Entity.State().Kind, len(c.Joined.Entity.ControlStrand()), len(c.Joined.Ring))
	}
	return "store attempt " + c.Attempt.State.String()
}

func issuerWords(c *Change, heard Event, stored bool) string {
	h, _ := heard.(Committed)
	why := ""
	if h.Refuse != invite.OK {
		why = ": " + h.Refuse.String()
	}
	switch {
	case c.Reserve != nil && stored:
		return "store claim, code " + h.Claim.Code + why
	case c.Reserve != nil && h.Claim.JoinID.IsZero():
		return "no claim" + why
	case c.Reserve != nil:
		return "the claim is known" + why
	case c.Approve != nil:
		return "store admit" + why
	case c.Withdraw != nil:
		return "store withdrawal" + why
	}
	return "count a failed proof"
}

// crash ends the machines of one side: the requester's one, or all of the issuer's.
func (s *scenario) crash(side, who string) {
	if side == "requester" {
		s.drop(who)
		return
	}
	for len(s.streams) > 0 {
		s.streams[0].i = nil // what she would count is lost
		s.drop(s.streams[0].r.name)
	}
}

// drop ends a stream; what is stored stays. Mia counts a run of a device link of which
// nothing came after her ACK.
func (s *scenario) drop(who string) {
	if st := s.stream(who); st != nil && st.i != nil && st.i.Ground() {
		s.w.m.commit(s.w.now, &Change{Failed: true})
		s.printf("mia: count a failed proof")
	}
	s.streams = slices.DeleteFunc(s.streams, func(st *stream) bool {
		if st.r.name != who {
			return false
		}
		st.flight, st.j, st.i = nil, nil, nil
		return true
	})
}

func (s *scenario) decide(who string, yes bool) {
	r := s.person(who)
	claim, why := s.w.m.decide(invite.JoinID(s.w.m.rec.Ref, r.user(), r.id()), yes, s.w.now)
	if why != invite.OK {
		s.printf("mia: cannot: %v", why)
		return
	}
	s.announce([]invite.Claim{claim})
}

// typed is a code typed for r's device.
func (s *scenario) typed(r *requester, right bool) {
	joinID := invite.JoinID(s.w.m.rec.Ref, r.user(), r.id())
	code := "wrong"
	if c, ok := s.w.m.rec.Claim(joinID); ok && right {
		code = c.Code
	}
	claim, ended, why := s.w.m.typed(joinID, code, s.w.now)
	switch {
	case why != invite.OK:
		s.printf("mia: cannot: %v", why)
	case claim.State == invite.Approved:
		s.announce([]invite.Claim{claim})
	default:
		s.printf("mia: wrong code, %d so far", s.w.m.rec.Wrong)
		s.announce(ended)
	}
}

// grind is runs of a device that looks at the code it would have and then goes away.
func (s *scenario) grind(n int, withdrawals bool) {
	for range n {
		c := s.w.claimant(s.t, newDevice("mallory"))
		i, eff, err := c.grind(withdrawals)
		if err != nil {
			s.t.Fatalf("grind: %v", err)
		}
		if eff.Commit != nil {
			if _, err := i.Step(s.w.now, s.w.m.commit(s.w.now, eff.Commit)); err != nil {
				s.t.Fatalf("grind: %v", err)
			}
		}
		if i.Ground() {
			s.w.m.commit(s.w.now, &Change{Failed: true})
		}
	}
	s.printf("mia: %d failed proofs", s.w.m.rec.Failed)
}

// announce tells waiting machines of decisions.
func (s *scenario) announce(claims []invite.Claim) {
	for _, c := range claims {
		s.printf("mia: claim of %s %v", c.Name, c.State)
		for _, st := range slices.Clone(s.streams) {
			if st.i != nil && st.i.state != inviterOver {
				s.step(st, "issuer", s.w.m.decided(c))
			}
		}
	}
}

func (s *scenario) tick(d string) {
	dur, err := time.ParseDuration(strings.TrimPrefix(d, "+"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.w.now = s.w.now.Add(dur)
	for _, st := range slices.Clone(s.streams) {
		for _, side := range []string{"requester", "issuer"} {
			if at := st.deadline[side]; !at.IsZero() && !s.w.now.Before(at) && s.stream(st.r.name) == st {
				delete(st.deadline, side)
				s.step(st, side, Tick{})
			}
		}
	}
	rec, ended := s.w.m.rec.Sweep(s.w.now)
	s.w.m.rec, _ = rec.Expire(s.w.now)
	s.announce(ended)
}

// guess is runs of somebody who has seen the link's iid and not its secret.
func (s *scenario) guess(n int) {
	for range n {
		p := newDevice("mallory")
		if s.w.m.link.Kind != entity.Me {
			p = newPerson(s.t, "mallory")
		}
		c := s.w.claimant(s.t, p)
		c.secret = keys.FromSeed([32]byte{1})
		_, eff, err := c.claim()
		if err != nil || eff.Commit == nil {
			s.t.Fatalf("guess: %+v, %v", eff, err)
		}
		s.w.m.commit(s.w.now, eff.Commit)
	}
	s.printf("mia: %d failed proofs", s.w.m.rec.Failed)
}

// summary is the line under each command.
func (s *scenario) summary() {
	var who []string
	for name := range s.people {
		who = append(who, name)
	}
	slices.Sort(who)
	var parts []string
	for _, name := range who {
		a := s.people[name].attempt
		text := name + " " + a.State.String()
		if a.Withdrawing() {
			text += ", to be withdrawn"
		}
		if a.Reason != invite.OK {
			text += " (" + a.Reason.String() + ")"
		}
		if st := s.stream(name); st != nil && len(st.flight) > 0 {
			text += ", in flight to " + st.flight[0].to
		}
		parts = append(parts, text)
	}
	parts = append(parts, "link "+s.w.m.rec.StateText())
	s.printf("[%s]", strings.Join(parts, " | "))
}

// state shows what is stored, and checks what always holds.
func (s *scenario) state() {
	m := s.w.m
	s.printf("link: %s, %d admits", m.rec.StateText(), m.appends)
	approved := 0
	for _, c := range m.rec.Claims {
		extra := ""
		if c.Extra {
			extra = ", beside the others"
		}
		s.printf("claim: %s %v, code %s%s", c.Name, c.State, c.Code, extra)
		if c.State == invite.Approved {
			approved++
		}
	}
	if approved != m.appends || m.rec.UsedCount() > int(m.rec.Uses) {
		s.t.Errorf("%d claims approved, %d admits, %d of %d uses", approved, m.appends, m.rec.UsedCount(), m.rec.Uses)
	}
	var who []string
	for name := range s.people {
		who = append(who, name)
	}
	slices.Sort(who)
	for _, name := range who {
		r := s.people[name]
		text := fmt.Sprintf("%s: %v", name, r.attempt.State)
		if r.attempt.Code != "" {
			text += ", code " + r.attempt.Code
		}
		if r.joined != nil {
			st := r.joined.Entity.State()
			if st.Kind == entity.Me {
				d, ok := st.Device(r.id())
				if !ok || st.ID != m.user() {
					s.t.Errorf("%s joined %v and is no device of mia's", name, st.ID)
				}
				s.printf("%s: %v, code %s, a %v of mia's with %d devices", name, r.attempt.State, r.attempt.Code, d.Class, len(st.Devices))
				continue
			}
			member, ok := st.Member(r.user())
			if !ok {
				s.t.Errorf("%s joined %v and is no member", name, st.ID)
				continue
			}
			text += fmt.Sprintf(", joined %v as %v with %d members", st.Kind, member.Role, len(st.Active()))
			if r.joined.Leave {
				text += ", to leave at once"
			}
		}
		if len(r.attempt.Body) > 0 {
			text += ", keeps the link"
		}
		s.printf("%s", text)
	}
}
