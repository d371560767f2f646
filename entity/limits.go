package entity

// Bounds on what an operation may claim, each with its reason.
const (
	MaxName      = 64                    // bytes of a person's, board's or device's name: one line on a screen
	MaxTitle     = 256                   // bytes of a title
	MaxText      = 128 << 10             // bytes of an article: below oplog.MaxBody with room for the rest
	MaxComment   = 4096                  // bytes of a comment: some lines, where an article is for more
	MaxDevices   = 64                    // devices of one user: a device chain stays far below a frame
	MaxChain     = 256                   // operations of a device chain that a stranger may show
	MaxProof     = 12 << 10              // bytes of the device chain that an issuer shows (docs/PROTOCOL.md §5.2)
	maxStrangers = 16                    // void admissions of which it is found out whether they saw an epoch; each costs a look at what is void
	maxCauses    = 16                    // candidates looked at in one call for what makes an admission void; each costs the same
	maxReplaces  = 16                    // epochs that one replaces: as many owners made one at once
	maxHistory   = 100 * 365 * 24 * 3600 // seconds of a history policy: its duration fits
	MaxKeeps     = 1024                  // ops that one checkpoint keeps: it stays below oplog.MaxControl
	MaxOpen      = 64                    // control ops after which a checkpoint is due
	maxPastCache = 256                   // states at pasts kept for checking content; each holds the memberships of an entity
)
