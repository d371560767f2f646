package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

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
			fixed, err := freePort()
			if err != nil {
				return err
			}
			e.Setenv("FIXED", fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", fixed)) // for a node that comes back
			return os.MkdirAll(run, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"field": setField, "last_field": setLastField, "last": lastLine, "private": private, "showcode": showCode, "await": await},
	}
}

// freePort returns a port that nobody had a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
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

// setLastField is "last_field VAR NAME": field with the last one of that name.
func setLastField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: last_field VAR NAME")
	}
	out, field := ts.ReadFile("stdout"), `"`+args[1]+`":"`
	i := strings.LastIndex(out, field)
	if i < 0 {
		ts.Fatalf("stdout has no field %q", args[1])
	}
	value, _, _ := strings.Cut(out[i+len(field):], `"`)
	ts.Setenv(args[0], value)
}

// shownCode is a code in the JSON of a request.
var shownCode = regexp.MustCompile(`"code":"([0-9]{6})"`)

// showCode is "showcode VAR HOME": waits until the device that is being linked in
// HOME shows its code, and sets VAR to it.
func showCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: showcode VAR HOME")
	}
	m := awaitOut(ts, shownCode, args[1], "requests", "list", "--json")
	ts.Setenv(args[0], m[1])
}

// await is "await HOME COMMAND... PATTERN": runs pttnode --home HOME COMMAND until
// its stdout matches.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: await HOME COMMAND... PATTERN")
	}
	last := len(args) - 1
	awaitOut(ts, regexp.MustCompile("(?m)"+args[last]), args[0], args[1:last]...)
}

func awaitOut(ts *testscript.TestScript, want *regexp.Regexp, home string, args ...string) []string {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for {
		if err := ts.Exec("pttnode", append([]string{"--home", home}, args...)...); err == nil {
			if m := want.FindStringSubmatch(ts.ReadFile("stdout")); m != nil {
				return m
			}
		}
		select {
		case <-tick.C:
		case <-late:
			ts.Fatalf("%s %v has no %q", home, args, want)
		}
	}
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
