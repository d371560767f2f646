package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"pttnode/node"
)

func TestStrip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"plain", "hello 讀書會 é", "hello 讀書會 é"},
		{"line feed and tab stay", "a\n\tb", "a\n\tb"},
		{"carriage return", "a\r\nb\rc", "a\nb\nc"},
		{"C0", "a\x00\x07\x08\x0b\x0c\x1fb", "ab"},
		{"DEL", "a\x7fb", "ab"},
		{"C1", "a\u0080\u0085\u0099b", "ab"},
		{"line separators", "a\u2028b\u2029c", "a\nb\nc"},
		{"colour", "a\x1b[31;1mred\x1b[0m", "ared"},
		{"cursor", "\x1b[2J\x1b[H\x1b[?25lx", "x"},
		{"8-bit CSI", "a\u009b31mb", "ab"},
		{"title, BEL", "a\x1b]0;owned\x07b", "ab"},
		{"title, ST", "a\x1b]0;owned\x1b\\b", "ab"},
		{"link, OSC 8", "\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\", "text"},
		{"clipboard, OSC 52", "\x1b]52;c;ZXZpbA==\x07x", "x"},
		{"8-bit OSC and ST", "a\u009d0;owned\u009cb", "ab"},
		{"DCS", "a\x1bP1$r\x1b\\b", "ab"},
		{"charset", "a\x1b(0b", "ab"},
		{"reset", "a\x1bcb", "ab"},
		{"unended OSC takes its line only", "a\x1b]0;x\nb", "a\nb"},
		{"unended CSI", "a\x1b[31", "a"},
		{"escape at the end", "a\x1b", "a"},
		{"escape before a letter of another script", "a\x1b讀b", "a讀b"},
		{"escape within an escape", "a\x1b\x1b[31mb", "ab"},
		{"CSI hidden in CSI", "\x1b[\x1b[31mx", "x"},
		{"bidi overrides", "a\u202eb\u202dc\u202c", "abc"},
		{"bidi isolates", "a\u2066b\u2067c\u2068d\u2069", "abcd"},
		{"bidi marks", "a\u200eb\u200fc\u061c", "abc"},
		{"zero width", "a\u200bb\u200cc\u200dd\u2060e\ufefff", "abcdef"},
		{"soft hyphen", "a\u00adb", "ab"},
		{"tags", "a\U000e0041\U000e007fb", "ab"},
		{"variation selectors", "a\ufe0fb\U000e0100c", "abc"},
		{"fillers", "a\u3164b\u115fc\uffa0d", "abcd"},
		{"not UTF-8", "a\xffb\xc3", "a\ufffdb\ufffd"},
		{"a C1 byte that is not UTF-8", "a\x9b31m", "a\ufffd31m"},
	} {
		got := strip(c.in)
		if got != c.want {
			t.Errorf("%s: strip(%q) = %q, want %q", c.name, c.in, got, c.want)
		}
		if again := strip(got); again != got {
			t.Errorf("%s: strip of %q = %q: something is left", c.name, got, again)
		}
	}
}

// TestStripAny: whatever comes, what a terminal would obey is gone. Not a fuzz test: for
// these everything that the command is built from would be compiled anew.
func TestStripAny(t *testing.T) {
	t.Parallel()
	obeyed := rapid.SampledFrom([]string{"\x1b]0;x", "\n", "\u009b1m", "\u202e", "\u2066", "\x7f", "\xff", "\xc2", "\x9b"})
	rapid.Check(t, func(rt *rapid.T) {
		s := strings.Join(rapid.SliceOf(rapid.OneOf(obeyed, rapid.String())).Draw(rt, "text"), "")
		got := strip(s)
		if !utf8.ValidString(got) {
			rt.Fatalf("strip(%q) = %q, which is not UTF-8", s, got)
		}
		for _, r := range got {
			if r != '\n' && r != '\t' && (r < 0x20 || r >= 0x7f && r <= 0x9f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069) {
				rt.Fatalf("strip(%q) = %q, which has %U", s, got, r)
			}
		}
		if strip(got) != got {
			rt.Fatalf("strip(%q) is not done at once", s)
		}
	})
}

func TestField(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"bob", "bob"},
		{"bob\npttnode: error: gotcha", "bob pttnode: error: gotcha"},
		{"a\u2028b", "a b"},
		{"\n\n", ""},
		{strings.Repeat("讀", maxField+1), strings.Repeat("讀", maxField-1) + "…"},
	} {
		if got := field(c.in); got != c.want {
			t.Errorf("field(%.30q) = %.30q, want %.30q", c.in, got, c.want)
		}
	}
	for _, c := range []struct{ in, want string }{{"bob", "bob"}, {"bob b", `"bob b"`}, {"", `""`}, {"讀　書", `"讀　書"`}} {
		if got := quoted(c.in); got != c.want {
			t.Errorf("quoted(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

type loud struct{}

func (loud) String() string { return "\x1b[31mloud\n" }

func TestCleanCleansEveryArgument(t *testing.T) {
	t.Parallel()
	got := clean("%s %s %v %d\n%s", []any{"a\x1b[1m\nb", loud{}, errors.New("e\x07r\nr"), 7, paragraphs("x\ny\x1b[0m")})
	if want := "a b loud er r 7\nx\ny\n"; got != want {
		t.Errorf("clean = %q, want %q", got, want)
	}
	if long := paragraphs(strings.Repeat("讀", maxBlock)); len(long) > maxBlock+10 || !utf8.ValidString(string(long)) {
		t.Errorf("paragraphs of a long text has %d bytes", len(long))
	}
}

// TestApart: a wide line is broken between commands, and no other.
func TestApart(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("長", 20)
	for in, want := range map[string]string{
		"Undo: a      Next: b · c\n":                              "Undo: a      Next: b · c\n",
		"Undo: a " + name + "      Next: b " + name + " · c\nd\n": "Undo: a " + name + "\nNext: b " + name + "\nc\nd\n",
		"pttnode: hint: " + name + name + " · c\n":                "pttnode: hint: " + name + name + " · c\n",
		"Undo? [y/N] ": "Undo? [y/N] ",
	} {
		if got := apart(in); got != want {
			t.Errorf("apart(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestScore(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		0: "", 1: "1", 99: "99", 100: "爆", 1000: "爆", -1: "-1", -9: "-9", -10: "X1", -19: "X1", -99: "X9", -100: "XX", -1000: "XX",
	} {
		if got := score(n); got != want {
			t.Errorf("score(%d) = %q, want %q", n, got, want)
		}
	}
}

// TestSayComments: columns stand below each other whatever the width of what is in
// them, and a long text is not cut.
func TestSayComments(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{out: &out, outTTY: true}
	at := time.Date(2026, 1, 2, 3, 4, 0, 0, time.Local)
	long := strings.Repeat("長", 500)
	a.sayComments([]node.CommentView{
		{No: 9, Type: "push", Author: "王小明", Text: "好", At: at},
		{No: 10, Type: "arrow", Author: "bob", Text: "one\nt\x1b[31mwo", At: at},
		{No: 11, Type: "boo", Author: "bob", At: at, State: "deleted", DeletedBy: "alice"},
		{No: 12, Type: "boo", Author: "bob", Text: long, At: at},
		{No: 13, Type: "push", Author: "bob", At: at},
	})
	want := " 9  推  王小明  01/02 03:04  好\n" +
		"10  →   bob     01/02 03:04  one\n" +
		"                             two\n" +
		"11  噓  bob     01/02 03:04  (deleted by alice)\n" +
		"12  噓  bob     01/02 03:04  " + long + "\n" +
		"13  推  bob     01/02 03:04\n"
	if out.String() != want {
		t.Errorf("comments:\n%s\nwant:\n%s", out.String(), want)
	}
}
