package entity_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// entry is one entry of a me-oplog, by the first or the second device.
type entry struct {
	by   string
	typ  uint16
	body any
}

func (w *world) note(tb testing.TB, e entry) oplog.Op {
	tb.Helper()
	o, err := w.Write(w.who(tb, e.by).author(), w.ring, oplog.FamilyMe, e.typ, e.body)
	if err != nil {
		tb.Fatalf("%s writes 20/%d: %v", e.by, e.typ, err)
	}
	return o
}

// meOfTwo is the Me of a founder with two devices.
func meOfTwo(t *testing.T) *world {
	t.Helper()
	w := found(t, entity.Me)
	second(entity.Phone)(t, w)
	return w
}

// TestFoldMe: what the entries mean, one after the other.
func TestFoldMe(t *testing.T) {
	t.Parallel()
	a, b, j := keys.Digest{1}, keys.Digest{2}, keys.Digest{3}
	key := func(n byte) entity.EpochKey { return entity.EpochKey{Epoch: keys.Digest{n}, Key: [32]byte{n}} }
	joined := func(by string, e keys.Digest, n byte) entry {
		return entry{by, entity.TypeJoined, entity.Joined{Entity: e, Kind: entity.Board, Heads: []keys.Digest{{n}}, Keys: []entity.EpochKey{key(n)}}}
	}
	left := func(by string, e keys.Digest) entry { return entry{by, entity.TypeLeft, entity.Left{Entity: e}} }
	read := func(e keys.Digest, ids ...keys.Digest) entry {
		return entry{"founder", entity.TypeRead, entity.Seen{Entity: e, Heads: ids}}
	}
	decide := func(by string, choice uint8) entry {
		return entry{by, entity.TypeDecision, entity.Decision{JoinID: j, Choice: choice}}
	}
	set := func(by, name, value string) entry {
		return entry{by, entity.TypeSetting, entity.Setting{Name: name, Value: []byte(value)}}
	}
	asking := func(by string, state uint8) entry {
		return entry{by, entity.TypeRequest, entity.Asking{JoinID: j, Kind: entity.Board, Name: "rita", State: state}}
	}
	many := make([]keys.Digest, entity.MaxSeen+1)
	for i := range many {
		many[i] = keys.Digest{byte(i >> 8), byte(i), 1}
	}
	type state = entity.MeLog
	for _, c := range []struct {
		name    string
		entries []entry
		want    func(state) string // what is wrong
	}{
		{"joined", []entry{joined("founder", a, 1)}, func(l state) string {
			return diff(l.Entities, map[keys.Digest]entity.Joined{a: {Entity: a, Kind: entity.Board, Heads: []keys.Digest{{1}}, Addrs: [][]byte{}, Keys: []entity.EpochKey{key(1)}}})
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
		{"read as many as one may name", []entry{read(a, many[:entity.MaxSeen]...)}, func(l state) string { return diff(len(l.Seen[a]), entity.MaxSeen) }},
		{"read too many", []entry{read(a, many...)}, func(l state) string { return diff(len(l.Seen), 0) }},
		{"read in disorder", []entry{read(a, keys.Digest{2}, keys.Digest{1}), read(b, keys.Digest{1}, keys.Digest{1})}, func(l state) string {
			return diff(len(l.Seen), 0)
		}},
		{"the first decision counts", []entry{decide("second", entity.Reject), decide("founder", entity.Approve)}, func(l state) string {
			return diff(l.Decisions, map[keys.Digest]entity.Decided{j: {Decision: entity.Decision{JoinID: j, Choice: entity.Reject}, By: newDevice("second").key.ID()}})
		}},
		{"and the other way round", []entry{decide("founder", entity.Approve), decide("second", entity.Reject)}, func(l state) string {
			return diff(l.Decisions[j].Choice, entity.Approve)
		}},
		{"a decision that is none", []entry{decide("founder", 0), decide("founder", 3), decide("second", entity.Approve)}, func(l state) string {
			return diff(l.Decisions[j].Choice, entity.Approve)
		}},
		{"the last setting counts", []entry{set("founder", "x", "1"), set("second", "x", "2"), set("second", "y", "3")}, func(l state) string {
			return diff(l.Settings, map[string][]byte{"x": []byte("2"), "y": []byte("3")})
		}},
		{"a setting out of bounds", []entry{
			set("founder", strings.Repeat("n", entity.MaxName+1), "1"), set("founder", "long", strings.Repeat("v", entity.MaxSetting+1)),
			set("founder", "x", "1"), set("second", "x", strings.Repeat("v", entity.MaxSetting+1)),
		}, func(l state) string { return diff(l.Settings, map[string][]byte{"x": []byte("1")}) }},
		{"a setting just within", []entry{set("founder", strings.Repeat("n", entity.MaxName), strings.Repeat("v", entity.MaxSetting))}, func(l state) string {
			return diff(len(l.Settings[strings.Repeat("n", entity.MaxName)]), entity.MaxSetting)
		}},
		{"a request follows the device that has it", []entry{asking("second", 1), asking("founder", 4), asking("second", 3), asking("founder", 2)}, func(l state) string {
			second := l.Requests[entity.AskedAt{JoinID: j, By: newDevice("second").key.ID()}]
			return diff(second.State, uint8(3)) + diff(len(l.Requests), 2)
		}},
		{"a request out of bounds", []entry{
			{"founder", entity.TypeRequest, entity.Asking{JoinID: keys.Digest{1}, Name: strings.Repeat("n", entity.MaxName+1)}},
			{"founder", entity.TypeRequest, entity.Asking{JoinID: keys.Digest{2}, Note: strings.Repeat("n", entity.MaxTitle+1)}},
			{"founder", entity.TypeRequest, entity.Asking{JoinID: keys.Digest{3}, Code: "1234567"}},
			{"founder", entity.TypeRequest, entity.Asking{JoinID: keys.Digest{4}, Name: strings.Repeat("n", entity.MaxName), Note: strings.Repeat("n", entity.MaxTitle), Code: "123456"}},
		}, func(l state) string {
			for at := range l.Requests {
				return diff(at.JoinID, keys.Digest{4}) + diff(len(l.Requests), 1)
			}
			return "no request"
		}},
		{"what no version knows", []entry{{"founder", 99, entity.Left{Entity: a}}, set("founder", "x", "1"), {"founder", entity.TypeSetting, entity.Left{Entity: a}}}, func(l state) string {
			return diff(l.Settings, map[string][]byte{"x": []byte("1")})
		}},
	} {
		w := meOfTwo(t)
		opened := map[keys.Digest]any{}
		for _, e := range c.entries {
			w.note(t, e)
			w.FoldMe(w.ring, opened) // as a node does, after each
		}
		fresh := w.FoldMe(w.ring, nil)
		if d := c.want(fresh); d != "" {
			t.Errorf("%s: (-got +want)\n%s", c.name, d)
		}
		if d := cmp.Diff(fresh, w.FoldMe(w.ring, opened)); d != "" {
			t.Errorf("%s: what was opened before changes it (-fresh +kept)\n%s", c.name, d)
		}
	}
}

func diff(got, want any) string { return cmp.Diff(got, want) }

// TestFoldMeUnopened: an entry without its key waits for it, one of another family, by
// a device whose writing does not count, or that opens to nothing is passed over.
func TestFoldMeUnopened(t *testing.T) {
	t.Parallel()
	w := meOfTwo(t)
	w.note(t, entry{"founder", entity.TypeSetting, entity.Setting{Name: "a", Value: []byte("1")}})
	key := keys.NewOpKey()
	b := w.nextEpoch()
	b.Commitment, b.UserBox = key.Commitment(w.ID()), new(key.UserBox().ID())
	epoch := w.must(t, "founder", oplog.FamilyOpKey, entity.TypeEpoch, b)
	old := maps.Clone(w.ring)
	w.ring[epoch.ID()] = key
	w.note(t, entry{"second", entity.TypeSetting, entity.Setting{Name: "b", Value: []byte("2")}})
	if _, err := w.Write(w.who(t, "second").author(), w.ring, oplog.FamilyArticle, entity.TypeSetting, entity.Setting{Name: "c"}); err != nil {
		t.Fatal(err)
	}
	w.note(t, entry{"second", entity.TypeSetting, entity.Setting{Name: "d"}})
	p := w.who(t, "founder")
	checkAdded(t, w.Entity, sign(t, p, w.draft(p, oplog.Content, oplog.FamilyMe, entity.TypeSetting, []byte("not sealed"))))

	opened := map[keys.Digest]any{}
	for _, c := range []struct {
		name string
		ring entity.Keyring
		want string
	}{{"no key", nil, "[]"}, {"the first key", old, "[a]"}, {"both", w.ring, "[a b d]"}} {
		l := w.FoldMe(c.ring, opened)
		if got := fmt.Sprint(slices.Sorted(maps.Keys(l.Settings))); got != c.want {
			t.Errorf("%s: settings %s, want %s", c.name, got, c.want)
		}
	}

	// A device that signed two entries at one place has said neither, and nothing since.
	d := w.draft(w.who(t, "second"), oplog.Content, oplog.FamilyMe, entity.TypeSetting, []byte("fork"))
	tip, _ := w.Log().Tip(newDevice("second").key.ID(), oplog.Content)
	d.Seq, d.Prev, d.Parents = tip.Seq(), tip.Prev(), tip.Parents()
	checkAdded(t, w.Entity, sign(t, w.who(t, "second"), d))
	w.note(t, entry{"founder", entity.TypeSetting, entity.Setting{Name: "e"}})
	if got := fmt.Sprint(slices.Sorted(maps.Keys(w.FoldMe(w.ring, opened).Settings))); got != "[a b e]" {
		t.Errorf("after a fork of the second device's last entry: settings %s, want what it said before", got)
	}
}

// TestFoldMeConverges: devices that write beside each other mean the same to whoever
// has what they wrote, in whatever order it came and however much was read between.
func TestFoldMeConverges(t *testing.T) {
	t.Parallel()
	base := meOfTwo(t)
	base.link(t, newDevice("third"), 0)
	base.people["third"] = base.who(t, "founder").by(newDevice("third").key)
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
				take(rt, from.Entity, nodes[i].Entity, rapid.IntRange(1, 10).Draw(rt, "how many"))
				continue
			}
			n := small("n")
			e := keys.Digest{small("entity")}
			var body any
			typ := rapid.SampledFrom([]uint16{
				entity.TypeJoined, entity.TypeLeft, entity.TypeRead, entity.TypeDecision, entity.TypeSetting, entity.TypeRequest,
			}).Draw(rt, "type")
			switch typ {
			case entity.TypeJoined:
				body = entity.Joined{Entity: e, Kind: entity.Board, Keys: []entity.EpochKey{{Epoch: keys.Digest{n}, Key: [32]byte{n}}}}
			case entity.TypeLeft:
				body = entity.Left{Entity: e}
			case entity.TypeRead:
				body = entity.Seen{Entity: e, Heads: []keys.Digest{{n}}}
			case entity.TypeDecision:
				body = entity.Decision{JoinID: e, Choice: 1 + n%2}
			case entity.TypeSetting:
				body = entity.Setting{Name: fmt.Sprint(e[0]), Value: []byte{n}}
			case entity.TypeRequest:
				body = entity.Asking{JoinID: e, State: n}
			}
			nodes[i].note(t, entry{names[i], typ, body})
		}
		for _, n := range nodes[1:] {
			take(rt, n.Entity, nodes[0].Entity, 1000)
		}
		union := all(nodes[0].Entity)
		want := nodes[0].FoldMe(base.ring, nil)
		for i := range 2 {
			opened := map[keys.Digest]any{}
			got := deliver(rt, union, func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, fmt.Sprintf("next of delivery %d", i)) })
			if d := cmp.Diff(got.FoldMe(base.ring, opened), want); d != "" {
				rt.Fatalf("two orders of arrival, two meanings (-got +want)\n%s", d)
			}
		}
		// Read after each arrival, as a node does.
		opened := map[keys.Digest]any{}
		node := base.clone(t)
		for _, o := range union {
			if _, err := node.Add(o); err != nil {
				rt.Fatalf("Add: %v", err)
			}
			node.FoldMe(base.ring, opened)
		}
		if d := cmp.Diff(node.FoldMe(base.ring, opened), want); d != "" {
			rt.Fatalf("reading in between changes the meaning (-got +want)\n%s", d)
		}
	})
}

// TestConvergenceMe: random device ops of a user's devices, one of which has a copy
// that signs beside it, and who decides passes from one to another. Whoever has the
// same ops knows the same devices.
func TestConvergenceMe(t *testing.T) {
	t.Parallel()
	base := found(t, entity.Me)
	base.link(t, newDevice("second"), entity.Phone)
	candidates := map[string]device{"third": newDevice("third"), "fourth": newDevice("fourth")}
	base.people["second"] = base.who(t, "founder").by(newDevice("second").key)
	for name, d := range candidates {
		base.people[name] = base.who(t, "founder").by(d.key)
	}
	names := []string{"founder", "founder", "second", "third"} // the first is there twice
	classes := []entity.Class{entity.Phone, entity.Desktop, entity.Server}
	rapid.Check(t, func(rt *rapid.T) {
		var nodes []*world
		for range names {
			n := base.clone(t)
			n.ring = maps.Clone(base.ring)
			nodes = append(nodes, n)
		}
		copies := rapid.Bool().Draw(rt, "a copy of the first device")
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			i := rapid.IntRange(0, len(nodes)-1).Draw(rt, "node")
			w, a := nodes[i], base.who(t, names[i]).author()
			if i == 1 && !copies {
				continue
			}
			switch rapid.SampledFrom([]string{"take", "take", "add", "class", "class", "epoch", "write", "unknown"}).Draw(rt, "what") {
			case "take":
				take(rt, nodes[rapid.IntRange(0, len(nodes)-1).Draw(rt, "from")].Entity, w.Entity, rapid.IntRange(1, 10).Draw(rt, "how many"))
			case "add":
				d := candidates[rapid.SampledFrom([]string{"third", "fourth"}).Draw(rt, "which")]
				_, _ = entity.AddDevice(w.Entity, a, d.of(w.ID(), w.ref), rapid.SampledFrom(classes).Draw(rt, "class"))
			case "class":
				all := w.State().Devices
				d := all[rapid.IntRange(0, len(all)-1).Draw(rt, "which")].ID
				_, _ = entity.SetDeviceClass(w.Entity, a, d, rapid.SampledFrom(classes).Draw(rt, "class"))
			case "epoch":
				_, _ = w.Control(a, oplog.FamilyOpKey, entity.TypeEpoch, w.nextEpoch())
			case "write":
				_, _ = w.Write(a, w.ring, oplog.FamilyMe, entity.TypeSetting, entity.Setting{Name: "x"})
			case "unknown":
				_, _ = w.Control(a, oplog.FamilyPolicy, 99, entity.Text{Text: "later"})
			}
		}
		ops := union(rt, base.ID(), nodes)
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
		checkInvariants(rt, want)
		checkDevices(rt, want)
	})
}

// checkDevices holds for the device set of every Me: the chain from its head leads
// back to genesis over ops that count, and says who is in the set.
func checkDevices(rt *rapid.T, e *entity.Entity) {
	s := e.State()
	if n := len(s.Voters()); n%2 == 0 {
		rt.Fatalf("%d voters of %+v", n, s.Devices)
	}
	listed := map[keys.ID]bool{}
	for id := s.DeviceHead; id != e.ID(); {
		o, ok := e.Log().Get(id)
		if !ok || !e.Counts(o) {
			rt.Fatalf("%v of the device chain does not count", id)
		}
		body, typ := e.Describe(o, nil)
		switch b := body.(type) {
		case *entity.MasterAdd:
			id = b.Chain.Prev
		case *entity.Epoch:
			id = b.Chain.Prev
		case *entity.DeviceClass:
			id = b.Chain.Prev
		case *entity.DeviceAdd:
			if listed[b.Device] {
				rt.Fatalf("%v was added twice", b.Device)
			}
			listed[b.Device], id = true, b.Chain.Prev
		default:
			rt.Fatalf("a %s in the device chain", typ)
		}
	}
	if len(s.Devices) != len(listed)+1 {
		rt.Fatalf("%d devices, %d were added", len(s.Devices), len(listed))
	}
	for _, d := range s.Devices[1:] {
		if !listed[d.ID] {
			rt.Fatalf("%v is in the set and was not added", d.ID)
		}
	}
	if m, _ := s.Member(e.ID()); !slices.Equal(m.Party.Devices, s.Party("").Devices) {
		rt.Fatalf("devices %v speak for the user, and %v are his", m.Party.Devices, s.Party("").Devices)
	}
}
