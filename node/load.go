package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// load fills memory from the store.
func (n *Node) load(ctx context.Context) error {
	ds := n.store.ds
	v, err := ds.Get(ctx, datastore.RawKey("/v"))
	switch {
	case errors.Is(err, datastore.ErrNotFound):
		return refuse("no_identity")
	case err != nil:
		return fmt.Errorf("read store: %w", err)
	case len(v) != 8 || binary.BigEndian.Uint64(v) > format:
		return refuse("data_newer")
	case binary.BigEndian.Uint64(v) < format:
		return refuse("data_older")
	}
	if err := n.open("/n/self", &n.self); err != nil {
		return err
	}
	n.user = n.self.Me
	logs, err := oplog.Load(ctx, ds, n.shelf.of)
	if errors.Is(err, oplog.ErrVersion) {
		return because("data_newer", err)
	}
	if err != nil {
		return err
	}
	rings := make(map[keys.Digest]entity.Keyring)
	err = n.scan("/k", func(key string, value []byte) error {
		parts := strings.Split(key, "/")
		eid, err1 := keys.ParseDigest(parts[2])
		epoch, err2 := keys.ParseDigest(parts[3])
		secret, err3 := n.vault.Open(key, value)
		if err := errors.Join(err1, err2, err3); err != nil || len(secret) != 32 {
			return fmt.Errorf("%w: op-key: %w", oplog.ErrCorrupt, err)
		}
		if rings[eid] == nil {
			rings[eid] = entity.Keyring{}
		}
		rings[eid][epoch] = keys.OpKeyFromSecret([32]byte(secret))
		return nil
	})
	if err != nil {
		return err
	}
	for eid, log := range logs {
		e, err := entity.Open(log)
		if err != nil {
			return fmt.Errorf("%w: %w", oplog.ErrCorrupt, err)
		}
		switch {
		case eid == n.user:
			n.me = n.shelf.hold(e, rings[eid])
		default:
			n.entities[eid] = n.shelf.hold(e, rings[eid])
		}
	}
	if n.me == nil && !n.user.IsZero() {
		return fmt.Errorf("%w: our own identity is missing", oplog.ErrCorrupt)
	}
	if err := errors.Join(n.loadChains(), n.loadRecords(), n.loadDevices(), n.loadJournal(), n.loadUnshown()); err != nil {
		return err
	}
	n.foldMe()
	return nil
}

func (n *Node) loadRecords() error {
	err := scanSealed(n, "/i", func(_ string, r invite.Record) error {
		n.invites[r.ID], n.byIID[r.IID] = r, r.ID
		return nil
	})
	if err != nil {
		return err
	}
	err = scanSealed(n, "/u", func(key string, c invite.Claim) error {
		r := n.invites[strings.Split(key, "/")[2]]
		if r.ID == "" || key != claimKey(r.ID, len(r.Claims)) {
			return fmt.Errorf("%w: %s", oplog.ErrCorrupt, key)
		}
		r.Claims = append(r.Claims, &c)
		n.invites[r.ID] = r
		return nil
	})
	if err != nil {
		return err
	}
	err = scanSealed(n, "/a", func(_ string, a invite.Attempt) error {
		n.attempts[a.ID] = a
		return nil
	})
	if err != nil {
		return err
	}
	return n.scan("/p", func(key string, value []byte) error {
		device, err := keys.ParseID(strings.TrimPrefix(key, "/p/"))
		if err != nil {
			return fmt.Errorf("%w: %w", oplog.ErrCorrupt, err)
		}
		n.records[device] = value
		return nil
	})
}

func (n *Node) loadJournal() error {
	err := n.scan("/e", func(_ string, value []byte) error {
		var e Event
		if err := json.Unmarshal(value, &e); err != nil {
			return fmt.Errorf("%w: journal: %w", oplog.ErrCorrupt, err)
		}
		n.lastEvent = max(n.lastEvent, e.ID)
		n.remember(e)
		return nil
	})
	if err != nil {
		return err
	}
	err = n.scan("/r", func(key string, _ []byte) error {
		parts := strings.Split(key, "/")
		eid, err1 := keys.ParseDigest(parts[2])
		id, err2 := keys.ParseDigest(parts[3])
		n.markSeen(eid, id)
		return errors.Join(err1, err2)
	})
	if err != nil {
		return err
	}
	v, err := n.store.ds.Get(context.Background(), datastore.RawKey("/n/counter"))
	if err != nil && !errors.Is(err, datastore.ErrNotFound) {
		return fmt.Errorf("read store: %w", err)
	}
	if len(v) == 8 {
		n.counter = binary.BigEndian.Uint64(v)
	}
	return nil
}

// scan calls f with each entry below a prefix, in key order.
func (n *Node) scan(prefix string, f func(key string, value []byte) error) error {
	res, err := n.store.ds.Query(context.Background(), query.Query{Prefix: prefix, Orders: []query.Order{query.OrderByKey{}}})
	if err != nil {
		return fmt.Errorf("read store %s: %w", prefix, err)
	}
	defer res.Close()
	for e := range res.Next() {
		if e.Error != nil {
			return fmt.Errorf("read store %s: %w", prefix, e.Error)
		}
		if err := f(e.Key, e.Value); err != nil {
			return err
		}
	}
	return nil
}

// scanSealed calls f with each sealed record below a prefix, in key order.
func scanSealed[T any](n *Node, prefix string, f func(key string, record T) error) error {
	return n.scan(prefix, func(key string, value []byte) error {
		var record T
		if err := n.unseal(key, value, &record); err != nil {
			return err
		}
		return f(key, record)
	})
}

// open reads a sealed record by its key.
func (n *Node) open(key string, record any) error {
	v, err := n.store.ds.Get(context.Background(), datastore.RawKey(key))
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return n.unseal(key, v, record)
}

func (n *Node) unseal(key string, value []byte, record any) error {
	plain, err := n.vault.Open(key, value)
	if err != nil {
		return because("denied", fmt.Errorf("open %s: %w", key, err))
	}
	if err := keys.Unmarshal(plain, record); err != nil {
		return fmt.Errorf("%w: %s: %w", oplog.ErrCorrupt, key, err)
	}
	return nil
}
