package chain_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestBounds: at each bound one op more or one byte more is refused, and what removes goes
// on where nothing else does.
func TestBounds(t *testing.T) {
	t.Parallel()
	c := household([]string{"A", "B", "C"}, nil)
	link := func(c *chain.Chain, verb string) chain.Link {
		switch verb {
		case "removal":
			return chain.Link{Op: sign(c, key("A"), removeOf(c, "B"))}
		case "RESET":
			return chain.Link{Op: sign(c, key("words"), resetOf(c, []string{"A"}, []string{"A"}))}
		}
		return chain.Link{Op: sign(c, key("A"), addOf(c, "D"))}
	}
	add := len(link(c, "add").Op.Envelope())
	removal := len(link(c, "removal").Op.Envelope())
	for _, r := range []struct {
		ops, bytes int
		verb       string
		want       bool
	}{
		{chain.OpenOps - 1, 0, "add", true},
		{chain.OpenOps, 0, "add", false},
		{chain.OpenOps, 0, "removal", true},
		{chain.OpenOps, 0, "RESET", true},
		{chain.MaxOps - 1, 0, "removal", true},
		{chain.MaxOps - 1, 0, "RESET", true},
		{chain.MaxOps, 0, "removal", false},
		{chain.MaxOps, 0, "RESET", false},
		{100, chain.OpenBytes - add, "add", true},
		{100, chain.OpenBytes - add + 1, "add", false},
		{100, chain.OpenBytes, "removal", true},
		{100, chain.OpenBytes, "RESET", true},
		{100, chain.MaxBytes - removal, "removal", true},
		{100, chain.MaxBytes - removal + 1, "removal", false},
	} {
		at := c.Pad(r.ops, r.bytes)
		_, err := at.Extend(link(c, r.verb))
		if (err == nil) != r.want || err != nil && !errors.Is(err, chain.ErrFull) {
			t.Errorf("%s after %d ops and %d bytes: %v, want it taken: %t", r.verb, r.ops, r.bytes, err, r.want)
		}
		typ := chain.Type{Family: oplog.FamilyMember, Type: 8}
		size := add
		if r.verb != "add" {
			typ, size = chain.Type{Family: oplog.FamilyMember, Type: 9}, removal
		}
		if r.verb != "RESET" && (at.MayAppend(typ, size) == nil) != r.want {
			t.Errorf("%s after %d ops and %d bytes: may append: %v", r.verb, r.ops, r.bytes, at.MayAppend(typ, size))
		}
	}
	mends := household([]string{"A", "B", "C", "D"}, []string{"A", "B", "C"})
	a, b := forked(mends)
	m := sign(a, key("B"), mendOf(a, b, "B", "C", "D"))
	if _, err := a.Pad(chain.OpenOps, chain.OpenBytes).Extend(certified(a, m, "B", "C")); err != nil {
		t.Errorf("a mend in a chain for removal only: %v", err)
	}
}

// TestBytesDoNotDependOnVotes: a chain is as long whoever certified it.
func TestBytesDoNotDependOnVotes(t *testing.T) {
	t.Parallel()
	c := three(t)
	o := sign(c, key("A"), addOf(c, "E"))
	x, y := must(c.Extend(certified(c, o, "A", "B"))), must(c.Extend(certified(c, o, "B", "C")))
	if x.Bytes() != y.Bytes() || x.Compare(y) != chain.Same {
		t.Errorf("%d and %d bytes, %v", x.Bytes(), y.Bytes(), x.Compare(y))
	}
	raw := x.Last().Marshal()
	if got := x.Bytes() - c.Bytes(); got < len(raw)-8 || got > len(raw) {
		t.Errorf("counted %d bytes for a link of %d", got, len(raw))
	}
}

// TestFullLife: a chain that is filled by what people do can still remove all but one.
func TestFullLife(t *testing.T) {
	t.Parallel()
	c := begin("A")
	n := 0
	for ; ; n++ {
		name := fmt.Sprint("d", n)
		l := chain.Link{Op: sign(c, key("A"), addOf(c, name))}
		next, err := c.Extend(l)
		if errors.Is(err, chain.ErrFull) {
			break
		}
		if err != nil {
			last := c.State().Devices()[1]
			b := chain.DeviceRemove{Device: last.ID, Cuts: cuts(9, last.ID), Epoch: epoch("x"), Chain: c.Next()}
			next = must(c.Extend(chain.Link{Op: sign(c, key("A"), b)}))
		}
		c = next
	}
	t.Logf("%d devices in a life, %d ops, %d bytes", n, c.Len(), c.Bytes())
	for len(c.State().Devices()) > 1 {
		last := c.State().Devices()[1]
		b := chain.DeviceRemove{Device: last.ID, Cuts: cuts(9, last.ID), Epoch: epoch("x"), Chain: c.Next()}
		c = must(c.Extend(chain.Link{Op: sign(c, key("A"), b)}))
	}
	c = must(c.Extend(chain.Link{Op: sign(c, key("words"), resetOf(c, []string{"A", "E"}, []string{"E"}))}))
	if got := must(chain.Open(c.Links())); got.Head() != c.Head() || got.Bytes() != c.Bytes() {
		t.Errorf("opened anew it is %d bytes, want %d", got.Bytes(), c.Bytes())
	}
}

// TestPersistent: extending a chain changes neither it nor its branches.
func TestPersistent(t *testing.T) {
	t.Parallel()
	c := three(t)
	before := fmt.Sprintf("%+v %v", *c.State(), c.State().Devices())
	a, b := forked(c)
	m := must(a.Extend(certified(a, sign(a, key("B"), mendOf(a, b, "B", "C", "D")), "B", "C")))
	_ = must(c.Extend(chain.Link{Op: sign(c, key("words"), resetOf(c, []string{"B", "Z"}, []string{"Z"}))}))
	_ = must(c.Extend(certified(c, sign(c, key("A"), chain.DeviceClass{Device: id("B"), Class: 9, Chain: c.Next()}), "B", "C")))
	if after := fmt.Sprintf("%+v %v", *c.State(), c.State().Devices()); after != before {
		t.Errorf("the state became %s\nwas %s", after, before)
	}
	if m.At(c.Head()) != c || m.Before().Before() != c || m.At(b.Head()) != nil {
		t.Error("a chain does not share what is before")
	}
	links := m.Links()
	if len(links) != m.Len() || len(m.Since(c)) != 2 || m.Since(c)[0].Op.ID() != a.Head() || len(m.Since(b)) != m.Len() {
		t.Errorf("links %d, since %d, since another branch %d", len(links), len(m.Since(c)), len(m.Since(b)))
	}
	if got := must(chain.Open(links)); got.Compare(m) != chain.Same {
		t.Error("opened anew it is another chain")
	}
	links[len(links)-1].Votes = nil
	part, err := chain.Open(links)
	if !errors.Is(err, chain.ErrCertificate) || part.Head() != a.Head() {
		t.Errorf("with the last uncertified: %v", err)
	}
	if _, err := chain.Open(nil); !errors.Is(err, chain.ErrFormat) {
		t.Errorf("no ops: %v", err)
	}
}

// TestLinkBytes: a Link comes back as it went, and nothing else is one.
func TestLinkBytes(t *testing.T) {
	t.Parallel()
	c := three(t)
	for _, l := range append(c.Links(), certified(c, sign(c, key("A"), addOf(c, "E")), "A", "C")) {
		raw := l.Marshal()
		got, err := chain.ParseLink(raw)
		if err != nil || got.Op.ID() != l.Op.ID() || !slices.Equal(got.Votes, l.Votes) {
			t.Errorf("ParseLink = %v", err)
		}
		if _, err := chain.ParseLink(append(raw, 0)); !errors.Is(err, chain.ErrFormat) {
			t.Errorf("with a byte more: %v", err)
		}
		raw[len(raw)/2] ^= 1
		if _, err := chain.ParseLink(raw); err == nil && len(l.Votes) == 0 {
			t.Error("a changed op is taken")
		}
	}
	large := chain.Link{Op: signAs(c, key("A"), chain.Type{Family: oplog.FamilyMember, Type: 8}, make([]byte, 2*chain.MaxOp))}
	if _, err := chain.ParseLink(large.Marshal()); !errors.Is(err, chain.ErrFormat) {
		t.Errorf("too large: %v", err)
	}
}

// TestTable: each type has a row, a word and a body that TypeOf knows.
func TestTable(t *testing.T) {
	t.Parallel()
	for _, body := range []any{
		chain.Genesis{},
		chain.FirstEpoch{},
		chain.DeviceAdd{},
		chain.DeviceRemove{},
		chain.DeviceClass{},
		chain.SetVoters{},
		chain.SetAnchor{},
		chain.NewWords{},
		chain.Moved{},
		chain.Mend{},
		chain.Reset{},
	} {
		typ, ok := chain.TypeOf(body)
		pointed := reflect.New(reflect.TypeOf(body))
		again, too := chain.TypeOf(pointed.Interface())
		if !ok || !too || again != typ || !chain.Known(typ) || chain.Word(typ) == "" {
			t.Errorf("%T: type %v, %t, known %t, word %q", body, typ, ok, chain.Known(typ), chain.Word(typ))
		}
	}
	other := chain.Type{Family: oplog.FamilyPolicy, Type: 1}
	if _, ok := chain.TypeOf(chain.Vote{}); ok || chain.Known(other) || chain.Word(other) != "" {
		t.Error("what is no chain op is one")
	}
	c := begin("A")
	o := sign(c, key("A"), addOf(c, "B"))
	if b, err := chain.Decode(o); err != nil || b.(*chain.DeviceAdd).Device != id("B") {
		t.Errorf("Decode = %v, %v", b, err)
	}
	if _, err := chain.Decode(signAs(c, key("A"), other, []byte{0xa0})); !errors.Is(err, chain.ErrUnknown) {
		t.Errorf("Decode of another: %v", err)
	}
	for class, want := range map[chain.Class]string{1: "phone", 2: "desktop", 3: "server", 9: "class(9)"} {
		if class.String() != want {
			t.Errorf("class %d is %q", uint8(class), class.String())
		}
	}
	if chain.Ahead.String() != "ahead" || chain.Forked.String() != "forked" {
		t.Error("relations have other names")
	}
}

// TestAuthor: what helps an author says what Extend would.
func TestAuthor(t *testing.T) {
	t.Parallel()
	c := three(t)
	o := sign(c, key("D"), addOf(c, "E"))
	if err := c.Check(o); err != nil {
		t.Errorf("a proposal: %v", err)
	}
	if err := c.Check(sign(c, key("E"), addOf(c, "E"))); !errors.Is(err, chain.ErrRefused) {
		t.Errorf("a bad proposal: %v", err)
	}
	forged := c.Vote(key("Z"), o)
	forged.Device = id("A")
	collected := []chain.Vote{c.Vote(key("Z"), o), forged, c.Vote(key("D"), o), c.Vote(key("C"), o)}
	if _, err := c.Certify(o, collected); !errors.Is(err, chain.ErrCertificate) {
		t.Errorf("one good vote: %v", err)
	}
	collected = append(collected, c.Vote(key("B"), o), c.Vote(key("A"), o), c.Vote(key("B"), o))
	l, err := c.Certify(o, collected)
	if err != nil || len(l.Votes) != 2 {
		t.Fatalf("all votes: %d picked, %v", len(l.Votes), err)
	}
	if _, err := c.Extend(l); err != nil {
		t.Errorf("as picked: %v", err)
	}
	if c.MayAdd(id("E")) != nil || !errors.Is(c.MayAdd(id("A")), chain.ErrRefused) || c.MayRemove(id("A")) != nil ||
		!errors.Is(c.MayRemove(id("E")), chain.ErrRefused) {
		t.Error("may add or remove whom it may not, or the other way round")
	}
	solo := household([]string{"A", "B"}, nil)
	if !errors.Is(solo.MayRemove(id("A")), chain.ErrRefused) {
		t.Error("may remove the last voter")
	}
	gone := alone(solo, "A", func(c *chain.Chain) any { return removeOf(c, "B") })
	if !errors.Is(gone.MayAdd(id("B")), chain.ErrRefused) {
		t.Error("may add who was removed")
	}
	full := solo
	for n := range chain.MaxDevices - 2 {
		full = alone(full, "A", func(c *chain.Chain) any { return addOf(c, fmt.Sprint(n)) })
	}
	if !errors.Is(full.MayAdd(id("E")), chain.ErrFull) {
		t.Error("may add to 32 devices")
	}
	for _, typ := range []chain.Type{{Family: oplog.FamilyGenesis, Type: 1}, {Family: oplog.FamilyOpKey, Type: 1}, {Family: oplog.FamilyPolicy, Type: 1}} {
		if !errors.Is(solo.MayAppend(typ, 600), chain.ErrUnknown) {
			t.Errorf("may append %v", typ)
		}
	}
	moved := alone(solo, "A", func(c *chain.Chain) any { return movedOf(c, "words") })
	add, reset := chain.Type{Family: oplog.FamilyMember, Type: 8}, chain.Type{Family: oplog.FamilyCheckpoint, Type: 3}
	if solo.MayAppend(add, 600) != nil || moved.MayAppend(add, 600) == nil || moved.MayAppend(reset, 600) != nil {
		t.Error("may append what it may not, or the other way round")
	}
	if c.State().Weight(id("A")) != chain.Voter || c.State().Weight(id("D")) != chain.Learner || !solo.State().SoleVoter(id("A")) {
		t.Error("weights")
	}
}

// TestTwice: who signed both sides of a fork, also where a sole voter did by authorship.
func TestTwice(t *testing.T) {
	t.Parallel()
	a, b := forked(three(t))
	if got := chain.Twice(a, b); !slices.Equal(got, ids("A")) {
		t.Errorf("of three voters: %v", got)
	}
	longer := must(a.Extend(certified(a, sign(a, key("B"), addOf(a, "Z")), "A", "B")))
	if got := slices.Concat(chain.Twice(longer, a), chain.Twice(a, longer), chain.Twice(a, a)); got != nil {
		t.Errorf("of what extends: %v", got)
	}
	c := household([]string{"A", "B"}, nil)
	x := alone(c, "A", func(c *chain.Chain) any { return addOf(c, "X") })
	y := must(c.Extend(certified(c, sign(c, key("B"), addOf(c, "Y")), "A")))
	if got := chain.Twice(x, y); !slices.Equal(got, ids("A")) {
		t.Errorf("of a sole voter: %v", got)
	}
	if _, ok := chain.Evidence(x, y); ok {
		t.Error("a mend of a fork of a sole voter")
	}
	r := must(c.Extend(chain.Link{Op: sign(c, key("words"), resetOf(c, []string{"A"}, []string{"A"}))}))
	if got := chain.Twice(x, r); got != nil {
		t.Errorf("of a RESET: %v", got)
	}
	other := household([]string{"X"}, nil)
	if got := chain.Twice(x, other); got != nil {
		t.Errorf("of two people: %v", got)
	}
	if x.Compare(other) != chain.Forked {
		t.Error("chains of two people compare")
	}
}

// TestEvidence: a mend can be begun where a fork of several voters is, and nowhere else.
func TestEvidence(t *testing.T) {
	t.Parallel()
	c := three(t)
	a, b := forked(c)
	m, ok := chain.Evidence(a, b)
	if !ok || m.One != a.Head() || m.Other != b.Head() || !slices.Equal(m.Devices, ids("A")) || m.Chain != a.Next() {
		t.Errorf("of a fork: %t, %+v", ok, m)
	}
	lapsed := must(a.Extend(chain.Link{Op: sign(a, key("words"), resetOf(a, []string{"A", "B", "C"}, []string{"A", "B", "C"}))}))
	alone := household([]string{"A", "B"}, nil)
	x := must(alone.Extend(chain.Link{Op: sign(alone, key("A"), addOf(alone, "X"))}))
	y := must(alone.Extend(certified(alone, sign(alone, key("B"), addOf(alone, "Y")), "A")))
	z := must(alone.Extend(certified(alone, sign(alone, key("B"), addOf(alone, "Z")), "A")))
	for name, p := range map[string][2]*chain.Chain{
		"one that extends the other": {a, c}, "one that the other extends": {c, a}, "the same": {a, a}, "a RESET after it": {lapsed, b},
		"a sole voter": {x, y}, "a sole voter that voted": {y, z}, "two people": {a, begin("X")},
		"a RESET on one side": {a, must(c.Extend(chain.Link{Op: sign(c, key("words"), resetOf(c, []string{"A"}, []string{"A"}))}))},
	} {
		if m, ok := chain.Evidence(p[0], p[1]); ok {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// TestMendDoesNotOutliveAReset: of two RESETs of one number neither is further, whichever
// follows a mend.
func TestMendDoesNotOutliveAReset(t *testing.T) {
	t.Parallel()
	a, b := forked(three(t))
	m := must(a.Extend(certified(a, sign(a, key("B"), mendOf(a, b, "B", "C", "D")), "B", "C")))
	if m.Compare(b) != chain.Ahead || b.Compare(m) != chain.Behind {
		t.Errorf("a mend is %v", m.Compare(b))
	}
	reset := func(c *chain.Chain) *chain.Chain {
		return must(c.Extend(chain.Link{Op: sign(c, key("words"), resetOf(c, []string{"B"}, []string{"B"}))}))
	}
	if r, q := reset(m), reset(b); r.Compare(q) != chain.Forked || q.Compare(r) != chain.Forked {
		t.Errorf("a RESET after a mend is %v to another", r.Compare(q))
	}
}

// TestSet: what is not of one person does not go together, and pieces must join.
func TestSet(t *testing.T) {
	t.Parallel()
	c := three(t)
	a, b := forked(c)
	s := must(chain.SetOf(a, b, c))
	if s.Len() != 2 || !s.Has(c) || s.At(c.Head()) == nil || s.At(digest("x")) != nil {
		t.Errorf("%d branches", s.Len())
	}
	other := begin("X")
	if _, err := s.Add(other); !errors.Is(err, chain.ErrForeign) {
		t.Errorf("another person: %v", err)
	}
	if _, err := s.Join(must(chain.SetOf(other))); !errors.Is(err, chain.ErrForeign) {
		t.Errorf("joined with another person: %v", err)
	}
	if _, err := chain.SetOf(a, other); !errors.Is(err, chain.ErrForeign) {
		t.Errorf("of two people: %v", err)
	}
	if _, err := s.Extend(other.Links()); !errors.Is(err, chain.ErrForeign) {
		t.Errorf("extended by another person: %v", err)
	}
	next := must(a.Extend(certified(a, sign(a, key("B"), chain.DeviceClass{Device: id("X"), Class: 2, Chain: a.Next()}), "A", "B")))
	if got, err := s.Extend(next.Since(c)); err != nil || !got.Has(next) || got.Len() != 2 {
		t.Errorf("extended: %v", err)
	}
	unknown := chain.Link{Op: signAs(next, key("A"), chain.Type{Family: oplog.FamilyPolicy, Type: 1}, []byte{0xa0})}
	if got, err := s.Extend(append(next.Since(c), unknown)); !errors.Is(err, chain.ErrUnknown) || !got.Has(next) {
		t.Errorf("with an op that is none: %v", err)
	}
	if got, err := must(chain.SetOf(c)).Extend(next.Since(a)); !errors.Is(err, chain.ErrPlace) || got.Len() != 1 || !strings.Contains(err.Error(), "is not known") {
		t.Errorf("with a gap: %v", err)
	}
	bad := next.Since(c)
	bad[1].Votes = nil
	if got, err := must(chain.SetOf(c)).Extend(bad); !errors.Is(err, chain.ErrCertificate) || !got.Has(a) {
		t.Errorf("what was good before an error is not kept: %v", err)
	}
	var empty chain.Set
	if v := empty.Judge(); v.Chain != nil || v.Forked() || len(v.Devices()) != 0 {
		t.Error("an empty set comes to something")
	}
	if _, ok := empty.Judge().Box(); ok {
		t.Error("an empty set has a box")
	}
	if err := empty.Judge().Admits(c.Last().Op); err != nil {
		t.Errorf("an empty set refuses: %v", err)
	}
	if _, ok := must(chain.SetOf(c.At(c.User()))).Judge().Box(); ok {
		t.Error("a genesis has a user box key")
	}
}

// TestOffer: a store takes so many branches, and then only what beats them.
func TestOffer(t *testing.T) {
	t.Parallel()
	c := household([]string{"A", "B"}, nil)
	var s chain.Set
	branch := func(n int) *chain.Chain {
		return alone(c, "A", func(c *chain.Chain) any { return addOf(c, fmt.Sprint("x", n)) })
	}
	for n := range chain.MaxBranches {
		s = must(s.Offer(branch(n)))
	}
	for n := range 9 {
		if more := must(s.Offer(branch(chain.MaxBranches + n))); !more.Equal(s) || more.Len() != chain.MaxBranches {
			t.Fatalf("%d branches, of %d", more.Len(), s.Len())
		}
	}
	longer := alone(branch(0), "A", func(c *chain.Chain) any { return addOf(c, "y") })
	if s = must(s.Offer(longer)); !s.Has(longer) {
		t.Error("an op after a branch that is kept is not taken")
	}
	r := must(c.Extend(chain.Link{Op: sign(c, key("words"), resetOf(c, []string{"A"}, []string{"A"}))}))
	if s = must(s.Offer(r)); !s.Has(r) || s.Len() != chain.MaxBranches || s.Judge().Chain != r {
		t.Error("what beats all is not taken")
	}
}

// TestVerdict: what a verdict says of a fork and of who is gone.
func TestVerdict(t *testing.T) {
	t.Parallel()
	c := three(t)
	a, b := forked(c)
	v := must(chain.SetOf(a, b)).Judge()
	if !v.Forked() || v.Chain.Head() != c.Head() || !slices.Equal(v.Frozen(), ids("X", "Y")) {
		t.Errorf("fork %t, frozen %v", v.Forked(), v.Frozen())
	}
	if _, ok := v.Box(); ok {
		t.Error("a user box key in a fork")
	}
	if _, ok := v.Device(id("X")); ok {
		t.Error("a frozen device is served")
	}
	if d, ok := v.Device(id("D")); !ok || d.Box != box("D") {
		t.Error("a device of both branches is not served")
	}
	add := sign(a, key("B"), addOf(a, "Z"))
	if err := v.Admits(add); !errors.Is(err, chain.ErrRefused) {
		t.Errorf("a device op in a fork: %v", err)
	}
	m := mendOf(a, b, "B", "C", "D")
	if err := v.Admits(sign(a, key("B"), m)); err != nil {
		t.Errorf("a mend: %v", err)
	}
	m.One = digest("a third branch")
	if err := v.Admits(sign(a, key("B"), m)); !errors.Is(err, chain.ErrRefused) {
		t.Errorf("a mend on what there is not: %v", err)
	}
	m.One, m.Other = a.Head(), digest("a third branch")
	if err := v.Admits(sign(a, key("B"), m)); !errors.Is(err, chain.ErrRefused) {
		t.Errorf("a mend of what there is not: %v", err)
	}
	if err := v.Admits(sign(c, key("words"), resetOf(c, []string{"A"}, []string{"A"}))); err != nil {
		t.Errorf("a RESET: %v", err)
	}
	if err := v.Admits(signAs(c, key("A"), chain.Type{Family: 5, Type: 1}, []byte{0xa0})); !errors.Is(err, chain.ErrUnknown) {
		t.Errorf("no chain op: %v", err)
	}
	one := must(chain.SetOf(a)).Judge()
	if err := one.Admits(add); err != nil {
		t.Errorf("the next op: %v", err)
	}
	if err := one.Admits(sign(c, key("A"), addOf(c, "Z"))); !errors.Is(err, chain.ErrPlace) {
		t.Errorf("an op of an older place: %v", err)
	}
	if got, ok := one.Box(); !ok || got != a.State().Box {
		t.Error("no user box key")
	}
	if one.Frozen() != nil {
		t.Error("somebody is frozen without a fork")
	}

	// A RESET that follows an older copy brings back who was removed since: not here.
	home := household([]string{"A", "B", "C"}, nil)
	removed := alone(home, "A", func(c *chain.Chain) any { return removeOf(c, "C") })
	r := must(home.Extend(chain.Link{Op: sign(home, key("words"), resetOf(home, []string{"B", "C"}, []string{"B"}))}))
	set := must(chain.SetOf(removed, r))
	v = set.Judge()
	if v.Chain != r || !slices.Equal(v.Gone, ids("C")) || !set.RemovedAnywhere(id("C")) || set.RemovedAnywhere(id("B")) {
		t.Errorf("gone %v", v.Gone)
	}
	if _, ok := v.Device(id("C")); ok {
		t.Error("who is gone is served")
	}
	if _, ok := r.State().Device(id("C")); !ok {
		t.Error("the chain itself does not stand")
	}
}

// TestOldDeviceCannotKillANewSurvivor: who holds the keys of old voters can remove an old
// survivor on the branch that a RESET beat, but none that the RESET brought in.
func TestOldDeviceCannotKillANewSurvivor(t *testing.T) {
	t.Parallel()
	home := household([]string{"A", "B"}, nil)
	r := must(home.Extend(chain.Link{Op: sign(home, key("words"), resetOf(home, []string{"B", "N"}, []string{"N"}))}))
	ready := r.Last()
	body := must(chain.Decode(ready.Op)).(*chain.Reset)
	for _, s := range body.Survivors {
		if s.Ready == nil {
			continue
		}
		b := addOf(home, "N")
		b.Consent = *s.Ready
		if _, err := home.Extend(chain.Link{Op: sign(home, key("A"), b)}); !errors.Is(err, chain.ErrRefused) {
			t.Errorf("readiness is taken as a consent: %v", err)
		}
		b.Device, b.Box = s.Device, s.Box
		if _, err := home.Extend(chain.Link{Op: sign(home, key("A"), b)}); !errors.Is(err, chain.ErrRefused) {
			t.Errorf("readiness is taken as a consent: %v", err)
		}
	}
	x := alone(home, "A", func(c *chain.Chain) any { return removeOf(c, "B") })
	v := must(chain.SetOf(r, x)).Judge()
	if got := v.Devices(); len(got) != 1 || got[0].ID != id("N") {
		t.Errorf("devices %v, want N alone", got)
	}
}

// TestErrorsNameTheOp: what is refused says which op and why, in one line.
func TestErrorsNameTheOp(t *testing.T) {
	t.Parallel()
	c := begin("A")
	o := sign(c, key("A"), chain.DeviceClass{Device: id("B"), Class: 1, Chain: c.Next()})
	_, err := c.Extend(chain.Link{Op: o})
	if err == nil || !strings.Contains(err.Error(), o.ID().String()) || !strings.Contains(err.Error(), "3/10") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	var zero keys.ID
	if _, err := c.Extend(chain.Link{Op: sign(c, key("A"), chain.SetAnchor{Device: zero, Chain: c.Next()})}); err == nil {
		t.Error("nobody is the anchor")
	}
}
