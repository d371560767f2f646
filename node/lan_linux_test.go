package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"pttnode/keys"
	"pttnode/protocol"
)

// inLAN is the variable of a test process with a network of its own.
const inLAN = "PTTNODE_TEST_LAN"

// TestLAN: a requester whose link has no address that works finds the issuer on the
// local network; nobody dials a stranger there, and without the flag nobody is
// found. It runs in a network namespace with one interface.
func TestLAN(t *testing.T) {
	if os.Getenv(inLAN) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLAN$", "-test.v")
		cmd.Env = append(os.Environ(), inLAN+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		out, err := cmd.CombinedOutput()
		switch {
		case errors.Is(err, syscall.EPERM):
			t.Skip("a network namespace needs root: ", err)
		case strings.Contains(string(out), "--- SKIP"):
			t.Skipf("in the namespace: %s", out)
		case err != nil:
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	for _, args := range []string{
		"link set lo up", "link add lan0 type veth peer name lan1", "link set lan1 up", "addr add 10.123.0.1/24 dev lan0", "link set lan0 multicast on up",
		"route add default dev lan0",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Skipf("ip %s: %v %s", args, err, out)
		}
	}
	alice, bob, carol := lanNode(t, "alice", true), lanNode(t, "bob", true), lanNode(t, "carol", true)
	deaf := lanNode(t, "dave", false)
	link := func() string {
		inv, err := alice.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev", Auto: true, Addrs: []string{"/ip4/10.123.0.1/tcp/9"}})
		if err != nil {
			t.Fatal(err)
		}
		return inv.Link
	}
	if _, err := alice.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"}); err != nil {
		t.Fatal(err)
	}
	off, err := deaf.Join(t.Context(), link(), "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := bob.Join(t.Context(), link(), "")
	if err != nil {
		t.Fatal(err)
	}
	changed, stop := bob.Watch()
	defer stop()
	limit := time.After(40 * time.Second) // the library asks seldom
	for r.State != "done" {
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("bob did not find alice: %+v", r)
		}
		if r, err = bob.Request(r.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got := carol.host.Network().Peers(); len(got) != 0 {
		t.Errorf("carol, whom nobody knows, is connected to %v", got)
	}
	if v, err := deaf.Request(off.ID); err != nil || v.State == "done" || len(deaf.host.Network().Peers()) != 0 {
		t.Errorf("without LAN a node was found: %+v, %v", v, err)
	}
}

func lanNode(t *testing.T, name string, lan bool) *Node {
	t.Helper()
	home, err := OpenHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := home.Init(t.Context(), InitOptions{Name: name, DeviceName: name}); err != nil {
		t.Fatal(err)
	}
	n, err := Start(t.Context(), home, StartOptions{Listen: []string{"/ip4/10.123.0.1/tcp/0"}, LAN: lan, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, n.Close()); err != nil {
			t.Error(err)
		}
	})
	return n
}

// TestFoundNear: who is worth a dial when he announces himself, and at which of the
// addresses that he names.
func TestFoundNear(t *testing.T) {
	n, h, inv := boardTarget(t, InviteOptions{Auto: true})
	f := finder{n, t.Context()}
	n.runCtx = t.Context()
	find := func(d keys.ID, addr string) {
		p, err := peerID(d)
		if err != nil {
			t.Fatal(err)
		}
		f.HandlePeerFound(peer.AddrInfo{ID: p, Addrs: []ma.Multiaddr{ma.StringCast(addr)}})
	}
	known := func(d keys.ID) int {
		p, _ := peerID(d)
		return len(n.host.Peerstore().Addrs(p))
	}
	c, stranger := newClaimant(t), keys.New().ID()
	n.commitInviting(c.key.ID(), inv.ID, c.reserve(h))
	find(stranger, "/ip4/10.0.0.1/tcp/1")
	find(c.key.ID(), "/ip4/10.0.0.2/tcp/1")
	if known(stranger) != 0 || known(c.key.ID()) != 0 || len(n.near) != 2 {
		t.Errorf("a stranger and who has only asked: dialled at %d and %d addresses, %d remembered; want none, 2", known(stranger), known(c.key.ID()), len(n.near))
	}
	n.commitInviting(c.key.ID(), inv.ID, &protocol.Change{Approve: &n.invites[inv.ID].Claims[0].JoinID})
	find(c.key.ID(), "/ip4/203.0.113.1/tcp/1")
	if known(c.key.ID()) != 0 {
		t.Error("a member is dialled far away, since somebody near said so")
	}
	find(c.key.ID(), "/ip4/10.0.0.2/tcp/1")
	if known(c.key.ID()) != 1 {
		t.Error("a member that announced himself is not dialled")
	}
	for range 2 * maxNear {
		find(keys.New().ID(), "/ip4/10.0.0.3/tcp/1")
	}
	if len(n.near) > maxNear {
		t.Errorf("%d announcements are remembered, want at most %d", len(n.near), maxNear)
	}
	n.wg.Wait()
	got := localAddrs([]ma.Multiaddr{
		ma.StringCast("/ip4/203.0.113.7/tcp/1"), ma.StringCast("/ip4/192.168.1.7/tcp/1"), ma.StringCast("/dns4/example.org/tcp/1"),
		ma.StringCast("/ip6/2a00::1/tcp/1"), ma.StringCast("/ip6/fe80::1/tcp/1"), ma.StringCast("/ip4/10.0.0.1/udp/1/quic-v1"),
	})
	if len(got) != 3 {
		t.Errorf("of these addresses %v are taken, want the three of private networks", got)
	}
	var many []ma.Multiaddr
	for range 100 {
		many = append(many, ma.StringCast("/ip4/10.0.0.1/tcp/1"))
	}
	if got := len(localAddrs(many)); got != maxLANAddrs {
		t.Errorf("%d addresses of one announcement are taken, want %d", got, maxLANAddrs)
	}
}
