package protocol_test

import (
	"errors"
	"testing"

	"pttnode/keys"
	"pttnode/protocol"
)

func TestKeysFrames(t *testing.T) {
	t.Parallel()
	epochs := func(n int) (ids []keys.Digest) {
		for i := range n {
			ids = append(ids, keys.Digest{byte(i), 1})
		}
		return ids
	}
	boxes := func(n, size int) (out []protocol.KeyBox) {
		for i := range n {
			out = append(out, protocol.KeyBox{Epoch: keys.Digest{byte(i), 1}, Box: make([]byte, size)})
		}
		return out
	}
	ask := func(payload []byte) error { _, err := protocol.DecodeAskKeys(payload); return err }
	answer := func(payload []byte) error { _, err := protocol.DecodeKeyBoxes(payload); return err }
	for _, c := range []struct {
		name   string
		decode func([]byte) error
		typ    protocol.KeysType
		body   any
		ok     bool
	}{
		{"one epoch", ask, protocol.KeysAsk, protocol.AskKeys{Epochs: epochs(1)}, true},
		{"as many as may be", ask, protocol.KeysAsk, protocol.AskKeys{Epochs: epochs(protocol.MaxAsked)}, true},
		{"no epoch", ask, protocol.KeysAsk, protocol.AskKeys{Epochs: epochs(0)}, false},
		{"one too many", ask, protocol.KeysAsk, protocol.AskKeys{Epochs: epochs(protocol.MaxAsked + 1)}, false},
		{"one twice", ask, protocol.KeysAsk, protocol.AskKeys{Epochs: []keys.Digest{{1}, {1}}}, false},
		{"descending", ask, protocol.KeysAsk, protocol.AskKeys{Epochs: []keys.Digest{{2}, {1}}}, false},
		{"nothing", ask, protocol.KeysAsk, struct{}{}, false},
		{"no box", answer, protocol.KeysBoxes, protocol.KeyBoxes{}, true},
		{"as many boxes as may be", answer, protocol.KeysBoxes, protocol.KeyBoxes{Boxes: boxes(protocol.MaxAsked, 80)}, true},
		{"a box too many", answer, protocol.KeysBoxes, protocol.KeyBoxes{Boxes: boxes(protocol.MaxAsked+1, 80)}, false},
		{"a short box", answer, protocol.KeysBoxes, protocol.KeyBoxes{Boxes: boxes(1, 79)}, false},
		{"a long box", answer, protocol.KeysBoxes, protocol.KeyBoxes{Boxes: boxes(1, 81)}, false},
	} {
		payload := keys.Marshal(c.body)
		if err := c.decode(payload); (err == nil) != c.ok || err != nil && !errors.Is(err, protocol.ErrFrame) {
			t.Errorf("%s: %v, want accepted: %v", c.name, err, c.ok)
		}
		if c.ok && len(payload)+1 > protocol.KeysLimit(uint8(c.typ)) {
			t.Errorf("%s: %d bytes are over the limit of the frame", c.name, len(payload))
		}
	}
	for typ := range 256 {
		if got := protocol.KeysLimit(uint8(typ)) > 0; got != (typ == 1 || typ == 2 || typ == 5) {
			t.Errorf("a frame of type %d is read: %v", typ, got)
		}
	}
}
