package protocol

import (
	"testing"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestAttackProof: what an issuer may show as the proof of whose device it is. The forger
// makes links of their own, so kind and eid are theirs to choose.
func TestAttackProof(t *testing.T) {
	fay, mia, mallory := newPerson(t, "fay"), newPerson(t, "mia"), newPerson(t, "mallory")
	b := newBoardPlace(t, fay, "dev")
	chain := func(p person) entity.Proof { return entity.Proof{Chain: p.me.DeviceChain()} }
	board := b.e.ID()
	half := func(d keys.Digest) [16]byte { return [16]byte(d[:16]) }
	twin := board // another board whose id begins alike
	twin[31] ^= 1
	for _, c := range []struct {
		name   string
		kind   entity.Kind
		eid    keys.Digest
		half   [16]byte
		device person
		proof  entity.Proof
		ok     bool
	}{
		{"the founder", entity.Board, board, half(board), fay, chain(fay), true},
		{"a friend", entity.Friend, mia.user(), half(mia.user()), mia, chain(mia), true},
		{"who is no owner: the logs of the approval say it", entity.Board, board, half(board), mallory, chain(mallory), true},
		{"another board of that half: its id is pinned, and its logs begin with it", entity.Board, twin, half(board), fay, chain(fay), true},

		{"another's chain", entity.Board, board, half(board), mallory, chain(mia), false},
		{"another's chain for a friend link", entity.Friend, mia.user(), half(mia.user()), mallory, chain(mia), false},
		{"a friend link to another", entity.Friend, mia.user(), half(mia.user()), mallory, chain(mallory), false},
		{"another board", entity.Board, board, half(mia.user()), fay, chain(fay), false},
		{"no chain", entity.Board, board, half(board), mallory, entity.Proof{}, false},
		{"a chain that is a board's", entity.Board, board, half(board), fay, entity.Proof{Chain: b.e.ControlStrand()[:1]}, false},
	} {
		me, err := c.proof.Verify(c.kind, c.eid, c.half, c.device.id())
		if (err == nil) != c.ok {
			t.Errorf("%s: %v, want ok %t", c.name, err, c.ok)
		}
		if err == nil && me.User() != c.device.user() {
			t.Errorf("%s: user %v", c.name, me.User())
		}
	}
}

// TestAttackNoOwner: H17: the approval of somebody who never was an owner, or is none any
// more, is refused by the logs. R has said who it is by then.
func TestAttackNoOwner(t *testing.T) {
	for name, c := range map[string]struct {
		before func(t *testing.T, b place, fay, mia person) // mia makes her link
		after  func(t *testing.T, b place, fay, mia person) // and does not know of this
		why    string
	}{
		"never one": {
			func(t *testing.T, b place, fay, mia person) {
				b.admit(t, fay, entity.Admission{Party: mia.party(), Role: entity.Member, Ref: &[16]byte{1}})
			},
			func(*testing.T, place, person, person) {}, "not a master",
		},
		"one no more": {
			func(t *testing.T, b place, fay, mia person) {
				b.admit(t, fay, entity.Admission{Party: mia.party(), Role: entity.Member, Ref: &[16]byte{1}})
				b.control(t, fay, oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: mia.party()})
			},
			func(t *testing.T, b place, fay, mia person) {
				b.control(t, fay, oplog.FamilyMaster, entity.TypeMasterRemove, entity.MasterRemove{User: mia.user(), Cuts: []entity.Cut{}})
			}, "not a master",
		},
		"a stranger": {func(*testing.T, place, person, person) {}, func(*testing.T, place, person, person) {}, "does not speak for a member"},
	} {
		t.Run(name, func(t *testing.T) {
			fay, mia := newPerson(t, "fay"), newPerson(t, "mia")
			b := newBoardPlace(t, fay, "dev")
			c.before(t, b, fay, mia)
			m := newIssuer(mia, entity.Board, b, invite.Options{})
			w := worldOf(t, m)
			x := &run{t: t, w: w, r: w.r}
			x.j, _ = NewJoiner(w.r.joining())
			x.toJoin()
			f := &forgedAck{device: mia.key, mac: m.rec.Key(), peerR: w.r.id(), peerM: mia.id(), body: AckBody{
				Version: Version1, Suite: Suite1, Challenge: [32]byte{1}, Proof: entity.Proof{Chain: mia.me.DeviceChain()},
				Card: Card{Entity: b.e.ID(), Kind: entity.Board, Name: "dev", Policy: new(b.e.State().Policy), Heads: b.e.Log().Heads(oplog.Control)},
			}}
			x.request = sent[JoinEntity](t, x.stepJ(w.r.commit(x.stepJ(x.sign(f)).Commit)))
			c.after(t, b, fay, mia)
			tip, wrote := b.e.Log().Tip(mia.id(), oplog.Control)
			how := entity.Admit{Party: w.r.party(), Role: entity.Member, Ref: &m.rec.Ref, Epochs: []keys.Digest{}}
			d := oplog.Draft{
				Entity: b.e.ID(), User: mia.user(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: entity.TypeAdmit,
				Parents: b.e.Log().Heads(oplog.Control), At: dawn, Body: keys.Marshal(how),
			}
			if wrote {
				d.Seq, d.Prev = tip.Seq()+1, tip.ID()
			}
			o, err := oplog.Sign(mia.key, d)
			if err != nil {
				t.Fatal(err)
			}
			g := b.grant(o.ID())
			g.Logs = append(g.Logs, o.Envelope())
			x.wantDistrust(x.forgeApproval(g).sign(t), c.why)
		})
	}
}
