package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

func (a *app) statusCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "who you are, and what waits for you",
		Args:  cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *api.Client, _ []string) error {
			if !watch {
				s, err := c.Status(ctx)
				if err != nil {
					return err
				}
				return a.result(s, func() { a.sayStatus(s) })
			}
			return a.watchStatus(ctx, c)
		}),
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "print it again after every change")
	return cmd
}

// watchStatus prints the status whenever it is another one.
func (a *app) watchStatus(ctx context.Context, c *api.Client) error {
	last := ""
	for e, err := range c.Watch(ctx, api.FromNow) {
		if err != nil {
			return err
		}
		if e.Type != api.EventChanged {
			continue // one follows each batch
		}
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		if now := shape(s); now != last {
			last = now
			if err := a.result(s, func() { a.sayStatus(s); a.say("\n") }); err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

func (a *app) sayStatus(s node.Status) {
	if s.State == "setup" {
		how := "waits to be let in by another device of yours"
		if s.Linking != "" {
			how = "is let in and being brought up to date"
		}
		a.say("%s %s: pttnode requests list\n", quoted(s.Device.Name), how)
		a.say("listening    %s\n", first(s.Addrs))
		return
	}
	a.say("%s on %s      fingerprint %s\n", quoted(s.User.Name), quoted(s.Device.Name), s.User.Fingerprint)
	switch s.Peers {
	case 0:
		a.say("online       nobody else is connected\n")
	default:
		a.say("online       connected with %d\n", s.Peers)
	}
	a.say("listening    %s\n", first(s.Addrs))
	if s.Waiting > 0 {
		a.say("for you      %d: pttnode requests list\n", s.Waiting)
	} else {
		a.say("for you      nothing waits\n")
	}
	for _, h := range s.Health {
		a.say("health       %s\n", h.Title)
		if h.Hint != "" {
			a.say("             %s\n", h.Hint)
		}
	}
}

// first returns the first of several addresses, without the peer id, which is the same in
// all and would not fit a line, and how many more there are.
func first(addrs []string) string {
	if len(addrs) == 0 {
		return "nowhere"
	}
	addr, _, _ := strings.Cut(addrs[0], "/p2p/")
	if len(addrs) == 1 {
		return addr
	}
	return clean("%s and %d more", []any{addr, len(addrs) - 1})
}
