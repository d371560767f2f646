package node

import (
	"errors"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

// TestInitDeviceAgain: a home is begun again when its linking has ended without an
// identity, not before; and a crash while it is begun again leaves one that can be.
func TestInitDeviceAgain(t *testing.T) {
	link := func() string {
		l := invite.New(entity.Me, keys.Digest{1}, keys.New().ID(), invite.Options{Expires: time.Now().Add(time.Minute).Truncate(time.Second)})
		return l.URL()
	}
	h, err := OpenHome(homeDir(t))
	if err != nil {
		t.Fatal(err)
	}
	first := InitDeviceOptions{Link: link(), DeviceName: "phone"}
	device, request, err := h.InitDevice(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if d, r, err := h.InitDevice(t.Context(), first); err != nil || d != device || r != request {
		t.Errorf("the same link again: %v, %s, %v; want %v, %s", d, r, err, device, request)
	}
	if _, _, err := h.InitDevice(t.Context(), InitDeviceOptions{Link: link(), DeviceName: "phone"}); code(t, err) != "linking" {
		t.Errorf("another link meanwhile: %v, want linking", err)
	}
	if _, err := h.Init(t.Context(), InitOptions{Name: "alice", DeviceName: "laptop"}); code(t, err) != "linking" {
		t.Errorf("an identity meanwhile: %v, want linking", err)
	}
	end(t, h, request)

	crash := errors.New("crash")
	err = h.found(nil, nil, func(datastore.Batching, keys.Private, keys.Vault) error { return crash })
	if !errors.Is(err, crash) {
		t.Fatalf("begun again: %v, want the crash", err)
	}
	if _, err := h.Init(t.Context(), InitOptions{Name: "alice", DeviceName: "laptop"}); err != nil {
		t.Fatalf("after the crash: %v", err)
	}
	if _, _, err := h.InitDevice(t.Context(), first); code(t, err) != "has_identity" {
		t.Errorf("a link in a home with an identity: %v, want has_identity", err)
	}
}

// end cancels the request of a home whose node does not run.
func end(t *testing.T, h *Home, request string) {
	t.Helper()
	atRest(t, h, func(n *Node) error {
		_, err := n.Cancel(t.Context(), request)
		return err
	})
}

// atRest calls f with the node of a home, which does not run.
func atRest(t *testing.T, h *Home, f func(n *Node) error) {
	t.Helper()
	device, vault, err := h.open(nil)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := openStore(h.paths.Store)
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(nil, ds, Config{Device: device, Vault: vault})
	if err != nil {
		t.Fatal(err)
	}
	if err := f(n); err != nil {
		t.Fatal(err)
	}
	if err := ds.Close(); err != nil {
		t.Fatal(err)
	}
}
