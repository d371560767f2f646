package chain_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestChapterExample: the ids of the example of docs/protocol/me-chain.md are those of the
// vectors, whole or their first 8 digits.
func TestChapterExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/protocol/me-chain.md")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var read vectorFile
	if err := json.Unmarshal(golden, &read); err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(text), "## 8. Example")
	if !ok {
		t.Fatal("the chapter has no example")
	}
	named := regexp.MustCompile(`\b[0-9a-f]{8}\b|\b[0-9a-f]{64}\b`).FindAllString(example, -1)
	if len(named) < 15 {
		t.Fatalf("%d ids in the example", len(named))
	}
	for _, n := range named {
		if strings.HasPrefix(n, "000000") {
			continue // a length
		}
		found := false
		for _, v := range read.Ops {
			found = found || strings.HasPrefix(hex.EncodeToString(v.ID[:]), n)
		}
		if !found {
			t.Errorf("%s is no op of the vectors", n)
		}
	}
}
