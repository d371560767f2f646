package entity_test

import (
	"bytes"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

func TestFinalReadmitted(t *testing.T) {
	w := owners(t, "anna")
	a := w.post(t, "dora", "first")
	w.write(t, "dora", entity.ArticleDelete{Article: a.ID()})
	w.post(t, "dora", "more")
	c, err := w.Checkpoint(w.who(t, "founder").author(), w.ring)
	if err != nil {
		t.Fatal(err)
	}
	annaBehind := w.who(t, "anna")
	w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: annaBehind.user(), Cuts: []entity.Cut{}})
	t.Logf("after the demotion %+v", w.Drops())
	_, stripped, err := w.Strip(c.ID(), w.ring)
	if err != nil || len(stripped) != 1 {
		t.Fatalf("Strip: %d, %v", len(stripped), err)
	}
	p := annaBehind.party()
	w.must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: &p})
	t.Logf("after she is an owner again %+v", w.Drops())
	if d := w.Drops(); len(d) != 1 || !d[0].Settled {
		t.Errorf("not settled any more: listsFor leaves out the stub and all that builds on it: %+v", d)
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
	if id, ok := fresh.WantsAck(p.User, w.ring); !ok {
		t.Errorf("anna, from an empty disk, never acks: %v", id)
	}
}

func TestFinalBadNeighbour(t *testing.T) {
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
	for _, o := range w.Vouched(oplog.ParseBatch([][]byte{raw, m.Bytes()}, nil)) {
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
	t.Logf("drops %+v, shown %q", w.Drops(), w.texts())
	for _, drop := range w.Drops() {
		_, stripped, err := w.Strip(drop.Checkpoint, w.ring)
		t.Logf("Strip: %d, %v", len(stripped), err)
	}
	ops := w.Log().Lacks(nil)
	if _, without := w.Log().Vouchers(ops); len(without) > 0 {
		t.Errorf("%d stubs that nothing vouches for: they and all that builds on them reach no newcomer", len(without))
	}
}
