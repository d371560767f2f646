package oplog_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// hexBytes are written as hex.
type hexBytes []byte

// MarshalText writes b.
func (b hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(b)), nil }

// UnmarshalText reads b.
func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// vectors are what another implementation must write and must refuse.
type vectors struct {
	Ops     []vector  `json:"ops"`
	Refused []refused `json:"refused"`
}

// vector is one operation as another implementation must write it. The bodies mean
// nothing: to parse an op is to leave its body alone.
type vector struct {
	Name     string      `json:"name"`
	Seed     hexBytes    `json:"seed"`
	Device   keys.ID     `json:"device"`
	Entity   keys.Digest `json:"entity"`
	ID       keys.Digest `json:"id"`
	Envelope hexBytes    `json:"envelope"`
	AAD      hexBytes    `json:"aad,omitempty"` // of content
	About    hexBytes    `json:"about,omitempty"`
	Hash     hexBytes    `json:"hash,omitempty"`
	Body     hexBytes    `json:"body,omitempty"` // of content
}

// refused is what is no operation, and the rule that says so.
type refused struct {
	Name     string   `json:"name"`
	Why      string   `json:"why"` // malformed, newer, too large, signature, body
	Envelope hexBytes `json:"envelope"`
	Body     hexBytes `json:"body,omitempty"`
}

var whys = map[string]error{
	"malformed": oplog.ErrFormat, "newer": oplog.ErrVersion, "too large": oplog.ErrTooLarge, "signature": oplog.ErrSignature, "body": oplog.ErrBody,
}

// signedVectors signs operations with fixed keys.
func signedVectors(t *testing.T) (out []vector) {
	t.Helper()
	alice, bob := [32]byte{0: 1}, [32]byte{0: 2}
	add := func(name string, seed [32]byte, d oplog.Draft) oplog.Op {
		t.Helper()
		k := keys.FromSeed(seed)
		d.At = time.UnixMilli(1_767_225_600_000)
		o, err := oplog.Sign(k, d)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v := vector{Name: name, Seed: seed[:], Device: k.ID(), Entity: o.Entity(), ID: o.ID(), Envelope: o.Envelope(), Body: o.Body()}
		if o.Strand() == oplog.Content {
			v.AAD = o.AAD()
		}
		if about := o.About(); !about.IsZero() {
			v.About = about[:]
		}
		if o.Size() > 0 {
			hash := sum(o.Body())
			v.Hash = hash[:]
		}
		out = append(out, v)
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
	control := add("control, of another user, unknown and critical, no body", bob, oplog.Draft{
		Entity: board.ID(), User: keys.Digest{1, 2, 3}, Strand: oplog.Control, Family: oplog.FamilyPolicy, Type: 128, Parents: []keys.Digest{second.ID()},
	})
	add("RESET, for its own purpose", bob, oplog.Draft{
		Entity: me.ID(), User: me.ID(), Strand: oplog.Control, Family: oplog.FamilyCheckpoint, Type: oplog.TypeReset, Parents: []keys.Digest{me.ID()}, Body: []byte{0xa0},
	})
	auth := []keys.Digest{board.ID(), second.ID(), control.ID()}
	slices.SortFunc(auth, oplogtest.Compare)
	content := oplog.Draft{Entity: board.ID(), User: keys.Digest{1, 2, 3}, Strand: oplog.Content, Family: oplog.FamilyArticle, Auth: auth}
	next := func(d oplog.Draft, typ uint16, on oplog.Op) oplog.Draft {
		d.Type, d.Seq, d.Prev, d.Parents = typ, on.Seq()+1, on.ID(), []keys.Digest{on.ID()}
		return d
	}
	draft := content
	draft.Type, draft.Epoch, draft.Body = 1, second.ID(), bytes.Repeat([]byte{0xaa}, 300)
	first := add("content, first of its device, no parents, an article", bob, draft)
	draft = next(content, 2, first)
	draft.Epoch, draft.About, draft.Body = second.ID(), first.ID(), []byte("sealed")
	edit := add("content, second of its device, an edit", bob, draft)
	draft = next(content, 3, edit)
	draft.About, draft.Auth = first.ID(), auth[:1]
	add("content without a body, a delete", bob, draft)
	return out
}

// refusedVectors breaks rules, one each, in what is well signed.
func refusedVectors() (out []refused) {
	k := keys.FromSeed([32]byte{1})
	add := func(why, name string, envelope, body []byte) {
		out = append(out, refused{name, why, envelope, body})
	}
	content, bare, control, genesis, reset := contentWire(), bareWire(), controlWire(), genesisWire(), resetWire()
	for _, c := range []struct {
		why, name string
		w         wire
	}{
		{"malformed", "v 1", with(control, func(w *wire) { w.V = 1 })},
		{"newer", "v 3", with(control, func(w *wire) { w.V = 3 })},
		{"malformed", "strand 3", with(control, func(w *wire) { w.Strand = 3 })},
		{"malformed", "control of family 16", with(control, func(w *wire) { w.Family = 16 })},
		{"malformed", "content of family 15", with(content, func(w *wire) { w.Family = 15 })},
		{"malformed", "type 65,536", with(control, func(w *wire) { w.Type = 65_536 })},
		{"malformed", "genesis with an entity", with(genesis, func(w *wire) { w.Entity = id(1) })},
		{"malformed", "genesis with parents", with(genesis, func(w *wire) { w.Parents = digests(1) })},
		{"malformed", "control without an entity", with(control, func(w *wire) { w.Entity = nil })},
		{"malformed", "control without parents", with(control, func(w *wire) { w.Parents = nil })},
		{"malformed", "control without a user", with(control, func(w *wire) { w.User = nil })},
		{"malformed", "control with auth", with(control, func(w *wire) { w.Auth = digests(1) })},
		{"malformed", "control with an epoch", with(control, func(w *wire) { w.Epoch = id(1) })},
		{"malformed", "control about an op", with(control, func(w *wire) { w.About = id(1) })},
		{"malformed", "control with hash and size", with(control, func(w *wire) { w.Hash, w.Size = id(1), 7 })},
		{"malformed", "an id of 31 bytes", with(control, func(w *wire) { w.Entity = id(1)[:31] })},
		{"malformed", "an id of zeros", with(content, func(w *wire) { w.About = id(0) })},
		{"malformed", "seq 1 without prev", with(bare, func(w *wire) { w.Seq = 1 })},
		{"malformed", "seq 0 with prev", with(bare, func(w *wire) { w.Prev = id(3) })},
		{"malformed", "seq 2^20", with(bare, func(w *wire) { w.Seq, w.Prev = 1<<20, id(3) })},
		{"malformed", "RESET in a chain", with(reset, func(w *wire) { w.Seq, w.Prev = 1, id(3) })},
		{"malformed", "parents descend", with(control, func(w *wire) { w.Parents = []keys.Digest{digest(2), digest(1)} })},
		{"malformed", "a parent twice", with(control, func(w *wire) { w.Parents = []keys.Digest{digest(1), digest(1)} })},
		{"malformed", "17 parents", with(control, func(w *wire) { w.Parents = digests(17) })},
		{"malformed", "content without auth", with(content, func(w *wire) { w.Auth = nil })},
		{"malformed", "at in the year 10000", with(bare, func(w *wire) { w.At = 253_402_300_800_000 })},
		{"malformed", "hash without size", with(content, func(w *wire) { w.Size = 0 })},
		{"malformed", "size without hash", with(content, func(w *wire) { w.Hash = nil })},
		{"malformed", "epoch without size", with(bare, func(w *wire) { w.Epoch = id(5) })},
		{"malformed", "size without epoch", with(content, func(w *wire) { w.Epoch = nil })},
		{"malformed", "a body inside content", with(content, func(w *wire) { w.Body = contentBody })},
		{"too large", "a body of 262,145 bytes", with(content, func(w *wire) { w.Size = 262_145 })},
	} {
		add(c.why, c.name, c.w.sign(k), nil)
	}
	good := encodings(bare, k)
	change := func(n int, item ...byte) []byte {
		items := slices.Clone(good)
		items[n-1] = item
		return resign(k, items)
	}
	add("malformed", "a number that is not shortest", change(8, 8, 0x18, 0), nil)
	add("malformed", "a key that is not shortest", change(8, 0x18, 8, 0), nil)
	add("malformed", "null for an empty string", change(9, 9, 0xf6), nil)
	add("malformed", "a tag", change(1, 1, 0xc1, 2), nil)
	add("malformed", "an indefinite string", change(9, 9, 0x5f, 0xff), nil)
	add("malformed", "a key missing", resign(k, slices.Concat(good[:8], good[9:])), nil)
	add("malformed", "a key twice", resign(k, slices.Concat(good[:9], good[8:])), nil)
	add("malformed", "keys in disorder", resign(k, slices.Concat(good[:1], [][]byte{good[2], good[1]}, good[3:])), nil)
	add("malformed", "a byte behind", append(bare.sign(k), 0), nil)
	add("malformed", "nothing", []byte{}, nil)

	signed := content.sign(k)
	other := slices.Clone(signed)
	sig := k.Sign(keys.PurposeReset, other[:len(other)-sigBytes])
	copy(other[len(other)-64:], sig[:])
	add("signature", "for another purpose", other, nil)
	add("signature", "changed", flip(signed), nil)
	add("signature", "of another device", with(content, func(w *wire) { w.Device = id(7) }).sign(k), nil)

	add("body", "another body", signed, []byte("c0ntent"))
	add("body", "a body and a byte", signed, []byte("content."))
	add("body", "a body less a byte", signed, []byte("conten"))
	add("body", "a body of content that has none", bare.sign(k), contentBody)
	add("body", "a body beside a control op", control.sign(k), []byte("control"))
	return out
}

// TestVectors compares operations with the golden ones: a difference is a change of the
// format. It then reads these as another implementation would.
func TestVectors(t *testing.T) {
	t.Parallel()
	path := filepath.Join("testdata", "vectors.json")
	text, err := json.MarshalIndent(vectors{signedVectors(t), refusedVectors()}, "", "\t")
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
	var read vectors
	if err := json.Unmarshal(golden, &read); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, v := range read.Ops {
		o, err := parsePair(v.Envelope, v.Body)
		if err != nil || o.ID() != v.ID || o.Device() != v.Device || o.Entity() != v.Entity || o.Size() != len(v.Body) {
			t.Errorf("%s: %v, or another op than the golden one", v.Name, err)
			continue
		}
		about := o.About()
		if about.IsZero() != (v.About == nil) || v.About != nil && !bytes.Equal(about[:], v.About) {
			t.Errorf("%s: about %v, want %x", v.Name, about, v.About)
		}
		if o.Strand() == oplog.Content && !bytes.Equal(o.AAD(), v.AAD) {
			t.Errorf("%s: AAD %x, want %x", v.Name, o.AAD(), v.AAD)
		}
	}
	for _, r := range read.Refused {
		if _, err := parsePair(r.Envelope, r.Body); !errors.Is(err, whys[r.Why]) {
			t.Errorf("%s: %v, want %s", r.Name, err, r.Why)
		}
		if got := oplog.ParseBatch(oplog.HashAll([]oplog.Pair{{Envelope: r.Envelope, Body: r.Body}})); len(got) != 0 {
			t.Errorf("%s: ParseBatch takes it", r.Name)
		}
	}
	if len(read.Ops) == 0 || len(read.Refused) == 0 {
		t.Errorf("%d ops, %d refused", len(read.Ops), len(read.Refused))
	}
}

func parsePair(envelope, body []byte) (oplog.Op, error) {
	o, err := oplog.Parse(envelope)
	if err == nil && len(body) > 0 {
		o, err = o.WithBody(body)
	}
	return o, err
}

// TestExampleOfProtocol: the genesis that docs/protocol/2-logs.md §2.1 writes out.
func TestExampleOfProtocol(t *testing.T) {
	t.Parallel()
	seed := func(b byte) [32]byte { return [32]byte(id(b)) }
	recovery, box := keys.FromSeed(seed(2)).ID(), keys.BoxFromSecret(seed(3)).ID()
	body := keys.Marshal(struct {
		Kind     uint64 `cbor:"1,keyasint"`
		Nonce    []byte `cbor:"2,keyasint"`
		Recovery []byte `cbor:"8,keyasint"`
		Class    uint64 `cbor:"9,keyasint"`
		Box      []byte `cbor:"10,keyasint"`
	}{1, id(0xaa)[:16], recovery[:], 2, box[:]})
	o, err := oplog.Sign(keys.FromSeed(seed(1)), oplog.Draft{
		Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: 1, At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Body: body,
	})
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	text, err := os.ReadFile(filepath.Join("..", "docs", "protocol", "2-logs.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(text), "\nExample: the genesis of a Me, ")
	example, _, ended := strings.Cut(example, "\n## ")
	if !found || !ended {
		t.Fatal("no example")
	}
	head, drawn, _ := strings.Cut(example, "```\n")
	drawn, names, _ := strings.Cut(drawn, "\nid = ")
	var got strings.Builder
	isHex := regexp.MustCompile(`^([0-9a-f]{2})+$`)
	for line := range strings.Lines(drawn) {
		for word := range strings.FieldsSeq(line) {
			if !isHex.MatchString(word) {
				break // what follows is for people
			}
			got.WriteString(word)
		}
	}
	if want := hex.EncodeToString(o.Envelope()); got.String() != want {
		t.Errorf("the example is\n%s, want\n%s", got.String(), want)
	}
	user := o.ID()
	want := []string{hex.EncodeToString(user[:]), user.String(), "its", "uid", "and", "eid;", "fingerprint", keys.Fingerprint(user), "```"}
	if got := strings.Fields(names); !slices.Equal(got, want) {
		t.Errorf("the example is called %q, want %q", got, want)
	}
	if n := strings.Fields(head)[0]; n != strconv.Itoa(len(o.Envelope())) {
		t.Errorf("the example has %s bytes, want %d", n, len(o.Envelope()))
	}
}
