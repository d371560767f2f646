package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/namespace"
	"github.com/ipfs/go-datastore/query"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// quarantine is the control strand of an approval that did not carry all of it, while the
// rest is fetched (docs/PROTOCOL.md §6.6). It is no entity: nobody is shown it, served from
// it or told of it, and nothing is written in it. Each operation is judged by its own past
// as it comes, outside the node's lock, and is durable before the next frame is read. A
// quarantine is used by one goroutine.
type quarantine struct {
	name   string // of the request, or of the friendship and the entity
	eid    keys.Digest
	strand protocol.Strand
	begun  uint64 // operations that came with the approval

	e    *entity.Entity
	size uint64 // bytes of its operations
	keys []datastore.Key
}

// quarantineKey names what is kept of an approval beside its operations, which are below.
func quarantineKey(name string) string { return "/w/" + name }

// requestStrand names the quarantine of a request, friendStrand that of an entity of a
// friend, ownStrand that of one that another device of ours hands over.
func requestStrand(id string) string { return id }

func friendStrand(friend, entity keys.Digest) string {
	return "f-" + friend.String() + "-" + entity.String()
}
func ownStrand(entity keys.Digest) string { return "o-" + entity.String() }

// newQuarantine begins with what came with an approval.
func newQuarantine(name string, strand protocol.Strand, e *entity.Entity) *quarantine {
	q := &quarantine{name: name, eid: e.ID(), strand: strand, e: e, begun: uint64(e.Log().Len())}
	for o := range e.Log().All(oplog.Control) {
		q.size += uint64(len(o.Envelope()))
	}
	q.e.State() // so that what follows in a row is judged by it
	return q
}

// whole reports whether all heads that the approval named are here.
func (q *quarantine) whole() bool { return q.e.Holds(q.strand.Heads) }

// full reports whether it can take no more and is not whole: what came is of no use.
func (q *quarantine) full() bool {
	most, size := q.strand.Most()
	return !q.whole() && (q.have() >= most || q.size+oplog.MaxControl > size)
}

// have returns how many operations are here.
func (q *quarantine) have() uint64 { return uint64(q.e.Log().Len()) }

// all returns the writes that keep all operations.
func (q *quarantine) all() (puts []put) {
	q.keys = nil
	for o := range q.e.Log().All(oplog.Control) {
		puts = q.put(puts, o)
	}
	return puts
}

// put appends the write that keeps one of its operations.
func (q *quarantine) put(puts []put, o oplog.Op) []put {
	w := &below{prefix: quarantineKey(q.name), puts: puts}
	_ = q.e.Log().Put(context.Background(), w, o) // below.Put cannot fail
	q.keys = append(q.keys, w.puts[len(w.puts)-1].key)
	return w.puts
}

// strandWrites are the writes that keep an entity's control strand, made before the
// transaction that takes it: ten thousand of them under the lock would keep others waiting.
type strandWrites struct {
	of   *entity.Entity
	puts []put
}

// writes returns the writes that keep what is here as an entity.
func (q *quarantine) writes() *strandWrites {
	w := &below{}
	for o := range q.e.Log().All(oplog.Control) {
		_ = q.e.Log().Put(context.Background(), w, o) // below.Put cannot fail
	}
	return &strandWrites{q.e, w.puts}
}

// errBeyond says that a device brought more of a control strand than there can be of it.
var errBeyond = errors.New("node: more of a control strand than its approval said")

// add judges operations as they come and returns the writes that keep those that are new.
// It fails with errBeyond, and with errPayload at the first that is no control op.
func (q *quarantine) add(ops []oplog.Op) (puts []put, err error) {
	most, mostBytes := q.strand.Most()
	for _, o := range ops {
		if o.Strand() != oplog.Control {
			return puts, errPayload
		}
		size := uint64(len(o.Envelope()))
		if q.have() >= most || q.size+size > mostBytes {
			return puts, errBeyond
		}
		if added, err := q.e.Add(o); err != nil || !added {
			continue // of another entity, without what it builds on, or by somebody without the right to it
		}
		q.size += size
		puts = q.put(puts, o)
		if q.have()%refold == 0 {
			q.e.State() // after a checkpoint, or what is concurrent, it would stay unknown, and each op cost more
		}
	}
	return puts, nil
}

// below is where the operations of a quarantine are written: as those of a log, below a
// prefix of its own.
type below struct {
	prefix string
	puts   []put
}

// Put makes below a datastore.Write.
func (b *below) Put(_ context.Context, key datastore.Key, value []byte) error {
	b.puts = append(b.puts, put{datastore.RawKey(b.prefix + key.String()), value})
	return nil
}

// Delete completes datastore.Write.
func (b *below) Delete(_ context.Context, key datastore.Key) error {
	return b.Put(context.Background(), key, nil)
}

// loadStrand reads what is kept of a control strand; nil if that is nothing. What was
// judged before it was stored is not judged again.
func (n *Node) loadStrand(name string, eid keys.Digest, strand protocol.Strand, begun uint64) (*quarantine, error) {
	ctx := context.Background()
	logs, err := oplog.Load(ctx, namespace.Wrap(n.store.ds, datastore.RawKey(quarantineKey(name))), func(*oplog.Log) oplog.Source { return nil })
	if err != nil {
		return nil, fmt.Errorf("read quarantine %s: %w", name, err)
	}
	log := logs[eid]
	if log == nil {
		return nil, nil //nolint:nilnil // nothing is kept, and that is no failure
	}
	e, err := entity.Open(log)
	if err != nil {
		return nil, fmt.Errorf("read quarantine %s: %w", name, err)
	}
	q := newQuarantine(name, strand, e)
	q.begun = begun
	q.keys, err = n.quarantined(name)
	return q, err
}

// quarantined returns the keys of all that is kept under a name.
func (n *Node) quarantined(name string) ([]datastore.Key, error) {
	var out []datastore.Key
	res, err := n.store.ds.Query(context.Background(), query.Query{Prefix: quarantineKey(name), KeysOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read quarantine %s: %w", name, err)
	}
	defer res.Close()
	for e := range res.Next() {
		if e.Error != nil {
			return nil, fmt.Errorf("read quarantine %s: %w", name, e.Error)
		}
		out = append(out, datastore.RawKey(e.Key))
	}
	return out, nil
}

// drop deletes what was kept under a name.
func (tx *tx) drop(name string, stored []datastore.Key) {
	for _, key := range stored {
		tx.puts = append(tx.puts, put{key, nil})
	}
	tx.put(quarantineKey(name), nil)
}

// partial is a protocol.Partial as it is stored, sealed.
type partial struct {
	protocol.Partial
	Begun uint64 `cbor:"32,keyasint"` // operations that came with it
}

// dropStale deletes the quarantines of what is over: a process was killed, or a person
// cancelled, before they were.
func (n *Node) dropStale() {
	stored, err := n.quarantined("")
	if err != nil {
		n.log.Warn("quarantines", "err", err)
		return
	}
	byName := make(map[string][]datastore.Key)
	for _, key := range stored {
		name, _, _ := strings.Cut(strings.TrimPrefix(key.String(), quarantineKey("")), "/")
		byName[name] = append(byName[name], key)
	}
	if len(byName) == 0 {
		return
	}
	err = n.transact(func(tx *tx) error {
		for name, stored := range byName {
			if !n.fetches(name) {
				tx.drop(name, stored)
			}
		}
		return nil
	})
	if err != nil {
		n.log.Warn("quarantines", "err", err)
	}
}

// fetches reports whether a quarantine is still of use. The caller holds the lock.
func (n *Node) fetches(name string) bool {
	if a, ok := n.attempts[name]; ok {
		return a.Fetches()
	}
	parts := strings.Split(name, "-")
	eid, err := keys.ParseDigest(parts[len(parts)-1])
	if _, here := n.entities[eid]; err != nil || here {
		return false
	}
	if parts[0] != "f" {
		return parts[0] == "o" && n.self.Status == protocol.LinkPending
	}
	friend, err := keys.ParseDigest(parts[1])
	h, ok := n.entities[friend]
	return err == nil && ok && !h.State().Ended
}
