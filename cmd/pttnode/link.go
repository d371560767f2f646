package main

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

// linking is how init --device was called.
type linking struct {
	file   string
	listen []string
	wait   duration
}

// forever is a wait that only the node's end ends.
const forever = time.Duration(math.MaxInt64)

// expiryTold is how long after a request's end the node has told so for sure.
const expiryTold = time.Minute

// linked is what init --device prints. User is nil until a device of hers let this
// one in.
type linked struct {
	User    *node.UserView   `json:"user"`
	Device  node.DeviceView  `json:"device"`
	Request node.RequestView `json:"request"`
}

// initDevice makes this home another device of somebody's: it stores the request
// and runs the node until the device is alive.
func (a *app) initDevice(cmd *cobra.Command, home *node.Home, pass []byte, in initialising) error {
	link, err := a.deviceLink(cmd, in.link.file)
	if err != nil {
		return err
	}
	if in.deviceName == "" {
		in.deviceName = hostName()
		if a.asks() {
			if in.deviceName, err = a.prompt("Name of this device", in.deviceName); err != nil {
				return err
			}
		}
	}
	ctx := cmd.Context()
	device, request, err := home.InitDevice(ctx, node.InitDeviceOptions{Link: link, DeviceName: in.deviceName, Passphrase: pass})
	if err != nil {
		return a.taken(ctx, err)
	}
	log, closeLog, err := a.openLog(home.Paths().Log)
	if err != nil {
		return err
	}
	defer closeLog()
	a.serving.Store(true)
	out := linked{Device: device}
	opt := node.StartOptions{Listen: in.link.listen, Passphrase: pass, Log: log}
	err = a.serveUntil(ctx, home, opt, func(*node.Node, ready) {}, func(ctx context.Context, c *api.Client, n *node.Node) error {
		var err error
		if out.Request, err = n.Request(request); err != nil {
			return err
		}
		wait := time.Until(out.Request.ExpiresAt) + expiryTold
		if cmd.Flags().Changed("wait") {
			wait = time.Duration(in.link.wait)
		}
		out.Request, err = a.followLink(ctx, c, out.Request, wait)
		if s := n.Status(); !s.User.ID.IsZero() {
			out.User, out.Device = &s.User, s.Device
		}
		return err
	})
	if out.Request.ID == "" { // it did not come so far
		return err
	}
	return a.linkOutcome(err, home, pass, out)
}

// deviceLink reads the link from the file, stdin or a prompt that does not show it.
func (a *app) deviceLink(cmd *cobra.Command, file string) (string, error) {
	switch {
	case file != "":
		b, err := a.readAll(file, maxLinkText)
		return string(b), err
	case a.asks():
		link, err := a.askHidden("Paste the device link (it stays hidden)")
		return string(link), err
	}
	return "", usagef(cmd, "a device link is needed: --link-file FILE, or - for stdin; never as an argument")
}

// serveUntil runs the node of a home and calls task once it answers; the node ends
// with the task. It returns task's error, or that of the node.
func (a *app) serveUntil(
	ctx context.Context, home *node.Home, opt node.StartOptions,
	isReady func(*node.Node, ready), task func(context.Context, *api.Client, *node.Node) error,
) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c := api.NewClient(home.Paths().Socket)
	defer c.Close()
	done := make(chan error, 1)
	started := false
	err := serve(ctx, home, opt, func(n *node.Node, r ready) {
		started = true
		isReady(n, r)
		go func() {
			defer stop()
			done <- task(ctx, c, n)
		}()
	})
	stop()
	if !started {
		return err
	}
	if failed := <-done; err == nil {
		err = failed
	}
	return err
}

// followLink tells on stderr how the linking of this device goes, until it is over
// or wait has passed; it returns the request as it is then. The code
// is shown with --json too: a person has to read it.
func (a *app) followLink(ctx context.Context, c *api.Client, r node.RequestView, wait time.Duration) (node.RequestView, error) {
	code, last := "", ""
	id := r.ID
	err := follow(ctx, c, wait, func(ctx context.Context) (bool, error) {
		now, err := c.Request(ctx, id)
		if err != nil {
			return false, err
		}
		s, err := c.Status(ctx)
		if err != nil {
			return false, err
		}
		r = now
		over, _ := ended(r)
		if over && r.NextTryAt != nil { // cancelled; the other device is still to hear of it, or it would let this one in
			if last != r.State {
				last = r.State
				a.progress("cancelled; telling your other device\n")
			}
			return false, nil
		}
		if key := r.State + r.Reason + s.Linking + shape(r.NextTryAt); key != last && !over {
			last = key
			a.progress("%s\n", linkSentence(r, s.Linking, time.Now()))
		}
		if r.Code != code && r.CodeUntil != nil {
			code = r.Code
			a.talk("code: %s\n", spaced(code))
			a.progress("type it on the device where you made the link, within %s; leave this running\n", span(time.Until(*r.CodeUntil)))
		}
		return over, nil
	})
	if errors.Is(err, errTimeUp) {
		err = nil
	}
	return r, err
}

// linkSentence is sentence for a device, with how far it is brought up to date.
func linkSentence(r node.RequestView, status string, now time.Time) string {
	if r.State == "syncing" {
		switch status {
		case "init":
			return "you are let in; waiting for your other device to hand over what is yours"
		case "internal_pending":
			return "you are let in; receiving your profile and your board"
		case "sync":
			return "profile and board are here; receiving friends, boards and what is in them"
		case "":
			return "all is here; your other device tells your friends"
		}
	}
	return sentence(r, now)
}

// spaced writes the six digits of a code as people read them out.
func spaced(code string) string {
	if len(code) != 6 {
		return code
	}
	return code[:3] + " " + code[3:]
}

// linkOutcome ends init --device, after its node has ended: alive; refused, and the
// home is as new; or not yet.
func (a *app) linkOutcome(err error, home *node.Home, pass []byte, out linked) error {
	over, why := ended(out.Request)
	p := api.ProblemOf(err)
	_, signalled := errors.AsType[stopped](err)
	switch {
	case over && why == nil:
		return a.result(out, func() { a.sayLinked(out) })
	case over:
		return errors.Join(why, home.Forget(pass))
	case p != nil && !signalled && p.Code != "not_running" && !errors.Is(err, context.Canceled):
		return err
	}
	if err := a.result(out, func() { a.say("request %s: %s\n", out.Request.ID, linkSentence(out.Request, "", time.Now())) }); err != nil {
		return err
	}
	if !a.json {
		a.talk("pttnode: hint: nothing is lost; go on with it: pttnode up\n")
	}
	return errPending
}

func (a *app) sayLinked(out linked) {
	name := ""
	if out.User != nil {
		name = out.User.Name
	}
	a.say("This is a device of %s now: %s.\n", quoted(name), quoted(out.Device.Name))
	a.talk("Next: pttnode up · pttnode device list\n")
}

// linkRefused ends up on a device that was refused.
type linkRefused struct{ why error }

func (l linkRefused) Error() string { return "this device was not linked: " + l.why.Error() }
func (l linkRefused) Unwrap() error { return l.why }

// upLinking is up on a home whose device is still being linked: it goes on with
// that and then stays. Refused, it ends with the reason, and the home is as new.
func (a *app) upLinking(ctx context.Context, c *api.Client, n *node.Node) error {
	if n.Status().State == "setup" {
		for _, r := range n.Requests() {
			if r.Kind != "device" || r.Direction != "out" {
				continue
			}
			r, err := a.followLink(ctx, c, r, forever)
			switch over, why := ended(r); {
			case err != nil || !over: // the node ends, or nobody can be told
			case why != nil:
				return linkRefused{why}
			default:
				s := n.Status()
				a.talk("This is a device of %s now: %s.\n", quoted(s.User.Name), quoted(s.Device.Name))
			}
		}
	}
	<-ctx.Done()
	return nil
}
