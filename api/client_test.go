package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pttnode/node"
)

// serveOn serves h on a socket of its own until the test ends.
func serveOn(t *testing.T, h http.Handler) *Client {
	t.Helper()
	l, err := Listen(t.Context(), socketIn(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ConnContext: withPeer, ReadHeaderTimeout: headerTime}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	c := NewClient(l.Addr().String())
	t.Cleanup(func() {
		c.Close()
		s.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return c
}

func codeOf(err error) string {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.Code
	}
	if err == nil {
		return ""
	}
	return "not a problem: " + err.Error()
}

func TestClientWithoutNode(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(socketIn(t))
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"no socket": filepath.Join(dir, "none"), "no directory": filepath.Join(dir, "none", "none"), "a killed node's socket": stale,
	} {
		_, err := NewClient(path).Status(t.Context())
		if got := codeOf(err); got != "not_running" {
			t.Errorf("%s: %s, want not_running", name, got)
		}
		for _, err := range NewClient(path).Watch(t.Context(), FromNow) {
			if got := codeOf(err); got != "not_running" {
				t.Errorf("%s: Watch: %s, want not_running", name, got)
			}
		}
	}
}

func TestClientSocketDenied(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may open every socket")
	}
	l, err := Listen(t.Context(), socketIn(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(l.Addr().String(), 0); err != nil {
		t.Fatal(err)
	}
	_, err = NewClient(l.Addr().String()).Status(t.Context())
	if got := codeOf(err); got != "socket_denied" {
		t.Errorf("a socket of mode 0: %s, want socket_denied", got)
	}
}

func TestClientAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  string
	}{
		{"a problem", func(w http.ResponseWriter, _ *http.Request) { writeProblem(w, NewProblem("invite_expired")) }, "invite_expired"},
		{"the guard's problem", func(w http.ResponseWriter, _ *http.Request) { writeProblem(w, NewProblem("socket_denied")) }, "socket_denied"},
		{"an answer of something else", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTeapot) }, "internal"},
		{"nothing, and the connection closed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "not_running"},
		{"a part of an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
			panic(http.ErrAbortHandler)
		}, "not_running"},
		{"an answer", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"state":"ready","new":1}`)) }, ""},
	} {
		s, err := serveOn(t, c.serve).Status(t.Context())
		if got := codeOf(err); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if told := strings.Contains(fmt.Sprint(err), "may have done what was asked"); told != (c.want == "not_running") {
			t.Errorf("%s: %v, want it said that it may be done for not_running only", c.name, err)
		}
		if c.want == "" && s.State != "ready" {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

func TestClientStopsWithContext(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	c := serveOn(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(cause)
	}()
	if _, err := c.Status(ctx); !errors.Is(err, cause) {
		t.Errorf("Status after its context ended: %v, want %v", err, cause)
	}
}

// TestClientHasEveryRoute calls every method of Client and sees which rows of the
// table they reach: each has one.
func TestClientHasEveryRoute(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	reached := map[string]int{}
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			reached[r.pattern]++
			for _, name := range []string{"friend", "invite", "request", "board", "article", "entity", "device", "member", "comment"} {
				if v := req.PathValue(name); v != "" && v != "讀 書/會?#%" {
					t.Errorf("%s: %s arrived as %q", r.pattern, name, v)
				}
			}
			writeProblem(w, NewProblem("rejected"))
		})
	}
	c, ctx, ref := serveOn(t, mux), t.Context(), "讀 書/會?#%"
	calls := []error{
		err2(c.Status(ctx)), err2(c.Me(ctx)), err2(c.ChangeMe(ctx, MeChange{})), err2(c.Friends(ctx)), err2(c.Friend(ctx, ref)),
		err2(c.Invites(ctx)), err2(c.CreateInvite(ctx, NewInvite{})), err2(c.Invite(ctx, ref)), err2(c.RevokeInvite(ctx, ref)),
		err2(c.Inspect(ctx, "x")), err2(c.Join(ctx, "x", "")), err2(c.Requests(ctx)), err2(c.Request(ctx, ref)),
		err2(c.Approve(ctx, ref)), err2(c.Reject(ctx, ref)), err2(c.Cancel(ctx, ref)), err2(c.Retry(ctx, ref)),
		err2(c.Boards(ctx)), err2(c.CreateBoard(ctx, NewBoard{})), err2(c.Board(ctx, ref)), err2(c.Members(ctx, ref)),
		err2(c.SetRole(ctx, ref, ref, "member")), err2(c.LeaveBoard(ctx, ref)), err2(c.Articles(ctx, ref)), err2(c.CreateArticle(ctx, ref, NewArticle{})),
		err2(c.Article(ctx, ref, ref)), err2(c.View(ctx, ref)), err2(c.Log(ctx, ref, "member")), err2(c.Synced(ctx, ref)),
		err2(c.Shutdown(ctx)), err2(c.Devices(ctx)), err2(c.Device(ctx, ref)), err2(c.RenameDevice(ctx, ref, "x")), err2(c.Why(ctx, ref, ref)),
		err2(c.Peers(ctx)), err2(c.RemoveFriend(ctx, ref)), err2(c.Block(ctx, ref)), err2(c.Unblock(ctx, ref)),
		err2(c.SetBoard(ctx, ref, node.BoardChange{})), err2(c.DeleteBoard(ctx, ref)), err2(c.RemoveMember(ctx, ref, ref)),
		err2(c.TransferBoard(ctx, ref, ref)), err2(c.RotateBoard(ctx, ref)),
		err2(c.EditArticle(ctx, ref, ref, ArticleChange{})), err2(c.DeleteArticle(ctx, ref, ref)),
		err2(c.Comments(ctx, ref, ref)), err2(c.AddComment(ctx, ref, ref, NewComment{})), err2(c.DeleteComment(ctx, ref, ref, ref)),
	}
	for _, err := range c.Watch(ctx, 3) {
		calls = append(calls, err)
	}
	for i, err := range calls {
		if codeOf(err) != "rejected" {
			t.Errorf("call %d: %v, want the route's problem", i, err)
		}
	}
	for _, r := range routes {
		if reached[r.pattern] != 1 {
			t.Errorf("%s was called %d times, want once", r.pattern, reached[r.pattern])
		}
	}
	if len(calls) != len(routes) {
		t.Errorf("%d methods of Client for %d routes", len(calls), len(routes))
	}
}

func err2[T any](_ T, err error) error { return err }

func TestPathNamesNoOtherRoute(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"", ".", "..", "../status", "a/b"} {
		got := path("boards", part)
		if strings.Count(got, "/") != 3 || strings.HasSuffix(got, "/") || slices.Contains([]string{".", ".."}, got[strings.LastIndex(got, "/")+1:]) {
			t.Errorf("path(boards, %q) = %q", part, got)
		}
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := serveOn(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := stream{w, http.NewResponseController(w)}
		_ = s.comment("hello")
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for e, err := range c.Watch(ctx, FromNow) {
		t.Errorf("Watch gave %+v, %v, want an end without a word", e, err)
	}
	if ctx.Err() == nil {
		t.Error("Watch ended before its context")
	}
}
