package entity

import (
	"errors"
	"fmt"
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
	ErrFrozen        = errors.New("entity: written by a newer version; upgrade to write here")
	ErrNoKey         = errors.New("entity: no op-key for it")
	ErrAlready       = errors.New("entity: already so")
	ErrFull          = errors.New("entity: no room for another member")
	ErrLastOwner     = errors.New("entity: the founder cannot leave")
)

// Entity is one entity: its log and what the log means. It is not safe for
// concurrent use.
type Entity struct {
	log    *oplog.Log
	state  *State
	past   map[string]*State   // states at older sets of heads
	bodies map[keys.Digest]any // of control ops in the log; nil for a type that is not known
}

// New begins an entity from its genesis.
func New(genesis oplog.Op) (*Entity, error) {
	e := &Entity{log: oplog.NewLog(genesis.Entity()), past: make(map[string]*State), bodies: make(map[keys.Digest]any)}
	if _, err := e.Add(genesis); err != nil {
		return nil, err
	}
	return e, nil
}

// Open folds a log that was stored: its operations were judged before they were
// stored and are not judged again.
func Open(log *oplog.Log) (*Entity, error) {
	e := &Entity{log: log, past: make(map[string]*State), bodies: make(map[keys.Digest]any)}
	var err error
	e.state, err = e.fold(log.All(oplog.Control))
	if err != nil {
		return nil, err
	}
	if e.state == nil {
		return nil, fmt.Errorf("%w: %v has no genesis", ErrBody, log.Entity())
	}
	return e, nil
}

// ID returns the entity's id.
func (e *Entity) ID() keys.Digest { return e.log.Entity() }

// Log returns the log. Only Add may append to it.
func (e *Entity) Log() *oplog.Log { return e.log }

// State returns what the control strand means now.
func (e *Entity) State() *State { return e.state }

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
	body, known, err := e.body(o)
	if err != nil {
		return false, err
	}
	linear := e.state != nil && slices.Equal(o.Parents(), e.log.Heads(oplog.Control))
	before := e.state
	if e.state != nil && !linear {
		if before, err = e.stateAt(append(slices.Clone(o.Parents()), o.Prev())); err != nil {
			return false, err
		}
	}
	if err := judge(before, o, body, known); err != nil {
		return false, err
	}
	if _, err := e.log.Append(o); err != nil {
		return false, err
	}
	if _, forked := e.log.Forked(o.Device(), oplog.Control); linear && !forked {
		apply(e.log, e.state, o, body, known)
		return true, nil
	}
	e.state, err = e.fold(e.log.All(oplog.Control))
	return true, err
}

// judgeContent says whether a content op's author had the right to write it
// under the control heads it cites, in an epoch that was in them. A cut that
// came since does not matter here: the verdict must be the same in whatever
// order ops arrive, or honest ops that build on this one could not be appended
// everywhere. Counts makes what is beyond a cut void.
func (e *Entity) judgeContent(o oplog.Op) error {
	at, err := e.stateAt(o.Auth())
	if err != nil {
		return err
	}
	switch {
	case at.Ended:
		return fmt.Errorf("%w: content op %v", ErrEnded, o.ID())
	case !at.Speaks(o.User(), o.Device(), ruleOf[at.Kind].writes):
		return fmt.Errorf("%w: content op %v by %v", ErrNotAuthorized, o.ID(), o.User())
	}
	if _, ok := at.Epochs[o.Epoch()]; !ok {
		return fmt.Errorf("%w: content op %v in an unknown epoch", ErrNotAuthorized, o.ID())
	}
	return nil
}

// stateAt folds the past of a set of control heads. Zero ids are skipped.
func (e *Entity) stateAt(heads []keys.Digest) (*State, error) {
	heads = slices.DeleteFunc(slices.Clone(heads), keys.Digest.IsZero)
	slices.SortFunc(heads, compare)
	heads = slices.Compact(heads)
	if slices.Equal(heads, e.log.Heads(oplog.Control)) {
		return e.state, nil
	}
	name := make([]byte, 0, len(heads)*32)
	for _, h := range heads {
		name = append(name, h[:]...)
	}
	if s, ok := e.past[string(name)]; ok {
		return s, nil
	}
	in := ancestors(e.log, heads)
	s, err := e.fold(func(yield func(oplog.Op) bool) {
		for o := range e.log.All(oplog.Control) {
			if in[o.ID()] && !yield(o) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fmt.Errorf("%w: a past without genesis", ErrNotAuthorized)
	}
	if len(e.past) >= maxPastCache {
		clear(e.past)
	}
	e.past[string(name)] = s
	return s, nil
}

// ancestors returns heads and all they build on within their strand.
func ancestors(l *oplog.Log, heads []keys.Digest) map[keys.Digest]bool {
	in := make(map[keys.Digest]bool)
	todo := slices.Clone(heads)
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if in[id] || id.IsZero() {
			continue
		}
		in[id] = true
		o, _ := l.Get(id)
		todo = append(todo, o.Parents()...)
		todo = append(todo, o.Prev())
	}
	return in
}
