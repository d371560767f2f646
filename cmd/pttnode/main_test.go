package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	sigInt  = syscall.SIGINT
	sigTerm = syscall.SIGTERM
)

// TestMain makes this test binary pttnode itself when it is called so, for scripts
// and for the nodes that the demo starts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pttnode": func() { os.Exit(mainCode()) }})
}

// TestScripts runs testdata/script with real nodes on loopback. A script has homes
// a, b, c in $WORK; "pttnode up" runs in the background, and wait ready waits.
func TestScripts(t *testing.T) {
	testscript.Run(t, params("testdata/script"))
}

// params are what the scripts of a directory run with.
func params(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			run := filepath.Join(e.WorkDir, "run")
			e.Setenv("XDG_RUNTIME_DIR", run)
			e.Setenv("LISTEN", "/ip4/127.0.0.1/tcp/0")
			return os.MkdirAll(run, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"field": setField, "last": lastLine, "private": private},
	}
}

// setField is "field VAR NAME": sets VAR to a string field of the JSON on stdout.
func setField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: field VAR NAME")
	}
	_, rest, ok := strings.Cut(ts.ReadFile("stdout"), `"`+args[1]+`":"`)
	value, _, ended := strings.Cut(rest, `"`)
	if !ok || !ended {
		ts.Fatalf("stdout has no field %q", args[1])
	}
	ts.Setenv(args[0], value)
}

// lastLine is "last TEXT": the last line of stderr contains TEXT.
func lastLine(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: last TEXT")
	}
	last := ""
	for s := bufio.NewScanner(strings.NewReader(ts.ReadFile("stderr"))); s.Scan(); {
		last = s.Text()
	}
	if strings.Contains(last, args[0]) == neg {
		ts.Fatalf("%s", fmt.Sprintf("the last line of stderr is %q", last))
	}
}

// private is "private DIR": nobody but the owner may read, write or enter anything
// in it.
func private(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: private DIR")
	}
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = fmt.Errorf("%s is %v", path, info.Mode())
		}
		return err
	}))
}
