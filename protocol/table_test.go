package protocol

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/cockroachdb/datadriven"

	"pttnode/entity"
	"pttnode/invite"
)

// TestTable walks state × event for both machines. testdata/table.txt is quoted
// in docs/PROTOCOL.md §5.
func TestTable(t *testing.T) {
	datadriven.RunTest(t, "testdata/table.txt", func(t *testing.T, d *datadriven.TestData) string {
		of := boardWorld
		if d.HasArg("device") {
			of = deviceWorld
		}
		switch d.Cmd {
		case "joiner":
			return table(t, joinerColumns, joinerRows(t, of), func(s joinerState) machine { return joinerIn(t, of, s) })
		case "inviter":
			return table(t, inviterColumns, inviterRows(t, of), func(s inviterState) machine { return inviterIn(t, of, s) })
		}
		d.Fatalf(t, "unknown command %q", d.Cmd)
		return ""
	})
}

// machine is either of the two.
type machine interface {
	Step(time.Time, Event) (Effects, error)
	stateWord() string
	later() Effects
}

func (j *Joiner) stateWord() string {
	if j.state == joinerStoring && j.then.Done != nil {
		return "ending"
	}
	return joinerColumns[j.state]
}

// later returns what follows the change that is being stored.
func (j *Joiner) later() Effects {
	if j.state == joinerStoring {
		return j.then
	}
	return Effects{}
}

func (i *Inviter) stateWord() string { return inviterColumns[i.state] }
func (i *Inviter) later() Effects    { return Effects{} }

var joinerColumns = map[joinerState]string{
	joinerNew: "new", joinerJoined: "joined", joinerStoring: "storing", joinerAsked: "asked", joinerWaiting: "waiting", joinerOver: "over",
}

var inviterColumns = map[inviterState]string{
	inviterNew: "new", inviterChallenged: "challenged", inviterReserving: "reserving", inviterApproving: "approving",
	inviterWaiting: "waiting", inviterOver: "over",
}

// row is an event, or a message by whose content it is: of this run, of an
// earlier run of the same two with the same link, or of other people.
type row struct {
	name string
	ev   Event
}

const width = 16

// table renders the verdict of each state on each event, then what the advances
// do.
func table[S ~uint8](t *testing.T, columns map[S]string, rows []row, in func(S) machine) string {
	t.Helper()
	var grid, effects strings.Builder
	fmt.Fprintf(&grid, "%-24s", "")
	for s := range S(len(columns)) {
		fmt.Fprintf(&grid, "%-*s", width, columns[s])
	}
	grid.WriteByte('\n')
	main := ""
	for _, r := range rows {
		name := r.name
		if strings.HasPrefix(name, "  ") {
			name = main + name[1:]
		} else {
			main = name
		}
		fmt.Fprintf(&grid, "%-24s", r.name)
		does := make(map[string][]string) // states, by what they do
		var order []string
		for s := range S(len(columns)) {
			m := in(s)
			if m.stateWord() != columns[s] {
				t.Fatalf("state %s, want %s", m.stateWord(), columns[s])
			}
			verdict, doing := step(t, m, r)
			if doing != "" {
				if does[doing] == nil {
					order = append(order, doing)
				}
				does[doing] = append(does[doing], columns[s])
			}
			fmt.Fprintf(&grid, "%-*s", width, verdict)
		}
		grid.WriteByte('\n')
		for _, doing := range order {
			fmt.Fprintf(&effects, "%s (%s): %s\n", name, strings.Join(does[doing], ", "), doing)
		}
	}
	var out strings.Builder
	for line := range strings.Lines(grid.String()) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String() + "--\n" + effects.String()
}

// step returns what a machine makes of an event, and for an advance what it does.
func step(t *testing.T, m machine, r row) (verdict, doing string) {
	t.Helper()
	before := m.stateWord()
	eff, err := m.Step(dawn, r.ev)
	later := Effects{}
	if eff.Commit != nil {
		later = m.later()
	}
	switch doing = effectWords(eff, later); {
	case err != nil:
		if m.stateWord() != "over" || doing != "" {
			t.Errorf("%s in %s: state %s and %q after %v", r.name, before, m.stateWord(), doing, err)
		}
		if _, again := m.Step(dawn, r.ev); errorWord(again) != "ErrOver" {
			t.Errorf("%s in %s: then %v, want ErrOver", r.name, before, again)
		}
		return errorWord(err), ""
	case doing == "" && m.stateWord() == before:
		return "ignore", ""
	}
	return "→ " + m.stateWord(), doing
}

// effectWords says what the caller does, in its order, and what follows a commit.
func effectWords(eff, later Effects) string {
	var w []string
	if c := eff.Commit; c != nil {
		switch {
		case c.Joined != nil:
			w = append(w, "store what is joined")
		case c.Attempt != nil:
			w = append(w, "store the attempt as "+c.Attempt.State.String())
			if c.Attempt.Reason != invite.OK {
				w[len(w)-1] += " (" + c.Attempt.Reason.String() + ")"
			}
		case c.Reserve != nil:
			w = append(w, "store the claim")
		case c.Approve != nil:
			w = append(w, "store the admit")
		case c.Withdraw != nil:
			w = append(w, "store the withdrawal")
		case c.Failed:
			w = append(w, "count a failed proof")
		}
	}
	for _, m := range eff.Send {
		s := "send " + word(m)
		if a, ok := m.(ApproveJoin); ok {
			s += " " + statusWord(a.Status)
		}
		w = append(w, s)
	}
	if eff.Ask != nil {
		w = append(w, "ask a person")
	}
	if eff.Done != nil {
		s := "done, " + statusWord(eff.Done.Status)
		if eff.Done.Reason != invite.OK {
			s += " (" + eff.Done.Reason.String() + ")"
		}
		w = append(w, s)
	}
	if later.Done != nil || len(later.Send) > 0 {
		w = append(w, "then "+effectWords(later, Effects{}))
	}
	return strings.Join(w, ", ")
}

// joinerIn returns a requester in state s. The run is the same each time.
func joinerIn(t *testing.T, of func(testing.TB) *world, s joinerState) *Joiner {
	cryptotest.SetGlobalRandom(t, 1)
	x := of(t).run(t)
	switch s {
	case joinerJoined:
		x.toJoin()
	case joinerStoring:
		x.toAck().stepJ(x.ack)
	case joinerAsked:
		x.toRequest()
	case joinerWaiting:
		x.toPending()
	case joinerOver:
		x.toJoin().stepJ(No{})
		x.stepJ(Committed{})
	}
	return x.j
}

func inviterIn(t *testing.T, of func(testing.TB) *world, s inviterState) *Inviter {
	cryptotest.SetGlobalRandom(t, 1)
	w := of(t)
	x := w.run(t)
	switch s {
	case inviterChallenged:
		x.toAck()
	case inviterReserving:
		x.toRequest().stepI(x.request)
	case inviterApproving:
		x.i.in.Record.Auto = true
		x.toRequest()
		x.stepI(w.m.commit(w.now, x.stepI(x.request).Commit))
	case inviterWaiting:
		x.toPending()
	case inviterOver:
		x.toPending().stepI(Decided{Claim: invite.Claim{JoinID: x.i.JoinID(), State: invite.Denied, Reason: invite.RefusedRejected}})
	}
	return x.i
}

// frames are the messages of one run, and how its claim stood.
type frames struct {
	join               Join
	ack                AckChallenge
	request, withdrawn JoinEntity
	pending, denied    ApproveJoin
	approved, part     ApproveJoin
	reserved           Committed
	yes, no            Decided
	wait               Decided
}

// framesOf returns the frames of the run that joinerIn and inviterIn cut short
// (skip 0), of another run of the same two (skip 1), or, with another seed, of
// other people.
func framesOf(t *testing.T, of func(testing.TB) *world, seed uint64, skip int) frames {
	t.Helper()
	var f frames
	for _, yes := range []bool{false, true} {
		cryptotest.SetGlobalRandom(t, seed)
		w := of(t)
		if seed != 1 { // other people
			m := newPerson(t, "mallory")
			var board place
			if w.m.link.Kind == entity.Board {
				board = newBoardPlace(t, m, "other")
			}
			w.m = newIssuer(m, w.m.link.Kind, board, invite.Options{})
			w.r = w.requester(t, "victim")
		}
		x := w.run(t)
		for range skip {
			x = w.run(t)
		}
		x.toRequest()
		f.join, f.ack, f.request = x.join, x.ack, x.request
		f.pending = x.answer()
		f.reserved = w.m.committed(*w.m.rec.Claims[0], invite.OK)
		f.wait = w.m.decided(*w.m.rec.Claims[0])
		claim, _ := w.m.decide(x.i.JoinID(), yes, w.now)
		if yes {
			f.yes = w.m.decided(claim)
			f.approved = sent[ApproveJoin](t, x.stepI(f.yes))
			part := body[ApproveBody](t, f.approved.Body)
			part.Logs = part.Logs[:len(part.Logs)-1]
			f.part = x.i.answer(Approved, part)
		} else {
			f.no = w.m.decided(claim)
			f.denied = sent[ApproveJoin](t, x.stepI(f.no))
		}
	}
	cryptotest.SetGlobalRandom(t, seed)
	w := of(t)
	w.r.attempt.State, w.r.attempt.Reason = invite.AttemptCancelled, invite.RefusedCancelled
	x := w.run(t).toAck()
	f.withdrawn = sent[JoinEntity](t, x.stepJ(x.ack))
	return f
}

func joinerRows(t *testing.T, of func(testing.TB) *world) []row {
	run, earlier, foreign := framesOf(t, of, 1, 0), framesOf(t, of, 1, 1), framesOf(t, of, 2, 0)
	return checkRows(t, []row{
		{"Start", Start{}},
		{"Tick", Tick{}},
		{"Committed", Committed{}},
		{"Refused", Refused{invite.RefusedDiskFull}},
		{"Decided", run.yes},
		{"JOIN", run.join},
		{"ACK-CHALLENGE", run.ack},
		{"  of an earlier run", earlier.ack},
		{"  of others", foreign.ack},
		{"JOIN-ENTITY", run.request},
		{"APPROVE-JOIN pending", run.pending},
		{"  of an earlier run", earlier.pending},
		{"  of others", foreign.pending},
		{"APPROVE-JOIN approved", run.approved},
		{"  in part", run.part},
		{"  of an earlier run", earlier.approved},
		{"  of others", foreign.approved},
		{"APPROVE-JOIN denied", run.denied},
		{"  of an earlier run", earlier.denied},
		{"  of others", foreign.denied},
		{"NO", No{}},
	})
}

func inviterRows(t *testing.T, of func(testing.TB) *world) []row {
	run, earlier, foreign := framesOf(t, of, 1, 0), framesOf(t, of, 1, 1), framesOf(t, of, 2, 0)
	approved := Committed{Claim: run.yes.Claim, Grant: run.yes.Grant}
	return checkRows(t, []row{
		{"Start", Start{}},
		{"Tick", Tick{}},
		{"Committed, reserved", run.reserved},
		{"Committed, approved", approved},
		{"Committed, refused", Committed{Refuse: invite.RefusedUsedUp}},
		{"Refused", Refused{invite.RefusedDiskFull}},
		{"Decided, approved", run.yes},
		{"Decided, rejected", run.no},
		{"Decided, not yet", run.wait},
		{"Decided, of others", foreign.yes},
		{"JOIN", run.join},
		{"  of an earlier run", earlier.join},
		{"  of others", foreign.join},
		{"ACK-CHALLENGE", run.ack},
		{"JOIN-ENTITY", run.request},
		{"  of an earlier run", earlier.request},
		{"  of others", foreign.request},
		{"  withdrawing", run.withdrawn},
		{"APPROVE-JOIN", run.approved},
		{"NO", No{}},
	})
}

// checkRows fails the test unless every type with an event method has a row.
func checkRows(t *testing.T, rows []row) []row {
	t.Helper()
	for _, file := range []string{"machine.go", "messages.go"} {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "event" {
				continue
			}
			name := f.Recv.List[0].Type.(*ast.Ident).Name
			if !slices.ContainsFunc(rows, func(r row) bool { return fmt.Sprintf("%T", r.ev) == "protocol."+name }) {
				t.Errorf("no row for %s", name)
			}
		}
	}
	return rows
}
