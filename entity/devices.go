package entity

import (
	"bytes"
	"fmt"
	"slices"

	"pttnode/keys"
	"pttnode/oplog"
)

// Class says what a device is; it decides who votes in Me. Wire values; do not
// reorder.
type Class uint8

// The classes of docs/PROTOCOL.md §7.
const (
	Phone   Class = 1
	Desktop Class = 2
	Server  Class = 3
)

// String returns "phone", "desktop" or "server".
func (c Class) String() string {
	switch c {
	case Phone:
		return "phone"
	case Desktop:
		return "desktop"
	case Server:
		return "server"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// DeviceLink places a control op of Me in the one chain of device ops.
type DeviceLink struct {
	Prev  keys.Digest `cbor:"1,keyasint"` // the device op before it
	Reset uint64      `cbor:"2,keyasint"` // how many RESETs came before
	Votes []Vote      `cbor:"3,keyasint"` // of a majority of the voters; none when the author is the anchor
}

// Vote is one device's agreement to a device op.
type Vote struct {
	Device keys.ID        `cbor:"1,keyasint"`
	Sig    keys.Signature `cbor:"2,keyasint"`
}

// DeviceAdd makes a device one of the user's, not alive yet.
type DeviceAdd struct {
	Device  keys.ID        `cbor:"1,keyasint"`
	Class   Class          `cbor:"2,keyasint"`
	Box     keys.BoxID     `cbor:"3,keyasint"` // device box key: receives Me's op-keys
	Consent keys.Signature `cbor:"4,keyasint"` // by the device, over Consent
	Ref     [16]byte       `cbor:"5,keyasint"` // the invite
	Chain   DeviceLink     `cbor:"15,keyasint"`
}

// DeviceClass gives a device its class; from here on it is alive.
type DeviceClass struct {
	Device keys.ID    `cbor:"1,keyasint"`
	Class  Class      `cbor:"2,keyasint"`
	Chain  DeviceLink `cbor:"15,keyasint"`
}

// Device is one device of a Me.
type Device struct {
	ID    keys.ID
	Class Class
	Box   keys.BoxID
	Alive bool // has been brought up to date once; votes by its class
}

// Consent returns what a device signs, with keys.PurposeLink, to become one of
// user's with its box key: nobody can list a device that did not.
func Consent(user keys.Digest, device keys.ID, box keys.BoxID) []byte {
	return keys.LP(user[:], device[:], box[:])
}

// Device returns a device of a Me.
func (s *State) Device(id keys.ID) (Device, bool) {
	i := slices.IndexFunc(s.Devices, func(d Device) bool { return d.ID == id })
	if i < 0 {
		return Device{}, false
	}
	return s.Devices[i], true
}

// Voters returns the devices that decide on the next device op of a Me
// (docs/PROTOCOL.md §7.2): those alive of the highest class, elder first; if their
// number is even, then the eldest of the next lower class that has one, else
// without the youngest.
func (s *State) Voters() []keys.ID {
	if s.Kind != Me {
		return nil
	}
	byClass := make(map[Class][]keys.ID) // in the order of the chain, which is that of s.Devices
	for _, d := range s.Devices {
		if d.Alive {
			byClass[d.Class] = append(byClass[d.Class], d.ID)
		}
	}
	var voters []keys.ID
	for c := Server; c >= Phone; c-- {
		switch {
		case len(byClass[c]) == 0:
		case len(voters) == 0:
			if voters = byClass[c]; len(voters)%2 == 1 {
				return voters
			}
		default:
			return append(voters, byClass[c][0])
		}
	}
	return voters[:len(voters)-1] // at least one is alive: that of genesis
}

// SoleVoter reports whether device alone decides on the device set of a Me.
func (s *State) SoleVoter(device keys.ID) bool {
	v := s.Voters()
	return len(v) == 1 && v[0] == device
}

// PartyAt returns the user's Party as of an op of the device chain; it reports
// false when head is none, or became void.
func (e *Entity) PartyAt(head keys.Digest, name string) (Party, bool) {
	if _, ok := e.log.Get(head); !ok || e.State().Kind != Me || e.State().Void[head] {
		return Party{}, false
	}
	s := e.stateAt([]keys.Digest{head}, e.ID())
	if s.DeviceHead != head {
		return Party{}, false
	}
	return s.Party(name), true
}

// AddDevice appends the op that makes a device one of the user's. a must be the
// sole voter.
func AddDevice(e *Entity, a Author, d NewDevice, class Class) (oplog.Op, error) {
	return e.Control(a, oplog.FamilyMember, TypeDeviceAdd, DeviceAdd{
		Device: d.ID, Class: class, Box: d.Box, Consent: d.Consent, Ref: d.Ref, Chain: e.nextLink(),
	})
}

// SetDeviceClass appends the op from which on a device is alive. a must be the
// sole voter.
func SetDeviceClass(e *Entity, a Author, device keys.ID, class Class) (oplog.Op, error) {
	return e.Control(a, oplog.FamilyMember, TypeDeviceClass, DeviceClass{Device: device, Class: class, Chain: e.nextLink()})
}

// nextLink is the place of the next device op.
func (e *Entity) nextLink() DeviceLink { return DeviceLink{Prev: e.State().DeviceHead} }

// chainLink returns the place in the device chain that the body of a device op
// names; nil for every other body, and where it is left out.
func chainLink(body any) *DeviceLink {
	switch b := body.(type) {
	case *MasterAdd:
		return b.Chain
	case *Epoch:
		return b.Chain
	case *DeviceAdd:
		return &b.Chain
	case *DeviceClass:
		return &b.Chain
	}
	return nil
}

// judgeChain checks that a known control op of Me is the next of the one device
// chain, by the sole voter, whose signature is its vote (docs/PROTOCOL.md §7.1).
func judgeChain(s *State, o oplog.Op, body any) error {
	link := chainLink(body)
	switch {
	case s.Kind != Me && link == nil:
		return nil
	case s.Kind != Me:
		return fmt.Errorf("a device link outside Me")
	case link == nil:
		return fmt.Errorf("a device op without its place in the chain")
	case link.Prev != s.DeviceHead || link.Reset != 0:
		return fmt.Errorf("not the next device op: follows %v, the last is %v", link.Prev, s.DeviceHead)
	case len(link.Votes) != 0 || !s.SoleVoter(o.Device()):
		return fmt.Errorf("not by the one voter alone")
	}
	return nil
}

func judgeDeviceAdd(s *State, b *DeviceAdd, refuse func(string, ...any) error) error {
	if _, known := s.Device(b.Device); known {
		return refuse("%v is in the set", b.Device)
	}
	switch {
	case len(s.Devices) >= MaxDevices:
		return refuse("full: %d devices", MaxDevices)
	case !b.Class.valid():
		return refuse("unknown class")
	case b.Box.Check() != nil:
		return refuse("a device without box key, or with one of low order")
	}
	if err := b.Device.Verify(keys.PurposeLink, Consent(s.ID, b.Device, b.Box), b.Consent); err != nil {
		return refuse("without the device's consent: %v", err)
	}
	return nil
}

func judgeDeviceClass(s *State, b *DeviceClass, refuse func(string, ...any) error) error {
	if _, known := s.Device(b.Device); !known {
		return refuse("%v is not in the set", b.Device)
	}
	if !b.Class.valid() {
		return refuse("unknown class")
	}
	return nil
}

func (c Class) valid() bool { return c >= Phone && c <= Server }

// addDevice folds a DeviceAdd: the device speaks for the user in his Me.
func (s *State) addDevice(b *DeviceAdd) {
	s.Devices = append(slices.Clone(s.Devices), Device{ID: b.Device, Class: b.Class, Box: b.Box})
	m := s.Members[s.ID]
	m.Party.Devices = append(slices.Clone(m.Party.Devices), b.Device)
	slices.SortFunc(m.Party.Devices, func(a, b keys.ID) int { return bytes.Compare(a[:], b[:]) })
}

func (s *State) setClass(b *DeviceClass) {
	s.Devices = slices.Clone(s.Devices)
	for i := range s.Devices {
		if s.Devices[i].ID == b.Device {
			s.Devices[i].Class, s.Devices[i].Alive = b.Class, true
		}
	}
}
