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
	infoTime     = 20 * time.Second       // for init-friend-info and its answer
	minFreeBytes = 16 << 20               // below this the store accepts nothing new
	maxRecord    = 4096                   // bytes of a signed peer record kept: 20 addresses; it rides in every approval
	syncChunk    = 256 << 10              // bytes of ops in one frame, so that memory stays bounded
)

// Bounds on gossip. What they cut off comes by push or sync.
const (
	maxGossipRPC     = 256 << 10              // one RPC: a hello with maxSubscriptions topics, or 15 payloads
	maxSubscriptions = 4096                   // topics named in one RPC: a person with a thousand friends
	maxOtherTopics   = 512                    // topics of one peer remembered that are not ours: we may join them
	gossipQueue      = 1024                   // messages that wait to be checked, and RPCs that wait for one peer
	gossipRate       = 1 << 20                // bytes a second read from one peer: 60 payloads
	gossipBurst      = 4 << 20                // bytes read at once: a peer that was away for a while
	maxIHave         = 500                    // message ids of one peer asked for in a heartbeat
	maxGossipHeads   = 64                     // heads in one announcement: any one that is not known starts a sync
	seenMessages     = 10 * time.Minute       // how long a message id is remembered
	oldTopic         = 10 * time.Minute       // how long a replaced topic is listened to
	topicWait        = 500 * time.Millisecond // for a new topic's peers before it is joined: a round trip around the world
	newcomer         = time.Minute            // for so long who came into a topic is pushed to as well: he has dialled others by then
	topicLen         = 32                     // characters of a topic of ours
	scoreDecay       = 10 * time.Minute       // after which good conduct, and mere bad manners, count a hundredth
	retainScore      = time.Hour              // the same for invalid messages; and how long who was disconnected is remembered
)
