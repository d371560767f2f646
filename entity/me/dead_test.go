package me_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"pttnode/entity"
	"pttnode/entity/me"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestDead holds the cases of testdata/dead: which entries of a me-oplog later ones replace. A
// case is what two devices of a user wrote, each having all before it:
//
//	LABEL: DEVICE sets NAME VALUE       me/setting; VALUE long is out of bounds
//	LABEL: DEVICE asks NAME STATE       me/request; NAME stands for a joinid
//	LABEL: DEVICE joined|left|read|decides NAME
//	LABEL is away, LABEL is back        its body goes, or comes
//
// A case that is remembered is told by who opened each entry when it came; one anew by who did
// not; any other one by both.
//
// The output is the settings and requests that count, how many entities there are, and which
// entries are dead, and for good.
func TestDead(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/dead", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, playDead)
	})
}

func playDead(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	w := meOfTwo(t)
	ops, opened := map[string]oplog.Op{}, make(me.Opened)
	for line := range strings.Lines(d.Input) {
		f := append(strings.Fields(line), "", "")
		label, writes := strings.CutSuffix(f[0], ":")
		switch {
		case !writes && f[2] == "away":
			w.Log().LetGo(ops[label].ID())
		case !writes:
			w.Log().Bring(ops[label])
		default:
			ops[label] = w.note(t, entryOf(d, t, f))
		}
		w.fold(w.Ring, opened)
	}
	got, fresh := tell(w.fold(w.Ring, opened), ops), tell(w.fold(w.Ring, nil), ops)
	switch {
	case d.HasArg("anew"):
		return fresh
	case fresh != got && !d.HasArg("remembered"):
		d.Fatalf(t, "what was opened before changes it:\n%s\nanew:\n%s", got, fresh)
	}
	return got
}

// entryOf is what a line writes.
func entryOf(d *datadriven.TestData, t *testing.T, f []string) entry {
	t.Helper()
	by, verb, name, value := f[1], f[2], f[3], f[4]
	var id keys.Digest
	copy(id[:], name)
	switch verb {
	case "sets":
		if value == "long" {
			value = strings.Repeat("v", me.MaxSetting+1)
		}
		return entry{by, me.TypeSetting, me.Setting{Name: name, Value: []byte(value)}}
	case "asks":
		return entry{by, me.TypeRequest, me.Asking{JoinID: id, State: value[0] - '0'}}
	case "joined":
		return entry{by, me.TypeJoined, me.Joined{Entity: id, Kind: entity.Board, Keys: []entity.EpochKey{{Epoch: id, Key: [32]byte{1}}}}}
	case "left":
		return entry{by, me.TypeLeft, me.Left{Entity: id}}
	case "read":
		return entry{by, me.TypeRead, me.Seen{Entity: id, Heads: []keys.Digest{{1}}}}
	case "decides":
		return entry{by, me.TypeDecision, me.Decision{JoinID: id, Choice: me.Approve}}
	}
	d.Fatalf(t, "what is %s?", verb)
	return entry{}
}

func tell(s me.State, ops map[string]oplog.Op) string {
	var out strings.Builder
	list := func(what string, words []string) {
		if slices.Sort(words); len(words) > 0 {
			fmt.Fprintf(&out, "%s: %s\n", what, strings.Join(words, " "))
		}
	}
	var settings, requests, dead, good []string
	for name, value := range s.Settings {
		settings = append(settings, name+"="+string(value))
	}
	for at, r := range s.Requests {
		device := "founder"
		if at.By == secondKey.ID() {
			device = "second"
		}
		requests = append(requests, fmt.Sprintf("%s/%s=%d", strings.TrimRight(string(at.JoinID[:]), "\x00"), device, r.State))
	}
	for _, label := range slices.Collect(maps.Keys(ops)) {
		is, ok := s.Dead()[ops[label].ID()]
		if ok {
			dead = append(dead, label)
		}
		if is {
			good = append(good, label)
		}
	}
	list("settings", settings)
	list("requests", requests)
	if n := len(s.Entities); n > 0 {
		fmt.Fprintf(&out, "entities: %d\n", n)
	}
	list("dead", dead)
	list("for good", good)
	return out.String()
}
