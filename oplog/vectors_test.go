package oplog_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
)

var update = flag.Bool("update", false, "write the golden files anew")

// vector is one operation as another implementation must write it.
type vector struct {
	Name   string      `json:"name"`
	Seed   string      `json:"seed"`
	Device keys.ID     `json:"device"`
	Entity keys.Digest `json:"entity"`
	ID     keys.Digest `json:"id"`
	AAD    string      `json:"aad"`
	Raw    string      `json:"raw"`
	Stub   string      `json:"stub,omitempty"` // of a content op
}

// TestVectors writes operations with fixed keys and compares them with the ones
// that docs/PROTOCOL.md quotes: a difference is a change of the format.
func TestVectors(t *testing.T) {
	t.Parallel()
	alice, bob := [32]byte{0: 1}, [32]byte{0: 2}
	at := time.UnixMilli(1_767_225_600_000)
	var got []vector
	add := func(name string, seed [32]byte, d oplog.Draft) oplog.Op {
		t.Helper()
		k := keys.FromSeed(seed)
		d.At = at
		o, err := oplog.Sign(k, d)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v := vector{
			Name: name, Seed: hex.EncodeToString(seed[:]), Device: k.ID(), Entity: o.Entity(), ID: o.ID(),
			AAD: hex.EncodeToString(o.AAD()), Raw: hex.EncodeToString(o.Bytes()),
		}
		if o.Strand() == oplog.Content {
			v.Stub = hex.EncodeToString(keys.Marshal(oplog.StubOf(o)))
		}
		got = append(got, v)
		return o
	}
	me := add("genesis of a Me", alice, oplog.Draft{
		Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: 1, Body: []byte{0xa0},
	})
	board := add("genesis of a board", alice, oplog.Draft{
		User: me.ID(), Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: 1, Body: []byte{0xa1, 1, 4},
	})
	second := add("control, second of its device", alice, oplog.Draft{
		Entity: board.ID(), User: me.ID(), Strand: oplog.Control, Family: oplog.FamilyOpKey, Type: 1,
		Seq: 1, Prev: board.ID(), Parents: []keys.Digest{board.ID()}, Body: bytes.Repeat([]byte{0x55}, 24),
	})
	control := add("control, of another user, unknown and critical", bob, oplog.Draft{
		Entity: board.ID(), User: keys.Digest{1, 2, 3}, Strand: oplog.Control, Family: oplog.FamilyPolicy, Type: 128, Parents: []keys.Digest{second.ID()},
	})
	auth := []keys.Digest{board.ID(), second.ID(), control.ID()}
	sortDigests(auth)
	first := add("content, first of its device, no parents", bob, oplog.Draft{
		Entity: board.ID(), User: keys.Digest{1, 2, 3}, Strand: oplog.Content, Family: oplog.FamilyArticle, Type: 1,
		Auth: auth, Epoch: second.ID(), Body: bytes.Repeat([]byte{0xaa}, 300),
	})
	add("content, second of its device", bob, oplog.Draft{
		Entity: board.ID(), User: keys.Digest{1, 2, 3}, Strand: oplog.Content, Family: oplog.FamilyMessage, Type: 1,
		Seq: 1, Prev: first.ID(), Parents: []keys.Digest{first.ID()}, Auth: auth[:1], Epoch: second.ID(), Body: []byte("sealed"),
	})

	path := filepath.Join("testdata", "vectors.json")
	text, err := json.MarshalIndent(got, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, text) {
		t.Errorf("%s differs from what this version writes; -update writes it anew, but the format is frozen", path)
	}
	var read []vector
	if err := json.Unmarshal(golden, &read); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, v := range read {
		raw, err := hex.DecodeString(v.Raw)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		o, err := oplog.Parse(raw)
		if err != nil || o.ID() != v.ID || o.Device() != v.Device || o.Entity() != v.Entity || hex.EncodeToString(o.AAD()) != v.AAD {
			t.Errorf("%s: Parse = %v, or another op than the golden one", v.Name, err)
		}
		if (v.Stub != "") != (o.Strand() == oplog.Content) {
			t.Errorf("%s: a stub of a %v op: %q", v.Name, o.Strand(), v.Stub)
		}
		if v.Stub == "" {
			continue
		}
		var stub oplog.Stub
		if raw, err = hex.DecodeString(v.Stub); err == nil {
			err = keys.Unmarshal(raw, &stub)
		}
		if err != nil {
			t.Fatalf("%s: the stub: %v", v.Name, err)
		}
		if b, err := stub.Op(digest(8)); err != nil || b.ID() != v.ID || b.Device() != v.Device || b.Entity() != v.Entity || hex.EncodeToString(b.AAD()) != v.AAD {
			t.Errorf("%s: the stub's op: %v, or another one than the golden one", v.Name, err)
		}
	}
}

func sortDigests(ids []keys.Digest) {
	for i := range ids {
		for j := range ids[:i] {
			if bytes.Compare(ids[i][:], ids[j][:]) < 0 {
				ids[i], ids[j] = ids[j], ids[i]
			}
		}
	}
}
