package node

import "time"

// Bounds on what others may cost, each with its reason.
const (
	maxLiveJoins  = 256                    // join streams at once, parked ones not counted
	maxParked     = 100                    // streams that wait for a person; beyond, the requester comes back
	maxPending    = 100                    // undecided claims of one entity: a person cannot read more
	joinWindow    = time.Minute            // of a budget of joins; a stream that could not be parked is closed after it
	maxEvents     = 10_000                 // journal entries kept for followers
	memberDials   = 2                      // unconnected members of one entity dialled each round
	memberSyncs   = 2                      // connected members an entity is synced with each round
	keepEvery     = 30 * time.Second       // round of dialling, syncing and ending, ± a fifth
	staleAfter    = 300 * time.Millisecond // two connections made closer together crossed; neither side was away
	crossedFor    = time.Second            // after which two such connections are both there only if one side was killed
	dialTime      = 15 * time.Second       // for one dial: QUIC and TCP over a bad network
	syncTime      = 60 * time.Second       // for one sync stream, data included
	maxEntryAddrs = 8                      // records taken from one entry of the me-oplog
	maxHanded     = 512                    // records that a new device of ours gets of whom we know: 200 KiB of its 1 MiB
	maxOwnAddrs   = 16                     // signed peer records of our devices that a new one gets
	linkTime      = 60 * time.Second       // for init-me-info until the device is alive; else it is asked anew
	infoTime      = 20 * time.Second       // for init-friend-info and its answer
	deviceRoom    = 3 << 10                // bytes of a proof left before a device is added: its two ops, and the path of a board
	minFreeBytes  = 16 << 20               // below this the store accepts nothing new
	maxRecord     = 4096                   // bytes of a signed peer record kept: 20 addresses; it rides in every approval
	syncChunk     = 256 << 10              // bytes of ops in one frame, so that memory stays bounded
)

// Bounds on connections. A connection costs 50 to 100 KiB; the limits of libp2p
// are a base, for a machine of 1 GiB, and an increase for each GiB of an eighth of
// its memory. Its defaults stop a board at 80 joins at once, and whoever shares an
// address at 8 connections and one more every five seconds. Files are half of what
// the process may open: for two of each connection a service's unit has
// LimitNOFILE=65536, or four times the connections.
const (
	connsBase        = 512              // inbound connections; outbound ones are as many, both together half as many more
	connsMore        = 512              //
	handshakesBase   = 512              // connections that have not named their peer yet: first to break when a board is announced
	handshakesMore   = 192              //
	connsPerAddr     = 128              // of an IPv4 address or an IPv6 /56: an office; a quarter of the least connsBase
	connsPerNet      = 256              // of an IPv4 /24 or an IPv6 /48
	newConnsPerAddr  = 5                // a second, of an address
	newConnsAddrSave = 200              // that an address may save up
	newConnsPerNet   = 10               // a second, of a /24 or /48
	newConnsNetSave  = 400              // that it may save up
	crossTime        = 2 * time.Second  // two connections of a stranger may stand side by side: QUIC and TCP dials cross
	strangerIdle     = 60 * time.Second // a stranger without an open join stream is sent away
	strangerSweep    = 5 * time.Second  // how often strangers are looked at, while there are any
	tiesPause        = time.Second      // from a change to the connections that are protected: a flood of joins is one change
	sleptFor         = 10 * time.Second // of wall clock that the monotonic clock lacks: the machine slept
	frameHead        = 16               // bytes of an ops frame beside the ops: type, map, array and more
	maxUseless       = 16               // frames of one sync that bring nothing new: another sync may have brought it
	maxNear          = 256              // announcements on the local network that are remembered
	maxLANAddrs      = 8                // addresses taken of one announcement
)

// budget is something that a peer or a subnet may have so much of.
type budget uint8

const (
	joinsOfPeer   budget = iota // joins that failed, were refused, or were new
	joinsOfSubnet               // joins that failed or were refused
	runsOfPeer                  // joins of known invites, however they end: a claim may come back, not always at once
	infosOfPeer                 //
	syncsOfPeer                 // syncs and pushes
	foundOfPeer                 // announcements on the LAN that are followed
)

// budgets says how much. The window begins with what is counted first.
var budgets = [...]struct {
	most   int
	window time.Duration
}{
	joinsOfPeer:   {5, joinWindow},
	joinsOfSubnet: {60, joinWindow},  // an office whose link has expired
	runsOfPeer:    {120, joinWindow}, // two a second; one that waits comes back once a minute
	infosOfPeer:   {60, time.Minute},
	syncsOfPeer:   {6000, time.Minute}, // a push for each op of a member who writes by program
	foundOfPeer:   {3, time.Minute},
}

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
