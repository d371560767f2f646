package entity_test

import (
	"crypto/sha256"
	"testing"

	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// device is a device that is, or may become, one more of a user's.
type device struct {
	key keys.Private
	box keys.BoxKey
}

func newDevice(name string) device {
	return device{keys.FromSeed(sha256.Sum256([]byte("device " + name))), keys.BoxFromSecret(sha256.Sum256([]byte("box of device " + name)))}
}

// of is the device as it consents to become one of user's, by the invite ref.
func (d device) of(user keys.Digest, ref [16]byte) entity.NewDevice {
	return entity.NewDevice{User: user, ID: d.key.ID(), Box: d.box.ID(), Consent: d.consent(user), Ref: ref}
}

func (d device) consent(user keys.Digest) keys.Signature {
	return d.key.Sign(keys.PurposeLink, entity.Consent(user, d.key.ID(), d.box.ID()))
}

// nextLink is the place of the next device op of a Me.
func (w *world) nextLink() entity.DeviceLink { return entity.DeviceLink{Prev: w.State().DeviceHead} }

// deviceAdd is the body that adds d, as the sole voter writes it.
func (w *world) deviceAdd(d device) entity.DeviceAdd {
	return entity.DeviceAdd{
		Device: d.key.ID(), Class: entity.Phone, Box: d.box.ID(), Consent: d.consent(w.ID()), Ref: w.ref, Chain: w.nextLink(),
	}
}

// link adds d to the Me of "founder", and with a class makes it alive.
func (w *world) link(tb testing.TB, d device, class entity.Class) oplog.Op {
	tb.Helper()
	f := w.who(tb, "founder")
	o, err := entity.AddDevice(w.Entity, f.author(), d.of(w.ID(), w.ref), entity.Phone)
	if err != nil {
		tb.Fatalf("AddDevice: %v", err)
	}
	if class != 0 {
		if _, err := entity.SetDeviceClass(w.Entity, f.author(), d.key.ID(), class); err != nil {
			tb.Fatalf("SetDeviceClass: %v", err)
		}
	}
	return o
}

// second gives the founder a second device, alive if it has a class, and puts the two
// people of the tables: "second" is he with it, "unlisted" with one that is in no set.
func second(class entity.Class) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		d := newDevice("second")
		w.link(t, d, class)
		w.people["second"] = w.who(t, "founder").by(d.key)
		w.people["unlisted"] = w.who(t, "founder").by(newDevice("unlisted").key)
	}
}
