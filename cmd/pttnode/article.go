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
	return group("article", "read and write", list, show, a.newArticleCommand())
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
				a.talk("Members get it as they come online; it cannot be taken back. Next: pttnode article show %s %d\n", quoted(args[0]), v.No)
			})
		})(cmd, args)
	}
	f := cmd.Flags()
	f.StringVar(&in.Title, "title", "", "the article's `TITLE`")
	f.StringVar(&in.Class, "class", "", "a `CLASS` shown before the title, as 心得")
	f.StringVarP(&file, "file", "F", "", "the text: a `FILE`, or - for stdin")
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
	t := table{header: []string{"NO", "DATE", "AUTHOR", "TITLE"}}
	for _, v := range all {
		title := articleTitle(v)
		if v.State != "ok" {
			title = "(cannot be read here)"
		}
		t.add(fmt.Sprint(v.No), v.At.Local().Format("01/02"), v.Author, title)
	}
	a.table(&t)
}

func (a *app) sayArticle(v node.ArticleView) {
	a.say("%s\n%s, %s\n\n", articleTitle(v), v.Author, clock(v.At))
	if v.State != "ok" {
		a.talk("This article cannot be read here: it is from before you may read, or its key is still missing.\n")
		return
	}
	if v.Body != nil {
		a.say("%s", paragraphs(*v.Body))
	}
	for _, c := range v.Thread {
		a.say("%s %s: %s\n", c.Type, c.Author, c.Text)
	}
}
