package node

import (
	"errors"
	"testing"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// TestFriendInfoBadSignature: a bad signature in the middle of a chain that comes by
// init-friend-info: of the friendship's ops as much is taken as by a sync of the same
// (testnet.TestBadSignatureEverywhere, in the control strand), and an approval whose
// log has one brings nothing.
func TestFriendInfoBadSignature(t *testing.T) {
	w := newFriendWorld(t, true)
	// chain writes three ops of the friend's device, of which the second one is spoiled.
	chain := func(eid keys.Digest, log *oplog.Log) (raws [][]byte) {
		t.Helper()
		d := oplog.Draft{ // of a type that nobody knows, which every member may write
			Entity: eid, User: w.c.me.ID(), Strand: oplog.Control, Family: oplog.FamilyMember, Type: 100,
			Parents: log.Heads(oplog.Control), At: time.Now(), Body: keys.Marshal(struct{}{}),
		}
		if tip, ok := log.Tip(w.c.key.ID(), oplog.Control); ok {
			d.Seq, d.Prev = tip.Seq()+1, tip.ID()
		}
		for i := range 3 {
			o, err := oplog.Sign(w.c.key, d)
			if err != nil {
				t.Fatal(err)
			}
			raw := append([]byte(nil), o.Envelope()...)
			if i == 1 {
				raw[len(raw)-1] ^= 1
			}
			raws = append(raws, raw)
			d.Seq, d.Prev = d.Seq+1, oplog.IDOf(raw)
			d.Parents = []keys.Digest{d.Prev}
		}
		return raws
	}

	spoiled := w.honest()
	spoiled.Approvals[1].Logs = append(spoiled.Approvals[1].Logs, chain(w.board.ID(), w.board.Log())...)
	answer, err := w.send(w.c, spoiled)
	w.nothing("a bad signature in the log of an approval", answer, err)

	raws := chain(w.f.ID(), w.f.Log())
	has := func(what string) {
		t.Helper()
		for i, want := range []bool{true, false, false} {
			if _, got := w.f.Log().Get(oplog.IDOf(raws[i])); got != want {
				t.Errorf("%s: op %d of the chain is there: %v, want %v", what, i, got, want)
			}
		}
	}
	body := w.honest()
	body.Ops = append(body.Ops, raws...)
	if answer, err := w.send(w.c, body); err != nil || len(answer) < 500 {
		t.Fatalf("ops with a bad signature among them: %d bytes, %v", len(answer), err)
	}
	has("by init-friend-info")
	if _, _, err := w.n.takeParsed(w.f.ID(), w.c.key.ID(), oplog.ParseBatch(oplog.HashAll(envelopes(raws)))); err != nil {
		t.Fatal(err)
	}
	has("and then by a sync")
	if _, err := w.n.take(w.f.ID(), w.c.key.ID(), envelopes(raws)); !errors.Is(err, errPayload) {
		t.Errorf("by a push: %v, want errPayload", err)
	}
	has("and then by a push")
}

// envelopes are operations of the control strand as they travel.
func envelopes(raws [][]byte) (pairs []oplog.Pair) {
	for _, raw := range raws {
		pairs = append(pairs, oplog.Pair{Envelope: raw})
	}
	return pairs
}
