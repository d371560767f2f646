package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ipfs/go-datastore"

	"pttnode/entity"
	"pttnode/entity/me"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// tx is one transaction: it runs under the node's lock, changes memory, and
// collects what is to be written. Check first, change last.
type tx struct {
	n       *Node
	now     time.Time
	puts    []put
	held    []*oplog.Op                // queued with puts
	fresh   map[keys.Digest][]oplog.Op // new ops by entity, to be told to members
	from    keys.ID                    // who sent the new ops and need not be told
	spare   keys.ID                    // who gets our own new ops by another way
	claim   bool                       // a claim may have changed
	heard   bool                       // the new ops came by gossip, which forwards them
	brought []keys.Digest              // entities of which bodies came that were missing
	moved   []keys.Digest              // entities whose control strand or keys changed
	after   []func()                   // run when durable, without the lock
	strand  *strandWrites              // of an entity that this transaction takes from a quarantine
}

// update is transact for all that needs an identity; a device that is still being
// linked to its user has none, and gets linking.
func (n *Node) update(f func(tx *tx) error) error {
	return n.transact(func(tx *tx) error {
		if n.me == nil {
			return refuse("linking")
		}
		return f(tx)
	})
}

// transact runs f as a transaction and returns when it is durable. f's error is
// returned as it is; what f had changed by then is written all the same, since
// memory and disk must agree, and every step of ours can be repeated.
func (n *Node) transact(f func(tx *tx) error) error {
	finish, refused := n.begin(f)
	switch {
	case finish != nil:
		if err := finish(); err != nil {
			return err
		}
	case refused == nil:
		if err := n.store.settled(); err != nil { // what it read may be told
			return because("disk_full", err)
		}
	}
	return refused
}

// begin runs f as a transaction in memory and queues what it writes. finish, nil
// if that is nothing, waits until it is durable and does what follows; it must be
// called, once and without the lock.
func (n *Node) begin(f func(tx *tx) error) (finish func() error, refused error) {
	if err := n.store.ready(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	tx := &tx{n: n, now: n.now(), fresh: make(map[keys.Digest][]oplog.Op)}
	refused = f(tx)
	tx.follow()
	if len(tx.puts) == 0 {
		return nil, refused
	}
	b := n.store.enqueue(tx.puts, tx.held)
	n.news(tx)
	return func() error {
		if err := n.store.wait(b); err != nil {
			n.log.Error("store", "err", err)
			return because("disk_full", err)
		}
		for _, f := range tx.after {
			f()
		}
		n.tiesChanged()
		n.changed()
		return nil
	}, refused
}

// fail makes the store refuse everything from now on.
func (s *store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
}

func (tx *tx) author() entity.Author {
	return entity.Author{Key: tx.n.device, User: tx.n.user, Now: tx.now}
}

func (tx *tx) put(key string, value []byte) {
	tx.puts = append(tx.puts, put{datastore.RawKey(key), value})
}

// seal writes a record that holds secrets.
func (tx *tx) seal(key string, record any) {
	tx.put(key, tx.n.vault.Seal(key, keys.Marshal(record)))
}

// Put makes tx a datastore.Write for oplog.Put.
func (tx *tx) Put(_ context.Context, key datastore.Key, value []byte) error {
	tx.puts = append(tx.puts, put{key, value})
	return nil
}

// Delete completes datastore.Write.
func (tx *tx) Delete(_ context.Context, key datastore.Key) error {
	tx.puts = append(tx.puts, put{key, nil})
	return nil
}

// keep writes an operation that a log has.
func (tx *tx) keep(l *oplog.Log, o oplog.Op) {
	_ = l.Put(context.Background(), tx, o) // tx.Put cannot fail
	if o.Strand() == oplog.Control {
		return // its log has it
	}
	if q := tx.n.shelf.queue(o); q != nil {
		tx.held = append(tx.held, q)
	}
}

// ops writes operations that an entity already has, and has members told of them.
func (tx *tx) ops(e *entity.Entity, ops ...oplog.Op) {
	for _, o := range ops {
		tx.keep(e.Log(), o)
		tx.fresh[o.Entity()] = append(tx.fresh[o.Entity()], o)
		if o.Strand() == oplog.Control {
			tx.move(o.Entity())
		}
	}
}

// move notes that who may hear of an entity, or where, may have changed.
func (tx *tx) move(eid keys.Digest) {
	if !slices.Contains(tx.moved, eid) {
		tx.moved = append(tx.moved, eid)
	}
}

// opKey keeps the key of an epoch.
func (tx *tx) opKey(h *held, epoch keys.Digest, key keys.OpKey) {
	h.ring[epoch] = key
	tx.move(h.ID())
	name := keyKey(h.ID(), epoch)
	secret := key.Secret()
	tx.put(name, tx.n.vault.Seal(name, secret[:]))
}

func keyKey(entity, epoch keys.Digest) string { return "/k/" + entity.String() + "/" + epoch.String() }

// record stores an invite, and of its claims those that have changed: a link has up
// to a hundred, and each is written a few times.
func (tx *tx) record(r invite.Record) {
	tx.claim = true
	for _, i := range r.Changed(tx.n.invites[r.ID]) {
		tx.seal(claimKey(r.ID, i), r.Claims[i])
	}
	tx.n.invites[r.ID] = r
	tx.n.byIID[r.IID] = r.ID
	r.Claims = nil
	tx.seal("/i/"+r.ID, r)
}

// claimKey names the i-th claim of an invite; keys ascend as claims do.
func claimKey(id string, i int) string { return fmt.Sprintf("/u/%s/%03d", id, i) }

// attempt stores an outgoing request.
func (tx *tx) attempt(a invite.Attempt) {
	if old, ok := tx.n.attempts[a.ID]; !ok || old.State != a.State {
		tx.event("request.state", map[string]any{"id": a.ID, "to": a.State.String()})
	}
	tx.n.attempts[a.ID] = a
	tx.seal("/a/"+a.ID, a)
}

// shortID allocates an id shown to people, as "r-1c". Ids are never used twice
// and are no prefix of anything.
func (tx *tx) shortID(prefix string) string {
	tx.n.counter++
	tx.put("/n/counter", binary.BigEndian.AppendUint64(nil, tx.n.counter))
	return prefix + "-" + strconv.FormatUint(tx.n.counter, 36)
}

// event writes a journal entry (the ptt-oplog).
func (tx *tx) event(typ string, data map[string]any) {
	tx.n.lastEvent++
	e := Event{ID: tx.n.lastEvent, Type: typ, At: tx.now.UTC().Truncate(time.Millisecond), Data: data}
	tx.n.remember(e)
	tx.put(eventKey(e.ID), encodeEvent(e))
	if old := e.ID - maxEvents; e.ID > maxEvents {
		tx.put(eventKey(old), nil)
	}
}

// me writes an entry of the me-oplog.
func (tx *tx) me(typ uint16, body me.Body) error {
	about := tx.n.meLog.Replaces(typ, tx.n.device.ID(), body)
	o, err := tx.n.me.Write(tx.author(), tx.n.me.ring, oplog.FamilyMe, typ, about, body)
	if err != nil {
		return err
	}
	tx.ops(tx.n.me.Entity, o)
	return nil
}

// found stores a new entity of ours: its founding batch, key and me-oplog entry.
func (tx *tx) found(c entity.Created) (*held, error) {
	if err := tx.canJoin(); err != nil {
		return nil, err
	}
	h := tx.n.shelf.hold(c.Entity, nil)
	tx.n.entities[c.ID()] = h
	tx.ops(c.Entity, c.Ops...)
	tx.opKey(h, c.Epoch, c.Key)
	return h, tx.joinedEntry(h)
}

// join is CreateJoinEntity's batch (docs/PROTOCOL.md §6.2) for an entity that was
// checked: what is left of an earlier attempt is merged with, since a log only
// grows.
func (tx *tx) join(e *entity.Entity, ring entity.Keyring) (*held, error) {
	if err := tx.canJoin(); err != nil {
		return nil, err
	}
	h := tx.hold(e)
	if err := tx.merge(h, e, ring); err != nil {
		return nil, err
	}
	return h, tx.joinedEntry(h)
}

// hold returns the entity that is held under e's id, e itself if there is none.
func (tx *tx) hold(e *entity.Entity) *held {
	h, ok := tx.n.find(e.ID())
	if !ok {
		h = tx.n.shelf.hold(e, nil)
		tx.n.entities[e.ID()] = h
	}
	return h
}

// merge adds the control strand of a checked e, and keys that were checked against
// it, to h, which may be e itself.
func (tx *tx) merge(h *held, e *entity.Entity, ring entity.Keyring) error {
	if h.Entity == e && tx.strand != nil && tx.strand.of == e {
		tx.puts = append(tx.puts, tx.strand.puts...)
	} else {
		for o := range e.Log().All(oplog.Control) {
			if _, err := h.Add(o); err != nil {
				return fmt.Errorf("merge %v: %w", e.ID(), err)
			}
			tx.keep(h.Log(), o)
		}
	}
	for _, epoch := range slices.SortedFunc(mapKeys(ring), compareDigests) {
		tx.opKey(h, epoch, ring[epoch])
	}
	return nil
}

// canJoin says whether the me-oplog, which every new entity is entered in, can be
// written.
func (tx *tx) canJoin() error {
	if !tx.n.me.State().CanWrite(tx.n.user, tx.n.device.ID()) {
		return entity.ErrFrozen
	}
	return nil
}

// joinedEntry tells the user's other devices, under Me's op-key, how to have h.
func (tx *tx) joinedEntry(h *held) error {
	return tx.me(me.TypeJoined, &me.Joined{
		Entity: h.ID(), Kind: h.State().Kind, Heads: h.Log().Heads(oplog.Control),
		Addrs: tx.n.memberAddrs(h, 4), Keys: epochKeys(h.ring),
	})
}

func epochKeys(ring entity.Keyring) []entity.EpochKey {
	out := make([]entity.EpochKey, 0, len(ring))
	for _, id := range slices.SortedFunc(mapKeys(ring), compareDigests) {
		out = append(out, entity.EpochKey{Epoch: id, Key: ring[id].Secret()})
	}
	return out
}
