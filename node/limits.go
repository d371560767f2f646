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
	memberSyncs   = 3                      // connected members an entity is synced with each round: ten are through in two minutes, whatever eight of them say
	keepEvery     = 30 * time.Second       // round of dialling, syncing and ending, ± a fifth
	afterRemoval  = 10 * time.Minute       // from a removal to the checkpoint on it: what was on its way arrives before
	pruneEvery    = time.Hour              // between two looks at what is shown nowhere in an entity: each reads all of its content
	letGoAfter    = 14 * 24 * time.Hour    // from when something is shown nowhere for good until its text leaves this disk
	bodyAgain     = 24 * time.Hour         // the longest pause until a device is asked again for a body that it did not have
	maxAuthor     = 256 << 20              // bytes of bodies of one author in one entity that come by themselves
	maxOpenBodies = 1000                   // missing bodies of one author that are asked for at a time
	maxBodyFrames = 4                      // frames of bodies in one exchange: 3.2 MB
	answerHead    = 48                     // bytes of an answer beside its body: an id, and heads
	founderAway   = 24 * time.Hour         // from when a checkpoint is due until another owner than the founder makes it
	ownerTurn     = time.Hour              // between one such owner and the next
	staleAfter    = 300 * time.Millisecond // two connections made closer together crossed; neither side was away
	crossedFor    = time.Second            // after which two such connections are both there only if one side was killed
	dialTime      = 15 * time.Second       // for one dial: QUIC and TCP over a bad network
	syncTime      = 60 * time.Second       // for one sync stream, data included
	maxEntryAddrs = 8                      // records taken from one entry of the me-oplog
	maxHanded     = 512                    // records that a new device of ours gets of whom we know: 200 KiB of its 1 MiB
	maxOwnAddrs   = 16                     // signed peer records of our devices that a new one gets
	linkTime      = 60 * time.Second       // for init-me-info until the device is alive; else it is asked anew
	infoTime      = 20 * time.Second       // for init-friend-info and its answer
	deviceRoom    = 3 << 10                // bytes of a proof left before a device is added: its two ops
	minFreeBytes  = 16 << 20               // below this the store accepts nothing new
	maxRecord     = 4096                   // bytes of a signed peer record kept: 20 addresses; it rides in every approval
	maxFarewells  = 16                     // removed devices that are told so in one round
	farewellTries = 3                      // rounds in which one is dialled that is not connected
	keyAsks       = 3                      // members asked for keys beside the one who brought their epoch
	rotateRank    = 30 * time.Second       // an owner waits so long for each one senior to him
	rotateDevice  = 10 * time.Second       // and a device for each one of the same user before it
	rotateAge     = 7 * 24 * time.Hour     // a key that was written with is replaced at this age
	rotateLeast   = time.Hour              // but not more often
	rotateAfter   = 1 << 20                // or after so many ops
	unfriendAfter = 2 * time.Minute        // after the end of a friendship each of our devices sees to what follows
	syncChunk     = 800 << 10              // bytes of ops in one frame: memory stays bounded, and a signature serves for many ops of an author
	maxSyncHeads  = 256                    // heads of a vector, 20 KiB; where there are more, ranges are compared
	maxComparing  = 16                     // exchanges of ranges at once that others had us begin: each has a copy of a log's places, 5 MB for 100,000 operations
	maxOfOne      = 2                      // of these with one peer
	maxTurns      = 8                      // frames of ranges that one side answers: three do for 100,000 operations
	beaconAfter   = 2 * time.Second        // without a change, heads are compared with connected members
	maxBeacons    = 16                     // members asked at once; the rounds of keeping ask the others
	maxBehind     = 16                     // devices named that do not have everything
	pageWorth     = 64                     // ops of a page of a log, of 256, for which all of it is read
	pageBytes     = 1 << 20                // of a page; a larger one is read op by op
	maxPages      = 4                      // kept by who reads a log in about the order in which it came
	readAhead     = 2                      // frames of one sync that are taken and not written yet
	memTable      = 8 << 20                // bytes that the store gathers before it writes a table: keys are hashes, so each table is merged with all others
	lowTables     = 32                     // pebble merges new tables when there are half as many, and stops all writes at twice as many; by default 4
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
	maxDenials       = 3                // joins in which an issuer says yes and then does not share control: it says two things
	memberRecords    = 16               // signed peer records of members in an approval: whom to ask for control when the issuer is gone; 64 KiB at most
	controlTime      = 10 * time.Minute // for one stream of control: 64 MiB over 1 Mbit/s; each frame has syncTime
	refold           = 64               // operations of a control strand after which its state is folded, if one came that the state could not follow
	infoHead         = 32 << 10         // bytes of an info beside operations, boxes and heads: ids, numbers, an address record, the signature
	frameHead        = 16               // bytes of an ops frame beside the ops: type, map, array and more
	maxUseless       = 16               // frames of one sync that bring nothing new: another sync may have brought it
	maxNear          = 256              // announcements on the local network that are remembered
	maxLANAddrs      = 8                // addresses taken of one announcement
)

// budget is something that a peer or a subnet may have so much of.
type budget uint8

const (
	joinsOfPeer    budget = iota // joins that failed, were refused, or were new
	joinsOfSubnet                // joins that failed or were refused
	runsOfPeer                   // joins of known invites, however they end: a claim may come back, not always at once
	infosOfPeer                  //
	syncsOfPeer                  // syncs and pushes
	keysOfPeer                   //
	bodiesOfPeer                 //
	controlsOfPeer               // requests for a control strand
	rangesOfPeer                 // syncs in which ranges are compared
	partingsOfPeer               // syncs by who was removed
	wideOfDevice                 // control operations that stand beside all others, by their author
	besideOfBoard                // checkpoints of ours for what is beside the last one
	foundOfPeer                  // announcements on the LAN that are followed
	bytesOfAuthor                // bodies of one author in one entity
)

// budgets says how much. The window begins with what is counted first.
var budgets = [...]struct {
	most   int
	window time.Duration
}{
	joinsOfPeer:    {5, joinWindow},
	joinsOfSubnet:  {60, joinWindow},  // an office whose link has expired
	runsOfPeer:     {120, joinWindow}, // two a second; one that waits comes back once a minute
	infosOfPeer:    {60, time.Minute},
	syncsOfPeer:    {6000, time.Minute},   // a push for each op of a member who writes by program
	keysOfPeer:     {120, time.Minute},    // each up to protocol.MaxAsked seals of 0.1 ms
	bodiesOfPeer:   {600, time.Minute},    // each reads up to protocol.MaxWanted bodies, 3.2 MB
	controlsOfPeer: {60, time.Minute},     // each reads a whole control strand: 10 ms for 10,000
	rangesOfPeer:   {60, time.Minute},     // each reads the ids of a whole log a few times: 20 ms for 100,000
	partingsOfPeer: {60, time.Minute},     // one after each removal, tried twice a minute
	wideOfDevice:   {1000, time.Minute},   // who keeps to what he has seen writes none, but for what he wrote offline
	besideOfBoard:  {2, 10 * time.Minute}, // any member can write beside it without end
	foundOfPeer:    {3, time.Minute},
	bytesOfAuthor:  {64 << 20, 24 * time.Hour}, // a hundred long articles and a thousand short ones
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
	maxTopics        = 8                      // of one entity, besides those that are being left: as many owners changed its key at once
	oldTopic         = 10 * time.Minute       // how long a replaced topic is listened to
	topicWait        = 500 * time.Millisecond // for a new topic's peers before it is joined: a round trip around the world
	newcomer         = time.Minute            // for so long who came into a topic is pushed to as well: he has dialled others by then
	topicLen         = 32                     // characters of a topic of ours
	scoreDecay       = 10 * time.Minute       // after which good conduct, and mere bad manners, count a hundredth
	retainScore      = time.Hour              // the same for invalid messages; and how long who was disconnected is remembered
)
