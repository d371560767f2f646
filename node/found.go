package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ipfs/go-datastore"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// Founding is what a new identity is made of.
type Founding struct {
	Device     keys.Private
	Vault      keys.Vault
	Name       string // of the person
	DeviceName string
	Class      entity.Class
	Now        time.Time
}

// Found writes a new identity into an empty store, in one batch: Me with its
// first device, the profile and the personal board. It returns the user and the
// recovery key, whose private half the caller shows once and forgets.
func Found(ctx context.Context, ds datastore.Batching, f Founding) (UserView, keys.Private, error) {
	if _, err := ds.Get(ctx, datastore.RawKey("/v")); err == nil {
		return UserView{}, keys.Private{}, refuse("has_identity")
	}
	recovery, box := keys.New(), keys.NewBox()
	a := entity.Author{Key: f.Device, Now: f.Now}
	me, err := entity.CreateMe(a, recovery.ID(), f.Class, box.ID())
	if err != nil {
		return UserView{}, keys.Private{}, writeCode(err)
	}
	n := &Node{
		device: f.Device, vault: f.Vault, user: me.ID(), me: (*shelf)(nil).hold(me.Entity, nil),
		entities: make(map[keys.Digest]*held), records: make(map[keys.ID][]byte),
	}
	tx := &tx{n: n, now: f.Now, fresh: make(map[keys.Digest][]oplog.Op)}
	tx.ops(me.Entity, me.Ops...)
	tx.opKey(n.me, me.Epoch, me.Key)
	party := me.State().Party(f.Name)
	profile, err := tx.create(entity.Genesis{Kind: entity.Profile, Founder: &party})
	if err != nil {
		return UserView{}, keys.Private{}, writeCode(err)
	}
	board, err := tx.create(entity.Genesis{
		Kind: entity.Board, Founder: &party, Personal: true,
		Policy: &entity.Policy{Join: entity.JoinFriends, History: entity.History{Mode: entity.HistoryAll}},
	})
	if err != nil {
		return UserView{}, keys.Private{}, writeCode(err)
	}
	o, err := profile.Write(tx.author(), profile.ring, oplog.FamilyProfile, entity.TypeProfileSet, keys.Digest{}, entity.ProfileSet{Name: f.Name})
	if err != nil {
		return UserView{}, keys.Private{}, writeCode(err)
	}
	tx.ops(profile.Entity, o)
	if err := tx.nameDevice(f.Device.ID(), f.DeviceName); err != nil {
		return UserView{}, keys.Private{}, writeCode(err)
	}
	secret := box.Secret()
	tx.seal("/n/self", self{
		Me: me.ID(), Profile: profile.ID(), Board: board.ID(), Device: f.DeviceName, Box: secret[:], Recovery: recovery.ID(),
	})
	tx.put("/v", binary.BigEndian.AppendUint64(nil, format))
	s := &store{ds: ds}
	if err := s.wait(s.enqueue(tx.puts, nil)); err != nil {
		return UserView{}, keys.Private{}, because("disk_full", err)
	}
	return UserView{ID: me.ID(), Name: f.Name, Fingerprint: keys.Fingerprint(me.ID())}, recovery, nil
}

// FoundDevice writes a device that is to become one of a person's into an empty
// store, in one batch: its keys and the request with the link. It returns the
// request's short id.
func FoundDevice(ctx context.Context, ds datastore.Batching, l invite.Link, f Founding) (request string, err error) {
	if _, err := ds.Get(ctx, datastore.RawKey("/v")); err == nil {
		return "", refuse("has_identity")
	}
	n := &Node{device: f.Device, vault: f.Vault, attempts: make(map[string]invite.Attempt)}
	tx := &tx{n: n, now: f.Now, fresh: make(map[keys.Digest][]oplog.Op)}
	a := invite.NewAttempt(tx.shortID("r"), l, "", f.Now)
	tx.attempt(a)
	secret := keys.NewBox().Secret()
	tx.seal("/n/self", self{Device: f.DeviceName, Box: secret[:]})
	tx.put("/v", binary.BigEndian.AppendUint64(nil, format))
	s := &store{ds: ds}
	if err := s.wait(s.enqueue(tx.puts, nil)); err != nil {
		return "", because("disk_full", err)
	}
	return a.ID, nil
}

// create founds an entity of ours inside a transaction.
func (tx *tx) create(g entity.Genesis) (*held, error) {
	c, err := entity.CreateEntity(tx.author(), g)
	if err != nil {
		return nil, fmt.Errorf("create %v: %w", g.Kind, err)
	}
	return tx.found(c)
}
