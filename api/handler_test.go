package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"pttnode/node"
)

// served is a real node behind its handler on a real socket.
type served struct {
	*Client
	socket string
	http   *http.Client
	ended  chan error
}

// serveNode starts a node in a home of its own.
func serveNode(t *testing.T) *served {
	t.Helper()
	return serveNodeWith(t, node.StartOptions{})
}

// serveNodeWith is serveNode with options.
func serveNodeWith(t *testing.T, opt node.StartOptions) *served {
	t.Helper()
	home, err := node.OpenHome(filepath.Dir(socketIn(t)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := home.Init(t.Context(), node.InitOptions{Name: "alice", DeviceName: "laptop"}); err != nil {
		t.Fatal(err)
	}
	return serveHome(t, home, opt)
}

// serveHome starts the node of a home.
func serveHome(t *testing.T, home *node.Home, opt node.StartOptions) *served {
	t.Helper()
	opt.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	n, err := node.Start(t.Context(), home, opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	closed := make(chan struct{})
	h := New(Config{Node: n, Stop: stop, Stopped: closed})
	l, err := Listen(ctx, home.Paths().Socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{Client: NewClient(home.Paths().Socket), socket: home.Paths().Socket, ended: make(chan error, 1)}
	go func() { s.ended <- h.Serve(ctx, l) }()
	go func() {
		err := errors.Join(n.Run(ctx), n.Close())
		if err != nil {
			t.Errorf("the node ended with %v", err)
		}
		close(closed)
	}()
	s.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.socket)
	}}}
	t.Cleanup(func() {
		stop()
		<-closed
		s.Close()
		s.http.CloseIdleConnections()
	})
	return s
}

// raw sends a request as no Client would.
func (s *served) raw(t *testing.T, method, path, body string, header ...string) (int, string, Problem) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://node"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p Problem
	if resp.StatusCode >= 300 {
		if err := json.Unmarshal(b, &p); err != nil {
			t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, b)
		}
	}
	return resp.StatusCode, string(b), p
}

func TestHandlerSpeaksJSON(t *testing.T) {
	t.Parallel()
	s := serveNode(t)
	long := `{"name":"` + strings.Repeat("x", maxBody) + `"}`
	for _, c := range []struct {
		method, path, body string
		header             []string
		status             int
		code               string
	}{
		{"GET", "/v1/status", "", nil, 200, ""},
		{"GET", "/v1/friends", "", nil, 200, ""},
		{"GET", "/v1/nothing", "", nil, 404, "not_found"},
		{"GET", "/", "", nil, 404, "not_found"},
		{"POST", "/v1/status", "", nil, 404, "not_found"},
		{"GET", "/v1/boards/nothing", "", nil, 404, "not_found"},
		{"GET", "/v1/status", "", []string{"Origin", "http://localhost"}, 403, "socket_denied"},
		{"PATCH", "/v1/me", `{"name":"Alice"}`, nil, 200, ""},
		{"PATCH", "/v1/me", `{"nmae":"Alice"}`, nil, 400, "usage"},
		{"PATCH", "/v1/me", `{"name":"Alice"}{}`, nil, 400, "usage"},
		{"PATCH", "/v1/me", `{"name":`, nil, 400, "usage"},
		{"PATCH", "/v1/me", `[]`, nil, 400, "usage"},
		{"PATCH", "/v1/me", "", nil, 400, "usage"},
		{"PATCH", "/v1/me", long, nil, 413, "too_long"},
		{"PATCH", "/v1/me", `{"name":"x"}`, []string{"Content-Type", "text/plain"}, 400, "usage"},
		{"POST", "/v1/requests", `{"link":"hello"}`, nil, 422, "link_not_pttnode"},
		{"POST", "/v1/links/inspect", `{"link":"pttnode:friend/aeb"}`, nil, 422, "link_incomplete"},
		{"POST", "/v1/boards", `{"name":"reading"}`, nil, 201, ""},
		{"POST", "/v1/boards/reading/articles", `{"title":"t","body":"b"}`, nil, 201, ""},
		{"PATCH", "/v1/boards/reading/articles/1", `{"title":"u"}`, nil, 200, ""},
		{"PATCH", "/v1/boards/reading/articles/1", `{"title":""}`, nil, 400, "usage"},
		{"PATCH", "/v1/boards/reading/articles/2", `{"title":"u"}`, nil, 404, "not_found"},
		{"GET", "/v1/boards/reading/articles/1/comments", "", nil, 200, ""},
		{"POST", "/v1/boards/reading/articles/1/comments", `{"type":"push","text":"推"}`, nil, 201, ""},
		{"POST", "/v1/boards/reading/articles/1/comments", `{"type":"like","text":"x"}`, nil, 400, "usage"},
		{"POST", "/v1/boards/reading/articles/1/comments", `{"text":""}`, nil, 400, "usage"},
		{"DELETE", "/v1/boards/reading/articles/1/comments/2", "", nil, 404, "not_found"},
		{"DELETE", "/v1/boards/reading/articles/1/comments/1", "", nil, 200, ""},
		{"DELETE", "/v1/boards/reading/articles/1", "", nil, 200, ""},
		{"DELETE", "/v1/boards/reading/articles/1", "", nil, 200, ""},
		{"PATCH", "/v1/boards/reading/articles/1", `{"title":"v"}`, nil, 410, "deleted"},
		{"POST", "/v1/boards/reading/articles/1/comments", `{"text":"x"}`, nil, 410, "deleted"},
		{"POST", "/v1/invites", `{"kind":"board","board":"reading"}`, nil, 201, ""},
		{"POST", "/v1/invites", `{"kind":"device"}`, nil, 201, ""},
		{"POST", "/v1/invites", `{"kind":"devices"}`, nil, 400, "usage"},
		{"POST", "/v1/invites", `{"kind":"device","auto_approve":true}`, nil, 400, "usage"},
		{"GET", "/v1/devices", "", nil, 200, ""},
		{"GET", "/v1/devices/laptop", "", nil, 200, ""},
		{"GET", "/v1/devices/phone", "", nil, 404, "not_found"},
		{"PATCH", "/v1/devices/laptop", `{"name":"讀書機"}`, nil, 200, ""},
		{"PATCH", "/v1/devices/讀書機", `{"name":""}`, nil, 400, "usage"},
		{"GET", "/v1/boards/reading/members/Alice/why", "", nil, 200, ""},
		{"GET", "/v1/boards/reading/members/nobody/why", "", nil, 404, "not_found"},
		{"POST", "/v1/invites", `{"kind":"device","uses":2}`, nil, 400, "usage"},
		{"DELETE", "/v1/invites/i-zzz", "", nil, 404, "not_found"},
		{"POST", "/v1/requests/r-zzz/approve", "", nil, 404, "not_found"},
		{"GET", "/v1/events?since=x", "", nil, 400, "usage"},
		{"GET", "/v1/events", "", []string{"Last-Event-ID", "-1"}, 400, "usage"},
	} {
		status, body, p := s.raw(t, c.method, c.path, c.body, c.header...)
		if status != c.status || p.Code != c.code {
			t.Errorf("%s %s %.40s: %d %q, want %d %q", c.method, c.path, c.body, status, p.Code, c.status, c.code)
		}
		if strings.TrimSpace(body) == "null" || strings.Count(body, "\n") != 1 {
			t.Errorf("%s %s: %q is not one document on one line", c.method, c.path, body)
		}
	}
}

// TestProblemKeepsLinks: an error must not repeat a link, for it ends up in logs.
func TestProblemKeepsLinks(t *testing.T) {
	t.Parallel()
	s := serveNode(t)
	v, err := s.CreateInvite(t.Context(), NewInvite{Kind: "friend"})
	if err != nil {
		t.Fatal(err)
	}
	secret := v.Link[len(v.Link)-40:]
	for _, body := range []string{
		`{"link":"` + v.Link + `"}`, `{"link":"` + v.Link[:len(v.Link)-1] + `"}`, `{"link":"x` + v.Link + `"}`,
		`{"` + v.Link + `":1}`, `{"link":` + v.Link + `}`,
	} {
		status, answer, _ := s.raw(t, "POST", "/v1/requests", body)
		if status < 400 || strings.Contains(answer, secret[:20]) {
			t.Errorf("POST /v1/requests %.30s…: %d %s", body, status, answer)
		}
	}
	all, err := s.Invites(t.Context())
	if err != nil || len(all) != 1 || all[0].Link != "" || all[0].QR != "" {
		t.Errorf("the list of invites: %+v, %v, want one without its link", all, err)
	}
}

func TestOneNodeStory(t *testing.T) {
	t.Parallel()
	s, ctx := serveNode(t), t.Context()
	me, err := s.ChangeMe(ctx, MeChange{Name: new("Alice A."), Card: new("hello")})
	if err != nil || me.User.Name != "Alice A." || me.Card != "hello" {
		t.Errorf("ChangeMe: %+v, %v", me, err)
	}
	b, err := s.CreateBoard(ctx, NewBoard{Name: "reading", Title: "讀書會"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateArticle(ctx, "reading", NewArticle{Title: "三體", Class: "心得", Body: "text"}); err != nil {
		t.Fatal(err)
	}
	a, err := s.Article(ctx, b.ID.String(), "1")
	if err != nil || a.Body == nil || *a.Body != "text" || a.Class != "心得" {
		t.Errorf("Article: %+v, %v", a, err)
	}
	ops, err := s.Log(ctx, "reading", "article")
	if err != nil || len(ops) != 1 || ops[0].ID != a.ID {
		t.Errorf("Log of articles: %+v, %v", ops, err)
	}
	view, err := s.View(ctx, "reading")
	if err != nil || view.Entity != b.ID || len(view.Members) != 1 || len(view.Heads) == 0 {
		t.Errorf("View: %+v, %v", view, err)
	}
	sync, err := s.Synced(ctx, "reading")
	if err != nil || sync.Have != sync.Total || sync.Have == 0 {
		t.Errorf("Synced: %+v, %v", sync, err)
	}
	if _, err := s.CreateBoard(ctx, NewBoard{Name: "reading"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Board(ctx, "reading"); codeOf(err) != "ambiguous" || !strings.Contains(err.Error(), b.ID.String()) {
		t.Errorf("Board by a name that two have: %v, want ambiguous with the ids", err)
	}
}

func TestEventsResume(t *testing.T) {
	t.Parallel()
	s, ctx := serveNode(t), t.Context()
	if _, err := s.CreateBoard(ctx, NewBoard{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	read := func(since uint64, until string) (events []node.Event) {
		t.Helper()
		for e, err := range s.Watch(ctx, since) {
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
			if e.Type == until {
				return events
			}
		}
		t.Fatalf("the stream ended before %s", until)
		return nil
	}
	all := read(0, EventChanged)
	if len(all) < 2 || all[0].ID == 0 || all[len(all)-1].ID != 0 {
		t.Fatalf("from the beginning: %+v", all)
	}
	last := all[len(all)-2].ID
	if again := read(last, EventChanged); len(again) != 1 {
		t.Errorf("after event %d: %+v, want nothing but changed", last, again)
	}
	if fresh := read(FromNow, EventChanged); len(fresh) != 1 {
		t.Errorf("from now: %+v, want nothing but changed", fresh)
	}
	if gap := read(last+1000, EventChanged); gap[0].Type != EventReset || gap[1].ID != all[0].ID {
		t.Errorf("after a number of another journal: %+v, want reset, then all", gap)
	}
	// What happens while we follow arrives.
	began := false
	for e, err := range s.Watch(ctx, last) {
		if err != nil {
			t.Fatal(err)
		}
		if !began {
			began = true
			if _, err := s.CreateBoard(ctx, NewBoard{Name: "two"}); err != nil {
				t.Fatal(err)
			}
		}
		if e.ID > last && e.Type == "board.created" {
			break
		}
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	s := serveNode(t)
	following := make(chan string, 1)
	ready := make(chan struct{})
	go func() {
		for e, err := range s.Watch(context.Background(), FromNow) {
			if e.Type == EventChanged {
				close(ready)
			}
			if err != nil {
				following <- codeOf(err)
			}
		}
		close(following)
	}()
	<-ready
	got, err := s.Shutdown(t.Context())
	if err != nil || !got.Stopped {
		t.Fatalf("Shutdown: %+v, %v", got, err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if code := <-following; code != "not_running" {
		t.Errorf("who followed was told %q, want not_running", code)
	}
	_, err = s.Status(t.Context())
	if code := codeOf(err); code != "not_running" {
		t.Errorf("Status afterwards: %s, want not_running", code)
	}
	home, err := node.OpenHome(filepath.Dir(s.socket))
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := home.Lock()
	if err != nil {
		t.Fatalf("the lock after Shutdown answered: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

// TestSecretsStayOutOfViews: what the handlers answer holds no link but in the
// answer that made it.
func TestSecretsStayOutOfViews(t *testing.T) {
	t.Parallel()
	s := serveNode(t)
	v, err := s.CreateInvite(t.Context(), NewInvite{Kind: "friend"})
	if err != nil {
		t.Fatal(err)
	}
	body := v.Link[strings.LastIndexByte(v.Link, '/')+1:]
	for _, path := range []string{"/v1/status", "/v1/invites", "/v1/invites/" + v.ID, "/v1/requests", "/v1/entities/me/log"} {
		_, answer, _ := s.raw(t, "GET", path, "")
		if bytes.Contains(bytes.ToLower([]byte(answer)), []byte(body[60:100])) {
			t.Errorf("GET %s tells the link", path)
		}
	}
}
