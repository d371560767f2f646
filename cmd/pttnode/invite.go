package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

func (a *app) inviteCommand() *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "your invites",
		Args:  cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *api.Client, _ []string) error {
			invites, err := c.Invites(ctx)
			if err != nil {
				return err
			}
			return a.result(invites, func() { a.sayInvites(invites) })
		}),
	}
	show := &cobra.Command{
		Use:   "show ID",
		Short: "one invite; its link was shown only when it was made",
		Args:  cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			v, err := c.Invite(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(v, func() { a.sayInvite(v) })
		}),
	}
	revoke := &cobra.Command{
		Use:   "revoke ID",
		Short: "withdraw an invite, and the requests that wait through it",
		Args:  cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			v, err := c.RevokeInvite(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(v, func() {
				a.say("Invite %s is %s.\n", v.ID, inviteState(v))
				a.talk("This cannot be undone; make another one: %s\n", again(v))
			})
		}),
	}
	return group("invite", "make links for friends, boards and devices of yours",
		a.newInviteCommand("friend", "friend", "a link that makes a friend", cobra.NoArgs),
		a.newInviteCommand("board", "board BOARD", "a link to one of your boards", cobra.ExactArgs(1)),
		a.newInviteCommand("device", "device", "a link for another device of yours; whoever opens it becomes you", cobra.NoArgs),
		list, show, revoke)
}

// newInviteCommand makes invite friend, invite board or invite device.
func (a *app) newInviteCommand(kind, use, short string, args cobra.PositionalArgs) *cobra.Command {
	in := api.NewInvite{Kind: kind}
	var expires duration
	var drawn bool
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args,
		Example: "  pttnode invite " + use + ` --note "bob from choir" --expires 72h`,
	}
	if kind == "device" {
		cmd.Example = "  pttnode invite device"
		cmd.Long = `Makes a link that makes one more device yours. ANYONE WITH THIS LINK CAN BECOME
YOU: show it only to that device, never in a chat. It is good for 10 minutes
and one use, and the device is let in only when you type here the code that it
shows.
On the new device: pttnode init --device`
	}
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, args []string) error {
		if len(args) > 0 {
			in.Board = args[0]
		}
		if cmd.Flags().Changed("expires") && time.Duration(expires) < time.Second {
			return usagef(cmd, "--expires must be a second or more")
		}
		history, err := historyFlag(in.History)
		if err != nil {
			return err
		}
		in.History = history
		in.ExpiresIn = int64(time.Duration(expires) / time.Second)
		v, err := c.CreateInvite(ctx, in)
		if err != nil {
			return err
		}
		if drawn || a.errTTY && !a.json && !cmd.Flags().Changed("qr") {
			if err := a.draw(v); err != nil {
				return err
			}
		}
		return a.result(v, func() { a.sayNewInvite(v) })
	})
	f := cmd.Flags()
	f.Var(&expires, "expires", "for how long, as 90s 15m 72h 7d; else as usual for its kind")
	f.StringVar(&in.Note, "note", "", "a `TEXT` for yourself, so that you know later whom it was for")
	f.StringArrayVar(&in.Addrs, "addr", nil, "a `MULTIADDR` to put into the link; may be repeated")
	f.BoolVar(&drawn, "qr", false, "draw the link as a QR code on stderr (default: on a terminal)")
	if kind == "device" { // one use, no default of who, and always asked
		return cmd
	}
	autoHelp := "let in whoever uses it without asking you"
	if kind == "friend" {
		autoHelp += "; needs --for"
	}
	f.IntVar(&in.Uses, "uses", 0, "how `MANY` may use it (default 1)")
	f.BoolVar(&in.AutoApprove, "auto-approve", false, autoHelp)
	f.StringVar(&in.For, "for", "", "the only `USER` who may use it: a friend's name, or an id")
	if kind == "board" {
		f.StringVar(&in.Role, "role", "", "what the newcomer becomes: a `ROLE`, member or reader (default member)")
		f.StringVar(&in.History, "history", "", "`WHAT` the newcomer may read of the past: all, from-join, or a time as 30d (default as the board)")
	}
	return cmd
}

// draw draws the link of v on stderr.
func (a *app) draw(v node.InviteView) error {
	if v.QR == "" {
		a.talk("The link is too long for a picture.\n")
		return nil
	}
	p, err := picture(v.QR)
	if err != nil {
		return err
	}
	_, _ = io.WriteString(a.err, p) // not talk, which breaks wide lines
	return nil
}

// sayNewInvite prints the link alone on stdout, and all else on stderr.
func (a *app) sayNewInvite(v node.InviteView) {
	if v.Kind == "device" {
		a.talk("ANYONE WITH THIS LINK CAN BECOME YOU. Show it only to your own new\ndevice, never in a chat.\n")
	}
	a.talk("%s invite %s", kindTitle(v.Kind), v.ID)
	if v.Note != "" {
		a.talk(` for "%s"`, v.Note)
	}
	if v.Board != nil {
		a.talk(" to %s", quoted(*v.Board))
	}
	a.talk(": %s, expires %s (in %s)\n", uses(v.Uses), clock(v.ExpiresAt), span(time.Until(v.ExpiresAt)))
	a.say("%s\n", v.Link)
	if v.Kind == "device" {
		a.talk("On the new device: pttnode init --device      (paste the link when asked)\n"+
			"It shows a code; type it here: pttnode requests approve ID      Withdraw: pttnode invite revoke %s\n", v.ID)
		return
	}
	a.talk("Whoever has this link may use it: send it only to whom it is for, and keep your\nnode running.\n"+
		"They run: pttnode join LINK      Withdraw it: pttnode invite revoke %s      Next: pttnode requests list\n", v.ID)
}

func (a *app) sayInvites(invites []node.InviteView) {
	if len(invites) == 0 {
		a.talk("No invites. Make one: pttnode invite friend\n")
		return
	}
	t := table{header: []string{"ID", "FOR", "USED", "STATE", "EXPIRES", "NOTE"}}
	for _, v := range invites {
		t.add(v.ID, inviteFor(v), fmt.Sprintf("%d/%d", v.Used, v.Uses), inviteState(v), clock(v.ExpiresAt), v.Note)
	}
	a.table(&t)
}

func (a *app) sayInvite(v node.InviteView) {
	a.say("invite   %s\nfor      %s\nused     %d of %d\nstate    %s\nexpires  %s\n",
		v.ID, inviteFor(v), v.Used, v.Uses, inviteState(v), clock(v.ExpiresAt))
	if v.Note != "" {
		a.say("note     %s\n", v.Note)
	}
	if v.State == "open" {
		a.talk("Withdraw it: pttnode invite revoke %s\n", v.ID)
	}
}

// inviteFor says what an invite leads to.
func inviteFor(v node.InviteView) string {
	if v.Board != nil {
		return "board " + *v.Board
	}
	return v.Kind
}

// inviteState says an invite's state in words.
func inviteState(v node.InviteView) string {
	switch v.State {
	case "used_up":
		return "used up"
	case "revoked":
		return "withdrawn"
	}
	return v.State
}

// again is the command that makes such an invite.
func again(v node.InviteView) string {
	if v.Board != nil {
		return "pttnode invite board " + quoted(*v.Board)
	}
	return "pttnode invite " + v.Kind
}

func uses(n int) string {
	if n == 1 {
		return "1 use"
	}
	return fmt.Sprintf("%d uses", n)
}

// kindTitle begins a sentence with a kind.
func kindTitle(kind string) string {
	switch kind {
	case "friend":
		return "Friend"
	case "board":
		return "Board"
	case "device":
		return "Device"
	}
	return kind
}
