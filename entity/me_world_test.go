package entity_test

import (
	"crypto/sha256"
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// ours returns the device of a name: "founder" is the first one of the founder's Me.
func ours(name string) device {
	if name == "founder" {
		return device{Key: keys.FromSeed(sha256.Sum256([]byte(name))), Box: keys.BoxFromSecret(sha256.Sum256([]byte("box of " + name)))}
	}
	return newDevice(name)
}

func idsOf(names ...string) (ids []keys.ID) {
	for _, n := range names {
		ids = append(ids, ours(n).Key.ID())
	}
	return sorted(ids)
}

// on is the founder, writing with the device of a name.
func (w *world) on(tb testing.TB, name string) person { return w.Who(tb, "founder").By(ours(name).Key) }

// wordsKey is the key of recovery words by their name; the first are "founder".
func wordsKey(name string) keys.Private {
	return keys.FromSeed(sha256.Sum256([]byte("recovery of " + name)))
}

// recovery is p writing with the key of p's recovery words.
func recovery(p person) person { return p.By(wordsKey(p.Name)) }

// chain returns the furthest device chain of a Me; while it is forked what its branches share.
func (w *world) chain() *chain.Chain { return w.Person().Chain }

// draw signs an op of the device chain at the present heads.
func (w *world) draw(tb testing.TB, p person, body any) oplog.Op {
	tb.Helper()
	typ, ok := chain.TypeOf(body)
	if !ok {
		tb.Fatalf("%T is no body of a chain op", body)
	}
	d := w.Draft(p, oplog.Control, typ.Family, typ.Type, body)
	if typ.Family == oplog.FamilyCheckpoint {
		d.Seq, d.Prev = 0, keys.Digest{}
	}
	return sign(tb, p, d)
}

// put is draw, and the op is taken.
func (w *world) put(tb testing.TB, p person, body any) oplog.Op {
	tb.Helper()
	o := w.draw(tb, p, body)
	if added, err := w.Add(o); !added || err != nil {
		tb.Fatalf("Add %d/%d by %v = %v, %v", o.Family(), o.Type(), o.Device(), added, err)
	}
	return o
}

func addOf(c *chain.Chain, name string) chain.DeviceAdd {
	d := ours(name)
	return chain.DeviceAdd{
		Device: d.Key.ID(), Class: chain.Phone, Box: d.Box.ID(), Consent: d.Consent(c.User()), Ref: [16]byte{1, 2, 3},
		Weight: chain.Learner, Chain: c.Next(),
	}
}

func classOf(c *chain.Chain, name string, class chain.Class) chain.DeviceClass {
	return chain.DeviceClass{Device: ours(name).Key.ID(), Class: class, Chain: c.Next()}
}

// chainCuts returns cuts of the content of devices, each at n.
func chainCuts(n uint64, names ...string) (cuts []chain.Cut) {
	for _, id := range idsOf(names...) {
		cuts = append(cuts, chain.Cut{Device: id, Strand: oplog.Control, Count: 100}, chain.Cut{Device: id, Strand: oplog.Content, Count: n})
	}
	return cuts
}

// chainEpoch is the epoch that follows all there are, whose key is that of a name.
func (w *world) chainEpoch(name string) chain.NextEpoch {
	key := opKey(name)
	e := w.nextEpoch()
	return chain.NextEpoch{Commitment: key.Commitment(w.ID()), Depth: e.Depth, Replaces: e.Replaces, UserBox: key.UserBox().ID()}
}

func opKey(name string) keys.OpKey { return keys.OpKeyFromSecret(sha256.Sum256([]byte("key " + name))) }

// ready returns the readiness of those who are no voters.
func ready(c *chain.Chain, names ...string) (votes []chain.Vote) {
	for _, id := range idsOf(names...) {
		for _, n := range names {
			if d := ours(n); d.Key.ID() == id && !c.State().Votes(id) {
				votes = append(votes, c.Ready(d.Key, d.Box.ID()))
			}
		}
	}
	return votes
}

// removeOf removes a device that is no voter, of whose content n ops count.
func (w *world) removeOf(c *chain.Chain, name string, n uint64) chain.DeviceRemove {
	return chain.DeviceRemove{Device: ours(name).Key.ID(), Cuts: chainCuts(n, name), Epoch: w.chainEpoch("without " + name), Chain: c.Next()}
}

func votersOf(c *chain.Chain, names ...string) chain.SetVoters {
	return chain.SetVoters{Voters: idsOf(names...), Ready: ready(c, names...), Chain: c.Next()}
}

func newWordsOf(c *chain.Chain, old, next string) chain.NewWords {
	id := wordsKey(next).ID()
	return chain.NewWords{Words: id, Sig: c.SignWords(wordsKey(old), id), Chain: c.Next()}
}

// resetOf is a RESET after c that leaves some devices, of which the first alone decides. Of
// the content of each that goes n ops count.
func (w *world) resetOf(c *chain.Chain, n uint64, names ...string) chain.Reset {
	b := chain.Reset{Epoch: w.chainEpoch("RESET"), Voters: idsOf(names[0]), Anchor: ours(names[0]).Key.ID(), Chain: c.Next()}
	for _, id := range idsOf(names...) {
		d := ours(names[slices.IndexFunc(names, func(n string) bool { return ours(n).Key.ID() == id })])
		old, in := c.State().Device(id)
		s := chain.Survivor{Device: id, Class: chain.Phone, Box: d.Box.ID()}
		if in {
			s.Class = old.Class
		}
		if !in || b.Voters[0] == id && !c.State().Votes(id) {
			s.Ready = new(c.Ready(d.Key, d.Box.ID()).Sig)
		}
		b.Survivors = append(b.Survivors, s)
	}
	var gone []keys.ID
	for _, d := range c.State().Devices() {
		if !slices.Contains(idsOf(names...), d.ID) {
			gone = append(gone, d.ID)
		}
	}
	for _, id := range sorted(gone) {
		b.Cuts = append(b.Cuts, chain.Cut{Device: id, Strand: oplog.Control, Count: 100}, chain.Cut{Device: id, Strand: oplog.Content, Count: n})
	}
	return b
}

// note signs an entry of the me-oplog by the device of a name, at the present heads.
func (w *world) note(tb testing.TB, name string) oplog.Op {
	tb.Helper()
	p := w.on(tb, name)
	return sign(tb, p, w.Draft(p, oplog.Content, oplog.FamilyMe, 1, []byte("sealed")))
}

// noted is note, and the op is taken.
func (w *world) noted(tb testing.TB, name string) oplog.Op {
	tb.Helper()
	o := w.note(tb, name)
	if added, err := w.Add(o); !added || err != nil {
		tb.Fatalf("%s writes: %v, %v", name, added, err)
	}
	return o
}

// meOf is the Me of a founder with more devices, all alive.
func meOf(tb testing.TB, names ...string) *world {
	tb.Helper()
	w := found(tb, entity.Me)
	for _, n := range names {
		w.Link(tb, ours(n), entity.Phone)
		w.People[n] = w.on(tb, n)
	}
	return w
}

// both adds to each of two what the other has, also where a device signed beside itself.
func both(tb testing.TB, a, b *world) {
	tb.Helper()
	for _, side := range [][2]*world{{a, b}, {b, a}} {
		for _, o := range all(side[0].Entity) {
			if _, err := side[1].Add(o); err != nil {
				tb.Fatalf("what one accepted another refuses: %d/%d: %v", o.Family(), o.Type(), err)
			}
		}
	}
}

// devicesAre reports whether the devices of a Me are those named, in whatever order.
func (w *world) devicesAre(names ...string) bool {
	var got []keys.ID
	for _, d := range w.State().Devices {
		got = append(got, d.ID)
	}
	return slices.Equal(sorted(got), idsOf(names...))
}

// nextEpoch is the body of one more epoch of a Me, which changes no device.
func (w *world) nextEpoch() entity.Epoch {
	e := entity.Epoch{Commitment: keys.NewOpKey().Commitment(w.ID())}
	for id, i := range w.State().Epochs {
		if !i.Replaced {
			e.Depth, e.Replaces = max(e.Depth, i.Depth+1), append(e.Replaces, id)
		}
	}
	slices.SortFunc(e.Replaces, compare)
	return e
}
