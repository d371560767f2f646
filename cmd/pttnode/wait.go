package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

// poll is how often wait ready looks for a node that does not run yet: there is
// nothing that could tell.
const poll = 100 * time.Millisecond

func (a *app) waitCommand() *cobra.Command {
	limit := duration(time.Minute)
	ready := &cobra.Command{
		Use: "ready", Short: "until the node answers", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *api.Client, _ []string) error {
			return a.waitReady(ctx, c, time.Duration(limit))
		}),
	}
	online := &cobra.Command{
		Use: "online", Short: "until another node is connected", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *api.Client, _ []string) error {
			var s node.Status
			err := follow(ctx, c, time.Duration(limit), func(ctx context.Context) (bool, error) {
				now, err := c.Status(ctx)
				if err != nil {
					return false, err // the time may be up: what was last seen is the result
				}
				s = now
				return s.Peers > 0, nil
			})
			return a.waited(err, s, func() { a.sayStatus(s) })
		}),
	}
	request := &cobra.Command{
		Use: "request ID", Short: "until a request is over", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			r, err := c.Request(ctx, args[0])
			if err != nil {
				return err
			}
			if r, err = a.followRequest(ctx, c, r, time.Duration(limit)); err != nil {
				return err
			}
			if r.Direction == "out" {
				return a.outcome(r)
			}
			return a.decided(r)
		}),
	}
	synced := &cobra.Command{
		Use: "synced ENTITY", Short: "until all of a board or friendship is here", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			var s node.SyncView
			err := follow(ctx, c, time.Duration(limit), func(ctx context.Context) (bool, error) {
				now, err := c.Synced(ctx, args[0])
				if err != nil {
					return false, err
				}
				s = now
				return s.Total > 0 && s.Have >= s.Total, nil
			})
			return a.waited(err, s, func() { a.say("%d of %d\n", s.Have, s.Total) })
		}),
	}
	cmd := group("wait", "wait for something, for scripts", ready, online, request, synced)
	cmd.PersistentFlags().Var(&limit, "timeout", "how long to wait; then the exit code is 8")
	return cmd
}

// waited ends a wait: when the time is up, with what is so far and exit code 8.
func (a *app) waited(err error, v any, human func()) error {
	if err != nil && !errors.Is(err, errTimeUp) {
		return err
	}
	if err := a.result(v, human); err != nil {
		return err
	}
	if err != nil {
		return errPending
	}
	return nil
}

// decided ends wait request for a request of somebody else's.
func (a *app) decided(r node.RequestView) error {
	over, err := ended(r)
	if over && err != nil {
		return err
	}
	if !over {
		err = errTimeUp
	}
	return a.waited(err, map[string]node.RequestView{"request": r}, func() { a.sayRequest(r) })
}

// waitReady waits for a node that may not run yet.
func (a *app) waitReady(ctx context.Context, c *api.Client, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	late := api.NewProblem("still_pending", "detail", "no node answers here")
	for {
		s, err := c.Status(limited)
		if err == nil && s.State == "ready" {
			return a.result(s, func() { a.sayStatus(s) })
		}
		if err == nil { // it answers, and nobody's device yet
			late = api.NewProblem("linking")
			late.Exit = api.ExitPending // as of every wait
		}
		if p, ok := errors.AsType[*api.Problem](err); ok && p.Code != "not_running" {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limited.Done():
			return late
		case <-tick.C:
		}
	}
}
