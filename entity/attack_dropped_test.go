package entity_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// texts is what a board shows of its articles.
func (w *world) texts() (out []string) {
	posts := w.Posts(w.ring)
	for i := range posts {
		p := &posts[i]
		w.OpenPost(w.ring, p)
		switch {
		case !p.DeletedBy.IsZero():
			out = append(out, "(deleted)")
		case p.Unreadable:
			out = append(out, "(unreadable)")
		default:
			out = append(out, p.Title)
		}
	}
	return out
}

// withPhone gives a member of w a second device, "phone".
func (w *world) withPhone(t *testing.T, name string) (one, both entity.Party) {
	t.Helper()
	p, phone := w.who(t, name), newDevice("phone")
	one, both = p.party(), p.party()
	both.Devices = sorted([]keys.ID{p.key.ID(), phone.key.ID()})
	w.must(t, name, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: both, Cuts: []entity.Cut{}})
	w.people["phone"] = p.by(phone.key)
	return one, both
}

// losesPhone has dora drop her phone, of which what is here counts.
func (w *world) losesPhone(t *testing.T, one entity.Party) oplog.Op {
	t.Helper()
	cuts := w.CutsOf([]keys.ID{w.who(t, "phone").key.ID()}, oplog.Content)
	return w.must(t, "dora", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: one, Cuts: cuts})
}

// TestKeptCutShowsAgain: a checkpoint that keeps a cut drops nothing: the cut may show again
// what was dead.
func TestKeptCutShowsAgain(t *testing.T) {
	t.Parallel()
	w := owners(t)
	one, _ := w.withPhone(t, "dora")
	a := w.post(t, "dora", "first")
	w.post(t, "phone", "other")
	w.post(t, "dora", "more")
	behind := w.clone(t)
	w.must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"})
	w.checkpoint(t, "founder")
	w.write(t, "phone", entity.ArticleEdit{Article: a.ID(), Title: "from the lost phone"})
	checkAdded(t, w.Entity, behind.losesPhone(t, one)) // beside the checkpoint: void until the next keeps it
	c := w.checkpoint(t, "founder")
	if d := w.Drops(); len(d) > 0 {
		t.Errorf("%v drops %d, and what it drops is shown: %q", c.ID(), d[0].Count, w.texts())
	}
}

// TestKeptRemovalUndoesDelete: nor does one that keeps the removal of an owner who deleted
// something.
func TestKeptRemovalUndoesDelete(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "bert")
	a := w.post(t, "dora", "first")
	w.post(t, "dora", "more")
	behind := w.clone(t)
	w.must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"})
	w.checkpoint(t, "founder")
	checkAdded(t, w.Entity, behind.must(t, "bert", oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: w.who(t, "anna").user(), Cuts: []entity.Cut{}}))
	w.write(t, "anna", entity.ArticleDelete{Article: a.ID()}) // she is an owner until the next checkpoint
	w.checkpoint(t, "founder")
	if got := w.texts(); len(w.Drops()) > 0 && !slices.Equal(got, []string{"(deleted)", "more"}) {
		t.Errorf("dropped, and shown: %q", got)
	}
}

// TestAckedLater: an owner who was away acks all checkpoints that another could take the
// place of, not only the last.
func TestAckedLater(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	anna := w.who(t, "anna")
	for range 2 { // anna is away; the founder makes two
		a := w.post(t, "dora", "first")
		w.write(t, "dora", entity.ArticleEdit{Article: a.ID(), Title: "second"})
		w.checkpoint(t, "founder")
	}
	for range 5 { // she is back
		if id, ok := w.WantsAck(anna.user(), w.ring); ok {
			if _, err := w.Ack(anna.author(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, d := range w.Drops() {
		if !d.Settled {
			t.Errorf("checkpoint %d of %d is not settled", i+1, len(w.Drops()))
		}
	}
}

// TestShownAgainStays: what a cut shows again within the two weeks does not go.
func TestShownAgainStays(t *testing.T) {
	t.Parallel()
	w := owners(t)
	one, _ := w.withPhone(t, "dora")
	a := w.post(t, "dora", "first")
	w.post(t, "phone", "other")
	behind := w.clone(t)
	w.write(t, "phone", entity.ArticleEdit{Article: a.ID(), Title: "from the lost phone"})
	w.post(t, "dora", "more")
	c := w.checkpoint(t, "founder")
	checkAdded(t, w.Entity, behind.losesPhone(t, one))
	w.checkpoint(t, "founder") // keeps it
	shown := w.texts()
	if _, _, err := w.Strip(c.ID(), w.ring); err != nil {
		t.Fatal(err)
	}
	if got := w.texts(); !slices.Equal(got, shown) {
		t.Errorf("shown were %q, after Strip %q", shown, got)
	}
}

// TestAttackFalseListTaken: a list of what is shown takes nothing from a member who has it,
// whenever he got the list, and he is told.
func TestAttackFalseListTaken(t *testing.T) {
	t.Parallel()
	for _, checkedFirst := range []bool{false, true} {
		w := owners(t)
		live := w.post(t, "dora", "live")
		member := w.clone(t)
		c, d := w.falseDrops(t, "founder", oplog.StubOf(live))
		checkAdded(t, member.Entity, c)
		if checkedFirst {
			member.CheckDrops(member.ring)
			if n := len(member.FalseDrops()); n != 1 {
				t.Fatalf("%d false, want 1", n)
			}
		}
		if err := member.TakeDropped(d, w.ring); !errors.Is(err, entity.ErrDropped) {
			t.Errorf("checked first %v: a member who has all of it takes the list: %v", checkedFirst, err)
		}
		member.Log().KeepDropped(d) // as if he had taken it before the content
		again, err := entity.Open(member.Log())
		if err != nil {
			t.Fatal(err)
		}
		member.Entity = again
		member.CheckDrops(member.ring)
		_, stripped, err := member.Strip(c.ID(), member.ring)
		if !errors.Is(err, entity.ErrDropped) || len(stripped) > 0 || len(member.FalseDrops()) != 1 {
			t.Errorf("after a restart Strip took %d ops, %v; false are %v", len(stripped), err, member.FalseDrops())
		}
	}
}

// TestAttackStubForgesText: a stub in a false list does not make authentic what its author
// never signed.
func TestAttackStubForgesText(t *testing.T) {
	t.Parallel()
	w := owners(t)
	w.post(t, "dora", "hers")
	victim := w.clone(t) // has all that there is
	dora := w.who(t, "dora")
	// What the founder can make without her key: an envelope and a body sealed with the op-key
	// (here by her key, since the tests have no other way), and a signature that is none.
	ghost := w.clone(t)
	raw := bytes.Clone(ghost.post(t, "dora", "words she never wrote").Bytes())
	raw[len(raw)-1] ^= 1
	forged := oplog.IDOf(raw)
	d := ghost.draft(dora, oplog.Content, oplog.FamilyComment, entity.TypeCommentNew, []byte("x"))
	d.Prev, d.Parents, d.Seq = forged, []keys.Digest{forged}, 2
	stub := oplog.StubOf(sign(t, dora, d)) // of its signature nothing is left
	stub.ID = sha256.Sum256([]byte("anything"))
	c, list := w.falseDrops(t, "founder", stub)
	checkAdded(t, victim.Entity, c)
	if err := victim.TakeDropped(list, nil); err != nil { // he has no keys, say
		t.Fatal(err)
	}
	bare, err := list.Ops(w.ID())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range victim.Vouched(oplog.ParseBatch(oplog.HashAll([][]byte{raw, bare[0].Entry()}), map[keys.Digest]oplog.Op{bare[0].ID(): bare[0]})) {
		_, _ = victim.Add(o)
	}
	if got := victim.texts(); slices.Contains(got, "words she never wrote") {
		t.Errorf("shown under dora's name: %q", got)
	}
}

// TestAttackStubForksOthers: nor does one stand beside an op of somebody else, whom it would
// silence: nothing of hers names it.
func TestAttackStubForksOthers(t *testing.T) {
	t.Parallel()
	w := owners(t)
	first := w.post(t, "dora", "hers")
	victim := w.clone(t)
	d := w.draft(w.who(t, "dora"), oplog.Content, oplog.FamilyComment, entity.TypeCommentNew, []byte("x"))
	d.Prev, d.Seq, d.Parents = keys.Digest{}, 0, nil
	stub := oplog.StubOf(sign(t, w.who(t, "dora"), d))
	stub.ID = sha256.Sum256([]byte("anything"))
	c, list := w.falseDrops(t, "founder", stub)
	checkAdded(t, victim.Entity, c)
	if err := victim.TakeDropped(list, nil); err != nil {
		t.Fatal(err)
	}
	bare, err := list.Ops(w.ID())
	if err != nil {
		t.Fatal(err)
	}
	unsure, sure := map[keys.Digest]oplog.Op{bare[0].ID(): bare[0]}, map[keys.Digest]oplog.Op{}
	for o := range w.Log().All(oplog.Content) {
		oplog.Vouch(o, unsure, sure)
	}
	for _, o := range victim.Vouched(oplog.ParseBatch(oplog.HashAll([][]byte{bare[0].Entry()}), sure)) {
		_, _ = victim.Add(o)
	}
	if !victim.Counts(first) {
		t.Errorf("her article counts no more: shown %q", victim.texts())
	}
}

// TestAttackUnackable: an owner's checkpoint with a list of nothing holds nobody up, and is
// told of.
func TestAttackUnackable(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	w.must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"})
	behind := w.clone(t)
	w.checkpoint(t, "founder")
	c := w.NextCheckpoint()
	c.Drops, c.Content = 1, sha256.Sum256([]byte("nothing"))
	w.must(t, "anna", oplog.FamilyCheckpoint, entity.TypeCheckpoint, c)
	checkAdded(t, w.Entity, behind.must(t, "dora", oplog.FamilyMember, entity.TypeLeave, entity.Leave{}))
	f := w.who(t, "founder").user()
	if id, ok := w.WantsAck(f, w.ring); ok {
		t.Errorf("the founder acks %v", id)
	}
	later := now.Add(1000 * time.Hour)
	if got := w.WantsCheckpoint(f, w.ring, later); got == entity.NotDue {
		t.Errorf("%d wait beside, and the founder never makes a checkpoint", len(w.Pending()))
	}
	w.CheckDrops(w.ring)
	if len(w.FalseDrops()) == 0 {
		t.Errorf("nobody is told that anna's list is false")
	}
	w.remove(t, "founder", "anna")
	if got := w.WantsCheckpoint(f, w.ring, later); got == entity.NotDue {
		t.Errorf("anna is removed, and the founder still never makes a checkpoint")
	}
}

// TestOwnerWithoutOldKeys: where an owner was let in without the older keys nothing is
// dropped, since he could not check it, and he acks what is.
func TestOwnerWithoutOldKeys(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	w.must(t, "founder", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{
		Party: w.who(t, "karl").party(), Role: entity.Member, Ref: &w.ref, Epochs: epochs(w), History: &entity.History{Mode: entity.HistoryFromJoin},
	})
	a := w.post(t, "dora", "first")
	w.write(t, "dora", entity.ArticleEdit{Article: a.ID(), Title: "second"})
	w.post(t, "dora", "more")
	if w.WantsCheckpoint(w.who(t, "founder").user(), w.ring, now.Add(entity.DropAfter)) != entity.DueDead {
		t.Fatal("nothing is dead: this proves nothing")
	}
	party := w.who(t, "karl").party()
	w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: &party})
	if due := w.WantsCheckpoint(w.who(t, "founder").user(), w.ring, now.Add(2*entity.DropAfter)); due != entity.NotDue {
		t.Errorf("due for what is dead: %v", due)
	}
	w.checkpoint(t, "anna")
	if _, ok := w.WantsAck(w.who(t, "karl").user(), nil); !ok {
		t.Error("karl, who has all the keys that he may have, does not ack")
	}
}

// TestFalseIsNotCatching: what comes after a false checkpoint is not false by it.
func TestFalseIsNotCatching(t *testing.T) {
	t.Parallel()
	w := owners(t)
	live := w.post(t, "dora", "live")
	a := w.post(t, "dora", "first")
	w.write(t, "dora", entity.ArticleEdit{Article: a.ID(), Title: "second"})
	old := w.clone(t)
	c1, d := w.falseDrops(t, "founder", oplog.StubOf(live))
	w.Log().KeepDropped(d)                               // it came before the content
	c2, _ := w.falseDrops(t, "founder", oplog.StubOf(a)) // it is dead
	checkAdded(t, old.Entity, c1)
	checkAdded(t, old.Entity, c2)
	old.CheckDrops(old.ring)
	if got := old.FalseDrops(); slices.Contains(got, c2.ID()) {
		t.Errorf("false are %v, %v among them, which drops what is dead", got, c2.ID())
	}
}

// TestSealedByNobody: what was written with the key of a void removal's or a removed owner's
// epoch, and does not count, is no reason to drop nothing.
func TestSealedByNobody(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	a := w.post(t, "dora", "first")
	w.write(t, "dora", entity.ArticleEdit{Article: a.ID(), Title: "second"})
	w.post(t, "dora", "more")
	side := w.clone(t)
	side.ring = entity.Keyring{}
	o, key, err := side.Rotate(w.who(t, "anna").author())
	if err != nil {
		t.Fatal(err)
	}
	side.ring[o.ID()] = key
	sealed := side.post(t, "anna", "nobody can read this")
	w.remove(t, "founder", "anna") // without a word of hers that counts
	checkAdded(t, w.Entity, o)
	checkAdded(t, w.Entity, sealed)
	if w.Counts(sealed) {
		t.Fatal("it counts")
	}
	w.checkpoint(t, "founder")
	if len(w.Drops()) == 0 {
		t.Errorf("nothing is dropped, for an op that does not count")
	}
}

// TestStubHoldsNoBody: what is gone is gone from memory.
func TestStubHoldsNoBody(t *testing.T) {
	t.Parallel()
	w := owners(t)
	a := w.post(t, "dora", "first")
	w.write(t, "dora", entity.ArticleEdit{Article: a.ID(), Title: "second"})
	w.post(t, "dora", "more")
	c := w.checkpoint(t, "founder")
	d, _, err := w.Strip(c.ID(), w.ring)
	if err != nil {
		t.Fatal(err)
	}
	if kept, _ := w.Log().Dropped(d.Checkpoint); cap(kept.Stubs[0].Envelope) >= len(a.Bytes()) {
		t.Errorf("the list that the log keeps holds the whole op: envelope of %d bytes in an array of %d", len(kept.Stubs[0].Envelope), cap(kept.Stubs[0].Envelope))
	}
}

// falseDrops is a checkpoint of an owner that drops some stubs, whatever they are.
func (w *world) falseDrops(t *testing.T, name string, stubs ...oplog.Stub) (oplog.Op, oplog.Dropped) {
	t.Helper()
	slices.SortFunc(stubs, func(a, b oplog.Stub) int { return compare(a.ID, b.ID) })
	c := w.NextCheckpoint()
	c.Drops, c.Content = uint64(len(stubs)), w.ContentRoot(c.Heads, stubs...)
	o := w.must(t, name, oplog.FamilyCheckpoint, entity.TypeCheckpoint, c)
	return o, oplog.Dropped{Checkpoint: o.ID(), Stubs: stubs}
}

// TestLastStays: the last op of a device is not dropped, since nobody but a checkpoint would
// say that it is hers; it is, when she has written more.
func TestLastStays(t *testing.T) {
	t.Parallel()
	w := owners(t)
	a := w.post(t, "dora", "regretted")
	w.write(t, "founder", entity.ArticleDelete{Article: a.ID()})
	if w.checkpoint(t, "founder"); len(w.Drops()) > 0 {
		t.Errorf("dropped: %+v", w.Drops())
	}
	w.post(t, "dora", "more")
	if w.checkpoint(t, "founder"); len(w.Drops()) != 1 || w.Drops()[0].Count != 1 {
		t.Errorf("then: %+v", w.Drops())
	}
}

// TestVoucherStays: nor is an op by which another is authentic whose own signature is bad; nor
// does it go by a false list where that cannot be found out.
func TestVoucherStays(t *testing.T) {
	t.Parallel()
	w := owners(t)
	w.withPhone(t, "dora")
	a := w.post(t, "dora", "one")
	ghost := w.clone(t)
	bad := bytes.Clone(ghost.post(t, "phone", "badly signed").Bytes())
	bad[len(bad)-1] ^= 1
	d := ghost.draft(w.who(t, "phone"), oplog.Content, oplog.FamilyArticle, entity.TypeArticleEdit, nil)
	d.Seq, d.Prev, d.Parents = 1, oplog.IDOf(bad), []keys.Digest{oplog.IDOf(bad)}
	plain, epoch := keys.Marshal(entity.ArticleEdit{Article: a.ID(), Title: "two"}), w.State().Epochs[d.Epoch]
	d.Body = make([]byte, len(plain)+keys.SealOverhead)
	d.Seal = func(aad []byte) []byte {
		return w.ring[epoch.ID].Seal(w.ID(), epoch.ID, keys.LP([]byte(keys.LabelContentAAD), aad, epoch.Commitment[:]), plain)
	}
	voucher := sign(t, w.who(t, "phone"), d)
	for _, o := range w.Vouched(oplog.ParseBatch(oplog.HashAll([][]byte{bad, voucher.Bytes()}), nil)) {
		checkAdded(t, w.Entity, o)
	}
	w.write(t, "phone", entity.ArticleEdit{Article: a.ID(), Title: "three"})
	w.post(t, "dora", "more")
	w.post(t, "phone", "more")
	before := w.clone(t)
	before.ring = maps.Clone(w.ring)
	w.checkpoint(t, "founder")
	if got := strip(t, w.Entity, w.ring); len(got) != 1 || got[0].ID() != a.ID() || w.Drops()[0].Count != 1 {
		t.Errorf("%d dropped of %d, want the article alone", len(got), w.Drops()[0].Count)
	}
	had := maps.Clone(before.ring)
	before.rekey(t)
	before.post(t, "founder", "in another epoch") // whose key he lacks who looks
	c, list := before.falseDrops(t, "founder", oplog.StubOf(voucher))
	if err := before.TakeDropped(list, had); err != nil {
		t.Fatal(err)
	}
	if _, got, err := before.Strip(c.ID(), had); err != nil || len(got) > 0 {
		t.Errorf("dropped by a false list: %d, %v", len(got), err)
	}
}

// TestAttackStubVouches: a stub makes no whole op authentic, wherever it comes from.
func TestAttackStubVouches(t *testing.T) {
	t.Parallel()
	w := owners(t)
	ghost := w.clone(t)
	bad := bytes.Clone(ghost.post(t, "dora", "never signed").Bytes())
	bad[len(bad)-1] ^= 1
	dora := w.who(t, "dora")
	d := ghost.draft(dora, oplog.Content, oplog.FamilyComment, entity.TypeCommentNew, []byte("x"))
	d.Seq, d.Prev, d.Parents = 1, oplog.IDOf(bad), []keys.Digest{oplog.IDOf(bad)}
	next := sign(t, dora, d)
	d.Seq, d.Prev, d.Parents = 2, next.ID(), []keys.Digest{next.ID()}
	last := sign(t, dora, d)
	chain, err := oplog.ParseChain([][]byte{bad, next.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	bare, err := oplog.StubOf(next).Op(keys.Digest{1})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Vouched([]oplog.Op{chain[0], bare, last}); slices.Contains(got, chain[0]) {
		t.Errorf("of a bad op, a stub and a good one %d are vouched for", len(got))
	}
	if got := w.Vouched([]oplog.Op{chain[0], next, last}); len(got) != 3 {
		t.Errorf("of a bad op and two good ones %d: this proves nothing", len(got))
	}
}

// TestDropDates: a date far off puts nothing off for ever.
func TestDropDates(t *testing.T) {
	t.Parallel()
	w := owners(t)
	dead := func(title string) {
		t.Helper()
		a := w.post(t, "dora", title)
		w.write(t, "dora", entity.ArticleEdit{Article: a.ID(), Title: "second"})
		w.post(t, "dora", "more")
	}
	dead("first")
	f := w.who(t, "founder").author()
	f.Now = now.AddDate(8000, 0, 0)
	if _, err := w.Checkpoint(f, w.ring); err != nil {
		t.Fatal(err)
	}
	dead("later")
	if due := w.WantsCheckpoint(f.User, w.ring, now); due != entity.DueDead {
		t.Errorf("after a checkpoint of tomorrow: %v", due)
	}
	w.checkpoint(t, "founder")
	if d := w.Drops(); len(d) != 2 || !d[0].At.Equal(now) || !d[1].At.Equal(now) {
		t.Errorf("%+v", d)
	}
}

// TestSealedInVoidEpoch: nor is what was written in the epoch of a void removal by somebody
// who counts.
func TestSealedInVoidEpoch(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	w.admit(t, "bert", entity.Member)
	a := w.post(t, "dora", "first")
	w.write(t, "dora", entity.ArticleEdit{Article: a.ID(), Title: "second"})
	w.post(t, "dora", "more")
	side := w.clone(t)
	side.ring = entity.Keyring{}
	removal := side.remove(t, "anna", "dora")
	sealed := side.post(t, "bert", "in an epoch that is void")
	w.remove(t, "founder", "anna")
	for _, o := range []oplog.Op{removal, sealed} {
		checkAdded(t, w.Entity, o)
	}
	if !w.Counts(sealed) || !w.State().Epochs[sealed.Epoch()].Void {
		t.Fatal("it does not count, or its epoch is not void: this proves nothing")
	}
	if w.checkpoint(t, "founder"); len(w.Drops()) != 1 {
		t.Errorf("dropped: %+v", w.Drops())
	}
}

// TestAttackDropsAndKeeps: a checkpoint that keeps something and drops something is refused.
func TestAttackDropsAndKeeps(t *testing.T) {
	t.Parallel()
	w := owners(t)
	a := w.post(t, "dora", "first")
	behind := w.clone(t)
	w.must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"})
	w.checkpoint(t, "founder")
	checkAdded(t, w.Entity, behind.must(t, "dora", oplog.FamilyMember, entity.TypeLeave, entity.Leave{}))
	c := w.NextCheckpoint()
	if c.Content = w.ContentRoot(c.Heads, oplog.StubOf(a)); len(c.Keeps) != 1 {
		t.Fatalf("keeps %d: this proves nothing", len(c.Keeps))
	}
	c.Drops = 1
	if _, err := w.Control(w.who(t, "founder").author(), oplog.FamilyCheckpoint, entity.TypeCheckpoint, c); !errors.Is(err, entity.ErrNotAuthorized) {
		t.Errorf("%v, want ErrNotAuthorized", err)
	}
}

// TestOpenDamagedList: a list that is not what its checkpoint commits to is found when the
// log is opened.
func TestOpenDamagedList(t *testing.T) {
	t.Parallel()
	w := owners(t)
	a := w.post(t, "dora", "first")
	w.write(t, "dora", entity.ArticleEdit{Article: a.ID(), Title: "second"})
	w.post(t, "dora", "more")
	c := w.checkpoint(t, "founder")
	strip(t, w.Entity, w.ring)
	if _, err := entity.Open(w.Log()); err != nil {
		t.Fatal(err)
	}
	list, _ := w.Log().Dropped(c.ID())
	bad := slices.Clone(list.Stubs)
	bad[0].Envelope = bytes.Clone(bad[0].Envelope)
	bad[0].Envelope[len(bad[0].Envelope)-1] ^= 1
	w.Log().KeepDropped(oplog.Dropped{Checkpoint: c.ID(), Stubs: bad})
	if _, err := entity.Open(w.Log()); !errors.Is(err, entity.ErrDropped) {
		t.Errorf("Open: %v, want ErrDropped", err)
	}
}

// TestSettledStaysSo: an owner who could have acked, and was one no more, does not unsettle a
// checkpoint when he is one again: what it dropped is gone.
func TestSettledStaysSo(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	a := w.post(t, "dora", "first")
	w.write(t, "dora", entity.ArticleDelete{Article: a.ID()})
	w.post(t, "dora", "more")
	c, err := w.Checkpoint(w.who(t, "founder").author(), w.ring)
	if err != nil {
		t.Fatal(err)
	}
	anna := w.who(t, "anna")
	w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: anna.user(), Cuts: []entity.Cut{}})
	if _, _, err := w.Strip(c.ID(), w.ring); !errors.Is(err, entity.ErrDropped) {
		t.Errorf("Strip while her demotion may still turn out void: %v, want ErrDropped", err)
	}
	w.checkpoint(t, "founder")
	_, stripped, err := w.Strip(c.ID(), w.ring)
	if err != nil || len(stripped) != 1 {
		t.Fatalf("Strip: %d, %v", len(stripped), err)
	}
	p := anna.party()
	w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: &p})
	if d := w.Drops(); len(d) != 1 || !d[0].Settled {
		t.Errorf("not settled any more: %+v", d)
	}
	fresh, err := entity.New(all(w.Entity)[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all(w.Entity)[1:] {
		if o.Strand() == oplog.Control {
			_, _ = fresh.Add(o)
		}
	}
	list, _ := w.Log().Dropped(c.ID())
	if err := fresh.TakeDropped(list, w.ring); err != nil {
		t.Errorf("a newcomer: %v", err)
	}
}

// TestBadNeighbour: an op whose own signature is bad is not dropped, so that every stub has
// an op that vouches for it, whatever is shown again later.
func TestBadNeighbour(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna")
	one, _ := w.withPhone(t, "dora")
	phone := w.who(t, "phone")
	a := w.post(t, "phone", "A")
	ghost := w.clone(t)
	raw := bytes.Clone(ghost.post(t, "phone", "B").Bytes())
	raw[len(raw)-1] ^= 1
	b := oplog.IDOf(raw)
	d := w.draft(phone, oplog.Content, oplog.FamilyComment, 99, []byte("x"))
	d.Prev, d.Parents, d.Seq = b, []keys.Digest{}, 2
	m := sign(t, phone, d)
	for _, o := range w.Vouched(oplog.ParseBatch(oplog.HashAll([][]byte{raw, m.Bytes()}), nil)) {
		checkAdded(t, w.Entity, o)
	}
	w.write(t, "dora", entity.ArticleDelete{Article: a.ID()})
	w.write(t, "phone", entity.ArticleEdit{Article: b, Title: "B2"})
	w.post(t, "phone", "D")
	ack := func() {
		for range 3 {
			if id, ok := w.WantsAck(w.who(t, "anna").user(), w.ring); ok {
				if _, err := w.Ack(w.who(t, "anna").author(), id); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	w.checkpoint(t, "founder")
	ack()
	w.must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "x"})
	w.checkpoint(t, "founder")
	ack()
	w.must(t, "dora", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: one, Cuts: []entity.Cut{{Device: phone.key.ID(), Strand: oplog.Content, Seq: 2, ID: m.ID()}}})
	for _, drop := range w.Drops() {
		_, _, _ = w.Strip(drop.Checkpoint, w.ring)
	}
	ops := w.Log().Lacks(nil)
	vouchers := w.Log().Vouchers(ops)
	for _, o := range ops {
		if o.Bare() && vouchers[o.ID()].IsZero() {
			t.Errorf("nothing vouches for the stub %v: it and all that builds on it reach no newcomer", o.ID())
		}
	}
}

// TestLateHeads: what could not be found for want of content that an earlier checkpoint has
// is found when that comes.
func TestLateHeads(t *testing.T) {
	t.Parallel()
	w := owners(t, "anna", "bert")
	a := w.post(t, "dora", "first")
	w.write(t, "dora", entity.ArticleDelete{Article: a.ID()})
	w.post(t, "dora", "more")
	behind := w.clone(t) // anna: lacks what the founder writes now
	x := w.post(t, "founder", "x")
	del := w.write(t, "founder", entity.ArticleDelete{Article: x.ID()})
	last := w.post(t, "founder", "y")
	w.checkpoint(t, "founder")
	for _, name := range []string{"anna", "bert"} {
		if id, ok := w.WantsAck(w.who(t, name).user(), w.ring); ok {
			if _, err := w.Ack(w.who(t, name).author(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	late := behind
	for _, o := range all(w.Entity) {
		if o.Strand() == oplog.Control {
			_, _ = late.Add(o)
		}
	}
	b := late.post(t, "dora", "second")
	late.write(t, "dora", entity.ArticleDelete{Article: b.ID()})
	late.post(t, "dora", "third")
	c := late.NextCheckpoint()
	stubs := []oplog.Stub{oplog.StubOf(b)}
	late.CheckDrops(late.ring)
	c.Drops, c.Content = 1, late.ContentRoot(c.Heads, stubs...)
	c2 := late.must(t, "anna", oplog.FamilyCheckpoint, entity.TypeCheckpoint, c)
	late.CheckDrops(late.ring) // caches that it lacks content
	for _, o := range []oplog.Op{x, del, last} {
		checkAdded(t, late.Entity, o)
	}
	id, ok := late.WantsAck(late.who(t, "founder").user(), late.ring)
	opened, err := entity.Open(late.Log())
	if err != nil {
		t.Fatal(err)
	}
	id2, ok2 := opened.WantsAck(late.who(t, "founder").user(), late.ring)
	if ok != ok2 || id != id2 {
		t.Errorf("WantsAck %v %v, after a restart %v %v (c2 is %v); false: %v", id, ok, id2, ok2, c2.ID(), late.FalseDrops())
	}
}
