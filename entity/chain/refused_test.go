package chain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestRefused has an op for each check: all is right in it but one thing.
func TestRefused(t *testing.T) {
	t.Parallel()
	one := household([]string{"A", "B", "C"}, nil)
	trio := three(t)
	stranger := household([]string{"X", "B"}, nil)
	removed := alone(one, "A", func(c *chain.Chain) any { return removeOf(c, "C") })
	renewed := alone(one, "A", func(c *chain.Chain) any { return wordsOf(c, "words", "words2") })
	young := alone(one, "A", func(c *chain.Chain) any { return addOf(c, "D") }) // D is not alive
	full := one
	for n := 'a'; n < 'a'+chain.MaxDevices-3; n++ {
		full = alone(full, "A", func(c *chain.Chain) any { return addOf(c, string(n)) })
	}
	lowOrder := keys.BoxID{1}
	sig := func(s keys.Signature) keys.Signature { s[9] ^= 1; return s }
	by := func(c *chain.Chain, name string, body any, votes ...string) chain.Link {
		return certified(c, sign(c, key(name), body), votes...)
	}
	add := func(c *chain.Chain, f func(*chain.DeviceAdd)) chain.Link {
		b := addOf(c, "E")
		f(&b)
		return by(c, "A", b)
	}
	remove := func(c *chain.Chain, name string, f func(*chain.DeviceRemove), votes ...string) chain.Link {
		b := removeOf(c, name, "A", "B", "D")
		b.Anchor = nil
		f(&b)
		return by(c, "A", b, votes...)
	}
	elect := func(c *chain.Chain, f func(*chain.SetVoters)) chain.Link {
		b := votersOf(c, "B")
		f(&b)
		return by(c, "A", b)
	}
	reset := func(c *chain.Chain, f func(*chain.Reset)) chain.Link {
		b := resetOf(c, []string{"A", "E"}, []string{"E"})
		f(&b)
		return by(c, "words", b)
	}
	survivor := func(b *chain.Reset, name string) *chain.Survivor {
		return &b.Survivors[slices.IndexFunc(b.Survivors, func(s chain.Survivor) bool { return s.Device == id(name) })]
	}
	elsewhere := func(entity, user keys.Digest) chain.Link {
		return chain.Link{Op: must(oplog.Sign(key("A"), oplog.Draft{
			Entity: entity, User: user, Strand: oplog.Control, Family: oplog.FamilyMember, Type: 8, At: at,
			Parents: []keys.Digest{one.Head()}, Body: keys.Marshal(addOf(one, "E")),
		}))}
	}
	a, b := forked(trio)
	mend := func(f func(*chain.Mend), votes ...string) chain.Link {
		m := mendOf(a, b, "B", "C", "D")
		f(&m)
		return by(a, "B", m, votes...)
	}
	lapsed := must(a.Extend(by(a, "words", resetOf(a, []string{"A", "B", "C", "D"}, []string{"A", "B", "C"}))))
	genesis := func(f func(*chain.Genesis), name string) chain.Link {
		g := chain.Genesis{Kind: 1, Words: id("words"), Class: chain.Desktop, Box: box("A")}
		f(&g)
		return chain.Link{Op: sign(nil, key(name), g)}
	}
	born := must(chain.Start(genesis(func(*chain.Genesis) {}, "A")))
	first := func(f func(*chain.FirstEpoch)) chain.Link {
		b := chain.FirstEpoch{Commitment: digest("first"), Depth: 1, UserBox: box("user"), Chain: born.Next()}
		f(&b)
		return by(born, "A", b)
	}

	for _, c := range []struct {
		name string
		at   *chain.Chain
		link chain.Link
		kind error  // nil if it is taken
		why  string // part of the reason
	}{
		{"genesis", nil, genesis(func(*chain.Genesis) {}, "A"), nil, ""},
		{"genesis of another kind", nil, genesis(func(g *chain.Genesis) { g.Kind = 4 }, "A"), chain.ErrFormat, "kind 4"},
		{"genesis without words", nil, genesis(func(g *chain.Genesis) { g.Words = keys.ID{} }, "A"), chain.ErrFormat, "without words"},
		{"genesis without class", nil, genesis(func(g *chain.Genesis) { g.Class = 0 }, "A"), chain.ErrFormat, "without words or class"},
		{"genesis with a box of low order", nil, genesis(func(g *chain.Genesis) { g.Box = lowOrder }, "A"), chain.ErrFormat, "low order"},
		{"genesis with a vote", nil, chain.Link{Op: genesis(func(*chain.Genesis) {}, "A").Op, Votes: []chain.Vote{{}}}, chain.ErrCertificate, "1 votes, want 0"},
		{"genesis of a person who is", nil, chain.Link{Op: must(oplog.Sign(key("A"), oplog.Draft{
			User: digest("somebody"), Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: 1, At: at,
			Body: keys.Marshal(chain.Genesis{Kind: 1, Words: id("words"), Class: 2, Box: box("A")}),
		}))}, chain.ErrRefused, "a person who is already"},
		{"no genesis", nil, add(one, func(*chain.DeviceAdd) {}), chain.ErrPlace, "before the genesis"},
		{"second genesis", one, genesis(func(*chain.Genesis) {}, "A"), chain.ErrPlace, "second genesis"},

		{"first epoch", born, first(func(*chain.FirstEpoch) {}), nil, ""},
		{"first epoch of depth 2", born, first(func(b *chain.FirstEpoch) { b.Depth = 2 }), chain.ErrFormat, "depth 2"},
		{"first epoch that replaces", born, first(func(b *chain.FirstEpoch) { b.Replaces = []keys.Digest{{1}} }), chain.ErrFormat, "replaces 1"},
		{"first epoch without commitment", born, first(func(b *chain.FirstEpoch) { b.Commitment = keys.Digest{} }), chain.ErrFormat, "commitment"},
		{"first epoch without user box", born, first(func(b *chain.FirstEpoch) { b.UserBox = keys.BoxID{} }), chain.ErrFormat, "low order"},
		{"an add before the first epoch", born, add(born, func(*chain.DeviceAdd) {}), chain.ErrPlace, "follows the genesis"},
		{"a RESET before the first epoch", born, reset(born, func(*chain.Reset) {}), chain.ErrPlace, "follows the genesis"},
		{"first epoch again", one, by(one, "A", chain.FirstEpoch{Commitment: digest("x"), Depth: 1, UserBox: box("u"), Chain: one.Next()}), chain.ErrPlace, "follows the genesis"},

		{"of another person", one, by(stranger, "A", addOf(one, "E")), chain.ErrPlace, "of another person"},
		{"of another entity", one, elsewhere(stranger.User(), one.User()), chain.ErrPlace, "of another person"},
		{"of another user", one, elsewhere(one.User(), stranger.User()), chain.ErrPlace, "of another person"},
		{"of one's own", one, elsewhere(one.User(), one.User()), nil, ""},
		{"not after the head", one, add(one, func(b *chain.DeviceAdd) { b.Chain = one.Before().Next() }), chain.ErrPlace, "the head is"},
		{"with a number ahead", one, add(one, func(b *chain.DeviceAdd) { b.Chain.Reset++ }), chain.ErrPlace, "reset 1, want 0"},
		{"with a number behind", renewed, add(renewed, func(b *chain.DeviceAdd) { b.Chain.Reset-- }), chain.ErrPlace, "reset 0, want 1"},
		{"RESET with a number ahead", one, reset(one, func(b *chain.Reset) { b.Chain.Reset++ }), chain.ErrPlace, "reset 1, want 0"},
		{"of another type", one, chain.Link{Op: signAs(one, key("A"), chain.Type{Family: oplog.FamilyMember, Type: 99}, []byte{0xa0})}, chain.ErrUnknown, "3/99"},
		{"of a type of another family", one, chain.Link{Op: signAs(one, key("A"), chain.Type{Family: oplog.FamilyMaster, Type: 1}, []byte{0xa0})}, chain.ErrUnknown, "2/1"},
		{"with another body", one, chain.Link{Op: signAs(one, key("A"), chain.Type{Family: oplog.FamilyMember, Type: 8}, []byte{0xa0})}, chain.ErrFormat, "not deterministic"},
		{"too large", one, by(one, "A", func() any {
			b := removeOf(one, "C")
			for len(keys.Marshal(b)) < chain.MaxOp {
				b.Cuts = append(b.Cuts, b.Cuts...)
			}
			return b
		}()), chain.ErrFormat, "bytes"},
		{"by nobody of the set", one, by(one, "E", addOf(one, "E"), "A"), chain.ErrRefused, "not in the set"},
		{"by a device that was removed", removed, by(removed, "C", addOf(removed, "E"), "A"), chain.ErrRefused, "not in the set"},
		{"by the words", one, by(one, "words", addOf(one, "E"), "A"), chain.ErrRefused, "not in the set"},

		{"add", one, add(one, func(*chain.DeviceAdd) {}), nil, ""},
		{"add of nobody", one, add(one, func(b *chain.DeviceAdd) { b.Device = keys.ID{} }), chain.ErrFormat, "without device"},
		{"add without class", one, add(one, func(b *chain.DeviceAdd) { b.Class = 0 }), chain.ErrFormat, "without device or class"},
		{"add of a later class", one, add(one, func(b *chain.DeviceAdd) { b.Class = 200 }), nil, ""},
		{"add of a voter's weight", one, add(one, func(b *chain.DeviceAdd) { b.Weight = chain.Voter }), chain.ErrFormat, "weight 2"},
		{"add with a box of low order", one, add(one, func(b *chain.DeviceAdd) { b.Box = lowOrder }), chain.ErrFormat, "low order"},
		{"add of one in the set", one, by(one, "A", addOf(one, "B")), chain.ErrRefused, "in the set"},
		{"add of one removed", removed, by(removed, "A", addOf(removed, "C")), chain.ErrRefused, "was removed"},
		{"add to 32", full, add(full, func(*chain.DeviceAdd) {}), chain.ErrRefused, "32 devices"},
		{"add without consent", one, add(one, func(b *chain.DeviceAdd) { b.Consent = sig(b.Consent) }), chain.ErrRefused, "consent"},
		{"add with the consent to another person", one, add(one, func(b *chain.DeviceAdd) { b.Consent = addOf(stranger, "E").Consent }), chain.ErrRefused, "consent"},
		{"add with another box than consented", one, add(one, func(b *chain.DeviceAdd) { b.Box = box("Z") }), chain.ErrRefused, "consent"},
		{"add with the consent of another", one, add(one, func(b *chain.DeviceAdd) { b.Consent = addOf(one, "F").Consent }), chain.ErrRefused, "consent"},

		{"remove", trio, remove(trio, "C", func(*chain.DeviceRemove) {}, "A", "B"), nil, ""},
		{"remove of nobody", trio, remove(trio, "E", func(*chain.DeviceRemove) {}, "A", "B"), chain.ErrRefused, "not in the set"},
		{"remove of itself", trio, by(trio, "C", removeOf(trio, "C", "A", "B", "D"), "A", "B"), chain.ErrRefused, "the device itself"},
		{"remove of the last voter", one, by(one, "B", func() any { b := removeOf(one, "A", "B"); return b }(), "A"), chain.ErrRefused, "the last voter"},
		{"remove with a first epoch", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Epoch.Depth = 1 }), chain.ErrFormat, "depth 1"},
		{"remove with an epoch that replaces none", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Epoch.Replaces = nil }), chain.ErrFormat, "replaces 0"},
		{"remove with an epoch that replaces zero", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Epoch.Replaces = []keys.Digest{{}} }), chain.ErrFormat, "list of those"},
		{"remove with an epoch that replaces twice", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Epoch.Replaces = []keys.Digest{{1}, {1}} }), chain.ErrFormat, "list of those"},
		{"remove with an epoch that replaces 17", one, remove(one, "C", func(b *chain.DeviceRemove) {
			b.Epoch.Replaces = nil
			for i := range 17 {
				b.Epoch.Replaces = append(b.Epoch.Replaces, keys.Digest{byte(i + 1)})
			}
		}), chain.ErrFormat, "list of those"},
		{"remove with an epoch without commitment", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Epoch.Commitment = keys.Digest{} }), chain.ErrFormat, "commitment"},
		{"remove with an epoch with boxes and no count", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Epoch.Count = 0 }), chain.ErrFormat, "boxes and no count"},
		{"remove with an epoch of a bad user box", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Epoch.UserBox = lowOrder }), chain.ErrFormat, "low order"},
		{"remove with a cut missing", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Cuts = b.Cuts[1:] }), chain.ErrRefused, "both strands"},
		{"remove without cuts", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Cuts = nil }), chain.ErrRefused, "0 cuts"},
		{"remove with cuts of two", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Cuts = cuts(1, id("C"), id("B")) }), chain.ErrRefused, "4 cuts for 1"},
		{"remove with cuts of another", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Cuts = cuts(1, id("B")) }), chain.ErrRefused, "which does not go"},
		{"remove with one strand twice", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Cuts[1].Strand = oplog.Control }), chain.ErrRefused, "not ascending"},
		{"remove with a third strand", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Cuts[1].Strand = 3 }), chain.ErrRefused, "both strands"},
		{"remove with strands the other way round", one, remove(one, "C", func(b *chain.DeviceRemove) { slices.Reverse(b.Cuts) }), chain.ErrRefused, "not ascending"},
		{"remove with strands of two devices", one, remove(one, "C", func(b *chain.DeviceRemove) {
			pair := ids("B", "C")
			b.Cuts[0].Device, b.Cuts[1].Device = pair[0], pair[1]
		}), chain.ErrRefused, "both strands"},
		{"remove with a cut beyond all ops", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Cuts[0].Count = chain.MaxCount + 1 }), chain.ErrRefused, "too many ops"},
		{"remove with cuts of none", one, remove(one, "C", func(b *chain.DeviceRemove) { b.Cuts = cuts(0, id("C")) }), nil, ""},
		{"remove of a voter without voters", trio, remove(trio, "C", func(b *chain.DeviceRemove) { b.Voters, b.Ready = nil, nil }, "A", "B"), chain.ErrRefused, "0 voters"},
		{"remove of a voter that goes on voting", trio, remove(trio, "C", func(b *chain.DeviceRemove) { b.Voters, b.Ready = ids("A", "B", "C"), nil }, "A", "B"), chain.ErrRefused, "not in the set"},
		{"remove of a learner with voters", trio, remove(trio, "D", func(b *chain.DeviceRemove) { b.Voters = ids("A") }, "A", "B"), chain.ErrRefused, "none goes"},
		{"remove of a learner with readiness", trio, remove(trio, "D", func(b *chain.DeviceRemove) { b.Ready = readiness(trio, "D") }, "A", "B"), chain.ErrRefused, "none goes"},
		{"remove of the anchor without another", trio, by(trio, "B", func() any { b := removeOf(trio, "A", "B"); b.Anchor = nil; return b }(), "B", "C"), chain.ErrRefused, "no other is named"},
		{"remove of the anchor that stays it", trio, by(trio, "B", func() any { b := removeOf(trio, "A", "B"); b.Anchor = new(id("A")); return b }(), "B", "C"), chain.ErrRefused, "not in the set"},
		{"remove of another with an anchor", trio, remove(trio, "C", func(b *chain.DeviceRemove) { b.Anchor = new(id("B")) }, "A", "B"), chain.ErrRefused, "does not go"},

		{"class", one, by(one, "A", chain.DeviceClass{Device: id("B"), Class: 1, Chain: one.Next()}), nil, ""},
		{"no class", one, by(one, "A", chain.DeviceClass{Device: id("B"), Chain: one.Next()}), chain.ErrFormat, "without class"},
		{"class of nobody", one, by(one, "A", chain.DeviceClass{Device: id("E"), Class: 1, Chain: one.Next()}), chain.ErrRefused, "not in the set"},
		{"class as it is", one, by(one, "A", chain.DeviceClass{Device: id("B"), Class: 2, Chain: one.Next()}), chain.ErrRefused, "alive"},

		{"voters", one, elect(one, func(*chain.SetVoters) {}), nil, ""},
		{"voters as they are", one, elect(one, func(b *chain.SetVoters) { b.Voters, b.Ready = ids("A"), nil }), chain.ErrRefused, "as they are"},
		{"no voters", one, elect(one, func(b *chain.SetVoters) { b.Voters, b.Ready = nil, nil }), chain.ErrRefused, "0 voters"},
		{"two voters", one, elect(one, func(b *chain.SetVoters) { *b = votersOf(one, "A", "B") }), chain.ErrRefused, "2 voters"},
		{"a voter three times", one, elect(one, func(b *chain.SetVoters) { b.Voters = []keys.ID{id("B"), id("B"), id("B")} }), chain.ErrRefused, "not ascending"},
		{"voters the other way round", one, elect(one, func(b *chain.SetVoters) { *b = votersOf(one, "A", "B", "C"); slices.Reverse(b.Voters) }), chain.ErrRefused, "not ascending"},
		{"those ready the other way round", one, elect(one, func(b *chain.SetVoters) { *b = votersOf(one, "A", "B", "C"); slices.Reverse(b.Ready) }), chain.ErrRefused, "not ascending"},
		{"voters of outside", one, elect(one, func(b *chain.SetVoters) { *b = votersOf(one, "E") }), chain.ErrRefused, "not in the set"},
		{"voters not alive", young, elect(young, func(b *chain.SetVoters) { *b = votersOf(young, "D") }), chain.ErrRefused, "not alive"},
		{"voters not ready", one, elect(one, func(b *chain.SetVoters) { b.Ready = nil }), chain.ErrRefused, "not ready"},
		{"voters ready elsewhere", one, elect(one, func(b *chain.SetVoters) { b.Ready = readiness(one.Before(), "B") }), chain.ErrRefused, "not ready"},
		{"voters ready in another's name", one, elect(one, func(b *chain.SetVoters) { b.Ready[0].Sig = one.Ready(key("C"), box("B")).Sig }), chain.ErrRefused, "not ready"},
		{"voters ready under another's name", one, elect(one, func(b *chain.SetVoters) { b.Ready[0].Device = id("C") }), chain.ErrRefused, "not ready"},
		{"voters ready with another box", one, elect(one, func(b *chain.SetVoters) { b.Ready[0] = one.Ready(key("B"), box("C")) }), chain.ErrRefused, "not ready"},
		{"somebody ready besides", one, elect(one, func(b *chain.SetVoters) {
			b.Ready = append(b.Ready, one.Ready(key("C"), box("C")))
			slices.SortFunc(b.Ready, compareVotes)
		}), chain.ErrRefused, "ready"},
		{"a voter ready that was one", one, elect(one, func(b *chain.SetVoters) {
			*b = votersOf(one, "A", "B", "C")
			b.Ready = append(b.Ready, one.Ready(key("A"), box("A")))
			slices.SortFunc(b.Ready, compareVotes)
		}), chain.ErrRefused, "ready"},

		{"anchor", one, by(one, "A", chain.SetAnchor{Device: id("B"), Chain: one.Next()}), nil, ""},
		{"anchor as it is", one, by(one, "A", chain.SetAnchor{Device: id("A"), Chain: one.Next()}), chain.ErrRefused, "is the anchor"},
		{"anchor outside", one, by(one, "A", chain.SetAnchor{Device: id("E"), Chain: one.Next()}), chain.ErrRefused, "not in the set"},
		{"anchor not alive", young, by(young, "A", chain.SetAnchor{Device: id("D"), Chain: young.Next()}), chain.ErrRefused, "not alive"},

		{"no new words", one, by(one, "A", func() any { b := wordsOf(one, "words", "words2"); b.Words = keys.ID{}; return b }()), chain.ErrFormat, "without words"},
		{"the same words", one, by(one, "A", wordsOf(one, "words", "words")), chain.ErrRefused, "are, or were"},
		{"words that were", renewed, by(renewed, "A", wordsOf(renewed, "words2", "words")), chain.ErrRefused, "are, or were"},
		{"words by others", one, by(one, "A", wordsOf(one, "words3", "words2")), chain.ErrRefused, "without the old words"},
		{"words by a signature of another place", one, by(one, "A", func() any {
			b := wordsOf(one, "words", "words2")
			b.Sig = one.Before().SignWords(key("words"), id("words2"))
			return b
		}()), chain.ErrRefused, "without the old words"},
		{"words by a signature for other words", one, by(one, "A", func() any {
			b := wordsOf(one, "words", "words2")
			b.Sig = one.SignWords(key("words"), id("words3"))
			return b
		}()), chain.ErrRefused, "without the old words"},
		{"words without the voters", trio, by(trio, "A", wordsOf(trio, "words", "words2"), "A"), chain.ErrCertificate, "1 votes of 3"},

		{"moved to nobody", one, by(one, "A", func() any { b := movedOf(one, "words"); b.To = keys.Digest{}; return b }()), chain.ErrFormat, "to nobody"},
		{"moved to no head", one, by(one, "A", func() any { b := movedOf(one, "words"); b.Head = keys.Digest{}; return b }()), chain.ErrFormat, "to nobody"},
		{"moved to itself", one, by(one, "A", func() any {
			b := movedOf(one, "words")
			b.To = one.User()
			b.Sig = new(one.SignMoved(key("words"), b.To, b.Head))
			return b
		}()), chain.ErrRefused, "the same person"},
		{"moved by one voter", one, by(one, "A", movedOf(one, "")), chain.ErrRefused, "by 1 voters"},
		{"moved by other words", one, by(one, "A", movedOf(one, "words2")), chain.ErrRefused, "without the words"},
		{"moved by other words, with three voters", trio, by(trio, "A", movedOf(trio, "words2"), "A", "B"), chain.ErrRefused, "without the words"},
		{"moved by a signature of another place", one, by(one, "A", func() any {
			b := movedOf(one, "words")
			b.Sig = new(one.Before().SignMoved(key("words"), b.To, b.Head))
			return b
		}()), chain.ErrRefused, "without the words"},
		{"moved with a signature that is for new words", one, by(one, "A", func() any {
			b := movedOf(one, "words")
			b.Sig = new(wordsOf(one, "words", "words2").Sig)
			return b
		}()), chain.ErrRefused, "without the words"},

		{"RESET", one, reset(one, func(*chain.Reset) {}), nil, ""},
		{"RESET by a device", one, chain.Link{Op: sign(one, key("A"), resetOf(one, []string{"A"}, []string{"A"}))}, chain.ErrRefused, "not by the words"},
		{"RESET by words that were", renewed, by(renewed, "words", resetOf(renewed, []string{"A"}, []string{"A"})), chain.ErrRefused, "not by the words"},
		{"RESET with no survivor", one, reset(one, func(b *chain.Reset) { b.Survivors = nil }), chain.ErrFormat, "0 survivors"},
		{"RESET with 33", one, reset(one, func(b *chain.Reset) {
			for i := range 31 {
				b.Survivors = append(b.Survivors, chain.Survivor{Device: keys.ID{byte(i)}, Class: 1, Box: box("x")})
			}
		}), chain.ErrFormat, "33 survivors"},
		{"RESET with survivors the other way round", one, reset(one, func(b *chain.Reset) { slices.Reverse(b.Survivors) }), chain.ErrFormat, "not ascending"},
		{"RESET with a survivor twice", one, reset(one, func(b *chain.Reset) { b.Survivors = append(b.Survivors, b.Survivors[1]) }), chain.ErrFormat, "not ascending"},
		{"RESET with nobody surviving", one, reset(one, func(b *chain.Reset) { b.Survivors[0].Device = keys.ID{} }), chain.ErrFormat, "without device"},
		{"RESET with a survivor without class", one, reset(one, func(b *chain.Reset) { b.Survivors[0].Class = 0 }), chain.ErrFormat, "without device or class"},
		{"RESET with a survivor with a bad box", one, reset(one, func(b *chain.Reset) { b.Survivors[0].Box = lowOrder }), chain.ErrFormat, "low order"},
		{"RESET with a bad epoch", one, reset(one, func(b *chain.Reset) { b.Epoch.Depth = 1 }), chain.ErrFormat, "depth 1"},
		{"RESET with a survivor removed", removed, by(removed, "words", resetOf(removed, []string{"A", "C"}, []string{"A"})), chain.ErrRefused, "was removed"},
		{"RESET that changes a box", one, reset(one, func(b *chain.Reset) { survivor(b, "A").Box = box("Z") }), chain.ErrRefused, "another box"},
		{"RESET with a new device not ready", one, reset(one, func(b *chain.Reset) { survivor(b, "E").Ready = nil }), chain.ErrRefused, "not ready"},
		{"RESET with a new device ready elsewhere", one, reset(one, func(b *chain.Reset) {
			survivor(b, "E").Ready = new(one.Before().Ready(key("E"), box("E")).Sig)
		}), chain.ErrRefused, "bad signature"},
		{"RESET with the consent of a new device", one, reset(one, func(b *chain.Reset) { survivor(b, "E").Ready = new(addOf(one, "E").Consent) }), chain.ErrRefused, "bad signature"},
		{"RESET with a new voter not ready", one, reset(one, func(b *chain.Reset) {
			*b = resetOf(one, []string{"A", "B"}, []string{"B"})
			survivor(b, "B").Ready = nil
		}), chain.ErrRefused, "not ready"},
		{"RESET with an old one ready for nothing", one, reset(one, func(b *chain.Reset) { survivor(b, "A").Ready = new(one.Ready(key("A"), box("A")).Sig) }), chain.ErrRefused, "ready for nothing"},
		{"RESET without a cut of who goes", one, reset(one, func(b *chain.Reset) { b.Cuts = b.Cuts[2:] }), chain.ErrRefused, "no cut of"},
		{"RESET with half a cut", one, reset(one, func(b *chain.Reset) { b.Cuts = b.Cuts[:3] }), chain.ErrFormat, "cuts"},
		{"RESET with a cut of who stays", one, reset(one, func(b *chain.Reset) {
			b.Cuts = append(b.Cuts, cuts(1, id("A"))...)
			slices.SortFunc(b.Cuts, compareCuts)
		}), chain.ErrRefused, "which survives"},
		{"RESET with a cut of a device of another branch", one, reset(one, func(b *chain.Reset) {
			b.Cuts = append(b.Cuts, cuts(1, id("Z"))...)
			slices.SortFunc(b.Cuts, compareCuts)
		}), nil, ""},
		{"RESET with 130 cuts", one, reset(one, func(b *chain.Reset) {
			for i := range 63 {
				b.Cuts = append(b.Cuts, cuts(1, keys.ID{byte(i), 1})...)
			}
			slices.SortFunc(b.Cuts, compareCuts)
		}), chain.ErrFormat, "cuts"},
		{"RESET with a voter of outside", one, reset(one, func(b *chain.Reset) { b.Voters = ids("B") }), chain.ErrRefused, "not in the set"},
		{"RESET with two voters", one, reset(one, func(b *chain.Reset) { *b = resetOf(one, []string{"A", "E"}, []string{"A", "E"}) }), chain.ErrRefused, "2 voters"},
		{"RESET with voters the other way round", one, reset(one, func(b *chain.Reset) {
			*b = resetOf(one, []string{"A", "B", "C"}, []string{"A", "B", "C"})
			slices.Reverse(b.Voters)
		}), chain.ErrRefused, "not ascending"},
		{"RESET with an anchor of outside", one, reset(one, func(b *chain.Reset) { b.Anchor = id("B") }), chain.ErrRefused, "anchor"},
		{"RESET with an anchor not alive", young, by(young, "words", func() any {
			b := resetOf(young, []string{"A", "D"}, []string{"A"})
			b.Anchor = id("D")
			return b
		}()), chain.ErrRefused, "anchor"},
		{"RESET with a vote", one, certified(one, reset(one, func(*chain.Reset) {}).Op, "A"), chain.ErrCertificate, "1 votes, want 0"},

		{"mend", a, mend(func(*chain.Mend) {}, "B", "C"), nil, ""},
		{"mend of one op", a, mend(func(m *chain.Mend) { m.Other, m.OtherVotes = m.One, m.OneVotes }, "B", "C"), chain.ErrFormat, "no fork"},
		{"mend of an op that is not there", a, mend(func(m *chain.Mend) {
			m.One, m.OneVotes, m.Other, m.OtherVotes = m.Other, m.OtherVotes, m.One, m.OneVotes
		}, "B", "C"), chain.ErrRefused, "no op of this branch"},
		{"mend of the genesis", a, mend(func(m *chain.Mend) { m.One = a.User() }, "B", "C"), chain.ErrRefused, "no op of this branch"},
		{"mend with few votes for one", a, mend(func(m *chain.Mend) { m.OneVotes = m.OneVotes[:1] }, "B", "C"), chain.ErrRefused, "votes for one"},
		{"mend with few votes for the other", a, mend(func(m *chain.Mend) { m.OtherVotes = m.OtherVotes[:1] }, "B", "C"), chain.ErrRefused, "votes for the other"},
		{"mend with forged votes for the other", a, mend(func(m *chain.Mend) { m.OtherVotes[1].Sig = sig(m.OtherVotes[1].Sig) }, "B", "C"), chain.ErrRefused, "votes for the other"},
		{"mend with votes for one that are for the other", a, mend(func(m *chain.Mend) { m.OtherVotes = m.OneVotes }, "B", "C"), chain.ErrRefused, "votes for the other"},
		{"mend that spares who voted twice", a, mend(func(m *chain.Mend) {
			m.Devices, m.Cuts, m.Epoch, m.Voters, m.Ready, m.Anchor = nil, nil, nil, nil, nil, nil
		}, "B", "C"), chain.ErrRefused, "voted twice"},
		{"mend with devices twice", a, mend(func(m *chain.Mend) { m.Devices = append(m.Devices, m.Devices...) }, "B", "C"), chain.ErrFormat, "not ascending"},
		{"mend without epoch", a, mend(func(m *chain.Mend) { m.Epoch = nil }, "B", "C"), chain.ErrFormat, "an epoch begins: false"},
		{"mend with a bad epoch", a, mend(func(m *chain.Mend) { m.Epoch.Depth = 1 }, "B", "C"), chain.ErrFormat, "depth 1"},
		{"mend of a device of outside", a, mend(func(m *chain.Mend) { m.Devices = ids("A", "Z"); m.Cuts = cuts(1, m.Devices...) }, "B", "C"), chain.ErrRefused, "not in the set"},
		{"mend without cuts", a, mend(func(m *chain.Mend) { m.Cuts = nil }, "B", "C"), chain.ErrRefused, "0 cuts"},
		{"mend without voters", a, mend(func(m *chain.Mend) { m.Voters, m.Ready = nil, nil }, "B", "C"), chain.ErrRefused, "0 voters"},
		{"mend without anchor", a, mend(func(m *chain.Mend) { m.Anchor = nil }, "B", "C"), chain.ErrRefused, "the anchor goes"},
		{"mend by who goes", a, by(a, "A", mendOf(a, b, "B", "C", "D"), "B", "C"), chain.ErrRefused, "by a device that goes"},
		{"mend by one vote", a, mend(func(*chain.Mend) {}, "B"), chain.ErrCertificate, "1 votes of 3"},
		{"mend by who voted twice", a, mend(func(*chain.Mend) {}, "A", "B"), chain.ErrCertificate, "which has none"},
		{"mend by a learner", a, mend(func(*chain.Mend) {}, "B", "D"), chain.ErrCertificate, "which has none"},
		{"mend by who else goes", a, mend(func(m *chain.Mend) {
			m.Devices = ids("A", "C")
			m.Cuts, m.Voters, m.Ready = cuts(1, m.Devices...), ids("B"), nil
		}, "B", "C"), chain.ErrCertificate, "which has none"},
		{"mend after a RESET", lapsed, by(lapsed, "B", func() any {
			m := mendOf(a, b, "B", "C", "D")
			m.Chain, m.Ready = lapsed.Next(), readiness(lapsed, "D")
			return m
		}(), "B", "C"), chain.ErrRefused, "a RESET stands after"},
		{"mend of a fork of one voter", one, by(one, "A", chain.Mend{One: one.Head(), Other: digest("x"), Chain: one.Next()}), chain.ErrRefused, "a fork of 1 voters"},

		{"no vote", trio, by(trio, "A", addOf(trio, "E")), chain.ErrCertificate, "0 votes of 3"},
		{"its author's vote alone", trio, by(trio, "A", addOf(trio, "E"), "A"), chain.ErrCertificate, "1 votes of 3"},
		{"more votes than needed", trio, by(trio, "A", addOf(trio, "E"), "A", "B", "C"), chain.ErrCertificate, "3 votes, want 2"},
		{"a vote twice", trio, by(trio, "A", addOf(trio, "E"), "A", "A"), chain.ErrCertificate, "not ascending"},
		{"votes the other way round", trio, func() chain.Link { l := by(trio, "A", addOf(trio, "E"), "A", "B"); slices.Reverse(l.Votes); return l }(), chain.ErrCertificate, "not ascending"},
		{"the vote of a learner", trio, by(trio, "A", addOf(trio, "E"), "A", "D"), chain.ErrCertificate, "which has none"},
		{"a forged vote", trio, func() chain.Link {
			l := by(trio, "A", addOf(trio, "E"), "A", "B")
			l.Votes[1].Sig = sig(l.Votes[1].Sig)
			return l
		}(), chain.ErrCertificate, "bad signature"},
		{"a vote for another op", trio, func() chain.Link {
			l := by(trio, "A", addOf(trio, "E"), "A", "B")
			l.Votes[0] = by(trio, "A", addOf(trio, "F"), "A", "B").Votes[0]
			return l
		}(), chain.ErrCertificate, "bad signature"},
		{"a vote for another place", trio, func() chain.Link {
			l := by(trio, "A", addOf(trio, "E"), "A", "B")
			l.Votes = certified(trio.Before(), l.Op, "A", "B").Votes
			return l
		}(), chain.ErrCertificate, "bad signature"},
		{"a vote under another number", renewedTrio(trio), func() chain.Link {
			c := renewedTrio(trio)
			o := sign(c, key("A"), addOf(c, "E"))
			n := make([]byte, 8)
			user, op, prev := c.User(), o.ID(), c.Head()
			l := chain.Link{Op: o}
			for _, v := range []string{"A", "B"} {
				l.Votes = append(l.Votes, chain.Vote{Device: id(v), Sig: key(v).Sign(keys.PurposeVote, keys.LP(user[:], op[:], prev[:], n))})
			}
			slices.SortFunc(l.Votes, compareVotes)
			return l
		}(), chain.ErrCertificate, "bad signature"},
		{"readiness in place of a vote", trio, func() chain.Link {
			o := sign(trio, key("A"), addOf(trio, "E"))
			l := chain.Link{Op: o, Votes: []chain.Vote{trio.Ready(key("A"), box("A")), trio.Ready(key("B"), box("B"))}}
			slices.SortFunc(l.Votes, compareVotes)
			return l
		}(), chain.ErrCertificate, "bad signature"},
		{"a vote by the sole voter for its own op", one, by(one, "A", addOf(one, "E"), "A"), chain.ErrCertificate, "1 votes, want 0"},
		{"no vote by the sole voter", one, by(one, "B", addOf(one, "E")), chain.ErrCertificate, "0 votes of 1"},
	} {
		next, err := c.at.Extend(c.link)
		switch {
		case c.kind == nil:
			if err != nil {
				t.Errorf("%s: %v, want it taken", c.name, err)
			} else if next.Head() != c.link.Op.ID() {
				t.Errorf("%s: the head is another op", c.name)
			}
		case !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.why):
			t.Errorf("%s: %v, want %v: …%s…", c.name, err, c.kind, c.why)
		}
		if err != nil && next != nil {
			t.Errorf("%s: an error and a chain", c.name)
		}
	}
}

// renewedTrio returns a chain of three voters whose words were replaced once.
func renewedTrio(c *chain.Chain) *chain.Chain {
	return must(c.Extend(certified(c, sign(c, key("A"), wordsOf(c, "words", "words2")), "A", "B")))
}

// forked returns two branches of a household of three voters, A, B and C: A voted for both.
func forked(c *chain.Chain) (a, b *chain.Chain) {
	a = must(c.Extend(certified(c, sign(c, key("B"), addOf(c, "X")), "A", "B")))
	b = must(c.Extend(certified(c, sign(c, key("C"), addOf(c, "Y")), "A", "C")))
	return a, b
}

// mendOf returns a mend on a of the fork with b that removes who voted twice.
func mendOf(a, b *chain.Chain, voters ...string) chain.Mend {
	m, ok := chain.Evidence(a, b)
	if !ok {
		panic("no evidence")
	}
	m.Cuts, m.Epoch = cuts(1, m.Devices...), new(epoch("mend"))
	m.Voters, m.Ready = ids(voters...), readiness(a, voters...)
	if slices.Contains(m.Devices, a.State().Anchor) {
		m.Anchor = new(id(voters[0]))
	}
	return m
}
