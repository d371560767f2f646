package entity_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// verbs are what a person may try, as drafts at the present heads.
var verbs = map[string]func(testing.TB, *world, person) oplog.Draft{
	"add-owner": control(oplog.FamilyMaster, entity.TypeMasterAdd, func(tb testing.TB, w *world, _ person) any {
		party := w.Who(tb, first(w, "member", "other", "reader", "founder")).Party()
		return entity.MasterAdd{Party: party}
	}),
	"admit": control(oplog.FamilyMember, entity.TypeAdmit, func(tb testing.TB, w *world, _ person) any {
		role, name := entity.Member, "newcomer"
		if w.State().Kind == entity.Profile {
			role = entity.Reader
		}
		if w.State().Kind == entity.Friend {
			name = "other"
		}
		return entity.Admit{Party: w.Who(tb, name).Party(), Role: role, Ref: &w.Ref}
	}),
	"leave":    control(oplog.FamilyMember, entity.TypeLeave, fixed(entity.Leave{})),
	"my-party": control(oplog.FamilyMember, entity.TypeDevices, func(_ testing.TB, _ *world, p person) any { return entity.Devices{Party: p.Party()} }),
	"his-party": control(oplog.FamilyMember, entity.TypeDevices, func(tb testing.TB, w *world, p person) any {
		return entity.Devices{Party: w.Who(tb, first(w, "member", "reader", "other", "founder")).Party()}
	}),
	"owner's-party": control(oplog.FamilyMember, entity.TypeDevices, func(tb testing.TB, w *world, p person) any {
		return entity.Devices{Party: w.Who(tb, first(w, "master", "founder")).Party()}
	}),
	"founder's-party": control(oplog.FamilyMember, entity.TypeDevices, func(tb testing.TB, w *world, p person) any {
		return entity.Devices{Party: w.Who(tb, "founder").Party()}
	}),
	"remove":         removal("reader", "other", "member", "stranger"),
	"remove-owner":   removal("master", "stranger"),
	"remove-founder": removal("founder"),
	"remove-gone":    removal("gone", "stranger"),
	"remove-myself": control(oplog.FamilyMember, entity.TypeRemove, func(_ testing.TB, w *world, p person) any {
		return entity.Remove{User: p.User(), Epoch: nextEpoch(w)}
	}),
	"demote":         demotion("master", "other"),
	"demote-founder": demotion("founder"),
	"demote-member":  demotion("member", "reader"),
	"demote-myself": control(oplog.FamilyMaster, entity.TypeMasterRemove, func(_ testing.TB, _ *world, p person) any {
		return entity.MasterRemove{User: p.User()}
	}),
	"transfer":            transfer("member", "reader", "other", "founder"),
	"transfer-to-founder": transfer("founder"),
	"transfer-to-gone":    transfer("gone"),
	"transfer-to-myself": control(oplog.FamilyMaster, entity.TypeMasterTransfer, func(_ testing.TB, _ *world, p person) any {
		return entity.MasterTransfer{Party: p.Party()}
	}),
	"role":         roleOf("member", "reader", "other", "founder"),
	"role-owner":   roleOf("master"),
	"role-founder": roleOf("founder"),
	"role-gone":    roleOf("gone"),
	"accept":       control(oplog.FamilyMember, entity.TypeAccept, fixed(entity.Accept{})),
	"epoch": control(oplog.FamilyOpKey, entity.TypeEpoch, func(_ testing.TB, w *world, _ person) any {
		return entity.Epoch{Commitment: keys.Digest{1}, Depth: nextEpoch(w).Depth, Replaces: epochs(w)}
	}),
	"device-add": control(oplog.FamilyMember, entity.TypeDeviceAdd, func(_ testing.TB, w *world, _ person) any {
		return w.deviceAdd(newDevice("newcomer"))
	}),
	"device-class": control(oplog.FamilyMember, entity.TypeDeviceClass, func(tb testing.TB, w *world, _ person) any {
		return chain.DeviceClass{Device: w.Who(tb, "founder").Key.ID(), Class: entity.Server, Chain: w.nextLink()}
	}),
	"device-remove": control(oplog.FamilyMember, 9, func(_ testing.TB, w *world, _ person) any {
		return chain.DeviceRemove{Device: ours("second").Key.ID(), Cuts: chainCuts(0, "second"), Epoch: w.chainEpoch("x"), Chain: w.nextLink()}
	}),
	"voters": control(oplog.FamilyMember, 11, func(_ testing.TB, w *world, _ person) any {
		if w.State().Kind != entity.Me {
			return chain.SetVoters{Voters: idsOf("second")}
		}
		if w.State().SoleVoter(ours("second").Key.ID()) {
			return votersOf(w.chain(), "founder")
		}
		return votersOf(w.chain(), "second")
	}),
	"anchor": control(oplog.FamilyMember, 12, func(_ testing.TB, w *world, _ person) any {
		return chain.SetAnchor{Device: ours("second").Key.ID(), Chain: w.nextLink()}
	}),
	"words": control(oplog.FamilyMember, 13, func(_ testing.TB, w *world, _ person) any {
		if w.State().Kind != entity.Me {
			return chain.NewWords{Words: wordsKey("other").ID()}
		}
		return newWordsOf(w.chain(), "founder", "other")
	}),
	"moved": control(oplog.FamilyMember, 14, func(_ testing.TB, w *world, _ person) any {
		b := chain.Moved{To: keys.Digest{1}, Head: keys.Digest{2}, Chain: w.nextLink()}
		if w.State().Kind == entity.Me {
			b.Sig = new(w.chain().SignMoved(wordsKey("founder"), b.To, b.Head))
		}
		return b
	}),
	"mend": control(oplog.FamilyMember, 15, func(_ testing.TB, w *world, _ person) any {
		return chain.Mend{One: keys.Digest{1}, Other: keys.Digest{2}, OneVotes: []chain.Vote{}, OtherVotes: []chain.Vote{}, Chain: w.nextLink()}
	}),
	"join-policy": control(oplog.FamilyPolicy, entity.TypeJoinPolicy, fixed(entity.SetJoinPolicy{Join: entity.JoinFriends})),
	"history":     control(oplog.FamilyPolicy, entity.TypeHistory, fixed(entity.SetHistory{History: entity.History{Mode: entity.HistoryFromJoin}})),
	"title":       control(oplog.FamilyPolicy, entity.TypeTitle, fixed(entity.Text{Text: "new"})),
	"description": control(oplog.FamilyPolicy, entity.TypeDescription, fixed(entity.Text{Text: "new"})),
	"end":         control(oplog.FamilyPolicy, entity.TypeEnd, fixed(entity.End{Reason: entity.EndByParty})),
	"merged":      control(oplog.FamilyPolicy, entity.TypeMerged, fixed(entity.Merged{Into: keys.Digest{1}})),
	"unknown":     control(oplog.FamilyPolicy, 100, fixed([]byte("later"))),
	"critical":    control(oplog.FamilyPolicy, 128, fixed([]byte("later"))),
	"RESET": control(oplog.FamilyCheckpoint, oplog.TypeReset, func(tb testing.TB, w *world, _ person) any {
		me := w
		if w.State().Kind != entity.Me {
			me = found(tb, entity.Me) // as in the Me of its founder
		}
		return me.resetOf(me.chain(), 0, "survivor")
	}),
	"write": func(_ testing.TB, w *world, p person) oplog.Draft {
		return w.Draft(p, oplog.Content, oplog.FamilyArticle, entitytest.TypeNew, []byte("sealed"))
	},
}

func control(family oplog.Family, typ uint16, body func(testing.TB, *world, person) any) func(testing.TB, *world, person) oplog.Draft {
	return func(tb testing.TB, w *world, p person) oplog.Draft {
		tb.Helper()
		d := w.Draft(p, oplog.Control, family, typ, body(tb, w, p))
		if family == oplog.FamilyCheckpoint && typ == oplog.TypeReset {
			d.Seq, d.Prev = 0, keys.Digest{}
		}
		return d
	}
}

func removal(names ...string) func(testing.TB, *world, person) oplog.Draft {
	return control(oplog.FamilyMember, entity.TypeRemove, func(tb testing.TB, w *world, _ person) any {
		w.Who(tb, "stranger")
		user := w.Who(tb, first(w, append(names, "founder")...)).User()
		return entity.Remove{User: user, Cuts: w.cuts(user), Epoch: nextEpoch(w)}
	})
}

func demotion(names ...string) func(testing.TB, *world, person) oplog.Draft {
	return control(oplog.FamilyMaster, entity.TypeMasterRemove, func(tb testing.TB, w *world, _ person) any {
		user := w.Who(tb, first(w, append(names, "founder")...)).User()
		return entity.MasterRemove{User: user, Cuts: w.cuts(user)}
	})
}

func transfer(names ...string) func(testing.TB, *world, person) oplog.Draft {
	return control(oplog.FamilyMaster, entity.TypeMasterTransfer, func(tb testing.TB, w *world, p person) any {
		return entity.MasterTransfer{Party: w.Who(tb, first(w, append(names, "founder")...)).Party(), Cuts: w.cuts(p.User())}
	})
}

func roleOf(names ...string) func(testing.TB, *world, person) oplog.Draft {
	return control(oplog.FamilyMember, entity.TypeRole, func(tb testing.TB, w *world, _ person) any {
		return entity.SetRole{User: w.Who(tb, first(w, append(names, "founder")...)).User(), Role: entity.Reader}
	})
}

func fixed(body any) func(testing.TB, *world, person) any {
	return func(testing.TB, *world, person) any { return body }
}

func first(w *world, names ...string) string {
	return names[slices.IndexFunc(names, func(n string) bool { _, ok := w.People[n]; return ok })]
}

// outcome is a cell of the tables below.
var outcomes = map[string]error{
	"yes": nil, "no": entity.ErrNotAuthorized, "stays": entity.ErrLastOwner, "over": entity.ErrEnded,
}

// TestRules walks who may do what, in every kind and state.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		kind  entity.Kind
		setup func(*testing.T, *world)
		table string
	}{
		{name: "board", kind: entity.Board, table: `
			                 founder  master  member  reader  gone  stranger
			add-owner        yes      yes     no      no      no    no
			remove               yes  yes  no  no  no  no
			remove-owner         yes  no  no  no  no  no
			remove-founder       no  no  no  no  no  no
			remove-gone          no  no  no  no  no  no
			remove-myself        no  no  no  no  no  no
			demote               yes  yes  no  no  no  no
			demote-founder       no  no  no  no  no  no
			demote-member        no  no  no  no  no  no
			demote-myself        no  yes  no  no  no  no
			transfer             yes  yes  no  no  no  no
			transfer-to-founder  no  no  no  no  no  no
			transfer-to-gone     no  no  no  no  no  no
			transfer-to-myself   no  no  no  no  no  no
			role                 yes  yes  no  no  no  no
			role-owner           no  no  no  no  no  no
			role-founder         no  no  no  no  no  no
			role-gone            no  no  no  no  no  no
			admit            yes      yes     no      no      no    no
			leave            stays    yes     yes     yes     no    no
			my-party         yes      yes     yes     yes     no    no
			his-party        yes      yes     yes     no      no    no
			owner's-party    yes      yes     no      no      no    no
			founder's-party  yes      no      no      no      no    no
			accept           no       no      no      no      no    no
			epoch            yes      yes     no      no      no    no
			join-policy      yes      yes     no      no      no    no
			history          yes      yes     no      no      no    no
			title            yes      yes     no      no      no    no
			description      yes      yes     no      no      no    no
			end              yes      yes     no      no      no    no
			merged           no       no      no      no      no    no
			unknown          yes      yes     yes     yes     no    no
			critical         yes      yes     no      no      no    no
			RESET            no       no      no      no      no    no
			write            yes      yes     yes     no      no    no
			device-add       no       no      no      no      no    no
			device-class     no       no      no      no      no    no
			device-remove    no       no      no      no      no    no
			voters           no       no      no      no      no    no
			anchor           no       no      no      no      no    no
			words            no       no      no      no      no    no
			moved            no       no      no      no      no    no
			mend             no       no      no      no      no    no
		`},
		{name: "ended board", kind: entity.Board, setup: func(t *testing.T, w *world) {
			w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeEnd, entity.End{})
		}, table: `
			                 founder  master  member  reader  gone  stranger
			add-owner        over     over    over    over    no    no
			admit            over     over    over    over    no    no
			leave            over     over    over    over    no    no
			my-party         over     over    over    over    no    no
			epoch            over     over    over    over    no    no
			title            over     over    over    over    no    no
			join-policy      over     over    over    over    no    no
			remove               over  over  over  over  no  no
			demote               over  over  over  over  no  no
			transfer             over  over  over  over  no  no
			role                 over  over  over  over  no  no
			end              yes      yes     no      no      no    no
			merged           no       no      no      no      no    no
			unknown          yes      yes     yes     yes     no    no
			write            over     over    over    over    over  over
		`},
		{name: "board that one was removed from", kind: entity.Board, setup: func(t *testing.T, w *world) {
			w.Must(t, "founder", oplog.FamilyMember, entity.TypeRemove, entity.Remove{User: w.Who(t, "master").User(), Epoch: nextEpoch(w)})
		}, table: `
			                 founder  master  member
			remove-owner     no       no      no
			demote           no       no      no
			admit            yes      no      no
			leave            stays    no      yes
			unknown          yes      no      yes
			epoch            yes      no      no
			write            yes      no      yes
		`},
		{name: "board that was handed on", kind: entity.Board, setup: func(t *testing.T, w *world) {
			w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterTransfer, entity.MasterTransfer{Party: w.Who(t, "master").Party()})
		}, table: `
			                 founder  master  member
			remove-founder   no       yes     no
			remove-owner     no       no      no
			demote           no       no      no
			demote-founder   no       no      no
			role-founder     no       yes     no
			transfer         no       yes     no
			owner's-party    no       yes     no
			leave            yes      stays   yes
			title            no       yes     no
			write            yes      yes     yes
		`},
		{name: "profile", kind: entity.Profile, table: `
			                 founder  reader  gone  stranger
			add-owner        no       no      no    no
			remove               yes  no  no  no
			remove-founder       no  no  no  no
			remove-gone          no  no  no  no
			remove-myself        no  no  no  no
			demote-founder       no  no  no  no
			demote-member        no  no  no  no
			transfer             no  no  no  no
			role                 no  no  no  no
			role-founder         no  no  no  no
			admit            yes      no      no    no
			leave            stays    yes     no    no
			my-party         yes      yes     no    no
			his-party        yes      yes     no    no
			founder's-party  yes      no      no    no
			accept           no       no      no    no
			epoch            yes      no      no    no
			join-policy      no       no      no    no
			history          no       no      no    no
			title            no       no      no    no
			description      no       no      no    no
			end              no       no      no    no
			merged           no       no      no    no
			unknown          yes      yes     no    no
			critical         yes      no      no    no
			RESET            no       no      no    no
			write            yes      no      no    no
			device-add       no       no      no    no
			device-class     no       no      no    no
			device-remove    no       no      no    no
			voters           no       no      no    no
			anchor           no       no      no    no
			words            no       no      no    no
			moved            no       no      no    no
			mend             no       no      no    no
		`},
		{name: "friend, before consent", kind: entity.Friend, table: `
			                 founder  other  stranger
			add-owner        yes      no     no
			remove               no  no  no
			remove-founder       no  no  no
			remove-myself        no  no  no
			demote               no  no  no
			demote-founder       no  no  no
			transfer             no  no  no
			transfer-to-founder  no  no  no
			role                 no  no  no
			role-founder         no  no  no
			admit            no       no     no
			leave            stays    yes    no
			my-party         yes      yes    no
			founder's-party  yes      no     no
			accept           no       yes    no
			epoch            yes      no     no
			join-policy      no       no     no
			history          no       no     no
			title            no       no     no
			end              yes      yes    no
			merged           yes      yes    no
			unknown          yes      yes    no
			critical         yes      no     no
			RESET            no       no     no
			write            yes      yes    no
			device-add       no       no     no
			device-class     no       no     no
			device-remove    no       no     no
			voters           no       no     no
			anchor           no       no     no
			words            no       no     no
			moved            no       no     no
			mend             no       no     no
		`},
		{name: "friend, both owners", kind: entity.Friend, setup: func(t *testing.T, w *world) {
			w.Must(t, "other", oplog.FamilyMember, entity.TypeAccept, entity.Accept{})
			party := w.Who(t, "other").Party()
			w.Must(t, "founder", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{Party: party})
		}, table: `
			                 founder  other  stranger
			add-owner        yes      yes    no
			remove               no  no  no
			remove-founder       no  no  no
			remove-myself        no  no  no
			demote               no  no  no
			demote-founder       no  no  no
			transfer             no  no  no
			transfer-to-founder  no  no  no
			role                 no  no  no
			role-founder         no  no  no
			admit            no       no     no
			leave            stays    yes    no
			founder's-party  yes      no     no
			accept           no       no     no
			epoch            yes      yes    no
			end              yes      yes    no
			merged           yes      yes    no
			critical         yes      yes    no
			write            yes      yes    no
		`},
		{name: "ended friend", kind: entity.Friend, setup: func(t *testing.T, w *world) {
			w.Must(t, "other", oplog.FamilyPolicy, entity.TypeEnd, entity.End{})
		}, table: `
			                 founder  other  stranger
			accept           over     over   no
			epoch            over     over   no
			end              yes      yes    no
			merged           yes      yes    no
			write            over     over   over
		`},
		{name: "friend that the other left", kind: entity.Friend, setup: func(t *testing.T, w *world) {
			w.Must(t, "other", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
		}, table: `
			                 founder  other  stranger
			admit            yes      no     no
			accept           no       no     no
			end              yes      no     no
			merged           yes      no     no
			write            yes      no     no
		`},
		{name: "me", kind: entity.Me, setup: func(t *testing.T, w *world) {
			w.People["words"] = recovery(w.Who(t, "founder"))
		}, table: `
			                 founder  words  stranger
			add-owner        no       no     no
			remove-founder   no       no     no
			demote-founder   no       no     no
			transfer         no       no     no
			role             no       no     no
			admit            no       no     no
			leave            no       no     no
			my-party         no       no     no
			accept           no       no     no
			epoch            yes      no     no
			join-policy      no       no     no
			history          no       no     no
			title            no       no     no
			description      no       no     no
			end              no       no     no
			merged           no       no     no
			unknown          yes      no     no
			critical         yes      no     no
			RESET            no       yes    no
			write            yes      no     no
			device-add       yes      no     no
			device-class     yes      no     no
			device-remove    no       no     no
			voters           no       no     no
			words            yes      no     no
			moved            yes      no     no
			mend             no       no     no
		`},
		{name: "me, a second device just added", kind: entity.Me, setup: second(0), table: `
			                 founder  second  unlisted  stranger
			device-add       yes      no      no        no
			device-class     yes      no      no        no
			device-remove    yes      no      no        no
			voters           no       no      no        no
			anchor           no       no      no        no
			words            yes      no      no        no
			epoch            yes      yes     no        no
			leave            no       no      no        no
			my-party         no       no      no        no
			admit            no       no      no        no
			title            no       no      no        no
			end              no       no      no        no
			unknown          yes      yes     no        no
			critical         yes      yes     no        no
			RESET            no       no      no        no
			write            yes      yes     no        no
		`},
		{name: "me, a second device alive", kind: entity.Me, setup: second(entity.Phone), table: `
			                 founder  second  unlisted  stranger
			device-add       yes      no      no        no
			device-class     yes      no      no        no
			device-remove    yes      no      no        no
			voters           yes      no      no        no
			anchor           yes      no      no        no
			words            yes      no      no        no
			moved            yes      no      no        no
			mend             no       no      no        no
			epoch            yes      yes     no        no
			RESET            no       no      no        no
			write            yes      yes     no        no
		`},
		{name: "me, a server, which decides by no class", kind: entity.Me, setup: second(entity.Server), table: `
			                 founder  second  unlisted  stranger
			device-add       yes      no      no        no
			device-class     yes      no      no        no
			epoch            yes      yes     no        no
			write            yes      yes     no        no
		`},
		{name: "me, the second device decides", kind: entity.Me, setup: func(t *testing.T, w *world) {
			second(entity.Phone)(t, w)
			w.put(t, w.Who(t, "founder"), votersOf(w.chain(), "second"))
		}, table: `
			                 founder  second  unlisted  stranger
			device-add       no       yes     no        no
			device-class     no       yes     no        no
			device-remove    no       no      no        no
			voters           no       yes     no        no
			words            no       yes     no        no
			epoch            yes      yes     no        no
			write            yes      yes     no        no
		`},
		{name: "me, three voters, whose votes travel in no log", kind: entity.Me, setup: func(t *testing.T, w *world) {
			second(entity.Desktop)(t, w)
			w.Link(t, newDevice("third"), entity.Desktop)
			w.People["words"] = recovery(w.Who(t, "founder"))
			w.put(t, w.Who(t, "founder"), votersOf(w.chain(), "founder", "second", "third"))
		}, table: `
			                 founder  second  unlisted  stranger  words
			device-add       no       no      no        no        no
			device-class     no       no      no        no        no
			device-remove    no       no      no        no        no
			voters           no       no      no        no        no
			words            no       no      no        no        no
			epoch            yes      yes     no        no        no
			RESET            no       no      no        no        yes
			unknown          yes      yes     no        no        no
			write            yes      yes     no        no        no
		`},
		{name: "me that goes on as another", kind: entity.Me, setup: func(t *testing.T, w *world) {
			second(entity.Phone)(t, w)
			w.People["words"] = recovery(w.Who(t, "founder"))
			f := w.Who(t, "founder")
			checkAdded(t, w.Entity, sign(t, f, verbs["moved"](t, w, f)))
		}, table: `
			                 founder  second  words
			device-add       no       no      no
			device-remove    no       no      no
			moved            no       no      no
			RESET            no       no      yes
			epoch            yes      yes     no
			write            yes      yes     no
		`},
		{name: "me that is forked", kind: entity.Me, setup: func(t *testing.T, w *world) {
			second(entity.Phone)(t, w)
			w.People["words"] = recovery(w.Who(t, "founder"))
			f, x := w.Who(t, "founder"), w.clone(t)
			w.put(t, f, addOf(w.chain(), "one"))
			x.put(t, f, addOf(x.chain(), "two"))
			both(t, w, x)
			w.People["one"] = w.on(t, "one")
		}, table: `
			                 founder  second  one  words
			device-add       no       no      no   no
			device-class     no       no      no   no
			device-remove    no       no      no   no
			voters           no       no      no   no
			anchor           no       no      no   no
			words            no       no      no   no
			moved            no       no      no   no
			mend             no       no      no   no
			RESET            no       no      no   yes
			epoch            yes      yes     no   no
			unknown          yes      yes     no   no
			write            yes      yes     no   no
		`},
	} {
		w := settle(t, c.kind)
		if c.setup != nil {
			c.setup(t, w)
		}
		lines := strings.Split(strings.TrimSpace(c.table), "\n")
		names := strings.Fields(lines[0])
		for _, line := range lines[1:] {
			cells := strings.Fields(line)
			for i, name := range names {
				want, ok := outcomes[cells[i+1]]
				if !ok {
					t.Fatalf("%s: %q is no outcome", c.name, cells[i+1])
				}
				fresh := w.clone(t)
				p := w.Who(t, name)
				o := sign(t, p, verbs[cells[0]](t, fresh, p))
				if added, err := fresh.Add(o); !errors.Is(err, want) || added != (want == nil) {
					t.Errorf("%s: %s does %s: %v, %v, want %s", c.name, name, cells[0], added, err, cells[i+1])
				}
				if again, err := fresh.Add(o); want == nil && (again || err != nil) {
					t.Errorf("%s: %s does %s, the same op again: %v, %v, want neither", c.name, name, cells[0], again, err)
				}
			}
		}
	}
}

// TestRuleTexts tries what an author with the right to it may still not say. Each
// line of judge has its row here.
func TestRuleTexts(t *testing.T) {
	t.Parallel()
	party := func(change func(*testing.T, *world, *entity.Party)) func(*testing.T, *world) entity.Party {
		return func(t *testing.T, w *world) entity.Party {
			p := w.Who(t, "newcomer").Party()
			change(t, w, &p)
			return p
		}
	}
	type row struct {
		kind    entity.Kind
		who     string
		family  oplog.Family
		typ     uint16
		body    func(*testing.T, *world) any
		want    error
		because string
	}
	rows := map[string]row{}
	// What is wrong with a party is wrong wherever one stands.
	for name, c := range map[string]struct {
		change  func(*testing.T, *world, *entity.Party)
		because string
	}{
		"no user":                     {func(_ *testing.T, _ *world, p *entity.Party) { p.User = keys.Digest{} }, "without user"},
		"no head":                     {func(_ *testing.T, _ *world, p *entity.Party) { p.Head = keys.Digest{} }, "without user"},
		"no box key":                  {func(_ *testing.T, _ *world, p *entity.Party) { p.Box = keys.BoxID{} }, "without box key"},
		"H27: a box key of low order": {func(_ *testing.T, _ *world, p *entity.Party) { p.Box = keys.BoxID{1} }, "without box key"},
		"no device":                   {func(_ *testing.T, _ *world, p *entity.Party) { p.Devices = nil }, "0 devices"},
		"too many devices":            {func(_ *testing.T, _ *world, p *entity.Party) { p.Devices = devices(entity.MaxDevices + 1) }, "65 devices"},
		"a long name":                 {func(_ *testing.T, _ *world, p *entity.Party) { p.Name = strings.Repeat("n", entity.MaxName+1) }, "a name that is none"},
		"a device of another": {func(t *testing.T, w *world, p *entity.Party) {
			p.Devices = sorted(append(p.Devices, w.Who(t, "reader").Key.ID()))
		}, "claims a device"},
		"devices in disorder": {func(_ *testing.T, _ *world, p *entity.Party) { p.Devices = []keys.ID{{2}, {1}} }, "not ascending"},
		"a device twice":      {func(_ *testing.T, _ *world, p *entity.Party) { p.Devices = []keys.ID{{2}, {2}} }, "not ascending"},
	} {
		rows["admit: a party with "+name] = row{
			entity.Board, "founder", oplog.FamilyMember, entity.TypeAdmit,
			func(t *testing.T, w *world) any {
				return entity.Admit{Party: party(c.change)(t, w), Role: entity.Member, Ref: &w.Ref}
			}, entity.ErrNotAuthorized, c.because,
		}
		if name == "no user" {
			continue
		}
		rows["devices: a party with "+name] = row{
			entity.Board, "member", oplog.FamilyMember, entity.TypeDevices,
			func(t *testing.T, w *world) any {
				p := w.Who(t, "member").Party()
				c.change(t, w, &p)
				var cuts []entity.Cut
				if !slices.Contains(p.Devices, w.Who(t, "member").Key.ID()) {
					cuts = []entity.Cut{{Device: w.Who(t, "member").Key.ID(), Strand: oplog.Content}}
				}
				return entity.Devices{Party: p, Cuts: cuts}
			}, entity.ErrNotAuthorized, c.because,
		}
		rows["add owner: a party with "+name] = row{
			entity.Board, "founder", oplog.FamilyMaster, entity.TypeMasterAdd,
			func(t *testing.T, w *world) any {
				p := w.Who(t, "member").Party()
				c.change(t, w, &p)
				return entity.MasterAdd{Party: p}
			}, entity.ErrNotAuthorized, "with other devices",
		}
	}
	delete(rows, "add owner: a party with a long name") // a name says nothing about who is made owner
	admit := func(name, because string, change func(*testing.T, *world, *entity.Admit)) {
		rows["admit: "+name] = row{
			entity.Board, "founder", oplog.FamilyMember, entity.TypeAdmit,
			func(t *testing.T, w *world) any {
				b := entity.Admit{Party: w.Who(t, "newcomer").Party(), Role: entity.Member, Ref: &w.Ref}
				change(t, w, &b)
				return b
			}, entity.ErrNotAuthorized, because,
		}
	}
	admit("role 0", "does not admit as", func(_ *testing.T, _ *world, b *entity.Admit) { b.Role = 0 })
	admit("as owner", "does not admit as", func(_ *testing.T, _ *world, b *entity.Admit) { b.Role = entity.Master })
	admit("role 4", "does not admit as", func(_ *testing.T, _ *world, b *entity.Admit) { b.Role = 4 })
	admit("neither invite nor friendship", "needs an invite", func(_ *testing.T, _ *world, b *entity.Admit) { b.Ref = nil })
	admit("invite and friendship", "needs an invite", func(_ *testing.T, _ *world, b *entity.Admit) { b.Friend = &keys.Digest{1} })
	admit("history of mode 0", "unknown history", func(_ *testing.T, _ *world, b *entity.Admit) { b.History = &entity.History{} })
	admit("a member", "is a member already", func(t *testing.T, w *world, b *entity.Admit) { b.Party = w.Who(t, "reader").Party() })
	admit("the founder", "is a member already", func(t *testing.T, w *world, b *entity.Admit) { b.Party = w.Who(t, "founder").Party() })
	admit("an epoch twice", "not ascending", func(_ *testing.T, v *world, b *entity.Admit) {
		for id := range v.State().Epochs {
			b.Epochs = []keys.Digest{id, id}
		}
	})
	admit("an unknown epoch", "unknown epoch", func(_ *testing.T, _ *world, b *entity.Admit) { b.Epochs = []keys.Digest{{1}} })
	for name, change := range map[string]func(*world, *entity.Admit){
		"the wrong ref":         func(_ *world, b *entity.Admit) { b.Ref = &[16]byte{9} },
		"no ref":                func(_ *world, b *entity.Admit) { b.Ref, b.Friend = nil, &keys.Digest{1} },
		"a third party":         func(w *world, b *entity.Admit) { b.Party = w.People["third"].Party() },
		"as reader of a friend": func(_ *world, b *entity.Admit) { b.Role = entity.Reader },
	} {
		rows["friend: "+name] = row{
			entity.Friend, "founder", oplog.FamilyMember, entity.TypeAdmit,
			func(t *testing.T, w *world) any {
				w.Who(t, "third")
				b := entity.Admit{Party: w.Who(t, "other").Party(), Role: entity.Member, Ref: &w.Ref}
				change(w, &b)
				return b
			}, entity.ErrNotAuthorized, "",
		}
	}
	devs := func(name, who, because string, change func(*testing.T, *world, *entity.Devices)) {
		rows["devices: "+name] = row{
			entity.Board, who, oplog.FamilyMember, entity.TypeDevices,
			func(t *testing.T, w *world) any {
				b := entity.Devices{Party: w.Who(t, "member").Party()}
				change(t, w, &b)
				return b
			}, entity.ErrNotAuthorized, because,
		}
	}
	devs("of a stranger", "founder", "no member", func(t *testing.T, w *world, b *entity.Devices) { b.Party = w.Who(t, "stranger").Party() })
	devs("of one who left", "founder", "no member", func(t *testing.T, w *world, b *entity.Devices) { b.Party = w.Who(t, "gone").Party() })
	devs("a cut of another", "member", "not gone", func(t *testing.T, w *world, b *entity.Devices) {
		b.Cuts = []entity.Cut{{Device: w.Who(t, "founder").Key.ID(), Strand: oplog.Content}}
	})
	devs("a cut of a device that stays", "member", "not gone", func(t *testing.T, w *world, b *entity.Devices) {
		b.Cuts = []entity.Cut{{Device: w.Who(t, "member").Key.ID(), Strand: oplog.Content}}
	})
	devs("a cut of an unknown device", "member", "not gone", func(_ *testing.T, _ *world, b *entity.Devices) {
		b.Cuts = []entity.Cut{{Device: keys.ID{9}, Strand: oplog.Content}}
	})
	devs("a device goes without a cut", "member", "without a cut", func(_ *testing.T, _ *world, b *entity.Devices) { b.Party.Devices = devices(1) })
	devs("a device goes with a cut of control alone", "member", "without a cut", func(t *testing.T, w *world, b *entity.Devices) {
		b.Party.Devices = devices(1)
		b.Cuts = []entity.Cut{{Device: w.Who(t, "member").Key.ID(), Strand: oplog.Control}}
	})
	devs("one of two goes without a cut", "two", "without a cut", func(t *testing.T, w *world, b *entity.Devices) {
		b.Party = w.Who(t, "two").Party()
		b.Party.Devices = devices(1)
		b.Cuts = []entity.Cut{{Device: w.Who(t, "two").Key.ID(), Strand: oplog.Content}}
	})
	leave := func(name string, cut func(*testing.T, *world) entity.Cut) {
		rows["leave: "+name] = row{
			entity.Board, "member", oplog.FamilyMember, entity.TypeLeave,
			func(t *testing.T, w *world) any { return entity.Leave{Cuts: []entity.Cut{cut(t, w)}} }, entity.ErrNotAuthorized, "another's device",
		}
	}
	leave("a cut of another", func(t *testing.T, w *world) entity.Cut {
		return entity.Cut{Device: w.Who(t, "founder").Key.ID(), Strand: oplog.Content}
	})
	leave("a cut of control", func(t *testing.T, w *world) entity.Cut {
		return entity.Cut{Device: w.Who(t, "member").Key.ID(), Strand: oplog.Control}
	})
	founder := func(kind entity.Kind, name string, family oplog.Family, typ uint16, body any, want error, because string) {
		rows[name] = row{kind, "founder", family, typ, func(*testing.T, *world) any { return body }, want, because}
	}
	no := entity.ErrNotAuthorized
	founder(entity.Board, "add owner: no party", oplog.FamilyMaster, entity.TypeMasterAdd, entity.MasterAdd{}, no, "is not a member")
	rows["add owner: a stranger"] = row{
		entity.Board, "founder", oplog.FamilyMaster, entity.TypeMasterAdd,
		func(t *testing.T, w *world) any {
			p := w.Who(t, "stranger").Party()
			return entity.MasterAdd{Party: p}
		}, no, "is not a member",
	}
	rows["add owner: one who left"] = row{
		entity.Board, "founder", oplog.FamilyMaster, entity.TypeMasterAdd,
		func(t *testing.T, w *world) any { p := w.Who(t, "gone").Party(); return entity.MasterAdd{Party: p} }, no, "is not a member",
	}
	rows["add owner: in a profile"] = row{
		entity.Profile, "founder", oplog.FamilyMaster, entity.TypeMasterAdd,
		func(t *testing.T, w *world) any { p := w.Who(t, "reader").Party(); return entity.MasterAdd{Party: p} }, no, "one master",
	}
	first := chain.FirstEpoch{Commitment: keys.Digest{1}, Depth: 1, UserBox: entitytest.NewDevice("x").Box.ID(), Chain: chain.DeviceLink{}}
	founder(entity.Board, "the first epoch of a Me", oplog.FamilyOpKey, entity.TypeEpoch, first, entity.ErrBody, "")
	founder(entity.Me, "a second first epoch", oplog.FamilyOpKey, entity.TypeEpoch, first, entity.ErrBody, "")
	founder(entity.Board, "a device op outside Me", oplog.FamilyMember, entity.TypeDeviceClass, chain.DeviceClass{Class: 1}, no, "follows no op")
	founder(entity.Board, "title: too long", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: strings.Repeat("t", entity.MaxTitle+1)}, no, "too long")
	founder(entity.Board, "join policy 0", oplog.FamilyPolicy, entity.TypeJoinPolicy, entity.SetJoinPolicy{}, no, "no such policy")
	founder(entity.Board, "join policy 3", oplog.FamilyPolicy, entity.TypeJoinPolicy, entity.SetJoinPolicy{Join: 3}, no, "no such policy")
	for name, h := range map[string]entity.History{
		"mode 0": {}, "mode 4": {Mode: 4}, "all with a time": {Mode: entity.HistoryAll, Last: 1},
		"from join with a time": {Mode: entity.HistoryFromJoin, Last: 1}, "last without a time": {Mode: entity.HistoryLast},
	} {
		founder(entity.Board, "history: "+name, oplog.FamilyPolicy, entity.TypeHistory, entity.SetHistory{History: h}, no, "no such policy")
	}
	founder(entity.Friend, "merged: into nothing", oplog.FamilyPolicy, entity.TypeMerged, entity.Merged{}, no, "nothing to merge")
	rows["merged: into itself"] = row{
		entity.Friend, "founder", oplog.FamilyPolicy, entity.TypeMerged,
		func(_ *testing.T, w *world) any { return entity.Merged{Into: w.ID()} }, no, "nothing to merge",
	}
	epoch := func(kind entity.Kind, name, because string, change func(*world, *entity.Epoch)) {
		rows["epoch: "+name] = row{kind, "founder", oplog.FamilyOpKey, entity.TypeEpoch, func(_ *testing.T, w *world) any {
			b := entity.Epoch{Commitment: keys.Digest{1}, Depth: nextEpoch(w).Depth, Replaces: epochs(w)}
			change(w, &b)
			return b
		}, no, because}
	}
	epoch(entity.Board, "depth too low", "depth 1, want 3", func(_ *world, b *entity.Epoch) { b.Depth = 1 })
	epoch(entity.Board, "depth too high", "depth 9, want 3", func(_ *world, b *entity.Epoch) { b.Depth = 9 })
	epoch(entity.Board, "replaces nothing", "beside another", func(_ *world, b *entity.Epoch) { b.Replaces, b.Depth = nil, 1 })
	epoch(entity.Board, "replaces the unknown", "unknown epoch", func(_ *world, b *entity.Epoch) { b.Replaces = []keys.Digest{{1}} })
	epoch(entity.Board, "replaces one that is unknown among others", "unknown epoch", func(_ *world, b *entity.Epoch) {
		b.Replaces = append([]keys.Digest{{0, 1}}, b.Replaces...) // the depth is right
	})
	epoch(entity.Board, "replaces one twice", "not ascending", func(_ *world, b *entity.Epoch) { b.Replaces = append(b.Replaces, b.Replaces...) })
	epoch(entity.Me, "depth too high", "depth 9, want 2", func(_ *world, b *entity.Epoch) { b.Depth = 9 })
	epoch(entity.Me, "replaces nothing", "beside another", func(_ *world, b *entity.Epoch) { b.Replaces, b.Depth = nil, 1 })
	epoch(entity.Me, "replaces the unknown", "unknown epoch", func(_ *world, b *entity.Epoch) { b.Replaces = []keys.Digest{{1}} })
	for name, body := range map[string][]byte{"nothing": {}, "garbage": []byte("garbage"), "another shape": keys.Marshal(entity.Text{}), "two": {0xa0, 0xa0}} {
		founder(entity.Board, "admit: the body is "+name, oplog.FamilyMember, entity.TypeAdmit, body, entity.ErrBody, "")
		founder(entity.Board, "epoch: the body is "+name, oplog.FamilyOpKey, entity.TypeEpoch, body, entity.ErrBody, "")
	}
	founder(entity.Board, "title: not UTF-8", oplog.FamilyPolicy, entity.TypeTitle, []byte{0xa1, 1, 0x62, 0xc3, 0x28}, entity.ErrBody, "")

	worlds := map[entity.Kind]*world{}
	for _, k := range []entity.Kind{entity.Me, entity.Profile, entity.Board} {
		worlds[k] = settle(t, k)
	}
	worlds[entity.Friend] = found(t, entity.Friend) // nobody is admitted yet
	worlds[entity.Board].Admit(t, "two", entity.Member)
	two := worlds[entity.Board].Who(t, "two").Party()
	two.Devices = sorted(append(two.Devices, keys.ID{7}))
	worlds[entity.Board].Must(t, "two", oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: two})
	for name, c := range rows {
		w := worlds[c.kind].clone(t)
		o := sign(t, w.Who(t, c.who), w.Draft(w.Who(t, c.who), oplog.Control, c.family, c.typ, c.body(t, w)))
		if _, err := w.Add(o); err != nil && !strings.Contains(err.Error(), c.because) {
			t.Errorf("%s: refused with %q, want it to say %q", name, err, c.because)
			continue
		}
		checkRefused(t, worlds[c.kind].clone(t).Entity, o, c.want)
	}
}

func devices(n int) (ids []keys.ID) {
	for i := range n {
		ids = append(ids, keys.ID{1, byte(i)})
	}
	return ids
}

// TestBounds: what is just within bounds is taken.
func TestBounds(t *testing.T) {
	t.Parallel()
	w := settle(t, entity.Board)
	heir := w.Who(t, "heir").Party() // a device may serve another user once its own has left
	heir.Devices = w.Who(t, "gone").Party().Devices
	w.Must(t, "founder", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{Party: heir, Role: entity.Member, Ref: &w.Ref})
	p := w.Who(t, "newcomer").Party()
	p.Name, p.Devices = strings.Repeat("n", entity.MaxName), devices(entity.MaxDevices)
	w.Must(t, "founder", oplog.FamilyMember, entity.TypeAdmit, entity.Admit{
		Party: p, Role: entity.Reader, Friend: &keys.Digest{1}, History: &entity.History{Mode: entity.HistoryLast, Last: 1},
	})
	w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeTitle, entity.Text{Text: strings.Repeat("t", entity.MaxTitle)})
	w.Must(t, "founder", oplog.FamilyPolicy, entity.TypeDescription, entity.Text{Text: strings.Repeat("t", 60<<10)})
	if s := w.State(); len(s.Title) != entity.MaxTitle || len(s.Description) != 60<<10 || s.Members[p.User].Role != entity.Reader {
		t.Errorf("title of %d, description of %d, role %v", len(s.Title), len(s.Description), s.Members[p.User].Role)
	}
}

// TestGenesisRules breaks each rule of a genesis once, in every kind it stands in.
func TestGenesisRules(t *testing.T) {
	t.Parallel()
	f, other := newPerson(t, "founder"), newPerson(t, "other")
	party := f.Party()
	parties := []keys.Digest{f.User(), other.User()}
	slices.SortFunc(parties, compare)
	good := func(k entity.Kind) entity.Genesis {
		p := party
		g := entity.Genesis{Kind: k, Founder: &p}
		switch k {
		case entity.Me:
			recovery, box := keys.ID{1}, keys.BoxID{2}
			g = entity.Genesis{Kind: k, Recovery: &recovery, Class: entity.Phone, Box: &box}
		case entity.Board:
			policy := entitytest.OpenPolicy
			g.Name, g.Title, g.Policy, g.Personal = strings.Repeat("n", entity.MaxName), strings.Repeat("t", entity.MaxTitle), &policy, true
		case entity.Friend:
			g.Parties, g.Ref = slices.Clone(parties), &[16]byte{1}
		}
		return g
	}
	genesis := func(k entity.Kind, g entity.Genesis) oplog.Op {
		d := oplog.Draft{Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: entity.TypeGenesis, User: f.User(), At: now, Body: keys.Marshal(g)}
		if k == entity.Me {
			d.User = keys.Digest{}
		}
		return sign(t, f, d)
	}
	kinds := []entity.Kind{entity.Me, entity.Profile, entity.Friend, entity.Board}
	for _, k := range kinds {
		if _, err := entity.New(genesis(k, good(k))); err != nil {
			t.Errorf("%v: a good genesis: %v", k, err)
		}
	}
	everywhere, notMe := kinds, kinds[1:]
	only := func(ks ...entity.Kind) []entity.Kind { return ks }
	for _, c := range []struct {
		name   string
		in     []entity.Kind
		change func(*entity.Genesis)
	}{
		{"kind 0", everywhere, func(g *entity.Genesis) { g.Kind = 0 }},
		{"kind 5", everywhere, func(g *entity.Genesis) { g.Kind = 5 }},
		{"no founder", notMe, func(g *entity.Genesis) { g.Founder = nil }},
		{"a founder", only(entity.Me), func(g *entity.Genesis) { p := party; g.Founder = &p }},
		{"no recovery key", only(entity.Me), func(g *entity.Genesis) { g.Recovery = nil }},
		{"a recovery key of zeros", only(entity.Me), func(g *entity.Genesis) { g.Recovery = &keys.ID{} }},
		{"a recovery key", notMe, func(g *entity.Genesis) { g.Recovery = &keys.ID{1} }},
		{"no box key", only(entity.Me), func(g *entity.Genesis) { g.Box = nil }},
		{"a box key of zeros", only(entity.Me), func(g *entity.Genesis) { g.Box = &keys.BoxID{} }},
		{"a box key", notMe, func(g *entity.Genesis) { g.Box = &keys.BoxID{1} }},
		{"no class", only(entity.Me), func(g *entity.Genesis) { g.Class = 0 }},
		{"a class", notMe, func(g *entity.Genesis) { g.Class = entity.Desktop }},
		{"no policy", only(entity.Board), func(g *entity.Genesis) { g.Policy = nil }},
		{"a policy", only(entity.Me, entity.Profile, entity.Friend), func(g *entity.Genesis) { p := entitytest.OpenPolicy; g.Policy = &p }},
		{"a long name", only(entity.Board), func(g *entity.Genesis) { g.Name = strings.Repeat("n", entity.MaxName+1) }},
		{"a name", only(entity.Me, entity.Profile, entity.Friend), func(g *entity.Genesis) { g.Name = "n" }},
		{"a title", only(entity.Me, entity.Profile, entity.Friend), func(g *entity.Genesis) { g.Title = "t" }},
		{"a long title", only(entity.Board), func(g *entity.Genesis) { g.Title = strings.Repeat("t", entity.MaxTitle+1) }},
		{"personal", only(entity.Me, entity.Profile, entity.Friend), func(g *entity.Genesis) { g.Personal = true }},
		{"a succession rule", everywhere, func(g *entity.Genesis) { g.Succession = 1 }},
		{"join policy 0", only(entity.Board), func(g *entity.Genesis) { g.Policy.Join = 0 }},
		{"join policy 3", only(entity.Board), func(g *entity.Genesis) { g.Policy.Join = 3 }},
		{"history mode 0", only(entity.Board), func(g *entity.Genesis) { g.Policy.History.Mode = 0 }},
		{"no parties", only(entity.Friend), func(g *entity.Genesis) { g.Parties = nil }},
		{"one party", only(entity.Friend), func(g *entity.Genesis) { g.Parties = g.Parties[:1] }},
		{"three parties", only(entity.Friend), func(g *entity.Genesis) { g.Parties = append(g.Parties, keys.Digest{0xff}) }},
		{"parties", only(entity.Me, entity.Profile, entity.Board), func(g *entity.Genesis) { g.Parties = parties }},
		{"parties not ascending", only(entity.Friend), func(g *entity.Genesis) { slices.Reverse(g.Parties) }},
		{"a party twice", only(entity.Friend), func(g *entity.Genesis) { g.Parties = []keys.Digest{f.User(), f.User()} }},
		{"parties without the founder", only(entity.Friend), func(g *entity.Genesis) { g.Parties = []keys.Digest{{1}, {2}} }},
		{"no ref", only(entity.Friend), func(g *entity.Genesis) { g.Ref = nil }},
		{"a ref", only(entity.Me, entity.Profile, entity.Board), func(g *entity.Genesis) { g.Ref = &[16]byte{1} }},
		{"another founder", notMe, func(g *entity.Genesis) { p := other.Party(); p.Devices = party.Devices; g.Founder = &p }},
		{"not by the founder's device", notMe, func(g *entity.Genesis) { g.Founder.Devices = other.Party().Devices }},
		{"a founder without head", notMe, func(g *entity.Genesis) { g.Founder.Head = keys.Digest{} }},
		{"a founder without box key", notMe, func(g *entity.Genesis) { g.Founder.Box = keys.BoxID{} }},
		{"a founder with a long name", notMe, func(g *entity.Genesis) { g.Founder.Name = strings.Repeat("n", entity.MaxName+1) }},
	} {
		for _, k := range c.in {
			g := good(k)
			c.change(&g)
			if e, err := entity.New(genesis(k, g)); !errors.Is(err, entity.ErrBody) || e != nil {
				t.Errorf("%v with %s: New = %v, want ErrBody", k, c.name, err)
			}
		}
	}
	// The user of a Me is the Me itself, of anything else somebody.
	if _, err := entity.New(genesis(entity.Board, good(entity.Me))); !errors.Is(err, entity.ErrBody) {
		t.Errorf("a Me of another user: %v, want ErrBody", err)
	}
	if _, err := entity.New(genesis(entity.Me, good(entity.Board))); !errors.Is(err, entity.ErrBody) {
		t.Errorf("a board that is its own user: %v, want ErrBody", err)
	}
	for name, d := range map[string]oplog.Draft{
		"unknown type": {Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: 2, User: f.User(), Body: keys.Marshal(good(entity.Board))},
		"garbage":      {Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: 1, User: f.User(), Body: []byte("garbage")},
	} {
		if e, err := entity.New(sign(t, f, d)); !errors.Is(err, entity.ErrBody) || e != nil {
			t.Errorf("a genesis of %s: New = %v, want ErrBody", name, err)
		}
	}
	w := found(t, entity.Board)
	if _, err := entity.New(all(w.Entity)[1]); err == nil {
		t.Error("New with an op that is no genesis")
	}
	if _, err := entity.Open(oplog.NewLog(keys.Digest{1})); !errors.Is(err, entity.ErrBody) {
		t.Errorf("Open of an empty log: %v, want ErrBody", err)
	}
}

// TestOpenDamaged: a stored log that no version of this program accepted.
func TestOpenDamaged(t *testing.T) {
	t.Parallel()
	f := newPerson(t, "founder")
	bad := sign(t, f, oplog.Draft{Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: entity.TypeGenesis, User: f.User(), Body: []byte("x")})
	none := sign(t, f, oplog.Draft{
		Strand: oplog.Control, Family: oplog.FamilyGenesis, Type: entity.TypeGenesis, User: f.User(), Body: keys.Marshal(entity.Genesis{Kind: 9}),
	})
	w := found(t, entity.Board)
	title := sign(t, f, w.Draft(w.Who(t, "founder"), oplog.Control, oplog.FamilyPolicy, entity.TypeTitle, []byte("x")))
	for name, ops := range map[string][]oplog.Op{"a malformed genesis": {bad}, "a genesis of no kind": {none}, "a malformed title": append(all(w.Entity), title)} {
		l := oplog.NewLog(ops[0].Entity())
		if left := oplogtest.AppendAll(l, ops); len(left) > 0 {
			t.Fatalf("%s: %d ops do not fit", name, len(left))
		}
		if e, err := entity.Open(l); !errors.Is(err, entity.ErrBody) || e != nil {
			t.Errorf("Open with %s: %v, want ErrBody", name, err)
		}
	}
}

// TestFull: a Friend has two, and who left makes room again.
func TestFull(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Friend)
	w.Admit(t, "other", entity.Member)
	if !strings.Contains(addErr(w, sign(t, w.Who(t, "founder"), verbs["admit"](t, w, w.Who(t, "founder")))), "already") {
		t.Error("the other was admitted twice")
	}
	w.Must(t, "other", oplog.FamilyMember, entity.TypeLeave, entity.Leave{})
	w.Admit(t, "other", entity.Member)
	if len(w.State().Active()) != 2 {
		t.Errorf("%d active members, want 2", len(w.State().Active()))
	}
}

func addErr(w *world, o oplog.Op) string {
	if _, err := w.Add(o); err != nil {
		return err.Error()
	}
	return ""
}
