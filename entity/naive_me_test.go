package entity_test

import (
	"maps"
	"slices"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
)

// naiveMe decides what a Me comes to straight from docs/protocol/7-me.md: it walks the
// whole log for every question, and shares no code with what it checks but the log's order,
// the bodies, and what package chain says of a set of chains.
type naiveMe struct {
	*naive
	place  map[keys.Digest]int
	chains map[int]*chain.Chain
}

func newNaiveMe(tb entitytest.TB, e *entity.Entity) *naiveMe {
	tb.Helper()
	n := &naiveMe{newNaive(e), map[keys.Digest]int{}, map[int]*chain.Chain{}}
	for i, o := range n.ops {
		n.place[o.ID()] = i
		prev, err := chain.Follows(o)
		if _, outside := n.bodies[i].(*entity.Epoch); err != nil || outside {
			continue
		}
		var c *chain.Chain
		if i == 0 {
			c, err = chain.Start(chain.Link{Op: o})
		} else if at, ok := n.place[prev]; ok && n.past[i][at] {
			c, err = n.chains[at].Extend(chain.Link{Op: o})
		}
		if c == nil || err != nil {
			tb.Fatalf("%d/%d at place %d is no next op of a chain: %v", o.Family(), o.Type(), i, err)
		}
		n.chains[i] = c
	}
	return n
}

// verdict is what the chains among some ops come to.
func (n *naiveMe) verdict(tb entitytest.TB, in map[int]bool) (chain.Set, *chain.Verdict) {
	tb.Helper()
	var list []*chain.Chain
	for i, c := range n.chains {
		if in[i] {
			list = append(list, c)
		}
	}
	set, err := chain.SetOf(list...)
	if err != nil {
		tb.Fatalf("SetOf: %v", err)
	}
	return set, set.Judge()
}

// upTo is the past of some ops, with them.
func (n *naiveMe) upTo(ids []keys.Digest) map[int]bool {
	in := map[int]bool{}
	for _, id := range ids {
		in[n.place[id]] = true
		maps.Copy(in, n.past[n.place[id]])
	}
	return in
}

// limit is how many content ops of a device count by a chain, -1 for all.
func limit(c *chain.Chain, device keys.ID) int {
	count := 0 // of a device that the chain never had
	var at []*chain.Chain
	for ; c != nil; c = c.Before() {
		at = append(at, c)
	}
	was := false
	for _, c := range slices.Backward(at) {
		_, is := c.State().Device(device)
		for _, cut := range c.Cuts() {
			ended := c.Before().State().Removed(device)
			if cut.Device == device && cut.Strand == oplog.Content && !ended {
				count = int(cut.Count)
			}
		}
		if is {
			count = -1
		}
		if was && !is && count < 0 {
			return 0 // no chain removes without a cut
		}
		was = is
	}
	return count
}

// checkMe compares what a Me holds with what the rules say: of each op whether its past
// admits it, and of all of them what they come to.
func checkMe(tb entitytest.TB, e *entity.Entity) {
	tb.Helper()
	n := newNaiveMe(tb, e)
	for i, o := range n.ops[1:] {
		_, v := n.verdict(tb, n.past[i+1])
		if n.chains[i+1] != nil {
			if err := v.Admits(o); err != nil {
				tb.Errorf("%d/%d at place %d was taken: %v", o.Family(), o.Type(), i+1, err)
			}
		} else if _, ok := v.Device(o.Device()); !ok {
			tb.Errorf("%d/%d at place %d was taken of %v, which does not speak there", o.Family(), o.Type(), i+1, o.Device())
		}
	}
	everything := map[int]bool{}
	for i := range n.ops {
		everything[i] = true
	}
	set, v := n.verdict(tb, everything)
	s := e.State()
	if !slices.Equal(s.Devices, v.Devices()) || s.DeviceHead != v.Chain.Head() || s.Recovery != v.Chain.State().Words {
		tb.Errorf("devices %+v at %v, want %+v at %v", s.Devices, s.DeviceHead, v.Devices(), v.Chain.Head())
	}
	voters, box := v.Chain.State().Voters, v.Chain.State().Box
	sides := []*chain.Chain{v.Chain}
	if v.Forked() {
		voters, box, sides = nil, keys.BoxID{}, v.Fork
	}
	if !slices.Equal(s.Voters(), voters) || s.UserBox != box {
		tb.Errorf("voters %v and box %v, want %v and %v", s.Voters(), s.UserBox, voters, box)
	}
	if m, ok := s.Member(e.ID()); !ok || !m.Party.Same(s.Party("")) || len(s.Members) != 1 || m.Role != entity.Master || m.Standing != entity.Active {
		tb.Errorf("the member is %+v, want the person with party %+v", m, s.Party(""))
	}
	counts := func(id keys.Digest) bool {
		return slices.ContainsFunc(sides, func(c *chain.Chain) bool { return c.At(id) != nil })
	}
	for i, o := range n.ops {
		losing := n.chains[i] != nil && !v.Forked() && !counts(o.ID())
		if e.Counts(o) == losing {
			tb.Errorf("%d/%d at place %d counts: %v, of a branch that lost: %v", o.Family(), o.Type(), i, e.Counts(o), losing)
		}
		n.checkEpoch(tb, s, i, losing)
	}
	for o := range e.Log().All(oplog.Content) {
		if _, at := n.verdict(tb, n.upTo(o.Auth())); !speaks(at, o.Device()) {
			tb.Errorf("content of %v was taken, which does not speak under its heads", o.Device())
		}
		want := false
		for _, c := range sides {
			most := limit(c, o.Device())
			want = want || most < 0 || o.Seq() < uint64(most)
		}
		if at, forked := e.Log().Forked(o.Device(), oplog.Content); forked && o.Seq() >= at {
			want = false
		}
		if e.Counts(o) != want {
			tb.Errorf("entry %d of %v counts: %v, want %v; of %d branches", o.Seq(), o.Device(), e.Counts(o), want, set.Len())
		}
	}
}

func speaks(v *chain.Verdict, device keys.ID) bool {
	_, ok := v.Device(device)
	return ok
}

// checkEpoch compares the epoch that an op may hold with what its own past makes of it.
func (n *naiveMe) checkEpoch(tb entitytest.TB, s *entity.State, i int, losing bool) {
	tb.Helper()
	commitment, depth, replaces, ok := epochOf(n.bodies[i])
	got, known := s.Epochs[n.ops[i].ID()]
	if known != ok {
		tb.Errorf("the epoch at place %d is known: %v, want %v", i, known, ok)
	}
	if !ok {
		return
	}
	want := uint64(1)
	sound := true
	for _, id := range replaces {
		at, there := n.place[id]
		_, d, _, is := epochOf(n.bodies[at])
		sound = sound && there && is && n.past[i][at]
		want = max(want, d+1)
	}
	void := n.chains[i] != nil && (losing || !sound || depth != want)
	if got.Commitment != commitment || got.Depth != depth || got.Void != void {
		tb.Errorf("the epoch at place %d is %+v, want depth %d, void %v", i, got, depth, void)
	}
}

func epochOf(body any) (commitment keys.Digest, depth uint64, replaces []keys.Digest, ok bool) {
	next := func(e chain.NextEpoch) (keys.Digest, uint64, []keys.Digest, bool) {
		return e.Commitment, e.Depth, e.Replaces, true
	}
	switch b := body.(type) {
	case *entity.Epoch:
		return b.Commitment, b.Depth, b.Replaces, true
	case *chain.FirstEpoch:
		return b.Commitment, b.Depth, b.Replaces, true
	case *chain.DeviceRemove:
		return next(b.Epoch)
	case *chain.Reset:
		return next(b.Epoch)
	case *chain.Mend:
		if b.Epoch != nil {
			return next(*b.Epoch)
		}
	}
	return keys.Digest{}, 0, nil, false
}
