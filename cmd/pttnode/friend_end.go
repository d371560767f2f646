package main

import (
	"context"

	"github.com/spf13/cobra"

	"pttnode/api"
)

func (a *app) removeFriendCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove FRIEND",
		Short: "end a friendship",
		Long: `Ends a friendship. What you write of yourself and on your personal board is
sealed with a new key from now on, and you leave theirs. Boards that you share
stay as they are.`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			ok, err := a.confirm(yes, "End the friendship with %s?", quoted(args[0]))
			if err != nil {
				return err
			}
			if !ok {
				return api.NewProblem("declined")
			}
			f, err := c.RemoveFriend(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(f, func() {
				a.say("%s is no friend of yours any more.\n", field(f.Name))
				a.talk("To be friends again, one of you invites the other: pttnode invite friend\n")
			})
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "answer the question beforehand")
	return cmd
}

func (a *app) blockCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "block USER",
		Example: `  pttnode friend block bob
  pttnode board members reading --json   # the ids of who is no friend`,
		Short: "end a friendship, and refuse what they ask for",
		Long: `Ends the friendship, if there is one, and answers every request of theirs with
no from now on, on all your devices. Boards that you share stay as they are.`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			ok, err := a.confirm(yes, "Block %s?", quoted(args[0]))
			if err != nil {
				return err
			}
			if !ok {
				return api.NewProblem("declined")
			}
			b, err := c.Block(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(b, func() {
				a.say("What %s asks for is refused from now on.\n", field(b.Name))
				a.talk("Undo: pttnode friend unblock %s\n", b.UserID)
			})
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "answer the question beforehand")
	return cmd
}

func (a *app) unblockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unblock USER",
		Short: "let somebody ask again",
		Args:  cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			b, err := c.Unblock(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(b, func() { a.say("%s may ask again.\n", field(b.Name)) })
		}),
	}
}
