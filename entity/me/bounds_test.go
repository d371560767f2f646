package me_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/entity/entitytest"
	"pttnode/entity/me"
	"pttnode/keys"
	"pttnode/oplog"
)

// maxSeconds bounds the times of a request (docs/PROTOCOL.md §2.4).
const maxSeconds = 1 << 37

// TestFoldBounds: an entry that says what no version means is passed over, and does not
// stand in the way of the next one.
func TestFoldBounds(t *testing.T) {
	t.Parallel()
	w := &world{entitytest.Found(t, entity.Me), make(me.Opened)}
	write := func(typ uint16, body any) {
		t.Helper()
		w.note(t, entry{"founder", typ, body})
	}
	id := keys.Digest{1}
	for _, choice := range []uint8{0, 3, me.Reject, me.Approve} {
		write(me.TypeDecision, me.Decision{JoinID: id, Choice: choice})
	}
	for _, at := range []uint64{1, maxSeconds, maxSeconds + 1, math.MaxUint64} {
		write(me.TypeRequest, me.Asking{JoinID: id, Entity: w.ID(), Since: at})
		write(me.TypeRequest, me.Asking{JoinID: id, Entity: w.ID(), Since: 2, Deadline: at})
	}
	l := w.fold(w.Ring, nil)
	if got := l.Decisions[id].Choice; got != me.Reject {
		t.Errorf("the decision is %d, want that of the first one that is any, %d", got, me.Reject)
	}
	r := l.Requests[me.AskedAt{JoinID: id, By: w.Who(t, "founder").Key.ID()}]
	if r.Since != 2 || r.Deadline != maxSeconds {
		t.Errorf("the request is since %d until %d, want the last printable one, 2 and %d", r.Since, r.Deadline, uint64(maxSeconds))
	}
	if _, err := time.Unix(maxSeconds, 0).UTC().MarshalJSON(); err != nil {
		t.Errorf("the latest time: %v", err)
	}
}

// TestTypes: entries in words, and never a key.
func TestTypes(t *testing.T) {
	t.Parallel()
	w := &world{entitytest.Found(t, entity.Me), make(me.Opened)}
	joined := me.Joined{Entity: keys.Digest{1}, Kind: entity.Board, Addrs: [][]byte{{1}}, Keys: []entity.EpochKey{{Epoch: keys.Digest{1}, Key: [32]byte{1}}}}
	for typ, row := range map[uint16]struct {
		body       any
		want, word string
	}{
		me.TypeJoined:   {joined, "*me.Joined", "joined"},
		me.TypeLeft:     {me.Left{}, "*me.Left", "left"},
		me.TypeRead:     {me.Seen{}, "*me.Seen", "read"},
		me.TypeDecision: {me.Decision{}, "*me.Decision", "decision"},
		me.TypeSetting:  {me.Setting{}, "*me.Setting", "setting"},
		me.TypeRequest:  {me.Asking{}, "*me.Asking", "request"},
		99:              {me.Left{}, "<nil>", "type(99)"},
	} {
		o := w.note(t, entry{"founder", typ, row.body})
		body, word := w.Describe(o, me.Types, w.Ring)
		if got := fmt.Sprintf("%T", body); got != row.want || word != row.word {
			t.Errorf("type %d: %s %q, want %s %q", typ, got, word, row.want, row.word)
		}
		if j, ok := body.(*me.Joined); ok && (j.Keys != nil || j.Addrs != nil || j.Entity != joined.Entity) {
			t.Errorf("the keys and addresses of a joined entity are told: %v", j)
		}
		if body, _ := w.Describe(o, me.Types, nil); body != nil {
			t.Errorf("type %d without the key: %T", typ, body)
		}
	}
	if _, ok := me.Types[oplog.FamilyArticle]; ok || len(me.Types) != 1 {
		t.Errorf("types of %d families", len(me.Types))
	}
}
