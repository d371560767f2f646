package chain_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

var (
	people = []string{"A", "B", "C", "D", "E", "F", "G"}
	papers = []string{"words", "words2", "words3"}
)

// both is one chain as each implementation has it.
type both struct {
	chain *chain.Chain
	naive nChain
}

// TestAgainstNaive: random histories with forged, stale, replayed and misplaced ops come
// out as in the second implementation, chain by chain and as a set.
func TestAgainstNaive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := histories(t)
		for _, b := range list {
			sameState(t, b)
		}
		for _, a := range list {
			for _, b := range list {
				if got, want := a.chain.Compare(b.chain), nCompare(a.naive, b.naive); got != want {
					t.Fatalf("Compare = %v, want %v", got, want)
				}
			}
		}
		some := rapid.SliceOfN(rapid.SampledFrom(list), 1, 8).Draw(t, "set")
		var set chain.Set
		var naive []nChain
		for _, b := range some {
			set = must(set.Add(b.chain))
			naive = append(naive, b.naive)
		}
		sameVerdict(t, set.Judge(), nJudge(naive))
	})
}

// dice decide what rapid's own draws, which lean to what is small, would rarely reach: a
// history in which most ops are right, and some wrong in one place.
type dice struct{ *rand.Rand }

// odd reports whether to do something that is hardly ever right.
func (d dice) odd() bool { return d.IntN(25) == 0 }

func one[T any](d dice, from []T) T { return from[d.IntN(len(from))] }

func shuffled[T any](d dice, list []T) []T {
	list = slices.Clone(list)
	d.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// histories returns what was accepted of a random history, by both alike.
func histories(t *rapid.T) []both {
	d := dice{rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))}
	c := begin("A")
	switch d.IntN(4) {
	case 0, 1:
		c = household([]string{"A", "B", "C", "D"}, []string{"A", "B", "C"})
	case 2:
		c = household([]string{"A", "B", "C", "D", "E", "F"}, []string{"A", "B", "C", "D", "E"})
	}
	var n nChain
	for _, l := range c.Links() {
		var ok bool
		if n, ok = nStep(n, l); !ok {
			t.Fatalf("naive refuses the household at %d", len(n.links))
		}
	}
	list := []both{{c, n}}
	var seen []chain.Link
	for range rapid.IntRange(1, maxSteps).Draw(t, "steps") {
		at := list[len(list)-1]
		switch d.IntN(4) {
		case 0:
			at = one(d, list)
		case 1:
			at = list[max(0, len(list)-2)]
		}
		var l chain.Link
		switch {
		case len(at.chain.State().Voters) > 1 && d.IntN(4) == 0:
			// What makes a fork: an op that is right, with a majority of its own.
			l = rightful(d, at.chain)
		case len(seen) > 0 && d.IntN(20) == 0:
			l = one(d, seen)
		default:
			l = randomLink(d, at.chain, list)
		}
		seen = append(seen, l)
		next, err := at.chain.Extend(l)
		naive, ok := nStep(at.naive, l)
		if (err == nil) != ok {
			t.Fatalf("Extend by %d/%d = %v, naive accepts: %t", l.Op.Family(), l.Op.Type(), err, ok)
		}
		if ok {
			list = append(list, both{next, naive})
		}
	}
	return list
}

// randomLink returns an op after c that is right more often than not.
func randomLink(d dice, c *chain.Chain, list []both) chain.Link {
	s := c.State()
	var in, alive []string
	for _, n := range people {
		if device, ok := s.Device(id(n)); ok {
			in = append(in, n)
			if device.Alive {
				alive = append(alive, n)
			}
		}
	}
	pick := func(from []string) string {
		if len(from) == 0 || d.odd() {
			from = people
		}
		return one(d, from)
	}
	several := func(from []string) []string {
		n := one(d, []int{1, 1, 1, 3, 3, 3, 5, 5, 2})
		all := shuffled(d, from)
		if d.odd() {
			all = shuffled(d, people)
		}
		return all[:min(n, len(all))]
	}
	words := papers[slices.IndexFunc(papers, func(p string) bool { return id(p) == s.Words })]
	if d.odd() {
		words = one(d, papers)
	}
	author := key(pick(in))
	verbs := []string{"add", "add", "class", "class", "remove", "remove", "voters", "voters", "voters", "anchor", "words", "reset"}
	if d.odd() {
		verbs = append(verbs, "moved", "moved", "moved", "moved", "moved", "mend")
	}
	if s.Moved != nil {
		verbs = append(verbs, "reset", "reset", "reset", "reset", "reset", "reset")
	}
	mend, fork := randomMend(d, c, list, alive)
	if fork {
		verbs = []string{"mend", "mend", "mend", "reset", "words", "add"}
	}
	var body any
	switch one(d, verbs) {
	case "add":
		b := addOf(c, one(d, people))
		switch d.IntN(40) {
		case 0:
			b.Weight = 2
		case 1:
			b.Consent[0]++
		case 2:
			b.Box = box("another")
		case 3:
			b.Class = chain.Class(d.IntN(201))
		}
		body = b
	case "class":
		body = chain.DeviceClass{Device: id(pick(in)), Class: chain.Class(min(1+d.IntN(4), d.IntN(50))), Chain: c.Next()}
	case "remove":
		name := pick(in)
		rest := slices.DeleteFunc(slices.Clone(alive), func(n string) bool { return n == name })
		b := removeOf(c, name)
		if s.Votes(id(name)) || d.odd() {
			voters := several(rest)
			b.Voters, b.Ready = ids(voters...), readiness(c, voters...)
		}
		if b.Anchor = nil; s.Anchor == id(name) || d.odd() {
			b.Anchor = new(id(pick(rest)))
		}
		b.Cuts, b.Epoch = badCuts(d, b.Cuts), badEpoch(d, b.Epoch)
		body = b
	case "voters":
		voters := several(alive)
		b := votersOf(c, voters...)
		if d.odd() && len(b.Ready) > 0 {
			other := one(d, list).chain
			b.Ready[0] = other.Ready(key(voters[0]), box(voters[0]))
		}
		body = b
	case "anchor":
		body = chain.SetAnchor{Device: id(pick(alive)), Chain: c.Next()}
	case "words":
		body = wordsOf(c, words, one(d, papers))
	case "moved":
		b := movedOf(c, words)
		if d.IntN(2) == 0 {
			b.Sig = nil
		}
		if d.odd() {
			b.To = c.User()
		}
		body = b
	case "reset":
		var survivors []string
		for _, n := range people {
			if d.IntN(2) == 0 && (!s.Removed(id(n)) || d.odd()) {
				survivors = append(survivors, n)
			}
		}
		if len(survivors) == 0 {
			survivors = in[:1]
		}
		b := resetOf(c, survivors, several(survivors))
		b.Cuts, b.Epoch = badCuts(d, b.Cuts), badEpoch(d, b.Epoch)
		if d.odd() {
			b.Survivors[0].Ready = new(list[0].chain.Ready(key(survivors[0]), box(survivors[0])).Sig)
		}
		body, author = b, key(words)
	case "mend":
		body = mend
		if rest := slices.DeleteFunc(in, func(n string) bool { return slices.Contains(mend.Devices, id(n)) }); len(rest) > 0 && !d.odd() {
			author = key(one(d, rest))
		}
	}
	if d.odd() {
		author = key(one(d, append(people, papers...)))
	}
	o := misplaced(d, c, author, body)
	if d.IntN(8) > 0 {
		var all []chain.Vote
		for _, n := range shuffled(d, people) {
			all = append(all, c.Vote(key(n), o))
		}
		if l, err := c.Certify(o, all); err == nil {
			return l
		}
	}
	l := chain.Link{Op: o}
	for range d.IntN(5) {
		at := c
		if d.odd() {
			at = one(d, list).chain
		}
		v := at.Vote(key(one(d, people)), o)
		if d.odd() {
			v.Device = id(one(d, people))
		}
		l.Votes = append(l.Votes, v)
	}
	if !d.odd() {
		slices.SortFunc(l.Votes, compareVotes)
	}
	return l
}

// rightful returns an op after c that some majority certified.
func rightful(d dice, c *chain.Chain) chain.Link {
	s := c.State()
	author := one(d, s.Devices())
	var body any = addOf(c, one(d, people))
	if d.IntN(2) == 0 {
		body = chain.DeviceClass{Device: author.ID, Class: author.Class + 1, Chain: c.Next()}
	}
	var o oplog.Op
	for _, n := range people {
		if id(n) == author.ID {
			o = sign(c, key(n), body)
		}
	}
	var voters []string
	for _, n := range people {
		if s.Votes(id(n)) {
			voters = append(voters, n)
		}
	}
	return certified(c, o, shuffled(d, voters)[:len(voters)/2+1]...)
}

// randomMend returns a mend of a fork between c and some other chain, if there is one.
func randomMend(d dice, c *chain.Chain, list []both, alive []string) (chain.Mend, bool) {
	var forks []chain.Mend
	for _, b := range list {
		if m, ok := chain.Evidence(c, b.chain); ok {
			forks = append(forks, m)
		}
	}
	if len(forks) == 0 {
		return chain.Mend{One: c.Head(), Other: list[0].chain.Head(), Chain: c.Next()}, false
	}
	m := one(d, forks)
	if d.IntN(6) == 0 {
		m.Devices = append(m.Devices, id(one(d, people)))
		slices.SortFunc(m.Devices, compareIDs)
	}
	if d.IntN(10) == 0 {
		m.Devices = nil
	}
	if d.IntN(10) == 0 {
		m.OneVotes, m.OtherVotes = m.OtherVotes, m.OneVotes
	}
	if len(m.Devices) == 0 {
		return m, true
	}
	m.Cuts, m.Epoch = badCuts(d, cuts(1, m.Devices...)), new(badEpoch(d, epoch("mend")))
	rest := slices.DeleteFunc(slices.Clone(alive), func(n string) bool { return slices.Contains(m.Devices, id(n)) })
	if slices.ContainsFunc(m.Devices, c.State().Votes) && len(rest) > 0 {
		voters := shuffled(d, rest)
		voters = voters[:min(len(voters), one(d, []int{1, 1, 3}))]
		m.Voters, m.Ready = ids(voters...), readiness(c, voters...)
	}
	if slices.Contains(m.Devices, c.State().Anchor) && len(rest) > 0 {
		m.Anchor = new(id(one(d, rest)))
	}
	return m, true
}

// misplaced signs body, now and then for another place.
func misplaced(d dice, c *chain.Chain, author keys.Private, body any) oplog.Op {
	switch d.IntN(30) {
	case 0:
		other := household([]string{"X", "A"}, nil)
		return sign(other, author, body)
	case 1:
		if c.Before().Before() != nil {
			return sign(c.Before(), author, body) // parents differ, the body does not
		}
	}
	typ, _ := chain.TypeOf(body)
	if d.IntN(20) == 0 {
		switch b := body.(type) {
		case chain.DeviceAdd:
			b.Chain.Reset++
			body = b
		case chain.Reset:
			b.Chain.Reset += 2
			body = b
		case chain.NewWords:
			b.Chain.Reset++
			body = b
		case chain.Mend:
			b.Chain.Prev = b.One
			body = b
		}
	}
	return signAs(c, author, typ, keys.Marshal(body))
}

func badCuts(d dice, cuts []chain.Cut) []chain.Cut {
	if len(cuts) == 0 {
		return cuts
	}
	switch d.IntN(60) {
	case 0:
		return cuts[1:]
	case 1:
		cuts[0].Count = 1<<20 + 1
	case 2:
		cuts[0].Strand = 3
	case 3:
		slices.Reverse(cuts)
	case 4:
		return cuts[:len(cuts)-2]
	case 5:
		cuts[0].Device, cuts[1].Device = id("Z"), id("Z")
	}
	return cuts
}

func badEpoch(d dice, e chain.NextEpoch) chain.NextEpoch {
	switch d.IntN(80) {
	case 0:
		e.Depth = 1
	case 1:
		e.Boxes = nil
	case 2:
		e.UserBox = keys.BoxID{}
	case 3:
		e.Replaces = nil
	case 4:
		e.Commitment = keys.Digest{}
	case 5:
		e.Replaces = []keys.Digest{{2}, {1}}
	}
	return e
}

func sameState(t *rapid.T, b both) {
	t.Helper()
	s, n := b.chain.State(), b.naive.last()
	if s.User != n.user || s.Head != n.head || s.Anchor != n.anchor || s.Words != n.words || s.Box != n.box ||
		s.Reset() != uint64(len(n.history)) || (s.Moved != nil) != n.moved || b.chain.Len() != n.ops || b.chain.Bytes() != n.bytes {
		t.Fatalf("the state differs: %+v\nwant %+v", s, n)
	}
	var set []nDevice
	for _, d := range s.Devices() {
		set = append(set, nDevice{d.ID, d.Class, d.Box, d.Alive})
	}
	if !slices.Equal(set, n.set) {
		t.Fatalf("the set is %v, want %v", set, n.set)
	}
	voters := map[keys.ID]bool{}
	for _, v := range s.Voters {
		voters[v] = true
	}
	if !maps.Equal(voters, n.voters) {
		t.Fatalf("voters %v, want %v", voters, n.voters)
	}
	for _, p := range people {
		if s.Removed(id(p)) != n.removed[id(p)] {
			t.Fatalf("removed %s: %t", p, s.Removed(id(p)))
		}
	}
}

func sameVerdict(t *rapid.T, v *chain.Verdict, n nVerdict) {
	t.Helper()
	var fork []keys.Digest
	for _, c := range v.Fork {
		fork = append(fork, c.Head())
	}
	devices, gone := map[keys.ID]bool{}, map[keys.ID]bool{}
	for _, d := range v.Devices() {
		devices[d.ID] = true
	}
	for _, id := range v.Gone {
		gone[id] = true
	}
	if v.Chain.Head() != n.head || !slices.Equal(fork, n.fork) || v.ByReset != n.byReset || !maps.Equal(devices, n.devices) || !maps.Equal(gone, n.gone) {
		t.Fatalf("verdict: at %v, fork %v (%t), devices %v, gone %v\nwant at %v, fork %v (%t), devices %v, gone %v",
			v.Chain.Head(), fork, v.ByReset, devices, gone, n.head, n.fork, n.byReset, n.devices, n.gone)
	}
}

// TestJoinIsALattice: join is commutative, associative and idempotent, and what a set comes
// to is the same in whatever order and pieces its chains come.
func TestJoinIsALattice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := histories(t)
		draw := func(label string) (s chain.Set) {
			for _, b := range rapid.SliceOfN(rapid.SampledFrom(list), 0, 5).Draw(t, label) {
				s = must(s.Add(b.chain))
			}
			return s
		}
		a, b, c := draw("a"), draw("b"), draw("c")
		join := func(x, y chain.Set) chain.Set { return must(x.Join(y)) }
		for what, p := range map[string][2]chain.Set{
			"commutative": {join(a, b), join(b, a)},
			"associative": {join(a, join(b, c)), join(join(a, b), c)},
			"idempotent":  {join(a, a), a},
			"absorbing":   {join(a, join(a, b)), join(a, b)},
		} {
			if !p[0].Equal(p[1]) {
				t.Fatalf("join is not %s", what)
			}
			if got, want := told(p[0].Judge()), told(p[1].Judge()); got != want {
				t.Fatalf("%s: verdict %s, want %s", what, got, want)
			}
		}
		// By links, in pieces: every op once more, in the order of a shuffled list of chains.
		all := join(a, join(b, c))
		var again chain.Set
		for _, x := range rapid.Permutation(all.Branches()).Draw(t, "pieces") {
			links := x.Links()
			n := rapid.IntRange(0, len(links)).Draw(t, "piece")
			again = must(again.Extend(links[:n]))
			again = must(again.Extend(links[max(0, n-2):])) // overlapping, or unknown before
		}
		if !again.Equal(all) {
			t.Fatalf("by pieces: %d branches, want %d", again.Len(), all.Len())
		}
		// Verified apart, the chains share nothing in memory.
		if got, want := told(again.Judge()), told(all.Judge()); got != want {
			t.Fatalf("by pieces: verdict %s, want %s", got, want)
		}
		if got, want := told(join(a, again).Judge()), told(all.Judge()); got != want {
			t.Fatalf("joined with what it has: verdict %s, want %s", got, want)
		}
	})
}

// told returns a verdict as text that two equal ones share.
func told(v *chain.Verdict) string {
	if v.Chain == nil {
		return "empty"
	}
	var text strings.Builder
	text.WriteString(v.Chain.Head().String())
	for _, c := range v.Fork {
		text.WriteString(" " + c.Head().String())
	}
	for _, d := range v.Devices() {
		text.WriteString(" " + d.ID.String())
	}
	for _, id := range v.Gone {
		text.WriteString(" -" + id.String())
	}
	return text.String()
}

// TestJudgeAgreesWithCompare: of two chains the set says what they say of each other, and a
// chain is never less than what it extends.
func TestJudgeAgreesWithCompare(t *testing.T) {
	t.Parallel()
	opposite := map[chain.Relation]chain.Relation{chain.Same: chain.Same, chain.Ahead: chain.Behind, chain.Behind: chain.Ahead, chain.Forked: chain.Forked}
	rapid.Check(t, func(t *rapid.T) {
		list := histories(t)
		a, b := rapid.SampledFrom(list).Draw(t, "a").chain, rapid.SampledFrom(list).Draw(t, "b").chain
		r := a.Compare(b)
		if back := b.Compare(a); back != opposite[r] {
			t.Fatalf("%v one way, %v the other", r, back)
		}
		v := must(chain.SetOf(a, b)).Judge()
		want := map[chain.Relation]keys.Digest{chain.Same: a.Head(), chain.Ahead: a.Head(), chain.Behind: b.Head()}
		if r == chain.Forked != v.Forked() || r != chain.Forked && v.Chain.Head() != want[r] {
			t.Fatalf("compare says %v, judge says %s", r, told(v))
		}
		if p := a.Before(); p != nil && a.Compare(p) != chain.Ahead {
			t.Fatalf("a chain is %v to what it extends", a.Compare(p))
		}
	})
}
