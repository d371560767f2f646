package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const module = "pttnode"

// layer is a row of the table of docs/ARCHITECTURE.md.
type layer struct {
	mayImport []string // packages of this module, by their path below it
	pure      bool     // no I/O, no clock of its own, no libp2p at any depth
	libp2p    bool     // may import libp2p itself
	testOnly  bool     // nothing imports it, so it may use the helpers of tests
}

// layers is the table, from the floor up. A package that is not here, nor a
// helper of one that is, nor below internal/, has no place yet: draw it first.
var layers = map[string]layer{
	"keys":         {pure: true},
	"oplog":        {pure: true, mayImport: []string{"keys"}},
	"entity/chain": {pure: true, mayImport: []string{"keys", "oplog"}},
	"entity":       {pure: true, mayImport: []string{"keys", "oplog", "entity/chain"}},
	"entity/board": {pure: true, mayImport: []string{"keys", "oplog", "entity"}},
	"entity/me":    {pure: true, mayImport: []string{"keys", "oplog", "entity"}},
	"invite":       {pure: true, mayImport: []string{"keys", "oplog", "entity"}},
	"protocol":     {pure: true, mayImport: []string{"keys", "oplog", "entity/chain", "entity", "invite"}},
	"node":         {libp2p: true, mayImport: []string{"keys", "oplog", "entity/chain", "entity", "entity/board", "entity/me", "invite", "protocol"}},
	"api":          {mayImport: []string{"keys", "entity", "invite", "node"}},
	"testnet":      {libp2p: true, testOnly: true, mayImport: []string{"keys", "oplog", "entity/chain", "entity", "entity/board", "entity/me", "invite", "protocol", "node"}},
	"cmd/pttnode":  {mayImport: []string{"keys", "oplog", "entity", "invite", "protocol", "node", "api"}},
}

// impure are what a pure package does not import, with everything below them.
var impure = []string{"net/http", "os", "log", "math/rand", "syscall"}

// record is what `go list -json` says of a package. Imports and Deps leave tests
// out.
type record struct {
	ImportPath, Name, Doc string
	Imports, Deps         []string
}

// checkImports returns what is wrong with the imports of p.
func checkImports(p record) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	self := below(p.ImportPath)
	if strings.HasPrefix(self, "internal/") {
		return nil // checks and tools; the rule below keeps the product out of them
	}
	row, listed := layers[self]
	parent, helper := helperOf(self)
	if !listed && !helper {
		fault("%s is not in the list of packages in docs/ARCHITECTURE.md", self)
		return faults
	}
	may := row.mayImport
	if helper {
		may = append([]string{parent}, layers[parent].mayImport...)
		row = layer{libp2p: layers[parent].libp2p, testOnly: true}
	}
	for _, path := range p.Imports {
		if name := below(path); name != "" {
			other, otherIsHelper := helperOf(name)
			switch {
			case strings.HasPrefix(name, "internal/"):
				fault("%s imports %s, but nothing of internal/ runs in the product", self, name)
			case otherIsHelper && !row.testOnly:
				fault("%s imports %s, but that is for tests only", self, name)
			case otherIsHelper && !slices.Contains(may, other), !otherIsHelper && !slices.Contains(may, name):
				fault("%s imports %s, but may import only [%s]", self, name, strings.Join(may, " "))
			}
			continue
		}
		if row.pure && (path == "net" || slices.ContainsFunc(impure, func(i string) bool { return within(path, i) })) {
			fault("%s imports %s, but is pure", self, path)
		}
		if isLibp2p(path) && !row.libp2p && !row.pure { // for the pure, the dependencies below say it
			fault("%s imports %s, but libp2p is for node alone", self, path)
		}
	}
	if row.pure {
		if i := slices.IndexFunc(p.Deps, isLibp2p); i >= 0 {
			fault("%s depends on %s, but is pure", self, p.Deps[i])
		}
	}
	return faults
}

// checkDoc returns what is wrong with the package comment of p.
func checkDoc(p record) []string {
	switch {
	case p.Doc == "":
		return []string{below(p.ImportPath) + " has no package comment"}
	case p.Name != "main" && !strings.HasPrefix(p.Doc, "Package "+p.Name+" "):
		return []string{fmt.Sprintf("%s: the package comment begins %.30q, want %q", below(p.ImportPath), p.Doc, "Package "+p.Name+" ")}
	}
	return nil
}

// below returns the path of a package of this module below it, or "".
func below(path string) string {
	rest, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	return rest
}

// helperOf says whether name is a helper for tests, such as oplog/oplogtest, and
// of which package.
func helperOf(name string) (parent string, ok bool) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 || !strings.HasSuffix(name, "test") {
		return "", false
	}
	_, ok = layers[name[:i]]
	return name[:i], ok
}

func within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

func isLibp2p(path string) bool { return strings.HasPrefix(path, "github.com/libp2p/") }

func TestImports(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, f := range checkImports(p) {
			t.Error(f)
		}
	}
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, f := range checkDoc(p) {
			t.Error(f)
		}
	}
}

// TestLayersHaveNoCycle: the table itself must be an order.
func TestLayersHaveNoCycle(t *testing.T) {
	t.Parallel()
	depth := map[string]int{}
	var walk func(name string, seen []string)
	walk = func(name string, seen []string) {
		if slices.Contains(seen, name) {
			t.Fatalf("the table has a cycle: %v", append(seen, name))
		}
		for _, next := range layers[name].mayImport {
			if _, ok := layers[next]; !ok {
				t.Fatalf("%s may import %s, which is not in the table", name, next)
			}
			walk(next, append(seen, name))
			depth[name] = max(depth[name], depth[next]+1)
		}
	}
	for name := range layers {
		walk(name, nil)
	}
	if depth["keys"] != 0 || depth["node"] != 6 {
		t.Errorf("depth of keys %d, of node %d, want 0 and 6", depth["keys"], depth["node"])
	}
}

// TestImportRulesCanFail plants one fault at a time.
func TestImportRulesCanFail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path    string
		imports []string
		deps    []string
		want    string // "" for none
	}{
		{path: "keys", imports: []string{"crypto/ed25519", "golang.org/x/crypto/argon2"}},
		{path: "keys", imports: []string{"pttnode/oplog"}, want: "keys imports oplog, but may import only []"},
		{path: "oplog", imports: []string{"pttnode/keys", "sync"}},
		{path: "oplog", imports: []string{"pttnode/oplog/oplogtest"}, want: "oplog imports oplog/oplogtest, but that is for tests only"},
		{path: "oplog/oplogtest", imports: []string{"pttnode/oplog", "pttnode/keys", "pttnode/keys/keystest", "os"}},
		{path: "oplog/oplogtest", imports: []string{"pttnode/node"}, want: "oplog/oplogtest imports node, but may import only [oplog keys]"},
		{path: "oplog/oplogtest", imports: []string{"pttnode/node/nodetest"}, want: "oplog/oplogtest imports node/nodetest, but may import only [oplog keys]"},
		{path: "entity", imports: []string{"pttnode/entity/chain"}},
		{path: "entity/chain", imports: []string{"pttnode/entity"}, want: "entity/chain imports entity, but may import only [keys oplog]"},
		{path: "entity/chain", imports: []string{"os"}, want: "entity/chain imports os, but is pure"},
		{path: "entity", imports: []string{"pttnode/invite"}, want: "entity imports invite, but may import only [keys oplog entity/chain]"},
		{path: "entity", imports: []string{"pttnode/entity/board"}, want: "entity imports entity/board, but may import only [keys oplog entity/chain]"},
		{path: "entity/board", imports: []string{"errors", "pttnode/keys", "pttnode/oplog", "pttnode/entity"}},
		{path: "entity/board", imports: []string{"pttnode/entity/me"}, want: "entity/board imports entity/me, but may import only [keys oplog entity]"},
		{path: "entity/me", imports: []string{"pttnode/invite"}, want: "entity/me imports invite, but may import only [keys oplog entity]"},
		{path: "entity/me", imports: []string{"os"}, want: "entity/me imports os, but is pure"},
		{path: "entity/entitytest", imports: []string{"pttnode/keys", "pttnode/oplog", "pttnode/oplog/oplogtest", "pttnode/entity", "runtime"}},
		{path: "entity/entitytest", imports: []string{"pttnode/entity/board"}, want: "entity/entitytest imports entity/board, but may import only [entity keys oplog entity/chain]"},
		{path: "entity/board", imports: []string{"pttnode/entity/entitytest"}, want: "entity/board imports entity/entitytest, but that is for tests only"},
		{path: "invite", imports: []string{"net/url", "net/netip"}},
		{path: "invite", imports: []string{"pttnode/protocol"}, want: "invite imports protocol, but may import only [keys oplog entity]"},
		{path: "protocol", imports: []string{"time", "pttnode/keys", "pttnode/oplog", "pttnode/entity", "pttnode/invite"}},
		{path: "protocol", imports: []string{"os"}, want: "protocol imports os, but is pure"},
		{path: "protocol", imports: []string{"os/exec"}, want: "protocol imports os/exec, but is pure"},
		{path: "entity", imports: []string{"net"}, want: "entity imports net, but is pure"},
		{path: "invite", imports: []string{"net/http"}, want: "invite imports net/http, but is pure"},
		{path: "keys", imports: []string{"log"}, want: "keys imports log, but is pure"},
		{path: "keys", imports: []string{"log/slog"}, want: "keys imports log/slog, but is pure"},
		{path: "oplog", imports: []string{"math/rand"}, want: "oplog imports math/rand, but is pure"},
		{path: "oplog", imports: []string{"math/rand/v2"}, want: "oplog imports math/rand/v2, but is pure"},
		{path: "keys", deps: []string{"fmt", "github.com/libp2p/go-libp2p/core/crypto"}, want: "keys depends on github.com/libp2p/go-libp2p/core/crypto, but is pure"},
		{path: "node", imports: []string{"os", "github.com/libp2p/go-libp2p", "pttnode/protocol"}},
		{path: "node", imports: []string{"pttnode/api"}, want: "node imports api, but may import only [keys oplog entity/chain entity entity/board entity/me invite protocol]"},
		{path: "node", imports: []string{"pttnode/testnet"}, want: "node imports testnet, but may import only [keys oplog entity/chain entity entity/board entity/me invite protocol]"},
		{path: "node", imports: []string{"pttnode/internal/lint"}, want: "node imports internal/lint, but nothing of internal/ runs in the product"},
		{path: "api", imports: []string{"net/http", "pttnode/keys", "pttnode/entity", "pttnode/invite", "pttnode/node"}},
		{path: "api", imports: []string{"pttnode/oplog"}, want: "api imports oplog, but may import only [keys entity invite node]"},
		{path: "api", imports: []string{"pttnode/protocol"}, want: "api imports protocol, but may import only [keys entity invite node]"},
		{path: "api", imports: []string{"github.com/libp2p/go-libp2p/core/peer"}, want: "api imports github.com/libp2p/go-libp2p/core/peer, but libp2p is for node alone"},
		{path: "testnet", imports: []string{"github.com/libp2p/go-libp2p/x/simlibp2p", "pttnode/node", "pttnode/oplog/oplogtest"}},
		{path: "testnet", imports: []string{"pttnode/api"}, want: "testnet imports api, but may import only [keys oplog entity/chain entity entity/board entity/me invite protocol node]"},
		{path: "cmd/pttnode", imports: []string{"os", "pttnode/api", "pttnode/node"}},
		{path: "cmd/pttnode", imports: []string{"pttnode/testnet"}, want: "cmd/pttnode imports testnet, but may import only [keys oplog entity invite protocol node api]"},
		{path: "cmd/pttnode", imports: []string{"github.com/libp2p/go-libp2p"}, want: "cmd/pttnode imports github.com/libp2p/go-libp2p, but libp2p is for node alone"},
		{path: "util", want: "util is not in the list of packages in docs/ARCHITECTURE.md"},
		{path: "node/helpers", want: "node/helpers is not in the list of packages in docs/ARCHITECTURE.md"},
		{path: "other/othertest", want: "other/othertest is not in the list of packages in docs/ARCHITECTURE.md"},
		{path: "keys", imports: []string{"pttnode/util"}, want: "keys imports util, but may import only []"},
		{path: "internal/lint", imports: []string{"os"}},
	} {
		got := strings.Join(checkImports(record{ImportPath: module + "/" + c.path, Imports: c.imports, Deps: c.deps}), "; ")
		if got != c.want {
			t.Errorf("checkImports(%s importing %q, depending on %q) = %q, want %q", c.path, c.imports, c.deps, got, c.want)
		}
	}
}

func TestDocRuleCanFail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   record
		want string
	}{
		{record{ImportPath: "pttnode/keys", Name: "keys", Doc: "Package keys holds secrets."}, ""},
		{record{ImportPath: "pttnode/keys", Name: "keys"}, "keys has no package comment"},
		{record{ImportPath: "pttnode/keys", Name: "keys", Doc: "Package key holds"}, `keys: the package comment begins "Package key holds", want "Package keys "`},
		{record{ImportPath: "pttnode/cmd/pttnode", Name: "main", Doc: "Pttnode is a node."}, ""},
		{record{ImportPath: "pttnode/cmd/pttnode", Name: "main"}, "cmd/pttnode has no package comment"},
	} {
		if got := strings.Join(checkDoc(c.in), "; "); got != c.want {
			t.Errorf("checkDoc(%+v) = %q, want %q", c.in, got, c.want)
		}
	}
}
