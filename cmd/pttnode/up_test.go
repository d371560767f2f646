package main

import (
	"bytes"
	"net/http"
	"testing"

	"pttnode/api"
	"pttnode/node"
)

// TestDownUnanswered: a node that ends before it has answered was running.
func TestDownUnanswered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h, err := node.OpenHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	down := func() string {
		out.Reset()
		a := &app{args: []string{"--home", dir, "--json", "down"}, in: &bytes.Buffer{}, out: &out, err: &out, json: true}
		a.run(t.Context())
		return out.String()
	}
	if got := down(); got != `{"stopped":false}`+"\n" {
		t.Errorf("without a node: %s", got)
	}
	l, err := api.Listen(t.Context(), h.Paths().Socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	if got := down(); got != `{"stopped":true}`+"\n" {
		t.Errorf("with one that does not answer: %s", got)
	}
	_ = s.Close()
	<-ended
}
