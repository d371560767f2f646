package protocol

import "time"

// Bounds on what a peer may cost, each with its reason.
const (
	MaxJoin       = 1 << 10   // a stranger's first frame: ids and two short lists
	MaxAck        = 16 << 10  // a device chain of entity.MaxProof and a card
	MaxJoinEntity = 64 << 10  // a device chain of a user with many devices
	MaxApprove    = 1 << 20   // the beginning of a control strand, of MaxLogs, and the keys
	MaxNo         = 16        // an empty map
	MaxLogs       = 900 << 10 // ops of the control strand and device chains inside APPROVE-JOIN; the rest is fetched
	MaxChains     = 256 << 10 // of it device chains: they are a help, and the control strand is not
	MaxControl    = 64 << 20  // a control strand that a requester takes unless it is set otherwise: a board of 10,000 has 5 to 30 MiB, and each op takes as much memory again
	MaxTips       = 256       // heads of a control strand that an approval or a request for control names: 8 KiB; owners that wrote at once
	MaxInfo       = 1 << 20   // the approvals of two personal entities
	MaxSync       = 1 << 20   // one frame of /ptt/sync/2; larger answers take several
	MaxAsked      = 64        // epochs of one AskKeys: each costs who answers a seal of 0.1 ms
	MaxWanted     = 256       // bodies of one Want: one frame of articles, some of comments

	maxVersions = 16   // versions or suites on offer
	maxHeads    = 16   // heads on a card: as many as an op may name
	maxAddrs    = 4096 // bytes of a signed peer record: 20 addresses

	moreOps   = 1024    // of a control strand beyond a quarter more than its approval said: what came since
	moreBytes = 1 << 20 // the same in bytes
	leastOp   = 128     // bytes of the smallest control op: who says that there are more ops than fit lies

	maxDeadline = 1 << 37 // Unix seconds, the year 6325: keeps a date that the issuer says printable
)

// Times of a join (docs/PROTOCOL.md §5.5).
const (
	FrameTime = 10 * time.Second // for the other side's next frame
	RunTime   = 30 * time.Second // for frames 1 to 3
)
