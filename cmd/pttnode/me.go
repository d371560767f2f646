package main

import (
	"context"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

func (a *app) meCommand() *cobra.Command {
	var card string
	show := &cobra.Command{
		Use:   "show",
		Short: "who you are",
		Args:  cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *api.Client, _ []string) error {
			m, err := c.Me(ctx)
			if err != nil {
				return err
			}
			return a.result(m, func() { a.sayMe(m) })
		}),
	}
	rename := &cobra.Command{
		Use:   "rename NAME",
		Short: "change your name, as friends see it",
		Args:  cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			old, err := c.Me(ctx)
			if err != nil {
				return err
			}
			m, err := c.ChangeMe(ctx, api.MeChange{Name: &args[0]})
			if err != nil {
				return err
			}
			return a.result(m, func() {
				a.say("Your name is %s now.\n", quoted(m.User.Name))
				a.talk("Undo: pttnode me rename %s      Next: pttnode me show\n", quoted(old.User.Name))
			})
		}),
	}
	cardCmd := &cobra.Command{
		Use:   "card",
		Short: "what you say of yourself to friends",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(func(ctx context.Context, c *api.Client, _ []string) error {
				return a.card(ctx, c, card, cmd.Flags().Changed("set"))
			})(cmd, args)
		},
	}
	cardCmd.Flags().StringVar(&card, "set", "", "the new `TEXT`")
	fingerprint := &cobra.Command{
		Use:   "fingerprint",
		Short: "what others compare to be sure that you are you",
		Args:  cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *api.Client, _ []string) error {
			m, err := c.Me(ctx)
			if err != nil {
				return err
			}
			return a.result(m.User, func() { a.say("%s\n", m.User.Fingerprint) })
		}),
	}
	return group("me", "who you are, to yourself and to friends", show, rename, cardCmd, fingerprint)
}

// card shows the card, or sets it.
func (a *app) card(ctx context.Context, c *api.Client, text string, set bool) error {
	old, err := c.Me(ctx)
	if err != nil {
		return err
	}
	if !set {
		return a.result(old, func() {
			a.say("%s", paragraphs(old.Card))
			if old.Card == "" {
				a.talk("Your card is empty. Write it: pttnode me card --set TEXT\n")
			}
		})
	}
	m, err := c.ChangeMe(ctx, api.MeChange{Card: &text})
	if err != nil {
		return err
	}
	return a.result(m, func() {
		a.say("Your card has changed.\n")
		a.talk("Undo: pttnode me card --set %s      Next: pttnode me show\n", quoted(old.Card))
	})
}

func (a *app) sayMe(m node.MeView) {
	a.say("name         %s\nfingerprint  %s\ndevice       %s\n", m.User.Name, m.User.Fingerprint, m.Device.Name)
	if m.Card != "" {
		a.say("card         %s\n", m.Card)
	}
	a.say("id           %s\n", m.User.ID)
}
