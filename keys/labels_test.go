package keys_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pttnode/keys"
)

func TestLabelsDistinctAndPrefixFree(t *testing.T) {
	t.Parallel()
	for _, f := range clashes(keys.Labels()) {
		t.Error(f)
	}
}

func TestClashesFindsPlantedFaults(t *testing.T) {
	t.Parallel()
	for _, in := range [][]string{
		{"ptt/a/1", "ptt/a/1"},
		{"ptt/a/1", "ptt/a/10"},
		{"sas", "x", "sasid"},
		{"", "x"},
	} {
		if got := clashes(in); len(got) == 0 {
			t.Errorf("clashes(%q) = none, want at least one", in)
		}
	}
}

// clashes reports the labels that are empty, equal to another, or the beginning
// of another.
func clashes(labels []string) []string {
	var found []string
	for i, a := range labels {
		if a == "" {
			found = append(found, "label "+strconv.Itoa(i)+" is empty")
		}
		for j, b := range labels {
			if i != j && strings.HasPrefix(b, a) {
				found = append(found, strconv.Quote(a)+" is the beginning of "+strconv.Quote(b))
			}
		}
	}
	return found
}

// TestLabelsComplete reads labels.go, so that a label that was forgotten in
// Labels fails here and cannot clash unseen.
func TestLabelsComplete(t *testing.T) {
	t.Parallel()
	consts := labelConstants(t, "labels.go", nil)
	if len(consts) < 30 {
		t.Fatalf("labels.go: found %d constants of type Label or Purpose, want at least 30", len(consts))
	}
	all, inPurposes := keys.Labels(), 0
	for name, value := range consts {
		if !slices.Contains(all, value) {
			t.Errorf("%s = %q is not in Labels()", name, value)
		}
		if strings.HasPrefix(name, "Purpose") {
			inPurposes++
			if !slices.Contains(purposes, keys.Purpose(value)) {
				t.Errorf("%s = %q is not among the purposes that TestSignVerify tries", name, value)
			}
		}
	}
	if inPurposes != len(purposes) {
		t.Errorf("labels.go has %d purposes, TestSignVerify tries %d", inPurposes, len(purposes))
	}
	if len(all) != len(consts) {
		t.Errorf("Labels() has %d values, labels.go has %d constants", len(all), len(consts))
	}
}

// TestLabelsStandInOneFile fails when another file of the package makes a label
// of its own.
func TestLabelsStandInOneFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"box.go", "cbor.go", "doc.go", "hash.go", "invite.go", "keys.go", "opkey.go", "vault.go", "words.go",
	} {
		for c, value := range labelConstants(t, name, nil) {
			t.Errorf("%s declares %s = %q, want it in labels.go", name, c, value)
		}
	}
	if got := labelConstants(t, "planted.go", `package p; const X Label = "x"`); got["X"] != "x" {
		t.Errorf("labelConstants(planted) = %v, want X = x", got)
	}
}

// labelConstants returns the constants of type Label and Purpose in a file, by
// name.
func labelConstants(t *testing.T, file string, src any) map[string]string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("parse %s: %v", file, err)
	}
	consts := map[string]string{}
	for _, decl := range tree.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			continue
		}
		for _, spec := range gen.Specs {
			vs := spec.(*ast.ValueSpec)
			if typ, ok := vs.Type.(*ast.Ident); !ok || typ.Name != "Label" && typ.Name != "Purpose" {
				continue
			}
			for i, name := range vs.Names {
				lit, ok := vs.Values[i].(*ast.BasicLit)
				if !ok {
					t.Fatalf("%s: %s is not a string literal", file, name.Name)
				}
				value, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatalf("%s: %s = %s: %v", file, name.Name, lit.Value, err)
				}
				consts[name.Name] = value
			}
		}
	}
	return consts
}
