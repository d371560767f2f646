package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

func (a *app) removeMemberCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove-member BOARD USER",
		Short: "end somebody's membership, and change the key",
		Long: `Removes a member from a board. What is written from now on is sealed with a new
key, which he does not get; what he has read he keeps.`,
		Example: "  pttnode board remove-member reading bob",
		Args:    cobra.ExactArgs(2),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			ok, err := a.confirm(yes, "Remove %s from %s? Nothing new there is for them to read.", quoted(args[1]), quoted(args[0]))
			if err != nil {
				return err
			}
			if !ok {
				return api.NewProblem("declined")
			}
			m, err := c.RemoveMember(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			return a.result(m, func() {
				a.say("%s is no member of %s any more, and its key is a new one.\n", field(m.Name), quoted(args[0]))
				a.talk("Undo: with a new link: pttnode invite board %s --for %s\n", quoted(args[0]), m.UserID)
			})
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "answer the question beforehand")
	return cmd
}

func (a *app) setBoardCommand() *cobra.Command {
	var title, description, policy, history string
	cmd := &cobra.Command{
		Use:     "set BOARD",
		Short:   "change what a board says of itself, and who may join it",
		Example: "  pttnode board set reading --title 讀書會 --history 30d",
		Args:    cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&title, "title", "", "a `TEXT` shown beside the name")
	f.StringVar(&description, "description", "", "a longer `TEXT`")
	f.StringVar(&policy, "policy", "", "`WHO` may ask to join with a link: friends, or link for whoever has one")
	f.StringVar(&history, "history", "", "`WHAT` a newcomer may read of the past: all, from-join, or a time as 30d")
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, args []string) error {
		var change node.BoardChange
		for name, to := range map[string]**string{
			"title": &change.Title, "description": &change.Description, "policy": &change.Policy, "history": &change.History,
		} {
			if f.Changed(name) {
				*to = new(f.Lookup(name).Value.String())
			}
		}
		if change.History != nil {
			h, err := historyFlag(*change.History)
			if err != nil {
				return err
			}
			change.History = &h
		}
		b, err := c.SetBoard(ctx, args[0], change)
		if err != nil {
			return err
		}
		return a.result(b, func() { a.sayBoard(b) })
	})
	return cmd
}

func (a *app) transferCommand() *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use:   "transfer BOARD USER",
		Short: "hand a board on to a member",
		Long: `Makes a member the owner of a board in your place, and its founder if that is
you. You stay a member. Only the new owner can give it back.`,
		Args: cobra.ExactArgs(2),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			err := a.confirmName(confirm, args[0], "Hand %s on to %s? Only they can give it back.", quoted(args[0]), quoted(args[1]))
			if err != nil {
				return err
			}
			b, err := c.TransferBoard(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			return a.result(b, func() {
				a.say("%s is %s's now, and you are a member.\n", boardTitle(b), quoted(args[1]))
			})
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the board's `NAME` once more, to answer beforehand")
	return cmd
}

func (a *app) rotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate BOARD",
		Short: "change a board's key",
		Long: `Begins a new key, with which everything is sealed from now on. It is changed by
itself when a member goes, and once a week where something is written.`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			b, err := c.RotateBoard(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(b, func() { a.say("%s has a new key.\n", boardTitle(b)) })
		}),
	}
}

func (a *app) deleteBoardCommand() *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use:   "delete BOARD",
		Short: "end a board for everybody",
		Long: `Ends a board: nobody writes in it any more, and it goes from your list. What
others have of it they keep.`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			b, err := c.Board(ctx, args[0])
			if err != nil {
				return err
			}
			if err := a.confirmName(confirm, b.Name, "Delete %s for everybody? This cannot be undone.", boardTitle(b)); err != nil {
				return err
			}
			gone, err := c.DeleteBoard(ctx, b.ID.String())
			if err != nil {
				return err
			}
			return a.result(gone, func() { a.say("%s has ended.\n", boardTitle(b)) })
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the board's `NAME` once more, to answer beforehand")
	return cmd
}

// historyFlag turns what a person says of a newcomer's history into what the node
// takes: a time as 30d becomes last:SECONDS.
func historyFlag(s string) (string, error) {
	if s == "" || s == "all" || s == "from-join" {
		return s, nil
	}
	var d duration
	if err := d.Set(strings.TrimPrefix(s, "last ")); err != nil || time.Duration(d) < time.Second {
		return "", api.NewProblem("usage", "what", "--history is all, from-join, or a time as 30d")
	}
	return fmt.Sprintf("last:%d", int64(time.Duration(d).Seconds())), nil
}

// historyWords says what a newcomer may read of the past.
func historyWords(s string) string {
	switch s {
	case "all":
		return "newcomers read everything"
	case "from-join":
		return "newcomers read what is written after they join"
	}
	var seconds int64
	if _, err := fmt.Sscanf(s, "last:%d", &seconds); err != nil {
		return s
	}
	return "newcomers read the last " + span(time.Duration(seconds)*time.Second)
}
