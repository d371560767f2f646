package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// promised are the attacks of which each must have a test named after it.
var promised = strings.Fields(`
	H1 H2 H3 H4 H5 H6 H7 H8 H9 H10 H11 H12 H13 H14 H15 H16 H17 H18 H20 H21 H22 H23 H24 H25 H26 H27 H28 H29 H30 H31 H32 H33 H34 H35 H36 H37 H39 H40
	O1 O2 O3 O4 O5 O6 O7 O8 O9 O10 O11 O12 O13 O14 O15 O16 O17 O18 O19 O20 O21 O22 O23 O24 O25 O26 O27 O28 O29 O30
	G1 G2 G3 G4 G5 G6 G7 G8 G9 G10 G11 G12 G13`)

var (
	namedTest = regexp.MustCompile("`([a-z0-9/]+)\\.(Test\\w+)`")
	attackRow = regexp.MustCompile(`(?m)^\| ([HOGA][0-9]+) \| .* \| (.*) \|$`)
	attackOf  = regexp.MustCompile(`^TestAttack([HOGA][0-9]+)(?:[A-Z]\w*)?$`)
)

// testsIn returns the names of the tests of every package, as package.Test.
func testsIn(files []source) []string {
	var out []string
	for _, s := range files {
		if !s.isTest() {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), s.path, s.text, parser.SkipObjectResolution)
		if err != nil {
			continue // the compiler says it better
		}
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				out = append(out, s.dir()+"."+f.Name.Name)
			}
		}
	}
	return out
}

// checkSecurity compares what docs/SECURITY.md names with the tests there are.
func checkSecurity(doc string, tests []string) (faults []string) {
	var listed, named []string
	for _, m := range namedTest.FindAllStringSubmatch(doc, -1) {
		name := m[1] + "." + m[2]
		named = append(named, name)
		if !slices.Contains(tests, name) {
			faults = append(faults, "there is no "+name)
		}
	}
	for _, row := range attackRow.FindAllStringSubmatch(doc, -1) {
		listed = append(listed, row[1])
		own := false
		for _, m := range namedTest.FindAllStringSubmatch(row[2], -1) {
			id := attackOf.FindStringSubmatch(m[2])
			own = own || id != nil && id[1] == row[1]
		}
		if !own {
			faults = append(faults, row[1]+" has no test named after it")
		}
	}
	for _, id := range promised {
		if !slices.Contains(listed, id) {
			faults = append(faults, id+" is not in the table")
		}
	}
	for _, name := range tests {
		if attackOf.MatchString(strings.TrimPrefix(path.Ext(name), ".")) && !slices.Contains(named, name) {
			faults = append(faults, name+" is not in the table")
		}
	}
	return faults
}

// TestSecurityTable: every test that docs/SECURITY.md names exists, every attack
// has one named after it, and none of those is left out.
func TestSecurityTable(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(root + "/docs/SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range checkSecurity(string(doc), testsIn(sources(t))) {
		t.Error(f)
	}
}

func TestSecurityTableCanFail(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(root + "/docs/SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testsIn(sources(t))
	good := string(doc)
	for name, c := range map[string]struct {
		doc   string
		tests []string
	}{
		"a test that is gone":            {good, slices.DeleteFunc(slices.Clone(tests), func(s string) bool { return s == "protocol.TestAttackH8" })},
		"a test that is not listed":      {good, append(slices.Clone(tests), "keys.TestAttackO77")},
		"an attack that is not listed":   {strings.Replace(good, "| H14 |", "| H99 |", 1), tests},
		"an attack without its own test": {strings.Replace(good, "`protocol.TestAttackH8`", "`protocol.TestAttackH9`", 1), tests},
	} {
		if len(checkSecurity(c.doc, c.tests)) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}
