package invite_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/invite"
)

var parseErrors = []error{invite.ErrNotLink, invite.ErrIncomplete, invite.ErrNewer, invite.ErrKind, invite.ErrSeveral}

func seeds(f *testing.F) []invite.Link {
	return []invite.Link{
		link(f, entity.Friend, invite.Options{}),
		link(f, entity.Board, invite.Options{Uses: 9, Bound: &alice, Auto: true, Addrs: []invite.Addr{addr(f, ip4), addr(f, ip6)}, Name: "王"}),
		link(f, entity.Me, invite.Options{Addrs: []invite.Addr{addr(f, "/dns/a.example/tcp/9")}}),
		withCert(link(f, entity.Friend, invite.Options{Addrs: []invite.Addr{addr(f, ip4)}, Name: "alice"})),
	}
}

// FuzzParse: a text is a link that prints and parses to itself, alone and in a mail,
// or exactly one of the errors.
func FuzzParse(f *testing.F) {
	for _, l := range seeds(f) {
		f.Add(l.URL())
		f.Add("<" + l.QR() + ">.")
		for _, form := range forms(l) {
			f.Add(form.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := invite.Parse(text)
		if err != nil {
			is := func(e error) bool { return errors.Is(err, e) }
			if n := len(slices.DeleteFunc(slices.Clone(parseErrors), func(e error) bool { return !is(e) })); n != 1 {
				t.Fatalf("Parse(%q): %v is %d of the errors", text, err, n)
			}
			return
		}
		for _, form := range []string{l.URL(), "> see " + l.URL()[:50] + "\n> " + l.URL()[50:] + " and answer", text + " " + l.URL()} {
			again, err := invite.Parse(form)
			if len(form) <= 4096 && (err != nil || !bytes.Equal(again.Body(), l.Body()) || again.URL() != l.URL()) {
				t.Fatalf("Parse(%q) does not print to the same link: Parse(%q): %v", text, form, err)
			}
		}
	})
}

// FuzzBody: with a right checksum behind it, whatever parses encodes to the same
// bytes.
func FuzzBody(f *testing.F) {
	for _, l := range seeds(f) {
		f.Add(head(l))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = sealed(b)
		l, err := invite.ParseBody(b)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Body(), b) {
			t.Fatalf("% x encodes to % x", b, l.Body())
		}
		for _, a := range l.Addrs {
			if again, err := invite.ParseAddr(a.String()); err != nil || again != a {
				t.Fatalf("address %v does not parse to itself: %v", a, err)
			}
		}
		if q := l.QR(); q != "" {
			if _, err := invite.Parse(q); err != nil {
				t.Fatal(err)
			}
		}
		_ = l.Keys()
	})
}
