package invite_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"pttnode/entity"
	"pttnode/invite"
)

// form is a link as somebody pastes it.
type form struct{ name, text string }

// forms returns l in the forms in which links arrive. A person would call each of
// them the same link.
func forms(l invite.Link) []form {
	u := l.URL()
	word, body, _ := strings.Cut(strings.TrimPrefix(u, "pttnode:"), "/")
	// in puts s after every 30 letters, as programs do that wrap.
	in := func(s string) string {
		var parts []string
		rest := u
		for ; len(rest) > 30; rest = rest[30:] {
			parts = append(parts, rest[:30])
		}
		return strings.Join(append(parts, rest), s)
	}
	// wide returns s in full-width letters.
	wide := func(s string) string {
		return strings.Map(func(r rune) rune { return r + '！' - '!' }, s)
	}
	// every returns u with s between all letters.
	every := func(s string) string { return strings.Join(strings.Split(u, ""), s) }
	var hexed strings.Builder
	for _, c := range []byte(u) {
		fmt.Fprintf(&hexed, "%%%02x", c)
	}
	var utf16le []byte
	for _, c := range utf16.Encode([]rune("\ufeff" + u + "\r\n")) {
		utf16le = append(utf16le, byte(c), byte(c>>8))
	}
	return []form{
		// The link alone.
		{"as printed", u},
		{"spaces around", "  " + u + " \n"},
		{"upper case", strings.ToUpper(u)},
		{"title case", strings.Replace(u, "pttnode", "Pttnode", 1)},
		{"upper-case scheme", strings.Replace(u, "pttnode", "PTTNODE", 1)},
		{"a letter for the kind", "pttnode:" + word[:1] + "/" + body},
		{"QR with the word", strings.ToUpper("pttnode:" + word + "/" + body)},
		{"with slashes", strings.Replace(u, ":", "://", 1)},
		{"with one slash", strings.Replace(u, ":", ":/", 1)},
		{"a slash behind", u + "/"},
		{"of a web page", "web+" + u},
		{"byte order mark", "\ufeff" + u},
		{"UTF-16", string(utf16le)},

		// Broken.
		{"two lines", u[:70] + "\n" + u[70:]},
		{"lines", in("\r\n")},
		{"lines with an indent", in("\n\t  ")},
		{"a break in the scheme", u[:4] + "\n" + u[4:]},
		{"a break in the word", u[:10] + " " + u[10:]},
		{"spaces in the prefix", "pttnode : " + word + " / " + body},
		{"letter by letter", every(" ")},
		{"no-break spaces", in("\u00a0")},
		{"ideographic spaces", in("\u3000")},
		{"zero-width spaces", every("\u200b")},
		{"zero-width joiners", in("\u200d")},
		{"word joiners", in("\u2060")},
		{"grapheme joiners", in("\u034f")},
		{"variation selectors", in("\ufe0f")},
		{"soft hyphens", in("\u00ad")},
		{"left-to-right marks", "\u200e" + u + "\u200e"},
		{"isolates of a direction", "\u2068" + u + "\u2069"},
		{"hyphens at the ends of lines", in("-\n")},
		{"backslashes at the ends of lines", in("\\\n")},
		{"quoted-printable", in("=\r\n")},
		{"paragraph separators", in("\u2029")},

		// Mail.
		{"quoted", "> " + u},
		{"quoted lines", "> " + in("\n> ")},
		{"quoted twice", ">> " + in("\n>> ")},
		{"quoted twice, with spaces", "> > " + in("\n> > ")},
		{"an answer below", "Alice wrote:\n> here it is:\n>\n> " + in("\n> ") + "\n>\n> Alice\n\nthanks, I come"},
		{"an answer above", "got it\n\n> " + in("\n> ")},
		{"a box around", "│ " + in(" │\n│ ") + " │"},
		{"HTML", `<a href="` + u + `">` + u + `</a>`},
		{"HTML with words", `<a href='` + u + `'>my board</a>`},

		// Marks around.
		{"angle brackets", "<" + u + ">"},
		{"angle brackets and URL", "<URL:" + u + ">"},
		{"quotes", `"` + u + `"`},
		{"single quotes, a stop", "'" + u + "'."},
		{"curly quotes, a comma", "“" + u + "”,"},
		{"guillemets", "«" + u + "»"},
		{"corner brackets", "「" + u + "」。"},
		{"parentheses", "(" + u + ");"},
		{"full-width parentheses", "（" + u + "）"},
		{"square brackets", "[" + u + "]"},
		{"braces", "{" + u + "}"},
		{"an ellipsis", u + "…"},
		{"marks", u + "?!"},
		{"emoji", "👉" + u + "👈🏽"},

		// Chat.
		{"markdown link", "[my board](" + u + ")"},
		{"markdown link, the link its text", "[" + u + "](" + u + ")"},
		{"markdown link, the text cut", "[" + u[:30] + "…](" + u + ")"},
		{"markdown link with a title", "[" + word + "](" + u + ` "open it")`},
		{"markdown code", "`" + u + "`"},
		{"markdown fence", "```\n" + u + "\n```"},
		{"bold", "**" + u + "**"},
		{"bold, one star", "*" + u + "*"},
		{"underscores", "__" + u + "__"},
		{"italic", "_" + u + "_"},
		{"struck", "~~" + u + "~~"},
		{"spoiler", "||" + u + "||"},
		{"link of two halves", "<" + u + "|" + u + ">"},
		{"Org", "[[" + u + "][board]]"},
		{"a list", "- " + u},
		{"a time and a name", "[12:03] alice: " + u},
		{"JSON", `{"link":"` + strings.Replace(u, "/", `\/`, 1) + `"}`},

		// Full-width.
		{"full-width colon", strings.Replace(u, ":", "：", 1)},
		{"full-width colon and slash", strings.NewReplacer(":", "：", "/", "／").Replace(u)},
		{"full-width letters", wide(u)},
		{"full-width capitals", wide(strings.ToUpper(u))},
		{"small colon", strings.Replace(u, ":", "﹕", 1)},
		{"ratio for a colon", strings.Replace(u, ":", "∶", 1)},

		// Percent-encoded.
		{"percent-encoded", url.QueryEscape(u)},
		{"percent-encoded, small", strings.ToLower(url.QueryEscape(u))},
		{"percent-encoded letters", hexed.String()},
		{"percent-encoded spaces", "%20" + in("%0D%0A") + "%20"},
		{"percent-encoded zero-width spaces", in("%E2%80%8B")},
		{"of a page that shares", "https://chat.example/share?text=" + url.QueryEscape(u) + "&via=alice"},
		{"a percent sign beside", "100% safe: " + u + " 50%"},

		// More behind, more around.
		{"tracking", u + "?utm_source=mail&utm_medium=social"},
		{"tracking, more of it", u + "&fbclid=abc234"},
		{"a fragment", u + "#top"},
		{"a sentence", "Here is the link " + u + " to my board."},
		{"a sentence in lines", "Here is the link\n" + in("\n") + "\nand this is the end of it"},
		{"a word behind", u + " abcdefgh"},
		{"words of the alphabet behind", u + " please join us there"},
		{"Chinese around", "連結是" + u + "請加入"},
		{"Chinese with marks", "我的看板：" + u + "。歡迎"},
		{"a command", "pttnode join " + u},
		{"a command with quotes", "$ pttnode join '" + u + "' -y"},
		{"twice", u + "\n" + u},
		{"twice, in two forms", u + " or " + strings.ToUpper(u)},
		{"and its beginning", u[:40] + "... in full: " + u},
		{"and words on links", "Links begin with pttnode:friend/, pttnode:board/ or pttnode:device/. Mine: " + u},
		{"and the program", "Get pttnode: it is good. Then open " + u},
	}
}

func TestParsePasted(t *testing.T) {
	for _, l := range []invite.Link{
		link(t, entity.Board, invite.Options{Name: "alice"}),
		withCert(link(t, entity.Friend, invite.Options{Addrs: []invite.Addr{addr(t, ip4), addr(t, ip6)}})),
		link(t, entity.Me, invite.Options{}),
	} {
		for _, f := range forms(l) {
			got, err := invite.Parse(f.text)
			if err != nil {
				t.Errorf("%s: %v: %q", f.name, err, f.text)
			} else if !bytes.Equal(got.Body(), l.Body()) || got.URL() != l.URL() {
				t.Errorf("%s: another link: %q", f.name, f.text)
			}
		}
	}
}

// TestParsePastedRefuses is what a person would not call one link, or cannot.
func TestParsePastedRefuses(t *testing.T) {
	l, other := link(t, entity.Friend, invite.Options{Name: "alice"}), link(t, entity.Friend, invite.Options{Name: "alice"})
	u, v := l.URL(), other.URL()
	newer := sealed([]byte{2, 9})
	broken := v[:len(v)-3]
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"two links", u + "\n" + v, invite.ErrSeveral},
		{"two links in a sentence", "either " + u + " or " + v + ", as you like", invite.ErrSeveral},
		{"a markdown link that shows another", "[" + u + "](" + v + ")", invite.ErrSeveral},
		{"the second in another form", u + " " + strings.ToUpper(url.QueryEscape(v)), invite.ErrSeveral},
		{"the second broken", u + " " + broken, invite.ErrSeveral},
		{"the first broken", broken + " " + u, invite.ErrSeveral},
		{"the second of a newer version", u + " pttnode:friend/" + text(newer), invite.ErrSeveral},
		{"the second of another kind's word", u + " " + strings.Replace(u, "friend", "board", 1), invite.ErrSeveral},
		{"the second with a name", u + " " + renamed(l).URL(), invite.ErrSeveral},
		{"two broken links", broken + " " + u[:60], invite.ErrIncomplete},
		{"newer, in a sentence", "see pttnode:friend/" + text(newer) + " there", invite.ErrNewer},
		{"of another kind, quoted", "> " + strings.Replace(u, "friend", "board", 1), invite.ErrKind},

		{"a letter lost", u[:50] + u[51:], invite.ErrIncomplete},
		{"a letter more", u + "q", invite.ErrIncomplete},
		{"a letter more inside", u[:50] + "q" + u[50:], invite.ErrIncomplete},
		{"an ellipsis inside", u[:50] + "…" + u[len(u)-9:], invite.ErrIncomplete},
		{"a word inside", u[:50] + "\nalice: " + u[50:], invite.ErrIncomplete},
		{"a slash inside", u[:50] + "/" + u[50:], invite.ErrIncomplete},
		{"a Cyrillic letter", strings.Replace(u, "a", "а", 2), invite.ErrIncomplete},
		{"an accent", u[:50] + "\u0301" + u[50:], invite.ErrIncomplete},
		{"a digit that base32 has not", u[:50] + "8" + u[51:], invite.ErrIncomplete},
		{"loose bits", u[:len(u)-1] + string(u[len(u)-1]+1), invite.ErrIncomplete},
		{"a word as its end", u + "please", invite.ErrIncomplete},
		{"cut, then words", u[:60] + " and so on", invite.ErrIncomplete},
		{"cut in the scheme's slashes", "pttnode:/", invite.ErrIncomplete},
		{"cut in the word, quoted", "> pttnode:fri", invite.ErrIncomplete},
		{"cut behind the colon, full-width", "pttnode：", invite.ErrIncomplete},
		{"percent-encoded twice", url.QueryEscape(url.QueryEscape(u)), invite.ErrNotLink},

		{"the program's name", "pttnode", invite.ErrNotLink},
		{"words on the program", "I like pttnode: it is good", invite.ErrNotLink},
		{"the scheme inside a word", "xpttnode" + strings.TrimPrefix(u, "pttnode"), invite.ErrNotLink},
		{"the scheme in Cyrillic", strings.Replace(u, "o", "о", 1), invite.ErrNotLink},
		{"no colon", strings.Replace(u, ":", "", 1), invite.ErrNotLink},
		{"no scheme", strings.TrimPrefix(u, "pttnode:"), invite.ErrNotLink},
		{"a kind that is none", strings.Replace(u, "friend", "profile", 1), invite.ErrNotLink},
		{"a byte over the bound", u + strings.Repeat(" ", 4097-len(u)), invite.ErrNotLink},
	} {
		if _, err := invite.Parse(tt.text); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v: %q", tt.name, err, tt.want, tt.text)
		}
	}
	if _, err := invite.Parse(u + strings.Repeat(" ", 4096-len(u))); err != nil {
		t.Errorf("4,096 bytes: %v", err)
	}
}

// text returns the base32 of a body.
func text(body []byte) string { return strings.ToLower(unpadded.EncodeToString(body)) }

// renamed returns l with another name: the same invite, and another link.
func renamed(l invite.Link) invite.Link {
	l.Name = "mallory"
	return l
}

// BenchmarkParseWorst: the longest texts that a link could end in at every second byte
// are refused in the time that a person does not notice.
func BenchmarkParseWorst(b *testing.B) {
	for name, text := range map[string]string{
		"one place":   "pttnode:f/" + strings.Repeat("a ", 2043),
		"many places": strings.Repeat("pttnode:f/ ", 372),
		"both":        strings.Repeat("pttnode:f/ a a a a a a a a a a ", 132),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := invite.Parse(text); !errors.Is(err, invite.ErrIncomplete) {
					b.Fatal(err)
				}
			}
		})
	}
}
