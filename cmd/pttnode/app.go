package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"pttnode/api"
	"pttnode/entity"
	"pttnode/invite"
	"pttnode/node"
)

// app is one run of the command.
type app struct {
	args           []string
	in             io.Reader
	out, err       io.Writer // as given; for JSON and for what is ours alone
	outTTY, errTTY bool
	inTTY          bool

	// Flags of all commands.
	homeDir string
	json    bool
	noInput bool
	verbose bool

	home    *node.Home // opened when first needed
	serving atomic.Bool
}

// newApp makes the app of a process.
func newApp(in, out, err *os.File, args []string) *app {
	return &app{
		args: args, in: in, out: out, err: err, json: wantsJSON(args),
		inTTY: term.IsTerminal(int(in.Fd())), outTTY: term.IsTerminal(int(out.Fd())), errTTY: term.IsTerminal(int(err.Fd())),
	}
}

// wantsJSON looks for --json before the flags are parsed, since an error in them
// has to be printed the same way.
func wantsJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

// deviceLinkIn finds a device link in an argument, where it must never be: other
// users of the computer see arguments, and the shell keeps them.
var deviceLinkIn = regexp.MustCompile("(?i)pttnode:/*d(evice)?/[a-z2-7]{4}")

// holdsDeviceLink reports whether arg is a device link in any form that is read as
// one, or has the beginning of one.
func holdsDeviceLink(arg string) bool {
	l, err := invite.Parse(arg)
	return err == nil && l.Kind == entity.Me || deviceLinkIn.MatchString(arg)
}

// run runs the command and returns its exit code.
func (a *app) run(ctx context.Context) int {
	if slices.ContainsFunc(a.args, holdsDeviceLink) {
		p := api.NewProblem("device_link_here") // before an error can repeat it
		a.report(p)
		return p.Exit
	}
	root := a.root()
	root.SetArgs(a.args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return api.ExitOK
	}
	if errors.Is(err, errPending) {
		return api.ExitPending // told already
	}
	if u, ok := errors.AsType[usageError](err); ok {
		err = u.problem()
	}
	p := a.failure(ctx, err)
	if p.Code == "usage" && p.Params["command"] == "" { // the node does not know the command
		p = api.NewProblem("usage", "what", p.Params["what"], "command", commandName(cmd))
	}
	a.report(p)
	return p.Exit
}

// errPending ends a command whose result is printed and not yet final.
var errPending = errors.New("still pending")

// report prints a problem as the last of stderr.
func (a *app) report(p *api.Problem) {
	if a.json {
		type body struct {
			Code   string            `json:"code"`
			Title  string            `json:"title"`
			Hint   string            `json:"hint"`
			Exit   int               `json:"exit"`
			Params map[string]string `json:"params,omitempty"`
		}
		a.line(a.err, map[string]body{"error": {p.Code, p.Title, p.Hint, p.Exit, p.Params}})
		return
	}
	a.talk("pttnode: error: %s\n", p.Title)
	if p.Hint != "" {
		a.talk("pttnode: hint: %s\n", p.Hint)
	}
	a.talk("pttnode: code: %s\n", p.Code)
}

// line prints v as JSON on one line.
func (a *app) line(w io.Writer, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic("pttnode: a result that has no JSON: " + err.Error()) // views and maps of them only
	}
	_, _ = w.Write(append(b, '\n'))
}

// say prints a result for people on stdout. Foreign text may stand in args only:
// strings there become one clean line each.
func (a *app) say(format string, args ...any) { _, _ = io.WriteString(a.out, clean(format, args)) }

// talk prints what is not the result, on stderr, with the same care. What does not fit
// on a line and says several things says each on a line of its own.
func (a *app) talk(format string, args ...any) {
	_, _ = io.WriteString(a.err, apart(clean(format, args)))
}

// result prints v as JSON, or calls human, which says it.
func (a *app) result(v any, human func()) error {
	if a.json {
		a.line(a.out, v)
		return nil
	}
	human()
	return nil
}

// openHome opens the home that flag, environment or XDG name.
func (a *app) openHome() (*node.Home, error) {
	if a.home != nil {
		return a.home, nil
	}
	dir := a.homeDir
	if dir == "" {
		dir = os.Getenv("PTTNODE_HOME")
	}
	h, err := node.OpenHome(dir)
	if err != nil {
		if _, coded := errors.AsType[*node.Error](err); coded {
			return nil, err
		}
		return nil, fmt.Errorf("open the home %s: %w", dir, err)
	}
	a.home = h
	return h, nil
}

// client returns the client of the home's node.
func (a *app) client() (*api.Client, error) {
	h, err := a.openHome()
	if err != nil {
		return nil, err
	}
	return api.NewClient(h.Paths().Socket), nil
}

// with makes a command's function of one that uses a client.
func (a *app) with(f func(ctx context.Context, c *api.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		defer c.Close()
		return f(cmd.Context(), c, args)
	}
}
