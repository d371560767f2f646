package api

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics serves what the node counts, as Prometheus reads it. Without up
// --metrics there is no such route.
func (h *Handler) metrics(w http.ResponseWriter, r *http.Request) error {
	g := h.node.Metrics()
	if g == nil {
		return NewProblem("not_found", "what", "route", "name", "GET /metrics: the node runs without --metrics")
	}
	promhttp.HandlerFor(g, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
	return nil
}
