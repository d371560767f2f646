package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"pttnode/api"
)

// version is that of the next release.
const version = "0.2.0"

func (a *app) pathsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "paths",
		Short: "every file and directory in use",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			h, err := a.openHome()
			if err != nil {
				return err
			}
			p := h.Paths()
			return a.result(p, func() {
				a.say("home    %s\nstore   %s\nsocket  %s\nlog     %s\n", p.Home, p.Store, p.Socket, p.Log)
			})
		},
	}
}

// versionInfo is what version prints.
type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	API     string `json:"api"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "which pttnode this is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := versionInfo{Version: version, Commit: commit(), API: api.Version}
			return a.result(v, func() { a.say("pttnode %s (%s), API %s\n", v.Version, v.Commit, v.API) })
		},
	}
}

// commit is the commit that this was built from, as the go command noted it.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	rev, dirty := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			rev = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	return rev + dirty
}
