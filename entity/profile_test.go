package entity_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// TestProfiles holds the cases of testdata/profile: what a Profile says, and which of its
// texts are dead. A case is what its founder did, in this order:
//
//	LABEL: sets NAME [instead of LABEL]    profile/set; NAME nothing is out of bounds
//	LABEL: signs unknown                   a type of a later version
//	LABEL is away, LABEL is back           its body goes, or comes
//	read                                   somebody reads the profile
//
// A keyless reader has no key.
func TestProfiles(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/profile", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, playProfile)
	})
}

func playProfile(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	w := found(t, entity.Profile)
	f := w.Who(t, "founder").Author()
	ring := w.Ring
	if d.HasArg("keyless") {
		ring = nil
	}
	ops, before := map[string]oplog.Op{}, map[string]*world{}
	for line := range strings.Lines(d.Input) {
		words := strings.Fields(line)
		label, op := strings.CutSuffix(words[0], ":")
		switch {
		case words[0] == "read":
			tellProfile(w.Entity, ring, ops)
		case !op && words[2] == "away":
			w.Log().LetGo(ops[label].ID())
		case !op && words[2] == "back":
			w.Log().Bring(ops[label])
		default:
			before[label] = w.clone(t)
			at, typ, body := w, entity.TypeProfileSet, entity.ProfileSet{Name: words[2]}
			if len(words) > 3 {
				at = before[words[5]]
			}
			switch words[2] {
			case "nothing":
				body.Name = strings.Repeat("n", entity.MaxName+1)
			case "unknown":
				typ = 99
			}
			o, err := at.Write(f, w.Ring, oplog.FamilyProfile, typ, keys.Digest{}, body)
			if err != nil {
				d.Fatalf(t, "%s: %v", line, err)
			}
			if ops[label] = o; at != w {
				checkAdded(t, w.Entity, o)
			}
		}
	}
	got := tellProfile(w.Entity, ring, ops)
	opened, err := entity.Open(w.Log())
	if err != nil {
		d.Fatalf(t, "Open: %v", err)
	}
	if again := tellProfile(opened, ring, ops); again != got {
		d.Fatalf(t, "after a restart:\n%s\nbefore:\n%s", again, got)
	}
	return got
}

func tellProfile(e *entity.Entity, ring entity.Keyring, ops map[string]oplog.Op) string {
	var out strings.Builder
	if p := e.ProfileOf(ring); p.Name != "" {
		fmt.Fprintf(&out, "shown: %s\n", p.Name)
	}
	dead := e.DeadProfiles(ring)
	labels := slices.DeleteFunc(slices.Sorted(maps.Keys(ops)), func(l string) bool { return !dead[ops[l].ID()] })
	if len(labels) > 0 {
		fmt.Fprintf(&out, "dead: %s\n", strings.Join(labels, " "))
	}
	return out.String()
}

// TestProfileByKey: what one reader could open is not shown to another who has no key.
func TestProfileByKey(t *testing.T) {
	t.Parallel()
	w := found(t, entity.Profile)
	if _, err := w.Write(w.Who(t, "founder").Author(), w.Ring, oplog.FamilyProfile, entity.TypeProfileSet, keys.Digest{}, entity.ProfileSet{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := w.ProfileOf(w.Ring).Name; got != "x" {
			t.Errorf("with the key: %q", got)
		}
		for _, ring := range []entity.Keyring{nil, {}, {keys.Digest{1}: keys.NewOpKey()}} {
			if got := w.ProfileOf(ring); got != (entity.ProfileSet{}) || len(w.DeadProfiles(ring)) > 0 {
				t.Errorf("without the key, but with %d others: %q", len(ring), got.Name)
			}
		}
	}
}
