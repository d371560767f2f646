package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ipfs/go-datastore"

	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestClaimsAreStored: every claim of an invite is there after a restart, in its place,
// also those that a store of format 1 has inside the invite. A store of a newer format,
// or one that lacks a claim, is refused.
func TestClaimsAreStored(t *testing.T) {
	n, ds := target(t, nil)
	made, err := n.Invite(t.Context(), InviteOptions{Kind: "friend"})
	if err != nil {
		t.Fatal(err)
	}
	const claims = 12 // as many as need two digits
	r := n.invites[made.ID]
	r.Uses = claims
	for i := range byte(claims) {
		c := invite.Claim{ID: fmt.Sprintf("r-%d", i), User: keys.Digest{i + 1}, Device: keys.New().ID(), Box: keys.NewBox().ID()}
		err := n.update(func(tx *tx) error {
			r, c, _ = r.Reserve(c, tx.now, true)
			tx.record(r)
			if i%3 == 0 {
				r, _, _ = r.Decide(c.JoinID, false, tx.now)
				tx.record(r)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	again := func() (*Node, error) { return New(n.host, ds, Config{Device: n.device, Vault: n.vault}) }
	same := func() {
		t.Helper()
		n, err := again()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r.Claims, n.invites[r.ID].Claims); diff != "" || len(r.Claims) != claims {
			t.Errorf("%d claims (-want +got):\n%s", len(r.Claims), diff)
		}
	}
	same()

	put := func(key string, value []byte) {
		t.Helper()
		if err := ds.Put(t.Context(), datastore.RawKey(key), value); err != nil {
			t.Fatal(err)
		}
	}
	del := func(key string) {
		t.Helper()
		if err := ds.Delete(t.Context(), datastore.RawKey(key)); err != nil {
			t.Fatal(err)
		}
	}
	v := func(format uint64) []byte { return binary.BigEndian.AppendUint64(nil, format) }
	key := claimKey(r.ID, claims)
	put(key, n.vault.Seal(key, keys.Marshal(r.Claims[0])))
	del(claimKey(r.ID, claims-1))
	if _, err := again(); !errors.Is(err, oplog.ErrCorrupt) {
		t.Errorf("without a claim: %v", err)
	}
	put("/v", v(format+1))
	if _, err := again(); code(t, err) != "data_newer" {
		t.Errorf("of a newer format: %v, want data_newer", err)
	}
	put("/v", v(format-1))
	if _, err := again(); code(t, err) != "data_older" {
		t.Errorf("of an older format: %v, want data_older", err)
	}
}
