package api

import "time"

// Bounds of the server, each with its reason.
const (
	maxBody     = 1 << 20          // bytes of a request: the longest article with room, as JSON
	maxHeader   = 16 << 10         // bytes of a request's header: ours have five lines
	headerTime  = 5 * time.Second  // to send the header; the peer is on this computer
	bodyTime    = 10 * time.Second // to send the body
	idleTime    = 60 * time.Second // between two requests of a connection
	writeTime   = 10 * time.Second // for one event: a reader that sleeps longer has to come back
	heartbeat   = 15 * time.Second // a comment, so that a dead follower is noticed
	eventBatch  = 500              // events read from the journal at once
	maxAnswer   = 64 << 20         // bytes of an answer that a Client reads: a long log as JSON
	dialTime    = 2 * time.Second  // the socket is on this computer
	probeTime   = time.Second      // to see whether somebody answers on a socket that is there
	leavingTime = 5 * time.Second  // that a node on its way out may still hold the socket
)
