package invite

import (
	"time"

	"pttnode/entity"
)

// Bounds of a link.
const (
	MaxUses     = 100 // no unlimited link: a leaked one must end by itself
	MaxAddrs    = 2   // one for QUIC and one for TCP, or one at home and one outside
	MaxLinkName = 16  // bytes; a claim that the check replaces, so not worth more of the picture
	MaxBody     = 255 // bytes; 408 characters of text, still one message anywhere
	BudgetQR    = 90  // bytes; the most whose picture leaves room for text on 80 × 24
	MaxQR       = 115 // bytes; the most whose picture fits 80 × 24 at all
	maxHost     = 64  // bytes of a DNS name: two of them and all other parts of today's links stay under MaxBody
	maxText     = 4096
)

// Bounds of a record and its claims.
const (
	MaxNote         = 200 // bytes; one sentence that a person reads before deciding
	MaxName         = 64  // bytes of a claimant's name
	MaxFailed       = 10  // failed proofs that lock a link: more is someone trying, not mistyping
	MaxWrongCodes   = 3   // typed codes that revoke a device link: a guess in 3 of 10^6
	MaxExtra        = 3   // claimants shown beside the first: enough to see that a link leaked
	MaxDeviceClaims = 10  // the same of a device link, which has one use: each is a guess at a code
	MaxClaims       = 256 // claims kept, dead ones too, since their outcome must not change; one more locks the link
)

// Bounds of an attempt.
const (
	MaxUnfinished = 10 // device runs that end after the ACK without a JOIN-ENTITY, else the code can be ground
	MaxCodes      = 32 // safety codes remembered, the issuer names the one of the run that reserved; so many runs has a device
	MaxSteps      = 64 // steps shown to people; a retry that says the same again adds none

	// MinTries is how long a request is tried whatever this side's clock says of the
	// link's expiry.
	MinTries = time.Hour

	// ClockSkew is how far two people's clocks may differ before one of them
	// draws a conclusion from the other's times.
	ClockSkew = 5 * time.Minute
)

// Bounds of retries. The first retry hides a lost packet from people; the others
// double from backoffStart.
const (
	firstRetryMin = 50 * time.Millisecond
	firstRetryMax = 250 * time.Millisecond
	backoffStart  = 2 * time.Second
	backoffNear   = time.Minute      // while the issuer is reachable: its person may answer any moment
	backoffFar    = 10 * time.Minute // while it is not: a phone's battery counts
	backoffJitter = 0.2              // so that a restarted issuer does not meet everybody at once
)

// maxClaims returns how many claims a link of a kind keeps. The codes of claims that
// come and go for a device are guesses of a code that somebody shows elsewhere.
func maxClaims(kind entity.Kind) int {
	if kind == entity.Me {
		return MaxDeviceClaims
	}
	return MaxClaims
}

const day = 24 * time.Hour

// DefaultLife returns how long a link of a kind lives unless told: 72 hours for
// a friend, 7 days for a board, 10 minutes for a device, whose two screens are
// in one room.
func DefaultLife(kind entity.Kind) time.Duration {
	switch kind {
	case entity.Me:
		return 10 * time.Minute
	case entity.Board:
		return 7 * day
	}
	return 72 * time.Hour
}

// MaxLife returns the longest life of a link of a kind: 30 days for a board,
// else 7 days. A forgotten link is a door left open.
func MaxLife(kind entity.Kind) time.Duration {
	if kind == entity.Board {
		return 30 * day
	}
	return 7 * day
}

// ClaimLife returns how long a reserved claim waits for a decision, whatever the
// link's expiry: 7 days, and 10 minutes for a device.
func ClaimLife(kind entity.Kind) time.Duration {
	if kind == entity.Me {
		return 10 * time.Minute
	}
	return 7 * day
}

// clip cuts s to at most n bytes without cutting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 { // inside a UTF-8 sequence
		n--
	}
	return s[:n]
}
