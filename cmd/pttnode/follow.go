package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pttnode/api"
	"pttnode/node"
)

// errTimeUp says that what was waited for has not happened in time.
var errTimeUp = errors.New("the time is up")

// follow calls check at once and after every change at the node, until it is done,
// it fails, or wait is over (errTimeUp).
func follow(ctx context.Context, c *api.Client, wait time.Duration, check func(context.Context) (done bool, err error)) error {
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	over := func(err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case limited.Err() != nil:
			return errTimeUp
		}
		return err
	}
	for e, err := range c.Watch(limited, api.FromNow) {
		if err != nil {
			return over(err)
		}
		if e.Type != api.EventChanged {
			continue // one follows each batch
		}
		done, err := check(limited)
		if err != nil {
			return over(err)
		}
		if done {
			return nil
		}
	}
	return over(errTimeUp)
}

// shape is v as text, to see whether it changed.
func shape(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("pttnode: a view that has no JSON: " + err.Error())
	}
	return string(b)
}

// ended says how a request that waits no more came out: over is false while it
// waits, and err is nil when it was granted. A refusal whose exit code is 0, as
// already_friends, is a *api.Problem too.
func ended(r node.RequestView) (over bool, err error) {
	switch r.State {
	case "done", "approved":
		if r.Direction == "out" && r.State == "approved" {
			return false, nil // the logs are still on their way
		}
		return true, nil
	case "rejected", "expired", "cancelled", "failed", "withdrawn":
		code := r.Reason
		if code == "" || code == "ok" {
			code = r.State
		}
		return true, api.NewProblem(code)
	}
	return false, nil
}

// sentence says how an outgoing request stands: why it waits, since when, and what
// happens next.
func sentence(r node.RequestView, now time.Time) string {
	who := otherSide(r)
	since := r.Since
	if n := len(r.Steps); n > 0 {
		since = r.Steps[n-1].At
	}
	why := ""
	if r.Reason != "" && r.Reason != "ok" {
		why = ": " + api.NewProblem(r.Reason).Title
	}
	next := ""
	if r.NextTryAt != nil {
		next = ", next try in " + span(r.NextTryAt.Sub(now))
		if !r.NextTryAt.After(now) {
			next = ", trying again now"
			if len(r.Steps) == 0 {
				next = ", trying it now"
			}
		}
	}
	switch r.State {
	case "waiting_peer", "waiting_approval":
		if r.Reason == "issuer_away" {
			return api.NewProblem(r.Reason).Title + next
		}
	}
	switch r.State {
	case "waiting_peer":
		if len(r.Steps) == 0 {
			return "waiting for " + who + ", not tried yet" + next
		}
		return "waiting for " + who + why + ", last try " + span(now.Sub(since)) + " ago" + next
	case "connecting":
		return "connecting to " + who
	case "checking":
		return "checking that it is really " + who
	case "waiting_approval":
		if r.Kind == "device" {
			return "waiting for its code to be typed on your other device" + why + next
		}
		return "delivered " + since.Local().Format("15:04:05") + "; " + who + " has not decided yet" + why + next
	case "approved":
		if p := r.Progress; p != nil {
			return fmt.Sprintf("%s agreed; fetching who is in it: %d of about %d entries%s%s", who, p.Have, p.Total, why, next)
		}
		return who + " agreed; taking over what belongs to it"
	case "syncing":
		return who + " agreed; receiving what is there"
	case "done":
		return "done"
	}
	if _, err := ended(r); err != nil {
		return api.ProblemOf(err).Title
	}
	return r.State
}

// otherSide names the other side of a request as far as it is known.
func otherSide(r node.RequestView) string {
	if r.Kind == "device" && r.Direction == "out" {
		return "your other device"
	}
	if r.With.Name != "" {
		return quoted(r.With.Name)
	}
	if r.Direction == "in" {
		return "somebody"
	}
	return "the one who made the link"
}

// wants says what a request asks for.
func wants(r node.RequestView) string {
	if r.Board != nil {
		return "to join " + *r.Board
	}
	switch r.Kind {
	case "friend":
		return "to be friends"
	case "device":
		return "to be a device of yours"
	}
	return "to join a " + r.Kind
}
