package entity_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/entity/entitytest"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/oplog/oplogtest"
)

// Short names of what nearly every test here uses.
type (
	person = entitytest.Person
	device = entitytest.Device
)

var (
	now        = entitytest.Now
	newPerson  = entitytest.NewPerson
	newDevice  = entitytest.NewDevice
	all        = entitytest.All
	clone      = entitytest.Clone
	sign       = entitytest.Sign
	sorted     = entitytest.Sorted
	signatures = entitytest.Signatures
	checkAdded = entitytest.CheckAdded
	compare    = oplogtest.Compare
)

// world is an entity with its people.
type world struct{ *entitytest.World }

func found(tb testing.TB, kind entity.Kind) *world {
	tb.Helper()
	return &world{entitytest.Found(tb, kind)}
}

func foundBy(tb testing.TB, kind entity.Kind, people map[string]person) *world {
	tb.Helper()
	return &world{entitytest.FoundBy(tb, kind, people)}
}

func settle(tb testing.TB, kind entity.Kind) *world {
	tb.Helper()
	return &world{entitytest.Settle(tb, kind)}
}

func settleBy(tb testing.TB, kind entity.Kind, people map[string]person) *world {
	tb.Helper()
	return &world{entitytest.SettleBy(tb, kind, people)}
}

func (w *world) clone(tb testing.TB) *world {
	tb.Helper()
	return &world{w.Clone(tb)}
}

// nextLink is the place of the next device op of a Me; nowhere in other kinds.
func (w *world) nextLink() chain.DeviceLink {
	if v := w.Person(); v != nil {
		return v.Chain.Next()
	}
	return chain.DeviceLink{}
}

// deviceAdd is the body that adds d, as the sole voter writes it.
func (w *world) deviceAdd(d device) chain.DeviceAdd {
	return chain.DeviceAdd{
		Device: d.Key.ID(), Class: entity.Phone, Box: d.Box.ID(), Consent: d.Consent(w.ID()), Ref: w.Ref,
		Weight: chain.Learner, Chain: w.nextLink(),
	}
}

// second gives the founder a second device, alive if it has a class, and puts the two
// people of the tables: "second" is the founder with it, "unlisted" with one that is in no set.
func second(class entity.Class) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.Second(t, class)
		w.People["unlisted"] = w.Who(t, "founder").By(newDevice("unlisted").Key)
	}
}

// checkRefused: an op that is refused leaves no trace.
func checkRefused(tb testing.TB, e *entity.Entity, o oplog.Op, want error) {
	tb.Helper()
	before, n := snapshot(e), e.Log().Len()
	if added, err := e.Add(o); added || !errors.Is(err, want) {
		tb.Errorf("Add %d/%d = %v, %v, want %v", o.Family(), o.Type(), added, err, want)
	}
	if _, ok := e.Log().Get(o.ID()); ok || e.Log().Len() != n || !bytes.Equal(snapshot(e), before) {
		tb.Errorf("a refused op %d/%d changed the entity", o.Family(), o.Type())
	}
}

// snapshot is all that a state says, as bytes.
func snapshot(e *entity.Entity) []byte {
	s := e.State()
	type member struct {
		User keys.Digest
		M    entity.Membership
	}
	var members []member
	for user, m := range s.Members {
		members = append(members, member{user, *m})
	}
	slices.SortFunc(members, func(a, b member) int { return compare(a.User, b.User) })
	var epochs []entity.EpochInfo
	for _, i := range s.Epochs {
		epochs = append(epochs, i)
	}
	slices.SortFunc(epochs, func(a, b entity.EpochInfo) int { return compare(a.ID, b.ID) })
	var void []keys.Digest
	for id, yes := range s.Void {
		if yes {
			void = append(void, id)
		}
	}
	slices.SortFunc(void, compare)
	type cut struct {
		W entity.Writer
		N uint64
	}
	var cuts []cut
	for w, n := range s.Cuts {
		cuts = append(cuts, cut{w, n})
	}
	slices.SortFunc(cuts, func(a, b cut) int {
		return bytes.Compare(append(a.W.User[:], a.W.Device[:]...), append(b.W.User[:], b.W.Device[:]...))
	})
	var content []bool
	for o := range e.Log().All(oplog.Content) {
		content = append(content, e.Counts(o))
	}
	return keys.Marshal([]any{
		s.Digest(), s.Kind, s.Name, s.Title, s.Description, s.Policy, s.Ended, s.EndReason, s.Merged, s.Frozen,
		s.Final.ID, s.Final.Number, s.Final.Rivals, e.Pending(), s.DeviceHead, s.UserBox, s.Devices, members, epochs, void, cuts, content,
	})
}
