package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// root is the root of the repository, seen from this package.
const root = "../.."

// packages returns what go list says of every package of the module.
func packages(t *testing.T) []record {
	t.Helper()
	list, err := listOnce()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var listOnce = sync.OnceValues(func() ([]record, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Doc,Imports,Deps", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = errors.New(strings.TrimSpace(string(exit.Stderr)))
		}
		return nil, err
	}
	return decode(bytes.NewReader(out))
})

func decode(r io.Reader) (list []record, err error) {
	for d := json.NewDecoder(r); ; {
		var p record
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
}

// sources returns every Go file of the module but test data and nested modules.
func sources(t *testing.T) (files []source) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, err := os.Stat(filepath.Join(name, "go.mod"))
			if name != root && (err == nil || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		files = append(files, source{filepath.ToSlash(rel), text})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestLintSees: the rules hold for nothing when the lists they run over are empty.
func TestLintSees(t *testing.T) {
	t.Parallel()
	if !slices.ContainsFunc(packages(t), func(p record) bool {
		return p.ImportPath == "pttnode/keys" && p.Name == "keys" && p.Doc != "" &&
			slices.Contains(p.Imports, "crypto/ed25519") && slices.Contains(p.Deps, "crypto/sha256")
	}) {
		t.Errorf("go list: no pttnode/keys with its imports, dependencies and comment among %d packages", len(packages(t)))
	}
	files := sources(t)
	for _, want := range []string{"keys/keys.go", "internal/lint/lint_test.go"} {
		if !slices.ContainsFunc(files, func(s source) bool { return s.path == want && len(s.text) > 0 }) {
			t.Errorf("%s is not among the %d files that are checked", want, len(files))
		}
	}
	if _, err := decode(strings.NewReader(`{"ImportPath":"a"}{`)); err == nil {
		t.Errorf("decode of a cut answer of go list: nil, want an error")
	}
}
