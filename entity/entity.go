package entity

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// Errors of this package, told apart with errors.Is.
var (
	ErrNotAuthorized = errors.New("entity: its author had no right to it")
	ErrBody          = errors.New("entity: malformed body")
	ErrKind          = errors.New("entity: of the wrong kind")
	ErrEnded         = errors.New("entity: ended")
	ErrRemoved       = errors.New("entity: its user was removed")
	ErrFrozen        = errors.New("entity: written by a newer version; upgrade to write here")
	ErrNoKey         = errors.New("entity: no op-key for it")
	ErrNoBody        = errors.New("entity: its body is not here")
	ErrAlready       = errors.New("entity: already so")
	ErrFull          = errors.New("entity: no room for another member")
	ErrLastOwner     = errors.New("entity: the founder cannot leave")
)

// Entity is one entity: its log and what the log means. It is not safe for
// concurrent use.
type Entity struct {
	log     *oplog.Log
	facts   *facts
	state   *State            // nil after an append that the state could not follow
	judged  *judged           // what the last op was judged by, with it
	settled *settled          // the state at the last final checkpoint that was folded
	past    map[string]*State // states at older sets of heads
	rights  map[keys.ID]right // what let the last content op of a device in

	owners  owners // who of the authors of content was an owner
	profile profile
}

func newEntity(log *oplog.Log) *Entity {
	return &Entity{log: log, facts: newFacts(), past: make(map[string]*State), rights: make(map[keys.ID]right)}
}

// New begins an entity from its genesis.
func New(genesis oplog.Op) (*Entity, error) {
	e := newEntity(oplog.NewLog(genesis.Entity()))
	if _, err := e.Add(genesis); err != nil {
		return nil, err
	}
	return e, nil
}

// Open folds a log that was stored: its operations were judged before they were
// stored and are not judged again.
func Open(log *oplog.Log) (*Entity, error) {
	e := newEntity(log)
	for o := range log.All(oplog.Control) {
		body, _, err := decodeBody(o)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBody, err)
		}
		if err := e.facts.place(o, body); err != nil {
			return nil, err
		}
		e.facts.add(log, o, body)
	}
	if len(e.facts.reach.ops) == 0 {
		return nil, fmt.Errorf("%w: %v has no genesis", ErrBody, log.Entity())
	}
	var err error
	if e.facts.founded, err = begin(e.facts.reach.ops[0], e.facts.bodies[0]); err != nil {
		return nil, err
	}
	return e, nil
}

// ID returns the entity's id.
func (e *Entity) ID() keys.Digest { return e.log.Entity() }

// Log returns the log. Only Add may append to it.
func (e *Entity) Log() *oplog.Log { return e.log }

// State returns what the control strand means now.
func (e *Entity) State() *State {
	if e.state == nil {
		e.state = e.fold(e.facts.reach.upTo(e.log.Heads(oplog.Control)))
	}
	return e.state
}

// Add appends an operation after judging it by its own past, and reports
// whether it was new. It fails with oplog's errors, ErrBody, ErrNotAuthorized
// or ErrEnded, and then changes nothing.
func (e *Entity) Add(o oplog.Op) (bool, error) {
	if _, ok := e.log.Get(o.ID()); ok {
		return false, nil
	}
	if err := e.log.Check(o); err != nil {
		return false, err
	}
	if o.Strand() == oplog.Content {
		if err := e.judgeContent(o); err != nil {
			return false, err
		}
		return e.log.Append(o)
	}
	body, known, err := decodeBody(o)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrBody, err)
	}
	if err := e.facts.place(o, body); err != nil {
		return false, err
	}
	genesis := len(e.facts.reach.ops) == 0
	linear := !genesis && e.state != nil && slices.Equal(o.Parents(), e.log.Heads(oplog.Control))
	var before *State
	switch {
	case linear:
		before = e.state
	case !genesis:
		before = e.judging(o, body)
	}
	if err := judge(before, o, body, known); err != nil {
		return false, err
	}
	if err := e.judgeFinality(before, o, body); err != nil {
		return false, err
	}
	if _, err := e.log.Append(o); err != nil {
		return false, err
	}
	if genesis {
		e.facts.founded, _ = begin(o, body) // judged just now
	}
	clashed := e.facts.lastClash
	forked, again := e.facts.forks[o.Device()]
	e.facts.add(e.log, o, body)
	if e.judged != nil && e.judged.state == before {
		e.judged.at = len(e.facts.bodies) - 1
		apply(before, o, body)
	} else {
		e.judged = nil
	}
	me := e.state != nil && e.facts.kind() == Me // which comes to the same in any order
	switch {
	case linear && body == nil && again && o.Seq() >= forked && !takesAway(o) && e.facts.kind() != Me:
		// One more of a device that signs two at one place, of a type without effect: it is
		// void, and so nothing else becomes. Whoever writes many costs no fold for each.
		e.state.void(o, body)
	case me || linear && e.facts.lastClash == clashed && o.Family() != oplog.FamilyCheckpoint && !e.acquits(o, body):
		apply(e.state, o, body)
	default:
		e.state = nil
	}
	return true, nil
}

// acquits reports whether an op lets in somebody whom an op that is void let in, or is his
// leave: he is no stranger any more who was given keys, or is one again (taint).
func (e *Entity) acquits(o oplog.Op, body any) bool {
	u := o.User()
	switch b := body.(type) {
	case *Admit:
		u = b.Party.User
	case *Leave:
	default:
		return false
	}
	return slices.ContainsFunc(e.facts.about[u], func(n int) bool {
		_, admit := e.facts.bodies[n].(*Admit)
		return admit && e.state.Void[e.facts.reach.ops[n].ID()]
	})
}

// judged is what is known of some users at an op that was judged last and everything before
// it: a chain of ops that come one after the other is folded once.
type judged struct {
	at, tip int // the op; the last final checkpoint in its past, of which nothing beyond is void
	users   []keys.Digest
	state   *State
}

// goesOn returns the state of a past that ends with the op that was judged last.
func (e *Entity) goesOn(p past, v *verdict, users []keys.Digest) (*State, bool) {
	j := e.judged
	if j == nil || !slices.Contains(p.heads, j.at) || v.tip() != j.tip || len(v.live) > 0 ||
		slices.ContainsFunc(p.heads, func(h int) bool { return h != j.at && !p.reach.before(h, j.at) }) ||
		slices.ContainsFunc(users, func(u keys.Digest) bool { return !slices.Contains(j.users, u) }) {
		return nil, false
	}
	return j.state, true
}

// judging returns what has to be known to judge an op at its own past.
func (e *Entity) judging(o oplog.Op, body any) *State {
	p := e.pastOf(o)
	users := append(subjects(o, body), o.User())
	for _, party := range parties(body) {
		for _, d := range party.Devices {
			users = append(users, e.facts.claimed[d]...)
		}
	}
	if _, admit := body.(*Admit); admit && len(e.facts.about) > ruleOf[e.facts.kind()].members {
		users = slices.Collect(maps.Keys(e.facts.about)) // there may be no room
	}
	v := e.verdict(p)
	if s, ok := e.goesOn(p, v, users); ok {
		return s
	}
	s := e.partial(p, v, users...)
	e.judged = &judged{at: -1, tip: v.tip(), users: users, state: s}
	for id, n := range e.facts.epochs {
		if p.has(n) {
			s.addEpoch(id, e.facts.reach.ops[n].User(), e.facts.bodies[n])
		}
	}
	return s
}

// judgeContent says whether a content op's author had the right to write it
// under the control heads it cites, in an epoch that was in them. A cut that
// came since does not matter here: the verdict must be the same in whatever
// order ops arrive, or honest ops that build on this one could not be appended
// everywhere. Counts makes what is beyond a cut void.
func (e *Entity) judgeContent(o oplog.Op) error {
	r := right{o.User(), o.Epoch(), o.Auth()}
	if last, ok := e.rights[o.Device()]; ok && last.user == r.user && last.epoch == r.epoch && slices.Equal(last.auth, r.auth) {
		return nil
	}
	at := e.stateAt(o.Auth(), o.User())
	switch {
	case at.Ended:
		return fmt.Errorf("%w: content op %v", ErrEnded, o.ID())
	case !at.Speaks(o.User(), o.Device(), ruleOf[at.Kind].writes):
		return fmt.Errorf("%w: content op %v by %v", ErrNotAuthorized, o.ID(), o.User())
	}
	if n, ok := e.facts.epochs[o.Epoch()]; o.Size() > 0 && (!ok || !e.facts.reach.upTo(o.Auth()).has(n)) {
		return fmt.Errorf("%w: content op %v in an unknown epoch", ErrNotAuthorized, o.ID())
	}
	e.rights[o.Device()] = r
	return nil
}

// right is all that a content op of a device is judged by: what has it once is in, whenever
// it comes, and most of a device's ops have that of the one before.
type right struct {
	user, epoch keys.Digest
	auth        []keys.Digest
}

// stateAt returns what the past of a set of control heads says of a user. Zero ids
// are skipped.
func (e *Entity) stateAt(heads []keys.Digest, user keys.Digest) *State {
	heads = slices.DeleteFunc(slices.Clone(heads), keys.Digest.IsZero)
	slices.SortFunc(heads, compare)
	heads = slices.Compact(heads)
	if slices.Equal(heads, e.log.Heads(oplog.Control)) {
		return e.State()
	}
	name := make([]byte, 0, (len(heads)+1)*32)
	for _, h := range append(heads, user) {
		name = append(name, h[:]...)
	}
	if s, ok := e.past[string(name)]; ok {
		return s
	}
	p := e.facts.reach.upTo(heads)
	s := e.partial(p, e.verdict(p), user)
	if len(e.past) >= maxPastCache {
		clear(e.past)
	}
	e.past[string(name)] = s
	return s
}
