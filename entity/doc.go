// Package entity says what a log means: who is a member, who may admit, which
// epochs of op-keys there are, what counts of what was written.
//
// An [Entity] is a log and the [State] folded from it. Every operation is judged
// by the state at its own past and nothing else, so that whoever has the past
// comes to the same verdict: [Entity.Add] refuses what its author had no right
// to, with [ErrNotAuthorized], and a refused operation is neither kept nor
// relayed. The state is then the fold of all that was accepted, in the log's one
// order.
//
// The four kinds differ by a table ([rules]) and not by code: who may admit, how
// many members, who may write. [CreateEntity], [ApproveJoinEntity] and
// [CreateJoinEntity] are the standard procedures of PIP-12 and exist once, for
// every kind. What a device of the user is given has two of its own: [CreateJoinMe]
// for the Me it becomes a part of, [CreateOwn] for what another device hands over.
//
// A Me has no members but a chain of devices; [State.Voters] says which of them
// decide on the next. Its content strand is the me-oplog, by which the devices
// follow one another; package me reads it, as package board does the content of a
// Board. Package entity says of content who wrote it, by which right, and whether it
// counts; [Entity.Read] opens a body.
//
// The package is pure: no clock, no I/O, no goroutine. docs/PROTOCOL.md §2 and §6
// are the specification.
package entity
