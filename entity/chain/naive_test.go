package chain_test

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// This file is a second implementation of docs/protocol/me-chain.md, written from the
// chapter alone and as plainly as can be: it copies whole states, searches whole lists, and
// shares no rule with the package. TestAgainstNaive compares the two.

type nDevice struct {
	id    keys.ID
	class chain.Class
	box   keys.BoxID
	alive bool
}

type nState struct {
	user, head       keys.Digest
	set              []nDevice
	voters           map[keys.ID]bool
	anchor, words    keys.ID
	box              keys.BoxID
	history          string
	moved            bool
	removed, retired map[keys.ID]bool
	ops, bytes       int
}

// nChain is a chain with the state after each op.
type nChain struct {
	links  []chain.Link
	states []nState
}

func (s nState) copy() nState {
	s.set = slices.Clone(s.set)
	s.voters, s.removed, s.retired = maps.Clone(s.voters), maps.Clone(s.removed), maps.Clone(s.retired)
	return s
}

func (s nState) has(id keys.ID) (nDevice, bool) {
	for _, d := range s.set {
		if d.id == id {
			return d, true
		}
	}
	return nDevice{}, false
}

func be(n int) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint64(b, uint64(n))
	return b
}

func (s nState) signedHere(last []byte, more ...[]byte) []byte {
	return keys.LP(slices.Concat([][]byte{s.user[:], s.head[:], be(len(s.history)), last}, more)...)
}

func good(id keys.ID, purpose string, message []byte, sig keys.Signature) bool {
	return id.Verify(keys.Purpose(purpose), message, sig) == nil
}

// nStep returns the chain with one more op if it is valid.
func nStep(c nChain, l chain.Link) (nChain, bool) {
	no := func() (nChain, bool) { return nChain{}, false }
	o := l.Op
	t := [2]int{int(o.Family()), int(o.Type())}
	if o.Strand() != oplog.Control || len(o.Envelope()) > 16384 {
		return no()
	}
	if len(c.links) == 0 {
		var g chain.Genesis
		if t != [2]int{1, 1} || keys.Unmarshal(o.Control(), &g) != nil || g.Kind != 1 || g.Class == 0 || g.Words.IsZero() || g.Box.Check() != nil ||
			len(l.Votes) > 0 || o.User() != o.ID() {
			return no()
		}
		return nChain{[]chain.Link{l}, []nState{{
			user: o.ID(), head: o.ID(), set: []nDevice{{o.Device(), g.Class, g.Box, true}}, voters: map[keys.ID]bool{o.Device(): true},
			anchor: o.Device(), words: g.Words, removed: map[keys.ID]bool{}, retired: map[keys.ID]bool{}, ops: 1, bytes: len(o.Envelope()),
		}}}, true
	}
	s := c.states[len(c.states)-1]
	after := s.copy()
	var at chain.DeviceLink
	var rule func() bool
	author := o.Device()
	removal, reset := false, false
	var mend *chain.Mend
	switch t {
	case [2]int{4, 1}:
		b := new(chain.FirstEpoch)
		if keys.Unmarshal(o.Control(), b) != nil {
			return no()
		}
		at = b.Chain
		rule = func() bool {
			after.box = b.UserBox
			return b.Depth == 1 && len(b.Replaces) == 0 && !b.Commitment.IsZero() && (b.Boxes == nil) == (b.Count == 0) && b.UserBox.Check() == nil
		}
	case [2]int{3, 8}:
		b := new(chain.DeviceAdd)
		if keys.Unmarshal(o.Control(), b) != nil {
			return no()
		}
		at = b.Chain
		rule = func() bool {
			_, in := s.has(b.Device)
			after.set = append(after.set, nDevice{b.Device, b.Class, b.Box, false})
			return !b.Device.IsZero() && !in && !s.removed[b.Device] && b.Class != 0 && b.Box.Check() == nil && b.Weight == 1 && len(s.set) < 32 &&
				good(b.Device, "ptt/device/1", keys.LP(s.user[:], b.Device[:], b.Box[:]), b.Consent)
		}
	case [2]int{3, 9}:
		b := new(chain.DeviceRemove)
		if keys.Unmarshal(o.Control(), b) != nil {
			return no()
		}
		at, removal = b.Chain, true
		rule = func() bool {
			_, in := s.has(b.Device)
			sole := len(s.voters) == 1 && s.voters[b.Device]
			return in && author != b.Device && !sole && nGoing(s, &after, []keys.ID{b.Device}, b.Cuts, &b.Epoch, b.Voters, b.Ready, b.Anchor)
		}
	case [2]int{3, 10}:
		b := new(chain.DeviceClass)
		if keys.Unmarshal(o.Control(), b) != nil {
			return no()
		}
		at = b.Chain
		rule = func() bool {
			d, in := s.has(b.Device)
			for i := range after.set {
				if after.set[i].id == b.Device {
					after.set[i].class, after.set[i].alive = b.Class, true
				}
			}
			return in && b.Class != 0 && (d.class != b.Class || !d.alive)
		}
	case [2]int{3, 11}:
		b := new(chain.SetVoters)
		if keys.Unmarshal(o.Control(), b) != nil {
			return no()
		}
		at = b.Chain
		rule = func() bool {
			return nSuccession(s, &after, b.Voters, b.Ready) && !maps.Equal(s.voters, after.voters)
		}
	case [2]int{3, 12}:
		b := new(chain.SetAnchor)
		if keys.Unmarshal(o.Control(), b) != nil {
			return no()
		}
		at = b.Chain
		rule = func() bool {
			d, in := s.has(b.Device)
			after.anchor = b.Device
			return in && d.alive && s.anchor != b.Device
		}
	case [2]int{3, 13}:
		b := new(chain.NewWords)
		if keys.Unmarshal(o.Control(), b) != nil {
			return no()
		}
		at = b.Chain
		rule = func() bool {
			after.retired[s.words] = true
			after.words = b.Words
			after.history += "w"
			return !b.Words.IsZero() && b.Words != s.words && !s.retired[b.Words] && good(s.words, "ptt/words/1", s.signedHere(b.Words[:]), b.Sig)
		}
	case [2]int{3, 14}:
		b := new(chain.Moved)
		if keys.Unmarshal(o.Control(), b) != nil {
			return no()
		}
		at = b.Chain
		rule = func() bool {
			after.moved = true
			if b.To.IsZero() || b.To == s.user || b.Head.IsZero() {
				return false
			}
			if b.Sig == nil {
				return len(s.voters) >= 3
			}
			return good(s.words, "ptt/moved/1", s.signedHere(b.To[:], b.Head[:]), *b.Sig)
		}
	case [2]int{3, 15}:
		b := new(chain.Mend)
		if keys.Unmarshal(o.Control(), b) != nil {
			return no()
		}
		at, removal, mend = b.Chain, true, b
		rule = func() bool { return nMend(c, s, &after, b, author) }
	case [2]int{6, 3}:
		b := new(chain.Reset)
		if keys.Unmarshal(o.Control(), b) != nil {
			return no()
		}
		at, removal, reset = b.Chain, true, true
		rule = func() bool { return nReset(s, &after, b) }
	default:
		return no()
	}
	if o.Entity() != s.user || o.User() != s.user || at.Prev != s.head || at.Reset != uint64(len(s.history)) {
		return no()
	}
	if (t == [2]int{4, 1}) != (len(c.links) == 1) || s.moved && !reset {
		return no()
	}
	alone := len(s.voters) == 1 && s.voters[author]
	votes := len(s.voters)/2 + 1
	switch {
	case reset, alone && mend == nil:
		votes = 0
	case mend != nil:
		votes = 6
	}
	size := len(o.Envelope()) + 103*votes
	if s.ops+1 > 512 || s.bytes+size > 160*1024 || !removal && (s.ops >= 448 || s.bytes+size > 120*1024) {
		return no()
	}
	if _, in := s.has(author); reset && author != s.words || !reset && !in {
		return no()
	}
	if !rule() {
		return no()
	}
	if mend != nil {
		if !nMendVotes(c, s, mend, o, l.Votes) {
			return no()
		}
	} else if len(l.Votes) != votes || !nVotes(s, o.ID(), l.Votes, func(id keys.ID) bool { return s.voters[id] }) {
		return no()
	}
	after.head = o.ID()
	after.ops++
	after.bytes += size
	return nChain{append(slices.Clone(c.links), l), append(slices.Clone(c.states), after)}, true
}

// nVotes checks that votes are ascending, good, and of those who may.
func nVotes(s nState, op keys.Digest, votes []chain.Vote, may func(keys.ID) bool) bool {
	for i, v := range votes {
		if i > 0 && compareIDs(votes[i-1].Device, v.Device) >= 0 || !may(v.Device) {
			return false
		}
		if !good(v.Device, "ptt/vote/2", keys.LP(s.user[:], op[:], s.head[:], be(len(s.history))), v.Sig) {
			return false
		}
	}
	return true
}

func nEpoch(e *chain.NextEpoch) bool {
	for i, r := range e.Replaces {
		if r.IsZero() || i > 0 && compareDigests(e.Replaces[i-1], r) >= 0 {
			return false
		}
	}
	return !e.Commitment.IsZero() && e.Depth >= 2 && len(e.Replaces) >= 1 && len(e.Replaces) <= 16 && (e.Boxes == nil) == (e.Count == 0) &&
		e.UserBox.Check() == nil
}

func nSuccession(before nState, after *nState, voters []keys.ID, ready []chain.Vote) bool {
	if n := len(voters); n != 1 && n != 3 && n != 5 {
		return false
	}
	var want []keys.ID
	next := map[keys.ID]bool{}
	for i, v := range voters {
		d, in := after.has(v)
		if i > 0 && compareIDs(voters[i-1], v) >= 0 || !in || !d.alive {
			return false
		}
		if !before.voters[v] {
			want = append(want, v)
		}
		next[v] = true
	}
	if len(ready) != len(want) {
		return false
	}
	for i, r := range ready {
		d, _ := after.has(want[i])
		if r.Device != want[i] || !good(r.Device, "ptt/ready/1", before.signedHere(d.box[:]), r.Sig) {
			return false
		}
	}
	after.voters = next
	return true
}

// nCuts checks that cuts are of both strands of exactly those devices, or of more.
func nCuts(cuts []chain.Cut, exactly []keys.ID, more bool) bool {
	have := map[keys.ID]int{}
	for i, c := range cuts {
		if c.Count > 1<<20 || c.Strand != 1 && c.Strand != 2 {
			return false
		}
		if i > 0 && (compareIDs(cuts[i-1].Device, c.Device) > 0 || cuts[i-1].Device == c.Device && cuts[i-1].Strand >= c.Strand) {
			return false
		}
		have[c.Device]++
	}
	for _, n := range have {
		if n != 2 {
			return false
		}
	}
	for _, d := range exactly {
		if have[d] == 0 {
			return false
		}
	}
	return more || len(have) == len(exactly)
}

func (s *nState) drop(gone []keys.ID) {
	s.set = slices.DeleteFunc(s.set, func(d nDevice) bool { return slices.Contains(gone, d.id) })
	for _, id := range gone {
		s.removed[id] = true
	}
}

func nGoing(s nState, after *nState, gone []keys.ID, cuts []chain.Cut, e *chain.NextEpoch, voters []keys.ID, ready []chain.Vote, anchor *keys.ID) bool {
	after.drop(gone)
	votes, anchors := false, false
	for _, id := range gone {
		votes = votes || s.voters[id]
		anchors = anchors || s.anchor == id
	}
	if !nCuts(cuts, gone, false) || !nEpoch(e) {
		return false
	}
	if votes && !nSuccession(s, after, voters, ready) || !votes && len(voters)+len(ready) > 0 {
		return false
	}
	if anchors != (anchor != nil) {
		return false
	}
	if anchors {
		if d, in := after.has(*anchor); !in || !d.alive {
			return false
		}
		after.anchor = *anchor
	}
	after.box = e.UserBox
	return true
}

func nReset(s nState, after *nState, b *chain.Reset) bool {
	if len(b.Survivors) < 1 || len(b.Survivors) > 32 || len(b.Cuts) > 128 || !nEpoch(&b.Epoch) {
		return false
	}
	next := map[keys.ID]bool{}
	for _, v := range b.Voters {
		next[v] = true
	}
	list := map[keys.ID]nDevice{}
	for i, d := range b.Survivors {
		old, in := s.has(d.Device)
		if i > 0 && compareIDs(b.Survivors[i-1].Device, d.Device) >= 0 || d.Device.IsZero() || d.Class == 0 || d.Box.Check() != nil ||
			s.removed[d.Device] || in && old.box != d.Box {
			return false
		}
		must := !in || next[d.Device] && !s.voters[d.Device]
		if must != (d.Ready != nil) || must && !good(d.Device, "ptt/ready/1", s.signedHere(d.Box[:]), *d.Ready) {
			return false
		}
		list[d.Device] = nDevice{d.Device, d.Class, d.Box, must || old.alive}
	}
	var gone []keys.ID
	after.set = nil
	for _, d := range s.set {
		if n, stays := list[d.id]; stays {
			after.set = append(after.set, n)
		} else {
			gone = append(gone, d.id)
		}
	}
	for _, d := range b.Survivors {
		if _, in := s.has(d.Device); !in {
			after.set = append(after.set, list[d.Device])
		}
	}
	after.drop(gone)
	if !nCuts(b.Cuts, gone, true) {
		return false
	}
	for _, c := range b.Cuts {
		if _, survives := list[c.Device]; survives {
			return false
		}
	}
	if n := len(b.Voters); n != 1 && n != 3 && n != 5 || !slices.IsSortedFunc(b.Voters, compareIDs) || len(next) != n {
		return false
	}
	for v := range next {
		if d, in := list[v]; !in || !d.alive {
			return false
		}
	}
	if d, in := list[b.Anchor]; !in || !d.alive {
		return false
	}
	after.voters, after.anchor, after.box, after.moved = next, b.Anchor, b.Epoch.UserBox, false
	after.history += "r"
	return true
}

// nFork returns the state before the fork that a mend names.
func nFork(c nChain, b *chain.Mend) (nState, bool) {
	for i, l := range c.links {
		if l.Op.ID() == b.One && i > 0 {
			return c.states[i-1], true
		}
	}
	return nState{}, false
}

func nCheaters(b *chain.Mend) map[keys.ID]bool {
	both := map[keys.ID]bool{}
	for _, v := range b.OneVotes {
		for _, w := range b.OtherVotes {
			if v.Device == w.Device {
				both[v.Device] = true
			}
		}
	}
	return both
}

func nMend(c nChain, s nState, after *nState, b *chain.Mend, author keys.ID) bool {
	fork, ok := nFork(c, b)
	if !ok || b.One == b.Other || len(fork.voters) < 3 || strings.Contains(s.history[len(fork.history):], "r") {
		return false
	}
	may := func(id keys.ID) bool { return fork.voters[id] }
	most := len(fork.voters)/2 + 1
	if len(b.OneVotes) != most || len(b.OtherVotes) != most || !nVotes(fork, b.One, b.OneVotes, may) || !nVotes(fork, b.Other, b.OtherVotes, may) {
		return false
	}
	for i, id := range b.Devices {
		if _, in := s.has(id); !in || id == author || i > 0 && compareIDs(b.Devices[i-1], id) >= 0 {
			return false
		}
	}
	for id := range nCheaters(b) {
		if _, in := s.has(id); in && !slices.Contains(b.Devices, id) {
			return false
		}
	}
	if len(b.Devices) == 0 {
		return b.Epoch == nil && len(b.Cuts)+len(b.Voters)+len(b.Ready) == 0 && b.Anchor == nil
	}
	return b.Epoch != nil && nGoing(s, after, b.Devices, b.Cuts, b.Epoch, b.Voters, b.Ready, b.Anchor)
}

func nMendVotes(c nChain, s nState, b *chain.Mend, o oplog.Op, votes []chain.Vote) bool {
	fork, _ := nFork(c, b)
	cheaters := nCheaters(b)
	old, present, honest := 0, 0, false
	for id := range s.voters {
		honest = honest || !cheaters[id]
	}
	for _, v := range votes {
		if fork.voters[v.Device] {
			old++
		}
		if s.voters[v.Device] {
			present++
		}
	}
	return len(votes) <= 6 && old > len(fork.voters)/2 && (!honest || present > len(s.voters)/2) &&
		nVotes(s, o.ID(), votes, func(id keys.ID) bool {
			return (fork.voters[id] || honest && s.voters[id]) && !cheaters[id] && !slices.Contains(b.Devices, id)
		})
}

// nShared returns how many ops two chains begin with in common.
func nShared(a, b nChain) (n int) {
	for n < len(a.links) && n < len(b.links) && a.links[n].Op.ID() == b.links[n].Op.ID() {
		n++
	}
	return n
}

func (c nChain) last() nState { return c.states[len(c.states)-1] }

// nNames reports whether a has a mend of its op at place n and of another one.
func nNames(a nChain, n int, other keys.Digest) bool {
	for _, l := range a.links[n+1:] {
		b := new(chain.Mend)
		if l.Op.Family() == 3 && l.Op.Type() == 15 && keys.Unmarshal(l.Op.Control(), b) == nil && b.One == a.links[n].Op.ID() && b.Other == other {
			return true
		}
	}
	return false
}

// nCompare is §6.1.
func nCompare(a, b nChain) chain.Relation {
	n := nShared(a, b)
	switch {
	case n == len(a.links) && n == len(b.links):
		return chain.Same
	case n == len(b.links):
		return chain.Ahead
	case n == len(a.links):
		return chain.Behind
	}
	x, y := a.last().history, b.last().history
	if x != y {
		if x > y {
			return chain.Ahead
		}
		return chain.Behind
	}
	if strings.Contains(x[len(a.states[n-1].history):], "r") {
		return chain.Forked
	}
	ab, ba := nNames(a, n, b.links[n].Op.ID()), nNames(b, n, a.links[n].Op.ID())
	switch {
	case ab && !ba:
		return chain.Ahead
	case ba && !ab:
		return chain.Behind
	}
	return chain.Forked
}

// nVerdict is what a set comes to, by ids.
type nVerdict struct {
	head    keys.Digest
	fork    []keys.Digest
	byReset bool
	devices map[keys.ID]bool
	gone    map[keys.ID]bool
}

// nJudge is §6.2.
func nJudge(all []nChain) nVerdict {
	var set []nChain // without what another extends
	for i, a := range all {
		keep := true
		for j, b := range all {
			r := nCompare(a, b)
			if r == chain.Same && j < i || r == chain.Behind && nShared(a, b) == len(a.links) {
				keep = false
			}
		}
		if keep {
			set = append(set, a)
		}
	}
	greatest := ""
	for _, a := range set {
		greatest = max(greatest, a.last().history)
	}
	var top []nChain
	for _, a := range set {
		if a.last().history == greatest {
			top = append(top, a)
		}
	}
	v := nVerdict{devices: map[keys.ID]bool{}, gone: map[keys.ID]bool{}}
	for len(top) > 1 {
		n := len(top[0].links)
		for _, a := range top {
			n = min(n, nShared(top[0], a))
		}
		groups := map[keys.Digest][]nChain{}
		for _, a := range top {
			groups[a.links[n].Op.ID()] = append(groups[a.links[n].Op.ID()], a)
		}
		names := func(x, y keys.Digest) bool {
			return slices.ContainsFunc(groups[x], func(a nChain) bool { return nNames(a, n, y) })
		}
		var winners []keys.Digest
		for x := range groups {
			wins := true
			for y := range groups {
				if x != y && (!names(x, y) || names(y, x)) {
					wins = false
				}
			}
			if wins {
				winners = append(winners, x)
			}
		}
		byReset := strings.Contains(greatest[len(top[0].states[n-1].history):], "r")
		if byReset || len(winners) != 1 {
			v.head, v.byReset = top[0].links[n-1].Op.ID(), byReset
			for _, a := range top {
				v.fork = append(v.fork, a.last().head)
			}
			slices.SortFunc(v.fork, compareDigests)
			break
		}
		top = groups[winners[0]]
	}
	if len(top) == 1 {
		v.head = top[0].last().head
	}
	for i, a := range top {
		have := map[keys.ID]bool{}
		for _, d := range a.last().set {
			same := true
			for _, other := range top {
				e, in := other.last().has(d.id)
				same = same && in && e.box == d.box
			}
			have[d.id] = same && (i == 0 || v.devices[d.id])
		}
		for id := range nGone(a, set, top) {
			v.gone[id] = true
		}
		v.devices = have
	}
	for id := range v.gone {
		delete(v.devices, id)
	}
	maps.DeleteFunc(v.devices, func(_ keys.ID, in bool) bool { return !in })
	return v
}

// nGone returns the survivors of a RESET of a whom another branch removed.
func nGone(a nChain, set, rivals []nChain) map[keys.ID]bool {
	gone := map[keys.ID]bool{}
	for _, b := range set {
		if slices.ContainsFunc(rivals, func(r nChain) bool { return r.last().head == b.last().head }) {
			continue
		}
		n := nShared(a, b)
		for i := n; i < len(a.links); i++ {
			if len(a.states[i].history) == len(a.states[i-1].history) {
				continue
			}
			r := new(chain.Reset)
			if a.links[i].Op.Family() == 6 && keys.Unmarshal(a.links[i].Op.Control(), r) == nil {
				for _, d := range r.Survivors {
					_, in := a.last().has(d.Device)
					if in && b.last().removed[d.Device] && !b.states[n-1].removed[d.Device] {
						gone[d.Device] = true
					}
				}
			}
			break
		}
	}
	return gone
}
