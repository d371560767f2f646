package oplog

// Bounds on what a stranger's bytes may cost.
const (
	MaxControl  = 64 << 10  // bytes of a control op: the largest is an epoch of Me with its boxes
	MaxContent  = 256 << 10 // bytes of a content op: a long article; larger things are blobs by hash
	MaxParents  = 16        // parents and auth of an op: more heads than masters that write at once
	maxLookBack = 256       // ops among which one that came beside others finds its place in the order; else all are sorted anew
	maxAt       = 1 << 48   // milliseconds, the year 10889: keeps `at` printable
)
