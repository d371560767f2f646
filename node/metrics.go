package node

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"pttnode/protocol"
)

// counts is what a node counts of its own work. It counts always, and shows it
// where a registry was given: a registry of the node, never the process-wide one.
type counts struct {
	registry *prometheus.Registry
	joins    *prometheus.CounterVec // outcome: approved, denied, failed
	syncs    *prometheus.CounterVec // outcome: done, failed
	ops      *prometheus.CounterVec // outcome: taken, refused, missing
	commits  prometheus.Histogram   // transactions in one write of the store
}

func newCounts() counts {
	vec := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "ptt", Name: name, Help: help}, []string{"outcome"})
	}
	return counts{
		joins: vec("joins_total", "Joins of known invites that ended here, by outcome: approved, denied, failed."),
		syncs: vec("syncs_total", "Syncs begun here that ended, by outcome: done, failed."),
		ops:   vec("ops_total", "Operations from members, by outcome: taken, refused, missing."),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "ptt", Name: "commit_transactions", Help: "Transactions that one write of the store held; its count is that of writes.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128},
		}),
	}
}

// register shows the counts, and those of the Go runtime and the process.
func (n *Node) register(r *prometheus.Registry) {
	gauge := func(name, help string, f func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "ptt", Name: name, Help: help}, func() float64 {
			n.mu.Lock()
			defer n.mu.Unlock()
			return float64(f())
		})
	}
	n.counts.registry = r
	r.MustRegister(
		n.counts.joins, n.counts.syncs, n.counts.ops, n.counts.commits,
		gauge("joins_live", "Joins that run now.", func() int { return n.live }),
		gauge("joins_parked", "Joins that wait for a person's decision.", func() int { return len(n.parked) }),
		gauge("requests", "Requests of ours that have not ended.", func() int { return len(n.pursuits) }),
		gauge("entities", "Boards, friendships and profiles that are here.", func() int { return len(n.entities) }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
}

// Metrics returns what the node was told to count, nil if nothing.
func (n *Node) Metrics() prometheus.Gatherer {
	if n.counts.registry == nil {
		return nil
	}
	return n.counts.registry
}

// join counts the end of a run of a join here.
func (c counts) join(out protocol.Outcome, err error) {
	switch {
	case err != nil:
		c.joins.WithLabelValues("failed").Inc()
	case out.Status == protocol.Approved:
		c.joins.WithLabelValues("approved").Inc()
	default:
		c.joins.WithLabelValues("denied").Inc()
	}
}

// sync counts a sync that we began.
func (c counts) sync(err error) {
	if err != nil {
		c.syncs.WithLabelValues("failed").Inc()
		return
	}
	c.syncs.WithLabelValues("done").Inc()
}
