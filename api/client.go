package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"pttnode/node"
)

// Client calls the node that serves a socket: one method for each route. What fails
// is a *Problem, except that a context that ended is its own error.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient makes the client of the socket called path. It does not connect.
func NewClient(path string) *Client {
	dialer := &net.Dialer{Timeout: dialTime}
	return &Client{socket: path, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
		DisableCompression: true,
		MaxIdleConns:       2,
	}}}
}

// Close closes idle connections; the client may still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns the node on one screen.
func (c *Client) Status(ctx context.Context) (node.Status, error) {
	return call[node.Status](ctx, c, http.MethodGet, "/v1/status", nil)
}

// Me returns who we are.
func (c *Client) Me(ctx context.Context) (node.MeView, error) {
	return call[node.MeView](ctx, c, http.MethodGet, "/v1/me", nil)
}

// ChangeMe changes our name or card.
func (c *Client) ChangeMe(ctx context.Context, change MeChange) (node.MeView, error) {
	return call[node.MeView](ctx, c, http.MethodPatch, "/v1/me", change)
}

// Peers returns who is connected.
func (c *Client) Peers(ctx context.Context) ([]node.PeerView, error) {
	return call[[]node.PeerView](ctx, c, http.MethodGet, "/v1/peers", nil)
}

// Friends returns all friends.
func (c *Client) Friends(ctx context.Context) ([]node.FriendView, error) {
	return call[[]node.FriendView](ctx, c, http.MethodGet, "/v1/friends", nil)
}

// Friend returns one friend by name or id.
func (c *Client) Friend(ctx context.Context, ref string) (node.FriendView, error) {
	return call[node.FriendView](ctx, c, http.MethodGet, path("friends", ref), nil)
}

// Invites returns all invites, without their links.
func (c *Client) Invites(ctx context.Context) ([]node.InviteView, error) {
	return call[[]node.InviteView](ctx, c, http.MethodGet, "/v1/invites", nil)
}

// CreateInvite makes an invite. Only this answer has its link.
func (c *Client) CreateInvite(ctx context.Context, n NewInvite) (node.InviteView, error) {
	return call[node.InviteView](ctx, c, http.MethodPost, "/v1/invites", n)
}

// Invite returns one invite, without its link.
func (c *Client) Invite(ctx context.Context, id string) (node.InviteView, error) {
	return call[node.InviteView](ctx, c, http.MethodGet, path("invites", id), nil)
}

// RevokeInvite withdraws an invite.
func (c *Client) RevokeInvite(ctx context.Context, id string) (node.InviteView, error) {
	return call[node.InviteView](ctx, c, http.MethodDelete, path("invites", id), nil)
}

// Inspect reads a link and changes nothing.
func (c *Client) Inspect(ctx context.Context, link string) (node.LinkView, error) {
	return call[node.LinkView](ctx, c, http.MethodPost, "/v1/links/inspect", LinkText{Link: link})
}

// Join opens a link. The request goes on at the node when this returns.
func (c *Client) Join(ctx context.Context, link, note string) (node.RequestView, error) {
	return call[node.RequestView](ctx, c, http.MethodPost, "/v1/requests", NewRequest{Link: link, Note: note})
}

// Requests returns all requests of both directions.
func (c *Client) Requests(ctx context.Context) ([]node.RequestView, error) {
	return call[[]node.RequestView](ctx, c, http.MethodGet, "/v1/requests", nil)
}

// Request returns one request.
func (c *Client) Request(ctx context.Context, id string) (node.RequestView, error) {
	return call[node.RequestView](ctx, c, http.MethodGet, path("requests", id), nil)
}

// Approve says yes to an incoming request; it returns when that is durable.
func (c *Client) Approve(ctx context.Context, id string) (node.RequestView, error) {
	return call[node.RequestView](ctx, c, http.MethodPost, path("requests", id, "approve"), nil)
}

// ApproveDevice lets a device of ours in, with the code that it shows.
func (c *Client) ApproveDevice(ctx context.Context, id, code string) (node.RequestView, error) {
	return call[node.RequestView](ctx, c, http.MethodPost, path("requests", id, "approve"), Approval{Code: code})
}

// Devices returns our devices in the order in which they were added.
func (c *Client) Devices(ctx context.Context) ([]node.OwnDeviceView, error) {
	return call[[]node.OwnDeviceView](ctx, c, http.MethodGet, path("devices"), nil)
}

// Device returns one of our devices by name or id.
func (c *Client) Device(ctx context.Context, device string) (node.OwnDeviceView, error) {
	return call[node.OwnDeviceView](ctx, c, http.MethodGet, path("devices", device), nil)
}

// RenameDevice changes what one of our devices is called.
func (c *Client) RenameDevice(ctx context.Context, device, name string) (node.OwnDeviceView, error) {
	return call[node.OwnDeviceView](ctx, c, http.MethodPatch, path("devices", device), DeviceChange{Name: name})
}

// Reject says no to an incoming request.
func (c *Client) Reject(ctx context.Context, id string) (node.RequestView, error) {
	return call[node.RequestView](ctx, c, http.MethodPost, path("requests", id, "reject"), nil)
}

// Cancel withdraws an outgoing request.
func (c *Client) Cancel(ctx context.Context, id string) (node.RequestView, error) {
	return call[node.RequestView](ctx, c, http.MethodPost, path("requests", id, "cancel"), nil)
}

// Retry tries an outgoing request now.
func (c *Client) Retry(ctx context.Context, id string) (node.RequestView, error) {
	return call[node.RequestView](ctx, c, http.MethodPost, path("requests", id, "retry"), nil)
}

// Boards returns all boards.
func (c *Client) Boards(ctx context.Context) ([]node.BoardView, error) {
	return call[[]node.BoardView](ctx, c, http.MethodGet, "/v1/boards", nil)
}

// CreateBoard makes a board, whose owner we are.
func (c *Client) CreateBoard(ctx context.Context, n NewBoard) (node.BoardView, error) {
	return call[node.BoardView](ctx, c, http.MethodPost, "/v1/boards", n)
}

// Board returns one board by name or id.
func (c *Client) Board(ctx context.Context, ref string) (node.BoardView, error) {
	return call[node.BoardView](ctx, c, http.MethodGet, path("boards", ref), nil)
}

// Members returns the members of a board, the founder included.
func (c *Client) Members(ctx context.Context, board string) ([]node.MemberView, error) {
	return call[[]node.MemberView](ctx, c, http.MethodGet, path("boards", board, "members"), nil)
}

// MembersAt returns who was a member of a board after an operation, by its id, or at a
// time, in RFC 3339.
func (c *Client) MembersAt(ctx context.Context, board, at string) ([]node.MemberView, error) {
	return call[[]node.MemberView](ctx, c, http.MethodGet, path("boards", board, "members")+"?at="+url.QueryEscape(at), nil)
}

// RemoveMember ends somebody's membership of a board and changes its key.
func (c *Client) RemoveMember(ctx context.Context, board, member string) (node.MemberView, error) {
	return call[node.MemberView](ctx, c, http.MethodDelete, path("boards", board, "members", member), nil)
}

// SetBoard changes what a board says of itself and who may join it.
func (c *Client) SetBoard(ctx context.Context, board string, change node.BoardChange) (node.BoardView, error) {
	return call[node.BoardView](ctx, c, http.MethodPatch, path("boards", board), change)
}

// TransferBoard makes a member owner of a board in our place.
func (c *Client) TransferBoard(ctx context.Context, board, to string) (node.BoardView, error) {
	return call[node.BoardView](ctx, c, http.MethodPost, path("boards", board, "transfer"), Transfer{To: to})
}

// RotateBoard begins a new key of a board.
func (c *Client) RotateBoard(ctx context.Context, board string) (node.BoardView, error) {
	return call[node.BoardView](ctx, c, http.MethodPost, path("boards", board, "rotate"), nil)
}

// DeleteBoard ends a board for everybody.
func (c *Client) DeleteBoard(ctx context.Context, board string) (Deleted, error) {
	return call[Deleted](ctx, c, http.MethodDelete, path("boards", board), nil)
}

// RemoveFriend ends a friendship.
func (c *Client) RemoveFriend(ctx context.Context, friend string) (node.FriendView, error) {
	return call[node.FriendView](ctx, c, http.MethodDelete, path("friends", friend), nil)
}

// Block ends a friendship and refuses what that user asks for from now on; Unblock
// lets him ask again.
func (c *Client) Block(ctx context.Context, user string) (node.BlockView, error) {
	return call[node.BlockView](ctx, c, http.MethodPost, path("friends", user, "block"), nil)
}

// Unblock is Block's inverse; the friendship stays ended.
func (c *Client) Unblock(ctx context.Context, user string) (node.BlockView, error) {
	return call[node.BlockView](ctx, c, http.MethodPost, path("friends", user, "unblock"), nil)
}

// Why says by which operations somebody is, or is not any more, a member of a board.
func (c *Client) Why(ctx context.Context, board, member string) (node.WhyView, error) {
	return call[node.WhyView](ctx, c, http.MethodGet, path("boards", board, "members", member, "why"), nil)
}

// SetRole makes a member of a board owner, member or reader.
func (c *Client) SetRole(ctx context.Context, board, member, role string) (node.MemberView, error) {
	return call[node.MemberView](ctx, c, http.MethodPatch, path("boards", board, "members", member), RoleChange{Role: role})
}

// LeaveBoard ends our membership of a board.
func (c *Client) LeaveBoard(ctx context.Context, board string) (Left, error) {
	return call[Left](ctx, c, http.MethodPost, path("boards", board, "leave"), nil)
}

// Articles returns the articles of a board, without their bodies.
func (c *Client) Articles(ctx context.Context, board string) ([]node.ArticleView, error) {
	return call[[]node.ArticleView](ctx, c, http.MethodGet, path("boards", board, "articles"), nil)
}

// CreateArticle writes an article on a board.
func (c *Client) CreateArticle(ctx context.Context, board string, n NewArticle) (node.ArticleView, error) {
	return call[node.ArticleView](ctx, c, http.MethodPost, path("boards", board, "articles"), n)
}

// Article returns one article, by number or id, with its body.
func (c *Client) Article(ctx context.Context, board, article string) (node.ArticleView, error) {
	return call[node.ArticleView](ctx, c, http.MethodGet, path("boards", board, "articles", article), nil)
}

// EditArticle replaces what an article of ours says.
func (c *Client) EditArticle(ctx context.Context, board, article string, change ArticleChange) (node.ArticleView, error) {
	return call[node.ArticleView](ctx, c, http.MethodPatch, path("boards", board, "articles", article), change)
}

// DeleteArticle takes an article back.
func (c *Client) DeleteArticle(ctx context.Context, board, article string) (node.ArticleView, error) {
	return call[node.ArticleView](ctx, c, http.MethodDelete, path("boards", board, "articles", article), nil)
}

// Comments returns the comments of an article.
func (c *Client) Comments(ctx context.Context, board, article string) ([]node.CommentView, error) {
	return call[[]node.CommentView](ctx, c, http.MethodGet, path("boards", board, "articles", article, "comments"), nil)
}

// AddComment writes a comment below an article.
func (c *Client) AddComment(ctx context.Context, board, article string, n NewComment) (node.CommentView, error) {
	return call[node.CommentView](ctx, c, http.MethodPost, path("boards", board, "articles", article, "comments"), n)
}

// DeleteComment takes a comment back, by its number or id.
func (c *Client) DeleteComment(ctx context.Context, board, article, comment string) (node.CommentView, error) {
	return call[node.CommentView](ctx, c, http.MethodDelete, path("boards", board, "articles", article, "comments", comment), nil)
}

// View returns an entity as its log means it.
func (c *Client) View(ctx context.Context, entity string) (node.EntityView, error) {
	return call[node.EntityView](ctx, c, http.MethodGet, path("entities", entity), nil)
}

// Log returns the operations of an entity, of one family unless that is "".
func (c *Client) Log(ctx context.Context, entity, family string) ([]node.OpView, error) {
	p := path("entities", entity, "log")
	if family != "" {
		p += "?family=" + url.QueryEscape(family)
	}
	return call[[]node.OpView](ctx, c, http.MethodGet, p, nil)
}

// Synced returns how much of an entity is here.
func (c *Client) Synced(ctx context.Context, entity string) (node.SyncView, error) {
	return call[node.SyncView](ctx, c, http.MethodGet, path("entities", entity, "sync"), nil)
}

// Shutdown stops the node; it returns when the node has closed everything.
func (c *Client) Shutdown(ctx context.Context) (Stopped, error) {
	return call[Stopped](ctx, c, http.MethodPost, "/v1/shutdown", nil)
}

// path makes /v1/part/part of parts that may hold anything. An empty or dotted part
// would name another route, so it is sent as a name that nothing has.
func path(parts ...string) string {
	var p strings.Builder
	p.WriteString("/" + Version)
	for _, part := range parts {
		if part == "" || part == "." || part == ".." {
			part = " " + part
		}
		p.WriteString("/" + url.PathEscape(part))
	}
	return p.String()
}

// call sends in as JSON, unless it is nil, and reads a T.
func call[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	resp, err := c.do(ctx, method, path, in)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&out); err != nil {
		return out, c.broken(ctx, err)
	}
	return out, nil
}

// do sends a request and returns the answer to one that succeeded.
func (c *Client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	// The host is a name for the Host line only; the socket is dialled.
	req, err := http.NewRequestWithContext(ctx, method, "http://node"+path, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var p Problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&p); err != nil || p.Code == "" {
		return nil, NewProblem("internal", "detail", "the answer was "+resp.Status)
	}
	return nil, &p
}

// broken turns the failure of a connection into what it means.
func (c *Client) broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return NewProblem("socket_denied", "socket", c.socket)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return NewProblem("not_running")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return NewProblem("not_running", "detail", "it stopped before it had answered, and may have done what was asked")
	}
	return fmt.Errorf("ask the node: %w", err)
}
