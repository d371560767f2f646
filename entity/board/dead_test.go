package board_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"pttnode/keys"
)

// TestDead holds the cases of testdata/dead: which texts are shown nowhere, and which of them
// for good (docs/PROTOCOL.md §2.11). A case is what people did, one after the other, at
// places that know of each other what they heard; see [stage.run] for what they do. In the
// end everybody hears everything.
//
// The output is what is shown, by everybody; what is dead, everywhere the same; and what of
// it is so for good, in the founder's eyes. A text that somebody does not have is let go of,
// or has not come, at the founder's.
func TestDead(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/dead", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			want := playDead(t, d) // ids differ each time
			for range 2 {
				if got := playDead(t, d); !sameArticles(got, want) {
					d.Fatalf(t, "the outcome depends on ids: one time\n%sanother time\n%s", want, got)
				}
			}
			return want
		})
	})
}

func playDead(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	s := newStage(t)
	for line := range strings.Lines(d.Input) {
		s.run(t, line)
		for _, r := range s.places {
			r.b.Posts(r.Ring)
			r.b.Dead() // nothing that is kept of it may be wrong later
		}
	}
	s.run(t, "all")
	names := func(dead map[keys.Digest]bool, good bool) string {
		var out []string
		for id, is := range dead {
			if is || !good {
				out = append(out, s.labels[id])
			}
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	f := s.places["founder"]
	shown, dead := s.show(t, f.b, f.Ring), f.b.Dead()
	for place, r := range s.places {
		if got := names(r.b.Dead(), false); got != names(dead, false) {
			d.Fatalf(t, "dead at %s is %s, and at the founder's %s", place, got, names(dead, false))
		}
		if got := s.show(t, r.b, r.Ring); got != shown && !strings.Contains(shown, "not_here") {
			d.Fatalf(t, "%s reads\n%s\nand the founder\n%s", place, got, shown)
		}
	}
	for _, id := range slices.Collect(maps.Keys(dead)) { // without what is dead nothing is shown otherwise
		if f.Log().LetGo(id) {
			f.b.Forget(id)
		}
	}
	if after := s.show(t, f.b, f.Ring); after != shown {
		d.Fatalf(t, "without what is dead the founder reads\n%s\nbefore\n%s", after, shown)
	}
	var out strings.Builder
	fmt.Fprintln(&out, shown)
	if len(dead) > 0 {
		fmt.Fprintf(&out, "dead: %s\n", names(dead, false))
	}
	if good := names(dead, true); good != "" {
		fmt.Fprintf(&out, "for good: %s\n", good)
	}
	return out.String()
}
