package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

func (a *app) whyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "why BOARD MEMBER",
		Short: "what makes somebody a member of a board, or ended it",
		Long: `Shows the signed entries of a board's log by which somebody is a member with
their role, or is not any more, from its making to now.`,
		Example: "  pttnode why reading bob",
		Args:    cobra.ExactArgs(2),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			w, err := c.Why(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			return a.result(w, func() { a.sayWhy(w) })
		}),
	}
}

func (a *app) sayWhy(w node.WhyView) {
	switch {
	case w.Valid:
		a.say("%s is a member here, as %s:\n\n", quoted(w.Name), w.Role)
	case w.State == "left":
		a.say("%s was a member here, as %s, and has left:\n\n", quoted(w.Name), w.Role)
	case w.State == "removed":
		a.say("%s was a member here, as %s, and was removed:\n\n", quoted(w.Name), w.Role)
	case w.State == "void":
		a.say("%s is no member here: what let them in does not count:\n\n", quoted(w.Name))
	default:
		a.say("%s was a member here, as %s, and is not any more:\n\n", quoted(w.Name), w.Role)
	}
	t := table{header: []string{"AT", "WHO", "DID", "ENTRY", "COUNTS", "FINAL"}}
	for _, o := range w.Chain {
		t.add(clock(o.At), o.ByName, whyWords(o), o.Op.String()[:10], yesNo(o.OK), finalWords(o))
	}
	a.table(&t)
}

// finalWords says in a word whether what an operation does can still change.
func finalWords(o node.WhyOp) string {
	if o.Final {
		return "yes"
	}
	return "not yet"
}

// whyWords says what an operation did, of its author.
func whyWords(o node.WhyOp) string {
	switch o.Type {
	case "genesis":
		return "made the board"
	case "admit":
		s := "let in " + o.MemberName
		if strings.HasPrefix(o.Invite, "i-") { // the ref of another's tells nobody anything
			s += " through " + o.Invite
		}
		return s
	case "add":
		return "made " + o.MemberName + " an owner"
	case "devices":
		return "told of other devices"
	case "leave":
		return "left"
	case "remove":
		return "removed " + o.MemberName
	case "demote":
		return "made " + o.MemberName + " a member"
	case "role":
		return "made " + o.MemberName + " " + withArticle(o.Role)
	case "transfer":
		return "handed the board on to " + o.MemberName
	case "accept":
		return "agreed"
	}
	return o.Type
}
