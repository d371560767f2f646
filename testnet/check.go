package testnet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/node"
	"pttnode/oplog"
)

// settleTime is how long the nodes may take, after the last thing that happened,
// until all of them agree: some rounds of keeping and the longest pause of a
// request whose issuer is there.
const settleTime = 5 * time.Minute

// Check waits until the running nodes have settled and fails the test unless
// then
//
//   - nodes that share an entity have the same operations of it, fold them to the
//     same state and show the same members;
//   - every stored operation, of stopped nodes too, is authentic by what the store
//     holds, and the store folds to what the node shows;
//   - of several friendships of one pair one is left;
//   - no invite has more approved claims than uses, and every approved claim has
//     one admit in the log, which names its ref;
//   - every request has ended with a reason, or says what it waits for, and the
//     other side has it too;
//   - a device that was let in is linked, or both sides say that it had cancelled.
//
// It runs by itself at the end of a test; [Net.Unchecked] says that a test leaves
// the network in another state on purpose.
func (n *Net) Check(t *testing.T) {
	t.Helper()
	took, problems := n.settle()
	if len(problems) == 0 {
		problems = n.problems(true)
	}
	for _, p := range problems {
		t.Errorf("%v after the end: %s", took, p)
	}
}

// Unchecked leaves out the check at the end of the test.
func (n *Net) Unchecked() { n.unchecked = true }

// Settle waits until [Net.Check] would find nothing, and fails the test if that
// does not come. It returns how long it took, to a tenth of a second.
func (n *Net) Settle() time.Duration {
	n.t.Helper()
	took, problems := n.settle()
	if len(problems) > 0 {
		n.t.Fatalf("not settled after %v:\n%s", took, strings.Join(problems, "\n"))
	}
	return took
}

func (n *Net) settle() (time.Duration, []string) {
	start := time.Now()
	for {
		problems, took := n.problems(false), time.Since(start)
		if len(problems) == 0 || took >= settleTime {
			return took, problems
		}
		time.Sleep(max(100*time.Millisecond, took/50))
	}
}

// problems returns what does not hold. signatures says whether to verify those of
// stored operations.
func (n *Net) problems(signatures bool) []string {
	var found []string
	all := make([]*stored, 0, len(n.Peers))
	for _, p := range n.Peers {
		s, err := p.stored(signatures)
		if err != nil {
			found = append(found, fmt.Sprintf("%s: %v", p.Name, err))
			continue
		}
		all = append(all, s)
		found = append(found, s.inviteProblems()...)
	}
	running := slices.DeleteFunc(slices.Clone(all), func(s *stored) bool { return !s.peer.Running() })
	for _, s := range running {
		found = append(found, s.viewProblems()...)
		found = append(found, s.friendProblems()...)
		found = append(found, requestProblems(s, running)...)
		found = append(found, linkProblems(s, running)...)
	}
	return append(found, convergenceProblems(running)...)
}

// inviteProblems checks uses and admits.
func (s *stored) inviteProblems() []string {
	var found []string
	for _, r := range s.invites {
		letIn := make(map[admitted][]keys.Digest)
		total := 0
		for _, e := range s.entities {
			for o := range e.Log().All(oplog.Control) {
				if who, ref := admits(o); ref == r.Ref && e.Counts(o) {
					letIn[who] = append(letIn[who], o.ID())
					total++
				}
			}
		}
		approved := 0
		for _, c := range r.Claims {
			if c.State != invite.Approved {
				continue
			}
			approved++
			who := admitted{user: c.User}
			if r.Kind == entity.Me {
				who = admitted{device: c.Device}
			}
			if got := letIn[who]; len(got) != 1 || got[0] != c.Admit {
				found = append(found, fmt.Sprintf("%s: approved request %s has admits %v, want one: %v", s.peer.Name, c.ID, got, c.Admit))
			}
		}
		if approved > int(r.Uses) || total != approved {
			found = append(found, fmt.Sprintf("%s: invite %s with %d uses has %d approved requests and %d admits",
				s.peer.Name, r.ID, r.Uses, approved, total))
		}
	}
	return found
}

// admitted is who an op lets in: a user, or a device of the Me it stands in.
type admitted struct {
	user   keys.Digest
	device keys.ID
}

// admits returns whom an op lets in and by which invite; a zero ref for any other
// op.
func admits(o oplog.Op) (who admitted, ref [16]byte) {
	if o.Family() != oplog.FamilyMember {
		return who, ref
	}
	switch o.Type() {
	case entity.TypeAdmit:
		var a entity.Admit
		if err := keys.Unmarshal(o.Control(), &a); err == nil && a.Ref != nil {
			return admitted{user: a.Party.User}, *a.Ref
		}
	case entity.TypeDeviceAdd:
		var a chain.DeviceAdd
		if err := keys.Unmarshal(o.Control(), &a); err == nil {
			return admitted{device: a.Device}, a.Ref
		}
	}
	return who, ref
}

// viewProblems compares what the node shows with what its store holds.
func (s *stored) viewProblems() []string {
	var found []string
	for id, e := range s.entities {
		if e.State().Kind == entity.Me && id != s.user {
			continue // the device chain of another user
		}
		v, err := s.peer.Node.View(id.String())
		if err != nil {
			found = append(found, fmt.Sprintf("%s does not show %v: %v", s.peer.Name, id, err))
			continue
		}
		if v.Digest != e.State().Digest() || !slices.Equal(v.Heads, heads(e)) || !cmp.Equal(membersOf(v.Members), membersIn(e)) {
			found = append(found, fmt.Sprintf("%s shows %v otherwise than its store has it: %+v", s.peer.Name, id, v))
		}
	}
	return found
}

// friendProblems checks that of all friendships with one user that are alive the
// one with the lowest id stays, and the others say so.
func (s *stored) friendProblems() []string {
	lowest := make(map[keys.Digest]keys.Digest)
	for id, e := range s.entities {
		if st := e.State(); st.Alive() {
			other := st.Other(s.user)
			if low, ok := lowest[other]; !ok || slices.Compare(id[:], low[:]) < 0 {
				lowest[other] = id
			}
		}
	}
	var found []string
	for id, e := range s.entities {
		st := e.State()
		if low := lowest[st.Other(s.user)]; st.Alive() && (id == low) != st.Merged.IsZero() {
			found = append(found, fmt.Sprintf("%s: friendship %v is merged into %v, the lowest is %v", s.peer.Name, id, st.Merged, low))
		}
	}
	return found
}

func heads(e *entity.Entity) []keys.Digest {
	h := append(e.Log().Heads(oplog.Control), e.Log().Heads(oplog.Content)...)
	slices.SortFunc(h, func(a, b keys.Digest) int { return slices.Compare(a[:], b[:]) })
	return h
}

// place is a member but for what each node calls him.
type place struct{ Role, State string }

func membersOf(views []node.MemberView) map[keys.Digest]place {
	out := make(map[keys.Digest]place)
	for _, m := range views {
		out[m.UserID] = place{m.Role, m.State}
	}
	return out
}

func membersIn(e *entity.Entity) map[keys.Digest]place {
	out := make(map[keys.Digest]place)
	for user, m := range e.State().Members {
		out[user] = place{m.Role.String(), m.Standing.String()}
	}
	return out
}

// convergenceProblems compares the entities of nodes that share them.
func convergenceProblems(running []*stored) []string {
	var found []string
	ids := make(map[keys.Digest]entity.Kind)
	for _, s := range running {
		for id, e := range s.entities {
			ids[id] = e.State().Kind
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(ids), func(a, b keys.Digest) int { return slices.Compare(a[:], b[:]) }) {
		var first *stored
		for _, s := range running {
			e, ok := s.entities[id]
			switch {
			case ids[id] == entity.Me && id != s.user || ok && !s.active(id): // the device chain of another user
				continue
			case !ok:
				for _, o := range running { // is he a member of what he does not have?
					if h, ok := o.entities[id]; ok && o.active(id) && !h.State().Ended {
						if m, ok := h.State().Member(s.user); ok && m.Standing == entity.Active {
							found = append(found, fmt.Sprintf("%s is a member of %v %v at %s and does not have it",
								s.peer.Name, ids[id], id, o.peer.Name))
						}
					}
				}
				continue
			case first == nil:
				first = s
				continue
			}
			a, b := first.entities[id], e
			if !slices.Equal(a.Log().Vector(), b.Log().Vector()) {
				found = append(found, fmt.Sprintf("%v %v: %s has %d operations, %s has %d", ids[id], id,
					first.peer.Name, a.Log().Len(), s.peer.Name, b.Log().Len()))
				continue
			}
			if d := cmp.Diff(a.State(), b.State(), cmpopts.IgnoreUnexported(entity.State{})); d != "" {
				found = append(found, fmt.Sprintf("%v %v at %s (-) and %s (+):\n%s", ids[id], id, first.peer.Name, s.peer.Name, d))
			}
		}
		if first == nil {
			continue
		}
		for _, s := range running { // who left: what he wrote to leave has arrived
			e, ok := s.entities[id]
			if !ok || s.active(id) || ids[id] == entity.Me {
				continue
			}
			for o := range e.Log().All(oplog.Control) {
				if _, known := first.entities[id].Log().Get(o.ID()); !known && o.User() == s.user {
					found = append(found, fmt.Sprintf("%v %v: %s lacks %v of %s, who left", ids[id], id, first.peer.Name, o.ID(), s.peer.Name))
				}
			}
		}
	}
	return found
}
