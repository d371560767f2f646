// Package chain verifies, folds and compares the device chains of people
// (docs/protocol/me-chain.md). A person is named by the hash of the genesis of their Me.
// Which devices they have is proven by a chain of operations from that genesis on, to
// anybody, in every log; so everything here is a function of the chains that are given,
// with no clock, network or store.
//
// # One chain
//
// Each op names the one before it, and is valid with the votes of a majority of the voters
// before it. The votes stand beside the op. An op without them is a proposal, and nothing
// has happened:
//
//	genesis ── epoch ── add B ── add C ── voters A B C ── remove B ── …
//	voter A    A        A        A        A               2 of A B C
//
// Open and Extend verify an op at a time. A Chain does not change, and has a State at each
// of its ops. Each type of op is a file op_*.go and a row of the table in ops.go: its body,
// what is checked, what it does, its word for people.
//
// # Several chains
//
// The chains of one person that somebody knows are a Set. Sets are joined by union, so
// arrival order is of no account, and Judge says what a set comes to. Compare says it of two.
// There are four rules.
//
// A chain that extends another is further:
//
//	… ── a ── b        further than the chain that ends with a
//
// A RESET beats every branch of a lower number, however long. It is signed by the key of the
// recovery words alone, so it is the way out where no majority is left:
//
//	… ──┬── a ── b
//	    └── RESET      further
//
// New words beat every RESET that follows an op before them. They need the words and the
// voters; a RESET needs the words alone, and those were replaced:
//
//	… ──┬── words
//	    └── RESET ── RESET
//
// Two ops at one place are a fork. Nothing is removed or added any
// more, and only the devices of both branches go on. It ends by a RESET, or by a mend: an op
// that follows one branch, names the other, and removes the voters that certified both, with
// the votes of a majority of all, without these:
//
//	… ──┬── a ── mend(a, b)      further than each chain through b
//	    └── b ── c
//
// # Why it ends
//
// Judge takes the chains of the greatest history (a letter for each op that took a number)
// and looks at the first place where they part. Either one group of them mended all others
// there, and it goes on with that group, which is smaller; or it is a fork, and it stops.
// Histories are compared as text, which is a total order; so adding a chain can replace the
// furthest one, or make a fork of it, but what comes out does not depend on which was first.
//
// # One chain and many
//
// Extend checks what one chain proves by itself: also that a RESET lets nobody survive who was
// removed before it. That a survivor was removed on another branch is known only where that
// branch is held. It is in Verdict.Gone: the chain stands, and the device is refused.
package chain
