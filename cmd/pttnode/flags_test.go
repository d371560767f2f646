package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"pttnode/api"
	"pttnode/node"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want time.Duration
		say  string
	}{
		{"90s", 90 * time.Second, "90 s"},
		{"15m", 15 * time.Minute, "15 min"},
		{"72h", 72 * time.Hour, "3 d"},
		{"7d", 7 * 24 * time.Hour, "7 d"},
		{"1d12h", 36 * time.Hour, "36 h"},
		{"0s", 0, ""},
	} {
		var d duration
		if err := d.Set(c.in); err != nil || time.Duration(d) != c.want || d.String() != c.say {
			t.Errorf("Set(%q): %v (%s), %v, want %v (%s)", c.in, time.Duration(d), d.String(), err, c.want, c.say)
		}
	}
	for _, in := range []string{"", "7", "-1s", "-1d", "1.5d", "d", "7days", "1w", "99999999d"} {
		var d duration
		if err := d.Set(in); err == nil {
			t.Errorf("Set(%q) = %v, want an error", in, time.Duration(d))
		}
	}
}

// runWith runs a command in this process, off a terminal.
func runWith(t *testing.T, in string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	args = append([]string{"--home", t.TempDir()}, args...)
	a := &app{args: args, in: strings.NewReader(in), out: &out, err: &err, json: wantsJSON(args)}
	code = a.run(t.Context())
	return code, out.String(), err.String()
}

// deviceLink is the beginning of one, which is as secret as all of it.
const deviceLink = "pttnode:device/aebqaallau3i5j5rq3x3h7qlrk4lrcgry5v3"

// Whole links, of one use and of two: with them no mistake is found but where they are.
const (
	wholeDeviceLink = "pttnode:device/aeaqaalkaaaaabifaucqkbifaucqkbifaucqkbikbifaucqkbifaucqkbifaucqkrkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5obxksuhm"
	friendLink      = "pttnode:friend/aebqaalkaaaaabifaucqkbifaucqkbifaucqkbikbifaucqkbifaucqkbifaucqkrkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oj7rthv4"
	friendLinkOfTwo = "pttnode:friend/aebqaatkaaaaabifaucqkbifaucqkbifaucqkbikbifaucqkbifaucqkbifaucqkrkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5obgslmui"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		code string
		exit int
	}{
		{"status --bogus", "usage", 2},
		{"bogus", "usage", 2},
		{"friend verify bob", "usage", 2},
		{"invite device", "no_identity", 3},
		{"invite device --uses 2", "usage", 2},
		{"device list", "no_identity", 3},
		{"device rename phone", "usage", 2},
		{"device remove phone", "usage", 2},
		{"why reading", "usage", 2},
		{"init --device", "usage", 2},
		{"init --device " + deviceLink, "device_link_here", 7},
		{"init --device --link-file " + deviceLink, "device_link_here", 7},
		{"init " + deviceLink, "device_link_here", 7},
		{"invite show " + deviceLink, "device_link_here", 7},
		{"status --x=" + deviceLink, "device_link_here", 7},
		{deviceLink, "device_link_here", 7},
		{"init --device --name x", "usage", 2},
		{"init --device --link-file - --passphrase-file -", "usage", 2},
		{"init --device --link-file /nothing/there", "no_file", 5},
		{"init --device --wait soon --link-file -", "usage", 2},
		{"init --name x --link-file f", "usage", 2},
		{"init --name x --listen y", "usage", 2},
		{"requests approve r-1 --code 482913", "no_identity", 3},
		{"init --restore f", "usage", 2},
		{"requests approve", "usage", 2},
		{"requests approve a b", "usage", 2},
		{"wait", "", 0}, // shows what there is
		{"wait ready --timeout soon", "usage", 2},
		{"invite friend --expires 0s", "usage", 2},
		{"invite friend extra", "usage", 2},
		{"article new reading", "usage", 2},
		{"article edit reading 1", "usage", 2},
		{"article edit reading 1 -F /nothing/there", "no_file", 5},
		{"article delete reading", "usage", 2},
		{"comment add reading 1", "usage", 2},
		{"comment add reading 1 x --push --boo", "usage", 2},
		{"comment delete reading 1", "usage", 2},
		{"up --web 127.0.0.1:0", "usage", 2},
		{"join", "usage", 2},
		{"join a --file b", "usage", 2},
		{"join a --wait 3s --no-wait", "usage", 2},
		{"join hello", "link_not_pttnode", 7},
		{"join pttnode:friend/aebq", "link_incomplete", 7},
		{"join " + deviceLink, "device_link_here", 7},
		{"join PTTNODE:D/AEBQ", "device_link_here", 7},
		{"join " + strings.Replace(deviceLink, ":", "://", 1), "device_link_here", 7},
		{"init --device " + wholeDeviceLink, "device_link_here", 7},
		{"init --device " + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(wholeDeviceLink), "device_link_here", 7},
		{"join (" + strings.Replace(wholeDeviceLink, ":", "：", 1) + ")", "device_link_here", 7},
		{"join " + friendLink + "," + friendLinkOfTwo, "link_several", 7},
		{"join -y " + deviceLink[:20], "device_link_here", 7},
		{"join --file " + deviceLink, "device_link_here", 7},
		{"completion", "usage", 2},
		{"completion tcsh", "usage", 2},
		{"completion bash zsh", "usage", 2},
		{"status", "no_identity", 3},
		{"peers", "no_identity", 3},
		{"down", "", 0},
		{"up", "no_identity", 3},
		{"init", "usage", 2},
		{"article new reading --title t -F /nothing/there", "no_file", 5},
		{"init --name x --passphrase-file /nothing/there", "no_file", 5},
	} {
		for _, mode := range []string{"", " --json"} {
			exit, stdout, stderr := runWith(t, "", strings.Fields(c.args+mode)...)
			if exit != c.exit {
				t.Errorf("pttnode %s%s: exit code %d, want %d: %s", c.args, mode, exit, c.exit, stderr)
				continue
			}
			if c.exit == 0 {
				continue
			}
			if stdout != "" {
				t.Errorf("pttnode %s%s: stdout %q, want nothing", c.args, mode, stdout)
			}
			if strings.Contains(stderr, deviceLink[15:19]) || strings.Contains(stderr, wholeDeviceLink[30:40]) {
				t.Errorf("pttnode %s%s repeats the link: %s", c.args, mode, stderr)
			}
			lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
			last := lines[len(lines)-1]
			if mode == "" {
				if last != "pttnode: code: "+c.code || !strings.HasPrefix(lines[0], "pttnode: error: ") {
					t.Errorf("pttnode %s: %q, want code %s", c.args, stderr, c.code)
				}
				continue
			}
			var got map[string]struct {
				Code, Title, Hint string
				Exit              int
			}
			if err := json.Unmarshal([]byte(last), &got); err != nil || got["error"].Code != c.code || got["error"].Exit != c.exit || got["error"].Title == "" {
				t.Errorf("pttnode %s --json: last line %q, %v, want code %s", c.args, last, err, c.code)
			}
		}
	}
}

func TestNearestCommandIsNamed(t *testing.T) {
	t.Parallel()
	if _, _, stderr := runWith(t, "", "stats"); !strings.Contains(stderr, "did you mean status?") {
		t.Errorf("pttnode stats: %q", stderr)
	}
}

func TestLinkFromFileIsChecked(t *testing.T) {
	t.Parallel()
	if exit, _, stderr := runWith(t, deviceLink+"\n", "join", "-"); exit != api.ExitInvite || !strings.Contains(stderr, "device_link_here") {
		t.Errorf("a device link on stdin: %d %s", exit, stderr)
	}
	if exit, _, stderr := runWith(t, strings.Repeat("x", maxLinkText+1), "join", "-y", "-"); exit != api.ExitUsage || !strings.Contains(stderr, "too_long") {
		t.Errorf("a long text on stdin: %d %s", exit, stderr)
	}
}

// TestLinkBesideWords: the words beside a link make it no device link.
func TestLinkBesideWords(t *testing.T) {
	t.Parallel()
	if err := checkLink("Get pttnode: do it now. Then open " + friendLink); err != nil {
		t.Errorf("a friend's link in a sentence: %v", err)
	}
}

// TestCommands walks the tree: what this version has, and what it has not yet.
func TestCommands(t *testing.T) {
	t.Parallel()
	var got []string
	var walk func(*cobra.Command)
	root := (&app{}).root()
	walk = func(cmd *cobra.Command) {
		if cmd != root && cmd.Name() != "help" {
			got = append(got, commandName(cmd))
			if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
				t.Errorf("%s: short help %q", commandName(cmd), cmd.Short)
			}
			if cmd.Args == nil {
				t.Errorf("%s takes any arguments", commandName(cmd))
			}
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(root)
	slices.Sort(got)
	want := strings.Split("article,article delete,article edit,article list,article new,article show,board,board create,board delete,board leave,board list,board members,board remove-member,board role,board rotate,board set,board show,board transfer,comment,comment add,comment delete,comment list,completion,demo,device,device list,device rename,device show,down,"+
		"events,friend,friend block,friend list,friend remove,friend show,friend unblock,init,invite,invite board,invite device,invite friend,invite list,invite revoke,invite show,join,log,me,me card,"+
		"me fingerprint,me rename,me show,paths,peers,requests,requests approve,requests cancel,requests list,requests reject,requests retry,requests show,"+
		"status,up,version,view,wait,wait online,wait ready,wait request,wait synced,why", ",")
	if !slices.Equal(got, want) {
		t.Errorf("commands:\n got %v\nwant %v", got, want)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	exit, stdout, stderr := runWith(t, "")
	if exit != 0 || stderr != "" || !strings.Contains(stdout, "Invite on one side, join on the other.") {
		t.Errorf("pttnode: %d %q %q", exit, stdout, stderr)
	}
	all := []string{"help", "--help", "join --help"}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		all = append(all, "help "+commandName(cmd))
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk((&app{}).root())
	for _, args := range all {
		exit, stdout, stderr := runWith(t, "", strings.Fields(args)...)
		if exit != 0 || stderr != "" || stdout == "" {
			t.Errorf("pttnode %s: %d, %d bytes, %q", args, exit, len(stdout), stderr)
		}
		for line := range strings.Lines(stdout) {
			if n := cells.StringWidth(strings.TrimSuffix(line, "\n")); n > narrow {
				t.Errorf("pttnode %s has a line of %d cells, want at most %d: %s", args, n, narrow, line)
			}
		}
		for _, word := range []string{"oplog", "quorum", "op-key", "peer id", "master", "default 0"} {
			if strings.Contains(stdout, word) {
				t.Errorf("pttnode %s says %q, which is no word for screens", args, word)
			}
		}
	}
}

// TestCompletion: each shell has its script, which asks this program.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for shell, begin := range map[string]string{"bash": "# bash", "zsh": "#compdef pttnode", "fish": "# fish", "powershell": "# powershell"} {
		exit, stdout, stderr := runWith(t, "", "completion", shell)
		if exit != 0 || stderr != "" || !strings.HasPrefix(stdout, begin) || !strings.Contains(stdout, "__complete") {
			t.Errorf("pttnode completion %s: %d, %.40q, %q", shell, exit, stdout, stderr)
		}
	}
	exit, stdout, _ := runWith(t, "", "__complete", "requests", "app")
	if exit != 0 || !strings.HasPrefix(stdout, "approve\t") {
		t.Errorf("completing requests app: %d, %q", exit, stdout)
	}
	for args, want := range map[string]string{ // a directive of the shell's script: 4 keeps it from offering files
		"board show": ":4\n", "completion": ":4\n", "friend block": ":4\n", "article new reading -F": ":0\n",
	} {
		exit, stdout, _ := runWith(t, "", append([]string{"__complete"}, append(strings.Fields(args), "")...)...)
		if exit != 0 || !strings.HasSuffix(stdout, want) {
			t.Errorf("completing %s: %d, %q, want %q last", args, exit, stdout, want)
		}
	}
}

func TestSentence(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	next := now.Add(48 * time.Second)
	tried := []node.StepView{{At: now.Add(-12 * time.Second), Step: "connect", Detail: "network"}}
	for _, c := range []struct {
		in   node.RequestView
		want string
	}{
		{
			node.RequestView{State: "waiting_peer", Reason: "network", NextTryAt: &next, Steps: tried, With: node.WithView{Name: "alice"}},
			"waiting for alice: the other side cannot be reached, last try 12 s ago, next try in 48 s",
		},
		{node.RequestView{State: "waiting_peer", Since: now, NextTryAt: &now}, "waiting for the one who made the link, not tried yet, trying it now"},
		{node.RequestView{State: "checking", With: node.WithView{Name: "al\x1b[1mice x"}}, `checking that it is really "alice x"`},
		{node.RequestView{State: "rejected", Reason: "rejected"}, "the answer was no"},
		{
			node.RequestView{State: "waiting_approval", Kind: "device", Reason: "issuer_away", NextTryAt: &next},
			"only the device that made the link knows how this ended, and it cannot be reached, next try in 48 s",
		},
	} {
		if got := sentence(c.in, now); got != c.want {
			t.Errorf("sentence(%s) = %q, want %q", c.in.State, got, c.want)
		}
	}
}

func TestEnded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		direction, state, reason string
		over                     bool
		code                     string
	}{
		{"out", "waiting_peer", "network", false, ""},
		{"out", "connecting", "", false, ""},
		{"out", "checking", "", false, ""},
		{"out", "waiting_approval", "", false, ""},
		{"out", "approved", "", false, ""},
		{"out", "syncing", "", false, ""},
		{"out", "done", "", true, ""},
		{"out", "rejected", "rejected", true, "rejected"},
		{"out", "rejected", "already_friends", true, "already_friends"},
		{"out", "rejected", "invite_used_up", true, "invite_used_up"},
		{"out", "expired", "invite_expired", true, "invite_expired"},
		{"out", "expired", "", true, "expired"},
		{"out", "cancelled", "cancelled", true, "cancelled"},
		{"out", "failed", "identity_check_failed", true, "identity_check_failed"},
		{"out", "failed", "", true, "failed"},
		{"in", "new", "", false, ""},
		{"in", "approved", "ok", true, ""},
		{"in", "rejected", "rejected", true, "rejected"},
		{"in", "withdrawn", "cancelled", true, "cancelled"},
		{"in", "withdrawn", "", true, "withdrawn"},
	} {
		over, err := ended(node.RequestView{Direction: c.direction, State: c.state, Reason: c.reason})
		code := ""
		if err != nil {
			code = codeOf(err)
		}
		if over != c.over || code != c.code {
			t.Errorf("ended(%s %s %s) = %v, %q, want %v, %q", c.direction, c.state, c.reason, over, code, c.over, c.code)
		}
	}
}

// TestOutcomeAlreadySo: "already friends" is no failure.
func TestOutcomeAlreadySo(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	a := &app{out: &out, err: &errs, json: true}
	err := a.outcome(node.RequestView{ID: "r-1", Direction: "out", State: "rejected", Reason: "already_friends"})
	if err != nil || !strings.HasPrefix(out.String(), `{"request":{"id":"r-1"`) {
		t.Errorf("already_friends: %v, stdout %q", err, out.String())
	}
	out.Reset()
	if err := a.outcome(node.RequestView{Direction: "out", State: "expired", Reason: "invite_expired"}); codeOf(err) != "invite_expired" || out.Len() > 0 {
		t.Errorf("invite_expired: %v, stdout %q", err, out.String())
	}
	if err := a.outcome(node.RequestView{Direction: "out", State: "waiting_approval"}); err != errPending || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("waiting_approval: %v, stdout %q", err, out.String())
	}
}

func TestSignalsAreProblems(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		cause stopped
		exit  int
	}{{stopped{sigInt}, 130}, {stopped{sigTerm}, 143}} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(s.cause)
		for _, err := range []error{s.cause, context.Canceled} {
			if p := (&app{}).failure(ctx, err); p.Exit != s.exit {
				t.Errorf("failure(%v) = %+v, want exit %d", err, p, s.exit)
			}
		}
	}
}
