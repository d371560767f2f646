package node

import "time"

// Bounds on what others may cost, each with its reason.
const (
	maxLiveJoins = 256                    // join streams at once, parked ones not counted
	maxParked    = 100                    // streams that wait for a person; beyond, the requester comes back
	maxPending   = 100                    // undecided claims of one entity: a person cannot read more
	joinBurst    = 5                      // joins of one peer that failed or were new, within joinWindow
	joinWindow   = time.Minute            //
	maxEvents    = 10_000                 // journal entries kept for followers
	memberDials  = 2                      // unconnected members of one entity dialled each round
	memberSyncs  = 2                      // connected members an entity is synced with each round
	keepEvery    = 30 * time.Second       // round of dialling, syncing and ending, ± a fifth
	staleAfter   = 300 * time.Millisecond // two connections made closer together crossed; neither side was away
	dialTime     = 15 * time.Second       // for one dial: QUIC and TCP over a bad network
	syncTime     = 60 * time.Second       // for one sync stream, data included
	linkTime     = 60 * time.Second       // for init-me-info until the device is alive; else it is asked anew
	infoTime     = 20 * time.Second       // for init-friend-info and its answer
	deviceRoom   = 3 << 10                // bytes of a proof left before a device is added: its two ops, and the path of a board
	minFreeBytes = 16 << 20               // below this the store accepts nothing new
	maxRecord    = 4096                   // bytes of a signed peer record kept: 20 addresses; it rides in every approval
	syncChunk    = 256 << 10              // bytes of ops in one frame, so that memory stays bounded
)
