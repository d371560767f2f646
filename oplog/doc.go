// Package oplog holds what was signed and in what order.
//
// An [Op] is one operation: an envelope, whose SHA-256 is its id and which is never
// encoded again, and in the content strand the hash of a sealed body, which travels
// beside it. [Parse], [ParseChain] and [Sign] make authentic ones, and so does
// [ParseBatch], of which those that are not [Op.Signed] are authentic by others of the
// batch: whoever holds an Op need not check its signature.
//
// A [Log] is the index of the operations of one entity: two strands, control and
// content, each a graph linked by hashes in which every device has a chain of
// its own. The order of a log ([Log.All]) is the same on every node that has
// the same operations: parents and prev first, ties by id. A log is compared with
// another by its [Vector], the tips of its chains, or by ranges of its [Place]s, for
// which each side has a [Reconciler].
//
// What an operation means, and whether its author had the right to write it, is
// package entity's business. docs/PROTOCOL.md §2 is the specification.
package oplog
