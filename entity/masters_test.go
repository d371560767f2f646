package entity_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"pttnode/entity"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// TestMasters: random histories of a board with 3 to 6 masters who see a part of what
// the others do, remove, demote and admit each other, hand their place on, and sometimes sign
// twice at one place. All orders of arrival keep the same ops and come to the same state,
// which is the one that the rules say.
func TestMasters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ops := drawMasters(rt)
		want := deliver(rt, ops, func(int) int { return 0 })
		for i := range 2 {
			got := deliver(rt, ops, func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, fmt.Sprintf("next of delivery %d", i)) })
			if !bytes.Equal(snapshot(got), snapshot(want)) {
				rt.Fatalf("two orders of arrival, two states:\n%s\n%s", tell(want), tell(got))
			}
		}
		opened, err := entity.Open(batches(rt, ops))
		if err != nil || !bytes.Equal(snapshot(opened), snapshot(want)) {
			rt.Fatalf("Open comes to another state than Add: %v\n%s", err, tell(want))
		}
		checkInvariants(rt, want)
		if err := newNaive(want).check(want); err != nil {
			rt.Fatalf("the rules say otherwise: %v\n%s", err, tell(want))
		}
	})
}

// batches appends ops to a log in batches as a node takes them.
func batches(rt *rapid.T, ops []oplog.Op) *oplog.Log {
	l := oplog.NewLog(ops[0].Entity())
	for rest := ops; len(rest) > 0; {
		n := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
		if left := oplogtest.AppendAll(l, rest[:n]); len(left) > 0 {
			rt.Fatalf("%d ops of a batch do not fit", len(left))
		}
		rest = rest[n:]
	}
	return l
}

// drawMasters returns the ops of a random history, each after all it builds on.
func drawMasters(rt *rapid.T) []oplog.Op {
	base := &world{&entitytest.World{People: maps.Clone(cast()), Ref: [16]byte{1, 2, 3}}}
	p0 := base.People["p0"]
	base.People["founder"] = p0
	party := p0.Party()
	c, err := entity.CreateEntity(p0.Author(), entity.Genesis{Kind: entity.Board, Founder: &party, Policy: &entitytest.OpenPolicy})
	if err != nil {
		rt.Fatalf("CreateEntity: %v", err)
	}
	base.Entity, base.Ring = c.Entity, entity.Keyring{c.Epoch: c.Key}
	two := func(name string) entity.Party { // p0 and p1 have two devices
		p := base.People[name].Party()
		if d, ok := seconds[name]; ok {
			p.Devices = sorted(append(p.Devices, d.ID()))
		}
		return p
	}
	do := func(family oplog.Family, typ uint16, body any) {
		if _, err := base.Control(p0.Author(), family, typ, body); err != nil {
			rt.Fatalf("%d/%d: %v", family, typ, err)
		}
	}
	do(oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: two("p0")})
	for i := 1; i < rapid.IntRange(3, 6).Draw(rt, "masters"); i++ {
		p := two(fmt.Sprintf("p%d", i))
		do(oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: p, Role: entity.Member, Ref: &base.Ref})
		do(oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: p})
	}
	var nodes []*replica
	for i := range 8 {
		name := fmt.Sprintf("p%d", i%6)
		r := &replica{base.clone(silent{}), name}
		if i >= 6 { // the second device; or a clone of the first, which forks
			r.People = maps.Clone(r.People)
			if rapid.IntRange(0, 3).Draw(rt, "clone") > 0 {
				r.People[name] = r.People[name].By(seconds[name])
			}
		}
		nodes = append(nodes, r)
	}
	steps, least, most, acts := []string{"act", "act", "act", "take"}, 1, 10, []string{
		"remove", "remove", "remove", "demote", "demote", "transfer", "transfer", "role", "admit", "admit", "owner", "owner", "leave", "title", "unknown",
		"devices", "post", "checkpoint", "ack",
	}
	if rapid.IntRange(0, 2).Draw(rt, "close") > 0 { // checkpoints, and people who see them
		steps, least, most = []string{"act", "act", "take"}, 25, 60
		nodes = slices.Delete(nodes, 3, 6)
		acts = append(acts, "checkpoint", "checkpoint", "checkpoint", "checkpoint", "checkpoint", "ack", "ack", "ack", "ack", "ack")
	}
	for i := range rapid.IntRange(least, 50).Draw(rt, "steps") {
		r := nodes[rapid.IntRange(0, len(nodes)-1).Draw(rt, "node")]
		switch rapid.SampledFrom(steps).Draw(rt, "step") {
		case "act":
			r.rule(rt, i, rapid.SampledFrom(acts).Draw(rt, "what"))
		case "take":
			from := nodes[rapid.IntRange(0, len(nodes)-1).Draw(rt, "from")]
			entitytest.Take(rt, from.Entity, r.Entity, rapid.IntRange(0, most).Draw(rt, "how many"))
		}
	}
	return entitytest.Union(rt, base.ID(), nodes)
}

var seconds = map[string]keys.Private{"p0": newDevice("second of p0").Key, "p1": newDevice("second of p1").Key}

// rule is one thing that the master of a node tries.
func (r *replica) rule(rt *rapid.T, i int, what string) {
	p := r.People[r.name]
	other := r.People[fmt.Sprintf("p%d", rapid.IntRange(0, 5).Draw(rt, "whom"))]
	party := other.Party()
	if m, ok := r.State().Member(other.User()); ok {
		party = m.Party
	}
	do := func(family oplog.Family, typ uint16, body any) { _, _ = r.Control(p.Author(), family, typ, body) }
	switch what {
	case "remove":
		do(oplog.FamilyMember, entity.TypeRemove, entity.Remove{User: other.User(), Cuts: r.cuts(other.User()), Epoch: nextEpoch(r.world)})
	case "demote":
		do(oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: other.User()})
	case "transfer":
		do(oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: party})
	case "role":
		do(oplog.FamilyMember, entity.TypeRole, entity.SetRole{User: other.User(), Role: rapid.SampledFrom([]entity.Role{1, 2}).Draw(rt, "role")})
	case "admit":
		do(oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: party, Role: entity.Member, Ref: &r.Ref})
	case "owner":
		do(oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party})
	case "leave":
		do(oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	case "title":
		do(oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: fmt.Sprintf("%s %d", r.name, i)})
	case "checkpoint":
		_, _ = r.Checkpoint(p.Author())
	case "ack":
		for o := range r.Log().Backward(oplog.Control) {
			if o.Family() == oplog.FamilyCheckpoint && o.Type() == entity.TypeCheckpoint {
				if _, err := r.Ack(p.Author(), o.ID()); err == nil {
					return
				}
			}
		}
	case "unknown":
		do(oplog.FamilyPolicy, 99, entity.Text{Text: fmt.Sprint(i)})
	case "devices": // the other device goes
		m, ok := r.State().Member(p.User())
		if !ok {
			return
		}
		party := m.Party
		party.Devices = []keys.ID{p.Key.ID()}
		var cuts []entity.Cut
		for _, d := range m.Party.Devices {
			if d != p.Key.ID() {
				cuts = append(cuts, entity.Cut{Device: d, Strand: oplog.Content})
			}
		}
		do(oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party, Cuts: cuts})
	case "post":
		_, _ = r.Write(p.Author(), r.Ring, oplog.FamilyArticle, entitytest.TypeNew, keys.Digest{}, entitytest.Words{Title: fmt.Sprint(i)})
	}
}

// cuts name the last op of each device of a user, in both strands.
func (w *world) cuts(user keys.Digest) (cuts []entity.Cut) {
	m, ok := w.State().Member(user)
	if !ok {
		return nil
	}
	for _, d := range m.Party.Devices {
		for _, s := range []oplog.Strand{oplog.Control, oplog.Content} {
			if tip, ok := w.Log().Tip(d, s); ok {
				cuts = append(cuts, entity.Cut{Device: d, Strand: s, Seq: tip.Seq(), ID: tip.ID()})
			}
		}
	}
	return cuts
}

// nextEpoch replaces all epochs that there are.
func nextEpoch(w *world) entity.NextEpoch {
	b := entity.NextEpoch{Commitment: keys.Digest{1}, Replaces: epochs(w)}
	for _, e := range w.State().Epochs {
		b.Depth = max(b.Depth, e.Depth+1)
	}
	return b
}
