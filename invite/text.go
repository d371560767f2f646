package invite

import (
	"encoding/base32"
	"encoding/hex"
	"errors"
	"strings"
	"unicode"

	"pttnode/entity"
)

// lower is RFC 4648 base32 in lower case without padding; the QR form is the same
// in upper case, which QR codes hold in 5.5 bits a character instead of 8.
var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const scheme = "pttnode:"

// URL returns the link as text, pttnode:friend/<body>. It contains the secret.
func (l Link) URL() string { return scheme + kindWord(l.Kind) + "/" + lower.EncodeToString(l.Body()) }

// QR returns the text for a QR code, PTTNODE:F/<BODY>, made small by Fit. It
// contains the secret. It is "" for a link that stays over MaxQR bytes.
func (l Link) QR() string {
	body := l.Fit().Body()
	if len(body) > MaxQR {
		return ""
	}
	return strings.ToUpper(scheme + kindWord(l.Kind)[:1] + "/" + lower.EncodeToString(body))
}

// Parse reads the link in a text as people paste it: alone, in a sentence, quoted
// in a mail, broken over lines, in the markup of a chat. The same link may be there
// more than once. It fails with ErrNotLink, ErrIncomplete, ErrNewer, ErrKind or
// ErrSeveral, and with ErrNotLink for a text over 4,096 bytes.
func Parse(text string) (Link, error) {
	if len(text) > maxText {
		return Link{}, ErrNotLink
	}
	var whole *reading
	var broken []string // what there is of the bodies of links that cannot be read
	for _, p := range places(plain(text)) {
		r, ok := read(p)
		switch {
		case !ok:
			broken = append(broken, p.head())
		case whole == nil:
			whole = &r
		case whole.body != r.body || whole.kind != r.kind:
			return Link{}, ErrSeveral
		}
	}
	switch {
	case whole == nil && broken == nil:
		return Link{}, ErrNotLink
	case whole == nil:
		return Link{}, ErrIncomplete
	}
	for _, b := range broken { // a chat shows the beginning of a long link beside the whole one
		if !strings.HasPrefix(whole.body, b) {
			return Link{}, ErrSeveral
		}
	}
	return whole.link, whole.err
}

// plain returns text with all that may stand inside or around a link made alike:
// ASCII letters, digits, ':' and '/' stay, in lower case; a letter, mark or digit of
// another script is '?'; a run of anything else is one space. Unicode case folding
// would make letters out of other letters.
func plain(text string) string {
	b := make([]byte, 0, len(text))
	for _, r := range unescape(text) {
		switch {
		case '！' <= r && r <= '～': // the full-width forms of ASCII
			r -= '！' - '!'
		case r == '﹕', r == '∶': // what else input methods make of a colon
			r = ':'
		}
		switch {
		case 'A' <= r && r <= 'Z':
			b = append(b, byte(r+'a'-'A'))
		case r < unicode.MaxASCII && alphanumeric(byte(r)), r == ':', r == '/':
			b = append(b, byte(r))
		case !ignorable(r) && unicode.In(r, unicode.L, unicode.M, unicode.N):
			b = append(b, '?')
		case len(b) == 0 || b[len(b)-1] != ' ':
			b = append(b, ' ')
		}
	}
	return string(b)
}

// ignorable reports whether r is a letter or mark only by its class, and is not seen.
func ignorable(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func alphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// unescape undoes percent-encoding, once.
func unescape(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "%")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		s = after
		if len(s) >= 2 {
			if c, err := hex.DecodeString(s[:2]); err == nil {
				b.Write(c)
				s = s[2:]
				continue
			}
		}
		b.WriteByte('%')
	}
}

// place is where a link begins in a plain text.
type place struct {
	kind entity.Kind // 0 when the text ends before it is told
	rest string      // the body and all that follows it
}

// places returns where links begin in s: at "pttnode:" after no letter or digit,
// slashes, a kind's word or letter, and a slash, with spaces anywhere.
func places(s string) (out []place) {
	for i := range s {
		if s[i] != scheme[0] || i > 0 && alphanumeric(s[i-1]) {
			continue
		}
		rest, ok := cut(s[i:], scheme)
		if !ok {
			continue
		}
		rest = strings.TrimLeft(rest, " /") // pttnode://friend/
		if kind, body, ok := cutKind(rest); ok {
			out = append(out, place{kind, body})
		}
	}
	return out
}

// cutKind cuts a kind's word and the slash behind it. When s ends first, the link
// was cut there: kind 0 and no body.
func cutKind(s string) (kind entity.Kind, body string, ok bool) {
	ended := false
	for _, k := range []entity.Kind{entity.Friend, entity.Board, entity.Me} {
		for _, word := range []string{kindWord(k), kindWord(k)[:1]} {
			body, ok := cut(s, word+"/")
			if ok {
				return k, body, true
			}
			ended = ended || body == ""
		}
	}
	return 0, "", ended
}

// cut returns what follows word at the start of s, with spaces anywhere. It fails
// when something else is there, and with "" when s ends first.
func cut(s, word string) (rest string, ok bool) {
	for i := range len(word) {
		s = strings.TrimPrefix(s, " ")
		if s == "" || s[0] != word[i] {
			return s, false
		}
		s = s[1:]
	}
	return s, true
}

// head returns the beginning of the body, up to the first thing that is none.
func (p place) head() string {
	for i := range p.rest {
		if !alphanumeric(p.rest[i]) {
			return p.rest[:i]
		}
	}
	return p.rest
}

// reading is a link of which all letters are there, and what is wrong with it.
type reading struct {
	kind entity.Kind
	body string
	link Link
	err  error
}

// read reads the link that begins at p. Where a link ends is not to be seen: the
// next word of a sentence is letters, too, and a line break may be inside a link. So
// it ends at the first thing that is no letter before which the checksum is right.
func read(p place) (reading, bool) {
	var body []byte
	for i := 0; ; i++ {
		if i < len(p.rest) && alphanumeric(p.rest[i]) {
			body = append(body, p.rest[i])
			continue
		}
		if l, err := parseText(string(body)); !errors.Is(err, ErrIncomplete) {
			if err == nil && l.Kind != p.kind {
				l, err = Link{}, ErrKind
			}
			return reading{p.kind, string(body), l, err}, true
		}
		if i == len(p.rest) || p.rest[i] != ' ' {
			return reading{}, false
		}
	}
}

// parseText reads the base32 of a body, in its one form. A character that is lost
// can leave loose bits.
func parseText(text string) (Link, error) {
	b, err := lower.DecodeString(text)
	if err != nil || lower.EncodeToString(b) != text {
		return Link{}, ErrIncomplete
	}
	return ParseBody(b)
}
