package entity

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"pttnode/keys"
)

// TestFullBoard: the state of 10,000 members is made by hand here, since signing for
// each would take the time of all other tests.
func TestFullBoard(t *testing.T) {
	t.Parallel()
	r := ruleOf[Board]
	s := &State{Kind: Board, Members: make(map[keys.Digest]*Membership)}
	for i := range r.members {
		var user keys.Digest
		binary.BigEndian.PutUint64(user[:], uint64(i)+1)
		s.Members[user] = &Membership{Standing: Active, Party: Party{User: user}}
	}
	refuse := func(format string, args ...any) error { return fmt.Errorf(format, args...) }
	b := &Admit{
		Party: Party{User: keys.Digest{0xff}, Head: keys.Digest{1}, Box: keys.NewBox().ID(), Devices: []keys.ID{{1}}}, Role: Reader, Ref: new([16]byte),
	}
	if err := judgeAdmit(s, b, r, refuse); err == nil || !strings.Contains(err.Error(), "full: 10000") {
		t.Errorf("an admission to a board of %d: %v, want it refused as full", len(s.Members), err)
	}
	for _, m := range s.Members {
		m.Standing = Gone
		break
	}
	if err := judgeAdmit(s, b, r, refuse); err != nil {
		t.Errorf("an admission to a board that one left: %v", err)
	}
}
