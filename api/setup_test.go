package api

import (
	"path/filepath"
	"strings"
	"testing"

	"pttnode/node"
)

// serveLinking starts a node whose device waits to be let in by alice.
func serveLinking(t *testing.T, alice *served) *served {
	t.Helper()
	v, err := alice.CreateInvite(t.Context(), NewInvite{Kind: "device"})
	if err != nil {
		t.Fatal(err)
	}
	home, err := node.OpenHome(filepath.Dir(socketIn(t)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := home.InitDevice(t.Context(), node.InitDeviceOptions{Link: v.Link, DeviceName: "phone"}); err != nil {
		t.Fatal(err)
	}
	return serveHome(t, home, node.StartOptions{})
}

// TestSetup: on a device that is being linked each route answers linking, but for
// those that show how far it is and end it.
func TestSetup(t *testing.T) {
	t.Parallel()
	s := serveLinking(t, serveNode(t))
	all := 0
	for _, r := range routes {
		if inSetup[r.pattern] {
			all++
			continue
		}
		method, path, _ := strings.Cut(r.pattern, " ")
		status, _, p := s.raw(t, method, strings.NewReplacer("{", "", "}", "").Replace(path), "")
		if p.Code != "linking" || status != 409 || p.Exit != ExitNotRunning {
			t.Errorf("%s: %d %q, want linking", r.pattern, status, p.Code)
		}
	}
	if all != len(inSetup) {
		t.Errorf("%d of %d patterns of inSetup are routes", all, len(inSetup))
	}
	status, err := s.Status(t.Context())
	if err != nil || status.State != "setup" || !status.User.ID.IsZero() || status.Device.Name != "phone" {
		t.Errorf("Status: %+v, %v, want setup of phone and nobody's", status, err)
	}
	requests, err := s.Requests(t.Context())
	if err != nil || len(requests) != 1 || requests[0].Kind != "device" || requests[0].Direction != "out" {
		t.Fatalf("Requests: %+v, %v, want the device's own", requests, err)
	}
	r, err := s.Cancel(t.Context(), requests[0].ID)
	if err != nil || r.State != "cancelled" {
		t.Errorf("Cancel: %+v, %v", r, err)
	}
}

// TestDeviceByRoutes lets a device in by the API alone.
func TestDeviceByRoutes(t *testing.T) {
	t.Parallel()
	alice := serveNode(t)
	phone, ctx := serveLinking(t, alice), t.Context()
	id, code, state := "", "", ""
	for _, err := range phone.Watch(ctx, FromNow) {
		if err != nil {
			t.Fatal(err)
		}
		all, err := phone.Requests(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if code = all[0].Code; code != "" {
			break
		}
	}
	in, err := alice.Requests(ctx)
	if err != nil || len(in) != 1 || in[0].Code != "" {
		t.Fatalf("alice's requests: %+v, %v, want one that does not tell its code", in, err)
	}
	id = in[0].ID
	if _, err := alice.Approve(ctx, id); codeOf(err) != "code_needed" {
		t.Errorf("Approve without a code: %v, want code_needed", err)
	}
	if _, err := alice.ApproveDevice(ctx, id, "x"+code[1:]); codeOf(err) != "wrong_code" || strings.Contains(err.Error(), code) {
		t.Errorf("ApproveDevice with another code: %v, want wrong_code, and no code in it", err)
	}
	if _, err := alice.ApproveDevice(ctx, id, code[:3]+" "+code[3:]); err != nil {
		t.Fatal(err)
	}
	for _, err := range phone.Watch(ctx, FromNow) {
		if err != nil {
			t.Fatal(err)
		}
		r, err := phone.Request(ctx, "r-1")
		if err != nil {
			t.Fatal(err)
		}
		if state = r.State; state == "done" {
			break
		}
	}
	me, err := phone.Me(ctx)
	if err != nil || me.User.Name != "alice" || me.Device.Name != "phone" {
		t.Errorf("Me on the phone, with its request %s: %+v, %v", state, me, err)
	}
	devices, err := phone.Devices(ctx)
	if err != nil || len(devices) != 2 || devices[0].Name != "laptop" || !devices[1].This {
		t.Errorf("Devices on the phone: %+v, %v", devices, err)
	}
}
