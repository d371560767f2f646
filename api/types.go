package api

import (
	"time"

	"pttnode/node"
)

// Version is the version of the local API, the first part of every path.
const Version = "v1"

// MeChange is the body of PATCH /v1/me; what is nil stays.
type MeChange struct {
	Name *string `json:"name,omitempty"`
	Card *string `json:"card,omitempty"`
}

// NewInvite is the body of POST /v1/invites.
type NewInvite struct {
	Kind        string   `json:"kind"`                 // friend, board, device
	Board       string   `json:"board,omitempty"`      // name or id, with kind board
	Uses        int      `json:"uses,omitempty"`       // 0 is 1
	ExpiresIn   int64    `json:"expires_in,omitempty"` // seconds; 0 is the kind's default
	Note        string   `json:"note,omitempty"`
	AutoApprove bool     `json:"auto_approve,omitempty"`
	For         string   `json:"for,omitempty"`     // the only user it is for: a friend's name, or an id
	Role        string   `json:"role,omitempty"`    // member, reader
	History     string   `json:"history,omitempty"` // what a newcomer may read of the past: all, from-join or last:SECONDS; "" is as the board
	Addrs       []string `json:"addrs,omitempty"`   // multiaddrs to put into the link instead of the node's own
}

func (n NewInvite) options() node.InviteOptions {
	return node.InviteOptions{
		Kind: n.Kind, Board: n.Board, Uses: n.Uses, Expires: time.Duration(n.ExpiresIn) * time.Second,
		Note: n.Note, Auto: n.AutoApprove, For: n.For, Role: n.Role, History: n.History, Addrs: n.Addrs,
	}
}

// LinkText is the body of POST /v1/links/inspect.
type LinkText struct {
	Link string `json:"link"`
}

// NewRequest is the body of POST /v1/requests: open a link.
type NewRequest struct {
	Link string `json:"link"`
	Note string `json:"note,omitempty"` // for the person who decides
}

// Approval is the body of POST /v1/requests/{request}/approve, which may be left
// out.
type Approval struct {
	Code string `json:"code,omitempty"` // a device's: what it shows
}

// DeviceChange is the body of PATCH /v1/devices/{device}.
type DeviceChange struct {
	Name string `json:"name"`
}

// NewBoard is the body of POST /v1/boards.
type NewBoard struct {
	Name   string `json:"name"`
	Title  string `json:"title,omitempty"`
	Policy string `json:"policy,omitempty"` // friends, link; "" is the node's default
	// What a newcomer may read of the past: all, from-join or last:SECONDS; "" is all.
	History string `json:"history,omitempty"`
}

// Transfer is the body of POST /v1/boards/{board}/transfer.
type Transfer struct {
	To string `json:"to"` // a member, by name or id
}

// NewArticle is the body of POST /v1/boards/{board}/articles.
type NewArticle struct {
	Title string `json:"title"`
	Class string `json:"class,omitempty"`
	Body  string `json:"body"`
}

// ArticleChange is the body of PATCH /v1/boards/{board}/articles/{article}; what is nil
// stays.
type ArticleChange struct {
	Title *string `json:"title,omitempty"`
	Class *string `json:"class,omitempty"`
	Body  *string `json:"body,omitempty"`
}

// NewComment is the body of POST /v1/boards/{board}/articles/{article}/comments.
type NewComment struct {
	Type string `json:"type,omitempty"` // push, boo; arrow if it is ""
	Text string `json:"text"`
}

// RoleChange is the body of PATCH /v1/boards/{board}/members/{member}.
type RoleChange struct {
	Role string `json:"role"` // owner, member, reader
}

// Deleted is the answer of DELETE /v1/boards/{board}.
type Deleted struct {
	Deleted bool `json:"deleted"`
}

// Left is the answer of POST /v1/boards/{board}/leave.
type Left struct {
	Left bool `json:"left"`
}

// Stopped is the answer of POST /v1/shutdown, and what down prints.
type Stopped struct {
	Stopped bool `json:"stopped"`
}
