package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// source is a Go file, its path below the root of the module with slashes.
type source struct {
	path string
	text []byte
}

func (s source) dir() string  { return path.Dir(s.path) }
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// clock are what reads the time or waits for it.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// sourceRules are all rules on syntax trees. Each returns where it is broken.
var sourceRules = map[string]func(*token.FileSet, source, *ast.File) []string{
	"pure":    checkPure,
	"sleep":   checkSleep,
	"compare": checkCompare,
}

// timeless are the packages in which what happens depends on nothing but what they are
// given: they read no clock and start no goroutine.
var timeless = []string{"entity", "entity/chain", "entity/board", "entity/me", "protocol"}

// checkPure keeps them so.
func checkPure(fset *token.FileSet, s source, tree *ast.File) (faults []string) {
	if !slices.Contains(timeless, s.dir()) || s.isTest() {
		return nil
	}
	fault := func(n ast.Node, what string) {
		faults = append(faults, fmt.Sprintf("%v: %s, but %s is pure", fset.Position(n.Pos()), what, s.dir()))
	}
	times := importedAs(tree, "time")
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			fault(n, "go statement")
		case *ast.ChanType:
			fault(n, "channel type")
		case *ast.SendStmt:
			fault(n, "send on a channel")
		case *ast.SelectStmt:
			fault(n, "select statement")
		case *ast.SelectorExpr:
			if name := selected(n, times); slices.Contains(clock, name) {
				fault(n, "time."+name)
			}
		case *ast.ImportSpec:
			if n.Name != nil && n.Name.Name == "." {
				fault(n, "import of all names of "+n.Path.Value)
			}
		}
		return true
	})
	return faults
}

// checkSleep: a test waits for a condition, or in virtual time. A Sleep written
// inside the function given to synctest.Test is virtual.
func checkSleep(fset *token.FileSet, s source, tree *ast.File) (faults []string) {
	if !s.isTest() {
		return nil
	}
	times, bubbles := importedAs(tree, "time"), importedAs(tree, "testing/synctest")
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && selected(sel, bubbles) == "Test" {
				return false
			}
		case *ast.SelectorExpr:
			if selected(n, times) == "Sleep" {
				faults = append(faults, fmt.Sprintf("%v: time.Sleep in a test: wait for the condition, or use synctest", fset.Position(n.Pos())))
			}
		}
		return true
	})
	return faults
}

// publicBytes are the files of keys that compare bytes which are no secrets.
var publicBytes = []string{"keys/cbor.go"} // an encoding with itself

// checkCompare: secrets are compared in constant time, by crypto/subtle or
// hmac.Equal.
func checkCompare(fset *token.FileSet, s source, tree *ast.File) (faults []string) {
	if s.dir() != "keys" || s.isTest() || slices.Contains(publicBytes, s.path) {
		return nil
	}
	inBytes, inReflect := importedAs(tree, "bytes"), importedAs(tree, "reflect")
	ast.Inspect(tree, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			b, r := selected(sel, inBytes), selected(sel, inReflect)
			if b == "Equal" || b == "Compare" || r == "DeepEqual" {
				faults = append(faults, fmt.Sprintf("%v: %s%s takes a time that depends on the secret", fset.Position(n.Pos()), b, r))
			}
		}
		return true
	})
	return faults
}

// importedAs returns the name under which a file imports a package, or "".
func importedAs(tree *ast.File, pkg string) string {
	for _, spec := range tree.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil && p == pkg {
			if spec.Name != nil {
				return spec.Name.Name
			}
			return path.Base(pkg)
		}
	}
	return ""
}

// selected returns X of pkg.X, or "" if sel is not of the package called pkg.
func selected(sel *ast.SelectorExpr, pkg string) string {
	if x, ok := sel.X.(*ast.Ident); ok && pkg != "" && x.Name == pkg {
		return sel.Sel.Name
	}
	return ""
}

// checkSource runs one rule over one file.
func checkSource(t *testing.T, rule string, s source) []string {
	t.Helper()
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, s.path, s.text, parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	return sourceRules[rule](fset, s, tree)
}

func TestSources(t *testing.T) {
	t.Parallel()
	files := sources(t)
	for rule := range sourceRules {
		for _, s := range files {
			for _, f := range checkSource(t, rule, s) {
				t.Error(f)
			}
		}
	}
}

// TestLongFiles only reports: a file over 400 lines may have a reason.
func TestLongFiles(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if n := lines(s); n > 400 {
			t.Logf("%s has %d lines: does it have two ideas?", s.path, n)
		}
	}
	if got := lines(source{text: []byte("a\nb\n")}); got != 2 {
		t.Errorf("lines(a, b) = %d, want 2", got)
	}
}

func lines(s source) int { return strings.Count(string(s.text), "\n") }

// TestSourceRulesCanFail plants one fault at a time.
func TestSourceRulesCanFail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule, path, body string
		want             string // "" for none
	}{
		{"pure", "protocol/p.go", `import "time"; func f(t time.Time) time.Duration { return t.Sub(t) + time.Second }`, ""},
		{"pure", "protocol/p.go", `import "time"; var now = time.Now`, "protocol/p.go:2:26: time.Now, but protocol is pure"},
		{"pure", "entity/p.go", `import tm "time"; func f() { tm.Now() }`, "entity/p.go:2:30: time.Now, but entity is pure"},
		{"pure", "entity/p.go", `import . "time"`, `entity/p.go:2:8: import of all names of "time", but entity is pure`},
		{"pure", "entity/p.go", `import "time"; var d = time.Since(time.Time{})`, "entity/p.go:2:24: time.Since, but entity is pure"},
		{"pure", "protocol/p.go", `func f() { go f() }`, "protocol/p.go:2:12: go statement, but protocol is pure"},
		{"pure", "protocol/p.go", `type t struct{ c chan int }`, "protocol/p.go:2:18: channel type, but protocol is pure"},
		{"pure", "protocol/p.go", `func f() { c <- 1 }`, "protocol/p.go:2:12: send on a channel, but protocol is pure"},
		{"pure", "protocol/p.go", `func f() { select {} }`, "protocol/p.go:2:12: select statement, but protocol is pure"},
		{"pure", "protocol/p_test.go", `func f() { go f() }`, ""},
		{"pure", "node/p.go", `func f() { go f() }`, ""},
		{"pure", "entity/board/p.go", `func f() { go f() }`, "entity/board/p.go:2:12: go statement, but entity/board is pure"},
		{"pure", "entity/me/p.go", `import "time"; var now = time.Now`, "entity/me/p.go:2:26: time.Now, but entity/me is pure"},
		{"pure", "entity/entitytest/p.go", `import "time"; var now = time.Now`, ""},
		{"pure", "protocol/p.go", `type now struct{}; func (now) Now() {}; func f(time now) { time.Now() }`, ""},
		{"sleep", "node/p_test.go", `import "time"; func f() { time.Sleep(1) }`, "node/p_test.go:2:27: time.Sleep in a test: wait for the condition, or use synctest"},
		{"sleep", "node/p_test.go", `import x "time"; var f = x.Sleep`, "node/p_test.go:2:26: time.Sleep in a test: wait for the condition, or use synctest"},
		{"sleep", "node/p.go", `import "time"; func f() { time.Sleep(1) }`, ""},
		{
			"sleep", "node/p_test.go",
			`import ("time"; "testing"; "testing/synctest"); func f(t *testing.T) { synctest.Test(t, func(*testing.T) { time.Sleep(1) }) }`, "",
		},
		{
			"sleep", "node/p_test.go",
			`import ("time"; "testing"; "testing/synctest"); func f(t *testing.T) { synctest.Test(t, nil); time.Sleep(1) }`,
			"node/p_test.go:2:95: time.Sleep in a test: wait for the condition, or use synctest",
		},
		{"compare", "keys/p.go", `import "bytes"; var f = bytes.Equal`, "keys/p.go:2:25: Equal takes a time that depends on the secret"},
		{"compare", "keys/p.go", `import "reflect"; var f = reflect.DeepEqual`, "keys/p.go:2:27: DeepEqual takes a time that depends on the secret"},
		{"compare", "keys/cbor.go", `import "bytes"; var f = bytes.Equal`, ""},
		{"compare", "keys/p_test.go", `import "bytes"; var f = bytes.Equal`, ""},
		{"compare", "oplog/p.go", `import "bytes"; var f = bytes.Equal`, ""},
	} {
		s := source{c.path, []byte("package p\n" + c.body + "\n")}
		if got := strings.Join(checkSource(t, c.rule, s), "; "); got != c.want {
			t.Errorf("rule %s on %s with %s:\n got %q\nwant %q", c.rule, c.path, c.body, got, c.want)
		}
	}
}
