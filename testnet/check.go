package testnet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"pttnode/entity"
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

// stored is what a peer's store holds.
type stored struct {
	peer     *Peer
	user     keys.Digest
	entities map[keys.Digest]*entity.Entity
	invites  []invite.Record
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

// stored reads a peer's store as a restart would.
func (p *Peer) stored(signatures bool) (*stored, error) {
	ctx := context.Background()
	logs, newer, err := oplog.Load(ctx, p.Store)
	if err != nil {
		return nil, err
	}
	if newer > 0 {
		return nil, fmt.Errorf("%d operations of a newer version", newer)
	}
	s := &stored{peer: p, user: p.User(), entities: make(map[keys.Digest]*entity.Entity)}
	for id, log := range logs {
		e, err := entity.Open(log)
		if err != nil {
			return nil, fmt.Errorf("fold %v: %w", id, err)
		}
		s.entities[id] = e
	}
	err = p.each("/i", func(key string, value []byte) error {
		plain, err := p.vault.Open(key, value)
		if err != nil {
			return err
		}
		var r invite.Record
		if err := keys.Unmarshal(plain, &r); err != nil {
			return err
		}
		s.invites = append(s.invites, r)
		return nil
	})
	if err == nil && signatures {
		err = s.authentic()
	}
	return s, err
}

// authentic checks that whoever gets a stored log whole believes all of it.
func (s *stored) authentic() error {
	for id, e := range s.entities {
		var raws [][]byte
		for _, strand := range []oplog.Strand{oplog.Control, oplog.Content} {
			for o := range e.Log().All(strand) {
				raws = append(raws, o.Bytes())
			}
		}
		if got := len(oplog.ParseBatch(raws)); got != len(raws) {
			return fmt.Errorf("of %d operations of %v %d are authentic", len(raws), id, got)
		}
	}
	return nil
}

// each calls f with every entry of the store below a prefix.
func (p *Peer) each(prefix string, f func(key string, value []byte) error) error {
	res, err := p.Store.Query(context.Background(), query.Query{Prefix: prefix})
	if err != nil {
		return err
	}
	all, err := res.Rest()
	if err != nil {
		return err
	}
	for _, e := range all {
		if err := f(datastore.RawKey(e.Key).String(), e.Value); err != nil {
			return fmt.Errorf("%s: %w", e.Key, err)
		}
	}
	return nil
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
		if err := keys.Unmarshal(o.Body(), &a); err == nil && a.Ref != nil {
			return admitted{user: a.Party.User}, *a.Ref
		}
	case entity.TypeDeviceAdd:
		var a entity.DeviceAdd
		if err := keys.Unmarshal(o.Body(), &a); err == nil {
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

func (s *stored) active(id keys.Digest) bool {
	e, ok := s.entities[id]
	if !ok {
		return false
	}
	m, ok := e.State().Member(s.user)
	return ok && m.Standing == entity.Active
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

// over are the states of a request after which nothing happens by itself.
var over = []string{"done", "rejected", "expired", "cancelled", "failed", "approved", "withdrawn"}

// requestProblems checks that nobody waits for nothing.
func requestProblems(s *stored, running []*stored) []string {
	var found []string
	for _, r := range s.peer.Node.Requests() {
		bad := func(why string) {
			found = append(found, fmt.Sprintf("%s: request %s (%s) is %s: %s; reason %q, steps %v",
				s.peer.Name, r.ID, r.Direction, r.State, why, r.Reason, stepsOf(r)))
		}
		switch {
		case r.Direction == "in" && r.State == "approved", r.State == "done":
		case slices.Contains(over, r.State):
			if r.Reason == "" {
				bad("ended without a reason")
			}
		case r.State == "waiting_peer":
			if r.NextTryAt == nil || r.Reason == "" {
				bad("waits without a next try or a reason")
			}
		case r.State == "waiting_approval":
			if !slices.ContainsFunc(running, func(o *stored) bool { return o != s && o.waitingFor(s.user, r.Code) }) && !s.awayFrom(r, running) {
				bad("nobody is asked")
			}
		case r.State == "new" && r.At != "": // it waits at another device of the user
			if !slices.ContainsFunc(running, func(o *stored) bool { return o != s && o.user == s.user && o.holds(r) }) {
				bad("it does not wait where it should")
			}
		case r.State == "new":
			for _, o := range running {
				if r.With.UserID != nil && o.user == *r.With.UserID && !slices.ContainsFunc(o.peer.Node.Requests(), func(q node.RequestView) bool {
					return q.Direction == "out" && q.Code == r.Code && !slices.Contains(over, q.State)
				}) {
					bad("its requester does not ask any more")
				}
			}
		default:
			bad("not settled")
		}
	}
	return found
}

// linkProblems checks that a device which the peer let in, and which is running, does
// not say that its linking ended otherwise.
func linkProblems(s *stored, running []*stored) []string {
	var found []string
	for _, r := range s.invites {
		for _, c := range r.Claims {
			if r.Kind != entity.Me || c.State != invite.Approved {
				continue
			}
			for _, o := range running {
				if o.peer.device.ID() != c.Device {
					continue
				}
				for _, q := range o.peer.Node.Requests() {
					if q.Kind != "device" || q.Direction != "out" || !slices.Contains(over, q.State) {
						continue
					}
					if same := q.State == "done" && !c.Withdrew() || q.State == "cancelled" && c.Withdrew(); !same {
						found = append(found, fmt.Sprintf("%s let %s in (withdrawn: %v), where that is %s: %s",
							s.peer.Name, o.peer.Name, c.Withdrew(), q.State, q.Reason))
					}
				}
			}
		}
	}
	return found
}

// waitingFor reports whether a request of user with this code waits for the
// peer's person.
func (s *stored) waitingFor(user keys.Digest, code string) bool {
	return slices.ContainsFunc(s.peer.Node.Requests(), func(r node.RequestView) bool {
		if r.With.UserID == nil { // a device: its code is not shown here
			return r.Direction == "in" && r.State == "new" && user.IsZero()
		}
		return r.Direction == "in" && r.State == "new" && *r.With.UserID == user && r.Code == code
	})
}

// holds reports whether the request waits at this very device.
func (s *stored) holds(r node.RequestView) bool {
	return slices.ContainsFunc(s.peer.Node.Requests(), func(q node.RequestView) bool {
		return q.Direction == "in" && q.State == "new" && q.At == "" && q.Since.Equal(r.Since) && q.With.Name == r.With.Name
	})
}

// awayFrom reports whether the issuer of a request is not running.
func (s *stored) awayFrom(r node.RequestView, running []*stored) bool {
	return !slices.ContainsFunc(running, func(o *stored) bool { return r.With.UserID != nil && o.user == *r.With.UserID })
}

func stepsOf(r node.RequestView) string {
	var b strings.Builder
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "[%s %v %s]", s.Step, s.OK, s.Detail)
	}
	return b.String()
}
