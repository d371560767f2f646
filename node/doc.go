// Package node runs a person's node: the only place with libp2p, goroutines, a
// store and a clock.
//
// [New] reads the store and starts nothing; [Node.Run] owns every goroutine and
// returns when all have ended:
//
//	pursue     one per outgoing request that has not ended: dials, runs a
//	           protocol.Joiner, waits, tries again
//	befriend   one: sends init-friend-info of friendships that are not alive yet
//	keep       one: every 30 s dials members, syncs, ends what is over
//	reach      one: protects connections, sends strangers away, notices new addresses
//	lookAround one, with LAN: announces this node and hears of others
//	announce   one: tells members of what is new, by gossip and push
//	serve*     one per incoming stream, counted, ended by Run
//
// All that a node knows stands in memory under one lock and on disk under
// [store]: a transaction ([Node.update]) takes the lock, re-reads what it decides
// on, changes memory, and is durable when its batch is; transactions that wait
// at once share one sync. Whatever is told to a peer or a person is told after
// that.
package node
