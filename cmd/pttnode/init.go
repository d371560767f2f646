package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

func (a *app) initCommand() *cobra.Command {
	var opt node.InitOptions
	var passFile string
	cmd := &cobra.Command{
		Use:     "init",
		Short:   "make a new identity",
		Example: "  pttnode init --name Alice --device-name laptop",
		Long: `Makes a new identity in this home and prints its 24 recovery words, this once.
It needs no running node.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := a.openHome()
			if err != nil {
				return err
			}
			if home.HasIdentity() {
				return api.NewProblem("has_identity")
			}
			if opt.DeviceName == "" {
				opt.DeviceName = hostName()
			}
			if opt.Name == "" {
				if !a.asks() {
					return usagef(cmd, "a name is needed: --name NAME")
				}
				if opt.Name, err = a.prompt("Your name, as friends will see it", ""); err != nil {
					return err
				}
				if opt.DeviceName, err = a.prompt("Name of this device", opt.DeviceName); err != nil {
					return err
				}
			}
			if opt.Passphrase, err = a.passphrase(passFile); err != nil {
				return err
			}
			made, err := home.Init(cmd.Context(), opt)
			if err != nil {
				return err
			}
			return a.result(made, func() { a.sayMade(made) })
		},
	}
	cmd.Flags().StringVar(&opt.Name, "name", "", "your `NAME`, as friends will see it")
	cmd.Flags().StringVar(&opt.DeviceName, "device-name", "", "the `NAME` of this device (default: this computer's)")
	cmd.Flags().StringVar(&passFile, "passphrase-file", "", "`FILE` with a passphrase that protects the keys, or - for stdin")
	return cmd
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
	a.talk("\nWrite these 24 words on paper and keep them safe: they are shown only now, and with them\n" +
		"alone you get your identity back. Nobody else may see them.\nNext: pttnode up\n")
}
