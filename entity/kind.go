package entity

import (
	"fmt"
	"slices"
)

// Kind says what an entity is. Wire values; do not reorder.
type Kind uint8

// The four kinds of docs/PROTOCOL.md §2.
const (
	Me      Kind = 1 // one person's identity over several devices
	Profile Kind = 2 // a person's name and card
	Friend  Kind = 3 // two people
	Board   Kind = 4 // many people; also a person's own board
)

// String returns "me", "profile", "friend" or "board".
func (k Kind) String() string {
	switch k {
	case Me:
		return "me"
	case Profile:
		return "profile"
	case Friend:
		return "friend"
	case Board:
		return "board"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Role says what a member may do. Wire values, rising with rights; do not
// reorder.
type Role uint8

// The roles of docs/PROTOCOL.md §2.
const (
	Reader Role = 1 // reads
	Member Role = 2 // reads and writes
	Master Role = 3 // may also admit, remove and change keys; on screens: owner
)

// String returns "reader", "member" or "owner", the words on screens.
func (r Role) String() string {
	switch r {
	case Reader:
		return "reader"
	case Member:
		return "member"
	case Master:
		return "owner"
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// JoinPolicy says who may ask to join with a link. Wire values; do not reorder.
type JoinPolicy uint8

// The join policies of docs/PROTOCOL.md §6.4.
const (
	JoinFriends JoinPolicy = 1 // friends of the issuing user
	JoinLink    JoinPolicy = 2 // whoever holds a link
)

// String returns "friends" or "link".
func (p JoinPolicy) String() string {
	switch p {
	case JoinFriends:
		return "friends"
	case JoinLink:
		return "link"
	}
	return fmt.Sprintf("policy(%d)", uint8(p))
}

// History says what a newcomer may read of the past.
type History struct {
	Mode uint8  `cbor:"1,keyasint"`           // HistoryAll, HistoryLast or HistoryFromJoin
	Last uint64 `cbor:"2,keyasint,omitempty"` // seconds, with HistoryLast
}

// Modes of History. Wire values; do not reorder.
const (
	HistoryAll      uint8 = 1
	HistoryLast     uint8 = 2
	HistoryFromJoin uint8 = 3
)

// RoleFor returns the role that an entity's kind gives a newcomer when the
// invite says none.
func RoleFor(k Kind) Role {
	roles := ruleOf[k].roles
	if len(roles) == 0 {
		return 0
	}
	return slices.Max(roles)
}
