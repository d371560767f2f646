package entitytest

import (
	"crypto/sha256"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/keys"
	"pttnode/oplog"
)

// Device is a device that is, or may become, one more of a user's.
type Device struct {
	Key keys.Private
	Box keys.BoxKey
}

// NewDevice returns the device of a name, always with the same keys.
func NewDevice(name string) Device {
	return Device{keys.FromSeed(sha256.Sum256([]byte("device " + name))), keys.BoxFromSecret(sha256.Sum256([]byte("box of device " + name)))}
}

// Of is the device as it consents to become one of user's, by the invite ref.
func (d Device) Of(user keys.Digest, ref [16]byte) entity.NewDevice {
	return entity.NewDevice{User: user, ID: d.Key.ID(), Box: d.Box.ID(), Consent: d.Consent(user), Ref: ref}
}

// Consent is the device's own word that it wants to become one of user's.
func (d Device) Consent(user keys.Digest) keys.Signature {
	return d.Key.Sign(keys.PurposeLink, chain.Consent(user, d.Key.ID(), d.Box.ID()))
}

// Link adds d to the Me of "founder", and with a class makes it alive.
func (w *World) Link(tb TB, d Device, class entity.Class) oplog.Op {
	tb.Helper()
	f := w.Who(tb, "founder")
	o, err := entity.AddDevice(w.Entity, f.Author(), d.Of(w.ID(), w.Ref), entity.Phone)
	if err != nil {
		tb.Fatalf("AddDevice: %v", err)
	}
	if class != 0 {
		if _, err := entity.SetDeviceClass(w.Entity, f.Author(), d.Key.ID(), class); err != nil {
			tb.Fatalf("SetDeviceClass: %v", err)
		}
	}
	return o
}

// Second gives the founder a second device, alive if it has a class: "second" is the
// founder with it.
func (w *World) Second(tb TB, class entity.Class) {
	tb.Helper()
	d := NewDevice("second")
	w.Link(tb, d, class)
	w.People["second"] = w.Who(tb, "founder").By(d.Key)
}
