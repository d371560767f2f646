package me_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"pttnode/entity"
	"pttnode/entity/entitytest"
	"pttnode/entity/me"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// world is a Me with its devices.
type world struct {
	*entitytest.World
	opened me.Opened // as its devices keep it
}

func (w *world) clone(tb testing.TB) *world {
	tb.Helper()
	return &world{w.Clone(tb), maps.Clone(w.opened)}
}

func (w *world) fold(ring entity.Keyring, opened me.Opened) me.State {
	return me.Fold(w.Entity, ring, opened)
}

var secondKey = entitytest.NewDevice("second").Key

// entry is one entry of a me-oplog, by the first or the second device.
type entry struct {
	by   string
	typ  uint16
	body any
}

// note writes an entry, which names the one that it replaces as a device's does.
func (w *world) note(tb entitytest.TB, e entry) oplog.Op {
	tb.Helper()
	var about keys.Digest
	author, log := w.Who(tb, e.by).Author(), w.fold(w.Ring, w.opened)
	switch b := e.body.(type) {
	case me.Setting:
		about = log.Replaces(me.TypeSetting, author.Key.ID(), &b)
	case me.Asking:
		about = log.Replaces(me.TypeRequest, author.Key.ID(), &b)
	}
	return w.noteAbout(tb, e, about)
}

func (w *world) noteAbout(tb entitytest.TB, e entry, about keys.Digest) oplog.Op {
	tb.Helper()
	o, err := w.Write(w.Who(tb, e.by).Author(), w.Ring, oplog.FamilyMe, e.typ, about, e.body)
	if err != nil {
		tb.Fatalf("%s writes 20/%d: %v", e.by, e.typ, err)
	}
	return o
}

// meOfTwo is the Me of a founder with two devices.
func meOfTwo(tb testing.TB) *world {
	tb.Helper()
	w := &world{entitytest.Found(tb, entity.Me), make(me.Opened)}
	w.Second(tb, entity.Phone)
	return w
}

// TestFold: what the entries mean, one after the other.
func TestFold(t *testing.T) {
	t.Parallel()
	a, b, j := keys.Digest{1}, keys.Digest{2}, keys.Digest{3}
	key := func(n byte) entity.EpochKey { return entity.EpochKey{Epoch: keys.Digest{n}, Key: [32]byte{n}} }
	joined := func(by string, e keys.Digest, n byte) entry {
		return entry{by, me.TypeJoined, me.Joined{Entity: e, Kind: entity.Board, Heads: []keys.Digest{{n}}, Keys: []entity.EpochKey{key(n)}}}
	}
	left := func(by string, e keys.Digest) entry { return entry{by, me.TypeLeft, me.Left{Entity: e}} }
	read := func(e keys.Digest, ids ...keys.Digest) entry {
		return entry{"founder", me.TypeRead, me.Seen{Entity: e, Heads: ids}}
	}
	decide := func(by string, choice uint8) entry {
		return entry{by, me.TypeDecision, me.Decision{JoinID: j, Choice: choice}}
	}
	set := func(by, name, value string) entry {
		return entry{by, me.TypeSetting, me.Setting{Name: name, Value: []byte(value)}}
	}
	asking := func(by string, state uint8) entry {
		return entry{by, me.TypeRequest, me.Asking{JoinID: j, Kind: entity.Board, Name: "rita", State: state}}
	}
	many := make([]keys.Digest, me.MaxSeen+1)
	for i := range many {
		many[i] = keys.Digest{byte(i >> 8), byte(i), 1}
	}
	type state = me.State
	for _, c := range []struct {
		name    string
		entries []entry
		want    func(state) string // what is wrong
	}{
		{"joined", []entry{joined("founder", a, 1)}, func(l state) string {
			return diff(l.Entities, map[keys.Digest]me.Joined{a: {Entity: a, Kind: entity.Board, Heads: []keys.Digest{{1}}, Addrs: [][]byte{}, Keys: []entity.EpochKey{key(1)}}})
		}},
		{"joined again: the last, with the keys of both", []entry{joined("founder", a, 1), joined("second", a, 2), joined("founder", b, 3)}, func(l state) string {
			return diff(
				map[keys.Digest][]entity.EpochKey{a: l.Entities[a].Keys, b: l.Entities[b].Keys},
				map[keys.Digest][]entity.EpochKey{a: {key(1), key(2)}, b: {key(3)}},
			) + diff(l.Entities[a].Heads, []keys.Digest{{2}})
		}},
		{"left", []entry{joined("founder", a, 1), joined("founder", b, 2), left("second", a)}, func(l state) string {
			return diff(slices.Collect(maps.Keys(l.Entities)), []keys.Digest{b})
		}},
		{"left what was never joined", []entry{left("second", a)}, func(l state) string { return diff(len(l.Entities), 0) }},
		{"left and joined again: with the keys from before", []entry{joined("founder", a, 1), left("second", a), joined("second", a, 2)}, func(l state) string {
			return diff(l.Entities[a].Keys, []entity.EpochKey{key(1), key(2)})
		}},
		{"read, each for itself", []entry{read(a, keys.Digest{1}), read(a, keys.Digest{1}, keys.Digest{2}), read(b, keys.Digest{3})}, func(l state) string {
			return diff(l.Seen, map[keys.Digest]map[keys.Digest]bool{a: {{1}: true, {2}: true}, b: {{3}: true}})
		}},
		{"read as many as one may name", []entry{read(a, many[:me.MaxSeen]...)}, func(l state) string { return diff(len(l.Seen[a]), me.MaxSeen) }},
		{"read too many", []entry{read(a, many...)}, func(l state) string { return diff(len(l.Seen), 0) }},
		{"read in disorder", []entry{read(a, keys.Digest{2}, keys.Digest{1}), read(b, keys.Digest{1}, keys.Digest{1})}, func(l state) string {
			return diff(len(l.Seen), 0)
		}},
		{"the first decision counts", []entry{decide("second", me.Reject), decide("founder", me.Approve)}, func(l state) string {
			return diff(l.Decisions, map[keys.Digest]me.Decided{j: {Decision: me.Decision{JoinID: j, Choice: me.Reject}, By: secondKey.ID()}})
		}},
		{"and the other way round", []entry{decide("founder", me.Approve), decide("second", me.Reject)}, func(l state) string {
			return diff(l.Decisions[j].Choice, me.Approve)
		}},
		{"a decision that is none", []entry{decide("founder", 0), decide("founder", 3), decide("second", me.Approve)}, func(l state) string {
			return diff(l.Decisions[j].Choice, me.Approve)
		}},
		{"the last setting counts", []entry{set("founder", "x", "1"), set("second", "x", "2"), set("second", "y", "3")}, func(l state) string {
			return diff(l.Settings, map[string][]byte{"x": []byte("2"), "y": []byte("3")})
		}},
		{"a setting out of bounds", []entry{
			set("founder", strings.Repeat("n", entity.MaxName+1), "1"), set("founder", "long", strings.Repeat("v", me.MaxSetting+1)),
			set("founder", "x", "1"), set("second", "x", strings.Repeat("v", me.MaxSetting+1)),
		}, func(l state) string { return diff(l.Settings, map[string][]byte{"x": []byte("1")}) }},
		{"a setting just within", []entry{set("founder", strings.Repeat("n", entity.MaxName), strings.Repeat("v", me.MaxSetting))}, func(l state) string {
			return diff(len(l.Settings[strings.Repeat("n", entity.MaxName)]), me.MaxSetting)
		}},
		{"a request follows the device that has it", []entry{asking("second", 1), asking("founder", 4), asking("second", 3), asking("founder", 2)}, func(l state) string {
			second := l.Requests[me.AskedAt{JoinID: j, By: secondKey.ID()}]
			return diff(second.State, uint8(3)) + diff(len(l.Requests), 2)
		}},
		{"a request out of bounds", []entry{
			{"founder", me.TypeRequest, me.Asking{JoinID: keys.Digest{1}, Name: strings.Repeat("n", entity.MaxName+1)}},
			{"founder", me.TypeRequest, me.Asking{JoinID: keys.Digest{2}, Note: strings.Repeat("n", entity.MaxTitle+1)}},
			{"founder", me.TypeRequest, me.Asking{JoinID: keys.Digest{3}, Code: "1234567"}},
			{"founder", me.TypeRequest, me.Asking{JoinID: keys.Digest{4}, Name: strings.Repeat("n", entity.MaxName), Note: strings.Repeat("n", entity.MaxTitle), Code: "123456"}},
		}, func(l state) string {
			for at := range l.Requests {
				return diff(at.JoinID, keys.Digest{4}) + diff(len(l.Requests), 1)
			}
			return "no request"
		}},
		{"what no version knows", []entry{{"founder", 99, me.Left{Entity: a}}, set("founder", "x", "1"), {"founder", me.TypeSetting, me.Left{Entity: a}}}, func(l state) string {
			return diff(l.Settings, map[string][]byte{"x": []byte("1")})
		}},
	} {
		w := meOfTwo(t)
		opened := make(me.Opened)
		for _, e := range c.entries {
			w.note(t, e)
			w.fold(w.Ring, opened) // as a node does, after each
		}
		fresh := w.fold(w.Ring, nil)
		if d := c.want(fresh); d != "" {
			t.Errorf("%s: (-got +want)\n%s", c.name, d)
		}
		if d := diff(fresh, w.fold(w.Ring, opened)); d != "" {
			t.Errorf("%s: what was opened before changes it (-fresh +kept)\n%s", c.name, d)
		}
	}
}

func diff(got, want any, opts ...cmp.Option) string {
	if opts == nil {
		opts = []cmp.Option{cmp.AllowUnexported(me.State{})}
	}
	return cmp.Diff(got, want, opts...)
}

// TestFoldUnopened: an entry without its key or body waits for it, one of another family, by
// a device whose writing does not count, or that opens to nothing is passed over.
func TestFoldUnopened(t *testing.T) {
	t.Parallel()
	w := meOfTwo(t)
	w.note(t, entry{"founder", me.TypeSetting, me.Setting{Name: "a", Value: []byte("1")}})
	key := keys.NewOpKey()
	epoch := w.Must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, entity.Epoch{
		Commitment: key.Commitment(w.ID()), Depth: 2, Replaces: []keys.Digest{w.Who(t, "founder").Me.Epoch},
	})
	old := maps.Clone(w.Ring)
	w.Ring[epoch.ID()] = key
	w.note(t, entry{"second", me.TypeSetting, me.Setting{Name: "b", Value: []byte("2")}})
	if _, err := w.Write(w.Who(t, "second").Author(), w.Ring, oplog.FamilyArticle, me.TypeSetting, keys.Digest{}, me.Setting{Name: "c"}); err != nil {
		t.Fatal(err)
	}
	w.note(t, entry{"second", me.TypeSetting, me.Setting{Name: "d"}})
	p := w.Who(t, "founder")
	entitytest.CheckAdded(t, w.Entity, entitytest.Sign(t, p, w.Draft(p, oplog.Content, oplog.FamilyMe, me.TypeSetting, []byte("not sealed"))))

	opened := make(me.Opened)
	for _, c := range []struct {
		name string
		ring entity.Keyring
		want string
	}{{"no key", nil, "[]"}, {"the first key", old, "[a]"}, {"both", w.Ring, "[a b d]"}} {
		l := w.fold(c.ring, opened)
		if got := fmt.Sprint(slices.Sorted(maps.Keys(l.Settings))); got != c.want {
			t.Errorf("%s: settings %s, want %s", c.name, got, c.want)
		}
	}

	// A device that signed two entries at one place has said neither, and nothing since.
	d := w.Draft(w.Who(t, "second"), oplog.Content, oplog.FamilyMe, me.TypeSetting, []byte("fork"))
	tip, _ := w.Log().Tip(secondKey.ID(), oplog.Content)
	d.Seq, d.Prev, d.Parents = tip.Seq(), tip.Prev(), tip.Parents()
	entitytest.CheckAdded(t, w.Entity, entitytest.Sign(t, w.Who(t, "second"), d))
	w.note(t, entry{"founder", me.TypeSetting, me.Setting{Name: "e"}})
	if got := fmt.Sprint(slices.Sorted(maps.Keys(w.fold(w.Ring, opened).Settings))); got != "[a b e]" {
		t.Errorf("after a fork of the second device's last entry: settings %s, want what it said before", got)
	}
}

// TestFoldConverges: devices that write concurrently mean the same to whoever has what
// they wrote, in whatever order it came and however much was read between, and without what
// is dead.
func TestFoldConverges(t *testing.T) {
	t.Parallel()
	base := meOfTwo(t)
	base.Link(t, entitytest.NewDevice("third"), 0)
	base.People["third"] = base.Who(t, "founder").By(entitytest.NewDevice("third").Key)
	names := []string{"founder", "second", "third"}
	rapid.Check(t, func(rt *rapid.T) {
		small := func(what string) byte { return byte(rapid.IntRange(1, 3).Draw(rt, what)) }
		var nodes []*world
		for range names {
			nodes = append(nodes, base.clone(t))
		}
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			i := rapid.IntRange(0, len(nodes)-1).Draw(rt, "node")
			if rapid.IntRange(0, 2).Draw(rt, "what") == 0 {
				from := nodes[rapid.IntRange(0, len(nodes)-1).Draw(rt, "from")]
				entitytest.Take(rt, from.Entity, nodes[i].Entity, rapid.IntRange(1, 10).Draw(rt, "how many"))
				continue
			}
			n := small("n")
			e := keys.Digest{small("entity")}
			var body any
			typ := rapid.SampledFrom([]uint16{
				me.TypeJoined, me.TypeLeft, me.TypeRead, me.TypeDecision, me.TypeSetting, me.TypeRequest,
			}).Draw(rt, "type")
			switch typ {
			case me.TypeJoined:
				body = me.Joined{Entity: e, Kind: entity.Board, Keys: []entity.EpochKey{{Epoch: keys.Digest{n}, Key: [32]byte{n}}}}
			case me.TypeLeft:
				body = me.Left{Entity: e}
			case me.TypeRead:
				body = me.Seen{Entity: e, Heads: []keys.Digest{{n}}}
			case me.TypeDecision:
				body = me.Decision{JoinID: e, Choice: 1 + n%2}
			case me.TypeSetting:
				body = me.Setting{Name: fmt.Sprint(e[0]), Value: []byte{n}}
			case me.TypeRequest:
				body = me.Asking{JoinID: e, State: n}
			}
			nodes[i].note(t, entry{names[i], typ, body})
		}
		for _, n := range nodes[1:] {
			entitytest.Take(rt, n.Entity, nodes[0].Entity, 1000)
		}
		union := entitytest.All(nodes[0].Entity)
		want := nodes[0].fold(base.Ring, nil)
		for i := range 2 {
			opened := make(me.Opened)
			got := entitytest.Deliver(rt, union, func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, fmt.Sprintf("next of delivery %d", i)) }, func(*entity.Entity) {})
			if d := diff(me.Fold(got, base.Ring, opened), want); d != "" {
				rt.Fatalf("two orders of arrival, two meanings (-got +want)\n%s", d)
			}
		}
		// Read after each arrival, as a node does.
		opened := make(me.Opened)
		node := base.clone(t)
		for _, o := range union {
			if _, err := node.Add(o); err != nil {
				rt.Fatalf("Add: %v", err)
			}
			node.fold(base.Ring, opened)
		}
		if d := diff(node.fold(base.Ring, opened), want); d != "" {
			rt.Fatalf("reading in between changes the meaning (-got +want)\n%s", d)
		}
		// Without what is dead, in turn, for who goes on and for who starts anew.
		dead := slices.SortedFunc(maps.Keys(want.Dead()), oplogtest.Compare)
		for _, o := range union {
			if _, is := slices.BinarySearchFunc(dead, o.ID(), oplogtest.Compare); !is || rapid.Bool().Draw(rt, "keep") {
				continue
			}
			node.Log().LetGo(o.ID())
			if d := diff(node.fold(base.Ring, opened).Dead(), want.Dead()); d != "" {
				rt.Fatalf("other entries are dead when some are let go of (-got +want)\n%s", d)
			}
		}
		for what, opened := range map[string]me.Opened{"going on": opened, "anew": nil} {
			if d := diff(node.fold(base.Ring, opened), want, cmpopts.IgnoreUnexported(me.State{})); d != "" {
				rt.Fatalf("%s without what is dead means another thing (-got +want)\n%s", what, d)
			}
		}
	})
}

// TestReplacesOwn: a device cannot have the request of another one let go of.
func TestReplacesOwn(t *testing.T) {
	t.Parallel()
	w := meOfTwo(t)
	ask := me.Asking{JoinID: keys.Digest{1}, State: 1}
	first := w.note(t, entry{"founder", me.TypeRequest, ask})
	w.noteAbout(t, entry{"second", me.TypeRequest, ask}, first.ID())
	w.noteAbout(t, entry{"founder", me.TypeSetting, me.Setting{Name: "a"}}, first.ID())
	if dead := w.fold(w.Ring, nil).Dead(); len(dead) > 0 {
		t.Errorf("dead is %v, want nothing", dead)
	}
	w.noteAbout(t, entry{"founder", me.TypeRequest, ask}, first.ID())
	if dead := w.fold(w.Ring, nil).Dead(); !dead[first.ID()] {
		t.Errorf("dead is %v, want the first", dead)
	}
}
