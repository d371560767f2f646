package invite_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

var (
	t0     = time.Unix(1_800_000_000, 0).UTC()
	issuer = keys.FromSeed([32]byte{1}).ID()
	eid    = keys.Hash("ptt/test/eid", nil)
	alice  = keys.Hash("ptt/test/alice", nil)

	certificate = [32]byte(keys.Hash("ptt/test/certificate", nil))
)

func addr(t testing.TB, s string) invite.Addr {
	t.Helper()
	a, err := invite.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const (
	ip4 = "/ip4/203.0.113.9/udp/4001/quic-v1"
	ip6 = "/ip6/2001:db8::9/tcp/4001"
)

func link(t testing.TB, kind entity.Kind, opt invite.Options) invite.Link {
	t.Helper()
	if opt.Expires.IsZero() {
		opt.Expires = t0.Add(invite.DefaultLife(kind))
	}
	if err := opt.Check(kind, t0); err != nil {
		t.Fatal(err)
	}
	return invite.New(kind, eid, issuer, opt)
}

func TestRoundTrip(t *testing.T) {
	for _, kind := range []entity.Kind{entity.Friend, entity.Board, entity.Me} {
		opts := []invite.Options{
			{},
			{Uses: 100, Name: "王小明"},
			{Addrs: []invite.Addr{addr(t, ip4), addr(t, ip6)}, Name: "0123456789abcdef"},
			{Addrs: []invite.Addr{addr(t, "/dns/node.example.org/udp/443/quic-v1")}},
		}
		if kind != entity.Me {
			opts = append(opts, invite.Options{Bound: &alice, Auto: true, Addrs: []invite.Addr{addr(t, ip4)}, Name: "alice"})
		}
		for i, opt := range opts {
			l := link(t, kind, opt)
			for _, text := range []string{l.URL(), strings.ToUpper(l.URL()), l.QR()} {
				got, err := invite.Parse(text)
				if err != nil {
					t.Fatalf("%v %d: Parse: %v", kind, i, err)
				}
				want := l
				if text == l.QR() {
					want = l.Fit()
				}
				if !bytes.Equal(got.Body(), want.Body()) || got.Keys().IID != l.Keys().IID {
					t.Errorf("%v %d: another link came back", kind, i)
				}
				if got.Kind != kind || got.Uses != max(opt.Uses, 1) || !got.Expires.Equal(l.Expires) || got.Issuer != issuer ||
					got.EID16 != [16]byte(eid[:16]) || got.Secret() != l.Secret() || got.Auto() != opt.Auto ||
					(got.Bound == nil) != (opt.Bound == nil) || got.Name != want.Name || len(got.Addrs) != len(want.Addrs) {
					t.Errorf("%v %d: got %#v, want %#v", kind, i, got, want)
				}
				for j, a := range got.Addrs {
					if a != want.Addrs[j] {
						t.Errorf("%v %d: address %v, want %v", kind, i, a, want.Addrs[j])
					}
				}
			}
		}
	}
}

// withCert returns l with the hash of a certificate, as a later version will make it.
func withCert(l invite.Link) invite.Link {
	l.Cert = &certificate
	return l
}

// TestCertificateIsKept: the hash of a certificate comes back byte by byte, also
// from an attempt, and says nothing to this version.
func TestCertificateIsKept(t *testing.T) {
	for _, tt := range []struct {
		name string
		opt  invite.Options
	}{
		{"alone", invite.Options{}},
		{"with a name", invite.Options{Name: "alice"}},
		{"with all", invite.Options{Bound: &alice, Addrs: []invite.Addr{addr(t, ip4), addr(t, ip6)}, Name: "0123456789abcdef"}},
	} {
		plain := link(t, entity.Board, tt.opt)
		for _, sum := range [][32]byte{certificate, {}} {
			l := plain
			l.Cert = &sum
			if got, want := len(l.Body()), len(plain.Body())+33; got != want {
				t.Errorf("%s: %d bytes, want %d", tt.name, got, want)
			}
			got, err := invite.Parse(l.URL())
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			if got.Cert == nil || *got.Cert != sum || got.URL() != l.URL() {
				t.Errorf("%s: certificate %x came back as %v", tt.name, sum, got.Cert)
			}
			a := invite.NewAttempt("r-1", l, "", t0)
			if stored, err := a.Link(); err != nil || stored.URL() != l.URL() {
				t.Errorf("%s: the attempt keeps another link: %v", tt.name, err)
			}
			if got.Keys().IID != plain.Keys().IID || got.Name != plain.Name || !slices.Equal(got.Addrs, plain.Addrs) || got.String() != plain.String() {
				t.Errorf("%s: got %v, want the same but for the certificate as %v", tt.name, got, plain)
			}
		}
	}
}

// TestNobodyMakesCertificates: whatever is asked for, no link of this version has one.
func TestNobodyMakesCertificates(t *testing.T) {
	for _, kind := range []entity.Kind{entity.Friend, entity.Board, entity.Me} {
		if l := link(t, kind, invite.Options{Addrs: []invite.Addr{addr(t, ip4)}, Name: "alice"}); l.Cert != nil {
			t.Errorf("%v: made with certificate %x", kind, *l.Cert)
		}
	}
}

func TestSizes(t *testing.T) {
	quic, tcp, six := addr(t, ip4), addr(t, "/ip4/203.0.113.9/tcp/4001"), addr(t, ip6)
	dns := addr(t, "/dns/"+strings.Repeat("a", 60)+".org/udp/443/quic-v1")
	long := addr(t, "/dns/"+strings.Repeat("a", 41)+"/udp/443/quic-v1")
	for _, tt := range []struct {
		name            string
		opt             invite.Options
		size, fit, left int // left: addresses after Fit
		named, qr       bool
	}{
		{"fixed part", invite.Options{}, 76, 76, 0, false, true},
		{"one IPv4 and six letters: the budget", invite.Options{Addrs: []invite.Addr{quic}, Name: "yuming"}, 90, 90, 1, true, true},
		{"two IPv4", invite.Options{Addrs: []invite.Addr{quic, tcp}, Name: "0123456789abcdef"}, 107, 107, 2, true, true},
		{"just over", invite.Options{Addrs: []invite.Addr{quic, six}, Name: "0123456789abcd"}, 117, 102, 2, false, true},
		{"the cap", invite.Options{Addrs: []invite.Addr{quic, six}, Name: "0123456789ab"}, 115, 115, 2, true, true},
		{"worst without DNS", invite.Options{Addrs: []invite.Addr{six, six}, Name: "0123456789abcdef", Bound: &alice}, 147, 111, 1, false, true},
		{"worst", invite.Options{Addrs: []invite.Addr{dns, dns}, Name: "0123456789abcdef", Bound: &alice}, 245, 160, 1, false, false},
		{"more than fits is left out", invite.Options{Addrs: []invite.Addr{quic, tcp, six}, Name: "0123456789abcde王"}, 106, 106, 2, true, true},
	} {
		for _, kind := range []entity.Kind{entity.Friend, entity.Board} {
			l := link(t, kind, tt.opt)
			f := l.Fit()
			if len(l.Body()) != tt.size || len(f.Body()) != tt.fit || len(f.Addrs) != tt.left || (f.Name != "") != tt.named {
				t.Errorf("%s: %d bytes, fit %d with %d addresses, name %q", tt.name, len(l.Body()), len(f.Body()), len(f.Addrs), f.Name)
			}
			if len(l.Body()) > invite.MaxBody || (l.QR() != "") != tt.qr {
				t.Errorf("%s: %d bytes, QR %v", tt.name, len(l.Body()), l.QR() != "")
			}
			if l.Keys().IID != f.Keys().IID {
				t.Errorf("%s: Fit made another invite", tt.name)
			}
			if _, err := invite.Parse(l.URL()); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	}
	// With the hash of a certificate, which a picture for a terminal has room for only
	// beside no address. What fits 255 bytes is a table of docs/PROTOCOL.md §4.2.
	for _, tt := range []struct {
		name            string
		opt             invite.Options
		size, fit, left int
		named, hashed   bool
	}{
		{"fixed part", invite.Options{}, 109, 109, 0, false, true},
		{"a name of 5", invite.Options{Name: "alice"}, 115, 115, 0, true, true},
		{"a name of 6", invite.Options{Name: "yuming"}, 116, 83, 0, true, false},
		{"one IPv4", invite.Options{Addrs: []invite.Addr{quic}}, 116, 83, 1, false, false},
		{"two IPv4", invite.Options{Addrs: []invite.Addr{quic, tcp}, Name: "0123456789abcdef"}, 140, 107, 2, true, false},
		{"IPv4 and IPv6", invite.Options{Addrs: []invite.Addr{quic, six}, Name: "0123456789abcdef"}, 152, 102, 2, false, false},
		{"worst without DNS", invite.Options{Addrs: []invite.Addr{six, six}, Name: "0123456789abcdef", Bound: &alice}, 180, 111, 1, false, false},
		{"a long host and IPv6", invite.Options{Addrs: []invite.Addr{dns, six}, Name: "0123456789abcdef", Bound: &alice}, 229, 160, 1, false, false},
		{"hosts of 64 and 41", invite.Options{Addrs: []invite.Addr{dns, long}, Name: "0123456789abcdef", Bound: &alice}, 255, 160, 1, false, false},
		{"hosts of 64 and 64", invite.Options{Addrs: []invite.Addr{dns, dns}, Name: "012345678"}, 255, 144, 1, false, false},
		{"a byte over", invite.Options{Addrs: []invite.Addr{dns, dns}, Name: "0123456789"}, 256, 144, 1, false, false},
	} {
		l := withCert(link(t, entity.Friend, tt.opt))
		f := l.Fit()
		if len(l.Body()) != tt.size || len(f.Body()) != tt.fit || len(f.Addrs) != tt.left || (f.Name != "") != tt.named || (f.Cert != nil) != tt.hashed {
			t.Errorf("with a certificate, %s: %d bytes, fit %d with %d addresses, name %q, certificate %v",
				tt.name, len(l.Body()), len(f.Body()), len(f.Addrs), f.Name, f.Cert != nil)
		}
		if l.Keys().IID != f.Keys().IID || l.Cert == nil {
			t.Errorf("with a certificate, %s: Fit made another invite or changed the link", tt.name)
		}
		if _, err := invite.Parse(l.URL()); (err == nil) != (tt.size <= invite.MaxBody) {
			t.Errorf("with a certificate, %s: %v", tt.name, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	u := link(t, entity.Friend, invite.Options{Name: "alice"}).URL()
	typo := []byte(u)
	typo[40] = 'a' + (typo[40]-'a'+1)%26
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"empty", "", invite.ErrNotLink},
		{"words", "hello", invite.ErrNotLink},
		{"another scheme", "https://example.org/friend/abc", invite.ErrNotLink},
		{"another word", strings.Replace(u, "friend", "enemy", 1), invite.ErrNotLink},
		{"longer scheme", strings.Replace(u, "pttnode", "pttnodes", 1), invite.ErrNotLink},
		{"huge", u + strings.Repeat(" ", 1<<20), invite.ErrNotLink},
		{"scheme only", "pttnode:", invite.ErrIncomplete},
		{"cut in the word", "pttnode:fri", invite.ErrIncomplete},
		{"no body", "pttnode:friend/", invite.ErrIncomplete},
		{"one more", u + "a", invite.ErrIncomplete},
		{"typo", string(typo), invite.ErrIncomplete},
		{"not base32", u[:40] + "1" + u[41:], invite.ErrIncomplete},
		{"twice, as one word", u + u, invite.ErrIncomplete},
		{"letters of other scripts", strings.Replace(u, "k", "\u212a", -1) + "\u212a", invite.ErrIncomplete},
		{"prefix of another kind", strings.Replace(u, "friend", "device", 1), invite.ErrKind},
	} {
		if _, err := invite.Parse(tt.text); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	for n := len("pttnode:"); n < len(u); n++ {
		if _, err := invite.Parse(u[:n]); !errors.Is(err, invite.ErrIncomplete) {
			t.Errorf("the first %d characters: %v, want ErrIncomplete", n, err)
		}
	}
}

// TestChangedLink changes what the link says, with a right checksum: what is in
// the salt names another invite, so the changed link is of no use.
func TestChangedLink(t *testing.T) {
	l := link(t, entity.Friend, invite.Options{})
	for _, tt := range []struct {
		name string
		at   int
		same bool
	}{
		{"kind", 1, false},
		{"uses", 3, true},
		{"expiry", 7, true},
		{"entity", 8, false},
		{"secret", 24, false},
		{"issuer", 40, false},
	} {
		b := head(l)
		b[tt.at] ^= 6 // Friend becomes kind 5, see below
		if tt.at == 1 {
			b[1] = uint8(entity.Board)
		}
		got, err := invite.ParseBody(sealed(b))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if (got.Keys().IID == l.Keys().IID) != tt.same {
			t.Errorf("%s: same invite %v, want %v", tt.name, !tt.same, tt.same)
		}
	}
}

func TestCheckOwn(t *testing.T) {
	l := link(t, entity.Friend, invite.Options{})
	other := keys.FromSeed([32]byte{2}).ID()
	if err := l.CheckOwn(other, issuer); !errors.Is(err, invite.ErrOwn) {
		t.Errorf("own: %v", err)
	}
	if err := l.CheckOwn(other); err != nil {
		t.Errorf("of another: %v", err)
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		name string
		kind entity.Kind
		opt  invite.Options
		ok   bool
	}{
		{"friend", entity.Friend, invite.Options{}, true},
		{"friend, a week", entity.Friend, invite.Options{Expires: t0.Add(7 * 24 * time.Hour)}, true},
		{"friend, over a week", entity.Friend, invite.Options{Expires: t0.Add(7*24*time.Hour + 1)}, false},
		{"board, a month", entity.Board, invite.Options{Expires: t0.Add(30 * 24 * time.Hour)}, true},
		{"board, over a month", entity.Board, invite.Options{Expires: t0.Add(30*24*time.Hour + 1)}, false},
		{"past", entity.Board, invite.Options{Expires: t0}, false},
		{"100 uses", entity.Board, invite.Options{Uses: 100}, true},
		{"101 uses", entity.Board, invite.Options{Uses: 101}, false},
		{"auto board", entity.Board, invite.Options{Auto: true}, true},
		{"auto friend", entity.Friend, invite.Options{Auto: true}, false},
		{"auto bound friend", entity.Friend, invite.Options{Auto: true, Bound: &alice}, true},
		{"auto device", entity.Me, invite.Options{Auto: true}, false},
		{"bound device", entity.Me, invite.Options{Bound: &alice}, false},
		{"profile", entity.Profile, invite.Options{}, false},
	} {
		if tt.opt.Expires.IsZero() {
			tt.opt.Expires = t0.Add(invite.DefaultLife(tt.kind))
		}
		err := tt.opt.Check(tt.kind, t0)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, invite.ErrOptions) {
			t.Errorf("%s: %v, want ok %v", tt.name, err, tt.ok)
		}
	}
	for kind, want := range map[entity.Kind]string{entity.Friend: "7 days", entity.Board: "30 days", entity.Me: "7 days"} {
		err := invite.Options{Expires: t0.Add(100 * 24 * time.Hour)}.Check(kind, t0)
		if err == nil || !strings.HasSuffix(err.Error(), "lives for "+want+" at most") {
			t.Errorf("a %v link for 100 days: %v, want it to say %s", kind, err, want)
		}
	}
}

func TestAddr(t *testing.T) {
	for _, s := range []string{
		ip4, ip6, "/ip4/127.0.0.1/tcp/1", "/ip6/::1/udp/65535/quic-v1", "/dns/a-1.example/tcp/80", "/dns/localhost/udp/9/quic-v1",
	} {
		if got := addr(t, s).String(); got != s {
			t.Errorf("%s prints as %s", s, got)
		}
	}
	for _, s := range []string{
		"", "/", "203.0.113.9:4001", "/ip4/203.0.113.9", "/ip4/203.0.113.9/tcp/0", "/ip4/203.0.113.9/tcp/65536", "/ip4/203.0.113.9/tcp/+1",
		"/ip4/203.0.113.9/udp/1", "/ip4/203.0.113.9/udp/1/quic", "/ip4/203.0.113.9/tcp/1/ws", "/ip4/::1/tcp/1", "/ip6/203.0.113.9/tcp/1",
		"/ip6/::ffff:203.0.113.9/tcp/1", "/ip6/fe80::1%eth0/tcp/1", "/ip4/0.0.0.0/tcp/1", "/ip6/::/tcp/1", "/ip4/224.0.0.1/tcp/1",
		"/dns//tcp/1", "/dns/a..b/tcp/1", "/dns/-a/tcp/1", "/dns/a_b/tcp/1", "/dns/王.tw/tcp/1", "/dns4/a/tcp/1", "x/ip4/1.2.3.4/tcp/1",
		"/dns/" + strings.Repeat("a.", 32) + "a/tcp/1", ip4 + "/p2p/x",
	} {
		if a, err := invite.ParseAddr(s); !errors.Is(err, invite.ErrAddr) || !a.IsZero() {
			t.Errorf("%q: got %v, %v", s, a, err)
		}
	}
}
