package testnet

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"pttnode/keys"
	"pttnode/node"
)

// What an idle node may cost (docs/PERFORMANCE.md): beside a bare host with the
// same transports, in another process of the same program.
const (
	mostIdleAnonymous = 12 << 20 // bytes more
	mostIdleResident  = 2.5      // times as much
	mostIdleCPU       = 0.005    // of one core
)

// childOf is the variable that makes this test binary one of the two processes.
const childOf = "PTTNODE_IDLE_CHILD"

var listenBoth = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}

// TestIdleChild is the process that is measured: it runs until its stdin ends.
func TestIdleChild(t *testing.T) {
	what := os.Getenv(childOf)
	if what == "" {
		t.Skip("runs only as a child of TestIdleCost")
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	switch what {
	case "bare":
		id, err := node.HostIdentity(keys.New())
		if err != nil {
			t.Fatal(err)
		}
		h, err := libp2p.New(libp2p.Identity(id), libp2p.Transport(libp2pquic.NewTransport), libp2p.Transport(tcp.NewTCPTransport),
			libp2p.DisableMetrics(), libp2p.DisableRelay(), libp2p.ListenAddrStrings(listenBoth...))
		if err != nil {
			t.Fatal(err)
		}
		go func() { <-ctx.Done(); ended <- h.Close() }()
	case "node", "metrics":
		home, err := node.OpenHome(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := home.Init(ctx, node.InitOptions{Name: "alice", DeviceName: "laptop"}); err != nil {
			t.Fatal(err)
		}
		n, err := node.Start(ctx, home, node.StartOptions{Listen: listenBoth, Metrics: what == "metrics"})
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- errors.Join(n.Run(ctx), n.Close()) }()
	}
	fmt.Println("idle")
	_, _ = io.Copy(io.Discard, os.Stdin)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// idle is what a process takes.
type idle struct {
	resident, anonymous int64         // bytes, at the end
	cpu                 time.Duration // within the window in which it had the least
}

// watch starts a child, lets it run for some windows and says what it took. Of the windows
// the quietest counts: what else the machine does makes a process slower, never faster.
func watch(tb testing.TB, what string, window time.Duration, windows int) idle {
	tb.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestIdleChild$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), childOf+"="+what)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	defer func() {
		if err := errors.Join(stdin.Close(), cmd.Wait()); err != nil {
			tb.Errorf("child %s: %v", what, err)
		}
	}()
	out := bufio.NewScanner(stdout)
	for out.Scan() && out.Text() != "idle" {
	}
	proc := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid))
	var i idle
	for w := range windows {
		before := cpuOf(tb, proc)
		<-time.After(window) // of the child's life: it is what is measured
		if cpu := cpuOf(tb, proc) - before; w == 0 || cpu < i.cpu {
			i.cpu = cpu
		}
	}
	rollup, err := os.ReadFile(filepath.Join(proc, "smaps_rollup"))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(rollup)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "Rss:":
			i.resident = kib << 10
		case "Anonymous:":
			i.anonymous = kib << 10
		}
	}
	if i.resident == 0 || i.anonymous == 0 {
		tb.Fatalf("the kernel says of %s: %s", what, rollup)
	}
	return i
}

// cpuOf returns the time a process has had so far, in ticks of 10 ms.
func cpuOf(tb testing.TB, proc string) time.Duration {
	tb.Helper()
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		tb.Fatal(err)
	}
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // field 3 and on
	user, err1 := strconv.Atoi(string(f[11]))
	system, err2 := strconv.Atoi(string(f[12]))
	if err := errors.Join(err1, err2); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestIdleCost: what a node that nobody talks to takes.
func TestIdleCost(t *testing.T) {
	t.Parallel()
	window, windows := 30*time.Second, 2
	if testing.Short() {
		window, windows = 5*time.Second, 1
	}
	results := make(chan idle, 1)
	go func() { results <- watch(t, "bare", window, windows) }()
	n := watch(t, "node", window, windows)
	bare := <-results
	cpu := float64(n.cpu) / float64(window)
	t.Logf("bare host: %d KiB resident, %d anonymous; node: %d and %d, %.2f %% of a core over %v",
		bare.resident>>10, bare.anonymous>>10, n.resident>>10, n.anonymous>>10, 100*cpu, window)
	if more := n.anonymous - bare.anonymous; more > mostIdleAnonymous {
		t.Errorf("an idle node has %d KiB of anonymous memory more than a bare host, want at most %d", more>>10, mostIdleAnonymous>>10)
	}
	if ratio := float64(n.resident) / float64(bare.resident); ratio > mostIdleResident {
		t.Errorf("an idle node has %.2f times the resident memory of a bare host, want at most %v", ratio, mostIdleResident)
	}
	if cpu > mostIdleCPU && !testing.Short() { // five seconds are too few for ticks of 10 ms, and for what starting left
		t.Errorf("an idle node takes %.2f %% of a core, want at most %.1f", 100*cpu, 100*mostIdleCPU)
	}
}
