package oplog_test

import (
	"encoding/hex"
	"testing"

	"pttnode/oplog"
)

// TestRangesVector: the example of docs/PROTOCOL.md §8.4. Salt 16×02; a control op of id
// 32×01 at depth 0 and 19 content ops of ids 32×10, 32×11 … at depths 0, 1 …
func TestRangesVector(t *testing.T) {
	places := []oplog.Place{{ID: digest(1)}}
	for i := range byte(19) {
		places = append(places, oplog.Place{Depth: 1<<40 + uint64(i), ID: digest(16 + i)})
	}
	salt := oplog.Salt(id(2))
	open := oplog.NewReconciler(places, salt).Open()
	if got := hex.EncodeToString(open[:18]); got != wantOpen {
		t.Errorf("Open begins %s, want %s", got, wantOpen)
	}
	// Who has the first two and the last lacks 17 of 20.
	other := oplog.NewReconciler([]oplog.Place{places[0], places[1], places[19]}, salt)
	reply, want, err := other.Answer(open, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(reply); got != wantReply {
		t.Errorf("the reply is %s, want %s", got, wantReply)
	}
	if len(want) != 15*6 || hex.EncodeToString(want[:6]) != wantFirst {
		t.Errorf("%d bytes are wanted, first %x; want %d, %s", len(want), want[:6], 15*6, wantFirst)
	}
}

const (
	wantOpen  = "83808080802001ad1db50a24d742d5000210"
	wantReply = "838080808020020296e9050ce468724f0f3e29e7"
	wantFirst = "19d197879ac3"
)
