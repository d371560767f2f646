package protocol_test

import (
	"fmt"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// A whole join of a board whose link approves by itself. What a node stores is
// left out: every change is durable at once.
func ExampleJoiner() {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	mia, rita := keys.New(), keys.New()
	miaMe := me(mia, now)
	ritaMe := me(rita, now)
	board, err := entity.CreateEntity(entity.Author{Key: mia, User: miaMe.ID(), Now: now}, entity.Genesis{
		Kind: entity.Board, Name: "dev", Founder: new(miaMe.State().Party("mia")),
		Policy: &entity.Policy{Join: entity.JoinLink, History: entity.History{Mode: entity.HistoryAll}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	link := invite.New(entity.Board, board.ID(), mia.ID(), invite.Options{Expires: now.Add(time.Hour), Auto: true})
	record := invite.NewRecord("i-1", link, board.ID(), invite.Terms{Created: now, Role: entity.Member})

	s := board.State()
	proof, _ := entity.ProveMaster(miaMe, board.Entity)
	inviter := protocol.NewInviter(protocol.Inviting{
		Record: record, Device: mia, Peer: rita.ID(), Proof: proof,
		Card: protocol.Card{Entity: s.ID, Kind: s.Kind, Name: s.Name, Policy: &s.Policy, Heads: board.Log().Heads(oplog.Control)},
	})
	joiner, err := protocol.NewJoiner(protocol.Joining{
		Attempt: invite.NewAttempt("r-1", link, "hello", now), Device: rita, Me: ritaMe, Name: "rita",
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	eff, err := joiner.Step(now, protocol.Start{})
	for err == nil && eff.Done == nil {
		switch c := eff.Commit; {
		case c == nil:
			fmt.Printf("%T\n", eff.Send[0])
			if m, ok := eff.Send[0].(protocol.AckChallenge); ok {
				eff, err = joiner.Step(now, m)
			} else {
				eff, err = inviter.Step(now, eff.Send[0])
			}
		case c.Attempt != nil:
			eff, err = joiner.Step(now, protocol.Committed{})
		case c.Reserve != nil:
			var claim invite.Claim
			var why invite.Code
			record, claim, why = record.Reserve(*c.Reserve, now, true)
			eff, err = inviter.Step(now, protocol.Committed{Claim: claim, Refuse: why})
		case c.Approve != nil:
			claim, _ := record.Claim(*c.Approve)
			op, _ := entity.ApproveJoinEntity(board.Entity, entity.Author{Key: mia, User: miaMe.ID(), Now: now},
				entity.Keyring{board.Epoch: board.Key}, entity.Admission{
					Party: entity.Party{User: claim.User, Head: claim.Head, Devices: claim.Devices, Box: claim.Box},
					Role:  record.Role, Ref: &record.Ref,
				})
			claim.State = invite.Approved
			strand, logs := protocol.Pack(board.Entity, op.ID(), protocol.MaxLogs)
			eff, err = inviter.Step(now, protocol.Committed{Claim: claim, Grant: &protocol.Grant{
				Entity: board.ID(), Admit: op.ID(), Logs: logs, Strand: strand,
				Keys: []entity.EpochKey{{Epoch: board.Epoch, Key: board.Key.Secret()}},
			}})
		}
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%T\n", eff.Send[0])
	eff, err = joiner.Step(now, eff.Send[0])
	if err != nil {
		fmt.Println(err)
		return
	}
	dev := eff.Commit.Joined.Entity.State()
	fmt.Println("rita stores", dev.Kind, dev.Name, "with", len(dev.Active()), "members")
	// Output:
	// protocol.Join
	// protocol.AckChallenge
	// protocol.JoinEntity
	// protocol.ApproveJoin
	// rita stores board dev with 2 members
}

// me founds the identity of a device's user.
func me(device keys.Private, now time.Time) *entity.Entity {
	c, err := entity.CreateMe(entity.Author{Key: device, Now: now}, keys.New().ID(), entity.Desktop, keys.NewBox().ID())
	if err != nil {
		panic(err)
	}
	return c.Entity
}
