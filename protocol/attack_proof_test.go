package protocol

import (
	"slices"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestAttackProof: what an issuer may show as its proof of mastership. The
// forger makes links of his own, so kind and eid are his to choose.
func TestAttackProof(t *testing.T) {
	fay, mia, mallory := newPerson(t, "fay"), newPerson(t, "mia"), newPerson(t, "mallory")
	member := func(b place, p person) {
		b.admit(t, fay, entity.Admission{Party: p.party(), Role: entity.Member, Ref: &[16]byte{1}})
	}
	add := func(b place, by, p person) oplog.Op {
		return b.control(t, by, oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: p.party()})
	}
	b := newBoardPlace(t, fay, "dev")
	member(b, mia)
	member(b, mallory)
	addMia := add(b, fay, mia)
	other := newBoardPlace(t, fay, "other")
	member(other, mallory)
	addElsewhere := add(other, fay, mallory)
	genesis, _ := b.e.Log().Get(b.e.ID())
	mallorys := newBoardPlace(t, mallory, "mallory's")
	malloryGenesis, _ := mallorys.e.Log().Get(mallorys.e.ID())

	// An add that says what it likes.
	sign := func(by person, user keys.Digest, body entity.MasterAdd) oplog.Op {
		o, err := oplog.Sign(by.key, oplog.Draft{
			Entity: b.e.ID(), User: user, Strand: oplog.Control, Family: oplog.FamilyMaster, Type: entity.TypeMasterAdd,
			Parents: []keys.Digest{b.e.ID()}, At: dawn, Body: keys.Marshal(body),
		})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	addHimself := entity.MasterAdd{Party: mallory.party()}
	profile, err := entity.CreateEntity(mallory.author(dawn), entity.Genesis{Kind: entity.Profile, Founder: new(mallory.party())})
	if err != nil {
		t.Fatal(err)
	}
	badGenesis, err := oplog.Sign(mallory.key, oplog.Draft{
		User: mallory.user(), Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: entity.TypeGenesis, At: dawn,
		Body: keys.Marshal(entity.Genesis{Kind: entity.Board, Name: strings.Repeat("x", entity.MaxName+1)}),
	})
	if err != nil {
		t.Fatal(err)
	}
	broken := slices.Clone(addMia.Envelope())
	broken[len(broken)-1] ^= 1

	chain := func(p person) [][]byte { return p.me.DeviceChain() }
	path := func(ops ...oplog.Op) [][]byte {
		var raws [][]byte
		for _, o := range ops {
			raws = append(raws, o.Envelope())
		}
		return raws
	}
	board, unpadded := b.e.ID(), entity.Proof{Chain: chain(mia), Path: path(genesis, addMia)}
	for _, c := range []struct {
		name   string
		kind   entity.Kind
		eid    keys.Digest
		device person
		proof  entity.Proof
		ok     bool
	}{
		{"a second master", entity.Board, board, mia, unpadded, true},
		{"the founder", entity.Board, board, fay, entity.Proof{Chain: chain(fay), Path: path(genesis)}, true},
		{"a friend", entity.Friend, mia.user(), mia, entity.Proof{Chain: chain(mia)}, true},

		{"another's proof", entity.Board, board, mallory, unpadded, false},
		{"another's chain for a friend link", entity.Friend, mia.user(), mallory, entity.Proof{Chain: chain(mia)}, false},
		{"a friend link to another", entity.Friend, mia.user(), mallory, entity.Proof{Chain: chain(mallory)}, false},
		{"another board", entity.Board, other.e.ID(), mia, unpadded, false},
		{"a path for no board", entity.Friend, mia.user(), mia, unpadded, false},
		{"no path", entity.Board, board, mallory, entity.Proof{Chain: chain(mallory)}, false},
		{"no chain", entity.Friend, mallory.user(), mallory, entity.Proof{}, false},
		{"no chain for a board", entity.Board, board, mallory, entity.Proof{Path: path(genesis, addMia)}, false},
		{"a chain that is a board's", entity.Board, board, fay, entity.Proof{Chain: path(genesis), Path: path(genesis)}, false},
		{"ends at the founder", entity.Board, board, mallory, entity.Proof{Chain: chain(mallory), Path: path(genesis)}, false},
		{"ends at another", entity.Board, board, mallory, entity.Proof{Chain: chain(mallory), Path: path(genesis, addMia)}, false},
		{"an add of another board", entity.Board, board, mallory, entity.Proof{Chain: chain(mallory), Path: path(genesis, addElsewhere)}, false},
		{"an add by himself", entity.Board, board, mallory, entity.Proof{Chain: chain(mallory), Path: path(genesis, sign(mallory, mallory.user(), addHimself))}, false},
		{"an add in the founder's name", entity.Board, board, mallory, entity.Proof{Chain: chain(mallory), Path: path(genesis, sign(mallory, fay.user(), addHimself))}, false},
		{"an add by the founder's device in another's name", entity.Board, board, mallory, entity.Proof{Chain: chain(mallory), Path: path(genesis, sign(fay, mallory.user(), addHimself))}, false},
		{"no entity at all", entity.Board, keys.Digest{}, mallory, entity.Proof{Chain: chain(mallory), Path: path(genesis)}, false},
		{"an op that is no add", entity.Board, board, fay, entity.Proof{Chain: chain(fay), Path: [][]byte{genesis.Envelope(), b.e.ControlStrand()[2]}}, false},
		{"an add of nobody", entity.Board, mallorys.e.ID(), mallory, entity.Proof{Chain: chain(mallory), Path: path(malloryGenesis, addOf(t, mallorys, mallory, entity.MasterAdd{}))}, false},
		{"an op of an unknown type", entity.Board, mallorys.e.ID(), mallory, entity.Proof{Chain: chain(mallory), Path: path(malloryGenesis, addOf(t, mallorys, mallory, nil))}, false},
		{"a bad body", entity.Board, mallorys.e.ID(), mallory, entity.Proof{Chain: chain(mallory), Path: path(malloryGenesis, addOf(t, mallorys, mallory, entity.Epoch{}))}, false},
		{"a bad signature", entity.Board, board, mia, entity.Proof{Chain: chain(mia), Path: [][]byte{genesis.Envelope(), broken}}, false},
		{"from no genesis", entity.Board, addMia.ID(), mia, entity.Proof{Chain: chain(mia), Path: path(addMia)}, false},
		{"a genesis that is none", entity.Board, badGenesis.ID(), mallory, entity.Proof{Chain: chain(mallory), Path: path(badGenesis)}, false},
		{"not from a board", entity.Board, profile.ID(), mallory, entity.Proof{Chain: chain(mallory), Path: path(profile.Ops[0])}, false},
		{"too long", entity.Board, board, fay, entity.Proof{Chain: chain(fay), Path: path(slices.Concat([]oplog.Op{genesis}, slices.Repeat([]oplog.Op{b.firstAdd(t)}, 64))...)}, false},
	} {
		me, eid, err := c.proof.Verify(c.kind, [16]byte(c.eid[:16]), c.device.id())
		if (err == nil) != c.ok {
			t.Errorf("%s: %v, want ok %t", c.name, err, c.ok)
		}
		if err == nil && (me.User() != c.device.user() || eid != c.eid) {
			t.Errorf("%s: user %v, entity %v", c.name, me.User(), eid)
		}
	}
}

// addOf signs a master/add with any body after p's last op, whether or not it
// may stand there.
func addOf(t *testing.T, p place, by person, body any) oplog.Op {
	t.Helper()
	tip, _ := p.e.Log().Tip(by.id(), oplog.Control)
	typ, raw := entity.TypeMasterAdd, keys.Marshal(body)
	if body == nil {
		typ, raw = 99, nil
	}
	o, err := oplog.Sign(by.key, oplog.Draft{
		Entity: p.e.ID(), User: by.user(), Strand: oplog.Control, Family: oplog.FamilyMaster, Type: typ,
		Seq: tip.Seq() + 1, Prev: tip.ID(), Parents: p.e.Log().Heads(oplog.Control), At: dawn, Body: raw,
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// firstAdd returns the founder's own master/add.
func (p place) firstAdd(t *testing.T) oplog.Op {
	t.Helper()
	o, err := oplog.Parse(p.e.ControlStrand()[1])
	if err != nil {
		t.Fatal(err)
	}
	return o
}
