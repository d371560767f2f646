package entity_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestConvergenceMe: random device ops of a user's devices. One has a copy that signs beside
// it; who decides passes from one to another, devices are removed, the words are replaced,
// and whoever has them makes RESETs. Whoever has the same ops knows the same devices, in
// whatever order they came, and that is what the rules say.
func TestConvergenceMe(t *testing.T) {
	t.Parallel()
	base := meOf(t, "second", "third")
	known := []string{"founder", "second", "third", "fourth", "fifth"}
	names := []string{"founder", "founder", "second", "third", "fourth"} // the first is there twice
	papers := []string{"founder", "other", "another"}
	rapid.Check(t, func(rt *rapid.T) {
		var nodes []*world
		for range names {
			n := base.clone(t)
			n.Ring = maps.Clone(base.Ring)
			nodes = append(nodes, n)
		}
		copies := rapid.Bool().Draw(rt, "a copy of the first device")
		pick := func(what string) string { return rapid.SampledFrom(known).Draw(rt, what) }
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			i := rapid.IntRange(0, len(nodes)-1).Draw(rt, "node")
			w, p := nodes[i], base.on(t, names[i])
			if i == 1 && !copies {
				continue
			}
			c := w.chain()
			try := func(p person, body any) { _, _ = w.Add(w.draw(t, p, body)) }
			switch rapid.SampledFrom([]string{
				"take", "take", "take", "add", "class", "remove", "remove", "voters", "words", "anchor", "reset", "epoch", "write", "write", "unknown",
			}).Draw(rt, "what") {
			case "take":
				entitytest.Take(rt, nodes[rapid.IntRange(0, len(nodes)-1).Draw(rt, "from")].Entity, w.Entity, rapid.IntRange(1, 10).Draw(rt, "how many"))
			case "add":
				try(p, addOf(c, pick("whom")))
			case "class":
				try(p, classOf(c, pick("which"), rapid.SampledFrom([]chain.Class{chain.Phone, chain.Server}).Draw(rt, "class")))
			case "remove":
				b := w.removeOf(c, pick("whom"), uint64(rapid.IntRange(0, 3).Draw(rt, "cut")))
				if c.State().Anchor == b.Device {
					b.Anchor = new(p.Key.ID())
				}
				if rapid.IntRange(0, 4).Draw(rt, "unsound") == 0 {
					b.Epoch.Depth += 3
				}
				try(p, b)
			case "voters":
				try(p, votersOf(c, pick("who decides")))
			case "anchor":
				try(p, chain.SetAnchor{Device: ours(pick("who")).Key.ID(), Chain: c.Next()})
			case "words":
				try(p, newWordsOf(c, wordsOf(c, papers), rapid.SampledFrom(papers).Draw(rt, "next")))
			case "reset":
				if rapid.Bool().Draw(rt, "further back") {
					for range rapid.IntRange(1, 4).Draw(rt, "ops") {
						if c.Len() > 2 {
							c = c.Before()
						}
					}
				}
				who := []string{pick("who stays")}
				if other := pick("who else"); other != who[0] {
					who = append(who, other)
				}
				b := w.resetOf(c, uint64(rapid.IntRange(0, 3).Draw(rt, "cut")), who...)
				if more := pick("a further cut"); !slices.Contains(who, more) && !slices.ContainsFunc(b.Cuts, func(c chain.Cut) bool { return c.Device == ours(more).Key.ID() }) {
					b.Cuts = append(b.Cuts, chainCuts(1, more)...)
					slices.SortStableFunc(b.Cuts, func(x, y chain.Cut) int { return bytes.Compare(x.Device[:], y.Device[:]) })
				}
				try(p.By(wordsKey(wordsOf(c, papers))), b)
			case "epoch":
				_, _ = w.Add(sign(t, p, w.Draft(p, oplog.Control, oplog.FamilyOpKey, entity.TypeEpoch, w.nextEpoch())))
			case "write":
				d := w.Draft(p, oplog.Content, oplog.FamilyMe, 1, []byte("sealed"))
				if rapid.IntRange(0, 3).Draw(rt, "under an older head") == 0 {
					d.Auth = []keys.Digest{c.Head()}
				}
				_, _ = w.Add(sign(t, p, d))
			case "unknown":
				typ := uint16(99)
				if rapid.IntRange(0, 9).Draw(rt, "critical") == 0 {
					typ = 999
				}
				_, _ = w.Add(sign(t, p, w.Draft(p, oplog.Control, oplog.FamilyPolicy, typ, []byte("later"))))
			}
		}
		ops := entitytest.Union(rt, base.ID(), nodes)
		want := deliver(rt, ops, func(int) int { return 0 })
		opened, err := entity.Open(want.Log())
		if err != nil || !bytes.Equal(snapshot(opened), snapshot(want)) {
			rt.Fatalf("Open comes to another state than Add: %v\n%s", err, tell(want))
		}
		for i := range 2 {
			got := deliver(rt, ops, func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, fmt.Sprintf("next of delivery %d", i)) })
			if !bytes.Equal(snapshot(got), snapshot(want)) {
				rt.Fatalf("two orders of arrival, two states:\n%s\n%s", tell(want), tell(got))
			}
		}
		checkMe(rt, want)
		if rt.Failed() {
			rt.Fatalf("%s", tell(want))
		}
	})
}

// wordsOf returns the name of the words of a chain.
func wordsOf(c *chain.Chain, papers []string) string {
	return papers[slices.IndexFunc(papers, func(p string) bool { return wordsKey(p).ID() == c.State().Words })]
}
