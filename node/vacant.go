package node

import (
	"errors"
	"io/fs"
	"os"

	"pttnode/entity"
	"pttnode/invite"
)

// vacant says whether the home's identity file, if there is one, may be replaced:
// when it is of a linking that ended without an identity. It fails with
// has_identity, and with linking while one goes on; resumed says that resume knew
// it.
func (h *Home) vacant(passphrase []byte, resume func(*Node) bool) (resumed bool, err error) {
	if !h.HasIdentity() {
		return false, nil
	}
	device, vault, err := h.open(passphrase)
	if err != nil {
		return false, because("has_identity", err) // whatever it is of, it stays
	}
	ds, err := openStore(h.paths.Store)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, ds.Close()) }()
	n, err := New(nil, ds, Config{Device: device, Vault: vault})
	if err != nil {
		return false, err
	}
	if resume != nil && resume(n) {
		return true, nil
	}
	for _, a := range n.attempts {
		if a.Kind != entity.Me {
			continue
		}
		unheard := a.Withdrawing() && n.now().After(a.GiveUp()) // cancelled by a person; who made the link may be gone for good
		if n.unfinished(a) && !unheard || a.State == invite.AttemptSyncing {
			return false, refuse("linking")
		}
	}
	if n.me != nil {
		return false, refuse("has_identity", "name", n.name())
	}
	return false, nil
}

// Vacant returns nil when Init may make an identity here: has_identity, or linking
// while this device is being linked, tell why not. What a linking that failed has
// left counts as nothing.
func (h *Home) Vacant(passphrase []byte) error {
	if !h.HasIdentity() {
		return nil
	}
	unlock, err := h.Lock()
	if err != nil {
		return err
	}
	_, err = h.vacant(passphrase, nil)
	return errors.Join(err, unlock())
}

// Forget makes a home as new whose device was refused. It does nothing where there
// is nothing, and fails as Vacant does.
func (h *Home) Forget(passphrase []byte) error {
	if !h.HasIdentity() {
		return nil
	}
	unlock, err := h.Lock()
	if err != nil {
		return err
	}
	if _, err = h.vacant(passphrase, nil); err == nil {
		err = h.removeIdentity() // without it all else is of an init that did not finish
	}
	return errors.Join(err, unlock())
}

func (h *Home) removeIdentity() error {
	switch err := os.Remove(h.file("identity")); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return syncDir(h.paths.Home)
}
