package chain_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// at is when everything is written: no rule looks at it.
var at = time.UnixMilli(1_767_225_600_000)

// key returns the key of a device, or of words, by its name: the same each time.
func key(name string) keys.Private { return keys.FromSeed(sha256.Sum256([]byte("key " + name))) }

func id(name string) keys.ID { return key(name).ID() }

func ids(names ...string) (list []keys.ID) {
	for _, n := range names {
		list = append(list, id(n))
	}
	slices.SortFunc(list, compareIDs)
	return list
}

func box(name string) keys.BoxID {
	return keys.BoxFromSecret(sha256.Sum256([]byte("box " + name))).ID()
}

func compareIDs(a, b keys.ID) int         { return bytes.Compare(a[:], b[:]) }
func compareDigests(a, b keys.Digest) int { return bytes.Compare(a[:], b[:]) }
func compareVotes(a, b chain.Vote) int    { return compareIDs(a.Device, b.Device) }
func digest(name string) (d keys.Digest)  { return sha256.Sum256([]byte(name)) }

func must[T any](v T, err error) T { mustNot(err); return v }
func mustNot(err error) {
	if err != nil {
		panic(err)
	}
}

func compareCuts(x, y chain.Cut) int {
	return 2*compareIDs(x.Device, y.Device) + int(x.Strand) - int(y.Strand)
}

// cuts returns cuts at n of both strands of devices.
func cuts(n uint64, devices ...keys.ID) (list []chain.Cut) {
	devices = slices.Clone(devices)
	slices.SortFunc(devices, compareIDs)
	for _, d := range devices {
		list = append(list, chain.Cut{Device: d, Strand: oplog.Control, Count: n}, chain.Cut{Device: d, Strand: oplog.Content, Count: n})
	}
	return list
}

// epoch returns an epoch that follows the first.
func epoch(name string) chain.NextEpoch {
	return chain.NextEpoch{
		Commitment: digest("commitment " + name), Depth: 2, Replaces: []keys.Digest{digest("epoch before " + name)},
		Boxes: new(digest("boxes " + name)), Count: 2, UserBox: box("user " + name),
	}
}

// sign returns an op that a key writes with a body, whatever it says, after c, which is
// nil for a genesis.
func sign(c *chain.Chain, k keys.Private, body any) oplog.Op {
	t, ok := chain.TypeOf(body)
	if !ok {
		panic("no body of a chain op")
	}
	return signAs(c, k, t, keys.Marshal(body))
}

func signAs(c *chain.Chain, k keys.Private, t chain.Type, body []byte) oplog.Op {
	d := oplog.Draft{Strand: oplog.Control, Family: t.Family, Type: t.Type, At: at, Body: body}
	if c != nil {
		d.Entity, d.User, d.Parents = c.User(), c.User(), []keys.Digest{c.Head()}
		if t.Family != oplog.FamilyCheckpoint {
			for _, l := range c.Links() {
				if l.Op.Device() == k.ID() {
					d.Seq, d.Prev = l.Op.Seq()+1, l.Op.ID()
				}
			}
		}
	}
	return must(oplog.Sign(k, d))
}

// certified returns o with the votes of those named.
func certified(c *chain.Chain, o oplog.Op, names ...string) chain.Link {
	l := chain.Link{Op: o}
	for _, n := range names {
		l.Votes = append(l.Votes, c.Vote(key(n), o))
	}
	slices.SortFunc(l.Votes, compareVotes)
	return l
}

// begin returns the chain of a person whose first device has a name.
func begin(name string) *chain.Chain {
	genesis := chain.Genesis{Kind: 1, Nonce: [16]byte{1}, Words: id("words"), Class: chain.Desktop, Box: box(name)}
	c := must(chain.Start(chain.Link{Op: sign(nil, key(name), genesis)}))
	first := chain.FirstEpoch{Commitment: digest("first"), Depth: 1, UserBox: box("user"), Chain: c.Next()}
	return must(c.Extend(chain.Link{Op: sign(c, key(name), first)}))
}

func addOf(c *chain.Chain, name string) chain.DeviceAdd {
	return chain.DeviceAdd{
		Device: id(name), Class: chain.Phone, Box: box(name), Ref: [16]byte{1}, Weight: chain.Learner, Chain: c.Next(),
		Consent: key(name).Sign(keys.PurposeLink, chain.Consent(c.User(), id(name), box(name))),
	}
}

func removeOf(c *chain.Chain, name string, voters ...string) chain.DeviceRemove {
	b := chain.DeviceRemove{Device: id(name), Cuts: cuts(1, id(name)), Epoch: epoch(name), Chain: c.Next()}
	if c.State().Votes(id(name)) {
		b.Voters = ids(voters...)
		b.Ready = readiness(c, voters...)
	}
	if c.State().Anchor == id(name) && len(voters) > 0 {
		b.Anchor = new(id(voters[0]))
	}
	return b
}

func votersOf(c *chain.Chain, names ...string) chain.SetVoters {
	return chain.SetVoters{Voters: ids(names...), Ready: readiness(c, names...), Chain: c.Next()}
}

// readiness returns that of those who are no voters.
func readiness(c *chain.Chain, names ...string) (ready []chain.Vote) {
	for _, n := range names {
		if !c.State().Votes(id(n)) {
			ready = append(ready, c.Ready(key(n), box(n)))
		}
	}
	slices.SortFunc(ready, compareVotes)
	return ready
}

// resetOf returns a RESET after which the survivors are as named and vote.
func resetOf(c *chain.Chain, survivors []string, voters []string) chain.Reset {
	b := chain.Reset{Epoch: epoch("reset " + strings.Join(survivors, " ")), Voters: ids(voters...), Anchor: id(voters[0]), Chain: c.Next()}
	for _, n := range survivors {
		d, in := c.State().Device(id(n))
		s := chain.Survivor{Device: id(n), Class: chain.Phone, Box: box(n)}
		if in {
			s.Class = d.Class
		}
		if !in || slices.Contains(voters, n) && !c.State().Votes(id(n)) {
			s.Ready = new(c.Ready(key(n), box(n)).Sig)
		}
		b.Survivors = append(b.Survivors, s)
	}
	slices.SortFunc(b.Survivors, func(x, y chain.Survivor) int { return compareIDs(x.Device, y.Device) })
	for _, d := range c.State().Devices() {
		if !slices.ContainsFunc(b.Survivors, func(s chain.Survivor) bool { return s.Device == d.ID }) {
			b.Cuts = append(b.Cuts, cuts(3, d.ID)...)
		}
	}
	slices.SortFunc(b.Cuts, compareCuts)
	return b
}

func wordsOf(c *chain.Chain, old, next string) chain.NewWords {
	return chain.NewWords{Words: id(next), Sig: c.SignWords(key(old), id(next)), Chain: c.Next()}
}

func movedOf(c *chain.Chain, words string) chain.Moved {
	b := chain.Moved{To: digest("another person"), Head: digest("their head"), Chain: c.Next()}
	if words != "" {
		b.Sig = new(c.SignMoved(key(words), b.To, b.Head))
	}
	return b
}

// alone extends a chain by ops that its sole voter writes.
func alone(c *chain.Chain, name string, bodies ...func(*chain.Chain) any) *chain.Chain {
	for _, b := range bodies {
		c = must(c.Extend(chain.Link{Op: sign(c, key(name), b(c))}))
	}
	return c
}

// household returns a chain whose devices are alive; the first of them made the others, and
// voters decide.
func household(devices, voters []string) *chain.Chain {
	name := fmt.Sprint(devices, voters)
	if c, ok := households.Load(name); ok {
		return c.(*chain.Chain)
	}
	c := found(devices, voters)
	households.Store(name, c)
	return c
}

// households are those made before: a chain does not change.
var households sync.Map

func found(devices, voters []string) *chain.Chain {
	first := devices[0]
	c := begin(first)
	for _, n := range devices[1:] {
		c = alone(c, first, func(c *chain.Chain) any { return addOf(c, n) },
			func(c *chain.Chain) any {
				return chain.DeviceClass{Device: id(n), Class: chain.Desktop, Chain: c.Next()}
			})
	}
	if len(voters) > 0 && !slices.Equal(voters, devices[:1]) {
		c = alone(c, first, func(c *chain.Chain) any { return votersOf(c, voters...) })
	}
	return c
}

// three is the household most tests are about.
func three(*testing.T) *chain.Chain {
	return household([]string{"A", "B", "C", "D"}, []string{"A", "B", "C"})
}
