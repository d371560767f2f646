package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pttnode/node"
)

// Events that are no entry of the journal: they have no id.
const (
	// EventChanged says that something changed; the first event of every stream, so
	// that who looks when it arrives misses nothing.
	EventChanged = "changed"
	// EventReset says that older events are gone: look at everything again.
	EventReset = "reset"
)

// FromNow asks Watch for new events only.
const FromNow = ^uint64(0)

// follow serves GET /v1/events: the journal as server-sent events, after the number
// in Last-Event-ID or ?since=, or from now on.
func (h *Handler) follow(w http.ResponseWriter, r *http.Request) error {
	last, err := h.startOf(r)
	if err != nil {
		return err
	}
	changed, stop := h.node.Watch()
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	out := stream{w, http.NewResponseController(w)}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		if last, err = h.catchUp(out, last); err != nil {
			return nil // the follower went away
		}
		select {
		case <-changed:
		case <-beat.C:
			err = out.comment("still here")
		case <-h.leaving:
			return nil
		case <-r.Context().Done():
			return nil
		}
		if err != nil {
			return nil
		}
	}
}

// startOf returns the number after which a follower wants events.
func (h *Handler) startOf(r *http.Request) (uint64, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("since")
	}
	if text != "" {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return 0, NewProblem("usage", "what", "since is not the number of an event")
		}
		return n, nil
	}
	var last uint64
	for {
		events, _ := h.node.Events(last, eventBatch)
		if len(events) == 0 {
			return last, nil
		}
		last = events[len(events)-1].ID
	}
}

// catchUp sends what the journal has after last, then EventChanged, and returns the
// new last.
func (h *Handler) catchUp(out stream, last uint64) (uint64, error) {
	for {
		events, gap := h.node.Events(last, eventBatch)
		if gap {
			if err := out.event(0, node.Event{Type: EventReset, At: time.Now().UTC()}); err != nil {
				return last, err
			}
			if len(events) == 0 {
				last = 0 // a number from another journal
			}
		}
		for _, e := range events {
			if err := out.event(e.ID, e); err != nil {
				return last, err
			}
			last = e.ID
		}
		if len(events) == 0 {
			return last, out.event(0, node.Event{Type: EventChanged, At: time.Now().UTC()})
		}
	}
}

// stream writes server-sent events.
type stream struct {
	w  io.Writer
	rc *http.ResponseController
}

// event sends e, with the id that a follower may resume after unless it is 0.
func (s stream) event(id uint64, e node.Event) error {
	if e.Data == nil {
		e.Data = map[string]any{}
	}
	data, err := json.Marshal(e) // has no line break
	if err != nil {
		return fmt.Errorf("encode event %d: %w", id, err)
	}
	var b strings.Builder
	if id != 0 {
		fmt.Fprintf(&b, "id: %d\n", id)
	}
	fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", e.Type, data)
	return s.send(b.String())
}

func (s stream) comment(text string) error { return s.send(": " + text + "\n\n") }

// send writes and flushes within writeTime, so that a follower that sleeps does not
// hold the server.
func (s stream) send(text string) error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(writeTime)) // a recorder in tests has none
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.rc.Flush()
}

// Watch follows what happens at the node after event number since: 0 for all that
// the node still has, FromNow for what is new. EventChanged comes first and after
// every change. The sequence ends with an error, or when ctx ends.
func (c *Client) Watch(ctx context.Context, since uint64) iter.Seq2[node.Event, error] {
	return func(yield func(node.Event, error) bool) {
		path := "/v1/events"
		if since != FromNow {
			path += "?since=" + strconv.FormatUint(since, 10)
		}
		resp, err := c.do(ctx, http.MethodGet, path, nil)
		if err != nil {
			if ctx.Err() == nil {
				yield(node.Event{}, err)
			}
			return
		}
		defer resp.Body.Close()
		for e, err := range readEvents(resp.Body) {
			if err != nil && ctx.Err() != nil {
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
		if ctx.Err() == nil {
			yield(node.Event{}, NewProblem("not_running"))
		}
	}
}

// readEvents parses server-sent events whose data is a node.Event. A connection
// that breaks ends the sequence like one that is closed: the node is gone.
func readEvents(r io.Reader) iter.Seq2[node.Event, error] {
	return func(yield func(node.Event, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxBody)
		var data strings.Builder
		for lines.Scan() {
			line := lines.Text()
			if value, ok := strings.CutPrefix(line, "data:"); ok {
				data.WriteString(strings.TrimPrefix(value, " "))
			}
			if line != "" || data.Len() == 0 {
				continue // a field, a comment, or the end of one
			}
			var e node.Event
			if err := json.Unmarshal([]byte(data.String()), &e); err != nil {
				yield(e, fmt.Errorf("read event: %w", err))
				return
			}
			data.Reset()
			if !yield(e, nil) {
				return
			}
		}
		if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
			yield(node.Event{}, fmt.Errorf("read event: %w", err))
		}
	}
}
