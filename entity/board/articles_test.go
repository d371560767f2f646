package board_test

import (
	"strings"
	"testing"
)

// TestArticles is what a board shows after what people did to its articles: each row a
// history, and what it must come to at every place (docs/PROTOCOL.md §2.9).
func TestArticles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, history, want string }{
		// Edits.
		{"an edit replaces", "laptop new A one; laptop edit A two", "A: two"},
		{"the last edit is shown", "laptop new A one; laptop edit A two; laptop edit A three", "A: three"},
		{"an edit on another device", "laptop new A one; all; phone edit A two", "A: two"},
		{"concurrent edits are both there", "laptop new A one; all; laptop edit A two; phone edit A three", "A: three | two"},
		{"of each device the last one", "laptop new A one; all; laptop edit A two; phone edit A three; laptop edit A four", "A: four | three"},
		{"an edit by who saw both replaces both", "laptop new A one; all; laptop edit A two; phone edit A three; all; phone edit A four", "A: four"},
		{"an edit by who saw one is concurrent with the other", "laptop new A one; all; phone edit A two; all; laptop edit A three; phone edit A four", "A: four | three"},
		{"an edit that saw another over a third one's op", "laptop new A one; all; phone edit A two; bob hears phone; bob push A c1; laptop hears bob; laptop edit A three", "A: three {push bob } +1 of 1"},
		{"edits of two articles do not replace each other", "laptop new A one; laptop new B two; all; laptop edit A three; phone hears laptop; phone edit B four", "A: three\nB: four"},
		{"concurrent, though one saw an older one of the other's", "laptop new A one; laptop edit A two; all; laptop edit A three; phone edit A four", "A: four | three"},

		// Who may edit.
		{"nobody edits what another wrote", "bob new A one; all; laptop edit A two", "A: one"},
		{"nor does an owner", "bob new A one; all; master edit A two; founder edit A three", "A: one"},
		{"an edit of nothing, of a comment, of an edit", "laptop new A one; laptop edit nothing two; laptop push A c1; laptop edit c1 three", "A: one {push member } +1 of 1"},
		{"an edit of a device that was dropped, beyond its cut", "laptop new A one; all; phone arrow A c1; all; phone edit A two; laptop drops; all", "A: one {arrow member } +0 of 1"},
		{"an edit of that device up to its cut", "laptop new A one; all; phone edit A two; all; laptop drops; all", "A: two"},
		{"an edit that is concurrent with the leave of its author", "laptop new A one; all; laptop leaves; phone edit A two", "A: one"},
		{"edits of a device that signed two at one place", "laptop new A one; all; laptop edit A two; twin edit A three; phone edit A four", "A: four"},

		// Deleting.
		{"its author deletes it", "laptop new A one; laptop delete A", "A: deleted by member"},
		{"on another device", "laptop new A one; all; phone delete A", "A: deleted by member"},
		{"an owner deletes it", "laptop new A one; all; master delete A", "A: deleted by master"},
		{"the founder deletes it", "laptop new A one; all; founder delete A", "A: deleted by founder"},
		{"another does not", "laptop new A one; all; bob delete A", "A: one"},
		{"a number is not used again", "laptop new A one; laptop delete A; laptop new B two", "A: deleted by member\nB: two"},
		{"a deletion beats a concurrent edit", "laptop new A one; all; laptop edit A two; master delete A", "A: deleted by master"},
		{"and an edit after it", "laptop new A one; laptop delete A; laptop edit A two", "A: deleted by member"},
		{"deleted twice: the first", "laptop new A one; all; master delete A; all; founder delete A", "A: deleted by master"},
		{"comments go with it", "laptop new A one; all; bob push A c1 hi; all; laptop delete A", "A: deleted by member"},
		{"a comment on what is deleted", "laptop new A one; laptop delete A; all; bob push A c1 hi", "A: deleted by member"},
		{"a deletion of nothing, of a comment", "laptop new A one; laptop delete nothing; laptop push A c1; laptop delete c1", "A: one {push member } +1 of 1"},

		// An owner is a user who was one at the heads that the deletion cites.
		{"made an owner, they delete", "laptop new A one; all; founder promotes bob; all; bob delete A", "A: deleted by bob"},
		{"what they deleted before is not deleted by it", "laptop new A one; all; bob delete A; all; founder promotes bob; all", "A: one"},
		{"what they deleted stays so when they are one no more", "laptop new A one; all; master delete A; all; founder demotes master; all", "A: deleted by master"},
		{"an owner no more, they do not", "laptop new A one; all; founder demotes master; all; master delete A", "A: one"},
		{"concurrent with their demotion they do", "laptop new A one; all; founder demotes master; master delete A", "A: deleted by master"},
		{"made an owner in a void op, they do not", "laptop new A one; all; founder demotes master; master promotes bob; bob hears master; bob delete A", "A: one"},

		// Comments.
		{"they stand in their order", "laptop new A one; all; bob push A c1 x; bob boo A c2 y; bob arrow A c3 z", "A: one {push bob x} {boo bob y} {arrow bob z} -1 of 3"},
		{"everybody counts once", "laptop new A one; all; bob push A c1 x; bob push A c2 x; all; master push A c3 x; master boo A c4 y", "A: one {push bob x} {push bob x} {push master x} {boo master y} +0 of 4"},
		{"an arrow takes no push back", "laptop new A one; all; bob push A c1 x; bob arrow A c2 y", "A: one {push bob x} {arrow bob y} +1 of 2"},
		{"a mark that is none", "laptop new A one; all; bob mark0 A c1 x; bob mark4 A c2 x", "A: one {malformed bob} {malformed bob} +0 of 2"},
		{"on nothing, on a comment", "laptop new A one; all; bob push nothing c1 x; bob push A c2 y; bob push c2 c3 z", "A: one {push bob y} +1 of 1"},
		{"its author deletes one", "laptop new A one; all; bob push A c1 x; bob push A c2 y; bob silence c2", "A: one {push bob x} {bob deleted by bob} +1 of 1"},
		{"their last mark is gone, so the one before counts", "laptop new A one; all; bob boo A c1 x; bob push A c2 y; bob silence c2", "A: one {boo bob x} {bob deleted by bob} -1 of 1"},
		{"an owner deletes one", "laptop new A one; all; bob boo A c1 x; all; master silence c1", "A: one {bob deleted by master}"},
		{"the article's author does not", "laptop new A one; all; bob boo A c1 x; all; laptop silence c1", "A: one {boo bob x} -1 of 1"},
		{"deleted twice: by the first", "laptop new A one; all; bob boo A c1 x; all; master silence c1; all; bob silence c1", "A: one {bob deleted by master}"},
		{"an article is no comment", "laptop new A one; laptop silence A", "A: one"},
		{"of a user who left, up to their cut", "laptop new A one; all; bob push A c1 x; bob leaves; all", "A: one {push bob x} +1 of 1"},
	} {
		s := newStage(t)
		for line := range strings.SplitSeq(c.history, ";") {
			s.run(t, strings.TrimSpace(line))
			for _, r := range s.places {
				r.b.Posts(r.Ring) // nothing that is kept of it may be wrong later
			}
		}
		s.run(t, "all")
		for place, r := range s.places {
			if got := s.show(t, r.b, r.Ring); !sameArticles(got, c.want) {
				t.Errorf("%s, at %s:\n%s\nwant:\n%s", c.name, place, got, c.want)
			}
		}
	}
}
