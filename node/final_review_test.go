package node

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pttnode/entity"
	"pttnode/oplog"
	"pttnode/protocol"
)

// A member writes in turn what he deletes and what is long: how much comes before the
// first content op, and what is left of it when the stream is cut off there.
func TestFinalVouchersFirst(t *testing.T) {
	n, h, _ := boardTarget(t, InviteOptions{})
	c := newClaimant(t)
	enters(t, n, h, c)
	author := entity.Author{Key: c.key, User: c.me.ID(), Now: time.Now()}
	for range 40 {
		a, err := h.Write(author, h.ring, oplog.FamilyArticle, entity.TypeArticleNew, entity.Article{Title: "short"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Write(author, h.ring, oplog.FamilyArticle, entity.TypeArticleNew, entity.Article{Title: "long", Text: strings.Repeat("x", 60_000)}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Write(author, h.ring, oplog.FamilyArticle, entity.TypeArticleDelete, entity.ArticleDelete{Article: a.ID()}); err != nil {
			t.Fatal(err)
		}
	}
	o, err := h.Checkpoint(entity.Author{Key: n.device, User: n.user, Now: time.Now()}, h.ring)
	if err != nil {
		t.Fatal(err)
	}
	if _, stripped, err := h.Strip(o.ID(), h.ring); err != nil || len(stripped) != 40 {
		t.Fatalf("%d, %v", len(stripped), err)
	}
	ops := slices.Collect(h.Log().All(oplog.Content))
	_, vouchers, left := n.listsFor(h.ID(), ops)
	v, all := 0, 0
	for _, o := range vouchers {
		v += len(o.Entry())
	}
	for _, o := range left {
		all += len(o.Entry())
	}
	if v > protocol.MaxSync {
		t.Errorf("%d bytes of vouchers, of which nothing is kept, before the first of %d bytes of ops", v, all)
	}
}
