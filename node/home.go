package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/ipfs/go-datastore"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

// maxSocketPath is how long the path of a unix socket may be (sun_path of Linux,
// less its ending zero).
const maxSocketPath = 107

// Paths names the places of a node.
type Paths struct {
	Home   string `json:"home"`
	Store  string `json:"store"`
	Socket string `json:"socket"`
	Log    string `json:"log"`
}

// Home is the directory that holds everything of one node.
type Home struct{ paths Paths }

// OpenHome returns the home in dir, or by the XDG rules where dir is empty: data,
// state and runtime directories. It makes directories (0700) and refuses a home
// that others may write to.
func OpenHome(dir string) (*Home, error) {
	var p Paths
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("home: %w", err)
		}
		p = Paths{Home: abs, Store: filepath.Join(abs, "store"), Socket: filepath.Join(abs, "node.sock"), Log: filepath.Join(abs, "node.log")}
	} else {
		user, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("home: %w", err)
		}
		data := filepath.Join(xdg("XDG_DATA_HOME", filepath.Join(user, ".local", "share")), "pttnode")
		state := filepath.Join(xdg("XDG_STATE_HOME", filepath.Join(user, ".local", "state")), "pttnode")
		run := filepath.Join(xdg("XDG_RUNTIME_DIR", state), "pttnode")
		p = Paths{Home: data, Store: filepath.Join(data, "store"), Socket: filepath.Join(run, "node.sock"), Log: filepath.Join(state, "node.log")}
	}
	if len(p.Socket) > maxSocketPath {
		sum := sha256.Sum256([]byte(p.Home))
		run := xdg("XDG_RUNTIME_DIR", os.TempDir())
		p.Socket = filepath.Join(run, "pttnode-"+strconv.Itoa(os.Getuid()), hex.EncodeToString(sum[:8])+".sock")
	}
	for _, d := range []string{p.Home, filepath.Dir(p.Socket), filepath.Dir(p.Log)} {
		if err := privateDir(d); err != nil {
			return nil, err
		}
	}
	return &Home{paths: p}, nil
}

func xdg(name, fallback string) string {
	if dir := os.Getenv(name); filepath.IsAbs(dir) {
		return dir
	}
	return fallback
}

// privateDir makes a directory that only its owner may enter.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("home: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("home: %w", err)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return because("denied", fmt.Errorf("%s is open to others: %w", dir, err))
	}
	return nil
}

// Paths returns where everything is.
func (h *Home) Paths() Paths { return h.paths }

func (h *Home) file(name string) string { return filepath.Join(h.paths.Home, name) }

// HasIdentity reports whether Init was done here.
func (h *Home) HasIdentity() bool {
	_, err := os.Stat(h.file("identity"))
	return err == nil
}

// Lock takes the home for this process. When another one has it the error is
// locked and names that process.
func (h *Home) Lock() (unlock func() error, err error) {
	l := flock.New(h.file("lock"), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", h.paths.Home, err)
	}
	pid := h.file("pid")
	if !ok {
		holder, _ := os.ReadFile(pid) // best effort: the text names who, the lock decides
		return nil, refuse("locked", "home", h.paths.Home, "holder", strings.TrimSpace(string(holder)))
	}
	text := fmt.Sprintf("%d since %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	if err := os.WriteFile(pid, []byte(text), 0o600); err != nil {
		_ = l.Unlock()
		return nil, fmt.Errorf("lock %s: %w", h.paths.Home, err)
	}
	return l.Unlock, nil
}

// InitOptions is what a new identity is made of.
type InitOptions struct {
	Name       string
	DeviceName string
	Passphrase []byte // seals the keys; a random key file does when empty
}

// InitResult is shown once: the recovery words are nowhere else.
type InitResult struct {
	User          UserView   `json:"user"`
	Device        DeviceView `json:"device"`
	RecoveryWords string     `json:"recovery_words"`
}

// Init makes a new identity in the home. It is complete when the identity file
// stands; a crash before leaves a home without one. It fails with has_identity
// the second time.
func (h *Home) Init(ctx context.Context, o InitOptions) (InitResult, error) {
	var res InitResult
	if !ValidName(o.Name) || !ValidName(o.DeviceName) {
		return res, refuse("usage", "what", "a name is one line of 1 to 64 bytes")
	}
	err := h.found(o.Passphrase, nil, func(ds datastore.Batching, key keys.Private, vault keys.Vault) error {
		user, recovery, err := Found(ctx, ds, Founding{
			Device: key, Vault: vault, Name: o.Name, DeviceName: o.DeviceName, Class: entity.Desktop, Now: time.Now(),
		})
		if err == nil {
			res = InitResult{User: user, Device: DeviceView{ID: key.ID(), Name: o.DeviceName}, RecoveryWords: keys.Words(recovery)}
		}
		return err
	})
	return res, err
}

// found makes the keys of this home's device, has the store filled, and at last
// writes the identity file. It does nothing when resume knows what is there.
func (h *Home) found(
	passphrase []byte, resume func(*Node) bool, fill func(datastore.Batching, keys.Private, keys.Vault) error,
) error {
	unlock, err := h.Lock()
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }()
	if resumed, err := h.vacant(passphrase, resume); err != nil || resumed {
		return err
	}
	// What is here is of an init that did not finish, or of a linking that ended. The
	// identity goes first: after a crash from here on the home is one without.
	if err := h.removeIdentity(); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	if err := os.RemoveAll(h.paths.Store); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	vault, err := h.newVault(passphrase)
	if err != nil {
		return err
	}
	ds, err := openStore(h.paths.Store)
	if err != nil {
		return err
	}
	device := keys.New()
	if err = errors.Join(fill(ds, device, vault), ds.Close()); err != nil {
		return err
	}
	seed := device.Secret()
	return writeFile(h.file("identity"), vault.Seal("identity", seed[:]))
}

// InitDeviceOptions is what a device needs to become another one of a person.
type InitDeviceOptions struct {
	Link       string // the device link
	DeviceName string
	Passphrase []byte
}

// InitDevice begins to link the home's device to a person who has an identity: it
// makes the device's keys and stores the request. The node that is started then
// carries it on until the device is alive. The same link again is the same request,
// as long as that has not ended. It fails with has_identity, with linking while
// another link is tried, and with the code of a link that is none or of another kind.
func (h *Home) InitDevice(ctx context.Context, o InitDeviceOptions) (device DeviceView, request string, err error) {
	if !ValidName(o.DeviceName) {
		return device, "", refuse("usage", "what", "a name is one line of 1 to 64 bytes")
	}
	link, err := invite.Parse(o.Link)
	if err != nil {
		return device, "", linkCode(err)
	}
	if link.Kind != entity.Me {
		return device, "", refuse("link_kind", "kind", linkKind(link.Kind))
	}
	resume := func(n *Node) bool {
		for _, a := range n.attempts {
			if a.Ref == link.Keys().Ref && !a.State.Terminal() {
				device, request = DeviceView{ID: n.device.ID(), Name: n.self.Device}, a.ID
			}
		}
		return request != ""
	}
	err = h.found(o.Passphrase, resume, func(ds datastore.Batching, key keys.Private, vault keys.Vault) error {
		device = DeviceView{ID: key.ID(), Name: o.DeviceName}
		request, err = FoundDevice(ctx, ds, link, Founding{Device: key, Vault: vault, DeviceName: o.DeviceName, Now: time.Now()})
		return err
	})
	return device, request, err
}

// newVault writes what the vault key comes from: a random key file, or the salt
// of a passphrase.
func (h *Home) newVault(passphrase []byte) (keys.Vault, error) {
	key := keys.NewVaultKey()
	name := "key"
	if len(passphrase) > 0 {
		name = "salt"
	}
	for _, old := range []string{"key", "salt"} {
		if err := os.Remove(h.file(old)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return keys.Vault{}, fmt.Errorf("init: %w", err)
		}
	}
	if err := writeFile(h.file(name), key[:]); err != nil {
		return keys.Vault{}, err
	}
	if len(passphrase) > 0 {
		return keys.VaultFromPassphrase(passphrase, key), nil
	}
	return keys.OpenVault(key), nil
}

// open returns the device key and the vault. It fails with no_identity, and with
// denied for a wrong or missing passphrase.
func (h *Home) open(passphrase []byte) (keys.Private, keys.Vault, error) {
	sealed, err := os.ReadFile(h.file("identity"))
	if errors.Is(err, fs.ErrNotExist) {
		return keys.Private{}, keys.Vault{}, refuse("no_identity")
	}
	if err != nil {
		return keys.Private{}, keys.Vault{}, fmt.Errorf("identity: %w", err)
	}
	var vault keys.Vault
	if salt, err := os.ReadFile(h.file("salt")); err == nil && len(salt) == 32 {
		if len(passphrase) == 0 {
			return keys.Private{}, keys.Vault{}, refuse("passphrase_needed")
		}
		vault = keys.VaultFromPassphrase(passphrase, [32]byte(salt))
	} else {
		key, err := os.ReadFile(h.file("key"))
		if err != nil || len(key) != 32 {
			return keys.Private{}, keys.Vault{}, because("denied", fmt.Errorf("key file: %w", err))
		}
		vault = keys.OpenVault([32]byte(key))
	}
	seed, err := vault.Open("identity", sealed)
	if err != nil || len(seed) != 32 {
		return keys.Private{}, keys.Vault{}, because("denied", err)
	}
	return keys.FromSeed([32]byte(seed)), vault, nil
}

// writeFile writes a private file so that it is there whole or not at all, and
// durable.
func writeFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // made 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, werr := f.Write(data)
	if err := errors.Join(werr, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// syncDir makes what was renamed or removed in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
