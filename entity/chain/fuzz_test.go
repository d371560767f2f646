package chain_test

import (
	"bytes"
	"testing"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// FuzzParseLink: any bytes are refused, or are what Marshal writes.
func FuzzParseLink(f *testing.F) {
	c := household([]string{"A", "B", "C", "D"}, []string{"A", "B", "C"})
	for _, l := range c.Links() {
		f.Add(l.Marshal())
	}
	o := sign(c, key("D"), addOf(c, "E"))
	f.Add(certified(c, o, "A", "B").Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := chain.ParseLink(raw)
		if err != nil {
			return
		}
		if again := l.Marshal(); !bytes.Equal(again, raw) {
			t.Errorf("%x\ncomes back as\n%x", raw, again)
		}
		if next, err := c.Extend(l); err == nil && next.Head() != o.ID() {
			t.Errorf("a link that nobody wrote is taken: %x", raw)
		}
	})
}

// FuzzBody: a body of any type and any bytes, written by a sole voter, or as a RESET by
// the words, is refused without harm, or is a chain op that both implementations take.
func FuzzBody(f *testing.F) {
	c := household([]string{"A", "B", "C"}, nil)
	var naive nChain
	for _, l := range c.Links() {
		naive, _ = nStep(naive, l)
	}
	types := []uint16{8, 9, 10, 11, 12, 13, 14, 15}
	for i, body := range []any{
		addOf(c, "D"), removeOf(c, "B"),
		chain.DeviceClass{Device: id("B"), Class: 1, Chain: c.Next()},
		votersOf(c, "A", "B", "C"),
		chain.SetAnchor{Device: id("B"), Chain: c.Next()},
		wordsOf(c, "words", "words2"), movedOf(c, "words"),
		chain.Mend{One: c.Head(), Other: digest("x"), Chain: c.Next()},
		resetOf(c, []string{"B", "E"}, []string{"E"}),
	} {
		f.Add(uint8(i), keys.Marshal(body))
	}
	f.Fuzz(func(t *testing.T, n uint8, body []byte) {
		typ, author := chain.Type{Family: oplog.FamilyCheckpoint, Type: 3}, key("words")
		if int(n) < len(types) {
			typ, author = chain.Type{Family: oplog.FamilyMember, Type: types[n]}, key("A")
		}
		if len(body) > chain.MaxOp {
			return
		}
		o := signAs(c, author, typ, body)
		_, err := c.Extend(chain.Link{Op: o})
		if _, ok := nStep(naive, chain.Link{Op: o}); ok != (err == nil) {
			t.Errorf("%d/%d %x: %v, naive takes it: %t", typ.Family, typ.Type, body, err, ok)
		}
	})
}
