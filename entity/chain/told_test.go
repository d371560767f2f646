package chain_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestTold holds the cases of testdata/told, which say how docs/protocol/me-chain.md comes
// out. A case is a household and what is written after it, an op a line:
//
//	household devices=(NAME,…) [voters=(NAME,…)]
//	LABEL: NAME VERB [after LABEL] [votes NAME …|none] [reset N] [seen]
//
// The first device began the person and made the others, which are alive; without voters
// it is the only one. The words are called "words". An op follows the line before it, the
// first one the household, which is called "home"; "after" says another place. It comes
// with votes of as many voters as it needs, the first by name; "votes" says others. "reset"
// forges the number. "seen" asks the verdict over all lines before it whether it lets the
// op come. The verbs:
//
//	adds NAME                                     device-add
//	removes NAME [naming NAME …] [anchor NAME]    device-remove
//	makes NAME CLASS                              device-class
//	elects NAME …                                 voters
//	anchors NAME                                  anchor
//	replaces words by NAME                        words, signed by the present ones
//	moves [by words]                              moved
//	resets to NAME … [voting NAME …]              RESET; its author is the name of words
//	mends LABEL LABEL [removing NAME …] [naming NAME …]
//
// The output is what was not accepted and why; then what all that was accepted comes to.
func TestTold(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/told", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return play(t, d)
		})
	})
}

// tale is one playing of a case.
type tale struct {
	t     *testing.T
	d     *datadriven.TestData
	set   chain.Set
	at    map[string]*chain.Chain
	label map[keys.Digest]string
	names map[string]string // the text of ids
	out   strings.Builder
	last  string
}

func play(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var devices, voters []string
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "devices":
			devices = arg.Vals
		case "voters":
			voters = arg.Vals
		}
	}
	home := household(devices, voters)
	s := &tale{
		t: t, d: d, set: must(chain.SetOf(home)), at: map[string]*chain.Chain{"home": home},
		label: map[keys.Digest]string{home.Head(): "home"}, names: map[string]string{}, last: "home",
	}
	for _, n := range []string{"A", "B", "C", "D", "E", "F", "G", "X", "Y", "Z", "words", "words2", "words3"} {
		s.names[id(n).String()] = n
	}
	s.names[digest("another person").String()] = "another person"
	for _, l := range home.Links() {
		s.names[l.Op.ID().String()] = "(before home)"
	}
	s.names[home.Head().String()] = "home"
	for line := range strings.Lines(d.Input) {
		s.line(strings.TrimSpace(line))
	}
	s.tell()
	return s.out.String()
}

// take takes what stands after a word, and the word, out of a line.
func take(words []string, key string) (before, after []string, ok bool) {
	i := slices.Index(words, key)
	if i < 0 {
		return words, nil, false
	}
	stop := []string{"after", "votes", "reset", "seen", "naming", "anchor", "voting", "removing", "by"}
	j := i + 1
	for j < len(words) && !slices.Contains(stop, words[j]) {
		j++
	}
	return slices.Concat(words[:i], words[j:]), words[i+1 : j], true
}

func (s *tale) line(line string) {
	label, rest, ok := strings.Cut(line, ": ")
	words := strings.Fields(rest)
	if !ok || len(words) < 2 {
		s.d.Fatalf(s.t, "%q is no op", line)
	}
	words, after, ok := take(words, "after")
	if !ok {
		after = []string{s.last}
	}
	words, votes, voted := take(words, "votes")
	words, forged, forges := take(words, "reset")
	words, _, seen := take(words, "seen")
	c := s.at[after[0]]
	if c == nil {
		s.d.Fatalf(s.t, "%q follows %s, which was not accepted", line, after[0])
	}
	o := s.op(c, words, forges, forged)
	s.names[o.ID().String()] = label
	var l chain.Link
	switch {
	case voted && votes[0] == "none":
		l = chain.Link{Op: o}
	case voted:
		l = certified(c, o, votes...)
	default:
		l = s.certify(c, o)
	}
	if seen {
		if err := s.set.Judge().Admits(o); err != nil {
			s.refused(label, err)
			return
		}
	}
	next, err := c.Extend(l)
	if err != nil {
		s.refused(label, err)
		return
	}
	s.at[label], s.label[o.ID()], s.last = next, label, label
	s.set = must(s.set.Add(next))
}

// certify votes for o in the name of just those whom it needs.
func (s *tale) certify(c *chain.Chain, o oplog.Op) chain.Link {
	var all []chain.Vote
	for _, n := range s.names {
		if len(n) == 1 {
			all = append(all, c.Vote(key(n), o))
		}
	}
	slices.SortFunc(all, compareVotes)
	l, err := c.Certify(o, all)
	if err != nil {
		return chain.Link{Op: o}
	}
	return l
}

func (s *tale) op(c *chain.Chain, words []string, forges bool, forged []string) oplog.Op {
	author, verb := words[0], words[1]
	rest := words[2:]
	link := c.Next()
	if forges {
		link.Reset = must(strconv.ParseUint(forged[0], 10, 64))
	}
	var body any
	switch verb {
	case "adds":
		b := addOf(c, rest[0])
		b.Chain = link
		body = b
	case "removes":
		rest, naming, _ := take(rest, "naming")
		rest, anchor, anchors := take(rest, "anchor")
		b := removeOf(c, rest[0])
		b.Voters, b.Ready, b.Anchor, b.Chain = ids(naming...), readiness(c, naming...), nil, link
		if anchors {
			b.Anchor = new(id(anchor[0]))
		}
		body = b
	case "makes":
		class := map[string]chain.Class{"phone": chain.Phone, "desktop": chain.Desktop, "server": chain.Server}[rest[1]]
		body = chain.DeviceClass{Device: id(rest[0]), Class: class, Chain: link}
	case "elects":
		b := votersOf(c, rest...)
		b.Chain = link
		body = b
	case "anchors":
		body = chain.SetAnchor{Device: id(rest[0]), Chain: link}
	case "replaces":
		b := wordsOf(c, s.names[c.State().Words.String()], rest[len(rest)-1])
		b.Chain = link
		body = b
	case "moves":
		b := movedOf(c, strings.Join(rest[min(1, len(rest)):], ""))
		b.Chain = link
		body = b
	case "resets":
		rest, voting, votes := take(rest, "voting")
		survivors := rest[1:]
		if !votes {
			voting = survivors[:1]
		}
		b := resetOf(c, survivors, voting)
		b.Chain = link
		body = b
	case "mends":
		rest, removing, _ := take(rest, "removing")
		rest, naming, _ := take(rest, "naming")
		one, other := s.at[rest[0]], s.at[rest[1]]
		b, _ := chain.Evidence(c, other)
		b.One, b.Other, b.Chain = one.Head(), other.Head(), link
		b.OneVotes, b.OtherVotes = one.Last().Votes, other.Last().Votes
		b.Devices = ids(removing...)
		if len(removing) > 0 {
			b.Cuts, b.Epoch = cuts(2, b.Devices...), new(epoch("mend"))
			b.Voters, b.Ready = ids(naming...), readiness(c, naming...)
			if slices.Contains(b.Devices, c.State().Anchor) {
				b.Anchor = new(id(author))
			}
		}
		body = b
	default:
		s.d.Fatalf(s.t, "no verb %q", verb)
	}
	return sign(c, key(author), body)
}

var kinds = map[error]string{
	chain.ErrFormat: "malformed", chain.ErrUnknown: "unknown", chain.ErrPlace: "not next", chain.ErrFull: "full",
	chain.ErrRefused: "refused", chain.ErrCertificate: "a proposal",
}

func (s *tale) refused(label string, err error) {
	kind := err.Error()
	for e, word := range kinds {
		if errors.Is(err, e) {
			kind = word
		}
	}
	text := err.Error()
	for long, short := range s.names {
		text = strings.ReplaceAll(text, long, short)
	}
	// chain: refused: 3/8 LABEL: why
	why := strings.SplitN(text, ": ", 4)
	fmt.Fprintf(&s.out, "%s: %s: %s\n", label, kind, why[len(why)-1])
}

func (s *tale) name(id fmt.Stringer) string { return s.names[id.String()] }

func (s *tale) tell() {
	v := s.set.Judge()
	heads := func(list []*chain.Chain) string {
		var names []string
		for _, c := range list {
			names = append(names, s.label[c.Head()])
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	st := v.Chain.State()
	if v.Forked() {
		at := s.label[v.Chain.Head()]
		fmt.Fprintf(&s.out, "fork after %s: %s", at, heads(v.Fork))
		if v.ByReset {
			s.out.WriteString(", a RESET ends it")
		}
		s.out.WriteString("\n")
	} else {
		fmt.Fprintf(&s.out, "furthest: %s, reset %d\n", s.label[v.Chain.Head()], st.Reset())
	}
	var devices []string
	for _, d := range v.Devices() {
		n := s.name(d.ID)
		if !d.Alive {
			n += "(new)"
		}
		devices = append(devices, n)
	}
	fmt.Fprintf(&s.out, "devices: %s\n", strings.Join(devices, " "))
	if !v.Forked() {
		var voters []string
		for _, id := range st.Voters {
			voters = append(voters, s.name(id))
		}
		slices.Sort(voters)
		fmt.Fprintf(&s.out, "voters: %s; anchor %s\n", strings.Join(voters, " "), s.name(st.Anchor))
		if w := s.name(st.Words); w != "words" {
			fmt.Fprintf(&s.out, "words: %s\n", w)
		}
		if st.Moved != nil {
			s.out.WriteString("moved\n")
		}
	}
	several := func(what string, list []keys.ID) {
		var names []string
		for _, id := range list {
			names = append(names, s.name(id))
		}
		slices.Sort(names)
		if len(names) > 0 {
			fmt.Fprintf(&s.out, "%s: %s\n", what, strings.Join(names, " "))
		}
	}
	several("frozen", v.Frozen())
	several("gone", v.Gone)
}
