package api

import (
	"context"
	"net/http"

	"pttnode/node"
)

// route is one row of the table: what a method and path do.
type route struct {
	pattern string // as http.ServeMux takes it
	serve   func(*Handler, http.ResponseWriter, *http.Request) error
}

// routes is the whole local API, one to one with the commands that need a node.
var routes = []route{
	{"GET /v1/status", get(func(n *node.Node, _ *http.Request) (node.Status, error) { return n.Status(), nil })},
	{"GET /v1/me", get(func(n *node.Node, _ *http.Request) (node.MeView, error) { return n.Me(), nil })},
	{"PATCH /v1/me", send(http.StatusOK, changeMe)},

	{"GET /v1/peers", list(func(n *node.Node, _ *http.Request) ([]node.PeerView, error) { return n.Peers(), nil })},

	{"GET /v1/friends", list(func(n *node.Node, _ *http.Request) ([]node.FriendView, error) { return n.Friends(), nil })},
	{"GET /v1/friends/{friend}", get(func(n *node.Node, r *http.Request) (node.FriendView, error) {
		return n.Friend(r.PathValue("friend"))
	})},

	{"DELETE /v1/friends/{friend}", get(func(n *node.Node, r *http.Request) (node.FriendView, error) {
		return n.RemoveFriend(r.Context(), r.PathValue("friend"))
	})},
	{"POST /v1/friends/{friend}/block", get(func(n *node.Node, r *http.Request) (node.BlockView, error) {
		return n.BlockUser(r.Context(), r.PathValue("friend"))
	})},
	{"POST /v1/friends/{friend}/unblock", get(func(n *node.Node, r *http.Request) (node.BlockView, error) {
		return n.UnblockUser(r.Context(), r.PathValue("friend"))
	})},

	{"GET /v1/devices", list(func(n *node.Node, _ *http.Request) ([]node.OwnDeviceView, error) { return n.Devices(), nil })},
	{"GET /v1/devices/{device}", get(func(n *node.Node, r *http.Request) (node.OwnDeviceView, error) {
		return n.Device(r.PathValue("device"))
	})},
	{"PATCH /v1/devices/{device}", send(http.StatusOK, func(ctx context.Context, n *node.Node, r *http.Request, in DeviceChange) (node.OwnDeviceView, error) {
		return n.RenameDevice(ctx, r.PathValue("device"), in.Name)
	})},

	{"GET /v1/invites", list(func(n *node.Node, _ *http.Request) ([]node.InviteView, error) { return n.Invites(), nil })},
	{"POST /v1/invites", send(http.StatusCreated, func(ctx context.Context, n *node.Node, _ *http.Request, in NewInvite) (node.InviteView, error) {
		return n.Invite(ctx, in.options())
	})},
	{"GET /v1/invites/{invite}", get(func(n *node.Node, r *http.Request) (node.InviteView, error) {
		return n.InviteByID(r.PathValue("invite"))
	})},
	{"DELETE /v1/invites/{invite}", get(func(n *node.Node, r *http.Request) (node.InviteView, error) {
		return n.Revoke(r.Context(), r.PathValue("invite"))
	})},
	{"POST /v1/links/inspect", send(http.StatusOK, func(_ context.Context, n *node.Node, _ *http.Request, in LinkText) (node.LinkView, error) {
		return n.Inspect(in.Link)
	})},

	{"GET /v1/requests", list(func(n *node.Node, _ *http.Request) ([]node.RequestView, error) { return n.Requests(), nil })},
	{"POST /v1/requests", send(http.StatusAccepted, func(ctx context.Context, n *node.Node, _ *http.Request, in NewRequest) (node.RequestView, error) {
		return n.Join(ctx, in.Link, in.Note)
	})},
	{"GET /v1/requests/{request}", get(func(n *node.Node, r *http.Request) (node.RequestView, error) {
		return n.Request(r.PathValue("request"))
	})},
	{"POST /v1/requests/{request}/approve", (*Handler).approve},
	{"POST /v1/requests/{request}/reject", get(decide((*node.Node).Reject))},
	{"POST /v1/requests/{request}/cancel", get(decide((*node.Node).Cancel))},
	{"POST /v1/requests/{request}/retry", get(decide((*node.Node).Retry))},

	{"GET /v1/boards", list(func(n *node.Node, _ *http.Request) ([]node.BoardView, error) { return n.Boards(), nil })},
	{"POST /v1/boards", send(http.StatusCreated, func(ctx context.Context, n *node.Node, _ *http.Request, in NewBoard) (node.BoardView, error) {
		return n.CreateBoard(ctx, node.BoardOptions{Name: in.Name, Title: in.Title, Policy: in.Policy, History: in.History})
	})},
	{"GET /v1/boards/{board}", get(func(n *node.Node, r *http.Request) (node.BoardView, error) {
		return n.Board(r.PathValue("board"))
	})},
	{"GET /v1/boards/{board}/members", list(func(n *node.Node, r *http.Request) ([]node.MemberView, error) {
		if at := r.URL.Query().Get("at"); at != "" {
			return n.MembersAt(r.PathValue("board"), at)
		}
		return n.Members(r.PathValue("board"))
	})},
	{"GET /v1/boards/{board}/members/{member}/why", get(func(n *node.Node, r *http.Request) (node.WhyView, error) {
		return n.Why(r.PathValue("board"), r.PathValue("member"))
	})},
	{"PATCH /v1/boards/{board}/members/{member}", send(http.StatusOK, func(ctx context.Context, n *node.Node, r *http.Request, in RoleChange) (node.MemberView, error) {
		return n.SetRole(ctx, r.PathValue("board"), r.PathValue("member"), in.Role)
	})},
	{"PATCH /v1/boards/{board}", send(http.StatusOK, func(ctx context.Context, n *node.Node, r *http.Request, in node.BoardChange) (node.BoardView, error) {
		return n.SetBoard(ctx, r.PathValue("board"), in)
	})},
	{"DELETE /v1/boards/{board}", get(func(n *node.Node, r *http.Request) (Deleted, error) {
		err := n.DeleteBoard(r.Context(), r.PathValue("board"))
		return Deleted{Deleted: err == nil}, err
	})},
	{"DELETE /v1/boards/{board}/members/{member}", get(func(n *node.Node, r *http.Request) (node.MemberView, error) {
		return n.RemoveMember(r.Context(), r.PathValue("board"), r.PathValue("member"))
	})},
	{"POST /v1/boards/{board}/transfer", send(http.StatusOK, func(ctx context.Context, n *node.Node, r *http.Request, in Transfer) (node.BoardView, error) {
		return n.TransferBoard(ctx, r.PathValue("board"), in.To)
	})},
	{"POST /v1/boards/{board}/rotate", get(func(n *node.Node, r *http.Request) (node.BoardView, error) {
		return n.RotateBoard(r.Context(), r.PathValue("board"))
	})},
	{"POST /v1/boards/{board}/leave", get(func(n *node.Node, r *http.Request) (Left, error) {
		err := n.LeaveBoard(r.Context(), r.PathValue("board"))
		return Left{Left: err == nil}, err
	})},
	{"GET /v1/boards/{board}/articles", list(func(n *node.Node, r *http.Request) ([]node.ArticleView, error) {
		return n.Articles(r.PathValue("board"))
	})},
	{"POST /v1/boards/{board}/articles", send(http.StatusCreated, func(ctx context.Context, n *node.Node, r *http.Request, in NewArticle) (node.ArticleView, error) {
		return n.NewArticle(ctx, r.PathValue("board"), in.Class, in.Title, in.Body)
	})},
	{"GET /v1/boards/{board}/articles/{article}", get(func(n *node.Node, r *http.Request) (node.ArticleView, error) {
		return n.Article(r.Context(), r.PathValue("board"), r.PathValue("article"))
	})},
	{"PATCH /v1/boards/{board}/articles/{article}", send(http.StatusOK, func(ctx context.Context, n *node.Node, r *http.Request, in ArticleChange) (node.ArticleView, error) {
		return n.EditArticle(ctx, r.PathValue("board"), r.PathValue("article"), node.ArticleChange(in))
	})},
	{"DELETE /v1/boards/{board}/articles/{article}", get(func(n *node.Node, r *http.Request) (node.ArticleView, error) {
		return n.DeleteArticle(r.Context(), r.PathValue("board"), r.PathValue("article"))
	})},
	{"GET /v1/boards/{board}/articles/{article}/comments", list(func(n *node.Node, r *http.Request) ([]node.CommentView, error) {
		return n.Comments(r.PathValue("board"), r.PathValue("article"))
	})},
	{"POST /v1/boards/{board}/articles/{article}/comments", send(http.StatusCreated, func(ctx context.Context, n *node.Node, r *http.Request, in NewComment) (node.CommentView, error) {
		return n.AddComment(ctx, r.PathValue("board"), r.PathValue("article"), in.Type, in.Text)
	})},
	{"DELETE /v1/boards/{board}/articles/{article}/comments/{comment}", get(func(n *node.Node, r *http.Request) (node.CommentView, error) {
		return n.DeleteComment(r.Context(), r.PathValue("board"), r.PathValue("article"), r.PathValue("comment"))
	})},

	{"GET /v1/entities/{entity}", get(func(n *node.Node, r *http.Request) (node.EntityView, error) {
		return n.View(r.PathValue("entity"))
	})},
	{"GET /v1/entities/{entity}/log", list(func(n *node.Node, r *http.Request) ([]node.OpView, error) {
		return n.OpLog(r.PathValue("entity"), r.URL.Query().Get("family"))
	})},
	{"GET /v1/entities/{entity}/sync", get(func(n *node.Node, r *http.Request) (node.SyncView, error) {
		return n.Synced(r.PathValue("entity"))
	})},

	{"GET /v1/events", (*Handler).follow},
	{"POST /v1/shutdown", (*Handler).shutdown},
}

// inSetup are the routes that answer while the node's device is being linked.
var inSetup = map[string]bool{
	"GET /v1/status": true, "GET /v1/requests": true, "GET /v1/requests/{request}": true,
	"POST /v1/requests/{request}/cancel": true, "POST /v1/requests/{request}/retry": true,
	"GET /v1/events": true, "POST /v1/shutdown": true,
}

// withIdentity makes a route one that needs an identity.
func withIdentity(r route) route {
	return route{r.pattern, func(h *Handler, w http.ResponseWriter, req *http.Request) error {
		if h.node.Linking() {
			return NewProblem("linking")
		}
		return r.serve(h, w, req)
	}}
}

// approve decides a request: yes. The body, with a device's code, may be left out.
func (h *Handler) approve(w http.ResponseWriter, r *http.Request) error {
	var in Approval
	if r.ContentLength != 0 {
		if err := readBody(w, r, &in); err != nil {
			return err
		}
	}
	yes := (*node.Node).Approve
	if in.Code != "" {
		yes = func(n *node.Node, ctx context.Context, id string) (node.RequestView, error) {
			return n.ApproveDevice(ctx, id, in.Code)
		}
	}
	return get(decide(yes))(h, w, r)
}

// decide makes a route of a decision about a request. Each is idempotent.
func decide(f func(*node.Node, context.Context, string) (node.RequestView, error)) func(*node.Node, *http.Request) (node.RequestView, error) {
	return func(n *node.Node, r *http.Request) (node.RequestView, error) {
		return f(n, r.Context(), r.PathValue("request"))
	}
}

// changeMe changes what a person says of themselves.
func changeMe(ctx context.Context, n *node.Node, _ *http.Request, in MeChange) (node.MeView, error) {
	if in.Name != nil {
		if err := n.Rename(ctx, *in.Name); err != nil {
			return node.MeView{}, err
		}
	}
	if in.Card != nil {
		if err := n.SetCard(ctx, *in.Card); err != nil {
			return node.MeView{}, err
		}
	}
	return n.Me(), nil
}
