package api

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"pttnode/node"
)

// TestMetrics: figures of this node, and only where they were asked for.
func TestMetrics(t *testing.T) {
	t.Parallel()
	get := func(s *served) (int, string) {
		resp, err := s.http.Get("http://node/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	off := serveNode(t)
	if status, body := get(off); status != http.StatusNotFound || !strings.Contains(body, "without --metrics") {
		t.Errorf("without --metrics: %d %.200s", status, body)
	}
	one, other := serveNodeWith(t, node.StartOptions{Metrics: true}), serveNodeWith(t, node.StartOptions{Metrics: true})
	if _, err := one.CreateBoard(t.Context(), NewBoard{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	status, body := get(one)
	for _, want := range []string{
		"ptt_commit_transactions_count 1\n", "ptt_joins_parked 0\n", "ptt_entities 3\n", "libp2p_swarm_", "go_goroutines ", "process_resident_memory_bytes ",
	} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("status %d, %d bytes, no %q", status, len(body), want)
		}
	}
	if _, body := get(other); !strings.Contains(body, "ptt_commit_transactions_count 0\n") {
		t.Error("the figures of one node are in another's registry")
	}
}
