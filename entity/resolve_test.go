package entity_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"pttnode/entity"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestResolve holds the cases of testdata/resolve, which say how docs/PROTOCOL.md §2.8
// comes out. A case is a board and what was done in it, an op a line:
//
//	board [owners=(NAME,…)] [members=(NAME,…)] [readers=(NAME,…)] [two=(NAME,…)]
//	LABEL: NAME[/phone] VERB [seeing LABEL …] [instead of LABEL] [before LABEL]
//
// The founder made the board, admitted everybody and added the owners in this order; two
// have a second device, "/phone". The author of an op has seen this, what the same device
// wrote before, and what is named after "seeing" with all that it builds on: so two ops are
// beside each other unless a line says otherwise. "instead of a" signs a second op at the
// place of a. "before a" is a statement about the log's order, which else does not matter.
// The verbs:
//
//	admits NAME, admits NAME as reader     member/admit
//	removes NAME                           member/remove
//	makes NAME reader|member               member/role
//	leaves                                 member/leave, with cuts
//	drops NAME/phone                       member/devices without it, with a cut
//	adds NAME                              master/add
//	demotes NAME                           master/remove
//	hands over to NAME                     master/transfer
//	titles TEXT, lets friends in, ends     policy/title, join, end
//	rekeys                                 opkey/epoch
//	signs unknown, signs critical          a type of a later version
//	checkpoints                            checkpoint/checkpoint
//	checkpoints keeping nothing|LABEL …    one that keeps only that, or in another order
//	acks LABEL                             checkpoint/ack
//	posts                                  an article
//
// The output is who has which place (the founder first), what is void, what was refused
// when it came, which posts count, the last final checkpoint, the ones that would be final
// beside the chain, what the next one will keep, and the op that holds the epoch to write in
// with its depth. An empty line of it is left out.
func TestResolve(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/resolve", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			// Ids, and with them the order of what is beside each other, differ each time.
			want := play(t, d)
			for range 3 {
				if got := play(t, d); got != want {
					d.Fatalf(t, "the outcome depends on ids: one time\n%sanother time\n%s", want, got)
				}
			}
			return want
		})
	})
}

// story is one playing of a case.
type story struct {
	t      *testing.T
	d      *datadriven.TestData
	base   *world
	phones map[string]keys.Private
	ops    map[string]oplog.Op
	labels []string            // of what was accepted, in the order of the lines
	sees   map[string][]string // what an op builds on
	mine   map[string][]string // what a device wrote
	no     map[string]bool     // what was refused
}

func play(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	s := &story{
		t: t, d: d, base: found(t, entity.Board), phones: map[string]keys.Private{}, ops: map[string]oplog.Op{},
		sees: map[string][]string{}, mine: map[string][]string{}, no: map[string]bool{},
	}
	s.begin()
	for line := range strings.Lines(d.Input) {
		s.line(strings.TrimSpace(line))
	}
	return s.tell()
}

func (s *story) names(key string) (names []string) {
	for _, arg := range s.d.CmdArgs {
		if arg.Key == key {
			names = append(names, arg.Vals...)
		}
	}
	return names
}

func (s *story) begin() {
	for _, name := range s.names("two") {
		s.phones[name] = newDevice("phone of " + name).Key
	}
	if _, ok := s.phones["founder"]; ok {
		s.base.Must(s.t, "founder", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: s.party("founder")})
	}
	admit := func(name string, role entity.Role) {
		s.base.Must(s.t, "founder", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: s.party(name), Role: role, Ref: &s.base.Ref})
	}
	for _, name := range s.names("owners") {
		admit(name, entity.Member)
		s.base.Must(s.t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: s.party(name)})
	}
	for _, name := range s.names("members") {
		admit(name, entity.Member)
	}
	for _, name := range s.names("readers") {
		admit(name, entity.Reader)
	}
}

// party is a person with all the devices that he began with.
func (s *story) party(name string) entity.Party {
	p := s.base.Who(s.t, name).Party()
	if d, ok := s.phones[name]; ok {
		p.Devices = sorted(append(p.Devices, d.ID()))
	}
	return p
}

func (s *story) person(device string) person {
	name, phone, _ := strings.Cut(device, "/")
	p := s.base.Who(s.t, name)
	if phone != "" {
		return p.By(s.phones[name])
	}
	return p
}

// view is the entity of somebody who has seen these ops.
func (s *story) view(seen map[string]bool) *world {
	w := s.base.clone(s.t)
	for _, l := range s.labels {
		if seen[l] {
			if _, err := w.Add(s.ops[l]); err != nil {
				s.d.Fatalf(s.t, "%s was accepted where it was written, and not by one who saw less: %v", l, err)
			}
		}
	}
	return w
}

func (s *story) line(line string) {
	label, rest, ok := strings.Cut(line, ": ")
	words := strings.Fields(rest)
	if !ok || len(words) < 2 {
		s.d.Fatalf(s.t, "%q is no op", line)
	}
	device, verb := words[0], words[1:]
	build := slices.Clone(s.mine[device])
	before := ""
	for i := 0; i < len(verb); i++ {
		switch verb[i] {
		case "seeing":
			build = append(build, verb[i+1:]...)
			verb = verb[:i]
		case "instead":
			at := slices.Index(build, verb[i+2])
			build = slices.Delete(build, at, len(s.mine[device]))
			verb = slices.Delete(verb, i, i+3)
			i--
		case "before":
			before = verb[i+1]
			verb = slices.Delete(verb, i, i+2)
			i--
		}
	}
	seen := map[string]bool{}
	for todo := build; len(todo) > 0; todo = todo[1:] {
		if _, ok := s.ops[todo[0]]; !ok {
			s.d.Fatalf(s.t, "%q: there is no op %q before it", line, todo[0])
		}
		if !seen[todo[0]] {
			seen[todo[0]] = true
			todo = append(slices.Clone(todo), s.sees[todo[0]]...)
		}
	}
	w := s.view(seen)
	p := s.person(device)
	d := s.draft(w, p, verb)
	o := sign(s.t, p, d)
	for other := before; other != "" && compare(o.ID(), s.ops[other].ID()) > 0; o = sign(s.t, p, d) {
		d.At = d.At.Add(time.Millisecond)
	}
	s.ops[label] = o
	if _, err := w.Add(o); err != nil {
		s.no[label] = true
		return
	}
	s.sees[label] = slices.Collect(maps.Keys(seen))
	s.mine[device] = append(s.mine[device], label)
	s.labels = append(s.labels, label)
}

// draft is what a verb writes in a view.
func (s *story) draft(w *world, p person, verb []string) oplog.Draft {
	whom := func(i int) entity.Party {
		party := s.party(verb[i])
		if m, ok := w.State().Member(party.User); ok {
			return m.Party
		}
		return party
	}
	control := func(family oplog.Family, typ uint16, body any) oplog.Draft {
		return w.Draft(p, oplog.Control, family, typ, body)
	}
	switch verb[0] {
	case "admits":
		role := entity.Member
		if slices.Equal(verb[2:], []string{"as", "reader"}) {
			role = entity.Reader
		}
		return control(oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: whom(1), Role: role, Ref: &w.Ref})
	case "removes":
		user := whom(1).User
		return control(oplog.FamilyMember, entity.TypeRemove, entity.Remove{User: user, Cuts: w.cuts(user), Epoch: nextEpoch(w)})
	case "makes":
		role := map[string]entity.Role{"reader": entity.Reader, "member": entity.Member}[verb[2]]
		return control(oplog.FamilyMember, entity.TypeRole, entity.SetRole{User: whom(1).User, Role: role})
	case "leaves":
		cuts := slices.DeleteFunc(w.cuts(p.User()), func(c entity.Cut) bool { return c.Strand != oplog.Content })
		return control(oplog.FamilyMember, entity.TypeLeave, entity.Leave{Cuts: cuts})
	case "drops":
		name, phone, _ := strings.Cut(verb[1], "/")
		party, gone := s.party(name), s.base.Who(s.t, name).Key.ID()
		if phone != "" {
			gone = s.phones[name].ID()
		}
		party.Devices = slices.DeleteFunc(party.Devices, func(d keys.ID) bool { return d == gone })
		cuts := slices.DeleteFunc(w.cuts(party.User), func(c entity.Cut) bool { return c.Device != gone })
		if !slices.ContainsFunc(cuts, func(c entity.Cut) bool { return c.Strand == oplog.Content }) {
			cuts = append(cuts, entity.Cut{Device: gone, Strand: oplog.Content})
		}
		return control(oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party, Cuts: cuts})
	case "adds":
		return control(oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: whom(1)})
	case "demotes":
		return control(oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: whom(1).User})
	case "hands":
		return control(oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: whom(3)})
	case "titles":
		return control(oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: strings.Join(verb[1:], " ")})
	case "lets":
		return control(oplog.FamilyPolicy, entity.TypeJoinPolicy, entity.SetJoinPolicy{Join: entity.JoinFriends})
	case "ends":
		return control(oplog.FamilyPolicy, entity.TypeEnd, entity.End{})
	case "rekeys":
		next := nextEpoch(w)
		return control(oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{Commitment: next.Commitment, Depth: next.Depth, Replaces: next.Replaces})
	case "checkpoints":
		body := w.NextCheckpoint()
		if len(verb) > 1 {
			body.Keeps = []keys.Digest{}
			for _, l := range verb[2:] {
				if l != "nothing" {
					body.Keeps = append(body.Keeps, s.ops[l].ID())
				}
			}
		}
		return control(oplog.FamilyCheckpoint, entity.TypeCheckpoint, body)
	case "acks":
		return control(oplog.FamilyCheckpoint, entity.TypeAck, entity.Ack{Checkpoint: s.ops[verb[1]].ID()})
	case "signs":
		typ := map[string]uint16{"unknown": 99, "critical": 999}[verb[1]]
		return control(oplog.FamilyPolicy, typ, []byte("later"))
	case "posts":
		d := w.Draft(p, oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, []byte("sealed"))
		epoch, clean := w.State().WritingEpoch(func(keys.Digest) bool { return true })
		d.Epoch = epoch.ID
		if !clean { // an author who does not mind
			d.Epoch = epochs(w)[0]
		}
		return d
	}
	s.d.Fatalf(s.t, "unknown verb %q", verb[0])
	return oplog.Draft{}
}

// tell is what the case comes to, for one who has seen everything.
func (s *story) tell() string {
	everything := map[string]bool{}
	for _, l := range s.labels {
		everything[l] = true
	}
	w := s.view(everything)
	if err := newNaive(w.Entity).check(w.Entity); err != nil {
		s.d.Fatalf(s.t, "the rules as written say otherwise: %v", err)
	}
	opened, err := entity.Open(w.Log())
	if err != nil || !bytes.Equal(snapshot(opened), snapshot(w.Entity)) {
		s.d.Fatalf(s.t, "Open comes to another state: %v", err)
	}
	st := w.State()
	var out strings.Builder
	list := func(what string, words []string) {
		if len(words) > 0 {
			fmt.Fprintf(&out, "%s: %s\n", what, strings.Join(words, " "))
		}
	}
	names := slices.Sorted(maps.Keys(s.base.People))
	slices.SortStableFunc(names, func(a, b string) int { // the founder first
		is := func(n string) int {
			if s.base.People[n].User() == st.Founder {
				return 0
			}
			return 1
		}
		return is(a) - is(b)
	})
	who := func(standing entity.Standing, role entity.Role) (out []string) {
		for _, n := range names {
			m, ok := st.Member(s.base.People[n].User())
			if ok && m.Standing == standing && (role == 0 || m.Role == role) {
				out = append(out, n)
			}
		}
		return out
	}
	list("owners", who(entity.Active, entity.Master))
	list("members", who(entity.Active, entity.Member))
	list("readers", who(entity.Active, entity.Reader))
	list("removed", who(entity.Removed, 0))
	list("left", who(entity.Gone, 0))
	if st.Title != "A board" {
		list("title", []string{st.Title})
	}
	if st.Policy.Join == entity.JoinFriends {
		list("join", []string{"friends"})
	}
	if st.Ended {
		out.WriteString("ended\n")
	}
	if st.Frozen {
		out.WriteString("frozen\n")
	}
	of := func(want func(oplog.Op) bool) (out []string) {
		for _, l := range s.labels {
			if want(s.ops[l]) {
				out = append(out, l)
			}
		}
		return out
	}
	list("void", of(func(o oplog.Op) bool { return st.Void[o.ID()] }))
	list("refused", slices.Sorted(maps.Keys(s.no)))
	list("posts that count", of(func(o oplog.Op) bool { return o.Strand() == oplog.Content && w.Counts(o) }))
	list("posts that do not", of(func(o oplog.Op) bool { return o.Strand() == oplog.Content && !w.Counts(o) }))
	list("final", of(func(o oplog.Op) bool { return o.ID() == st.Final.ID }))
	list("rivals", of(func(o oplog.Op) bool { return slices.Contains(st.Final.Rivals, o.ID()) }))
	list("to be kept", of(func(o oplog.Op) bool { return slices.Contains(w.Pending(), o.ID()) }))
	out.WriteString("epoch: " + s.epoch(w) + "\n")
	return out.String()
}

// epoch names the ops that hold the deepest epochs to write in; of several the lowest
// id counts.
func (s *story) epoch(w *world) string {
	best, _ := w.State().WritingEpoch(func(keys.Digest) bool { return true })
	var labels []string
	for _, l := range s.labels {
		if e, ok := w.State().Epochs[s.ops[l].ID()]; ok && !e.Void && !e.Tainted && e.Left == best.Left && e.Depth == best.Depth {
			labels = append(labels, l)
		}
	}
	if best.Depth == 0 {
		return "none clean"
	}
	if len(labels) == 0 {
		labels = []string{"the founding one"}
	}
	depth := fmt.Sprintf("depth %d", best.Depth)
	if best.Left {
		depth += ", to be replaced: somebody left"
	}
	return strings.Join(labels, " or ") + ", " + depth
}
