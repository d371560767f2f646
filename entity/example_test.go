package entity_test

import (
	"fmt"
	"time"

	"pttnode/entity"
	"pttnode/entity/board"
	"pttnode/keys"
	"pttnode/oplog"
)

func ExampleCreateEntity() {
	// Alice's identity on her first device.
	device := keys.FromSeed([32]byte{1})
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	me, err := entity.CreateMe(entity.Author{Key: device, Now: at}, keys.FromSeed([32]byte{2}).ID(), entity.Desktop, keys.BoxFromSecret([32]byte{3}).ID())
	if err != nil {
		fmt.Println(err)
		return
	}
	alice := entity.Author{Key: device, User: me.ID(), Now: at}

	// A board of hers, and its first article.
	party := me.State().Party("Alice")
	notes, err := entity.CreateEntity(alice, entity.Genesis{
		Kind: entity.Board, Founder: &party, Name: "notes",
		Policy: &entity.Policy{Join: entity.JoinFriends, History: entity.History{Mode: entity.HistoryAll}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ring := entity.Keyring{notes.Epoch: notes.Key}
	if _, err := notes.Write(alice, ring, oplog.FamilyArticle, board.TypeArticleNew, keys.Digest{}, board.Article{Title: "Hello"}); err != nil {
		fmt.Println(err)
		return
	}

	s := notes.State()
	fmt.Printf("%v %q of %d ops, %d member\n", s.Kind, s.Name, notes.Log().Len(), len(s.Active()))
	fmt.Println(s.Members[me.ID()].Party.Name, "is its", s.Members[me.ID()].Role)
	for _, p := range board.New(notes.Entity).Posts(ring) {
		fmt.Println(p.No, p.Title)
	}
	// Output:
	// board "notes" of 4 ops, 1 member
	// Alice is its owner
	// 1 Hello
}
