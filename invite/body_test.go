package invite_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

var unpadded = base32.StdEncoding.WithPadding(base32.NoPadding)

// head returns a link's body without the checksum, to be changed.
func head(l invite.Link) []byte { return bytes.Clone(l.Body()[:len(l.Body())-4]) }

// sealed puts the right checksum behind b.
func sealed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(bytes.Clone(b), sum[:4]...)
}

func TestParseBodyRefuses(t *testing.T) {
	plain := link(t, entity.Friend, invite.Options{})
	full := link(t, entity.Friend, invite.Options{Bound: &alice, Addrs: []invite.Addr{addr(t, ip4)}, Name: "bob"})
	set := func(l invite.Link, at int, v ...byte) []byte {
		b := head(l)
		copy(b[at:], v)
		return b
	}
	add := func(l invite.Link, v ...byte) []byte { return append(head(l), v...) }
	ip := []byte{1, 203, 0, 113, 9, 15, 161}
	cert := append([]byte{8}, certificate[:]...)
	hashed := withCert(link(t, entity.Friend, invite.Options{Addrs: []invite.Addr{addr(t, ip4)}}))
	dns := append(append([]byte{5, 64}, bytes.Repeat([]byte("a."), 31)...), 'a', 'a', 1, 187)
	for _, tt := range []struct {
		name string
		body []byte // without checksum
		want error
	}{
		{"nothing", nil, invite.ErrIncomplete},
		{"a version alone", []byte{1}, invite.ErrIncomplete},
		{"a byte short", head(plain)[:71], invite.ErrIncomplete},
		{"version 0", set(plain, 0, 0), invite.ErrNotLink},
		{"version 2", set(plain, 0, 2), invite.ErrNewer},
		{"version 2, short", []byte{2, 9}, invite.ErrNewer},
		{"kind 0", set(plain, 1, 0), invite.ErrNotLink},
		{"a profile", set(plain, 1, 2), invite.ErrNotLink},
		{"an unknown flag", set(plain, 2, 2), invite.ErrNewer},
		{"bound without a user", set(plain, 2, 0x80), invite.ErrNotLink},
		{"no uses", set(plain, 3, 0), invite.ErrNotLink},
		{"101 uses", set(plain, 3, 101), invite.ErrNotLink},
		{"empty secret", set(plain, 24, make([]byte, 16)...), invite.ErrNotLink},
		{"empty issuer", set(plain, 40, make([]byte, 32)...), invite.ErrNotLink},
		{"trailing zero", add(plain, 0), invite.ErrNotLink},
		{"relay", add(plain, 7, 1, 2, 3), invite.ErrNewer},
		{"unknown tag", add(plain, 9), invite.ErrNewer},
		{"the last unknown tag", add(plain, 0x7f), invite.ErrNewer},
		{"unknown tag behind a certificate", add(hashed, 9), invite.ErrNewer},
		{"certificate without its hash", add(plain, 8), invite.ErrNotLink},
		{"certificate cut", add(plain, cert[:32]...), invite.ErrNotLink},
		{"certificate cut, then a name", add(plain, append(cert[:32:32], 0x81, 'a')...), invite.ErrNewer}, // takes 0x81 for its last byte
		{"certificate too long", add(plain, append(cert[:33:33], 0)...), invite.ErrNotLink},
		{"two certificates", add(hashed, cert...), invite.ErrNotLink},
		{"two certificates that differ", add(hashed, append([]byte{8, 1}, cert[2:]...)...), invite.ErrNotLink},
		{"address after the certificate", add(hashed, ip...), invite.ErrNotLink},
		{"certificate after the name", add(full, cert...), invite.ErrNotLink},
		{"two long hosts, certificate and a name of 10", add(plain, slices.Concat(dns, dns, cert, []byte("\x8a0123456789"))...), invite.ErrNotLink},
		{"empty name", add(plain, 0x80), invite.ErrNotLink},
		{"name of 17", add(plain, append([]byte{0x91}, make([]byte, 17)...)...), invite.ErrNotLink},
		{"name cut", add(plain, 0x82, 'a'), invite.ErrNotLink},
		{"name not UTF-8", add(plain, 0x81, 0xff), invite.ErrNotLink},
		{"two names", add(full, 0x81, 'a'), invite.ErrNotLink},
		{"address after the name", add(full, ip...), invite.ErrNotLink},
		{"address cut", add(plain, ip[:6]...), invite.ErrNotLink},
		{"port 0", add(plain, 1, 203, 0, 113, 9, 0, 0), invite.ErrNotLink},
		{"three addresses", add(plain, bytes.Repeat(ip, 3)...), invite.ErrNotLink},
		{"IPv4 in IPv6", add(plain, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4, 0, 1), invite.ErrNotLink},
		{"upper case host", add(plain, 5, 1, 'A', 0, 1), invite.ErrNotLink},
		{"host cut", add(plain, 5, 9, 'a', 0, 1), invite.ErrNotLink},
		{"host without length", add(plain, 5), invite.ErrNotLink},
		{"over 255", add(plain, make([]byte, 200)...), invite.ErrNotLink},
	} {
		if _, err := invite.ParseBody(sealed(tt.body)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := invite.ParseBody(head(full)); !errors.Is(err, invite.ErrIncomplete) {
		t.Errorf("no checksum: %v", err)
	}
}

// TestFlippedBits flips every bit of a body: none of these is read as a link.
func TestFlippedBits(t *testing.T) {
	body := link(t, entity.Friend, invite.Options{Addrs: []invite.Addr{addr(t, ip4)}, Name: "bob"}).Body()
	for i := range 8 * len(body) {
		b := bytes.Clone(body)
		b[i/8] ^= 1 << (i % 8)
		if _, err := invite.ParseBody(b); !errors.Is(err, invite.ErrIncomplete) {
			t.Errorf("bit %d: %v", i, err)
		}
	}
}

// TestRedacted prints links, records and attempts in every way a program does by
// accident; neither the secret nor the body may appear.
func TestRedacted(t *testing.T) {
	l := link(t, entity.Friend, invite.Options{Addrs: []invite.Addr{addr(t, ip4)}, Name: "bob"})
	r := invite.NewRecord("i-1", l, eid, invite.Terms{Created: t0})
	a := invite.NewAttempt("r-1", l, "", t0)
	secret := l.Secret()
	mac := l.Keys().MAC.Secret()
	var needles []string
	for _, b := range [][]byte{secret[:], l.Body()[24:40], mac[:]} {
		list := strings.Trim(fmt.Sprintf("%d", b), "[]")
		needles = append(needles, string(b), fmt.Sprintf("%x", b), fmt.Sprintf("%X", b), list, strings.ReplaceAll(list, " ", ","),
			unpadded.EncodeToString(b)[:20], strings.Trim(fmt.Sprintf("%#v", b), "[]byte{}"),
			strings.Trim(fmt.Sprintf("%q", b), `"`))
		js, _ := json.Marshal(b)
		needles = append(needles, strings.Trim(string(js), `"=`))
	}
	body := strings.TrimPrefix(l.URL(), "pttnode:friend/")
	needles = append(needles, body, body[20:60], strings.ToUpper(body[20:60]))

	type hidden struct {
		l invite.Link
		p *invite.Link
	}
	type shown struct {
		L invite.Link
		R invite.Record
		A invite.Attempt
		P *invite.Link
	}
	links := func(v any) bool {
		switch v.(type) {
		case invite.Link, *invite.Link, []invite.Link, map[string]invite.Link, hidden, *hidden:
			return true
		}
		return false
	}
	for _, v := range []any{
		l, &l, []invite.Link{l}, map[string]invite.Link{"a": l}, hidden{l, &l}, &hidden{l, &l}, shown{l, r, a, &l}, &shown{l, r, a, &l}, r, &r, a, &a,
	} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o", "%t", "%c", "%U", "% x", "%#x", "%p", "%w", "%z"} {
			if (verb == "%p" || verb == "%w") && !links(v) {
				continue // vet refuses both for a struct; fmt then passes by every Format method
			}
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("link", "v", v, slog.Group("g", "v", v))
		slog.New(slog.NewJSONHandler(&out, nil)).Info("link", "v", v, slog.Group("g", "v", v))
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Errorf("%T: %v", v, err)
		}
		for _, n := range needles {
			if strings.Contains(out.String(), n) {
				t.Errorf("%T prints a secret as %q", v, n)
			}
		}
	}
	if got, want := fmt.Sprintf("%v", l), "friend link by "+issuer.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err := invite.Parse(l.URL() + "a")
	if err == nil || strings.Contains(err.Error(), body[:10]) {
		t.Errorf("the error shows the link: %v", err)
	}
}

// TestRecordsSurviveStorage encodes a record and an attempt as the node stores
// them, secrets included.
func TestRecordsSurviveStorage(t *testing.T) {
	l := link(t, entity.Board, invite.Options{Bound: &alice, Uses: 2})
	r := invite.NewRecord("i-1", l, eid, invite.Terms{Created: t0, Role: entity.Member, History: entity.History{Mode: entity.HistoryAll}})
	r, _, _ = r.Reserve(claim(1, alice), t0, true)
	var r2 invite.Record
	if err := keys.Unmarshal(keys.Marshal(r), &r2); err != nil {
		t.Fatal(err)
	}
	if k := l.Keys(); r2.Key().Secret() != k.MAC.Secret() || r2.IID != k.IID || r2.PK != k.Sign.ID() || len(r2.Claims) != 1 {
		t.Errorf("got %+v", r2)
	}
	d, c, _ := record(t, entity.Me, 1).Reserve(claimant(1, entity.Me), t0, true)
	var d2 invite.Record
	if err := keys.Unmarshal(keys.Marshal(d), &d2); err != nil {
		t.Fatal(err)
	}
	if got, _ := d2.Claim(c.JoinID); got.Consent == nil || *got.Consent != *c.Consent || !got.User.IsZero() {
		t.Errorf("a device's claim comes back as %+v", got)
	}
	a := invite.NewAttempt("r-1", l, "hello", t0)
	a = a.Sent(t0, eid, "123456")
	var a2 invite.Attempt
	if err := keys.Unmarshal(keys.Marshal(a), &a2); err != nil {
		t.Fatal(err)
	}
	if got, err := a2.Link(); err != nil || !bytes.Equal(got.Body(), l.Body()) || a2.Codes[0].Code != "123456" {
		t.Errorf("got %+v, %v", a2, err)
	}
	if b := keys.Marshal(r); bytes.Contains(b, l.Body()[24:40]) {
		t.Error("the issuer's record holds the secret")
	}
}
