package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/keys"
	"pttnode/node"
)

func (a *app) logCommand() *cobra.Command {
	var family string
	cmd := &cobra.Command{
		Use:   "log ENTITY",
		Short: "the operations of a board, a friendship or yourself",
		Args:  cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			ops, err := c.Log(ctx, args[0], family)
			if err != nil {
				return err
			}
			return a.result(ops, func() { a.sayLog(ops) })
		}),
	}
	cmd.Flags().StringVar(&family, "family", "", "only operations of this `FAMILY`")
	return cmd
}

func (a *app) sayLog(ops []node.OpView) {
	t := table{header: []string{"OPERATION", "FAMILY", "TYPE", "USER", "DEVICE", "SEQ", "AT", "VALID"}}
	for _, o := range ops {
		t.add(o.ID.String()[:10], o.Family, o.Type, o.User.String()[:10], o.Device.String()[:10],
			shape(o.Seq), clock(o.At), yesNo(o.Valid))
	}
	a.table(&t)
}

func (a *app) viewCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "view ENTITY",
		Short: "what a log means: members, settings, heads",
		Args:  cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			v, err := c.View(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(v, func() { a.sayView(v) })
		}),
	}
}

func (a *app) sayView(v node.EntityView) {
	a.say("entity    %s\ndigest    %s\nepoch     %d\nheads     %s\n", v.Entity, v.Digest, v.Epoch, digests(v.Heads))
	b, err := json.Marshal(v.Metadata)
	if err != nil {
		panic("pttnode: metadata that came as JSON has none: " + err.Error())
	}
	a.say("metadata  %s\n", string(b))
	a.sayFinal(v.Final)
	a.sayBodies(v.Bodies)
	a.say("\n")
	a.sayMembers(v.Members)
}

// sayFinal says how much of a board can still change.
func (a *app) sayFinal(f *node.FinalView) {
	switch {
	case f == nil:
		return
	case f.Number == 0:
		a.say("final     nothing yet: all of it may still change\n")
	default:
		a.say("final     up to checkpoint %d; what came since may still change\n", f.Number)
	}
	if f.Waiting > 0 {
		a.say("waiting   %d entries count from the next checkpoint on\n", f.Waiting)
	}
	if len(f.Rivals) > 0 {
		a.say("ALARM     other checkpoints contradict it, signed with an owner's key: %s\n", digests(f.Rivals))
	}
}

func (a *app) sayBodies(b node.BodiesView) {
	if b.Missing > 0 {
		a.say("missing   the text of %d entries, which members are asked for\n", b.Missing)
	}
	if b.LetGo > 0 {
		a.say("let go    the text of %d entries that were deleted or replaced\n", b.LetGo)
	}
}

func digests(all []keys.Digest) string {
	var out []string
	for _, d := range all {
		out = append(out, d.String())
	}
	return strings.Join(out, " ")
}

func (a *app) eventsCommand() *cobra.Command {
	var since uint64
	cmd := &cobra.Command{
		Use:   "events",
		Short: "follow what happens, one JSON object a line",
		Args:  cobra.NoArgs,
	}
	cmd.RunE = a.with(func(ctx context.Context, c *api.Client, _ []string) error {
		from := api.FromNow
		if cmd.Flags().Changed("since") {
			from = since
		}
		for e, err := range c.Watch(ctx, from) {
			if err != nil {
				return err
			}
			if e.Type != api.EventChanged {
				a.line(a.out, e)
			}
		}
		return context.Cause(ctx)
	})
	cmd.Flags().Uint64Var(&since, "since", 0, "begin after event `N`; 0 for all that is kept (default: from now on)")
	return cmd
}
