package node

import (
	"bytes"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
)

// homeDir returns a directory for a home whose socket's path is short enough.
func homeDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "h")
	if err := os.Mkdir(dir, 0o755); err != nil { // as a careless person makes it
		t.Fatal(err)
	}
	return dir
}

// TestHomeIsPrivate: nobody but its owner may look into a home or at any file in
// it, whatever the umask and whoever made the directory.
func TestHomeIsPrivate(t *testing.T) {
	dir := homeDir(t)
	h, err := OpenHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Init(t.Context(), InitOptions{Name: "alice", DeviceName: "laptop"}); err != nil {
		t.Fatal(err)
	}
	n, err := Start(t.Context(), h, StartOptions{Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, name := range []string{".", "identity", "key", "lock", "pid", "store"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		// The store's own files stand behind two directories that nobody enters.
		if got := info.Mode().Perm(); name != "store" && got&0o077 != 0 {
			t.Errorf("%s has mode %o", name, got)
		}
		files++
	}
	if files == 0 {
		t.Error("no file was looked at")
	}
	// A home that was opened to others is closed again, or refused.
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenHome(dir); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("opened again it has mode %v, %v", info.Mode(), err)
	}
}

// TestHomeSealed: with a passphrase nothing in the home opens without it, and
// neither way does a seed stand in a file as it is.
func TestHomeSealed(t *testing.T) {
	for _, passphrase := range [][]byte{nil, []byte("correct horse")} {
		dir := homeDir(t)
		h, err := OpenHome(dir)
		if err != nil {
			t.Fatal(err)
		}
		res, err := h.Init(t.Context(), InitOptions{Name: "alice", DeviceName: "laptop", Passphrase: passphrase})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Init(t.Context(), InitOptions{Name: "again", DeviceName: "laptop"})
		if got := code(t, err); got != "has_identity" {
			t.Errorf("init twice: %q, want has_identity", got)
		}
		device, vault, err := h.open(passphrase)
		if err != nil || device.ID() != res.Device.ID {
			t.Fatalf("open: %v", err)
		}
		if passphrase != nil {
			if _, _, err := h.open(nil); code(t, err) != "passphrase_needed" {
				t.Errorf("without the passphrase: %v", err)
			}
			if _, _, err := h.open([]byte("wrong")); code(t, err) != "denied" {
				t.Errorf("with a wrong one: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "key")); err == nil {
				t.Error("a key file beside the passphrase")
			}
		}
		ds, err := openStore(h.paths.Store)
		if err != nil {
			t.Fatal(err)
		}
		n := &Node{store: &store{ds: ds}, vault: vault}
		if err := n.open("/n/self", &n.self); err != nil {
			t.Fatal(err)
		}
		seed := device.Secret()
		secrets := map[string][]byte{"device seed": seed[:], "device box": n.self.Box, "recovery words": []byte(firstWords(res.RecoveryWords))}
		err = n.scan("/k", func(key string, value []byte) error {
			secret, err := vault.Open(key, value)
			secrets[key] = secret
			return err
		})
		if err != nil || len(secrets) != 6 {
			t.Fatalf("%d secrets, %v", len(secrets), err)
		}
		if err := ds.Close(); err != nil {
			t.Fatal(err)
		}
		looked := 0
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			raw, err := os.ReadFile(path)
			looked += len(raw)
			for what, secret := range secrets {
				if bytes.Contains(raw, secret) || bytes.Contains(raw, []byte(hex.EncodeToString(secret))) {
					t.Errorf("%s stands in %s", what, path)
				}
			}
			return err
		})
		if err != nil || looked < 1000 {
			t.Errorf("looked at %d bytes, %v", looked, err)
		}
	}
}

func firstWords(words string) string { return strings.Join(strings.Fields(words)[:3], " ") }

// TestHomeLocked: two processes never have one home.
func TestHomeLocked(t *testing.T) {
	h, err := OpenHome(homeDir(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), h, StartOptions{}); code(t, err) != "no_identity" {
		t.Errorf("start before init: %v", err)
	}
	unlock, err := h.Lock()
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Lock()
	if code(t, err) != "locked" {
		t.Errorf("locked twice: %v", err)
	}
	if _, err := h.Init(t.Context(), InitOptions{Name: "alice", DeviceName: "laptop"}); code(t, err) != "locked" {
		t.Errorf("init in a locked home: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "two\nlines", strings.Repeat("x", entity.MaxName+1), "\x1b[2J"} {
		if _, err := h.Init(t.Context(), InitOptions{Name: name, DeviceName: "laptop"}); code(t, err) != "usage" {
			t.Errorf("the name %q: %v", name, err)
		}
	}
}

// TestSealedRecordsStayInTheirPlace: a sealed record does not open under another
// name, or with another vault: a thief who can write cannot move one.
func TestSealedRecordsStayInTheirPlace(t *testing.T) {
	n, ds := target(t, nil)
	if _, err := n.Invite(t.Context(), InviteOptions{Kind: "friend"}); err != nil {
		t.Fatal(err)
	}
	if _, err := New(n.host, ds, Config{Device: n.device, Vault: n.vault}); err != nil {
		t.Fatal(err)
	}
	if _, err := New(n.host, ds, Config{Device: n.device, Vault: keys.OpenVault(keys.NewVaultKey())}); code(t, err) != "denied" {
		t.Errorf("with another vault: %v, want denied", err)
	}
	err := n.scan("/i", func(key string, value []byte) error {
		var r struct{}
		if err := n.unseal("/i/i-zz", value, &r); err == nil {
			t.Errorf("%s opens under another name", key)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
