package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"pttnode/api"
	"pttnode/node"
)

// process is a node of the demo: this program again, with a home of its own, and
// the client of its socket.
type process struct {
	*api.Client
	name       string
	home       string
	words      string   // file with what it says on stderr
	listen     []string // as given to up; after the first time where it really was
	friendLink string   // the link it became a friend by

	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has been waited for
}

// newProcess makes the home of a node and its identity.
func newProcess(ctx context.Context, dir, name string) (*process, error) {
	p, err := emptyProcess(dir, name)
	if err != nil {
		return nil, err
	}
	out, err := p.command(ctx, "init", "--name", name, "--device-name", name+"-laptop").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("init %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return p, nil
}

// emptyProcess makes the home of a node, with nobody's identity in it.
func emptyProcess(dir, name string) (*process, error) {
	p := &process{
		name: name, home: filepath.Join(dir, name), words: filepath.Join(dir, name+".stderr"),
		listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"},
	}
	home, err := node.OpenHome(p.home)
	if err != nil {
		return nil, err
	}
	p.Client = api.NewClient(home.Paths().Socket)
	return p, nil
}

// command is this program with args, for the node's home. It dies with this
// process.
func (p *process) command(ctx context.Context, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"--home", p.home}, args...)...)
	cmd.Args[0] = os.Args[0] // a test binary goes by it
	cmd.SysProcAttr = dieWithParent()
	return cmd
}

// start starts a command that runs a node, which listens where p says, and returns
// a channel with the first line of its stdout. What it says on stderr is kept in
// p.words.
func (p *process) start(ctx context.Context, stdin io.Reader, args ...string) (<-chan []byte, error) {
	for _, l := range p.listen {
		args = append(args, "--listen", l)
	}
	words, err := os.OpenFile(p.words, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	defer words.Close()
	cmd := p.command(context.WithoutCancel(ctx), append(args, "--json")...) // the demo's cleaning ends it
	cmd.Stdin, cmd.Stderr = stdin, words
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	exited := make(chan struct{})
	p.cmd, p.exited = cmd, exited
	first := make(chan []byte, 1)
	go func() {
		r := bufio.NewReader(out)
		line, _ := r.ReadBytes('\n')
		first <- line
		_, _ = io.Copy(io.Discard, r)
		_ = cmd.Wait() // ProcessState says how it ended
		close(exited)
	}()
	return first, nil
}

// up starts the node, as a user would, and returns when it is ready. Started once
// more it listens where it did before, since links say so.
func (p *process) up(ctx context.Context) error {
	first, err := p.start(ctx, nil, "up")
	if err != nil {
		return err
	}
	select {
	case line := <-first:
		var r ready
		if err := json.Unmarshal(line, &r); err != nil || r.Event != "ready" {
			return fmt.Errorf("%s did not get ready", p.name)
		}
		p.listen = nil
		for _, a := range r.Addrs {
			a, _, _ = strings.Cut(a, "/p2p/")
			p.listen = append(p.listen, a)
		}
		return nil
	case <-time.After(demoWait):
		return fmt.Errorf("%s did not get ready in %v", p.name, demoWait)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pid is the number of the running process.
func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the process at once, without a chance to write anything.
func (p *process) kill() {
	if p == nil || p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // gone already is as good
	<-p.exited
	if p.Client != nil {
		p.Close()
	}
}

// down stops the node as the command does and returns its exit code.
func (p *process) down(ctx context.Context) (int, error) {
	limited, cancel := context.WithTimeout(ctx, demoWait)
	defer cancel()
	if _, err := p.Shutdown(limited); err != nil {
		return 0, fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-limited.Done():
		return 0, fmt.Errorf("stop %s: %w", p.name, context.Cause(limited))
	}
}

// lastWords is the end of what the process said on stderr.
func (p *process) lastWords() string {
	if p == nil {
		return ""
	}
	b, err := os.ReadFile(p.words)
	if err != nil {
		return ""
	}
	return string(b[max(0, len(b)-2000):])
}

// until waits for something to be so at this node.
func (p *process) until(ctx context.Context, what string, check func(context.Context) (bool, error)) error {
	err := follow(ctx, p.Client, demoWait, check)
	if errors.Is(err, errTimeUp) {
		return fmt.Errorf("%s: waited %v for %s", p.name, demoWait, what)
	}
	return err
}

// incoming waits for a request through an invite and returns it.
func (p *process) incoming(ctx context.Context, invite string) (found node.RequestView, err error) {
	err = p.until(ctx, "a request through "+invite, func(ctx context.Context) (bool, error) {
		all, err := p.Requests(ctx)
		for _, r := range all {
			if r.Invite == invite && r.State == "new" {
				found = r
				return true, nil
			}
		}
		return false, err
	})
	return found, err
}

// over waits until an outgoing request has ended and returns it.
func (p *process) over(ctx context.Context, id string) (r node.RequestView, err error) {
	err = p.until(ctx, "the end of request "+id, func(ctx context.Context) (bool, error) {
		now, err := p.Request(ctx, id)
		if err != nil {
			return false, err
		}
		r = now
		done, _ := ended(r)
		return done, nil
	})
	if err != nil {
		err = fmt.Errorf("%w: %s", err, sentence(r, time.Now()))
	}
	return r, err
}
