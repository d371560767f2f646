package entity_test

import (
	"bytes"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestProofByLaterDevice: a master who was made one by a device that its user added
// after the board was founded can be proved, and so can one who had the place of a
// master handed to him.
func TestProofByLaterDevice(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	f := w.Who(t, "founder")
	phone := keys.FromSeed([32]byte{7})
	party := f.Party()
	party.Devices = devices(2)
	party.Devices[0], party.Devices[1] = f.Key.ID(), phone.ID()
	if bytes.Compare(party.Devices[0][:], party.Devices[1][:]) > 0 {
		party.Devices[0], party.Devices[1] = party.Devices[1], party.Devices[0]
	}
	w.Must(t, "founder", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party, Cuts: []entity.Cut{}})
	member := w.Who(t, "member").Party()
	checkAdded(t, w.Entity, sign(t, f.By(phone), w.Draft(f.By(phone), oplog.Control, oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: member})))
	reader := w.Who(t, "reader").Party()
	w.Must(t, "member", oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: reader, Cuts: []entity.Cut{}})
	for _, name := range []string{"founder", "master", "reader"} {
		p := w.Who(t, name)
		proof, ok := entity.ProveMaster(p.Me.Entity, w.Entity)
		if !ok {
			t.Errorf("%s: no proof", name)
			continue
		}
		id := w.ID()
		if _, eid, err := proof.Verify(entity.Board, [16]byte(id[:16]), p.Key.ID()); err != nil || eid != id {
			t.Errorf("%s: a proof of %d ops: %v", name, len(proof.Path), err)
		}
		for i := range proof.Path[1:] { // every op of it is needed
			short := proof
			short.Path = append(append([][]byte{}, proof.Path[:i+1]...), proof.Path[i+2:]...)
			if _, _, err := short.Verify(entity.Board, [16]byte(id[:16]), p.Key.ID()); err == nil {
				t.Errorf("%s: a proof without op %d of %d holds", name, i+1, len(proof.Path))
			}
		}
	}
	if _, ok := entity.ProveMaster(w.Who(t, "member").Me.Entity, w.Entity); ok {
		t.Error("a proof for who handed his place on")
	}
}
