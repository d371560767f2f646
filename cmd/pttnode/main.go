// Pttnode is a personal node: friends, boards and articles without a server.
//
// "pttnode up" runs the node; every other command but init, paths, version and
// demo is a client of the running node's local API and knows no more than any
// other program could. Results go to stdout and all else to stderr; --json prints
// one document on one line; exit codes and texts of errors are those of the
// catalogue in package api.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"pttnode/api"
)

func main() { os.Exit(mainCode()) }

// mainCode runs the command of this process and returns its exit code.
func mainCode() int {
	keepPrivate()
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	a := newApp(os.Stdin, os.Stdout, os.Stderr, os.Args[1:])
	go a.signals(stop)
	return a.run(ctx)
}

// stopped is the cause of a context that a signal ended.
type stopped struct{ sig os.Signal }

func (s stopped) Error() string { return "stopped by " + s.sig.String() }

// problem returns what a signal is to a client command.
func (s stopped) problem() *api.Problem {
	if s.sig == syscall.SIGTERM {
		return api.NewProblem("terminated")
	}
	return api.NewProblem("interrupted")
}

// signals ends the command on the first SIGINT or SIGTERM, and the process on the
// second. Until then up has time to close its node; a client command that has not
// ended after a second, say in a prompt, is ended too: nothing of it can be lost.
func (a *app) signals(stop context.CancelCauseFunc) {
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	s := stopped{<-c}
	stop(s)
	var late <-chan time.Time
	if !a.serving.Load() {
		late = time.After(time.Second)
	} else {
		a.talk("Stopping… (once more to stop now)\n")
	}
	select {
	case <-c:
	case <-late:
	}
	os.Exit(s.problem().Exit)
}

// failure returns what an error of a command is to people.
func (a *app) failure(ctx context.Context, err error) *api.Problem {
	if s, ok := errors.AsType[stopped](context.Cause(ctx)); ok {
		if errors.Is(err, context.Canceled) || errors.Is(err, s) {
			return s.problem()
		}
	}
	p := api.ProblemOf(err)
	if p.Code == "not_running" && a.home != nil {
		if !a.home.HasIdentity() {
			return api.NewProblem("no_identity", "home", a.home.Paths().Home)
		}
		params := []string{"home", a.home.Paths().Home}
		if d := p.Params["detail"]; d != "" {
			params = append(params, "detail", d)
		}
		return api.NewProblem("not_running", params...)
	}
	return p
}
