package main

import (
	"context"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

func (a *app) deviceCommand() *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "your devices",
		Args:  cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *api.Client, _ []string) error {
			devices, err := c.Devices(ctx)
			if err != nil {
				return err
			}
			return a.result(devices, func() { a.sayDevices(devices) })
		}),
	}
	show := &cobra.Command{
		Use:   "show DEVICE",
		Short: "one of your devices",
		Args:  cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			d, err := c.Device(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(d, func() { a.sayDevice(d) })
		}),
	}
	rename := &cobra.Command{
		Use:     "rename DEVICE NAME",
		Short:   "change what one of your devices is called; only you see it",
		Example: "  pttnode device rename phone 'old phone'",
		Args:    cobra.ExactArgs(2),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			old, err := c.Device(ctx, args[0])
			if err != nil {
				return err
			}
			d, err := c.RenameDevice(ctx, old.ID.String(), args[1])
			if err != nil {
				return err
			}
			return a.result(d, func() {
				a.say("%s is called %s now.\n", quoted(old.Name), quoted(d.Name))
				a.talk("Undo: pttnode device rename %s %s\n", quoted(d.Name), quoted(old.Name))
			})
		}),
	}
	return group("device", "your own devices", list, show, rename)
}

func (a *app) sayDevices(devices []node.OwnDeviceView) {
	t := table{header: []string{"DEVICE", "STATE", "LAST SEEN", ""}}
	only := true
	for _, d := range devices {
		mark := ""
		if d.This {
			mark = "this one"
		}
		t.add(d.Name, deviceState(d.Status), lastSeen(d), mark)
		only = only && d.This
	}
	a.table(&t)
	if only {
		a.talk("Add another one: pttnode invite device\n")
	}
}

func (a *app) sayDevice(d node.OwnDeviceView) {
	a.say("name       %s\nstate      %s\nlast seen  %s\nthis one   %s\nid         %s\n",
		d.Name, deviceState(d.Status), lastSeen(d), yesNo(d.This), d.ID)
	if d.Votes {
		a.say("           links for further devices are made here\n")
	}
}

// deviceState says in words how far a device is.
func deviceState(s string) string {
	switch s {
	case "init":
		return "let in, not reached yet"
	case "internal_pending", "sync":
		return "being brought up to date"
	case "alive":
		return "ready"
	case "withdrawn":
		return "let in, but it had cancelled"
	}
	return s
}

func lastSeen(d node.OwnDeviceView) string {
	switch {
	case d.Online:
		return "now"
	case d.LastSeen == nil:
		return "never from here"
	}
	return clock(*d.LastSeen)
}
