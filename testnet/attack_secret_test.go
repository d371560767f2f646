package testnet

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p/core/network"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
	"pttnode/node"
	"pttnode/protocol"
)

// forms returns how a secret may stand in bytes or in text.
func forms(secret []byte) map[string][]byte {
	plain32 := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	numbers, err := json.Marshal(toInts(secret))
	if err != nil {
		panic(err)
	}
	spaced := strings.ReplaceAll(strings.Trim(string(numbers), "[]"), ",", " ")
	return map[string][]byte{
		"raw": secret,
		"hex": []byte(hex.EncodeToString(secret)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(secret))),
		"base32": []byte(strings.ToLower(plain32)), "BASE32": []byte(plain32),
		"base64": []byte(base64.RawStdEncoding.EncodeToString(secret)), "base64url": []byte(base64.RawURLEncoding.EncodeToString(secret)),
		"numbers of JSON": bytes.Trim(numbers, "[]"), "numbers of fmt": []byte(spaced),
		"Go syntax": []byte(strings.Trim(fmt.Sprintf("%#v", secret), "[]byte{}")),
	}
}

func toInts(b []byte) []int {
	out := make([]int, len(b))
	for i, c := range b {
		out[i] = int(c)
	}
	return out
}

// leaks returns which secrets stand where, in which form.
func leaks(secrets, places map[string][]byte) (found []string) {
	for what, secret := range secrets {
		for form, needle := range forms(secret) {
			for where, hay := range places {
				if bytes.Contains(hay, needle) {
					found = append(found, fmt.Sprintf("%s as %s in %s", what, form, where))
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// TestLeaksAreFound: the search finds what is there, in each form.
func TestLeaksAreFound(t *testing.T) {
	secret := []byte{0xff, 0x00, 0x9a, 0x61, 0x7e, 0xfb, 0xef, 0xbe, 7, 8, 9, 10, 11, 12, 13, 14}
	for form, needle := range forms(secret) {
		hay := append(append([]byte("before"), needle...), "after"...)
		if got := leaks(map[string][]byte{"it": secret}, map[string][]byte{"there": hay}); len(got) == 0 {
			t.Errorf("%s is not found", form)
		}
	}
	if got := leaks(map[string][]byte{"it": secret}, map[string][]byte{"there": []byte("nothing")}); len(got) != 0 {
		t.Errorf("found where nothing is: %v", got)
	}
	for form, text := range map[string]string{
		"JSON": fmt.Sprintf("%v", string(must(json.Marshal([16]byte(secret))))), "fmt": fmt.Sprintf("%v", secret), "Go": fmt.Sprintf("%#v", secret),
	} {
		if got := leaks(map[string][]byte{"it": secret}, map[string][]byte{form: []byte(text)}); len(got) == 0 {
			t.Errorf("what %s prints is not found: %s", form, text)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// logged is what a node logs, at every level.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// restartLogging starts a peer anew with a log of its own.
func (p *Peer) restartLogging(w io.Writer) {
	p.net.t.Helper()
	p.Stop()
	h, err := p.net.listen(p.IP, port, p.device)
	if err != nil {
		p.net.t.Fatal(err)
	}
	nd, err := node.New(h, p.Store, node.Config{
		Device: p.device, Vault: p.vault, Log: slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		p.net.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.Node, p.Host, p.cancel, p.ended = nd, h, cancel, make(chan struct{})
	ended := p.ended
	go func() {
		defer close(ended)
		_ = nd.Run(ctx)
	}()
}

// ownRecord is what a store has under /n/self.
type ownRecord struct {
	Me       keys.Digest   `cbor:"1,keyasint"`
	Profile  keys.Digest   `cbor:"2,keyasint"`
	Board    keys.Digest   `cbor:"3,keyasint"`
	Device   string        `cbor:"4,keyasint"`
	Box      invite.Secret `cbor:"5,keyasint"`
	Recovery keys.ID       `cbor:"6,keyasint"`
}

// secretsOf opens a peer's store with its vault and returns all that must stay
// inside.
func secretsOf(t *testing.T, p *Peer) map[string][]byte {
	t.Helper()
	out := make(map[string][]byte)
	put := func(what string, b []byte) {
		if len(b) < 16 {
			t.Fatalf("%s of %d bytes", what, len(b))
		}
		out[p.Name+"'s "+what] = bytes.Clone(b)
	}
	seed := p.device.Secret()
	put("device seed", seed[:])
	err := p.each("/k", func(key string, value []byte) error {
		secret, err := p.vault.Open(key, value)
		if err != nil {
			return err
		}
		put("op-key "+key, secret)
		if strings.HasPrefix(key, "/k/"+p.User().String()) {
			box := keys.OpKeyFromSecret([32]byte(secret)).UserBox().Secret()
			put("user box secret", box[:])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records(t, p) {
		put("K_v of "+r.ID, r.MAC)
	}
	err = p.each("/n/self", func(key string, value []byte) error {
		plain, err := p.vault.Open(key, value)
		if err != nil {
			return err
		}
		var self ownRecord
		if err := keys.Unmarshal(plain, &self); err != nil {
			return err
		}
		put("device box secret", self.Box)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 5 {
		t.Fatalf("%s has only %d secrets: the store is laid out otherwise", p.Name, len(out))
	}
	return out
}

// storeOf returns the whole of a store, keys and values.
func storeOf(t *testing.T, p *Peer) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.each("/", func(key string, value []byte) error { fmt.Fprintf(&b, "%s=%s\n", key, value); return nil }); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// shown returns everything that a node shows, as JSON.
func shown(t *testing.T, p *Peer) map[string][]byte {
	t.Helper()
	out := make(map[string][]byte)
	put := func(what string, v any, err error) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		out[p.Name+"'s "+what] = []byte(string(must(json.Marshal(v))) + fmt.Sprintf("%+v %#v", v, v))
	}
	events, _ := p.Node.Events(0, 0)
	put("Status", p.Node.Status(), nil)
	put("Me", p.Node.Me(), nil)
	put("Invites", p.Node.Invites(), nil)
	put("Requests", p.Node.Requests(), nil)
	put("Events", events, nil)
	put("Friends", p.Node.Friends(), nil)
	put("Boards", p.Node.Boards(), nil)
	s, err := p.stored(false)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for id, e := range s.entities {
		if e.State().Kind == entity.Me && id != p.User() {
			continue
		}
		ref := id.String()
		log, err := p.Node.OpLog(ref, "")
		put("OpLog "+ref, log, err)
		count += len(log)
		view, err := p.Node.View(ref)
		put("View "+ref, view, err)
		synced, err := p.Node.Synced(ref)
		put("Synced "+ref, synced, err)
		if e.State().Kind == entity.Board {
			as, err := p.Node.Articles(ref)
			put("Articles "+ref, as, err)
			ms, err := p.Node.Members(ref)
			put("Members "+ref, ms, err)
		}
	}
	if count < 10 {
		t.Fatalf("%s shows only %d operations", p.Name, count)
	}
	return out
}

// TestSecretsStayInside: a whole life of two nodes, a friendship and a board, and
// no key, no link's secret and no seed stands in any store, log, view, event or
// error. The one place of a link is the answer that made it; an op-key has none.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 100*time.Millisecond)
		n.Unchecked()
		alice, bob := n.Add("alice"), n.Add("bob")
		var logs [2]logged
		alice.restartLogging(&logs[0])
		bob.restartLogging(&logs[1])
		places, secrets := make(map[string][]byte), make(map[string][]byte)
		look := func(when string) {
			for _, p := range []*Peer{alice, bob} {
				places[p.Name+"'s store "+when] = storeOf(t, p)
				for what, b := range shown(t, p) {
					places[what+" "+when] = b
				}
				maps.Copy(secrets, secretsOf(t, p))
			}
		}
		made := func(inv node.InviteView, err error) string {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			l, err := invite.Parse(inv.Link)
			if err != nil {
				t.Fatal(err)
			}
			secret, sign := l.Secret(), l.Keys().Sign.Secret()
			secrets["secret of "+inv.ID], secrets["invite key of "+inv.ID] = secret[:], sign[:]
			_, body, _ := strings.Cut(inv.Link, "/")
			places["body of a link"] = []byte(body) // the one answer: to see that the search finds it
			if got := leaks(map[string][]byte{"the link": l.Body()}, map[string][]byte{"it": places["body of a link"]}); len(got) == 0 {
				t.Fatal("the link is not found in the answer that made it")
			}
			delete(places, "body of a link")
			secrets["body of "+inv.ID] = l.Body()
			return inv.Link
		}
		fails := func(what string, _ any, err error) {
			t.Helper()
			if err == nil {
				t.Fatalf("%s: no error", what)
			}
			places["error: "+what] = fmt.Appendf(nil, "%v %+v %#v %s", err, err, err, must(json.Marshal(err)))
		}

		friend := made(alice.Node.Invite(t.Context(), node.InviteOptions{Kind: "friend", Note: "for bob"}))
		unused := made(alice.Node.Invite(t.Context(), node.InviteOptions{Kind: "friend"}))
		r := n.opens(bob, friend, "waiting_approval")
		look("while bob waits")
		in := alice.Node.Requests()
		if _, err := alice.Node.Approve(t.Context(), in[0].ID); err != nil {
			t.Fatal(err)
		}
		n.reaches(bob, r.ID, "done")
		if _, err := alice.Node.CreateBoard(t.Context(), node.BoardOptions{Name: "dev", Title: "development"}); err != nil {
			t.Fatal(err)
		}
		board := made(alice.Node.Invite(t.Context(), node.InviteOptions{Kind: "board", Board: "dev", Auto: true}))
		n.opens(bob, board, "done")
		for _, p := range []*Peer{alice, bob} {
			if err := p.Node.SetCard(t.Context(), "a card"); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Node.NewArticle(t.Context(), "dev", "talk", "by "+p.Name, "text"); err != nil {
				t.Fatal(err)
			}
		}
		n.Until(time.Minute, "both articles at both", func() bool {
			a, err1 := alice.Node.Articles("dev")
			b, err2 := bob.Node.Articles("dev")
			return err1 == nil && err2 == nil && len(a) == 2 && len(b) == 2
		})

		// Errors about links: they say what is wrong and not what was pasted.
		join := func(what, text string) {
			_, err := bob.Node.Join(t.Context(), text, "")
			fails(what, nil, err)
			_, err = bob.Node.Inspect(text)
			fails(what+", inspected", nil, err)
		}
		join("a part of a link", unused[:len(unused)-9])
		join("a mistyped link", unused[:len(unused)-20]+"aaaa"+unused[len(unused)-16:])
		join("a link with another prefix", strings.Replace(unused, "friend/", "board/", 1))
		join("no link", "see "+strings.TrimPrefix(unused, "pttnode:"))
		_, err := alice.Node.Join(t.Context(), unused, "")
		fails("one's own link", nil, err)
		_, err = bob.Node.Friend(unused)
		fails("a link for a name", nil, err) // says what was asked for: not a secret of this node's making
		delete(places, "error: a link for a name")
		_, err = alice.Node.Revoke(t.Context(), "i-none")
		fails("revoke", nil, err)
		_, err = alice.Node.Approve(t.Context(), in[0].ID+"x")
		fails("approve", nil, err)

		// The same link again has the same outcome.
		n.opens(bob, friend, "done")
		// What goes wrong is logged: a wrong proof at Alice, a dead line at Bob, and an
		// issuer that is not who it should be.
		mallory := n.attacker(0, "mallory")
		mallory.play(mallory.mustOpen(alice, protocol.ID), unused, withWrongProof)
		n.Partition(alice, bob)
		late, err := bob.Node.Join(t.Context(), unused, "")
		if err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Minute)
		n.Heal()
		if _, err := alice.Node.Revoke(t.Context(), "i-2"); err != nil {
			t.Fatal(err)
		}
		n.reaches(bob, late.ID, "rejected")
		changed, err := invite.Parse(unused)
		if err != nil {
			t.Fatal(err)
		}
		changed.Issuer = mallory.key.ID()
		mallory.host.SetStreamHandler(protocol.ID, func(s network.Stream) {
			_, _ = s.Write(protocol.Encode(protocol.AckChallenge{Body: []byte("not an answer")}))
			_ = s.Close()
		})
		changed.Addrs = withAddr(t, unused, mallory.host.Addrs()[0].String()).Addrs
		if _, err := bob.Node.Join(t.Context(), changed.URL(), ""); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		look("at the end")
		for i, p := range []*Peer{alice, bob} {
			logs[i].mu.Lock()
			places[p.Name+"'s log"] = bytes.Clone(logs[i].buf.Bytes())
			logs[i].mu.Unlock()
		}
		for _, where := range leaks(secrets, places) {
			t.Error(where)
		}
		for where, b := range places {
			if len(b) == 0 {
				t.Errorf("%s is empty: this proves nothing", where)
			}
		}
		t.Logf("%d secrets in %d forms, in %d places: alice logged %d bytes, bob %d",
			len(secrets), len(forms([]byte{1})), len(places), logs[0].buf.Len(), logs[1].buf.Len())
	})
}

// TestRecoveryKeyIsForgotten: the recovery key is shown once and is nowhere in the
// store that it was made for, nor in its words.
func TestRecoveryKeyIsForgotten(t *testing.T) {
	ds := dssync.MutexWrap(datastore.NewMapDatastore())
	_, recovery, err := node.Found(t.Context(), ds, node.Founding{
		Device: keys.New(), Vault: keys.OpenVault(keys.NewVaultKey()), Name: "alice", DeviceName: "laptop", Class: entity.Desktop, Now: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &Peer{Store: ds}
	seed := recovery.Secret()
	places := map[string][]byte{"the store": storeOf(t, p), "its printed form": fmt.Appendf(nil, "%v %+v %#v", recovery, recovery, recovery)}
	for _, where := range leaks(map[string][]byte{"the recovery seed": seed[:]}, places) {
		t.Error(where)
	}
	if words := strings.Fields(keys.Words(recovery)); bytes.Contains(places["the store"], []byte(words[0]+" "+words[1])) {
		t.Error("the recovery words stand in the store")
	}
	if len(places["the store"]) < 1000 {
		t.Error("the store is empty: this proves nothing")
	}
}
