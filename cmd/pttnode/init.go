package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

// initialising is how init was called.
type initialising struct {
	name, deviceName string
	passFile         string
	device           bool // this is another device of somebody who has an identity
	link             linking
}

func (a *app) initCommand() *cobra.Command {
	var in initialising
	cmd := &cobra.Command{
		Use:   "init",
		Short: "make a new identity, or make this another device of yours",
		Example: `  pttnode init --name Alice --device-name laptop
  pttnode init --device --device-name phone`,
		Long: `Makes a new identity in this home and prints its 24 recovery words, this once.
It needs no running node.

With --device this becomes another device of yours: on the one that you have,
run pttnode invite device; here, paste its link when asked. A code appears,
which you type there. The node runs until that is done; stopped before, pttnode
up, or the same link once more, goes on with it.`,
		Args: cobra.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.init(cmd, in) }
	f := cmd.Flags()
	f.StringVar(&in.name, "name", "", "your `NAME`, as friends will see it")
	f.StringVar(&in.deviceName, "device-name", "", "the `NAME` of this device (default: this computer's)")
	f.StringVar(&in.passFile, "passphrase-file", "", "`FILE` with a passphrase that protects the keys, or - for stdin")
	f.BoolVar(&in.device, "device", false, "this is another device of mine")
	f.StringVar(&in.link.file, "link-file", "", "read the device link from `FILE`, or - for stdin, instead of asking")
	f.StringArrayVar(&in.link.listen, "listen", nil, "with --device: `MULTIADDR` to listen on, as for up; may be repeated")
	f.Var(&in.link.wait, "wait", "with --device: how long to wait (default: as long as the link can live)")
	return cmd
}

func (a *app) init(cmd *cobra.Command, in initialising) error {
	flags := cmd.Flags()
	for _, name := range []string{"link-file", "listen", "wait"} {
		if flags.Changed(name) && !in.device {
			return usagef(cmd, "--%s is for init --device", name)
		}
	}
	switch {
	case in.device && in.name != "":
		return usagef(cmd, "--name is for a new identity; another device of yours has yours")
	case in.link.file == "-" && in.passFile == "-":
		return usagef(cmd, "only one of --link-file and --passphrase-file can be stdin")
	}
	home, err := a.openHome()
	if err != nil {
		return err
	}
	pass, err := a.passphrase(in.passFile)
	if err != nil {
		return err
	}
	err = a.taken(cmd.Context(), home.Vacant(pass)) // before anything is asked
	if p := api.ProblemOf(err); p != nil && (p.Code != "linking" || !in.device) {
		return err
	}
	if !in.device && in.name == "" && a.asks() {
		if in.device, err = a.askWhich(); err != nil {
			return err
		}
	}
	if in.device {
		return a.initDevice(cmd, home, pass, in)
	}
	return a.initUser(cmd, home, pass, in)
}

// taken makes the error of a home that another process has what it means to who
// wants an identity there: the running node says whether there is one.
func (a *app) taken(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*node.Error](err); !ok || e.Code != "locked" {
		return err
	}
	c, clientErr := a.client()
	if clientErr != nil {
		return err
	}
	defer c.Close()
	s, statusErr := c.Status(ctx)
	switch {
	case statusErr != nil:
		return err
	case s.State == "setup":
		return api.NewProblem("linking")
	}
	return api.NewProblem("has_identity", "name", s.User.Name)
}

// askWhich asks the question on which all else depends, and which has no default:
// a second identity made by mistake is a person whom no friend knows.
func (a *app) askWhich() (device bool, err error) {
	for {
		a.talk("Is this (1) your first device, for a new identity, or (2) another device of yours? ")
		answer, err := a.readLine()
		if err != nil {
			return false, err
		}
		switch strings.ToLower(answer) {
		case "1", "new":
			return false, nil
		case "2", "device":
			return true, nil
		}
	}
}

// initUser makes a new identity.
func (a *app) initUser(cmd *cobra.Command, home *node.Home, pass []byte, in initialising) (err error) {
	opt := node.InitOptions{Name: in.name, DeviceName: in.deviceName, Passphrase: pass}
	if opt.DeviceName == "" {
		opt.DeviceName = hostName()
	}
	if opt.Name == "" {
		if !a.asks() {
			return usagef(cmd, "a name is needed: --name NAME; or is this another device of yours: --device")
		}
		if opt.Name, err = a.prompt("Your name, as friends will see it", ""); err != nil {
			return err
		}
		if in.deviceName == "" {
			if opt.DeviceName, err = a.prompt("Name of this device", opt.DeviceName); err != nil {
				return err
			}
		}
	}
	made, err := home.Init(cmd.Context(), opt)
	if err != nil {
		return a.taken(cmd.Context(), err)
	}
	return a.result(made, func() { a.sayMade(made) })
}

// hostName is the computer's name, or something in its place.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "this computer"
	}
	name, _, _ = strings.Cut(name, ".")
	return name
}

// sayMade shows a new identity with its recovery words.
func (a *app) sayMade(m node.InitResult) {
	a.say("You are %s (%s) on %s.\n\n", m.User.Name, m.User.Fingerprint, m.Device.Name)
	const perLine = 4
	for i, word := range strings.Fields(m.RecoveryWords) {
		end := "  "
		if i%perLine == perLine-1 {
			end = "\n"
		}
		a.say("%2d %-9s"+end, i+1, word)
	}
	a.talk("\nWrite these 24 words on paper and keep them safe: they are shown only now, and with\nthem alone you " +
		"get your identity back. Nobody else may see them.\nNext: pttnode up\n")
}
