package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

// maxLog is how long the log file may be when a node starts; then it becomes the
// old one.
const maxLog = 8 << 20

func (a *app) upCommand() *cobra.Command {
	var listen []string
	var web, passFile string
	var lan, metrics bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "run the node in the foreground",
		Example: `  pttnode up
  pttnode up --lan --listen /ip4/0.0.0.0/udp/9487/quic-v1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if web != "off" {
				return usagef(cmd, "--web takes only off: this version has no page yet")
			}
			return a.up(cmd.Context(), node.StartOptions{Listen: listen, LAN: lan, Metrics: metrics}, passFile)
		},
	}
	cmd.Flags().StringArrayVar(&listen, "listen", nil, "`MULTIADDR` to listen on instead of the defaults; may be repeated")
	cmd.Flags().StringVar(&web, "web", "off", "address of the page; only off in this version")
	cmd.Flags().BoolVar(&lan, "lan", false, "announce the node on the local network, and find people there that it knows")
	cmd.Flags().BoolVar(&metrics, "metrics", false, "serve figures for Prometheus at /metrics of the socket")
	cmd.Flags().StringVar(&passFile, "passphrase-file", "", "`FILE` with the passphrase, or - for stdin")
	return cmd
}

// up runs the node until a signal or down ends it.
func (a *app) up(ctx context.Context, opt node.StartOptions, passFile string) error {
	home, err := a.openHome()
	if err != nil {
		return err
	}
	if !home.HasIdentity() {
		return api.NewProblem("no_identity", "home", home.Paths().Home)
	}
	pass, err := a.passphrase(passFile)
	if err != nil {
		return err
	}
	log, closeLog, err := a.openLog(home.Paths().Log)
	if err != nil {
		return err
	}
	defer closeLog()
	a.serving.Store(true)
	opt.Passphrase, opt.Log = pass, log
	err = a.serveUntil(ctx, home, opt, a.isReady, a.upLinking)
	if p := api.ProblemOf(err); p != nil && p.Code == "passphrase_needed" && a.asks() {
		if opt.Passphrase, err = a.askHidden("Passphrase"); err != nil {
			return err
		}
		err = a.serveUntil(ctx, home, opt, a.isReady, a.upLinking)
	}
	if _, refused := errors.AsType[linkRefused](err); refused {
		return errors.Join(err, home.Forget(opt.Passphrase))
	}
	if _, signalled := errors.AsType[stopped](context.Cause(ctx)); signalled && (errors.Is(err, context.Canceled) || err == nil) {
		log.Info("stopped", "cause", context.Cause(ctx).Error())
		return nil
	}
	return err
}

// isReady prints the one line of up.
func (a *app) isReady(n *node.Node, r ready) {
	_ = a.result(r, func() {
		s := n.Status()
		if s.State == "setup" {
			a.say("ready: %s is being linked, listening on %s\n", s.Device.Name, first(r.Addrs))
			a.talk("Stop it with Ctrl-C; pttnode up goes on with it. In another terminal: pttnode status\n")
			return
		}
		a.say("ready: %s on %s, listening on %s\n", s.User.Name, s.Device.Name, first(r.Addrs))
		a.talk("Stop it with Ctrl-C. In another terminal: pttnode status · pttnode invite friend\n")
	})
}

// openLog opens the node's log: the home's file, and stderr with -v.
func (a *app) openLog(path string) (*slog.Logger, func(), error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, nil, fmt.Errorf("put the old log aside: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the log: %w", err)
	}
	var h slog.Handler = slog.NewTextHandler(f, nil)
	if a.verbose {
		h = slog.NewMultiHandler(h, slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(h), func() { _ = f.Close() }, nil
}

func (a *app) downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "stop the running node",
		Args:  cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *api.Client, _ []string) error {
			s, err := c.Shutdown(ctx)
			if p, ok := errors.AsType[*api.Problem](err); ok && p.Code == "not_running" {
				s, err = api.Stopped{Stopped: p.Params["detail"] != ""}, nil // it ended before it had answered
			}
			if err != nil {
				return err
			}
			return a.result(s, func() {
				if s.Stopped {
					a.say("The node has stopped.\n")
					a.talk("Start it again: pttnode up\n")
				} else {
					a.say("No node was running.\n")
				}
			})
		}),
	}
}
