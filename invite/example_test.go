package invite_test

import (
	"errors"
	"fmt"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

func ExampleParse() {
	device := keys.FromSeed([32]byte{1})
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	made := invite.New(entity.Friend, keys.Hash("ptt/test/user", nil), device.ID(), invite.Options{
		Expires: now.Add(invite.DefaultLife(entity.Friend)),
		Name:    "alice",
	})

	pasted := "「" + made.URL()[:40] + "\n" + made.URL()[40:] + "」。"
	l, err := invite.Parse(pasted)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.Kind, l.Name, l.Uses, l.Expires.Format(time.RFC3339))
	fmt.Println("same invite:", l.Keys().IID == made.Keys().IID)

	_, err = invite.Parse(made.URL()[:100])
	fmt.Println("cut:", errors.Is(err, invite.ErrIncomplete))
	// Output:
	// friend alice 1 2026-01-05T15:04:05Z
	// same invite: true
	// cut: true
}
