// Package invite holds the rules of invitations on both sides, without I/O.
//
// A [Link] is what one person gives to another: which device made it, for what
// kind of entity, until when, and a 16-byte secret. [New] makes one, [Parse]
// reads one as people paste it, [Link.Keys] derives everything that a join needs
// from it.
//
// A [Record] is what the issuing device stores of a link: its verifier, never its
// secret, so that a stolen store admits nobody. Its [Claim]s are the uses of the
// link, one for each device that proved that it knows the secret. An [Attempt] is
// what the requesting device stores until it is in.
//
// Records and attempts are values. Every transition is a pure function of the
// value and of the time it is given, and returns a new value; the node reads one,
// calls a transition, writes the result in the same transaction, and only then
// answers. Three rules hold in every order of calls, and tests walk them:
//
//   - uses held by claims never exceed the uses of the link;
//   - a terminal state never changes, whatever the clock does;
//   - one device's use of one link, its [JoinID], always gets the same outcome.
//
// Why the other side refuses is a [Code], the same number on the wire, in records
// and on screens.
//
// docs/PROTOCOL.md §4 and §5 are the specification of everything in this package.
package invite
