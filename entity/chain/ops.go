package chain

import (
	"fmt"

	"pttnode/keys"
	"pttnode/oplog"
)

// Type names a type of chain op.
type Type struct {
	Family oplog.Family
	Type   uint16
}

// body is the body of a chain op and what it means. Each type has its own file, and a
// row of the table.
type body interface {
	// link returns the place that the body names.
	link() DeviceLink
	// shape checks what can be seen without a state: order, numbers, zeros.
	shape() error
	// check checks the op against the chain before it: who may write it is checked already.
	check(c *Chain, o oplog.Op) error
	// apply makes of the state before the op the one after it.
	apply(s *State, o oplog.Op)
	// certificate returns what votes the op needs after c.
	certificate(c *Chain, o oplog.Op) certificate
}

// row says what is particular to a type of chain op.
type row struct {
	typ    Type
	word   string      // for people: what the op does
	always bool        // has room in a chain that takes nothing else
	body   func() body // empty
}

// rows is the table of docs/protocol/me-chain.md §2.
var rows = []row{
	{typ: genesisType, word: "begins a person", body: func() body { return new(Genesis) }},
	{typ: epochType, word: "begins the first key", body: func() body { return new(FirstEpoch) }},
	{typ: addType, word: "adds a device", body: func() body { return new(DeviceAdd) }},
	{typ: removeType, word: "removes a device", always: true, body: func() body { return new(DeviceRemove) }},
	{typ: classType, word: "says what a device is", body: func() body { return new(DeviceClass) }},
	{typ: votersType, word: "says which devices decide", body: func() body { return new(SetVoters) }},
	{typ: anchorType, word: "hands over to a device", body: func() body { return new(SetAnchor) }},
	{typ: wordsType, word: "replaces the recovery words", body: func() body { return new(NewWords) }},
	{typ: movedType, word: "goes on as another person", body: func() body { return new(Moved) }},
	{typ: mendType, word: "ends a split of the devices", always: true, body: func() body { return new(Mend) }},
	{typ: resetType, word: "starts anew with the recovery words", always: true, body: func() body { return new(Reset) }},
}

var rowOf = func() map[Type]*row {
	m := make(map[Type]*row, len(rows))
	for i := range rows {
		m[rows[i].typ] = &rows[i]
	}
	return m
}()

// typeOf returns the type of an op; that of a content op is none of a chain.
func typeOf(o oplog.Op) Type { return Type{Family: o.Family(), Type: o.Type()} }

// Known reports whether ops of a type are chain ops. Of opkey/epoch only the first is,
// which has a DeviceLink.
func Known(t Type) bool { return rowOf[t] != nil }

// Word returns what a chain op does, for people; "" if it is none.
func Word(t Type) string {
	if r := rowOf[t]; r != nil {
		return r.word
	}
	return ""
}

func wordOf(o oplog.Op) string { return fmt.Sprintf("%d/%d", o.Family(), o.Type()) }

// TypeOf returns the type of a chain op with such a body, a pointer or not.
func TypeOf(b any) (Type, bool) {
	switch b.(type) {
	case Genesis, *Genesis:
		return genesisType, true
	case FirstEpoch, *FirstEpoch:
		return epochType, true
	case DeviceAdd, *DeviceAdd:
		return addType, true
	case DeviceRemove, *DeviceRemove:
		return removeType, true
	case DeviceClass, *DeviceClass:
		return classType, true
	case SetVoters, *SetVoters:
		return votersType, true
	case SetAnchor, *SetAnchor:
		return anchorType, true
	case NewWords, *NewWords:
		return wordsType, true
	case Moved, *Moved:
		return movedType, true
	case Mend, *Mend:
		return mendType, true
	case Reset, *Reset:
		return resetType, true
	}
	return Type{}, false
}

// decode returns the row and the body of a chain op. It fails with ErrUnknown and
// ErrFormat.
func decode(o oplog.Op) (*row, body, error) {
	r := rowOf[typeOf(o)]
	if o.Strand() != oplog.Control || r == nil {
		return nil, nil, fmt.Errorf("%w: %s %v", ErrUnknown, wordOf(o), o.ID())
	}
	b := r.body()
	if err := keys.Unmarshal(o.Control(), b); err != nil {
		return nil, nil, fmt.Errorf("%w: %s %v: %w", ErrFormat, wordOf(o), o.ID(), err)
	}
	return r, b, nil
}

// Decode returns the body of a chain op, a pointer to a type of this package. It
// fails with ErrUnknown and ErrFormat.
func Decode(o oplog.Op) (any, error) {
	_, b, err := decode(o)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Follows returns the chain op that a chain op names as the one before it; zero for a
// genesis. It fails as Decode does.
func Follows(o oplog.Op) (prev keys.Digest, err error) {
	_, b, err := decode(o)
	if err != nil {
		return keys.Digest{}, err
	}
	return b.link().Prev, nil
}

// usual is the certificate of all types but three: of a majority of the voters before.
type usual struct{}

func (usual) certificate(c *Chain, o oplog.Op) certificate { return c.state.ordinary(o) }

// fine is the shape of a body that cannot be seen to be wrong by itself.
type fine struct{}

func (fine) shape() error { return nil }
