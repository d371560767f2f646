package protocol

import (
	"errors"
	"time"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/invite"
	"pttnode/keys"
)

// Errors of a machine. None is sent to the peer; the caller resets the stream.
var (
	ErrUnexpected = errors.New("protocol: message out of place")
	ErrProof      = errors.New("protocol: a proof does not hold")
	ErrTimeout    = errors.New("protocol: the other side did not answer in time")
	ErrOver       = errors.New("protocol: the run is over")
)

// Event is what a machine is fed: a Message from the peer, or one of the types
// below.
type Event interface{ event() }

// Start begins a run: the stream is open. Only a Joiner takes it.
type Start struct{}

// Tick says that the time of Effects.Deadline has come.
type Tick struct{}

// Committed says that the change of the last Effects is durable. For an Inviter
// it carries how the claim stands and, if it is approved, what to hand over.
type Committed struct {
	Claim  invite.Claim
	Refuse invite.Code // why the claim was refused; OK if it was not
	Grant  *Grant
}

// Refused says that the change of the last Effects was not made, because what it
// was based on is no longer so, or the store is full.
type Refused struct{ Why invite.Code }

// Decided says that a waiting claim was decided, by whatever way. Only an Inviter
// takes it.
type Decided struct {
	Claim invite.Claim
	Grant *Grant
}

func (Start) event()     {}
func (Tick) event()      {}
func (Committed) event() {}
func (Refused) event()   {}
func (Decided) event()   {}

// Effects is what the caller must do after a Step, in the order of the fields.
type Effects struct {
	Commit   *Change   // make durable in one batch; the next event is Committed or Refused
	Send     []Message // to the peer of this join; never beside a Commit it depends on
	Ask      *Request  // ask the local user
	Deadline time.Time // Step with Tick at this time; zero means none
	Done     *Outcome  // the run has ended
}

// Change is all that one step makes durable, in one synced batch under the
// store's writer lock. The claim or attempt is re-read there first.
type Change struct {
	// The issuer's.
	Reserve  *invite.Claim // take a use for this claim
	Chain    *chain.Chain  // the requester's devices, kept with its claim; nil of a device
	Policy   []byte        // the policy hash that the requester saw
	Approve  *keys.Digest  // decide this joinid by itself: the link says so
	Withdraw *keys.Digest  // the requester of this joinid withdrew
	Failed   bool          // somebody without the secret showed a proof

	// The requester's.
	Attempt *invite.Attempt
	Joined  *Joined
	Partial *Partial       // kept with the attempt until the rest has come
	Begun   *entity.Entity // the beginning of the control strand that came with it
}

// Joined is a checked approval.
type Joined struct {
	Entity *entity.Entity
	Ring   entity.Keyring
	Issuer *chain.Chain   // the issuer's devices
	Chains []*chain.Chain // those of other masters
	Addrs  [][]byte       // signed peer records
	Leave  bool           // the request was withdrawn too late: leave at once
}

// Grant is what an approval hands over: a function of the claim and of the
// entity's present state, so it is made anew for every run.
type Grant struct {
	Entity keys.Digest
	Admit  keys.Digest
	Keys   []entity.EpochKey
	Addrs  [][]byte
	Logs   [][]byte // the control strand, or its beginning
	Strand Strand   // the whole of it
	Chains [][][]byte
}

// Request is the question to a person: may this user join?
type Request struct{ Claim invite.Claim }

// Outcome is how a run ended.
type Outcome struct {
	Status Status      // Approved or Denied
	Reason invite.Code // with Denied
	Detail error       // for the local log: what did not hold, nil if nothing was wrong
}
