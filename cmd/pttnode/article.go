package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

// maxArticle bounds a file that is read as an article; the node has the rule, and
// names it.
const maxArticle = 512 << 10

func (a *app) articleCommand() *cobra.Command {
	list := &cobra.Command{
		Use:   "list BOARD",
		Short: "the articles of a board",
		Args:  cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			all, err := c.Articles(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(all, func() { a.sayArticles(args[0], all) })
		}),
	}
	show := &cobra.Command{
		Use:   "show BOARD ARTICLE",
		Short: "read an article, by its number or id",
		Args:  cobra.ExactArgs(2),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			v, err := c.Article(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			return a.result(v, func() { a.sayArticle(v) })
		}),
	}
	return group("article", "read and write", list, show, a.newArticleCommand(), a.editArticleCommand(), a.deleteArticleCommand())
}

func (a *app) newArticleCommand() *cobra.Command {
	var in api.NewArticle
	var file string
	cmd := &cobra.Command{
		Use:   "new BOARD",
		Short: "write an article",
		Example: `  pttnode article new reading --title "三體 第一章" --class 心得 -F notes.md
  echo hello | pttnode article new reading --title hello -F -`,
		Args: cobra.ExactArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if in.Title == "" || file == "" {
			return usagef(cmd, "a title and a text are needed: --title TITLE, and -F FILE or -F - for stdin")
		}
		body, err := a.readAll(file, maxArticle)
		if err != nil {
			return err
		}
		in.Body = string(body)
		return a.with(func(ctx context.Context, c *api.Client, args []string) error {
			v, err := c.CreateArticle(ctx, args[0], in)
			if err != nil {
				return err
			}
			return a.result(v, func() {
				a.say("Article %d, %s, is on %s.\n", v.No, articleTitle(v), quoted(args[0]))
				a.talk("Members get it as they come online.      Next: pttnode article show %s %d\n", quoted(args[0]), v.No)
				a.talk("Undo: pttnode article delete %s %d\n", quoted(args[0]), v.No)
			})
		})(cmd, args)
	}
	f := cmd.Flags()
	f.StringVar(&in.Title, "title", "", "the article's `TITLE`")
	f.StringVar(&in.Class, "class", "", "a `CLASS` shown before the title, as 心得")
	f.StringVarP(&file, "file", "F", "", "the text: a `FILE`, or - for stdin")
	return cmd
}

func (a *app) editArticleCommand() *cobra.Command {
	var title, class, file string
	cmd := &cobra.Command{
		Use:   "edit BOARD ARTICLE",
		Short: "change an article of yours",
		Long: `Replaces what an article of yours says; what is not named stays. If you changed
it on two of your devices that did not see each other, one version is shown and
the other stays readable below it, until you edit the article again.`,
		Example: `  pttnode article edit reading 3 --title "三體 第二章"
  pttnode article edit reading 3 -F notes.md`,
		Args: cobra.ExactArgs(2),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var change api.ArticleChange
		if cmd.Flags().Changed("title") {
			change.Title = &title
		}
		if cmd.Flags().Changed("class") {
			change.Class = &class
		}
		if file != "" {
			body, err := a.readAll(file, maxArticle)
			if err != nil {
				return err
			}
			change.Body = new(string(body))
		}
		if change == (api.ArticleChange{}) {
			return usagef(cmd, "say what to change: --title TITLE, --class CLASS, -F FILE or -F - for stdin")
		}
		return a.with(func(ctx context.Context, c *api.Client, args []string) error {
			v, err := c.EditArticle(ctx, args[0], args[1], change)
			if err != nil {
				return err
			}
			return a.result(v, func() {
				a.say("Article %d on %s is %s now.\n", v.No, quoted(args[0]), articleTitle(v))
				a.talk("Members who have it may have kept what it said before.      Next: pttnode article show %s %d\n", quoted(args[0]), v.No)
			})
		})(cmd, args)
	}
	f := cmd.Flags()
	f.StringVar(&title, "title", "", "another `TITLE`")
	f.StringVar(&class, "class", "", "another `CLASS`; empty for none")
	f.StringVarP(&file, "file", "F", "", "another text: a `FILE`, or - for stdin")
	return cmd
}

func (a *app) deleteArticleCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete BOARD ARTICLE",
		Short: "take an article back, with its comments",
		Args:  cobra.ExactArgs(2),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			v, err := c.Article(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			if v.State != "deleted" {
				ok, err := a.confirm(yes, "Delete article %d, %s? It cannot be brought back.", v.No, articleTitle(v))
				if err != nil {
					return err
				}
				if !ok {
					return api.NewProblem("declined")
				}
			}
			if v, err = c.DeleteArticle(ctx, args[0], v.ID.String()); err != nil {
				return err
			}
			return a.result(v, func() {
				a.say("Article %d on %s is deleted.\n", v.No, quoted(args[0]))
				a.talk("It is shown to nobody any more. Whoever has it already may have kept it.\n")
			})
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "answer the question beforehand")
	return cmd
}

// articleTitle is an article's title with its class.
func articleTitle(v node.ArticleView) string {
	if v.Class == "" {
		return field(v.Title)
	}
	return "[" + field(v.Class) + "] " + field(v.Title)
}

func (a *app) sayArticles(board string, all []node.ArticleView) {
	if len(all) == 0 {
		a.talk("Nothing is written here yet. Begin: pttnode article new %s --title TITLE -F FILE\n", quoted(board))
		return
	}
	t := table{header: []string{"NO", "SCORE", "COMMENTS", "DATE", "AUTHOR", "TITLE"}}
	for _, v := range all {
		comments := ""
		if v.Comments > 0 {
			comments = fmt.Sprint(v.Comments)
		}
		t.add(fmt.Sprint(v.No), score(v.Score), comments, v.At.Local().Format("01/02"), v.Author, listTitle(v))
	}
	a.table(&t)
}

// listTitle is an article's title, or why there is none.
func listTitle(v node.ArticleView) string {
	switch v.State {
	case "unreadable":
		if v.Lack == "not_here" {
			return "(text not here yet)"
		}
		return "(cannot be read here)"
	case "deleted":
		return "(deleted by " + field(v.DeletedBy) + ")"
	}
	return articleTitle(v)
}

// lacks says why a text cannot be shown, and what becomes of it.
func lacks(why string) string {
	switch why {
	case "not_here":
		return "The text of this article has not come yet: the members who have it are asked\nas soon as they are connected.\n"
	case "no_key":
		return "This article cannot be read here: it is from before you may read, or its key\nis still missing.\n"
	case "malformed":
		return "This article cannot be read by anybody: its author sealed what is no article.\n"
	}
	return "The store on this disk did not give the text of this article: see the log.\n"
}

// score is a score as boards have always had it: 爆 from a hundred pushes, X1 for ten
// boos, XX from a hundred, and nothing where nobody said anything.
func score(n int) string {
	switch {
	case n >= 100:
		return "爆"
	case n <= -100:
		return "XX"
	case n <= -10:
		return fmt.Sprintf("X%d", -n/10)
	case n == 0:
		return ""
	}
	return fmt.Sprint(n)
}

func (a *app) sayArticle(v node.ArticleView) {
	a.say("%s\n%s, %s", listTitle(v), v.Author, clock(v.At))
	if v.EditedAt != nil {
		a.say(", edited %s", clock(*v.EditedAt))
	}
	a.say("\n\n")
	switch v.State {
	case "unreadable":
		a.talk("%s", lacks(v.Lack))
	case "deleted":
		return
	}
	if v.Body != nil {
		a.say("%s", paragraphs(*v.Body))
	}
	for _, o := range v.Variants {
		where := "another device"
		if o.Device.Name != "" {
			where = o.Device.Name
		}
		a.say("\nEdited at the same time on %s, %s; it also says:\n\n%s\n%s", where, clock(o.At),
			articleTitle(node.ArticleView{Class: o.Class, Title: o.Title}), paragraphs(o.Body))
	}
	if len(v.Thread) > 0 {
		a.say("\n")
		a.sayComments(v.Thread)
	}
}
