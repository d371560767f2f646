package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

func (a *app) peersCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "peers",
		Short: "who is connected now",
		Args:  cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *api.Client, _ []string) error {
			peers, err := c.Peers(ctx)
			if err != nil {
				return err
			}
			return a.result(peers, func() { a.sayPeers(peers) })
		}),
	}
}

func (a *app) sayPeers(peers []node.PeerView) {
	if len(peers) == 0 {
		a.say("Nobody is connected.\n")
		return
	}
	t := table{header: []string{"NAME", "RELATION", "RTT", "SINCE", "VIA", "ADDRESS", "PEER"}}
	for _, p := range peers {
		rtt := "-"
		if p.RTT != nil {
			rtt = fmt.Sprintf("%.1f ms", *p.RTT)
		}
		name := p.Name
		if name == "" {
			name = "-"
		}
		t.add(name, p.Relation, rtt, clock(p.Since), p.Transport, p.Addr, "…"+p.PeerID[max(0, len(p.PeerID)-8):])
	}
	a.table(&t)
}
