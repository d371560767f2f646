package entity

import (
	"math"
	"testing"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

// TestFoldMeBounds: an entry that says what no version means is passed over, and
// does not stand in the way of the next one.
func TestFoldMeBounds(t *testing.T) {
	a := Author{Key: keys.New(), Now: time.Now()}
	me, err := CreateMe(a, keys.New().ID(), Desktop, keys.NewBox().ID())
	if err != nil {
		t.Fatal(err)
	}
	a.User = me.ID()
	ring := Keyring{me.Epoch: me.Key}
	write := func(typ uint16, body any) {
		t.Helper()
		if _, err := me.Write(a, ring, oplog.FamilyMe, typ, body); err != nil {
			t.Fatal(err)
		}
	}
	id := keys.Digest{1}
	for _, choice := range []uint8{0, 3, Reject, Approve} {
		write(TypeDecision, Decision{JoinID: id, Choice: choice})
	}
	for _, at := range []uint64{1, maxSeconds, maxSeconds + 1, math.MaxUint64} {
		write(TypeRequest, Asking{JoinID: id, Entity: me.ID(), Since: at})
		write(TypeRequest, Asking{JoinID: id, Entity: me.ID(), Since: 2, Deadline: at})
	}
	l := me.FoldMe(ring, nil)
	if got := l.Decisions[id].Choice; got != Reject {
		t.Errorf("the decision is %d, want that of the first one that is any, %d", got, Reject)
	}
	r := l.Requests[AskedAt{id, a.Key.ID()}]
	if r.Since != 2 || r.Deadline != maxSeconds {
		t.Errorf("the request is since %d until %d, want the last printable one, 2 and %d", r.Since, r.Deadline, uint64(maxSeconds))
	}
	if _, err := time.Unix(maxSeconds, 0).UTC().MarshalJSON(); err != nil {
		t.Errorf("the latest time: %v", err)
	}
}
