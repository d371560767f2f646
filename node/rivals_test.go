package node

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// TestRivalsShowInStatus: a checkpoint that is signed with a stolen key of the founder's,
// beside his own, is told of in status, for the board that has it and no other.
func TestRivalsShowInStatus(t *testing.T) {
	n, _ := target(t, nil)
	b, err := n.CreateBoard(t.Context(), BoardOptions{Name: "dev", Policy: "link"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.CreateBoard(t.Context(), BoardOptions{Name: "calm"}); err != nil {
		t.Fatal(err)
	}
	inv, err := n.Invite(t.Context(), InviteOptions{Kind: "board", Board: "dev", Auto: true})
	if err != nil {
		t.Fatal(err)
	}
	h, c, phone := n.entities[b.ID], newClaimant(t), keys.New()
	got := n.commitInviting(c.key.ID(), inv.ID, c.reserve(h)).(protocol.Committed)
	n.commitInviting(c.key.ID(), inv.ID, &protocol.Change{Approve: &got.Claim.JoinID})
	write := func(e *entity.Entity, key keys.Private, family oplog.Family, typ uint16, body any) oplog.Op {
		t.Helper()
		o, err := e.Control(entity.Author{Key: key, User: n.user, Now: time.Now()}, family, typ, body)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	listPhone(t, n, h, phone)

	thief, err := copyOf(h.Entity)
	if err != nil {
		t.Fatal(err)
	}
	write(h.Entity, n.device, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "the founder's"})
	if _, err := h.Checkpoint(entity.Author{Key: n.device, User: n.user, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if got := healthCodes(n); len(got) != 0 {
		t.Errorf("health with one checkpoint: %q", got)
	}
	title := write(thief, phone, oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: "the thief's"})
	rival, err := thief.Checkpoint(entity.Author{Key: phone, User: n.user, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.take(b.ID, c.key.ID(), []oplog.Pair{title.Pair(), rival.Pair()}); err != nil {
		t.Fatal(err)
	}
	if got := healthCodes(n); !slices.Equal(got, []string{"checkpoint_rivals"}) {
		t.Fatalf("health with two checkpoints: %q, want checkpoint_rivals", got)
	}
	if told := n.Status().Health[0]; !strings.Contains(told.Title, `"dev"`) || !strings.HasSuffix(told.Hint, "pttnode view "+b.ID.String()) {
		t.Errorf("it says %+v", told)
	}
}

// listPhone lists another device of ours in a board.
func listPhone(t *testing.T, n *Node, h *held, phone keys.Private) {
	t.Helper()
	m, _ := h.State().Member(n.user)
	party := m.Party
	party.Devices = append(slices.Clone(party.Devices), phone.ID())
	slices.SortFunc(party.Devices, func(a, b keys.ID) int { return slices.Compare(a[:], b[:]) })
	if _, err := h.Control(entity.Author{Key: n.device, User: n.user, Now: time.Now()}, oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party}); err != nil {
		t.Fatal(err)
	}
}
