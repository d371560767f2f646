package node

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
)

// mostColdMemory is what a cold sync may take beyond an idle node: what is known of its
// entries stays in memory, 27 MiB, and as much again may wait for the collector.
const mostColdMemory = 110 << 20

// coldChild is the variable that makes this test binary the node that has no content:
// its store, who has the content, and how many operations the board then has.
const coldChild = "PTTNODE_COLD_CHILD"

// TestColdSyncChild is the process that is measured.
func TestColdSyncChild(t *testing.T) {
	args := strings.Fields(os.Getenv(coldChild))
	if len(args) != 3 {
		t.Skip("runs only as a child of TestColdSyncMemory")
	}
	ds, err := openStore(args[0])
	if err != nil {
		t.Fatal(err)
	}
	from, err := peer.AddrInfoFromString(args[1])
	if err != nil {
		t.Fatal(err)
	}
	want, err := strconv.Atoi(args[2])
	if err != nil {
		t.Fatal(err)
	}
	n := reopen(t, ds, emptyDevice, emptyVault)
	defer runs(t, n)()
	in := bufio.NewScanner(os.Stdin)
	fmt.Println("idle")
	in.Scan()
	n.host.Peerstore().AddAddrs(from.ID, from.Addrs, peerstore.PermanentAddrTTL)
	if _, err := n.host.Network().DialPeer(t.Context(), from.ID); err != nil {
		t.Fatal(err)
	}
	board, err := n.Board("dev")
	if err != nil {
		t.Fatal(err)
	}
	for n.have(board.ID) < want {
		<-time.After(10 * time.Millisecond)
	}
	if err := n.store.settled(); err != nil {
		t.Fatal(err)
	}
	fmt.Println("done")
	in.Scan()
}

// TestColdSyncMemory: what a node that takes 100,000 entries has at its peak, beyond
// what it had before.
func TestColdSyncMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes several times the memory; go test ./... runs it")
	}
	if testing.Short() {
		t.Skip("takes a while, with -short")
	}
	c, late := coldCrowd(t)
	defer runs(t, c.full)()
	for range 3 { // when the collector gets to run is chance, more so on a busy machine
		idle, peak := c.coldMemory(t, late)
		t.Logf("idle %d MiB, at most %d MiB", idle>>20, peak>>20)
		if peak-idle <= mostColdMemory {
			return
		}
	}
	t.Errorf("a cold sync takes more than %d MiB beyond an idle node, three times", mostColdMemory>>20)
}

// coldMemory returns the anonymous memory of a node before a cold sync, and its most in it.
func (c *crowd) coldMemory(t *testing.T, late string) (idle, peak int) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(late)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestColdSyncChild$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s/p2p/%s %d", coldChild, dir, c.full.host.Addrs()[0], c.full.host.ID(), c.board.Log().Len()))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewScanner(stdout)
	wait := func(line string) {
		for out.Scan() && out.Text() != line {
		}
	}
	wait("idle")
	idle = memoryOf(t, cmd.Process.Pid, "RssAnon:")
	fmt.Fprintln(stdin)
	done := make(chan struct{})
	go func() { defer close(done); wait("done") }()
	peak = idle
	for over := false; !over; { // the kernel keeps no peak of anonymous memory
		select {
		case <-done:
			over = true
		case <-time.After(5 * time.Millisecond):
		}
		peak = max(peak, memoryOf(t, cmd.Process.Pid, "RssAnon:"))
	}
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return idle, peak
}

// memoryOf returns a line of what the kernel says of a process, in bytes.
func memoryOf(tb testing.TB, pid int, line string) int {
	tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte(line))
	kib, err := strconv.Atoi(string(bytes.Fields(append(rest, "0 0"...))[0]))
	if err != nil || kib == 0 {
		tb.Fatalf("the kernel says of %d: %s", pid, status)
	}
	return kib << 10
}
