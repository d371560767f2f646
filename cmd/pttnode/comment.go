package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

func (a *app) commentCommand() *cobra.Command {
	list := &cobra.Command{
		Use:   "list BOARD ARTICLE",
		Short: "what people say of an article",
		Args:  cobra.ExactArgs(2),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			all, err := c.Comments(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			return a.result(all, func() {
				if len(all) == 0 {
					a.talk("Nobody said anything yet. Begin: pttnode comment add %s %s TEXT --push\n", quoted(args[0]), quoted(args[1]))
				}
				a.sayComments(all)
			})
		}),
	}
	remove := &cobra.Command{
		Use:   "delete BOARD ARTICLE COMMENT",
		Short: "take a comment back, by its number or id",
		Args:  cobra.ExactArgs(3),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			v, err := c.DeleteComment(ctx, args[0], args[1], args[2])
			if err != nil {
				return err
			}
			return a.result(v, func() { a.say("Comment %d is deleted.\n", v.No) })
		}),
	}
	return group("comment", "push, boo and answer", a.addCommentCommand(), list, remove)
}

func (a *app) addCommentCommand() *cobra.Command {
	var push, boo, arrow bool
	cmd := &cobra.Command{
		Use:   "add BOARD ARTICLE TEXT",
		Short: "comment on an article",
		Long: `Writes a comment below an article: a push (推), a boo (噓) or, unless told
otherwise, an arrow (→), which only says something. Of your pushes and boos on
one article the last one counts.`,
		Example: `  pttnode comment add reading 3 "寫得真好" --push`,
		Args:    cobra.ExactArgs(3),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in := api.NewComment{Type: "arrow", Text: args[2]}
		switch {
		case push && boo, (push || boo) && arrow:
			return usagef(cmd, "a comment is one of --push, --boo and --arrow")
		case push:
			in.Type = "push"
		case boo:
			in.Type = "boo"
		}
		return a.with(func(ctx context.Context, c *api.Client, args []string) error {
			v, err := c.AddComment(ctx, args[0], args[1], in)
			if err != nil {
				return err
			}
			return a.result(v, func() {
				a.sayComments([]node.CommentView{v})
				a.talk("Undo: pttnode comment delete %s %s %d\n", quoted(args[0]), quoted(args[1]), v.No)
			})
		})(cmd, args)
	}
	f := cmd.Flags()
	f.BoolVar(&push, "push", false, "推: you like it")
	f.BoolVar(&boo, "boo", false, "噓: you do not")
	f.BoolVar(&arrow, "arrow", false, "→: neither")
	return cmd
}

// marks are how boards show what a comment says of its article.
var marks = map[string]string{"push": "推", "boo": "噓", "arrow": "→"}

// sayComments prints comments below each other: number, mark, who, when, and what,
// which is never cut; its further lines stand below the first.
func (a *app) sayComments(all []node.CommentView) {
	no, author := 0, 0
	for _, c := range all {
		no, author = max(no, len(fmt.Sprint(c.No))), max(author, cells.StringWidth(field(c.Author)))
	}
	for _, c := range all {
		text := strings.TrimSuffix(string(paragraphs(c.Text)), "\n")
		switch {
		case c.State == "deleted":
			text = "(deleted by " + field(c.DeletedBy) + ")"
		case c.Lack == "not_here":
			text = "(text not here yet)"
		case c.State == "unreadable":
			text = "(cannot be read here)"
		}
		left := fmt.Sprintf("%*d  %s  %s  %s  ", no, c.No, cells.FillRight(marks[c.Type], 2), cells.FillRight(field(c.Author), author),
			c.At.Local().Format("01/02 15:04"))
		below := "\n" + strings.Repeat(" ", cells.StringWidth(left))
		a.say("%s\n", block(strings.TrimRight(left+strings.ReplaceAll(text, "\n", below), " ")))
	}
}
