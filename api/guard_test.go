package api

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAttackLocalPage: a page in the user's browser must not reach the node, even
// where something forwards it to the socket.
func TestAttackLocalPage(t *testing.T) {
	t.Parallel()
	reached := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, c := range []struct {
		name   string
		own    any
		header http.Header
		body   string
		want   int
	}{
		{"our own program", true, nil, "", http.StatusNoContent},
		{"a connection of another user", false, nil, "", http.StatusForbidden},
		{"a connection of which nothing is known", nil, nil, "", http.StatusForbidden},
		{"Origin", true, http.Header{"Origin": {"https://evil.example"}}, "", http.StatusForbidden},
		{"Origin null", true, http.Header{"Origin": {"null"}}, "", http.StatusForbidden},
		{"empty Origin", true, http.Header{"Origin": {""}}, "", http.StatusForbidden},
		{"Referer", true, http.Header{"Referer": {"https://evil.example/x"}}, "", http.StatusForbidden},
		{"Sec-Fetch-Site", true, http.Header{"Sec-Fetch-Site": {"none"}}, "", http.StatusForbidden},
		{"Sec-Fetch-Mode", true, http.Header{"Sec-Fetch-Mode": {"no-cors"}}, "", http.StatusForbidden},
		{"JSON body", true, http.Header{"Content-Type": {"application/json; charset=utf-8"}}, "{}", http.StatusNoContent},
		{"form body", true, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "a=b", http.StatusBadRequest},
		{"text body", true, http.Header{"Content-Type": {"text/plain"}}, "{}", http.StatusBadRequest},
		{"body without a type", true, nil, "{}", http.StatusBadRequest},
	} {
		r := httptest.NewRequest(http.MethodPost, "/v1/shutdown", strings.NewReader(c.body))
		r = r.WithContext(context.WithValue(r.Context(), peerKey{}, c.own))
		maps.Copy(r.Header, c.header)
		w := httptest.NewRecorder()
		guard(reached).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: HTTP %d, want %d", c.name, w.Code, c.want)
		}
	}
}

func TestPeerIsOurUser(t *testing.T) {
	t.Parallel()
	l, err := Listen(t.Context(), socketIn(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if uid, err := peerUID(s); err != nil || uid != uint32(os.Getuid()) {
		t.Errorf("peerUID = %d, %v, want %d", uid, err, os.Getuid())
	}
	if own, _ := withPeer(t.Context(), s).Value(peerKey{}).(bool); !own {
		t.Error("a connection of our own user is a stranger's")
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if own, _ := withPeer(t.Context(), a).Value(peerKey{}).(bool); own {
		t.Error("a connection that is no unix socket is our own user's")
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	path := socketIn(t)
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, want 0600", info.Mode())
	}
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Listen(short, path); !errors.Is(err, ErrInUse) {
		t.Errorf("Listen on a socket that answers: %v, want ErrInUse", err)
	}
	// A process that is killed leaves its socket behind.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the stale socket is gone before the test: %v", err)
	}
	l, err = Listen(t.Context(), path)
	if err != nil {
		t.Fatalf("Listen on a stale socket: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket after Close: %v, want none", err)
	}
}

func TestListenRefuses(t *testing.T) {
	t.Parallel()
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), filepath.Join(open, "s")); !errors.Is(err, ErrOpenDir) {
		t.Errorf("Listen in a directory for all: %v, want ErrOpenDir", err)
	}
	file := socketIn(t)
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), file); err == nil {
		t.Error("Listen took a file's place")
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file in the way: %q, %v, want it untouched", b, err)
	}
}

// socketIn returns a path for a socket in a private directory of its own, short
// enough wherever tests have their temporary files.
func socketIn(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "api")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}
