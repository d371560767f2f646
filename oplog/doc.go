// Package oplog holds what was signed and in what order.
//
// An [Op] is one authentic operation: it carries the bytes it was parsed from,
// its id is the SHA-256 of those bytes, and it is never encoded again. Only
// [Parse], [ParseChain] and [Sign] make one, so who holds an Op need not check
// its signature.
//
// A [Log] is the set of operations of one entity: two strands, control and
// content, each a graph linked by hashes in which every device has a chain of
// its own. The order of a log ([Log.All]) is the same on every node that has
// the same operations: parents and prev first, ties by id. A log is compared with
// another by its [Vector], the tips of its chains, or by ranges of its [Place]s, for
// which each side has a [Reconciler].
//
// What an operation means, and whether its author had the right to write it, is
// package entity's business. docs/PROTOCOL.md §2 is the specification.
package oplog
