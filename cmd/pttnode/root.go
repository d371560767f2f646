package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"pttnode/api"
)

// usageError is a mistake on the command line.
type usageError struct {
	command string
	what    string
}

func (u usageError) Error() string { return u.what }

func (u usageError) problem() *api.Problem {
	return api.NewProblem("usage", "what", u.what, "command", u.command)
}

// usagef makes a usageError of cmd.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return usageError{commandName(cmd), fmt.Sprintf(format, args...)}
}

// commandName is the path of cmd below pttnode.
func commandName(cmd *cobra.Command) string {
	return strings.TrimSpace(strings.TrimPrefix(cmd.CommandPath(), "pttnode"))
}

const rootHelp = `pttnode — your friends and your boards; no server

Invite on one side, join on the other.

  pttnode init                      make your identity, or join one that you have
  pttnode up                        run your node here
  pttnode status                    who you are, what waits for you
  pttnode invite friend             make a link for one person
  pttnode join LINK                 open a link
  pttnode requests list             who asks to join, and what you asked for
  pttnode board create NAME         make a board
  pttnode article new BOARD         write on it

All commands: pttnode help      A little network on this computer: pttnode demo
`

// Groups of commands in pttnode help.
const (
	groupStart   = "start"
	groupPeople  = "people"
	groupBoards  = "boards"
	groupLook    = "look"
	groupKeeping = "keeping"
)

// root returns the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "pttnode",
		Short:         "your friends and your boards; no server",
		Args:          noSubcommand,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(*cobra.Command, []string) error {
			a.say(rootHelp)
			return nil
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", narrow)))
	f := root.PersistentFlags()
	f.StringVar(&a.homeDir, "home", "", "directory of everything of one node (environment PTTNODE_HOME)")
	f.BoolVar(&a.json, "json", a.json, "print one JSON document on one line")
	f.BoolVar(&a.noInput, "no-input", false, "never ask; fail instead")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log to stderr")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usagef(cmd, "%v", err) })
	for _, g := range []*cobra.Group{
		{ID: groupStart, Title: "START"},
		{ID: groupPeople, Title: "PEOPLE"},
		{ID: groupBoards, Title: "BOARDS"},
		{ID: groupLook, Title: "LOOK"},
		{ID: groupKeeping, Title: "KEEPING"},
	} {
		root.AddGroup(g)
	}
	root.SetHelpCommandGroupID(groupKeeping)
	for id, cmds := range map[string][]*cobra.Command{
		groupStart:   {a.initCommand(), a.upCommand(), a.downCommand(), a.statusCommand(), a.demoCommand()},
		groupPeople:  {a.meCommand(), a.deviceCommand(), a.friendCommand(), a.inviteCommand(), a.joinCommand(), a.requestsCommand()},
		groupBoards:  {a.boardCommand(), a.articleCommand(), a.commentCommand()},
		groupLook:    {a.logCommand(), a.viewCommand(), a.whyCommand(), a.eventsCommand(), a.peersCommand(), a.waitCommand()},
		groupKeeping: {a.pathsCommand(), a.versionCommand(), a.completionCommand()},
	} {
		for _, c := range cmds {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	checkArgs(root)
	return root
}

// checkArgs makes usageErrors of what cobra says of a command's arguments, and keeps
// shells from offering files for them.
func checkArgs(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = 2
	if cmd.ValidArgs == nil && cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions // no argument is a file; those are flags
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if _, ok := err.(usageError); err == nil || ok {
				return err
			}
			return usagef(cmd, "%s takes: %s", commandName(cmd), cmd.UseLine())
		}
	}
	for _, c := range cmd.Commands() {
		checkArgs(c)
	}
}

// group makes a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: noSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(subs...)
	return cmd
}

// noSubcommand refuses what is not the name of a subcommand, and names the nearest.
func noSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	what := fmt.Sprintf("there is no command %q", strings.TrimSpace(commandName(cmd)+" "+args[0]))
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		what += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError{commandName(cmd), what}
}
