package entity_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestChainOpOutsideItsPast: a chain op follows what is among its own ancestors, not what
// else the log has.
func TestChainOpOutsideItsPast(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second")
	f := w.Who(t, "founder")
	beside := w.clone(t)
	add := w.put(t, f, addOf(w.chain(), "third"))
	for name, p := range map[string]person{"the voter": f, "another": w.Who(t, "second"), "the words": recovery(f)} {
		for _, body := range []any{
			addOf(w.chain(), "fourth"), classOf(w.chain(), "third", chain.Phone), newWordsOf(w.chain(), "founder", "other"),
			w.resetOf(w.chain(), 0, "third"),
		} {
			o := beside.draw(t, p, body) // its parents are from before the op it follows
			if p.Key.ID() == f.Key.ID() {
				o = beside.drawAt(t, p, body, add)
			}
			checkRefused(t, w.Entity, o, entity.ErrNotAuthorized)
			if t.Failed() {
				t.Fatalf("%T by %s", body, name)
			}
		}
	}
	// One that is not here at all.
	far := beside.clone(t)
	far.put(t, f, addOf(far.chain(), "fourth"))
	checkRefused(t, w.Entity, w.draw(t, f, classOf(far.chain(), "fourth", chain.Phone)), entity.ErrNotAuthorized)
	w.put(t, f, classOf(w.chain(), "third", chain.Phone)) // the same with the right ancestors
	checkMe(t, w.Entity)
}

// drawAt is draw at the place in its device's chain of ops that another op has.
func (w *world) drawAt(tb testing.TB, p person, body any, at oplog.Op) oplog.Op {
	tb.Helper()
	typ, _ := chain.TypeOf(body)
	d := w.Draft(p, oplog.Control, typ.Family, typ.Type, body)
	if d.Seq, d.Prev = at.Seq(), at.Prev(); typ.Family == oplog.FamilyCheckpoint {
		d.Seq, d.Prev = 0, keys.Digest{}
	}
	return sign(tb, p, d)
}

// TestSecondSuccessor: the sole voter, or a copy of it, signs two ops at one place. Both are
// kept. What both branches have goes on, the rest is frozen; nobody decides until a RESET.
func TestSecondSuccessor(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second", "loser")
	f := w.Who(t, "founder")
	one, two := w.clone(t), w.clone(t)
	a := one.put(t, f, addOf(one.chain(), "third"))
	early := one.noted(t, "third") // under one branch alone
	b := two.put(t, f, two.removeOf(two.chain(), "loser", 0))
	onTop := two.put(t, f, addOf(two.chain(), "fourth"))
	both(t, one, two)
	for name, x := range map[string]*world{"who had the one first": one, "who had the other first": two} {
		s := x.State()
		v := x.Person()
		if !v.Forked() || v.ByReset || !x.devicesAre("founder", "second") || s.DeviceHead != w.State().DeviceHead || s.Voters() != nil || !s.UserBox.IsZero() {
			t.Errorf("%s: devices %+v, head %v, voters %v", name, s.Devices, s.DeviceHead, s.Voters())
		}
		for _, o := range []oplog.Op{a, b, onTop, early} {
			if !x.Counts(o) {
				t.Errorf("%s: %d/%d, which is older than the evidence, does not count", name, o.Family(), o.Type())
			}
		}
		if _, ok := s.Epochs[b.ID()]; !ok {
			t.Errorf("%s: the epoch of a branch is not known", name)
		}
		// Who is frozen says nothing that has both branches in its past.
		for _, frozen := range []string{"third", "fourth", "loser"} {
			p := x.on(t, frozen)
			if s.Speaks(x.ID(), p.Key.ID(), entity.Reader) || s.CanWrite(x.ID(), p.Key.ID()) {
				t.Errorf("%s: the %s speaks", name, frozen)
			}
			checkRefused(t, x.Entity, x.note(t, frozen), entity.ErrNotAuthorized)
			checkRefused(t, x.Entity, sign(t, p, x.Draft(p, oplog.Control, oplog.FamilyPolicy, 99, []byte("later"))), entity.ErrNotAuthorized)
			checkRefused(t, x.Entity, sign(t, p, x.Draft(p, oplog.Control, oplog.FamilyOpKey, entity.TypeEpoch, x.nextEpoch())), entity.ErrNotAuthorized)
		}
		// Who is in both goes on, but decides nothing: after neither branch, nor beside them.
		for _, goes := range []string{"founder", "second"} {
			p := x.on(t, goes)
			if o := x.noted(t, goes); !x.Counts(o) {
				t.Errorf("%s: what the %s writes does not count", name, goes)
			}
			for _, c := range []*chain.Chain{v.Chain, x.ChainAt(a.ID()), x.ChainAt(onTop.ID()), x.ChainAt(b.ID())} {
				checkRefused(t, x.Entity, x.draw(t, p, addOf(c, "newcomer")), entity.ErrNotAuthorized)
			}
		}
		x.Must(t, "second", oplog.FamilyOpKey, entity.TypeEpoch, x.nextEpoch())
		x.Must(t, "founder", oplog.FamilyPolicy, 99, []byte("later"))
		if got := x.DeviceChain(); len(got) != v.Chain.Len() {
			t.Errorf("%s: a chain of %d ops is shown, want the %d that the branches share", name, len(got), v.Chain.Len())
		}
		for _, at := range []oplog.Op{a, b, onTop} {
			if _, ok := x.PartyAt(at.ID(), ""); !ok {
				t.Errorf("%s: no party as of an op of a branch", name)
			}
		}
		checkMe(t, x.Entity)
		checkAgrees(t, x.Entity)
	}

	// A RESET after either ends it, and marks the other.
	for _, c := range []struct {
		after oplog.Op
		gone  []oplog.Op
		stays []oplog.Op
	}{{a, []oplog.Op{b, onTop}, []oplog.Op{a}}, {onTop, []oplog.Op{a}, []oplog.Op{b, onTop}}, {b, []oplog.Op{a, onTop}, []oplog.Op{b}}} {
		x := one.clone(t)
		o := x.put(t, recovery(f), x.resetOf(x.ChainAt(c.after.ID()), 5, "founder", "fifth"))
		s := x.State()
		if x.Person().Forked() || !x.devicesAre("founder", "fifth") || s.DeviceHead != o.ID() || !s.SoleVoter(f.Key.ID()) {
			t.Errorf("after a RESET: devices %+v, voters %v", s.Devices, s.Voters())
		}
		for _, g := range c.gone {
			if x.Counts(g) {
				t.Errorf("%d/%d of the branch that lost counts", g.Family(), g.Type())
			}
			if _, ok := x.PartyAt(g.ID(), ""); ok {
				t.Errorf("a party as of %d/%d of the branch that lost", g.Family(), g.Type())
			}
		}
		for _, g := range c.stays {
			if _, ok := x.PartyAt(g.ID(), ""); !ok || !x.Counts(g) {
				t.Errorf("%d/%d of the branch that stays does not count", g.Family(), g.Type())
			}
		}
		x.put(t, f, addOf(x.chain(), "newcomer"))
		x.noted(t, "fifth")
		checkMe(t, x.Entity)
		checkAgrees(t, x.Entity)
	}
}

// TestRemovedOwnDevice: a device that the sole voter removes does not speak in what builds
// on it. Of what it wrote beside counts what is up to the cut.
func TestRemovedOwnDevice(t *testing.T) {
	t.Parallel()
	for n := range uint64(5) {
		w := meOf(t, "second", "third")
		f := w.Who(t, "founder")
		var posts []oplog.Op
		for range 2 {
			posts = append(posts, w.noted(t, "second"))
		}
		beside := w.clone(t)
		body := w.removeOf(w.chain(), "second", n)
		o := w.put(t, f, body)
		posts = append(posts, beside.noted(t, "second"), beside.noted(t, "second"))
		control := beside.Must(t, "second", oplog.FamilyPolicy, 99, []byte("later"))
		both(t, w, beside)
		for name, x := range map[string]*world{"who removed it": w, "who hears of it last": beside} {
			s := x.State()
			if !x.devicesAre("founder", "third") || s.Speaks(x.ID(), ours("second").Key.ID(), entity.Reader) || !x.Counts(o) {
				t.Fatalf("%s: devices %+v", name, s.Devices)
			}
			for i, p := range posts {
				if x.Counts(p) != (uint64(i) < n) {
					t.Errorf("%s, a cut after %d: entry %d counts: %v", name, n, i, x.Counts(p))
				}
			}
			if !x.Counts(control) {
				t.Errorf("%s: a control op beside the removal is void", name)
			}
			checkRefused(t, x.Entity, x.note(t, "second"), entity.ErrNotAuthorized)
			p := x.on(t, "second")
			for _, d := range []oplog.Draft{
				x.Draft(p, oplog.Control, oplog.FamilyPolicy, 99, []byte("later")),
				x.Draft(p, oplog.Control, oplog.FamilyOpKey, entity.TypeEpoch, x.nextEpoch()),
			} {
				checkRefused(t, x.Entity, sign(t, p, d), entity.ErrNotAuthorized)
			}
			checkRefused(t, x.Entity, x.draw(t, f, addOf(x.chain(), "second")), entity.ErrNotAuthorized) // it never comes back
			// Its epoch is one to write in, for who has the key, and the user box key is that of it.
			key := opKey("without second")
			if info := s.Epochs[o.ID()]; info.Commitment != body.Epoch.Commitment || info.Depth != 2 || info.Void || info.By != x.ID() {
				t.Errorf("%s: the epoch of the removal is %+v", name, info)
			}
			if got, ok := s.OpenKey(entity.EpochKey{Epoch: o.ID(), Key: key.Secret()}); !ok || got.UserBox().ID() != s.UserBox {
				t.Errorf("%s: the key of the removal's epoch is not kept: %v", name, ok)
			}
			if got, _ := s.WritingEpoch(func(keys.Digest) bool { return true }); got.ID != o.ID() {
				t.Errorf("%s: written in %+v, want the removal's epoch", name, got)
			}
			x.Ring = entity.Keyring{o.ID(): key}
			written := x.Post(t, "third", "in it")
			var words entitytest.Words
			if err := x.Read(written, x.Ring, &words); written.Epoch() != o.ID() || err != nil || words.Title != "in it" {
				t.Errorf("%s: an entry in the removal's epoch: %q, %v", name, words.Title, err)
			}
			checkMe(t, x.Entity)
			checkAgrees(t, x.Entity)
		}
	}
}

// TestDecidesAnother: the voter hands over; the other then decides, and may take the first
// one out. With three voters nothing but a RESET is taken here, since no votes travel.
func TestDecidesAnother(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second", "third")
	f, second := w.Who(t, "founder"), w.Who(t, "second")
	w.put(t, f, votersOf(w.chain(), "second"))
	if s := w.State(); !s.SoleVoter(second.Key.ID()) || s.SoleVoter(f.Key.ID()) || !slices.Equal(s.Voters(), idsOf("second")) {
		t.Fatalf("voters %v", s.Voters())
	}
	checkRefused(t, w.Entity, w.draw(t, f, addOf(w.chain(), "fourth")), entity.ErrNotAuthorized)
	w.put(t, second, chain.SetAnchor{Device: second.Key.ID(), Chain: w.nextLink()})
	w.put(t, second, w.removeOf(w.chain(), "founder", 0))
	if !w.devicesAre("second", "third") || w.State().Founder != f.User() {
		t.Errorf("devices %+v", w.State().Devices)
	}
	w.put(t, second, addOf(w.chain(), "fourth"))
	w.put(t, second, classOf(w.chain(), "fourth", chain.Phone))
	w.put(t, second, votersOf(w.chain(), "second", "third", "fourth"))
	for _, name := range []string{"second", "third", "fourth"} {
		p := w.on(t, name)
		checkRefused(t, w.Entity, w.draw(t, p, addOf(w.chain(), "fifth")), entity.ErrNotAuthorized)
		w.noted(t, name)
	}
	w.put(t, recovery(f), w.resetOf(w.chain(), 0, "third"))
	w.put(t, w.on(t, "third"), addOf(w.chain(), "fifth"))
	checkMe(t, w.Entity)
	checkAgrees(t, w.Entity)
}

// TestNewWordsWin: a RESET by words that were replaced, after an older op, is a branch that
// loses, whatever its number.
func TestNewWordsWin(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second")
	f := w.Who(t, "founder")
	paper := w.clone(t)
	w.put(t, f, newWordsOf(w.chain(), "founder", "other"))
	if w.State().Recovery != wordsKey("other").ID() {
		t.Fatal("the words are the old ones")
	}
	checkRefused(t, w.Entity, w.draw(t, recovery(f), w.resetOf(w.chain(), 0, "thief")), entity.ErrNotAuthorized)
	first := paper.put(t, recovery(f), paper.resetOf(paper.chain(), 0, "thief"))
	paper.put(t, recovery(f), paper.resetOf(paper.chain(), 0, "thief"))
	both(t, w, paper)
	for _, x := range []*world{w, paper} {
		if !x.devicesAre("founder", "second") || x.Counts(first) || x.State().Recovery != wordsKey("other").ID() {
			t.Errorf("devices %+v, the RESET counts %v", x.State().Devices, x.Counts(first))
		}
		checkMe(t, x.Entity)
	}
	// Also with the new words in its past it is taken, and loses.
	late := w.put(t, recovery(f), w.resetOf(w.ChainAt(first.ID()).Before(), 0, "thief"))
	if w.Counts(late) || !w.devicesAre("founder", "second") {
		t.Errorf("devices %+v", w.State().Devices)
	}
	w.put(t, f, addOf(w.chain(), "third"))
	w.put(t, f.By(wordsKey("other")), w.resetOf(w.chain(), 0, "fourth"))
	if !w.devicesAre("fourth") {
		t.Errorf("after a RESET by the new words: devices %+v", w.State().Devices)
	}
	checkMe(t, w.Entity)
	checkAgrees(t, w.Entity)
}

// TestGoneDevice: a RESET lets a device survive that another branch removed. Who has both
// does not hear it.
func TestGoneDevice(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second", "third")
	f := w.Who(t, "founder")
	home := w.clone(t) // restored from before the removal
	w.put(t, f, w.removeOf(w.chain(), "second", 1))
	o := home.put(t, recovery(f), home.resetOf(home.chain(), 0, "fourth", "second", "third"))
	home.noted(t, "second")
	both(t, w, home)
	for _, x := range []*world{w, home} {
		if s := x.State(); !x.devicesAre("fourth", "third") || s.DeviceHead != o.ID() || s.Speaks(x.ID(), ours("second").Key.ID(), entity.Reader) {
			t.Errorf("devices %+v, want none that was removed", s.Devices)
		}
		checkRefused(t, x.Entity, x.note(t, "second"), entity.ErrNotAuthorized)
		x.noted(t, "third")
		p, ok := x.PartyAt(o.ID(), "")
		if !ok || !slices.Contains(p.Devices, ours("second").Key.ID()) {
			t.Errorf("the party as of the RESET is %v: the chain stands", p.Devices)
		}
		checkMe(t, x.Entity)
		checkAgrees(t, x.Entity)
	}
}

// TestUnsoundEpoch: a removal whose epoch is not one more than the deepest that it replaces
// stands, and its epoch is never written with; likewise that of a branch that lost.
func TestUnsoundEpoch(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*world, *chain.NextEpoch){
		"too deep":                    func(_ *world, e *chain.NextEpoch) { e.Depth = 1000 },
		"too high":                    func(w *world, e *chain.NextEpoch) { e.Depth-- },
		"after an unknown one":        func(_ *world, e *chain.NextEpoch) { e.Replaces = []keys.Digest{{9}} },
		"after an unknown one beside": func(_ *world, e *chain.NextEpoch) { e.Replaces = append([]keys.Digest{{0, 1}}, e.Replaces...) },
		"after what holds none":       func(w *world, e *chain.NextEpoch) { e.Replaces, e.Depth = []keys.Digest{w.ID()}, 2 },
	} {
		w := meOf(t, "second", "third")
		f := w.Who(t, "founder")
		good := w.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, w.nextEpoch())
		body := w.removeOf(w.chain(), "second", 0)
		change(w, &body.Epoch)
		o := w.put(t, f, body)
		s := w.State()
		if info, ok := s.Epochs[o.ID()]; !ok || !info.Void || info.Depth != body.Epoch.Depth || s.UserBox != body.Epoch.UserBox || !w.Counts(o) {
			t.Errorf("%s: the epoch is %+v", name, info)
		}
		if got, _ := s.WritingEpoch(func(keys.Digest) bool { return true }); got.ID != good.ID() {
			t.Errorf("%s: written in %+v", name, got)
		}
		if _, ok := s.OpenKey(entity.EpochKey{Epoch: o.ID(), Key: opKey("without second").Secret()}); !ok {
			t.Errorf("%s: its key is not kept, to read with", name)
		}
		checkMe(t, w.Entity)
		checkAgrees(t, w.Entity)
	}

	w := meOf(t, "second", "third")
	f := w.Who(t, "founder")
	thief := w.clone(t)
	reset := w.put(t, recovery(f), w.resetOf(w.chain(), 9, "fourth"))
	var lost []oplog.Op
	for _, name := range []string{"second", "third"} {
		lost = append(lost, thief.put(t, f, thief.removeOf(thief.chain(), name, 0)))
	}
	if got, _ := thief.State().WritingEpoch(func(keys.Digest) bool { return true }); got.ID != lost[1].ID() {
		t.Fatalf("before the RESET is known: written in %+v", got)
	}
	both(t, w, thief)
	for _, x := range []*world{w, thief} {
		if got, _ := x.State().WritingEpoch(func(keys.Digest) bool { return true }); got.ID != reset.ID() {
			t.Errorf("written in %+v, want the epoch of the RESET", got)
		}
		for _, o := range lost {
			if info, ok := x.State().Epochs[o.ID()]; !ok || !info.Void {
				t.Errorf("an epoch of the branch that lost: %+v, known %v", info, ok)
			}
		}
		checkMe(t, x.Entity)
		checkAgrees(t, x.Entity)
	}
}

// TestMeTypes: what a Me takes of types that are none of its chain: those that no version
// knows yet, and epochs, by any device that speaks.
func TestMeTypes(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second")
	head := w.State().DeviceHead
	for _, name := range []string{"founder", "second"} {
		for _, o := range []oplog.Op{
			w.Must(t, name, oplog.FamilyOpKey, entity.TypeEpoch, w.nextEpoch()),
			w.Must(t, name, oplog.FamilyMember, 16, []byte("later")),
			w.Must(t, name, oplog.FamilyMaster, 99, []byte("later")),
			w.Must(t, name, oplog.FamilyOpKey, entity.TypeBox, []byte("later")),
			w.Must(t, name, 14, 1, []byte("later")),
		} {
			if !w.Counts(o) {
				t.Errorf("%d/%d by %s does not count", o.Family(), o.Type(), name)
			}
		}
	}
	if s := w.State(); s.DeviceHead != head || len(s.Epochs) != 3 || s.Frozen {
		t.Errorf("head %v, %d epochs, frozen %v: want the head as it was and two epochs more", s.DeviceHead, len(s.Epochs), s.Frozen)
	}
	if info, _ := w.State().WritingEpoch(func(keys.Digest) bool { return true }); info.Depth != 3 || w.State().UserBox != w.chain().State().Box {
		t.Errorf("written in %+v, user box key %v", info, w.State().UserBox)
	}
	o := w.Must(t, "second", oplog.FamilyPolicy, 128, []byte("later"))
	if !w.State().Frozen || !w.Counts(o) {
		t.Error("a critical op does not freeze")
	}
	checkMe(t, w.Entity)
	checkAgrees(t, w.Entity)
}

// TestAttackForkedChain: a Me that forks, with as many ops on both branches as a chain may
// have, and 250 others upon it, is folded in some times what its signatures take.
func TestAttackForkedChain(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second")
	f := w.Who(t, "founder")
	long := func(name string) *world {
		x := w.clone(t)
		x.put(t, f, addOf(x.chain(), name))
		for i := 0; x.chain().Bytes() < chain.OpenBytes-1000; i++ {
			x.put(t, f, classOf(x.chain(), name, chain.Class(1+i%2)))
		}
		return x
	}
	one, two := long("one"), long("two")
	n := one.Log().Len()
	both(t, one, two)
	if s := one.State(); !one.Person().Forked() || !one.devicesAre("founder", "second") || len(s.Void) != 0 {
		t.Fatalf("devices %+v, %d void", s.Devices, len(s.Void))
	}
	for range 250 {
		one.Must(t, "second", 14, 1, []byte{0xa0})
	}
	ops := all(one.Entity)
	if one.Log().Len() < 2*n-10+250 {
		t.Fatalf("%d ops", len(ops))
	}
	checked := signatures(t, ops)
	start := time.Now()
	e, err := entity.Open(one.Log())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	e.State()
	t.Logf("%d ops: Open in %v, their signatures take %v", len(ops), time.Since(start), checked)
	if d := time.Since(start); !raceEnabled && d > 20*checked {
		t.Errorf("Open of %d ops takes %v, %v their signatures", len(ops), d, checked)
	}
	start = time.Now()
	c := clone(t, one.Entity)
	t.Logf("one by one in %v", time.Since(start))
	if !bytes.Equal(snapshot(c), snapshot(e)) {
		t.Error("two ways, two states")
	}
	// To a stranger it cannot be shown: a chain has no branches.
	if c, err := entity.OpenDeviceChain(linksOf(t, one.ControlStrand())); c != nil || err == nil {
		t.Errorf("OpenDeviceChain of a log that forks: %v", err)
	}
}

// TestPartyAt: what others knew of a user's devices once, by the op of his chain that
// they name.
func TestPartyAt(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	type point struct {
		head  keys.Digest
		party entity.Party
	}
	var points []point
	mark := func() {
		points = append(points, point{w.State().DeviceHead, w.State().Party("rita")})
	}
	mark()
	add := w.Link(t, newDevice("second"), 0)
	mark()
	if _, err := entity.SetDeviceClass(w.Entity, w.Who(t, "founder").Author(), newDevice("second").Key.ID(), entity.Phone); err != nil {
		t.Fatal(err)
	}
	mark()
	w.put(t, w.Who(t, "founder"), w.removeOf(w.chain(), "second", 0)) // and another user box key
	mark()
	w.Link(t, newDevice("third"), 0)
	mark()
	for i, p := range points {
		got, ok := w.PartyAt(p.head, "rita")
		if !ok || !got.Same(p.party) || got.Name != "rita" || got.Head != p.head {
			t.Errorf("at op %d: %+v, %v, want %+v", i, got, ok, p.party)
		}
		for j, q := range points {
			if i != j && got.Same(q.party) {
				t.Errorf("the parties at ops %d and %d are the same", i, j)
			}
		}
	}
	if p := points[1].party; !slices.Contains(p.Devices, newDevice("second").Key.ID()) || p.Head != add.ID() || len(p.Devices) != 2 {
		t.Errorf("after the first device-add: %+v", p)
	}
	later := w.Must(t, "founder", oplog.FamilyPolicy, 99, entity.Text{Text: "later"})
	epoch := w.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, w.nextEpoch())
	for name, head := range map[string]keys.Digest{"an unknown op": {9}, "no op": {}, "an op that is no device op": later.ID(), "an epoch outside the chain": epoch.ID(), "one's own content": w.Post(t, "founder", "x").ID()} {
		if p, ok := w.PartyAt(head, "rita"); ok || p.User != (keys.Digest{}) {
			t.Errorf("at %s: %+v, want none", name, p)
		}
	}
	board := settle(t, entity.Board)
	if _, ok := board.PartyAt(board.ID(), ""); ok {
		t.Error("a party as of a board")
	}
}

// TestAdmittedAtAnOlderHead: a requester whose device set grew between his request and
// the approval is admitted with the set of the request, as one of his heads says it.
func TestAdmittedAtAnOlderHead(t *testing.T) {
	t.Parallel()
	me := found(t, entity.Me)
	asked := me.State().Party("founder")
	me.Link(t, newDevice("second"), entity.Phone)
	now := me.State().Party("founder")
	for name, c := range map[string]struct {
		party entity.Party
		ok    bool
	}{
		"the set of the request":            {asked, true},
		"the set of now":                    {now, true},
		"the set of now by the older head":  {entity.Party{User: now.User, Head: asked.Head, Devices: now.Devices, Box: now.Box}, false},
		"the older set by the head of now":  {entity.Party{User: now.User, Head: now.Head, Devices: asked.Devices, Box: now.Box}, false},
		"another box key by the older head": {entity.Party{User: now.User, Head: asked.Head, Devices: asked.Devices, Box: keys.NewBox().ID()}, false},
		"a head that is no device op":       {entity.Party{User: now.User, Head: keys.Digest{7}, Devices: now.Devices, Box: now.Box}, false},
	} {
		w := foundBy(t, entity.Board, map[string]person{"founder": newPerson(t, "mia")})
		o, err := entity.ApproveJoinEntity(w.Entity, w.Who(t, "founder").Author(), w.Ring, entity.Admission{Party: c.party, Role: entity.Member, Ref: &w.Ref})
		if err != nil {
			t.Fatalf("%s: ApproveJoinEntity: %v", name, err)
		}
		x := w.offer(t, "joiner", o, nil)
		x.want.Me = me.Entity
		e, _, err := createJoinEntity(x.ap, x.want)
		if (err == nil) != c.ok || (e == nil) == c.ok {
			t.Errorf("%s: %v, want it taken: %v", name, err, c.ok)
		}
		if !c.ok {
			continue
		}
		// The user then says himself what his devices are by now.
		if _, err := e.Control(entity.Author{Key: me.Who(t, "founder").Key, User: me.ID()}, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: now}); err != nil {
			t.Errorf("%s: the devices of now: %v", name, err)
		}
	}
}

// TestDeviceChainOfMany: the chain of a user with several devices, as strangers see it.
func TestDeviceChainOfMany(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Me)
	w.Link(t, newDevice("second"), entity.Phone)
	w.Link(t, newDevice("third"), 0)
	good := w.DeviceChain()
	c, err := entity.OpenDeviceChain(good)
	if err != nil || c.Head() != w.State().DeviceHead || !slices.Equal(c.State().Devices(), w.State().Devices) {
		t.Fatalf("OpenDeviceChain: %v", err)
	}
	for i := range good {
		for at := range good[i] {
			bad := slices.Clone(good)
			bad[i] = bytes.Clone(good[i])
			bad[i][at] ^= 1
			if c, err := entity.OpenDeviceChain(bad); err == nil || c != nil {
				t.Fatalf("byte %d of op %d flipped: the chain opens", at, i)
			}
		}
		if i == len(good)-1 {
			continue
		}
		if _, err := entity.OpenDeviceChain(slices.Delete(slices.Clone(good), i, i+1)); err == nil {
			t.Errorf("the chain opens without op %d", i)
		}
		bad := slices.Clone(good)
		bad[i], bad[i+1] = bad[i+1], bad[i]
		if _, err := entity.OpenDeviceChain(bad); err == nil {
			t.Errorf("the chain opens with ops %d and %d exchanged", i, i+1)
		}
		if i < 2 {
			continue
		}
		if c, err := entity.OpenDeviceChain(good[:i]); err != nil || entity.PartyOf(c, "").Same(w.State().Party("")) {
			t.Errorf("the first %d ops: %v, or the same party", i, err)
		}
	}
	// A device op of another user's chain, or signed by a device of another.
	for name, p := range map[string]person{"another user": w.Who(t, "mallory"), "the device itself": w.on(t, "late")} {
		raw := chain.Link{Op: w.draw(t, p, addOf(w.chain(), "late"))}.Marshal()
		if _, err := entity.OpenDeviceChain(append(slices.Clone(good), raw)); !errors.Is(err, entity.ErrNotAuthorized) {
			t.Errorf("a device-add by %s: %v, want ErrNotAuthorized", name, err)
		}
	}
}

// TestChainCost: the last op of a full chain costs about what an early one does.
func TestChainCost(t *testing.T) {
	t.Parallel()
	w := meOf(t, "second")
	f := w.Who(t, "founder")
	var took []time.Duration
	for i := 0; w.chain().Bytes() < chain.OpenBytes-1000; i++ {
		o := w.draw(t, f, classOf(w.chain(), "second", chain.Class(2+i%2)))
		start := time.Now()
		checkAdded(t, w.Entity, o)
		w.State()
		took = append(took, time.Since(start))
	}
	median := func(d []time.Duration) time.Duration {
		slices.Sort(d)
		return d[len(d)/2]
	}
	early, late := median(took[:30]), median(took[len(took)-30:])
	t.Logf("%d ops: the first of them %v, the last %v", len(took), early, late)
	if !raceEnabled && late > 10*early {
		t.Errorf("an op of a chain of %d takes %v, of the first ones %v", len(took), late, early)
	}
	start := time.Now()
	e, err := entity.Open(w.Log())
	if err != nil {
		t.Fatal(err)
	}
	e.State()
	t.Logf("folded at once in %v, of signatures %v", time.Since(start), signatures(t, all(w.Entity)))
	for i := range 3 { // an op that does not name all heads has its past folded anew
		d := w.Draft(w.Who(t, "second"), oplog.Content, oplog.FamilyMe, 1, []byte("sealed"))
		at := w.chain()
		for range i + 1 {
			at = at.Before()
		}
		d.Auth = []keys.Digest{at.Head()}
		start := time.Now()
		checkAdded(t, w.Entity, sign(t, w.Who(t, "second"), d))
		t.Logf("content under an older head in %v", time.Since(start))
	}
}
