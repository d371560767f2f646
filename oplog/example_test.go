package oplog_test

import (
	"fmt"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

func ExampleSign() {
	device := keys.FromSeed([32]byte{1})
	genesis, err := oplog.Sign(device, oplog.Draft{
		Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: 1,
		At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Body: []byte("a new log"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v op %d of its device, %s\n", genesis.Strand(), genesis.Seq(), genesis.Control())

	again, err := oplog.Parse(genesis.Envelope())
	fmt.Println("parsed again:", again.ID() == genesis.ID(), err)

	changed := append([]byte{}, genesis.Envelope()...)
	changed[len(changed)-1] ^= 1
	_, err = oplog.Parse(changed)
	fmt.Println("one bit changed:", err != nil)
	// Output:
	// control op 0 of its device, a new log
	// parsed again: true <nil>
	// one bit changed: true
}

func ExampleLog_Lacks() {
	device := keys.FromSeed([32]byte{1})
	genesis, _ := oplog.Sign(device, oplog.Draft{Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: 1})
	mine, theirs := oplog.NewLog(genesis.ID()), oplog.NewLog(genesis.ID())
	_, _ = mine.Append(genesis)

	for _, o := range mine.Lacks(theirs.Vector()) {
		_, _ = theirs.Append(o)
	}
	fmt.Println(theirs.Len(), len(mine.Lacks(theirs.Vector())))
	// Output: 1 0
}
