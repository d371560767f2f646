package node

import (
	"slices"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/entity/me"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// linkedTo returns a node that n's user has just let in as another device, status
// init, and the key of a third device of his, alive.
func linkedTo(t *testing.T, n *Node) (r *Node, third keys.Private) {
	t.Helper()
	ds := dssync.MutexWrap(datastore.NewMapDatastore())
	cfg := Config{Device: keys.New(), Vault: keys.OpenVault(keys.NewVaultKey())}
	l := invite.New(entity.Me, n.user, n.device.ID(), invite.Options{Expires: time.Now().Add(time.Minute).Truncate(time.Second)})
	if _, err := FoundDevice(t.Context(), ds, l, Founding{Device: cfg.Device, Vault: cfg.Vault, DeviceName: "new", Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	id, err := HostIdentity(cfg.Device)
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.Identity(id), libp2p.NoListenAddrs, libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	if r, err = New(h, ds, cfg); err != nil {
		t.Fatal(err)
	}
	third = keys.New()
	err = n.update(func(tx *tx) error {
		for _, d := range []struct {
			key keys.Private
			box keys.BoxID
		}{{third, keys.NewBox().ID()}, {r.device, r.box().ID()}} {
			consent := d.key.Sign(keys.PurposeLink, chain.Consent(n.user, d.key.ID(), d.box))
			o, err := entity.AddDevice(n.me.Entity, tx.author(), entity.NewDevice{ID: d.key.ID(), Box: d.box, Consent: consent}, entity.Phone)
			if err != nil {
				return err
			}
			tx.ops(n.me.Entity, o)
		}
		alive, err := entity.SetDeviceClass(n.me.Entity, tx.author(), third.ID(), entity.Phone)
		if err != nil {
			return err
		}
		tx.ops(n.me.Entity, alive)
		tx.listDevices()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	me, err := copyOf(n.me.Entity)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.transact(func(tx *tx) error { return tx.linked(&protocol.Joined{Entity: me, Ring: n.me.ring}) }); err != nil {
		t.Fatal(err)
	}
	return r, third
}

// TestAttackOtherOwnDevice: a stolen device of the user's, which does not decide on
// his device set, cannot tell a new one which profile and personal board are his.
func TestAttackOtherOwnDevice(t *testing.T) {
	n, _ := target(t, nil)
	r, third := linkedTo(t, n)
	party := n.me.State().Party("alice")
	by := entity.Author{Key: third, User: n.user, Now: time.Now()}
	body := protocol.InfoBody{In: n.user, Step: protocol.InitMeInfoSync, Ops: [][]byte{}}
	add := func(e *entity.Entity, ring entity.Keyring) {
		t.Helper()
		box, err := protocol.SealApproval(r.box().ID(), n.user, e.ID(), third.ID(), r.device.ID(), protocol.BoxBody{Keys: epochKeys(ring)})
		if err != nil {
			t.Fatal(err)
		}
		body.Approvals = append(body.Approvals, protocol.InfoApproval{
			Entity: e.ID(), Admit: e.Listing(n.user, r.device.ID()), Logs: e.ControlStrand(), Box: box, Kind: e.State().Kind,
		})
		recount(&body.Approvals[len(body.Approvals)-1])
	}
	add(n.me.Entity, n.me.ring)
	for _, g := range []entity.Genesis{{Kind: entity.Profile, Founder: &party}, personalBoard(true)} {
		g.Founder = &party
		c, err := entity.CreateEntity(by, g)
		if err != nil {
			t.Fatal(err)
		}
		add(c.Entity, entity.Keyring{c.Epoch: c.Key})
	}
	var sent [][]byte
	for _, b := range []protocol.InfoBody{{In: n.user, Step: protocol.InitMeInfo, Ops: [][]byte{}, Approvals: []protocol.InfoApproval{}}, body} {
		sent = append(sent, protocol.Frame(uint8(b.Step), keys.Marshal(protocol.SignInfo(third, r.device.ID(), b))))
	}
	l := newLine(slices.Concat(sent...), false)
	err := r.serveInfo(t.Context(), l.stream(third.ID()))
	if err == nil || !r.self.Profile.IsZero() || len(r.entities) != 0 || r.self.Status != protocol.LinkInit {
		t.Errorf("info of another device than the voter: %v; profile %v, %d entities, status %v; want nothing taken",
			err, r.self.Profile, len(r.entities), r.self.Status)
	}
}

// TestAttackForeignRequest: a stolen device that writes of a request which waits at
// another one does not have that one answer for ever.
func TestAttackForeignRequest(t *testing.T) {
	n, _ := target(t, nil)
	inv, err := n.Invite(t.Context(), InviteOptions{Kind: "friend"})
	if err != nil {
		t.Fatal(err)
	}
	c := newClaimant(t)
	p := c.me.State().Party("bob")
	n.commitInviting(c.key.ID(), inv.ID, &protocol.Change{Chain: c.chain(), Reserve: &invite.Claim{
		User: c.me.ID(), Device: c.key.ID(), Name: "bob", Box: p.Box, Head: p.Head, Devices: p.Devices,
	}})
	r := n.invites[inv.ID]
	if len(r.Claims) != 1 {
		t.Fatalf("claims: %+v, want one", r.Claims)
	}
	joinID := r.Claims[0].JoinID
	_, third := linkedTo(t, n)
	err = n.update(func(tx *tx) error {
		o, err := n.me.Write(entity.Author{Key: third, User: n.user, Now: time.Now()}, n.me.ring, oplog.FamilyMe, me.TypeRequest,
			keys.Digest{}, me.Asking{Ref: r.Ref, JoinID: joinID, Kind: r.Kind, Entity: r.EID, Device: c.key.ID(), State: uint8(invite.Denied)})
		if err == nil {
			tx.ops(n.me.Entity, o)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first one tells what is new
		if err := n.sweep(); err != nil {
			t.Fatal(err)
		}
	}
	before := n.me.Log().Len()
	if err := n.sweep(); err != nil {
		t.Fatal(err)
	}
	if got := n.me.Log().Len(); got != before {
		t.Errorf("each sweep writes %d entries because of a foreign one", got-before)
	}
}

// TestLeaveUnwanted: a board that let us in after we had cancelled is left, and our
// other devices are told so: they have nothing to fetch.
func TestLeaveUnwanted(t *testing.T) {
	n, _ := target(t, nil)
	c := newClaimant(t)
	party := c.me.State().Party("carol")
	b, err := entity.CreateEntity(c.author(), entity.Genesis{Kind: entity.Board, Founder: &party, Policy: &entity.Policy{
		Join: entity.JoinLink, History: entity.History{Mode: entity.HistoryAll},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ring := entity.Keyring{b.Epoch: b.Key}
	if _, err := entity.ApproveJoinEntity(b.Entity, c.author(), ring, entity.Admission{
		Party: n.me.State().Party("alice"), Role: entity.Member, Ref: new([16]byte{1}),
	}); err != nil {
		t.Fatal(err)
	}
	if err := n.transact(func(tx *tx) error {
		return tx.joined(&protocol.Joined{Entity: b.Entity, Ring: ring, Issuer: c.chain(), Leave: true})
	}); err != nil {
		t.Fatal(err)
	}
	if m, ok := n.entities[b.ID()].State().Member(n.user); !ok || m.Standing == entity.Active {
		t.Errorf("our place on the board: %+v, want none", m)
	}
	if _, ok := n.meLog.Entities[b.ID()]; ok {
		t.Error("our other devices are told to fetch a board that we left")
	}
}
