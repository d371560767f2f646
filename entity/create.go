package entity

import (
	"crypto/rand"
	"fmt"
	"slices"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// Created is a new entity with its founding batch and its first op-key.
type Created struct {
	*Entity
	Ops   []oplog.Op // genesis, master/add but in Me, opkey/epoch
	Epoch keys.Digest
	Key   keys.OpKey
}

// CreateEntity founds an entity: genesis, the founder's master/add and the first
// epoch, to be written as one batch. g says its kind and what is particular to
// it; the nonce is filled in.
func CreateEntity(a Author, g Genesis) (Created, error) {
	return create(a, g)
}

// CreateMe founds a person's identity on its first device: the recovery key
// outranks the devices, box receives Me's op-keys.
func CreateMe(a Author, recovery keys.ID, class Class, box keys.BoxID) (Created, error) {
	return create(a, Genesis{Kind: Me, Recovery: &recovery, Class: class, Box: &box})
}

func create(a Author, g Genesis) (Created, error) {
	_, _ = rand.Read(g.Nonce[:]) // never fails since Go 1.24
	genesis, err := oplog.Sign(a.Key, oplog.Draft{
		User: a.User, Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: TypeGenesis, At: a.Now, Body: keys.Marshal(g),
	})
	if err != nil {
		return Created{}, fmt.Errorf("found %v: %w", g.Kind, err)
	}
	e, err := New(genesis)
	if err != nil {
		return Created{}, fmt.Errorf("found %v: %w", g.Kind, err)
	}
	a.User = genesis.User()
	ops := []oplog.Op{genesis}
	if g.Kind != Me {
		add, err := e.Control(a, oplog.FamilyMaster, TypeMasterAdd, MasterAdd{Party: *g.Founder})
		if err != nil {
			return Created{}, fmt.Errorf("found %v: %w", g.Kind, err)
		}
		ops = append(ops, add)
	}
	key := keys.NewOpKey()
	commitment := key.Commitment(e.ID())
	var epoch any = Epoch{Commitment: commitment, Depth: 1}
	if g.Kind == Me {
		epoch = chain.FirstEpoch{Commitment: commitment, Depth: 1, UserBox: key.UserBox().ID(), Chain: e.State().person.Chain.Next()}
	}
	first, err := e.Control(a, oplog.FamilyOpKey, TypeEpoch, epoch)
	if err != nil {
		return Created{}, fmt.Errorf("found %v: %w", g.Kind, err)
	}
	return Created{Entity: e, Ops: append(ops, first), Epoch: first.ID(), Key: key}, nil
}

// Admission says how a party is let in.
type Admission struct {
	Party   Party
	Role    Role
	Ref     *[16]byte    // the invite, or
	Friend  *keys.Digest // the friendship
	History *History
}

// ApproveJoinEntity is the standard approval of PIP-12 for an entity of any
// kind: it admits the party and appends the op, which names the epochs of ring
// whose keys are handed out with it: those that the history policy lets a newcomer
// have. It fails with ErrNoKey when a new one has to be begun first (HandsOut). The
// caller makes it durable before it sends anything.
func ApproveJoinEntity(e *Entity, a Author, ring Keyring, how Admission) (oplog.Op, error) {
	history := History{Mode: HistoryAll}
	if how.History != nil {
		history = *how.History
	} else if s := e.State(); ruleOf[s.Kind].policy {
		history = s.Policy.History
	}
	epochs, rotate := e.HandsOut(ring, history, a.Now)
	if rotate {
		return oplog.Op{}, fmt.Errorf("%w: none that %v may have", ErrNoKey, how.Party.User)
	}
	var limited *History
	if history.limits() {
		limited = &history
	}
	return e.Control(a, oplog.FamilyMember, TypeAdmit, Admit{
		Party: how.Party, Role: how.Role, Ref: how.Ref, Friend: how.Friend, Epochs: epochs, History: limited,
	})
}

// Approval is what an approval says of an entity, beside its control strand.
type Approval struct {
	Entity keys.Digest
	Admit  keys.Digest   // the op that admits us
	Heads  []keys.Digest // of the control strand, as who approved has it; none: those of the strand that is here
	Keys   []EpochKey
}

// Wanted is what a joiner knows before it reads an approval.
type Wanted struct {
	Kind    Kind
	Me      *Entity       // ours: the admit names our devices as of one of its heads
	By      keys.Digest   // the user who must have admitted us
	Ref     *[16]byte     // the invite the admit must name, or
	Friends []keys.Digest // the friendships of the two, one of which it must name
	Heads   []keys.Digest // heads that must be inside the log (card.heads)
}

// CreateJoinEntity is the standard creation of a joined entity of PIP-12, up to what needs
// a store: it checks everything that an approval says of e, the control strand that came
// with or after it, which was judged op by op ([OpenStrand]), and returns its keys. We must
// have been admitted by the expected op, by a master, in the past of the heads that the
// approval names; every key must match the commitment of its epoch. It fails with
// ErrRemoved if we were removed since, and with ErrEnded if the entity is over.
func CreateJoinEntity(e *Entity, ap Approval, want Wanted) (Keyring, error) {
	refuse := func(format string, args ...any) (Keyring, error) {
		return nil, fmt.Errorf("%w: approval for %v: %s", ErrNotAuthorized, ap.Entity, fmt.Sprintf(format, args...))
	}
	s := e.State()
	if s.Kind != want.Kind {
		return nil, fmt.Errorf("%w: a %v, want a %v", ErrKind, s.Kind, want.Kind)
	}
	heads := ap.Heads
	if len(heads) == 0 {
		heads = e.log.Heads(oplog.Control)
	}
	if h, ok := e.lacksOf(slices.Concat(want.Heads, heads)); ok {
		return refuse("the log lacks the head %v it was offered with", h)
	}
	o, ok := e.log.Get(ap.Admit)
	if !ok || !e.Counts(o) {
		return refuse("its admit is not in the log")
	}
	if !e.Saw(heads, ap.Admit) {
		return refuse("its admit is not among the ancestors of its heads")
	}
	body, _, err := decodeBody(o)
	if err != nil {
		return nil, err
	}
	admit, ok := body.(*Admit)
	if !ok {
		return refuse("its admit is not an admit")
	}
	me, issuer := s.Members[want.Me.ID()], e.stateAt(heads, o.User()).Members[o.User()]
	self, ok := want.Me.PartyAt(admit.Party.Head, "")
	switch {
	case !ok || !admit.Party.Same(self):
		return refuse("admits somebody else")
	case o.User() != want.By:
		return refuse("admitted by %v, not by the issuer", o.User())
	case (admit.Ref == nil) != (want.Ref == nil), admit.Ref != nil && *admit.Ref != *want.Ref,
		admit.Friend != nil && !slices.Contains(want.Friends, *admit.Friend):
		return refuse("admitted through another invite or friendship")
	case issuer == nil || issuer.Standing != Active || issuer.Role != Master:
		return refuse("the issuer is no master in it")
	case me != nil && me.Standing == Removed:
		return nil, fmt.Errorf("%w: from %v", ErrRemoved, ap.Entity)
	case me == nil || me.Standing != Active || me.Admit != o.ID():
		return refuse("we are no member in it")
	}
	if s.Kind == Friend && (s.Founder != want.By || s.Other(s.Founder) != want.Me.ID()) {
		return refuse("a friendship of others")
	}
	ring, err := openKeys(s, ap.Keys, admit.Epochs)
	if err != nil {
		return nil, err
	}
	if s.Ended {
		return nil, fmt.Errorf("%w: approval for %v", ErrEnded, ap.Entity)
	}
	return ring, nil
}

// lacksOf returns the first of some control ops that is not in the log.
func (e *Entity) lacksOf(ops []keys.Digest) (keys.Digest, bool) {
	for _, id := range ops {
		if _, ok := e.facts.reach.number[id]; !ok {
			return id, true
		}
	}
	return keys.Digest{}, false
}

// Holds reports whether all of some control ops are in the log, and so all their
// ancestors.
func (e *Entity) Holds(ops []keys.Digest) bool {
	_, lacks := e.lacksOf(ops)
	return !lacks
}

// ControlBeyond returns the control ops that are neither among heads nor among their
// ancestors, in the log's order: what somebody lacks whose strand ends in heads. A head
// that is not here counts for nothing.
func (e *Entity) ControlBeyond(heads []keys.Digest) []oplog.Op {
	var out []oplog.Op
	p := e.facts.reach.upTo(heads)
	for o := range e.log.All(oplog.Control) {
		if !p.has(e.facts.reach.number[o.ID()]) {
			out = append(out, o)
		}
	}
	return out
}

// openKeys checks op-keys against the commitments of their epochs; there must be
// one at least, and one for each epoch of need.
func openKeys(s *State, given []EpochKey, need []keys.Digest) (Keyring, error) {
	refuse := func(why string) (Keyring, error) {
		return nil, fmt.Errorf("%w: keys for %v: %s", ErrNotAuthorized, s.ID, why)
	}
	ring := make(Keyring, len(given))
	for _, k := range given {
		key, ok := s.OpenKey(k)
		if !ok {
			return refuse("a key does not match the commitment of its epoch")
		}
		ring[k.Epoch] = key
	}
	for _, id := range need {
		if _, ok := ring[id]; !ok {
			return refuse("a key it names is not there")
		}
	}
	if len(ring) == 0 {
		return refuse("no key")
	}
	return ring, nil
}

// OpenKey returns an op-key that was handed over, if it is the one that its epoch
// committed to.
func (s *State) OpenKey(k EpochKey) (keys.OpKey, bool) {
	epoch, ok := s.Epochs[k.Epoch]
	key := keys.OpKeyFromSecret(k.Key)
	return key, ok && !key.IsZero() && key.Commitment(s.ID) == epoch.Commitment
}

// OpenStrand builds an entity from a stranger's bytes, a control strand or the beginning
// of one: the first is the genesis whose hash is id, the others follow parents first.
// Each is judged by its own past.
func OpenStrand(id keys.Digest, raws [][]byte) (*Entity, error) {
	if len(raws) == 0 {
		return nil, fmt.Errorf("%w: an empty log", ErrBody)
	}
	var e *Entity
	for i, raw := range raws {
		o, err := oplog.Parse(raw)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if o.ID() != id || o.Family() != oplog.FamilyGenesis {
				return nil, fmt.Errorf("%w: %v is not the genesis of %v", oplog.ErrForeign, o.ID(), id)
			}
			if e, err = New(o); err != nil {
				return nil, err
			}
			continue
		}
		if o.Strand() != oplog.Control {
			return nil, fmt.Errorf("%w: content op %v among control ops", ErrBody, o.ID())
		}
		if added, err := e.Add(o); err != nil {
			return nil, err
		} else if !added {
			return nil, fmt.Errorf("%w: op %v twice", ErrBody, o.ID())
		}
	}
	return e, nil
}

// ControlStrand returns the bytes of the control strand, parents first: what an
// approval hands over.
func (e *Entity) ControlStrand() [][]byte {
	var raws [][]byte
	for o := range e.log.All(oplog.Control) {
		raws = append(raws, o.Envelope())
	}
	return raws
}
