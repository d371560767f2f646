package oplog

// Bounds on what a stranger's bytes may cost.
const (
	MaxControl  = 64 << 10        // bytes of a control op: the largest is an epoch of Me with its boxes
	MaxEnvelope = 4 << 10         // bytes of the envelope of a content op: one with all parents and auth has 1.5 KiB
	MaxBody     = 256 << 10       // bytes of a sealed body: a long article; larger things are blobs by hash
	maxSeq      = 1<<20 - 1       // of one device in one strand: its chain is an index in memory
	MaxParents  = 16              // parents and auth of an op: more heads than masters that write at once
	maxAt       = 253402300799999 // milliseconds, the end of the year 9999: what every calendar can print

	// Of a reconciliation by ranges (docs/PROTOCOL.md §8.4): 20 differences in 100,000
	// ops take three frames, 10 KiB.
	openParts  = 128       // ranges that the side which begins says the sums of
	splitParts = 24        // ranges that one which differs is split into
	maxList    = 48        // ops of a range that are listed rather than split
	leastPart  = 4         // ops of a part, at least
	tailList   = 16        // newest ops, which are listed at once
	replySize  = 256 << 10 // bytes of ranges after which a reply leaves out what differs: the next reconciliation finds it
	maxDepth   = 1 << 41   // of both strands
)
