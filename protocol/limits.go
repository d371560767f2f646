package protocol

import "time"

// Bounds on what a peer may cost, each with its reason.
const (
	MaxJoin       = 1 << 10   // a stranger's first frame: ids and two short lists
	MaxAck        = 16 << 10  // a proof of entity.MaxProof and a card
	MaxJoinEntity = 64 << 10  // a device chain of a user with many devices
	MaxApprove    = 1 << 20   // a control strand of MaxLogs and the keys
	MaxNo         = 16        // an empty map
	MaxLogs       = 900 << 10 // control strand and device chains inside APPROVE-JOIN
	MaxInfo       = 1 << 20   // the approvals of two personal entities
	MaxSync       = 1 << 20   // one frame of /ptt/sync/2; larger answers take several
	MaxAsked      = 64        // epochs of one AskKeys: each costs who answers a seal of 0.1 ms
	MaxWanted     = 256       // bodies of one Want: one frame of articles, some of comments

	maxVersions = 16   // versions or suites on offer
	maxHeads    = 16   // heads on a card: as many as an op may name
	maxAddrs    = 4096 // bytes of a signed peer record: 20 addresses

	maxDeadline = 1 << 37 // Unix seconds, the year 6325: keeps a date that the issuer says printable
)

// Times of a join (docs/PROTOCOL.md §5.5).
const (
	FrameTime = 10 * time.Second // for the other side's next frame
	RunTime   = 30 * time.Second // for frames 1 to 3
)
