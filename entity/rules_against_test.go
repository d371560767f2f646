package entity_test

import (
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestRuleTextsAgainst tries what a master may not say of another. Each line of
// judgeAgainst has its row here.
func TestRuleTextsAgainst(t *testing.T) {
	t.Parallel()
	base := settle(t, entity.Board)
	user := func(name string) keys.Digest { return base.Who(t, name).User() }
	party := func(name string) entity.Party { return base.Who(t, name).Party() }
	cutOf := func(name string) []entity.Cut {
		return []entity.Cut{{Device: base.Who(t, name).Key.ID(), Strand: oplog.Control}}
	}
	next := nextEpoch(base)
	changed := func(change func(*entity.NextEpoch)) entity.NextEpoch {
		n := next
		change(&n)
		return n
	}
	other := party("member")
	other.Devices = devices(1)
	elsewhere := party("member")
	elsewhere.Head = keys.Digest{9}
	box := party("member")
	box.Box = party("reader").Box
	const remove, demote, transfer, role = "remove", "demote", "transfer", "role"
	types := map[string]struct {
		family oplog.Family
		typ    uint16
	}{
		remove: {oplog.FamilyMember, entity.TypeRemove}, demote: {oplog.FamilyMaster, entity.TypeMasterRemove},
		transfer: {oplog.FamilyMaster, entity.TypeMasterTransfer}, role: {oplog.FamilyMember, entity.TypeRole},
	}
	for _, c := range []struct {
		what    string
		body    any
		because string // empty: taken
	}{
		{remove, entity.Remove{User: user("reader"), Cuts: cutOf("reader"), Epoch: next}, ""},
		{remove, entity.Remove{User: user("reader"), Cuts: cutOf("member"), Epoch: next}, "another's device"},
		{remove, entity.Remove{User: user("reader"), Cuts: cutOf("founder"), Epoch: next}, "another's device"},
		{remove, entity.Remove{User: user("stranger"), Epoch: next}, "is not a member"},
		{remove, entity.Remove{User: user("gone"), Epoch: next}, "is not a member"},
		{remove, entity.Remove{Epoch: next}, "is not a member"},
		{remove, entity.Remove{User: user("founder"), Epoch: next}, "the founder"},
		{remove, entity.Remove{User: user("master"), Epoch: next}, "who goes himself leaves"},
		{remove, entity.Remove{User: user("reader"), Epoch: changed(func(n *entity.NextEpoch) { n.Depth = 1 })}, "depth 1, want 3"},
		{remove, entity.Remove{User: user("reader"), Epoch: changed(func(n *entity.NextEpoch) { n.Depth = 2 })}, "depth 2, want 3"},
		{remove, entity.Remove{User: user("reader"), Epoch: changed(func(n *entity.NextEpoch) { n.Depth, n.Replaces = 1, nil })}, "beside another"},
		{remove, entity.Remove{User: user("reader"), Epoch: changed(func(n *entity.NextEpoch) { n.Replaces = []keys.Digest{{1}} })}, "unknown epoch"},
		{remove, entity.Remove{User: user("reader"), Epoch: changed(func(n *entity.NextEpoch) { n.Replaces = append([]keys.Digest{{0, 1}}, n.Replaces...) })}, "unknown epoch"},
		{remove, entity.Remove{User: user("reader"), Epoch: changed(func(n *entity.NextEpoch) { n.Replaces = append(epochs(base), epochs(base)...) })}, "not ascending"},
		{demote, entity.MasterRemove{User: user("master"), Cuts: cutOf("master")}, ""}, // himself
		{demote, entity.MasterRemove{User: user("master"), Cuts: cutOf("founder")}, "another's device"},
		{demote, entity.MasterRemove{User: user("member")}, "not a further master"},
		{demote, entity.MasterRemove{User: user("founder")}, "the founder"},
		{demote, entity.MasterRemove{User: user("gone")}, "is not a member"},
		{transfer, entity.MasterTransfer{Party: party("member"), Cuts: cutOf("master")}, ""},
		{transfer, entity.MasterTransfer{Party: party("member"), Cuts: cutOf("member")}, "another's device"},
		{transfer, entity.MasterTransfer{Party: other}, "as he is here"},
		{transfer, entity.MasterTransfer{Party: elsewhere}, "as he is here"},
		{transfer, entity.MasterTransfer{Party: box}, "as he is here"},
		{transfer, entity.MasterTransfer{Party: party("master")}, "another member"},
		{transfer, entity.MasterTransfer{Party: party("founder")}, "the founder"},
		{transfer, entity.MasterTransfer{Party: party("stranger")}, "is not a member"},
		{role, entity.SetRole{User: user("member"), Role: entity.Reader}, ""},
		{role, entity.SetRole{User: user("member"), Role: entity.Member}, ""}, // as he is
		{role, entity.SetRole{User: user("member"), Role: entity.Master}, "no such role"},
		{role, entity.SetRole{User: user("member")}, "no such role"},
		{role, entity.SetRole{User: user("member"), Role: 4}, "no such role"},
		{role, entity.SetRole{User: user("master"), Role: entity.Reader}, "of a master"},
		{role, entity.SetRole{User: user("founder"), Role: entity.Reader}, "the founder"},
		{role, entity.SetRole{User: user("gone"), Role: entity.Reader}, "is not a member"},
	} {
		w := base.clone(t)
		m := w.Who(t, "master")
		o := sign(t, m, w.Draft(m, oplog.Control, types[c.what].family, types[c.what].typ, c.body))
		if c.because == "" {
			checkAdded(t, w.Entity, o)
			continue
		}
		if got := addErr(w, o); !strings.Contains(got, c.because) {
			t.Errorf("%s %+v: refused with %q, want it to say %q", c.what, c.body, got, c.because)
			continue
		}
		checkRefused(t, base.clone(t).Entity, o, entity.ErrNotAuthorized)
	}
	// A malformed body is no op of that type.
	for _, typ := range types {
		for _, body := range [][]byte{{}, []byte("garbage"), {0xa0}} {
			w := base.clone(t)
			m := w.Who(t, "master")
			o := sign(t, m, w.Draft(m, oplog.Control, typ.family, typ.typ, body))
			checkRefused(t, w.Entity, o, entity.ErrBody)
		}
	}
}

// TestMembersAgain: who was removed stays known, and comes back by an admission.
func TestMembersAgain(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	m := w.Who(t, "member")
	w.Post(t, "member", "before")
	w.Must(t, "master", oplog.FamilyMember, entity.TypeRemove, entity.Remove{User: m.User(), Cuts: w.cuts(m.User()), Epoch: nextEpoch(w)})
	got, ok := w.State().Member(m.User())
	if !ok || got.Standing != entity.Removed {
		t.Errorf("who was removed is %+v, %v", got, ok)
	}
	if info, _ := w.State().WritingEpoch(func(keys.Digest) bool { return true }); info.Depth != 3 || info.By != w.Who(t, "master").User() {
		t.Errorf("the epoch after a removal is %+v, want depth 3 by who removed", info)
	}
	if _, err := w.Write(m.Author(), w.Ring, oplog.FamilyArticle, entitytest.TypeNew, keys.Digest{}, entitytest.Words{Title: "x"}); err == nil {
		t.Error("who was removed writes")
	}
	w.Admit(t, "member", entity.Reader)
	_, limited := w.State().Cuts[entity.Writer{User: m.User(), Device: m.Key.ID()}]
	if got, _ := w.State().Member(m.User()); got.Standing != entity.Active || got.Role != entity.Reader || limited {
		t.Errorf("who was admitted again is %+v, limited %v", got, limited)
	}
	if o, _ := w.Log().Tip(m.Key.ID(), oplog.Content); o.Seq() != 0 || !w.Counts(o) {
		t.Errorf("%d posts, want the one from before, which counts: %v", o.Seq()+1, w.Counts(o))
	}
}
