package testnet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pttnode/node"
)

// says is all that an article says at a peer: what is shown first, what stands beside
// it, and its comments.
func says(p *Peer, board, article string) string {
	v, err := p.Node.Article(p.net.t.Context(), board, article)
	if err != nil {
		return code(err)
	}
	var s strings.Builder
	s.WriteString(fmt.Sprintf("%s %q %q", v.State, v.Title, *v.Body))
	for _, o := range v.Variants {
		s.WriteString(fmt.Sprintf(" or %q %q", o.Title, o.Body))
	}
	for _, c := range v.Thread {
		if c.State == "deleted" { // it has neither mark nor text
			s.WriteString(fmt.Sprintf(", by %s: deleted by %s%s%s", c.Author, c.DeletedBy, c.Type, c.Text))
			continue
		}
		s.WriteString(fmt.Sprintf(", %s by %s: %s", c.Type, c.Author, c.Text))
	}
	return s.String() + fmt.Sprintf(" (%+d of %d)", v.Score, v.Comments)
}

// agree waits until peers say the same of an article and what they say holds all parts.
func agree(t *testing.T, article string, peers []*Peer, parts ...string) string {
	t.Helper()
	var got []string
	peers[0].net.Until(5*time.Minute, fmt.Sprintf("%v everywhere", parts), func() bool {
		got = nil
		for _, p := range peers {
			got = append(got, says(p, "reading", article))
		}
		return !slices.ContainsFunc(got, func(s string) bool { return s != got[0] }) &&
			!slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(got[0], part) })
	})
	return got[0]
}

// TestEditsApart: an article is edited on two devices of its author while the network
// between them is cut. When it is healed, everybody shows the same one and has the
// other beside it, until its author, who has seen both, edits it again.
func TestEditsApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob := n.Add("alice"), n.Add("bob")
		newBoard(t, alice, "reading", "link")
		phone := linkDevice(t, alice, "alice-phone")
		done(t, bob, join(t, bob, newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true}).Link))
		a, err := alice.Node.NewArticle(t.Context(), "reading", "", "title", "text")
		if err != nil {
			t.Fatal(err)
		}
		id, everybody := a.ID.String(), []*Peer{alice, phone, bob}
		agree(t, id, everybody, `ok "title" "text"`)
		n.Settle()

		n.Partition(alice, phone)
		n.Partition(alice, bob)
		pass(time.Minute)
		edit := func(p *Peer, c node.ArticleChange) {
			t.Helper()
			if _, err := p.Node.EditArticle(t.Context(), "reading", id, c); err != nil {
				t.Fatalf("edit by %s: %v", p.Name, err)
			}
		}
		edit(alice, node.ArticleChange{Body: new("on the laptop")})
		edit(phone, node.ArticleChange{Title: new("draft")})
		edit(phone, node.ArticleChange{Title: new("on the phone")})
		if _, err := bob.Node.AddComment(t.Context(), "reading", id, "push", "well"); err != nil {
			t.Fatal(err)
		}
		agree(t, id, []*Peer{phone, bob}, `edited "on the phone" "text", push by bob`)
		n.Heal()
		got := agree(t, id, everybody, `"on the phone" "text"`, `"title" "on the laptop"`, " or ", "push by bob: well (+1 of 1)")
		if strings.Contains(got, "draft") {
			t.Errorf("an edit that another one saw is still there: %s", got)
		}
		v, err := alice.Node.Article(t.Context(), "reading", id)
		if err != nil || len(v.Variants) != 1 || v.Variants[0].Device.Name == "" {
			t.Errorf("at the author: %+v, %v, want one beside with the name of its device", v, err)
		}
		if v, err := bob.Node.Article(t.Context(), "reading", id); err != nil || len(v.Variants) != 1 || v.Variants[0].Device.Name != "" {
			t.Errorf("at another member: %+v, %v, want one beside of a device without a name", v, err)
		}

		edit(phone, node.ArticleChange{}) // what is shown, and nothing beside it
		for _, p := range everybody {
			n.Until(time.Minute, "one version at "+p.Name, func() bool { return !strings.Contains(says(p, "reading", id), " or ") })
		}
		agree(t, id, everybody, `edited "`)
	})
}

// TestDeletedApart: an owner deletes an article while its author, who does not hear of
// it, edits it and others comment. It is deleted for all.
func TestDeletedApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(t, 20*time.Millisecond)
		alice, bob, carol := n.Add("alice"), n.Add("bob"), n.Add("carol")
		newBoard(t, alice, "reading", "link")
		link := newLink(t, alice, node.InviteOptions{Kind: "board", Board: "reading", Auto: true, Uses: 2}).Link
		done(t, bob, join(t, bob, link))
		done(t, carol, join(t, carol, link))
		a, err := bob.Node.NewArticle(t.Context(), "reading", "", "title", "text")
		if err != nil {
			t.Fatal(err)
		}
		id, everybody := a.ID.String(), []*Peer{alice, bob, carol}
		agree(t, id, everybody, `ok "title" "text"`)
		if _, err := carol.Node.AddComment(t.Context(), "reading", id, "boo", "no"); err != nil {
			t.Fatal(err)
		}
		agree(t, id, everybody, "boo by carol: no (-1 of 1)")
		for what, do := range map[string]func(p *Peer) error{
			"edit": func(p *Peer) error {
				_, err := p.Node.EditArticle(t.Context(), "reading", id, node.ArticleChange{Title: new("x")})
				return err
			},
			"delete": func(p *Peer) error { _, err := p.Node.DeleteArticle(t.Context(), "reading", id); return err },
		} {
			if err := do(carol); code(err) != "not_author" {
				t.Errorf("carol may %s what bob wrote: %v, want not_author", what, err)
			}
		}
		if _, err := bob.Node.DeleteComment(t.Context(), "reading", id, "1"); code(err) != "not_author" {
			t.Errorf("the author of the article deletes a comment: %v, want not_author", err)
		}
		n.Settle()

		n.Partition(alice, bob)
		n.Partition(alice, carol)
		pass(time.Minute)
		if v, err := alice.Node.DeleteArticle(t.Context(), "reading", id); err != nil || v.DeletedBy != "alice" {
			t.Fatalf("%+v, %v", v, err)
		}
		if _, err := bob.Node.EditArticle(t.Context(), "reading", id, node.ArticleChange{Title: new("better")}); err != nil {
			t.Fatal(err)
		}
		if _, err := carol.Node.DeleteComment(t.Context(), "reading", id, "1"); err != nil {
			t.Fatal(err)
		}
		agree(t, id, []*Peer{bob, carol}, `edited "better" "text", by carol: deleted by carol (+0 of 0)`)
		n.Heal()
		agree(t, id, everybody, `deleted "" "" (+0 of 0)`)
	})
}
