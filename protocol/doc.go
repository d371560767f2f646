// Package protocol says how a join is talked. It does no I/O and has no clock:
// a machine is fed events and times and says what to store, send and ask.
//
//	R, the requester                                M, the issuer of the link
//
//	JOIN           iid, challenge, commitment  ───►
//	                                           ◄───  ACK-CHALLENGE   card, proof of whose device, mac, sig
//	store the safety code of this run
//	JOIN-ENTITY    who I am, proofs            ───►
//	                                                 store the claim: one use is taken
//	                                           ◄───  APPROVE-JOIN    PENDING: a person is asked
//	                                                 …days, restarts…
//	                                                 store the admit
//	                                           ◄───  APPROVE-JOIN    APPROVED: op-keys, logs
//	store everything, or nothing
//
// [Joiner] is R's side of one stream, [Inviter] is M's. Neither is ever stored:
// what outlives a stream is R's invite.Attempt and M's invite.Claim. A machine
// asks for a [Change] to be made durable and goes on when it hears [Committed];
// whatever depends on it is sent only then. After an error a machine is dead and
// every further Step fails.
//
// A [Joiner] without a Me asks to become a device of the issuer's user, and then has
// to show its consent in place of an identity. What follows the approval of a friend
// or a device is an [Info], one signed frame each way or a few; [Hello] and the
// frames after it are those of a sync; a [Gossip] is what goes over a topic.
//
// docs/PROTOCOL.md §5 is the specification, and its state × event table is walked
// by a test; §6 and §8 are that of the others.
package protocol
