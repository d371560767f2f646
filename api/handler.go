package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"pttnode/node"
)

// Config is what a Handler needs.
type Config struct {
	Node *node.Node
	Log  *slog.Logger // nil discards

	// Stop begins the node's end when POST /v1/shutdown asks for it, and Stopped is
	// closed when store and lock are free: only then is that request answered.
	Stop    func()
	Stopped <-chan struct{}
}

// Handler serves the routes of one node.
type Handler struct {
	node    *node.Node
	log     *slog.Logger
	stop    func()
	stopped <-chan struct{}
	mux     *http.ServeMux
	leaving chan struct{} // closed when Serve ends; followers go then
}

// New makes the handler of a node. It starts nothing.
func New(cfg Config) *Handler {
	h := &Handler{
		node: cfg.Node, log: cfg.Log, stop: cfg.Stop, stopped: cfg.Stopped,
		mux: http.NewServeMux(), leaving: make(chan struct{}),
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	for _, r := range routes {
		if !inSetup[r.pattern] {
			r = withIdentity(r)
		}
		h.mux.Handle(r.pattern, h.handle(r))
	}
	h.mux.Handle("GET /metrics", h.handle(route{"GET /metrics", (*Handler).metrics})) // for Prometheus, which has no versions
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, NewProblem("not_found", "what", "route", "name", r.Method+" "+r.URL.Path))
	})
	return h
}

// handle is what all routes have in common.
func (h *Handler) handle(r route) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		err := r.serve(h, w, req)
		if err == nil {
			return
		}
		p := ProblemOf(err)
		if p.Code == "internal" {
			h.log.Error("api", "route", r.pattern, "err", err)
		}
		writeProblem(w, p)
	}
}

// Serve answers on l until ctx ends; then it takes no new connection, waits for the
// answers that are under way and returns. Serve is called once.
func (h *Handler) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler: guard(h.mux), ConnContext: withPeer,
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the local API: %w", err)
	case <-ctx.Done():
	}
	close(h.leaving)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	err := s.Shutdown(last)
	if err != nil {
		_ = s.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// shutdown stops the node and answers when everything of it is closed.
func (h *Handler) shutdown(w http.ResponseWriter, r *http.Request) error {
	if h.stop == nil {
		return NewProblem("internal", "detail", "this node cannot be stopped from here")
	}
	h.stop()
	select {
	case <-h.stopped:
	case <-r.Context().Done():
	}
	return answer(w, http.StatusOK, Stopped{Stopped: true})
}

// get makes a route without a body.
func get[T any](f func(*node.Node, *http.Request) (T, error)) func(*Handler, http.ResponseWriter, *http.Request) error {
	return func(h *Handler, w http.ResponseWriter, r *http.Request) error {
		v, err := f(h.node, r)
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, v)
	}
}

// list makes a route that answers with an array, which is never null.
func list[T any](f func(*node.Node, *http.Request) ([]T, error)) func(*Handler, http.ResponseWriter, *http.Request) error {
	return get(func(n *node.Node, r *http.Request) ([]T, error) {
		v, err := f(n, r)
		if v == nil {
			v = []T{}
		}
		return v, err
	})
}

// send makes a route with a body.
func send[In, Out any](status int, f func(context.Context, *node.Node, *http.Request, In) (Out, error)) func(*Handler, http.ResponseWriter, *http.Request) error {
	return func(h *Handler, w http.ResponseWriter, r *http.Request) error {
		var in In
		if err := readBody(w, r, &in); err != nil {
			return err
		}
		out, err := f(r.Context(), h.node, r, in)
		if err != nil {
			return err
		}
		return answer(w, status, out)
	}
}

// readBody reads one JSON document with known fields only: a misspelt option is an
// error, not a default.
func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTime)) // where it cannot be set, there is no connection to wait for
	defer func() { _ = rc.SetReadDeadline(time.Time{}) }()
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.Join(errors.New("more than one JSON document"), more)
		}
	}
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return NewProblem("too_long", "what", "whole", "max", "1 MiB")
	}
	if err != nil {
		// The text may hold a part of the body, which may be a link: say only where.
		return NewProblem("usage", "what", "the body is not the JSON that "+r.Method+" "+r.URL.Path+" takes")
	}
	return nil
}

// answer sends v as one line of JSON.
func answer(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // who went away does not hear it
	return nil
}
