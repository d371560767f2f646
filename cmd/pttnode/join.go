package main

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/entity"
	"pttnode/invite"
	"pttnode/node"
)

// maxLinkText bounds a file with a link.
const maxLinkText = 4096

// joining is how join was called.
type joining struct {
	file   string
	note   string
	wait   duration
	noWait bool
	yes    bool
}

func (a *app) joinCommand() *cobra.Command {
	j := joining{wait: duration(time.Minute)}
	cmd := &cobra.Command{
		Use:   "join [LINK|-]",
		Short: "open a link to a friend or a board",
		Example: `  pttnode join pttnode:friend/abc…
  pttnode join --file link.txt --note "hi, Bob here" -y`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if j.noWait && cmd.Flags().Changed("wait") {
			return usagef(cmd, "either --wait or --no-wait, not both")
		}
		text, err := a.linkText(cmd, j.file, args)
		if err != nil {
			return err
		}
		if err := checkLink(text); err != nil {
			return err
		}
		if !j.yes && !a.asks() {
			return api.NewProblem("confirm_required", "answer", "-y")
		}
		return a.with(func(ctx context.Context, c *api.Client, _ []string) error { return a.join(ctx, c, text, j) })(cmd, nil)
	}
	f := cmd.Flags()
	f.StringVar(&j.file, "file", "", "read the link from `FILE`, or - for stdin")
	f.StringVar(&j.note, "note", "", "a `TEXT` for the person who decides")
	f.Var(&j.wait, "wait", "how long to wait for the answer")
	f.BoolVar(&j.noWait, "no-wait", false, "do not wait; the node goes on by itself")
	f.BoolVarP(&j.yes, "yes", "y", false, "answer the question beforehand")
	return cmd
}

// linkText returns the link from the argument, the file, stdin or a prompt.
func (a *app) linkText(cmd *cobra.Command, file string, args []string) (string, error) {
	switch {
	case file != "" && len(args) > 0:
		return "", usagef(cmd, "either a LINK or --file, not both")
	case len(args) > 0 && args[0] != "-":
		return args[0], nil
	case file != "" || len(args) > 0:
		if file == "" {
			file = "-"
		}
		b, err := a.readAll(file, maxLinkText)
		return string(b), err
	case a.asks():
		return a.prompt("Paste the link", "")
	}
	return "", usagef(cmd, "a link is needed: as an argument, in --file FILE, or - for stdin")
}

// checkLink reads a link without a node: a typing mistake needs none.
func checkLink(text string) error {
	l, err := invite.Parse(text)
	if err == nil && l.Kind == entity.Me || err != nil && isDeviceLink(text) {
		return api.NewProblem("device_link_here")
	}
	for _, c := range []struct {
		err  error
		code string
	}{
		{invite.ErrNotLink, "link_not_pttnode"},
		{invite.ErrIncomplete, "link_incomplete"},
		{invite.ErrNewer, "link_newer"},
		{invite.ErrKind, "link_kind"},
		{invite.ErrSeveral, "link_several"},
	} {
		if errors.Is(err, c.err) {
			return api.NewProblem(c.code)
		}
	}
	return err
}

// isDeviceLink recognises a device link that is cut or mistyped: what there is of it
// is in the shell's history all the same.
func isDeviceLink(text string) bool {
	s := strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text))
	_, after, ok := strings.Cut(s, "pttnode:")
	return ok && strings.HasPrefix(strings.TrimLeft(after, "/"), "d")
}

// join asks, opens the link and waits for the answer.
func (a *app) join(ctx context.Context, c *api.Client, text string, j joining) error {
	if !j.yes {
		link, err := c.Inspect(ctx, text)
		if err != nil {
			return err
		}
		a.sayLink(link)
		question := "Ask to be friends?"
		if link.Kind == "board" {
			question = "Ask to join?"
		}
		if yes, err := a.confirm(false, question); err != nil || !yes {
			if err == nil {
				err = api.NewProblem("declined")
			}
			return err
		}
	}
	r, err := c.Join(ctx, text, j.note)
	if err != nil {
		return err
	}
	if over, _ := ended(r); !over && !j.noWait {
		r, err = a.followRequest(ctx, c, r, time.Duration(j.wait))
		if err != nil {
			a.talk("Request %s goes on: pttnode requests show %s\n", r.ID, r.ID)
			return err
		}
	}
	return a.outcome(r)
}

// sayLink says what a link claims, before the question.
func (a *app) sayLink(l node.LinkView) {
	left := time.Until(l.ExpiresAt)
	if left <= 0 {
		a.talk(`%s invite "%s" (a claim until checked); by this clock it has expired.`+"\n", strings.ToUpper(l.Kind), l.Name)
		return
	}
	a.talk(`%s invite "%s" (a claim until checked), %s left.`+"\n", strings.ToUpper(l.Kind), l.Name, span(left))
	if l.Kind == "friend" {
		a.talk("If you become friends, you see each other's name, card, personal board and\nonline state.\n")
	} else {
		a.talk("If you are let in, all members see your name and what you write there.\n")
	}
}

// followRequest tells on stderr how a request goes until it is over or wait has
// passed; it returns the request as it is then.
func (a *app) followRequest(ctx context.Context, c *api.Client, r node.RequestView, wait time.Duration) (node.RequestView, error) {
	last, told := "", false
	id := r.ID
	err := follow(ctx, c, wait, func(ctx context.Context) (bool, error) {
		now, err := c.Request(ctx, id)
		if err != nil {
			return false, err
		}
		r = now
		over, _ := ended(r)
		if key := r.State + r.Reason + shape(r.NextTryAt); key != last && !over {
			last = key
			a.progress("%s\n", sentence(r, time.Now()))
			if r.State == "waiting_approval" && r.Code != "" && !told {
				told = true
				a.progress("code: %s, which must be the same on the other side; compare it if you can\n", spaced(r.Code))
			}
		}
		return over, nil
	})
	if errors.Is(err, errTimeUp) {
		err = nil
	}
	return r, err
}

// progress prints a line of progress, which --json leaves out.
func (a *app) progress(format string, args ...any) {
	if !a.json {
		a.talk("  "+format, args...)
	}
}

// outcome ends a command that waited for a request: its result, its error, or
// errPending with the request on stdout.
func (a *app) outcome(r node.RequestView) error {
	over, err := ended(r)
	p, _ := errors.AsType[*api.Problem](err)
	result := map[string]node.RequestView{"request": r}
	switch {
	case !over:
		if err := a.result(result, func() { a.say("request %s: %s\n", r.ID, sentence(r, time.Now())) }); err != nil {
			return err
		}
		if !a.json {
			a.talk("pttnode: hint: %s: pttnode requests show %s · cancel it: pttnode requests cancel %s\n",
				api.NewProblem("still_pending").Hint, r.ID, r.ID)
		}
		return errPending
	case p != nil && p.Exit != api.ExitOK:
		return p
	case p != nil:
		return a.result(result, func() {
			a.say("request %s: %s\n", r.ID, p.Title)
			a.talk("pttnode: hint: %s\n", p.Hint)
		})
	}
	return a.result(result, func() { a.sayGranted(r) })
}

// sayGranted says what a granted request has led to.
func (a *app) sayGranted(r node.RequestView) {
	switch {
	case r.Board != nil:
		a.say("You are a member of %s now.\n", quoted(*r.Board))
		a.talk("Undo: pttnode board leave %s      Next: pttnode article list %s\n", quoted(*r.Board), quoted(*r.Board))
	default:
		a.say("You and %s are friends now.\n", otherSide(r))
		a.talk("Compare your fingerprints once, by voice: pttnode friend show %s\n", otherSide(r))
	}
}
