package chain_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pttnode/entity/chain"
	"pttnode/keys"
)

var update = flag.Bool("update", false, "write the golden files anew")

// vectorState is what a chain says after an op.
type vectorState struct {
	Devices []vectorDevice `json:"devices"`
	Voters  []keys.ID      `json:"voters"`
	Anchor  keys.ID        `json:"anchor"`
	Words   keys.ID        `json:"words"`
	Box     string         `json:"box"`
	Reset   uint64         `json:"reset"`
	Moved   bool           `json:"moved,omitempty"`
	Bytes   int            `json:"bytes"`
}

type vectorDevice struct {
	ID    keys.ID     `json:"id"`
	Class chain.Class `json:"class"`
	Alive bool        `json:"alive,omitempty"`
}

// vector is one op of the tree of testdata/vectors.json.
type vector struct {
	Name  string       `json:"name"`
	After string       `json:"after,omitempty"` // the op it follows
	ID    keys.Digest  `json:"id"`
	Body  string       `json:"body"`
	Link  string       `json:"link"`
	Fails string       `json:"fails,omitempty"` // the kind of fault; then there is no state
	State *vectorState `json:"state,omitempty"`
}

// vectorSet is what some of the chains come to.
type vectorSet struct {
	Name    string    `json:"name"`
	Heads   []string  `json:"heads"`
	Chain   string    `json:"chain"` // the furthest, or where they fork
	Fork    []string  `json:"fork,omitempty"`
	ByReset bool      `json:"byReset,omitempty"`
	Devices []keys.ID `json:"devices"`
	Gone    []keys.ID `json:"gone,omitempty"`
}

type vectorFile struct {
	Seeds map[string]string `json:"seeds"` // of devices, and of the words
	Boxes map[string]string `json:"boxes"` // device box keys
	Ops   []vector          `json:"ops"`
	Sets  []vectorSet       `json:"sets"`
}

// TestVectors writes a tree of every type of op with fixed keys, and compares it with the
// one that docs/protocol/me-chain.md speaks of: a difference is a change of the format.
func TestVectors(t *testing.T) {
	t.Parallel()
	got := vectorFile{Seeds: map[string]string{}, Boxes: map[string]string{}}
	for _, n := range []string{"A", "B", "C", "D", "E", "words", "words2"} {
		seed := key(n).Secret()
		got.Seeds[n] = hex.EncodeToString(seed[:])
		b := box(n)
		got.Boxes[n] = hex.EncodeToString(b[:])
	}
	chains := map[string]*chain.Chain{}
	name := map[keys.Digest]string{}
	add := func(called string, l chain.Link, after string) {
		t.Helper()
		v := vector{
			Name: called, After: after, ID: l.Op.ID(), Body: hex.EncodeToString(l.Op.Control()), Link: hex.EncodeToString(l.Marshal()),
		}
		c, err := chains[after].Extend(l)
		if err != nil {
			v.Fails = kindOf(err)
		} else {
			chains[called], name[c.Head()] = c, called
			v.State = stateOf(c)
		}
		got.Ops = append(got.Ops, v)
	}
	house := household([]string{"A", "B", "C", "D"}, []string{"A", "B", "C"})
	last := ""
	for i, l := range house.Links() {
		called := []string{
			"genesis", "first epoch", "add B", "B alive", "add C", "C alive", "add D", "D alive", "voters A B C",
		}[i]
		add(called, l, last)
		last = called
	}
	c := chains[last]
	add("one vote of three", certified(c, sign(c, key("A"), addOf(c, "E")), "A"), last)
	add("add E", certified(c, sign(c, key("D"), addOf(c, "E")), "A", "B"), last)
	add("remove D", certified(c, sign(c, key("C"), removeOf(c, "D")), "A", "C"), last)
	add("remove voter C", certified(c, sign(c, key("A"), removeOf(c, "C", "A", "B", "D")), "A", "B"), last)
	add("anchor B", certified(c, sign(c, key("A"), chain.SetAnchor{Device: id("B"), Chain: c.Next()}), "B", "C"), last)
	add("new words", certified(c, sign(c, key("A"), wordsOf(c, "words", "words2")), "B", "C"), last)
	add("moved by the words", certified(c, sign(c, key("A"), movedOf(c, "words")), "B", "C"), last)
	add("moved by the voters", certified(c, sign(c, key("A"), movedOf(c, "")), "B", "C"), last)
	add("RESET", chain.Link{Op: sign(c, key("words"), resetOf(c, []string{"B", "D", "E"}, []string{"E"}))}, last)
	add("another RESET", chain.Link{Op: sign(c, key("words"), resetOf(c, []string{"B"}, []string{"B"}))}, last)
	e := chains["add E"]
	add("mend", certified(e, sign(e, key("B"), mendOf(e, chains["remove D"], "B", "C", "D")), "B", "C"), "add E")
	e = chains["another RESET"]
	add("RESET by the words that were kept", chain.Link{Op: sign(e, key("words"), resetOf(e, []string{"B"}, []string{"B"}))}, "another RESET")

	for _, heads := range [][]string{
		{"genesis", "voters A B C"},
		{"add E", "remove D"},
		{"mend", "remove D"},
		{"mend", "remove D", "anchor B"},
		{"add E", "remove D", "RESET"},
		{"RESET", "another RESET"},
		{"RESET", "RESET by the words that were kept"},
		{"new words", "RESET by the words that were kept"},
		{"moved by the words", "RESET"},
	} {
		set := chain.Set{}
		for _, h := range heads {
			set = must(set.Add(chains[h]))
		}
		v := set.Judge()
		s := vectorSet{Name: "of " + heads[0], Heads: heads, Chain: name[v.Chain.Head()], ByReset: v.ByReset, Gone: v.Gone}
		for _, c := range v.Fork {
			s.Fork = append(s.Fork, name[c.Head()])
		}
		slices.Sort(s.Fork)
		for _, d := range v.Devices() {
			s.Devices = append(s.Devices, d.ID)
		}
		got.Sets = append(got.Sets, s)
	}

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
	readVectors(t, golden)
}

// readVectors verifies the tree from its bytes, as another implementation would, by both
// implementations of this package.
func readVectors(t *testing.T, golden []byte) {
	t.Helper()
	var read vectorFile
	if err := json.Unmarshal(golden, &read); err != nil {
		t.Fatal(err)
	}
	chains, naive := map[string]*chain.Chain{}, map[string]nChain{}
	for _, v := range read.Ops {
		raw, err := hex.DecodeString(v.Link)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		l, err := chain.ParseLink(raw)
		if err != nil || l.Op.ID() != v.ID || hex.EncodeToString(l.Op.Control()) != v.Body {
			t.Fatalf("%s: %v, or another op", v.Name, err)
		}
		c, err := chains[v.After].Extend(l)
		n, ok := nStep(naive[v.After], l)
		if ok != (err == nil) || (err == nil) != (v.Fails == "") || err != nil && kindOf(err) != v.Fails {
			t.Fatalf("%s: %v, want %q; naive takes it: %t", v.Name, err, v.Fails, ok)
		}
		chains[v.Name], naive[v.Name] = c, n
	}
	for _, s := range read.Sets {
		var all []nChain
		for _, h := range s.Heads {
			all = append(all, naive[h])
		}
		v := nJudge(all)
		if v.head != chains[s.Chain].Head() || len(v.fork) != len(s.Fork) || len(v.devices) != len(s.Devices) || len(v.gone) != len(s.Gone) {
			t.Errorf("%v: naive says another thing", s.Heads)
		}
	}
}

func kindOf(err error) string {
	for e, word := range kinds {
		if errors.Is(err, e) {
			return word
		}
	}
	return "?"
}

func stateOf(c *chain.Chain) *vectorState {
	s := c.State()
	v := &vectorState{
		Voters: s.Voters, Anchor: s.Anchor, Words: s.Words, Box: hex.EncodeToString(s.Box[:]), Reset: s.Reset(), Moved: s.Moved != nil, Bytes: c.Bytes(),
	}
	for _, d := range s.Devices() {
		v.Devices = append(v.Devices, vectorDevice{d.ID, d.Class, d.Alive})
	}
	return v
}
