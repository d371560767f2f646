package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"pttnode/node"
)

// Bounds of foreign text on a screen.
const (
	maxField = 400       // characters of a field: a note of 200 bytes, a long board title
	maxBlock = 256 << 10 // bytes of a block: the longest article
)

// clean formats like fmt.Sprintf, with every string among args, and every error and
// Stringer, made one clean line. All text that is not our own must come in args.
func clean(format string, args []any) string {
	safe := make([]any, len(args))
	for i, v := range args {
		switch v := v.(type) {
		case block:
			safe[i] = string(v)
		case string:
			safe[i] = field(v)
		case fmt.Stringer:
			safe[i] = field(v.String())
		case error:
			safe[i] = field(v.Error())
		default:
			safe[i] = v
		}
	}
	return fmt.Sprintf(format, safe...)
}

// apart breaks lines that are too wide where they go from one command to the next:
// where spaces keep them apart, and at dots.
func apart(s string) string {
	var out strings.Builder
	for line := range strings.Lines(s) {
		if cells.StringWidth(line) > narrow && !strings.HasPrefix(line, "pttnode: ") {
			line = strings.ReplaceAll(line, "      ", "\n")
			line = strings.ReplaceAll(line, " · ", "\n")
		}
		out.WriteString(line)
	}
	return out.String()
}

// block is text of several lines that is clean already.
type block string

// field makes foreign text fit to stand on a line of a terminal.
func field(s string) string {
	s = strip(s)
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\t' }), " ")
	if utf8.RuneCountInString(s) > maxField {
		s = string([]rune(s)[:maxField-1]) + "…"
	}
	return s
}

// quoted is field in quotes when it holds spaces, so that a name is seen to end.
func quoted(s string) string {
	if s = field(s); s == "" || strings.ContainsFunc(s, unicode.IsSpace) {
		return `"` + s + `"`
	}
	return s
}

// paragraphs makes foreign text of several lines fit for a terminal.
func paragraphs(s string) block {
	if len(s) > maxBlock {
		s = strings.ToValidUTF8(s[:maxBlock], "") + "\n…"
	}
	s = strip(s)
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return block(s)
}

// strip takes away what could command a terminal or hide text from a reader:
// control characters but line feed and tab, escape sequences with what belongs to
// them, marks of direction, and characters without width. Bytes that are not
// UTF-8 become U+FFFD.
func strip(s string) string {
	var out strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if n := escape(s); n > 0 {
			s = s[n:]
			continue
		}
		s = s[n:]
		switch {
		case r == '\u2028' || r == '\u2029' || r == '\r' && !strings.HasPrefix(s, "\n"):
			out.WriteByte('\n')
		case r == '\n' || r == '\t' || !node.Unseen(r):
			out.WriteRune(r)
		}
	}
	return out.String()
}

// escape returns the length of the escape sequence that s begins with, or 0. One
// that does not end takes all that could belong to it (ECMA-48 §5.4, §5.6).
func escape(s string) int {
	const c1 = "\u0090\u0098\u009b\u009d\u009e\u009f" // 8-bit forms of P X [ ] ^ _
	var kind byte
	n := 0
	if r, size := utf8.DecodeRuneInString(s); r == 0x1b && len(s) > 1 {
		kind, n = s[1], 2
	} else if r != 0x1b && r != utf8.RuneError && strings.ContainsRune(c1, r) {
		kind, n = byte(r)-0x40, size
	} else {
		return 0
	}
	switch {
	case kind == '[':
		for n < len(s) && s[n] >= 0x20 && s[n] <= 0x3f { // parameters
			n++
		}
		if n < len(s) && s[n] >= 0x40 && s[n] <= 0x7e {
			n++
		}
	case strings.IndexByte("]PX^_", kind) >= 0: // strings, up to BEL or ST
		end := len(s)
		for _, stop := range []string{"\a", "\x1b\\", "\u009c"} {
			if i := strings.Index(s[n:], stop); i >= 0 {
				end = min(end, n+i+len(stop))
			}
		}
		if i := strings.IndexByte(s[n:], '\n'); i >= 0 {
			end = min(end, n+i) // an unended one must not swallow the rest
		}
		n = end
	case kind >= 0x20 && kind <= 0x2f: // intermediates and a final
		for n < len(s) && s[n] >= 0x20 && s[n] <= 0x2f {
			n++
		}
		if n < len(s) && s[n] >= 0x30 && s[n] <= 0x7e {
			n++
		}
	case kind < 0x20 || kind > 0x7e:
		n = 1 // the escape alone; what follows is looked at again
	}
	return n
}
