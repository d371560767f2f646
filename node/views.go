package node

import (
	"time"

	"pttnode/keys"
)

// The views below are what a node tells about itself; their JSON is the contract
// of the local API and of every command's --json. Times are RFC 3339 in UTC,
// durations seconds, enums lower snake case.

// UserView names a user.
type UserView struct {
	ID          keys.Digest `json:"id,omitzero"` // not there while this device is being linked
	Name        string      `json:"name"`
	Fingerprint string      `json:"fingerprint,omitempty"`
}

// DeviceView names a device.
type DeviceView struct {
	ID   keys.ID `json:"id"`
	Name string  `json:"name"`
}

// OwnDeviceView is one of our devices.
type OwnDeviceView struct {
	ID       keys.ID    `json:"id"`
	Name     string     `json:"name"`
	Status   string     `json:"status"` // init, internal_pending, sync, alive; withdrawn: it cancelled before it heard that it was let in
	This     bool       `json:"this"`
	LastSeen *time.Time `json:"last_seen"` // null: never from here
	Online   bool       `json:"online"`
	Votes    bool       `json:"votes"` // decides which devices are ours
	Class    string     `json:"class"` // phone, desktop, server
}

// Health is one thing that is not well. Title says what, Hint what to do. The codes:
// store_behind or disk_full, and, for each board that has any, which stays, since a log
// forgets nothing, checkpoint_rivals.
type Health struct {
	Code  string `json:"code"`
	Title string `json:"title"`
	Hint  string `json:"hint"`
}

// Status is the node on one screen.
type Status struct {
	State   string     `json:"state"` // ready, or setup while this device is being linked
	User    UserView   `json:"user"`
	Device  DeviceView `json:"device"`
	PeerID  string     `json:"peer_id"`
	Addrs   []string   `json:"addrs"`
	Peers   int        `json:"peers"`
	Waiting int        `json:"waiting"` // incoming requests that wait for this person
	Health  []Health   `json:"health"`

	// How far the linking of this device is, while the state is setup: "" until a
	// device of the user's has agreed, then init, internal_pending, sync.
	Linking string `json:"linking,omitempty"`
}

// InviteView is one invite. Link and QR are there only in the answer that made it.
type InviteView struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"` // friend, board, device
	Link      string    `json:"link,omitempty"`
	QR        string    `json:"qr,omitempty"`
	Uses      int       `json:"uses"`
	Used      int       `json:"used"`
	ExpiresAt time.Time `json:"expires_at"`
	Note      string    `json:"note"`
	State     string    `json:"state"`
	Board     *string   `json:"board,omitempty"`
}

// RequestView is one join, from either side.
type RequestView struct {
	ID        string     `json:"id"`
	Kind      string     `json:"kind"`
	Direction string     `json:"direction"` // in, out
	State     string     `json:"state"`
	With      WithView   `json:"with"`
	Board     *string    `json:"board,omitempty"`
	Code      string     `json:"code,omitempty"`
	CodeUntil *time.Time `json:"code_until,omitempty"` // outgoing: how long the code can be typed
	Note      string     `json:"note"`
	Since     time.Time  `json:"since"`
	NextTryAt *time.Time `json:"next_try_at,omitempty"`
	ExpiresAt time.Time  `json:"expires_at"`
	Reason    string     `json:"reason,omitempty"`
	Invite    string     `json:"invite,omitempty"` // incoming: the invite it came through
	At        string     `json:"at,omitempty"`     // incoming: another device of ours, where it waits
	Extra     bool       `json:"extra,omitempty"`  // incoming: a further claimant of a full link
	Steps     []StepView `json:"steps"`

	// Outgoing: how much is here of what has to come before this device is in.
	Progress *ProgressView `json:"progress,omitempty"`
	// Outgoing, ended: nothing of it is kept here, and the other side may list this person
	// as a member all the same.
	Stays bool `json:"stays_member,omitempty"`
}

// ProgressView is how much of a control strand is here, in operations and bytes. It may
// have grown since the total was said.
type ProgressView struct {
	Have       uint64 `json:"have"`
	Total      uint64 `json:"total"`
	Bytes      uint64 `json:"bytes"`
	TotalBytes uint64 `json:"total_bytes"`
}

// WithView is the other side of a request. Claimed is true until its identity was checked.
type WithView struct {
	UserID      *keys.Digest `json:"user_id,omitempty"`
	Name        string       `json:"name"`
	Fingerprint string       `json:"fingerprint,omitempty"`
	Claimed     bool         `json:"claimed"`
}

// StepView is one step of a request.
type StepView struct {
	At     time.Time `json:"at"`
	Step   string    `json:"step"`
	OK     bool      `json:"ok"`
	Detail string    `json:"detail"`
}

// FriendView is one friendship.
type FriendView struct {
	ID       keys.Digest `json:"id"` // the Friend entity
	UserID   keys.Digest `json:"user_id"`
	Name     string      `json:"name"`
	State    string      `json:"state"` // init, alive, ended
	Online   bool        `json:"online"`
	Verified bool        `json:"verified"`
	Blocked  bool        `json:"blocked"`  // what he asks for is refused
	BoardID  string      `json:"board_id"` // the friend's personal board, "" until it is here
	Profile  ProfileView `json:"profile"`
}

// BlockView is whether what a user asks for is refused.
type BlockView struct {
	UserID  keys.Digest `json:"user_id"`
	Name    string      `json:"name"`
	Blocked bool        `json:"blocked"`
}

// ProfileView is what a person says of themselves.
type ProfileView struct {
	Name string `json:"name"`
	Card string `json:"card"`
}

// MeView is me show.
type MeView struct {
	User   UserView   `json:"user"`
	Device DeviceView `json:"device"`
	Card   string     `json:"card"`
}

// BoardView is one board. Have and Total count its operations here and the most
// that any member is known to have.
type BoardView struct {
	ID          keys.Digest `json:"id"`
	Name        string      `json:"name"` // a personal board: "@" and its user's name
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Role        string      `json:"role"`
	Owner       string      `json:"owner"` // the founder's name
	OwnerID     keys.Digest `json:"owner_id"`
	Policy      string      `json:"policy"`  // friends, link
	History     string      `json:"history"` // what a newcomer may read of the past: all, from-join, last:SECONDS
	Personal    bool        `json:"personal"`
	Ended       bool        `json:"ended"` // deleted by an owner: nothing is written any more
	Members     int         `json:"members"`
	Unread      int         `json:"unread"`
	Have        int         `json:"have"`
	Total       int         `json:"total"`

	// Of how many other devices may have it, how many are known to have all that is here.
	Confirmed int `json:"confirmed"`
	Of        int `json:"of"`
	// Where one board is shown: the others, who has been behind longest first.
	Behind []BehindView `json:"behind,omitempty"`
}

// BehindView is a device that is not known to have all that is here of a board.
type BehindView struct {
	UserID   keys.Digest `json:"user_id"`
	Name     string      `json:"name"`
	DeviceID keys.ID     `json:"device_id"`
	Device   string      `json:"device,omitempty"` // phone, desktop, server, where a user has several
	Since    *time.Time  `json:"since"`            // when it last had everything; null: not since this node started
}

// MemberView is one member of a board, the founder included.
type MemberView struct {
	UserID    keys.Digest  `json:"user_id"`
	Name      string       `json:"name"`
	Role      string       `json:"role"`
	Since     time.Time    `json:"since"`
	InvitedBy *keys.Digest `json:"invited_by,omitempty"`
	State     string       `json:"state"` // active, removed, left
}

// ArticleView is one article; Body, Thread and Variants are there only when it is
// shown.
type ArticleView struct {
	ID        keys.Digest   `json:"id"`
	No        int           `json:"no"`
	Title     string        `json:"title"`
	Class     string        `json:"class"`
	Author    string        `json:"author"`
	AuthorID  keys.Digest   `json:"author_id"`
	At        time.Time     `json:"at"`
	Score     int           `json:"score"`
	Comments  int           `json:"comments"`
	State     string        `json:"state"`          // ok, edited, deleted, unreadable
	Lack      string        `json:"lack,omitempty"` // why it is unreadable: not_here, no_key, malformed, unread
	EditedAt  *time.Time    `json:"edited_at,omitempty"`
	DeletedBy string        `json:"deleted_by,omitempty"`
	Body      *string       `json:"body,omitempty"`
	Thread    []CommentView `json:"thread,omitzero"` // [] of one that is shown and has none; so are Variants
	Variants  []VariantView `json:"variants,omitzero"`
}

// VariantView is what an article also says: an edit of its author's that was made
// beside the one that is shown.
type VariantView struct {
	ID     keys.Digest `json:"id"` // the edit
	Title  string      `json:"title"`
	Class  string      `json:"class"`
	Body   string      `json:"body"`
	Device DeviceView  `json:"device"` // it was written on; its name is there if it is ours
	At     time.Time   `json:"at"`
	Lack   string      `json:"lack,omitempty"` // why it says nothing
}

// CommentView is one comment of an article.
type CommentView struct {
	ID        keys.Digest `json:"id"`
	No        int         `json:"no"`
	Type      string      `json:"type"` // push, boo, arrow; "" where that cannot be read
	Author    string      `json:"author"`
	AuthorID  keys.Digest `json:"author_id"`
	Text      string      `json:"text"`
	At        time.Time   `json:"at"`
	State     string      `json:"state"`          // ok, deleted, unreadable
	Lack      string      `json:"lack,omitempty"` // why it is unreadable, as of an article
	DeletedBy string      `json:"deleted_by,omitempty"`
}

// OpView is one operation of a log. Body is the decoded body of a control op, or
// null where it is sealed and cannot be read.
type OpView struct {
	ID      keys.Digest   `json:"id"`
	Family  string        `json:"family"`
	Type    string        `json:"type"`
	User    keys.Digest   `json:"user"`
	Device  keys.ID       `json:"device"`
	Seq     uint64        `json:"seq"`
	Parents []keys.Digest `json:"parents"`
	At      time.Time     `json:"at"`
	Valid   bool          `json:"valid"`
	Body    any           `json:"body"`
}

// EntityView is view: an entity as its control strand means it.
type EntityView struct {
	Entity   keys.Digest    `json:"entity"`
	Digest   keys.Digest    `json:"digest"`
	Members  []MemberView   `json:"members"`
	Metadata map[string]any `json:"metadata"`
	Final    *FinalView     `json:"final,omitempty"` // boards
	Bodies   BodiesView     `json:"bodies"`
	Heads    []keys.Digest  `json:"heads"` // of both strands, ascending
	Epoch    uint64         `json:"epoch"`
}

// BodiesView says of how many entries the text is not here.
type BodiesView struct {
	Missing int        `json:"missing"`         // asked for, or to be
	Since   *time.Time `json:"since,omitempty"` // for how long the oldest of these has been, as far as this run knows
	LetGo   int        `json:"let_go"`          // shown nowhere: deleted, or replaced
}

// FinalView says how far a board's control operations can change their effect no more.
type FinalView struct {
	Number     uint64        `json:"number"`     // of the last final checkpoint, 0 for none
	Checkpoint *keys.Digest  `json:"checkpoint"` // null for none
	Waiting    int           `json:"waiting"`    // operations beside it that the next one will keep
	Rivals     []keys.Digest `json:"rivals"`     // checkpoints that contradict one that counts (Health says it too)
}

// WhyView says by which operations a user is, or is not any more, a member.
type WhyView struct {
	Entity keys.Digest `json:"entity"`
	UserID keys.Digest `json:"user_id"`
	Name   string      `json:"name"`
	Role   string      `json:"role"`
	State  string      `json:"state"` // active, removed, left; void: let in by nothing that counts
	Valid  bool        `json:"valid"` // is a member now
	Chain  []WhyOp     `json:"chain"`
}

// WhyOp is one operation of a WhyView, in the log's order.
type WhyOp struct {
	Op     keys.Digest `json:"op"`
	Type   string      `json:"type"` // as in a log: genesis, add, transfer, admit, role, remove, demote, devices, leave, accept
	Member keys.Digest `json:"member"`
	By     keys.Digest `json:"by"`
	Device keys.ID     `json:"device"`
	At     time.Time   `json:"at"`
	Invite string      `json:"invite,omitempty"` // an admission's: our short id of the invite, else its ref in hex
	Role   string      `json:"role,omitempty"`   // what a role op makes of him
	OK     bool        `json:"ok"`               // it counts; void where it does not
	Final  bool        `json:"final"`            // which can change no more

	MemberName string `json:"member_name"`
	ByName     string `json:"by_name"`
}

// SyncView is how much of an entity is here.
type SyncView struct {
	Entity keys.Digest `json:"entity"`
	Have   int         `json:"have"`
	Total  int         `json:"total"`
}

// Event is one entry of the ptt-oplog, the node's own journal. Numbers are
// persistent and never used twice.
type Event struct {
	ID   uint64         `json:"id"`
	Type string         `json:"type"`
	At   time.Time      `json:"at"`
	Data map[string]any `json:"data"`
}
