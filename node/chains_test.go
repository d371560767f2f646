package node

import (
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// chainMaker makes branches of the device chain of a person with one device.
type chainMaker struct {
	t             *testing.T
	device, words keys.Private
	base          *chain.Chain
}

func newChainMaker(t *testing.T) chainMaker {
	t.Helper()
	m := chainMaker{t: t, device: keys.New(), words: keys.New()}
	created, err := entity.CreateMe(entity.Author{Key: m.device, Now: time.Now()}, m.words.ID(), entity.Desktop, keys.NewBox().ID())
	if err != nil {
		t.Fatal(err)
	}
	if m.base, err = entity.OpenDeviceChain(created.DeviceChain()); err != nil {
		t.Fatal(err)
	}
	return m
}

// next returns the person's chain with one more op, written at a time.
func (m chainMaker) next(body any, at time.Time) *chain.Chain {
	m.t.Helper()
	typ, _ := chain.TypeOf(body)
	c := m.base
	d := oplog.Draft{
		Entity: c.User(), User: c.User(), Strand: oplog.Control, Family: typ.Family, Type: typ.Type,
		Parents: []keys.Digest{c.Head()}, At: at, Body: keys.Marshal(body),
	}
	for _, l := range c.Links() {
		d.Seq, d.Prev = l.Op.Seq()+1, l.Op.ID()
	}
	o, err := oplog.Sign(m.device, d)
	if err != nil {
		m.t.Fatal(err)
	}
	link, err := c.Certify(o, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	if c, err = c.Extend(link); err != nil {
		m.t.Fatal(err)
	}
	return c
}

// TestChainsAreBounded: of a person who shows one branch of their device chain after the
// other a node has so many, in memory and on disk, and the same after a restart.
func TestChainsAreBounded(t *testing.T) {
	t.Parallel()
	ds := dssync.MutexWrap(datastore.NewMapDatastore())
	device, vault := keys.New(), keys.OpenVault(keys.NewVaultKey())
	n := found(t, ds, "alice", device, vault)
	m := newChainMaker(t)
	user := m.base.User()
	show := func(c *chain.Chain) {
		t.Helper()
		if err := n.update(func(tx *tx) error { tx.chain(c); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for i := range chain.MaxBranches + 2 {
		body := chain.DeviceClass{Device: m.device.ID(), Class: chain.Class(entity.Phone), Chain: m.base.Next()}
		show(m.next(body, time.Unix(int64(i), 0)))
	}
	words := keys.New().ID()
	best := m.next(chain.NewWords{Words: words, Sig: m.base.SignWords(m.words, words), Chain: m.base.Next()}, time.Now())
	show(best) // takes the place of another one
	held := n.chains[user]
	if held.Len() != chain.MaxBranches || !held.Has(best) {
		t.Errorf("%d branches are held, the best among them: %v; want %d with it", held.Len(), held.Has(best), chain.MaxBranches)
	}
	want := m.base.Len() + held.Len() // each has one op of its own
	stored := 0
	if err := n.scan("/c", func(key string, _ []byte) error {
		if strings.HasPrefix(key, "/c/"+user.String()+"/") {
			stored++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if stored != want {
		t.Errorf("%d ops of the chain are on disk, want %d", stored, want)
	}
	if again := reopen(t, ds, device, vault).chains[user]; !again.Equal(held) {
		t.Errorf("after a restart there are %d branches, before %d", again.Len(), held.Len())
	}
}
