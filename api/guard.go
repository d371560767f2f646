package api

import (
	"context"
	"mime"
	"net"
	"net/http"
	"os"
	"strings"
)

// peerKey is where ConnContext keeps what is known of a connection's other end.
type peerKey struct{}

// withPeer notes in a connection's context whether its other end is our own user,
// as the kernel says it (SO_PEERCRED). Whoever cannot be asked about is a stranger.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	uid, err := peerUID(c)
	return context.WithValue(ctx, peerKey{}, err == nil && uid == uint32(os.Getuid()))
}

// guard lets through only requests of our own user's programs. The permissions of
// the socket say the same; this holds where they were loosened. A browser names
// the page that sent it, and no page has business here.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own, _ := r.Context().Value(peerKey{}).(bool)
		if !own || fromPage(r.Header) {
			writeProblem(w, NewProblem("socket_denied"))
			return
		}
		if r.ContentLength != 0 && !isJSON(r.Header) {
			writeProblem(w, NewProblem("usage", "what", "the body must be application/json"))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// fromPage reports whether a browser sent a request for a page.
func fromPage(h http.Header) bool {
	for name := range h {
		if name == "Origin" || name == "Referer" || strings.HasPrefix(name, "Sec-Fetch-") {
			return true
		}
	}
	return false
}

func isJSON(h http.Header) bool {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && t == "application/json"
}
