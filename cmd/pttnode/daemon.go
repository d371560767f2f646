package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"pttnode/api"
	"pttnode/node"
)

// ready is the one line that up prints.
type ready struct {
	Event  string   `json:"event"` // ready
	PeerID string   `json:"peer_id"`
	Addrs  []string `json:"addrs"`
	Web    string   `json:"web"` // "" while the page is off
	API    string   `json:"api"` // the socket
}

// serve runs the node of a home until ctx ends, it is asked to stop, or it fails.
// It is the one place where the parts meet: node, local API and this process. It
// calls isReady once when both answer.
//
// The end goes in an order that down relies on: no new connection, the node, its
// store and lock, then the answer to who asked.
func serve(ctx context.Context, home *node.Home, opt node.StartOptions, isReady func(*node.Node, ready)) (err error) {
	n, err := node.Start(ctx, home, opt)
	if err != nil {
		return fmt.Errorf("start the node: %w", err)
	}
	closed := make(chan struct{})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	log := opt.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	handler := api.New(api.Config{Node: n, Log: log, Stop: stop, Stopped: closed})
	socket := home.Paths().Socket
	listener, err := api.Listen(ctx, socket)
	if err != nil {
		return errors.Join(fmt.Errorf("open the local API: %w", err), n.Close())
	}
	apiEnded := make(chan error, 1)
	go func() {
		defer stop() // without its API nobody could stop the node
		apiEnded <- handler.Serve(ctx, listener)
	}()
	nodeEnded := make(chan error, 1)
	go func() {
		defer stop()
		nodeEnded <- n.Run(ctx)
	}()
	isReady(n, ready{Event: "ready", PeerID: n.PeerID(), Addrs: n.Addrs(), API: socket})
	log.Info("ready", "peer", n.PeerID(), "addrs", n.Addrs())
	err = <-nodeEnded
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	err = errors.Join(err, n.Close())
	close(closed)
	return errors.Join(err, <-apiEnded)
}
