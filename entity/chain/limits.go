package chain

import "pttnode/keys"

// Bounds of docs/protocol/me-chain.md §7. A chain is judged in every log of its
// person, so they are part of what is valid and never change.
const (
	MaxOps     = 512       // ops of a chain with its genesis: half a second of signatures
	MaxBytes   = 160 << 10 // bytes of a chain: four pieces of 40 KiB, as other logs carry them
	OpenOps    = 448       // a chain of as many ops takes only removals and RESETs: they always have room
	OpenBytes  = 120 << 10 // with an op that is none of these a chain has at most as many bytes: 31 removals and a RESET are less than the rest
	MaxOp      = 16 << 10  // bytes of an op, so that two with their votes fit any carrier; a RESET that has all it may have takes 12 KiB
	MaxDevices = 32        // devices in the set: recipients of each epoch
	MaxVoters  = 5         // of a state: signatures of each op
	MaxCount   = 1 << 20   // of a cut: no device has more ops in a strand

	// MaxBranches is how many branches of one person a store keeps (Set.Offer). It is
	// a matter of a node and no part of a verdict: more than two are made only by a
	// person whose voters, or words, sign many things at one place.
	MaxBranches = 16

	maxCuts     = 2 * 2 * MaxDevices // of a RESET: of its own set, and as many of branches it beats
	maxReplaces = 16                 // epochs that an epoch replaces
	mendVotes   = MaxVoters/2 + 1 + MaxVoters/2 + 1
)

// voteBytes is how many bytes a vote takes in a Link.
const voteBytes = 1 + 1 + 2 + len(keys.ID{}) + 1 + 2 + len(keys.Signature{})

// maxWire is how many bytes a Link takes at most, with the heads of its map and lists.
const maxWire = MaxOp + mendVotes*voteBytes + 16
