package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pttnode/entity"
)

// terminal is a command of ours on a terminal of 80 columns.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	side *os.File // the person's
	done chan struct{}

	mu   sync.Mutex
	said bytes.Buffer // all that stood on the screen
	seen int          // how much of it expect has gone by
}

// onTerminal starts pttnode on a terminal.
func onTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	side, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = side.Close() })
	fd := int(side.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: narrow}); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	defer tty.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, side: side, done: make(chan struct{}), cmd: exec.CommandContext(t.Context(), self, args...)}
	x.cmd.Args[0] = "pttnode" // TestMain goes by it
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = tty, tty, tty
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(x.done)
		b := make([]byte, 4096)
		for {
			n, err := side.Read(b)
			x.mu.Lock()
			x.said.Write(b[:n])
			x.mu.Unlock()
			if err != nil { // the last writer has gone
				return
			}
		}
	}()
	return x
}

func (x *terminal) screen() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.said.String()
}

// expect waits until text stands on the screen, after what was expected before, and
// types answer.
func (x *terminal) expect(text, answer string) {
	x.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for {
		s := x.screen()
		if i := strings.Index(s[x.seen:], text); i >= 0 {
			x.seen += i + len(text)
			break
		}
		select {
		case <-tick.C:
		case <-late:
			x.t.Fatalf("pttnode %q does not say %q, but:\n%s", x.cmd.Args[1:], text, s)
		}
	}
	if _, err := x.side.WriteString(answer); err != nil {
		x.t.Fatal(err)
	}
}

// exit waits for the end and returns the exit code and all that was on the screen.
func (x *terminal) exit() (int, string) {
	_ = x.cmd.Wait() // ProcessState says how it ended
	<-x.done
	return x.cmd.ProcessState.ExitCode(), x.screen()
}

// TestTerminal: what is asked on a terminal, and what stays hidden there.
func TestTerminal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	const loopback = "/ip4/127.0.0.1/tcp/0"

	x := onTerminal(t, "--home", a, "init")
	x.expect("Is this (1) your first device", "neither\n")
	x.expect("Is this (1) your first device", "1\n")
	x.expect("Your name, as friends will see it:", "愛麗絲\n")
	x.expect("Name of this device [", "筆電\n")
	if code, screen := x.exit(); code != 0 || !strings.Contains(screen, ") on 筆電.") {
		t.Fatalf("init: exit code %d:\n%s", code, screen)
	}
	up := onTerminal(t, "--home", a, "up", "--listen", loopback)
	up.expect("ready: ", "")

	// The link is read without an echo; a bad one is named, not repeated.
	x = onTerminal(t, "--home", b, "init")
	x.expect("Is this (1) your first device", "2\n")
	x.expect("Paste the device link (it stays hidden):", "nothing-of-value\n")
	x.expect("Name of this device [", "手機\n")
	if code, screen := x.exit(); code != 7 || !strings.Contains(screen, "link_not_pttnode") || strings.Contains(screen, "value") {
		t.Errorf("a bad link: exit code %d:\n%s", code, screen)
	}
	x = onTerminal(t, "--home", a, "invite", "device")
	code, screen := x.exit()
	if code != 0 || !strings.Contains(screen, "CAN BECOME YOU") || !strings.Contains(screen, "█") {
		t.Fatalf("invite device: exit code %d:\n%s", code, screen)
	}
	_, link, _ := strings.Cut(screen, "pttnode:device/")
	link, _, _ = strings.Cut("pttnode:device/"+link, "\r\n")
	phone := onTerminal(t, "--home", b, "init", "--device", "--listen", loopback)
	phone.expect("Paste the device link (it stays hidden):", link+"\n")
	phone.expect("Name of this device [", "手機\n")
	phone.expect("code: ", "")
	phone.expect("\r\n", "")
	_, shown, _ := strings.Cut(phone.screen(), "code: ")
	shown, _, _ = strings.Cut(shown, "\r\n")
	if strings.Contains(phone.screen(), link[20:40]) {
		t.Errorf("the link stands on the screen:\n%s", phone.screen())
	}

	// The code is asked for where it is not given.
	x = onTerminal(t, "--home", a, "requests", "list")
	_, screen = x.exit()
	_, id, _ := strings.Cut(screen, "requests approve ")
	id, _, _ = strings.Cut(id, " ")
	x = onTerminal(t, "--home", a, "requests", "approve", id)
	x.expect("手機 wants to be a device of yours.", "")
	x.expect("Code on its screen:", shown+"\n")
	if code, screen := x.exit(); code != 0 || !strings.Contains(screen, "手機 becomes a device of yours.") {
		t.Errorf("approve: exit code %d:\n%s", code, screen)
	}
	if code, screen := phone.exit(); code != 0 || !strings.Contains(screen, "This is a device of 愛麗絲 now: 手機.") {
		t.Errorf("init --device: exit code %d:\n%s", code, screen)
	}

	// Names that are too wide are cut, and columns stay in line.
	x = onTerminal(t, "--home", a, "device", "rename", "手機", strings.Repeat("名", entity.MaxName/len("名")))
	if code, screen := x.exit(); code != 0 {
		t.Errorf("rename: exit code %d:\n%s", code, screen)
	}
	for _, args := range [][]string{{"device", "list"}, {"requests", "list"}, {"why", "@愛麗絲", "愛麗絲"}} {
		code, screen := onTerminal(t, append([]string{"--home", a}, args...)...).exit()
		if code != 0 {
			t.Errorf("%v: exit code %d:\n%s", args, code, screen)
		}
		for line := range strings.Lines(screen) {
			if w := cells.StringWidth(strings.TrimRight(line, "\r\n")); w > narrow {
				t.Errorf("%v: a line of %d cells: %q", args, w, line)
			}
		}
	}
	code, _ = onTerminal(t, "--home", a, "down").exit()
	if ended, screen := up.exit(); code != 0 || ended != 0 {
		t.Errorf("down: exit codes %d and %d:\n%s", code, ended, screen)
	}
}
