package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	pebbleds "github.com/ipfs/go-ds-pebble"
	"github.com/prometheus/client_golang/prometheus"
)

// StartOptions is how a node of a home is started.
type StartOptions struct {
	Listen     []string // multiaddrs; empty: all interfaces, QUIC and TCP, on the home's port
	Passphrase []byte
	Log        *slog.Logger
	LAN        bool // announce this node on the local network, and look for those it knows
	Metrics    bool // count, for GET /metrics; libp2p's part costs some MiB
}

// Start opens a home and everything a node needs: the lock, the keys, the store
// and the host. Close ends it, after Run has returned.
func Start(_ context.Context, h *Home, o StartOptions) (n *Node, err error) {
	if !h.HasIdentity() {
		return nil, refuse("no_identity")
	}
	var closers []func() error
	defer func() {
		if err != nil {
			for _, f := range closers {
				err = errors.Join(err, f())
			}
		}
	}()
	push := func(f func() error) { closers = append([]func() error{f}, closers...) }
	unlock, err := h.Lock()
	if err != nil {
		return nil, err
	}
	push(unlock)
	device, vault, err := h.open(o.Passphrase)
	if err != nil {
		return nil, err
	}
	ds, err := openStore(h.paths.Store)
	if err != nil {
		return nil, err
	}
	push(ds.Close)
	listen := o.Listen
	if len(listen) == 0 {
		port, err := h.port()
		if err != nil {
			return nil, err
		}
		listen = []string{fmt.Sprintf("/ip4/0.0.0.0/udp/%d/quic-v1", port), fmt.Sprintf("/ip4/0.0.0.0/tcp/%d", port)}
	}
	var metrics *prometheus.Registry
	if o.Metrics {
		metrics = prometheus.NewRegistry()
	}
	host, err := NewHost(device, listen, metrics)
	if err != nil {
		return nil, err
	}
	push(host.Close)
	n, err = New(host, ds, Config{
		Device: device, Vault: vault, Log: o.Log, Room: func() error { return diskRoom(h.paths.Store) }, Merge: mergerOf(ds), LAN: o.LAN, Metrics: metrics,
	})
	if err != nil {
		return nil, err
	}
	if n.me == nil && !slices.ContainsFunc(slices.Collect(maps.Values(n.attempts)), n.unfinished) {
		return nil, refuse("no_identity") // it was to be linked, and was refused
	}
	n.close = closers
	return n, nil
}

// openStore opens pebble so that what is acknowledged is on the disk.
func openStore(path string) (*pebbleds.Datastore, error) {
	ds, err := pebbleds.NewDatastore(path,
		pebbleds.WithPebbleWriteOptions(pebble.Sync), // its default loses acknowledged writes
		pebbleds.WithPebbleOpts(&pebble.Options{
			Logger: pebbleLogger{}, MemTableSize: memTable, L0CompactionThreshold: lowTables, L0StopWritesThreshold: 2 * lowTables,
		}))
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return ds, nil
}

// mergerOf returns what has pebble rewrite its tables below a prefix, which ends in "/": a
// value that was replaced stays in an older one until then. Its log keeps the last writes,
// replaced or not, until it is begun anew, with the next start at the latest.
func mergerOf(ds *pebbleds.Datastore) func(context.Context, string) error {
	return func(ctx context.Context, prefix string) error {
		end := prefix[:len(prefix)-1] + "0" // the byte after "/"
		return ds.DB.Compact(ctx, []byte(prefix), []byte(end), false)
	}
}

// pebbleLogger keeps pebble quiet. Its Fatalf, by default the end of the process
// without a word to anybody, becomes a panic, which the store turns into a
// refusal of all further writes.
type pebbleLogger struct{}

func (pebbleLogger) Infof(string, ...any)  {}
func (pebbleLogger) Errorf(string, ...any) {}
func (pebbleLogger) Fatalf(format string, args ...any) {
	panic(fmt.Errorf("%w: %s", errStore, fmt.Sprintf(format, args...)))
}

// port returns the home's port: one number for UDP and TCP, chosen once and kept,
// so that links outlive a restart. It is tested here without port reuse, which
// libp2p has on: two processes on one port would each get some of the peers.
func (h *Home) port() (int, error) {
	if b, err := os.ReadFile(h.file("port")); err == nil {
		port, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil || port < 1 || port > 65535 {
			return 0, because("bad_config", fmt.Errorf("%s: not a port", h.file("port")))
		}
		if err := free(port); err != nil {
			return 0, because("network", fmt.Errorf("port %d of this node is taken: %w", port, err))
		}
		return port, nil
	}
	for range 20 {
		l, err := net.Listen("tcp4", ":0")
		if err != nil {
			return 0, because("network", err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return 0, because("network", err)
		}
		if free(port) == nil {
			return port, writeFile(h.file("port"), []byte(strconv.Itoa(port)+"\n"))
		}
	}
	return 0, refuse("network", "what", "no port is free for both UDP and TCP")
}

func free(port int) error {
	addr := ":" + strconv.Itoa(port)
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		return err
	}
	p, err := net.ListenPacket("udp4", addr)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return errors.Join(l.Close(), p.Close())
}
