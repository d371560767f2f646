package main

import (
	"context"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/keys"
	"pttnode/node"
)

func (a *app) friendCommand() *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "your friends",
		Args:  cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *api.Client, _ []string) error {
			friends, err := c.Friends(ctx)
			if err != nil {
				return err
			}
			return a.result(friends, func() { a.sayFriends(friends) })
		}),
	}
	show := &cobra.Command{
		Use:   "show FRIEND",
		Short: "one friend",
		Args:  cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			f, err := c.Friend(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(f, func() { a.sayFriend(f) })
		}),
	}
	return group("friend", "the people you know", list, show, a.removeFriendCommand(), a.blockCommand(), a.unblockCommand())
}

func (a *app) sayFriends(friends []node.FriendView) {
	if len(friends) == 0 {
		a.talk("No friends yet. Invite one: pttnode invite friend\n")
		return
	}
	t := table{header: []string{"FRIEND", "FINGERPRINT", "STATE", "ONLINE"}}
	for _, f := range friends {
		t.add(f.Name, keys.Fingerprint(f.UserID), friendState(f), yesNo(f.Online))
	}
	a.table(&t)
}

func (a *app) sayFriend(f node.FriendView) {
	a.say("name         %s\n", f.Name)
	if f.Profile.Name != "" && f.Profile.Name != f.Name {
		a.say("calls itself %s\n", f.Profile.Name)
	}
	a.say("fingerprint  %s\nstate        %s\nonline       %s\ncompared     %s\n",
		keys.Fingerprint(f.UserID), friendState(f), yesNo(f.Online), yesNo(f.Verified))
	if f.Profile.Card != "" {
		a.say("card         %s\n", f.Profile.Card)
	}
	a.say("id           %s\n", f.UserID)
}

// friendState says a friendship's state in words.
func friendState(f node.FriendView) string {
	if f.Blocked {
		return "blocked"
	}
	switch f.State {
	case "init":
		return "being made"
	case "alive":
		return "friends"
	case "ended":
		return "ended"
	}
	return f.State
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
