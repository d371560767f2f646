package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"pttnode/api"
)

// demoWait is how long one step of the demo may take before it counts as failed.
// Steps take milliseconds, but for the kill: QUIC gives a silent peer 30 seconds
// before it calls the connection broken.
const demoWait = 90 * time.Second

// demo is a little network: four real nodes as processes of their own, each with
// its home and socket, two of them one person's, driven through api.Client as any program would.
type demo struct {
	app     *app
	dir     string // holds the homes
	seed    uint64
	began   time.Time
	passed  int
	failed  int
	section string

	alice, bob, carol *process
	phone             *process // alice's other device
}

func (a *app) demoCommand() *cobra.Command {
	var keep string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "a little network on this computer",
		Long: `Starts four nodes as processes of their own on this computer, on 127.0.0.1
only, and lets them join each other: friends, a board, articles, refusals, a
kill and a restart, and a second device of one of them. Everything is checked;
the exit code is 10 when a check failed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), keep, seed) },
	}
	cmd.Flags().StringVar(&keep, "keep", "", "put the homes into the empty directory `DIR` and leave them there")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "order of the refusals; keys are always random")
	return cmd
}

// demo runs the whole story and removes what it left.
func (a *app) demo(ctx context.Context, keep string, seed uint64) (err error) {
	// Children are to die with us, and the kernel sees to it when the thread ends
	// that started them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir, err := demoDir(keep)
	if err != nil {
		return err
	}
	d := &demo{app: a, dir: dir, seed: seed, began: time.Now()}
	defer func() {
		for _, p := range d.all() {
			p.kill()
		}
		if keep == "" {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if !a.json {
		a.say("pttnode demo: four nodes, four processes, 127.0.0.1 only, seed %d\n\n", seed)
	}
	if err := d.story(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d.check(false, "stopped: %v", err)
		d.blame()
	}
	d.total()
	if keep != "" && !a.json {
		a.talk("Kept: pttnode --home %s up\n", filepath.Join(dir, "alice"))
	}
	if d.failed > 0 {
		return api.NewProblem("check_failed", "detail", fmt.Sprintf("%d of %d", d.failed, d.passed+d.failed))
	}
	return nil
}

// all are the nodes there are.
func (d *demo) all() []*process { return []*process{d.alice, d.bob, d.carol, d.phone} }

// demoDir makes the directory of the homes.
func demoDir(keep string) (string, error) {
	if keep == "" {
		return os.MkdirTemp("", "pttnode-demo-")
	}
	if err := os.MkdirAll(keep, 0o700); err != nil {
		return "", fmt.Errorf("make %s: %w", keep, err)
	}
	entries, err := os.ReadDir(keep)
	if err != nil {
		return "", fmt.Errorf("look into %s: %w", keep, err)
	}
	if len(entries) > 0 {
		return "", api.NewProblem("usage", "what", "the directory of --keep is not empty", "command", "demo")
	}
	return filepath.Abs(keep)
}

// story is the demo, chapter by chapter.
func (d *demo) story(ctx context.Context) error {
	for _, chapter := range []struct {
		name string
		tell func(context.Context) error
	}{
		{"start", d.start},
		{"friends", d.friends},
		{"board", d.board},
		{"articles", d.articles},
		{"stranger", d.stranger},
		{"bad links", d.badLinks},
		{"remove", d.removal},
		{"kill", d.restart},
		{"phone", d.linkPhone},
		{"away", d.phoneAway},
		{"decide", d.phoneDecides},
		{"same heads", d.sameHeads},
		{"stop", d.stop},
	} {
		d.section = chapter.name
		if err := chapter.tell(ctx); err != nil {
			return err
		}
	}
	return nil
}

// demoLine is a line of the demo as JSON.
type demoLine struct {
	At      float64 `json:"at"` // seconds since the beginning
	Chapter string  `json:"chapter"`
	OK      bool    `json:"ok"`
	Text    string  `json:"text"`
}

// check counts and prints one thing that must be so.
func (d *demo) check(ok bool, format string, args ...any) {
	mark := "ok"
	if ok {
		d.passed++
	} else {
		d.failed++
		mark = "FAILED"
	}
	at := time.Since(d.began).Seconds()
	text := clean(format, args)
	if d.app.json {
		d.app.line(d.app.out, demoLine{at, d.section, ok, text})
		return
	}
	d.app.say("%6.2f  %s  %s  %s\n", at, block(cells.FillRight(d.section, 10)), block(cells.FillRight(text, 62)), mark)
}

func (d *demo) total() {
	if d.app.json {
		d.app.line(d.app.out, map[string]int{"passed": d.passed, "failed": d.failed})
		return
	}
	d.app.say("\nChecks: %d passed, %d failed\n", d.passed, d.failed)
}

// blame shows the last words of the nodes after a failure.
func (d *demo) blame() {
	for _, p := range d.all() {
		if words := p.lastWords(); words != "" {
			d.app.talk("%s said:\n%s", p.name, paragraphs(words))
		}
	}
}

// codeOf is the code of a problem, or what else an error says.
func codeOf(err error) string {
	if err == nil {
		return "no error"
	}
	return api.ProblemOf(err).Code
}
