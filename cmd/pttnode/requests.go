package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

func (a *app) requestsCommand() *cobra.Command {
	var in, out bool
	list := &cobra.Command{
		Use:   "list",
		Short: "who asks to join, and what you asked for",
		Args:  cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *api.Client, _ []string) error {
			all, err := c.Requests(ctx)
			if err != nil {
				return err
			}
			shown := []node.RequestView{}
			for _, r := range all {
				if in == out || in && r.Direction == "in" || out && r.Direction == "out" {
					shown = append(shown, r)
				}
			}
			return a.result(shown, func() { a.sayRequests(shown) })
		}),
	}
	list.Flags().BoolVar(&in, "in", false, "only those of others")
	list.Flags().BoolVar(&out, "out", false, "only your own")
	show := &cobra.Command{
		Use:   "show ID",
		Short: "one request with its steps",
		Args:  cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			r, err := c.Request(ctx, args[0])
			if err != nil {
				return err
			}
			return a.result(r, func() { a.sayRequest(r) })
		}),
	}
	return group("requests", "who asks to join, and what you asked for", list, show,
		a.approveCommand(),
		a.decisionCommand("reject", "say no to somebody's request", (*api.Client).Reject, func(r, _ node.RequestView) {
			if r.State == "new" {
				a.sayCarried("no", r)
				return
			}
			a.say("Refused: %s will not be let in by %s.\n", otherSide(r), r.ID)
			a.talk("This cannot be undone; they can ask again with a new link.\n")
		}),
		a.decisionCommand("cancel", "withdraw a request of yours", (*api.Client).Cancel, func(r, _ node.RequestView) {
			if r.State != "cancelled" {
				a.say("Request %s is over: %s.\n", r.ID, requestState(r))
				return
			}
			a.say("Request %s is cancelled.\n", r.ID)
			a.talk("To ask again, open the link again: pttnode join LINK\n")
		}),
		a.decisionCommand("retry", "try a request of yours now", (*api.Client).Retry, func(r, _ node.RequestView) {
			a.say("Request %s: %s\n", r.ID, sentence(r, time.Now()))
			a.talk("Follow it: pttnode wait request %s      Cancel it: pttnode requests cancel %s\n", r.ID, r.ID)
		}),
	)
}

// decisionCommand makes a command that decides about one request; say gets the
// request after and before.
func (a *app) decisionCommand(
	verb, short string,
	decide func(*api.Client, context.Context, string) (node.RequestView, error),
	say func(after, before node.RequestView),
) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *api.Client, args []string) error {
			before, err := c.Request(ctx, args[0])
			if err != nil {
				return err
			}
			after, err := decide(c, ctx, before.ID)
			if err != nil {
				return err
			}
			return a.result(after, func() { say(after, before) })
		}),
	}
}

// approveCommand makes requests approve. A device of ours is let in with the code
// that it shows, which a person types here.
func (a *app) approveCommand() *cobra.Command {
	var code string
	cmd := a.decisionCommand("approve", "say yes to somebody's request",
		func(c *api.Client, ctx context.Context, id string) (node.RequestView, error) {
			r, err := c.Request(ctx, id)
			if err != nil {
				return r, err
			}
			if r.Kind == "device" && r.State == "new" && r.At == "" && code == "" && a.asks() {
				a.talk("%s wants to be a device of yours.      If it is not in front of you: pttnode requests reject %s\n", quoted(r.With.Name), r.ID)
				if code, err = a.prompt("Code on its screen", ""); err != nil {
					return r, err
				}
			}
			if code == "" {
				return c.Approve(ctx, id)
			}
			return c.ApproveDevice(ctx, id, code)
		}, a.sayApproved)
	cmd.Long = `Says yes to somebody's request. It returns when that is durable.

A device of yours is let in with the six digits that it shows: give them with
--code, or when asked. A wrong code is refused, and the third takes the link
back.`
	cmd.Example = "  pttnode requests approve r-2\n  pttnode requests approve r-3 --code \"482 913\""
	cmd.Flags().StringVar(&code, "code", "", "the `CODE` that your new device shows")
	return cmd
}

// sayCarried says that another device carries out what was decided here.
func (a *app) sayCarried(word string, r node.RequestView) {
	a.say("Your %s is noted. Request %s waits at %s, which carries it out once it is online.\n", word, r.ID, quoted(r.At))
	a.talk("Follow it: pttnode wait request %s\n", r.ID)
}

func (a *app) sayApproved(after, before node.RequestView) {
	who := otherSide(after)
	switch {
	case after.State == "new":
		a.sayCarried("yes", after)
	case before.State == after.State:
		a.say("Request %s was approved already.\n", after.ID)
	case after.Board != nil:
		a.say("%s is let in to %s.\n", who, quoted(*after.Board))
		a.talk("Next: pttnode board members %s\n", quoted(*after.Board))
	case after.Kind == "device":
		a.say("%s becomes a device of yours. It is brought up to date now.\n", who)
		a.talk("This cannot be undone in this version.      Next: pttnode device list\n")
	default:
		a.say("%s becomes your friend.\n", who)
		a.talk("Compare your fingerprints once, by voice: pttnode friend show %s\n", who)
	}
}

func (a *app) sayRequests(requests []node.RequestView) {
	if len(requests) == 0 {
		a.talk("No requests. Open a link: pttnode join LINK · make one: pttnode invite friend\n")
		return
	}
	t := table{header: []string{"ID", "FROM", "WANTS", "STATE", "SINCE", "CODE", "NOTE"}}
	waiting := node.RequestView{}
	for _, r := range requests {
		from := "you"
		if r.Direction == "in" {
			from = r.With.Name
			if r.State == "new" && !answered(r) {
				waiting = r
			}
		}
		want := wants(r)
		if r.Direction == "out" && r.Kind == "friend" {
			want += " with " + otherSide(r)
		}
		code := ""
		if over, _ := ended(r); !over {
			code = spaced(r.Code)
		}
		t.add(r.ID, from, want, requestState(r), span(time.Since(r.Since)), code, r.Note)
	}
	a.table(&t)
	if waiting.ID != "" {
		a.sayAnswers(waiting)
	}
}

func (a *app) sayRequest(r node.RequestView) {
	a.say("request      %s\n", r.ID)
	switch {
	case r.At != "":
		a.say("from         %s\nwants        %s\nwaits at     %s\n", otherSide(r), wants(r), r.At)
	case r.Direction == "in":
		a.say("from         %s\nwants        %s\nthrough      %s\n", otherSide(r), wants(r), r.Invite)
	default:
		a.say("from         you, to %s\nwants        %s\n", otherSide(r), wants(r))
	}
	if r.With.Fingerprint != "" {
		a.say("fingerprint  %s\n", r.With.Fingerprint)
	}
	if r.With.Claimed {
		a.say("             the name is a claim until it is checked\n")
	}
	a.say("state        %s\n", requestState(r))
	if r.Direction == "out" {
		a.say("             %s\n", sentence(r, time.Now()))
		if r.Stays {
			a.say("             nothing of it is kept here; the other side may list you as a member all the same\n")
		}
	} else if r.Reason != "" && r.Reason != "ok" && !answered(r) {
		a.say("             %s\n", api.NewProblem(r.Reason).Title)
	}
	if r.Extra {
		a.say("             the link is full: others asked first\n")
	}
	if r.Code != "" {
		a.say("code         %s\n", spaced(r.Code))
	}
	if r.Note != "" {
		a.say("note         %s\n", r.Note)
	}
	a.say("since        %s\nuntil        %s\n", clock(r.Since), clock(r.ExpiresAt))
	for _, s := range r.Steps {
		mark := "ok"
		if !s.OK {
			mark = "no"
		}
		a.say("  %s  %-9s %s  %s\n", s.At.Local().Format("15:04:05"), s.Step, mark, s.Detail)
	}
	switch {
	case r.Direction == "in" && r.State == "new" && !answered(r):
		a.sayAnswers(r)
	case r.State == "failed":
		a.talk("Try again: pttnode requests retry %s\n", r.ID)
	case r.Direction == "out":
		if over, _ := ended(r); !over {
			a.talk("Cancel it: pttnode requests cancel %s\n", r.ID)
		}
	}
}

// sayAnswers says how a request can be answered here.
func (a *app) sayAnswers(r node.RequestView) {
	switch {
	case r.Kind == "device" && r.At != "":
		a.talk("Let in: type its code on %s      Refuse: pttnode requests reject %s\n", quoted(r.At), r.ID)
	case r.Kind == "device":
		a.talk("Let in: pttnode requests approve %s --code CODE      Refuse: pttnode requests reject %s\n", r.ID, r.ID)
	default:
		a.talk("Let in: pttnode requests approve %s      Refuse: pttnode requests reject %s\n", r.ID, r.ID)
	}
}

// answered reports whether a request was answered here and waits for the device
// that has it.
func answered(r node.RequestView) bool {
	return r.At != "" && r.State == "new" && r.Reason == "devices_offline"
}

// requestState says a request's state in words.
func requestState(r node.RequestView) string {
	switch s := r.State; s {
	case "new":
		if answered(r) {
			return "answered; waits at " + r.At
		}
		if r.At != "" {
			return "waits at " + r.At
		}
		return "waits for you"
	case "waiting_peer":
		return "waits for the other side"
	case "waiting_approval":
		return "waits for an answer"
	default:
		return s
	}
}
