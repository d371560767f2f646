package invite

import (
	"encoding/base32"
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

// Parse reads a link as people paste it: in any case, with white space and line
// breaks inside, in angle brackets or quotes, with punctuation behind. It fails
// with ErrNotLink, ErrIncomplete, ErrNewer or ErrKind.
func Parse(text string) (Link, error) {
	if len(text) > maxText {
		return Link{}, ErrNotLink
	}
	s := strings.Trim(strings.Map(fold, text), "<>\"'`“”‘’「」『』《》()（）[].,;:!?。，；：、！？")
	s, ok := strings.CutPrefix(s, strings.TrimSuffix(scheme, ":"))
	if !ok {
		return Link{}, ErrNotLink
	}
	if s == "" {
		return Link{}, ErrIncomplete // "pttnode:" with its colon taken for punctuation
	}
	if s, ok = strings.CutPrefix(s, ":"); !ok {
		return Link{}, ErrNotLink
	}
	word, body, ok := strings.Cut(s, "/")
	if !ok {
		return Link{}, ErrIncomplete
	}
	kind, ok := parseWord(word)
	if !ok {
		return Link{}, ErrNotLink
	}
	b, err := lower.DecodeString(body)
	if err != nil || lower.EncodeToString(b) != body { // a character that is lost can leave loose bits
		return Link{}, ErrIncomplete
	}
	l, err := ParseBody(b)
	if err != nil {
		return Link{}, err
	}
	if l.Kind != kind {
		return Link{}, ErrKind
	}
	return l, nil
}

// fold drops white space and what mail programs put into long words, and makes
// ASCII lower case. Unicode case folding would make letters out of other letters.
func fold(r rune) rune {
	switch {
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A'
	case unicode.IsSpace(r), unicode.Is(unicode.Cf, r): // Cf: zero-width space, soft hyphen, byte order mark
		return -1
	}
	return r
}

func parseWord(word string) (entity.Kind, bool) {
	for _, k := range []entity.Kind{entity.Friend, entity.Board, entity.Me} {
		if w := kindWord(k); word == w || word == w[:1] {
			return k, true
		}
	}
	return 0, false
}
