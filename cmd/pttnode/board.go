package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

func (a *app) boardCommand() *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "your boards",
		Args:  cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *api.Client, _ []string) error {
			boards, err := c.Boards(ctx)
			if err != nil {
				return err
			}
			return a.result(boards, func() { a.sayBoards(boards) })
		}),
	}
	show := &cobra.Command{
		Use:   "show BOARD",
		Short: "one board",
		Args:  cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			b, err := c.Board(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(b, func() { a.sayBoard(b) })
		}),
	}
	var at string
	members := &cobra.Command{
		Use:     "members BOARD",
		Short:   "who is on a board",
		Example: "  pttnode board members reading --at 2026-01-31T18:00:00Z",
		Args:    cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			get := c.Members
			if at != "" {
				get = func(ctx context.Context, board string) ([]node.MemberView, error) {
					return c.MembersAt(ctx, board, moment(at))
				}
			}
			all, err := get(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(all, func() { a.sayMembers(all) })
		}),
	}
	members.Flags().StringVar(&at, "at", "", "look back: a `TIME` as 2026-01-31T18:00:00Z or \"2026-01-31 18:00\", or the id of an entry of the board's log")
	role := &cobra.Command{
		Use:   "role BOARD USER owner|member|reader",
		Short: "say what a member may do",
		Long: `Makes a member of a board an owner, who lets people in and decides as you do, a
member, who reads and writes, or a reader. Who founded the board stays an owner.`,
		Example: "  pttnode board role reading bob owner",
		Args:    cobra.ExactArgs(3),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			before, err := c.Members(ctx, args[0])
			if err != nil {
				return err
			}
			m, err := c.SetRole(ctx, args[0], args[1], args[2])
			if err != nil {
				return err
			}
			return a.result(m, func() {
				a.say("%s is %s of %s now.\n", field(m.Name), withArticle(m.Role), quoted(args[0]))
				for _, b := range before {
					if b.UserID == m.UserID && b.Role != m.Role {
						a.talk("Undo: pttnode board role %s %s %s\n", quoted(args[0]), quoted(args[1]), b.Role)
					}
				}
			})
		}),
	}
	return group("board", "places to write together", list, a.createBoardCommand(), show, a.setBoardCommand(),
		members, role, a.removeMemberCommand(), a.transferCommand(), a.rotateCommand(), a.leaveCommand(), a.deleteBoardCommand())
}

func (a *app) createBoardCommand() *cobra.Command {
	var in api.NewBoard
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "make a board",
		Example: "  pttnode board create reading --title 讀書會",
		Args:    cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			in.Name = args[0]
			history, err := historyFlag(in.History)
			if err != nil {
				return err
			}
			in.History = history
			b, err := c.CreateBoard(ctx, in)
			if err != nil {
				return err
			}
			return a.result(b, func() {
				a.say("Board %s is there, and you are its owner.\n", boardTitle(b))
				a.talk("Next: pttnode invite board %s · pttnode article new %s --title TITLE -F FILE\n", quoted(b.Name), quoted(b.Name))
			})
		}),
	}
	cmd.Flags().StringVar(&in.Title, "title", "", "a `TEXT` shown beside the name")
	cmd.Flags().StringVar(&in.Policy, "policy", "", "`WHO` may ask to join with a link: friends of yours, or link for whoever has one (default friends)")
	cmd.Flags().StringVar(&in.History, "history", "", "`WHAT` a newcomer may read of the past: all, from-join, or a time as 30d (default all)")
	return cmd
}

func (a *app) leaveCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "leave BOARD",
		Short: "end your membership",
		Args:  cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			b, err := c.Board(ctx, args[0])
			if err != nil {
				return err
			}
			ok, err := a.confirm(yes, "Leave %s? You come back only with a new link.", boardTitle(b))
			if err != nil {
				return err
			}
			if !ok {
				return api.NewProblem("declined")
			}
			left, err := c.LeaveBoard(ctx, b.ID.String())
			if err != nil {
				return err
			}
			return a.result(left, func() {
				a.say("You have left %s.\n", boardTitle(b))
				a.talk("To come back, ask %s for a new link.\n", quoted(b.Owner))
			})
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "answer the question beforehand")
	return cmd
}

// boardTitle is a board's name with its title.
func boardTitle(b node.BoardView) string {
	if b.Title == "" {
		return quoted(b.Name)
	}
	return quoted(b.Name) + " (" + field(b.Title) + ")"
}

func (a *app) sayBoards(boards []node.BoardView) {
	if len(boards) == 0 {
		a.talk("No boards yet. Make one: pttnode board create NAME\n")
		return
	}
	t := table{header: []string{"BOARD", "TITLE", "YOU ARE", "OWNER", "MEMBERS", "UNREAD", "HERE"}}
	for _, b := range boards {
		role := b.Role
		if b.Ended {
			role += ", ended"
		}
		t.add(b.Name, b.Title, role, b.Owner, fmt.Sprint(b.Members), fmt.Sprint(b.Unread), here(b.Have, b.Total))
	}
	a.table(&t)
}

func (a *app) sayBoard(b node.BoardView) {
	a.say("board    %s\n", b.Name)
	if b.Title != "" {
		a.say("title    %s\n", b.Title)
	}
	a.say("you are  %s\nowner    %s\nmembers  %d\nunread   %d\nhere     %s\n", b.Role, b.Owner, b.Members, b.Unread, here(b.Have, b.Total))
	if b.Of > 0 {
		a.say("copies   %s\n", block(copies(b, "\n         ")))
	}
	if b.Policy == "link" {
		a.say("joining  whoever has a link may ask\n")
	} else {
		a.say("joining  friends of the owner may ask\n")
	}
	a.say("history  %s\n", historyWords(b.History))
	if b.Ended {
		a.say("ended    an owner deleted it; to take it off the list: pttnode board leave\n")
	}
	a.say("id       %s\n", b.ID)
	if b.Description != "" {
		a.say("\n%s", paragraphs(b.Description))
	}
}

// withArticle puts an article before a role.
func withArticle(role string) string {
	if role == "owner" {
		return "an owner"
	}
	return "a " + role
}

// here says how much of a board is on this device.
func here(have, total int) string {
	if have >= total {
		return "all"
	}
	return fmt.Sprintf("%d of %d", have, total)
}

// copies says how many other devices have all that is here, and which do not, with
// below between them.
func copies(b node.BoardView, below string) string {
	text := []string{fmt.Sprintf("confirmed by %d of %d other devices", b.Confirmed, b.Of)}
	for _, d := range b.Behind {
		who, since := field(d.Name), "this node started"
		if d.Device != "" {
			who += "'s " + field(d.Device)
		}
		if d.Since != nil {
			since = clock(*d.Since)
		}
		text = append(text, who+" not since "+since)
	}
	if more := b.Of - b.Confirmed - len(b.Behind); more > 0 {
		text = append(text, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(text, below)
}

func (a *app) sayMembers(all []node.MemberView) {
	t := table{header: []string{"NAME", "IS", "SINCE", "STATE"}}
	for _, m := range all {
		t.add(m.Name, m.Role, clock(m.Since), m.State)
	}
	a.table(&t)
}
