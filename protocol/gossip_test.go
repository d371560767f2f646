package protocol

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"pttnode/keys"
	"pttnode/oplog"
)

var (
	gossipEntity = keys.Digest{5}
	gossipEpoch  = keys.Digest{6}
	gossipHeader = keys.OpKeyFromSecret([32]byte{4}).Header(gossipEntity, gossipEpoch)
)

// sealed is a payload of any plaintext.
func sealed(plain []byte) []byte { return gossipHeader.Seal(gossipEntity, gossipEpoch, nil, plain) }

// TestGossip: what a payload says, byte by byte, and what is none.
func TestGossip(t *testing.T) {
	head := oplog.Head{Device: keys.ID{1}, Strand: oplog.Content, Seq: 3, ID: keys.Digest{2}}
	headHex := "a4" + "015820" + hex.EncodeToString(head.Device[:]) + "0202" + "0303" + "045820" + hex.EncodeToString(head.ID[:])
	for _, c := range []struct {
		name, plain string
		want        Gossip // none: refused
	}{
		{"one op", "a10181a101420102", Gossip{Ops: []oplog.Pair{{Envelope: []byte{1, 2}}}}},
		{"two ops", "a10182a2014101024103a1014102", Gossip{Ops: []oplog.Pair{{Envelope: []byte{1}, Body: []byte{3}}, {Envelope: []byte{2}}}}},
		{"heads", "a10281" + headHex, Gossip{Heads: oplog.Vector{head}}},
		{"nothing", "a0", Gossip{}},
		{"no ops", "a10180", Gossip{}},
		{"no heads", "a10280", Gossip{}},
		{"both", "a20181a101410102" + "81" + headHex, Gossip{}},
		{"another key", "a10300", Gossip{}},
		{"an op that is text", "a10181a1016101", Gossip{}},
		{"an op that is no pair", "a10181420102", Gossip{}},
		{"an empty body", "a10181a20141010240", Gossip{}},
		{"a key twice", "a20181a10141010181a1014101", Gossip{}},
		{"a longer integer", "a1180181a101420102", Gossip{}},
		{"a byte too many", "a10181a10142010200", Gossip{}},
		{"cut off", "a10181a1014201", Gossip{}},
		{"no map", "81a1014101", Gossip{}},
		{"empty", "", Gossip{}},
	} {
		plain, err := hex.DecodeString(c.plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenGossip(gossipHeader, gossipEntity, gossipEpoch, sealed(plain))
		if !slices.EqualFunc(got.Ops, c.want.Ops, samePair) || !slices.Equal(got.Heads, c.want.Heads) {
			t.Errorf("%s, %s: got %+v, want %+v", c.name, c.plain, got, c.want)
		}
		refused := len(c.want.Ops)+len(c.want.Heads) == 0
		if refused != errors.Is(err, ErrFrame) || !refused && err != nil {
			t.Errorf("%s, %s: %v; want ErrFrame: %t", c.name, c.plain, err, refused)
		}
		if payload, fits := c.want.Seal(gossipHeader, gossipEntity, gossipEpoch); !refused {
			again, err := gossipHeader.Open(gossipEntity, gossipEpoch, nil, payload)
			if !fits || err != nil || !bytes.Equal(again, plain) {
				t.Errorf("%s: sealed as %x, %t, %v; want %x", c.name, again, fits, err, plain)
			}
		}
	}
}

func samePair(a, b oplog.Pair) bool {
	return bytes.Equal(a.Envelope, b.Envelope) && bytes.Equal(a.Body, b.Body)
}

// TestGossipKeys: a payload opens under its own epoch, entity and header key only,
// and unchanged only.
func TestGossipKeys(t *testing.T) {
	payload, _ := Gossip{Ops: []oplog.Pair{{Envelope: []byte{1}}}}.Seal(gossipHeader, gossipEntity, gossipEpoch)
	spoiled := bytes.Clone(payload)
	spoiled[len(spoiled)-1] ^= 1
	key := keys.OpKeyFromSecret([32]byte{4})
	for what, open := range map[string]func() (Gossip, error){
		"another epoch":   func() (Gossip, error) { return OpenGossip(gossipHeader, gossipEntity, keys.Digest{7}, payload) },
		"another entity":  func() (Gossip, error) { return OpenGossip(gossipHeader, keys.Digest{7}, gossipEpoch, payload) },
		"the op-key":      func() (Gossip, error) { return OpenGossip(key, gossipEntity, gossipEpoch, payload) },
		"a changed byte":  func() (Gossip, error) { return OpenGossip(gossipHeader, gossipEntity, gossipEpoch, spoiled) },
		"a nonce and tag": func() (Gossip, error) { return OpenGossip(gossipHeader, gossipEntity, gossipEpoch, payload[:39]) },
		"nothing":         func() (Gossip, error) { return OpenGossip(gossipHeader, gossipEntity, gossipEpoch, nil) },
	} {
		if g, err := open(); !errors.Is(err, keys.ErrSealed) {
			t.Errorf("%s: %+v, %v; want keys.ErrSealed", what, g, err)
		}
	}
	if _, err := OpenGossip(gossipHeader, gossipEntity, gossipEpoch, payload); err != nil {
		t.Errorf("the payload as it was: %v", err)
	}
}

// TestGossipSize: 16 KiB of CBOR fit, a byte more does not, on either side.
func TestGossipSize(t *testing.T) {
	const envelope = 1 + 1 + 1 + 1 + 1 + 3 // map, key, array, map, key, head of a long byte string
	for _, c := range []struct {
		size int
		fits bool
	}{{MaxGossip - envelope, true}, {MaxGossip - envelope + 1, false}} {
		g := Gossip{Ops: []oplog.Pair{{Envelope: make([]byte, c.size)}}}
		payload, fits := g.Seal(gossipHeader, gossipEntity, gossipEpoch)
		if fits != c.fits || fits && len(payload) != MaxGossipPayload {
			t.Errorf("an op of %d bytes: fits %t in %d bytes, want %t", c.size, fits, len(payload), c.fits)
		}
		_, err := OpenGossip(gossipHeader, gossipEntity, gossipEpoch, sealed(keys.Marshal(g)))
		if (err == nil) != c.fits || err != nil && !errors.Is(err, ErrFrame) {
			t.Errorf("an op of %d bytes opens: %v, want it to: %t", c.size, err, c.fits)
		}
	}
}

// FuzzGossip: what opens seals to the same plaintext, and nothing panics.
func FuzzGossip(f *testing.F) {
	for _, s := range []string{"a10181420102", "a0", "a10280", "a20181410102814101"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Add(keys.Marshal(Gossip{Heads: oplog.Vector{{Device: keys.ID{1}, Strand: oplog.Control, Seq: 1 << 60, ID: keys.Digest{2}}}}))
	f.Fuzz(func(t *testing.T, plain []byte) {
		g, err := OpenGossip(gossipHeader, gossipEntity, gossipEpoch, sealed(plain))
		if err != nil {
			if !errors.Is(err, ErrFrame) || len(g.Ops)+len(g.Heads) > 0 {
				t.Fatalf("% x: %+v, %v; want ErrFrame and nothing", plain, g, err)
			}
			return
		}
		payload, fits := g.Seal(gossipHeader, gossipEntity, gossipEpoch)
		if again, err := gossipHeader.Open(gossipEntity, gossipEpoch, nil, payload); !fits || err != nil || !bytes.Equal(again, plain) {
			t.Fatalf("% x opens and seals to % x, %t, %v", plain, again, fits, err)
		}
	})
}
